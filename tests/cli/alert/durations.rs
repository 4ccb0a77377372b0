//! Runs that last far longer than those before them, or end far sooner.

use super::*;
use crate::support::server::status;
use crate::support::wait_until;

/// The records of runs that took so many seconds, the last of them just now.
fn records_of_runs(env: &TestEnv, job: &str, seconds: &[f64]) {
    let host = rustix::system::uname().nodename().to_string_lossy().into_owned();
    let lines = seconds.iter().zip((0..seconds.len()).rev()).map(|(seconds, ago)| {
        let end = now() - TimeDelta::hours(24 * i64::try_from(ago).unwrap()) - minutes(1);
        let start = end - TimeDelta::milliseconds((seconds * 1000.0) as i64);
        let record = json!({"job": job, "start": start.to_rfc3339(), "end": end.to_rfc3339(), "exit_code": 0,
            "skipped": false, "duration_seconds": seconds, "host": host, "arguments": [job], "dry_run": false});
        format!("{record}\n")
    });
    env.write("logs/taskmon_runs.jsonl", &lines.collect::<String>());
}

fn job_durations(result: &Value) -> Vec<(&str, &str)> {
    let alerts = result["alerts"].as_array().unwrap().iter();
    let alerts = alerts.filter(|alert| alert["type"] == "job_duration");
    alerts.map(|alert| (text(&alert["subject"]), text(&alert["message"]))).collect()
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap()
}

#[test]
fn a_run_that_took_far_longer_or_ended_far_sooner_is_an_alert_until_one_is_as_usual() {
    let env = TestEnv::sqlite();
    let server = Server::plain(vec![status(200)]);
    configure(&env, &webhook(&server));
    let mut runs = vec![600.0, 610.0, 590.0, 605.0, 595.0, 600.0, 620.0, 580.0, 600.0, 600.0];
    for (last, message) in [
        (1790.0, None),
        (
            2700.0,
            Some("The scheduled job cleanup-expired-tasks took 45 min; usually it takes 10 min"),
        ),
        (
            2.0,
            Some("The scheduled job cleanup-expired-tasks took only 2 s; usually it takes 10 min"),
        ),
        (600.0, None),
    ] {
        runs.push(last);
        records_of_runs(&env, "cleanup", &runs);
        runs.pop();
        let result = alerted(&env);
        let expected: Vec<(&str, &str)> =
            message.into_iter().map(|message| ("cleanup-expired-tasks", message)).collect();
        assert_eq!(job_durations(&result), expected, "{last}: {result:#}");
    }
    assert_eq!(notified(&server), [["job_duration"], ["-job_duration"]]);
}

#[test]
fn fewer_than_ten_runs_are_no_history_and_max_runtime_needs_none() {
    let env = TestEnv::sqlite();
    configure(&env, "");
    let mut runs = vec![10.0; 9];
    runs.push(3600.0);
    records_of_runs(&env, "stats", &runs);
    assert_eq!(job_durations(&alerted(&env)), []);
    let config = env.read("taskmon.toml");
    for (limit, is_firing) in [("'30m'", true), ("1800", true), ("'1h 1s'", false)] {
        let job = format!(
            "[[schedule.jobs]]\nname = 'daily'\ncron = '0 2 * * *'\ncommand = 'stats'\nmax_runtime = {limit}\n"
        );
        env.write("taskmon.toml", &format!("{config}\n{job}"));
        let result = alerted(&env);
        let message = "The scheduled job daily took 1 h; its max_runtime is 30 min";
        let expected = if is_firing { vec![("daily", message)] } else { Vec::new() };
        assert_eq!(job_durations(&result), expected, "{limit} {result:#}");
    }
    for limit in ["0", "'soon'", "-1", "'0s'"] {
        let job = format!(
            "[[schedule.jobs]]\nname = 'daily'\ncron = '0 2 * * *'\ncommand = 'stats'\nmax_runtime = {limit}\n"
        );
        env.write("taskmon.toml", &format!("{config}\n{job}"));
        let refused = env.taskmon(["disk"]).exits(2);
        refused.failure("config_invalid", &["schedule.jobs[1].max_runtime", "a time such as"]);
    }
}

/// It need not end for somebody to hear of it; that it goes on is no news.
#[test]
fn a_run_under_way_for_too_long_is_an_alert() {
    let env = TestEnv::sqlite();
    let server = Server::plain(vec![status(200)]);
    configure(&env, &webhook(&server));
    // A lock's file of a run that was killed has the name.
    let blocker = env.connection();
    blocker.execute_batch("BEGIN EXCLUSIVE").unwrap();
    let killed = env.taskmon(["stats", "--no-alert"]).spawn();
    let found = || std::fs::read_dir(env.path("logs")).into_iter().flatten();
    let lock = || {
        found()
            .map(|entry| entry.unwrap().path())
            .find(|path| path.extension().is_some_and(|e| e == "lock"))
    };
    wait_until("it has its lock", || lock().is_some());
    drop(killed);
    blocker.execute_batch("ROLLBACK").unwrap();
    let lock = lock().unwrap();
    records_of_runs(&env, "stats", &[20.0; 10]);
    let held = std::fs::File::open(&lock).unwrap();
    held.lock().unwrap();
    for (minutes, message) in [(1, None), (180, Some("3 h")), (300, Some("5 h"))] {
        env.program("touch", ["-d", &format!("{minutes} minutes ago"), lock.to_str().unwrap()])
            .success();
        let result = alerted(&env);
        let found = job_durations(&result);
        assert_eq!(found.len(), usize::from(message.is_some()), "{minutes} {result:#}");
        if let (Some(message), [(job, said)]) = (message, &found[..]) {
            let expected = format!(
                "The scheduled job {job} has been running for {message}; usually it takes 20 s"
            );
            assert_eq!((*job, *said), ("generate-daily-statistics", expected.as_str()));
        }
    }
    drop(held);
    assert_eq!(job_durations(&alerted(&env)), []);
    assert_eq!(notified(&server), [["job_duration"], ["-job_duration"]]);
}
