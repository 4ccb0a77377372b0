//! The record of each run: a line of JSON in `taskmon_runs.jsonl`, in the folder of the logs (`alerts.logs_dir`).
//!
//! A line that is torn (a full disk, a power cut) is skipped by readers, and the next record begins on a line of its own.

pub mod append;
pub mod follow;
pub mod last;

use crate::files::{Access, each_line, open_regular};
use chrono::{DateTime, FixedOffset, SecondsFormat};
use serde::{Deserialize, Serialize, Serializer};
use std::collections::VecDeque;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

/// One run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RunRecord {
    /// The command: `cleanup`, `stats`, `disk`, `alert`.
    pub job: String,
    /// RFC 3339, in the configured zone.
    #[serde(serialize_with = "to_the_millisecond")]
    pub start: DateTime<FixedOffset>,
    #[serde(serialize_with = "to_the_millisecond")]
    pub end: DateTime<FixedOffset>,
    /// 128 and the signal's number for a run that a signal ended.
    pub exit_code: u8,
    /// Whether a lock kept it from running.
    pub skipped: bool,
    /// Whose lock that was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub held_by: Option<Holder>,
    /// Where it is not written, the time from the start to the end.
    #[serde(default = "not_written")]
    pub duration_seconds: f64,
    pub host: String,
    /// The command and its own arguments, without the options of every command and without what an alert says.
    #[serde(default)]
    pub arguments: Vec<String>,
    #[serde(default)]
    pub dry_run: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Holder {
    ThisHost,
    OtherHost,
}

fn to_the_millisecond<S: Serializer>(
    time: &DateTime<FixedOffset>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&time.to_rfc3339_opts(SecondsFormat::Millis, false))
}

impl RunRecord {
    /// Fills in what another program that writes such records may have left out.
    fn completed(mut self) -> Self {
        if self.duration_seconds.is_nan() {
            let milliseconds = self.end.signed_duration_since(self.start).num_milliseconds().max(0);
            self.duration_seconds = milliseconds as f64 / 1000.0;
        }
        if self.arguments.is_empty() {
            self.arguments = vec![self.job.clone()];
        }
        self
    }

    /// Whether the job was done: exit code 0, 1 or 4, and no dry run.
    pub fn is_success(&self) -> bool {
        matches!(self.exit_code, 0 | 1 | 4) && !self.dry_run && !self.skipped
    }

    /// Whether it is a run of the job with these arguments; a dry run is a run of none.
    pub fn is_of(&self, arguments: &[String]) -> bool {
        self.arguments == arguments && !self.dry_run
    }
}

fn not_written() -> f64 {
    f64::NAN
}

/// The file of the records.
pub fn path(logs_dir: &Path) -> PathBuf {
    logs_dir.join("taskmon_runs.jsonl")
}

/// The records, oldest first and as many of the last as the file keeps, before them the last success of each job that is not among them any more; none
/// where there is no file yet.
///
/// # Errors
/// A file cannot be read.
pub fn read(logs_dir: &Path) -> io::Result<Vec<RunRecord>> {
    let mut found = read_kept(&path(logs_dir))?;
    add_those_elsewhere(logs_dir, &mut found);
    let mut runs = last::read(logs_dir)?;
    runs.retain(|run| !found.contains(run));
    runs.sort_by_key(|run| run.end);
    runs.extend(found);
    Ok(runs)
}

/// Adds the records that the folder does not take at present.
fn add_those_elsewhere(logs_dir: &Path, found: &mut Vec<RunRecord>) {
    let others = append::second_places(logs_dir).into_iter().map(|folder| path(&folder));
    let others: Vec<RunRecord> = others
        .filter(|path| path.is_file())
        .filter_map(|path| read_kept(&path).ok())
        .flatten()
        .collect();
    if !others.is_empty() {
        found.extend(others);
        found.sort_by_key(|run| run.end);
    }
}

fn read_kept(path: &Path) -> io::Result<Vec<RunRecord>> {
    let mut found = VecDeque::new();
    let mut note = |line: Option<&[u8]>| {
        found.extend(line.and_then(record));
        // More of them are there only until the file is trimmed.
        if found.len() > append::KEPT {
            found.pop_front();
        }
    };
    let opened = open_regular(path, Access::Read);
    match opened.and_then(|file| each_line(file, LONGEST_LINE, &mut note)) {
        Ok(()) => Ok(found.into()),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(Vec::new()),
        Err(error) => Err(error),
    }
}

/// No record is longer, in bytes.
const LONGEST_LINE: usize = 64 << 10;

fn record(line: &[u8]) -> Option<RunRecord> {
    serde_json::from_slice(line).ok().map(RunRecord::completed)
}

fn records(text: &[u8]) -> Vec<RunRecord> {
    text.split(|byte| *byte == b'\n').filter_map(record).collect()
}

#[cfg(test)]
mod tests;
