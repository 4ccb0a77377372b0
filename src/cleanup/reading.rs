//! What time it was before this run, as far as that is known.

use chrono::{DateTime, TimeDelta, Utc};

/// A time that is known without asking this host's clock now.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Reading {
    pub time: DateTime<Utc>,
    pub source: Source,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Source {
    /// A run of `cleanup` that found the clock right, or was forced to; or the newest time of the tasks.
    Checked,
    /// Another job's run, or a report: as right or wrong as this host's clock was then.
    Unchecked,
}

/// The newest reading up to now that the clock came to without a leap. What jobs that do not check the clock left behind after a leap says nothing
/// about it. It is checked if it goes back to one that is.
pub fn last_reading(readings: &[Reading], now: DateTime<Utc>, gap: TimeDelta) -> Option<Reading> {
    let mut past: Vec<Reading> =
        readings.iter().copied().filter(|reading| reading.time <= now).collect();
    past.sort_by_key(|reading| reading.time);
    past.into_iter().reduce(|last, reading| {
        let is_near = reading.time.signed_duration_since(last.time) <= gap;
        match (reading.source, is_near) {
            (Source::Checked, _) => reading,
            (Source::Unchecked, true) => Reading { time: reading.time, ..last },
            (Source::Unchecked, false) => last,
        }
    })
}
