//! The steps of a job, the same for all four: lock → ping → work → notify → judge → textfile → save → render.
//!
//! What the run printed is written to standard output, and the run recorded, by [`super::run`], which does that for every command.

use super::Session;
use super::locks::{HeldUntil, Locks, Opened};
use super::output::{Done, Printed};
use crate::cli::Format;
use crate::config::Config;
use crate::job::{ByHand, Job, JobRun};
use crate::notify::{Mode, Retry, Summary};
use crate::outcome::{Failure, Issue, Kind, Outcome, Severity};
use crate::report::prometheus::Figures;
use crate::report::{json, nagios, text};
use crate::rules::Evaluation;
use anyhow::Result;
use serde_json::json;

/// A job's report on its way through the steps.
pub(super) trait JobReport {
    /// Takes what came of notifying.
    fn notified(&mut self, summary: Summary) {
        for issue in summary.errors {
            self.add_issue(issue);
        }
    }

    fn add_issue(&mut self, issue: Issue);

    fn has_issues(&self) -> bool;

    /// Why the job could not be done, where the report says what was done all the same.
    fn failure(&self) -> Option<&Failure> {
        None
    }

    /// The worst of its alerts, by which `--fail-on` judges.
    fn worst_alert(&self) -> Option<Severity> {
        None
    }

    fn figures(&self) -> Figures<'_>;

    /// Saves the report where the job keeps it, as it will be printed; what could not be done.
    fn save(&mut self, _layout: json::Layout) -> Result<Option<Issue>> {
        Ok(None)
    }

    fn render(&mut self, session: &Session) -> Result<Printed>;
}

/// How a run goes through the steps.
pub(super) struct Plan<'a> {
    pub run: JobRun,
    pub config: &'a Config,
    /// `None`: it takes none, as dry runs do.
    pub locks: Option<Locks<'a>>,
    /// `None`: nobody is notified.
    pub notify: Option<Mode>,
}

/// What a job's work comes to.
pub(super) struct Work<R> {
    pub report: R,
    /// What receivers are notified of.
    pub evaluations: Vec<Evaluation>,
    /// Whether what channels rejected in earlier runs is sent again.
    pub retry: Retry,
}

impl Session {
    /// Takes a job through its steps. `open` gets what the job works on, before the lock among all hosts is asked for: where no other connection
    /// is left to be had, the job's own is there already.
    pub(super) fn run_job<T: Opened, R: JobReport>(
        &self,
        plan: &Plan,
        open: impl FnOnce() -> Result<T>,
        work: impl FnOnce(T) -> Result<Work<R>>,
    ) -> Result<Done> {
        let Plan { run, config, locks, notify } = plan;
        let lock = match locks {
            Some(_) => self.lock_here(run.job, config)?,
            None => None,
        };
        let mut opened = open().inspect_err(|_| self.ping_start(*run, config))?;
        let shared_lock = match locks {
            Some(locks) => self.lock_among_hosts(run.job, config, locks, &mut opened)?,
            None => None,
        };
        self.ping_start(*run, config);
        let Work { mut report, evaluations, retry } = work(opened)?;
        if let Some(failure) = report.failure() {
            log::error!("{}", failure.with_hint());
        }
        if locks.as_ref().is_some_and(|locks| locks.held_until == HeldUntil::WorkIsDone) {
            drop((lock, shared_lock));
        }
        if let Some(mode) = notify {
            report.notified(self.notify(config, &evaluations, retry, *mode));
        }
        if let Some(by_hand) = run.by_hand {
            log_by_hand(by_hand, report.worst_alert());
        }
        let mut outcome = judge(self.common.fail_on, &report);
        if !run.is_dry_run
            && let Some(issue) = self.write_textfile(run.job, outcome, report.figures())
        {
            report.add_issue(issue);
            outcome = outcome.with_issue();
        }
        if let Some(issue) = report.save(self.layout())? {
            report.add_issue(issue);
            outcome = outcome.with_issue();
        }
        Ok(Done::new(report.render(self)?, outcome))
    }

    /// Ends a run that failed: whoever has to know is notified, and the error document is what is printed.
    pub(super) fn fail(&self, run: Option<JobRun>, error: &anyhow::Error) -> Done {
        let failure = Failure::of(error);
        log::debug!("{error:?}");
        log::error!("{}", failure.with_hint());
        let outcome = Outcome::Failed(failure.kind);
        if let Some(run) = run {
            self.notify_failure(run, &failure);
            self.export_failure(run, outcome);
        }
        Done::new(self.render_failure(run.map(|run| run.job), &failure), outcome)
    }

    fn render_failure(&self, job: Option<Job>, failure: &Failure) -> Printed {
        if self.common.output == Format::Nagios {
            return Printed::plugin(nagios::failure(job.map_or("taskmon", Job::name), failure));
        }
        let mut document = json!({"success": false, "error": failure});
        // By its name `alert --report` raises what the job's next success resolves.
        if let Some(job) = job {
            document["job"] = json!(job.name());
        }
        let printed = self.show(&document, || text::failure(failure, self.language()));
        printed.unwrap_or_default().into()
    }

    /// Nobody is notified of wrong usage, of a run that another one held up or that was asked to end, and of one by hand.
    fn notify_failure(&self, run: JobRun, failure: &Failure) {
        let is_expected = matches!(
            failure.kind,
            Kind::Usage | Kind::Locked | Kind::LockedElsewhere | Kind::Interrupted
        );
        // Without a configuration nobody knows whom to notify; that it failed is the error itself.
        let Ok(config) = &self.config else {
            return;
        };
        if is_expected || !run.raises_alerts {
            if let Some(by_hand) = run.by_hand {
                log_by_hand(by_hand, None);
            }
            return;
        }
        let evaluation =
            Evaluation::job_failed(Some(run.job.name()), &failure.with_hint(), config.language);
        // A database that is down for hours must not keep rejected notifications from being sent again.
        let retry = match run.job {
            Job::Alert => Retry::Undelivered,
            _ => Retry::Nothing,
        };
        self.notify(config, &[evaluation], retry, Mode::Deliver);
    }

    /// The textfile of a run that failed, of which there are no figures but those of every run. Dry runs leave the file alone: it is about runs.
    pub(super) fn export_failure(&self, run: JobRun, outcome: Outcome) {
        if !run.is_dry_run {
            // What could not be done has been logged, and a run that failed has no `errors`.
            let _ = self.write_textfile(run.job, outcome, Figures::None);
        }
    }
}

/// Says that a run by hand notifies nobody: on a terminal, and where an alert is firing, so that it is seen.
fn log_by_hand(by_hand: ByHand, worst: Option<Severity>) {
    let why = format!("it is a run by hand ({by_hand}), which notifies nobody without --alert");
    match (by_hand, worst) {
        (ByHand::Terminal, Some(severity)) => log::warn!("{} alert: {why}", severity.name()),
        _ => log::info!("{why}"),
    }
}

/// How a run ends by its alerts and by what it could not do.
fn judge(fail_on: Option<Severity>, report: &impl JobReport) -> Outcome {
    if let Some(failure) = report.failure() {
        return Outcome::Failed(failure.kind);
    }
    match (fail_on, report.worst_alert()) {
        (Some(limit), Some(worst)) if worst >= limit => Outcome::AlertFiring,
        _ if report.has_issues() => Outcome::DoneWithErrors,
        _ => Outcome::Done,
    }
}
