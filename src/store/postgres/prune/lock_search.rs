//! How long a cleanup waits for rows that another session holds a lock on.

use std::cell::Cell;
use std::time::Duration;

/// How long a batch waits for them. Longer than PostgreSQL waits before it looks for a deadlock.
pub const LOCK_TIMEOUT: &str = "2s";

/// The same once it is known that some are held, and only not yet which.
pub const GLANCE: &str = "100ms";

/// How long a run looks for them in all, one half of a batch after the other. After that, one that is held keeps all that was to go along with it.
const LONGEST: Duration = Duration::from_secs(120);

/// How long a run has looked for rows that are held.
#[derive(Default)]
pub struct LockSearch {
    spent: Cell<Duration>,
}

impl LockSearch {
    pub fn spend(&self, waited: Duration) {
        self.spent.set(self.spent.get().saturating_add(waited));
    }

    pub fn may_go_on(&self) -> bool {
        self.spent.get() < LONGEST
    }
}
