//! `taskmon disk`: how full the file systems are.

use super::locks::{HeldUntil, Locks};
use super::output::{Done, Printed};
use super::pipeline::{JobReport, Plan, Work};
use super::{Session, disks, log_issues, notify};
use crate::alert::worst_severity;
use crate::cli::{DiskArgs, Format};
use crate::config::Config;
use crate::language::Language;
use crate::notify::{Mode, Retry};
use crate::outcome::{Failure, Issue, Kind, Severity};
use crate::report::prometheus::Figures;
use crate::report::{nagios, text};
use crate::rules::Evaluation;
use crate::system::disk::{self, DiskReport};
use anyhow::Result;

pub(super) fn run(session: &Session, config: &Config, arguments: &DiskArgs) -> Result<Done> {
    let run = arguments.job_run(session.caller);
    let settings = disk_settings(arguments, config)?;
    let locks = Locks { database: None, held_until: HeldUntil::RunEnds };
    let notify = run.raises_alerts.then_some(Mode::Deliver);
    // Two runs that only measure do not disturb each other.
    let plan = Plan { run, config, locks: notify.map(|_| locks), notify };
    session.run_job(
        &plan,
        || Ok(()),
        |()| {
            let mut report = if run.raises_alerts && arguments.paths.is_empty() {
                disks::measure_and_remember(config, &settings)
            } else {
                disks::measure(config, &settings)
            };
            if report.nothing_measured() {
                return Err(nothing_measured(&report).into());
            }
            log_issues(&report.errors);
            log_disks(&report);
            let mut evaluation = notify::evaluate(config, &report)?;
            if arguments.paths.is_empty() {
                evaluation = evaluation.watching(settings.all_paths());
            }
            report.alerts = evaluation.alerts.clone();
            let report = Measured { report, language: config.language };
            let evaluations = vec![evaluation, Evaluation::job_succeeded("disk")];
            Ok(Work { report, evaluations, retry: Retry::Nothing })
        },
    )
}

struct Measured {
    report: DiskReport,
    language: Language,
}

impl JobReport for Measured {
    fn add_issue(&mut self, issue: Issue) {
        self.report.errors.push(issue);
    }

    fn has_issues(&self) -> bool {
        !self.report.errors.is_empty()
    }

    fn worst_alert(&self) -> Option<Severity> {
        worst_severity(&self.report.alerts)
    }

    fn figures(&self) -> Figures<'_> {
        Figures::Disk(&self.report)
    }

    fn render(&mut self, session: &Session) -> Result<Printed> {
        Ok(match session.common.output {
            Format::Nagios => Printed::plugin(nagios::disk(&self.report, self.language)),
            _ => {
                let columns = session.screen.columns;
                session
                    .show(&self.report, || text::disk(&self.report, self.language, columns))?
                    .into()
            }
        })
    }
}

/// With the thresholds of the command line.
pub(super) fn disk_settings(arguments: &DiskArgs, config: &Config) -> Result<disk::Settings> {
    let warning = arguments.warning.clone().transpose()?;
    let critical = arguments.critical.clone().transpose()?;
    let settings = config.disk.clone();
    let settings =
        if arguments.paths.is_empty() { settings } else { settings.with_paths(&arguments.paths) };
    Ok(settings.with_thresholds(warning, critical)?)
}

fn nothing_measured(report: &disk::DiskReport) -> Failure {
    let messages: Vec<&str> = report.errors.iter().map(|issue| issue.message.as_str()).collect();
    Failure::new(Kind::NothingMeasured, messages.join("; "))
        .hint("name paths that exist, as arguments or under disk.paths")
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
