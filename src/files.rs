//! Files that are written whole or not at all, files that are locked, and files that somebody else names.

use fs2::FileExt;
use rustix::fs::{FileType, Mode, OFlags, fchmod, fstat, open};
use rustix::io::Errno;
use std::fs::{File, OpenOptions, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

/// A file under way: written beside its place and renamed, so that a reader never sees half of it. Dropped before, it leaves nothing.
#[derive(Debug)]
pub struct NewFile {
    path: PathBuf,
    aside: PathBuf,
    file: File,
    is_published: bool,
}

impl NewFile {
    /// Begins one in a folder that is there.
    ///
    /// # Errors
    /// The folder is missing or cannot be written to.
    pub fn create(path: &Path) -> io::Result<Self> {
        let folder = path.parent().unwrap_or(Path::new("."));
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let aside = folder.join(format!(".{name}.{}", std::process::id()));
        let file = File::create(&aside)?;
        Ok(Self { path: path.to_owned(), aside, file, is_published: false })
    }

    /// Gives it rights whatever the umask.
    pub fn set_mode(&self, mode: u32) -> io::Result<()> {
        self.file.set_permissions(Permissions::from_mode(mode))
    }

    /// Writes the content and puts the file in its place.
    pub fn publish(mut self, content: &[u8]) -> io::Result<()> {
        self.file.write_all(content)?;
        self.file.sync_all()?;
        std::fs::rename(&self.aside, &self.path)?;
        self.is_published = true;
        Ok(())
    }
}

impl Drop for NewFile {
    fn drop(&mut self) {
        if !self.is_published {
            // The error that counts is the one that kept it from its place.
            let _ = std::fs::remove_file(&self.aside);
        }
    }
}

/// Replaces a file, in a folder that is made where it is missing.
pub fn replace(path: &Path, content: &str) -> io::Result<()> {
    std::fs::create_dir_all(path.parent().unwrap_or(Path::new(".")))?;
    NewFile::create(path)?.publish(content.as_bytes())
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
    let flags = OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let existing = |access| open(path, flags | access, Mode::empty());
    let readable = Mode::RUSR | Mode::WUSR | Mode::RGRP | Mode::ROTH;
    let made = || open(path, flags | OFlags::RDWR | OFlags::CREATE | OFlags::EXCL, readable);
    let opened = match existing(OFlags::RDWR) {
        Err(Errno::NOENT) => match made() {
            Err(Errno::EXIST) => existing(OFlags::RDWR),
            // Whatever the umask.
            Ok(file) => fchmod(&file, readable).map(|()| file),
            refused => refused,
        },
        Err(Errno::ACCESS | Errno::ROFS | Errno::PERM) => existing(OFlags::RDONLY),
        opened => opened,
    }?;
    match FileType::from_raw_mode(fstat(&opened)?.st_mode) {
        FileType::RegularFile => Ok(File::from(opened)),
        _ => Err(io::Error::other("it is not a regular file")),
    }
}

/// Opens what has to be a regular file. A FIFO would block without end, a device be read without end or be written to.
///
/// # Errors
/// It cannot be opened, or is something else.
pub fn open_regular(options: &mut OpenOptions, path: &Path) -> io::Result<File> {
    let nonblocking = i32::try_from(OFlags::NONBLOCK.bits()).unwrap_or_default();
    let file = options.custom_flags(nonblocking).open(path)?;
    if file.metadata()?.is_file() {
        Ok(file)
    } else {
        Err(io::Error::other("it is not a regular file"))
    }
}

/// The text of a file that somebody names.
///
/// # Errors
/// It cannot be read, or is no regular file.
pub fn read_regular(path: &Path) -> io::Result<String> {
    io::read_to_string(open_regular(File::options().read(true), path)?)
}
