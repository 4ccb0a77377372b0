//! The record of this run, which `schedule status` and the alert `job_missed` read.

use super::Session;
use super::arguments::recorded_arguments;
use crate::host;
use crate::job::{Job, JobRun};
use crate::outcome::{Kind, Outcome};
use crate::schedule::runs::append::{Written, append};
use crate::schedule::runs::{self, Holder, RunRecord, last};
use crate::timezone::Tz;
use chrono::{DateTime, Utc};
use std::ffi::OsString;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

/// Records a run once, however it ends.
pub(super) struct Recorder {
    run: Arc<Running>,
    /// The command handles signals itself, and ends in its own time.
    ends_in_its_own_time: bool,
}

/// A run, as far as its record goes.
struct Running {
    /// `None`: runs of this command are not recorded.
    run: Option<JobRun>,
    arguments: Vec<String>,
    /// `None`: without a configuration nobody knows where records are kept.
    records: Option<Records>,
    start: DateTime<Utc>,
    clock: Instant,
    is_recorded: AtomicBool,
}

/// Where records of runs are kept, by the configuration.
struct Records {
    folder: PathBuf,
    timezone: Tz,
    has_config_file: bool,
}

impl Recorder {
    pub(super) fn new(session: &Session, run: Option<JobRun>, arguments: &[OsString]) -> Self {
        let ends_in_its_own_time = run.is_some_and(|run| run.job == Job::Cleanup);
        let records = session.config.as_ref().ok().map(|config| Records {
            folder: config.alerts.notify.logs_dir.clone(),
            timezone: config.timezone,
            has_config_file: config.file.is_some(),
        });
        let run = Running {
            run,
            arguments: recorded_arguments(arguments),
            records,
            start: session.now,
            clock: session.started,
            is_recorded: AtomicBool::new(false),
        };
        Self { run: Arc::new(run), ends_in_its_own_time }
    }

    pub(super) fn record(&self, ended: Ended) {
        self.run.record(ended);
    }

    /// Records a run that SIGTERM, SIGINT or SIGHUP ends. `cleanup` handles these signals itself: it stops after the current batch.
    pub(super) fn record_when_a_signal_ends_the_run(&self) {
        use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
        if self.run.run.is_none() || self.ends_in_its_own_time {
            return;
        }
        let ignored = ignored_signals();
        let ends: Vec<i32> = [SIGHUP, SIGINT, SIGTERM]
            .into_iter()
            .filter(|signal| ignored >> (signal - 1) & 1 == 0)
            .collect();
        let mut signals = match signal_hook::iterator::Signals::new(ends) {
            Ok(signals) => signals,
            Err(error) => {
                log::warn!("signals cannot be listened for: {error}");
                return;
            }
        };
        let run = Arc::clone(&self.run);
        std::thread::spawn(move || {
            for signal in signals.forever() {
                run.record(Ended {
                    exit_code: 128 + u8::try_from(signal).unwrap_or(0),
                    held_by: None,
                });
                // End as a program that does not handle the signal: its parent sees which one it was.
                if signal_hook::low_level::emulate_default_handler(signal).is_err() {
                    log::error!("signal {signal} does not end the run");
                }
            }
        });
    }
}

/// The signals that were set to be ignored when this run started, a bit for each, as `nohup` does with SIGHUP: handling one would undo that.
fn ignored_signals() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).unwrap_or(0)
}

impl Running {
    /// Appends the record. That it cannot be written is a warning: the job was done all the same.
    fn record(&self, ended: Ended) {
        let (Some(run), Some(records)) = (self.run, &self.records) else {
            return;
        };
        if self.is_recorded.swap(true, Ordering::SeqCst) {
            return;
        }
        // Nothing was done, and no file says where: a typo in some folder makes no `logs` there.
        if ended.exit_code == 2 && !records.has_config_file {
            return;
        }
        let zoned = |time: DateTime<Utc>| time.with_timezone(&records.timezone).fixed_offset();
        let record = RunRecord {
            job: run.job.name().to_owned(),
            start: zoned(self.start),
            end: zoned(Utc::now()),
            exit_code: ended.exit_code,
            skipped: ended.held_by.is_some(),
            held_by: ended.held_by,
            duration_seconds: super::milliseconds(self.clock.elapsed()),
            host: host::name(),
            arguments: self.arguments.clone(),
            dry_run: run.is_dry_run,
        };
        let path = runs::path(&records.folder);
        let is_last_success = records.has_config_file && record.is_success();
        let recorded = append(&records.folder, &record).and_then(|written| {
            if is_last_success && matches!(written, Written::InPlace) {
                last::remember(&records.folder, &record)?;
            }
            Ok(written)
        });
        match recorded {
            Ok(Written::InPlace) => log::info!("the run is recorded in {}", path.display()),
            Ok(Written::Elsewhere { path: second, why, is_first }) => {
                let level = if is_first { log::Level::Warn } else { log::Level::Info };
                log::log!(
                    level,
                    "the run cannot be recorded in {} ({why}); until it can, runs are recorded in {}",
                    path.display(),
                    second.display()
                );
            }
            Err(error) => {
                log::warn!("the run cannot be recorded in {}: {error}", path.display());
            }
        }
    }
}

/// How a run ended.
#[derive(Debug, Clone, Copy)]
pub(super) struct Ended {
    pub exit_code: u8,
    /// Whose lock kept it from running.
    pub held_by: Option<Holder>,
}

impl Ended {
    pub(super) fn of(outcome: Outcome, exit_code: u8) -> Self {
        let held_by = match outcome {
            Outcome::Failed(Kind::Locked) => Some(Holder::ThisHost),
            Outcome::Failed(Kind::LockedElsewhere) => Some(Holder::OtherHost),
            _ => None,
        };
        Self { exit_code, held_by }
    }
}
