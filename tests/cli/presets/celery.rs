//! Celery's result tables, its own and Django's.

use super::*;

fn celery(schema: &'static str) -> Queue {
    Queue {
        preset: "celery",
        schema,
        left: "SELECT task_id FROM celery_taskmeta",
        message: Some("库存不足: 订单 7, 还差 3 件"),
        error: Some("库存不足"),
        scheduled: None,
        states: json!({"completed": 1, "failed": 2, "pending": 1, "processing": 1}),
        cleaned: 3,
        remaining: &["began", "late", "runs", "waits"],
        unavailable: &[
            NO_DURATIONS[0],
            NO_DURATIONS[1],
            "task_statistics.average_wait_time",
            NO_DURATIONS[2],
        ],
        ..Queue::default()
    }
}

fn django(schema: &'static str) -> Queue {
    Queue {
        preset: "django-celery-results",
        schema,
        left: "SELECT task_id FROM django_celery_results_taskresult",
        message: Some("KeyError: address"),
        error: Some("KeyError"),
        scheduled: None,
        retries: None,
        slowest: Some(90.0),
        unavailable: &[
            "task_statistics.average_wait_time",
            "error_statistics.retry_statistics",
            "system_statistics.queue_statistics.queues",
        ],
        ..Queue::default()
    }
}

/// JSON may say what PostgreSQL takes for no text.
#[test]
fn a_nul_and_half_a_pair_of_surrogates_in_a_message_keep_no_report_from_being_made() {
    let env = TestEnv::postgres();
    env.sql(include_str!("../../fixtures/presets/celery_messages_postgres.sql"));
    for preset in ["celery", "django-celery-results"] {
        configure(&env, preset);
        let report = env.taskmon(["stats", "--date", "2026-11-10", "--no-save"]);
        let report = report.success().json();
        let failed = report["error_statistics"]["failed_tasks"].as_array();
        let mut said: Vec<&str> =
            (failed.unwrap().iter()).map(|task| task["error_message"].as_str().unwrap()).collect();
        said.sort_unstable();
        let expected = [
            "E: a\u{1f600}b",
            "E: a\u{fffd}\u{fffd}b",
            "E: a\u{fffd}b",
            "E: a\u{fffd}b",
            "E: a\u{fffd}b",
        ];
        let mut expected = expected.to_vec();
        expected.sort_unstable();
        assert_eq!(said, expected, "{preset}");
    }
}

#[test]
fn celery_in_postgres() {
    let env = TestEnv::postgres();
    check(&env, &celery(include_str!("../../fixtures/presets/celery_postgres.sql")));
}

#[test]
fn celery_in_sqlite() {
    let env = TestEnv::sqlite();
    check(&env, &celery(include_str!("../../fixtures/presets/celery_sqlite.sql")));
}

#[test]
fn celery_results_in_pickles_in_custom_states_and_without_a_date() {
    let env = TestEnv::postgres();
    env.sql(include_str!("../../fixtures/presets/celery_postgres.sql"));
    configure(&env, "celery");
    let report = env.taskmon(["stats", "--date", "2026-11-10", "--no-save"]).success().json();
    // What cannot be read of a pickle is in the traceback's last line; a state of one's own has its own name.
    assert_eq!(
        report["error_statistics"]["failed_tasks"][1]["error_message"],
        "ValueError: no such address"
    );
    assert_eq!(report["task_statistics"]["raw_status_breakdown"]["UPLOADING"], 1);
    assert_eq!(report["undated_tasks"], 1);
}

#[test]
fn celery_results_without_a_date_in_sqlite() {
    let env = TestEnv::sqlite();
    env.sql(include_str!("../../fixtures/presets/celery_sqlite.sql"));
    configure(&env, "celery");
    let report = env.taskmon(["stats", "--date", "2026-11-10", "--no-save"]).success().json();
    assert_eq!(report["undated_tasks"], 1);
}

#[test]
fn django_celery_results_in_postgres() {
    let env = TestEnv::postgres();
    check(&env, &django(include_str!("../../fixtures/presets/django_celery_results_postgres.sql")));
}

#[test]
fn django_celery_results_in_sqlite() {
    let env = TestEnv::sqlite();
    check(&env, &django(include_str!("../../fixtures/presets/django_celery_results_sqlite.sql")));
}

/// A preset's own form for SQLite does not outlive the expression that a configuration replaces.
#[test]
fn a_configured_expression_beats_the_presets_form_for_sqlite() {
    let env = TestEnv::sqlite();
    env.sql(include_str!("../../fixtures/presets/celery_own_sqlite.sql"));
    env.write(
        "taskmon.toml",
        &format!(
            "timezone = 'UTC'\n[database]\nurl = '{}'\npreset = 'celery'\n[database.tasks]\nerror_message = 'result'",
            env.url()
        ),
    );
    let report: Value =
        env.taskmon(["stats", "--date", "2026-11-10", "--no-save"]).success().json();
    assert_eq!(report["error_statistics"]["failed_tasks"][0]["error_message"], "mine");
}
