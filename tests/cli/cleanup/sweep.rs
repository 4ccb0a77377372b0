//! Folders of temporary files and logs.

use super::*;

pub fn names(folder: &Path) -> Vec<String> {
    let mut names: Vec<String> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

fn timespec(time: std::time::SystemTime) -> rustix::fs::Timespec {
    let seconds = time.duration_since(std::time::UNIX_EPOCH).unwrap().as_secs();
    rustix::fs::Timespec { tv_sec: seconds.try_into().unwrap(), tv_nsec: 0 }
}

on_each_database! {
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

    fn a_log_beneath_a_storage_root_stays_that_a_row_names(env) {
        prepare(&env, &[Task::new(1).with("image_path", "./uploads/logs/job.log")]);
        env.config("[cleanup]\nlog_dirs = ['logs', 'uploads/logs']");
        let make = || {
            for path in ["uploads/logs/job.log", "uploads/logs/free.log", "logs/a.log"] {
                env.write(path, "1");
                age(&env.path(path), 50_000);
            }
        };
        make();
        let dry_run = cleanup(&env, 0, &["--only", "logs", "--dry-run"]);
        let result = cleanup(&env, 0, &["--only", "logs"]);
        for result in [dry_run, result] {
            assert_eq!((&result["logs_cleaned"], &result["files_shared"]), (&json!(2), &json!(1)));
        }
        assert_eq!(names(&env.path("uploads/logs")), ["job.log"]);
        // Where nobody can say what rows name, only the others go.
        make();
        let nowhere = ["--only", "logs", "--database-url", "postgresql://nobody@127.0.0.1:1/none"];
        let result = cleanup(&env, 1, &nowhere);
        assert_eq!(kinds(&result), ["database_unavailable"]);
        assert_eq!(names(&env.path("uploads/logs")), ["free.log", "job.log"]);
        assert!(!env.path("logs/a.log").exists());
    }

    fn a_file_in_several_folders_that_are_swept_counts_once(env) {
        prepare(&env, &[old(1).with("image_path", "uploads/temp/sub/named.png")]);
        env.config("[cleanup]\ntemp_dirs = ['uploads/temp', 'uploads/temp/sub']\nlog_dirs = ['logs', 'uploads/temp']");
        for path in ["uploads/temp/sub/named.png", "uploads/temp/sub/old.log", "uploads/temp/other/old.bin", "logs/a.log"] {
            env.write(path, "0123456789");
            age(&env.path(path), 50_000);
        }
        for folder in ["uploads/temp/sub", "uploads/temp/other"] {
            age(&env.path(folder), 50_000);
        }
        let dry_run = cleanup(&env, 0, &["--dry-run"]);
        let result = cleanup(&env, 0, &[]);
        for key in ["tasks_cleaned", "files_cleaned", "logs_cleaned", "files_shared", "disk_space_freed_mb"] {
            assert_eq!(dry_run[key], result[key], "{key}");
        }
        assert_eq!((&result["files_cleaned"], &result["logs_cleaned"]), (&json!(5), &json!(1)));
        assert!(env.path("uploads/temp/sub").exists(), "a folder that is named stays");
    }

    fn a_folder_that_is_named_stays_though_the_one_above_it_is_swept_too(env) {
        env.config("[cleanup]\ntemp_dirs = ['uploads/temp', 'uploads/temp/sub']");
        env.write("uploads/temp/sub/old.bin", "1");
        for path in ["uploads/temp/sub/old.bin", "uploads/temp/sub"] {
            age(&env.path(path), 50_000);
        }
        let result = cleanup(&env, 0, &["--only", "temp"]);
        assert_eq!((&result["files_cleaned"], &result["folders_removed"]), (&json!(1), &json!(0)));
        assert!(env.path("uploads/temp/sub").exists());
    }
}

#[test]
fn the_folder_of_a_program_s_logs_stays_when_its_last_log_went() {
    let env = TestEnv::new();
    env.config("");
    let files = ["logs/nginx/access.log", "uploads/temp/in/old.bin"];
    let make = || {
        for file in files {
            env.write(file, "1");
            age(&env.path(file), 50_000);
            age(env.path(file).parent().unwrap(), 50_000);
        }
    };
    for (more, goes) in [("", true), ("[cleanup]\nremove_empty_temp_folders = false", false)] {
        env.config(more);
        make();
        let result = env.taskmon(["cleanup", "--only", "temp,logs"]).success().json();
        assert!(files.iter().all(|file| !env.path(file).exists()), "{result:#}");
        assert!(env.path("logs/nginx").is_dir(), "{}", env.tree());
        assert_eq!(env.path("uploads/temp/in").exists(), !goes, "{more}");
    }
}

#[test]
fn logs_and_temp_files_need_no_database() {
    let env = TestEnv::new();
    env.config("");
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
        assert_eq!(result["folders_removed"], 2);
    }
    let mut left = names(&env.path("logs"));
    left.retain(|name| !name.ends_with(".lock"));
    // A program may not start without the folder of its logs.
    assert_eq!(
        left,
        [
            ".taskmon_last_runs.json",
            "app.log",
            "deep",
            "link",
            "mixed",
            "notes.txt",
            "taskmon_runs.jsonl"
        ]
    );
    assert!(names(&env.path("logs/deep/er")).is_empty());
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
fn sockets_and_other_file_systems_stay() {
    let env = TestEnv::new();
    env.config("");
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
