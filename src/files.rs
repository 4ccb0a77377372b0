//! Files that are written whole or not at all, files that are locked, and files that somebody else names.

use crate::deadline::{self, NoAnswer};
use crate::folder::{Folder, open_file};
use fs2::FileExt;
use ring::rand::{SecureRandom, SystemRandom};
use rustix::fs::{Mode, OFlags, fchmod};
use std::ffi::OsString;
use std::fs::File;
use std::io::{self, ErrorKind, Read, Write};
use std::os::fd::AsFd;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

/// For this user and its group, whatever the umask.
pub const GROUP_MAY_READ: u32 = 0o640;

/// What holds secrets.
pub const OWNER_MAY_READ: u32 = 0o600;

/// For everybody.
pub const ALL_MAY_READ: u32 = 0o644;

/// For files that are appended to, by one group's users perhaps: as the umask leaves it, and never for all to write.
pub const SHARED: u32 = 0o664;

/// A file under way: written beside its place and renamed, so that a reader never sees half of it. Dropped before, it leaves nothing.
///
/// In a folder of others' the name beside it must not be guessed: who knows it may put a link there.
#[derive(Debug)]
pub struct NewFile {
    folder: Folder,
    name: OsString,
    aside: OsString,
    file: File,
    is_published: bool,
}

impl NewFile {
    /// Begins one in a folder that is there; it gets these rights, whatever the umask.
    ///
    /// # Errors
    /// The folder is missing or cannot be written to.
    pub fn create(path: &Path, mode: u32) -> io::Result<Self> {
        Self::within(Folder::above(path)?, path, mode)
    }

    fn within(folder: Folder, path: &Path, mode: u32) -> io::Result<Self> {
        let name = path.file_name().ok_or(ErrorKind::IsADirectory)?.to_owned();
        let mut random = [0; 8];
        SystemRandom::new().fill(&mut random).map_err(|_| io::Error::other("no random name"))?;
        let mut aside = OsString::from(".");
        aside.push(&name);
        aside.push(format!(".{:016x}", u64::from_ne_bytes(random)));
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL;
        let file = folder.open_file(&aside, flags, Mode::RUSR | Mode::WUSR)?;
        let new = Self { folder, name, aside, file, is_published: false };
        fchmod(&new.file, Mode::from_raw_mode(mode))?;
        Ok(new)
    }

    /// Writes the content and puts the file in its place.
    pub fn publish(mut self, content: &[u8]) -> io::Result<()> {
        self.file.write_all(content)?;
        self.file.sync_all()?;
        self.folder.rename(&self.aside, &self.name)?;
        self.is_published = true;
        Ok(())
    }
}

impl Drop for NewFile {
    fn drop(&mut self) {
        if !self.is_published {
            // The error that counts is the one that kept it from its place.
            let _ = self.folder.remove(&self.aside);
        }
    }
}

/// Replaces a file, in a folder that is made where it is missing.
pub fn replace(path: &Path, content: &str, mode: u32) -> io::Result<()> {
    let folder = Folder::make(path.parent().unwrap_or(path))?;
    NewFile::within(folder, path, mode)?.publish(content.as_bytes())
}

/// The file that a path leads to, opened by `open` and locked; `None`: another process holds the lock even after `patience`. Where the file was
/// removed or replaced in between, the one that is there now is opened.
///
/// # Errors
/// It cannot be opened or locked.
pub fn locked(
    path: &Path,
    patience: Duration,
    open: impl Fn(&Path) -> io::Result<File>,
) -> io::Result<Option<File>> {
    let begin = Instant::now();
    loop {
        let file = open(path)?;
        match FileExt::try_lock_exclusive(&file) {
            Ok(()) if is_still(path, &file)? => return Ok(Some(file)),
            Ok(()) => {}
            Err(error) if error.kind() != fs2::lock_contended_error().kind() => return Err(error),
            Err(_) if begin.elapsed() >= patience => return Ok(None),
            Err(_) => thread::sleep(Duration::from_millis(5)),
        }
    }
}

/// Whether a path still leads to an open file.
pub fn is_still(path: &Path, file: &File) -> io::Result<bool> {
    let open = file.metadata()?;
    match std::fs::metadata(path) {
        Ok(there) => Ok((there.dev(), there.ino()) == (open.dev(), open.ino())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}

/// Opens a lock file, or makes it, readable for others: to lock it takes no right to write. Refuses symlinks, and does not block on FIFOs. Writing is asked for
/// because a lock on a network mount takes it, and is done without where another user made the file.
pub fn open_lock(path: &Path) -> io::Result<File> {
    let folder = Folder::above(path)?;
    let name = path.file_name().ok_or(ErrorKind::IsADirectory)?;
    let existing = |access| folder.open_file(name, access, Mode::empty());
    let readable = Mode::from_raw_mode(ALL_MAY_READ);
    let made = || folder.open_file(name, OFlags::RDWR | OFlags::CREATE | OFlags::EXCL, readable);
    let opened = match existing(OFlags::RDWR) {
        Err(error) if error.kind() == ErrorKind::NotFound => match made() {
            Err(error) if error.kind() == ErrorKind::AlreadyExists => existing(OFlags::RDWR),
            // Whatever the umask.
            Ok(file) => Ok(fchmod(&file, readable).map(|()| file)?),
            refused => refused,
        },
        Err(error) if is_for_reading_only(&error) => existing(OFlags::RDONLY),
        opened => opened,
    }?;
    regular(opened)
}

fn is_for_reading_only(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::PermissionDenied | ErrorKind::ReadOnlyFilesystem)
}

/// What a file is opened for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    Read,
    /// It is made where it is missing, and can be read too.
    Append,
}

/// Opens what has to be a regular file, through no link of other users. A FIFO would block without end, a device be read without end or be written to.
///
/// # Errors
/// It cannot be opened, or is something else.
pub fn open_regular(path: &Path, access: Access) -> io::Result<File> {
    let flags = match access {
        Access::Read => OFlags::RDONLY,
        Access::Append => OFlags::RDWR | OFlags::APPEND | OFlags::CREATE,
    };
    regular(open_file(path, flags, Mode::from_raw_mode(SHARED))?)
}

fn regular(file: File) -> io::Result<File> {
    if file.metadata()?.is_file() {
        Ok(file)
    } else {
        Err(io::Error::other("it is not a regular file"))
    }
}

/// Opens a file that somebody names, who decides whose links lead to it. A FIFO blocks nothing.
///
/// # Errors
/// It cannot be opened, or is no regular file.
pub fn open_named(path: &Path) -> io::Result<File> {
    let nonblocking = i32::try_from(OFlags::NONBLOCK.bits()).unwrap_or_default();
    regular(File::options().read(true).custom_flags(nonblocking).open(path)?)
}

/// The text of a file that somebody names.
///
/// # Errors
/// It cannot be read, is no regular file, or is longer than 16 MiB.
pub fn read_regular(path: &Path) -> io::Result<String> {
    let content = read_whole(open_named(path)?)?;
    String::from_utf8(content).map_err(|error| io::Error::new(ErrorKind::InvalidData, error))
}

/// The most that is read whole of what the command line does not name as a regular file, in bytes.
const MOST_READ: u64 = 16 << 20;

/// How long the whole of it may take.
const PIPE_PATIENCE: Duration = Duration::from_secs(20);

/// The content of a file that the command line names, or a pipe such as a shell's `<(…)`. A FIFO that nobody writes to, and a device that
/// never ends, cost no more than a while.
///
/// # Errors
/// It cannot be read, is longer than 16 MiB and no regular file, or does not come to its end.
pub fn read_given(path: &Path) -> io::Result<Vec<u8>> {
    let path = path.to_owned();
    match deadline::run(PIPE_PATIENCE, move || read_any(File::open(path)?)) {
        Ok(read) => read,
        Err(NoAnswer::Late) => {
            let limit = PIPE_PATIENCE.as_secs();
            let why = format!("it did not come to its end within {limit} s");
            Err(io::Error::new(ErrorKind::TimedOut, why))
        }
        Err(NoAnswer::NoThread(error)) => Err(error),
    }
}

/// The content of standard input, however long it takes to come.
///
/// # Errors
/// It cannot be read, or is longer than 16 MiB and no regular file.
pub fn read_stdin() -> io::Result<Vec<u8>> {
    read_any(File::from(io::stdin().as_fd().try_clone_to_owned()?))
}

/// A file of any length is a file.
fn read_any(mut file: File) -> io::Result<Vec<u8>> {
    if !file.metadata()?.is_file() {
        return read_whole(file);
    }
    let mut content = Vec::new();
    file.read_to_end(&mut content)?;
    Ok(content)
}

/// The content of an open file.
///
/// # Errors
/// It cannot be read, or is longer than 16 MiB.
pub fn read_whole(file: impl Read) -> io::Result<Vec<u8>> {
    let mut content = Vec::new();
    file.take(MOST_READ + 1).read_to_end(&mut content)?;
    if content.len() as u64 > MOST_READ {
        return Err(io::Error::other("it is longer than 16 MiB"));
    }
    Ok(content)
}

/// Lines as they come in pieces. A line that is longer than this is none of any file's, and not kept.
pub struct Lines {
    longest: usize,
    /// What came behind the last line feed.
    rest: Vec<u8>,
    is_too_long: bool,
}

impl Lines {
    pub fn new(longest: usize) -> Self {
        Self { longest, rest: Vec::new(), is_too_long: false }
    }

    /// Forgets what came behind the last line feed.
    pub fn clear(&mut self) {
        *self = Self::new(self.longest);
    }

    /// Hands over the lines that end in this piece, without their line feeds; `None`: one was too long.
    pub fn add(&mut self, piece: &[u8], each: &mut dyn FnMut(Option<&[u8]>)) {
        for part in piece.split_inclusive(|byte| *byte == b'\n') {
            let text = part.strip_suffix(b"\n").unwrap_or(part);
            self.is_too_long |= self.rest.len().saturating_add(text.len()) > self.longest;
            if !self.is_too_long {
                self.rest.extend_from_slice(text);
            }
            if part.len() > text.len() {
                each((!self.is_too_long).then_some(&self.rest));
                self.rest.clear();
                self.is_too_long = false;
            }
        }
    }

    /// Reads all there is, and returns how much that was.
    ///
    /// # Errors
    /// It cannot be read.
    pub fn read(
        &mut self,
        file: &mut impl Read,
        each: &mut dyn FnMut(Option<&[u8]>),
    ) -> io::Result<u64> {
        let mut piece = [0; 16 << 10];
        let mut total = 0;
        loop {
            match file.read(&mut piece) {
                Ok(0) => return Ok(total),
                Ok(count) => {
                    self.add(&piece[..count], each);
                    total += count as u64;
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }
}

/// Hands over the lines of a file, the last one whether or not a line feed ends it; `None`: one was too long.
///
/// # Errors
/// It cannot be read.
pub fn each_line(
    mut file: impl Read,
    longest: usize,
    each: &mut dyn FnMut(Option<&[u8]>),
) -> io::Result<()> {
    let mut lines = Lines::new(longest);
    lines.read(&mut file, each)?;
    if !lines.rest.is_empty() || lines.is_too_long {
        lines.add(b"\n", each);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_read_in_any_pieces_and_long_ones_are_passed_over() {
        let text = format!("one\n\n{}\ntwo\n{}", "x".repeat(50_000), "y".repeat(50_000));
        let mut found = Vec::new();
        each_line(text.as_bytes(), 10, &mut |line| found.push(line.map(<[u8]>::to_vec))).unwrap();
        let whole = |text: &str| Some(text.as_bytes().to_vec());
        assert_eq!(found, [whole("one"), whole(""), None, whole("two"), None]);
        let (mut lines, mut found) = (Lines::new(10), Vec::new());
        for piece in ["on", "e\ntw", "o", "\nthree"] {
            lines.add(piece.as_bytes(), &mut |line| found.push(line.map(<[u8]>::to_vec)));
        }
        assert_eq!(found, [whole("one"), whole("two")]);
    }
}
