//! Mails that are not sent, and servers that do not take them.

use super::mail_server::scripted;
use super::*;
use crate::support::injector::{Place, inject};
use std::io::Write;
use std::net::TcpListener;
use std::thread;
use std::time::Instant;

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

#[test]
fn nothing_is_sent_where_starttls_is_stripped_from_the_answer() {
    // An attacker between has removed STARTTLS from the answer and accepts the password in the clear.
    let (port, received) = scripted(&["220 hello\r\n", "250-here\r\n250 AUTH PLAIN LOGIN\r\n"]);
    let error = refusal(&*post(mail(&format!("smtp://{LOGIN}@localhost:{port}"))), &example());
    assert!(error.permanent, "{error}");
    let lines: Vec<String> = received.iter().collect();
    assert_eq!(lines[0], "EHLO [127.0.0.1]");
    assert!(!lines.concat().contains("AUTH"), "{lines:?}");
}

#[test]
fn answers_put_in_before_the_handshake_are_not_believed() {
    // With these, the mail would have arrived whatever the server says.
    const BELIEVED: &[u8] =
        b"250-x\r\n250 AUTH PLAIN\r\n235 in\r\n250 ok\r\n250 ok\r\n250 ok\r\n354 go\r\n250 taken\r\n";
    let behind = "more came in the clear behind the answer to STARTTLS, as if somebody on the way had put it in; nothing was sent";
    for (injected, place, words) in [
        (BELIEVED, Place::SamePacket, behind),
        // Without a line end it would become the beginning of the first answer under TLS.
        (b"250-AUTH LOGIN", Place::SamePacket, behind),
        (BELIEVED, Place::NextPacket, "the TLS handshake failed"),
    ] {
        let server = MailServer::start("starttls");
        let (port, sent) = inject(server.port, b"STARTTLS\r\n", injected, place);
        let url = format!("smtp://{LOGIN}@localhost:{port}");
        let error = refusal(&*post(mail(&url)), &example());
        assert!(error.permanent, "{error}");
        assert!(error.message.starts_with(&format!("smtp://localhost:{port}: {words}")), "{error}");
        if place == Place::SamePacket {
            assert_eq!(sent.iter().count(), 0, "something was sent after STARTTLS");
        }
        server.nothing();
    }

    // Where nothing is put in, the mail goes the same way.
    let server = MailServer::start("starttls");
    let (port, _) = inject(server.port, b"STARTTLS\r\n", b"", Place::SamePacket);
    post(mail(&format!("smtp://{LOGIN}@localhost:{port}"))).send(&example()).unwrap();
    assert_eq!(server.mail()["encrypted"], true);
}

#[test]
fn a_password_that_would_go_in_the_clear_is_refused_before_anything_is_sent() {
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
fn nothing_is_sent_to_a_server_whose_certificate_is_not_trusted() {
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
    let full = notification(Language::En, vec![firing(alert("t", Severity::Error, "FULL"))]);
    let error = refusal(&*post(plain), &full);
    assert!(error.permanent && error.message.contains("refused the mail with 552"), "{error}");
    assert!(error.message.contains("mailbox full"), "{error}");
}

#[test]
fn an_invalid_address_is_named() {
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
fn a_slow_server_ends_at_the_time_limit() {
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

#[test]
fn an_answer_without_an_end_is_not_read_for_ever() {
    for line in ["2", "220-on and on\r\n"] {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let taken = thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let chunk = line.repeat(1024);
            (0..100_000).take_while(|_| stream.write_all(chunk.as_bytes()).is_ok()).count()
        });
        let error = refusal(&*post(mail(&format!("smtp://localhost:{port}"))), &example());
        let expected = format!("smtp://localhost:{port}: an answer has more than 64 KiB");
        assert_eq!(error.message, expected);
        assert!(taken.join().unwrap() < 100_000);
    }
}

#[test]
fn extensions_are_found_whatever_their_case_and_blank_ones_are_none() {
    let sent = |answers| {
        let (port, received) = scripted(answers);
        let error = refusal(&*post(mail(&format!("smtp://localhost:{port}"))), &example());
        (received.iter().collect::<Vec<_>>(), error.message)
    };
    let (lines, _) = sent(&["220 hello\r\n", "250-here\r\n250 StartTls\r\n", "454 not now\r\n"]);
    assert_eq!(lines[..2], ["EHLO [127.0.0.1]", "STARTTLS"]);
    let (lines, message) = sent(&["220 hello\r\n", "250-here\r\n250-  \r\n250\r\n"]);
    assert_eq!(lines[..1], ["EHLO [127.0.0.1]"]);
    assert!(message.contains("does not support STARTTLS"), "{message}");
}
