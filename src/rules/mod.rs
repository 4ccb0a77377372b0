//! Which alerts are firing: the rules, evaluated against a result.
//!
//! Every rule reads the JSON that `stats` and `disk` print, or the document of the live state ([`LiveState`]), so that it makes no
//! difference whether a result comes from this run or from a file. A rule that cannot be evaluated is itself an alert, and never
//! resolves one.
//!
//! To add a rule, write a function in the file of its subject and a row of the table `BUILT_IN`.

mod custom;
mod disks;
mod document;
mod evaluation;
mod input;
mod jobs;
mod open_tasks;
mod settings;
mod tasks;

pub use custom::{CustomRule, List, Op};
pub use evaluation::{Evaluation, Origin, Verdict};
pub use input::{Document, given, message, read};
pub use settings::Settings;

use crate::alert::Alert;
use crate::language::Language;
use crate::live::LiveState;
use anyhow::Context as _;
use document::{Look, Misfit};
use evaluation::{Alerts, Judged, Watched, Which};
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// A rule that could not be evaluated.
pub const CHECK_ERROR: &str = "alert_check_error";
/// A job that failed.
pub const JOB_FAILED: &str = "job_failed";
pub const JOB_MISSED: &str = "job_missed";
pub const JOB_SKIPPED: &str = "job_skipped";
pub const JOB_DURATION: &str = "job_duration";
const DISK_CRITICAL: &str = "disk_space_critical";
const DISK_WARNING: &str = "disk_space_warning";
const DISK_NOT_MOUNTED: &str = "disk_not_mounted";
const DISK_UNMEASURED: &str = "disk_unmeasured";
const DISK_READ_ONLY: &str = "disk_read_only";
/// A report that could not be saved.
pub const REPORT_NOT_SAVED: &str = "report_not_saved";
/// Those about a disk's path.
const OF_DISKS: [&str; 5] =
    [DISK_CRITICAL, DISK_WARNING, DISK_NOT_MOUNTED, DISK_UNMEASURED, DISK_READ_ONLY];

/// The result that a rule looks at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum On {
    Stats,
    Disk,
    Live,
}

impl From<On> for Origin {
    fn from(on: On) -> Self {
        match on {
            On::Stats => Origin::Stats,
            On::Disk => Origin::Disk,
            On::Live => Origin::Live,
        }
    }
}

/// What the rules go by in a run.
#[derive(Debug, Clone, Copy)]
pub struct Context<'a> {
    pub settings: &'a Settings,
    pub language: Language,
}

/// Evaluates the rules that look at a document.
pub fn evaluate(document: &Document, context: &Context) -> Evaluation {
    match document {
        Document::Stats(report) => evaluate_on(On::Stats, report, context),
        Document::Disk(report) => evaluate_on(On::Disk, report, context),
        Document::Failed { job, message } => {
            Evaluation::job_failed(job.as_deref(), message, context.language)
        }
    }
}

/// The same of a result that says what became of it: whether its report was saved.
pub fn evaluate_finished(document: &Document, context: &Context) -> Evaluation {
    let mut evaluation = evaluate(document, context);
    if let Document::Stats(report) = document {
        let errors = report.get("errors").and_then(Value::as_array).into_iter().flatten();
        let text = |error: &Value, key: &str| Some(error.get(key)?.as_str()?.to_owned());
        let mut reasons = errors
            .filter(|error| text(error, "kind").as_deref() == Some(REPORT_NOT_SAVED))
            .filter_map(|error| text(error, "message"));
        if let Some(why) = reasons.next() {
            evaluation.add_not_saved(&why, context.language);
        } else if report.get("report_path").is_none_or(Value::is_null) {
            // It was not to be saved.
            evaluation.leave_open(REPORT_NOT_SAVED);
        }
    }
    evaluation
}

/// Evaluates the rules that look at results of this kind.
pub(super) fn evaluate_on(on: On, document: &Value, context: &Context) -> Evaluation {
    let mut findings = Findings::default();
    let look = Look { document, context };
    for rule in BUILT_IN.iter().filter(|rule| rule.on == on) {
        rule.evaluate(&look, &mut findings);
    }
    for rule in context.settings.custom.iter().filter(|rule| rule.on == on) {
        rule.evaluate(&look, &mut findings);
    }
    for alert in &mut findings.alerts {
        alert.url = link(alert, on, document, context.settings);
    }
    Evaluation {
        origin: on.into(),
        alerts: findings.alerts,
        judged: Judged::AllBut {
            unknown: findings.unknown,
            wavering: findings.wavering,
            disks: findings.disks,
            watched: Watched::Others,
        },
    }
}

/// Where to read more of an alert: what to do about it, else the report of the day.
fn link(alert: &Alert, on: On, document: &Value, settings: &Settings) -> Option<String> {
    let report = || {
        let url = settings.report_url.as_ref().filter(|_| on == On::Stats)?;
        Some(url.replace("{date}", document.get("date")?.as_str()?))
    };
    settings.runbook(&alert.kind).map(str::to_owned).or_else(report)
}

/// Evaluates the rules that look at the live state.
///
/// # Errors
/// None that a state can cause.
pub fn evaluate_live(state: &LiveState, context: &Context) -> anyhow::Result<Evaluation> {
    let document = serde_json::to_value(state).context("the live state is no JSON")?;
    Ok(evaluate_on(On::Live, &document, context))
}

/// A rule of taskmon's own.
struct BuiltIn {
    /// The subject of the alert that says that it cannot be evaluated.
    name: &'static str,
    on: On,
    /// The types of its alerts; the higher silences the lower, so the highest comes first.
    kinds: &'static [&'static str],
    evaluate: fn(&Look, &mut Found) -> Result<(), Misfit>,
}

/// Every rule but those of the configuration.
const BUILT_IN: &[BuiltIn] = &[
    BuiltIn {
        name: "failure_rate",
        on: On::Stats,
        kinds: &["critical_failure_rate", "high_failure_rate"],
        evaluate: |look, found| {
            tasks::failure_rate(look, "task_statistics.failure_rate", None, found)
        },
    },
    BuiltIn { name: "total_tasks", on: On::Stats, kinds: &["no_tasks"], evaluate: tasks::no_tasks },
    BuiltIn {
        name: "error_categories",
        on: On::Stats,
        kinds: &["concentrated_errors"],
        evaluate: tasks::concentrated_errors,
    },
    BuiltIn {
        name: "disk",
        on: On::Disk,
        kinds: &[DISK_CRITICAL, DISK_WARNING],
        evaluate: |look, found| disks::disks(look, "disks", found),
    },
    BuiltIn {
        name: "disk_errors",
        on: On::Disk,
        kinds: &[DISK_NOT_MOUNTED, DISK_UNMEASURED],
        evaluate: |look, found| disks::unmeasured(look, "errors", found),
    },
    BuiltIn {
        name: "disk_read_only",
        on: On::Disk,
        kinds: &[DISK_READ_ONLY],
        evaluate: |look, found| disks::read_only(look, "disks", found),
    },
    BuiltIn { name: "stuck", on: On::Live, kinds: &["stuck_tasks"], evaluate: open_tasks::stuck },
    BuiltIn { name: "backlog", on: On::Live, kinds: &["backlog"], evaluate: open_tasks::backlog },
    BuiltIn {
        name: "today",
        on: On::Live,
        kinds: &["critical_failure_rate", "high_failure_rate"],
        evaluate: tasks::today,
    },
    BuiltIn {
        name: "disk",
        on: On::Live,
        kinds: &[DISK_CRITICAL, DISK_WARNING],
        evaluate: |look, found| disks::disks(look, "disk.disks", found),
    },
    BuiltIn {
        name: "disk_errors",
        on: On::Live,
        kinds: &[DISK_NOT_MOUNTED, DISK_UNMEASURED],
        evaluate: |look, found| disks::unmeasured(look, "disk.unmeasured", found),
    },
    BuiltIn {
        name: "disk_read_only",
        on: On::Live,
        kinds: &[DISK_READ_ONLY],
        evaluate: |look, found| disks::read_only(look, "disk.disks", found),
    },
    BuiltIn { name: "jobs", on: On::Live, kinds: &[JOB_MISSED], evaluate: jobs::missed },
    BuiltIn { name: "skipped", on: On::Live, kinds: &[JOB_SKIPPED], evaluate: jobs::skipped },
    BuiltIn { name: "durations", on: On::Live, kinds: &[JOB_DURATION], evaluate: jobs::durations },
];

/// What all rules found.
#[derive(Default)]
struct Findings {
    alerts: Vec<Alert>,
    unknown: Vec<Alerts>,
    wavering: Vec<Alerts>,
    disks: Vec<String>,
}

/// What one rule found.
#[derive(Default)]
struct Found {
    alerts: Vec<Alert>,
    /// Something that it looked at is null: the table has no column for it.
    is_unknown: bool,
    misfits: Vec<Misfit>,
    wavering: Vec<Alerts>,
    disks: Vec<String>,
}

impl Found {
    /// That alert is not firing, but near it.
    fn waver(&mut self, kind: &str, subject: Option<&str>) {
        let of = Which::Subject(subject.map(str::to_owned));
        self.wavering.push(Alerts { kind: kind.to_owned(), of });
    }
}

/// The types of alerts that silence this one if they are firing about the same.
pub fn higher(kind: &str) -> impl Iterator<Item = &'static str> {
    let rows = BUILT_IN.iter().map(|rule| rule.kinds);
    let above = rows.filter_map(move |kinds| {
        let place = kinds.iter().position(|of_rule| *of_rule == kind)?;
        kinds.get(..place)
    });
    above.flatten().copied()
}

/// Whether alerts of a type are about the host on which they are found: its disks and its jobs.
pub fn is_of_host(kind: &str) -> bool {
    OF_DISKS.contains(&kind) || [JOB_FAILED, JOB_MISSED, JOB_SKIPPED, JOB_DURATION].contains(&kind)
}

/// Whether there are alerts of a type among those of taskmon's own rules.
fn is_built_in(kind: &str) -> bool {
    let of_jobs = [JOB_FAILED, REPORT_NOT_SAVED, CHECK_ERROR];
    of_jobs.contains(&kind) || BUILT_IN.iter().any(|rule| rule.kinds.contains(&kind))
}

impl BuiltIn {
    fn evaluate(&self, look: &Look, findings: &mut Findings) {
        let mut found = Found::default();
        if let Err(misfit) = (self.evaluate)(look, &mut found) {
            found.misfits.push(misfit);
            found.is_unknown = true;
        }
        for alert in &found.alerts {
            let lower = self.kinds.iter().skip_while(|kind| alert.kind != **kind);
            findings.unknown.extend(lower.skip(1).map(|kind| Alerts {
                kind: (*kind).to_owned(),
                of: Which::Subject(alert.subject.clone()),
            }));
        }
        if found.is_unknown {
            findings.unknown.extend(
                self.kinds.iter().map(|kind| Alerts { kind: (*kind).to_owned(), of: Which::Every }),
            );
        }
        findings.alerts.append(&mut found.alerts);
        findings.wavering.append(&mut found.wavering);
        findings.disks.append(&mut found.disks);
        findings.alerts.extend(look.check_error(self.name, &found.misfits));
    }
}

#[cfg(test)]
mod live_tests;
#[cfg(test)]
pub(super) mod tests;
