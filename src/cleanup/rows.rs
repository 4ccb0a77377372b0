//! Expired rows with their files, batch by batch.
//!
//! The order of a batch is the promise: the files are examined, the database deletes the rows and checks every constraint, the files go,
//! the database commits. Whatever ends it between, a file is never left without its row: at worst a row is left without its file,
//! and the next run takes it.

use super::before_commit::{BeforeCommit, Removal, row_stays};
use super::files;
use super::finding::{Finding, RootedFile};
use super::hashed::HashedSet;
use super::paths::shown;
use super::references::SharedPaths;
use super::removal::remove_empty_folders;
use super::roots::Roots;
use super::settings::{Outside, Settings};
use super::tally::Tally;
use super::watch::Watch;
use crate::mapping::canonical_path::RowPath;
use crate::outcome::{Failure, Issue};
use crate::store::prune::{Batch, Deletion, ExpiredRow, Key, Mode, Pass, Pruner, Scope, Source};
use anyhow::Result;
use std::collections::{BTreeMap, HashSet};

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
    pub seen: &'a mut HashedSet,
}

/// Deletes what has expired.
///
/// # Errors
/// The database failed, and the run can do nothing more with it.
pub fn clean(scope: &Scope, mut run: Run) -> Result<()> {
    let mut shared = SharedPaths::default();
    for pass in Pass::ALL {
        let mut after: Option<Key> = None;
        loop {
            let batch_size = run.settings.config.batch_size as usize;
            let limit = CHUNK.max(batch_size);
            let keys = run.pruner.expired(scope, pass, after.as_ref(), limit)?;
            for batch in keys.chunks(batch_size.max(1)) {
                if run.watch.stops(run.tally) {
                    return Ok(());
                }
                shared.refresh(scope, run.pruner, run.settings.started)?;
                let ended = run.delete_batch(scope, batch, &shared);
                run.roots.close_folders();
                ended?;
                (run.watch.progress)(run.tally);
            }
            if keys.len() < limit {
                break;
            }
            after = keys.into_iter().next_back();
        }
    }
    Ok(())
}

impl Run<'_> {
    fn delete_batch(&mut self, scope: &Scope, keys: &[Key], shared: &SharedPaths) -> Result<()> {
        let mut rows = self.pruner.rows(scope, keys)?;
        let mut before = Vec::new();
        if matches!(scope, Scope::Receipts(_)) {
            rows = self.retain_orphans(rows, &mut before)?;
        }
        let (rows, findings) = self.examine(rows, shared);
        if rows.is_empty() {
            return Ok(());
        }
        let checks = shared.checks(&rows, &findings);
        let batch = Batch {
            scope,
            rows: &rows,
            checks: &checks,
            recent_since: shared.since,
            before: &before,
        };
        let mut files = BeforeCommit::new(&rows, &findings, self.roots, self.settings, self.seen);
        let ended = self.pruner.delete(&batch, &mut |deletion| files.remove_files(deletion));
        let BeforeCommit { done, issues, shared, .. } = files;
        self.count_files(&done);
        for issue in issues.into_values() {
            self.tally.issue(issue);
        }
        let deletion =
            ended.map_err(|error| with_removed_files(error, self.settings.mode, &done))?;
        self.count_rows(scope, &rows, &deletion);
        self.tally.shared += shared.len() as u64;
        if self.settings.mode == Mode::Apply && self.settings.config.remove_empty_folders {
            let removed = done.iter().filter(|(_, removal)| removal.outcome.is_ok());
            self.tally.folders += remove_empty_folders(removed.map(|(file, _)| file), self.roots);
        }
        Ok(())
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
    fn examine(
        &mut self,
        rows: Vec<ExpiredRow>,
        shared: &SharedPaths,
    ) -> (Vec<ExpiredRow>, Vec<Vec<Finding>>) {
        let examined: Vec<Vec<Finding>> = {
            let paths = rows.iter().flat_map(|row| &row.paths).map(|path| path.stored.as_slice());
            let findings = files::examine(paths, self.roots, &self.settings.aliases);
            let of_path = |path: &RowPath| findings[path.stored.as_slice()].clone();
            let of_row = |row: &ExpiredRow| row.paths.iter().map(of_path).collect();
            rows.iter().map(of_row).collect()
        };
        let mut candidates = Vec::new();
        let mut findings = Vec::new();
        for (row, found) in rows.into_iter().zip(examined) {
            match self.find_obstacle(&row, &found, shared) {
                Some(issue) => self.tally.issue(issue),
                None => {
                    candidates.push(row);
                    findings.push(found);
                }
            }
        }
        (candidates, findings)
    }

    /// The first of its files that cannot go and so keeps the row.
    fn find_obstacle(
        &self,
        row: &ExpiredRow,
        found: &[Finding],
        shared: &SharedPaths,
    ) -> Option<Issue> {
        row.paths.iter().zip(found).find_map(|(path, finding)| {
            let (kind, why) = match finding {
                Finding::Outside(_) if self.settings.config.outside_paths == Outside::Ignore => {
                    return None;
                }
                Finding::Outside(why) => ("outside_roots", why),
                Finding::Refused(kind, why) => (*kind, why),
                _ => return None,
            };
            // It may stay with another row; that is known once this one is deleted.
            let can_stay = matches!(kind, "not_removable" | "root_unavailable")
                && shared.contains(&path.canonical);
            let issue = || row_stays(row, &path.stored, kind, why);
            let advised = |issue: Issue| match self.roots.find_missing(&path.stored) {
                _ if kind != "outside_roots" => issue,
                Some(name) => {
                    let why = format!("is `{}` missing in storage_roots?", shown(name));
                    issue.cause("rows name files beneath no storage root", why)
                }
                None => issue.cause("rows name files beneath no storage root", "they are kept"),
            };
            (!can_stay).then(|| advised(issue()))
        })
    }

    fn count_files(&mut self, done: &BTreeMap<RootedFile, Removal>) {
        for (file, removal) in done {
            if let Ok(freed) = removal.outcome {
                let path = self.settings.canonical(&self.roots.real_path(file));
                // A real run would not have found it: the sweep has taken it.
                if self.settings.mode == Mode::DryRun && self.tally.has_seen_go(&path) {
                    continue;
                }
                self.tally.went_with_its_row(&path);
                self.tally.files += 1;
                self.tally.bytes += match self.settings.mode {
                    Mode::Apply => freed,
                    Mode::DryRun => {
                        self.tally.count_dry_run(&path);
                        self.tally.dry_run_bytes(&removal.stat)
                    }
                };
            }
        }
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

/// Says of a batch that failed after its files were removed that they are gone.
fn with_removed_files(
    error: anyhow::Error,
    mode: Mode,
    done: &BTreeMap<RootedFile, Removal>,
) -> anyhow::Error {
    let gone = done.values().filter(|removal| removal.outcome.is_ok()).count();
    if mode == Mode::DryRun || gone == 0 {
        return error;
    }
    let failure = Failure::of(&error);
    let message = format!(
        "{}; {gone} files of the batch are gone already: the next run takes those of its rows that are still there",
        failure.message
    );
    Failure { message, ..failure }.into()
}
