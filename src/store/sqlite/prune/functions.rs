//! The functions that the statements of a cleanup call.

use super::super::connection::{add_function, unavailable};
use super::super::time;
use super::values::{bytes, literal, text_or_blob};
use crate::outcome::Failure;
use crate::store::prune::PruneSettings;
use rusqlite::Connection;
use rusqlite::types::ValueRef;

/// A time as an instant, in microseconds since 1970; NULL for what is no time.
pub const MICROS: &str = "taskmon_micros";

/// A part of a key as a literal, from which [`super::values::values`] makes it again; `NULL` for a text that cannot be bound.
pub const LITERAL: &str = "taskmon_literal";

/// A path in its canonical form.
pub const CANONICAL: &str = "taskmon_path";

pub fn register(connection: &Connection, settings: &PruneSettings) -> Result<(), Failure> {
    let zone = settings.store.naive_zone;
    let aliases = settings.aliases.clone();
    let micros = move |value: ValueRef| {
        time::read(value).map(|moment| moment.instant(zone).timestamp_micros())
    };
    let canonical = move |value: ValueRef| {
        bytes(value).map(|path| text_or_blob(aliases.canonical(&path).as_bytes().to_vec()))
    };
    add_function(connection, MICROS, micros)
        .and_then(|()| add_function(connection, LITERAL, literal))
        .and_then(|()| add_function(connection, CANONICAL, canonical))
        .map_err(|error| unavailable("functions cannot be added", &error))
}
