//! What a run found out: the alerts that are firing, and of which it can be said that they are resolved.

use super::{JOB_FAILED, OF_DISKS, REPORT_NOT_SAVED};
use crate::alert::Alert;
use crate::language::Language;
use crate::outcome::Severity;
use serde::{Deserialize, Serialize};
use std::path::Path;

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
    /// All of the origin but those that are not known; of disks only those of the paths that were measured, and of those that are not watched.
    AllBut { unknown: Vec<Alerts>, wavering: Vec<Alerts>, disks: Vec<String>, watched: Watched },
}

/// Which paths the configuration has.
#[derive(Debug, Clone, PartialEq)]
pub enum Watched {
    /// These.
    Only(Vec<String>),
    /// Others as well.
    Others,
}

/// What an evaluation says of an alert that it did not find.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    NotJudged,
    /// It is not firing, and may be again at any moment: its value is near the threshold, or goes up and down as counts do.
    Wavering,
    Well,
    /// Nobody will look at what it is about any more.
    NotWatched,
}

/// Alerts of a type.
#[derive(Debug, Clone, PartialEq)]
pub struct Alerts {
    pub kind: String,
    pub of: Which,
}

impl Alerts {
    fn include(&self, kind: &str, subject: Option<&str>) -> bool {
        self.kind == kind
            && match &self.of {
                Which::Every => true,
                Which::Subject(of) => of.as_deref() == subject,
            }
    }
}

#[derive(Debug, Clone, PartialEq)]
pub enum Which {
    Every,
    Subject(Option<String>),
}

impl Evaluation {
    /// What it says of an alert of its origin that is not among those found.
    pub fn verdict(&self, kind: &str, subject: Option<&str>) -> Verdict {
        match &self.judged {
            Judged::Job(job) if kind == JOB_FAILED && subject == Some(job) => Verdict::Well,
            Judged::Nothing | Judged::Job(_) => Verdict::NotJudged,
            Judged::AllBut { unknown, wavering, disks, watched } => {
                let is_in = |paths: &[String]| paths.iter().any(|path| Some(&**path) == subject);
                let is_among =
                    |alerts: &[Alerts]| alerts.iter().any(|some| some.include(kind, subject));
                let is_of_disk = OF_DISKS.contains(&kind);
                if is_of_disk && matches!(watched, Watched::Only(paths) if !is_in(paths)) {
                    Verdict::NotWatched
                } else if (is_of_disk && !is_in(disks)) || is_among(unknown) {
                    Verdict::NotJudged
                } else if is_among(wavering) {
                    Verdict::Wavering
                } else {
                    Verdict::Well
                }
            }
        }
    }

    /// The same where these are all the paths of disks that are looked at.
    pub fn watching<'p>(mut self, paths: impl IntoIterator<Item = &'p Path>) -> Self {
        if let Judged::AllBut { watched, .. } = &mut self.judged {
            let paths = paths.into_iter().map(|path| path.to_string_lossy().into_owned());
            *watched = Watched::Only(paths.collect());
        }
        self
    }

    /// Whether it found the alert.
    pub fn finds(&self, kind: &str, subject: Option<&str>) -> bool {
        let mut alerts = self.alerts.iter();
        alerts.any(|alert| alert.kind == kind && alert.subject.as_deref() == subject)
    }

    /// Adds the alert that a rule could not be evaluated.
    pub fn add_check_error(&mut self, rule: &str, why: &str, language: Language) {
        self.alerts.push(check_error(rule, why, language));
    }

    /// Says that a report could not be saved, which is resolved by the next one that can be.
    pub fn add_not_saved(&mut self, why: &str, language: Language) {
        self.alerts.push(Alert {
            kind: REPORT_NOT_SAVED.to_owned(),
            severity: Severity::Error,
            message: language
                .pick(format!("报告未能保存: {why}"), format!("The report was not saved: {why}")),
            subject: None,
            value: None,
            threshold: None,
            count: None,
            tasks: Vec::new(),
            url: None,
        });
    }

    /// Nothing is said of alerts of this type.
    pub fn leave_open(&mut self, kind: &str) {
        if let Judged::AllBut { unknown, .. } = &mut self.judged {
            unknown.push(Alerts { kind: kind.to_owned(), of: Which::Every });
        }
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
            count: None,
            tasks: Vec::new(),
            url: None,
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
            severity: Severity::Info,
            message: language
                .pick(
                    "这是 taskmon 的测试告警，无需处理",
                    "This is a test alert of taskmon; nothing is wrong",
                )
                .to_owned(),
            subject: None,
            value: None,
            threshold: None,
            count: None,
            tasks: Vec::new(),
            url: None,
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
        count: None,
        tasks: Vec::new(),
        url: None,
    }
}
