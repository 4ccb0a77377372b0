//! A set of which only hashes are kept: 8 bytes an item, for millions of paths.

use std::collections::HashSet;
use std::hash::{BuildHasher, Hash, RandomState};

#[derive(Debug, Default)]
pub struct HashedSet {
    hasher: RandomState,
    hashes: HashSet<u64>,
}

impl HashedSet {
    /// False if it was in already.
    pub fn insert(&mut self, item: &(impl Hash + ?Sized)) -> bool {
        self.hashes.insert(self.hasher.hash_one(item))
    }

    pub fn contains(&self, item: &(impl Hash + ?Sized)) -> bool {
        !self.hashes.is_empty() && self.hashes.contains(&self.hasher.hash_one(item))
    }
}
