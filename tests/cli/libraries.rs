//! The libraries that own the tables: they make the rows, taskmon reports and cleans, and then they must still run a job to its end.

use crate::cli::broker::redis::Redis;
use crate::support::env::{TestEnv, variable};
use crate::support::zone;
use chrono::Timelike;
use serde_json::{Value, json};
use std::process::Command;

/// Runs a library's part of the test.
fn see_through(program: &str, script: &str, arguments: &[&str]) {
    let libraries = variable("TASKMON_TEST_LIBRARIES");
    let output = Command::new(format!("{libraries}/{program}"))
        .arg(format!("{}/tests/reference/{script}", env!("CARGO_MANIFEST_DIR")))
        .args(arguments)
        .output()
        .unwrap();
    assert!(
        output.status.success() && String::from_utf8_lossy(&output.stdout).contains("seen through"),
        "{arguments:?}\n{}\n{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
}

struct Expected {
    preset: &'static str,
    /// The zone of times without one, where it is not the preset's.
    zone: Option<&'static str>,
    states: Value,
    message: Option<&'static str>,
    cleaned: u64,
}

/// Today's report, and a cleanup of everything that has ended; an ordinary one finds nothing old enough.
fn report_and_clean(env: &TestEnv, expected: &Expected) {
    // One in which it is not near midnight: the rows are all of one day.
    let now = chrono::Utc::now();
    let days = if (6..18).contains(&now.hour()) { "UTC" } else { "Etc/GMT+12" };
    env.write(
        "taskmon.toml",
        &format!(
            "timezone = '{days}'\nlanguage = 'en'\n[database]\nurl = '{}'\npreset = '{}'\n{}",
            env.url(),
            expected.preset,
            expected.zone.map_or(String::new(), |zone| format!(
                "[database.tasks]\nnaive_timestamps = '{zone}'\n"
            ))
        ),
    );
    let today = now.with_timezone(&zone(days)).date_naive().to_string();
    let report: Value =
        env.taskmon(["stats", "--no-save", "--no-alert", "--date", &today]).success().json();
    assert_eq!(report["task_statistics"]["status_breakdown"], expected.states);
    let failed = &report["error_statistics"]["failed_tasks"][0];
    assert_eq!(failed["error_message"], json!(expected.message));
    let clean = |limits: &[&str]| -> Value {
        let mut arguments = vec!["-q", "cleanup", "--only", "tasks", "--force", "--no-alert"];
        arguments.extend(limits);
        env.taskmon(arguments).success().json()
    };
    assert_eq!(clean(&[])["tasks_cleaned"], 0);
    let cleaned = clean(&["--completed-tasks-days=0", "--failed-tasks-days=0"]);
    assert_eq!(cleaned["tasks_cleaned"], expected.cleaned, "{cleaned:#}");
}

#[test]
fn celery_goes_on_after_a_cleanup_of_its_results() {
    let env = TestEnv::postgres();
    let redis = Redis::start(&env, json!({}));
    let (database, broker) = (env.url(), redis.url());
    let run = || see_through("python/bin/python", "libraries.py", &["celery", &database, &broker]);
    let expected = |zone| Expected {
        preset: "celery",
        zone,
        states: json!({"completed": 2, "failed": 1, "pending": 0, "processing": 0}),
        message: Some("ValueError: no such address"),
        cleaned: 3,
    };
    // The driver gives a time with its zone to a column without one, and the server writes it down in the session's zone.
    run();
    report_and_clean(&env, &expected(Some("America/New_York")));
    let name = env.name();
    env.sql(&format!("ALTER DATABASE {name} SET timezone TO 'UTC'"));
    run();
    report_and_clean(&env, &expected(None));
}

/// Django's own migrations make the tables. Tasks that wait for a retry or report progress have not ended.
fn django_goes_on(env: &TestEnv) {
    let redis = Redis::start(env, json!({}));
    let (database, broker) = (env.url(), redis.url());
    let run = || see_through("python/bin/python", "libraries.py", &["django", &database, &broker]);
    let expected = |unfinished: u64| Expected {
        preset: "django-celery-results",
        zone: None,
        states: json!({"completed": 5, "failed": 1, "pending": unfinished, "processing": unfinished}),
        message: Some("ValueError: no such address"),
        cleaned: 6,
    };
    run();
    report_and_clean(env, &expected(1));
    run();
    report_and_clean(env, &expected(2));
}

#[test]
fn django_celery_results_goes_on_after_a_cleanup_in_postgres() {
    django_goes_on(&TestEnv::postgres());
}

#[test]
fn django_celery_results_goes_on_after_a_cleanup_in_sqlite() {
    django_goes_on(&TestEnv::sqlite());
}

#[test]
fn procrastinate_goes_on_after_a_cleanup() {
    let env = TestEnv::postgres();
    let database = env.url();
    let run = || see_through("python/bin/python", "libraries.py", &["procrastinate", &database]);
    run();
    let expected = Expected {
        preset: "procrastinate",
        zone: None,
        states: json!({"completed": 2, "failed": 1, "pending": 1, "processing": 0}),
        message: None,
        cleaned: 3,
    };
    report_and_clean(&env, &expected);
    run();
    report_and_clean(&env, &expected);
}

#[test]
fn pg_boss_goes_on_after_a_cleanup() {
    let env = TestEnv::postgres();
    let database = env.url();
    let folder = format!("{}/node", variable("TASKMON_TEST_LIBRARIES"));
    let run = || {
        let node = "node/node_modules/node/bin/node";
        see_through(node, "libraries.mjs", &["pg-boss", &folder, &database]);
    };
    run();
    let expected = |pending: u64| Expected {
        preset: "pg-boss",
        zone: None,
        states: json!({"completed": 2, "failed": 1, "pending": pending, "processing": 0}),
        message: Some("TypeError: no such address"),
        cleaned: 3,
    };
    report_and_clean(&env, &expected(1));
    run();
    report_and_clean(&env, &expected(2));
}

#[test]
fn graphile_worker_goes_on_after_a_cleanup() {
    let env = TestEnv::postgres();
    let database = env.url();
    let folder = format!("{}/node", variable("TASKMON_TEST_LIBRARIES"));
    let run = || {
        let node = "node/node_modules/node/bin/node";
        see_through(node, "libraries.mjs", &["graphile-worker", &folder, &database]);
    };
    run();
    // What succeeded the queue has deleted itself.
    let expected = Expected {
        preset: "graphile-worker",
        zone: None,
        states: json!({"completed": 0, "failed": 1, "pending": 1, "processing": 0}),
        message: Some("no such address"),
        cleaned: 1,
    };
    report_and_clean(&env, &expected);
    run();
    report_and_clean(&env, &expected);
}
