//! How many rows are deleted in one transaction, where a batch takes longer than a statement may.

use std::time::Duration;

/// So many rows that each take too long by themselves end a run: with every further one it would wait for the whole time limit again.
const MOST_SLOW_ROWS: u32 = 3;

pub struct Portion {
    most: usize,
    /// How many rows took too long by themselves.
    slow: u32,
}

impl Default for Portion {
    fn default() -> Self {
        Self { most: usize::MAX, slow: 0 }
    }
}

impl Portion {
    pub fn allows(&self, rows: usize) -> bool {
        rows <= self.most
    }

    /// So many rows took too long.
    pub fn shrink(&mut self, rows: usize) {
        self.most = (rows / 2).max(1);
    }

    /// Rows were deleted in this time. If it was a fraction of what they may take, one row that is slow by itself was what had held up the others.
    pub fn grow(&mut self, took: Duration, limit: Duration) {
        if took * 4 < limit {
            self.most = self.most.saturating_mul(2);
        }
    }

    /// Whether the run goes on without a row that takes too long by itself.
    pub fn leaves_out_slow_row(&mut self) -> bool {
        self.slow += 1;
        self.slow < MOST_SLOW_ROWS
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMIT: Duration = Duration::from_secs(10);

    #[test]
    fn what_took_too_long_is_halved_and_grows_again_once_it_is_fast() {
        let mut portion = Portion::default();
        assert!(portion.allows(100_000));
        portion.grow(Duration::from_secs(1), LIMIT);
        assert!(portion.allows(100_000));
        portion.shrink(100);
        assert!(portion.allows(50) && !portion.allows(51));
        portion.grow(Duration::from_secs(3), LIMIT);
        assert!(!portion.allows(51));
        portion.grow(Duration::from_secs(2), LIMIT);
        assert!(portion.allows(100) && !portion.allows(101));
        portion.shrink(1);
        assert!(portion.allows(1) && !portion.allows(2));
    }
}
