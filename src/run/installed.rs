//! Where the jobs are installed, in the crontab and as units, and what is not as it should be there.

use super::schedule::{SYSTEM_UNITS, read_crontab, unit_dir, user_units};
use super::{Session, real};
use crate::check::Finding;
use crate::cli::SchedulePlace;
use crate::config::{self, Config};
use crate::language::Language;
use crate::outcome::{Failure, Kind};
use crate::schedule::crontab::Crontab;
use crate::schedule::program::Program;
use crate::schedule::{self, Installed, Job, systemd};
use rustix::fs::{Access, access};
use std::path::{Path, PathBuf};

impl Session {
    /// The jobs that are installed with this configuration, in the crontab and as units; `None`: there are none at all.
    pub(super) fn installed(
        &self,
        config: &Config,
        program: &Program,
    ) -> Result<Option<InstalledJobs>, Failure> {
        let own = config.file.as_deref().map(real);
        let is_own = |other: &Path| own.as_ref() == Some(&real(other));
        let language = config.language;
        let mut entries: Vec<Entry> = Vec::new();
        let mut findings = Vec::new();
        for (folder, control) in unit_folders() {
            let written = systemd::read(&folder).unwrap_or_else(|error| {
                log::warn!("the units in {} cannot be read: {error}", folder.display());
                Default::default()
            });
            let links = enabled_elsewhere(&folder);
            let own = written.jobs.into_iter().filter(|job| is_own(&job.config));
            let own: Vec<(bool, systemd::WrittenJob)> =
                own.map(|job| (job.is_enabled(&links), job)).collect();
            let idle = own.iter().filter(|(enabled, _)| !enabled);
            let idle: Vec<String> = idle.map(|(_, job)| job.unit()).collect();
            if !idle.is_empty() {
                let folder = folder.display();
                let names = idle.join(", ");
                findings.push(
                    Finding::warning(language.pick(
                        format!("{folder} 中的定时器已写入但没有启用：{names}"),
                        format!("written but not enabled, in {folder}: {names}"),
                    ))
                    .hint(format!(
                        "{control} daemon-reload; {control} enable --now {}",
                        schedule::quoted_words(&idle)
                    )),
                );
            }
            entries.extend(own.into_iter().map(|(runs, job)| Entry {
                place: folder.display().to_string(),
                is_timer: true,
                runs,
                job: job.job,
                words: job.words,
            }));
        }
        let mut is_known = !entries.is_empty();
        let mut zones = Vec::new();
        match program.read() {
            Ok(text) => {
                let text = text.unwrap_or_default();
                let crontab = read_crontab(&text)?;
                if crontab.config().as_deref().is_some_and(is_own) {
                    zones = zones_above(&crontab, config);
                    let words = crontab.words();
                    entries.extend(crontab.jobs().into_iter().map(|job| Entry {
                        place: "crontab".to_owned(),
                        is_timer: false,
                        runs: true,
                        words: words_of(&words, &job.name),
                        job,
                    }));
                } else if crontab.block().is_some() {
                    findings.push(of_another(crontab.config(), language));
                }
                is_known = true;
            }
            // Where there is no cron, or none for this user, the timers are what there is.
            Err(failure)
                if matches!(failure.kind, Kind::CrontabUnavailable | Kind::CrontabRefused)
                    && is_known => {}
            Err(failure) => return Err(failure),
        }
        let configured: Vec<&str> =
            config.schedule.jobs.iter().map(|job| job.name.as_str()).collect();
        for entry in &mut entries {
            schedule::rename_former(&mut entry.job, &configured);
        }
        findings.extend(doubled(&entries, language));
        findings.extend(broken(&entries, language));
        let running = || entries.iter().filter(|entry| entry.runs);
        let by_timers = running().next().is_some() && running().all(|entry| entry.is_timer);
        let jobs = running().map(|entry| entry.job.clone()).collect();
        Ok(is_known.then_some(InstalledJobs { jobs, by_timers, entries, findings, zones }))
    }

    /// What would run twice once these jobs are installed at a place, besides.
    pub(super) fn doubled_by(
        &self,
        config: &Config,
        jobs: &[Job],
        place: &SchedulePlace,
    ) -> Vec<Finding> {
        let target = if place.systemd {
            unit_dir(place).map_or_else(|_| String::new(), |dir| dir.display().to_string())
        } else {
            "crontab".to_owned()
        };
        let program = Program { user: place.user.clone() };
        let installed = match self.installed(config, &program) {
            Ok(installed) => installed,
            Err(failure) => {
                log::info!("whether jobs are installed twice is not known: {failure}");
                None
            }
        };
        let entries = installed.into_iter().flat_map(|found| found.entries);
        let mut entries: Vec<Entry> = entries.filter(|entry| entry.place != target).collect();
        entries.extend(jobs.iter().map(|job| Entry {
            place: target.clone(),
            is_timer: place.systemd,
            runs: true,
            job: Installed::of(job, &[], self.now),
            words: Vec::new(),
        }));
        doubled(&entries, config.language).into_iter().collect()
    }
}

/// The jobs that are installed with a configuration.
pub(super) struct InstalledJobs {
    /// Those that run.
    pub(super) jobs: Vec<Installed>,
    /// All that stand somewhere.
    entries: Vec<Entry>,
    /// What is not as it should be.
    pub(super) findings: Vec<Finding>,
    /// What the crontab says of zones.
    pub(super) zones: Vec<Finding>,
    /// There are some, and all of them are systemd's timers.
    pub(super) by_timers: bool,
}

impl InstalledJobs {
    /// The names of those that the configuration does not have.
    pub(super) fn leftover(&self, config: &Config) -> Vec<String> {
        let configured = |name: &str| config.schedule.jobs.iter().any(|job| job.name == name);
        let names = self.entries.iter().map(|entry| entry.job.name.clone());
        let mut names: Vec<String> = names.filter(|name| !configured(name)).collect();
        names.sort();
        names.dedup();
        names
    }

    /// The names of those that stand as units alone, and not enabled.
    pub(super) fn idle(&self) -> Vec<String> {
        let runs = |name: &str| self.jobs.iter().any(|job| job.name == name);
        let names = self.entries.iter().map(|entry| entry.job.name.clone());
        names.filter(|name| !runs(name)).collect()
    }
}

/// A job that is installed with a configuration.
struct Entry {
    /// "crontab", or the folder of its units.
    place: String,
    is_timer: bool,
    /// A timer that is not enabled does not.
    runs: bool,
    job: Installed,
    /// What is started: the program and its arguments, perhaps behind `nice`. Empty: not known.
    words: Vec<String>,
}

impl Entry {
    /// Why what it starts cannot run: the program, or the file that it names with `-c`.
    fn issue(&self) -> Option<String> {
        let words = match self.words.as_slice() {
            [nice, _, _, rest @ ..] if nice == "nice" => rest,
            words => words,
        };
        let (program, rest) = words.split_first()?;
        let shown = |path: &str, why: &dyn std::fmt::Display| format!("{path}: {why}");
        let path = Path::new(program);
        // What PATH holds cron knows better.
        if path.is_absolute() {
            let found = path.metadata().map_err(|error| shown(program, &error));
            match found {
                Err(why) => return Some(why),
                Ok(found) if !found.is_file() => return Some(shown(program, &"it is no program")),
                Ok(_) => {}
            }
            if let Err(error) = access(path, Access::EXEC_OK) {
                return Some(shown(program, &error));
            }
        }
        let named = rest.windows(2).find(|pair| pair[0] == "-c")?[1].as_str();
        match Path::new(named).metadata() {
            Ok(found) if !found.is_file() => Some(shown(named, &"it is no file")),
            Ok(_) => access(named, Access::READ_OK).err().map(|error| shown(named, &error)),
            Err(error) => Some(shown(named, &error)),
        }
    }
}

fn words_of(all: &[(String, Vec<String>)], name: &str) -> Vec<String> {
    let own = all.iter().find(|(other, _)| other == name);
    own.map_or_else(Vec::new, |(_, words)| words.clone())
}

/// Jobs whose lines start what is not there.
fn broken(entries: &[Entry], language: Language) -> Vec<Finding> {
    let mut issues: Vec<(String, Vec<&str>)> = Vec::new();
    for entry in entries.iter().filter(|entry| entry.runs) {
        let Some(why) = entry.issue() else {
            continue;
        };
        match issues.iter_mut().find(|(other, _)| *other == why) {
            Some((_, names)) => names.push(&entry.job.name),
            None => issues.push((why, vec![&entry.job.name])),
        }
    }
    let findings = issues.into_iter().map(|(why, names)| {
        let names = names.join(", ");
        Finding::failed(language.pick(
            format!("已安装的任务无法运行（{why}）：{names}"),
            format!("installed, and cannot run ({why}): {names}"),
        ))
        .hint(language.pick("运行 `taskmon schedule install`（定时器则加 --systemd），重新写入本程序和配置文件的路径", "`taskmon schedule install`, for timers with --systemd, writes the paths of this program and of the configuration anew"))
    });
    findings.collect()
}

/// A block that is for another configuration, perhaps for one that has been moved away.
fn of_another(config: Option<PathBuf>, language: Language) -> Finding {
    let Some(config) = config else {
        return Finding::warning(language.pick(
            "crontab 中 taskmon 的区块没有写明属于哪份配置",
            "the crontab's block of taskmon does not say for which configuration it is",
        ))
        .hint(language.pick(
            "`taskmon schedule remove` 去掉它，`taskmon schedule install` 重新写入",
            "`taskmon schedule remove` takes it out, `taskmon schedule install` writes it anew",
        ));
    };
    let shown = config.display();
    match config.try_exists() {
        Ok(false) => Finding::failed(language.pick(
            format!("crontab 中的区块属于配置 {shown}，而该文件不存在：其中的任务无法运行"),
            format!("the crontab's block is for the configuration {shown}, which does not exist: its jobs cannot run"),
        ))
        .hint(language.pick("`taskmon schedule remove` 去掉它，`taskmon schedule install` 为这份配置写入新的区块", "`taskmon schedule remove` takes it out, `taskmon schedule install` writes one for this configuration")),
        _ => Finding::warning(language.pick(
            format!("crontab 中的区块属于另一份配置 {shown}"),
            format!("the crontab's block is for another configuration, {shown}"),
        ))
        .hint(language.pick("另一份配置的任务可以属于另一个用户（--user），或用定时器（--systemd）", "another configuration's jobs can be another user's (--user) or timers (--systemd)")),
    }
}

/// The jobs that stand in more than one place.
fn doubled(entries: &[Entry], language: Language) -> Option<Finding> {
    let is_same = |one: &Installed, other: &Installed| {
        one.name == other.name || (&one.cron, &one.command) == (&other.cron, &other.command)
    };
    let mut names: Vec<&str> = Vec::new();
    let mut places: Vec<&str> = Vec::new();
    for entry in entries {
        let mut others = entries.iter();
        let again =
            others.find(|other| other.place != entry.place && is_same(&other.job, &entry.job));
        if let Some(again) = again {
            names.push(&entry.job.name);
            places.extend([entry.place.as_str(), again.place.as_str()]);
        }
    }
    for list in [&mut names, &mut places] {
        list.sort_unstable();
        list.dedup();
    }
    let (names, places) = (names.join(", "), places.join(", "));
    (!names.is_empty()).then(|| {
        Finding::warning(language.pick(
            format!("同一任务安装了不止一处（{places}），每次会运行两遍：{names}"),
            format!("installed in more than one place ({places}), so that each would run twice: {names}"),
        ))
        .hint(language.pick("`taskmon schedule remove` 去掉 crontab 中的行，`taskmon schedule remove --systemd` 去掉单元", "`taskmon schedule remove` takes the lines out of the crontab, `taskmon schedule remove --systemd` the units away"))
    })
}

/// Jobs that go on running although nobody configures them any more.
pub(super) fn left_over(names: &[String], language: Language) -> Option<Finding> {
    let names = names.join(", ");
    (!names.is_empty()).then(|| {
        Finding::warning(language.pick(
            format!("已安装而配置中已没有的任务：{names}"),
            format!("installed under a name that the configuration does not have: {names}"),
        ))
        .hint(language.pick("再次运行 `taskmon schedule install`（定时器则加 --systemd），只安装配置中的任务；`taskmon schedule remove` 全部去掉", "`taskmon schedule install` once more, for timers with --systemd, installs what is configured alone; `taskmon schedule remove` takes everything out"))
    })
}

pub(super) fn no_jobs(config: &Config) -> Option<Finding> {
    config.schedule.jobs.is_empty().then(|| {
        Finding::warning(config.language.pick(
            "schedule.jobs 为空：没有配置任何定时任务",
            "schedule.jobs is empty: no job is configured",
        ))
        .hint(config.language.pick(
            "去掉这个键即为默认的任务；或用 [[schedule.jobs]] 写明自己的任务",
            "without the key the default jobs hold; [[schedule.jobs]] names one's own",
        ))
    })
}

/// The zones that lines above the block set: cronie goes by `CRON_TZ`, and whatever a crontab sets as `TZ` the jobs themselves have.
pub(super) fn zones_above(crontab: &Crontab, config: &Config) -> Vec<Finding> {
    let language = config.language;
    let set = crontab.variables();
    let last = |name: &str| {
        let mut own = set.iter().rev().filter(|(other, _)| other == name);
        own.next().map(|(_, value)| value.as_str())
    };
    let system = config::of_the_host();
    let is_the_systems = |zone: &str| system.is_some_and(|system| system.name() == zone);
    let mut findings = Vec::new();
    if let Some(zone) = last("CRON_TZ").filter(|zone| !is_the_systems(zone)) {
        findings.push(
            Finding::warning(language.pick(
                format!("crontab 中区块之前设置了 CRON_TZ={zone}：cronie 按该时区运行这些任务，Debian 的 cron 则按系统时区；这里的时间均按系统时区"),
                format!("CRON_TZ is set to {zone} in the crontab above the block: cronie runs the jobs by the clock of that zone, Debian's cron by the system's, which the times here are in"),
            ))
            .hint(language.pick(
                "若非有意，请把该行移到区块之后",
                "move the line below the block unless that is meant",
            )),
        );
    }
    if let Some(zone) = last("TZ").filter(|_| config.file_values.timezone.is_none()) {
        findings.push(
            Finding::warning(language.pick(
                format!("crontab 中区块之前设置了 TZ={zone}：配置中没有 `timezone`，任务按该时区计算日期；运行时刻不受影响"),
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

/// A finding as one sentence.
pub(super) fn told(finding: &Finding) -> String {
    match &finding.hint {
        Some(hint) => format!("{}: {hint}", finding.message),
        None => finding.message.clone(),
    }
}

/// The folders in which units are looked for, and the `systemctl` that goes with each.
fn unit_folders() -> Vec<(PathBuf, &'static str)> {
    let user = user_units().ok().map(|folder| (folder, "systemctl --user"));
    let system = (PathBuf::from(SYSTEM_UNITS), "systemctl");
    user.into_iter().chain([system]).collect()
}

/// Where links stand that enable units of a folder, besides that folder.
fn enabled_elsewhere(folder: &Path) -> Vec<PathBuf> {
    if folder == Path::new(SYSTEM_UNITS) {
        return vec![PathBuf::from("/run/systemd/system")];
    }
    let runtime = config::Env::read().path("XDG_RUNTIME_DIR");
    let runtime = runtime.map(|folder| folder.join("systemd/user"));
    let all = [Some(PathBuf::from("/etc/systemd/user")), runtime];
    all.into_iter().flatten().collect()
}
