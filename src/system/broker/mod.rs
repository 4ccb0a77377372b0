//! What the broker says of its queues: what waits, and what workers hold without having acknowledged it.

mod explain;
mod figures;
mod rabbitmq;
mod redis;
mod settings;

use crate::deadline::{self, NoAnswer};
use chrono::{DateTime, Utc};
use std::time::Duration;

pub use figures::Figures;
pub use settings::Settings;

/// For an answer that was late and says why.
const GRACE: Duration = Duration::from_secs(1);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Redis,
    RabbitMq,
}

impl Kind {
    /// What a report calls the source of its figures.
    pub fn name(self) -> &'static str {
        match self {
            Kind::Redis => "redis",
            Kind::RabbitMq => "rabbitmq",
        }
    }
}

/// Which broker is configured; `None`: none.
pub fn kind(settings: &Settings) -> Option<Kind> {
    let is_redis = settings.url.as_ref()?.scheme().starts_with("redis");
    Some(if is_redis { Kind::Redis } else { Kind::RabbitMq })
}

/// Asks the broker; `None`: none is configured.
///
/// # Errors
/// Why it cannot be asked: its host and port, without a password, and what happened.
pub fn ask(settings: &Settings, now: DateTime<Utc>) -> Option<Result<Figures, String>> {
    let url = settings.url.as_ref()?;
    Some(match kind(settings)? {
        Kind::RabbitMq => rabbitmq::ask(url, settings),
        Kind::Redis => match redis::Address::parse(url.expose()) {
            Ok(address) => ask_redis(address, settings.clone(), now),
            Err(why) => Err(why),
        },
    })
}

/// With a limit on the whole: a name may be looked up for minutes, and a server that sends byte by byte keeps within the time limit of
/// every read.
fn ask_redis(
    address: redis::Address,
    settings: Settings,
    now: DateTime<Utc>,
) -> Result<Figures, String> {
    let place = address.place.clone();
    let limit = settings.timeout().saturating_add(GRACE);
    let why = match deadline::run(limit, move || redis::ask(&address, &settings, now)) {
        Ok(answer) => return answer,
        Err(NoAnswer::Late) => "it does not answer in time".to_owned(),
        Err(NoAnswer::NoThread(error)) => format!("no thread can be started: {error}"),
    };
    Err(format!("the broker at {place} cannot be asked: {why}"))
}
