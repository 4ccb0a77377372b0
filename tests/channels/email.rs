//! Mail through aiosmtpd, read back by Python's own library.

use super::*;
use crate::support::certificates;
use serde_json::{Value, json};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpListener;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::Instant;
use taskmon::channels::email::Encryption;

const USER: &str = "ops@示例";
const PASSWORD: &str = "s3cret:p@ss/%词";
/// Both, as they stand in a URL.
const LOGIN: &str = "ops%40%E7%A4%BA%E4%BE%8B:s3cret%3Ap%40ss%2F%25%E8%AF%8D";

pub struct MailServer {
    pub port: u16,
    process: Child,
    mails: mpsc::Receiver<Value>,
}

impl MailServer {
    pub fn start(mode: &str) -> Self {
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/channels/smtp_server.py");
        let mut process = Command::new("/usr/bin/python3")
            .args([script, mode])
            .args([certificates::file("server.crt"), certificates::file("server.key")])
            .args([USER, PASSWORD])
            .env("PYTHONWARNINGS", "ignore")
            .stdout(Stdio::piped())
            .spawn()
            .expect("python3");
        let mut lines = BufReader::new(process.stdout.take().unwrap());
        let mut port = String::new();
        lines.read_line(&mut port).unwrap();
        let port = port.trim().parse();
        Self {
            port: port.expect("scripts/test.sh installs aiosmtpd, which the mail server needs"),
            process,
            mails: forward(lines),
        }
    }

    fn mail(&self) -> Value {
        self.mails.recv_timeout(PATIENCE).expect("no mail has arrived")
    }

    /// Asserts that none has arrived.
    fn nothing(&self) {
        let found = self.mails.recv_timeout(Duration::from_millis(300));
        assert_eq!(found.ok(), None);
    }
}

impl Drop for MailServer {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn forward(lines: BufReader<ChildStdout>) -> mpsc::Receiver<Value> {
    let (tell, told) = mpsc::channel();
    thread::spawn(move || {
        for line in lines.lines() {
            let mail = serde_json::from_str(&line.unwrap()).unwrap();
            if tell.send(mail).is_err() {
                return;
            }
        }
    });
    told
}

pub fn mail(url: &str) -> service::email::Config {
    service::email::Config {
        url: hidden(url),
        password: SecretSource::Unset,
        from: "任务监控 <taskmon@example.org>".to_owned(),
        to: vec!["ops@example.org".to_owned(), "\"值班, 一线\" <duty@example.org>".to_owned()],
        tls: None,
    }
}

fn post(mail: service::email::Config) -> Box<dyn Channel + Send> {
    channel(Service::Email(mail), PATIENCE)
}

fn example() -> Notification {
    notice(Language::Zh, two_alerts())
}

fn header<'m>(mail: &'m Value, name: &str) -> Vec<&'m str> {
    let headers = mail["headers"].as_array().unwrap();
    let named = headers.iter().filter(|header| header[0] == name);
    named.map(|header| header[1].as_str().unwrap()).collect()
}

#[test]
fn a_mail_arrives_whole() {
    let server = MailServer::start("starttls");
    post(mail(&format!("smtp://{LOGIN}@localhost:{}", server.port))).send(&example()).unwrap();
    let got = server.mail();
    assert_eq!(got["hello"], "web-1");
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
fn the_other_language_tls_from_the_start_and_a_password_beside_the_url() {
    let server = MailServer::start("tls");
    let user = LOGIN.split(':').next().unwrap();
    let with_password = service::email::Config {
        password: hidden(PASSWORD),
        ..mail(&format!("smtps://{user}@localhost:{}/", server.port))
    };
    let gone = alert("backlog", Severity::Warning, "backlog is gone");
    post(with_password).send(&notice(Language::En, vec![resolved(gone)])).unwrap();
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
fn a_server_without_starttls_gets_nothing() {
    let server = MailServer::start("none");
    for url in [
        format!("smtp://localhost:{}", server.port),
        format!("smtp://{LOGIN}@localhost:{}", server.port),
    ] {
        let error = refusal(&*post(mail(&url)), &example());
        assert!(error.permanent, "{error}");
        let expected = format!(
            "smtp://localhost:{} does not support STARTTLS, so nothing was sent to it",
            server.port
        );
        assert_eq!(error.message, expected);
    }
    server.nothing();
}

/// A server that says what it is told and writes down what it hears, one line for each.
fn scripted(answers: &'static [&'static str]) -> (u16, mpsc::Receiver<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let (tell, told) = mpsc::channel();
    thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut lines = BufReader::new(stream.try_clone().unwrap());
        for answer in answers {
            stream.write_all(answer.as_bytes()).unwrap();
            let mut line = String::new();
            if lines.read_line(&mut line).unwrap_or(0) == 0 {
                break;
            }
            let _ = tell.send(line.trim_end().to_owned());
        }
        let _ = stream.shutdown(std::net::Shutdown::Write);
        let mut rest = String::new();
        let _ = lines.read_to_string(&mut rest);
        let _ = tell.send(rest);
    });
    (port, told)
}

#[test]
fn an_offer_of_starttls_that_is_stripped_ends_the_conversation() {
    // Somebody on the way has taken the offer out, and offers to take the password.
    let (port, told) = scripted(&["220 hello\r\n", "250-here\r\n250 AUTH PLAIN LOGIN\r\n"]);
    let error = refusal(&*post(mail(&format!("smtp://{LOGIN}@localhost:{port}"))), &example());
    assert!(error.permanent, "{error}");
    let heard: Vec<String> = told.iter().collect();
    assert_eq!(heard[0], "EHLO web-1");
    assert!(!heard.concat().contains("AUTH"), "{heard:?}");
}

#[test]
fn what_would_send_a_password_in_the_clear_is_refused_before_anything_is_sent() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    let port = listener.local_addr().unwrap().port();
    let beside = |url: &str| service::email::Config { password: hidden(PASSWORD), ..mail(url) };
    let none = |mail: service::email::Config| service::email::Config {
        tls: Some(Encryption::None),
        ..mail
    };
    let local = format!("localhost:{port}");
    for (mail, words) in [
        (none(mail(&format!("smtp://{LOGIN}@{local}"))), "in the clear"),
        (none(beside(&format!("smtp://ops@{local}"))), "in the clear"),
        (none(mail(&format!("smtps://{local}"))), "smtps:// is encrypted from the first byte on"),
        (beside(&format!("smtp://{local}")), "names no user for the password"),
        (mail(&format!("smtp://ops@{local}")), "there is no password"),
        (mail(&format!("smtp://:pw@{local}")), "no user before the password"),
        (beside(&format!("smtp://{LOGIN}@{local}")), "two passwords"),
        (mail(&format!("smtp://u:p/hunter2@{local}/x")), "does not name a host"),
        (mail("smtp://u:hunter2@localhost:port"), "does not name a host"),
        (mail("smtp://u:hunter2@"), "does not name a host"),
        (mail("smtp://u:%ff@localhost"), "not percent-encoded UTF-8"),
        (mail("https://u:hunter2@localhost"), "must start with smtp:// or smtps://"),
        (mail("hunter2"), "is not smtp://"),
    ] {
        let error = refusal(&*post(mail), &example());
        assert!(error.permanent, "{error}");
        assert!(error.message.contains(words), "{words}: {error}");
        for secret in ["hunter2", "s3cret", "p@ss", "p%40ss"] {
            assert!(!error.message.contains(secret), "{error}");
        }
    }
    assert_eq!(listener.accept().unwrap_err().kind(), std::io::ErrorKind::WouldBlock);
}

#[test]
fn a_wrong_password_is_a_failure_for_good() {
    let server = MailServer::start("starttls");
    let wrong = service::email::Config {
        password: hidden("hunter2hunter2"),
        ..mail(&format!("smtp://ops@localhost:{}", server.port))
    };
    let error = refusal(&*post(wrong), &example());
    assert!(error.permanent, "{error}");
    assert!(error.message.contains("refused the login with 535"), "{error}");
    server.nothing();
}

#[test]
fn a_certificate_that_nobody_vouches_for_gets_nothing() {
    for (mode, scheme) in [("starttls", "smtp"), ("tls", "smtps")] {
        let server = MailServer::start(mode);
        let strange = Machine { roots: Ok(no_roots()), ..machine() };
        let to = |host: &str| {
            Service::Email(mail(&format!("{scheme}://{LOGIN}@{host}:{}", server.port)))
        };
        for channel in
            [channel_in(to("localhost"), PATIENCE, strange), channel(to("127.0.0.1"), PATIENCE)]
        {
            let error = refusal(&*channel, &example());
            assert!(
                error.permanent && error.message.contains("certificate is not trusted"),
                "{error}"
            );
        }
        server.nothing();
    }
}

#[test]
fn one_wrong_address_does_not_keep_the_mail_from_the_others() {
    Log::start();
    let server = MailServer::start("none");
    let plain = |to: &[&str]| service::email::Config {
        to: to.iter().map(ToString::to_string).collect(),
        tls: Some(Encryption::None),
        ..mail(&format!("smtp://localhost:{}", server.port))
    };
    post(plain(&["nobody@example.org", "ops@example.org"])).send(&example()).unwrap();
    assert_eq!(server.mail()["to"], json!(["ops@example.org"]));
    let log = Log::text();
    let line =
        log.lines().find(|line| line.contains("refused the recipient nobody@example.org with 550"));
    assert!(line.is_some_and(|line| line.starts_with("WARN taskmon::channels::smtp")), "{log}");

    for (to, permanent) in [
        (&["nobody@example.org"][..], true),
        (&["later@example.org"], false),
        (&["nobody@example.org", "later@example.org"], false),
    ] {
        let error = refusal(&*post(plain(to)), &example());
        assert_eq!(error.permanent, permanent, "{error}");
        assert!(error.message.contains("refused the recipient"), "{error}");
    }
    server.nothing();
}

#[test]
fn a_mail_that_the_server_does_not_want_is_a_failure() {
    let server = MailServer::start("none");
    let plain = service::email::Config {
        tls: Some(Encryption::None),
        ..mail(&format!("smtp://localhost:{}", server.port))
    };
    let full = notice(Language::En, vec![firing(alert("t", Severity::Error, "FULL"))]);
    let error = refusal(&*post(plain), &full);
    assert!(error.permanent && error.message.contains("refused the mail with 552"), "{error}");
    assert!(error.message.contains("mailbox full"), "{error}");
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
    assert_eq!(got["hello"], "[127.0.0.1]", "a host name that is none is not said");
    let text = got["parts"]["text/plain"].as_str().unwrap();
    assert_eq!(text.lines().count(), 4, "{text}");
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
fn an_address_that_is_none_is_named() {
    let addresses = [
        ("ops", "\"ops\""),
        ("ops@example.org\r\nBcc: x@evil.example", "Bcc"),
        ("ops@example.org, other@example.org", "other@example.org"),
        ("", "\"\""),
    ];
    for (address, words) in addresses {
        for (key, from, to) in
            [("`from`", address, "a@b.example"), ("`to`", "a@b.example", address)]
        {
            let wrong = service::email::Config {
                from: from.to_owned(),
                to: vec![to.to_owned()],
                ..mail("smtp://localhost:1")
            };
            let error = refusal(&*post(wrong), &example());
            assert!(
                error.permanent && error.message.contains(key) && error.message.contains(words),
                "{error}"
            );
            assert!(!error.message.contains(char::is_control), "{error}");
        }
    }
    let nobody = service::email::Config { to: vec![], ..mail("smtp://localhost:1") };
    assert!(refusal(&*post(nobody), &example()).message.contains("names nobody"));
}

#[test]
fn whatever_is_slow_ends_at_the_time_limit() {
    let limit = Duration::from_millis(700);
    // Never says anything; says one byte after another.
    for trickles in [false, true] {
        for scheme in ["smtp", "smtps"] {
            let listener = TcpListener::bind("127.0.0.1:0").unwrap();
            let port = listener.local_addr().unwrap().port();
            thread::spawn(move || {
                let (mut stream, _) = listener.accept().unwrap();
                while !trickles || stream.write_all(b"2").is_ok() {
                    thread::sleep(Duration::from_millis(50));
                }
            });
            let place = Service::Email(mail(&format!("{scheme}://{LOGIN}@localhost:{port}")));
            let started = Instant::now();
            let error = refusal(&*channel(place, limit), &example());
            let took = started.elapsed();
            assert!(took < limit + Duration::from_secs(2), "{scheme} {trickles}: {took:?}");
            // Twos are no handshake of TLS, which is noticed at once.
            if scheme == "smtp" || !trickles {
                assert!(
                    !error.permanent && error.message.contains("not done within 0.7 s"),
                    "{error}"
                );
            }
        }
    }
}

#[test]
fn garbage_and_a_broken_connection_are_failures_of_their_kinds() {
    for (answers, permanent) in [
        (&["HTTP/1.1 400 Bad Request\r\n\r\n"][..], true),
        (&["220 hello\r\n", "\u{fffd}\u{fffd}\r\n"], true),
        (&["421 too busy\r\n"], false),
        (&["554 go away\r\n"], true),
        (&["220 hel"], false),
    ] {
        let (port, _) = scripted(answers);
        let error = refusal(
            &*channel(
                Service::Email(mail(&format!("smtp://localhost:{port}"))),
                Duration::from_secs(2),
            ),
            &example(),
        );
        assert_eq!(error.permanent, permanent, "{answers:?}: {error}");
        assert!(error.message.starts_with(&format!("smtp://localhost:{port}")), "{error}");
    }
    let dead = crate::support::server::dead_port();
    let error = refusal(&*post(mail(&format!("smtp://localhost:{dead}"))), &example());
    assert!(!error.permanent && error.message.contains("refused"), "{error}");
}
