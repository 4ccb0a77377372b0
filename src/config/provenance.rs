//! Which line of the file a key comes from, and errors that say so.

use super::nearest::nearest;
use super::reader::{Problem, What};
use crate::channels::Service;
use crate::outcome::{Failure, Kind};
use crate::values::InvalidKey;
use std::collections::BTreeMap;
use toml::Value;

/// The default configuration file, with a comment on every key.
pub const DEFAULT: &str = include_str!("default.toml");

/// Which keys a file sets itself, by their full path.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Given {
    /// As messages call it; empty: there is no file.
    pub origin: String,
    pub(super) lines: BTreeMap<String, usize>,
}

impl Given {
    pub fn has(&self, key: &str) -> bool {
        self.lines.contains_key(key)
    }

    /// Where a key is, or the section that it should be in: "taskmon.toml, line 3".
    pub fn place(&self, key: &str) -> String {
        let mut key = key;
        loop {
            if let Some(line) = self.lines.get(key) {
                return format!("{}, line {line}", self.origin);
            }
            match key.rfind(['.', '[']) {
                Some(end) => key = &key[..end],
                None => return self.origin.clone(),
            }
        }
    }

    /// An error about a key that does not exist, with the one that was probably meant.
    pub fn unknown_key(&self, key: &str, near: Option<&str>) -> Failure {
        let place = self.place(key);
        let near =
            near.map_or(String::new(), |near| format!("; the nearest known key is `{near}`"));
        Failure::new(Kind::ConfigInvalid, format!("{place}: unknown key `{key}`{near}"))
    }

    /// An error about a key: `message` goes on after its name.
    pub fn failure(&self, key: &str, message: &str) -> Failure {
        let place = self.place(key);
        let colon = if place.is_empty() { "" } else { ": " };
        Failure::new(Kind::ConfigInvalid, format!("{place}{colon}`{key}` {message}"))
    }

    /// The same of a key of a section, as the section's own code found it out.
    pub fn invalid(&self, section: &str, invalid: InvalidKey) -> Failure {
        let key = format!("{section}.{}", invalid.key);
        Failure { hint: invalid.hint, ..self.failure(&key, &invalid.message) }
    }
}

/// A problem as a person wants to read it.
pub fn explained(problem: &Problem, given: &Given) -> Failure {
    let key = |name: &str| match problem.path.as_str() {
        "" => name.to_owned(),
        path => format!("{path}.{name}"),
    };
    match &problem.what {
        What::Unknown { key: name, known } => {
            unknown_key(&problem.path, &key(name), name, known, given)
        }
        What::Missing(name) => given.failure(&key(name), "is missing"),
        What::Wrong { expected } => wrong_value(problem, expected, given),
    }
}

fn unknown_key(section: &str, key: &str, name: &str, known: &[&str], given: &Given) -> Failure {
    let near = match nearest(name, known.iter().copied()) {
        Some(near) if section.is_empty() => Some(near.to_owned()),
        Some(near) => Some(format!("{section}.{near}")),
        // A key of another section: TOML has it belong to the section header above it.
        None => known_keys().into_iter().find(|known| known.rsplit('.').next() == Some(name)),
    };
    let failure = given.unknown_key(key, near.as_deref());
    let here = match section {
        "" => "at the top".to_owned(),
        section => format!("of `{section}`"),
    };
    failure.hint(format!("Keys {here}: {}.", known.join(", ")))
}

fn wrong_value(problem: &Problem, expected: &str, given: &Given) -> Failure {
    let key = &problem.path;
    let found = problem.found.as_ref();
    let is = found
        .map_or("is not what is expected".to_owned(), |value| format!("is {}", quoted(key, value)));
    let failure = given.failure(key, &format!("{is}; expected {expected}"));
    match found {
        Some(Value::Integer(number)) if *number < 0 && (key.ends_with("_days") || key.ends_with("_hours")) => failure.hint(
            "A negative number does not mean \"never\". To keep something practically for ever, write a large number.",
        ),
        Some(Value::Table(_)) if expected.starts_with("a list") => failure.hint(format!("Write [[{key}]], once for each entry.")),
        Some(Value::Array(_)) if expected == "a section" => failure.hint(format!("Write [{key}], once.")),
        Some(Value::String(name)) if expected.starts_with("one of ") => {
            let known: Vec<&str> = expected.split('"').skip(1).step_by(2).collect();
            match nearest(name, known) {
                Some(near) => failure.hint(format!("Did you mean {near:?}?")),
                None => failure,
            }
        }
        _ => failure,
    }
}

/// A value for a message; not if it may be a secret, or hold one.
fn quoted(key: &str, value: &Value) -> String {
    match value {
        Value::Table(_) => "a section".to_owned(),
        Value::Array(_) => "a list".to_owned(),
        _ if holds_a_secret(key) => "a value that is not shown here".to_owned(),
        Value::String(text) if sounds_secret(text) => "a text that is not shown here".to_owned(),
        Value::String(text) => format!("{text:?}"),
        other => other.to_string(),
    }
}

fn holds_a_secret(key: &str) -> bool {
    let name = key.rsplit('.').next().unwrap_or(key);
    let mut of_channels = Service::TYPES.iter().filter_map(|name| Service::secret_keys(name));
    (key.starts_with("heartbeat.") && name != "style")
        || ["url", "read_url", "management_url"].contains(&name)
        || of_channels.any(|keys| keys.contains(&name))
}

fn sounds_secret(text: &str) -> bool {
    let lower = text.to_lowercase();
    let signs = ["://", "@", "pass", "secret", "token", "key="];
    text.chars().count() > 80 || signs.iter().any(|sign| lower.contains(sign))
}

/// The full path of every key, from the default file, where a test finds each of them.
pub fn known_keys() -> Vec<String> {
    let mut section = String::new();
    let mut keys = Vec::new();
    for line in DEFAULT.lines().filter_map(setting) {
        match line.split_once(" = ") {
            None => section = format!("{}.", line.trim_matches(['[', ']'])),
            Some((name, _)) => keys.push(format!("{section}{name}")),
        }
    }
    keys
}

/// A line of the default file that is a section's header or a key, also if it is commented out.
pub fn setting(line: &str) -> Option<&str> {
    let line = line.strip_prefix("# ").unwrap_or(line);
    let plain = |c: char| c.is_ascii_lowercase() || c == '_';
    match line.split_once(" = ") {
        Some((name, _)) => name.chars().all(plain).then_some(line),
        None => (line.starts_with('[') && line.ends_with(']')).then_some(line),
    }
}
