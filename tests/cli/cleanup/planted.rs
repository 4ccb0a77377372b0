//! Links that another user put in the place of a folder that the configuration names, and folders that come by another name.

use super::volumes::{in_own_mounts, mount};
use super::*;
use crate::support::env::lock_tasks;
use rustix::fs::{AtFlags, CWD, Gid, Uid, chownat};
use std::os::unix::fs::symlink;

/// The user who owns the folders of the uploads; root cleans them.
const APPLICATION: u32 = 65534;

/// Gives a name to the application, a symbolic link itself and not what it leads to. Needs root.
pub fn give_away(path: &Path) {
    let (user, group) = (Uid::from_raw(APPLICATION), Gid::from_raw(APPLICATION));
    chownat(CWD, path, Some(user), Some(group), AtFlags::SYMLINK_NOFOLLOW).unwrap();
}

/// A link that the application made.
fn plant(target: &Path, link: &Path) {
    symlink(target, link).unwrap();
    give_away(link);
}

/// An environment with a file of which nobody has said that it may go, old enough to.
fn with_precious_files() -> TestEnv {
    let env = TestEnv::sqlite();
    for name in ["precious/old.bin", "precious/old.log", "precious/temp/old.bin"] {
        env.write(name, "12345");
        age(&env.path(name), 50_000);
    }
    env
}

#[track_caller]
fn assert_untouched(env: &TestEnv) {
    for name in ["precious/old.bin", "precious/old.log", "precious/temp/old.bin"] {
        assert!(env.path(name).exists(), "{}", env.tree());
    }
}

#[test]
fn a_link_of_another_users_in_the_place_of_a_swept_folder_is_not_followed() {
    for (place, planted) in [
        ("uploads/temp", "uploads/temp"),
        // On the way to it.
        ("uploads/temp", "uploads"),
        ("logs/app", "logs/app"),
    ] {
        let env = with_precious_files();
        let (folders, part) = if place.starts_with("logs") {
            (format!("temp_dirs = []\nlog_dirs = ['{place}']"), "logs")
        } else {
            (format!("temp_dirs = ['{place}']"), "temp")
        };
        env.config(&format!("[cleanup]\n{folders}"));
        std::fs::create_dir_all(env.path(planted).parent().unwrap()).unwrap();
        plant(&env.path("precious"), &env.path(planted));
        for more in [["--only", part, "--dry-run"].as_slice(), &["--only", part]] {
            let result = cleanup(&env, 1, more);
            assert_eq!(kinds(&result), ["folder_unreadable"], "{planted}");
            let said = message(&result, "folder_unreadable");
            let link = env.path(planted).display().to_string();
            let owner = format!("a symbolic link of user {APPLICATION}");
            assert!(said.contains(&link) && said.contains(&owner), "{said}");
            assert_eq!((&result["files_cleaned"], &result["logs_cleaned"]), (&json!(0), &json!(0)));
        }
        assert_untouched(&env);
        let check = env.taskmon(["check"]).run();
        let found = check.json()["checks"].to_string();
        assert!(found.contains("cannot be swept"), "{found}");
    }
}

#[test]
fn links_of_root_and_of_the_user_itself_lead_on() {
    for user in ["0", "65534"] {
        let env = TestEnv::new();
        env.config("[cleanup]\ntemp_dirs = ['ours', 'roots']\nlog_dirs = []");
        for name in ["one/old.bin", "two/old.bin"] {
            env.write(name, "12345");
            age(&env.path(name), 50_000);
        }
        symlink(env.path("one"), env.path("ours")).unwrap();
        symlink("./nothing/../two", env.path("roots")).unwrap();
        std::fs::create_dir(env.path("nothing")).unwrap();
        for name in [".", "one", "two", "ours"] {
            std::os::unix::fs::lchown(env.path(name), user.parse().ok(), None).unwrap();
        }
        let (user, group) = (format!("--reuid={user}"), format!("--regid={user}"));
        let binary = env!("CARGO_BIN_EXE_taskmon");
        let words = [&user, &group, "--clear-groups", binary, "cleanup", "--only", "temp"];
        let result = env.program("/usr/bin/setpriv", words).success().json();
        assert_eq!(result["files_cleaned"], 2, "{user}: {}", env.tree());
    }
}

#[test]
fn a_sticky_folder_for_all_has_links_followed_as_the_kernel_follows_them() {
    let env = with_precious_files();
    env.config("[cleanup]\ntemp_dirs = ['shared/link']\nlog_dirs = []");
    std::fs::create_dir(env.path("shared")).unwrap();
    symlink(env.path("precious"), env.path("shared/link")).unwrap();
    give_away(&env.path("shared"));
    let mode = std::fs::Permissions::from_mode(0o1777);
    std::fs::set_permissions(env.path("shared"), mode).unwrap();
    for name in [".", "precious", "precious/temp"] {
        std::fs::set_permissions(env.path(name), std::fs::Permissions::from_mode(0o777)).unwrap();
    }
    // Root's link, in another user's folder for all, and a third user.
    let binary = env!("CARGO_BIN_EXE_taskmon");
    let words = [
        "--reuid=65533",
        "--regid=65533",
        "--clear-groups",
        binary,
        "-q",
        "-q",
        "cleanup",
        "--only",
        "temp",
    ];
    let result = env.program("/usr/bin/setpriv", words).exits(1).json();
    assert!(message(&result, "folder_unreadable").contains("symbolic link"), "{result:#}");
    assert_untouched(&env);
}

on_each_database! {
    fn a_link_of_another_users_in_the_place_of_a_storage_root_keeps_the_rows(env) {
        let tasks = [old(1), old(2).without("image_path")];
        prepare(&env, &tasks);
        std::fs::rename(env.path("uploads"), env.path("elsewhere")).unwrap();
        plant(&env.path("elsewhere"), &env.path("uploads"));
        let result = cleanup(&env, 1, &["--only", "tasks"]);
        assert_eq!(kinds(&result), ["root_unavailable"]);
        assert!(message(&result, "root_unavailable").contains("a symbolic link of user"), "{result:#}");
        assert_eq!(ids(&env), ["1"]);
        let result = cleanup(&env, 1, &["--only", "tasks", "--force"]);
        assert_eq!(kinds(&result), ["outside_roots"]);
        assert_eq!(ids(&env), ["1"]);
        assert!(env.path("elsewhere/image_1.png").exists(), "{}", env.tree());
        // The administrator's own link is as good as the folder.
        std::fs::remove_file(env.path("uploads")).unwrap();
        symlink("elsewhere", env.path("uploads")).unwrap();
        cleanup(&env, 0, &["--only", "tasks"]);
        assert!(ids(&env).is_empty() && !env.path("elsewhere/image_1.png").exists());
    }
}

#[test]
fn the_folder_that_was_judged_is_the_one_that_is_swept() {
    let env = TestEnv::postgres();
    env.write("uploads/temp/old.bin", "12345");
    env.write("precious/old.bin", "12345");
    for name in ["uploads/temp/old.bin", "precious/old.bin"] {
        age(&env.path(name), 50_000);
    }
    let mut client = env.client();
    let held = lock_tasks(&mut client);
    let running = env.taskmon(["cleanup", "--only", "temp"]).spawn();
    env.wait_until_blocked(1);
    // It has judged its folders, and waits for the rows that name files in them.
    std::fs::rename(env.path("uploads/temp"), env.path("uploads/aside")).unwrap();
    symlink(env.path("precious"), env.path("uploads/temp")).unwrap();
    held.rollback().unwrap();
    let finished = running.wait();
    assert_eq!(finished.code, Some(0));
    assert!(env.path("precious/old.bin").exists(), "{}", env.tree());
    finished.json();
}

#[test]
fn a_folder_that_is_never_swept_is_known_by_any_path() {
    in_own_mounts("planted::a_folder_that_is_never_swept_is_known_by_any_path", || {
        let env = TestEnv::new();
        let base = env.path("").canonicalize().unwrap();
        for folder in [base.as_path(), Path::new("/tmp"), Path::new("/usr")] {
            let point = env.path("elsewhere/temp");
            mount(&["--bind", folder.to_str().unwrap()], &point);
            env.config(&format!("[cleanup]\ntemp_dirs = ['{}']", point.display()));
            let refused = env.taskmon(["-q", "-q", "cleanup", "--only", "temp"]).exits(2);
            refused.failure("folder_refused", &["cleanup.temp_dirs", "elsewhere/temp"]);
            assert!(Command::new("umount").arg(&point).status().unwrap().success());
        }
    });
}
