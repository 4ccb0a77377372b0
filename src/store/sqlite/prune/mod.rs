//! Deleting in SQLite.
//!
//! A batch is one transaction. Foreign keys are switched on, since SQLite leaves that to every connection.

mod dialect;
mod foreign_keys;
mod functions;
mod indexes;
mod transaction;
mod values;

use super::connection::{each_row, open, read_rows, refusal, require_whole, unavailable, words};
use super::inspect;
use super::time;
use crate::outcome::{Failure, Kind};
use crate::store::columns::{require, require_key};
use crate::store::prune::batch::delete_in_transactions;
use crate::store::prune::indexes::wanted;
use crate::store::prune::plausible::newest_of;
use crate::store::prune::sample::{SampledTime, TimeSample};
use crate::store::prune::statements::Statements;
use crate::store::prune::tables::{Tables, Types};
use crate::store::prune::{
    Batch, Deletion, ExpiredRow, Key, Keys, MissingIndex, Mode, NamedPath, Partly, Pass,
    PruneSettings, Pruned, Pruner, Reads, Scope, Undeletable,
};
use crate::units;
use anyhow::Result;
use chrono::{DateTime, Utc};
use dialect::{CUT, SqliteDialect, read_labels};
use foreign_keys::ForeignKeys;
use rusqlite::{Connection, ErrorCode, OpenFlags, Row, params_from_iter};
use std::path::Path;
use values::{bytes, is_usable, lossy, read_key, read_paths, values};

pub struct SqlitePruner {
    connection: Connection,
    settings: PruneSettings,
    statements: Statements<SqliteDialect>,
    foreign_keys: ForeignKeys,
    /// What `PRAGMA data_version` said when the paths that rows name were read last.
    looked: i64,
}

impl SqlitePruner {
    pub fn open(path: &Path, settings: PruneSettings) -> Result<Self> {
        let connection = open_to_write(path, &settings)?;
        functions::register(&connection, &settings)?;
        let tasks = &settings.store.mapping.tasks;
        let try_query =
            |sql: &str| connection.prepare(sql).map(drop).map_err(|error| refusal(&error));
        let tables = Tables::read(&settings.store.mapping, &CUT, &mut |section, from, columns| {
            require(section, from, columns, &mut |sql| try_query(sql)).map(|()| Types::new())
        })?;
        require_key(tasks, &mut |sql| try_query(sql))?;
        let foreign_keys = ForeignKeys::read(&connection, &tables)
            .map_err(|error| unavailable("the schema cannot be read", &error))?;
        let labels = read_labels(&connection, tasks).map_err(|error| {
            let blamed = inspect::blame(&connection, &settings.store.mapping);
            blamed.unwrap_or_else(|| failure(&connection, &error, "reading the statuses"))
        })?;
        let dialect = SqliteDialect { status: tasks.status.clone(), labels };
        let statements = Statements { tables, dialect };
        Ok(Self { connection, settings, statements, foreign_keys, looked: 0 })
    }

    fn failure(&self, error: &rusqlite::Error, doing: &str) -> Failure {
        failure(&self.connection, error, doing)
    }

    /// The row of this key, if it has expired.
    fn row(&self, scope: &Scope, key: &Key) -> rusqlite::Result<Option<ExpiredRow>> {
        let Ok(table) = self.statements.tables.of(scope.pruned()) else {
            return Ok(None);
        };
        let width = table.key.len();
        let sql = self.statements.rows(table, scope, &table.label);
        let mut statement = self.connection.prepare_cached(&sql)?;
        let mut rows = statement.query(params_from_iter(values(key)))?;
        let Some(row) = rows.next()? else {
            return Ok(None);
        };
        let mut stored = read_paths(row, width + 2, table.files.len())?;
        for table in self.statements.tables.naming_along(scope) {
            let sql = self.statements.paths_by_key(&table);
            stored.extend(self.read_paths(&sql, key, table.files.len())?);
        }
        stored.sort_unstable();
        Ok(Some(ExpiredRow {
            key: read_key(row, width)?,
            label: lossy(row, width)?.unwrap_or_default(),
            link: row.get(width + 1)?,
            paths: stored,
        }))
    }

    /// The paths that a statement answers with, behind a key; how many each row has at most.
    fn read_paths(&self, sql: &str, key: &Key, files: usize) -> rusqlite::Result<Vec<Vec<u8>>> {
        let read = |row: &Row| read_paths(row, row.as_ref().column_count() - files, files);
        let paths: Vec<Vec<Vec<u8>>> =
            read_rows(&self.connection, sql, params_from_iter(values(key)), read)?;
        Ok(paths.concat())
    }

    /// The sum of what statements count.
    fn count(&self, statements: impl IntoIterator<Item = String>, doing: &str) -> Result<u64> {
        let mut sum: u64 = 0;
        for sql in statements {
            let counted = self.connection.query_row(&sql, [], |row| row.get::<_, i64>(0));
            let counted = counted.map_err(|error| self.failure(&error, doing))?;
            sum = sum.saturating_add(counted.unsigned_abs());
        }
        Ok(sum)
    }

    fn data_version(&self) -> rusqlite::Result<i64> {
        self.connection.query_row("PRAGMA data_version", [], |row| row.get(0))
    }

    fn read_named(&self, keys: Keys, each: &mut dyn FnMut(&NamedPath)) -> rusqlite::Result<()> {
        // What all of them say at one moment.
        let _reading = self.connection.unchecked_transaction()?;
        for table in self.statements.tables.naming() {
            let width = if keys == Keys::Wanted { table.key.len() } else { 0 };
            let (source, sql) = (table.source, self.statements.named_paths(&table, keys));
            each_row(&self.connection, &sql, [], |row| {
                let key = (keys == Keys::Wanted).then(|| read_key(row, width)).transpose()?;
                let key = key.as_ref().filter(|key| is_usable(key));
                for place in width..width + table.files.len() {
                    if let Some(path) = bytes(row.get_ref(place)?) {
                        each(&NamedPath { source, key, path: &path });
                    }
                }
                Ok(())
            })?;
        }
        Ok(())
    }

    fn linked(&self, links: &[String]) -> rusqlite::Result<Vec<(String, Key)>> {
        let tasks = &self.statements.tables.tasks;
        let Some(link) = tasks.link.as_ref().map(|link| &link.expression) else {
            return Ok(Vec::new());
        };
        let sql = format!(
            // The number 12 in tasks and the text '12' in receipts are the same link.
            "SELECT {} FROM {} WHERE ({link}) IN (?1, CAST(?1 AS NUMERIC))",
            self.statements.key(&tasks.key),
            tasks.from
        );
        let width = tasks.key.len();
        let mut found = Vec::new();
        for link in links {
            // As it was asked for: under COLLATE NOCASE the table's may differ in case.
            found.extend(read_rows::<_, Vec<_>>(&self.connection, &sql, [link], |row| {
                Ok((link.clone(), read_key(row, width)?))
            })?);
        }
        Ok(found)
    }
}

fn open_to_write(path: &Path, settings: &PruneSettings) -> Result<Connection, Failure> {
    let open = || {
        let access = OpenFlags::SQLITE_OPEN_READ_WRITE;
        open(path, access, settings.store.connect_timeout, "relative ones start at base_dir")
    };
    let read_mode = |connection: &Connection| -> rusqlite::Result<String> {
        connection.query_row("PRAGMA journal_mode", [], |row| row.get(0))
    };
    let shown = path.display();
    let mut connection = open()?;
    let mut mode = read_mode(&connection);
    if let Err(error) = &mode
        && lacks_room(error)
    {
        // A full disk has no room for the index of a write-ahead log. A connection that is alone keeps it in memory.
        log::info!("{shown} is opened for this run alone: {}", words(error));
        connection = open()?;
        mode = connection
            .pragma_update(None, "locking_mode", "EXCLUSIVE")
            .and_then(|()| read_mode(&connection));
    }
    let mode = mode.map_err(|error| unavailable(&format!("{shown} cannot be read"), &error))?;
    require_whole(&connection, path)?;
    let prepare = || {
        connection.pragma_update(None, "foreign_keys", true)?;
        if settings.mode == Mode::DryRun {
            // A dry run must not touch the disk: no undo log beside the database, no page written early.
            connection.pragma_update(None, "cache_spill", false)?;
            if mode != "wal" {
                connection.query_row("PRAGMA journal_mode = MEMORY", [], |_| Ok(()))?;
            }
        }
        if settings.reads == Reads::ReadOnly {
            connection.pragma_update(None, "query_only", true)?;
        }
        Ok(())
    };
    prepare().map_err(|error| unavailable(&format!("{shown} cannot be opened"), &error))?;
    Ok(connection)
}

fn lacks_room(error: &rusqlite::Error) -> bool {
    matches!(
        error.sqlite_error_code(),
        Some(ErrorCode::DiskFull | ErrorCode::SystemIoFailure | ErrorCode::CannotOpen)
    )
}

fn failure(connection: &Connection, error: &rusqlite::Error, doing: &str) -> Failure {
    let path = connection.path().unwrap_or_default();
    let message = format!("{doing} ({path}): {}", words(error));
    match error.sqlite_error_code() {
        Some(ErrorCode::ReadOnly | ErrorCode::PermissionDenied) => {
            Failure::new(Kind::PermissionDenied, message)
                .hint("cleanup needs the right to write the database's file and its folder")
        }
        Some(ErrorCode::DiskFull) => Failure::new(Kind::DatabaseUnavailable, message)
            .hint("make room on the database's disk, and run again"),
        _ => super::connection::failure(error, doing, message),
    }
}

impl Pruner for SqlitePruner {
    fn identity(&mut self) -> Result<String> {
        let path = Path::new(self.connection.path().unwrap_or_default());
        let real = path.canonicalize().unwrap_or_else(|_| path.to_owned());
        Ok(format!("sqlite {}: {}", real.display(), self.statements.tables.identity()))
    }

    fn count_expired(&mut self, expiry: &Scope) -> Result<u64> {
        let passes = Pass::ALL.map(|pass| self.statements.count_expired(expiry, pass));
        self.count(passes.into_iter().flatten(), "counting tasks")
    }

    fn count_ended(&mut self, most: u64) -> Result<u64> {
        self.count([self.statements.count_ended(most)], "counting tasks")
    }

    fn newest_time(&mut self, enough: DateTime<Utc>) -> Result<Option<DateTime<Utc>>> {
        let newest = newest_of(self.statements.newest(), enough, &mut |sql| {
            let newest = self.connection.query_row(sql, [], |row| row.get(0));
            newest.map_err(|error| self.failure(&error, "looking for the newest time"))
        });
        Ok(newest?)
    }

    fn undeletable(&mut self, scope: &Scope) -> Result<Undeletable> {
        let table = self.statements.tables.of(scope.pruned())?;
        let doing = "looking for rows without a key or a time";
        let passes = Pass::ALL.map(|pass| self.statements.count_without_key(table, scope, pass));
        let without_key = self.count(passes.into_iter().flatten(), doing)?;
        let undated = self.count([self.statements.count_undated(table, scope)], doing)?;
        Ok(Undeletable { table: table.from.clone(), without_key, undated })
    }

    fn expired(
        &mut self,
        scope: &Scope,
        pass: Pass,
        after: Option<&Key>,
        limit: usize,
    ) -> Result<Vec<Key>> {
        let table = self.statements.tables.of(scope.pruned())?;
        let Some(sql) = self.statements.expired(table, scope, pass, after, limit) else {
            return Ok(Vec::new());
        };
        let width = table.key.len();
        let bound = params_from_iter(after.map(values).unwrap_or_default());
        let keys = read_rows(&self.connection, &sql, bound, |row| read_key(row, width));
        Ok(keys.map_err(|error| self.failure(&error, "choosing expired rows"))?)
    }

    fn rows(&mut self, scope: &Scope, keys: &[Key]) -> Result<Vec<ExpiredRow>> {
        let found = keys.iter().map(|key| self.row(scope, key));
        let rows: Result<Vec<Option<ExpiredRow>>, rusqlite::Error> = found.collect();
        let rows = rows.map_err(|error| self.failure(&error, "reading expired rows"))?;
        Ok(rows.into_iter().flatten().collect())
    }

    fn named_paths(&mut self, keys: Keys, each: &mut dyn FnMut(&NamedPath)) -> Result<()> {
        let read = self.data_version().and_then(|version| {
            self.looked = version;
            self.read_named(keys, each)
        });
        Ok(read.map_err(|error| self.failure(&error, "reading the paths that rows name"))?)
    }

    fn recent_paths(&mut self, each: &mut dyn FnMut(&NamedPath)) -> Result<()> {
        let read = self.data_version().and_then(|version| {
            // Any row may name one of the files now, if another program has written.
            if version == self.looked { Ok(()) } else { self.read_named(Keys::Unneeded, each) }
        });
        Ok(read.map_err(|error| self.failure(&error, "reading the paths that new rows name"))?)
    }

    fn existing(&mut self, pruned: Pruned, keys: &[Key]) -> Result<Vec<Key>> {
        let table = self.statements.tables.of(pruned)?;
        let (width, sql) = (table.key.len(), self.statements.existing(table));
        let each = keys.iter().map(|key| {
            let bound = params_from_iter(values(key));
            read_rows::<_, Vec<Key>>(&self.connection, &sql, bound, |row| read_key(row, width))
        });
        let found: Result<Vec<Vec<Key>>, rusqlite::Error> = each.collect();
        let found = found.map_err(|error| self.failure(&error, "asking which rows are there"))?;
        Ok(found.concat())
    }

    fn linked_tasks(&mut self, links: &[String]) -> Result<Vec<(String, Key)>> {
        let found = self.linked(links);
        Ok(found.map_err(|error| self.failure(&error, "asking which receipts tasks refer to"))?)
    }

    fn delete(
        &mut self,
        batch: &Batch,
        settle: &mut dyn FnMut(&Deletion) -> Vec<usize>,
    ) -> Result<Deletion, Box<Partly>> {
        // SQLite always answers: nothing is in doubt.
        delete_in_transactions(batch.rows.len(), &mut |places, _| {
            self.delete_persistently(batch, places, settle)
        })
    }

    fn sample_times(&mut self) -> Result<Vec<TimeSample>> {
        let zone = self.settings.store.naive_zone;
        let mut samples = Vec::new();
        for (column, sql) in self.statements.samples() {
            let values =
                read_rows::<_, Vec<Option<SampledTime>>>(&self.connection, &sql, [], |row| {
                    let value = row.get_ref(0)?;
                    let moment = time::read(value);
                    let sampled = SampledTime {
                        shown: lossy(row, 0)?.unwrap_or_default(),
                        time: moment.map(|moment| moment.instant(zone)),
                        form: Some(time::written(value, moment)),
                    };
                    Ok((!sampled.shown.is_empty()).then_some(sampled))
                });
            let values = values.map_err(|error| self.failure(&error, "looking at the times"))?;
            samples.push(TimeSample { column, values: values.into_iter().flatten().collect() });
        }
        Ok(samples)
    }

    fn implausible(&mut self, scope: &Scope) -> Result<Option<(u64, String)>> {
        let sql = self.statements.implausible(self.statements.tables.of(scope.pruned())?, scope);
        let found = self
            .connection
            .query_row(&sql, [], |row| Ok((row.get::<_, i64>(0)?.unsigned_abs(), lossy(row, 1)?)));
        let doing = "looking for times that cannot be right";
        let (count, shown) = found.map_err(|error| self.failure(&error, doing))?;
        Ok(shown.map(|shown| (count, shown)))
    }

    fn unreturned_space(&mut self) -> Result<Option<String>> {
        let pragma = |name: &str| {
            self.connection.query_row(&format!("PRAGMA {name}"), [], |row| row.get::<_, i64>(0))
        };
        let read = || Ok((pragma("freelist_count")?, pragma("page_size")?, pragma("auto_vacuum")?));
        let (pages, size, mode) =
            read().map_err(|error| self.failure(&error, "reading the number of free pages"))?;
        if pages == 0 {
            return Ok(None);
        }
        let path = self.connection.path().unwrap_or_default();
        let returns = match mode {
            // Incremental.
            2 => "PRAGMA incremental_vacuum returns them to the disk",
            _ => {
                "VACUUM returns them to the disk, once, and has to write the whole file anew; with PRAGMA auto_vacuum = FULL before it, every later deletion does"
            }
        };
        let mb = units::mib(pages.saturating_mul(size).unsigned_abs());
        Ok(Some(format!(
            "{pages} pages of {path} are free ({mb} MB), and new rows will fill them; {returns}"
        )))
    }

    fn blame(&mut self) -> Option<Failure> {
        inspect::blame(&self.connection, &self.settings.store.mapping)
    }

    fn missing_indexes(&mut self) -> Result<Vec<MissingIndex>> {
        let tables = &self.statements.tables;
        let missing = foreign_keys::referring(&self.connection, tables).and_then(|referring| {
            let wanted: Vec<_> = wanted(tables).into_iter().chain(referring).collect();
            indexes::missing(&self.connection, &wanted)
        });
        Ok(missing.map_err(|error| self.failure(&error, "looking for indexes"))?)
    }
}
