//! Names that a terminal would obey, trees that no path reaches, and files with holes.

use super::*;
use rustix::fs::{CWD, Mode, OFlags, Timespec, Timestamps, futimens, mkdirat, openat};
use std::fs::File;
use std::io::Write;

/// What would break a line of a log, and colour what follows it.
const NAME: &str = "new\nline\ttab\u{1b}[31m\u{7f}.png";
const SHOWN: &str = r"new\nline\ttab\u{1b}[31m\u{7f}.png";

/// A row that names this path alone.
fn naming(n: u32, path: &str) -> Task {
    old(n).with("image_path", path).without("document_path").without("screenshot_path")
}

on_each_database! {
    fn control_characters_in_a_name_keep_no_file(env) {
        let path = format!("uploads/{NAME}/{NAME}");
        prepare(&env, &[naming(1, &path)]);
        for name in [NAME, "\n", "\t\n.log"] {
            env.write(&format!("uploads/temp/{name}"), "0123456789");
            age(&env.path(format!("uploads/temp/{name}")), 50_000);
        }
        let dry_run = cleanup(&env, 0, &["--dry-run"]);
        let result = cleanup(&env, 0, &[]);
        for result in [dry_run, result] {
            assert_eq!((&result["tasks_cleaned"], &result["files_cleaned"]), (&json!(1), &json!(4)));
        }
        assert!(!env.path(path).exists() && sweep::names(&env.path("uploads/temp")).is_empty());
    }

    fn a_file_with_control_characters_stays_with_a_row_that_stays(env) {
        let (one, other) = (format!("uploads/{NAME}"), format!("uploads/x/../{NAME}"));
        let temp = format!("uploads/temp/{NAME}");
        prepare(&env, &[naming(1, &one), Task::new(2).with("image_path", &other), Task::new(3).with("image_path", &temp)]);
        age(&env.path(&temp), 50_000);
        let result = cleanup(&env, 0, &[]);
        assert_eq!((&result["files_cleaned"], &result["files_shared"]), (&json!(0), &json!(2)));
        assert!(env.path(one).exists() && env.path(temp).exists());
    }

    fn control_characters_are_escaped_wherever_a_name_is_printed(env) {
        env.write(&format!("uploads/{NAME}/inner"), "");
        std::os::unix::fs::symlink("/etc", env.path(format!("uploads/link{NAME}"))).unwrap();
        prepare(&env, &[old(9)]);
        env.insert([naming(1, &format!("uploads/{NAME}")), naming(2, &format!("uploads/link{NAME}/passwd")), naming(3, &format!("../{NAME}"))]);
        let run = env.taskmon(["cleanup", "--as-of", AS_OF, "--only", "tasks", "--output", "text"]).exits(1);
        for printed in [run.stdout(), run.stderr()] {
            assert!(!printed.contains(|c: char| c.is_control() && c != '\n'), "{printed:?}");
            assert!(printed.contains(SHOWN), "{printed}");
        }
        let result = cleanup(&env, 1, &["--only", "tasks"]);
        assert_eq!(kinds(&result), ["not_a_file", "outside_roots", "outside_roots"]);
        for error in result["errors"].as_array().unwrap() {
            for key in ["message", "path"] {
                assert!(error[key].as_str().unwrap().contains(SHOWN), "{error:#}");
            }
        }
    }

    fn a_sparse_file_frees_what_it_really_takes(env) {
        prepare(&env, &[naming(1, "uploads/a.png")]);
        for path in ["uploads/a.png", "uploads/temp/b.bin"] {
            env.write(path, &"x".repeat(1 << 20));
            let file = File::options().append(true).open(env.path(path)).unwrap();
            file.set_len(1 << 30).unwrap();
        }
        env.write("uploads/temp/c.bin", "");
        File::create(env.path("uploads/temp/c.bin")).unwrap().set_len(1 << 30).unwrap();
        for name in ["b.bin", "c.bin"] {
            age(&env.path(format!("uploads/temp/{name}")), 50_000);
        }
        let dry_run = cleanup(&env, 0, &["--dry-run"]);
        let result = cleanup(&env, 0, &[]);
        for result in [dry_run, result] {
            assert_eq!(result["disk_space_freed_mb"], 2.0);
        }
    }
}

fn old_times() -> Timestamps {
    let long_ago = chrono::Utc::now() - chrono::TimeDelta::days(2_000);
    let long_ago = Timespec { tv_sec: long_ago.timestamp(), tv_nsec: 0 };
    Timestamps { last_access: long_ago, last_modification: long_ago }
}

/// So many folders within each other, an old file in each.
fn make_deep(top: &Path, depth: usize) {
    let name = "d".repeat(50);
    let folder = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let mut here = openat(CWD, top, folder, Mode::empty()).unwrap();
    for _ in 0..depth {
        mkdirat(&here, name.as_str(), Mode::RWXU).unwrap();
        here = openat(&here, name.as_str(), folder, Mode::empty()).unwrap();
        // Else a program that another test starts now has it open for writing.
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::CLOEXEC;
        let file = openat(&here, "old.log", flags, Mode::RUSR | Mode::WUSR).unwrap();
        let mut file = File::from(file);
        file.write_all(b"0123456789").unwrap();
        futimens(&file, &old_times()).unwrap();
    }
    for _ in 0..depth {
        futimens(&here, &old_times()).unwrap();
        here = openat(&here, "..", folder, Mode::empty()).unwrap();
    }
}

#[test]
fn a_tree_that_is_deeper_than_any_path_is_swept_with_few_open_files() {
    let env = TestEnv::new();
    env.config("");
    for folder in ["uploads/temp/first", "uploads/temp/second", "logs"] {
        std::fs::create_dir_all(env.path(folder)).unwrap();
        make_deep(&env.path(folder), 1000);
    }
    // Both ways back: the walk meets them after the deep ones or before.
    for name in ["uploads/temp/0/old.log", "uploads/temp/zz/old.log", "uploads/temp/young.log"] {
        env.write(name, "0123456789");
        age(&env.path(name), if name.contains("young") { 1 } else { 50_000 });
    }
    let few = |more: &str| {
        let script = format!("ulimit -n 256; exec taskmon cleanup --only temp,logs {more}");
        env.program("sh", ["-c", &script]).success().json()
    };
    let dry_run = few("--dry-run");
    let result = few("");
    for result in [&dry_run, &result] {
        assert_eq!(result["files_cleaned"], 2002, "{result:#}");
        assert_eq!(result["logs_cleaned"], 1000, "{result:#}");
        assert_eq!(result["folders_removed"], 2000, "{result:#}");
    }
    assert_eq!(
        sweep::names(&env.path("uploads/temp")),
        ["0", "first", "second", "young.log", "zz"]
    );
    // Files are gone from the logs, folders stay.
    env.program("rm", ["-r", "logs"]).success();
}
