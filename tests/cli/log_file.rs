//! `--log-file`.

use crate::support::env::TestEnv;
use crate::support::rows::{Task, long_ago};

#[test]
fn the_log_goes_to_a_file_as_well() {
    let env = TestEnv::new();
    env.config("");
    env.write("taskmon.log", "before\n");
    for _ in 0..2 {
        let finished =
            env.taskmon(["disk", "/missing", "/", "--no-alert", "--log-file", "taskmon.log"]).run();
        assert_eq!(finished.code, Some(1));
        finished.json();
        finished.stderr_contains("/missing does not exist");
    }
    let log = env.read("taskmon.log");
    let lines: Vec<&str> = log.lines().collect();
    assert_eq!(lines.len(), 3, "{log}");
    assert_eq!(lines[0], "before");
    for line in &lines[1..] {
        let (time, rest) = line.split_once(' ').unwrap();
        let time = chrono::DateTime::parse_from_rfc3339(time).unwrap();
        assert_eq!(time.offset().local_minus_utc(), 8 * 3600);
        assert!((chrono::Utc::now() - time.to_utc()).num_seconds().abs() < 60);
        assert_eq!(rest, "ERROR /missing does not exist");
    }
}

/// Without a configuration the system's zone holds; a line stays a line.
#[test]
fn the_logs_times_are_the_systems_without_a_configuration() {
    let env = TestEnv::new();
    let finished = env
        .taskmon(["disk", "/mis\nsing", "--log-file", "taskmon.log"])
        .env("TZ", "Asia/Kolkata")
        .exits(3);
    finished.json();
    finished.stderr();
    let log = env.read("taskmon.log");
    assert!(log.lines().all(|line| &line[19..25] == "+05:30"), "{log}");
    assert!(log.contains(r"/mis\nsing"), "{log}");
}

#[test]
fn a_log_file_that_cannot_be_opened_ends_the_run_before_it_begins() {
    let env = TestEnv::sqlite();
    env.insert([Task::new(1).at(&long_ago())]);
    let finished =
        env.taskmon(["cleanup", "--log-file", "missing/taskmon.log", "--no-alert"]).exits(3);
    finished.failure("output_failed", &["missing/taskmon.log"]);
    let tasks: i64 =
        env.connection().query_row("SELECT count(*) FROM tasks", [], |row| row.get(0)).unwrap();
    assert_eq!(tasks, 1);
    assert!(!env.path("missing").exists());
}

#[test]
fn a_log_file_that_fills_up_is_reported_on_standard_error() {
    let env = TestEnv::new();
    let finished =
        env.taskmon(["disk", "/missing", "/", "--no-alert", "--log-file", "/dev/full"]).exits(1);
    finished.json();
    finished.stderr_contains("the log file /dev/full lacks lines");
}
