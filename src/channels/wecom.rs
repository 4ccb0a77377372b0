//! Group robots of WeCom (企业微信): Markdown.

use super::codes::Codes;
use super::hook::{Success, UrlKeys, hook};
use super::http::Request;
use super::message::{self, Form, Tone};
use super::text::full_width_markdown;
use super::{Built, Grouping, Machine};
use crate::alert::Notification;
use crate::outcome::Severity;
use serde_json::{Value, json};
use std::time::Duration;

/// The most that `markdown.content` may have, in bytes.
const LIMIT: usize = 4096;

const CODES: Codes = Codes {
    code: "errcode",
    text: "errmsg",
    // More than 20 messages in a minute, too many at once; and the service is busy.
    temporary: &[(45009, "throttled"), (45033, "throttled"), (-1, "the service is busy")],
    permanent: &[(93000, "no such robot; check the url")],
};

/// `type = "wecom"`
pub type Config = UrlKeys;

pub(super) fn build(config: &Config, timeout: Duration, machine: &Machine) -> Built {
    let endpoint = config.endpoint(timeout, machine)?;
    let requests = |notification: &Notification| vec![Request::json(&body(notification))];
    hook(endpoint, Grouping::Severity, requests, Success::Reply(|reply| CODES.check(reply)))
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
        link: str::to_owned,
        bullet: "> ",
        newline: "\n> ",
        limit: LIMIT - head.len() - origin.len(),
        measure: message::bytes,
    };
    format!("{head}{}{origin}", message::lines(notification, &form))
}

/// WeCom knows three colours: orange, green and grey.
fn colour(tone: Tone) -> &'static str {
    match tone {
        Tone::Firing(Severity::Info) => "comment",
        Tone::Firing(_) => "warning",
        Tone::Resolved => "info",
    }
}
