//! Figures by queue and by name.

use super::page::Page;
use crate::language::Language;
use crate::live::{LiveState, OpenFigures};
use crate::stats::{DailyReport, GroupFigures, ProcessingTimePercentiles};

/// So many of a list are shown; the result as JSON has them all.
const SHOWN: usize = 10;

/// A list of what tasks have in common.
struct List<'a, G, F> {
    zh: &'static str,
    en: &'static str,
    groups: &'a Option<Vec<G>>,
    other: &'a Option<F>,
}

impl<G, F> List<'_, G, F> {
    /// The heading, and a table of the first groups and the rest that is one.
    fn table<const N: usize>(
        &self,
        page: &mut Page,
        zh: [&str; N],
        en: [&str; N],
        row: impl Fn(&G) -> [String; N],
        rest: impl Fn(&F, String) -> [String; N],
    ) {
        let Some(groups) = self.groups.as_ref().filter(|groups| !groups.is_empty()) else {
            return;
        };
        page.heading(self.zh, self.en);
        let language = page.language;
        let other = |figures: &F| rest(figures, language.pick("其他", "(other)").to_owned());
        page.table(zh, en, groups.iter().take(SHOWN).map(row).chain(self.other.iter().map(other)));
        let more = groups.len().saturating_sub(SHOWN);
        if more > 0 {
            page.line(language.pick(format!("  另有 {more} 个"), format!("  and {more} more")));
        }
    }
}

fn name(name: &Option<String>, language: Language) -> String {
    let none = || language.pick("（无）", "(none)").to_owned();
    format!("  {}", name.clone().unwrap_or_else(none))
}

fn seconds(seconds: Option<u64>) -> String {
    seconds.map_or("-".to_owned(), |seconds| format!("{seconds} s"))
}

/// The median and the 95th percentile.
fn spread(of: &Option<ProcessingTimePercentiles>) -> String {
    of.as_ref().map_or("-".to_owned(), |of| format!("{} / {} s", of.p50, of.p95))
}

pub fn of_day(page: &mut Page, report: &DailyReport) {
    let language = page.language;
    let lists = [
        List {
            zh: "按队列", en: "By queue", groups: &report.queues, other: &report.other.queues
        },
        List {
            zh: "按任务名", en: "By name", groups: &report.names, other: &report.other.names
        },
    ];
    for list in lists {
        let row = |figures: &GroupFigures, name| {
            [
                name,
                figures.count.to_string(),
                figures.failed.to_string(),
                spread(&figures.waiting_time_percentiles),
                spread(&figures.processing_time_percentiles),
                seconds(figures.oldest_open_seconds),
            ]
        };
        list.table(
            page,
            ["  名称", "任务", "失败", "等待 p50/p95", "处理 p50/p95", "最久未结束"],
            ["  name", "tasks", "failed", "waited p50/p95", "took p50/p95", "oldest open"],
            |group| row(&group.figures, name(&group.name, language)),
            |figures, name| row(figures, format!("  {name}")),
        );
    }
}

pub fn of_now(page: &mut Page, live: &LiveState) {
    let language = page.language;
    let lists = [
        List { zh: "按队列", en: "By queue", groups: &live.queues, other: &live.other.queues },
        List { zh: "按任务名", en: "By name", groups: &live.names, other: &live.other.names },
    ];
    for list in lists {
        let row = |figures: &OpenFigures, name| {
            [
                name,
                figures.pending.to_string(),
                figures.older_than_limit.to_string(),
                seconds(figures.oldest_seconds),
                figures.processing.to_string(),
                figures.scheduled.map_or("-".to_owned(), |scheduled| scheduled.to_string()),
            ]
        };
        list.table(
            page,
            ["  名称", "待处理", "超时", "最久", "处理中", "定时"],
            ["  name", "waiting", "too long", "oldest", "active", "scheduled"],
            |group| row(&group.figures, name(&group.name, language)),
            |figures, name| row(figures, format!("  {name}")),
        );
    }
}
