//! Group robots of WeCom (企业微信): Markdown.

use super::codes::Codes;
use super::common::{http_url, secrets};
use super::http::{Endpoint, Request};
use super::message::{self, Form, Tone};
use super::text::full_width_markdown;
use super::{Built, Channel, Destination, Machine, SecretSource, SendError};
use crate::alert::Notification;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::time::Duration;

/// The most that `markdown.content` may have, in bytes.
const LIMIT: usize = 4096;

const CODES: Codes = Codes {
    code: "errcode",
    text: "errmsg",
    // More than 20 messages in a minute, too many at once; and the service is busy.
    throttled: &[45009, 45033, -1],
    explain,
};

/// `type = "wecom"`
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize)]
pub struct Config {
    #[serde(with = "http_url")]
    pub url: SecretSource,
}

secrets!(url);

impl Config {
    pub(super) fn build(&self, timeout: Duration, machine: &Machine) -> Built {
        let url = self.url.read("url", machine)?;
        Ok(Box::new(Wecom(Endpoint::new(&url, [], timeout, machine)?)))
    }
}

struct Wecom(Endpoint);

impl Channel for Wecom {
    fn send(&self, notification: &Notification) -> Result<(), SendError> {
        let answer =
            self.0.ask(&Request { body: &body(notification).to_string(), ..Request::default() })?;
        CODES.check(&self.0, answer)
    }

    fn destination(&self) -> Destination {
        self.0.destination()
    }
}

/// What the codes mean that an operator can do something about.
fn explain(code: i64) -> Option<&'static str> {
    match code {
        45009 | 45033 => Some("throttled"),
        -1 => Some("the service is busy"),
        93000 => Some("no such robot; check the url"),
        _ => None,
    }
}

fn body(notification: &Notification) -> Value {
    json!({"msgtype": "markdown", "markdown": {"content": content(notification)}})
}

fn content(notification: &Notification) -> String {
    let (host, time) = message::labels(notification.language);
    let head = format!(
        "**<font color=\"{}\">{}</font>**\n",
        colour(Tone::of(notification)),
        full_width_markdown(&message::title(notification)),
    );
    let origin = format!(
        "\n<font color=\"comment\">{host}: {}  {time}: {}</font>",
        full_width_markdown(&message::host(notification)),
        message::time(notification),
    );
    let form = Form {
        escape: full_width_markdown,
        bullet: "> ",
        separator: "\n",
        limit: LIMIT - head.len() - origin.len(),
        measure: message::bytes,
    };
    format!("{head}{}{origin}", message::lines(notification, &form))
}

/// WeCom knows three colours: orange, green and grey.
fn colour(tone: Tone) -> &'static str {
    match tone {
        Tone::Firing(_) => "warning",
        Tone::Resolved => "info",
    }
}
