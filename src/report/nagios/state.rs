//! The state of a service, and the limits that go with its figures.

use crate::outcome::{Issue, Severity};

/// What the line says, and the exit code that goes with it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    Ok,
    Warning,
    Critical,
    /// Nobody knows: the job failed, could not do everything, or was held up by another run.
    Unknown,
}

impl State {
    pub fn exit_code(self) -> u8 {
        match self {
            State::Ok => 0,
            State::Warning => 1,
            State::Critical => 2,
            State::Unknown => 3,
        }
    }

    pub fn name(self) -> &'static str {
        match self {
            State::Ok => "OK",
            State::Warning => "WARNING",
            State::Critical => "CRITICAL",
            State::Unknown => "UNKNOWN",
        }
    }

    /// By the worst alert. An error leaves open whether all is well, but not that something is critical.
    pub fn of(worst: Option<Severity>, errors: &[Issue]) -> Self {
        match worst {
            Some(Severity::Critical) => State::Critical,
            _ if !errors.is_empty() => State::Unknown,
            Some(Severity::Warning | Severity::Error) => State::Warning,
            Some(Severity::Info) | None => State::Ok,
        }
    }
}
