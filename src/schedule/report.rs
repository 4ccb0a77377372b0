//! The results of `schedule`.

use super::runs::RunRecord;
use crate::outcome::Issue;
use chrono::{DateTime, SecondsFormat, Utc};
use serde::Serialize;
use std::path::PathBuf;

/// A job of the configuration.
#[derive(Debug, Serialize)]
pub struct JobLine {
    pub name: String,
    pub cron: String,
    pub command: String,
    pub queue: String,
    pub priority: u8,
    /// RFC 3339 in the zone that cron goes by; `None`: never, or at boot.
    pub next_run: Option<String>,
    /// The same, for pages.
    #[serde(skip)]
    pub next: Option<DateTime<Utc>>,
}

/// The result of `schedule list`.
#[derive(Debug, Serialize)]
pub struct ScheduleReport {
    pub success: bool,
    /// The zone that cron goes by.
    pub timezone: String,
    pub jobs: Vec<JobLine>,
    /// Jobs that are installed under names that the configuration does not have.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub leftover: Vec<String>,
    /// What a person should know, and what to do about it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<String>,
}

/// The result of `schedule status`.
#[derive(Debug, Serialize)]
pub struct StatusReport {
    pub success: bool,
    /// `None`: other users' processes are hidden here.
    pub cron_running: Option<bool>,
    /// Jobs are installed, and all of them as systemd's timers, which need no cron.
    #[serde(skip)]
    pub by_timers: bool,
    /// Jobs that are written as units and not enabled.
    #[serde(skip)]
    pub idle: Vec<String>,
    pub timezone: String,
    pub jobs: Vec<JobStatus>,
    /// Jobs that are installed under names that the configuration does not have.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub leftover: Vec<String>,
    /// What a person should know, and what to do about it.
    pub warnings: Vec<String>,
    /// The same, as it was called first.
    pub notes: Vec<String>,
    /// What could not be looked at.
    pub errors: Vec<Issue>,
}

#[derive(Debug, Serialize)]
pub struct JobStatus {
    #[serde(flatten)]
    pub line: JobLine,
    /// `None`: not known.
    pub installed: Option<bool>,
    /// Where it is: "crontab", a file such as /etc/cron.d/shop, or the folder of its units.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
    /// The line there, if somebody wrote it by hand.
    #[serde(rename = "line", skip_serializing_if = "Option::is_none")]
    pub line_number: Option<usize>,
    /// Whether it is installed otherwise than configured; `None`: it is not installed.
    pub outdated: Option<bool>,
    pub last_run: Option<LastRun>,
    /// `None`: it is not installed, so it is never due.
    pub overdue: Option<bool>,
}

#[derive(Debug, Serialize)]
pub struct LastRun {
    /// For pages: when it began.
    #[serde(skip)]
    pub began: DateTime<Utc>,
    /// For pages: when it ended.
    #[serde(skip)]
    pub ended: DateTime<Utc>,
    pub start: String,
    pub end: String,
    pub exit_code: u8,
    pub duration_seconds: f64,
    pub skipped: bool,
}

impl LastRun {
    pub fn of(run: &RunRecord) -> Self {
        let text = |time: &chrono::DateTime<chrono::FixedOffset>| {
            time.to_rfc3339_opts(SecondsFormat::Secs, false)
        };
        Self {
            began: run.start.to_utc(),
            ended: run.end.to_utc(),
            start: text(&run.start),
            end: text(&run.end),
            exit_code: run.exit_code,
            duration_seconds: run.duration_seconds,
            skipped: run.skipped,
        }
    }
}

/// The result of `schedule logs`.
#[derive(Debug, Serialize)]
pub struct LogReport {
    pub success: bool,
    pub runs: Vec<RunRecord>,
}

/// The result of `schedule install` and `schedule remove`.
#[derive(Debug, Default, Serialize)]
pub struct Change {
    pub success: bool,
    pub dry_run: bool,
    /// Whether something is other than before, or would be.
    pub changed: bool,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub jobs: Vec<JobLine>,
    /// Jobs of other queues.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub left_out: Vec<String>,
    /// The lines of the crontab, or the units.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub block: Option<String>,
    /// Lines of the block that taskmon had not written, and that are gone with it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub dropped: Vec<String>,
    /// Lines by hand that are comments now, as they were.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub replaced: Vec<String>,
    /// Units that were written.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub files: Vec<PathBuf>,
    /// Units that went.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub removed: Vec<PathBuf>,
    /// Commands to run now.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub next: Vec<String>,
    /// What a person should know, and what to do about it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<String>,
    /// The same, as it was called first.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
}
