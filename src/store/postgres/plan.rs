//! What the statements of a report are written from, and how their rows become figures.

use super::encoding::Encoding;
use super::quote::literal;
use super::schema::{Schema, StatusType, TimeType};
use super::settings::Settings;
use crate::calendar::{Buckets, day_buckets, hour_buckets, instant_of, wall_clock_bound};
use crate::mapping::{Field, Membership, State, States, TaskTable};
use crate::store::fields::{Fields, source};
use crate::store::{DayFigures, DayRequest, LONGEST_LABEL, LiveFigures, StoreSettings};
use crate::timezone::Tz;
use chrono::{DateTime, NaiveDateTime, Utc};
use postgres::Row;
use postgres::types::{ToSql, Type};
use std::collections::BTreeSet;

/// All the queries of a report, ready to be sent.
pub struct Plan {
    pub statements: Vec<Statement>,
    /// Opens the transaction.
    pub begin: String,
    pub fields: Fields,
    pub naive_zone: Tz,
    pub time: TimeType,
    /// Of the time since which pending tasks wait.
    pub waiting: TimeType,
    /// Of the time since which tasks are processed.
    pub since: TimeType,
    pub hours: Buckets<u8>,
    pub days: Buckets<usize>,
}

/// What the rows say. A plan fills one of the two.
#[derive(Default)]
pub struct Figures {
    pub day: DayFigures,
    pub live: LiveFigures,
}

/// One query, and what is done with its answer.
pub struct Statement {
    pub name: &'static str,
    pub sql: String,
    bound: Vec<Bound>,
    read: Fold,
}

pub type Fold = fn(&Plan, &[Row], &mut Figures) -> Result<(), postgres::Error>;

/// A value that is bound to a statement.
pub enum Bound {
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

/// A statement being written: values are bound where its text refers to them.
pub struct Draft<'a> {
    pub writer: &'a Writer<'a>,
    bound: Vec<Bound>,
}

impl Draft<'_> {
    /// The placeholder of a value.
    pub fn bind(&mut self, value: Bound) -> String {
        self.bound.push(value);
        format!("${}", self.bound.len())
    }

    pub fn bind_times(&mut self, times: Vec<DateTime<Utc>>) -> String {
        let bound = self.writer.times(times);
        self.bind(bound)
    }

    pub fn bind_times_in(&mut self, time: TimeType, times: Vec<DateTime<Utc>>) -> String {
        let bound = self.writer.times_in(time, times);
        self.bind(bound)
    }

    /// "The task belongs to the day": ranges of the time column, as parameters, so that an index serves.
    pub fn in_day(&mut self) -> String {
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
    pub fn in_states(&mut self, states: &[State]) -> String {
        let mapping = &self.writer.settings.mapping.tasks.states;
        match &self.writer.schema.status {
            StatusType::Enum { labels, .. } => in_labels(labels.iter(), states, mapping),
            StatusType::Text { labels: Some(labels) } => {
                // The configured ones too: rows of theirs may have been written since the index was read.
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

    pub fn finish(self, name: &'static str, sql: String, read: Fold) -> Statement {
        Statement { name, sql, bound: self.bound, read }
    }
}

/// What the statements are written from.
pub struct Writer<'a> {
    pub settings: &'a StoreSettings,
    pub schema: &'a Schema,
    pub request: &'a DayRequest,
    pub source: String,
    pub hours: Buckets<u8>,
    pub days: Buckets<usize>,
}

impl Plan {
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
        for (place, rows) in answers {
            (self.statements[*place].read)(self, rows, &mut figures)?;
        }
        Ok(figures)
    }

    /// A time of this type in a row's column.
    pub fn instant(
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
}

/// "The status is one of these labels that mean these states", written out: a bound text[] would be cast to an enum anew for each row
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

fn begin(settings: &StoreSettings, encoding: &Encoding) -> String {
    let settings = encoding.among(Settings::limited(settings.statement_timeout));
    format!("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; {}", settings.statement())
}

/// Fields that are not read as they are stored.
pub fn overlay(table: &TaskTable, schema: &Schema) -> Vec<(Field, String)> {
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
    let as_wall_clock = |expression: &str| TimeType::Date.as_wall_clock(expression);
    if schema.time == TimeType::Date {
        read_as(schema.fields.counted_by, &as_wall_clock);
    }
    if schema.started == Some(TimeType::Date) {
        read_as(Field::StartedAt, &as_wall_clock);
    }
    if schema.due == Some(TimeType::Date) {
        read_as(Field::DueAt, &as_wall_clock);
    }
    overlay
}

impl<'a> Writer<'a> {
    pub fn new(settings: &'a StoreSettings, schema: &'a Schema, request: &'a DayRequest) -> Self {
        let overlay = overlay(&settings.mapping.tasks, schema);
        Self {
            settings,
            schema,
            request,
            source: source(&settings.mapping.tasks, &schema.fields.present, &overlay),
            hours: hour_buckets(&request.day),
            days: day_buckets(&request.trend),
        }
    }

    /// `since`: the type of the time since which tasks are processed.
    pub fn plan(self, since: TimeType, statements: Vec<Statement>) -> Plan {
        Plan {
            statements,
            begin: begin(self.settings, &self.schema.encoding),
            fields: self.schema.fields.clone(),
            naive_zone: self.settings.naive_zone,
            time: self.schema.time,
            waiting: self.waiting_since().time,
            since,
            hours: self.hours,
            days: self.days,
        }
    }

    pub fn draft(&self) -> Draft<'_> {
        Draft { writer: self, bound: Vec::new() }
    }

    pub fn has(&self, field: Field) -> bool {
        self.schema.fields.has(field)
    }

    /// A text to be shown.
    pub fn shown(&self, expression: &str) -> String {
        self.schema.shown.text(expression, LONGEST_LABEL)
    }

    /// A field's column, or NULL of the type that its reader expects.
    pub fn column(&self, field: Field, null: &str) -> String {
        if self.has(field) { format!("t.{}", field.name()) } else { null.to_owned() }
    }

    pub fn time(&self) -> String {
        format!("t.{}", self.schema.fields.counted_by.name())
    }

    /// Instants as the time column has them.
    pub fn times(&self, instants: Vec<DateTime<Utc>>) -> Bound {
        self.times_in(self.schema.time, instants)
    }

    /// Instants as a column of this type has them.
    pub fn times_in(&self, time: TimeType, instants: Vec<DateTime<Utc>>) -> Bound {
        let zone = self.settings.naive_zone;
        match time {
            TimeType::Instant => Bound::Instants(instants),
            TimeType::WallClock | TimeType::Date => Bound::WallClocks(
                instants.into_iter().map(|instant| wall_clock_bound(instant, zone)).collect(),
            ),
        }
    }
}

pub fn unsigned(count: i64) -> u64 {
    count.unsigned_abs()
}
