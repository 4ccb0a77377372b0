//! Custom bots of Feishu (Lark): a card in plain text.

use super::codes::Codes;
use super::hook::{SignedUrlKeys, Success, hook};
use super::http::Request;
use super::message::{self, Form, Tone};
use super::{Built, Grouping, Machine, sign};
use crate::alert::Notification;
use crate::outcome::Severity;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use std::time::Duration;

const FORM: Form = Form {
    escape: str::to_owned,
    link: str::to_owned,
    bullet: "• ",
    newline: "\n  ",
    // A request may have 20 KB; the rest of the card takes less than 2.
    limit: 16_000,
    measure: message::json_bytes,
};

const CODES: Codes = Codes {
    code: "code",
    text: "msg",
    // More than 5 messages in a second or 100 in a minute, or the service is busy.
    temporary: &[(11232, "throttled")],
    permanent: &[
        (19001, "no such bot; check the url"),
        (19021, "wrong signature: check the secret and this host's clock"),
        (19022, "this host's address is not on the bot's list"),
        (19024, "none of the bot's keywords is in the message"),
    ],
};

/// `type = "feishu"`: the secret is for a bot that is set to check signatures.
pub type Config = SignedUrlKeys;

pub(super) fn build(config: &Config, timeout: Duration, machine: &Machine) -> Built {
    let (endpoint, secret) = config.endpoint(timeout, machine)?;
    let clock = machine.clock.clone();
    let requests = move |notification: &Notification| {
        let mut body = body(notification);
        if let Some(secret) = &secret {
            let seconds = clock().timestamp();
            body["timestamp"] = json!(seconds.to_string());
            body["sign"] = json!(signature(secret.expose(), seconds));
        }
        vec![Request::json(&body)]
    };
    hook(endpoint, Grouping::Severity, requests, Success::Reply(|reply| CODES.check(reply)))
}

/// Key and message are the other way round than one expects: what is signed is the empty message.
fn signature(secret: &str, seconds: i64) -> String {
    STANDARD.encode(sign(format!("{seconds}\n{secret}").as_bytes(), b""))
}

/// A card of `plain_text` elements alone: in them neither `<at …>` nor Markdown means anything.
fn body(notification: &Notification) -> Value {
    let plain = |text: String| json!({"tag": "plain_text", "content": text});
    json!({
        "msg_type": "interactive",
        "card": {
            "config": {"wide_screen_mode": true},
            "header": {"template": template(Tone::of(notification)), "title": plain(message::title(notification))},
            "elements": [
                {"tag": "div", "text": plain(message::lines(notification, &FORM))},
                {"tag": "note", "elements": [plain(message::origin(notification))]},
            ],
        },
    })
}

/// The name of a card's colour.
fn template(tone: Tone) -> &'static str {
    match tone {
        Tone::Firing(Severity::Critical) => "red",
        Tone::Firing(Severity::Error) => "orange",
        Tone::Firing(Severity::Warning) => "yellow",
        Tone::Firing(Severity::Info) => "blue",
        Tone::Resolved => "green",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Feishu's guide gives the time and the secret of the first one and no result. The results are of Python's `hmac`:
    /// `base64.b64encode(hmac.new(f"{t}\n{secret}".encode(), digestmod="sha256").digest())`
    #[test]
    fn the_time_and_the_secret_are_the_key() {
        for (secret, seconds, expected) in FEISHU {
            assert_eq!(signature(secret, seconds), expected);
        }
    }

    const FEISHU: [(&str, i64, &str); 2] = [
        ("demo", 1_599_360_473, "l1N0gAcBjdwBvGm1xMjOF0XSyaLRpR7tuO5dHfhAYc8="),
        ("SEC-密钥", 1_701_453_601, "5Z+blScvH+H7lfA1FUJ5E0DiAwErKXPMRm7hQ6U22dg="),
    ];
}
