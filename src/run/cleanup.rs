//! `taskmon cleanup`: its settings, its database and its progress.

use super::Session;
use super::database::no_database;
use super::locks::{HeldUntil, Locks, Opened};
use super::output::{Done, Printed};
use super::pipeline::{JobReport, Plan, Work};
use crate::cleanup::{
    self, CleanupReport, Database, Needed, Part, Places, Reading, Roots, Settings, Source, Tally,
    Watch,
};
use crate::cli::CleanupArgs;
use crate::config::{Config, Env};
use crate::folder;
use crate::job::Job;
use crate::language::Language;
use crate::lock;
use crate::mapping::Mapping;
use crate::notify;
use crate::outcome::{Failure, Issue, Kind};
use crate::report::prometheus::Figures;
use crate::report::text;
use crate::rules::Evaluation;
use crate::schedule::runs::{self, RunRecord};
use crate::store::open;
use crate::store::prune::plausible::Plausible;
use crate::store::prune::{Mode, PruneSettings};
use crate::store::target::Target;
use crate::units;
use anyhow::{Context, Result};
use chrono::{DateTime, Utc};
use clap::ValueEnum;
use indicatif::{ProgressBar, ProgressStyle};
use std::io::{self, ErrorKind, IsTerminal};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

pub(super) fn run(session: &Session, config: &Config, arguments: &CleanupArgs) -> Result<Done> {
    let run = arguments.job_run(session.caller);
    let (settings, roots) = cleanup_settings(session, arguments, config)?;
    let asked_to_end = Arc::new(AtomicBool::new(false));
    let locks = Locks {
        // Temp files and logs are each host's own.
        database: config.database.target.as_ref().filter(|_| settings.needs_rows()),
        held_until: HeldUntil::RunEnds,
    };
    let plan = Plan {
        run,
        config,
        locks: (settings.mode == Mode::Apply).then_some(locks),
        notify: run.raises_alerts.then_some(notify::Mode::Deliver),
    };
    let max_runtime = Duration::from_secs(settings.config.max_runtime_seconds.into());
    session.run_job(
        &plan,
        || open_database(config, &settings, &roots, &asked_to_end),
        |mut database| {
            listen_for_signals(&asked_to_end)?;
            let must_stop = || {
                if asked_to_end.load(Ordering::Relaxed) {
                    Some("signal")
                } else if !max_runtime.is_zero() && session.started.elapsed() >= max_runtime {
                    Some("max_runtime")
                } else {
                    None
                }
            };
            let tally = clean(session, &settings, &roots, &mut database, &must_stop)?;
            log_tally(settings.mode, &tally);
            let report = CleanupReport::new(settings.mode, tally, session.seconds());
            let evaluations = vec![match &report.error {
                None => Evaluation::job_succeeded("cleanup"),
                Some(failure) => {
                    Evaluation::job_failed(Some("cleanup"), &failure.with_hint(), config.language)
                }
            }];
            let report = Cleaned { report, language: config.language };
            Ok(Work { report, evaluations, retry: notify::Retry::Nothing })
        },
    )
}

impl Opened for Database {
    fn is_reachable(&self) -> bool {
        !matches!(self, Database::Unreachable(_))
    }

    fn answers(&mut self, within: Duration) -> bool {
        match self {
            Database::Open(pruner) => pruner.answers(within),
            Database::None | Database::Unreachable(_) => true,
        }
    }
}

/// Deletes, with a bar of its progress on a terminal.
fn clean(
    session: &Session,
    settings: &Settings,
    roots: &Roots,
    database: &mut Database,
    must_stop: &dyn Fn() -> Option<&'static str>,
) -> Result<Tally> {
    let total = match database {
        Database::Open(pruner) if io::stderr().is_terminal() => {
            // If that fails, it will be said once rows are to be deleted.
            pruner.count_expired(&settings.expired_tasks()).unwrap_or(0)
        }
        _ => 0,
    };
    let bar = progress_bar(total, session.started);
    let progress = |tally: &Tally| {
        bar.set_position(tally.tasks);
        let (files, freed) = (tally.files + tally.logs, units::mib(tally.bytes));
        bar.set_message(format!("{files} files, {freed} MB freed"));
    };
    let watch = Watch { progress: &progress, must_stop };
    let ended = cleanup::run(settings, roots, database, &watch);
    bar.finish_and_clear();
    ended
}

fn log_tally(mode: Mode, tally: &Tally) {
    log::info!(
        "{}: {} tasks, {} receipts, {} files, {} logs, {} MiB; {} errors, {} shared files and {} in use kept",
        match mode {
            Mode::DryRun => "would go",
            Mode::Apply => "deleted",
        },
        tally.tasks,
        tally.receipts,
        tally.files,
        tally.logs,
        units::mib(tally.bytes),
        tally.errors_total,
        tally.shared,
        tally.in_use
    );
}

struct Cleaned {
    report: CleanupReport,
    language: Language,
}

impl JobReport for Cleaned {
    fn add_issue(&mut self, issue: Issue) {
        self.report.errors.push(issue);
        self.report.errors_total += 1;
    }

    fn has_issues(&self) -> bool {
        self.report.errors_total > 0
    }

    fn failure(&self) -> Option<&Failure> {
        self.report.error.as_ref()
    }

    fn figures(&self) -> Figures<'_> {
        Figures::Cleanup(&self.report)
    }

    fn render(&mut self, session: &Session) -> Result<Printed> {
        let page = || text::cleanup(&self.report, self.language);
        Ok(session.show(&self.report, page)?.into())
    }
}

/// The settings of the run, checked before anything is touched.
fn cleanup_settings(
    session: &Session,
    arguments: &CleanupArgs,
    config: &Config,
) -> Result<(Settings, Roots)> {
    let parts = match arguments.only.as_slice() {
        [] => Part::value_variants(),
        only => only,
    };
    let mode = if arguments.dry_run { Mode::DryRun } else { Mode::Apply };
    let limited = with_limits(arguments, config, &session.env)?;
    let needed = needed(config);
    let homes = cleanup::home_folders(std::env::home_dir().as_deref());
    let targets = |part, key, folders: &[PathBuf]| {
        if parts.contains(&part) {
            cleanup::resolve_targets(key, folders, &needed, &homes)
        } else {
            Ok(Vec::new())
        }
    };
    let temp = targets(Part::Temp, "cleanup.temp_dirs", &config.cleanup.temp_dirs)?;
    let logs = targets(Part::Logs, "cleanup.log_dirs", &config.cleanup.log_dirs)?;
    let swept: Vec<PathBuf> = temp.iter().chain(&logs).map(|target| target.real.clone()).collect();
    let roots = Roots::open(&config.cleanup, &config.base_dir);
    let roots = if arguments.force { roots.forced() } else { roots };
    let Mapping { tasks, receipts } = &config.database.store.mapping;
    let settings = Settings {
        mode,
        force: arguments.force,
        started: session.now,
        clock: session.started,
        as_of: as_of(arguments, session.now)?,
        readings: readings(config, recorded_runs(config)),
        config: limited,
        logs,
        protect: config.cleanup.protect.clone().with(lock::FILES)?.with(cleanup::JOURNALS)?,
        journals: journals(config, &roots),
        aliases: cleanup::path_aliases(&roots, &swept),
        temp,
        has_receipts: receipts.is_some(),
        task_dependents: tasks.dependents.len(),
        receipt_dependents: receipts.as_ref().map_or(0, |receipts| receipts.dependents.len()),
        never_pruned: tasks.delete_from.is_none(),
        parts: parts.to_vec(),
    };
    Ok((settings, roots))
}

/// Beside the files that are to go; else with the records of runs, or in a folder of the user's own.
fn journals(config: &Config, roots: &Roots) -> Places {
    let logs_dir = config.alerts.notify.logs_dir.clone();
    let folders = roots.usable().chain([logs_dir]).collect();
    Places { folders, own: folder::own_folders() }
}

fn recorded_runs(config: &Config) -> Vec<RunRecord> {
    let logs_dir = &config.alerts.notify.logs_dir;
    runs::read(logs_dir).unwrap_or_else(|error| {
        let path = runs::path(logs_dir);
        log::warn!("{}: {error}; the clock is checked without the runs", path.display());
        Vec::new()
    })
}

/// When taskmon ran and wrote reports, which is when this host's clock was read before.
pub(super) fn readings(config: &Config, runs: Vec<RunRecord>) -> Vec<Reading> {
    // With `--as-of` it was another time that was checked.
    let has_other_time =
        |run: &RunRecord| run.arguments.iter().any(|word| word.starts_with("--as-of"));
    let of_run = |run: RunRecord| Reading {
        time: run.end.to_utc(),
        source: if run.job == Job::Cleanup.name() && !has_other_time(&run) {
            Source::Checked
        } else {
            Source::Unchecked
        },
    };
    let mut readings: Vec<Reading> =
        runs.into_iter().filter(RunRecord::is_success).map(of_run).collect();
    let reports_dir = &config.stats.reports_dir;
    match modification_times(reports_dir) {
        Ok(written) => readings
            .extend(written.into_iter().map(|time| Reading { time, source: Source::Unchecked })),
        Err(error) if error.kind() == ErrorKind::NotFound => {}
        Err(error) => {
            let path = reports_dir.display();
            log::warn!("{path}: {error}; the clock is checked without the reports");
        }
    }
    readings
}

fn modification_times(folder: &Path) -> io::Result<Vec<DateTime<Utc>>> {
    let times = folder.read_dir()?.map(|file| Ok(file?.metadata()?.modified()?.into()));
    times.collect()
}

/// The database that the parts need: rows cannot go without it, folders beneath a storage root are swept only with its word.
///
/// # Errors
/// None is configured, or the configuration cannot be right.
fn open_database(
    config: &Config,
    settings: &Settings,
    roots: &Roots,
    asked_to_end: &Arc<AtomicBool>,
) -> Result<Database> {
    let needs_rows = settings.needs_rows();
    let Some(target) = &config.database.target else {
        return if needs_rows {
            Err(no_database("so there is nothing to delete rows from").into())
        } else {
            Ok(Database::None)
        };
    };
    if !needs_rows && !cleanup::needs_names(settings, roots) {
        return Ok(Database::None);
    }
    if needs_rows && let Some(why) = &config.database.undeletable {
        let failure = Failure::new(Kind::ConfigInvalid, why.clone());
        return Err(failure
            .hint("name the table there, or write delete_from = \"\" to keep every row")
            .into());
    }
    let opened = open::pruner(
        target,
        PruneSettings {
            store: config.database.store.clone(),
            mode: settings.mode,
            reads: settings.mode.into(),
            plausible: Plausible::new(config.database.store.earliest_year, settings.started),
            asked_to_end: Arc::clone(asked_to_end),
        },
    );
    let failure = match opened {
        Ok(pruner) => return Ok(Database::Open(pruner)),
        Err(error) => Failure::of(&error),
    };
    // A configuration that is wrong is put right first; whatever else is wrong with the database, folders can be swept.
    if needs_rows && failure.kind.exit_code() == Kind::ConfigInvalid.exit_code() {
        return Err(failure.into());
    }
    Ok(Database::Unreachable(failure))
}

/// The variables that set limits of a cleanup.
pub(super) const LIMITS: [&str; 5] = [
    "TASKMON_COMPLETED_TASKS_DAYS",
    "TASKMON_FAILED_TASKS_DAYS",
    "TASKMON_RECEIPTS_DAYS",
    "TASKMON_TEMP_FILES_HOURS",
    "TASKMON_LOG_FILES_DAYS",
];

/// `[cleanup]` with the limits of the run: a flag beats the environment, the environment beats the file.
fn with_limits(
    arguments: &CleanupArgs,
    config: &Config,
    env: &Env,
) -> Result<cleanup::Config, Failure> {
    let mut config = config.cleanup.clone();
    let [completed, failed, receipts, temp, logs] = LIMITS;
    for (flag, variable, limit) in [
        (arguments.completed_tasks_days, completed, &mut config.completed_tasks_days),
        (arguments.failed_tasks_days, failed, &mut config.failed_tasks_days),
        (arguments.receipts_days, receipts, &mut config.receipts_days),
        (arguments.temp_files_hours, temp, &mut config.temp_files_hours),
        (arguments.log_files_days, logs, &mut config.log_files_days),
    ] {
        let set = env.text(variable)?;
        if let Some(flag) = flag {
            *limit = flag;
        } else if let Some(text) = set {
            *limit = text.trim().parse().map_err(|_| {
                let expected = "a whole number that is not negative";
                let message = format!("${variable} is \"{text}\"; expected {expected}");
                Failure::new(Kind::ConfigInvalid, message)
            })?;
        }
    }
    config.batch_size = arguments.batch_size.unwrap_or(config.batch_size);
    config.max_runtime_seconds = arguments.max_runtime.unwrap_or(config.max_runtime_seconds);
    Ok(config)
}

pub(super) fn as_of(arguments: &CleanupArgs, now: DateTime<Utc>) -> Result<DateTime<Utc>> {
    let Some(as_of) = arguments.as_of.clone().transpose()? else {
        return Ok(now);
    };
    if as_of.time > now && !arguments.dry_run {
        let text = as_of.text;
        return Err(Failure::new(
            Kind::Usage,
            format!("--as-of is \"{text}\", which is later than now: it would delete what has not expired"),
        )
        .hint("with --dry-run it says what will have expired by then")
        .into());
    }
    Ok(as_of.time)
}

/// What no folder that is swept may hold.
pub(super) fn needed(config: &Config) -> Vec<Needed> {
    let mut needed = vec![
        Needed { what: "base_dir", path: config.base_dir.clone() },
        Needed { what: "the reports", path: config.stats.reports_dir.clone() },
        Needed { what: "the alerts' records", path: config.alerts.notify.records_dir.clone() },
    ];
    needed.extend(
        config.file.as_ref().map(|path| Needed { what: "the configuration", path: path.clone() }),
    );
    if let Some(Target::Sqlite(path) | Target::SqliteReadOnly(path)) = &config.database.target {
        needed.push(Needed { what: "the database", path: path.clone() });
    }
    needed
}

/// SIGTERM and SIGINT raise the flag; a second signal ends the process at once.
pub(super) fn listen_for_signals(asked: &Arc<AtomicBool>) -> Result<()> {
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
fn progress_bar(total: u64, started: Instant) -> ProgressBar {
    let template = "{bar:30} {pos}/{len} rows, {msg}, {per_sec}, {eta} left";
    let style = ProgressStyle::with_template(template);
    ProgressBar::new(total)
        .with_elapsed(started.elapsed())
        .with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
}
