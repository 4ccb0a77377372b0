//! Requests through a proxy, and those that go past it.

use super::*;
use crate::support::server::{Answer, Server, dead_port, ok, proxy};
use taskmon::channels::{Proxy, reach};

fn example() -> Notification {
    notification(Language::Zh, two_alerts())
}

#[test]
fn https_goes_through_the_proxy_and_http_does_not() {
    let (secure, plain) = (Server::tls(vec![ok("ok")]), Server::plain(vec![ok("ok")]));
    let (port, tunnels) = proxy();
    let within = |except: &str| Machine {
        proxy: Some(Proxy {
            url: Secret::new(format!("http://user:pass%21@localhost:{port}")),
            except: except.to_owned(),
        }),
        ..machine()
    };
    let send = |server: &Server, machine| {
        let place = Service::Slack(service::slack::Config { url: hidden(&server.url("/hook")) });
        channel_in(place, PATIENCE, machine).send(&example()).unwrap();
    };
    send(&secure, within(""));
    for except in ["example.org, localhost", "*", &format!("localhost:{}", secure.port)] {
        send(&secure, within(except));
    }
    send(&plain, within(""));
    assert_eq!(secure.requests().len(), 4);
    assert_eq!(plain.requests().len(), 1);
    let tunnels = tunnels.lock().unwrap();
    assert_eq!(tunnels.len(), 1, "{tunnels:?}");
    assert_eq!(tunnels[0].target, format!("localhost:{}", secure.port));
    // user:pass!
    assert_eq!(tunnels[0].header("proxy-authorization"), Some("Basic dXNlcjpwYXNzIQ=="));
}

#[test]
fn a_proxy_of_another_kind_is_refused_and_not_bypassed() {
    let server = Server::tls(vec![ok("ok")]);
    for url in ["socks5://localhost:1080", "http://"] {
        let machine = Machine {
            proxy: Some(Proxy { url: Secret::new(url), except: String::new() }),
            ..machine()
        };
        let place = Service::Slack(service::slack::Config { url: hidden(&server.url("/")) });
        let error = refusal(&*channel_in(place, PATIENCE, machine), &example());
        assert!(error.permanent && error.message.contains("proxy"), "{error}");
    }
    assert_eq!(server.requests().len(), 0);
}

const PASSWORD: &str = "s3cret-0a1b2c3d";

#[test]
fn a_proxy_that_refuses_is_named_with_its_status_and_without_its_password() {
    let server = Server::tls(vec![ok("ok")]);
    for (code, permanent, words) in [
        (407, true, "it wants a user and a password"),
        (403, true, "it does not let this host through"),
        (502, false, "it does not reach the server"),
        (503, false, "it does not reach the server"),
        (404, true, "it answered with status 404"),
    ] {
        let refusing = Server::plain(vec![Answer::Echo(code)]);
        let error = refusal(&*through(refusing.port, &server), &example());
        let start = format!(
            "https://localhost:{}: through the proxy localhost:{}: it answered with status {code}",
            server.port, refusing.port
        );
        assert!(error.message.starts_with(&start) && error.message.contains(words), "{error}");
        assert_eq!(error.permanent, permanent, "{error}");
        assert!(!error.message.contains("0a1b2c3d"), "{error}");
    }
    assert_eq!(server.requests().len(), 0);
}

#[test]
fn a_proxy_that_is_not_there_is_named() {
    let server = Server::tls(vec![ok("ok")]);
    let port = dead_port();
    let named = format!("through the proxy localhost:{port}: ");
    let channel = through(port, &server);
    let error = refusal(&*channel, &example());
    assert!(error.message.contains(&named) && error.message.contains("refused"), "{error}");
    assert!(!error.permanent, "{error}");
    // `check` asks no more of it than a connection.
    let Destination::Server(destination) = channel.destination() else {
        panic!("a webhook is at a server");
    };
    let error = reach(&destination, PATIENCE, &machine()).unwrap_err();
    assert!(error.message.contains(&named) && error.message.contains("refused"), "{error}");
    assert!(!error.message.contains("0a1b2c3d"), "{error}");
}

fn through(port: u16, server: &Server) -> Box<dyn Channel + Send> {
    let machine = Machine {
        proxy: Some(Proxy {
            url: Secret::new(format!("http://user:{PASSWORD}@localhost:{port}")),
            except: String::new(),
        }),
        ..machine()
    };
    let place = Service::Slack(service::slack::Config { url: hidden(&server.url("/hook")) });
    channel_in(place, PATIENCE, machine)
}
