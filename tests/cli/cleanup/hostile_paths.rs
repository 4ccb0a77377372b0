//! Paths that lead out of their roots or nowhere, and files that cannot go.

use super::*;

/// The binary as an unprivileged user: root may remove every file.
fn unprivileged(env: &TestEnv) -> Finished {
    let arguments = ["-q", "-q", "cleanup", "--as-of", AS_OF, "--only", "tasks"];
    if !rustix::process::geteuid().is_root() {
        return env.taskmon(arguments).exits(1);
    }
    let words = ["--reuid=65534", "--regid=65534", "--clear-groups"].into_iter();
    let binary = env!("CARGO_BIN_EXE_taskmon");
    env.program("/usr/bin/setpriv", words.chain([binary]).chain(arguments)).exits(1)
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

on_each_database! {
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
            ("uploads/new\nline", "not_a_file"),
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
        std::fs::create_dir(env.path("uploads/new\nline")).unwrap();
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
            age(&beside.join(name), 50_000);
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
fn a_link_that_is_swapped_in_during_the_run_is_not_followed() {
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
fn paths_of_sqlite_may_be_blobs_numbers_or_invalid_text() {
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
fn a_file_that_is_written_to_while_its_row_goes_stays_and_is_reported() {
    let env = TestEnv::postgres();
    let tasks: Vec<Task> = (1..=5).map(old).collect();
    prepare(&env, &tasks);
    // The delete takes a second, in which a file is written to; then the first COMMIT meets a conflict.
    env.sql(include_str!("../../fixtures/cleanup/slow_delete_and_conflict.sql"));
    let running = env.taskmon(arguments(&[])).spawn();
    let sleeping = "SELECT 1 FROM pg_stat_activity WHERE datname = current_database() AND wait_event = 'PgSleep'";
    let mut observer = env.client();
    wait_until("the delete takes its second", || {
        !observer.query(sleeping, &[]).unwrap().is_empty()
    });
    env.write("uploads/image_3.png", "written anew");
    let finished = running.wait();
    let result = finished.json();
    assert_eq!(finished.code, Some(1), "{result:#}");
    // One in the first COMMIT, which it ends, and one for each of the five rows of the second.
    assert_eq!(column(&env, "SELECT last_value FROM commits"), ["6"]);
    assert_eq!(ids(&env), Vec::<String>::new(), "{result:#}");
    assert_eq!(env.read("uploads/image_3.png"), "written anew");
    assert!(message(&result, "unlink_failed").contains("has changed since it was examined"));
    assert_eq!((&result["tasks_cleaned"], &result["files_cleaned"]), (&json!(5), &json!(14)));
    assert_eq!(journals(&env), Vec::<String>::new());
}
