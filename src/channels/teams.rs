//! Microsoft Teams, by a webhook of its Workflows: an Adaptive Card.

use super::hook::{Success, UrlKeys, hook};
use super::http::{Reply, Request};
use super::message::{self, Form, Tone, json_bytes};
use super::{Built, Grouping, Machine, SendError};
use crate::alert::Notification;
use crate::outcome::Severity;
use serde_json::{Value, json};
use std::time::Duration;

/// A message may have 28 KB; title, origin and the frame take less than 3.
const FORM: Form = Form {
    escape: str::to_owned,
    link: str::to_owned,
    bullet: "• ",
    newline: "\n  ",
    limit: 25_000,
    measure: |text| json_bytes(text) + text.lines().count() * BLOCK,
};

/// What the JSON around one line takes, in bytes.
const BLOCK: usize = 100;

/// `type = "teams"`
pub type Config = UrlKeys;

pub(super) fn build(config: &Config, timeout: Duration, machine: &Machine) -> Built {
    let endpoint = config.endpoint(timeout, machine)?;
    let requests = |notification: &Notification| vec![Request::json(&body(notification))];
    hook(endpoint, Grouping::Severity, requests, Success::Reply(check))
}

/// The text of a `TextRun` is literal; that of a `TextBlock` would be Markdown.
fn body(notification: &Notification) -> Value {
    let paragraph = |run: Value| json!({"type": "RichTextBlock", "inlines": [run]});
    let title = json!({
        "type": "TextRun",
        "text": message::title(notification),
        "weight": "bolder",
        "size": "medium",
        "color": colour(Tone::of(notification)),
    });
    let origin = json!({
        "type": "TextRun",
        "text": message::origin(notification),
        "size": "small",
        "isSubtle": true,
    });
    let lines = message::lines(notification, &FORM);
    let lines = lines.lines().map(|line| json!({"type": "TextRun", "text": line}));
    let card: Vec<Value> =
        [title].into_iter().chain(lines).chain([origin]).map(paragraph).collect();
    json!({
        "type": "message",
        "attachments": [{
            "contentType": "application/vnd.microsoft.card.adaptive",
            "contentUrl": null,
            "content": {
                "$schema": "http://adaptivecards.io/schemas/adaptive-card.json",
                "type": "AdaptiveCard",
                "version": "1.4",
                "msteams": {"width": "Full"},
                "body": card,
            },
        }],
    })
}

/// The name of a card's colour.
fn colour(tone: Tone) -> &'static str {
    match tone {
        Tone::Firing(Severity::Critical | Severity::Error) => "attention",
        Tone::Firing(Severity::Warning) => "warning",
        Tone::Firing(Severity::Info) => "accent",
        Tone::Resolved => "good",
    }
}

/// A workflow answers 202 at once; whether it posts the card, it says to nobody.
fn check(reply: &Reply) -> Result<(), SendError> {
    if reply.status == 202 {
        return Ok(());
    }
    let status = reply.status.as_u16();
    let error = reply.error(&format!(
        "answered with status {status} and not with 202 (is the url that of a workflow?):"
    ));
    Err(match reply.json().pointer("/error/code").and_then(Value::as_str) {
        Some("WorkflowNotFound") => error.explained("no such workflow; check the url"),
        Some("WorkflowTriggerIsNotEnabled") => error.explained("the workflow is turned off"),
        Some("DirectApiAuthorizationRequired" | "AuthorizationFailed") => error.explained(
            "the url lacks its signature, or the workflow does not let anyone trigger it",
        ),
        _ => error,
    })
}
