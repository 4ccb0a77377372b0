//! The tables that cleanup works on, as its statements name them.

use super::{ExpiredRow, Pruned, Scope, Source, StoredPath};
use crate::mapping::{DependentTable, Field, Mapping, ReceiptTable, State, TaskTable};
use crate::outcome::{Failure, Kind};
use crate::store::columns::{Column, dependent_columns, receipt_columns, task_columns};
use std::collections::{BTreeSet, HashMap};

/// What the database calls the types of a table's columns, by their names in the configuration.
pub type Types = HashMap<String, String>;

/// An expression and its type; `""` where that is not known.
#[derive(Debug, Clone)]
pub struct Typed {
    pub expression: String,
    pub kind: String,
}

/// Tasks or receipts.
pub struct Table {
    pub from: String,
    /// Empty: nothing is deleted.
    pub delete_from: String,
    pub key: Vec<Typed>,
    pub label: String,
    pub link: Option<Typed>,
    pub files: Vec<String>,
    pub guard: Option<String>,
    /// Those that it has of its creation, its start, its last update and its completion.
    times: Vec<(Field, Typed)>,
}

/// How a database reads a long text, as expressions.
pub struct Cut {
    /// What a task is called.
    pub label: fn(&str) -> String,
    /// A path as far as one that has a file can go: whatever is longer is cut to [`LONGEST_PATH`] bytes at least.
    ///
    /// [`LONGEST_PATH`]: crate::mapping::canonical_path::LONGEST_PATH
    pub path: fn(&str) -> String,
}

impl Cut {
    /// From here on, no statement reads more of them.
    fn paths(&self, files: &[String]) -> Vec<String> {
        files.iter().map(|file| (self.path)(file)).collect()
    }
}

/// The times by which a row ended, as far as its table has them: the first end that is plausible counts, else the creation.
pub struct Ending<'t> {
    pub ends: Vec<&'t Typed>,
    pub created: Option<&'t Typed>,
}

impl<'t> Ending<'t> {
    pub fn is_unknown(&self) -> bool {
        self.ends.is_empty() && self.created.is_none()
    }

    /// All of them, in the order in which they count.
    pub fn times(&self) -> impl Iterator<Item = &'t Typed> {
        self.ends.iter().copied().chain(self.created)
    }
}

/// Rows that go with those of another table, before them.
pub struct Dependent {
    pub from: String,
    pub foreign_key: Typed,
    pub files: Vec<String>,
}

pub struct Tables {
    pub tasks: Table,
    pub receipts: Option<Table>,
    pub task_dependents: Vec<Dependent>,
    pub receipt_dependents: Vec<Dependent>,
}

/// A table whose rows name files.
pub struct NamingTable<'t> {
    pub source: Source,
    /// In rows that depend on others, those others' key.
    pub key: &'t [Typed],
    pub from: &'t str,
    pub files: &'t [String],
}

/// Looks whether a table has every one of these columns, and what their types are, given its section in the configuration and its name.
type Look<'l> = dyn FnMut(&str, &str, &[Column]) -> Result<Types, Failure> + 'l;

impl Tables {
    /// # Errors
    /// A table or column of the mapping that is missing.
    pub fn read(mapping: &Mapping, cut: &Cut, look: &mut Look) -> Result<Self, Failure> {
        let tasks = &mapping.tasks;
        let types = look("tasks", &tasks.from, &task_columns(tasks))?;
        let mut tables = Self {
            tasks: Table::of_tasks(tasks, cut, &types),
            receipts: None,
            task_dependents: dependents("tasks", &tasks.dependents, cut, look)?,
            receipt_dependents: Vec::new(),
        };
        if let Some(receipts) = &mapping.receipts {
            let types = look("receipts", &receipts.from, &receipt_columns(receipts))?;
            tables.receipts = Some(Table::of_receipts(receipts, cut, &types));
            tables.receipt_dependents = dependents("receipts", &receipts.dependents, cut, look)?;
        }
        Ok(tables)
    }

    /// A table that rows are deleted from.
    ///
    /// # Errors
    /// The mapping has no receipts.
    pub fn of(&self, pruned: Pruned) -> Result<&Table, Failure> {
        let table = match pruned {
            Pruned::Tasks => Some(&self.tasks),
            Pruned::Receipts => self.receipts.as_ref(),
        };
        table.ok_or_else(|| Failure::new(Kind::Internal, "there are no receipts in this mapping"))
    }

    /// The rows that go with those of a scope.
    pub fn dependents(&self, scope: &Scope) -> &[Dependent] {
        match scope {
            Scope::Tasks(_) => &self.task_dependents,
            Scope::Receipts(_) => &self.receipt_dependents,
        }
    }

    /// Every table that rows are deleted from.
    pub fn pruned(&self) -> impl Iterator<Item = &str> {
        let tables = std::iter::once(&self.tasks).chain(&self.receipts);
        let tables = tables.map(|table| table.delete_from.as_str());
        let dependents = self.task_dependents.iter().chain(&self.receipt_dependents);
        let tables = tables.chain(dependents.map(|table| table.from.as_str()));
        tables.filter(|table| !table.is_empty())
    }

    /// What distinguishes them from the tables of another mapping.
    pub fn identity(&self) -> String {
        let of = |table: &Table| format!("{} by {}", table.from, table.key_names());
        let tables: Vec<String> =
            std::iter::once(&self.tasks).chain(&self.receipts).map(of).collect();
        tables.join(", ")
    }

    /// Every table that names files.
    pub fn naming(&self) -> impl Iterator<Item = NamingTable<'_>> {
        let receipts = self.receipts.iter().map(|table| (Source::Receipts, table));
        let tables = std::iter::once((Source::Tasks, &self.tasks)).chain(receipts);
        let tables = tables.map(|(source, table)| NamingTable {
            source,
            key: &table.key,
            from: &table.from,
            files: &table.files,
        });
        let task_dependents = self.task_dependents.iter().enumerate();
        let task_dependents =
            task_dependents.map(|(place, table)| table.naming(Source::TaskDependents(place)));
        let receipt_dependents = self.receipt_dependents.iter().enumerate();
        let receipt_dependents =
            receipt_dependents.map(|(place, table)| table.naming(Source::ReceiptDependents(place)));
        let all = tables.chain(task_dependents).chain(receipt_dependents);
        all.filter(|table| !table.files.is_empty())
    }

    /// The tables whose rows go with those of a scope and name files.
    pub fn naming_along<'t>(&'t self, scope: &'t Scope) -> impl Iterator<Item = NamingTable<'t>> {
        self.naming().filter(|table| scope.takes_along(table.source))
    }
}

impl Scope {
    /// Whether rows of this table go with rows of the scope.
    pub fn takes_along(&self, source: Source) -> bool {
        match self {
            Scope::Tasks(_) => matches!(source, Source::TaskDependents(_)),
            Scope::Receipts(_) => matches!(source, Source::ReceiptDependents(_)),
        }
    }
}

impl Dependent {
    fn naming(&self, source: Source) -> NamingTable<'_> {
        let key = std::slice::from_ref(&self.foreign_key);
        NamingTable { source, key, from: &self.from, files: &self.files }
    }
}

fn dependents(
    section: &str,
    tables: &[DependentTable],
    cut: &Cut,
    look: &mut Look,
) -> Result<Vec<Dependent>, Failure> {
    let numbered = (1..).zip(tables);
    let read = |(number, table): (usize, &DependentTable)| {
        let section = format!("{section}.dependents[{number}]");
        let types = look(&section, &table.from, &dependent_columns(table))?;
        Ok(Dependent {
            from: table.from.clone(),
            foreign_key: typed(&table.foreign_key, "foreign_key", &types),
            files: cut.paths(&table.files),
        })
    };
    numbered.map(read).collect()
}

fn typed(expression: &str, name: &str, types: &Types) -> Typed {
    let kind = types.get(name).cloned().unwrap_or_default();
    Typed { expression: expression.to_owned(), kind }
}

fn typed_key(key: &[String], types: &Types) -> Vec<Typed> {
    let numbered = (1..).zip(key);
    numbered.map(|(number, part)| typed(part, &format!("key[{number}]"), types)).collect()
}

impl Table {
    fn of_tasks(tasks: &TaskTable, cut: &Cut, types: &Types) -> Self {
        let times = [
            Field::CreatedAt,
            Field::DueAt,
            Field::StartedAt,
            Field::UpdatedAt,
            Field::CompletedAt,
        ];
        let time = |field: Field| Some((field, typed(tasks.field(field)?, field.name(), types)));
        Self {
            from: tasks.from.clone(),
            delete_from: tasks.delete_from.clone().unwrap_or_default(),
            key: typed_key(&tasks.key, types),
            label: (cut.label)(&tasks.label),
            link: tasks.link.as_ref().map(|link| typed(link, "link", types)),
            files: cut.paths(&tasks.files),
            guard: tasks.guard.clone(),
            times: times.into_iter().filter_map(time).collect(),
        }
    }

    fn of_receipts(receipts: &ReceiptTable, cut: &Cut, types: &Types) -> Self {
        Self {
            from: receipts.from.clone(),
            delete_from: receipts.from.clone(),
            key: typed_key(&receipts.key, types),
            label: (cut.label)(&receipts.key[0]),
            link: Some(typed(&receipts.link, "link", types)),
            files: cut.paths(&receipts.files),
            guard: None,
            times: vec![(Field::CreatedAt, typed(&receipts.created_at, "created_at", types))],
        }
    }

    pub fn times(&self) -> impl Iterator<Item = (Field, &Typed)> {
        self.times.iter().map(|(field, time)| (*field, time))
    }

    pub fn time(&self, field: Field) -> Option<&Typed> {
        self.times.iter().find(|(of, _)| *of == field).map(|(_, time)| time)
    }

    /// The times by which a row in this state ended.
    pub fn ending(&self, state: State) -> Ending<'_> {
        let ends = state.ended_by().into_iter().filter(|field| *field != Field::CreatedAt);
        let ends = ends.filter_map(|field| self.time(field)).collect();
        Ending { ends, created: self.time(Field::CreatedAt) }
    }

    /// The creation as the one time that counts, as it is for receipts.
    pub fn creation(&self) -> Ending<'_> {
        Ending { ends: Vec::new(), created: self.time(Field::CreatedAt) }
    }

    /// `a, b`
    pub fn key_names(&self) -> String {
        let names: Vec<&str> = self.key.iter().map(|part| part.expression.as_str()).collect();
        names.join(", ")
    }

    /// Whether deleting the rows of a key, with those that go along, gave back other paths than were read before, however often each of them. Where
    /// rows are read from a view, it gives back those of the others alone.
    pub fn has_changed<'r>(
        &self,
        rows: impl IntoIterator<Item = &'r ExpiredRow>,
        deleted: &[StoredPath],
    ) -> bool {
        let named: BTreeSet<&StoredPath> = rows.into_iter().flat_map(|row| &row.paths).collect();
        let deleted: BTreeSet<&StoredPath> = deleted.iter().collect();
        if self.is_read_directly() { named != deleted } else { !deleted.is_subset(&named) }
    }

    /// Rows are read from what they are deleted from, and not from a view of it.
    pub fn is_read_directly(&self) -> bool {
        self.from.trim() == self.delete_from.trim()
    }
}
