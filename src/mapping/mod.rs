//! What an application's tables mean to taskmon: the mapping from its columns and labels to taskmon's words.
//!
//! A mapping is data. The presets are TOML files beside this one, written like the `[database.tasks]` and
//! `[database.receipts]` sections of a configuration; a configuration overrides any part of them.

pub mod canonical_path;
pub mod preset;
mod tables;

pub use tables::{DependentTable, Mapping, OnSqlite, ReceiptTable, TaskTable, Wait};

use crate::values::InvalidKey;
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

    /// The states in which nothing happens to a task any more.
    pub const ENDED: [State; 3] = [State::Completed, State::Failed, State::Cancelled];

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

    /// # Errors
    /// A finished state holds [`REST`], or two states claim one label.
    fn check(&self) -> Result<(), InvalidKey> {
        let wrong = |state, message| Err(InvalidKey::new(format!("tasks.states.{state}"), message));
        for state in State::ALL {
            check_entries(&format!("tasks.states.{state}"), self.labels(state))?;
        }
        for state in [State::Completed, State::Failed, State::Cancelled] {
            if self.labels(state).iter().any(|label| label == REST) {
                return wrong(
                    state,
                    format!(
                        "must not hold {REST:?}: what taskmon does not know must not be taken for finished and deleted; \
                         `states.pending` or `states.processing` may hold it"
                    ),
                );
            }
        }
        // A row must be in one state: otherwise it would be counted twice, or pruned by the wrong limit.
        for state in State::ALL {
            for label in self.labels(state) {
                let first = self.of(Some(label));
                if first != state {
                    return wrong(
                        state,
                        format!(
                            "claims the label {label:?}, which `states.{first}` claims too (labels match without regard to case); \
                             a label belongs to one state"
                        ),
                    );
                }
            }
        }
        Ok(())
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
    DueAt,
    StartedAt,
    CompletedAt,
    UpdatedAt,
    ProcessingTime,
    WaitTime,
    ErrorMessage,
    RetryCount,
    Queue,
    Name,
}

impl Field {
    pub const ALL: [Field; 13] = [
        Field::Status,
        Field::Label,
        Field::CreatedAt,
        Field::DueAt,
        Field::StartedAt,
        Field::CompletedAt,
        Field::UpdatedAt,
        Field::ProcessingTime,
        Field::WaitTime,
        Field::ErrorMessage,
        Field::RetryCount,
        Field::Queue,
        Field::Name,
    ];

    /// The field's key in a configuration.
    pub fn name(self) -> &'static str {
        match self {
            Field::Status => "status",
            Field::Label => "label",
            Field::CreatedAt => "created_at",
            Field::DueAt => "due_at",
            Field::StartedAt => "started_at",
            Field::CompletedAt => "completed_at",
            Field::UpdatedAt => "updated_at",
            Field::ProcessingTime => "processing_time",
            Field::WaitTime => "wait_time",
            Field::ErrorMessage => "error_message",
            Field::RetryCount => "retry_count",
            Field::Queue => "queue",
            Field::Name => "name",
        }
    }
}

/// That no entry of a list is empty. Labels keep their spaces.
fn check_entries(key: &str, texts: &[String]) -> Result<(), InvalidKey> {
    if texts.iter().any(|text| text.trim().is_empty()) {
        return Err(InvalidKey::new(key, "must not have an empty entry"));
    }
    Ok(())
}

/// Labels in lower case that rows of some states have, or do not have.
#[derive(Debug, Clone, PartialEq)]
pub enum Membership {
    In(Vec<String>),
    /// Whatever else the label is, if there is one.
    NotIn(Vec<String>),
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
