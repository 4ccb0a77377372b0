//! The transaction of a batch.
//!
//! Its rows were chosen without a lock and are deleted by key with their condition repeated, which holds on a distributed engine too.

use super::super::answer::rows;
use super::super::session::{Broken, Session};
use super::super::settings::{PASS_ON, Settings};
use super::PostgresDialect;
use super::capabilities::Capabilities;
use super::lock_search::{LOCK_TIMEOUT, LockSearch};
use super::rows::{columns, read_key, read_links, read_paths};
use super::verdict::{Stopped, Verdict, is_locked, stopped, verdict};
use crate::outcome::{Failure, Kind};
use crate::store::prune::batch::{Outcome, delete_by_halves, delete_settled};
use crate::store::prune::statements::Statements;
use crate::store::prune::tables::Table;
use crate::store::prune::{Batch, Deletion, Key, Mode, PruneSettings, Scope, StoredPath};
use postgres::Row;
use std::collections::{BTreeMap, HashSet};
use std::time::Instant;

pub struct Deleting<'a> {
    pub session: &'a Session,
    pub statements: &'a Statements<PostgresDialect>,
    pub settings: &'a PruneSettings,
    pub batch: &'a Batch<'a>,
    /// What rows are deleted from.
    pub table: &'a Table,
    pub locks: &'a LockSearch,
    pub capabilities: &'a Capabilities,
}

/// A row that went, by its place in the batch.
struct Gone {
    place: usize,
    /// Its paths differ from those that were read before.
    has_changed: bool,
}

/// The rows of the batch that have a key, which may be one that the table allows several of.
#[derive(Default)]
struct OfKey {
    places: Vec<usize>,
    is_gone: bool,
    /// What those name that were deleted, and those that went along.
    paths: Vec<StoredPath>,
}

impl Deleting<'_> {
    /// Through the simple protocol: several statements in one round trip.
    pub fn run(&self, statements: &str) -> Result<(), Broken> {
        self.session.simple(statements).map(drop)
    }

    pub fn doing(&self) -> String {
        format!("deleting from {}", self.table.delete_from)
    }

    pub fn step(&self, statements: &str) -> Result<(), Stopped> {
        self.run(statements).map_err(|broken| stopped(&broken, &self.doing()))
    }

    pub fn ask(&self, sql: &str, keys: &[Vec<String>]) -> Result<Vec<Row>, Stopped> {
        self.session.ask_within(sql, keys).map_err(|broken| stopped(&broken, &self.doing()))
    }

    /// Begins, and returns the transaction's number and its process where it will be committed: by them a session that is cut off can be ended.
    pub fn begin(&self) -> Result<Option<(String, String)>, Stopped> {
        let settings =
            Settings::limited(self.settings.store.statement_timeout).with(PASS_ON, "local");
        let settings = self.session.encoding().among(settings).statement();
        let mut statements =
            vec!["BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE".to_owned(), settings];
        if self.settings.mode == Mode::Apply {
            statements.extend(self.capabilities.lock_batch());
        }
        // What holds the whole table is waited for as long as a statement may take, only single rows are not.
        statements.extend(self.capabilities.lock_table(&self.table.delete_from));
        statements.push(Settings::of("lock_timeout", LOCK_TIMEOUT).statement());
        if self.settings.mode == Mode::Apply {
            statements.extend(self.capabilities.numbers());
        }
        let answer = self.session.simple(&statements.join("; "));
        let answer = answer.map_err(|broken| stopped(&broken, &self.doing()))?;
        self.pass_on(LOCK_TIMEOUT)?;
        let row = rows(&answer).find(|row| row.len() == 2);
        Ok(row.and_then(|row| Some((row.get(0)?.to_owned(), row.get(1)?.to_owned()))))
    }

    /// Waits no longer than that for rows that another session holds.
    pub fn limit_wait(&self, longest: &str) -> Result<(), Stopped> {
        self.step(&Settings::of("lock_timeout", longest).statement())?;
        self.pass_on(longest)
    }

    /// The same on the servers where the rows are. By itself: they get the text of all statements that it is sent along with.
    fn pass_on(&self, longest: &str) -> Result<(), Stopped> {
        if !self.session.passes_settings_on() {
            return Ok(());
        }
        self.step(&format!("SET LOCAL lock_timeout = '{longest}'"))
    }

    /// Deletes what a dry run has seen go before.
    pub fn delete_before(&self) -> Result<(), Stopped> {
        if self.batch.before.is_empty() {
            return Ok(());
        }
        let keys = columns(self.batch.before, self.statements.tables.tasks.key.len());
        for dependent in &self.statements.tables.task_dependents {
            self.ask(&self.statements.delete_dependents(dependent).returning(), &keys)?;
        }
        self.ask(&self.statements.delete_tasks_by_key(), &keys).map(drop)
    }

    /// Deletes the rows at these places but those that `settle` takes back.
    pub fn delete_settled(
        &self,
        places: &[usize],
        settle: &mut dyn FnMut(&Deletion) -> Vec<usize>,
    ) -> Result<Deletion, Stopped> {
        let mut delete = |places: &[usize]| {
            self.step("SAVEPOINT taskmon_batch")?;
            let mut deletion = self.delete_some(places)?;
            self.check_links(&mut deletion)?;
            Ok(deletion)
        };
        let take_back = || self.step("ROLLBACK TO SAVEPOINT taskmon_batch");
        delete_settled(places, &mut delete, settle, &take_back)
    }

    /// Deletes rows; where the database refuses, halves until it is known which row it keeps.
    pub fn delete_some(&self, places: &[usize]) -> Result<Deletion, Stopped> {
        if places.is_empty() {
            return Ok(Deletion::default());
        }
        delete_by_halves(places, &mut |places| {
            self.step("SAVEPOINT taskmon_rows")?;
            let began = Instant::now();
            let error = match self.delete_all(places) {
                Ok(gone) => return self.sort_out(places, gone).map(Outcome::Deleted),
                Err(error) => error,
            };
            if is_locked(&error) {
                self.step(UNDO_ROWS)?;
                self.locks.spend(began.elapsed());
                return self.leave_locked(places);
            }
            match verdict(&error, &self.doing()) {
                Verdict::Batch(Stopped::Failed(failure))
                    if failure.kind == Kind::StatementTimeout =>
                {
                    Err(Stopped::TooLong(failure))
                }
                Verdict::Batch(stopped) => Err(stopped),
                Verdict::Row(words) => {
                    self.step(UNDO_ROWS)?;
                    Ok(Outcome::Refused(words))
                }
            }
        })
    }

    /// What came of the rows at these places, of which some went.
    fn sort_out(&self, places: &[usize], gone: Vec<Gone>) -> Result<Deletion, Stopped> {
        self.require_gone(&gone)?;
        let gone_places: HashSet<usize> = gone.iter().map(|row| row.place).collect();
        let (going, rest): (Vec<usize>, Vec<usize>) =
            places.iter().partition(|place| gone_places.contains(place));
        // The dependents of a row that stays must stay too.
        let takes_back =
            !rest.is_empty() && !self.statements.tables.dependents(self.batch.scope).is_empty();
        if takes_back {
            self.step("ROLLBACK TO SAVEPOINT taskmon_rows")?;
        }
        self.step("RELEASE SAVEPOINT taskmon_rows")?;
        let mut deletion = Deletion { refused: self.explain_kept(&rest)?, ..Deletion::default() };
        if takes_back {
            deletion.add(self.delete_some(&going)?);
        } else {
            let changed = gone.iter().filter(|row| row.has_changed);
            deletion.changed = changed.map(|row| row.place).collect();
            deletion.deleted = gone.iter().map(|row| row.place).collect();
        }
        Ok(deletion)
    }

    /// The rows at these places that went. An engine that has a row on several servers may give it back several times.
    fn delete_all(&self, places: &[usize]) -> Result<Vec<Gone>, Broken> {
        let rows = self.batch.rows;
        let width = self.table.key.len();
        let keys = columns(places.iter().map(|place| &rows[*place].key), width);
        let mut by_key: BTreeMap<&Key, OfKey> = BTreeMap::new();
        for place in places {
            by_key.entry(&rows[*place].key).or_default().places.push(*place);
        }
        for dependent in self.statements.tables.dependents(self.batch.scope) {
            let sql = match self.batch.scope {
                Scope::Tasks(_) => self.statements.delete_dependents_of_expired(
                    dependent,
                    self.table,
                    self.batch.scope,
                ),
                Scope::Receipts(_) => self.statements.delete_dependents(dependent).returning(),
            };
            for row in self.session.ask_within(&sql, &keys)? {
                if let Some(of_key) = by_key.get_mut(&read_key(&row, 1)?) {
                    of_key.paths.extend(read_paths(&row, 1)?);
                }
            }
        }
        let sql = self.statements.delete(self.table, self.batch.scope, &[]).returning();
        for row in self.session.ask_within(&sql, &keys)? {
            if let Some(of_key) = by_key.get_mut(&read_key(&row, width)?) {
                of_key.paths.extend(read_paths(&row, width)?);
                of_key.is_gone = true;
            }
        }
        if let Some(check) = self.capabilities.check_constraints() {
            self.run(check)?;
        }
        let gone = by_key.into_values().filter(|of_key| of_key.is_gone).flat_map(|of_key| {
            let named = of_key.places.iter().map(|place| &rows[*place]);
            let has_changed = self.table.has_changed(named, &of_key.paths);
            of_key.places.into_iter().map(move |place| Gone { place, has_changed })
        });
        Ok(gone.collect())
    }

    /// Where rows are read from a view, those that were deleted from its table must be gone from the view.
    fn require_gone(&self, gone: &[Gone]) -> Result<(), Stopped> {
        if gone.is_empty() || self.table.is_read_directly() {
            return Ok(());
        }
        let left = self.read(gone.iter().map(|row| row.place))?;
        if left.is_empty() {
            return Ok(());
        }
        let message = format!(
            "database.tasks.key: {} rows that were deleted from {} are still there where they are read: the key means another column there, and other rows would go; nothing of the batch was deleted",
            left.len(),
            self.table.delete_from
        );
        Err(Stopped::Failed(
            Failure::new(Kind::MappingMismatch, message)
                .hint("name as key what is called the same in both, and holds the same"),
        ))
    }

    /// A row that is still there and expired was kept by a trigger or a policy; the others were deleted or changed by somebody else.
    fn explain_kept(&self, places: &[usize]) -> Result<Vec<(usize, String)>, Stopped> {
        if places.is_empty() {
            return Ok(Vec::new());
        }
        let there = self.read(places.iter().copied())?;
        let there: HashSet<Key> =
            there.iter().filter_map(|row| read_key(row, self.table.key.len()).ok()).collect();
        let kept = places.iter().filter(|place| there.contains(&self.batch.rows[**place].key));
        Ok(kept.map(|place| (*place, KEPT.to_owned())).collect())
    }

    /// The rows at these places that are there and expired.
    pub fn read(&self, places: impl Iterator<Item = usize>) -> Result<Vec<Row>, Stopped> {
        let keys = places.map(|place| &self.batch.rows[place].key);
        let sql = self.statements.rows(self.table, self.batch.scope, "NULL");
        self.ask(&sql, &columns(keys, self.table.key.len()))
    }

    /// The tasks that refer to the batch's receipts.
    fn check_links(&self, deletion: &mut Deletion) -> Result<(), Stopped> {
        let links = self.batch.links();
        if let Some(sql) = self.statements.linked().filter(|_| !links.is_empty()) {
            let rows = self.ask(&sql, &[links])?;
            deletion.linked = read_links(&rows, self.statements.tables.tasks.key.len())
                .map_err(|error| stopped(&error.into(), &self.doing()))?;
        }
        Ok(())
    }
}

/// Undoes what was tried of some rows.
pub const UNDO_ROWS: &str = "ROLLBACK TO SAVEPOINT taskmon_rows; RELEASE SAVEPOINT taskmon_rows";

const KEPT: &str = "the database kept the row and gave no reason: a trigger, a rule or a row security policy, or another row of the same key that has not expired";
