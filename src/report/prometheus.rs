//! A result in the text format of Prometheus, as the node exporter's textfile collector reads it.
//!
//! One node exporter reads the files of all jobs and refuses two samples with the same name and labels, so no figure stands in the file of
//! more than one job: each family has the job in its name or as its label. A family's help is the same text in every file, for the same reason.
//! Figures are in base units (bytes, seconds, shares from 0 to 1), gauges all of them: they are of one run. What is null in the result has no
//! sample, and no sample has a time stamp, which the node exporter would refuse.

use crate::alert::Alert;
use crate::cleanup::CleanupReport;
use crate::live::LiveState;
use crate::mapping::State;
use crate::notify::Summary;
use crate::outcome::Severity;
use crate::stats::{DailyReport, QueueStatistics, TaskStatistics};
use crate::system::disk::{Disk, DiskReport, Status};
use chrono::{DateTime, Utc};
use serde_json::{Map, Value};
use std::fmt::Write;

/// A run, whatever became of it.
pub struct Run<'a> {
    pub job: &'a str,
    pub ended: DateTime<Utc>,
    /// Seconds.
    pub duration: f64,
    /// Of the table of exit codes.
    pub exit_code: u8,
    /// What the result says under `success`.
    pub success: bool,
    /// The time of the last successful run before it, in seconds since 1970; `None`: there was none, or nobody knows.
    pub last_success: Option<f64>,
}

/// What a run found out.
#[derive(Clone, Copy)]
pub enum Figures<'a> {
    Cleanup(&'a CleanupReport),
    Stats {
        report: &'a DailyReport,
        /// When the day of the report began; `None`: the zone skipped it.
        day_start: Option<DateTime<Utc>>,
    },
    Disk(&'a DiskReport),
    Alert {
        summary: &'a Summary,
        live: Option<&'a LiveState>,
    },
    /// It failed.
    None,
}

const LAST_SUCCESS: &str = "taskmon_last_success_timestamp_seconds";

/// The file's text.
pub fn render(run: &Run, figures: Figures) -> String {
    let mut text = Text::default();
    add_run(&mut text, run);
    match figures {
        Figures::Cleanup(report) => add_cleanup(&mut text, run.job, report),
        Figures::Stats { report, day_start } => add_stats(&mut text, run.job, report, day_start),
        Figures::Disk(report) => add_disk(&mut text, run.job, report),
        Figures::Alert { summary, live } => add_alert(&mut text, run.job, summary, live),
        Figures::None => {}
    }
    text.0
}

/// When the job last succeeded by a file that an earlier run of it left, in seconds since 1970.
pub fn last_success(file: &str, job: &str) -> Option<f64> {
    let start = format!("{LAST_SUCCESS}{{job=\"{}\"}} ", escaped(job));
    let value = file.lines().find_map(|line| line.strip_prefix(&start))?;
    value.trim().parse().ok().filter(|time: &f64| time.is_finite())
}

fn add_run(text: &mut Text, run: &Run) {
    let job = || vec![("job", run.job)];
    let ended = run.ended.timestamp_millis() as f64 / 1000.0;
    text.one(
        "taskmon_last_run_timestamp_seconds",
        "When the last run of the job ended, in seconds since 1970.",
        job(),
        Some(ended),
    );
    text.one(
        "taskmon_last_run_success",
        "Whether the last run of the job did its work: 1 with the exit codes 0, 1 and 4, else 0.",
        job(),
        Some(f64::from(u8::from(run.success))),
    );
    text.one(
        "taskmon_last_run_duration_seconds",
        "How long the last run of the job took.",
        job(),
        Some(run.duration),
    );
    text.one(
        "taskmon_last_run_exit_code",
        "The exit code of the last run of the job; 75: another run held the lock.",
        job(),
        Some(run.exit_code.into()),
    );
    text.one(
        LAST_SUCCESS,
        "When the last run of the job that did its work ended, in seconds since 1970; 0: never.",
        job(),
        // A rule on its age has a sample to go by from the first run on.
        Some(if run.success { ended } else { run.last_success.unwrap_or(0.0) }),
    );
}

fn add_errors(text: &mut Text, job: &str, errors: u64) {
    text.one(
        "taskmon_last_run_errors",
        "How many things the last run of the job could not do: the entries of errors.",
        vec![("job", job)],
        Some(errors as f64),
    );
}

/// All severities, so that a rule on one finds a sample also on a quiet day.
fn add_firing(text: &mut Text, job: &str, alerts: &[Alert]) {
    let all = [Severity::Warning, Severity::Error, Severity::Critical];
    let samples = all.map(|severity| {
        let count = alerts.iter().filter(|alert| alert.severity == severity).count();
        (vec![("job", job), ("severity", severity.name())], Some(count as f64))
    });
    text.family(
        "taskmon_alerts_standing",
        "Alerts that stand by the last run of the job.",
        samples,
    );
}

fn add_cleanup(text: &mut Text, job: &str, report: &CleanupReport) {
    add_errors(text, job, report.errors_total);
    for (name, help, count) in [
        ("deleted_tasks", "Tasks that the last cleanup deleted.", report.tasks_cleaned),
        ("deleted_receipts", "Receipts that the last cleanup deleted.", report.receipts_cleaned),
        (
            "deleted_files",
            "Files other than logs that the last cleanup deleted.",
            report.files_cleaned,
        ),
        ("deleted_logs", "Log files that the last cleanup deleted.", report.logs_cleaned),
        ("freed_bytes", "Bytes of the files that the last cleanup deleted.", report.bytes_freed),
        (
            "kept_shared_files",
            "Files that the last cleanup kept because a row that stays names them too.",
            report.files_shared,
        ),
        (
            "removed_folders",
            "Folders that the last cleanup removed because it had emptied them.",
            report.folders_removed,
        ),
        (
            "stopped_early",
            "Whether the last cleanup ended before its work was done, by a signal or its time limit.",
            u64::from(report.stopped.is_some()),
        ),
    ] {
        text.one(&format!("taskmon_cleanup_{name}"), help, vec![], Some(count as f64));
    }
}

fn add_stats(text: &mut Text, job: &str, report: &DailyReport, day_start: Option<DateTime<Utc>>) {
    add_errors(text, job, report.errors.len() as u64);
    add_firing(text, job, &report.alerts);
    text.one(
        "taskmon_stats_day_start_timestamp_seconds",
        "When the day of the report began, in seconds since 1970.",
        vec![],
        day_start.map(|start| start.timestamp() as f64),
    );
    add_tasks(text, &report.task_statistics);
    let errors = &report.error_statistics;
    text.family(
        "taskmon_stats_failed_tasks_by_category",
        "Failed tasks of the day that have a message, by the category of the message.",
        counts("category", errors.error_categories.as_ref()),
    );
    text.family(
        "taskmon_stats_retried_tasks",
        "Tasks of the day by how often they were tried again.",
        counts("retries", errors.retry_statistics.as_ref()),
    );
    text.family(
        "taskmon_stats_hourly_tasks",
        "Tasks of the day by the hour of the local clock.",
        counts("hour", Some(&report.performance_statistics.hourly_distribution)),
    );
    text.one(
        "taskmon_stats_undated_tasks",
        "Tasks without a time, which belong to no day.",
        vec![],
        Some(report.undated_tasks as f64),
    );
    text.one(
        "taskmon_stats_anomalies",
        "Metrics of the day that lie far from the days before it.",
        vec![],
        Some(report.trend_analysis.anomalies.len() as f64),
    );
    add_queue(text, &report.system_statistics.queue_statistics);
}

fn add_tasks(text: &mut Text, tasks: &TaskStatistics) {
    let states = State::ALL.map(|state| {
        let count = tasks.status_breakdown.get(state.name()).and_then(Value::as_f64);
        (vec![("state", state.name())], Some(count.unwrap_or(0.0)))
    });
    text.family("taskmon_stats_tasks", "Tasks of the day by state.", states);
    let percentiles = tasks.processing_time_percentiles.as_ref();
    for (name, help, value) in [
        (
            "completion_ratio",
            "Completed tasks of the day as a share of all.",
            Some(share(tasks.completion_rate)),
        ),
        (
            "failure_ratio",
            "Failed tasks of the day as a share of all.",
            Some(share(tasks.failure_rate)),
        ),
        (
            "processing_average_seconds",
            "Mean processing time of the day's tasks.",
            tasks.average_processing_time,
        ),
        (
            "processing_max_seconds",
            "Longest processing time of the day's tasks.",
            percentiles.map(|of| of.max),
        ),
        (
            "wait_average_seconds",
            "Mean time from the creation to the start of the day's tasks.",
            tasks.average_wait_time,
        ),
    ] {
        text.one(&format!("taskmon_stats_{name}"), help, vec![], value);
    }
    let of = |name, value: f64| (vec![("percentile", name)], Some(value));
    // Not `quantile`, which is the label of summaries alone.
    let samples = percentiles
        .map(|own| [of("50", own.p50), of("90", own.p90), of("95", own.p95), of("99", own.p99)]);
    text.family(
        "taskmon_stats_processing_percentile_seconds",
        "Percentiles of the processing time of the day's tasks.",
        samples.into_iter().flatten(),
    );
}

fn add_queue(text: &mut Text, queue: &QueueStatistics) {
    let number = |count: Option<u64>| count.map(|count| count as f64);
    for (name, help, count) in [
        (
            "active_tasks",
            "Tasks that are being worked on, at the time of the report.",
            queue.active_tasks,
        ),
        (
            "scheduled_tasks",
            "Tasks that wait for their time, at the time of the report.",
            queue.scheduled_tasks,
        ),
        (
            "reserved_tasks",
            "Tasks that workers hold unacknowledged, at the time of the report.",
            queue.reserved_tasks,
        ),
        ("pending_tasks", "Tasks that wait, at the time of the report.", queue.total_pending),
    ] {
        text.one(&format!("taskmon_stats_queue_{name}"), help, vec![], number(count));
    }
    let queues = queue.queues.iter().flatten();
    text.family(
        "taskmon_stats_queue_waiting_tasks",
        "Tasks that wait by queue, at the time of the report.",
        queues.map(|(queue, count)| (vec![("queue", queue.as_str())], number(*count))),
    );
}

fn add_disk(text: &mut Text, job: &str, report: &DiskReport) {
    add_errors(text, job, report.errors.len() as u64);
    add_firing(text, job, &report.alerts);
    type Figure = fn(&Disk) -> Option<f64>;
    let figures: [(&str, &str, Figure); 6] = [
        ("size_bytes", "Size of the file system.", |disk| Some(disk.bytes.total as f64)),
        ("used_bytes", "Bytes of the file system that are in use.", |disk| {
            Some(disk.bytes.used as f64)
        }),
        (
            "available_bytes",
            "Bytes of the file system that a user without privileges can still write.",
            |disk| Some(disk.bytes.available as f64),
        ),
        (
            "used_ratio",
            "Used space as a share of used and available space, as df shows it.",
            |disk| Some(share(disk.usage_percent)),
        ),
        ("inodes_used_ratio", "Used inodes as a share of all.", |disk| {
            disk.inodes_usage_percent.map(share)
        }),
        ("status", "By the thresholds: 0 normal, 1 warning, 2 critical.", |disk| {
            Some(match disk.status {
                Status::Normal => 0.0,
                Status::Warning => 1.0,
                Status::Critical => 2.0,
            })
        }),
    ];
    for (name, help, figure) in figures {
        let samples = report.disks.iter().map(|disk| (place(disk), figure(disk)));
        text.family(&format!("taskmon_disk_{name}"), help, samples);
    }
}

fn place(disk: &Disk) -> Labels<'_> {
    let known = [
        ("path", Some(&disk.path)),
        ("mount", disk.mount.as_ref()),
        ("device", disk.device.as_ref()),
        ("fs_type", disk.fs_type.as_ref()),
    ];
    let known = known.into_iter();
    known.filter_map(|(name, value)| Some((name, value?.as_str()))).collect()
}

fn add_alert(text: &mut Text, job: &str, summary: &Summary, live: Option<&LiveState>) {
    add_errors(text, job, summary.errors.len() as u64);
    add_firing(text, job, &summary.alerts);
    for (name, help, count) in [
        (
            "sent",
            "Alerts that the last run of alert delivered to at least one channel.",
            summary.alerts_sent,
        ),
        (
            "suppressed",
            "Alerts that the last run of alert held back everywhere.",
            summary.alerts_suppressed,
        ),
        (
            "resolved",
            "Alerts of which the last run of alert told that they stand no longer.",
            summary.alerts_resolved,
        ),
    ] {
        text.one(&format!("taskmon_alert_{name}"), help, vec![], Some(count as f64));
    }
    let channels = summary.channels.iter().map(|own| {
        let failed = f64::from(u8::from(own.error.is_some()));
        (vec![("channel", own.channel.as_str())], Some(failed))
    });
    text.family(
        "taskmon_alert_channel_failed",
        "Whether the channel failed in the last run of alert.",
        channels,
    );
    if let Some(live) = live {
        add_live(text, live);
    }
}

fn add_live(text: &mut Text, live: &LiveState) {
    let whole = |count: u64| Some(count as f64);
    let maybe = |count: Option<u64>| count.map(|count| count as f64);
    let (backlog, stuck, today) = (&live.backlog, &live.stuck, &live.today);
    let missed = live.jobs.missed.as_ref().map(|jobs| jobs.len() as u64);
    for (name, help, value) in [
        ("pending_tasks", "Tasks that wait.", whole(backlog.pending)),
        (
            "overdue_pending_tasks",
            "Tasks that have waited longer than backlog_after_minutes.",
            whole(backlog.older_than_limit),
        ),
        (
            "oldest_pending_seconds",
            "How long the oldest pending task has waited.",
            maybe(backlog.oldest_seconds),
        ),
        (
            "finished_last_hour_tasks",
            "Tasks that were completed or failed in the last hour.",
            maybe(backlog.finished_last_hour),
        ),
        (
            "drain_seconds",
            "How long the pending tasks take at the rate of the last hour.",
            maybe(backlog.drain_seconds),
        ),
        ("processing_tasks", "Tasks that are processed.", whole(stuck.processing)),
        (
            "stuck_tasks",
            "Tasks that have been processed for longer than stuck_after_minutes.",
            whole(stuck.tasks),
        ),
        (
            "oldest_processing_seconds",
            "How long the oldest task that is processed has been.",
            maybe(stuck.oldest_seconds),
        ),
        ("today_tasks", "Tasks of today so far.", whole(today.total)),
        ("today_failed_tasks", "Failed tasks of today so far.", whole(today.failed)),
        (
            "today_failure_ratio",
            "Failed tasks of today so far as a share of all.",
            Some(share(today.failure_rate)),
        ),
        ("missed_jobs", "Scheduled jobs without a successful run when one was due.", maybe(missed)),
    ] {
        text.one(&format!("taskmon_live_{name}"), help, vec![], value);
    }
}

/// Percent of 2 decimals as a share of 4: dividing by 100 would make 3.6 % a 0.036000000000000004.
fn share(percent: f64) -> f64 {
    (percent * 100.0).round() / 10_000.0
}

type Labels<'a> = Vec<(&'a str, &'a str)>;
type Sample<'a> = (Labels<'a>, Option<f64>);

/// One sample for each entry of a map that may be missing altogether.
fn counts<'a>(label: &'a str, counts: Option<&'a Map<String, Value>>) -> Vec<Sample<'a>> {
    let entries = counts.into_iter().flatten();
    entries.map(|(key, count)| (vec![(label, key.as_str())], count.as_f64())).collect()
}

/// The text as it grows. Writing to a `String` cannot fail.
#[derive(Default)]
struct Text(String);

impl Text {
    fn one(&mut self, name: &str, help: &str, labels: Labels, value: Option<f64>) {
        self.family(name, help, [(labels, value)]);
    }

    /// All samples of a name, together as the format wants them; nothing where there is none. Of two with the same labels (a path that was
    /// asked for twice) the first stands: a reader refuses a file that has both.
    fn family<'a>(
        &mut self,
        name: &str,
        help: &str,
        samples: impl IntoIterator<Item = Sample<'a>>,
    ) {
        let mut seen: Vec<String> = Vec::new();
        for (labels, value) in samples {
            let labels = braced(&labels);
            let Some(value) = value.filter(|_| !seen.contains(&labels)) else {
                continue;
            };
            if seen.is_empty() {
                let _ = writeln!(self.0, "# HELP {name} {help}\n# TYPE {name} gauge");
            }
            let _ = writeln!(self.0, "{name}{labels} {value}");
            seen.push(labels);
        }
    }
}

fn braced(labels: &[(&str, &str)]) -> String {
    if labels.is_empty() {
        return String::new();
    }
    let pairs: Vec<String> =
        labels.iter().map(|(name, value)| format!("{name}=\"{}\"", escaped(value))).collect();
    format!("{{{}}}", pairs.join(","))
}

/// A label's value as the format writes it. Of the control characters it has an escape for the line feed alone; a carriage return would end the
/// line for some readers.
fn escaped(value: &str) -> String {
    let mut out = String::with_capacity(value.len());
    for c in value.chars() {
        match c {
            '\\' => out.push_str("\\\\"),
            '"' => out.push_str("\\\""),
            '\n' => out.push_str("\\n"),
            c if c.is_control() => out.push('\u{fffd}'),
            c => out.push(c),
        }
    }
    out
}
