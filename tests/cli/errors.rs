//! Every way in which a run can fail: its exit code, its error document, and that it names what is at fault.

use crate::cli::stats::DAY;
use crate::on_each_database;
use crate::support::env::{PASSWORD, PASSWORD_IN_URL, TestEnv, port, variable};
use crate::support::rows::Task;
use serde_json::Value;
use std::fs::File;
use std::net::TcpListener;
use std::time::{Duration, Instant};

const STATS: [&str; 4] = ["stats", "--date", DAY, "--no-save"];

/// A usage error may be found by the argument parser, which explains itself on standard error, or later, which gives
/// an error document. Either names the value.
#[track_caller]
fn wrong_usage(env: &TestEnv, arguments: &[&str], named: &str) {
    let finished = env.taskmon(arguments).exits(2);
    if finished.stdout().is_empty() {
        finished.stderr_contains(named);
    } else {
        finished.failure("usage", &[named]);
    }
}

// ---- the database cannot be had

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
fn a_file_that_is_no_database_is_said_to_be_none() {
    let env = TestEnv::new();
    env.write("tasks.db", &"this is a letter, not a database\n".repeat(100));
    let finished = env.taskmon(STATS).env("TASKMON_DATABASE_URL", "sqlite:tasks.db").exits(3);
    finished.stderr_contains("");
    let document = finished.json();
    assert!(document["error"]["message"].as_str().unwrap().contains("tasks.db"), "{document}");
}

// ---- the mapping does not fit

on_each_database! {
    fn a_table_that_is_missing_is_named(env) {
        env.config("[database.tasks]\nfrom = \"no_such_jobs\"\n");
        env.taskmon(STATS).exits(3).failure("mapping_mismatch", &["no_such_jobs"]);
    }

    fn a_status_column_that_is_missing_is_named(env) {
        env.config("[database.tasks]\nstatus = \"no_such_state\"\n");
        env.taskmon(STATS).exits(3).failure("mapping_mismatch", &["no_such_state"]);
    }

    fn a_key_column_that_is_missing_is_named(env) {
        env.config("[database.tasks]\nkey = [\"no_such_key\"]\n");
        env.taskmon(STATS).exits(3).failure("mapping_mismatch", &["no_such_key"]);
    }

    fn a_key_that_is_misspelt_gets_the_nearest_one(env) {
        env.config("statement_timeout_second = 5\n");
        env.taskmon(STATS).exits(2).failure("config_invalid", &["statement_timeout_second", "statement_timeout_seconds"]);
        env.config("[stats]\nreport_dir = \"x\"\n");
        env.taskmon(STATS).exits(2).failure("config_invalid", &["report_dir", "reports_dir"]);
        env.config("[database.tasks]\nstatsu = \"x\"\n");
        env.taskmon(STATS).exits(2).failure("config_invalid", &["statsu", "status"]);
    }

    fn a_report_folder_that_cannot_be_written_costs_the_file_not_the_report(env) {
        env.insert([Task::new(1)]);
        // Root may write anywhere, save beneath a regular file.
        env.write("blocked", "a file");
        env.config("[stats]\nreports_dir = \"blocked/daily\"\n");
        let finished = env.taskmon(["stats", "--date", DAY]).exits(1);
        finished.stderr();
        let report = finished.json();
        assert_eq!(report["success"], true);
        assert_eq!(report["task_statistics"]["total_tasks"], 1);
        let errors = report["errors"].as_array().unwrap();
        assert_eq!(errors.len(), 1, "{errors:?}");
        assert!(errors[0].to_string().contains("blocked"), "{errors:?}");
        assert_eq!(env.read("blocked"), "a file");
    }

    fn bad_dates_numbers_and_formats_are_wrong_usage(env) {
        wrong_usage(&env, &["stats", "--date", "2026-13-01"], "2026-13-01");
        wrong_usage(&env, &["stats", "--date", "2026-02-29"], "2026-02-29");
        wrong_usage(&env, &["stats", "--date", "yesterday-ish"], "yesterday-ish");
        wrong_usage(&env, &["stats", "--days", "0"], "0");
        wrong_usage(&env, &["stats", "--days", "-1"], "-1");
        wrong_usage(&env, &["stats", "--output", "xml"], "xml");
        wrong_usage(&env, &["stats", "--no-such-flag"], "--no-such-flag");
        wrong_usage(&env, &["stats", "surplus"], "surplus");
        assert!(!env.path("reports").exists(), "{}", env.tree());
    }

    fn a_zone_that_does_not_exist_is_named(env) {
        env.config_in("Asia/Shangai", "");
        env.taskmon(STATS).exits(2).failure("config_invalid", &["Asia/Shangai"]);
        env.config("naive_timestamps = \"Mars/Base\"\n");
        env.taskmon(STATS).exits(2).failure("config_invalid", &["Mars/Base"]);
    }

    fn the_configuration_file_that_was_named_must_be_there(env) {
        let finished = env.taskmon(STATS).arg("--config").arg("missing.toml").exits(2);
        finished.failure("config_unreadable", &["missing.toml"]);
        let finished = env.taskmon(STATS).env("TASKMON_CONFIG", "missing.toml").exits(2);
        finished.failure("config_unreadable", &["missing.toml"]);
    }

    fn a_file_that_is_no_toml_is_named_with_the_line(env) {
        env.write("taskmon.toml", "timezone = \"Asia/Shanghai\"\nlanguage = zh\n");
        env.taskmon(STATS).exits(2).failure("config_invalid", &["taskmon.toml", "2"]);
    }

    fn a_reader_that_has_gone_ends_the_run_quietly(env) {
        assert!(!env.taskmon(STATS).success().stdout().is_empty());
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let mut command = env.taskmon(STATS).command();
        let output = command.stdout(writer).stderr(std::process::Stdio::piped()).spawn().unwrap().wait_with_output().unwrap();
        assert_eq!(String::from_utf8_lossy(&output.stderr), "");
        assert_eq!(output.status.code(), Some(0));
    }

    fn head_takes_one_byte_and_nobody_complains(env) {
        let script = format!("taskmon stats --date {DAY} --no-save | head -c1");
        let finished = env.program("sh", ["-c", &script]).success();
        assert_eq!(finished.stdout(), "{");
    }

    fn a_full_disk_behind_standard_output_is_a_failure(env) {
        let full = File::options().write(true).open("/dev/full").unwrap();
        let mut command = env.taskmon(STATS).command();
        let output = command.stdout(full).stderr(std::process::Stdio::piped()).spawn().unwrap().wait_with_output().unwrap();
        assert_eq!(output.status.code(), Some(3));
        let spoken = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(spoken.contains("standard output") || spoken.contains("stdout"), "{spoken}");
        assert!(!spoken.contains("panicked"), "{spoken}");
    }
}

// ---- what PostgreSQL may refuse

#[test]
fn a_role_that_may_only_read_is_enough() {
    let env = TestEnv::postgres();
    env.insert([Task::new(1), Task::new(2).failed("任务超时")]);
    let report =
        env.taskmon(STATS).env("TASKMON_DATABASE_URL", env.url_of("reader")).success().json();
    assert_eq!(report["task_statistics"]["total_tasks"], 2);
}

#[test]
fn a_role_that_may_not_read_the_table_is_told_so() {
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
               WHERE datname = current_database() AND pid <> pg_backend_pid() AND query LIKE '%slow_tasks%' AND wait_event = 'PgSleep'";
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

/// Polls until it is so; the only clock in it is the deadline.
#[track_caller]
pub fn wait_until(what: &str, mut so: impl FnMut() -> bool) {
    let start = Instant::now();
    while !so() {
        assert!(start.elapsed() < Duration::from_secs(30), "in vain: {what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

#[test]
fn a_second_run_of_the_job_finds_the_lock_held() {
    let env = TestEnv::postgres();
    env.config("statement_timeout_seconds = 4\n");
    let mut blocker = env.client();
    let mut held = blocker.transaction().unwrap();
    held.batch_execute("LOCK TABLE tasks IN ACCESS EXCLUSIVE MODE").unwrap();
    let first = env.taskmon(STATS).spawn();
    let waiting = "SELECT 1 FROM pg_locks JOIN pg_database ON pg_database.oid = database
                   WHERE datname = current_database() AND NOT granted";
    let mut observer = env.client();
    wait_until("the first run waits for the table", || {
        !observer.query(waiting, &[]).unwrap().is_empty()
    });

    env.taskmon(STATS).exits(75).failure("locked", &[]);
    // The table is still locked: this one gets past taskmon's own lock, and then waits as the first one does.
    env.taskmon(STATS).arg("--no-lock").exits(3).failure("statement_timeout", &[]);

    held.rollback().unwrap();
    let first = first.wait();
    first.stdout();
    first.stderr();
    // Afterwards the lock is free again.
    env.taskmon(STATS).success().json();
}

#[test]
fn a_run_that_was_killed_leaves_no_lock() {
    let env = TestEnv::postgres();
    let mut blocker = env.client();
    let mut held = blocker.transaction().unwrap();
    held.batch_execute("LOCK TABLE tasks IN ACCESS EXCLUSIVE MODE").unwrap();
    let first = env.taskmon(STATS).spawn();
    let mut observer = env.client();
    wait_until("the first run waits for the table", || {
        let waiting = "SELECT 1 FROM pg_locks JOIN pg_database ON pg_database.oid = database
                       WHERE datname = current_database() AND NOT granted";
        !observer.query(waiting, &[]).unwrap().is_empty()
    });
    drop(first);
    held.rollback().unwrap();
    wait_until("the server notices", || {
        let others = "SELECT 1 FROM pg_stat_activity WHERE datname = current_database() AND query LIKE '%tasks%'
                      AND state = 'active' AND pid <> pg_backend_pid()";
        observer.query(others, &[]).unwrap().is_empty()
    });
    env.taskmon(STATS).success().json();
}

// ---- the password

/// Every way to give a password, in success and in each failure, with all the log there is. The harness fails any run
/// whose output holds it.
#[test]
fn a_password_never_appears() {
    let env = TestEnv::postgres();
    env.insert([Task::new(1)]);
    let pgpass = env.path("home/.pgpass");
    env.write("home/.pgpass", &format!("*:*:*:*:{}\n", PASSWORD.replace(':', "\\:")));
    std::fs::set_permissions(&pgpass, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
    let with = env.url_of(&format!("locked:{PASSWORD_IN_URL}"));
    let without = env.url_of("locked");
    let place = format!("127.0.0.1:{}", port());
    let elsewhere = |url: &str| url.replace(&place, "127.0.0.1:1");
    let failing = [
        ("unreachable", elsewhere(&with), elsewhere(&without), ""),
        ("no such database", with.clone() + "_none", without.clone() + "_none", ""),
        ("no such table", with.clone(), without.clone(), "[database.tasks]\nfrom = \"missing\"\n"),
        ("bad key", with.clone(), without.clone(), "[stats]\nreport_dir = \"x\"\n"),
        (
            "bad mode",
            with.clone() + "?sslmode=sometimes",
            without.clone() + "?sslmode=sometimes",
            "",
        ),
        (
            "wrong authority",
            format!(
                "{with}?sslmode=verify-ca&sslrootcert={}",
                variable("TASKMON_TEST_PG_WRONG_CA")
            ),
            format!(
                "{without}?sslmode=verify-ca&sslrootcert={}",
                variable("TASKMON_TEST_PG_WRONG_CA")
            ),
            "",
        ),
        ("success", with.clone(), without.clone(), ""),
    ];
    for (case, with, without, more) in failing {
        env.write("taskmon.toml", &format!("[database]\nurl = \"{with}\"\n{more}"));
        let check = |finished: crate::support::env::Finished| {
            finished.stderr();
            let success = finished.json()["success"] == Value::Bool(true);
            assert_eq!(success, case == "success", "{case}: {}", finished.stdout());
        };
        check(env.taskmon(STATS).arg("-vv").run());
        env.write("taskmon.toml", more);
        check(env.taskmon(STATS).arg("-vv").arg("--database-url").arg(&with).run());
        check(env.taskmon(STATS).arg("-vv").env("TASKMON_DATABASE_URL", &with).run());
        check(env.taskmon(STATS).env("RUST_LOG", "trace").env("DATABASE_URL", &with).run());
        check(
            env.taskmon(STATS)
                .arg("-vv")
                .env("DATABASE_URL", &without)
                .env("PGPASSWORD", PASSWORD)
                .run(),
        );
        check(env.taskmon(STATS).arg("-vv").env("DATABASE_URL", &without).run());
    }
}

#[test]
fn the_effective_configuration_masks_the_password() {
    let env = TestEnv::new();
    let url =
        format!("postgresql://locked:{PASSWORD_IN_URL}@db.example:5433/app?application_name=x");
    env.write("taskmon.toml", &format!("[database]\nurl = \"{url}\"\n"));
    let finished = env.taskmon(["config"]).success();
    finished.stdout_contains("locked").stdout_contains("db.example");
}
