//! Servers, and poolers before them, that lack what PostgreSQL has: what can be done without it is, and what cannot is said by name.

use crate::cli::cleanup::{AS_OF, ids, old, prepare};
use crate::cli::stats::DAY;
use crate::support::env::TestEnv;
use crate::support::finished::Finished;
use crate::support::rewriter::{Rewriter, Words};
use crate::support::rows::Task;
use serde_json::{Value, json};

fn prepared() -> TestEnv {
    let env = TestEnv::postgres();
    let tasks: Vec<Task> = (1..=4).map(old).collect();
    prepare(&env, &tasks);
    env.insert([Task::new(9), Task::new(10).status("PENDING")]);
    env
}

fn run(env: &TestEnv, words: &[&str], url: &str) -> Finished {
    let command = env.taskmon(words.iter().copied()).arg("-qq");
    command.env("TASKMON_DATABASE_URL", url).run()
}

const JOBS: [&[&str]; 5] = [
    &["stats", "--date", DAY, "--no-save", "--no-alert"],
    &["alert", "--dry-run"],
    &["check"],
    &["cleanup", "--dry-run", "--only", "tasks", "--as-of", AS_OF],
    &["cleanup", "--only", "tasks", "--as-of", AS_OF],
];

/// As poolers do that hand connections on after each transaction.
pub const FORBIDS_SET: Words = &[("SET ", "SAT ")];

/// Without what differs from run to run.
fn figures(finished: Finished) -> (Option<i32>, Value) {
    let mut json = finished.json();
    finished.stderr();
    if let Some(checks) = json["checks"].as_array() {
        let status = |check: &Value| json!([check["name"], check["status"]]);
        return (finished.code, checks.iter().map(status).collect());
    }
    if let Some(live) = json.get("live") {
        let figures = json!([json["decisions"], json["errors"], live["today"], live["stuck"]]);
        return (finished.code, figures);
    }
    for key in ["generated_at", "execution_time", "system_statistics"] {
        json.as_object_mut().unwrap().remove(key);
    }
    (finished.code, json)
}

#[test]
fn what_a_server_lacks_changes_no_figure() {
    let lacking: [Words; 13] = [
        FORBIDS_SET,
        &[("'row_security'", "'row_sekurity'")],
        &[("'jit'", "'jut'")],
        &[("'statement_timeout'", "'statement_tomeout'")],
        &[("'lock_timeout'", "'lock_tomeout'")],
        &[("pg_export_snapshot", "pg_export_snapshut")],
        &[("SET CONSTRAINTS", "SET CONSTREINTS")],
        &[("advisory", "advisery")],
        &[("txid_current", "txid_currant")],
        &[("EXPLAIN", "EXPLEIN")],
        &[("TEMPORARY", "TEMPERARY")],
        &[("SKIP LOCKED", "SKIP LUCKED")],
        &[("pg_control_system", "pg_control_sistem")],
    ];
    let plain = prepared();
    let expected = JOBS.map(|words| figures(run(&plain, words, &plain.url())));
    std::thread::scope(|scope| {
        for words in lacking {
            let expected = &expected;
            scope.spawn(move || {
                let env = prepared();
                let url = Rewriter::new(words).url(env.name());
                for (job, expected) in JOBS.into_iter().zip(expected) {
                    assert_eq!(&figures(run(&env, job, &url)), expected, "{words:?}: {job:?}");
                }
                assert_eq!(ids(&env), ["9", "10"], "{words:?}");
            });
        }
    });
}

#[test]
fn a_server_without_savepoints_is_told_apart_at_once() {
    let env = prepared();
    let url = Rewriter::new(&[("SAVEPOINT", "SAVEPAINT")]).url(env.name());
    for job in &JOBS[3..] {
        let finished = run(&env, job, &url);
        assert_eq!(finished.code, Some(3));
        let message = finished.json()["error"]["message"].as_str().unwrap().to_owned();
        assert!(message.contains("no savepoints, which cleanup needs"), "{message}");
        finished.stderr();
    }
    assert_eq!(ids(&env).len(), 6);
    let report = run(&env, JOBS[0], &url);
    assert_eq!(report.code, Some(0));
    report.json();
}

/// An error that says nothing of what the server has must not be taken for an answer.
#[test]
fn an_error_that_may_pass_ends_the_run_and_is_no_missing_capability() {
    let env = prepared();
    let url = Rewriter::new(&[("EXPLAIN SELECT 1", "SELECT 1 / 0    ")]).url(env.name());
    for job in &JOBS[3..] {
        let finished = run(&env, job, &url);
        assert_eq!(finished.code, Some(3));
        let message = finished.json()["error"]["message"].as_str().unwrap().to_owned();
        assert!(message.contains("capable of") && message.contains("division"), "{message}");
        finished.stderr();
    }
    assert_eq!(ids(&env).len(), 6);
}
