//! The figures of a day's report.

use super::exposition::{OTHER, Sample, Text, count, group_label, share};
use super::run::{add_errors, add_firing};
use crate::mapping::State;
use crate::stats::{
    DailyReport, GroupFigures, ProcessingTimePercentiles, QueueStatistics, TaskStatistics,
};
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
    add_groups(text, report);
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
    let samples = percentiles.map(by_percentile).into_iter().flatten();
    text.family(
        "taskmon_stats_processing_percentile_seconds",
        "Percentiles of the processing time of the day's tasks.",
        samples.map(|(name, value)| (vec![("percentile", name)], Some(value))),
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

/// The day by queue, and by name, each with the rest as one.
fn add_groups(text: &mut Text, report: &DailyReport) {
    let lists = [
        ("queue", &report.queues, &report.other.queues),
        ("name", &report.names, &report.other.names),
    ];
    for (label, listed, other) in lists {
        let listed = listed.iter().flatten();
        let listed = listed.map(|group| (group_label(group.name.as_deref()), &group.figures));
        let groups: Vec<(&str, &GroupFigures)> =
            listed.chain(other.iter().map(|figures| (OTHER, figures))).collect();
        let mut add = |metric: &str, help: &str, value: &dyn Fn(&GroupFigures) -> Option<f64>| {
            let samples =
                groups.iter().map(|(name, figures)| (vec![(label, *name)], value(figures)));
            text.family(&format!("taskmon_stats_by_{label}_{metric}"), help, samples);
        };
        add("tasks", "Tasks of the day.", &|of| count(of.count));
        add("failed_tasks", "Failed tasks of the day.", &|of| count(of.failed));
        add(
            "oldest_open_seconds",
            "How long the oldest task of the day that is not final has been open.",
            &|of| of.oldest_open_seconds.and_then(count),
        );
        let percentiles: [(&str, &str, PercentilesOf); 2] = [
            (
                "wait_percentile_seconds",
                "Percentiles of the time that tasks waited before they started.",
                |of| of.waiting_time_percentiles.as_ref(),
            ),
            ("processing_percentile_seconds", "Percentiles of the processing time.", |of| {
                of.processing_time_percentiles.as_ref()
            }),
        ];
        for (metric, help, percentiles) in percentiles {
            let samples = groups.iter().flat_map(|(name, figures)| {
                let samples = percentiles(figures).map(by_percentile).into_iter().flatten();
                samples.map(|(percentile, value)| {
                    (vec![(label, *name), ("percentile", percentile)], Some(value))
                })
            });
            text.family(&format!("taskmon_stats_by_{label}_{metric}"), help, samples);
        }
    }
}

type PercentilesOf = fn(&GroupFigures) -> Option<&ProcessingTimePercentiles>;

fn by_percentile(of: &ProcessingTimePercentiles) -> [(&'static str, f64); 4] {
    [("50", of.p50), ("90", of.p90), ("95", of.p95), ("99", of.p99)]
}

/// One sample for each entry of a map that may be missing altogether.
fn by_label<'a>(label: &'a str, counts: Option<&'a Map<String, Value>>) -> Vec<Sample<'a>> {
    let entries = counts.into_iter().flatten();
    entries.map(|(key, count)| (vec![(label, key.as_str())], count.as_f64())).collect()
}
