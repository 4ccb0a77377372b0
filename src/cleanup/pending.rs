//! The files of rows that are deleted, until these are gone too.
//!
//! They are held back for a while, so that many are asked of the rows at once: a file goes if no row names it any more, whoever's it is. So the
//! last of several rows takes their file along, a row that came to name it meanwhile keeps it, and so does one whose deletion the database took
//! back. The [journal](super::journal) says what was held back when a run comes to its end before.

use super::files;
use super::finding::Finding;
use super::hashed::HashedSet;
use super::journal::{IntendedFile, IntendedRow, Intent, Journal, Leftover};
use super::naming::PathHasher;
use super::paths::shown;
use super::removal::{self, Outcome, remove_empty_folders};
use super::roots::Roots;
use super::settings::Settings;
use super::tally::Tally;
use crate::mapping::canonical_path::{CanonicalPath, PathAliases};
use crate::outcome::{Failure, Issue};
use crate::store::prune::{ExpiredRow, Key, Mode, Pruned, Pruner};
use anyhow::Result;
use std::collections::HashSet;
use std::time::{Duration, Instant};

/// The rows are asked again when so many times the duration of the last time have passed, so that it costs a tenth at most,
const REFRESH: u32 = 10;

/// and not sooner than this: a short run does with one.
const SOONEST: Duration = Duration::from_secs(3);

/// More files than this are not held back.
const MOST: usize = 100_000;

/// How many files are removed at once.
const CHUNK: usize = 8192;

/// What files are removed with.
pub struct Context<'a> {
    pub pruner: &'a mut dyn Pruner,
    pub roots: &'a Roots,
    pub settings: &'a Settings,
    pub tally: &'a mut Tally,
    /// In a dry run: the rows that would have gone, `(Source, &Key)`.
    pub seen: &'a HashedSet,
}

pub struct Pending {
    pub hasher: PathHasher,
    files: Vec<PendingFile>,
    mode: Mode,
    journal: Journal,
    leftovers: Vec<Leftover>,
    /// Whether they are deleted is not known.
    doubtful: Vec<(Pruned, IntendedRow)>,
    /// What could not be removed.
    left: Vec<IntendedFile>,
    /// The files that stayed because a row names them.
    shared: HashSet<u64>,
    settled: Instant,
    took: Duration,
}

struct PendingFile {
    file: IntendedFile,
    canonical: u64,
    /// Of its real path, where its row's own leads there through a symbolic link.
    real: Option<u64>,
}

impl Pending {
    pub fn new(settings: &Settings, database: String) -> Self {
        Self {
            hasher: PathHasher::default(),
            files: Vec::new(),
            mode: settings.mode,
            journal: Journal::new(settings.journals.clone(), database),
            leftovers: Vec::new(),
            doubtful: Vec::new(),
            left: Vec::new(),
            shared: HashSet::new(),
            settled: Instant::now(),
            took: Duration::ZERO,
        }
    }

    /// Takes over what runs have left behind that were killed.
    ///
    /// # Errors
    /// The database does not say which rows are there.
    pub fn take_over(&mut self, context: &mut Context) -> Result<()> {
        let (leftovers, notes) = self.journal.leftovers(self.mode);
        notes.into_iter().for_each(|note| context.tally.note(note));
        for leftover in &leftovers {
            for intent in &leftover.intents {
                let there = existing(intent.from, &intent.rows, context.pruner)?;
                let gone = intent.rows.iter().filter(|row| !there.contains(&row.key));
                let files: Vec<IntendedFile> = gone.flat_map(|row| row.files.clone()).collect();
                self.add_again(files, context);
            }
        }
        self.leftovers = leftovers;
        if self.leftovers.is_empty() { Ok(()) } else { self.settle(context) }
    }

    /// Files of a run before.
    fn add_again(&mut self, files: Vec<IntendedFile>, context: &mut Context) {
        let paths = files.iter().map(|file| file.path.as_bytes());
        let findings = files::examine(paths, context.roots, &context.settings.aliases);
        let found: Vec<Finding> =
            files.iter().map(|file| findings[file.path.as_bytes()].clone()).collect();
        for (file, finding) in files.into_iter().zip(found) {
            match &finding {
                Finding::Removable { real, .. } => {
                    self.add(file, real.as_ref(), &context.settings.aliases);
                }
                Finding::Gone => {}
                Finding::Outside(why) | Finding::Refused(_, why) => {
                    report_left(&file.path, why, context.tally);
                    self.left.push(file);
                }
            }
        }
        context.roots.close_folders();
    }

    /// Writes to the disk what is about to be deleted.
    ///
    /// # Errors
    /// [`crate::outcome::Kind::OutputFailed`]
    pub fn intend(
        &mut self,
        from: Pruned,
        rows: &[ExpiredRow],
        findings: &[Vec<Finding>],
    ) -> Result<(), Failure> {
        if self.mode == Mode::DryRun {
            return Ok(());
        }
        let rows = rows.iter().zip(findings).map(|(row, found)| intended(row, found));
        let rows: Vec<IntendedRow> = rows.filter(|row| !row.files.is_empty()).collect();
        if rows.is_empty() { Ok(()) } else { self.journal.write(&Intent { from, rows }) }
    }

    /// The row is deleted.
    pub fn add_row(&mut self, row: &ExpiredRow, findings: &[Finding], settings: &Settings) {
        for (path, finding) in row.paths.iter().zip(findings) {
            if let Some((file, real)) = intended_file(path, finding) {
                self.add(file, real, &settings.aliases);
            }
        }
    }

    /// Whether the row is deleted is not known.
    pub fn doubt(&mut self, from: Pruned, row: &ExpiredRow, findings: &[Finding]) {
        self.doubtful.push((from, intended(row, findings)));
    }

    /// A file stays because a row names it.
    pub fn share(&mut self, path: u64) {
        self.shared.insert(path);
    }

    fn add(&mut self, file: IntendedFile, real: Option<&CanonicalPath>, aliases: &PathAliases) {
        let canonical = self.hasher.hash_canonical(aliases, file.path.as_bytes());
        let real = real.map(|real| self.hasher.hash(real));
        self.files.push(PendingFile { file, canonical, real });
    }

    pub fn is_due(&self) -> bool {
        let due = (self.took * REFRESH).max(SOONEST);
        self.files.len() >= MOST || (!self.files.is_empty() && self.settled.elapsed() >= due)
    }

    /// Removes the files that no row names.
    ///
    /// # Errors
    /// The database does not say what rows name: the files are still held back.
    pub fn settle(&mut self, context: &mut Context) -> Result<()> {
        let began = Instant::now();
        self.resolve_doubts(context)?;
        let hashes = self.files.iter().flat_map(|file| file.hashes());
        let asked: HashSet<u64> = hashes.collect();
        let excluded: &[&HashedSet] = match self.mode {
            Mode::Apply => &[],
            Mode::DryRun => &[context.seen],
        };
        let aliases = &context.settings.aliases;
        let named = self.hasher.find_named(&asked, aliases, context.pruner, excluded)?;
        self.took = began.elapsed();
        self.keep_named(&named);
        // By folder; and what two rows name is one file.
        self.files.sort_unstable_by(|one, next| one.file.path.cmp(&next.file.path));
        self.files.dedup_by(|one, next| one.file.path == next.file.path);
        while !self.files.is_empty() {
            if self.mode == Mode::Apply {
                let recent = self.hasher.find_recent(aliases, context.pruner)?;
                self.keep_named(&recent);
            }
            let chunk = self.files.split_off(self.files.len().saturating_sub(CHUNK));
            self.remove(&chunk, context);
        }
        self.settled = Instant::now();
        self.keep_journal();
        Ok(())
    }

    /// Files that rows name stay.
    fn keep_named(&mut self, named: &HashSet<u64>) {
        let shared = &mut self.shared;
        self.files.retain(|file| {
            let is_named = file.hashes().any(|hash| named.contains(&hash));
            if is_named {
                shared.insert(file.canonical);
            }
            !is_named
        });
    }

    fn resolve_doubts(&mut self, context: &mut Context) -> Result<()> {
        for from in [Pruned::Tasks, Pruned::Receipts] {
            let of_table = |(table, _): &(Pruned, IntendedRow)| *table == from;
            let rows = self.doubtful.iter().filter(|row| of_table(row));
            let rows: Vec<IntendedRow> = rows.map(|(_, row)| row.clone()).collect();
            let there = existing(from, &rows, context.pruner)?;
            self.doubtful.retain(|doubtful| !of_table(doubtful) || there.contains(&doubtful.1.key));
            for row in rows.into_iter().filter(|row| !there.contains(&row.key)) {
                match from {
                    Pruned::Tasks => context.tally.tasks += 1,
                    Pruned::Receipts => context.tally.receipts += 1,
                }
                self.add_again(row.files, context);
            }
        }
        Ok(())
    }

    fn remove(&mut self, files: &[PendingFile], context: &mut Context) {
        let intended: Vec<&IntendedFile> = files.iter().map(|file| &file.file).collect();
        let mode = self.mode;
        let outcomes = removal::remove(&intended, context.roots, mode);
        let mut removed = Vec::new();
        for (file, outcome) in files.iter().zip(outcomes) {
            match outcome {
                Outcome::Removed { file: rooted, stat } => {
                    self.shared.remove(&file.canonical);
                    let path = context.settings.canonical(&context.roots.real_path(&rooted));
                    context.tally.count_removed(mode, &path, &stat);
                    removed.push(rooted);
                }
                Outcome::Gone => {}
                Outcome::Left(why) => {
                    report_left(&file.file.path, &why, context.tally);
                    self.left.push(file.file.clone());
                }
                Outcome::Changed => {
                    let why = "it has changed since it was examined";
                    report_left(&file.file.path, why, context.tally);
                }
            }
        }
        if mode == Mode::Apply && context.settings.config.remove_empty_folders {
            context.tally.folders += remove_empty_folders(&removed, context.roots);
        }
        context.roots.close_folders();
    }

    /// What is left to do is written anew before the journals go that have it.
    fn keep_journal(&mut self) {
        if self.mode == Mode::DryRun {
            return;
        }
        let left = IntendedRow { key: Key::new(), files: self.left.clone() };
        let mut further = self.journal.next();
        for from in [Pruned::Tasks, Pruned::Receipts] {
            let doubtful = self.doubtful.iter().filter(|(table, _)| *table == from);
            let mut rows: Vec<IntendedRow> = doubtful.map(|(_, row)| row.clone()).collect();
            rows.extend((from == Pruned::Tasks).then(|| left.clone()));
            rows.retain(|row| !row.files.is_empty());
            if rows.is_empty() {
                continue;
            }
            if let Err(failure) = further.write(&Intent { from, rows }) {
                // The journals that have it stay as they are.
                log::warn!("{failure}");
                return;
            }
        }
        self.journal.clear();
        self.leftovers.drain(..).for_each(Leftover::remove);
        self.journal = further;
    }

    /// Ends the run: counts the files that stayed because rows name them, and says what is left to the next run.
    pub fn end(self, tally: &mut Tally) {
        tally.shared += self.shared.len() as u64;
        if !self.files.is_empty() {
            let message = format!(
                "{} files of rows that are deleted are still there: the next run removes those that no row names",
                self.files.len()
            );
            tally.issue(Issue::new("files_left", message));
        }
    }
}

impl PendingFile {
    fn hashes(&self) -> impl Iterator<Item = u64> + use<> {
        std::iter::once(self.canonical).chain(self.real)
    }
}

fn intended(row: &ExpiredRow, findings: &[Finding]) -> IntendedRow {
    let files = row.paths.iter().zip(findings);
    let files = files.filter_map(|(path, finding)| intended_file(path, finding));
    IntendedRow { key: row.key.clone(), files: files.map(|(file, _)| file).collect() }
}

/// A file that is to go, and its real path where that is another one.
fn intended_file<'f>(
    path: &[u8],
    finding: &'f Finding,
) -> Option<(IntendedFile, Option<&'f CanonicalPath>)> {
    let Finding::Removable { stat, real } = finding else {
        return None;
    };
    let path = std::str::from_utf8(path).ok()?.to_owned();
    let file = IntendedFile { path, inode: stat.id.1, modified: stat.modified };
    Some((file, real.as_ref()))
}

/// The keys of those of these rows that are there.
fn existing(from: Pruned, rows: &[IntendedRow], pruner: &mut dyn Pruner) -> Result<HashSet<Key>> {
    let keys = rows.iter().map(|row| row.key.clone()).filter(|key| !key.is_empty());
    let keys: Vec<Key> = keys.collect();
    if keys.is_empty() {
        return Ok(HashSet::new());
    }
    Ok(pruner.existing(from, &keys)?.into_iter().collect())
}

fn report_left(path: &str, why: &str, tally: &mut Tally) {
    let path = shown(path);
    let message = format!("{path} is still there, and its row is deleted: {why}");
    let issue = Issue::new("unlink_failed", message).path(path);
    tally.issue(issue.cause("files are still there, and their rows are deleted", why));
}
