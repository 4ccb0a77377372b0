//! The record that each run of a job leaves.

use super::*;

#[test]
fn every_run_of_a_job_leaves_a_record() {
    let env = TestEnv::sqlite();
    env.taskmon(["stats", "--output", "text", "--date", DAY, "-qq"]).run().stdout();
    env.taskmon(["cleanup", "--dry-run", "--only=temp,logs"]).success().json();
    env.taskmon([
        "alert",
        "-qq",
        "--send",
        "[{\"type\": \"t\", \"message\": \"geheim\", \"severity\": \"warning\"}]",
    ])
    .run()
    .stdout();
    env.taskmon([
        "disk",
        "/nonexistent",
        "--database-url",
        "sqlite:/srv/geheim.db",
        "-qqc",
        "taskmon.toml",
    ])
    .exits(3)
    .json();
    env.taskmon(["stats", "-qq", "--date", "gestern"]).exits(2).json();
    // None of these is a run of a job.
    env.taskmon(["config"]).success().json();
    env.taskmon(["schedule", "logs"]).success().json();
    let found = records(&env);
    let short: Vec<Value> = found
        .iter()
        .map(|run| {
            json!([run["job"], run["exit_code"], run["skipped"], run["dry_run"], run["arguments"]])
        })
        .collect();
    assert_eq!(
        short,
        [
            json!(["stats", 0, false, false, ["stats", "--date", DAY]]),
            json!(["cleanup", 0, false, true, ["cleanup", "--dry-run", "--only=temp,logs"]]),
            json!(["alert", 0, false, false, ["alert", "--send", "…"]]),
            json!(["disk", 3, false, false, ["disk", "/nonexistent"]]),
            json!(["stats", 2, false, false, ["stats", "--date", "gestern"]]),
        ]
    );
    assert!(!env.read("logs/taskmon_runs.jsonl").contains("geheim"));
    for run in &found {
        assert!(run["start"].as_str().unwrap().ends_with("+08:00"), "{run}");
        assert!(run["start"].as_str() <= run["end"].as_str());
        assert!(run["duration_seconds"].as_f64().is_some() && run["host"].is_string());
    }
}

#[test]
fn a_run_that_a_signal_ends_is_recorded_and_ends_of_that_signal() {
    let env = TestEnv::sqlite();
    let mut connection = env.connection();
    let held =
        connection.transaction_with_behavior(rusqlite::TransactionBehavior::Exclusive).unwrap();
    let mut command = env.taskmon(["stats"]).command();
    let mut child = command
        .stdout(std::process::Stdio::null())
        .stderr(std::process::Stdio::null())
        .spawn()
        .unwrap();
    wait_until("the run has its lock", || env.path("logs").exists());
    std::thread::sleep(Duration::from_millis(500));
    let pid = rustix::process::Pid::from_child(&child);
    rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
    let status = child.wait().unwrap();
    drop(held);
    assert_eq!(std::os::unix::process::ExitStatusExt::signal(&status), Some(15));
    let found = records(&env);
    assert_eq!((found.len(), &found[0]["exit_code"]), (1, &json!(143)));
}

/// `nohup` has SIGHUP ignored, and a run under it goes on.
#[test]
fn a_signal_that_the_run_was_started_to_ignore_does_not_end_it() {
    let env = TestEnv::postgres();
    let mut blocker = env.client();
    let held = lock_tasks(&mut blocker);
    let mut command = env.program("nohup", ["taskmon", "stats", "--no-alert"]).command();
    let null = std::process::Stdio::null;
    let mut child = command.stdin(null()).stdout(null()).stderr(null()).spawn().unwrap();
    env.wait_until_blocked(1);
    let pid = rustix::process::Pid::from_child(&child);
    rustix::process::kill_process(pid, rustix::process::Signal::HUP).unwrap();
    std::thread::sleep(Duration::from_millis(300));
    drop(held);
    assert_eq!(child.wait().unwrap().code(), Some(0));
    assert_eq!(records(&env)[0]["exit_code"], 0);
}

#[test]
fn a_record_that_cannot_be_written_is_a_warning_and_changes_nothing() {
    let env = TestEnv::sqlite();
    env.write("logs", "a file where the folder should be");
    let finished = env.taskmon(["disk", "/", "--no-alert"]).success();
    assert_eq!(finished.json()["success"], true);
    finished.stderr_contains("WARN").stderr_contains("taskmon_runs.jsonl");
}

#[test]
fn the_file_keeps_its_last_ten_thousand_lines() {
    let env = TestEnv::sqlite();
    env.taskmon(["disk", "/", "--no-alert"]).success().json();
    let line = env.read("logs/taskmon_runs.jsonl");
    env.write("logs/taskmon_runs.jsonl", &line.replace("\"disk\"", "\"old\"").repeat(12_000));
    env.taskmon(["disk", "/", "--no-alert"]).success().json();
    let found = records(&env);
    assert_eq!(found.len(), 10_000);
    assert_eq!(found[9_999]["job"], "disk");
    assert_eq!(found[9_998]["job"], "old");
    // Not some more until the next time.
    for runs in 2..4 {
        env.taskmon(["disk", "/", "--no-alert"]).success().json();
        let found = records(&env);
        assert_eq!(found.len(), 10_000);
        let newest = found.iter().rev().take_while(|run| run["job"] == "disk");
        assert_eq!(newest.count(), runs);
    }
}
