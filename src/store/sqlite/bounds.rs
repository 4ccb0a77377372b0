//! Values as far as they are read. SQLite reads a value whole to cut it, and reads nothing of it to say how many bytes it has.

use crate::outcome::{Failure, Kind};
use rusqlite::limits::Limit;
use rusqlite::{Connection, ErrorCode};

/// A longer text is not read, and its length is shown in its place.
const LONGEST_READ: usize = 4 << 20;

/// No value that is longer is read: one that an expression makes, a status, a time. In bytes.
const LONGEST: i32 = 16 << 20;

/// No time is written in more bytes.
const LONGEST_TIME: usize = 64;

pub fn limit(connection: &Connection) -> rusqlite::Result<()> {
    connection.set_limit(Limit::SQLITE_LIMIT_LENGTH, LONGEST).map(drop)
}

/// What is said of a value that is longer.
pub fn refused(error: &rusqlite::Error, doing: &str) -> Option<Failure> {
    let is_too_long = error.sqlite_error_code() == Some(ErrorCode::TooBig);
    let message = format!("{doing}: a value that it takes is longer than {LONGEST} bytes");
    is_too_long.then(|| {
        Failure::new(Kind::QueryFailed, message)
            .hint("octet_length() of the columns under [database] finds the row")
    })
}

/// A text, or its length where it is not read.
pub fn text(expression: &str) -> String {
    format!(
        "(CASE WHEN octet_length({expression}) > {LONGEST_READ} THEN {} ELSE {expression} END)",
        length(expression)
    )
}

/// The same, cut after so many characters.
pub fn cut(expression: &str, most: usize) -> String {
    format!(
        "(CASE WHEN octet_length({expression}) < {most} THEN {expression} \
         WHEN octet_length({expression}) <= {LONGEST_READ} THEN substr({expression}, 1, {most}) ELSE {} END)",
        length(expression)
    )
}

/// A path, which is no shorter than `most` where it was longer.
pub fn path(expression: &str, most: usize) -> String {
    format!(
        "(CASE WHEN octet_length({expression}) < {most} THEN {expression} \
         WHEN octet_length({expression}) <= {LONGEST_READ} THEN substr({expression}, 1, {most}) \
         ELSE {} || printf('%.{most}c', '.') END)",
        length(expression)
    )
}

/// A time, or something that is none.
pub fn time(expression: &str) -> String {
    format!(
        "(CASE WHEN octet_length({expression}) > {LONGEST_TIME} THEN {} ELSE {expression} END)",
        length(expression)
    )
}

fn length(expression: &str) -> String {
    format!("'(' || octet_length({expression}) || ' bytes)'")
}
