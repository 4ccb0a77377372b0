//! Units and rounding, in one place.
//!
//! Every figure of a report is rounded half away from zero on its exact decimal value, so that PostgreSQL, SQLite and a
//! calculation by hand agree: SQL's `numeric`, binary floats and other languages' `round` all differ at the half.

use chrono::{DateTime, Utc};

/// Percent above which, not at which, a figure is worth a warning, and critical.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Thresholds {
    pub warning: f64,
    pub critical: f64,
}

/// Bytes of a GiB, which the reports call GB.
pub const GIB: u64 = 1024 * 1024 * 1024;

/// `part` of `whole` in percent, 2 decimals; 0 where there is no whole.
pub fn percent(part: u64, whole: u64) -> f64 {
    ratio(u128::from(part) * 100, u128::from(whole))
}

/// Bytes of a MiB, which the reports call MB.
pub const MIB: u64 = 1024 * 1024;

/// Bytes as MiB, 2 decimals.
pub fn mib(bytes: u64) -> f64 {
    ratio(u128::from(bytes), u128::from(MIB))
}

/// Bytes as GiB, 2 decimals.
pub fn gib(bytes: u64) -> f64 {
    ratio(u128::from(bytes), u128::from(GIB))
}

/// The same of bytes that may be negative.
pub fn signed_gib(bytes: i64) -> f64 {
    let size = gib(bytes.unsigned_abs());
    if bytes < 0 && size != 0.0 { -size } else { size }
}

/// The change from `before` to `now` in percent of `before`, 2 decimals; 0 where there was nothing before.
pub fn change_percent(now: u64, before: u64) -> f64 {
    let size = percent(now.abs_diff(before), before);
    if now < before { -size } else { size }
}

/// The mean of `count` durations that add up to `micros` microseconds, in seconds, 2 decimals; none of no durations.
pub fn mean_seconds(micros: i128, count: u64) -> Option<f64> {
    if count == 0 {
        return None;
    }
    let size = ratio(micros.unsigned_abs(), u128::from(count) * 1_000_000);
    Some(if micros < 0 && size != 0.0 { -size } else { size })
}

/// Whole seconds from a time until now; 0 where that is yet to come.
pub fn whole_seconds(since: DateTime<Utc>, now: DateTime<Utc>) -> u64 {
    u64::try_from(now.signed_duration_since(since).num_seconds()).unwrap_or(0)
}

/// `above / below`, 2 decimals, half away from zero; 0 where there is nothing to divide by.
fn ratio(above: u128, below: u128) -> f64 {
    if below == 0 {
        return 0.0;
    }
    let hundredths = (above * 200 + below) / (below * 2);
    hundredths as f64 / 100.0
}

/// A number to 2 decimals, half away from zero on its shortest decimal form: 2.675 becomes 2.68 although the
/// binary number lies a little below.
pub fn round2(value: f64) -> f64 {
    if !value.is_finite() || value.abs() >= 1e13 {
        return value;
    }
    let text = format!("{:.}", value.abs());
    let (whole, fraction) = text.split_once('.').unwrap_or((&text, ""));
    let digits: String = fraction.chars().chain("000".chars()).take(3).collect();
    let thousandths = whole.parse::<u64>().unwrap_or(0) * 1000 + digits.parse::<u64>().unwrap_or(0);
    let rounded = ((thousandths + 5) / 10) as f64 / 100.0;
    if value < 0.0 && rounded != 0.0 { -rounded } else { rounded }
}

/// Columns of a terminal that a text takes: letters of Chinese and the like take two.
pub fn text_width(text: &str) -> usize {
    text.chars().map(letter_width).sum()
}

/// A change in percent, with its sign.
pub fn signed_percent(change: f64) -> String {
    if change == 0.0 { "±0%".to_owned() } else { format!("{change:+}%") }
}

/// At most so many columns of a text; where it is longer, the last is an ellipsis.
pub fn shorten(text: &str, columns: usize) -> String {
    if text_width(text) <= columns {
        return text.to_owned();
    }
    let mut left = columns.saturating_sub(1);
    let fits = |letter: &char| {
        let rest = left.checked_sub(letter_width(*letter));
        left = rest.unwrap_or(0);
        rest.is_some()
    };
    text.chars().take_while(fits).chain(['…']).collect()
}

pub fn letter_width(letter: char) -> usize {
    if is_wide(letter) { 2 } else { 1 }
}

pub fn is_wide(letter: char) -> bool {
    matches!(letter, '\u{1100}'..='\u{115f}' | '\u{2e80}'..='\u{a4cf}' | '\u{ac00}'..='\u{d7a3}' | '\u{f900}'..='\u{faff}'
        | '\u{fe30}'..='\u{fe6f}' | '\u{ff00}'..='\u{ff60}' | '\u{ffe0}'..='\u{ffe6}' | '\u{20000}'..='\u{3fffd}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_half_rounds_away_from_zero_on_the_decimal_that_people_see() {
        for (value, expected) in [
            (2.675, 2.68),
            (1.005, 1.01),
            (-2.675, -2.68),
            (0.125, 0.13),
            (0.124_999, 0.12),
            (1e-9, 0.0),
            (-1e-9, 0.0),
            (912.4, 912.4),
            (1e15, 1e15),
        ] {
            assert_eq!(round2(value), expected, "{value}");
        }
        assert!(round2(-1e-9).is_sign_positive());
    }

    #[test]
    fn shares_are_exact() {
        assert_eq!(percent(1, 8), 12.5);
        assert_eq!(percent(45, 1250), 3.6);
        assert_eq!(percent(1, 800), 0.13);
        assert_eq!(percent(0, 0), 0.0);
        assert_eq!(percent(u64::MAX, u64::MAX), 100.0);
    }

    #[test]
    fn a_change_has_a_sign_and_needs_a_day_before() {
        assert_eq!(change_percent(125, 120), 4.17);
        assert_eq!(change_percent(80, 120), -33.33);
        assert_eq!(change_percent(80, 0), 0.0);
        assert_eq!(change_percent(120, 120), 0.0);
    }

    #[test]
    fn means_come_from_whole_microseconds() {
        assert_eq!(mean_seconds(45_125_000, 1), Some(45.13));
        assert_eq!(mean_seconds(-45_125_000, 1), Some(-45.13));
        assert_eq!(mean_seconds(0, 0), None);
    }

    #[test]
    fn letters_of_chinese_take_two_columns_and_others_one() {
        assert_eq!(text_width("任务, ok…▁"), 4 + 4 + 2);
        assert_eq!(text_width("（，。）"), 8);
    }

    #[test]
    fn gigabytes_are_binary() {
        assert_eq!(gib(GIB * 3 / 2), 1.5);
    }
}
