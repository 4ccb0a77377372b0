//! Where the jobs are installed: in the crontab and as units.

use super::is_file;
use super::units::{enabled_elsewhere, unit_dir, unit_folders};
use crate::check::{Finding, placement};
use crate::cli::SchedulePlace;
use crate::config::{self, Config};
use crate::outcome::{Failure, Kind};
use crate::run::Session;
use crate::schedule::crontab::{self, Crontab};
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
    pub(super) entries: Vec<Entry>,
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
        let installed = self.entries.iter().filter(|entry| entry.line.is_none());
        let names = installed.map(|entry| entry.job.name.clone());
        let mut names: Vec<String> = names.filter(|name| !is_configured(name)).collect();
        names.sort();
        names.dedup();
        names
    }

    /// Those that somebody wrote by hand.
    pub(super) fn by_hand(&self) -> impl Iterator<Item = &Entry> {
        self.entries.iter().filter(|entry| entry.line.is_some())
    }

    /// Where a job runs: as it was installed, else as somebody wrote it.
    pub(super) fn entry(&self, name: &str) -> Option<&Entry> {
        let mut named = self.entries.iter().filter(|entry| entry.runs && entry.job.name == name);
        let first = named.next()?;
        let installed = std::iter::once(first).chain(named).find(|entry| entry.line.is_none());
        Some(installed.unwrap_or(first))
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
        let is_this = is_file(config.file.as_deref());
        let (mut entries, mut findings) = timers(config, &is_this);
        let mut is_known = !entries.is_empty();
        let mut zones = Vec::new();
        let by_hand = |crontab: Option<&Crontab>| self.by_hand(config, program, crontab);
        match program.read() {
            Ok(text) => {
                let text = text.unwrap_or_default();
                let crontab = crontab::read(&text)?;
                if let Some(block) = crontab.block_of(&is_this)? {
                    zones = placement::zones_above(
                        &crontab.variables(Some(block)),
                        config::of_the_host(),
                        config.values.timezone.as_deref(),
                        config.language,
                    );
                    entries.extend(block.jobs().into_iter().map(|(job, words)| Entry {
                        place: "crontab".to_owned(),
                        line: None,
                        is_timer: false,
                        runs: true,
                        words,
                        job,
                    }));
                }
                let blocks = crontab.blocks().iter();
                findings.extend(blocks.filter_map(|block| {
                    placement::unusable_block(block.config.as_deref(), config.language)
                }));
                let mut found = by_hand(Some(&crontab));
                entries.append(&mut found.entries);
                findings.append(&mut found.findings);
                is_known = true;
            }
            Err(failure) => {
                let mut found = by_hand(None);
                is_known |= !found.entries.is_empty();
                entries.append(&mut found.entries);
                findings.append(&mut found.findings);
                // Where there is no cron, or none for this user, the timers and the system's crontabs are what there is.
                let is_without =
                    matches!(failure.kind, Kind::CrontabUnavailable | Kind::CrontabRefused);
                if !is_without || !is_known {
                    return Err(failure);
                }
            }
        }
        let configured: Vec<&str> = config.schedule.names().collect();
        for entry in entries.iter_mut().filter(|entry| entry.line.is_none()) {
            rename_former(&mut entry.job, &configured);
        }
        findings.extend(placement::doubled(&entries, config.language));
        findings.extend(placement::broken(&entries, config.language));
        let running = || entries.iter().filter(|entry| entry.runs);
        let by_timers = running().next().is_some() && running().all(|entry| entry.is_timer);
        let jobs = running().map(|entry| entry.job.clone()).collect();
        Ok(is_known.then_some(InstalledJobs { jobs, by_timers, entries, findings, zones }))
    }

    /// What would run twice once these jobs are installed at a place, besides what does so already. `replaced`: lines of the crontab that will be comments.
    pub(super) fn doubled_by(
        &self,
        config: &Config,
        jobs: &[CronJob],
        place: &SchedulePlace,
        replaced: &[usize],
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
        let is_other = |entry: &Entry| {
            let is_replaced =
                entry.place == "crontab" && entry.line.is_some_and(|line| replaced.contains(&line));
            (entry.place != target || entry.line.is_some()) && !is_replaced
        };
        let mut entries: Vec<Entry> = entries.filter(is_other).collect();
        entries.extend(jobs.iter().map(|job| Entry {
            place: target.clone(),
            line: None,
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
                line: None,
                is_timer: true,
                runs,
                job: job.job,
                words: job.words,
            })
        }));
    }
    (entries, findings)
}
