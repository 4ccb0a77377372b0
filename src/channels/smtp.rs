//! A conversation with a mail server: encrypted before a password is sent, whether or not the server announces STARTTLS.

use super::mail_server::{Encryption, MailServer};
use super::tls::tls_issue;
use super::{Machine, SendError};
use crate::deadline;
use lettre::Address;
use lettre::transport::smtp::Error;
use lettre::transport::smtp::authentication::{Credentials, DEFAULT_MECHANISMS};
use lettre::transport::smtp::client::{
    Certificate, CertificateStore, SmtpConnection, TlsParameters,
};
use lettre::transport::smtp::commands::{Data, Mail as MailFrom, Rcpt};
use lettre::transport::smtp::extension::{ClientId, Extension, MailParameter};
use std::error::Error as _;
use std::io;
use std::time::{Duration, Instant};

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
        let mut session = self.open(letter, deadline)?;
        let result = session.hand_over(letter);
        let mut connection = session.connection;
        // The server has accepted it or not; how it says goodbye changes nothing, and nobody waits for it.
        let _ = deadline::start(move || {
            let _ = connection.set_timeout(Some(Duration::from_secs(1)));
            let _ = connection.quit();
        });
        result
    }

    /// Connects, encrypts, logs in.
    fn open(&self, letter: &Letter, deadline: Instant) -> Result<Session<'_>, SendError> {
        let (server, hello) = (&self.server, &letter.hello);
        let implicit = self.tls.as_ref().filter(|_| server.encryption == Encryption::Tls);
        let (address, left) = ((server.host.as_str(), server.port), self.left(deadline)?);
        let connection = SmtpConnection::connect(address, Some(left), hello, implicit, None)
            .map_err(|error| self.failure("", &error))?;
        let mut session = Session { relay: self, connection, deadline };
        if let (Encryption::Starttls, Some(tls)) = (server.encryption, &self.tls) {
            if !session.connection.can_starttls() {
                return Err(self.refused("does not support STARTTLS, so nothing was sent to it"));
            }
            session.step("", |connection| connection.starttls(tls, hello))?;
        }
        if let Some(login) = &server.login {
            let credentials =
                Credentials::new(login.user.clone(), login.password.expose().to_owned());
            session.step("refused the login", |connection| {
                connection.auth(DEFAULT_MECHANISMS, &credentials)
            })?;
        }
        Ok(session)
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

/// A conversation with the server.
struct Session<'r> {
    relay: &'r Relay,
    connection: SmtpConnection,
    deadline: Instant,
}

impl Session<'_> {
    /// Begins something within the time that is left; `what` says what it means if the server refuses.
    fn step<T>(
        &mut self,
        what: &str,
        run: impl FnOnce(&mut SmtpConnection) -> Result<T, Error>,
    ) -> Result<T, SendError> {
        let left = self.relay.left(self.deadline)?;
        self.connection.set_timeout(Some(left)).map_err(|error| {
            SendError::transient(format!("{}: {error}", self.relay.server.shown()))
        })?;
        run(&mut self.connection).map_err(|error| self.relay.failure(what, &error))
    }

    fn hand_over(&mut self, letter: &Letter) -> Outcome {
        let mut parameters = Vec::new();
        let mut addresses = letter.to.iter().chain([&letter.from]);
        if !addresses.all(|address| AsRef::<str>::as_ref(address).is_ascii()) {
            if !self.connection.server_info().supports_feature(Extension::SmtpUtfEight) {
                return Err(self.relay.refused("takes no mail addresses outside ASCII"));
            }
            parameters.push(MailParameter::SmtpUtfEight);
        }
        let from = MailFrom::new(Some(letter.from.clone()), parameters);
        self.step("refused the sender", |connection| connection.command(from))?;
        self.name_recipients(letter)?;
        self.step("refused the mail", |connection| connection.command(Data))?;
        self.step("refused the mail", |connection| connection.message(&letter.content))?;
        Ok(())
    }

    /// One address that is refused must not keep the mail from the others, which [`SmtpConnection::send`] would have it do; if none
    /// is left, the mail has failed.
    fn name_recipients(&mut self, letter: &Letter) -> Outcome {
        let mut refused = Vec::new();
        for to in &letter.to {
            let rcpt = Rcpt::new(to.clone(), vec![]);
            match self.step("", |connection| Ok(connection.command(rcpt)))? {
                Ok(_) => {}
                Err(error) if error.status().is_some() => {
                    let what = format!("refused the recipient {to}");
                    refused.push(self.relay.failure(&what, &error));
                }
                Err(error) => return Err(self.relay.failure("", &error)),
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
}

fn is_late(error: &Error) -> bool {
    let inner = error.source().and_then(|source| source.downcast_ref::<io::Error>());
    let kind = inner.map(io::Error::kind);
    matches!(kind, Some(io::ErrorKind::TimedOut | io::ErrorKind::WouldBlock))
}
