//! SQLite, opened read-only.
//!
//! SQLite has no time type: a column holds text (with a space or a `T`, with or without an offset) or a number of seconds or
//! milliseconds, and text compares byte by byte. So the counting of days reads the values themselves, from an index if there is one, and
//! notes in which forms they come. Where all have one form, the other statements compare text with bounds in that form;
//! where forms are mixed, they ask a function of ours about each row.

mod bounds;
mod cascades;
pub mod catalogue;
mod conditions;
mod connection;
mod day;
mod groups;
pub mod inspect;
mod labels;
mod live;
pub mod prune;
mod quote;
mod report;
mod slowest;
mod time;
mod trend;

use super::fields::{BLAME_LIMIT, Fields, find_culprit, source};
use super::{DayFigures, DayRequest, LiveFigures, LiveRequest, Store, StoreSettings};
use crate::mapping::Field;
use crate::outcome::{Failure, Kind};
use anyhow::Result;
use connection::{Watchdog, add_function, open_read_only, refusal, unavailable, words};
use report::{Broken, Report, overlay};
use rusqlite::{Connection, ErrorCode};
use std::path::Path;

pub struct SqliteStore {
    connection: Connection,
    settings: StoreSettings,
    fields: Fields,
}

impl SqliteStore {
    /// # Errors
    /// A file that is missing (it is never made), is no database or cannot be read; a table that does not fit.
    pub fn open(path: &Path, settings: StoreSettings) -> Result<Self> {
        let connection = open_read_only(path, settings.connect_timeout)?;
        register_lower(&connection).map_err(|error| {
            unavailable(&format!("{} cannot be opened", path.display()), &error)
        })?;
        let table = &settings.mapping.tasks;
        let fields = Fields::find(table, &mut |entries| {
            let prepared =
                connection.prepare(&format!("SELECT {entries} FROM {} LIMIT 0", table.from));
            prepared.map(drop).map_err(|error| refusal(&error))
        })?;
        Ok(Self { connection, fields, settings })
    }
}

/// `taskmon_lower`: lower case as [`State`]s are matched in, whatever the letters.
fn register_lower(connection: &Connection) -> rusqlite::Result<()> {
    add_function(connection, "taskmon_lower", |value| {
        value.as_str_or_null().ok().flatten().map(str::to_lowercase)
    })
}

impl Store for SqliteStore {
    fn day_figures(&mut self, request: &DayRequest) -> Result<DayFigures> {
        self.report(request, |report| report.figures())
    }

    fn live_figures(&mut self, request: &LiveRequest) -> Result<LiveFigures> {
        self.report(&request.day(), |report| report.live(request))
    }

    fn missing(&self) -> &[Field] {
        &self.fields.missing
    }

    fn types(&self) -> Vec<(Field, String)> {
        let present = &self.fields.present;
        let source = source(&self.settings.mapping.tasks, present, &[]);
        let statement = self.connection.prepare(&format!("SELECT * FROM {source}"));
        let declared = statement.map_or_else(
            |_| Vec::new(),
            |statement| {
                let columns = statement.columns();
                let name = |column: rusqlite::Column| {
                    column.decl_type().unwrap_or("expression").to_lowercase()
                };
                columns.map(name).collect()
            },
        );
        present.iter().copied().zip(declared).collect()
    }
}

impl SqliteStore {
    /// Makes a report from one snapshot, within the time limit.
    fn report<T>(
        &self,
        request: &DayRequest,
        make: impl FnOnce(&Report) -> Result<T, Broken>,
    ) -> Result<T> {
        let watchdog = Watchdog::start(&self.connection, self.settings.statement_timeout);
        let result = Report::begin(&self.connection, &self.settings, &self.fields, request)
            .and_then(|report| make(&report));
        drop(watchdog);
        // The snapshot ends whatever came of the report.
        let ended = self.connection.execute_batch("ROLLBACK");
        let made = result.map_err(|(doing, error)| {
            let is_of_mapping = error.sqlite_error_code() == Some(ErrorCode::Unknown);
            let blamed = is_of_mapping.then(|| self.blame()).flatten();
            blamed.unwrap_or_else(|| failure(&error, doing, &self.settings))
        })?;
        ended
            .map_err(|error| failure(&error, "ending the report's transaction", &self.settings))?;
        Ok(made)
    }

    fn blame(&self) -> Option<Failure> {
        let table = &self.settings.mapping.tasks;
        let _watchdog = Watchdog::start(&self.connection, BLAME_LIMIT);
        find_culprit(table, &self.fields.present, &overlay(table), &mut |sql| {
            let counted = self.connection.query_row(sql, [], |_| Ok(()));
            counted.map_err(|error| refusal(&error))
        })
    }
}

fn failure(error: &rusqlite::Error, doing: &str, settings: &StoreSettings) -> Failure {
    if error.sqlite_error_code() == Some(ErrorCode::OperationInterrupted) {
        let seconds = settings.statement_timeout.as_secs();
        let message = format!("{doing} took longer than {seconds} seconds");
        return Failure::new(Kind::StatementTimeout, message)
            .hint("raise database.statement_timeout_seconds, or add the index that is missing");
    }
    connection::failure(error, doing, format!("{doing}: {}", words(error)))
}
