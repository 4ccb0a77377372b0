//! The record of each run: a line of JSON in `taskmon_runs.jsonl`, in the folder of the logs (`alerts.logs_dir`).
//!
//! A line is appended by one write to a file that is open for appending and locked, so that runs which end at the same time do not mix their lines.
//! Where the file has more than [`KEPT`] lines, its last ones are written aside and renamed over it, under the same lock; whoever waited
//! for the lock then sees that the name leads to another file and opens that one. A line that is torn (a full disk, a power cut) is skipped by
//! readers, and the next record begins on a line of its own.

use chrono::{DateTime, FixedOffset, SecondsFormat};
use fs2::FileExt;
use rustix::fs::OFlags;
use serde::{Deserialize, Serialize, Serializer};
use std::fs::{File, OpenOptions};
use std::io::{self, ErrorKind, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// So many of its last lines the file keeps; the number is the contract's.
pub const KEPT: usize = 10_000;

/// No record is shorter: as long as the file is smaller than this makes it, nobody has to count.
const SHORTEST_LINE: u64 = 50;

/// How long a record waits for others to be written.
const PATIENCE: Duration = Duration::from_secs(5);

/// One run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RunRecord {
    /// The command: `cleanup`, `stats`, `disk`, `alert`.
    pub job: String,
    /// RFC 3339, in the configured zone.
    #[serde(serialize_with = "to_the_millisecond")]
    pub start: DateTime<FixedOffset>,
    #[serde(serialize_with = "to_the_millisecond")]
    pub end: DateTime<FixedOffset>,
    /// 128 and the signal's number for a run that a signal ended.
    pub exit_code: u8,
    /// Whether a lock kept it from running.
    pub skipped: bool,
    /// Whose lock that was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub held_by: Option<Holder>,
    /// Where it is not written, the time from the start to the end.
    #[serde(default = "not_written")]
    pub duration_seconds: f64,
    pub host: String,
    /// The command and its own arguments, without the options of every command and without what an alert says.
    #[serde(default)]
    pub arguments: Vec<String>,
    #[serde(default)]
    pub dry_run: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Holder {
    ThisHost,
    OtherHost,
}

fn to_the_millisecond<S: Serializer>(
    time: &DateTime<FixedOffset>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&time.to_rfc3339_opts(SecondsFormat::Millis, false))
}

impl RunRecord {
    /// With what another program that writes such records may have left out.
    fn whole(mut self) -> Self {
        if self.duration_seconds.is_nan() {
            let milliseconds = (self.end - self.start).num_milliseconds().max(0);
            self.duration_seconds = milliseconds as f64 / 1000.0;
        }
        if self.arguments.is_empty() {
            self.arguments = vec![self.job.clone()];
        }
        self
    }

    /// Whether the job was done: exit code 0, 1 or 4, and no dry run.
    pub fn is_success(&self) -> bool {
        matches!(self.exit_code, 0 | 1 | 4) && !self.dry_run && !self.skipped
    }

    /// Whether it is a run of the job with these arguments; a dry run is a run of none.
    pub fn is_of(&self, arguments: &[String]) -> bool {
        self.arguments == arguments && !self.dry_run
    }
}

/// The file of the records.
pub fn path(logs_dir: &Path) -> PathBuf {
    logs_dir.join("taskmon_runs.jsonl")
}

/// Appends a record, and makes the folder if there is none.
///
/// # Errors
/// The folder or the file cannot be written, or others hold its lock for too long.
pub fn append(logs_dir: &Path, record: &RunRecord) -> io::Result<()> {
    std::fs::create_dir_all(logs_dir)?;
    append_and_trim(&path(logs_dir), record, KEPT)
}

fn append_and_trim(path: &Path, record: &RunRecord, kept: usize) -> io::Result<()> {
    let mut line = serde_json::to_string(record)?;
    line.push('\n');
    let mut file = open_locked(path)?;
    if !ends_with_newline(&mut file)? {
        line.insert(0, '\n');
    }
    file.write_all(line.as_bytes())?;
    if file.metadata()?.len() > kept as u64 * SHORTEST_LINE {
        trim(path, &mut file, kept)
    } else {
        Ok(())
    }
}

/// Opens what has to be a file. A pipe in its place would be waited for without end, a device perhaps be written to.
fn open_file(options: &mut OpenOptions, path: &Path) -> io::Result<File> {
    let nonblocking = i32::try_from(OFlags::NONBLOCK.bits()).unwrap_or_default();
    let file = options.custom_flags(nonblocking).open(path)?;
    if file.metadata()?.is_file() {
        Ok(file)
    } else {
        Err(io::Error::other("it is no regular file"))
    }
}

/// The file that the name leads to, locked.
fn open_locked(path: &Path) -> io::Result<File> {
    let begin = Instant::now();
    loop {
        let mut options = OpenOptions::new();
        let file = open_file(options.read(true).append(true).create(true), path)?;
        match FileExt::try_lock_exclusive(&file) {
            Ok(()) if is_still(path, &file)? => return Ok(file),
            // It was trimmed, or rotated by another program, while this run waited.
            Ok(()) => {}
            Err(error) if error.kind() != fs2::lock_contended_error().kind() => return Err(error),
            Err(_) if begin.elapsed() > PATIENCE => {
                return Err(io::Error::new(ErrorKind::TimedOut, "another program holds its lock"));
            }
            Err(_) => std::thread::sleep(Duration::from_millis(5)),
        }
    }
}

fn is_still(path: &Path, file: &File) -> io::Result<bool> {
    let own = file.metadata()?;
    match std::fs::metadata(path) {
        Ok(there) => Ok((there.dev(), there.ino()) == (own.dev(), own.ino())),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}

fn ends_with_newline(file: &mut File) -> io::Result<bool> {
    if file.metadata()?.len() == 0 {
        return Ok(true);
    }
    let mut last = [0];
    file.seek(SeekFrom::End(-1))?;
    file.read_exact(&mut last)?;
    Ok(last == *b"\n")
}

/// Leaves the last `kept` lines. The file is locked.
fn trim(path: &Path, file: &mut File, kept: usize) -> io::Result<()> {
    let mut text = Vec::new();
    file.seek(SeekFrom::Start(0))?;
    file.read_to_end(&mut text)?;
    let lines: Vec<&[u8]> = text.split_inclusive(|byte| *byte == b'\n').collect();
    if lines.len() <= kept {
        return Ok(());
    }
    let mode = file.metadata()?.permissions();
    let aside = path.with_file_name(format!(".taskmon_runs.jsonl.{}", std::process::id()));
    let written = File::create(&aside).and_then(|mut new| {
        new.write_all(&lines[lines.len() - kept..].concat())?;
        new.set_permissions(mode)?;
        new.sync_all()?;
        std::fs::rename(&aside, path)
    });
    if written.is_err() {
        // It may not even have been made; the error that counts is the first.
        let _ = std::fs::remove_file(&aside);
    }
    written
}

/// All records, oldest first; none where there is no file yet.
///
/// # Errors
/// The file cannot be read.
pub fn read(logs_dir: &Path) -> io::Result<Vec<RunRecord>> {
    let mut text = Vec::new();
    let opened = open_file(OpenOptions::new().read(true), &path(logs_dir));
    match opened.and_then(|mut file| file.read_to_end(&mut text)) {
        Ok(_) => Ok(records(&text)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(Vec::new()),
        Err(error) => Err(error),
    }
}

fn records(text: &[u8]) -> Vec<RunRecord> {
    let lines = text.split(|byte| *byte == b'\n');
    lines.filter_map(|line| serde_json::from_slice(line).ok().map(RunRecord::whole)).collect()
}

fn not_written() -> f64 {
    f64::NAN
}

/// Gives the records that are appended from now on, across trims and rotations of the file.
pub struct Follower {
    path: PathBuf,
    file: Option<File>,
    /// What was read behind the last line feed.
    rest: Vec<u8>,
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
            rest: Vec::new(),
            last: Vec::new(),
            position: 0,
        };
        let mut found = follower.poll()?;
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
            match open_file(OpenOptions::new().read(true), &self.path) {
                Ok(file) => self.file = Some(file),
                Err(error) if error.kind() == ErrorKind::NotFound => return Ok(records(&lines)),
                Err(error) => return Err(error),
            }
            self.position = 0;
            self.rest.clear();
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
            self.rest.clear();
        }
        file.seek(SeekFrom::Start(self.position))?;
        let read = file.read_to_end(&mut self.rest)?;
        self.position += read as u64;
        let whole = self.rest.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
        let rest = self.rest.split_off(whole);
        let lines = std::mem::replace(&mut self.rest, rest);
        if let Some(last) = lines.split_inclusive(|byte| *byte == b'\n').next_back() {
            self.last = last.to_vec();
        }
        Ok(lines)
    }
}

/// What stands behind the last occurrence of a line; everything where it does not occur.
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

#[cfg(test)]
mod tests {
    use super::*;

    fn record(number: u32) -> RunRecord {
        let start = DateTime::parse_from_rfc3339("2026-11-25T02:00:00.250+08:00").unwrap();
        RunRecord {
            job: "stats".into(),
            start,
            end: start + Duration::from_millis(1500),
            exit_code: 0,
            skipped: false,
            held_by: None,
            duration_seconds: f64::from(number),
            host: "box".into(),
            arguments: vec!["stats".into()],
            dry_run: false,
        }
    }

    fn numbers(records: &[RunRecord]) -> Vec<u32> {
        records.iter().map(|record| record.duration_seconds as u32).collect()
    }

    #[test]
    fn a_record_is_a_line_and_comes_back_as_it_was() {
        let folder = tempfile::tempdir().unwrap();
        let logs = folder.path().join("new/logs");
        assert_eq!(read(&logs).unwrap(), []);
        append(&logs, &record(1)).unwrap();
        append(&logs, &record(2)).unwrap();
        let text = std::fs::read_to_string(path(&logs)).unwrap();
        assert_eq!(
            text.lines().next().unwrap(),
            r#"{"job":"stats","start":"2026-11-25T02:00:00.250+08:00","end":"2026-11-25T02:00:01.750+08:00","exit_code":0,"skipped":false,"duration_seconds":1.0,"host":"box","arguments":["stats"],"dry_run":false}"#
        );
        assert!(text.len() as u64 > 2 * SHORTEST_LINE);
        assert_eq!(read(&logs).unwrap(), [record(1), record(2)]);
    }

    #[test]
    fn torn_lines_are_skipped_and_do_not_spoil_the_next() {
        let folder = tempfile::tempdir().unwrap();
        append(folder.path(), &record(1)).unwrap();
        let mut text = std::fs::read(path(folder.path())).unwrap();
        text.extend(b"{\"job\":\"sta");
        std::fs::write(path(folder.path()), text).unwrap();
        append(folder.path(), &record(2)).unwrap();
        assert_eq!(numbers(&read(folder.path()).unwrap()), [1, 2]);
    }

    #[test]
    fn many_at_once_lose_nothing_while_the_file_is_trimmed_again_and_again() {
        let folder = tempfile::tempdir().unwrap();
        let path = path(folder.path());
        let (writers, each, kept) = (8, 300, 100_u32);
        std::thread::scope(|scope| {
            for writer in 0..writers {
                let path = &path;
                scope.spawn(move || {
                    for number in 0..each {
                        append_and_trim(path, &record(writer * each + number), kept as usize)
                            .unwrap();
                    }
                });
            }
        });
        let found = numbers(&records(&std::fs::read(&path).unwrap()));
        assert_eq!(found.len(), kept as usize);
        // Of each writer, the last that is kept are its last ones, in order and without a gap.
        for writer in 0..writers {
            let own: Vec<u32> =
                found.iter().copied().filter(|number| number / each == writer).collect();
            let expected: Vec<u32> =
                ((writer + 1) * each - own.len() as u32..(writer + 1) * each).collect();
            assert_eq!(own, expected);
        }
        let left: Vec<_> = std::fs::read_dir(folder.path()).unwrap().flatten().collect();
        assert_eq!(left.len(), 1, "{left:?}");
    }

    #[test]
    fn what_is_followed_goes_on_across_a_trim_a_rotation_and_a_truncation() {
        let folder = tempfile::tempdir().unwrap();
        let (mut follower, first) = Follower::start(folder.path(), 2).unwrap();
        assert_eq!(first, []);
        let mut next = |number: u32| append(folder.path(), &record(number)).unwrap();
        (1..=3).for_each(&mut next);
        assert_eq!(numbers(&follower.poll().unwrap()), [1, 2, 3]);
        assert_eq!(follower.poll().unwrap(), []);
        assert_eq!(numbers(&Follower::start(folder.path(), 2).unwrap().1), [2, 3]);

        next(4);
        let mut file = open_locked(&path(folder.path())).unwrap();
        trim(&path(folder.path()), &mut file, 2).unwrap();
        drop(file);
        next(5);
        assert_eq!(numbers(&follower.poll().unwrap()), [4, 5]);

        next(6);
        std::fs::rename(path(folder.path()), folder.path().join("old")).unwrap();
        assert_eq!(numbers(&follower.poll().unwrap()), [6]);
        next(7);
        assert_eq!(numbers(&follower.poll().unwrap()), [7]);

        File::create(path(folder.path())).unwrap();
        assert_eq!(follower.poll().unwrap(), []);
        next(8);
        assert_eq!(numbers(&follower.poll().unwrap()), [8]);
    }
}
