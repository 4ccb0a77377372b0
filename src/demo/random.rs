//! Chance: the seeds, moments of a day, and choices by weight.

use crate::calendar::Shift;
use crate::timezone::Tz;
use chrono::{DateTime, Duration, LocalResult, NaiveDate, TimeZone, Utc};
use fastrand::Rng;
use std::ops::RangeInclusive;

/// What draws from a sequence of random numbers of its own, so that a change of one leaves the others as they are.
#[derive(Debug, Clone, Copy)]
pub(super) enum Draw {
    /// The tasks of a day so many days ago.
    Day(u64),
    OldTasks,
    TasksInHand,
    Columns,
    Receipts,
}

/// All randomness of the rows starts here.
pub(super) fn rng(of: Draw) -> Rng {
    let offset = match of {
        Draw::Day(ago) => ago,
        Draw::OldTasks => 1000,
        Draw::TasksInHand => 1001,
        Draw::Columns => 1002,
        Draw::Receipts => 1003,
    };
    Rng::with_seed(20_231_201 + offset)
}

/// How the tasks of a day fall on its local hours: a quiet night, peaks at 10 and at 15.
const HOURS: [u32; 24] =
    [2, 1, 1, 1, 1, 2, 5, 14, 36, 62, 80, 66, 40, 46, 64, 78, 60, 42, 25, 16, 12, 9, 6, 4];

/// Whether the local time of a moment names this moment alone.
pub(super) fn is_clear(at: DateTime<Utc>, zone: Tz) -> bool {
    let local = at.with_timezone(&zone).naive_local();
    matches!(zone.from_local_datetime(&local), LocalResult::Single(_))
}

/// A moment of a local day, as the day curve has it; `None` where the clocks skip or repeat it.
pub(super) fn draw_moment(rng: &mut Rng, date: NaiveDate, zone: Tz) -> Option<DateTime<Utc>> {
    let hour = choose(rng, HOURS.iter().copied().zip(0..).map(|(weight, hour)| (hour, weight)));
    let local =
        date.and_hms_micro_opt(hour?, rng.u32(0..60), rng.u32(0..60), rng.u32(0..1_000_000))?;
    let found = zone.from_local_datetime(&local).single()?;
    Some(found.with_timezone(&Utc))
}

/// A moment of a day that lies so many days before today.
pub(super) fn draw_moment_of(
    rng: &mut Rng,
    ago: RangeInclusive<i64>,
    today: NaiveDate,
    zone: Tz,
) -> Option<DateTime<Utc>> {
    (0..30).find_map(|_| {
        let date = today.minus(Duration::days(rng.i64(ago.clone())));
        draw_moment(rng, date, zone)
    })
}

/// One of several things, by their weights.
pub(super) fn choose<T>(
    rng: &mut Rng,
    things: impl Iterator<Item = (T, u32)> + Clone,
) -> Option<T> {
    let total: u32 = things.clone().map(|(_, weight)| weight).sum();
    let mut left = rng.u32(0..total.max(1));
    for (thing, weight) in things {
        if left < weight {
            return Some(thing);
        }
        left -= weight;
    }
    None
}
