//! `taskmon init`: from a database that it has never seen to a configuration and the figures of yesterday.

use crate::support::env::TestEnv;
use serde_json::{Value, json};
use std::os::unix::fs::PermissionsExt;

const CONFIG: &str = "taskmon.toml";

/// A PostgreSQL database with these tables alone, in the folder of an application.
fn postgres(sql: &str) -> TestEnv {
    let env = TestEnv::postgres();
    env.sql("DROP SCHEMA public CASCADE; CREATE SCHEMA public");
    env.sql(sql);
    application(&env);
    env
}

/// The same as a SQLite file.
fn sqlite(sql: &str) -> TestEnv {
    let env = TestEnv::sqlite();
    env.sql("DROP TABLE tracking_info; DROP TABLE delivery_receipts; DROP TABLE tasks");
    env.sql(sql);
    application(&env);
    env
}

fn application(env: &TestEnv) {
    std::fs::remove_file(env.path(CONFIG)).unwrap();
    env.write("manage.py", "");
}

#[track_caller]
fn init(env: &TestEnv, more: &[&str]) -> Value {
    let url = env.url();
    let arguments = ["-q", "-q", "init", &url].into_iter().chain(more.iter().copied());
    env.taskmon(arguments).success().json()
}

macro_rules! fixture {
    ($name:literal) => {
        include_str!(concat!("../fixtures/presets/", $name, ".sql"))
    };
}

#[track_caller]
fn is_found(env: &TestEnv, preset: &str) {
    let result = init(env, &[]);
    assert_eq!(result["preset"], preset, "{result:#}");
    assert!(result["proof"]["alerts"].is_array(), "{result:#}");
    // The configuration works as it was written.
    let report = env.taskmon(["-q", "-q", "stats", "--date", "2026-11-10", "--no-save"]);
    let report = report.success().json();
    assert!(report["task_statistics"]["total_tasks"].as_u64() > Some(0), "{report:#}");
}

#[test]
fn each_preset_is_found_by_its_tables_in_postgresql() {
    for (preset, sql) in [
        ("celery", fixture!("celery_postgres")),
        ("django-celery-results", fixture!("django_celery_results_postgres")),
        ("good_job", fixture!("good_job")),
        ("graphile-worker", fixture!("graphile_worker")),
        ("oban", fixture!("oban_elixir")),
        ("oban", fixture!("oban_python")),
        ("pg-boss", fixture!("pg_boss")),
        ("procrastinate", fixture!("procrastinate")),
        ("river", fixture!("river")),
        ("solid_queue", fixture!("solid_queue_postgres")),
    ] {
        is_found(&postgres(sql), preset);
    }
}

#[test]
fn each_preset_is_found_by_its_tables_in_sqlite() {
    for (preset, sql) in [
        ("celery", fixture!("celery_sqlite")),
        ("django-celery-results", fixture!("django_celery_results_sqlite")),
        ("oban", fixture!("oban_sqlite")),
        ("solid_queue", fixture!("solid_queue_sqlite")),
    ] {
        is_found(&sqlite(sql), preset);
    }
}

#[test]
fn tables_in_a_schema_beside_the_search_path_are_named_with_it() {
    for (preset, sql, table) in [
        ("river", fixture!("river"), "river_job"),
        ("solid_queue", fixture!("solid_queue_postgres"), "solid_queue_jobs"),
        ("procrastinate", fixture!("procrastinate"), "procrastinate_jobs"),
    ] {
        let env = postgres(sql);
        env.sql("ALTER SCHEMA public RENAME TO work; CREATE SCHEMA public");
        let result = init(&env, &[]);
        assert_eq!(result["table"], format!("work.{table}"), "{result:#}");
        let config = env.taskmon(["-q", "config"]).success().json();
        assert_eq!(config["database"]["preset"], preset);
        assert_eq!(config["database"]["tasks"]["delete_from"], format!("work.{table}"));
        env.taskmon(["-q", "-q", "cleanup", "--dry-run", "--only", "tasks"]).success().json();
    }
}

#[test]
fn the_file_is_its_users_alone_and_short() {
    let env = sqlite(fixture!("celery_sqlite"));
    let result = init(&env, &[]);
    assert_eq!(result["config_path"], json!(env.path(CONFIG).canonicalize().unwrap()));
    let mode = env.path(CONFIG).metadata().unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let text = env.read(CONFIG);
    assert!(text.contains("preset = \"celery\"") && text.lines().count() < 10, "{text}");
    // The proof leaves nothing behind.
    assert!(!env.path("reports").exists() && !env.path("logs").exists(), "{}", env.tree());
    let next: Vec<&str> =
        result["next"].as_array().unwrap().iter().map(|line| line.as_str().unwrap()).collect();
    assert!(next.len() == 3 && next[0].ends_with("taskmon check --output text"), "{next:?}");
}

#[test]
fn several_presets_that_fit_are_listed_and_one_is_chosen_by_name() {
    let env = sqlite(fixture!("celery_sqlite"));
    env.sql(fixture!("oban_sqlite"));
    let url = env.url();
    let refused = env.taskmon(["-q", "-q", "init", &url]).exits(2);
    refused.failure("usage", &["celery", "oban"]);
    assert!(!env.path(CONFIG).exists());
    assert_eq!(init(&env, &["--preset", "oban"])["preset"], "oban");
}

#[test]
fn a_file_that_is_there_stays_and_force_keeps_a_copy() {
    let env = sqlite(fixture!("celery_sqlite"));
    env.write(CONFIG, "language = 'zh'\n");
    let url = env.url();
    env.taskmon(["-q", "-q", "init", &url]).exits(2).failure("usage", &[CONFIG]);
    assert_eq!(env.read(CONFIG), "language = 'zh'\n");
    assert!(init(&env, &["--force"])["kept_config"].as_str().unwrap().ends_with("toml.bak"));
    assert_eq!(env.read("taskmon.toml.bak"), "language = 'zh'\n");
    init(&env, &["--force"]);
    assert!(env.read("taskmon.toml.bak.2").contains("celery"));
}

#[test]
fn a_file_that_is_named_is_named_in_what_comes_next() {
    let env = sqlite(fixture!("celery_sqlite"));
    let result = init(&env, &["--config", "my jobs/t.toml"]);
    assert!(env.path("my jobs/t.toml").exists(), "{result:#}");
    let next = result["next"][0].as_str().unwrap();
    assert!(next.contains("--config '") && next.contains("/my jobs/t.toml' check"), "{next}");
}

#[test]
fn a_url_from_a_variable_is_not_written_to_the_file() {
    let env = postgres(fixture!("river"));
    let run = env.taskmon(["-q", "-q", "init"]).env("DATABASE_URL", env.url_of("postgres:secret"));
    let result = run.success().json();
    assert_eq!(result["url_from"], "$DATABASE_URL");
    assert!(!result.to_string().contains("secret"), "{result:#}");
    let text = env.read(CONFIG);
    assert!(!text.contains("url =") && !text.contains("secret"), "{text}");
    assert!(text.contains("$DATABASE_URL"), "{text}");
}

#[test]
fn a_url_that_was_given_holds_whatever_the_environment_says() {
    let env = sqlite(fixture!("celery_sqlite"));
    let url = env.url();
    let run = env.taskmon(["-q", "-q", "init", &url]).env("DATABASE_URL", "sqlite:/nowhere.db");
    assert_eq!(run.success().json()["database"], url);
}

#[test]
fn without_a_database_or_a_table_nothing_is_written() {
    let env = sqlite("CREATE TABLE fruit (id integer PRIMARY KEY, colour text)");
    env.taskmon(["-q", "-q", "init"]).exits(2).failure("database_not_configured", &["init"]);
    let url = env.url();
    env.taskmon(["-q", "-q", "init", &url]).exits(3).failure("mapping_mismatch", &["fruit"]);
    assert!(!env.path(CONFIG).exists());
}

#[test]
fn the_page_shows_the_figures_and_how_to_go_on() {
    let env = sqlite(fixture!("celery_sqlite"));
    let url = env.url();
    let run = env.taskmon(["-q", "-q", "init", &url, "--output", "text", "--lang", "zh"]);
    run.success().stdout_contains("预设：celery").stdout_contains("schedule install");
}

/// Tables that nobody knows, and what their fields and labels are: the two lines at the beginning of each.
const UNKNOWN: [&str; 6] = [
    include_str!("../fixtures/detect/print_jobs.sql"),
    include_str!("../fixtures/detect/camel.sql"),
    include_str!("../fixtures/detect/chinese.sql"),
    include_str!("../fixtures/detect/numbers.sql"),
    include_str!("../fixtures/detect/contradicted.sql"),
    include_str!("../fixtures/detect/half_known.sql"),
];

/// The entries of a comment, in a fixture with the label `in progress` among them.
fn expected(line: &str) -> Vec<(String, String)> {
    let line = line.trim_start_matches("-- ").replace("in progress", "in_progress");
    let entries = line.split(' ').filter_map(|entry| entry.split_once('='));
    entries
        .map(|(key, value)| (key.to_owned(), value.replace("in_progress", "in progress")))
        .collect()
}

#[test]
fn tables_that_nobody_knows_are_guessed_and_never_deleted_from() {
    for make in [postgres, sqlite] {
        for sql in UNKNOWN {
            let env = make(sql);
            let result = init(&env, &[]);
            assert!(result["preset"].is_null() && result["missing"] == json!([]), "{result:#}");
            let config = env.taskmon(["-q", "config"]).success().json();
            let tasks = &config["database"]["tasks"];
            // A column without capitals needs no quotes in one database and has them in the other.
            let bare = |text: &str| text.replace('"', "");
            let mut lines = sql.lines();
            for (field, column) in expected(lines.next().unwrap()) {
                let guessed = tasks[&field].as_str().unwrap_or_default();
                assert_eq!(bare(guessed), bare(&column), "{field} in {sql}\n{result:#}");
            }
            for (state, label) in expected(lines.next().unwrap()) {
                let labels: Vec<&str> =
                    Some(label.as_str()).filter(|label| !label.is_empty()).into_iter().collect();
                assert_eq!(tasks["states"][&state], json!(labels), "{state} in {sql}");
            }
            assert_eq!(tasks["delete_from"].as_str().unwrap_or_default(), "");
            for field in result["mapping"]["fields"].as_array().unwrap() {
                assert!(
                    field["confidence"].as_f64() > Some(0.5) && field["reason"] != "",
                    "{field}"
                );
            }
            let report = env.taskmon(["-q", "-q", "stats", "--date", "2026-11-10", "--no-save"]);
            let report = report.success().json();
            assert!(report["task_statistics"]["total_tasks"].as_u64() > Some(0), "{report:#}");
            let cleaned = env.taskmon(["-q", "-q", "cleanup", "--only", "tasks"]).success().json();
            assert_eq!(cleaned["tasks_cleaned"], 0);
        }
    }
}

#[test]
fn a_table_is_chosen_by_name_where_several_are_possible() {
    let env = sqlite(UNKNOWN[0]);
    env.sql(&UNKNOWN[0].replace("print_jobs", "scan_jobs"));
    let url = env.url();
    env.taskmon(["-q", "-q", "init", &url]).exits(2).failure("usage", &["print_jobs", "scan_jobs"]);
    assert_eq!(init(&env, &["--table", "scan_jobs"])["table"], "scan_jobs");
    assert!(env.read(CONFIG).contains("from = \"scan_jobs\""));
}
