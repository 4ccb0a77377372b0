//! Jobs that did not run when they were due.

use super::*;

fn missed(env: &TestEnv) -> (Value, Finished) {
    let finished = isolated(env, &["taskmon", "alert", "--dry-run"]).run();
    let result = finished.json();
    finished.stderr();
    (result, finished)
}

#[test]
fn a_job_that_is_missed_under_its_former_name_is_missed_under_its_new_one() {
    let env = environment();
    installed_long_ago(&env);
    put(&env, &crontab(&env).replace("disk-space-check", "check-disk-space"));
    let (result, _run) = missed(&env);
    let alerts = result["alerts"].as_array().unwrap().iter();
    let missed = alerts.filter(|alert| alert["type"] == "job_missed");
    let subjects: Vec<&Value> = missed.map(|alert| &alert["subject"]).collect();
    assert!(subjects.contains(&&json!("disk-space-check")), "{result:#}");
    assert!(!subjects.contains(&&json!("check-disk-space")), "{result:#}");
}

/// Otherwise a missed job would go unnoticed.
#[test]
fn missed_jobs_that_cannot_be_determined_are_an_alert() {
    let env = environment();
    installed_long_ago(&env);
    let rules = |result: &Value| -> Vec<String> {
        let alerts = result["alerts"].as_array().unwrap().iter();
        let broken = alerts.filter(|alert| alert["type"] == "alert_check_error");
        broken.map(|alert| alert["subject"].as_str().unwrap().to_owned()).collect()
    };
    let text = crontab(&env);
    put(&env, &text.replace("# END taskmon", "# END"));
    let (result, _run) = missed(&env);
    assert_eq!(rules(&result), ["job_missed"], "{result:#}");
    put(&env, &text);
    let records = env.path("logs/taskmon_runs.jsonl");
    let _ = std::fs::remove_file(&records);
    std::fs::create_dir_all(&records).unwrap();
    let (result, _run) = missed(&env);
    assert_eq!(rules(&result), ["job_missed", "job_skipped"], "{result:#}");
}

#[test]
fn a_job_without_a_successful_run_is_missed_and_overdue_until_it_has_one() {
    let env = environment();
    add_jobs(
        &env,
        &[
            ("report", "0 2 * * *", "stats --no-save", ""),
            ("disks", "15 * * * *", "disk /", ""),
            ("live", "*/5 * * * *", "alert", ""),
        ],
    );
    // Without a block it is not known.
    let (result, _run) = missed(&env);
    assert_eq!(result["live"]["jobs"]["missed"], Value::Null);
    // Just installed: nothing was due yet.
    schedule(&env, &["install"]).success().json();
    let (result, _run) = missed(&env);
    assert_eq!(result["live"]["jobs"]["missed"], json!([]));
    schedule(&env, &["remove"]).success().json();

    installed_long_ago(&env);
    let (result, _run) = missed(&env);
    let names = |result: &Value| -> Vec<String> {
        let alerts = result["alerts"].as_array().unwrap().iter();
        let missed = alerts.filter(|alert| alert["type"] == "job_missed");
        missed.map(|alert| alert["subject"].as_str().unwrap().to_owned()).collect()
    };
    // Not the job that asks: it is running.
    assert_eq!(names(&result), ["report", "disks"]);
    let severity = &result["alerts"]
        .as_array()
        .unwrap()
        .iter()
        .find(|alert| alert["type"] == "job_missed")
        .unwrap()["severity"];
    assert_eq!(severity, "error");
    let overdue = |env: &TestEnv| -> Vec<bool> {
        let status = schedule(env, &["status"]).success().json();
        status["jobs"]
            .as_array()
            .unwrap()
            .iter()
            .map(|job| job["overdue"].as_bool().unwrap())
            .collect()
    };
    assert_eq!(overdue(&env), [true, true, true]);

    // A failed run and a dry run are none.
    isolated(&env, &["taskmon", "stats", "--no-save", "--database-url", "sqlite:none.db"])
        .exits(3)
        .failure("database_unavailable", &[]);
    assert_eq!(overdue(&env), [true, true, true]);
    isolated(&env, &["taskmon", "stats", "--no-save", "--output", "text", "-qq"])
        .success()
        .stdout();
    isolated(&env, &["taskmon", "disk", "/", "-qq"]).run().stdout();
    let (result, _run) = missed(&env);
    assert_eq!(names(&result), Vec::<String>::new());
    assert_eq!(overdue(&env), [false, false, true]);
    let status = schedule(&env, &["status"]).success().json();
    assert_eq!(status["jobs"][0]["last_run"]["exit_code"], 0);
    let text = schedule(&env, &["status", "--output", "text"]).success();
    text.stdout_contains("overdue").stdout_contains("report");
}

/// A clock that was a year ahead has left it; until then, nobody would hear of the job again.
#[test]
fn a_record_from_the_future_hides_no_missed_job() {
    let env = environment();
    add_jobs(&env, &[("report", "0 2 * * *", "stats --no-save", "")]);
    installed_long_ago(&env);
    let ahead = (chrono::Utc::now() + chrono::TimeDelta::days(365)).to_rfc3339();
    env.write(
        "logs/taskmon_runs.jsonl",
        &format!(
            "{{\"job\":\"stats\",\"arguments\":[\"stats\",\"--no-save\"],\"start\":\"{ahead}\",\"end\":\"{ahead}\",\"exit_code\":0,\"skipped\":false,\"host\":\"box\"}}\n"
        ),
    );
    let (result, _run) = missed(&env);
    let alerts = result["alerts"].as_array().unwrap();
    assert!(alerts.iter().any(|alert| alert["subject"] == "report"), "{result:#}");
    let status = schedule(&env, &["status"]).success().json();
    assert_eq!(status["jobs"][0]["last_run"], Value::Null);
}
