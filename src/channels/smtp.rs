//! A conversation with a mail server: encrypted before a password is sent, whether or not the server announces STARTTLS.

use super::mail_server::{Encryption, MailServer};
use super::smtp_connection::{Connection, Error};
use super::tls::tls_issue;
use super::{Machine, SendError, helo};
use crate::deadline;
use crate::stream::Stream;
use crate::tls::client_config;
use lettre::Address;
use lettre::transport::smtp::commands::{Data, Mail as MailFrom, Rcpt};
use lettre::transport::smtp::extension::{ClientId, MailParameter};
use lettre::transport::smtp::response::Severity;
use rustls::ClientConfig;
use std::io;
use std::time::{Duration, Instant};

/// A message and whom it is for.
pub struct Letter {
    /// What this host introduces itself as; `None`: by its address.
    pub hello: Option<String>,
    pub from: Address,
    pub to: Vec<Address>,
    pub content: Vec<u8>,
}

/// Talks to the server.
pub struct Relay {
    pub server: MailServer,
    tls: Option<ClientConfig>,
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
        let tls =
            match server.encryption {
                Encryption::None => None,
                Encryption::Starttls | Encryption::Tls => {
                    let roots = machine.roots.as_ref().map_err(Clone::clone);
                    let config = roots.and_then(|roots| client_config(roots));
                    Some(config.map_err(|why| {
                        SendError::permanent(format!("{}: {why}", server.shown()))
                    })?)
                }
            };
        Ok(Self { server, tls, timeout })
    }

    /// Hands a mail over by `deadline`.
    pub fn deliver(&self, letter: &Letter, deadline: Instant) -> Outcome {
        let mut connection = self.open(letter, deadline)?;
        let result = self.hand_over(&mut connection, letter);
        // The server has accepted it or not; how it says goodbye changes nothing, and nobody waits for it.
        let _ = deadline::start(move || {
            connection.deadline = deadline::end(Duration::from_secs(1));
            connection.quit().is_ok()
        });
        result
    }

    /// Connects, encrypts, logs in.
    fn open(&self, letter: &Letter, deadline: Instant) -> Result<Connection, SendError> {
        let server = &self.server;
        let failed = |error: Error| self.failure("refused", error);
        let left = deadline.saturating_duration_since(Instant::now());
        let stream = Stream::connect(&server.host, server.port, left);
        let mut stream = stream.map_err(|error| failed(error.into()))?;
        if let (Encryption::Tls, Some(tls)) = (server.encryption, &self.tls) {
            let encrypted = stream.encrypt(&server.host, tls.clone());
            stream = encrypted.map_err(|error| failed(error.into()))?;
        }
        let hello = &match &letter.hello {
            Some(name) => ClientId::Domain(name.clone()),
            None => helo::address_literal(&stream),
        };
        let mut connection = Connection::greet(stream, hello, deadline).map_err(failed)?;
        if let (Encryption::Starttls, Some(tls)) = (server.encryption, &self.tls) {
            if !connection.supports("STARTTLS") {
                return Err(self.refused("does not support STARTTLS, so nothing was sent to it"));
            }
            connection = connection.starttls(&server.host, tls.clone(), hello).map_err(failed)?;
        }
        if let Some(login) = &server.login {
            let done = connection.log_in(&login.user, login.password.expose());
            done.map_err(|error| self.failure("refused the login", error))?;
        }
        Ok(connection)
    }

    fn hand_over(&self, connection: &mut Connection, letter: &Letter) -> Outcome {
        let mut parameters = Vec::new();
        let mut addresses = letter.to.iter().chain([&letter.from]);
        if !addresses.all(|address| AsRef::<str>::as_ref(address).is_ascii()) {
            if !connection.supports("SMTPUTF8") {
                return Err(self.refused("takes no mail addresses outside ASCII"));
            }
            parameters.push(MailParameter::SmtpUtfEight);
        }
        let from = MailFrom::new(Some(letter.from.clone()), parameters);
        let refused = |what: &'static str| move |error| self.failure(what, error);
        connection.command(from).map_err(refused("refused the sender"))?;
        self.name_recipients(connection, letter)?;
        connection.command(Data).map_err(refused("refused the mail"))?;
        connection.message(&letter.content).map_err(refused("refused the mail"))?;
        Ok(())
    }

    /// One address that is refused must not keep the mail from the others; if none is left, the mail has failed.
    fn name_recipients(&self, connection: &mut Connection, letter: &Letter) -> Outcome {
        let mut refused = Vec::new();
        for to in &letter.to {
            match connection.command(Rcpt::new(to.clone(), vec![])) {
                Ok(_) => {}
                Err(error @ Error::Refused(_)) => {
                    refused.push(self.failure(&format!("refused the recipient {to}"), error));
                }
                Err(error) => return Err(self.failure("", error)),
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

    pub fn late(&self) -> SendError {
        let seconds = self.timeout.as_secs_f32();
        SendError::transient(format!("{}: not done within {seconds} s", self.server.shown()))
    }

    fn refused(&self, why: &str) -> SendError {
        SendError::permanent(format!("{} {why}", self.server.shown()))
    }

    /// `what` says what it means if the server refuses.
    fn failure(&self, what: &str, error: Error) -> SendError {
        let (shown, redactor) = (self.server.shown(), &self.server.redactor);
        match error {
            Error::Refused(answer) => {
                let said: Vec<&str> = answer.message().collect();
                let said = redactor.quote(&said.join(" "));
                let code = answer.code();
                SendError {
                    permanent: code.severity == Severity::PermanentNegativeCompletion,
                    ..self.refused(&format!("{what} with {code}: {said}"))
                }
            }
            Error::Io(error) if is_late(&error) => self.late(),
            Error::Io(error) => match tls_issue(&error) {
                Some(issue) => SendError::permanent(format!("{shown}: {issue}")),
                None => SendError::transient(format!("{shown}: the connection failed: {error}")),
            },
            Error::Unusable(why) => SendError::permanent(format!("{shown}: {why}")),
            Error::NotSmtp(said) => {
                let said = redactor.quote(&said);
                SendError::permanent(format!("{shown}: the answer is not SMTP: {said}"))
            }
        }
    }
}

fn is_late(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::TimedOut | io::ErrorKind::WouldBlock)
}
