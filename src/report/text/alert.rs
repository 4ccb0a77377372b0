//! What an alert run found, and what became of it.

use super::disk::fullness;
use super::groups;
use super::page::{Page, Tone};
use crate::alert::Alert;
use crate::calendar::Clock;
use crate::language::Language;
use crate::live::LiveState;
use crate::notify::silences::{EVERY, MAINTENANCE, Silence};
use crate::notify::{CHANNEL_FAILED, Summary};
use crate::outcome::{Issue, Severity};
use crate::printable::escaped;
use crate::units::text_width;

/// What an alert run was asked to do, as far as its page says it.
#[derive(Debug, Clone, Copy)]
pub struct AlertPage<'a> {
    /// The channels were tried with a test alert.
    pub is_test: bool,
    pub is_dry_run: bool,
    /// The live state, if it was looked at.
    pub live: Option<&'a LiveState>,
}

pub fn alert(summary: &Summary, asked: AlertPage, clock: Clock) -> String {
    let language = clock.language;
    let mut page = Page::new(language);
    page.line(if asked.is_test {
        tested(summary, asked, language)
    } else {
        raised(summary, asked, language)
    });
    for alert in &summary.alerts {
        alert_line(&mut page, alert);
    }
    if summary.alerts_resolved > 0 {
        let count = summary.alerts_resolved;
        page.line(language.pick(format!("  已恢复 {count} 条"), format!("  {count} resolved")));
    }
    if !summary.silences.is_empty() {
        page.heading("静默", "Silenced");
        for silence in &summary.silences {
            silence_line(&mut page, silence, clock);
        }
    }
    if let Some(live) = asked.live {
        live_state(&mut page, live);
    }
    if !summary.channels.is_empty() && !asked.is_dry_run {
        page.heading("渠道", "Channels");
        for channel in &summary.channels {
            let state = match (&channel.error, channel.sent) {
                (Some(error), _) => {
                    Tone::Bad.of(format!("{}: {error}", language.pick("失败", "failed")))
                }
                (None, 0) => Tone::Dim.of(language.pick("无需发送", "nothing to send")),
                (None, sent) => Tone::Good.of(format!("{} ({sent})", language.pick("成功", "ok"))),
            };
            page.pieces([format!("  {:12}  ", channel.channel).into(), state]);
        }
    }
    page.issues(&other_issues(summary));
    page.text
}

/// The silences that hold.
pub fn silences(silences: &[Silence], clock: Clock) -> String {
    let language = clock.language;
    let mut page = Page::new(language);
    if silences.is_empty() {
        page.line(language.pick("没有静默的告警", "Nothing is silenced"));
    } else {
        page.line(language.pick("静默的告警：", "Silenced:"));
    }
    for silence in silences {
        silence_line(&mut page, silence, clock);
    }
    page.text
}

fn silence_line(page: &mut Page, silence: &Silence, clock: Clock) {
    let until = clock.show(silence.until.to_utc());
    let alerts = match (silence.alerts.kind.as_str(), &silence.alerts.subject) {
        (EVERY, None) => page.language.pick("全部", "everything").to_owned(),
        _ => silence.alerts.to_string(),
    };
    let by = match silence.by.as_str() {
        MAINTENANCE => page.language.pick("维护时段", "a maintenance window"),
        by => by,
    };
    let until = page.language.pick(format!("至 {until}"), format!("until {until}"));
    let why = [by, &silence.reason].map(escaped);
    let why: Vec<&str> = why.iter().map(String::as_str).filter(|part| !part.is_empty()).collect();
    page.line(format!("  {}  {until}  ({})", escaped(&alerts), why.join(": ")));
}

/// A channel's own failure is shown in its line.
fn other_issues(summary: &Summary) -> Vec<Issue> {
    let failed = |issue: &&Issue| issue.kind == CHANNEL_FAILED;
    let others = summary.errors.iter().filter(|issue| !failed(issue));
    others.cloned().collect()
}

fn raised(summary: &Summary, asked: AlertPage, language: Language) -> String {
    let (sent, suppressed) = (summary.alerts_sent, summary.alerts_suppressed);
    match (asked.is_dry_run, summary.alerts.len()) {
        (_, 0) => language.pick("没有告警", "No alert is firing").to_owned(),
        (true, count) => language.pick(
            format!("{count} 条告警（试运行，未发送）"),
            format!("Alerts (dry run): {count} firing, nobody was notified"),
        ),
        (false, count) => {
            let counts = language.pick(
                format!("{count} 条告警：已发送 {sent}，已抑制 {suppressed}"),
                format!("Alerts: {count} firing, {sent} sent, {suppressed} suppressed"),
            );
            match count.saturating_sub(sent + suppressed) {
                0 => counts,
                lost => {
                    counts
                        + &language
                            .pick(format!("，未送达 {lost}"), format!(", {lost} not delivered"))
                }
            }
        }
    }
}

fn tested(summary: &Summary, asked: AlertPage, language: Language) -> String {
    let all = summary.channels.len();
    let good = summary.channels.iter().filter(|channel| channel.error.is_none());
    match (asked.is_dry_run, all, good.count()) {
        (_, 0, _) => language.pick(
            "测试告警：没有配置任何渠道，告警只写入日志".to_owned(),
            "Test alert: no channel is configured, alerts go to the logs alone".to_owned(),
        ),
        (true, ..) => language.pick(
            format!("测试告警（试运行，未发送）：共 {all} 个渠道"),
            format!("Test alert (dry run): {all} channels, nobody was notified"),
        ),
        (false, _, good) => language.pick(
            format!("测试告警：{all} 个渠道中 {good} 个成功"),
            format!("Test alert: {good} of {all} channels delivered it"),
        ),
    }
}

fn alert_line(page: &mut Page, alert: &Alert) {
    let (zh, en) = match alert.severity {
        Severity::Info => ("信息", "info"),
        Severity::Warning => ("警告", "warning"),
        Severity::Error => ("错误", "error"),
        Severity::Critical => ("严重", "critical"),
    };
    let word = page.language.pick(zh, en);
    let padding = 8usize.saturating_sub(text_width(word));
    let word = Tone::from(alert.severity).of(format!("  {word}{:padding$}  ", ""));
    page.pieces([word, (&alert.message).into()]);
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
    if let Some(scheduled) = waiting.scheduled_tasks {
        page.entry("定时", "scheduled", scheduled.to_string());
    }
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
    groups::of_now(page, live);
}
