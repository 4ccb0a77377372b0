//! Why a connection could not be had, in words, and what to do about it.

use super::super::failure::{cause_of, find_cause, server_message};
use super::certificate;
use super::connector::Unnegotiated;
use super::target::Host;
use crate::outcome::{Failure, Kind};
use postgres::error::{DbError, SqlState};
use std::io::{self, ErrorKind};
use std::time::Duration;

/// Why an attempt failed.
#[derive(Debug, Clone)]
pub struct Problem {
    pub kind: Kind,
    pub cause: String,
    pub hint: String,
    /// The server has answered, so no other host is asked.
    pub decisive: bool,
    /// Another sort of connection, encrypted or not, may fare better.
    pub depends_on_encryption: bool,
}

impl Problem {
    pub fn unavailable(cause: impl Into<String>, hint: impl Into<String>) -> Self {
        Self {
            kind: Kind::DatabaseUnavailable,
            cause: cause.into(),
            hint: hint.into(),
            decisive: false,
            depends_on_encryption: false,
        }
    }

    fn refused(cause: impl Into<String>, hint: impl Into<String>) -> Self {
        Self { kind: Kind::DatabaseRefused, decisive: true, ..Self::unavailable(cause, hint) }
    }

    fn tls(cause: impl Into<String>, hint: impl Into<String>) -> Self {
        Self {
            kind: Kind::TlsFailed,
            decisive: true,
            depends_on_encryption: true,
            ..Self::unavailable(cause, hint)
        }
    }
}

impl From<Failure> for Problem {
    fn from(failure: Failure) -> Self {
        Self { kind: failure.kind, ..Self::tls(failure.message, failure.hint.unwrap_or_default()) }
    }
}

pub fn explain_connect(error: &postgres::Error, host: &Host, limit: Duration) -> Problem {
    if let Some(db) = error.as_db_error() {
        return explain_refusal(db);
    }
    if let Some(error) = find_cause::<rustls::Error>(error) {
        let (cause, hint) = certificate::explain(error);
        return Problem::tls(cause, hint);
    }
    let words = cause_of(error);
    match find_cause::<Unnegotiated>(error) {
        Some(Unnegotiated::NoAnswer(_)) => return explain_io(error, &words, host, limit),
        Some(Unnegotiated::NoTls) => {
            return Problem::tls(
                "the server does not support TLS",
                "switch TLS on in the server (ssl = on), or ask for less with sslmode",
            );
        }
        None => {}
    }
    // The kinds of tokio-postgres' errors are private; their texts are not. tests/store/connect.rs meets each of them.
    match error.to_string().as_str() {
        "error performing TLS handshake" => {
            Problem::tls(format!("the TLS handshake failed: {words}"), "look into the server's log")
        }
        "invalid configuration" if host.password.is_none() => Problem::refused(
            "the server asks for a password and none is given",
            "put it into the database URL, PGPASSWORD or ~/.pgpass (which only its owner may read)",
        ),
        "authentication error" | "invalid configuration" => Problem::refused(
            format!("the two sides cannot agree on how to log in: {words}"),
            "check pg_hba.conf on the server, and channel_binding in the URL",
        ),
        _ => explain_io(error, &words, host, limit),
    }
}

fn explain_io(error: &postgres::Error, words: &str, host: &Host, limit: Duration) -> Problem {
    let kind = find_cause::<io::Error>(error).map(io::Error::kind);
    match kind {
        Some(ErrorKind::ConnectionRefused) => Problem::unavailable(
            "connection refused",
            "no server listens there: check host and port in the database URL, and that PostgreSQL runs",
        ),
        Some(ErrorKind::NotFound) if host.is_socket() => Problem::unavailable(
            "there is no such socket",
            "check the socket's folder and the port in the database URL, and that PostgreSQL runs",
        ),
        Some(ErrorKind::PermissionDenied) if host.is_socket() => Problem::unavailable(
            "this user has no right to use the socket",
            "check the rights on the socket and its folder",
        ),
        Some(ErrorKind::TimedOut) => no_answer(limit),
        Some(ErrorKind::UnexpectedEof | ErrorKind::ConnectionReset | ErrorKind::BrokenPipe) => {
            hung_up()
        }
        _ if error.is_closed() => hung_up(),
        _ => Problem::unavailable(words, "check host and port in the database URL"),
    }
}

fn hung_up() -> Problem {
    Problem::unavailable(
        "the server closed the connection before it answered",
        "check that PostgreSQL listens at this port, and its log",
    )
}

/// A server's "no" at the door.
fn explain_refusal(db: &DbError) -> Problem {
    let cause = server_message(db);
    let code = db.code();
    if *code == SqlState::INVALID_PASSWORD {
        let hint = "check the user, and the password in the database URL, PGPASSWORD or ~/.pgpass";
        return Problem::refused(cause, hint);
    }
    if *code == SqlState::INVALID_AUTHORIZATION_SPECIFICATION {
        let hint = "check the user, and what pg_hba.conf on the server allows it";
        return Problem { depends_on_encryption: true, ..Problem::refused(cause, hint) };
    }
    if *code == SqlState::INSUFFICIENT_PRIVILEGE {
        return Problem::refused(cause, "GRANT CONNECT ON DATABASE to this user");
    }
    let hint = match code.code() {
        "3D000" => "check the database's name in the database URL",
        "53300" => {
            "wait for connections to end, or raise the limit of the server, database or role"
        }
        "57P03" => "the server is not ready; try again when it is",
        _ => "look into the server's log",
    };
    Problem { decisive: *code != SqlState::CANNOT_CONNECT_NOW, ..Problem::unavailable(cause, hint) }
}

pub fn no_answer(limit: Duration) -> Problem {
    Problem::unavailable(
        format!("no answer within {limit:?}"),
        "check host, port and firewall; database.connect_timeout_seconds says how long is waited",
    )
}
