//! Files that are longer than any of their kind.

use super::run;
use crate::support::env::TestEnv;
use crate::support::rows::{DAY, Task};
use chrono::Utc;
use std::io::Write;

const LONG: usize = 200_000_000;

/// Appends a line of 200 MB to a file.
fn lengthen(env: &TestEnv, file: &str, end: &str) {
    let options = std::fs::File::options().append(true).create(true).open(env.path(file));
    let mut file = options.unwrap();
    let piece = vec![b'x'; 1 << 20];
    for _ in 0..LONG / piece.len() {
        file.write_all(&piece).unwrap();
    }
    file.write_all(end.as_bytes()).unwrap();
}

fn record(minute: u32) -> String {
    format!(
        "{{\"job\":\"stats\",\"start\":\"2026-11-22T10:{minute:02}:00+08:00\",\"end\":\"2026-11-22T10:{minute:02}:01+08:00\",\"exit_code\":0,\"skipped\":false,\"host\":\"box\"}}\n"
    )
}

#[test]
fn a_line_of_200_mb_among_the_records_of_runs_is_passed_over() {
    let env = TestEnv::sqlite();
    env.insert([Task::new(1)]);
    env.write("logs/taskmon_runs.jsonl", &record(1));
    lengthen(&env, "logs/taskmon_runs.jsonl", "\n");
    let mut file =
        std::fs::File::options().append(true).open(env.path("logs/taskmon_runs.jsonl")).unwrap();
    file.write_all(record(2).as_bytes()).unwrap();
    drop(file);
    let runs = run(&env, 0, &["schedule", "logs", "--lines", "9"]).json();
    let starts: Vec<&str> =
        runs["runs"].as_array().unwrap().iter().map(|run| run["start"].as_str().unwrap()).collect();
    assert_eq!(starts, ["2026-11-22T10:01:00.000+08:00", "2026-11-22T10:02:00.000+08:00"]);
    // The run's own record trims the file.
    run(&env, 0, &["stats", "--date", DAY, "--no-save", "--no-alert"]).json();
    let left = env.read("logs/taskmon_runs.jsonl");
    assert_eq!(left.lines().count(), 3, "{left}");
    // One that nothing ends, as a full disk may leave it.
    lengthen(&env, "logs/taskmon_runs.jsonl", "");
    let runs = run(&env, 0, &["schedule", "logs"]).json();
    assert_eq!(runs["runs"].as_array().unwrap().len(), 3);
    run(&env, 0, &["stats", "--date", DAY, "--no-save", "--no-alert"]).json();
    let left = env.read("logs/taskmon_runs.jsonl");
    assert_eq!(left.lines().count(), 4, "{left}");
}

#[test]
fn a_line_of_200_mb_among_the_records_of_alerts_is_passed_over() {
    let env = TestEnv::new();
    env.config("");
    let alert = r#"[{"type": "a", "message": "b", "severity": "warning"}]"#;
    let first = run(&env, 0, &["alert", "--send", alert]).json();
    assert_eq!(first["alerts_sent"], 1, "{first}");
    let day = Utc::now().with_timezone(&crate::support::zone("Asia/Shanghai")).format("%Y%m%d");
    lengthen(&env, &format!("reports/alerts/alerts_{day}.jsonl"), "\n");
    let second = run(&env, 0, &["alert", "--send", alert]).json();
    assert_eq!(second["alerts_suppressed"], 1, "{second}");
}

#[test]
fn a_file_of_200_mb_in_the_place_of_the_configuration_is_none() {
    let env = TestEnv::new();
    lengthen(&env, "taskmon.toml", "");
    run(&env, 2, &["config"]).failure("config_unreadable", &["longer than 16 MiB"]);
}
