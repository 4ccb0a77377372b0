//! From what stands to who is told: the records are read, decisions made, channels served, and what came of it is recorded.

use super::decide::{Now, Reason, decide};
use super::deliver::Delivery;
use super::records::{
    Happened, Identity, Memory, Outcome, PATIENCE, Past, Record, Records, Remembered, Reservation,
    Sending, Turn, escaped, log_line, write_logs,
};
use crate::alert::{Alert, AlertUpdate, Notification, Status};
use crate::channels::SendError;
use crate::language::Language;
use crate::outcome::{Issue, Severity};
use crate::rules::{Evaluation, Origin};
use chrono::{DateTime, FixedOffset, TimeDelta};
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

/// The name under which the text logs are a channel.
pub const LOG: &str = "log";

/// Whoever is notified: a channel, as far as a decision has to know it.
#[derive(Debug, Clone, PartialEq)]
pub struct Receiver {
    /// Which it is among all channels, today and tomorrow; the records know it by this name. Not [`LOG`].
    pub name: String,
    pub min_severity: Severity,
}

/// The kind of the error that a channel failed.
pub const CHANNEL_FAILED: &str = "channel_failed";

/// What a run is told.
#[derive(Debug, Clone)]
pub struct Context<'a> {
    /// In the configured zone.
    pub now: DateTime<FixedOffset>,
    pub language: Language,
    pub host: &'a str,
    /// Nothing: whatever stands is always told.
    pub repeat_after: TimeDelta,
    pub receivers: &'a [Receiver],
    pub records_dir: &'a Path,
    pub logs_dir: &'a Path,
    pub offer: Offer,
    pub mode: Mode,
}

/// What becomes of what channels did not take before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Offer {
    /// It is offered to them again: runs of `alert`.
    Again,
    /// Nothing is told but what was found: `--send`, `--test`, other jobs.
    OnlyNew,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    Deliver,
    /// Nothing is delivered or written.
    DryRun,
}

/// What a run tells, and why it does not tell the rest.
#[derive(Debug)]
pub struct Plan {
    entries: Vec<Entry>,
    is_carried: bool,
    reservation: Option<Reservation>,
    issues: Vec<Issue>,
    warnings: Vec<String>,
}

/// One alert of this run.
#[derive(Debug, Clone, PartialEq)]
struct Entry {
    told: AlertUpdate,
    origin: Origin,
    /// By channel.
    decisions: BTreeMap<String, Reason>,
}

/// The result of an alert run.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Summary {
    /// All that stand as far as this run saw, suppressed ones included.
    pub alerts: Vec<Alert>,
    /// Those that reached a channel; the logs count where no channel is configured.
    pub alerts_sent: usize,
    /// Those that were held back everywhere.
    pub alerts_suppressed: usize,
    /// Those whose end reached a channel.
    pub alerts_resolved: usize,
    pub channels: Vec<ChannelSummary>,
    pub decisions: Vec<Decision>,
    pub errors: Vec<Issue>,
    /// What was told, for standard error: one line, with the severity of what stands; `None`: it is over.
    #[serde(skip)]
    pub said: Vec<(Option<Severity>, String)>,
    /// What a person should know although it stops nothing.
    #[serde(skip)]
    pub warnings: Vec<String>,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ChannelSummary {
    pub channel: String,
    /// Alerts that it took, ends included.
    pub sent: usize,
    pub error: Option<String>,
}

/// Why each channel was told of an alert, or was not.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Decision {
    #[serde(flatten)]
    pub alert: Identity,
    pub status: Status,
    pub channels: BTreeMap<String, Reason>,
}

/// Tells what is to be told of some evaluations: `deliver` gets a notice for each channel that is to hear something, in the order of the receivers.
///
/// Records that cannot be read or written keep nobody from being told; they stand in `errors`.
pub fn tell(
    evaluations: &[Evaluation],
    context: &Context,
    deliver: impl FnOnce(&[(String, Notification)]) -> Vec<Delivery>,
) -> Summary {
    let plan = plan(evaluations, context);
    if context.mode == Mode::DryRun {
        return plan.summary(&[], context);
    }
    // The logs first: they are quick, and stand whatever becomes of a channel that hangs.
    let mut answers = vec![plan.log(context)];
    let notices = plan.notices(context);
    if !notices.is_empty() {
        answers.extend(deliver(&notices));
    }
    record(plan, &answers, context)
}

/// Reads what the records remember, decides, and reserves what is to be told.
pub fn plan(evaluations: &[Evaluation], context: &Context) -> Plan {
    let records = Records::new(context.records_dir);
    // Most runs have nothing to tell: they take no turn, and make neither a folder nor a file.
    let glance = read_and_decide(&records, evaluations, context, None, Vec::new());
    if context.mode == Mode::DryRun || glance.entries.is_empty() {
        return glance;
    }
    let mut issues = Vec::new();
    let turn = take_turn(&records, context, &mut issues);
    let mut plan = read_and_decide(&records, evaluations, context, turn.as_ref(), issues);
    if turn.is_some() {
        plan.reserve(&records, context);
    }
    plan
}

fn read_and_decide(
    records: &Records,
    evaluations: &[Evaluation],
    context: &Context,
    turn: Option<&Turn>,
    mut issues: Vec<Issue>,
) -> Plan {
    let past = records.read(context.now, turn).unwrap_or_else(|error| {
        // A folder that fails, fails at every step; it is said once.
        if issues.is_empty() {
            issues.push(unusable("read", context, &error));
        }
        Past::default()
    });
    Plan {
        entries: Decider::new(past.memory, context).decide(evaluations),
        is_carried: past.is_carried,
        reservation: None,
        issues,
        warnings: past.warnings,
    }
}

/// Records what came of a plan, and sums it up.
pub fn record(mut plan: Plan, answers: &[Delivery], context: &Context) -> Summary {
    let records = Records::new(context.records_dir);
    let lines = plan.records(answers, context);
    if !lines.is_empty() {
        let mut issues = Vec::new();
        let turn = take_turn(&records, context, &mut issues);
        // Read again: another run may have begun the day's file since.
        let past =
            if plan.is_carried { None } else { records.read(context.now, turn.as_ref()).ok() };
        let carried = past.filter(|past| !past.is_carried).map(|mut past| {
            past.memory.prune(context.now.to_utc(), context.repeat_after);
            past.memory
        });
        if let Err(error) = records.append(context.now, carried.as_ref(), &lines) {
            issues.push(unusable("written", context, &error));
        }
        if plan.issues.is_empty() {
            issues.truncate(1);
            plan.issues = issues;
        }
    }
    plan.summary(answers, context)
}

fn take_turn(records: &Records, context: &Context, issues: &mut Vec<Issue>) -> Option<Turn> {
    let turn = records.turn(PATIENCE);
    turn.map_err(|error| issues.push(unusable("written", context, &error))).ok()
}

fn unusable(what: &str, context: &Context, error: &std::io::Error) -> Issue {
    let folder = context.records_dir.display();
    Issue::new(
        "records_unusable",
        format!("the alerts' records in {folder} cannot be {what}, so an alert may be told again too soon: {error}"),
    )
    .path(folder.to_string())
}

// ---- deciding

/// Goes through what was found and what is remembered, once.
struct Decider<'a> {
    memory: Memory,
    context: &'a Context<'a>,
    /// The logs, and then the channels.
    receivers: Vec<Receiver>,
    entries: Vec<Entry>,
    /// What this run has said something of.
    seen: BTreeSet<Identity>,
}

impl<'a> Decider<'a> {
    fn new(memory: Memory, context: &'a Context<'a>) -> Self {
        let log = Receiver { name: LOG.to_owned(), min_severity: Severity::Warning };
        Self {
            memory,
            context,
            receivers: [log].into_iter().chain(context.receivers.iter().cloned()).collect(),
            entries: Vec::new(),
            seen: BTreeSet::new(),
        }
    }

    fn decide(mut self, evaluations: &[Evaluation]) -> Vec<Entry> {
        for evaluation in evaluations {
            for alert in &evaluation.alerts {
                self.stands(evaluation.origin, alert);
            }
        }
        let remembered: Vec<(Identity, Remembered)> = self.memory.0.clone().into_iter().collect();
        for (identity, known) in &remembered {
            self.may_have_ceased(identity, known, evaluations);
        }
        if self.context.offer == Offer::Again {
            for (identity, known) in &remembered {
                self.may_be_owed(identity, known);
            }
        }
        self.entries
    }

    fn stands(&mut self, origin: Origin, alert: &Alert) {
        let identity = Identity::of(alert);
        let now = self.context.now.to_utc();
        let mut decisions = BTreeMap::new();
        for receiver in &self.receivers {
            let known = self.memory.0.entry(identity.clone());
            let known = known.or_insert_with(|| Remembered {
                alert: alert.clone(),
                origin,
                claims: BTreeSet::new(),
                channels: BTreeMap::new(),
            });
            let heard = known.channels.entry(receiver.name.clone()).or_default();
            let what = Now::Stands { severity: alert.severity, minimum: receiver.min_severity };
            let reason = match origin {
                // It is there to be seen, whatever was seen before and whatever is asked for.
                Origin::Test => Reason::First,
                _ => decide(now, self.context.repeat_after, heard, what),
            };
            if reason.sends() {
                // A second alert of the same identity in this run finds the channel told.
                heard.took(Status::Firing, alert.severity, now);
            }
            decisions.insert(receiver.name.clone(), reason);
        }
        self.seen.insert(identity);
        self.entries.push(Entry {
            told: AlertUpdate { alert: alert.clone(), status: Status::Firing },
            origin,
            decisions,
        });
    }

    /// An alert ceases when all who said that it stands have looked again and do not find it.
    fn may_have_ceased(
        &mut self,
        identity: &Identity,
        known: &Remembered,
        evaluations: &[Evaluation],
    ) {
        let finds = |evaluation: &Evaluation| {
            let mut alerts = evaluation.alerts.iter();
            alerts.any(|alert| Identity::of(alert) == *identity)
        };
        let gone: Vec<Origin> = evaluations
            .iter()
            .filter(|evaluation| {
                known.claims.contains(&evaluation.origin)
                    && !finds(evaluation)
                    && evaluation.judges(&identity.kind, identity.subject.as_deref())
            })
            .map(|evaluation| evaluation.origin)
            .collect();
        let others_say_so =
            known.claims.iter().any(|claim| !gone.contains(claim)) || evaluations.iter().any(finds);
        let Some((last, others)) = gone.split_last() else {
            return;
        };
        let ended = |origin: Origin, decisions| Entry {
            told: AlertUpdate { alert: known.alert.clone(), status: Status::Resolved },
            origin,
            decisions,
        };
        let decisions =
            if others_say_so { BTreeMap::new() } else { self.decisions(known, Now::Ceased) };
        // Another run tells the channel something of it just now; whatever that is, the next run knows.
        if decisions.values().any(|reason| *reason == Reason::InHand) {
            return;
        }
        for origin in others {
            self.entries.push(ended(*origin, BTreeMap::new()));
        }
        self.entries.push(ended(*last, decisions));
        self.seen.insert(identity.clone());
    }

    fn may_be_owed(&mut self, identity: &Identity, known: &Remembered) {
        if self.seen.contains(identity) {
            return;
        }
        let mut decisions = self.decisions(known, Now::NotJudged);
        decisions.retain(|_, reason| *reason == Reason::OfferedAgain);
        let owed = |name: &String| known.channels.get(name)?.owed.map(|owed| owed.status);
        for status in [Status::Firing, Status::Resolved] {
            let own: BTreeMap<String, Reason> = decisions
                .iter()
                .filter(|(name, _)| owed(name) == Some(status))
                .map(|(name, reason)| (name.clone(), *reason))
                .collect();
            if !own.is_empty() {
                self.entries.push(Entry {
                    told: AlertUpdate { alert: known.alert.clone(), status },
                    origin: known.origin,
                    decisions: own,
                });
            }
        }
    }

    fn decisions(&self, known: &Remembered, what: Now) -> BTreeMap<String, Reason> {
        let now = self.context.now.to_utc();
        let decided = self.receivers.iter().filter_map(|receiver| {
            let heard = known.channels.get(&receiver.name)?;
            let reason = decide(now, self.context.repeat_after, heard, what);
            Some((receiver.name.clone(), reason))
        });
        decided.collect()
    }
}

// ---- carrying out

impl Plan {
    /// What each channel is to be told, in the order of the receivers; those that are to hear nothing are left out.
    pub fn notices(&self, context: &Context) -> Vec<(String, Notification)> {
        let receivers = context.receivers.iter();
        let notices = receivers.map(|receiver| {
            let notice = Notification {
                host: context.host.to_owned(),
                time: context.now,
                language: context.language,
                alerts: self.told(&receiver.name).map(|entry| entry.told.clone()).collect(),
            };
            (receiver.name.clone(), notice)
        });
        notices.filter(|(_, notice)| !notice.alerts.is_empty()).collect()
    }

    /// Writes what the logs are to be told.
    pub fn log(&self, context: &Context) -> Delivery {
        let told: Vec<AlertUpdate> = self.told(LOG).map(|entry| entry.told.clone()).collect();
        let lines = told.iter().map(|told| {
            let severity = told.alert.severity;
            let line = log_line(context.now, severity, &sentence(told, context.language));
            (severity, line)
        });
        let lines: Vec<(Severity, String)> = lines.collect();
        match write_logs(context.logs_dir, &lines) {
            Ok(()) => Delivery { name: LOG.to_owned(), accepted: told, rejected: Vec::new() },
            Err(why) => Delivery::failed(LOG.to_owned(), told, SendError::transient(why)),
        }
    }

    /// What a channel is to be told, the order in which it is.
    fn told(&self, channel: &str) -> impl Iterator<Item = &Entry> {
        let name = channel.to_owned();
        self.entries.iter().filter(move |entry| entry.is_told(&name))
    }

    fn reserve(&mut self, records: &Records, context: &Context) {
        let of = |entry: &Entry| {
            let identity = Identity::of(&entry.told.alert);
            let severity = entry.told.alert.severity;
            let told = entry.decisions.iter().filter(|(_, reason)| reason.sends());
            let sending = told.map(move |(channel, _)| Sending {
                identity: identity.clone(),
                severity,
                channel: channel.clone(),
            });
            sending.collect::<Vec<_>>()
        };
        let sending: Vec<Sending> = self.entries.iter().flat_map(of).collect();
        if sending.is_empty() {
            return;
        }
        match records.reserve(&sending) {
            Ok(reservation) => self.reservation = Some(reservation),
            Err(error) => self.issues.push(unusable("written", context, &error)),
        }
    }

    /// A record for each alert.
    fn records(&self, answers: &[Delivery], context: &Context) -> Vec<Record> {
        let outcomes = Outcomes { answers };
        let records = self.entries.iter().map(|entry| Record {
            time: context.now,
            host: context.host.to_owned(),
            origin: entry.origin,
            alert: entry.told.alert.clone(),
            status: entry.told.status,
            channels: outcomes.of(entry),
        });
        records.collect()
    }

    fn summary(self, answers: &[Delivery], context: &Context) -> Summary {
        let outcomes = Outcomes { answers };
        let counted: Vec<&str> = match context.receivers {
            [] => vec![LOG],
            receivers => receivers.iter().map(|receiver| &*receiver.name).collect(),
        };
        let (firing, resolved): (Vec<&Entry>, Vec<&Entry>) =
            self.entries.iter().partition(|entry| entry.told.status == Status::Firing);
        let reached = |entry: &Entry| counted.iter().any(|name| outcomes.is_sent(entry, name));
        let is_held_back = |entry: &Entry| !counted.iter().any(|name| entry.is_told(name));
        let count = |entries: &[&Entry], holds: &dyn Fn(&Entry) -> bool| {
            entries.iter().filter(|entry| holds(entry)).count()
        };
        let failed = answers.iter().filter_map(failed);
        Summary {
            alerts: firing.iter().map(|entry| entry.told.alert.clone()).collect(),
            alerts_sent: count(&firing, &reached),
            alerts_suppressed: count(&firing, &is_held_back),
            alerts_resolved: count(&resolved, &reached),
            channels: self.channels(&outcomes, context),
            decisions: self.entries.iter().map(Entry::decision).collect(),
            errors: self.issues.iter().cloned().chain(failed).collect(),
            said: self.said(context),
            warnings: self.warnings.clone(),
        }
    }

    fn channels(&self, outcomes: &Outcomes, context: &Context) -> Vec<ChannelSummary> {
        let receivers = context.receivers.iter();
        let channels = receivers.map(|receiver| {
            let name = &receiver.name;
            let sent = self.entries.iter().filter(|entry| outcomes.is_sent(entry, name));
            let mut answers = outcomes.answers.iter().filter(|answer| answer.name == *name);
            let refusal = answers.find_map(|answer| answer.error());
            ChannelSummary {
                channel: name.clone(),
                sent: sent.count(),
                error: refusal.map(|error| error.message.clone()),
            }
        });
        channels.collect()
    }

    /// Standard error is mailed by cron: a dry run, which tells nobody, says nothing there either.
    fn said(&self, context: &Context) -> Vec<(Option<Severity>, String)> {
        if context.mode == Mode::DryRun {
            return Vec::new();
        }
        let told = self.told(LOG).map(|entry| {
            let line = escaped(&sentence(&entry.told, context.language));
            let severity = match entry.told.status {
                Status::Firing => Some(entry.told.alert.severity),
                Status::Resolved => None,
            };
            (severity, line)
        });
        told.collect()
    }
}

impl Entry {
    fn is_told(&self, channel: &str) -> bool {
        self.decisions.get(channel).is_some_and(|reason| reason.sends())
    }

    fn decision(&self) -> Decision {
        Decision {
            alert: Identity::of(&self.told.alert),
            status: self.told.status,
            channels: self.decisions.clone(),
        }
    }
}

/// A message as logs and people read it: an end says that it is one.
fn sentence(told: &AlertUpdate, language: Language) -> String {
    let message = &told.alert.message;
    match told.status {
        Status::Firing => message.clone(),
        Status::Resolved => {
            language.pick(format!("已恢复: {message}"), format!("Resolved: {message}"))
        }
    }
}

/// An entry of `errors` for a channel that refused something.
fn failed(answer: &Delivery) -> Option<Issue> {
    let error = answer.error()?;
    Some(match answer.name.as_str() {
        LOG => Issue::new(
            "alert_log_unwritable",
            format!("the alerts' log cannot be written: {error}"),
        ),
        channel => Issue::new(CHANNEL_FAILED, format!("the channel {channel} failed: {error}")),
    })
}

/// What happened to each alert on each channel.
struct Outcomes<'a> {
    answers: &'a [Delivery],
}

impl Outcomes<'_> {
    fn of(&self, entry: &Entry) -> BTreeMap<String, Outcome> {
        let outcomes = entry.decisions.iter().map(|(channel, reason)| {
            let outcome = match reason {
                reason if reason.sends() => self.told(channel, entry, *reason),
                Reason::BelowMinimum => plainly(Happened::BelowMinimum, *reason),
                _ => plainly(Happened::Suppressed, *reason),
            };
            (channel.clone(), outcome)
        });
        outcomes.collect()
    }

    fn told(&self, channel: &str, entry: &Entry, reason: Reason) -> Outcome {
        let mut answers = self.answers.iter();
        let refused = |error: &str, attempts| Outcome {
            attempts,
            error: Some(error.to_owned()),
            ..plainly(Happened::Failed, reason)
        };
        let Some(answer) = answers.find(|answer| answer.name == channel) else {
            return refused("nothing was delivered", None);
        };
        let mut rejected = answer.rejected.iter();
        match rejected.find(|rejection| rejection.alerts.contains(&entry.told)) {
            Some(rejection) => refused(&rejection.error.message, rejection.attempts),
            None => plainly(Happened::Sent, reason),
        }
    }

    fn is_sent(&self, entry: &Entry, channel: &str) -> bool {
        let reason = entry.decisions.get(channel).filter(|reason| reason.sends());
        reason.is_some_and(|reason| self.told(channel, entry, *reason).result == Happened::Sent)
    }
}

fn plainly(result: Happened, reason: Reason) -> Outcome {
    Outcome { result, reason, attempts: None, error: None }
}

#[cfg(test)]
mod tests;
