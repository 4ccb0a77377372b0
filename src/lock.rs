//! One run of a job at a time, on this host.
//!
//! The lock is an exclusive `flock` on a small file, which the kernel releases however the process ends: a file that is left behind blocks
//! nobody. Files stand in `/tmp`, whoever runs the job, so that cron's run and one by hand exclude each other, and are opened
//! without writing, so that one user's file serves another's run.

use crate::outcome::{Failure, Kind};
use anyhow::Result;
use fs2::FileExt;
use rustix::fs::{Mode, OFlags, open};
use rustix::io::Errno;
use std::fs::File;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// Held as long as it lives.
#[derive(Debug)]
pub struct Lock {
    _file: File,
}

/// Takes the lock of a job. `identity` is what tells one configuration from another: its file and its database.
///
/// # Errors
/// [`Kind::Locked`] where another run holds it, [`Kind::LockFailed`] where its file cannot be opened.
pub fn acquire(job: &str, identity: &str) -> Result<Lock> {
    acquire_in(Path::new("/tmp"), job, identity)
}

/// Whether a run of the job holds its lock now. It is read from the kernel's list: to try the lock would keep a run that begins at that moment from
/// having it. Where that list cannot be read, nobody is known to hold it.
pub fn is_held(job: &str, identity: &str) -> bool {
    is_held_in(Path::new("/tmp"), job, identity)
}

fn is_held_in(folder: &Path, job: &str, identity: &str) -> bool {
    let Ok(data) = std::fs::metadata(file_name(folder, job, identity)) else {
        return false;
    };
    // proc(5): `1: FLOCK  ADVISORY  WRITE 708 00:2c:1234 0 EOF`, device in hexadecimal, inode in decimal; `->` marks one that waits.
    let inode = format!(":{}", data.ino());
    let locks = std::fs::read_to_string("/proc/locks").unwrap_or_default();
    let mut fields = locks.lines().map(|line| line.split_whitespace().skip(1));
    fields.any(|mut line| {
        line.next() == Some("FLOCK") && line.nth(3).is_some_and(|file| file.ends_with(&inode))
    })
}

fn acquire_in(folder: &Path, job: &str, identity: &str) -> Result<Lock> {
    let path = file_name(folder, job, identity);
    let file = open_file(&path).map_err(|error| {
        Failure::new(
            Kind::LockFailed,
            format!("the lock file {} cannot be opened: {error}", path.display()),
        )
        .hint("--no-lock runs without it")
    })?;
    match FileExt::try_lock_exclusive(&file) {
        Ok(()) => Ok(Lock { _file: file }),
        Err(error) if error.kind() == fs2::lock_contended_error().kind() => Err(Failure::new(
            Kind::Locked,
            format!("another run of {job} with this configuration is under way; nothing was done"),
        )
        .hint(format!(
            "its lock is {}; --no-lock runs all the same",
            path.display()
        ))
        .into()),
        Err(error) => Err(Failure::new(
            Kind::LockFailed,
            format!("{} cannot be locked: {error}", path.display()),
        )
        .hint("--no-lock runs without it")
        .into()),
    }
}

fn file_name(folder: &Path, job: &str, identity: &str) -> PathBuf {
    let mut hasher = DefaultHasher::new();
    identity.hash(&mut hasher);
    folder.join(format!("taskmon-{job}-{:016x}.lock", hasher.finish()))
}

/// Opens the file, or makes it. In a folder that all may write to, a symbolic link is nobody's lock, and the kernel may
/// refuse to "create" another user's file that is there: so it is opened first, made second. A pipe that somebody has put there is not waited for.
fn open_file(path: &Path) -> Result<File, Errno> {
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let readable = Mode::RUSR | Mode::WUSR | Mode::RGRP | Mode::ROTH;
    let opened = match open(path, flags, Mode::empty()) {
        Err(Errno::NOENT) => match open(path, flags | OFlags::CREATE | OFlags::EXCL, readable) {
            Err(Errno::EXIST) => open(path, flags, Mode::empty()),
            made => made,
        },
        opened => opened,
    };
    opened.map(File::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kind(error: &anyhow::Error) -> Kind {
        Failure::of(error).kind
    }

    #[test]
    fn a_pipe_in_the_place_of_the_file_holds_nobody_up() {
        let folder = tempfile::tempdir().unwrap();
        let path = file_name(folder.path(), "stats", "x");
        let made = std::process::Command::new("mkfifo").arg(path).status();
        assert!(made.unwrap().success());
        let _held = acquire_in(folder.path(), "stats", "x").unwrap();
        let second = acquire_in(folder.path(), "stats", "x").unwrap_err();
        assert_eq!(kind(&second), Kind::Locked);
    }

    #[test]
    fn a_second_run_finds_the_lock_held_and_a_later_one_finds_it_free() {
        let folder = tempfile::tempdir().unwrap();
        let held = acquire_in(folder.path(), "stats", "a").unwrap();
        let refused = acquire_in(folder.path(), "stats", "a").unwrap_err();
        assert_eq!(kind(&refused), Kind::Locked);
        drop(held);
        acquire_in(folder.path(), "stats", "a").unwrap();
    }

    #[test]
    fn whether_it_is_held_is_known_without_touching_it() {
        let folder = tempfile::tempdir().unwrap();
        assert!(!is_held_in(folder.path(), "stats", "a"));
        let held = acquire_in(folder.path(), "stats", "a").unwrap();
        assert!(is_held_in(folder.path(), "stats", "a"));
        assert!(!is_held_in(folder.path(), "stats", "b"));
        drop(held);
        assert!(!is_held_in(folder.path(), "stats", "a"));
    }

    #[test]
    fn other_jobs_and_other_configurations_do_not_wait() {
        let folder = tempfile::tempdir().unwrap();
        let _held = acquire_in(folder.path(), "stats", "a").unwrap();
        acquire_in(folder.path(), "disk", "a").unwrap();
        acquire_in(folder.path(), "stats", "b").unwrap();
    }

    #[test]
    fn a_symbolic_link_in_its_place_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = file_name(folder.path(), "stats", "a");
        std::os::unix::fs::symlink("/etc/passwd", path).unwrap();
        let refused = acquire_in(folder.path(), "stats", "a").unwrap_err();
        assert_eq!(kind(&refused), Kind::LockFailed);
    }
}
