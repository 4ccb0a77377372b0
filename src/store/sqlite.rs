//! SQLite, opened read-only.
//!
//! SQLite has no time type: a column holds text (with a space or a `T`, with or without an offset) or a number of seconds or
//! milliseconds, and text compares byte by byte. So the counting of days reads the values themselves, from an index if there is one, and
//! notes in which forms they come. Where all have one form, the other statements compare text with bounds in that form;
//! where forms are mixed, they ask a function of ours about each row.

mod clock;
pub mod inspect;
mod live;
pub mod prune;

use super::sql::{BLAME, Fields, Refusal, culprit, key_order, source};
use super::{
    BacklogCount, Cell, DayCount, DayFigures, DayRequest, FailedTask, LiveFigures, LiveRequest,
    PERCENTILES, Percentiles, Settings, SlowTask, Store,
};
use crate::calendar::{Buckets, day_buckets, hour_buckets, instant_of};
use crate::mapping::{Field, Membership, State, TaskTable, Wait};
use crate::outcome::{Failure, Kind};
use anyhow::Result;
use chrono::{DateTime, Utc};
use clock::{Forms, Moment, Ruler};
use rusqlite::config::DbConfig;
use rusqlite::functions::FunctionFlags;
use rusqlite::trace::{TraceEvent, TraceEventCodes};
use rusqlite::types::{Value, ValueRef};
use rusqlite::{Connection, ErrorCode, OpenFlags, Row};
use std::collections::{BTreeMap, HashMap};
use std::path::Path;
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::thread;
use std::time::Duration;

pub struct SqliteStore {
    connection: Connection,
    settings: Settings,
    fields: Fields,
}

impl SqliteStore {
    /// # Errors
    /// A file that is missing (it is never made), is no database or cannot be read; a table that does not fit.
    pub fn open(path: &Path, settings: Settings) -> Result<Self> {
        let connection = open_read_only(path, settings.connect_timeout)?;
        register_lower(&connection).map_err(|error| {
            unavailable(&format!("{} cannot be opened", path.display()), &error)
        })?;
        let table = &settings.tasks;
        let fields = Fields::find(table, &mut |entries| try_select(&connection, table, entries))?;
        Ok(Self { connection, fields, settings })
    }
}

/// A pipe in the place of the file would be waited for without an end.
fn require_file(path: &Path) -> Result<(), Failure> {
    let what = match path {
        path if path.is_file() => return Ok(()),
        path if path.is_dir() => "a folder",
        _ => "no regular file",
    };
    let message = format!("{} is {what}, not a SQLite file", path.display());
    Err(Failure::new(Kind::DatabaseUnavailable, message))
}

fn open_read_only(path: &Path, patience: Duration) -> Result<Connection> {
    let shown = path.display();
    if !path.exists() {
        let failure =
            Failure::new(Kind::DatabaseUnavailable, format!("there is no SQLite file {shown}"));
        return Err(failure
            .hint("taskmon never makes a database; check the path, relative ones start at base_dir or, outside the file, at the working directory")
            .into());
    }
    require_file(path)?;
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let mut connection = Connection::open_with_flags(path, flags)
        .map_err(|error| unavailable(&format!("{shown} cannot be opened"), &error))?;
    log_statements(&mut connection)
        .and_then(|()| connection.busy_timeout(patience))
        // A quoted column that is not there would else be a string: every task in one and the same state.
        .and_then(|()| connection.set_db_config(DbConfig::SQLITE_DBCONFIG_DQS_DML, false))
        .map_err(|error| unavailable(&format!("{shown} cannot be opened"), &error))?;
    // The first read of the file: says whether it is a database at all.
    connection
        .query_row("SELECT count(*) FROM sqlite_schema", [], |_| Ok(()))
        .map_err(|error| unavailable(&format!("{shown} cannot be read"), &error))?;
    Ok(connection)
}

/// `taskmon_lower`: lower case as [`State`]s are matched in, whatever the letters.
fn register_lower(connection: &Connection) -> rusqlite::Result<()> {
    let flags = FunctionFlags::SQLITE_UTF8 | FunctionFlags::SQLITE_DETERMINISTIC;
    connection.create_scalar_function("taskmon_lower", 1, flags, |context| {
        let text = context.get_raw(0).as_str_or_null();
        Ok(text.ok().flatten().map(str::to_lowercase))
    })
}

/// Every statement as it runs, its values in place: what stands in the log can be tried in SQLite's shell.
fn log_statements(connection: &mut Connection) -> rusqlite::Result<()> {
    if !log::log_enabled!(log::Level::Debug) {
        return Ok(());
    }
    let log = |event: TraceEvent| {
        if let TraceEvent::Stmt(statement, _) = event
            && let Some(sql) = statement.expanded_sql()
        {
            log::debug!("{sql}");
        }
    };
    connection.trace_v2(TraceEventCodes::SQLITE_TRACE_STMT, Some(log))
}

fn unavailable(what: &str, error: &rusqlite::Error) -> Failure {
    let failure = Failure::new(Kind::DatabaseUnavailable, format!("{what}: {}", words(error)));
    match error.sqlite_error_code() {
        // In WAL mode even a reader makes files beside the database, where no other program has.
        Some(ErrorCode::ReadOnly | ErrorCode::CannotOpen) => {
            failure.hint("a database in WAL mode can only be read by who may write to its folder, or while the application has it open")
        }
        _ => failure,
    }
}

/// SQLite's own words, without the wrapping.
fn words(error: &rusqlite::Error) -> String {
    match error {
        rusqlite::Error::SqliteFailure(_, Some(message)) => message.clone(),
        rusqlite::Error::SqlInputError { msg, .. } => msg.clone(),
        other => other.to_string(),
    }
}

fn failure(error: &rusqlite::Error, doing: &str, settings: &Settings) -> Failure {
    let message = format!("{doing}: {}", words(error));
    match error.sqlite_error_code() {
        Some(ErrorCode::OperationInterrupted) => Failure::new(
            Kind::StatementTimeout,
            format!("{doing} took longer than {} seconds", settings.statement_timeout.as_secs()),
        )
        .hint("raise database.statement_timeout_seconds, or add the index that is missing"),
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => {
            Failure::new(Kind::DatabaseUnavailable, message)
                .hint("another program holds the database; try again")
        }
        Some(
            ErrorCode::CannotOpen
            | ErrorCode::NotADatabase
            | ErrorCode::DatabaseCorrupt
            | ErrorCode::SystemIoFailure,
        ) => Failure::new(Kind::DatabaseUnavailable, message),
        _ => Failure::new(Kind::QueryFailed, message),
    }
}

fn try_select(connection: &Connection, table: &TaskTable, entries: &str) -> Result<(), Refusal> {
    let sql = format!("SELECT {entries} FROM {} LIMIT 0", table.from);
    let prepared = connection.prepare(&sql).map(drop);
    prepared.map_err(|error| refusal(&error))
}

fn refusal(error: &rusqlite::Error) -> Refusal {
    let words = words(error);
    match () {
        () if words.contains("no such column") => Refusal::MissingColumn(words),
        () if words.contains("no such table") => Refusal::MissingTable(words),
        // What SQLite found wrong while it read the text of the statement.
        () if matches!(error, rusqlite::Error::SqlInputError { .. }) => {
            Refusal::BadExpression(words)
        }
        () if error.sqlite_error_code() == Some(ErrorCode::Unknown) => {
            Refusal::BadExpression(words)
        }
        () => Refusal::Failed(unavailable("the database cannot be read", error)),
    }
}

impl Store for SqliteStore {
    fn day_figures(&mut self, request: &DayRequest) -> Result<DayFigures> {
        self.report(request, |report| report.figures())
    }

    fn live_figures(&mut self, request: &LiveRequest) -> Result<LiveFigures> {
        self.report(&live::day(request), |report| report.live(request))
    }

    fn missing(&self) -> &[Field] {
        &self.fields.missing
    }

    fn types(&self) -> Vec<(Field, String)> {
        let present = &self.fields.present;
        let source = source(&self.settings.tasks, present, &[]);
        let statement = self.connection.prepare(&format!("SELECT * FROM {source}"));
        let declared = statement.map_or_else(
            |_| Vec::new(),
            |statement| {
                let columns = statement.columns();
                let name = |column: rusqlite::Column| {
                    column.decl_type().unwrap_or("expression").to_lowercase()
                };
                columns.map(name).collect()
            },
        );
        present.iter().copied().zip(declared).collect()
    }
}

impl SqliteStore {
    /// Makes a report from one snapshot, within the time limit.
    fn report<T>(
        &self,
        request: &DayRequest,
        make: impl FnOnce(&Report) -> Result<T, Broken>,
    ) -> Result<T> {
        let watchdog = Watchdog::start(&self.connection, self.settings.statement_timeout);
        let result = Report::begin(self, request).and_then(|report| make(&report));
        drop(watchdog);
        // The snapshot ends whatever came of the report.
        let ended = self.connection.execute_batch("ROLLBACK");
        let made = result.map_err(|(doing, error)| {
            let is_of_mapping = error.sqlite_error_code() == Some(ErrorCode::Unknown);
            let blamed = is_of_mapping.then(|| self.blame()).flatten();
            blamed.unwrap_or_else(|| failure(&error, doing, &self.settings))
        })?;
        ended
            .map_err(|error| failure(&error, "ending the report's transaction", &self.settings))?;
        Ok(made)
    }
}

impl SqliteStore {
    fn blame(&self) -> Option<Failure> {
        let table = &self.settings.tasks;
        let _watchdog = Watchdog::start(&self.connection, BLAME);
        culprit(table, &self.fields.present, &overlay(table), &mut |sql| {
            let counted = self.connection.query_row(sql, [], |_| Ok(()));
            counted.map_err(|error| refusal(&error))
        })
    }
}

/// Interrupts the connection when a report takes too long; dropped, it stands down.
struct Watchdog {
    _leash: Sender<()>,
}

impl Watchdog {
    fn start(connection: &Connection, limit: Duration) -> Option<Self> {
        if limit.is_zero() {
            return None;
        }
        let handle = connection.get_interrupt_handle();
        let (leash, released) = channel::<()>();
        thread::spawn(move || {
            if released.recv_timeout(limit) == Err(RecvTimeoutError::Timeout) {
                handle.interrupt();
            }
        });
        Some(Self { _leash: leash })
    }
}

/// What was being done, and SQLite's error.
type Broken = (&'static str, rusqlite::Error);

fn while_doing<T>(doing: &'static str, result: rusqlite::Result<T>) -> Result<T, Broken> {
    result.map_err(|error| (doing, error))
}

/// One report's statements on one snapshot.
struct Report<'a> {
    connection: &'a Connection,
    settings: &'a Settings,
    fields: &'a Fields,
    request: &'a DayRequest,
    source: String,
    hours: Buckets<u8>,
    ruler: Ruler,
    /// The status labels that occur, where an index tells them quickly.
    labels: Option<Vec<String>>,
}

/// "The task belongs to the day", and the values that the text binds.
struct DayCondition {
    sql: String,
    values: Vec<Value>,
}

/// The function that says whether a time in any form lies within the day.
const IN_DAY: &str = "taskmon_in_day";

impl<'a> Report<'a> {
    fn begin(store: &'a SqliteStore, request: &'a DayRequest) -> Result<Self, Broken> {
        let connection = &store.connection;
        while_doing("beginning the report", connection.execute_batch("BEGIN"))?;
        let table = &store.settings.tasks;
        let hours = hour_buckets(&request.day);
        let labels = labels(connection, table, &store.fields);
        Ok(Self {
            connection,
            settings: &store.settings,
            fields: &store.fields,
            request,
            source: source(table, &store.fields.present, &overlay(table)),
            ruler: Ruler::new(&hours.bounds, store.settings.naive_zone),
            hours,
            labels: while_doing("reading the statuses", labels)?,
        })
    }

    fn figures(&self) -> Result<DayFigures, Broken> {
        let mut figures = DayFigures {
            counted_by: Some(self.fields.counted_by),
            missing: self.fields.missing.clone(),
            ..DayFigures::default()
        };
        let forms = while_doing("counting the days before", self.trend(&mut figures))?;
        let day = while_doing("finding the day", self.in_day(forms))?;
        while_doing("counting the day's tasks", self.cells(&day, &mut figures))?;
        if self.fields.has(Field::ProcessingTime) {
            while_doing("computing percentiles", self.percentiles(&day, &mut figures))?;
            while_doing("finding the slowest tasks", self.slowest(&day, &mut figures))?;
        }
        if self.fields.has(Field::ErrorMessage) {
            while_doing("sorting the errors", self.categories(&day, &mut figures))?;
        }
        while_doing("listing failed tasks", self.failed(&day, &mut figures))?;
        while_doing("counting open tasks", self.backlog(&mut figures))?;
        while_doing("counting tasks without a date", self.undated(&mut figures))?;
        Ok(figures)
    }

    /// A field's column, or NULL.
    fn column(&self, field: Field) -> String {
        if self.fields.has(field) { format!("t.{}", field.name()) } else { "NULL".to_owned() }
    }

    fn time(&self) -> &'static str {
        self.fields.counted_by.name()
    }

    /// Reads time and status of every row that can belong to one of the days, from an index where there is one, and counts.
    fn trend(&self, figures: &mut DayFigures) -> rusqlite::Result<Forms> {
        let days = day_buckets(&self.request.trend);
        let ruler = Ruler::new(&days.bounds, self.settings.naive_zone);
        let mut tally = Tally::default();
        for (low, high) in self.wide_ranges(&ruler)? {
            for status in self.each_status() {
                let sql = format!(
                    "SELECT t.{time}, CAST(t.status AS TEXT) FROM {} WHERE {status} t.{time} >= ? AND t.{time} < ?",
                    self.source,
                    time = self.time(),
                );
                let mut statement = self.connection.prepare(&sql)?;
                let mut rows = statement.query([&low, &high])?;
                while let Some(row) = rows.next()? {
                    tally.count(row, &ruler)?;
                }
            }
        }
        self.look_for_strange_times(&mut tally)?;
        figures.trend = tally.by_day(&days);
        figures.unreadable = tally.unreadable;
        Ok(tally.forms)
    }

    /// Conditions that together let every row pass once; with the labels known, each is served by the index on (status, time).
    fn each_status(&self) -> Vec<String> {
        match &self.labels {
            None => vec![String::new()],
            Some(labels) => {
                let quoted: Vec<String> = labels.iter().map(|label| quote(label)).collect();
                vec![
                    format!("t.status IN ({}) AND", quoted.join(", ")),
                    "t.status IS NULL AND".to_owned(),
                ]
            }
        }
    }

    /// The ranges of values, of whichever type, that can lie within the ruler's bounds.
    fn wide_ranges(&self, ruler: &Ruler) -> rusqlite::Result<Vec<(Value, Value)>> {
        let mut ranges = Vec::new();
        if let Some((low, high)) = ruler.text_range() {
            ranges.push((Value::Text(low), Value::Text(high)));
        }
        // Numbers come before text in SQLite's order.
        let sql =
            format!("SELECT EXISTS (SELECT 1 FROM {} WHERE t.{} < '')", self.source, self.time());
        if self.connection.prepare(&sql)?.query_row([], |row| row.get(0))? {
            let numbers = ruler.number_ranges().into_iter().flatten();
            ranges.extend(numbers.map(|(low, high)| (Value::Integer(low), Value::Integer(high))));
        }
        Ok(ranges)
    }

    /// Text that does not start like a year from 1900 to 2999 lies in no range above; what of it is no time would be lost silently.
    fn look_for_strange_times(&self, tally: &mut Tally) -> rusqlite::Result<()> {
        let time = self.time();
        for range in [format!("t.{time} >= '' AND t.{time} < '19'"), format!("t.{time} >= '3'")] {
            let sql = format!("SELECT t.{time} FROM {} WHERE {range}", self.source);
            let mut statement = self.connection.prepare(&sql)?;
            let mut rows = statement.query([])?;
            while let Some(row) = rows.next()? {
                tally.read(row)?;
            }
        }
        Ok(())
    }

    /// The day's condition: bounds in the one form that all values have, else wide ranges and a function that knows every form.
    fn in_day(&self, forms: Forms) -> rusqlite::Result<DayCondition> {
        let time = self.time();
        let ranges = self.request.day.ranges();
        if ranges.is_empty() {
            return Ok(DayCondition { sql: "0".to_owned(), values: Vec::new() });
        }
        let zone = self.settings.naive_zone;
        let mut values = Vec::new();
        let mut conditions = Vec::new();
        let mut add = |low: Value, high: Value| {
            values.extend([low, high]);
            let last = values.len();
            conditions.push(format!("(t.{time} >= ?{} AND t.{time} < ?{last})", last - 1));
        };
        if let Some(separator) = forms.separator() {
            for (start, end) in ranges {
                let text = |instant| Value::Text(clock::bound_text(instant, zone, separator));
                add(text(start), text(end));
            }
            let sql = format!("({})", conditions.join(" OR "));
            return Ok(DayCondition { sql, values });
        }
        self.register_in_day()?;
        for (low, high) in self.wide_ranges(&self.ruler)? {
            add(low, high);
        }
        let sql = format!("(({}) AND {IN_DAY}(t.{time}))", conditions.join(" OR "));
        Ok(DayCondition { sql, values })
    }

    fn register_in_day(&self) -> rusqlite::Result<()> {
        let (ruler, hours) = (self.ruler.clone(), self.hours.clone());
        let flags = FunctionFlags::SQLITE_UTF8 | FunctionFlags::SQLITE_DETERMINISTIC;
        self.connection.create_scalar_function(IN_DAY, 1, flags, move |context| {
            let moment = clock::read(context.get_raw(0));
            Ok(moment.is_some_and(|moment| hours.name(ruler.place(moment)).is_some()))
        })
    }

    fn cells(&self, day: &DayCondition, figures: &mut DayFigures) -> rusqlite::Result<()> {
        let sql = format!(
            "SELECT t.{time}, CAST(t.status AS TEXT), {}, {}, {}, {} FROM {} WHERE {}",
            self.column(Field::RetryCount),
            self.column(Field::ProcessingTime),
            self.column(Field::StartedAt),
            self.column(Field::WaitTime),
            self.source,
            day.sql,
            time = self.time(),
        );
        let mut statement = self.connection.prepare(&sql)?;
        let mut rows = statement.query(rusqlite::params_from_iter(&day.values))?;
        let mut labels = Labels::default();
        let mut cells: HashMap<(u8, usize, Option<i64>), Cell> = HashMap::new();
        while let Some(row) = rows.next()? {
            let Some(created) = clock::read(row.get_ref(0)?) else {
                continue; // counted as unreadable with the trend
            };
            let Some(&hour) = self.hours.name(self.ruler.place(created)) else {
                continue;
            };
            let label = labels.place(row.get_ref(1)?);
            let retries = row.get(2)?;
            let cell = cells
                .entry((hour, label, retries))
                .or_insert_with(|| Cell::empty(hour, labels.label(label), retries));
            cell.tasks += 1;
            if let Some(seconds) = row.get::<_, Option<f64>>(3)? {
                cell.timed += 1;
                cell.micros += micros(seconds);
            }
            let wait = match self.settings.tasks.wait {
                Wait::SinceCreation => {
                    self.since_creation(created, clock::read(row.get_ref(4)?)).map(i128::from)
                }
                Wait::AlertUpdate(_) | Wait::Unknown => row.get::<_, Option<f64>>(5)?.map(micros),
            };
            if let Some(wait) = wait {
                cell.waited += 1;
                cell.wait_micros += wait;
            }
        }
        figures.cells = cells.into_values().collect();
        Ok(())
    }

    /// Microseconds from a task's creation to its start.
    fn since_creation(&self, created: Moment, started: Option<Moment>) -> Option<i64> {
        let started = started?;
        if self.fields.counted_by != Field::CreatedAt {
            return None;
        }
        if created.form.is_instant() == started.form.is_instant() {
            return started.micros.checked_sub(created.micros);
        }
        let (created, started) = (self.instant(created), self.instant(started));
        (started - created).num_microseconds()
    }

    fn instant(&self, moment: Moment) -> DateTime<Utc> {
        if moment.form.is_instant() {
            clock::wall_clock(moment.micros).and_utc()
        } else {
            instant_of(clock::wall_clock(moment.micros), self.settings.naive_zone)
        }
    }

    /// The same interpolation as `percentile_cont`: between the two values around each share of the way from first to last.
    fn percentiles(&self, day: &DayCondition, figures: &mut DayFigures) -> rusqlite::Result<()> {
        let timed: u64 = figures.cells.iter().map(|cell| cell.timed).sum();
        let Some(last) = timed.checked_sub(1) else {
            return Ok(());
        };
        let around = PERCENTILES.map(|share| {
            let place = share * last as f64;
            (place.floor(), place.ceil(), place - place.floor())
        });
        let mut wanted: Vec<u64> = around
            .iter()
            .flat_map(|(low, high, _)| [*low as u64, *high as u64])
            .chain([last])
            .collect();
        wanted.sort_unstable();
        wanted.dedup();
        let places: Vec<String> = wanted.iter().map(u64::to_string).collect();
        let sql = format!(
            "SELECT place, seconds FROM (SELECT t.processing_time AS seconds, \
             row_number() OVER (ORDER BY t.processing_time) - 1 AS place FROM {} WHERE {} AND t.processing_time IS NOT NULL) \
             WHERE place IN ({})",
            self.source,
            day.sql,
            places.join(", "),
        );
        let mut statement = self.connection.prepare(&sql)?;
        let mut rows = statement.query(rusqlite::params_from_iter(&day.values))?;
        let mut values: BTreeMap<u64, f64> = BTreeMap::new();
        while let Some(row) = rows.next()? {
            values.insert(row.get::<_, i64>(0)?.unsigned_abs(), row.get(1)?);
        }
        let at = |place: f64| values.get(&(place as u64)).copied().unwrap_or_default();
        let [p50, p90, p95, p99] =
            around.map(|(low, high, part)| at(low) + part * (at(high) - at(low)));
        figures.percentiles = Some(Percentiles { p50, p90, p95, p99, max: at(last as f64) });
        Ok(())
    }

    fn slowest(&self, day: &DayCondition, figures: &mut DayFigures) -> rusqlite::Result<()> {
        let sql = format!(
            "SELECT CAST(t.label AS TEXT), t.processing_time, CAST(t.status AS TEXT) FROM {} \
             WHERE {} AND t.processing_time IS NOT NULL ORDER BY t.processing_time DESC, {} LIMIT {}",
            self.source,
            day.sql,
            key_order(&self.settings.tasks),
            self.request.slowest,
        );
        let mut statement = self.connection.prepare(&sql)?;
        let tasks = statement.query_map(rusqlite::params_from_iter(&day.values), |row| {
            Ok(SlowTask { task: text(row, 0)?, processing_time: row.get(1)?, label: text(row, 2)? })
        })?;
        figures.slowest = tasks.collect::<rusqlite::Result<_>>()?;
        Ok(())
    }

    fn categories(&self, day: &DayCondition, figures: &mut DayFigures) -> rusqlite::Result<()> {
        let mut values = day.values.clone();
        let mut cases = String::new();
        for (place, texts) in self.request.categories.iter().enumerate() {
            let contains: Vec<String> = texts
                .iter()
                .map(|text| {
                    values.push(Value::Text(text.clone()));
                    format!("instr(t.error_message, ?{}) > 0", values.len())
                })
                .collect();
            cases += &format!(" WHEN {} THEN {place}", contains.join(" OR "));
        }
        let category =
            if cases.is_empty() { "NULL".to_owned() } else { format!("CASE{cases} END") };
        let sql = format!(
            "SELECT {category}, count(*) FROM {} WHERE {} AND {} AND t.error_message <> '' GROUP BY 1",
            self.source,
            self.in_states(&[State::Failed]),
            day.sql,
        );
        let mut statement = self.connection.prepare(&sql)?;
        let counts = statement.query_map(rusqlite::params_from_iter(&values), |row| {
            let place: Option<i64> = row.get(0)?;
            let place = place.map(|place| place.unsigned_abs() as usize);
            Ok((place, row.get::<_, i64>(1)?.unsigned_abs()))
        })?;
        figures.categories = counts.collect::<rusqlite::Result<_>>()?;
        Ok(())
    }

    fn failed(&self, day: &DayCondition, figures: &mut DayFigures) -> rusqlite::Result<()> {
        // Mixed forms do not sort by time as they stand; the function's order is the instants'.
        let sql = format!(
            "SELECT CAST(t.label AS TEXT), CAST({} AS TEXT), {}, t.{time} FROM {} WHERE {} AND {} ORDER BY {} DESC, {} LIMIT {}",
            self.column(Field::ErrorMessage),
            self.column(Field::RetryCount),
            self.source,
            self.in_states(&[State::Failed]),
            day.sql,
            self.newest(day)?,
            key_order(&self.settings.tasks),
            self.request.failed_details,
            time = self.time(),
        );
        let mut statement = self.connection.prepare(&sql)?;
        let mut rows = statement.query(rusqlite::params_from_iter(&day.values))?;
        while let Some(row) = rows.next()? {
            if let Some(created) = clock::read(row.get_ref(3)?) {
                figures.failed.push(FailedTask {
                    task: text(row, 0)?,
                    message: text(row, 1)?,
                    retries: row.get(2)?,
                    created_at: self.instant(created),
                });
            }
        }
        Ok(())
    }

    /// What sorts rows by time: the column, or where forms are mixed the instant that a function makes of it.
    fn newest(&self, day: &DayCondition) -> rusqlite::Result<String> {
        if !day.sql.contains(IN_DAY) {
            return Ok(format!("t.{}", self.time()));
        }
        let zone = self.settings.naive_zone;
        let flags = FunctionFlags::SQLITE_UTF8 | FunctionFlags::SQLITE_DETERMINISTIC;
        self.connection.create_scalar_function("taskmon_micros", 1, flags, move |context| {
            let moment = clock::read(context.get_raw(0));
            Ok(moment.map(|moment| {
                if moment.form.is_instant() {
                    moment.micros
                } else {
                    instant_of(clock::wall_clock(moment.micros), zone).timestamp_micros()
                }
            }))
        })?;
        Ok(format!("taskmon_micros(t.{})", self.time()))
    }

    fn backlog(&self, figures: &mut DayFigures) -> rusqlite::Result<()> {
        let sql = format!(
            "SELECT CAST(t.status AS TEXT), CAST({} AS TEXT), count(*) FROM {} WHERE {} GROUP BY 1, 2",
            self.column(Field::Queue),
            self.source,
            self.in_states(&[State::Pending, State::Processing]),
        );
        let mut statement = self.connection.prepare(&sql)?;
        let counts = statement.query_map([], |row| {
            Ok(BacklogCount {
                label: row.get(0)?,
                queue: row.get(1)?,
                tasks: row.get::<_, i64>(2)?.unsigned_abs(),
            })
        })?;
        figures.backlog = counts.collect::<rusqlite::Result<_>>()?;
        Ok(())
    }

    fn undated(&self, figures: &mut DayFigures) -> rusqlite::Result<()> {
        let sql = format!("SELECT count(*) FROM {} WHERE t.{} IS NULL", self.source, self.time());
        let count: i64 = self.connection.prepare(&sql)?.query_row([], |row| row.get(0))?;
        figures.undated = count.unsigned_abs();
        Ok(())
    }

    /// "The task is in one of these states."
    fn in_states(&self, states: &[State]) -> String {
        let mapping = &self.settings.tasks.states;
        let (column, operator, labels): (&str, &str, Vec<String>) = match &self.labels {
            Some(labels) => {
                let claimed =
                    labels.iter().filter(|label| states.contains(&mapping.of(Some(label))));
                ("t.status", "IN", claimed.map(|label| quote(label)).collect())
            }
            None => {
                let (folded, operator) = match mapping.membership(states) {
                    Membership::In(labels) => (labels, "IN"),
                    Membership::NotIn(labels) => (labels, "NOT IN"),
                };
                // SQLite's own function knows no letters beyond ASCII, and is faster.
                let column = if folded.iter().all(|label| label.is_ascii()) {
                    "lower(CAST(t.status AS TEXT))"
                } else {
                    "taskmon_lower(CAST(t.status AS TEXT))"
                };
                let labels = folded.iter().map(|label| quote(label)).collect();
                (column, operator, labels)
            }
        };
        format!("{column} {operator} ({})", labels.join(", "))
    }
}

/// Values of a text column as they are; what is no UTF-8 is told with replacement characters rather than not at all.
fn text(row: &Row, column: usize) -> rusqlite::Result<Option<String>> {
    Ok(match row.get_ref(column)? {
        ValueRef::Text(bytes) => Some(String::from_utf8_lossy(bytes).into_owned()),
        _ => None,
    })
}

fn quote(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

/// Ties to even, as PostgreSQL rounds a float to an integer.
fn micros(seconds: f64) -> i128 {
    (seconds * 1e6).round_ties_even() as i128
}

/// Fields that are read in another form than they are stored in.
fn overlay(table: &TaskTable) -> Vec<(Field, String)> {
    let mut overlay = Vec::new();
    for field in [Field::ProcessingTime, Field::WaitTime] {
        if let Some(seconds) = table.field(field) {
            // What would overflow a sum of microseconds, or is text, is no duration.
            let form = format!(
                "CASE WHEN typeof({seconds}) IN ('real', 'integer') AND ({seconds}) BETWEEN -1e12 AND 1e12 THEN CAST(({seconds}) AS REAL) END"
            );
            overlay.push((field, form));
        }
    }
    if let Some(retries) = table.field(Field::RetryCount) {
        overlay.push((Field::RetryCount, format!("CAST(({retries}) AS INTEGER)")));
    }
    overlay
}

/// More labels than this are no statuses to go through one by one.
const MOST_LABELS: usize = 100;

/// The status labels that occur, found by leaps through an index on (status, time); `None` where there is none.
fn labels(
    connection: &Connection,
    table: &TaskTable,
    fields: &Fields,
) -> rusqlite::Result<Option<Vec<String>>> {
    let time = table.field(fields.counted_by).unwrap_or_default();
    let is_indexed: bool = connection.query_row(
        "SELECT EXISTS (SELECT 1 FROM pragma_index_list(?1) AS l \
         JOIN pragma_index_info(l.name) AS first ON first.seqno = 0 AND first.name = ?2 COLLATE NOCASE \
         JOIN pragma_index_info(l.name) AS second ON second.seqno = 1 AND second.name = ?3 COLLATE NOCASE \
         WHERE l.partial = 0)",
        [&table.from, &table.status, time],
        |row| row.get(0),
    )?;
    if !is_indexed {
        return Ok(None);
    }
    let sql = format!(
        "WITH RECURSIVE label(value) AS (SELECT min({status}) FROM {from} UNION ALL \
         SELECT (SELECT min({status}) FROM {from} WHERE {status} > label.value) FROM label WHERE label.value IS NOT NULL) \
         SELECT value FROM label WHERE value IS NOT NULL LIMIT {}",
        MOST_LABELS + 1,
        status = table.status,
        from = table.from,
    );
    let mut statement = connection.prepare(&sql)?;
    let mut rows = statement.query([])?;
    let mut labels = Vec::new();
    while let Some(row) = rows.next()? {
        match row.get_ref(0)? {
            ValueRef::Text(bytes) => match std::str::from_utf8(bytes) {
                Ok(label) => labels.push(label.to_owned()),
                Err(_) => return Ok(None),
            },
            _ => return Ok(None), // numbers: compared as text, by the other way
        }
    }
    Ok((labels.len() <= MOST_LABELS).then_some(labels))
}

/// Status labels by number, so that a row costs a comparison and no copy.
#[derive(Default)]
struct Labels {
    known: Vec<Option<String>>,
}

impl Labels {
    fn place(&mut self, value: ValueRef) -> usize {
        let bytes = match value {
            ValueRef::Text(bytes) => Some(bytes),
            _ => None,
        };
        let known =
            self.known.iter().position(|label| label.as_deref().map(str::as_bytes) == bytes);
        known.unwrap_or_else(|| {
            let label = bytes.map(|bytes| String::from_utf8_lossy(bytes).into_owned());
            self.known.push(label);
            self.known.len() - 1
        })
    }

    fn label(&self, place: usize) -> Option<String> {
        self.known.get(place).cloned().flatten()
    }
}

/// What the counting of days finds.
#[derive(Default)]
struct Tally {
    labels: Labels,
    /// By the number of bounds passed, and the label's number.
    counts: HashMap<(usize, usize), u64>,
    forms: Forms,
    unreadable: Option<(u64, String)>,
}

impl Tally {
    /// The time in a row's first column; what is no time is kept in mind.
    fn read(&mut self, row: &Row) -> rusqlite::Result<Option<Moment>> {
        let value = row.get_ref(0)?;
        let moment = clock::read(value);
        match (&moment, &mut self.unreadable) {
            (Some(moment), _) => self.forms.note(moment.form),
            (None, Some((count, _))) => *count += 1,
            (None, empty) => *empty = Some((1, shown(value))),
        }
        Ok(moment)
    }

    fn count(&mut self, row: &Row, ruler: &Ruler) -> rusqlite::Result<()> {
        if let Some(moment) = self.read(row)? {
            let label = self.labels.place(row.get_ref(1)?);
            *self.counts.entry((ruler.place(moment), label)).or_default() += 1;
        }
        Ok(())
    }

    fn by_day(&self, days: &Buckets<usize>) -> Vec<DayCount> {
        self.counts
            .iter()
            .filter_map(|((passed, label), tasks)| {
                Some(DayCount {
                    day: *days.name(*passed)?,
                    label: self.labels.label(*label),
                    tasks: *tasks,
                })
            })
            .collect()
    }
}

/// A value as an error message shows it, not longer than a line.
fn shown(value: ValueRef) -> String {
    match value {
        ValueRef::Text(bytes) => String::from_utf8_lossy(bytes).chars().take(60).collect(),
        ValueRef::Blob(bytes) => format!("a blob of {} bytes", bytes.len()),
        other => format!("{other:?}"),
    }
}
