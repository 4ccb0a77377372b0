//! `taskmon check`: looks at everything that the jobs need, and changes nothing.

mod access;
mod tables;

use super::cleanup::needed;
use super::output::Done;
use super::{Session, channels};
use crate::check::permissions::{Emptied, emptied, existing, writable};
use crate::check::{self, Check, CheckReport, Finding, Started, Status, storage};
use crate::cleanup::{self, Roots};
use crate::config::{self, Config};
use crate::language::Language;
use crate::outcome::{Failure, Outcome};
use crate::report::text;
use crate::run::disks;
use crate::system::broker;
use anyhow::Result;
use chrono::{DateTime, Utc};
use std::collections::BTreeSet;
use std::path::PathBuf;
use std::time::Duration;

/// The most that one look at a database or a remote host may take: somebody waits for the answer.
const TIMEOUT: Duration = Duration::from_secs(10);

impl Session {
    pub(super) fn check(&self) -> Result<Done> {
        let (language, (checks, started)) = match &self.config {
            Ok(config) => (config.language, self.all_checks(config)),
            Err(failure) => (Language::En, (without_config(failure), Started::Unknown)),
        };
        let report = CheckReport::new(checks, started);
        let outcome = if report.has_failed() { Outcome::DoneWithErrors } else { Outcome::Done };
        let detail = match self.common.verbose {
            0 => text::Detail::Lines(self.screen.columns),
            _ => text::Detail::All,
        };
        self.done(&report, outcome, || text::check(&report, language, detail))
    }

    fn all_checks(&self, config: &Config) -> (Vec<Check>, Started) {
        let language = config.language;
        let tables = tables::tables(config);
        let mut clock = tables.clock;
        let system = config::of_the_host().unwrap_or_else(|| config::system_zone(&self.env));
        clock.extend(check::clock::zones(system, config.timezone, Utc::now(), language));
        let mut permissions = tables.permissions;
        // If the rights on the tables are not known, folders that can be written to say little.
        let is_known = permissions.iter().any(|finding| finding.status != Status::Skipped);
        let folders = folders(config).into_iter();
        permissions.extend(folders.filter(|finding| is_known || finding.status != Status::Ok));
        let (cron, runs, started) = match self.scheduled(config) {
            Ok(scheduled) => (
                check::cron::cron(&scheduled, language),
                check::runs::runs(&scheduled, language),
                check::cron::started(&scheduled),
            ),
            Err(error) => {
                let why = Finding::of(&Failure::of(&error));
                (vec![why.clone()], vec![why], Started::Unknown)
            }
        };
        let findings = [
            ("config", self.configuration_findings(config)),
            ("database", tables.database),
            ("mapping", tables.mapping),
            ("indexes", tables.indexes),
            ("clock", clock),
            ("permissions", permissions),
            ("storage", storage(config)),
            ("broker", broker(config, self.now)),
            ("channels", self.channels(config)),
            ("cron", cron),
            ("runs", runs),
        ];
        let checks = findings.into_iter().map(|(name, findings)| Check::of(name, findings));
        (checks.collect(), started)
    }

    fn configuration_findings(&self, config: &Config) -> Vec<Finding> {
        let mut findings =
            check::config::config(config.file.as_deref(), &config.warnings, config.language);
        findings.extend(access::findings(config, &self.env));
        findings
    }

    /// Each channel and heartbeat, all at once.
    fn channels(&self, config: &Config) -> Vec<Finding> {
        let reached = channels::reach(config, &self.env, self.now, self.started, TIMEOUT);
        let reached = reached.into_iter().map(|(name, reached)| {
            (name, reached.map_err(|unreached| (unreached.why, unreached.hint)))
        });
        check::channels::channels(reached, config.language)
    }
}

/// Without a configuration there is nothing else to look at.
fn without_config(failure: &Failure) -> Vec<Check> {
    let checks = check::NAMES.iter().map(|name| {
        let finding = match *name {
            "config" => Finding::of(failure),
            _ => Finding::skipped("the configuration has to be valid first"),
        };
        Check::of(name, vec![finding])
    });
    checks.collect()
}

/// The folders that taskmon writes to. It makes the missing ones, where it may.
fn folders(config: &Config) -> Vec<Finding> {
    let folders = [
        ("stats.reports_dir", &config.stats.reports_dir),
        ("alerts.records_dir", &config.alerts.notify.records_dir),
        ("alerts.logs_dir", &config.alerts.notify.logs_dir),
    ];
    folders.map(|(key, folder)| writable(key, folder, config.language)).into()
}

fn storage(config: &Config) -> Vec<Finding> {
    let (cleanup, language) = (&config.cleanup, config.language);
    // Without rows that name files nothing happens beneath the storage roots.
    let roots: &[PathBuf] =
        if config.database.store.mapping.names_files() { &cleanup.storage_roots } else { &[] };
    let swept = cleanup.temp_dirs.iter().chain(&cleanup.log_dirs);
    let swept = swept.filter(|folder| folder.symlink_metadata().is_ok());
    let folders = roots.iter().chain(swept);
    let folders = folders.chain([&config.stats.reports_dir, &config.alerts.notify.records_dir]);
    let folders: BTreeSet<PathBuf> = folders.map(|folder| existing(folder)).collect();
    let folders: Vec<PathBuf> = folders.into_iter().collect();
    // Measured first, each in a thread with a time limit: a mount that hangs is reported here before anything looks into it.
    let mut findings = storage::space(
        &disks::measure(config, &config.disk.clone().with_paths(&folders)),
        language,
    );
    if config.database.store.mapping.names_files() {
        let unusable = Roots::open(&config.cleanup, &config.base_dir).unusable();
        let is_usable = |root: &&PathBuf| !unusable.iter().any(|(path, _)| path == *root);
        findings.extend(
            roots.iter().filter(is_usable).filter_map(|root| {
                emptied("cleanup.storage_roots", root, Emptied::ByRows, language)
            }),
        );
        let unusable = unusable.into_iter().map(|(_, why)| why).collect();
        findings.extend(storage::roots(roots, unusable, language));
    }
    findings.extend(swept_folders(config));
    findings
}

/// Folders that are never swept, so that cleanup refuses to begin, and those that it cannot sweep.
fn swept_folders(config: &Config) -> Vec<Finding> {
    let needed = needed(config);
    let homes = cleanup::home_folders(std::env::home_dir().as_deref());
    let folders = [
        ("cleanup.temp_dirs", &config.cleanup.temp_dirs),
        ("cleanup.log_dirs", &config.cleanup.log_dirs),
    ];
    let mut findings = Vec::new();
    for (key, folders) in folders {
        match cleanup::resolve_targets(key, folders, &needed, &homes) {
            Ok(targets) => findings.extend(targets.iter().filter_map(|target| {
                match (emptied(key, &target.path, Emptied::Swept, config.language), &target.folder)
                {
                    (Some(finding), _) => Some(finding),
                    (None, Ok(_)) => None,
                    (None, Err(why)) => {
                        Some(storage::unswept(key, &target.path, why, config.language))
                    }
                }
            })),
            Err(failure) => findings.push(Finding::of(&failure)),
        }
    }
    findings
}

/// Asks the broker what a report asks.
fn broker(config: &Config, now: DateTime<Utc>) -> Vec<Finding> {
    let language = config.language;
    match broker::ask(&config.broker, now) {
        None => vec![check::broker::not_configured(language)],
        Some(Ok(figures)) => check::broker::answered(&figures, language),
        Some(Err(error)) => {
            vec![check::broker::unreachable(broker::kind(&config.broker), error, language)]
        }
    }
}
