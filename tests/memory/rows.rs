//! Values of 100 MB in rows: what is shown of them is cut by the database, and the rows beside them are treated as ever.

use super::{LONG, run};
use crate::cli::cleanup::{AS_OF, column, has_files, ids, kinds, make_files, old};
use crate::on_each_database;
use crate::support::env::TestEnv;
use crate::support::rows::{DAY, Task};
use chrono::{TimeDelta, Utc};
use serde_json::{Value, json};

/// The column that tasks are called by: one without an index, which would hold no such value.
const LABEL: &str = "[database.tasks]\nlabel = 'task_name'";

const CLEANUP: [&str; 4] = ["cleanup", "--as-of", AS_OF, "--only=tasks,receipts"];

fn is_sqlite(env: &TestEnv) -> bool {
    env.url().starts_with("sqlite")
}

/// Gives the task `id` a text that begins so and is of the length [`LONG`].
fn lengthen(env: &TestEnv, column: &str, id: u32, start: &str) {
    let count = LONG - start.len();
    env.sql(&if is_sqlite(env) {
        format!(
            "UPDATE tasks SET {column} = '{start}' || printf('%.{count}c', 'x') WHERE id = {id}"
        )
    } else {
        format!(
            "ALTER TABLE tasks ALTER {column} TYPE text; \
             UPDATE tasks SET {column} = '{start}' || repeat('x', {count}) WHERE id = {id}"
        )
    });
}

/// What is shown of a text that begins so, where it is cut after so many characters; of one that SQLite would have to read whole, its length.
fn shown(env: &TestEnv, start: &str, most: usize) -> String {
    if is_sqlite(env) {
        format!("({LONG} bytes)")
    } else {
        format!("{start}{}", "x".repeat(most - start.chars().count()))
    }
}

fn report(env: &TestEnv) -> Value {
    run(env, 0, &["stats", "--date", DAY, "--no-save", "--no-alert"]).json()
}

on_each_database! {
    fn an_error_message_of_100_mb_is_shown_by_its_beginning_and_its_length(env) {
        env.insert([
            Task::new(1).at("2026-11-22 10:00:00").failed("二维码"),
            Task::new(2).at("2026-11-22 11:00:00").failed("ValueError: 二维码"),
        ]);
        lengthen(&env, "error_message", 1, "Boom: ");
        let report = report(&env);
        let errors = &report["error_statistics"];
        assert_eq!(errors["error_categories"]["二维码识别错误"], 1, "{errors}");
        assert_eq!(errors["error_categories"]["其他错误"], 1, "{errors}");
        let failed = &errors["failed_tasks"];
        assert_eq!(failed[0]["error_message"], "ValueError: 二维码");
        assert_eq!(failed[0]["category"], "二维码识别错误");
        let expected = match shown(&env, "Boom: ", 64 << 10) {
            shown if is_sqlite(&env) => shown,
            shown => format!("{shown}… ({LONG} bytes)"),
        };
        assert_eq!(failed[1]["error_message"], expected.as_str());
        assert_eq!(failed[1]["category"], "其他错误");
    }

    fn a_message_that_is_longer_than_what_is_shown_is_sorted_by_all_of_it(env) {
        let message = format!("{}二维码", "x".repeat(200_000));
        env.insert([Task::new(1).at("2026-11-22 10:00:00").failed(&message)]);
        let report = report(&env);
        let errors = &report["error_statistics"];
        assert_eq!(errors["error_categories"]["二维码识别错误"], 1, "{errors}");
        assert_eq!(errors["failed_tasks"][0]["category"], "二维码识别错误");
        let expected = format!("{}… (200009 bytes)", "x".repeat(64 << 10));
        assert_eq!(errors["failed_tasks"][0]["error_message"], expected.as_str());
    }

    fn a_name_of_100_mb_is_cut_where_a_task_is_shown(env) {
        env.insert([
            Task::new(1).at("2026-11-22 10:00:00").failed("a").with("processing_time", 900),
            Task::new(2).at("2026-11-22 11:00:00"),
        ]);
        env.config(LABEL);
        lengthen(&env, "task_name", 1, "task_1 ");
        let (report, name) = (report(&env), shown(&env, "task_1 ", 1024));
        let slowest = &report["performance_statistics"]["slowest_tasks"];
        assert_eq!(slowest[0]["task_id"], name.as_str());
        assert_eq!(slowest[1]["task_id"], "name 2");
        assert_eq!(report["error_statistics"]["failed_tasks"][0]["task_id"], name.as_str());
    }

    fn a_status_of_100_mb_is_one_that_nobody_knows(env) {
        env.insert([
            Task::new(1).at("2026-11-22 10:00:00"),
            Task::new(2).at("2026-11-22 11:00:00"),
        ]);
        // As text, and without an index, which holds no such value.
        env.sql(if is_sqlite(&env) {
            "ALTER TABLE tasks RENAME TO indexed; CREATE TABLE tasks AS SELECT * FROM indexed"
        } else {
            "ALTER TABLE tasks ALTER status DROP DEFAULT; DROP INDEX IF EXISTS idx_tasks_status_created_at; \
             CREATE TABLE plain AS SELECT * FROM tasks; ALTER TABLE plain ALTER status TYPE text; \
             ALTER TABLE tasks RENAME TO indexed; ALTER TABLE plain RENAME TO tasks"
        });
        lengthen(&env, "status", 1, "COMPLETED ");
        let tasks = &report(&env)["task_statistics"];
        assert_eq!(tasks["total_tasks"], 2, "{tasks}");
        assert_eq!(tasks["status_breakdown"]["completed"], 1, "{tasks}");
        assert_eq!(tasks["status_breakdown"]["other"], 1, "{tasks}");
        make_files(&env, &[]);
        let result = run(&env, 0, &["cleanup", "--as-of", AS_OF, "--only=tasks", "--completed-tasks-days=1"]).json();
        assert_eq!(result["tasks_cleaned"], 1, "{result}");
        assert_eq!(column(&env, "SELECT id FROM tasks"), ["1"]);
    }

    fn the_oldest_open_task_is_named_however_long_its_name_is(env) {
        let made = (Utc::now() - TimeDelta::hours(30)).format("%Y-%m-%d %H:%M:%S").to_string();
        env.insert([Task::new(1).at(&made).status("PENDING"), Task::new(2).at(&made).status("RECOGNIZING")]);
        env.config(LABEL);
        for id in [1, 2] {
            lengthen(&env, "task_name", id, "task ");
        }
        let result = run(&env, 0, &["alert", "--dry-run"]).json();
        let alerts = result["alerts"].as_array().unwrap();
        assert!(alerts.iter().any(|alert| alert["type"] == "stuck_tasks"), "{result}");
        assert!(alerts.iter().any(|alert| alert["type"] == "backlog"), "{result}");
    }

    fn a_row_with_a_path_of_100_mb_stays_and_the_others_go(env) {
        let tasks = [old(1), old(2)];
        make_files(&env, &tasks);
        env.insert(tasks.clone());
        lengthen(&env, "image_path", 1, "uploads/");
        for more in [&["--dry-run"][..], &[]] {
            let result = run(&env, 1, &[&CLEANUP[..], more].concat()).json();
            assert_eq!(result["tasks_cleaned"], 1, "{result}");
            assert_eq!(result["files_cleaned"], 3, "{result}");
            assert_eq!(kinds(&result), ["unusable_path"], "{result}");
        }
        assert_eq!(ids(&env), ["1"]);
        assert!(has_files(&env, &tasks[0]) && !has_files(&env, &tasks[1]));
    }

    fn a_row_that_stays_may_name_a_path_of_100_mb(env) {
        let (kept, gone) = (Task::new(1).at("2026-11-24 10:00:00"), old(2));
        make_files(&env, &[kept.clone(), gone.clone()]);
        env.insert([kept.clone(), gone.clone()]);
        lengthen(&env, "image_path", 1, &"uploads/./".repeat(100));
        let result = run(&env, 0, &CLEANUP).json();
        assert_eq!((&result["tasks_cleaned"], &result["files_cleaned"]), (&1.into(), &3.into()));
        assert!(has_files(&env, &kept) && !has_files(&env, &gone));
        // In temp folders, the rows are asked which files they name.
        env.write("uploads/temp/a.tmp", "0123456789");
        run(&env, 0, &["cleanup", "--only=temp"]).json();
    }

    fn a_row_whose_other_columns_hold_100_mb_goes(env) {
        let tasks = [old(1).failed("a"), old(2)];
        make_files(&env, &tasks);
        env.insert(tasks.clone());
        lengthen(&env, "error_message", 1, "a");
        env.config(LABEL);
        lengthen(&env, "task_name", 1, "a");
        lengthen(&env, "remarks", 2, "a");
        for more in [&["--dry-run"][..], &[]] {
            let result = run(&env, 0, &[&CLEANUP[..], more].concat()).json();
            assert_eq!((&result["tasks_cleaned"], &result["files_cleaned"]), (&2.into(), &6.into()));
        }
        assert_eq!(ids(&env), [""; 0]);
    }

    fn a_row_with_a_key_of_100_mb_stays(env) {
        let tasks = [old(1), old(2)];
        make_files(&env, &tasks);
        env.insert(tasks);
        env.config("[database.tasks]\nkey = ['remarks']");
        lengthen(&env, "remarks", 1, "a");
        if is_sqlite(&env) {
            // A key without an index is compared with that of each row.
            let failed = run(&env, 3, &["cleanup", "--as-of", AS_OF, "--only=tasks"]);
            failed.failure("query_failed", &["longer than 16777216 bytes"]);
            return;
        }
        let result = run(&env, 1, &["cleanup", "--as-of", AS_OF, "--only=tasks"]).json();
        assert_eq!(result["tasks_cleaned"], 1, "{result}");
        assert_eq!(kinds(&result), ["row_without_key"], "{result}");
        assert_eq!(ids(&env), ["1"]);
    }

    fn a_receipt_with_a_link_of_100_mb_stays(env) {
        make_files(&env, &[]);
        let receipt = |id: u32| {
            format!(
                "INSERT INTO delivery_receipts (id, tracking_number, created_at) VALUES ({id}, 'x{id}', '2026-01-01 10:00:00');"
            )
        };
        env.sql(&[receipt(1), receipt(2)].concat());
        // Without an index, which holds no such value.
        env.sql(
            "ALTER TABLE delivery_receipts RENAME TO indexed; CREATE TABLE delivery_receipts AS SELECT * FROM indexed",
        );
        env.sql(&if is_sqlite(&env) {
            format!("UPDATE delivery_receipts SET tracking_number = printf('%.{LONG}c', 'x') WHERE id = 1")
        } else {
            format!(
                "ALTER TABLE delivery_receipts ALTER tracking_number TYPE text; \
                 UPDATE delivery_receipts SET tracking_number = repeat('x', {LONG}) WHERE id = 1"
            )
        });
        let result = run(&env, 1, &["cleanup", "--as-of", AS_OF, "--only=receipts"]).json();
        assert_eq!(result["receipts_cleaned"], 1, "{result}");
        assert_eq!(kinds(&result), ["row_without_key"], "{result}");
        assert_eq!(column(&env, "SELECT id FROM delivery_receipts"), ["1"]);
    }

    fn check_looks_at_values_of_100_mb(env) {
        make_files(&env, &[]);
        env.insert([Task::new(1), Task::new(2).failed("a")]);
        env.config(LABEL);
        for column in ["task_name", "image_path", "error_message"] {
            lengthen(&env, column, 2, "a");
        }
        let result = run(&env, 0, &["check"]).json();
        let checks = result["checks"].as_array().unwrap();
        let mapping = checks.iter().find(|check| check["name"] == "mapping").unwrap();
        assert_eq!(mapping["status"], "ok", "{mapping}");
    }
}

/// PostgreSQL's times are of a type; SQLite's are what was written.
#[test]
fn a_time_of_100_mb_is_none() {
    let env = TestEnv::sqlite();
    let tasks = [old(1), old(2)];
    make_files(&env, &tasks);
    env.insert(tasks);
    env.sql("ALTER TABLE tasks RENAME TO indexed; CREATE TABLE tasks AS SELECT * FROM indexed");
    lengthen(&env, "completed_at", 1, "2026-01-01");
    let result = run(&env, 1, &["cleanup", "--as-of", AS_OF, "--only=tasks"]).json();
    assert_eq!(result["tasks_cleaned"], 1, "{result}");
    assert_eq!(kinds(&result), ["unreadable_time"], "{result}");
    // A report says which of its values it cannot take.
    lengthen(&env, "created_at", 1, "2026-01-01");
    let failed = run(&env, 3, &["stats", "--date", DAY, "--no-save", "--no-alert"]);
    failed.failure("query_failed", &["longer than"]);
}

/// More names than anybody could list, in one day and among the open tasks: the database chooses the largest.
#[test]
fn a_million_names_are_not_held_on_postgres() {
    check_names(&TestEnv::postgres(), "generate_series(0, 999999) AS series(n)");
}

#[test]
fn a_million_names_are_not_held_on_sqlite() {
    let series = "(WITH RECURSIVE series(n) AS (SELECT 0 UNION ALL SELECT n + 1 FROM series WHERE n < 999999) SELECT n FROM series)";
    check_names(&TestEnv::sqlite(), series);
}

/// Every second task is pending; the names of three are one.
#[track_caller]
fn check_names(env: &TestEnv, numbers: &str) {
    env.sql(&format!(
        "CREATE TABLE jobs (id integer, name text, state text, made timestamp);
         INSERT INTO jobs SELECT n, CASE WHEN n IN (2, 5, 8) THEN 'three' ELSE 'send_invoice_of_customer_number_' || n END, \
             CASE WHEN n % 2 = 0 THEN 'queued' ELSE 'done' END, '{DAY} 10:00:00' FROM {numbers}"
    ));
    env.config(
        "[database.tasks]\nfrom = 'jobs'\ndelete_from = ''\nkey = ['id']\nlabel = 'id'\nstatus = 'state'\ncreated_at = 'made'\n\
         started_at = ''\ncompleted_at = ''\nupdated_at = ''\nprocessing_time = ''\nerror_message = ''\nretry_count = ''\n\
         name = 'name'\nlink = ''\nfiles = []\n[database.tasks.states]\npending = ['queued']\nprocessing = []\ncompleted = ['done']\n\
         failed = []\ncancelled = []\n",
    );
    let report = run(env, 0, &["stats", "--date", DAY, "--no-save", "--no-alert"]).json();
    let names = report["names"].as_array().unwrap();
    assert_eq!(
        (names.len(), &names[0]["name"], &names[0]["count"]),
        (50, &json!("three"), &json!(3))
    );
    assert_eq!(report["other"]["names"]["count"], 1_000_000 - 52);
    let live = run(env, 0, &["alert", "--dry-run"]).json()["live"].clone();
    assert_eq!(
        (&live["names"][0]["name"], &live["names"][0]["pending"]),
        (&json!("three"), &json!(2))
    );
    assert_eq!(live["other"]["names"]["pending"], 500_000 - 51);
}
