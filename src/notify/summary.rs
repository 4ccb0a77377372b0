//! What came of an alert run: what is firing, who was notified, who was not and why.

use super::decide::Reason;
use super::deliver::Delivery;
use super::memory::{ChannelOutcome, DeliveryResult, Identity};
use super::silences::{Silence, silencing};
use super::{CHANNEL_FAILED, Context, Entry, LOG, Mode, Plan};
use crate::alert::{Alert, AlertUpdate, Status};
use crate::language::Language;
use crate::outcome::{Issue, Severity};
use crate::printable::escaped;
use serde::Serialize;
use std::collections::BTreeMap;

/// The result of an alert run.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Summary {
    /// All that are firing as far as this run saw, suppressed ones included.
    pub alerts: Vec<Alert>,
    /// Those that reached a channel; the logs count where no channel is configured.
    pub alerts_sent: usize,
    /// Those that were held back everywhere.
    pub alerts_suppressed: usize,
    /// Those that are resolved, which reached a channel.
    pub alerts_resolved: usize,
    pub channels: Vec<ChannelSummary>,
    pub decisions: Vec<Decision>,
    /// Those that hold now.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub silences: Vec<Silence>,
    pub errors: Vec<Issue>,
    /// The messages of those errors that an earlier run has said already.
    #[serde(skip)]
    pub known: Vec<String>,
    /// What was notified, for standard error: one line, with the severity of what is firing; `None`: it is resolved.
    #[serde(skip)]
    pub lines: Vec<(Option<Severity>, String)>,
    /// What a person should know although it stops nothing.
    #[serde(skip)]
    pub warnings: Vec<String>,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ChannelSummary {
    pub channel: String,
    /// Alerts that it accepted, resolved ones included.
    pub sent: usize,
    pub error: Option<String>,
}

/// Why each channel was notified of an alert, or was not.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Decision {
    #[serde(flatten)]
    pub alert: Identity,
    pub status: Status,
    pub channels: BTreeMap<String, Reason>,
    /// Until when it is silenced, RFC 3339, and why.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub silence: Option<Silence>,
}

impl Plan {
    pub fn summary(self, deliveries: &[Delivery], context: &Context) -> Summary {
        let outcomes = Outcomes { deliveries };
        let counted: Vec<&str> = match context.receivers {
            [] => vec![LOG],
            receivers => receivers.iter().map(|receiver| &*receiver.name).collect(),
        };
        let (firing, resolved): (Vec<&Entry>, Vec<&Entry>) =
            self.entries.iter().partition(|entry| entry.update.status == Status::Firing);
        let reached = |entry: &Entry| counted.iter().any(|name| outcomes.is_sent(entry, name));
        let is_held_back = |entry: &Entry| !counted.iter().any(|name| entry.is_notified(name));
        let count = |entries: &[&Entry], holds: &dyn Fn(&Entry) -> bool| {
            entries.iter().filter(|entry| holds(entry)).count()
        };
        let failed = deliveries.iter().filter_map(failed_issue);
        let known = deliveries.iter().filter(|delivery| !self.is_news(delivery));
        let known = known.filter_map(failed_issue).map(|issue| issue.message).collect();
        Summary {
            alerts: firing.iter().map(|entry| entry.update.alert.clone()).collect(),
            alerts_sent: count(&firing, &reached),
            alerts_suppressed: count(&firing, &is_held_back),
            alerts_resolved: count(&resolved, &reached),
            channels: self.channels(&outcomes, context),
            decisions: self.entries.iter().map(|entry| entry.decision(context)).collect(),
            silences: context.silences.to_vec(),
            errors: self.issues.iter().cloned().chain(failed).collect(),
            known,
            lines: self.lines(context),
            warnings: self.warnings.clone(),
        }
    }

    /// Whether a channel rejected more than what it had rejected before. One that is down is said when it goes down and once a day then, when what it
    /// rejected is new again, and not by every run that tries again.
    fn is_news(&self, delivery: &Delivery) -> bool {
        let mut rejected = delivery.rejected.iter().flat_map(|rejection| &rejection.alerts);
        rejected.any(|update| {
            self.entries_for(&delivery.name).any(|entry| {
                entry.update == *update
                    && entry.decisions.get(&delivery.name) != Some(&Reason::Retry)
            })
        })
    }

    fn channels(&self, outcomes: &Outcomes, context: &Context) -> Vec<ChannelSummary> {
        let receivers = context.receivers.iter();
        let channels = receivers.map(|receiver| {
            let name = &receiver.name;
            let sent = self.entries.iter().filter(|entry| outcomes.is_sent(entry, name));
            let mut deliveries =
                outcomes.deliveries.iter().filter(|delivery| delivery.name == *name);
            let error = deliveries.find_map(|delivery| delivery.error());
            ChannelSummary {
                channel: name.clone(),
                sent: sent.count(),
                error: error.map(|error| error.message.clone()),
            }
        });
        channels.collect()
    }

    /// cron mails standard error: a dry run, which notifies nobody, prints nothing there either.
    fn lines(&self, context: &Context) -> Vec<(Option<Severity>, String)> {
        if context.mode == Mode::DryRun {
            return Vec::new();
        }
        let lines = self.entries_for(LOG).map(|entry| {
            let line = escaped(&sentence(&entry.update, context.language));
            let severity = match entry.update.status {
                Status::Firing => Some(entry.update.alert.severity),
                Status::Resolved => None,
            };
            (severity, line)
        });
        lines.collect()
    }
}

impl Entry {
    fn decision(&self, context: &Context) -> Decision {
        let alert = &self.update.alert;
        let is_silenced = self.decisions.values().any(|reason| *reason == Reason::Silenced);
        let silence = silencing(context.silences, alert).filter(|_| is_silenced);
        Decision {
            alert: Identity::of(alert, context.host),
            status: self.update.status,
            channels: self.decisions.clone(),
            silence: silence.cloned(),
        }
    }
}

/// A message as logs and people read it: that of a resolved alert says so.
pub fn sentence(update: &AlertUpdate, language: Language) -> String {
    let message = &update.alert.message;
    match update.status {
        Status::Firing => message.clone(),
        Status::Resolved => {
            language.pick(format!("已恢复: {message}"), format!("Resolved: {message}"))
        }
    }
}

/// An entry of `errors` for a channel that did not accept something.
fn failed_issue(delivery: &Delivery) -> Option<Issue> {
    let error = delivery.error()?;
    Some(match delivery.name.as_str() {
        LOG => Issue::new(
            "alert_log_unwritable",
            format!("the alerts' log cannot be written: {error}"),
        ),
        channel => Issue::new(CHANNEL_FAILED, format!("the channel {channel} failed: {error}")),
    })
}

/// What happened to each alert on each channel.
pub struct Outcomes<'a> {
    pub deliveries: &'a [Delivery],
}

impl Outcomes<'_> {
    pub fn of(&self, entry: &Entry) -> BTreeMap<String, ChannelOutcome> {
        let outcomes = entry.decisions.iter().map(|(channel, reason)| {
            let outcome = match reason {
                reason if reason.notifies() => self.delivered(channel, entry, *reason),
                Reason::BelowMinimum => outcome(DeliveryResult::BelowMinimum, *reason),
                _ => outcome(DeliveryResult::Suppressed, *reason),
            };
            (channel.clone(), outcome)
        });
        outcomes.collect()
    }

    fn delivered(&self, channel: &str, entry: &Entry, reason: Reason) -> ChannelOutcome {
        let mut deliveries = self.deliveries.iter();
        let failed = |error: &str, attempts| ChannelOutcome {
            attempts,
            error: Some(error.to_owned()),
            ..outcome(DeliveryResult::Failed, reason)
        };
        let Some(delivery) = deliveries.find(|delivery| delivery.name == channel) else {
            return failed("nothing was delivered", None);
        };
        let mut rejected = delivery.rejected.iter();
        match rejected.find(|rejection| rejection.alerts.contains(&entry.update)) {
            Some(rejection) => failed(&rejection.error.message, rejection.attempts),
            None => outcome(DeliveryResult::Sent, reason),
        }
    }

    fn is_sent(&self, entry: &Entry, channel: &str) -> bool {
        let reason = entry.decisions.get(channel).filter(|reason| reason.notifies());
        reason.is_some_and(|reason| {
            self.delivered(channel, entry, *reason).result == DeliveryResult::Sent
        })
    }
}

fn outcome(result: DeliveryResult, reason: Reason) -> ChannelOutcome {
    ChannelOutcome { result, reason, attempts: None, error: None }
}
