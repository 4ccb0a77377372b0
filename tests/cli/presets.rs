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

/// A configuration of the preset; days are counted in UTC.
fn configure(env: &TestEnv, preset: &str) {
    let url = env.url();
    let config = format!("timezone = 'UTC'\n[database]\nurl = '{url}'\npreset = '{preset}'\n");
    env.write("taskmon.toml", &config);
}

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

/// JSON may say what PostgreSQL takes for no text.
#[test]
fn a_nul_and_half_a_pair_of_surrogates_in_a_message_keep_no_report_from_being_made() {
    let env = TestEnv::postgres();
    env.sql(include_str!("../fixtures/presets/celery_messages_postgres.sql"));
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
    check(&env, &celery(include_str!("../fixtures/presets/celery_postgres.sql")));
}

#[test]
fn celery_in_sqlite() {
    let env = TestEnv::sqlite();
    check(&env, &celery(include_str!("../fixtures/presets/celery_sqlite.sql")));
}

#[test]
fn what_celery_says_in_a_pickle_in_a_state_of_its_own_and_without_a_date() {
    let env = TestEnv::postgres();
    env.sql(include_str!("../fixtures/presets/celery_postgres.sql"));
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
fn what_celery_says_without_a_date_in_sqlite() {
    let env = TestEnv::sqlite();
    env.sql(include_str!("../fixtures/presets/celery_sqlite.sql"));
    configure(&env, "celery");
    let report = env.taskmon(["stats", "--date", "2026-11-10", "--no-save"]).success().json();
    assert_eq!(report["undated_tasks"], 1);
}

fn django(schema: &'static str) -> Queue {
    Queue {
        preset: "django-celery-results",
        schema,
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
    let env = TestEnv::postgres();
    check(&env, &django(include_str!("../fixtures/presets/django_celery_results_postgres.sql")));
}

#[test]
fn django_celery_results_in_sqlite() {
    let env = TestEnv::sqlite();
    check(&env, &django(include_str!("../fixtures/presets/django_celery_results_sqlite.sql")));
}

#[test]
fn procrastinate_with_its_events() {
    let env = TestEnv::postgres();
    let queue = Queue {
        preset: "procrastinate",
        schema: include_str!("../fixtures/presets/procrastinate.sql"),
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
        schema: include_str!("../fixtures/presets/pg_boss.sql"),
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
        schema: include_str!("../fixtures/presets/river.sql"),
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
    for schema in [
        include_str!("../fixtures/presets/oban_elixir.sql"),
        include_str!("../fixtures/presets/oban_python.sql"),
    ] {
        let queue = Queue {
            preset: "oban",
            schema,
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
        schema: include_str!("../fixtures/presets/good_job.sql"),
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
    env.sql(include_str!("../fixtures/presets/good_job_that_stays.sql"));
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

const SOLID_QUEUE_IN_POSTGRES: &str = include_str!("../fixtures/presets/solid_queue_postgres.sql");
const SOLID_QUEUE_IN_SQLITE: &str = include_str!("../fixtures/presets/solid_queue_sqlite.sql");

fn solid_queue(schema: &'static str) -> Queue {
    Queue {
        preset: "solid_queue",
        schema,
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
fn what_is_no_json_in_a_column_of_json_does_not_stop_a_report() {
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
fn graphile_worker_through_its_view() {
    let queue = Queue {
        preset: "graphile-worker",
        schema: include_str!("../fixtures/presets/graphile_worker.sql"),
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
    env.sql(include_str!("../fixtures/presets/celery_own_sqlite.sql"));
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
