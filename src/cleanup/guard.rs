//! What is checked before anything is deleted: the clock, and how much would go.
//!
//! Nothing that a clock says is believed alone.

use super::database::Database;
use super::reading::{Reading, Source, last_reading};
use super::settings::{Part, Settings};
use super::tally::Tally;
use crate::calendar::Shift;
use crate::outcome::{Failure, Kind};
use crate::store::prune::Pruner;
use crate::units;
use anyhow::Result;
use chrono::{DateTime, TimeDelta, Utc};

/// How far this host's clock and the database's may differ.
pub const MOST_SKEW: TimeDelta = TimeDelta::minutes(5);

/// # Errors
/// The run must not go on ([`is_refusal`]), or the database failed.
pub fn check(settings: &Settings, database: &mut Database) -> Result<()> {
    check_gap(settings, database)?;
    if let Database::Open(pruner) = database {
        check_clock(settings, pruner.as_mut())?;
        check_brake(settings, pruner.as_mut())?;
    }
    Ok(())
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
    let host = settings.started.plus(elapsed);
    let skew = database.signed_duration_since(host).abs();
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

/// Whether the time from which limits count back is one that the clock may have come to by now.
fn check_gap(settings: &Settings, database: &mut Database) -> Result<()> {
    if settings.force {
        return Ok(());
    }
    let mut newest_task = |enough| match database {
        Database::Open(pruner) => pruner.newest_time(enough),
        Database::None | Database::Unreachable(_) => Ok(None),
    };
    let days = settings.config.clock_gap_days;
    require_no_gap(&settings.readings, settings.as_of, days, &mut newest_task)
}

/// Whether a time is not far ahead of every other that is known. `newest_task` is the newest plausible time of the tasks, as exactly as it takes to
/// know whether it lies at or after its argument; it is not asked where the readings suffice.
///
/// # Errors
/// [`Kind::ClockSkew`]: with a clock that is a year ahead, everything would have expired; a database on this host has the same clock.
pub fn require_no_gap(
    readings: &[Reading],
    now: DateTime<Utc>,
    days: u32,
    newest_task: &mut dyn FnMut(DateTime<Utc>) -> Result<Option<DateTime<Utc>>>,
) -> Result<()> {
    if days == 0 {
        return Ok(());
    }
    let gap = TimeDelta::days(days.into());
    let enough = now.minus(gap);
    let mut last = last_reading(readings, now, gap);
    let is_enough = |last: &Reading| last.source == Source::Checked && last.time >= enough;
    // Since the first day under a clock that leapt before taskmon was installed, there are runs of other jobs.
    if !last.as_ref().is_some_and(is_enough)
        && let Some(time) = newest_task(enough)?
    {
        let task = Reading { time: time.min(now), source: Source::Checked };
        last = last_reading(&[readings, &[task]].concat(), now, gap);
    }
    let Some(Reading { time: newest, .. }) = last.filter(|last| last.time < enough) else {
        return Ok(());
    };
    let message = format!(
        "it is {}, {} days after the newest time that is known of the tasks, of taskmon's runs and of the reports, {}; that is more than cleanup.clock_gap_days = {days} allows, since the clock may be wrong: nothing is deleted",
        now.format("%Y-%m-%dT%H:%M:%SZ"),
        now.signed_duration_since(newest).num_days(),
        newest.format("%Y-%m-%dT%H:%M:%SZ"),
    );
    Err(Failure::new(Kind::ClockSkew, message)
        .hint("set the clock if it is wrong; if nothing has happened for so long, `taskmon cleanup --dry-run --force` shows what would go, and --force deletes it")
        .into())
}

/// So few may always go.
const UNBRAKED: u64 = 1000;

/// More rows than any table has; a LIMIT takes it.
const MOST_COUNTED: f64 = 1e18;

/// # Errors
/// [`Kind::Brake`]: more tasks have expired than the configuration lets one run delete.
fn check_brake(settings: &Settings, pruner: &mut dyn Pruner) -> Result<()> {
    if settings.config.brake_percent <= 0.0 || !settings.prunes_tasks() || settings.force {
        return Ok(());
    }
    let expired = pruner.count_expired(&settings.expired_tasks())?;
    if expired <= UNBRAKED {
        return Ok(());
    }
    // So many let all of these go: to count more would be to read a table that may be long.
    let enough = expired as f64 * 100.0 / settings.config.brake_percent;
    let ended = pruner.count_ended(enough.ceil().min(MOST_COUNTED) as u64)?;
    // Not by the share as it is shown, which is rounded.
    if ended as f64 >= enough {
        return Ok(());
    }
    let share = units::percent(expired, ended);
    let message = format!(
        "{expired} of {ended} tasks that have ended are expired, {share}%, more than cleanup.brake_percent = {} allows; nothing was deleted",
        settings.config.brake_percent
    );
    Err(Failure::new(Kind::Brake, message)
        .hint("`taskmon cleanup --dry-run --force` shows what would go; if the limits, the clock and the time columns are right, --force deletes it")
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
