//! What waits in the queues, as the broker or the table knows it.

use super::page::Page;
use crate::language::Language;
use crate::stats::QueueStatistics;

pub fn queue(page: &mut Page, queue: &QueueStatistics) {
    if let Some(error) = &queue.error {
        page.entry("队列", "queue", format!("! {error}"));
        return;
    }
    let known = |count: Option<u64>| count.map_or("?".to_owned(), |count| count.to_string());
    let is_broker = queue.source != "database";
    if is_broker {
        page.entry("消息队列", "broker", queue.source);
    }
    page.entry("待处理", "waiting", known(queue.total_pending));
    for (name, waiting) in queue.queues.iter().flatten() {
        page.line(format!("    {}: {}", name, known(*waiting)));
    }
    page.entry("处理中", "active", known(queue.active_tasks));
    if !is_broker {
        if let Some(scheduled) = queue.scheduled_tasks {
            page.entry("定时", "scheduled", scheduled.to_string());
        }
        return;
    }
    page.entry("已领取", "reserved", known(queue.reserved_tasks));
    for (name, held) in queue.unacknowledged.iter().flatten() {
        if *held > 0 {
            page.line(format!("    {}: {held}", name));
        }
    }
    page.entry("定时", "scheduled", known(queue.scheduled_tasks));
    if let Some(overdue) = queue.overdue_tasks.filter(|overdue| *overdue > 0) {
        page.entry("超时未确认", "overdue", overdue.to_string());
    }
    page.entry("丢失", "lost", known(queue.lost_tasks));
    for (key, why) in &queue.reasons {
        page.line(format!("  ? {}: {}", key_name(key, page.language), why));
    }
}

/// What is not known, as the lines above call it.
fn key_name(key: &str, language: Language) -> String {
    let (zh, en) = match key {
        "total_pending" => ("待处理", "waiting"),
        "active_tasks" => ("处理中", "active"),
        "reserved_tasks" => ("已领取", "reserved"),
        "scheduled_tasks" => ("定时", "scheduled"),
        "overdue_tasks" => ("超时未确认", "overdue"),
        "lost_tasks" => ("丢失", "lost"),
        key => return key.strip_prefix("queues.").unwrap_or(key).to_owned(),
    };
    language.pick(zh, en).to_owned()
}
