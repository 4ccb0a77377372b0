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
    pub form: Option<&'static str>,
}
