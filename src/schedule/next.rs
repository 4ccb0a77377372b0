//! When the times of a cron expression are due, as cron has it.
//!
//! A job whose minute or hour starts with `*` goes by the clock: it is not run for times that daylight saving skips, and runs again in an hour that
//! comes twice. Any other job runs right after the change for a time that was skipped, and once for a time that comes twice (`cron(8)` of Debian's
//! cron, which cronie shares).
//!
//! `croner` finds the clock times that fit an expression; what happens where the clock jumps is decided here, because cron's rule turns on how the
//! expression is written.

use super::expression::{Pattern, Times};
use crate::calendar::Shift;
use crate::timezone::Tz;
use chrono::{DateTime, LocalResult, NaiveDateTime, TimeDelta, TimeZone, Timelike, Utc};

/// More than daylight saving ever sets a clock back by; cron takes a greater change for a correction of the clock.
const LONGEST_CHANGE: TimeDelta = TimeDelta::hours(3);

impl Times {
    /// The first time after `after` that is due; `None`: there is none, or nobody knows (`@reboot`).
    pub fn next(&self, after: DateTime<Utc>, zone: Tz) -> Option<DateTime<Utc>> {
        let pattern = self.pattern.as_ref()?;
        if pattern.follows_the_clock {
            pattern.next_by_the_clock(after, zone)
        } else {
            pattern.next_once(after, zone)
        }
    }

    /// The last time not after `until` that was due.
    pub fn last(&self, until: DateTime<Utc>, zone: Tz) -> Option<DateTime<Utc>> {
        let pattern = self.pattern.as_ref()?;
        if pattern.follows_the_clock {
            pattern.last_by_the_clock(until, zone)
        } else {
            pattern.last_once(until, zone)
        }
    }
}

impl Pattern {
    fn after(&self, local: NaiveDateTime) -> Option<NaiveDateTime> {
        self.cron.find_next_occurrence(&local, false).ok()
    }

    fn up_to(&self, local: NaiveDateTime) -> Option<NaiveDateTime> {
        self.cron.find_previous_occurrence(&local, true).ok()
    }

    /// The next moment at which the clock shows a time that fits. Between two changes of the clock its offset from UTC is fixed.
    fn next_by_the_clock(&self, after: DateTime<Utc>, zone: Tz) -> Option<DateTime<Utc>> {
        let mut from = after;
        loop {
            let offset = distance(from, zone);
            let found = self.after(from.naive_utc().plus(offset))?.and_utc().minus(offset);
            let Some(change) = first_change(from, found, zone) else {
                return Some(found);
            };
            // The moment of the change itself may fit: at 03:00 for `0 * * * *`, when 02:00 to 03:00 is skipped.
            let local = change.naive_utc().plus(distance(change, zone));
            if self.up_to(local) == Some(local) {
                return Some(change);
            }
            from = change;
        }
    }

    fn last_by_the_clock(&self, until: DateTime<Utc>, zone: Tz) -> Option<DateTime<Utc>> {
        let mut to = until;
        loop {
            let offset = distance(to, zone);
            let found = self.up_to(to.naive_utc().plus(offset))?.and_utc().minus(offset);
            match last_change(found, to, zone) {
                None => return Some(found),
                Some(change) => to = change.minus(TimeDelta::seconds(1)),
            }
        }
    }

    fn next_once(&self, after: DateTime<Utc>, zone: Tz) -> Option<DateTime<Utc>> {
        let mut local = after.with_timezone(&zone).naive_local();
        loop {
            local = self.after(local)?;
            let due = moment(local, zone);
            if due > after {
                return Some(due);
            }
        }
    }

    fn last_once(&self, until: DateTime<Utc>, zone: Tz) -> Option<DateTime<Utc>> {
        // In the repeated hour after DST ends, local time has gone backwards: at 02:10 for the second time, `30 2 * * *` has run already.
        let mut local =
            self.up_to(until.with_timezone(&zone).naive_local().plus(LONGEST_CHANGE))?;
        loop {
            let due = moment(local, zone);
            if due <= until {
                return Some(due);
            }
            local = self.up_to(local.minus(TimeDelta::seconds(1)))?;
        }
    }
}

/// Local time less UTC.
fn distance(at: DateTime<Utc>, zone: Tz) -> TimeDelta {
    at.with_timezone(&zone).naive_local().signed_duration_since(at.naive_utc())
}

/// The moment at which a job of a fixed time runs: the first of two, and right after the change for none.
fn moment(local: NaiveDateTime, zone: Tz) -> DateTime<Utc> {
    match zone.from_local_datetime(&local) {
        LocalResult::Single(time) | LocalResult::Ambiguous(time, _) => time.to_utc(),
        LocalResult::None => {
            // A day to either side is beyond any change of the clock.
            let near = local.and_utc();
            let (from, to) = (near.minus(TimeDelta::days(1)), near.plus(TimeDelta::days(1)));
            let mut change = first_change(from, to, zone);
            while let Some(at) = change
                && at.with_timezone(&zone).naive_local() <= local
            {
                change = first_change(at, to, zone);
            }
            change.unwrap_or(near)
        }
    }
}

/// The first moment after `from`, and not after `to`, at which the clock has been set.
fn first_change(from: DateTime<Utc>, to: DateTime<Utc>, zone: Tz) -> Option<DateTime<Utc>> {
    let before = distance(from, zone);
    // Clocks are never set twice within some weeks, so that two changes do not hide each other.
    let mut low = from;
    let mut high = low;
    while distance(high, zone) == before {
        if high >= to {
            return None;
        }
        low = high;
        high = high.plus(TimeDelta::days(7)).min(to);
    }
    Some(boundary(low, high, zone))
}

/// The last moment after `from`, and not after `to`, at which the clock has been set.
fn last_change(from: DateTime<Utc>, to: DateTime<Utc>, zone: Tz) -> Option<DateTime<Utc>> {
    let behind = distance(to, zone);
    let mut high = to;
    let mut low = high;
    while distance(low, zone) == behind {
        if low <= from {
            return None;
        }
        high = low;
        low = low.minus(TimeDelta::days(7)).max(from);
    }
    Some(boundary(low, high, zone))
}

/// The second at which the distance becomes that of `high`; at `low` it is another.
fn boundary(mut low: DateTime<Utc>, mut high: DateTime<Utc>, zone: Tz) -> DateTime<Utc> {
    let behind = distance(high, zone);
    loop {
        let seconds = high.signed_duration_since(low).num_seconds();
        if seconds <= 1 {
            break;
        }
        let middle = low.plus(TimeDelta::seconds(seconds / 2));
        if distance(middle, zone) == behind { high = middle } else { low = middle }
    }
    high.with_nanosecond(0).unwrap_or(high)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::timezone::zone;
    use chrono::{Datelike, NaiveDate};

    fn utc(text: &str) -> DateTime<Utc> {
        DateTime::parse_from_rfc3339(text).unwrap().to_utc()
    }

    /// The due times from a moment on, as the zone's clock shows them with their offset.
    fn due(expression: &str, from: &str, zone: Tz, count: usize) -> Vec<String> {
        let times = Times::read(expression).unwrap();
        let mut at = utc(from);
        let mut found = Vec::new();
        for _ in 0..count {
            at = times.next(at, zone).unwrap();
            let local = at.with_timezone(&zone);
            found.push(local.format("%m-%d %H:%M %z").to_string());
        }
        found
    }

    #[test]
    fn a_fixed_time_that_is_skipped_is_due_right_after_the_change_and_one_that_is_doubled_once() {
        let zone = zone("Europe/Berlin"); // 2026-03-29 02:00 → 03:00; 2026-10-25 03:00 → 02:00
        assert_eq!(
            due("30 2 * * *", "2026-03-28T00:00:00Z", zone, 3),
            ["03-28 02:30 +0100", "03-29 03:00 +0200", "03-30 02:30 +0200"]
        );
        assert_eq!(
            due("30 2 * * *", "2026-10-24T00:00:00Z", zone, 3),
            ["10-24 02:30 +0200", "10-25 02:30 +0200", "10-26 02:30 +0100"]
        );
        // Two skipped times of one job are one run.
        assert_eq!(
            due("0,30 2 * * *", "2026-03-29T00:00:00Z", zone, 2),
            ["03-29 03:00 +0200", "03-30 02:00 +0200"]
        );
    }

    #[test]
    fn a_job_that_goes_by_the_clock_leaves_out_what_is_skipped_and_repeats_what_is_doubled() {
        let zone = zone("Europe/Berlin");
        assert_eq!(due("*/20 2 * * *", "2026-03-28T12:00:00Z", zone, 1), ["03-30 02:00 +0200"]);
        assert_eq!(
            due("30 * * * *", "2026-03-29T00:00:00Z", zone, 2),
            ["03-29 01:30 +0100", "03-29 03:30 +0200"]
        );
        assert_eq!(
            due("0 * * * *", "2026-03-29T00:30:00Z", zone, 2),
            ["03-29 03:00 +0200", "03-29 04:00 +0200"]
        );
        assert_eq!(
            due("30 * * * *", "2026-10-25T00:00:00Z", zone, 3),
            ["10-25 02:30 +0200", "10-25 02:30 +0100", "10-25 03:30 +0100"]
        );
    }

    #[test]
    fn zones_that_change_by_half_an_hour_or_at_midnight_are_no_different() {
        // Lord Howe: 2026-10-04 02:00 → 02:30; Santiago: 2026-09-06 00:00 → 01:00.
        assert_eq!(
            due("15 2 * * *", "2026-10-03T00:00:00Z", zone("Australia/Lord_Howe"), 2),
            ["10-04 02:30 +1100", "10-05 02:15 +1100"]
        );
        assert_eq!(
            due("0 0 * * *", "2026-09-05T12:00:00Z", zone("America/Santiago"), 2),
            ["09-06 01:00 -0300", "09-07 00:00 -0300"]
        );
    }

    #[test]
    fn months_end_where_they_end() {
        let zone = zone("Asia/Shanghai");
        let day = |text: &str| text[..5].to_owned();
        let days = |expression, from, count| -> Vec<String> {
            let due: Vec<String> = due(expression, from, zone, count);
            due.iter().map(|text| day(text)).collect()
        };
        assert_eq!(days("0 2 31 * *", "2026-01-31T00:00:00Z", 3), ["03-31", "05-31", "07-31"]);
        assert_eq!(days("0 2 29 2 *", "2026-01-01T00:00:00Z", 1), ["02-29"]);
        assert_eq!(
            Times::read("0 2 29 2 *").unwrap().next(utc("2026-01-01T00:00:00Z"), zone),
            Some(utc("2028-02-28T18:00:00Z"))
        );
        assert_eq!(days("0 2 1 * 1", "2026-11-01T00:00:00Z", 3), ["11-02", "11-09", "11-16"]);
        assert_eq!(
            Times::read("0 2 30 2 *").unwrap().next(utc("2026-01-01T00:00:00Z"), zone),
            None
        );
        assert_eq!(Times::read("@reboot").unwrap().next(utc("2026-01-01T00:00:00Z"), zone), None);
    }

    /// cron's own loop over minutes (`cron.c`, `find_jobs`), written down as plainly as can be: every minute of the clock it asks whether a job
    /// fits; when the clock has jumped ahead it runs the fixed jobs of the minutes that were skipped, when it has jumped back it leaves fixed jobs
    /// alone until the clock shows a new time.
    fn simulate(
        expression: &str,
        from: DateTime<Utc>,
        minutes: i64,
        zone: Tz,
    ) -> Vec<DateTime<Utc>> {
        let fields: Vec<&str> = expression.split_whitespace().collect();
        let fits = |field: &str, value: u32, least: u32, most: u32| {
            field.split(',').any(|part| {
                let (range, step) = part.split_once('/').unwrap_or((part, "1"));
                let (low, high) = match range.split_once('-') {
                    Some((low, high)) => (low.parse().unwrap(), high.parse().unwrap()),
                    None if range == "*" => (least, most),
                    None => (range.parse().unwrap(), range.parse().unwrap()),
                };
                (low..=high).step_by(step.parse().unwrap()).any(|fit| fit == value)
            })
        };
        let matches = |local: NaiveDateTime| {
            let weekday = local.weekday().num_days_from_sunday();
            let day = fits(fields[2], local.day(), 1, 31);
            let dow = fits(fields[4], weekday, 0, 7) || (weekday == 0 && fits(fields[4], 7, 0, 7));
            let both = fields[2].starts_with('*') || fields[4].starts_with('*');
            fits(fields[0], local.minute(), 0, 59)
                && fits(fields[1], local.hour(), 0, 23)
                && fits(fields[3], local.month(), 1, 12)
                && if both { day && dow } else { day || dow }
        };
        let is_wild = fields[..2].iter().any(|field| field.starts_with('*'));
        let mut found = Vec::new();
        let mut seen = from.with_timezone(&zone).naive_local();
        for minute in 1..=minutes {
            let at = from + TimeDelta::minutes(minute);
            let local = at.with_timezone(&zone).naive_local();
            let mut runs = is_wild && matches(local);
            while !is_wild && seen < local {
                seen += TimeDelta::minutes(1);
                runs |= matches(seen);
            }
            if runs {
                found.push(at);
            }
        }
        found
    }

    #[test]
    fn every_time_is_the_one_at_which_crons_own_loop_would_run_the_job() {
        let expressions = [
            "0 2 * * *",
            "30 2 * * *",
            "0,30 1,2,3 * * *",
            "15 * * * *",
            "*/5 * * * *",
            "*/20 2 * * *",
            "0 */2 * * *",
            "59 23 * * *",
            "0 0 * * *",
            "30 1-3 * * 0",
            "0 2 1,29 * 7",
            "0 2 */2 * 1",
            "0 2 1-7 * */3",
            "10-50/20 0-4/2 * 3,10 *",
            "0 0 31 * *",
            "5 4 * 3-10 1-5",
            "0 2 13 * 5",
            "*,5 2 * * *",
            "5,* 2 * * *",
            "0 2 *,13 * 5",
            "0 2 13,* * 5",
            "0 2 13 * 5,*",
            "0 2 13 * *,5",
            "0,30 1,* 1-3,*/7 *,3 1",
        ];
        let changes = [
            (zone("Europe/Berlin"), NaiveDate::from_ymd_opt(2026, 3, 27)),
            (zone("Europe/Berlin"), NaiveDate::from_ymd_opt(2026, 10, 23)),
            (zone("America/New_York"), NaiveDate::from_ymd_opt(2026, 3, 6)),
            (zone("America/New_York"), NaiveDate::from_ymd_opt(2026, 10, 30)),
            (zone("Australia/Lord_Howe"), NaiveDate::from_ymd_opt(2026, 4, 3)),
            (zone("America/Santiago"), NaiveDate::from_ymd_opt(2026, 4, 3)),
            (zone("Asia/Shanghai"), NaiveDate::from_ymd_opt(2026, 2, 26)),
        ];
        let mut compared = 0;
        for expression in expressions {
            let times = Times::read(expression).unwrap();
            for (zone, day) in changes {
                let from = day.unwrap().and_hms_opt(0, 0, 0).unwrap().and_utc();
                let minutes = 6 * 24 * 60;
                let expected = simulate(expression, from, minutes, zone);
                let end = from + TimeDelta::minutes(minutes);
                let mut found = Vec::new();
                let mut at = from;
                while let Some(next) = times.next(at, zone).filter(|next| *next <= end) {
                    assert!(next > at, "{expression} in {zone}: {next} is not after {at}");
                    found.push(next);
                    at = next;
                }
                assert_eq!(found, expected, "{expression} in {zone}");
                // Looking back finds the same times.
                let mut back = Vec::new();
                let mut at = end;
                while let Some(last) = times.last(at, zone).filter(|last| *last > from) {
                    back.push(last);
                    at = last - TimeDelta::seconds(1);
                }
                back.reverse();
                assert_eq!(back, expected, "{expression} in {zone}, looking back");
                compared += found.len();
            }
        }
        assert!(compared > 10_000, "{compared}");
    }
}
