//! Where a database is and how to reach it: what a database URL says, as plain data.
//!
//! [`Target::parse`] reads the URL together with the variables and files that libpq reads; nothing is
//! connected to. What comes out holds passwords, so its `Debug` masks them, and no error repeats a part
//! of a URL in which a password may stand.

use super::conninfo;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use std::fmt;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// A database, from its URL and the environment variables that libpq reads.
#[derive(Clone, PartialEq)]
pub enum Target {
    Postgres(Box<PostgresTarget>),
    /// A SQLite file, absolute. Whether it exists shows when it is opened.
    Sqlite(PathBuf),
    /// The same under `mode=ro`: reports may be made from it, and nothing may be deleted.
    SqliteReadOnly(PathBuf),
}

/// What it takes to connect to PostgreSQL. It holds passwords: its `Debug` masks them.
#[derive(Clone, PartialEq)]
pub struct PostgresTarget {
    /// Tried in this order; never empty.
    pub hosts: Vec<Host>,
    pub user: String,
    pub database: String,
    pub ssl_mode: SslMode,
    /// `sslrootcert`: a file of CA certificates, or the system's.
    pub root_certificate: RootCertificate,
    /// `sslcert` and `sslkey`, sent to a server that asks for them.
    pub client_certificate: Option<ClientCertificate>,
    /// `ssl_min_protocol_version=TLSv1.3`; otherwise TLS 1.2 will do.
    pub tls13_only: bool,
    pub channel_binding: ChannelBinding,
    pub application_name: String,
    /// `options`: settings for the server session.
    pub options: Option<String>,
    pub session: SessionAttributes,
    /// For each address of each host. From the URL's `connect_timeout`, else `PGCONNECT_TIMEOUT`, else
    /// the configuration.
    pub connect_timeout: Duration,
    pub keepalive: Keepalive,
}

/// One server to try. It holds a password: its `Debug` masks it.
#[derive(Clone, PartialEq)]
pub struct Host {
    /// A name, an address or the folder of a Unix socket.
    pub name: String,
    /// `hostaddr`: where to connect to, instead of looking the name up.
    pub address: Option<IpAddr>,
    pub port: u16,
    /// From the URL, `PGPASSWORD` or this host's line of the password file.
    pub password: Option<String>,
}

/// libpq's `sslmode`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SslMode {
    Disable,
    Allow,
    Prefer,
    Require,
    VerifyCa,
    VerifyFull,
}

impl SslMode {
    /// As it stands in a URL.
    pub fn name(self) -> &'static str {
        match self {
            SslMode::Disable => "disable",
            SslMode::Allow => "allow",
            SslMode::Prefer => "prefer",
            SslMode::Require => "require",
            SslMode::VerifyCa => "verify-ca",
            SslMode::VerifyFull => "verify-full",
        }
    }
}

/// Which certificate authorities are trusted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RootCertificate {
    /// Nothing was asked for: `~/.postgresql/root.crt`, this path, if it is there. `None`: no `HOME`.
    Default(Option<PathBuf>),
    File(PathBuf),
    /// `sslrootcert=system`: the file that `SSL_CERT_FILE` names, else the system's own bundle.
    System(Option<PathBuf>),
}

/// A certificate that says who the client is, and its private key: PEM files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClientCertificate {
    pub certificate: PathBuf,
    pub key: PathBuf,
}

/// libpq's `channel_binding`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ChannelBinding {
    Disable,
    Prefer,
    Require,
}

/// libpq's `target_session_attrs`: which of the hosts will do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SessionAttributes {
    Any,
    ReadWrite,
    ReadOnly,
    Primary,
    Standby,
    /// A standby; with none among the hosts, any of them.
    PreferStandby,
}

/// How soon a server that vanished is noticed. libpq's `keepalives` family.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Keepalive {
    pub enabled: bool,
    /// Silence before the first probe.
    pub idle: Duration,
    pub interval: Duration,
    /// Probes without an answer after which the connection is lost.
    pub count: u32,
    /// How long data that was sent may stay unacknowledged; `None`: as long as the system allows.
    pub user_timeout: Option<Duration>,
}

impl Default for Keepalive {
    /// A server that vanished ends the run after a minute, not after the two hours of Linux.
    fn default() -> Self {
        Self {
            enabled: true,
            idle: Duration::from_secs(30),
            interval: Duration::from_secs(10),
            count: 3,
            user_timeout: Some(Duration::from_secs(60)),
        }
    }
}

/// What a URL is read against.
pub struct UrlContext<'a> {
    /// An environment variable; `None` for one that is unset or empty.
    pub env: &'a dyn Fn(&str) -> Option<String>,
    /// Where relative paths start. Absolute.
    pub base_dir: &'a Path,
    /// Used where neither the URL nor `PGCONNECT_TIMEOUT` has one.
    pub connect_timeout: Duration,
}

impl Target {
    pub fn is_sqlite(&self) -> bool {
        matches!(self, Target::Sqlite(_) | Target::SqliteReadOnly(_))
    }

    /// Reads a database URL: libpq's, SQLAlchemy's or `sqlite:PATH`.
    ///
    /// The error says what is wrong with the URL (or with a variable or file that completes it) and never holds a
    /// password. A parameter that taskmon cannot honour is an error, never ignored.
    pub fn parse(url: &str, context: &UrlContext) -> Result<Target, String> {
        let url = url.trim();
        let Some((scheme, rest)) = url.split_once(':') else {
            return Err(no_scheme());
        };
        let lower = scheme.to_ascii_lowercase();
        let (dialect, driver) = match lower.split_once('+') {
            Some((dialect, driver)) => (dialect, Some(driver)),
            None => (lower.as_str(), None),
        };
        match (dialect, rest.strip_prefix("//")) {
            ("postgres" | "postgresql", Some(rest)) => {
                let style = match driver {
                    Some(_) => conninfo::Style::Sqlalchemy,
                    None => conninfo::Style::Libpq,
                };
                let target = conninfo::parse(rest, style, context)?;
                Ok(Target::Postgres(Box::new(target)))
            }
            ("sqlite", _) => parse_sqlite(rest, driver, context.base_dir),
            ("postgres" | "postgresql", None) => {
                Err("the URL of a PostgreSQL database starts with postgresql://".to_owned())
            }
            // What stands before :// is a scheme; what stands before a lone colon may be anything.
            (_, Some(_)) if is_scheme(scheme) => Err(format!(
                "the scheme {scheme}:// is not supported; taskmon reads postgresql:// and sqlite:"
            )),
            _ => Err(no_scheme()),
        }
    }

    /// The database for messages, without a password: `postgresql://user@host:5432/db`, `sqlite:/path`.
    pub fn display(&self) -> String {
        match self {
            Target::Postgres(target) => target.display(),
            Target::Sqlite(path) => format!("sqlite:{}", path.display()),
            Target::SqliteReadOnly(path) => format!("sqlite:{}?mode=ro", path.display()),
        }
    }
}

impl fmt::Debug for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Target::Postgres(target) => target.fmt(f),
            Target::Sqlite(path) => f.debug_tuple("Sqlite").field(path).finish(),
            Target::SqliteReadOnly(path) => f.debug_tuple("SqliteReadOnly").field(path).finish(),
        }
    }
}

fn no_scheme() -> String {
    "it does not start with a scheme; taskmon reads postgresql://user@host/database and sqlite:PATH"
        .to_owned()
}

fn is_scheme(text: &str) -> bool {
    text.starts_with(|first: char| first.is_ascii_alphabetic())
        && text.chars().all(|c| c.is_ascii_alphanumeric() || "+-.".contains(c))
}

const SQLITE_FORMS: &str = "write sqlite:PATH, sqlite:///relative/path or sqlite:////absolute/path";

/// `rest` is what stands behind `sqlite:`.
///
/// Paths are taken as they are: SQLAlchemy does not decode percent signs in them either.
fn parse_sqlite(rest: &str, driver: Option<&str>, base_dir: &Path) -> Result<Target, String> {
    if driver.is_some_and(|driver| driver.contains("cipher")) {
        return Err("encrypted SQLite databases are not supported".to_owned());
    }
    let (path, query) = match rest.split_once('?') {
        Some((path, query)) => (path, query),
        None => (rest, ""),
    };
    check_sqlite_query(query)?;
    let path = match path.strip_prefix("//") {
        None if driver.is_some() => {
            return Err(format!("the SQLite URL is not complete; {SQLITE_FORMS}"));
        }
        None => path,
        Some("") => "",
        Some(behind) => behind.strip_prefix('/').ok_or_else(|| {
            format!("two slashes are followed by a host, and SQLite has none; {SQLITE_FORMS}")
        })?,
    };
    if path.is_empty() || path == ":memory:" {
        return Err(format!(
            "it names no file, and a database in memory is always empty; {SQLITE_FORMS}"
        ));
    }
    if path.starts_with("file:") {
        return Err(format!("file: names are not supported; {SQLITE_FORMS}"));
    }
    if path.ends_with('/') {
        return Err(format!("it names a folder, not a file; {SQLITE_FORMS}"));
    }
    let path = base_dir.join(path);
    let path = std::path::absolute(&path)
        .map_err(|error| format!("the path {} cannot be resolved: {error}", path.display()))?;
    Ok(if query.split('&').any(|pair| pair == "mode=ro") {
        Target::SqliteReadOnly(path)
    } else {
        Target::Sqlite(path)
    })
}

/// What SQLAlchemy and sqlx put there concerns their own drivers, but for a database in memory.
fn check_sqlite_query(query: &str) -> Result<(), String> {
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        match name {
            "check_same_thread" | "timeout" | "isolation_level" | "detect_types"
            | "cached_statements" | "cache" => {}
            "mode" if matches!(value, "ro" | "rw" | "rwc") => {}
            "mode" => {
                return Err(format!("mode={value} is not supported; only ro, rw and rwc"));
            }
            _ => {
                return Err(format!(
                    "the parameter {name} is not supported in a SQLite URL (a ? ends the path)"
                ));
            }
        }
    }
    Ok(())
}

/// What stays readable in [`PostgresTarget::display`] and still makes a URL.
const ENCODED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

impl PostgresTarget {
    /// The database for messages, as a URL without password: `postgresql://user@host:5432/db`.
    pub fn display(&self) -> String {
        let user = utf8_percent_encode(&self.user, ENCODED);
        let database = utf8_percent_encode(&self.database, ENCODED);
        let list = |part: fn(&Host) -> String| {
            let parts: Vec<String> = self.hosts.iter().map(part).collect();
            parts.join(",")
        };
        if self.hosts.iter().any(Host::is_socket) {
            let hosts = list(|host| host.name.clone());
            let ports = list(|host| host.port.to_string());
            return format!("postgresql://{user}@/{database}?host={hosts}&port={ports}");
        }
        let hosts = list(Host::display);
        format!("postgresql://{user}@{hosts}/{database}")
    }
}

impl Host {
    /// Whether it is the folder of a Unix socket.
    pub fn is_socket(&self) -> bool {
        self.name.starts_with('/')
    }

    /// `host:port`, or the path of the socket.
    pub fn display(&self) -> String {
        let Host { name, port, .. } = self;
        if self.is_socket() {
            format!("{}/.s.PGSQL.{port}", name.trim_end_matches('/'))
        } else if name.contains(':') {
            format!("[{name}]:{port}")
        } else {
            format!("{name}:{port}")
        }
    }
}

/// Shows that there is a password, and nothing of it.
fn mask(password: &Option<String>) -> &'static str {
    match password {
        Some(_) => "set",
        None => "none",
    }
}

impl fmt::Debug for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Host")
            .field("name", &self.name)
            .field("address", &self.address)
            .field("port", &self.port)
            .field("password", &format_args!("{}", mask(&self.password)))
            .finish()
    }
}

impl fmt::Debug for PostgresTarget {
    /// Names what a reader of a log needs. `options` may hold anything, so it only says whether it is set.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PostgresTarget")
            .field("hosts", &self.hosts)
            .field("user", &self.user)
            .field("database", &self.database)
            .field("ssl_mode", &self.ssl_mode)
            .field("root_certificate", &self.root_certificate)
            .field("client_certificate", &self.client_certificate)
            .field("application_name", &self.application_name)
            .field("options", &format_args!("{}", mask(&self.options)))
            .field("session", &self.session)
            .field("connect_timeout", &self.connect_timeout)
            .finish_non_exhaustive()
    }
}
