//! The records: a line of JSON for each alert and run, and what keeps two runs from sending the same notification.
//!
//! `alerts_YYYYMMDD.jsonl` (the day in the configured zone) has one JSON object a line. So that no run has to read further back
//! than the newest file, however long ago an alert that is firing was sent, the first run that writes into a day's file begins it
//! with one line `{"time", "carried": […]}`: everything that the files before it remember and that can still matter. If that line is
//! broken, the file before is read as well, and so on, and the next run carries anew.
//!
//! A line that a crash tore, or that is not a record, is skipped with a warning; what is appended then begins on a new line.
//!
//! Reading, deciding and reserving happen under an exclusive lock, and so does recording; sending, which may take minutes, happens
//! outside of it. What a run is about to send it writes into a file of its own, `.sending-…`, which it keeps locked until the
//! result is recorded: another run leaves that alone. The kernel releases the lock of a run that died, whose file is then void: at
//! worst a notification is repeated.

pub mod places;

use super::lines::append;
use super::memory::{Identity, Memory, Record, Remembered, Sending};
use crate::calendar::Shift;
use crate::files::{Access, SHARED, each_line, locked, open_lock, open_regular, read_whole};
use crate::folder::Folder;
use crate::rules::Origin;
use chrono::{DateTime, FixedOffset, TimeDelta};
use fs2::FileExt;
use rustix::fs::{Mode, OFlags};
use serde::{Deserialize, Serialize};
use std::ffi::OsString;
use std::fs::File;
use std::io::{self, ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// The first line of a day's file.
#[derive(Serialize, Deserialize)]
struct Carried {
    time: DateTime<FixedOffset>,
    carried: Vec<Remembered>,
}

/// What the records' folder says.
#[derive(Debug, Default)]
pub struct Past {
    pub memory: Memory,
    /// Whether the newest file, which is to be written to, has a line that carries what is before it.
    pub is_carried: bool,
    /// Lines that were skipped, a sentence for each file.
    pub warnings: Vec<String>,
}

/// The folder of the records.
#[derive(Debug, Clone)]
pub struct Records {
    folder: PathBuf,
    /// This host, which earlier versions took everything for.
    host: String,
}

/// Held while the records are read and written.
#[derive(Debug)]
pub struct Turn {
    _file: File,
}

/// What a run is about to send; void once it has died. Dropping it takes it back.
#[derive(Debug)]
pub struct Reservation {
    folder: Folder,
    name: OsString,
    _file: File,
}

impl Drop for Reservation {
    fn drop(&mut self) {
        // A file that stays is void all the same: nobody holds its lock, and the next run removes it.
        let _ = self.folder.remove(&self.name);
    }
}

/// How long a run waits for its turn. Turns take milliseconds.
pub const PATIENCE: Duration = Duration::from_secs(10);

impl Records {
    pub fn new(folder: &Path, host: &str) -> Self {
        Self { folder: folder.to_owned(), host: host.to_owned() }
    }

    /// Waits until no other run reads or writes.
    ///
    /// # Errors
    /// The folder or its lock cannot be made, or the patience is at its end.
    pub fn turn(&self, patience: Duration) -> io::Result<Turn> {
        Folder::make(&self.folder)?;
        let busy = || io::Error::new(ErrorKind::TimedOut, "another run holds their lock");
        let file = locked(&self.folder.join(".lock"), patience, open_lock)?.ok_or_else(busy)?;
        Ok(Turn { _file: file })
    }

    /// What the files remember. Reads the newest, and those before it as far as they are needed. Days to come are left out: a clock that was wrong
    /// wrote them, and they would hide today's for ever.
    ///
    /// # Errors
    /// The folder or a file cannot be read; a folder that is not there remembers nothing.
    pub fn read(&self, now: DateTime<FixedOffset>) -> io::Result<Past> {
        let today = file_name(now);
        let mut found = Past::default();
        let mut files = Vec::new();
        let names = self.names()?.into_iter();
        for name in names.filter(|name| *name <= today).rev() {
            let file = self.lines(&name)?;
            found.warnings.extend(file.warning.clone());
            let is_carried = file.lines.iter().any(Line::is_carried);
            found.is_carried |= is_carried && name == today;
            files.push(file);
            if is_carried {
                break;
            }
        }
        for line in files.into_iter().rev().flat_map(|file| file.lines) {
            match line {
                Line::Record(record) if record.origin == Origin::Test => {}
                Line::Record(record) => found.memory.note(&record),
                Line::Carried(carried) => {
                    let known = carried.carried.into_iter();
                    let known = known.map(|known| {
                        let host = known.host.as_deref().unwrap_or(&self.host);
                        (Identity::of(&known.alert, host), known)
                    });
                    found.memory = Memory(known.collect());
                }
            }
        }
        Ok(found)
    }

    /// Notes what other runs are about to send.
    ///
    /// `turn`, if it is this run's, lets it clear away what runs that died left behind.
    fn note_in_progress(&self, memory: &mut Memory, turn: Option<&Turn>) -> io::Result<()> {
        for sending in self.in_progress(turn)? {
            let known = memory.entry(&sending.alert, Origin::Send, &sending.host);
            let memory = known.channels.entry(sending.channel).or_default();
            memory.in_progress = memory.in_progress.max(Some(sending.alert.severity));
        }
        Ok(())
    }

    /// The files' names, oldest first.
    fn names(&self) -> io::Result<Vec<String>> {
        let names = match Folder::open(&self.folder) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
            folder => folder?.names()?,
        };
        let mut names: Vec<String> =
            names.into_iter().filter_map(|name| name.into_string().ok()).collect();
        names.retain(|name| {
            let day = name.strip_prefix("alerts_").and_then(|rest| rest.strip_suffix(".jsonl"));
            let is_day = |day: &str| day.len() == 8 && day.bytes().all(|b| b.is_ascii_digit());
            day.is_some_and(is_day)
        });
        names.sort();
        Ok(names)
    }

    fn lines(&self, name: &str) -> io::Result<Lines> {
        let path = self.folder.join(name);
        let (mut lines, mut broken, mut number) = (Vec::new(), Vec::new(), 0);
        let mut note = |line: Option<&[u8]>| {
            number += 1;
            match line.and_then(Line::read) {
                Some(line) => lines.push(line),
                None if line.is_some_and(<[u8]>::is_empty) => {}
                None => broken.push(number),
            }
        };
        each_line(open_regular(&path, Access::Read)?, LONGEST_LINE, &mut note)?;
        let warning = broken.first().map(|first: &usize| {
            format!(
                "{}: {} lines cannot be read and are passed over, the first is line {first}",
                path.display(),
                broken.len()
            )
        });
        Ok(Lines { lines, warning })
    }

    /// Begins the day's file with what the others remember, if it has not begun, and appends the records, a write for each line.
    ///
    /// # Errors
    /// The file cannot be written, or not be brought onto the disk.
    pub fn append(
        &self,
        now: DateTime<FixedOffset>,
        carried: Option<&Memory>,
        records: &[Record],
    ) -> io::Result<()> {
        let mut lines = Vec::new();
        if let Some(memory) = carried {
            lines.push(line_of(&Carried {
                time: now,
                carried: memory.0.values().cloned().collect(),
            })?);
        }
        for record in records {
            lines.push(line_of(record)?);
        }
        append(&self.folder.join(file_name(now)), &lines)
    }

    /// Removes the files of the days that are longer ago.
    ///
    /// # Errors
    /// The folder cannot be read, or a file not be removed.
    pub fn sweep(&self, now: DateTime<FixedOffset>, days: u32) -> io::Result<()> {
        let oldest = now.to_utc().minus(TimeDelta::days(days.into()));
        let oldest = file_name(oldest.with_timezone(now.offset()));
        let folder = Folder::open(&self.folder)?;
        let mut old = self.names()?.into_iter().filter(|name| *name < oldest);
        old.try_for_each(|name| folder.remove(&OsString::from(name)))
    }

    /// Lets other runs know what this one is about to send.
    ///
    /// # Errors
    /// The file cannot be made.
    pub fn reserve(&self, sending: &[Sending]) -> io::Result<Reservation> {
        let name = format!(".sending-{}-{:016x}", std::process::id(), fastrand::u64(..));
        let name = OsString::from(name);
        let folder = Folder::open(&self.folder)?;
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL;
        let mut file = folder.open_file(&name, flags, Mode::from_raw_mode(SHARED))?;
        FileExt::try_lock_exclusive(&file)?;
        let reservation = |file| Reservation { folder, name, _file: file };
        match file.write_all(line_of(&sending)?.as_bytes()) {
            Ok(()) => Ok(reservation(file)),
            Err(error) => {
                drop(reservation(file));
                Err(error)
            }
        }
    }

    /// What other runs that are alive are about to send.
    fn in_progress(&self, turn: Option<&Turn>) -> io::Result<Vec<Sending>> {
        let mut in_progress = Vec::new();
        let Ok(folder) = Folder::open(&self.folder) else {
            return Ok(in_progress);
        };
        for name in folder.names()? {
            if !name.to_string_lossy().starts_with(".sending-") {
                continue;
            }
            // It may be gone by now, belong to another user, or be a FIFO that somebody put there.
            let Ok(file) = open_regular(&self.folder.join(&name), Access::Read) else {
                continue;
            };
            match FileExt::try_lock_shared(&file) {
                Ok(()) if turn.is_some() => {
                    // One that stays is void all the same.
                    let _ = folder.remove(&name);
                }
                Ok(()) => {}
                Err(_) => {
                    let content = read_whole(file)?;
                    let sending = serde_json::from_slice::<Vec<Sending>>(&content);
                    in_progress.extend(sending.unwrap_or_default());
                }
            }
        }
        Ok(in_progress)
    }
}

/// No line is longer, in bytes, also that which carries what all the days before remember.
const LONGEST_LINE: usize = 8 << 20;

/// What can be read of a file.
struct Lines {
    lines: Vec<Line>,
    warning: Option<String>,
}

enum Line {
    Record(Box<Record>),
    Carried(Carried),
}

impl Line {
    fn read(line: &[u8]) -> Option<Self> {
        if let Ok(record) = serde_json::from_slice(line) {
            return Some(Line::Record(Box::new(record)));
        }
        serde_json::from_slice(line).ok().map(Line::Carried)
    }

    fn is_carried(&self) -> bool {
        matches!(self, Line::Carried(_))
    }
}

fn file_name(day: DateTime<FixedOffset>) -> String {
    format!("alerts_{}.jsonl", day.format("%Y%m%d"))
}

fn line_of(value: &impl Serialize) -> io::Result<String> {
    Ok(serde_json::to_string(value)? + "\n")
}

#[cfg(test)]
mod tests;
