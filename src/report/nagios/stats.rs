//! The line of `stats`.

use super::line::{Line, messages};
use super::state::State;
use crate::alert::worst_severity;
use crate::language::Language;
use crate::stats::DailyReport;
use crate::units::Thresholds;

/// Of several days the newest counts, as it does for alerts.
pub fn stats(
    report: &DailyReport,
    failure_rate: Thresholds,
    language: Language,
) -> (String, State) {
    let tasks = &report.task_statistics;
    let mut line = Line::default();
    line.add_texts(messages(&report.alerts));
    line.add_texts(report.errors.iter().map(|issue| issue.message.clone()));
    let (date, total, failed) = (report.date, tasks.total_tasks, tasks.failure_rate);
    line.add_texts([language.pick(
        format!("{date} 共 {total} 个任务，失败率 {failed}%"),
        format!("{date}: {total} tasks, {failed}% failed"),
    )]);
    line.add_count("total_tasks", total);
    for (state, count) in &tasks.status_breakdown {
        line.add_count(state, count);
    }
    line.add_percent("completion_rate", tasks.completion_rate, None);
    line.add_percent("failure_rate", failed, Some(failure_rate));
    let percentiles = tasks.processing_time_percentiles.as_ref();
    for (label, seconds) in [
        ("average_processing_time", tasks.average_processing_time),
        ("p50", percentiles.map(|of| of.p50)),
        ("p95", percentiles.map(|of| of.p95)),
        ("p99", percentiles.map(|of| of.p99)),
        ("average_wait_time", tasks.average_wait_time),
    ] {
        if let Some(seconds) = seconds {
            line.add_figure(label, seconds, "s", &[]);
        }
    }
    if let Some(waiting) = report.system_statistics.queue_statistics.total_pending {
        line.add_count("queue_pending", waiting);
    }
    line.finish("STATS", State::of(worst_severity(&report.alerts), &report.errors))
}
