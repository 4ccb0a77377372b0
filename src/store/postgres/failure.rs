//! What a failed statement means for the run.

use crate::outcome::{Failure, Kind};
use crate::store::refusal::Refusal;
use postgres::error::DbError;
use postgres::types::WrongType;
use std::error::Error;
use std::io;

/// `doing` says what it was for: "reading the tasks".
///
/// The kinds: `statement_timeout`, `permission_denied`, `row_security`, `mapping_mismatch` (a table, column or expression of
/// the mapping does not fit), `database_unavailable` (the connection or the server went away),
/// `query_failed` for the rest. The message has everything that the server said, and its SQLSTATE.
pub fn failure(error: &postgres::Error, doing: &str) -> Failure {
    let Some(db) = error.as_db_error() else {
        return explain_without_server(error, doing);
    };
    let message = format!("{doing}: {}", server_message(db));
    let new = |kind, hint: &str| Failure::new(kind, message.clone()).hint(hint);
    match db.code().code() {
        // PostgreSQL has one code for both; in another language than English the more likely one is said.
        "57014" if db.message().contains("user request") => {
            new(Kind::QueryFailed, "someone cancelled the statement on the server; run again")
        }
        "57014" => new(
            Kind::StatementTimeout,
            "raise database.statement_timeout_seconds, or see whether the columns of the mapping have indexes, and whether another session holds a lock on the table",
        ),
        "42501" if is_filtered(db) => new(Kind::RowSecurity, HIDDEN_ROWS_HINT),
        "42501" => new(Kind::PermissionDenied, &grant_hint(db.message())),
        "3F000" => new(Kind::MappingMismatch, MAPPING_HINT),
        "25006" => new(
            Kind::QueryFailed,
            "reports and checks read in read-only transactions: leave out of the mapping what calls a function that writes",
        ),
        "40001" => new(
            Kind::QueryFailed,
            "run again; on a standby, max_standby_streaming_delay or hot_standby_feedback give long statements time",
        ),
        "53100" => {
            new(Kind::QueryFailed, "the server's disk is full: make room there, and run again")
        }
        "53300" | "57P01" | "57P02" | "57P03" | "57P05" => {
            new(Kind::DatabaseUnavailable, "run again when the server is back")
        }
        "08P01" if db.message().contains("statement pooling") => new(
            Kind::QueryFailed,
            "taskmon reads and deletes in transactions: have pool_mode = transaction or session in PgBouncer",
        ),
        code if code.starts_with("08") => {
            new(Kind::DatabaseUnavailable, "run again when the server is back")
        }
        // Syntax errors and names or types that are not there: only the mapping varies.
        code if code.starts_with("42") => new(Kind::MappingMismatch, MAPPING_HINT),
        _ => Failure::new(Kind::QueryFailed, message),
    }
}

/// What a refused trial of the mapping's expressions means.
pub fn refusal(error: &postgres::Error) -> Refusal {
    let failed = || Refusal::Failed(failure(error, "looking at the tables"));
    let Some(db) = error.as_db_error() else {
        return failed();
    };
    let hint = db.hint().map(|hint| format!(" (the server's hint: {hint})"));
    let words = db.message().to_owned() + hint.as_deref().unwrap_or_default();
    match db.code().code() {
        // An undefined column.
        "42703" => Refusal::MissingColumn(words),
        // An undefined table or schema, or something that is no table.
        "42P01" | "3F000" | "42809" => Refusal::MissingTable(words),
        // No rights, or the time limit.
        "42501" | "57014" => failed(),
        code if code.starts_with("42") || code.starts_with("22") => Refusal::BadExpression(words),
        _ => failed(),
    }
}

/// Whether a transaction was ended for another one's sake. YB is YugabyteDB's class.
pub fn is_conflict(error: &postgres::Error) -> bool {
    let class = error.code().and_then(|code| code.code().get(..2));
    class.is_some_and(|class| ["40", "YB"].contains(&class))
}

/// What helps where rows may be hidden.
pub const HIDDEN_ROWS_HINT: &str = "have a role run taskmon that sees every row: the tables' owner, or one that was given BYPASSRLS; where the policies and views show this role all of them, say so with row_security = \"accept\" in [database]";

/// Whether a statement failed because policies would filter what it reads, which is refused where `row_security` is off. The message is in the
/// server's language, the name of its function is not.
pub fn is_filtered(db: &DbError) -> bool {
    db.routine() == Some("check_enable_rls")
}

const MAPPING_HINT: &str =
    "compare the tables and columns under [database] in the configuration with the database";

fn explain_without_server(error: &postgres::Error, doing: &str) -> Failure {
    let words = cause_of(error);
    let is_nonsense = words == "unexpected message from server";
    let lost = error.is_closed() || find_cause::<io::Error>(error).is_some() || is_nonsense;
    if find_cause::<WrongType>(error).is_some() {
        let message = format!("{doing}: a column has another type than expected: {words}");
        return Failure::new(Kind::MappingMismatch, message).hint(MAPPING_HINT);
    }
    if lost {
        let why = if error.is_closed() { "the server closed it".to_owned() } else { words };
        let message = format!("{doing}: the connection to the database was lost: {why}");
        return Failure::new(Kind::DatabaseUnavailable, message)
            .hint("run again when the server is back; its log may say why it went");
    }
    Failure::new(Kind::QueryFailed, format!("{doing}: {words}"))
}

/// `GRANT …` for what an English "permission denied for table jobs" names.
fn grant_hint(message: &str) -> String {
    let named =
        message.strip_prefix("permission denied for ").and_then(|rest| rest.split_once(' '));
    match named {
        Some(("schema", name)) => format!("GRANT USAGE ON SCHEMA {name} to the role"),
        Some(("table" | "view" | "relation" | "materialized", name)) => {
            let name = name.trim_start_matches("view ");
            format!("GRANT SELECT ON {name} to the role")
        }
        _ => "GRANT SELECT on the tables of the mapping (and USAGE on their schema) to the role"
            .to_owned(),
    }
}

/// All that the server said, in one line.
pub fn server_message(db: &DbError) -> String {
    let mut message = db.message().to_owned();
    if let Some(detail) = db.detail() {
        message.push_str(&format!(" ({detail})"));
    }
    if let Some(hint) = db.hint() {
        message.push_str(&format!(" (the server's hint: {hint})"));
    }
    message.push_str(&format!(" [SQLSTATE {}]", db.code().code()));
    message
}

/// The innermost text of an error: the library's own says only that there was one.
pub fn cause_of(error: &postgres::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        text = inner.to_string();
        cause = inner.source();
    }
    text
}

/// The first error of this type in the chain, looking into `io::Error`s, which leave what they wrap out of it.
pub fn find_cause<'a, E: Error + 'static>(error: &'a (dyn Error + 'static)) -> Option<&'a E> {
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(found) = error.downcast_ref::<E>() {
            return Some(found);
        }
        next = match error.downcast_ref::<io::Error>().and_then(io::Error::get_ref) {
            Some(inner) => Some(inner),
            None => error.source(),
        };
    }
    None
}
