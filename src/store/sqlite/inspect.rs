//! What a SQLite file says of itself, and whether it could be written to.

use super::connection::{Watchdog, open_read_only, read_rows, refusal, words};
use super::{bounds, cascades};
use crate::mapping::Mapping;
use crate::outcome::{Failure, Kind};
use crate::store::columns::{Column, unread_columns};
use crate::store::fields::BLAME_LIMIT;
use crate::store::inspect::{Inspection, Rights, find_culprit, tables, trials};
use crate::store::refusal::Refusal;
use crate::store::{LONGEST_LABEL, StoreSettings};
use anyhow::Result;
use chrono::{DateTime, Utc};
use rusqlite::{Connection, ErrorCode};
use rustix::fs::{Access, access};
use std::path::Path;

pub fn inspect(
    path: &Path,
    settings: &StoreSettings,
    now: fn() -> DateTime<Utc>,
) -> Result<Inspection> {
    let connection = open_read_only(path, settings.connect_timeout)?;
    let read_only = read_only(path);
    let rights = tables(&settings.mapping).into_iter();
    Ok(Inspection {
        server: format!("SQLite {}, {}", rusqlite::version(), path.display()),
        user: None,
        clock: None,
        host_clock: now(),
        zone: None,
        // The file's rights are those of every table in it.
        rights: rights
            .map(|table| Rights {
                is_missing: table.is_pruned && is_missing(&connection, &table.name),
                table: table.name,
                closed_schema: None,
                select: Some(true),
                delete: table.is_pruned.then_some(read_only.is_none()),
            })
            .collect(),
        read_only,
        labels: labels(&connection, settings).map_err(|error| words(&error)),
        trials: {
            let _watchdog = Watchdog::start(&connection, settings.statement_timeout);
            trials(&settings.mapping, &read_as, &mut |sql| tried(&connection, sql))
        },
        stranded: cascades::stranded(&connection, &settings.mapping).map_err(|error| words(&error)),
        types: types(&connection, settings),
    })
}

/// As far as it is read.
fn read_as(column: Column) -> Column {
    let expression = bounds::text(&format!("({})", column.expression));
    column.read_as(expression)
}

fn tried(connection: &Connection, sql: &str) -> Result<(), Refusal> {
    let counted = connection.query_row(sql, [], |_| Ok(()));
    counted.map_err(|error| match error.sqlite_error_code() {
        Some(ErrorCode::OperationInterrupted) => Refusal::Failed(Failure::new(
            Kind::StatementTimeout,
            "there was no time to try the mapping on rows",
        )),
        _ => refusal(&error),
    })
}

/// What no report reads, by its declared type.
fn types(connection: &Connection, settings: &StoreSettings) -> Vec<(String, String)> {
    let table = &settings.mapping.tasks;
    let type_of = |column: &Column| {
        let sql = format!("SELECT {} FROM {}", column.expression, table.from);
        let statement = connection.prepare(&sql).ok()?;
        let computed = statement.columns().next()?;
        let kind = computed.decl_type().unwrap_or("expression");
        Some((column.name.clone(), kind.to_lowercase()))
    };
    unread_columns(table).iter().filter_map(type_of).collect()
}

/// The expression that cleanup failed on, if it is one's fault alone.
pub fn blame(connection: &Connection, mapping: &Mapping) -> Option<Failure> {
    let _watchdog = Watchdog::start(connection, BLAME_LIMIT);
    find_culprit(mapping, &mut |sql| tried(connection, sql))
}

fn is_missing(connection: &Connection, table: &str) -> bool {
    let tried = connection.prepare(&format!("SELECT 1 FROM {table}"));
    tried.is_err_and(|error| words(&error).starts_with("no such table"))
}

/// Asks the system instead of trying to write.
fn read_only(path: &Path) -> Option<String> {
    let folder = path.parent().unwrap_or(Path::new("."));
    // A deletion writes its undo log beside the file.
    for (what, wanted) in [(path, Access::WRITE_OK), (folder, Access::WRITE_OK | Access::EXEC_OK)] {
        if let Err(error) = access(what, wanted) {
            return Some(format!("{} cannot be written to: {error}", what.display()));
        }
    }
    None
}

fn labels(
    connection: &Connection,
    settings: &StoreSettings,
) -> rusqlite::Result<Vec<(Option<String>, u64)>> {
    let table = &settings.mapping.tasks;
    let sql = format!(
        "SELECT CAST({} AS TEXT), count(*) FROM {} GROUP BY 1 ORDER BY 2 DESC, 1",
        bounds::cut(&table.status, LONGEST_LABEL),
        table.from
    );
    let _watchdog = Watchdog::start(connection, settings.statement_timeout);
    read_rows(connection, &sql, [], |row| Ok((row.get(0)?, row.get::<_, i64>(1)?.unsigned_abs())))
}
