//! What a run ended with, and its exit code.
//!
//! The codes and the error document are the contract's: 0 done, 1 done with errors, 2 wrong usage or
//! configuration, 3 could not do the job, 4 an alert is firing, 75 another run holds the lock.

use clap::ValueEnum;
use serde::{Deserialize, Serialize};
use std::fmt;

/// Why a run could not do its job: the `kind` of the error document, a documented set.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// An argument's value does not fit: a bad date, a percentage above 100.
    Usage,
    /// The configuration file, or a variable that overrides it, is not valid.
    ConfigInvalid,
    /// The configuration file cannot be read.
    ConfigUnreadable,
    /// The job needs a database and none is configured.
    DatabaseNotConfigured,
    /// The database cannot be reached, refuses connections or went away.
    DatabaseUnavailable,
    /// The database refuses this user: a wrong password, no such role, no right to connect.
    DatabaseRefused,
    /// The encrypted connection that was asked for cannot be had.
    TlsFailed,
    /// A table, column or expression of the mapping does not fit the database.
    MappingMismatch,
    /// The role lacks a right on a table.
    PermissionDenied,
    /// Row level security, or a view that filters, may hide rows from the role.
    RowSecurity,
    /// A statement ran longer than `database.statement_timeout_seconds`.
    StatementTimeout,
    /// The database refused a statement for another reason.
    QueryFailed,
    /// A folder or file that the job has to write cannot be written.
    OutputFailed,
    /// A folder is there already and is not taskmon's own.
    NotASandbox,
    /// None of the paths that were asked for could be measured.
    NothingMeasured,
    /// A folder is to be swept that must not be.
    FolderRefused,
    /// This host's clock and the database's differ too much to judge what has expired.
    ClockSkew,
    /// More has expired than `cleanup.brake_percent` allows.
    Brake,
    /// Another run of the same job holds the lock.
    Locked,
    /// A run on another host holds the lock.
    LockedElsewhere,
    /// There is no `crontab` program.
    CrontabUnavailable,
    /// The `crontab` program does not come to an end.
    CrontabTimeout,
    /// The `crontab` program refuses.
    CrontabRefused,
    /// The crontab's blocks cannot be distinguished from what is not taskmon's, or one configuration has two.
    CrontabDamaged,
    /// The records of runs cannot be read.
    RecordsUnreadable,
    /// There is no place for the lock's file.
    LockFailed,
    /// It was asked to end while it waited.
    Interrupted,
    /// Anything that has no kind of its own.
    Internal,
}

impl Kind {
    /// The exit code that goes with it.
    pub fn exit_code(self) -> u8 {
        match self {
            Kind::Usage
            | Kind::ConfigInvalid
            | Kind::ConfigUnreadable
            | Kind::FolderRefused
            | Kind::DatabaseNotConfigured => 2,
            Kind::Locked | Kind::LockedElsewhere => 75,
            _ => 3,
        }
    }
}

/// An error that ends the run: what happened, and what to do about it.
///
/// It travels inside an [`anyhow::Error`]; `run` takes it out again for the error document. A message never holds a password.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Failure {
    pub kind: Kind,
    pub message: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
}

impl Failure {
    pub fn new(kind: Kind, message: impl Into<String>) -> Self {
        let message = message.into();
        Self { kind, message, hint: None }
    }

    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// What happened and what to do about it, for where both share a line: standard error, an alert, an entry of `errors`.
    pub fn with_hint(&self) -> String {
        match &self.hint {
            Some(hint) => format!("{}; {hint}", self.message),
            None => self.message.clone(),
        }
    }

    /// The failure inside an error; one without is `internal`, its message the whole chain of causes.
    pub fn of(error: &anyhow::Error) -> Self {
        match error.downcast_ref::<Failure>() {
            Some(failure) => failure.clone(),
            None => Failure::new(Kind::Internal, format!("{error:#}")),
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Failure {}

/// One thing that a run could not do although it did the rest: an entry of `errors`.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Issue {
    pub kind: &'static str,
    pub message: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
    /// What reports call the row that it is about.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub task_id: Option<String>,
    /// What it has in common with others of its kind, which the log says once for all of them.
    #[serde(skip)]
    pub cause: Option<Cause>,
}

/// Why something could not be done, and what that was, of several: "rows stay", "their folder may not be written".
#[derive(Debug, Clone, PartialEq)]
pub struct Cause {
    pub what: &'static str,
    pub why: String,
}

impl Issue {
    pub fn new(kind: &'static str, message: impl Into<String>) -> Self {
        let message = message.into();
        Self { kind, message, path: None, task_id: None, cause: None }
    }

    pub fn task(mut self, label: impl Into<String>) -> Self {
        self.task_id = Some(label.into());
        self
    }

    pub fn path(mut self, path: impl Into<String>) -> Self {
        self.path = Some(path.into());
        self
    }

    pub fn cause(mut self, what: &'static str, why: impl Into<String>) -> Self {
        self.cause = Some(Cause { what, why: why.into() });
        self
    }
}

/// How a run ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    Done,
    /// Done, but something could not be done; the result's `errors` says what.
    DoneWithErrors,
    /// Done, and an alert at or above `--fail-on` is firing.
    AlertFiring,
    Failed(Kind),
}

impl Outcome {
    pub fn exit_code(self) -> u8 {
        match self {
            Outcome::Done => 0,
            Outcome::DoneWithErrors => 1,
            Outcome::AlertFiring => 4,
            Outcome::Failed(kind) => kind.exit_code(),
        }
    }

    /// Whether the job was done: what the result says under `success`.
    pub fn is_success(self) -> bool {
        !matches!(self, Outcome::Failed(_))
    }

    /// The same once something more could not be done. A firing alert comes first.
    pub fn with_issue(self) -> Self {
        match self {
            Outcome::Done => Outcome::DoneWithErrors,
            other => other,
        }
    }
}

/// The severity of an alert, in rising order.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, ValueEnum,
)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// Nothing is wrong: a test, a message.
    Info,
    Warning,
    Error,
    Critical,
}

impl Severity {
    /// In rising order.
    pub const ALL: [Severity; 4] =
        [Severity::Info, Severity::Warning, Severity::Error, Severity::Critical];

    pub fn name(self) -> &'static str {
        match self {
            Severity::Info => "info",
            Severity::Warning => "warning",
            Severity::Error => "error",
            Severity::Critical => "critical",
        }
    }
}
