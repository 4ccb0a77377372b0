//! Slack's incoming webhooks.

use super::hook::{Success, UrlKeys, hook};
use super::http::{Reply, Request};
use super::message::{self, Form, Tone};
use super::text;
use super::{Built, Grouping, Machine, SendError};
use crate::alert::Notification;
use serde_json::{Value, json};
use std::time::Duration;

const FORM: Form = Form {
    // Slack's own rule: `<!channel>` and `<http://…|text>` are then plain text.
    escape: text::html_brackets,
    link: text::html_brackets,
    bullet: "• ",
    newline: "\n  ",
    // Slack itself cuts a message of more than 40,000 characters, without a word.
    limit: 30_000,
    measure: message::bytes,
};

/// `type = "slack"`
pub type Config = UrlKeys;

pub(super) fn build(config: &Config, timeout: Duration, machine: &Machine) -> Built {
    let endpoint = config.endpoint(timeout, machine)?;
    let requests = |notification: &Notification| vec![Request::json(&body(notification))];
    hook(endpoint, Grouping::Severity, requests, Success::Reply(check))
}

fn check(reply: &Reply) -> Result<(), SendError> {
    if reply.is_success() && reply.text.trim() == "ok" {
        return Ok(());
    }
    Err(reply.error("did not answer ok, but"))
}

fn body(notification: &Notification) -> Value {
    let (host, time) = message::labels(notification.language);
    let title = text::html_brackets(&message::title(notification));
    let field = |title: &str, value: String| json!({"title": title, "value": value, "short": true});
    json!({
        // Neither does `#general` become a link, nor `@here` a call.
        "parse": "none",
        "link_names": false,
        "attachments": [{
            "color": Tone::of(notification).colour(),
            "fallback": title,
            "title": title,
            "text": message::lines(notification, &FORM),
            "fields": [
                field(host, text::html_brackets(&message::host(notification))),
                field(time, message::time(notification)),
            ],
            // No part is read as markup.
            "mrkdwn_in": [],
        }],
    })
}
