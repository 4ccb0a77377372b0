//! Discord's webhooks: an embed, without mentions.

use super::common::{http_url, secrets, text_or_number};
use super::http::{Endpoint, Reply, Request};
use super::message::{self, Form, Tone};
use super::text::shorten_to_characters;
use super::{Built, Channel, Destination, Machine, SecretSource, SendError};
use crate::alert::Notification;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::time::Duration;

/// An embed's description may have 4096 characters, and all of the embed 6000.
const FORM: Form = Form {
    escape: escaped,
    bullet: "• ",
    separator: "\n",
    limit: 4096,
    measure: message::utf16_units,
};

/// How much of a title is shown, in characters: escaped, it may have 256.
const LONGEST_TITLE: usize = 120;

/// `type = "discord"`
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize)]
pub struct Config {
    #[serde(with = "http_url")]
    pub url: SecretSource,
    /// A name in place of the webhook's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub username: Option<String>,
    /// The thread of the channel that the messages go to.
    #[serde(
        default,
        skip_serializing_if = "String::is_empty",
        deserialize_with = "text_or_number"
    )]
    pub thread_id: String,
}

secrets!(url);

impl Config {
    pub(super) fn build(&self, timeout: Duration, machine: &Machine) -> Built {
        let url = self.url.read("url", machine)?;
        let endpoint = Endpoint::new(&url, [], timeout, machine)?;
        Ok(Box::new(Discord { endpoint, config: self.clone() }))
    }
}

struct Discord {
    endpoint: Endpoint,
    config: Config,
}

impl Channel for Discord {
    fn send(&self, notification: &Notification) -> Result<(), SendError> {
        let mut body = body(notification);
        if let Some(name) = &self.config.username {
            body["username"] = json!(name);
        }
        let thread = [("thread_id", self.config.thread_id.as_str())];
        let reply = self.endpoint.ask(&Request {
            query: if self.config.thread_id.is_empty() { &[] } else { &thread },
            body: &body.to_string(),
            ..Request::default()
        })?;
        check(&self.endpoint, reply)
    }

    fn destination(&self) -> Destination {
        self.endpoint.destination()
    }
}

fn body(notification: &Notification) -> Value {
    let title = shorten_to_characters(&message::title(notification), LONGEST_TITLE);
    let colour = Tone::of(notification).colour().trim_start_matches('#');
    json!({
        // Neither `@everyone` nor `<@ID>` calls anybody.
        "allowed_mentions": {"parse": []},
        "embeds": [{
            "title": escaped(&title),
            "description": message::lines(notification, &FORM),
            "color": u32::from_str_radix(colour, 16).unwrap_or_default(),
            // Not read as Markdown.
            "footer": {"text": message::origin(notification)},
        }],
    })
}

/// Discord's Markdown takes a backslash before any punctuation. `:` keeps `http://` and `:name:` from becoming links and emoji.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        if "\\*_~`|<>[]()#:@".contains(c) {
            out.push('\\');
        }
        out.push(c);
    }
    out
}

/// 204 without a body, or 200 with the message if the URL has `wait=true`.
fn check(endpoint: &Endpoint, reply: Reply) -> Result<(), SendError> {
    let retry_after = reply.retry_after("/retry_after");
    let answer = reply.json();
    let Some(mut refusal) = reply.refusal else {
        if reply.status == 204 || answer.get("id").is_some_and(Value::is_string) {
            return Ok(());
        }
        let said = endpoint.quote(&reply.text);
        let status = reply.status;
        return Err(
            endpoint.refused(&format!("answered with status {status} and not with 204: {said}"))
        );
    };
    refusal.retry_after = retry_after.or(refusal.retry_after);
    Err(match answer.get("code").and_then(Value::as_u64) {
        Some(10015 | 50027) => refusal.explained("no such webhook; check the url"),
        Some(10003) => refusal.explained("no such thread; check thread_id"),
        _ => refusal,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_mark_is_escaped() {
        assert_eq!(
            escaped("**b** [x](http://e) <@1> @everyone `c` snake_case |s|"),
            r"\*\*b\*\* \[x\]\(http\://e\) \<\@1\> \@everyone \`c\` snake\_case \|s\|"
        );
    }
}
