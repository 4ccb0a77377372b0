//! What `taskmon check` wants to know of a database beside whether the jobs could open it: who is asking, what they may do, what is in the
//! status column. Nothing is changed.

use super::cascades::Stranded;
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
    /// Files that deletions would leave behind, or why they are not known.
    pub stranded: Result<Vec<Stranded>, String>,
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
pub fn sections(mapping: &Mapping) -> Vec<(String, &str, Vec<Column>)> {
    let tasks = &mapping.tasks;
    let mut all = vec![("tasks".to_owned(), tasks.from.as_str(), task_columns(tasks))];
    for (place, table) in tasks.dependents.iter().enumerate() {
        let section = format!("tasks.dependents[{}]", place + 1);
        all.push((section, &table.from, dependent_columns(table)));
    }
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
        match computed.ended {
            Some(failure) if failure.kind == Kind::StatementTimeout => {
                trials.untried.push(format!("database.{section}: {}", failure.message));
            }
            // Such as a function that a view calls, and that writes.
            Some(failure) if failure.kind == Kind::QueryFailed => trials.failed.push(failure),
            // What is not reached or not allowed is said elsewhere.
            _ => {}
        }
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
    /// What is read of it: rights on these columns are enough.
    pub expressions: Vec<String>,
}

/// The tables of a mapping, each once.
pub fn tables(mapping: &Mapping) -> Vec<MappedTable> {
    let mut tables: Vec<MappedTable> = Vec::new();
    let mut add = |name: &str, is_pruned: bool, expressions: Vec<String>| match tables
        .iter_mut()
        .find(|known| known.name == name)
    {
        Some(known) => {
            known.is_pruned |= is_pruned;
            known.expressions.extend(expressions);
        }
        None => tables.push(MappedTable { name: name.to_owned(), is_pruned, expressions }),
    };
    for (section, from, columns) in sections(mapping) {
        let expressions = columns.into_iter().map(|column| column.expression).collect();
        add(from, section != "tasks", expressions);
    }
    if let Some(table) = &mapping.tasks.delete_from {
        add(table, true, mapping.tasks.key.clone());
    }
    tables
}
