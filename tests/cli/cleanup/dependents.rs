//! Rows that go with a task, and the files that they name.

use super::*;

/// A task that has not expired.
fn fresh(n: u32) -> Task {
    Task::new(n)
}

/// A table of rows that refer to tasks, each with the file of its number, and a configuration that has them go along. `on_delete` is the foreign key's.
fn attach(env: &TestEnv, on_delete: &str, rows: &[(u32, &str)]) {
    env.sql(&format!(
        "CREATE TABLE attachments (id integer PRIMARY KEY, task_id integer REFERENCES tasks (id) {on_delete}, file_path text)"
    ));
    for (place, (task, path)) in rows.iter().enumerate() {
        env.sql(&format!("INSERT INTO attachments VALUES ({place}, {task}, '{path}')"));
        if path.starts_with("uploads/") && !path.ends_with("gone") {
            env.write(path, "0123456789");
        }
    }
    configure(env, "");
}

/// `more` goes on in `[database.tasks]`.
fn configure(env: &TestEnv, more: &str) {
    env.config(&format!(
        "[database.tasks]\n{more}\n[[database.tasks.dependents]]\nfrom = 'attachments'\nforeign_key = 'task_id'\nfiles = ['file_path']"
    ));
}

/// What a dry run counts, and then does.
#[track_caller]
fn both(env: &TestEnv, code: i32) -> Value {
    let dry_run = cleanup(env, code, &["--dry-run"]);
    let result = cleanup(env, code, &[]);
    for key in [
        "tasks_cleaned",
        "receipts_cleaned",
        "files_cleaned",
        "files_shared",
        "errors",
        "disk_space_freed_mb",
    ] {
        assert_eq!(dry_run[key], result[key], "{key}: {result:#}");
    }
    result
}

fn attached(env: &TestEnv) -> Vec<String> {
    column(env, "SELECT file_path FROM attachments ORDER BY file_path")
}

on_each_database! {
    fn files_of_the_rows_that_go_with_a_task_go_with_it(env) {
        for on_delete in ["", "ON DELETE CASCADE", "DEFERRABLE INITIALLY DEFERRED"] {
            env.sql("DROP TABLE IF EXISTS attachments; DELETE FROM tasks");
            prepare(&env, &[old(1), fresh(2)]);
            attach(&env, on_delete, &[(1, "uploads/a"), (1, "uploads/b"), (1, "uploads/gone"), (1, ""), (2, "uploads/c")]);
            let result = both(&env, 0);
            assert_eq!((&result["tasks_cleaned"], &result["files_cleaned"]), (&json!(1), &json!(5)), "{on_delete}: {result:#}");
            assert_eq!(attached(&env), ["uploads/c"], "{on_delete}");
            let there = ["a", "b", "c"].map(|name| env.path(format!("uploads/{name}")).exists());
            assert_eq!(there, [false, false, true], "{on_delete}");
        }
    }

    fn a_task_stays_with_what_goes_along_if_one_of_its_files_cannot_go(env) {
        prepare(&env, &[old(1), old(2)]);
        attach(&env, "ON DELETE CASCADE", &[(1, "/etc/hostname"), (1, "uploads/a"), (2, "uploads/b")]);
        let result = both(&env, 1);
        assert_eq!(kinds(&result), ["outside_roots"], "{result:#}");
        assert_eq!((ids(&env), attached(&env)), (vec!["1".to_owned()], vec!["/etc/hostname".to_owned(), "uploads/a".to_owned()]));
        assert!(has_files(&env, &old(1)) && env.path("uploads/a").exists());
        assert!(!env.path("uploads/b").exists());
    }

    fn files_stay_that_other_rows_name_too(env) {
        prepare(&env, &[old(1), old(2), fresh(3).with("image_path", "./uploads/by_a_task"), old(4).with("image_path", "uploads/by_old")]);
        attach(&env, "", &[
            (1, "uploads/by_a_task"), (1, "uploads//by_fresh"), (3, "uploads/by_fresh"), (2, "uploads/by_old"), (1, "uploads/by_both"),
            (2, "uploads/x/../by_both"),
        ]);
        let result = both(&env, 0);
        assert_eq!((&result["tasks_cleaned"], &result["files_shared"]), (&json!(3), &json!(2)), "{result:#}");
        assert_eq!((ids(&env), attached(&env)), (vec!["3".to_owned()], vec!["uploads/by_fresh".to_owned()]));
        let there = ["by_a_task", "by_fresh", "by_old", "by_both"].map(|name| env.path(format!("uploads/{name}")).exists());
        assert_eq!(there, [true, true, false, false]);
    }

    fn a_row_that_the_database_keeps_keeps_what_goes_along(env) {
        prepare(&env, &[old(1), old(2)]);
        attach(&env, "ON DELETE CASCADE", &[(1, "uploads/a"), (2, "uploads/b")]);
        env.sql("CREATE TABLE refers (task integer REFERENCES tasks (id)); INSERT INTO refers VALUES (1)");
        let result = both(&env, 1);
        assert_eq!(kinds(&result), ["row_refused"]);
        assert_eq!(attached(&env), ["uploads/a"]);
        assert!(env.path("uploads/a").exists() && !env.path("uploads/b").exists());
    }

    fn rows_that_are_read_through_a_view_take_them_along(env) {
        prepare(&env, &[old(1), fresh(2)]);
        attach(&env, "", &[(1, "uploads/a"), (2, "uploads/b")]);
        env.sql("CREATE VIEW shown AS SELECT * FROM tasks");
        configure(&env, "from = 'shown'\ndelete_from = 'tasks'");
        assert_eq!(both(&env, 0)["files_cleaned"], 4);
        assert_eq!(attached(&env), ["uploads/b"]);
        assert!(!env.path("uploads/a").exists());
    }

    fn temp_files_that_they_name_stay(env) {
        prepare(&env, &[fresh(1)]);
        env.write("uploads/temp/loose", "x");
        attach(&env, "", &[(1, "uploads/temp/kept")]);
        env.taskmon(["-q", "-q", "cleanup", "--only", "temp", "--temp-files-hours", "0"]).exits(0).json();
        assert!(env.path("uploads/temp/kept").exists() && !env.path("uploads/temp/loose").exists());
    }

    fn a_dry_run_takes_them_before_it_asks_for_orphaned_receipts(env) {
        prepare(&env, &[old(1)]);
        env.sql("INSERT INTO delivery_receipts (id, tracking_number, created_at, qr_code_path) SELECT 1, tracking_number, created_at, 'uploads/code' FROM tasks");
        env.write("uploads/code", "0123456789");
        attach(&env, "", &[(1, "uploads/code")]);
        let result = both(&env, 0);
        assert_eq!((&result["tasks_cleaned"], &result["receipts_cleaned"]), (&json!(1), &json!(1)), "{result:#}");
        assert!(!env.path("uploads/code").exists());
    }
}

#[test]
fn a_foreign_key_that_writes_the_key_otherwise_leaves_no_file_behind() {
    let env = TestEnv::postgres();
    prepare(&env, &[old(1)]);
    attach(&env, "", &[(1, "uploads/a")]);
    env.sql("ALTER TABLE attachments DROP CONSTRAINT attachments_task_id_fkey, ALTER task_id TYPE numeric(4, 1)");
    run(&env, 3, &[]).failure("mapping_mismatch", &["foreign_key", "1.0"]);
    assert_eq!(ids(&env), ["1"]);
    assert!(has_files(&env, &old(1)) && env.path("uploads/a").exists());
}
