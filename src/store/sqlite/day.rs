//! What is read of the day's tasks, and of the open ones.

use super::bounds;
use super::conditions::DayCondition;
use super::connection::{add_function, each_row, read_rows};
use super::groups::{Sorted, grouped};
use super::labels::Labels;
use super::report::{Report, text};
use super::slowest::Candidates;
use super::time::{self, Moment};
use crate::mapping::{Field, State, Wait};
use crate::store::errors::{ErrorCounts, exception};
use crate::store::fields::key_order;
use crate::store::{
    BacklogCount, Cell, DayFigures, DayGroup, ErrorGroup, FailedTask, LONGEST_MESSAGE,
    LONGEST_NAME, MOST_EXCEPTIONS, PERCENTILES, Percentiles,
};
use chrono::{DateTime, Utc};
use rusqlite::params_from_iter;
use rusqlite::types::Value;
use std::collections::HashMap;

/// What is counted of the day's tasks of one queue or name.
#[derive(Default)]
struct Tally {
    tasks: u64,
    failed: u64,
    seconds: Vec<f64>,
    /// Microseconds.
    waits: Vec<f64>,
    oldest_open: Option<DateTime<Utc>>,
}

impl Tally {
    fn finish(self) -> DayGroup {
        let waiting = percentiles(self.waits);
        DayGroup {
            tasks: self.tasks,
            failed: self.failed,
            waiting: waiting.map(|waits| waits.each(|micros| micros / 1e6)),
            processing: percentiles(self.seconds),
            oldest_open: self.oldest_open,
        }
    }
}

impl Report<'_> {
    /// The day's tasks by hour, label and retries, by queue and by name, and the percentiles of their times: 8 bytes of memory for each, and
    /// twice as many for each of what they are grouped by.
    pub fn cells(
        &self,
        day: &DayCondition,
        figures: &mut DayFigures,
    ) -> rusqlite::Result<Candidates> {
        let knows_due = self.fields.has(Field::DueAt);
        let mut sorted: Vec<Sorted<Tally>> = self.sorted(&day.sql, &day.values, "count(*)")?;
        let table = &self.settings.mapping.tasks;
        let key = 7 + sorted.len();
        let mut slowest = Candidates::new(self.request.slowest, key..key + table.key.len());
        let sql = format!(
            "SELECT t.{time}, CAST(t.status AS TEXT), {}, {}, {}, {}, {due}{}, {} FROM {} WHERE {}",
            self.column(Field::RetryCount),
            self.column(Field::ProcessingTime),
            self.column(Field::StartedAt),
            self.column(Field::WaitTime),
            self.labels(&sorted),
            key_order(table),
            self.source,
            day.sql,
            time = self.time(),
            due = if knows_due { "t.due_at" } else { "NULL" },
        );
        let mut statement = self.connection.prepare(&sql)?;
        let mut rows = statement.query(params_from_iter(&day.values))?;
        let mut labels = Labels::default();
        let mut states: Vec<State> = Vec::new();
        let mut cells: HashMap<(u8, usize, Option<i64>), Cell> = HashMap::new();
        let mut durations = Vec::new();
        let mut times = time::Reader::default();
        while let Some(row) = rows.next()? {
            let Some(created) = times.read(row.get_ref(0)?) else {
                continue; // counted as unreadable with the trend
            };
            let Some(&hour) = self.hours.name(self.ruler.place(created)) else {
                continue;
            };
            let label = labels.place(row.get_ref(1)?);
            let retries = row.get(2)?;
            let cell = cells.entry((hour, label, retries)).or_insert_with(|| Cell {
                hour,
                label: labels.label(label),
                retries,
                ..Cell::default()
            });
            cell.tasks += 1;
            let seconds: Option<f64> = row.get(3)?;
            if let Some(seconds) = seconds {
                cell.timed += 1;
                cell.micros += micros(seconds);
                durations.push(seconds);
                slowest.note(seconds, row)?;
            }
            let due = times.read(row.get_ref(6)?);
            let wait = match table.wait {
                Wait::SinceCreation => {
                    let started = times.read(row.get_ref(4)?);
                    self.since_creation(created, due, started).map(i128::from)
                }
                Wait::Seconds(_) | Wait::Unknown => row.get::<_, Option<f64>>(5)?.map(micros),
            };
            if let Some(wait) = wait {
                cell.waited += 1;
                cell.wait_micros += wait;
            }
            if label == states.len() {
                let label = labels.label(label);
                states.push(table.states.of(label.as_deref()));
            }
            let state = states[label];
            let open_since = self.open_since(state, created, due);
            for (sorted, column) in sorted.iter_mut().zip(7..) {
                let tally = sorted.at(row.get_ref(column)?);
                tally.tasks += 1;
                tally.failed += u64::from(state == State::Failed);
                tally.seconds.extend(seconds);
                tally.waits.extend(wait.map(|micros| micros as f64));
                tally.oldest_open = open_since.into_iter().chain(tally.oldest_open).min();
            }
        }
        figures.cells = cells.into_values().collect();
        figures.groups = grouped(sorted, Tally::finish, |group| group.tasks);
        figures.percentiles = percentiles(durations);
        Ok(slowest)
    }

    /// Since when a task is open; `None`: it is not, or it is scheduled.
    fn open_since(
        &self,
        state: State,
        created: Moment,
        due: Option<Moment>,
    ) -> Option<DateTime<Utc>> {
        let due = due.map(|due| self.instant(due));
        let is_open = match state {
            State::Pending => due.is_none_or(|due| due <= self.request.now),
            State::Processing => true,
            _ => false,
        };
        is_open.then(|| due.into_iter().fold(self.instant(created), DateTime::max))
    }

    /// Microseconds from a task's creation, or when it was due if that is later, to its start; `None` where it was due again after that.
    fn since_creation(
        &self,
        created: Moment,
        due: Option<Moment>,
        started: Option<Moment>,
    ) -> Option<i64> {
        if self.fields.counted_by != Field::CreatedAt {
            return None;
        }
        let started = started?;
        let mut wait = self.micros_between(created, started)?;
        if let Some(due) = due {
            wait = wait.min(self.micros_between(due, started)?);
        }
        (wait >= 0 || !self.fields.has(Field::DueAt)).then_some(wait)
    }

    fn micros_between(&self, from: Moment, to: Moment) -> Option<i64> {
        if from.form.is_instant() == to.form.is_instant() {
            return to.micros.checked_sub(from.micros);
        }
        self.instant(to).signed_duration_since(self.instant(from)).num_microseconds()
    }

    /// The category of a message as an expression, by its place in the request; its texts are appended to the values that are bound.
    fn category(&self, values: &mut Vec<Value>) -> String {
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
        if cases.is_empty() { "NULL".to_owned() } else { format!("CASE{cases} END") }
    }

    pub fn errors(&self, day: &DayCondition, figures: &mut DayFigures) -> rusqlite::Result<()> {
        if self.request.categories.is_empty() {
            self.exceptions(day, figures)
        } else {
            self.categories(day, figures)
        }
    }

    /// The most frequent names, counted there: there may be as many as failed tasks. Without its limit the inner query would be merged into the
    /// other, and whole messages be sorted.
    fn exceptions(&self, day: &DayCondition, figures: &mut DayFigures) -> rusqlite::Result<()> {
        add_function(self.connection, "taskmon_exception", |value| {
            let text = value.as_bytes().map(String::from_utf8_lossy).unwrap_or_default();
            exception(&text).map(str::to_owned)
        })?;
        let sql = format!(
            "SELECT name, tasks, sum(tasks) OVER () FROM (SELECT name, count(*) AS tasks FROM \
             (SELECT taskmon_exception(substr(t.error_message, 1, {LONGEST_NAME})) AS name FROM {} \
             WHERE {} AND {} AND t.error_message <> '' LIMIT -1) GROUP BY name) \
             ORDER BY name IS NULL, tasks DESC, name LIMIT {MOST_EXCEPTIONS}",
            self.source,
            self.in_states(&[State::Failed]),
            day.sql,
        );
        let mut counted = ErrorCounts::default();
        each_row(self.connection, &sql, params_from_iter(&day.values), |row| {
            let (tasks, all): (i64, i64) = (row.get(1)?, row.get(2)?);
            counted.note(text(row, 0)?, tasks.unsigned_abs(), all.unsigned_abs());
            Ok(())
        })?;
        figures.errors = counted.groups();
        Ok(())
    }

    fn categories(&self, day: &DayCondition, figures: &mut DayFigures) -> rusqlite::Result<()> {
        let mut values = day.values.clone();
        let category = self.category(&mut values);
        let sql = format!(
            "SELECT {category} FROM {} WHERE {} AND {} AND t.error_message <> ''",
            self.source,
            self.in_states(&[State::Failed]),
            day.sql,
        );
        // Counted here: SQLite would put whole messages into what it groups by.
        each_row(self.connection, &sql, params_from_iter(&values), |row| {
            let place: Option<i64> = row.get(0)?;
            let group = place.map_or(ErrorGroup::Other, ErrorGroup::of_category);
            *figures.errors.entry(group).or_default() += 1;
            Ok(())
        })
    }

    pub fn failed(&self, day: &DayCondition, figures: &mut DayFigures) -> rusqlite::Result<()> {
        // Mixed forms do not sort by time; the function makes instants of them.
        let message = format!("CAST({} AS TEXT)", self.column(Field::ErrorMessage));
        let mut values = day.values.clone();
        let category = if self.fields.has(Field::ErrorMessage) {
            self.category(&mut values)
        } else {
            "NULL".to_owned()
        };
        let sql = format!(
            "SELECT CAST(t.label AS TEXT), {}, {}, t.{time}, nullif(max(octet_length({message}), {LONGEST_MESSAGE}), {LONGEST_MESSAGE}), {category} FROM {} WHERE {} AND {} ORDER BY {} DESC, {} LIMIT {}",
            bounds::cut(&message, LONGEST_MESSAGE),
            self.column(Field::RetryCount),
            self.source,
            self.in_states(&[State::Failed]),
            day.sql,
            self.newest(day)?,
            key_order(&self.settings.mapping.tasks),
            self.request.failed_details,
            time = self.time(),
        );
        each_row(self.connection, &sql, params_from_iter(&values), |row| {
            if let Some(created) = time::read(row.get_ref(3)?) {
                let message = text(row, 1)?;
                let said = message.as_deref().filter(|message| !message.is_empty());
                let place: Option<i64> = row.get(5)?;
                let group = said.map(|said| match place {
                    Some(place) => ErrorGroup::of_category(place),
                    None if self.request.categories.is_empty() => ErrorGroup::of_message(said),
                    None => ErrorGroup::Other,
                });
                figures.failed.push(FailedTask {
                    task: text(row, 0)?,
                    message,
                    message_length: row.get::<_, Option<i64>>(4)?.map(i64::unsigned_abs),
                    group,
                    retries: row.get(2)?,
                    created_at: self.instant(created),
                });
            }
            Ok(())
        })
    }

    pub fn backlog(&self, figures: &mut DayFigures) -> rusqlite::Result<()> {
        let sql = format!(
            "SELECT CAST(t.status AS TEXT), CAST({} AS TEXT), count(*) FROM {} WHERE {}{} GROUP BY 1, 2",
            self.column(Field::Queue),
            self.source,
            self.in_states(&[State::Pending, State::Processing]),
            self.and_due()?,
        );
        figures.backlog = read_rows(self.connection, &sql, [], |row| {
            Ok(BacklogCount {
                label: row.get(0)?,
                queue: row.get(1)?,
                tasks: row.get::<_, i64>(2)?.unsigned_abs(),
            })
        })?;
        Ok(())
    }

    pub fn undated(&self, figures: &mut DayFigures) -> rusqlite::Result<()> {
        let sql = format!("SELECT count(*) FROM {} WHERE t.{} IS NULL", self.source, self.time());
        let count: i64 = self.connection.query_row(&sql, [], |row| row.get(0))?;
        figures.undated = count.unsigned_abs();
        Ok(())
    }
}

/// The same interpolation as `percentile_cont`: between the two values around each share of the way from first to last.
fn percentiles(mut seconds: Vec<f64>) -> Option<Percentiles> {
    seconds.sort_unstable_by(f64::total_cmp);
    let max = *seconds.last()?;
    let [p50, p90, p95, p99] = PERCENTILES.map(|share| {
        let place = share * (seconds.len() - 1) as f64;
        let (low, high) = (seconds[place.floor() as usize], seconds[place.ceil() as usize]);
        low + place.fract() * (high - low)
    });
    Some(Percentiles { p50, p90, p95, p99, max })
}

/// Ties to even, as PostgreSQL rounds a float to an integer.
fn micros(seconds: f64) -> i128 {
    (seconds * 1e6).round_ties_even() as i128
}
