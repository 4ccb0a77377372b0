//! The lock of a job: where it is, who can hold it, and what cannot block it.

use crate::cli::stats::DAY;
use crate::support::env::{TestEnv, lock_tasks};
use crate::support::run::Run;
use crate::support::wait_until;
use serde_json::Value;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::PathBuf;

const STATS: [&str; 6] = ["stats", "--date", DAY, "--no-alert", "--wait", "0"];

/// A job that takes its lock, and finds nothing to do.
const SWEEP: [&str; 6] = ["cleanup", "--only", "logs", "--no-alert", "--wait", "0"];

/// The locks' files in a folder.
fn locks(folder: PathBuf) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).into_iter().flatten();
    let paths = entries.map(|entry| entry.unwrap().path());
    paths.filter(|path| path.extension().is_some_and(|extension| extension == "lock")).collect()
}

fn sweep(env: &TestEnv) -> Run<'_> {
    env.taskmon(SWEEP)
}

/// The file that [`SWEEP`] locks, which nobody holds: that of a killed run of another job, but for the job's name.
fn lock_of_sweep(env: &TestEnv) -> PathBuf {
    let blocker = env.connection();
    blocker.execute_batch("BEGIN EXCLUSIVE").unwrap();
    let killed = env.taskmon(STATS).spawn();
    wait_until("it has its lock", || !locks(env.path("logs")).is_empty());
    drop(killed);
    let left = locks(env.path("logs")).remove(0);
    let name = left.file_name().unwrap().to_str().unwrap().replace("-stats-", "-cleanup-");
    std::fs::rename(&left, env.path("logs").join(&name)).unwrap();
    env.path("logs").join(name)
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
    all.push(env!("CARGO_BIN_EXE_taskmon"));
    all.extend(SWEEP);
    all.extend(words);
    env.program("/usr/bin/setpriv", all)
}

#[test]
fn the_lock_is_beside_the_records_while_a_run_lasts() {
    let env = TestEnv::sqlite();
    sweep(&env).success().json();
    assert!(locks(env.path("logs")).is_empty(), "{}", env.tree());
    let file = lock_of_sweep(&env);
    // A file that is left behind does not block, and goes with the next run.
    sweep(&env).success().json();
    assert!(!file.exists(), "{}", env.tree());
    // One that is held does, and it is named.
    let file = file.to_str().unwrap();
    let words = || ["-n", file, env!("CARGO_BIN_EXE_taskmon")].into_iter().chain(SWEEP);
    let refused = env.program("flock", words()).exits(75);
    let hint = refused.failure("locked", &["cleanup"])["error"]["hint"].to_string();
    assert!(hint.contains(file), "{hint}");
    // Another database is another configuration.
    let other = ["--database-url", "sqlite:other.db"];
    env.program("flock", words().chain(other)).success().json();
}

#[test]
fn a_run_waits_for_another_one_to_end() {
    let env = TestEnv::sqlite();
    let file = lock_of_sweep(&env);
    let held = std::fs::File::open(&file).unwrap();
    held.lock().unwrap();
    let waiting = env.taskmon(["cleanup", "--only", "logs", "--no-alert", "-v"]).spawn();
    let log = env.path("logs/taskmon_runs.jsonl");
    env.taskmon(["cleanup", "--only", "logs", "--no-alert", "--wait", "1"])
        .exits(75)
        .failure("locked", &[]);
    drop(held);
    waiting.wait().stderr_contains("another run of cleanup is under way: waiting for it").json();
    let runs = std::fs::read_to_string(log).unwrap();
    let codes: Vec<Value> = runs.lines().map(|run| serde_json::from_str(run).unwrap()).collect();
    let codes: Vec<&Value> = codes.iter().map(|run: &Value| &run["exit_code"]).collect();
    assert_eq!(codes, [75, 0]);
}

/// Containers draw their names at random: a run in one keeps a run in another from its work, and neither leaves a file.
#[test]
fn two_containers_of_one_machine_share_the_lock() {
    let env = TestEnv::sqlite();
    let file = lock_of_sweep(&env);
    let held = std::fs::File::open(&file).unwrap();
    held.lock().unwrap();
    let run = |host: &str| {
        let script = format!("hostname {host} && exec taskmon {}", SWEEP.join(" "));
        env.program("unshare", ["--uts", "sh", "-c", &script])
    };
    run("f3a91c").exits(75).failure("locked", &["cleanup"]);
    drop(held);
    for host in ["f3a91c", "0b77d2"] {
        run(host).success().json();
    }
    assert!(locks(env.path("logs")).is_empty(), "{}", env.tree());
}

#[test]
fn files_of_runs_that_were_killed_go_after_a_week() {
    let env = TestEnv::sqlite();
    sweep(&env).success().json();
    for (name, days) in [("old", 8), ("new", 6), ("held", 8)] {
        let file = format!("logs/.taskmon-disk-{name}.lock");
        env.write(&file, "");
        env.program("touch", ["-d", &format!("{days} days ago"), &file]).success();
    }
    let held = std::fs::File::open(env.path("logs/.taskmon-disk-held.lock")).unwrap();
    held.lock().unwrap();
    sweep(&env).success().json();
    let mut left = locks(env.path("logs"));
    left.sort();
    let names = left.iter().map(|path| path.file_name().unwrap().to_str().unwrap());
    let expected = [".taskmon-disk-held.lock", ".taskmon-disk-new.lock"];
    assert_eq!(names.collect::<Vec<_>>(), expected);
}

/// Eight at once have all an answer, and none has to wait for another.
#[test]
fn a_run_that_only_prints_takes_no_lock() {
    let env = TestEnv::postgres();
    env.config("statement_timeout_seconds = 60\n");
    let mut blocker = env.client();
    let held = lock_tasks(&mut blocker);
    let words = ["stats", "--date", DAY, "--no-save", "--no-alert"];
    let runs: Vec<_> = (0..8).map(|_| env.taskmon(words).spawn()).collect();
    env.wait_until_blocked(8);
    held.rollback().unwrap();
    for run in runs {
        let finished = run.wait();
        assert_eq!(finished.code, Some(0));
        finished.json();
    }
    assert!(locks(env.path("logs")).is_empty(), "{}", env.tree());
}

#[test]
fn a_dry_run_takes_no_lock_and_makes_no_file_for_one() {
    let env = TestEnv::sqlite();
    env.taskmon(["cleanup", "--dry-run"]).success().json();
    env.taskmon(["alert", "--dry-run"]).success().json();
    assert!(locks(env.path("logs")).is_empty(), "{}", env.tree());
    let locked = lock_of_sweep(&env);
    let held = std::fs::File::open(&locked).unwrap();
    held.lock().unwrap();
    env.taskmon(["cleanup", "--dry-run"]).success().json();
    sweep(&env).exits(75).failure("locked", &[]);
}

/// Other users who fill `/tmp` do not block a job.
#[test]
fn a_tmp_that_cannot_be_written_to_does_not_stop_a_job() {
    let env = TestEnv::sqlite();
    let script = "mount --bind /tmp /tmp && cd \"$FOLDER\" && mount --bind . . && mount -o remount,bind,ro /tmp && cd \"$FOLDER\" && exec taskmon cleanup --only logs --no-alert";
    let run = env.program("unshare", ["--mount", "sh", "-c", script]).env("FOLDER", env.path(""));
    // Standard error is empty.
    run.success().json();
}

#[test]
fn a_second_user_of_the_configuration_is_kept_out_by_the_first_ones_file() {
    let env = TestEnv::sqlite();
    std::fs::create_dir(env.path("logs")).unwrap();
    mode(&env, "logs", 0o777);
    let file = lock_of_sweep(&env);
    assert_eq!(file.metadata().unwrap().mode() & 0o777, 0o644);
    sweep(&env).success().json();
    std::fs::set_permissions(
        env.path("logs/taskmon_runs.jsonl"),
        std::fs::Permissions::from_mode(0o666),
    )
    .unwrap();
    as_nobody(&env, &[]).success().json();
    std::fs::write(&file, "").unwrap();
    let held = std::fs::File::open(&file).unwrap();
    held.lock().unwrap();
    as_nobody(&env, &[]).exits(75).failure("locked", &["cleanup"]);
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
        .stderr_contains(&format!("{logs}/.taskmon-cleanup-"))
        .stderr_contains("/taskmon-65534/.taskmon-cleanup-");
    let said = finished.stderr();
    let lock = said.split("the lock is ").nth(1).unwrap();
    let lock = PathBuf::from(lock.split(" instead").next().unwrap());
    let folder = lock.parent().unwrap().metadata().unwrap();
    assert_eq!((folder.mode() & 0o777, folder.uid()), (0o700, 65534));
    std::fs::write(&lock, "").unwrap();
    let held = std::fs::File::open(&lock).unwrap();
    held.lock().unwrap();
    let refused = as_nobody(&env, &["-qq"]).exits(75);
    refused.failure("locked", &["cleanup"]);
    drop(held);
    as_nobody(&env, &["-qq"]).success().json();
}

#[test]
fn a_sweep_of_the_logs_neither_deletes_nor_counts_the_locks() {
    let env = TestEnv::sqlite();
    env.config(
        "[cleanup]\nlog_dirs = ['logs']\nlog_patterns = ['*']\nprotect = ['*.jsonl', '.*.json']",
    );
    sweep(&env).success().json();
    let held = "logs/.taskmon-disk-1.lock";
    for path in ["logs/old.log", held] {
        env.write(path, "x");
        env.program("touch", ["-d", "2000 days ago", path]).success();
    }
    let other = std::fs::File::open(env.path(held)).unwrap();
    other.lock().unwrap();
    let result: Value = sweep(&env).success().json();
    assert_eq!(result["logs_cleaned"], 1, "{result:#}");
    assert_eq!(locks(env.path("logs")), [env.path(held)], "{}", env.tree());
}

#[test]
fn one_configuration_has_one_lock_by_whichever_path() {
    let env = TestEnv::sqlite();
    std::os::unix::fs::symlink("taskmon.toml", env.path("linked.toml")).unwrap();
    std::fs::create_dir(env.path("sub")).unwrap();
    let held = std::fs::File::open(lock_of_sweep(&env)).unwrap();
    held.lock().unwrap();
    for config in ["taskmon.toml", "sub/../taskmon.toml", "linked.toml"] {
        sweep(&env).arg("-c").arg(config).exits(75).failure("locked", &[]);
    }
    // Another database is another configuration.
    sweep(&env).env("TASKMON_DATABASE_URL", "sqlite:other.db").success().json();
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
