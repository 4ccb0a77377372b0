//! Files that some process is at work on: open for writing, mapped for writing, or locked. However quiet they were, they stay.
//!
//! `/proc` is read when a file is first about to go, once a run: of other users' processes only root sees the open files, and nobody those of
//! another host or of a container that shares the file system.

use rustix::fs::{AtFlags, CWD, FileType, StatxFlags, statx};
use std::collections::HashSet;
use std::fs::{DirEntry, read_dir, read_to_string};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::OnceLock;

/// Device and inode.
type FileId = (u64, u64);

#[derive(Default)]
pub struct InUse {
    locked: OnceLock<HashSet<FileId>>,
    /// `None`: `/proc` shows no process.
    open: OnceLock<Option<HashSet<FileId>>>,
}

impl InUse {
    /// Whether somebody works on a file, or holds a lock on it.
    pub fn contains(&self, file: FileId) -> bool {
        let open = || self.open.get_or_init(files_of_processes).as_ref();
        self.is_locked(file) || open().is_some_and(|open| open.contains(&file))
    }

    /// Whether files went without anybody having seen if they are in use.
    pub fn is_unknown(&self) -> bool {
        self.open.get().is_some_and(Option::is_none)
    }

    /// Whether somebody holds a lock on a file or a folder. A lease is none: its holder gives way to others.
    pub fn is_locked(&self, file: FileId) -> bool {
        let locks = || read_to_string("/proc/locks").unwrap_or_default();
        self.locked
            .get_or_init(|| locks().lines().filter_map(locked_file).collect())
            .contains(&file)
    }
}

/// What a line of `/proc/locks` is about, as in proc(5): `1: FLOCK  ADVISORY  WRITE 708 00:2c:1234 0 EOF`, the device in hexadecimal, the
/// inode in decimal; `->` before the kind marks one that waits.
fn locked_file(line: &str) -> Option<FileId> {
    let mut words = line.split_whitespace().skip(1).skip_while(|word| *word == "->");
    if !["FLOCK", "POSIX", "OFDLCK"].contains(&words.next()?) {
        return None;
    }
    let [major, minor, inode] = words.nth(3)?.splitn(3, ':').collect::<Vec<_>>().try_into().ok()?;
    Some((device(major, minor)?, inode.parse().ok()?))
}

fn device(major: &str, minor: &str) -> Option<u64> {
    let number = |text| u64::from_str_radix(text, 16).ok();
    Some(number(major)? << 32 | number(minor)?)
}

/// The files that are open for writing, mapped for writing or, where a file system shows another device in `/proc/locks` than in a file's
/// status (btrfs, overlayfs), locked.
fn files_of_processes() -> Option<HashSet<FileId>> {
    let is_process =
        |entry: &DirEntry| entry.file_name().as_encoded_bytes().iter().all(u8::is_ascii_digit);
    let entries = read_dir("/proc").into_iter().flatten().flatten();
    let mut processes = entries.filter(is_process).map(|entry| entry.path()).peekable();
    processes.peek()?;
    Some(
        processes
            .flat_map(|process| [open_files(&process), mapped_files(&process)])
            .flatten()
            .collect(),
    )
}

fn open_files(process: &Path) -> Vec<FileId> {
    let open = read_dir(process.join("fd")).into_iter().flatten().flatten();
    let used = open.filter_map(|entry| {
        let path = entry.path();
        // proc(5): the link's own rights say how the file was opened.
        let may_write = entry.metadata().ok()?.permissions().mode() & 0o200 != 0;
        let file = regular_file(&path)?;
        let is_locked = || {
            let info = read_to_string(process.join("fdinfo").join(entry.file_name()));
            let info = info.unwrap_or_default();
            info.lines()
                .filter_map(|line| line.strip_prefix("lock:"))
                .any(|lock| locked_file(lock).is_some())
        };
        (may_write || is_locked()).then_some(file)
    });
    used.collect()
}

/// Files that a process has mapped so that it writes to them; it may have closed them since.
fn mapped_files(process: &Path) -> Vec<FileId> {
    let maps = read_to_string(process.join("maps")).unwrap_or_default();
    let mapped = maps.lines().filter_map(|line| {
        let mut words = line.split_whitespace();
        let (range, rights) = (words.next()?, words.next()?);
        let is_written = rights.contains('w') && rights.ends_with('s');
        let (major, minor) = is_written.then(|| words.nth(1))??.split_once(':')?;
        let inode = words.next()?.parse().ok().filter(|inode| *inode != 0)?;
        // Only root may look behind a mapping.
        regular_file(&process.join("map_files").join(range))
            .or(Some((device(major, minor)?, inode)))
    });
    mapped.collect()
}

/// The regular file behind a link of `/proc`; a file server that does not answer is not waited for.
fn regular_file(link: &Path) -> Option<FileId> {
    let found =
        statx(CWD, link, AtFlags::STATX_DONT_SYNC, StatxFlags::TYPE | StatxFlags::INO).ok()?;
    let major = u64::from(found.stx_dev_major);
    let is_regular = FileType::from_raw_mode(found.stx_mode.into()) == FileType::RegularFile;
    is_regular.then_some((major << 32 | u64::from(found.stx_dev_minor), found.stx_ino))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lock_is_of_a_device_and_an_inode_and_a_lease_is_none() {
        for (line, file) in [
            ("1: FLOCK  ADVISORY  WRITE 708 00:2c:1234 0 EOF", Some((0x2c, 1234))),
            ("12: POSIX  ADVISORY  READ  708 103:02:99 0 EOF", Some((0x103 << 32 | 2, 99))),
            ("3: OFDLCK ADVISORY  WRITE -1 08:01:7 100 199", Some((8 << 32 | 1, 7))),
            ("3: -> FLOCK  ADVISORY  WRITE 709 08:01:7 0 EOF", Some((8 << 32 | 1, 7))),
            ("4: LEASE  ACTIVE    READ  710 08:01:8 0 EOF", None),
            ("5: DELEG  ACTIVE    READ  711 08:01:9 0 EOF", None),
            ("6: POSIX  ADVISORY  WRITE 712 <none>:0 0 EOF", None),
            ("", None),
        ] {
            assert_eq!(locked_file(line), file, "{line}");
        }
    }
}
