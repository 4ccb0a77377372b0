//! Servers that go away, freeze or come back: nothing is lost by it.

use super::*;
use std::sync::Arc;
use std::sync::atomic::{AtomicU16, Ordering};

/// The statement, not a part of "READ COMMITTED".
const COMMIT: &str = "COMMIT\0";

/// Through a proxy, with a second for each statement and for each connection.
fn impatient(env: &TestEnv, proxy: &Proxy) -> Finished {
    env.write(
        "taskmon.toml",
        &format!(
            "timezone = 'Asia/Shanghai'\n[database]\nurl = '{}'\nstatement_timeout_seconds = 1\nconnect_timeout_seconds = 1",
            proxy.url(env.name())
        ),
    );
    let finished = env.taskmon(arguments(&["--batch-size", "5"])).run();
    assert!(proxy.is_frozen(), "the text was never sent");
    env.config("");
    finished
}

#[test]
fn terminated_backends_lose_no_row_or_file() {
    let env = TestEnv::postgres();
    let tasks: Vec<Task> = (1..=300).map(old).collect();
    prepare(&env, &tasks);
    let mut client = env.client();
    let running = env
        .taskmon(["-q", "-q", "cleanup", "--as-of", AS_OF, "--only", "tasks", "--batch-size", "5"])
        .spawn();
    for _ in 0..3 {
        std::thread::sleep(Duration::from_millis(40));
        let sql = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()";
        client.query(sql, &[]).unwrap();
    }
    let finished = running.wait();
    let result = finished.json();
    let left = ids(&env);
    assert_rows_have_files(&env, &tasks, &left, &[]);
    if result["success"] == true {
        assert_eq!(result["tasks_cleaned"].as_u64().unwrap() + left.len() as u64, 300);
    }
    cleanup(&env, 0, &["--only", "tasks"]);
    assert!(ids(&env).is_empty());
    assert_nothing_lost(&env, &tasks, &[], &[]);
}

#[test]
fn sessions_ended_at_any_moment_leave_no_row_without_its_files() {
    let env = TestEnv::postgres();
    let tasks: Vec<Task> = (1..=300).map(old).collect();
    let kept = [Task::new(900)];
    prepare(&env, &tasks);
    prepare(&env, &kept);
    let mut client = env.client();
    let moments: u64 =
        std::env::var("CLEANUP_TERMINATIONS").map_or(12, |text| text.parse().unwrap());
    let mut ended = 0;
    for moment in 0..moments {
        let before = ids(&env);
        let running = env.taskmon(arguments(&["--batch-size", "5"])).spawn();
        std::thread::sleep(Duration::from_micros(10_000 + (moment * 7_919_017) % 500_000));
        let verb = ["pg_terminate_backend", "pg_cancel_backend"][(moment % 2) as usize];
        let sql = format!(
            "SELECT {verb}(pid) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
        );
        ended += client.query(&sql, &[]).unwrap().len();
        let finished = running.wait();
        let result = finished.json();
        let left = ids(&env);
        assert_rows_have_files(&env, &tasks, &left, &kept);
        match finished.code {
            Some(0) => assert_eq!(left, ["900"]),
            Some(1) => {
                // The files of rows that are deleted wait where the session was met while it read the paths of the others.
                match kinds(&result)[..] {
                    ["database_failed"] => assert!(left.len() > 1, "{result:#}"),
                    ["files_left", "database_failed"] => {}
                    _ => panic!("{result:#}"),
                }
            }
            Some(3) => assert_eq!(left, before, "{result:#}"),
            _ => finished.fail("expected 0, 1 or 3"),
        }
        if finished.code != Some(3) {
            let cleaned = result["tasks_cleaned"].as_u64().unwrap();
            assert_eq!(cleaned, (before.len() - left.len()) as u64, "{result:#}");
        }
        prepare_again(&env, &tasks, &left);
    }
    assert!(ended > 0, "no session was ever met");
    cleanup(&env, 0, &["--only", "tasks"]);
    assert_eq!(ids(&env), ["900"]);
    assert_nothing_lost(&env, &tasks, &ids(&env), &kept);
}

#[test]
fn a_lost_server_is_reported_and_the_next_run_finishes() {
    let tasks: Vec<Task> = (1..=2000).map(old).collect();
    let (cluster, env) = on_a_server_of_its_own(&tasks);
    let running = env.taskmon(arguments(&["--batch-size", "5"])).spawn();
    cluster.wait_for(1900);
    cluster.down();
    let finished = running.wait();
    let result = finished.json();
    assert_eq!(finished.code, Some(1), "{result:#}");
    let said = message(&result, "database_failed");
    assert!(said.contains("connection to the database was lost"), "{said}");
    assert!(said.contains("run again when the server is back"), "{said}");
    cluster.up();
    let left = cluster.ids();
    let cleaned = result["tasks_cleaned"].as_u64().unwrap();
    // The batch whose answer to COMMIT was lost with the server, if so it was, and it was said.
    let unsure = if said.contains("is not known") { 5 } else { 0 };
    let gone = (2000 - left.len()) as u64;
    assert!((cleaned..=cleaned + unsure).contains(&gone), "{gone} of {result:#}");
    assert!(message(&result, "files_left").contains("the next run"), "{result:#}");
    assert_rows_have_files(&env, &tasks, &left, &[]);
    env.taskmon(arguments(&[])).exits(0).json();
    assert!(cluster.ids().is_empty());
    assert_nothing_lost(&env, &tasks, &[], &[]);
}

#[test]
fn a_server_that_comes_back_seconds_later_is_waited_for() {
    let tasks: Vec<Task> = (1..=2000).map(old).collect();
    let (cluster, env) = on_a_server_of_its_own(&tasks);
    let running = env.taskmon(arguments(&["--batch-size", "5"])).spawn();
    cluster.wait_for(1900);
    cluster.down();
    std::thread::sleep(Duration::from_secs(2));
    cluster.up();
    let finished = running.wait();
    let result = finished.json();
    assert_eq!(finished.code, Some(0), "{result:#}");
    assert_eq!(result["tasks_cleaned"], 2000);
    assert_eq!(result["files_cleaned"], 6000);
    assert!(cluster.ids().is_empty());
    assert_nothing_lost(&env, &tasks, &[], &[]);
}

/// A way to a server, and from some time on to another one, as a name may lead to another host.
fn way_to(first: u16) -> (u16, Arc<AtomicU16>) {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let here = listener.local_addr().unwrap().port();
    let target = Arc::new(AtomicU16::new(first));
    let leads_to = Arc::clone(&target);
    std::thread::spawn(move || {
        for client in listener.incoming() {
            let client = client.unwrap();
            let port = leads_to.load(Ordering::Relaxed);
            let Ok(server) = std::net::TcpStream::connect(("127.0.0.1", port)) else {
                continue;
            };
            for (mut from, mut to) in
                [(client.try_clone().unwrap(), server.try_clone().unwrap()), (server, client)]
            {
                std::thread::spawn(move || {
                    let _ = std::io::copy(&mut from, &mut to);
                    let _ = to.shutdown(std::net::Shutdown::Both);
                });
            }
        }
    });
    (here, target)
}

#[test]
fn another_server_that_answers_after_a_lost_connection_is_left_alone() {
    let tasks: Vec<Task> = (1..=2000).map(old).collect();
    let (cluster, env) = on_a_server_of_its_own(&tasks);
    let (here, target) = way_to(cluster.port);
    let url = format!("postgresql://postgres@127.0.0.1:{here}/postgres?sslmode=disable");
    let running = env.taskmon(arguments(&["--batch-size", "5", "--database-url", &url])).spawn();
    cluster.wait_for(1900);
    target.store(crate::support::env::port(), Ordering::Relaxed);
    cluster.down();
    let finished = running.wait();
    let result = finished.json();
    assert_eq!(finished.code, Some(1), "{result:#}");
    let said = message(&result, "database_failed");
    assert!(said.contains("another server or database answers"), "{said}");
    cluster.up();
    assert_rows_have_files(&env, &tasks, &cluster.ids(), &[]);
    env.taskmon(arguments(&[])).exits(0).json();
    assert_nothing_lost(&env, &tasks, &[], &[]);
}

#[test]
fn a_server_that_freezes_ends_the_run_before_anything_is_lost() {
    std::thread::scope(|scope| {
        for text in ["SELECT clock_timestamp", "pg_typeof", "DELETE FROM tasks"] {
            scope.spawn(move || {
                let env = TestEnv::postgres();
                let tasks: Vec<Task> = (1..=20).map(old).collect();
                prepare(&env, &tasks);
                let proxy = Proxy::new(text, Freeze::Everything);
                let finished = impatient(&env, &proxy);
                assert_eq!(finished.code, Some(3), "{text}");
                finished.failure("database_unavailable", &["16 seconds"]);
                assert!((16..70).contains(&finished.took.as_secs()), "{:?}", finished.took);
                assert_eq!(ids(&env).len(), 20);
                assert!(tasks.iter().all(|task| has_files(&env, task)));
                proxy.thaw();
                cleanup(&env, 0, &["--only", "tasks"]);
                assert!(ids(&env).is_empty());
            });
        }
    });
}

#[test]
fn a_commit_without_an_answer_is_looked_up_and_counted_once() {
    std::thread::scope(|scope| {
        // First the server never receives the COMMIT and holds the batch's locks; then it has committed and the answer is lost.
        for freeze in [Freeze::Connection, Freeze::Answers] {
            scope.spawn(move || {
                let env = TestEnv::postgres();
                let tasks: Vec<Task> = (1..=20).map(old).collect();
                prepare(&env, &tasks);
                let finished = impatient(&env, &Proxy::new(COMMIT, freeze));
                let result = finished.json();
                assert_eq!(finished.code, Some(0), "{freeze:?}: {result:#}");
                assert_eq!(result["tasks_cleaned"], 20, "{freeze:?}");
                assert_eq!(result["files_cleaned"], 60, "{freeze:?}");
                assert!(ids(&env).is_empty());
                assert_nothing_lost(&env, &tasks, &[], &[]);
            });
        }
    });
}

#[test]
fn a_commit_with_an_unknown_outcome_is_reported_as_such() {
    let env = TestEnv::postgres();
    let tasks: Vec<Task> = (1..=20).map(old).collect();
    prepare(&env, &tasks);
    let proxy = Proxy::new(COMMIT, Freeze::Everything);
    let finished = impatient(&env, &proxy);
    assert_eq!(finished.code, Some(3));
    let doubt = "5 rows were being committed, and whether they are deleted is not known";
    let result = finished.failure("database_unavailable", &["16 seconds", doubt]);
    assert_eq!((&result["tasks_cleaned"], &result["files_cleaned"]), (&json!(0), &json!(0)));
    assert_rows_have_files(&env, &tasks, &ids(&env), &[]);
    proxy.thaw();
    cleanup(&env, 0, &["--only", "tasks"]);
    assert!(ids(&env).is_empty());
    assert_nothing_lost(&env, &tasks, &[], &[]);
}

/// An application takes rows back that a COMMIT in vain has let go of, and needs their files.
#[test]
fn a_row_that_is_taken_back_after_a_conflict_at_commit_has_its_files() {
    let env = TestEnv::postgres();
    let tasks: Vec<Task> = (1..=200).map(old).collect();
    prepare(&env, &tasks);
    env.sql(include_str!("../../fixtures/cleanup/conflicts_at_commit.sql"));
    let running = env.taskmon(arguments(&["--batch-size", "10"])).spawn();
    let mut application = env.client();
    let mut taken = 0;
    for _ in 0..40 {
        taken += application
            .execute("UPDATE tasks SET status = 'PENDING' WHERE id IN (SELECT id FROM tasks WHERE status <> 'PENDING' ORDER BY id LIMIT 2 FOR UPDATE SKIP LOCKED)", &[])
            .unwrap();
        std::thread::sleep(Duration::from_millis(15));
    }
    let finished = running.wait();
    let result = finished.json();
    assert!(taken > 0, "nothing was taken back");
    assert!(column(&env, "SELECT last_value FROM commits")[0].parse::<u32>().unwrap() > 3);
    assert_nothing_lost(&env, &tasks, &ids(&env), &[]);
    let gone = 200 - ids(&env).len();
    assert!(gone > 0, "{result:#}");
    assert_eq!(result["tasks_cleaned"], gone);
    assert_eq!(result["files_cleaned"], 3 * gone);
}
