//! What both databases share of the search for rows that name a batch's files.

use super::{Batch, Deletion, Mode, ReferenceCheck, Source};
use crate::mapping::canonical_path::CanonicalPath;
use std::collections::HashSet;

impl Source {
    /// As the statements number it.
    pub fn number(self) -> i32 {
        match self {
            Source::Tasks => 0,
            Source::Receipts => 1,
            Source::TaskDependents(place) => 2 + doubled(place),
            Source::ReceiptDependents(place) => 3 + doubled(place),
        }
    }

    pub fn from_number(number: i32) -> Self {
        match number {
            0 => Source::Tasks,
            1 => Source::Receipts,
            even if even % 2 == 0 => Source::TaskDependents(halved(even - 2)),
            odd => Source::ReceiptDependents(halved(odd - 3)),
        }
    }
}

fn doubled(place: usize) -> i32 {
    i32::try_from(place).map_or(0, |place| place.saturating_mul(2))
}

fn halved(number: i32) -> usize {
    (number / 2).unsigned_abs() as usize
}

/// The paths that the rows known to name them do not decide on, so that the tables must be searched. A dry run wants all rows that name a path:
/// some of them would have gone before.
pub fn undecided<'b>(
    batch: &Batch<'b>,
    deletion: &Deletion,
    mode: Mode,
) -> impl Iterator<Item = &'b CanonicalPath> {
    let named: HashSet<CanonicalPath> =
        deletion.referring.iter().map(|(_, _, path)| path.clone()).collect();
    let is_undecided = move |check: &&ReferenceCheck| {
        !check.complete && (mode == Mode::DryRun || !named.contains(&check.path))
    };
    batch.checks.iter().filter(is_undecided).map(|check| &check.path)
}
