//! The lock of a job: where it is, who can hold it, and what cannot block it.

use crate::cli::stats::DAY;
use crate::support::env::{TestEnv, lock_tasks};
use crate::support::run::Run;
use crate::support::wait_until;
use serde_json::Value;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::PathBuf;

const STATS: [&str; 4] = ["stats", "--date", DAY, "--no-save"];

/// The locks' files in a folder.
fn locks(folder: PathBuf) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).into_iter().flatten();
    let paths = entries.map(|entry| entry.unwrap().path());
    paths.filter(|path| path.extension().is_some_and(|extension| extension == "lock")).collect()
}

fn disk(env: &TestEnv) -> Run<'_> {
    env.taskmon(["disk", "/", "--no-alert"])
}

fn mode(env: &TestEnv, path: &str, bits: u32) {
    std::fs::set_permissions(env.path(path), std::fs::Permissions::from_mode(bits)).unwrap();
}

/// The job as another user, who can reach the test's folder.
fn as_nobody<'e>(env: &'e TestEnv, words: &[&str]) -> Run<'e> {
    assert!(
        rustix::process::geteuid().is_root(),
        "these tests become another user, which takes root"
    );
    mode(env, "", 0o755);
    let mut all = vec!["--reuid=65534", "--regid=65534", "--clear-groups"];
    all.extend([env!("CARGO_BIN_EXE_taskmon"), "disk", "/", "--no-alert"]);
    all.extend(words);
    env.program("/usr/bin/setpriv", all)
}

#[test]
fn the_lock_is_beside_the_records_and_named_by_job_and_host() {
    let env = TestEnv::sqlite();
    disk(&env).success().json();
    let found = locks(env.path("logs"));
    let host = rustix::system::uname();
    let host = host.nodename().to_string_lossy().replace('.', "_");
    let name = found[0].file_name().unwrap().to_str().unwrap();
    assert!(found.len() == 1 && name.starts_with(&format!(".taskmon-disk-{host}-")), "{found:?}");
    // A file that is left behind does not block, one that is held does, and it is named.
    disk(&env).success().json();
    let file = found[0].to_str().unwrap();
    let words = ["-n", file, env!("CARGO_BIN_EXE_taskmon"), "disk", "/", "--no-alert"];
    let refused = env.program("flock", words).exits(75);
    let hint = refused.failure("locked", &["disk"])["error"]["hint"].to_string();
    assert!(hint.contains(file), "{hint}");
    // Another database is another configuration.
    let other = ["--database-url", "sqlite:other.db"];
    let words = words.iter().chain(&other).copied();
    env.program("flock", words).success().json();
}

#[test]
fn a_dry_run_takes_no_lock_and_makes_no_file_for_one() {
    let env = TestEnv::sqlite();
    env.taskmon(["cleanup", "--dry-run"]).success().json();
    env.taskmon(["alert", "--dry-run"]).success().json();
    assert!(locks(env.path("logs")).is_empty(), "{}", env.tree());
    env.taskmon(["cleanup", "--no-alert"]).success().json();
    assert_eq!(locks(env.path("logs")).len(), 1);
}

/// Other users who fill `/tmp` do not block a job.
#[test]
fn a_tmp_that_cannot_be_written_to_does_not_stop_a_job() {
    let env = TestEnv::sqlite();
    let script = "mount --bind /tmp /tmp && cd \"$FOLDER\" && mount --bind . . && mount -o remount,bind,ro /tmp && cd \"$FOLDER\" && exec taskmon disk / --no-alert";
    let run = env.program("unshare", ["--mount", "sh", "-c", script]).env("FOLDER", env.path(""));
    // Standard error is empty.
    run.success().json();
}

#[test]
fn a_second_user_of_the_configuration_is_kept_out_by_the_first_ones_file() {
    let env = TestEnv::sqlite();
    std::fs::create_dir(env.path("logs")).unwrap();
    mode(&env, "logs", 0o777);
    let private = "umask 077 && taskmon disk / --no-alert";
    env.program("sh", ["-c", private]).success().json();
    let found = locks(env.path("logs"));
    assert_eq!(found[0].metadata().unwrap().mode() & 0o777, 0o644);
    std::fs::set_permissions(
        env.path("logs/taskmon_runs.jsonl"),
        std::fs::Permissions::from_mode(0o666),
    )
    .unwrap();
    as_nobody(&env, &[]).success().json();
    assert_eq!(locks(env.path("logs")), found);
    let held = std::fs::File::open(&found[0]).unwrap();
    held.lock().unwrap();
    as_nobody(&env, &[]).exits(75).failure("locked", &["disk"]);
}

#[test]
fn a_folder_that_cannot_be_written_to_is_warned_of_and_the_lock_goes_to_the_users_folder() {
    let env = TestEnv::sqlite();
    std::fs::create_dir(env.path("logs")).unwrap();
    let finished = as_nobody(&env, &[]).success();
    finished.json();
    let logs = env.path("logs").display().to_string();
    finished
        .stderr_contains("WARN")
        .stderr_contains(&format!("{logs}/.taskmon-disk-"))
        .stderr_contains("/taskmon-65534/.taskmon-disk-");
    let said = finished.stderr();
    let lock = said.split("the lock is ").nth(1).unwrap();
    let lock = PathBuf::from(lock.split(" instead").next().unwrap());
    let folder = lock.parent().unwrap().metadata().unwrap();
    assert_eq!((folder.mode() & 0o777, folder.uid()), (0o700, 65534));
    let held = std::fs::File::open(&lock).unwrap();
    held.lock().unwrap();
    let refused = as_nobody(&env, &["-qq"]).exits(75);
    refused.failure("locked", &["disk"]);
    drop(held);
    as_nobody(&env, &["-qq"]).success().json();
}

#[test]
fn a_sweep_of_the_logs_neither_deletes_nor_counts_the_locks() {
    let env = TestEnv::sqlite();
    env.config("[cleanup]\nlog_dirs = ['logs']\nlog_patterns = ['*']\nprotect = ['*.jsonl']");
    disk(&env).success().json();
    env.write("logs/old.log", "x");
    for path in ["logs/old.log", locks(env.path("logs"))[0].to_str().unwrap()] {
        env.program("touch", ["-d", "2000 days ago", path]).success();
    }
    let words = ["cleanup", "--only", "logs", "--no-alert"];
    let result: Value = env.taskmon(words).success().json();
    assert_eq!(result["logs_cleaned"], 1, "{result:#}");
    assert_eq!(locks(env.path("logs")).len(), 2, "{}", env.tree());
}

#[test]
fn one_configuration_has_one_lock_by_whichever_path() {
    let env = TestEnv::sqlite();
    std::os::unix::fs::symlink("taskmon.toml", env.path("linked.toml")).unwrap();
    std::fs::create_dir(env.path("sub")).unwrap();
    for config in ["taskmon.toml", "sub/../taskmon.toml", "linked.toml"] {
        env.taskmon(["disk", "/", "--no-alert", "-c", config]).success().json();
    }
    assert_eq!(locks(env.path("logs")).len(), 1);
    // Another database is another configuration.
    disk(&env).env("TASKMON_DATABASE_URL", "sqlite:other.db").success().json();
    assert_eq!(locks(env.path("logs")).len(), 2);
}

#[test]
fn a_pipe_in_the_place_of_a_named_file_blocks_no_job() {
    let env = TestEnv::sqlite();
    env.program("mkfifo", ["pipe"]).success();
    env.config("[[alerts.channels]]\ntype = 'webhook'\nurl_file = 'pipe'");
    let finished = env.taskmon(["alert", "--test"]).exits(1);
    let errors = finished.json()["channels"].to_string();
    finished.stderr();
    assert!(errors.contains("not a regular file"), "{errors}");
    for job in [&["stats"][..], &["cleanup", "--only", "tasks"]] {
        let finished =
            env.taskmon(job.iter().copied()).env("TASKMON_DATABASE_URL", "sqlite:pipe").exits(3);
        finished.failure("database_unavailable", &["pipe is no regular file"]);
    }
}

#[test]
fn a_second_run_of_the_job_finds_the_lock_held() {
    let env = TestEnv::postgres();
    env.config("statement_timeout_seconds = 4\n");
    let mut blocker = env.client();
    let held = lock_tasks(&mut blocker);
    let first = env.taskmon(STATS).spawn();
    env.wait_until_blocked(1);

    env.taskmon(STATS).exits(75).failure("locked", &[]);
    // The table is still locked: this one gets past taskmon's own lock, and then waits as the first one does.
    env.taskmon(STATS).arg("--no-lock").exits(3).failure("statement_timeout", &[]);

    held.rollback().unwrap();
    let first = first.wait();
    first.stdout();
    first.stderr();
    // Afterwards the lock is free again.
    env.taskmon(STATS).success().json();
}

#[test]
fn a_run_that_was_killed_leaves_no_lock() {
    let env = TestEnv::postgres();
    let mut blocker = env.client();
    let held = lock_tasks(&mut blocker);
    let first = env.taskmon(STATS).spawn();
    let mut observer = env.client();
    env.wait_until_blocked(1);
    drop(first);
    held.rollback().unwrap();
    wait_until("the server notices", || {
        let others = "SELECT 1 FROM pg_stat_activity WHERE datname = current_database() AND query LIKE '%tasks%'
                      AND state = 'active' AND pid <> pg_backend_pid()";
        observer.query(others, &[]).unwrap().is_empty()
    });
    env.taskmon(STATS).success().json();
}
