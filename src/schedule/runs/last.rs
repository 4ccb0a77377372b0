//! The last run of each job that went well, in a file of its own: the records keep the last 10,000 runs, among which those of a rare job are soon none, and
//! logrotate takes them away.

use super::append::open_locked;
use super::{RunRecord, path};
use crate::files::{NewFile, SHARED, read_regular};
use crate::folder::Folder;
use std::cmp::Reverse;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

/// Runs by hand, each with other arguments, would else be kept for ever.
const KEPT: usize = 200;

/// Its dot keeps it from patterns such as `*.jsonl`.
fn file(logs_dir: &Path) -> PathBuf {
    logs_dir.join(".taskmon_last_runs.json")
}

/// The last successful run of each job on each host; none where there is no file yet.
///
/// # Errors
/// The file cannot be read, or holds something else.
pub fn read(logs_dir: &Path) -> io::Result<Vec<RunRecord>> {
    match read_regular(&file(logs_dir)) {
        Ok(text) => Ok(serde_json::from_str(&text)?),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(Vec::new()),
        Err(error) => Err(error),
    }
}

/// Puts a successful run in the place of the one before it.
///
/// # Errors
/// The file cannot be written. One that cannot be read is made anew.
pub fn remember(logs_dir: &Path, record: &RunRecord) -> io::Result<()> {
    Folder::make(logs_dir)?;
    // Whoever records a run waits for this lock as well.
    let _turn = open_locked(&path(logs_dir))?;
    let mut runs = read(logs_dir).unwrap_or_else(|error| {
        log::warn!("{} cannot be read and is made anew: {error}", file(logs_dir).display());
        Vec::new()
    });
    runs.retain(|run| run.host != record.host || run.arguments != record.arguments);
    runs.push(record.clone());
    runs.sort_by_key(|run| Reverse(run.end));
    runs.truncate(KEPT);
    NewFile::create(&file(logs_dir), SHARED)?.publish(&serde_json::to_vec(&runs)?)
}
