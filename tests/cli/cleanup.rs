//! `taskmon cleanup`: what goes, what stays, and what it says of both.

use crate::on_each_database;
use crate::support::env::{Finished, TestEnv};
use crate::support::rows::Task;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::Duration;

/// The time from which the tests' limits count back.
pub const AS_OF: &str = "2026-11-25T04:00:00+08:00";

/// A completed task that has expired by then.
pub fn old(n: u32) -> Task {
    Task::new(n).at("2026-10-01 10:00:00")
}

const FILES: [&str; 3] = ["image_path", "document_path", "screenshot_path"];

/// The files that a task names, ten bytes each.
pub fn make_files(env: &TestEnv, tasks: &[Task]) {
    // A root that holds nothing is taken for a volume that is not mounted.
    env.write("uploads/keep/.gitkeep", "");
    env.write("static/keep/.gitkeep", "");
    for path in tasks.iter().flat_map(paths) {
        env.write(&path, "0123456789");
    }
}

pub fn paths(task: &Task) -> Vec<String> {
    FILES
        .iter()
        .filter_map(|column| task.columns.get(column)?.clone())
        .filter(|path| !path.is_empty())
        .collect()
}

pub fn has_files(env: &TestEnv, task: &Task) -> bool {
    let there: Vec<bool> = paths(task).iter().map(|path| env.path(path).exists()).collect();
    assert!(there.iter().all(|one| *one == there[0]), "{there:?}\n{}", env.tree());
    there[0]
}

pub fn prepare(env: &TestEnv, tasks: &[Task]) {
    make_files(env, tasks);
    env.insert(tasks.iter().cloned());
}

#[track_caller]
pub fn run(env: &TestEnv, code: i32, more: &[&str]) -> Finished {
    let mut arguments = vec!["-q", "-q", "cleanup", "--as-of", AS_OF];
    arguments.extend(more);
    env.taskmon(arguments).exits(code)
}

#[track_caller]
pub fn cleanup(env: &TestEnv, code: i32, more: &[&str]) -> Value {
    run(env, code, more).json()
}

/// One column of a query's rows, as text.
pub fn column(env: &TestEnv, query: &str) -> Vec<String> {
    if env.url().starts_with("sqlite") {
        let connection = env.connection();
        let mut statement = connection.prepare(query).unwrap();
        let rows = statement.query_map([], |row| row.get::<_, rusqlite::types::Value>(0)).unwrap();
        rows.map(|row| match row.unwrap() {
            rusqlite::types::Value::Integer(number) => number.to_string(),
            rusqlite::types::Value::Text(text) => text,
            other => panic!("{other:?}"),
        })
        .collect()
    } else {
        let query = format!("SELECT q.c::text FROM ({query}) AS q(c)");
        let rows = env.client().query(&query, &[]).unwrap();
        rows.iter().map(|row| row.get(0)).collect()
    }
}

pub fn ids(env: &TestEnv) -> Vec<String> {
    column(env, "SELECT id FROM tasks ORDER BY id")
}

pub fn kinds(result: &Value) -> Vec<&str> {
    let errors = result["errors"].as_array().unwrap();
    errors.iter().map(|error| error["kind"].as_str().unwrap()).collect()
}

/// Every file and folder with its times and length; the record of runs, which even a dry run leaves, and the time of its folder aside.
pub fn state(folder: &Path) -> BTreeMap<String, (i64, i64, u64)> {
    walkdir::WalkDir::new(folder)
        .into_iter()
        .map(Result::unwrap)
        .filter(|entry| {
            let is_folder_of_records = entry.depth() == 1 && entry.file_name() == "logs";
            !is_folder_of_records && entry.file_name() != "taskmon_runs.jsonl"
        })
        .map(|entry| {
            let found = entry.metadata().unwrap();
            let name = entry.path().display().to_string();
            (name, (found.mtime(), found.mtime_nsec(), found.len()))
        })
        .collect()
}

pub fn age(path: &Path, hours: u64) {
    let now = std::time::SystemTime::now();
    let file = std::fs::File::open(path).unwrap();
    file.set_modified(now - Duration::from_secs(hours * 3600)).unwrap();
}

on_each_database! {
    fn what_has_expired_goes_with_its_files_and_nothing_else(env) {
        let tasks = [
            old(1),
            Task::new(2).at("2026-11-20 10:00:00"),
            old(3).failed("dead").with("updated_at", "2026-11-17 03:00:00.5"),
            old(4).failed("dead").with("updated_at", "2026-11-18 05:00:00.5"),
            old(5).status("PENDING"),
            old(6).status("RECOGNIZING"),
            old(7).status("RETURNED"),
            old(8).without("completed_at").without("updated_at"),
            old(9).without("completed_at").without("updated_at").without("created_at"),
        ];
        prepare(&env, &tasks);
        let result = cleanup(&env, 0, &["--only", "tasks"]);
        assert_eq!(ids(&env), ["2", "4", "5", "6", "7", "9"]);
        for (task, stays) in tasks.iter().zip([false, true, false, true, true, true, true, false, true]) {
            assert_eq!(has_files(&env, task), stays, "{:?}", task.columns["id"]);
        }
        assert_eq!(result["tasks_cleaned"], 3);
        assert_eq!(result["files_cleaned"], 9);
        assert_eq!(result["receipts_cleaned"], 0);
        assert_eq!(result["logs_cleaned"], 0);
        assert_eq!(result["errors"], json!([]));
        assert_eq!(result["dry_run"], false);
        assert_eq!(result["success"], true);
    }

    fn a_limit_is_exact_to_the_microsecond(env) {
        let base = |n| Task::new(n).at("2026-09-01 10:00:00");
        let tasks = [
            base(1).with("completed_at", "2026-10-26 03:59:59.999999"),
            base(2).with("completed_at", "2026-10-26 04:00:00.000000"),
            base(3).with("completed_at", "2026-10-26 04:00:01.000000"),
            base(4).with("completed_at", "2026-10-26 03:59:59.000000"),
            base(5).failed("x").with("updated_at", "2026-11-18 03:59:59.999999"),
            base(6).failed("x").with("updated_at", "2026-11-18 04:00:00.000000"),
            base(7).failed("x").with("updated_at", "2026-11-18 04:00:01.000000"),
        ];
        prepare(&env, &tasks);
        cleanup(&env, 0, &["--only", "tasks"]);
        assert_eq!(ids(&env), ["2", "3", "6", "7"]);
    }

    fn completed_tasks_are_judged_by_their_end_and_failed_ones_by_their_last_change(env) {
        let tasks = [
            old(1).with("updated_at", "2026-11-24 10:00:00"),
            old(2).failed("x").with("updated_at", "2026-11-24 10:00:00"),
            // Created after it ended: somebody's clock was wrong, and it has expired all the same.
            Task::new(3).at("2026-11-24 10:00:00").with("completed_at", "2026-10-01 10:00:00"),
            old(4).without("created_at"),
        ];
        prepare(&env, &tasks);
        cleanup(&env, 0, &["--only", "tasks"]);
        assert_eq!(ids(&env), ["2"]);
    }

    fn no_number_means_never(env) {
        prepare(&env, &[Task::new(1)]);
        let refused = env.taskmon(["cleanup", "--failed-tasks-days", "-1"]).exits(2);
        refused.stderr_contains("failed-tasks-days");
        let refused = run_with(&env, "TASKMON_FAILED_TASKS_DAYS", "-1");
        refused.failure("config_invalid", &["TASKMON_FAILED_TASKS_DAYS", "-1"]);
        assert_eq!(ids(&env), ["1"]);
    }

    fn hostile_paths_keep_their_rows_and_the_rest_goes(env) {
        let outside = env.path("outside.txt");
        env.write("outside.txt", "precious");
        env.write("folder/inner.txt", "precious");
        let long = "x".repeat(5000);
        let hostile = [
            ("/etc/passwd", "outside_roots"),
            ("../outside.txt", "outside_roots"),
            ("uploads/../outside.txt", "outside_roots"),
            (outside.to_str().unwrap(), "outside_roots"),
            ("uploads/link.txt", "not_a_file"),
            ("uploads/out/inner.txt", "outside_roots"),
            ("uploads/keep", "not_a_file"),
            ("uploads/keep/", "unusable_path"),
            ("uploads/new\nline.txt", "unusable_path"),
            (long.as_str(), "unusable_path"),
            ("~/file.txt", "outside_roots"),
            ("https://example.org/a.png", "outside_roots"),
            ("uploads", "outside_roots"),
            ("uploads/fifo", "not_a_file"),
        ];
        let mut tasks: Vec<Task> = hostile
            .iter()
            .zip(1..)
            .map(|((path, _), n)| old(n).with("image_path", path).without("document_path"))
            .collect();
        tasks.push(old(50));
        if !env.url().starts_with("sqlite") {
            env.sql("ALTER TABLE tasks ALTER image_path TYPE text");
        }
        env.write("uploads/keep/.gitkeep", "");
        env.write("static/keep/.gitkeep", "");
        for task in &tasks {
            env.write(&task.columns["screenshot_path"].clone().unwrap(), "0123456789");
        }
        make_files(&env, &tasks[tasks.len() - 1..]);
        std::os::unix::fs::symlink(&outside, env.path("uploads/link.txt")).unwrap();
        std::os::unix::fs::symlink(env.path("folder"), env.path("uploads/out")).unwrap();
        rustix::fs::mknodat(rustix::fs::CWD, env.path("uploads/fifo"), rustix::fs::FileType::Fifo, 0o600.into(), 0).unwrap();
        env.insert(tasks.iter().cloned());
        let result = cleanup(&env, 1, &["--only", "tasks"]);
        let expected: Vec<&str> = hostile.iter().map(|(_, kind)| *kind).collect();
        assert_eq!(kinds(&result), expected, "{result:#}");
        assert_eq!(result["errors_total"], hostile.len());
        assert_eq!(result["tasks_cleaned"], 1);
        assert_eq!(ids(&env).len(), hostile.len());
        for task in &tasks[..hostile.len()] {
            assert!(env.path(task.columns["screenshot_path"].as_ref().unwrap()).exists());
        }
        assert_eq!(env.read("outside.txt"), "precious");
        assert_eq!(env.read("folder/inner.txt"), "precious");
        assert!(env.path("uploads/link.txt").symlink_metadata().is_ok());
    }

    fn paths_outside_can_be_ignored_and_are_not_touched(env) {
        env.write("outside.txt", "precious");
        prepare(&env, &[old(1)]);
        env.sql("UPDATE tasks SET image_path = '../x', document_path = 'outside.txt'");
        env.config("[cleanup]\noutside_paths = 'ignore'");
        let result = cleanup(&env, 0, &["--only", "tasks"]);
        assert_eq!((&result["tasks_cleaned"], &result["files_cleaned"]), (&json!(1), &json!(1)));
        assert_eq!(env.read("outside.txt"), "precious");
    }

    fn a_file_that_a_row_which_stays_names_stays_in_every_spelling(env) {
        let absolute = env.path("uploads/image_3.png");
        let absolute = absolute.to_str().unwrap();
        let stays = |n| Task::new(n).without("document_path").without("screenshot_path");
        let tasks = [
            old(1), old(2), old(3), old(4),
            stays(11).with("image_path", "uploads/image_1.png"),
            stays(12).with("image_path", "./uploads//image_2.png"),
            stays(13).with("image_path", absolute),
            stays(14).with("image_path", "uploads/x/../image_4.png"),
        ];
        prepare(&env, &tasks[..4]);
        env.insert(tasks[4..].iter().cloned());
        let result = cleanup(&env, 0, &["--only", "tasks"]);
        assert_eq!(ids(&env), ["11", "12", "13", "14"]);
        for n in 1..=4 {
            assert!(env.path(format!("uploads/image_{n}.png")).exists(), "{n}");
            assert!(!env.path(format!("static/screen_{n}.png")).exists(), "{n}");
        }
        assert_eq!(result["files_shared"], 4);
        assert_eq!(result["files_cleaned"], 8);
    }

    fn expired_rows_that_share_a_file_take_it_with_the_last_of_them(env) {
        let tasks: Vec<Task> = (1..=7).map(|n| old(n).with("image_path", "uploads/same.png")).collect();
        prepare(&env, &tasks);
        let dry_run = cleanup(&env, 0, &["--only", "tasks", "--batch-size", "2", "--dry-run"]);
        let result = cleanup(&env, 0, &["--only", "tasks", "--batch-size", "2"]);
        assert_eq!(result["files_cleaned"], 15);
        assert_eq!(result["tasks_cleaned"], 7);
        assert_eq!(dry_run["files_cleaned"], 15);
        assert!(!env.path("uploads/same.png").exists());
    }

    fn orphaned_receipts_go_with_their_tracking_rows_and_files(env) {
        prepare(&env, &[old(1).with("tracking_number", "T1"), Task::new(2).with("tracking_number", "T2")]);
        for (id, link, created) in [(1, "T1", "2026-10-01"), (2, "T2", "2026-10-02"), (3, "T3", "2026-11-20"), (4, "T4", "2026-10-03")] {
            env.sql(&format!(
                "INSERT INTO delivery_receipts (id, tracking_number, qr_code_path, delivery_receipt_doc_path, created_at) \
                 VALUES ({id}, '{link}', 'static/qr_{id}.png', 'static/doc_{id}.docx', '{created} 10:00:00'); \
                 INSERT INTO tracking_info (id, delivery_receipt_id, screenshot_path) VALUES ({id}, {id}, 'static/info_{id}.png')"
            ));
            for name in ["qr", "doc", "info"] {
                let ending = if name == "doc" { "docx" } else { "png" };
                env.write(&format!("static/{name}_{id}.{ending}"), "12345");
            }
        }
        let dry_run = cleanup(&env, 0, &["--only", "tasks,receipts", "--dry-run"]);
        let result = cleanup(&env, 0, &["--only", "tasks,receipts"]);
        for key in ["tasks_cleaned", "receipts_cleaned", "files_cleaned", "disk_space_freed_mb", "files_shared"] {
            assert_eq!(dry_run[key], result[key], "{key}");
        }
        assert_eq!(result["receipts_cleaned"], 2);
        assert_eq!(result["files_cleaned"], 9);
        assert_eq!(column(&env, "SELECT id FROM delivery_receipts ORDER BY id"), ["2", "3"]);
        assert_eq!(column(&env, "SELECT delivery_receipt_id FROM tracking_info ORDER BY 1"), ["2", "3"]);
        assert!(env.path("static/info_2.png").exists() && !env.path("static/info_1.png").exists());
    }

    fn a_document_that_task_and_receipt_share_goes_with_the_last_of_them(env) {
        prepare(&env, &[old(1).with("tracking_number", "T1"), old(2).with("tracking_number", "T2")]);
        for (id, created) in [(1, "2026-10-01"), (2, "2026-11-20")] {
            env.sql(&format!(
                "INSERT INTO delivery_receipts (id, tracking_number, delivery_receipt_doc_path, created_at) \
                 VALUES ({id}, 'T{id}', 'static/document_{id}.docx', '{created} 10:00:00')"
            ));
        }
        let dry_run = cleanup(&env, 0, &["--dry-run"]);
        let result = cleanup(&env, 0, &[]);
        assert_eq!(result["files_cleaned"], 5);
        assert_eq!(dry_run["files_cleaned"], 5);
        assert!(!env.path("static/document_1.docx").exists());
        assert!(env.path("static/document_2.docx").exists());
        assert_eq!(column(&env, "SELECT id FROM delivery_receipts"), ["2"]);
    }

    fn a_dry_run_changes_nothing_and_says_what_the_run_will(env) {
        let tasks: Vec<Task> = (1..=30).map(old).collect();
        prepare(&env, &tasks);
        env.sql("UPDATE tasks SET image_path = '/etc/passwd' WHERE id = 5");
        env.sql("UPDATE tasks SET image_path = 'uploads/image_7.png' WHERE id = 8");
        std::fs::remove_file(env.path("uploads/image_9.png")).unwrap();
        std::fs::hard_link(env.path("uploads/image_10.png"), env.path("uploads/hard.png")).unwrap();
        env.write("uploads/temp/a/old.bin", "12345678");
        env.write("logs/app.log.3.gz", "12345678");
        age(&env.path("uploads/temp/a/old.bin"), 5000);
        age(&env.path("logs/app.log.3.gz"), 5000);
        let before = state(&env.path("."));
        let dry_run = cleanup(&env, 1, &["--dry-run", "--batch-size", "7"]);
        assert_eq!(state(&env.path(".")), before);
        assert_eq!(ids(&env).len(), 30);
        let result = cleanup(&env, 1, &["--batch-size", "7"]);
        for key in ["tasks_cleaned", "files_cleaned", "receipts_cleaned", "logs_cleaned", "disk_space_freed_mb", "errors", "errors_total"] {
            assert_eq!(dry_run[key], result[key], "{key}");
        }
        assert_eq!(dry_run["dry_run"], true);
        assert_eq!(result["tasks_cleaned"], 29);
        assert_eq!(ids(&env), ["5"]);
    }

    fn rows_that_the_database_keeps_keep_their_files(env) {
        let tasks: Vec<Task> = (1..=20).map(old).collect();
        prepare(&env, &tasks);
        if env.url().starts_with("sqlite") { env.sql(
                "CREATE TABLE now_refers (task integer REFERENCES tasks (id)); INSERT INTO now_refers VALUES (3); \
                 CREATE TABLE later_refers (task integer REFERENCES tasks (id) DEFERRABLE INITIALLY DEFERRED); \
                 INSERT INTO later_refers VALUES (7); \
                 CREATE TRIGGER keep BEFORE DELETE ON tasks WHEN old.id = 11 BEGIN SELECT RAISE(ABORT, 'eleven is kept'); END; \
                 CREATE TRIGGER skip BEFORE DELETE ON tasks WHEN old.id = 12 BEGIN SELECT RAISE(IGNORE); END; \
                 CREATE TRIGGER roll BEFORE DELETE ON tasks WHEN old.id = 13 BEGIN SELECT RAISE(ROLLBACK, 'all back'); END"
            ) } else { env.sql(
                "CREATE TABLE now_refers (task integer REFERENCES tasks (id)); INSERT INTO now_refers VALUES (3); \
                 CREATE TABLE later_refers (task integer REFERENCES tasks (id) DEFERRABLE INITIALLY DEFERRED); \
                 INSERT INTO later_refers VALUES (7); \
                 CREATE FUNCTION keep() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN \
                 IF old.id = 11 THEN RAISE EXCEPTION 'eleven is kept'; END IF; \
                 IF old.id = 13 THEN PERFORM no_such_column FROM tasks; END IF; \
                 IF old.id = 12 THEN RETURN NULL; END IF; RETURN old; END $$; \
                 CREATE TRIGGER keep BEFORE DELETE ON tasks FOR EACH ROW EXECUTE FUNCTION keep()"
            ) }
        let dry_run = cleanup(&env, 1, &["--only", "tasks", "--dry-run"]);
        let result = cleanup(&env, 1, &["--only", "tasks"]);
        assert_eq!(ids(&env), ["3", "7", "11", "12", "13"]);
        for task in &tasks {
            let id = task.columns["id"].clone().unwrap();
            assert_eq!(has_files(&env, task), ids(&env).contains(&id), "{id}");
        }
        assert_eq!(kinds(&result), ["row_refused"; 5]);
        assert_eq!(result["tasks_cleaned"], 15);
        assert_eq!(dry_run["tasks_cleaned"], 15);
        assert_eq!(dry_run["files_cleaned"], 45);
        assert_eq!(dry_run["errors_total"], 5);
        let text = result["errors"].to_string();
        assert!(text.contains("eleven is kept") && text.contains("task_7"), "{text}");
    }

    fn a_volume_that_is_not_mounted_holds_its_rows_back(env) {
        let tasks = [old(1), old(2).without("image_path")];
        prepare(&env, &tasks);
        std::fs::rename(env.path("uploads"), env.path("elsewhere")).unwrap();
        let result = cleanup(&env, 1, &["--only", "tasks"]);
        assert_eq!(kinds(&result), ["root_unavailable"]);
        assert_eq!(ids(&env), ["1"]);
        std::fs::create_dir(env.path("uploads")).unwrap();
        assert_eq!(kinds(&cleanup(&env, 1, &["--only", "tasks"])), ["root_unavailable"]);
        env.write("uploads/something", "");
        env.config("[cleanup]\nroot_marker = '.mounted'");
        assert_eq!(kinds(&cleanup(&env, 1, &["--only", "tasks"]))[0], "root_unavailable");
        assert_eq!(ids(&env), ["1"]);
        std::fs::remove_dir_all(env.path("uploads")).unwrap();
        cleanup(&env, 0, &["--only", "tasks", "--force"]);
        assert!(ids(&env).is_empty());
    }

    fn a_volume_within_another_root_holds_its_rows_back_too(env) {
        prepare(&env, &[old(1).with("image_path", "uploads/volume/a.png"), old(2)]);
        std::fs::remove_file(env.path("uploads/volume/a.png")).unwrap();
        env.config("[cleanup]\nstorage_roots = ['uploads', 'uploads/volume', 'static']");
        let result = cleanup(&env, 1, &["--only", "tasks"]);
        assert_eq!(kinds(&result), ["root_unavailable"]);
        assert_eq!(ids(&env), ["1"]);
    }

    fn a_column_that_is_missing_refuses_the_job(env) {
        prepare(&env, &[old(1)]);
        env.sql("ALTER TABLE tasks DROP COLUMN screenshot_path");
        run(&env, 3, &[]).failure("mapping_mismatch", &["database.tasks.files[3]", "screenshot_path"]);
        assert!(env.path("uploads/image_1.png").exists());
    }

    fn a_mapping_of_ones_own_must_say_what_to_delete_from(env) {
        prepare(&env, &[old(1)]);
        env.sql("CREATE VIEW jobs AS SELECT * FROM tasks");
        env.config("[database.tasks]\nfrom = 'jobs'");
        run(&env, 2, &["--only", "tasks"]).failure("config_invalid", &["database.tasks.delete_from"]);
        env.config("[database.tasks]\nfrom = 'jobs'\ndelete_from = ''");
        let kept = cleanup(&env, 0, &["--only", "tasks"]);
        assert_eq!(kept["tasks_cleaned"], 0);
        assert!(kept["notes"][0].as_str().unwrap().contains("delete_from"));
        env.config("[database.tasks]\nfrom = 'jobs'\ndelete_from = 'tasks'\nguard = 'user_id <> 702'");
        env.insert([old(2)]);
        make_files(&env, &[old(2)]);
        assert_eq!(cleanup(&env, 0, &["--only", "tasks"])["tasks_cleaned"], 1);
        assert_eq!(ids(&env), ["2"]);
        assert!(env.path("uploads/image_2.png").exists());
    }

    fn a_guard_on_a_quoted_column_that_is_not_there_deletes_nothing(env) {
        prepare(&env, &[old(1), old(2)]);
        // To SQLite, left to itself, it is a string, and the condition is true of every row.
        env.config("[database.tasks]\nguard = 'not \"no such column\"'");
        run(&env, 3, &[]).failure("mapping_mismatch", &["guard", "no such column"]);
        assert_eq!(ids(&env), ["1", "2"]);
        assert!(has_files(&env, &old(1)) && has_files(&env, &old(2)));
    }

    fn an_expression_that_no_row_has_alone_is_named(env) {
        prepare(&env, &[old(1)]);
        for (key, expression) in [("updated_at", "max(updated_at)"), ("guard", "count(*) > 1"), ("link", "min(tracking_number)")] {
            env.config(&format!("[database.tasks]\n{key} = '{expression}'"));
            run(&env, 3, &["--only", "tasks"]).failure("mapping_mismatch", &[&format!("database.tasks.{key}"), expression, "aggregate"]);
        }
        assert_eq!(ids(&env), ["1"]);
    }

    fn the_brake_and_a_time_that_is_to_come_stop_it_before_anything_goes(env) {
        prepare(&env, &[old(1), old(2), Task::new(3)]);
        env.config("[cleanup]\nbrake_percent = 50");
        run(&env, 3, &[]).failure("brake", &["66.67", "brake_percent"]);
        let future = env.taskmon(["cleanup", "--as-of", "2999-01-01T00:00:00Z"]).exits(2);
        future.failure("usage", &["--as-of"]);
        future.stderr_contains("--as-of");
        assert_eq!(ids(&env).len(), 3);
        assert_eq!(cleanup(&env, 0, &["--only", "tasks", "--force"])["tasks_cleaned"], 2);
    }

    fn eight_runs_at_once_count_each_row_once(env) {
        let tasks: Vec<Task> = (1..=400)
            .map(|n| match n % 3 { 0 => old(n).with("image_path", format!("uploads/shared_{}.png", n / 6)), _ => old(n) })
            .collect();
        prepare(&env, &tasks);
        for locks in [&["--no-lock"][..], &[]] {
            let arguments = ["-q", "-q", "cleanup", "--as-of", AS_OF, "--only", "tasks", "--batch-size", "20"];
            let runs: Vec<_> = (0..8)
                .map(|_| env.taskmon(arguments.iter().chain(locks).copied()).spawn())
                .collect();
            let mut cleaned = 0;
            let mut files = 0;
            let mut skipped = 0;
            for finished in runs.into_iter().map(crate::support::env::Running::wait) {
                let result = finished.json();
                match finished.code {
                    Some(0) => {
                        cleaned += result["tasks_cleaned"].as_u64().unwrap();
                        files += result["files_cleaned"].as_u64().unwrap();
                        assert_eq!(result["errors"], json!([]));
                    }
                    Some(75) => skipped += 1,
                    _ => finished.fail("expected 0 or 75"),
                }
            }
            assert_eq!(cleaned, 400, "{skipped} skipped");
            assert_eq!(files, 400 * 2 + 267 + 67);
            assert!(ids(&env).is_empty());
            assert_eq!(std::fs::read_dir(env.path("uploads")).unwrap().count(), 1, "{}", env.tree());
            prepare(&env, &tasks);
        }
    }

    fn killed_at_any_moment_it_leaves_no_file_without_its_row(env) {
        let tasks: Vec<Task> = (1..=300).map(old).collect();
        prepare(&env, &tasks);
        let kept = Task::new(900);
        make_files(&env, std::slice::from_ref(&kept));
        env.insert([kept.clone()]);
        let moments: u64 = std::env::var("CLEANUP_KILLS").map_or(15, |text| text.parse().unwrap());
        for moment in 0..moments {
            let mut command = env.taskmon(["-q", "-q", "cleanup", "--as-of", AS_OF, "--only", "tasks", "--batch-size", "3", "--no-lock"]).command();
            let mut child = command.stdout(std::process::Stdio::null()).stderr(std::process::Stdio::null()).spawn().unwrap();
            std::thread::sleep(Duration::from_micros(5_000 + (moment * 7919) % 60_000));
            child.kill().unwrap();
            child.wait().unwrap();
            let left = ids(&env);
            for task in &tasks {
                let id = task.columns["id"].clone().unwrap();
                let any = paths(task).iter().any(|path| env.path(path).exists());
                assert!(left.contains(&id) || !any, "the row {id} is gone and has files\n{}", env.tree());
            }
            assert!(has_files(&env, &kept));
            if left.len() < 30 {
                prepare_again(&env, &tasks, &left);
            }
        }
        cleanup(&env, 0, &["--only", "tasks", "--no-lock"]);
        assert_eq!(ids(&env), ["900"]);
        assert!(has_files(&env, &kept));
        assert_eq!(std::fs::read_dir(env.path("static")).unwrap().count(), 3);
    }

    fn a_signal_ends_it_after_the_batch_in_hand(env) {
        let tasks: Vec<Task> = (1..=600).map(old).collect();
        prepare(&env, &tasks);
        let mut command = env.taskmon(["-q", "-q", "cleanup", "--as-of", AS_OF, "--only", "tasks", "--batch-size", "1"]).command();
        let child = command.stdout(std::process::Stdio::piped()).stderr(std::process::Stdio::null()).spawn().unwrap();
        while ids(&env).len() > 580 {
            std::thread::sleep(Duration::from_millis(2));
        }
        let pid = rustix::process::Pid::from_raw(child.id().try_into().unwrap()).unwrap();
        rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
        let output = child.wait_with_output().unwrap();
        assert_eq!(output.status.code(), Some(1));
        let result: Value = serde_json::from_slice(&output.stdout).unwrap();
        assert_eq!(result["stopped"], "signal");
        assert_eq!(kinds(&result), ["stopped"]);
        let cleaned = result["tasks_cleaned"].as_u64().unwrap();
        assert_eq!(cleaned + ids(&env).len() as u64, 600);
        assert!(cleaned < 600);
    }

    fn temp_files_that_a_row_names_stay(env) {
        prepare(&env, &[Task::new(1).with("image_path", "uploads/temp/named.png")]);
        for name in ["named.png", "free.png", ".hidden", "young.png", ".gitkeep"] {
            env.write(&format!("uploads/temp/{name}"), "12345");
            let hours = if name == "young.png" { 1 } else { 800 };
            age(&env.path(format!("uploads/temp/{name}")), hours);
        }
        let result = env.taskmon(["cleanup", "--only", "temp"]).success().json();
        assert_eq!(result["files_cleaned"], 2);
        let left: Vec<String> = names(&env.path("uploads/temp"));
        assert_eq!(left, [".gitkeep", "named.png", "young.png"]);
    }
}

pub fn names(folder: &Path) -> Vec<String> {
    let mut names: Vec<String> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

pub fn prepare_again(env: &TestEnv, tasks: &[Task], left: &[String]) {
    let gone = tasks.iter().filter(|task| !left.contains(task.columns["id"].as_ref().unwrap()));
    let gone: Vec<Task> = gone.cloned().collect();
    prepare(env, &gone);
}

#[track_caller]
fn run_with(env: &TestEnv, name: &str, value: &str) -> Finished {
    env.taskmon(["-q", "-q", "cleanup", "--only", "tasks"]).env(name, value).exits(2)
}

#[test]
fn times_with_a_letter_and_with_a_space_are_one_time() {
    let env = TestEnv::sqlite();
    let tasks = [
        old(1).with("completed_at", "2026-10-26T03:59:59"),
        old(2).with("completed_at", "2026-10-26T04:00:01"),
        old(3).with("completed_at", "2026-10-25T19:59:59Z"),
        old(4).with("completed_at", "2026-10-25T20:00:01+00:00"),
        old(5).with("completed_at", "yesterday"),
        old(6).with("completed_at", ""),
    ];
    prepare(&env, &tasks);
    let result = cleanup(&env, 1, &["--only", "tasks"]);
    assert_eq!(ids(&env), ["2", "4", "5"]);
    assert_eq!(kinds(&result), ["unreadable_time"]);
    assert!(result["errors"][0]["message"].as_str().unwrap().contains("yesterday"));
}

#[test]
fn terminated_backends_cost_nothing_but_time() {
    let env = TestEnv::postgres();
    let tasks: Vec<Task> = (1..=300).map(old).collect();
    prepare(&env, &tasks);
    let mut client = env.client();
    let running = env
        .taskmon(["-q", "-q", "cleanup", "--as-of", AS_OF, "--only", "tasks", "--batch-size", "5"])
        .spawn();
    for _ in 0..3 {
        std::thread::sleep(Duration::from_millis(40));
        let sql = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()";
        client.query(sql, &[]).unwrap();
    }
    let finished = running.wait();
    let result = finished.json();
    let left = ids(&env);
    for task in &tasks {
        let id = task.columns["id"].clone().unwrap();
        let any = paths(task).iter().any(|path| env.path(path).exists());
        assert!(left.contains(&id) || !any, "the row {id} is gone and has files");
    }
    if result["success"] == true {
        assert_eq!(result["tasks_cleaned"].as_u64().unwrap() + left.len() as u64, 300);
    }
    cleanup(&env, 0, &["--only", "tasks"]);
    assert!(ids(&env).is_empty());
}

#[test]
fn logs_and_temp_files_need_no_database() {
    let env = TestEnv::new();
    for (path, hours) in [
        ("logs/app.log", 2),
        ("logs/app.log.1", 800),
        ("logs/app.log.2.gz", 800),
        ("logs/deep/er/app.log", 800),
        ("logs/notes.txt", 800),
        ("logs/mixed/a.log", 800),
        ("logs/mixed/b.txt", 800),
        ("uploads/temp/x/y/z.bin", 800),
        ("static/temp/young.bin", 2),
    ] {
        env.write(path, "0123456789");
        age(&env.path(path), hours);
    }
    for folder in [
        "logs/deep/er",
        "logs/deep",
        "logs/mixed",
        "uploads/temp/x/y",
        "uploads/temp/x",
        "uploads/temp",
    ] {
        age(&env.path(folder), 800);
    }
    std::os::unix::fs::symlink("/etc", env.path("logs/link")).unwrap();
    let before = state(&env.path("."));
    let dry_run = env.taskmon(["cleanup", "--only", "temp,logs", "--dry-run"]).success().json();
    assert_eq!(state(&env.path(".")), before);
    let result = env.taskmon(["cleanup", "--only", "temp,logs"]).success().json();
    for result in [&result, &dry_run] {
        assert_eq!(result["logs_cleaned"], 4);
        assert_eq!(result["files_cleaned"], 1);
        assert_eq!(result["folders_removed"], 4);
    }
    let mut left = names(&env.path("logs"));
    left.retain(|name| !name.ends_with(".lock"));
    assert_eq!(left, ["app.log", "link", "mixed", "notes.txt", "taskmon_runs.jsonl"]);
    assert_eq!(names(&env.path("logs/mixed")), ["b.txt"]);
    assert!(names(&env.path("uploads/temp")).is_empty());
}

#[test]
fn folders_that_matter_are_never_swept() {
    let env = TestEnv::new();
    let home = env.path("home");
    std::os::unix::fs::symlink("/tmp", env.path("sneaky")).unwrap();
    for folder in [
        "/",
        "/tmp",
        "/etc",
        ".",
        "..",
        "home",
        "reports",
        "reports/daily",
        "sneaky",
        home.to_str().unwrap(),
    ] {
        env.write("taskmon.toml", &format!("[cleanup]\ntemp_dirs = ['{folder}']"));
        let refused = env.taskmon(["-q", "-q", "cleanup", "--only", "temp"]).exits(2);
        refused.failure("folder_refused", &["cleanup.temp_dirs"]);
    }
}

#[test]
fn without_a_database_rows_cannot_go_and_nothing_is_made() {
    let env = TestEnv::new();
    let refused = env.taskmon(["-q", "-q", "cleanup"]).exits(2);
    refused.failure("database_not_configured", &["no database"]);
    env.write("taskmon.toml", "[database]\nurl = 'sqlite:lost.db'");
    let refused = env.taskmon(["-q", "-q", "cleanup"]).exits(3);
    refused.failure("database_unavailable", &["lost.db"]);
    env.write("uploads/temp/old.bin", "1");
    age(&env.path("uploads/temp/old.bin"), 800);
    let result = env.taskmon(["-q", "-q", "cleanup", "--only", "temp,logs"]).exits(1).json();
    assert_eq!(kinds(&result), ["database_unavailable"]);
    assert!(env.path("uploads/temp/old.bin").exists());
    assert!(!env.path("lost.db").exists());
}

/// The binary as an unprivileged user: root may remove whatever it likes.
fn unprivileged(env: &TestEnv) -> Finished {
    let arguments = ["-q", "-q", "cleanup", "--as-of", AS_OF, "--only", "tasks"];
    if !rustix::process::geteuid().is_root() {
        return env.taskmon(arguments).exits(1);
    }
    let words = ["--reuid=65534", "--regid=65534", "--clear-groups"].into_iter();
    let binary = env!("CARGO_BIN_EXE_taskmon");
    env.program("/usr/bin/setpriv", words.chain([binary]).chain(arguments)).exits(1)
}

#[test]
fn a_file_in_a_folder_that_may_not_be_written_keeps_its_row() {
    use std::os::unix::fs::PermissionsExt;
    let env = TestEnv::postgres();
    let tasks = [
        old(1).with("image_path", "uploads/closed/a.png"),
        old(2).with("image_path", "uploads/sticky/b.png"),
        old(3).with("image_path", "uploads/open/c.png"),
    ];
    prepare(&env, &tasks);
    let mode = |path: &str, bits| {
        std::fs::set_permissions(env.path(path), std::fs::Permissions::from_mode(bits)).unwrap();
    };
    for folder in [".", "uploads", "static", "uploads/open"] {
        mode(folder, 0o777);
    }
    mode("uploads/closed", 0o555);
    mode("uploads/sticky", 0o1777);
    let result = unprivileged(&env).json();
    let mut expected = vec!["1"];
    if rustix::process::geteuid().is_root() {
        // Another user's file, in a folder where only its owner may remove it.
        expected.push("2");
    }
    assert_eq!(ids(&env), expected);
    assert!(kinds(&result).iter().all(|kind| *kind == "not_removable"), "{result:#}");
    assert!(env.path("uploads/closed/a.png").exists());
    assert!(env.path("static/screen_1.png").exists());
    assert!(!env.path("uploads/open/c.png").exists());
}

/// A file or folder that cannot be changed until it is dropped, so that its folder can be removed.
struct Immutable(std::path::PathBuf);

impl Immutable {
    fn new(path: std::path::PathBuf) -> Self {
        let immutable = Self(path);
        immutable.chattr("+i");
        immutable
    }

    fn chattr(&self, flag: &str) {
        let status = std::process::Command::new("chattr").arg(flag).arg(&self.0).status().unwrap();
        assert!(
            status.success(),
            "chattr {flag} {}: needs root and ext4 or the like",
            self.0.display()
        );
    }
}

impl Drop for Immutable {
    fn drop(&mut self) {
        self.chattr("-i");
    }
}

#[test]
fn a_file_that_is_immutable_keeps_its_row_and_its_other_files() {
    let env = TestEnv::sqlite();
    let tasks = [old(1), old(2), old(3).with("image_path", "uploads/fixed/a.png")];
    prepare(&env, &tasks);
    let _file = Immutable::new(env.path("uploads/image_1.png"));
    let _folder = Immutable::new(env.path("uploads/fixed"));
    let dry_run = cleanup(&env, 1, &["--only", "tasks", "--dry-run"]);
    let result = cleanup(&env, 1, &["--only", "tasks"]);
    assert_eq!(kinds(&result), ["not_removable"; 2]);
    assert_eq!(dry_run["errors"], result["errors"]);
    assert_eq!(ids(&env), ["1", "3"]);
    assert!(
        has_files(&env, &tasks[0]) && has_files(&env, &tasks[2]) && !has_files(&env, &tasks[1])
    );
}

#[test]
fn no_statement_deletes_more_than_a_batch() {
    let env = TestEnv::postgres();
    prepare(&env, &(1..=100).map(old).collect::<Vec<_>>());
    env.sql(
        "CREATE FUNCTION bounded() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN \
         IF (SELECT count(*) FROM gone) > 7 THEN RAISE EXCEPTION 'unbounded'; END IF; RETURN NULL; END $$; \
         CREATE TRIGGER bounded AFTER DELETE ON tasks REFERENCING OLD TABLE AS gone FOR EACH STATEMENT EXECUTE FUNCTION bounded()",
    );
    let result = cleanup(&env, 0, &["--only", "tasks", "--batch-size", "7"]);
    assert_eq!(result["tasks_cleaned"], 100);
}

#[test]
fn it_stops_between_batches_when_its_time_is_up() {
    let env = TestEnv::postgres();
    prepare(&env, &(1..=100).map(old).collect::<Vec<_>>());
    env.sql(
        "CREATE FUNCTION slow() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM pg_sleep(0.1); RETURN old; END $$; \
         CREATE TRIGGER slow BEFORE DELETE ON tasks FOR EACH ROW EXECUTE FUNCTION slow()",
    );
    let result = cleanup(&env, 1, &["--only", "tasks", "--batch-size", "2", "--max-runtime", "1"]);
    assert_eq!(result["stopped"], "max_runtime");
    assert_eq!(kinds(&result), ["stopped"]);
    let cleaned = result["tasks_cleaned"].as_u64().unwrap();
    assert!((2..100).contains(&cleaned), "{cleaned}");
    assert_eq!(ids(&env).len() as u64, 100 - cleaned);
}

#[test]
fn a_link_that_is_swapped_in_while_it_runs_leads_nowhere() {
    use std::sync::atomic::{AtomicBool, Ordering};
    let env = TestEnv::sqlite();
    let tasks: Vec<Task> = (1..=400)
        .map(|n| {
            old(n)
                .with("image_path", format!("uploads/swap/{n}.png"))
                .without("document_path")
                .without("screenshot_path")
        })
        .collect();
    prepare(&env, &tasks);
    for n in 1..=400 {
        env.write(&format!("precious/{n}.png"), "0123456789");
    }
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let (swap, aside) = (env.path("uploads/swap"), env.path("uploads/aside"));
            while !done.load(Ordering::Relaxed) {
                std::fs::rename(&swap, &aside).unwrap();
                std::os::unix::fs::symlink(env.path("precious"), &swap).unwrap();
                std::fs::remove_file(&swap).unwrap();
                std::fs::rename(&aside, &swap).unwrap();
            }
        });
        for _ in 0..6 {
            let finished = env
                .taskmon([
                    "-q",
                    "-q",
                    "cleanup",
                    "--as-of",
                    AS_OF,
                    "--only",
                    "tasks",
                    "--batch-size",
                    "10",
                ])
                .run();
            finished.json();
        }
        done.store(true, Ordering::Relaxed);
    });
    assert_eq!(std::fs::read_dir(env.path("precious")).unwrap().count(), 400);
}

#[test]
fn a_terminal_sees_how_far_it_is_and_cron_sees_nothing() {
    let env = TestEnv::sqlite();
    prepare(&env, &(1..=300).map(old).collect::<Vec<_>>());
    let command =
        format!("taskmon cleanup --as-of {AS_OF} --only tasks --batch-size 5 > result.json");
    let shown = env
        .program("/usr/bin/script", ["-qec", &command, "/dev/null"])
        .env("TERM", "xterm")
        .success();
    shown.stdout_contains("/300 rows");
    shown.stdout_contains("MB freed");
    let result: Value = serde_json::from_str(&env.read("result.json")).unwrap();
    assert_eq!(result["tasks_cleaned"], 300);
    let quiet = env.taskmon(["cleanup", "--as-of", AS_OF, "--only", "tasks"]).success();
    assert_eq!(quiet.stderr(), "");
    quiet.json();
}

#[test]
fn sockets_and_other_file_systems_stay() {
    let env = TestEnv::new();
    env.write("uploads/temp/old.bin", "1");
    let _socket = std::os::unix::net::UnixListener::bind(env.path("uploads/temp/socket")).unwrap();
    rustix::fs::mknodat(
        rustix::fs::CWD,
        env.path("uploads/temp/fifo"),
        rustix::fs::FileType::Fifo,
        0o600.into(),
        0,
    )
    .unwrap();
    age(&env.path("uploads/temp/old.bin"), 800);
    let before = std::time::SystemTime::now() - Duration::from_secs(900 * 3600);
    for name in ["socket", "fifo"] {
        let times = rustix::fs::Timestamps {
            last_access: timespec(before),
            last_modification: timespec(before),
        };
        rustix::fs::utimensat(
            rustix::fs::CWD,
            env.path(format!("uploads/temp/{name}")),
            &times,
            rustix::fs::AtFlags::SYMLINK_NOFOLLOW,
        )
        .unwrap();
    }
    let result = env.taskmon(["cleanup", "--only", "temp"]).success().json();
    assert_eq!(result["files_cleaned"], 1);
    assert_eq!(names(&env.path("uploads/temp")), ["fifo", "socket"]);
}

fn timespec(time: std::time::SystemTime) -> rustix::fs::Timespec {
    let seconds = time.duration_since(std::time::UNIX_EPOCH).unwrap().as_secs();
    rustix::fs::Timespec { tv_sec: seconds.try_into().unwrap(), tv_nsec: 0 }
}

#[test]
fn a_missing_index_is_named_once_and_the_rows_go_all_the_same() {
    let env = TestEnv::postgres();
    prepare(&env, &[old(1)]);
    env.sql("DROP INDEX idx_tasks_status_created; DROP INDEX idx_tasks_created_at");
    let finished = env.taskmon(["cleanup", "--as-of", AS_OF, "--only", "tasks"]).success();
    let result = finished.json();
    let statement = "CREATE INDEX CONCURRENTLY ON tasks (status, created_at);";
    assert_eq!(finished.stderr().matches(statement).count(), 1);
    assert!(result["notes"][0].as_str().unwrap().contains(statement));
    assert_eq!(result["tasks_cleaned"], 1);
    env.sql(&statement.replace("CONCURRENTLY ", ""));
    assert_eq!(cleanup(&env, 0, &["--only", "tasks"])["notes"], json!([]));
}
