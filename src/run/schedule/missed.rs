//! Which jobs are missed or were skipped too often, for `schedule status` and the live rules.

use super::by_hand::remember_seen;
use super::cron_zone;
use crate::calendar::Shift;
use crate::config::Config;
use crate::host;
use crate::job::Job;
use crate::live::{MissedJob, SkippedJob, UnusualJob};
use crate::lock;
use crate::notify::Mode;
use crate::outcome::{Failure, Kind};
use crate::run::Session;
use crate::run::arguments::recorded_words;
use crate::run::locks::{identity, lock_subject};
use crate::schedule::durations::judge;
use crate::schedule::installed::Installed;
use crate::schedule::missed::{self, Known};
use crate::schedule::program::Program;
use crate::schedule::runs::{self, RunRecord};
use crate::schedule::settings::JobSettings;
use crate::schedule::shell;
use crate::units::round2;
use chrono::{DateTime, Utc};
use std::path::Path;

impl Session {
    /// The scheduled jobs that are missed; `None`: none is installed, or the user may have none. The run that asks is one of `alert` itself.
    ///
    /// # Errors
    /// The crontab's block is damaged, or the records of runs cannot be read: what is missed is not known.
    pub(in crate::run) fn missed(
        &self,
        config: &Config,
        mode: Mode,
    ) -> Result<Option<Vec<MissedJob>>, Failure> {
        let installed = match self.installed(config, &Program::default()) {
            Ok(Some(installed)) if !installed.jobs.is_empty() => {
                if mode == Mode::Deliver {
                    remember_seen(config, &installed.entries);
                }
                installed.jobs
            }
            Ok(_) => return Ok(None),
            // A user who may have no crontab has no jobs in one; to say so at every run would be mail every five minutes.
            Err(failure)
                if matches!(failure.kind, Kind::CrontabUnavailable | Kind::CrontabRefused) =>
            {
                log::info!("the installed jobs are not known: {}", failure.message);
                return Ok(None);
            }
            Err(failure) => return Err(failure),
        };
        let runs = read_records(config, self.now)?;
        let others = installed.iter().filter(|job| job.command != "alert");
        let missed = others.filter_map(|job| {
            let due = self.missed_since(job, &runs, config)?;
            Some(MissedJob { job: job.name.clone(), due })
        });
        Ok(Some(missed.collect()))
    }

    /// When an installed job was due that has not run since; `None`: all is well.
    pub(super) fn missed_since(
        &self,
        job: &Installed,
        runs: &[RunRecord],
        config: &Config,
    ) -> Option<DateTime<Utc>> {
        let identity = identity(config);
        let is_running =
            |command: &str| lock::held_since(&lock_subject(command, config, &identity)).is_some();
        let host = &host::name();
        let known = Known { runs, host, is_running: &is_running, now: self.now, zone: cron_zone() };
        // Records have a job's words without the options of every command.
        let words = recorded_words(&job.words());
        missed::missed(&Installed { command: shell::quoted_words(&words), ..job.clone() }, &known)
    }

    /// The jobs that a lock has skipped too often in a row.
    ///
    /// # Errors
    /// The records of runs cannot be read.
    pub(in crate::run) fn skipped(&self, config: &Config) -> Result<Vec<SkippedJob>, Failure> {
        let (runs, host) = (read_records(config, self.now)?, host::name());
        let skipped = config.schedule.jobs.iter().filter_map(|job| {
            let words = recorded_words(&shlex::split(&job.command)?);
            let times = missed::skipped_in_a_row(&words, &runs, &host);
            (times >= missed::SKIPPED_TOO_OFTEN)
                .then(|| SkippedJob { job: job.name.clone(), times })
        });
        Ok(skipped.collect())
    }
}

impl Session {
    /// The jobs whose last run took far longer, or far less time, than is usual or allowed. The run that asks is one of `alert` itself.
    ///
    /// # Errors
    /// The records of runs cannot be read.
    pub(in crate::run) fn unusual(&self, config: &Config) -> Result<Vec<UnusualJob>, Failure> {
        let (runs, host) = (read_records(config, self.now)?, host::name());
        let jobs = config.schedule.jobs.iter();
        let jobs: Vec<(&JobSettings, Vec<String>)> = jobs
            .filter_map(|job| Some((job, recorded_words(&shlex::split(&job.command)?))))
            .collect();
        let unusual = jobs.iter().filter_map(|(job, words)| {
            let command = words.first()?;
            let own_runs = runs.iter().filter(|run| run.host == host && run.is_of(words));
            // A lock is one of a command: it does not say which of its jobs is running.
            let same = jobs.iter().filter(|(_, other)| other.first() == Some(command)).count();
            let running = (same == 1).then(|| self.running_for(command, config)).flatten();
            let found = judge(&own_runs.collect::<Vec<_>>(), running, job.max_runtime)?;
            Some(UnusualJob {
                job: job.name.clone(),
                because: found.because.name(),
                seconds: round2(found.seconds),
                limit: round2(found.limit),
                usual: found.usual.map(round2),
                is_running: running.is_some(),
            })
        });
        Ok(unusual.collect())
    }

    /// For how many seconds a run of this command has been under way.
    fn running_for(&self, command: &str, config: &Config) -> Option<f64> {
        if command == Job::Alert.name() {
            return None;
        }
        let since = lock::held_since(&lock_subject(command, config, &identity(config)))?;
        Some(self.now.signed_duration_since(since).as_seconds_f64().max(0.0))
    }
}

/// The records of runs up to `now`. One from the future was written under a wrong clock, and would hide until then that a job is missed.
pub(super) fn read_records(config: &Config, now: DateTime<Utc>) -> Result<Vec<RunRecord>, Failure> {
    let folder = &config.alerts.notify.logs_dir;
    let mut runs = runs::read(folder).map_err(|error| unreadable_records(folder, &error))?;
    runs.retain(|run| run.start <= now.plus(missed::GRACE) && run.end <= now.plus(missed::GRACE));
    Ok(runs)
}

pub(super) fn unreadable_records(folder: &Path, error: &std::io::Error) -> Failure {
    let path = runs::path(folder);
    let message = format!("{} cannot be read: {error}", path.display());
    Failure::new(Kind::RecordsUnreadable, message)
        .hint("what is no file can be moved away: the next run makes a new one")
}
