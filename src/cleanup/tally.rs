//! What a run has done so far, what it could not do, and the report that comes of it.

use super::dir::FileStat;
use super::hashed::HashedSet;
use super::issue_log::IssueLog;
use crate::job::Job;
use crate::mapping::canonical_path::CanonicalPath;
use crate::outcome::{Failure, Issue};
use crate::store::prune::Mode;
use crate::units;
use serde::Serialize;
use std::collections::HashMap;
use std::time::Instant;

/// More entries than this are counted and not listed.
const LISTED_ERRORS: usize = 1000;

/// A part of a run that is under way.
pub struct Phase {
    began: Instant,
    before: [u64; 6],
}

impl Phase {
    /// Logs what the part did.
    pub fn end(self, what: &str, tally: &Tally) {
        let mut done = tally.counts();
        for (count, before) in done.iter_mut().zip(self.before) {
            *count -= before;
        }
        let [tasks, receipts, files, logs, bytes, errors] = done;
        log::info!(
            "{what}: {tasks} tasks, {receipts} receipts, {files} files, {logs} logs, {bytes} bytes, {errors} errors, in {:.3} s",
            self.began.elapsed().as_secs_f64()
        );
    }
}

#[derive(Debug, Default)]
pub struct Tally {
    pub tasks: u64,
    pub receipts: u64,
    pub files: u64,
    pub logs: u64,
    pub bytes: u64,
    pub shared: u64,
    pub in_use: u64,
    pub folders: u64,
    pub errors: Vec<Issue>,
    issues: IssueLog,
    pub errors_total: u64,
    pub notes: Vec<String>,
    pub stopped: Option<&'static str>,
    /// Why no row could be deleted; what needs no rows was done all the same.
    pub failure: Option<Failure>,
    /// The real paths of the temp files that stayed because a row names them.
    named: HashedSet,
    /// In a dry run: how many names of a file with several would have gone, by device and inode.
    links: HashMap<(u64, u64), u32>,
    /// In a dry run: the canonical paths of the files that would have gone.
    gone: HashedSet,
}

impl Tally {
    pub fn issue(&mut self, issue: Issue) {
        log::debug!("{}", issue.message);
        self.issues.add(&issue);
        self.errors_total += 1;
        if self.errors.len() < LISTED_ERRORS {
            self.errors.push(issue);
        }
    }

    /// Logs the issues of the run.
    pub fn log_issues(&self) {
        self.issues.lines().for_each(|line| log::warn!("{line}"));
    }

    pub fn note(&mut self, note: impl Into<String>) {
        let note = note.into();
        log::warn!("{note}");
        self.notes.push(note);
    }

    /// A note of what is so every night: no warning, which cron would send by mail.
    pub fn remark(&mut self, note: impl Into<String>) {
        let note = note.into();
        log::info!("{note}");
        self.notes.push(note);
    }

    /// Begins a part of the run, for the log.
    pub fn phase(&self) -> Phase {
        Phase { began: Instant::now(), before: self.counts() }
    }

    fn counts(&self) -> [u64; 6] {
        let Self { tasks, receipts, files, logs, bytes, errors_total, .. } = *self;
        [tasks, receipts, files, logs, bytes, errors_total]
    }

    /// Whether a dry run has seen a file go.
    pub fn has_seen_go(&self, path: &CanonicalPath) -> bool {
        self.gone.contains(path)
    }

    /// Counts a file of a row that went, or would have.
    pub fn count_removed(&mut self, mode: Mode, path: &CanonicalPath, file: &FileStat) {
        // A real run would not have found it: the sweep has taken it.
        if mode == Mode::DryRun && self.has_seen_go(path) {
            return;
        }
        self.went_with_its_row(path);
        self.files += 1;
        self.bytes += match mode {
            Mode::Apply if file.links > 1 => 0,
            Mode::Apply => file.bytes,
            Mode::DryRun => {
                self.count_dry_run(path);
                self.dry_run_bytes(file)
            }
        };
    }

    /// The bytes that the removal of one name sets free, given how many names the file has now that nothing is really removed.
    pub fn dry_run_bytes(&mut self, file: &FileStat) -> u64 {
        if file.links < 2 {
            return file.bytes;
        }
        let gone = self.links.entry(file.id).or_default();
        *gone += 1;
        if *gone == file.links { file.bytes } else { 0 }
    }

    /// Notes that a file would have gone.
    pub fn count_dry_run(&mut self, path: &CanonicalPath) {
        self.gone.insert(path);
    }

    /// Counts a temp file that stays because a row names it.
    pub fn keep_named(&mut self, path: &CanonicalPath) {
        if self.named.insert(path) {
            self.shared += 1;
        }
    }

    /// A file went with the last row that names it: the sweep has not kept it for one that stays.
    fn went_with_its_row(&mut self, path: &CanonicalPath) {
        if self.named.contains(path) {
            self.shared -= 1;
        }
    }
}

/// The result of `taskmon cleanup`.
#[derive(Debug, Serialize)]
pub struct CleanupReport {
    pub success: bool,
    /// Why no row could be deleted, with the job that failed, as in every error document.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<Failure>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub job: Option<&'static str>,
    pub dry_run: bool,
    pub tasks_cleaned: u64,
    pub files_cleaned: u64,
    pub receipts_cleaned: u64,
    pub logs_cleaned: u64,
    /// MiB, 2 decimals.
    pub disk_space_freed_mb: f64,
    /// The same before it was rounded.
    #[serde(skip)]
    pub bytes_freed: u64,
    /// Files that stayed because a row that stays names them too.
    pub files_shared: u64,
    /// Temp files and logs that stayed because a process has them open for writing, or locked; a locked folder counts as one.
    pub files_in_use: u64,
    pub folders_removed: u64,
    /// Why it ended before its work was done: `max_runtime` or `signal`.
    pub stopped: Option<&'static str>,
    pub notes: Vec<String>,
    pub errors: Vec<Issue>,
    pub errors_total: u64,
    /// Seconds.
    pub execution_time: f64,
}

impl CleanupReport {
    /// The result of a run that took so many seconds.
    pub fn new(mode: Mode, tally: Tally, seconds: f64) -> Self {
        Self {
            success: tally.failure.is_none(),
            job: tally.failure.as_ref().map(|_| Job::Cleanup.name()),
            error: tally.failure,
            dry_run: mode == Mode::DryRun,
            tasks_cleaned: tally.tasks,
            files_cleaned: tally.files,
            receipts_cleaned: tally.receipts,
            logs_cleaned: tally.logs,
            disk_space_freed_mb: units::mib(tally.bytes),
            bytes_freed: tally.bytes,
            files_shared: tally.shared,
            files_in_use: tally.in_use,
            folders_removed: tally.folders,
            stopped: tally.stopped,
            notes: tally.notes,
            errors: tally.errors,
            errors_total: tally.errors_total,
            execution_time: seconds,
        }
    }
}
