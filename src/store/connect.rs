//! Opens a connection to PostgreSQL, and says in words why one could not be had or a statement failed.
//!
//! Hosts, addresses and encryption are tried in libpq's order (manual: "Specifying Multiple Hosts", "SSL Mode
//! Descriptions"). A server that could not be reached, is starting up or is not of the wanted kind makes way
//! for the next one; one that answered "no" has decided.
//!
//! Where taskmon is stricter than libpq: a wrong password is not offered again without TLS, `prefer` stays
//! encrypted whatever the certificate says, and an `sslrootcert` that is named has to be there. What rustls
//! cannot verify: certificates of X.509 version 1, and host names that stand in the common name only.

use super::target::{ChannelBinding, Host, PostgresTarget, SessionAttributes, SslMode};
use super::tls;
use crate::outcome::{Failure, Kind};
use postgres::config::{ChannelBinding as Binding, SslMode as WireSslMode};
use postgres::error::{DbError, SqlState};
use postgres::types::WrongType;
use postgres::{Client, Config, NoTls, SimpleQueryMessage};
use std::error::Error;
use std::io::{self, ErrorKind};
use std::net::{IpAddr, ToSocketAddrs};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::Duration;
use tokio_postgres_rustls::MakeRustlsConnect;

/// Connects to the first host that will do.
///
/// Each address has `connect_timeout` to answer, for everything: the connection, TLS, the password and the
/// question what kind of server it is. So does each look-up of a name.
///
/// # Errors
/// A [`Failure`] of kind `database_unavailable`, `database_refused` or `tls_failed`, which names host, port,
/// database and user and never the password.
pub fn connect(target: &PostgresTarget) -> anyhow::Result<Client> {
    let mut problems = vec![];
    for wanted in passes(target.session) {
        problems.clear();
        match connect_any(target, wanted, &mut problems) {
            Some(client) => return Ok(client),
            None if problems.iter().any(|(_, problem)| problem.decisive) => break,
            None => {}
        }
    }
    Err(summarise(target, problems).into())
}

/// `prefer-standby` goes through the hosts twice.
fn passes(wanted: SessionAttributes) -> Vec<SessionAttributes> {
    match wanted {
        SessionAttributes::PreferStandby => {
            vec![SessionAttributes::Standby, SessionAttributes::Any]
        }
        wanted => vec![wanted],
    }
}

fn connect_any(
    target: &PostgresTarget,
    wanted: SessionAttributes,
    problems: &mut Vec<(String, Problem)>,
) -> Option<Client> {
    for host in &target.hosts {
        let addresses = match resolve(host, target.connect_timeout) {
            Ok(addresses) => addresses,
            Err(problem) => {
                problems.push((host.display(), problem));
                continue;
            }
        };
        for address in addresses {
            match attempt(target, host, address, wanted) {
                Ok(client) => {
                    log::debug!("connected to {}", host.display());
                    return Some(client);
                }
                Err(problem) => {
                    let decisive = problem.decisive;
                    log::debug!("{}: {}", host.display(), problem.cause);
                    problems.push((host.display(), problem));
                    if decisive {
                        return None;
                    }
                }
            }
        }
    }
    None
}

/// Why an attempt failed.
#[derive(Debug, Clone)]
struct Problem {
    kind: Kind,
    cause: String,
    hint: String,
    /// The server has answered, so no other host is asked.
    decisive: bool,
    /// Another sort of connection, encrypted or not, may fare better.
    depends_on_encryption: bool,
}

impl Problem {
    fn unavailable(cause: impl Into<String>, hint: impl Into<String>) -> Self {
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

/// One failure out of all attempts. The last problem decides its kind: it is the one that nothing came after.
fn summarise(target: &PostgresTarget, problems: Vec<(String, Problem)>) -> Failure {
    let PostgresTarget { database, user, .. } = target;
    let Some((_, last)) = problems.last().cloned() else {
        return Failure::new(Kind::Internal, "there is no host to connect to");
    };
    let mut causes: Vec<String> = vec![];
    for (place, problem) in &problems {
        let cause = format!("{place}: {}", problem.cause);
        if !causes.contains(&cause) {
            causes.push(cause);
        }
    }
    let message = format!(
        "cannot connect to database {database:?} as user {user:?} at {}",
        causes.join("; ")
    );
    let failure = Failure::new(last.kind, message);
    if last.hint.is_empty() { failure } else { failure.hint(last.hint) }
}

/// What [`with_deadline`] ended with.
enum Late {
    /// The time was up. The thread goes on by itself and its result is dropped.
    TimeUp,
    /// The thread could not be started or died.
    Lost(String),
}

/// Runs `work` in a thread of its own and waits for it no longer than `limit`.
fn with_deadline<T: Send + 'static>(
    limit: Duration,
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, Late> {
    let (sender, receiver) = mpsc::sync_channel(1);
    thread::Builder::new()
        .name("connect".to_owned())
        // Nobody may be waiting any more.
        .spawn(move || drop(sender.send(work())))
        .map_err(|error| Late::Lost(error.to_string()))?;
    receiver.recv_timeout(limit).map_err(|error| match error {
        RecvTimeoutError::Timeout => Late::TimeUp,
        RecvTimeoutError::Disconnected => Late::Lost("it ended without a result".to_owned()),
    })
}

fn lost(why: &str) -> Problem {
    Problem {
        kind: Kind::Internal,
        ..Problem::unavailable(format!("the connecting thread was lost: {why}"), "")
    }
}

/// The addresses to try; `None` stands for a socket.
fn resolve(host: &Host, limit: Duration) -> Result<Vec<Option<IpAddr>>, Problem> {
    if host.is_socket() {
        return Ok(vec![None]);
    }
    if let Some(address) = host.address {
        return Ok(vec![Some(address)]);
    }
    let (name, port) = (host.name.clone(), host.port);
    let hint = "check the host in the database URL, and this machine's DNS";
    let found = with_deadline(limit, move || {
        let addresses = (name.as_str(), port).to_socket_addrs()?;
        Ok::<Vec<_>, io::Error>(addresses.map(|address| Some(address.ip())).collect())
    });
    match found {
        Ok(Ok(addresses)) if !addresses.is_empty() => Ok(addresses),
        Ok(Ok(_)) => Err(Problem::unavailable("the host name has no address", hint)),
        Ok(Err(error)) => Err(Problem::unavailable(
            format!("the host name cannot be resolved: {}", strip_prefix(&error)),
            hint,
        )),
        Err(Late::TimeUp) => Err(Problem::unavailable(
            format!("the host name could not be resolved within {limit:?}"),
            hint,
        )),
        Err(Late::Lost(why)) => Err(lost(&why)),
    }
}

/// The system's own words, without what Rust's library puts in front.
fn strip_prefix(error: &io::Error) -> String {
    let text = error.to_string();
    match text.strip_prefix("failed to lookup address information: ") {
        Some(words) => words.to_owned(),
        None => text,
    }
}

fn attempt(
    target: &PostgresTarget,
    host: &Host,
    address: Option<IpAddr>,
    wanted: SessionAttributes,
) -> Result<Client, Problem> {
    let limit = target.connect_timeout;
    let (target, host) = (target.clone(), host.clone());
    let done = with_deadline(limit, move || {
        let mut client = open(&target, &host, address)?;
        check_session(&mut client, wanted)?;
        Ok(client)
    });
    match done {
        Ok(result) => result,
        Err(Late::TimeUp) => Err(no_answer(limit)),
        Err(Late::Lost(why)) => Err(lost(&why)),
    }
}

fn no_answer(limit: Duration) -> Problem {
    Problem::unavailable(
        format!("no answer within {limit:?}"),
        "check host, port and firewall; database.connect_timeout_seconds says how long is waited",
    )
}

/// Connects as `sslmode` says.
fn open(target: &PostgresTarget, host: &Host, address: Option<IpAddr>) -> Result<Client, Problem> {
    let plain = || {
        let config = configure(target, host, address, WireSslMode::Disable);
        config.connect(NoTls).map_err(|error| explain_connect(&error, host, target.connect_timeout))
    };
    let encrypted = |mode| {
        let connector = MakeRustlsConnect::new(tls::configure(target)?);
        configure(target, host, address, mode)
            .connect(connector)
            .map_err(|error| explain_connect(&error, host, target.connect_timeout))
    };
    match target.ssl_mode {
        // libpq never encrypts a socket of this machine, whatever was asked for.
        _ if host.is_socket() => plain(),
        SslMode::Disable => plain(),
        SslMode::Allow => {
            or_else(plain(), "without TLS", "with TLS", || encrypted(WireSslMode::Require))
        }
        SslMode::Prefer => {
            or_else(encrypted(WireSslMode::Prefer), "with TLS", "without TLS", plain)
        }
        SslMode::Require | SslMode::VerifyCa | SslMode::VerifyFull => {
            encrypted(WireSslMode::Require)
        }
    }
}

/// The second way where the first failed for a reason that has to do with encryption. A wrong password is
/// none: it is not offered a second time, least of all in the clear.
fn or_else(
    first: Result<Client, Problem>,
    first_way: &str,
    second_way: &str,
    second: impl FnOnce() -> Result<Client, Problem>,
) -> Result<Client, Problem> {
    let first = match first {
        Err(problem) if problem.depends_on_encryption => problem,
        result => return result,
    };
    let second = match second() {
        Err(problem) => problem,
        result => return result,
    };
    if first.cause == second.cause {
        return Err(first);
    }
    // The server's word on who may connect tells more than that it has no TLS.
    let telling = match (first.kind, second.kind) {
        (_, Kind::TlsFailed) => first.clone(),
        _ => second.clone(),
    };
    let cause = format!("{first_way}: {}; {second_way}: {}", first.cause, second.cause);
    Err(Problem { cause, ..telling })
}

fn configure(
    target: &PostgresTarget,
    host: &Host,
    address: Option<IpAddr>,
    ssl_mode: WireSslMode,
) -> Config {
    let mut config = Config::new();
    match address {
        Some(address) => config.host(&host.name).hostaddr(address),
        None => config.host_path(&host.name),
    };
    config
        .port(host.port)
        .user(&target.user)
        .dbname(&target.database)
        .ssl_mode(ssl_mode)
        .application_name(&target.application_name)
        .connect_timeout(target.connect_timeout)
        .channel_binding(match target.channel_binding {
            ChannelBinding::Disable => Binding::Disable,
            ChannelBinding::Prefer => Binding::Prefer,
            ChannelBinding::Require => Binding::Require,
        })
        .keepalives(target.keepalive.enabled)
        .keepalives_idle(target.keepalive.idle)
        .keepalives_interval(target.keepalive.interval)
        .keepalives_retries(target.keepalive.count)
        .notice_callback(|notice| log::debug!("the server says: {}", notice.message()));
    if let Some(password) = &host.password {
        config.password(password);
    }
    if let Some(options) = &target.options {
        config.options(options);
    }
    if let Some(timeout) = target.keepalive.user_timeout {
        config.tcp_user_timeout(timeout);
    }
    config
}

/// Whether the server is what `target_session_attrs` asks for.
fn check_session(client: &mut Client, wanted: SessionAttributes) -> Result<(), Problem> {
    if wanted == SessionAttributes::Any {
        return Ok(());
    }
    let query = "SELECT pg_is_in_recovery(), current_setting('transaction_read_only')";
    let messages = client.simple_query(query).map_err(|error| {
        let failure = failure(&error, "asking what kind of server it is");
        Problem::unavailable(failure.message, failure.hint.unwrap_or_default())
    })?;
    let row = messages.iter().find_map(|message| match message {
        SimpleQueryMessage::Row(row) => Some(row),
        _ => None,
    });
    let column = |index| row.and_then(|row| row.get(index));
    let standby = column(0) == Some("t");
    let read_only = standby || column(1) == Some("on");
    let (fits, what) = match wanted {
        SessionAttributes::Any | SessionAttributes::PreferStandby => (true, ""),
        SessionAttributes::Primary => (!standby, "it is a standby, not a primary"),
        SessionAttributes::Standby => (standby, "it is a primary, not a standby"),
        SessionAttributes::ReadWrite => (!read_only, "it is read-only"),
        SessionAttributes::ReadOnly => (read_only, "it is not read-only"),
    };
    if fits {
        Ok(())
    } else {
        let hint = "the URL's target_session_attrs says which servers will do";
        Err(Problem::unavailable(what, hint))
    }
}

fn explain_connect(error: &postgres::Error, host: &Host, limit: Duration) -> Problem {
    if let Some(db) = error.as_db_error() {
        return explain_refusal(db);
    }
    if let Some(error) = find_cause::<rustls::Error>(error) {
        let (cause, hint) = tls::explain(error);
        return Problem::tls(cause, hint);
    }
    let words = cause_of(error);
    // The kinds of tokio-postgres' errors are private; their texts are not. tests/connect.rs meets each of them.
    match error.to_string().as_str() {
        "error performing TLS handshake" if words.contains("does not support TLS") => Problem::tls(
            "the server does not offer TLS",
            "switch TLS on in the server (ssl = on), or ask for less with sslmode",
        ),
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

/// What a failed statement means for the run. `doing` says what it was for: "reading the tasks".
///
/// The kinds: `statement_timeout`, `permission_denied`, `mapping_mismatch` (a table, column or expression of
/// the mapping does not fit), `database_unavailable` (the connection or the server went away),
/// `query_failed` for the rest. The message has everything that the server said, and its SQLSTATE.
pub fn failure(error: &postgres::Error, doing: &str) -> Failure {
    let Some(db) = error.as_db_error() else {
        return explain_without_server(error, doing);
    };
    let message = format!("{doing}: {}", server_message(db));
    let new = |kind, hint: &str| Failure::new(kind, message.clone()).hint(hint);
    match db.code().code() {
        // PostgreSQL has one code for both; in another language than English the more likely one is told.
        "57014" if db.message().contains("user request") => {
            new(Kind::QueryFailed, "someone cancelled the statement on the server; run again")
        }
        "57014" => new(
            Kind::StatementTimeout,
            "raise database.statement_timeout_seconds, or see whether the columns of the mapping have indexes, and whether another session holds a lock on the table",
        ),
        "42501" => new(Kind::PermissionDenied, &grant_hint(db.message())),
        "3F000" => new(Kind::MappingMismatch, MAPPING_HINT),
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
        code if code.starts_with("08") => {
            new(Kind::DatabaseUnavailable, "run again when the server is back")
        }
        // Syntax errors and names or types that are not there: only the mapping varies.
        code if code.starts_with("42") => new(Kind::MappingMismatch, MAPPING_HINT),
        _ => Failure::new(Kind::QueryFailed, message),
    }
}

const MAPPING_HINT: &str =
    "compare the tables and columns under [database] in the configuration with the database";

fn explain_without_server(error: &postgres::Error, doing: &str) -> Failure {
    let words = cause_of(error);
    let lost = error.is_closed() || find_cause::<io::Error>(error).is_some();
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
fn server_message(db: &DbError) -> String {
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
fn cause_of(error: &postgres::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        text = inner.to_string();
        cause = inner.source();
    }
    text
}

/// The first error of this type in the chain, looking into `io::Error`s, which leave what they wrap out of it.
fn find_cause<'a, E: Error + 'static>(error: &'a (dyn Error + 'static)) -> Option<&'a E> {
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
