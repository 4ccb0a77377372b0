//! The values of options, read where clap reads the options.
//!
//! One that cannot be read is a failure of the run rather than clap's: the run is recorded, its error document is in the format that was
//! asked for, and a job's heartbeat and textfile say how it ended.

use crate::notify::silences::Matcher;
use crate::outcome::{Failure, Kind};
use chrono::{DateTime, NaiveDate, TimeDelta, Utc};
use std::convert::Infallible;

/// A value, or why it is none.
pub type Parsed<T> = Result<T, Failure>;

/// `--as-of`
#[derive(Debug, Clone, PartialEq)]
pub struct AsOf {
    pub time: DateTime<Utc>,
    /// As it is written.
    pub text: String,
}

/// The most reports that one run makes: ten years.
const MOST_DAYS: u64 = 3660;

/// A parser of clap's that hands a mistake on.
pub fn parser<T: 'static>(
    parse: fn(&str) -> Parsed<T>,
) -> impl Fn(&str) -> Result<Parsed<T>, Infallible> + Clone + Send + Sync + 'static {
    move |text| Ok(parse(text))
}

pub fn date(text: &str) -> Parsed<NaiveDate> {
    let parsed = NaiveDate::parse_from_str(text, "%Y-%m-%d").ok();
    let is_strict = |date: &NaiveDate| date.format("%Y-%m-%d").to_string() == text;
    let in_range =
        |date: &NaiveDate| ("1900-01-01".."3000-01-01").contains(&date.to_string().as_str());
    parsed.filter(is_strict).filter(in_range).ok_or_else(|| {
        let expected = "a day from 1900-01-01 to 2999-12-31, written YYYY-MM-DD";
        usage(format!("--date is \"{text}\"; expected {expected}"))
    })
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
}
