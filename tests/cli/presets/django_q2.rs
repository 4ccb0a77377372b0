//! django-q2: its tasks that ended and the queue of its broker in the database.

use super::*;

fn django_q2(schema: &'static str) -> Queue {
    Queue {
        preset: "django-q2",
        schema,
        left: "SELECT name FROM django_q_task UNION ALL SELECT CASE id WHEN 7 THEN 'waits' ELSE 'runs' END FROM django_q_ormq",
        message: None,
        error: None,
        // `late` was tried again for days: its row has the start of the first attempt.
        slowest: Some(763_200.0),
        wait: None,
        scheduled: None,
        // Of what a worker has taken nobody knows since when.
        states: json!({"completed": 2, "failed": 1, "pending": 1}),
        unavailable: &["task_statistics.average_wait_time", "error_statistics.error_categories"],
        ..Queue::default()
    }
}

#[test]
fn django_q2_in_postgres() {
    let env = TestEnv::postgres();
    check(&env, &django_q2(include_str!("../../fixtures/presets/django_q2_postgres.sql")));
}

#[test]
fn django_q2_in_sqlite() {
    let env = TestEnv::sqlite();
    check(&env, &django_q2(include_str!("../../fixtures/presets/django_q2_sqlite.sql")));
}
