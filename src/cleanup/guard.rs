//! What is checked before anything is deleted: the clock, and how much would go.

use super::settings::{Part, Settings};
use super::tally::Tally;
use crate::outcome::{Failure, Kind};
use crate::store::prune::Pruner;
use crate::units;
use anyhow::Result;
use chrono::TimeDelta;

/// How far this host's clock and the database's may differ.
pub const MOST_SKEW: TimeDelta = TimeDelta::minutes(5);

/// # Errors
/// The run must not go on ([`is_refusal`]), or the database failed.
pub fn check(settings: &Settings, pruner: &mut dyn Pruner) -> Result<()> {
    check_clock(settings, pruner)?;
    check_brake(settings, pruner)
}

/// Whether nothing at all may be deleted, temp files and logs included.
pub fn is_refusal(error: &anyhow::Error) -> bool {
    matches!(Failure::of(error).kind, Kind::ClockSkew | Kind::Brake)
}

/// # Errors
/// [`Kind::ClockSkew`]: with a clock that is days ahead, everything would have expired.
fn check_clock(settings: &Settings, pruner: &mut dyn Pruner) -> Result<()> {
    let Some(database) = pruner.clock()? else {
        return Ok(());
    };
    // The time now: the run may have waited for the connection since it began.
    let elapsed = TimeDelta::from_std(settings.clock.elapsed()).unwrap_or_default();
    let host = settings.started + elapsed;
    let skew = (database - host).abs();
    if skew <= MOST_SKEW || settings.force {
        return Ok(());
    }
    let message = format!(
        "this host's clock says {} and the database's {}: they differ by {} seconds, so nothing was deleted",
        host.format("%Y-%m-%dT%H:%M:%SZ"),
        database.format("%Y-%m-%dT%H:%M:%SZ"),
        skew.num_seconds()
    );
    Err(Failure::new(Kind::ClockSkew, message)
        .hint("set the clock that is wrong; --force goes on all the same")
        .into())
}

/// # Errors
/// [`Kind::Brake`]: more tasks have expired than the configuration lets one run delete.
fn check_brake(settings: &Settings, pruner: &mut dyn Pruner) -> Result<()> {
    if settings.config.brake_percent <= 0.0 || !settings.prunes_tasks() || settings.force {
        return Ok(());
    }
    let counts = pruner.count_tasks(&settings.expired_tasks())?;
    let share = units::percent(counts.expired, counts.all);
    if share <= settings.config.brake_percent {
        return Ok(());
    }
    let message = format!(
        "{} of {} tasks have expired, {share}%, more than cleanup.brake_percent = {} allows; nothing was deleted",
        counts.expired, counts.all, settings.config.brake_percent
    );
    Err(Failure::new(Kind::Brake, message)
        .hint("see whether the limits and the clock are right; --force deletes them")
        .into())
}

/// Notes what keeps tasks from being deleted, or makes it slow.
pub fn advise(settings: &Settings, pruner: &mut dyn Pruner, tally: &mut Tally) -> Result<()> {
    if settings.has(Part::Tasks) && settings.never_pruned {
        tally.note("database.tasks.delete_from is empty: tasks are never deleted by this mapping");
    }
    if settings.prunes_tasks() || settings.prunes_receipts() {
        for missing in pruner.missing_indexes()? {
            if let Ok(statement) = missing.remedy {
                tally.note(format!("an index would make this faster: {statement}"));
            }
        }
    }
    Ok(())
}
