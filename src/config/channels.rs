//! `[[alerts.channels]]`: which keys an entry may have depends on its `type`.

use super::nearest::nearest;
use super::provenance::{Given, explained};
use super::reader::{Problem, Reader, What, keys_of, one_of};
use crate::channels::{ChannelConfig, Common, Service};
use crate::outcome::Failure;
use crate::values;
use serde::Deserialize;
use toml::{Table, Value};

/// Reads the value of the key `alerts.channels`.
///
/// # Errors
/// With the file, the line, the key and what is expected there.
pub fn read(channels: &Value, given: &Given) -> Result<Vec<ChannelConfig>, Failure> {
    let list = "alerts.channels";
    let wrong = |path: &str, expected: &str, value: &Value| {
        explained(&Problem::wrong(expected).found(value).beneath(path), given)
    };
    let Value::Array(entries) = channels else {
        return Err(wrong(list, "a list in [ ]", channels));
    };
    let mut read = Vec::new();
    for (entry, number) in entries.iter().zip(1..) {
        let path = format!("{list}[{number}]");
        let Value::Table(keys) = entry else {
            return Err(wrong(&path, "a section", entry));
        };
        read.push(read_entry(keys.clone(), Entry { path, given })?);
    }
    Ok(read)
}

/// Where an entry is, for errors.
struct Entry<'a> {
    path: String,
    given: &'a Given,
}

impl Entry<'_> {
    fn failure(&self, key: &str, message: &str) -> Failure {
        self.given.failure(&format!("{}.{key}", self.path), message)
    }

    fn explain(&self, problem: Problem) -> Failure {
        explained(&problem.beneath(&self.path), self.given)
    }

    fn wrong(&self, key: &str, expected: &str, value: &Value) -> Failure {
        self.explain(Problem::wrong(expected).found(value).beneath(key))
    }
}

fn read_entry(mut keys: Table, entry: Entry) -> Result<ChannelConfig, Failure> {
    let kind = match keys.remove("type") {
        Some(Value::String(kind)) if Service::secret_keys(&kind).is_some() => kind,
        Some(other) => return Err(entry.wrong("type", &one_of(Service::TYPES), &other)),
        None => return Err(entry.failure("type", "is missing")),
    };
    for key in Service::secret_keys(&kind).unwrap_or_default() {
        fold_secret(&mut keys, key, &entry)?;
    }
    let common: Table = keys_of::<Common>()
        .iter()
        .filter_map(|key| Some(((*key).to_owned(), keys.remove(*key)?)))
        .collect();
    let common = Common::deserialize(Reader(&Value::Table(common)))
        .map_err(|problem| entry.explain(problem))?;
    let service = Service::read(&kind, Reader(&Value::Table(keys)))
        .map_err(|problem| explain_for_type(&kind, problem, &entry))?;
    let channel = ChannelConfig { service, common };
    channel.check().map_err(|invalid| entry.given.invalid(&entry.path, invalid))?;
    Ok(channel)
}

/// `KEY_env = "X"` becomes `KEY = {env = "X"}`, and `KEY_file` likewise.
fn fold_secret(keys: &mut Table, key: &str, entry: &Entry) -> Result<(), Failure> {
    if let Some(value @ Value::Table(_)) = keys.get(key) {
        return Err(entry.wrong(key, "a text in quotes", value));
    }
    let mut set = keys.contains_key(key).then(|| key.to_owned());
    for form in ["env", "file"] {
        let name = format!("{key}_{form}");
        let Some(value) = keys.remove(&name) else {
            continue;
        };
        if let Some(other) = set {
            let message = format!("is given beside `{other}`; only one of them may be");
            return Err(entry.failure(&name, &message));
        }
        match form {
            "env" => String::deserialize(Reader(&value)).map(drop),
            _ => values::path(Reader(&value)).map(drop),
        }
        .map_err(|problem| entry.explain(problem.found(&value).beneath(&name)))?;
        let source = Table::from_iter([(form.to_owned(), value)]);
        keys.insert(key.to_owned(), Value::Table(source));
        set = Some(name);
    }
    Ok(())
}

fn explain_for_type(kind: &str, problem: Problem, entry: &Entry) -> Failure {
    match (&problem.what, problem.path.as_str()) {
        (What::Missing(key), "") => {
            entry.failure(key, &format!("is missing; a channel of the type {kind:?} needs it"))
        }
        (What::Unknown { key, known }, "") => unknown_key(kind, key, known, entry),
        _ => entry.explain(problem),
    }
}

fn unknown_key(kind: &str, key: &str, known: &[&str], entry: &Entry) -> Failure {
    let secrets = Service::secret_keys(kind).unwrap_or_default();
    let forms: Vec<String> = secrets
        .iter()
        .flat_map(|secret| [format!("{secret}_env"), format!("{secret}_file")])
        .collect();
    let keys: Vec<&str> = known.iter().copied().chain(forms.iter().map(String::as_str)).collect();
    let common = ["type"].into_iter().chain(keys_of::<Common>());
    match nearest(key, keys.iter().copied().chain(common.clone())) {
        Some(near) => {
            let path = &entry.path;
            let known: Vec<&str> = common.chain(keys).collect();
            entry
                .given
                .unknown_key(&format!("{path}.{key}"), Some(&format!("{path}.{near}")))
                .hint(format!("Keys of `{path}`: {}.", known.join(", ")))
        }
        None => entry
            .failure(key, &format!("means nothing to a channel of the type {kind:?}"))
            .hint(format!("Its own keys: {}.", keys.join(", "))),
    }
}
