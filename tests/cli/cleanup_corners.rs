//! `taskmon cleanup` on tables, paths and folders of unusual shape.

use crate::cli::cleanup::{
    AS_OF, age, cleanup, column, has_files, ids, kinds, make_files, old, prepare, run,
};
use crate::on_each_database;
use crate::support::env::{TestEnv, plain_port};
use crate::support::rows::Task;
use serde_json::json;
use std::collections::BTreeSet;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::PermissionsExt;
use std::time::Duration;

/// A table of one's own with one file column, and nothing else of the preset.
fn own_table(env: &TestEnv, from: &str, key: &str, label: &str) {
    env.config(&format!(
        "[database.tasks]\nfrom = '{from}'\ndelete_from = '{from}'\nkey = {key}\nlabel = '{label}'\nstatus = 'state'\n\
         created_at = 'made'\ncompleted_at = 'made'\nstarted_at = ''\nupdated_at = ''\nprocessing_time = ''\nerror_message = ''\n\
         retry_count = ''\nqueue = ''\nname = ''\nlink = ''\nfiles = ['\"Datei Pfad\"']\n\
         [database.tasks.states]\npending = []\nprocessing = []\ncompleted = ['done']\nfailed = []\n[database.receipts]\nenabled = false"
    ));
}

on_each_database! {
    fn a_file_stays_that_a_row_names_without_the_link_that_an_expired_one_goes_by(env) {
        let tasks = [
            old(1).with("image_path", "uploads/alias/a.png"),
            old(2).with("image_path", "uploads/alias/b.png"),
            Task::new(3).with("image_path", "uploads/real/a.png"),
        ];
        env.write("uploads/real/.gitkeep", "");
        std::os::unix::fs::symlink("real", env.path("uploads/alias")).unwrap();
        prepare(&env, &tasks);
        let dry_run = cleanup(&env, 0, &["--only", "tasks", "--dry-run"]);
        let result = cleanup(&env, 0, &["--only", "tasks"]);
        assert_eq!(ids(&env), ["3"]);
        assert!(env.path("uploads/real/a.png").exists());
        assert!(!env.path("uploads/real/b.png").exists());
        for key in ["files_cleaned", "files_shared"] {
            assert_eq!(dry_run[key], result[key], "{key}");
        }
        assert_eq!((&result["files_cleaned"], &result["files_shared"]), (&json!(5), &json!(1)));
    }

    fn a_file_in_several_folders_that_are_swept_is_dry_run_once(env) {
        prepare(&env, &[old(1).with("image_path", "uploads/temp/sub/named.png")]);
        env.config("[cleanup]\ntemp_dirs = ['uploads/temp', 'uploads/temp/sub']\nlog_dirs = ['logs', 'uploads/temp']");
        for path in ["uploads/temp/sub/named.png", "uploads/temp/sub/old.log", "uploads/temp/other/old.bin", "logs/a.log"] {
            env.write(path, "0123456789");
            age(&env.path(path), 5000);
        }
        for folder in ["uploads/temp/sub", "uploads/temp/other"] {
            age(&env.path(folder), 5000);
        }
        let dry_run = cleanup(&env, 0, &["--dry-run"]);
        let result = cleanup(&env, 0, &[]);
        for key in ["tasks_cleaned", "files_cleaned", "logs_cleaned", "files_shared", "disk_space_freed_mb"] {
            assert_eq!(dry_run[key], result[key], "{key}");
        }
        assert_eq!((&result["files_cleaned"], &result["logs_cleaned"]), (&json!(5), &json!(1)));
        assert!(env.path("uploads/temp/sub").exists(), "a folder that is named stays");
    }

    fn a_file_stays_that_a_row_names_by_a_link_which_an_expired_one_goes_without(env) {
        let tasks = [
            old(1).with("image_path", "uploads/a.png").with("document_path", "uploads/inner/b.png").with("screenshot_path", "uploads/c.png"),
            old(2).with("image_path", "uploads/d.png").with("document_path", "media/e.png").with("screenshot_path", "static/uploads/f.png"),
            Task::new(3).with("image_path", "static/uploads/a.png").with("document_path", "media/b.png").with("screenshot_path", "./media//../uploads/c.png"),
            Task::new(4).with("image_path", "uploads/d.png").with("document_path", "uploads/inner/e.png").with("screenshot_path", "uploads/f.png"),
            old(5),
        ];
        env.write("uploads/inner/.gitkeep", "");
        env.write("static/.gitkeep", "");
        std::os::unix::fs::symlink("../uploads", env.path("static/uploads")).unwrap();
        std::os::unix::fs::symlink("uploads/inner", env.path("media")).unwrap();
        prepare(&env, &tasks);
        let dry_run = cleanup(&env, 0, &["--only", "tasks", "--dry-run"]);
        let result = cleanup(&env, 0, &["--only", "tasks"]);
        assert_eq!(ids(&env), ["3", "4"]);
        for name in ["a.png", "inner/b.png", "c.png", "d.png", "inner/e.png", "f.png"] {
            assert!(env.path("uploads").join(name).exists(), "{name}");
        }
        for key in ["files_cleaned", "files_shared"] {
            assert_eq!(dry_run[key], result[key], "{key}");
        }
        assert_eq!((&result["files_cleaned"], &result["files_shared"]), (&json!(3), &json!(6)));
        // So it is in temp folders.
        env.config("[cleanup]\ntemp_dirs = ['uploads/inner']");
        for name in ["b.png", "e.png", "free.png"] {
            env.write(&format!("uploads/inner/{name}"), "12345");
            age(&env.path("uploads/inner").join(name), 5000);
        }
        let swept = cleanup(&env, 0, &["--only", "temp"]);
        assert_eq!((&swept["files_cleaned"], &swept["files_shared"]), (&json!(1), &json!(2)));
        assert!(!env.path("uploads/inner/free.png").exists());
    }

    fn a_file_beside_the_folder_where_paths_start_stays_with_a_row_that_climbs_to_it(env) {
        let base = env.path("app");
        let beside = env.path("store");
        env.config("[cleanup]\nstorage_roots = ['../store', 'uploads']\ntemp_dirs = ['../store/temp']");
        let config = env.read("taskmon.toml");
        env.write("taskmon.toml", &format!("base_dir = 'app'\n{config}"));
        for name in ["a.png", "b.png", "c.png", "temp/t.png", "temp/u.png", "temp/free.png"] {
            env.write(&format!("store/{name}"), "12345");
        }
        env.write("app/uploads/d.png", "12345");
        for name in ["temp/t.png", "temp/u.png", "temp/free.png"] {
            age(&beside.join(name), 5000);
        }
        // To the folder itself, and to one above.
        std::os::unix::fs::symlink(".", base.join("current")).unwrap();
        std::os::unix::fs::symlink("../store", base.join("spool")).unwrap();
        let absolute = |name: &str| beside.join(name).display().to_string();
        let row = |n: u32, paths: [String; 3]| {
            Task::new(n).with("image_path", &paths[0]).with("document_path", &paths[1]).with("screenshot_path", &paths[2])
        };
        let gone = |n: u32, paths: [String; 3]| {
            row(n, paths).with("completed_at", "2026-08-01 10:00:00").with("updated_at", "2026-08-01 10:00:00").with("created_at", "2026-08-01 09:00:00")
        };
        env.insert([
            gone(1, [absolute("a.png"), "../store/b.png".into(), "../store/c.png".into()]),
            gone(2, ["uploads/d.png".into(), String::new(), String::new()]),
            row(3, ["../store/a.png".into(), absolute("b.png"), "uploads/../../store/c.png".into()]),
            row(4, ["current/uploads/d.png".into(), "../store/temp/t.png".into(), "spool/temp/u.png".into()]),
        ]);
        let dry_run = cleanup(&env, 0, &["--dry-run"]);
        let result = cleanup(&env, 0, &[]);
        for key in ["tasks_cleaned", "files_cleaned", "files_shared"] {
            assert_eq!(dry_run[key], result[key], "{key}");
        }
        assert_eq!(ids(&env), ["3", "4"]);
        assert_eq!((&result["files_cleaned"], &result["files_shared"]), (&json!(1), &json!(6)), "{}", env.tree());
        for name in ["a.png", "b.png", "c.png", "temp/t.png", "temp/u.png"] {
            assert!(beside.join(name).exists(), "{name}");
        }
        assert!(base.join("uploads/d.png").exists() && !beside.join("temp/free.png").exists());
    }

    fn a_file_that_two_roots_lead_to_is_counted_once(env) {
        let tasks = [
            old(1).with("image_path", "uploads/inner/a.png"),
            old(2).with("image_path", "data/a.png"),
        ];
        env.write("uploads/inner/.gitkeep", "");
        std::os::unix::fs::symlink("uploads/inner", env.path("data")).unwrap();
        env.config("[cleanup]\nstorage_roots = ['uploads', 'static', 'data']");
        prepare(&env, &tasks);
        let dry_run = cleanup(&env, 0, &["--only", "tasks", "--dry-run"]);
        let result = cleanup(&env, 0, &["--only", "tasks"]);
        assert_eq!(ids(&env), Vec::<String>::new());
        for key in ["files_cleaned", "disk_space_freed_mb"] {
            assert_eq!(dry_run[key], result[key], "{key}");
        }
        assert_eq!(result["files_cleaned"], json!(5));
        assert!(!env.path("uploads/inner/a.png").exists());
    }

    fn a_deferred_key_on_rows_that_would_go_along_keeps_the_row_and_its_files(env) {
        let tasks: Vec<Task> = (1..=4).map(old).collect();
        prepare(&env, &tasks);
        env.sql(
            "CREATE TABLE steps (id integer PRIMARY KEY, task integer REFERENCES tasks (id) ON DELETE CASCADE); \
             CREATE TABLE bills (id integer PRIMARY KEY, step integer REFERENCES steps (id) DEFERRABLE INITIALLY DEFERRED); \
             INSERT INTO steps VALUES (11, 1), (12, 2), (13, 3); INSERT INTO bills VALUES (21, 12), (22, NULL)",
        );
        let dry_run = cleanup(&env, 1, &["--only", "tasks", "--dry-run"]);
        let result = cleanup(&env, 1, &["--only", "tasks"]);
        for key in ["tasks_cleaned", "files_cleaned", "errors"] {
            assert_eq!(dry_run[key], result[key], "{key}");
        }
        assert_eq!(ids(&env), ["2"]);
        assert_eq!(kinds(&result), ["row_refused"]);
        let message = result["errors"][0]["message"].as_str().unwrap();
        assert!(message.starts_with("task_2 stays") && message.contains("bills"), "{message}");
        assert_eq!((&result["tasks_cleaned"], &result["files_cleaned"]), (&json!(3), &json!(9)));
        assert!(has_files(&env, &tasks[1]));
        assert_eq!(column(&env, "SELECT id FROM steps"), ["12"]);
        // One that was broken before keeps nothing back.
        if env.url().starts_with("sqlite") {
            let statements = "PRAGMA foreign_keys = 0; UPDATE bills SET step = 99 WHERE id = 22; DELETE FROM bills WHERE id = 21";
            env.connection().execute_batch(statements).unwrap();
            let result = cleanup(&env, 0, &["--only", "tasks"]);
            assert_eq!((ids(&env).len(), &result["files_cleaned"]), (0, &json!(3)));
        }
    }

    fn a_row_stays_that_shares_its_key_with_one_that_has_not_ended(env) {
        env.sql(
            "CREATE TABLE jobs (id integer PRIMARY KEY, made timestamp); CREATE TABLE states (job integer, state text); \
             INSERT INTO jobs VALUES (1, '2026-01-01'), (2, '2026-01-01'), (3, '2026-01-01'); \
             INSERT INTO states VALUES (1, 'done'), (1, 'open'), (2, 'done'), (3, 'open'); \
             CREATE VIEW shown AS SELECT jobs.id, jobs.made, states.state, NULL AS \"Datei Pfad\" FROM jobs JOIN states ON states.job = jobs.id; \
             CREATE TABLE parts (id integer, part integer, state text, made timestamp, \"Datei Pfad\" text); CREATE TABLE events (job integer); \
             INSERT INTO parts VALUES (1, 1, 'done', '2026-01-01', NULL), (1, 2, 'open', '2026-01-01', NULL), (2, 1, 'done', '2026-01-01', NULL); \
             INSERT INTO events VALUES (1), (2)",
        );
        own_table(&env, "shown", "['id']", "id");
        let config = env.read("taskmon.toml");
        env.write("taskmon.toml", &config.replace("delete_from = 'shown'", "delete_from = 'jobs'"));
        let result = cleanup(&env, 1, &["--only", "tasks"]);
        assert_eq!(column(&env, "SELECT id FROM jobs ORDER BY id"), ["1", "3"], "{result:#}");
        assert_eq!((kinds(&result), &result["tasks_cleaned"]), (vec!["row_refused"], &json!(1)));
        let events = "[[database.tasks.dependents]]\nfrom = 'events'\nforeign_key = 'job'";
        own_table(&env, "parts", "['id']", "id");
        let config = env.read("taskmon.toml");
        env.write("taskmon.toml", &config.replace("[database.receipts]", &format!("{events}\n[database.receipts]")));
        let result = cleanup(&env, 0, &["--only", "tasks"]);
        assert_eq!(column(&env, "SELECT part FROM parts"), ["2"], "{result:#}");
        assert_eq!(column(&env, "SELECT job FROM events"), ["1"]);
    }

    fn a_key_that_means_another_column_where_rows_are_deleted_deletes_nothing(env) {
        for (place, columns) in ["state, made", "state AS condition, made AS day"].into_iter().enumerate() {
            let table = format!("jobs_{place}");
            env.sql(&format!(
                "CREATE TABLE {table} (id integer PRIMARY KEY, state text, made timestamp); \
                 INSERT INTO {table} VALUES (1, 'open', '2026-01-02'), (5, 'done', '2026-01-01'); \
                 CREATE VIEW shown_{place} AS SELECT id - 4 AS id, {columns} FROM {table}"
            ));
            own_table(&env, &format!("shown_{place}"), "['id']", "id");
            let config = env.read("taskmon.toml");
            let config = config.replace(&format!("delete_from = 'shown_{place}'"), &format!("delete_from = '{table}'"));
            let config = config.replace("files = ['\"Datei Pfad\"']", "files = []");
            let config = match place {
                0 => config,
                _ => config.replace("'state'", "'condition'").replace("'made'", "'day'"),
            };
            env.write("taskmon.toml", &config);
            let is_sqlite = env.url().starts_with("sqlite");
            let finished = run(&env, if is_sqlite { 1 } else { 3 }, &["--only", "tasks"]);
            if is_sqlite { assert_eq!(kinds(&finished.json()), ["row_refused"]) } else {
                    finished.failure("mapping_mismatch", &["database.tasks.key"]);
                }
            assert_eq!(column(&env, &format!("SELECT id FROM {table} ORDER BY id")), ["1", "5"]);
        }
    }

    fn rows_without_a_key_stay_with_their_files_and_are_told(env) {
        env.sql(
            "CREATE TABLE jobs (id integer, name text, state text, \"Datei Pfad\" text, made timestamp); \
             INSERT INTO jobs VALUES (1, 'a', 'done', 'uploads/a.png', '2026-01-01'), (2, 'b', 'done', 'uploads/b.png', '2026-01-01'), \
             (NULL, 'c', 'done', 'uploads/b.png', '2026-01-01'), (NULL, 'd', 'done', 'uploads/d.png', '2026-01-01'), \
             (NULL, 'e', 'open', 'uploads/e.png', '2026-01-01'), (6, 'f', 'done', 'uploads/e.png', '2026-01-01')",
        );
        for name in ["a", "b", "d", "e"] {
            env.write(&format!("uploads/{name}.png"), "12345");
        }
        own_table(&env, "jobs", "['id']", "name");
        let dry_run = cleanup(&env, 1, &["--dry-run"]);
        let result = cleanup(&env, 1, &[]);
        for key in ["tasks_cleaned", "files_cleaned", "files_shared", "errors"] {
            assert_eq!(dry_run[key], result[key], "{key}");
        }
        assert_eq!(kinds(&result), ["row_without_key"], "{result:#}");
        let message = result["errors"][0]["message"].as_str().unwrap();
        assert!(message.starts_with("2 rows of jobs stay"), "{message}");
        assert_eq!(column(&env, "SELECT name FROM jobs ORDER BY name"), ["c", "d", "e"]);
        assert_eq!((&result["tasks_cleaned"], &result["files_shared"]), (&json!(3), &json!(2)));
        let there = ["a", "b", "d", "e"].map(|name| env.path(format!("uploads/{name}.png")).exists());
        assert_eq!(there, [false, true, true, true]);
    }

    fn a_file_stays_that_a_row_names_which_belongs_to_no_receipt(env) {
        prepare(&env, &[old(1), old(2)]);
        env.sql("INSERT INTO tracking_info (id, delivery_receipt_id, screenshot_path) VALUES (1, NULL, 'static/screen_1.png')");
        let dry_run = cleanup(&env, 0, &["--dry-run", "--only", "tasks"]);
        let result = cleanup(&env, 0, &["--only", "tasks"]);
        for key in ["tasks_cleaned", "files_cleaned", "files_shared"] {
            assert_eq!(dry_run[key], result[key], "{key}");
        }
        assert_eq!((&result["tasks_cleaned"], &result["files_cleaned"]), (&json!(2), &json!(5)));
        assert!(env.path("static/screen_1.png").exists());
        assert!(!env.path("static/screen_2.png").exists());
    }

    fn a_folder_that_is_named_stays_though_the_one_above_it_is_swept_too(env) {
        env.config("[cleanup]\ntemp_dirs = ['uploads/temp', 'uploads/temp/sub']");
        env.write("uploads/temp/sub/old.bin", "1");
        for path in ["uploads/temp/sub/old.bin", "uploads/temp/sub"] {
            age(&env.path(path), 5000);
        }
        let result = cleanup(&env, 0, &["--only", "temp"]);
        assert_eq!((&result["files_cleaned"], &result["folders_removed"]), (&json!(1), &json!(0)));
        assert!(env.path("uploads/temp/sub").exists());
    }

    fn receipts_and_tasks_may_be_linked_by_numbers(env) {
        make_files(&env, &[]);
        let receipts = "INSERT INTO delivery_receipts (id, tracking_number, created_at) VALUES (1, '51', '2026-10-01'), (2, '52', '2026-10-01')";
        match env.url().starts_with("sqlite") {
            // An expression has no type that would make its number equal to a text.
            true => {
                env.insert([Task::new(1).with("tracking_number", "51")]);
                env.config("[database.tasks]\nlink = 'tracking_number + 0'");
                env.sql(receipts);
            }
            false => {
                env.sql(receipts);
                env.sql("ALTER TABLE tasks ALTER tracking_number TYPE bigint USING tracking_number::bigint");
                env.insert([Task::new(1).with("tracking_number", "51")]);
            }
        }
        let result = cleanup(&env, 0, &["--only", "receipts"]);
        assert_eq!(column(&env, "SELECT id FROM delivery_receipts"), ["1"], "{result:#}");
        if !env.url().starts_with("sqlite") {
            env.sql("ALTER TABLE delivery_receipts ALTER tracking_number TYPE bigint USING tracking_number::bigint");
            cleanup(&env, 0, &["--only", "receipts"]);
            assert_eq!(column(&env, "SELECT id FROM delivery_receipts"), ["1"]);
        }
    }

    fn a_table_may_have_any_name_and_its_rows_any_key(env) {
        let is_sqlite = env.url().starts_with("sqlite");
        // A unit separator, a quote and a character beyond ASCII in the keys.
        let key = |name: &str| if is_sqlite { format!("'{name}' || char(31) || '''名'") } else { format!("'{name}' || chr(31) || '''名'") };
        let without = if is_sqlite { " WITHOUT ROWID" } else { "" };
        env.sql(&format!(
            "CREATE TABLE \"My Jobs\" (\"Id\" text, part integer, state text, \"Datei Pfad\" text, made timestamp, PRIMARY KEY (\"Id\", part)){without}; \
             INSERT INTO \"My Jobs\" VALUES ({a}, 1, 'done', 'uploads/一.png', '2026-01-01'), ({b}, 2, 'done', 'uploads/shared.png', '2026-01-01'), \
             ({c}, 3, 'open', 'uploads/shared.png', '2026-01-01'), ({d}, 4, 'done', 'uploads/four.png', '2026-01-01'), ({d}, 5, 'done', 'uploads/five.png', '2026-01-01'); \
             CREATE TABLE \"later on\" (\"job id\" text, part integer, \
             FOREIGN KEY (\"job id\", part) REFERENCES \"My Jobs\" (\"Id\", part) DEFERRABLE INITIALLY DEFERRED); \
             INSERT INTO \"later on\" VALUES ({d}, 4)",
            a = key("a"), b = key("b"), c = key("c"), d = key("d"),
        ));
        for name in ["一", "shared", "four", "five"] {
            env.write(&format!("uploads/{name}.png"), "12345");
        }
        own_table(&env, "\"My Jobs\"", "['\"Id\"', 'part']", "part");
        let dry_run = cleanup(&env, 1, &["--dry-run"]);
        let result = cleanup(&env, 1, &[]);
        for key in ["tasks_cleaned", "files_cleaned", "files_shared", "errors"] {
            assert_eq!(dry_run[key], result[key], "{key}");
        }
        assert_eq!(column(&env, "SELECT part FROM \"My Jobs\" ORDER BY part"), ["3", "4"]);
        assert_eq!(kinds(&result), ["row_refused"]);
        assert_eq!(result["errors"][0]["task_id"], "4");
        let there = ["一", "shared", "four", "five"].map(|name| env.path(format!("uploads/{name}.png")).exists());
        assert_eq!(there, [false, true, true, false]);
    }
}

#[test]
fn sqlite_may_hold_paths_that_are_blobs_or_numbers_and_text_that_is_none() {
    let env = TestEnv::sqlite();
    env.sql(
        "CREATE TABLE jobs (id integer PRIMARY KEY, name, state text, \"Datei Pfad\", made text); \
         INSERT INTO jobs VALUES (1, 'a', 'done', CAST('uploads/blob.png' AS BLOB), '2026-01-01'), (2, 'b', 'done', 123, '2026-01-01'), \
         (3, CAST(X'ff41' AS TEXT), 'done', 'uploads/c.png', '2026-01-01'), (4, 'd', CAST(X'ff' AS TEXT), NULL, '2026-01-01'), \
         (5, 'e', 'done', CAST(X'75706c6f6164732fff' AS TEXT), '2026-01-01')",
    );
    for path in ["uploads/blob.png", "uploads/c.png", "123"] {
        env.write(path, "12345");
    }
    own_table(&env, "jobs", "['id']", "name");
    let result = cleanup(&env, 1, &[]);
    assert_eq!(kinds(&result), ["outside_roots", "unusable_path"], "{result:#}");
    assert_eq!(column(&env, "SELECT id FROM jobs ORDER BY id"), ["2", "4", "5"]);
    assert!(env.path("123").exists());
    assert!(!env.path("uploads/blob.png").exists() && !env.path("uploads/c.png").exists());
}

#[test]
fn keys_and_paths_of_sqlite_may_be_no_text() {
    let env = TestEnv::sqlite();
    env.sql(
        "CREATE TABLE jobs (id, name text, state text, \"Datei Pfad\" text, made text); \
         INSERT INTO jobs VALUES ('a', 'a', 'done', 'uploads/a.png', '2026-01-01'), ('a' || char(0) || 'b', 'b', 'open', 'uploads/a.png', '2026-01-01'), \
         (CAST(X'ff' AS TEXT), 'c', 'done', 'uploads/c.png', '2026-01-01'), (1.5, 'd', 'done', NULL, '2026-01-01'), (X'00ff', 'e', 'done', NULL, '2026-01-01'), \
         ('it''s', 'f', 'done', NULL, '2026-01-01'), (9223372036854775807, 'g', 'done', NULL, '2026-01-01'), ('1', 'h', 'done', NULL, '2026-01-01'), \
         (7, 'i', 'open', CAST(X'75706c6f6164732f74656d702fff' AS TEXT), '2026-01-01')",
    );
    for path in ["uploads/a.png", "uploads/c.png", "uploads/temp/b"] {
        env.write(path, "12345");
    }
    let named = std::ffi::OsStr::from_bytes(b"\xff");
    let temp = env.path("uploads/temp");
    std::fs::write(temp.join(named), "12345").unwrap();
    age(&temp.join(named), 5000);
    age(&temp.join("b"), 5000);
    own_table(&env, "jobs", "['id']", "name");
    let dry_run = cleanup(&env, 1, &["--dry-run"]);
    let result = cleanup(&env, 1, &[]);
    for key in ["tasks_cleaned", "files_cleaned", "files_shared", "errors"] {
        assert_eq!(dry_run[key], result[key], "{key}");
    }
    assert_eq!(kinds(&result), ["row_without_key"], "{result:#}");
    assert_eq!(column(&env, "SELECT name FROM jobs ORDER BY name"), ["b", "c", "i"]);
    assert!(env.path("uploads/a.png").exists() && env.path("uploads/c.png").exists());
    assert!(temp.join(named).exists() && !temp.join("b").exists());
}

#[test]
fn of_a_folder_that_cannot_be_listed_it_is_said_that_its_links_are_not_known() {
    let env = TestEnv::sqlite();
    prepare(&env, &[old(1)]);
    let mode = |path: &str, bits: u32| {
        std::fs::set_permissions(env.path(path), std::fs::Permissions::from_mode(bits)).unwrap();
    };
    mode("tasks.db", 0o666);
    for (bits, is_said) in [(0o711, true), (0o755, false)] {
        mode("", bits);
        let mut words = vec!["--reuid=65534", "--regid=65534", "--clear-groups"];
        words.extend([env!("CARGO_BIN_EXE_taskmon"), "cleanup", "--only", "tasks", "--dry-run"]);
        let finished = env.program("/usr/bin/setpriv", words).run();
        finished.json();
        let said = finished.stderr().contains("cannot be listed: files that rows name by links");
        assert_eq!(said, is_said, "{}", finished.stderr());
    }
}

#[test]
fn a_guard_that_is_no_condition_is_refused_by_its_name() {
    let env = TestEnv::postgres();
    prepare(&env, &[old(1)]);
    env.config("[database.tasks]\nguard = 'retry_count'");
    let document = run(&env, 3, &["--only", "tasks"])
        .failure("mapping_mismatch", &["database.tasks.guard: \"retry_count\" is of type integer"]);
    assert!(document["error"]["hint"].is_string());
    assert_eq!(ids(&env), ["1"]);
}

/// Rules of a language under which texts are equal that are not the same, and of several columns none that holds for all.
#[test]
fn columns_with_collations_of_their_own_share_files_all_the_same() {
    let env = TestEnv::postgres();
    env.sql(
        "CREATE COLLATION loose (provider = icu, locale = 'und-u-ks-level2', deterministic = false);
         ALTER TABLE tasks ALTER image_path TYPE varchar(500) COLLATE loose, ALTER document_path TYPE varchar(500) COLLATE \"C\"",
    );
    let tasks = [
        old(1).with("image_path", "uploads/a.png"),
        old(2).with("image_path", "uploads/b.png"),
        old(3).with("image_path", "uploads/C.png"),
        Task::new(4).with("document_path", "uploads/./a.png"),
        Task::new(5).with("image_path", "uploads/c.png"),
    ];
    prepare(&env, &tasks);
    let result = cleanup(&env, 0, &["--only", "tasks"]);
    assert_eq!(ids(&env), ["4", "5"]);
    assert_eq!(result["files_shared"], 1);
    assert_eq!(result["files_cleaned"], 8);
    // What rows name in temp folders is asked for in the same columns.
    env.write("uploads/temp/free.png", "12345");
    age(&env.path("uploads/temp/free.png"), 800);
    let swept = cleanup(&env, 0, &["--only", "temp"]);
    assert_eq!(swept["files_cleaned"], 1);
    for (path, is_there) in [("a", true), ("b", false), ("C", false), ("c", true)] {
        assert_eq!(env.path(format!("uploads/{path}.png")).exists(), is_there, "{path}");
    }
}

#[test]
fn a_role_that_may_not_delete_and_a_server_that_is_only_read_are_told_what_to_do() {
    let env = TestEnv::postgres();
    prepare(&env, &[old(1)]);
    let role = env.role("");
    let url = env.url_of(&role);
    let refused = run(&env, 3, &["--only", "tasks", "--database-url", &url]);
    let document = refused.failure("permission_denied", &["deleting from tasks"]);
    assert_eq!(document["error"]["hint"], "GRANT SELECT, DELETE ON tasks to the role");
    let standby = format!("postgresql://postgres@127.0.0.1:{}/{}", plain_port(), env.name());
    let read = |url: &str| {
        postgres::Client::connect(url, postgres::NoTls)?.query("SELECT 1 FROM tasks", &[])
    };
    while !read(&standby).is_ok_and(|rows| rows.len() == 1) {
        std::thread::sleep(Duration::from_millis(50));
    }
    let refused = run(&env, 3, &["--only", "tasks", "--database-url", &standby]);
    let document = refused.failure("query_failed", &["deleting from tasks", "recovery"]);
    assert!(document["error"]["hint"].as_str().unwrap().contains("the primary"));
    assert!(env.path("uploads/image_1.png").exists());
}

/// Numbers that look like chance, the same ones every time.
struct Chance(u64);

impl Chance {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % limit
    }

    /// One of ninety files in one of several spellings, or none.
    fn path(&mut self, env: &TestEnv) -> String {
        let name = format!("f{}", self.below(90));
        match self.below(6) {
            0 => "NULL".to_owned(),
            1 => format!("'./uploads//{name}'"),
            2 => format!("'uploads/x/../{name}'"),
            3 => format!("'{}'", env.path(format!("uploads/{name}")).display()),
            _ => format!("'uploads/{name}'"),
        }
    }

    /// Mostly long ago.
    fn time(&mut self) -> &'static str {
        ["'2026-10-01 10:00:00'", "'2026-11-24 10:00:00'"][usize::from(self.below(5) == 0)]
    }
}

/// Tasks, receipts and tracking rows that name each other's files, some of which other rows refer to.
fn fill_by_chance(env: &TestEnv, chance: &mut Chance) {
    let mut sql = String::from(
        "CREATE TABLE refers (task integer REFERENCES tasks (id), receipt integer REFERENCES delivery_receipts (id) DEFERRABLE INITIALLY DEFERRED);",
    );
    for id in 1..=60 {
        let status = ["COMPLETED", "COMPLETED", "COMPLETED", "FAILED", "PENDING", "RETURNED"]
            [chance.below(6) as usize];
        let (image, document, time) = (chance.path(env), chance.path(env), chance.time());
        sql += &format!(
            "INSERT INTO tasks (id, task_id, status, image_path, document_path, tracking_number, created_at, updated_at, completed_at, retry_count) \
             VALUES ({id}, 't{id}', '{status}', {image}, {document}, 'T{link}', {time}, {time}, {time}, 0);",
            link = chance.below(50),
        );
    }
    for id in 1..=40 {
        let (code, document, shot, time) =
            (chance.path(env), chance.path(env), chance.path(env), chance.time());
        sql += &format!(
            "INSERT INTO delivery_receipts (id, tracking_number, qr_code_path, delivery_receipt_doc_path, created_at) \
             VALUES ({id}, 'T{id}', {code}, {document}, {time}); \
             INSERT INTO tracking_info (id, delivery_receipt_id, screenshot_path) VALUES ({id}, {id}, {shot});"
        );
    }
    for _ in 0..5 {
        sql += &format!(
            "INSERT INTO refers VALUES ({}, {});",
            1 + chance.below(60),
            1 + chance.below(40)
        );
    }
    env.sql(sql.trim_end_matches(';'));
}

/// The names of the files that rows name.
fn named(env: &TestEnv) -> BTreeSet<String> {
    let paths = column(
        env,
        "SELECT image_path FROM tasks WHERE image_path IS NOT NULL UNION SELECT document_path FROM tasks WHERE document_path IS NOT NULL \
         UNION SELECT qr_code_path FROM delivery_receipts WHERE qr_code_path IS NOT NULL \
         UNION SELECT delivery_receipt_doc_path FROM delivery_receipts WHERE delivery_receipt_doc_path IS NOT NULL \
         UNION SELECT screenshot_path FROM tracking_info WHERE screenshot_path IS NOT NULL",
    );
    let name = |path: &String| path.rsplit('/').next().unwrap().to_owned();
    paths.iter().map(name).collect()
}

fn whoever_names_whatever(make: fn() -> TestEnv) {
    for seed in 1..=6 {
        let env = make();
        make_files(&env, &[]);
        std::fs::create_dir_all(env.path("uploads/x")).unwrap();
        for n in 0..90 {
            env.write(&format!("uploads/f{n}"), &"x".repeat(n * 5_000));
        }
        std::fs::hard_link(env.path("uploads/f28"), env.path("uploads/x/another_name")).unwrap();
        let mut chance = Chance(seed);
        fill_by_chance(&env, &mut chance);
        let before = named(&env);
        let size = (1 + chance.below(40)).to_string();
        let arguments = ["--only", "tasks,receipts", "--batch-size", &size];
        let code = |more: &[&str]| {
            let finished = env
                .taskmon(
                    ["-q", "-q", "cleanup", "--as-of", AS_OF]
                        .iter()
                        .chain(&arguments)
                        .chain(more)
                        .copied(),
                )
                .run();
            assert!(matches!(finished.code, Some(0 | 1)), "{:?}", finished.code);
            finished.json()
        };
        let dry_run = code(&["--dry-run"]);
        let result = code(&[]);
        for key in [
            "tasks_cleaned",
            "receipts_cleaned",
            "files_cleaned",
            "disk_space_freed_mb",
            "files_shared",
            "errors",
        ] {
            assert_eq!(dry_run[key], result[key], "seed {seed}: {key}");
        }
        assert!(result["files_cleaned"].as_u64().unwrap() > 0, "seed {seed}");
        let after = named(&env);
        for name in before {
            let there = env.path(format!("uploads/{name}")).exists();
            assert_eq!(there, after.contains(&name), "seed {seed}: {name}");
        }
    }
}

#[test]
fn whoever_names_whatever_a_file_is_there_as_long_as_a_row_names_it_on_postgres() {
    whoever_names_whatever(TestEnv::postgres);
}

#[test]
fn whoever_names_whatever_a_file_is_there_as_long_as_a_row_names_it_on_sqlite() {
    whoever_names_whatever(TestEnv::sqlite);
}
