//! Days as CSV (RFC 4180, UTF-8): a header, and a row for each day.

use crate::stats::DailyReport;
use anyhow::{Context, Result};
use chrono::NaiveDate;
use serde::Serialize;

/// A day's figures; what the table cannot say is empty.
#[derive(Serialize)]
struct Row {
    date: NaiveDate,
    total: u64,
    completed: u64,
    failed: u64,
    pending: u64,
    processing: u64,
    cancelled: u64,
    other: u64,
    completion_rate: f64,
    failure_rate: f64,
    average_processing_time: Option<f64>,
    processing_time_p50: Option<f64>,
    processing_time_p90: Option<f64>,
    processing_time_p95: Option<f64>,
    processing_time_p99: Option<f64>,
    processing_time_max: Option<f64>,
    average_wait_time: Option<f64>,
    peak_hour: Option<u8>,
    trend_percent: f64,
    week_percent: Option<f64>,
    alerts: usize,
}

impl From<&DailyReport> for Row {
    fn from(report: &DailyReport) -> Self {
        let tasks = &report.task_statistics;
        let state = |name: &str| tasks.status_breakdown.get(name).and_then(|count| count.as_u64());
        let count = |name: &str| state(name).unwrap_or(0);
        let shares = tasks.processing_time_percentiles.as_ref();
        Self {
            date: report.date,
            total: tasks.total_tasks,
            completed: count("completed"),
            failed: count("failed"),
            pending: count("pending"),
            processing: count("processing"),
            cancelled: count("cancelled"),
            other: count("other"),
            completion_rate: tasks.completion_rate,
            failure_rate: tasks.failure_rate,
            average_processing_time: tasks.average_processing_time,
            processing_time_p50: shares.map(|shares| shares.p50),
            processing_time_p90: shares.map(|shares| shares.p90),
            processing_time_p95: shares.map(|shares| shares.p95),
            processing_time_p99: shares.map(|shares| shares.p99),
            processing_time_max: shares.map(|shares| shares.max),
            average_wait_time: tasks.average_wait_time,
            peak_hour: report.performance_statistics.peak_hour,
            trend_percent: report.trend_analysis.trend_percent,
            week_percent: report.trend_analysis.week_percent,
            alerts: report.alerts.len(),
        }
    }
}

/// The reports, as they are given.
pub fn stats(reports: &[DailyReport]) -> Result<String> {
    let unwritable = "the report cannot be written as CSV";
    let mut table = csv::Writer::from_writer(Vec::new());
    for report in reports {
        table.serialize(Row::from(report)).context(unwritable)?;
    }
    let bytes = table.into_inner().context(unwritable)?;
    String::from_utf8(bytes).context(unwritable)
}
