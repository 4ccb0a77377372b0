//! One report's statements, all on one snapshot.

use super::bounds;
use super::labels;
use super::time::{Moment, Ruler};
use crate::calendar::{Buckets, hour_buckets};
use crate::mapping::{Field, TaskTable};
use crate::store::fields::{Fields, source};
use crate::store::{DayFigures, DayRequest, LONGEST_LABEL, StoreSettings};
use chrono::{DateTime, Utc};
use rusqlite::types::ValueRef;
use rusqlite::{Connection, Row};

/// What was being done, and SQLite's error.
pub type Broken = (&'static str, rusqlite::Error);

pub fn while_doing<T>(doing: &'static str, result: rusqlite::Result<T>) -> Result<T, Broken> {
    result.map_err(|error| (doing, error))
}

/// One report's statements on one snapshot.
pub struct Report<'a> {
    pub connection: &'a Connection,
    pub settings: &'a StoreSettings,
    pub fields: &'a Fields,
    pub request: &'a DayRequest,
    pub source: String,
    pub hours: Buckets<u8>,
    pub ruler: Ruler,
    /// The status labels that occur, where an index has them.
    pub labels: Option<Vec<String>>,
}

impl<'a> Report<'a> {
    pub fn begin(
        connection: &'a Connection,
        settings: &'a StoreSettings,
        fields: &'a Fields,
        request: &'a DayRequest,
    ) -> Result<Self, Broken> {
        while_doing("beginning the report", connection.execute_batch("BEGIN"))?;
        let table = &settings.mapping.tasks;
        let hours = hour_buckets(&request.day);
        let labels = labels::occurring(connection, table, fields);
        let labels = while_doing("reading the statuses", labels)?;
        let mut overlay = overlay(table);
        if labels.is_none() {
            // No index would serve the status.
            let status = bounds::cut(&format!("({})", table.status), LONGEST_LABEL);
            overlay.push((Field::Status, status));
        }
        Ok(Self {
            connection,
            settings,
            fields,
            request,
            source: source(table, &fields.present, &overlay),
            ruler: Ruler::new(&hours.bounds, settings.naive_zone),
            hours,
            labels,
        })
    }

    pub fn figures(&self) -> Result<DayFigures, Broken> {
        let mut figures = DayFigures {
            counted_by: Some(self.fields.counted_by),
            missing: self.fields.missing.clone(),
            ..DayFigures::default()
        };
        let forms = while_doing("counting the days before", self.trend(&mut figures))?;
        let day = while_doing("finding the day", self.in_day(forms))?;
        let slowest = while_doing("counting the day's tasks", self.cells(&day, &mut figures))?;
        if self.fields.has(Field::ProcessingTime) {
            let slowest = self.slowest(&day, slowest);
            figures.slowest = while_doing("finding the slowest tasks", slowest)?;
        }
        if self.fields.has(Field::ErrorMessage) {
            while_doing("sorting the errors", self.errors(&day, &mut figures))?;
        }
        while_doing("listing failed tasks", self.failed(&day, &mut figures))?;
        while_doing("counting open tasks", self.backlog(&mut figures))?;
        figures.scheduled = while_doing("counting scheduled tasks", self.scheduled())?;
        while_doing("counting tasks without a date", self.undated(&mut figures))?;
        Ok(figures)
    }

    /// A field's column, or NULL.
    pub fn column(&self, field: Field) -> String {
        if self.fields.has(field) { format!("t.{}", field.name()) } else { "NULL".to_owned() }
    }

    pub fn time(&self) -> &'static str {
        self.fields.counted_by.name()
    }

    pub fn instant(&self, moment: Moment) -> DateTime<Utc> {
        moment.instant(self.settings.naive_zone)
    }
}

/// Values of a text column as they are; what is no UTF-8 is shown with replacement characters.
pub fn text(row: &Row, column: usize) -> rusqlite::Result<Option<String>> {
    Ok(match row.get_ref(column)? {
        ValueRef::Text(bytes) => Some(String::from_utf8_lossy(bytes).into_owned()),
        _ => None,
    })
}

/// A value as an error message shows it, not longer than a line.
pub fn shown(value: ValueRef) -> String {
    match value {
        ValueRef::Text(bytes) => String::from_utf8_lossy(bytes).chars().take(60).collect(),
        ValueRef::Blob(bytes) => format!("a blob of {} bytes", bytes.len()),
        ValueRef::Integer(number) => number.to_string(),
        ValueRef::Real(number) => number.to_string(),
        ValueRef::Null => "NULL".to_owned(),
    }
}

/// Fields that are not read as they are stored.
pub fn overlay(table: &TaskTable) -> Vec<(Field, String)> {
    let mut overlay = Vec::new();
    for field in [Field::Label, Field::Queue, Field::Name] {
        if let Some(text) = table.field(field) {
            overlay.push((field, bounds::cut(&format!("({text})"), LONGEST_LABEL)));
        }
    }
    if let Some(message) = table.field(Field::ErrorMessage) {
        overlay.push((Field::ErrorMessage, bounds::text(&format!("({message})"))));
    }
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
