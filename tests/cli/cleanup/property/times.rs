//! What time columns hold, and what a clock makes of it.

use super::*;
use chrono::NaiveDateTime;

pub const DAY_IN_MINUTES: i64 = 1440;

/// What a time column holds.
#[derive(Debug, Clone)]
pub enum Written {
    /// The truth, so many minutes before the true time.
    True(i64),
    /// No time, or one that cannot be right.
    Wrong(&'static str),
    /// What is no time at all, which only SQLite's columns can hold.
    Unreadable(&'static str),
}

pub fn written() -> impl Strategy<Value = Written> {
    let wrong = [
        "1970-01-01 00:00:00",
        "0001-01-01 00:00:00",
        "1900-01-01 00:00:00",
        "1989-12-31 00:00:00",
        "2999-01-01 00:00:00",
        "9999-12-31 23:59:59",
    ];
    let unreadable =
        ["2460000.5", "20200101", "818000000", "20000", "637000000000000000", "yesterday", "-1"];
    prop_oneof![
        8 => (1i64..60 * DAY_IN_MINUTES).prop_map(Written::True),
        2 => prop::sample::select(wrong.to_vec()).prop_map(Written::Wrong),
        1 => prop::sample::select(unreadable.to_vec()).prop_map(Written::Unreadable),
    ]
}

impl Written {
    fn is_unreadable(&self, clock: &Clock) -> bool {
        matches!(self, Written::Unreadable(_)) && clock.can_hold_anything
    }

    /// As a column in the rows' zone, Shanghai, has it.
    pub fn text(&self, clock: &Clock) -> Option<String> {
        match self {
            Written::True(_) => {
                let local = self.time(clock)? + TimeDelta::hours(8);
                Some(local.format(FORMAT).to_string())
            }
            Written::Wrong(time) => Some((*time).to_owned()),
            Written::Unreadable(value) => clock.can_hold_anything.then(|| (*value).to_owned()),
        }
    }

    fn time(&self, clock: &Clock) -> Option<DateTime<Utc>> {
        match self {
            Written::True(ago) => Some(clock.true_time() - TimeDelta::minutes(*ago)),
            Written::Wrong(time) => {
                let local = NaiveDateTime::parse_from_str(time, FORMAT).unwrap();
                Some(local.and_utc() - TimeDelta::hours(8))
            }
            Written::Unreadable(_) => None,
        }
    }

    /// The time, if it can be right.
    pub fn plausible(&self, clock: &Clock) -> Option<DateTime<Utc>> {
        self.time(clock).filter(|time| clock.is_plausible(*time))
    }
}

const FORMAT: &str = "%Y-%m-%d %H:%M:%S";

/// The clock of the host, and of the database on it.
#[derive(Debug, Clone)]
pub struct Clock {
    /// What it shows.
    pub now: DateTime<Utc>,
    /// How many days after the true time that is.
    pub days_ahead: i64,
    /// Whether there is a record of yesterday's run.
    pub has_record: bool,
    /// Whether a time column can hold what is no time.
    pub can_hold_anything: bool,
}

impl Clock {
    pub fn true_time(&self) -> DateTime<Utc> {
        self.now - TimeDelta::days(self.days_ahead)
    }

    pub fn last_run(&self) -> Option<DateTime<Utc>> {
        self.has_record.then(|| self.true_time() - TimeDelta::days(1))
    }

    fn is_plausible(&self, time: DateTime<Utc>) -> bool {
        let earliest = NaiveDateTime::parse_from_str("1990-01-01 00:00:00", FORMAT).unwrap();
        (earliest.and_utc()..=self.now + TimeDelta::days(1)).contains(&time)
    }

    /// Whether it shows more than 30 days after all the times that are known.
    pub fn has_leapt(&self, times: impl Iterator<Item = DateTime<Utc>>) -> bool {
        let past = self.last_run().filter(|time| *time <= self.now);
        let newest = times.chain(past).max();
        newest.is_some_and(|newest| newest < self.now - TimeDelta::days(30))
    }

    /// The time from which a row's limit counts, of its creation and then of its ends, in the order in which they count; `None`: it stays.
    pub fn ended(&self, created: &Written, ends: &[&Written]) -> Option<DateTime<Utc>> {
        for end in ends {
            if end.is_unreadable(self) {
                return None;
            }
            // A minute before the creation is let pass; a creation that is still to come contradicts every end.
            let earliest = created.time(self).map(|created| created - TimeDelta::minutes(1));
            if let Some(time) = end.plausible(self)
                && earliest.is_none_or(|earliest| time >= earliest)
            {
                return Some(time);
            }
        }
        created.plausible(self)
    }

    pub fn is_older(&self, time: DateTime<Utc>, limit: TimeDelta) -> bool {
        time < self.now - limit
    }
}
