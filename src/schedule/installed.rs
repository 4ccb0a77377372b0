//! A job as it is installed, in a crontab or as a unit of systemd.

use super::job::CronJob;
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// What the jobs are installed with.
#[derive(Debug, Clone)]
pub struct Installation {
    /// Absolute.
    pub binary: PathBuf,
    /// Absolute.
    pub config: PathBuf,
    pub now: DateTime<Utc>,
}

/// A job as the comment beside its line in a crontab, or at the top of its unit, has it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Installed {
    pub name: String,
    pub cron: String,
    /// As a shell takes it.
    pub command: String,
    pub queue: String,
    pub priority: u8,
    /// Since when it runs like this; nothing was due before.
    pub installed: DateTime<Utc>,
}

impl Installed {
    /// The job as it is installed now, with the time of `old` if nothing about its runs has changed.
    pub fn of(job: &CronJob, old: &[Installed], now: DateTime<Utc>) -> Self {
        let new = Self {
            name: job.name.clone(),
            cron: job.cron.trim().to_owned(),
            command: job.command(),
            queue: job.queue.clone(),
            priority: job.priority,
            // The comment has whole seconds.
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
