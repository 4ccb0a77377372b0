//! The configuration file: every section and key of it, read strictly.
//!
//! The structs are the list of keys, `default.toml` holds every default. A file is laid over the defaults, and its
//! `[database.tasks]` and `[database.receipts]` over the preset, before it is read into the structs.

use super::channels;
use super::nearest::nearest;
use super::provenance::explained;
pub use super::provenance::{DEFAULT, Given};
use super::reader::{self, Reader};
use crate::channels::heartbeat;
use crate::cleanup;
use crate::language::Language;
use crate::mapping::preset;
use crate::notify::silences::Matcher;
use crate::notify::{self, MaintenanceWindow};
use crate::outcome::{Failure, Kind};
use crate::rules;
use crate::schedule::expression::Times;
use crate::stats;
use crate::store;
use crate::system::{broker, disk};
use crate::values::{self, InvalidKey, absolute};
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};
use toml::{Table, Value};

/// A file laid over the defaults: the effective value of every key that has one.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct File {
    /// Relative to the folder of the file.
    #[serde(deserialize_with = "values::path", serialize_with = "values::show_path")]
    pub base_dir: PathBuf,
    /// What messages call the system that is watched. `None`: what its database is called.
    #[serde(default, deserialize_with = "values::optional_name")]
    pub name: Option<String>,
    /// `None`: the system's.
    pub timezone: Option<String>,
    /// `None`: from the environment.
    pub language: Option<Language>,
    pub database: store::settings::Settings,
    pub cleanup: cleanup::Config,
    pub stats: stats::Settings,
    pub disk: disk::Settings,
    pub alerts: Alerts,
    pub broker: broker::Settings,
    #[serde(default)]
    pub heartbeat: heartbeat::Settings,
    pub schedule: crate::schedule::settings::Settings,
}

/// `[alerts]`: the rules and the notifications have its keys between them.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(from = "(rules::Settings, notify::Settings)")]
pub struct Alerts {
    #[serde(flatten)]
    pub rules: rules::Settings,
    #[serde(flatten)]
    pub notify: notify::Settings,
}

impl From<(rules::Settings, notify::Settings)> for Alerts {
    fn from((rules, notify): (rules::Settings, notify::Settings)) -> Self {
        Self { rules, notify }
    }
}

/// The text of a file; `origin` is what messages call it.
///
/// # Errors
/// [`Kind::ConfigInvalid`] if it is not UTF-8.
pub fn decode(bytes: Vec<u8>, origin: &str) -> Result<String, Failure> {
    String::from_utf8(bytes).map_err(|error| {
        let valid = error.utf8_error().valid_up_to();
        let before = String::from_utf8_lossy(&error.as_bytes()[..valid]);
        let line = reader::line_of(&before, valid);
        Failure::new(Kind::ConfigInvalid, format!("{origin}, line {line}: not UTF-8 text"))
            .hint("Save the file in the encoding UTF-8.")
    })
}

/// Reads a configuration file's text over the defaults; `origin` is what messages call it.
///
/// # Errors
/// [`Kind::ConfigInvalid`], with the file, the line, the key's full path and what is expected there. A value that may be a secret is
/// not quoted.
pub fn read(text: &str, origin: &str) -> Result<(File, Given), Failure> {
    let document = reader::parse(text).map_err(|error| {
        let place = format!("{origin}, line {}", error.line);
        Failure::new(Kind::ConfigInvalid, format!("{place}: {}", error.message))
    })?;
    let given = Given { origin: origin.to_owned(), lines: document.lines };
    let values = reader::overlay(document.values, built_in(DEFAULT)?);
    let values = over_preset(values, &given)?;
    let values = Value::Table(values);
    let mut file =
        File::deserialize(Reader(&values)).map_err(|problem| explained(&problem, &given))?;
    if let Some(channels) = values.get("alerts").and_then(|alerts| alerts.get("channels")) {
        file.alerts.notify.channels = channels::read(channels, &given)?;
    }
    check(&file, &given)?;
    Ok((file, given))
}

/// What holds without a file.
pub fn defaults() -> Result<(File, Given), Failure> {
    read("", "")
}

/// A TOML text of taskmon's own; tests read each of them. It is mostly comments, which cost every run of `disk` a third of a millisecond.
fn built_in(text: &str) -> Result<Table, Failure> {
    let settings: String = text
        .lines()
        .filter(|line| !line.is_empty() && !line.starts_with('#'))
        .flat_map(|line| [line, "\n"])
        .collect();
    settings.parse().map_err(|error| {
        Failure::new(Kind::Internal, format!("a built-in file is broken: {error}"))
    })
}

/// Lays `[database]` over the preset that it names.
fn over_preset(mut values: Table, given: &Given) -> Result<Table, Failure> {
    let database = values.remove("database");
    let Some(Value::Table(database)) = database else {
        values.extend(database.map(|value| ("database".to_owned(), value)));
        return Ok(values);
    };
    let mut tables = match database.get("preset") {
        Some(Value::String(name)) => preset_tables(name, given)?,
        // Reading it into the structs says what is wrong.
        _ => Table::new(),
    };
    tables.remove("only");
    // What else the preset knows of its application: its queues and, in its own tables, the kinds of its errors. Others' are found out.
    if given.has("database.tasks.from") {
        tables.remove("stats");
    }
    for section in ["broker", "stats"] {
        if let Some(Value::Table(known)) = tables.remove(section)
            && let Some(Value::Table(configured)) = values.get_mut(section)
        {
            *configured = reader::overlay(std::mem::take(configured), known);
        }
    }
    let tables = without_forms_of(&database, tables);
    let database = reader::overlay(database, tables);
    values.insert("database".to_owned(), Value::Table(database));
    Ok(values)
}

/// A preset's own form of an expression for SQLite does not outlive the expression: whoever writes another means it for his database.
fn without_forms_of(database: &Table, mut tables: Table) -> Table {
    if let (Some(Value::Table(given)), Some(Value::Table(tasks))) =
        (database.get("tasks"), tables.get_mut("tasks"))
        && let Some(Value::Table(forms)) = tasks.get_mut("sqlite")
    {
        forms.retain(|key, _| !given.contains_key(key));
    }
    tables
}

fn preset_tables(name: &str, given: &Given) -> Result<Table, Failure> {
    if let Some(text) = preset::find(name) {
        return built_in(text);
    }
    let known: Vec<String> = preset::names().map(|known| format!("{known:?}")).collect();
    let mut message = format!("is {name:?}, a preset that this version does not have");
    if let Some(near) = nearest(name, preset::names()) {
        message.push_str(&format!("; the nearest is {near:?}"));
    }
    let hint = format!("Presets: {}. Describe other tables in [database.tasks].", known.join(", "));
    Err(given.failure("database.preset", &message).hint(hint))
}

/// What only several keys together can get wrong.
fn check(file: &File, given: &Given) -> Result<(), Failure> {
    let within = |section: &'static str| move |invalid| given.invalid(section, invalid);
    file.disk.check().map_err(within("disk"))?;
    file.alerts.rules.check().map_err(within("alerts"))?;
    for (place, window) in file.alerts.notify.maintenance.iter().enumerate() {
        check_window(place, window).map_err(within("alerts"))?;
    }
    file.schedule.check().map_err(within("schedule"))?;
    file.broker.check().map_err(within("broker"))?;
    file.heartbeat.check().map_err(within("heartbeat"))
}

/// # Errors
/// The window never opens, or what it silences is no alert.
fn check_window(place: usize, window: &MaintenanceWindow) -> Result<(), InvalidKey> {
    let key = |name: &str| format!("maintenance[{}].{name}", place + 1);
    let times = Times::read(&window.cron).map_err(|why| InvalidKey::new(key("cron"), why))?;
    if !times.has_times() {
        return Err(InvalidKey::new(key("cron"), "is no time of the clock"));
    }
    let misfit = window.alerts.iter().find_map(|text| text.parse::<Matcher>().err());
    misfit.map_or(Ok(()), |expected| {
        Err(InvalidKey::new(key("alerts"), format!("has an entry that is not {expected}")))
    })
}

impl File {
    /// Makes every path absolute: relative ones start at `base_dir`, which starts at `folder`.
    pub fn make_absolute(&mut self, folder: &Path) {
        self.base_dir = absolute(folder, &self.base_dir);
        let base = self.base_dir.clone();
        let cleanup = &mut self.cleanup;
        let lists = [&mut cleanup.storage_roots, &mut cleanup.temp_dirs, &mut cleanup.log_dirs];
        let disks = self.disk.paths.iter_mut().map(|volume| &mut volume.path);
        let notify = &mut self.alerts.notify;
        let folders = [&mut self.stats.reports_dir, &mut notify.logs_dir, &mut notify.records_dir];
        for channel in &mut notify.channels {
            channel.resolve_paths(|path| absolute(&base, path));
        }
        let every = lists.into_iter().flatten().chain(folders).chain(disks);
        every.for_each(|path| *path = absolute(&base, path));
    }
}
