//! The cron side: the jobs of the configuration, where they are installed, and how they went.

use super::arguments::recorded_words;
use super::installed::{InstalledJobs, left_over, no_jobs, told, zones_above};
use super::{Done, Session, identity, locked, real, write_out};
use crate::check::{self, Finding};
use crate::cli::{
    Cli, Command, Format, ScheduleCommand, ScheduleInstallArgs, ScheduleLogsArgs, SchedulePlace,
    ScheduleRemoveArgs, ScheduleStatusArgs,
};
use crate::config::{self, Config};
use crate::language::Language;
use crate::live::{MissedJob, SkippedJob};
use crate::lock;
use crate::outcome::{Failure, Issue, Kind, Outcome};
use crate::report::json;
use crate::report::text::schedule as page;
use crate::schedule::crontab::{self, Crontab};
use crate::schedule::next::Times;
use crate::schedule::program::Program;
use crate::schedule::report::{
    Change, JobLine, JobStatus, LastRun, LogReport, ScheduleReport, StatusReport,
};
use crate::schedule::runs::{self, Follower, RunRecord};
use crate::schedule::{self, Installation, Installed, Job, Known, daemon, systemd};
use anyhow::{Context, Result};
use chrono::{DateTime, SecondsFormat, Utc};
use chrono_tz::Tz;
use clap::Parser;
use std::io::ErrorKind;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// How often a file of records that is followed is looked at.
const LOOK: Duration = Duration::from_millis(200);

/// How long a change of a crontab waits for another one.
const PATIENCE: Duration = Duration::from_secs(20);

impl Session {
    pub(super) fn schedule(&self, command: &ScheduleCommand, config: &Config) -> Result<Done> {
        match command {
            ScheduleCommand::List(arguments) => self.list(config, &arguments.queues),
            ScheduleCommand::Status(arguments) => self.status(config, arguments),
            ScheduleCommand::Logs(arguments) => self.logs(config, arguments),
            ScheduleCommand::Install(arguments) => self.install(config, arguments),
            ScheduleCommand::Remove(arguments) => self.remove(config, arguments),
        }
    }

    fn list(&self, config: &Config, queues: &[String]) -> Result<Done> {
        let zone = config::of_the_host().unwrap_or(Tz::UTC);
        let jobs = self.jobs(config)?;
        let served = jobs.iter().filter(|job| job.is_served(queues));
        let mut findings: Vec<Finding> = no_jobs(config).into_iter().collect();
        let mut leftover = Vec::new();
        match self.installed(config, &Program::default()) {
            Ok(installed) => {
                if let Some(installed) = installed {
                    findings.extend(installed.zones.iter().cloned());
                    leftover = installed.leftover(config);
                    findings.extend(left_over(&leftover, config.language));
                }
            }
            // What is configured is listed all the same; `status` is about what is installed.
            Err(failure) => log::info!("what is installed is not known: {failure}"),
        }
        let report = ScheduleReport {
            success: true,
            timezone: zone.name().to_owned(),
            jobs: served.map(|job| self.line(job, zone)).collect(),
            leftover,
            warnings: findings.iter().map(told).collect(),
        };
        let printed = match self.common.output {
            Format::Json | Format::Nagios => json::render(&report, self.layout())?,
            Format::Text => page::list(&report, config.language),
        };
        Ok(Done::new(printed, Outcome::Done))
    }

    /// The jobs of the configuration.
    fn jobs(&self, config: &Config) -> Result<Vec<Job>> {
        let jobs = config.schedule.jobs.iter();
        jobs.map(|own| job(own, config, self.now)).collect()
    }

    fn line(&self, job: &Job, zone: Tz) -> JobLine {
        JobLine {
            name: job.name.clone(),
            cron: job.cron.clone(),
            command: job.command(),
            queue: job.queue.clone(),
            priority: job.priority,
            next_run: job.times.next(self.now, zone).map(|at| shown(at, zone)),
        }
    }

    /// The same for `check`.
    pub(super) fn scheduled(&self, config: &Config) -> Result<check::Scheduled> {
        let (status, findings) = self.status_report(config, &ScheduleStatusArgs::default())?;
        let jobs = status.jobs.into_iter().map(|job| check::ScheduledJob {
            // To install it is not what it lacks.
            installed: job.installed.filter(|_| !status.idle.contains(&job.line.name)),
            name: job.line.name,
            outdated: job.outdated == Some(true),
            overdue: job.overdue == Some(true),
            last: job.last_run.filter(|run| !run.skipped).map(|run| (run.end, run.exit_code)),
        });
        let unreadable = status.errors.first().map(|issue| issue.message.clone());
        Ok(check::Scheduled {
            unreadable,
            cron_running: status.cron_running,
            by_timers: status.by_timers,
            jobs: jobs.collect(),
            findings,
        })
    }

    fn status(&self, config: &Config, arguments: &ScheduleStatusArgs) -> Result<Done> {
        let (report, _) = self.status_report(config, arguments)?;
        let printed = match self.common.output {
            Format::Json | Format::Nagios => json::render(&report, self.layout())?,
            Format::Text => page::status(&report, config.language),
        };
        super::tell(&report.errors);
        let outcome =
            if report.errors.is_empty() { Outcome::Done } else { Outcome::DoneWithErrors };
        Ok(Done::new(printed, outcome))
    }

    /// The report, and what it warns of, each with what to do.
    fn status_report(
        &self,
        config: &Config,
        arguments: &ScheduleStatusArgs,
    ) -> Result<(StatusReport, Vec<Finding>)> {
        let zone = config::of_the_host().unwrap_or(Tz::UTC);
        let jobs = self.jobs(config)?;
        let served = jobs.iter().filter(|job| job.is_served(&arguments.queues));
        let mut findings = Vec::new();
        if config::of_the_host().is_none() {
            findings.push(
                Finding::warning("the system's time zone has no IANA name: the times here are those of UTC, and cron's are others")
                    .hint("link /etc/localtime to a file of /usr/share/zoneinfo"),
            );
        }
        findings.extend(no_jobs(config));
        let program = program(arguments.user.as_deref())?;
        let mut leftover = Vec::new();
        let installed = match self.installed(config, &program) {
            Ok(installed) => installed.map(|mut installed| {
                findings.append(&mut installed.findings);
                findings.extend(installed.zones.iter().cloned());
                leftover = installed.leftover(config);
                findings.extend(left_over(&leftover, config.language));
                installed
            }),
            Err(failure) => {
                findings.push(Finding { status: check::Status::Warning, ..Finding::of(&failure) });
                None
            }
        };
        let mut errors = Vec::new();
        let recorded = read_runs(config).map_err(|failure| {
            let path = runs::path(&config.alerts.logs_dir).display().to_string();
            errors.push(Issue::new("records_unreadable", failure.message).path(path));
        });
        let runs = recorded.as_deref().unwrap_or_default();
        let identity = identity(config);
        let running = |command: &str| lock::is_held(&locked(command, config, &identity));
        let known = Known { runs, is_running: &running, now: self.now, zone };
        let status = |job: &Job| {
            let entry = installed
                .as_ref()
                .map(|installed| installed.jobs.iter().find(|entry| entry.name == job.name));
            let last = runs.iter().rev().find(|run| run.is_of(&recorded_words(&job.words)));
            JobStatus {
                line: self.line(job, zone),
                installed: entry.map(|entry| entry.is_some()),
                outdated: entry.flatten().map(|entry| {
                    (entry.cron.as_str(), entry.command.as_str(), entry.priority)
                        != (job.cron.trim(), job.command().as_str(), job.priority)
                }),
                // Without the records nobody knows.
                overdue: entry
                    .flatten()
                    .filter(|_| recorded.is_ok())
                    .map(|entry| schedule::missed(&comparable(entry), &known).is_some()),
                last_run: last.map(LastRun::of),
            }
        };
        let warnings: Vec<String> = findings.iter().map(told).collect();
        let report = StatusReport {
            success: true,
            cron_running: daemon::is_running(
                Path::new("/proc"),
                Path::new("/run/systemd/generator"),
            ),
            by_timers: installed.as_ref().is_some_and(|installed| installed.by_timers),
            idle: installed.as_ref().map_or_else(Vec::new, InstalledJobs::idle),
            timezone: zone.name().to_owned(),
            jobs: served.map(status).collect(),
            leftover,
            notes: warnings.clone(),
            warnings,
            errors,
        };
        Ok((report, findings))
    }

    fn logs(&self, config: &Config, arguments: &ScheduleLogsArgs) -> Result<Done> {
        let folder = &config.alerts.logs_dir;
        let unreadable = |error: std::io::Error| unreadable_runs(folder, &error);
        let (mut follower, found) = Follower::start(folder, arguments.lines).map_err(unreadable)?;
        if arguments.follow {
            let asked_to_end = Arc::new(AtomicBool::new(false));
            super::listen_for_signals(&asked_to_end)?;
            let mut runs = found;
            while self.tell_runs(&runs, config)?.is_continue()
                && !asked_to_end.load(Ordering::Relaxed)
            {
                std::thread::sleep(LOOK);
                runs = follower.poll().map_err(unreadable)?;
            }
            return Ok(Done::new(String::new(), Outcome::Done));
        }
        let report = LogReport { success: true, runs: found };
        let printed = match self.common.output {
            Format::Json | Format::Nagios => json::render(&report, self.layout())?,
            Format::Text => page::logs(&report.runs, config.language),
        };
        Ok(Done::new(printed, Outcome::Done))
    }

    /// Breaks off once the reader has closed the pipe.
    fn tell_runs(&self, runs: &[RunRecord], config: &Config) -> Result<ControlFlow<()>> {
        for run in runs {
            let line = match self.common.output {
                Format::Json | Format::Nagios => json::render(run, json::Layout::Compact)?,
                Format::Text => page::logs(std::slice::from_ref(run), config.language),
            };
            match write_out(&line) {
                Err(error) if error.kind() == ErrorKind::BrokenPipe => {
                    return Ok(ControlFlow::Break(()));
                }
                Err(error) => {
                    let message = format!("standard output cannot be written: {error}");
                    return Err(Failure::new(Kind::OutputFailed, message).into());
                }
                Ok(()) => {}
            }
        }
        Ok(ControlFlow::Continue(()))
    }

    fn install(&self, config: &Config, arguments: &ScheduleInstallArgs) -> Result<Done> {
        let installation = self.installation(config)?;
        let all = self.jobs(config)?;
        if all.is_empty() {
            return Err(Failure::new(
                Kind::Usage,
                format!(
                    "schedule.jobs is empty in {}, so there is nothing to install",
                    installation.config.display()
                ),
            )
            .hint("without the key the default jobs hold; `taskmon schedule remove` takes out what is installed")
            .into());
        }
        let (served, others): (Vec<Job>, Vec<Job>) =
            all.into_iter().partition(|job| job.is_served(&arguments.queues));
        if served.is_empty() {
            let queues = arguments.queues.join(",");
            return Err(Failure::new(
                Kind::Usage,
                format!("no job is of the queues {queues}, so there is nothing to install"),
            )
            .into());
        }
        let mut change = Change { success: true, dry_run: arguments.dry_run, ..Change::default() };
        change.left_out = others.iter().map(|job| job.name.clone()).collect();
        if arguments.place.systemd {
            install_units(&served, &arguments.place, &installation, &mut change)?;
            change.warnings.extend(self.lacking(config, &[], true)?);
        } else {
            let place = &arguments.place;
            let own = self.install_lines(config, &served, place, &installation, &mut change)?;
            change.warnings.extend(self.lacking(config, &own, false)?);
        }
        let doubled = self.doubled_by(config, &served, &arguments.place);
        change.warnings.extend(doubled.iter().map(told));
        let zone = config::of_the_host().unwrap_or(Tz::UTC);
        change.jobs = served.iter().map(|job| self.line(job, zone)).collect();
        self.changed(change, config)
    }

    /// The variables that the crontab sets for the lines.
    fn install_lines(
        &self,
        config: &Config,
        jobs: &[Job],
        place: &SchedulePlace,
        installation: &Installation,
        change: &mut Change,
    ) -> Result<Vec<String>> {
        let program = program(place.user.as_deref())?;
        let _lock = self.schedule_lock(change.dry_run)?;
        let text = program.read()?.unwrap_or_default();
        let crontab = read_crontab(&text)?;
        let own = real(&installation.config);
        let is_own = |other: PathBuf| real(&other) == own;
        if crontab.block().is_some() && !crontab.config().is_some_and(is_own) {
            let other = crontab.config();
            let other = other
                .map_or("one that cannot be read".to_owned(), |other| other.display().to_string());
            return Err(Failure::new(
                Kind::CrontabDamaged,
                format!("the crontab has a block of taskmon for another configuration, {other}"),
            )
            .hint("`taskmon schedule remove` takes it out; another configuration's jobs can be another user's (--user) or timers (--systemd)")
            .into());
        }
        let zones = zones_above(&crontab, config);
        change.warnings.extend(zones.iter().map(told));
        drop_foreign(&crontab, change, config.language);
        let new = crontab.with(jobs, installation);
        change.changed = new != text;
        change.block =
            read_crontab(&new)?.block().map(|block| String::from_utf8_lossy(block).into_owned());
        if change.changed && !change.dry_run {
            program.write(&new)?;
        }
        // One that is empty counts as unset.
        let set = crontab.variables().into_iter();
        let set = set.filter(|(_, value)| !value.is_empty());
        Ok(set.map(|(name, _)| name).collect())
    }

    fn remove(&self, config: &Config, arguments: &ScheduleRemoveArgs) -> Result<Done> {
        let mut change = Change { success: true, dry_run: arguments.dry_run, ..Change::default() };
        if arguments.place.systemd {
            remove_units(&arguments.place, &mut change)?
        } else {
            self.remove_lines(config, &arguments.place, &mut change)?
        }
        self.changed(change, config)
    }

    fn remove_lines(
        &self,
        config: &Config,
        place: &SchedulePlace,
        change: &mut Change,
    ) -> Result<()> {
        let program = program(place.user.as_deref())?;
        let _lock = self.schedule_lock(change.dry_run)?;
        let text = program.read()?.unwrap_or_default();
        let crontab = read_crontab(&text)?;
        change.changed = crontab.block().is_some();
        drop_foreign(&crontab, change, config.language);
        change.block = crontab.block().map(|block| String::from_utf8_lossy(block).into_owned());
        if change.changed && !change.dry_run {
            match crontab.without() {
                rest if rest.is_empty() => program.clear()?,
                // Most crons take no crontab whose last line has no end: then it keeps the one that it was given.
                rest => program.write(&rest).or_else(|refused| {
                    if rest.ends_with(b"\n") {
                        Err(refused)
                    } else {
                        program.write(&[rest.as_slice(), b"\n"].concat())
                    }
                })?,
            }
        }
        Ok(())
    }

    fn changed(&self, mut change: Change, config: &Config) -> Result<Done> {
        for warning in &change.warnings {
            log::warn!("{warning}");
        }
        change.notes = change.warnings.clone();
        let change = &change;
        let printed = match self.common.output {
            Format::Json | Format::Nagios => json::render(change, self.layout())?,
            Format::Text => page::change(change, config.language),
        };
        Ok(Done::new(printed, Outcome::Done))
    }

    /// Between reading a crontab and writing it, no other run of this must: it is waited for.
    fn schedule_lock(&self, dry_run: bool) -> Result<Option<lock::Lock>> {
        if self.common.no_lock || dry_run {
            return Ok(None);
        }
        let begin = Instant::now();
        loop {
            let own = lock::Job { folder: None, name: "schedule", identity: "" };
            match lock::acquire(&own) {
                Err(error)
                    if Failure::of(&error).kind == Kind::Locked && begin.elapsed() < PATIENCE =>
                {
                    std::thread::sleep(Duration::from_millis(20));
                }
                taken => return taken.map(Some),
            }
        }
    }

    fn installation(&self, config: &Config) -> Result<Installation> {
        let Some(file) = &config.file else {
            return Err(Failure::new(
                Kind::Usage,
                "there is no configuration file, and cron's jobs know nothing else",
            )
            .hint("`taskmon config --default > taskmon.toml` makes one; name it with --config")
            .into());
        };
        let binary = own_path()?;
        // A line of a crontab ends at a line feed, and what is not UTF-8 could not be compared with what is there.
        for path in [file, &binary] {
            if path.to_str().is_none_or(|text| text.contains(char::is_control)) {
                return Err(Failure::new(
                    Kind::Usage,
                    format!("the path {path:?} cannot stand in a crontab"),
                )
                .into());
            }
        }
        Ok(Installation { binary, config: file.clone(), now: self.now })
    }

    /// The scheduled jobs that are missed, for the live rules; `None`: none is installed, or the user may have none. The run that asks is one
    /// itself.
    ///
    /// # Errors
    /// The crontab's block is damaged, or the records of runs cannot be read: what is missed cannot be told.
    pub(super) fn missed(&self, config: &Config) -> Result<Option<Vec<MissedJob>>, Failure> {
        let installed = match self.installed(config, &Program::default()) {
            Ok(installed) => installed.map_or_else(Vec::new, |installed| installed.jobs),
            // A user who may have no crontab has no jobs in one; to say so at every run would be mail every five minutes.
            Err(failure)
                if matches!(failure.kind, Kind::CrontabUnavailable | Kind::CrontabRefused) =>
            {
                log::info!("which jobs are installed is not known: {}", failure.message);
                return Ok(None);
            }
            Err(failure) => return Err(failure),
        };
        if installed.is_empty() {
            return Ok(None);
        }
        let runs = read_runs(config)?;
        let identity = identity(config);
        let running = |command: &str| lock::is_held(&locked(command, config, &identity));
        let known = Known {
            runs: &runs,
            is_running: &running,
            now: self.now,
            zone: config::of_the_host().unwrap_or(Tz::UTC),
        };
        let entries = installed.iter().map(comparable);
        let others = entries.filter(|entry| entry.command != "alert");
        let missed = others.filter_map(|entry| {
            let due = schedule::missed(&entry, &known)?;
            let job = entry.name;
            Some(MissedJob { job, due })
        });
        Ok(Some(missed.collect()))
    }

    /// The jobs that a lock has skipped too often in a row, for the live rules.
    ///
    /// # Errors
    /// The records of runs cannot be read.
    pub(super) fn skipped(&self, config: &Config) -> Result<Vec<SkippedJob>, Failure> {
        let runs = read_runs(config)?;
        let jobs = config.schedule.jobs.iter();
        let skipped = jobs.filter_map(|job| {
            let words = recorded_words(&shlex::split(&job.command)?);
            let times = schedule::skipped_in_a_row(&words, &runs);
            (times >= schedule::SKIPPED_TOO_OFTEN)
                .then(|| SkippedJob { job: job.name.clone(), times })
        });
        Ok(skipped.collect())
    }
}

/// Says which lines of somebody else's go with the block.
fn drop_foreign(crontab: &Crontab, change: &mut Change, language: Language) {
    change.dropped = crontab.foreign();
    if change.dropped.is_empty() {
        return;
    }
    let lines = change.dropped.join(" ⏎ ");
    let word = if change.dry_run {
        language.pick("将一并去掉", "would go with it")
    } else {
        language.pick("已一并去掉", "are gone with it")
    };
    change.warnings.push(language.pick(
        format!("区块中有并非 taskmon 写入的行，{word}：{lines}；需要的请写在区块之外"),
        format!("lines of the block that taskmon had not written {word}: {lines}; write what you need outside of the block"),
    ));
}

fn read_runs(config: &Config) -> Result<Vec<RunRecord>, Failure> {
    let folder = &config.alerts.logs_dir;
    runs::read(folder).map_err(|error| unreadable_runs(folder, &error))
}

fn unreadable_runs(folder: &Path, error: &std::io::Error) -> Failure {
    let path = runs::path(folder);
    let message = format!("{} cannot be read: {error}", path.display());
    Failure::new(Kind::RecordsUnreadable, message)
        .hint("what is no file can be moved away: the next run makes a new one")
}

/// A job of the configuration.
///
/// # Errors
/// [`Kind::ConfigInvalid`]: a cron expression that not every cron knows, a command that a run would refuse.
fn job(own: &config::file::Job, config: &Config, now: DateTime<Utc>) -> Result<Job> {
    let invalid = |what: String| {
        Failure::new(
            Kind::ConfigInvalid,
            format!("schedule.jobs: the job \"{}\" {what}", own.name.escape_debug()),
        )
    };
    let times = Times::read(&own.cron)
        .map_err(|why| invalid(format!("has the expression \"{}\", which {why}", own.cron)))?;
    if let Some(sign) = shell_sign(&own.command) {
        return Err(invalid(format!(
            "has the `command` \"{}\", in which {sign} stands: it is the words and options of taskmon, and no shell reads it",
            own.command.escape_debug()
        ))
        .hint("what is meant as it stands goes in single quotes; a line of one's own in the crontab can do what a shell does")
        .into());
    }
    let words = shlex::split(&own.command)
        .ok_or_else(|| invalid(format!("has an open quote in its command: {}", own.command)))?;
    if [&own.name, &own.queue, &own.command].iter().any(|text| text.contains(char::is_control)) {
        return Err(invalid("holds a line feed or another control character".into()).into());
    }
    if let Err(why) = would_run(&words, config, now) {
        return Err(invalid(format!("has the `command` \"{}\": {why}", own.command)).into());
    }
    Ok(Job {
        name: own.name.clone(),
        cron: own.cron.split_whitespace().collect::<Vec<_>>().join(" "),
        times,
        words,
        queue: own.queue.clone(),
        priority: own.priority,
    })
}

/// Whether taskmon would take these words, and do a job by them.
fn would_run(words: &[String], config: &Config, now: DateTime<Utc>) -> Result<(), String> {
    let whole = ["taskmon", "-c", "taskmon.toml"].into_iter();
    let parsed = Cli::try_parse_from(whole.chain(words.iter().map(String::as_str)));
    let cli = parsed.map_err(|error| {
        let said = error.to_string();
        let first = said.lines().next().unwrap_or_default();
        first.trim_start_matches("error: ").to_owned()
    })?;
    if cli.common.config.as_deref() != Some(Path::new("taskmon.toml")) {
        return Err(
            "which names a configuration with --config; a job has that of its file".to_owned()
        );
    }
    if let Some(misfit) = cli.misfit() {
        return Err(misfit);
    }
    let checked = match &cli.command {
        Command::Cleanup(own) => super::as_of(own, now).map(drop),
        Command::Stats(own) => super::dates(own, config, now).map(drop),
        Command::Disk(own) => super::disk_settings(own, config).map(drop),
        Command::Alert(_) => Ok(()),
        _ => return Err("which is none of cleanup, stats, disk and alert".to_owned()),
    };
    checked.map_err(|error| Failure::of(&error).message)
}

/// What means something to a shell and nothing here, outside of quotes.
fn shell_sign(command: &str) -> Option<&'static str> {
    let mut quote = None;
    let mut letters = command.chars().peekable();
    while let Some(letter) = letters.next() {
        match (quote, letter) {
            (Some('\''), '\'') | (Some('"'), '"') => quote = None,
            (Some('\''), _) => {}
            (_, '\\') => drop(letters.next()),
            (None, '\'' | '"') => quote = Some(letter),
            // In double quotes, too, a shell would replace these.
            (_, '`') => return Some("a backtick"),
            (_, '$') if letters.peek() == Some(&'(') => return Some("$("),
            (Some(_), _) => {}
            (None, '>') => return Some(">"),
            (None, '<') => return Some("<"),
            (None, '|') => return Some("|"),
            (None, ';') => return Some(";"),
            (None, '&') => return Some("&"),
            (None, _) => {}
        }
    }
    None
}

/// An installed job with its command as records have it.
fn comparable(entry: &Installed) -> Installed {
    Installed { command: schedule::quoted_words(&recorded_words(&entry.words())), ..entry.clone() }
}

pub(super) const SYSTEM_UNITS: &str = "/etc/systemd/system";

pub(super) fn user_units() -> Result<PathBuf> {
    let env = config::Env::read();
    let xdg = env.path("XDG_CONFIG_HOME").filter(|path| path.is_absolute());
    let folder = xdg.or_else(|| env.path("HOME").map(|home| home.join(".config")));
    let folder = folder.ok_or_else(|| {
        Failure::new(Kind::Usage, "$HOME is not set, so there is no folder for a user's units")
            .hint("name one with --unit-dir")
    })?;
    Ok(folder.join("systemd/user"))
}

pub(super) fn unit_dir(place: &SchedulePlace) -> Result<PathBuf> {
    match (&place.unit_dir, place.system) {
        (Some(folder), _) => Ok(crate::values::absolute(&super::working_dir()?, folder)),
        (None, true) => Ok(PathBuf::from(SYSTEM_UNITS)),
        (None, false) => user_units(),
    }
}

/// The words of `systemctl` that go with a folder of units.
fn systemctl(place: &SchedulePlace) -> &'static str {
    if place.system { "systemctl" } else { "systemctl --user" }
}

fn install_units(
    jobs: &[Job],
    place: &SchedulePlace,
    installation: &Installation,
    change: &mut Change,
) -> Result<()> {
    let folder = unit_dir(place)?;
    let written = systemd::read(&folder).with_context(|| unreadable(&folder))?;
    let old: Vec<Installed> = written.jobs.into_iter().map(|own| own.job).collect();
    let mut units = Vec::new();
    for job in jobs {
        let made = systemd::units(job, &old, installation)
            .map_err(|why| Failure::new(Kind::ConfigInvalid, why))?;
        units.extend(made);
    }
    let timers: Vec<&str> = units
        .iter()
        .map(|unit| unit.name.as_str())
        .filter(|name| name.ends_with(".timer"))
        .collect();
    let paths: Vec<PathBuf> = units.iter().map(|unit| folder.join(&unit.name)).collect();
    let foreign = paths.iter().find(|path| path.exists() && !written.files.contains(path));
    if let Some(path) = foreign {
        return Err(Failure::new(
            Kind::OutputFailed,
            format!("{} is there already and not taskmon's own", path.display()),
        )
        .into());
    }
    // What is no job any more goes, as in the crontab; a timer that is not stopped would go on until the next boot.
    let gone: Vec<&PathBuf> = written.files.iter().filter(|path| !paths.contains(path)).collect();
    let control = systemctl(place);
    let gone_timers = timers_of(gone.iter().copied());
    if !gone_timers.is_empty() {
        change
            .next
            .push(format!("{control} disable --now {}", schedule::quoted_words(&gone_timers)));
    }
    change.next.push(format!("{control} daemon-reload"));
    change.next.push(format!("{control} enable --now {}", schedule::quoted_words(&timers)));
    for path in gone {
        change.removed.push(path.clone());
        if !change.dry_run {
            std::fs::remove_file(path).map_err(|error| unwritable(path, &error))?;
        }
    }
    for (unit, path) in units.iter().zip(&paths) {
        if std::fs::read_to_string(path).is_ok_and(|text| text == unit.text) {
            continue;
        }
        change.files.push(path.clone());
        if !change.dry_run {
            crate::files::replace(path, &unit.text).map_err(|error| unwritable(path, &error))?;
        }
    }
    change.changed = !change.files.is_empty() || !change.removed.is_empty();
    let texts: Vec<String> = units
        .iter()
        .map(|unit| format!("# {}\n{}", folder.join(&unit.name).display(), unit.text))
        .collect();
    change.block = Some(texts.join("\n"));
    Ok(())
}

fn remove_units(place: &SchedulePlace, change: &mut Change) -> Result<()> {
    let folder = unit_dir(place)?;
    let written = systemd::read(&folder).with_context(|| unreadable(&folder))?;
    let timers = timers_of(&written.files);
    let control = systemctl(place);
    if !timers.is_empty() {
        change.next = vec![
            format!("{control} disable --now {}", schedule::quoted_words(&timers)),
            format!("{control} daemon-reload"),
        ];
    }
    for path in written.files {
        if !change.dry_run {
            std::fs::remove_file(&path).map_err(|error| unwritable(&path, &error))?;
        }
        change.removed.push(path);
    }
    change.changed = !change.removed.is_empty();
    Ok(())
}

/// The names of the timers among these files.
fn timers_of<'p>(files: impl IntoIterator<Item = &'p PathBuf>) -> Vec<&'p str> {
    let names = files.into_iter().filter_map(|path| path.file_name()?.to_str());
    names.filter(|name| name.ends_with(".timer")).collect()
}

fn unreadable(folder: &Path) -> String {
    format!("the folder of units {} cannot be read", folder.display())
}

fn unwritable(path: &Path, error: &std::io::Error) -> Failure {
    Failure::new(Kind::OutputFailed, format!("{} cannot be written: {error}", path.display()))
}

pub(super) fn read_crontab(text: &[u8]) -> Result<Crontab<'_>, Failure> {
    crontab::read(text).map_err(|crontab::Damaged(message)| {
        Failure::new(Kind::CrontabDamaged, message)
            .hint("nothing was changed; put the markers right with `crontab -e`")
    })
}

fn program(user: Option<&str>) -> Result<Program> {
    if user.is_some() && !rustix::process::geteuid().is_root() {
        return Err(Failure::new(
            Kind::Usage,
            "--user is for root: another user's crontab is not yours to change",
        )
        .into());
    }
    Ok(Program { user: user.map(str::to_owned) })
}

/// The path of this program as one would write it: where PATH leads to it, that path, which stays the same when a new version is put there.
fn own_path() -> Result<PathBuf> {
    let own = std::env::current_exe().context("this program's own path is not known")?;
    let path = std::env::var_os("PATH").unwrap_or_default();
    let on_path = std::env::split_paths(&path)
        .filter(|folder| folder.is_absolute())
        .map(|folder| folder.join("taskmon"))
        .find(|candidate| candidate.is_file());
    Ok(match on_path {
        Some(found) if found.canonicalize().is_ok_and(|real| real == own) => found,
        _ => own,
    })
}

fn shown(at: DateTime<Utc>, zone: Tz) -> String {
    at.with_timezone(&zone).to_rfc3339_opts(SecondsFormat::Secs, false)
}
