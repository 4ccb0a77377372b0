//! Delivery: every channel gets its notifications at the same time as the others, with as many attempts as its configuration grants.

use crate::alert::{AlertUpdate, Notification, Status};
use crate::channels::{Channel, Grouping, SendError};
use crate::outcome::Severity;
use std::thread;
use std::time::Duration;

/// The most alerts in one message to people.
const MAX_ALERTS: usize = 50;

/// The longest that a service's `Retry-After` is waited for.
const MAX_RETRY_AFTER: Duration = Duration::from_secs(30);

/// What one channel is to be sent, and how.
pub struct Outgoing {
    /// How results and messages call it.
    pub name: String,
    /// Or why it cannot send.
    pub channel: Result<Box<dyn Channel + Send>, SendError>,
    /// Further attempts after the first, for each message.
    pub retries: u32,
    /// All alerts for it. Without any, nothing is sent.
    pub notification: Notification,
}

/// What came of sending to one channel.
#[derive(Debug, Clone, PartialEq)]
pub struct Delivery {
    pub name: String,
    /// The alerts that the channel accepted, those included that a message had no room for and only counts.
    pub accepted: Vec<AlertUpdate>,
    /// Those that it did not, a message at a time.
    pub rejected: Vec<Rejection>,
}

/// The alerts of a message that a channel did not accept.
#[derive(Debug, Clone, PartialEq)]
pub struct Rejection {
    pub alerts: Vec<AlertUpdate>,
    /// `None`: nothing was attempted.
    pub attempts: Option<u32>,
    pub error: SendError,
}

impl Delivery {
    /// The first reason why something was not accepted.
    pub fn error(&self) -> Option<&SendError> {
        self.rejected.first().map(|rejection| &rejection.error)
    }

    /// Nothing was accepted, for one reason.
    pub fn failed(name: String, alerts: Vec<AlertUpdate>, error: SendError) -> Self {
        let rejection = Rejection { alerts, attempts: None, error };
        Self { name, accepted: Vec::new(), rejected: vec![rejection] }
    }
}

/// How long to wait before another attempt: twice as long each time, and at random up to a quarter more or less, so that many
/// hosts do not come back at the same moment.
#[derive(Debug, Clone, Copy)]
pub struct Pauses {
    pub first: Duration,
    pub longest: Duration,
}

impl Default for Pauses {
    fn default() -> Self {
        Self { first: Duration::from_secs(1), longest: Duration::from_secs(30) }
    }
}

impl Pauses {
    /// The pause after so many failed attempts; `random` from 0 to 1.
    fn after(&self, attempts: u32, retry_after: Option<Duration>, random: f64) -> Duration {
        let doubled = self.first.saturating_mul(2_u32.saturating_pow(attempts.saturating_sub(1)));
        let pause = doubled.min(self.longest).mul_f64(0.75 + random / 2.0);
        pause.max(retry_after.unwrap_or_default().min(MAX_RETRY_AFTER))
    }
}

/// Sends every channel what it is to get. The results are in the order of the channels.
///
/// Each channel has a thread of its own, so that one that is slow or down delays none of the others. No failure is lost:
/// whatever was not accepted is in the result.
pub fn deliver(outgoing: Vec<Outgoing>, pauses: &Pauses) -> Vec<Delivery> {
    thread::scope(|scope| {
        let running: Vec<_> = outgoing
            .into_iter()
            .map(|outgoing| {
                let (name, alerts) = (outgoing.name.clone(), outgoing.notification.alerts.clone());
                let work = move || send_all(outgoing, pauses);
                let spawned = thread::Builder::new().spawn_scoped(scope, work);
                (name, alerts, spawned)
            })
            .collect();
        let results = running.into_iter().map(|(name, alerts, spawned)| {
            let why = match spawned.map(thread::ScopedJoinHandle::join) {
                Ok(Ok(delivery)) => return delivery,
                Ok(Err(_)) => {
                    "the delivery broke off by a mistake in taskmon; please report it".to_owned()
                }
                Err(error) => format!("no thread can be started: {error}"),
            };
            Delivery::failed(name, alerts, SendError::transient(why))
        });
        results.collect()
    })
}

/// Sends one channel its messages, one after the other.
///
/// A message that is refused for good does not hold up the next one; a channel that is down gets no further ones, or each
/// would wait out all attempts again.
fn send_all(outgoing: Outgoing, pauses: &Pauses) -> Delivery {
    let Outgoing { name, channel, retries, notification } = outgoing;
    let channel = match channel {
        Ok(channel) => channel,
        Err(error) => return Delivery::failed(name, notification.alerts, error),
    };
    let mut delivery = Delivery { name, accepted: Vec::new(), rejected: Vec::new() };
    let mut down: Option<SendError> = None;
    for message in messages(&notification, channel.grouping()) {
        let (attempts, result) = match &down {
            Some(error) => (None, Err(error.clone())),
            None => {
                let (attempts, result) =
                    send_with_retries(&delivery.name, &*channel, &message, retries, pauses);
                (Some(attempts), result)
            }
        };
        match result {
            Ok(()) => delivery.accepted.extend(message.alerts),
            Err(error) => {
                down = (!error.permanent).then(|| error.clone());
                delivery.rejected.push(Rejection { alerts: message.alerts, attempts, error });
            }
        }
    }
    delivery
}

/// How many attempts were made, and how the last one ended.
fn send_with_retries(
    name: &str,
    channel: &dyn Channel,
    message: &Notification,
    retries: u32,
    pauses: &Pauses,
) -> (u32, Result<(), SendError>) {
    let mut attempts = 0;
    loop {
        attempts += 1;
        let error = match channel.send(message) {
            Ok(()) => return (attempts, Ok(())),
            Err(error) => error,
        };
        if error.permanent || attempts > retries {
            return (attempts, Err(counted(error, attempts)));
        }
        let pause = pauses.after(attempts, error.retry_after, fastrand::f64());
        log::info!("{name}: {error}; trying again in {:.1} s", pause.as_secs_f32());
        thread::sleep(pause);
    }
}

/// The error with the number of attempts in its message.
fn counted(error: SendError, attempts: u32) -> SendError {
    match attempts {
        1 => error,
        n => SendError { message: format!("{} (after {n} attempts)", error.message), ..error },
    }
}

/// The messages that a notification is sent in.
fn messages(notification: &Notification, grouping: Grouping) -> Vec<Notification> {
    let with =
        |alerts: &[AlertUpdate]| Notification { alerts: alerts.to_vec(), ..notification.clone() };
    if notification.alerts.is_empty() {
        return Vec::new();
    }
    match grouping {
        Grouping::Run => vec![with(&notification.alerts)],
        Grouping::Alert => notification.alerts.chunks(1).map(with).collect(),
        Grouping::Severity => Severity::ALL
            .into_iter()
            .rev()
            .flat_map(|severity| {
                let alerts = of_severity(&notification.alerts, severity);
                alerts.chunks(MAX_ALERTS).map(with).collect::<Vec<_>>()
            })
            .collect(),
    }
}

/// What is firing before what is resolved.
fn of_severity(alerts: &[AlertUpdate], severity: Severity) -> Vec<AlertUpdate> {
    let with = |status| {
        alerts
            .iter()
            .filter(move |update| update.alert.severity == severity && update.status == status)
    };
    with(Status::Firing).chain(with(Status::Resolved)).cloned().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_to_their_limit_and_vary_a_little() {
        let pauses = Pauses::default();
        let middle = |attempts| pauses.after(attempts, None, 0.5).as_millis();
        let grown: Vec<u128> = (1..=8).map(middle).collect();
        assert_eq!(grown, [1000, 2000, 4000, 8000, 16_000, 30_000, 30_000, 30_000]);
        assert_eq!(middle(100), 30_000);
        for (random, expected) in [(0.0, 750), (1.0, 1250)] {
            assert_eq!(pauses.after(1, None, random).as_millis(), expected);
        }
    }

    #[test]
    fn what_a_service_asks_for_counts_up_to_half_a_minute() {
        let pauses = Pauses::default();
        for (asked, expected) in [(0, 1), (5, 5), (30, 30), (3600, 30)] {
            let pause = pauses.after(1, Some(Duration::from_secs(asked)), 0.5);
            assert_eq!(pause.as_secs(), expected, "{asked}");
        }
    }
}
