//! What a run found out: the alerts that are firing, and of which it can be said that they are resolved.

use super::{JOB_FAILED, OF_DISKS};
use crate::alert::Alert;
use crate::language::Language;
use crate::outcome::Severity;
use serde::{Deserialize, Serialize};

/// Where an alert was found; only there can it be found to be resolved.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Origin {
    Stats,
    Disk,
    Live,
    /// A job that failed, or succeeded.
    Job,
    /// `--send`: never resolved.
    Send,
    /// `--test`: not remembered.
    Test,
}

/// What a run found out.
#[derive(Debug, Clone, PartialEq)]
pub struct Evaluation {
    pub origin: Origin,
    pub alerts: Vec<Alert>,
    pub judged: Judged,
}

/// Which alerts are resolved if they are not among those found.
#[derive(Debug, Clone, PartialEq)]
pub enum Judged {
    /// None.
    Nothing,
    /// That this job failed.
    Job(String),
    /// All of the origin but these; of disks only those of the paths that were measured.
    AllBut { unknown: Vec<Unknown>, disks: Vec<String> },
}

/// Alerts of a type that were not judged.
#[derive(Debug, Clone, PartialEq)]
pub struct Unknown {
    pub kind: String,
    pub of: Which,
}

#[derive(Debug, Clone, PartialEq)]
pub enum Which {
    Every,
    Subject(Option<String>),
}

impl Evaluation {
    /// Whether an alert of its origin that is not among those found is resolved.
    pub fn judges(&self, kind: &str, subject: Option<&str>) -> bool {
        match &self.judged {
            Judged::Nothing => false,
            Judged::Job(job) => kind == JOB_FAILED && subject == Some(job),
            Judged::AllBut { unknown, disks } => {
                let is_disk = OF_DISKS.contains(&kind);
                let is_measured = |path| disks.iter().any(|disk| disk == path);
                let is_unknown = unknown.iter().any(|unknown| {
                    unknown.kind == kind
                        && match &unknown.of {
                            Which::Every => true,
                            Which::Subject(unknown) => unknown.as_deref() == subject,
                        }
                });
                !is_unknown && (!is_disk || subject.is_some_and(is_measured))
            }
        }
    }

    /// Adds the alert that a rule could not be evaluated.
    pub fn add_check_error(&mut self, rule: &str, why: &str, language: Language) {
        self.alerts.push(check_error(rule, why, language));
    }

    /// A job that failed. Its alert is firing until the job succeeds; one without a name is never resolved.
    pub fn job_failed(job: Option<&str>, message: &str, language: Language) -> Self {
        let name = job.unwrap_or("taskmon");
        let alert = Alert {
            kind: JOB_FAILED.to_owned(),
            severity: Severity::Error,
            message: language.pick(
                format!("作业 {name} 运行失败: {message}"),
                format!("The job {name} failed: {message}"),
            ),
            subject: job.map(str::to_owned),
            value: None,
            threshold: None,
        };
        Self { origin: Origin::Job, alerts: vec![alert], judged: Judged::Nothing }
    }

    /// A job that succeeded: that it failed is resolved.
    pub fn job_succeeded(job: &str) -> Self {
        Self { origin: Origin::Job, alerts: Vec::new(), judged: Judged::Job(job.to_owned()) }
    }

    /// `--send`
    pub fn given(alerts: Vec<Alert>) -> Self {
        Self { origin: Origin::Send, alerts, judged: Judged::Nothing }
    }

    /// `--test`: one alert that every channel gets, whatever its `min_severity`.
    pub fn test(language: Language) -> Self {
        let alert = Alert {
            kind: "test".to_owned(),
            severity: Severity::Warning,
            message: language
                .pick(
                    "这是 taskmon 的测试告警，无需处理",
                    "This is a test alert of taskmon; nothing is wrong",
                )
                .to_owned(),
            subject: None,
            value: None,
            threshold: None,
        };
        Self { origin: Origin::Test, alerts: vec![alert], judged: Judged::Nothing }
    }
}

/// The alert that a rule could not be evaluated.
pub fn check_error(rule: &str, why: &str, language: Language) -> Alert {
    Alert {
        kind: super::CHECK_ERROR.to_owned(),
        severity: Severity::Error,
        message: language.pick(
            format!("告警规则 {rule} 无法评估: {why}"),
            format!("The rule {rule} cannot be evaluated: {why}"),
        ),
        subject: Some(rule.to_owned()),
        value: None,
        threshold: None,
    }
}
