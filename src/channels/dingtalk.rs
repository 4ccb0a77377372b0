//! Custom robots of DingTalk: Markdown.

use super::codes::Codes;
use super::hook::{SignedUrlKeys, Success, hook};
use super::http::Request;
use super::message::{self, Form, Tone};
use super::text::full_width_markdown;
use super::{Built, Grouping, Machine, sign};
use crate::alert::Notification;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use std::time::Duration;

const FORM: Form = Form {
    escape: full_width_markdown,
    link: str::to_owned,
    bullet: "- ",
    // One line break alone is none to DingTalk.
    newline: "  \n  ",
    // A message may have 20,000 bytes.
    limit: 16_000,
    measure: message::json_bytes,
};

const REFUSED: &str = "refused by the robot's security settings: check the secret, this host's clock, the keywords and the list of addresses";

const CODES: Codes = Codes {
    code: "errcode",
    text: "errmsg",
    temporary: &[
        // More than 20 messages in a minute, in the older and the newer interface.
        (130_101, "throttled"),
        (660_026, "throttled"),
        (410_100, "throttled"),
        (-1, "the service is busy"),
    ],
    permanent: &[
        (300_005, "no such robot; check the url"),
        (400_101, "no such robot; check the url"),
        (400_106, "no such robot; check the url"),
        (310_000, REFUSED),
    ],
};

/// `type = "dingtalk"`: the secret is for a robot that is set to check signatures.
pub type Config = SignedUrlKeys;

pub(super) fn build(config: &Config, timeout: Duration, machine: &Machine) -> Built {
    let (endpoint, secret) = config.endpoint(timeout, machine)?;
    let clock = machine.clock.clone();
    let requests = move |notification: &Notification| {
        let mut request = Request::json(&body(notification));
        if let Some(secret) = &secret {
            let milliseconds = clock().timestamp_millis();
            let signature = signature(secret.expose(), milliseconds);
            request.query = vec![("timestamp", milliseconds.to_string()), ("sign", signature)];
        }
        vec![request]
    };
    hook(endpoint, Grouping::Severity, requests, Success::Reply(|reply| CODES.check(reply)))
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
