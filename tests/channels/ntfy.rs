//! ntfy: its JSON, its priorities, and what it answers.

use super::*;
use crate::support::server::{Answer, Server, ok};
use serde_json::json;

fn ntfy(server: &Server, token: Option<&str>) -> Service {
    Service::Ntfy(service::ntfy::Config {
        url: hidden(&server.url("/push/ops-topic")),
        token: token.map(hidden).unwrap_or_default(),
        tags: vec!["prod".to_owned()],
    })
}

const PUBLISHED: &str = r#"{"id":"sPs71M8A2T","event":"message","topic":"ops-topic"}"#;

#[test]
fn a_message_is_published_as_json_with_its_token() {
    let server = Server::tls(vec![ok(PUBLISHED)]);
    let service = ntfy(&server, Some("tk_abc"));
    channel(service, PATIENCE).send(&notification(Language::En, two_alerts())).unwrap();
    let request = server.only();
    assert_eq!(request.target, "/push/");
    assert_eq!(request.header("authorization"), Some("Bearer tk_abc"));
    assert_eq!(
        request.json(),
        json!({
            "topic": "ops-topic",
            "title": "[Critical] web-1: 1 alert, 1 resolved",
            "message": format!("• 任务失败率过高: 63.5% (critical_failure_rate)\n• [Resolved] 磁盘空间不足: 95% (disk_space_critical, /var)\n{}", origin()),
            "priority": 5,
            "tags": ["rotating_light", "prod"],
        })
    );
}

#[test]
fn the_priority_is_that_of_the_severity() {
    for (update, priority) in [
        (firing(alert("t", Severity::Critical, "m")), 5),
        (firing(alert("t", Severity::Error, "m")), 4),
        (firing(alert("t", Severity::Warning, "m")), 3),
        (resolved(alert("t", Severity::Critical, "m")), 2),
    ] {
        let server = Server::plain(vec![ok(PUBLISHED)]);
        channel(ntfy(&server, None), PATIENCE)
            .send(&notification(Language::En, vec![update]))
            .unwrap();
        assert_eq!(server.only().json()["priority"], priority);
    }
}

#[test]
fn only_a_published_message_is_a_success() {
    for (status, body, permanent, words) in [
        (200, "<html>sign in</html>", true, "sign in"),
        (200, "{}", true, "did not answer with the published message"),
        (403, r#"{"code":40301,"http":403,"error":"forbidden"}"#, true, "check the token"),
        (429, r#"{"code":42901,"http":429,"error":"limit reached"}"#, false, "limit reached"),
        (507, r#"{"code":50701,"http":507,"error":"full"}"#, false, "status 507"),
    ] {
        let server = Server::plain(vec![Answer::Http(status, vec![], body.to_owned())]);
        let error = refusal(
            &*channel(ntfy(&server, None), PATIENCE),
            &notification(Language::En, two_alerts()),
        );
        assert_eq!(error.permanent, permanent, "{body}: {error}");
        assert!(error.message.contains(words), "{words}: {error}");
    }
}

#[test]
fn endless_alerts_fit_into_4096_bytes_and_no_control_character_is_left() {
    let server = Server::plain(vec![ok(PUBLISHED)]);
    channel(ntfy(&server, None), PATIENCE).send(&endless(Language::Zh)).unwrap();
    let message = server.only().json()["message"].as_str().unwrap().to_owned();
    assert!((3000..=4096).contains(&message.len()), "{}", message.len());
    assert_rest_is_counted(&message);

    let server = Server::plain(vec![ok(PUBLISHED)]);
    channel(ntfy(&server, None), PATIENCE).send(&hostile()).unwrap();
    assert_harmless(&server.only().json());
}

#[test]
fn a_url_without_a_topic_and_a_token_beside_a_login_are_refused() {
    let with = |url: &str, token: SecretSource| {
        let config = service::ntfy::Config { url: hidden(url), token, tags: Vec::new() };
        refusal(
            &*channel(Service::Ntfy(config), PATIENCE),
            &notification(Language::En, two_alerts()),
        )
    };
    let error = with("http://localhost/", SecretSource::Unset);
    assert!(error.permanent && error.message.contains("does not end in a topic"), "{error}");
    let error = with("http://u:p@localhost/topic", hidden("tk"));
    assert!(error.permanent && error.message.contains("a token beside it"), "{error}");
}
