//! The two places of the records: their folder, and one of the user's own for as long as that takes none, because its disk is full or read-only.
//!
//! The second begins, as each day's file does, with everything that the first remembers, so that it alone counts while it is there. The next run that can
//! write to the first carries everything back and clears the second.

use super::{Past, Records, Reservation, Turn};
use crate::folder::{Folder, make_own, own_folders};
use crate::notify::memory::{Memory, Record, Sending};
use chrono::{DateTime, FixedOffset};
use fs2::FileExt;
use rustix::fs::{Mode, OFlags};
use std::ffi::OsStr;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::{self, ErrorKind};
use std::path::Path;
use std::time::Duration;

/// The records, wherever they are.
#[derive(Debug)]
pub struct Places {
    first: Records,
    /// Only one of them is ever used: the first that can be.
    seconds: Vec<Records>,
}

/// Where records were written to.
#[derive(Debug, PartialEq)]
pub enum Written {
    InPlace,
    /// In this user's own folder, and why. `is_news`: they were not there before.
    Elsewhere {
        warning: String,
        is_news: bool,
    },
}

/// Bytes that are kept on the disk of the records for the time when it is full: some hundred records.
const SPACE: u64 = 128 << 10;

/// The file that keeps them.
const SPACE_FILE: &str = ".taskmon-space";

impl Places {
    pub fn new(folder: &Path, host: &str) -> Self {
        let mut hasher = DefaultHasher::new();
        folder.hash(&mut hasher);
        let name = format!("alerts-{:016x}", hasher.finish());
        let seconds =
            own_folders().into_iter().map(|folder| Records::new(&folder.join(&name), host));
        Self { first: Records::new(folder, host), seconds: seconds.collect() }
    }

    /// Waits until no other run reads or writes.
    ///
    /// # Errors
    /// No lock can be had, or another run holds it for too long.
    pub fn turn(&self, patience: Duration) -> io::Result<Turn> {
        let mut taken = self.first.turn(patience);
        for second in &self.seconds {
            match &taken {
                Err(error) if error.kind() != ErrorKind::TimedOut => {
                    taken = second.made().and_then(|()| second.turn(patience)).or(taken);
                }
                _ => break,
            }
        }
        taken
    }

    /// What is remembered.
    ///
    /// # Errors
    /// As [`Records::read`].
    pub fn read(&self, now: DateTime<FixedOffset>, turn: Option<&Turn>) -> io::Result<Past> {
        let mut past = self.current().read(now)?;
        let seconds = self.seconds.iter().filter(|place| place.is_there());
        for place in [&self.first].into_iter().chain(seconds) {
            place.note_in_progress(&mut past.memory, turn)?;
        }
        Ok(past)
    }

    /// Appends records to what is remembered, which the file begins with if nothing has begun it. `None`: what is remembered cannot be read, and must not be
    /// replaced by nothing.
    ///
    /// # Errors
    /// Neither place takes them: the error of the first.
    pub fn append(
        &self,
        now: DateTime<FixedOffset>,
        memory: Option<&Memory>,
        records: &[Record],
    ) -> io::Result<Written> {
        let second = self.second();
        let begins = |place: &Records| !place.read(now).is_ok_and(|past| past.is_carried);
        let in_first = || {
            let carried = memory.filter(|_| second.is_some() || begins(&self.first));
            self.first.append(now, carried, records)
        };
        let written = in_first().or_else(|error| {
            // The space that was kept is for this moment.
            if self.first.release_space() { in_first() } else { Err(error) }
        });
        let Err(error) = written else {
            second.map_or(Ok(()), Records::clear)?;
            self.first.keep_space();
            return Ok(Written::InPlace);
        };
        for place in second.into_iter().chain(&self.seconds) {
            let carried = memory.filter(|_| begins(place));
            if place.made().and_then(|()| place.append(now, carried, records)).is_ok() {
                let warning = format!(
                    "the alerts' records in {} cannot be written ({error}); until they can, they are kept in {}",
                    self.first.folder.display(),
                    place.folder.display()
                );
                return Ok(Written::Elsewhere { warning, is_news: second.is_none() });
            }
        }
        Err(error)
    }

    /// Removes files of days that are longer ago.
    ///
    /// # Errors
    /// As [`Records::sweep`].
    pub fn sweep(&self, now: DateTime<FixedOffset>, days: u32) -> io::Result<()> {
        self.current().sweep(now, days)
    }

    /// Lets other runs know what this one is about to send.
    ///
    /// # Errors
    /// The file can be made in neither place: the error of the first.
    pub fn reserve(&self, sending: &[Sending]) -> io::Result<Reservation> {
        let mut reserved = self.first.reserve(sending);
        for second in &self.seconds {
            if reserved.is_ok() {
                break;
            }
            reserved = second.made().and_then(|()| second.reserve(sending)).or(reserved);
        }
        reserved
    }

    /// The one that counts.
    fn current(&self) -> &Records {
        self.second().unwrap_or(&self.first)
    }

    /// The second place, while records are there.
    fn second(&self) -> Option<&Records> {
        let has_records = |place: &&Records| {
            place.is_there() && place.names().is_ok_and(|names| !names.is_empty())
        };
        self.seconds.iter().find(has_records)
    }
}

impl Records {
    /// To ask this first takes one call where opening each folder on the way takes many: most runs find nothing.
    fn is_there(&self) -> bool {
        self.folder.is_dir()
    }

    /// Makes the folder in one of the user's own.
    fn made(&self) -> io::Result<()> {
        make_own(self.folder.parent().unwrap_or(&self.folder))?;
        make_own(&self.folder)
    }

    /// Removes all days.
    fn clear(&self) -> io::Result<()> {
        let folder = Folder::open(&self.folder)?;
        self.names()?.iter().try_for_each(|name| folder.remove(OsStr::new(name)))
    }

    /// Where there is none to keep, there is none to release.
    fn keep_space(&self) {
        let kept = Folder::open(&self.folder).and_then(|folder| {
            let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL;
            let mode = Mode::from_raw_mode(crate::files::SHARED);
            match folder.open_file(OsStr::new(SPACE_FILE), flags, mode) {
                Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(()),
                file => file?.allocate(SPACE),
            }
        });
        if let Err(error) = kept {
            log::info!("no space is kept in {}: {error}", self.folder.display());
            self.release_space();
        }
    }

    /// Whether there was any.
    fn release_space(&self) -> bool {
        Folder::open(&self.folder).and_then(|folder| folder.remove(OsStr::new(SPACE_FILE))).is_ok()
    }
}
