//! ntfy: push notifications by topic, from ntfy.sh or a server of one's own.

use super::common::{SecretSource, http_url, secrets};
use super::hook::{Success, hook};
use super::http::{Endpoint, Reply, Request};
use super::message::{self, Form, Tone};
use super::{Built, Grouping, Machine, SendError};
use crate::alert::Notification;
use crate::outcome::Severity;
use crate::secret::Secret;
use crate::values;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::time::Duration;

/// The most that a message may have, in bytes; the server turns a longer one into an attachment.
const LIMIT: usize = 4096;

/// `type = "ntfy"`
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize)]
pub struct Config {
    /// `https://ntfy.sh/TOPIC`: whoever knows a topic can read it.
    #[serde(with = "http_url")]
    pub url: SecretSource,
    /// An access token, if the topic is protected.
    #[serde(default, skip_serializing_if = "SecretSource::is_unset")]
    pub token: SecretSource,
    /// Further tags, after the one of the severity.
    #[serde(default, deserialize_with = "values::texts")]
    pub tags: Vec<String>,
}

secrets!(Config: url, token);

pub(super) fn build(config: &Config, timeout: Duration, machine: &Machine) -> Built {
    let url = config.url.read("url", machine)?;
    let token = config.token.find("token", machine)?;
    let (server, topic) = split_topic(&url)?;
    let endpoint = Endpoint::new(&server, token.iter().chain([&topic]), timeout, machine)?;
    if token.is_some() && endpoint.has_login() {
        return Err(SendError::permanent("the url has a login, and there is a token beside it"));
    }
    let tags = config.tags.clone();
    let requests = move |notification: &Notification| {
        let bearer = token.iter().map(|token| format!("Bearer {}", token.expose()));
        let headers = bearer.map(|value| ("Authorization", value)).collect();
        vec![Request { headers, ..Request::json(&body(notification, &topic, &tags)) }]
    };
    hook(endpoint, Grouping::Severity, requests, Success::Reply(check))
}

/// The URL of the server, to which JSON is posted, and the topic.
///
/// # Errors
/// If the URL does not end in a topic. It is not quoted.
fn split_topic(url: &Secret) -> Result<(Secret, Secret), SendError> {
    let url = url.expose();
    let end = url.find(['?', '#']).unwrap_or(url.len());
    let (path, query) = url.split_at(end);
    let is_topic = |topic: &str| {
        let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
        (1..=64).contains(&topic.len()) && topic.chars().all(allowed)
    };
    match path.rsplit_once('/') {
        Some((server, topic)) if server.contains("://") && is_topic(topic) => {
            Ok((Secret::new(format!("{server}/{query}")), Secret::new(topic)))
        }
        _ => Err(SendError::permanent(
            "the url does not end in a topic, as https://ntfy.sh/TOPIC does; a topic has up to 64 letters, digits, - and _",
        )),
    }
}

/// Plain text: without `markdown` no character of it means anything.
fn body(notification: &Notification, topic: &Secret, tags: &[String]) -> Value {
    let origin = format!("\n{}", message::origin(notification));
    let form = Form {
        escape: str::to_owned,
        link: str::to_owned,
        bullet: "• ",
        newline: "\n  ",
        limit: LIMIT - origin.len(),
        measure: message::bytes,
    };
    let (priority, tag) = priority_and_tag(Tone::of(notification));
    let tags: Vec<&str> = [tag].into_iter().chain(tags.iter().map(String::as_str)).collect();
    json!({
        "topic": topic.expose(),
        "title": message::title(notification),
        "message": format!("{}{origin}", message::lines(notification, &form)),
        "priority": priority,
        "tags": tags,
    })
}

/// The priority, from 1 to 5, and the name of an emoji.
fn priority_and_tag(tone: Tone) -> (u8, &'static str) {
    match tone {
        Tone::Firing(Severity::Critical) => (5, "rotating_light"),
        Tone::Firing(Severity::Error) => (4, "x"),
        Tone::Firing(Severity::Warning) => (3, "warning"),
        Tone::Firing(Severity::Info) => (2, "information_source"),
        Tone::Resolved => (2, "white_check_mark"),
    }
}

/// A published message is answered with itself; a page that some proxy puts in between is not one.
fn check(reply: &Reply) -> Result<(), SendError> {
    if reply.is_success() && reply.json()["id"].is_string() {
        return Ok(());
    }
    let error = reply.error("did not answer with the published message, but");
    Err(match reply.status.as_u16() {
        401 | 403 => error.explained("check the token, and what it may do with the topic"),
        _ => error,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_topic_is_the_end_of_the_path() {
        let split = |url: &str| {
            let (server, topic) = split_topic(&Secret::new(url)).ok()?;
            Some((server.expose().to_owned(), topic.expose().to_owned()))
        };
        let expected = |server: &str, topic: &str| Some((server.to_owned(), topic.to_owned()));
        assert_eq!(split("https://ntfy.sh/ops"), expected("https://ntfy.sh/", "ops"));
        assert_eq!(
            split("https://u:p@h:1/push/o-p_s?a=b/c"),
            expected("https://u:p@h:1/push/?a=b/c", "o-p_s")
        );
        for url in
            ["https://ntfy.sh", "https://localhost", "https://ntfy.sh/", "https://ntfy.sh/a.b"]
        {
            assert_eq!(split(url), None, "{url}");
        }
    }
}
