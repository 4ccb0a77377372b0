//! The channels: each sends one notification to one service, once.
//!
//! Whether something is sent at all, which alerts are in it, and whether a failed attempt is repeated is decided outside, in
//! `notify`. A channel knows its own keys, and the markup, signature, limits and error codes of its service.
//!
//! To add one, write `channels/NAME.rs` with a `Config`, which is its keys, and `build`, and add its name below.

mod codes;
mod common;
pub mod heartbeat;
mod helo;
mod hook;
mod http;
mod mail_server;
mod message;
mod proxy;
mod reach;
mod redact;
mod smtp;
mod smtp_connection;
mod template;
mod text;
mod tls;
mod url;

pub mod command;
pub mod dingtalk;
pub mod discord;
pub mod email;
pub mod feishu;
pub mod ntfy;
pub mod pagerduty;
pub mod slack;
pub mod teams;
pub mod telegram;
pub mod webhook;
pub mod wecom;

pub use common::{Common, SecretSource};
pub use helo::qualified_name;
pub use proxy::Proxy;
pub use reach::{reach, reach_url};

use crate::alert::Notification;
use crate::secret::Secret;
use crate::values::InvalidKey;
use chrono::{DateTime, Utc};
use ring::hmac;
use rustls::pki_types::CertificateDer;
use serde::de::{Deserialize, Deserializer, Error as _};
use serde::{Serialize, Serializer};
use serde_json::{Map, Value};
use std::fmt;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

/// What one channel is configured to be: an entry of `[[alerts.channels]]`.
#[derive(Debug, Clone, PartialEq)]
pub struct ChannelConfig {
    pub service: Service,
    pub common: Common,
}

/// Makes the enum of the services, one for each module named, and what depends on which it is.
macro_rules! services {
    ($($module:ident: $Name:ident),* $(,)?) => {
        /// Which service a channel sends to, with the keys of that type alone.
        #[derive(Debug, Clone, PartialEq, Serialize)]
        #[serde(tag = "type", rename_all = "lowercase")]
        pub enum Service {
            $($Name($module::Config)),*
        }

        impl Service {
            /// The words that `type` may be.
            pub const TYPES: &[&str] = &[$(stringify!($module)),*];

            pub fn name(&self) -> &'static str {
                match self {
                    $(Service::$Name(_) => stringify!($module)),*
                }
            }

            /// Which keys of a type may end in `_env` or `_file`; `None`: there is no such type.
            pub fn secret_keys(name: &str) -> Option<&'static [&'static str]> {
                match name {
                    $(stringify!($module) => Some($module::Config::SECRETS),)*
                    _ => None,
                }
            }

            /// Reads the keys that a channel of this type has besides the common ones.
            ///
            /// # Errors
            /// What is wrong with them, or that there is no such type.
            pub fn read<'de, D: Deserializer<'de>>(name: &str, keys: D) -> Result<Self, D::Error> {
                match name {
                    $(stringify!($module) => {
                        $module::Config::deserialize(keys).map(Service::$Name)
                    })*
                    name => Err(D::Error::unknown_variant(name, Self::TYPES)),
                }
            }

            /// The secret keys and where their values come from.
            pub fn secrets(&self) -> Vec<(&'static str, &SecretSource)> {
                match self {
                    $(Service::$Name(config) => config.secrets()),*
                }
            }

            fn secrets_mut(&mut self) -> Vec<&mut SecretSource> {
                match self {
                    $(Service::$Name(config) => config.secrets_mut()),*
                }
            }

            /// The channel, ready to send; `timeout` is for one request or message as a whole, or for the command.
            ///
            /// # Errors
            /// A secret that cannot be read, or a configuration with which nothing can be sent: a URL that is none, a
            /// password that would go in the clear, no certificates to trust.
            pub fn build(&self, timeout: Duration, machine: &Machine) -> Built {
                match self {
                    $(Service::$Name(config) => $module::build(config, timeout, machine)),*
                }
            }
        }
    };
}

services! {
    webhook: Webhook,
    slack: Slack,
    feishu: Feishu,
    dingtalk: Dingtalk,
    wecom: Wecom,
    ntfy: Ntfy,
    telegram: Telegram,
    discord: Discord,
    teams: Teams,
    pagerduty: Pagerduty,
    email: Email,
    command: Command,
}

pub type Built = Result<Box<dyn Channel + Send>, SendError>;

impl ChannelConfig {
    /// # Errors
    /// A key whose value is of the right type and cannot be used.
    pub fn check(&self) -> Result<(), InvalidKey> {
        match &self.service {
            Service::Webhook(config) => config.check(),
            _ => Ok(()),
        }
    }

    pub fn build(&self, machine: &Machine) -> Built {
        self.service.build(self.common.timeout(), machine)
    }

    /// Makes the paths of its secrets absolute.
    pub fn resolve_paths(&mut self, absolute: impl Fn(&Path) -> std::path::PathBuf) {
        for source in self.service.secrets_mut() {
            if let SecretSource::File(path) = source {
                *path = absolute(path);
            }
        }
    }
}

impl Serialize for ChannelConfig {
    /// As the file has it: `url_env = "X"` and not `url = {env = "X"}`.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut keys = Map::new();
        for part in [serde_json::to_value(&self.service), serde_json::to_value(&self.common)] {
            if let Value::Object(part) = part.map_err(serde::ser::Error::custom)? {
                keys.extend(part);
            }
        }
        let unfolded = keys.into_iter().map(|(key, value)| match &value {
            Value::Object(source) => match source.iter().next() {
                Some((form, place)) => (format!("{key}_{form}"), place.clone()),
                None => (key, value),
            },
            _ => (key, value),
        });
        serializer.collect_map(unfolded)
    }
}

/// A service that notifications are sent to.
pub trait Channel {
    /// Sends one notification, in one attempt that the channel's time limit bounds as a whole.
    ///
    /// # Errors
    /// What went wrong, whether another attempt may help, and when. Success means that the service said so.
    fn send(&self, notification: &Notification) -> Result<(), SendError>;

    /// Where it sends to, for [`reach`].
    fn destination(&self) -> Destination;

    /// Which alerts go into one notification.
    fn grouping(&self) -> Grouping {
        Grouping::Severity
    }
}

/// Which alerts go into one notification.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Grouping {
    /// All of a run, for programs.
    Run,
    /// Those of one severity, for people.
    Severity,
    /// One, for services that keep an incident for each.
    Alert,
}

/// What has to be there for a channel to send.
#[derive(Debug, Clone, PartialEq)]
pub enum Destination {
    Server(Server),
    Program(String),
}

/// A server that a channel connects to.
#[derive(Debug, Clone, PartialEq)]
pub struct Server {
    pub host: String,
    pub port: u16,
    /// Whether the first bytes on a connection are those of TLS.
    pub starts_with_tls: bool,
    /// The host and the port of the proxy through which it is reached.
    pub proxy: Option<(String, u16)>,
}

/// Why a notification was not accepted. Its text holds no secret: no part of a URL's path or query, no password, no signing key.
#[derive(Debug, Clone, PartialEq)]
pub struct SendError {
    /// One sentence that names the service's host.
    pub message: String,
    /// Whether the same notification would be refused again: a wrong address, a wrong signature, a mistake in the configuration.
    pub permanent: bool,
    /// How long the service asked to wait before the next attempt.
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

    /// The same with what an operator can do about it.
    fn explained(self, hint: &str) -> Self {
        Self { message: format!("{} ({hint})", self.message), ..self }
    }
}

impl fmt::Display for SendError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for SendError {}

/// What channels take from the machine that they run on.
#[derive(Clone)]
pub struct Machine {
    /// What time it is. Signatures hold it, and a retry must not carry the time of the first attempt.
    pub clock: Clock,
    /// The certificates that are trusted, or why there are none.
    pub roots: Result<Roots, String>,
    /// What requests over `https` go through.
    pub proxy: Option<Proxy>,
    /// The host's fully qualified name, if it has one.
    pub qualified_name: Option<String>,
    /// Every secret in the environment: a program inherits it, and may print it when it fails.
    pub inherited: Arc<[Secret]>,
    /// Reads an environment variable; empty counts as unset.
    pub variable: Variables,
}

/// Reads the time. Only `run` looks at the system's clock, so it is handed in.
pub type Clock = Arc<dyn Fn() -> DateTime<Utc> + Send + Sync>;

/// Certificates of authorities.
pub type Roots = Arc<[CertificateDer<'static>]>;

pub type Variables = Arc<dyn Fn(&str) -> Result<Option<String>, String> + Send + Sync>;

impl fmt::Debug for Machine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let roots = self.roots.as_ref().map(|roots| roots.len());
        f.debug_struct("Machine")
            .field("roots", &roots)
            .field("proxy", &self.proxy)
            .finish_non_exhaustive()
    }
}

/// HMAC-SHA256.
fn sign(key: &[u8], message: &[u8]) -> hmac::Tag {
    hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), message)
}
