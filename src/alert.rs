//! Alerts, and the notification in which a channel gets them.

use crate::language::Language;
use crate::outcome::Severity;
use chrono::{DateTime, FixedOffset};
use serde::{Deserialize, Serialize};
use serde_json::Number;

/// Something that is wrong and that somebody should know of.
///
/// Its type and its subject alone identify it, never its message or value.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Alert {
    #[serde(rename = "type")]
    pub kind: String,
    pub severity: Severity,
    /// One sentence, in the configured language.
    pub message: String,
    /// What it is about, where one type can be firing more than once: a disk's path, a category, a job.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subject: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value: Option<Number>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub threshold: Option<Number>,
    /// How many things it is about, where `value` is the age of the oldest, or may be.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub count: Option<u64>,
    /// The first of the failed tasks that it is about.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tasks: Vec<FailedTask>,
    /// Where to read more: a runbook, or the report.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
}

/// A failed task, as an alert names it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct FailedTask {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub task: Option<String>,
    /// The beginning of its error message, on one line.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

pub fn worst_severity(alerts: &[Alert]) -> Option<Severity> {
    alerts.iter().map(|alert| alert.severity).max()
}

/// Whether an alert is firing or resolved.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    Firing,
    Resolved,
}

/// An alert as a channel gets it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct AlertUpdate {
    #[serde(flatten)]
    pub alert: Alert,
    pub status: Status,
}

/// What a channel is sent in one message.
#[derive(Debug, Clone, PartialEq)]
pub struct Notification {
    /// What the system that is watched is called: `name` of the configuration, else the database's name.
    pub name: Option<String>,
    /// The host that found it.
    pub host: String,
    /// When it was found, in the configured zone.
    pub time: DateTime<FixedOffset>,
    pub language: Language,
    /// Never empty.
    pub alerts: Vec<AlertUpdate>,
}
