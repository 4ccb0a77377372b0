//! Delivery: every channel gets its notices at the same time as the others, and as many attempts as its configuration grants.

use crate::alert::{AlertUpdate, Notification, Status};
use crate::channels::{Channel, Grouping, SendError};
use crate::outcome::Severity;
use std::thread;
use std::time::Duration;

/// The most alerts in one message to people.
const MOST_ALERTS: usize = 50;

/// The longest that a service's `Retry-After` is heeded.
const LONGEST_ASKED_PAUSE: Duration = Duration::from_secs(30);

/// What one channel is to be told, and how.
pub struct Outgoing {
    /// How results and messages call it.
    pub name: String,
    pub channel: Box<dyn Channel + Send>,
    pub grouping: Grouping,
    /// Further attempts after the first, for each message.
    pub retries: u32,
    /// Everything that it is to be told of. Without alerts, nothing is sent.
    pub notice: Notification,
}

/// What became of it.
#[derive(Debug, Clone, PartialEq)]
pub struct Delivery {
    pub name: String,
    /// The alerts that the channel took, those included that a message had no room for and only counts.
    pub taken: Vec<AlertUpdate>,
    /// Those that it did not take, each group with its reason.
    pub untaken: Vec<Untaken>,
}

impl Delivery {
    /// The first reason why something was not taken.
    pub fn error(&self) -> Option<&SendError> {
        self.untaken.first().map(|untaken| &untaken.error)
    }
}

/// Alerts that a channel did not take.
#[derive(Debug, Clone, PartialEq)]
pub struct Untaken {
    pub alerts: Vec<AlertUpdate>,
    pub error: SendError,
}

/// How long to wait before another attempt: twice as long each time, and by chance up to a quarter more or less, so that many hosts do not come
/// back at the same moment.
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
    /// The pause after so many failed attempts, `chance` from 0 to 1.
    fn after(&self, attempts: u32, asked: Option<Duration>, chance: f64) -> Duration {
        let doubled = self.first.saturating_mul(2_u32.saturating_pow(attempts.saturating_sub(1)));
        let own = doubled.min(self.longest).mul_f64(0.75 + chance / 2.0);
        own.max(asked.unwrap_or_default().min(LONGEST_ASKED_PAUSE))
    }
}

/// Tells every channel what it is to be told. The results stand in the order of the channels.
///
/// Each channel has a thread of its own, so that one that is slow or dead delays none of the others. No failure is lost: whatever was not taken
/// stands in the result.
pub fn deliver(outgoing: Vec<Outgoing>, pauses: &Pauses) -> Vec<Delivery> {
    thread::scope(|scope| {
        let running: Vec<_> = outgoing
            .into_iter()
            .map(|outgoing| {
                let (name, alerts) = (outgoing.name.clone(), outgoing.notice.alerts.clone());
                let work = move || serve(outgoing, pauses);
                let spawned = thread::Builder::new().spawn_scoped(scope, work);
                (name, alerts, spawned)
            })
            .collect();
        let results = running.into_iter().map(|(name, alerts, spawned)| {
            let lost = match spawned {
                Ok(thread) => match thread.join() {
                    Ok(delivery) => return delivery,
                    Err(_) => "the delivery broke off by a mistake in taskmon; please report it"
                        .to_owned(),
                },
                Err(error) => format!("no thread can be started: {error}"),
            };
            let error = SendError::transient(lost);
            Delivery { name, taken: Vec::new(), untaken: vec![Untaken { alerts, error }] }
        });
        results.collect()
    })
}

/// Sends one channel its messages, one after the other.
///
/// A message that is refused for good does not keep the next one back; a channel that is down gets no further ones, or each would wait out all
/// attempts again.
fn serve(outgoing: Outgoing, pauses: &Pauses) -> Delivery {
    let mut delivery =
        Delivery { name: outgoing.name.clone(), taken: Vec::new(), untaken: Vec::new() };
    let mut is_down: Option<SendError> = None;
    for message in messages(&outgoing.notice, outgoing.grouping) {
        let result = match &is_down {
            Some(error) => Err(error.clone()),
            None => insist(&outgoing, &message, pauses),
        };
        match result {
            Ok(()) => delivery.taken.extend(message.alerts),
            Err(error) => {
                is_down = (!error.permanent).then(|| error.clone());
                let alerts = message.alerts;
                delivery.untaken.push(Untaken { alerts, error });
            }
        }
    }
    delivery
}

/// Sends one message, with the attempts that there are.
fn insist(outgoing: &Outgoing, message: &Notification, pauses: &Pauses) -> Result<(), SendError> {
    let mut attempts = 0;
    loop {
        attempts += 1;
        let error = match outgoing.channel.send(message) {
            Ok(()) => return Ok(()),
            Err(error) => error,
        };
        if error.permanent || attempts > outgoing.retries {
            return Err(told(error, attempts));
        }
        let pause = pauses.after(attempts, error.retry_after, fastrand::f64());
        log::info!("{}: {error}; trying again in {:.1} s", outgoing.name, pause.as_secs_f32());
        thread::sleep(pause);
    }
}

/// The last error, which says how often it was tried.
fn told(error: SendError, attempts: u32) -> SendError {
    match attempts {
        1 => error,
        n => SendError { message: format!("{} (after {n} attempts)", error.message), ..error },
    }
}

/// The messages that a notice is told in.
fn messages(notice: &Notification, grouping: Grouping) -> Vec<Notification> {
    let with = |alerts: &[AlertUpdate]| Notification { alerts: alerts.to_vec(), ..notice.clone() };
    if notice.alerts.is_empty() {
        return Vec::new();
    }
    match grouping {
        Grouping::Run => vec![with(&notice.alerts)],
        Grouping::Severity => [Severity::Critical, Severity::Error, Severity::Warning]
            .into_iter()
            .flat_map(|severity| {
                let alerts = of_severity(&notice.alerts, severity);
                let chunks = alerts.chunks(MOST_ALERTS);
                chunks.map(with).collect::<Vec<_>>()
            })
            .collect(),
    }
}

/// What stands before what no longer does.
fn of_severity(alerts: &[AlertUpdate], severity: Severity) -> Vec<AlertUpdate> {
    let with = |status| {
        let every = alerts.iter();
        every.filter(move |told| told.alert.severity == severity && told.status == status)
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
        for (chance, expected) in [(0.0, 750), (1.0, 1250)] {
            assert_eq!(pauses.after(1, None, chance).as_millis(), expected);
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
