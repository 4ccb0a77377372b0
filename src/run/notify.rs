//! What the rules say of a result, and who is notified of it.

use super::Session;
use super::channels::{self, Prepared};
use super::logging::GOOD_NEWS;
use super::silences;
use crate::alert::Notification;
use crate::config::Config;
use crate::host;
use crate::notify::deliver::{Delivery, Pauses, deliver};
use crate::notify::{Context, Mode, RECORDS_UNUSABLE, Retry, Summary};
use crate::outcome::Severity;
use crate::rules::{self, Evaluation, List, On};
use crate::store::ListedFirst;
use anyhow::{Context as _, Result};
use chrono::TimeDelta;
use serde::Serialize;

impl Session {
    /// Notifies every receiver of what it has to know, or says in a dry run whom of what.
    pub(super) fn notify(
        &self,
        config: &Config,
        evaluations: &[Evaluation],
        retry: Retry,
        mode: Mode,
    ) -> Summary {
        let settings = &config.alerts.notify;
        let evaluations = &with_runbooks(evaluations, config);
        let receivers = channels::receivers(&settings.channels);
        let host = host::name();
        let (silences, unreadable) = silences::holding(self, config);
        let context = Context {
            now: self.now.with_timezone(&config.timezone).fixed_offset(),
            language: config.language,
            name: config.name.as_deref(),
            host: &host,
            repeat_after: TimeDelta::hours(settings.repeat_after_hours.into()),
            clear_after: TimeDelta::minutes(settings.clear_after_minutes.into()),
            for_minutes: &config.alerts.rules.for_minutes,
            receivers: &receivers,
            silences: &silences,
            records_dir: &settings.records_dir,
            records_days: settings.records_days,
            logs_dir: &settings.logs_dir,
            retry,
            mode,
        };
        let mut summary = crate::notify::notify(evaluations, &context, |notifications| {
            let prepared = channels::prepare(&settings.channels, &self.env, self.now, self.started);
            send(prepared, notifications)
        });
        // A folder that fails, fails for both: one entry is enough.
        let is_said = summary.errors.iter().any(|issue| issue.kind == RECORDS_UNUSABLE);
        summary.errors.extend(unreadable.filter(|_| !is_said));
        for (severity, line) in &summary.lines {
            match severity {
                Some(Severity::Warning) => log::warn!("{line}"),
                Some(Severity::Error | Severity::Critical) => log::error!("{line}"),
                Some(Severity::Info) | None => log::info!(target: GOOD_NEWS, "{line}"),
            }
        }
        for warning in &summary.warnings {
            log::warn!("{warning}");
        }
        log_alerts(&summary, mode);
        for issue in &summary.errors {
            if summary.known.contains(&issue.message) {
                log::info!("as before: {}", issue.message);
            } else {
                log::error!("{}", issue.message);
            }
        }
        summary
    }
}

/// What was found without a result, such as that a job failed, has its runbook too.
fn with_runbooks(evaluations: &[Evaluation], config: &Config) -> Vec<Evaluation> {
    let mut evaluations = evaluations.to_vec();
    for alert in evaluations.iter_mut().flat_map(|evaluation| &mut evaluation.alerts) {
        let runbook = || config.alerts.rules.runbook(&alert.kind).map(str::to_owned);
        alert.url = alert.url.take().or_else(runbook);
    }
    evaluations
}

/// The alerts that are firing by a result of `stats` or `disk`.
pub(super) fn evaluate(config: &Config, result: &impl Serialize) -> Result<Evaluation> {
    let document = serde_json::to_value(result).context("the result is no JSON")?;
    Ok(rules::evaluate(&rules::read(document)?, &rule_context(config)))
}

fn log_alerts(summary: &Summary, mode: Mode) {
    let dry_run = match mode {
        Mode::DryRun => " (dry run)",
        Mode::Deliver => "",
    };
    log::info!(
        "alerts{dry_run}: {} firing, {} sent, {} suppressed, {} resolved",
        summary.alerts.len(),
        summary.alerts_sent,
        summary.alerts_suppressed,
        summary.alerts_resolved
    );
    for own in &summary.channels {
        let failed = own.error.as_ref().map_or("", |_| ", and failed");
        log::info!("channel {}: accepted {}{failed}", own.channel, own.sent);
    }
}

/// Sends each channel its notification, if it has one.
fn send(prepared: Vec<Prepared>, notifications: &[(String, Notification)]) -> Vec<Delivery> {
    let outgoing = prepared.into_iter().filter_map(|channel| {
        let name = &channel.receiver.name;
        let (_, notification) = notifications.iter().find(|(receiver, _)| receiver == name)?;
        Some(channel.outgoing(notification.clone()))
    });
    deliver(outgoing.collect(), &Pauses::default())
}

pub(super) fn rule_context(config: &Config) -> rules::Context<'_> {
    rules::Context { settings: &config.alerts.rules, language: config.language }
}

/// The queues and names that rules on results of a kind are about.
pub(super) fn listed_first(config: &Config, on: On) -> ListedFirst {
    let rules = &config.alerts.rules;
    ListedFirst { queues: rules.targets(on, List::Queues), names: rules.targets(on, List::Names) }
}
