//! Schedulers, which keep what is due and no runs.

use super::*;

/// Of its jobs it is known when they are due; one that is paused is not.
#[test]
fn apscheduler_says_what_is_due_and_has_nothing_to_delete() {
    for env in [TestEnv::postgres(), TestEnv::sqlite()] {
        env.sql(include_str!("../../fixtures/presets/apscheduler.sql"));
        configure(&env, "apscheduler");
        let live = env.taskmon(["-q", "-q", "alert", "--dry-run"]).success().json();
        let backlog = &live["live"]["backlog"];
        assert_eq!(backlog["scheduled_tasks"], 1, "{live:#}");
        assert_eq!(backlog["pending"], 1, "{live:#}");
        let report = env.taskmon(["stats", "--date", "2026-11-10", "--no-save"]).success().json();
        assert_eq!(report["undated_tasks"], 3, "{report:#}");
        let cleanup = env.taskmon([
            "-q",
            "-q",
            "cleanup",
            "--only",
            "tasks",
            "--force",
            "--as-of",
            "2026-11-20T00:00:00Z",
        ]);
        assert_eq!(cleanup.success().json()["errors"], json!([]));
        assert_eq!(left(&env, "SELECT id FROM apscheduler_jobs"), ["overdue", "paused", "waits"]);
    }
}

#[test]
fn quartz_says_what_is_due_and_what_runs_and_has_nothing_to_delete() {
    let env = TestEnv::postgres();
    env.sql(include_str!("../../fixtures/presets/quartz.sql"));
    configure(&env, "quartz");
    let live = env.taskmon(["-q", "-q", "alert", "--dry-run"]).success().json();
    let backlog = &live["live"]["backlog"];
    assert_eq!(backlog["scheduled_tasks"], 1, "{live:#}");
    assert_eq!(backlog["pending"], 1, "{live:#}");
    assert_eq!(live["alerts"][0]["type"], "stuck_tasks", "{live:#}");
    let cleanup = env.taskmon([
        "-q",
        "-q",
        "cleanup",
        "--only",
        "tasks",
        "--force",
        "--as-of",
        "2026-11-20T00:00:00Z",
    ]);
    assert_eq!(cleanup.success().json()["errors"], json!([]));
    let left = left(&env, "SELECT trigger_name FROM qrtz_triggers");
    assert_eq!(left, ["overdue", "paused", "runs", "waits"]);
}

/// Its own command deletes: other tables refer to a task instance.
#[test]
fn airflow_with_the_runs_of_its_dags() {
    for (env, schema) in [
        (TestEnv::postgres(), include_str!("../../fixtures/presets/airflow_postgres.sql")),
        (TestEnv::sqlite(), include_str!("../../fixtures/presets/airflow_sqlite.sql")),
    ] {
        let queue = Queue {
            preset: "airflow",
            schema,
            left: "SELECT task_id FROM task_instance",
            retries: Some(2),
            slowest: Some(90.0),
            wait: Some(472.5),
            scheduled: None,
            states: json!({"completed": 2, "failed": 1, "pending": 1, "processing": 1, "cancelled": 1}),
            cleaned: 0,
            remaining: &["after", "bad", "late", "old", "runs", "waits"],
            unavailable: &["error_statistics.error_categories"],
            ..Queue::default()
        };
        check(&env, &queue);
        // `after` did not run, and is no task of 0 seconds.
        let report = env.taskmon(["stats", "--date", "2026-11-10", "--no-save"]).success().json();
        assert_eq!(report["task_statistics"]["average_processing_time"], 43.33, "{report:#}");
    }
}
