//! A connection to a SQLite file, its time limit and what its errors mean.

use super::bounds;
use crate::outcome::{Failure, Kind};
use crate::store::refusal::Refusal;
use rusqlite::config::DbConfig;
use rusqlite::functions::{FunctionFlags, SqlFnOutput};
use rusqlite::trace::{TraceEvent, TraceEventCodes};
use rusqlite::types::ValueRef;
use rusqlite::{Connection, ErrorCode, OpenFlags, Params, Row};
use std::path::Path;
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::thread;
use std::time::Duration;

pub fn open_read_only(path: &Path, patience: Duration) -> Result<Connection, Failure> {
    let connection = open(
        path,
        OpenFlags::SQLITE_OPEN_READ_ONLY,
        patience,
        "relative ones start at base_dir or, outside the file, at the working directory",
    )?;
    require_whole(&connection, path)?;
    Ok(connection)
}

/// The first read of the file: says whether it is a database at all, and whether it is all there. SQLite finds missing pages itself, but reads zeros, and
/// so rows without values, from one that a copy onto a full disk has cut off.
pub fn require_whole(connection: &Connection, path: &Path) -> Result<(), Failure> {
    let unreadable = |error| unavailable(&format!("{} cannot be read", path.display()), &error);
    let size: u32 =
        connection.query_row("PRAGMA page_size", [], |row| row.get(0)).map_err(unreadable)?;
    // While the statement runs, other programs do not write to the file.
    let length = |_: &Row| Ok(path.metadata().map_or(0, |data| data.len()));
    let length = connection
        .query_row("SELECT count(*) FROM sqlite_schema", [], length)
        .map_err(unreadable)?;
    if length.is_multiple_of(size.into()) {
        return Ok(());
    }
    let message = format!(
        "{} is cut off: its length, {length} bytes, is no multiple of its page size, {size}",
        path.display()
    );
    Err(Failure::new(Kind::DatabaseUnavailable, message)
        .hint("restore it from a backup, or see what SQLite's own .recover gets out of it"))
}

/// `patience`: how long another program's lock is waited for; `start`: where relative paths start.
pub fn open(
    path: &Path,
    access: OpenFlags,
    patience: Duration,
    start: &str,
) -> Result<Connection, Failure> {
    let shown = path.display();
    if !path.exists() {
        let message = format!("there is no SQLite file {shown}");
        return Err(Failure::new(Kind::DatabaseUnavailable, message)
            .hint(format!("taskmon never makes a database; check the path, {start}")));
    }
    require_file(path)?;
    let open = || {
        let flags = access | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let mut connection = Connection::open_with_flags(path, flags)?;
        log_statements(&mut connection)?;
        connection.busy_timeout(patience)?;
        bounds::limit(&connection)?;
        // A quoted column that is not there would else be a string: every task in one state, a guard that holds nothing back.
        connection.set_db_config(DbConfig::SQLITE_DBCONFIG_DQS_DML, false)?;
        distrust_file(&connection)?;
        Ok(connection)
    };
    open().map_err(|error| unavailable(&format!("{shown} cannot be opened"), &error))
}

/// The file and its schema are others': views and triggers call only what SQLite itself holds to be harmless, nothing writes to what it keeps its
/// indexes in, and a page that is not in order is an error and not another row.
fn distrust_file(connection: &Connection) -> rusqlite::Result<()> {
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_TRUSTED_SCHEMA, false)?;
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_DEFENSIVE, true)?;
    connection.pragma_update(None, "cell_size_check", true)
}

/// A pipe in the place of the file would be waited for without an end.
fn require_file(path: &Path) -> Result<(), Failure> {
    let what = match path {
        path if path.is_file() => return Ok(()),
        path if path.is_dir() => "a folder",
        _ => "no regular file",
    };
    let message = format!("{} is {what}, not a SQLite file", path.display());
    Err(Failure::new(Kind::DatabaseUnavailable, message))
}

/// Every statement as it runs, its values in place: what is in the log can be tried in SQLite's shell.
fn log_statements(connection: &mut Connection) -> rusqlite::Result<()> {
    if !log::log_enabled!(log::Level::Debug) {
        return Ok(());
    }
    let log = |event: TraceEvent| {
        if let TraceEvent::Stmt(statement, _) = event
            && let Some(sql) = statement.expanded_sql()
        {
            log::debug!("{sql}");
        }
    };
    connection.trace_v2(TraceEventCodes::SQLITE_TRACE_STMT, Some(log))
}

/// The rows that a statement answers with, each as `read` has it.
pub fn read_rows<T, C: FromIterator<T>>(
    connection: &Connection,
    sql: &str,
    parameters: impl Params,
    read: impl FnMut(&Row) -> rusqlite::Result<T>,
) -> rusqlite::Result<C> {
    connection.prepare_cached(sql)?.query_map(parameters, read)?.collect()
}

/// Hands over the rows that a statement answers with, one by one.
pub fn each_row(
    connection: &Connection,
    sql: &str,
    parameters: impl Params,
    each: impl FnMut(&Row) -> rusqlite::Result<()>,
) -> rusqlite::Result<()> {
    read_rows(connection, sql, parameters, each)
}

/// Adds a function of one argument for statements to call.
pub fn add_function<T: SqlFnOutput>(
    connection: &Connection,
    name: &str,
    compute: impl Fn(ValueRef) -> T + Send + 'static,
) -> rusqlite::Result<()> {
    let flags = FunctionFlags::SQLITE_UTF8 | FunctionFlags::SQLITE_DETERMINISTIC;
    connection
        .create_scalar_function(name, 1, flags, move |context| Ok(compute(context.get_raw(0))))
}

/// Interrupts the connection when a report takes too long; not once it is dropped.
pub struct Watchdog {
    _leash: Sender<()>,
}

impl Watchdog {
    pub fn start(connection: &Connection, limit: Duration) -> Option<Self> {
        if limit.is_zero() {
            return None;
        }
        let handle = connection.get_interrupt_handle();
        let (leash, released) = channel::<()>();
        thread::spawn(move || {
            if released.recv_timeout(limit) == Err(RecvTimeoutError::Timeout) {
                handle.interrupt();
            }
        });
        Some(Self { _leash: leash })
    }
}

pub fn unavailable(what: &str, error: &rusqlite::Error) -> Failure {
    let failure = Failure::new(Kind::DatabaseUnavailable, format!("{what}: {}", words(error)));
    match error.sqlite_error_code() {
        // In WAL mode even a reader makes files beside the database, where no other program has.
        Some(ErrorCode::ReadOnly | ErrorCode::CannotOpen) => {
            failure.hint("a database in WAL mode can only be read by who may write to its folder, or while the application has it open")
        }
        Some(ErrorCode::SystemIoFailure | ErrorCode::DiskFull) => {
            failure.hint("see whether its disk is full: a database in WAL mode takes a little room even to be read")
        }
        _ => failure,
    }
}

pub fn refusal(error: &rusqlite::Error) -> Refusal {
    let words = words(error);
    if words.contains("no such column") {
        Refusal::MissingColumn(words)
    } else if words.contains("no such table") {
        Refusal::MissingTable(words)
    } else if matches!(error, rusqlite::Error::SqlInputError { .. })
        || error.sqlite_error_code() == Some(ErrorCode::Unknown)
    {
        // What SQLite found wrong while it read the statement.
        Refusal::BadExpression(words)
    } else {
        Refusal::Failed(unavailable("the database cannot be read", error))
    }
}

/// SQLite's own words, without the wrapping.
pub fn words(error: &rusqlite::Error) -> String {
    match error {
        rusqlite::Error::SqliteFailure(_, Some(message)) => message.clone(),
        rusqlite::Error::SqlInputError { msg, .. } => msg.clone(),
        other => other.to_string(),
    }
}

/// What a statement's error means for the run; `doing` says what it was for.
pub fn failure(error: &rusqlite::Error, doing: &str, message: String) -> Failure {
    if let Some(refused) = bounds::refused(error, doing) {
        return refused;
    }
    match error.sqlite_error_code() {
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => {
            Failure::new(Kind::DatabaseUnavailable, message)
                .hint("another program holds the database; try again")
        }
        Some(
            ErrorCode::CannotOpen
            | ErrorCode::NotADatabase
            | ErrorCode::DatabaseCorrupt
            | ErrorCode::SystemIoFailure,
        ) => Failure::new(Kind::DatabaseUnavailable, message),
        _ => Failure::new(Kind::QueryFailed, message),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::FileExt;

    #[test]
    fn a_page_that_is_not_in_order_is_an_error_and_not_another_row() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("tasks.db");
        let made = Connection::open(&path).unwrap();
        made.execute_batch(
            "PRAGMA page_size = 1024; CREATE TABLE t (id integer PRIMARY KEY, s text, f text);
             WITH RECURSIVE n(id) AS (VALUES (1) UNION ALL SELECT id + 1 FROM n WHERE id < 59)
             INSERT INTO t SELECT id, 'completed', 'uploads/image_' || id || '.png' FROM n",
        )
        .unwrap();
        drop(made);
        let read = || -> rusqlite::Result<Vec<String>> {
            let connection = open_read_only(&path, Duration::ZERO).unwrap();
            read_rows(&connection, "SELECT s || f FROM t", [], |row| row.get(0))
        };
        assert_eq!(read().unwrap().len(), 59);
        // The low byte of where the 23rd row of the second leaf begins.
        let file = std::fs::File::options().write(true).open(&path).unwrap();
        file.write_all_at(&[3], 2 * 1024 + 53).unwrap();
        let error = read().unwrap_err().to_string();
        assert_eq!(error, "database disk image is malformed");
    }
}
