//! Whether the jobs are installed where they can run, once each, and with the right zone.

use super::Finding;
use crate::job::ByHand;
use crate::language::Language;
use crate::schedule::entry::Entry;
use crate::schedule::settings::Settings;
use crate::schedule::shell;
use crate::schedule::starts::Unclear;
use crate::timezone::Tz;
use std::io;
use std::path::Path;

/// Jobs whose lines start what is not there.
pub fn broken(entries: &[Entry], language: Language) -> Vec<Finding> {
    let mut obstacles: Vec<(String, Vec<&str>)> = Vec::new();
    let mut by_hand = Vec::new();
    for entry in entries.iter().filter(|entry| entry.runs) {
        let Some(why) = entry.obstacle() else {
            continue;
        };
        if entry.line.is_some() {
            let position = entry.position();
            by_hand.push(
                Finding::failed(language.pick(
                    format!("{position} 无法运行（{why}）"),
                    format!("{position} cannot run ({why})"),
                ))
                .hint(language.pick("改正这一行", "put the line right")),
            );
            continue;
        }
        match obstacles.iter_mut().find(|(other, _)| *other == why) {
            Some((_, names)) => names.push(&entry.job.name),
            None => obstacles.push((why, vec![&entry.job.name])),
        }
    }
    let findings = obstacles.into_iter().map(|(why, names)| {
        let names = names.join(", ");
        Finding::failed(language.pick(
            format!("已安装的作业无法运行（{why}）：{names}"),
            format!("installed, and cannot run ({why}): {names}"),
        ))
        .hint(language.pick("运行 `taskmon schedule install`（定时器则加 --systemd），重新写入本程序和配置文件的路径", "`taskmon schedule install`, for timers with --systemd, writes the paths of this program and of the configuration anew"))
    });
    findings.chain(by_hand).collect()
}

/// A crontab of the system that cannot be read.
pub fn unreadable(path: &Path, error: &io::Error, language: Language) -> Finding {
    let path = path.display();
    let message = language.pick(
        format!("无法读取 {path}（{error}）：其中的作业不得而知"),
        format!("{path} cannot be read ({error}): jobs in it are not known"),
    );
    if error.kind() == io::ErrorKind::PermissionDenied {
        return Finding::skipped(message);
    }
    Finding::warning(message).hint(language.pick(
        "cron 也不会读取不是普通文件的内容：请看看它是什么",
        "cron reads no such file either: look what it is",
    ))
}

/// A line that names taskmon, and is not understood. `position`: its file and number.
pub fn unclear(position: &str, unclear: &Unclear, language: Language) -> Finding {
    let why = match unclear {
        Unclear::Shell => {
            language.pick("引号没有闭合，或用了 << ", "a quote is open, or it uses <<")
        }
        Unclear::Expands => language.pick(
            "参数、目录或变量要由 shell 计算",
            "a shell computes its arguments, its folder or a variable",
        ),
        Unclear::Behind => language
            .pick("taskmon 由脚本或其他程序启动", "a script or another program starts taskmon"),
        Unclear::Times => {
            language.pick("不是每种 cron 都认识它的时间", "not every cron knows its times")
        }
        Unclear::Refused(why) => why,
    };
    Finding::warning(language.pick(
        format!("{position} 提到 taskmon 而无法理解（{why}）：其中的作业不受监视"),
        format!("{position} names taskmon and is not understood ({why}): its jobs are not watched"),
    ))
    .hint(language.pick(
        "写成 `taskmon 作业 选项`，前面最多有 nice、ionice、env、flock、timeout、cd 或 sh -c",
        "write it as `taskmon JOB OPTIONS`, with nothing before it but nice, ionice, env, flock, timeout, cd or sh -c",
    ))
}

/// A line whose options make its runs ones by hand, which notify nobody.
pub fn quiet(position: &str, by_hand: ByHand, language: Language) -> Finding {
    Finding::warning(language.pick(
        format!("{position} 不通知任何人：算作手动运行（{by_hand}）"),
        format!("{position} notifies nobody: it counts as a run by hand ({by_hand})"),
    ))
    .hint(language.pick(
        "加上 --alert；或写进配置的 [[schedule.jobs]]，再运行 `taskmon schedule install`",
        "add --alert, or make it one of [[schedule.jobs]] and run `taskmon schedule install`",
    ))
}

/// A line that starts taskmon by its name alone, which cron may not find.
pub fn not_on_path(position: &str, path: &str, language: Language) -> Finding {
    Finding::warning(language.pick(
        format!("{position} 只写了 taskmon 而没有路径，而 cron 的 PATH（{path}）中没有它"),
        format!(
            "{position} starts taskmon without its path, and cron's PATH ({path}) does not have it"
        ),
    ))
    .hint(language.pick(
        "写出绝对路径：`command -v taskmon` 会给出",
        "write the whole path, which `command -v taskmon` prints",
    ))
}

/// Jobs that `install --replace` leaves to whoever may write the file.
pub fn to_take_out(positions: &[String], language: Language) -> Finding {
    let positions = positions.join(", ");
    Finding::warning(language.pick(
        format!("请自行去掉这些行，否则作业会运行两遍：{positions}"),
        format!("take these lines out yourself, or the jobs run twice: {positions}"),
    ))
}

/// Timers that are written and will never run.
pub fn not_enabled(folder: &Path, control: &str, timers: &[String], language: Language) -> Finding {
    let folder = folder.display();
    let names = timers.join(", ");
    Finding::warning(language.pick(
        format!("{folder} 中的定时器已写入但没有启用：{names}"),
        format!("written but not enabled, in {folder}: {names}"),
    ))
    .hint(format!(
        "{control} daemon-reload; {control} enable --now {}",
        shell::quoted_words(timers)
    ))
}

/// A block whose configuration is not known or has been moved away; those of other configurations are no concern.
pub fn unusable_block(config: Option<&Path>, language: Language) -> Option<Finding> {
    let hint = language.pick(
        "`taskmon schedule remove --all` 去掉所有区块，`taskmon schedule install` 为这份配置写入新的区块",
        "`taskmon schedule remove --all` takes all blocks out, `taskmon schedule install` writes one for this configuration",
    );
    let Some(config) = config else {
        let warning = Finding::warning(language.pick(
            "crontab 中 taskmon 的一个区块没有写明属于哪份配置",
            "a block of taskmon in the crontab does not say for which configuration it is",
        ));
        return Some(warning.hint(hint));
    };
    let is_gone = matches!(config.try_exists(), Ok(false));
    is_gone.then(|| {
        let shown = config.display();
        Finding::failed(language.pick(
            format!("crontab 中有配置 {shown} 的区块，而该文件不存在：其中的作业无法运行"),
            format!("the crontab has a block for the configuration {shown}, which does not exist: its jobs cannot run"),
        ))
        .hint(hint)
    })
}

/// The jobs that are installed in more than one place.
pub fn doubled(entries: &[Entry], language: Language) -> Option<Finding> {
    let is_same = |one: &Entry, other: &Entry| {
        let (job, again) = (&one.job, &other.job);
        let is_equal = (&job.cron, &job.command) == (&again.cron, &again.command);
        // By hand a job may be written twice on purpose, at different times.
        let is_by_hand = one.line.is_some() && other.line.is_some();
        is_equal || (job.name == again.name && !is_by_hand)
    };
    let mut names: Vec<&str> = Vec::new();
    let mut places: Vec<String> = Vec::new();
    let mut by_hand: Vec<String> = Vec::new();
    for entry in entries {
        let again = entries
            .iter()
            .find(|other| other.position() != entry.position() && is_same(other, entry));
        if let Some(again) = again {
            names.push(&entry.job.name);
            let both = [entry, again];
            places.extend(both.map(Entry::position));
            by_hand.extend(both.iter().filter(|one| one.line.is_some()).map(|one| one.position()));
        }
    }
    names.sort_unstable();
    names.dedup();
    for list in [&mut places, &mut by_hand] {
        list.sort_unstable();
        list.dedup();
    }
    let (names, places) = (names.join(", "), places.join(", "));
    (!names.is_empty()).then(|| {
        Finding::warning(language.pick(
            format!("同一作业安装了不止一处（{places}），每次会运行两遍：{names}"),
            format!("installed in more than one place ({places}), so that each would run twice: {names}"),
        ))
        .hint(if by_hand.is_empty() {
            language.pick("`taskmon schedule remove` 去掉 crontab 中的行，`taskmon schedule remove --systemd` 去掉单元", "`taskmon schedule remove` takes the lines out of the crontab, `taskmon schedule remove --systemd` the units away").to_owned()
        } else {
            let lines = by_hand.join(", ");
            language.pick(
                format!("只留一处：去掉手工写的行（{lines}），自己 crontab 中的可由 `taskmon schedule install --replace` 取代；或用 `taskmon schedule remove` 去掉安装的"),
                format!("keep one: take out what is written by hand ({lines}), which `taskmon schedule install --replace` does in your crontab, or what is installed, with `taskmon schedule remove`"),
            )
        })
    })
}

/// Jobs that go on running although nobody configures them any more.
pub fn left_over(names: &[String], language: Language) -> Option<Finding> {
    let names = names.join(", ");
    (!names.is_empty()).then(|| {
        Finding::warning(language.pick(
            format!("已安装而配置中已没有的作业：{names}"),
            format!("installed under a name that the configuration does not have: {names}"),
        ))
        .hint(language.pick("再次运行 `taskmon schedule install`（定时器则加 --systemd），只安装配置中的作业；`taskmon schedule remove` 全部去掉", "`taskmon schedule install` once more, for timers with --systemd, installs only the configured jobs; `taskmon schedule remove` takes everything out"))
    })
}

pub fn no_jobs(settings: &Settings, language: Language) -> Option<Finding> {
    settings.jobs.is_empty().then(|| {
        Finding::warning(language.pick(
            "schedule.jobs 为空：没有配置任何作业",
            "schedule.jobs is empty: no job is configured",
        ))
        .hint(language.pick(
            "去掉这一配置项即恢复默认的作业；或用 [[schedule.jobs]] 写明自己的作业",
            "without the key the default jobs hold; [[schedule.jobs]] names one's own",
        ))
    })
}

/// The zones that lines above the block set: cronie goes by `CRON_TZ`, and the jobs have as their zone what a crontab sets as `TZ`.
///
/// `set`: their names and values; `host`: the zone that cron itself goes by; `configured`: the configuration's `timezone`.
pub fn zones_above(
    set: &[(String, String)],
    host: Option<Tz>,
    configured: Option<&str>,
    language: Language,
) -> Vec<Finding> {
    let last = |name: &str| {
        let found = set.iter().rev().find(|(other, _)| other == name);
        found.map(|(_, value)| value.as_str())
    };
    let is_the_hosts = |zone: &str| host.is_some_and(|host| host.name() == zone);
    let mut findings = Vec::new();
    if let Some(zone) = last("CRON_TZ").filter(|zone| !is_the_hosts(zone)) {
        findings.push(
            Finding::warning(language.pick(
                format!("crontab 中区块之前设置了 CRON_TZ={zone}：cronie 按该时区运行这些作业，Debian 的 cron 则按系统时区；这里的时间均按系统时区"),
                format!("CRON_TZ is set to {zone} in the crontab above the block: cronie runs the jobs by the clock of that zone, Debian's cron by the system's, which the times here are in"),
            ))
            .hint(language.pick(
                "若非有意，请把该行移到区块之后",
                "move the line below the block unless that is meant",
            )),
        );
    }
    if let Some(zone) = last("TZ").filter(|_| configured.is_none()) {
        findings.push(
            Finding::warning(language.pick(
                format!("crontab 中区块之前设置了 TZ={zone}：配置中没有 `timezone`，作业按该时区计算日期；运行时刻不受影响"),
                format!("TZ is set to {zone} in the crontab above the block: as the configuration has no `timezone`, the jobs count days in that zone; when they run does not change"),
            ))
            .hint(language.pick(
                "在配置中写明 `timezone`",
                "say `timezone` in the configuration",
            )),
        );
    }
    findings
}
