//! Lines appended to a file so that a crash costs one line at most.

use rustix::fs::OFlags;
use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::Path;

/// Opens what has to be a regular file. A FIFO would block without end, a device perhaps be written to.
pub fn open_file(options: &mut OpenOptions, path: &Path) -> io::Result<File> {
    let nonblocking = i32::try_from(OFlags::NONBLOCK.bits()).unwrap_or_default();
    let file = options.custom_flags(nonblocking).open(path)?;
    if file.metadata()?.is_file() {
        Ok(file)
    } else {
        Err(io::Error::other("it is not a regular file"))
    }
}

/// Appends lines, each in one write, and syncs them to the disk. If a crash tore the last line, they begin on a new one.
pub fn append(path: &Path, lines: &[String]) -> io::Result<()> {
    if lines.is_empty() {
        return Ok(());
    }
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder)?;
    }
    let mut options = OpenOptions::new();
    let mut file = open_file(options.read(true).append(true).create(true), path)?;
    if !ends_a_line(&file)? {
        file.write_all(b"\n")?;
    }
    for line in lines {
        file.write_all(line.as_bytes())?;
    }
    file.sync_data()
}

fn ends_a_line(file: &File) -> io::Result<bool> {
    let mut last = [b'\n'];
    if let Some(place) = file.metadata()?.len().checked_sub(1) {
        // Nothing is there any more where a log rotation has emptied the file meanwhile.
        file.read_at(&mut last, place)?;
    }
    Ok(last == *b"\n")
}
