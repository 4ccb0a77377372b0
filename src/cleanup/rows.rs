//! Expired rows, batch by batch.
//!
//! The order of a batch is the promise: its files are examined, what is to be done is written to the [journal](super::journal), the rows are
//! deleted, and only then do the files go that no row names any more. Whatever ends the run between, no row is ever without its files, and the
//! next run finds in the journal which files are without their rows.

use super::files;
use super::finding::Finding;
use super::hashed::HashedSet;
use super::paths::shown;
use super::pending::{Context, Pending};
use super::roots::Roots;
use super::settings::{Outside, Settings};
use super::tally::Tally;
use super::watch::Watch;
use crate::mapping::canonical_path::CanonicalPath;
use crate::outcome::{Failure, Issue, Kind};
use crate::store::prune::{
    Batch, Deletion, ExpiredRow, Key, Mode, Pass, Pruner, Scope, Source, StoredPath,
};
use anyhow::Result;
use std::collections::{BTreeSet, HashSet};
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;

/// How many keys are chosen at once.
const CHUNK: usize = 20_000;

/// What a run works with.
pub struct Run<'a> {
    pub pruner: &'a mut dyn Pruner,
    pub roots: &'a Roots,
    pub settings: &'a Settings,
    pub watch: &'a Watch<'a>,
    pub tally: &'a mut Tally,
    /// In a dry run: the rows that would have gone, `(Source, &Key)`.
    pub seen: HashedSet,
    pub pending: Pending,
    held: Held,
}

/// Rows with a file that cannot be removed. They go all the same if other rows name that file, which is found out for many at once.
#[derive(Default)]
struct Held {
    keys: Vec<Key>,
    paths: HashSet<u64>,
    /// Once that is found out: which of the paths stay with other rows.
    named: Option<HashSet<u64>>,
}

impl<'a> Run<'a> {
    /// # Errors
    /// The database failed.
    pub fn new(
        settings: &'a Settings,
        roots: &'a Roots,
        pruner: &'a mut dyn Pruner,
        watch: &'a Watch,
        tally: &'a mut Tally,
    ) -> Result<Self> {
        let (seen, pending) = (HashedSet::default(), Pending::new(settings, pruner.identity()?));
        Ok(Self { pruner, roots, settings, watch, tally, seen, pending, held: Held::default() })
    }

    /// Finishes what runs have left behind that were killed.
    ///
    /// # Errors
    /// The database failed.
    pub fn take_over(&mut self) -> Result<()> {
        let (pending, mut context) = self.parts();
        pending.take_over(&mut context)
    }

    /// Deletes what has expired.
    ///
    /// # Errors
    /// The database failed, and the run can do nothing more with it.
    pub fn clean(&mut self, scope: &Scope) -> Result<()> {
        for pass in Pass::ALL {
            let mut after: Option<Key> = None;
            loop {
                let limit = CHUNK.max(self.batch_size());
                let keys = self.pruner.expired(scope, pass, after.as_ref(), limit)?;
                self.delete(scope, &keys)?;
                self.delete_held(scope)?;
                if keys.len() < limit || self.watch.stops(self.tally) {
                    break;
                }
                after = keys.into_iter().next_back();
            }
        }
        Ok(())
    }

    /// Removes the files that are still held back, whatever has `ended` the run, unless the database is lost.
    ///
    /// # Errors
    /// What has ended the run, or the database does not say what rows name.
    pub fn end(mut self, ended: Result<()>) -> Result<()> {
        let is_lost = ended.as_ref().is_err_and(is_lost);
        let settled = if is_lost {
            Ok(())
        } else {
            let (pending, mut context) = self.parts();
            pending.settle(&mut context)
        };
        self.pending.end(self.tally);
        ended.and(settled)
    }

    fn parts(&mut self) -> (&mut Pending, Context<'_>) {
        let Self { pruner, roots, settings, tally, seen, pending, .. } = self;
        (pending, Context { pruner: *pruner, roots, settings, tally, seen })
    }

    fn batch_size(&self) -> usize {
        (self.settings.config.batch_size as usize).max(1)
    }

    fn delete(&mut self, scope: &Scope, keys: &[Key]) -> Result<()> {
        for keys in keys.chunks(self.batch_size()) {
            if self.watch.stops(self.tally) {
                return Ok(());
            }
            let ended = self.delete_batch(scope, keys);
            self.roots.close_folders();
            ended?;
            if self.pending.is_due() {
                let (pending, mut context) = self.parts();
                pending.settle(&mut context)?;
            }
            (self.watch.progress)(self.tally);
        }
        Ok(())
    }

    /// The rows that were held up by a file that cannot be removed: those go of which other rows name that file.
    fn delete_held(&mut self, scope: &Scope) -> Result<()> {
        let Held { keys, paths, .. } = std::mem::take(&mut self.held);
        if keys.is_empty() {
            return Ok(());
        }
        let mut held = HashedSet::default();
        for source in self.settings.sources_of(scope) {
            for key in &keys {
                held.insert(&(source, key));
            }
        }
        let (hasher, aliases) = (&self.pending.hasher, &self.settings.aliases);
        let named = hasher.find_named(&paths, aliases, self.pruner, &[&held, &self.seen])?;
        self.held.named = Some(named);
        let ended = self.delete(scope, &keys);
        self.held = Held::default();
        ended
    }

    fn delete_batch(&mut self, scope: &Scope, keys: &[Key]) -> Result<()> {
        let mut rows = self.pruner.rows(scope, keys)?;
        let mut before = Vec::new();
        if matches!(scope, Scope::Receipts(_)) {
            rows = self.retain_orphans(rows, &mut before)?;
        }
        let (mut rows, mut findings) = self.examine(rows);
        if let Err(failure) = self.pending.intend(scope.pruned(), &rows, &findings) {
            (rows, findings) = self.without_files(rows, findings, &failure);
        }
        if rows.is_empty() {
            return Ok(());
        }
        let batch = Batch { scope, rows: &rows, before: &before };
        let seen = &self.seen;
        let mut settle = |deletion: &Deletion| taken_back(&rows, deletion, seen);
        let (deletion, ended) = match self.pruner.delete(&batch, &mut settle) {
            Ok(deletion) => (deletion, Ok(())),
            Err(partly) => (partly.done, Err(partly.error)),
        };
        for place in &deletion.deleted {
            self.pending.add_row(&rows[*place], &findings[*place], self.settings);
        }
        for place in &deletion.doubtful {
            self.pending.doubt(scope.pruned(), &rows[*place], &findings[*place]);
        }
        self.count_rows(scope, &rows, &deletion);
        ended
    }

    /// Receipts that no remaining task refers to; `before` gets the tasks that a dry run has seen go.
    fn retain_orphans(
        &mut self,
        rows: Vec<ExpiredRow>,
        before: &mut Vec<Key>,
    ) -> Result<Vec<ExpiredRow>> {
        let links: Vec<String> = rows.iter().filter_map(|row| row.link.clone()).collect();
        let mut referred = HashSet::new();
        for (link, key) in self.pruner.linked_tasks(&links)? {
            if self.seen.contains(&(Source::Tasks, &key)) {
                before.push(key);
            } else {
                referred.insert(link);
            }
        }
        let is_orphan =
            |row: &ExpiredRow| row.link.as_ref().is_none_or(|link| !referred.contains(link));
        Ok(rows.into_iter().filter(is_orphan).collect())
    }

    /// The rows that may go as far as their files are concerned, with what was found of each file; the others become issues.
    fn examine(&mut self, rows: Vec<ExpiredRow>) -> (Vec<ExpiredRow>, Vec<Vec<Finding>>) {
        let examined: Vec<Vec<Finding>> = {
            let paths = rows.iter().flat_map(|row| &row.paths).map(StoredPath::as_slice);
            let findings = files::examine(paths, self.roots, &self.settings.aliases);
            let of_path = |path: &StoredPath| findings[path.as_slice()].clone();
            rows.iter().map(|row| row.paths.iter().map(of_path).collect()).collect()
        };
        let mut candidates = Vec::new();
        let mut findings = Vec::new();
        for (row, found) in rows.into_iter().zip(examined) {
            match self.find_obstacle(&row, &found) {
                None => {
                    candidates.push(row);
                    findings.push(found);
                }
                Some(Obstacle::Held(path)) => {
                    self.held.paths.insert(path);
                    self.held.keys.push(row.key);
                }
                Some(Obstacle::Issue(issue)) => self.tally.issue(issue),
            }
        }
        (candidates, findings)
    }

    /// The first of its files that cannot go and so keeps the row.
    fn find_obstacle(&mut self, row: &ExpiredRow, found: &[Finding]) -> Option<Obstacle> {
        for (path, finding) in row.paths.iter().zip(found) {
            let (kind, why) = match finding {
                Finding::Outside(_) if self.settings.config.outside_paths == Outside::Ignore => {
                    continue;
                }
                Finding::Outside(why) => ("outside_roots", why),
                Finding::Refused(kind, why) => (*kind, why),
                Finding::Removable { .. } | Finding::Gone => continue,
            };
            if kind == "not_removable" {
                let path = self.pending.hasher.hash(&self.canonical(path));
                match &self.held.named {
                    None => return Some(Obstacle::Held(path)),
                    Some(named) if named.contains(&path) => {
                        self.pending.share(path);
                        continue;
                    }
                    Some(_) => {}
                }
            }
            let issue = row_stays(row, path, kind, why);
            return Some(Obstacle::Issue(match self.roots.find_missing(path) {
                _ if kind != "outside_roots" => issue,
                Some(name) => {
                    let why = format!("is `{}` missing in storage_roots?", shown(name));
                    issue.cause("rows name files beneath no storage root", why)
                }
                None => issue.cause("rows name files beneath no storage root", "they are kept"),
            }));
        }
        None
    }

    fn canonical(&self, path: &[u8]) -> CanonicalPath {
        self.settings.aliases.canonical(path)
    }

    /// The rows without files: what is to be done with the files of the others cannot be written down.
    fn without_files(
        &mut self,
        rows: Vec<ExpiredRow>,
        findings: Vec<Vec<Finding>>,
        failure: &Failure,
    ) -> (Vec<ExpiredRow>, Vec<Vec<Finding>>) {
        let mut free = Vec::new();
        for (row, found) in rows.into_iter().zip(findings) {
            let files = row.paths.iter().zip(&found);
            let mut files = files.filter(|(_, found)| matches!(found, Finding::Removable { .. }));
            match files.next() {
                Some((path, _)) => {
                    self.tally.issue(row_stays(&row, path, "journal_failed", &failure.message));
                }
                None => free.push((row, found)),
            }
        }
        free.into_iter().unzip()
    }

    fn count_rows(&mut self, scope: &Scope, rows: &[ExpiredRow], deletion: &Deletion) {
        let counter = match scope {
            Scope::Tasks(_) => &mut self.tally.tasks,
            Scope::Receipts(_) => &mut self.tally.receipts,
        };
        *counter += deletion.deleted.len() as u64;
        if self.settings.mode == Mode::DryRun {
            let sources = self.settings.sources_of(scope);
            for key in deletion.deleted.iter().map(|index| &rows[*index].key) {
                for source in &sources {
                    self.seen.insert(&(*source, key));
                }
            }
        }
        for index in &deletion.locked {
            let row = &rows[*index];
            let message = format!(
                "{} stays: another session holds a lock on it, or on a row that would go with it; a later run takes it",
                row.label
            );
            let issue = Issue::new("row_locked", message).task(&row.label);
            self.tally.issue(issue.cause("rows stay", "another session holds a lock"));
        }
        for (index, words) in &deletion.refused {
            let row = &rows[*index];
            let message = format!("{} stays: the database keeps it: {words}", row.label);
            let issue = Issue::new("row_refused", message).task(&row.label);
            self.tally.issue(issue.cause("rows stay", format!("the database keeps them: {words}")));
        }
    }
}

fn is_lost(error: &anyhow::Error) -> bool {
    Failure::of(error).kind == Kind::DatabaseUnavailable
}

/// What keeps a row.
enum Obstacle {
    Issue(Issue),
    /// A file that cannot be removed, by the hash of its path: that other rows name it is still to be found out.
    Held(u64),
}

/// The rows that must stay after all: those that have changed meanwhile, and receipts that tasks have come to refer to.
fn taken_back(rows: &[ExpiredRow], deletion: &Deletion, seen: &HashedSet) -> Vec<usize> {
    let linked = deletion.linked.iter().filter(|(_, key)| !seen.contains(&(Source::Tasks, key)));
    let linked: HashSet<&str> = linked.map(|(link, _)| link.as_str()).collect();
    let is_linked = |place: &usize| {
        rows[*place].link.as_ref().is_some_and(|link| linked.contains(link.as_str()))
    };
    let linked = deletion.deleted.iter().copied().filter(is_linked);
    let back: BTreeSet<usize> = linked.chain(deletion.changed.iter().copied()).collect();
    back.into_iter().collect()
}

/// The entry for a row that stays because one of its files cannot go.
fn row_stays(row: &ExpiredRow, path: &[u8], kind: &'static str, why: &str) -> Issue {
    let path = shown(OsStr::from_bytes(path));
    let message = format!("{} stays with its files: {path}: {why}", row.label);
    let issue = Issue::new(kind, message).path(path).task(&row.label);
    issue.cause("rows stay with their files", why)
}
