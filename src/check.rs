//! Whether taskmon could do its work here: what was found, judged and put in words. Pure; `run` looks, and hands in what it saw.
//!
//! `failed` is what keeps a job from its work, `warning` what somebody should know although the jobs run, `skipped` what there is nothing to look
//! at for, or what could not be looked at because of something else that failed.

use crate::language::Language;
use crate::mapping::{Field, State, States};
use crate::outcome::{Failure, Kind};
use crate::store::inspect::{Inspection, Rights};
use crate::store::prune::MissingIndex;
use crate::system::broker::Figures;
use crate::system::disk::{Disk, DiskReport, Status as DiskStatus};
use crate::units;
use chrono::{DateTime, Offset, SecondsFormat, TimeDelta, Utc};
use chrono_tz::Tz;
use serde::Serialize;
use std::collections::BTreeSet;
use std::path::Path;

/// The result of `taskmon check`.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct CheckReport {
    pub success: bool,
    pub checks: Vec<Check>,
}

impl CheckReport {
    pub fn new(checks: Vec<Check>) -> Self {
        Self { success: true, checks }
    }

    /// Whether something keeps a job from its work.
    pub fn has_failed(&self) -> bool {
        self.checks.iter().any(|check| check.status == Status::Failed)
    }
}

/// In rising order: the worst of several findings is the check's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    Skipped,
    Ok,
    Warning,
    Failed,
}

/// One thing that was looked at.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Finding {
    pub status: Status,
    pub message: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
}

impl Finding {
    pub fn new(status: Status, message: impl Into<String>) -> Self {
        Self { status, message: message.into(), hint: None }
    }

    pub fn ok(message: impl Into<String>) -> Self {
        Self::new(Status::Ok, message)
    }

    pub fn skipped(message: impl Into<String>) -> Self {
        Self::new(Status::Skipped, message)
    }

    pub fn warning(message: impl Into<String>) -> Self {
        Self::new(Status::Warning, message)
    }

    pub fn failed(message: impl Into<String>) -> Self {
        Self::new(Status::Failed, message)
    }

    pub fn of(failure: &Failure) -> Self {
        Self { hint: failure.hint.clone(), ..Self::failed(&failure.message) }
    }

    pub fn hint(self, hint: impl Into<String>) -> Self {
        Self { hint: Some(hint.into()), ..self }
    }

    /// The message and the hint as one sentence.
    pub fn sentence(&self) -> String {
        match &self.hint {
            Some(hint) => format!("{}: {hint}", self.message),
            None => self.message.clone(),
        }
    }
}

/// Everything about one subject.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Check {
    pub name: &'static str,
    pub status: Status,
    /// Those of the findings that decide the status.
    pub message: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
    /// Where there are several.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub findings: Vec<Finding>,
}

impl Check {
    /// `findings`: at least one.
    pub fn of(name: &'static str, mut findings: Vec<Finding>) -> Self {
        for finding in &mut findings {
            if finding.hint.is_none() && finding.status >= Status::Warning {
                finding.hint = Some(first_step(name).to_owned());
            }
        }
        // What keeps reports from their work often keeps cleanup, too.
        let mut seen = BTreeSet::new();
        findings.retain(|finding| seen.insert(finding.message.clone()));
        let status = findings.iter().map(|finding| finding.status).max();
        let status = status.unwrap_or(Status::Skipped);
        let decisive = || findings.iter().filter(|finding| finding.status == status);
        let messages: Vec<&str> = decisive().map(|finding| finding.message.as_str()).collect();
        let mut hints: Vec<&str> =
            decisive().filter_map(|finding| finding.hint.as_deref()).collect();
        hints.dedup();
        Self {
            name,
            status,
            message: messages.join("; "),
            hint: (!hints.is_empty()).then(|| hints.join("; ")),
            findings: match findings.len() {
                1 => Vec::new(),
                _ => findings,
            },
        }
    }
}

/// What helps where a finding does not know better.
fn first_step(name: &str) -> &'static str {
    match name {
        "config" => {
            "`taskmon config` prints what is in force, and under `sources` where it comes from"
        }
        "database" => "try the same URL as the same user with psql or sqlite3",
        "mapping" => {
            "hold [database.tasks] and [database.receipts] against the tables; `taskmon config` prints the mapping in force"
        }
        "indexes" => "have the database's owner create them",
        "clock" => "set the clock that is wrong, with NTP",
        "permissions" => {
            "the user that cron runs the jobs as needs the right; the owner can grant it"
        }
        "storage" => "look at the path as the user that cron runs the jobs as",
        "broker" => "does the broker run, and are broker.url and broker.queues right?",
        "channels" => "`taskmon alert --test --output text` tries each channel",
        "cron" => "`taskmon schedule status --output text` shows what is installed",
        _ => "`taskmon schedule logs --output text` shows the runs",
    }
}

/// The configuration that was read, and what it warns of.
pub fn config(file: Option<&Path>, warnings: &[String], language: Language) -> Vec<Finding> {
    let mut findings = vec![match file {
        Some(file) => Finding::ok(file.display().to_string()),
        None => Finding::warning(language.pick(
            "没有找到配置文件，使用默认值",
            "no configuration file was found; the defaults hold",
        ))
        .hint("taskmon config --default > taskmon.toml"),
    }];
    findings.extend(warnings.iter().map(Finding::warning));
    findings
}

pub fn database(inspection: &Inspection, language: Language) -> Finding {
    let server = &inspection.server;
    Finding::ok(match &inspection.user {
        Some(user) => {
            language.pick(format!("{server}，用户 {user}"), format!("{server}, as {user}"))
        }
        None => server.clone(),
    })
}

/// What a report found of the fields that the mapping names.
pub struct Columns<'a> {
    pub missing: &'a [Field],
    /// Of those that are there, what the database calls their types.
    pub types: &'a [(Field, String)],
    /// The types of what cleanup reads beside them.
    pub others: &'a [(String, String)],
}

/// Whether reports find their columns. `opened`: what was found, or why the table does not fit.
pub fn mapping(opened: Result<Columns, &Failure>, language: Language) -> Finding {
    let missing = match opened {
        Ok(columns) if columns.missing.is_empty() => {
            let types = described(&columns);
            return Finding::ok(language.pick(
                format!("统计所需的列都在：{types}"),
                format!("the table has the columns that reports need: {types}"),
            ));
        }
        Ok(columns) => columns.missing,
        Err(failure) if failure.kind == Kind::PermissionDenied => {
            return Finding::skipped(&failure.message);
        }
        Err(failure) => return Finding::of(failure),
    };
    let names: Vec<&str> = missing.iter().map(|field| field.name()).collect();
    let names = names.join(", ");
    Finding::warning(language.pick(
        format!("表中没有这些列：{names}；报告中相应的值为 null，cleanup 会拒绝运行"),
        format!("the table lacks what the mapping names for {names}: reports say null, and cleanup refuses to run"),
    ))
    .hint(language.pick(
        "在 [database.tasks] 中改为实际的列名，没有的写 \"\"",
        "in [database.tasks] name the columns that there are, and write \"\" for one that there is not",
    ))
}

/// Where times without a zone are read as those of another zone than the sessions have: a client that sends times with their zone, as Celery's driver
/// does, has the server write them down in the session's.
pub fn naive_times(
    types: &[(Field, String)],
    sessions: Option<&str>,
    own: Tz,
    now: DateTime<Utc>,
    language: Language,
) -> Option<Finding> {
    let sessions: Tz = sessions?.parse().ok()?;
    let offset = |zone: Tz| now.with_timezone(&zone).offset().fix();
    let naive: Vec<&str> = (types.iter())
        .filter(|(_, kind)| kind == "timestamp without time zone")
        .map(|(field, _)| field.name())
        .collect();
    (offset(sessions) != offset(own) && !naive.is_empty()).then(|| {
        let fields = naive.join(", ");
        Finding::ok(language.pick(
            format!("不带时区的时间（{fields}）按 {own} 理解（naive_timestamps），而数据库会话的时区是 {sessions}：客户端若发送带时区的时间（Celery 即如此），存下的是会话时区的时间"),
            format!("times without a zone ({fields}) are read as {own} (naive_timestamps), and the database's sessions are in {sessions}: a client that sends times with their zone, as Celery does, has them stored in that one"),
        ))
    })
}

/// The tables that cleanup would find missing.
pub fn missing_tables(inspection: &Inspection, language: Language) -> Vec<Finding> {
    let missing = inspection.rights.iter().filter(|rights| rights.is_missing);
    let finding = |rights: &Rights| {
        let table = &rights.table;
        Finding::failed(language.pick(
            format!("没有表 {table}，cleanup 要从中删除"),
            format!("there is no table {table}, which cleanup is to delete from"),
        ))
    };
    missing.map(finding).collect()
}

/// What came of trying the mapping on rows.
pub fn trials(inspection: &Inspection, language: Language) -> Vec<Finding> {
    let trials = &inspection.trials;
    let mut findings: Vec<Finding> = trials.failed.iter().map(Finding::of).collect();
    findings.extend(trials.untried.iter().map(|why| {
        Finding::skipped(language.pick(
            format!("没能在现有的行上试算：{why}"),
            format!("not tried on the rows that there are: {why}"),
        ))
    }));
    findings
}

/// `status text, created_at date, started_at -`; a field that the mapping does not have is a dash.
fn described(columns: &Columns) -> String {
    let types = columns.types;
    let all = Field::ALL.map(|field| {
        let found = types.iter().find(|(typed, _)| *typed == field);
        let name = found.map_or("-", |(_, name)| name.as_str());
        format!("{} {name}", field.name())
    });
    let others = columns.others.iter();
    let mut others: Vec<String> = others.map(|(name, kind)| format!("{name} {kind}")).collect();
    for name in ["name", "link", "guard", "files"] {
        if !columns.others.iter().any(|(own, _)| own.starts_with(name)) {
            others.push(format!("{name} -"));
        }
    }
    [all.to_vec(), others].concat().join(", ")
}

/// Labels of the status column that no state claims: such tasks are in no report's figures but `other`, and are never deleted.
pub fn labels(
    found: &Result<Vec<(Option<String>, u64)>, String>,
    states: &States,
    language: Language,
) -> Finding {
    let labels = match found {
        Ok(labels) => labels,
        Err(why) => return Finding::skipped(why),
    };
    let total: u64 = labels.iter().map(|(_, count)| count).sum();
    let unclaimed: Vec<String> = labels
        .iter()
        .filter(|(label, _)| states.of(label.as_deref()) == State::Other)
        .map(|(label, count)| format!("{} ({count})", label.as_deref().unwrap_or("NULL")))
        .collect();
    if unclaimed.is_empty() {
        return Finding::ok(language.pick(
            format!("{total} 个任务的状态都能识别"),
            format!("the statuses of all {total} tasks are known"),
        ));
    }
    let shown = unclaimed.join(", ");
    Finding::warning(language.pick(
        format!("没有归类的状态（任务数）：{shown}；这些任务计为 other，永不删除"),
        format!("statuses that no state claims, with their tasks: {shown}; they count as other and are never deleted"),
    ))
    .hint(language.pick(
        "在 [database.tasks.states] 中写明它们属于哪个状态",
        "say in [database.tasks.states] which state they are",
    ))
}

/// What cleanup lacks, each with the statement that makes it where there is one.
pub fn indexes(indexes: &[MissingIndex], language: Language) -> Vec<Finding> {
    let missing = indexes.iter().map(|index| {
        let place = &index.place;
        let message = language.pick(
            format!("{place} 上没有索引，cleanup 会一遍遍扫描整个表"),
            format!("there is no index on {place}: cleanup reads the whole table again and again"),
        );
        match &index.remedy {
            Ok(statement) => Finding::warning(message).hint(statement.trim_end_matches(';')),
            Err(why) => Finding::warning(format!("{message}: {why}")).hint(language.pick(
                "清理照常完成，只是较慢；若映射改用表中的普通列，就可以为它建索引",
                "the work is done all the same, only slower; a plain column of the table in its place could be indexed",
            )),
        }
    });
    let mut findings: Vec<Finding> = missing.collect();
    if findings.is_empty() {
        findings.push(Finding::ok(
            language.pick("cleanup 所需的索引都在", "cleanup has the indexes that it needs"),
        ));
    }
    findings
}

/// What is not worth a word between two clocks.
const SMALL_SKEW: TimeDelta = TimeDelta::seconds(30);

/// `host`: this host's time when the database said its own. From `most` on cleanup refuses to run.
pub fn clock(
    host: DateTime<Utc>,
    inspection: Option<&Inspection>,
    zone: Tz,
    most: TimeDelta,
    language: Language,
) -> Finding {
    let shown = host.with_timezone(&zone).to_rfc3339_opts(SecondsFormat::Secs, false);
    let here = language
        .pick(format!("本机时间 {shown}（{zone}）"), format!("this host has {shown} ({zone})"));
    let Some((time, theirs)) = inspection.and_then(|own| own.clock.zip(own.zone.as_deref())) else {
        return Finding::ok(here);
    };
    let skew = time - host;
    let seconds = skew.num_milliseconds() as f64 / 1000.0;
    let message = language.pick(
        format!("{here}，数据库相差 {seconds:.1} 秒，其时区为 {theirs}"),
        format!("{here}; the database's clock is {seconds:+.1} s off it, its zone {theirs}"),
    );
    let hint =
        language.pick("校准走得不准的那台机器（NTP）", "set the clock that is wrong, with NTP");
    match skew.abs() {
        skew if skew > most => Finding::failed(message).hint(hint),
        skew if skew > SMALL_SKEW => Finding::warning(message).hint(hint),
        _ => Finding::ok(message),
    }
}

/// Where cron, which goes by the system's zone, has other hours than the reports.
pub fn zones(system: Tz, own: Tz, now: DateTime<Utc>, language: Language) -> Option<Finding> {
    let offset = |zone: Tz| now.with_timezone(&zone).offset().fix();
    (offset(system) != offset(own)).then(|| {
        Finding::ok(language.pick(
            format!("cron 按系统时区 {system} 运行，日期按 {own} 划分"),
            format!("cron goes by the system's zone, {system}; days are counted in {own}"),
        ))
    })
}

/// What this user may do with the tables.
pub fn rights(inspection: &Inspection, language: Language) -> Vec<Finding> {
    let mut findings: Vec<Finding> = inspection
        .read_only
        .iter()
        .map(|why| {
            Finding::failed(language.pick(
                format!("无法删除：{why}；stats 可用，cleanup 不行"),
                format!("nothing can be deleted: {why}; stats works, cleanup does not"),
            ))
        })
        .collect();
    // In a file, whoever cannot write one table cannot write any, and has been told.
    let lacking = inspection.rights.iter().filter(|_| inspection.user.is_some());
    findings.extend(lacking.filter_map(|rights| lacks(rights, inspection, language)));
    if findings.is_empty() {
        findings.push(Finding::ok(
            language.pick("可以读取和删除表中的行", "the tables can be read and deleted from"),
        ));
    }
    findings
}

fn lacks(rights: &Rights, inspection: &Inspection, language: Language) -> Option<Finding> {
    let missing: Vec<&str> = [("SELECT", rights.select), ("DELETE", rights.delete)]
        .into_iter()
        .filter(|(_, may)| *may == Some(false))
        .map(|(right, _)| right)
        .collect();
    let (right, table) = (missing.join(", "), &rights.table);
    let user = inspection.user.as_deref().unwrap_or_default();
    if let Some(schema) = &rights.closed_schema {
        let finding = Finding::failed(language.pick(
            format!("{user} 对 {table} 所在的模式 {schema} 没有 USAGE 权限"),
            format!("{user} lacks USAGE on the schema {schema} of {table}"),
        ));
        return Some(finding.hint(format!("GRANT USAGE ON SCHEMA {schema} TO {user}")));
    }
    (!missing.is_empty()).then(|| {
        Finding::failed(language.pick(
            format!("{user} 对 {table} 没有 {right} 权限"),
            format!("{user} lacks {right} on {table}"),
        ))
        .hint(format!("GRANT {right} ON {table} TO {user}"))
    })
}

/// Less than this is too little for reports and records, in bytes.
const LITTLE_SPACE: u64 = 100 * 1024 * 1024;

/// The file systems of the folders that taskmon works in.
pub fn space(report: &DiskReport, language: Language) -> Vec<Finding> {
    let mut findings: Vec<Finding> =
        report.errors.iter().map(|issue| Finding::warning(&issue.message)).collect();
    findings.extend(by_mount(report).into_iter().map(|(disk, paths)| {
        let mount = disk.mount.as_deref().unwrap_or("?");
        let kind = disk.fs_type.as_deref().unwrap_or("?");
        let (used, free) = (disk.usage_percent, units::gib(disk.bytes.available));
        let paths = paths.join(", ");
        let message = language.pick(
            format!("{mount}（{kind}）已用 {used}%，可用 {free} GiB：{paths}"),
            format!("{mount} ({kind}), {used}% used, {free} GiB free: {paths}"),
        );
        if disk.bytes.available < LITTLE_SPACE || disk.status != DiskStatus::Normal {
            Finding::warning(message).hint(language.pick(
                "磁盘快满了：报告和记录可能写不进去",
                "make room, or reports and records may not be written",
            ))
        } else {
            Finding::ok(message)
        }
    }));
    findings
}

/// The file systems, each once, with the paths on it.
fn by_mount(report: &DiskReport) -> Vec<(&Disk, Vec<&str>)> {
    let mut mounts: Vec<(&Disk, Vec<&str>)> = Vec::new();
    for disk in &report.disks {
        let same = |known: &&mut (&Disk, Vec<&str>)| {
            known.0.mount.is_some() && known.0.mount == disk.mount
        };
        match mounts.iter_mut().find(same) {
            Some((_, paths)) => paths.push(&disk.path),
            None => mounts.push((disk, vec![&disk.path])),
        }
    }
    mounts
}

/// What the broker holds: whether its queues are served, as far as it knows.
pub fn broker(figures: &Figures, language: Language) -> Vec<Finding> {
    let waiting: u64 = figures.queues.values().flatten().sum();
    let names: Vec<&str> = figures.queues.keys().map(String::as_str).collect();
    let mut findings = vec![Finding::ok(language.pick(
        format!("{}：{} 中有 {waiting} 条消息等待", figures.source, names.join("、")),
        format!("{}: {waiting} messages wait in {}", figures.source, names.join(", ")),
    ))];
    for (queue, consumers) in figures.consumers.iter().flatten() {
        if *consumers == 0
            && figures
                .queues
                .get(queue)
                .is_some_and(|waiting| waiting.is_some_and(|waiting| waiting > 0))
        {
            findings.push(Finding::warning(language.pick(
                format!("队列 {queue} 有消息等待，却没有消费者"),
                format!("messages wait in the queue {queue}, and it has no consumer"),
            )));
        }
    }
    for (key, why) in &figures.reasons {
        if let Some(queue) = key.strip_prefix("queues.") {
            findings.push(Finding::warning(format!("broker.queues: {queue}: {why}")));
        } else if key == "total_pending" {
            findings.push(Finding::warning(why));
        }
    }
    findings
}

/// The cron side, as far as it can be known here.
#[derive(Debug, Clone, Default)]
pub struct Scheduled {
    /// `None`: other users' processes are hidden here.
    pub cron_running: Option<bool>,
    /// Jobs are installed, and all of them as systemd's timers.
    pub by_timers: bool,
    pub jobs: Vec<ScheduledJob>,
    /// Why the records of runs cannot be read.
    pub unreadable: Option<String>,
    /// What is not as it should be in the crontab and among the units, or not known.
    pub findings: Vec<Finding>,
}

#[derive(Debug, Clone, Default)]
pub struct ScheduledJob {
    pub name: String,
    /// `None`: not known.
    pub installed: Option<bool>,
    /// Whether it is installed otherwise than configured.
    pub outdated: bool,
    pub overdue: bool,
    /// The end and the exit code of its last run that no lock skipped.
    pub last: Option<(String, u8)>,
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
        Some(true) => Finding::ok(language.pick(
            format!("cron 正在运行；已安装 {} 项作业", installed.len()),
            format!("cron is running; {} jobs are installed", installed.len()),
        )),
        None => Finding::skipped(language.pick(
            "看不到其他用户的进程，无从得知 cron 是否在运行",
            "other users' processes are hidden here, so that nobody knows whether cron is running",
        )),
    });
    findings
}

/// The jobs' last runs.
pub fn runs(scheduled: &Scheduled, language: Language) -> Vec<Finding> {
    if let Some(why) = &scheduled.unreadable {
        return vec![Finding::failed(why).hint(language.pick(
            "cron 所用的用户必须能读写这个文件；它若已损坏，可以移走，下次运行会新建",
            "the user that cron runs the jobs as has to be able to read and write it; what is no file can be moved away, and the next run makes a new one",
        ))];
    }
    let mut findings = Vec::new();
    for job in &scheduled.jobs {
        let name = &job.name;
        if job.overdue {
            findings.push(
                Finding::failed(language.pick(
                    format!("{name} 逾期：到时没有成功运行"),
                    format!("{name} is overdue: no run of it ended well when it was due"),
                ))
                .hint("taskmon schedule logs --output text"),
            );
        }
        match &job.last {
            Some((end, code)) if !matches!(code, 0 | 1 | 4) => findings.push(
                Finding::warning(language.pick(
                    format!("{name} 上次于 {end} 失败，退出码 {code}"),
                    format!("{name} failed the last time, at {end}, with exit code {code}"),
                ))
                .hint("taskmon schedule logs --output text"),
            ),
            Some((end, code)) => findings.push(Finding::ok(language.pick(
                format!("{name} 上次于 {end} 结束，退出码 {code}"),
                format!("{name} ended the last time at {end}, with exit code {code}"),
            ))),
            None => {}
        }
    }
    if findings.is_empty() {
        findings.push(Finding::skipped(
            language.pick("还没有运行记录", "no run has been recorded yet"),
        ));
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_worst_findings_speak_for_a_check() {
        let check = Check::of(
            "storage",
            vec![
                Finding::ok("fine"),
                Finding::warning("one").hint("do this"),
                Finding::skipped("nothing"),
                Finding::warning("two").hint("do this"),
            ],
        );
        assert_eq!((check.status, check.message.as_str()), (Status::Warning, "one; two"));
        assert_eq!(check.hint.as_deref(), Some("do this"));
        assert_eq!(check.findings.len(), 4);
    }

    fn at(seconds: i64) -> DateTime<Utc> {
        DateTime::from_timestamp(1_800_000_000 + seconds, 0).unwrap()
    }

    #[test]
    fn a_system_in_another_zone_is_told_of() {
        let told = |system, own| zones(system, own, at(0), Language::En).map(|found| found.message);
        assert_eq!(told(Tz::Asia__Shanghai, Tz::Asia__Shanghai), None);
        assert_eq!(told(Tz::UTC, Tz::Etc__UTC), None, "two names of one zone");
        let message = told(Tz::UTC, Tz::Asia__Shanghai).unwrap();
        assert!(message.contains("zone, UTC;") && message.contains("Asia/Shanghai"), "{message}");
    }

    fn inspection(clock: Option<DateTime<Utc>>) -> Inspection {
        Inspection {
            server: "PostgreSQL 15".into(),
            user: Some("reader".into()),
            clock,
            host_clock: at(0),
            zone: clock.map(|_| "UTC".into()),
            read_only: None,
            rights: Vec::new(),
            labels: Ok(Vec::new()),
            trials: Default::default(),
            types: Vec::new(),
        }
    }

    #[test]
    fn clocks_are_judged_by_how_far_they_differ() {
        let most = TimeDelta::minutes(5);
        for (seconds, expected) in [
            (0, Status::Ok),
            (30, Status::Ok),
            (-31, Status::Warning),
            (300, Status::Warning),
            (301, Status::Failed),
            (-301, Status::Failed),
        ] {
            let found =
                clock(at(0), Some(&inspection(Some(at(seconds)))), Tz::UTC, most, Language::En);
            assert_eq!(found.status, expected, "{seconds}: {}", found.message);
        }
        let alone = clock(at(0), Some(&inspection(None)), Tz::Asia__Shanghai, most, Language::Zh);
        assert_eq!(alone.message, "本机时间 2027-01-15T16:00:00+08:00（Asia/Shanghai）");
    }
}
