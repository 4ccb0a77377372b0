//! One test for all channels: no secret is shown, whatever goes wrong.

use super::email::mail;
use super::email::mail_server::MailServer;
use super::*;
use crate::support::certificates;
use crate::support::server::{Answer, Server, dead_port, status};
use std::io::{Read, Write};
use std::net::TcpListener;
use std::time::Instant;
use taskmon::channels::Proxy;
use taskmon::notify::deliver::{Outgoing, Pauses, deliver};

/// The secrets. Long, so that a part of one would be found.
const PATH: &str = "pathTOKEN-71f3c9d2a4";
const QUERY: &str = "queryTOKEN-b8e05d6611";
const SECRET: &str = "hmacKEY-/=42c7a1f0";
const USER_PASSWORD: &str = "basicPASSWORD-9d31e7";
const MAIL_PASSWORD: &str = "mail:PASS@word-%f00d";
const MAIL_ENCODED: &str = "mail%3APASS%40word-%25f00d";
const PROXY_PASSWORD: &str = "proxyPASSWORD-c0ffee";
const ARGUMENT: &str = "--api-key=argumentTOKEN-5ca1ab1e";

/// Asserts that a text contains no six characters in a row of any secret, in any case, plain or encoded.
fn assert_no_secret(what: &str, text: &str) {
    use base64::Engine;
    let folded = text.to_lowercase();
    let plain =
        [PATH, QUERY, SECRET, USER_PASSWORD, MAIL_PASSWORD, MAIL_ENCODED, PROXY_PASSWORD, ARGUMENT];
    let login = format!("\0ops\0{MAIL_PASSWORD}");
    let encoded = [MAIL_PASSWORD, USER_PASSWORD, &login]
        .map(|text| base64::engine::general_purpose::STANDARD.encode(text));
    for secret in plain.into_iter().chain(encoded.iter().map(String::as_str)) {
        let secret = secret.to_lowercase();
        let characters: Vec<char> = secret.chars().collect();
        for window in characters.windows(6) {
            let piece: String = window.iter().collect();
            // These are words that messages are made of.
            if ["passwo", "asswor", "ssword"].contains(&piece.as_str()) {
                continue;
            }
            assert!(!folded.contains(&piece), "{what}: {piece:?} of {secret:?} is in:\n{text}");
        }
    }
}

fn over_http(base: &str) -> Vec<(&'static str, Service)> {
    let (scheme, host) = base.split_once("://").unwrap();
    let url = || hidden(&format!("{scheme}://user:{USER_PASSWORD}@{host}/hook/{PATH}?key={QUERY}"));
    let secret = || hidden(SECRET);
    let topic = || hidden(&format!("{scheme}://user:{USER_PASSWORD}@{host}/{PATH}?key={QUERY}"));
    let api = || hidden(&format!("{scheme}://user:{USER_PASSWORD}@{host}/{QUERY}"));
    vec![
        ("webhook", Service::Webhook(webhook_keys(url(), secret()))),
        ("slack", Service::Slack(service::slack::Config { url: url() })),
        ("feishu", Service::Feishu(service::feishu::Config { url: url(), secret: secret() })),
        ("dingtalk", Service::Dingtalk(service::dingtalk::Config { url: url(), secret: secret() })),
        ("wecom", Service::Wecom(service::wecom::Config { url: url() })),
        (
            "ntfy",
            Service::Ntfy(service::ntfy::Config {
                url: topic(),
                token: SecretSource::Unset,
                tags: Vec::new(),
            }),
        ),
        (
            "ntfy",
            Service::Ntfy(service::ntfy::Config {
                url: hidden(&format!("{scheme}://{host}/{PATH}")),
                token: hidden(QUERY),
                tags: Vec::new(),
            }),
        ),
        (
            "telegram",
            Service::Telegram(service::telegram::Config {
                token: hidden(&format!("123456789:{PATH}")),
                chat_id: "1".to_owned(),
                message_thread_id: None,
                api_url: api(),
            }),
        ),
        (
            "discord",
            Service::Discord(service::discord::Config {
                url: url(),
                username: None,
                thread_id: String::new(),
            }),
        ),
        ("teams", Service::Teams(service::teams::Config { url: url() })),
        (
            "pagerduty",
            Service::Pagerduty(service::pagerduty::Config {
                routing_key: hidden(PATH),
                api_url: api(),
            }),
        ),
    ]
}

/// Tries a channel and looks at everything that comes of it.
fn try_one(what: &str, place: Service, machine: Machine) {
    let place_shown = format!("{place:?}");
    assert_no_secret(what, &place_shown);
    let outgoing = Outgoing {
        name: what.to_owned(),
        channel: Ok(channel_in(place, Duration::from_millis(700), machine)),
        retries: 1,
        notification: notification(Language::Zh, two_alerts()),
    };
    let pauses = Pauses { first: Duration::from_millis(1), longest: Duration::from_millis(1) };
    let deliveries = deliver(vec![outgoing], &pauses);
    let error = deliveries[0].error().unwrap_or_else(|| panic!("{what} succeeded"));
    assert_no_secret(
        what,
        &format!(
            "{error}\n{error:?}\n{error:#}\n{deliveries:?}\n{:?}",
            anyhow::Error::new(error.clone())
        ),
    );
}

#[test]
fn no_secret_of_a_channel_is_shown_whatever_goes_wrong() {
    Log::start();
    let started = Instant::now();
    http_channels();
    mail_channels();
    commands();
    // The libraries' own lines are among them, down to the last detail.
    let log = Log::text();
    assert!(log.contains("ureq"), "nothing of the HTTP library is logged, so this proves nothing");
    assert_no_secret("the log", &log);
    assert!(started.elapsed() < Duration::from_secs(120));
}

fn http_channels() {
    let echo = |code| Server::plain(vec![Answer::Echo(code)]);
    let said = |code, body: &str| Server::plain(vec![Answer::Http(code, vec![], body.to_owned())]);
    let redirect = Answer::Http(
        302,
        vec![("Location", format!("http://localhost/{PATH}?key={QUERY}"))],
        format!("see /{PATH}?key={QUERY}"),
    );
    let in_json = format!(
        r#"{{"code":19001,"errcode":93000,"msg":"/hook/{PATH}","errmsg":"/hook/{PATH}?key={QUERY}"}}"#
    );
    let upper = format!("{} {}", PATH.to_uppercase(), QUERY.to_uppercase());
    let servers = [
        echo(400),
        echo(403),
        echo(500),
        echo(200),
        said(404, &format!("no /hook/{PATH}")),
        said(200, &in_json),
        said(200, &upper),
        Server::plain(vec![redirect]),
        Server::plain(vec![Answer::Silence]),
        Server::plain(vec![Answer::Hangup]),
        Server::plain(vec![Answer::Raw(b"garbage\r\n\r\n")]),
        Server::tls(vec![Answer::Echo(401)]),
    ];
    let mut bases: Vec<String> = servers.iter().map(|server| server.url("")).collect();
    bases.push(format!("http://localhost:{}", dead_port()));
    bases.push("http://no-such-host.invalid".to_owned());
    bases.push("https://192.0.2.1".to_owned());
    bases.push("http://not a host".to_owned());
    bases.push("ftp://localhost".to_owned());
    for base in &bases {
        // Side by side: each waits for its time limit where the server is silent.
        std::thread::scope(|scope| {
            for (name, place) in over_http(base) {
                // For a webhook 200 is a success, whatever the body.
                let succeeds = name == "webhook" && [3, 5, 6].map(|at| &bases[at]).contains(&base);
                if !succeeds {
                    scope.spawn(move || try_one(&format!("{name} at {base}"), place, machine()));
                }
            }
        });
    }
    let signing = format!(
        r#"{{"code":19021,"errcode":310000,"msg":"not {SECRET}","errmsg":"not {SECRET}"}}"#
    );
    for code in [200, 400] {
        let server = said(code, &signing);
        let places = over_http(&server.url("")).into_iter();
        for (name, place) in places.filter(|(name, _)| ["feishu", "dingtalk"].contains(name)) {
            try_one(name, place, machine());
        }
    }
    untrusted_and_proxied();
}

fn untrusted_and_proxied() {
    let secure = Server::tls(vec![status(500)]);
    let refusing = Server::plain(vec![Answer::Echo(407)]);
    for (name, place) in over_http(&secure.url("")) {
        let strange = Machine { roots: Ok(no_roots()), ..machine() };
        try_one(name, place.clone(), strange);
        for proxy in [
            format!("http://proxy:{PROXY_PASSWORD}@localhost:{}", refusing.port),
            format!("http://proxy:{PROXY_PASSWORD}@localhost:{}", dead_port()),
            format!("socks5://proxy:{PROXY_PASSWORD}@localhost:1"),
            format!("http://proxy:{PROXY_PASSWORD}@not a host"),
        ] {
            let through = Machine {
                proxy: Some(Proxy { url: Secret::new(proxy), except: String::new() }),
                ..machine()
            };
            assert_no_secret("machine", &format!("{through:?}"));
            try_one(&format!("{name} through a proxy"), place.clone(), through);
        }
    }
}

fn mail_channels() {
    let login = format!("ops:{MAIL_ENCODED}");
    let (starttls, plain, tls) =
        (MailServer::start("starttls"), MailServer::start("none"), MailServer::start("tls"));
    let urls = [
        // The password is wrong.
        format!("smtp://{login}@localhost:{}", starttls.port),
        format!("smtps://{login}@localhost:{}", tls.port),
        // No STARTTLS; TLS where there is none.
        format!("smtp://{login}@localhost:{}", plain.port),
        format!("smtps://{login}@localhost:{}", plain.port),
        // Not the name of the certificate.
        format!("smtp://{login}@127.0.0.1:{}", starttls.port),
        format!("smtp://{login}@localhost:{}", dead_port()),
        format!("smtp://{login}@no-such-host.invalid"),
        format!("smtps://{login}@192.0.2.1"),
        format!("smtp://{login}@not a host"),
        format!("imap://{login}@localhost"),
        format!("smtp://{login}@localhost:{}", leaking()),
    ];
    for url in &urls {
        try_one("email", Service::Email(mail(url)), machine());
    }
    let beside = service::email::Config {
        password: hidden(MAIL_PASSWORD),
        ..mail(&format!("smtp://ops@localhost:{}", starttls.port))
    };
    try_one("email", Service::Email(beside), machine());
    repeating_mail_server(&login);
}

/// A server that answers with the password before it is asked.
fn leaking() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let _ = write!(stream.unwrap(), "554 I know {MAIL_PASSWORD} and {MAIL_ENCODED}\r\n");
        }
    });
    port
}

/// A server within TLS that answers the login with the login, which comes in one piece or in two.
fn repeating_mail_server(login: &str) {
    for (mechanism, questions) in
        [("PLAIN", &[][..]), ("LOGIN", &["334 VXNlcm5hbWU6\r\n", "334 UGFzc3dvcmQ6\r\n"])]
    {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let received = Arc::new(Mutex::new(String::new()));
        let record = received.clone();
        std::thread::spawn(move || {
            let (stream, _) = listener.accept().unwrap();
            let connection = rustls::ServerConnection::new(certificates::server_config()).unwrap();
            let mut stream = rustls::StreamOwned::new(connection, stream);
            let mut exchange = |answer: &str| {
                stream.write_all(answer.as_bytes()).unwrap();
                let mut buffer = [0; 1000];
                let count = stream.read(&mut buffer).unwrap_or(0);
                String::from_utf8_lossy(&buffer[..count]).into_owned()
            };
            exchange("220 hello\r\n");
            let mut said = exchange(&format!("250-here\r\n250 AUTH {mechanism}\r\n"));
            for question in questions {
                said = exchange(question);
            }
            record.lock().unwrap().push_str(&said);
            exchange(&format!("535 what is {}?\r\n", said.trim_end()));
        });
        let place = Service::Email(mail(&format!("smtps://{login}@localhost:{port}")));
        let made = channel(place, PATIENCE);
        let error = refusal(&*made, &notification(Language::Zh, two_alerts()));
        assert_no_secret("email", &format!("{error}\n{error:?}"));
        assert!(error.message.contains("what is"), "{error}");
        use base64::Engine;
        let encode = |text: &str| base64::engine::general_purpose::STANDARD.encode(text);
        let expected = match mechanism {
            "PLAIN" => format!("AUTH PLAIN {}\r\n", encode(&format!("\0ops\0{MAIL_PASSWORD}"))),
            _ => format!("{}\r\n", encode(MAIL_PASSWORD)),
        };
        assert_eq!(*received.lock().unwrap(), expected);
    }
}

fn commands() {
    for script in ["echo 'bad luck' >&2; exit 1", "echo 'bad luck' >&2; sleep 60"] {
        let command = ["/bin/sh", "-c", script, "name", ARGUMENT].map(str::to_owned);
        let outgoing = Service::Command(service::command::Config { command: command.to_vec() });
        let made = channel(outgoing, Duration::from_millis(700));
        let error = refusal(&*made, &notification(Language::Zh, two_alerts()));
        assert_no_secret("command", &format!("{error}\n{error:?}"));
        assert!(error.message.contains("bad luck"), "{error}");
    }
}
