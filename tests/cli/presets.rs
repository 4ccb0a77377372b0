//! The presets for well-known queues, on tables and rows that are written here from what is known of them: reports tell what happened on a day,
//! and a cleanup takes what ended long ago, nothing else, with what hangs on it.
//!
//! Every table has the same history. On 10 November, UTC: `old` was done within 90 seconds; `bad` failed the same day at its third
//! attempt; `late` was done on the 19th; `waits` and `runs` have not ended, and neither is new. Limits count from the 20th.

use crate::support::env::TestEnv;
use serde_json::{Value, json};

/// What is special about a queue.
struct Queue {
    preset: &'static str,
    schema: &'static str,
    /// Tells of each row that is left by the name that the history calls it.
    left: &'static str,
    /// The failed task's message, its retries, and the seconds of `old` and `late`, as far as the table knows.
    message: Option<&'static str>,
    retries: Option<u64>,
    slowest: Option<f64>,
    /// Seconds from when a task was due to its start, on average: `old` began at once, `bad` after 60 seconds, `late` after 30, and `runs` after half
    /// an hour. `waits` will be due some day.
    wait: Option<f64>,
    /// Tasks of the day by state; what is not there is 0.
    states: Value,
    /// Tasks that the history has gone.
    cleaned: u64,
    remaining: &'static [&'static str],
    unavailable: &'static [&'static str],
}

impl Default for Queue {
    fn default() -> Self {
        Self {
            preset: "",
            schema: "",
            left: "",
            message: None,
            retries: Some(2),
            slowest: None,
            wait: None,
            states: json!({"completed": 2, "failed": 1, "pending": 1, "processing": 1}),
            cleaned: 2,
            remaining: &["late", "runs", "waits"],
            unavailable: &[],
        }
    }
}

const NO_DURATIONS: [&str; 3] = [
    "task_statistics.average_processing_time",
    "task_statistics.processing_time_percentiles",
    "performance_statistics.slowest_tasks",
];

#[track_caller]
fn check(env: &TestEnv, queue: &Queue) {
    env.sql(queue.schema);
    let config = format!(
        "timezone = \"UTC\"\nlanguage = \"en\"\n[database]\nurl = \"{}\"\npreset = \"{}\"\n\
         [cleanup]\ncompleted_tasks_days = 7\nfailed_tasks_days = 7\n",
        env.url(),
        queue.preset
    );
    env.write("taskmon.toml", &config);

    let report = env.taskmon(["stats", "--date", "2026-11-10", "--no-save"]).success();
    let report: Value = report.json();
    let mut states = json!({"completed": 0, "failed": 0, "pending": 0, "processing": 0});
    for (state, count) in queue.states.as_object().unwrap() {
        states[state] = count.clone();
    }
    assert_eq!(report["task_statistics"]["status_breakdown"], states, "{report:#}");
    let failed = &report["error_statistics"]["failed_tasks"][0];
    assert_eq!(failed["error_message"], json!(queue.message), "{report:#}");
    assert_eq!(failed["retry_count"], json!(queue.retries), "{report:#}");
    let slowest = &report["performance_statistics"]["slowest_tasks"][0]["processing_time"];
    match queue.slowest {
        None => assert!(slowest.is_null(), "{report:#}"),
        // SQLite counts days in floating point.
        Some(seconds) => assert!((slowest.as_f64().unwrap() - seconds).abs() < 0.001, "{report:#}"),
    }
    let wait = &report["task_statistics"]["average_wait_time"];
    assert_eq!(wait, &json!(queue.wait), "{report:#}");
    let unavailable: Vec<&str> = report["unavailable"]
        .as_array()
        .unwrap()
        .iter()
        .map(|path| path.as_str().unwrap())
        .collect();
    assert_eq!(unavailable, queue.unavailable);

    let all = left(env, queue.left);
    let clean = |more: &[&str]| -> Value {
        // Two of the tables lack an index that would help, which is said.
        let mut arguments = vec!["-q", "cleanup", "--only", "tasks", "--force"];
        arguments.extend(["--as-of", "2026-11-20T00:00:00Z"]);
        arguments.extend(more);
        env.taskmon(arguments).success().json()
    };
    let dry_run = clean(&["--dry-run"]);
    assert_eq!(left(env, queue.left), all);
    let result = clean(&[]);
    assert_eq!(result["errors"], json!([]));
    assert_eq!(result["tasks_cleaned"], queue.cleaned, "{result:#}");
    assert_eq!(dry_run["tasks_cleaned"], queue.cleaned);
    assert_eq!(left(env, queue.left), queue.remaining);
    assert_eq!(clean(&[])["tasks_cleaned"], 0);
}

/// The names of the rows that are left, sorted.
fn left(env: &TestEnv, sql: &str) -> Vec<String> {
    let mut names: Vec<String> = if env.url().starts_with("sqlite") {
        let connection = env.connection();
        let mut statement = connection.prepare(sql).unwrap();
        let rows = statement.query_map([], |row| row.get(0)).unwrap();
        rows.map(Result::unwrap).collect()
    } else {
        let rows = env.client().query(sql, &[]).unwrap();
        rows.iter().map(|row| row.get(0)).collect()
    };
    names.sort();
    names
}

/// Celery knows when a task ended and nothing else of its times: what has not ended counts by its last word, and a task that has said
/// nothing yet belongs to no day.
const CELERY_ROWS: &str = "
    INSERT INTO celery_taskmeta (id, task_id, status, result, date_done, traceback, name, retries, queue) VALUES
    (1, 'old', 'SUCCESS', NULL, '2026-11-10 10:01:30', NULL, 'mail.send', 0, 'mail'),
    (2, 'bad', 'FAILURE', {json}, '2026-11-10 11:00:00', 'Traceback: kept aside', 'mail.send', 2, 'mail'),
    (3, 'pickled', 'FAILURE', {pickle}, '2026-11-10 10:30:00', {traceback}, 'mail.send', 0, 'mail'),
    (4, 'late', 'SUCCESS', NULL, '2026-11-19 08:00:00', NULL, 'mail.send', 0, 'mail'),
    (5, 'waits', 'RETRY', NULL, '2026-11-10 12:00:00', NULL, 'mail.send', 1, 'mail'),
    (6, 'runs', 'UPLOADING', NULL, '2026-11-10 13:00:00', NULL, 'mail.send', 0, 'mail'),
    (7, 'began', 'STARTED', NULL, NULL, NULL, NULL, NULL, NULL);";

fn celery_rows(json: &str, pickle: &str, traceback: &str) -> String {
    CELERY_ROWS
        .replace("{json}", json)
        .replace("{pickle}", pickle)
        .replace("{traceback}", traceback)
}

fn celery(schema: &'static str) -> Queue {
    Queue {
        preset: "celery",
        schema,
        left: "SELECT task_id FROM celery_taskmeta",
        message: Some("库存不足: 订单 7, 还差 3 件"),
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

const CELERY_JSON: &str =
    r#"{"exc_type": "库存不足", "exc_message": ["订单 7", "还差 3 件"], "exc_module": "shop"}"#;

/// JSON may say what PostgreSQL takes for no text.
#[test]
fn a_nul_and_half_a_pair_of_surrogates_in_a_message_keep_no_report_from_being_made() {
    let env = TestEnv::postgres();
    env.sql(r#"
        CREATE TABLE celery_taskmeta (id integer PRIMARY KEY, task_id varchar(155) UNIQUE, status varchar(50), result bytea, date_done timestamp, traceback text, name varchar(155), retries integer, queue varchar(155));
        CREATE TABLE django_celery_results_taskresult (id integer PRIMARY KEY, task_id varchar(255), status varchar(50), content_type varchar(128), result text, date_created timestamptz, date_started timestamptz, date_done timestamptz, traceback text, task_name varchar(255), worker varchar(100));
        INSERT INTO celery_taskmeta (id, task_id, status, result, date_done) SELECT id, 'task ' || id, 'FAILURE', convert_to('{"exc_type": "E", "exc_message": ["' || said || '"]}', 'UTF8'), '2026-11-10 11:00'
            FROM (VALUES (1, 'a\u0000b'), (2, 'a\udcffb'), (3, 'a\ud83db'), (4, 'a\ud83d\ude00b'), (5, 'a\uDCFF\u0000b')) AS said(id, said);
        INSERT INTO django_celery_results_taskresult (id, task_id, status, content_type, result, date_created, date_done)
            SELECT id, task_id, status, 'application/json', convert_from(result, 'UTF8'), '2026-11-10 10:00Z', '2026-11-10 11:00Z' FROM celery_taskmeta"#);
    for preset in ["celery", "django-celery-results"] {
        let config =
            format!("timezone = 'UTC'\n[database]\nurl = '{}'\npreset = '{preset}'", env.url());
        env.write("taskmon.toml", &config);
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
    let rows = celery_rows(
        &format!("convert_to('{CELERY_JSON}', 'UTF8')"),
        "'\\x80049540'::bytea",
        "E'Traceback (most recent call last):\\n  File \"a.py\"\\nValueError: no such address\\n'",
    );
    let schema = format!(
        "CREATE TABLE celery_taskmeta (id integer PRIMARY KEY, task_id varchar(155) UNIQUE, status varchar(50), result bytea, \
         date_done timestamp, traceback text, children bytea, name varchar(155), args bytea, kwargs bytea, worker varchar(155), \
         retries integer, queue varchar(155));{rows}"
    );
    let queue = celery(Box::leak(schema.into_boxed_str()));
    env.sql(queue.schema);
    let queue = Queue { schema: "SELECT 1", ..queue };
    let report: Value = {
        env.write(
            "taskmon.toml",
            &format!("timezone = 'UTC'\n[database]\nurl = '{}'\npreset = 'celery'", env.url()),
        );
        env.taskmon(["stats", "--date", "2026-11-10", "--no-save"]).success().json()
    };
    // What cannot be read of a pickle, the traceback's last line tells; a state of one's own stands under its own name.
    assert_eq!(
        report["error_statistics"]["failed_tasks"][1]["error_message"],
        "ValueError: no such address"
    );
    assert_eq!(report["task_statistics"]["raw_status_breakdown"]["UPLOADING"], 1);
    assert_eq!(report["undated_tasks"], 1);
    check(&env, &queue);
}

#[test]
fn celery_in_sqlite() {
    let env = TestEnv::sqlite();
    let rows = celery_rows(
        &format!("CAST('{CELERY_JSON}' AS BLOB)"),
        "x'80049540'",
        "'Traceback (most recent call last):' || char(10) || '  File \"a.py\"' || char(10) || 'ValueError: no such address' || char(10)",
    );
    let schema = format!(
        "CREATE TABLE celery_taskmeta (id INTEGER PRIMARY KEY, task_id VARCHAR(155) UNIQUE, status VARCHAR(50), result BLOB, \
         date_done DATETIME, traceback TEXT, children BLOB, name VARCHAR(155), args BLOB, kwargs BLOB, worker VARCHAR(155), \
         retries INTEGER, queue VARCHAR(155));{rows}"
    );
    check(&env, &celery(Box::leak(schema.into_boxed_str())));
    let report: Value =
        env.taskmon(["stats", "--date", "2026-11-10", "--no-save"]).success().json();
    assert_eq!(report["undated_tasks"], 1);
}

const DJANGO_ROWS: &str = r#"
    INSERT INTO django_celery_results_taskresult (id, task_id, status, content_type, result, date_done, traceback, task_name, date_created, date_started) VALUES
    (1, 'old', 'SUCCESS', 'application/json', 'null', '2026-11-10 10:01:30{z}', NULL, 'mail.send', '2026-11-10 10:00:00{z}', '2026-11-10 10:00:00{z}'),
    (2, 'bad', 'FAILURE', 'application/json', '{"exc_type": "KeyError", "exc_message": ["address"]}', '2026-11-10 11:00:00{z}', NULL, 'mail.send', '2026-11-10 10:59:00{z}', '2026-11-10 10:59:30{z}'),
    (3, 'late', 'SUCCESS', 'application/json', 'null', '2026-11-19 08:00:00{z}', NULL, 'mail.send', '2026-11-10 12:00:00{z}', '2026-11-19 07:59:50{z}'),
    (4, 'waits', 'RETRY', 'application/json', 'null', '2026-11-10 13:00:00{z}', NULL, 'mail.send', '2026-11-10 12:30:00{z}', NULL),
    (5, 'runs', 'STARTED', 'application/json', 'null', '2026-11-10 14:00:00{z}', NULL, 'mail.send', '2026-11-10 13:30:00{z}', '2026-11-10 14:00:00{z}');"#;

fn django(schema: String) -> Queue {
    Queue {
        preset: "django-celery-results",
        schema: Box::leak(schema.into_boxed_str()),
        left: "SELECT task_id FROM django_celery_results_taskresult",
        message: Some("KeyError: address"),
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

#[test]
fn django_celery_results_in_postgres() {
    let rows = DJANGO_ROWS.replace("{z}", "+00");
    check(
        &TestEnv::postgres(),
        &django(format!(
            "CREATE TABLE django_celery_results_taskresult (id integer PRIMARY KEY, task_id varchar(255) UNIQUE NOT NULL, status varchar(50) NOT NULL, \
             content_type varchar(128) NOT NULL, result text, date_done timestamptz NOT NULL, traceback text, task_name varchar(255), \
             date_created timestamptz NOT NULL, date_started timestamptz);{rows}"
        )),
    );
}

#[test]
fn django_celery_results_in_sqlite() {
    let rows = DJANGO_ROWS.replace("{z}", "");
    check(
        &TestEnv::sqlite(),
        &django(format!(
            "CREATE TABLE django_celery_results_taskresult (id integer PRIMARY KEY, task_id varchar(255) UNIQUE NOT NULL, status varchar(50) NOT NULL, \
             content_type varchar(128) NOT NULL, result text, date_done datetime NOT NULL, traceback text, task_name varchar(255), \
             date_created datetime NOT NULL, date_started datetime);{rows}"
        )),
    );
}

#[test]
fn procrastinate_with_its_events() {
    let env = TestEnv::postgres();
    let queue = Queue {
        preset: "procrastinate",
        schema: "
        CREATE TYPE procrastinate_job_status AS ENUM ('todo', 'doing', 'succeeded', 'failed', 'cancelled', 'aborting', 'aborted');
        CREATE TYPE procrastinate_job_event_type AS ENUM ('deferred', 'started', 'deferred_for_retry', 'failed', 'succeeded', 'cancelled', 'scheduled');
        CREATE TABLE procrastinate_jobs (id bigserial PRIMARY KEY, queue_name varchar(128) NOT NULL, task_name varchar(128) NOT NULL,
            status procrastinate_job_status NOT NULL DEFAULT 'todo', scheduled_at timestamptz, attempts integer NOT NULL DEFAULT 0);
        CREATE TABLE procrastinate_events (id bigserial PRIMARY KEY, job_id bigint NOT NULL REFERENCES procrastinate_jobs ON DELETE CASCADE,
            type procrastinate_job_event_type, at timestamptz);
        INSERT INTO procrastinate_jobs (id, queue_name, task_name, status, attempts, scheduled_at) VALUES (1, 'q', 'old', 'succeeded', 1, NULL),
            (2, 'q', 'bad', 'failed', 3, '2026-11-10 10:59+00'), (3, 'q', 'late', 'succeeded', 1, '2026-11-19 07:59:20+00'),
            (4, 'q', 'waits', 'todo', 0, '2027-01-01 00:00+00'), (5, 'q', 'runs', 'doing', 0, NULL);
        INSERT INTO procrastinate_events (job_id, type, at) VALUES
            (1, 'deferred', '2026-11-10 10:00+00'), (1, 'started', '2026-11-10 10:00+00'), (1, 'succeeded', '2026-11-10 10:01:30+00'),
            (2, 'deferred', '2026-11-10 10:00+00'), (2, 'started', '2026-11-10 10:10+00'), (2, 'deferred_for_retry', '2026-11-10 10:11+00'),
            (2, 'started', '2026-11-10 11:00+00'), (2, 'failed', '2026-11-10 11:00:30+00'),
            (3, 'deferred', '2026-11-10 12:00+00'), (3, 'started', '2026-11-19 07:59:50+00'), (3, 'succeeded', '2026-11-19 08:00+00'),
            (4, 'deferred', '2026-11-10 12:30+00'), (4, 'scheduled', '2027-01-01 00:00+00'),
            (5, 'deferred', '2026-11-10 13:30+00'), (5, 'started', '2026-11-10 14:00+00')",
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
    let id = |n: u32| format!("00000000-0000-4000-8000-00000000000{n}");
    let rows: String = [
        // The same id in two queues: a job is known by both together.
        ("'old'", "a", 1, "completed", "'2026-11-10 10:00+00', '2026-11-10 10:00+00', '2026-11-10 10:01:30+00', '2026-11-10 10:00+00'", "NULL", 0, "false"),
        ("'late'", "b", 1, "completed", "'2026-11-10 12:00+00', '2026-11-19 07:59:50+00', '2026-11-19 08:00+00', '2026-11-19 07:59:20+00'", "NULL", 0, "false"),
        ("'bad'", "b", 2, "failed", "'2026-11-10 10:00+00', '2026-11-10 11:00+00', '2026-11-10 11:00:30+00', '2026-11-10 10:59+00'", "'{\"name\": \"TypeError\", \"message\": \"x is undefined\"}'", 2, "false"),
        ("'waits'", "a", 3, "retry", "'2026-11-10 12:30+00', '2026-11-10 12:31+00', NULL, '2027-01-01 00:00+00'", "'{\"value\": \"thrown\"}'", 1, "false"),
        ("'runs'", "a", 4, "active", "'2026-11-10 13:30+00', '2026-11-10 14:00+00', NULL, '2026-11-10 13:30+00'", "NULL", 0, "false"),
        ("'blocks'", "a", 5, "completed", "'2026-11-10 09:00+00', '2026-11-10 09:00+00', '2026-11-10 09:00:10+00', '2026-11-10 09:00+00'", "NULL", 0, "true"),
    ]
    .into_iter()
    .map(|(story, queue, n, state, times, output, retries, blocking)| {
        format!(
            "INSERT INTO pgboss.job (name, id, data, state, created_on, started_on, completed_on, start_after, output, retry_count, blocking) \
             VALUES ('{queue}', '{}', json_build_object('story', {story}), '{state}', {times}, {output}, {retries}, {blocking});",
            id(n)
        )
    })
    .collect();
    let schema = format!(
        "CREATE SCHEMA pgboss; CREATE TYPE pgboss.job_state AS ENUM ('created', 'retry', 'active', 'completed', 'cancelled', 'failed'); \
         CREATE TABLE pgboss.job (id uuid NOT NULL, name text NOT NULL, data jsonb, state pgboss.job_state NOT NULL, retry_count integer NOT NULL, \
         created_on timestamptz NOT NULL, started_on timestamptz, completed_on timestamptz, start_after timestamptz NOT NULL, output jsonb, blocking boolean NOT NULL, \
         PRIMARY KEY (name, id)) PARTITION BY LIST (name); \
         CREATE TABLE pgboss.job_a PARTITION OF pgboss.job FOR VALUES IN ('a'); \
         CREATE TABLE pgboss.job_b PARTITION OF pgboss.job FOR VALUES IN ('b');{rows}"
    );
    let queue = Queue {
        preset: "pg-boss",
        schema: Box::leak(schema.into_boxed_str()),
        left: "SELECT data ->> 'story' FROM pgboss.job",
        message: Some("TypeError: x is undefined"),
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
    let queue = Queue {
        preset: "river",
        schema: "
        CREATE TYPE river_job_state AS ENUM ('available', 'cancelled', 'completed', 'discarded', 'pending', 'retryable', 'running', 'scheduled');
        CREATE TABLE river_job (id bigserial PRIMARY KEY, state river_job_state NOT NULL, attempt smallint NOT NULL, attempted_at timestamptz,
            created_at timestamptz NOT NULL, scheduled_at timestamptz NOT NULL, errors jsonb[], finalized_at timestamptz, kind text NOT NULL, queue text NOT NULL);
        INSERT INTO river_job (kind, queue, state, attempt, created_at, scheduled_at, attempted_at, finalized_at, errors) VALUES
            ('old', 'q', 'completed', 1, '2026-11-10 10:00+00', '2026-11-10 10:00+00', '2026-11-10 10:00+00', '2026-11-10 10:01:30+00', NULL),
            ('bad', 'q', 'discarded', 3, '2026-11-10 10:00+00', '2026-11-10 10:59+00', '2026-11-10 11:00+00', '2026-11-10 11:00:30+00',
                ARRAY['{\"attempt\": 1, \"error\": \"first\"}', '{\"attempt\": 3, \"error\": \"dial tcp: refused\"}']::jsonb[]),
            ('late', 'q', 'completed', 1, '2026-11-10 12:00+00', '2026-11-19 07:59:20+00', '2026-11-19 07:59:50+00', '2026-11-19 08:00+00', NULL),
            ('waits', 'q', 'retryable', 1, '2026-11-10 12:30+00', '2027-01-01 00:00+00', '2026-11-10 12:31+00', NULL, ARRAY['{\"error\": \"again\"}']::jsonb[]),
            ('runs', 'q', 'running', 1, '2026-11-10 13:30+00', '2026-11-10 13:30+00', '2026-11-10 14:00+00', NULL, NULL)",
        left: "SELECT kind FROM river_job",
        message: Some("dial tcp: refused"),
        slowest: Some(90.0),
        wait: Some(472.5),
        ..Queue::default()
    };
    check(&TestEnv::postgres(), &queue);
}

#[test]
fn oban() {
    let rows = "
        INSERT INTO oban_jobs (worker, queue, state, attempt, inserted_at, scheduled_at, attempted_at, completed_at, discarded_at, errors) VALUES
            ('old', 'q', 'completed', 1, '2026-11-10 10:00', '2026-11-10 10:00', '2026-11-10 10:00', '2026-11-10 10:01:30', NULL, {none}),
            ('bad', 'q', 'discarded', 3, '2026-11-10 10:00', '2026-11-10 10:59', '2026-11-10 11:00', NULL, '2026-11-10 11:00:30', {errors}),
            ('late', 'q', 'completed', 1, '2026-11-10 12:00', '2026-11-19 07:59:20', '2026-11-19 07:59:50', '2026-11-19 08:00', NULL, {none}),
            ('waits', 'q', 'suspended', 0, '2026-11-10 12:30', '2027-01-01 00:00', NULL, NULL, NULL, {none}),
            ('runs', 'q', 'executing', 1, '2026-11-10 13:30', '2026-11-10 13:30', '2026-11-10 14:00', NULL, NULL, {none})";
    let elixir = r#"ARRAY['{"attempt": 1, "error": "first"}', '{"attempt": 3, "error": "** (RuntimeError) no stock\n    (shop 1.0.0) lib/shop.ex:7: Shop.perform/1\n    (stdlib 4.2) proc_lib.erl:240: :proc_lib.init_p_do_apply/3\n"}']::jsonb[]"#;
    let python = r#"'[{"attempt": 1, "error": "first"}, {"attempt": 3, "error": "Traceback (most recent call last):\n  File \"a.py\"\nRuntimeError: no stock\n"}]'"#;
    for (errors_type, none, errors) in [("jsonb[]", "'{}'", elixir), ("jsonb", "'[]'", python)] {
        let schema = format!(
            "CREATE TYPE oban_job_state AS ENUM ('available', 'scheduled', 'executing', 'retryable', 'completed', 'discarded', 'cancelled', 'suspended');
             CREATE TABLE oban_jobs (id bigserial PRIMARY KEY, state oban_job_state NOT NULL, queue text NOT NULL, worker text NOT NULL,
                errors {errors_type} NOT NULL, attempt integer NOT NULL, inserted_at timestamp NOT NULL, scheduled_at timestamp NOT NULL,
                attempted_at timestamp, completed_at timestamp, discarded_at timestamp, cancelled_at timestamp);{}",
            rows.replace("{none}", none).replace("{errors}", errors)
        );
        let queue = Queue {
            preset: "oban",
            schema: Box::leak(schema.into_boxed_str()),
            left: "SELECT worker FROM oban_jobs",
            message: Some("RuntimeError: no stock"),
            slowest: Some(90.0),
            wait: Some(472.5),
            ..Queue::default()
        };
        check(&TestEnv::postgres(), &queue);
    }
}

#[test]
fn good_job_with_its_executions() {
    let env = TestEnv::postgres();
    let queue = Queue {
        preset: "good_job",
        schema: "
        CREATE TABLE good_jobs (id uuid PRIMARY KEY DEFAULT gen_random_uuid(), queue_name text, created_at timestamp NOT NULL, scheduled_at timestamp, performed_at timestamp,
            finished_at timestamp, error text, executions_count integer, job_class text, active_job_id uuid);
        CREATE TABLE good_job_executions (id uuid PRIMARY KEY DEFAULT gen_random_uuid(), active_job_id uuid NOT NULL, created_at timestamp NOT NULL);
        INSERT INTO good_jobs (job_class, queue_name, executions_count, created_at, scheduled_at, performed_at, finished_at, error) VALUES
            ('old', 'q', 1, '2026-11-10 10:00', '2026-11-10 10:00', '2026-11-10 10:00', '2026-11-10 10:01:30', NULL),
            ('bad', 'q', 3, '2026-11-10 10:00', '2026-11-10 10:59', '2026-11-10 11:00', '2026-11-10 11:00:30', 'ArgumentError: no stock'),
            ('late', 'q', 1, '2026-11-10 12:00', '2026-11-19 07:59:20', '2026-11-19 07:59:50', '2026-11-19 08:00', NULL),
            ('waits', 'q', 0, '2026-11-10 12:30', '2027-01-01 00:00', NULL, NULL, NULL),
            ('runs', 'q', 1, '2026-11-10 13:30', NULL, '2026-11-10 14:00', NULL, NULL);
        UPDATE good_jobs SET active_job_id = id;
        INSERT INTO good_job_executions (active_job_id, created_at) SELECT id, created_at FROM good_jobs, generate_series(1, executions_count)",
        left: "SELECT job_class FROM good_jobs",
        message: Some("ArgumentError: no stock"),
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
    env.sql(
        "CREATE TABLE good_jobs (id uuid PRIMARY KEY DEFAULT gen_random_uuid(), queue_name text, created_at timestamp NOT NULL, scheduled_at timestamp, performed_at timestamp,
            finished_at timestamp, error text, executions_count integer, job_class text);
         CREATE TABLE good_job_executions (active_job_id uuid NOT NULL);
         INSERT INTO good_jobs (job_class, executions_count, created_at, finished_at) VALUES ('goes', 1, '2026-01-01', '2026-01-01'), ('stays', 1, '2026-01-01', '2026-01-01');
         INSERT INTO good_job_executions SELECT id FROM good_jobs;
         CREATE FUNCTION keep() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN IF old.job_class = 'stays' THEN RETURN NULL; END IF; RETURN old; END $$;
         CREATE TRIGGER keep BEFORE DELETE ON good_jobs FOR EACH ROW EXECUTE FUNCTION keep()",
    );
    env.write(
        "taskmon.toml",
        &format!("timezone = 'UTC'\n[database]\nurl = '{}'\npreset = 'good_job'", env.url()),
    );
    let result: Value =
        env.taskmon(["-q", "-q", "cleanup", "--only", "tasks", "--force"]).exits(1).json();
    assert_eq!(result["tasks_cleaned"], 1);
    assert_eq!(result["errors"][0]["kind"], "row_refused");
    let left = "SELECT job_class FROM good_jobs JOIN good_job_executions ON active_job_id = id";
    assert_eq!(self::left(&env, left), ["stays"]);
    let executions = "SELECT active_job_id::text FROM good_job_executions";
    assert_eq!(self::left(&env, executions).len(), 1);
}

const SOLID_QUEUE: &str = r#"
    CREATE TABLE solid_queue_jobs (id {id} PRIMARY KEY, queue_name varchar(255) NOT NULL, class_name varchar(255) NOT NULL, arguments text,
        finished_at {time}, scheduled_at {time}, created_at {time} NOT NULL, updated_at {time} NOT NULL);
    CREATE TABLE solid_queue_claimed_executions (id {id} PRIMARY KEY, job_id bigint NOT NULL REFERENCES solid_queue_jobs (id) ON DELETE CASCADE, created_at {time} NOT NULL);
    CREATE TABLE solid_queue_failed_executions (id {id} PRIMARY KEY, job_id bigint NOT NULL REFERENCES solid_queue_jobs (id) ON DELETE CASCADE, error text, created_at {time} NOT NULL);
    INSERT INTO solid_queue_jobs (id, class_name, queue_name, arguments, scheduled_at, created_at, updated_at, finished_at) VALUES
        (1, 'old', 'q', '{"executions": 0}', '2026-11-10 10:00:00', '2026-11-10 10:00:00', '2026-11-10 10:01:30', '2026-11-10 10:01:30'),
        (2, 'bad', 'q', '{"executions": 2}', '2026-11-10 10:59:00', '2026-11-10 10:00:00', '2026-11-10 11:00:30', NULL),
        (3, 'late', 'q', '{"executions": 0}', NULL, '2026-11-10 12:00:00', '2026-11-19 08:00:00', '2026-11-19 08:00:00'),
        (4, 'waits', 'q', '{"executions": 0}', '2027-01-01 00:00:00', '2026-11-10 12:30:00', '2026-11-10 12:30:00', NULL),
        (5, 'runs', 'q', '{"executions": 0}', '2026-11-10 13:30:00', '2026-11-10 13:30:00', '2026-11-10 14:00:00', NULL);
    INSERT INTO solid_queue_claimed_executions (id, job_id, created_at) VALUES (71, 5, '2026-11-10 14:00:00');
    INSERT INTO solid_queue_failed_executions (id, job_id, error, created_at) VALUES
        (72, 2, '{"exception_class": "Net::ReadTimeout", "message": "execution expired", "backtrace": []}', '2026-11-10 11:00:30');"#;

fn solid_queue(id: &str, time: &str) -> Queue {
    let schema = SOLID_QUEUE.replace("{id}", id).replace("{time}", time);
    Queue {
        preset: "solid_queue",
        schema: Box::leak(schema.into_boxed_str()),
        left: "SELECT class_name FROM solid_queue_jobs",
        message: Some("Net::ReadTimeout: execution expired"),
        wait: Some(1800.0),
        unavailable: &NO_DURATIONS,
        ..Queue::default()
    }
}

#[test]
fn solid_queue_in_postgres() {
    let env = TestEnv::postgres();
    check(&env, &solid_queue("bigint", "timestamp"));
    let failures = "SELECT error FROM solid_queue_failed_executions";
    assert!(left(&env, failures).is_empty());
}

#[test]
fn solid_queue_in_sqlite() {
    let env = TestEnv::sqlite();
    check(&env, &solid_queue("integer", "datetime"));
    let failures = "SELECT error FROM solid_queue_failed_executions";
    assert!(left(&env, failures).is_empty());
}

/// One job's arguments that are no JSON cost that job's figure and not the report.
#[test]
fn what_is_no_json_in_a_column_of_json_does_not_stop_a_report() {
    for env in [TestEnv::sqlite(), TestEnv::postgres()] {
        let is_sqlite = env.url().starts_with("sqlite");
        let (id, time) = if is_sqlite { ("integer", "datetime") } else { ("bigint", "timestamp") };
        let queue = solid_queue(id, time);
        env.sql(queue.schema);
        env.sql("UPDATE solid_queue_jobs SET arguments = '{\"executions\": 3, broken' WHERE id = (SELECT min(id) FROM solid_queue_jobs)");
        if is_sqlite {
            env.sql("UPDATE solid_queue_failed_executions SET error = 'broken'");
        }
        env.write(
            "taskmon.toml",
            &format!(
                "timezone = 'UTC'\n[database]\nurl = '{}'\npreset = 'solid_queue'\n",
                env.url()
            ),
        );
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
fn graphile_worker_through_its_view() {
    let queue = Queue {
        preset: "graphile-worker",
        schema: "
        CREATE SCHEMA graphile_worker;
        CREATE TABLE graphile_worker._private_jobs (id bigint PRIMARY KEY, task text NOT NULL, queue text, attempts integer NOT NULL, max_attempts integer NOT NULL,
            last_error text, created_at timestamptz NOT NULL, updated_at timestamptz NOT NULL, locked_at timestamptz, run_at timestamptz NOT NULL);
        ALTER TABLE graphile_worker._private_jobs ENABLE ROW LEVEL SECURITY;
        CREATE VIEW graphile_worker.jobs AS SELECT id, queue AS queue_name, task AS task_identifier, attempts, max_attempts, last_error, created_at,
            updated_at, locked_at, run_at FROM graphile_worker._private_jobs;
        INSERT INTO graphile_worker._private_jobs VALUES
            (2, 'bad', 'q', 3, 3, 'no stock', '2026-11-10 10:00+00', '2026-11-10 11:00:30+00', NULL, '2026-11-10 10:59+00'),
            (4, 'waits', 'q', 1, 3, 'again', '2026-11-10 12:30+00', '2026-11-10 12:31+00', NULL, '2027-01-01 00:00+00'),
            (5, 'runs', 'q', 1, 3, NULL, '2026-11-10 13:30+00', '2026-11-10 14:00+00', '2026-11-10 14:00+00', '2026-11-10 13:30+00')",
        left: "SELECT task FROM graphile_worker._private_jobs",
        message: Some("no stock"),
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
fn a_preset_is_printed_as_a_configuration_that_means_the_same() {
    let env = TestEnv::new();
    for preset in ["celery", "good_job", "pg-boss", "taskmon"] {
        let printed = env.taskmon(["config", "--preset", preset]).success();
        let mapping = |text: &str| -> Value {
            env.write("taskmon.toml", text);
            let url = "--database-url=sqlite:/nowhere.db";
            let config: Value = env.taskmon(["config", url]).success().json();
            config["database"].clone()
        };
        let named = mapping(&format!("[database]\npreset = '{preset}'"));
        assert_eq!(mapping(printed.stdout()), named, "{preset}");
    }
    let unknown = env.taskmon(["config", "--preset", "sidekiq"]).exits(2);
    assert!(unknown.stdout().contains("solid_queue"), "{}", unknown.stdout());
    assert!(unknown.stderr().contains("\"sidekiq\""), "{}", unknown.stderr());
}

/// A preset's own form for SQLite does not outlive the expression that a configuration replaces.
#[test]
fn ones_own_expression_beats_the_presets_form_for_sqlite() {
    let env = TestEnv::sqlite();
    env.sql(
        "CREATE TABLE celery_taskmeta (id INTEGER PRIMARY KEY, task_id TEXT, status TEXT, result TEXT, date_done TEXT, traceback TEXT, \
         name TEXT, retries INTEGER, queue TEXT);
         INSERT INTO celery_taskmeta VALUES (1, 'a', 'FAILURE', 'mine', '2026-11-10 10:00:00', NULL, NULL, NULL, NULL)",
    );
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

#[test]
fn the_catch_all_is_refused_for_states_that_end() {
    let env = TestEnv::new();
    for state in ["completed", "failed", "cancelled"] {
        env.write("taskmon.toml", &format!("[database.tasks.states]\n{state} = ['*']"));
        let refused = env.taskmon(["-q", "-q", "config"]).exits(2);
        let key = format!("`database.tasks.states.{state}`");
        assert!(refused.stdout().contains(&key), "{}", refused.stdout());
    }
}
