//! What the broker says of its queues: what waits, and what workers hold without having acknowledged it.

mod rabbitmq;
mod redis;

use chrono::{DateTime, Utc};
use std::collections::BTreeMap;
use std::sync::mpsc::channel;
use std::thread;
use std::time::Duration;

/// For an answer that was late and says why.
const GRACE: Duration = Duration::from_secs(1);

/// Which broker, and how Celery uses it.
#[derive(Clone)]
pub struct Settings {
    /// Holds a password, so it goes into no message.
    pub url: String,
    /// RabbitMQ's management API, where it is not at its usual port beside the broker.
    pub management_url: Option<String>,
    /// Empty: those that the broker knows of.
    pub queues: Vec<String>,
    /// The priority steps of Celery's transport option `priority_steps`: a queue has a list for each.
    pub priority_steps: Vec<u32>,
    /// What stands in a list's name between the queue and the step: the transport option `sep`.
    pub separator: String,
    /// What every name begins with: the transport option `global_keyprefix`.
    pub global_keyprefix: String,
    /// After this time an unacknowledged delivery is given to another worker: the transport option `visibility_timeout`.
    pub visibility_timeout: Duration,
    /// No answer is waited for longer.
    pub timeout: Duration,
}

/// The broker's figures. What it cannot say is `None`, and `reasons` says why.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Figures {
    pub source: &'static str,
    /// Whether these are all the queues that the broker knows of.
    pub is_whole: bool,
    /// Waiting messages by queue, of all priorities; `None`: not known, and `reasons` has `queues.NAME`.
    pub queues: BTreeMap<String, Option<u64>>,
    /// Deliveries that workers hold unacknowledged, by queue.
    pub unacknowledged: BTreeMap<String, u64>,
    /// Consumers by queue, where the broker knows them.
    pub consumers: Option<BTreeMap<String, u64>>,
    /// Those that are held longer than the visibility timeout.
    pub overdue: Option<u64>,
    pub active: Option<u64>,
    pub scheduled: Option<u64>,
    /// By the key of the report that is null, or stands for something that is not there.
    pub reasons: BTreeMap<String, String>,
}

/// What a report calls the source of its figures.
pub fn name(settings: &Settings) -> &'static str {
    if settings.url.starts_with("redis") { "redis" } else { "rabbitmq" }
}

/// Asks the broker.
///
/// # Errors
/// Why it cannot be asked: what it is called, without a password, and what happened.
pub fn ask(settings: &Settings, now: DateTime<Utc>) -> Result<Figures, String> {
    let scheme = settings.url.split(':').next().unwrap_or_default();
    match scheme {
        "redis" | "rediss" | "redis+socket" => in_time(settings, move |own| redis::ask(own, now)),
        "amqp" | "amqps" | "pyamqp" => rabbitmq::ask(settings),
        _ => Err(format!("no broker has the scheme {scheme}")),
    }
}

/// What happened, in words that need no knowledge of a library.
fn happened(told: &str) -> String {
    let has = |part: &str| told.contains(part);
    let why = match () {
        () if has("Connection refused") => "nothing listens there (connection refused)",
        () if has("failed to lookup address") => "there is no host of that name",
        () if has("timed out") => "it does not answer in time",
        () if has("Connection reset")
            || has("Broken pipe")
            || has("unexpected end of file")
            || has("UnexpectedEof") =>
        {
            "it ends the connection without an answer"
        }
        () if has("No such file") => "there is no such socket (No such file or directory)",
        () if has("Network is unreachable") || has("No route to host") => {
            "there is no way to it in the network"
        }
        () if has("invalid peer certificate") => {
            let (_, why) = told.split_once("invalid peer certificate").unwrap_or_default();
            let why = why.trim_start_matches([':', ' ']);
            return format!("its certificate is not accepted (invalid peer certificate: {why})");
        }
        () if has("received corrupt message") || has("InvalidContentType") => {
            "what answers there does not speak TLS"
        }
        () => return told.to_owned(),
    };
    why.to_owned()
}

/// What is asked reads its own time limit; but the client's is one for each read, and a peer may send byte by byte for ever.
fn in_time(
    settings: &Settings,
    ask: impl FnOnce(&Settings) -> Result<Figures, String> + Send + 'static,
) -> Result<Figures, String> {
    let (sender, receiver) = channel();
    let own = settings.clone();
    let started = thread::Builder::new()
        .name("broker".to_owned())
        // Nobody may be waiting any more.
        .spawn(move || drop(sender.send(ask(&own))));
    started.map_err(|error| format!("the broker cannot be asked: no thread: {error}"))?;
    let late = |_| {
        format!(
            "the broker at {} cannot be asked: it does not answer in time",
            redis::place(&settings.url)
        )
    };
    receiver.recv_timeout(settings.timeout + GRACE).unwrap_or_else(|error| Err(late(error)))
}

#[cfg(test)]
mod tests {
    use super::*;

    pub fn settings() -> Settings {
        Settings {
            url: String::new(),
            management_url: None,
            queues: Vec::new(),
            priority_steps: vec![0],
            separator: String::new(),
            global_keyprefix: String::new(),
            visibility_timeout: Duration::from_secs(3600),
            timeout: Duration::from_secs(5),
        }
    }
}
