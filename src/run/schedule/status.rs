//! `schedule status`: whether each job is installed, how it went last and whether it is overdue.

use super::install::program;
use super::installed::InstalledJobs;
use super::missed::read_records;
use super::{cron_zone, shown};
use crate::check::cron::{Scheduled, ScheduledJob};
use crate::check::{Finding, Status, placement};
use crate::cli::ScheduleStatusArgs;
use crate::config::{self, Config};
use crate::outcome::{Issue, Outcome};
use crate::report::text::schedule as page;
use crate::run::arguments::recorded_words;
use crate::run::output::Done;
use crate::run::{Session, log_issues};
use crate::schedule::daemon;
use crate::schedule::entry::Entry;
use crate::schedule::expression::Times;
use crate::schedule::job::CronJob;
use crate::schedule::report::{JobLine, JobStatus, LastRun, StatusReport};
use crate::schedule::runs::{self, RunRecord};
use anyhow::Result;
use std::path::Path;

impl Session {
    pub(super) fn status(&self, config: &Config, arguments: &ScheduleStatusArgs) -> Result<Done> {
        let (report, _) = self.status_report(config, arguments)?;
        log_issues(&report.errors);
        let outcome =
            if report.errors.is_empty() { Outcome::Done } else { Outcome::DoneWithErrors };
        self.done(&report, outcome, || page::status(&report, self.clock(config)))
    }

    /// The same for `check`.
    pub(in crate::run) fn scheduled(&self, config: &Config) -> Result<Scheduled> {
        let (status, findings) = self.status_report(config, &ScheduleStatusArgs::default())?;
        let clock = self.clock(config);
        let jobs = status.jobs.into_iter().map(|job| ScheduledJob {
            by_hand: job
                .line_number
                .zip(job.source.as_ref())
                .map(|(line, source)| format!("{source}:{line}")),
            next: job.line.next,
            // A timer that is written and not enabled has a finding of its own: installing it again would not help.
            installed: job.installed.filter(|_| !status.idle.contains(&job.line.name)),
            name: job.line.name,
            outdated: job.outdated == Some(true),
            overdue: job.overdue == Some(true),
            last: job
                .last_run
                .filter(|run| !run.skipped)
                .map(|run| (clock.show(run.ended), run.exit_code)),
        });
        Ok(Scheduled {
            unreadable: status.errors.first().map(|issue| issue.message.clone()),
            cron_running: status.cron_running,
            by_timers: status.by_timers,
            jobs: jobs.collect(),
            clock,
            findings,
        })
    }

    /// The report, and its warnings with what to do about each.
    fn status_report(
        &self,
        config: &Config,
        arguments: &ScheduleStatusArgs,
    ) -> Result<(StatusReport, Vec<Finding>)> {
        let zone = cron_zone();
        let jobs = self.jobs(config)?;
        let served = jobs.iter().filter(|job| job.is_served(&arguments.queues));
        let mut findings = Vec::new();
        if config::of_the_host().is_none() {
            findings.push(
                Finding::warning("the system's time zone has no IANA name: the times here are those of UTC, and cron's are others")
                    .hint("link /etc/localtime to a file of /usr/share/zoneinfo"),
            );
        }
        findings.extend(placement::no_jobs(&config.schedule, config.language));
        let mut leftover = Vec::new();
        let installed = match self.installed(config, &program(arguments.user.as_deref())?) {
            Ok(Some(mut installed)) => {
                findings.append(&mut installed.findings);
                findings.append(&mut installed.zones);
                leftover = installed.leftover(config);
                findings.extend(placement::left_over(&leftover, config.language));
                Some(installed)
            }
            Ok(None) => None,
            Err(failure) => {
                findings.push(Finding { status: Status::Warning, ..Finding::of(&failure) });
                None
            }
        };
        let mut errors = Vec::new();
        let runs = read_records(config, self.now).inspect_err(|failure| {
            let path = runs::path(&config.alerts.notify.logs_dir).display().to_string();
            errors.push(Issue::new("records_unreadable", failure.message.clone()).path(path));
        });
        let known = runs.as_deref().ok();
        let status = |job| self.job_status(job, installed.as_ref(), known, config);
        let mut lines: Vec<JobStatus> = served.map(status).collect();
        lines.extend(installed.iter().flat_map(|installed| {
            let by_hand = installed.by_hand().filter(|entry| !is_shown(entry, installed, &jobs));
            by_hand.map(|entry| self.line_status(entry, known, config)).collect::<Vec<_>>()
        }));
        let warnings: Vec<String> = findings.iter().map(Finding::sentence).collect();
        let report = StatusReport {
            success: true,
            cron_running: daemon::is_running(
                Path::new("/proc"),
                Path::new("/run/systemd/generator"),
            ),
            by_timers: installed.as_ref().is_some_and(|installed| installed.by_timers),
            idle: installed.as_ref().map_or_else(Vec::new, InstalledJobs::idle),
            timezone: zone.name().to_owned(),
            jobs: lines,
            leftover,
            notes: warnings.clone(),
            warnings,
            errors,
        };
        Ok((report, findings))
    }

    /// `installed`, `runs`: `None` where they are not known.
    fn job_status(
        &self,
        job: &CronJob,
        installed: Option<&InstalledJobs>,
        runs: Option<&[RunRecord]>,
        config: &Config,
    ) -> JobStatus {
        let entry = installed.and_then(|found| found.entry(&job.name));
        if let Some(entry) = entry.filter(|entry| entry.line.is_some()) {
            return self.line_status(entry, runs, config);
        }
        JobStatus {
            line: self.line(job, cron_zone()),
            installed: installed.map(|_| entry.is_some()),
            source: entry.map(|entry| entry.place.clone()),
            line_number: None,
            outdated: entry.map(|Entry { job: entry, .. }| {
                (entry.cron.as_str(), entry.command.as_str(), entry.priority)
                    != (job.cron.trim(), job.command().as_str(), job.priority)
            }),
            overdue: self.is_overdue(entry, runs, config),
            last_run: last_run(&job.words, runs),
        }
    }

    /// The state of a line that somebody wrote by hand: its own times hold.
    fn line_status(&self, entry: &Entry, runs: Option<&[RunRecord]>, config: &Config) -> JobStatus {
        let (job, zone) = (&entry.job, cron_zone());
        let next = Times::read(&job.cron).ok().and_then(|times| times.next(self.now, zone));
        JobStatus {
            line: JobLine {
                name: job.name.clone(),
                cron: job.cron.clone(),
                command: job.command.clone(),
                queue: job.queue.clone(),
                priority: job.priority,
                next_run: next.map(|at| shown(at, zone)),
                next,
            },
            installed: Some(true),
            source: Some(entry.place.clone()),
            line_number: entry.line,
            outdated: Some(false),
            overdue: self.is_overdue(Some(entry), runs, config),
            last_run: last_run(&job.words(), runs),
        }
    }

    fn is_overdue(
        &self,
        entry: Option<&Entry>,
        runs: Option<&[RunRecord]>,
        config: &Config,
    ) -> Option<bool> {
        let (entry, runs) = entry.zip(runs)?;
        Some(self.missed_since(&entry.job, runs, config).is_some())
    }
}

/// Whether the row of a configured job is about this line.
fn is_shown(entry: &Entry, installed: &InstalledJobs, jobs: &[CronJob]) -> bool {
    let is_configured = jobs.iter().any(|job| job.name == entry.job.name);
    let shown = installed.entry(&entry.job.name).map(Entry::position);
    is_configured && shown == Some(entry.position())
}

fn last_run(words: &[String], runs: Option<&[RunRecord]>) -> Option<LastRun> {
    let words = recorded_words(words);
    let last = runs.unwrap_or_default().iter().rev().find(|run| run.is_of(&words));
    last.map(LastRun::of)
}
