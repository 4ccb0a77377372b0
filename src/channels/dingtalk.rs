//! Custom robots of DingTalk: Markdown.

use super::codes::Codes;
use super::common::{http_url, secrets};
use super::http::{Endpoint, Request};
use super::message::{self, Form, Tone};
use super::text::full_width_markdown;
use super::{Built, Channel, Destination, Machine, SecretSource, SendError, sign};
use crate::alert::Notification;
use crate::secret::Secret;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::time::Duration;

const FORM: Form = Form {
    escape: full_width_markdown,
    bullet: "- ",
    separator: "\n",
    // A message may have 20,000 bytes.
    limit: 16_000,
    measure: message::json_bytes,
};

const CODES: Codes = Codes {
    code: "errcode",
    text: "errmsg",
    // More than 20 messages in a minute, in the older and the newer interface; and the service is busy.
    throttled: &[130_101, 660_026, 410_100, -1],
    explain,
};

/// `type = "dingtalk"`
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize)]
pub struct Config {
    #[serde(with = "http_url")]
    pub url: SecretSource,
    /// Signs the requests, if the robot is set to check signatures.
    #[serde(default, skip_serializing_if = "SecretSource::is_unset")]
    pub secret: SecretSource,
}

secrets!(url, secret);

impl Config {
    pub(super) fn build(&self, timeout: Duration, machine: &Machine) -> Built {
        let url = self.url.read("url", machine)?;
        let secret = self.secret.find("secret", machine)?;
        let endpoint = Endpoint::new(&url, secret.as_ref(), timeout, machine)?;
        Ok(Box::new(Dingtalk { endpoint, secret }))
    }
}

struct Dingtalk {
    endpoint: Endpoint,
    secret: Option<Secret>,
}

impl Channel for Dingtalk {
    fn send(&self, notification: &Notification) -> Result<(), SendError> {
        let milliseconds = self.endpoint.now().timestamp_millis();
        let secret = self.secret.as_ref();
        let signed = secret
            .map(|secret| (milliseconds.to_string(), signature(secret.expose(), milliseconds)));
        let query = signed
            .as_ref()
            .map(|(time, sign)| [("timestamp", time.as_str()), ("sign", sign.as_str())]);
        let answer = self.endpoint.ask(&Request {
            query: query.as_ref().map_or(&[], |query| query.as_slice()),
            body: &body(notification).to_string(),
            ..Request::default()
        })?;
        CODES.check(&self.endpoint, answer)
    }

    fn destination(&self) -> Destination {
        self.endpoint.destination()
    }
}

/// What the codes mean that an operator can do something about.
fn explain(code: i64) -> Option<&'static str> {
    match code {
        130_101 | 660_026 | 410_100 => Some("throttled"),
        -1 => Some("the service is busy"),
        300_005 | 400_101 | 400_106 => Some("no such robot; check the url"),
        310_000 => Some(
            "refused by the robot's security settings: check the secret, this host's clock, the keywords and the list of addresses",
        ),
        _ => None,
    }
}

/// Key and message are the other way round than in Feishu's. Percent-encoded where it goes into the query.
fn signature(secret: &str, milliseconds: i64) -> String {
    let message = format!("{milliseconds}\n{secret}");
    STANDARD.encode(sign(secret.as_bytes(), message.as_bytes()))
}

fn body(notification: &Notification) -> Value {
    let title = full_width_markdown(&message::title(notification));
    let (host, time) = message::labels(notification.language);
    let text = format!(
        "### <font color=\"{}\">{title}</font>\n\n{}\n\n> {host}: {}  {time}: {}",
        Tone::of(notification).colour(),
        message::lines(notification, &FORM),
        full_width_markdown(&message::host(notification)),
        message::time(notification),
    );
    json!({
        "msgtype": "markdown",
        // What a phone's notification shows.
        "markdown": {"title": title, "text": text},
        "at": {"atMobiles": [], "atUserIds": [], "isAtAll": false},
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// DingTalk publishes a vector for its logins alone, whose message is the time without the secret; it pins the key, the digest and
    /// the encoding. (Its documentation of login without a password, "计算签名".)
    #[test]
    fn the_secret_is_the_key_as_in_the_published_example() {
        let tag = sign(b"testappSecret", b"1546084445901");
        assert_eq!(STANDARD.encode(tag), "HCbG3xNE3vzhO+u7qCUL1jS5hsu2n5r2cFhnTrtyDAE=");
    }

    /// Of Python's `hmac`: `base64.b64encode(hmac.new(secret.encode(), f"{t}\n{secret}".encode(), "sha256").digest())`
    #[test]
    fn the_time_and_the_secret_are_the_message() {
        for (secret, milliseconds, expected) in [
            ("SECtest", 1_577_262_236_757, "Za/ne6w2koB8B4ROVlgTNd/X+/FbyDpZrXLz57xNZSA="),
            ("SEC-密钥", 1_701_453_601_000, "Z3+6Iy0Ha51LRTaWJINKFAZGKqtqXA0hMEXVpwW27ck="),
        ] {
            assert_eq!(signature(secret, milliseconds), expected);
        }
    }
}
