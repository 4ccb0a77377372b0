//! Which of some paths rows name: every row is read once, whatever it writes its paths like, and only hashes of the paths are kept.

use super::hashed::HashedSet;
use crate::mapping::canonical_path::{CanonicalPath, PathAliases};
use crate::store::prune::{Keys, Pruner};
use anyhow::Result;
use std::collections::HashSet;
use std::hash::{BuildHasher, RandomState};

/// Canonical paths as hashes of this run.
#[derive(Debug, Default)]
pub struct PathHasher(RandomState);

impl PathHasher {
    pub fn hash(&self, path: &CanonicalPath) -> u64 {
        self.0.hash_one(path.as_bytes())
    }

    /// That of the canonical form of a path.
    pub fn hash_canonical(&self, aliases: &PathAliases, path: &[u8]) -> u64 {
        self.0.hash_one(&*aliases.canonical_bytes(path))
    }

    /// Those of the paths `asked` for that rows name; the rows of `excluded`, `(Source, &Key)`, do not count.
    ///
    /// # Errors
    /// Those of [`Pruner::named_paths`].
    pub fn find_named(
        &self,
        asked: &HashSet<u64>,
        aliases: &PathAliases,
        pruner: &mut dyn Pruner,
        excluded: &[&HashedSet],
    ) -> Result<HashSet<u64>> {
        let mut named = HashSet::new();
        if asked.is_empty() {
            return Ok(named);
        }
        let keys = if excluded.is_empty() { Keys::Unneeded } else { Keys::Wanted };
        pruner.named_paths(keys, &mut |found| {
            let hash = self.hash_canonical(aliases, found.path);
            let is_excluded = || {
                let of = |key| excluded.iter().any(|rows| rows.contains(&(found.source, key)));
                found.key.is_some_and(of)
            };
            if asked.contains(&hash) && !is_excluded() {
                named.insert(hash);
            }
        })?;
        Ok(named)
    }

    /// The paths that rows name which may have come since the last time that all were read.
    ///
    /// # Errors
    /// Those of [`Pruner::recent_paths`].
    pub fn find_recent(
        &self,
        aliases: &PathAliases,
        pruner: &mut dyn Pruner,
    ) -> Result<HashSet<u64>> {
        let mut recent = HashSet::new();
        pruner.recent_paths(&mut |found| {
            recent.insert(self.hash_canonical(aliases, found.path));
        })?;
        Ok(recent)
    }
}
