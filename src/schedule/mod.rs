//! The jobs that cron or systemd runs: when they are due, where they are written down, how they went.
//!
//! - [`next`]: when a cron expression is due
//! - [`crontab`]: the block in a crontab, as text; [`program`]: the `crontab` program that reads and writes it
//! - [`systemd`]: the same jobs as timers
//! - [`runs`]: the record of each run
//! - [`report`]: the results of `schedule`
//! - [`daemon`]: whether a cron is running here
//! - [`missed`], [`skipped_in_a_row`]: what did not happen

pub mod crontab;
pub mod daemon;
pub mod next;
pub mod program;
pub mod report;
pub mod runs;
pub mod systemd;

use chrono::{DateTime, TimeDelta, Utc};
use chrono_tz::Tz;
use next::Times;
use runs::RunRecord;
use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// A job of `[[schedule.jobs]]`, its expression and its command read.
#[derive(Debug, Clone)]
pub struct Job {
    pub name: String,
    pub cron: String,
    pub times: Times,
    /// The arguments of taskmon.
    pub words: Vec<String>,
    /// Empty: on every host.
    pub queue: String,
    /// 9 highest, 1 lowest.
    pub priority: u8,
}

impl Job {
    /// Added to the niceness that cron's jobs have: 0 for priority 9, 16 for 1. The rule is the contract's.
    pub fn nice(&self) -> u8 {
        2 * (9 - self.priority.min(9))
    }

    /// As a shell takes it.
    pub fn command(&self) -> String {
        quoted_words(&self.words)
    }

    /// Whether a host that serves these queues runs it; no queues: every host does.
    pub fn is_served(&self, queues: &[String]) -> bool {
        queues.is_empty() || self.queue.is_empty() || queues.contains(&self.queue)
    }
}

/// What the jobs are installed with.
#[derive(Debug, Clone)]
pub struct Installation {
    /// Absolute.
    pub binary: PathBuf,
    /// Absolute.
    pub config: PathBuf,
    pub now: DateTime<Utc>,
}

/// A job as it stands in a crontab or a unit, in a comment beside what is run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Installed {
    pub name: String,
    pub cron: String,
    /// As a shell takes it.
    pub command: String,
    pub queue: String,
    pub priority: u8,
    /// Since when it is run like this: before, nothing was due.
    pub installed: DateTime<Utc>,
}

impl Installed {
    /// The job as it is now; if it is as it was, since then.
    pub fn of(job: &Job, old: &[Installed], now: DateTime<Utc>) -> Self {
        // What is written down has whole seconds.
        let new = Self {
            name: job.name.clone(),
            cron: job.cron.trim().to_owned(),
            command: job.command(),
            queue: job.queue.clone(),
            priority: job.priority,
            installed: DateTime::from_timestamp(now.timestamp(), 0).unwrap_or(now),
        };
        let is_same = |old: &&Installed| {
            (current_name(&old.name), &old.cron, &old.command)
                == (current_name(&new.name), &new.cron, &new.command)
        };
        match old.iter().find(is_same) {
            Some(old) => Self { installed: old.installed, ..new },
            None => new,
        }
    }

    pub fn words(&self) -> Vec<String> {
        shlex::split(&self.command).unwrap_or_default()
    }
}

/// Names that jobs of the default configuration had in earlier versions, and the names that they have now.
const RENAMED: [(&str, &str); 1] = [("check-disk-space", "disk-space-check")];

/// The name that a job has now, where an earlier version's defaults had another one.
fn current_name(name: &str) -> &str {
    RENAMED.iter().find(|(former, _)| *former == name).map_or(name, |(_, current)| current)
}

/// Gives a job that is installed under a former name of a default job the name that it has now: after an upgrade it is not one that nobody
/// configures. A configuration that has the former name itself keeps it.
pub fn rename_former(installed: &mut Installed, configured: &[&str]) {
    let current = current_name(&installed.name);
    if configured.contains(&current) && !configured.contains(&installed.name.as_str()) {
        installed.name = current.to_owned();
    }
}

/// Words for a shell, each quoted where it has to be. A word with a control character has no place in a crontab and is refused before.
pub fn quoted_words<W: AsRef<str>>(words: &[W]) -> String {
    let quoted: Vec<String> = words.iter().map(|word| quoted(word.as_ref())).collect();
    quoted.join(" ")
}

fn quoted(word: &str) -> String {
    let is_plain = |letter: char| letter.is_alphanumeric() || "/._-+,:=@%".contains(letter);
    if !word.is_empty() && word.chars().all(is_plain) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', "'\\''"))
    }
}

/// How long after the time that it is due a job may begin: a cron that starts late, a host that is busy.
pub const GRACE: TimeDelta = TimeDelta::minutes(5);

/// For so long a run that is under way counts as one that will end well; one that hangs does not count for ever.
pub const LONGEST_RUN: TimeDelta = TimeDelta::hours(24);

/// From so many runs on that a lock skipped, with none between, it is said.
pub const SKIPPED_TOO_OFTEN: usize = 3;

/// What is known about the jobs of this host.
pub struct Known<'a> {
    /// Oldest first.
    pub runs: &'a [RunRecord],
    /// Whether a run of this command (`cleanup`) is under way.
    pub is_running: &'a dyn Fn(&str) -> bool,
    pub now: DateTime<Utc>,
    /// The zone that cron goes by.
    pub zone: Tz,
}

/// When the job was due last, if no run since then went well; `None`: all is well, or nothing was due yet.
///
/// A run counts that ended after the job was due with exit code 0, 1 or 4, was no dry run, and had the job's arguments, whoever started
/// it; one that is under way counts for [`LONGEST_RUN`]; one that another host's run held up was done there. What was due less than
/// [`GRACE`] ago, or before the job was installed, does not count yet.
pub fn missed(job: &Installed, known: &Known) -> Option<DateTime<Utc>> {
    let times = Times::read(&job.cron).ok()?;
    let due = times.last(known.now - GRACE, known.zone)?;
    let words = job.words();
    let command = words.first().map_or("", String::as_str);
    let own = known.runs.iter().filter(|run| run.is_of(&words));
    let is_done = own.into_iter().any(|run| {
        if run.skipped {
            run.held_by == Some(runs::Holder::OtherHost) && run.start >= due
        } else {
            run.is_success() && run.end >= due
        }
    });
    let is_under_way = known.now - due < LONGEST_RUN && (known.is_running)(command);
    (due > job.installed && !is_done && !is_under_way).then_some(due)
}

/// How many runs of a job a lock has skipped since the last one that ran.
pub fn skipped_in_a_row(words: &[String], runs: &[RunRecord]) -> usize {
    let own = runs.iter().rev().filter(|run| run.is_of(words));
    own.take_while(|run| run.skipped).count()
}

#[cfg(test)]
mod tests;
