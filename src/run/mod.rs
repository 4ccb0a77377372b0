//! The composition root: arguments → configuration → lock → store → feature → rendered → printed. The only file that knows everything.

mod alert;
mod arguments;
pub mod channels;
mod check;
mod heartbeat;
mod help;
mod logging;
mod output;
mod recorder;
mod schedule;

use crate::calendar::Day;
use crate::cleanup::{
    self, CleanupReport, Database, NamePatterns, Needed, Outside, Part, Protected, Roots, Settings,
    Tally, Watch,
};
use crate::cli::{
    CleanupArgs, CleanupPart, Cli, Command, Common, DemoArgs, DiskArgs, Format, StatsArgs,
};
use crate::config::{self, Config, Env, Request};
use crate::demo::{self, DemoRequest};
use crate::files;
use crate::job::JobRun;
use crate::language::Language;
use crate::lock::{self, Lock};
use crate::mapping::State;
use crate::mapping::canonical_path::PathAliases;
use crate::mapping::preset;
use crate::outcome::{Failure, Issue, Kind, Outcome, Severity};
use crate::report::prometheus::Figures;
use crate::report::{json, nagios, text};
use crate::rules::Evaluation;
use crate::stats::{self, Category, DailyReport, DiskUsage, QueueStatistics, SystemStatistics};
use crate::store::advisory::{Attempt, Held};
use crate::store::prune::{Mode, PruneSettings, Pruner};
use crate::store::target::Target;
use crate::store::{Store, StoreSettings, open};
use crate::system::{broker, disk, resources};
use anyhow::{Context, Result};
use chrono::{DateTime, Days, NaiveDate, SecondsFormat, Utc};
use clap::error::ErrorKind as Misuse;
use clap::{CommandFactory, Parser};
use logging::LogSink;
use output::Done;
use recorder::{Ended, Recorder};
use serde_json::json;
use std::cell::RefCell;
use std::ffi::OsString;
use std::io::{self, ErrorKind, IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// Runs one command; returns the exit code.
pub fn run(arguments: impl Iterator<Item = OsString>) -> u8 {
    let now = Utc::now();
    let arguments: Vec<OsString> = arguments.collect();
    let cli = match parse(&arguments) {
        Ok(cli) => cli,
        Err(error) => return misused(&error, &arguments),
    };
    let session = Session::new(cli.common, now);
    let run = cli.command.job_run();
    let recorder = Recorder::new(&session, run, &arguments);
    recorder.record_when_a_signal_ends_the_run();
    let ended = session.open_log().and_then(|()| session.perform(&cli.command));
    let mut done = match ended {
        Ok(done) => done,
        Err(error) => session.fail(run, &error),
    };
    if let Err(error) = session.print(&done.printed) {
        log::error!("standard output cannot be written: {error}");
        done = Done::new(String::new(), Outcome::Failed(Kind::OutputFailed));
        session.export_failure(run, done.outcome);
    }
    recorder.record(Ended::of(done.outcome, done.outcome.exit_code()));
    if let Some(run) = run {
        session.log_end(run, done.outcome);
        session.ping_end(run, done.outcome);
    }
    session.check_log();
    done.exit_code()
}

fn parse(arguments: &[OsString]) -> Result<Cli, clap::Error> {
    let cli = Cli::try_parse_from(arguments)?;
    match cli.misfit() {
        Some(misfit) => Err(Cli::command().error(Misuse::ArgumentConflict, misfit)),
        None => Ok(cli),
    }
}

/// clap's own text: help to standard output, mistakes to standard error. A monitoring system that called with a mistake must not take the usual 2
/// for critical.
fn misused(error: &clap::Error, arguments: &[OsString]) -> u8 {
    let has = |words: &[&str]| arguments.iter().any(|own| words.iter().any(|word| own == word));
    let services = ["disk", "stats", "alert"];
    let service = arguments.iter().filter_map(|own| own.to_str());
    let service = service.into_iter().find(|own| services.contains(own));
    let is_plugin = has(&["nagios", "--output=nagios"]) && error.use_stderr();
    match (error.print(), service.filter(|_| is_plugin)) {
        (Err(broken), _) if broken.kind() != ErrorKind::BrokenPipe => 3,
        (_, Some(service)) => {
            // The system shows what stands on standard output, and nothing else.
            let said = error.to_string();
            let said = said.lines().next().unwrap_or_default();
            let said = said.trim_start_matches("error: ");
            let failure = Failure::new(Kind::Usage, said);
            let (line, state) = nagios::failure(service, &failure);
            match write_out(&line) {
                Err(broken) if broken.kind() != ErrorKind::BrokenPipe => 3,
                _ => state.exit_code(),
            }
        }
        _ => u8::try_from(error.exit_code()).unwrap_or(2),
    }
}

/// What every command starts from: its common options, the time that it takes for now, and the configuration, which is read once.
struct Session {
    common: Common,
    now: DateTime<Utc>,
    started: Instant,
    env: Env,
    config: Result<Config, Failure>,
    log: Arc<LogSink>,
    /// The ping that said that the job started.
    start_ping: RefCell<Option<heartbeat::Ping>>,
}

impl Session {
    fn new(common: Common, now: DateTime<Utc>) -> Self {
        let started = Instant::now();
        let env = Env::read();
        let config = resolve(&common, &env);
        let zone = config.as_ref().map_or_else(|_| config::system_zone(&env), |own| own.timezone);
        let log = logging::start(&common, zone);
        Self { common, now, started, env, config, log, start_ping: RefCell::default() }
    }

    fn open_log(&self) -> Result<()> {
        match &self.common.log_file {
            Some(path) => Ok(self.log.open(path)?),
            None => Ok(()),
        }
    }

    /// A log that lacks lines costs nothing but those lines, and is said where somebody may see it.
    fn check_log(&self) {
        if let (Some(path), Some(error)) = (&self.common.log_file, self.log.take_failure()) {
            log::error!("the log file {} lacks lines: {error}", path.display());
        }
    }

    fn perform(&self, command: &Command) -> Result<Done> {
        match command {
            Command::Cleanup(arguments) => self.cleanup(arguments, self.configuration()?),
            Command::Stats(arguments) => self.stats(arguments, self.configuration()?),
            Command::Disk(arguments) => self.disk(arguments, self.configuration()?),
            Command::Alert(arguments) => self.alert(arguments, self.configuration()?),
            Command::Schedule(command) => self.schedule(command, self.configuration()?),
            Command::Check => self.check(),
            Command::Demo(arguments) => self.demo(arguments, self.configuration()?),
            Command::Config(arguments) if arguments.default => {
                Ok(Done::new(config::file::DEFAULT.to_owned(), Outcome::Done))
            }
            Command::Config(arguments) => match &arguments.preset {
                Some(name) => Ok(Done::new(starting_point(name)?, Outcome::Done)),
                None => self.config(self.configuration()?),
            },
            Command::Completions { shell } => {
                let mut script = Vec::new();
                clap_complete::generate(*shell, &mut Cli::command(), "taskmon", &mut script);
                Ok(Done::new(String::from_utf8(script)?, Outcome::Done))
            }
            Command::Help(arguments) => self.help(arguments),
            Command::Man(arguments) => self.man(arguments),
        }
    }

    /// The error document on standard output; the same in words on standard error.
    fn fail(&self, run: Option<JobRun>, error: &anyhow::Error) -> Done {
        let failure = Failure::of(error);
        log::debug!("{error:?}");
        log::error!("{}", failure.message);
        self.raise_failure(run, &failure);
        let outcome = Outcome::Failed(failure.kind);
        self.export_failure(run, outcome);
        let printed = match self.common.output {
            Format::Text => text::failure(&failure, self.language()),
            Format::Json => {
                let mut document = json!({"success": false, "error": &failure});
                // By its name `alert --report` raises what the job's next success resolves.
                if let Some(run) = run {
                    document["job"] = json!(run.job.name());
                }
                json::render(&document, self.layout()).unwrap_or_default()
            }
            Format::Nagios => {
                let service = run.map_or("taskmon", |run| run.job.name());
                return Done::plugin(nagios::failure(service, &failure), outcome);
            }
        };
        Done::new(printed, outcome)
    }

    /// The language to fail in, where the configuration may be what failed.
    fn language(&self) -> Language {
        let of_locale = || config::language_of_locale(&self.env).ok().flatten();
        self.config.as_ref().map_or_else(
            |_| {
                let locale = of_locale().map(|(language, _)| language);
                self.common.lang.or(locale).unwrap_or(Language::En)
            },
            |config| config.language,
        )
    }

    /// The configuration, once a command is about to go by it: its warnings are said here.
    fn configuration(&self) -> Result<&Config> {
        let config = self.config.as_ref().map_err(Failure::clone)?;
        for warning in &config.warnings {
            log::warn!("{warning}");
        }
        log_configuration(config);
        Ok(config)
    }

    /// The line that closes the log of a job.
    fn log_end(&self, run: JobRun, outcome: Outcome) {
        let dry_run = if run.is_dry_run { " (dry run)" } else { "" };
        log::info!(
            "{}{dry_run} ended after {} s with exit code {}",
            run.job.name(),
            self.seconds(),
            outcome.exit_code()
        );
    }

    fn layout(&self) -> json::Layout {
        let is_pretty = self.common.pretty || (!self.common.compact && io::stdout().is_terminal());
        if is_pretty { json::Layout::Pretty } else { json::Layout::Compact }
    }

    /// Seconds since the run began, to the millisecond.
    fn seconds(&self) -> f64 {
        milliseconds(self.started.elapsed())
    }

    /// Writes the result. A reader that closed the pipe has seen what it wanted.
    fn print(&self, printed: &str) -> io::Result<()> {
        match write_out(printed) {
            Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
            written => written,
        }
    }

    fn lock(&self, job: &str, config: &Config) -> Result<Option<Lock>> {
        if self.common.no_lock {
            return Ok(None);
        }
        let identity = identity(config);
        let lock = lock::acquire(&locked(job, config, &identity))?;
        if let Some(warning) = &lock.warning {
            log::warn!("{warning}");
        }
        log::info!("the lock of {job} on this host is taken");
        Ok(Some(lock))
    }

    /// The lock across hosts, taken when the job's own connection is there already: where no other is left to be had, the job goes on without it.
    fn lock_across(
        &self,
        job: &str,
        config: &Config,
        target: Option<&Target>,
        patience: Duration,
    ) -> Result<Option<Held>> {
        let Some(target) = target.filter(|_| !self.common.no_lock) else {
            return Ok(None);
        };
        match open::lock(target, lock_key(job, config), patience) {
            Ok(Attempt::Held(held)) => {
                log::info!("the lock of {job} among all hosts is taken");
                Ok(Some(held))
            }
            Ok(Attempt::NotNeeded) => Ok(None),
            Ok(Attempt::Busy) => Err(Failure::new(
                Kind::LockedElsewhere,
                format!("a run of {job} on another host, with this configuration and database, is under way; nothing was done"),
            )
            .hint("--no-lock runs all the same")
            .into()),
            Err(error) => {
                log::info!("runs on other hosts are not kept from running at the same time: {error:#}");
                Ok(None)
            }
        }
    }

    fn config(&self, config: &Config) -> Result<Done> {
        let effective = config.effective()?;
        let printed = match self.common.output {
            Format::Json | Format::Nagios => json::render(&effective, self.layout())?,
            Format::Text => toml::to_string_pretty(&without_nulls(&effective))
                .context("the configuration cannot be written as TOML")?,
        };
        Ok(Done::new(printed, Outcome::Done))
    }

    fn disk(&self, arguments: &DiskArgs, config: &Config) -> Result<Done> {
        let mut config = config.clone();
        config.disk = disk_settings(arguments, &config)?;
        let _lock = self.lock("disk", &config)?;
        self.ping_start("disk", &config);
        let paths = if arguments.paths.is_empty() { &config.disk.paths } else { &arguments.paths };
        let mut report = disk::measure(paths, thresholds(&config), disk::DEADLINE);
        if report.nothing_measured() {
            return Err(nothing_measured(&report).into());
        }
        tell(&report.errors);
        log_disks(&report);
        let evaluation = self.evaluate(&config, &report)?;
        let standing = severities(&evaluation);
        report.alerts = evaluation.alerts.clone();
        if !arguments.no_alert {
            let issues = self.raise(&config, "disk", Some(evaluation))?;
            report.errors.extend(issues);
        }
        let mut outcome = self.judge(standing.into_iter(), &report.errors);
        if let Some(issue) = self.export("disk", outcome, Figures::Disk(&report)) {
            report.errors.push(issue);
            outcome = outcome.with_issue();
        }
        let printed = match self.common.output {
            Format::Json => json::render(&report, self.layout())?,
            Format::Text => text::disk(&report, config.language),
            Format::Nagios => {
                let line = nagios::disk(&report, disk_limits(&config), config.language);
                return Ok(Done::plugin(line, outcome));
            }
        };
        Ok(Done::new(printed, outcome))
    }

    fn cleanup(&self, arguments: &CleanupArgs, config: &Config) -> Result<Done> {
        let (settings, roots) = self.cleanup_settings(arguments, config)?;
        let _lock = match settings.mode {
            Mode::DryRun => None,
            Mode::Apply => self.lock("cleanup", config)?,
        };
        let asked_to_end = Arc::new(AtomicBool::new(false));
        let is_dry_run = settings.mode == Mode::DryRun;
        let start = || {
            if !is_dry_run {
                self.ping_start("cleanup", config)
            }
        };
        let database = self.cleanup_database(config, &settings, &asked_to_end);
        let mut database = database.inspect_err(|_| start())?;
        // Temp files and logs are each host's own.
        let rows = if settings.mode == Mode::Apply && needs_rows(&settings) {
            config.database.target.as_ref()
        } else {
            None
        };
        let _across = self.lock_across("cleanup", config, rows, Duration::ZERO)?;
        start();
        let most = arguments.max_runtime.unwrap_or(config.cleanup.max_runtime_seconds);
        listen_for_signals(&asked_to_end)?;
        let total = match &mut database {
            Database::Open(pruner) if io::stderr().is_terminal() => {
                pruner.count_tasks(&settings.expired_tasks())?.expired
            }
            _ => 0,
        };
        let bar = progress_bar(total, self.started);
        let watch = Watch {
            progress: &|tally: &Tally| {
                bar.set_position(tally.tasks);
                bar.set_message(format!(
                    "{} files, {} MB freed",
                    tally.files + tally.logs,
                    crate::units::mib(tally.bytes)
                ));
            },
            must_stop: &|| match () {
                () if asked_to_end.load(Ordering::Relaxed) => Some("signal"),
                () if most > 0 && self.started.elapsed() >= Duration::from_secs(most.into()) => {
                    Some("max_runtime")
                }
                () => None,
            },
        };
        let ended = cleanup::run(&settings, &roots, &mut database, &watch);
        bar.finish_and_clear();
        let mut tally = ended?;
        log::info!(
            "{}: {} tasks, {} receipts, {} files, {} logs, {} MiB; {} errors, {} shared files kept",
            match settings.mode {
                Mode::DryRun => "would go",
                Mode::Apply => "deleted",
            },
            tally.tasks,
            tally.receipts,
            tally.files,
            tally.logs,
            crate::units::mib(tally.bytes),
            tally.errors_total,
            tally.shared
        );
        if settings.mode == Mode::Apply && !arguments.no_alert {
            for issue in self.raise(config, "cleanup", None)? {
                tally.issue(issue);
            }
        }
        let mut report = CleanupReport::new(settings.mode, tally, self.seconds());
        let mut outcome = match report.errors_total {
            0 => Outcome::Done,
            _ => Outcome::DoneWithErrors,
        };
        if settings.mode == Mode::Apply
            && let Some(issue) = self.export("cleanup", outcome, Figures::Cleanup(&report))
        {
            report.errors.push(issue);
            report.errors_total += 1;
            outcome = outcome.with_issue();
        }
        let printed = match self.common.output {
            Format::Json | Format::Nagios => json::render(&report, self.layout())?,
            Format::Text => text::cleanup(&report, config.language),
        };
        Ok(Done::new(printed, outcome))
    }

    /// Everything that the run was told, checked before anything is touched.
    fn cleanup_settings(
        &self,
        arguments: &CleanupArgs,
        config: &Config,
    ) -> Result<(Settings, Roots)> {
        let own = &config.cleanup;
        let parts = parts(&arguments.only);
        let mode = if arguments.dry_run { Mode::DryRun } else { Mode::Apply };
        let limits = Limits::read(arguments, config, &self.env)?;
        let needed = needed(config);
        let homes = cleanup::home_folders(std::env::home_dir().as_deref());
        let targets = |part, key, folders: &[PathBuf]| {
            if parts.contains(&part) {
                cleanup::resolve_targets(key, folders, &needed, &homes)
            } else {
                Ok(Vec::new())
            }
        };
        let temp = targets(Part::Temp, "cleanup.temp_dirs", &own.temp_dirs)?;
        let logs = targets(Part::Logs, "cleanup.log_dirs", &own.log_dirs)?;
        let marker = Some(own.root_marker.as_str()).filter(|marker| !marker.is_empty());
        let roots = Roots::open(&own.storage_roots, marker, &config.base_dir, arguments.force);
        let receipts = config.database.mapping.receipts.as_ref();
        let mut task_days =
            vec![(State::Completed, limits.completed), (State::Failed, limits.failed)];
        task_days.extend(own.cancelled_tasks_days.map(|days| (State::Cancelled, days)));
        let settings = Settings {
            mode,
            force: arguments.force,
            started: self.now,
            clock: self.started,
            as_of: as_of(arguments, self.now)?,
            task_days,
            receipts_days: limits.receipts,
            temp_hours: limits.temp_hours,
            log_days: limits.log_days,
            outside_paths: match own.outside_paths {
                config::OutsidePaths::Error => Outside::Error,
                config::OutsidePaths::Ignore => Outside::Ignore,
            },
            remove_empty_folders: own.remove_empty_folders,
            batch_size: arguments.batch_size.unwrap_or(own.batch_size) as usize,
            brake_percent: own.brake_percent,
            temp,
            logs,
            log_patterns: NamePatterns::parse(&own.log_patterns)?,
            protect: Protected::parse(own.protect.iter().map(String::as_str).chain([lock::FILES]))?,
            aliases: path_aliases(config, &roots),
            has_receipts: receipts.is_some(),
            dependents: receipts.map_or(0, |receipts| receipts.dependents.len()),
            never_pruned: config.database.mapping.tasks.delete_from.is_none(),
            parts,
        };
        Ok((settings, roots))
    }

    /// The database that the parts need: rows cannot go without it, temp folders beneath a storage root only with its word.
    fn cleanup_database(
        &self,
        config: &Config,
        settings: &Settings,
        asked_to_end: &Arc<AtomicBool>,
    ) -> Result<Database> {
        let has = |part| settings.parts.contains(&part);
        let needs_rows = needs_rows(settings);
        let Some(target) = &config.database.target else {
            return if needs_rows {
                Err(no_database("so there is nothing to delete rows from").into())
            } else {
                Ok(Database::None)
            };
        };
        if !needs_rows && !has(Part::Temp) {
            return Ok(Database::None);
        }
        if needs_rows && let Some(why) = &config.database.undeletable {
            let failure = Failure::new(Kind::ConfigInvalid, why.clone());
            return Err(failure
                .hint("name the table there, or write delete_from = \"\" to keep every row")
                .into());
        }
        match self.open_pruner(config, target, settings, asked_to_end) {
            Ok(pruner) => Ok(Database::Open(pruner)),
            Err(error) if needs_rows => Err(error),
            Err(error) => Ok(Database::Unreachable(Failure::of(&error))),
        }
    }

    fn open_pruner(
        &self,
        config: &Config,
        target: &Target,
        settings: &Settings,
        asked_to_end: &Arc<AtomicBool>,
    ) -> Result<Box<dyn Pruner>> {
        let settings = PruneSettings {
            store: store_settings(config),
            aliases: settings.aliases.clone(),
            mode: settings.mode,
            asked_to_end: Arc::clone(asked_to_end),
        };
        open::pruner(target, settings)
    }

    fn stats(&self, arguments: &StatsArgs, config: &Config) -> Result<Done> {
        let dates = dates(arguments, config, self.now)?;
        let _lock = self.lock("stats", config)?;
        let start = |_: &anyhow::Error| self.ping_start("stats", config);
        let store = open_store(config).inspect_err(start)?;
        let database = &config.database;
        let target = database.read_target.as_ref().or(database.target.as_ref());
        let _across = self.lock_across("stats", config, target, Duration::ZERO)?;
        self.ping_start("stats", config);
        let (mut reports, evaluations) = self.reports(config, store, &dates, !arguments.no_save)?;
        let standing: Vec<Severity> = evaluations.iter().flat_map(severities).collect();
        // Of several days the newest is news.
        let newest = evaluations.into_iter().next_back();
        let is_told = arguments.alert || (arguments.date.is_none() && !arguments.no_alert);
        let issues = if is_told { self.raise(config, "stats", newest)? } else { Vec::new() };
        let mut is_changed = !issues.is_empty();
        if let Some(report) = reports.last_mut() {
            report.errors.extend(issues);
        }
        let outcome = self.judge(standing.iter().copied(), &all_errors(&reports));
        if let Some(report) = reports.last_mut() {
            let unwritten = self.export("stats", outcome, figures(report, config));
            is_changed |= unwritten.is_some();
            report.errors.extend(unwritten);
            // What is saved is what is printed, and what could not be told or written is known only now.
            if is_changed && report.report_path.is_some() {
                self.save(config, report)?;
            }
        }
        let outcome = self.judge(standing.into_iter(), &all_errors(&reports));
        self.render_stats(arguments, config, &reports, outcome)
    }

    fn render_stats(
        &self,
        arguments: &StatsArgs,
        config: &Config,
        reports: &[DailyReport],
        outcome: Outcome,
    ) -> Result<Done> {
        let printed = match (self.common.output, reports) {
            (Format::Text, reports) => {
                let pages: Vec<String> =
                    reports.iter().map(|report| text::stats(report, config.language)).collect();
                pages.join("\n")
            }
            (Format::Nagios, [.., newest]) => {
                let line = nagios::stats(newest, rate_limits(config), config.language);
                return Ok(Done::plugin(line, outcome));
            }
            (_, [report]) if arguments.days.is_none() => json::render(report, self.layout())?,
            (_, reports) => json::render(&reports, self.layout())?,
        };
        Ok(Done::new(printed, outcome))
    }

    /// The reports of some days, each from a snapshot of its own.
    fn reports(
        &self,
        config: &Config,
        mut store: Box<dyn Store>,
        dates: &[NaiveDate],
        save: bool,
    ) -> Result<(Vec<DailyReport>, Vec<Evaluation>)> {
        let progress = indicatif::ProgressBar::new(dates.len() as u64);
        if dates.len() < 2 {
            progress.set_draw_target(indicatif::ProgressDrawTarget::hidden());
        }
        let mut reports = Vec::new();
        let mut evaluations = Vec::new();
        for date in dates {
            let began = Instant::now();
            let mut report = self.report(config, store.as_mut(), *date)?;
            tell(&report.errors);
            log_day(&report, began.elapsed());
            let evaluation = self.evaluate(config, &report)?;
            report.alerts = evaluation.alerts.clone();
            evaluations.push(evaluation);
            if save {
                self.save(config, &mut report)?;
            }
            reports.push(report);
            progress.inc(1);
        }
        progress.finish_and_clear();
        Ok((reports, evaluations))
    }

    fn report(
        &self,
        config: &Config,
        store: &mut dyn Store,
        date: NaiveDate,
    ) -> Result<DailyReport> {
        let settings = stats_settings(config);
        let request = stats::request(date, &settings);
        let figures = store.day_figures(&request)?;
        let mut day = stats::compute(&request, &figures, &settings);
        let queue = queue_statistics(config, day.queue, self.now);
        day.unavailable.extend(queue.unavailable());
        let disks = disk::measure(&config.disk.paths, thresholds(config), disk::DEADLINE);
        let mut errors = day.issues;
        errors.extend(disks.errors);
        Ok(DailyReport {
            success: true,
            date,
            timezone: config.timezone.name().to_owned(),
            task_statistics: day.tasks,
            performance_statistics: day.performance,
            error_statistics: day.errors,
            system_statistics: SystemStatistics {
                disk_usage: disks.disk_info.map(|worst| DiskUsage {
                    total_gb: worst.total_gb,
                    used_gb: worst.used_gb,
                    free_gb: worst.free_gb,
                    usage_percent: worst.usage_percent,
                }),
                queue_statistics: queue,
                resource_usage: resources::read(),
            },
            trend_analysis: day.trend,
            counted_by: figures.counted_by.map_or("created_at", |field| field.name()),
            undated_tasks: figures.undated,
            unavailable: day.unavailable,
            alerts: Vec::new(),
            errors,
            report_path: None,
            generated_at: self
                .now
                .with_timezone(&config.timezone)
                .to_rfc3339_opts(SecondsFormat::Secs, false),
            execution_time: self.seconds(),
        })
    }

    /// Saves what is printed. A folder that cannot be written costs the file, not the report.
    fn save(&self, config: &Config, report: &mut DailyReport) -> Result<()> {
        let folder = &config.stats.reports_dir;
        let path = folder.join(format!("daily_report_{}.json", report.date.format("%Y%m%d")));
        let shown = path.strip_prefix(working_dir()?).unwrap_or(&path);
        report.report_path = Some(shown.to_owned());
        let content = json::render(report, self.layout())?;
        if let Err(error) = files::replace(&path, &content) {
            let message = format!("the report cannot be saved as {}: {error}", path.display());
            log::error!("{message}");
            let issue = Issue::new("report_not_saved", message);
            report.errors.push(issue.path(path.display().to_string()));
            report.report_path = None;
        } else {
            log::info!("the report is saved as {}", path.display());
        }
        Ok(())
    }

    fn demo(&self, arguments: &DemoArgs, config: &Config) -> Result<Done> {
        let (timezone, language) = (config.timezone, config.language);
        let request = DemoRequest { now: self.now, timezone, language };
        let sandbox = demo::make(&arguments.dir, &request)?;
        let url = format!("sqlite:{}", sandbox.database.display());
        let config = config::resolve(Request {
            config_flag: Some(sandbox.config.clone()),
            database_url_flag: Some(url),
            language_flag: self.common.lang,
            env: self.env.clone(),
            working_dir: working_dir()?,
        })?;
        let store = open_store(&config)?;
        let (reports, _) = self.reports(&config, store, &[yesterday(&config, self.now)], true)?;
        let disks = disk::measure(&config.disk.paths, thresholds(&config), disk::DEADLINE);
        let next = next_steps(&arguments.dir);
        let printed = match self.common.output {
            Format::Json | Format::Nagios => json::render(
                &json!({
                    "success": true,
                    "sandbox": sandbox.dir,
                    "config": sandbox.config,
                    "kept_config": sandbox.kept_config,
                    "database": sandbox.database,
                    "made": sandbox.counts,
                    "report_path": reports.first().and_then(|report| report.report_path.as_ref()),
                    "jobs": {"stats": reports.first(), "disk": disks},
                    "next": next,
                }),
                self.layout(),
            )?,
            Format::Text => {
                let mut page = sandbox.describe(config.language);
                for report in &reports {
                    page += &format!("\n{}", text::stats(report, config.language));
                }
                page += &format!("\n{}", text::disk(&disks, config.language));
                page += config.language.pick("\n接下来可以试试：\n", "\nTry next:\n");
                for line in &next {
                    page += &format!("  {line}\n");
                }
                page
            }
        };
        let is_whole = disks.errors.is_empty() && reports.iter().all(|r| r.errors.is_empty());
        let outcome = if is_whole { Outcome::Done } else { Outcome::DoneWithErrors };
        Ok(Done::new(printed, outcome))
    }
}

fn resolve(common: &Common, env: &Env) -> Result<Config, Failure> {
    config::resolve(Request {
        config_flag: common.config.clone(),
        database_url_flag: common.database_url.clone(),
        language_flag: common.lang,
        env: env.clone(),
        working_dir: working_dir().map_err(|error| Failure::of(&error))?,
    })
}

fn write_out(printed: &str) -> io::Result<()> {
    let mut stdout = io::stdout().lock();
    stdout.write_all(printed.as_bytes())?;
    stdout.flush()
}

/// Commands to try on a sandbox, as they can be pasted into a shell.
fn next_steps(dir: &Path) -> [String; 4] {
    let (dir, taskmon) = (quoted(&dir.display().to_string()), own_name());
    [
        "stats --output text",
        "stats --days 7 --no-save | jq '.[].task_statistics.total_tasks'",
        "cleanup --dry-run --output text",
        "disk --output text",
    ]
    .map(|arguments| format!("cd {dir} && {taskmon} {arguments}"))
}

/// What starts this program in a shell: its bare name if PATH leads to it, which it does not right after `cargo run`, else its path.
fn own_name() -> String {
    let name = "taskmon";
    let Ok(own) = std::env::current_exe() else {
        return name.to_owned();
    };
    let path = std::env::var_os("PATH").unwrap_or_default();
    let first = std::env::split_paths(&path)
        .map(|folder| folder.join(name))
        .find(|candidate| candidate.is_file());
    match first.and_then(|found| found.canonicalize().ok()) {
        Some(found) if found == own => name.to_owned(),
        _ => quoted(&own.display().to_string()),
    }
}

/// A word that a shell takes as it stands.
fn quoted(word: &str) -> String {
    let is_plain = |letter: char| letter.is_alphanumeric() || "/._-+".contains(letter);
    if !word.is_empty() && word.chars().all(is_plain) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', "'\\''"))
    }
}

/// What could not be done, on standard error too: a cron job's standard output goes nowhere.
fn tell(issues: &[Issue]) {
    for issue in issues {
        log::error!("{}", issue.message);
    }
}

/// Which configuration and which database a run goes by; no password.
fn log_configuration(config: &Config) {
    let file = config.file.as_deref();
    let file = file.map_or("none, the defaults hold".to_owned(), |file| file.display().to_string());
    log::info!("configuration: {file}; days are counted in {}", config.timezone);
    let database = &config.database;
    let shown = |target: &Target| target.display();
    log::info!("database: {}", database.target.as_ref().map_or("none".to_owned(), shown));
    if let Some(target) = &database.read_target {
        log::info!("reports read from {}", shown(target));
    }
}

fn log_disks(report: &disk::DiskReport) {
    for disk in &report.disks {
        log::info!(
            "{} ({}): {}% used, {} GiB free",
            disk.path,
            disk.mount.as_deref().unwrap_or("?"),
            disk.usage_percent,
            disk.free_gb
        );
    }
}

fn log_day(report: &DailyReport, took: Duration) {
    let tasks = &report.task_statistics;
    log::info!(
        "{}: {} tasks, {}% completed, {}% failed, {} undated; asked for {} s",
        report.date,
        tasks.total_tasks,
        tasks.completion_rate,
        tasks.failure_rate,
        report.undated_tasks,
        milliseconds(took)
    );
}

/// Seconds, to the millisecond.
fn milliseconds(duration: Duration) -> f64 {
    (duration.as_secs_f64() * 1000.0).round() / 1000.0
}

fn working_dir() -> Result<PathBuf> {
    std::env::current_dir().context("the working directory is gone")
}

fn needs_rows(settings: &Settings) -> bool {
    let has = |part| settings.parts.contains(&part);
    has(Part::Tasks) || has(Part::Receipts)
}

/// The number of a job's lock across hosts: the same on every host, for every version of this program. The database is where the lock is; hosts may know
/// it by different names. The configuration goes by the path of its file.
fn lock_key(job: &str, config: &Config) -> i64 {
    let file = config.file.as_deref().unwrap_or(Path::new(""));
    let text = format!("taskmon\n{job}\n{}", file.display());
    let digest = ring::digest::digest(&ring::digest::SHA256, text.as_bytes());
    let first = digest.as_ref().iter().take(8);
    first.fold(0, |key, byte| key << 8 | i64::from(*byte))
}

/// A job's lock. Without a configuration nobody has named a folder for it, and none is made.
fn locked<'a>(job: &'a str, config: &'a Config, identity: &'a str) -> lock::Job<'a> {
    let folder = &config.alerts.logs_dir;
    lock::Job {
        folder: (config.file.is_some() || folder.is_dir()).then_some(folder),
        name: job,
        identity,
    }
}

/// What tells one configuration from another: its file and its database, whichever way leads to them.
fn identity(config: &Config) -> String {
    let file = config.file.as_deref().map(real).unwrap_or_default();
    let database = config.database.target.as_ref().map(|target| match target {
        Target::Sqlite(path) | Target::SqliteReadOnly(path) => real(path).display().to_string(),
        target => target.display(),
    });
    format!(
        "{}\n{}\n{}",
        file.display(),
        real(&config.base_dir).display(),
        database.unwrap_or_default()
    )
}

/// Without `..` and links on the way; as it is where it is not there.
fn real(path: &Path) -> PathBuf {
    path.canonicalize().unwrap_or_else(|_| path.to_owned())
}

/// A preset as a configuration that means the same.
fn starting_point(name: &str) -> Result<String> {
    let unknown = || {
        let names: Vec<&str> = preset::names().collect();
        Failure::new(Kind::Usage, format!("--preset is {name:?}, which is none"))
            .hint(format!("the presets are {}", names.join(", ")))
    };
    let sections = preset::find(name).ok_or_else(unknown)?;
    let lines = sections.lines().map(|line| {
        if line == "[broker]" {
            // It is no part of the tables.
            return line.to_owned();
        }
        let own = line.replacen("[[", "[[database.", 1);
        match line.starts_with('[') {
            true if own == line => line.replacen('[', "[database.", 1),
            true => own,
            false => line.to_owned(),
        }
    });
    let head = [
        "# The preset as it is. `preset` alone says all of this; keep below it what is different with you.".to_owned(),
        String::new(),
        "[database]".to_owned(),
        format!("preset = {name:?}"),
        String::new(),
    ];
    let page: Vec<String> = head.into_iter().chain(lines).collect();
    Ok(page.join("\n") + "\n")
}

/// TOML has no null: what is not set is left out.
fn without_nulls(value: &serde_json::Value) -> serde_json::Value {
    use serde_json::Value;
    match value {
        Value::Object(entries) => entries
            .iter()
            .filter(|(_, entry)| !entry.is_null())
            .map(|(key, entry)| (key.clone(), without_nulls(entry)))
            .collect(),
        Value::Array(entries) => entries.iter().map(without_nulls).collect(),
        other => other.clone(),
    }
}

fn percent(flag: &str, value: Option<&str>) -> Result<Option<f64>> {
    let read = |text: &str| {
        text.parse::<f64>().map_err(|_| {
            Failure::new(
                Kind::Usage,
                format!("{flag} is \"{text}\"; expected a number of percent from 0 to 100"),
            )
        })
    };
    Ok(value.map(read).transpose()?)
}

/// With the thresholds of the command line.
fn disk_settings(arguments: &DiskArgs, config: &Config) -> Result<config::Disk> {
    config.disk.clone().with_thresholds(
        percent("--warning", arguments.warning.as_deref())?,
        percent("--critical", arguments.critical.as_deref())?,
    )
}

fn thresholds(config: &Config) -> disk::Thresholds {
    disk::Thresholds {
        warning: config.disk.warning_percent,
        critical: config.disk.critical_percent,
    }
}

fn disk_limits(config: &Config) -> nagios::Limits {
    nagios::Limits { warning: config.disk.warning_percent, critical: config.disk.critical_percent }
}

fn rate_limits(config: &Config) -> nagios::Limits {
    nagios::Limits {
        warning: config.alerts.failure_rate_warning,
        critical: config.alerts.failure_rate_critical,
    }
}

fn all_errors(reports: &[DailyReport]) -> Vec<Issue> {
    let errors = reports.iter().flat_map(|report| report.errors.clone());
    errors.collect()
}

fn figures<'a>(report: &'a DailyReport, config: &Config) -> Figures<'a> {
    let spans = Day::new(report.date, config.timezone).ranges();
    Figures::Stats { report, day_start: spans.first().map(|(start, _)| *start) }
}

fn nothing_measured(report: &disk::DiskReport) -> Failure {
    let messages: Vec<&str> = report.errors.iter().map(|issue| issue.message.as_str()).collect();
    Failure::new(Kind::NothingMeasured, messages.join("; "))
        .hint("name paths that exist, as arguments or under disk.paths")
}

fn severities(evaluation: &Evaluation) -> Vec<Severity> {
    let alerts = evaluation.alerts.iter();
    alerts.map(|alert| alert.severity).collect()
}

fn yesterday(config: &Config, now: DateTime<Utc>) -> NaiveDate {
    let today = now.with_timezone(&config.timezone).date_naive();
    today.checked_sub_days(Days::new(1)).unwrap_or(today)
}

/// The most reports that one run makes: ten years.
const MOST_DAYS: u64 = 3660;

/// The days to report on, oldest first.
fn dates(arguments: &StatsArgs, config: &Config, now: DateTime<Utc>) -> Result<Vec<NaiveDate>> {
    let last = match &arguments.date {
        Some(text) => date(text)?,
        None => yesterday(config, now),
    };
    let count = match &arguments.days {
        Some(text) => days(text)?,
        None => 1,
    };
    Ok((0..count).rev().filter_map(|ago| last.checked_sub_days(Days::new(ago))).collect())
}

fn date(text: &str) -> Result<NaiveDate, Failure> {
    let parsed = NaiveDate::parse_from_str(text, "%Y-%m-%d").ok();
    let is_strict = |date: &NaiveDate| date.format("%Y-%m-%d").to_string() == text;
    let in_range =
        |date: &NaiveDate| ("1900-01-01".."3000-01-01").contains(&date.to_string().as_str());
    parsed.filter(is_strict).filter(in_range).ok_or_else(|| {
        Failure::new(
            Kind::Usage,
            format!("--date is \"{text}\"; expected a day from 1900-01-01 to 2999-12-31, written YYYY-MM-DD"),
        )
    })
}

fn days(text: &str) -> Result<u64, Failure> {
    let count = text.parse().ok();
    count.filter(|count| (1..=MOST_DAYS).contains(count)).ok_or_else(|| {
        Failure::new(
            Kind::Usage,
            format!("--days is \"{text}\"; expected a whole number from 1 to {MOST_DAYS}"),
        )
    })
}

fn no_database(so: &str) -> Failure {
    Failure::new(
        Kind::DatabaseNotConfigured,
        format!("no database is configured, {so}"),
    )
    .hint("set database.url in taskmon.toml, $TASKMON_DATABASE_URL or --database-url; cron passes none of your shell's variables on")
}

/// The variables that set limits of a cleanup.
const LIMITS: [&str; 5] = [
    "TASKMON_COMPLETED_TASKS_DAYS",
    "TASKMON_FAILED_TASKS_DAYS",
    "TASKMON_RECEIPTS_DAYS",
    "TASKMON_TEMP_FILES_HOURS",
    "TASKMON_LOG_FILES_DAYS",
];

/// The limits of a cleanup: a flag beats the environment, the environment beats the file.
struct Limits {
    completed: u32,
    failed: u32,
    receipts: u32,
    temp_hours: u32,
    log_days: u32,
}

impl Limits {
    fn read(arguments: &CleanupArgs, config: &Config, env: &Env) -> Result<Self> {
        let own = &config.cleanup;
        let limit = |flag: Option<u32>, name: &str, file: u32| -> Result<u32> {
            match (flag, env.text(name)?) {
                (Some(limit), _) => Ok(limit),
                (None, None) => Ok(file),
                (None, Some(text)) => Ok(text.trim().parse().map_err(|_| {
                    Failure::new(
                        Kind::ConfigInvalid,
                        format!(
                            "${name} is \"{text}\"; expected a whole number that is not negative"
                        ),
                    )
                })?),
            }
        };
        Ok(Self {
            completed: limit(
                arguments.completed_tasks_days,
                "TASKMON_COMPLETED_TASKS_DAYS",
                own.completed_tasks_days,
            )?,
            failed: limit(
                arguments.failed_tasks_days,
                "TASKMON_FAILED_TASKS_DAYS",
                own.failed_tasks_days,
            )?,
            receipts: limit(arguments.receipts_days, "TASKMON_RECEIPTS_DAYS", own.receipts_days)?,
            temp_hours: limit(
                arguments.temp_files_hours,
                "TASKMON_TEMP_FILES_HOURS",
                own.temp_files_hours,
            )?,
            log_days: limit(
                arguments.log_files_days,
                "TASKMON_LOG_FILES_DAYS",
                own.log_files_days,
            )?,
        })
    }
}

fn parts(only: &[CleanupPart]) -> Vec<Part> {
    let named = |part: &Part| {
        only.iter().any(|only| match only {
            CleanupPart::Tasks => *part == Part::Tasks,
            CleanupPart::Receipts => *part == Part::Receipts,
            CleanupPart::Temp => *part == Part::Temp,
            CleanupPart::Logs => *part == Part::Logs,
        })
    };
    let all = Part::ALL.into_iter();
    all.filter(|part| only.is_empty() || named(part)).collect()
}

fn as_of(arguments: &CleanupArgs, now: DateTime<Utc>) -> Result<DateTime<Utc>> {
    let Some(text) = &arguments.as_of else {
        return Ok(now);
    };
    let time = DateTime::parse_from_rfc3339(text).map_err(|error| {
        Failure::new(
            Kind::Usage,
            format!("--as-of is \"{text}\" ({error}); expected a time with its offset, such as 2026-11-22T04:00:00+08:00"),
        )
    })?;
    let time = time.to_utc();
    if time > now && !arguments.dry_run {
        return Err(Failure::new(
            Kind::Usage,
            format!("--as-of is \"{text}\", which is later than now: it would delete what has not expired"),
        )
        .hint("with --dry-run it says what will have expired by then")
        .into());
    }
    Ok(time)
}

/// What no folder that is swept may hold.
fn needed(config: &Config) -> Vec<Needed> {
    let mut needed = vec![
        Needed { what: "base_dir", path: config.base_dir.clone() },
        Needed { what: "the reports", path: config.stats.reports_dir.clone() },
        Needed { what: "the alerts' records", path: config.alerts.records_dir.clone() },
    ];
    needed.extend(
        config.file.as_ref().map(|path| Needed { what: "the configuration", path: path.clone() }),
    );
    if let Some(Target::Sqlite(path) | Target::SqliteReadOnly(path)) = &config.database.target {
        needed.push(Needed { what: "the database", path: path.clone() });
    }
    needed
}

/// The names under which rows may know the folders: as configured, and as they really are.
fn path_aliases(config: &Config, roots: &Roots) -> PathAliases {
    let base = cleanup::lexical(&config.base_dir);
    let real_base = base.canonicalize().unwrap_or_else(|_| base.clone());
    let text = |path: &Path| path.to_str().map(str::to_owned);
    let mut folders = Vec::new();
    for folder in [&base, &real_base] {
        folders.extend(text(folder).map(|folder| (folder, String::new())));
    }
    for (path, real) in roots.aliases() {
        let name = path.strip_prefix(&base).unwrap_or(&path);
        if !real.starts_with(&base) && !real.starts_with(&real_base) {
            folders.extend(text(&real).zip(text(name)));
        }
    }
    let swept: Vec<PathBuf> = (config.cleanup.temp_dirs.iter())
        .map(|folder| folder.canonicalize().unwrap_or_else(|_| folder.clone()))
        .collect();
    let links = roots.links(&swept);
    let links = links.iter().filter_map(|(link, folder)| text(link).zip(text(folder)));
    let mut aliases = PathAliases::new(folders);
    if let Some(base) = real_base.to_str() {
        aliases = aliases.with_base(base);
    }
    aliases.with_links(links)
}

/// SIGTERM and SIGINT raise the flag; a second signal ends the process at once.
fn listen_for_signals(asked: &Arc<AtomicBool>) -> Result<()> {
    use signal_hook::consts::{SIGINT, SIGTERM};
    use signal_hook::flag;
    for signal in [SIGINT, SIGTERM] {
        flag::register_conditional_default(signal, Arc::clone(asked))
            .and_then(|_| flag::register(signal, Arc::clone(asked)))
            .context("signals cannot be listened for")?;
    }
    Ok(())
}

/// Hidden unless standard error is a terminal.
fn progress_bar(total: u64, started: Instant) -> indicatif::ProgressBar {
    let bar = indicatif::ProgressBar::new(total).with_elapsed(started.elapsed());
    let template = "{bar:30} {pos}/{len} rows, {msg}, {per_sec}, {eta} left";
    match indicatif::ProgressStyle::with_template(template) {
        Ok(style) => bar.with_style(style),
        Err(_) => bar,
    }
}

fn open_store(config: &Config) -> Result<Box<dyn Store>> {
    let database = &config.database;
    let target = database.read_target.as_ref().or(database.target.as_ref());
    let target = target.ok_or_else(|| no_database("so there are no tasks to report on"))?;
    open::store(target, store_settings(config))
}

fn store_settings(config: &Config) -> StoreSettings {
    let database = &config.database;
    StoreSettings {
        mapping: database.mapping.clone(),
        naive_zone: database.naive_zone,
        connect_timeout: database.connect_timeout,
        statement_timeout: database.statement_timeout,
    }
}

fn stats_settings(config: &Config) -> stats::Settings {
    let categories = config.stats.error_categories.iter();
    stats::Settings {
        timezone: config.timezone,
        language: config.language,
        tasks: config.database.mapping.tasks.clone(),
        categories: categories
            .map(|category| Category {
                name: category.name.clone(),
                contains: category.contains.clone(),
            })
            .collect(),
        slowest_tasks: config.stats.slowest_tasks,
        failed_task_details: config.stats.failed_task_details,
        baseline_days: config.stats.baseline_days,
    }
}

/// What the broker says where one is configured, else what the table does. A broker that cannot be asked never breaks the report.
fn queue_statistics(
    config: &Config,
    from_table: QueueStatistics,
    now: DateTime<Utc>,
) -> QueueStatistics {
    match broker::ask(&config.broker, now) {
        None => from_table,
        Some(Ok(figures)) => QueueStatistics::of_broker(figures, &from_table),
        Some(Err(error)) => {
            log::warn!("{error}");
            QueueStatistics {
                source: broker::kind(&config.broker).map_or("", broker::Kind::name),
                error: Some(error),
                ..QueueStatistics::default()
            }
        }
    }
}
