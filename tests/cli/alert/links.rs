//! What messages say besides the alert: the first failed tasks, and where to read more.

use super::*;
use crate::on_each_database;
use crate::support::server::status;

on_each_database! {
    fn an_alert_about_failed_tasks_names_the_first_and_links_to_the_report_or_a_runbook(env) {
        let server = Server::plain(vec![status(200)]);
        configure(&env, &format!("report_url = \"https://ops.example.org/{{date}}\"\nrunbooks = {{ concentrated_errors = \"https://wiki.example.org/errors\" }}\nerror_concentration_percent = 30\n{}", webhook(&server)));
        env.insert(of_yesterday(20, 9));
        let finished = env.taskmon(["stats"]).success();
        finished.stderr();
        finished.json();
        let sent = server.only().json();
        let alerts = sent["alerts"].as_array().unwrap();
        let of = |kind: &str| alerts.iter().find(|alert| alert["type"] == kind).unwrap();
        let rate = of("high_failure_rate");
        assert_eq!(rate["url"], format!("https://ops.example.org/{}", yesterday()));
        let tasks = rate["tasks"].as_array().unwrap();
        assert_eq!(tasks.len(), 3, "{rate:#}");
        assert!(tasks.iter().all(|task| task["task"].as_str().unwrap().starts_with("task_")), "{rate:#}");
        let concentrated = of("concentrated_errors");
        assert_eq!(concentrated["url"], "https://wiki.example.org/errors");
        let errors = concentrated["tasks"].as_array().unwrap();
        assert!(!errors.is_empty() && errors.iter().all(|task| task["error"] == errors[0]["error"]), "{concentrated:#}");
    }
}

/// What was found without a result has its runbook as well.
#[test]
fn the_failure_of_a_job_links_to_its_runbook() {
    let env = TestEnv::new();
    let server = Server::plain(vec![status(200)]);
    configure(
        &env,
        &format!(
            "runbooks = {{ job_failed = \"https://wiki.example.org/jobs\" }}\n{}",
            webhook(&server)
        ),
    );
    let finished = env.taskmon(["stats"]).env("TASKMON_DATABASE_URL", "sqlite:gone.db").exits(3);
    finished.json();
    finished.stderr();
    assert_eq!(server.only().json()["alerts"][0]["url"], "https://wiki.example.org/jobs");
}

#[test]
fn links_that_not_every_channel_can_show_are_refused() {
    let env = TestEnv::new();
    let long = format!("https://e.org/{}", "x".repeat(300));
    for url in [
        "wiki/backlog",
        "ftp://e.org/x",
        "https://e.org/a b",
        "https://e.org/手册",
        "https://e.org/<b>",
        &long,
    ] {
        for key in ["report_url = ", "runbooks.backlog = "] {
            configure(&env, &format!("{key}\"{url}\"\n"));
            let refused = env.taskmon(["disk"]).exits(2);
            refused.failure("config_invalid", &["alerts.", "must be a URL"]);
        }
    }
    configure(&env, "runbooks.backlogs = \"https://e.org\"\n");
    env.taskmon(["disk"])
        .exits(2)
        .failure("config_invalid", &["`alerts.runbooks.backlogs` is the type of no alert"]);
}
