//! The values of options, read where clap reads the options.
//!
//! One that cannot be read is a failure of the run rather than clap's: the run is recorded, its error document is in the format that was
//! asked for, and a job's heartbeat and textfile say how it ended.

use crate::calendar::Shift;
use crate::notify::silences::Matcher;
use crate::outcome::{Failure, Kind};
use chrono::{DateTime, NaiveDate, TimeDelta, Utc};
use std::convert::Infallible;
use std::ops::RangeInclusive;

/// A value, or why it is none.
pub type Parsed<T> = Result<T, Failure>;

/// `--as-of`
#[derive(Debug, Clone, PartialEq)]
pub struct AsOf {
    pub time: DateTime<Utc>,
    /// As it is written.
    pub text: String,
}

/// `--date`
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReportDay {
    Date(NaiveDate),
    /// So many days before today, a day of the configured zone: known only once the configuration is read.
    Ago(u32),
}

impl ReportDay {
    /// Fails for a day after `today`: it has no tasks yet, and its report would be saved as if it had none.
    pub fn resolve(self, today: NaiveDate) -> Parsed<NaiveDate> {
        match self {
            ReportDay::Ago(ago) => Ok(today.minus(TimeDelta::days(i64::from(ago)))),
            ReportDay::Date(date) if date > today => {
                Err(usage(format!("--date is {date}, a day in the future: today is {today}")))
            }
            ReportDay::Date(date) => Ok(date),
        }
    }
}

/// The most reports that one run makes: ten years.
const MOST_DAYS: u64 = 3660;

/// A parser of clap's that hands a mistake on.
pub fn parser<T: 'static>(
    parse: fn(&str) -> Parsed<T>,
) -> impl Fn(&str) -> Result<Parsed<T>, Infallible> + Clone + Send + Sync + 'static {
    move |text| Ok(parse(text))
}

/// A day as it is written: as `2026-11-20`, `20261120` or `2026/11/20`, as a word, or as how many days ago it was.
pub fn date(text: &str) -> Parsed<ReportDay> {
    match text.to_lowercase().as_str() {
        "today" | "今天" => return Ok(ReportDay::Ago(0)),
        "yesterday" | "昨天" => return Ok(ReportDay::Ago(1)),
        _ => {}
    }
    if let Some(ago) = text.strip_prefix('-').filter(|ago| is_number(ago, 1..=4)) {
        return ago.parse().map(ReportDay::Ago).map_err(|_| no_day(text));
    }
    let [year, month, day] = parts_of_date(text).ok_or_else(|| no_day(text))?;
    if !(1900..3000).contains(&year) {
        return Err(no_day(text));
    }
    // A year of four digits fits.
    let date = NaiveDate::from_ymd_opt(i32::try_from(year).unwrap_or_default(), month, day);
    date.map(ReportDay::Date).ok_or_else(|| {
        usage(format!("--date is \"{text}\", a day that does not exist in the calendar"))
    })
}

/// Year, month and day, of four, two and two digits.
fn parts_of_date(text: &str) -> Option<[u32; 3]> {
    let separator = ['-', '/'].into_iter().find(|separator| text.contains(*separator));
    let parts = match separator {
        Some(separator) => text.split(separator).collect::<Vec<_>>(),
        None => vec![text.get(..4)?, text.get(4..6)?, text.get(6..)?],
    };
    let [year, month, day] = parts[..] else {
        return None;
    };
    let is_date = is_number(year, 4..=4) && is_number(month, 2..=2) && is_number(day, 2..=2);
    is_date.then_some([year.parse().ok()?, month.parse().ok()?, day.parse().ok()?])
}

fn is_number(text: &str, digits: RangeInclusive<usize>) -> bool {
    digits.contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit())
}

fn no_day(text: &str) -> Failure {
    let expected = "a day from 1900-01-01 to 2999-12-31, written YYYY-MM-DD, YYYYMMDD or YYYY/MM/DD; or today, yesterday, -2 (two days ago)";
    usage(format!("--date is \"{text}\"; expected {expected}"))
}

pub fn days(text: &str) -> Parsed<u64> {
    let count = text.parse().ok().filter(|count| (1..=MOST_DAYS).contains(count));
    count.ok_or_else(|| {
        usage(format!("--days is \"{text}\"; expected a whole number from 1 to {MOST_DAYS}"))
    })
}

pub fn as_of(text: &str) -> Parsed<AsOf> {
    match DateTime::parse_from_rfc3339(text) {
        Ok(time) => Ok(AsOf { time: time.to_utc(), text: text.to_owned() }),
        Err(error) => {
            let expected = "a time with its offset, such as 2026-11-22T04:00:00+08:00";
            Err(usage(format!("--as-of is \"{text}\" ({error}); expected {expected}")))
        }
    }
}

/// The longest that alerts are silenced for.
const LONGEST_SILENCE: TimeDelta = TimeDelta::days(366);

pub fn duration(text: &str) -> Parsed<TimeDelta> {
    let parsed = humantime::parse_duration(text).ok();
    let parsed = parsed.and_then(|duration| TimeDelta::from_std(duration).ok());
    parsed.filter(|duration| (TimeDelta::minutes(1)..=LONGEST_SILENCE).contains(duration)).ok_or_else(|| {
        usage(format!("--for is \"{text}\"; expected from 1m to 366days, such as 30m, 2h, 1d or \"1h 30m\""))
    })
}

pub fn silence(text: &str) -> Parsed<Matcher> {
    matcher("--silence", text)
}

pub fn unsilence(text: &str) -> Parsed<Matcher> {
    matcher("--unsilence", text)
}

fn matcher(option: &str, text: &str) -> Parsed<Matcher> {
    let parsed = text.parse();
    parsed.map_err(|expected| usage(format!("{option} is \"{text}\"; expected {expected}")))
}

pub fn warning(text: &str) -> Parsed<f64> {
    percent("--warning", text)
}

pub fn critical(text: &str) -> Parsed<f64> {
    percent("--critical", text)
}

fn percent(flag: &str, text: &str) -> Parsed<f64> {
    let is = match text.parse::<f64>() {
        Ok(percent) if (0.0..=100.0).contains(&percent) => return Ok(percent),
        Ok(percent) => percent.to_string(),
        Err(_) => format!("\"{text}\""),
    };
    Err(usage(format!("{flag} is {is}; expected a number of percent from 0 to 100")))
}

fn usage(message: String) -> Failure {
    Failure::new(Kind::Usage, message)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_percentage_is_a_number_from_0_to_100() {
        assert_eq!([warning("0"), critical("99.5")], [Ok(0.0), Ok(99.5)]);
        for (text, is) in [("-1", "-1"), ("100.5", "100.5"), ("nan", "NaN"), ("x", "\"x\"")] {
            let failure = warning(text).unwrap_err();
            assert_eq!(failure.kind, Kind::Usage);
            let message = format!("--warning is {is}; expected a number of percent from 0 to 100");
            assert_eq!(failure.message, message);
        }
    }
    #[test]
    fn a_day_is_written_in_several_ways() {
        let november_20 = NaiveDate::from_ymd_opt(2026, 11, 20).unwrap();
        for text in ["2026-11-20", "20261120", "2026/11/20"] {
            assert_eq!(date(text), Ok(ReportDay::Date(november_20)), "{text}");
        }
        for (text, ago) in
            [("today", 0), ("今天", 0), ("Yesterday", 1), ("昨天", 1), ("-1", 1), ("-30", 30)]
        {
            assert_eq!(date(text), Ok(ReportDay::Ago(ago)), "{text}");
        }
        let three_ago = ReportDay::Ago(3).resolve(november_20);
        assert_eq!(three_ago, Ok(NaiveDate::from_ymd_opt(2026, 11, 17).unwrap()));
    }

    #[test]
    fn what_is_no_day_is_refused_with_its_reason() {
        for text in ["2026-02-30", "20260230", "2026/02/30", "2026-13-01", "2026-00-10"] {
            let message = date(text).unwrap_err().message;
            let expected =
                format!("--date is \"{text}\", a day that does not exist in the calendar");
            assert_eq!(message, expected);
        }
        let written = [
            "",
            "-",
            "1",
            "-x",
            "-99999",
            "2026-1-1",
            "2026-11/20",
            "2026-11-20 ",
            "+0261120",
            "1899-12-31",
            "3000-01-01",
            "2026年11月20日",
            "tomorrow",
        ];
        for text in written {
            let message = date(text).unwrap_err().message;
            assert!(message.starts_with(&format!("--date is \"{text}\"; expected")), "{message}");
        }
    }

    #[test]
    fn a_day_in_the_future_is_refused_and_today_is_named() {
        let today = NaiveDate::from_ymd_opt(2026, 11, 20).unwrap();
        assert_eq!(ReportDay::Date(today).resolve(today), Ok(today));
        let tomorrow = today.succ_opt().unwrap();
        let failure = ReportDay::Date(tomorrow).resolve(today).unwrap_err();
        assert_eq!(failure.kind, Kind::Usage);
        let message = "--date is 2026-11-21, a day in the future: today is 2026-11-20";
        assert_eq!(failure.message, message);
    }
}
