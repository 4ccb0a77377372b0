//! The figures of a day's report.

use super::exposition::{Sample, Text, count, share};
use super::run::{add_errors, add_firing};
use crate::mapping::State;
use crate::stats::{DailyReport, QueueStatistics, TaskStatistics};
use chrono::{DateTime, Utc};
use serde_json::{Map, Value};

pub fn add(text: &mut Text, job: &str, report: &DailyReport, day_start: Option<DateTime<Utc>>) {
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
        by_label("category", errors.error_categories.as_ref()),
    );
    text.family(
        "taskmon_stats_retried_tasks",
        "Tasks of the day by how often they were tried again.",
        by_label("retries", errors.retry_statistics.as_ref()),
    );
    text.family(
        "taskmon_stats_hourly_tasks",
        "Tasks of the day by the hour of the local clock.",
        by_label("hour", Some(&report.performance_statistics.hourly_distribution)),
    );
    text.one(
        "taskmon_stats_undated_tasks",
        "Tasks without a time, which belong to no day.",
        vec![],
        count(report.undated_tasks),
    );
    text.one(
        "taskmon_stats_anomalies",
        "Metrics of the day that lie far from the days before it.",
        vec![],
        count(report.trend_analysis.anomalies.len() as u64),
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
    text.figures(
        "taskmon_stats",
        &[
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
                "Mean time that the day's tasks waited before they started.",
                tasks.average_wait_time,
            ),
        ],
    );
    // Not `quantile`, which is the label of summaries alone.
    let sample = |name, value: f64| (vec![("percentile", name)], Some(value));
    let samples = percentiles.map(|of| {
        [sample("50", of.p50), sample("90", of.p90), sample("95", of.p95), sample("99", of.p99)]
    });
    text.family(
        "taskmon_stats_processing_percentile_seconds",
        "Percentiles of the processing time of the day's tasks.",
        samples.into_iter().flatten(),
    );
}

fn add_queue(text: &mut Text, queue: &QueueStatistics) {
    text.figures(
        "taskmon_stats_queue",
        &[
            (
                "active_tasks",
                "Tasks that are being worked on, at the time of the report.",
                queue.active_tasks.and_then(count),
            ),
            (
                "scheduled_tasks",
                "Tasks that wait for their time, at the time of the report.",
                queue.scheduled_tasks.and_then(count),
            ),
            (
                "reserved_tasks",
                "Tasks that workers hold unacknowledged, at the time of the report.",
                queue.reserved_tasks.and_then(count),
            ),
            (
                "pending_tasks",
                "Tasks that wait, at the time of the report.",
                queue.total_pending.and_then(count),
            ),
        ],
    );
    let queues = queue.queues.iter().flatten();
    text.family(
        "taskmon_stats_queue_waiting_tasks",
        "Tasks that wait by queue, at the time of the report.",
        queues.map(|(queue, waiting)| (vec![("queue", queue.as_str())], waiting.and_then(count))),
    );
}

/// One sample for each entry of a map that may be missing altogether.
fn by_label<'a>(label: &'a str, counts: Option<&'a Map<String, Value>>) -> Vec<Sample<'a>> {
    let entries = counts.into_iter().flatten();
    entries.map(|(key, count)| (vec![(label, key.as_str())], count.as_f64())).collect()
}
