//! The memory of alerts: a record for each alert and run, the text logs, and what keeps two runs from telling the same.
//!
//! `alerts_YYYYMMDD.jsonl` (the day in the configured zone) has one JSON object a line. So that no run has to read further back than the newest
//! file, however long ago an alert that stands was told, the first run that writes into a day's file begins it with one line `{"time", "carried": […]}`:
//! everything that the files before remember and that can still matter. Where that line is broken, the file before is read as well, and so on, and
//! the next run carries anew.
//!
//! A line that a crash tore, or that is not one of ours, is passed over with a warning; what is appended then begins on a line of its own.
//!
//! Reading, deciding and reserving happen under an exclusive lock, and so does recording; delivering, which may take minutes, happens outside
//! of it. What a run is about to deliver it writes into a file of its own, `.sending-…`, which it keeps locked until the outcome is recorded: another
//! run leaves that alone. The kernel releases the lock of a run that died, whose file is then void: at worst a delivery is repeated.

use super::decide::{Heard, Reason};
use crate::alert::{Alert, Status};
use crate::outcome::Severity;
use crate::rules::Origin;
use chrono::{DateTime, FixedOffset, TimeDelta, Utc};
use fs2::FileExt;
use rustix::fs::OFlags;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::fs::{File, OpenOptions};
use std::io::{self, ErrorKind, Read, Write};
use std::os::unix::fs::{FileExt as _, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

/// Which alert it is: its type and its subject.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Identity {
    #[serde(rename = "type")]
    pub kind: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subject: Option<String>,
}

impl Identity {
    pub fn of(alert: &Alert) -> Self {
        Self { kind: alert.kind.clone(), subject: alert.subject.clone() }
    }
}

/// One line: what became of one alert in one run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Record {
    /// In the configured zone.
    pub time: DateTime<FixedOffset>,
    pub host: String,
    pub origin: Origin,
    #[serde(flatten)]
    pub alert: Alert,
    pub status: Status,
    /// By channel; the logs are the channel `log`. None: the alert stands by another origin's word.
    pub channels: BTreeMap<String, Outcome>,
}

/// What happened on one channel.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Outcome {
    pub result: Happened,
    pub reason: Reason,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub attempts: Option<u32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Happened {
    Sent,
    Failed,
    Suppressed,
    BelowMinimum,
}

/// Everything that the records remember and that a decision may need.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Memory(pub BTreeMap<Identity, Remembered>);

/// What is remembered of one alert.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Remembered {
    /// As it was last seen.
    pub alert: Alert,
    pub origin: Origin,
    /// Who says that it stands; it has ceased when nobody does any more. Empty for what nobody can resolve.
    pub claims: BTreeSet<Origin>,
    pub channels: BTreeMap<String, Heard>,
}

impl Memory {
    /// Adds what a record says to what those before it said.
    pub fn note(&mut self, record: &Record) {
        let at = record.time.to_utc();
        let known = self.0.entry(Identity::of(&record.alert));
        let known = known.or_insert_with(|| Remembered {
            alert: record.alert.clone(),
            origin: record.origin,
            claims: BTreeSet::new(),
            channels: BTreeMap::new(),
        });
        match record.status {
            Status::Firing => {
                (known.alert, known.origin) = (record.alert.clone(), record.origin);
                known.claims.extend(claim(record.origin, &record.alert));
            }
            Status::Resolved => {
                known.claims.remove(&record.origin);
            }
        }
        for (name, outcome) in &record.channels {
            let heard = known.channels.entry(name.clone()).or_default();
            match (outcome.result, record.status) {
                (Happened::Sent, status) => heard.took(status, record.alert.severity, at),
                (Happened::Failed, status) => heard.refused(status, at),
                (Happened::Suppressed, Status::Resolved) => heard.forget(),
                (Happened::Suppressed | Happened::BelowMinimum, _) => {}
            }
        }
    }

    /// Leaves out what neither stands nor can matter to a decision.
    pub fn prune(&mut self, now: DateTime<Utc>, repeat_after: TimeDelta) {
        self.0.retain(|_, known| {
            let mut heard = known.channels.values();
            !known.claims.is_empty() || heard.any(|heard| heard.matters(now, repeat_after))
        });
    }
}

/// Who can say later that an alert has ceased; nobody of what was only sent, or of a job that has no name.
fn claim(origin: Origin, alert: &Alert) -> Option<Origin> {
    match origin {
        Origin::Send | Origin::Test => None,
        Origin::Job if alert.subject.is_none() => None,
        origin => Some(origin),
    }
}

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
    /// Lines that were passed over, a sentence for each file.
    pub warnings: Vec<String>,
}

/// The folder of the records.
#[derive(Debug, Clone)]
pub struct Records {
    folder: PathBuf,
}

/// Held while the records are read and written.
#[derive(Debug)]
pub struct Turn {
    _file: File,
}

/// What a run is about to tell; void once it has died. Dropped, it is taken back.
#[derive(Debug)]
pub struct Reservation {
    path: PathBuf,
    _file: File,
}

impl Drop for Reservation {
    fn drop(&mut self) {
        // A file that stays is void all the same: nobody holds its lock, and the next run removes it.
        let _ = std::fs::remove_file(&self.path);
    }
}

/// One alert on one channel that a run is about to tell.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Sending {
    #[serde(flatten)]
    pub identity: Identity,
    pub severity: Severity,
    pub channel: String,
}

/// How long a run waits for its turn. Turns take milliseconds.
pub const PATIENCE: Duration = Duration::from_secs(10);

impl Records {
    pub fn new(folder: &Path) -> Self {
        Self { folder: folder.to_owned() }
    }

    /// Waits until no other run reads or writes.
    ///
    /// # Errors
    /// The folder or its lock cannot be made, or the patience is at its end.
    pub fn turn(&self, patience: Duration) -> io::Result<Turn> {
        std::fs::create_dir_all(&self.folder)?;
        let file = open_lock(&self.folder.join(".lock"))?;
        let began = Instant::now();
        loop {
            match FileExt::try_lock_exclusive(&file) {
                Ok(()) => return Ok(Turn { _file: file }),
                Err(error) if is_contended(&error) && began.elapsed() < patience => {
                    thread::sleep(Duration::from_millis(10));
                }
                Err(error) => return Err(error),
            }
        }
    }

    /// What the files remember. Reads the newest, and those before it as far as they are needed. Days to come are left out: a clock that was wrong
    /// wrote them, and they would hide today's for ever.
    ///
    /// `turn`, if it is this run's, lets it clear away what runs that died left behind.
    ///
    /// # Errors
    /// The folder or a file cannot be read; a folder that is not there remembers nothing.
    pub fn read(&self, now: DateTime<FixedOffset>, turn: Option<&Turn>) -> io::Result<Past> {
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
                    let known = known.map(|known| (Identity::of(&known.alert), known));
                    found.memory = Memory(known.collect());
                }
            }
        }
        for sending in self.in_hand(turn)? {
            let known = found.memory.0.entry(sending.identity.clone());
            let known = known.or_insert_with(|| Remembered::in_hand(&sending));
            let heard = known.channels.entry(sending.channel).or_default();
            heard.in_hand = heard.in_hand.max(Some(sending.severity));
        }
        Ok(found)
    }

    /// The files' names, oldest first.
    fn names(&self) -> io::Result<Vec<String>> {
        let entries = match std::fs::read_dir(&self.folder) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
            entries => entries?,
        };
        let mut names = Vec::new();
        for entry in entries {
            let name = entry?.file_name().to_string_lossy().into_owned();
            let day = name.strip_prefix("alerts_").and_then(|rest| rest.strip_suffix(".jsonl"));
            let is_day = |day: &str| day.len() == 8 && day.bytes().all(|b| b.is_ascii_digit());
            if day.is_some_and(is_day) {
                names.push(name);
            }
        }
        names.sort();
        Ok(names)
    }

    fn lines(&self, name: &str) -> io::Result<Lines> {
        let path = self.folder.join(name);
        let mut content = Vec::new();
        open_file(OpenOptions::new().read(true), &path)?.read_to_end(&mut content)?;
        let (mut lines, mut broken) = (Vec::new(), Vec::new());
        for (number, line) in (1..).zip(content.split(|byte| *byte == b'\n')) {
            match Line::read(line) {
                Some(line) => lines.push(line),
                None if line.is_empty() => {}
                None => broken.push(number),
            }
        }
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

    /// Says to other runs what this one is about to tell.
    ///
    /// # Errors
    /// The file cannot be made.
    pub fn reserve(&self, sending: &[Sending]) -> io::Result<Reservation> {
        let name = format!(".sending-{}-{:016x}", std::process::id(), fastrand::u64(..));
        let path = self.folder.join(name);
        let mut file = OpenOptions::new().write(true).create_new(true).open(&path)?;
        FileExt::try_lock_exclusive(&file)?;
        let reservation = |file| Reservation { path, _file: file };
        match file.write_all(line_of(&sending)?.as_bytes()) {
            Ok(()) => Ok(reservation(file)),
            Err(error) => {
                drop(reservation(file));
                Err(error)
            }
        }
    }

    /// What other runs that still live are about to tell.
    fn in_hand(&self, turn: Option<&Turn>) -> io::Result<Vec<Sending>> {
        let mut in_hand = Vec::new();
        let Ok(entries) = std::fs::read_dir(&self.folder) else {
            return Ok(in_hand);
        };
        for entry in entries {
            let entry = entry?;
            if !entry.file_name().to_string_lossy().starts_with(".sending-") {
                continue;
            }
            // It may be gone by now, or be another user's: then it tells nothing.
            let Ok(mut file) = File::open(entry.path()) else {
                continue;
            };
            match FileExt::try_lock_shared(&file) {
                Ok(()) if turn.is_some() => {
                    // One that stays is void all the same.
                    let _ = std::fs::remove_file(entry.path());
                }
                Ok(()) => {}
                Err(_) => {
                    let mut text = String::new();
                    file.read_to_string(&mut text)?;
                    in_hand.extend(serde_json::from_str::<Vec<Sending>>(&text).unwrap_or_default());
                }
            }
        }
        Ok(in_hand)
    }
}

impl Remembered {
    /// An alert of which nothing is known but that another run is about to tell it.
    fn in_hand(sending: &Sending) -> Self {
        Self {
            alert: Alert {
                kind: sending.identity.kind.clone(),
                severity: sending.severity,
                message: String::new(),
                subject: sending.identity.subject.clone(),
                value: None,
                threshold: None,
            },
            origin: Origin::Send,
            claims: BTreeSet::new(),
            channels: BTreeMap::new(),
        }
    }
}

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

/// A lock file, made if it is not there. Read access is enough to lock it, so another user's serves, too.
fn open_lock(path: &Path) -> io::Result<File> {
    match OpenOptions::new().append(true).create(true).open(path) {
        Err(error) if error.kind() == ErrorKind::PermissionDenied => {
            // That it is not there is no answer: it may not be made.
            File::open(path).map_err(|_| error)
        }
        opened => opened,
    }
}

fn is_contended(error: &io::Error) -> bool {
    error.kind() == fs2::lock_contended_error().kind()
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

/// Appends lines, each in one write, and brings them onto the disk. After a line that a crash tore, on a line of their own.
fn append(path: &Path, lines: &[String]) -> io::Result<()> {
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

// ---- the text logs

/// A line of the text logs: `2023-12-02T02:00:01+08:00 - WARNING - message`, whatever the message holds still one line.
pub fn log_line(time: DateTime<FixedOffset>, severity: Severity, message: &str) -> String {
    format!(
        "{} - {} - {}",
        time.to_rfc3339_opts(chrono::SecondsFormat::Secs, false),
        severity.name().to_uppercase(),
        escaped(message)
    )
}

/// Control characters, and what other programs take for the end of a line, as escapes.
pub fn escaped(message: &str) -> String {
    let mut text = String::with_capacity(message.len());
    for letter in message.chars() {
        match letter {
            letter if letter.is_control() || "\u{2028}\u{2029}".contains(letter) => {
                text.extend(letter.escape_default());
            }
            letter => text.push(letter),
        }
    }
    text
}

/// Appends lines to the log of their severity: `critical_alerts.log`, `error_alerts.log`, `warning_alerts.log`.
///
/// # Errors
/// The first that cannot be written, with its path; the others are written all the same.
pub fn write_logs(folder: &Path, lines: &[(Severity, String)]) -> Result<(), String> {
    let mut failed = None;
    for severity in [Severity::Critical, Severity::Error, Severity::Warning] {
        let own = lines.iter().filter(|(of, _)| *of == severity);
        let own: Vec<String> = own.map(|(_, line)| format!("{line}\n")).collect();
        let path = folder.join(format!("{}_alerts.log", severity.name()));
        if let Err(error) = append(&path, &own) {
            failed.get_or_insert(format!("{}: {error}", path.display()));
        }
    }
    failed.map_or(Ok(()), Err)
}

#[cfg(test)]
mod tests;
