//! What a run reports its progress to, and what ends it early.

use super::tally::Tally;
use crate::outcome::Issue;

pub struct Watch<'a> {
    pub progress: &'a dyn Fn(&Tally),
    /// Why the run must stop now; asked between batches.
    pub must_stop: &'a dyn Fn() -> Option<&'static str>,
}

impl Watch<'_> {
    /// Whether the run must stop; the first time, the tally gets the reason.
    pub fn stops(&self, tally: &mut Tally) -> bool {
        if tally.stopped.is_some() {
            return true;
        }
        let Some(reason) = (self.must_stop)() else {
            return false;
        };
        tally.stopped = Some(reason);
        let message = match reason {
            "max_runtime" => "the run reached its time limit; the next one goes on from here",
            _ => "the run was asked to end; the next one goes on from here",
        };
        tally.issue(Issue::new("stopped", message));
        true
    }
}
