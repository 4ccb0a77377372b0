//! A mail server as the configuration names it: its address, how the connection is encrypted, and the login.

use super::redact::Redactor;
use super::{SendError, Server};
use crate::secret::Secret;
use percent_encoding::percent_decode_str;
use serde::{Deserialize, Serialize};

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

/// What the URL and the keys beside it say.
pub struct MailServer {
    pub host: String,
    pub port: u16,
    pub login: Option<Login>,
    pub encryption: Encryption,
    pub redactor: Redactor,
}

pub struct Login {
    pub user: String,
    pub password: Secret,
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
    pub fn shown(&self) -> String {
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
