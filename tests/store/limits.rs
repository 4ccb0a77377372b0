//! How long a database is waited for.

use crate::on_each_database;
use crate::store::harness::View;
use crate::support::env::{TestEnv, lock_tasks};
use crate::support::rows::Task;
use std::time::{Duration, Instant};
use taskmon::outcome::Kind;

/// The tasks, through a view that takes a minute for each, or much longer.
fn slow_tasks(env: &TestEnv) -> View {
    env.insert([Task::new(1)]);
    env.sql(if env.url().starts_with("sqlite:") {
            "CREATE VIEW slow_tasks AS SELECT * FROM tasks WHERE 0 < \
             (WITH RECURSIVE n(i) AS (SELECT tasks.id UNION ALL SELECT i + 1 FROM n WHERE i < 1000000000000) SELECT count(*) FROM n)"
        } else { "CREATE VIEW slow_tasks AS SELECT * FROM tasks WHERE pg_sleep(60) IS NOT NULL" });
    View::of(env).map(|tasks| tasks.from = "slow_tasks".into())
}

#[track_caller]
fn assert_took_less_than(limit: u64, start: Instant) {
    let took = start.elapsed();
    assert!(took < Duration::from_secs(limit), "it took {took:?}");
}

on_each_database! {
    fn a_report_that_takes_too_long_is_ended(env) {
        let start = Instant::now();
        slow_tasks(&env)
            .statement_timeout(Duration::from_millis(500))
            .fails(Kind::StatementTimeout, &[]);
        assert_took_less_than(10, start);
    }

    fn no_time_is_no_limit(env) {
        env.insert([Task::new(1)]);
        let figures = View::of(&env).statement_timeout(Duration::ZERO).figures();
        assert_eq!(figures.cells.len(), 1);
    }
}

/// Another session restructures the table: reading its columns is as bounded as everything after it.
#[test]
fn a_table_that_is_locked_on_postgres_is_not_waited_for_beyond_the_limit() {
    let env = TestEnv::postgres();
    let mut other = env.client();
    let held = lock_tasks(&mut other);
    let start = Instant::now();
    let view = View::of(&env).statement_timeout(Duration::from_millis(500));
    view.refused(Kind::StatementTimeout, &[]);
    assert_took_less_than(10, start);
    held.rollback().unwrap();
    assert_eq!(view.figures().undated, 0);
}

#[test]
fn a_sqlite_file_that_is_locked_is_waited_for_as_long_as_for_a_connection() {
    let env = TestEnv::sqlite();
    let other = env.connection();
    other.execute_batch("BEGIN EXCLUSIVE").unwrap();
    let start = Instant::now();
    let view = View::of(&env).connect_timeout(Duration::from_millis(500));
    view.refused(Kind::DatabaseUnavailable, &["tasks.db"]);
    assert!(start.elapsed() >= Duration::from_millis(450));
    assert_took_less_than(10, start);
    other.execute_batch("ROLLBACK").unwrap();
    assert_eq!(view.figures().undated, 0);
}

#[test]
fn an_expression_that_would_write_is_refused_by_postgres() {
    let env = TestEnv::postgres();
    env.insert([Task::new(1)]);
    let view =
        View::of(&env).map(|tasks| tasks.retry_count = Some("nextval('tasks_id_seq')".into()));
    view.fails(Kind::QueryFailed, &["read-only"]);
}
