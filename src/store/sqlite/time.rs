//! The forms in which SQLite columns hold a time, and how values in any of them compare with instants.

use crate::calendar::{Shift, instant_of, wall_clock_bound};
use crate::store::prune::sample::Written;
use crate::timezone::Tz;
use chrono::{DateTime, Datelike, NaiveDate, NaiveDateTime, TimeDelta, Utc};
use rusqlite::types::ValueRef;
use std::ops::Range;

const SECOND: i64 = 1_000_000;
const DAY: i64 = 86_400 * SECOND;

/// No place on earth is further from UTC than 14 hours; PostgreSQL reads offsets up to here.
const LARGEST_OFFSET: i64 = 16 * 3600 * SECOND - SECOND;

/// A time as it is in a column, in microseconds since 1970.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Moment {
    pub micros: i64,
    pub form: Form,
}

impl Moment {
    /// `zone` is what values without an offset mean.
    pub fn instant(self, zone: Tz) -> DateTime<Utc> {
        if self.form.is_instant() {
            let latest =
                if self.micros < 0 { DateTime::<Utc>::MIN_UTC } else { DateTime::<Utc>::MAX_UTC };
            DateTime::from_timestamp_micros(self.micros).unwrap_or(latest)
        } else {
            instant_of(wall_clock(self.micros), zone)
        }
    }
}

/// How a value says its time.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Form {
    /// `2026-11-22`
    Date,
    /// `2026-11-22 10:30:00.123456`, the wall clock of the column's zone
    Spaced,
    /// `2026-11-22T10:30:00.123456`, likewise
    Lettered,
    /// Text with `Z` or an offset: an instant
    Offset,
    /// Seconds since 1970, UTC, or thousandths, millionths or billionths of them: an instant
    Number,
}

impl Form {
    pub fn is_instant(self) -> bool {
        matches!(self, Form::Offset | Form::Number)
    }
}

/// Which forms occur among the values that were read.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Forms {
    spaced: bool,
    lettered: bool,
    instants: bool,
}

impl Forms {
    pub fn note(&mut self, form: Form) {
        match form {
            Form::Date => {}
            Form::Spaced => self.spaced = true,
            Form::Lettered => self.lettered = true,
            Form::Offset | Form::Number => self.instants = true,
        }
    }

    /// The separator between date and time if text in this form compares as the times do; `None` where forms are mixed.
    pub fn separator(self) -> Option<char> {
        match (self.spaced, self.lettered, self.instants) {
            (_, false, false) => Some(' '),
            (false, true, false) => Some('T'),
            _ => None,
        }
    }
}

/// Instants in rising order, against which values in any form are held.
#[derive(Debug, Clone)]
pub struct Ruler {
    instants: Vec<i64>,
    wall_clocks: Vec<i64>,
}

impl Ruler {
    /// `zone` is what values without an offset mean.
    pub fn new(bounds: &[DateTime<Utc>], zone: Tz) -> Self {
        let wall_clock = |bound: &DateTime<Utc>| wall_clock_bound(*bound, zone).and_utc();
        Self {
            instants: bounds.iter().map(DateTime::timestamp_micros).collect(),
            wall_clocks: bounds.iter().map(|bound| wall_clock(bound).timestamp_micros()).collect(),
        }
    }

    /// How many answers [`Ruler::place`] has.
    pub fn places(&self) -> usize {
        self.instants.len() + 1
    }

    /// How many of the bounds lie at or before the moment.
    pub fn place(&self, moment: Moment) -> usize {
        let bounds = if moment.form.is_instant() { &self.instants } else { &self.wall_clocks };
        bounds.partition_point(|bound| *bound <= moment.micros)
    }

    /// The dates between which text of any form can lie within the bounds, the second not included.
    pub fn text_range(&self) -> Option<(String, String)> {
        let date = |micros: i64| {
            let time = DateTime::from_timestamp_micros(micros)?;
            Some(time.format("%Y-%m-%d").to_string())
        };
        let first = (*self.instants.first()? - LARGEST_OFFSET).min(*self.wall_clocks.first()?);
        let last = (*self.instants.last()? + LARGEST_OFFSET).max(*self.wall_clocks.last()?);
        Some((date(first)?, date(last + DAY - 1)?))
    }

    /// The same for numbers, in each of the units.
    pub fn number_ranges(&self) -> Option<[(i64, i64); 4]> {
        let (first, last) = self.ends()?;
        let number = |micros: i64, unit: &Unit| {
            let number = i128::from(micros) * i128::from(unit.in_a_second) / i128::from(SECOND);
            i64::try_from(number).unwrap_or(if micros < 0 { i64::MIN } else { i64::MAX })
        };
        Some(UNITS.each_ref().map(|unit| (number(first - DAY, unit), number(last + DAY, unit))))
    }

    fn ends(&self) -> Option<(i64, i64)> {
        let first = self.instants.first()?.min(self.wall_clocks.first()?);
        let last = self.instants.last()?.max(self.wall_clocks.last()?);
        Some((*first, *last))
    }
}

/// Text that compares with values of one form as the wall-clock time itself does: cut off after its last part that is not zero, so
/// that values without seconds, or without a time, compare right as well.
pub fn bound_text(instant: DateTime<Utc>, zone: Tz, separator: char) -> String {
    let time = wall_clock_bound(instant, zone);
    let text = time.format(&format!("%Y-%m-%d{separator}%H:%M:%S")).to_string();
    let text = text.strip_suffix(":00").unwrap_or(&text);
    let midnight = format!("{separator}00:00");
    text.strip_suffix(&midnight).unwrap_or(text).to_owned()
}

/// The time that a value says; `None` for what is no time.
pub fn read(value: ValueRef) -> Option<Moment> {
    Reader::default().read(value)
}

/// Reads one value after the other: most are of the same date as the one before.
#[derive(Default)]
pub struct Reader {
    /// A date, and the microseconds since 1970 at its midnight.
    last: Option<([u8; 10], i64)>,
}

impl Reader {
    /// The time that a value says; `None` for what is no time.
    pub fn read(&mut self, value: ValueRef) -> Option<Moment> {
        match value {
            ValueRef::Text(text) => {
                let (date, rest) = text.split_first_chunk()?;
                read_text(self.date(date)?, rest)
            }
            other => read_number(other),
        }
    }

    fn date(&mut self, text: &[u8; 10]) -> Option<i64> {
        if let Some((date, micros)) = self.last
            && date == *text
        {
            return Some(micros);
        }
        let micros = read_date(text)?;
        self.last = Some((*text, micros));
        Some(micros)
    }
}

fn read_number(value: ValueRef) -> Option<Moment> {
    match value {
        ValueRef::Integer(number) => {
            let micros = i128::from(number) * i128::from(SECOND);
            let micros = micros.div_euclid(i128::from(in_a_second(u64::try_from(number).ok()?)?));
            Some(Moment { micros: i64::try_from(micros).ok()?, form: Form::Number })
        }
        ValueRef::Real(number) => {
            let in_a_second = in_a_second(number as u64)? as f64;
            let micros = (number / in_a_second * SECOND as f64).round();
            Some(Moment { micros: micros as i64, form: Form::Number })
        }
        _ => None,
    }
}

/// A unit in which numbers say a time.
struct Unit {
    in_a_second: i64,
    /// The numbers that are in this unit.
    sizes: Range<u64>,
}

/// Each from 2001-09-09 on. Other numbers are no times: a count of another unit or from another year would be an old time in one of these, such as
/// the days of the Julian period (2.5e6), dates as digits (20261129), seconds since 2001 (8.2e8 in 2026, or 1995), .NET's ticks since the year 1
/// (6.4e17, in nanoseconds 1990) and Windows' since 1601 (1.3e17, or 1974).
const UNITS: [Unit; 4] = [
    Unit { in_a_second: 1, sizes: 1_000_000_000..100_000_000_000 },
    Unit { in_a_second: 1_000, sizes: 1_000_000_000_000..100_000_000_000_000 },
    Unit { in_a_second: 1_000_000, sizes: 1_000_000_000_000_000..100_000_000_000_000_000 },
    Unit { in_a_second: 1_000_000_000, sizes: 1_000_000_000_000_000_000..u64::MAX },
];

fn in_a_second(number: u64) -> Option<i64> {
    UNITS.iter().find(|unit| unit.sizes.contains(&number)).map(|unit| unit.in_a_second)
}

/// How a value is written, for messages. A date alone is taken for a text without zone.
pub fn written(value: ValueRef, moment: Option<Moment>) -> Written {
    match (value, moment.map(|moment| moment.form)) {
        (ValueRef::Integer(_) | ValueRef::Real(_), _) => Written::Number,
        (_, Some(Form::Offset)) => Written::ZonedText,
        (_, Some(Form::Lettered)) => Written::LetteredText,
        (_, Some(_)) => Written::PlainText,
        _ => Written::Other,
    }
}

/// Whether a value says that there is no time.
pub fn is_unset(value: ValueRef) -> bool {
    match value {
        ValueRef::Null | ValueRef::Integer(0) => true,
        ValueRef::Text(text) => text.is_empty(),
        ValueRef::Real(number) => number == 0.0,
        _ => false,
    }
}

/// `YYYY-MM-DD[( |T)HH:MM[:SS[.fraction]][ ][Z|±HH[[:]MM]]]`, its date being read, to the microsecond; SQLite's own functions round to
/// milliseconds, which moves the last half millisecond of a day into the next.
fn read_text(date: i64, rest: &[u8]) -> Option<Moment> {
    let Some((separator, rest)) = rest.split_first() else {
        return Some(Moment { micros: date, form: Form::Date });
    };
    let form = match separator {
        b' ' => Form::Spaced,
        b'T' | b't' => Form::Lettered,
        _ => return None,
    };
    let (time, rest) = read_time(rest)?;
    let micros = date + time;
    match rest {
        b"" => Some(Moment { micros, form }),
        offset => Some(Moment { micros: micros - read_offset(offset)?, form: Form::Offset }),
    }
}

fn read_date(text: &[u8; 10]) -> Option<i64> {
    if text[4] != b'-' || text[7] != b'-' {
        return None;
    }
    let year = digits(&text[..4])? as i32;
    let date = NaiveDate::from_ymd_opt(year, digits(&text[5..7])?, digits(&text[8..10])?)?;
    let epoch = 719_163; // 1970-01-01, counted from the year 1
    Some(i64::from(date.num_days_from_ce() - epoch) * DAY)
}

/// The time of day in microseconds, and what follows it.
fn read_time(text: &[u8]) -> Option<(i64, &[u8])> {
    let (hour, minute) = (digits(text.get(..2)?)?, digits(text.get(3..5)?)?);
    if text[2] != b':' || hour > 23 || minute > 59 {
        return None;
    }
    let mut micros = i64::from(hour * 3600 + minute * 60) * SECOND;
    let mut rest = &text[5..];
    if let Some(seconds) = rest.strip_prefix(b":") {
        let second = digits(seconds.get(..2)?)?;
        if second > 60 {
            return None;
        }
        micros += i64::from(second) * SECOND;
        rest = &seconds[2..];
        if let Some(fraction) = rest.strip_prefix(b".") {
            let length = fraction.iter().take_while(|byte| byte.is_ascii_digit()).count();
            let mut unit = SECOND / 10;
            for byte in &fraction[..length] {
                micros += i64::from(byte - b'0') * unit;
                unit /= 10;
            }
            rest = &fraction[length..];
        }
    }
    Some((micros, rest))
}

fn read_offset(text: &[u8]) -> Option<i64> {
    let text = text.strip_prefix(b" ").unwrap_or(text);
    if matches!(text, b"Z" | b"z" | b"UTC") {
        return Some(0);
    }
    let (sign, text) = text.split_first()?;
    let minutes = match text.len() {
        2 => 0,
        4 => digits(&text[2..])?,
        5 if text[2] == b':' => digits(&text[3..])?,
        _ => return None,
    };
    let size = i64::from(digits(&text[..2])? * 60 + minutes) * 60 * SECOND;
    if minutes > 59 || size > LARGEST_OFFSET {
        return None;
    }
    match sign {
        b'+' => Some(size),
        b'-' => Some(-size),
        _ => None,
    }
}

fn digits(text: &[u8]) -> Option<u32> {
    text.iter().try_fold(0, |number, byte| {
        byte.is_ascii_digit().then(|| number * 10 + u32::from(byte - b'0'))
    })
}

/// Microseconds since 1970 as a time.
fn wall_clock(micros: i64) -> NaiveDateTime {
    DateTime::UNIX_EPOCH.naive_utc().plus(TimeDelta::microseconds(micros))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::timezone::zone;

    fn micros(text: &str) -> Option<(i64, Form)> {
        read(ValueRef::Text(text.as_bytes())).map(|moment| (moment.micros, moment.form))
    }

    #[test]
    fn every_form_of_one_moment_reads_alike() {
        let seconds = 1_700_000_000 * SECOND; // 2023-11-14 22:13:20 UTC
        for (text, form, more) in [
            ("2023-11-14 22:13:20", Form::Spaced, 0),
            ("2023-11-14T22:13:20", Form::Lettered, 0),
            ("2023-11-14 22:13:20.5", Form::Spaced, 500_000),
            ("2023-11-14 22:13:20.999999", Form::Spaced, 999_999),
            ("2023-11-14 22:13:20.9999999", Form::Spaced, 999_999),
            ("2023-11-14T22:13:20Z", Form::Offset, 0),
            ("2023-11-14 22:13:20+00:00", Form::Offset, 0),
            ("2023-11-15 03:43:20.25+05:30", Form::Offset, 250_000),
            ("2023-11-15T06:13:20+0800", Form::Offset, 0),
            ("2023-11-14 17:13:20 -05", Form::Offset, 0),
            ("2023-11-14 22:13:20 UTC", Form::Offset, 0),
        ] {
            assert_eq!(micros(text), Some((seconds + more, form)), "{text}");
        }
        assert_eq!(micros("2023-11-14 22:13"), Some((seconds - 20 * SECOND, Form::Spaced)));
        assert_eq!(micros("1970-01-02"), Some((DAY, Form::Date)));
        for number in [
            ValueRef::Integer(1_700_000_000),
            ValueRef::Integer(1_700_000_000_000),
            ValueRef::Integer(1_700_000_000_000_000),
            ValueRef::Integer(1_700_000_000_000_000_000),
            ValueRef::Real(1.7e9),
            ValueRef::Real(1.7e12),
            ValueRef::Real(1.7e15),
            ValueRef::Real(1.7e18),
        ] {
            assert_eq!(read(number).unwrap().micros, seconds, "{number:?}");
        }
    }

    #[test]
    fn the_size_of_a_number_says_its_unit() {
        for (number, year) in [
            (1_000_000_000, 2001),
            (99_999_999_999, 5138),
            (1_000_000_000_000, 2001),
            (99_999_999_999_999, 5138),
            (1_000_000_000_000_000, 2001),
            (99_999_999_999_999_999, 5138),
            (1_000_000_000_000_000_000, 2001),
            (i64::MAX, 2262),
        ] {
            let instant = read(ValueRef::Integer(number)).unwrap().instant(Tz::UTC);
            assert_eq!(instant.year(), year, "{instant}");
            assert_eq!(instant.with_timezone(&zone("Asia/Shanghai")).to_utc(), instant);
        }
    }

    #[test]
    fn a_count_since_another_year_is_no_old_time() {
        for (of, number) in [
            (".NET's ticks", 639_000_000_000_000_000),
            ("Windows' file times", 134_000_000_000_000_000),
            ("milliseconds of the Julian period", 212_600_000_000_000),
            ("seconds since 2001", 818_000_000),
            ("digits of a date", 20_261_129),
            ("days", 20_786),
            ("Go's zero", -62_135_596_800),
            ("the least", i64::MIN),
        ] {
            assert_eq!(read(ValueRef::Integer(number)), None, "{of}");
            assert_eq!(read(ValueRef::Real(number as f64)), None, "{of}");
        }
        assert_eq!(read(ValueRef::Real(1e300)), None);
    }

    #[test]
    fn what_is_no_time_is_not_read_as_one() {
        for text in [
            "",
            "yesterday",
            "2023-13-01",
            "2023-02-30 10:00:00",
            "2023-11-14 24:00:00",
            "2023-11-14 22:61:00",
            "2023-11-14x22:13:20",
            "2023-11-14 22:13:20 CET",
            "1700000000",
            "2023/11/14 22:13:20",
            "2023-11-14 22",
            "2023-11-14 22:13:20+5",
            "2023-11-14 22:13:20+16:00",
            "2023-11-14 22:13:20-05:60",
            "2023-11-14 22:13:2",
        ] {
            assert_eq!(micros(text), None, "{text}");
        }
        assert_eq!(read(ValueRef::Null), None);
        assert_eq!(read(ValueRef::Blob(b"2023-11-14")), None);
        assert_eq!(read(ValueRef::Real(f64::NAN)), None);
    }

    #[test]
    fn bounds_are_as_short_as_the_shortest_value_that_means_them() {
        let instant = |text: &str| text.parse::<DateTime<Utc>>().unwrap();
        for (time, separator, expected) in [
            ("2023-11-14T16:00:00Z", ' ', "2023-11-15"),
            ("2023-11-14T17:00:00Z", ' ', "2023-11-15 01:00"),
            ("2023-11-14T17:00:30Z", 'T', "2023-11-15T01:00:30"),
        ] {
            assert_eq!(bound_text(instant(time), zone("Asia/Shanghai"), separator), expected);
        }
    }

    #[test]
    fn text_of_any_form_within_the_bounds_lies_within_the_range() {
        let bounds = ["2023-11-13T16:00:00Z", "2023-11-14T16:00:00Z"]
            .map(|text| text.parse::<DateTime<Utc>>().unwrap());
        let range = Ruler::new(&bounds, zone("Asia/Shanghai")).text_range();
        assert_eq!(range, Some(("2023-11-13".to_owned(), "2023-11-16".to_owned())));
        let ruler = Ruler::new(&bounds, Tz::UTC);
        let (low, high) = ruler.text_range().unwrap();
        for text in
            ["2023-11-13T00:01:00-15:59", "2023-11-15T07:58:59+15:59", "2023-11-14 15:59:59"]
        {
            assert_eq!(ruler.place(read(ValueRef::Text(text.as_bytes())).unwrap()), 1, "{text}");
            assert!(low.as_str() <= text && text < high.as_str(), "{text}");
        }
    }

    #[test]
    fn mixed_forms_do_not_compare_as_text() {
        let mut forms = Forms::default();
        assert_eq!(forms.separator(), Some(' '));
        forms.note(Form::Lettered);
        assert_eq!(forms.separator(), Some('T'));
        forms.note(Form::Date);
        assert_eq!(forms.separator(), Some('T'));
        forms.note(Form::Spaced);
        assert_eq!(forms.separator(), None);
        let mut forms = Forms::default();
        forms.note(Form::Offset);
        assert_eq!(forms.separator(), None);
    }
}
