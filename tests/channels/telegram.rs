//! Telegram: its HTML, its limit in UTF-16 units, and errors with how long to wait.

use super::*;
use crate::support::server::{Answer, Server, ok};
use serde_json::json;

const TOKEN: &str = "123456:ABC-DEF_ghi";

fn telegram(server: &Server, message_thread_id: Option<u64>) -> Service {
    Service::Telegram(service::telegram::Config {
        token: hidden(TOKEN),
        chat_id: "-1001234567890".to_owned(),
        message_thread_id,
        api_url: hidden(&server.url("/")),
    })
}

const SENT: &str = r#"{"ok":true,"result":{"message_id":7}}"#;

#[test]
fn a_message_goes_to_the_chat_as_html() {
    let server = Server::tls(vec![ok(SENT)]);
    channel(telegram(&server, Some(42)), PATIENCE)
        .send(&notification(Language::En, two_alerts()))
        .unwrap();
    let request = server.only();
    assert_eq!(request.target, format!("/bot{TOKEN}/sendMessage"));
    assert_eq!(
        request.json(),
        json!({
            "chat_id": "-1001234567890",
            "message_thread_id": 42,
            "text": format!("<b>[Critical] web-1: 1 alert, 1 resolved</b>\n\n• 任务失败率过高: 63.5% (critical_failure_rate)\n• [Resolved] 磁盘空间不足: 95% (disk_space_critical, /var)\n\n<i>{}</i>", origin()),
            "parse_mode": "HTML",
            "link_preview_options": {"is_disabled": true},
        })
    );
}

#[test]
fn ok_decides_and_the_answer_says_how_long_to_wait() {
    let limited = r#"{"ok":false,"error_code":429,"description":"Too Many Requests: retry after 5","parameters":{"retry_after":5}}"#;
    for (status, body, permanent, seconds, words) in [
        (429, limited, false, Some(5), "Too Many Requests"),
        (200, limited, false, Some(5), "Too Many Requests"),
        (
            401,
            r#"{"ok":false,"error_code":401,"description":"Unauthorized"}"#,
            true,
            None,
            "check the token",
        ),
        (
            400,
            r#"{"ok":false,"error_code":400,"description":"Bad Request: chat not found"}"#,
            true,
            None,
            "check chat_id",
        ),
        (
            400,
            r#"{"ok":false,"error_code":400,"description":"Bad Request: group chat was upgraded to a supergroup chat","parameters":{"migrate_to_chat_id":-1009}}"#,
            true,
            None,
            "its chat_id is -1009",
        ),
        (
            403,
            r#"{"ok":false,"error_code":403,"description":"Forbidden: bot was kicked"}"#,
            true,
            None,
            "not in the chat",
        ),
        (502, "<html>", false, None, "status 502"),
        (200, "<html>sign in</html>", true, None, "without \"ok\""),
    ] {
        let server = Server::plain(vec![Answer::Http(status, vec![], body.to_owned())]);
        let error = refusal(
            &*channel(telegram(&server, None), PATIENCE),
            &notification(Language::En, two_alerts()),
        );
        assert_eq!(error.permanent, permanent, "{body}: {error}");
        assert_eq!(error.retry_after, seconds.map(Duration::from_secs), "{body}");
        assert!(error.message.contains(words), "{words}: {error}");
    }
}

#[test]
fn endless_alerts_fit_into_4096_units_after_the_entities_are_parsed() {
    for language in [Language::Zh, Language::En] {
        let server = Server::plain(vec![ok(SENT)]);
        channel(telegram(&server, None), PATIENCE).send(&endless(language)).unwrap();
        let text = server.only().json()["text"].as_str().unwrap().to_owned();
        let mut parsed = text.clone();
        for (mark, shown) in [
            ("<b>", ""),
            ("</b>", ""),
            ("<i>", ""),
            ("</i>", ""),
            ("&lt;", "<"),
            ("&gt;", ">"),
            ("&amp;", "&"),
        ] {
            parsed = parsed.replace(mark, shown);
        }
        let units = parsed.encode_utf16().count();
        assert!((3000..=4096).contains(&units), "{units}");
        assert_rest_is_counted(&text);
    }
}

#[test]
fn no_text_of_an_alert_is_markup_or_a_mention() {
    let server = Server::plain(vec![ok(SENT)]);
    channel(telegram(&server, None), PATIENCE).send(&hostile()).unwrap();
    let json = server.only().json();
    assert_harmless(&json);
    let text = json["text"].as_str().unwrap();
    assert_eq!(text.matches('<').count(), 4, "{text}");
    assert!(text.contains("＠all") && !text.contains('@'), "{text}");
    assert!(text.contains("&lt;script&gt;"), "{text}");
}
