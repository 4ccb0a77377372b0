//! Any program that takes JSON by HTTP.

use super::http::{Endpoint, Request};
use super::{Built, Channel, ChannelConfig, SendError, message, sign};
use crate::alert::Notification;
use crate::secret::Secret;

/// Proves that the body is from somebody who knows the secret: `sha256=` and the HMAC-SHA256 of the body in hexadecimal digits, as GitHub's
/// `X-Hub-Signature-256` has it.
const SIGNATURE: &str = "X-Taskmon-Signature";

pub fn build(url: &Secret, secret: Option<&Secret>, config: &ChannelConfig) -> Built {
    let endpoint = Endpoint::new(url, secret, config.timeout, &config.surroundings)?;
    let secret = secret.cloned();
    Ok(Box::new(Webhook { endpoint, secret }))
}

struct Webhook {
    endpoint: Endpoint,
    secret: Option<Secret>,
}

impl Channel for Webhook {
    fn send(&self, notice: &Notification) -> Result<(), SendError> {
        let body = message::document(notice);
        let secret = self.secret.as_ref();
        let signature = secret.map(|secret| signature(secret.expose(), &body));
        let signature = signature.as_deref().map(|signature| (SIGNATURE, signature));
        self.endpoint.post(&Request {
            headers: signature.as_slice(),
            body: &body,
            ..Request::default()
        })
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
