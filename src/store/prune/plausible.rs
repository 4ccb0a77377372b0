//! Which times can be right.
//!
//! A clock that was wrong, a number in another unit, or a date that means "not set" (0, `0001-01-01`, `1970-01-01`) is in the past like the time
//! of a row that has expired. What cannot be right never makes a row expire.

use crate::calendar::Shift;
use crate::outcome::Failure;
use chrono::{DateTime, NaiveDate, TimeDelta, Utc};

/// How far in the future a time may lie: the application's clock and zone may differ from this host's.
const MOST_AHEAD: TimeDelta = TimeDelta::days(1);

/// How long before the creation of its row an end may lie: two hosts may have written the two.
pub const MOST_EARLY: TimeDelta = TimeDelta::minutes(1);

/// The span in which every time lies that can be right.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Plausible {
    pub earliest: DateTime<Utc>,
    pub latest: DateTime<Utc>,
}

impl Plausible {
    /// From the beginning of a year in UTC to a day after `now`.
    pub fn new(earliest_year: u16, now: DateTime<Utc>) -> Self {
        let year = NaiveDate::from_ymd_opt(earliest_year.into(), 1, 1).unwrap_or_default();
        let latest = now.plus(MOST_AHEAD);
        Self { earliest: year.and_time(Default::default()).and_utc(), latest }
    }

    pub fn contains(&self, time: DateTime<Utc>) -> bool {
        (self.earliest..=self.latest).contains(&time)
    }
}

/// The newest time of several columns, each asked for by a statement that answers in microseconds since 1970, if it has any. The columns after one
/// that has a time at or after `enough` are not asked.
pub fn newest_of(
    statements: Vec<String>,
    enough: DateTime<Utc>,
    ask: &mut dyn FnMut(&str) -> Result<Option<i64>, Failure>,
) -> Result<Option<DateTime<Utc>>, Failure> {
    let mut newest = None;
    for sql in statements {
        newest = newest.max(ask(&sql)?.and_then(DateTime::from_timestamp_micros));
        if newest >= Some(enough) {
            break;
        }
    }
    Ok(newest)
}
