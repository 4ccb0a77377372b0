//! The transaction of a batch. Its rows go one statement each: there is no server in between, and the database says of each row whether it keeps it.

use super::super::connection::words;
use super::SqlitePruner;
use super::dialect::are_bound;
use super::foreign_keys::Deferred;
use super::values::{read_paths, values};
use crate::outcome::{Failure, Kind};
use crate::store::prune::batch::{Outcome, delete_settled};
use crate::store::prune::statements::Delete;
use crate::store::prune::tables::{Dependent, Table};
use crate::store::prune::{Batch, Deletion, Key, Mode};
use anyhow::Result;
use rusqlite::types::Value;
use rusqlite::{ErrorCode, params_from_iter};
use std::cell::Cell;
use std::sync::atomic::Ordering;
use std::thread;
use std::time::{Duration, Instant};

const UNDO_BATCH: &str = "ROLLBACK TO SAVEPOINT taskmon_batch; RELEASE SAVEPOINT taskmon_batch";

const KEPT: &str = "the database kept the row and gave no reason: a trigger ignored the deletion, or another row of the same key has not expired";

/// Why a batch was not deleted.
enum Stopped {
    /// Another connection writes; a later try may fare better.
    Busy(rusqlite::Error),
    /// A trigger rolled the whole transaction back over this row.
    RolledBack(usize, String),
    /// COMMIT itself was refused, for a row's sake.
    Uncommitted(String),
    Failed(rusqlite::Error),
}

impl From<rusqlite::Error> for Stopped {
    fn from(error: rusqlite::Error) -> Self {
        match error.sqlite_error_code() {
            Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => Stopped::Busy(error),
            _ => Stopped::Failed(error),
        }
    }
}

/// What became of one row.
enum Taken {
    Gone {
        changed: bool,
    },
    /// Another run took it, or it is no longer expired.
    NotThere,
    Kept(String),
}

impl SqlitePruner {
    /// One transaction over the rows at these places, again where that may help.
    pub(super) fn delete_persistently(
        &self,
        batch: &Batch,
        places: &[usize],
        settle: &mut dyn FnMut(&Deletion) -> Vec<usize>,
    ) -> Result<Outcome> {
        let began = Instant::now();
        let patience = self.settings.store.connect_timeout.max(Duration::from_secs(30));
        let mut rolled_back: Vec<(usize, String)> = Vec::new();
        loop {
            let ended = self.try_delete(batch, places, settle, &rolled_back);
            if !self.connection.is_autocommit() {
                let undone = self.connection.execute_batch("ROLLBACK");
                undone.map_err(|error| self.failure(&error, "rolling back a batch"))?;
            }
            match ended {
                Ok(deletion) => return Ok(Outcome::Deleted(deletion)),
                Err(Stopped::Uncommitted(words)) => {
                    return Ok(Outcome::Refused(words));
                }
                Err(Stopped::Busy(_)) if self.settings.asked_to_end.load(Ordering::Relaxed) => {
                    let message = "the run was asked to end while it waited for the database";
                    return Err(Failure::new(Kind::Interrupted, message).into());
                }
                Err(Stopped::Busy(_)) if began.elapsed() < patience => {
                    thread::sleep(Duration::from_millis(20));
                }
                Err(Stopped::RolledBack(place, words)) => rolled_back.push((place, words)),
                Err(Stopped::Busy(error) | Stopped::Failed(error)) => {
                    let table = self.statements.tables.of(batch.scope.pruned())?;
                    let doing = format!("deleting from {}", table.delete_from);
                    return Err(self.failure(&error, &doing).into());
                }
            }
        }
    }

    fn try_delete(
        &self,
        batch: &Batch,
        places: &[usize],
        settle: &mut dyn FnMut(&Deletion) -> Vec<usize>,
        rolled_back: &[(usize, String)],
    ) -> Result<Deletion, Stopped> {
        let run = |statements: &str| self.connection.execute_batch(statements);
        run(match self.settings.mode {
            // Without a write-ahead log a reader could block COMMIT, and the batch would have to be deleted again.
            Mode::Apply => "BEGIN EXCLUSIVE",
            Mode::DryRun => "BEGIN IMMEDIATE",
        })?;
        for key in batch.before {
            for dependent in &self.statements.tables.task_dependents {
                self.delete_dependents(dependent, key)?;
            }
            let sql = self.statements.delete_tasks_by_key();
            self.connection.prepare_cached(&sql)?.execute(params_from_iter(values(key)))?;
        }
        let is_left = |place: &usize| !rolled_back.iter().any(|(other, _)| other == place);
        let places: Vec<usize> = places.iter().copied().filter(is_left).collect();
        let dangling = self.foreign_keys.dangling(&self.connection)?;
        let one_by_one = Cell::new(false);
        let mut delete = |places: &[usize]| -> Result<Deletion, Stopped> {
            let mut deletion = self.delete_rows(batch, places, dangling, &one_by_one)?;
            deletion.refused.extend_from_slice(rolled_back);
            deletion.linked = self.linked(&batch.links())?;
            Ok(deletion)
        };
        let deletion = delete_settled(&places, &mut delete, settle, &|| Ok(run(UNDO_BATCH)?))?;
        let ended = run(match self.settings.mode {
            Mode::Apply => "COMMIT",
            Mode::DryRun => "ROLLBACK",
        });
        match ended {
            Ok(()) => Ok(deletion),
            Err(error) => Err(match error.sqlite_error_code() {
                Some(ErrorCode::ConstraintViolation) => Stopped::Uncommitted(words(&error)),
                _ => error.into(),
            }),
        }
    }

    /// Deletes rows within a savepoint. Counting foreign keys that dangle reads whole tables: it is done once, and only if there are more than
    /// before, after each row.
    fn delete_rows(
        &self,
        batch: &Batch,
        places: &[usize],
        dangling: i64,
        one_by_one: &Cell<bool>,
    ) -> Result<Deletion, Stopped> {
        loop {
            self.connection.execute_batch("SAVEPOINT taskmon_batch")?;
            let mut deletion = Deletion::default();
            let most = one_by_one.get().then_some(dangling);
            for place in places {
                self.delete_row(batch, *place, most, &mut deletion)?;
            }
            if most.is_some() || self.foreign_keys.dangling(&self.connection)? <= dangling {
                return Ok(deletion);
            }
            one_by_one.set(true);
            self.connection.execute_batch(UNDO_BATCH)?;
        }
    }

    /// Deletes one row with its dependents, or notes why it stays. `most`: how many foreign keys may dangle afterwards; `None`: not checked.
    fn delete_row(
        &self,
        batch: &Batch,
        place: usize,
        most: Option<i64>,
        deletion: &mut Deletion,
    ) -> Result<(), Stopped> {
        self.connection.execute_batch("SAVEPOINT taskmon_row")?;
        let taken = self.take_row(batch, place).and_then(|taken| {
            let Some(most) = most.filter(|_| matches!(taken, Taken::Gone { .. })) else {
                return Ok(taken);
            };
            if self.foreign_keys.dangling(&self.connection)? <= most {
                return Ok(taken);
            }
            Ok(Taken::Kept(format!(
                "FOREIGN KEY constraint failed: a row that would go along with it is still referred to (deferred) from {}",
                self.foreign_keys.further.join(" or ")
            )))
        });
        match taken {
            Ok(Taken::Gone { changed }) => {
                self.connection.execute_batch("RELEASE SAVEPOINT taskmon_row")?;
                deletion.deleted.push(place);
                if changed {
                    deletion.changed.push(place);
                }
                return Ok(());
            }
            Ok(Taken::NotThere) => {}
            Ok(Taken::Kept(words)) => deletion.refused.push((place, words)),
            Err(error) => {
                let row_is_at_fault = matches!(
                    error.sqlite_error_code(),
                    Some(
                        ErrorCode::ConstraintViolation
                            | ErrorCode::Unknown
                            | ErrorCode::OperationAborted
                            | ErrorCode::TooBig
                    )
                );
                if !row_is_at_fault {
                    return Err(error.into());
                }
                if self.connection.is_autocommit() {
                    return Err(Stopped::RolledBack(place, words(&error)));
                }
                deletion.refused.push((place, words(&error)));
            }
        }
        self.connection
            .execute_batch("ROLLBACK TO SAVEPOINT taskmon_row; RELEASE SAVEPOINT taskmon_row")?;
        Ok(())
    }

    fn take_row(&self, batch: &Batch, place: usize) -> rusqlite::Result<Taken> {
        let (row, scope) = (&batch.rows[place], batch.scope);
        let Ok(table) = self.statements.tables.of(scope.pruned()) else {
            return Ok(Taken::NotThere);
        };
        let mut paths = Vec::new();
        let dependents = self.statements.tables.dependents(scope);
        if !dependents.is_empty() && self.is_alone(table, batch, place)? {
            for dependent in dependents {
                paths.extend(self.delete_dependents(dependent, &row.key)?);
            }
        }
        let deferred = self.foreign_keys.on(scope);
        let referred: Vec<String> =
            deferred.iter().flat_map(|key| key.to.iter().cloned()).collect();
        let mut parents: Option<Vec<Value>> = None;
        {
            let files = if table.is_read_directly() { table.files.len() } else { 0 };
            let delete = self.statements.delete(table, scope, &referred);
            let mut statement = self.connection.prepare_cached(&delete.seen())?;
            let mut rows = statement.query(params_from_iter(values(&row.key)))?;
            let width = table.key.len();
            while let Some(found) = rows.next()? {
                paths.extend(read_paths(found, width + referred.len(), files)?);
                let columns = width..width + referred.len();
                parents = Some(columns.map(|column| found.get(column)).collect::<Result<_, _>>()?);
            }
            drop(rows);
            self.execute(&delete, &row.key)?;
        }
        if self.row(scope, &row.key)?.is_some() {
            return Ok(Taken::Kept(KEPT.to_owned()));
        }
        let Some(parents) = parents else {
            return Ok(Taken::NotThere);
        };
        if let Some(words) = self.deferred_refusal(deferred, &parents)? {
            return Ok(Taken::Kept(words));
        }
        Ok(Taken::Gone { changed: table.has_changed([row], &paths) })
    }

    /// Deletes the rows that depend on this key, and returns their paths.
    fn delete_dependents(
        &self,
        dependent: &Dependent,
        key: &Key,
    ) -> rusqlite::Result<Vec<Vec<u8>>> {
        let delete = self.statements.delete_dependents(dependent);
        let paths = self.read_paths(&delete.seen(), key, dependent.files.len())?;
        self.execute(&delete, key)?;
        Ok(paths)
    }

    /// Deletes what was seen before in the same transaction. With RETURNING, SQLite would read every column of the rows, however long.
    fn execute(&self, delete: &Delete, key: &Key) -> rusqlite::Result<()> {
        let mut statement = self.connection.prepare_cached(&delete.unseen())?;
        statement.execute(params_from_iter(values(key))).map(drop)
    }

    fn is_alone(&self, table: &Table, batch: &Batch, place: usize) -> rusqlite::Result<bool> {
        let sql = format!("SELECT 1 WHERE {}", self.statements.is_alone(table, batch.scope));
        let mut statement = self.connection.prepare_cached(&sql)?;
        statement.exists(params_from_iter(values(&batch.rows[place].key)))
    }

    /// The error of a deferred foreign key that COMMIT would raise, when the files would be gone already.
    fn deferred_refusal(
        &self,
        deferred: &[Deferred],
        parents: &[Value],
    ) -> rusqlite::Result<Option<String>> {
        let mut parents = parents.iter();
        for key in deferred {
            let referred: Vec<&Value> = parents.by_ref().take(key.to.len()).collect();
            let is_referred = are_bound(key.from.iter().map(String::as_str));
            let sql = format!("SELECT 1 FROM {} WHERE {is_referred} LIMIT 1", key.table);
            let mut statement = self.connection.prepare_cached(&sql)?;
            if statement.exists(params_from_iter(referred))? {
                return Ok(Some(format!(
                    "FOREIGN KEY constraint failed: {} still refers to it (deferred)",
                    key.table
                )));
            }
        }
        Ok(None)
    }
}
