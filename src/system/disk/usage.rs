//! What a file system says of itself, and how bad that is: its space and its inodes against two thresholds.

use crate::units;
use crate::units::Thresholds;
use rustix::fs::{StatVfs, StatVfsMountFlags};
use serde::{Deserialize, Serialize};
use std::cmp::Ordering;

/// How bad it is, in rising order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    Normal,
    Warning,
    Critical,
}

/// The numbers with which a file system answers `statvfs(3)`, whatever they may be worth.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Answer {
    /// Bytes of a block, in which the next three count.
    pub block_size: u64,
    pub blocks: u64,
    /// Free to root.
    pub free: u64,
    /// Free to everybody: `free` without the blocks reserved for root. Negative, in two's complement, where root has used some of those.
    pub available: u64,
    /// Inodes; 0 where the file system does not count them.
    pub files: u64,
    /// Linux keeps no inodes for root, so free to root and free to everybody are one number.
    pub files_free: u64,
    pub is_read_only: bool,
}

impl From<StatVfs> for Answer {
    fn from(answer: StatVfs) -> Self {
        Self {
            // A file system that knows no fragments leaves their size at 0.
            block_size: if answer.f_frsize == 0 { answer.f_bsize } else { answer.f_frsize },
            blocks: answer.f_blocks,
            free: answer.f_bfree,
            available: answer.f_bavail,
            files: answer.f_files,
            files_free: answer.f_ffree,
            is_read_only: answer.f_flag.contains(StatVfsMountFlags::RDONLY),
        }
    }
}

/// How much of a file system is used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Usage {
    block_size: u64,
    blocks: u64,
    used: u64,
    available: i64,
    /// Used and free; `None` where they do not count.
    inodes: Option<(u64, u64)>,
}

/// When a file system is too full.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Limits {
    pub thresholds: Thresholds,
    /// Bytes: with less to be written by users it is critical, whatever the percentage.
    pub min_free: Option<i64>,
}

/// Whether the inodes of a file system count.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Inodes {
    Counted,
    Ignored,
}

impl Usage {
    /// # Errors
    /// The answer cannot be: more is free than there is, or more is free to everybody than to root. The text says so in numbers.
    pub fn read(answer: &Answer, inodes: Inodes) -> Result<Self, String> {
        let Answer { block_size, blocks, free, available, files, files_free, .. } = *answer;
        let used = blocks
            .checked_sub(free)
            .ok_or_else(|| format!("{free} of its {blocks} blocks would be free"))?;
        let available = available as i64;
        if available > 0 && available.unsigned_abs() > free {
            return Err(format!("of its {free} free blocks {available} would be available"));
        }
        if available < 0 && available.unsigned_abs() >= used {
            return Err(format!("{available} blocks would be available, and {used} used"));
        }
        let inodes = (inodes == Inodes::Counted && files > 0).then_some((files, files_free));
        let inodes = inodes
            .map(|(files, free)| {
                let used = files.checked_sub(free);
                let used = used.ok_or(format!("{free} of its {files} inodes would be free"))?;
                Ok::<_, String>((used, free))
            })
            .transpose()?;
        Ok(Self { block_size, blocks, used, available, inodes })
    }

    /// Above 100 where root has used what is reserved for it, as `df` has it.
    pub fn space_percent(&self) -> f64 {
        self.space().percent()
    }

    /// `None` where inodes do not count.
    pub fn inodes_percent(&self) -> Option<f64> {
        self.inodes().map(Share::percent)
    }

    /// By the fuller of space and inodes.
    pub fn compare(&self, other: &Self) -> Ordering {
        self.fullest().compare(other.fullest())
    }

    fn space(&self) -> Share {
        Share { part: self.used, whole: self.used.saturating_add_signed(self.available) }
    }

    fn inodes(&self) -> Option<Share> {
        let (used, free) = self.inodes?;
        Some(Share { part: used, whole: used.saturating_add(free) })
    }

    pub fn bytes(&self) -> Bytes {
        let bytes = |blocks: u64| blocks.saturating_mul(self.block_size);
        let size = i64::try_from(self.block_size).unwrap_or(i64::MAX);
        Bytes {
            total: bytes(self.blocks),
            used: bytes(self.used),
            available: self.available.saturating_mul(size),
        }
    }

    /// The fuller of space and inodes.
    fn fullest(&self) -> Share {
        let space = self.space();
        self.inodes().map_or(space, |inodes| space.max(inodes))
    }

    /// By its space and its inodes alike, on the exact shares: 80.001 % is above 80 although it reads 80.0.
    pub fn status(&self, limits: &Limits) -> Status {
        let fullest = self.fullest();
        let has_too_little = limits.min_free.is_some_and(|least| self.bytes().available < least);
        if has_too_little || fullest.is_above(limits.thresholds.critical) {
            Status::Critical
        } else if fullest.is_above(limits.thresholds.warning) {
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
    /// What a user without privileges can still write; negative where root has used some of what is reserved for it.
    pub available: i64,
}

#[cfg(test)]
impl Answer {
    /// `used` of `whole` blocks, `files` of `all_files` inodes.
    pub fn filled(used: u64, whole: u64, files: u64, all_files: u64) -> Self {
        Self {
            block_size: 4096,
            blocks: whole,
            free: whole - used,
            available: whole - used,
            files: all_files,
            files_free: all_files - files,
            is_read_only: false,
        }
    }
}

#[cfg(test)]
impl Usage {
    pub fn filled(used: u64, whole: u64, files: u64, all_files: u64) -> Self {
        Self::read(&Answer::filled(used, whole, files, all_files), Inodes::Counted).unwrap()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: Limits =
        Limits { thresholds: Thresholds { warning: 80.0, critical: 90.0 }, min_free: None };

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
            assert_eq!(by_space.status(&LIMITS), expected, "space {used}");
            let by_inodes = Usage::filled(1, 100_000, used, 100_000);
            assert_eq!(by_inodes.status(&LIMITS), expected, "inodes {used}");
            let without_inodes = Usage::filled(used, 100_000, 0, 0);
            assert_eq!(without_inodes.status(&LIMITS), expected, "space only {used}");
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
            let status = Usage::filled(space, 100, inodes, 100).status(&LIMITS);
            assert_eq!(status, expected, "{space} {inodes}");
        }
    }

    #[test]
    fn thresholds_with_decimals_are_taken_at_their_word() {
        let limits = |warning| Limits {
            thresholds: Thresholds { warning, critical: 100.0 },
            min_free: None,
        };
        for (used, warning, expected) in [
            (927, 92.7, Status::Normal),
            (928, 92.7, Status::Warning),
            (551, 55.1, Status::Normal),
            (1, 0.1, Status::Normal),
            (1, 0.0, Status::Warning),
            (0, 0.0, Status::Normal),
            (1000, 100.0, Status::Normal),
        ] {
            let status = Usage::filled(used, 1000, 0, 0).status(&limits(warning));
            assert_eq!(status, expected, "{used} {warning}");
        }
    }

    #[test]
    fn the_largest_numbers_there_are_overflow_nothing() {
        let answer = Answer {
            block_size: 1 << 20,
            files_free: 1,
            ..Answer::filled(u64::MAX, u64::MAX, u64::MAX, u64::MAX)
        };
        let usage = Usage::read(&answer, Inodes::Counted).unwrap();
        assert_eq!(usage.status(&LIMITS), Status::Critical);
        assert_eq!(usage.space_percent(), 100.0);
        assert_eq!(usage.bytes().total, u64::MAX);
    }

    #[test]
    fn only_root_has_room_left_and_that_is_full() {
        let answer = Answer { available: 0, ..Answer::filled(950, 1000, 0, 0) };
        let usage = Usage::read(&answer, Inodes::Counted).unwrap();
        assert_eq!(usage.space_percent(), 100.0);
        assert_eq!(usage.status(&LIMITS), Status::Critical);
    }

    #[test]
    fn root_that_has_used_some_of_its_reserve_has_more_in_use_than_there_is() {
        let answer = Answer { available: (-10_i64) as u64, ..Answer::filled(1000, 1040, 0, 0) };
        let usage = Usage::read(&answer, Inodes::Counted).unwrap();
        assert_eq!(usage.space_percent(), 101.01);
        assert_eq!(usage.status(&LIMITS), Status::Critical);
        assert_eq!(usage.bytes().available, -40_960);
    }

    #[test]
    fn an_answer_that_cannot_be_is_none() {
        let fine = Answer::filled(60, 100, 60, 100);
        for (answer, why) in [
            (Answer { free: 101, ..fine }, "101 of its 100 blocks would be free"),
            (Answer { available: 41, ..fine }, "of its 40 free blocks 41 would be available"),
            (
                Answer { available: (-60_i64) as u64, ..fine },
                "-60 blocks would be available, and 60 used",
            ),
            (
                Answer { available: u64::MAX, ..Answer::filled(0, 100, 0, 0) },
                "-1 blocks would be available, and 0 used",
            ),
            (Answer { files_free: 101, ..fine }, "101 of its 100 inodes would be free"),
        ] {
            assert_eq!(Usage::read(&answer, Inodes::Counted), Err(why.to_owned()));
        }
        let ignored = Answer { files_free: 101, ..fine };
        assert_eq!(Usage::read(&ignored, Inodes::Ignored).unwrap().inodes_percent(), None);
    }

    #[test]
    fn too_little_to_be_written_is_critical_whatever_the_percentage() {
        let usage = Usage::filled(10, 100, 0, 0);
        for (least, expected) in [(90 * 4096, Status::Normal), (90 * 4096 + 1, Status::Critical)] {
            let limits = Limits { min_free: Some(least), ..LIMITS };
            assert_eq!(usage.status(&limits), expected);
        }
    }
}
