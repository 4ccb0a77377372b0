//! One file by two paths, because a folder or a file is mounted in a second place: it stays as long as a row that stays names it by either.

use super::volumes::{in_own_mounts, mount};
use super::*;
use std::os::unix::fs::symlink;

/// A task that stays.
fn kept(id: u32) -> Task {
    Task::new(id)
}

fn only(task: Task, path: &str) -> Task {
    task.with("image_path", path).without("document_path").without("screenshot_path")
}

fn bind(env: &TestEnv, from: &str, to: &str) {
    mount(&["--bind", env.path(from).to_str().unwrap()], &env.path(to));
}

/// A dry run and a run, which come to the same; the result.
#[track_caller]
fn run_twice(env: &TestEnv, more: &[&str]) -> Value {
    let dry_run = cleanup(env, 0, &[more, &["--dry-run"]].concat());
    let result = cleanup(env, 0, more);
    for key in ["tasks_cleaned", "files_cleaned", "files_shared"] {
        assert_eq!(dry_run[key], result[key], "{key}");
    }
    result
}

#[test]
fn a_file_that_a_row_names_by_way_of_a_bind_mount_stays() {
    in_own_mounts("bind_mounts::a_file_that_a_row_names_by_way_of_a_bind_mount_stays", || {
        // The row that goes, and the one that stays.
        for (gone, stays) in [
            ("uploads/b/F", "uploads/a/F"),
            ("uploads/a/F", "uploads/b/F"),
            ("uploads/a/F", "outside/whole/uploads/a/F"),
            ("outside/whole/uploads/a/F", "uploads/b/F"),
            ("uploads/b/F", "outside/in/F"),
            ("static/up/a/F", "uploads/b/F"),
            ("uploads/link/F", "uploads/a/F"),
            ("uploads/a/F", "uploads/link/F"),
        ] {
            for env in [TestEnv::sqlite(), TestEnv::postgres()] {
                env.write("static/.gitkeep", "");
                env.write("uploads/a/F", "precious");
                env.write("uploads/a/free", "12345");
                bind(&env, "uploads/a", "uploads/b");
                bind(&env, "uploads", "static/up");
                bind(&env, "", "outside/whole");
                bind(&env, "uploads/a", "outside/in");
                symlink("b", env.path("uploads/link")).unwrap();
                env.config("[cleanup]\noutside_paths = 'ignore'");
                env.insert([
                    only(old(1), gone),
                    only(kept(2), stays),
                    only(old(3), "uploads/b/free"),
                ]);
                let result = run_twice(&env, &["--only", "tasks"]);
                assert_eq!(env.read("uploads/a/F"), "precious", "{gone} goes, {stays} stays");
                assert!(!env.path("uploads/a/free").exists());
                assert_eq!(ids(&env), ["2"], "{gone} goes, {stays} stays: {result:#}");
            }
        }
    });
}

#[test]
fn a_file_stays_that_a_row_names_through_several_links_and_mounts() {
    in_own_mounts(
        "bind_mounts::a_file_stays_that_a_row_names_through_several_links_and_mounts",
        || {
            for stays in [
                "static/l/uploads/k/F",
                "static/l/static/l/uploads/a/F",
                "static/up/k/F",
                "static/l/static/up/k/F",
                "uploads/m/uploads/a/F",
            ] {
                for env in [TestEnv::sqlite(), TestEnv::postgres()] {
                    env.write("static/.gitkeep", "");
                    env.write("uploads/a/F", "precious");
                    env.write("uploads/a/free", "12345");
                    symlink(env.path(""), env.path("static/l")).unwrap();
                    symlink("a", env.path("uploads/k")).unwrap();
                    bind(&env, "uploads", "static/up");
                    // A link to a folder beneath no root, where one above them all is mounted.
                    bind(&env, "", "elsewhere");
                    symlink("../elsewhere", env.path("uploads/m")).unwrap();
                    env.insert([
                        only(old(1), "uploads/a/F"),
                        only(kept(2), stays),
                        only(old(3), "static/l/uploads/k/free"),
                    ]);
                    let result = run_twice(&env, &["--only", "tasks"]);
                    assert_eq!(env.read("uploads/a/F"), "precious", "{stays} stays");
                    assert!(!env.path("uploads/a/free").exists());
                    assert_eq!(ids(&env), ["2"], "{stays} stays: {result:#}");
                }
            }
        },
    );
}

#[test]
fn a_file_that_is_itself_mounted_elsewhere_stays_with_the_row_that_names_it_there() {
    const NAME: &str = "bind_mounts::a_file_that_is_itself_mounted_elsewhere_stays_with_the_row_that_names_it_there";
    in_own_mounts(NAME, || {
        for env in [TestEnv::sqlite(), TestEnv::postgres()] {
            env.write("static/.gitkeep", "");
            env.write("uploads/a/F", "precious");
            env.write("uploads/b/F", "");
            let point = env.path("uploads/b/F");
            let mut command = Command::new("mount");
            command.arg("--bind").arg(env.path("uploads/a/F")).arg(&point);
            assert!(command.status().unwrap().success());
            env.insert([only(old(1), "uploads/a/F"), only(kept(2), "uploads/b/F")]);
            let result = run_twice(&env, &["--only", "tasks"]);
            assert_eq!((&result["files_cleaned"], &result["files_shared"]), (&json!(0), &json!(1)));
            assert_eq!(env.read("uploads/a/F"), "precious");
        }
    });
}

#[test]
fn a_hard_link_is_a_name_of_its_own_and_another_file_system_has_files_of_its_own() {
    const NAME: &str = "bind_mounts::a_hard_link_is_a_name_of_its_own_and_another_file_system_has_files_of_its_own";
    in_own_mounts(NAME, || {
        for env in [TestEnv::sqlite(), TestEnv::postgres()] {
            env.write("static/.gitkeep", "");
            env.write("uploads/a/F", "12345");
            std::fs::hard_link(env.path("uploads/a/F"), env.path("uploads/a/G")).unwrap();
            bind(&env, "uploads/a", "uploads/b");
            mount(&["-t", "tmpfs", "none"], &env.path("uploads/b/t"));
            env.write("uploads/a/t/T", "in the folder beneath");
            env.write("uploads/b/t/T", "in the tmpfs");
            env.insert([
                only(old(1), "uploads/b/G"),
                only(kept(2), "uploads/a/F"),
                only(old(3), "uploads/b/t/T"),
                only(kept(4), "uploads/a/t/T"),
            ]);
            let result = run_twice(&env, &["--only", "tasks"]);
            assert_eq!((&result["files_cleaned"], &result["files_shared"]), (&json!(2), &json!(0)));
            assert!(env.path("uploads/a/F").exists() && !env.path("uploads/a/G").exists());
            assert!(env.path("uploads/a/t/T").exists() && !env.path("uploads/b/t/T").exists());
        }
    });
}

#[test]
fn a_temp_file_that_a_row_names_by_way_of_a_bind_mount_stays() {
    in_own_mounts("bind_mounts::a_temp_file_that_a_row_names_by_way_of_a_bind_mount_stays", || {
        for env in [TestEnv::sqlite(), TestEnv::postgres()] {
            env.write("static/.gitkeep", "");
            for name in ["uploads/temp/F", "uploads/temp/free", "uploads/keep/G"] {
                env.write(name, "12345");
                age(&env.path(name), 50_000);
            }
            // Of the folder that is swept, and into it.
            bind(&env, "uploads/temp", "uploads/seen");
            bind(&env, "uploads/keep", "uploads/temp/keep");
            env.insert([only(kept(1), "uploads/seen/F"), only(kept(2), "uploads/keep/G")]);
            let result = run_twice(&env, &["--only", "temp"]);
            assert!(env.path("uploads/temp/F").exists() && env.path("uploads/keep/G").exists());
            assert!(!env.path("uploads/temp/free").exists());
            assert_eq!(result["files_cleaned"], 1, "{result:#}");
            // A mount of a storage root is left alone like the root itself where no row can be asked.
            bind(&env, "uploads/keep", "elsewhere");
            age(&env.path("elsewhere/G"), 50_000);
            env.config("[cleanup]\ntemp_dirs = ['elsewhere']");
            let url = ["--only", "temp", "--database-url", "postgresql://nobody@127.0.0.1:1/none"];
            let result = cleanup(&env, 1, &url);
            assert_eq!(kinds(&result), ["database_unavailable"]);
            assert!(env.path("uploads/keep/G").exists());
        }
    });
}

#[test]
fn a_file_that_goes_by_two_paths_counts_once() {
    in_own_mounts("bind_mounts::a_file_that_goes_by_two_paths_counts_once", || {
        for env in [TestEnv::sqlite(), TestEnv::postgres()] {
            env.write("static/.gitkeep", "");
            env.write("uploads/.gitkeep", "");
            for name in ["uploads/a/F", "uploads/a/G", "temp/a/old", "temp/a/named"] {
                env.write(name, "0123456789");
                age(&env.path(name), 50_000);
            }
            bind(&env, "uploads/a", "uploads/b");
            bind(&env, "temp/a", "temp/b");
            env.config("[cleanup]\ntemp_dirs = ['temp/a', 'temp/b']\nlog_dirs = []");
            env.insert([
                only(old(1), "uploads/a/F"),
                only(old(2), "uploads/b/F"),
                only(old(3), "uploads/b/G").with("document_path", "uploads/a/G"),
                only(kept(4), "temp/b/named"),
            ]);
            let more = ["--batch-size", "10"];
            let dry_run = cleanup(&env, 0, &[more.as_slice(), &["--dry-run"]].concat());
            let result = cleanup(&env, 0, &more);
            for key in ["tasks_cleaned", "files_cleaned", "files_shared", "disk_space_freed_mb"] {
                assert_eq!(dry_run[key], result[key], "{key}");
            }
            assert_eq!((&result["files_cleaned"], &result["files_shared"]), (&json!(3), &json!(1)));
            assert!(env.path("temp/a/named").exists() && !env.path("temp/a/old").exists());
        }
    });
}

#[test]
fn a_file_that_something_is_mounted_on_keeps_its_row() {
    in_own_mounts("bind_mounts::a_file_that_something_is_mounted_on_keeps_its_row", || {
        let env = TestEnv::sqlite();
        env.write("static/.gitkeep", "");
        env.write("outside", "1");
        env.write("uploads/F", "2");
        let mut command = Command::new("mount");
        command.arg("--bind").arg(env.path("outside")).arg(env.path("uploads/F"));
        assert!(command.status().unwrap().success());
        env.insert([only(old(1), "uploads/F")]);
        let dry_run = cleanup(&env, 1, &["--only", "tasks", "--dry-run"]);
        let result = cleanup(&env, 1, &["--only", "tasks"]);
        assert_eq!(dry_run["errors"], result["errors"]);
        assert!(message(&result, "not_removable").contains("something is mounted on it"));
        assert_eq!(ids(&env), ["1"]);
    });
}
