//! One part's failure is not another's: what is wrong with the database keeps no folder from being swept.

use super::*;

const CONFIG: &str = "[cleanup]\ntemp_dirs = ['uploads/temp', 'scratch']";

/// An old log, and old temp files outside the storage roots and beneath one of them.
const OLD: [&str; 3] = ["logs/app.log.1", "scratch/old.bin", "uploads/temp/old.bin"];

fn make_old_files(env: &TestEnv) {
    for path in OLD {
        env.write(path, "0123456789");
        age(&env.path(path), 50_000);
    }
}

fn left(env: &TestEnv) -> Vec<&'static str> {
    OLD.into_iter().filter(|path| env.path(path).exists()).collect()
}

/// What was swept although the run failed: temp files and logs.
fn swept(document: &Value) -> (u64, u64) {
    let count = |key: &str| document[key].as_u64().unwrap();
    assert_eq!(count("tasks_cleaned"), 0, "{document:#}");
    (count("files_cleaned"), count("logs_cleaned"))
}

on_each_database! {
    fn a_missing_database_keeps_no_folder_from_being_swept(env) {
        env.config(CONFIG);
        prepare(&env, &[old(1)]);
        make_old_files(&env);
        let broken = if env.url().starts_with("sqlite") {
            "sqlite:gone.db".to_owned()
        } else {
            format!("postgresql://postgres@127.0.0.1:{}/none", crate::support::server::dead_port())
        };
        let arguments = ["--database-url", broken.as_str()];
        let dry_run = run(&env, 3, &[&arguments[..], &["--dry-run"]].concat()).failure("database_unavailable", &[]);
        assert_eq!(left(&env), OLD);
        let failed = run(&env, 3, &arguments);
        let document = failed.failure("database_unavailable", &[]);
        assert_eq!(document["job"], "cleanup");
        assert_eq!(left(&env), ["uploads/temp/old.bin"], "rows may name what is beneath a storage root");
        assert_eq!(kinds(&document), ["database_unavailable"]);
        for document in [&dry_run, &document] {
            assert_eq!(swept(document), (1, 1), "{document:#}");
        }
        let result = cleanup(&env, 0, &[]);
        assert_eq!((&result["tasks_cleaned"], &result["files_cleaned"]), (&json!(1), &json!(4)));
        assert!(left(&env).is_empty());
    }

    fn a_mapping_that_does_not_fit_keeps_no_folder_from_being_swept(env) {
        env.config(&format!("[database.tasks]\nfiles = ['no_such_column']\n{CONFIG}"));
        make_old_files(&env);
        let document = run(&env, 3, &[]).failure("mapping_mismatch", &["no_such_column"]);
        assert_eq!(swept(&document), (1, 1), "{document:#}");
        let text = run(&env, 3, &["--output", "text"]);
        text.stdout_contains("error: database.tasks.files").stdout_contains("What needs no rows");
        text.stderr();
    }

    fn what_stops_the_run_stops_the_sweep_too(env) {
        env.config(CONFIG);
        guards::many(&env, 1001);
        make_old_files(&env);
        run(&env, 3, &[]).failure("brake", &["99.9"]);
        assert_eq!(left(&env), OLD);
    }

    fn a_temp_file_that_only_an_expired_row_names_goes_with_its_row(env) {
        env.config(CONFIG);
        let tasks = [
            old(1).with("image_path", "uploads/temp/expired.png"),
            Task::new(2).with("image_path", "uploads/temp/named.png"),
            old(3).with("image_path", "uploads/temp/shared.png"),
            Task::new(4).with("image_path", "uploads/temp/shared.png"),
        ];
        prepare(&env, &tasks);
        make_old_files(&env);
        for name in ["expired", "named", "shared"] {
            age(&env.path(format!("uploads/temp/{name}.png")), 50_000);
        }
        let dry_run = cleanup(&env, 0, &["--dry-run"]);
        let result = cleanup(&env, 0, &[]);
        for key in ["tasks_cleaned", "files_cleaned", "logs_cleaned", "files_shared", "folders_removed", "disk_space_freed_mb"] {
            assert_eq!(dry_run[key], result[key], "{key}");
        }
        assert_eq!((&result["tasks_cleaned"], &result["files_cleaned"]), (&json!(2), &json!(7)));
        assert!(!env.path("uploads/temp/expired.png").exists());
        assert!(env.path("uploads/temp/named.png").exists() && env.path("uploads/temp/shared.png").exists());
    }
}

/// What can be read and not written: the sweep asks which files rows name, and the deletion fails.
#[test]
fn rows_that_cannot_be_deleted_keep_no_folder_from_being_swept() {
    let env = TestEnv::postgres();
    env.config(CONFIG);
    prepare(&env, &[old(1), Task::new(2).with("image_path", "uploads/temp/named.png")]);
    make_old_files(&env);
    age(&env.path("uploads/temp/named.png"), 50_000);
    let url = env.url_of(&env.role(""));
    let arguments = ["--database-url", url.as_str()];
    let dry_run = run(&env, 3, &[&arguments[..], &["--dry-run"]].concat());
    let dry_run = dry_run.failure("permission_denied", &["tasks"]);
    let document = run(&env, 3, &arguments).failure("permission_denied", &["tasks"]);
    for document in [&dry_run, &document] {
        assert_eq!(swept(document), (2, 1), "{document:#}");
        assert_eq!((&document["files_shared"], &document["errors"]), (&json!(1), &json!([])));
    }
    assert!(left(&env).is_empty());
    assert!(env.path("uploads/temp/named.png").exists());
    assert_eq!(ids(&env), ["1", "2"]);
}

#[test]
fn a_sqlite_file_that_another_program_holds_keeps_no_folder_from_being_swept() {
    // One may still be read, the other may not.
    for (lock, swept_files, left_alone) in
        [("IMMEDIATE", 2, &[][..]), ("EXCLUSIVE", 1, &["uploads/temp/old.bin"][..])]
    {
        let env = TestEnv::sqlite();
        env.config(&format!("connect_timeout_seconds = 1\n{CONFIG}"));
        prepare(&env, &[old(1)]);
        make_old_files(&env);
        let other = env.connection();
        other.execute_batch(&format!("BEGIN {lock}")).unwrap();
        let failed = run(&env, 3, &[]);
        let document = failed.failure("database_unavailable", &["tasks.db", "locked"]);
        assert_eq!(swept(&document), (swept_files, 1), "{document:#}");
        assert_eq!(left(&env), left_alone);
        assert!(failed.took < Duration::from_secs(60), "{:?}", failed.took);
        other.execute_batch("ROLLBACK").unwrap();
        assert_eq!(cleanup(&env, 0, &[])["tasks_cleaned"], 1);
    }
}
