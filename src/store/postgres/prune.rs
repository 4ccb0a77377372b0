//! Deleting in PostgreSQL.
//!
//! A batch is chosen without a lock and deleted by key with its condition repeated, which holds on a distributed engine too. A
//! transaction-level advisory lock lets one batch at a time into the database: two runs that each delete one of two rows which name
//! the same file would otherwise both see the other's row and both leave the file.

mod text;

use super::connect::connect;
use super::connect::target::PostgresTarget;
use super::failure::failure;
use super::session::{Broken, Session, ask};
use crate::mapping::canonical_path::{CanonicalPath, RowPath};
use crate::outcome::{Failure, Kind};
use crate::store::prune::{
    Batch, Deletion, ExpiredRow, Key, MissingIndex, Mode, Pass, PruneSettings, Pruner, Reference,
    ReferenceCheck, Scope, Source, TaskCounts,
};
use anyhow::Result;
use chrono::{DateTime, Utc};
use postgres::error::SqlState;
use postgres::types::{FromSql, Type};
use postgres::{Row, SimpleQueryMessage};
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::thread;
use std::time::{Duration, Instant};
use text::Tables;

/// Seconds to wait before each attempt to connect again: a server that is restarted needs some.
const RECONNECT_PAUSES: [u64; 5] = [0, 1, 3, 6, 10];

/// How often a batch is tried again when a conflict, a deadlock or a lost connection ended it.
const TRIES: u32 = 4;

/// Any run of taskmon in this database holds it while it deletes a batch; the number says nothing.
const BATCH_LOCK: i64 = 0x7461_736b_6d6f_6e01;

/// How long a session that was cut off is given to end, once it was told to.
const LINGERING: Duration = Duration::from_secs(15);

pub struct PostgresPruner {
    target: PostgresTarget,
    session: Session,
    settings: PruneSettings,
    tables: Tables,
}

/// Bytes of a text, be they valid in its encoding or not.
struct Raw(Vec<u8>);

impl<'a> FromSql<'a> for Raw {
    fn from_sql(_: &Type, raw: &'a [u8]) -> Result<Self, Box<dyn std::error::Error + Sync + Send>> {
        Ok(Raw(raw.to_vec()))
    }

    fn accepts(found: &Type) -> bool {
        matches!(*found, Type::TEXT | Type::VARCHAR | Type::BPCHAR)
    }
}

/// Why a batch was not deleted.
enum Stopped {
    /// A new transaction may fare better.
    Conflict(Failure),
    /// The connection went.
    Lost(Failure),
    /// COMMIT itself was refused, for a row's sake: the server's words.
    Uncommitted(String),
    Failed(Failure),
}

/// What tells a batch's transaction from every other, in case its connection goes.
#[derive(Debug, Clone, Default)]
struct Mark {
    /// The transaction's number and its session's process; `None` in a dry run, which commits nothing.
    numbers: Option<(String, String)>,
    /// What was deleted, once COMMIT was sent.
    committing: Option<Deletion>,
}

/// What an error means for a batch.
enum Verdict {
    /// One of its rows is at fault; the server's words.
    Row(String),
    Batch(Stopped),
}

fn verdict(broken: &Broken, doing: &str) -> Verdict {
    let failure = broken.failure(doing);
    let error = match broken {
        Broken::Server(error) => error,
        Broken::Silent(_) | Broken::Gone => return Verdict::Batch(Stopped::Lost(failure)),
        Broken::Interrupted => return Verdict::Batch(Stopped::Failed(failure)),
    };
    let code = error.code().map(|code| code.code().to_owned());
    let code = code.as_deref().unwrap_or("");
    let words = || {
        error.as_db_error().map_or_else(|| failure.message.clone(), |db| db.message().to_owned())
    };
    match (code, code.get(..2).unwrap_or("")) {
        ("40001" | "40P01" | "55P03" | "XX000", _) => Verdict::Batch(Stopped::Conflict(failure)),
        // Integrity, and whatever a trigger raises or trips over.
        (_, "23" | "P0" | "09" | "27" | "22" | "21" | "38" | "39" | "44") => Verdict::Row(words()),
        // A trigger that names a column or table that is not there: the mapping's own were looked at before.
        (_, "42") if happened_within(error) => Verdict::Row(words()),
        // The server ends a session that is idle within a transaction for too long, which the removal of many files can look like.
        ("25P03" | "25P04", _) => Verdict::Batch(Stopped::Lost(failure)),
        _ if failure.kind == Kind::DatabaseUnavailable => Verdict::Batch(Stopped::Lost(failure)),
        _ => Verdict::Batch(Stopped::Failed(failure)),
    }
}

/// Whether the error came from a statement within a function, as a trigger's does, and not from taskmon's own.
fn happened_within(error: &postgres::Error) -> bool {
    error.as_db_error().is_some_and(|error| error.where_().is_some())
}

fn stopped(broken: &Broken, doing: &str) -> Stopped {
    match verdict(broken, doing) {
        Verdict::Batch(stopped) => stopped,
        Verdict::Row(_) => Stopped::Failed(broken.failure(doing)),
    }
}

impl PostgresPruner {
    pub fn open(target: &PostgresTarget, settings: PruneSettings) -> Result<Self> {
        let session = Session::new(connect(target)?, &settings)?;
        limit_statements(&session, &settings)?;
        let mapping = settings.clone();
        let tables = session
            .with(move |client| Tables::read(client, &mapping))
            .map_err(|broken| broken.failure("reading the tables' schema"))??;
        if let Some(failure) = super::inspect::strange_key(&session, &settings.mapping.tasks) {
            return Err(failure.into());
        }
        let target = target.clone();
        Ok(Self { target, session, settings, tables })
    }

    fn row_paths(&self, stored: Vec<Vec<u8>>) -> impl Iterator<Item = RowPath> {
        stored.into_iter().map(|stored| self.settings.aliases.row_path(stored))
    }

    fn query(&mut self, doing: &str, sql: &str, keys: &[Vec<String>]) -> Result<Vec<Row>, Failure> {
        self.read(doing, &mut |session| session.ask(sql, keys))
    }

    /// Tells the rows of a long answer; some of them again if the connection is lost on the way.
    fn each(&mut self, doing: &str, sql: &str, tell: &mut dyn FnMut(&Row)) -> Result<(), Failure> {
        self.read(doing, &mut |session| session.each(sql, tell))
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
                    self.reconnect(failure)?;
                }
                _ => return Err(broken.failure(doing)),
            }
            tries += 1;
        }
    }

    /// One transaction over the rows at these places.
    fn try_delete(
        &mut self,
        batch: &Batch,
        places: &[usize],
        settle: &mut dyn FnMut(&Deletion) -> Vec<usize>,
        mark: &mut Mark,
    ) -> Result<Deletion, Stopped> {
        let transaction = Deleting {
            session: &self.session,
            tables: &self.tables,
            settings: &self.settings,
            batch,
            places,
        };
        mark.numbers = transaction.begin()?;
        transaction.before()?;
        let deletion = transaction.delete_settled(settle)?;
        if self.settings.mode == Mode::DryRun {
            transaction.step("ROLLBACK")?;
            return Ok(deletion);
        }
        // Kept for the case that the answer to COMMIT is lost and it did succeed.
        mark.committing = Some(deletion.clone());
        match transaction.run("COMMIT") {
            Ok(()) => {
                self.session.commit_to(false);
                Ok(deletion)
            }
            Err(broken) => Err(match verdict(&broken, &transaction.doing()) {
                Verdict::Row(words) => Stopped::Uncommitted(words),
                Verdict::Batch(stopped) => stopped,
            }),
        }
    }

    /// Deletes the rows at these places, again where that may help; a row for whose sake COMMIT itself fails is searched for by halves.
    fn delete_places(
        &mut self,
        batch: &Batch,
        places: &[usize],
        settle: &mut dyn FnMut(&Deletion) -> Vec<usize>,
        whole: &mut Deletion,
    ) -> Result<()> {
        match self.delete_persistently(batch, places, settle)? {
            Ok(deletion) => whole.add(deletion),
            Err(words) => {
                if let [place] = places {
                    let words = format!(
                        "{words} (only once the deletion was being committed, when its files were gone already)"
                    );
                    whole.refused.push((*place, words));
                    return Ok(());
                }
                let (first, second) = places.split_at(places.len() / 2);
                self.delete_places(batch, first, settle, whole)?;
                self.delete_places(batch, second, settle, whole)?;
            }
        }
        Ok(())
    }

    /// `Err` within `Ok`: COMMIT was refused, in the server's words.
    fn delete_persistently(
        &mut self,
        batch: &Batch,
        places: &[usize],
        settle: &mut dyn FnMut(&Deletion) -> Vec<usize>,
    ) -> Result<Result<Deletion, String>> {
        for attempt in 1..=TRIES {
            let mut mark = Mark::default();
            let failure = match self.try_delete(batch, places, settle, &mut mark) {
                Ok(deletion) => return Ok(Ok(deletion)),
                Err(Stopped::Uncommitted(words)) => {
                    self.roll_back();
                    return Ok(Err(words));
                }
                Err(Stopped::Lost(failure)) => {
                    if let Some(deletion) = self.recover(batch, failure.clone(), mark)? {
                        return Ok(Ok(deletion));
                    }
                    failure
                }
                Err(Stopped::Conflict(failure)) => {
                    self.roll_back();
                    thread::sleep(Duration::from_millis(50 * u64::from(attempt)));
                    failure
                }
                Err(Stopped::Failed(failure)) => {
                    self.roll_back();
                    return Err(failure.into());
                }
            };
            if attempt == TRIES {
                return Err(failure.into());
            }
            log::info!("beginning a batch again: {failure}");
        }
        Err(Failure::new(Kind::Internal, "a batch was tried without an end").into())
    }

    /// Connects again. What was deleted, if the transaction that was cut off was committed all the same.
    fn recover(
        &mut self,
        batch: &Batch,
        cause: Failure,
        mark: Mark,
    ) -> Result<Option<Deletion>, Failure> {
        let recovered = self.reconnect(cause).and_then(|()| match &mark.numbers {
            Some((number, process)) => {
                self.was_committed(number, process, mark.committing.is_some())
            }
            None => Ok(false),
        });
        match (recovered, mark.committing) {
            // After a crash the number may be another transaction's, if this one's had not reached the disk: the rows say it too.
            (Ok(true), Some(deletion)) => match self.are_gone(batch, &deletion) {
                Ok(gone) => Ok(gone.then_some(deletion)),
                Err(failure) => Err(in_doubt(failure, deletion.deleted.len())),
            },
            (Ok(true), None) => Ok(None),
            (Ok(false), _) => Ok(None),
            (Err(failure), None) => Err(failure),
            (Err(failure), Some(deletion)) => Err(in_doubt(failure, deletion.deleted.len())),
        }
    }

    fn reconnect(&mut self, cause: Failure) -> Result<(), Failure> {
        log::info!("connecting again: {cause}");
        for pause in RECONNECT_PAUSES {
            thread::sleep(Duration::from_secs(pause));
            if let Ok(client) = connect(&self.target) {
                self.session = Session::new(client, &self.settings)?;
                return limit_statements(&self.session, &self.settings);
            }
        }
        Err(cause)
    }

    /// Ends the transaction that was cut off, whose session may live on without a client and hold its rows and the batch lock, and asks what
    /// became of it.
    fn was_committed(
        &mut self,
        number: &str,
        process: &str,
        committing: bool,
    ) -> Result<bool, Failure> {
        // By the transaction too: the process may serve somebody else by now, behind a pooler or under a number that was used again.
        let end = format!(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid = {process} AND backend_xid::text = ({number} % 4294967296)::text"
        );
        if let Err(broken) = self.session.ask(&end, &[]) {
            log::info!("{}", broken.failure("ending the session that was lost"));
        }
        if !committing {
            return Ok(false);
        }
        let doing = "asking whether a batch was committed";
        let asked = Instant::now();
        let question = format!("SELECT txid_status({number})");
        loop {
            let rows = match self.session.ask(&question, &[]) {
                Ok(rows) => rows,
                // "In the future": a crash lost it, for nothing of it had come to the disk, and so neither had its COMMIT.
                Err(Broken::Server(error))
                    if error.code() == Some(&SqlState::INVALID_PARAMETER_VALUE) =>
                {
                    return Ok(false);
                }
                Err(broken) => return Err(broken.failure(doing)),
            };
            let status: Option<String> = rows.first().and_then(|row| row.get(0));
            match status.as_deref() {
                Some("committed") => return Ok(true),
                Some("aborted") => return Ok(false),
                Some(_) if asked.elapsed() < LINGERING => {
                    thread::sleep(Duration::from_millis(100));
                }
                other => {
                    let status = other.unwrap_or("forgotten");
                    let message = format!("{doing}: its transaction {number} is {status}");
                    return Err(Failure::new(Kind::DatabaseUnavailable, message)
                        .hint("run again when the server is well"));
                }
            }
        }
    }

    /// Whether none of the rows that were deleted is there.
    fn are_gone(&mut self, batch: &Batch, deletion: &Deletion) -> Result<bool, Failure> {
        let keys = deletion.deleted.iter().map(|place| &batch.rows[*place].key);
        let width = self.tables.of(batch.scope)?.key.len();
        let (sql, keys) = (self.tables.rows(batch.scope)?, columns(keys, width));
        let left = self.query("asking whether rows are gone", &sql, &keys)?;
        Ok(left.is_empty())
    }

    /// A connection that is gone has rolled back already, and says so with the next statement.
    fn roll_back(&mut self) {
        self.session.commit_to(false);
        if let Err(broken) = self.session.simple("ROLLBACK") {
            log::debug!("{}", broken.failure("rolling back"));
        }
    }
}

/// For the statements outside a batch's transaction; a pooler that hands the session on resets it or has a limit of its own.
pub fn limit_statements(session: &Session, settings: &PruneSettings) -> Result<(), Failure> {
    let limit = settings.statement_timeout.as_millis();
    session
        .simple(&format!("SET statement_timeout = {limit}; SET jit = off"))
        .map(drop)
        .map_err(|broken| broken.failure("setting the time limit"))
}

fn in_doubt(failure: Failure, rows: usize) -> Failure {
    let message = format!(
        "{}; the connection went while {rows} rows were being committed, and whether they are deleted is not known",
        failure.message
    );
    Failure { message, ..failure }
}

/// One list a column.
fn columns<'a>(keys: impl IntoIterator<Item = &'a Key>, width: usize) -> Vec<Vec<String>> {
    let mut columns = vec![Vec::new(); width];
    for key in keys {
        for (column, value) in columns.iter_mut().zip(key) {
            column.push(value.clone());
        }
    }
    columns
}

fn read_key(row: &Row, width: usize) -> Result<Key, postgres::Error> {
    (0..width).map(|place| row.try_get(place)).collect()
}

/// The same of rows that may lack a part of it, and then stand under a key that no other row has.
fn read_key_or_none(row: &Row, width: usize) -> Result<Key, postgres::Error> {
    let parts: Result<Option<Key>, _> = (0..width).map(|place| row.try_get(place)).collect();
    Ok(parts?.unwrap_or_default())
}

/// The paths in the columns from `first` on that are there and not empty.
fn read_paths(row: &Row, first: usize) -> Result<Vec<Vec<u8>>, postgres::Error> {
    let mut paths = Vec::new();
    for place in first..row.len() {
        if let Some(Raw(path)) = row.try_get::<_, Option<Raw>>(place)?
            && !path.is_empty()
        {
            paths.push(path);
        }
    }
    Ok(paths)
}

impl Pruner for PostgresPruner {
    fn clock(&mut self) -> Result<Option<DateTime<Utc>>> {
        let rows = self.query("reading the database's clock", "SELECT clock_timestamp()", &[])?;
        Ok(rows.first().and_then(|row| row.get(0)))
    }

    fn count_tasks(&mut self, expiry: &Scope) -> Result<TaskCounts> {
        let sql = self.tables.count(expiry);
        let rows = self.query("counting tasks", &sql, &[])?;
        let count = |place| rows.first().map_or(0, |row| row.get::<_, i64>(place));
        Ok(TaskCounts { all: count(0).unsigned_abs(), expired: count(1).unsigned_abs() })
    }

    fn without_key(&mut self, scope: &Scope) -> Result<(u64, String)> {
        let table = self.tables.of(scope)?.from.clone();
        let sql = self.tables.without_key(scope)?;
        let rows = self.query("looking for rows without a key", &sql, &[])?;
        let count = rows.first().map_or(0, |row| row.get::<_, i64>(0));
        Ok((count.unsigned_abs(), table))
    }

    fn expired(
        &mut self,
        scope: &Scope,
        pass: Pass,
        after: Option<&Key>,
        limit: usize,
    ) -> Result<Vec<Key>> {
        let table = self.tables.of(scope)?;
        let width = table.key.len();
        let sql = self.tables.expired(scope, pass, after.is_some(), limit)?;
        let after = after.map_or(Vec::new(), |key| columns([key], width));
        let doing = "choosing expired rows";
        let rows = self.query(doing, &sql, &after)?;
        let keys: Result<Vec<Key>, _> = rows.iter().map(|row| read_key(row, width)).collect();
        Ok(keys.map_err(|error| failure(&error, doing))?)
    }

    fn rows(&mut self, scope: &Scope, keys: &[Key]) -> Result<Vec<ExpiredRow>> {
        let doing = "reading expired rows";
        let width = self.tables.of(scope)?.key.len();
        let sql = self.tables.rows(scope)?;
        let columns = columns(keys, width);
        let found = self.query(doing, &sql, &columns)?;
        let mut rows = Vec::with_capacity(found.len());
        for row in &found {
            let read = || -> Result<ExpiredRow, postgres::Error> {
                Ok(ExpiredRow {
                    key: read_key(row, width)?,
                    label: row.try_get::<_, Option<String>>(width)?.unwrap_or_default(),
                    link: row.try_get(width + 1)?,
                    paths: self.row_paths(read_paths(row, width + 2)?).collect(),
                })
            };
            rows.push(read().map_err(|error| failure(&error, doing))?);
        }
        if matches!(scope, Scope::Receipts(_)) {
            let places: HashMap<String, usize> =
                rows.iter().enumerate().map(|(place, row)| (row.key[0].clone(), place)).collect();
            for sql in self.tables.dependents_of() {
                for row in self.query(doing, &sql, &columns)? {
                    let owner: Option<String> = row.get(0);
                    if let Some(place) = owner.and_then(|owner| places.get(&owner)) {
                        let paths = read_paths(&row, 1).map_err(|error| failure(&error, doing))?;
                        rows[*place].paths.extend(self.row_paths(paths));
                    }
                }
            }
        }
        rows.iter_mut().for_each(|row| row.paths.sort_unstable());
        Ok(rows)
    }

    fn shared_paths(&mut self, scope: &Scope, each: &mut dyn FnMut(Reference)) -> Result<()> {
        let doing = "looking for files that several rows name";
        let Some(sql) = self.tables.shared(scope)? else {
            return Ok(());
        };
        let limit = self.settings.statement_timeout.as_millis();
        // Nothing says to the planner how many paths there are. Once it takes them for two, it compares each with each, which has no end.
        let begin = format!(
            "BEGIN READ ONLY; SET LOCAL statement_timeout = {limit}; SET LOCAL jit = off; SET LOCAL work_mem = '64MB'; SET LOCAL enable_nestloop = off"
        );
        let mut each = |row: &Row| {
            let Raw(path) = row.get(2);
            let key: Vec<Option<String>> = row.get(1);
            each(Reference {
                source: text::source(row.get(0)),
                key: key.into_iter().collect(),
                path: CanonicalPath::from_canonical(path),
                rows: row.get::<_, i64>(3).unsigned_abs(),
            });
        };
        let found = self.read(doing, &mut |session| {
            session.simple(&begin)?;
            session.each(&sql, &mut each)?;
            session.simple("ROLLBACK").map(drop)
        });
        Ok(found?)
    }

    fn linked_tasks(&mut self, links: &[String]) -> Result<Vec<(String, Key)>> {
        let doing = "asking which receipts tasks refer to";
        match self.tables.linked() {
            None => Ok(Vec::new()),
            Some(sql) => {
                let rows = self.query(doing, &sql, &[links.to_vec()])?;
                let width = self.tables.tasks.key.len();
                Ok(read_links(&rows, width).map_err(|error| failure(&error, doing))?)
            }
        }
    }

    fn delete(
        &mut self,
        batch: &Batch,
        settle: &mut dyn FnMut(&Deletion) -> Vec<usize>,
    ) -> Result<Deletion> {
        let places: Vec<usize> = (0..batch.rows.len()).collect();
        let mut whole = Deletion::default();
        self.delete_places(batch, &places, settle, &mut whole)?;
        Ok(whole)
    }

    fn paths_beneath(
        &mut self,
        beneath: &[String],
        each: &mut dyn FnMut(&CanonicalPath),
    ) -> Result<()> {
        let doing = "asking which temporary files rows name";
        for sql in self.tables.beneath(beneath) {
            self.each(doing, &sql, &mut |row| {
                let Raw(path) = row.get(0);
                each(&CanonicalPath::from_canonical(path));
            })?;
        }
        Ok(())
    }

    /// A column of a time type holds nothing else.
    fn unreadable(&mut self, _: &Scope) -> Result<Option<(u64, String)>> {
        Ok(None)
    }

    fn blame(&mut self) -> Option<Failure> {
        super::inspect::blame(&self.target, &self.settings)
    }

    fn missing_indexes(&mut self) -> Result<Vec<MissingIndex>> {
        let wanted = self.tables.wanted_indexes();
        Ok(super::indexes::missing(&self.session, &wanted)?)
    }
}

fn read_links(rows: &[Row], width: usize) -> Result<Vec<(String, Key)>, postgres::Error> {
    rows.iter().map(|row| Ok((row.try_get(width)?, read_key_or_none(row, width)?))).collect()
}

/// A batch's transaction.
struct Deleting<'a> {
    session: &'a Session,
    tables: &'a Tables,
    settings: &'a PruneSettings,
    batch: &'a Batch<'a>,
    /// Which of the batch's rows are in it.
    places: &'a [usize],
}

impl Deleting<'_> {
    /// Through the simple protocol: several statements in one round trip.
    fn run(&self, statements: &str) -> Result<(), Broken> {
        self.session.simple(statements).map(drop)
    }

    fn doing(&self) -> String {
        format!("deleting from {}", self.tables.deleted_from(self.batch.scope))
    }

    fn step(&self, statements: &str) -> Result<(), Stopped> {
        self.run(statements).map_err(|broken| stopped(&broken, &self.doing()))
    }

    fn ask(&self, sql: &str, keys: &[Vec<String>]) -> Result<Vec<Row>, Stopped> {
        self.session.ask(sql, keys).map_err(|broken| stopped(&broken, &self.doing()))
    }

    /// The transaction's number and its process, where it will be committed. Now, since once the files are gone nothing must come between
    /// them and COMMIT that could fail.
    fn begin(&self) -> Result<Option<(String, String)>, Stopped> {
        self.session.commit_to(false);
        let limit = self.settings.statement_timeout.as_millis();
        let begin = format!(
            "BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE; SET LOCAL statement_timeout = {limit}; SET LOCAL jit = off"
        );
        if self.settings.mode == Mode::DryRun {
            return self.step(&begin).map(|()| None);
        }
        let answer = self
            .session
            .simple(&format!(
                "{begin}; SELECT pg_advisory_xact_lock({BATCH_LOCK}); SELECT txid_current(), pg_backend_pid()"
            ))
            .map_err(|broken| stopped(&broken, &self.doing()))?;
        let numbers = answer.iter().find_map(|message| match message {
            SimpleQueryMessage::Row(row) if row.len() == 2 => {
                Some((row.get(0)?.to_owned(), row.get(1)?.to_owned()))
            }
            _ => None,
        });
        numbers
            .map(Some)
            .ok_or_else(|| Stopped::Failed(Failure::new(Kind::Internal, "no transaction number")))
    }

    /// In a dry run, the tasks that would have gone before go first.
    fn before(&self) -> Result<(), Stopped> {
        if self.batch.before.is_empty() {
            return Ok(());
        }
        let columns = columns(self.batch.before, self.tables.tasks.key.len());
        let sql = self.tables.delete_tasks_by_key();
        self.ask(&sql, &columns).map(drop)
    }

    fn delete_settled(
        &self,
        settle: &mut dyn FnMut(&Deletion) -> Vec<usize>,
    ) -> Result<Deletion, Stopped> {
        let mut taken_back = BTreeSet::new();
        loop {
            self.step("SAVEPOINT taskmon_batch")?;
            let places: Vec<usize> =
                (self.places.iter().copied()).filter(|place| !taken_back.contains(place)).collect();
            let mut deletion = Deletion::default();
            self.delete_some(&places, &mut deletion)?;
            self.look_around(&mut deletion)?;
            let back = settle(&deletion);
            self.session.commit_to(true);
            if back.is_empty() {
                return Ok(deletion);
            }
            taken_back.extend(back);
            self.step("ROLLBACK TO SAVEPOINT taskmon_batch")?;
        }
    }

    /// Deletes rows; where the database refuses, halves until it is known which row it keeps.
    fn delete_some(&self, places: &[usize], deletion: &mut Deletion) -> Result<(), Stopped> {
        if places.is_empty() {
            return Ok(());
        }
        self.step("SAVEPOINT taskmon_rows")?;
        match self.delete_all(places) {
            Ok(deleted) => {
                self.require_gone(&deleted)?;
                let gone: HashSet<usize> = deleted.iter().map(|(place, _)| *place).collect();
                let (gone, rest): (Vec<usize>, Vec<usize>) =
                    places.iter().partition(|place| gone.contains(place));
                // What depends on a row that stays must come back.
                let takes_back = !rest.is_empty() && self.tables.has_dependents(self.batch.scope);
                if takes_back {
                    self.step("ROLLBACK TO SAVEPOINT taskmon_rows")?;
                }
                self.step("RELEASE SAVEPOINT taskmon_rows")?;
                self.explain_kept(&rest, deletion)?;
                if takes_back {
                    return self.delete_some(&gone, deletion);
                }
                for (place, changed) in deleted {
                    deletion.deleted.push(place);
                    if changed {
                        deletion.changed.push(place);
                    }
                }
                Ok(())
            }
            Err(error) => {
                let words = match verdict(&error, &self.doing()) {
                    Verdict::Row(words) => words,
                    Verdict::Batch(stopped) => return Err(stopped),
                };
                self.step("ROLLBACK TO SAVEPOINT taskmon_rows; RELEASE SAVEPOINT taskmon_rows")?;
                if let [place] = places {
                    deletion.refused.push((*place, words));
                    return Ok(());
                }
                let (first, second) = places.split_at(places.len() / 2);
                self.delete_some(first, deletion)?;
                self.delete_some(second, deletion)
            }
        }
    }

    /// The places of the rows that went, and whether their paths are others than those that were read before.
    fn delete_all(&self, places: &[usize]) -> Result<Vec<(usize, bool)>, Broken> {
        let rows = self.batch.rows;
        let width = rows[places[0]].key.len();
        let columns = columns(places.iter().map(|place| &rows[*place].key), width);
        let by_key: HashMap<&Key, usize> =
            places.iter().map(|place| (&rows[*place].key, *place)).collect();
        let mut found: BTreeMap<usize, Vec<Vec<u8>>> = BTreeMap::new();
        if matches!(self.batch.scope, Scope::Receipts(_)) {
            for sql in self.tables.delete_dependents() {
                for row in self.session.ask(&sql, &columns)? {
                    let owner: Key = vec![row.try_get(0)?];
                    if let Some(place) = by_key.get(&owner) {
                        found.entry(*place).or_default().extend(read_paths(&row, 1)?);
                    }
                }
            }
        }
        if matches!(self.batch.scope, Scope::Tasks(_)) {
            for sql in self.tables.delete_task_dependents(self.batch.scope) {
                self.session.ask(&sql, &columns)?;
            }
        }
        let sql = self.tables.delete(self.batch.scope);
        let mut deleted = Vec::new();
        for row in self.session.ask(&sql, &columns)? {
            if let Some(place) = by_key.get(&read_key(&row, width)?) {
                found.entry(*place).or_default().extend(read_paths(&row, width)?);
                deleted.push(*place);
            }
        }
        // Twice: what the first has a trigger do may wait for COMMIT in its turn.
        self.run("SET CONSTRAINTS ALL IMMEDIATE; SET CONSTRAINTS ALL IMMEDIATE")?;
        let can_compare = self.tables.returns_paths(self.batch.scope);
        Ok(deleted
            .into_iter()
            .map(|place| {
                let mut paths = found.remove(&place).unwrap_or_default();
                paths.sort_unstable();
                let stored = rows[place].paths.iter().map(|path| &path.stored);
                (place, can_compare && !paths.iter().eq(stored))
            })
            .collect())
    }

    /// Where rows are read from something else than they are deleted from, those that were deleted must be what was read.
    fn require_gone(&self, deleted: &[(usize, bool)]) -> Result<(), Stopped> {
        let scope = self.batch.scope;
        if deleted.is_empty() || self.tables.returns_paths(scope) {
            return Ok(());
        }
        let rows = self.batch.rows;
        let keys = deleted.iter().map(|(place, _)| &rows[*place].key);
        let columns = columns(keys, rows[deleted[0].0].key.len());
        let sql = self.tables.rows(scope).map_err(Stopped::Failed)?;
        let left = self.ask(&sql, &columns)?;
        if left.is_empty() {
            return Ok(());
        }
        let message = format!(
            "database.tasks.key: {} rows that were deleted from {} are still there where they are read: the key means another column there, and other rows would go; nothing of the batch was deleted",
            left.len(),
            self.tables.deleted_from(scope)
        );
        Err(Stopped::Failed(
            Failure::new(Kind::MappingMismatch, message)
                .hint("name as key what is called the same in both, and holds the same"),
        ))
    }

    /// A row that was not deleted and could have been was kept by a trigger or a policy; another one was gone or is no longer expired.
    fn explain_kept(&self, places: &[usize], deletion: &mut Deletion) -> Result<(), Stopped> {
        if places.is_empty() {
            return Ok(());
        }
        let rows = self.batch.rows;
        let width = rows[places[0]].key.len();
        let columns = columns(places.iter().map(|place| &rows[*place].key), width);
        let sql = self.tables.rows(self.batch.scope).map_err(Stopped::Failed)?;
        let there: HashSet<Key> =
            self.ask(&sql, &columns)?.iter().filter_map(|row| read_key(row, width).ok()).collect();
        let kept = places.iter().filter(|place| there.contains(&rows[**place].key));
        deletion.refused.extend(kept.map(|place| {
            (
                *place,
                "the database kept the row and gave no reason: a trigger, a rule or a row security policy, or another row of the same key that has not expired".to_owned(),
            )
        }));
        Ok(())
    }

    /// Who still names the batch's files, and who still refers to its receipts.
    fn look_around(&self, deletion: &mut Deletion) -> Result<(), Stopped> {
        let mut by_source: BTreeMap<Source, BTreeSet<&Key>> = BTreeMap::new();
        for (source, key) in self.batch.checks.iter().flat_map(|check| &check.references) {
            by_source.entry(*source).or_default().insert(key);
        }
        for (source, keys) in by_source {
            if let Some((sql, width)) = self.tables.paths_by_key(source) {
                let rows = self.ask(&sql, &columns(keys, width))?;
                self.note_paths(source, width, &rows, deletion)?;
            }
        }
        let named: HashSet<&CanonicalPath> =
            deletion.referring.iter().map(|(_, _, path)| path).collect();
        let must_search = |check: &&ReferenceCheck| {
            !check.complete && (self.settings.mode == Mode::DryRun || !named.contains(&check.path))
        };
        let unanswered = self.batch.checks.iter().filter(must_search);
        let searched: Vec<String> =
            unanswered.filter_map(|check| Some(check.path.to_str()?.to_owned())).collect();
        if !searched.is_empty() {
            for (source, width, sql) in self.tables.search() {
                let rows = self.ask(&sql, std::slice::from_ref(&searched))?;
                self.note_paths(source, width, &rows, deletion)?;
            }
        }
        self.look_for_recent(deletion)?;
        if matches!(self.batch.scope, Scope::Receipts(_))
            && let Some(sql) = self.tables.linked()
        {
            let links = self.batch.rows.iter().filter_map(|row| row.link.clone());
            let rows = self.ask(&sql, &[links.collect()])?;
            deletion.linked = read_links(&rows, self.tables.tasks.key.len())
                .map_err(|error| stopped(&error.into(), &self.doing()))?;
        }
        Ok(())
    }

    /// Rows that came after the search for shared files, where an index finds them at once.
    fn look_for_recent(&self, deletion: &mut Deletion) -> Result<(), Stopped> {
        let Some((sql, width)) = self.tables.recent(self.batch.recent_since) else {
            return Ok(());
        };
        let rows = self.ask(&sql, &[])?;
        if rows.is_empty() {
            return Ok(());
        }
        let paths = self.batch.rows.iter().flat_map(|row| &row.paths);
        let of_batch: HashSet<&CanonicalPath> = paths.map(|path| &path.canonical).collect();
        let mut recent = Deletion::default();
        self.note_paths(Source::Tasks, width, &rows, &mut recent)?;
        let named = recent.referring.into_iter();
        deletion.referring.extend(named.filter(|(_, _, path)| of_batch.contains(path)));
        Ok(())
    }

    fn note_paths(
        &self,
        source: Source,
        width: usize,
        rows: &[Row],
        deletion: &mut Deletion,
    ) -> Result<(), Stopped> {
        for row in rows {
            let read = || {
                Ok::<_, postgres::Error>((read_key_or_none(row, width)?, read_paths(row, width)?))
            };
            let (key, paths) = read().map_err(|error| stopped(&error.into(), &self.doing()))?;
            for path in paths {
                let path = self.settings.aliases.canonical(&path);
                deletion.referring.push((source, key.clone(), path));
            }
        }
        Ok(())
    }
}
