//! libpq's password file, `~/.pgpass` or what `PGPASSFILE` names.
//!
//! The format is that of the PostgreSQL manual, "The Password File": lines of
//! `host:port:database:user:password`, `*` for anything, a backslash before a colon or a backslash that is
//! meant literally; the first line that fits wins.

use crate::files::{open_named, read_whole};
use std::io::ErrorKind;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

/// The lines of a password file.
pub struct Passfile {
    entries: Vec<Entry>,
}

struct Entry {
    /// Host, port, database, user; `None`: anything.
    wanted: [Option<String>; 4],
    password: String,
}

/// The folder of the Unix socket for which a line says `localhost`: Debian's and PostgreSQL's own default.
const DEFAULT_SOCKET_FOLDERS: [&str; 3] = ["/var/run/postgresql", "/run/postgresql", "/tmp"];

impl Passfile {
    /// Reads the file. One that is missing is empty.
    ///
    /// # Errors
    /// Says why the file is ignored, as libpq ignores it: it cannot be read, or others than its owner can read it.
    pub fn read(path: &Path) -> Result<Self, String> {
        Ok(Self::parse(&read_private(path)?))
    }

    fn parse(text: &str) -> Self {
        Self { entries: text.lines().filter_map(parse_line).collect() }
    }

    /// The password of the first line that fits. An empty one counts as none.
    pub fn password(&self, host: &str, port: u16, database: &str, user: &str) -> Option<&str> {
        let port = port.to_string();
        let fits = |entry: &&Entry| {
            let [wanted_host, others @ ..] = &entry.wanted;
            fits_host(wanted_host.as_deref(), host)
                && others
                    .iter()
                    .zip([port.as_str(), database, user])
                    .all(|(wanted, given)| wanted.as_deref().is_none_or(|wanted| wanted == given))
        };
        self.entries
            .iter()
            .find(fits)
            .map(|entry| entry.password.as_str())
            .filter(|password| !password.is_empty())
    }
}

fn fits_host(wanted: Option<&str>, host: &str) -> bool {
    match wanted {
        None => true,
        Some("localhost") if DEFAULT_SOCKET_FOLDERS.contains(&host) => true,
        Some(wanted) => wanted == host,
    }
}

fn read_private(path: &Path) -> Result<String, String> {
    let file = match open_named(path) {
        Ok(file) => file,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(String::new()),
        Err(error) => return Err(error.to_string()),
    };
    let mode = file.metadata().map_err(|error| error.to_string())?.permissions().mode();
    if mode & 0o077 != 0 {
        return Err("others than its owner have rights on it; chmod 600 it".to_owned());
    }
    let bytes = read_whole(file).map_err(|error| error.to_string())?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// `None` for a comment and for a line with a field missing.
fn parse_line(line: &str) -> Option<Entry> {
    if line.starts_with('#') {
        return None;
    }
    let mut fields = split_fields(line).into_iter();
    let mut wanted = || {
        let field = fields.next()?;
        Some((field.raw != "*").then_some(field.value))
    };
    let wanted = [wanted()?, wanted()?, wanted()?, wanted()?];
    let password = fields.next()?.value;
    Some(Entry { wanted, password })
}

#[derive(Default)]
struct Field {
    raw: String,
    value: String,
}

fn split_fields(line: &str) -> Vec<Field> {
    let mut fields = vec![];
    let mut field = Field::default();
    let mut chars = line.chars();
    while let Some(c) = chars.next() {
        match c {
            ':' => fields.push(std::mem::take(&mut field)),
            '\\' => {
                // A backslash at the very end is literal.
                let escaped = chars.next().unwrap_or(c);
                field.raw.extend([c, escaped]);
                field.value.push(escaped);
            }
            _ => {
                field.raw.push(c);
                field.value.push(c);
            }
        }
    }
    fields.push(field);
    fields
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    fn password(file: &str, host: &str, port: u16, database: &str, user: &str) -> Option<String> {
        Passfile::parse(file).password(host, port, database, user).map(str::to_owned)
    }

    #[test]
    fn the_first_line_that_fits_wins() {
        let file = "# a comment:*:*:*:no\n\
                    db1:5432:jobs:alice:one\n\
                    db1:*:*:alice:two\n\
                    *:*:*:*:three\n\
                    db1:5432:jobs:alice:four\n";
        for (host, port, database, user, expected) in [
            ("db1", 5432, "jobs", "alice", "one"),
            ("db1", 5433, "jobs", "alice", "two"),
            ("db2", 5432, "jobs", "alice", "three"),
            ("db1", 5432, "jobs", "bob", "three"),
        ] {
            assert_eq!(
                password(file, host, port, database, user).as_deref(),
                Some(expected),
                "{host} {port} {database} {user}"
            );
        }
    }

    #[test]
    fn a_backslash_escapes_colons_and_backslashes() {
        let file = r"fe80\:\:1:5432:a\\b:u\:v:p\:a\\ss";
        assert_eq!(password(file, "fe80::1", 5432, r"a\b", "u:v").as_deref(), Some(r"p:a\ss"));
        assert_eq!(password(file, "fe80", 5432, r"a\b", "u:v"), None);
    }

    #[test]
    fn an_escaped_star_is_a_star() {
        assert_eq!(password(r"\*:*:*:*:x", "db", 1, "d", "u"), None);
        assert_eq!(password(r"\*:*:*:*:x", "*", 1, "d", "u").as_deref(), Some("x"));
    }

    #[test]
    fn a_password_ends_at_a_plain_colon_and_may_hold_anything_else() {
        assert_eq!(password("*:*:*:*:a b@/%#:x", "h", 1, "d", "u").as_deref(), Some("a b@/%#"));
        assert_eq!(password("*:*:*:*:ends\\", "h", 1, "d", "u").as_deref(), Some("ends\\"));
        assert_eq!(password("*:*:*:*:dos\r\n", "h", 1, "d", "u").as_deref(), Some("dos"));
    }

    #[test]
    fn localhost_means_the_default_socket_only() {
        let file = "localhost:5432:*:*:x";
        assert_eq!(password(file, "localhost", 5432, "d", "u").as_deref(), Some("x"));
        assert_eq!(password(file, "/var/run/postgresql", 5432, "d", "u").as_deref(), Some("x"));
        assert_eq!(password(file, "/srv/sockets", 5432, "d", "u"), None);
        assert_eq!(password(file, "127.0.0.1", 5432, "d", "u"), None);
    }

    #[test]
    fn short_lines_and_empty_passwords_give_none() {
        assert_eq!(password("*:*:*:*", "h", 1, "d", "u"), None);
        assert_eq!(password("*:*:*:*:", "h", 1, "d", "u"), None);
    }

    #[test]
    fn a_file_that_others_may_read_is_ignored() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("pgpass");
        fs::write(&path, "*:*:*:*:x\n").unwrap();
        for (mode, fits) in [(0o600, true), (0o400, true), (0o640, false), (0o604, false)] {
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
            match Passfile::read(&path) {
                Ok(file) => {
                    assert!(fits, "{mode:o}");
                    assert_eq!(file.password("h", 1, "d", "u"), Some("x"), "{mode:o}");
                }
                Err(why) => assert!(!fits && why.contains("chmod 600"), "{mode:o}: {why}"),
            }
        }
        let missing = Passfile::read(&folder.path().join("none")).unwrap();
        assert_eq!(missing.password("h", 1, "d", "u"), None);
    }
}
