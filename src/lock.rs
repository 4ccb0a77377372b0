//! One run of a job at a time, on this machine.
//!
//! The lock is an exclusive `flock` on a small file, which the kernel releases however the process ends: a file that is left behind blocks
//! nobody. Files are in the folder of the runs' records, where cron's run and one by hand find the same one, and in which no stranger can
//! put anything in their way as in `/tmp`. They are readable for others: a second user who runs the same configuration has the first one's file,
//! for a lock takes no right to write. A run takes its file away when it ends.
//!
//! The folder may be on a network mount, so names hold the machine: not by the host's name, which containers draw at random, but by the id of the
//! kernel's boot, which all containers of a machine share and no other machine has. A lock lives no longer than that.
//!
//! Where that folder cannot be written to, a folder of the user's own takes its place: always the same one, since cron's environment is
//! another than that of a shell.

use crate::files::{Access, is_still, locked, open_lock, open_regular};
use crate::folder::{Folder, make_own, own_folders};
use crate::host;
use crate::outcome::{Failure, Kind};
use anyhow::Result;
use chrono::{DateTime, Utc};
use fs2::FileExt;
use std::fs::File;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::{self, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Held as long as it lives.
#[derive(Debug)]
pub struct Lock {
    file: File,
    path: PathBuf,
    /// That it does not stand where it should, and which runs do not heed it.
    pub warning: Option<String>,
}

impl Drop for Lock {
    /// Takes the file away before the lock is given back: whoever waits for it finds that it is gone, and makes another.
    fn drop(&mut self) {
        // One that stays, as another user's does where only its owner may remove it, blocks nobody.
        let _ = remove(&self.path, &self.file);
    }
}

/// A glob of the files' names, for whoever clears folders: with the file gone, a second run would find another one.
pub const FILES: &str = "**/.taskmon-*.lock";

/// What is locked: a job with a configuration.
#[derive(Debug, Clone, Copy)]
pub struct Subject<'a> {
    /// The folder for the lock's file; `None`: the user's own.
    pub folder: Option<&'a Path>,
    pub name: &'a str,
    /// What identifies a configuration: its file and its database.
    pub identity: &'a str,
}

/// Takes the lock of a job; waits for another run that holds it no longer than `patience`.
///
/// # Errors
/// [`Kind::Locked`] where another run holds it, [`Kind::LockFailed`] where there is no place for its file.
pub fn acquire(subject: &Subject, patience: Duration) -> Result<Lock> {
    acquire_in(subject, patience, &own_folders())
}

/// Since when a run of the job holds its lock, `None` if none does. It is read from the kernel's list: to try the lock would keep a run that begins at that moment from
/// having it. Where that list cannot be read, nobody is known to hold it.
pub fn held_since(subject: &Subject) -> Option<DateTime<Utc>> {
    let private = own_folders();
    let folders = subject.folder.into_iter().chain(private.iter().map(PathBuf::as_path));
    let locks = std::fs::read_to_string("/proc/locks").unwrap_or_default();
    let mut files = folders.map(|folder| folder.join(file_name(subject)));
    let held = files.find(|file| is_listed(file, &locks))?;
    std::fs::metadata(held).and_then(|data| data.modified()).map(DateTime::from).ok()
}

/// A file that a killed run left behind has the time of that run: whatever is written gives it that of now.
fn note_start(mut file: &File) {
    if let Err(error) = file.write_all(b"\n") {
        log::info!("the lock's file keeps its time: {error}");
    }
}

/// Removes the file of a lock that this process holds.
fn remove(path: &Path, file: &File) -> io::Result<()> {
    let name = path.file_name().filter(|_| is_still(path, file).unwrap_or(false));
    name.map_or(Ok(()), |name| Folder::above(path)?.remove(name))
}

/// How old the file of a run that was killed is before it goes.
const KEPT: Duration = Duration::from_secs(7 * 24 * 3600);

/// Removes the files of runs that were killed, on machines and in containers that may not be there any more. What cannot be removed blocks nobody.
pub fn sweep(folder: &Path) {
    let names = Folder::open(folder).and_then(|folder| folder.names()).unwrap_or_default();
    let is_lock = |name: &str| name.starts_with(".taskmon-") && name.ends_with(".lock");
    for name in names.iter().filter(|name| name.to_str().is_some_and(is_lock)) {
        let path = folder.join(name);
        if let Err(error) = remove_old(&path) {
            log::info!("the lock file {} stays: {error}", path.display());
        }
    }
}

fn remove_old(path: &Path) -> io::Result<()> {
    let file = open_regular(path, Access::Read)?;
    let age = file.metadata()?.modified()?.elapsed().unwrap_or_default();
    let is_void = age >= KEPT && FileExt::try_lock_exclusive(&file).is_ok();
    if is_void { remove(path, &file) } else { Ok(()) }
}

fn is_listed(file: &Path, locks: &str) -> bool {
    let Ok(data) = std::fs::symlink_metadata(file) else {
        return false;
    };
    // proc(5): `1: FLOCK  ADVISORY  WRITE 708 00:2c:1234 0 EOF`, device in hexadecimal, inode in decimal; `->` marks one that waits.
    let inode = format!(":{}", data.ino());
    let mut fields = locks.lines().map(|line| line.split_whitespace().skip(1));
    fields.any(|mut line| {
        line.next() == Some("FLOCK") && line.nth(3).is_some_and(|file| file.ends_with(&inode))
    })
}

fn acquire_in(subject: &Subject, patience: Duration, private: &[PathBuf]) -> Result<Lock> {
    let mut why = None;
    if let Some(folder) = subject.folder {
        let path = folder.join(file_name(subject));
        let taken = Folder::make(folder).and_then(|_| locked(&path, patience, open_lock));
        match taken {
            Ok(Some(file)) => {
                note_start(&file);
                return Ok(Lock { file, path, warning: None });
            }
            Ok(None) => return Err(held(subject, &path).into()),
            Err(error) => why = Some(format!("{} cannot be locked: {error}", path.display())),
        }
    }
    let mut refused = Vec::new();
    for folder in private {
        let path = folder.join(file_name(subject));
        match make_own(folder).and_then(|()| locked(&path, patience, open_lock)) {
            Ok(Some(file)) => {
                let warning = why.map(|why| {
                    format!(
                        "{why}; the lock is {} instead, which other users' runs do not heed",
                        path.display()
                    )
                });
                note_start(&file);
                return Ok(Lock { file, path, warning });
            }
            Ok(None) => return Err(held(subject, &path).into()),
            Err(error) => refused.push(format!("{}: {error}", folder.display())),
        }
    }
    let all: Vec<String> = why.into_iter().chain(refused).collect();
    Err(Failure::new(
        Kind::LockFailed,
        format!("there is no place for the lock: {}", all.join("; ")),
    )
    .hint("the user who runs the job has to be able to write to alerts.logs_dir; --no-lock runs without a lock")
    .into())
}

fn held(subject: &Subject, path: &Path) -> Failure {
    let name = subject.name;
    Failure::new(
        Kind::Locked,
        format!("another run of {name} with this configuration is under way; nothing was done"),
    )
    .hint(format!(
        "its lock is {}; --wait SECONDS waits longer, --no-lock runs all the same",
        path.display()
    ))
}

fn file_name(subject: &Subject) -> String {
    let mut hasher = DefaultHasher::new();
    subject.identity.hash(&mut hasher);
    machine().hash(&mut hasher);
    format!(".taskmon-{}-{:016x}.lock", subject.name, hasher.finish())
}

/// What this machine is called by all that runs on it until it starts anew; without `/proc`, the host's name.
fn machine() -> String {
    std::fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_else(|_| host::name())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn job<'a>(folder: Option<&'a Path>, name: &'a str, identity: &'a str) -> Subject<'a> {
        Subject { folder, name, identity }
    }

    fn kind(error: &anyhow::Error) -> Kind {
        Failure::of(error).kind
    }

    /// Takes a lock in a folder alone.
    fn acquire_there(folder: &Path, name: &str, identity: &str) -> Result<Lock> {
        acquire_in(&job(Some(folder), name, identity), Duration::ZERO, &[])
    }

    #[test]
    fn a_pipe_or_device_in_its_place_blocks_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let logs = folder.path().join("logs");
        let private = [folder.path().join("private")];
        std::fs::create_dir(&logs).unwrap();
        let stats = job(Some(&logs), "stats", "x");
        let path = logs.join(file_name(&stats));
        let made = std::process::Command::new("mkfifo").arg(&path).status();
        assert!(made.unwrap().success());
        let held = acquire_in(&stats, Duration::ZERO, &private).unwrap();
        let warning = held.warning.as_ref().unwrap();
        for part in [&path, &private[0]] {
            let part = part.display().to_string();
            assert!(warning.contains(&part), "{part} in {warning}");
        }
        let second = acquire_in(&stats, Duration::ZERO, &private).unwrap_err();
        assert_eq!(kind(&second), Kind::Locked);
        drop(held);
        std::fs::remove_file(&path).unwrap();
        std::os::unix::fs::symlink("/etc/passwd", &path).unwrap();
        assert!(acquire_in(&stats, Duration::ZERO, &private).unwrap().warning.is_some());
        assert_eq!(kind(&acquire_in(&stats, Duration::ZERO, &[]).unwrap_err()), Kind::LockFailed);
    }

    #[test]
    fn a_second_run_finds_the_lock_held_and_a_later_one_finds_it_free() {
        let folder = tempfile::tempdir().unwrap();
        let held = acquire_there(folder.path(), "stats", "a").unwrap();
        assert_eq!(held.warning, None);
        let refused = acquire_there(folder.path(), "stats", "a").unwrap_err();
        assert_eq!(kind(&refused), Kind::Locked);
        drop(held);
        acquire_there(folder.path(), "stats", "a").unwrap();
    }

    #[test]
    fn whether_a_lock_is_held_is_known_without_touching_it() {
        let folder = tempfile::tempdir().unwrap();
        let is_held = |identity| held_since(&job(Some(folder.path()), "stats", identity)).is_some();
        assert!(!is_held("a"));
        let held = acquire_there(folder.path(), "stats", "a").unwrap();
        assert!(is_held("a"));
        assert!(!is_held("b"));
        drop(held);
        assert!(!is_held("a"));
    }

    #[test]
    fn other_jobs_and_other_configurations_do_not_wait() {
        let folder = tempfile::tempdir().unwrap();
        let _held = acquire_there(folder.path(), "stats", "a").unwrap();
        acquire_there(folder.path(), "disk", "a").unwrap();
        acquire_there(folder.path(), "stats", "b").unwrap();
    }

    #[test]
    fn a_folder_that_others_may_enter_is_not_the_users_own() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().unwrap();
        let private = folder.path().join("private");
        make_own(&private).unwrap();
        make_own(&private).unwrap();
        std::fs::set_permissions(&private, std::fs::Permissions::from_mode(0o770)).unwrap();
        assert!(make_own(&private).is_err());
        std::os::unix::fs::symlink(&private, folder.path().join("link")).unwrap();
        assert!(make_own(&folder.path().join("link")).is_err());
    }

    #[test]
    fn no_pattern_of_logs_fits_the_files_name() {
        let name = file_name(&job(None, "stats", "a"));
        assert!(!name.contains(".log"), "{name}");
        assert_eq!(name.matches('.').count(), 2, "{name}");
    }
}
