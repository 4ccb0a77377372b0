//! taskmon's own log: lines on standard error, the same in a file, and the end of them for a heartbeat's body.

use crate::cli::{Color, Common};
use crate::files::SHARED;
use crate::folder;
use crate::outcome::{Failure, Kind};
use crate::printable::{escaped, escaped_lines};
use crate::timezone::Tz;
use chrono::{SecondsFormat, Utc};
use env_logger::WriteStyle;
use env_logger::fmt::Formatter;
use log::{Log, Metadata, Record};
use rustix::fs::{Mode, OFlags};
use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, Write};
use std::os::unix::fs::FileTypeExt;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

/// How much of the log's end is kept, in bytes.
const KEPT: usize = 10 * 1024;

/// Where lines go beside standard error.
#[derive(Default)]
pub struct LogSink {
    inner: Mutex<Inner>,
}

#[derive(Default)]
struct Inner {
    lines: VecDeque<String>,
    /// Of the lines.
    bytes: usize,
    file: Option<File>,
    /// Why lines are missing in the file.
    failed: Option<io::Error>,
}

impl LogSink {
    /// The last lines, about 10 KiB of them.
    pub fn end(&self) -> String {
        self.with(|inner| inner.lines.iter().map(String::as_str).collect())
    }

    /// Has further lines go to a file too, behind what it holds.
    ///
    /// A run opens it once and by appending alone, so that a log rotation may rename it as well as copy and truncate it.
    ///
    /// # Errors
    /// [`Kind::OutputFailed`] if it cannot be opened. Folders are not made: a mistyped one would swallow the log.
    pub fn open(&self, path: &Path) -> Result<(), Failure> {
        let file = open_file(path).map_err(|error| {
            let message = format!("the log file {} cannot be opened: {error}", path.display());
            Failure::new(Kind::OutputFailed, message)
                .hint("its folder has to be there; --log-file names another file")
        })?;
        self.with(|inner| inner.file = Some(file));
        Ok(())
    }

    /// Why lines are missing in the file, the first time that it is asked.
    pub fn take_failure(&self) -> Option<io::Error> {
        self.with(|inner| inner.failed.take())
    }

    /// Writes a line that standard error shows to the file.
    fn write(&self, line: &str) {
        self.with(|inner| {
            // In one call, so that lines of several runs do not mix.
            if let Some(Err(error)) =
                inner.file.as_mut().map(|file| file.write_all(line.as_bytes()))
            {
                inner.failed.get_or_insert(error);
            }
        });
    }

    fn keep(&self, line: String) {
        self.with(|inner| {
            inner.bytes += line.len();
            inner.lines.push_back(line);
            while inner.bytes > KEPT && inner.lines.len() > 1 {
                let gone = inner.lines.pop_front().unwrap_or_default();
                inner.bytes -= gone.len();
            }
        });
    }

    /// A thread that died while it logged is no reason to lose the log.
    fn with<T>(&self, act: impl FnOnce(&mut Inner) -> T) -> T {
        act(&mut self.inner.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// Refuses what is no file and what other users' links lead to, and does not block on a FIFO that nobody reads.
fn open_file(path: &Path) -> io::Result<File> {
    let flags = OFlags::WRONLY | OFlags::APPEND | OFlags::CREATE;
    let file = folder::open_file(path, flags, Mode::from_raw_mode(SHARED))?;
    let kind = file.metadata()?.file_type();
    if kind.is_file() || kind.is_char_device() {
        Ok(file)
    } else {
        Err(io::Error::other("it is not a regular file"))
    }
}

/// The least that the end of the log is made of: whatever standard error shows, a heartbeat's body says what was done.
const KEPT_LEVEL: log::LevelFilter = log::LevelFilter::Info;

/// Alerts that are resolved, or say that nothing is wrong: shown by default as others are, at a lesser level.
pub const GOOD_NEWS: &str = "taskmon::resolved";

/// Starts the log. Warnings and worse by default; `-v` says what is done, `-vv` every statement. Only taskmon's own lines: `$RUST_LOG` asks for
/// others'. Times are in `zone`.
pub fn start(common: &Common, zone: Tz) -> Arc<LogSink> {
    let level = match i32::from(common.verbose) - i32::from(common.quiet) {
        ..=-2 => "off",
        -1 => "error",
        0 => "warn",
        1 => "info",
        _ => "debug",
    };
    let shown = match level {
        "warn" => format!("taskmon=warn,{GOOD_NEWS}=info"),
        level => format!("taskmon={level}"),
    };
    let wanted = env_logger::Env::default().default_filter_or(shown);
    let mut builder = env_logger::Builder::from_env(wanted);
    match common.color {
        Color::Always => _ = builder.write_style(WriteStyle::Always),
        Color::Never => _ = builder.write_style(WriteStyle::Never),
        Color::Auto => {}
    }
    let shown = builder.format(move |line, record| write_line(line, record, zone)).build();
    let sink = Arc::new(LogSink::default());
    let most = shown.filter().max(KEPT_LEVEL);
    let tee = Tee { shown, sink: Arc::clone(&sink), zone };
    // Only a second logger in one process would be refused.
    if log::set_boxed_logger(Box::new(tee)).is_ok() {
        log::set_max_level(most);
    }
    sink
}

/// `[2023-12-01T02:00:00+08:00 WARN ] message`, the level in its colour on a terminal; further lines of a message are indented.
fn write_line(line: &mut Formatter, record: &Record, zone: Tz) -> io::Result<()> {
    let level = record.level();
    let style = line.default_level_style(level);
    let message = escaped_lines(&record.args().to_string()).replace('\n', "\n    ");
    writeln!(line, "[{} {style}{level:<5}{style:#}] {message}", now(zone))
}

fn now(zone: Tz) -> String {
    Utc::now().with_timezone(&zone).to_rfc3339_opts(SecondsFormat::Secs, false)
}

/// Hands each line to standard error and to the sink.
struct Tee {
    shown: env_logger::Logger,
    sink: Arc<LogSink>,
    zone: Tz,
}

impl Log for Tee {
    fn enabled(&self, metadata: &Metadata) -> bool {
        is_kept(metadata) || self.shown.enabled(metadata)
    }

    fn log(&self, record: &Record) {
        let is_shown = self.shown.matches(record);
        if !is_shown && !is_kept(record.metadata()) {
            return;
        }
        // One line, whatever a database or a service said in it.
        let message = escaped(&record.args().to_string());
        let line = format!("{} {:5} {message}\n", now(self.zone), record.level());
        if is_shown {
            self.shown.log(record);
            self.sink.write(&line);
        }
        self.sink.keep(line);
    }

    fn flush(&self) {
        self.shown.flush();
    }
}

fn is_kept(metadata: &Metadata) -> bool {
    metadata.level() <= KEPT_LEVEL && metadata.target().starts_with("taskmon")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_of_the_log_is_kept_in_complete_lines() {
        let sink = LogSink::default();
        for number in 0..1000 {
            sink.keep(format!("line {number} {}\n", "字".repeat(10)));
        }
        let end = sink.end();
        assert!(end.len() <= KEPT && end.len() > KEPT - 100, "{}", end.len());
        assert!(
            end.starts_with("line ") && end.ends_with("line 999 字字字字字字字字字字\n"),
            "{end}"
        );
        let numbers: Vec<usize> =
            end.lines().map(|line| line.split(' ').nth(1).unwrap().parse().unwrap()).collect();
        assert!(numbers.windows(2).all(|pair| pair[0] + 1 == pair[1]), "{numbers:?}");
    }

    #[test]
    fn one_endless_line_is_kept() {
        let sink = LogSink::default();
        sink.keep("before\n".to_owned());
        sink.keep("x".repeat(3 * KEPT));
        assert_eq!(sink.end().len(), 3 * KEPT);
    }
}
