//! The statements of a cleanup, written from the mapping.
//!
//! Expressions of the mapping stand as they are, so that indexes serve; labels and times stand as literals, since they come from the
//! configuration and the catalogue and never from a row. Keys are bound.

use super::dialect::Dialect;
use super::expiry::{self, Limited};
use super::sample::SAMPLED_ROWS;
use super::tables::{Dependent, NamingTable, Table, Tables, Typed};
use super::{Key, Keys, Pass, Scope};
use crate::mapping::State;
use std::slice;

pub struct Statements<D> {
    pub tables: Tables,
    pub dialect: D,
}

/// A deletion, and what is to be known of the rows that it deletes.
pub struct Delete {
    from: String,
    condition: String,
    returned: String,
}

impl Delete {
    /// In one statement.
    pub fn returning(&self) -> String {
        let Self { from, condition, returned } = self;
        format!("DELETE FROM {from} WHERE {condition} RETURNING {returned}")
    }

    /// What it will delete; then [`Delete::unseen`].
    pub fn seen(&self) -> String {
        let Self { from, condition, returned } = self;
        format!("SELECT {returned} FROM {from} WHERE {condition}")
    }

    pub fn unseen(&self) -> String {
        format!("DELETE FROM {} WHERE {}", self.from, self.condition)
    }
}

impl<D: Dialect> Statements<D> {
    /// "The row has expired."
    pub fn condition(&self, table: &Table, scope: &Scope) -> String {
        expiry::condition(&self.dialect, table, scope)
    }

    /// How many tasks have ended; no more than `most` are counted.
    pub fn count_ended(&self, most: u64) -> String {
        let tasks = &self.tables.tasks;
        let ended = State::ENDED.into_iter().filter_map(|state| self.dialect.in_state(state));
        let ended = expiry::any(ended.collect());
        format!(
            "SELECT count(*) FROM (SELECT 1 FROM {} WHERE {ended} LIMIT {most}) AS ended",
            tasks.from
        )
    }

    /// How many rows have expired of those that a pass finds; `None`: it finds none.
    pub fn count_expired(&self, scope: &Scope, pass: Pass) -> Option<String> {
        let tasks = &self.tables.tasks;
        let narrowed = self.dialect.pass(tasks, scope, pass)?;
        let condition = self.condition(tasks, scope);
        Some(format!("SELECT count(*) FROM {} WHERE {condition} AND {narrowed}", tasks.from))
    }

    /// Some values of each time column, from either end of its table: the column by its key in the configuration, and the statement.
    pub fn samples(&self) -> Vec<(String, String)> {
        let receipts = self.tables.receipts.iter().map(|table| ("receipts", table));
        let tables = std::iter::once(("tasks", &self.tables.tasks)).chain(receipts);
        let of_table = |(section, table): (&str, &Table)| {
            let times: Vec<(String, String)> = (table.times())
                .map(|(field, time)| {
                    let column = format!("{section}.{}", field.name());
                    (column, self.sample(table, time))
                })
                .collect();
            times
        };
        tables.flat_map(of_table).collect()
    }

    /// With the key, so that rows of a small table, which has both ends in reach, are there once.
    fn sample(&self, table: &Table, time: &Typed) -> String {
        let ends = ["", " DESC"].map(|direction| {
            let order: Vec<String> =
                table.key.iter().map(|part| format!("{}{direction}", part.expression)).collect();
            format!(
                "SELECT * FROM (SELECT {}, {} FROM {} WHERE ({}) IS NOT NULL ORDER BY {} LIMIT {SAMPLED_ROWS}) AS sample",
                self.dialect.sampled(time),
                self.key(&table.key),
                table.from,
                time.expression,
                order.join(", "),
            )
        });
        ends.join(" UNION ")
    }

    /// The newest plausible time of each column, the creation first, which an index may have.
    pub fn newest(&self) -> Vec<String> {
        let tasks = &self.tables.tasks;
        let times = tasks.creation().created.into_iter().chain(tasks.ending(State::Completed).ends);
        times.map(|time| self.dialect.newest(&tasks.from, time)).collect()
    }

    /// How many rows that have ended stay because none of their times is plausible, and the times of one of them.
    pub fn implausible(&self, table: &Table, scope: &Scope) -> String {
        let limited = expiry::limited(&self.dialect, table, scope).into_iter();
        let limited = limited.filter(|limited| !limited.ending.is_unknown());
        let (mut conditions, mut shown) = (Vec::new(), String::new());
        for Limited { in_state, ending, .. } in limited {
            let condition = format!("({in_state} AND {})", self.dialect.is_implausible(&ending));
            shown += &format!(" WHEN {condition} THEN {}", self.dialect.shown_times(&ending));
            conditions.push(condition);
        }
        if conditions.is_empty() {
            return "SELECT 0, NULL".to_owned();
        }
        let condition = expiry::guarded(table, &expiry::any(conditions));
        format!("SELECT count(*), min(CASE{shown} END) FROM {} WHERE {condition}", table.from)
    }

    /// How many expired rows of a pass have no usable key; `None`: it finds none.
    pub fn count_without_key(&self, table: &Table, scope: &Scope, pass: Pass) -> Option<String> {
        let narrowed = self.dialect.pass(table, scope, pass)?;
        let (lacks_key, condition) = (self.lacks_key(table, scope), self.condition(table, scope));
        let from = &table.from;
        Some(format!(
            "SELECT count(*) FROM {from} WHERE ({lacks_key}) AND {condition} AND {narrowed}"
        ))
    }

    /// How many rows have no time by which they could expire.
    pub fn count_undated(&self, table: &Table, scope: &Scope) -> String {
        let undated = expiry::undated(&self.dialect, table, scope);
        format!("SELECT count(*) FROM {} WHERE {undated}", table.from)
    }

    /// The keys of expired rows, behind the bound one if there is one; `None`: the pass finds nothing.
    pub fn expired(
        &self,
        table: &Table,
        scope: &Scope,
        pass: Pass,
        after: Option<&Key>,
        limit: usize,
    ) -> Option<String> {
        let narrowed = self.dialect.pass(table, scope, pass)?;
        let order = table.key_names();
        let after = if after.is_some() {
            format!(" AND ({order}) > ({})", self.dialect.bound_key(&table.key).join(", "))
        } else {
            String::new()
        };
        // Under names of their own: ORDER BY would take a name of the output, and with it the order of the text, before the column.
        let keys: Vec<String> = (table.key.iter().enumerate())
            .map(|(place, part)| format!("{} AS taskmon_key_{place}", self.dialect.key_text(part)))
            .collect();
        Some(format!(
            "SELECT {} FROM {} WHERE {} AND {narrowed} AND NOT ({}){after} ORDER BY {order} LIMIT {limit}",
            keys.join(", "),
            table.from,
            self.condition(table, scope),
            self.lacks_key(table, scope),
        ))
    }

    /// Key, label, link of receipts, and paths of the rows of the bound keys that have expired.
    pub fn rows(&self, table: &Table, scope: &Scope, label: &str) -> String {
        // Of a task, nobody asks.
        let link = table.link.as_ref().filter(|_| matches!(scope, Scope::Receipts(_)));
        let link = link.map_or("NULL", |link| &link.expression);
        format!(
            "SELECT {}, {}, {}{} FROM {} WHERE {} AND {}",
            self.key(&table.key),
            self.dialect.text(label),
            self.dialect.text(link),
            self.paths(&table.files),
            table.from,
            self.dialect.is_bound(&table.key),
            self.condition(table, scope),
        )
    }

    /// Key and paths of the rows of the bound keys.
    pub fn paths_by_key(&self, table: &NamingTable) -> String {
        format!(
            "SELECT {}{} FROM {} WHERE {}",
            self.key(table.key),
            self.paths(table.files),
            table.from,
            self.dialect.is_bound(table.key)
        )
    }

    /// The paths of all rows that name any, behind their keys where these are wanted.
    pub fn named_paths(&self, table: &NamingTable, keys: Keys) -> String {
        let key = match keys {
            Keys::Wanted => table.key.iter().map(|part| self.dialect.key_text(part)).collect(),
            Keys::Unneeded => Vec::new(),
        };
        let paths = table.files.iter().map(|file| self.dialect.path(file));
        let selected: Vec<String> = key.into_iter().chain(paths).collect();
        let names = table.files.iter().map(|file| format!("({file}) IS NOT NULL"));
        let names: Vec<String> = names.collect();
        format!("SELECT {} FROM {} WHERE ({})", selected.join(", "), table.from, names.join(" OR "))
    }

    /// Which of the bound keys rows have.
    pub fn existing(&self, table: &Table) -> String {
        format!(
            "SELECT {} FROM {} WHERE {}",
            self.key(&table.key),
            table.from,
            self.dialect.is_bound(&table.key)
        )
    }

    /// Deletes the rows of the bound keys that have expired; returns their keys, `returned`, and their paths where they are read directly.
    pub fn delete(&self, table: &Table, scope: &Scope, returned: &[String]) -> Delete {
        let condition = self.condition(table, scope);
        let expired = if table.is_read_directly() {
            condition
        } else {
            format!(
                "{} AND {}",
                self.dialect.is_read(table, &condition),
                self.is_alone(table, scope)
            )
        };
        let files = if table.is_read_directly() { self.paths(&table.files) } else { String::new() };
        Delete {
            from: table.delete_from.clone(),
            condition: format!("{} AND {expired}", self.dialect.is_bound(&table.key)),
            returned: format!("{}{}{files}", self.key(&table.key), listed(returned)),
        }
    }

    /// "No other row of the same key has not expired": a view may show a row several times, and a key that is configured need not be unique.
    pub fn is_alone(&self, table: &Table, scope: &Scope) -> String {
        let remains = format!("({}) IS NOT TRUE", self.condition(table, scope));
        format!("NOT {}", self.dialect.is_read(table, &remains))
    }

    /// Deletes the rows that depend on those of the bound keys; returns the keys and the paths.
    pub fn delete_dependents(&self, dependent: &Dependent) -> Delete {
        let key = slice::from_ref(&dependent.foreign_key);
        Delete {
            from: dependent.from.clone(),
            condition: self.dialect.is_bound(key),
            returned: format!("{}{}", self.key(key), self.paths(&dependent.files)),
        }
    }

    /// Deletes the tasks of the bound keys, whatever their state.
    pub fn delete_tasks_by_key(&self) -> String {
        let tasks = &self.tables.tasks;
        format!("DELETE FROM {} WHERE {}", tasks.delete_from, self.dialect.is_bound(&tasks.key))
    }

    /// `a, b`, as text
    pub fn key(&self, key: &[Typed]) -> String {
        let parts: Vec<String> = key.iter().map(|part| self.dialect.key_text(part)).collect();
        parts.join(", ")
    }

    /// `, a, b`, as they are stored
    pub fn paths(&self, files: &[String]) -> String {
        files.iter().map(|file| format!(", {}", self.dialect.path(file))).collect()
    }

    /// A receipt is known by its link, too: tasks are asked for it.
    fn lacks_key(&self, table: &Table, scope: &Scope) -> String {
        let parts = table.key.iter().map(|part| self.dialect.lacks_key(part));
        let link = table.link.iter().filter(|_| matches!(scope, Scope::Receipts(_)));
        let link = link.filter_map(|link| self.dialect.is_unusable(link));
        parts
            .chain(link.map(|is_unusable| format!("coalesce({is_unusable}, false)")))
            .collect::<Vec<_>>()
            .join(" OR ")
    }
}

fn listed(expressions: &[String]) -> String {
    expressions.iter().map(|expression| format!(", ({expression})")).collect()
}
