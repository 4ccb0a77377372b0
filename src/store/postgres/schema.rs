//! What the task table looks like: which fields it has, of which types, and whether an index serves the counting.

use super::answer::rows;
use super::bounded::{Bounded, Unanswered};
use super::encoding::{Encoding, Shown, is_untranslatable};
use super::quote::{is_plain_name, literal};
use super::row_security;
use super::worker::Worker;
use crate::mapping::{Field, TaskTable};
use crate::outcome::{Failure, Kind};
use crate::store::fields::{BLAME_LIMIT, Fields, find_culprit, source};
use crate::store::refusal::{not_a_time, unfit_number};
use crate::store::{RowSecurity, StoreSettings};
use anyhow::{Context, Result};
use postgres::SimpleQueryRow;

/// What the table looks like, read once from the catalogue.
#[derive(Debug, Clone)]
pub struct Schema {
    pub fields: Fields,
    /// Of the time that tasks are counted by.
    pub time: TimeType,
    pub started: Option<TimeType>,
    pub due: Option<TimeType>,
    pub status: StatusType,
    /// What the type of each field that there is is called.
    pub types: Vec<(Field, String)>,
    /// Why rows may be hidden from the role; `None`: as far as the catalogue says, it sees all.
    pub hidden_rows: Option<Failure>,
    pub encoding: Encoding,
    pub shown: Shown,
}

impl Schema {
    /// The type of a field as a time; `None`: there is no such field.
    ///
    /// # Errors
    /// It is none.
    pub fn time_type(&self, table: &TaskTable, field: Field) -> Result<Option<TimeType>, Failure> {
        time_type(table, field, &self.types)
    }
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub enum TimeType {
    /// `timestamp with time zone`
    Instant,
    /// `timestamp without time zone`
    WallClock,
    /// `date`: midnight of a wall clock
    Date,
}

impl TimeType {
    pub fn of(name: &str) -> Option<Self> {
        match name {
            "timestamp with time zone" => Some(TimeType::Instant),
            "timestamp without time zone" => Some(TimeType::WallClock),
            "date" => Some(TimeType::Date),
            _ => None,
        }
    }

    /// "The time is one that every program can calculate with": neither infinite nor, as PostgreSQL has them, of the year 294276.
    pub fn is_in_calendar(self, sql: &str) -> String {
        let bounds = match self {
            TimeType::Instant => {
                "'0001-01-02 00:00+00'::timestamptz AND '9999-12-30 00:00+00'::timestamptz"
            }
            TimeType::WallClock => "'0001-01-02'::timestamp AND '9999-12-30'::timestamp",
            TimeType::Date => "'0001-01-02'::date AND '9999-12-30'::date",
        };
        format!("({sql}) BETWEEN {bounds}")
    }

    /// The type of a time that reports count by, or of a start: dates are read as their midnights.
    pub fn overlaid(self) -> Self {
        if self == TimeType::Date { TimeType::WallClock } else { self }
    }

    /// A date as its midnight; others as they are.
    pub fn as_wall_clock(self, sql: &str) -> String {
        match self {
            TimeType::Date => {
                format!("CASE WHEN {} THEN ({sql})::timestamp END", self.is_in_calendar(sql))
            }
            _ => sql.to_owned(),
        }
    }
}

#[derive(Debug, Clone, PartialEq)]
pub enum StatusType {
    /// A native enum: compared as it is, so that indexes serve.
    Enum {
        name: String,
        labels: Vec<String>,
        /// An index on (status, time) exists: counting label by label reads that index alone. Not where Citus distributes
        /// tables: it refuses the join that this takes, and each shard counts its own rows at the same time anyway.
        is_indexed: bool,
    },
    /// Anything else is compared as text: as it is where an index has the labels that occur, else in lower case.
    Text { labels: Option<Vec<String>> },
}

/// Reads the schema of a table.
///
/// # Errors
/// What the mapping names and the table lacks, as far as a report cannot do without it. A server that went silent.
pub fn read(bounded: &mut Bounded, settings: &StoreSettings) -> Result<Schema> {
    let table = &settings.mapping.tasks;
    let fields = Fields::find(table, &mut |entries| {
        let sql = format!("SELECT {entries} FROM {} LIMIT 0", table.from);
        bounded.try_query(&sql)
    })?;
    let catalogue = match bounded.query(&catalogue_query(table, &fields)) {
        Ok(catalogue) => catalogue,
        Err(unanswered) => {
            // Each field can be computed alone, but not together: one is an aggregate.
            let blamed =
                find_culprit(table, &fields.present, &[], &mut |sql| bounded.try_query(sql));
            let failure = || unanswered.into_failure("reading the catalogue");
            return Err(blamed.unwrap_or_else(failure).into());
        }
    };
    let mut rows = rows(&catalogue);
    let row =
        rows.next().with_context(|| format!("the catalogue says nothing of {}", table.from))?;
    let types = field_types(table, &fields, row)?;
    let encoding = Encoding::of(row.get("encoding").unwrap_or("UTF8"));
    bounded.set_encoding(&encoding);
    let time = time_type(table, fields.counted_by, &types)?.unwrap_or(TimeType::Instant);
    let started = time_type(table, Field::StartedAt, &types)?;
    let due = time_type(table, Field::DueAt, &types)?;
    let indexes = rows.next();
    let status = match (type_of(Field::Status, &types).unwrap_or_default(), row.get("labels")) {
        (name, Some(labels)) => enum_type(name, labels, indexes)?,
        ("text" | "character varying", None) if has_index(indexes, "leads") => {
            StatusType::Text { labels: labels(bounded, table)? }
        }
        _ => StatusType::Text { labels: None },
    };
    let hidden_rows = match settings.row_security {
        RowSecurity::Refuse => row_security::of_report(bounded, table, &fields)?,
        RowSecurity::Accept => None,
    };
    let shown = Shown::AsStored;
    Ok(Schema { fields, time, started, due, status, types, hidden_rows, encoding, shown })
}

/// The field that a report failed on, if it is one field's fault. The connection is used up.
pub fn blame(
    worker: Worker,
    settings: &StoreSettings,
    present: &[Field],
    overlay: &[(Field, String)],
) -> Option<Failure> {
    let mut bounded = Bounded::new(worker, BLAME_LIMIT);
    find_culprit(&settings.mapping.tasks, present, overlay, &mut |sql| bounded.try_query(sql))
}

/// The types' names. Refuses a duration that is no number, since a report would fail on it; retries may be digits in a text.
fn field_types(
    table: &TaskTable,
    fields: &Fields,
    row: &SimpleQueryRow,
) -> Result<Vec<(Field, String)>, Failure> {
    let types: Vec<(String, String)> = serde_json::from_str(row.get("types").unwrap_or("[]"))
        .map_err(|error| {
            let message = format!("the types of the fields cannot be read: {error}");
            Failure::new(Kind::Internal, message)
        })?;
    let mut named = Vec::new();
    for (field, (name, category)) in fields.present.iter().zip(types) {
        let fits = match field {
            Field::ProcessingTime | Field::WaitTime => category == "N",
            Field::RetryCount => ["N", "S"].contains(&category.as_str()),
            _ => true,
        };
        if !fits {
            let expression = table.field(*field).unwrap_or_default();
            return Err(unfit_number(*field, expression, &name));
        }
        named.push((*field, name));
    }
    Ok(named)
}

/// With more labels than this, going through them one by one would not pay.
const MOST_LABELS: usize = 100;

/// The labels that occur, found by skipping through an index, with one query for each, which Citus supports. `None`: too many.
fn labels(bounded: &mut Bounded, table: &TaskTable) -> Result<Option<Vec<String>>, Failure> {
    let mut labels: Vec<String> = Vec::new();
    while labels.len() <= MOST_LABELS {
        let beyond =
            labels.last().map(|last| format!("WHERE {} > {}", table.status, literal(last)));
        let sql = format!(
            "SELECT min({}) FROM {} {}",
            table.status,
            table.from,
            beyond.unwrap_or_default()
        );
        let answer = match bounded.query(&sql) {
            Err(Unanswered::Refused(error)) if is_untranslatable(&error) => return Ok(None),
            answer => {
                answer.map_err(|unanswered| unanswered.into_failure("reading the statuses"))?
            }
        };
        match rows(&answer).next().map(|row| row.try_get(0)) {
            Some(Ok(Some(label))) => labels.push(label.to_owned()),
            // It is no UTF-8, and the next one cannot be asked for.
            Some(Err(_)) => return Ok(None),
            Some(Ok(None)) | None => return Ok(Some(labels)),
        }
    }
    Ok(None)
}

/// The labels of an enum for the status, and the types of all fields; then, as a second answer, whether an index begins with the status, and whether one goes on with the time.
///
/// `pg_typeof` of a column that an outer join leaves NULL is its type, without a row being read.
fn catalogue_query(table: &TaskTable, fields: &Fields) -> String {
    let all: Vec<String> = fields
        .present
        .iter()
        .map(|field| {
            let column = format!("pg_typeof(t.{})", field.name());
            format!(
                "json_build_array({column}::text, (SELECT typcategory FROM pg_catalog.pg_type WHERE oid = {column}::oid))"
            )
        })
        .collect();
    let types = format!(
        "SELECT (SELECT json_agg(e.enumlabel ORDER BY e.enumsortorder)::text FROM pg_catalog.pg_enum e \
          WHERE e.enumtypid = pg_typeof(t.status)::oid) AS labels, json_build_array({}) AS types, current_setting('server_encoding') AS encoding \
         FROM (VALUES (1)) AS one(row) LEFT JOIN (SELECT * FROM {} LIMIT 0) AS t ON true",
        all.join(", "),
        source(table, &fields.present, &[]),
    );
    let counted_by = table.field(fields.counted_by).unwrap_or_default();
    let names = [table.from.as_str(), &table.status, counted_by];
    if !names.iter().all(|name| is_plain_name(name)) {
        return types;
    }
    format!(
        "{types}; SELECT count(*) > 0 AS leads, coalesce(bool_or(pg_get_indexdef(i.indexrelid, 2, true) = '{counted_by}'), false) \
         AND to_regclass('pg_catalog.pg_dist_partition') IS NULL AS with_time \
         FROM pg_catalog.pg_index i JOIN pg_catalog.pg_class c ON c.oid = i.indexrelid \
         JOIN pg_catalog.pg_am a ON a.oid = c.relam AND a.amname = 'btree' \
         WHERE i.indrelid = to_regclass('{}') AND i.indisvalid \
         AND i.indpred IS NULL AND pg_get_indexdef(i.indexrelid, 1, true) = '{}'",
        table.from, table.status
    )
}

fn type_of(field: Field, types: &[(Field, String)]) -> Option<&str> {
    types.iter().find(|(of, _)| *of == field).map(|(_, name)| name.as_str())
}

fn time_type(
    table: &TaskTable,
    field: Field,
    types: &[(Field, String)],
) -> Result<Option<TimeType>, Failure> {
    let Some(found) = type_of(field, types) else {
        return Ok(None);
    };
    let expression = table.field(field).unwrap_or_default();
    let time = TimeType::of(found);
    time.map(Some).ok_or_else(|| not_a_time("tasks", field.name(), expression, found))
}

fn has_index(indexes: Option<&SimpleQueryRow>, name: &str) -> bool {
    indexes.is_some_and(|row| row.get(name) == Some("t"))
}

fn enum_type(
    name: &str,
    labels: &str,
    indexes: Option<&SimpleQueryRow>,
) -> Result<StatusType, Failure> {
    let labels = serde_json::from_str(labels).map_err(|error| {
        let message = format!("the labels of the type {name} cannot be read: {error}");
        Failure::new(Kind::Internal, message)
    })?;
    let is_indexed = has_index(indexes, "with_time");
    Ok(StatusType::Enum { name: name.to_owned(), labels, is_indexed })
}
