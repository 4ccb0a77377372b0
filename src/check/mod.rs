//! Whether taskmon could do its work here: what was found, judged and put in words, a file a subject. `run` looks, and hands in what it saw.
//!
//! `failed` is what keeps a job from its work, `warning` what somebody should know although the jobs run, `skipped` what there is nothing to look
//! at for, or what could not be looked at because of something else that failed.

pub mod access;
pub mod broker;
pub mod channels;
pub mod clock;
pub mod config;
pub mod cron;
pub mod database;
pub mod indexes;
pub mod mapping;
pub mod permissions;
pub mod placement;
pub mod runs;
pub mod storage;
pub mod times;

use crate::outcome::Failure;
use serde::Serialize;
use std::collections::BTreeSet;

/// The names of the checks, in the order of the report.
pub const NAMES: [&str; 11] = [
    "config",
    "database",
    "mapping",
    "indexes",
    "clock",
    "permissions",
    "storage",
    "broker",
    "channels",
    "cron",
    "runs",
];

/// The result of `taskmon check`.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct CheckReport {
    pub success: bool,
    pub checks: Vec<Check>,
    /// For pages.
    #[serde(skip)]
    pub started: Started,
}

impl CheckReport {
    pub fn new(checks: Vec<Check>, started: Started) -> Self {
        Self { success: true, checks, started }
    }

    /// Whether something keeps a job from its work.
    pub fn has_failed(&self) -> bool {
        self.checks.iter().any(|check| check.status == Status::Failed)
    }
}

/// Whether something starts the jobs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Started {
    Yes,
    /// None is installed, or written by hand.
    NoJob,
    /// cron is not running.
    NoCron,
    Unknown,
}

/// In rising order: the worst of several findings is the check's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    Skipped,
    Ok,
    Warning,
    Failed,
}

/// One thing that was looked at.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Finding {
    pub status: Status,
    pub message: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
}

impl Finding {
    pub fn new(status: Status, message: impl Into<String>) -> Self {
        Self { status, message: message.into(), hint: None }
    }

    pub fn ok(message: impl Into<String>) -> Self {
        Self::new(Status::Ok, message)
    }

    pub fn skipped(message: impl Into<String>) -> Self {
        Self::new(Status::Skipped, message)
    }

    pub fn warning(message: impl Into<String>) -> Self {
        Self::new(Status::Warning, message)
    }

    pub fn failed(message: impl Into<String>) -> Self {
        Self::new(Status::Failed, message)
    }

    pub fn of(failure: &Failure) -> Self {
        Self { hint: failure.hint.clone(), ..Self::failed(&failure.message) }
    }

    pub fn hint(self, hint: impl Into<String>) -> Self {
        Self { hint: Some(hint.into()), ..self }
    }

    /// The message and the hint as one sentence.
    pub fn sentence(&self) -> String {
        match &self.hint {
            Some(hint) => format!("{}: {hint}", self.message),
            None => self.message.clone(),
        }
    }
}

/// Everything about one subject.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Check {
    pub name: &'static str,
    pub status: Status,
    /// Those of the findings that decide the status.
    pub message: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
    /// Where there are several.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub findings: Vec<Finding>,
}

impl Check {
    /// `findings`: at least one.
    pub fn of(name: &'static str, mut findings: Vec<Finding>) -> Self {
        for finding in &mut findings {
            if finding.hint.is_none() && finding.status >= Status::Warning {
                finding.hint = Some(first_step(name).to_owned());
            }
        }
        // What keeps reports from their work often keeps cleanup, too.
        let mut seen = BTreeSet::new();
        findings.retain(|finding| seen.insert(finding.message.clone()));
        let status = findings.iter().map(|finding| finding.status).max();
        let status = status.unwrap_or(Status::Skipped);
        let decisive = || findings.iter().filter(|finding| finding.status == status);
        let messages: Vec<&str> = decisive().map(|finding| finding.message.as_str()).collect();
        let mut hints: Vec<&str> =
            decisive().filter_map(|finding| finding.hint.as_deref()).collect();
        hints.dedup();
        Self {
            name,
            status,
            message: messages.join("; "),
            hint: (!hints.is_empty()).then(|| hints.join("; ")),
            findings: match findings.len() {
                1 => Vec::new(),
                _ => findings,
            },
        }
    }
}

/// What helps where a finding does not know better.
fn first_step(name: &str) -> &'static str {
    match name {
        "config" => {
            "`taskmon config` prints what is in force, and under `sources` where it comes from"
        }
        "database" => "try the same URL as the same user with psql or sqlite3",
        "mapping" => {
            "hold [database.tasks] and [database.receipts] against the tables; `taskmon config` prints the mapping in force"
        }
        "indexes" => "have the database's owner create them",
        "clock" => "set the clock that is wrong, with NTP",
        "permissions" => {
            "the user that cron runs the jobs as needs the right; the owner can grant it"
        }
        "storage" => "look at the path as the user that cron runs the jobs as",
        "broker" => "does the broker run, and are broker.url and broker.queues right?",
        "channels" => "`taskmon alert --test --output text` tries each channel",
        "cron" => "`taskmon schedule status --output text` shows what is installed",
        _ => "`taskmon schedule logs --output text` shows the runs",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_worst_findings_speak_for_a_check() {
        let check = Check::of(
            "storage",
            vec![
                Finding::ok("fine"),
                Finding::warning("one").hint("do this"),
                Finding::skipped("nothing"),
                Finding::warning("two").hint("do this"),
            ],
        );
        assert_eq!((check.status, check.message.as_str()), (Status::Warning, "one; two"));
        assert_eq!(check.hint.as_deref(), Some("do this"));
        assert_eq!(check.findings.len(), 4);
    }
}
