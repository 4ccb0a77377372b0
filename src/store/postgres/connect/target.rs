//! What it takes to connect to PostgreSQL, as plain data.

use crate::secret::Secret;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use postgres::config::ChannelBinding;
use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

#[derive(Debug, Clone, PartialEq)]
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
    /// `options`: settings for the server session. They may hold anything.
    pub options: Option<Secret>,
    pub session: SessionAttributes,
    /// For each address of each host. From the URL's `connect_timeout`, else `PGCONNECT_TIMEOUT`, else
    /// the configuration.
    pub connect_timeout: Duration,
    pub keepalive: Keepalive,
    /// What a person should know although it keeps nobody from connecting: one sentence each.
    pub warnings: Vec<String>,
}

/// One server to try.
#[derive(Debug, Clone, PartialEq)]
pub struct Host {
    /// A name, an address or the folder of a Unix socket.
    pub name: String,
    /// `hostaddr`: where to connect to, instead of looking the name up.
    pub address: Option<IpAddr>,
    pub port: u16,
    /// From the URL, `PGPASSWORD` or this host's line of the password file.
    pub password: Option<Secret>,
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
