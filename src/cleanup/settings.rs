//! What a run of `cleanup` does, resolved: all paths absolute, all limits set.

use super::Config;
use super::globs::Protected;
use super::journal::Places;
use super::reading::Reading;
use super::targets::Target;
use crate::calendar::Shift;
use crate::mapping::State;
use crate::mapping::canonical_path::{CanonicalPath, PathAliases};
use crate::store::prune::{Mode, Scope, Source};
use chrono::{DateTime, TimeDelta, Utc};
use clap::ValueEnum;
use serde::{Deserialize, Serialize};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::time::Instant;

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, ValueEnum)]
pub enum Part {
    Tasks,
    Receipts,
    Temp,
    Logs,
}

/// What to do about a row that names a path outside the storage roots.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Outside {
    /// Keep the row and report it.
    Error,
    /// Delete the row and leave the file alone.
    Ignore,
}

/// Which of its times is the age of a temp file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum TempAgeBy {
    /// The latest of mtime, ctime and birth, as systemd-tmpfiles has it: what was unpacked or copied just now with an old mtime is young.
    Youngest,
    Mtime,
}

pub struct Settings {
    pub parts: Vec<Part>,
    pub mode: Mode,
    /// Ignore the clock check, the brake and missing storage roots.
    pub force: bool,
    /// When the run began: by this host's clock, and by one that is never set.
    pub started: DateTime<Utc>,
    pub clock: Instant,
    /// The time from which limits count back.
    pub as_of: DateTime<Utc>,
    /// What the clock showed before.
    pub readings: Vec<Reading>,
    /// `[cleanup]`, with the limits that the command line and the environment set.
    pub config: Config,
    pub temp: Vec<Target>,
    pub logs: Vec<Target>,
    /// What the configuration protects, and the locks.
    pub protect: Protected,
    pub aliases: PathAliases,
    /// Where the journal of a run is.
    pub journals: Places,
    /// Whether the mapping has receipts.
    pub has_receipts: bool,
    /// How many tables depend on tasks, and on receipts.
    pub task_dependents: usize,
    pub receipt_dependents: usize,
    /// The mapping has no table to delete tasks from.
    pub never_pruned: bool,
}

impl Settings {
    pub fn has(&self, part: Part) -> bool {
        self.parts.contains(&part)
    }

    /// Whether it is asked for what only a database can say.
    pub fn needs_rows(&self) -> bool {
        self.has(Part::Tasks) || self.has(Part::Receipts)
    }

    /// The canonical path of a file, by a path without a link on its way: one file, whichever folder that is swept or root shows it.
    pub fn canonical(&self, real: &Path) -> CanonicalPath {
        self.aliases.canonical(real.as_os_str().as_bytes())
    }

    pub fn prunes_tasks(&self) -> bool {
        self.has(Part::Tasks) && !self.never_pruned
    }

    pub fn prunes_receipts(&self) -> bool {
        self.has(Part::Receipts) && self.has_receipts
    }

    pub fn expired_tasks(&self) -> Scope {
        let limits = [
            (State::Completed, Some(self.config.completed_tasks_days)),
            (State::Failed, Some(self.config.failed_tasks_days)),
            (State::Cancelled, self.config.cancelled_tasks_days),
        ];
        let limited = limits.into_iter().filter_map(|(state, days)| Some((state, days?)));
        Scope::Tasks(limited.map(|(state, days)| (state, self.days_ago(days))).collect())
    }

    pub fn expired_receipts(&self) -> Scope {
        Scope::Receipts(self.days_ago(self.config.receipts_days))
    }

    /// The tables in which rows are known by the keys of a scope.
    pub fn sources_of(&self, scope: &Scope) -> Vec<Source> {
        match scope {
            Scope::Tasks(_) => {
                let dependents = (0..self.task_dependents).map(Source::TaskDependents);
                std::iter::once(Source::Tasks).chain(dependents).collect()
            }
            Scope::Receipts(_) => {
                let dependents = (0..self.receipt_dependents).map(Source::ReceiptDependents);
                std::iter::once(Source::Receipts).chain(dependents).collect()
            }
        }
    }

    pub fn temp_before(&self) -> DateTime<Utc> {
        self.ago(TimeDelta::hours(self.config.temp_files_hours.into()))
    }

    pub fn logs_before(&self) -> DateTime<Utc> {
        self.days_ago(self.config.log_files_days)
    }

    fn days_ago(&self, days: u32) -> DateTime<Utc> {
        self.ago(TimeDelta::days(days.into()))
    }

    /// Not before the oldest time that a database can be asked about.
    fn ago(&self, span: TimeDelta) -> DateTime<Utc> {
        self.as_of.minus(span).max(DateTime::UNIX_EPOCH.minus(TimeDelta::days(700_000)))
    }
}
