//! Which rows name the files of expired ones, asked of PostgreSQL.

use super::super::quote::literal;
use super::PostgresDialect;
use super::canonical::{bytewise, canonical};
use super::dialect::time_type;
use super::rows::{columns, read_key_or_none, read_paths};
use super::transaction::Deleting;
use super::verdict::{Stopped, stopped};
use crate::mapping::Field;
use crate::mapping::canonical_path::CanonicalPath;
use crate::outcome::Failure;
use crate::store::prune::references::undecided;
use crate::store::prune::statements::Statements;
use crate::store::prune::tables::NamingTable;
use crate::store::prune::{Deletion, Key, MOST_REFERENCES, Scope, Source};
use chrono::{DateTime, Utc};
use postgres::Row;
use std::collections::{BTreeMap, BTreeSet, HashSet};

impl Statements<PostgresDialect> {
    /// Paths that an expired row and another one name: each with some of the rows that name it, rows that stay first.
    ///
    /// First the paths of expired rows alone, so that a nightly run sorts thousands and not all of the table's; then the paths of the other
    /// rows are compared with these.
    pub fn shared(&self, scope: &Scope) -> Result<Option<String>, Failure> {
        let deleted_from = match scope {
            Scope::Tasks(_) => Source::Tasks,
            Scope::Receipts(_) => Source::Receipts,
        };
        let (mut going, mut others, mut all) = (Vec::new(), Vec::new(), Vec::new());
        for table in self.tables.naming() {
            if scope.takes_along(table.source) {
                // Any of them may go.
                going.push(self.names(&table, "true", "false"));
                all.push(self.names(&table, "true", "false"));
            } else if table.source == deleted_from {
                let condition = self.condition(self.tables.of(scope)?, scope);
                let expired = format!("coalesce({condition}, false)");
                going.push(self.names(&table, &condition, "true"));
                others.push(self.names(&table, &format!("NOT {expired}"), "false"));
                all.push(self.names(&table, "true", &expired));
            } else {
                others.push(self.names(&table, "true", "false"));
                all.push(self.names(&table, "true", "false"));
            }
        }
        if going.is_empty() {
            return Ok(None);
        }
        Ok(Some(format!(
            "WITH going AS MATERIALIZED (SELECT path, count(*) AS rows FROM ({going}) AS g GROUP BY path), \
             shared AS MATERIALIZED (SELECT path FROM going WHERE rows > 1{others}) \
             SELECT source, key, path, rows FROM (SELECT n.source, n.key, n.path, \
             count(*) OVER (PARTITION BY n.path) AS rows, \
             row_number() OVER (PARTITION BY n.path ORDER BY n.expired, n.key DESC) AS place \
             FROM ({all}) AS n JOIN shared USING (path)) AS w WHERE place <= {MOST_REFERENCES}",
            going = going.join(" UNION ALL "),
            others = if others.is_empty() {
                String::new()
            } else {
                format!(
                    " UNION SELECT o.path FROM ({}) AS o JOIN going USING (path)",
                    others.join(" UNION ALL ")
                )
            },
            all = all.join(" UNION ALL "),
        )))
    }

    /// The paths that each row names, a row of the answer for each.
    ///
    /// Each table row is looked at once (`OFFSET 0` keeps the planner from computing the same thing again for every path): whether one of
    /// its paths is not canonical, which is rare and costly, and whether it has expired.
    fn names(&self, table: &NamingTable, rows: &str, expired: &str) -> String {
        let texts: Vec<String> = table.files.iter().map(|file| bytewise(file)).collect();
        let named: String =
            (0..).zip(&texts).map(|(place, text)| format!(", {text} AS file_{place}")).collect();
        let odd: Vec<String> = ["%//%", "%/.%"]
            .map(literal)
            .into_iter()
            .chain(self.dialect.aliases.others().map(|other| {
                let escaped = other.replace(['\\', '%', '_'], "_");
                literal(&format!("%{}/%", escaped.trim_start_matches('/')))
            }))
            .collect();
        let values: Vec<String> = (0..texts.len())
            .map(|place| {
                let file = format!("r.file_{place}");
                format!(
                    "(CASE WHEN r.odd THEN {} ELSE {file} END)",
                    canonical(&self.dialect.aliases, &file)
                )
            })
            .collect();
        // Between slashes, a path that starts or ends with one makes two, and one that starts with a dot "/.".
        format!(
            "SELECT {}::int4 AS source, r.key, r.expired, v.path FROM (SELECT ARRAY[{}] AS key, {expired} AS expired, \
             concat_ws('/', '', {}, '') LIKE ANY (ARRAY[{}]) AS odd{named} FROM {} WHERE {rows} OFFSET 0) AS r \
             CROSS JOIN LATERAL (VALUES {}) AS v(path) WHERE v.path <> ''",
            table.source.number(),
            self.key(table.key),
            texts.join(", "),
            odd.join(", "),
            table.from,
            values.join(", ")
        )
    }

    /// Key and paths of the rows of a table that name one of the bound paths, however they write it.
    fn search(&self, table: &NamingTable) -> String {
        let named: Vec<String> = (table.files.iter())
            .map(|file| format!("{} = ANY ($1::text[])", canonical(&self.dialect.aliases, file)))
            .collect();
        format!(
            "SELECT {}{} FROM {} WHERE {}",
            self.key(table.key),
            self.paths(table.files),
            table.from,
            named.join(" OR ")
        )
    }

    /// Key and paths of tasks created since then, where an index finds them.
    fn recent(&self, since: DateTime<Utc>) -> Option<String> {
        let tasks = &self.tables.tasks;
        let created = tasks.time(Field::CreatedAt).filter(|_| self.dialect.created_is_indexed)?;
        if tasks.files.is_empty() {
            return None;
        }
        Some(format!(
            "SELECT {}{} FROM {} WHERE ({}) >= {}",
            self.key(&tasks.key),
            self.paths(&tasks.files),
            tasks.from,
            created.expression,
            self.dialect.bound(time_type(created), since)
        ))
    }

    /// The canonical paths that start with one of these.
    pub fn beneath(&self, beneath: &[String]) -> Vec<String> {
        let starts: Vec<String> = beneath
            .iter()
            .map(|start| format!("left(v.path, {}) = {}", start.chars().count(), literal(start)))
            .collect();
        if starts.is_empty() {
            return Vec::new();
        }
        self.tables
            .naming()
            .map(|table| {
                let values: Vec<String> = (table.files.iter())
                    .map(|file| format!("({})", canonical(&self.dialect.aliases, file)))
                    .collect();
                let from = table.from;
                format!(
                    "SELECT v.path FROM {from} CROSS JOIN LATERAL (VALUES {}) AS v(path) WHERE {}",
                    values.join(", "),
                    starts.join(" OR ")
                )
            })
            .collect()
    }
}

impl Deleting<'_> {
    /// The rows that still name the batch's files.
    pub fn check_references(&self, deletion: &mut Deletion) -> Result<(), Stopped> {
        let mut by_source: BTreeMap<Source, BTreeSet<&Key>> = BTreeMap::new();
        for (source, key) in self.batch.checks.iter().flat_map(|check| &check.references) {
            by_source.entry(*source).or_default().insert(key);
        }
        for (source, keys) in by_source {
            if let Some(table) = self.statements.tables.naming_of(source) {
                let sql = self.statements.paths_by_key(&table);
                let rows = self.ask(&sql, &columns(keys, table.key.len()))?;
                self.note_paths(&table, &rows, deletion)?;
            }
        }
        let searched: Vec<String> = undecided(self.batch, deletion, self.settings.mode)
            .filter_map(|path| Some(path.to_str()?.to_owned()))
            .collect();
        if !searched.is_empty() {
            for table in self.statements.tables.naming() {
                let sql = self.statements.search(&table);
                let rows = self.ask(&sql, std::slice::from_ref(&searched))?;
                self.note_paths(&table, &rows, deletion)?;
            }
        }
        self.check_recent(deletion)
    }

    /// Rows that came after the search for shared files, where an index finds them at once.
    fn check_recent(&self, deletion: &mut Deletion) -> Result<(), Stopped> {
        let tasks = self.statements.tables.naming_of(Source::Tasks);
        let sql = self.statements.recent(self.batch.recent_since);
        let (Some(tasks), Some(sql)) = (tasks, sql) else {
            return Ok(());
        };
        let rows = self.ask(&sql, &[])?;
        let paths = self.batch.rows.iter().flat_map(|row| &row.paths);
        let of_batch: HashSet<&CanonicalPath> = paths.map(|path| &path.canonical).collect();
        let mut recent = Deletion::default();
        self.note_paths(&tasks, &rows, &mut recent)?;
        let named = recent.referring.into_iter();
        deletion.referring.extend(named.filter(|(_, _, path)| of_batch.contains(path)));
        Ok(())
    }

    fn note_paths(
        &self,
        table: &NamingTable,
        rows: &[Row],
        deletion: &mut Deletion,
    ) -> Result<(), Stopped> {
        let width = table.key.len();
        for row in rows {
            let read = || -> Result<_, postgres::Error> {
                Ok((read_key_or_none(row, width)?, read_paths(row, width)?))
            };
            let (key, paths) = read().map_err(|error| stopped(&error.into(), &self.doing()))?;
            for path in paths {
                let path = self.settings.aliases.canonical(&path);
                deletion.referring.push((table.source, key.clone(), path));
            }
        }
        Ok(())
    }
}
