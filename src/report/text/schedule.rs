//! The pages of `schedule`.

use super::page::{Page, Piece, Tone};
use crate::calendar::Clock;
use crate::language::Language;
use crate::schedule::report::{Change, JobLine, JobStatus, ScheduleReport, StatusReport};
use crate::schedule::runs::{Holder, RunRecord};

pub fn list(report: &ScheduleReport, clock: Clock) -> String {
    let language = clock.language;
    let rows = report.jobs.iter().map(|job| {
        let (name, cron, command) = (job.name.clone(), job.cron.clone(), job.command.clone());
        let (queue, priority) = (job.queue.clone(), job.priority.to_string());
        [name, cron, command, queue, priority, next_run(job, clock)]
    });
    let mut page = Page::new(language);
    page.table(
        ["作业", "cron", "命令", "队列", "优先级", "下次运行"],
        ["job", "cron", "command", "queue", "priority", "next run"],
        rows,
    );
    for warning in &report.warnings {
        page.line(format!("! {warning}"));
    }
    page.text
}

fn next_run(job: &JobLine, clock: Clock) -> String {
    match (job.next, job.cron.as_str()) {
        (Some(time), _) => clock.show(time),
        (None, "@reboot") => clock.language.pick("开机时", "at boot").to_owned(),
        (None, _) => clock.language.pick("从不", "never").to_owned(),
    }
}

pub fn status(report: &StatusReport, clock: Clock) -> String {
    let language = clock.language;
    let (tone, cron) = match report.cron_running {
        _ if report.by_timers => (
            Tone::Good,
            language.pick("作业由 systemd 定时器运行", "the jobs are run by systemd's timers"),
        ),
        Some(true) => (Tone::Good, language.pick("cron 正在运行", "cron is running")),
        Some(false) => (
            Tone::Bad,
            language.pick(
                "! cron 没有运行，crontab 中的作业不会运行",
                "! cron is not running: no job of the crontab will run",
            ),
        ),
        None => (
            Tone::Warning,
            language.pick("无法得知 cron 是否在运行", "whether cron is running is not known"),
        ),
    };
    let rows = report.jobs.iter().map(|job| {
        let (start, ended) = match &job.last_run {
            None => ("-".to_owned(), "-".into()),
            Some(run) if run.skipped => {
                let skipped = language.pick("因锁跳过", "skipped for a lock");
                (clock.show(run.began), skipped.into())
            }
            Some(run) => {
                (clock.show(run.began), result(run.exit_code, run.duration_seconds, language))
            }
        };
        let (name, state) = (job.line.name.clone(), state(job, language));
        let place = match (&job.source, job.line_number) {
            (Some(source), Some(line)) => format!("{source}:{line}"),
            (Some(source), None) => source.clone(),
            (None, _) => "-".to_owned(),
        };
        [name.into(), state, place.into(), start.into(), ended, next_run(&job.line, clock).into()]
    });
    let mut page = Page::new(language);
    page.pieces([tone.of(cron)]);
    page.line("");
    page.table(
        ["作业", "状态", "位置", "上次运行", "结果", "下次运行"],
        ["job", "state", "where", "last run", "result", "next run"],
        rows,
    );
    for warning in &report.warnings {
        page.line(format!("! {warning}"));
    }
    for issue in &report.errors {
        page.line(format!("! {}", issue.message));
    }
    page.text
}

fn state(job: &JobStatus, language: Language) -> Piece {
    let (tone, zh, en) = match (job.installed, job.outdated, job.overdue) {
        (_, _, Some(true)) => (Tone::Bad, "! 逾期未运行", "! overdue"),
        (Some(true), ..) if job.line_number.is_some() => {
            (Tone::Good, "手工写入", "written by hand")
        }
        (Some(true), Some(true), _) => {
            (Tone::Warning, "已安装（与配置不同）", "installed, outdated")
        }
        (Some(true), ..) => (Tone::Good, "已安装", "installed"),
        (Some(false), ..) => (Tone::Warning, "未安装", "not installed"),
        (None, ..) => (Tone::Plain, "未知", "not known"),
    };
    tone.of(language.pick(zh, en))
}

fn result(exit_code: u8, seconds: f64, language: Language) -> Piece {
    let (tone, zh, en) = match exit_code {
        0 => (Tone::Good, "成功", "done"),
        1 => (Tone::Warning, "部分未完成", "done with errors"),
        4 => (Tone::Warning, "有告警", "an alert is firing"),
        _ => (Tone::Bad, "失败", "failed"),
    };
    tone.of(format!("{} ({exit_code}, {seconds} s)", language.pick(zh, en)))
}

/// A line for each run.
pub fn logs(runs: &[RunRecord], clock: Clock) -> String {
    let language = clock.language;
    let mut page = Page::new(language);
    for run in runs {
        let said = match run.held_by {
            None => result(run.exit_code, run.duration_seconds, language),
            Some(Holder::ThisHost) => language.pick("因锁跳过", "skipped for a lock").into(),
            Some(Holder::OtherHost) => {
                language.pick("跳过：另一台主机正在运行", "skipped: running on another host").into()
            }
        };
        let start = clock.show(run.start.to_utc());
        let dry_run = if run.dry_run { language.pick("（试运行）", " (dry run)") } else { "" };
        let command =
            if run.arguments.is_empty() { run.job.clone() } else { run.arguments.join(" ") };
        let start = Tone::Dim.of(format!("{start}  "));
        page.pieces([start, said, format!("  {command}{dry_run}").into()]);
    }
    page.text
}

pub fn change(change: &Change, clock: Clock) -> String {
    let language = clock.language;
    let mut page = Page::new(language);
    // A dry run prints what would be written, ready to be looked at or piped on.
    if change.dry_run {
        for line in change.block.iter().flat_map(|block| block.lines()) {
            page.command(line);
        }
        for path in &change.removed {
            let word = language.pick("将删除", "would go");
            page.line(format!("# {word}: {}", path.display()));
        }
        return page.text;
    }
    page.line(match (change.changed, change.jobs.is_empty()) {
        (true, false) => language.pick("已安装", "Installed"),
        (true, true) => language.pick("已移除", "Removed"),
        (false, false) => language.pick("已是最新，未做更改", "Nothing to change"),
        (false, true) => language.pick("没有可移除的内容", "There was nothing to remove"),
    });
    for job in &change.jobs {
        page.line(format!("  {}  {}  {}", job.cron, job.command, next_run(job, clock)));
    }
    for line in &change.replaced {
        let word = language.pick("已改为注释", "now a comment");
        page.line(format!("  {word}: {line}"));
    }
    for path in &change.files {
        page.line(format!("  + {}", path.display()));
    }
    for path in &change.removed {
        page.line(format!("  - {}", path.display()));
    }
    if !change.left_out.is_empty() {
        let others = language.pick("属于其他队列，未安装", "of other queues, not installed");
        page.line(format!("  {others}: {}", change.left_out.join(", ")));
    }
    for warning in &change.warnings {
        page.line(format!("  ! {warning}"));
    }
    if !change.next.is_empty() {
        page.heading("接下来请运行", "Now run");
        for command in &change.next {
            page.command(&format!("  {command}"));
        }
    }
    page.text
}
