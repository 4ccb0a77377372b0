//! Certificates that sign themselves: trusted where they are named themselves, as by the database's connection.

use super::email::mail;
use super::email::mail_server::MailServer;
use super::*;
use crate::support::server::{Server, ok};
use taskmon::channels::reach;

/// A machine on which the certificates of a file are trusted and no others.
fn trusting(name: &str) -> Machine {
    Machine { roots: Ok(certificates::roots_in(name)), ..machine() }
}

#[test]
fn a_self_signed_certificate_is_accepted_where_it_is_trusted_itself() {
    let web = Server::self_signed(vec![ok("ok")]);
    let (starttls, tls) =
        (MailServer::start_as("self", "starttls"), MailServer::start_as("self", "tls"));
    let login = "ops%40%E7%A4%BA%E4%BE%8B:s3cret%3Ap%40ss%2F%25%E8%AF%8D";
    let places = [
        Service::Slack(service::slack::Config { url: hidden(&web.url("/hook")) }),
        Service::Email(mail(&format!("smtp://{login}@localhost:{}", starttls.port))),
        Service::Email(mail(&format!("smtps://{login}@localhost:{}", tls.port))),
    ];
    let example = notification(Language::En, two_alerts());
    for place in places {
        let name = place.name();
        let trusted = channel_in(place.clone(), PATIENCE, trusting("self.crt"));
        trusted.send(&example).unwrap_or_else(|error| panic!("{name}: {error}"));
        let Destination::Server(server) = trusted.destination() else {
            panic!("{name} is at a server");
        };
        reach(&server, PATIENCE, &trusting("self.crt")).unwrap();

        let error = refusal(&*channel_in(place, PATIENCE, trusting("ca.crt")), &example);
        assert!(error.permanent && error.message.contains("it is self-signed"), "{error}");
        assert!(error.message.contains("SSL_CERT_FILE"), "{error}");
    }
    assert_eq!(web.requests().len(), 1);
}

/// It vouches for its own name, and for no other.
#[test]
fn a_self_signed_certificate_is_for_its_own_host() {
    let web = Server::self_signed(vec![ok("ok")]);
    let url = format!("https://127.0.0.1:{}/", web.port);
    let place = Service::Slack(service::slack::Config { url: hidden(&url) });
    let channel = channel_in(place, PATIENCE, trusting("self.crt"));
    let error = refusal(&*channel, &notification(Language::En, two_alerts()));
    assert!(error.message.contains("it is for localhost, not for 127.0.0.1"), "{error}");
    assert_eq!(web.requests().len(), 0);
}
