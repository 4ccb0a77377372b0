//! When a run of `alert` first saw each line that somebody wrote by hand: nothing that was due before can be missed. A crontab does not say since
//! when it has a line.

use super::runs::append::open_locked;
use super::runs::path;
use crate::files::{NewFile, SHARED, read_regular};
use crate::folder::Folder;
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

/// A line of a crontab, as one host sees it with one configuration.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SeenLine {
    pub host: String,
    pub config: Option<PathBuf>,
    /// "crontab", or a file.
    pub source: String,
    pub cron: String,
    pub command: String,
    pub since: DateTime<Utc>,
}

impl SeenLine {
    fn is_same(&self, other: &Self) -> bool {
        self.is_of(other)
            && self.source == other.source
            && (&self.cron, &self.command) == (&other.cron, &other.command)
    }

    /// Whether one host sees both with one configuration.
    fn is_of(&self, other: &Self) -> bool {
        (&self.host, &self.config) == (&other.host, &other.config)
    }
}

/// Hosts that are no more would else be kept for ever.
const KEPT: usize = 1_000;

fn file(logs_dir: &Path) -> PathBuf {
    logs_dir.join(".taskmon_seen_lines.json")
}

/// Gives each of these lines the time since when it is known, if it is.
pub fn date(logs_dir: &Path, lines: &mut [SeenLine]) {
    let seen = read(logs_dir).unwrap_or_else(|error| {
        log::info!("{} cannot be read: {error}", file(logs_dir).display());
        Vec::new()
    });
    for line in lines {
        if let Some(known) = seen.iter().find(|known| known.is_same(line)) {
            line.since = line.since.min(known.since);
        }
    }
}

/// Keeps these lines as those that this host sees with this configuration.
///
/// # Errors
/// The file cannot be written. One that cannot be read is made anew.
pub fn remember(logs_dir: &Path, lines: &[SeenLine]) -> io::Result<()> {
    let seen = read(logs_dir).unwrap_or_default();
    let Some(first) = lines.first() else {
        return Ok(());
    };
    if lines.iter().all(|line| seen.contains(line)) {
        return Ok(());
    }
    Folder::make(logs_dir)?;
    // Whoever records a run waits for this lock as well.
    let _turn = open_locked(&path(logs_dir))?;
    let others = read(logs_dir).unwrap_or_default().into_iter().filter(|seen| !seen.is_of(first));
    let all: Vec<SeenLine> = lines.iter().cloned().chain(others).take(KEPT).collect();
    NewFile::create(&file(logs_dir), SHARED)?.publish(&serde_json::to_vec(&all)?)
}

fn read(logs_dir: &Path) -> io::Result<Vec<SeenLine>> {
    match read_regular(&file(logs_dir)) {
        Ok(text) => Ok(serde_json::from_str(&text)?),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(Vec::new()),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(cron: &str, since: &str) -> SeenLine {
        SeenLine {
            host: "box".into(),
            config: None,
            source: "crontab".into(),
            cron: cron.into(),
            command: "stats".into(),
            since: DateTime::parse_from_rfc3339(since).unwrap().to_utc(),
        }
    }

    #[test]
    fn a_line_is_known_since_it_was_first_seen_and_until_it_goes() {
        let folder = tempfile::tempdir().unwrap();
        let logs = folder.path();
        let (early, late) = ("2026-11-01T00:00:00Z", "2026-11-02T00:00:00Z");
        let since = |cron: &str, source: &str| {
            let mut lines = [SeenLine { source: source.into(), ..line(cron, late) }];
            date(logs, &mut lines);
            lines[0].since.to_rfc3339()
        };
        remember(logs, &[line("0 2 * * *", early), line("0 3 * * *", early)]).unwrap();
        assert!(since("0 2 * * *", "crontab").starts_with("2026-11-01"));
        assert!(since("0 4 * * *", "crontab").starts_with("2026-11-02"));
        assert!(since("0 2 * * *", "/etc/crontab").starts_with("2026-11-02"));
        let elsewhere = SeenLine { host: "other".into(), ..line("0 5 * * *", early) };
        remember(logs, &[elsewhere]).unwrap();
        remember(logs, &[line("0 2 * * *", early), line("0 4 * * *", late)]).unwrap();
        assert!(since("0 3 * * *", "crontab").starts_with("2026-11-02"), "it was away");
        assert_eq!(read(logs).unwrap().len(), 3);
    }
}
