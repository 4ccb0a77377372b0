//! Files that several rows name: they stay until the last of these rows goes.

use super::finding::Finding;
use crate::calendar::Shift;
use crate::mapping::canonical_path::CanonicalPath;
use crate::store::prune::{
    ExpiredRow, Key, MOST_REFERENCES, Pruner, ReferenceCheck, Scope, Source,
};
use anyhow::Result;
use chrono::{DateTime, TimeDelta, Utc};
use std::collections::{BTreeMap, HashMap};
use std::hash::{BuildHasher, RandomState};
use std::time::{Duration, Instant};

/// The search is repeated when so many times its own duration have passed, so that it costs a tenth at most,
const REFRESH: u32 = 10;

/// and not sooner than this: a short run does with one.
const SOONEST: Duration = Duration::from_secs(3);

/// A row that was being written when the search began may carry a creation time so much before it.
const WRITING: TimeDelta = TimeDelta::minutes(10);

/// The paths that several rows name.
#[derive(Default)]
pub struct SharedPaths {
    /// By the hash of the path.
    paths: HashMap<u64, References>,
    hasher: RandomState,
    loaded: Option<Instant>,
    took: Duration,
    /// Rows created since then are not in it.
    pub since: DateTime<Utc>,
}

#[derive(Clone)]
struct References {
    rows: Vec<(Source, Key)>,
    /// Whether these are all.
    complete: bool,
}

impl SharedPaths {
    /// Searches again when that is due: a row that came to name a file meanwhile must be seen. `started` is when the run began.
    pub fn refresh(
        &mut self,
        scope: &Scope,
        pruner: &mut dyn Pruner,
        started: DateTime<Utc>,
    ) -> Result<()> {
        let due = (self.took * REFRESH).max(SOONEST);
        if self.loaded.is_some_and(|loaded| loaded.elapsed() < due) {
            return Ok(());
        }
        let began = Instant::now();
        // The database's clock, against which its rows' times are held.
        let now = pruner.clock()?.unwrap_or(started);
        let mut paths: HashMap<u64, References> = HashMap::new();
        pruner.shared_paths(scope, &mut |reference| {
            let references = paths
                .entry(self.hasher.hash_one(&reference.path))
                .or_insert(References { rows: Vec::new(), complete: true });
            references.complete &=
                reference.rows <= MOST_REFERENCES as u64 && reference.key.is_some();
            references.rows.extend(reference.key.map(|key| (reference.source, key)));
        })?;
        self.paths = paths;
        self.loaded = Some(Instant::now());
        self.took = began.elapsed();
        self.since = now.minus(WRITING);
        Ok(())
    }

    pub fn contains(&self, path: &CanonicalPath) -> bool {
        self.find(path).is_some()
    }

    fn find(&self, path: &CanonicalPath) -> Option<&References> {
        self.paths.get(&self.hasher.hash_one(path))
    }

    /// What the database is asked about a batch's files while it deletes.
    pub fn checks(&self, rows: &[ExpiredRow], findings: &[Vec<Finding>]) -> Vec<ReferenceCheck> {
        let mut checks: BTreeMap<CanonicalPath, References> = BTreeMap::new();
        let paths = rows.iter().flat_map(|row| &row.paths);
        for (path, finding) in paths.zip(findings.iter().flatten()) {
            if let Finding::Removable { real: Some(real), .. } = finding {
                // Nobody has looked yet who else names the file so.
                checks.insert(real.clone(), References { rows: Vec::new(), complete: false });
            }
            if let Some(references) = self.find(&path.canonical) {
                checks.entry(path.canonical.clone()).or_insert_with(|| references.clone());
            }
        }
        let checks = checks.into_iter();
        checks
            .map(|(path, References { rows, complete })| ReferenceCheck {
                path,
                references: rows,
                complete,
            })
            .collect()
    }
}
