//! The live state: what the table, the disks and the records of runs say now, and what the rules say of it.

use super::database::{hidden_rows, reading_target};
use super::locks::{HeldUntil, Locks};
use super::notify::{listed_first, rule_context};
use super::{Session, disks, log_issues};
use crate::config::Config;
use crate::live::{self, LiveState};
use crate::notify::Mode;
use crate::outcome::Issue;
use crate::rules::{self, Evaluation, On};
use crate::store::Store;
use anyhow::Result;

/// Every host looks at its own disks and jobs, so that one which finds another at work waits its turn. They are held until the state is known: two
/// runs that notify at the same time know of each other by the records.
pub(super) fn locks(config: &Config) -> Locks<'_> {
    Locks { database: reading_target(config), held_until: HeldUntil::WorkIsDone }
}

/// The state, and what there is to be said about it.
pub(super) struct Found {
    pub state: LiveState,
    pub evaluation: Evaluation,
    pub issues: Vec<Issue>,
}

pub(super) fn evaluate(
    session: &Session,
    config: &Config,
    store: &mut dyn Store,
    mode: Mode,
) -> Result<Found> {
    let context = rule_context(config);
    let listed_first = listed_first(config, On::Live);
    let request = live::request(session.now, config.timezone, &context.settings.live, listed_first);
    let figures = store.live_figures(&request)?;
    let disks = match mode {
        Mode::Deliver => disks::measure_and_remember(config, &config.disk),
        Mode::DryRun => disks::measure(config, &config.disk),
    };
    let mut undecided = Vec::new();
    let missed = session.missed(config, mode).unwrap_or_else(|failure| {
        undecided.push((rules::JOB_MISSED, failure.message));
        None
    });
    let skipped = session
        .skipped(config)
        .map_err(|failure| undecided.push((rules::JOB_SKIPPED, failure.message)));
    // It reads what says which jobs were skipped, which has said already that it cannot be read.
    let unusual = session.unusual(config).ok();
    let state = live::state(
        &figures,
        &live::Facts {
            now: session.now,
            zone: config.timezone,
            states: &config.database.store.mapping.tasks.states,
            disk: Some(&disks),
            missed: missed.as_deref(),
            skipped: skipped.as_deref().ok(),
            unusual: unusual.as_deref(),
        },
    );
    let (pending, processing) = (&state.backlog, &state.stuck);
    log::info!(
        "{} tasks pending, {} of them overdue; {} in processing, {} of them stuck; {} today, {} of them failed",
        pending.pending,
        pending.older_than_limit,
        processing.processing,
        processing.tasks,
        state.today.total,
        state.today.failed
    );
    let mut issues = live::issues(&figures);
    issues.extend(hidden_rows(store));
    issues.extend(disks.errors);
    let evaluation = rules::evaluate_live(&state, &context)?;
    let mut evaluation = evaluation.watching(config.disk.all_paths());
    for (rule, why) in undecided {
        evaluation.add_check_error(rule, &why, config.language);
    }
    log_issues(&issues);
    Ok(Found { state, evaluation, issues })
}
