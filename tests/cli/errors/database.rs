//! The database cannot be had, or refuses.

use super::*;

#[test]
fn a_server_that_is_not_there_is_unavailable() {
    let env = TestEnv::new();
    let url = "postgresql://postgres@127.0.0.1:1/none";
    let finished = env.taskmon(STATS).env("TASKMON_DATABASE_URL", url).exits(3);
    finished.failure("database_unavailable", &["127.0.0.1"]);
}

#[test]
fn a_host_that_does_not_exist_is_unavailable() {
    let env = TestEnv::new();
    let url = "postgresql://postgres@no-such-host.invalid/none";
    let finished = env.taskmon(STATS).env("TASKMON_DATABASE_URL", url).exits(3);
    finished.failure("database_unavailable", &["no-such-host.invalid"]);
}

#[test]
fn a_server_that_never_answers_is_given_up_at_the_deadline() {
    let env = TestEnv::new();
    // The kernel accepts the connection; nobody ever reads from it.
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    for mode in ["disable", "prefer", "require"] {
        let address = silent.local_addr().unwrap();
        let url = format!("postgresql://postgres@{address}/none?sslmode={mode}");
        env.write(
            "taskmon.toml",
            &format!("[database]\nurl = \"{url}\"\nconnect_timeout_seconds = 1\n"),
        );
        let finished = env.taskmon(STATS).exits(3);
        finished.failure("database_unavailable", &["127.0.0.1"]);
        assert!(finished.took < Duration::from_secs(10), "sslmode={mode} took {:?}", finished.took);
    }
}

#[test]
fn a_server_that_hangs_up_is_unavailable() {
    let env = TestEnv::new();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || listener.incoming().for_each(drop));
    let url = format!("postgresql://postgres@{address}/none?sslmode=disable");
    let finished = env.taskmon(STATS).env("TASKMON_DATABASE_URL", url).exits(3);
    finished.failure("database_unavailable", &["127.0.0.1"]);
}

#[test]
fn a_wrong_password_is_refused_and_never_shown() {
    let env = TestEnv::postgres();
    // The harness fails any run that prints a password; the wrong one here shares its beginning.
    let url = env.url_of("locked:s3cret-but-wrong");
    let finished = env.taskmon(STATS).arg("-vv").env("TASKMON_DATABASE_URL", url).exits(3);
    finished.stderr();
    let document = finished.json();
    assert_eq!(document["error"]["kind"], "database_refused");
    assert!(document["error"]["message"].as_str().unwrap().contains("locked"));
}

#[test]
fn a_missing_password_is_refused() {
    let env = TestEnv::postgres();
    let finished = env.taskmon(STATS).env("TASKMON_DATABASE_URL", env.url_of("locked")).exits(3);
    finished.failure("database_refused", &["locked"]);
}

#[test]
fn a_role_that_does_not_exist_is_refused() {
    let env = TestEnv::postgres();
    let finished =
        env.taskmon(STATS).env("TASKMON_DATABASE_URL", env.url_of("nobody_here")).exits(3);
    finished.failure("database_refused", &["nobody_here"]);
}

#[test]
fn a_database_that_does_not_exist_is_named() {
    let env = TestEnv::new();
    let url = format!("postgresql://postgres@127.0.0.1:{}/no_such_database", port());
    let finished = env.taskmon(STATS).env("TASKMON_DATABASE_URL", url).exits(3);
    let document = finished.json();
    finished.stderr();
    let kind = document["error"]["kind"].as_str().unwrap();
    assert!(["database_refused", "database_unavailable"].contains(&kind), "{kind}");
    assert!(document["error"]["message"].as_str().unwrap().contains("no_such_database"));
}

#[test]
fn no_database_is_a_configuration_error_with_a_hint() {
    let env = TestEnv::new();
    let document = env.taskmon(STATS).exits(2).failure("database_not_configured", &[]);
    assert!(document["error"]["hint"].as_str().unwrap().contains("TASKMON_DATABASE_URL"));
    // An empty variable is what cron's bare environment leaves of an unset one.
    let finished =
        env.taskmon(STATS).env("TASKMON_DATABASE_URL", "").env("DATABASE_URL", "").exits(2);
    finished.failure("database_not_configured", &[]);
    // The record of a run, and nothing else.
    let made = env.tree().replace("logs/taskmon_runs.jsonl", "").replace("/logs", "");
    assert!(!made.contains("reports") && !made.contains(".db"), "{made}");
}

#[test]
fn a_url_that_cannot_be_read_is_a_configuration_error() {
    let env = TestEnv::new();
    for url in ["mysql://user@host/db", "postgresql://user@host:notaport/db", "nonsense"] {
        let finished = env.taskmon(STATS).env("TASKMON_DATABASE_URL", url).exits(2);
        finished.stderr();
        assert_eq!(finished.json()["success"], false, "{url}");
    }
    // Its password is not in the message either.
    let url = format!("mysql://user:{PASSWORD_IN_URL}@host/db");
    let finished = env.taskmon(STATS).env("TASKMON_DATABASE_URL", url).exits(2);
    finished.stderr();
    finished.stdout();
}

#[test]
fn a_sqlite_file_that_is_missing_is_not_created() {
    let env = TestEnv::new();
    for url in ["sqlite:missing.db", "sqlite:///missing.db", "sqlite:////nowhere/missing.db"] {
        let finished = env.taskmon(STATS).env("TASKMON_DATABASE_URL", url).exits(3);
        finished.failure("database_unavailable", &["missing.db"]);
    }
    assert!(!env.path("missing.db").exists());
}

#[test]
fn a_file_that_is_no_database_is_named() {
    let env = TestEnv::new();
    env.write("tasks.db", &"this is a letter, not a database\n".repeat(100));
    let finished = env.taskmon(STATS).env("TASKMON_DATABASE_URL", "sqlite:tasks.db").exits(3);
    finished.stderr_contains("");
    let document = finished.json();
    assert!(document["error"]["message"].as_str().unwrap().contains("tasks.db"), "{document}");
}

/// The row at the end of the last page would have no values any more, and name no file.
#[test]
fn a_database_file_that_is_cut_off_is_not_believed() {
    let env = TestEnv::sqlite();
    env.insert((1..=200).map(Task::new));
    let file = std::fs::File::options().write(true).open(env.path("tasks.db")).unwrap();
    let length = file.metadata().unwrap().len();
    for cut in [1, 100, 4095, 4096] {
        file.set_len(length - cut).unwrap();
        for arguments in [&STATS[..], &["cleanup", "--force"]] {
            let parts: &[&str] = if cut == 4096 { &["tasks.db"] } else { &["tasks.db", "cut off"] };
            let finished = env.taskmon(arguments).exits(3);
            finished.stderr_contains("");
            finished.failure("database_unavailable", parts);
        }
    }
}

#[test]
fn a_role_that_may_only_read_is_enough() {
    let env = TestEnv::postgres();
    env.insert([Task::new(1), Task::new(2).failed("任务超时")]);
    let report =
        env.taskmon(STATS).env("TASKMON_DATABASE_URL", env.url_of("reader")).success().json();
    assert_eq!(report["task_statistics"]["total_tasks"], 2);
}

#[test]
fn a_role_that_may_not_read_the_table_is_permission_denied() {
    let env = TestEnv::postgres();
    env.sql("REVOKE SELECT ON tasks FROM reader");
    let finished = env.taskmon(STATS).env("TASKMON_DATABASE_URL", env.url_of("reader")).exits(3);
    finished.failure("permission_denied", &["tasks"]);
}

#[test]
fn a_statement_that_takes_too_long_is_ended() {
    let env = TestEnv::postgres();
    env.insert([Task::new(1)]);
    env.sql("CREATE VIEW slow_tasks AS SELECT * FROM tasks WHERE pg_sleep(60) IS NOT NULL");
    env.config("statement_timeout_seconds = 1\n[database.tasks]\nfrom = \"slow_tasks\"\n");
    let finished = env.taskmon(STATS).exits(3);
    finished.failure("statement_timeout", &[]);
    assert!(finished.took < Duration::from_secs(30), "{:?}", finished.took);
}

#[test]
fn a_connection_that_is_cut_in_the_middle_is_unavailable() {
    let env = TestEnv::postgres();
    env.insert([Task::new(1)]);
    env.sql("CREATE VIEW slow_tasks AS SELECT * FROM tasks WHERE pg_sleep(60) IS NOT NULL");
    env.config("[database.tasks]\nfrom = \"slow_tasks\"\n");
    let running = env.taskmon(STATS).spawn();
    let cut = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity
               WHERE datname = current_database() AND pid <> pg_backend_pid() AND application_name = 'taskmon' AND wait_event = 'PgSleep'";
    let mut client = env.client();
    let done = std::sync::atomic::AtomicBool::new(false);
    let finished = std::thread::scope(|scope| {
        // Both connections, whichever of them waits in the view first.
        scope.spawn(|| {
            while !done.load(std::sync::atomic::Ordering::Relaxed) {
                client.query(cut, &[]).unwrap();
                std::thread::sleep(Duration::from_millis(10));
            }
        });
        let finished = running.wait();
        done.store(true, std::sync::atomic::Ordering::Relaxed);
        finished
    });
    assert_eq!(finished.code, Some(3));
    finished.failure("database_unavailable", &[]);
}
