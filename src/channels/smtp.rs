//! A conversation with a mail server: encrypted before a password is sent, whether or not the server announces STARTTLS.

use super::redact::Redactor;
use super::tls::tls_issue;
use super::{Machine, SendError, Server};
use crate::deadline;
use crate::secret::Secret;
use lettre::Address;
use lettre::transport::smtp::Error;
use lettre::transport::smtp::authentication::{Credentials, DEFAULT_MECHANISMS};
use lettre::transport::smtp::client::{
    Certificate, CertificateStore, SmtpConnection, TlsParameters,
};
use lettre::transport::smtp::commands::{Data, Mail as MailFrom, Rcpt};
use lettre::transport::smtp::extension::{ClientId, Extension, MailParameter};
use percent_encoding::percent_decode_str;
use serde::{Deserialize, Serialize};
use std::error::Error as _;
use std::io;
use std::time::{Duration, Instant};

/// How the connection is encrypted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Encryption {
    /// After the greeting, by STARTTLS; a server that does not support it gets nothing.
    Starttls,
    /// From the first byte on.
    Tls,
    None,
}

/// A message and whom it is for.
pub struct Letter {
    pub hello: ClientId,
    pub from: Address,
    pub to: Vec<Address>,
    pub content: Vec<u8>,
}

/// What the host introduces itself as, or the address literal that RFC 5321 wants of a host without a proper name.
pub fn hello(host: &str) -> ClientId {
    let is_name = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '.');
    if !host.is_empty() && host.len() <= 255 && host.chars().all(is_name) {
        ClientId::Domain(host.to_owned())
    } else {
        ClientId::Ipv4(std::net::Ipv4Addr::LOCALHOST)
    }
}

/// What the URL and the keys beside it say.
pub struct MailServer {
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

impl MailServer {
    /// # Errors
    /// Whatever would end in a password in the clear, in a login without a password, or nowhere. The URL is not quoted.
    pub fn parse(
        url: &Secret,
        password: Option<&Secret>,
        tls: Option<Encryption>,
    ) -> Result<Self, SendError> {
        let wrong = |why: &str| SendError::permanent(format!("the mail server's url {why}"));
        let (scheme, rest) =
            url.expose().split_once("://").ok_or_else(|| wrong("is not smtp://… or smtps://…"))?;
        let encryption = encryption(scheme, tls)?;
        let (login, place) = match rest.rsplit_once('@') {
            Some((login, place)) => (Some(login), place),
            None => (None, rest),
        };
        let place = place.strip_suffix('/').unwrap_or(place);
        let (host, port) = host_and_port(place, encryption)
            .ok_or_else(|| wrong("does not name a host, or its port is no number; behind them nothing may stand, and special characters of a password are percent-encoded"))?;
        let login = login.map(|login| credentials(login, password)).transpose()?;
        if login.is_none() && password.is_some() {
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

    pub fn address(&self) -> Server {
        Server {
            host: self.host.clone(),
            port: self.port,
            starts_with_tls: self.encryption == Encryption::Tls,
            proxy: None,
        }
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

fn tls(server: &MailServer, machine: &Machine) -> Result<TlsParameters, SendError> {
    let failed = |why: String| SendError::permanent(format!("{}: {why}", server.shown()));
    let roots = machine.roots.as_ref().map_err(|why| failed(why.clone()))?;
    let mut builder =
        TlsParameters::builder(server.host.clone()).certificate_store(CertificateStore::None);
    for root in roots.iter() {
        if let Ok(certificate) = Certificate::from_der(root.to_vec()) {
            builder = builder.add_root_certificate(certificate);
        }
    }
    builder.build_rustls().map_err(|error| failed(format!("TLS cannot be set up: {error}")))
}

/// Talks to the server.
pub struct Relay {
    pub server: MailServer,
    tls: Option<TlsParameters>,
    pub timeout: Duration,
}

pub type Outcome = Result<(), SendError>;

impl Relay {
    /// # Errors
    /// If the server is to be checked and there are no certificates.
    pub fn new(
        server: MailServer,
        timeout: Duration,
        machine: &Machine,
    ) -> Result<Self, SendError> {
        let tls = match server.encryption {
            Encryption::None => None,
            Encryption::Starttls | Encryption::Tls => Some(tls(&server, machine)?),
        };
        Ok(Self { server, tls, timeout })
    }

    /// Hands a mail over by `deadline`.
    pub fn deliver(&self, letter: &Letter, deadline: Instant) -> Outcome {
        let mut connection = self.open(letter, deadline)?;
        let result = self.hand_over(&mut connection, letter, deadline);
        // The server has accepted it or not; how it says goodbye changes nothing, and nobody waits for it.
        let _ = deadline::start(move || {
            let _ = connection.set_timeout(Some(Duration::from_secs(1)));
            let _ = connection.quit();
        });
        result
    }

    /// Connects, encrypts, logs in.
    fn open(&self, letter: &Letter, deadline: Instant) -> Result<SmtpConnection, SendError> {
        let implicit = match self.server.encryption {
            Encryption::Tls => self.tls.as_ref(),
            _ => None,
        };
        let left = Some(self.left(deadline)?);
        let mut connection = SmtpConnection::connect(
            (self.server.host.as_str(), self.server.port),
            left,
            &letter.hello,
            implicit,
            None,
        )
        .map_err(|error| self.failure("", &error))?;
        if let (Encryption::Starttls, Some(tls)) = (self.server.encryption, &self.tls) {
            if !connection.can_starttls() {
                return Err(self.refused("does not support STARTTLS, so nothing was sent to it"));
            }
            self.set_time(&mut connection, deadline)?;
            connection.starttls(tls, &letter.hello).map_err(|error| self.failure("", &error))?;
        }
        if let Some(login) = &self.server.login {
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
    /// Nothing is begun after the deadline: nobody waits for the result any more.
    fn left(&self, deadline: Instant) -> Result<Duration, SendError> {
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() { Err(self.late()) } else { Ok(left) }
    }

    pub fn late(&self) -> SendError {
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
        if let Some(issue) = tls_issue(error) {
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
