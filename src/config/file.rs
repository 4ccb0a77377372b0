//! The configuration file: every section and key of it, read strictly.
//!
//! The structs are the list of keys, `default.toml` holds every default. A file is laid over the defaults, and its
//! `[database.tasks]` and `[database.receipts]` over the preset, before it is read into the structs.

use super::nearest::nearest;
use super::reader::{self, Problem, Reader, What};
use crate::language::Language;
use crate::mapping::preset::{self, Receipts, Tasks};
use crate::outcome::{Failure, Kind, Severity};
use crate::secret::{self, Secret};
use crate::values::{self, InvalidKey, absolute, check_names, check_scheme, check_thresholds};
use serde::de::Deserializer;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use toml::{Table, Value};

/// The default configuration file, with a comment on every key.
pub const DEFAULT: &str = include_str!("default.toml");

/// A file laid over the defaults: the effective value of every key that has one.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct File {
    /// Relative to the folder of the file.
    #[serde(deserialize_with = "values::path", serialize_with = "values::show_path")]
    pub base_dir: PathBuf,
    /// `None`: the system's.
    pub timezone: Option<String>,
    /// `None`: from the environment.
    pub language: Option<Language>,
    pub database: Database,
    pub cleanup: Cleanup,
    pub stats: Stats,
    pub disk: Disk,
    pub alerts: Alerts,
    pub broker: Broker,
    #[serde(default)]
    pub heartbeat: Heartbeat,
    pub schedule: crate::schedule::settings::Settings,
}

/// `[database]`
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Database {
    #[serde(default, with = "secret::optional_url")]
    pub url: Option<Secret>,
    #[serde(default, with = "secret::optional_url")]
    pub read_url: Option<Secret>,
    pub preset: String,
    pub naive_timestamps: String,
    #[serde(deserialize_with = "values::whole_number::<_, _, 1, 86_400>")]
    pub connect_timeout_seconds: u32,
    /// 0: no limit. PostgreSQL counts it in milliseconds of 31 bits.
    #[serde(deserialize_with = "values::whole_number::<_, _, 0, 2_147_483>")]
    pub statement_timeout_seconds: u32,
    pub tasks: Tasks,
    pub receipts: Option<Receipts>,
}

/// `[cleanup]`. Days are of 24 hours.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Cleanup {
    #[serde(deserialize_with = "values::days")]
    pub completed_tasks_days: u32,
    #[serde(deserialize_with = "values::days")]
    pub failed_tasks_days: u32,
    /// `None`: cancelled tasks stay.
    #[serde(default, deserialize_with = "values::optional_days")]
    pub cancelled_tasks_days: Option<u32>,
    #[serde(deserialize_with = "values::days")]
    pub receipts_days: u32,
    #[serde(deserialize_with = "values::hours")]
    pub temp_files_hours: u32,
    #[serde(deserialize_with = "values::days")]
    pub log_files_days: u32,
    #[serde(deserialize_with = "values::paths", serialize_with = "values::show_paths")]
    pub storage_roots: Vec<PathBuf>,
    /// Empty: none is asked for.
    pub root_marker: String,
    #[serde(deserialize_with = "values::paths", serialize_with = "values::show_paths")]
    pub temp_dirs: Vec<PathBuf>,
    #[serde(deserialize_with = "values::paths", serialize_with = "values::show_paths")]
    pub log_dirs: Vec<PathBuf>,
    #[serde(deserialize_with = "values::texts")]
    pub log_patterns: Vec<String>,
    #[serde(deserialize_with = "values::texts")]
    pub protect: Vec<String>,
    pub outside_paths: OutsidePaths,
    /// Whether folders beneath the storage roots go that the removal of a row's files left empty.
    pub remove_empty_folders: bool,
    #[serde(deserialize_with = "values::whole_number::<_, _, 1, 1_000_000>")]
    pub batch_size: u32,
    /// 0: no limit.
    #[serde(deserialize_with = "values::whole_number::<_, _, 0, 31_536_000>")]
    pub max_runtime_seconds: u32,
    /// 0: off.
    #[serde(deserialize_with = "values::percent")]
    pub brake_percent: f64,
}

/// What becomes of a row that names a path outside the storage roots.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum OutsidePaths {
    Error,
    Ignore,
}

/// `[stats]`
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Stats {
    #[serde(deserialize_with = "values::path", serialize_with = "values::show_path")]
    pub reports_dir: PathBuf,
    #[serde(deserialize_with = "values::whole_number::<_, _, 0, 100_000>")]
    pub slowest_tasks: usize,
    #[serde(deserialize_with = "values::whole_number::<_, _, 0, 100_000>")]
    pub failed_task_details: usize,
    /// 0: no anomalies.
    #[serde(deserialize_with = "values::whole_number::<_, _, 0, 366>")]
    pub baseline_days: usize,
    pub error_categories: Vec<ErrorCategory>,
}

/// A failed task belongs to the first category of which its message contains a text.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ErrorCategory {
    #[serde(deserialize_with = "values::non_empty_text")]
    pub name: String,
    #[serde(deserialize_with = "values::one_or_more_texts")]
    pub contains: Vec<String>,
}

/// `[disk]`
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Disk {
    #[serde(deserialize_with = "values::one_or_more_paths", serialize_with = "values::show_paths")]
    pub paths: Vec<PathBuf>,
    /// Percent; above it, not at it.
    #[serde(deserialize_with = "values::percent")]
    pub warning_percent: f64,
    #[serde(deserialize_with = "values::percent")]
    pub critical_percent: f64,
}

/// `[alerts]`
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Alerts {
    #[serde(deserialize_with = "values::path", serialize_with = "values::show_path")]
    pub logs_dir: PathBuf,
    #[serde(deserialize_with = "values::path", serialize_with = "values::show_path")]
    pub records_dir: PathBuf,
    #[serde(deserialize_with = "values::percent")]
    pub failure_rate_warning: f64,
    #[serde(deserialize_with = "values::percent")]
    pub failure_rate_critical: f64,
    #[serde(deserialize_with = "values::percent")]
    pub error_concentration_percent: f64,
    pub no_tasks: bool,
    #[serde(deserialize_with = "values::hours")]
    pub repeat_after_hours: u32,
    #[serde(default)]
    pub rules: Vec<Rule>,
    #[serde(default)]
    pub channels: Vec<Channel>,
    pub live: Live,
}

/// `[[alerts.rules]]`: one's own threshold.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Rule {
    #[serde(deserialize_with = "values::non_empty_text")]
    pub name: String,
    pub on: RuleOn,
    /// A path into the result's JSON.
    #[serde(deserialize_with = "values::non_empty_text")]
    pub metric: String,
    pub op: Comparison,
    #[serde(deserialize_with = "values::finite_number")]
    pub value: f64,
    #[serde(default = "warning")]
    pub severity: Severity,
    /// Empty: one is made from the metric and its value.
    #[serde(default)]
    pub message: String,
}

/// The result that a rule looks at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum RuleOn {
    Stats,
    Disk,
    Live,
}

/// How a rule compares a metric with its value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Comparison {
    #[serde(rename = ">")]
    Above,
    #[serde(rename = ">=")]
    AtLeast,
    #[serde(rename = "<")]
    Below,
    #[serde(rename = "<=")]
    AtMost,
    #[serde(rename = "==")]
    Equal,
    #[serde(rename = "!=")]
    NotEqual,
}

/// `[[alerts.channels]]`. Which keys it has depends on its type: [`ChannelType::keys`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Channel {
    #[serde(rename = "type")]
    pub kind: ChannelType,
    #[serde(
        default,
        skip_serializing_if = "Option::is_none",
        serialize_with = "secret::optional_url::serialize"
    )]
    pub url: Option<Secret>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub url_env: Option<String>,
    #[serde(
        default,
        skip_serializing_if = "Option::is_none",
        serialize_with = "values::show_optional_path"
    )]
    pub url_file: Option<PathBuf>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret: Option<Secret>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret_env: Option<String>,
    #[serde(
        default,
        skip_serializing_if = "Option::is_none",
        serialize_with = "values::show_optional_path"
    )]
    pub secret_file: Option<PathBuf>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub password: Option<Secret>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub password_env: Option<String>,
    #[serde(
        default,
        skip_serializing_if = "Option::is_none",
        serialize_with = "values::show_optional_path"
    )]
    pub password_file: Option<PathBuf>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "given_texts")]
    pub to: Option<Vec<String>>,
    /// `None`: `tls` with `smtps://`, else `starttls`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tls: Option<MailTls>,
    /// A program and its arguments.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "given_command")]
    pub command: Option<Vec<String>>,
    #[serde(default = "warning")]
    pub min_severity: Severity,
    /// For one request, or for the command.
    #[serde(default = "ten", deserialize_with = "values::whole_number::<_, _, 1, 3600>")]
    pub timeout_seconds: u32,
    /// Further attempts after the first.
    #[serde(default = "three", deserialize_with = "values::whole_number::<_, _, 0, 100>")]
    pub retries: u32,
}

/// Where a channel delivers to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ChannelType {
    Webhook,
    Slack,
    Feishu,
    Dingtalk,
    Wecom,
    Email,
    Command,
}

impl ChannelType {
    /// The keys that a channel of this type may have besides `type`, `min_severity`, `timeout_seconds` and `retries`.
    /// Each of `url`, `secret` and `password` may instead end in `_env` or `_file`.
    pub fn keys(self) -> &'static [&'static str] {
        match self {
            ChannelType::Webhook | ChannelType::Feishu | ChannelType::Dingtalk => {
                &["url", "secret"]
            }
            ChannelType::Slack | ChannelType::Wecom => &["url"],
            ChannelType::Email => &["url", "password", "from", "to", "tls"],
            ChannelType::Command => &["command"],
        }
    }

    /// Those of them that it cannot do without.
    pub fn required_keys(self) -> &'static [&'static str] {
        match self {
            ChannelType::Email => &["url", "from", "to"],
            ChannelType::Command => &["command"],
            _ => &["url"],
        }
    }

    pub fn name(self) -> &'static str {
        match self {
            ChannelType::Webhook => "webhook",
            ChannelType::Slack => "slack",
            ChannelType::Feishu => "feishu",
            ChannelType::Dingtalk => "dingtalk",
            ChannelType::Wecom => "wecom",
            ChannelType::Email => "email",
            ChannelType::Command => "command",
        }
    }
}

/// How the connection to the mail server is encrypted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum MailTls {
    Starttls,
    Tls,
    None,
}

/// `[alerts.live]`
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Live {
    #[serde(deserialize_with = "values::whole_number::<_, _, 0, 10_000_000>")]
    pub stuck_after_minutes: u32,
    #[serde(deserialize_with = "values::whole_number::<_, _, 0, 10_000_000>")]
    pub backlog_after_minutes: u32,
    #[serde(deserialize_with = "values::whole_number::<_, _, 0, 1_000_000_000_000>")]
    pub backlog_max: u64,
    /// Of so many tasks on, today's failure rate counts.
    #[serde(deserialize_with = "values::whole_number::<_, _, 0, 1_000_000_000_000>")]
    pub min_tasks: u64,
}

/// `[broker]`
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Broker {
    #[serde(default, with = "secret::optional_url")]
    pub url: Option<Secret>,
    /// RabbitMQ's management API, where it is not beside the broker.
    #[serde(default, with = "secret::optional_url")]
    pub management_url: Option<Secret>,
    /// Empty: those that the broker knows of. Without the key, the preset's.
    #[serde(default, deserialize_with = "values::texts")]
    pub queues: Vec<String>,
    /// Celery's transport options on Redis: `priority_steps`, `sep`, `global_keyprefix`, `visibility_timeout`.
    pub priority_steps: Vec<u32>,
    pub separator: String,
    pub global_keyprefix: String,
    #[serde(deserialize_with = "values::whole_number::<_, _, 1, 1_000_000_000>")]
    pub visibility_timeout_seconds: u32,
    #[serde(deserialize_with = "values::whole_number::<_, _, 1, 3600>")]
    pub timeout_seconds: u32,
}

/// `[heartbeat]`: a URL for each job. Whoever knows it can use it, so it is a secret.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Heartbeat {
    #[serde(default, with = "secret::optional_url")]
    pub cleanup: Option<Secret>,
    #[serde(default, with = "secret::optional_url")]
    pub stats: Option<Secret>,
    #[serde(default, with = "secret::optional_url")]
    pub disk: Option<Secret>,
    #[serde(default, with = "secret::optional_url")]
    pub alert: Option<Secret>,
}

impl Heartbeat {
    /// The URL of a job.
    pub fn url(&self, job: &str) -> Option<&Secret> {
        let mut urls = self.all().into_iter();
        urls.find_map(|(name, url)| (name == job).then_some(url))
    }

    /// The jobs that have one, and it.
    pub fn all(&self) -> Vec<(&'static str, &Secret)> {
        let urls = self.urls().into_iter();
        urls.filter_map(|(job, url)| Some((job, url.as_ref()?))).collect()
    }

    fn urls(&self) -> [(&'static str, &Option<Secret>); 4] {
        [
            ("cleanup", &self.cleanup),
            ("stats", &self.stats),
            ("disk", &self.disk),
            ("alert", &self.alert),
        ]
    }
}

fn warning() -> Severity {
    Severity::Warning
}

fn ten() -> u32 {
    10
}

fn three() -> u32 {
    3
}

fn given_texts<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<Vec<String>>, D::Error> {
    values::one_or_more_texts(deserializer).map(Some)
}

fn given_command<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<Vec<String>>, D::Error> {
    values::command(deserializer).map(Some)
}

/// Which keys a file sets itself, by their full path.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Given {
    /// As messages call it; empty: there is no file.
    pub origin: String,
    lines: BTreeMap<String, usize>,
}

impl Given {
    pub fn has(&self, key: &str) -> bool {
        self.lines.contains_key(key)
    }

    /// Where a key stands, or the section that it should stand in: "taskmon.toml, line 3".
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
    let file = File::deserialize(Reader(&Value::Table(values)))
        .map_err(|problem| explained(&problem, &given))?;
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
    let document = reader::parse(&settings).map_err(|error| {
        let message = format!(
            "a built-in file is broken at line {} of its settings: {}",
            error.line, error.message
        );
        Failure::new(Kind::Internal, message)
    })?;
    Ok(document.values)
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
    // The queues that the preset's application has; others' are found out.
    if let Some(Value::Table(queues)) = tables.remove("broker")
        && let Some(Value::Table(broker)) = values.remove("broker")
    {
        let broker = reader::overlay(broker, queues);
        values.insert("broker".to_owned(), Value::Table(broker));
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

/// A problem as a person wants to read it.
fn explained(problem: &Problem, given: &Given) -> Failure {
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
    let near = near.map_or(String::new(), |near| format!("; the nearest known key is `{near}`"));
    let place = given.place(key);
    let failure = Failure::new(Kind::ConfigInvalid, format!("{place}: unknown key `{key}`{near}"));
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
    key.starts_with("heartbeat.")
        || ["url", "read_url", "management_url", "secret", "password"].contains(&name)
}

fn sounds_secret(text: &str) -> bool {
    let lower = text.to_lowercase();
    let signs = ["://", "@", "pass", "secret", "token", "key="];
    text.chars().count() > 80 || signs.iter().any(|sign| lower.contains(sign))
}

/// The full path of every key, from the default file, where a test finds each of them.
pub(super) fn known_keys() -> Vec<String> {
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
pub(super) fn setting(line: &str) -> Option<&str> {
    let line = line.strip_prefix("# ").unwrap_or(line);
    let plain = |c: char| c.is_ascii_lowercase() || c == '_';
    match line.split_once(" = ") {
        Some((name, _)) => name.chars().all(plain).then_some(line),
        None => (line.starts_with('[') && line.ends_with(']')).then_some(line),
    }
}

/// What only several keys together can get wrong.
fn check(file: &File, given: &Given) -> Result<(), Failure> {
    let within = |section: &'static str| move |invalid| given.invalid(section, invalid);
    let (disk, alerts) = (&file.disk, &file.alerts);
    check_thresholds(
        ("warning_percent", disk.warning_percent),
        ("critical_percent", disk.critical_percent),
    )
    .map_err(within("disk"))?;
    check_thresholds(
        ("failure_rate_warning", alerts.failure_rate_warning),
        ("failure_rate_critical", alerts.failure_rate_critical),
    )
    .map_err(within("alerts"))?;
    let rules = alerts.rules.iter().map(|rule| rule.name.as_str());
    check_names("rules", rules).map_err(within("alerts"))?;
    file.schedule.check().map_err(within("schedule"))?;
    check_url(
        "url",
        &file.broker.url,
        &["redis", "rediss", "redis+socket", "amqp", "amqps", "pyamqp"],
    )
    .map_err(within("broker"))?;
    check_broker(&file.broker, given)?;
    check_url("management_url", &file.broker.management_url, &["http", "https"])
        .map_err(within("broker"))?;
    for (job, url) in file.heartbeat.urls() {
        check_url(job, url, &["https", "http"]).map_err(within("heartbeat"))?;
    }
    for (index, channel) in file.alerts.channels.iter().enumerate() {
        check_channel(&format!("alerts.channels[{}]", index + 1), channel, given)?;
    }
    Ok(())
}

fn check_url(key: &str, url: &Option<Secret>, schemes: &[&str]) -> Result<(), InvalidKey> {
    match url {
        Some(url) => check_scheme(key, url.expose(), schemes),
        None => Ok(()),
    }
}

/// What could never be asked, whichever server is there.
fn check_broker(broker: &Broker, given: &Given) -> Result<(), Failure> {
    if broker.priority_steps.is_empty() {
        let message = "must have at least one step: a queue has a list for each";
        return Err(given.failure("broker.priority_steps", message).hint(
            "Leave the key out where the workers do not set Celery's option priority_steps.",
        ));
    }
    let Some(url) = &broker.url else {
        return Ok(());
    };
    // Celery turns to the next one where one is down; which of them has the messages only Celery knows.
    if url.expose().contains(';') {
        let message = "names several brokers, divided by \";\": name the one to ask";
        return Err(given.failure("broker.url", message));
    }
    let is_redis = ["redis", "rediss"].contains(&url.scheme());
    let rest = url.expose().split_once("://").map_or("", |(_, rest)| rest);
    let rest = rest.split(['?', '#']).next().unwrap_or_default();
    let database = rest.split_once('/').map_or("", |(_, database)| database);
    let is_number = database.parse::<u32>().is_ok();
    if is_redis && !database.is_empty() && !is_number {
        let message = "must end in the number of the database: redis://HOST:PORT/0";
        return Err(given.failure("broker.url", message));
    }
    Ok(())
}

fn check_channel(key: &str, channel: &Channel, given: &Given) -> Result<(), Failure> {
    let kind = channel.kind;
    for (name, forms) in channel.given_keys() {
        if let [first, second, ..] = forms.as_slice() {
            let key = format!("{key}.{second}");
            return Err(given.failure(
                &key,
                &format!("stands beside `{first}`; only one of them may be given"),
            ));
        }
        if let Some(form) = forms.first().filter(|_| !kind.keys().contains(&name)) {
            let message = format!("means nothing to a channel of the type {:?}", kind.name());
            let hint = format!("Its own keys: {}.", kind.keys().join(", "));
            return Err(given.failure(&format!("{key}.{form}"), &message).hint(hint));
        }
        if forms.is_empty() && kind.required_keys().contains(&name) {
            let message = format!("is missing; a channel of the type {:?} needs it", kind.name());
            return Err(given.failure(&format!("{key}.{name}"), &message));
        }
    }
    let schemes: &[&str] = match kind {
        ChannelType::Email => &["smtp", "smtps"],
        _ => &["https", "http"],
    };
    check_url("url", &channel.url, schemes).map_err(|invalid| given.invalid(key, invalid))
}

impl Channel {
    /// The keys that depend on the type, each with the forms in which it is given.
    fn given_keys(&self) -> [(&'static str, Vec<&'static str>); 7] {
        let forms = |forms: &[(&'static str, bool)]| {
            let given = forms.iter().filter(|(_, given)| *given);
            given.map(|(form, _)| *form).collect::<Vec<_>>()
        };
        [
            (
                "url",
                forms(&[
                    ("url", self.url.is_some()),
                    ("url_env", self.url_env.is_some()),
                    ("url_file", self.url_file.is_some()),
                ]),
            ),
            (
                "secret",
                forms(&[
                    ("secret", self.secret.is_some()),
                    ("secret_env", self.secret_env.is_some()),
                    ("secret_file", self.secret_file.is_some()),
                ]),
            ),
            (
                "password",
                forms(&[
                    ("password", self.password.is_some()),
                    ("password_env", self.password_env.is_some()),
                    ("password_file", self.password_file.is_some()),
                ]),
            ),
            ("from", forms(&[("from", self.from.is_some())])),
            ("to", forms(&[("to", self.to.is_some())])),
            ("tls", forms(&[("tls", self.tls.is_some())])),
            ("command", forms(&[("command", self.command.is_some())])),
        ]
    }
}

impl File {
    /// Makes every path absolute: relative ones start at `base_dir`, which starts at `folder`.
    pub fn make_absolute(&mut self, folder: &Path) {
        self.base_dir = absolute(folder, &self.base_dir);
        let base = self.base_dir.clone();
        let cleanup = &mut self.cleanup;
        let lists = [
            &mut cleanup.storage_roots,
            &mut cleanup.temp_dirs,
            &mut cleanup.log_dirs,
            &mut self.disk.paths,
        ];
        let folders =
            [&mut self.stats.reports_dir, &mut self.alerts.logs_dir, &mut self.alerts.records_dir];
        let channels = self.alerts.channels.iter_mut();
        let secrets = channels.flat_map(|channel| {
            [&mut channel.url_file, &mut channel.secret_file, &mut channel.password_file]
        });
        let every = lists.into_iter().flatten().chain(folders).chain(secrets.flatten());
        every.for_each(|path| *path = absolute(&base, path));
    }
}
