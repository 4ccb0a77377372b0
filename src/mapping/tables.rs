//! The tables of one application, as `[database.tasks]` and `[database.receipts]` describe them.

use super::{Field, States, check_entries};
use crate::values::{self, InvalidKey};
use serde::{Deserialize, Serialize};

/// A column name or SQL expression in the dialect of the configured database.
pub type Expression = String;

/// The tables of one application.
#[derive(Debug, Clone, PartialEq)]
pub struct Mapping {
    pub tasks: TaskTable,
    pub receipts: Option<ReceiptTable>,
}

impl Mapping {
    /// # Errors
    /// A field that a table cannot do without is empty, or two states claim one label: the key, from `[database]` on.
    pub fn new(tasks: TaskTable, receipts: Option<ReceiptTable>) -> Result<Self, InvalidKey> {
        tasks.check()?;
        let receipts = receipts.filter(|receipts| receipts.enabled);
        if let Some(receipts) = &receipts {
            receipts.check()?;
        }
        Ok(Self { tasks, receipts })
    }

    /// Whether rows name files, which go with them.
    pub fn names_files(&self) -> bool {
        let receipts = self.receipts.iter();
        let of_tasks = std::iter::once(&self.tasks.files);
        let files = of_tasks.chain(receipts.clone().map(|receipts| &receipts.files));
        let dependents = self.tasks.dependents.iter();
        let dependents = dependents.chain(receipts.flat_map(|receipts| &receipts.dependents));
        files.chain(dependents.map(|table| &table.files)).any(|files| !files.is_empty())
    }
}

/// `[database.tasks]`: where tasks are and what their columns mean. A field that is `None`, for which people write `""` or nothing, does
/// not exist in this table: reports say `null`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TaskTable {
    /// What is read: a table, a view or a FROM clause.
    #[serde(deserialize_with = "values::trimmed_text")]
    pub from: String,
    /// What rows are deleted from; `None`: never pruned.
    #[serde(default, with = "values::optional_text")]
    pub delete_from: Option<String>,
    /// The columns of the primary key, at least one.
    pub key: Vec<Expression>,
    /// What reports call a task.
    #[serde(deserialize_with = "values::trimmed_text")]
    pub label: Expression,
    #[serde(deserialize_with = "values::trimmed_text")]
    pub status: Expression,
    #[serde(default, with = "values::optional_text")]
    pub created_at: Option<Expression>,
    /// Before it a task does not wait: it is scheduled.
    #[serde(default, with = "values::optional_text")]
    pub due_at: Option<Expression>,
    #[serde(default, with = "values::optional_text")]
    pub started_at: Option<Expression>,
    #[serde(default, with = "values::optional_text")]
    pub completed_at: Option<Expression>,
    #[serde(default, with = "values::optional_text")]
    pub updated_at: Option<Expression>,
    /// Seconds.
    #[serde(default, with = "values::optional_text")]
    pub processing_time: Option<Expression>,
    #[serde(default, rename = "wait_time", skip_serializing_if = "Wait::is_since_creation")]
    pub wait: Wait,
    #[serde(default, with = "values::optional_text")]
    pub error_message: Option<Expression>,
    #[serde(default, with = "values::optional_text")]
    pub retry_count: Option<Expression>,
    #[serde(default, with = "values::optional_text")]
    pub queue: Option<Expression>,
    #[serde(default, with = "values::optional_text")]
    pub name: Option<Expression>,
    /// Expressions that name a file each, absolute or relative to `base_dir`.
    #[serde(default)]
    pub files: Vec<Expression>,
    /// What a timestamp without zone means; overrides `[database]`.
    #[serde(default, with = "values::optional_text")]
    pub naive_timestamps: Option<String>,
    /// What ties a receipt to a task.
    #[serde(default, with = "values::optional_text")]
    pub link: Option<Expression>,
    /// A condition that is added to every delete.
    #[serde(default, with = "values::optional_text")]
    pub guard: Option<Expression>,
    #[serde(default)]
    pub states: States,
    /// Rows that go with a task, before it, where the database does not see to that itself, or where they name files.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub dependents: Vec<DependentTable>,
    /// What is written differently in SQLite.
    #[serde(default, skip_serializing_if = "OnSqlite::is_empty")]
    pub sqlite: OnSqlite,
}

/// How long a task waited before it began. People write seconds, or `""` where the table does not say it.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(from = "String", into = "String")]
pub enum Wait {
    /// From its creation, or from when it was due if that is later, to its start, where the table knows these.
    #[default]
    SinceCreation,
    /// Seconds.
    Seconds(Expression),
    /// The times that the table has do not say it.
    Unknown,
}

impl Wait {
    fn is_since_creation(&self) -> bool {
        *self == Wait::SinceCreation
    }
}

impl From<String> for Wait {
    fn from(text: String) -> Self {
        if text.trim().is_empty() { Wait::Unknown } else { Wait::Seconds(text) }
    }
}

impl From<Wait> for String {
    fn from(wait: Wait) -> Self {
        match wait {
            Wait::Seconds(expression) => expression,
            Wait::SinceCreation | Wait::Unknown => String::new(),
        }
    }
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
    pub due_at: Option<Expression>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub completed_at: Option<Expression>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub updated_at: Option<Expression>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub processing_time: Option<Expression>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub wait_time: Option<Wait>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error_message: Option<Expression>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry_count: Option<Expression>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<Expression>,
}

impl OnSqlite {
    fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

impl TaskTable {
    /// As it is to be read in SQLite.
    pub fn on_sqlite(mut self) -> Self {
        let forms = std::mem::take(&mut self.sqlite);
        for (field, form) in [(&mut self.from, forms.from), (&mut self.status, forms.status)] {
            *field = form.unwrap_or_else(|| std::mem::take(field));
        }
        for (field, form) in [
            (&mut self.delete_from, forms.delete_from),
            (&mut self.due_at, forms.due_at),
            (&mut self.completed_at, forms.completed_at),
            (&mut self.updated_at, forms.updated_at),
            (&mut self.processing_time, forms.processing_time),
            (&mut self.error_message, forms.error_message),
            (&mut self.retry_count, forms.retry_count),
            (&mut self.name, forms.name),
        ] {
            if let Some(form) = form {
                *field = Some(form).filter(|form| !form.trim().is_empty());
            }
        }
        self.wait = forms.wait_time.unwrap_or(self.wait);
        self
    }

    fn check(&self) -> Result<(), InvalidKey> {
        require("tasks.from", &self.from)?;
        require("tasks.label", &self.label)?;
        require("tasks.status", &self.status)?;
        check_columns("tasks.key", &self.key)?;
        check_entries("tasks.files", &self.files)?;
        self.states.check()?;
        if self.key.len() > 1 && !self.dependents.is_empty() {
            let message = "cannot be used where tasks.key has more than one column";
            return Err(InvalidKey::new("tasks.dependents", message));
        }
        check_dependents("tasks", &self.dependents)
    }

    /// What a field is in this table: a column or an expression; `None` where there is none.
    pub fn field(&self, field: Field) -> Option<&str> {
        match field {
            Field::Status => Some(&self.status),
            Field::Label => Some(&self.label),
            Field::CreatedAt => self.created_at.as_deref(),
            Field::DueAt => self.due_at.as_deref(),
            Field::StartedAt => self.started_at.as_deref(),
            Field::CompletedAt => self.completed_at.as_deref(),
            Field::UpdatedAt => self.updated_at.as_deref(),
            Field::ProcessingTime => self.processing_time.as_deref(),
            Field::WaitTime => match &self.wait {
                Wait::Seconds(expression) => Some(expression),
                Wait::SinceCreation | Wait::Unknown => None,
            },
            Field::ErrorMessage => self.error_message.as_deref(),
            Field::RetryCount => self.retry_count.as_deref(),
            Field::Queue => self.queue.as_deref(),
            Field::Name => self.name.as_deref(),
        }
    }
}

/// `[database.receipts]`: they are removed once no task refers to them, with the rows that depend on them.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ReceiptTable {
    /// `false`: the application has none, and the other keys mean nothing.
    #[serde(default = "yes")]
    pub enabled: bool,
    #[serde(default, deserialize_with = "values::trimmed_text")]
    pub from: String,
    #[serde(default)]
    pub key: Vec<Expression>,
    #[serde(default, deserialize_with = "values::trimmed_text")]
    pub created_at: Expression,
    #[serde(default, deserialize_with = "values::trimmed_text")]
    pub link: Expression,
    #[serde(default)]
    pub files: Vec<Expression>,
    #[serde(default)]
    pub dependents: Vec<DependentTable>,
}

fn yes() -> bool {
    true
}

impl ReceiptTable {
    fn check(&self) -> Result<(), InvalidKey> {
        require("receipts.from", &self.from)?;
        check_columns("receipts.key", &self.key)?;
        require("receipts.created_at", &self.created_at)?;
        require("receipts.link", &self.link)?;
        check_entries("receipts.files", &self.files)?;
        check_dependents("receipts", &self.dependents)
    }
}

/// `[[database.tasks.dependents]]` and `[[database.receipts.dependents]]`: rows that go with a task or a receipt, before it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct DependentTable {
    pub from: String,
    /// What holds the key of the task or receipt.
    pub foreign_key: String,
    #[serde(default)]
    pub files: Vec<Expression>,
}

fn check_dependents(section: &str, tables: &[DependentTable]) -> Result<(), InvalidKey> {
    for (number, dependent) in (1..).zip(tables) {
        let key = |name: &str| format!("{section}.dependents[{number}].{name}");
        require(&key("from"), &dependent.from)?;
        require(&key("foreign_key"), &dependent.foreign_key)?;
        check_entries(&key("files"), &dependent.files)?;
    }
    Ok(())
}

fn require(key: &str, text: &str) -> Result<(), InvalidKey> {
    if text.trim().is_empty() {
        return Err(InvalidKey::new(key, "must not be empty"));
    }
    Ok(())
}

/// That a key has at least one column, and none of them is empty.
fn check_columns(key: &str, columns: &[String]) -> Result<(), InvalidKey> {
    if columns.is_empty() {
        return Err(InvalidKey::new(key, "must name at least one column"));
    }
    check_entries(key, columns)
}
