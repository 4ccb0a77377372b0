//! Some values of each time column, for `check`.

use chrono::{DateTime, Utc};

/// How many rows are looked at from either end of a table.
pub const SAMPLED_ROWS: usize = 500;

/// A time column and some of its values.
#[derive(Debug, Clone, PartialEq)]
pub struct TimeSample {
    /// By its key in the configuration: `tasks.created_at`.
    pub column: String,
    pub values: Vec<SampledTime>,
}

#[derive(Debug, Clone, PartialEq)]
pub struct SampledTime {
    /// As the database shows it.
    pub shown: String,
    /// As taskmon understands it; `None`: not at all.
    pub time: Option<DateTime<Utc>>,
    /// How it is written, where a column may hold times in several ways.
    pub form: Option<Written>,
}

/// How a column without a type of its own holds a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Written {
    Number,
    /// `2023-12-01 02:00:00+08:00`
    ZonedText,
    /// `2023-12-01T02:00:00`
    LetteredText,
    /// `2023-12-01 02:00:00`
    PlainText,
    Other,
}
