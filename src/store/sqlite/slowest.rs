//! The day's slowest tasks, without reading the day a second time.

use super::conditions::DayCondition;
use super::connection::read_rows;
use super::report::{Report, text};
use crate::store::SlowTask;
use crate::store::fields::key_order;
use rusqlite::types::Value;
use rusqlite::{Row, params_from_iter};

/// More candidates than this are sorted by the database.
const MOST_CANDIDATES: usize = 1000;

/// The tasks that may be among the slowest, noted while the day is counted.
pub struct Candidates {
    limit: usize,
    /// Where a row's key begins, and its columns.
    key: std::ops::Range<usize>,
    /// A task with fewer seconds is none of them.
    least: f64,
    /// Seconds and key.
    found: Vec<(f64, Vec<Value>)>,
}

impl Candidates {
    /// So many of them are asked for; `key` are the columns of a row that hold its key.
    pub fn new(limit: usize, key: std::ops::Range<usize>) -> Self {
        Self { limit, key, least: f64::NEG_INFINITY, found: Vec::new() }
    }

    pub fn note(&mut self, seconds: f64, row: &Row) -> rusqlite::Result<()> {
        if self.limit == 0 || self.limit > MOST_CANDIDATES || seconds < self.least {
            return Ok(());
        }
        let key = self.key.clone().map(|column| row.get(column)).collect::<Result<_, _>>()?;
        self.found.push((seconds, key));
        if self.found.len() > 2 * MOST_CANDIDATES {
            self.keep_slowest();
        }
        Ok(())
    }

    /// With all that are as slow as the last of them.
    fn keep_slowest(&mut self) {
        self.found.sort_by(|(one, _), (other, _)| other.total_cmp(one));
        if let Some((least, _)) = self.found.get(self.limit.saturating_sub(1)) {
            self.least = *least;
            self.found.retain(|(seconds, _)| *seconds >= self.least);
        }
    }

    /// Their keys; `None`: they are too many.
    fn keys(mut self) -> Option<Vec<Vec<Value>>> {
        self.keep_slowest();
        let is_few = self.found.len() <= MOST_CANDIDATES && self.limit <= MOST_CANDIDATES;
        is_few.then(|| self.found.into_iter().map(|(_, key)| key).collect())
    }
}

impl Report<'_> {
    /// The slowest tasks, ties by key. Where the candidates' keys do not find them, as in a view whose keys may be NULL, the day is read again.
    pub fn slowest(
        &self,
        day: &DayCondition,
        candidates: Candidates,
    ) -> rusqlite::Result<Vec<SlowTask>> {
        if let Some(keys) = candidates.keys() {
            let expected = keys.len().min(self.request.slowest);
            let found = self.slowest_of(day, keys)?;
            if found.len() == expected {
                return Ok(found);
            }
        }
        self.slowest_where(&day.sql, &day.values)
    }

    fn slowest_of(
        &self,
        day: &DayCondition,
        keys: Vec<Vec<Value>>,
    ) -> rusqlite::Result<Vec<SlowTask>> {
        if keys.is_empty() {
            return Ok(Vec::new());
        }
        let mut values = day.values.clone();
        let keys = keys.into_iter().map(|key| {
            let places = key.into_iter().map(|part| {
                values.push(part);
                format!("?{}", values.len())
            });
            format!("({})", places.collect::<Vec<_>>().join(", "))
        });
        let keys = keys.collect::<Vec<_>>().join(", ");
        let key = key_order(&self.settings.mapping.tasks);
        self.slowest_where(&format!("({key}) IN (VALUES {keys}) AND {}", day.sql), &values)
    }

    fn slowest_where(&self, condition: &str, values: &[Value]) -> rusqlite::Result<Vec<SlowTask>> {
        let sql = format!(
            "SELECT CAST(t.label AS TEXT), t.processing_time, CAST(t.status AS TEXT) FROM {} \
             WHERE {condition} AND t.processing_time IS NOT NULL ORDER BY t.processing_time DESC, {} LIMIT {}",
            self.source,
            key_order(&self.settings.mapping.tasks),
            self.request.slowest,
        );
        read_rows(self.connection, &sql, params_from_iter(values), |row| {
            Ok(SlowTask { task: text(row, 0)?, processing_time: row.get(1)?, label: text(row, 2)? })
        })
    }
}
