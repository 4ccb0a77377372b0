//! What `taskmon check` wants to know of a database beside whether the jobs could open it: who is asking, what they may do, what is in the
//! status column. Nothing is changed.

use super::columns::{Column, compute, dependent_columns, receipt_columns, task_columns};
use super::refusal::Refusal;
use crate::mapping::Mapping;
use crate::outcome::{Failure, Kind};
use chrono::{DateTime, Utc};

#[derive(Debug, Clone, PartialEq)]
pub struct Inspection {
    /// The database and its version.
    pub server: String,
    /// As whom it was asked; `None` where there are no users.
    pub user: Option<String>,
    /// The database's own clock; `None` where it is this host's.
    pub clock: Option<DateTime<Utc>>,
    /// This host's clock at that moment.
    pub host_clock: DateTime<Utc>,
    /// The zone of its sessions; `None` where there is none.
    pub zone: Option<String>,
    /// Why nothing can be deleted here: a standby, a file that must not be written.
    pub read_only: Option<String>,
    pub rights: Vec<Rights>,
    /// The labels of the status column and how many tasks have each, or why that is not known.
    pub labels: Result<Vec<(Option<String>, u64)>, String>,
    /// What came of computing the mapping's expressions on some of the rows.
    pub trials: Trials,
    /// What the types of the tasks' key, name, link, guard and files are called, by their names in a configuration, as far as they are known.
    pub types: Vec<(String, String)>,
}

/// What came of computing every expression of the mapping on rows that there are.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Trials {
    /// The fields that fail on one of them.
    pub failed: Vec<Failure>,
    /// Why some of it is not known.
    pub untried: Vec<String>,
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

/// On how many rows of a table the expressions are tried: enough for what fails on every row or on many, and at once in a table of millions.
const TRIED_ROWS: usize = 1000;

/// The expressions of a mapping, table by table: their section, and what is read.
fn sections(mapping: &Mapping) -> Vec<(String, &str, Vec<Column>)> {
    let tasks = &mapping.tasks;
    let mut all = vec![("tasks".to_owned(), tasks.from.as_str(), task_columns(tasks))];
    if let Some(receipts) = &mapping.receipts {
        let columns = receipt_columns(receipts);
        all.push(("receipts".to_owned(), &receipts.from, columns));
        for (place, table) in receipts.dependents.iter().enumerate() {
            let section = format!("receipts.dependents[{}]", place + 1);
            all.push((section, &table.from, dependent_columns(table)));
        }
    }
    all
}

/// Computes every expression on some rows. `read_as`: the form that a report reads a field in.
pub fn trials(
    mapping: &Mapping,
    read_as: &dyn Fn(Column) -> Column,
    try_query: &mut dyn FnMut(&str) -> Result<(), Refusal>,
) -> Trials {
    let mut trials = Trials::default();
    for (section, from, columns) in sections(mapping) {
        let columns: Vec<Column> = columns.into_iter().map(read_as).collect();
        let computed = compute(&section, from, &columns, Some(TRIED_ROWS), try_query);
        trials.failed.extend(computed.failed);
        let ended = computed.ended.filter(|failure| failure.kind == Kind::StatementTimeout);
        let untried = ended.map(|failure| format!("database.{section}: {}", failure.message));
        trials.untried.extend(untried);
    }
    trials
}

/// The expression that cleanup failed on, if it is one's fault alone: each is computed on all rows.
pub fn find_culprit(
    mapping: &Mapping,
    try_query: &mut dyn FnMut(&str) -> Result<(), Refusal>,
) -> Option<Failure> {
    sections(mapping).into_iter().find_map(|(section, from, columns)| {
        compute(&section, from, &columns, None, try_query).failed.into_iter().next()
    })
}

/// A table of a mapping.
pub struct MappedTable {
    pub name: String,
    /// Whether rows are deleted from it.
    pub is_pruned: bool,
}

/// The tables of a mapping, each once.
pub fn tables(mapping: &Mapping) -> Vec<MappedTable> {
    let tasks = &mapping.tasks;
    let mut all = vec![(tasks.from.clone(), false)];
    all.extend(tasks.delete_from.clone().map(|table| (table, true)));
    if let Some(receipts) = &mapping.receipts {
        all.push((receipts.from.clone(), true));
        let dependents = receipts.dependents.iter();
        all.extend(dependents.map(|dependent| (dependent.from.clone(), true)));
    }
    let mut tables: Vec<MappedTable> = Vec::new();
    for (name, is_pruned) in all {
        match tables.iter_mut().find(|known| known.name == name) {
            Some(known) => known.is_pruned |= is_pruned,
            None => tables.push(MappedTable { name, is_pruned }),
        }
    }
    tables
}
