//! Laravel's database queue.

use super::*;

fn laravel(schema: &'static str) -> Queue {
    Queue {
        preset: "laravel",
        schema,
        left: "SELECT uuid FROM failed_jobs UNION ALL SELECT CASE WHEN reserved_at IS NULL THEN 'waits' ELSE 'runs' END FROM jobs",
        message: Some("RuntimeException: no stock"),
        error: Some("RuntimeException"),
        retries: None,
        wait: Some(1800.0),
        states: json!({"failed": 1, "pending": 1, "processing": 1}),
        cleaned: 1,
        unavailable: &NO_DURATIONS,
        ..Queue::default()
    }
}

/// The numbers of both tables are the same, and only what failed goes.
#[test]
fn laravel_in_postgres() {
    let env = TestEnv::postgres();
    check(&env, &laravel(include_str!("../../fixtures/presets/laravel_postgres.sql")));
    names_are_classes(&env);
}

#[test]
fn laravel_in_sqlite() {
    let env = TestEnv::sqlite();
    check(&env, &laravel(include_str!("../../fixtures/presets/laravel_sqlite.sql")));
    names_are_classes(&env);
}

#[track_caller]
fn names_are_classes(env: &TestEnv) {
    let report = env.taskmon(["stats", "--date", "2026-11-10", "--no-save"]).success().json();
    let names = report["names"].as_array().unwrap();
    let mut names: Vec<&str> = names.iter().map(|name| name["name"].as_str().unwrap()).collect();
    names.sort_unstable();
    assert_eq!(names, ["App\\Jobs\\Runs", "App\\Jobs\\Waits"], "{report:#}");
}
