//! Mail through aiosmtpd, read back by Python's own library.

pub mod mail_server;
mod refused;

use super::*;
use mail_server::MailServer;
use serde_json::{Value, json};
use taskmon::channels::email::Encryption;

const USER: &str = "ops@示例";

const PASSWORD: &str = "s3cret:p@ss/%词";

/// Both, encoded for a URL.
const LOGIN: &str = "ops%40%E7%A4%BA%E4%BE%8B:s3cret%3Ap%40ss%2F%25%E8%AF%8D";

pub fn mail(url: &str) -> service::email::Config {
    service::email::Config {
        url: hidden(url),
        password: SecretSource::Unset,
        from: "任务监控 <taskmon@example.org>".to_owned(),
        to: vec!["ops@example.org".to_owned(), "\"值班, 一线\" <duty@example.org>".to_owned()],
        tls: None,
        helo: None,
    }
}

fn post(mail: service::email::Config) -> Box<dyn Channel + Send> {
    channel(Service::Email(mail), PATIENCE)
}

fn example() -> Notification {
    notification(Language::Zh, two_alerts())
}

fn header<'m>(mail: &'m Value, name: &str) -> Vec<&'m str> {
    let headers = mail["headers"].as_array().unwrap();
    let named = headers.iter().filter(|header| header[0] == name);
    named.map(|header| header[1].as_str().unwrap()).collect()
}

#[test]
fn a_mail_arrives_with_its_headers_and_both_parts() {
    let server = MailServer::start("starttls");
    post(mail(&format!("smtp://{LOGIN}@localhost:{}", server.port))).send(&example()).unwrap();
    let got = server.mail();
    assert_eq!(got["hello"], "[127.0.0.1]", "no name of the host is known");
    assert_eq!(got["encrypted"], true);
    assert_eq!(got["login"], USER);
    assert_eq!(got["from"], "taskmon@example.org");
    assert_eq!(got["to"], json!(["ops@example.org", "duty@example.org"]));
    assert_eq!(header(&got, "Subject"), ["[严重] web-1: 1 条告警，1 条已恢复"]);
    assert_eq!(header(&got, "From"), ["任务监控 <taskmon@example.org>"]);
    assert_eq!(header(&got, "To"), ["ops@example.org, \"值班, 一线\" <duty@example.org>"]);
    assert_eq!(header(&got, "Date"), ["Fri, 01 Dec 2023 18:00:01 +0000"]);
    assert_eq!(header(&got, "Auto-Submitted"), ["auto-generated"]);
    let id = header(&got, "Message-ID")[0];
    assert!(
        id.starts_with(&format!("<taskmon.{NOW_MILLIS}.")) && id.ends_with("@example.org>"),
        "{id}"
    );
    assert_eq!(got["type"], "multipart/alternative");
    assert_eq!(got["defects"], json!([]));
    assert_eq!(got["is_ascii"], true);
    assert!(got["longest_line"].as_u64().unwrap() <= 998, "{got}");
    assert_eq!(
        got["parts"],
        json!({
            "text/plain": "- 任务失败率过高: 63.5% (critical_failure_rate)\n- [已恢复] 磁盘空间不足: 95% (disk_space_critical, /var)\n\n主机: web-1\n时间: 2023-12-02 02:00:01 +08:00\n",
            "text/html": "<!DOCTYPE html>\n<html lang=\"zh-CN\"><head><meta charset=\"utf-8\"></head><body>\n<h3 style=\"color:#d32f2f\">[严重] web-1: 1 条告警，1 条已恢复</h3>\n<ul>\n<li><b style=\"color:#d32f2f\">严重</b> 任务失败率过高: 63.5% <small>(critical_failure_rate)</small></li>\n<li><b style=\"color:#2e7d32\">已恢复</b> 磁盘空间不足: 95% <small>(disk_space_critical, /var)</small></li>\n</ul>\n<p>主机: web-1<br>时间: 2023-12-02 02:00:01 +08:00</p>\n</body></html>\n",
        })
    );
}

#[test]
fn a_mail_in_english_goes_over_tls_with_a_password_beside_the_url() {
    let server = MailServer::start("tls");
    let user = LOGIN.split(':').next().unwrap();
    let with_password = service::email::Config {
        password: hidden(PASSWORD),
        ..mail(&format!("smtps://{user}@localhost:{}/", server.port))
    };
    let gone = alert("backlog", Severity::Warning, "backlog is gone");
    post(with_password).send(&notification(Language::En, vec![resolved(gone)])).unwrap();
    let got = server.mail();
    assert_eq!((&got["encrypted"], &got["login"]), (&json!(true), &json!(USER)));
    assert_eq!(header(&got, "Subject"), ["[Resolved] web-1: backlog is gone"]);
    assert_eq!(
        got["parts"]["text/plain"],
        "- [Resolved] backlog is gone (backlog)\n\nHost: web-1\nTime: 2023-12-02 02:00:01 +08:00\n"
    );
    let html = got["parts"]["text/html"].as_str().unwrap();
    assert!(
        html.contains("<html lang=\"en\">")
            && html.contains("<b style=\"color:#2e7d32\">Resolved</b>"),
        "{html}"
    );

    // tls = "tls" with smtp:// is the same.
    let by_key = service::email::Config {
        tls: Some(Encryption::Tls),
        ..mail(&format!("smtp://{LOGIN}@localhost:{}", server.port))
    };
    post(by_key).send(&example()).unwrap();
    assert_eq!(server.mail()["encrypted"], true);
}

#[test]
fn a_server_that_knows_login_alone_gets_user_and_password_one_by_one() {
    let server = MailServer::start("login");
    post(mail(&format!("smtp://{LOGIN}@localhost:{}", server.port))).send(&example()).unwrap();
    assert_eq!(server.mail()["login"], USER);
}

#[test]
fn without_a_login_nothing_needs_to_be_encrypted() {
    let server = MailServer::start("none");
    let plain = service::email::Config {
        tls: Some(Encryption::None),
        ..mail(&format!("smtp://localhost:{}", server.port))
    };
    post(plain).send(&example()).unwrap();
    let got = server.mail();
    assert_eq!((&got["encrypted"], &got["login"]), (&json!(false), &Value::Null));
}

#[test]
fn no_text_begins_a_header_or_a_tag() {
    let server = MailServer::start("none");
    let plain = service::email::Config {
        tls: Some(Encryption::None),
        ..mail(&format!("smtp://localhost:{}", server.port))
    };
    post(plain).send(&hostile()).unwrap();
    let got = server.mail();
    assert_eq!(got["to"].as_array().unwrap().len(), 2, "{got}");
    assert_eq!(header(&got, "Bcc"), [""; 0]);
    let names: Vec<&str> = got["headers"]
        .as_array()
        .unwrap()
        .iter()
        .map(|header| header[0].as_str().unwrap())
        .collect();
    let mut known = names.clone();
    known.retain(|name| {
        [
            "From",
            "To",
            "Subject",
            "Date",
            "Message-ID",
            "Auto-Submitted",
            "MIME-Version",
            "Content-Type",
        ]
        .contains(name)
    });
    assert_eq!(names, known);
    assert_eq!(got["defects"], json!([]));
    assert_eq!(got["hello"], "[127.0.0.1]", "the name in the notification is not said");
    let text = got["parts"]["text/plain"].as_str().unwrap();
    assert_eq!(text.lines().count(), 6, "{text}");
    let html = got["parts"]["text/html"].as_str().unwrap();
    for tag in ["<script", "<at", "<!channel"] {
        assert!(!html.contains(tag), "{html}");
    }
    assert!(html.contains("&lt;script&gt;alert(1)&lt;/script&gt;"), "{html}");
    for part in [text, html] {
        assert!(!part.contains(['\r', '\0', '\u{1b}', '\u{202e}']), "{part:?}");
    }
}

#[test]
fn the_host_is_introduced_by_helo_else_its_qualified_name_else_its_address() {
    let server = MailServer::start("none");
    for (helo, qualified_name, expected) in [
        (Some("relay.example.net"), Some("web-1.example.org"), "relay.example.net"),
        (Some("[192.0.2.1]"), None, "[192.0.2.1]"),
        (None, Some("web-1.example.org"), "web-1.example.org"),
        (None, None, "[127.0.0.1]"),
    ] {
        let plain = service::email::Config {
            tls: Some(Encryption::None),
            helo: helo.map(str::to_owned),
            ..mail(&format!("smtp://localhost:{}", server.port))
        };
        let host = Machine { qualified_name: qualified_name.map(str::to_owned), ..machine() };
        channel_in(Service::Email(plain), PATIENCE, host).send(&example()).unwrap();
        assert_eq!(server.mail()["hello"], expected);
    }
}
