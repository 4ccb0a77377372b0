//! `taskmon schedule`: the jobs of the configuration, where they are installed, and how they went.

mod by_hand;
mod environment;
mod install;
mod installed;
mod jobs;
mod logs;
mod missed;
mod status;
mod units;

use super::{Done, Session};
use crate::calendar::Clock;
use crate::check::{Finding, placement};
use crate::cli::ScheduleCommand;
use crate::config::{self, Config};
use crate::outcome::Outcome;
use crate::report::text::schedule as page;
use crate::run::locks::real;
use crate::schedule::job::CronJob;
use crate::schedule::program::Program;
use crate::schedule::report::{JobLine, ScheduleReport};
use crate::timezone::Tz;
use anyhow::Result;
use chrono::{DateTime, SecondsFormat, Utc};
use std::path::Path;

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
        let zone = cron_zone();
        let jobs = self.jobs(config)?;
        let served = jobs.iter().filter(|job| job.is_served(queues));
        let mut findings: Vec<Finding> =
            placement::no_jobs(&config.schedule, config.language).into_iter().collect();
        let mut leftover = Vec::new();
        match self.installed(config, &Program::default()) {
            Ok(Some(installed)) => {
                leftover = installed.leftover(config);
                findings.extend(installed.zones);
                findings.extend(placement::left_over(&leftover, config.language));
            }
            Ok(None) => {}
            // The configured jobs are listed all the same; `status` is about the installed ones.
            Err(failure) => log::info!("the installed jobs are not known: {failure}"),
        }
        let report = ScheduleReport {
            success: true,
            timezone: zone.name().to_owned(),
            jobs: served.map(|job| self.line(job, zone)).collect(),
            leftover,
            warnings: findings.iter().map(Finding::sentence).collect(),
        };
        self.done(&report, Outcome::Done, || page::list(&report, self.clock(config)))
    }

    fn line(&self, job: &CronJob, zone: Tz) -> JobLine {
        JobLine {
            name: job.name.clone(),
            cron: job.cron.clone(),
            command: job.command(),
            queue: job.queue.clone(),
            priority: job.priority,
            next_run: job.times.next(self.now, zone).map(|at| shown(at, zone)),
            next: job.times.next(self.now, zone),
        }
    }

    /// How pages show times.
    pub(super) fn clock(&self, config: &Config) -> Clock {
        Clock { now: self.now, zone: config.timezone, language: config.language }
    }
}

/// Whether a path leads to the file.
pub(super) fn is_file(file: Option<&Path>) -> impl Fn(&Path) -> bool {
    let file = file.map(real);
    move |other| file.as_ref() == Some(&real(other))
}

/// The zone that cron goes by.
fn cron_zone() -> Tz {
    config::of_the_host().unwrap_or(Tz::UTC)
}

fn shown(at: DateTime<Utc>, zone: Tz) -> String {
    at.with_timezone(&zone).to_rfc3339_opts(SecondsFormat::Secs, false)
}
