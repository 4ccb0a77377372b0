//! Whether cron runs the jobs, and as they are configured.

use super::{Finding, Started};
use crate::calendar::Clock;
use crate::language::Language;
use chrono::{DateTime, Utc};

/// The cron side, as far as it can be known here.
#[derive(Debug, Clone)]
pub struct Scheduled {
    /// `None`: other users' processes are hidden here.
    pub cron_running: Option<bool>,
    /// Jobs are installed, and all of them as systemd's timers.
    pub by_timers: bool,
    pub jobs: Vec<ScheduledJob>,
    /// Why the records of runs cannot be read.
    pub unreadable: Option<String>,
    pub clock: Clock,
    /// What is not as it should be in the crontab and among the units, or not known.
    pub findings: Vec<Finding>,
}

#[derive(Debug, Clone, Default)]
pub struct ScheduledJob {
    pub name: String,
    /// The place of a line that somebody wrote by hand.
    pub by_hand: Option<String>,
    pub next: Option<DateTime<Utc>>,
    /// `None`: not known.
    pub installed: Option<bool>,
    /// Whether it is installed otherwise than configured.
    pub outdated: bool,
    pub overdue: bool,
    /// The end and the exit code of its last run that no lock skipped.
    pub last: Option<(String, u8)>,
}

/// Whether cron or systemd starts at least one job.
pub fn started(scheduled: &Scheduled) -> Started {
    let is_any =
        |installed: Option<bool>| scheduled.jobs.iter().any(|job| job.installed == installed);
    match scheduled.cron_running {
        _ if scheduled.by_timers => Started::Yes,
        Some(true) if is_any(Some(true)) => Started::Yes,
        Some(false) if is_any(Some(true)) => Started::NoCron,
        None if is_any(Some(true)) => Started::Unknown,
        _ if is_any(None) => Started::Unknown,
        _ => Started::NoJob,
    }
}

/// What crontab holds, and whether cron runs it with this configuration.
pub fn cron(scheduled: &Scheduled, language: Language) -> Vec<Finding> {
    let of = |holds: &dyn Fn(&ScheduledJob) -> bool| -> Vec<&str> {
        let jobs = scheduled.jobs.iter().filter(|job| holds(job));
        jobs.map(|job| job.name.as_str()).collect()
    };
    let installed = of(&|job| job.installed == Some(true));
    let missing = of(&|job| job.installed == Some(false));
    let outdated = of(&|job| job.outdated);
    let mut findings = scheduled.findings.clone();
    let install = "taskmon schedule install";
    if installed.is_empty() && !missing.is_empty() {
        findings.push(
            Finding::warning(language.pick("没有安装任何作业", "no job is installed"))
                .hint(install),
        );
    } else if !missing.is_empty() {
        findings.push(
            Finding::warning(language.pick(
                format!("未安装：{}", missing.join("、")),
                format!("not installed: {}", missing.join(", ")),
            ))
            .hint(language.pick(
                format!("{install}；若本机不服务这些队列，则无需理会"),
                format!("{install}; nothing to do if this host does not serve their queues"),
            )),
        );
    }
    if !outdated.is_empty() {
        findings.push(
            Finding::warning(language.pick(
                format!("与配置不一致：{}", outdated.join("、")),
                format!("installed otherwise than configured: {}", outdated.join(", ")),
            ))
            .hint(install),
        );
    }
    findings.push(match scheduled.cron_running {
        _ if scheduled.by_timers => Finding::ok(language.pick(
            format!("{} 项作业由 systemd 定时器运行", installed.len()),
            format!("{} jobs are installed as systemd's timers", installed.len()),
        )),
        Some(false) if !installed.is_empty() => {
            Finding::failed(language.pick(
                "cron 没有运行，已安装的作业不会运行",
                "cron is not running, so that no installed job is started",
            ))
            .hint(language.pick(
                "启动 cron，例如 systemctl start cron",
                "start it, as by systemctl start cron",
            ))
        }
        Some(false) => Finding::warning(language.pick("cron 没有运行", "cron is not running"))
            .hint(language.pick(
                "启动 cron，例如 systemctl start cron；改用 systemd 定时器则无需理会",
                "start it, as by systemctl start cron; timers of systemd do without it",
            )),
        Some(true) => {
            let (count, next) = (installed.len(), next(scheduled, language));
            Finding::ok(language.pick(
                format!("cron 正在运行；已安装 {count} 项作业{next}"),
                format!("cron is running; {count} jobs are installed{next}"),
            ))
        }
        None => Finding::skipped(language.pick(
            "看不到其他用户的进程，无从得知 cron 是否在运行",
            "other users' processes are hidden here, so that nobody knows whether cron is running",
        )),
    });
    findings.extend(scheduled.jobs.iter().filter_map(|job| {
        let (place, next) = (job.by_hand.as_ref()?, job.next.map(|at| scheduled.clock.show(at)));
        let (name, next) = (&job.name, next.unwrap_or_else(|| "-".to_owned()));
        Some(Finding::ok(language.pick(
            format!("手工写入的 {name}（{place}），下次 {next}"),
            format!("{name} is written by hand ({place}), next {next}"),
        )))
    }));
    findings
}

/// Which installed job is due next, as the end of a sentence.
fn next(scheduled: &Scheduled, language: Language) -> String {
    let installed = scheduled.jobs.iter().filter(|job| job.installed == Some(true));
    let first = installed.filter_map(|job| Some((job.next?, &job.name))).min();
    first.map_or(String::new(), |(at, name)| {
        let at = scheduled.clock.show(at);
        language.pick(format!("，下一项是 {name}：{at}"), format!(", next {name} at {at}"))
    })
}
