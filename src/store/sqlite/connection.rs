//! A connection to a SQLite file that is read only, its time limit and what its errors mean.

use crate::outcome::{Failure, Kind};
use crate::store::columns::Refusal;
use anyhow::Result;
use rusqlite::config::DbConfig;
use rusqlite::trace::{TraceEvent, TraceEventCodes};
use rusqlite::{Connection, ErrorCode, OpenFlags};
use std::path::Path;
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::thread;
use std::time::Duration;

pub fn open_read_only(path: &Path, patience: Duration) -> Result<Connection> {
    let shown = path.display();
    if !path.exists() {
        let failure =
            Failure::new(Kind::DatabaseUnavailable, format!("there is no SQLite file {shown}"));
        return Err(failure
            .hint("taskmon never makes a database; check the path, relative ones start at base_dir or, outside the file, at the working directory")
            .into());
    }
    require_file(path)?;
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let mut connection = Connection::open_with_flags(path, flags)
        .map_err(|error| unavailable(&format!("{shown} cannot be opened"), &error))?;
    log_statements(&mut connection)
        .and_then(|()| connection.busy_timeout(patience))
        // A quoted column that is not there would else be a string: every task in one and the same state.
        .and_then(|()| connection.set_db_config(DbConfig::SQLITE_DBCONFIG_DQS_DML, false))
        .map_err(|error| unavailable(&format!("{shown} cannot be opened"), &error))?;
    // The first read of the file: says whether it is a database at all.
    connection
        .query_row("SELECT count(*) FROM sqlite_schema", [], |_| Ok(()))
        .map_err(|error| unavailable(&format!("{shown} cannot be read"), &error))?;
    Ok(connection)
}

/// A pipe in the place of the file would be waited for without an end.
pub fn require_file(path: &Path) -> Result<(), Failure> {
    let what = match path {
        path if path.is_file() => return Ok(()),
        path if path.is_dir() => "a folder",
        _ => "no regular file",
    };
    let message = format!("{} is {what}, not a SQLite file", path.display());
    Err(Failure::new(Kind::DatabaseUnavailable, message))
}

/// Every statement as it runs, its values in place: what stands in the log can be tried in SQLite's shell.
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

/// Interrupts the connection when a report takes too long; dropped, it stands down.
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
