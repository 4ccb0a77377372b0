//! Which folder a sandbox may be made in, and what of it may be replaced.
//!
//! A marker file is the first thing that is written, so a sandbox whose making was interrupted is still known as one.
//! It is also what two runs on one folder lock, and it holds the text of the `taskmon.toml` that was written, which
//! shows later whether somebody changed that.

use super::write::cannot_write;
use crate::outcome::{Failure, Kind};
use anyhow::Result;
use fs2::FileExt;
use rustix::fs::OFlags;
use std::fs::{self, File, Metadata, OpenOptions};
use std::io::{self, ErrorKind, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use walkdir::WalkDir;

pub(super) const MARKER: &str = ".taskmon-demo";
pub(super) const CONFIG: &str = "taskmon.toml";
pub(super) const DATABASE: &str = "tasks.db";

/// What a sandbox consists of beside its marker: these names, and no others, are replaced.
const FILES: &[&str] = &[CONFIG, DATABASE, "tasks.db-journal", "tasks.db-wal", "tasks.db-shm"];
const FOLDERS: &[&str] = &["uploads", "static", "logs", "reports"];

/// The first line of a marker, by which it is known. It must not change from version to version.
const SENTENCE: &str =
    "This folder is a sandbox of `taskmon demo`, which may replace everything that it made here.\n";

/// What a person who finds the marker may want to know.
const PREAMBLE: &str = "本目录是 `taskmon demo` 的演示目录，其中由它生成的内容可能会被它替换。\n\
    Made here: tasks.db, taskmon.toml, uploads, static, logs, reports. Other files in this folder are left alone.\n\
    Below is taskmon.toml as it was written, to see whether it was changed since.\n";

/// The line above the configuration. It must not change from version to version.
const DIVIDER: &str = "----\n";

/// A folder that is ours to fill, locked until this is dropped.
#[derive(Debug)]
pub(super) struct Claim {
    dir: PathBuf,
    marker: File,
    /// `taskmon.toml` as the run before wrote it.
    earlier_config: Option<String>,
}

/// Takes a folder for a sandbox: a new or an empty one, or an earlier sandbox. Any other is left as it is.
pub(super) fn claim(dir: &Path) -> Result<Claim> {
    let dir = absolute(dir)?;
    create_if_missing(&dir)?;
    if !is_empty(&dir)? && !is_there(&dir.join(MARKER))? {
        return Err(refusal(&dir, "there is something else in it").into());
    }
    let mut marker = open_marker(&dir)?;
    lock(&marker, &dir)?;
    let text = read_marker(&mut marker, &dir)?;
    check_parts(&dir)?;
    Ok(Claim {
        earlier_config: text.split_once(DIVIDER).map(|(_, toml)| toml.to_string()),
        dir,
        marker,
    })
}

impl Claim {
    /// The folder, as an absolute path.
    pub(super) fn dir(&self) -> &Path {
        &self.dir
    }

    /// Renames a `taskmon.toml` that is not as it was written, and says to what. A backup that is there already stays.
    pub(super) fn keep_changed_config(&self) -> Result<Option<PathBuf>> {
        let path = self.dir.join(CONFIG);
        if !is_there(&path)? {
            return Ok(None);
        }
        let bytes = fs::read(&path).map_err(|cause| cannot_write(&path, cause))?;
        if Some(bytes.as_slice()) == self.earlier_config.as_deref().map(str::as_bytes) {
            return Ok(None);
        }
        let backup = self.free_backup_name()?;
        fs::rename(&path, &backup).map_err(|cause| cannot_write(&backup, cause))?;
        Ok(Some(backup))
    }

    fn free_backup_name(&self) -> Result<PathBuf> {
        let mut backup = self.dir.join("taskmon.toml.bak");
        let mut number = 1;
        while is_there(&backup)? {
            backup = self.dir.join(format!("taskmon.toml.bak.{number}"));
            number += 1;
        }
        Ok(backup)
    }

    /// Writes the marker, with the configuration that is about to be written.
    ///
    /// It is overwritten from the start and cut afterwards: its first line is there at every moment, also if the run
    /// is killed in the middle.
    pub(super) fn sign(&mut self, config: &str) -> Result<()> {
        let text = format!("{SENTENCE}{PREAMBLE}{DIVIDER}{config}");
        self.marker
            .seek(SeekFrom::Start(0))
            .and_then(|_| self.marker.write_all(text.as_bytes()))
            .and_then(|()| self.marker.set_len(text.len() as u64))
            .map_err(|cause| cannot_write(&self.dir.join(MARKER), cause).into())
    }

    /// Removes what an earlier run made. Links inside the folders are removed, not followed.
    pub(super) fn clear(&self) -> Result<()> {
        for name in FILES {
            self.remove(name, |path| fs::remove_file(path))?;
        }
        for name in FOLDERS {
            self.remove(name, |path| fs::remove_dir_all(path))?;
        }
        Ok(())
    }

    fn remove(&self, name: &str, how: impl Fn(&Path) -> io::Result<()>) -> Result<()> {
        let path = self.dir.join(name);
        match how(&path) {
            Err(cause) if cause.kind() != ErrorKind::NotFound => {
                Err(cannot_write(&path, cause).into())
            }
            _ => Ok(()),
        }
    }
}

/// The path from the root on, without a trailing slash: `link/` would name the folder behind the link.
fn absolute(dir: &Path) -> Result<PathBuf> {
    let path = std::path::absolute(dir).map_err(|cause| cannot_write(dir, cause))?;
    Ok(path.components().collect())
}

fn create_if_missing(dir: &Path) -> Result<()> {
    match look(dir)? {
        None => fs::create_dir_all(dir).map_err(|cause| cannot_write(dir, cause).into()),
        Some(found) if found.is_symlink() => Err(refusal(dir, "it is a symbolic link").into()),
        Some(found) if !found.is_dir() => Err(refusal(dir, "it is not a folder").into()),
        Some(_) => Ok(()),
    }
}

/// What is at a path, links not followed; `None`: nothing.
fn look(path: &Path) -> Result<Option<Metadata>> {
    match fs::symlink_metadata(path) {
        Ok(found) => Ok(Some(found)),
        Err(cause) if cause.kind() == ErrorKind::NotFound => Ok(None),
        Err(cause) => Err(cannot_write(path, cause).into()),
    }
}

fn is_there(path: &Path) -> Result<bool> {
    Ok(look(path)?.is_some())
}

fn is_empty(dir: &Path) -> Result<bool> {
    let mut entries = fs::read_dir(dir).map_err(|cause| cannot_write(dir, cause))?;
    Ok(entries.next().is_none())
}

/// Opens the marker or creates it. Never through a link, and without waiting for the other end of a pipe.
fn open_marker(dir: &Path) -> Result<File> {
    let path = dir.join(MARKER);
    if look(&path)?.is_some_and(|found| !found.is_file()) {
        return Err(refusal(dir, "its .taskmon-demo is not a regular file").into());
    }
    OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .custom_flags((OFlags::NOFOLLOW | OFlags::NONBLOCK).bits() as i32)
        .open(&path)
        .map_err(|cause| cannot_write(&path, cause).into())
}

fn lock(marker: &File, dir: &Path) -> Result<()> {
    let busy = fs2::lock_contended_error().raw_os_error();
    marker.try_lock_exclusive().map_err(|cause| {
        let path = dir.display();
        if cause.raw_os_error() == busy {
            Failure::new(Kind::Locked, format!("another taskmon demo is at work in {path}"))
                .hint("Wait until it is done, or choose another folder: taskmon demo DIR")
        } else {
            let marker = dir.join(MARKER);
            Failure::new(Kind::LockFailed, format!("cannot lock {}: {cause}", marker.display()))
                .hint("Choose a folder on a local file system: taskmon demo DIR")
        }
        .into()
    })
}

/// The marker's text, if it is one of ours. A run that was killed at its very start leaves the beginning of the
/// sentence in an otherwise empty folder.
fn read_marker(marker: &mut File, dir: &Path) -> Result<String> {
    let mut bytes = Vec::new();
    marker.read_to_end(&mut bytes).map_err(|cause| cannot_write(&dir.join(MARKER), cause))?;
    let text = String::from_utf8_lossy(&bytes).into_owned();
    if text.starts_with(SENTENCE) || (SENTENCE.starts_with(&text) && is_alone(dir)?) {
        return Ok(text);
    }
    Err(refusal(dir, "its .taskmon-demo was not written by taskmon").into())
}

/// Whether the marker is the only thing in the folder.
fn is_alone(dir: &Path) -> Result<bool> {
    let entries = fs::read_dir(dir).map_err(|cause| cannot_write(dir, cause))?;
    Ok(entries.count() == 1)
}

/// Refuses a sandbox in which something else has taken the place of one of its parts.
fn check_parts(dir: &Path) -> Result<()> {
    for name in FILES {
        if look(&dir.join(name))?.is_some_and(|found| !found.is_file()) {
            return Err(refusal(dir, &format!("its {name} is not a regular file")).into());
        }
    }
    for name in FOLDERS {
        let path = dir.join(name);
        match look(&path)? {
            None => {}
            Some(found) if !found.is_dir() => {
                return Err(refusal(dir, &format!("its {name} is not a folder")).into());
            }
            Some(_) => check_file_system(dir, &path)?,
        }
    }
    Ok(())
}

/// Refuses a folder with another file system mounted in it: what is on that was not made here.
fn check_file_system(dir: &Path, folder: &Path) -> Result<()> {
    let home = fs::symlink_metadata(dir).map_err(|cause| cannot_write(dir, cause))?.dev();
    for entry in WalkDir::new(folder) {
        let entry = entry.map_err(|cause| cannot_write(folder, cause))?;
        if entry.file_type().is_dir() {
            let found = entry.metadata().map_err(|cause| cannot_write(entry.path(), cause))?;
            if found.dev() != home {
                let why = format!("another file system is mounted on {}", entry.path().display());
                return Err(refusal(dir, &why).into());
            }
        }
    }
    Ok(())
}

fn refusal(dir: &Path, why: &str) -> Failure {
    Failure::new(
        Kind::NotASandbox,
        format!(
            "{} is not a sandbox of taskmon demo: {why}; nothing in it was touched",
            dir.display()
        ),
    )
    .hint("name a folder that does not exist yet or is empty: taskmon demo DIR")
}

#[cfg(test)]
mod tests;
