//! Tables, keys and expressions of every kind.

use super::*;

on_each_database! {
    fn a_column_that_is_missing_refuses_the_job(env) {
        prepare(&env, &[old(1)]);
        env.sql("ALTER TABLE tasks DROP COLUMN screenshot_path");
        run(&env, 3, &[]).failure("mapping_mismatch", &["database.tasks.files[3]", "screenshot_path"]);
        assert!(env.path("uploads/image_1.png").exists());
    }

    fn a_custom_mapping_must_have_delete_from(env) {
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

    fn rows_without_a_key_stay_with_their_files_and_are_reported(env) {
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

    fn ended_rows_without_any_time_are_counted_in_the_notes(env) {
        let undated = |n: u32| ["created_at", "completed_at", "updated_at"].into_iter().fold(old(n), Task::without);
        prepare(&env, &[old(1), undated(2), undated(3).failed("x"), undated(4).status("PENDING"), undated(5).status("RETURNED"), old(6).without("completed_at")]);
        env.sql("INSERT INTO delivery_receipts (id, tracking_number, created_at) VALUES (1, 'x', NULL)");
        for mode in [["--dry-run"].as_slice(), &[]] {
            let result = cleanup(&env, 0, mode);
            let notes: Vec<&str> = result["notes"].as_array().unwrap().iter().map(|note| note.as_str().unwrap()).collect();
            assert!(notes[0].starts_with("2 ended rows of tasks stay because they have no time"), "{notes:?}");
            assert!(notes[1].starts_with("1 ended rows of delivery_receipts stay"), "{notes:?}");
            assert_eq!(result["tasks_cleaned"], 2);
        }
        assert_eq!(ids(&env), ["2", "3", "4", "5"]);
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
fn a_missing_index_is_named_once_and_the_rows_are_deleted() {
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
    age(&temp.join(named), 50_000);
    age(&temp.join("b"), 50_000);
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
fn a_guard_that_is_no_condition_is_refused_by_its_name() {
    let env = TestEnv::postgres();
    prepare(&env, &[old(1)]);
    env.config("[database.tasks]\nguard = 'retry_count'");
    let document = run(&env, 3, &["--only", "tasks"])
        .failure("mapping_mismatch", &["database.tasks.guard: \"retry_count\" is of type integer"]);
    assert!(document["error"]["hint"].is_string());
    assert_eq!(ids(&env), ["1"]);
}

/// A table `seen` and a view of the tasks that adds a row to it for each that it shows.
fn note_what_is_read(env: &TestEnv) {
    env.sql(
        "CREATE TABLE seen (task integer); \
         CREATE FUNCTION note(integer) RETURNS boolean LANGUAGE plpgsql AS 'BEGIN INSERT INTO seen VALUES ($1); RETURN true; END'; \
         CREATE VIEW shown AS SELECT * FROM tasks WHERE note(id)",
    );
    env.config("[database.tasks]\nfrom = 'shown'\ndelete_from = 'tasks'");
}

fn seen(env: &TestEnv) -> usize {
    column(env, "SELECT task FROM seen").len()
}

#[test]
fn a_dry_run_leaves_nothing_of_what_a_view_writes_and_counts_as_a_real_run() {
    let env = TestEnv::postgres();
    prepare(&env, &[old(1), old(2), Task::new(3)]);
    note_what_is_read(&env);
    let dry_run = cleanup(&env, 0, &["--dry-run"]);
    assert_eq!(seen(&env), 0);
    let result = cleanup(&env, 0, &[]);
    for key in ["tasks_cleaned", "files_cleaned", "files_shared", "errors", "notes"] {
        assert_eq!(dry_run[key], result[key], "{key}");
    }
    assert_eq!(result["tasks_cleaned"], 2);
    assert!(seen(&env) > 0);
}

#[test]
fn a_check_and_a_report_let_nothing_write() {
    let env = TestEnv::postgres();
    prepare(&env, &[Task::new(1), Task::new(2).status("PENDING")]);
    env.sql("CREATE SEQUENCE reads");
    note_what_is_read(&env);
    let counting = "CREATE OR REPLACE FUNCTION note(integer) RETURNS boolean LANGUAGE sql AS 'SELECT nextval(''reads'') > 0'";
    for statements in ["SELECT 1", counting] {
        env.sql(statements);
        let checked = env.taskmon(["check"]).exits(1).json();
        let mut checks = checked["checks"].as_array().unwrap().iter();
        let mapping = checks.find(|check| check["name"] == "mapping").unwrap();
        assert_eq!(mapping["status"], "failed", "{mapping:#}");
        assert!(
            mapping["message"].as_str().unwrap().contains("read-only transaction"),
            "{mapping:#}"
        );
        let report = ["-q", "-q", "stats", "--no-save", "--no-alert", "--date", DAY];
        env.taskmon(report).exits(3).failure("query_failed", &["read-only transaction"]);
        env.taskmon(["-q", "-q", "alert", "--dry-run"])
            .exits(3)
            .failure("query_failed", &["read-only"]);
        assert_eq!(seen(&env), 0);
        assert_eq!(column(&env, "SELECT is_called FROM reads"), ["false"]);
    }
}

#[test]
fn free_pages_of_a_sqlite_file_are_noted_with_what_returns_them() {
    for (mode, named) in [
        ("NONE", Some("VACUUM returns them")),
        ("INCREMENTAL", Some("PRAGMA incremental_vacuum")),
        ("FULL", None),
    ] {
        let env = TestEnv::sqlite();
        let turned_on = format!("PRAGMA auto_vacuum = {mode}; VACUUM");
        env.connection().execute_batch(&turned_on).unwrap();
        let long = "x".repeat(20_000);
        let tasks: Vec<Task> = (1..40).map(|n| old(n).with("description", &long)).collect();
        prepare(&env, &tasks);
        assert_eq!(cleanup(&env, 0, &["--dry-run"])["notes"], json!([]));
        let notes = cleanup(&env, 0, &[])["notes"].clone();
        match named {
            None => assert_eq!(notes, json!([])),
            Some(named) => {
                let note = notes[0].as_str().unwrap();
                let count: u32 = note.split(' ').next().unwrap().parse().unwrap();
                assert!(count > 100 && note.contains(named) && note.contains("tasks.db"), "{note}");
            }
        }
        // Nothing was deleted, so there is nothing to say.
        assert_eq!(cleanup(&env, 0, &[])["notes"], json!([]));
    }
}

/// An engine that has a row on several servers may give it back several times, as a key that several rows have.
#[test]
fn rows_of_one_key_go_together_with_all_their_files() {
    let env = TestEnv::postgres();
    env.sql(
        "CREATE TABLE parts (id integer, state text, made timestamp, \"Datei Pfad\" text); \
         INSERT INTO parts VALUES (1, 'done', '2026-01-01', 'uploads/a'), (1, 'done', '2026-01-02', 'uploads/b'), \
         (2, 'done', '2026-01-03', 'uploads/c'), (2, 'done', '2026-01-04', 'uploads/c'), (3, 'done', '2026-01-05', NULL), (3, 'done', '2026-01-06', NULL)",
    );
    make_files(&env, &[]);
    for name in ["a", "b", "c"] {
        env.write(&format!("uploads/{name}"), "0123456789");
    }
    own_table(&env, "parts", "['id']", "id");
    let dry_run = cleanup(&env, 0, &["--only", "tasks", "--dry-run"]);
    let result = cleanup(&env, 0, &["--only", "tasks"]);
    for key in ["tasks_cleaned", "files_cleaned"] {
        assert_eq!(dry_run[key], result[key], "{key}");
    }
    assert_eq!((&result["tasks_cleaned"], &result["files_cleaned"]), (&json!(6), &json!(3)));
    assert!(column(&env, "SELECT id FROM parts").is_empty());
    assert!(["a", "b", "c"].iter().all(|name| !env.path(format!("uploads/{name}")).exists()));
}
