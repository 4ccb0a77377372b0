//! Silences and maintenance windows: nobody is notified meanwhile, and nothing is forgotten.

use super::*;
use crate::support::server::status;

/// A database with a stuck task, and a channel.
fn stuck(env: &TestEnv) -> Server {
    let server = Server::plain(vec![status(200)]);
    configure(env, &webhook(&server));
    env.insert([processing(1, minutes(90))]);
    server
}

fn silence(env: &TestEnv, words: &[&str]) -> Value {
    let finished = env.taskmon(["alert"].iter().chain(words).copied()).success();
    finished.stderr();
    finished.json()
}

/// Why the channel was notified of the first alert, or was not.
fn decided(result: &Value) -> &str {
    result["decisions"][0]["channels"]["webhook"].as_str().unwrap()
}

#[test]
fn what_is_silenced_notifies_nobody_until_the_silence_ends() {
    let env = TestEnv::sqlite();
    let server = stuck(&env);
    let made =
        silence(&env, &["--silence", "stuck_tasks", "--for", "2h", "--reason", "a new worker"]);
    let [made] = made["silences"].as_array().unwrap().as_slice() else { panic!("{made:#}") };
    assert_eq!((&made["type"], &made["reason"]), (&json!("stuck_tasks"), &json!("a new worker")));
    let until = DateTime::parse_from_rfc3339(made["until"].as_str().unwrap()).unwrap();
    let left = until.signed_duration_since(Utc::now());
    assert!(left > minutes(118) && left <= minutes(120), "{made}");

    for _ in 0..2 {
        let result = alerted(&env);
        assert_eq!(kinds(&result), ["stuck_tasks"]);
        assert_eq!(counts(&result), [0, 1, 0]);
        assert_eq!(decided(&result), "silenced");
        assert_eq!(result["decisions"][0]["silence"]["reason"], "a new worker");
        assert_eq!(result["silences"][0], *made);
    }
    assert_eq!((notified(&server).len(), logged(&env).len()), (0, 0));

    assert_eq!(silence(&env, &["--unsilence", "stuck_tasks"])["silences"], json!([]));
    assert_eq!(decided(&alerted(&env)), "first");
    assert_eq!(notified(&server), [["stuck_tasks"]]);
}

/// Whoever was notified before is reminded when the silence has ended, long before the next repetition is due.
#[test]
fn what_is_still_firing_when_a_silence_has_ended_is_sent_again() {
    let env = TestEnv::sqlite();
    let server = stuck(&env);
    assert_eq!(decided(&alerted(&env)), "first");
    silence(&env, &["--silence", "*", "--for", "1h"]);
    assert_eq!(decided(&alerted(&env)), "silenced");
    let file = "reports/alerts/silences.json";
    let mut silences: Value = serde_json::from_str(&env.read(file)).unwrap();
    silences[0]["until"] = json!((now() - minutes(1)).to_rfc3339());
    env.write(file, &silences.to_string());
    assert_eq!(decided(&alerted(&env)), "silence_ended");
    assert_eq!(decided(&alerted(&env)), "suppressed");
    assert_eq!(notified(&server).len(), 2);
}

#[test]
fn an_incident_that_was_opened_before_is_closed_while_it_is_silenced() {
    let env = TestEnv::sqlite();
    let server = stuck(&env);
    alerted(&env);
    silence(&env, &["--silence", "stuck_tasks", "--for", "1h"]);
    env.sql("DELETE FROM tasks");
    assert_eq!(decided(&alerted(&env)), "resolved");
    assert_eq!(notified(&server), [["stuck_tasks"], ["-stuck_tasks"]]);
}

#[test]
fn other_alerts_and_other_subjects_are_not_silenced() {
    let env = TestEnv::sqlite();
    let server = stuck(&env);
    silence(&env, &["--silence", "disk_space_warning=/data", "--for", "1h"]);
    silence(&env, &["--silence", "stuck_tasks=elsewhere", "--for", "1h"]);
    assert_eq!(decided(&alerted(&env)), "first");
    assert_eq!(notified(&server), [["stuck_tasks"]]);
    let all = silence(&env, &["--silences"]);
    assert_eq!(all["silences"].as_array().unwrap().len(), 2);
}

/// A rejected notification is not retried while its alert is silenced, and is afterwards.
#[test]
fn nothing_is_retried_that_is_silenced() {
    let env = TestEnv::sqlite();
    let server = Server::plain(vec![status(500), status(200)]);
    configure(&env, &webhook(&server));
    let sent = r#"[{"type":"deploy","message":"m","severity":"error"}]"#;
    let rejected = alert(&env, 1, &["--send", sent]);
    rejected.stderr();
    rejected.json();
    let made = env.taskmon(["alert", "--silence", "deploy", "--for", "1h"]).success();
    made.stderr_contains("no rule raises alerts of the type \"deploy\"").json();
    alerted(&env);
    assert_eq!(server.requests().len(), 1);
    silence(&env, &["--unsilence", "deploy"]);
    alerted(&env);
    assert_eq!(server.requests().len(), 2);
}

#[test]
fn nobody_is_notified_in_a_maintenance_window() {
    let env = TestEnv::sqlite();
    let server = Server::plain(vec![status(200)]);
    env.insert([processing(1, minutes(90))]);
    let config = |window: &str| {
        configure(
            &env,
            &format!("[[alerts.maintenance]]\n{window}\nreason = 'backup'\n{}", webhook(&server)),
        );
    };
    config("cron = '* * * * *'\nminutes = 5");
    let result = alerted(&env);
    assert_eq!(decided(&result), "silenced");
    let silence = &result["silences"][0];
    assert_eq!((&silence["type"], &silence["by"]), (&json!("*"), &json!("maintenance")));
    // An hour ago it began, and ended half an hour ago.
    let (hour, minute) = ((now() - minutes(60)).hour(), (now() - minutes(60)).minute());
    for (minutes, types, reason) in [
        (90, "'disk_read_only'", "first"),
        (90, "'stuck_tasks'", "silenced"),
        (30, "", "silence_ended"),
    ] {
        config(&format!("cron = '{minute} {hour} * * *'\nminutes = {minutes}\nalerts = [{types}]"));
        assert_eq!(decided(&alerted(&env)), reason, "{minutes} {types}");
    }
    assert_eq!(notified(&server).len(), 2);
}

#[test]
fn a_window_that_never_opens_is_refused() {
    let env = TestEnv::sqlite();
    for (window, part) in [
        ("cron = '@reboot'\nminutes = 5", "`alerts.maintenance[1].cron` is no time of the clock"),
        ("cron = '0 25 * * *'\nminutes = 5", "`alerts.maintenance[1].cron` is no cron expression"),
        ("cron = '0 2 * * *'\nminutes = 0", "`alerts.maintenance[1].minutes`"),
        ("cron = '0 2 * * *'\nminutes = 5\nalerts = ['=x']", "`alerts.maintenance[1].alerts`"),
    ] {
        configure(&env, &format!("[[alerts.maintenance]]\n{window}\n"));
        env.taskmon(["disk"]).exits(2).failure("config_invalid", &[part]);
    }
}

#[test]
fn what_cannot_be_silenced_is_refused() {
    let env = TestEnv::sqlite();
    stuck(&env);
    for (words, part) in [
        (["--silence", "", "--for", "1h"], "--silence is \"\""),
        (["--silence", "backlog", "--for", "soon"], "--for is \"soon\""),
        (["--silence", "backlog", "--for", "10s"], "--for is \"10s\""),
        (["--silence", "backlog", "--for", "2years"], "--for is \"2years\""),
        (["--unsilence", "backlog", "-q", "-q"], "there is no silence of backlog"),
    ] {
        env.taskmon(["alert"].iter().chain(&words).copied()).exits(2).failure("usage", &[part]);
    }
    env.taskmon(["alert", "--silence", "backlog"]).exits(2).stderr_contains("--for");
    assert!(!env.path("reports/alerts/silences.json").exists());
}

/// Whoever broke the file does not silence everything by it.
#[test]
fn silences_that_cannot_be_read_silence_nothing() {
    let env = TestEnv::sqlite();
    let server = stuck(&env);
    silence(&env, &["--silence", "stuck_tasks", "--for", "1h"]);
    env.write("reports/alerts/silences.json", "[{");
    let finished = env.taskmon(["alert"]).exits(1);
    finished.stderr_contains("the silences in");
    assert_eq!(finished.json()["errors"][0]["kind"], "silences_unreadable");
    assert_eq!(notified(&server), [["stuck_tasks"]]);
    env.taskmon(["alert", "--silences"]).exits(3).failure("records_unreadable", &["silences"]);
}

#[test]
fn the_page_says_what_is_silenced_by_whom_and_until_when() {
    let env = TestEnv::sqlite();
    stuck(&env);
    let words = [
        "alert",
        "--silence",
        "*",
        "--for",
        "1day",
        "--reason",
        "moving house",
        "--output",
        "text",
    ];
    let shown = env.taskmon(words).env("USER", "ann").success();
    shown
        .stdout_contains("Silenced:\n  everything  until ")
        .stdout_contains(" (in ")
        .stdout_contains("(ann@")
        .stdout_contains(": moving house)");
    let page = env.taskmon(["alert", "--output", "text", "--lang", "zh"]).success();
    page.stdout_contains("静默").stdout_contains("全部  至 ");
    let none = env.taskmon(["alert", "--unsilence", "*", "--output", "text"]).success();
    assert_eq!(none.stdout(), "Nothing is silenced\n");
}
