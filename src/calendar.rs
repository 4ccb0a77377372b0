//! Days and hours of a time zone, as spans of instants, and what a wall-clock time without a zone means.
//!
//! A local day has 23, 24 or 25 hours, sometimes half of one more; where clocks went back across midnight it is not even one
//! piece. So a day is a list of spans, each within one local hour, and everything else follows from the list.

use crate::language::Language;
use crate::timezone::Tz;
use chrono::{
    DateTime, Duration, LocalResult, NaiveDate, NaiveDateTime, NaiveTime, Offset, SecondsFormat,
    TimeZone, Utc,
};

/// Moves a time, at most to an end of the calendar. The operators panic there, and a row may hold any time.
pub trait Shift {
    fn plus(self, span: Duration) -> Self;
    fn minus(self, span: Duration) -> Self;
}

impl Shift for DateTime<Utc> {
    fn plus(self, span: Duration) -> Self {
        let end = if span < Duration::zero() { Self::MIN_UTC } else { Self::MAX_UTC };
        self.checked_add_signed(span).unwrap_or(end)
    }

    fn minus(self, span: Duration) -> Self {
        let end = if span < Duration::zero() { Self::MAX_UTC } else { Self::MIN_UTC };
        self.checked_sub_signed(span).unwrap_or(end)
    }
}

impl Shift for NaiveDateTime {
    fn plus(self, span: Duration) -> Self {
        self.and_utc().plus(span).naive_utc()
    }

    fn minus(self, span: Duration) -> Self {
        self.and_utc().minus(span).naive_utc()
    }
}

impl Shift for NaiveDate {
    fn plus(self, span: Duration) -> Self {
        self.and_time(NaiveTime::MIN).plus(span).date()
    }

    fn minus(self, span: Duration) -> Self {
        self.and_time(NaiveTime::MIN).minus(span).date()
    }
}

/// How pages show times: in one zone, each with how far it is from now.
#[derive(Debug, Clone, Copy)]
pub struct Clock {
    pub now: DateTime<Utc>,
    pub zone: Tz,
    pub language: Language,
}

impl Clock {
    /// `2026-12-01T02:00:00+08:00 (in 5 h)`
    pub fn show(&self, at: DateTime<Utc>) -> String {
        let time = at.with_timezone(&self.zone).to_rfc3339_opts(SecondsFormat::Secs, false);
        let distance = self.distance(at);
        self.language.pick(format!("{time}（{distance}）"), format!("{time} ({distance})"))
    }

    /// `in 42 s`, `2 min ago`: of seconds, minutes, hours and days the largest of which there is a whole one.
    fn distance(&self, at: DateTime<Utc>) -> String {
        let seconds = at.signed_duration_since(self.now).num_seconds();
        let (count, [zh, en]) = match seconds.unsigned_abs() {
            0 => return self.language.pick("现在", "now").to_owned(),
            size @ ..60 => (size, ["秒", "s"]),
            size @ ..3_600 => (size / 60, ["分钟", "min"]),
            size @ ..86_400 => (size / 3_600, ["小时", "h"]),
            size => (size / 86_400, ["天", "d"]),
        };
        if seconds > 0 {
            self.language.pick(format!("{count} {zh}后"), format!("in {count} {en}"))
        } else {
            self.language.pick(format!("{count} {zh}前"), format!("{count} {en} ago"))
        }
    }
}

/// A piece of a local day that lies within one local hour: from `start` up to, not including, `end`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Span {
    pub start: DateTime<Utc>,
    pub end: DateTime<Utc>,
    /// 0 to 23, on the local clock.
    pub hour: u8,
}

/// A day of a time zone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Day {
    pub date: NaiveDate,
    /// In rising order, none overlapping. Empty for a day that the zone skipped (2011-12-30 in Samoa).
    pub spans: Vec<Span>,
}

impl Day {
    /// The spans of `date` on the clocks of `zone`.
    pub fn new(date: NaiveDate, zone: Tz) -> Self {
        let spans = constant_offsets(date, zone)
            .into_iter()
            .flat_map(|piece| piece.hours_of(date))
            .collect();
        Self { date, spans }
    }

    /// The day's unbroken ranges of instants: one, save where clocks went back across midnight.
    pub fn ranges(&self) -> Vec<(DateTime<Utc>, DateTime<Utc>)> {
        let mut ranges: Vec<(DateTime<Utc>, DateTime<Utc>)> = Vec::new();
        for span in &self.spans {
            match ranges.last_mut() {
                Some(last) if last.1 == span.start => last.1 = span.end,
                _ => ranges.push((span.start, span.end)),
            }
        }
        ranges
    }
}

/// A time line cut at `bounds`: `names[i]` is what lies from `bounds[i]` up to `bounds[i + 1]`, `None` between two ranges.
///
/// A database finds a row's place with one binary search over the bounds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Buckets<T> {
    pub bounds: Vec<DateTime<Utc>>,
    pub names: Vec<Option<T>>,
}

impl<T> Buckets<T> {
    /// The buckets of ranges that do not overlap, each with its name.
    pub fn new(mut ranges: Vec<(DateTime<Utc>, DateTime<Utc>, T)>) -> Self {
        ranges.sort_by_key(|(start, _, _)| *start);
        let mut buckets = Buckets { bounds: Vec::new(), names: Vec::new() };
        for (start, end, name) in ranges {
            if buckets.bounds.last() != Some(&start) {
                if !buckets.bounds.is_empty() {
                    buckets.names.push(None);
                }
                buckets.bounds.push(start);
            }
            buckets.names.push(Some(name));
            buckets.bounds.push(end);
        }
        buckets
    }

    /// The name of a bucket by the number of bounds at or before a value, which is what `width_bucket` returns.
    pub fn name(&self, bounds_passed: usize) -> Option<&T> {
        self.names.get(bounds_passed.checked_sub(1)?)?.as_ref()
    }
}

/// The hours of a day as buckets.
pub fn hour_buckets(day: &Day) -> Buckets<u8> {
    Buckets::new(day.spans.iter().map(|span| (span.start, span.end, span.hour)).collect())
}

/// Days as buckets, each named by its place in the list.
pub fn day_buckets(days: &[Day]) -> Buckets<usize> {
    let ranges = days.iter().enumerate().flat_map(|(place, day)| {
        day.ranges().into_iter().map(move |(start, end)| (start, end, place))
    });
    Buckets::new(ranges.collect())
}

/// `count` days that end with `last`, oldest first.
pub fn days_up_to(last: NaiveDate, count: usize, zone: Tz) -> Vec<Day> {
    (0..count)
        .rev()
        .filter_map(|ago| last.checked_sub_days(chrono::Days::new(ago as u64)))
        .map(|date| Day::new(date, zone))
        .collect()
}

/// A stretch of time during which a zone's offset does not change.
struct Piece {
    start: DateTime<Utc>,
    end: DateTime<Utc>,
    offset: Duration,
}

impl Piece {
    fn hours_of(&self, date: NaiveDate) -> Vec<Span> {
        let midnight = date.and_time(NaiveTime::MIN).and_utc().minus(self.offset);
        (0..24)
            .filter_map(|hour| {
                let start = midnight.plus(Duration::hours(hour.into())).max(self.start);
                let end = midnight.plus(Duration::hours(i64::from(hour) + 1)).min(self.end);
                (start < end).then_some(Span { start, end, hour })
            })
            .collect()
    }
}

/// The pieces of constant offset around a date, wide enough for every offset that was ever used (within 16 hours of UTC).
fn constant_offsets(date: NaiveDate, zone: Tz) -> Vec<Piece> {
    let midnight = date.and_time(NaiveTime::MIN).and_utc();
    let last = midnight.plus(Duration::hours(40));
    let mut pieces = Vec::new();
    let mut start = midnight.minus(Duration::hours(16));
    while start < last {
        let end = zone.next_change(start).map_or(last, |change| change.min(last));
        pieces.push(Piece { start, end, offset: offset_at(start, zone) });
        start = end;
    }
    pieces
}

fn offset_at(instant: DateTime<Utc>, zone: Tz) -> Duration {
    let offset = zone.offset_from_utc_datetime(&instant.naive_utc());
    Duration::seconds(offset.fix().local_minus_utc().into())
}

/// The instant that a wall-clock time of `zone` means.
///
/// A time that occurs twice means its first occurrence, as Python's `fold=0` has it. A time that clocks skipped is read with
/// the offset before the change, as PostgreSQL's `AT TIME ZONE` reads it.
pub fn instant_of(wall_clock: NaiveDateTime, zone: Tz) -> DateTime<Utc> {
    match zone.from_local_datetime(&wall_clock) {
        LocalResult::Single(time) | LocalResult::Ambiguous(time, _) => time.to_utc(),
        LocalResult::None => {
            wall_clock.and_utc().minus(zone.offset_before_gap(wall_clock).unwrap_or_default())
        }
    }
}

/// The first wall-clock time of `zone` that means `instant` or a later one: where a range of instants starts, or ends, among
/// wall-clock times. The inverse of [`instant_of`].
pub fn wall_clock_bound(instant: DateTime<Utc>, zone: Tz) -> NaiveDateTime {
    let wall_clock = instant.with_timezone(&zone).naive_local();
    let first = match zone.from_local_datetime(&wall_clock) {
        LocalResult::Ambiguous(first, _) => first.to_utc(),
        _ => instant,
    };
    if first < instant {
        // The second occurrence: all times up to the change mean the first one.
        let change = zone.next_change(first).unwrap_or(instant);
        return change.naive_utc().plus(offset_at(first, zone));
    }
    // At a change that skips times: these mean instants after it.
    let just_before = wall_clock.minus(Duration::microseconds(1));
    match zone.offset_before_gap(just_before) {
        Some(before) => instant.naive_utc().plus(before),
        None => wall_clock,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::timezone::zone;
    use chrono::{Datelike, Timelike};
    use proptest::prelude::*;

    fn date(text: &str) -> NaiveDate {
        text.parse().unwrap()
    }

    fn hours(text: &str, zone: Tz) -> f64 {
        let day = Day::new(date(text), zone);
        let seconds: i64 = day.spans.iter().map(|span| (span.end - span.start).num_seconds()).sum();
        seconds as f64 / 3600.0
    }

    #[test]
    fn times_are_shown_in_one_zone_with_their_distance() {
        let now = DateTime::parse_from_rfc3339("2026-11-30T13:00:00Z").unwrap().to_utc();
        let clock = |language| Clock { now, zone: zone("Asia/Shanghai"), language };
        let shown = |seconds| clock(Language::En).show(now + Duration::seconds(seconds));
        assert_eq!(shown(18_000), "2026-12-01T02:00:00+08:00 (in 5 h)");
        for (seconds, en, zh) in [
            (0, "now", "现在"),
            (42, "in 42 s", "42 秒后"),
            (-125, "2 min ago", "2 分钟前"),
            (3_599, "in 59 min", "59 分钟后"),
            (-86_399, "23 h ago", "23 小时前"),
            (172_800, "in 2 d", "2 天后"),
        ] {
            let at = now + Duration::seconds(seconds);
            assert_eq!(clock(Language::En).distance(at), en);
            assert_eq!(clock(Language::Zh).distance(at), zh);
        }
    }

    #[test]
    fn a_day_has_as_many_hours_as_its_clocks_show() {
        for (day, zone, expected) in [
            ("2023-12-01", zone("Asia/Shanghai"), 24.0),
            ("2023-03-12", zone("America/New_York"), 23.0),
            ("2023-11-05", zone("America/New_York"), 25.0),
            ("2023-04-02", zone("Australia/Lord_Howe"), 24.5),
            ("2023-10-01", zone("Australia/Lord_Howe"), 23.5),
            ("2017-10-15", zone("America/Sao_Paulo"), 23.0),
            ("2011-12-30", zone("Pacific/Apia"), 0.0),
            ("2023-07-01", zone("Asia/Kolkata"), 24.0),
        ] {
            assert_eq!(hours(day, zone), expected, "{day} {zone}");
        }
    }

    #[test]
    fn a_day_whose_midnight_was_skipped_starts_at_one() {
        let day = Day::new(date("2017-10-15"), zone("America/Sao_Paulo"));
        assert_eq!(day.spans[0].hour, 1);
        assert_eq!(day.spans[0].start.to_rfc3339(), "2017-10-15T03:00:00+00:00");
    }

    #[test]
    fn a_day_that_clocks_left_and_entered_again_is_in_two_pieces() {
        // Newfoundland's clocks went from 00:01 back to 23:01 of the day before.
        let day = Day::new(date("2006-10-29"), zone("America/St_Johns"));
        assert_eq!(day.ranges().len(), 2);
        assert_eq!(hours("2006-10-29", zone("America/St_Johns")), 24.0 + 1.0 / 60.0);
    }

    #[test]
    fn an_hour_that_occurs_twice_starts_once_among_wall_clock_times() {
        let day = Day::new(date("2023-11-05"), zone("America/New_York"));
        let starts: Vec<String> = day.spans[..4]
            .iter()
            .map(|span| wall_clock_bound(span.start, zone("America/New_York")).to_string())
            .collect();
        assert_eq!(
            starts,
            [
                "2023-11-05 00:00:00",
                "2023-11-05 01:00:00",
                "2023-11-05 02:00:00",
                "2023-11-05 02:00:00"
            ]
        );
    }

    #[test]
    fn a_wall_clock_time_that_was_skipped_counts_after_the_change() {
        let zone = zone("America/New_York");
        let skipped = date("2023-03-12").and_hms_opt(2, 30, 0).unwrap();
        let change = instant_of(date("2023-03-12").and_hms_opt(3, 0, 0).unwrap(), zone);
        assert_eq!(instant_of(skipped, zone), change + Duration::minutes(30));
        assert!(wall_clock_bound(change, zone) <= skipped);
    }

    #[test]
    fn buckets_leave_out_what_lies_between_the_ranges() {
        let days = days_up_to(date("2006-10-29"), 2, zone("America/St_Johns"));
        let buckets = day_buckets(&days);
        let names: Vec<_> =
            (0..=buckets.bounds.len()).map(|passed| buckets.name(passed).copied()).collect();
        assert_eq!(
            names,
            [None, Some(0), Some(1), Some(0), Some(1), None],
            "yesterday, a minute of today, yesterday again, today"
        );
        assert_eq!(hour_buckets(&days[1]).name(2), None);
    }

    fn zones() -> impl Strategy<Value = Tz> {
        prop::sample::select(Tz::names().map(zone).collect::<Vec<_>>())
    }

    /// Seconds that lie, for one case in two, within three hours of the zone's next change of clocks: a random instant hardly ever does.
    fn seconds_for(zone: Tz, seconds: i64, jitter: i64) -> i64 {
        if jitter % 2 == 0 {
            return seconds;
        }
        match zone.next_change(second(seconds)) {
            Some(change) => change.timestamp() + jitter,
            None => seconds,
        }
    }

    fn second(timestamp: i64) -> DateTime<Utc> {
        DateTime::from_timestamp(timestamp, 0).unwrap()
    }

    /// Where a value lies among the spans of a day, given where each starts and ends.
    fn hour_among<T: PartialOrd>(value: T, spans: &[(T, T, u8)]) -> Option<u8> {
        spans
            .iter()
            .find(|(start, end, _)| *start <= value && value < *end)
            .map(|(_, _, hour)| *hour)
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2000))]

        #[test]
        fn instants_fall_into_the_hour_that_the_clock_shows(zone in zones(), seconds in -2_000_000_000i64..4_000_000_000, jitter in -10_800i64..10_800, micros in 0i64..1_000_000) {
            let instant = second(seconds_for(zone, seconds, jitter)) + Duration::microseconds(micros);
            let local = instant.with_timezone(&zone);
            let spans: Vec<_> = Day::new(local.date_naive(), zone).spans.iter().map(|s| (s.start, s.end, s.hour)).collect();
            prop_assert_eq!(hour_among(instant, &spans), Some(local.hour() as u8));
            for neighbour in [local.date_naive().pred_opt().unwrap(), local.date_naive().succ_opt().unwrap()] {
                let spans: Vec<_> = Day::new(neighbour, zone).spans.iter().map(|s| (s.start, s.end, s.hour)).collect();
                prop_assert_eq!(hour_among(instant, &spans), None);
            }
        }

        #[test]
        fn wall_clock_times_fall_into_the_hour_of_the_instant_that_they_mean(zone in zones(), column_zone in zones(), seconds in -1_000_000_000i64..4_000_000_000, jitter in -10_800i64..10_800, micros in 0i64..1_000_000) {
            let instant = second(seconds_for(column_zone, seconds, jitter)) + Duration::microseconds(micros);
            let wall_clock = instant.with_timezone(&column_zone).naive_local();
            let local = instant_of(wall_clock, column_zone).with_timezone(&zone);
            let spans: Vec<_> = Day::new(local.date_naive(), zone).spans.iter()
                .map(|s| (wall_clock_bound(s.start, column_zone), wall_clock_bound(s.end, column_zone), s.hour)).collect();
            prop_assert_eq!(hour_among(wall_clock, &spans), Some(local.hour() as u8));
        }

        #[test]
        fn days_follow_each_other_without_gap_or_overlap(zone in zones(), days in -20_000i32..40_000) {
            let first = NaiveDate::from_num_days_from_ce_opt(719_163 + days).unwrap();
            let mut covered: Vec<Span> = days_up_to(first.succ_opt().unwrap(), 2, zone).into_iter().flat_map(|d| d.spans).collect();
            covered.sort_by_key(|span| span.start);
            for pair in covered.windows(2) {
                prop_assert!(pair[0].end <= pair[1].start, "{:?}", pair);
            }
            prop_assert!(first.year() > 1900);
        }

        #[test]
        fn bounds_rise_with_the_instants(zone in zones(), seconds in -1_000_000_000i64..4_000_000_000, jitter in -10_800i64..10_800, later in 0i64..90_000) {
            let earlier = second(seconds_for(zone, seconds, jitter));
            prop_assert!(wall_clock_bound(earlier, zone) <= wall_clock_bound(earlier + Duration::seconds(later), zone));
        }
    }
}
