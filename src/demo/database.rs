//! The sandbox's database: the only SQL outside `store`, since `store` never creates a table or writes a task.

use super::rows::Rows;
use super::write::cannot_write;
use anyhow::Result;
use indicatif::ProgressBar;
use rusqlite::{Connection, OpenFlags, Transaction, params_from_iter, types};
use serde::Serialize;
use serde_json::{Map, Value};
use std::fs::OpenOptions;
use std::path::Path;

const SCHEMA: &str = include_str!("schema.sql");

/// Makes the database file, which must not exist, and fills it in one transaction.
pub(super) fn fill(path: &Path, rows: &Rows, progress: &ProgressBar) -> Result<()> {
    // Created here and not by SQLite: `create_new` follows no link and takes no file that came in between.
    OpenOptions::new()
        .write(true)
        .create_new(true)
        .open(path)
        .map_err(|cause| cannot_write(path, cause))?;
    insert_all(path, rows, progress).map_err(|cause| cannot_write(path, cause).into())
}

fn insert_all(path: &Path, rows: &Rows, progress: &ProgressBar) -> Result<()> {
    // Without URIs: a folder may be named `file:x`.
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let mut connection = Connection::open_with_flags(path, flags)?;
    let transaction = connection.transaction()?;
    transaction.execute_batch(SCHEMA)?;
    insert(&transaction, "tasks", &rows.tasks, progress)?;
    insert(&transaction, "delivery_receipts", &rows.receipts, progress)?;
    insert(&transaction, "tracking_info", &rows.tracking, progress)?;
    transaction.commit()?;
    Ok(connection.execute_batch("ANALYZE")?)
}

/// Inserts rows whose fields have the names of the table's columns.
fn insert(
    transaction: &Transaction,
    table: &str,
    rows: &[impl Serialize],
    progress: &ProgressBar,
) -> Result<()> {
    for row in rows {
        let row: Map<String, Value> = serde_json::from_value(serde_json::to_value(row)?)?;
        let columns: Vec<&str> = row.keys().map(String::as_str).collect();
        let (names, marks) = (columns.join(", "), vec!["?"; columns.len()].join(", "));
        transaction
            .prepare_cached(&format!("INSERT INTO {table} ({names}) VALUES ({marks})"))?
            .execute(params_from_iter(row.values().map(sql_value)))?;
        progress.inc(1);
    }
    Ok(())
}

fn sql_value(value: &Value) -> types::Value {
    match value {
        Value::String(text) => text.clone().into(),
        Value::Number(number) => match number.as_i64() {
            Some(whole) => whole.into(),
            None => number.as_f64().into(),
        },
        _ => types::Value::Null,
    }
}
