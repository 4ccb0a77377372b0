//! Mail, as plain text and HTML.

use super::common::{mail_url, secrets};
pub use super::mail_server::Encryption;
use super::mail_server::MailServer;
use super::message::{self, Form, Tone, bytes};
use super::smtp::{Letter, Relay};
use super::text;
use super::{Built, Channel, Clock, Destination, Machine, SecretSource, SendError, helo};
use crate::alert::{AlertUpdate, Notification};
use crate::deadline::{self, NoAnswer};
use crate::language::Language;
use crate::values;
use chrono::{DateTime, Utc};
use lettre::message::header::{HeaderName, HeaderValue};
use lettre::message::{Mailbox, MultiPart};
use lettre::{Address, Message};
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

/// The alerts' lines in the text part; servers take messages of some megabytes.
const FORM: Form = Form {
    escape: str::to_owned,
    link: str::to_owned,
    bullet: "- ",
    newline: "\n  ",
    limit: 100_000,
    measure: bytes,
};

/// `type = "email"`
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize)]
pub struct Config {
    /// `smtp://[user[:password]@]host[:port]` or `smtps://…`; user and password percent-encoded.
    #[serde(with = "mail_url")]
    pub url: SecretSource,
    /// The password, if it is not in the URL.
    #[serde(default, skip_serializing_if = "SecretSource::is_unset")]
    pub password: SecretSource,
    pub from: String,
    #[serde(deserialize_with = "values::one_or_more_texts")]
    pub to: Vec<String>,
    /// `None`: `tls` with `smtps://`, else `starttls`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tls: Option<Encryption>,
    /// What this host introduces itself as. `None`: its fully qualified name, if it has one, else its address.
    #[serde(
        default,
        skip_serializing_if = "Option::is_none",
        deserialize_with = "helo::deserialize"
    )]
    pub helo: Option<String>,
}

secrets!(Config: url, password);

pub(super) fn build(config: &Config, timeout: Duration, machine: &Machine) -> Built {
    let url = config.url.read("url", machine)?;
    let password = config.password.find("password", machine)?;
    let server = MailServer::parse(&url, password.as_ref(), config.tls)?;
    let from = mailbox("from", &config.from)?;
    let to = config.to.iter().map(|to| mailbox("to", to)).collect::<Result<Vec<_>, _>>()?;
    if to.is_empty() {
        return Err(SendError::permanent("`to` names nobody"));
    }
    let relay = Arc::new(Relay::new(server, timeout, machine)?);
    let hello = config.helo.clone().or_else(|| machine.qualified_name.clone());
    Ok(Box::new(Email { relay, from, to, hello, clock: machine.clock.clone() }))
}

fn mailbox(key: &str, address: &str) -> Result<Mailbox, SendError> {
    // A line break in an address could begin another header, or another command to the server.
    let parsed = if address.contains(char::is_control) { None } else { address.parse().ok() };
    parsed.ok_or_else(|| {
        SendError::permanent(format!(
            "`{key}` holds {:?}, which is no mail address such as ops@example.org or \"Ops <ops@example.org>\"",
            text::plain(address)
        ))
    })
}

struct Email {
    relay: Arc<Relay>,
    from: Mailbox,
    to: Vec<Mailbox>,
    hello: Option<String>,
    clock: Clock,
}

impl Channel for Email {
    /// In a thread of its own, which is left behind at the time limit: the look-up of a name has none, and a read begins its wait anew with
    /// each byte that comes. A thread that is left behind begins nothing further.
    fn send(&self, notification: &Notification) -> Result<(), SendError> {
        let letter = self.letter(notification)?;
        let relay = self.relay.clone();
        let end = deadline::end(relay.timeout);
        let delivered = deadline::run(self.relay.timeout, move || relay.deliver(&letter, end));
        delivered.unwrap_or_else(|none| {
            Err(match none {
                NoAnswer::Late => self.relay.late(),
                NoAnswer::NoThread(error) => {
                    SendError::transient(format!("no thread can be started: {error}"))
                }
            })
        })
    }

    fn destination(&self) -> Destination {
        Destination::Server(self.relay.server.address())
    }
}

impl Email {
    fn letter(&self, notification: &Notification) -> Result<Letter, SendError> {
        let now = (self.clock)();
        let mut builder = Message::builder()
            .from(self.from.clone())
            .subject(message::title(notification))
            .date(SystemTime::from(now))
            .message_id(Some(message_id(now, &self.from.email)))
            // RFC 3834: an absence assistant does not reply to it.
            .raw_header(HeaderValue::new(
                HeaderName::new_from_ascii_str("Auto-Submitted"),
                "auto-generated".to_owned(),
            ));
        for to in &self.to {
            builder = builder.to(to.clone());
        }
        let parts =
            MultiPart::alternative_plain_html(text_part(notification), html_part(notification));
        let message = builder.multipart(parts).map_err(|error| {
            SendError::permanent(format!("the mail cannot be written: {error}"))
        })?;
        Ok(Letter {
            hello: self.hello.clone(),
            from: self.from.email.clone(),
            to: self.to.iter().map(|to| to.email.clone()).collect(),
            content: message.formatted(),
        })
    }
}

fn message_id(now: DateTime<Utc>, from: &Address) -> String {
    let (time, number) = (now.timestamp_millis(), fastrand::u64(..));
    format!("<taskmon.{time}.{number:016x}@{}>", from.domain())
}

fn text_part(notification: &Notification) -> String {
    let (host, time) = message::labels(notification.language);
    format!(
        "{}\n\n{host}: {}\n{time}: {}\n",
        message::lines(notification, &FORM),
        message::host(notification),
        message::time(notification),
    )
}

fn html_part(notification: &Notification) -> String {
    let (host, time) = message::labels(notification.language);
    let rows: String =
        notification.alerts.iter().map(|update| row(update, notification.language)).collect();
    format!(
        "<!DOCTYPE html>\n<html lang=\"{}\"><head><meta charset=\"utf-8\"></head><body>\n<h3 style=\"color:{}\">{}</h3>\n<ul>\n{rows}</ul>\n<p>{host}: {}<br>{time}: {}</p>\n</body></html>\n",
        notification.language.pick("zh-CN", "en"),
        Tone::of(notification).colour(),
        text::html(&message::title(notification)),
        text::html(&message::host(notification)),
        message::time(notification),
    )
}

fn row(update: &AlertUpdate, language: Language) -> String {
    let parts = message::parts(update, language);
    let tone = Tone::of_update(update);
    let (word, colour) = (tone.word(language), tone.colour());
    let subject =
        parts.subject.map_or(String::new(), |subject| format!(", {}", text::html(&subject)));
    let tasks = parts.tasks.iter().map(|task| format!("<br>{}", text::html(task)));
    let link = parts.url.as_deref().map(text::html);
    let link = link.map(|url| format!("<br><a href=\"{url}\">{url}</a>"));
    let more: String = tasks.chain(link).collect();
    format!(
        "<li><b style=\"color:{colour}\">{word}</b> {} <small>({}{subject})</small>{more}</li>\n",
        text::html(&parts.message).replace('\n', "<br>"),
        text::html(&parts.kind),
    )
}
