//! Which channel is notified of what: the records are read and decisions made, and what is decided is carried out.

use super::decide::{Extent, Reason, State, decide};
use super::deliver::Delivery;
use super::log::{log_line, write_logs};
use super::memory::{Identity, Memory, Phase, Record, Remembered, Sending};
use super::records::places::{Places, Written};
use super::records::{PATIENCE, Past, Turn};
use super::silences::silencing;
use super::summary::{Outcomes, Summary, sentence};
use super::{Context, Entry, LOG, Mode, Plan, RECORDS_UNUSABLE, Receiver, Retry, Transition};
use crate::alert::{Alert, AlertUpdate, Notification, Status};
use crate::channels::SendError;
use crate::outcome::{Issue, Severity};
use crate::rules::{self, Evaluation, Origin, Verdict};
use chrono::TimeDelta;
use std::collections::{BTreeMap, BTreeSet};

/// Notifies of some evaluations: `deliver` gets a notification for each channel that is to get one, in the order of the receivers.
///
/// Records that cannot be read or written hold up no notification; they are in `errors`.
pub fn notify(
    evaluations: &[Evaluation],
    context: &Context,
    deliver: impl FnOnce(&[(String, Notification)]) -> Vec<Delivery>,
) -> Summary {
    let plan = plan(evaluations, context);
    if context.mode == Mode::DryRun {
        return plan.summary(&[], context);
    }
    // The logs first: they are quick, and stand whatever becomes of a channel that hangs.
    let mut deliveries = vec![plan.log(context)];
    let notifications = plan.notifications(context);
    if !notifications.is_empty() {
        deliveries.extend(deliver(&notifications));
    }
    record(plan, &deliveries, context)
}

/// Reads what the records remember, decides, and reserves what is to be sent.
pub fn plan(evaluations: &[Evaluation], context: &Context) -> Plan {
    let records = Places::new(context.records_dir, context.host);
    // Most runs have nothing to send: they take no turn, and make neither a folder nor a file.
    let first_look = read_and_decide(&records, evaluations, context, None, Vec::new());
    let is_nothing = first_look.entries.is_empty() && first_look.transitions.is_empty();
    if context.mode == Mode::DryRun || is_nothing {
        return first_look;
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
    records: &Places,
    evaluations: &[Evaluation],
    context: &Context,
    turn: Option<&Turn>,
    mut issues: Vec<Issue>,
) -> Plan {
    let past = records.read(context.now, turn).unwrap_or_else(|error| {
        // A folder that fails, fails at every step: one entry is enough.
        if issues.is_empty() {
            issues.push(unusable("read", context, &error));
        }
        Past::default()
    });
    let mut decider = Decider::new(past.memory, context);
    decider.decide(evaluations);
    Plan {
        entries: decider.entries,
        transitions: decider.transitions,
        reservation: None,
        issues,
        warnings: past.warnings,
    }
}

/// Records what came of a plan, and sums it up.
pub fn record(mut plan: Plan, deliveries: &[Delivery], context: &Context) -> Summary {
    let records = Places::new(context.records_dir, context.host);
    let lines = plan.records(deliveries, context);
    if !lines.is_empty() {
        let mut issues = Vec::new();
        let turn = take_turn(&records, context, &mut issues);
        match write(&records, turn.as_ref(), &lines, context) {
            Ok(Written::InPlace) => {}
            Ok(Written::Elsewhere { warning, is_news: true }) => plan.warnings.push(warning),
            Ok(Written::Elsewhere { warning, is_news: false }) => log::info!("{warning}"),
            Err(error) => issues.push(unusable("written", context, &error)),
        }
        if plan.issues.is_empty() {
            issues.truncate(1);
            plan.issues = issues;
        }
    }
    plan.summary(deliveries, context)
}

/// Appends records to what is remembered now: another run may have begun the day's file since.
fn write(
    records: &Places,
    turn: Option<&Turn>,
    lines: &[Record],
    context: &Context,
) -> std::io::Result<Written> {
    let past = records.read(context.now, turn).ok().map(|mut past| {
        past.memory.prune(context.now.to_utc(), context.repeat_after);
        past
    });
    let written = records.append(context.now, past.as_ref().map(|past| &past.memory), lines)?;
    // Only a day's first run says all that has to be known of the days before it.
    if turn.is_some() && past.is_some_and(|past| !past.is_carried) {
        records.sweep(context.now, context.records_days)?;
    }
    Ok(written)
}

fn take_turn(records: &Places, context: &Context, issues: &mut Vec<Issue>) -> Option<Turn> {
    let turn = records.turn(PATIENCE);
    turn.map_err(|error| issues.push(unusable("written", context, &error))).ok()
}

fn unusable(what: &str, context: &Context, error: &std::io::Error) -> Issue {
    let folder = context.records_dir.display();
    Issue::new(
        RECORDS_UNUSABLE,
        format!("the alerts' records in {folder} cannot be {what}, so an alert may be sent again too soon: {error}"),
    )
    .path(folder.to_string())
}

/// Goes through what was found and what is remembered, once.
struct Decider<'a> {
    memory: Memory,
    context: &'a Context<'a>,
    /// The logs, and then the channels.
    receivers: Vec<Receiver>,
    entries: Vec<Entry>,
    transitions: Vec<Transition>,
    /// Alerts that this run has decided on.
    seen: BTreeSet<Identity>,
}

impl<'a> Decider<'a> {
    fn new(memory: Memory, context: &'a Context<'a>) -> Self {
        let log = Receiver { name: LOG.to_owned(), min_severity: Severity::Info };
        Self {
            memory,
            context,
            receivers: [log].into_iter().chain(context.receivers.iter().cloned()).collect(),
            entries: Vec::new(),
            transitions: Vec::new(),
            seen: BTreeSet::new(),
        }
    }

    fn decide(&mut self, evaluations: &[Evaluation]) {
        for evaluation in evaluations {
            for alert in &evaluation.alerts {
                if self.is_firing(evaluation, alert) {
                    self.decide_alert(evaluation.origin, alert);
                }
            }
        }
        let remembered = self.memory.0.clone().into_iter();
        let remembered: Vec<(Identity, Remembered)> =
            remembered.filter(|(identity, _)| identity.concerns(self.context.host)).collect();
        for (identity, known) in &remembered {
            self.decide_resolved(identity, known, evaluations);
        }
        if self.context.retry == Retry::Undelivered {
            for (identity, known) in &remembered {
                self.decide_retries(identity, known);
            }
        }
    }

    /// Whether an alert that was found is firing: not yet where it has to be found for a while, and not beside a higher one that has yet to be resolved.
    fn is_firing(&mut self, evaluation: &Evaluation, alert: &Alert) -> bool {
        let now = self.context.now.to_utc();
        let origin = evaluation.origin;
        let is_silenced = rules::higher(&alert.kind).any(|kind| {
            let identity = Identity::new(kind, alert.subject.clone(), self.context.host);
            let known = self.memory.0.get(&identity);
            known.is_some_and(|known| {
                known.claims.contains(&origin)
                    && evaluation.verdict(kind, identity.subject.as_deref()) == Verdict::Wavering
                    && !evaluation.finds(kind, identity.subject.as_deref())
                    && !self.has_cleared(known)
            })
        });
        if is_silenced {
            return false;
        }
        let minutes = self.context.for_minutes.get(&alert.kind).copied().unwrap_or(0);
        let wait = TimeDelta::minutes(minutes.into());
        let known = self.memory.0.get(&Identity::of(alert, self.context.host));
        let is_already = known.is_some_and(|known| !known.claims.is_empty());
        if wait.is_zero() || is_already {
            return true;
        }
        let since = known.and_then(|known| known.pending_since);
        if since.is_none() {
            let phase = Phase::Pending;
            self.transitions.push(Transition { alert: alert.clone(), origin, phase });
        }
        since.is_some_and(|since| now.signed_duration_since(since) >= wait)
    }

    /// Whether an alert whose value wavers has not been found for long enough.
    fn has_cleared(&self, known: &Remembered) -> bool {
        let now = self.context.now.to_utc();
        let since = known.clearing_since.unwrap_or(now);
        now.signed_duration_since(since) >= self.context.clear_after
    }

    fn decide_alert(&mut self, origin: Origin, alert: &Alert) {
        let now = self.context.now.to_utc();
        let mut decisions = BTreeMap::new();
        for receiver in &self.receivers {
            let known = self.memory.entry(alert, origin, self.context.host);
            let memory = known.channels.entry(receiver.name.clone()).or_default();
            let state = match silencing(self.context.silences, alert) {
                Some(_) => State::Silenced,
                None => State::Firing {
                    severity: alert.severity,
                    minimum: receiver.min_severity,
                    extent: Extent::of(alert),
                },
            };
            let reason = match origin {
                // It is meant to be seen, whatever was sent before and whatever `min_severity` is.
                Origin::Test => Reason::First,
                _ => decide(now, self.context.repeat_after, memory, state),
            };
            if reason.notifies() {
                // A second alert of the same identity in this run finds the channel notified.
                memory.record_accepted(Status::Firing, alert, now);
            }
            decisions.insert(receiver.name.clone(), reason);
        }
        self.seen.insert(Identity::of(alert, self.context.host));
        self.entries.push(Entry {
            update: AlertUpdate { alert: alert.clone(), status: Status::Firing },
            origin,
            decisions,
        });
    }

    /// An alert is resolved when all who found it firing have looked again and do not find it.
    fn decide_resolved(
        &mut self,
        identity: &Identity,
        known: &Remembered,
        evaluations: &[Evaluation],
    ) {
        let subject = identity.subject.as_deref();
        let finds = |evaluation: &Evaluation| evaluation.finds(&identity.kind, subject);
        let mut gone: Vec<Origin> = Vec::new();
        let mut state = State::Resolved;
        for evaluation in evaluations.iter().filter(|evaluation| !finds(evaluation)) {
            let origin = evaluation.origin;
            let transition = |phase| Transition { alert: known.alert.clone(), origin, phase };
            match evaluation.verdict(&identity.kind, subject) {
                Verdict::NotJudged => {}
                _ if !known.claims.contains(&origin) => {
                    let is_pending = known.pending_since.is_some() && known.origin == origin;
                    self.transitions.extend(is_pending.then(|| transition(Phase::Lapsed)));
                }
                Verdict::Wavering if !self.has_cleared(known) => {
                    let begins = known.clearing_since.is_none();
                    self.transitions.extend(begins.then(|| transition(Phase::Clearing)));
                }
                Verdict::Wavering | Verdict::Well => gone.push(origin),
                Verdict::NotWatched => {
                    gone.push(origin);
                    state = State::NotWatched;
                }
            }
        }
        let others_find_it =
            known.claims.iter().any(|claim| !gone.contains(claim)) || evaluations.iter().any(finds);
        let Some((last, others)) = gone.split_last() else {
            return;
        };
        let resolved = |origin: Origin, decisions| Entry {
            update: AlertUpdate { alert: known.alert.clone(), status: Status::Resolved },
            origin,
            decisions,
        };
        let decisions = if others_find_it { BTreeMap::new() } else { self.decisions(known, state) };
        // Another run is notifying a channel of it right now; the next run will know the result.
        if decisions.values().any(|reason| *reason == Reason::InProgress) {
            return;
        }
        for origin in others {
            self.entries.push(resolved(*origin, BTreeMap::new()));
        }
        self.entries.push(resolved(*last, decisions));
        self.seen.insert(identity.clone());
    }

    fn decide_retries(&mut self, identity: &Identity, known: &Remembered) {
        if self.seen.contains(identity) {
            return;
        }
        let mut decisions = self.decisions(known, State::NotJudged);
        decisions.retain(|_, reason| *reason == Reason::Retry);
        let undelivered = |name: &String| {
            known.channels.get(name)?.undelivered.map(|undelivered| undelivered.status)
        };
        for status in [Status::Firing, Status::Resolved] {
            let is_silenced = silencing(self.context.silences, &known.alert).is_some();
            if status == Status::Firing && is_silenced {
                continue;
            }
            let of_status: BTreeMap<String, Reason> = decisions
                .iter()
                .filter(|(name, _)| undelivered(name) == Some(status))
                .map(|(name, reason)| (name.clone(), *reason))
                .collect();
            if !of_status.is_empty() {
                self.entries.push(Entry {
                    update: AlertUpdate { alert: known.alert.clone(), status },
                    origin: known.origin,
                    decisions: of_status,
                });
            }
        }
    }

    fn decisions(&self, known: &Remembered, state: State) -> BTreeMap<String, Reason> {
        let now = self.context.now.to_utc();
        let decided = self.receivers.iter().filter_map(|receiver| {
            let memory = known.channels.get(&receiver.name)?;
            let reason = decide(now, self.context.repeat_after, memory, state);
            Some((receiver.name.clone(), reason))
        });
        decided.collect()
    }
}

impl Plan {
    /// What each channel is to be sent, in the order of the receivers; those that get nothing are left out.
    pub fn notifications(&self, context: &Context) -> Vec<(String, Notification)> {
        let receivers = context.receivers.iter();
        let notifications = receivers.map(|receiver| {
            let notification = Notification {
                name: context.name.map(str::to_owned),
                host: context.host.to_owned(),
                time: context.now,
                language: context.language,
                alerts: self
                    .entries_for(&receiver.name)
                    .map(|entry| entry.update.clone())
                    .collect(),
            };
            (receiver.name.clone(), notification)
        });
        notifications.filter(|(_, notification)| !notification.alerts.is_empty()).collect()
    }

    /// Writes the lines of the text logs.
    pub fn log(&self, context: &Context) -> Delivery {
        let updates: Vec<AlertUpdate> =
            self.entries_for(LOG).map(|entry| entry.update.clone()).collect();
        let lines = updates.iter().map(|update| {
            let severity = update.alert.severity;
            let line = log_line(context.now, severity, &sentence(update, context.language));
            (severity, line)
        });
        let lines: Vec<(Severity, String)> = lines.collect();
        match write_logs(context.logs_dir, &lines) {
            Ok(()) => Delivery { name: LOG.to_owned(), accepted: updates, rejected: Vec::new() },
            Err(why) => Delivery::failed(LOG.to_owned(), updates, SendError::transient(why)),
        }
    }

    fn reserve(&mut self, records: &Places, context: &Context) {
        let of = |entry: &Entry| {
            let alert = entry.update.alert.clone();
            let notified = entry.decisions.clone().into_iter();
            let notified = notified.filter(|(_, reason)| reason.notifies());
            notified.map(move |(channel, _)| Sending {
                alert: alert.clone(),
                channel,
                host: context.host.to_owned(),
            })
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
    fn records(&self, deliveries: &[Delivery], context: &Context) -> Vec<Record> {
        let outcomes = Outcomes { deliveries };
        let records = self.entries.iter().map(|entry| Record {
            time: context.now,
            host: context.host.to_owned(),
            origin: entry.origin,
            alert: entry.update.alert.clone(),
            status: entry.update.status,
            phase: None,
            channels: outcomes.of(entry),
        });
        let transitions = self.transitions.iter().map(|transition| Record {
            time: context.now,
            host: context.host.to_owned(),
            origin: transition.origin,
            alert: transition.alert.clone(),
            status: Status::Firing,
            phase: Some(transition.phase),
            channels: BTreeMap::new(),
        });
        records.chain(transitions).collect()
    }
}

#[cfg(test)]
mod tests;
