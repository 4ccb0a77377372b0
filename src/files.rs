//! Files that are written whole or not at all, and files that somebody else names.

use rustix::fs::OFlags;
use std::fs::{File, OpenOptions, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

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
    pub fn publish(mut self, content: &str) -> io::Result<()> {
        self.file.write_all(content.as_bytes())?;
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
    NewFile::create(path)?.publish(content)
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
