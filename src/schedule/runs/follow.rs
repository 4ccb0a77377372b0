//! Following the file as it grows, for `schedule logs --follow`.

use super::{LONGEST_LINE, RunRecord, add_those_elsewhere, path, records};
use crate::files::{Access, Lines, is_still, open_regular};
use std::fs::File;
use std::io::{self, ErrorKind, Seek, SeekFrom};
use std::path::{Path, PathBuf};

/// Gives the records that are appended from now on, across trims and rotations of the file.
pub struct Follower {
    path: PathBuf,
    file: Option<File>,
    /// Those of the file so far.
    lines: Lines,
    /// The last whole line: where a trimmed file goes on.
    last: Vec<u8>,
    position: u64,
}

impl Follower {
    /// Starts with the file as it is: its last `lines` records come first.
    ///
    /// # Errors
    /// The file is there and cannot be read.
    pub fn start(logs_dir: &Path, lines: usize) -> io::Result<(Self, Vec<RunRecord>)> {
        let mut follower = Self {
            path: path(logs_dir),
            file: None,
            lines: Lines::new(LONGEST_LINE),
            last: Vec::new(),
            position: 0,
        };
        let mut found = follower.poll()?;
        add_those_elsewhere(logs_dir, &mut found);
        let from = found.len().saturating_sub(lines);
        Ok((follower, found.split_off(from)))
    }

    /// The records that have come since.
    ///
    /// # Errors
    /// The file cannot be read. That it is missing for a while is none.
    pub fn poll(&mut self) -> io::Result<Vec<RunRecord>> {
        let mut lines = self.new_lines()?;
        let is_other = match &self.file {
            Some(file) => !is_still(&self.path, file)?,
            None => true,
        };
        if is_other {
            match open_regular(&self.path, Access::Read) {
                Ok(file) => self.file = Some(file),
                Err(error) if error.kind() == ErrorKind::NotFound => return Ok(records(&lines)),
                Err(error) => return Err(error),
            }
            self.position = 0;
            self.lines.clear();
            let seen = std::mem::take(&mut self.last);
            let new = self.new_lines()?;
            // A trim copies lines that have been given already; a rotation starts a file without them.
            lines.extend(behind(&new, &seen));
            if self.last.is_empty() {
                self.last = seen;
            }
        }
        Ok(records(&lines))
    }

    /// The whole lines behind the position.
    fn new_lines(&mut self) -> io::Result<Vec<u8>> {
        let Some(file) = &mut self.file else {
            return Ok(Vec::new());
        };
        if file.metadata()?.len() < self.position {
            // Cut short, as `copytruncate` of logrotate does.
            self.position = 0;
            self.lines.clear();
        }
        file.seek(SeekFrom::Start(self.position))?;
        let mut lines = Vec::new();
        let mut note = |line: Option<&[u8]>| {
            // One that is too long is no record.
            if let Some(line) = line {
                lines.extend_from_slice(line);
                lines.push(b'\n');
            }
        };
        self.position += self.lines.read(file, &mut note)?;
        if let Some(last) = lines.split_inclusive(|byte| *byte == b'\n').next_back() {
            self.last = last.to_vec();
        }
        Ok(lines)
    }
}

/// The text behind the last occurrence of a line; all of it where the line does not occur.
fn behind<'t>(text: &'t [u8], line: &[u8]) -> &'t [u8] {
    let mut from = 0;
    let mut at = 0;
    for found in text.split_inclusive(|byte| *byte == b'\n') {
        at += found.len();
        if found == line {
            from = at;
        }
    }
    &text[from..]
}
