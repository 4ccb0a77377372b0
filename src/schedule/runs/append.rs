//! Appending a record.
//!
//! A line is appended by one write to a file that is open for appending and locked, so that runs which end at the same time do not mix their lines.
//! Where the file has more than [`KEPT`] lines, its last ones are written aside and renamed over it, under the same lock; whoever waited
//! for the lock then sees that the name leads to another file and opens that one.
//!
//! A disk that is full or read-only takes no record, and a job whose runs are not recorded would be taken for missed. So they are kept in a folder of the
//! user's own until the file can be written to again.

use super::{LONGEST_LINE, RunRecord, path, read_kept};
use crate::files::{Access, NewFile, each_line, locked, open_regular};
use crate::folder::{Folder, make_own, own_folders};
use std::collections::VecDeque;
use std::fs::File;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::{self, ErrorKind, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// The file keeps this many of its last lines.
pub const KEPT: usize = 10_000;

/// No record is shorter, so that lines are only counted once the file is larger than this times [`KEPT`].
pub(super) const SHORTEST_LINE: u64 = 50;

/// How long a record waits for others to be written.
const LOCK_TIMEOUT: Duration = Duration::from_secs(5);

/// Where a record was written to.
#[derive(Debug)]
pub enum Written {
    InPlace,
    /// In this file of the user's own, and why. `is_first`: no other is there.
    Elsewhere {
        path: PathBuf,
        why: io::Error,
        is_first: bool,
    },
}

/// Appends a record, and makes the folder if there is none. What is in the user's own folder comes back with it.
///
/// # Errors
/// Neither the file nor one of the user's own can be written, or others hold its lock for too long: the error of the first.
pub fn append(logs_dir: &Path, record: &RunRecord) -> io::Result<Written> {
    // Those that were before it come before it.
    let written = bring_back(logs_dir).and_then(|()| append_in(logs_dir, record));
    let Err(why) = written else {
        return Ok(Written::InPlace);
    };
    for folder in second_places(logs_dir) {
        let path = path(&folder);
        let is_first = !path.exists();
        let made = folder.parent().map_or(Ok(()), make_own).and_then(|()| make_own(&folder));
        if made.and_then(|()| append_in(&folder, record)).is_ok() {
            return Ok(Written::Elsewhere { path, why, is_first });
        }
    }
    Err(why)
}

fn append_in(logs_dir: &Path, record: &RunRecord) -> io::Result<()> {
    Folder::make(logs_dir)?;
    append_and_trim(&path(logs_dir), record, KEPT)
}

/// Appends what had no place there when it was written.
fn bring_back(logs_dir: &Path) -> io::Result<()> {
    let paths = second_places(logs_dir).into_iter().map(|folder| path(&folder));
    for path in paths.filter(|path| path.is_file()) {
        let records = read_kept(&path)?;
        records.iter().try_for_each(|record| append_in(logs_dir, record))?;
        if !records.is_empty() {
            std::fs::remove_file(path)?;
        }
    }
    Ok(())
}

/// The folders of the user's own that may hold records of this one.
pub(super) fn second_places(logs_dir: &Path) -> Vec<PathBuf> {
    let mut hasher = DefaultHasher::new();
    logs_dir.hash(&mut hasher);
    let name = format!("runs-{:016x}", hasher.finish());
    own_folders().into_iter().map(|folder| folder.join(&name)).collect()
}

pub(super) fn append_and_trim(path: &Path, record: &RunRecord, kept: usize) -> io::Result<()> {
    let mut line = serde_json::to_string(record)?;
    line.push('\n');
    let mut file = open_locked(path)?;
    if !ends_with_newline(&mut file)? {
        line.insert(0, '\n');
    }
    let before = file.metadata()?.len();
    file.write_all(line.as_bytes()).inspect_err(|_| {
        // Half a line would be a torn one; without the permission to cut it, it is one.
        let _ = file.set_len(before);
    })?;
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
