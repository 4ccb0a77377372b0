//! How long a cleanup waits for rows that another session holds a lock on.

use crate::outcome::{Failure, Kind};
use crate::store::prune::Deletion;
use std::cell::Cell;
use std::time::Duration;

/// How long a batch waits for them. Longer than PostgreSQL waits before it looks for a deadlock.
pub const LOCK_TIMEOUT: &str = "2s";

/// The same once it is known that some are held, and only not yet which.
pub const GLANCE: &str = "100ms";

/// How long a run looks for them in all, one half of a batch after the other. After that, one that is held keeps all that was to go along with it.
const LONGEST: Duration = Duration::from_secs(120);

/// A run ends if for so long it has met nothing but rows that are held: what is held is then something that every deletion needs, such as a counter
/// that a trigger updates.
const STUCK: Duration = Duration::from_secs(60);

/// How long a run has looked for rows that are held.
#[derive(Default)]
pub struct LockSearch {
    spent: Cell<Duration>,
    /// Since it last deleted any.
    stuck: Cell<Duration>,
}

impl LockSearch {
    pub fn spend(&self, waited: Duration) {
        self.spent.set(self.spent.get().saturating_add(waited));
    }

    /// # Errors
    /// It has taken too long since a batch deleted anything.
    pub fn require_progress(&self, took: Duration, deletion: &Deletion) -> Result<(), Failure> {
        if deletion.locked.is_empty() || !deletion.deleted.is_empty() {
            self.stuck.set(Duration::ZERO);
            return Ok(());
        }
        self.stuck.set(self.stuck.get().saturating_add(took));
        if self.stuck.get() < STUCK {
            return Ok(());
        }
        let message = "other sessions hold locks that keep every row from being deleted";
        Err(Failure::new(Kind::QueryFailed, message).hint(
            "pg_locks and pg_blocking_pids() say which sessions; run again once these are done",
        ))
    }

    pub fn may_go_on(&self) -> bool {
        self.spent.get() < LONGEST
    }
}
