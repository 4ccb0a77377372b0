//! Mail by SMTP: encrypted before a password is sent, and never only if the server happens to offer it.

use super::http::tls_issue;
use super::message::{self, Form, Tone, bytes};
use super::reach::Encrypted;
use super::redact::Redactor;
use super::{Built, Channel, ChannelConfig, Clock, SendError, Surroundings};
use crate::alert::{AlertUpdate, Notification};
use crate::language::Language;
use crate::secret::Secret;
use chrono::Utc;
use lettre::message::header::{HeaderName, HeaderValue};
use lettre::message::{Mailbox, MultiPart};
use lettre::transport::smtp::Error;
use lettre::transport::smtp::authentication::{Credentials, DEFAULT_MECHANISMS};
use lettre::transport::smtp::client::{
    Certificate, CertificateStore, SmtpConnection, TlsParameters,
};
use lettre::transport::smtp::commands::{Data, Mail as MailFrom, Rcpt};
use lettre::transport::smtp::extension::{ClientId, Extension, MailParameter};
use lettre::{Address, Message};
use percent_encoding::percent_decode_str;
use std::error::Error as _;
use std::io;
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::{Duration, Instant, SystemTime};

/// The alerts' lines in the text part; servers take messages of some megabytes.
const FORM: Form =
    Form { escape: str::to_owned, bullet: "- ", separator: "\n", limit: 100_000, measure: bytes };

/// A mail server, who writes and who reads.
#[derive(Debug, Clone)]
pub struct Mail {
    /// `smtp://[user[:password]@]host[:port]` or `smtps://…`; user and password percent-encoded.
    pub url: Secret,
    /// The password, if it does not stand in the URL.
    pub password: Option<Secret>,
    pub from: String,
    pub to: Vec<String>,
    /// `None`: `Tls` with `smtps://`, else `Starttls`.
    pub encryption: Option<Encryption>,
}

/// How the connection is encrypted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Encryption {
    /// After the greeting, by STARTTLS; a server that does not offer it gets nothing.
    Starttls,
    /// From the first byte on.
    Tls,
    None,
}

pub fn build(mail: &Mail, config: &ChannelConfig) -> Built {
    let server = Server::parse(mail)?;
    let from = mailbox("from", &mail.from)?;
    let to: Result<Vec<Mailbox>, SendError> = mail.to.iter().map(|to| mailbox("to", to)).collect();
    let to = to?;
    if to.is_empty() {
        return Err(SendError::permanent("`to` names nobody"));
    }
    let tls = match server.encryption {
        Encryption::None => None,
        _ => Some(tls(&server, &config.surroundings)?),
    };
    let relay = Relay { server, tls, timeout: config.timeout };
    Ok(Box::new(Email {
        relay: Arc::new(relay),
        from,
        to,
        clock: config.surroundings.clock.clone(),
    }))
}

/// The host and the port of a mail server, and whether TLS is spoken there from the first byte on.
///
/// # Errors
/// What is wrong with its URL.
pub fn host_and_encryption(mail: &Mail) -> Result<(String, u16, Encrypted), SendError> {
    let server = Server::parse(mail)?;
    let encrypted = match server.encryption {
        Encryption::Tls => Encrypted::Yes,
        Encryption::Starttls | Encryption::None => Encrypted::No,
    };
    Ok((server.host, server.port, encrypted))
}

fn mailbox(key: &str, text: &str) -> Result<Mailbox, SendError> {
    // A line break in an address could begin another header, or another command to the server.
    let parsed = if text.contains(char::is_control) { None } else { text.parse().ok() };
    parsed.ok_or_else(|| {
        SendError::permanent(format!(
            "`{key}` holds {:?}, which is no mail address such as ops@example.org or \"Ops <ops@example.org>\"",
            message::plain(text)
        ))
    })
}

struct Email {
    relay: Arc<Relay>,
    from: Mailbox,
    to: Vec<Mailbox>,
    clock: Clock,
}

impl Channel for Email {
    /// In a thread of its own, which is left behind when its time is over: what the SMTP library waits for, it waits for once more with each byte
    /// that comes. A thread that is left behind begins nothing further.
    fn send(&self, notice: &Notification) -> Result<(), SendError> {
        let letter = self.letter(notice)?;
        let relay = self.relay.clone();
        let deadline = Instant::now() + relay.timeout;
        let (tell, told) = mpsc::channel();
        thread::Builder::new()
            .spawn(move || relay.deliver(&letter, deadline, &tell))
            .map_err(|error| SendError::transient(format!("no thread can be started: {error}")))?;
        match told.recv_timeout(self.relay.timeout) {
            Ok(result) => result,
            Err(_) => Err(self.relay.late()),
        }
    }
}

/// A message and whom it is for.
struct Letter {
    hello: ClientId,
    from: Address,
    to: Vec<Address>,
    content: Vec<u8>,
}

impl Email {
    fn letter(&self, notice: &Notification) -> Result<Letter, SendError> {
        let now = (self.clock)();
        let mut builder = Message::builder()
            .from(self.from.clone())
            .subject(message::title(notice))
            .date(SystemTime::from(now))
            .message_id(Some(message_id(now, &self.from.email)))
            // RFC 3834: nobody's holiday notice answers it.
            .raw_header(HeaderValue::new(
                HeaderName::new_from_ascii_str("Auto-Submitted"),
                "auto-generated".to_owned(),
            ));
        for to in &self.to {
            builder = builder.to(to.clone());
        }
        let parts = MultiPart::alternative_plain_html(text(notice), html(notice));
        let message = builder.multipart(parts).map_err(|error| {
            SendError::permanent(format!("the mail cannot be written: {error}"))
        })?;
        Ok(Letter {
            hello: hello(&notice.host),
            from: self.from.email.clone(),
            to: self.to.iter().map(|to| to.email.clone()).collect(),
            content: message.formatted(),
        })
    }
}

fn message_id(now: chrono::DateTime<Utc>, from: &Address) -> String {
    let (time, number) = (now.timestamp_millis(), fastrand::u64(..));
    format!("<taskmon.{time}.{number:016x}@{}>", from.domain())
}

/// The host as it introduces itself, or the address literal that RFC 5321 wants of a host without a proper name.
fn hello(host: &str) -> ClientId {
    let is_name = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '.');
    if !host.is_empty() && host.len() <= 255 && host.chars().all(is_name) {
        ClientId::Domain(host.to_owned())
    } else {
        ClientId::Ipv4(std::net::Ipv4Addr::LOCALHOST)
    }
}

// ---- the server

/// What the URL says.
struct Server {
    host: String,
    port: u16,
    login: Option<Login>,
    encryption: Encryption,
    redactor: Redactor,
}

struct Login {
    user: String,
    password: Secret,
}

impl Server {
    /// # Errors
    /// Whatever would end in a password in the clear, in a login without a password, or nowhere. The URL is not quoted.
    fn parse(mail: &Mail) -> Result<Self, SendError> {
        let wrong = |why: &str| SendError::permanent(format!("the mail server's url {why}"));
        let url = mail.url.expose();
        let (scheme, rest) =
            url.split_once("://").ok_or_else(|| wrong("is not smtp://… or smtps://…"))?;
        let encryption = encryption(scheme, mail.encryption)?;
        let (login, place) = match rest.rsplit_once('@') {
            Some((login, place)) => (Some(login), place),
            None => (None, rest),
        };
        let place = place.strip_suffix('/').unwrap_or(place);
        let (host, port) = host_and_port(place, encryption)
            .ok_or_else(|| wrong("does not name a host, or its port is no number; behind them nothing may stand, and special characters of a password are percent-encoded"))?;
        let login = login.map(|login| credentials(login, mail.password.as_ref())).transpose()?;
        if login.is_none() && mail.password.is_some() {
            return Err(wrong("names no user for the password: smtp://USER@HOST"));
        }
        if login.is_some() && encryption == Encryption::None {
            return Err(SendError::permanent(
                "tls = \"none\" would send the password in the clear; use starttls or tls, or no user",
            ));
        }
        let mut redactor = Redactor::default();
        if let Some(login) = &login {
            redactor.add(login.password.expose());
            // AUTH PLAIN sends both in one.
            redactor.add(&format!("\0{}\0{}", login.user, login.password.expose()));
        }
        Ok(Self { host, port, login, encryption, redactor })
    }

    /// How messages call it.
    fn shown(&self) -> String {
        let scheme = match self.encryption {
            Encryption::Tls => "smtps",
            _ => "smtp",
        };
        if self.host.contains(':') {
            format!("{scheme}://[{}]:{}", self.host, self.port)
        } else {
            format!("{scheme}://{}:{}", self.host, self.port)
        }
    }
}

fn encryption(scheme: &str, asked: Option<Encryption>) -> Result<Encryption, SendError> {
    match (scheme, asked) {
        ("smtps", None | Some(Encryption::Tls)) => Ok(Encryption::Tls),
        ("smtps", Some(_)) => Err(SendError::permanent(
            "smtps:// is encrypted from the first byte on, so `tls` can only be \"tls\"; use smtp:// for the others",
        )),
        ("smtp", asked) => Ok(asked.unwrap_or(Encryption::Starttls)),
        _ => Err(SendError::permanent("the mail server's url must start with smtp:// or smtps://")),
    }
}

/// `host`, `host:port`, `[::1]` or `[::1]:port`.
fn host_and_port(place: &str, encryption: Encryption) -> Option<(String, u16)> {
    let usual = match encryption {
        Encryption::Starttls => 587,
        Encryption::Tls => 465,
        Encryption::None => 25,
    };
    let (host, port) = match place.strip_prefix('[') {
        Some(rest) => {
            let (host, behind) = rest.split_once(']')?;
            host.parse::<std::net::Ipv6Addr>().ok()?;
            (host, behind.strip_prefix(':').or(behind.is_empty().then_some(""))?)
        }
        None => place.split_once(':').unwrap_or((place, "")),
    };
    let port = match port {
        "" => usual,
        port => port.parse().ok()?,
    };
    let is_host = |c: char| c.is_alphanumeric() || matches!(c, '-' | '.' | '_' | ':');
    (!host.is_empty() && host.chars().all(is_host)).then(|| (host.to_owned(), port))
}

fn credentials(login: &str, separate: Option<&Secret>) -> Result<Login, SendError> {
    let decoded = |text: &str| {
        let decoded = percent_decode_str(text).decode_utf8().ok();
        decoded.map(String::from).ok_or_else(|| {
            SendError::permanent(
                "user or password in the mail server's url are not percent-encoded UTF-8",
            )
        })
    };
    let (user, password) = match login.split_once(':') {
        Some((user, password)) => (user, Some(Secret::new(decoded(password)?))),
        None => (login, None),
    };
    let password = match (password, separate) {
        (Some(_), Some(_)) => {
            Err("there are two passwords: one in the mail server's url and one beside it")
        }
        (Some(password), None) => Ok(password),
        (None, Some(password)) => Ok(password.clone()),
        (None, None) => Err("the mail server's url names a user, and there is no password"),
    };
    let password = password.map_err(SendError::permanent)?;
    let user = decoded(user)?;
    if user.is_empty() {
        Err(SendError::permanent("the mail server's url names no user before the password"))
    } else {
        Ok(Login { user, password })
    }
}

fn tls(server: &Server, surroundings: &Surroundings) -> Result<TlsParameters, SendError> {
    let failed = |why: String| SendError::permanent(format!("{}: {why}", server.shown()));
    let roots = surroundings.roots.as_ref().map_err(|why| failed(why.clone()))?;
    let mut builder =
        TlsParameters::builder(server.host.clone()).certificate_store(CertificateStore::None);
    for root in roots.iter() {
        if let Ok(certificate) = Certificate::from_der(root.to_vec()) {
            builder = builder.add_root_certificate(certificate);
        }
    }
    builder.build_rustls().map_err(|error| failed(format!("TLS cannot be set up: {error}")))
}

// ---- the conversation

/// Talks to the server.
struct Relay {
    server: Server,
    tls: Option<TlsParameters>,
    timeout: Duration,
}

type Outcome = Result<(), SendError>;

impl Relay {
    fn deliver(&self, letter: &Letter, deadline: Instant, tell: &mpsc::Sender<Outcome>) {
        let mut connection = match self.open(letter, deadline) {
            Ok(connection) => connection,
            Err(error) => return drop(tell.send(Err(error))),
        };
        let result = self.hand_over(&mut connection, letter, deadline);
        // The server has taken it or not; how it says goodbye changes nothing.
        let _ = tell.send(result);
        let _ = connection.set_timeout(Some(Duration::from_secs(1)));
        let _ = connection.quit();
    }

    /// Connects, encrypts, logs in.
    fn open(&self, letter: &Letter, deadline: Instant) -> Result<SmtpConnection, SendError> {
        let server = &self.server;
        let place = (server.host.as_str(), server.port);
        let implicit = match server.encryption {
            Encryption::Tls => self.tls.as_ref(),
            _ => None,
        };
        let left = Some(self.left(deadline)?);
        let mut connection = SmtpConnection::connect(place, left, &letter.hello, implicit, None)
            .map_err(|error| self.failure("", &error))?;
        if let (Encryption::Starttls, Some(tls)) = (server.encryption, &self.tls) {
            if !connection.can_starttls() {
                return Err(self.refused("does not offer STARTTLS, so nothing was sent to it"));
            }
            self.set_time(&mut connection, deadline)?;
            connection.starttls(tls, &letter.hello).map_err(|error| self.failure("", &error))?;
        }
        if let Some(login) = &server.login {
            self.set_time(&mut connection, deadline)?;
            let credentials =
                Credentials::new(login.user.clone(), login.password.expose().to_owned());
            connection
                .auth(DEFAULT_MECHANISMS, &credentials)
                .map_err(|error| self.failure("refused the login", &error))?;
        }
        Ok(connection)
    }

    fn hand_over(
        &self,
        connection: &mut SmtpConnection,
        letter: &Letter,
        deadline: Instant,
    ) -> Outcome {
        let mut parameters = Vec::new();
        let mut addresses = letter.to.iter().chain([&letter.from]);
        if !addresses.all(|address| AsRef::<str>::as_ref(address).is_ascii()) {
            if !connection.server_info().supports_feature(Extension::SmtpUtfEight) {
                return Err(self.refused("takes no mail addresses outside ASCII"));
            }
            parameters.push(MailParameter::SmtpUtfEight);
        }
        self.set_time(connection, deadline)?;
        connection
            .command(MailFrom::new(Some(letter.from.clone()), parameters))
            .map_err(|error| self.failure("refused the sender", &error))?;
        self.name_recipients(connection, letter, deadline)?;
        self.set_time(connection, deadline)?;
        connection.command(Data).map_err(|error| self.failure("refused the mail", &error))?;
        self.set_time(connection, deadline)?;
        connection
            .message(&letter.content)
            .map_err(|error| self.failure("refused the mail", &error))?;
        Ok(())
    }

    /// One address that is refused must not keep the mail from the others; if none is left, the mail has failed.
    fn name_recipients(
        &self,
        connection: &mut SmtpConnection,
        letter: &Letter,
        deadline: Instant,
    ) -> Outcome {
        let mut refused = Vec::new();
        for to in &letter.to {
            self.set_time(connection, deadline)?;
            match connection.command(Rcpt::new(to.clone(), vec![])) {
                Ok(_) => {}
                Err(error) if error.status().is_some() => {
                    refused.push(self.failure(&format!("refused the recipient {to}"), &error));
                }
                Err(error) => return Err(self.failure("", &error)),
            }
        }
        if refused.len() == letter.to.len() {
            // One that may be taken later is worth another attempt.
            let worth = refused.iter().position(|error| !error.permanent);
            return Err(refused.swap_remove(worth.unwrap_or(0)));
        }
        refused.iter().for_each(|error| log::warn!("{error}; the mail went to the others"));
        Ok(())
    }

    fn set_time(
        &self,
        connection: &mut SmtpConnection,
        deadline: Instant,
    ) -> Result<(), SendError> {
        let left = self.left(deadline)?;
        connection
            .set_timeout(Some(left))
            .map_err(|error| SendError::transient(format!("{}: {error}", self.server.shown())))
    }

    /// # Errors
    /// Nothing is begun once the time is over: whoever asked for it has gone.
    fn left(&self, deadline: Instant) -> Result<Duration, SendError> {
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() { Err(self.late()) } else { Ok(left) }
    }

    fn late(&self) -> SendError {
        let seconds = self.timeout.as_secs_f32();
        SendError::transient(format!("{}: not done within {seconds} s", self.server.shown()))
    }

    fn refused(&self, why: &str) -> SendError {
        SendError::permanent(format!("{} {why}", self.server.shown()))
    }

    fn failure(&self, what: &str, error: &Error) -> SendError {
        let shown = self.server.shown();
        if let Some(code) = error.status() {
            let said = error.source().map_or(String::new(), ToString::to_string);
            let said = self.server.redactor.quote(&said);
            let what = if what.is_empty() { "refused" } else { what };
            return SendError {
                permanent: error.is_permanent(),
                ..self.refused(&format!("{what} with {code}: {said}"))
            };
        }
        if is_late(error) {
            return self.late();
        }
        if let Some(issue) = certificate_issue(error) {
            return SendError::permanent(format!("{shown}: {issue}"));
        }
        let said = self.server.redactor.quote(&error.to_string());
        // An answer that broke off is a connection that broke; one that is not SMTP will be none the next time.
        let permanent = error.is_client() || error.is_response() && !said.contains("incomplete");
        SendError {
            permanent,
            ..SendError::permanent(format!("{shown}: the connection failed: {said}"))
        }
    }
}

fn is_late(error: &Error) -> bool {
    let inner = error.source().and_then(|source| source.downcast_ref::<io::Error>());
    let kind = inner.map(io::Error::kind);
    matches!(kind, Some(io::ErrorKind::TimedOut | io::ErrorKind::WouldBlock))
}

/// What is wrong with the server's certificate or its TLS, found anywhere among the causes.
fn certificate_issue(error: &Error) -> Option<String> {
    let mut cause = error.source();
    while let Some(current) = cause {
        let inner = current.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
        let tls = current.downcast_ref::<rustls::Error>();
        if let Some(tls) = tls.or_else(|| inner?.downcast_ref::<rustls::Error>()) {
            return Some(tls_issue(tls));
        }
        cause = current.source();
    }
    None
}

// ---- the two parts

fn text(notice: &Notification) -> String {
    let (host, time) = message::labels(notice.language);
    format!(
        "{}\n\n{host}: {}\n{time}: {}\n",
        message::lines(notice, &FORM),
        message::host(notice),
        message::time(notice),
    )
}

fn html(notice: &Notification) -> String {
    let (host, time) = message::labels(notice.language);
    let rows: String = notice.alerts.iter().map(|told| row(told, notice.language)).collect();
    format!(
        "<!DOCTYPE html>\n<html lang=\"{}\"><head><meta charset=\"utf-8\"></head><body>\n<h3 style=\"color:{}\">{}</h3>\n<ul>\n{rows}</ul>\n<p>{host}: {}<br>{time}: {}</p>\n</body></html>\n",
        notice.language.pick("zh-CN", "en"),
        Tone::of(notice).colour(),
        message::html(&message::title(notice)),
        message::html(&message::host(notice)),
        message::time(notice),
    )
}

fn row(told: &AlertUpdate, language: Language) -> String {
    let parts = message::parts(told, language);
    let colour = match parts.state {
        Some(_) => Tone::Resolved.colour(),
        None => Tone::Firing(told.alert.severity).colour(),
    };
    let word = parts.state.unwrap_or(message::severity_word(told.alert.severity, language));
    let subject =
        parts.subject.map_or(String::new(), |subject| format!(", {}", message::html(&subject)));
    format!(
        "<li><b style=\"color:{colour}\">{word}</b> {} <small>({}{subject})</small></li>\n",
        message::html(&parts.message),
        message::html(&parts.kind),
    )
}
