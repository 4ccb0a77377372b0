//! Who runs a command, as far as it shows: cron, or somebody by hand.

use super::Session;
use super::arguments::{recorded_arguments, recorded_words};
use crate::cli::{Command, Common};
use crate::job::{ByHand, Caller, JobRun};
use std::ffi::OsString;
use std::io::{self, IsTerminal};

/// To have a terminal is not enough: what `crond` starts in a container has that of the container, but is not in its foreground, as what a shell starts is.
pub(super) fn caller(common: &Common) -> Caller {
    let has_terminal = io::stdin().is_terminal() || io::stderr().is_terminal();
    if has_terminal && is_in_foreground().unwrap_or(false) {
        Caller::ByHand(ByHand::Terminal)
    } else {
        without_terminal(common)
    }
}

/// Who runs what nobody sees, by the options of every command.
pub(super) fn without_terminal(common: &Common) -> Caller {
    match &common.database_url {
        Some(_) => Caller::ByHand(ByHand::Option(URL)),
        None => Caller::Unknown,
    }
}

const URL: &str = "--database-url";

impl Session {
    /// The run of a job that a command is. One that its options show to be by hand is cron's if they are those of a scheduled job; to find that out
    /// takes as long as a whole run of `disk`, so that only these are looked at.
    pub(super) fn job_run(&mut self, command: &Command, arguments: &[OsString]) -> Option<JobRun> {
        let run = command.job_run(self.caller);
        let is_by_option = matches!(run?.by_hand, Some(ByHand::Option(_)));
        if is_by_option && self.is_scheduled(arguments) {
            self.caller = Caller::Scheduled;
            return command.job_run(self.caller);
        }
        run
    }

    /// Whether these are the arguments of one of `[[schedule.jobs]]`.
    fn is_scheduled(&self, arguments: &[OsString]) -> bool {
        let words = recorded_arguments(arguments);
        let jobs = self.config.iter().flat_map(|config| &config.schedule.jobs);
        let mut jobs = jobs.filter_map(|job| shlex::split(&job.command));
        jobs.any(|job| {
            let has_url = job.iter().any(|word| word.starts_with(URL));
            recorded_words(&job) == words && has_url == self.common.database_url.is_some()
        })
    }
}

/// Whether the process belongs to those that its terminal listens to, by proc(5): `pid (command) state parent group session terminal foreground-group`.
/// rustix' `getpgrp` panics where that group is in another PID namespace.
fn is_in_foreground() -> Option<bool> {
    let stat = std::fs::read_to_string("/proc/self/stat").ok()?;
    let mut fields = stat.rsplit_once(')')?.1.split_whitespace().skip(2);
    let (group, foreground) = (fields.next()?, fields.nth(2)?);
    Some(group == foreground && group != "0")
}
