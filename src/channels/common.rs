//! What the configuration of every channel has: the keys that all types share, and secrets that may come from a variable or a file.

use super::{Machine, SendError};
use crate::files::read_regular;
use crate::outcome::Severity;
use crate::secret::{Secret, masked_url};
use crate::values;
use serde::de::{Deserializer, Error as _, MapAccess, Visitor};
use serde::{Deserialize, Serialize, Serializer};
use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// The keys that every type has besides `type`.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize)]
#[serde(default)]
pub struct Common {
    pub min_severity: Severity,
    /// For one request, or for the command.
    #[serde(deserialize_with = "values::whole_number::<_, _, 1, 3600>")]
    pub timeout_seconds: u32,
    /// Further attempts after the first.
    #[serde(deserialize_with = "values::whole_number::<_, _, 0, 100>")]
    pub retries: u32,
}

impl Default for Common {
    fn default() -> Self {
        Self { min_severity: Severity::Warning, timeout_seconds: 10, retries: 3 }
    }
}

impl Common {
    pub fn timeout(&self) -> Duration {
        Duration::from_secs(self.timeout_seconds.into())
    }
}

/// Where a secret key takes its value from. The configuration reads `KEY_env = "X"` as `KEY = {env = "X"}`, and `KEY_file` as
/// `KEY = {file = …}`.
#[derive(Debug, Clone, Default, PartialEq)]
pub enum SecretSource {
    #[default]
    Unset,
    Text(Secret),
    /// `KEY_env`: an environment variable.
    Variable(String),
    /// `KEY_file`
    File(PathBuf),
}

/// Names the secret keys of a channel's settings: each may end in `_env` or `_file`.
macro_rules! secrets {
    ($Config:ident: $($key:ident),*) => {
        impl $Config {
            pub(super) const SECRETS: &[&str] = &[$(stringify!($key)),*];

            pub(super) fn secrets(&self) -> Vec<(&'static str, &super::SecretSource)> {
                vec![$((stringify!($key), &self.$key)),*]
            }

            pub(super) fn secrets_mut(&mut self) -> Vec<&mut super::SecretSource> {
                vec![$(&mut self.$key),*]
            }
        }
    };
}
pub(super) use secrets;

impl SecretSource {
    pub fn is_unset(&self) -> bool {
        *self == SecretSource::Unset
    }

    /// The secret itself; `key` is what errors call it.
    ///
    /// # Errors
    /// Which key, variable or file is at fault, or that the key is not set. No value is quoted.
    pub fn read(&self, key: &str, machine: &Machine) -> Result<Secret, SendError> {
        self.find(key, machine)?.ok_or_else(|| SendError::permanent(format!("`{key}` is missing")))
    }

    /// The same of a key that need not be set.
    ///
    /// # Errors
    /// As of [`read`](Self::read).
    pub fn find(&self, key: &str, machine: &Machine) -> Result<Option<Secret>, SendError> {
        match self {
            SecretSource::Unset => Ok(None),
            SecretSource::Text(text) if text.expose().is_empty() => {
                Err(SendError::permanent(format!("`{key}` is empty")))
            }
            SecretSource::Text(text) => Ok(Some(text.clone())),
            SecretSource::Variable(name) => read_variable(key, name, machine).map(Some),
            SecretSource::File(path) => read_file(key, path).map(Some),
        }
    }
}

fn read_variable(key: &str, name: &str, machine: &Machine) -> Result<Secret, SendError> {
    match (machine.variable)(name) {
        Ok(Some(value)) => Ok(Secret::new(value)),
        Ok(None) => Err(SendError::permanent(format!(
            "`{key}_env` names the environment variable {name}, which is not set or empty (cron passes on next to none; a crontab can set variables)"
        ))),
        Err(why) => Err(SendError::permanent(format!("`{key}_env`: {why}"))),
    }
}

fn read_file(key: &str, path: &Path) -> Result<Secret, SendError> {
    let wrong =
        |why: String| SendError::permanent(format!("`{key}_file`: {} {why}", path.display()));
    let text = read_regular(path).map_err(|error| wrong(format!("cannot be read: {error}")))?;
    // An editor, and `echo`, end a file with a line break.
    match text.trim_end_matches(['\n', '\r']) {
        "" => Err(wrong("is empty".to_owned())),
        text => Ok(Secret::new(text)),
    }
}

impl<'de> Deserialize<'de> for SecretSource {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Source;
        impl<'de> Visitor<'de> for Source {
            type Value = SecretSource;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a text in quotes")
            }

            fn visit_str<E>(self, text: &str) -> Result<SecretSource, E> {
                Ok(SecretSource::Text(Secret::new(text)))
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<SecretSource, A::Error> {
                match map.next_entry::<String, String>()? {
                    Some((form, name)) if form == "env" => Ok(SecretSource::Variable(name)),
                    Some((form, path)) if form == "file" => Ok(SecretSource::File(path.into())),
                    _ => Err(A::Error::custom("a text in quotes")),
                }
            }
        }
        deserializer.deserialize_any(Source)
    }
}

impl Serialize for SecretSource {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            SecretSource::Unset => serializer.serialize_none(),
            SecretSource::Text(text) => text.serialize(serializer),
            SecretSource::Variable(name) => serializer.collect_map([("env", name)]),
            SecretSource::File(path) => {
                serializer.collect_map([("file", path.display().to_string())])
            }
        }
    }
}

/// An identifier that is a number, or a text: `42`, `"-100123"`, `"@name"`.
pub fn text_or_number<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    struct Identifier;
    impl Visitor<'_> for Identifier {
        type Value = String;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a number, or a text that is not empty")
        }

        fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<String, E> {
            match text.trim() {
                "" => Err(E::invalid_value(serde::de::Unexpected::Str(text), &self)),
                _ => Ok(text.to_owned()),
            }
        }

        fn visit_i64<E>(self, number: i64) -> Result<String, E> {
            Ok(number.to_string())
        }
    }
    deserializer.deserialize_any(Identifier)
}

/// `with` for a key that is an `http` or `https` URL.
pub mod http_url {
    use super::*;

    pub use super::serialize_url as serialize;

    pub fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<SecretSource, D::Error> {
        read_url(deserializer, &["https", "http"])
    }
}

/// `with` for a key that is an `smtp` or `smtps` URL.
pub mod mail_url {
    use super::*;

    pub use super::serialize_url as serialize;

    pub fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<SecretSource, D::Error> {
        read_url(deserializer, &["smtp", "smtps"])
    }
}

fn read_url<'de, D: Deserializer<'de>>(
    deserializer: D,
    schemes: &[&str],
) -> Result<SecretSource, D::Error> {
    let source = SecretSource::deserialize(deserializer)?;
    // What comes from a variable or a file is looked at when it is used.
    if let SecretSource::Text(url) = &source {
        values::check_scheme("url", url.expose(), schemes)
            .map_err(|invalid| D::Error::custom(invalid.message.trim_start_matches("must be ")))?;
    }
    Ok(source)
}

pub fn serialize_url<S: Serializer>(
    source: &SecretSource,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    match source {
        SecretSource::Text(url) => serializer.serialize_str(&masked_url(url.expose())),
        source => source.serialize(serializer),
    }
}
