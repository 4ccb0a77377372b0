//! A day's report.

use super::disk::fullness;
use super::groups;
use super::page::{Page, Tone};
use super::queue::queue;
use crate::alert::Alert;
use crate::language::Language;
use crate::stats::DailyReport;
use crate::units::{shorten, signed_percent};
use chrono::Datelike;
use serde_json::{Map, Value};
use std::cmp::Reverse;
use std::ops::Range;

pub fn stats(report: &DailyReport, language: Language) -> String {
    let mut page = Page::new(language);
    let pick = |zh: &'static str, en: &'static str| language.pick(zh, en);
    let weekday = match language {
        Language::Zh => {
            let names = ["一", "二", "三", "四", "五", "六", "日"];
            format!("星期{}", names[report.date.weekday().num_days_from_monday() as usize])
        }
        Language::En => report.date.format("%A").to_string(),
    };
    let title = format!("{} {} {weekday}", pick("任务日报", "Tasks on"), report.date);
    page.pieces([Tone::Heading.of(title), Tone::Dim.of(format!(" ({})", report.timezone))]);
    tasks(&mut page, report);
    errors(&mut page, report);
    curve(&mut page, report);
    groups::of_day(&mut page, report);
    trend(&mut page, report);
    alerts(&mut page, &report.alerts);
    system(&mut page, report);
    if !report.unavailable.is_empty() {
        page.heading("该表没有的数据", "Not in this table");
        page.line(format!("  {}", report.unavailable.join(", ")));
    }
    page.issues(&report.errors);
    if let Some(path) = &report.report_path {
        page.line("");
        page.entry("报告文件", "saved as", path.display().to_string());
    }
    page.text
}

fn tasks(page: &mut Page, report: &DailyReport) {
    let tasks = &report.task_statistics;
    page.line("");
    let trend = &report.trend_analysis;
    let language = page.language;
    let mut against = vec![format!(
        "{} {}",
        signed_percent(trend.trend_percent),
        language.pick("比前一天", "against the day before")
    )];
    if let Some(percent) = trend.week_percent {
        let week = language.pick("比上周同日", "against the week before");
        against.push(format!("{} {week}", signed_percent(percent)));
    }
    let total = format!("{}  ({})", tasks.total_tasks, against.join(language.pick("，", ", ")));
    page.entry("任务总数", "tasks", total);
    let states: Vec<String> = tasks
        .status_breakdown
        .iter()
        .map(|(state, count)| format!("{} {count}", state_name(state, language)))
        .collect();
    page.entry("状态", "states", states.join("  "));
    page.entry("完成率", "completed", format!("{}%", tasks.completion_rate));
    let failed = if tasks.failure_rate > 0.0 { Tone::Bad } else { Tone::Plain };
    page.entry("失败率", "failed", failed.of(format!("{}%", tasks.failure_rate)));
    if let (Some(mean), Some(shares)) =
        (tasks.average_processing_time, &tasks.processing_time_percentiles)
    {
        page.entry(
            "处理时间",
            "took",
            format!(
                "{} {mean} s  p50 {} s  p95 {} s  p99 {} s  {} {} s",
                page.language.pick("平均", "mean"),
                shares.p50,
                shares.p95,
                shares.p99,
                page.language.pick("最长", "max"),
                shares.max
            ),
        );
    }
    if let Some(wait) = tasks.average_wait_time {
        page.entry("平均等待", "waited", format!("{wait} s"));
    }
    if report.undated_tasks > 0 {
        page.entry("无日期任务", "undated", report.undated_tasks.to_string());
    }
    if let Some(slowest) = &report.performance_statistics.slowest_tasks
        && !slowest.is_empty()
    {
        page.heading("最慢的任务", "Slowest");
        for task in slowest {
            let name = task.task_id.as_deref().unwrap_or("-");
            page.line(format!(
                "  {:>10} s  {name}  {}",
                task.processing_time,
                state_name(task.status.name(), page.language)
            ));
        }
    }
}

/// A state in the language of people.
pub fn state_name(state: &str, language: Language) -> &str {
    let zh = match state {
        "completed" => "已完成",
        "failed" => "失败",
        "pending" => "待处理",
        "processing" => "处理中",
        "cancelled" => "已取消",
        _ => "其他",
    };
    language.pick(zh, state)
}

/// Where an RFC 3339 text has hours and minutes.
const CLOCK: Range<usize> = 11..16;

/// So many failed tasks are listed; the result as JSON has more.
const FAILED_SHOWN: usize = 10;

fn errors(page: &mut Page, report: &DailyReport) {
    let errors = &report.error_statistics;
    if errors.total_failed_tasks == 0 {
        return;
    }
    page.heading("错误", "Errors");
    let categories = errors.error_categories.iter().flatten();
    let mut categories: Vec<(&String, u64)> =
        categories.map(|(name, count)| (name, count.as_u64().unwrap_or(0))).collect();
    categories.sort_by_key(|(_, count)| Reverse(*count));
    for (category, count) in categories {
        page.pieces([Tone::Bad.of(format!("  {count:>6}")), format!("  {category}").into()]);
    }
    if let Some(retries) = errors.retry_statistics.as_ref().filter(|map| !map.is_empty()) {
        let counts: Vec<String> =
            retries.iter().map(|(retries, tasks)| format!("{retries}×: {tasks}")).collect();
        page.entry("重试", "retries", counts.join("  "));
    }
    page.heading("失败的任务", "Failed tasks");
    for task in errors.failed_tasks.iter().take(FAILED_SHOWN) {
        let name = task.task_id.as_deref().unwrap_or("-");
        let at = task.created_at.get(CLOCK).unwrap_or_default();
        let message = task.error_message.as_deref().unwrap_or("-");
        let message = shorten(message.lines().next().unwrap_or_default(), MESSAGE_SHOWN);
        page.pieces([Tone::Dim.of(format!("  {at}  ")), format!("{name}  {message}").into()]);
    }
    let more = errors.total_failed_tasks.saturating_sub(FAILED_SHOWN as u64);
    if more > 0 {
        let language = page.language;
        page.line(language.pick(format!("  另有 {more} 个"), format!("  and {more} more")));
    }
}

/// How much of a message is shown, in columns.
const MESSAGE_SHOWN: usize = 160;

/// The day's curve as one line of bars.
fn curve(page: &mut Page, report: &DailyReport) {
    let Some(peak) = report.performance_statistics.peak_hour else {
        return;
    };
    page.heading("每小时任务数", "By hour");
    let hours = &report.performance_statistics.hourly_distribution;
    page.line(format!("  {}", bars(hours)));
    page.line("  0     6     12    18    ");
    let count = hours.get(&peak.to_string()).and_then(Value::as_u64).unwrap_or(0);
    page.entry("高峰", "peak", format!("{peak}:00  ({count})"));
}

fn bars(hours: &Map<String, Value>) -> String {
    const BARS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
    let counts: Vec<u64> = hours.values().filter_map(Value::as_u64).collect();
    let highest = counts.iter().max().copied().unwrap_or(0).max(1);
    let bar = |count: &u64| match count {
        0 => ' ',
        // Whatever is there is seen: the lowest bar from one task on.
        _ => BARS[((count * 8).div_ceil(highest) as usize).clamp(1, 8) - 1],
    };
    counts.iter().map(bar).collect()
}

fn trend(page: &mut Page, report: &DailyReport) {
    let trend = &report.trend_analysis;
    page.heading("最近 7 天", "Past 7 days");
    let language = page.language;
    for day in &trend.past_7_days {
        page.line(format!(
            "  {}  {:>8}  {} {}  {} {}",
            day.date,
            day.total,
            state_name("completed", language),
            day.completed,
            state_name("failed", language),
            day.failed
        ));
    }
    if !trend.anomalies.is_empty() {
        page.heading("异常", "Unusual");
        for anomaly in &trend.anomalies {
            page.warning(&anomaly.reason);
        }
    }
}

fn alerts(page: &mut Page, alerts: &[Alert]) {
    if alerts.is_empty() {
        return;
    }
    page.heading("告警", "Alerts");
    for alert in alerts {
        page.marked(alert.severity.into(), &alert.message);
    }
}

fn system(page: &mut Page, report: &DailyReport) {
    let system = &report.system_statistics;
    let language = page.language;
    page.heading("系统", "System");
    if let Some(disk) = &system.disk_usage {
        page.entry(
            "磁盘",
            "disk",
            fullness(disk.usage_percent, disk.free_gb, disk.total_gb, language),
        );
    }
    queue(page, &system.queue_statistics);
}
