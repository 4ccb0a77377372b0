//! Delivery: concurrent runs, channels that hang or fail, folders that cannot be written.

use super::*;
use crate::on_each_database;
use crate::support::server::{Answer, status};
use std::time::{Duration, Instant};

fn set_mode(path: &std::path::Path, mode: u32) {
    use std::os::unix::fs::PermissionsExt;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
}

on_each_database! {
    fn eight_runs_at_once_notify_once(env) {
        let server = Server::plain(vec![status(200)]);
        configure(&env, &format!("{}{}", webhook(&server), storing_program(&env, "stored")));
        env.insert([processing(1, minutes(90))]);
        // Without taskmon's lock, which would let only one of them run.
        let runs: Vec<_> = (0..8).map(|_| env.taskmon(["alert", "--no-lock"]).spawn()).collect();
        let mut sent = 0;
        for run in runs {
            let finished = run.wait();
            assert_eq!(finished.code, Some(0));
            finished.stderr();
            let [now, _, _] = counts(&finished.json());
            assert_eq!(kinds(&finished.json()), ["stuck_tasks"]);
            sent += now;
        }
        assert_eq!(sent, 1);
        assert_eq!(notified(&server), [["stuck_tasks"]]);
        assert_eq!(env.read("stored").lines().count(), 1);
        assert_eq!(logged(&env).len(), 1);
        assert_eq!(records(&env).len(), 8);
    }

    fn an_undelivered_notification_is_retried_by_the_next_alert_and_by_no_other_job(env) {
        let (down, up) = (Server::plain(vec![status(500)]), Server::plain(vec![status(200)]));
        let other = storing_program(&env, "stored");
        configure(&env, &format!("{}{other}", webhook(&down)));
        env.insert(of_yesterday(20, 6));
        let finished = env.taskmon(["stats"]).exits(1);
        finished.stderr_contains("the channel webhook failed").json();
        // The service is back; the live rules do not look at yesterday.
        configure(&env, &format!("{}{other}", webhook(&up)));
        good_result(env.taskmon(["disk"]).exits(0));
        good_result(alert(&env, 0, &["--send", "[]"]));
        assert_eq!(notified(&up), [[""; 0]; 0]);
        let result = alerted(&env);
        assert_eq!(notified(&up), [["high_failure_rate"]]);
        assert_eq!(counts(&result)[0], 1);
        assert_eq!(result["channels"][0], json!({"channel": "webhook", "sent": 1, "error": null}));
        // Once, and only to the channel that had rejected it.
        assert_eq!(counts(&alerted(&env)), [0, 0, 0]);
        assert_eq!(notified(&up).len(), 1);
        assert_eq!(env.read("stored").lines().count(), 1);
    }

    fn a_notification_is_retried_for_a_day(env) {
        let (down, up) = (Server::plain(vec![status(500)]), Server::plain(vec![status(200)]));
        for (age, expected) in [(minutes(23 * 60 + 55), 1), (minutes(24 * 60 + 5), 0)] {
            configure(&env, &webhook(&down));
            replace(&env, of_yesterday(20, 6));
            env.taskmon(["stats"]).exits(1).stderr_contains("webhook failed").json();
            age_records(&env, age);
            configure(&env, &webhook(&up));
            let before = up.requests().len();
            alerted(&env);
            assert_eq!(up.requests().len() - before, expected, "{age}");
            std::fs::remove_dir_all(env.path("reports/alerts")).unwrap();
        }
    }

    fn a_notification_is_retried_while_the_database_is_down(env) {
        let (down, up) = (Server::plain(vec![status(500)]), Server::plain(vec![status(200)]));
        configure(&env, &webhook(&down));
        env.insert(of_yesterday(20, 6));
        env.taskmon(["stats"]).exits(1).stderr_contains("webhook failed").json();
        configure(&env, &webhook(&up));
        let failing = || env.taskmon(["alert"]).env("TASKMON_DATABASE_URL", "sqlite:gone.db").exits(3);
        failing().stderr_contains("The job alert failed").json();
        assert_eq!(notified(&up), [["job_failed", "high_failure_rate"]]);
        failing().stderr_contains("gone.db").json();
        assert_eq!(notified(&up).len(), 1);
    }

    fn an_undelivered_resolution_is_retried(env) {
        let (up, down) = (Server::plain(vec![status(200)]), Server::plain(vec![status(500)]));
        env.insert([processing(1, minutes(90))]);
        configure(&env, &webhook(&up));
        alerted(&env);
        replace(&env, []);
        configure(&env, &webhook(&down));
        let finished = alert(&env, 1, &[]);
        finished.stderr_contains("Resolved");
        assert_eq!(counts(&finished.json()), [0, 0, 0]);
        configure(&env, &webhook(&up));
        assert_eq!(counts(&alerted(&env)), [0, 0, 1]);
        assert_eq!(notified(&up), [["stuck_tasks"], ["-stuck_tasks"]]);
    }
}

#[test]
fn eight_jobs_at_once_notify_once() {
    // The lock is one per job: runs of several jobs meet in the records.
    let env = TestEnv::new();
    let server = Server::plain(vec![status(200)]);
    configure(&env, &webhook(&server));
    let limits = ["--alert", "--warning", "0", "--critical", "0"];
    let runs: Vec<_> = (0..8)
        .map(|_| {
            let run = env.taskmon(["disk", "/", "--no-lock"]);
            limits.iter().fold(run, |run, word| run.arg(*word)).spawn()
        })
        .collect();
    for run in runs {
        good_result(run.wait());
    }
    assert_eq!(notified(&server), [["disk_space_critical"]]);
    assert_eq!(logged(&env).len(), 1);
}

#[test]
fn a_channel_that_hangs_delays_no_other_and_the_run_by_its_limit() {
    let env = TestEnv::sqlite();
    let (hung, quick) = (Server::plain(vec![Answer::Silence]), Server::plain(vec![status(200)]));
    let limit = Duration::from_secs(4);
    let asleep = format!(
        "[[alerts.channels]]\ntype = \"command\"\ncommand = [\"/bin/sleep\", \"60\"]\nretries = 0\ntimeout_seconds = {}\n",
        limit.as_secs()
    );
    configure(
        &env,
        &format!(
            "{}timeout_seconds = {}\n{asleep}{}",
            webhook(&hung),
            limit.as_secs(),
            webhook(&quick)
        ),
    );
    env.insert([processing(1, minutes(90))]);
    let start = Instant::now();
    let mut run = env.taskmon(["alert"]).spawn();
    while quick.requests().is_empty() {
        assert!(!run.is_over(), "the run ended without the quick channel");
        std::thread::sleep(Duration::from_millis(5));
    }
    assert!(!run.is_over(), "the quick channel had to wait for the one that hangs");
    // The logs are first of all.
    assert_eq!(logged(&env).len(), 1);
    let finished = run.wait();
    let took = start.elapsed();
    assert_eq!(finished.code, Some(1));
    assert!(took >= limit && took < limit * 3, "{took:?}");
    let result = finished.json();
    let sent: Vec<&Value> =
        result["channels"].as_array().unwrap().iter().map(|channel| &channel["sent"]).collect();
    assert_eq!(sent, [0, 0, 1]);
    assert_eq!(result["alerts_sent"], 1, "it reached one channel");
    finished
        .stderr_contains("the channel webhook failed")
        .stderr_contains("the channel command failed");
}

#[test]
fn attempts_are_as_many_as_are_granted_and_a_refusal_for_good_is_not_repeated() {
    let env = TestEnv::new();
    let sent = r#"[{"type": "t", "message": "m", "severity": "error"}]"#;
    for (answers, attempts, code) in [
        (vec![status(503), status(503), status(200)], 3, 0),
        (vec![status(503)], 3, 1),
        (vec![status(404)], 1, 1),
        (vec![status(302)], 1, 1),
    ] {
        let server = Server::plain(answers);
        configure(
            &env,
            &format!(
                "repeat_after_hours = 0\n{}",
                webhook(&server).replace("retries = 0", "retries = 2")
            ),
        );
        let finished = alert(&env, code, &["--send", sent]);
        finished.stderr();
        assert_eq!(server.requests().len(), attempts);
        assert_eq!(finished.json()["alerts_sent"], u64::from(code == 0));
        std::fs::remove_dir_all(env.path("reports")).unwrap();
    }
}

#[test]
fn alerts_are_notified_though_folders_cannot_be_written() {
    // The records of runs are among the logs; without them skipped jobs cannot be determined.
    for (broken, kind, alerts) in [
        ("reports", "records_unusable", &["stuck_tasks"][..]),
        ("logs", "alert_log_unwritable", &["stuck_tasks", "alert_check_error"]),
    ] {
        let env = TestEnv::sqlite();
        let server = Server::plain(vec![status(200)]);
        configure(&env, &webhook(&server));
        env.insert([processing(1, minutes(90))]);
        // A file in the place of the folder stops root too.
        env.write(broken, "not a folder");
        let finished = alert(&env, 1, &[]);
        let result = finished.json();
        assert_eq!(result["success"], true);
        assert_eq!(counts(&result)[0], alerts.len() as u64, "{broken}");
        let errors = result["errors"].as_array().unwrap();
        assert_eq!(errors.len(), 1, "{result}");
        assert_eq!(errors[0]["kind"], kind);
        let message = errors[0]["message"].as_str().unwrap();
        assert!(message.contains(&env.path(broken).display().to_string()), "{message}");
        finished.stderr_contains(message).stderr_contains("Stuck tasks");
        assert_eq!(notified(&server), [alerts], "{broken}");
        assert_eq!(env.read(broken), "not a folder");
        // The records, in their second place if need be, suppress a repetition.
        let again = alert(&env, 1, &[]);
        again.stderr();
        again.json();
        assert_eq!(notified(&server).len(), 1, "{broken}");
    }
}

#[test]
fn alerts_that_cannot_be_recorded_are_an_error_of_the_job() {
    let env = TestEnv::new();
    let server = Server::plain(vec![status(200)]);
    configure(&env, &webhook(&server));
    env.write("reports", "not a folder");
    let finished =
        env.taskmon(["disk", "/", "--alert", "--warning", "0", "--critical", "100"]).exits(1);
    finished.stderr_contains("records");
    let result = finished.json();
    assert_eq!(result["errors"][0]["kind"], "records_unusable");
    assert_eq!(kinds(&result), ["disk_space_warning"]);
    assert_eq!(notified(&server), [["disk_space_warning"]]);
}

#[test]
fn records_of_another_user_are_kept_in_ones_own_folder() {
    let env = TestEnv::new();
    let server = Server::plain(vec![status(200)]);
    configure(&env, &webhook(&server));
    env.write("reports/alerts/.keep", "");
    set_mode(&env.path("reports/alerts"), 0o555);
    set_mode(&env.path(""), 0o777);
    let sent = r#"[{"type": "t", "message": "m", "severity": "error"}]"#;
    let binary = env!("CARGO_BIN_EXE_taskmon");
    // Root may write everything.
    let user = ["--reuid=65534", "--regid=65534", "--clear-groups"];
    let run = || env.program("setpriv", user.into_iter().chain([binary, "alert", "--send", sent]));
    let finished = run().success();
    finished.stderr_contains("Permission denied").stderr_contains("/taskmon-65534/alerts-");
    assert_eq!(counts(&finished.json()), [1, 0, 0]);
    let again = run().success();
    assert_eq!(counts(&again.json()), [0, 1, 0]);
    again.stderr();
    assert_eq!(notified(&server), [["t"]]);
    set_mode(&env.path("reports/alerts"), 0o755);
}

#[test]
fn channels_get_the_severities_that_they_ask_for() {
    let env = TestEnv::new();
    let servers = [0; 3].map(|_| Server::plain(vec![status(200)]));
    let channels: String = ["warning", "error", "critical"]
        .iter()
        .zip(&servers)
        .map(|(severity, server)| format!("{}min_severity = \"{severity}\"\n", webhook(server)))
        .collect();
    configure(&env, &channels);
    let alerts: Vec<Value> = ["warning", "error", "critical"]
        .iter()
        .map(|severity| json!({"type": severity, "message": "m", "severity": severity}))
        .collect();
    let result = good_result(alert(&env, 0, &["--send", &json!(alerts).to_string()]));
    assert_eq!(counts(&result), [3, 0, 0]);
    assert_eq!(notified(&servers[0]), [["warning", "error", "critical"]]);
    assert_eq!(notified(&servers[1]), [["error", "critical"]]);
    assert_eq!(notified(&servers[2]), [["critical"]]);
    // Each severity has its log.
    assert_eq!(logged(&env), ["CRITICAL - m", "ERROR - m", "WARNING - m"]);
}

/// What only a process of its own shows: the variables that name the certificates and the proxy.
#[test]
fn https_is_checked_against_the_named_authority_and_goes_through_the_proxy() {
    let env = TestEnv::new();
    let (secure, plain) = (Server::tls(vec![status(200)]), Server::plain(vec![status(200)]));
    configure(&env, &format!("repeat_after_hours = 0\n{}{}", webhook(&secure), webhook(&plain)));
    let (port, tunnels) = crate::support::server::proxy();
    let run = |variables: &[(&str, String)], code: i32| {
        let run = env.taskmon(["alert", "--test"]);
        let run = variables.iter().fold(run, |run, (name, value)| run.env(name, value));
        let finished = run.exits(code);
        finished.stderr();
        finished.json()["channels"][0]["error"].to_string()
    };
    let proxy = ("HTTPS_PROXY", format!("http://localhost:{port}"));
    let authority =
        ("SSL_CERT_FILE", crate::support::certificates::file("ca.crt").display().to_string());
    let error = run(&[], 1);
    assert!(error.contains("certificate"), "{error}");
    assert_eq!(run(std::slice::from_ref(&authority), 0), "null");
    assert_eq!(tunnels.lock().unwrap().len(), 0);
    assert_eq!(run(&[authority.clone(), proxy.clone()], 0), "null");
    assert_eq!(tunnels.lock().unwrap().len(), 1);
    let around = ("NO_PROXY", "localhost".to_owned());
    assert_eq!(run(&[authority, proxy, around], 0), "null");
    // Past the exception, and never for http.
    assert_eq!(tunnels.lock().unwrap().len(), 1);
    assert_eq!((secure.requests().len(), plain.requests().len()), (3, 4));
}
