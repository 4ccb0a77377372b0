//! The generic webhook, and what all channels over HTTP have in common.

use super::*;
use crate::support::server::{Answer, Server, dead_port, ok, status};
use serde_json::json;
use std::time::Instant;

fn webhook(url: &str, timeout: Duration) -> Box<dyn Channel + Send> {
    let place = Service::Webhook(webhook_keys(hidden(url), SecretSource::Unset));
    channel(place, timeout)
}

fn example() -> Notification {
    notification(Language::Zh, two_alerts())
}

#[test]
fn the_body_is_the_contracts_and_is_signed() {
    let server = Server::tls(vec![status(204)]);
    let place =
        Service::Webhook(webhook_keys(hidden(&server.url("/hook?token=1")), hidden("签名 key")));
    channel(place, PATIENCE).send(&example()).unwrap();
    let request = server.only();
    assert_eq!(request.method, "POST");
    assert_eq!(request.target, "/hook?token=1");
    assert_eq!(request.header("content-type"), Some("application/json; charset=utf-8"));
    assert!(request.header("user-agent").unwrap().starts_with("taskmon/"));
    assert_eq!(
        request.json(),
        json!({
            "schema_version": 1,
            "host": "web-1",
            "time": "2023-12-02T02:00:01+08:00",
            "alerts": [
                {"type": "critical_failure_rate", "severity": "critical", "message": "任务失败率过高: 63.5%", "value": 63.5, "threshold": 50, "status": "firing"},
                {"type": "disk_space_critical", "severity": "critical", "message": "磁盘空间不足: 95%", "subject": "/var", "status": "resolved"},
            ],
        })
    );
    let expected = python(
        "import hmac, sys; k, b = sys.argv[1:]; print('sha256=' + hmac.new(k.encode(), b.encode(), 'sha256').hexdigest())",
        &["签名 key", &request.body],
    );
    assert_eq!(request.header("x-taskmon-signature"), Some(expected.as_str()));
}

/// As a service of one's own may want it: what is in the texts breaks no JSON, and what is sent is what is signed.
#[test]
fn a_template_makes_the_body() {
    let server = Server::plain(vec![status(200)]);
    let template = r#"{"title": "{title}", "sev": "{severity}", "status": "{status}", "text": "{text}",
        "from": {"host": "{host}", "at": "{time}"}, "first": ["{type}", "{message}", "{subject}", {value}, {threshold}],
        "n": {count}, "all": {alerts}, "none": {}}"#;
    let keys = service::webhook::Config {
        body: Some(template.to_owned()),
        ..webhook_keys(hidden(&server.url("/hook")), hidden("key"))
    };
    let place = Service::Webhook(keys);
    channel(place, PATIENCE).send(&example()).unwrap();
    let request = server.only();
    assert_eq!(request.header("content-type"), Some("application/json; charset=utf-8"));
    assert_eq!(
        request.json(),
        json!({
            "title": "[严重] web-1: 1 条告警，1 条已恢复", "sev": "critical", "status": "firing",
            "text": "任务失败率过高: 63.5% (critical_failure_rate)\n[已恢复] 磁盘空间不足: 95% (disk_space_critical, /var)",
            "from": {"host": "web-1", "at": "2023-12-02T02:00:01+08:00"},
            "first": ["critical_failure_rate", "任务失败率过高: 63.5%", "", 63.5, 50],
            "n": 2,
            "all": [
                {"type": "critical_failure_rate", "severity": "critical", "message": "任务失败率过高: 63.5%", "value": 63.5, "threshold": 50, "status": "firing"},
                {"type": "disk_space_critical", "severity": "critical", "message": "磁盘空间不足: 95%", "subject": "/var", "status": "resolved"},
            ],
            "none": {},
        })
    );
    let expected = python(
        "import hmac, sys; print('sha256=' + hmac.new(b'key', sys.argv[1].encode(), 'sha256').hexdigest())",
        &[&request.body],
    );
    assert_eq!(request.header("x-taskmon-signature"), Some(expected.as_str()));

    // Whatever the texts hold, in JSON and in a form.
    for (content_type, body, text) in [
        ("application/json", r#"{"text": "{message}"}"#, "json.loads(sys.argv[1])['text']"),
        (
            "application/x-www-form-urlencoded",
            "a=b&text={message}",
            "urllib.parse.parse_qs(sys.argv[1])['text'][0]",
        ),
        ("text/plain; charset=utf-8", "{message}", "sys.argv[1]"),
    ] {
        let server = Server::plain(vec![status(200)]);
        let keys = service::webhook::Config {
            body: Some(body.to_owned()),
            content_type: content_type.to_owned(),
            ..webhook_keys(hidden(&server.url("/")), SecretSource::Unset)
        };
        let awkward = "\"a\" & b=c\\\n{value} 任务 {alerts}";
        let alerts = vec![firing(alert("t", Severity::Error, awkward))];
        channel(Service::Webhook(keys), PATIENCE)
            .send(&notification(Language::En, alerts))
            .unwrap();
        let request = server.only();
        assert_eq!(request.header("content-type"), Some(content_type));
        let program = format!("import json, sys, urllib.parse; print({text})");
        assert_eq!(python(&program, &[&request.body]), awkward, "{content_type}");
    }
}

#[test]
fn without_a_secret_nothing_is_signed() {
    let server = Server::plain(vec![ok("whatever")]);
    webhook(&server.url("/"), PATIENCE).send(&example()).unwrap();
    assert_eq!(server.only().header("x-taskmon-signature"), None);
}

#[test]
fn every_status_but_2xx_is_a_failure_of_its_kind() {
    for (code, permanent) in [
        (199, None),
        (200, None),
        (204, None),
        (301, Some(true)),
        (304, Some(true)),
        (400, Some(true)),
        (401, Some(true)),
        (404, Some(true)),
        (408, Some(false)),
        (410, Some(true)),
        (429, Some(false)),
        (500, Some(false)),
        (503, Some(false)),
    ] {
        if code == 199 {
            continue;
        }
        let server = Server::plain(vec![Answer::Http(
            code,
            vec![],
            match code {
                204 | 304 => String::new(),
                _ => "because\nof this".to_owned(),
            },
        )]);
        let result = webhook(&server.url("/secret-path"), PATIENCE).send(&example());
        assert_eq!(
            result.as_ref().err().map(|error| error.permanent),
            permanent,
            "{code}: {result:?}"
        );
        if let Err(error) = result {
            let start = format!("http://localhost:{} answered with status {code}", server.port);
            assert!(error.message.starts_with(&start), "{error}");
            assert_eq!(error.message.contains("\"because of this\""), code != 304, "{error}");
        }
    }
}

#[test]
fn a_redirect_is_not_followed() {
    for code in [301, 302, 303, 307, 308] {
        let elsewhere = Server::plain(vec![status(200)]);
        let location = ("Location", elsewhere.url("/stolen"));
        let server = Server::plain(vec![Answer::Http(code, vec![location], String::new())]);
        let error = refusal(&*webhook(&server.url("/"), PATIENCE), &example());
        assert!(error.permanent, "{error}");
        assert!(error.message.contains("redirect"), "{error}");
        assert_eq!(elsewhere.requests().len(), 0);
    }
}

#[test]
fn retry_after_is_read_as_seconds_and_as_a_date() {
    // The clock of the tests is at 18:00:01.25.
    for (value, expected) in [
        ("7", Some(7_000)),
        ("Fri, 01 Dec 2023 18:00:10 GMT", Some(8_750)),
        ("Fri, 01 Dec 2023 17:00:00 GMT", None),
        ("soon", None),
        ("-3", None),
    ] {
        let headers = vec![("Retry-After", value.to_owned())];
        let server = Server::plain(vec![Answer::Http(429, headers, String::new())]);
        let error = refusal(&*webhook(&server.url("/"), PATIENCE), &example());
        assert_eq!(error.retry_after, expected.map(Duration::from_millis), "{value}");
        assert!(!error.permanent);
    }
}

#[test]
fn a_slow_server_ends_at_the_time_limit() {
    let limit = Duration::from_millis(700);
    let silent = Server::plain(vec![Answer::Silence]);
    let silent_tls = Server::tls(vec![Answer::Silence]);
    // It takes connections and never says anything: neither a greeting of TLS nor an answer.
    let mute = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = mute.local_addr().unwrap().port();
    for url in [
        silent.url("/"),
        silent_tls.url("/"),
        format!("http://localhost:{port}/"),
        format!("https://localhost:{port}/"),
        // Reserved by RFC 5737: packets to it go nowhere, or the network says so at once.
        "http://192.0.2.1/".to_owned(),
    ] {
        let started = Instant::now();
        let error = refusal(&*webhook(&url, limit), &example());
        let took = started.elapsed();
        assert!(!error.permanent, "{url}: {error}");
        assert!(took < limit + Duration::from_secs(3), "{url}: {took:?}");
        let late = error.message.contains("no complete answer within 0.7 s");
        assert!(late || url.contains("192.0.2.1"), "{url}: {error}");
    }
}

/// Servers that keep sending, one byte at a time: in the head of an answer and in the handshake of TLS.
#[test]
fn an_answer_byte_by_byte_ends_at_the_time_limit() {
    let limit = Duration::from_millis(700);
    for (scheme, start) in [
        ("http", &b"HTTP/1.1 200 OK\r\nX: "[..]),
        // A record of the handshake that announces 16 KiB.
        ("https", &[0x16, 3, 3, 0x40, 0, 2, 0, 0x3f, 0xf0][..]),
    ] {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        std::thread::spawn(move || {
            use std::io::Write;
            let (mut stream, _) = listener.accept().unwrap();
            stream.write_all(start).unwrap();
            while stream.write_all(b"\0").is_ok()
                || scheme == "http" && stream.write_all(b"x").is_ok()
            {
                std::thread::sleep(Duration::from_millis(50));
            }
        });
        let started = Instant::now();
        let error = refusal(&*webhook(&format!("{scheme}://localhost:{port}/"), limit), &example());
        let took = started.elapsed();
        assert!(took < limit + Duration::from_secs(3), "{scheme}: {took:?} {error}");
    }
}

#[test]
fn a_connection_that_fails_may_be_tried_again() {
    let hangs_up = Server::plain(vec![Answer::Hangup]);
    for url in [
        format!("http://localhost:{}/", dead_port()),
        format!("https://localhost:{}/", dead_port()),
        "http://no-such-host.invalid/".to_owned(),
        hangs_up.url("/"),
    ] {
        let error = refusal(&*webhook(&url, PATIENCE), &example());
        assert!(!error.permanent, "{url}: {error}");
    }
}

#[test]
fn garbage_is_no_success() {
    let server = Server::plain(vec![Answer::Raw(b"SSH-2.0-OpenSSH_9.2\r\n\r\n")]);
    let error = refusal(&*webhook(&server.url("/"), PATIENCE), &example());
    assert!(error.message.contains("the answer is not HTTP"), "{error}");
}

#[test]
fn nothing_is_sent_to_a_server_whose_certificate_is_not_trusted() {
    let server = Server::tls(vec![status(200)]);
    let strange = Machine { roots: Ok(no_roots()), ..machine() };
    let by_name = |name: &str, machine| {
        let url = hidden(&format!("https://{name}:{}/", server.port));
        let place = Service::Webhook(webhook_keys(url, SecretSource::Unset));
        channel_in(place, PATIENCE, machine)
    };
    for channel in [
        by_name("localhost", strange),
        // The certificate is for localhost.
        by_name("127.0.0.1", machine()),
    ] {
        let error = refusal(&*channel, &example());
        assert!(error.permanent, "{error}");
        assert!(error.message.contains("certificate is not trusted"), "{error}");
    }
    assert_eq!(server.requests().len(), 0);
}

#[test]
fn without_certificates_https_fails_and_http_does_not() {
    let bare = || Machine { roots: Err("there are no certificates".to_owned()), ..machine() };
    let (secure, plain) = (Server::tls(vec![status(200)]), Server::plain(vec![status(200)]));
    let to = |server: &Server| {
        let place = Service::Webhook(webhook_keys(hidden(&server.url("/")), SecretSource::Unset));
        channel_in(place, PATIENCE, bare())
    };
    let error = refusal(&*to(&secure), &example());
    assert!(error.permanent && error.message.contains("there are no certificates"), "{error}");
    to(&plain).send(&example()).unwrap();
}

#[test]
fn a_login_in_the_url_is_sent_as_one() {
    let server = Server::plain(vec![status(200)]);
    let url = server.url("/hook").replace("://", "://user:p%40ss@");
    webhook(&url, PATIENCE).send(&example()).unwrap();
    let request = server.only();
    // user:p@ss
    assert_eq!(request.header("authorization"), Some("Basic dXNlcjpwQHNz"));
    assert_eq!(request.target, "/hook");
    assert_eq!(request.header("host"), Some(format!("localhost:{}", server.port).as_str()));
}

#[test]
fn an_invalid_url_is_refused_without_being_quoted() {
    let error = refusal(&*webhook("", PATIENCE), &example());
    assert!(error.permanent && error.message == "`url` is empty", "{error}");
    for url in [
        "https://",
        "ftp://example.org/x",
        "https://exa mple.org/hunter2",
        "https://h/ hunter2",
        "hunter2",
        "https:///hunter2",
    ] {
        let error = refusal(&*webhook(url, PATIENCE), &example());
        assert!(
            error.permanent && error.message.contains("not a valid http:// or https:// URL"),
            "{error}"
        );
        assert!(!error.message.contains("hunter2"), "{error}");
    }
}

/// What Python prints.
pub fn python(program: &str, arguments: &[&str]) -> String {
    let done = std::process::Command::new("/usr/bin/python3")
        .args(["-c", program])
        .args(arguments)
        .output()
        .expect("python3");
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    String::from_utf8(done.stdout).unwrap().trim_end().to_owned()
}
