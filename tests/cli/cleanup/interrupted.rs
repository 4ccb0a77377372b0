//! Signals, time limits and other runs: no row is left without its files.

use super::*;

on_each_database! {
    fn eight_runs_at_once_count_each_row_once(env) {
        let tasks: Vec<Task> = (1..=400)
            .map(|n| match n % 3 { 0 => old(n).with("image_path", format!("uploads/shared_{}.png", n / 6)), _ => old(n) })
            .collect();
        prepare(&env, &tasks);
        for locks in [&["--no-lock"][..], &[]] {
            let arguments = ["-q", "-q", "cleanup", "--as-of", AS_OF, "--only", "tasks", "--batch-size", "20"];
            let runs: Vec<_> = (0..8)
                .map(|_| env.taskmon(arguments.iter().chain(locks).copied()).spawn())
                .collect();
            let mut cleaned = 0;
            let mut files = 0;
            let mut skipped = 0;
            for finished in runs.into_iter().map(crate::support::run::Running::wait) {
                let result = finished.json();
                match finished.code {
                    Some(0) => {
                        cleaned += result["tasks_cleaned"].as_u64().unwrap();
                        files += result["files_cleaned"].as_u64().unwrap();
                        assert_eq!(result["errors"], json!([]));
                    }
                    Some(75) => skipped += 1,
                    _ => finished.fail("expected 0 or 75"),
                }
            }
            assert_eq!(cleaned, 400, "{skipped} skipped");
            assert_eq!(files, 400 * 2 + 267 + 67);
            assert!(ids(&env).is_empty());
            assert_eq!(std::fs::read_dir(env.path("uploads")).unwrap().count(), 1, "{}", env.tree());
            prepare(&env, &tasks);
        }
    }

    fn killed_at_any_moment_it_leaves_no_row_without_its_files_and_the_next_run_finishes(env) {
        let tasks: Vec<Task> = (1..=300).map(old).collect();
        prepare(&env, &tasks);
        let kept = Task::new(900);
        make_files(&env, std::slice::from_ref(&kept));
        env.insert([kept.clone()]);
        let moments: u64 = std::env::var("CLEANUP_KILLS").map_or(15, |text| text.parse().unwrap());
        for moment in 0..moments {
            let mut command = env.taskmon(["-q", "-q", "cleanup", "--as-of", AS_OF, "--only", "tasks", "--batch-size", "3", "--no-lock"]).command();
            let mut child = command.stdout(std::process::Stdio::null()).stderr(std::process::Stdio::null()).spawn().unwrap();
            std::thread::sleep(Duration::from_micros(5_000 + (moment * 7919) % 60_000));
            child.kill().unwrap();
            child.wait().unwrap();
            let left = ids(&env);
            assert_rows_have_files(&env, &tasks, &left, std::slice::from_ref(&kept));
            if left.len() < 30 {
                prepare_again(&env, &tasks, &left);
            }
        }
        cleanup(&env, 0, &["--only", "tasks", "--no-lock"]);
        assert_eq!(ids(&env), ["900"]);
        assert_nothing_lost(&env, &tasks, &ids(&env), std::slice::from_ref(&kept));
        assert_eq!(std::fs::read_dir(env.path("static")).unwrap().count(), 3);
    }

    fn a_signal_ends_it_after_the_current_batch(env) {
        let tasks: Vec<Task> = (1..=600).map(old).collect();
        prepare(&env, &tasks);
        let mut command = env.taskmon(["-q", "-q", "cleanup", "--as-of", AS_OF, "--only", "tasks", "--batch-size", "1"]).command();
        let child = command.stdout(std::process::Stdio::piped()).stderr(std::process::Stdio::null()).spawn().unwrap();
        while ids(&env).len() > 580 {
            std::thread::sleep(Duration::from_millis(2));
        }
        let pid = rustix::process::Pid::from_raw(child.id().try_into().unwrap()).unwrap();
        rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
        let output = child.wait_with_output().unwrap();
        assert_eq!(output.status.code(), Some(1));
        let result: Value = serde_json::from_slice(&output.stdout).unwrap();
        assert_eq!(result["stopped"], "signal");
        assert_eq!(kinds(&result), ["stopped"]);
        let cleaned = result["tasks_cleaned"].as_u64().unwrap();
        assert_eq!(cleaned + ids(&env).len() as u64, 600);
        assert!(cleaned < 600);
    }
}

#[test]
fn it_stops_between_batches_when_its_time_is_up() {
    let env = TestEnv::postgres();
    prepare(&env, &(1..=100).map(old).collect::<Vec<_>>());
    env.sql(
        "CREATE FUNCTION slow() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM pg_sleep(0.1); RETURN old; END $$; \
         CREATE TRIGGER slow BEFORE DELETE ON tasks FOR EACH ROW EXECUTE FUNCTION slow()",
    );
    let result = cleanup(&env, 1, &["--only", "tasks", "--batch-size", "2", "--max-runtime", "1"]);
    assert_eq!(result["stopped"], "max_runtime");
    assert_eq!(kinds(&result), ["stopped"]);
    let cleaned = result["tasks_cleaned"].as_u64().unwrap();
    assert!((2..100).contains(&cleaned), "{cleaned}");
    assert_eq!(ids(&env).len() as u64, 100 - cleaned);
}

#[test]
fn a_signal_ends_the_wait_for_a_sqlite_file_that_another_program_writes() {
    let env = TestEnv::sqlite();
    env.config("connect_timeout_seconds = 1");
    prepare(&env, &[old(1)]);
    let other = env.connection();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    let mut command = env.taskmon(arguments(&[])).command();
    let child = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    std::thread::sleep(Duration::from_secs(1));
    let pid = rustix::process::Pid::from_raw(child.id().try_into().unwrap()).unwrap();
    let began = Instant::now();
    rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(began.elapsed() < Duration::from_secs(15), "{:?}", began.elapsed());
    assert_eq!(output.status.code(), Some(1));
    let result: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((&result["stopped"], kinds(&result)), (&json!("signal"), vec!["stopped"]));
    other.execute_batch("ROLLBACK").unwrap();
    assert_eq!(cleanup(&env, 0, &["--only", "tasks"])["tasks_cleaned"], 1);
}

#[test]
fn a_signal_ends_the_wait_for_a_locked_table() {
    for mode in ["disable", "prefer", "require"] {
        a_signal_ends_the_wait(mode);
    }
}

fn a_signal_ends_the_wait(ssl_mode: &str) {
    let env = TestEnv::postgres();
    let url = format!("{}?sslmode={ssl_mode}", env.url());
    let tasks: Vec<Task> = (1..=20).map(old).collect();
    prepare(&env, &tasks);
    let mut holder = env.client();
    let mut lock = holder.transaction().unwrap();
    // It may be read and not be written.
    lock.batch_execute("LOCK TABLE tasks IN EXCLUSIVE MODE").unwrap();
    let child = env
        .taskmon(arguments(&["--database-url", &url]))
        .command()
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let waits = "SELECT 1 FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'";
    while column(&env, waits).is_empty() {
        std::thread::sleep(Duration::from_millis(20));
    }
    let began = Instant::now();
    let pid = rustix::process::Pid::from_raw(child.id().try_into().unwrap()).unwrap();
    rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(began.elapsed() < Duration::from_secs(15), "{:?}", began.elapsed());
    assert_eq!(output.status.code(), Some(1));
    let result: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((&result["stopped"], kinds(&result)), (&json!("signal"), vec!["stopped"]));
    // Nobody goes on waiting at the server.
    assert!(column(&env, waits).is_empty());
    lock.commit().unwrap();
    assert_eq!(ids(&env).len(), 20);
    assert!(tasks.iter().all(|task| has_files(&env, task)));
    cleanup(&env, 0, &["--only", "tasks"]);
    assert!(ids(&env).is_empty());
}

#[test]
fn a_locked_table_ends_the_run_at_the_time_limit() {
    let env = TestEnv::postgres();
    let tasks: Vec<Task> = (1..=20).map(old).collect();
    prepare(&env, &tasks);
    env.config("statement_timeout_seconds = 1");
    let mut holder = env.client();
    let mut lock = holder.transaction().unwrap();
    for mode in ["EXCLUSIVE", "ACCESS EXCLUSIVE"] {
        lock.batch_execute(&format!("LOCK TABLE tasks IN {mode} MODE")).unwrap();
        let finished = env.taskmon(arguments(&[])).exits(3);
        finished.failure("statement_timeout", &[]);
        assert!(finished.took < Duration::from_secs(10), "{:?}", finished.took);
    }
    lock.commit().unwrap();
    assert_eq!(ids(&env).len(), 20);
    assert!(tasks.iter().all(|task| has_files(&env, task)));
}

/// A reader of the SQLite file keeps every other program from writing, without a write-ahead log even at the very end of a transaction.
#[test]
fn a_reader_of_the_sqlite_file_blocks_before_any_file_is_deleted() {
    let env = TestEnv::sqlite();
    let tasks: Vec<Task> = (1..=20).map(old).collect();
    prepare(&env, &tasks);
    env.config("connect_timeout_seconds = 1");
    let reader = env.connection();
    reader.execute_batch("BEGIN; SELECT count(*) FROM tasks").unwrap();
    let running = env.taskmon(arguments(&[])).spawn();
    std::thread::sleep(Duration::from_secs(2));
    assert!(tasks.iter().all(|task| has_files(&env, task)));
    reader.execute_batch("COMMIT").unwrap();
    let finished = running.wait();
    assert_eq!((finished.code, &finished.json()["tasks_cleaned"]), (Some(0), &json!(20)));
    prepare(&env, &tasks);
    reader.execute_batch("BEGIN; SELECT count(*) FROM tasks").unwrap();
    let refused = env.taskmon(arguments(&[])).exits(3);
    refused.failure("database_unavailable", &["tasks.db", "locked"]);
    assert!(refused.json()["error"]["hint"].as_str().unwrap().contains("another program"));
    assert!(tasks.iter().all(|task| has_files(&env, task)));
    assert_eq!(ids(&env).len(), 20);
}
