//! Failures of jobs: who is notified of them, and when they are resolved.

use super::*;
use crate::on_each_database;
use crate::support::env::lock_tasks;
use crate::support::server::{dead_port, status};
use std::fs::File;

/// A server of the kind that is down.
fn broken_url(env: &TestEnv) -> String {
    if env.url().starts_with("sqlite") {
        "sqlite:gone.db".to_owned()
    } else {
        format!("postgresql://postgres@127.0.0.1:{}/none", dead_port())
    }
}

on_each_database! {
    fn a_failure_that_is_notified_by_its_document_is_resolved_by_the_jobs_success(env) {
        let server = Server::plain(vec![status(200)]);
        configure(&env, &webhook(&server));
        env.insert(of_yesterday(20, 0));
        let broken = broken_url(&env);
        let failed = env.taskmon(["stats", "--no-alert"]).env("TASKMON_DATABASE_URL", broken.as_str()).exits(3);
        assert_eq!(failed.failure("database_unavailable", &[])["job"], "stats");
        let result = good_result(env.taskmon(["alert", "--report", "-"]).input(failed.stdout()).exits(0));
        assert_eq!(result["alerts"][0]["subject"], "stats");
        // Another job's success says nothing of it.
        good_result(env.taskmon(["disk"]).exits(0));
        good_result(env.taskmon(["stats"]).exits(0));
        assert_eq!(notified(&server), [["job_failed"], ["-job_failed"]]);
        // What is none of cron's jobs names none.
        let failed = env.taskmon(["schedule", "install", "--queues", "none"]).exits(2);
        assert_eq!(failed.failure("usage", &["none"])["job"], Value::Null);
    }

    fn the_failure_of_a_job_is_notified_and_resolved_by_its_success(env) {
        let server = Server::plain(vec![status(200)]);
        configure(&env, &webhook(&server));
        let broken = broken_url(&env);
        let mut expected: Vec<Vec<String>> = Vec::new();
        for job in ["cleanup", "stats", "alert"] {
            let failing = |words: &[&str]| {
                let run = env.taskmon([job]).env("TASKMON_DATABASE_URL", broken.as_str());
                words.iter().fold(run, |run, word| run.arg(*word)).exits(3)
            };
            // A dry run does not notify.
            if job != "stats" {
                failing(&["--dry-run"]).failure("database_unavailable", &[]);
                assert_eq!(notified(&server), expected, "{job}");
            }
            let finished = failing(&[]);
            let document = finished.json();
            assert_eq!(document["error"]["kind"], "database_unavailable", "{document}");
            let message = document["error"]["message"].as_str().unwrap();
            finished.stderr_contains(message);
            expected.push(vec!["job_failed".to_owned()]);
            assert_eq!(notified(&server), expected, "{job}");
            let sent = &server.requests().last().unwrap().json()["alerts"][0];
            let hint = document["error"]["hint"].as_str();
            let hint = hint.map(|hint| format!("; {hint}")).unwrap_or_default();
            assert_eq!(
                sent,
                &json!({"type": "job_failed", "severity": "error", "subject": job, "status": "firing",
                    "message": format!("The job {job} failed: {message}{hint}")})
            );
            // Once.
            let again = failing(&[]);
            again.stderr_contains(message).json();
            assert_eq!(notified(&server), expected, "{job}");
            std::fs::create_dir_all(env.path("uploads/temp")).unwrap();
            let finished = env.taskmon([job]).success();
            finished.json();
            finished.stderr_contains(&format!("Resolved: The job {job} failed"));
            let mut words = vec!["-job_failed".to_owned()];
            // Yesterday was without a task.
            if job == "stats" {
                words.insert(0, "no_tasks".to_owned());
            }
            expected.push(words);
            assert_eq!(notified(&server), expected, "{job}");
        }
        assert_eq!(logged(&env).iter().filter(|line| line.starts_with("ERROR - ")).count(), 6);
    }

    fn a_cleanup_that_the_brake_stops_is_notified(env) {
        let server = Server::plain(vec![status(200)]);
        configure_with(&env, "[cleanup]\nclock_gap_days = 0", &webhook(&server));
        env.insert((1..=1001).map(|n| Task::new(n).at(&long_ago()).without("image_path").without("document_path").without("screenshot_path")));
        for dry_run in [true, false] {
            let run = env.taskmon(["cleanup", "--only", "tasks"]);
            let run = if dry_run { run.arg("--dry-run") } else { run };
            let finished = run.run();
            finished.stderr();
            if dry_run {
                finished.stdout();
                assert_eq!(notified(&server), [[""; 0]; 0]);
                continue;
            }
            assert_eq!(finished.code, Some(3));
            assert_eq!(finished.json()["error"]["kind"], "brake");
            assert_eq!(notified(&server), [["job_failed"]]);
        }
        let finished = env.taskmon(["cleanup", "--only", "tasks", "--force", "--no-alert"]).success();
        assert_eq!(finished.json()["tasks_cleaned"], 1001);
        // With --no-alert success is not notified either; the next run does.
        assert_eq!(notified(&server), [["job_failed"]]);
        env.taskmon(["cleanup", "--only", "tasks"]).success().stderr_contains("Resolved").json();
        assert_eq!(notified(&server)[1], ["-job_failed"]);
    }

    fn a_missing_variable_is_a_failure_that_is_notified(env) {
        // As cron's bare environment would have it: the file names no database.
        let server = Server::plain(vec![status(200)]);
        env.write("taskmon.toml", &webhook(&server));
        let finished = env.taskmon(["stats"]).exits(2);
        assert_eq!(finished.json()["error"]["kind"], "database_not_configured");
        finished.stderr_contains("no database is configured");
        assert_eq!(notified(&server), [["job_failed"]]);
        let message = server.only().json()["alerts"][0]["message"].clone();
        let message = message.as_str().unwrap();
        assert!(message.starts_with("The job stats failed: no database is configured, so there are no tasks to report on; set database.url"), "{message}");
    }
}

#[test]
fn a_mistake_in_the_configuration_or_the_arguments_is_not_notified() {
    let env = TestEnv::sqlite();
    let server = Server::plain(vec![status(200)]);
    for (broken, arguments, kind) in [
        ("", ["stats", "--date=soon"], "usage"),
        ("", ["disk", "--warning=many"], "usage"),
        ("", ["alert", "--report=missing.json"], "usage"),
        ("typo = 1\n", ["stats", "--no-save"], "config_invalid"),
        ("typo = 1\n", ["alert", "--test"], "config_invalid"),
    ] {
        configure(&env, &webhook(&server));
        env.write("taskmon.toml", &format!("{broken}{}", env.read("taskmon.toml")));
        env.taskmon(arguments).exits(2).failure(kind, &[]);
    }
    assert_eq!(notified(&server), [[""; 0]; 0]);
    assert_eq!(logged(&env).len(), 0);
}

#[test]
fn a_run_that_is_locked_out_is_not_notified() {
    let env = TestEnv::postgres();
    let server = Server::plain(vec![status(200)]);
    configure(&env, &webhook(&server));
    let mut blocker = env.client();
    let held = lock_tasks(&mut blocker);
    for (at, job) in ["stats", "alert", "cleanup"].into_iter().enumerate() {
        let first = env.taskmon([job]).spawn();
        env.wait_until_blocked(at + 1);
        env.taskmon([job, "--wait", "0"]).exits(75).failure("locked", &[]);
        assert_eq!(notified(&server), [[""; 0]; 0], "{job}");
        // Asked to end, it leaves no alert behind either.
        drop(first);
    }
    held.rollback().unwrap();
    assert_eq!(logged(&env).len(), 0);
}

/// Output that cannot be written is exit 3 also where alerts are firing; they were notified by then.
#[test]
fn a_result_that_cannot_be_printed_is_a_failure_and_its_alerts_are_notified() {
    let env = TestEnv::sqlite();
    let server = Server::plain(vec![status(200)]);
    configure(&env, &webhook(&server));
    env.insert([processing(1, minutes(90))]);
    let full = File::options().write(true).open("/dev/full").unwrap();
    let mut command = env.taskmon(["alert", "--fail-on", "warning"]).command();
    let output = command.stdout(full).output().unwrap();
    assert_eq!(output.status.code(), Some(3));
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(said.contains("standard output cannot be written"), "{said}");
    assert_eq!(notified(&server), [["stuck_tasks"]]);
}
