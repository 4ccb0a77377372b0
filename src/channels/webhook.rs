//! Any program that takes JSON by HTTP, or what a template makes of it.

use super::common::{SecretSource, http_url, secrets};
use super::hook::{Success, hook};
use super::http::{Content, Endpoint, Request};
use super::template::{self, Escape};
use super::{Built, Grouping, Machine, message, sign};
use crate::alert::Notification;
use crate::values::InvalidKey;
use serde::de::{Deserializer, Error as _};
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// Proves that the body is from somebody who knows the secret: `sha256=` and the HMAC-SHA256 of the body in hexadecimal digits, as GitHub's
/// `X-Hub-Signature-256` has it.
const SIGNATURE: &str = "X-Taskmon-Signature";

/// `type = "webhook"`
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize)]
pub struct Config {
    #[serde(with = "http_url")]
    pub url: SecretSource,
    /// Signs the requests.
    #[serde(default, skip_serializing_if = "SecretSource::is_unset")]
    pub secret: SecretSource,
    /// The body, with fields such as `{message}`. `None`: the document that the manual describes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub body: Option<String>,
    /// What the body is, as the header of this name has it.
    #[serde(default = "json", deserialize_with = "content_type")]
    pub content_type: String,
}

secrets!(Config: url, secret);

fn json() -> String {
    "application/json; charset=utf-8".to_owned()
}

fn content_type<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    let text = String::deserialize(deserializer)?;
    let is_allowed = |c: char| c == ' ' || c.is_ascii_graphic();
    if text.contains('/') && text.chars().all(is_allowed) {
        Ok(text)
    } else {
        Err(D::Error::custom("a media type such as \"text/plain; charset=utf-8\""))
    }
}

impl Config {
    /// # Errors
    /// The body is none that could be filled in.
    pub fn check(&self) -> Result<(), InvalidKey> {
        let Some(body) = &self.body else {
            return Ok(());
        };
        let escape = Escape::of(&self.content_type);
        template::check(body, escape).map_err(|why| {
            let invalid = InvalidKey::new("body", why);
            match escape {
                Escape::Json => invalid.hint("A text is to be in quotes: {\"text\": \"{message}\"}. Another type of body is named with `content_type`."),
                Escape::Form | Escape::Nothing => invalid,
            }
        })
    }

    fn render(&self, notification: &Notification) -> String {
        match &self.body {
            Some(body) => template::fill(body, notification, Escape::of(&self.content_type)),
            None => message::document(notification),
        }
    }
}

pub(super) fn build(config: &Config, timeout: Duration, machine: &Machine) -> Built {
    let url = config.url.read("url", machine)?;
    let secret = config.secret.find("secret", machine)?;
    let endpoint = Endpoint::new(&url, &secret, timeout, machine)?;
    let config = config.clone();
    let requests = move |notification: &Notification| {
        let body = config.render(notification);
        let signature = secret.as_ref().map(|secret| signature(secret.expose(), &body));
        let headers = signature.into_iter().map(|signature| (SIGNATURE, signature)).collect();
        let content = Content::Other(config.content_type.clone());
        vec![Request { headers, content, body, ..Request::default() }]
    };
    hook(endpoint, Grouping::Run, requests, Success::Status)
}

fn signature(secret: &str, body: &str) -> String {
    let tag = sign(secret.as_bytes(), body.as_bytes());
    let digits: Vec<String> = tag.as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
    format!("sha256={}", digits.concat())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example of GitHub's "Validating webhook deliveries".
    #[test]
    fn a_body_is_signed_as_the_published_example_says() {
        assert_eq!(
            signature("It's a Secret to Everybody", "Hello, World!"),
            "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17"
        );
    }
}
