//! Foreign keys that SQLite checks at COMMIT only, when a batch's files would be gone already.

use super::super::connection::read_rows;
use super::super::quote::{bare_name, identifier, text_literal};
use crate::store::prune::Scope;
use crate::store::prune::indexes::WantedIndex;
use crate::store::prune::tables::{Table, Tables};
use rusqlite::Connection;
use std::collections::{BTreeMap, BTreeSet};

/// The deferred foreign keys that deletions may violate.
pub struct ForeignKeys {
    on_tasks: Vec<Deferred>,
    on_receipts: Vec<Deferred>,
    /// Tables with one on rows that go along with others, as literals.
    pub further: Vec<String>,
}

impl ForeignKeys {
    pub fn read(connection: &Connection, tables: &Tables) -> rusqlite::Result<Self> {
        let on = |table: &Table| deferred(connection, table);
        Ok(Self {
            on_tasks: on(&tables.tasks)?,
            on_receipts: tables.receipts.as_ref().map(on).transpose()?.unwrap_or_default(),
            further: deferred_further(connection, tables)?,
        })
    }

    /// Those on the rows of a scope.
    pub fn on(&self, scope: &Scope) -> &[Deferred] {
        match scope {
            Scope::Tasks(_) => &self.on_tasks,
            Scope::Receipts(_) => &self.on_receipts,
        }
    }

    /// How many foreign keys of the further tables refer to nothing: those that a deletion adds would stop COMMIT.
    pub fn dangling(&self, connection: &Connection) -> rusqlite::Result<i64> {
        let each = self.further.iter().map(|table| {
            let sql = format!("SELECT count(*) FROM pragma_foreign_key_check({table})");
            let mut statement = connection.prepare_cached(&sql)?;
            statement.query_row([], |row| row.get::<_, i64>(0))
        });
        each.sum()
    }
}

/// The columns of the foreign keys that refer to the tables that rows are deleted from, or to rows that a cascade takes along.
pub fn referring(connection: &Connection, tables: &Tables) -> rusqlite::Result<Vec<WantedIndex>> {
    let sql = "SELECT s.name, f.id, f.\"from\", lower(f.\"table\"), f.on_delete FROM sqlite_schema AS s \
               JOIN pragma_foreign_key_list(s.name) AS f WHERE s.type = 'table' ORDER BY s.name, f.id, f.seq";
    type Column = (String, i64, String, String, String);
    let columns: Vec<Column> = read_rows(connection, sql, [], |row| {
        Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?, row.get(4)?))
    })?;
    let mut reached: Vec<String> =
        tables.pruned().map(|table| bare_name(table).to_lowercase()).collect();
    let mut known: BTreeSet<String> = reached.iter().cloned().collect();
    let mut wanted: BTreeMap<(String, i64), WantedIndex> = BTreeMap::new();
    while let Some(table) = reached.pop() {
        for (child, id, column, parent, on_delete) in &columns {
            if *parent != table {
                continue;
            }
            let from = identifier(child);
            let index = wanted
                .entry((child.clone(), *id))
                .or_insert(WantedIndex { from, columns: Vec::new() });
            index.columns.push(identifier(column));
            if on_delete == "CASCADE" && known.insert(child.to_lowercase()) {
                reached.push(child.to_lowercase());
            }
        }
    }
    Ok(wanted.into_values().collect())
}

/// A foreign key that is deferred: the table and columns that refer, and the columns that they refer to, as expressions.
pub struct Deferred {
    pub table: String,
    pub from: Vec<String>,
    pub to: Vec<String>,
}

/// The deferred foreign keys that refer to a table. SQLite's pragmas do not say whether one is deferred; only the CREATE TABLE statement does.
fn deferred(connection: &Connection, table: &Table) -> rusqlite::Result<Vec<Deferred>> {
    let mut statement = connection.prepare(
        "SELECT s.name, f.id, f.seq, f.\"from\", f.\"to\" FROM sqlite_schema AS s JOIN pragma_foreign_key_list(s.name) AS f \
         WHERE s.type = 'table' AND s.sql LIKE '%deferred%' AND lower(f.\"table\") = lower(?1) \
         AND f.on_delete = 'NO ACTION' ORDER BY s.name, f.id, f.seq",
    )?;
    let mut found: BTreeMap<(String, i64), Deferred> = BTreeMap::new();
    let mut rows = statement.query([bare_name(&table.delete_from)])?;
    while let Some(row) = rows.next()? {
        let (child, id): (String, i64) = (row.get(0)?, row.get(1)?);
        let (from, to): (String, Option<String>) = (row.get(3)?, row.get(4)?);
        // Without columns it refers to the primary key.
        let place: usize = row.get::<_, i64>(2)?.unsigned_abs() as usize;
        let to = to.map(|to| identifier(&to));
        let to = to.or_else(|| table.key.get(place).map(|part| part.expression.clone()));
        let entry = found.entry((child.clone(), id)).or_insert(Deferred {
            table: identifier(&child),
            from: Vec::new(),
            to: Vec::new(),
        });
        entry.from.push(identifier(&from));
        entry.to.extend(to);
    }
    Ok(found.into_values().collect())
}

/// The tables whose deferred foreign keys refer to rows that a deletion takes along: dependents, and what cascades.
fn deferred_further(connection: &Connection, tables: &Tables) -> rusqlite::Result<Vec<String>> {
    let sql = "SELECT lower(s.name), lower(f.\"table\"), f.on_delete, s.sql LIKE '%deferred%' FROM sqlite_schema AS s \
               JOIN pragma_foreign_key_list(s.name) AS f WHERE s.type = 'table' AND f.seq = 0";
    let keys: Vec<(String, String, String, bool)> = read_rows(connection, sql, [], |row| {
        Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?))
    })?;
    let name = |table: &String| bare_name(table).to_lowercase();
    let deleted_from = std::iter::once(&tables.tasks).chain(&tables.receipts);
    let dependents = tables.receipt_dependents.iter().chain(&tables.task_dependents);
    let mut along: BTreeSet<String> = dependents.map(|table| name(&table.from)).collect();
    let mut reached: Vec<String> = deleted_from.map(|table| name(&table.delete_from)).collect();
    reached.extend(along.iter().cloned());
    while let Some(table) = reached.pop() {
        for (child, parent, on_delete, _) in &keys {
            if *parent == table && on_delete == "CASCADE" && along.insert(child.clone()) {
                reached.push(child.clone());
            }
        }
    }
    let refers = keys.iter().filter(|(_, parent, on_delete, deferred)| {
        *deferred && on_delete == "NO ACTION" && along.contains(parent)
    });
    let tables: BTreeSet<String> = refers.map(|(child, ..)| text_literal(child)).collect();
    Ok(tables.into_iter().collect())
}
