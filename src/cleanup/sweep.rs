//! Temp and log folders: regular files that have not changed for long, and the sub-folders that this empties.
//!
//! The walk only proposes. Each file is looked at again, and unlinked, on the handle of its folder, which is opened step by step from the
//! folder that was named, through no symbolic link and into no other file system.

use super::beneath::{Folder, Look};
use super::tally::Tally;
use super::threads::WRITING;
use super::{Settings, Watch};
use crate::outcome::Issue;
use crate::store::prune::Mode;
use anyhow::{Context, Result};
use chrono::{DateTime, Utc};
use ignore::gitignore::{Gitignore, GitignoreBuilder};
use rustix::fs::FileType;
use rustix::io::Errno;
use std::collections::{BTreeMap, HashSet};
use std::ffi::{OsStr, OsString};
use std::hash::{BuildHasher, RandomState};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use walkdir::{DirEntry, WalkDir};

/// How many files are collected before they are removed.
const BATCH: usize = 2048;

/// How many files of one folder a thread takes at once.
const PIECE: usize = 128;

/// A folder to sweep.
#[derive(Debug, Clone)]
pub struct Target {
    /// As configured, absolute.
    pub path: PathBuf,
    /// With every symbolic link resolved.
    pub real: PathBuf,
}

/// Which files go.
pub struct Rule<'a> {
    /// Unchanged since.
    pub before: DateTime<Utc>,
    /// Names that go; `None`: all.
    pub patterns: Option<&'a globset::GlobSet>,
    pub protect: &'a [String],
    /// Files that a row names, by the hash of their canonical paths.
    pub named: Option<&'a HashSet<u64>>,
    pub hasher: &'a RandomState,
    pub counts_as: Counter,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Counter {
    Files,
    Logs,
}

/// A sub-folder that was met.
struct Met {
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
    top: Folder,
    protect: Gitignore,
    folders: BTreeMap<PathBuf, Met>,
    /// Beneath the top: folder and name.
    waiting: Vec<(PathBuf, OsString)>,
}

/// Sweeps one folder. What cannot be done is noted in the tally.
pub fn sweep(
    target: &Target,
    rule: &Rule,
    settings: &Settings,
    watch: &Watch,
    tally: &mut Tally,
) -> Result<()> {
    let top = match Folder::open(&target.real) {
        Ok(top) => top,
        Err(Errno::NOENT) => return Ok(()),
        Err(error) => {
            let message = format!("{} cannot be swept: {error}", target.path.display());
            let issue = Issue::new("folder_unreadable", message);
            tally.issue(issue.path(target.path.display().to_string()));
            return Ok(());
        }
    };
    let mut sweep = Sweep {
        target,
        rule,
        settings,
        tally,
        top,
        protect: protect(&target.real, rule.protect)?,
        folders: BTreeMap::new(),
        waiting: Vec::new(),
    };
    let walk = WalkDir::new(&target.real).follow_links(false).same_file_system(true).min_depth(1);
    for entry in walk {
        match entry {
            Ok(entry) => sweep.meet(&entry),
            Err(error) => sweep.unreadable(&error),
        }
        if sweep.waiting.len() >= BATCH {
            sweep.remove_waiting();
            (watch.progress)(sweep.tally);
            if watch.stop(sweep.tally) {
                return Ok(());
            }
        }
    }
    sweep.remove_waiting();
    sweep.remove_emptied();
    (watch.progress)(sweep.tally);
    Ok(())
}

fn protect(folder: &Path, globs: &[String]) -> Result<Gitignore> {
    let mut builder = GitignoreBuilder::new(folder);
    for glob in globs {
        builder
            .add_line(None, glob)
            .with_context(|| format!("cleanup.protect: \"{glob}\" is no glob"))?;
    }
    builder.build().context("cleanup.protect cannot be read")
}

impl Sweep<'_> {
    fn meet(&mut self, entry: &DirEntry) {
        let Ok(relative) = entry.path().strip_prefix(&self.target.real) else {
            return;
        };
        let folder = relative.parent().unwrap_or(Path::new("")).to_owned();
        let is_above_protected = self.folders.get_mut(&folder).is_some_and(|met| {
            met.entries += 1;
            met.is_protected
        });
        if entry.file_type().is_dir() {
            let met = Met {
                is_protected: self.is_protected(relative, true, is_above_protected),
                // Where that is not known, it is too young to go.
                modified: entry.metadata().map_or(i64::MAX, |found| {
                    found.mtime() * 1_000_000 + found.mtime_nsec() / 1000
                }),
                entries: 0,
                gone: 0,
            };
            self.folders.insert(relative.to_owned(), met);
            return;
        }
        let is_protected = || self.is_protected(relative, false, is_above_protected);
        if entry.file_type().is_file() && self.fits(entry) && !is_protected() {
            self.waiting.push((folder, entry.file_name().to_owned()));
        }
    }

    /// By its name; how old it is, the handle of its folder says.
    fn fits(&self, entry: &DirEntry) -> bool {
        let patterns = self.rule.patterns;
        patterns.is_none_or(|patterns| patterns.is_match(entry.file_name()))
    }

    /// What no glob says of a name, the folder above it says.
    fn is_protected(&self, relative: &Path, is_folder: bool, is_above_protected: bool) -> bool {
        match self.protect.matched(relative, is_folder) {
            ignore::Match::None => is_above_protected,
            found => found.is_ignore(),
        }
    }

    fn unreadable(&mut self, error: &walkdir::Error) {
        let is_gone =
            error.io_error().is_some_and(|error| error.kind() == std::io::ErrorKind::NotFound);
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
        let (top, mode, before) = (&self.top, self.settings.mode, self.rule.before);
        let naming = Naming { target: self.target, settings: self.settings, rule: self.rule };
        let removed = WRITING.each(&pieces, |(folder, names)| {
            let handle = top.beneath(folder);
            let is_named = |name: &OsString| naming.is_named(&folder.join(name));
            let remove = |name: &OsString| match &handle {
                Ok(handle) => remove(handle, top.id().0, name, before, mode, is_named),
                Err(Errno::NOENT) => Removed::Not,
                Err(error) => Removed::Failed(format!("its folder cannot be opened: {error}")),
            };
            names.iter().map(remove).collect::<Vec<_>>()
        });
        for ((folder, names), outcomes) in pieces.into_iter().zip(removed) {
            for (name, outcome) in names.iter().zip(outcomes) {
                self.note(folder, name, outcome);
            }
        }
    }

    fn note(&mut self, folder: &Path, name: &OsStr, outcome: Removed) {
        let is_found = matches!(outcome, Removed::Gone(_) | Removed::Named);
        if is_found && self.settings.mode == Mode::DryRun {
            let path = self.target.real.join(folder).join(name);
            if self.tally.has_seen_go(&path) {
                // It would not have been met.
                if let Some(met) = self.folders.get_mut(folder) {
                    met.entries -= 1;
                }
                return;
            }
            if matches!(outcome, Removed::Gone(_)) {
                self.tally.count_dry_run(&path);
            }
        }
        match outcome {
            Removed::Not => {}
            Removed::Named => self.tally.shared += 1,
            Removed::Gone(look) => {
                let bytes = match self.settings.mode {
                    Mode::Apply if look.links > 1 => 0,
                    Mode::Apply => look.len,
                    Mode::DryRun => self.tally.dry_run_bytes(look.id, look.links, look.len),
                };
                self.tally.bytes += bytes;
                match self.rule.counts_as {
                    Counter::Files => self.tally.files += 1,
                    Counter::Logs => self.tally.logs += 1,
                }
                if let Some(met) = self.folders.get_mut(folder) {
                    met.gone += 1;
                }
            }
            Removed::Failed(why) => {
                let path = self.target.path.join(folder).join(name);
                let shown = super::files::shown(path.as_os_str().as_bytes());
                let issue = Issue::new("not_removable", format!("{shown} stays: {why}"));
                self.tally.issue(issue.path(shown));
            }
        }
    }

    /// Sub-folders that it emptied and that had not changed within the limit before, deepest first.
    fn remove_emptied(&mut self) {
        let mut paths: Vec<PathBuf> = self.folders.keys().cloned().collect();
        paths.sort_by_key(|path| std::cmp::Reverse(path.components().count()));
        let before = self.rule.before.timestamp_micros();
        for path in paths {
            let met = &self.folders[&path];
            let is_due = met.gone > 0 && met.gone == met.entries && met.modified < before;
            let real = self.target.real.join(&path);
            let mut named = self.settings.temp.iter().chain(&self.settings.logs);
            let is_named = named.any(|target| target.real == real);
            if !is_due || met.is_protected || is_named {
                continue;
            }
            let (Some(parent), Some(name)) = (path.parent(), path.file_name()) else {
                continue;
            };
            let went = match self.settings.mode {
                Mode::DryRun => true,
                // Somebody may have put something in; then it stays.
                Mode::Apply => {
                    self.top.beneath(parent).and_then(|folder| folder.remove_folder(name)).is_ok()
                }
            };
            if went {
                self.tally.folders += 1;
                if let Some(above) = self.folders.get_mut(parent) {
                    above.gone += 1;
                }
            }
        }
    }
}

/// What tells whether a row names a file.
struct Naming<'a> {
    target: &'a Target,
    settings: &'a Settings,
    rule: &'a Rule<'a>,
}

impl Naming<'_> {
    fn is_named(&self, relative: &Path) -> bool {
        let Some(named) = self.rule.named else {
            return false;
        };
        [&self.target.path, &self.target.real].into_iter().any(|folder| {
            let path = folder.join(relative);
            let canonical = self.settings.aliases.canonical(path.as_os_str().as_bytes());
            named.contains(&self.rule.hasher.hash_one(&canonical))
        })
    }
}

enum Removed {
    Gone(Look),
    /// A row names it.
    Named,
    /// It is not there any more, or no longer what was to go.
    Not,
    Failed(String),
}

fn remove(
    folder: &Folder,
    device: u64,
    name: &OsString,
    before: DateTime<Utc>,
    mode: Mode,
    is_named: impl Fn(&OsString) -> bool,
) -> Removed {
    let look = match folder.look(name) {
        Ok(Some(look)) => look,
        Ok(None) => return Removed::Not,
        Err(error) => return Removed::Failed(format!("it cannot be looked at: {error}")),
    };
    let is_old = look.modified < before.timestamp_micros();
    if look.kind != FileType::RegularFile || look.id.0 != device || !is_old {
        return Removed::Not;
    }
    if is_named(name) {
        return Removed::Named;
    }
    if let Some(why) = folder.hindrance(&look) {
        return Removed::Failed(why);
    }
    if mode == Mode::DryRun {
        return Removed::Gone(look);
    }
    match folder.unlink(name) {
        Ok(()) => Removed::Gone(look),
        Err(Errno::NOENT) => Removed::Not,
        Err(error) => Removed::Failed(format!("it cannot be removed: {error}")),
    }
}
