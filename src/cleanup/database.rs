//! The database of a run, which temp and log folders can do without.

use crate::outcome::{Failure, Kind};
use crate::store::prune::Pruner;

/// The database, as far as a run has one.
pub enum Database {
    /// None is configured.
    None,
    Open(Box<dyn Pruner>),
    /// It is configured and failed, before the run or during it.
    Unreachable(Failure),
}

/// The run was asked to end, and what it waited for was given up.
pub fn is_interrupted(error: &anyhow::Error) -> bool {
    Failure::of(error).kind == Kind::Interrupted
}
