//! Presets: tables as a TOML file describes them, and the [`Mapping`] that they mean.
//!
//! A preset has a section `[tasks]` and, where the application has receipts, a section `[receipts]`; a configuration's
//! `[database.tasks]` and `[database.receipts]` have the same keys and are laid over them before they are read here.

use super::{
    DependentTable, Expression, Mapping, PRESETS, REST, ReceiptTable, State, States, TaskTable,
    Wait,
};
use serde::{Deserialize, Serialize};

/// The TOML of a preset; `None`: this version has none of that name.
pub fn find(name: &str) -> Option<&'static str> {
    let found = PRESETS.iter().find(|(preset, _)| *preset == name);
    found.map(|(_, toml)| *toml)
}

/// The presets' names.
pub fn names() -> impl Iterator<Item = &'static str> {
    PRESETS.iter().map(|(name, _)| *name)
}

/// `[tasks]` as it is written. A field that is `""` or left out does not exist.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Tasks {
    pub from: String,
    #[serde(default)]
    pub delete_from: String,
    pub key: Vec<Expression>,
    pub label: Expression,
    pub status: Expression,
    #[serde(default)]
    pub created_at: Expression,
    #[serde(default)]
    pub started_at: Expression,
    #[serde(default)]
    pub completed_at: Expression,
    #[serde(default)]
    pub updated_at: Expression,
    #[serde(default)]
    pub processing_time: Expression,
    /// Left out: from `created_at` to `started_at`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub wait_time: Option<Expression>,
    #[serde(default)]
    pub error_message: Expression,
    #[serde(default)]
    pub retry_count: Expression,
    #[serde(default)]
    pub queue: Expression,
    #[serde(default)]
    pub name: Expression,
    #[serde(default)]
    pub files: Vec<Expression>,
    #[serde(default)]
    pub naive_timestamps: String,
    #[serde(default)]
    pub link: Expression,
    #[serde(default)]
    pub guard: Expression,
    #[serde(default)]
    pub states: States,
    /// Rows that go with a task, before it, where the database does not see to that itself.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub dependents: Vec<TaskDependent>,
    /// What is written differently in SQLite.
    #[serde(default, skip_serializing_if = "OnSqlite::is_empty")]
    pub sqlite: OnSqlite,
}

/// `[tasks.sqlite]`: the expressions that have another form in SQLite's dialect.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct OnSqlite {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub delete_from: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<Expression>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub completed_at: Option<Expression>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub updated_at: Option<Expression>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub processing_time: Option<Expression>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub wait_time: Option<Expression>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error_message: Option<Expression>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry_count: Option<Expression>,
}

impl OnSqlite {
    fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

impl Tasks {
    /// As it is to be read in SQLite.
    pub fn on_sqlite(&self) -> Self {
        let pick = |special: &Option<String>, general: &String| {
            special.as_ref().unwrap_or(general).clone()
        };
        Self {
            from: pick(&self.sqlite.from, &self.from),
            delete_from: pick(&self.sqlite.delete_from, &self.delete_from),
            status: pick(&self.sqlite.status, &self.status),
            completed_at: pick(&self.sqlite.completed_at, &self.completed_at),
            updated_at: pick(&self.sqlite.updated_at, &self.updated_at),
            processing_time: pick(&self.sqlite.processing_time, &self.processing_time),
            wait_time: self.sqlite.wait_time.as_ref().or(self.wait_time.as_ref()).cloned(),
            error_message: pick(&self.sqlite.error_message, &self.error_message),
            retry_count: pick(&self.sqlite.retry_count, &self.retry_count),
            ..self.clone()
        }
    }
}

/// `[[tasks.dependents]]` as it is written.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TaskDependent {
    pub from: String,
    /// What holds the task's key.
    pub foreign_key: String,
}

/// `[receipts]` as it is written.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Receipts {
    /// `false`: the application has none, and the other keys mean nothing.
    #[serde(default = "yes")]
    pub enabled: bool,
    #[serde(default)]
    pub from: String,
    #[serde(default)]
    pub key: Vec<Expression>,
    #[serde(default)]
    pub created_at: Expression,
    #[serde(default)]
    pub link: Expression,
    #[serde(default)]
    pub files: Vec<Expression>,
    #[serde(default)]
    pub dependents: Vec<DependentTable>,
}

fn yes() -> bool {
    true
}

/// A key whose value does not describe a table, and a sentence about it that starts after the key.
#[derive(Debug, Clone, PartialEq)]
pub struct Misfit {
    /// From the section on: `tasks.key`.
    pub key: String,
    pub message: String,
}

impl Misfit {
    fn new(key: impl Into<String>, message: impl Into<String>) -> Self {
        let (key, message) = (key.into(), message.into());
        Self { key, message }
    }
}

/// The mapping that the sections mean.
///
/// # Errors
/// A field that a table cannot do without is empty, or two states claim one label.
pub fn mapping(tasks: &Tasks, receipts: Option<&Receipts>) -> Result<Mapping, Misfit> {
    let enabled = receipts.filter(|receipts| receipts.enabled);
    Ok(Mapping { tasks: task_table(tasks)?, receipts: enabled.map(receipt_table).transpose()? })
}

fn task_table(tasks: &Tasks) -> Result<TaskTable, Misfit> {
    Ok(TaskTable {
        from: required("tasks.from", &tasks.from)?,
        delete_from: optional(&tasks.delete_from),
        key: some("tasks.key", &tasks.key)?,
        label: required("tasks.label", &tasks.label)?,
        status: required("tasks.status", &tasks.status)?,
        created_at: optional(&tasks.created_at),
        started_at: optional(&tasks.started_at),
        completed_at: optional(&tasks.completed_at),
        updated_at: optional(&tasks.updated_at),
        processing_time: optional(&tasks.processing_time),
        wait: match &tasks.wait_time {
            None => Wait::SinceCreation,
            Some(text) => optional(text).map_or(Wait::Unknown, Wait::Seconds),
        },
        error_message: optional(&tasks.error_message),
        retry_count: optional(&tasks.retry_count),
        queue: optional(&tasks.queue),
        name: optional(&tasks.name),
        files: all("tasks.files", &tasks.files)?,
        link: optional(&tasks.link),
        guard: optional(&tasks.guard),
        naive_timestamps: optional(&tasks.naive_timestamps),
        states: valid_states(&tasks.states)?,
        dependents: task_dependents(tasks)?,
    })
}

fn task_dependents(tasks: &Tasks) -> Result<Vec<DependentTable>, Misfit> {
    if tasks.key.len() > 1 && !tasks.dependents.is_empty() {
        let message = "cannot be used where tasks.key has more than one column";
        return Err(Misfit::new("tasks.dependents", message));
    }
    let dependents = tasks.dependents.iter().enumerate();
    dependents
        .map(|(index, dependent)| {
            let key = |name: &str| format!("tasks.dependents[{}].{name}", index + 1);
            Ok(DependentTable {
                from: required(&key("from"), &dependent.from)?,
                foreign_key: required(&key("foreign_key"), &dependent.foreign_key)?,
                files: Vec::new(),
            })
        })
        .collect()
}

fn receipt_table(receipts: &Receipts) -> Result<ReceiptTable, Misfit> {
    let dependents = receipts.dependents.iter().enumerate();
    Ok(ReceiptTable {
        from: required("receipts.from", &receipts.from)?,
        key: some("receipts.key", &receipts.key)?,
        created_at: required("receipts.created_at", &receipts.created_at)?,
        link: required("receipts.link", &receipts.link)?,
        files: all("receipts.files", &receipts.files)?,
        dependents: dependents
            .map(|(index, dependent)| dependent_table(index, dependent))
            .collect::<Result<_, _>>()?,
    })
}

fn dependent_table(index: usize, dependent: &DependentTable) -> Result<DependentTable, Misfit> {
    let key = |name: &str| format!("receipts.dependents[{}].{name}", index + 1);
    Ok(DependentTable {
        from: required(&key("from"), &dependent.from)?,
        foreign_key: required(&key("foreign_key"), &dependent.foreign_key)?,
        files: all(&key("files"), &dependent.files)?,
    })
}

fn valid_states(states: &States) -> Result<States, Misfit> {
    for state in State::ALL {
        all(&format!("tasks.states.{state}"), states.labels(state))?;
    }
    for state in [State::Completed, State::Failed, State::Cancelled] {
        if states.labels(state).iter().any(|label| label == REST) {
            return Err(Misfit::new(
                format!("tasks.states.{state}"),
                format!(
                    "must not hold {REST:?}: what taskmon does not know must not be taken for finished and deleted; \
                     `states.pending` or `states.processing` may hold it"
                ),
            ));
        }
    }
    // A row must be in one state: otherwise it would be counted twice, or pruned by the wrong limit.
    for state in State::ALL {
        for label in states.labels(state) {
            let first = states.of(Some(label));
            if first != state {
                return Err(Misfit::new(
                    format!("tasks.states.{state}"),
                    format!(
                        "claims the label {label:?}, which `states.{first}` claims too (labels match without regard to case); \
                         a label belongs to one state"
                    ),
                ));
            }
        }
    }
    Ok(states.clone())
}

fn optional(text: &str) -> Option<String> {
    let text = text.trim();
    (!text.is_empty()).then(|| text.to_owned())
}

fn required(key: &str, text: &str) -> Result<String, Misfit> {
    optional(text).ok_or_else(|| Misfit::new(key, "must not be empty"))
}

/// A list none of whose entries is empty. Labels keep their spaces.
fn all(key: &str, texts: &[String]) -> Result<Vec<String>, Misfit> {
    match texts.iter().position(|text| text.trim().is_empty()) {
        Some(_) => Err(Misfit::new(key, "must not have an empty entry")),
        None => Ok(texts.to_vec()),
    }
}

/// A list of at least one entry, none of them empty.
fn some(key: &str, texts: &[String]) -> Result<Vec<String>, Misfit> {
    if texts.is_empty() {
        return Err(Misfit::new(key, "must name at least one column"));
    }
    all(key, texts)
}
