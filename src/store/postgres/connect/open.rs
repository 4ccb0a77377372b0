//! One attempt to connect: with or without TLS as `sslmode` says (manual: "SSL Mode Descriptions").
//!
//! Where taskmon is stricter than libpq: a wrong password is not sent again without TLS, `prefer` stays
//! encrypted whatever the certificate says, and an `sslrootcert` that is named has to be there.

use super::super::answer::rows;
use super::super::failure::failure;
use super::connector::Connector;
use super::problem::{Problem, explain_connect};
use super::target::{Host, PostgresTarget, SessionAttributes, SslMode};
use super::tls;
use crate::outcome::Kind;
use postgres::config::{SslMode as WireSslMode, SslNegotiation};
use postgres::{Client, Config};
use std::net::IpAddr;
use tokio_postgres_rustls::MakeRustlsConnect;

/// Connects as `sslmode` says.
pub fn open(
    target: &PostgresTarget,
    host: &Host,
    address: Option<IpAddr>,
) -> Result<Client, Problem> {
    let connect = |connector| {
        configure(target, host, address)
            .connect(connector)
            .map_err(|error| explain_connect(&error, host, target.connect_timeout))
    };
    let plain = || connect(Connector::Plain);
    let encrypted = |kind: fn(MakeRustlsConnect) -> Connector| {
        connect(kind(MakeRustlsConnect::new(tls::configure(target)?)))
    };
    match target.ssl_mode {
        // libpq never encrypts a socket of this machine, whatever was asked for.
        _ if host.is_socket() => plain(),
        SslMode::Disable => plain(),
        SslMode::Allow => {
            or_else(plain(), "without TLS", "with TLS", || encrypted(Connector::Required))
        }
        SslMode::Prefer => {
            or_else(encrypted(Connector::Preferred), "with TLS", "without TLS", plain)
        }
        SslMode::Require | SslMode::VerifyCa | SslMode::VerifyFull => {
            encrypted(Connector::Required)
        }
    }
}

/// The second way where the first failed for a reason that has to do with encryption. A wrong password is
/// none: it is not sent a second time, least of all in the clear.
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
    // The server's word on who may connect is clearer than that it has no TLS.
    let clearer = match (first.kind, second.kind) {
        (_, Kind::TlsFailed) => first.clone(),
        _ => second.clone(),
    };
    let cause = format!("{first_way}: {}; {second_way}: {}", first.cause, second.cause);
    Err(Problem { cause, ..clearer })
}

fn configure(target: &PostgresTarget, host: &Host, address: Option<IpAddr>) -> Config {
    let mut config = Config::new();
    match address {
        // Whether it is TLS indeed, the connector decides.
        Some(address) => config
            .host(&host.name)
            .hostaddr(address)
            .ssl_mode(WireSslMode::Require)
            .ssl_negotiation(SslNegotiation::Direct),
        None => config.host_path(&host.name).ssl_mode(WireSslMode::Disable),
    };
    config
        .port(host.port)
        .user(&target.user)
        .dbname(&target.database)
        .application_name(&target.application_name)
        .connect_timeout(target.connect_timeout)
        .channel_binding(target.channel_binding)
        .keepalives(target.keepalive.enabled)
        .keepalives_idle(target.keepalive.idle)
        .keepalives_interval(target.keepalive.interval)
        .keepalives_retries(target.keepalive.count)
        .notice_callback(|notice| log::debug!("the server says: {}", notice.message()));
    if let Some(password) = &host.password {
        config.password(password.expose());
    }
    if let Some(options) = &target.options {
        config.options(options.expose());
    }
    if let Some(timeout) = target.keepalive.user_timeout {
        config.tcp_user_timeout(timeout);
    }
    config
}

/// Whether the server is what `target_session_attrs` asks for.
pub fn check_session(client: &mut Client, wanted: SessionAttributes) -> Result<(), Problem> {
    if wanted == SessionAttributes::Any {
        return Ok(());
    }
    let query = "SELECT pg_is_in_recovery(), current_setting('transaction_read_only')";
    let messages = client.simple_query(query).map_err(|error| {
        let failure = failure(&error, "asking what kind of server it is");
        Problem::unavailable(failure.message, failure.hint.unwrap_or_default())
    })?;
    let row = rows(&messages).next();
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
