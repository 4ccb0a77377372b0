//! Temp and log folders: regular files that have not changed for long, and the sub-folders that this empties.
//!
//! The walk only proposes. Each file is examined again, and unlinked, on the handle of its folder, which is opened step by step from the
//! folder that was configured, through no symbolic link and into no other file system.

use super::dir::{Dir, FileStat};
use super::globs::{Entry, NamePatterns};
use super::hashed::HashedSet;
use super::paths::shown;
use super::settings::Settings;
use super::tally::Tally;
use super::targets::Target;
use super::threads::UNLINK;
use super::watch::Watch;
use crate::outcome::Issue;
use crate::store::prune::Mode;
use chrono::{DateTime, Utc};
use rustix::fs::FileType;
use rustix::io::Errno;
use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use walkdir::{DirEntry, WalkDir};

/// How many files are collected before they are removed.
const BATCH: usize = 2048;

/// How many files of one folder a thread takes at once.
const PIECE: usize = 128;

/// Which files go.
pub struct Rule<'a> {
    /// Unchanged since.
    pub before: DateTime<Utc>,
    /// Names that go; `None`: all.
    pub patterns: Option<&'a NamePatterns>,
    /// Files that a row names, by their canonical paths.
    pub named: Option<&'a HashedSet>,
    pub counter: Counter,
}

/// What a removed file counts as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Counter {
    Files,
    Logs,
}

/// What the walk knows of a sub-folder.
struct Subfolder {
    modified: i64,
    /// By its own name or by that of a folder above it.
    is_protected: bool,
    entries: u64,
    gone: u64,
}

struct Sweep<'a> {
    target: &'a Target,
    rule: &'a Rule<'a>,
    settings: &'a Settings,
    tally: &'a mut Tally,
    top: Dir,
    /// By their path beneath the top.
    folders: BTreeMap<PathBuf, Subfolder>,
    /// Files to remove: folder beneath the top, and name.
    waiting: Vec<(PathBuf, OsString)>,
}

/// Sweeps one folder. What cannot be done is noted in the tally.
pub fn sweep(target: &Target, rule: &Rule, settings: &Settings, watch: &Watch, tally: &mut Tally) {
    let top = match target.open() {
        Ok(top) => top,
        Err(why) => {
            let message = format!("{} cannot be swept: {why}", target.path.display());
            let issue = Issue::new("folder_unreadable", message);
            tally.issue(issue.path(target.path.display().to_string()));
            return;
        }
    };
    let (folders, waiting) = (BTreeMap::new(), Vec::new());
    let mut sweep = Sweep { target, rule, settings, tally, top, folders, waiting };
    let walk = WalkDir::new(&target.real).follow_links(false).same_file_system(true).min_depth(1);
    for entry in walk {
        match entry {
            Ok(entry) => sweep.visit(&entry),
            Err(error) => sweep.report_unreadable(&error),
        }
        if sweep.waiting.len() >= BATCH {
            sweep.remove_waiting();
            (watch.progress)(sweep.tally);
            if watch.stops(sweep.tally) {
                return;
            }
        }
    }
    sweep.remove_waiting();
    sweep.remove_emptied();
    (watch.progress)(sweep.tally);
}

impl Sweep<'_> {
    fn visit(&mut self, entry: &DirEntry) {
        let Ok(relative) = entry.path().strip_prefix(&self.target.real) else {
            return;
        };
        let folder = relative.parent().unwrap_or(Path::new("")).to_owned();
        let parent_is_protected = self.folders.get_mut(&folder).is_some_and(|parent| {
            parent.entries += 1;
            parent.is_protected
        });
        let is_protected =
            |kind| self.settings.protect.decide(relative, kind).unwrap_or(parent_is_protected);
        let kind = entry.file_type();
        if kind.is_dir() {
            let subfolder = Subfolder {
                is_protected: is_protected(Entry::Folder),
                // Where that is not known, it is too young to go.
                modified: entry.metadata().map_or(i64::MAX, |found| {
                    found.mtime() * 1_000_000 + found.mtime_nsec() / 1000
                }),
                entries: 0,
                gone: 0,
            };
            self.folders.insert(relative.to_owned(), subfolder);
        } else if kind.is_file() && self.has_matching_name(entry) && !is_protected(Entry::File) {
            self.waiting.push((folder, entry.file_name().to_owned()));
        }
    }

    /// How old it is, the handle of its folder says later.
    fn has_matching_name(&self, entry: &DirEntry) -> bool {
        self.rule.patterns.is_none_or(|patterns| patterns.match_name(entry.file_name()))
    }

    fn report_unreadable(&mut self, error: &walkdir::Error) {
        let is_gone = error.io_error().is_some_and(|error| error.kind() == io::ErrorKind::NotFound);
        if !is_gone {
            let path = error.path().unwrap_or(&self.target.path).display().to_string();
            let issue = Issue::new("folder_unreadable", format!("{path} cannot be read: {error}"));
            self.tally.issue(issue.path(path));
        }
    }

    fn remove_waiting(&mut self) {
        let mut by_folder: BTreeMap<PathBuf, Vec<OsString>> = BTreeMap::new();
        for (folder, name) in self.waiting.drain(..) {
            by_folder.entry(folder).or_default().push(name);
        }
        let pieces: Vec<(&PathBuf, &[OsString])> = by_folder
            .iter()
            .flat_map(|(folder, names)| names.chunks(PIECE).map(move |names| (folder, names)))
            .collect();
        let candidates = Candidates {
            target: self.target,
            rule: self.rule,
            settings: self.settings,
            device: self.top.id().0,
        };
        let removed = UNLINK.each(&pieces, |(folder, names)| {
            let opened = self.top.open_beneath(folder);
            let remove = |name: &OsString| match &opened {
                Ok(opened) => candidates.remove(opened, folder, name),
                Err(Errno::NOENT) => Outcome::NotThere,
                Err(error) => Outcome::Failed(format!("its folder cannot be opened: {error}")),
            };
            names.iter().map(remove).collect::<Vec<_>>()
        });
        for ((folder, names), outcomes) in pieces.into_iter().zip(removed) {
            for (name, outcome) in names.iter().zip(outcomes) {
                self.count(folder, name, outcome);
            }
        }
    }

    fn count(&mut self, folder: &Path, name: &OsStr, outcome: Outcome) {
        let is_found = matches!(outcome, Outcome::Gone(_) | Outcome::Named);
        if is_found && self.settings.mode == Mode::DryRun {
            let path = self.target.real.join(folder).join(name);
            if self.tally.has_seen_go(&path) {
                // A real run would not have found it: it went with another folder.
                if let Some(folder) = self.folders.get_mut(folder) {
                    folder.entries -= 1;
                }
                return;
            }
            if matches!(outcome, Outcome::Gone(_)) {
                self.tally.count_dry_run(&path);
            }
        }
        match outcome {
            Outcome::NotThere => {}
            Outcome::Named => {
                self.tally.keep_named(&self.target.real.join(folder).join(name));
            }
            Outcome::Gone(stat) => {
                self.tally.bytes += match self.settings.mode {
                    Mode::Apply if stat.links > 1 => 0,
                    Mode::Apply => stat.len,
                    Mode::DryRun => self.tally.dry_run_bytes(&stat),
                };
                match self.rule.counter {
                    Counter::Files => self.tally.files += 1,
                    Counter::Logs => self.tally.logs += 1,
                }
                if let Some(folder) = self.folders.get_mut(folder) {
                    folder.gone += 1;
                }
            }
            Outcome::Failed(why) => {
                let path = self.target.path.join(folder).join(name);
                let path = shown(path.as_os_str().as_bytes());
                let issue = Issue::new("not_removable", format!("{path} stays: {why}"));
                self.tally.issue(issue.path(path));
            }
        }
    }

    /// Sub-folders that the sweep emptied and that had not changed within the limit before, deepest first.
    fn remove_emptied(&mut self) {
        let mut paths: Vec<PathBuf> = self.folders.keys().cloned().collect();
        paths.sort_by_key(|path| Reverse(path.components().count()));
        let before = self.rule.before.timestamp_micros();
        for path in paths {
            let folder = &self.folders[&path];
            let is_empty = folder.gone > 0 && folder.gone == folder.entries;
            if !is_empty || folder.modified >= before || folder.is_protected {
                continue;
            }
            let real = self.target.real.join(&path);
            let mut configured = self.settings.temp.iter().chain(&self.settings.logs);
            if configured.any(|target| target.real == real) {
                continue;
            }
            let (Some(parent), Some(name)) = (path.parent(), path.file_name()) else {
                continue;
            };
            let went = match self.settings.mode {
                Mode::DryRun => true,
                // Somebody may have put something in; then it stays.
                Mode::Apply => {
                    let parent = self.top.open_beneath(parent);
                    parent.and_then(|parent| parent.remove_empty(name)).is_ok()
                }
            };
            if went {
                self.tally.folders += 1;
                if let Some(parent) = self.folders.get_mut(parent) {
                    parent.gone += 1;
                }
            }
        }
    }
}

/// What decides about a file that the walk has proposed.
struct Candidates<'a> {
    target: &'a Target,
    rule: &'a Rule<'a>,
    settings: &'a Settings,
    /// Of the folder that is swept.
    device: u64,
}

enum Outcome {
    Gone(FileStat),
    /// A row names it.
    Named,
    /// It is not there any more, or no longer what was to go.
    NotThere,
    Failed(String),
}

impl Candidates<'_> {
    fn remove(&self, opened: &Dir, folder: &Path, name: &OsStr) -> Outcome {
        let stat = match opened.stat(name) {
            Ok(Some(stat)) => stat,
            Ok(None) => return Outcome::NotThere,
            Err(error) => return Outcome::Failed(format!("it cannot be looked at: {error}")),
        };
        let is_old = stat.modified < self.rule.before.timestamp_micros();
        if stat.kind != FileType::RegularFile || stat.id.0 != self.device || !is_old {
            return Outcome::NotThere;
        }
        if self.is_named(&folder.join(name)) {
            return Outcome::Named;
        }
        if let Some(why) = opened.find_obstacle(&stat) {
            return Outcome::Failed(why);
        }
        if self.settings.mode == Mode::DryRun {
            return Outcome::Gone(stat);
        }
        match opened.unlink(name) {
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
