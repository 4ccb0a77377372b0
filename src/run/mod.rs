//! The composition root, the only module that knows everything: a command line and the configuration become a `Session`, in which one command
//! runs. A command has a file of its own; the jobs among them take the steps of `pipeline`.

mod alert;
mod arguments;
mod caller;
pub mod channels;
mod check;
mod cleanup;
mod config;
mod database;
mod defect;
mod demo;
mod disk;
mod disks;
mod heartbeat;
mod help;
mod init;
mod live;
mod locks;
mod logging;
mod notify;
mod output;
mod pipeline;
mod recorder;
mod schedule;
mod screen;
mod silences;
mod stats;
mod textfile;
mod usage;

use crate::cli::{Cli, Command, Common};
use crate::config::{Config, Env, Request};
use crate::job::{Caller, JobRun};
use crate::language::Language;
use crate::outcome::{Failure, Issue, Kind, Outcome};
use crate::store::target::Target;
use crate::system::disk::probe;
use anyhow::{Context, Result};
use chrono::{DateTime, Utc};
use clap::CommandFactory;
use logging::LogSink;
use output::Done;
use recorder::{Ended, Recorder};
use screen::Screen;
use std::cell::RefCell;
use std::ffi::OsString;
use std::io::{self, Write};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

/// Runs one command; returns the exit code.
pub fn run(arguments: impl Iterator<Item = OsString>) -> u8 {
    let arguments: Vec<OsString> = arguments.collect();
    if let [_, argument, path] = arguments.as_slice()
        && argument == probe::ARGUMENT
    {
        // The answer is all that it says; without one, the parent knows.
        return probe::answer(path).map_or(1, |()| 0);
    }
    let run = || Ok(run_command(&arguments, now()?));
    defect::catch(run).unwrap_or_else(|error| {
        // Before there is a session, the document is all that can be left, and a line where no log was begun.
        let _ = writeln!(io::stderr(), "taskmon: {}", Failure::of(&error).with_hint());
        let done = defect::document(&error);
        if let Err(error) = output::print(&done.printed.text) {
            log::error!("standard output cannot be written: {error}");
        }
        done.exit_code()
    })
}

/// # Errors
/// The clock shows a time before 1970, as it may on a board without a battery: nothing that counts on it can work, and records and alerts would be of
/// that time.
fn now() -> Result<DateTime<Utc>> {
    if SystemTime::now() < SystemTime::UNIX_EPOCH {
        let message = "this host's clock shows a time before 1970";
        return Err(Failure::new(Kind::ClockSkew, message).hint("set the clock").into());
    }
    Ok(Utc::now())
}

fn run_command(arguments: &[OsString], now: DateTime<Utc>) -> u8 {
    let cli = match usage::parse(arguments) {
        Ok(cli) => cli,
        Err(error) => return usage::refuse(&error, arguments),
    };
    let mut session = Session::new(cli.common, now);
    let job_run = session.job_run(&cli.command, arguments);
    let recorder = Recorder::new(&session, job_run, arguments);
    recorder.record_when_a_signal_ends_the_run();
    let mut done =
        defect::catch(|| session.open_log().and_then(|()| session.dispatch(&cli.command)))
            .or_else(|error| defect::catch(|| Ok(session.fail(job_run, &error))))
            .unwrap_or_else(|error| defect::document(&error));
    if let Err(error) = output::print(&done.printed.text) {
        log::error!("standard output cannot be written: {error}");
        done = Done::new(String::new(), Outcome::Failed(Kind::OutputFailed));
        if let Some(run) = job_run {
            session.export_failure(run, done.outcome);
        }
    }
    let record = || recorder.record(Ended::of(done.outcome, done.outcome.exit_code()));
    let report_end = || {
        if let Some(run) = job_run {
            session.log_end(run, done.outcome);
            session.ping_end(run, done.outcome);
        }
    };
    let check_log = || session.check_log();
    let steps: [&dyn Fn(); 3] = [&record, &report_end, &check_log];
    let mut code = done.exit_code();
    for step in steps {
        let ended = defect::catch(|| {
            step();
            Ok(())
        });
        if let Err(error) = ended {
            code = defect::document(&error).exit_code();
        }
    }
    code
}

/// What every command starts from: its common options, the time that it takes for now, and the configuration, which is resolved once.
struct Session {
    common: Common,
    now: DateTime<Utc>,
    started: Instant,
    env: Env,
    config: Result<Config, Failure>,
    log: Arc<LogSink>,
    screen: Screen,
    /// As far as it shows, besides by the command's own options.
    caller: Caller,
    /// The ping that said that the job started.
    start_ping: RefCell<Option<heartbeat::Ping>>,
}

impl Session {
    fn new(common: Common, now: DateTime<Utc>) -> Self {
        let started = Instant::now();
        let env = Env::read();
        let config = resolve(&common, &env);
        let zone = match &config {
            Ok(config) => config.timezone,
            Err(_) => crate::config::system_zone(&env),
        };
        let log = logging::start(&common, zone);
        let caller = caller::caller(&common);
        let screen = Screen::new(&common);
        let start_ping = RefCell::default();
        Self { common, now, started, env, config, log, screen, caller, start_ping }
    }

    fn dispatch(&self, command: &Command) -> Result<Done> {
        match command {
            Command::Cleanup(arguments) => cleanup::run(self, self.configuration()?, arguments),
            Command::Stats(arguments) => stats::run(self, self.configuration()?, arguments),
            Command::Disk(arguments) => disk::run(self, self.configuration()?, arguments),
            Command::Alert(arguments) if arguments.silences.is_given() => {
                silences::run(self, self.configuration()?, &arguments.silences)
            }
            Command::Alert(arguments) => alert::run(self, self.configuration()?, arguments),
            Command::Schedule(command) => self.schedule(command, self.configuration()?),
            Command::Demo(arguments) => demo::run(self, self.configuration()?, arguments),
            Command::Config(arguments) => config::run(self, arguments),
            // Which configuration there is, is for it to see.
            Command::Init(arguments) => self.init(arguments),
            // What is wrong with the configuration is one of its findings.
            Command::Check => self.check(),
            Command::Completions { shell } => completions(*shell),
            Command::Help(arguments) => self.help(arguments),
            Command::Man(arguments) => self.man(arguments),
        }
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

    /// The language to fail in, where the configuration may be what failed.
    fn language(&self) -> Language {
        let of_locale = || crate::config::language_of_locale(&self.env).ok().flatten();
        self.config.as_ref().map_or_else(
            |_| {
                let locale = of_locale().map(|(language, _)| language);
                self.common.lang.or(locale).unwrap_or(Language::En)
            },
            |config| config.language,
        )
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

    /// Seconds since the run began, to the millisecond.
    fn seconds(&self) -> f64 {
        milliseconds(self.started.elapsed())
    }
}

fn resolve(common: &Common, env: &Env) -> Result<Config, Failure> {
    crate::config::resolve(Request {
        config_flag: common.config.clone(),
        database_url_flag: common.database_url.clone(),
        language_flag: common.lang,
        env: env.clone(),
        working_dir: working_dir().map_err(|error| Failure::of(&error))?,
    })
}

fn completions(shell: clap_complete::Shell) -> Result<Done> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "taskmon", &mut script);
    Ok(Done::new(String::from_utf8(script)?, Outcome::Done))
}

/// What could not be done, on standard error too: a cron job's standard output goes nowhere.
fn log_issues(issues: &[Issue]) {
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

/// Seconds, to the millisecond.
fn milliseconds(duration: Duration) -> f64 {
    (duration.as_secs_f64() * 1000.0).round() / 1000.0
}

fn working_dir() -> Result<PathBuf> {
    std::env::current_dir().context("the working directory is gone")
}
