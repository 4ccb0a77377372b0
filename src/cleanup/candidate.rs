//! Which files of temp and log folders go: what decides about one that a sweep has come upon.

use super::dir::{Dir, FileStat};
use super::globs::NamePatterns;
use super::hashed::HashedSet;
use super::in_use::InUse;
use super::settings::{Settings, TempAgeBy};
use super::targets::Target;
use crate::store::prune::Mode;
use chrono::{DateTime, Utc};
use rustix::fs::FileType;
use rustix::io::Errno;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

/// Which files go.
pub struct Rule<'a> {
    /// Unchanged since.
    pub before: DateTime<Utc>,
    pub age_by: TempAgeBy,
    /// Names that go; `None`: all.
    pub patterns: Option<&'a NamePatterns>,
    /// Files that a row names, by their canonical paths.
    pub named: Option<&'a HashedSet>,
    pub in_use: &'a InUse,
    pub counter: Counter,
    /// Whether sub-folders go that the sweep has emptied.
    pub removes_folders: bool,
}

impl Rule<'_> {
    /// Whether a file or folder has not changed within the limit.
    pub fn has_expired(&self, stat: &FileStat) -> bool {
        let changed = match self.age_by {
            TempAgeBy::Youngest => stat.youngest,
            TempAgeBy::Mtime => stat.modified,
        };
        changed < self.before.timestamp_micros()
    }
}

/// What a removed file counts as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Counter {
    Files,
    Logs,
}

pub struct Candidates<'a> {
    pub target: &'a Target,
    pub rule: &'a Rule<'a>,
    pub settings: &'a Settings,
    /// Of the folder that is swept.
    pub device: u64,
}

pub enum Outcome {
    Gone(FileStat),
    /// A row names it.
    Named,
    /// Somebody works on it.
    InUse,
    /// It is not there any more, or no longer what was to go.
    NotThere,
    Failed(String),
}

impl Candidates<'_> {
    /// Examines a file of an open folder, and removes it if it is to go; `path`: of the folder, beneath the one that is swept.
    pub fn remove(&self, folder: &Dir, path: &Path, name: &OsStr) -> Outcome {
        let stat = match folder.stat(name) {
            Ok(Some(stat)) => stat,
            Ok(None) => return Outcome::NotThere,
            Err(error) => return Outcome::Failed(format!("it cannot be looked at: {error}")),
        };
        let is_of_another_volume = stat.id.0 != self.device || stat.is_mount_point;
        let is_file = stat.kind == FileType::RegularFile && !is_of_another_volume;
        if !is_file || !self.rule.has_expired(&stat) {
            return Outcome::NotThere;
        }
        if self.is_named(&path.join(name)) {
            return Outcome::Named;
        }
        if self.rule.in_use.contains(stat.id) {
            return Outcome::InUse;
        }
        if let Some(why) = folder.find_obstacle(&stat) {
            return Outcome::Failed(why);
        }
        if self.settings.mode == Mode::DryRun {
            return Outcome::Gone(stat);
        }
        match folder.unlink(name) {
            Ok(()) => Outcome::Gone(stat),
            Err(Errno::NOENT) => Outcome::NotThere,
            Err(error) => Outcome::Failed(format!("it cannot be removed: {error}")),
        }
    }

    fn is_named(&self, relative: &Path) -> bool {
        let Some(named) = self.rule.named else {
            return false;
        };
        [&self.target.path, &self.target.real].into_iter().any(|folder| {
            let path = folder.join(relative);
            named.contains(&self.settings.aliases.canonical(path.as_os_str().as_bytes()))
        })
    }
}
