//! A result as a page that a person reads in ten seconds.

use crate::alert::Alert;
use crate::check::{CheckReport, Finding, Status as CheckStatus};
use crate::cleanup::CleanupReport;
use crate::language::Language;
use crate::live::LiveState;
use crate::notify::{CHANNEL_FAILED, Summary, escaped};
use crate::outcome::{Failure, Issue, Severity};
use crate::stats::{DailyReport, QueueStatistics};
use crate::system::disk::{Disk, DiskReport, Status};
use crate::units::text_width;
use chrono::Datelike;
use serde_json::{Map, Value};
use std::fmt::Write;

/// Lines of a page. Writing to a `String` cannot fail.
pub(super) struct Page {
    pub(super) text: String,
    language: Language,
}

impl Page {
    pub(super) fn new(language: Language) -> Self {
        Self { text: String::new(), language }
    }

    pub(super) fn line(&mut self, line: impl AsRef<str>) {
        self.text.push_str(line.as_ref().trim_end());
        self.text.push('\n');
    }

    /// A label in the page's language, and what stands behind it.
    fn entry(&mut self, zh: &str, en: &str, value: impl AsRef<str>) {
        let label = self.language.pick(zh, en);
        let padding = 14usize.saturating_sub(text_width(label));
        let _ = writeln!(self.text, "  {label}{:padding$}  {}", "", value.as_ref());
    }

    pub(super) fn heading(&mut self, zh: &str, en: &str) {
        let heading = self.language.pick(zh, en);
        let _ = writeln!(self.text, "\n{heading}");
    }

    fn hint(&mut self, finding: &Finding) {
        if let Some(hint) = &finding.hint {
            self.line(format!("{:15}→ {}", "", escaped(hint)));
        }
    }

    fn issues(&mut self, issues: &[Issue]) {
        if issues.is_empty() {
            return;
        }
        self.heading("未完成的事项", "Could not be done");
        for issue in issues {
            self.line(format!("  ! {}", issue.message));
        }
    }
}

/// What a cleanup did.
pub fn cleanup(report: &CleanupReport, language: Language) -> String {
    let mut page = Page::new(language);
    page.line(if report.dry_run {
        language.pick("清理预演（未做任何更改）", "Cleanup (dry run): nothing was changed")
    } else {
        language.pick("清理完成", "Cleanup")
    });
    page.line("");
    page.entry("任务", "tasks", report.tasks_cleaned.to_string());
    page.entry("回证", "receipts", report.receipts_cleaned.to_string());
    page.entry("文件", "files", report.files_cleaned.to_string());
    page.entry("日志", "logs", report.logs_cleaned.to_string());
    page.entry("释放空间", "freed", format!("{} MB", report.disk_space_freed_mb));
    if report.files_shared > 0 {
        let kept =
            language.pick("个文件仍被其他记录引用，已保留", "files stay, other rows name them");
        page.entry("共享", "shared", format!("{} {kept}", report.files_shared));
    }
    for note in &report.notes {
        page.line(format!("  - {note}"));
    }
    page.issues(&report.errors);
    let unlisted = report.errors_total - report.errors.len() as u64;
    if unlisted > 0 {
        page.line(format!("  … {unlisted}"));
    }
    page.text
}

/// What an alert run was asked to do, as far as its page says it.
#[derive(Debug, Clone, Copy)]
pub enum AlertPage<'a> {
    /// Alerts that were evaluated or given; the live state if it was looked at.
    Raised(Option<&'a LiveState>),
    /// The channels were tried.
    Tested,
}

/// What an alert run found, and whom it told.
pub fn alert(summary: &Summary, asked: AlertPage, is_dry_run: bool, language: Language) -> String {
    let mut page = Page::new(language);
    page.line(match asked {
        AlertPage::Raised(_) => raised(summary, is_dry_run, language),
        AlertPage::Tested => tested(summary, is_dry_run, language),
    });
    for alert in &summary.alerts {
        alert_line(&mut page, alert);
    }
    if summary.alerts_resolved > 0 {
        let count = summary.alerts_resolved;
        page.line(language.pick(format!("  已恢复 {count} 条"), format!("  {count} resolved")));
    }
    if let AlertPage::Raised(Some(live)) = asked {
        live_state(&mut page, live);
    }
    if !summary.channels.is_empty() && !is_dry_run {
        page.heading("渠道", "Channels");
        for channel in &summary.channels {
            let state = match (&channel.error, channel.sent) {
                (Some(error), _) => format!("{}: {error}", language.pick("失败", "failed")),
                (None, 0) => language.pick("无需发送", "nothing to send").to_owned(),
                (None, sent) => format!("{} ({sent})", language.pick("成功", "ok")),
            };
            page.line(format!("  {:12}  {state}", channel.channel));
        }
    }
    page.issues(&other_issues(summary));
    page.text
}

/// A channel's failure stands beside its name already.
fn other_issues(summary: &Summary) -> Vec<Issue> {
    let failed = |issue: &&Issue| issue.kind == CHANNEL_FAILED;
    let others = summary.errors.iter().filter(|issue| !failed(issue));
    others.cloned().collect()
}

fn raised(summary: &Summary, is_dry_run: bool, language: Language) -> String {
    let (sent, suppressed) = (summary.alerts_sent, summary.alerts_suppressed);
    match (is_dry_run, summary.alerts.len()) {
        (_, 0) => language.pick("没有告警", "No alert stands").to_owned(),
        (true, count) => language.pick(
            format!("{count} 条告警（预演，未发送）"),
            format!("Alerts (dry run): {count} firing, nobody was notified"),
        ),
        (false, count) => {
            let told = language.pick(
                format!("{count} 条告警：已发送 {sent}，已抑制 {suppressed}"),
                format!("Alerts: {count} stand, {sent} sent, {suppressed} suppressed"),
            );
            match count.saturating_sub(sent + suppressed) {
                0 => told,
                lost => {
                    told + &language
                        .pick(format!("，未送达 {lost}"), format!(", {lost} not delivered"))
                }
            }
        }
    }
}

fn tested(summary: &Summary, is_dry_run: bool, language: Language) -> String {
    let all = summary.channels.len();
    let good = summary.channels.iter().filter(|own| own.error.is_none());
    match (is_dry_run, all, good.count()) {
        (_, 0, _) => language.pick(
            "测试告警：没有配置任何渠道，告警只写入日志".to_owned(),
            "Test alert: no channel is configured, alerts go to the logs alone".to_owned(),
        ),
        (true, ..) => language.pick(
            format!("测试告警（预演，未发送）：共 {all} 个渠道"),
            format!("Test alert (dry run): {all} channels, nobody was notified"),
        ),
        (false, _, good) => language.pick(
            format!("测试告警：{all} 个渠道中 {good} 个成功"),
            format!("Test alert: {good} of {all} channels took it"),
        ),
    }
}

fn alert_line(page: &mut Page, alert: &Alert) {
    let (zh, en) = match alert.severity {
        Severity::Warning => ("警告", "warning"),
        Severity::Error => ("错误", "error"),
        Severity::Critical => ("严重", "critical"),
    };
    let word = page.language.pick(zh, en);
    let padding = 8usize.saturating_sub(text_width(word));
    page.line(format!("  {word}{:padding$}  {}", "", escaped(&alert.message)));
}

fn live_state(page: &mut Page, live: &LiveState) {
    let language = page.language;
    page.heading("当前", "Now");
    let of = |count: u64, zh: &str, en: &str| match count {
        0 => String::new(),
        count => format!("  {} {count}", language.pick(zh, en)),
    };
    let (waiting, working) = (&live.backlog, &live.stuck);
    let late = of(waiting.older_than_limit, "超时", "too long");
    page.entry("待处理", "waiting", format!("{}{late}", waiting.pending));
    let stuck = of(working.tasks, "卡住", "stuck");
    page.entry("处理中", "active", format!("{}{stuck}", working.processing));
    let today = &live.today;
    let failed = language.pick("失败", "failed");
    page.entry(
        "今日",
        "today",
        format!("{}  {failed} {} ({}%)", today.total, today.failed, today.failure_rate),
    );
    if let Some(worst) = live.disk.as_ref().and_then(|disk| disk.disk_info.as_ref()) {
        page.entry(
            "磁盘",
            "disk",
            fullness(worst.usage_percent, worst.free_gb, worst.total_gb, language),
        );
    }
}

/// A day's report.
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
    page.line(format!(
        "{} {} {weekday} ({})",
        pick("任务日报", "Tasks on"),
        report.date,
        report.timezone
    ));
    tasks(&mut page, report);
    errors(&mut page, report);
    curve(&mut page, report);
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
    // The direction has said the sign.
    let change = format!(
        "{}  ({} {}%)",
        tasks.total_tasks,
        trend.trend_direction,
        trend.trend_percent.abs()
    );
    page.entry("任务总数", "tasks", change);
    let language = page.language;
    let states: Vec<String> = tasks
        .status_breakdown
        .iter()
        .map(|(state, count)| format!("{} {count}", state_name(state, language)))
        .collect();
    page.entry("状态", "states", states.join("  "));
    page.entry("完成率", "completed", format!("{}%", tasks.completion_rate));
    page.entry("失败率", "failed", format!("{}%", tasks.failure_rate));
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

fn state_name(state: &str, language: Language) -> &str {
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

fn errors(page: &mut Page, report: &DailyReport) {
    let errors = &report.error_statistics;
    if errors.total_failed_tasks == 0 {
        return;
    }
    page.heading("错误", "Errors");
    for (category, count) in errors.error_categories.iter().flatten() {
        page.line(format!("  {:>6}  {category}", count.to_string()));
    }
    if let Some(retries) = errors.retry_statistics.as_ref().filter(|map| !map.is_empty()) {
        let counts: Vec<String> =
            retries.iter().map(|(retries, tasks)| format!("{retries}×: {tasks}")).collect();
        page.entry("重试", "retries", counts.join("  "));
    }
}

/// The day's curve as one line of bars.
fn curve(page: &mut Page, report: &DailyReport) {
    let Some(peak) = report.performance_statistics.peak_hour else {
        return;
    };
    page.heading("每小时任务数", "By hour");
    let hours = &report.performance_statistics.hourly_distribution;
    page.line(format!("  {}", bars(hours)));
    page.line("  0     6     12    18    ");
    page.entry("高峰", "peak", format!("{peak}:00"));
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
            page.line(format!("  ! {}", anomaly.reason));
        }
    }
}

/// What a report raises, whoever is told of it.
fn alerts(page: &mut Page, alerts: &[Alert]) {
    if alerts.is_empty() {
        return;
    }
    page.heading("告警", "Alerts");
    for alert in alerts {
        page.line(format!("  ! {}", escaped(&alert.message)));
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

fn queue(page: &mut Page, queue: &QueueStatistics) {
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
        page.line(format!("    {}: {}", escaped(name), known(*waiting)));
    }
    page.entry("处理中", "active", known(queue.active_tasks));
    if !is_broker {
        return;
    }
    page.entry("已领取", "reserved", known(queue.reserved_tasks));
    for (name, held) in queue.unacknowledged.iter().flatten() {
        if *held > 0 {
            page.line(format!("    {}: {held}", escaped(name)));
        }
    }
    page.entry("定时", "scheduled", known(queue.scheduled_tasks));
    if let Some(overdue) = queue.overdue_tasks.filter(|overdue| *overdue > 0) {
        page.entry("超时未确认", "overdue", overdue.to_string());
    }
    page.entry("丢失", "lost", known(queue.lost_tasks));
    for (key, why) in &queue.reasons {
        page.line(format!("  ? {}: {}", escaped(&key_name(key, page.language)), escaped(why)));
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

/// How full the disks are.
pub fn disk(report: &DiskReport, language: Language) -> String {
    let mut page = Page::new(language);
    for disk in &report.disks {
        page.line(disk_line(disk, language));
    }
    page.issues(&report.errors);
    page.text
}

fn disk_line(disk: &Disk, language: Language) -> String {
    let (zh, status) = match disk.status {
        Status::Normal => ("正常", "normal"),
        Status::Warning => ("警告", "warning"),
        Status::Critical => ("严重", "critical"),
    };
    let inodes = match disk.inodes_usage_percent {
        Some(percent) => format!("  inodes {percent}%"),
        None => String::new(),
    };
    format!(
        "{}  {}: {}{inodes}  ({})",
        language.pick(zh, status),
        disk.path,
        fullness(disk.usage_percent, disk.free_gb, disk.total_gb, language),
        disk.mount.as_deref().unwrap_or("?"),
    )
}

/// What is free beside the percentage: what is used and the whole do not give it, where some of it is kept for root.
fn fullness(percent: f64, free: f64, total: f64, language: Language) -> String {
    let (label, free, total) = (language.pick("可用", "free"), size(free), size(total));
    format!("{percent}%  {label} {free} / {total}")
}

/// GiB as people say them.
fn size(gib: f64) -> String {
    humansize::format_size((gib * 1024f64.powi(3)) as u64, humansize::BINARY)
}

/// A checklist: ✓ it works, ! somebody should know, ✗ it does not work, – not looked at.
pub fn check(report: &CheckReport, language: Language) -> String {
    let mut page = Page::new(language);
    for check in &report.checks {
        let (mark, name) = (mark(check.status), check_name(check.name, language));
        let own = Finding {
            status: check.status,
            message: check.message.clone(),
            hint: check.hint.clone(),
        };
        let findings = match check.findings.as_slice() {
            [] => std::slice::from_ref(&own),
            several => several,
        };
        let padding = 12usize.saturating_sub(text_width(name));
        let [first, rest @ ..] = findings else {
            continue;
        };
        page.line(format!("{mark} {name}{:padding$} {}", "", said(first, check.status)));
        page.hint(first);
        for finding in rest {
            page.line(format!("{:15}{}", "", said(finding, check.status)));
            page.hint(finding);
        }
    }
    let failed = report.checks.iter().filter(|check| check.status == CheckStatus::Failed).count();
    page.line("");
    page.line(match failed {
        0 => language.pick(
            "没有发现妨碍运行的问题".to_owned(),
            "nothing keeps the jobs from their work".to_owned(),
        ),
        n => language.pick(format!("{n} 项不通过"), format!("{n} failed")),
    });
    page.text
}

/// With its own mark where it is not the check's.
fn said(finding: &Finding, of: CheckStatus) -> String {
    if finding.status == of {
        escaped(&finding.message)
    } else {
        format!("{} {}", mark(finding.status), escaped(&finding.message))
    }
}

fn mark(status: CheckStatus) -> char {
    match status {
        CheckStatus::Ok => '✓',
        CheckStatus::Warning => '!',
        CheckStatus::Failed => '✗',
        CheckStatus::Skipped => '–',
    }
}

fn check_name(name: &'static str, language: Language) -> &'static str {
    let zh = match name {
        "config" => "配置",
        "database" => "数据库",
        "mapping" => "表的映射",
        "indexes" => "索引",
        "clock" => "时钟",
        "permissions" => "权限",
        "storage" => "存储",
        "broker" => "消息队列",
        "channels" => "告警渠道",
        "cron" => "定时任务",
        "runs" => "运行记录",
        other => other,
    };
    language.pick(zh, name)
}

/// What ended a run, and what to do about it.
pub fn failure(failure: &Failure, language: Language) -> String {
    let mut text = format!("{}{}\n", language.pick("错误：", "error: "), failure.message);
    if let Some(hint) = &failure.hint {
        let _ = writeln!(text, "{}{hint}", language.pick("建议：", "hint: "));
    }
    text
}
