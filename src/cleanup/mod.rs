//! `taskmon cleanup`: what has expired goes, and nothing else.
//!
//! The plan is checked whole before anything is deleted: the folders, the clock, the brake. Then the parts follow in an order in which
//! each sees what the one before has left: tasks, receipts, temp folders, logs.

mod beneath;
pub mod files;
pub mod forbidden;
mod rows;
pub mod sweep;
mod tally;
mod threads;

pub use tally::{CleanupReport, Tally};

use crate::mapping::State;
use crate::mapping::canonical_path::PathAliases;
use crate::outcome::{Failure, Issue, Kind};
use crate::store::prune::{Mode, Pruner, Scope};
use crate::units;
use anyhow::{Context, Result};
use chrono::{DateTime, TimeDelta, Utc};
use files::Roots;
use std::collections::HashSet;
use std::hash::{BuildHasher, RandomState};
use sweep::{Counter, Rule, Target};

/// How far this host's clock and the database's may differ.
pub const MOST_SKEW: TimeDelta = TimeDelta::minutes(5);

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Part {
    Tasks,
    Receipts,
    Temp,
    Logs,
}

impl Part {
    pub const ALL: [Part; 4] = [Part::Tasks, Part::Receipts, Part::Temp, Part::Logs];

    pub fn name(self) -> &'static str {
        match self {
            Part::Tasks => "tasks",
            Part::Receipts => "receipts",
            Part::Temp => "temp",
            Part::Logs => "logs",
        }
    }
}

/// What becomes of a row that names a path outside the storage roots.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outside {
    Error,
    Ignore,
}

/// What a run was told, all paths absolute.
pub struct Settings {
    pub parts: Vec<Part>,
    pub mode: Mode,
    /// Overrides the clock, the brake and what is said of roots that are not there.
    pub force: bool,
    /// When the run began, by this host's clock, and a clock that has run since.
    pub started: DateTime<Utc>,
    pub clock: std::time::Instant,
    /// The time from which limits count back.
    pub as_of: DateTime<Utc>,
    /// Limits of the states that have one, in days of 24 hours.
    pub task_days: Vec<(State, u32)>,
    pub receipts_days: u32,
    pub temp_hours: u32,
    pub log_days: u32,
    pub outside_paths: Outside,
    pub remove_empty_folders: bool,
    pub batch_size: usize,
    /// Percent; 0: off.
    pub brake_percent: f64,
    pub temp: Vec<Target>,
    pub logs: Vec<Target>,
    pub log_patterns: Vec<String>,
    pub protect: Vec<String>,
    pub aliases: PathAliases,
    /// Whether the mapping has receipts, and how many tables depend on them.
    pub has_receipts: bool,
    pub dependents: usize,
    /// Why tasks are never deleted by this mapping.
    pub never_pruned: bool,
}

/// What the run is watched by.
pub struct Watch<'a> {
    pub progress: &'a dyn Fn(&Tally),
    /// Why it must stop now; asked between batches.
    pub must_stop: &'a dyn Fn() -> Option<&'static str>,
}

impl Watch<'_> {
    /// Notes why the run stops, if it does.
    fn stop(&self, tally: &mut Tally) -> bool {
        if tally.stopped.is_some() {
            return true;
        }
        let Some(reason) = (self.must_stop)() else {
            return false;
        };
        tally.stopped = Some(reason);
        let message = match reason {
            "max_runtime" => "the run reached its time limit; the next one goes on from here",
            _ => "the run was asked to end; the next one goes on from here",
        };
        tally.issue(Issue::new("stopped", message));
        true
    }
}

/// The database, as far as a run has one.
pub enum Database {
    /// None is configured.
    None,
    Open(Box<dyn Pruner>),
    /// It is configured and could not be asked; what that means is said once.
    Unreachable(Failure),
}

/// Runs the cleanup.
///
/// # Errors
/// Before anything is deleted: [`Kind::ClockSkew`], [`Kind::Brake`], a database that fails. Once something was deleted, a failure becomes an
/// entry of the result, and what does not depend on the database is still done.
pub fn run(
    settings: &Settings,
    roots: &Roots,
    database: &mut Database,
    watch: &Watch,
) -> Result<Tally> {
    let mut tally = Tally::default();
    match clean(settings, roots, database, watch, &mut tally) {
        Err(error) if is_interrupted(&error) && watch.stop(&mut tally) => Ok(tally),
        ended => ended.map(|()| tally),
    }
}

/// The run was asked to end, and what it waited for was given up.
fn is_interrupted(error: &anyhow::Error) -> bool {
    Failure::of(error).kind == Kind::Interrupted
}

fn clean(
    settings: &Settings,
    roots: &Roots,
    database: &mut Database,
    watch: &Watch,
    tally: &mut Tally,
) -> Result<()> {
    if let Database::Open(pruner) = database {
        check_clock(settings, pruner.as_mut())?;
        check_brake(settings, pruner.as_mut()).map_err(|error| named(error, pruner.as_mut()))?;
        advise(settings, pruner.as_mut(), tally)?;
        if let Err(error) = clean_rows(settings, roots, pruner.as_mut(), watch, tally) {
            let error = named(error, pruner.as_mut());
            if tally.has_done_nothing() || is_interrupted(&error) {
                return Err(error);
            }
            tally.issue(rows::database_issue(&error));
            *database = Database::Unreachable(Failure::of(&error));
        }
    }
    if settings.parts.contains(&Part::Temp) {
        sweep_temp(settings, roots, database, watch, tally)?;
    }
    if settings.parts.contains(&Part::Logs) {
        sweep_logs(settings, watch, tally)?;
    }
    Ok(())
}

/// A statement that failed on a row, with the field of the mapping whose fault it is, if it is one's.
fn named(error: anyhow::Error, pruner: &mut dyn Pruner) -> anyhow::Error {
    match Failure::of(&error).kind {
        Kind::QueryFailed => pruner.blame().map_or(error, anyhow::Error::from),
        _ => error,
    }
}

/// The result of a run that took so many seconds.
pub fn report(settings: &Settings, tally: Tally, seconds: f64) -> CleanupReport {
    CleanupReport {
        success: true,
        dry_run: settings.mode == Mode::DryRun,
        tasks_cleaned: tally.tasks,
        files_cleaned: tally.files,
        receipts_cleaned: tally.receipts,
        logs_cleaned: tally.logs,
        disk_space_freed_mb: units::mib(tally.bytes),
        bytes_freed: tally.bytes,
        files_shared: tally.shared,
        folders_removed: tally.folders,
        stopped: tally.stopped,
        notes: tally.notes,
        errors: tally.errors,
        errors_total: tally.errors_total,
        execution_time: seconds,
    }
}

/// The tasks that may go.
pub fn task_scope(settings: &Settings) -> Scope {
    let limits = settings.task_days.iter();
    Scope::Tasks(
        limits
            .map(|(state, days)| (*state, back(settings.as_of, TimeDelta::days((*days).into()))))
            .collect(),
    )
}

/// A time so long before; the oldest that a database can be asked about where it would be older still.
fn back(from: DateTime<Utc>, span: TimeDelta) -> DateTime<Utc> {
    let oldest = DateTime::UNIX_EPOCH - TimeDelta::days(700_000);
    from.checked_sub_signed(span).map_or(oldest, |time| time.max(oldest))
}

fn check_clock(settings: &Settings, pruner: &mut dyn Pruner) -> Result<()> {
    let Some(database) = pruner.clock()? else {
        return Ok(());
    };
    // This host's time now: the run may have waited for the connection since it began.
    let passed = TimeDelta::from_std(settings.clock.elapsed()).unwrap_or_default();
    let host = settings.started + passed;
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

fn check_brake(settings: &Settings, pruner: &mut dyn Pruner) -> Result<()> {
    let is_asked = settings.brake_percent > 0.0 && settings.parts.contains(&Part::Tasks);
    if !is_asked || settings.never_pruned || settings.force {
        return Ok(());
    }
    let counts = pruner.count_tasks(&task_scope(settings))?;
    let share = units::percent(counts.expired, counts.all);
    if share <= settings.brake_percent {
        return Ok(());
    }
    let message = format!(
        "{} of {} tasks have expired, {share}%, more than cleanup.brake_percent = {} allows; nothing was deleted",
        counts.expired, counts.all, settings.brake_percent
    );
    Err(Failure::new(Kind::Brake, message)
        .hint("see whether the limits and the clock are right; --force deletes them")
        .into())
}

fn advise(settings: &Settings, pruner: &mut dyn Pruner, tally: &mut Tally) -> Result<()> {
    let tasks = settings.parts.contains(&Part::Tasks);
    let receipts = settings.parts.contains(&Part::Receipts) && settings.has_receipts;
    if tasks && settings.never_pruned {
        tally.note("database.tasks.delete_from is empty: tasks are never deleted by this mapping");
    }
    if (tasks && !settings.never_pruned) || receipts {
        for lacking in pruner.missing_indexes()? {
            if let Ok(statement) = lacking.remedy {
                tally.note(format!("an index would make this faster: {statement}"));
            }
        }
    }
    Ok(())
}

fn clean_rows(
    settings: &Settings,
    roots: &Roots,
    pruner: &mut dyn Pruner,
    watch: &Watch,
    tally: &mut Tally,
) -> Result<()> {
    let mut gone = HashSet::new();
    let hasher = RandomState::new();
    let mut scopes = Vec::new();
    if settings.parts.contains(&Part::Tasks) && !settings.never_pruned {
        scopes.push(task_scope(settings));
    }
    if settings.parts.contains(&Part::Receipts) && settings.has_receipts {
        let span = TimeDelta::days(settings.receipts_days.into());
        scopes.push(Scope::Receipts(back(settings.as_of, span)));
    }
    for scope in scopes {
        if let Some((count, value)) = pruner.unreadable(&scope)? {
            let message =
                format!("{count} tasks stay because their time cannot be read, such as {value:?}");
            tally.issue(Issue::new("unreadable_time", message));
        }
        let (count, table) = pruner.without_key(&scope)?;
        if count > 0 {
            let message = format!(
                "{count} rows of {table} stay because a part of their key is NULL or no text, so that nothing tells them from others"
            );
            tally.issue(Issue::new("row_without_key", message));
        }
        let phase = tally.phase();
        rows::Rows {
            pruner: &mut *pruner,
            roots,
            settings,
            watch,
            tally: &mut *tally,
            gone: &mut gone,
            hasher: &hasher,
        }
        .clean(&scope)?;
        let what = match scope {
            Scope::Tasks(_) => "expired tasks",
            Scope::Receipts(_) => "orphaned receipts",
        };
        phase.end(what, tally);
    }
    Ok(())
}

fn sweep_temp(
    settings: &Settings,
    roots: &Roots,
    database: &mut Database,
    watch: &Watch,
    tally: &mut Tally,
) -> Result<()> {
    let hasher = RandomState::new();
    let span = TimeDelta::hours(settings.temp_hours.into());
    for target in &settings.temp {
        if watch.stop(tally) {
            return Ok(());
        }
        let named = match database {
            Database::None => None,
            Database::Open(pruner) => {
                match named_beneath(settings, target, pruner.as_mut(), &hasher) {
                    Ok(named) => Some(named),
                    Err(error) if tally.has_done_nothing() || is_interrupted(&error) => {
                        return Err(error);
                    }
                    Err(error) => {
                        tally.issue(left_alone(target, &Failure::of(&error).message));
                        continue;
                    }
                }
            }
            Database::Unreachable(failure) if is_beneath_a_root(target, roots) => {
                tally.issue(left_alone(target, &failure.message));
                continue;
            }
            Database::Unreachable(_) => None,
        };
        let rule = Rule {
            before: back(settings.as_of, span),
            patterns: None,
            protect: &settings.protect,
            named: named.as_ref(),
            hasher: &hasher,
            counts_as: Counter::Files,
        };
        let phase = tally.phase();
        sweep::sweep(target, &rule, settings, watch, tally)?;
        phase.end(&format!("temp files in {}", target.path.display()), tally);
    }
    Ok(())
}

fn left_alone(target: &Target, why: &str) -> Issue {
    let path = target.path.display().to_string();
    let message = format!(
        "{path} is left alone: the database cannot say which of its files rows still name: {why}"
    );
    Issue::new("database_unavailable", message).path(path)
}

fn is_beneath_a_root(target: &Target, roots: &Roots) -> bool {
    roots.aliases().iter().any(|(path, real)| {
        [&target.path, &target.real]
            .into_iter()
            .any(|folder| folder.starts_with(path) || folder.starts_with(real))
    })
}

/// The files beneath a folder that rows name, by the hash of their canonical paths.
fn named_beneath(
    settings: &Settings,
    target: &Target,
    pruner: &mut dyn Pruner,
    hasher: &RandomState,
) -> Result<HashSet<u64>> {
    use std::os::unix::ffi::OsStrExt;
    let mut starts = Vec::new();
    for folder in [&target.path, &target.real] {
        let canonical = settings.aliases.canonical(folder.as_os_str().as_bytes());
        let start = canonical
            .to_str()
            .with_context(|| format!("{} is not valid UTF-8", folder.display()))?;
        starts.push(if start.is_empty() { String::new() } else { format!("{start}/") });
    }
    starts.dedup();
    let mut named = HashSet::new();
    pruner.paths_beneath(&starts, &mut |path| {
        named.insert(hasher.hash_one(path));
    })?;
    Ok(named)
}

fn sweep_logs(settings: &Settings, watch: &Watch, tally: &mut Tally) -> Result<()> {
    let hasher = RandomState::new();
    let mut patterns = globset::GlobSetBuilder::new();
    for pattern in &settings.log_patterns {
        let glob = globset::Glob::new(pattern).map_err(|error| {
            Failure::new(Kind::ConfigInvalid, format!("cleanup.log_patterns: {error}"))
        })?;
        patterns.add(glob);
    }
    let patterns = patterns.build().context("cleanup.log_patterns cannot be read")?;
    let span = TimeDelta::days(settings.log_days.into());
    for target in &settings.logs {
        if watch.stop(tally) {
            return Ok(());
        }
        let rule = Rule {
            before: back(settings.as_of, span),
            patterns: Some(&patterns),
            protect: &settings.protect,
            named: None,
            hasher: &hasher,
            counts_as: Counter::Logs,
        };
        let phase = tally.phase();
        sweep::sweep(target, &rule, settings, watch, tally)?;
        phase.end(&format!("logs in {}", target.path.display()), tally);
    }
    Ok(())
}
