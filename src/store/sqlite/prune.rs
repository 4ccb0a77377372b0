//! Deleting in SQLite.
//!
//! A batch is one `BEGIN IMMEDIATE` transaction, and its rows go one statement each: there is no server in between, and the database says
//! of each row whether it keeps it. Foreign keys are switched on, since SQLite leaves that to every connection.

use super::connection::{refusal, require_file, unavailable, words};
use super::time;
use crate::mapping::canonical_path::CanonicalPath;
use crate::mapping::{DependentTable, State, TaskTable};
use crate::outcome::{Failure, Kind};
use crate::store::columns::{self, Column};
use crate::store::prune::{
    Batch, Deletion, ExpiredRow, Key, MOST_REFERENCES, MissingIndex, Mode, Pass, PruneSettings,
    Pruner, Reference, ReferenceCheck, Scope, Source, TaskCounts,
};
use anyhow::Result;
use chrono::{DateTime, Utc};
use rusqlite::config::DbConfig;
use rusqlite::functions::FunctionFlags;
use rusqlite::types::{Value, ValueRef};
use rusqlite::{Connection, ErrorCode, OpenFlags, Row, params_from_iter};
use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::path::Path;
use std::time::{Duration, Instant};

/// A time as an instant, in microseconds since 1970; NULL for what is no time.
const MICROS: &str = "taskmon_micros";
/// A part of a key as a literal, from which [`value`] makes it again; `NULL` for a text that cannot be bound as it stands.
const LITERAL: &str = "taskmon_literal";
/// A path in its canonical form.
const CANONICAL: &str = "taskmon_path";
const NO_LITERAL: &str = "NULL";
const UNDO_BATCH: &str = "ROLLBACK TO SAVEPOINT taskmon_batch; RELEASE SAVEPOINT taskmon_batch";

pub struct SqlitePruner {
    connection: Connection,
    settings: PruneSettings,
    tasks: Table,
    receipts: Option<Table>,
    dependents: Vec<Dependent>,
    /// Of tasks, without files.
    task_dependents: Vec<Dependent>,
    /// Tables with a deferred foreign key on rows that go along with others, as literals.
    deferred_further: Vec<String>,
    /// The status labels that stand in the table, as SQL literals, by their states.
    labels: Vec<(State, String)>,
    /// What `PRAGMA data_version` said when shared files were looked for.
    version: i64,
}

struct Table {
    from: String,
    delete_from: String,
    key: Vec<String>,
    label: String,
    link: Option<String>,
    files: Vec<String>,
    guard: Option<String>,
    /// Foreign keys on it that are checked at the end of a transaction only.
    deferred: Vec<Deferred>,
}

struct Dependent {
    from: String,
    foreign_key: String,
    files: Vec<String>,
}

/// A foreign key that is deferred: the table and columns that refer, and the columns that they refer to, as expressions.
struct Deferred {
    table: String,
    from: Vec<String>,
    to: Vec<String>,
}

impl SqlitePruner {
    pub fn open(path: &Path, settings: PruneSettings) -> Result<Self> {
        let connection = open_to_write(path, &settings)?;
        register(&connection, &settings)?;
        let mapping = &settings.mapping;
        check(&connection, "tasks", &mapping.tasks.from, &columns::task_columns(&mapping.tasks))?;
        columns::require_key(&mapping.tasks, &mut |sql| {
            let tried = connection.prepare(sql).map(drop);
            tried.map_err(|error| refusal(&error))
        })?;
        let mut pruner = Self {
            tasks: task_table(&connection, &mapping.tasks)?,
            receipts: None,
            dependents: Vec::new(),
            task_dependents: Vec::new(),
            deferred_further: Vec::new(),
            labels: Vec::new(),
            version: 0,
            connection,
            settings: settings.clone(),
        };
        pruner.task_dependents =
            dependents(&pruner.connection, "tasks", &mapping.tasks.dependents)?;
        if let Some(receipts) = &mapping.receipts {
            check(
                &pruner.connection,
                "receipts",
                &receipts.from,
                &columns::receipt_columns(receipts),
            )?;
            pruner.receipts = Some(Table {
                from: receipts.from.clone(),
                delete_from: receipts.from.clone(),
                key: receipts.key.clone(),
                label: receipts.key[0].clone(),
                link: Some(receipts.link.clone()),
                files: receipts.files.clone(),
                guard: None,
                deferred: deferred(&pruner.connection, &receipts.from, &receipts.key)
                    .map_err(|error| pruner.failure(&error, "reading the schema"))?,
            });
            pruner.dependents = dependents(&pruner.connection, "receipts", &receipts.dependents)?;
        }
        pruner.deferred_further = pruner
            .read_deferred_further()
            .map_err(|error| pruner.failure(&error, "reading the schema"))?;
        pruner.labels = pruner.read_labels().map_err(|error| {
            let named = super::inspect::blame(&pruner.connection, &settings);
            named.unwrap_or_else(|| pruner.failure(&error, "reading the statuses"))
        })?;
        Ok(pruner)
    }

    fn failure(&self, error: &rusqlite::Error, doing: &str) -> Failure {
        let path = self.connection.path().unwrap_or_default();
        let message = format!("{doing} ({path}): {}", words(error));
        match error.sqlite_error_code() {
            Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => {
                Failure::new(Kind::DatabaseUnavailable, message)
                    .hint("another program holds the database; try again")
            }
            Some(ErrorCode::ReadOnly | ErrorCode::PermissionDenied) => {
                Failure::new(Kind::PermissionDenied, message)
                    .hint("cleanup needs the right to write the database's file and its folder")
            }
            Some(ErrorCode::DiskFull) => Failure::new(Kind::DatabaseUnavailable, message)
                .hint("make room on the database's disk, and run again"),
            Some(
                ErrorCode::CannotOpen
                | ErrorCode::NotADatabase
                | ErrorCode::DatabaseCorrupt
                | ErrorCode::SystemIoFailure,
            ) => Failure::new(Kind::DatabaseUnavailable, message),
            _ => Failure::new(Kind::QueryFailed, message),
        }
    }

    /// The tables whose deferred foreign keys refer to rows that a deletion takes along: dependents, and what cascades.
    fn read_deferred_further(&self) -> rusqlite::Result<Vec<String>> {
        let mut statement = self.connection.prepare(
            "SELECT lower(s.name), lower(f.\"table\"), f.on_delete, s.sql LIKE '%deferred%' FROM sqlite_schema AS s \
             JOIN pragma_foreign_key_list(s.name) AS f WHERE s.type = 'table' AND f.seq = 0",
        )?;
        let keys = statement
            .query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?)))?;
        let keys: Vec<(String, String, String, bool)> = keys.collect::<rusqlite::Result<_>>()?;
        let name = |table: &String| bare_name(table).to_lowercase();
        let own = [&self.tasks.delete_from]
            .into_iter()
            .chain(self.receipts.iter().map(|table| &table.delete_from));
        let dependents = self.dependents.iter().chain(&self.task_dependents);
        let mut along: BTreeSet<String> = dependents.map(|table| name(&table.from)).collect();
        let mut reached: Vec<String> = own.map(name).chain(along.iter().cloned()).collect();
        while let Some(table) = reached.pop() {
            for (child, parent, on_delete, _) in &keys {
                if *parent == table && on_delete == "CASCADE" && along.insert(child.clone()) {
                    reached.push(child.clone());
                }
            }
        }
        let refers = keys.iter().filter(|(_, parent, on_delete, deferred)| {
            *deferred && on_delete == "NO ACTION" && along.contains(parent)
        });
        let tables: BTreeSet<String> = refers.map(|(child, ..)| quote(child)).collect();
        Ok(tables.into_iter().collect())
    }

    /// How many foreign keys of these tables refer to nothing: those that a deletion adds would stop COMMIT, when its files are gone already.
    fn dangling(&self) -> rusqlite::Result<i64> {
        let each = self.deferred_further.iter().map(|table| {
            let sql = format!("SELECT count(*) FROM pragma_foreign_key_check({table})");
            let mut statement = self.connection.prepare_cached(&sql)?;
            statement.query_row([], |row| row.get::<_, i64>(0))
        });
        each.sum()
    }

    fn read_labels(&self) -> rusqlite::Result<Vec<(State, String)>> {
        let table = &self.settings.mapping.tasks;
        let sql = format!(
            "SELECT DISTINCT CAST(({status}) AS TEXT), quote({status}) FROM {} WHERE ({status}) IS NOT NULL",
            table.from,
            status = table.status,
        );
        let mut statement = self.connection.prepare(&sql)?;
        let rows = statement.query_map([], |row| {
            // One that is no text is in no state, so that its literal is never used.
            let label = lossy(row, 0)?;
            let literal = lossy(row, 1)?.unwrap_or_default();
            Ok((table.states.of(label.as_deref()), literal))
        })?;
        rows.collect()
    }

    fn of(&self, scope: &Scope) -> Result<&Table, Failure> {
        match scope {
            Scope::Tasks(_) => Ok(&self.tasks),
            Scope::Receipts(_) => self.receipts.as_ref().ok_or_else(|| {
                Failure::new(Kind::Internal, "there are no receipts in this mapping")
            }),
        }
    }

    /// The time that each state is judged by, as an expression; the first that is there counts.
    fn finished(&self, state: State) -> Option<String> {
        let table = &self.settings.mapping.tasks;
        let order = match state {
            State::Failed => [&table.updated_at, &table.completed_at, &table.created_at],
            _ => [&table.completed_at, &table.updated_at, &table.created_at],
        };
        let times: Vec<String> =
            order.into_iter().flatten().map(|time| format!("nullif({time}, '')")).collect();
        (!times.is_empty()).then(|| format!("coalesce({}, NULL)", times.join(", ")))
    }

    fn in_state(&self, state: State) -> Option<String> {
        let own: Vec<&str> = self
            .labels
            .iter()
            .filter(|(of, _)| *of == state)
            .map(|(_, literal)| literal.as_str())
            .collect();
        let status = &self.settings.mapping.tasks.status;
        (!own.is_empty()).then(|| format!("({status}) IN ({})", own.join(", ")))
    }

    /// "The row has expired."
    fn condition(&self, scope: &Scope) -> String {
        match scope {
            Scope::Receipts(before) => {
                let receipts = self.settings.mapping.receipts.as_ref();
                receipts.map_or("0".to_owned(), |receipts| {
                    format!(
                        "{MICROS}(nullif({}, '')) < {}",
                        receipts.created_at,
                        before.timestamp_micros()
                    )
                })
            }
            Scope::Tasks(limits) => {
                let each: Vec<String> = limits
                    .iter()
                    .filter_map(|(state, before)| {
                        Some(format!(
                            "({} AND {MICROS}({}) < {})",
                            self.in_state(*state)?,
                            self.finished(*state)?,
                            before.timestamp_micros()
                        ))
                    })
                    .collect();
                let expired = if each.is_empty() {
                    "0".to_owned()
                } else {
                    format!("({})", each.join(" OR "))
                };
                match &self.tasks.guard {
                    Some(guard) => format!("({expired} AND ({guard}))"),
                    None => expired,
                }
            }
        }
    }

    /// Every table that names files: its source, its key as literals, its name and its file columns.
    fn sources(&self) -> Vec<(Source, Vec<String>, String, Vec<String>)> {
        let own = [(Source::Tasks, Some(&self.tasks)), (Source::Receipts, self.receipts.as_ref())];
        let tables = own.into_iter().filter_map(|(source, table)| {
            let table = table?;
            Some((source, table.key.clone(), table.from.clone(), table.files.clone()))
        });
        let dependents = self.dependents.iter().enumerate().map(|(place, table)| {
            let key = vec![table.foreign_key.clone()];
            (Source::Dependents(place), key, table.from.clone(), table.files.clone())
        });
        tables.chain(dependents).filter(|(_, _, _, files)| !files.is_empty()).collect()
    }

    fn data_version(&self) -> rusqlite::Result<i64> {
        self.connection.query_row("PRAGMA data_version", [], |row| row.get(0))
    }
}

fn open_to_write(path: &Path, settings: &PruneSettings) -> Result<Connection> {
    let shown = path.display();
    if !path.exists() {
        let failure =
            Failure::new(Kind::DatabaseUnavailable, format!("there is no SQLite file {shown}"));
        return Err(failure
            .hint("taskmon never makes a database; check the path, relative ones start at base_dir")
            .into());
    }
    require_file(path)?;
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let unopened =
        |error: rusqlite::Error| unavailable(&format!("{shown} cannot be opened"), &error);
    let connection = Connection::open_with_flags(path, flags).map_err(unopened)?;
    connection
        .busy_timeout(settings.connect_timeout)
        // A guard on a quoted column that is not there would else be a string, and hold nothing back.
        .and_then(|()| connection.set_db_config(DbConfig::SQLITE_DBCONFIG_DQS_DML, false))
        .map_err(unopened)?;
    let journal: String = connection
        .query_row("PRAGMA journal_mode", [], |row| row.get(0))
        .map_err(|error| unavailable(&format!("{shown} cannot be read"), &error))?;
    connection.pragma_update(None, "foreign_keys", true).map_err(unopened)?;
    if settings.mode == Mode::DryRun {
        // What is rolled back must not touch the disk: no journal beside the database, no page written early.
        connection.pragma_update(None, "cache_spill", false).map_err(unopened)?;
        if journal != "wal" {
            connection
                .query_row("PRAGMA journal_mode = MEMORY", [], |_| Ok(()))
                .map_err(unopened)?;
        }
    }
    Ok(connection)
}

fn register(connection: &Connection, settings: &PruneSettings) -> Result<(), Failure> {
    let flags = FunctionFlags::SQLITE_UTF8 | FunctionFlags::SQLITE_DETERMINISTIC;
    let zone = settings.naive_zone;
    let aliases = settings.aliases.clone();
    connection
        .create_scalar_function(MICROS, 1, flags, move |context| {
            Ok(time::read(context.get_raw(0)).map(|moment| moment.instant(zone).timestamp_micros()))
        })
        .and_then(|()| {
            connection.create_scalar_function(LITERAL, 1, flags, |context| {
                Ok(literal(context.get_raw(0)))
            })
        })
        .and_then(|()| {
            connection.create_scalar_function(CANONICAL, 1, flags, move |context| {
                Ok(bytes(context.get_raw(0))
                    .map(|path| text_or_blob(aliases.canonical(&path).as_bytes().to_vec())))
            })
        })
        .map_err(|error| unavailable("functions cannot be added", &error))
}

/// The bytes of a text that is not empty; a number is its text, which a column without a type keeps as a number.
fn bytes(value: ValueRef<'_>) -> Option<Cow<'_, [u8]>> {
    match value {
        ValueRef::Text(bytes) | ValueRef::Blob(bytes) if !bytes.is_empty() => {
            Some(Cow::Borrowed(bytes))
        }
        ValueRef::Integer(number) => Some(Cow::Owned(number.to_string().into_bytes())),
        ValueRef::Real(number) => Some(Cow::Owned(format!("{number:?}").into_bytes())),
        _ => None,
    }
}

/// A text for messages and comparisons, whatever its bytes.
fn lossy(row: &Row, place: usize) -> rusqlite::Result<Option<String>> {
    let found = bytes(row.get_ref(place)?);
    Ok(found.map(|bytes| String::from_utf8_lossy(&bytes).into_owned()))
}

fn text_or_blob(bytes: Vec<u8>) -> Value {
    match String::from_utf8(bytes) {
        Ok(text) => Value::Text(text),
        Err(error) => Value::Blob(error.into_bytes()),
    }
}

fn check(
    connection: &Connection,
    section: &str,
    from: &str,
    columns: &[Column],
) -> Result<(), Failure> {
    columns::require(section, from, columns, &mut |sql| {
        connection.prepare(sql).map(drop).map_err(|error| refusal(&error))
    })
}

fn task_table(connection: &Connection, tasks: &TaskTable) -> Result<Table, Failure> {
    let delete_from = tasks.delete_from.clone().unwrap_or_default();
    Ok(Table {
        from: tasks.from.clone(),
        key: tasks.key.clone(),
        label: tasks.label.clone(),
        link: tasks.link.clone(),
        files: tasks.files.clone(),
        guard: tasks.guard.clone(),
        deferred: deferred(connection, &delete_from, &tasks.key)
            .map_err(|error| unavailable("the schema cannot be read", &error))?,
        delete_from,
    })
}

fn dependents(
    connection: &Connection,
    section: &str,
    tables: &[DependentTable],
) -> Result<Vec<Dependent>, Failure> {
    let read = |(place, table): (usize, &DependentTable)| {
        let section = format!("{section}.dependents[{}]", place + 1);
        check(connection, &section, &table.from, &columns::dependent_columns(table))?;
        Ok(Dependent {
            from: table.from.clone(),
            foreign_key: table.foreign_key.clone(),
            files: table.files.clone(),
        })
    };
    tables.iter().enumerate().map(read).collect()
}

/// The deferred foreign keys that refer to a table. SQLite tells every part of a foreign key but this one, which stands in the table's text.
fn deferred(
    connection: &Connection,
    table: &str,
    key: &[String],
) -> rusqlite::Result<Vec<Deferred>> {
    let mut statement = connection.prepare(
        "SELECT s.name, f.id, f.seq, f.\"from\", f.\"to\" FROM sqlite_schema AS s JOIN pragma_foreign_key_list(s.name) AS f \
         WHERE s.type = 'table' AND s.sql LIKE '%deferred%' AND lower(f.\"table\") = lower(?1) \
         AND f.on_delete = 'NO ACTION' ORDER BY s.name, f.id, f.seq",
    )?;
    let mut found: BTreeMap<(String, i64), Deferred> = BTreeMap::new();
    let mut rows = statement.query([bare_name(table)])?;
    while let Some(row) = rows.next()? {
        let (table, id): (String, i64) = (row.get(0)?, row.get(1)?);
        let (from, to): (String, Option<String>) = (row.get(3)?, row.get(4)?);
        // Without columns it refers to the primary key.
        let place: usize = row.get::<_, i64>(2)?.unsigned_abs() as usize;
        let to = to.map(|to| identifier(&to));
        let to = to.or_else(|| key.get(place).cloned());
        let entry = found.entry((table.clone(), id)).or_insert(Deferred {
            table: identifier(&table),
            from: Vec::new(),
            to: Vec::new(),
        });
        entry.from.push(identifier(&from));
        entry.to.extend(to);
    }
    Ok(found.into_values().collect())
}

/// A name as an identifier.
fn identifier(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// The name of a table without its schema and its quotes.
fn bare_name(table: &str) -> String {
    let table = table.trim();
    for (open, close) in [('"', '"'), ('`', '`'), ('[', ']')] {
        if let Some(rest) = table.strip_suffix(close) {
            let doubled = format!("{close}{close}");
            let start = rest.replace(&doubled, "\0\0").rfind(open);
            return match start {
                Some(start) => {
                    rest[start + open.len_utf8()..].replace(&doubled, &close.to_string())
                }
                None => rest.to_owned(),
            };
        }
    }
    table.rsplit('.').next().unwrap_or(table).to_owned()
}

impl Table {
    fn key_literals(&self) -> String {
        literals(&self.key)
    }

    /// "A part of the key cannot be asked for."
    fn lacks_key(&self) -> String {
        let parts = self.key.iter();
        let parts = parts.map(|name| format!("{LITERAL}({name}) = '{NO_LITERAL}'"));
        parts.collect::<Vec<_>>().join(" OR ")
    }

    /// "The key is this one", bound from `?1` on.
    fn key_is(&self) -> String {
        key_is(&self.key)
    }

    fn is_read_directly(&self) -> bool {
        self.from.trim() == self.delete_from.trim()
    }
}

fn literals(key: &[String]) -> String {
    let quoted: Vec<String> = key.iter().map(|name| format!("{LITERAL}({name})")).collect();
    quoted.join(", ")
}

fn key_is(key: &[String]) -> String {
    let each: Vec<String> =
        key.iter().enumerate().map(|(place, name)| format!("({name}) = ?{}", place + 1)).collect();
    each.join(" AND ")
}

fn listed(expressions: &[String]) -> String {
    expressions.iter().map(|one| format!(", ({one})")).collect()
}

/// As SQLite's `quote` writes it, which ends a text at its first NUL and leaves bytes that are no text.
fn literal(value: ValueRef<'_>) -> String {
    match value {
        ValueRef::Integer(number) => number.to_string(),
        ValueRef::Real(number) => format!("{number:?}"),
        ValueRef::Text(bytes) => match std::str::from_utf8(bytes) {
            Ok(text) if !text.contains('\0') => quote(text),
            _ => NO_LITERAL.to_owned(),
        },
        ValueRef::Blob(bytes) => {
            let hex: String = bytes.iter().map(|byte| format!("{byte:02X}")).collect();
            format!("X'{hex}'")
        }
        ValueRef::Null => NO_LITERAL.to_owned(),
    }
}

/// The values of a key: each is kept as a [`literal`], which tells its type.
fn values(key: &Key) -> Vec<Value> {
    key.iter().map(|literal| value(literal)).collect()
}

fn value(literal: &str) -> Value {
    if let Some(text) = literal.strip_prefix('\'').and_then(|rest| rest.strip_suffix('\'')) {
        return Value::Text(text.replace("''", "'"));
    }
    if let Some(hex) = literal.strip_prefix("X'").and_then(|rest| rest.strip_suffix('\'')) {
        let byte = |place| u8::from_str_radix(hex.get(place..place + 2)?, 16).ok();
        return Value::Blob((0..hex.len()).step_by(2).filter_map(byte).collect());
    }
    match (literal.parse::<i64>(), literal.parse::<f64>()) {
        (Ok(number), _) => Value::Integer(number),
        (_, Ok(number)) => Value::Real(number),
        _ => Value::Null,
    }
}

fn read_key(row: &Row, width: usize) -> rusqlite::Result<Key> {
    (0..width).map(|place| row.get(place)).collect()
}

/// The literals of a key that travelled as a JSON array; `None` where one of them is NULL.
fn parts(key: &str) -> Option<Key> {
    let parts: Key = serde_json::from_str(key).ok()?;
    (!parts.iter().any(|part| part == NO_LITERAL)).then_some(parts)
}

fn read_paths(row: &Row, first: usize, count: usize) -> rusqlite::Result<Vec<Vec<u8>>> {
    let mut paths = Vec::new();
    for place in first..first + count {
        paths.extend(bytes(row.get_ref(place)?).map(Cow::into_owned));
    }
    Ok(paths)
}

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

impl Pruner for SqlitePruner {
    fn clock(&mut self) -> Result<Option<DateTime<Utc>>> {
        Ok(None)
    }

    fn count_tasks(&mut self, expiry: &Scope) -> Result<TaskCounts> {
        let sql = format!(
            "SELECT count(*), count(*) FILTER (WHERE {}) FROM {}",
            self.condition(expiry),
            self.tasks.from
        );
        let counts = self.connection.query_row(&sql, [], |row| {
            Ok(TaskCounts {
                all: row.get::<_, i64>(0)?.unsigned_abs(),
                expired: row.get::<_, i64>(1)?.unsigned_abs(),
            })
        });
        Ok(counts.map_err(|error| self.failure(&error, "counting tasks"))?)
    }

    fn without_key(&mut self, scope: &Scope) -> Result<(u64, String)> {
        let table = self.of(scope)?;
        let sql = format!(
            "SELECT count(*) FROM {} WHERE ({}) AND {}",
            table.from,
            table.lacks_key(),
            self.condition(scope)
        );
        let count = self
            .connection
            .query_row(&sql, [], |row| row.get::<_, i64>(0))
            .map_err(|error| self.failure(&error, "looking for rows without a key"))?;
        Ok((count.unsigned_abs(), table.from.clone()))
    }

    fn expired(
        &mut self,
        scope: &Scope,
        pass: Pass,
        after: Option<&Key>,
        limit: usize,
    ) -> Result<Vec<Key>> {
        // Text times compare by a function of ours, so that no index can narrow the search: one pass finds all.
        if pass == Pass::Others {
            return Ok(Vec::new());
        }
        let table = self.of(scope)?;
        let names = table.key.join(", ");
        let after_condition = match after {
            None => String::new(),
            Some(key) => {
                let places: Vec<String> =
                    (1..=key.len()).map(|place| format!("?{place}")).collect();
                format!(" AND ({names}) > ({})", places.join(", "))
            }
        };
        let sql = format!(
            "SELECT {} FROM {} WHERE {} AND NOT ({}){after_condition} ORDER BY {names} LIMIT {limit}",
            table.key_literals(),
            table.from,
            self.condition(scope),
            table.lacks_key()
        );
        let width = table.key.len();
        let read = || -> rusqlite::Result<Vec<Key>> {
            let mut statement = self.connection.prepare(&sql)?;
            let bound = params_from_iter(after.map(values).unwrap_or_default());
            let rows = statement.query_map(bound, |row| read_key(row, width))?;
            rows.collect()
        };
        Ok(read().map_err(|error| self.failure(&error, "choosing expired rows"))?)
    }

    fn rows(&mut self, scope: &Scope, keys: &[Key]) -> Result<Vec<ExpiredRow>> {
        let found = keys.iter().map(|key| self.row(scope, key));
        let rows: Result<Vec<Option<ExpiredRow>>, rusqlite::Error> = found.collect();
        let rows = rows.map_err(|error| self.failure(&error, "reading expired rows"))?;
        Ok(rows.into_iter().flatten().collect())
    }

    fn shared_paths(&mut self, scope: &Scope, each: &mut dyn FnMut(Reference)) -> Result<()> {
        let mut read = || -> rusqlite::Result<()> {
            self.version = self.data_version()?;
            let mut statement = self.connection.prepare(&self.shared(scope))?;
            let mut rows = statement.query([])?;
            while let Some(row) = rows.next()? {
                let key: String = row.get(1)?;
                each(Reference {
                    source: source(row.get(0)?),
                    key: parts(&key),
                    path: CanonicalPath::from_canonical(
                        bytes(row.get_ref(2)?).unwrap_or_default().into_owned(),
                    ),
                    rows: row.get::<_, i64>(3)?.unsigned_abs(),
                });
            }
            Ok(())
        };
        let done = read();
        Ok(done.map_err(|error| self.failure(&error, "looking for files that several rows name"))?)
    }

    fn linked_tasks(&mut self, links: &[String]) -> Result<Vec<(String, Key)>> {
        let found = self.linked(links);
        Ok(found.map_err(|error| self.failure(&error, "asking which receipts tasks refer to"))?)
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
        let starts: Vec<String> = beneath
            .iter()
            .map(|start| {
                // Byte by byte: a path need not be text.
                format!(
                    "substr(CAST(path AS BLOB), 1, {}) = CAST({} AS BLOB)",
                    start.len(),
                    quote(start)
                )
            })
            .collect();
        if starts.is_empty() {
            return Ok(());
        }
        for (_, _, from, files) in self.sources() {
            for file in files {
                let sql = format!(
                    "SELECT path FROM (SELECT {CANONICAL}({file}) AS path FROM {from}) WHERE {}",
                    starts.join(" OR ")
                );
                let mut read = || -> rusqlite::Result<()> {
                    let mut statement = self.connection.prepare(&sql)?;
                    let mut rows = statement.query([])?;
                    while let Some(row) = rows.next()? {
                        if let Some(path) = bytes(row.get_ref(0)?) {
                            each(&CanonicalPath::from_canonical(path.into_owned()));
                        }
                    }
                    Ok(())
                };
                read().map_err(|error| {
                    self.failure(&error, "asking which temporary files rows name")
                })?;
            }
        }
        Ok(())
    }

    fn unreadable(&mut self, scope: &Scope) -> Result<Option<(u64, String)>> {
        let Scope::Tasks(limits) = scope else {
            return Ok(None);
        };
        let mut total = 0;
        let mut example = None;
        for (state, _) in limits {
            let (Some(state_condition), Some(time)) =
                (self.in_state(*state), self.finished(*state))
            else {
                continue;
            };
            let sql = format!(
                "SELECT count(*), max(CAST({time} AS TEXT)) FROM {} WHERE {state_condition} \
                 AND {time} IS NOT NULL AND {MICROS}({time}) IS NULL",
                self.tasks.from
            );
            let found = self.connection.query_row(&sql, [], |row| {
                Ok((row.get::<_, i64>(0)?, row.get::<_, Option<String>>(1)?))
            });
            let (count, value) =
                found.map_err(|error| self.failure(&error, "reading the tasks' times"))?;
            total += count.unsigned_abs();
            example = example.or(value);
        }
        Ok(example.map(|value| (total, value)))
    }

    fn blame(&mut self) -> Option<Failure> {
        super::inspect::blame(&self.connection, &self.settings)
    }

    fn missing_indexes(&mut self) -> Result<Vec<MissingIndex>> {
        let mut wanted =
            vec![(&self.tasks.delete_from, self.tasks.key.join(", "), self.tasks.key_is())];
        if let (Some(_), Some(link)) = (&self.receipts, &self.tasks.link) {
            wanted.push((&self.tasks.from, link.clone(), format!("({link}) = ?1")));
        }
        for dependent in self.dependents.iter().chain(&self.task_dependents) {
            let key = &dependent.foreign_key;
            wanted.push((&dependent.from, key.clone(), format!("({key}) = ?1")));
        }
        let mut lacking = Vec::new();
        for (from, columns, condition) in wanted {
            let sql = format!("EXPLAIN QUERY PLAN SELECT 1 FROM {from} WHERE {condition}");
            let scans = || -> rusqlite::Result<bool> {
                let mut statement = self.connection.prepare(&sql)?;
                let bound: Vec<Value> = vec![Value::Null; statement.parameter_count()];
                let rows = statement.query_map(params_from_iter(bound), |row| row.get(3))?;
                let plan: Vec<String> = rows.collect::<rusqlite::Result<_>>()?;
                Ok(plan.iter().any(|step| step.starts_with("SCAN")))
            };
            if scans().map_err(|error| self.failure(&error, "looking for indexes"))? {
                let name: String = (bare_name(from).chars())
                    .map(|letter| if letter.is_alphanumeric() { letter } else { '_' })
                    .collect();
                let number = lacking.len() + 1;
                // Prepared, and not run: SQLite says so what it would refuse.
                let statement = |columns: &str| {
                    let text =
                        format!("CREATE INDEX taskmon_{name}_{number} ON {from} ({columns});");
                    let tried = self.connection.prepare(&text);
                    tried.map(|_| text).map_err(|error| words(&error))
                };
                let unqualified = columns.rsplit('.').next().unwrap_or_default();
                let remedy = statement(&columns).or_else(|why| {
                    let is_bare = columns.split('.').all(|part| {
                        let mut letters = part.trim_matches('"').chars();
                        letters.all(|letter| letter.is_alphanumeric() || letter == '_')
                    });
                    statement(unqualified).ok().filter(|_| is_bare).ok_or(why)
                });
                lacking.push(MissingIndex {
                    place: format!("{from} ({columns})"),
                    remedy: remedy.map_err(|why| format!("SQLite can make none: {why}")),
                });
            }
        }
        Ok(lacking)
    }
}

impl SqlitePruner {
    /// Deletes the rows at these places; a row for whose sake COMMIT itself fails is searched for by halves.
    fn delete_places(
        &self,
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

    /// Again where that may help. `Err` within `Ok`: COMMIT was refused, in the database's words.
    fn delete_persistently(
        &self,
        batch: &Batch,
        places: &[usize],
        settle: &mut dyn FnMut(&Deletion) -> Vec<usize>,
    ) -> Result<Result<Deletion, String>> {
        let began = Instant::now();
        let patience = self.settings.connect_timeout.max(Duration::from_secs(30));
        let mut rolled_back: Vec<(usize, String)> = Vec::new();
        let mut was_full = false;
        loop {
            let ended = self.try_delete(batch, places, settle, &rolled_back);
            if !self.connection.is_autocommit() {
                let undone = self.connection.execute_batch("ROLLBACK");
                undone.map_err(|error| self.failure(&error, "rolling back a batch"))?;
            }
            match ended {
                Ok(deletion) => return Ok(Ok(deletion)),
                Err(Stopped::Uncommitted(words)) => return Ok(Err(words)),
                Err(Stopped::Busy(_)) if began.elapsed() < patience => {
                    std::thread::sleep(Duration::from_millis(20));
                }
                Err(Stopped::RolledBack(place, words)) => rolled_back.push((place, words)),
                // The batch's files may have made the room that is missing.
                Err(Stopped::Failed(error)) if is_full(&error) && !was_full => was_full = true,
                Err(Stopped::Busy(error) | Stopped::Failed(error)) => {
                    let table = self.of(batch.scope)?;
                    let doing = format!("deleting from {}", table.delete_from);
                    return Err(self.failure(&error, &doing).into());
                }
            }
        }
    }

    fn row(&self, scope: &Scope, key: &Key) -> rusqlite::Result<Option<ExpiredRow>> {
        let Ok(table) = self.of(scope) else {
            return Ok(None);
        };
        let width = table.key.len();
        let sql = format!(
            "SELECT {}, CAST(({}) AS TEXT), {}{} FROM {} WHERE {} AND {}",
            table.key_literals(),
            table.label,
            table.link.as_ref().map_or("NULL".to_owned(), |link| format!("CAST(({link}) AS TEXT)")),
            listed(&table.files),
            table.from,
            table.key_is(),
            self.condition(scope),
        );
        let mut statement = self.connection.prepare_cached(&sql)?;
        let mut rows = statement.query(params_from_iter(values(key)))?;
        let Some(row) = rows.next()? else {
            return Ok(None);
        };
        let mut stored = read_paths(row, width + 2, table.files.len())?;
        if matches!(scope, Scope::Receipts(_)) {
            for dependent in &self.dependents {
                stored.extend(self.dependent_paths(dependent, key, "SELECT")?);
            }
        }
        stored.sort_unstable();
        let aliases = &self.settings.aliases;
        Ok(Some(ExpiredRow {
            key: read_key(row, width)?,
            label: lossy(row, width)?.unwrap_or_default(),
            link: row.get(width + 1)?,
            paths: stored.into_iter().map(|path| aliases.row_path(path)).collect(),
        }))
    }

    /// The paths of the dependents of a receipt; `verb` is SELECT, or DELETE, which takes the rows away.
    fn dependent_paths(
        &self,
        dependent: &Dependent,
        key: &Key,
        verb: &str,
    ) -> rusqlite::Result<Vec<Vec<u8>>> {
        let (from, condition) = (&dependent.from, format!("({}) = ?1", dependent.foreign_key));
        let files = listed(&dependent.files);
        let sql = match verb {
            "DELETE" => format!("DELETE FROM {from} WHERE {condition} RETURNING 1{files}"),
            _ => format!("SELECT 1{files} FROM {from} WHERE {condition}"),
        };
        let mut statement = self.connection.prepare_cached(&sql)?;
        let mut rows = statement.query(params_from_iter(values(key)))?;
        let mut paths = Vec::new();
        while let Some(row) = rows.next()? {
            paths.extend(read_paths(row, 1, dependent.files.len())?);
        }
        Ok(paths)
    }

    fn linked(&self, links: &[String]) -> rusqlite::Result<Vec<(String, Key)>> {
        let Some(link) = &self.tasks.link else {
            return Ok(Vec::new());
        };
        let sql = format!(
            // A link that is a number, where the receipts have text, is none the less the same.
            "SELECT {} FROM {} WHERE ({link}) IN (?1, CAST(?1 AS NUMERIC))",
            self.tasks.key_literals(),
            self.tasks.from
        );
        let width = self.tasks.key.len();
        let mut statement = self.connection.prepare_cached(&sql)?;
        let mut found = Vec::new();
        for link in links {
            for key in statement.query_map([link], |row| read_key(row, width))? {
                // As it was asked for: the table's own may differ in case and be equal all the same.
                found.push((link.clone(), key?));
            }
        }
        Ok(found)
    }

    fn shared(&self, scope: &Scope) -> String {
        let expired_source = match scope {
            Scope::Tasks(_) => Source::Tasks,
            Scope::Receipts(_) => Source::Receipts,
        };
        let condition = self.condition(scope);
        let mut all = Vec::new();
        let mut going = Vec::new();
        for (source, key, from, files) in self.sources() {
            let is_own = source == expired_source;
            let goes_along = matches!((scope, source), (Scope::Receipts(_), Source::Dependents(_)));
            for file in &files {
                let expired =
                    if is_own { format!("coalesce({condition}, 0)") } else { "0".to_owned() };
                all.push(format!(
                    "SELECT {} AS source, json_array({}) AS key, {expired} AS expired, {CANONICAL}({file}) AS path FROM {from} \
                     WHERE ({file}) <> ''",
                    number(source),
                    literals(&key),
                ));
                if is_own || goes_along {
                    let which = if is_own { format!(" AND {condition}") } else { String::new() };
                    going.push(format!(
                        "SELECT {CANONICAL}({file}) AS path FROM {from} WHERE ({file}) <> ''{which}"
                    ));
                }
            }
        }
        if going.is_empty() {
            return "SELECT 0, '', NULL, 0 WHERE 0".to_owned();
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

    fn try_delete(
        &self,
        batch: &Batch,
        places: &[usize],
        settle: &mut dyn FnMut(&Deletion) -> Vec<usize>,
        rolled_back: &[(usize, String)],
    ) -> Result<Deletion, Stopped> {
        self.connection.execute_batch(match self.settings.mode {
            // Without a write-ahead log a reader could hold COMMIT up, when the files are gone already.
            Mode::Apply => "BEGIN EXCLUSIVE",
            Mode::DryRun => "BEGIN IMMEDIATE",
        })?;
        for key in batch.before {
            let sql =
                format!("DELETE FROM {} WHERE {}", self.tasks.delete_from, self.tasks.key_is());
            self.connection.prepare_cached(&sql)?.execute(params_from_iter(values(key)))?;
        }
        let mut taken_back: BTreeSet<usize> = rolled_back.iter().map(|(place, _)| *place).collect();
        let dangling = self.dangling()?;
        let mut one_by_one = false;
        let deletion = loop {
            self.connection.execute_batch("SAVEPOINT taskmon_batch")?;
            let mut deletion = Deletion { refused: rolled_back.to_vec(), ..Deletion::default() };
            for &place in places {
                if !taken_back.contains(&place) {
                    let most = one_by_one.then_some(dangling);
                    self.delete_row(batch, place, most, &mut deletion)?;
                }
            }
            if !one_by_one && self.dangling()? > dangling {
                one_by_one = true;
                self.connection.execute_batch(UNDO_BATCH)?;
                continue;
            }
            self.look_around(batch, &mut deletion)?;
            if self.settings.mode == Mode::Apply {
                // A disk that is full must say so now, not at COMMIT when the files are gone.
                self.connection.cache_flush()?;
            }
            let back = settle(&deletion);
            if back.is_empty() {
                break deletion;
            }
            taken_back.extend(back);
            self.connection.execute_batch(UNDO_BATCH)?;
        };
        let end = match self.settings.mode {
            Mode::Apply => "COMMIT",
            Mode::DryRun => "ROLLBACK",
        };
        match self.connection.execute_batch(end) {
            Ok(()) => Ok(deletion),
            Err(error) => Err(match error.sqlite_error_code() {
                Some(ErrorCode::ConstraintViolation) => Stopped::Uncommitted(words(&error)),
                _ => error.into(),
            }),
        }
    }

    /// Deletes one row with its dependents, or notes why it stays; `most`: the foreign keys that may refer to nothing afterwards, where that
    /// is to be asked.
    fn delete_row(
        &self,
        batch: &Batch,
        place: usize,
        most: Option<i64>,
        deletion: &mut Deletion,
    ) -> Result<(), Stopped> {
        self.connection.execute_batch("SAVEPOINT taskmon_row")?;
        let taken = self.take_row(batch, place).and_then(|taken| match most {
            Some(most) if matches!(taken, Taken::Gone { .. }) && self.dangling()? > most => {
                Ok(Taken::Kept(format!(
                    "FOREIGN KEY constraint failed: a row that would go along with it is still referred to (deferred) from {}",
                    self.deferred_further.join(" or ")
                )))
            }
            _ => Ok(taken),
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
        let row = &batch.rows[place];
        let Ok(table) = self.of(batch.scope) else {
            return Ok(Taken::NotThere);
        };
        let mut paths = Vec::new();
        let dependents = match batch.scope {
            Scope::Tasks(_) => &self.task_dependents,
            Scope::Receipts(_) => &self.dependents,
        };
        let condition = self.condition(batch.scope);
        // A view may show a row several times, and a key that is configured need not be unique.
        let alone = format!(
            "NOT EXISTS (SELECT 1 FROM {} WHERE {} AND ({condition}) IS NOT TRUE)",
            table.from,
            table.key_is()
        );
        let is_alone = || -> rusqlite::Result<bool> {
            let sql = format!("SELECT 1 WHERE {alone}");
            let mut statement = self.connection.prepare_cached(&sql)?;
            statement.exists(params_from_iter(values(&row.key)))
        };
        if !dependents.is_empty() && is_alone()? {
            for dependent in dependents {
                paths.extend(self.dependent_paths(dependent, &row.key, "DELETE")?);
            }
        }
        let referred: Vec<String> =
            (table.deferred.iter()).flat_map(|key| key.to.iter().cloned()).collect();
        let sql = if table.is_read_directly() {
            format!(
                "DELETE FROM {} WHERE {} AND {condition} RETURNING 1{}{}",
                table.delete_from,
                table.key_is(),
                listed(&table.files),
                listed(&referred)
            )
        } else {
            format!(
                "DELETE FROM {} WHERE {key} AND EXISTS (SELECT 1 FROM {} WHERE {key} AND {condition}) AND {alone} RETURNING 1{}",
                table.delete_from,
                table.from,
                listed(&referred),
                key = table.key_is(),
            )
        };
        let mut parents: Option<Vec<Value>> = None;
        {
            let files = if table.is_read_directly() { table.files.len() } else { 0 };
            let mut statement = self.connection.prepare_cached(&sql)?;
            let mut rows = statement.query(params_from_iter(values(&row.key)))?;
            while let Some(found) = rows.next()? {
                paths.extend(read_paths(found, 1, files)?);
                let own: rusqlite::Result<Vec<Value>> =
                    (0..referred.len()).map(|place| found.get(1 + files + place)).collect();
                parents = Some(own?);
            }
        }
        let is_there = self.row(batch.scope, &row.key)?.is_some();
        match parents {
            _ if is_there => Ok(Taken::Kept(
                "the database kept the row and gave no reason: a trigger ignored the deletion, or another row of the same key has not expired"
                    .to_owned(),
            )),
            None => Ok(Taken::NotThere),
            Some(parents) => {
                if let Some(words) = self.deferred_refusal(table, &parents)? {
                    return Ok(Taken::Kept(words));
                }
                paths.sort_unstable();
                let stored = row.paths.iter().map(|path| &path.stored);
                let changed = table.is_read_directly() && !paths.iter().eq(stored);
                Ok(Taken::Gone { changed })
            }
        }
    }

    /// What a deferred foreign key would say at the end of the transaction, when the files would be gone already.
    fn deferred_refusal(
        &self,
        table: &Table,
        parents: &[Value],
    ) -> rusqlite::Result<Option<String>> {
        let mut parents = parents.iter();
        for key in &table.deferred {
            let own: Vec<&Value> = parents.by_ref().take(key.to.len()).collect();
            let sql = format!("SELECT 1 FROM {} WHERE {} LIMIT 1", key.table, key_is(&key.from));
            let mut statement = self.connection.prepare_cached(&sql)?;
            if statement.exists(params_from_iter(own))? {
                return Ok(Some(format!(
                    "FOREIGN KEY constraint failed: {} still refers to it (deferred)",
                    key.table
                )));
            }
        }
        Ok(None)
    }

    /// Who still names the batch's files, and who still refers to its receipts.
    fn look_around(&self, batch: &Batch, deletion: &mut Deletion) -> rusqlite::Result<()> {
        let aliases = &self.settings.aliases;
        for check in batch.checks {
            for (source, key) in &check.references {
                let paths = self.paths_of(*source, key)?;
                if paths.iter().any(|path| aliases.canonical(path) == check.path) {
                    deletion.referring.push((*source, key.clone(), check.path.clone()));
                }
            }
        }
        let has_changed = self.data_version()? != self.version;
        let named: HashSet<&CanonicalPath> =
            deletion.referring.iter().map(|(_, _, path)| path).collect();
        let must_search = |check: &&ReferenceCheck| {
            !check.complete && (self.settings.mode == Mode::DryRun || !named.contains(&check.path))
        };
        let mut searched: HashSet<CanonicalPath> =
            batch.checks.iter().filter(must_search).map(|check| check.path.clone()).collect();
        if has_changed {
            let paths = batch.rows.iter().flat_map(|row| &row.paths);
            searched.extend(paths.map(|path| path.canonical.clone()));
        }
        if !searched.is_empty() {
            self.search(&searched, deletion)?;
        }
        if matches!(batch.scope, Scope::Receipts(_)) {
            let links: Vec<String> = batch.rows.iter().filter_map(|row| row.link.clone()).collect();
            deletion.linked = self.linked(&links)?;
        }
        Ok(())
    }

    /// Every row that names one of these paths.
    fn search(
        &self,
        searched: &HashSet<CanonicalPath>,
        deletion: &mut Deletion,
    ) -> rusqlite::Result<()> {
        for (source, key, from, files) in self.sources() {
            let sql = format!("SELECT {}{} FROM {from}", literals(&key), listed(&files));
            let mut statement = self.connection.prepare_cached(&sql)?;
            let mut rows = statement.query([])?;
            while let Some(row) = rows.next()? {
                for path in read_paths(row, key.len(), files.len())? {
                    let path = self.settings.aliases.canonical(&path);
                    if searched.contains(&path) {
                        let key = read_key(row, key.len())?;
                        deletion.referring.push((source, key, path));
                    }
                }
            }
        }
        Ok(())
    }

    fn paths_of(&self, source: Source, key: &Key) -> rusqlite::Result<Vec<Vec<u8>>> {
        let table = match source {
            Source::Tasks => Some(&self.tasks),
            Source::Receipts => self.receipts.as_ref(),
            Source::Dependents(place) => {
                return match self.dependents.get(place) {
                    Some(dependent) => self.dependent_paths(dependent, key, "SELECT"),
                    None => Ok(Vec::new()),
                };
            }
        };
        let Some(table) = table else {
            return Ok(Vec::new());
        };
        let sql = format!(
            "SELECT 1{} FROM {} WHERE {}",
            listed(&table.files),
            table.from,
            table.key_is()
        );
        let mut statement = self.connection.prepare_cached(&sql)?;
        let mut rows = statement.query(params_from_iter(values(key)))?;
        let mut paths = Vec::new();
        while let Some(row) = rows.next()? {
            paths.extend(read_paths(row, 1, table.files.len())?);
        }
        Ok(paths)
    }
}

fn is_full(error: &rusqlite::Error) -> bool {
    error.sqlite_error_code() == Some(ErrorCode::DiskFull)
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

fn quote(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

/// A source as the statements number it.
fn number(source: Source) -> i64 {
    match source {
        Source::Tasks => 0,
        Source::Receipts => 1,
        Source::Dependents(place) => 2 + place as i64,
    }
}

fn source(number: i64) -> Source {
    match number {
        0 => Source::Tasks,
        1 => Source::Receipts,
        place => Source::Dependents((place - 2).unsigned_abs() as usize),
    }
}
