//! PagerDuty: an event for each alert, resolved by the same key.

use super::*;
use crate::support::server::{Answer, Server, ok, status};
use serde_json::{Value, json};
use taskmon::notify::deliver::{Outgoing, Pauses, deliver};

const KEY: &str = "0123456789abcdef0123456789abcdef";

fn pagerduty(server: &Server) -> Service {
    Service::Pagerduty(service::pagerduty::Config {
        routing_key: hidden(KEY),
        api_url: hidden(&server.url("")),
    })
}

fn accepted() -> Answer {
    let body = r#"{"status":"success","message":"Event processed","dedup_key":"k"}"#;
    Answer::Http(202, vec![], body.to_owned())
}

fn outgoing(server: &Server, alerts: Vec<AlertUpdate>) -> Outgoing {
    Outgoing {
        name: "pagerduty".to_owned(),
        channel: Ok(channel(pagerduty(server), PATIENCE)),
        retries: 2,
        notification: notification(Language::En, alerts),
    }
}

fn events(server: &Server) -> Vec<Value> {
    server.requests().iter().map(|request| request.json()).collect()
}

#[test]
fn each_alert_is_an_event_of_its_own() {
    let server = Server::tls(vec![accepted()]);
    let deliveries = deliver(vec![outgoing(&server, two_alerts())], &Pauses::default());
    assert_eq!(deliveries[0].accepted, two_alerts());
    assert!(server.requests().iter().all(|request| request.target == "/v2/enqueue"));
    assert_eq!(
        events(&server),
        [
            json!({
                "routing_key": KEY,
                "event_action": "trigger",
                "dedup_key": r#"["web-1","critical_failure_rate",null]"#,
                "payload": {
                    "summary": "任务失败率过高: 63.5%",
                    "source": "web-1",
                    "severity": "critical",
                    "timestamp": time().to_rfc3339(),
                    "group": null,
                    "class": "critical_failure_rate",
                    "component": null,
                    "custom_details": {"value": 63.5, "threshold": 50, "tasks": []},
                },
                "client": "taskmon",
            }),
            json!({
                "routing_key": KEY,
                "event_action": "resolve",
                "dedup_key": r#"["web-1","disk_space_critical","/var"]"#,
            }),
        ]
    );
}

#[test]
fn an_incident_is_resolved_by_the_key_that_opened_it() {
    let server = Server::plain(vec![accepted()]);
    let disk = |message: &str, severity| Alert {
        subject: Some("/data".to_owned()),
        ..alert("disk_space_warning", severity, message)
    };
    for update in [
        firing(disk("85%", Severity::Warning)),
        firing(disk("86%", Severity::Error)),
        resolved(disk("86%", Severity::Warning)),
    ] {
        channel(pagerduty(&server), PATIENCE)
            .send(&notification(Language::En, vec![update]))
            .unwrap();
    }
    let events = events(&server);
    assert!(events.iter().all(|event| event["dedup_key"] == events[0]["dedup_key"]));
    let actions: Vec<&Value> = events.iter().map(|event| &event["event_action"]).collect();
    assert_eq!(actions, ["trigger", "trigger", "resolve"]);
    assert_eq!(events[1]["payload"]["severity"], "error");
}

#[test]
fn an_event_that_is_throttled_is_sent_again_and_an_invalid_one_is_not() {
    let server = Server::plain(vec![accepted(), status(429), accepted()]);
    let pauses = Pauses { first: Duration::from_millis(1), longest: Duration::from_millis(1) };
    let deliveries = deliver(vec![outgoing(&server, two_alerts())], &pauses);
    assert_eq!(deliveries[0].accepted, two_alerts());
    let actions: Vec<Value> =
        events(&server).iter().map(|event| event["event_action"].clone()).collect();
    assert_eq!(actions, ["trigger", "resolve", "resolve"]);

    for (answer, permanent, words) in [
        (
            Answer::Http(
                400,
                vec![],
                r#"{"status":"invalid event","message":"Event object is invalid","errors":["Invalid routing key"]}"#.to_owned(),
            ),
            true,
            "check the routing_key",
        ),
        (ok("<html>sign in</html>"), true, "not with 202"),
        (Answer::Http(202, vec![], "{}".to_owned()), true, "and success"),
        (status(429), false, "status 429"),
        (status(500), false, "status 500"),
    ] {
        let server = Server::plain(vec![answer]);
        let error = refusal(
            &*channel(pagerduty(&server), PATIENCE),
            &notification(Language::En, vec![two_alerts().remove(0)]),
        );
        assert_eq!(error.permanent, permanent, "{error}");
        assert!(error.message.contains(words), "{words}: {error}");
    }
}

#[test]
fn a_summary_has_at_most_1024_characters() {
    let server = Server::plain(vec![accepted()]);
    let long = firing(alert("t", Severity::Error, &"错\u{1b}".repeat(2000)));
    channel(pagerduty(&server), PATIENCE).send(&notification(Language::Zh, vec![long])).unwrap();
    let event = server.only().json();
    assert_eq!(event["payload"]["summary"].as_str().unwrap().chars().count(), 1024);
    assert_harmless(&event["payload"]["summary"]);
}
