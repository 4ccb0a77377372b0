//! The configuration in force: one function, [`resolve`], knows which source beats which.

use crate::language::Language;
use crate::store::target::Target;
use crate::tables::Mapping;
use chrono_tz::Tz;
use std::path::PathBuf;
use std::time::Duration;

/// Everything that a run was told, resolved once and read-only from then on. Paths are absolute.
pub struct Config {
    /// The file that was read; `None`: none was found, these are the defaults.
    pub file: Option<PathBuf>,
    /// Where relative paths of the file and of the rows start.
    pub base_dir: PathBuf,
    /// Days and hours are counted in this zone.
    pub timezone: Tz,
    pub language: Language,
    pub database: Database,
    pub stats: Stats,
    pub disk: Disk,
    pub alerts: Alerts,
    /// `broker.url`, whose queues this version cannot ask yet.
    pub broker_url: Option<String>,
}

/// Where the tasks are.
pub struct Database {
    /// `None`: no database is configured.
    pub target: Option<Target>,
    /// Where `stats` reads from if not from `target`: a hot standby.
    pub read_target: Option<Target>,
    pub mapping: Mapping,
    /// The zone of timestamps that have none.
    pub naive_zone: Tz,
    pub connect_timeout: Duration,
    /// Zero: none.
    pub statement_timeout: Duration,
}

pub struct Stats {
    pub reports_dir: PathBuf,
    pub slowest_tasks: usize,
    pub failed_task_details: usize,
    pub baseline_days: usize,
    pub error_categories: Vec<ErrorCategory>,
}

/// A failed task belongs to the first category of which its message contains a text.
#[derive(Debug, Clone, PartialEq)]
pub struct ErrorCategory {
    pub name: String,
    pub contains: Vec<String>,
}

pub struct Disk {
    pub paths: Vec<PathBuf>,
    /// Percent; above it, not at it.
    pub warning_percent: f64,
    pub critical_percent: f64,
}

pub struct Alerts {
    pub logs_dir: PathBuf,
}
