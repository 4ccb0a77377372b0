//! `[broker]`: which broker, and how Celery uses it.

use crate::secret::{self, Secret};
use crate::values::{self, InvalidKey, check_scheme};
use serde::{Deserialize, Serialize};
use std::time::Duration;

const SCHEMES: [&str; 6] = ["redis", "rediss", "redis+socket", "amqp", "amqps", "pyamqp"];

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Settings {
    /// Celery's `broker_url`. `None`: no broker is configured.
    #[serde(default, with = "secret::optional_url")]
    pub url: Option<Secret>,
    /// RabbitMQ's management API, where it is not at its usual port beside the broker.
    #[serde(default, with = "secret::optional_url")]
    pub management_url: Option<Secret>,
    /// Empty: those that the broker knows of. Without the key, the preset's.
    #[serde(default, deserialize_with = "values::texts")]
    pub queues: Vec<String>,
    /// The priority steps of Celery's transport option `priority_steps`: on Redis a queue has a list for each.
    pub priority_steps: Vec<u32>,
    /// What a list's name has between the queue and the step: the transport option `sep`.
    pub separator: String,
    /// What every name begins with: the transport option `global_keyprefix`.
    pub global_keyprefix: String,
    /// After this time an unacknowledged delivery is given to another worker: the transport option `visibility_timeout`.
    #[serde(deserialize_with = "values::whole_number::<_, _, 1, 1_000_000_000>")]
    pub visibility_timeout_seconds: u32,
    /// No answer is waited for longer.
    #[serde(deserialize_with = "values::whole_number::<_, _, 1, 3600>")]
    pub timeout_seconds: u32,
}

impl Settings {
    /// Refuses what could never be asked, whichever server is there.
    ///
    /// # Errors
    /// The key that is wrong, and why.
    pub fn check(&self) -> Result<(), InvalidKey> {
        if let Some(url) = &self.url {
            check_scheme("url", url.expose(), &SCHEMES)?;
            check_url(url)?;
        }
        if self.priority_steps.is_empty() {
            let message = "must have at least one step: a queue has a list for each";
            return Err(InvalidKey::new("priority_steps", message).hint(
                "Leave the key out where the workers do not set Celery's option priority_steps.",
            ));
        }
        match &self.management_url {
            Some(url) => check_scheme("management_url", url.expose(), &["http", "https"]),
            None => Ok(()),
        }
    }

    pub fn timeout(&self) -> Duration {
        Duration::from_secs(self.timeout_seconds.into())
    }
}

fn check_url(url: &Secret) -> Result<(), InvalidKey> {
    // Celery turns to the next one where one is down; only Celery knows which of them has the messages.
    if url.expose().contains(';') {
        let message = "names several brokers, divided by \";\": name the one to ask";
        return Err(InvalidKey::new("url", message));
    }
    let is_redis = ["redis", "rediss"].contains(&url.scheme());
    let rest = url.expose().split_once("://").map_or("", |(_, rest)| rest);
    let rest = rest.split(['?', '#']).next().unwrap_or_default();
    let database = rest.split_once('/').map_or("", |(_, database)| database);
    if is_redis && !database.is_empty() && database.parse::<u32>().is_err() {
        let message = "must end in the number of the database: redis://HOST:PORT/0";
        return Err(InvalidKey::new("url", message));
    }
    Ok(())
}
