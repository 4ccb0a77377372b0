//! `schedule logs`: the records of the runs.

use super::missed::unreadable_records;
use crate::calendar::Clock;
use crate::cli::ScheduleLogsArgs;
use crate::config::Config;
use crate::outcome::{Failure, Kind, Outcome};
use crate::report::json;
use crate::report::text::schedule as page;
use crate::run::Session;
use crate::run::cleanup::listen_for_signals;
use crate::run::output::{Done, write_out};
use crate::schedule::report::LogReport;
use crate::schedule::runs::RunRecord;
use crate::schedule::runs::follow::Follower;
use anyhow::Result;
use chrono::Utc;
use std::io::ErrorKind;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// How often a file of records that is followed is looked at.
const POLL_INTERVAL: Duration = Duration::from_millis(200);

impl Session {
    pub(super) fn logs(&self, config: &Config, arguments: &ScheduleLogsArgs) -> Result<Done> {
        let folder = &config.alerts.notify.logs_dir;
        let unreadable = |error: std::io::Error| unreadable_records(folder, &error);
        let (mut follower, found) = Follower::start(folder, arguments.lines).map_err(unreadable)?;
        if !arguments.follow {
            let report = LogReport { success: true, runs: found };
            return self
                .done(&report, Outcome::Done, || page::logs(&report.runs, self.clock(config)));
        }
        let asked_to_end = Arc::new(AtomicBool::new(false));
        listen_for_signals(&asked_to_end)?;
        let mut runs = found;
        while self.print_runs(&runs, config)?.is_continue() && !asked_to_end.load(Ordering::Relaxed)
        {
            std::thread::sleep(POLL_INTERVAL);
            runs = follower.poll().map_err(unreadable)?;
        }
        Ok(Done::new(String::new(), Outcome::Done))
    }

    /// Breaks off once the reader has closed the pipe.
    fn print_runs(&self, runs: &[RunRecord], config: &Config) -> Result<ControlFlow<()>> {
        for run in runs {
            // Each comes as it ends: that is now.
            let clock = Clock { now: Utc::now(), ..self.clock(config) };
            let line = self.show_as(json::Layout::Compact, run, || {
                page::logs(std::slice::from_ref(run), clock)
            })?;
            match write_out(&line) {
                Err(error) if error.kind() == ErrorKind::BrokenPipe => {
                    return Ok(ControlFlow::Break(()));
                }
                Err(error) => {
                    let message = format!("standard output cannot be written: {error}");
                    return Err(Failure::new(Kind::OutputFailed, message).into());
                }
                Ok(()) => {}
            }
        }
        Ok(ControlFlow::Continue(()))
    }
}
