//! Conditions on time and status, in the forms in which a table's values come.

use super::connection::add_function;
use super::quote::text_literal;
use super::report::Report;
use super::time::{self, Forms, Ruler};
use crate::calendar::Shift;
use crate::mapping::{Field, Membership, State};
use chrono::TimeDelta;
use rusqlite::types::Value;

/// "The task belongs to the day", and the values that the text binds.
pub struct DayCondition {
    pub sql: String,
    pub values: Vec<Value>,
}

/// The function that says whether a time in any form lies within the day.
const IN_DAY: &str = "taskmon_in_day";

/// The function that says whether a time in any form is yet to come.
const LATER: &str = "taskmon_later";

impl Report<'_> {
    /// The day's condition: bounds in the one form that all values have, else wide ranges and a function that knows every form.
    pub fn in_day(&self, forms: Forms) -> rusqlite::Result<DayCondition> {
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
                let text = |instant| Value::Text(time::bound_text(instant, zone, separator));
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

    /// How many pending tasks are not due yet; `None`: the table does not know it.
    pub fn scheduled(&self) -> rusqlite::Result<Option<u64>> {
        let Some(scheduled) = self.is_scheduled()? else {
            return Ok(None);
        };
        let sql = format!("SELECT count(*) FROM {} WHERE {scheduled}", self.source);
        let count: i64 = self.connection.query_row(&sql, [], |row| row.get(0))?;
        Ok(Some(count.unsigned_abs()))
    }

    /// What a condition on open tasks goes on with, so that those are left out that are not due yet.
    pub fn and_due(&self) -> rusqlite::Result<String> {
        let scheduled = self.is_scheduled()?;
        Ok(scheduled.map_or(String::new(), |scheduled| format!(" AND NOT ({scheduled})")))
    }

    /// "The task is pending and not due yet."
    pub fn is_scheduled(&self) -> rusqlite::Result<Option<String>> {
        if !self.fields.has(Field::DueAt) {
            return Ok(None);
        }
        let after_now = self.request.now.plus(TimeDelta::microseconds(1));
        let ruler = Ruler::new(&[after_now], self.settings.naive_zone);
        add_function(self.connection, LATER, move |value| {
            time::read(value).is_some_and(|due| ruler.place(due) == 1)
        })?;
        let pending = self.in_states(&[State::Pending]);
        Ok(Some(format!("{pending} AND {LATER}(t.{})", Field::DueAt.name())))
    }

    fn register_in_day(&self) -> rusqlite::Result<()> {
        let (ruler, hours) = (self.ruler.clone(), self.hours.clone());
        add_function(self.connection, IN_DAY, move |value| {
            time::read(value).is_some_and(|moment| hours.name(ruler.place(moment)).is_some())
        })
    }

    /// What sorts rows by time: the column, or, where forms are mixed, a function that makes an instant of it.
    pub fn newest(&self, day: &DayCondition) -> rusqlite::Result<String> {
        if !day.sql.contains(IN_DAY) {
            return Ok(format!("t.{}", self.time()));
        }
        let zone = self.settings.naive_zone;
        add_function(self.connection, "taskmon_micros", move |value| {
            time::read(value).map(|moment| moment.instant(zone).timestamp_micros())
        })?;
        Ok(format!("taskmon_micros(t.{})", self.time()))
    }

    /// "The task is in one of these states."
    pub fn in_states(&self, states: &[State]) -> String {
        let mapping = &self.settings.mapping.tasks.states;
        let (column, operator, labels): (&str, &str, Vec<String>) = match &self.labels {
            Some(labels) => {
                let claimed =
                    labels.iter().filter(|label| states.contains(&mapping.of(Some(label))));
                ("t.status", "IN", claimed.map(|label| text_literal(label)).collect())
            }
            None => {
                let (folded, operator) = match mapping.membership(states) {
                    Membership::In(labels) => (labels, "IN"),
                    Membership::NotIn(labels) => (labels, "NOT IN"),
                };
                // SQLite's own function knows ASCII letters only, and is faster.
                let column = if folded.iter().all(|label| label.is_ascii()) {
                    "lower(CAST(t.status AS TEXT))"
                } else {
                    "taskmon_lower(CAST(t.status AS TEXT))"
                };
                let labels = folded.iter().map(|label| text_literal(label)).collect();
                (column, operator, labels)
            }
        };
        format!("{column} {operator} ({})", labels.join(", "))
    }

    /// Conditions that together let every row pass once, and the status of those that pass, as SQL; with the labels known, each is served by the index
    /// on (status, time), and the status need not be read.
    pub fn each_status(&self) -> Vec<(String, String)> {
        let Some(labels) = &self.labels else {
            return vec![(String::new(), "CAST(t.status AS TEXT)".to_owned())];
        };
        let labels = labels.iter().map(|label| text_literal(label));
        let mut each: Vec<_> =
            labels.map(|label| (format!("t.status = {label} AND"), label)).collect();
        each.push(("t.status IS NULL AND".to_owned(), "NULL".to_owned()));
        each
    }

    /// The ranges of values, of whichever type, that can lie within the ruler's bounds.
    pub fn wide_ranges(&self, ruler: &Ruler) -> rusqlite::Result<Vec<(Value, Value)>> {
        let mut ranges = Vec::new();
        if let Some((low, high)) = ruler.text_range() {
            ranges.push((Value::Text(low), Value::Text(high)));
        }
        // Numbers come before text in SQLite's order.
        let sql =
            format!("SELECT EXISTS (SELECT 1 FROM {} WHERE t.{} < '')", self.source, self.time());
        if self.connection.query_row(&sql, [], |row| row.get(0))? {
            let numbers = ruler.number_ranges().into_iter().flatten();
            ranges.extend(numbers.map(|(low, high)| (Value::Integer(low), Value::Integer(high))));
        }
        Ok(ranges)
    }
}
