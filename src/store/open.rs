//! The one place that knows both databases: everything that begins with a [`Target`] begins here.

use super::advisory::{self, Attempt};
use super::catalogue::{Catalogue, Sample, Table};
use super::inspect::Inspection;
use super::postgres::PostgresStore;
use super::postgres::prune::PostgresPruner;
use super::prune::{PruneSettings, Pruner};
use super::sqlite::SqliteStore;
use super::sqlite::prune::SqlitePruner;
use super::target::Target;
use super::{Store, StoreSettings, postgres, sqlite};
use crate::outcome::{Failure, Kind};
use anyhow::Result;
use chrono::{DateTime, Utc};
use std::time::Duration;

/// Connects to the database and checks that the mapping fits it.
///
/// # Errors
/// A [`Failure`]: the database cannot be reached or refuses, or a table, key or status is missing.
pub fn store(target: &Target, settings: StoreSettings) -> Result<Box<dyn Store>> {
    Ok(match target {
        Target::Postgres(target) => Box::new(PostgresStore::open(target, settings)?),
        Target::Sqlite(path) | Target::SqliteReadOnly(path) => {
            Box::new(SqliteStore::open(path, settings)?)
        }
    })
}

/// Connects for deleting, and checks that every column of the mapping is there: one that is missing refuses the job.
///
/// # Errors
/// A [`Failure`]: the database cannot be reached or refuses, a table or a column is missing.
pub fn pruner(target: &Target, settings: PruneSettings) -> Result<Box<dyn Pruner>> {
    Ok(match target {
        Target::Postgres(target) => Box::new(PostgresPruner::open(target, settings)?),
        Target::Sqlite(path) => Box::new(SqlitePruner::open(path, settings)?),
        Target::SqliteReadOnly(path) => {
            let message = format!(
                "the database's URL says mode=ro, so nothing is deleted from {}",
                path.display()
            );
            let failure = Failure::new(Kind::ConfigInvalid, message);
            return Err(failure.hint("leave mode=ro out of the URL for cleanup").into());
        }
    })
}

/// Looks at a database. `now` is this host's clock, asked when the database's is. No statement runs longer than `settings` say.
///
/// # Errors
/// A [`Failure`]: it cannot be reached or refuses. What it refuses to say is in the answer.
pub fn inspect(
    target: &Target,
    settings: &StoreSettings,
    now: fn() -> DateTime<Utc>,
) -> Result<Inspection> {
    match target {
        Target::Postgres(target) => postgres::inspect::inspect(target, settings, now),
        Target::Sqlite(path) => sqlite::inspect::inspect(path, settings, now),
        Target::SqliteReadOnly(path) => {
            let mut found = sqlite::inspect::inspect(path, settings, now)?;
            found.read_only = Some("the database's URL says mode=ro".to_owned());
            Ok(found)
        }
    }
}

/// The catalogue of a database. No statement runs longer than `limit`.
///
/// # Errors
/// A [`Failure`]: it cannot be reached or refuses.
pub fn catalogue(target: &Target, limit: Duration) -> Result<Catalogue> {
    match target {
        Target::Postgres(target) => postgres::catalogue::catalogue(target, limit),
        Target::Sqlite(path) | Target::SqliteReadOnly(path) => {
            sqlite::catalogue::catalogue(path, limit)
        }
    }
}

/// Rows of each table; none of one that cannot be read. No statement runs longer than `limit`.
///
/// # Errors
/// A [`Failure`]: the database cannot be reached or refuses.
pub fn samples(target: &Target, limit: Duration, tables: &[&Table]) -> Result<Vec<Sample>> {
    match target {
        Target::Postgres(target) => postgres::catalogue::samples(target, limit, tables),
        Target::Sqlite(path) | Target::SqliteReadOnly(path) => {
            sqlite::catalogue::samples(path, limit, tables)
        }
    }
}

/// Takes the lock of this number among all hosts that share the database; waits for it no longer than `patience`.
///
/// # Errors
/// No connection can be had for it, or it fails.
pub fn lock(target: &Target, key: i64, patience: Duration) -> Result<Attempt> {
    match target {
        Target::Postgres(target) => advisory::lock(target, key, patience),
        // No other host can open the file: the lock file on this host is enough.
        Target::Sqlite(_) | Target::SqliteReadOnly(_) => Ok(Attempt::NotNeeded),
    }
}
