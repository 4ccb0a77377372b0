//! What goes wrong around `taskmon cleanup`, and that nothing is lost by it: rows that stay keep their files, no file is left without
//! its row, the exit code and the message say what happened, and the next run finishes.

use crate::cli::cleanup::{
    AS_OF, cleanup, column, has_files, ids, kinds, make_files, old, paths, prepare, prepare_again,
};
use crate::on_each_database;
use crate::support::env::{Finished, TestEnv, variable};
use crate::support::proxy::{Freeze, Proxy};
use crate::support::rows::Task;
use serde_json::{Value, json};
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// No file may be left whose row is gone, and no file of a row that never was to go.
#[track_caller]
fn nothing_is_lost(env: &TestEnv, expired: &[Task], left: &[String], kept: &[Task]) {
    for task in expired {
        let id = task.columns["id"].clone().unwrap();
        let any = paths(task).iter().any(|path| env.path(path).exists());
        assert!(left.contains(&id) || !any, "the row {id} is gone and has files\n{}", env.tree());
    }
    for task in kept {
        assert!(has_files(env, task), "{}", env.tree());
        assert!(left.contains(task.columns["id"].as_ref().unwrap()));
    }
}

/// The message of the one error of a kind.
#[track_caller]
fn message(result: &Value, kind: &str) -> String {
    let errors = result["errors"].as_array().unwrap();
    let found: Vec<&str> = errors
        .iter()
        .filter(|error| error["kind"] == kind)
        .map(|error| error["message"].as_str().unwrap())
        .collect();
    assert_eq!(found.len(), 1, "{result:#}");
    found[0].to_owned()
}

fn arguments<'a>(more: &[&'a str]) -> Vec<&'a str> {
    let mut arguments = vec!["-q", "-q", "cleanup", "--as-of", AS_OF, "--only", "tasks"];
    arguments.extend(more);
    arguments
}

#[test]
fn sessions_ended_at_any_moment_leave_no_file_without_its_row() {
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
        nothing_is_lost(&env, &tasks, &left, &kept);
        match finished.code {
            Some(0) => assert_eq!(left, ["900"]),
            Some(1) => {
                assert_eq!(kinds(&result), ["database_failed"]);
                assert!(left.len() > 1, "{result:#}");
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
    nothing_is_lost(&env, &tasks, &ids(&env), &kept);
}

/// A PostgreSQL server of a test's own, which it can stop.
struct Cluster {
    folder: tempfile::TempDir,
    port: u16,
}

impl Cluster {
    fn start() -> Self {
        let folder = tempfile::Builder::new().prefix("taskmon-cluster-").tempdir().unwrap();
        if rustix::process::geteuid().is_root() {
            let owner = Command::new("id").args(["-u", Self::user()]).output().unwrap();
            let owner = String::from_utf8(owner.stdout).unwrap();
            std::os::unix::fs::chown(folder.path(), Some(owner.trim().parse().unwrap()), None)
                .unwrap();
        }
        // Not one that the kernel hands out: while the server is down, somebody's connection could start from it.
        let is_free = |port: &u16| std::net::TcpListener::bind(("127.0.0.1", *port)).is_ok();
        let first = 20_000 + (std::process::id() % 10_000) as u16;
        let port = (first..).find(is_free).unwrap();
        let cluster = Self { folder, port };
        cluster.program(
            "initdb",
            &["-U", "postgres", "-A", "trust", "--no-sync", "--encoding=UTF8", "--locale=C.UTF-8"],
        );
        cluster.up();
        let mut client = cluster.client();
        client.batch_execute(include_str!("../fixtures/taskmon_postgres.sql")).unwrap();
        cluster
    }

    fn user() -> &'static str {
        if std::fs::read_to_string("/etc/passwd").unwrap().contains("\npostgres:") {
            "postgres"
        } else {
            "nobody"
        }
    }

    /// The server refuses to run as root.
    fn program(&self, name: &str, arguments: &[&str]) {
        let program = Path::new(&variable("TASKMON_TEST_PG_PROGRAMS")).join(name);
        let mut command = if rustix::process::geteuid().is_root() {
            let mut command = Command::new("runuser");
            command.args(["-u", Self::user(), "--"]).arg(&program);
            command
        } else {
            Command::new(&program)
        };
        let log = std::fs::File::create(self.folder.path().with_extension("log")).unwrap();
        let status = command
            .arg("-D")
            .arg(self.folder.path().join("data"))
            .args(arguments)
            .current_dir("/")
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .status()
            .unwrap();
        let read = |path: std::path::PathBuf| std::fs::read_to_string(path).unwrap_or_default();
        let said = read(self.folder.path().with_extension("log"));
        let server = read(self.folder.path().join("server.log"));
        assert!(status.success(), "{name} {arguments:?}: {said}\n{server}");
    }

    fn up(&self) {
        let folder = self.folder.path().display();
        let options = format!(
            "-p {} -c listen_addresses=127.0.0.1 -c unix_socket_directories= -c fsync=off -c logging_collector=off",
            self.port
        );
        let log = format!("{folder}/server.log");
        self.program("pg_ctl", &["start", "-s", "-w", "-t", "60", "-l", &log, "-o", &options]);
    }

    fn down(&self) {
        self.program("pg_ctl", &["stop", "-s", "-m", "immediate"]);
    }

    fn url(&self) -> String {
        format!("postgresql://postgres@127.0.0.1:{}/postgres", self.port)
    }

    fn client(&self) -> postgres::Client {
        postgres::Client::connect(&self.url(), postgres::NoTls).unwrap()
    }

    fn ids(&self) -> Vec<String> {
        let rows = self.client().query("SELECT id::text FROM tasks ORDER BY id", &[]).unwrap();
        rows.iter().map(|row| row.get(0)).collect()
    }

    fn insert(&self, tasks: &[Task]) {
        let statements: String = tasks.iter().map(Task::insert).collect();
        self.client().batch_execute(&statements).unwrap();
    }

    /// Waits until so many rows are left at most.
    fn wait_for(&self, rows: usize) {
        let mut client = self.client();
        loop {
            let count: i64 = client.query_one("SELECT count(*) FROM tasks", &[]).unwrap().get(0);
            if count <= rows as i64 {
                return;
            }
            std::thread::sleep(Duration::from_millis(2));
        }
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        if self.folder.path().join("data/postmaster.pid").exists() {
            self.down();
        }
        // It may not even have been made.
        let _ = std::fs::remove_file(self.folder.path().with_extension("log"));
    }
}

/// A server of its own with expired tasks, and a folder with their files.
fn on_a_server_of_its_own(tasks: &[Task]) -> (Cluster, TestEnv) {
    let cluster = Cluster::start();
    let env = TestEnv::new();
    env.write(
        "taskmon.toml",
        &format!(
            "timezone = 'Asia/Shanghai'\n[database]\nurl = '{}'\nconnect_timeout_seconds = 2",
            cluster.url()
        ),
    );
    make_files(&env, tasks);
    cluster.insert(tasks);
    (cluster, env)
}

#[test]
fn a_server_that_goes_away_is_said_and_the_next_run_finishes() {
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
    nothing_is_lost(&env, &tasks, &left, &[]);
    env.taskmon(arguments(&[])).exits(0).json();
    assert!(cluster.ids().is_empty());
    nothing_is_lost(&env, &tasks, &[], &[]);
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
    nothing_is_lost(&env, &tasks, &[], &[]);
}

/// As a whole statement: "READ COMMITTED" is none.
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
fn a_commit_whose_answer_never_comes_is_asked_for_and_counted_once() {
    std::thread::scope(|scope| {
        // The server never hears of it and holds the batch's locks; it has committed and cannot say so.
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
                nothing_is_lost(&env, &tasks, &[], &[]);
            });
        }
    });
}

#[test]
fn a_commit_that_nobody_can_tell_about_is_said_to_be_one() {
    let env = TestEnv::postgres();
    let tasks: Vec<Task> = (1..=20).map(old).collect();
    prepare(&env, &tasks);
    let proxy = Proxy::new(COMMIT, Freeze::Everything);
    let finished = impatient(&env, &proxy);
    let result = finished.json();
    assert_eq!(finished.code, Some(1), "{result:#}");
    let said = message(&result, "database_failed");
    for part in [
        "16 seconds",
        "5 rows were being committed, and whether they are deleted is not known",
        "15 files of the batch are gone already",
    ] {
        assert!(said.contains(part), "{said}");
    }
    assert_eq!((&result["tasks_cleaned"], &result["files_cleaned"]), (&json!(0), &json!(15)));
    nothing_is_lost(&env, &tasks, &ids(&env), &[]);
    proxy.thaw();
    cleanup(&env, 0, &["--only", "tasks"]);
    assert!(ids(&env).is_empty());
    nothing_is_lost(&env, &tasks, &[], &[]);
}

on_each_database! {
    fn a_row_that_only_commit_refuses_is_found_and_the_others_go(env) {
        let tasks: Vec<Task> = (1..=20).map(old).collect();
        prepare(&env, &tasks);
        match env.url().starts_with("sqlite") {
            // What a trigger writes is looked at when everything else is done.
            true => env.sql(
                "CREATE TABLE child (id integer PRIMARY KEY); \
                 CREATE TABLE audit (child integer REFERENCES child (id) DEFERRABLE INITIALLY DEFERRED); \
                 CREATE TRIGGER audit AFTER DELETE ON tasks WHEN old.id = 7 BEGIN INSERT INTO audit VALUES (70); END"
            ),
            // Each firing puts off the next, past every SET CONSTRAINTS.
            false => env.sql(
                "CREATE TABLE audit (task integer, depth integer); \
                 CREATE FUNCTION put_off() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN \
                 SET CONSTRAINTS ALL DEFERRED; \
                 IF TG_OP = 'DELETE' THEN IF old.id = 7 THEN INSERT INTO audit VALUES (old.id, 1); END IF; \
                 ELSIF new.depth < 9 THEN INSERT INTO audit VALUES (new.task, new.depth + 1); \
                 ELSE RAISE EXCEPTION 'seven is kept after all'; END IF; RETURN NULL; END $$; \
                 CREATE CONSTRAINT TRIGGER audit AFTER DELETE ON tasks DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION put_off(); \
                 CREATE CONSTRAINT TRIGGER audit AFTER INSERT ON audit DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION put_off()"
            ),
        }
        let result = cleanup(&env, 1, &["--only", "tasks"]);
        assert_eq!(ids(&env), ["7"], "{result:#}");
        assert_eq!(result["tasks_cleaned"], 19);
        let said = message(&result, "row_refused");
        assert!(said.contains("task_7") && said.contains("its files were gone already"), "{said}");
        nothing_is_lost(&env, &tasks, &ids(&env), &[]);
        if env.url().starts_with("sqlite") { env.sql("DROP TRIGGER audit") } else { env.sql("DROP TRIGGER audit ON tasks") }
        cleanup(&env, 0, &["--only", "tasks"]);
        assert!(ids(&env).is_empty());
    }

    fn standard_output_that_is_full_is_exit_3_and_the_work_is_done(env) {
        let tasks: Vec<Task> = (1..=20).map(old).collect();
        prepare(&env, &tasks);
        let full = std::fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
        let output = env.taskmon(arguments(&[]))
            .command()
            .args(["-v"])
            .stdout(full)
            .stderr(Stdio::piped())
            .spawn()
            .unwrap()
            .wait_with_output()
            .unwrap();
        assert_eq!(output.status.code(), Some(3));
        assert!(ids(&env).is_empty());
        nothing_is_lost(&env, &tasks, &[], &[]);
    }

    fn a_receipt_that_the_database_keeps_keeps_its_tracking_rows_and_their_files(env) {
        make_files(&env, &[]);
        for id in 1..=4 {
            env.sql(&format!(
                "INSERT INTO delivery_receipts (id, tracking_number, qr_code_path, created_at) \
                 VALUES ({id}, 'T{id}', 'static/qr_{id}.png', '2026-10-0{id} 10:00:00'); \
                 INSERT INTO tracking_info (id, delivery_receipt_id, screenshot_path) VALUES ({id}, {id}, 'static/info_{id}.png')"
            ));
            env.write(&format!("static/qr_{id}.png"), "12345");
            env.write(&format!("static/info_{id}.png"), "12345");
        }
        if env.url().starts_with("sqlite") { env.sql("CREATE TRIGGER skip BEFORE DELETE ON delivery_receipts WHEN old.id = 2 BEGIN SELECT RAISE(IGNORE); END") } else { env.sql(
                "CREATE FUNCTION skip() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN \
                 IF old.id = 2 THEN RETURN NULL; END IF; RETURN old; END $$; \
                 CREATE TRIGGER skip BEFORE DELETE ON delivery_receipts FOR EACH ROW EXECUTE FUNCTION skip()"
            ) }
        let dry_run = cleanup(&env, 1, &["--only", "receipts", "--dry-run"]);
        let result = cleanup(&env, 1, &["--only", "receipts"]);
        assert_eq!(column(&env, "SELECT id FROM delivery_receipts"), ["2"]);
        assert_eq!(column(&env, "SELECT id FROM tracking_info"), ["2"], "{result:#}");
        for id in 1..=4 {
            for name in ["qr", "info"] {
                let path = env.path(format!("static/{name}_{id}.png"));
                assert_eq!(path.exists(), id == 2, "{}", path.display());
            }
        }
        assert_eq!(kinds(&result), ["row_refused"]);
        for key in ["receipts_cleaned", "files_cleaned", "errors"] {
            assert_eq!(dry_run[key], result[key], "{key}");
        }
    }
}

#[test]
fn a_file_that_could_not_go_keeps_its_row_when_the_batch_is_begun_again() {
    let env = TestEnv::postgres();
    let tasks: Vec<Task> = (1..=5).map(old).collect();
    prepare(&env, &tasks);
    // The delete takes a second, in which a file is written to; then the first COMMIT meets a conflict.
    env.sql(
        "CREATE SEQUENCE commits; \
         CREATE FUNCTION slow() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM pg_sleep(1); RETURN NULL; END $$; \
         CREATE TRIGGER slow BEFORE DELETE ON tasks FOR EACH STATEMENT EXECUTE FUNCTION slow(); \
         CREATE TABLE audit (depth integer); \
         CREATE FUNCTION conflict() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN \
         SET CONSTRAINTS ALL DEFERRED; \
         IF TG_OP = 'DELETE' THEN INSERT INTO audit VALUES (1); \
         ELSIF new.depth < 9 THEN INSERT INTO audit VALUES (new.depth + 1); \
         ELSIF nextval('commits') = 1 THEN RAISE EXCEPTION 'a conflict' USING ERRCODE = '40001'; END IF; RETURN NULL; END $$; \
         CREATE CONSTRAINT TRIGGER conflict AFTER DELETE ON tasks DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION conflict(); \
         CREATE CONSTRAINT TRIGGER conflict AFTER INSERT ON audit DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION conflict()",
    );
    let running = env.taskmon(arguments(&[])).spawn();
    std::thread::sleep(Duration::from_millis(600));
    env.write("uploads/image_3.png", "written anew");
    let finished = running.wait();
    let result = finished.json();
    assert_eq!(finished.code, Some(1), "{result:#}");
    // One in the first COMMIT, which it ends, and one for each of the four rows of the second.
    assert_eq!(column(&env, "SELECT last_value FROM commits"), ["5"]);
    assert_eq!(ids(&env), ["3"], "{result:#}");
    assert_eq!(env.read("uploads/image_3.png"), "written anew");
    assert!(message(&result, "unlink_failed").contains("has changed since it was examined"));
    assert_eq!(result["tasks_cleaned"], 4);
    nothing_is_lost(&env, &tasks, &ids(&env), &[]);
}

#[test]
fn a_signal_ends_the_wait_for_a_table_that_somebody_holds() {
    let env = TestEnv::postgres();
    let tasks: Vec<Task> = (1..=20).map(old).collect();
    prepare(&env, &tasks);
    let mut holder = env.client();
    let mut lock = holder.transaction().unwrap();
    // It may be read and not be written.
    lock.batch_execute("LOCK TABLE tasks IN EXCLUSIVE MODE").unwrap();
    let child = env
        .taskmon(arguments(&[]))
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
fn a_table_that_somebody_holds_ends_the_run_at_the_time_limit() {
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
fn a_reader_that_holds_sqlite_up_does_so_before_any_file_is_gone() {
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

/// Set in the second run of a test.
const INSIDE: &str = "CLEANUP_TEST_HAS_ITS_OWN_MOUNTS";

/// Runs the body in a mount namespace of its own, which the kernel takes down with its last process; `name` is the test's own name.
fn with_own_mounts(name: &str, body: impl FnOnce()) {
    if std::env::var_os(INSIDE).is_some() {
        return body();
    }
    let mut command = Command::new("unshare");
    command.args(["--mount", "--propagation", "private"]);
    if !rustix::process::geteuid().is_root() {
        command.arg("--map-root-user");
    }
    let output = command
        .arg(std::env::current_exe().unwrap())
        .args(["--exact", &format!("cli::cleanup_failures::{name}"), "--nocapture"])
        .env(INSIDE, "yes")
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}\n{errors}");
    assert!(said.contains("1 passed"), "{name} is not this test's name: {said}");
}

fn mount(arguments: &[&str], point: &Path) {
    std::fs::create_dir_all(point).unwrap();
    let status = Command::new("mount").args(arguments).arg(point).status().unwrap();
    assert!(status.success(), "mount {arguments:?} {}: needs root", point.display());
}

/// A small disk in a file, with an ext4.
fn make_disk(image: &Path, features: &str) {
    std::fs::File::create(image).and_then(|file| file.set_len(16 << 20)).unwrap();
    let made = Command::new("mkfs.ext4").args(["-q", "-O", features]).arg(image).status();
    assert!(made.unwrap().success(), "mkfs.ext4 is missing or failed");
}

fn unmount(point: &Path) {
    let status = Command::new("umount").arg(point).status().unwrap();
    assert!(status.success(), "umount {}", point.display());
}

/// Writes all of a file system to its disk.
fn sync(point: &Path) {
    let status = Command::new("sync").arg("-f").arg(point).status().unwrap();
    assert!(status.success(), "sync -f {}", point.display());
}

/// Fills the file system to the last byte.
fn fill(folder: &Path) {
    use std::io::Write;
    let mut filler = std::fs::File::create(folder.join("filler")).unwrap();
    for size in [4096, 1] {
        while filler.write_all(&vec![0; size]).is_ok() {}
    }
}

#[test]
fn files_on_a_read_only_file_system_keep_their_rows() {
    with_own_mounts("files_on_a_read_only_file_system_keep_their_rows", || {
        let env = TestEnv::sqlite();
        let tasks = [
            old(1).with("image_path", "uploads/volume/1.png"),
            old(2).with("image_path", "uploads/volume/2.png"),
            old(3),
        ];
        let volume = env.path("uploads/volume");
        mount(&["-t", "tmpfs", "none"], &volume);
        prepare(&env, &tasks);
        mount(&["-o", "remount,ro"], &volume);
        let dry_run = cleanup(&env, 1, &["--only", "tasks", "--dry-run"]);
        let result = cleanup(&env, 1, &["--only", "tasks"]);
        assert_eq!(dry_run["errors"], result["errors"]);
        assert_eq!(kinds(&result), ["not_removable"; 2]);
        let text = result["errors"].to_string();
        assert!(text.contains("read-only") && text.contains("uploads/volume/2.png"), "{text}");
        assert_eq!(ids(&env), ["1", "2"]);
        assert!(
            has_files(&env, &tasks[0]) && has_files(&env, &tasks[1]) && !has_files(&env, &tasks[2])
        );
        mount(&["-o", "remount,rw"], &volume);
        assert_eq!(cleanup(&env, 0, &["--only", "tasks"])["tasks_cleaned"], 2);
    });
}

/// The kernel goes on writing to the disk while it is read: read twice the same, it was that between the two readings.
fn content_at_one_moment(image: &Path) -> Vec<u8> {
    let mut content = std::fs::read(image).unwrap();
    loop {
        let again = std::fs::read(image).unwrap();
        if again == content {
            return content;
        }
        content = again;
    }
}

/// What a disk held is what it holds when it has power again: a copy of it, made the moment the run is killed.
#[test]
fn power_that_goes_at_any_moment_leaves_no_file_without_its_row() {
    with_own_mounts("power_that_goes_at_any_moment_leaves_no_file_without_its_row", || {
        for features in ["has_journal", "^has_journal"] {
            let env = TestEnv::sqlite();
            let path = |id: u32| format!("uploads/volume/{}/{id}.png", id % 9);
            let task = |id: u32| old(id).with("image_path", path(id));
            let (image, copy) = (env.path("disk.img"), env.path("copy.img"));
            make_disk(&image, features);
            let volume = env.path("uploads/volume");
            mount(&["-o", "loop", image.to_str().unwrap()], &volume);
            prepare(&env, &(1..=1000).map(task).collect::<Vec<_>>());
            sync(&volume);
            let mut deleted = 0;
            for moment in 0..12 {
                let before = ids(&env).len();
                if before < 100 {
                    break;
                }
                let mut run = env
                    .taskmon(arguments(&["--batch-size", "5", "-q", "-q"]))
                    .command()
                    .stdout(Stdio::null())
                    .stderr(Stdio::null())
                    .spawn()
                    .unwrap();
                while ids(&env).len() == before {
                    assert!(run.try_wait().unwrap().is_none(), "it ended by itself");
                }
                std::thread::sleep(Duration::from_millis(3 * (moment % 4)));
                run.kill().unwrap();
                run.wait().unwrap();
                std::fs::write(&copy, content_at_one_moment(&image)).unwrap();
                let left = ids(&env);
                let after = env.path("after");
                mount(&["-o", "loop", copy.to_str().unwrap()], &after);
                for id in (1..=1000).filter(|id| !left.contains(&id.to_string())) {
                    let file = path(id).replace("uploads/volume", "after");
                    assert!(!env.path(&file).exists(), "{features}: {file} is back");
                    deleted += 1;
                }
                unmount(&after);
            }
            assert!(deleted > 100, "{features}: {deleted} files looked for");
            unmount(&volume);
        }
    });
}

/// As a run that was killed before its folders were written to the disk leaves it to the next one.
#[test]
fn a_file_that_was_removed_a_moment_ago_is_gone_for_good_before_its_row_is() {
    with_own_mounts(
        "a_file_that_was_removed_a_moment_ago_is_gone_for_good_before_its_row_is",
        || {
            let env = TestEnv::sqlite();
            let (image, copy) = (env.path("disk.img"), env.path("copy.img"));
            make_disk(&image, "has_journal");
            let (volume, after) = (env.path("uploads/volume"), env.path("after"));
            mount(&["-o", "loop", image.to_str().unwrap()], &volume);
            let task = old(1).with("image_path", "uploads/volume/a/1.png");
            prepare(&env, &[task]);
            env.write("uploads/volume/kept", "");
            sync(&volume);
            std::fs::remove_file(env.path("uploads/volume/a/1.png")).unwrap();
            assert_eq!(cleanup(&env, 0, &["--only", "tasks"])["tasks_cleaned"], 1);
            std::fs::write(&copy, content_at_one_moment(&image)).unwrap();
            mount(&["-o", "loop", copy.to_str().unwrap()], &after);
            assert!(after.join("kept").exists() && !after.join("a/1.png").exists());
            unmount(&after);
            unmount(&volume);
        },
    );
}

#[test]
fn a_disk_that_is_full_under_sqlite_says_so_before_any_file_is_gone() {
    with_own_mounts("a_disk_that_is_full_under_sqlite_says_so_before_any_file_is_gone", || {
        for journal in ["delete", "wal"] {
            let env = TestEnv::sqlite();
            let tasks: Vec<Task> = (1..=300).map(old).collect();
            prepare(&env, &tasks);
            let (small, url) = (env.path("small"), "sqlite:small/tasks.db");
            mount(&["-t", "tmpfs", "-o", "size=2m", "none"], &small);
            std::fs::copy(env.path("tasks.db"), small.join("tasks.db")).unwrap();
            let other = rusqlite::Connection::open(small.join("tasks.db")).unwrap();
            let set = format!("PRAGMA journal_mode = {journal}");
            other.query_row(&set, [], |_| Ok(())).unwrap();
            // With a write-ahead log: its index is there already, so that nothing but the writing itself lacks room.
            let count = || -> i64 {
                other.query_row("SELECT count(*) FROM tasks", [], |row| row.get(0)).unwrap()
            };
            assert_eq!(count(), 300);
            fill(&small);
            let full = env.taskmon(arguments(&["--database-url", url])).exits(3);
            full.failure("database_unavailable", &["small/tasks.db", "full"]);
            assert_eq!(count(), 300, "{journal}");
            assert!(tasks.iter().all(|task| has_files(&env, task)), "{journal}");
            std::fs::remove_file(small.join("filler")).unwrap();
            let result = env.taskmon(arguments(&["--database-url", url])).exits(0).json();
            assert_eq!((result["tasks_cleaned"].as_i64(), count()), (Some(300), 0), "{journal}");
            nothing_is_lost(&env, &tasks, &[], &[]);
        }
    });
}

/// The rows that go are written to an archive by a trigger, and there is no room for it.
#[test]
fn a_disk_that_is_full_under_postgresql_says_so_before_any_file_is_gone() {
    with_own_mounts("a_disk_that_is_full_under_postgresql_says_so_before_any_file_is_gone", || {
        let tasks: Vec<Task> = (1..=300).map(old).collect();
        let (cluster, env) = on_a_server_of_its_own(&tasks);
        let small = cluster.folder.path().join("small");
        let owner = std::fs::metadata(cluster.folder.path()).unwrap().uid();
        let options = format!("size=1m,uid={owner}");
        mount(&["-t", "tmpfs", "-o", &options, "none"], &small);
        let mut client = cluster.client();
        client
            .batch_execute(&format!("CREATE TABLESPACE small LOCATION '{}'", small.display()))
            .unwrap();
        client.batch_execute(
            "CREATE TABLE archive TABLESPACE small AS SELECT * FROM tasks WHERE false; \
             CREATE FUNCTION archive() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN INSERT INTO archive SELECT old.*; RETURN old; END $$; \
             CREATE TRIGGER archive BEFORE DELETE ON tasks FOR EACH ROW EXECUTE FUNCTION archive()",
        ).unwrap();
        fill(&small);
        let full = env.taskmon(arguments(&[])).exits(3);
        full.failure("query_failed", &["deleting from tasks", "No space left on device"]);
        assert!(full.json()["error"]["hint"].as_str().unwrap().contains("disk"));
        assert_eq!(cluster.ids().len(), 300);
        assert!(tasks.iter().all(|task| has_files(&env, task)));
        std::fs::remove_file(small.join("filler")).unwrap();
        env.taskmon(arguments(&[])).exits(0).json();
        assert!(cluster.ids().is_empty());
        nothing_is_lost(&env, &tasks, &[], &[]);
    });
}

#[test]
fn a_sqlite_file_that_may_not_be_written_is_named_and_nothing_goes() {
    use std::os::unix::fs::PermissionsExt;
    let env = TestEnv::sqlite();
    let tasks = [old(1)];
    prepare(&env, &tasks);
    let mode = |path: &str, bits| {
        std::fs::set_permissions(env.path(path), std::fs::Permissions::from_mode(bits)).unwrap();
    };
    for folder in ["uploads", "static"] {
        mode(folder, 0o777);
    }
    // The file, then its folder, which the journal goes to.
    for (file, folder) in [(0o444, 0o777), (0o666, 0o755)] {
        mode("tasks.db", file);
        mode(".", folder);
        let finished = match rustix::process::geteuid().is_root() {
            false => env.taskmon(arguments(&[])).exits(3),
            // Root may write everything.
            true => {
                let words = ["--reuid=65534", "--regid=65534", "--clear-groups"];
                let words = words.into_iter().chain([env!("CARGO_BIN_EXE_taskmon")]);
                env.program("/usr/bin/setpriv", words.chain(arguments(&["--no-lock"]))).exits(3)
            }
        };
        finished.failure("permission_denied", &["tasks.db"]);
        assert!(has_files(&env, &tasks[0]));
    }
    mode("tasks.db", 0o666);
    let url = format!("{}?mode=ro", env.url());
    let refused = env.taskmon(arguments(&["--database-url", &url])).exits(2);
    refused.failure("config_invalid", &["mode=ro", "tasks.db"]);
    assert!(has_files(&env, &tasks[0]));
    assert_eq!(ids(&env), ["1"]);
}
