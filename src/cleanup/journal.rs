//! What a run is about to do, on the disk before it does it.
//!
//! A row is deleted before its files, so that it never stays without them. That these follow although the run may be killed, its connection
//! lost or the power cut is the journal's work: the rows of a batch and their files are in it before the database is asked to delete the rows,
//! and a journal whose run is no more is finished by the next one. The kernel's lock says whether a run is: it is released however that ends.
//!
//! It is in a storage root, which every host and container that cleans up has. Where none takes it, as on a full disk, it is with
//! the records of runs or in a folder of the user's own.

use crate::files::GROUP_MAY_READ;
use crate::folder::{self, Folder, is_trusted};
use crate::outcome::{Failure, Kind};
use crate::printable::escaped;
use crate::store::prune::{Key, Mode, Pruned};
use fs2::FileExt;
use ring::rand::{SecureRandom, SystemRandom};
use rustix::fs::{Mode as Rights, OFlags};
use serde::{Deserialize, Serialize};
use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::{self, BufRead, BufReader, ErrorKind, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

/// What names of journals start with.
const PREFIX: &str = ".taskmon-intent-";

/// A glob of the files' names, for whoever clears folders.
pub const FILES: &str = "**/.taskmon-intent-*";

/// How often a lock is tried that another run holds while it looks into the file.
const TRIES: u32 = 200;

/// The first line: whose rows these are.
#[derive(Debug, Serialize, Deserialize)]
struct Header {
    database: String,
}

/// A file, and what it was when it was examined: what has taken its place since is not removed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct IntendedFile {
    /// As its row writes it.
    pub path: String,
    pub inode: u64,
    /// Microseconds since 1970.
    pub modified: i64,
}

/// A row, and its files. Without a key it is known to be gone.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct IntendedRow {
    pub key: Key,
    pub files: Vec<IntendedFile>,
}

/// A line: rows that are deleted together.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Intent {
    pub from: Pruned,
    pub rows: Vec<IntendedRow>,
}

/// Where journals are.
#[derive(Debug, Clone, Default)]
pub struct Places {
    /// Folders that are there, in the order in which they are tried.
    pub folders: Vec<PathBuf>,
    /// The user's own, which are made where they are wanted.
    pub own: Vec<PathBuf>,
}

impl Places {
    fn all(&self) -> impl Iterator<Item = &PathBuf> {
        self.folders.iter().chain(&self.own)
    }

    fn open(&self, place: &Path) -> io::Result<Folder> {
        if self.own.iter().any(|folder| folder == place) {
            folder::make_own(place)?;
        }
        Folder::open(place)
    }
}

/// The journal of a run, made when it is first written to.
pub struct Journal {
    places: Places,
    database: String,
    open: Option<Open>,
    /// Those that took no more: a line may be half written, and so nothing follows it.
    full: Vec<Open>,
}

/// A journal that is locked.
struct Open {
    folder: Folder,
    name: OsString,
    file: File,
}

/// A journal whose run is no more.
pub struct Leftover {
    open: Open,
    pub intents: Vec<Intent>,
}

impl Journal {
    /// `database`: what identifies it. Several configurations may share a storage root.
    pub fn new(places: Places, database: String) -> Self {
        Self { places, database, open: None, full: Vec::new() }
    }

    /// Another one, for what is left to do of this one.
    pub fn next(&self) -> Self {
        Self::new(self.places.clone(), self.database.clone())
    }

    /// Writes an intent to the disk.
    ///
    /// # Errors
    /// [`Kind::OutputFailed`]: no place takes it.
    pub fn write(&mut self, intent: &Intent) -> Result<(), Failure> {
        let intent = line(intent)?;
        let mut refused = Vec::new();
        if let Some(mut open) = self.open.take() {
            match open.append(&intent) {
                Ok(()) => {
                    self.open = Some(open);
                    return Ok(());
                }
                Err(error) => {
                    refused.push(format!("{}: {error}", open.shown()));
                    self.full.push(open);
                }
            }
        }
        let header = line(&Header { database: self.database.clone() })?;
        let full = self.full.iter().map(|open| open.folder.real().to_owned());
        let full: Vec<PathBuf> = full.collect();
        for place in self.places.all().filter(|place| !full.contains(place)) {
            let made = self.places.open(place).and_then(Open::make);
            match made.and_then(|open| open.begin(&header, &intent)) {
                Ok(open) => {
                    if !refused.is_empty() {
                        log::info!("the journal is {}: {}", open.shown(), refused.join("; "));
                    }
                    self.open = Some(open);
                    return Ok(());
                }
                Err(error) => refused.push(format!("{}: {error}", place.display())),
            }
        }
        Err(no_place(&refused.join("; ")))
    }

    /// Nothing that is in it is left to do.
    pub fn clear(&mut self) {
        self.full.drain(..).chain(self.open.take()).for_each(Open::remove);
    }

    /// The journals of this database whose runs are no more, and what there is to say of the others. A dry run only looks at them.
    pub fn leftovers(&self, mode: Mode) -> (Vec<Leftover>, Vec<String>) {
        let (mut leftovers, mut notes) = (Vec::new(), Vec::new());
        for place in self.places.all() {
            let Ok(folder) = Folder::open(place) else {
                continue;
            };
            let names = folder.names().unwrap_or_default().into_iter();
            for name in names.filter(|name| is_journal(name)) {
                let path = folder.real().join(&name);
                let shown = escaped(&path.display().to_string());
                match Folder::open(place).and_then(|folder| self.take_over(folder, name, mode)) {
                    Ok(Taken::Leftover(leftover)) => leftovers.push(leftover),
                    Ok(Taken::InUse) => {}
                    Ok(Taken::OfAnother(database)) => notes.push(format!(
                        "{shown} is left alone: it has files of rows of other tables, {database}"
                    )),
                    Err(error) => notes.push(format!("{shown} is left alone: {error}")),
                }
            }
        }
        (leftovers, notes)
    }

    fn take_over(&self, folder: Folder, name: OsString, mode: Mode) -> io::Result<Taken> {
        let flags = match mode {
            Mode::Apply => OFlags::RDWR,
            Mode::DryRun => OFlags::RDONLY,
        };
        let file = match folder.open_file(&name, flags, Rights::empty()) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Taken::InUse),
            file => file?,
        };
        let open = Open { folder, name, file };
        open.require_privacy()?;
        let locked = match mode {
            Mode::Apply => FileExt::try_lock_exclusive(&open.file),
            Mode::DryRun => FileExt::try_lock_shared(&open.file),
        };
        if locked.is_err() || open.is_gone()? {
            return Ok(Taken::InUse);
        }
        let content = read(&open.file)?;
        if mode == Mode::DryRun {
            FileExt::unlock(&open.file)?;
        }
        Ok(match content {
            Content::Empty => {
                if mode == Mode::Apply {
                    open.remove();
                }
                Taken::InUse
            }
            Content::Of(database, _) if database != self.database => {
                Taken::OfAnother(escaped(&database))
            }
            Content::Of(_, intents) => Taken::Leftover(Leftover { open, intents }),
        })
    }
}

/// What is in a journal.
enum Content {
    /// Its run came to an end before it deleted anything.
    Empty,
    Of(String, Vec<Intent>),
}

/// # Errors
/// A line is none of ours. Only the last one may be, since each is on the disk before the next is written, and before it is acted upon.
fn read(file: &File) -> io::Result<Content> {
    let (mut database, mut intents) = (None, Vec::new());
    let mut broken = None;
    for (number, line) in (1..).zip(BufReader::new(file).split(b'\n')) {
        let line = line?;
        if let Some(why) = broken {
            return Err(io::Error::other(why));
        }
        let read = if database.is_none() {
            serde_json::from_slice(&line).map(|header: Header| database = Some(header.database))
        } else {
            serde_json::from_slice(&line).map(|intent| intents.push(intent))
        };
        broken = read.err().map(|error| format!("line {number} cannot be read: {error}"));
    }
    Ok(database.map_or(Content::Empty, |database| Content::Of(database, intents)))
}

enum Taken {
    Leftover(Leftover),
    /// Its run is under way, or it is being made or removed.
    InUse,
    OfAnother(String),
}

impl Leftover {
    /// Nothing that is in it is left to do.
    pub fn remove(self) {
        self.open.remove();
    }
}

impl Open {
    fn make(folder: Folder) -> io::Result<Self> {
        let mut random = [0; 8];
        SystemRandom::new().fill(&mut random).map_err(|_| io::Error::other("no random name"))?;
        let name = OsString::from(format!("{PREFIX}{:016x}", u64::from_ne_bytes(random)));
        let flags = OFlags::RDWR | OFlags::CREATE | OFlags::EXCL | OFlags::APPEND;
        let file = folder.open_file(&name, flags, Rights::from_raw_mode(GROUP_MAY_READ))?;
        let open = Self { folder, name, file };
        if let Err(error) = open.require_privacy() {
            open.remove();
            return Err(error);
        }
        for _ in 0..TRIES {
            match FileExt::try_lock_exclusive(&open.file) {
                Ok(()) if open.is_gone()? => return Self::make(open.folder),
                Ok(()) => return Ok(open),
                Err(error) if error.kind() != fs2::lock_contended_error().kind() => {
                    open.remove();
                    return Err(error);
                }
                Err(_) => thread::sleep(Duration::from_millis(5)),
            }
        }
        open.remove();
        Err(fs2::lock_contended_error())
    }

    /// # Errors
    /// Somebody else may write it, or may have. Where files have no modes of their own, as on vfat, this says so of every one.
    fn require_privacy(&self) -> io::Result<()> {
        let found = self.file.metadata()?;
        let is_private = found.mode() & 0o022 == 0 && found.nlink() <= 1;
        if found.is_file() && is_trusted(found.uid()) && is_private {
            return Ok(());
        }
        Err(io::Error::other("others than root and this user may have written it"))
    }

    /// The first lines of a new one.
    fn begin(mut self, header: &[u8], intent: &[u8]) -> io::Result<Self> {
        let written = self.append(header).and_then(|()| self.append(intent));
        match written.and_then(|()| Ok(rustix::fs::fsync(self.folder.reader()?)?)) {
            Ok(()) => Ok(self),
            Err(error) => {
                self.remove();
                Err(error)
            }
        }
    }

    fn append(&mut self, line: &[u8]) -> io::Result<()> {
        self.file.write_all(line)?;
        self.file.sync_data()
    }

    /// Another run took it for one that was left behind.
    fn is_gone(&self) -> io::Result<bool> {
        Ok(self.file.metadata()?.nlink() == 0)
    }

    fn remove(self) {
        if let Err(error) = self.folder.remove(&self.name) {
            log::info!("{} cannot be removed: {error}", self.shown());
        }
    }

    fn shown(&self) -> String {
        self.folder.real().join(&self.name).display().to_string()
    }
}

fn is_journal(name: &OsStr) -> bool {
    name.to_str().is_some_and(|name| name.starts_with(PREFIX))
}

fn line(content: &impl Serialize) -> Result<Vec<u8>, Failure> {
    let line = serde_json::to_vec(content).map_err(|error| no_place(&error.to_string()))?;
    Ok([line, b"\n".to_vec()].concat())
}

fn no_place(why: &str) -> Failure {
    Failure::new(Kind::OutputFailed, format!("there is no place for the journal: {why}"))
}
