//! Temp and log folders: regular files that have not changed for long, and the sub-folders that this empties.
//!
//! Folders are walked through on their handles, through no symbolic link and into no other file system. Files are collected, examined and
//! unlinked on the handle of their folder.

use super::candidate::{Candidates, Counter, Outcome, Rule};
use super::dir::Dir;
use super::globs::Entry;
use super::paths::shown;
use super::settings::Settings;
use super::tally::Tally;
use super::targets::Target;
use super::threads::UNLINK;
use super::tree::{FolderId, Tree};
use super::watch::Watch;
use crate::mapping::canonical_path::CanonicalPath;
use crate::outcome::Issue;
use crate::store::prune::Mode;
use rustix::fs::FileType;
use rustix::io::Errno;
use std::ffi::{OsStr, OsString};
use std::ops::ControlFlow;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::sync::Arc;

/// How many files are collected before they are removed,
const BATCH: usize = 2048;

/// of how many folders at most, since these stay open,
const FOLDERS: usize = 128;

/// and how many bytes of their paths: in a deep tree a single one may have a million.
const PATHS: usize = 1 << 20;

/// How many files of one folder a thread takes at once.
const PIECE: usize = 128;

/// Files of one folder that are to be removed.
struct Piece {
    folder: FolderId,
    dir: Arc<Dir>,
    /// Of the folder, beneath the top.
    path: Arc<Path>,
    names: Vec<OsString>,
}

struct Sweep<'a> {
    target: &'a Target,
    rule: &'a Rule<'a>,
    settings: &'a Settings,
    watch: &'a Watch<'a>,
    tally: &'a mut Tally,
    /// Of the folder that is swept.
    device: u64,
    tree: Tree,
    waiting: Vec<Piece>,
    /// Folders that the walk has left, each after those within it.
    left: Vec<FolderId>,
}

/// Sweeps one folder. What cannot be done is noted in the tally.
pub fn sweep(target: &Target, rule: &Rule, settings: &Settings, watch: &Watch, tally: &mut Tally) {
    let top = match target.open() {
        Ok(top) => top,
        Err(why) => {
            let path = shown(&target.path);
            let message = format!("{path} cannot be swept: {why}");
            tally.issue(Issue::new("folder_unreadable", message).path(path));
            return;
        }
    };
    if rule.in_use.is_locked(top.id()) {
        tally.in_use += 1;
        return;
    }
    let device = top.id().0;
    let (tree, waiting, left) = (Tree::new(top), Vec::new(), Vec::new());
    let mut sweep = Sweep { target, rule, settings, watch, tally, device, tree, waiting, left };
    if sweep.walk().is_continue() {
        sweep.remove_waiting();
        (watch.progress)(sweep.tally);
    }
}

impl Sweep<'_> {
    /// Ends early if the run must stop.
    fn walk(&mut self) -> ControlFlow<()> {
        self.list()?;
        while let Some(here) = self.tree.here() {
            if let Some(name) = self.tree.next_subfolder() {
                self.enter(name)?;
            } else {
                self.left.push(here);
                if let Err(error) = self.tree.leave() {
                    self.report_unreadable(error);
                }
            }
            self.remove_if_many()?;
        }
        ControlFlow::Continue(())
    }

    fn enter(&mut self, name: OsString) -> ControlFlow<()> {
        let dir = match self.tree.open(&name) {
            Ok(dir) => dir,
            // It is gone, or a link or a file has taken its place.
            Err(Errno::NOENT | Errno::LOOP | Errno::NOTDIR) => return ControlFlow::Continue(()),
            Err(error) => {
                self.tree.path.push(&name);
                self.report_unreadable(error);
                self.tree.path.pop();
                return ControlFlow::Continue(());
            }
        };
        if dir.id().0 != self.device || dir.own_stat().is_mount_point {
            return ControlFlow::Continue(());
        }
        let id = dir.id();
        if self.rule.in_use.is_locked(id) {
            self.tally.in_use += 1;
            return ControlFlow::Continue(());
        }
        self.tree.enter(name, dir);
        let protected = self.settings.protect.decide(&self.tree.path, Entry::Folder);
        let mut configured = self.settings.temp.iter().chain(&self.settings.logs);
        let is_configured = configured.any(|target| target.id() == Some(id));
        if let Some(folder) = self.tree.here().and_then(|here| self.tree.folder(here)) {
            folder.is_protected = protected.unwrap_or(folder.is_protected);
            folder.stays = folder.is_protected || is_configured;
        }
        self.list()
    }

    /// Reads the folder where the walk is.
    fn list(&mut self) -> ControlFlow<()> {
        let opened = self.tree.open_here().and_then(|dir| Ok((dir.entries()?, dir)));
        let (entries, dir) = match opened {
            Ok(opened) => opened,
            Err(error) => {
                self.report_unreadable(error);
                return ControlFlow::Continue(());
            }
        };
        let path: Arc<Path> = Arc::from(self.tree.path.as_path());
        let mut names = Vec::new();
        for entry in entries {
            let entry = match entry {
                Ok(entry) => entry,
                Err(error) => {
                    self.report_unreadable(error);
                    break;
                }
            };
            let name = OsStr::from_bytes(entry.file_name().to_bytes());
            let kind = match entry.file_type() {
                // Some file systems do not say it in the list.
                FileType::Unknown => dir.stat(name).ok().flatten().map(|stat| stat.kind),
                kind => Some(kind),
            };
            if self.takes(name, kind) {
                names.push(name.to_owned());
                if names.len() == PIECE {
                    self.add_waiting(&dir, &path, std::mem::take(&mut names));
                    self.remove_if_many()?;
                }
            }
        }
        self.add_waiting(&dir, &path, names);
        ControlFlow::Continue(())
    }

    /// Whether an entry of the folder where the walk is may be removed, by its name and kind; how old it is, the handle of its folder says later.
    fn takes(&mut self, name: &OsStr, kind: Option<FileType>) -> bool {
        let Some(folder) = self.tree.here().and_then(|here| self.tree.folder(here)) else {
            return false;
        };
        folder.entries += 1;
        let is_protected = folder.is_protected;
        match kind {
            Some(FileType::Directory) => self.tree.add_subfolder(name),
            Some(FileType::RegularFile)
                if self.rule.patterns.is_none_or(|patterns| patterns.match_name(name)) =>
            {
                self.tree.path.push(name);
                let decided = self.settings.protect.decide(&self.tree.path, Entry::File);
                self.tree.path.pop();
                return !decided.unwrap_or(is_protected);
            }
            _ => {}
        }
        false
    }

    fn add_waiting(&mut self, dir: &Arc<Dir>, path: &Arc<Path>, names: Vec<OsString>) {
        if let (Some(folder), false) = (self.tree.here(), names.is_empty()) {
            let (dir, path) = (Arc::clone(dir), Arc::clone(path));
            self.waiting.push(Piece { folder, dir, path, names });
        }
    }

    fn report_unreadable(&mut self, error: Errno) {
        let path = self.target.path.join(&self.tree.path);
        let path = shown(path);
        let issue = Issue::new("folder_unreadable", format!("{path} cannot be read: {error}"));
        self.tally.issue(issue.path(path).cause("folders cannot be read", error.to_string()));
    }

    /// Removes what is waiting, if that is much, and asks whether the run must stop.
    fn remove_if_many(&mut self) -> ControlFlow<()> {
        let files: usize = self.waiting.iter().map(|piece| piece.names.len()).sum();
        let paths: usize = self.waiting.iter().map(|piece| piece.path.as_os_str().len()).sum();
        let folders = self.waiting.len().max(self.left.len());
        if files < BATCH && folders < FOLDERS && paths < PATHS {
            return ControlFlow::Continue(());
        }
        self.remove_waiting();
        (self.watch.progress)(self.tally);
        if self.watch.stops(self.tally) {
            ControlFlow::Break(())
        } else {
            ControlFlow::Continue(())
        }
    }

    fn remove_waiting(&mut self) {
        let candidates = Candidates {
            target: self.target,
            rule: self.rule,
            settings: self.settings,
            device: self.device,
        };
        let pieces = std::mem::take(&mut self.waiting);
        let removed = UNLINK.each(&pieces, |piece| {
            let remove = |name: &OsString| candidates.remove(&piece.dir, &piece.path, name);
            piece.names.iter().map(remove).collect::<Vec<_>>()
        });
        for (piece, outcomes) in pieces.into_iter().zip(removed) {
            for (name, outcome) in piece.names.iter().zip(outcomes) {
                self.count(&piece, name, outcome);
            }
        }
        self.finish_left();
    }

    fn canonical(&self, piece: &Piece, name: &OsStr) -> CanonicalPath {
        self.settings.canonical(&self.target.real.join(&piece.path).join(name))
    }

    fn count(&mut self, piece: &Piece, name: &OsStr, outcome: Outcome) {
        let is_found = matches!(outcome, Outcome::Gone(_) | Outcome::Named);
        if is_found && self.settings.mode == Mode::DryRun {
            let path = self.canonical(piece, name);
            if self.tally.has_seen_go(&path) {
                // A real run would not have found it: it went with another folder.
                if let Some(folder) = self.tree.folder(piece.folder) {
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
                let path = self.canonical(piece, name);
                self.tally.keep_named(&path);
            }
            Outcome::InUse => self.tally.in_use += 1,
            Outcome::Gone(stat) => {
                self.tally.bytes += match self.settings.mode {
                    Mode::Apply if stat.links > 1 => 0,
                    Mode::Apply => stat.bytes,
                    Mode::DryRun => self.tally.dry_run_bytes(&stat),
                };
                match self.rule.counter {
                    Counter::Files => self.tally.files += 1,
                    Counter::Logs => self.tally.logs += 1,
                }
                if let Some(folder) = self.tree.folder(piece.folder) {
                    folder.gone += 1;
                }
            }
            Outcome::Failed(why) => {
                let path = self.target.path.join(&piece.path).join(name);
                let path = shown(path);
                let issue = Issue::new("not_removable", format!("{path} stays: {why}"));
                self.tally.issue(issue.path(path).cause("files stay", why));
            }
        }
    }

    /// Removes the folders that were left and that the sweep has emptied.
    fn finish_left(&mut self) {
        for id in std::mem::take(&mut self.left) {
            let goes = self.is_removable(id);
            let went = goes
                && match self.settings.mode {
                    Mode::DryRun => true,
                    // Somebody may have put something in; then it stays.
                    Mode::Apply => self.tree.remove(id).is_ok(),
                };
            self.tally.folders += u64::from(went);
            if let Some(above) = self.tree.finish(id) {
                above.gone += u64::from(went);
            }
        }
    }

    /// Whether the sweep emptied a folder that had not changed within the limit before.
    fn is_removable(&mut self, id: FolderId) -> bool {
        let Some(folder) = self.tree.folder(id) else {
            return false;
        };
        let is_empty = folder.gone > 0 && folder.gone == folder.entries;
        self.rule.removes_folders
            && is_empty
            && !folder.stays
            && self.rule.has_expired(&folder.stat)
    }
}
