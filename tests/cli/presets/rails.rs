//! The job tables of Rails: GoodJob, Solid Queue, delayed_job and Que.

use super::*;

const SOLID_QUEUE_IN_POSTGRES: &str =
    include_str!("../../fixtures/presets/solid_queue_postgres.sql");

const SOLID_QUEUE_IN_SQLITE: &str = include_str!("../../fixtures/presets/solid_queue_sqlite.sql");

fn solid_queue(schema: &'static str) -> Queue {
    Queue {
        preset: "solid_queue",
        schema,
        left: "SELECT class_name FROM solid_queue_jobs",
        message: Some("Net::ReadTimeout: execution expired"),
        error: Some("Net::ReadTimeout"),
        wait: Some(1800.0),
        unavailable: &NO_DURATIONS,
        ..Queue::default()
    }
}

#[test]
fn good_job_with_its_executions() {
    let env = TestEnv::postgres();
    let queue = Queue {
        preset: "good_job",
        schema: include_str!("../../fixtures/presets/good_job.sql"),
        left: "SELECT job_class FROM good_jobs",
        message: Some("ArgumentError: no stock"),
        error: Some("ArgumentError"),
        slowest: Some(90.0),
        wait: Some(472.5),
        ..Queue::default()
    };
    check(&env, &queue);
    let left = "SELECT job_class FROM good_job_executions JOIN good_jobs USING (active_job_id) UNION ALL \
                SELECT 'nobody''s' FROM good_job_executions WHERE active_job_id NOT IN (SELECT id FROM good_jobs)";
    assert_eq!(self::left(&env, left), ["late", "runs"]);
}

/// A trigger keeps one of two jobs: its executions stay with it.
#[test]
fn the_executions_of_a_job_that_the_database_keeps_stay() {
    let env = TestEnv::postgres();
    env.sql(include_str!("../../fixtures/presets/good_job_that_stays.sql"));
    configure(&env, "good_job");
    let result: Value =
        env.taskmon(["-q", "-q", "cleanup", "--only", "tasks", "--force"]).exits(1).json();
    assert_eq!(result["tasks_cleaned"], 1);
    assert_eq!(result["errors"][0]["kind"], "row_refused");
    let left = "SELECT job_class FROM good_jobs JOIN good_job_executions ON active_job_id = id";
    assert_eq!(self::left(&env, left), ["stays"]);
    let executions = "SELECT active_job_id::text FROM good_job_executions";
    assert_eq!(self::left(&env, executions).len(), 1);
}

#[test]
fn solid_queue_in_postgres() {
    let env = TestEnv::postgres();
    check(&env, &solid_queue(SOLID_QUEUE_IN_POSTGRES));
    let failures = "SELECT error FROM solid_queue_failed_executions";
    assert!(left(&env, failures).is_empty());
}

#[test]
fn solid_queue_in_sqlite() {
    let env = TestEnv::sqlite();
    check(&env, &solid_queue(SOLID_QUEUE_IN_SQLITE));
    let failures = "SELECT error FROM solid_queue_failed_executions";
    assert!(left(&env, failures).is_empty());
}

/// One job's arguments that are no JSON cost that job's figure and not the report.
#[test]
fn invalid_json_in_a_column_of_json_does_not_stop_a_report() {
    for env in [TestEnv::sqlite(), TestEnv::postgres()] {
        let is_sqlite = env.url().starts_with("sqlite");
        env.sql(if is_sqlite { SOLID_QUEUE_IN_SQLITE } else { SOLID_QUEUE_IN_POSTGRES });
        env.sql("UPDATE solid_queue_jobs SET arguments = '{\"executions\": 3, broken' WHERE id = (SELECT min(id) FROM solid_queue_jobs)");
        if is_sqlite {
            env.sql("UPDATE solid_queue_failed_executions SET error = 'broken'");
        }
        configure(&env, "solid_queue");
        let report: Value = env
            .taskmon(["stats", "--date", "2026-11-10", "--no-save", "--no-alert"])
            .success()
            .json();
        assert_ne!(report["task_statistics"]["total_tasks"], 0);
        if is_sqlite {
            let failed = &report["error_statistics"]["failed_tasks"][0];
            assert_eq!(failed["error_message"], "broken", "{report:#}");
        }
    }
}

/// The queue deletes what succeeded itself; what is left to clean are the jobs that failed for good.
#[test]
fn delayed_job() {
    for (env, schema) in [
        (TestEnv::postgres(), include_str!("../../fixtures/presets/delayed_job_postgres.sql")),
        (TestEnv::sqlite(), include_str!("../../fixtures/presets/delayed_job_sqlite.sql")),
    ] {
        let queue = Queue {
            preset: "delayed_job",
            schema,
            left: "SELECT CASE WHEN failed_at IS NOT NULL THEN 'bad' WHEN locked_at IS NULL THEN 'waits' ELSE 'runs' END FROM delayed_jobs",
            message: Some("no stock"),
            error: Some("other errors"),
            wait: Some(930.0),
            slowest: Some(30.0),
            states: json!({"failed": 1, "pending": 1, "processing": 1}),
            cleaned: 1,
            remaining: &["runs", "waits"],
            ..Queue::default()
        };
        env.sql(schema);
        configure(&env, "delayed_job");
        let report = env.taskmon(["stats", "--date", "2026-11-10", "--no-save"]).success().json();
        let names = report["names"].as_array().unwrap().iter();
        let mut names: Vec<&str> = names.map(|name| name["name"].as_str().unwrap()).collect();
        names.sort_unstable();
        assert_eq!(names, ["bad", "runs", "waits"], "{report:#}");
        env.sql("DROP TABLE delayed_jobs");
        check(&env, &queue);
    }
}

#[test]
fn que() {
    let env = TestEnv::postgres();
    let queue = Queue {
        preset: "que",
        schema: include_str!("../../fixtures/presets/que.sql"),
        left: "SELECT coalesce(args -> 0 ->> 'job_class', job_class) FROM que_jobs",
        message: Some("ArgumentError: no stock"),
        error: Some("ArgumentError"),
        states: json!({"completed": 1, "failed": 1}),
        remaining: &["late", "waits"],
        unavailable: &[
            NO_DURATIONS[0],
            NO_DURATIONS[1],
            "task_statistics.average_wait_time",
            NO_DURATIONS[2],
        ],
        ..Queue::default()
    };
    check(&env, &queue);
}
