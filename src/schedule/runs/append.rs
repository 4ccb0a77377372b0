//! Appending a record.
//!
//! A line is appended by one write to a file that is open for appending and locked, so that runs which end at the same time do not mix their lines.
//! Where the file has more than [`KEPT`] lines, its last ones are written aside and renamed over it, under the same lock; whoever waited
//! for the lock then sees that the name leads to another file and opens that one.

use super::{LONGEST_LINE, RunRecord, path};
use crate::files::{Access, NewFile, each_line, locked, open_regular};
use crate::folder::Folder;
use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, ErrorKind, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::Duration;

/// The file keeps this many of its last lines.
pub const KEPT: usize = 10_000;

/// No record is shorter, so that lines are only counted once the file is larger than this times [`KEPT`].
pub(super) const SHORTEST_LINE: u64 = 50;

/// How long a record waits for others to be written.
const LOCK_TIMEOUT: Duration = Duration::from_secs(5);

/// Appends a record, and makes the folder if there is none.
///
/// # Errors
/// The folder or the file cannot be written, or others hold its lock for too long.
pub fn append(logs_dir: &Path, record: &RunRecord) -> io::Result<()> {
    Folder::make(logs_dir)?;
    append_and_trim(&path(logs_dir), record, KEPT)
}

pub(super) fn append_and_trim(path: &Path, record: &RunRecord, kept: usize) -> io::Result<()> {
    let mut line = serde_json::to_string(record)?;
    line.push('\n');
    let mut file = open_locked(path)?;
    if !ends_with_newline(&mut file)? {
        line.insert(0, '\n');
    }
    file.write_all(line.as_bytes())?;
    if file.metadata()?.len() > kept as u64 * SHORTEST_LINE {
        trim(path, &mut file, kept)
    } else {
        Ok(())
    }
}

/// The file that the name leads to, locked: it may have been trimmed, or rotated by another program, while this run waited for the lock.
pub(in crate::schedule) fn open_locked(path: &Path) -> io::Result<File> {
    let open = |path: &Path| open_regular(path, Access::Append);
    let busy = || io::Error::new(ErrorKind::TimedOut, "another program holds its lock");
    locked(path, LOCK_TIMEOUT, open)?.ok_or_else(busy)
}

fn ends_with_newline(file: &mut File) -> io::Result<bool> {
    if file.metadata()?.len() == 0 {
        return Ok(true);
    }
    let mut last = [0];
    file.seek(SeekFrom::End(-1))?;
    file.read_exact(&mut last)?;
    Ok(last == *b"\n")
}

/// Leaves the last `kept` lines. The file is locked.
pub(super) fn trim(path: &Path, file: &mut File, kept: usize) -> io::Result<()> {
    let (mut lines, mut total) = (VecDeque::new(), 0);
    let mut note = |line: Option<&[u8]>| {
        total += 1;
        // One that is too long is no record.
        lines.extend(line.map(|line| [line, b"\n"].concat()));
        if lines.len() > kept {
            lines.pop_front();
        }
    };
    file.seek(SeekFrom::Start(0))?;
    each_line(&mut *file, LONGEST_LINE, &mut note)?;
    if total <= kept && total == lines.len() {
        return Ok(());
    }
    let mode = file.metadata()?.permissions().mode();
    NewFile::create(path, mode)?.publish(&Vec::from(lines).concat())
}
