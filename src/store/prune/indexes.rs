//! The indexes that a cleanup goes by.

use super::tables::{Tables, Typed};

/// Columns by which rows are looked for.
pub struct WantedIndex {
    pub from: String,
    pub columns: Vec<String>,
}

/// All of them but those that serve the search for expired rows, which differs between databases, and those of foreign keys, which the database
/// knows.
pub fn wanted(tables: &Tables) -> Vec<WantedIndex> {
    let tasks = &tables.tasks;
    let mut wanted = vec![wanted_index(&tasks.delete_from, &tasks.key)];
    if tables.receipts.is_some() {
        wanted.extend(tasks.link.iter().map(|link| wanted_index(&tasks.from, [link])));
    }
    let dependents = tables.receipt_dependents.iter().chain(&tables.task_dependents);
    wanted.extend(dependents.map(|table| wanted_index(&table.from, [&table.foreign_key])));
    wanted.retain(|index| !index.from.is_empty());
    wanted
}

fn wanted_index<'t>(from: &str, columns: impl IntoIterator<Item = &'t Typed>) -> WantedIndex {
    let columns = columns.into_iter().map(|column| column.expression.clone()).collect();
    WantedIndex { from: from.to_owned(), columns }
}
