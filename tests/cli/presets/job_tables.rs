//! Queues whose jobs are rows of PostgreSQL: Procrastinate, pg-boss, River, Oban, Graphile Worker and Hangfire.

use super::*;

#[test]
fn procrastinate_with_its_events() {
    let env = TestEnv::postgres();
    let queue = Queue {
        preset: "procrastinate",
        schema: include_str!("../../fixtures/presets/procrastinate.sql"),
        left: "SELECT task_name FROM procrastinate_jobs",
        slowest: Some(90.0),
        wait: Some(472.5),
        unavailable: &["error_statistics.error_categories"],
        // The error itself is stored nowhere.
        message: None,
        ..Queue::default()
    };
    check(&env, &queue);
    let events: i64 =
        env.client().query_one("SELECT count(*) FROM procrastinate_events", &[]).unwrap().get(0);
    assert_eq!(events, 7, "the events of what went are gone, the others are there");
}

#[test]
fn pg_boss_with_partitions_and_a_job_that_blocks_another() {
    let env = TestEnv::postgres();
    let queue = Queue {
        preset: "pg-boss",
        schema: include_str!("../../fixtures/presets/pg_boss.sql"),
        left: "SELECT data ->> 'story' FROM pgboss.job",
        message: Some("TypeError: x is undefined"),
        error: Some("TypeError"),
        slowest: Some(90.0),
        wait: Some(378.0),
        states: json!({"completed": 3, "failed": 1, "pending": 1, "processing": 1}),
        remaining: &["blocks", "late", "runs", "waits"],
        ..Queue::default()
    };
    check(&env, &queue);
}

#[test]
fn river() {
    for (env, schema) in [
        (TestEnv::postgres(), include_str!("../../fixtures/presets/river.sql")),
        (TestEnv::sqlite(), include_str!("../../fixtures/presets/river_sqlite.sql")),
    ] {
        let queue = Queue {
            preset: "river",
            schema,
            left: "SELECT kind FROM river_job",
            message: Some("dial tcp: refused"),
            error: Some("other errors"),
            slowest: Some(90.0),
            wait: Some(472.5),
            ..Queue::default()
        };
        check(&env, &queue);
    }
}

#[test]
fn oban() {
    for schema in [
        include_str!("../../fixtures/presets/oban_elixir.sql"),
        include_str!("../../fixtures/presets/oban_python.sql"),
    ] {
        let queue = Queue {
            preset: "oban",
            schema,
            left: "SELECT worker FROM oban_jobs",
            message: Some("RuntimeError: no stock"),
            error: Some("RuntimeError"),
            slowest: Some(90.0),
            wait: Some(472.5),
            ..Queue::default()
        };
        check(&TestEnv::postgres(), &queue);
    }
}

#[test]
fn oban_with_its_engine_for_sqlite() {
    let queue = Queue {
        preset: "oban",
        schema: include_str!("../../fixtures/presets/oban_sqlite.sql"),
        left: "SELECT worker FROM oban_jobs",
        message: Some("RuntimeError: no stock"),
        error: Some("RuntimeError"),
        slowest: Some(90.0),
        wait: Some(472.5),
        ..Queue::default()
    };
    check(&TestEnv::sqlite(), &queue);
}

/// The queue deletes what succeeded itself; what is left to clean are the jobs that failed for good.
#[test]
fn graphile_worker_through_its_view() {
    let queue = Queue {
        preset: "graphile-worker",
        schema: include_str!("../../fixtures/presets/graphile_worker.sql"),
        left: "SELECT task FROM graphile_worker._private_jobs",
        message: Some("no stock"),
        error: Some("other errors"),
        wait: Some(1800.0),
        states: json!({"failed": 1, "pending": 1, "processing": 1}),
        cleaned: 1,
        remaining: &["runs", "waits"],
        unavailable: &NO_DURATIONS,
        ..Queue::default()
    };
    check(&TestEnv::postgres(), &queue);
}

#[test]
fn hangfire_with_the_states_of_its_jobs() {
    let env = TestEnv::postgres();
    let queue = Queue {
        preset: "hangfire",
        schema: include_str!("../../fixtures/presets/hangfire.sql"),
        left: "SELECT split_part(split_part(invocationdata ->> 'Type', ',', 1), '.', 2) FROM hangfire.job",
        message: Some("System.TimeoutException: no stock"),
        error: Some("System.TimeoutException"),
        slowest: Some(90.0),
        wait: Some(472.5),
        ..Queue::default()
    };
    check(&env, &queue);
    let states = "SELECT jobid::text || name FROM hangfire.state WHERE jobid IN (1, 2)";
    assert!(left(&env, states).is_empty());
}
