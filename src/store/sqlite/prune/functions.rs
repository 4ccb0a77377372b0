//! The functions that the statements of a cleanup call.

use super::super::connection::{add_function, unavailable};
use super::super::time::{self, Form};
use super::values::literal;
use crate::calendar::Shift;
use crate::outcome::Failure;
use crate::store::prune::PruneSettings;
use crate::store::prune::plausible::{MOST_EARLY, Plausible};
use crate::timezone::Tz;
use chrono::{DateTime, TimeDelta, Utc};
use rusqlite::Connection;
use rusqlite::functions::{Context, FunctionFlags};
use rusqlite::types::ValueRef;

/// When a row ended, in microseconds since 1970, by its creation and its ends in the order in which they count; NULL where that cannot be known.
pub const ENDED: &str = "taskmon_ended";

/// A part of a key as a literal, from which [`super::values::values`] makes it again; `NULL` for a text that cannot be bound.
pub const LITERAL: &str = "taskmon_literal";

pub fn register(connection: &Connection, settings: &PruneSettings) -> Result<(), Failure> {
    let zone = settings.store.naive_zone;
    let plausible = settings.plausible;
    let ended = move |context: &Context| {
        let values: Vec<ValueRef> =
            (0..context.len()).map(|place| context.get_raw(place)).collect();
        let (created, ends) = values.split_first()?;
        ended(*created, ends, &plausible, zone).map(|time| time.timestamp_micros())
    };
    let flags = FunctionFlags::SQLITE_UTF8 | FunctionFlags::SQLITE_DETERMINISTIC;
    connection
        .create_scalar_function(ENDED, -1, flags, move |context| Ok(ended(context)))
        .and_then(|()| add_function(connection, LITERAL, literal))
        .map_err(|error| unavailable("functions cannot be added", &error))
}

/// The first end that is plausible, else the creation. An end that is no time at all keeps the row: it says something that nobody understands.
fn ended(
    created: ValueRef,
    ends: &[ValueRef],
    plausible: &Plausible,
    zone: Tz,
) -> Option<DateTime<Utc>> {
    let created = time::read(created);
    let created_at = created.map(|created| created.instant(zone));
    for end in ends.iter().filter(|end| !time::is_unset(**end)) {
        let end = time::read(*end)?;
        let time = end.instant(zone);
        let latest = time.plus(grace(end.form));
        let is_early = created_at.is_some_and(|created| latest < created);
        if plausible.contains(time) && !is_early {
            return Some(time);
        }
    }
    created_at.filter(|created| plausible.contains(*created))
}

/// How long before the creation an end may lie. A date is that of a whole day.
fn grace(end: Form) -> TimeDelta {
    match end {
        Form::Date => TimeDelta::days(1),
        _ => MOST_EARLY,
    }
}
