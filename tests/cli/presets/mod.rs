//! The presets for well-known queues, on tables and rows that are written here from what is known of them: reports show what happened on a day,
//! and a cleanup takes what ended long ago, nothing else, with what hangs on it.
//!
//! Every table has the same history. On 10 November, UTC: `old` was done within 90 seconds; `bad` failed the same day at its third
//! attempt; `late` was done on the 19th; `waits` and `runs` have not ended, and neither is new. Limits count from the 20th.

mod celery;
mod django_q2;
mod job_tables;
mod laravel;
mod rails;
mod schedulers;

use crate::support::env::TestEnv;
use serde_json::{Value, json};

/// What is special about a queue.
struct Queue {
    preset: &'static str,
    schema: &'static str,
    /// Selects the name of each row that is left, as the history calls it.
    left: &'static str,
    /// The failed task's message, its retries, and the seconds of `old` and `late`, as far as the table knows.
    message: Option<&'static str>,
    /// What its error is counted under.
    error: Option<&'static str>,
    retries: Option<u64>,
    slowest: Option<f64>,
    /// Seconds from when a task was due to its start, on average: `old` began at once, `bad` after 60 seconds, `late` after 30, and `runs` after half
    /// an hour. `waits` will be due some day.
    wait: Option<f64>,
    /// `waits` is due some day; `None`: the table does not know it.
    scheduled: Option<u64>,
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
            error: None,
            retries: Some(2),
            slowest: None,
            wait: None,
            scheduled: Some(1),
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
    assert_eq!(failed["category"], json!(queue.error), "{report:#}");
    let errors = report["error_statistics"]["error_categories"].as_object();
    let counted = |error| errors.unwrap()[error].as_u64();
    assert_eq!(queue.error.and_then(counted), queue.error.map(|_| 1), "{report:#}");
    assert_eq!(failed["retry_count"], json!(queue.retries), "{report:#}");
    let slowest = &report["performance_statistics"]["slowest_tasks"][0]["processing_time"];
    match queue.slowest {
        None => assert!(slowest.is_null(), "{report:#}"),
        // SQLite counts days in floating point.
        Some(seconds) => assert!((slowest.as_f64().unwrap() - seconds).abs() < 0.001, "{report:#}"),
    }
    let wait = &report["task_statistics"]["average_wait_time"];
    assert_eq!(wait, &json!(queue.wait), "{report:#}");
    let waiting = queue.scheduled.map_or(1, |_| 0);
    let queues = &report["system_statistics"]["queue_statistics"];
    assert_eq!(queues["scheduled_tasks"], json!(queue.scheduled), "{report:#}");
    assert_eq!(queues["total_pending"], waiting, "{report:#}");
    let live = env.taskmon(["-q", "-q", "alert", "--dry-run"]).success().json();
    let backlog = &live["live"]["backlog"];
    assert_eq!(backlog["scheduled_tasks"], json!(queue.scheduled), "{live:#}");
    assert_eq!(backlog["pending"], waiting, "{live:#}");
    let unavailable: Vec<&str> = report["unavailable"]
        .as_array()
        .unwrap()
        .iter()
        .map(|path| path.as_str().unwrap())
        .filter(|path| !path.starts_with("queues") && !path.starts_with("names"))
        .collect();
    assert_eq!(unavailable, queue.unavailable);
    for list in ["queues", "names"] {
        let Some(groups) = report[list].as_array() else {
            assert_eq!((queue.preset, list), ("django-celery-results", "queues"), "{report:#}");
            continue;
        };
        let counts = groups.iter().map(|group| group["count"].as_u64().unwrap());
        let total = report["task_statistics"]["total_tasks"].as_u64();
        assert_eq!(Some(counts.sum::<u64>()), total, "{report:#}");
    }

    let all = left(env, queue.left);
    let clean = |more: &[&str]| -> Value {
        // Two of the tables miss an index that would help, which is warned of.
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

#[test]
fn a_preset_is_printed_as_a_configuration_that_means_the_same() {
    let env = TestEnv::new();
    for preset in ["celery", "good_job", "pg-boss", "taskmon"] {
        let printed = env.taskmon(["config", "--preset", preset]).success();
        let mapping = |text: &str| -> Value {
            env.write("taskmon.toml", text);
            let url = "--database-url=postgresql://nobody@nowhere/x";
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

#[test]
fn the_presets_are_listed_with_a_line_each() {
    let env = TestEnv::new();
    let listed = env.taskmon(["config", "--presets"]).success().json();
    let text = env.taskmon(["config", "--presets", "--output", "text"]).success();
    let presets = listed.as_array().unwrap();
    assert_eq!(presets.len(), text.stdout().lines().count());
    for (preset, line) in presets.iter().zip(text.stdout().lines()) {
        let name = preset["name"].as_str().unwrap();
        let description = preset["description"].as_str().unwrap();
        assert!(line.starts_with(name) && line.ends_with(description), "{line}");
        assert!(description.ends_with('.') && description.len() <= 104, "{name}: {description}");
        assert!(description.contains("PostgreSQL"), "{name}: {description}");
        let printed = env.taskmon(["config", "--preset", name]).success();
        assert!(printed.stdout().contains(description), "{name}");
    }
    assert!(presets.iter().any(|preset| preset["name"] == "airflow"), "{listed:#}");
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

#[test]
fn a_preset_that_sqlite_cannot_compute_is_refused_when_the_configuration_is_read() {
    let env = TestEnv::sqlite();
    for preset in ["good_job", "graphile-worker", "pg-boss", "procrastinate", "que"] {
        configure(&env, preset);
        for job in ["stats", "cleanup", "alert", "check", "config"] {
            let run = env.taskmon(["-q", "-q", job]).run();
            let said = format!("{}{}", run.stdout(), run.stderr());
            let code = if job == "check" { 1 } else { 2 };
            assert_eq!(run.code, Some(code), "{said}");
            for part in ["`database.preset`", preset, "SQLite", "solid_queue"] {
                assert!(said.contains(part), "{preset}, {job}: {said}");
            }
        }
    }
    // Tables of one's own take nothing from it but what fits.
    let config = env.read("taskmon.toml");
    let own = "[database.tasks]\nfrom = 'tasks'\ndelete_from = 'tasks'\nlabel = 'task_id'\nstatus = 'status'\nkey = ['id']\n";
    env.write("taskmon.toml", &format!("{config}{own}"));
    env.taskmon(["config"]).success().json();
}
