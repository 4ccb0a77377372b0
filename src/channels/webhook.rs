//! Any program that takes JSON by HTTP.

use super::common::{http_url, secrets};
use super::http::{Endpoint, Request};
use super::{
    Built, Channel, Destination, Grouping, Machine, SecretSource, SendError, message, sign,
};
use crate::alert::Notification;
use crate::secret::Secret;
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
    /// Signs the body.
    #[serde(default, skip_serializing_if = "SecretSource::is_unset")]
    pub secret: SecretSource,
}

secrets!(url, secret);

impl Config {
    pub(super) fn build(&self, timeout: Duration, machine: &Machine) -> Built {
        let url = self.url.read("url", machine)?;
        let secret = self.secret.find("secret", machine)?;
        let endpoint = Endpoint::new(&url, secret.as_ref(), timeout, machine)?;
        Ok(Box::new(Webhook { endpoint, secret }))
    }
}

struct Webhook {
    endpoint: Endpoint,
    secret: Option<Secret>,
}

impl Channel for Webhook {
    fn send(&self, notification: &Notification) -> Result<(), SendError> {
        let body = message::document(notification);
        let signature = self.secret.as_ref().map(|secret| signature(secret.expose(), &body));
        let header = signature.as_deref().map(|signature| (SIGNATURE, signature));
        self.endpoint.post(&Request {
            headers: header.as_slice(),
            body: &body,
            ..Request::default()
        })
    }

    fn destination(&self) -> Destination {
        self.endpoint.destination()
    }

    fn grouping(&self) -> Grouping {
        Grouping::Run
    }
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
