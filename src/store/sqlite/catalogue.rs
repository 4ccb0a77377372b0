//! The catalogue of a SQLite file, and rows of some of its tables.

use super::connection::{Watchdog, failure, open_read_only, read_rows, words};
use super::quote::identifier;
use crate::store::catalogue::{
    Catalogue, Column, Dialect, LONGEST_SAMPLE, MOST_COLUMNS, Sample, Table, sample_statement,
};
use anyhow::Result;
use rusqlite::Connection;
use std::path::Path;
use std::time::Duration;

/// How long to wait for a lock of the file.
const PATIENCE: Duration = Duration::from_secs(10);

/// Names that a statement would take for a word of its own.
const KEYWORDS: &[&str] = &[
    "add",
    "all",
    "and",
    "as",
    "by",
    "case",
    "check",
    "commit",
    "default",
    "delete",
    "distinct",
    "drop",
    "else",
    "exists",
    "from",
    "group",
    "having",
    "in",
    "index",
    "insert",
    "into",
    "is",
    "isnull",
    "join",
    "limit",
    "not",
    "notnull",
    "null",
    "on",
    "or",
    "order",
    "primary",
    "references",
    "select",
    "set",
    "table",
    "then",
    "to",
    "transaction",
    "union",
    "unique",
    "update",
    "using",
    "values",
    "when",
    "where",
];

pub fn catalogue(path: &Path, limit: Duration) -> Result<Catalogue> {
    let connection = open_read_only(path, PATIENCE)?;
    let _watchdog = Watchdog::start(&connection, limit);
    let tables = tables(&connection)
        .map_err(|error| failure(&error, "reading the catalogue", words(&error)))?;
    Ok(Catalogue { dialect: Dialect::Sqlite, tables })
}

fn tables(connection: &Connection) -> rusqlite::Result<Vec<Table>> {
    let listed: Vec<Table> = read_rows(
        connection,
        "SELECT name, type = 'view', coalesce(sql, '') FROM sqlite_master WHERE type IN ('table', 'view') \
         AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\' ORDER BY name LIMIT 5000",
        [],
        |row| {
            let name: String = row.get(0)?;
            Ok(Table {
                schema: "main".to_owned(),
                expression: expression(&name),
                is_view: row.get(1)?,
                checks: row.get(2)?,
                name,
                ..Table::default()
            })
        },
    )?;
    let mut tables = Vec::new();
    let mut columns = 0;
    for mut table in listed {
        // A view whose table is gone has no columns.
        let Ok(found) = table_columns(connection, &table.name) else {
            continue;
        };
        columns += found.len();
        if columns > MOST_COLUMNS {
            break;
        }
        let mut key: Vec<_> = found.iter().filter(|(_, place)| *place > 0).collect();
        key.sort_by_key(|(_, place)| *place);
        table.key = key.iter().map(|(column, _)| column.name.clone()).collect();
        table.columns = found.into_iter().map(|(column, _)| column).collect();
        tables.push(table);
    }
    let mut held = Vec::new();
    for table in &tables {
        let keys: Vec<(String, String)> = read_rows(
            connection,
            "SELECT \"table\", on_delete FROM pragma_foreign_key_list(?)",
            [&table.name],
            |row| Ok((row.get(0)?, row.get(1)?)),
        )?;
        let holding = keys.into_iter().filter(|(_, action)| action != "CASCADE");
        held.extend(holding.map(|(target, _)| (target, table.name.clone())));
    }
    for (target, by) in held {
        let same = |table: &&mut Table| table.name.eq_ignore_ascii_case(&target);
        if let Some(table) = tables.iter_mut().find(same)
            && !table.held_by.contains(&by)
        {
            table.held_by.push(by);
        }
    }
    Ok(tables)
}

/// The columns of a table, and the place of each in the primary key, from 1; 0: it is none of its.
fn table_columns(connection: &Connection, table: &str) -> rusqlite::Result<Vec<(Column, i64)>> {
    read_rows(
        connection,
        "SELECT name, lower(type), pk FROM pragma_table_xinfo(?) WHERE hidden <> 1 ORDER BY cid",
        [table],
        |row| {
            let name: String = row.get(0)?;
            let column = Column {
                expression: expression(&name),
                kind: row.get(1)?,
                labels: Vec::new(),
                name,
            };
            Ok((column, row.get(2)?))
        },
    )
}

/// Rows of each table; none of one that cannot be read.
pub fn samples(path: &Path, limit: Duration, tables: &[&Table]) -> Result<Vec<Sample>> {
    let connection = open_read_only(path, PATIENCE)?;
    let _watchdog = Watchdog::start(&connection, limit);
    let sample = |table: &&Table| -> Sample {
        let cut = |column: &str| format!("substr(CAST({column} AS TEXT), 1, {LONGEST_SAMPLE})");
        let sql = sample_statement(table, &cut);
        let count = table.columns.len();
        let rows = read_rows(&connection, &sql, [], |row| {
            (0..count).map(|place| row.get(place)).collect()
        });
        rows.unwrap_or_default()
    };
    Ok(tables.iter().map(sample).collect())
}

/// A name in a statement, quoted where it has to be.
fn expression(name: &str) -> String {
    let plain = |letter: char| letter.is_ascii_alphanumeric() || letter == '_';
    let is_plain =
        name.chars().all(plain) && !name.starts_with(|first: char| first.is_ascii_digit());
    if is_plain && !KEYWORDS.contains(&name.to_lowercase().as_str()) {
        name.to_owned()
    } else {
        identifier(name)
    }
}
