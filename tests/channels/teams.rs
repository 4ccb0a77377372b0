//! Microsoft Teams: its card, its limit, and 202.

use super::*;
use crate::support::server::{Answer, Server, ok, status};
use serde_json::{Value, json};

fn teams(server: &Server) -> Service {
    Service::Teams(service::teams::Config {
        url: hidden(&server.url("/workflows/1/triggers/manual/paths/invoke?sig=tok")),
    })
}

fn texts(message: &Value) -> Vec<String> {
    let body = message["attachments"][0]["content"]["body"].as_array().unwrap();
    body.iter().map(|block| block["inlines"][0]["text"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn a_card_of_literal_text_is_posted() {
    let server = Server::tls(vec![status(202)]);
    channel(teams(&server), PATIENCE).send(&notification(Language::En, two_alerts())).unwrap();
    let request = server.only();
    assert_eq!(request.target, "/workflows/1/triggers/manual/paths/invoke?sig=tok");
    let run = |run: Value| json!({"type": "RichTextBlock", "inlines": [run]});
    assert_eq!(
        request.json(),
        json!({
            "type": "message",
            "attachments": [{
                "contentType": "application/vnd.microsoft.card.adaptive",
                "contentUrl": null,
                "content": {
                    "$schema": "http://adaptivecards.io/schemas/adaptive-card.json",
                    "type": "AdaptiveCard",
                    "version": "1.4",
                    "msteams": {"width": "Full"},
                    "body": [
                        run(json!({"type": "TextRun", "text": "[Critical] web-1: 1 alert, 1 resolved", "weight": "bolder", "size": "medium", "color": "attention"})),
                        run(json!({"type": "TextRun", "text": "• 任务失败率过高: 63.5% (critical_failure_rate)"})),
                        run(json!({"type": "TextRun", "text": "• [Resolved] 磁盘空间不足: 95% (disk_space_critical, /var)"})),
                        run(json!({"type": "TextRun", "text": origin(), "size": "small", "isSubtle": true})),
                    ],
                },
            }],
        })
    );
}

#[test]
fn only_202_is_a_success() {
    let example = notification(Language::En, two_alerts());
    for (answer, permanent, words) in [
        (ok("<html>sign in</html>"), true, "not with 202"),
        (Answer::Http(429, vec![("Retry-After", "9".to_owned())], String::new()), false, "429"),
        (
            Answer::Http(
                404,
                vec![],
                r#"{"error":{"code":"WorkflowNotFound","message":"x"}}"#.into(),
            ),
            true,
            "no such workflow",
        ),
        (
            Answer::Http(400, vec![], r#"{"error":{"code":"WorkflowTriggerIsNotEnabled"}}"#.into()),
            true,
            "turned off",
        ),
        (
            Answer::Http(
                401,
                vec![],
                r#"{"error":{"code":"DirectApiAuthorizationRequired"}}"#.into(),
            ),
            true,
            "signature",
        ),
        (status(500), false, "status 500"),
    ] {
        let server = Server::plain(vec![answer]);
        let error = refusal(&*channel(teams(&server), PATIENCE), &example);
        assert_eq!(error.permanent, permanent, "{error}");
        assert!(error.message.contains(words), "{words}: {error}");
    }
}

#[test]
fn endless_alerts_fit_into_28_kilobytes() {
    for language in [Language::Zh, Language::En] {
        let server = Server::plain(vec![status(202)]);
        channel(teams(&server), PATIENCE).send(&endless(language)).unwrap();
        let request = server.only();
        assert!((20_000..=28 * 1024).contains(&request.body.len()), "{}", request.body.len());
        assert_rest_is_counted(&texts(&request.json()).join("\n"));
    }
}

#[test]
fn no_text_of_an_alert_mentions_anybody_or_begins_a_line() {
    let server = Server::plain(vec![status(202)]);
    channel(teams(&server), PATIENCE).send(&hostile()).unwrap();
    let json = server.only().json();
    assert_harmless(&json);
    // A mention needs an entry here beside `<at>` in the text.
    assert_eq!(json["attachments"][0]["content"]["msteams"], json!({"width": "Full"}));
    // The title, three lines of the message, the origin.
    let texts = texts(&json);
    assert_eq!(texts.len(), 5);
    assert!(texts[2..4].iter().all(|line| line.starts_with("  ")), "{texts:?}");
}
