//! Where the jobs are installed: in the crontab and as units.

use super::units::{enabled_elsewhere, unit_dir, unit_folders};
use crate::check::{Finding, placement};
use crate::cli::SchedulePlace;
use crate::config::{self, Config};
use crate::outcome::{Failure, Kind};
use crate::run::Session;
use crate::run::locks::real;
use crate::schedule::crontab;
use crate::schedule::entry::Entry;
use crate::schedule::installed::{Installed, rename_former};
use crate::schedule::job::CronJob;
use crate::schedule::program::Program;
use crate::schedule::systemd::{self, WrittenJob};
use std::path::Path;

/// The jobs that are installed with a configuration.
pub(super) struct InstalledJobs {
    /// Those that run.
    pub(super) jobs: Vec<Installed>,
    /// All of them.
    entries: Vec<Entry>,
    /// What is not as it should be.
    pub(super) findings: Vec<Finding>,
    /// Time zones that the crontab sets for them.
    pub(super) zones: Vec<Finding>,
    /// There are some, and all of them are systemd's timers.
    pub(super) by_timers: bool,
}

impl InstalledJobs {
    /// The names of those that the configuration does not have.
    pub(super) fn leftover(&self, config: &Config) -> Vec<String> {
        let is_configured = |name: &str| config.schedule.names().any(|job| job == name);
        let names = self.entries.iter().map(|entry| entry.job.name.clone());
        let mut names: Vec<String> = names.filter(|name| !is_configured(name)).collect();
        names.sort();
        names.dedup();
        names
    }

    /// The names of those that are only units that are not enabled.
    pub(super) fn idle(&self) -> Vec<String> {
        let runs = |name: &str| self.jobs.iter().any(|job| job.name == name);
        let names = self.entries.iter().map(|entry| entry.job.name.clone());
        names.filter(|name| !runs(name)).collect()
    }
}

impl Session {
    /// The jobs that are installed with this configuration; `None`: there are none at all.
    pub(super) fn installed(
        &self,
        config: &Config,
        program: &Program,
    ) -> Result<Option<InstalledJobs>, Failure> {
        let file = config.file.as_deref().map(real);
        let is_this = |other: &Path| file.as_ref() == Some(&real(other));
        let (mut entries, mut findings) = timers(config, &is_this);
        let mut is_known = !entries.is_empty();
        let mut zones = Vec::new();
        match program.read() {
            Ok(text) => {
                let text = text.unwrap_or_default();
                let crontab = crontab::read(&text)?;
                if crontab.config().as_deref().is_some_and(is_this) {
                    zones = placement::zones_above(
                        &crontab,
                        config::of_the_host(),
                        config.values.timezone.as_deref(),
                        config.language,
                    );
                    entries.extend(crontab.jobs().into_iter().map(|(job, words)| Entry {
                        place: "crontab".to_owned(),
                        is_timer: false,
                        runs: true,
                        words,
                        job,
                    }));
                } else if crontab.block().is_some() {
                    findings
                        .push(placement::other_configuration(crontab.config(), config.language));
                }
                is_known = true;
            }
            // Where there is no cron, or none for this user, the timers are what there is.
            Err(failure)
                if matches!(failure.kind, Kind::CrontabUnavailable | Kind::CrontabRefused)
                    && is_known => {}
            Err(failure) => return Err(failure),
        }
        let configured: Vec<&str> = config.schedule.names().collect();
        for entry in &mut entries {
            rename_former(&mut entry.job, &configured);
        }
        findings.extend(placement::doubled(&entries, config.language));
        findings.extend(placement::broken(&entries, config.language));
        let running = || entries.iter().filter(|entry| entry.runs);
        let by_timers = running().next().is_some() && running().all(|entry| entry.is_timer);
        let jobs = running().map(|entry| entry.job.clone()).collect();
        Ok(is_known.then_some(InstalledJobs { jobs, by_timers, entries, findings, zones }))
    }

    /// What would run twice once these jobs are installed at a place, besides what does so already.
    pub(super) fn doubled_by(
        &self,
        config: &Config,
        jobs: &[CronJob],
        place: &SchedulePlace,
    ) -> Vec<Finding> {
        let target = if place.systemd {
            unit_dir(place).map_or_else(|_| String::new(), |dir| dir.display().to_string())
        } else {
            "crontab".to_owned()
        };
        let program = Program { user: place.user.clone() };
        let installed = self.installed(config, &program).unwrap_or_else(|failure| {
            log::info!("whether jobs are installed twice is not known: {failure}");
            None
        });
        let entries = installed.into_iter().flat_map(|found| found.entries);
        let mut entries: Vec<Entry> = entries.filter(|entry| entry.place != target).collect();
        entries.extend(jobs.iter().map(|job| Entry {
            place: target.clone(),
            is_timer: place.systemd,
            runs: true,
            job: Installed::of(job, &[], self.now),
            words: Vec::new(),
        }));
        placement::doubled(&entries, config.language).into_iter().collect()
    }
}

/// The jobs that are written as units, and a warning about those that are not enabled.
fn timers(config: &Config, is_this: &dyn Fn(&Path) -> bool) -> (Vec<Entry>, Vec<Finding>) {
    let (mut entries, mut findings) = (Vec::new(), Vec::new());
    for (folder, control) in unit_folders() {
        let written = systemd::read(&folder).unwrap_or_else(|error| {
            log::warn!("the units in {} cannot be read: {error}", folder.display());
            Default::default()
        });
        let links = enabled_elsewhere(&folder);
        let jobs = written.jobs.into_iter().filter(|job| is_this(&job.config));
        let (enabled, idle): (Vec<WrittenJob>, Vec<WrittenJob>) =
            jobs.partition(|job| job.is_enabled(&links));
        if !idle.is_empty() {
            let names: Vec<String> = idle.iter().map(WrittenJob::unit).collect();
            findings.push(placement::not_enabled(&folder, control, &names, config.language));
        }
        let with_state = [(true, enabled), (false, idle)];
        entries.extend(with_state.into_iter().flat_map(|(runs, jobs)| {
            let place = folder.display().to_string();
            jobs.into_iter().map(move |job| Entry {
                place: place.clone(),
                is_timer: true,
                runs,
                job: job.job,
                words: job.words,
            })
        }));
    }
    (entries, findings)
}
