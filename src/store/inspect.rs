//! What `taskmon check` wants to know of a database beside whether the jobs could open it: who is asking, what they may do, what stands in the
//! status column. Nothing is changed.

use super::prune::PruneSettings;
use super::target::Target;
use super::{postgres, sqlite};
use crate::tables::Mapping;
use anyhow::Result;
use chrono::{DateTime, Utc};

#[derive(Debug, Clone, PartialEq)]
pub struct Inspection {
    /// The database and its version.
    pub server: String,
    /// As whom it was asked; `None` where there are no users.
    pub user: Option<String>,
    /// The database's own clock; `None` where it is this host's.
    pub clock: Option<DateTime<Utc>>,
    /// The zone of its sessions; `None` where there is none.
    pub zone: Option<String>,
    /// Why nobody can delete here: a standby, a file that must not be written.
    pub read_only: Option<String>,
    pub rights: Vec<Rights>,
    /// The labels of the status column and how many tasks have each, or why nobody knows.
    pub labels: Result<Vec<(Option<String>, u64)>, String>,
}

/// What may be done with a table.
#[derive(Debug, Clone, PartialEq)]
pub struct Rights {
    pub table: String,
    /// Rows are to be deleted from it, and there is no such table.
    pub is_missing: bool,
    /// Its schema, quoted as SQL has it, where this user may not look into that.
    pub closed_schema: Option<String>,
    /// `None`: not known, or not needed.
    pub select: Option<bool>,
    pub delete: Option<bool>,
}

/// Looks at a database. No statement runs longer than `settings` say.
///
/// # Errors
/// A [`crate::outcome::Failure`]: it cannot be reached or refuses. What it refuses of a single question is in the answer.
pub fn inspect(target: &Target, settings: &PruneSettings) -> Result<Inspection> {
    match target {
        Target::Postgres(target) => postgres::inspect::inspect(target, settings),
        Target::Sqlite(path) => sqlite::inspect::inspect(path, settings),
        Target::SqliteReadOnly(path) => {
            let mut found = sqlite::inspect::inspect(path, settings)?;
            found.read_only = Some("the database's URL says mode=ro".to_owned());
            Ok(found)
        }
    }
}

/// The tables of a mapping, each once, and whether rows are deleted from it.
pub fn tables(mapping: &Mapping) -> Vec<(String, bool)> {
    let tasks = &mapping.tasks;
    let mut all = vec![(tasks.from.clone(), false)];
    all.extend(tasks.delete_from.clone().map(|table| (table, true)));
    if let Some(receipts) = &mapping.receipts {
        all.push((receipts.from.clone(), true));
        let dependents = receipts.dependents.iter();
        all.extend(dependents.map(|dependent| (dependent.from.clone(), true)));
    }
    let mut tables: Vec<(String, bool)> = Vec::new();
    for (table, deletes) in all {
        match tables.iter_mut().find(|(known, _)| *known == table) {
            Some(known) => known.1 |= deletes,
            None => tables.push((table, deletes)),
        }
    }
    tables
}
