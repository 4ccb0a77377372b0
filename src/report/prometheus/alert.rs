//! The figures of `alert`, and of the live state.

use super::exposition::{OTHER, Text, count, group_label, share};
use super::run::{add_errors, add_firing};
use crate::live::{LiveState, OpenFigures};
use crate::notify::Summary;

pub fn add(text: &mut Text, job: &str, summary: &Summary, live: Option<&LiveState>) {
    add_errors(text, job, summary.errors.len() as u64);
    add_firing(text, job, &summary.alerts);
    text.figures(
        "taskmon_alert",
        &[
            (
                "sent",
                "Alerts that the last run of alert delivered to at least one channel.",
                count(summary.alerts_sent as u64),
            ),
            (
                "suppressed",
                "Alerts that the last run of alert held back everywhere.",
                count(summary.alerts_suppressed as u64),
            ),
            (
                "resolved",
                "Alerts that the last run of alert announced as resolved.",
                count(summary.alerts_resolved as u64),
            ),
        ],
    );
    let channels = summary.channels.iter().map(|state| {
        let failed = count(state.error.is_some().into());
        (vec![("channel", state.channel.as_str())], failed)
    });
    text.family(
        "taskmon_alert_channel_failed",
        "Whether the channel failed in the last run of alert.",
        channels,
    );
    if let Some(live) = live {
        add_live(text, live);
        add_groups(text, live);
    }
}

fn add_live(text: &mut Text, live: &LiveState) {
    let (backlog, stuck, today) = (&live.backlog, &live.stuck, &live.today);
    let missed = live.jobs.missed.as_ref().map(|jobs| jobs.len() as u64);
    text.figures(
        "taskmon_live",
        &[
            ("pending_tasks", "Pending tasks that are due.", count(backlog.pending)),
            (
                "scheduled_tasks",
                "Pending tasks that are not due yet.",
                backlog.scheduled_tasks.and_then(count),
            ),
            (
                "overdue_pending_tasks",
                "Tasks that have waited longer than backlog_after_minutes.",
                count(backlog.older_than_limit),
            ),
            (
                "oldest_pending_seconds",
                "How long the oldest pending task has waited.",
                backlog.oldest_seconds.and_then(count),
            ),
            (
                "finished_last_hour_tasks",
                "Tasks that were completed or failed in the last hour.",
                backlog.finished_last_hour.and_then(count),
            ),
            (
                "drain_seconds",
                "How long the pending tasks take at the rate of the last hour.",
                backlog.drain_seconds.and_then(count),
            ),
            ("processing_tasks", "Tasks in processing.", count(stuck.processing)),
            (
                "stuck_tasks",
                "Tasks in processing for longer than stuck_after_minutes.",
                count(stuck.tasks),
            ),
            (
                "oldest_processing_seconds",
                "How long the oldest task in processing has been processed.",
                stuck.oldest_seconds.and_then(count),
            ),
            ("today_tasks", "Tasks of today so far.", count(today.total)),
            ("today_failed_tasks", "Failed tasks of today so far.", count(today.failed)),
            (
                "today_failure_ratio",
                "Failed tasks of today so far as a share of all.",
                Some(share(today.failure_rate)),
            ),
            (
                "missed_jobs",
                "Scheduled jobs without a successful run when one was due.",
                missed.and_then(count),
            ),
        ],
    );
}

type Figure = fn(&OpenFigures) -> Option<f64>;

/// Open tasks by queue, and by name, each with the rest as one.
fn add_groups(text: &mut Text, live: &LiveState) {
    let lists =
        [("queue", &live.queues, &live.other.queues), ("name", &live.names, &live.other.names)];
    for (label, listed, other) in lists {
        let listed = listed.iter().flatten();
        let listed = listed.map(|group| (group_label(group.name.as_deref()), &group.figures));
        let groups: Vec<(&str, &OpenFigures)> =
            listed.chain(other.iter().map(|figures| (OTHER, figures))).collect();
        let figures: [(&str, &str, Figure); 5] = [
            ("pending_tasks", "Pending tasks that are due.", |of| count(of.pending)),
            ("processing_tasks", "Tasks in processing.", |of| count(of.processing)),
            ("scheduled_tasks", "Pending tasks that are not due yet.", |of| {
                of.scheduled.and_then(count)
            }),
            (
                "overdue_pending_tasks",
                "Tasks that have waited longer than backlog_after_minutes.",
                |of| count(of.older_than_limit),
            ),
            ("oldest_pending_seconds", "How long the oldest pending task has waited.", |of| {
                of.oldest_seconds.and_then(count)
            }),
        ];
        for (metric, help, value) in figures {
            let samples =
                groups.iter().map(|(name, figures)| (vec![(label, *name)], value(figures)));
            text.family(&format!("taskmon_live_by_{label}_{metric}"), help, samples);
        }
    }
}
