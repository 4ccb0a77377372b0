//! What taskmon asks of a database: the [`Store`] trait, its requests and answers as plain data.

pub mod advisory;
pub mod cascades;
pub mod catalogue;
mod columns;
mod errors;
mod fields;
mod groups;
pub mod inspect;
pub mod open;
pub mod postgres;
pub mod prune;
mod refusal;
pub mod settings;
mod sqlite;
pub mod target;

pub use errors::{ErrorGroup, LONGEST_NAME, MOST_EXCEPTIONS};
pub use groups::{DayGroup, GROUPED_BY, Grouped, Groups, ListedFirst, MOST_GROUPS, OpenGroup};
pub use settings::RowSecurity;

use crate::calendar::Day;
use crate::mapping::{Field, Mapping};
use crate::outcome::Failure;
use crate::timezone::Tz;
use anyhow::Result;
use chrono::{DateTime, Utc};
use std::collections::BTreeMap;
use std::time::Duration;

/// A database that holds tasks.
pub trait Store {
    /// The figures of one day, all from one snapshot of the database, read-only.
    ///
    /// # Errors
    /// A [`crate::outcome::Failure`]: the database went away, a statement took too long or was refused, the mapping does not fit.
    fn day_figures(&mut self, request: &DayRequest) -> Result<DayFigures>;

    /// What the open tasks and those of today look like now, all from one snapshot, read-only. Finished tasks of other days are not read.
    ///
    /// # Errors
    /// As [`Store::day_figures`].
    fn live_figures(&mut self, request: &LiveRequest) -> Result<LiveFigures>;

    /// Whether the database answers within this time on the connection that reports are read by.
    fn answers(&mut self, _within: Duration) -> bool {
        true
    }

    /// Why rows may be hidden from the role that asks: figures may lack them. `None`: as far as the catalogue says, it sees all.
    fn hidden_rows(&self) -> Option<&Failure> {
        None
    }

    /// The fields that the mapping names and the table lacks, which reports do without.
    fn missing(&self) -> &[Field];

    /// The fields that the table has, and what the database calls the type of each; of an expression SQLite knows none.
    fn types(&self) -> Vec<(Field, String)>;
}

/// What a store has to know beside where it is.
#[derive(Debug, Clone)]
pub struct StoreSettings {
    pub mapping: Mapping,
    /// The zone of timestamps that have none.
    pub naive_zone: Tz,
    /// How long to wait for a connection; SQLite waits so long for a lock.
    pub connect_timeout: Duration,
    /// No statement runs longer; zero: no limit.
    pub statement_timeout: Duration,
    pub row_security: RowSecurity,
    /// The year, in UTC, before which no row was made.
    pub earliest_year: u16,
}

/// What a day's report wants to know.
#[derive(Debug, Clone)]
pub struct DayRequest {
    /// A pending task that is due later does not wait yet.
    pub now: DateTime<Utc>,
    pub day: Day,
    /// The days whose tasks are counted by status, oldest first.
    pub trend: Vec<Day>,
    /// How many of the slowest tasks are named.
    pub slowest: usize,
    /// How many of the failed tasks are listed.
    pub failed_details: usize,
    /// For each category of errors the texts of which a message contains one. None: errors are counted by the exception that they name.
    pub categories: Vec<Vec<String>>,
    pub listed_first: ListedFirst,
}

/// What a store knows of one day. A field that the table has no column for is `None`.
#[derive(Debug, Default, Clone, PartialEq)]
pub struct DayFigures {
    pub counted_by: Option<Field>,
    /// The fields that the mapping names and the table lacks.
    pub missing: Vec<Field>,
    pub cells: Vec<Cell>,
    pub percentiles: Option<Percentiles>,
    pub slowest: Vec<SlowTask>,
    /// Failed tasks with a message; at most [`MOST_EXCEPTIONS`] exceptions.
    pub errors: BTreeMap<ErrorGroup, u64>,
    pub failed: Vec<FailedTask>,
    pub trend: Vec<DayCount>,
    /// Rows without the time that a task is counted by.
    pub undated: u64,
    /// Rows whose time cannot be read, as far as they were looked at, with one of the values.
    pub unreadable: Option<(u64, String)>,
    /// Tasks in states that are not final, now, on any day; without those that are scheduled.
    pub backlog: Vec<BacklogCount>,
    /// Pending tasks that are not due yet; `None`: the table does not know when tasks are due.
    pub scheduled: Option<u64>,
    pub groups: Grouped<DayGroup>,
}

/// The tasks of one hour, status label and retry count.
#[derive(Debug, Default, Clone, PartialEq)]
pub struct Cell {
    /// 0 to 23, on the local clock.
    pub hour: u8,
    pub label: Option<String>,
    pub retries: Option<i64>,
    pub tasks: u64,
    /// Tasks that have a processing time, and its sum in microseconds.
    pub timed: u64,
    pub micros: i128,
    /// Tasks that have a start, and the sum of the waits before it in microseconds.
    pub waited: u64,
    pub wait_micros: i128,
}

/// Processing times in seconds, linearly interpolated as `percentile_cont` does.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Percentiles {
    pub p50: f64,
    pub p90: f64,
    pub p95: f64,
    pub p99: f64,
    pub max: f64,
}

impl Percentiles {
    pub fn each(self, change: impl Fn(f64) -> f64) -> Self {
        let Self { p50, p90, p95, p99, max } = self;
        let [p50, p90, p95, p99, max] = [p50, p90, p95, p99, max].map(change);
        Self { p50, p90, p95, p99, max }
    }
}

/// How many characters of a label, a status or a queue are read.
pub const LONGEST_LABEL: usize = 1024;

/// How many bytes of an error message are shown, and of how many characters they are taken.
pub const LONGEST_MESSAGE: usize = 64 << 10;

/// The shares that [`Percentiles`] holds, before the maximum.
pub const PERCENTILES: [f64; 4] = [0.5, 0.9, 0.95, 0.99];

#[derive(Debug, Clone, PartialEq)]
pub struct SlowTask {
    pub task: Option<String>,
    /// Seconds.
    pub processing_time: f64,
    pub label: Option<String>,
}

#[derive(Debug, Clone, PartialEq)]
pub struct FailedTask {
    pub task: Option<String>,
    /// Its beginning, up to [`LONGEST_MESSAGE`] characters.
    pub message: Option<String>,
    /// In bytes as it is stored, where these are more than [`LONGEST_MESSAGE`].
    pub message_length: Option<u64>,
    /// `None`: there is no message. An exception may be one that [`DayFigures::errors`] counts among the rest.
    pub group: Option<ErrorGroup>,
    pub retries: Option<i64>,
    pub created_at: DateTime<Utc>,
}

/// The tasks of one day and status label.
#[derive(Debug, Clone, PartialEq)]
pub struct DayCount {
    /// The day's place in [`DayRequest::trend`].
    pub day: usize,
    pub label: Option<String>,
    pub tasks: u64,
}

/// The tasks of one status label, and queue where the table knows it.
#[derive(Debug, Clone, PartialEq)]
pub struct BacklogCount {
    pub label: String,
    pub queue: Option<String>,
    pub tasks: u64,
}

/// What the live rules want to know. A time that says "before" does not belong to what it bounds.
#[derive(Debug, Clone)]
pub struct LiveRequest {
    /// A pending task that is due later does not wait yet.
    pub now: DateTime<Utc>,
    /// The day so far; a task belongs to it as to a report's day.
    pub today: Day,
    /// A processing task that started before it is stuck.
    pub stuck_before: DateTime<Utc>,
    /// A pending task that was made, and was due, before it waits too long.
    pub waiting_before: DateTime<Utc>,
    /// Tasks that finished in this time are counted: from its start on, up to and including its end …
    pub finished_in: (DateTime<Utc>, DateTime<Utc>),
    /// … as far as they were made at this time or later: tables have no index on the time of finishing, so this is what bounds the search.
    pub finished_made_since: DateTime<Utc>,
    pub listed_first: ListedFirst,
}

impl LiveRequest {
    /// Today as the one day that tasks are counted on.
    pub fn day(&self) -> DayRequest {
        DayRequest {
            now: self.now,
            day: self.today.clone(),
            trend: vec![self.today.clone()],
            slowest: 0,
            failed_details: 0,
            categories: Vec::new(),
            listed_first: self.listed_first.clone(),
        }
    }
}

/// What a store knows of the tasks that are not final, and of today's.
#[derive(Debug, Default, Clone, PartialEq)]
pub struct LiveFigures {
    /// Those that are due, by the time that tasks are counted by, or by when they were due if that is later.
    pub pending: OpenTasks,
    /// As [`DayFigures::scheduled`].
    pub scheduled: Option<u64>,
    /// By their start, else their last update, else their creation.
    pub processing: OpenTasks,
    /// Completed and failed tasks that finished in the time asked for: completed ones by their completion, else their last update, failed ones
    /// by their last update, else their completion, either else by the time that tasks are counted by. `None`: the table has neither column.
    pub finished: Option<u64>,
    /// Today's tasks; the day is always 0.
    pub today: Vec<DayCount>,
    /// Open tasks whose time cannot be read, with one of the values; they are counted, and never as too old.
    pub unreadable: Option<(u64, String)>,
    pub groups: Grouped<OpenGroup>,
}

/// The tasks of one state.
#[derive(Debug, Default, Clone, PartialEq)]
pub struct OpenTasks {
    /// All of them, also those without a time.
    pub tasks: u64,
    /// Those older than asked for.
    pub older: u64,
    pub oldest: Option<OpenTask>,
}

#[derive(Debug, Clone, PartialEq)]
pub struct OpenTask {
    pub task: Option<String>,
    pub since: DateTime<Utc>,
}
