//! What a file system says of itself, and how bad that is: its space and its inodes against two thresholds.

use crate::units;
use crate::units::Thresholds;
use rustix::fs::StatVfs;
use serde::Serialize;
use std::cmp::Ordering;

/// How bad it is, in rising order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    Normal,
    Warning,
    Critical,
}

/// What a file system says of itself, as `statvfs(3)` has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Usage {
    /// Bytes of a block (`f_frsize`, in which the next three count).
    pub block_size: u64,
    pub blocks: u64,
    /// Free to root.
    pub free: u64,
    /// Free to everybody: `free` without the blocks reserved for root.
    pub available: u64,
    /// Inodes; 0 where the file system does not count them.
    pub files: u64,
    /// Linux keeps no inodes for root, so free to root and free to everybody are one number.
    pub files_free: u64,
}

impl From<StatVfs> for Usage {
    fn from(answer: StatVfs) -> Self {
        Self {
            block_size: answer.f_frsize,
            blocks: answer.f_blocks,
            free: answer.f_bfree,
            available: answer.f_bavail,
            files: answer.f_files,
            files_free: answer.f_ffree,
        }
    }
}

impl Usage {
    pub fn space_percent(&self) -> f64 {
        self.space().percent()
    }

    /// `None` where the file system does not count inodes.
    pub fn inodes_percent(&self) -> Option<f64> {
        self.inodes().map(Share::percent)
    }

    /// By the fuller of space and inodes.
    pub fn compare(&self, other: &Self) -> Ordering {
        self.fullest().compare(other.fullest())
    }

    fn space(&self) -> Share {
        Share::of(self.used(), self.available)
    }

    fn inodes(&self) -> Option<Share> {
        let used = self.files.saturating_sub(self.files_free);
        (self.files > 0).then(|| Share::of(used, self.files_free))
    }

    /// Blocks in use. A network server may report more free than there is.
    fn used(&self) -> u64 {
        self.blocks.saturating_sub(self.free)
    }

    pub fn bytes(&self) -> Bytes {
        let bytes = |blocks: u64| blocks.saturating_mul(self.block_size);
        Bytes {
            total: bytes(self.blocks),
            used: bytes(self.used()),
            available: bytes(self.available),
        }
    }

    /// The fuller of space and inodes.
    fn fullest(&self) -> Share {
        let space = self.space();
        self.inodes().map_or(space, |inodes| space.max(inodes))
    }

    /// By its space and its inodes alike, on the exact shares: 80.001 % is above 80 although it reads 80.0.
    pub fn status(&self, thresholds: Thresholds) -> Status {
        let fullest = self.fullest();
        if fullest.is_above(thresholds.critical) {
            Status::Critical
        } else if fullest.is_above(thresholds.warning) {
            Status::Warning
        } else {
            Status::Normal
        }
    }
}

/// An exact fraction.
#[derive(Debug, Clone, Copy)]
struct Share {
    part: u64,
    whole: u64,
}

impl Share {
    fn of(used: u64, free: u64) -> Self {
        Self { part: used, whole: used.saturating_add(free) }
    }

    fn percent(self) -> f64 {
        units::percent(self.part, self.whole)
    }

    /// Whether it is above a limit in percent, which counts to 9 decimals: the binary number nearest to 92.7 lies beside it.
    /// Nothing of nothing is above no limit.
    fn is_above(self, percent: f64) -> bool {
        const NANO: f64 = 1e9;
        let limit = (percent * NANO).round() as u128;
        let part = u128::from(self.part) * 100 * (NANO as u128);
        part > limit.saturating_mul(self.whole.into())
    }

    fn max(self, other: Self) -> Self {
        if self.compare(other) == Ordering::Less { other } else { self }
    }

    fn compare(self, other: Self) -> Ordering {
        let scaled = |share: Share, by: Share| u128::from(share.part) * u128::from(by.whole.max(1));
        scaled(self, other).cmp(&scaled(other, self))
    }
}

/// A file system's space to the byte.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Bytes {
    pub total: u64,
    pub used: u64,
    /// What a user without privileges can still write.
    pub available: u64,
}

#[cfg(test)]
impl Usage {
    /// `used` of `whole` blocks, `files` of `all_files` inodes.
    pub fn filled(used: u64, whole: u64, files: u64, all_files: u64) -> Self {
        Self {
            block_size: 4096,
            blocks: whole,
            free: whole - used,
            available: whole - used,
            files: all_files,
            files_free: all_files - files,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: Thresholds = Thresholds { warning: 80.0, critical: 90.0 };

    #[test]
    fn a_threshold_is_passed_above_it_and_not_at_it() {
        use Status::{Critical, Normal, Warning};
        for (used, expected) in [
            (0, Normal),
            (79_999, Normal),
            (80_000, Normal),
            (80_001, Warning),
            (89_999, Warning),
            (90_000, Warning),
            (90_001, Critical),
            (100_000, Critical),
        ] {
            let by_space = Usage::filled(used, 100_000, 1, 100_000);
            assert_eq!(by_space.status(LIMITS), expected, "space {used}");
            let by_inodes = Usage::filled(1, 100_000, used, 100_000);
            assert_eq!(by_inodes.status(LIMITS), expected, "inodes {used}");
            let without_inodes = Usage::filled(used, 100_000, 0, 0);
            assert_eq!(without_inodes.status(LIMITS), expected, "space only {used}");
        }
    }

    #[test]
    fn the_worse_of_space_and_inodes_is_the_status() {
        for (space, inodes, expected) in [
            (81, 91, Status::Critical),
            (91, 81, Status::Critical),
            (81, 10, Status::Warning),
            (80, 80, Status::Normal),
        ] {
            let status = Usage::filled(space, 100, inodes, 100).status(LIMITS);
            assert_eq!(status, expected, "{space} {inodes}");
        }
    }

    #[test]
    fn thresholds_with_decimals_are_taken_at_their_word() {
        let limits = |warning| Thresholds { warning, critical: 100.0 };
        for (used, warning, expected) in [
            (927, 92.7, Status::Normal),
            (928, 92.7, Status::Warning),
            (551, 55.1, Status::Normal),
            (1, 0.1, Status::Normal),
            (1, 0.0, Status::Warning),
            (0, 0.0, Status::Normal),
            (1000, 100.0, Status::Normal),
        ] {
            let status = Usage::filled(used, 1000, 0, 0).status(limits(warning));
            assert_eq!(status, expected, "{used} {warning}");
        }
    }

    #[test]
    fn the_largest_numbers_there_are_overflow_nothing() {
        let usage = Usage {
            block_size: 1 << 20,
            blocks: u64::MAX,
            free: 0,
            available: u64::MAX,
            files: u64::MAX,
            files_free: 1,
        };
        assert_eq!(usage.status(LIMITS), Status::Critical);
        assert_eq!(usage.space_percent(), 100.0);
        assert_eq!(usage.bytes().total, u64::MAX);
    }

    #[test]
    fn only_root_has_room_left_and_that_is_full() {
        let usage = Usage {
            block_size: 4096,
            blocks: 1000,
            free: 50,
            available: 0,
            files: 0,
            files_free: 0,
        };
        assert_eq!(usage.space_percent(), 100.0);
        assert_eq!(usage.status(LIMITS), Status::Critical);
    }

    #[test]
    fn a_server_that_claims_more_free_than_there_is_has_nothing_used() {
        let usage = Usage {
            block_size: 4096,
            blocks: 10,
            free: 20,
            available: 20,
            files: 10,
            files_free: 20,
        };
        assert_eq!(usage.space_percent(), 0.0);
        assert_eq!(usage.inodes_percent(), Some(0.0));
    }
}
