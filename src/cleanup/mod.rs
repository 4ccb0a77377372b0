//! `taskmon cleanup`: deletes what has expired, and nothing else.
//!
//! The folders, the clock and the brake are checked before anything is deleted. Then temp folders and logs are swept, whatever becomes of the
//! rows: where a disk is full, that makes the room without which no row can be deleted. Then tasks go, and then the receipts that no task
//! refers to any more.

mod aliases;
mod bound;
mod candidate;
mod config;
mod database;
mod dir;
mod files;
mod finding;
mod folders;
mod globs;
mod guard;
mod hashed;
mod in_use;
mod issue_log;
mod journal;
mod lookups;
mod naming;
mod paths;
mod pending;
mod reading;
mod removal;
mod roots;
mod rows;
mod settings;
mod sweep;
mod tally;
mod targets;
mod threads;
mod tree;
mod watch;

pub use aliases::path_aliases;
pub use config::Config;
pub use database::Database;
pub use folders::needs_names;
pub use globs::{NamePatterns, Protected};
pub use guard::{MOST_SKEW, require_no_gap};
pub use journal::{FILES as JOURNALS, Places};
pub use reading::{Reading, Source};
pub use roots::Roots;
pub use settings::{Outside, Part, Settings, TempAgeBy};
pub use tally::{CleanupReport, Tally};
pub use targets::{Needed, Target, home_folders, resolve_targets};
pub use watch::Watch;

use crate::outcome::{Failure, Issue, Kind};
use crate::store::prune::{Mode, Pruner, Scope, Undeletable};
use anyhow::Result;
use database::is_interrupted;
use in_use::InUse;
use rows::Run;

/// Runs the cleanup.
///
/// A database that fails keeps no folder from being swept: it is [`Tally::failure`] if no row could be deleted, else an entry of the result.
///
/// # Errors
/// Before anything is deleted: [`Kind::ClockSkew`], [`Kind::Brake`].
pub fn run(
    settings: &Settings,
    roots: &Roots,
    database: &mut Database,
    watch: &Watch,
) -> Result<Tally> {
    let mut tally = Tally::default();
    let ended = match clean(settings, roots, database, watch, &mut tally) {
        Err(error) if is_interrupted(&error) && watch.stops(&mut tally) => Ok(()),
        ended => ended,
    };
    tally.log_issues();
    ended.map(|()| tally)
}

fn clean(
    settings: &Settings,
    roots: &Roots,
    database: &mut Database,
    watch: &Watch,
    tally: &mut Tally,
) -> Result<()> {
    if let Err(error) = guard::check(settings, database) {
        let Database::Open(pruner) = database else {
            return Err(error);
        };
        if guard::is_refusal(&error) || is_interrupted(&error) {
            return Err(error);
        }
        let error = with_field(error, pruner.as_mut());
        *database = Database::Unreachable(Failure::of(&error));
        guard::check(settings, database)?;
    }
    let in_use = InUse::default();
    for part in [Part::Temp, Part::Logs] {
        if settings.has(part) {
            folders::sweep_folders(part, settings, roots, database, &in_use, watch, tally)?;
        }
    }
    if in_use.is_unknown() {
        tally.note("/proc shows no process: files went without anybody having seen whether they are in use");
    }
    match database {
        Database::Open(pruner) if settings.needs_rows() => {
            clean_rows(settings, roots, pruner.as_mut(), watch, tally)
        }
        Database::Unreachable(failure) if settings.needs_rows() => {
            tally.failure = Some(failure.clone());
            Ok(())
        }
        _ => Ok(()),
    }
}

/// Deletes rows as far as the database lets it.
///
/// # Errors
/// [`Kind::Interrupted`]
fn clean_rows(
    settings: &Settings,
    roots: &Roots,
    pruner: &mut dyn Pruner,
    watch: &Watch,
    tally: &mut Tally,
) -> Result<()> {
    let swept = tally.files;
    let Err(error) = try_clean_rows(settings, roots, pruner, watch, tally) else {
        if settings.mode == Mode::Apply && tally.tasks + tally.receipts > 0 {
            // The rows are gone whether or not there is something to say of their space.
            let note = pruner.unreturned_space().ok().flatten();
            note.into_iter().for_each(|note| tally.remark(note));
        }
        return Ok(());
    };
    let error = with_field(error, pruner);
    if is_interrupted(&error) {
        return Err(error);
    }
    if tally.tasks + tally.receipts == 0 && tally.files == swept {
        tally.failure = Some(Failure::of(&error));
    } else {
        tally.issue(database_issue(&error));
    }
    Ok(())
}

/// A statement that failed on a row, with the field of the mapping that is to blame, if one is.
fn with_field(error: anyhow::Error, pruner: &mut dyn Pruner) -> anyhow::Error {
    match Failure::of(&error).kind {
        Kind::QueryFailed => pruner.blame().map_or(error, anyhow::Error::from),
        _ => error,
    }
}

/// The entry for a database that failed when some rows were deleted.
fn database_issue(error: &anyhow::Error) -> Issue {
    Issue::new("database_failed", Failure::of(error).with_hint())
}

fn try_clean_rows(
    settings: &Settings,
    roots: &Roots,
    pruner: &mut dyn Pruner,
    watch: &Watch,
    tally: &mut Tally,
) -> Result<()> {
    if watch.stops(tally) {
        return Ok(());
    }
    guard::advise(settings, pruner, tally)?;
    let mut scopes = Vec::new();
    if settings.prunes_tasks() {
        scopes.push(settings.expired_tasks());
    }
    if settings.prunes_receipts() {
        scopes.push(settings.expired_receipts());
    }
    let mut run = Run::new(settings, roots, pruner, watch, tally)?;
    let ended = run.take_over().and_then(|()| clean_scopes(&scopes, &mut run));
    run.end(ended)
}

fn clean_scopes(scopes: &[Scope], run: &mut Run) -> Result<()> {
    for scope in scopes {
        report_undeletable(scope, run.pruner, run.tally)?;
        let phase = run.tally.phase();
        run.clean(scope)?;
        let what = match scope {
            Scope::Tasks(_) => "expired tasks",
            Scope::Receipts(_) => "orphaned receipts",
        };
        phase.end(what, run.tally);
    }
    Ok(())
}

/// Rows that may have expired, but nobody can say so, or name them.
fn report_undeletable(scope: &Scope, pruner: &mut dyn Pruner, tally: &mut Tally) -> Result<()> {
    let Undeletable { table, without_key, undated } = pruner.undeletable(scope)?;
    if let Some((count, times)) = pruner.implausible(scope)? {
        let message = format!(
            "{count} rows of {table} stay because no time of theirs can be read and can be right, such as one with {times}"
        );
        tally.issue(Issue::new("unreadable_time", message));
    }
    if undated > 0 {
        tally.remark(format!(
            "{undated} ended rows of {table} stay because they have no time from which a limit could count"
        ));
    }
    if without_key > 0 {
        let message = format!(
            "{without_key} rows of {table} stay because a part of their key is NULL, no text or too long, so that nothing identifies them"
        );
        tally.issue(Issue::new("row_without_key", message));
    }
    Ok(())
}
