//! Lines appended to a file so that a crash costs one line at most.

use crate::files::{Access, open_regular};
use crate::folder::Folder;
use std::fs::File;
use std::io::{self, Write};
use std::os::unix::fs::FileExt;
use std::path::Path;

/// Appends lines, each in one write, and syncs them to the disk. If a crash tore the last line, they begin on a new one.
pub fn append(path: &Path, lines: &[String]) -> io::Result<()> {
    if lines.is_empty() {
        return Ok(());
    }
    if let Some(folder) = path.parent() {
        Folder::make(folder)?;
    }
    let file = open_regular(path, Access::Append)?;
    let before = file.metadata()?.len();
    write_lines(&file, lines).inspect_err(|_| {
        // On a full disk half a line would be a torn one; without the permission to cut it, it is one.
        let _ = file.set_len(before);
    })
}

fn write_lines(mut file: &File, lines: &[String]) -> io::Result<()> {
    if !ends_a_line(file)? {
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
