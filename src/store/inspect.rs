//! What `taskmon check` wants to know of a database beside whether the jobs could open it: who is asking, what they may do, what stands in the
//! status column. Nothing is changed.

use super::columns::{self, Column, Refusal};
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
    /// Why nobody can delete here: a standby, a file that must not be written.
    pub read_only: Option<String>,
    pub rights: Vec<Rights>,
    /// The labels of the status column and how many tasks have each, or why nobody knows.
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

/// The expressions of a mapping, table by table: the section that they stand in, and what is read.
fn sections(mapping: &Mapping) -> Vec<(String, &str, Vec<Column>)> {
    let tasks = &mapping.tasks;
    let mut all = vec![("tasks".to_owned(), tasks.from.as_str(), columns::task_columns(tasks))];
    if let Some(receipts) = &mapping.receipts {
        let columns = columns::receipt_columns(receipts);
        all.push(("receipts".to_owned(), &receipts.from, columns));
        for (place, table) in receipts.dependents.iter().enumerate() {
            let section = format!("receipts.dependents[{}]", place + 1);
            all.push((section, &table.from, columns::dependent_columns(table)));
        }
    }
    all
}

/// Computes every expression on some rows. `read_as`: the form that a report reads a field in. What is missing is told elsewhere.
pub fn trials(
    mapping: &Mapping,
    read_as: &dyn Fn(Column) -> Column,
    try_query: &mut dyn FnMut(&str) -> Result<(), Refusal>,
) -> Trials {
    let mut trials = Trials::default();
    for (section, from, columns) in sections(mapping) {
        let columns: Vec<Column> = columns.into_iter().map(read_as).collect();
        for (name, refusal) in columns::failing(from, &columns, Some(TRIED_ROWS), try_query) {
            match refusal {
                Refusal::BadExpression(words) => {
                    let own = columns.iter().find(|column| column.name == name);
                    let expression = own.map_or("", |column| column.shown.as_str());
                    trials.failed.push(columns::uncomputable(&section, &name, expression, &words));
                }
                Refusal::Failed(failure) if failure.kind == Kind::StatementTimeout => {
                    trials.untried.push(format!("database.{section}: {}", failure.message));
                    break;
                }
                _ => {}
            }
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
        let failing = columns::failing(from, &columns, None, try_query);
        failing.into_iter().find_map(|(name, refusal)| {
            let own = columns.iter().find(|column| column.name == name)?;
            match refusal {
                Refusal::BadExpression(words) => {
                    Some(columns::uncomputable(&section, &name, &own.shown, &words))
                }
                _ => None,
            }
        })
    })
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
