//! Telegram: a bot's `sendMessage`, in the Bot API's HTML.

use super::common::{SecretSource, http_url, secrets, text_or_number};
use super::hook::{Success, hook};
use super::http::{Endpoint, Reply, Request};
use super::message::{self, Form, utf16_units};
use super::text::html_brackets;
use super::{Built, Grouping, Machine, SendError};
use crate::alert::Notification;
use crate::secret::Secret;
use serde::{Deserialize, Serialize};
use serde_json::json;
use std::time::Duration;

/// The most that a text may have, in UTF-16 code units, after its markup is parsed.
const LIMIT: usize = 4096;

/// `type = "telegram"`
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize)]
pub struct Config {
    /// The bot's, as @BotFather gives it: `123456:ABC-DEF`.
    pub token: SecretSource,
    /// The number of a chat, negative for a group, or `@name` of a channel.
    #[serde(deserialize_with = "text_or_number")]
    pub chat_id: String,
    /// The topic of a group that has topics.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message_thread_id: Option<u64>,
    /// Where the Bot API is served.
    #[serde(default = "bot_api", with = "http_url")]
    pub api_url: SecretSource,
}

secrets!(Config: token, api_url);

fn bot_api() -> SecretSource {
    SecretSource::Text(Secret::new("https://api.telegram.org"))
}

pub(super) fn build(config: &Config, timeout: Duration, machine: &Machine) -> Built {
    let token = config.token.read("token", machine)?;
    let api = config.api_url.read("api_url", machine)?;
    let url = format!("{}/bot{}/sendMessage", api.expose().trim_end_matches('/'), token.expose());
    let endpoint = Endpoint::new(&Secret::new(url), [&token], timeout, machine)?;
    if !is_token(token.expose()) {
        return Err(SendError::permanent(
            "the token is not a number, a colon and letters, as @BotFather gives it",
        ));
    }
    let (chat_id, thread_id) = (config.chat_id.clone(), config.message_thread_id);
    let requests = move |notification: &Notification| {
        let mut body = json!({
            "chat_id": chat_id,
            "text": text(notification),
            "parse_mode": "HTML",
            "link_preview_options": {"is_disabled": true},
        });
        if let Some(thread) = thread_id {
            body["message_thread_id"] = json!(thread);
        }
        vec![Request::json(&body)]
    };
    hook(endpoint, Grouping::Severity, requests, Success::Reply(check))
}

/// It becomes part of the URL's path.
fn is_token(token: &str) -> bool {
    let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
    token.split_once(':').is_some_and(|(number, rest)| {
        !number.is_empty()
            && number.bytes().all(|byte| byte.is_ascii_digit())
            && !rest.is_empty()
            && rest.chars().all(allowed)
    })
}

fn text(notification: &Notification) -> String {
    let head = format!("<b>{}</b>\n\n", escaped(&message::title(notification)));
    let origin = format!("\n\n<i>{}</i>", escaped(&message::origin(notification)));
    let form = Form {
        escape: escaped,
        link: escaped,
        bullet: "• ",
        newline: "\n  ",
        limit: LIMIT - shown_units(&head) - shown_units(&origin),
        measure: shown_units,
    };
    format!("{head}{}{origin}", message::lines(notification, &form))
}

/// `@name` outside of markup would notify whoever has that name.
fn escaped(text: &str) -> String {
    html_brackets(text).replace('@', "＠")
}

/// The length of what is shown of an escaped text. The few tags of the frame are counted as text.
fn shown_units(text: &str) -> usize {
    utf16_units(&text.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&"))
}

/// `{"ok": true}`, or a code, a description, and perhaps how long to wait.
fn check(reply: &Reply) -> Result<(), SendError> {
    let body = reply.json();
    if reply.is_success() && body["ok"] == true {
        return Ok(());
    }
    let code = body["error_code"].as_u64();
    let description = body["description"].as_str().unwrap_or_default();
    let error = match code {
        Some(code) if reply.is_success() => SendError {
            permanent: !(code == 429 || code >= 500),
            ..reply.refused(&format!("answered with error {code}: {}", reply.quote(description)))
        },
        _ => reply.error("answered without \"ok\":"),
    };
    let error = SendError { retry_after: reply.retry_after("/parameters/retry_after"), ..error };
    if let Some(chat) = body["parameters"]["migrate_to_chat_id"].as_i64() {
        return Err(
            error.explained(&format!("the group has become a supergroup: its chat_id is {chat}"))
        );
    }
    Err(match code {
        Some(401 | 404) => error.explained("check the token"),
        Some(403) => error.explained("the bot is not in the chat, or may not write there"),
        Some(400) if description.contains("chat not found") => {
            error.explained("check chat_id; the bot has to be in the chat")
        }
        _ => error,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_cannot_change_the_path() {
        for (token, expected) in [
            ("123456:ABC-DEF_ghi", true),
            ("123456:", false),
            ("123456", false),
            (":ABC", false),
            ("12x:ABC", false),
            ("123:AB/../C", false),
            ("123:AB?C", false),
        ] {
            assert_eq!(is_token(token), expected, "{token}");
        }
    }

    #[test]
    fn entities_count_as_the_character_that_they_show() {
        assert_eq!(shown_units(&escaped("a<b>&c")), 6);
        assert_eq!(shown_units("😀"), 2);
        assert_eq!(escaped("&lt;@all"), "&amp;lt;＠all");
    }
}
