//! Any program that takes JSON by HTTP.

use super::hook::{SignedUrlKeys, Success, hook};
use super::http::Request;
use super::{Built, Grouping, Machine, message, sign};
use crate::alert::Notification;
use std::time::Duration;

/// Proves that the body is from somebody who knows the secret: `sha256=` and the HMAC-SHA256 of the body in hexadecimal digits, as GitHub's
/// `X-Hub-Signature-256` has it.
const SIGNATURE: &str = "X-Taskmon-Signature";

/// `type = "webhook"`
pub type Config = SignedUrlKeys;

pub(super) fn build(config: &Config, timeout: Duration, machine: &Machine) -> Built {
    let (endpoint, secret) = config.endpoint(timeout, machine)?;
    let requests = move |notification: &Notification| {
        let body = message::document(notification);
        let signature = secret.as_ref().map(|secret| signature(secret.expose(), &body));
        let headers = signature.into_iter().map(|signature| (SIGNATURE, signature)).collect();
        vec![Request { headers, ..Request::json(&body) }]
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
