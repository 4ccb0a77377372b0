//! What an error means for a batch: one of its rows is at fault, another try may fare better, the connection is lost.

use super::super::session::Broken;
use crate::outcome::{Failure, Kind};
use postgres::error::SqlState;

/// Why a batch was not deleted.
pub enum Stopped {
    /// A new transaction may fare better.
    Conflict(Failure),
    /// The connection is lost.
    Lost(Failure),
    /// It ran into the time limit of a statement, which fewer rows may not.
    TooLong(Failure),
    /// COMMIT itself was refused, for a row's sake: the server's words.
    Uncommitted(String),
    Failed(Failure),
}

impl Stopped {
    /// The server said nothing of the last statement, nor will.
    pub fn is_unanswered(&self) -> bool {
        match self {
            Stopped::Lost(_) => true,
            Stopped::Failed(failure) => failure.kind == Kind::Interrupted,
            Stopped::Conflict(_) | Stopped::TooLong(_) | Stopped::Uncommitted(_) => false,
        }
    }
}

pub enum Verdict {
    /// One of its rows is at fault; the server's words.
    Row(String),
    Batch(Stopped),
}

/// `doing`: what the statement was for.
pub fn verdict(broken: &Broken, doing: &str) -> Verdict {
    let failure = broken.failure(doing);
    let error = match broken {
        Broken::Server(error) => error,
        Broken::Silent(_) | Broken::Gone => return Verdict::Batch(Stopped::Lost(failure)),
        Broken::Interrupted => return Verdict::Batch(Stopped::Failed(failure)),
    };
    let code = error.code().map_or("", |code| code.code());
    let words = || {
        error.as_db_error().map_or_else(|| failure.message.clone(), |db| db.message().to_owned())
    };
    match (code, code.get(..2).unwrap_or("")) {
        // Whether COMMIT succeeded is not known to the server itself.
        ("40003", _) => Verdict::Batch(Stopped::Lost(failure)),
        // YB is YugabyteDB's class; XX000 is what Citus makes of another node's conflict.
        ("55P03" | "XX000", _) | (_, "40" | "YB") => Verdict::Batch(Stopped::Conflict(failure)),
        // Integrity, and whatever a trigger raises or trips over.
        (_, "23" | "P0" | "09" | "27" | "22" | "21" | "38" | "39" | "44") => Verdict::Row(words()),
        // A trigger that names a column or table that is not there; those of the mapping were checked before.
        (_, "42") if happened_in_a_function(error) => Verdict::Row(words()),
        // idle_in_transaction_session_timeout, while many files are being removed.
        ("25P03" | "25P04", _) => Verdict::Batch(Stopped::Lost(failure)),
        _ if failure.kind == Kind::DatabaseUnavailable => Verdict::Batch(Stopped::Lost(failure)),
        _ => Verdict::Batch(Stopped::Failed(failure)),
    }
}

/// Whether a lock of another session was waited for in vain.
pub fn is_locked(broken: &Broken) -> bool {
    let code = |error: &postgres::Error| error.code() == Some(&SqlState::LOCK_NOT_AVAILABLE);
    matches!(broken, Broken::Server(error) if code(error))
}

/// A trigger's error did, one of taskmon's own statements did not.
fn happened_in_a_function(error: &postgres::Error) -> bool {
    error.as_db_error().is_some_and(|error| error.where_().is_some())
}

/// The same where no single row can be at fault.
pub fn stopped(broken: &Broken, doing: &str) -> Stopped {
    match verdict(broken, doing) {
        Verdict::Batch(stopped) => stopped,
        Verdict::Row(_) => Stopped::Failed(broken.failure(doing)),
    }
}
