//! What the records remember of an alert: who found it, and what each channel was notified of.

use super::decide::{ChannelMemory, Reason};
use crate::alert::{Alert, Status};
use crate::rules::{self, Origin};
use chrono::{DateTime, FixedOffset, TimeDelta, Utc};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// Which alert it is: its type, its subject, and the host that it is about, if it is about one: each has disks and jobs of its own.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Identity {
    #[serde(rename = "type")]
    pub kind: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subject: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub host: Option<String>,
}

impl Identity {
    /// That of an alert that was found on this host.
    pub fn of(alert: &Alert, host: &str) -> Self {
        Self::new(&alert.kind, alert.subject.clone(), host)
    }

    pub fn new(kind: &str, subject: Option<String>, host: &str) -> Self {
        let host = rules::is_of_host(kind).then(|| host.to_owned());
        Self { kind: kind.to_owned(), subject, host }
    }

    /// Whether this host can say anything about it.
    pub fn concerns(&self, host: &str) -> bool {
        self.host.as_ref().is_none_or(|of| of == host)
    }
}

/// One line: what happened to one alert in one run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Record {
    /// In the configured zone.
    pub time: DateTime<FixedOffset>,
    pub host: String,
    pub origin: Origin,
    #[serde(flatten)]
    pub alert: Alert,
    pub status: Status,
    /// Nobody is notified of this: it only says since when something is so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub phase: Option<Phase>,
    /// By channel; the logs are the channel `log`. Empty: another origin still finds it firing.
    pub channels: BTreeMap<String, ChannelOutcome>,
}

/// What an alert is between firing and not firing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    /// It was found, and is firing if it is for long enough.
    Pending,
    /// It was pending, and is not found any more.
    Lapsed,
    /// It is firing, and resolved if it stays away for long enough.
    Clearing,
}

/// What happened on one channel.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ChannelOutcome {
    pub result: DeliveryResult,
    pub reason: Reason,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub attempts: Option<u32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DeliveryResult {
    Sent,
    Failed,
    Suppressed,
    BelowMinimum,
}

/// What the records remember of all alerts.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Memory(pub BTreeMap<Identity, Remembered>);

/// What is remembered of one alert.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Remembered {
    /// As it was last seen.
    pub alert: Alert,
    pub origin: Origin,
    /// Where it was found. Records of earlier versions do not say so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub host: Option<String>,
    /// Who found it firing; it is resolved when none of them finds it any more. Empty for what is never resolved.
    pub claims: BTreeSet<Origin>,
    pub channels: BTreeMap<String, ChannelMemory>,
    /// Since when it has been found, although it is not firing yet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pending_since: Option<DateTime<Utc>>,
    /// Since when it has not been found, although it is not resolved yet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub clearing_since: Option<DateTime<Utc>>,
}

impl Memory {
    /// What is remembered of an alert, so far perhaps nothing but that there is one.
    pub fn entry(&mut self, alert: &Alert, origin: Origin, host: &str) -> &mut Remembered {
        self.0.entry(Identity::of(alert, host)).or_insert_with(|| Remembered {
            alert: alert.clone(),
            origin,
            host: Some(host.to_owned()),
            claims: BTreeSet::new(),
            channels: BTreeMap::new(),
            pending_since: None,
            clearing_since: None,
        })
    }

    /// Adds a record to those before it.
    pub fn note(&mut self, record: &Record) {
        let at = record.time.to_utc();
        let remembered = self.entry(&record.alert, record.origin, &record.host);
        match record.phase {
            Some(Phase::Pending) => {
                remembered.pending_since.get_or_insert(at);
                return;
            }
            Some(Phase::Clearing) => {
                remembered.clearing_since.get_or_insert(at);
                return;
            }
            Some(Phase::Lapsed) => {
                remembered.pending_since = None;
                return;
            }
            None => (remembered.pending_since, remembered.clearing_since) = (None, None),
        }
        match record.status {
            Status::Firing => {
                (remembered.alert, remembered.origin) = (record.alert.clone(), record.origin);
                remembered.claims.extend(claim(record.origin, &record.alert));
            }
            Status::Resolved => {
                remembered.claims.remove(&record.origin);
            }
        }
        for (name, outcome) in &record.channels {
            let channel = remembered.channels.entry(name.clone()).or_default();
            match (outcome.result, record.status) {
                (DeliveryResult::Sent, status) => {
                    channel.record_accepted(status, &record.alert, at)
                }
                (DeliveryResult::Failed, status) => channel.record_rejected(status, at),
                (DeliveryResult::Suppressed, Status::Resolved) => channel.forget(),
                (DeliveryResult::Suppressed, Status::Firing)
                    if outcome.reason == Reason::Silenced =>
                {
                    channel.was_silenced = true;
                }
                (DeliveryResult::Suppressed | DeliveryResult::BelowMinimum, _) => {}
            }
        }
    }

    /// Leaves out what neither is firing nor can matter to a decision.
    pub fn prune(&mut self, now: DateTime<Utc>, repeat_after: TimeDelta) {
        self.0.retain(|_, remembered| {
            let mut channel = remembered.channels.values();
            !remembered.claims.is_empty()
                || remembered.pending_since.is_some()
                || channel.any(|channel| channel.matters(now, repeat_after))
        });
    }
}

/// Who can find later that an alert is resolved; nobody if it was only sent, or is about a job without a name.
fn claim(origin: Origin, alert: &Alert) -> Option<Origin> {
    match origin {
        Origin::Send | Origin::Test => None,
        Origin::Job if alert.subject.is_none() => None,
        origin => Some(origin),
    }
}

/// One alert on one channel that a run is about to notify.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Sending {
    #[serde(flatten)]
    pub alert: Alert,
    pub channel: String,
    /// Where it was found.
    #[serde(default)]
    pub host: String,
}
