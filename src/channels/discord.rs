//! Discord's webhooks: an embed, without mentions.

use super::common::{SecretSource, http_url, secrets, text_or_number};
use super::hook::{Success, hook};
use super::http::{Endpoint, Reply, Request};
use super::message::{self, Form, Tone};
use super::text::shorten_to_characters;
use super::{Built, Grouping, Machine, SendError};
use crate::alert::Notification;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::time::Duration;

/// An embed's description may have 4096 characters, and all of the embed 6000.
const FORM: Form = Form {
    escape: escaped,
    link: escaped,
    bullet: "• ",
    newline: "\n  ",
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

secrets!(Config: url);

pub(super) fn build(config: &Config, timeout: Duration, machine: &Machine) -> Built {
    let endpoint = Endpoint::new(&config.url.read("url", machine)?, [], timeout, machine)?;
    let (username, thread) = (config.username.clone(), config.thread_id.clone());
    let requests = move |notification: &Notification| {
        let mut body = body(notification);
        if let Some(name) = &username {
            body["username"] = json!(name);
        }
        let mut request = Request::json(&body);
        if !thread.is_empty() {
            request.query = vec![("thread_id", thread.clone())];
        }
        vec![request]
    };
    hook(endpoint, Grouping::Severity, requests, Success::Reply(check))
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
fn check(reply: &Reply) -> Result<(), SendError> {
    let body = reply.json();
    if reply.status == 204 || reply.is_success() && body["id"].is_string() {
        return Ok(());
    }
    let status = reply.status.as_u16();
    let error = SendError {
        retry_after: reply.retry_after("/retry_after"),
        ..reply.error(&format!("answered with status {status} and not with 204:"))
    };
    Err(match body["code"].as_u64() {
        Some(10015 | 50027) => error.explained("no such webhook; check the url"),
        Some(10003) => error.explained("no such thread; check thread_id"),
        _ => error,
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
