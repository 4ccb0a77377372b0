//! Counting days: time and status of every row that can belong to one of them, whatever the form of its time.

use super::connection::each_row;
use super::labels::Labels;
use super::report::{Report, shown};
use super::time::{self, Forms, Moment, Ruler};
use crate::calendar::{Buckets, day_buckets};
use crate::store::fields::key_order;
use crate::store::{DayCount, DayFigures};
use rusqlite::Row;

impl Report<'_> {
    /// Reads time and status of every row that can belong to one of the days, from an index where there is one, and counts.
    pub fn trend(&self, figures: &mut DayFigures) -> rusqlite::Result<Forms> {
        let days = day_buckets(&self.request.trend);
        let ruler = Ruler::new(&days.bounds, self.settings.naive_zone);
        let mut tally = Tally::default();
        for (low, high) in self.wide_ranges(&ruler)? {
            for (has_status, status) in self.each_status() {
                let sql = format!(
                    "SELECT t.{time}, {status} FROM {} WHERE {has_status} t.{time} >= ? AND t.{time} < ?",
                    self.source,
                    time = self.time(),
                );
                each_row(self.connection, &sql, [&low, &high], |row| tally.count(row, &ruler))?;
            }
        }
        self.look_for_strange_times(&mut tally)?;
        figures.trend = tally.by_day(&days);
        figures.unreadable = tally.unreadable;
        Ok(tally.forms)
    }

    /// Text that does not start like a year from 1900 to 2999 is in none of those ranges: without this, it would not be reported as unreadable. Of a
    /// column that counts something else than a time, or writes `2026/11/29`, the newest rows give the example.
    fn look_for_strange_times(&self, tally: &mut Tally) -> rusqlite::Result<()> {
        let time = self.time();
        // No bound may read as a number: a column declared `datetime` is of numeric affinity, and every text comes after every number.
        let ranges =
            [format!("t.{time} >= '' AND t.{time} < '19-'"), format!("t.{time} > '2\u{10ffff}'")];
        for range in ranges {
            let sql = format!("SELECT t.{time} FROM {} WHERE {range}", self.source);
            each_row(self.connection, &sql, [], |row| tally.read(row).map(drop))?;
        }
        if tally.unreadable.is_some() {
            return Ok(());
        }
        let key = key_order(&self.settings.mapping.tasks).replace(", ", " DESC, ");
        let sql = format!(
            "SELECT t.{time} FROM {} WHERE t.{time} IS NOT NULL ORDER BY {key} DESC LIMIT {LOOKED_AT}",
            self.source
        );
        let mut newest = Tally::default();
        each_row(self.connection, &sql, [], |row| newest.read(row).map(drop))?;
        tally.unreadable = newest.unreadable;
        Ok(())
    }
}

/// How many of the newest rows are looked at where no time is strange so far.
const LOOKED_AT: u16 = 500;

/// What the counting of days finds.
#[derive(Default)]
struct Tally {
    times: time::Reader,
    labels: Labels,
    /// By the label's number, and the number of bounds passed.
    counts: Vec<Vec<u64>>,
    forms: Forms,
    unreadable: Option<(u64, String)>,
}

impl Tally {
    /// The time in a row's first column; counts what is no time.
    fn read(&mut self, row: &Row) -> rusqlite::Result<Option<Moment>> {
        let value = row.get_ref(0)?;
        let moment = self.times.read(value);
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
            if label == self.counts.len() {
                self.counts.push(vec![0; ruler.places()]);
            }
            self.counts[label][ruler.place(moment)] += 1;
        }
        Ok(())
    }

    fn by_day(&self, days: &Buckets<usize>) -> Vec<DayCount> {
        let mut found = Vec::new();
        for (label, counts) in self.counts.iter().enumerate() {
            for (passed, tasks) in counts.iter().enumerate().filter(|(_, tasks)| **tasks > 0) {
                if let Some(day) = days.name(passed) {
                    let label = self.labels.label(label);
                    found.push(DayCount { day: *day, label, tasks: *tasks });
                }
            }
        }
        found
    }
}
