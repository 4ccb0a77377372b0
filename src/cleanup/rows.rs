//! Expired rows with their files, batch by batch.
//!
//! The order of a batch is the promise: the files are examined, the database deletes the rows and checks every constraint, the files go,
//! the database commits. Whatever ends it between, a file is never left without its row: at worst a row is left without its file,
//! and the next run takes it.

use super::beneath::Look;
use super::files::{Finding, Place, Roots, shown};
use super::tally::Tally;
use super::{Outside, Settings, Watch};
use crate::mapping::canonical_path::{CanonicalPath, RowPath};
use crate::outcome::{Failure, Issue};
use crate::store::prune::{
    Batch, Deletion, ExpiredRow, Key, MOST_REFERENCES, Mode, Pass, Pruner, ReferenceCheck, Scope,
    Source,
};
use anyhow::Result;
use chrono::{DateTime, TimeDelta, Utc};
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::hash::{BuildHasher, RandomState};
use std::time::{Duration, Instant};

/// How many keys are chosen at once.
const CHUNK: usize = 20_000;

/// The search for shared files is repeated when so many times its own duration have passed, so that it costs a tenth at most,
const REFRESH: u32 = 10;

/// and not sooner than this: a short run does with one.
const SOONEST: Duration = Duration::from_secs(3);

/// A row that was being written when the search began may carry a creation time so much before it.
const WRITING: TimeDelta = TimeDelta::minutes(10);

pub struct Rows<'a> {
    pub pruner: &'a mut dyn Pruner,
    pub roots: &'a Roots,
    pub settings: &'a Settings,
    pub watch: &'a Watch<'a>,
    pub tally: &'a mut Tally,
    /// In a dry run: the rows that would have gone, by hash.
    pub gone: &'a mut HashSet<u64>,
    pub hasher: &'a RandomState,
}

/// Paths that several rows name, by hash.
#[derive(Default)]
struct Shared {
    paths: HashMap<u64, Named>,
    loaded: Option<Instant>,
    took: Duration,
    since: DateTime<Utc>,
}

struct Named {
    references: Vec<(Source, Key)>,
    complete: bool,
}

impl Rows<'_> {
    /// Deletes what has expired.
    ///
    /// # Errors
    /// The database failed, and the run can do nothing more with it.
    pub fn clean(&mut self, scope: &Scope) -> Result<()> {
        let mut shared = Shared::default();
        for pass in [Pass::Created, Pass::Others] {
            let mut after: Option<Key> = None;
            loop {
                let limit = CHUNK.max(self.settings.batch_size);
                let keys = self.pruner.expired(scope, pass, after.as_ref(), limit)?;
                for chosen in keys.chunks(self.settings.batch_size.max(1)) {
                    if self.watch.stop(self.tally) {
                        return Ok(());
                    }
                    self.refresh(scope, &mut shared)?;
                    self.batch(scope, chosen, &shared)?;
                    (self.watch.progress)(self.tally);
                }
                if keys.len() < limit {
                    break;
                }
                after = keys.into_iter().next_back();
            }
        }
        Ok(())
    }

    /// Looks again for shared files when that is due: a row that came to name one meanwhile must be seen.
    fn refresh(&mut self, scope: &Scope, shared: &mut Shared) -> Result<()> {
        let due = (shared.took * REFRESH).max(SOONEST);
        if shared.loaded.is_some_and(|loaded| loaded.elapsed() < due) {
            return Ok(());
        }
        let began = Instant::now();
        // The database's clock, against which its rows' times are held.
        let now = self.pruner.clock()?.unwrap_or(self.settings.started);
        let mut paths: HashMap<u64, Named> = HashMap::new();
        let hasher = self.hasher;
        self.pruner.shared_paths(scope, &mut |reference| {
            let complete = reference.rows <= MOST_REFERENCES as u64 && reference.key.is_some();
            let named = paths
                .entry(hasher.hash_one(&reference.path))
                .or_insert(Named { references: Vec::new(), complete: true });
            named.complete &= complete;
            let known = reference.key.map(|key| (reference.source, key));
            named.references.extend(known);
        })?;
        *shared = Shared {
            paths,
            loaded: Some(Instant::now()),
            took: began.elapsed(),
            since: now - WRITING,
        };
        Ok(())
    }

    fn batch(&mut self, scope: &Scope, keys: &[Key], shared: &Shared) -> Result<()> {
        let ended = self.delete_batch(scope, keys, shared);
        self.roots.release();
        ended
    }

    fn delete_batch(&mut self, scope: &Scope, keys: &[Key], shared: &Shared) -> Result<()> {
        let mut rows = self.pruner.rows(scope, keys)?;
        let mut before = Vec::new();
        if matches!(scope, Scope::Receipts(_)) {
            rows = self.orphans(rows, &mut before)?;
        }
        let examined = {
            let paths =
                rows.iter().flat_map(|row| row.paths.iter().map(|path| path.stored.as_slice()));
            let findings = self.roots.examine(paths, &self.settings.aliases);
            let of_path = |path: &RowPath| findings[path.stored.as_slice()].clone();
            let of_row = |row: &ExpiredRow| row.paths.iter().map(of_path).collect();
            rows.iter().map(of_row).collect::<Vec<Vec<Finding>>>()
        };
        let mut candidates = Vec::new();
        let mut findings = Vec::new();
        for (row, found) in rows.into_iter().zip(examined) {
            match self.objection(&row, &found, shared) {
                Some(issue) => self.tally.issue(issue),
                None => {
                    candidates.push(row);
                    findings.push(found);
                }
            }
        }
        if candidates.is_empty() {
            return Ok(());
        }
        let checks = self.reference_checks(&candidates, &findings, shared);
        let batch = Batch {
            scope,
            rows: &candidates,
            checks: &checks,
            recent_since: shared.since,
            before: &before,
        };
        let mut settling = Settling {
            rows: &candidates,
            findings: &findings,
            roots: self.roots,
            settings: self.settings,
            gone: self.gone,
            hasher: self.hasher,
            done: BTreeMap::new(),
            issues: BTreeMap::new(),
            shared: BTreeSet::new(),
        };
        let ended = self.pruner.delete(&batch, &mut |deletion| settling.settle(deletion));
        let Settling { done, issues, shared, .. } = settling;
        self.count_files(&done);
        for issue in issues.into_values() {
            self.tally.issue(issue);
        }
        let deletion = ended.map_err(|error| half_done(error, self.settings.mode, &done))?;
        self.count_rows(scope, &candidates, &deletion);
        self.tally.shared += shared.len() as u64;
        if self.settings.mode == Mode::Apply && self.settings.remove_empty_folders {
            let places = done.iter().filter(|(_, file)| file.outcome.is_ok());
            self.tally.folders += self.roots.remove_empty_folders(places.map(|(place, _)| place));
        }
        Ok(())
    }

    /// Receipts that no remaining task refers to; `before` gets the tasks that a dry run has seen go.
    fn orphans(&mut self, rows: Vec<ExpiredRow>, before: &mut Vec<Key>) -> Result<Vec<ExpiredRow>> {
        let links: Vec<String> = rows.iter().filter_map(|row| row.link.clone()).collect();
        let mut referred = HashSet::new();
        for (link, key) in self.pruner.linked_tasks(&links)? {
            if self.gone.contains(&hash(self.hasher, Source::Tasks, &key)) {
                before.push(key)
            } else {
                referred.insert(link);
            }
        }
        let is_orphan =
            |row: &ExpiredRow| row.link.as_ref().is_none_or(|link| !referred.contains(link));
        Ok(rows.into_iter().filter(is_orphan).collect())
    }

    /// Why a row must stay for its files' sake: the first of its files that cannot go.
    fn objection(&self, row: &ExpiredRow, found: &[Finding], shared: &Shared) -> Option<Issue> {
        let each = row.paths.iter().zip(found);
        each.filter_map(|(path, finding)| {
            let (kind, why) = match finding {
                Finding::Outside(_) if self.settings.outside_paths == Outside::Ignore => {
                    return None;
                }
                Finding::Outside(why) => ("outside_roots", why),
                Finding::Refused(kind, why) => (*kind, why),
                _ => return None,
            };
            // It may stay with another row; that is known once this one is deleted.
            let is_shared = shared.paths.contains_key(&self.hasher.hash_one(&path.canonical));
            let can_stay = is_shared && matches!(kind, "not_removable" | "root_unavailable");
            (!can_stay).then(|| about(row, &path.stored, kind, why))
        })
        .next()
    }

    /// What the database is asked about the batch's files while it deletes.
    fn reference_checks(
        &self,
        rows: &[ExpiredRow],
        findings: &[Vec<Finding>],
        shared: &Shared,
    ) -> Vec<ReferenceCheck> {
        let mut checks = BTreeMap::new();
        for (row, found) in rows.iter().zip(findings) {
            for (path, finding) in row.paths.iter().zip(found) {
                if let Finding::Removable { real: Some(real), .. } = finding {
                    // Nobody has looked yet who else names the file so.
                    checks.insert(real.clone(), (Vec::new(), false));
                }
                if let Some(named) = shared.paths.get(&self.hasher.hash_one(&path.canonical)) {
                    let check = checks.entry(path.canonical.clone());
                    check.or_insert((named.references.clone(), named.complete));
                }
            }
        }
        checks
            .into_iter()
            .map(|(path, (references, complete))| ReferenceCheck { path, references, complete })
            .collect()
    }

    fn count_files(&mut self, done: &BTreeMap<Place, Removal>) {
        for (place, removal) in done {
            if let Ok(freed) = removal.outcome {
                self.tally.files += 1;
                self.tally.bytes += match self.settings.mode {
                    Mode::Apply => freed,
                    Mode::DryRun => {
                        let look = &removal.look;
                        self.tally.count_dry_run(&self.roots.real_path(place));
                        self.tally.dry_run_bytes(look.id, look.links, look.len)
                    }
                };
            }
        }
    }

    fn count_rows(&mut self, scope: &Scope, rows: &[ExpiredRow], deletion: &Deletion) {
        let (source, counter) = match scope {
            Scope::Tasks(_) => (Source::Tasks, &mut self.tally.tasks),
            Scope::Receipts(_) => (Source::Receipts, &mut self.tally.receipts),
        };
        *counter += deletion.deleted.len() as u64;
        if self.settings.mode == Mode::DryRun {
            for place in &deletion.deleted {
                let key = &rows[*place].key;
                self.gone.insert(hash(self.hasher, source, key));
                if source == Source::Receipts {
                    for table in 0..self.settings.dependents {
                        self.gone.insert(hash(self.hasher, Source::Dependents(table), key));
                    }
                }
            }
        }
        for (place, words) in &deletion.refused {
            let row = &rows[*place];
            let message = format!("{} stays: the database keeps it: {words}", row.label);
            self.tally.issue(Issue::new("row_refused", message).task(&row.label));
        }
    }
}

fn hash(hasher: &RandomState, source: Source, key: &Key) -> u64 {
    hasher.hash_one((source, key))
}

fn about(row: &ExpiredRow, path: &[u8], kind: &'static str, why: &str) -> Issue {
    let path = shown(path);
    let message = format!("{} stays with its files: {path}: {why}", row.label);
    Issue::new(kind, message).path(path).task(&row.label)
}

/// A file that was removed, or was to be.
struct Removal {
    look: Look,
    /// The bytes that it set free.
    outcome: Result<u64, String>,
}

/// What is done with a batch's files once the database has agreed to the rows' deletion.
struct Settling<'a> {
    rows: &'a [ExpiredRow],
    findings: &'a [Vec<Finding>],
    roots: &'a Roots,
    settings: &'a Settings,
    gone: &'a HashSet<u64>,
    hasher: &'a RandomState,
    done: BTreeMap<Place, Removal>,
    /// By row and message: a batch that is begun again meets the same ones again.
    issues: BTreeMap<(usize, String), Issue>,
    /// Paths that stay because a row that stays names them.
    shared: BTreeSet<CanonicalPath>,
}

impl Settling<'_> {
    /// The rows that must stay after all; with none of those, the files go, and the rows whose files would not.
    fn settle(&mut self, deletion: &Deletion) -> Vec<usize> {
        let is_gone = |source, key: &Key| self.gone.contains(&hash(self.hasher, source, key));
        let kept: HashSet<&CanonicalPath> = deletion
            .referring
            .iter()
            .filter(|(source, key, _)| !is_gone(*source, key))
            .map(|(_, _, path)| path)
            .collect();
        let linked: HashSet<&str> = deletion
            .linked
            .iter()
            .filter(|(_, key)| !is_gone(Source::Tasks, key))
            .map(|(link, _)| link.as_str())
            .collect();
        let mut back: BTreeSet<usize> = deletion.changed.iter().copied().collect();
        self.shared.clear();
        let mut files: Vec<(Place, Look, usize)> = Vec::new();
        let mut gone: Vec<(Place, usize)> = Vec::new();
        for place in &deletion.deleted {
            let row = &self.rows[*place];
            if row.link.as_ref().is_some_and(|link| linked.contains(link.as_str())) {
                back.insert(*place);
            }
            for (path, finding) in row.paths.iter().zip(&self.findings[*place]) {
                if is_kept(&kept, path, finding) {
                    self.shared.insert(path.canonical.clone());
                    continue;
                }
                match finding {
                    Finding::Removable { place: file, look, .. } => {
                        files.push((file.clone(), *look, *place))
                    }
                    Finding::Refused(kind, why) => {
                        let issue = about(row, &path.stored, kind, why);
                        let key = (*place, issue.message.clone());
                        self.issues.insert(key, issue);
                        back.insert(*place);
                    }
                    Finding::Gone(Some(file)) => gone.push((file.clone(), *place)),
                    Finding::Gone(None) | Finding::Outside(_) => {}
                }
            }
        }
        if self.settings.mode == Mode::Apply {
            back.extend(self.sync_gone(gone));
        }
        if !back.is_empty() {
            return back.into_iter().collect();
        }
        files.sort_unstable_by(|(one, _, _), (next, _, _)| one.cmp(next));
        self.remove(&files)
    }

    /// The rows whose files are gone, but not on the disk.
    fn sync_gone(&mut self, mut gone: Vec<(Place, usize)>) -> Vec<usize> {
        gone.sort_unstable();
        let (files, owners): (Vec<Place>, Vec<usize>) = gone.into_iter().unzip();
        let failed = self.roots.sync_gone(&files);
        let mut back = Vec::new();
        for ((file, owner), why) in files.iter().zip(owners).zip(failed) {
            if let Some(why) = why {
                self.stays(owner, file, &why);
                back.push(owner);
            }
        }
        back
    }

    /// Notes that a row stays with a file that could not be removed.
    fn stays(&mut self, owner: usize, file: &Place, why: &str) {
        let row = &self.rows[owner];
        let path = file.shown();
        let message = format!("{} stays: {path}: {why}", row.label);
        let issue = Issue::new("unlink_failed", message.clone());
        let issue = issue.path(path).task(&row.label);
        self.issues.insert((owner, message), issue);
    }

    /// `files`: sorted, each with the row that names it.
    fn remove(&mut self, files: &[(Place, Look, usize)]) -> Vec<usize> {
        let each = files.chunk_by(|(one, _, _), (next, _, _)| one == next);
        // Not those that were removed, or could not be, when the batch was begun before.
        let waiting: Vec<(Place, Look)> = each
            .clone()
            .filter(|file| !self.done.contains_key(&file[0].0))
            .map(|file| (file[0].0.clone(), file[0].1))
            .collect();
        let outcomes = match self.settings.mode {
            Mode::Apply => self.roots.remove(&waiting),
            Mode::DryRun => vec![Ok(0); waiting.len()],
        };
        for ((place, look), outcome) in waiting.into_iter().zip(outcomes) {
            self.done.insert(place, Removal { look, outcome });
        }
        let mut back = BTreeSet::new();
        for (place, _, owner) in files {
            let Some(Err(why)) = self.done.get(place).map(|removal| removal.outcome.clone()) else {
                continue;
            };
            self.stays(*owner, place, &why);
            back.insert(*owner);
        }
        back.into_iter().collect()
    }
}

/// Whether a row that stays names the file, be it by its real path.
fn is_kept(kept: &HashSet<&CanonicalPath>, path: &RowPath, finding: &Finding) -> bool {
    let by_real_path =
        matches!(finding, Finding::Removable { real: Some(real), .. } if kept.contains(real));
    by_real_path || kept.contains(&path.canonical)
}

/// Says of a batch that failed with its files gone that they are.
fn half_done(error: anyhow::Error, mode: Mode, done: &BTreeMap<Place, Removal>) -> anyhow::Error {
    let gone = done.values().filter(|file| file.outcome.is_ok()).count();
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

/// The error entry of a database that failed when part of the work was done.
pub fn database_issue(error: &anyhow::Error) -> Issue {
    let failure = Failure::of(error);
    let advice = failure.hint.map(|hint| format!("; {hint}"));
    let message = failure.message + advice.as_deref().unwrap_or_default();
    Issue::new("database_failed", message)
}
