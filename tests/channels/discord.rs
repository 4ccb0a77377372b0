//! Discord: its embed, its escapes, and 204.

use super::*;
use crate::support::server::{Answer, Server, ok, status};
use serde_json::json;

fn discord(server: &Server) -> Service {
    Service::Discord(service::discord::Config {
        url: hidden(&server.url("/api/webhooks/1/tok")),
        username: None,
        thread_id: String::new(),
    })
}

#[test]
fn an_embed_goes_to_the_thread_under_the_name() {
    let server = Server::tls(vec![status(204)]);
    let service = Service::Discord(service::discord::Config {
        url: hidden(&server.url("/api/webhooks/1/tok")),
        username: Some("taskmon".to_owned()),
        thread_id: "1234567890123456789".to_owned(),
    });
    channel(service, PATIENCE).send(&notification(Language::En, two_alerts())).unwrap();
    let request = server.only();
    assert_eq!(request.target, "/api/webhooks/1/tok?thread_id=1234567890123456789");
    assert_eq!(
        request.json(),
        json!({
            "username": "taskmon",
            "allowed_mentions": {"parse": []},
            "embeds": [{
                "title": r"\[Critical\] web-1\: 1 alert, 1 resolved",
                "description": "• 任务失败率过高\\: 63.5% \\(critical\\_failure\\_rate\\)\n• \\[Resolved\\] 磁盘空间不足\\: 95% \\(disk\\_space\\_critical, /var\\)",
                "color": 0xd3_2f2f,
                "footer": {"text": origin()},
            }],
        })
    );
}

#[test]
fn a_204_or_the_message_is_a_success_and_a_429_says_how_long_to_wait() {
    let example = notification(Language::En, two_alerts());
    let waited = Server::plain(vec![ok(r#"{"id":"99","type":0}"#)]);
    channel(discord(&waited), PATIENCE).send(&example).unwrap();
    for (code, headers, body, permanent, wait, words) in [
        (
            429,
            vec![("Retry-After", "65".to_owned())],
            r#"{"message":"You are being rate limited.","retry_after":64.57,"global":false}"#,
            false,
            Some(Duration::from_secs_f64(64.57)),
            "rate limited",
        ),
        (
            429,
            vec![("Retry-After", "3".to_owned())],
            "",
            false,
            Some(Duration::from_secs(3)),
            "429",
        ),
        (
            404,
            vec![],
            r#"{"message":"Unknown Webhook","code":10015}"#,
            true,
            None,
            "no such webhook",
        ),
        (
            404,
            vec![],
            r#"{"message":"Unknown Channel","code":10003}"#,
            true,
            None,
            "check thread_id",
        ),
        (400, vec![], r#"{"embeds":["0"]}"#, true, None, "status 400"),
        (200, vec![], "<html>sign in</html>", true, None, "not with 204"),
        (502, vec![], "", false, None, "status 502"),
    ] {
        let server = Server::plain(vec![Answer::Http(code, headers, body.to_owned())]);
        let error = refusal(&*channel(discord(&server), PATIENCE), &example);
        assert_eq!(error.permanent, permanent, "{body}: {error}");
        assert_eq!(error.retry_after, wait, "{body}");
        assert!(error.message.contains(words), "{words}: {error}");
    }
}

#[test]
fn endless_alerts_fit_into_an_embed() {
    for language in [Language::Zh, Language::En] {
        let server = Server::plain(vec![status(204)]);
        channel(discord(&server), PATIENCE).send(&endless(language)).unwrap();
        let embed = server.only().json()["embeds"][0].clone();
        let length = |key: &str| embed[key].as_str().unwrap().encode_utf16().count();
        let (title, description) = (length("title"), length("description"));
        assert!(title <= 256, "{title}");
        assert!((2000..=4096).contains(&description), "{description}");
        let footer = embed["footer"]["text"].as_str().unwrap().encode_utf16().count();
        assert!(title + description + footer <= 6000);
        assert_rest_is_counted(embed["description"].as_str().unwrap());
    }
}

#[test]
fn no_text_of_an_alert_is_markup() {
    let server = Server::plain(vec![status(204)]);
    channel(discord(&server), PATIENCE).send(&hostile()).unwrap();
    let json = server.only().json();
    assert_harmless(&json);
    assert_eq!(json["allowed_mentions"], json!({"parse": []}));
    let embed = &json["embeds"][0];
    for text in [embed["title"].as_str().unwrap(), embed["description"].as_str().unwrap()] {
        let mut before = ' ';
        for c in text.chars() {
            assert!(!"*_`<>[]()#:@|~".contains(c) || before == '\\', "{c} in {text}");
            before = c;
        }
    }
    assert!(embed["title"].as_str().unwrap().encode_utf16().count() <= 256);
}
