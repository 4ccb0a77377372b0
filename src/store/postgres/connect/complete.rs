//! What it takes to connect, from the parameters: each one's meaning, and its default where neither the URL nor a variable gives it.

use super::hosts::{give_passwords, read_hosts};
use super::parameters::Parameters;
use super::target::{
    ClientCertificate, Keepalive, PostgresTarget, RootCertificate, SessionAttributes, SslMode,
};
use crate::secret::Secret;
use postgres::config::ChannelBinding;
use std::time::Duration;

/// Fills in what neither the URL nor a variable gives.
pub fn complete(parameters: &Parameters) -> Result<PostgresTarget, String> {
    parameters.refuse_unsupported()?;
    let user = match parameters.text("user") {
        Some(user) => user,
        None => system_user(parameters.context.env)?,
    };
    let database = parameters.text("dbname").unwrap_or_else(|| user.clone());
    let mut hosts = read_hosts(parameters)?;
    let warning = give_passwords(&mut hosts, &user, &database, parameters);
    let (ssl_mode, root_certificate) = read_ssl(parameters)?;
    Ok(PostgresTarget {
        hosts,
        ssl_mode,
        root_certificate,
        client_certificate: read_client_certificate(parameters)?,
        tls13_only: parameters.one_of("ssl_min_protocol_version", MIN_TLS)? == Some(true),
        channel_binding: parameters
            .one_of("channel_binding", CHANNEL_BINDINGS)?
            .unwrap_or(ChannelBinding::Prefer),
        application_name: parameters
            .text("application_name")
            .or_else(|| parameters.text("fallback_application_name"))
            .unwrap_or_else(|| "taskmon".to_owned()),
        options: parameters.text("options").map(Secret::new),
        session: parameters
            .one_of("target_session_attrs", SESSIONS)?
            .unwrap_or(SessionAttributes::Any),
        connect_timeout: read_connect_timeout(parameters)?,
        keepalive: read_keepalive(parameters)?,
        user,
        database,
        warnings: warning.into_iter().collect(),
    })
}

const SSL_MODES: &[(&str, SslMode)] = &[
    ("disable", SslMode::Disable),
    ("allow", SslMode::Allow),
    ("prefer", SslMode::Prefer),
    ("require", SslMode::Require),
    ("verify-ca", SslMode::VerifyCa),
    ("verify-full", SslMode::VerifyFull),
];

/// Whether TLS 1.3 is demanded. rustls has nothing below 1.2.
const MIN_TLS: &[(&str, bool)] =
    &[("TLSv1", false), ("TLSv1.1", false), ("TLSv1.2", false), ("TLSv1.3", true)];

const CHANNEL_BINDINGS: &[(&str, ChannelBinding)] = &[
    ("disable", ChannelBinding::Disable),
    ("prefer", ChannelBinding::Prefer),
    ("require", ChannelBinding::Require),
];

const SESSIONS: &[(&str, SessionAttributes)] = &[
    ("any", SessionAttributes::Any),
    ("read-write", SessionAttributes::ReadWrite),
    ("read-only", SessionAttributes::ReadOnly),
    ("primary", SessionAttributes::Primary),
    ("standby", SessionAttributes::Standby),
    ("prefer-standby", SessionAttributes::PreferStandby),
];

/// The operating system's name for the effective user, as libpq has it; cron sets no `USER` everywhere.
fn system_user(env: &dyn Fn(&str) -> Option<String>) -> Result<String, String> {
    whoami::username()
        .ok()
        .filter(|name| !name.is_empty())
        .or_else(|| env("USER"))
        .or_else(|| env("LOGNAME"))
        .ok_or_else(|| "it names no user, and this process's user has no name either".to_owned())
}

fn read_ssl(parameters: &Parameters) -> Result<(SslMode, RootCertificate), String> {
    let mode = parameters.one_of("sslmode", SSL_MODES)?;
    if parameters.text("sslrootcert").as_deref() == Some("system") {
        // Anyone can get a certificate from these authorities, so only the host name says whose it is.
        if mode.is_some_and(|mode| mode != SslMode::VerifyFull) {
            let mode = parameters.text("sslmode").unwrap_or_default();
            return Err(format!(
                "sslrootcert=system does not go with sslmode={mode}; only with verify-full"
            ));
        }
        let context = parameters.context;
        let bundle = (context.env)("SSL_CERT_FILE").map(|path| context.base_dir.join(path));
        return Ok((SslMode::VerifyFull, RootCertificate::System(bundle)));
    }
    let root = match parameters.path("sslrootcert") {
        Some(path) => RootCertificate::File(path),
        None => RootCertificate::Default(parameters.context.home_file(".postgresql/root.crt")),
    };
    Ok((mode.unwrap_or(SslMode::Prefer), root))
}

/// The two files, each from its parameter or, as libpq has it, from `~/.postgresql` if a certificate is there.
fn read_client_certificate(parameters: &Parameters) -> Result<Option<ClientCertificate>, String> {
    let certificate = parameters.path("sslcert").or_else(|| {
        parameters.context.home_file(".postgresql/postgresql.crt").filter(|path| path.exists())
    });
    let key = parameters
        .path("sslkey")
        .or_else(|| parameters.context.home_file(".postgresql/postgresql.key"));
    match (certificate, key) {
        (Some(certificate), Some(key)) => Ok(Some(ClientCertificate { certificate, key })),
        (Some(_), None) => Err("sslcert is given and sslkey is not".to_owned()),
        (None, _) if parameters.get("sslkey").is_some() => {
            Err("sslkey is given and sslcert is not".to_owned())
        }
        (None, _) => Ok(None),
    }
}

fn read_connect_timeout(parameters: &Parameters) -> Result<Duration, String> {
    let expected = "it must be a whole number of seconds from 1 (taskmon never waits for ever)";
    match parameters.get("connect_timeout") {
        None => Ok(parameters.context.connect_timeout),
        Some(value) => match value.number::<u32>(expected)? {
            0 => Err(value.refuse(expected)),
            seconds => Ok(Duration::from_secs(seconds.into())),
        },
    }
}

/// As in libpq, 0 leaves a value to the system; taskmon has defaults of its own where the system's would be hours.
fn read_keepalive(parameters: &Parameters) -> Result<Keepalive, String> {
    let number = |name: &str| -> Result<Option<u32>, String> {
        let Some(value) = parameters.get(name) else {
            return Ok(None);
        };
        let number: i64 = value.number("it must be a whole number")?;
        // libpq reads a negative number as 0.
        let number = u32::try_from(number.max(0)).map_err(|_| value.refuse("it is too large"))?;
        Ok(Some(number))
    };
    let default = Keepalive::default();
    let seconds = |name: &str, default: Duration| {
        let given = number(name)?.filter(|number| *number > 0);
        Ok::<_, String>(given.map_or(default, |number| Duration::from_secs(number.into())))
    };
    Ok(Keepalive {
        enabled: number("keepalives")? != Some(0),
        idle: seconds("keepalives_idle", default.idle)?,
        interval: seconds("keepalives_interval", default.interval)?,
        count: number("keepalives_count")?.filter(|number| *number > 0).unwrap_or(default.count),
        user_timeout: match number("tcp_user_timeout")? {
            None => default.user_timeout,
            Some(0) => None,
            Some(milliseconds) => Some(Duration::from_millis(milliseconds.into())),
        },
    })
}
