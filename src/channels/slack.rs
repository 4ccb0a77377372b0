//! Slack's incoming webhooks.

use super::common::{http_url, secrets};
use super::http::{Endpoint, Request};
use super::message::{self, Form, Tone};
use super::text;
use super::{Built, Channel, Destination, Machine, SecretSource, SendError};
use crate::alert::Notification;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::time::Duration;

const FORM: Form = Form {
    // Slack's own rule: `<!channel>` and `<http://…|text>` are then plain text.
    escape: text::html_brackets,
    bullet: "• ",
    separator: "\n",
    // Slack itself cuts a message of more than 40,000 characters, without a word.
    limit: 30_000,
    measure: message::bytes,
};

/// `type = "slack"`
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize)]
pub struct Config {
    #[serde(with = "http_url")]
    pub url: SecretSource,
}

secrets!(url);

impl Config {
    pub(super) fn build(&self, timeout: Duration, machine: &Machine) -> Built {
        let url = self.url.read("url", machine)?;
        Ok(Box::new(Slack(Endpoint::new(&url, [], timeout, machine)?)))
    }
}

struct Slack(Endpoint);

impl Channel for Slack {
    fn send(&self, notification: &Notification) -> Result<(), SendError> {
        let body = body(notification).to_string();
        let answer = self.0.ask(&Request { body: &body, ..Request::default() })?;
        if let Some(refusal) = answer.refusal {
            return Err(refusal);
        }
        match answer.text.trim() {
            "ok" => Ok(()),
            other => {
                let said = self.0.quote(other);
                Err(self.0.refused(&format!("did not answer ok, but {said}")))
            }
        }
    }

    fn destination(&self) -> Destination {
        self.0.destination()
    }
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
