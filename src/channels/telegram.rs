//! Telegram: a bot's `sendMessage`, in the Bot API's HTML.

use super::common::{http_url, secrets, text_or_number};
use super::http::{Endpoint, Reply, Request};
use super::message::{self, Form, utf16_units};
use super::text::html_brackets;
use super::{Built, Channel, Destination, Machine, SecretSource, SendError};
use crate::alert::Notification;
use crate::secret::Secret;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
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

secrets!(token, api_url);

fn bot_api() -> SecretSource {
    SecretSource::Text(Secret::new("https://api.telegram.org"))
}

impl Config {
    pub(super) fn build(&self, timeout: Duration, machine: &Machine) -> Built {
        let token = self.token.read("token", machine)?;
        let api = self.api_url.read("api_url", machine)?;
        let url =
            format!("{}/bot{}/sendMessage", api.expose().trim_end_matches('/'), token.expose());
        let endpoint = Endpoint::new(&Secret::new(url), [&token], timeout, machine)?;
        if !is_token(token.expose()) {
            return Err(SendError::permanent(
                "the token is not a number, a colon and letters, as @BotFather gives it",
            ));
        }
        let config = self.clone();
        Ok(Box::new(Telegram { endpoint, config }))
    }
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

struct Telegram {
    endpoint: Endpoint,
    config: Config,
}

impl Channel for Telegram {
    fn send(&self, notification: &Notification) -> Result<(), SendError> {
        let mut body = json!({
            "chat_id": self.config.chat_id,
            "text": text(notification),
            "parse_mode": "HTML",
            "link_preview_options": {"is_disabled": true},
        });
        if let Some(thread) = self.config.message_thread_id {
            body["message_thread_id"] = json!(thread);
        }
        let reply =
            self.endpoint.ask(&Request { body: &body.to_string(), ..Request::default() })?;
        check(&self.endpoint, reply)
    }

    fn destination(&self) -> Destination {
        self.endpoint.destination()
    }
}

fn text(notification: &Notification) -> String {
    let head = format!("<b>{}</b>\n\n", escaped(&message::title(notification)));
    let origin = format!("\n\n<i>{}</i>", escaped(&message::origin(notification)));
    let form = Form {
        escape: escaped,
        bullet: "• ",
        separator: "\n",
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
fn check(endpoint: &Endpoint, reply: Reply) -> Result<(), SendError> {
    let answer = reply.json();
    if answer.get("ok") == Some(&Value::Bool(true)) && reply.refusal.is_none() {
        return Ok(());
    }
    let retry_after = reply.retry_after("/parameters/retry_after");
    let code = answer.get("error_code").and_then(Value::as_u64);
    let description = answer.get("description").and_then(Value::as_str).unwrap_or_default();
    let mut error = match (reply.refusal, code) {
        (Some(refusal), _) => refusal,
        (None, Some(code)) => SendError {
            permanent: !(code == 429 || code >= 500),
            ..endpoint
                .refused(&format!("answered with error {code}: {}", endpoint.quote(description)))
        },
        (None, None) => {
            let said = endpoint.quote(&reply.text);
            endpoint.refused(&format!("answered without \"ok\": {said}"))
        }
    };
    error.retry_after = retry_after.or(error.retry_after);
    if let Some(chat) = answer.pointer("/parameters/migrate_to_chat_id").and_then(Value::as_i64) {
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
