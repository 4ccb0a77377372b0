//! What this host's clock showed before this run.

use chrono::{DateTime, TimeDelta, Utc};

/// A time that this host's clock showed before.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Reading {
    pub time: DateTime<Utc>,
    pub source: Source,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Source {
    /// A run of `cleanup` that found the clock right, or was forced to.
    Checked,
    /// Another job's run, or a report.
    Unchecked,
}

/// The newest reading up to now that the clock came to without a leap. What jobs that do not check the clock left behind after a leap says nothing about it.
pub fn last_reading(
    readings: &[Reading],
    now: DateTime<Utc>,
    gap: TimeDelta,
) -> Option<DateTime<Utc>> {
    let mut past: Vec<&Reading> = readings.iter().filter(|reading| reading.time <= now).collect();
    past.sort_by_key(|reading| reading.time);
    past.into_iter().fold(None, |last: Option<DateTime<Utc>>, reading| {
        let is_near = last.is_none_or(|last| reading.time.signed_duration_since(last) <= gap);
        if is_near || reading.source == Source::Checked { Some(reading.time) } else { last }
    })
}
