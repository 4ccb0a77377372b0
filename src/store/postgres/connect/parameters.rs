//! The parameters of a connection (manual: "Parameter Key Words", "Environment Variables").
//!
//! Every one comes from the URL, else from its variable, else from its default. One that taskmon cannot honour is an
//! error that names it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// What a URL is read against.
pub struct UrlContext<'a> {
    /// An environment variable; `None` for one that is unset or empty.
    pub env: &'a dyn Fn(&str) -> Option<String>,
    /// Where relative paths start. Absolute.
    pub base_dir: &'a Path,
    /// Used where neither the URL nor `PGCONNECT_TIMEOUT` has one.
    pub connect_timeout: Duration,
}

impl UrlContext<'_> {
    pub fn home_file(&self, name: &str) -> Option<PathBuf> {
        let home = (self.env)("HOME")?;
        Some(self.base_dir.join(home).join(name))
    }
}

/// The parameters that are honoured, each with the variable that fills it.
const PARAMETERS: &[(&str, &str)] = &[
    ("host", "PGHOST"),
    ("hostaddr", "PGHOSTADDR"),
    ("port", "PGPORT"),
    ("user", "PGUSER"),
    ("password", "PGPASSWORD"),
    ("passfile", "PGPASSFILE"),
    ("dbname", "PGDATABASE"),
    ("sslmode", "PGSSLMODE"),
    ("sslrootcert", "PGSSLROOTCERT"),
    ("sslcert", "PGSSLCERT"),
    ("sslkey", "PGSSLKEY"),
    ("ssl_min_protocol_version", "PGSSLMINPROTOCOLVERSION"),
    ("ssl_max_protocol_version", "PGSSLMAXPROTOCOLVERSION"),
    ("sslnegotiation", "PGSSLNEGOTIATION"),
    ("sslcompression", "PGSSLCOMPRESSION"),
    ("sslsni", "PGSSLSNI"),
    ("channel_binding", "PGCHANNELBINDING"),
    ("gssencmode", "PGGSSENCMODE"),
    ("application_name", "PGAPPNAME"),
    ("fallback_application_name", ""),
    ("options", "PGOPTIONS"),
    // taskmon always speaks UTF-8, so PGCLIENTENCODING has nothing to say here.
    ("client_encoding", ""),
    ("connect_timeout", "PGCONNECT_TIMEOUT"),
    ("target_session_attrs", "PGTARGETSESSIONATTRS"),
    ("load_balance_hosts", "PGLOADBALANCEHOSTS"),
    ("keepalives", ""),
    ("keepalives_idle", ""),
    ("keepalives_interval", ""),
    ("keepalives_count", ""),
    ("tcp_user_timeout", ""),
    ("replication", ""),
];

/// Variables with which libpq would connect elsewhere, or refuse what taskmon would accept.
const REFUSED_VARIABLES: &[&str] = &[
    "PGSERVICE",
    "PGREQUIREPEER",
    "PGREQUIREAUTH",
    "PGREQUIRESSL",
    "PGSSLCRL",
    "PGSSLCRLDIR",
    "PGSSLCERTMODE",
];

/// Of some parameters only the value that changes nothing can be had.
const ONLY: &[(&str, &[(&str, ())])] = &[
    ("gssencmode", &[("disable", ()), ("prefer", ())]),
    ("ssl_max_protocol_version", &[("TLSv1.3", ())]),
    ("sslnegotiation", &[("postgres", ())]),
    // Every libpq of today accepts both and compresses nothing.
    ("sslcompression", &[("0", ()), ("1", ())]),
    ("sslsni", &[("1", ())]),
    ("load_balance_hosts", &[("disable", ())]),
    ("replication", &[("false", ()), ("off", ()), ("no", ()), ("0", ())]),
];

/// The parameter of this name as `PARAMETERS` has it.
pub fn find(name: &str) -> Option<&'static str> {
    PARAMETERS.iter().find(|(known, _)| *known == name).map(|(known, _)| *known)
}

/// What the URL gives, and the variables that fill the rest.
pub struct Parameters<'a> {
    given: BTreeMap<&'static str, String>,
    /// Whether an error may repeat a value of the query.
    pub echo: bool,
    pub context: &'a UrlContext<'a>,
}

/// A value and where it comes from, for errors.
pub struct Value {
    pub text: String,
    pub source: String,
    echo: bool,
}

impl Value {
    pub fn refuse(&self, expected: &str) -> String {
        let Value { text, source, echo } = self;
        if *echo {
            format!("{source} is {text:?}; {expected}")
        } else {
            format!("{source} has a value that does not fit; {expected}")
        }
    }

    pub fn number<T: std::str::FromStr>(&self, expected: &str) -> Result<T, String> {
        self.text.trim().parse().map_err(|_| self.refuse(expected))
    }

    /// One of the words, or an error that lists them.
    pub fn one_of<T: Copy>(&self, words: &[(&str, T)]) -> Result<T, String> {
        if let Some((_, meaning)) = words.iter().find(|(word, _)| *word == self.text) {
            return Ok(*meaning);
        }
        let words: Vec<&str> = words.iter().map(|(word, _)| *word).collect();
        Err(self.refuse(&format!("supported: {}", words.join(", "))))
    }
}

impl<'a> Parameters<'a> {
    pub fn new(context: &'a UrlContext<'a>) -> Self {
        Self { given: BTreeMap::new(), echo: false, context }
    }

    /// A later one replaces an earlier one: the query beats the parts before it. An empty value leaves the
    /// parameter to its variable or default.
    pub fn give(&mut self, name: &'static str, value: String) {
        if !value.is_empty() {
            self.given.insert(name, value);
        }
    }

    /// A list of which every part is empty gives nothing.
    pub fn give_list(&mut self, name: &'static str, values: &[String]) {
        if !values.iter().all(String::is_empty) {
            self.given.insert(name, values.join(","));
        }
    }

    pub fn get(&self, name: &str) -> Option<Value> {
        if let Some(text) = self.given.get(name) {
            // A password that was not encoded may have ended up as host and port.
            let echo = self.echo && !["host", "port", "user", "password", "dbname"].contains(&name);
            return Some(Value { text: text.clone(), source: format!("the URL's {name}"), echo });
        }
        let (_, variable) = PARAMETERS.iter().find(|(known, _)| *known == name)?;
        let text = (self.context.env)(variable).filter(|_| !variable.is_empty())?;
        Some(Value { text, source: format!("the variable {variable}"), echo: name != "password" })
    }

    pub fn text(&self, name: &str) -> Option<String> {
        self.get(name).map(|value| value.text)
    }

    /// A path, from `base_dir`.
    pub fn path(&self, name: &str) -> Option<PathBuf> {
        self.text(name).map(|path| self.context.base_dir.join(path))
    }

    pub fn one_of<T: Copy>(&self, name: &str, words: &[(&str, T)]) -> Result<Option<T>, String> {
        self.get(name).map(|value| value.one_of(words)).transpose()
    }

    /// # Errors
    /// Names the parameter or variable that asks for what taskmon cannot do.
    pub fn refuse_unsupported(&self) -> Result<(), String> {
        for (name, words) in ONLY {
            self.one_of(name, words)?;
        }
        for variable in REFUSED_VARIABLES {
            if (self.context.env)(variable).is_some() {
                return Err(format!(
                    "the variable {variable} is set, and taskmon does not support what it asks for; unset it for taskmon"
                ));
            }
        }
        if let Some(encoding) = self.get("client_encoding") {
            let plain = encoding.text.to_ascii_lowercase().replace(['-', '_'], "");
            if !["utf8", "unicode", "auto"].contains(&plain.as_str()) {
                return Err(encoding.refuse("taskmon always speaks UTF-8"));
            }
        }
        Ok(())
    }
}
