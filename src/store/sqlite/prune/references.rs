//! Which rows name the files of expired ones, asked of SQLite.

use super::super::quote::text_literal;
use super::SqlitePruner;
use super::functions::CANONICAL;
use super::values::{bytes, key_of_json, read_key, read_paths};
use crate::mapping::canonical_path::CanonicalPath;
use crate::store::prune::references::undecided;
use crate::store::prune::{Batch, Deletion, MOST_REFERENCES, Reference, Scope, Source};
use std::collections::HashSet;

const NOTHING: &str = "SELECT 0, '', NULL, 0 WHERE 0";

impl SqlitePruner {
    /// The paths that an expired row and another one name, each with some of the rows that name it.
    pub(super) fn read_shared(
        &mut self,
        scope: &Scope,
        each: &mut dyn FnMut(Reference),
    ) -> rusqlite::Result<()> {
        self.version = self.data_version()?;
        let mut statement = self.connection.prepare(&self.shared(scope))?;
        let mut rows = statement.query([])?;
        while let Some(row) = rows.next()? {
            let key: String = row.get(1)?;
            let path = bytes(row.get_ref(2)?).unwrap_or_default().into_owned();
            each(Reference {
                source: Source::from_number(row.get(0)?),
                key: key_of_json(&key),
                path: CanonicalPath::from_canonical(path),
                rows: row.get::<_, i64>(3)?.unsigned_abs(),
            });
        }
        Ok(())
    }

    fn shared(&self, scope: &Scope) -> String {
        let expired_source = match scope {
            Scope::Tasks(_) => Source::Tasks,
            Scope::Receipts(_) => Source::Receipts,
        };
        let condition = match self.statements.tables.of(scope) {
            Ok(table) => self.statements.condition(table, scope),
            Err(_) => return NOTHING.to_owned(),
        };
        let mut all = Vec::new();
        let mut going = Vec::new();
        for table in self.statements.tables.naming() {
            let (source, key, from) = (table.source, self.statements.key(table.key), table.from);
            let is_deleted_from = source == expired_source;
            let goes_along = scope.takes_along(source);
            for file in table.files {
                let expired = if is_deleted_from {
                    format!("coalesce({condition}, 0)")
                } else {
                    "0".to_owned()
                };
                all.push(format!(
                    "SELECT {} AS source, json_array({key}) AS key, {expired} AS expired, {CANONICAL}({file}) AS path FROM {from} \
                     WHERE ({file}) <> ''",
                    source.number(),
                ));
                if is_deleted_from || goes_along {
                    let which =
                        if is_deleted_from { format!(" AND {condition}") } else { String::new() };
                    going.push(format!(
                        "SELECT {CANONICAL}({file}) AS path FROM {from} WHERE ({file}) <> ''{which}"
                    ));
                }
            }
        }
        if going.is_empty() {
            return NOTHING.to_owned();
        }
        format!(
            "WITH going AS MATERIALIZED (SELECT DISTINCT path FROM ({})), named AS MATERIALIZED \
             (SELECT * FROM ({}) WHERE path IN (SELECT path FROM going)), \
             shared AS MATERIALIZED (SELECT path FROM named GROUP BY path HAVING count(*) > 1) \
             SELECT source, key, path, total FROM (SELECT source, key, path, count(*) OVER (PARTITION BY path) AS total, \
             row_number() OVER (PARTITION BY path ORDER BY expired, key DESC) AS place \
             FROM named WHERE path IN (SELECT path FROM shared)) WHERE place <= {MOST_REFERENCES}",
            going.join(" UNION ALL "),
            all.join(" UNION ALL "),
        )
    }

    fn data_version(&self) -> rusqlite::Result<i64> {
        self.connection.query_row("PRAGMA data_version", [], |row| row.get(0))
    }

    /// The rows that still name the batch's files.
    pub(super) fn check_references(
        &self,
        batch: &Batch,
        deletion: &mut Deletion,
    ) -> rusqlite::Result<()> {
        let aliases = &self.settings.aliases;
        for check in batch.checks {
            for (source, key) in &check.references {
                let Some(table) = self.statements.tables.naming_of(*source) else {
                    continue;
                };
                let sql = self.statements.paths_by_key(&table);
                let paths = self.read_paths(&sql, key, table.files.len())?;
                if paths.iter().any(|path| aliases.canonical(path) == check.path) {
                    deletion.referring.push((*source, key.clone(), check.path.clone()));
                }
            }
        }
        let mut searched: HashSet<CanonicalPath> =
            undecided(batch, deletion, self.settings.mode).cloned().collect();
        // Another program has written since the search for shared files: any row may name one of the files now.
        if self.data_version()? != self.version {
            let paths = batch.rows.iter().flat_map(|row| &row.paths);
            searched.extend(paths.map(|path| path.canonical.clone()));
        }
        if searched.is_empty() { Ok(()) } else { self.search(&searched, deletion) }
    }

    /// Every row that names one of these paths.
    fn search(
        &self,
        searched: &HashSet<CanonicalPath>,
        deletion: &mut Deletion,
    ) -> rusqlite::Result<()> {
        for table in self.statements.tables.naming() {
            let width = table.key.len();
            let (key, paths) = (self.statements.key(table.key), self.statements.paths(table.files));
            let sql = format!("SELECT {key}{paths} FROM {}", table.from);
            let mut statement = self.connection.prepare_cached(&sql)?;
            let mut rows = statement.query([])?;
            while let Some(row) = rows.next()? {
                for path in read_paths(row, width, table.files.len())? {
                    let path = self.settings.aliases.canonical(&path);
                    if searched.contains(&path) {
                        deletion.referring.push((table.source, read_key(row, width)?, path));
                    }
                }
            }
        }
        Ok(())
    }

    /// The canonical paths that start with one of these.
    pub(super) fn read_beneath(
        &self,
        beneath: &[String],
        each: &mut dyn FnMut(&CanonicalPath),
    ) -> rusqlite::Result<()> {
        if beneath.is_empty() {
            return Ok(());
        }
        let starts = beneath.iter().map(|start| {
            // Byte by byte: a path need not be text.
            let length = start.len();
            let start = text_literal(start);
            format!("substr(CAST(path AS BLOB), 1, {length}) = CAST({start} AS BLOB)")
        });
        let starts = starts.collect::<Vec<_>>().join(" OR ");
        for table in self.statements.tables.naming() {
            for file in table.files {
                let sql = format!(
                    "SELECT path FROM (SELECT {CANONICAL}({file}) AS path FROM {}) WHERE {starts}",
                    table.from
                );
                let mut statement = self.connection.prepare(&sql)?;
                let mut rows = statement.query([])?;
                while let Some(row) = rows.next()? {
                    if let Some(path) = bytes(row.get_ref(0)?) {
                        each(&CanonicalPath::from_canonical(path.into_owned()));
                    }
                }
            }
        }
        Ok(())
    }
}
