//! What is done with a batch's files once the database has agreed to delete its rows, and before it commits.

use super::dir::FileStat;
use super::finding::{Finding, RootedFile};
use super::hashed::HashedSet;
use super::paths::shown;
use super::removal;
use super::roots::Roots;
use super::settings::Settings;
use crate::mapping::canonical_path::{CanonicalPath, RowPath};
use crate::outcome::Issue;
use crate::store::prune::{Deletion, ExpiredRow, Key, Mode, Source};
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;

/// A file that was removed, or was to be.
pub struct Removal {
    pub stat: FileStat,
    /// The bytes that it set free, or why it is still there.
    pub outcome: Result<u64, String>,
}

/// The state of one batch; the database begins a batch again for as long as rows are taken back.
pub struct BeforeCommit<'a> {
    rows: &'a [ExpiredRow],
    findings: &'a [Vec<Finding>],
    roots: &'a Roots,
    settings: &'a Settings,
    seen: &'a HashedSet,
    pub done: BTreeMap<RootedFile, Removal>,
    /// By row and message: a batch that is begun again meets the same ones again.
    pub issues: BTreeMap<(usize, String), Issue>,
    /// Paths that stay because a row that stays names them.
    pub shared: BTreeSet<CanonicalPath>,
}

/// A file of the batch and the row, by its index, that names it.
type OwnedFile = (RootedFile, FileStat, usize);

impl<'a> BeforeCommit<'a> {
    pub fn new(
        rows: &'a [ExpiredRow],
        findings: &'a [Vec<Finding>],
        roots: &'a Roots,
        settings: &'a Settings,
        seen: &'a HashedSet,
    ) -> Self {
        let (done, issues, shared) = (BTreeMap::new(), BTreeMap::new(), BTreeSet::new());
        Self { rows, findings, roots, settings, seen, done, issues, shared }
    }

    /// The rows that must stay after all. If there are none, the files are removed, and the rows whose files would not go are returned.
    pub fn remove_files(&mut self, deletion: &Deletion) -> Vec<usize> {
        let is_gone = |source, key: &Key| self.seen.contains(&(source, key));
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
        let mut files: Vec<OwnedFile> = Vec::new();
        let mut first: HashMap<&CanonicalPath, &RootedFile> = HashMap::new();
        let mut gone: Vec<(RootedFile, usize)> = Vec::new();
        for index in &deletion.deleted {
            let row = &self.rows[*index];
            if row.link.as_ref().is_some_and(|link| linked.contains(link.as_str())) {
                back.insert(*index);
            }
            for (path, finding) in row.paths.iter().zip(&self.findings[*index]) {
                if is_kept(&kept, path, finding) {
                    self.shared.insert(path.canonical.clone());
                    continue;
                }
                match finding {
                    Finding::Removable { file, stat, .. } => {
                        // By two mounts, one file is beneath two folders.
                        let file = first.entry(&path.canonical).or_insert(file);
                        files.push((file.clone(), *stat, *index));
                    }
                    Finding::Refused(kind, why) => {
                        let issue = row_stays(row, &path.stored, kind, why);
                        self.issues.insert((*index, issue.message.clone()), issue);
                        back.insert(*index);
                    }
                    Finding::Gone(Some(file)) => gone.push((file.clone(), *index)),
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
    fn sync_gone(&mut self, mut gone: Vec<(RootedFile, usize)>) -> Vec<usize> {
        gone.sort_unstable();
        let (files, owners): (Vec<RootedFile>, Vec<usize>) = gone.into_iter().unzip();
        let failed = removal::sync_gone(&files, self.roots);
        let mut back = Vec::new();
        for ((file, owner), why) in files.iter().zip(owners).zip(failed) {
            if let Some(why) = why {
                self.report_unremoved(owner, file, &why);
                back.push(owner);
            }
        }
        back
    }

    /// `files` are sorted.
    fn remove(&mut self, files: &[OwnedFile]) -> Vec<usize> {
        // Not those that were removed, or could not be, when the batch was begun before.
        let waiting: Vec<(RootedFile, FileStat)> = files
            .chunk_by(|(one, _, _), (next, _, _)| one == next)
            .map(|same| (&same[0].0, same[0].1))
            .filter(|(file, _)| !self.done.contains_key(file))
            .map(|(file, stat)| (file.clone(), stat))
            .collect();
        let outcomes = match self.settings.mode {
            Mode::Apply => removal::remove(&waiting, self.roots),
            Mode::DryRun => vec![Ok(0); waiting.len()],
        };
        for ((file, stat), outcome) in waiting.into_iter().zip(outcomes) {
            self.done.insert(file, Removal { stat, outcome });
        }
        let mut back = BTreeSet::new();
        for (file, _, owner) in files {
            let outcome = self.done.get(file).map(|removal| removal.outcome.clone());
            if let Some(Err(why)) = outcome {
                self.report_unremoved(*owner, file, &why);
                back.insert(*owner);
            }
        }
        back.into_iter().collect()
    }

    fn report_unremoved(&mut self, owner: usize, file: &RootedFile, why: &str) {
        let row = &self.rows[owner];
        let path = file.shown();
        let message = format!("{} stays: {path}: {why}", row.label);
        let issue = Issue::new("unlink_failed", message.clone());
        let issue = issue.path(path).task(&row.label).cause("rows stay with files", why);
        self.issues.insert((owner, message), issue);
    }
}

/// Whether a row that stays names the file, be it by its real path.
fn is_kept(kept: &HashSet<&CanonicalPath>, path: &RowPath, finding: &Finding) -> bool {
    let by_real_path =
        matches!(finding, Finding::Removable { real: Some(real), .. } if kept.contains(real));
    by_real_path || kept.contains(&path.canonical)
}

/// The entry for a row that stays because one of its files cannot go.
pub fn row_stays(row: &ExpiredRow, path: &[u8], kind: &'static str, why: &str) -> Issue {
    let path = shown(OsStr::from_bytes(path));
    let message = format!("{} stays with its files: {path}: {why}", row.label);
    let issue = Issue::new(kind, message).path(path).task(&row.label);
    issue.cause("rows stay with their files", why)
}
