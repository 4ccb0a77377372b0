//! The statements of a day's report, and how their rows become figures. See `store/sql.rs` for what both databases share.

mod live;

use super::super::sql::{Fields, key_order, source};
use super::super::{
    BacklogCount, Cell, DayCount, DayFigures, DayRequest, FailedTask, LiveFigures, PERCENTILES,
    Percentiles, Settings, SlowTask,
};
use super::shape::{Shape, StatusType, TimeType, literal};
use crate::calendar::{Buckets, day_buckets, hour_buckets, instant_of, wall_clock_bound};
use crate::mapping::{Field, Membership, State, States, TaskTable, Wait};
use chrono::{DateTime, NaiveDateTime, Utc};
use chrono_tz::Tz;
use postgres::Row;
use postgres::types::{ToSql, Type};
use std::collections::{BTreeMap, BTreeSet};

/// What a row of the day's statement tells, as its first column says.
mod part {
    pub const CELL: i32 = 0;
    pub const PERCENTILES: i32 = 1;
    pub const SLOW_TASK: i32 = 2;
}

/// A failed task's message that is in no category; NULL stands for tasks without one.
const NO_CATEGORY: i32 = -1;

/// Everything that a report asks, ready to be sent.
pub struct Plan {
    pub statements: Vec<Statement>,
    /// Opens the transaction.
    pub begin: String,
    fields: Fields,
    naive_zone: Tz,
    time: TimeType,
    /// Of the time since which tasks are processed.
    since: TimeType,
    hours: Buckets<u8>,
    days: Buckets<usize>,
}

/// What the rows say. A plan fills the one or the other.
#[derive(Default)]
pub struct Figures {
    pub day: DayFigures,
    pub live: LiveFigures,
}

/// One question, and what is done with its answer.
pub struct Statement {
    pub name: &'static str,
    pub sql: String,
    bound: Vec<Bound>,
    read: Reader,
}

enum Reader {
    Day(Fold<DayFigures>),
    Live(Fold<LiveFigures>),
}

type Fold<F> = fn(&Plan, &[Row], &mut F) -> Result<(), postgres::Error>;

/// A value that is bound to a statement.
enum Bound {
    Instants(Vec<DateTime<Utc>>),
    WallClocks(Vec<NaiveDateTime>),
    Texts(Vec<String>),
    Places(Vec<i32>),
    Count(i64),
    Shares(Vec<f64>),
}

impl Statement {
    pub fn parameters(&self) -> Vec<(&(dyn ToSql + Sync), Type)> {
        self.bound
            .iter()
            .map(|bound| -> (&(dyn ToSql + Sync), Type) {
                match bound {
                    Bound::Instants(values) => (values, Type::TIMESTAMPTZ_ARRAY),
                    Bound::WallClocks(values) => (values, Type::TIMESTAMP_ARRAY),
                    Bound::Texts(values) => (values, Type::TEXT_ARRAY),
                    Bound::Places(values) => (values, Type::INT4_ARRAY),
                    Bound::Count(value) => (value, Type::INT8),
                    Bound::Shares(values) => (values, Type::FLOAT8_ARRAY),
                }
            })
            .collect()
    }
}

/// A statement in the making: its values are bound where its text names them.
struct Draft<'a> {
    writer: &'a Writer<'a>,
    bound: Vec<Bound>,
}

impl Draft<'_> {
    /// The placeholder of a value.
    fn bind(&mut self, value: Bound) -> String {
        self.bound.push(value);
        format!("${}", self.bound.len())
    }

    fn bind_times(&mut self, times: Vec<DateTime<Utc>>) -> String {
        let bound = self.writer.times(times);
        self.bind(bound)
    }

    /// "The task belongs to the day": ranges of the time column, as parameters, so that an index serves.
    fn in_day(&mut self) -> String {
        let time = self.writer.time();
        let ranges = self.writer.request.day.ranges();
        if ranges.is_empty() {
            return "false".to_owned();
        }
        let conditions: Vec<String> = ranges
            .into_iter()
            .map(|(start, end)| {
                let bounds = self.bind_times(vec![start, end]);
                format!("({time} >= ({bounds})[1] AND {time} < ({bounds})[2])")
            })
            .collect();
        format!("({})", conditions.join(" OR "))
    }

    /// "The task is in one of these states."
    fn in_states(&mut self, states: &[State]) -> String {
        let mapping = &self.writer.settings.tasks.states;
        match &self.writer.shape.status {
            StatusType::Enum { labels, .. } => in_labels(labels.iter(), states, mapping),
            StatusType::Text { labels: Some(labels) } => {
                // The configured ones too: they may have come up since the index was asked.
                let configured = states.iter().flat_map(|state| mapping.labels(*state));
                in_labels(labels.iter().chain(configured), states, mapping)
            }
            StatusType::Text { labels: None } => {
                let (labels, operator) = match mapping.membership(states) {
                    Membership::In(labels) => (labels, "= ANY"),
                    Membership::NotIn(labels) => (labels, "<> ALL"),
                };
                let labels = self.bind(Bound::Texts(labels));
                format!("lower(t.status::text) {operator} ({labels})")
            }
        }
    }

    fn finish(self, name: &'static str, sql: String, read: Fold<DayFigures>) -> Statement {
        self.finish_for(Reader::Day(read), name, sql)
    }

    fn finish_for(self, read: Reader, name: &'static str, sql: String) -> Statement {
        Statement { name, sql, bound: self.bound, read }
    }
}

/// What the statements are written from.
struct Writer<'a> {
    settings: &'a Settings,
    shape: &'a Shape,
    request: &'a DayRequest,
    source: String,
    hours: &'a Buckets<u8>,
    days: &'a Buckets<usize>,
}

impl Plan {
    pub fn new(settings: &Settings, shape: &Shape, request: &DayRequest) -> Self {
        let hours = hour_buckets(&request.day);
        let days = day_buckets(&request.trend);
        let overlay = overlay(&settings.tasks, shape);
        let writer = Writer {
            settings,
            shape,
            request,
            source: source(&settings.tasks, &shape.fields.present, &overlay),
            hours: &hours,
            days: &days,
        };
        // The longest first: two connections that share the list then end at about the same time.
        let statements =
            vec![writer.day(), writer.trend(), writer.backlog(), writer.failed(), writer.undated()];
        Self {
            statements,
            begin: begin(settings),
            fields: shape.fields.clone(),
            naive_zone: settings.naive_zone,
            time: shape.time,
            since: shape.time,
            hours,
            days,
        }
    }

    /// Opens a transaction that sees what the leader's sees.
    pub fn join(&self, snapshot: &str) -> String {
        let (begin, settings) = self.begin.split_once(';').unwrap_or((&self.begin, ""));
        let quoted = snapshot.replace('\'', "''");
        format!("{begin}; SET TRANSACTION SNAPSHOT '{quoted}';{settings}")
    }

    /// The figures that the rows say.
    pub fn fold(&self, answers: &[(usize, Vec<Row>)]) -> Result<Figures, postgres::Error> {
        let mut figures = Figures::default();
        figures.day.counted_by = Some(self.fields.counted_by);
        figures.day.missing = self.fields.missing.clone();
        figures.live.missing = self.fields.missing.clone();
        for (place, rows) in answers {
            match self.statements[*place].read {
                Reader::Day(read) => read(self, rows, &mut figures.day)?,
                Reader::Live(read) => read(self, rows, &mut figures.live)?,
            }
        }
        Ok(figures)
    }
}

/// "The status is one of these labels that stand for these states", written out: a bound text[] would be cast to an enum anew for each row
/// that is compared.
fn in_labels<'a>(
    labels: impl Iterator<Item = &'a String>,
    states: &[State],
    mapping: &States,
) -> String {
    let claimed = labels.filter(|label| states.contains(&mapping.of(Some(label))));
    let literals: BTreeSet<String> = claimed.map(|label| literal(label)).collect();
    if literals.is_empty() {
        "false".to_owned()
    } else {
        let literals: Vec<String> = literals.into_iter().collect();
        format!("t.status IN ({})", literals.join(", "))
    }
}

/// Just-in-time compilation never pays within a report's short statements: it cost more than it saved on ten million rows.
fn begin(settings: &Settings) -> String {
    format!(
        "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; SET LOCAL jit = off; SET LOCAL statement_timeout = {}",
        settings.statement_timeout.as_millis()
    )
}

/// Fields that are read in another form than they are stored in.
pub fn overlay(table: &TaskTable, shape: &Shape) -> Vec<(Field, String)> {
    let mut overlay = Vec::new();
    let mut read_as = |field: Field, form: &dyn Fn(&str) -> String| {
        if let Some(expression) = table.field(field) {
            overlay.push((field, form(expression)));
        }
    };
    // NaN, the infinities and what would overflow a sum of microseconds are no durations.
    let as_seconds = |expression: &str| {
        format!("CASE WHEN ({expression}) BETWEEN -1e12 AND 1e12 THEN ({expression})::float8 END")
    };
    read_as(Field::ProcessingTime, &as_seconds);
    read_as(Field::WaitTime, &as_seconds);
    read_as(Field::RetryCount, &|expression| format!("({expression})::int8"));
    read_as(Field::ErrorMessage, &|expression| format!("({expression})::text"));
    let as_wall_clock = |expression: &str| format!("({expression})::timestamp");
    if shape.time == TimeType::Date {
        read_as(shape.fields.counted_by, &as_wall_clock);
    }
    if shape.started == Some(TimeType::Date) {
        read_as(Field::StartedAt, &as_wall_clock);
    }
    overlay
}

impl Writer<'_> {
    fn draft(&self) -> Draft<'_> {
        Draft { writer: self, bound: Vec::new() }
    }

    fn has(&self, field: Field) -> bool {
        self.shape.fields.has(field)
    }

    /// A field's column, or NULL of the type that its reader expects.
    fn column(&self, field: Field, null: &str) -> String {
        if self.has(field) { format!("t.{}", field.name()) } else { null.to_owned() }
    }

    fn time(&self) -> String {
        format!("t.{}", self.shape.fields.counted_by.name())
    }

    /// Instants as the time column has them.
    fn times(&self, instants: Vec<DateTime<Utc>>) -> Bound {
        self.times_in(self.shape.time, instants)
    }

    /// Instants as a column of this type has them.
    fn times_in(&self, time: TimeType, instants: Vec<DateTime<Utc>>) -> Bound {
        let zone = self.settings.naive_zone;
        match time {
            TimeType::Instant => Bound::Instants(instants),
            TimeType::WallClock | TimeType::Date => Bound::WallClocks(
                instants.into_iter().map(|instant| wall_clock_bound(instant, zone)).collect(),
            ),
        }
    }

    /// The day's tasks, read once for everything that needs each of them: to read a wide row costs more than all that is computed
    /// from it.
    ///
    /// The answer's first column says what a row tells ([`part`]), the second its place among such rows.
    fn day(&self) -> Statement {
        let mut draft = self.draft();
        let tasks = self.day_tasks(&mut draft);
        let cells = format!(
            "SELECT {}, hour::int8, status::text, retries, category, count(*), count(seconds), \
             sum((seconds * 1000000)::int8)::text, count(wait), sum(wait)::text, \
             NULL::text, NULL::float8, NULL::float8[] FROM day GROUP BY hour, status, retries, category",
            part::CELL
        );
        let sql = if self.has(Field::ProcessingTime) {
            format!(
                "WITH day AS ({tasks}), shares AS (SELECT percentile_cont({shares}) WITHIN GROUP (ORDER BY seconds) AS seconds, \
                 max(seconds) AS longest, count(seconds) AS timed FROM day) {cells} \
                 UNION ALL SELECT {percentiles}, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, longest, seconds FROM shares \
                 UNION ALL ({slowest}) ORDER BY 1, 2",
                percentiles = part::PERCENTILES,
                shares = draft.bind(Bound::Shares(PERCENTILES.to_vec())),
                slowest = self.slowest(&mut draft),
            )
        } else {
            format!("WITH day AS ({tasks}) {cells}")
        };
        draft.finish("counting the day's tasks", sql, Plan::read_day)
    }

    /// Of each of the day's tasks what the parts need, `wait` in microseconds.
    fn day_tasks(&self, draft: &mut Draft) -> String {
        format!(
            "SELECT width_bucket({time}, {bounds}) AS hour, t.status, {retries} AS retries, {seconds} AS seconds, \
             ({wait} * 1000000)::int8 AS wait, {category} AS category, t.label, {keys} \
             FROM {source} WHERE {in_day}",
            time = self.time(),
            bounds = draft.bind_times(self.hours.bounds.clone()),
            retries = self.column(Field::RetryCount, "NULL::int8"),
            seconds = self.column(Field::ProcessingTime, "NULL::float8"),
            wait = self.wait(),
            category = self.category(draft),
            keys = key_order(&self.settings.tasks),
            source = self.source,
            in_day = draft.in_day(),
        )
    }

    /// The category of a failed task's message: the first of which it contains a text, [`NO_CATEGORY`] if it is in none; NULL
    /// where nothing failed or nothing is said.
    fn category(&self, draft: &mut Draft) -> String {
        if !self.has(Field::ErrorMessage) {
            return "NULL::int4".to_owned();
        }
        let mut cases = String::new();
        for (place, texts) in self.request.categories.iter().enumerate() {
            let bound = draft.bind(Bound::Texts(texts.clone()));
            let contains: Vec<String> = (1..=texts.len())
                .map(|number| format!("strpos(t.error_message, ({bound})[{number}]) > 0"))
                .collect();
            cases += &format!(" WHEN {} THEN {place}", contains.join(" OR "));
        }
        let failed = draft.in_states(&[State::Failed]);
        let speaks = format!("{failed} AND t.error_message <> ''");
        format!("CASE WHEN ({speaks}) IS NOT TRUE THEN NULL{cases} ELSE {NO_CATEGORY} END")
    }

    /// The slowest tasks stand above the highest percentile, if there are enough of them: so few are sorted, not all.
    fn slowest(&self, draft: &mut Draft) -> String {
        let [.., highest] = PERCENTILES;
        // Interpolation may leave one task less above it than its share.
        let enough = ((self.request.slowest + 2) as f64 / (1.0 - highest)).ceil();
        format!(
            "SELECT {part}, row_number() OVER (ORDER BY seconds DESC, {keys}), status::text, \
             NULL, NULL, NULL, NULL, NULL, NULL, NULL, label::text, seconds, NULL FROM day \
             WHERE seconds >= (SELECT CASE WHEN timed >= {enough} THEN seconds[{last}] ELSE '-Infinity' END FROM shares) \
             ORDER BY 2 LIMIT {limit}",
            part = part::SLOW_TASK,
            keys = key_order(&self.settings.tasks),
            last = PERCENTILES.len(),
            limit = draft.bind(Bound::Count(self.request.slowest as i64)),
        )
    }

    /// The seconds that a task waited; NULL where that is not known.
    fn wait(&self) -> String {
        match self.settings.tasks.wait {
            Wait::SinceCreation => format!("date_part('epoch', {})", self.since_creation()),
            Wait::AlertUpdate(_) | Wait::Unknown => self.column(Field::WaitTime, "NULL::float8"),
        }
    }

    /// From a task's creation to its start, as an interval; NULL where there is no start.
    fn since_creation(&self) -> String {
        let (Some(started), Field::CreatedAt) = (self.shape.started, self.shape.fields.counted_by)
        else {
            return "NULL::interval".to_owned();
        };
        let zone = self.settings.naive_zone.name();
        let absolute = |column: &str, time: TimeType| match time {
            TimeType::Instant => column.to_owned(),
            _ => format!("{column} AT TIME ZONE '{zone}'"),
        };
        let alike = (started == TimeType::Instant) == (self.shape.time == TimeType::Instant);
        if alike {
            // Both on one clock: no conversion a row.
            "CASE WHEN isfinite(t.started_at) THEN t.started_at - t.created_at END".into()
        } else {
            format!(
                "CASE WHEN isfinite(t.started_at) THEN {} - {} END",
                absolute("t.started_at", started),
                absolute("t.created_at", self.shape.time)
            )
        }
    }

    /// Tasks by day and status. With an index on (status, time) each pair is one scan of that index alone.
    fn trend(&self) -> Statement {
        match &self.shape.status {
            StatusType::Enum { name, is_indexed: true, .. } => self.trend_by_label(name),
            _ => self.trend_in_one_scan(),
        }
    }

    fn trend_by_label(&self, enum_name: &str) -> Statement {
        let mut draft = self.draft();
        let (mut places, mut starts, mut ends) = (Vec::new(), Vec::new(), Vec::new());
        for (place, day) in self.request.trend.iter().enumerate() {
            for (start, end) in day.ranges() {
                places.push(place as i32);
                starts.push(start);
                ends.push(end);
            }
        }
        let places = draft.bind(Bound::Places(places));
        let starts = draft.bind_times(starts);
        let ends = draft.bind_times(ends);
        let sql = format!(
            "SELECT r.place, l.label::text, n.tasks \
             FROM unnest({places}, {starts}, {ends}) AS r(place, first, beyond) \
             CROSS JOIN unnest(enum_range(NULL::{enum_name})) AS l(label) \
             CROSS JOIN LATERAL (SELECT count(*) AS tasks FROM {source} \
             WHERE t.status = l.label AND {time} >= r.first AND {time} < r.beyond) AS n \
             UNION ALL \
             SELECT r.place, NULL, n.tasks FROM unnest({places}, {starts}, {ends}) AS r(place, first, beyond) \
             CROSS JOIN LATERAL (SELECT count(*) AS tasks FROM {source} \
             WHERE t.status IS NULL AND {time} >= r.first AND {time} < r.beyond) AS n",
            source = self.source,
            time = self.time(),
        );
        draft.finish("counting the days before", sql, Plan::read_trend)
    }

    fn trend_in_one_scan(&self) -> Statement {
        let mut draft = self.draft();
        let bounds = draft.bind_times(self.days.bounds.clone());
        let sql = format!(
            "SELECT width_bucket({time}, {bounds}), t.status::text, count(*) FROM {source} \
             WHERE {time} >= ({bounds})[1] AND {time} < ({bounds})[cardinality({bounds})] GROUP BY 1, 2",
            time = self.time(),
            source = self.source,
        );
        draft.finish("counting the days before", sql, Plan::read_trend_buckets)
    }

    fn failed(&self) -> Statement {
        let mut draft = self.draft();
        let sql = format!(
            "SELECT t.label::text, {message}, {retries}, {time} FROM {source} WHERE {failed} AND {in_day} \
             ORDER BY {time} DESC, {keys} LIMIT {limit}",
            message = self.column(Field::ErrorMessage, "NULL::text"),
            retries = self.column(Field::RetryCount, "NULL::int8"),
            time = self.time(),
            source = self.source,
            failed = draft.in_states(&[State::Failed]),
            in_day = draft.in_day(),
            keys = key_order(&self.settings.tasks),
            limit = draft.bind(Bound::Count(self.request.failed_details as i64)),
        );
        draft.finish("listing failed tasks", sql, Plan::read_failed)
    }

    fn backlog(&self) -> Statement {
        let mut draft = self.draft();
        let sql = format!(
            "SELECT t.status::text, {queue}, count(*) FROM {source} WHERE {open} GROUP BY t.status, 2",
            queue = if self.has(Field::Queue) { "t.queue::text" } else { "NULL::text" },
            source = self.source,
            open = draft.in_states(&[State::Pending, State::Processing]),
        );
        draft.finish("counting open tasks", sql, Plan::read_backlog)
    }

    fn undated(&self) -> Statement {
        let sql = format!("SELECT count(*) FROM {} WHERE {} IS NULL", self.source, self.time());
        self.draft().finish("counting tasks without a date", sql, Plan::read_undated)
    }
}

/// Rows into figures. A count is never negative: `unsigned` only changes the type.
impl Plan {
    fn read_day(&self, rows: &[Row], figures: &mut DayFigures) -> Result<(), postgres::Error> {
        let mut cells = BTreeMap::new();
        for row in rows {
            match row.try_get::<_, i32>(0)? {
                part::CELL => self.read_cell(row, &mut cells, figures)?,
                part::PERCENTILES => read_percentiles(row, figures)?,
                _ => figures.slowest.push(SlowTask {
                    task: row.try_get(10)?,
                    processing_time: row.try_get(11)?,
                    label: row.try_get(2)?,
                }),
            }
        }
        figures.cells = cells.into_values().collect();
        Ok(())
    }

    /// Adds a row to its cell; the rows of one cell differ in the category of errors.
    fn read_cell(
        &self,
        row: &Row,
        cells: &mut BTreeMap<(u8, Option<String>, Option<i64>), Cell>,
        figures: &mut DayFigures,
    ) -> Result<(), postgres::Error> {
        let passed = unsigned(row.try_get(1)?) as usize;
        let Some(&hour) = self.hours.name(passed) else {
            return Ok(()); // between the pieces of a day
        };
        let (label, retries): (Option<String>, Option<i64>) = (row.try_get(2)?, row.try_get(3)?);
        let tasks = unsigned(row.try_get(5)?);
        if let Some(category) = row.try_get::<_, Option<i32>>(4)? {
            let place = usize::try_from(category).ok();
            *figures.categories.entry(place).or_default() += tasks;
        }
        let cell = cells
            .entry((hour, label.clone(), retries))
            .or_insert_with(|| Cell::empty(hour, label, retries));
        cell.tasks += tasks;
        cell.timed += unsigned(row.try_get(6)?);
        cell.micros += whole(row.try_get(7)?);
        cell.waited += unsigned(row.try_get(8)?);
        cell.wait_micros += whole(row.try_get(9)?);
        Ok(())
    }

    fn read_trend(&self, rows: &[Row], figures: &mut DayFigures) -> Result<(), postgres::Error> {
        for row in rows {
            figures.trend.push(DayCount {
                day: unsigned(row.try_get::<_, i32>(0)?.into()) as usize,
                label: row.try_get(1)?,
                tasks: unsigned(row.try_get(2)?),
            });
        }
        Ok(())
    }

    fn read_trend_buckets(
        &self,
        rows: &[Row],
        figures: &mut DayFigures,
    ) -> Result<(), postgres::Error> {
        for row in rows {
            let passed = unsigned(row.try_get::<_, i32>(0)?.into()) as usize;
            if let Some(&day) = self.days.name(passed) {
                figures.trend.push(DayCount {
                    day,
                    label: row.try_get(1)?,
                    tasks: unsigned(row.try_get(2)?),
                });
            }
        }
        Ok(())
    }

    fn read_failed(&self, rows: &[Row], figures: &mut DayFigures) -> Result<(), postgres::Error> {
        for row in rows {
            let Some(created_at) = self.instant(row, 3, self.time)? else {
                continue; // the day's condition lets none through
            };
            figures.failed.push(FailedTask {
                task: row.try_get(0)?,
                message: row.try_get(1)?,
                retries: row.try_get(2)?,
                created_at,
            });
        }
        Ok(())
    }

    /// A time of this type in a row's column.
    fn instant(
        &self,
        row: &Row,
        column: usize,
        time: TimeType,
    ) -> Result<Option<DateTime<Utc>>, postgres::Error> {
        Ok(match time {
            TimeType::Instant => row.try_get(column)?,
            TimeType::WallClock | TimeType::Date => {
                let wall_clock: Option<NaiveDateTime> = row.try_get(column)?;
                wall_clock.map(|wall_clock| instant_of(wall_clock, self.naive_zone))
            }
        })
    }

    fn read_backlog(&self, rows: &[Row], figures: &mut DayFigures) -> Result<(), postgres::Error> {
        for row in rows {
            figures.backlog.push(BacklogCount {
                label: row.try_get(0)?,
                queue: row.try_get(1)?,
                tasks: unsigned(row.try_get(2)?),
            });
        }
        Ok(())
    }

    fn read_undated(&self, rows: &[Row], figures: &mut DayFigures) -> Result<(), postgres::Error> {
        for row in rows {
            figures.undated = unsigned(row.try_get(0)?);
        }
        Ok(())
    }
}

fn read_percentiles(row: &Row, figures: &mut DayFigures) -> Result<(), postgres::Error> {
    let max: Option<f64> = row.try_get(11)?;
    let shares: Option<Vec<f64>> = row.try_get(12)?;
    if let (Some(&[p50, p90, p95, p99]), Some(max)) = (shares.as_deref(), max) {
        figures.percentiles = Some(Percentiles { p50, p90, p95, p99, max });
    }
    Ok(())
}

fn unsigned(count: i64) -> u64 {
    count.unsigned_abs()
}

/// A sum that the database printed as text; a sum of nothing is 0.
fn whole(sum: Option<&str>) -> i128 {
    sum.and_then(|digits| digits.parse().ok()).unwrap_or(0)
}
