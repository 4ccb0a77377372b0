//! The line of `alert`.

use super::line::{Line, messages};
use super::state::State;
use crate::alert::worst_severity;
use crate::language::Language;
use crate::live::LiveState;
use crate::notify::Summary;
use crate::rules;

pub fn alert(
    summary: &Summary,
    live: Option<&LiveState>,
    limits: &rules::Settings,
    language: Language,
) -> (String, State) {
    let mut line = Line::default();
    line.add_texts(messages(&summary.alerts));
    line.add_texts(summary.errors.iter().map(|issue| issue.message.clone()));
    if summary.alerts.is_empty() {
        line.add_texts([language.pick("没有告警", "no alert is firing").to_owned()]);
    }
    line.add_count("alerts", summary.alerts.len());
    if let Some(live) = live {
        add_live(&mut line, live, limits);
    }
    line.finish("ALERT", State::of(worst_severity(&summary.alerts), &summary.errors))
}

fn add_live(line: &mut Line, live: &LiveState, limits: &rules::Settings) {
    let (backlog, stuck) = (&live.backlog, &live.stuck);
    line.add_figure("pending", backlog.pending, "", &[&limits.live.backlog_max, &"", &0]);
    line.add_figure("pending_overdue", backlog.older_than_limit, "", &[&0, &"", &0]);
    line.add_figure("stuck", stuck.tasks, "", &[&0, &"", &0]);
    line.add_count("processing", stuck.processing);
    for (label, age, limit) in [
        ("oldest_pending", backlog.oldest_seconds, limits.live.backlog_after_minutes),
        ("oldest_processing", stuck.oldest_seconds, limits.live.stuck_after_minutes),
    ] {
        if let Some(seconds) = age {
            line.add_figure(label, seconds, "s", &[&(u64::from(limit) * 60), &"", &0]);
        }
    }
    line.add_count("today_total", live.today.total);
    line.add_count("today_failed", live.today.failed);
    line.add_percent("today_failure_rate", live.today.failure_rate, Some(limits.failure_rate()));
}
