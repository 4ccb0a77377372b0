//! The functions that the statements of a cleanup call.

use super::super::connection::unavailable;
use super::super::time;
use super::values::{bytes, literal, text_or_blob};
use crate::outcome::Failure;
use crate::store::prune::PruneSettings;
use rusqlite::Connection;
use rusqlite::functions::FunctionFlags;

/// A time as an instant, in microseconds since 1970; NULL for what is no time.
pub const MICROS: &str = "taskmon_micros";

/// A part of a key as a literal, from which [`super::values::values`] makes it again; `NULL` for a text that cannot be bound.
pub const LITERAL: &str = "taskmon_literal";

/// A path in its canonical form.
pub const CANONICAL: &str = "taskmon_path";

pub fn register(connection: &Connection, settings: &PruneSettings) -> Result<(), Failure> {
    let flags = FunctionFlags::SQLITE_UTF8 | FunctionFlags::SQLITE_DETERMINISTIC;
    let zone = settings.store.naive_zone;
    let aliases = settings.aliases.clone();
    connection
        .create_scalar_function(MICROS, 1, flags, move |context| {
            Ok(time::read(context.get_raw(0)).map(|moment| moment.instant(zone).timestamp_micros()))
        })
        .and_then(|()| {
            connection.create_scalar_function(LITERAL, 1, flags, |context| {
                Ok(literal(context.get_raw(0)))
            })
        })
        .and_then(|()| {
            connection.create_scalar_function(CANONICAL, 1, flags, move |context| {
                Ok(bytes(context.get_raw(0))
                    .map(|path| text_or_blob(aliases.canonical(&path).as_bytes().to_vec())))
            })
        })
        .map_err(|error| unavailable("functions cannot be added", &error))
}
