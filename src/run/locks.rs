//! The locks of a job: one run at a time on this host, and, where it works on a database, among all hosts.

use super::Session;
use crate::config::Config;
use crate::job::Job;
use crate::lock::{self, Lock};
use crate::outcome::{Failure, Kind};
use crate::store::advisory::{Attempt, Held};
use crate::store::open;
use crate::store::target::Target;
use anyhow::Result;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Which locks a run takes.
pub(super) struct Locks<'a> {
    /// Where the lock among all hosts is; `None`: the job is each host's own.
    pub database: Option<&'a Target>,
    pub held_until: HeldUntil,
}

/// What a job works on.
pub(super) trait Opened {
    /// Whether there is a database that could be reached.
    fn is_reachable(&self) -> bool {
        true
    }

    /// Whether the database answers within this time on the job's own connection.
    fn answers(&mut self, within: Duration) -> bool;
}

/// A job that has no answer for so long while the lock is held, on another connection, waits for that lock's connection to become free.
const STARVED: Duration = Duration::from_secs(3);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum HeldUntil {
    /// Before anybody is notified: a channel that hangs must not keep the next run from its work.
    WorkIsDone,
    RunEnds,
}

impl Session {
    pub(super) fn lock_here(&self, job: Job, config: &Config) -> Result<Option<Lock>> {
        if self.common.no_lock {
            return Ok(None);
        }
        let identity = identity(config);
        let subject = lock_subject(job.name(), config, &identity);
        let lock = match lock::acquire(&subject, Duration::ZERO) {
            Err(error) if Failure::of(&error).kind == Kind::Locked && self.common.wait > 0 => {
                log::info!("another run of {} is under way: waiting for it", job.name());
                lock::acquire(&subject, self.patience())?
            }
            taken => taken?,
        };
        if let Some(warning) = &lock.warning {
            log::warn!("{warning}");
        }
        if job == Job::Cleanup {
            lock::sweep(&config.alerts.notify.logs_dir);
        }
        log::info!("the lock of {} on this host is taken", job.name());
        Ok(Some(lock))
    }

    /// How much longer the run waits for another one to end.
    fn patience(&self) -> Duration {
        Duration::from_secs(self.common.wait.into()).saturating_sub(self.started.elapsed())
    }

    /// The lock across hosts, taken when the job's own connection is there already: where no other is left to be had, the job goes on without it.
    pub(super) fn lock_among_hosts(
        &self,
        job: Job,
        config: &Config,
        locks: &Locks,
        opened: &mut impl Opened,
    ) -> Result<Option<Held>> {
        let is_wanted = !self.common.no_lock && opened.is_reachable();
        let Some(target) = locks.database.filter(|_| is_wanted) else {
            return Ok(None);
        };
        let job = job.name();
        match open::lock(target, lock_key(job, config), self.patience()) {
            Ok(Attempt::Held(held)) if opened.answers(STARVED) => {
                log::info!("the lock of {job} among all hosts is taken");
                Ok(Some(held))
            }
            Ok(Attempt::Held(_)) => {
                log::info!("the lock of {job} among all hosts is given back: with it, a pooler has no server left for the job itself");
                Ok(None)
            }
            Ok(Attempt::NotNeeded) => Ok(None),
            Ok(Attempt::Busy) => Err(Failure::new(
                Kind::LockedElsewhere,
                format!("a run of {job} on another host, with this configuration and database, is under way; nothing was done"),
            )
            .hint("--wait SECONDS waits longer, --no-lock runs all the same")
            .into()),
            Err(error) => {
                log::info!("runs on other hosts are not kept from running at the same time: {error:#}");
                Ok(None)
            }
        }
    }
}

/// The number of a job's lock across hosts: the same on every host, for every version of this program. The database is where the lock is; hosts may know
/// it by different names. The configuration goes by the path of its file.
fn lock_key(job: &str, config: &Config) -> i64 {
    let file = config.file.as_deref().unwrap_or(Path::new(""));
    let text = format!("taskmon\n{job}\n{}", file.display());
    let digest = ring::digest::digest(&ring::digest::SHA256, text.as_bytes());
    let first = digest.as_ref().iter().take(8);
    first.fold(0, |key, byte| key << 8 | i64::from(*byte))
}

/// What is locked for a job. Without a configuration nobody has named a folder for it, and none is made.
pub(super) fn lock_subject<'a>(
    job: &'a str,
    config: &'a Config,
    identity: &'a str,
) -> lock::Subject<'a> {
    let folder = &config.alerts.notify.logs_dir;
    lock::Subject {
        folder: (config.file.is_some() || folder.is_dir()).then_some(folder),
        name: job,
        identity,
    }
}

/// What identifies a configuration: its file and its database, whichever way leads to them.
pub(super) fn identity(config: &Config) -> String {
    let file = config.file.as_deref().map(real).unwrap_or_default();
    let database = config.database.target.as_ref().map(|target| match target {
        Target::Sqlite(path) | Target::SqliteReadOnly(path) => real(path).display().to_string(),
        target => target.display(),
    });
    format!(
        "{}\n{}\n{}",
        file.display(),
        real(&config.base_dir).display(),
        database.unwrap_or_default()
    )
}

/// Without `..` and links on the way; as it is where it is not there.
pub(super) fn real(path: &Path) -> PathBuf {
    path.canonicalize().unwrap_or_else(|_| path.to_owned())
}
