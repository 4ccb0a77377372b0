//! Group robots of WeCom (企业微信): Markdown.

use super::http::{Codes, Endpoint, Request};
use super::message::{self, Form, Tone};
use super::{Built, Channel, ChannelConfig, SendError};
use crate::alert::Notification;
use crate::secret::Secret;
use serde_json::{Value, json};

/// The most that `markdown.content` may have, in bytes.
const LIMIT: usize = 4096;

const CODES: Codes = Codes {
    code: "errcode",
    text: "errmsg",
    // More than 20 messages in a minute, too many at once; and the service is busy.
    throttled: &[45009, 45033, -1],
    explain,
};

pub fn build(url: &Secret, config: &ChannelConfig) -> Built {
    let endpoint = Endpoint::new(url, None, config.timeout, &config.surroundings)?;
    Ok(Box::new(Wecom(endpoint)))
}

struct Wecom(Endpoint);

impl Channel for Wecom {
    fn send(&self, notice: &Notification) -> Result<(), SendError> {
        let answer =
            self.0.ask(&Request { body: &body(notice).to_string(), ..Request::default() })?;
        CODES.check(&self.0, answer)
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

fn body(notice: &Notification) -> Value {
    json!({"msgtype": "markdown", "markdown": {"content": content(notice)}})
}

fn content(notice: &Notification) -> String {
    let (host, time) = message::labels(notice.language);
    let head = format!(
        "**<font color=\"{}\">{}</font>**\n",
        colour(Tone::of(notice)),
        message::markdown(&message::title(notice)),
    );
    let origin = format!(
        "\n<font color=\"comment\">{host}: {}  {time}: {}</font>",
        message::markdown(&message::host(notice)),
        message::time(notice),
    );
    let form = Form {
        escape: message::markdown,
        bullet: "> ",
        separator: "\n",
        limit: LIMIT - head.len() - origin.len(),
        measure: message::bytes,
    };
    format!("{head}{}{origin}", message::lines(notice, &form))
}

/// WeCom knows three colours: orange, green and grey.
fn colour(tone: Tone) -> &'static str {
    match tone {
        Tone::Firing(_) => "warning",
        Tone::Resolved => "info",
    }
}
