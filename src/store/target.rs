//! Where a database is and how to reach it: what a database URL says, as plain data.
//!
//! [`Target::parse`] reads the URL together with the variables and files that libpq reads; nothing is
//! connected to. No error repeats a part of a URL that may be a password.

use super::postgres::connect;
use super::postgres::connect::target::PostgresTarget;
use super::postgres::connect::url::Style;
use std::path::{Path, PathBuf};

pub use super::postgres::connect::parameters::UrlContext;

/// A database, from its URL and the environment variables that libpq reads.
#[derive(Debug, Clone, PartialEq)]
pub enum Target {
    Postgres(Box<PostgresTarget>),
    /// A SQLite file, absolute. Whether it exists shows when it is opened.
    Sqlite(PathBuf),
    /// The same under `mode=ro`: reports may be made from it, and nothing may be deleted.
    SqliteReadOnly(PathBuf),
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
                    Some(_) => Style::Sqlalchemy,
                    None => Style::Libpq,
                };
                let target = connect::parse(rest, style, context)?;
                Ok(Target::Postgres(Box::new(target)))
            }
            ("sqlite", _) => parse_sqlite(rest, driver, context.base_dir),
            ("postgres" | "postgresql", None) => {
                Err("the URL of a PostgreSQL database starts with postgresql://".to_owned())
            }
            // What precedes :// is a scheme; what precedes a lone colon may be anything, a password too.
            (_, Some(_)) if is_scheme(scheme) => Err(format!(
                "the scheme {scheme}:// is not supported; taskmon reads postgresql:// and sqlite:"
            )),
            _ => Err(no_scheme()),
        }
    }

    /// What a person should know although it keeps nobody from connecting: one sentence each.
    pub fn warnings(&self) -> &[String] {
        match self {
            Target::Postgres(target) => &target.warnings,
            Target::Sqlite(_) | Target::SqliteReadOnly(_) => &[],
        }
    }

    /// What people call the database: its name, or that of its file without its ending.
    pub fn name(&self) -> Option<String> {
        match self {
            Target::Postgres(target) => Some(target.database.clone()),
            Target::Sqlite(path) | Target::SqliteReadOnly(path) => {
                path.file_stem().map(|name| name.to_string_lossy().into_owned())
            }
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

fn no_scheme() -> String {
    "it does not start with a scheme; taskmon reads postgresql://user@host/database and sqlite:PATH"
        .to_owned()
}

fn is_scheme(text: &str) -> bool {
    text.starts_with(|first: char| first.is_ascii_alphabetic())
        && text.chars().all(|c| c.is_ascii_alphanumeric() || "+-.".contains(c))
}

const SQLITE_FORMS: &str = "write sqlite:PATH, sqlite:///relative/path or sqlite:////absolute/path";

/// `rest` is what follows `sqlite:`.
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

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn parse(url: &str) -> Result<Target, String> {
        let context = UrlContext {
            env: &|_| None,
            base_dir: Path::new("/base"),
            connect_timeout: Duration::from_secs(10),
        };
        Target::parse(url, &context)
    }

    fn refusal(url: &str) -> String {
        match parse(url) {
            Err(message) => message,
            Ok(target) => panic!("{url} was accepted: {target:?}"),
        }
    }

    #[test]
    fn sqlite_urls_name_a_file() {
        for (url, expected) in [
            ("sqlite:jobs.db", "/base/jobs.db"),
            ("sqlite:../jobs.db", "/base/../jobs.db"),
            ("sqlite:./jobs.db", "/base/jobs.db"),
            ("sqlite:/data/jobs.db", "/data/jobs.db"),
            ("sqlite:///jobs.db", "/base/jobs.db"),
            ("sqlite:////data/jobs.db", "/data/jobs.db"),
            ("sqlite+aiosqlite:///jobs.db", "/base/jobs.db"),
            ("sqlite+pysqlite:////data/a%20b.db?check_same_thread=false", "/data/a%20b.db"),
            ("sqlite:jobs.db?mode=rw", "/base/jobs.db"),
            ("SQLITE:jobs.db", "/base/jobs.db"),
        ] {
            let path = Path::new(expected).to_owned();
            assert_eq!(parse(url), Ok(Target::Sqlite(path)), "{url}");
        }
    }

    #[test]
    fn a_sqlite_url_may_forbid_writing() {
        let url = "sqlite:jobs.db?cache=shared&mode=ro";
        let target = parse(url).unwrap();
        assert_eq!(target, Target::SqliteReadOnly("/base/jobs.db".into()));
        assert_eq!(target.display(), "sqlite:/base/jobs.db?mode=ro");
    }

    #[test]
    fn sqlite_urls_without_a_file_are_refused() {
        for (url, named) in [
            ("sqlite:", "no file"),
            ("sqlite://", "no file"),
            ("sqlite:///", "no file"),
            ("sqlite::memory:", "in memory"),
            ("sqlite:///:memory:", "in memory"),
            ("sqlite:jobs.db?mode=memory", "mode=memory"),
            ("sqlite:jobs.db?nonsense=1", "nonsense"),
            ("sqlite://jobs.db", "two slashes"),
            ("sqlite:///file:jobs.db?uri=true", "uri"),
            ("sqlite:file:jobs.db", "file:"),
            ("sqlite:/data/", "folder"),
            ("sqlite+aiosqlite:jobs.db", "sqlite:///"),
            ("sqlite+pysqlcipher://:key@/jobs.db", "encrypted"),
        ] {
            let message = refusal(url);
            assert!(message.contains(named), "{url}: {message}");
        }
    }

    #[test]
    fn other_schemes_are_refused_by_name() {
        let message = refusal("mysql://u:secret@h/d");
        assert!(message.contains("mysql://") && message.contains("postgresql://"), "{message}");
        assert!(message.contains("sqlite:"), "{message}");
        for url in ["", "jobs.db", "host=h dbname=d", "//h/d", "postgres"] {
            assert!(refusal(url).contains("scheme"), "{url}");
        }
        assert!(refusal("postgres:h/d").contains("postgresql://"));
    }
}
