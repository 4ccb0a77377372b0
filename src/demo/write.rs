//! Writes the sandbox's files: nothing is overwritten, no link is followed.

use super::plan::FilePlan;
use crate::outcome::{Failure, Kind};
use anyhow::Result;
use chrono::{DateTime, Utc};
use indicatif::ProgressBar;
use std::collections::HashSet;
use std::fmt::Display;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::Path;
use std::time::SystemTime;

/// Writes files that must not exist, and their folders; gives back how many bytes they hold.
pub(super) fn write_all(dir: &Path, files: &[FilePlan], progress: &ProgressBar) -> Result<u64> {
    let mut made = HashSet::new();
    let mut bytes = 0;
    for file in files {
        let path = dir.join(&file.path);
        if let Some(folder) = path.parent()
            && made.insert(folder.to_path_buf())
        {
            fs::create_dir_all(folder).map_err(|cause| cannot_write(folder, cause))?;
        }
        let content = file.content.bytes();
        write_new(&path, &content, Some(file.modified))
            .map_err(|cause| cannot_write(&path, cause))?;
        bytes += content.len() as u64;
        progress.inc(1);
    }
    Ok(bytes)
}

/// Writes a text that must not exist.
pub(super) fn write_text(path: &Path, text: &str) -> Result<()> {
    write_new(path, text.as_bytes(), None).map_err(|cause| cannot_write(path, cause).into())
}

/// `create_new`: an existing file is never overwritten, a link never followed.
fn write_new(path: &Path, content: &[u8], modified: Option<DateTime<Utc>>) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).create_new(true).open(path)?;
    file.write_all(content)?;
    modified.map_or(Ok(()), |time| file.set_modified(SystemTime::from(time)))
}

/// Gives folders the time of change that they claim, once everything is in them.
pub(super) fn age_folders(dir: &Path, folders: &[(String, DateTime<Utc>)]) -> Result<()> {
    for (folder, time) in folders {
        let path = dir.join(folder);
        File::open(&path)
            .and_then(|folder| folder.set_modified(SystemTime::from(*time)))
            .map_err(|cause| cannot_write(&path, cause))?;
    }
    Ok(())
}

/// The failure to write one thing of the sandbox.
pub(super) fn cannot_write(path: &Path, cause: impl Display) -> Failure {
    Failure::new(Kind::OutputFailed, format!("cannot write {}: {cause}", path.display()))
        .hint("choose a folder that you may write to and that has room: taskmon demo DIR")
}
