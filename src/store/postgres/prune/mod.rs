//! Deleting in PostgreSQL.
//!
//! A transaction-level advisory lock lets one batch at a time into the database: runs do not wait for each other's rows, which would look like
//! rows that the application holds.

mod capabilities;
mod catalogue;
mod dialect;
mod lock_search;
mod locked;
mod recovery;
mod rows;
mod transaction;
mod unmapped;
mod verdict;

use super::connect::target::PostgresTarget;
use super::failure::failure;
use super::foreign_keys::unindexed;
use super::identity::Identity;
use super::session::{Broken, Reading, Session};
use super::text::text;
use super::view_key::find_wrong_key;
use super::{indexes, inspect, row_security};
use crate::calendar::Shift;
use crate::mapping::Field;
use crate::outcome::{Failure, Kind};
use crate::store::columns::require_key;
use crate::store::prune::batch::delete_in_transactions;
use crate::store::prune::indexes::{WantedIndex, wanted};
use crate::store::prune::plausible::newest_of;
use crate::store::prune::portion::Portion;
use crate::store::prune::sample::{SampledTime, TimeSample};
use crate::store::prune::statements::Statements;
use crate::store::prune::tables::Tables;
use crate::store::prune::{
    Batch, Deletion, ExpiredRow, Key, Keys, MissingIndex, NamedPath, Partly, Pass, PruneSettings,
    Pruned, Pruner, Scope, Source, Undeletable,
};
use anyhow::Result;
use capabilities::Capabilities;
use chrono::{DateTime, TimeDelta, Utc};
use dialect::{CUT, PostgresDialect};
use lock_search::LockSearch;
use postgres::Row;
use recovery::TRIES;
use rows::{columns, each_path, read_key, read_key_or_none, read_links, read_paths};
use std::collections::{HashMap, HashSet};
use std::time::{Duration, Instant};
use unmapped::find_unmapped;
use verdict::{Stopped, Verdict, verdict};

/// How a run reads.
fn reading(settings: &PruneSettings) -> Reading {
    Reading {
        limit: settings.store.statement_timeout,
        reads: settings.reads,
        row_security: settings.store.row_security,
    }
}

/// A foreign key that is equal to a key and yet another text, such as `1.0` and `1`.
fn foreign_form(owner: &Key) -> Failure {
    let message = format!(
        "database: the foreign_key of dependents writes {} otherwise than the key that it refers to",
        owner.join(", ")
    );
    Failure::new(Kind::MappingMismatch, message)
        .hint("write an expression that has the type of the key, such as foreign_key = \"task_id::bigint\"")
}

pub struct PostgresPruner {
    target: PostgresTarget,
    server: Identity,
    session: Session,
    settings: PruneSettings,
    statements: Statements<PostgresDialect>,
    portion: Portion,
    locks: LockSearch,
    capabilities: Capabilities,
    /// When the paths that rows name were read last, by the database's clock.
    looked: Option<DateTime<Utc>>,
}

/// A row that was being written when the paths were read may carry a creation time so much before it.
const WRITING: TimeDelta = TimeDelta::minutes(10);

impl PostgresPruner {
    pub fn open(target: &PostgresTarget, mut settings: PruneSettings) -> Result<Self> {
        let session = Session::open(target, reading(&settings), &settings.asked_to_end)?;
        let encoding = session.encoding().clone();
        let states = &mut settings.store.mapping.tasks.states;
        encoding.retain_labels(states, &mut |sql| session.try_simple(sql))?;
        let mapping = &settings.store.mapping;
        if let Some(failure) = row_security::of_cleanup(&session, &settings.store)? {
            return Err(failure.into());
        }
        let mut status_type = String::new();
        let tables = Tables::read(mapping, &CUT, &mut |section, from, columns| {
            let types = catalogue::types_of(&session, section, from, columns)?;
            if section == "tasks" {
                status_type = types.get("status").cloned().unwrap_or_default();
            }
            Ok(types)
        })?;
        require_key(&mapping.tasks, &mut |sql| session.try_query(sql))?;
        if let Some(failure) = find_wrong_key(&session, &mapping.tasks) {
            return Err(failure.into());
        }
        let encoding = if encoding.is_translated() {
            let unmapped = find_unmapped(&session, &encoding, &tables)?;
            encoding.with_unmapped(&unmapped)
        } else {
            encoding
        };
        let dialect = PostgresDialect {
            status: mapping.tasks.status.clone(),
            states: mapping.tasks.states.clone(),
            labels: catalogue::enum_labels(&session, &status_type)?,
            zone: settings.store.naive_zone,
            encoding,
            plausible: settings.plausible,
            created_is_indexed: catalogue::is_created_indexed(&session, &tables.tasks)?,
        };
        let statements = Statements { tables, dialect };
        let server = session.identity();
        let (portion, locks) = (Portion::default(), LockSearch::default());
        let capabilities = Capabilities::read(&session)?;
        let target = target.clone();
        Ok(Self {
            target,
            server,
            session,
            settings,
            statements,
            portion,
            locks,
            capabilities,
            looked: None,
        })
    }

    fn query(&mut self, doing: &str, sql: &str, keys: &[Vec<String>]) -> Result<Vec<Row>, Failure> {
        self.read(doing, &mut |session| session.ask(sql, keys))
    }

    /// The sum of what statements count.
    fn count(&mut self, statements: impl IntoIterator<Item = String>, doing: &str) -> Result<u64> {
        let mut sum: u64 = 0;
        for sql in statements {
            let rows = self.query(doing, &sql, &[])?;
            let counted = rows.first().map_or(0, |row| row.get::<_, i64>(0));
            sum = sum.saturating_add(counted.unsigned_abs());
        }
        Ok(sum)
    }

    /// Reads something outside a transaction, again on a new connection where one is lost.
    fn read<T>(
        &mut self,
        doing: &str,
        work: &mut dyn FnMut(&Session) -> Result<T, Broken>,
    ) -> Result<T, Failure> {
        let mut tries = 1;
        loop {
            let broken = match work(&self.session) {
                Ok(answer) => return Ok(answer),
                Err(broken) => broken,
            };
            match verdict(&broken, doing) {
                Verdict::Batch(Stopped::Lost(failure)) if tries < TRIES => {
                    self.reconnect(failure, tries)?;
                }
                _ => return Err(broken.failure(doing)),
            }
            tries += 1;
        }
    }
}

impl Pruner for PostgresPruner {
    fn clock(&mut self) -> Result<Option<DateTime<Utc>>> {
        let rows = self.query("reading the database's clock", "SELECT clock_timestamp()", &[])?;
        Ok(rows.first().and_then(|row| row.get(0)))
    }

    fn identity(&mut self) -> Result<String> {
        // Unqualified names mean other tables on another path.
        let rows = self.query(
            "asking for the search path",
            "SELECT array_to_string(current_schemas(false), ',')",
            &[],
        )?;
        let schemas: Option<String> = rows.first().and_then(|row| row.get(0));
        let server = self.server.text().unwrap_or_else(|| self.target.display());
        let tables = self.statements.tables.identity();
        Ok(format!("{server} ({}): {tables}", schemas.unwrap_or_default()))
    }

    fn answers(&mut self, within: Duration) -> bool {
        self.session.answers(within)
    }

    fn count_expired(&mut self, expiry: &Scope) -> Result<u64> {
        let passes = Pass::ALL.map(|pass| self.statements.count_expired(expiry, pass));
        self.count(passes.into_iter().flatten(), "counting tasks")
    }

    fn count_ended(&mut self, most: u64) -> Result<u64> {
        self.count([self.statements.count_ended(most)], "counting tasks")
    }

    fn newest_time(&mut self, enough: DateTime<Utc>) -> Result<Option<DateTime<Utc>>> {
        let sql = self.statements.newest();
        let newest = newest_of(sql, enough, &mut |sql| {
            let rows = self.query("looking for the newest time", sql, &[])?;
            Ok(rows.first().and_then(|row| row.get(0)))
        });
        Ok(newest?)
    }

    fn sample_times(&mut self) -> Result<Vec<TimeSample>> {
        let mut samples = Vec::new();
        for (column, sql) in self.statements.samples() {
            let rows = self.query("looking at the times", &sql, &[])?;
            let values = rows.iter().map(|row| SampledTime {
                shown: row.get(0),
                time: row.get::<_, Option<i64>>(1).and_then(DateTime::from_timestamp_micros),
                form: None,
            });
            samples.push(TimeSample { column, values: values.collect() });
        }
        Ok(samples)
    }

    fn implausible(&mut self, scope: &Scope) -> Result<Option<(u64, String)>> {
        let sql = self.statements.implausible(self.statements.tables.of(scope.pruned())?, scope);
        let rows = self.query("looking for times that cannot be right", &sql, &[])?;
        let found = rows
            .first()
            .and_then(|row| Some((row.get::<_, i64>(0), row.get::<_, Option<String>>(1)?)));
        Ok(found.map(|(count, shown)| (count.unsigned_abs(), shown)))
    }

    fn undeletable(&mut self, scope: &Scope) -> Result<Undeletable> {
        let doing = "looking for rows without a key or a time";
        let statements = &self.statements;
        let table = statements.tables.of(scope.pruned())?;
        let passes = Pass::ALL.map(|pass| statements.count_without_key(table, scope, pass));
        let (undated, table) = (statements.count_undated(table, scope), table.from.clone());
        let without_key = self.count(passes.into_iter().flatten(), doing)?;
        Ok(Undeletable { table, without_key, undated: self.count([undated], doing)? })
    }

    fn expired(
        &mut self,
        scope: &Scope,
        pass: Pass,
        after: Option<&Key>,
        limit: usize,
    ) -> Result<Vec<Key>> {
        let table = self.statements.tables.of(scope.pruned())?;
        let width = table.key.len();
        let Some(sql) = self.statements.expired(table, scope, pass, after, limit) else {
            return Ok(Vec::new());
        };
        let after = after.map_or(Vec::new(), |key| columns([key], width));
        let doing = "choosing expired rows";
        let rows = self.query(doing, &sql, &after)?;
        let keys: Result<Vec<Key>, _> = rows.iter().map(|row| read_key(row, width)).collect();
        Ok(keys.map_err(|error| failure(&error, doing))?)
    }

    fn rows(&mut self, scope: &Scope, keys: &[Key]) -> Result<Vec<ExpiredRow>> {
        let doing = "reading expired rows";
        let table = self.statements.tables.of(scope.pruned())?;
        let (width, sql) = (table.key.len(), self.statements.rows(table, scope, &table.label));
        let given: HashSet<&Key> = keys.iter().collect();
        let keys = columns(keys, width);
        let found = self.query(doing, &sql, &keys)?;
        let mut rows = Vec::with_capacity(found.len());
        for row in &found {
            let read = || -> Result<ExpiredRow, postgres::Error> {
                Ok(ExpiredRow {
                    key: read_key(row, width)?,
                    label: text(row, width)?.unwrap_or_default(),
                    link: text(row, width + 1)?,
                    paths: read_paths(row, width + 2)?,
                })
            };
            rows.push(read().map_err(|error| failure(&error, doing))?);
        }
        let places: HashMap<Key, usize> =
            rows.iter().enumerate().map(|(place, row)| (row.key.clone(), place)).collect();
        let naming = self.statements.tables.naming_along(scope);
        let queries: Vec<String> =
            naming.map(|table| self.statements.paths_by_key(&table)).collect();
        for sql in queries {
            for row in self.query(doing, &sql, &keys)? {
                let read = || Ok((read_key(&row, 1)?, read_paths(&row, 1)?));
                let (owner, paths) = read().map_err(|error| failure(&error, doing))?;
                match places.get(&owner) {
                    Some(place) => rows[*place].paths.extend(paths),
                    // Its owner is no longer expired, or written differently, and then the files would be left behind.
                    None if given.contains(&owner) => {}
                    None => return Err(foreign_form(&owner).into()),
                }
            }
        }
        rows.iter_mut().for_each(|row| row.paths.sort_unstable());
        Ok(rows)
    }

    fn named_paths(&mut self, keys: Keys, each: &mut dyn FnMut(&NamedPath)) -> Result<()> {
        let doing = "reading the paths that rows name";
        self.looked = self.clock()?;
        let tables = self.statements.tables.naming().map(|table| {
            let width = if keys == Keys::Wanted { table.key.len() } else { 0 };
            ((table.source, width), self.statements.named_paths(&table, keys))
        });
        let (tables, statements): (Vec<_>, Vec<String>) = tables.unzip();
        let mut failed = None;
        let mut read = |index: usize, row: &Row| {
            let (source, width) = tables[index];
            let key = match keys {
                Keys::Wanted => read_key_or_none(row, width),
                Keys::Unneeded => Ok(None),
            };
            let read = key.and_then(|key| {
                let key = key.as_ref();
                each_path(row, width, |path| each(&NamedPath { source, key, path }))
            });
            failed = failed.take().or(read.err());
        };
        self.read(doing, &mut |session| session.each(&statements, &mut read))?;
        Ok(failed.map_or(Ok(()), |error| Err(failure(&error, doing)))?)
    }

    fn recent_paths(&mut self, each: &mut dyn FnMut(&NamedPath)) -> Result<()> {
        let doing = "reading the paths that new rows name";
        let since = self.looked.map(|looked| looked.minus(WRITING));
        let Some(sql) = since.and_then(|since| self.statements.recent_paths(since)) else {
            return Ok(());
        };
        for row in self.query(doing, &sql, &[])? {
            let named = |path: &[u8]| each(&NamedPath { source: Source::Tasks, key: None, path });
            each_path(&row, 0, named).map_err(|error| failure(&error, doing))?;
        }
        Ok(())
    }

    fn existing(&mut self, pruned: Pruned, keys: &[Key]) -> Result<Vec<Key>> {
        let doing = "asking which rows are there";
        let table = self.statements.tables.of(pruned)?;
        let (width, sql) = (table.key.len(), self.statements.existing(table));
        let rows = self.query(doing, &sql, &columns(keys, width))?;
        let keys: Result<Vec<Key>, _> = rows.iter().map(|row| read_key(row, width)).collect();
        Ok(keys.map_err(|error| failure(&error, doing))?)
    }

    fn linked_tasks(&mut self, links: &[String]) -> Result<Vec<(String, Key)>> {
        let doing = "asking which receipts tasks refer to";
        let Some(sql) = self.statements.linked() else {
            return Ok(Vec::new());
        };
        let rows = self.query(doing, &sql, &[links.to_vec()])?;
        let width = self.statements.tables.tasks.key.len();
        Ok(read_links(&rows, width).map_err(|error| failure(&error, doing))?)
    }

    fn delete(
        &mut self,
        batch: &Batch,
        settle: &mut dyn FnMut(&Deletion) -> Vec<usize>,
    ) -> Result<Deletion, Box<Partly>> {
        let began = Instant::now();
        let done = delete_in_transactions(batch.rows.len(), &mut |places, doubtful| {
            self.delete_persistently(batch, places, settle, doubtful)
        })?;
        match self.locks.require_progress(began.elapsed(), &done) {
            Ok(()) => Ok(done),
            Err(failure) => Err(Box::new(Partly { error: failure.into(), done })),
        }
    }

    fn blame(&mut self) -> Option<Failure> {
        inspect::blame(&self.target, &self.settings.store.mapping, &self.settings.asked_to_end)
    }

    fn missing_indexes(&mut self) -> Result<Vec<MissingIndex>> {
        let mut wanted = wanted(&self.statements.tables);
        let tasks = &self.statements.tables.tasks;
        if let (Some(created), false) =
            (tasks.time(Field::CreatedAt), self.statements.dialect.created_is_indexed)
        {
            let columns = vec![self.statements.dialect.status.clone(), created.expression.clone()];
            wanted.push(WantedIndex { from: tasks.from.clone(), columns });
        }
        let unindexed = unindexed(&self.session, self.statements.tables.pruned());
        wanted.extend(unindexed.map_err(|broken| broken.failure("looking for foreign keys"))?);
        Ok(indexes::missing(&self.session, &wanted)?)
    }
}
