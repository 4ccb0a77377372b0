//! A result as the one line of a monitoring plugin, as Nagios, Icinga, Naemon and Checkmk read it.
//!
//! `SERVICE STATE - text|'label'=value[unit];warn;crit;min;max …`, by the guidelines of the Monitoring Plugins project. A threshold `80` is the
//! range 0 to 80: what lies above it, not at it, is outside, which is how taskmon's own limits are meant.

use crate::alert::Alert;
use crate::language::Language;
use crate::live::LiveState;
use crate::notify::Summary;
use crate::outcome::{Failure, Issue, Severity};
use crate::stats::DailyReport;
use crate::system::disk::{DiskReport, Status};
use std::fmt::{Display, Write};

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

    fn name(self) -> &'static str {
        match self {
            State::Ok => "OK",
            State::Warning => "WARNING",
            State::Critical => "CRITICAL",
            State::Unknown => "UNKNOWN",
        }
    }

    /// By the worst alert. What could not be done leaves open whether all is well, and nothing that is known to be critical open.
    fn of(worst: Option<Severity>, errors: &[Issue]) -> Self {
        match worst {
            Some(Severity::Critical) => State::Critical,
            _ if !errors.is_empty() => State::Unknown,
            Some(Severity::Warning | Severity::Error) => State::Warning,
            None => State::Ok,
        }
    }
}

/// Percent above which a figure is worth a warning, and critical.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    pub warning: f64,
    pub critical: f64,
}

/// The limits of the live rules that are no percentages.
#[derive(Debug, Clone, Copy)]
pub struct LiveLimits {
    pub failure_rate: Limits,
    pub backlog_max: u64,
    pub backlog_after_seconds: u64,
    pub stuck_after_seconds: u64,
}

pub fn disk(report: &DiskReport, limits: Limits, language: Language) -> (String, State) {
    let status = report.disk_info.as_ref().map(|worst| worst.status);
    let by_status = match status {
        Some(Status::Critical) => Some(Severity::Critical),
        Some(Status::Warning) => Some(Severity::Warning),
        Some(Status::Normal) | None => None,
    };
    let mut line = Line::default();
    line.says(messages(&report.alerts));
    line.says(report.errors.iter().map(|issue| issue.message.clone()));
    line.says(report.disks.iter().map(|disk| {
        let free = language.pick("可用", "free");
        format!("{} {}% ({free} {} GiB)", disk.path, disk.usage_percent, disk.free_gb)
    }));
    for disk in &report.disks {
        let path = &disk.path;
        line.share(path, disk.usage_percent, Some(limits));
        line.measures(
            &format!("{path} used"),
            disk.bytes.used,
            "B",
            &[&"", &"", &0, &disk.bytes.total],
        );
        if let Some(inodes) = disk.inodes_usage_percent {
            line.share(&format!("{path} inodes"), inodes, Some(limits));
        }
    }
    line.ends("DISK", State::of(by_status.max(worst_severity(&report.alerts)), &report.errors))
}

/// Of several days the newest counts, as it does for alerts.
pub fn stats(report: &DailyReport, failure_rate: Limits, language: Language) -> (String, State) {
    let tasks = &report.task_statistics;
    let mut line = Line::default();
    line.says(messages(&report.alerts));
    line.says(report.errors.iter().map(|issue| issue.message.clone()));
    let (date, total, failed) = (report.date, tasks.total_tasks, tasks.failure_rate);
    line.says([language.pick(
        format!("{date} 共 {total} 个任务，失败率 {failed}%"),
        format!("{date}: {total} tasks, {failed}% failed"),
    )]);
    line.counts("total_tasks", total);
    for (state, count) in &tasks.status_breakdown {
        line.counts(state, count);
    }
    line.share("completion_rate", tasks.completion_rate, None);
    line.share("failure_rate", failed, Some(failure_rate));
    let percentiles = tasks.processing_time_percentiles.as_ref();
    for (label, seconds) in [
        ("average_processing_time", tasks.average_processing_time),
        ("p50", percentiles.map(|of| of.p50)),
        ("p95", percentiles.map(|of| of.p95)),
        ("p99", percentiles.map(|of| of.p99)),
        ("average_wait_time", tasks.average_wait_time),
    ] {
        if let Some(seconds) = seconds {
            line.measures(label, seconds, "s", &[]);
        }
    }
    if let Some(waiting) = report.system_statistics.queue_statistics.total_pending {
        line.counts("queue_pending", waiting);
    }
    line.ends("STATS", State::of(worst_severity(&report.alerts), &report.errors))
}

pub fn alert(
    summary: &Summary,
    live: Option<&LiveState>,
    limits: &LiveLimits,
    language: Language,
) -> (String, State) {
    let mut line = Line::default();
    line.says(messages(&summary.alerts));
    line.says(summary.errors.iter().map(|issue| issue.message.clone()));
    if summary.alerts.is_empty() {
        line.says([language.pick("没有告警", "no alert stands").to_owned()]);
    }
    line.counts("alerts", summary.alerts.len());
    if let Some(live) = live {
        line.live(live, limits);
    }
    line.ends("ALERT", State::of(worst_severity(&summary.alerts), &summary.errors))
}

/// A run that failed or was held up. `service`: what the line starts with.
pub fn failure(service: &str, failure: &Failure) -> (String, State) {
    let mut line = Line::default();
    line.says([failure.message.clone()]);
    line.says(failure.hint.clone());
    line.ends(&service.to_uppercase(), State::Unknown)
}

fn worst_severity(alerts: &[Alert]) -> Option<Severity> {
    alerts.iter().map(|alert| alert.severity).max()
}

fn messages(alerts: &[Alert]) -> impl Iterator<Item = String> {
    alerts.iter().map(|alert| alert.message.clone())
}

/// The most characters of the text. Nagios cuts a plugin's output at 4 KiB, which must not cost the figures.
const LONGEST_TEXT: usize = 600;

#[derive(Default)]
struct Line {
    text: Vec<String>,
    labels: Vec<String>,
    figures: String,
}

impl Line {
    fn says(&mut self, texts: impl IntoIterator<Item = String>) {
        self.text.extend(texts);
    }

    fn counts(&mut self, label: &str, count: impl Display) {
        self.measures(label, count, "", &[&"", &"", &0]);
    }

    fn share(&mut self, label: &str, percent: f64, limits: Option<Limits>) {
        match limits {
            Some(own) => {
                self.measures(label, percent, "%", &[&own.warning, &own.critical, &0, &100])
            }
            None => self.measures(label, percent, "%", &[&"", &"", &0, &100]),
        }
    }

    /// One figure with its warning, critical, least and largest value. The first of two with one label counts: a path that was asked for twice.
    fn measures(&mut self, label: &str, value: impl Display, unit: &str, bounds: &[&dyn Display]) {
        let label = quoted(label);
        if self.labels.contains(&label) {
            return;
        }
        // Writing to a `String` cannot fail.
        let _ = write!(self.figures, " {label}={value}{unit}");
        for bound in bounds {
            let _ = write!(self.figures, ";{bound}");
        }
        self.labels.push(label);
    }

    fn live(&mut self, live: &LiveState, limits: &LiveLimits) {
        let (backlog, stuck) = (&live.backlog, &live.stuck);
        self.measures("pending", backlog.pending, "", &[&limits.backlog_max, &"", &0]);
        self.measures("pending_overdue", backlog.older_than_limit, "", &[&0, &"", &0]);
        self.measures("stuck", stuck.tasks, "", &[&0, &"", &0]);
        self.counts("processing", stuck.processing);
        for (label, age, limit) in [
            ("oldest_pending", backlog.oldest_seconds, limits.backlog_after_seconds),
            ("oldest_processing", stuck.oldest_seconds, limits.stuck_after_seconds),
        ] {
            if let Some(seconds) = age {
                self.measures(label, seconds, "s", &[&limit, &"", &0]);
            }
        }
        self.counts("today_total", live.today.total);
        self.counts("today_failed", live.today.failed);
        self.share("today_failure_rate", live.today.failure_rate, Some(limits.failure_rate));
    }

    fn ends(self, service: &str, state: State) -> (String, State) {
        let text = plain(&self.text.join("; "));
        let figures = match self.figures.trim_start() {
            "" => String::new(),
            figures => format!("|{figures}"),
        };
        (format!("{service} {} - {text}{figures}\n", state.name()), state)
    }
}

/// A text on one line, without the bar that separates the figures from it.
fn plain(text: &str) -> String {
    let shown = |c: char| match c {
        '|' => '¦',
        c if c.is_control() => ' ',
        c => c,
    };
    let mut line: String = text.chars().take(LONGEST_TEXT).map(shown).collect();
    if text.chars().nth(LONGEST_TEXT).is_some() {
        line.push('…');
    }
    line
}

/// A label in quotes, a quote in it doubled. An equals sign ends a label for every reader, and a bar the text; neither has an escape.
fn quoted(label: &str) -> String {
    let shown = |c: char| match c {
        '=' | '|' => '_',
        c if c.is_control() => '_',
        c => c,
    };
    let label: String = label.chars().map(shown).collect();
    format!("'{}'", label.replace('\'', "''"))
}
