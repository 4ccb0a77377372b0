//! Days as Markdown, as issues, wikis and chats take it: a day with its details, or a row for each of several days.

use super::text::state_name;
use crate::language::Language;
use crate::printable::escaped;
use crate::stats::{DailyReport, TaskGroup};
use crate::units::{shorten, signed_percent};
use std::fmt::Write;

/// How much of a text that others wrote is shown, in columns.
const LONGEST: usize = 160;

/// One day. Writing to a `String` cannot fail.
pub fn day(report: &DailyReport, language: Language) -> String {
    let tasks = &report.task_statistics;
    let mut page = format!(
        "## {} {} ({})\n\n",
        language.pick("任务日报", "Tasks on"),
        report.date,
        report.timezone
    );
    for alert in &report.alerts {
        let _ = writeln!(page, "- **{}** {}", alert.severity.name(), quoted(&alert.message));
    }
    if !report.alerts.is_empty() {
        page.push('\n');
    }
    let mut figures = vec![(language.pick("任务总数", "tasks"), tasks.total_tasks.to_string())];
    for (state, count) in &tasks.status_breakdown {
        figures.push((state_name(state, language), count.to_string()));
    }
    let percent = |value: f64| format!("{value}%");
    figures.push((language.pick("完成率", "completion rate"), percent(tasks.completion_rate)));
    figures.push((language.pick("失败率", "failure rate"), percent(tasks.failure_rate)));
    let trend = &report.trend_analysis;
    figures.push((
        language.pick("比前一天", "against the day before"),
        signed_percent(trend.trend_percent),
    ));
    if let Some(value) = trend.week_percent {
        figures
            .push((language.pick("比上周同日", "against the week before"), signed_percent(value)));
    }
    if let Some(shares) = &tasks.processing_time_percentiles {
        let spread = format!("{} / {} / {} s", shares.p50, shares.p95, shares.max);
        figures.push((language.pick("处理时间 p50/p95/最长", "took p50/p95/max"), spread));
    }
    if let Some(wait) = tasks.average_wait_time {
        figures.push((language.pick("平均等待", "waited on average"), format!("{wait} s")));
    }
    let rows = figures.into_iter().map(|(name, value)| [name.to_owned(), value]);
    table(&mut page, language.pick(["", "数量"], ["", "figure"]), rows);
    groups(&mut page, &report.queues, language.pick("队列", "queue"), language);
    groups(&mut page, &report.names, language.pick("任务名", "name"), language);
    errors(&mut page, report, language);
    page
}

/// A row a day.
pub fn days(reports: &[DailyReport], language: Language) -> String {
    let mut page = String::new();
    let rows = reports.iter().map(|report| {
        let tasks = &report.task_statistics;
        let count = |state| tasks.status_breakdown.get(state).map_or("0".into(), |n| n.to_string());
        [
            report.date.to_string(),
            tasks.total_tasks.to_string(),
            count("completed"),
            count("failed"),
            format!("{}%", tasks.failure_rate),
            tasks.average_processing_time.map_or("-".into(), |seconds| format!("{seconds} s")),
            report.alerts.len().to_string(),
        ]
    });
    let zh = ["日期", "任务", "已完成", "失败", "失败率", "平均处理时间", "告警"];
    let en = ["date", "tasks", "completed", "failed", "failure rate", "took on average", "alerts"];
    table(&mut page, language.pick(zh, en), rows);
    page
}

fn groups(page: &mut String, groups: &Option<Vec<TaskGroup>>, name: &str, language: Language) {
    let Some(groups) = groups.as_ref().filter(|groups| !groups.is_empty()) else {
        return;
    };
    let rows = groups.iter().map(|group| {
        let name = group.name.as_deref().unwrap_or("-");
        [quoted(name), group.figures.count.to_string(), group.figures.failed.to_string()]
    });
    page.push('\n');
    table(page, language.pick([name, "任务", "失败"], [name, "tasks", "failed"]), rows);
}

fn errors(page: &mut String, report: &DailyReport, language: Language) {
    let errors = &report.error_statistics;
    let categories = errors.error_categories.iter().flatten();
    let mut rows: Vec<(u64, [String; 2])> = categories
        .map(|(name, count)| (count.as_u64().unwrap_or(0), [quoted(name), count.to_string()]))
        .collect();
    rows.sort_by_key(|(count, _)| std::cmp::Reverse(*count));
    if !rows.is_empty() {
        page.push('\n');
        let rows = rows.into_iter().map(|(_, row)| row);
        table(page, language.pick(["错误", "任务"], ["error", "tasks"]), rows);
    }
    let rows = errors.failed_tasks.iter().map(|task| {
        let text = |text: &Option<String>| quoted(text.as_deref().unwrap_or("-"));
        let at = task.created_at.get(11..19).unwrap_or_default();
        [at.to_owned(), text(&task.task_id), text(&task.error_message)]
    });
    if !errors.failed_tasks.is_empty() {
        page.push('\n');
        let en = ["created", "failed task", "error"];
        table(page, language.pick(["创建时间", "失败的任务", "错误"], en), rows);
    }
}

fn table<const N: usize>(
    page: &mut String,
    headings: [&str; N],
    rows: impl Iterator<Item = [String; N]>,
) {
    let _ = writeln!(page, "| {} |\n|{}", headings.join(" | "), "---|".repeat(N));
    for row in rows {
        let _ = writeln!(page, "| {} |", row.join(" | "));
    }
}

/// A text that others wrote, on one line and without a meaning in Markdown or HTML.
fn quoted(text: &str) -> String {
    let first = text.lines().next().unwrap_or_default();
    let mut quoted = String::new();
    for letter in shorten(&escaped(first), LONGEST).chars() {
        match letter {
            '<' => quoted.push_str("&lt;"),
            '&' => quoted.push_str("&amp;"),
            '\\' | '`' | '*' | '_' | '[' | ']' | '>' | '|' | '#' | '~' | '!' => {
                quoted.push('\\');
                quoted.push(letter);
            }
            letter => quoted.push(letter),
        }
    }
    quoted
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_others_wrote_has_no_meaning() {
        let text = "a|b <script> *x* [y](z) `c` & \u{1b}[31m\nsecond line";
        let shown = r"a\|b &lt;script\> \*x\* \[y\](z) \`c\` &amp; \\u{1b}\[31m";
        assert_eq!(quoted(text), shown);
    }
}
