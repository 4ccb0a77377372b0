//! What `cleanup` asks of a database: the [`Pruner`] trait, its requests and answers as plain data.
//!
//! It is a trait of its own beside [`super::Store`]: a report reads from any server that has the tables, a hot standby too, while a pruner
//! needs the primary, other columns and the right to delete.

pub mod batch;
pub mod dialect;
mod expiry;
pub mod indexes;
pub mod plausible;
pub mod portion;
pub mod sample;
pub mod statements;
pub mod tables;

use super::StoreSettings;
use crate::mapping::State;
use crate::outcome::Failure;
use anyhow::Result;
use chrono::{DateTime, Utc};
use plausible::Plausible;
use sample::TimeSample;
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

/// A database that rows are deleted from.
///
/// Every method's errors are [`crate::outcome::Failure`]s: the database went away, a statement took too long or was refused.
pub trait Pruner {
    /// The database's own clock; `None` where it is this host's.
    fn clock(&mut self) -> Result<Option<DateTime<Utc>>> {
        Ok(None)
    }

    /// What distinguishes the tables of the mapping from others', by whichever name the database was reached.
    fn identity(&mut self) -> Result<String>;

    /// Whether the database answers within this time on the connection that rows are deleted by.
    fn answers(&mut self, _within: Duration) -> bool {
        true
    }

    /// How many tasks have expired.
    fn count_expired(&mut self, expiry: &Scope) -> Result<u64>;

    /// How many tasks have ended; no more than `most` are counted.
    fn count_ended(&mut self, most: u64) -> Result<u64>;

    /// The rows of the scope's table that stay because nothing identifies them, or says when they ended.
    fn undeletable(&mut self, scope: &Scope) -> Result<Undeletable>;

    /// The newest plausible time of any task. Once a column has one at or after `enough`, the others are not read.
    fn newest_time(&mut self, enough: DateTime<Utc>) -> Result<Option<DateTime<Utc>>>;

    /// Up to `limit` keys of expired rows, in ascending order, after the key `after`; without rows that have no usable key.
    fn expired(
        &mut self,
        scope: &Scope,
        pass: Pass,
        after: Option<&Key>,
        limit: usize,
    ) -> Result<Vec<Key>>;

    /// The rows of these keys that are still expired.
    fn rows(&mut self, scope: &Scope, keys: &[Key]) -> Result<Vec<ExpiredRow>>;

    /// Hands over every path that a row of any table names, as it is stored; some of them twice if the connection is lost on the way.
    fn named_paths(&mut self, keys: Keys, each: &mut dyn FnMut(&NamedPath)) -> Result<()>;

    /// The same of rows that may have come since the last [`Self::named_paths`] began, as far as those are found without reading all again.
    fn recent_paths(&mut self, each: &mut dyn FnMut(&NamedPath)) -> Result<()>;

    /// Which of these keys rows have, be these expired or not.
    fn existing(&mut self, pruned: Pruned, keys: &[Key]) -> Result<Vec<Key>>;

    /// The tasks that have one of these links: the link and the task's key.
    fn linked_tasks(&mut self, links: &[String]) -> Result<Vec<(String, Key)>>;

    /// Deletes rows in one transaction. Before COMMIT, `settle` says which rows must stay after all, by their places; they are restored, and `settle`
    /// is asked again until it names none. A dry run ends with ROLLBACK. Where the database refuses some of them, the others go in several transactions.
    fn delete(
        &mut self,
        batch: &Batch,
        settle: &mut dyn FnMut(&Deletion) -> Vec<usize>,
    ) -> Result<Deletion, Box<Partly>>;

    /// Some values of each time column.
    fn sample_times(&mut self) -> Result<Vec<TimeSample>>;

    /// How many rows stay, in a state that has a limit, because none of their times can be read and is plausible, and the times of one of them;
    /// `None`: there are none.
    fn implausible(&mut self, scope: &Scope) -> Result<Option<(u64, String)>>;

    /// Room in the database's file that deletions have made and that is not the disk's yet: what there is to say of it.
    fn unreturned_space(&mut self) -> Result<Option<String>> {
        Ok(None)
    }

    /// The expression of the mapping that made a statement fail, if one alone did.
    fn blame(&mut self) -> Option<Failure>;

    /// The missing indexes that would make it faster.
    fn missing_indexes(&mut self) -> Result<Vec<MissingIndex>>;
}

/// What a pruner has to know beside where the database is.
#[derive(Debug, Clone)]
pub struct PruneSettings {
    pub store: StoreSettings,
    pub mode: Mode,
    pub reads: Reads,
    pub plausible: Plausible,
    /// Set when the run is to end: a statement that waits for a lock is then given up with [`crate::outcome::Kind::Interrupted`].
    pub asked_to_end: Arc<AtomicBool>,
}

/// An index that cleanup goes by and that is missing.
#[derive(Debug, Clone, PartialEq)]
pub struct MissingIndex {
    /// The table and its columns.
    pub place: String,
    /// The statement that makes it, or why there is none.
    pub remedy: Result<String, String>,
}

/// Which rows may go. What is not named here is never deleted.
#[derive(Debug, Clone, PartialEq)]
pub enum Scope {
    /// Tasks, by the time that each state's limit sets; a state without a limit is left alone.
    Tasks(Vec<(State, DateTime<Utc>)>),
    /// Receipts created before.
    Receipts(DateTime<Utc>),
}

/// Two searches that together find each expired row once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pass {
    /// Rows that were also created before the limit: what an index on the creation time finds.
    Created,
    /// The others: without a creation time. (A row that ended before it was created has not ended at a plausible time.)
    Others,
}

impl Pass {
    pub const ALL: [Pass; 2] = [Pass::Created, Pass::Others];
}

/// A row's key, column by column, as text.
pub type Key = Vec<String>;

/// The longest part of a key, in bytes: of rows with a longer one a chunk might be more than there is memory for.
pub const LONGEST_KEY: usize = 1024;

/// The table that a row is in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Source {
    Tasks,
    Receipts,
    /// A table of rows that go with a task, by its place in the mapping; its rows are known by the task's key.
    TaskDependents(usize),
    /// The same of receipts.
    ReceiptDependents(usize),
}

/// Rows that stay whatever the limits are.
#[derive(Debug, Clone, PartialEq)]
pub struct Undeletable {
    pub table: String,
    /// Expired ones without a usable key, because a part of it is NULL, no valid text or too long.
    pub without_key: u64,
    /// Those in a state that has a limit, and without any time that it could count from.
    pub undated: u64,
}

#[derive(Debug, Clone, PartialEq)]
pub struct ExpiredRow {
    pub key: Key,
    /// What reports call it.
    pub label: String,
    pub link: Option<String>,
    /// What it and its dependents name, as it is stored: sorted, none of them empty.
    pub paths: Vec<StoredPath>,
}

/// A path as a row has it.
pub type StoredPath = Vec<u8>;

/// A table that rows are deleted from by themselves.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Pruned {
    Tasks,
    Receipts,
}

/// Whether paths come with the keys of the rows that name them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Keys {
    Wanted,
    Unneeded,
}

/// A path that is not empty, and the row that names it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct NamedPath<'a> {
    pub source: Source,
    /// `None`: it is not wanted, or the row has no usable one.
    pub key: Option<&'a Key>,
    /// As it is stored.
    pub path: &'a [u8],
}

/// Whether deletions are committed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    Apply,
    /// They are rolled back: the database checks everything, and nothing changes.
    DryRun,
}

/// What reading may leave behind outside the transactions of batches: a function that a view or an expression calls may write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reads {
    /// As whoever else reads.
    Committed,
    /// What is written is rolled back with the read, so that a dry run counts what a real run would.
    RolledBack,
    /// Nothing can be written.
    ReadOnly,
}

impl Scope {
    pub fn pruned(&self) -> Pruned {
        match self {
            Scope::Tasks(_) => Pruned::Tasks,
            Scope::Receipts(_) => Pruned::Receipts,
        }
    }
}

impl From<Mode> for Reads {
    fn from(mode: Mode) -> Self {
        match mode {
            Mode::Apply => Reads::Committed,
            Mode::DryRun => Reads::RolledBack,
        }
    }
}

#[derive(Debug, Clone)]
pub struct Batch<'a> {
    pub scope: &'a Scope,
    pub rows: &'a [ExpiredRow],
    /// In a dry run, tasks that the run itself would have deleted before and that refer to these rows.
    pub before: &'a [Key],
}

/// What the database has done so far. A place is a row's index in [`Batch::rows`].
#[derive(Debug, Default, Clone, PartialEq)]
pub struct Deletion {
    pub deleted: Vec<usize>,
    /// Rows that the database keeps, and its words.
    pub refused: Vec<(usize, String)>,
    /// Rows that another session holds a lock on: a later run takes them.
    pub locked: Vec<usize>,
    /// Rows of which it is not known whether they are deleted: COMMIT was sent, and failed or was not answered.
    pub doubtful: Vec<usize>,
    /// Deleted rows whose paths differ from those that were read before.
    pub changed: Vec<usize>,
    /// Tasks that refer to the receipts of the batch.
    pub linked: Vec<(String, Key)>,
}

/// Why a batch came to no end, and what was committed of it before.
#[derive(Debug)]
pub struct Partly {
    pub error: anyhow::Error,
    pub done: Deletion,
}

impl Batch<'_> {
    /// What ties the receipts of the batch to tasks.
    pub fn links(&self) -> Vec<String> {
        match self.scope {
            Scope::Tasks(_) => Vec::new(),
            Scope::Receipts(_) => self.rows.iter().filter_map(|row| row.link.clone()).collect(),
        }
    }
}

impl Deletion {
    /// Adds what became of other rows of the same batch.
    pub fn add(&mut self, other: Deletion) {
        self.deleted.extend(other.deleted);
        self.refused.extend(other.refused);
        self.locked.extend(other.locked);
        self.doubtful.extend(other.doubtful);
        self.changed.extend(other.changed);
        self.linked.extend(other.linked);
    }
}
