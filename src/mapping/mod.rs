//! What an application's tables mean to taskmon: the mapping from its columns and labels to taskmon's words.
//!
//! A mapping is data. The presets are TOML files beside this one, written like the `[database.tasks]` and
//! `[database.receipts]` sections of a configuration; a configuration overrides any part of them.

pub mod canonical_path;
pub mod preset;

use serde::{Deserialize, Serialize};
use std::fmt;

/// The presets that this version has: their name and their TOML. Each is a file in the folder `presets`.
pub const PRESETS: &[(&str, &str)] = include!(concat!(env!("OUT_DIR"), "/presets.rs"));

/// The label that means every label which no state claims; a label that is missing is in no state even so.
pub const REST: &str = "*";

/// taskmon's five states, and the catch-all for labels that no state claims.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    Completed,
    Failed,
    Pending,
    Processing,
    Cancelled,
    Other,
}

impl State {
    pub const ALL: [State; 6] = [
        State::Completed,
        State::Failed,
        State::Pending,
        State::Processing,
        State::Cancelled,
        State::Other,
    ];

    pub fn name(self) -> &'static str {
        match self {
            State::Completed => "completed",
            State::Failed => "failed",
            State::Pending => "pending",
            State::Processing => "processing",
            State::Cancelled => "cancelled",
            State::Other => "other",
        }
    }

    /// The times that say when a task in this state ended: the first that it has counts. Failed tasks are judged by their last change, the others
    /// by their end; of a task that has neither, its creation is all that is known.
    pub fn ended_by(self) -> [Field; 3] {
        match self {
            State::Failed => [Field::UpdatedAt, Field::CompletedAt, Field::CreatedAt],
            _ => [Field::CompletedAt, Field::UpdatedAt, Field::CreatedAt],
        }
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A column name or SQL expression in the dialect of the configured database.
pub type Expression = String;

/// Where tasks are and what their columns mean. A field that is `None` does not exist in this table: reports say `null`.
#[derive(Debug, Clone, PartialEq)]
pub struct TaskTable {
    /// What is read: a table, a view or a FROM clause.
    pub from: String,
    /// What rows are deleted from; `None`: never pruned.
    pub delete_from: Option<String>,
    /// The columns of the primary key, at least one.
    pub key: Vec<Expression>,
    /// What reports call a task.
    pub label: Expression,
    pub status: Expression,
    pub created_at: Option<Expression>,
    pub started_at: Option<Expression>,
    pub completed_at: Option<Expression>,
    pub updated_at: Option<Expression>,
    /// Seconds.
    pub processing_time: Option<Expression>,
    pub wait: Wait,
    pub error_message: Option<Expression>,
    pub retry_count: Option<Expression>,
    pub queue: Option<Expression>,
    pub name: Option<Expression>,
    /// Expressions that name a file each, absolute or relative to `base_dir`.
    pub files: Vec<Expression>,
    /// What ties a receipt to a task.
    pub link: Option<Expression>,
    /// A condition that is added to every delete.
    pub guard: Option<Expression>,
    /// What a timestamp without zone means; overrides `[database]`.
    pub naive_timestamps: Option<String>,
    pub states: States,
    /// Rows that go with a task, before it; they name no files.
    pub dependents: Vec<DependentTable>,
}

/// How long a task waited before it began.
#[derive(Debug, Clone, PartialEq)]
pub enum Wait {
    /// From its creation to its start, where the table knows both.
    SinceCreation,
    /// Seconds.
    Seconds(Expression),
    /// The times that the table has do not say it.
    Unknown,
}

/// Which labels of the status column stand for which state, without regard to case.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct States {
    pub pending: Vec<String>,
    pub processing: Vec<String>,
    pub completed: Vec<String>,
    pub failed: Vec<String>,
    pub cancelled: Vec<String>,
}

impl States {
    /// The labels of a state; none of `Other`, which is what no state claims.
    pub fn labels(&self, state: State) -> &[String] {
        match state {
            State::Pending => &self.pending,
            State::Processing => &self.processing,
            State::Completed => &self.completed,
            State::Failed => &self.failed,
            State::Cancelled => &self.cancelled,
            State::Other => &[],
        }
    }

    /// The state of a row by its status label; a row without one is in no state that taskmon knows.
    pub fn of(&self, label: Option<&str>) -> State {
        let Some(label) = label else {
            return State::Other;
        };
        let folded = label.to_lowercase();
        let claiming = |folded: &str| {
            State::ALL.into_iter().find(|state| {
                let mut claimed = self.labels(*state).iter();
                claimed.any(|claim| claim.to_lowercase() == folded)
            })
        };
        claiming(&folded).or_else(|| claiming(REST)).unwrap_or(State::Other)
    }

    /// What says whether a row is in one of these states, without regard to case.
    pub fn membership(&self, states: &[State]) -> Membership {
        let lower = |state: &State| {
            let labels = self.labels(*state).iter().filter(|label| *label != REST);
            labels.map(|label| label.to_lowercase()).collect::<Vec<_>>()
        };
        let rest = self.of(Some(REST));
        if states.contains(&rest) && rest != State::Other {
            let others = State::ALL.iter().filter(|state| !states.contains(state));
            Membership::NotIn(others.flat_map(lower).collect())
        } else {
            Membership::In(states.iter().flat_map(lower).collect())
        }
    }
}

/// A field of a task that reports are made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Field {
    Status,
    Label,
    CreatedAt,
    StartedAt,
    CompletedAt,
    UpdatedAt,
    ProcessingTime,
    WaitTime,
    ErrorMessage,
    RetryCount,
    Queue,
}

impl Field {
    pub const ALL: [Field; 11] = [
        Field::Status,
        Field::Label,
        Field::CreatedAt,
        Field::StartedAt,
        Field::CompletedAt,
        Field::UpdatedAt,
        Field::ProcessingTime,
        Field::WaitTime,
        Field::ErrorMessage,
        Field::RetryCount,
        Field::Queue,
    ];

    /// The field's key in a configuration.
    pub fn name(self) -> &'static str {
        match self {
            Field::Status => "status",
            Field::Label => "label",
            Field::CreatedAt => "created_at",
            Field::StartedAt => "started_at",
            Field::CompletedAt => "completed_at",
            Field::UpdatedAt => "updated_at",
            Field::ProcessingTime => "processing_time",
            Field::WaitTime => "wait_time",
            Field::ErrorMessage => "error_message",
            Field::RetryCount => "retry_count",
            Field::Queue => "queue",
        }
    }
}

impl TaskTable {
    /// What a field is in this table: a column or an expression; `None` where there is none.
    pub fn field(&self, field: Field) -> Option<&str> {
        match field {
            Field::Status => Some(&self.status),
            Field::Label => Some(&self.label),
            Field::CreatedAt => self.created_at.as_deref(),
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
        }
    }
}

/// Labels in lower case that rows of some states have, or do not have.
#[derive(Debug, Clone, PartialEq)]
pub enum Membership {
    In(Vec<String>),
    /// Whatever else the label is, if there is one.
    NotIn(Vec<String>),
}

/// Receipts, which are removed once no task refers to them, with the rows that depend on them.
#[derive(Debug, Clone, PartialEq)]
pub struct ReceiptTable {
    pub from: String,
    pub key: Vec<Expression>,
    pub created_at: Expression,
    pub link: Expression,
    pub files: Vec<Expression>,
    pub dependents: Vec<DependentTable>,
}

/// Rows that go with a receipt, before it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct DependentTable {
    pub from: String,
    pub foreign_key: String,
    #[serde(default)]
    pub files: Vec<Expression>,
}

/// The tables of one application.
#[derive(Debug, Clone, PartialEq)]
pub struct Mapping {
    pub tasks: TaskTable,
    pub receipts: Option<ReceiptTable>,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn states() -> States {
        States {
            pending: vec!["queued".into()],
            processing: vec!["Running".into()],
            completed: vec!["DONE".into()],
            failed: vec!["dead".into()],
            cancelled: vec![],
        }
    }

    #[test]
    fn labels_match_without_regard_to_case() {
        let states = states();
        assert_eq!(states.of(Some("QUEUED")), State::Pending);
        assert_eq!(states.of(Some("running")), State::Processing);
        assert_eq!(states.of(Some("done")), State::Completed);
    }

    #[test]
    fn a_label_that_no_state_claims_is_other() {
        assert_eq!(states().of(Some("paused")), State::Other);
        assert_eq!(states().of(Some("")), State::Other);
        assert_eq!(states().of(None), State::Other);
    }
}
