//! Who runs a command, as far as it shows: cron, or somebody by hand.

use super::arguments::{recorded_arguments, recorded_words};
use crate::cli::Common;
use crate::config::Config;
use crate::job::{ByHand, Caller};
use std::ffi::OsString;
use std::io::{self, IsTerminal};

/// To have a terminal is not enough: what `crond` starts in a container has that of the container, but is not in its foreground, as what a shell starts is.
pub(super) fn caller(common: &Common, arguments: &[OsString], config: Option<&Config>) -> Caller {
    let has_terminal = io::stdin().is_terminal() || io::stderr().is_terminal();
    if has_terminal && is_in_foreground().unwrap_or(false) {
        return Caller::ByHand(ByHand::Terminal);
    }
    const URL: &str = "--database-url";
    let words = recorded_arguments(arguments);
    let jobs = config.into_iter().flat_map(|config| &config.schedule.jobs);
    let mut jobs = jobs.filter_map(|job| shlex::split(&job.command));
    let is_scheduled = jobs.any(|job| {
        let has_url = job.iter().any(|word| word.starts_with(URL));
        recorded_words(&job) == words && has_url == common.database_url.is_some()
    });
    match &common.database_url {
        _ if is_scheduled => Caller::Scheduled,
        Some(_) => Caller::ByHand(ByHand::Option(URL)),
        None => Caller::Unknown,
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
