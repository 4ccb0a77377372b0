//! Where a database is and how to reach it: what a database URL says, as plain data.

use std::path::PathBuf;
use std::time::Duration;

/// A database, from its URL and the environment variables that libpq reads.
#[derive(Clone, PartialEq)]
pub enum Target {
    Postgres(Box<PostgresTarget>),
    /// An existing SQLite file, absolute.
    Sqlite(PathBuf),
}

/// What it takes to connect to PostgreSQL. It holds a password: its `Debug` masks it.
#[derive(Clone, PartialEq)]
pub struct PostgresTarget {
    /// Host names, addresses or socket folders, tried in this order, each with its port.
    pub hosts: Vec<(String, u16)>,
    pub user: String,
    pub password: Option<String>,
    pub database: String,
    pub ssl_mode: SslMode,
    /// `sslrootcert`: a file of CA certificates, or the system's.
    pub root_certificate: RootCertificate,
    pub application_name: String,
    /// `options`: settings for the server session.
    pub options: Option<String>,
    /// From the URL's `connect_timeout`, else from the configuration.
    pub connect_timeout: Duration,
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
    /// Nothing was asked for: `~/.postgresql/root.crt` if it is there.
    Default,
    File(PathBuf),
    /// `sslrootcert=system`
    System,
}
