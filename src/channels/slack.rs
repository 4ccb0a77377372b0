//! Slack's incoming webhooks.

use super::http::{Endpoint, Request};
use super::message::{self, Form, Tone};
use super::{Built, Channel, ChannelConfig, SendError};
use crate::alert::Notification;
use crate::secret::Secret;
use serde_json::{Value, json};

const FORM: Form = Form {
    escape: escaped,
    bullet: "• ",
    separator: "\n",
    // Slack itself cuts a message of more than 40,000 characters, without a word.
    limit: 30_000,
    measure: message::bytes,
};

pub fn build(url: &Secret, config: &ChannelConfig) -> Built {
    let endpoint = Endpoint::new(url, None, config.timeout, &config.surroundings)?;
    Ok(Box::new(Slack(endpoint)))
}

struct Slack(Endpoint);

impl Channel for Slack {
    fn send(&self, notice: &Notification) -> Result<(), SendError> {
        let body = body(notice).to_string();
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
}

fn body(notice: &Notification) -> Value {
    let (host, time) = message::labels(notice.language);
    let title = escaped(&message::title(notice));
    let field = |title: &str, value: String| json!({"title": title, "value": value, "short": true});
    json!({
        // Neither does `#general` become a link, nor `@here` a call.
        "parse": "none",
        "link_names": false,
        "attachments": [{
            "color": Tone::of(notice).colour(),
            "fallback": title,
            "title": title,
            "text": message::lines(notice, &FORM),
            "fields": [
                field(host, escaped(&message::host(notice))),
                field(time, message::time(notice)),
            ],
            // No part is read as markup.
            "mrkdwn_in": [],
        }],
    })
}

/// Slack's own rule: these three characters, and no others. `<!channel>` and `<http://…|text>` are then plain text.
fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}
