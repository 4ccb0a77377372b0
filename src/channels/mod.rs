//! The channels: each sends one notice to one place, once.
//!
//! Whether a notice is sent at all, which alerts stand in it, and whether a failed one is tried again is decided outside: see
//! [`deliver`](super::deliver). A channel knows the form, the signature, the limits and the error codes of its service.

mod command;
mod dingtalk;
mod email;
mod feishu;
mod heartbeat;
mod http;
mod message;
mod reach;
mod redact;
mod slack;
mod webhook;
mod wecom;

pub use email::{Encryption, Mail};
pub use heartbeat::ping;
pub use http::Proxy;
pub use reach::{reach, reach_url};

use crate::alert::Notification;
use crate::secret::Secret;
use chrono::{DateTime, Utc};
use ring::hmac;
use rustls::pki_types::CertificateDer;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

/// A place that notices are sent to.
pub trait Channel {
    /// Sends one notice, in one attempt that the channel's time limit bounds as a whole.
    ///
    /// # Errors
    /// What went wrong, whether another attempt may help, and when. Success means that the service said so.
    fn send(&self, notice: &Notification) -> Result<(), SendError>;
}

/// Why a notice was not taken. Its text holds no secret: no part of a URL's path or query, no password, no signing key.
#[derive(Debug, Clone, PartialEq)]
pub struct SendError {
    /// One sentence that names the place.
    pub message: String,
    /// Whether the same notice would be refused again: a wrong address, a wrong signature, a mistake in the configuration.
    pub permanent: bool,
    /// How long the service asked to be left alone.
    pub retry_after: Option<Duration>,
}

impl SendError {
    /// An error that another attempt would meet again.
    pub fn permanent(message: impl Into<String>) -> Self {
        Self { message: message.into(), permanent: true, retry_after: None }
    }

    /// An error that may have passed by the next attempt.
    pub fn transient(message: impl Into<String>) -> Self {
        Self { permanent: false, ..Self::permanent(message) }
    }
}

impl fmt::Display for SendError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for SendError {}

/// Everything that a channel is made of.
#[derive(Debug, Clone)]
pub struct ChannelConfig {
    pub place: Place,
    /// For one request or one message as a whole, or for the command.
    pub timeout: Duration,
    pub surroundings: Surroundings,
}

/// Where a channel delivers to, with its secrets.
#[derive(Debug, Clone)]
pub enum Place {
    Webhook {
        url: Secret,
        secret: Option<Secret>,
    },
    Slack {
        url: Secret,
    },
    Feishu {
        url: Secret,
        secret: Option<Secret>,
    },
    Dingtalk {
        url: Secret,
        secret: Option<Secret>,
    },
    Wecom {
        url: Secret,
    },
    Email(Mail),
    /// A program and its arguments.
    Command(Vec<String>),
}

impl Place {
    /// How much one notice to it holds.
    pub fn grouping(&self) -> Grouping {
        match self {
            Place::Webhook { .. } | Place::Command(_) => Grouping::Run,
            _ => Grouping::Severity,
        }
    }
}

/// Which alerts go into one notice.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Grouping {
    /// All of a run, for programs.
    Run,
    /// Those of one severity, for people.
    Severity,
}

/// What channels take from the machine that they run on.
#[derive(Clone)]
pub struct Surroundings {
    /// What time it is. Signatures hold it, and a retry must not carry the time of the first attempt.
    pub clock: Clock,
    /// The certificates that are trusted, or why there are none.
    pub roots: Result<Roots, String>,
    /// What requests over `https` go through.
    pub proxy: Option<Proxy>,
    /// Every secret that the environment holds: a program inherits it, and may repeat it when it fails.
    pub secrets: Arc<[Secret]>,
}

/// Tells the time. Only `run` looks at the system's clock, so it is handed in.
pub type Clock = Arc<dyn Fn() -> DateTime<Utc> + Send + Sync>;

/// Certificates of authorities.
pub type Roots = Arc<[CertificateDer<'static>]>;

impl fmt::Debug for Surroundings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let roots = self.roots.as_ref().map(|roots| roots.len());
        f.debug_struct("Surroundings")
            .field("roots", &roots)
            .field("proxy", &self.proxy)
            .finish_non_exhaustive()
    }
}

/// Makes a channel. What is wrong with its configuration, each notice is refused for.
pub fn build(config: ChannelConfig) -> Box<dyn Channel + Send> {
    try_build(&config).unwrap_or_else(unusable)
}

/// Makes a channel.
///
/// # Errors
/// What is wrong with its configuration: a URL that is none, a password that would go in the clear, no certificates to trust.
pub fn try_build(config: &ChannelConfig) -> Result<Box<dyn Channel + Send>, SendError> {
    match &config.place {
        Place::Webhook { url, secret } => webhook::build(url, secret.as_ref(), config),
        Place::Slack { url } => slack::build(url, config),
        Place::Feishu { url, secret } => feishu::build(url, secret.as_ref(), config),
        Place::Dingtalk { url, secret } => dingtalk::build(url, secret.as_ref(), config),
        Place::Wecom { url } => wecom::build(url, config),
        Place::Email(mail) => email::build(mail, config),
        Place::Command(command) => Ok(command::build(command, config)),
    }
}

/// A channel that cannot send, and says why: it fails alone, as one does whose service is down.
pub fn unusable(error: SendError) -> Box<dyn Channel + Send> {
    Box::new(Unusable(error))
}

type Built = Result<Box<dyn Channel + Send>, SendError>;

struct Unusable(SendError);

impl Channel for Unusable {
    fn send(&self, _: &Notification) -> Result<(), SendError> {
        Err(self.0.clone())
    }
}

/// HMAC-SHA256.
fn sign(key: &[u8], message: &[u8]) -> hmac::Tag {
    hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), message)
}
