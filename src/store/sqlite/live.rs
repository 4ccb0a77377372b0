//! The live figures.
//!
//! Times are read as they stand, in whichever form, and compared here. Which rows are read, the status says, which an index serves; of tasks that are
//! final those whose creation a function finds recent, before anything else of their rows is looked up.

use super::connection::{add_function, each_row};
use super::report::{Broken, Report, shown, text, while_doing};
use super::time::{self, Moment, Ruler};
use crate::calendar::Shift;
use crate::mapping::{Field, State};
use crate::store::fields::key_order;
use crate::store::{DayFigures, LiveFigures, LiveRequest, OpenTask, OpenTasks};
use chrono::{DateTime, TimeDelta, Utc};
use rusqlite::Row;
use rusqlite::types::{Value, ValueRef};

/// The function that says whether a task was made recently enough to be looked at.
const RECENT: &str = "taskmon_recent";

/// The earliest time of some tasks, and how many lie before a limit.
struct Ages {
    limit: Ruler,
    found: OpenTasks,
    unreadable: Option<(u64, String)>,
}

impl Ages {
    /// Notes the time of a task and says whether none before was as early. Of several values the first that is not null counts.
    fn note(&mut self, report: &Report, values: &[ValueRef]) -> bool {
        self.found.tasks += 1;
        let Some(&value) = values.iter().find(|value| **value != ValueRef::Null) else {
            return false;
        };
        let Some(moment) = time::read(value) else {
            let (count, _) = self.unreadable.get_or_insert_with(|| (0, shown(value)));
            *count += 1;
            return false;
        };
        if self.limit.place(moment) == 0 {
            self.found.older += 1;
        }
        let since = report.instant(moment);
        let earliest = self.found.oldest.as_ref().map(|oldest| oldest.since);
        let is_earlier = earliest.is_none_or(|earliest| since < earliest);
        if is_earlier {
            self.found.oldest = Some(OpenTask { task: None, since });
        }
        is_earlier
    }
}

impl Report<'_> {
    pub fn live(&self, request: &LiveRequest) -> Result<LiveFigures, Broken> {
        let mut figures = LiveFigures::default();
        let mut day = DayFigures::default();
        while_doing("counting today's tasks", self.trend(&mut day))?;
        figures.today = day.trend;
        let pending = while_doing("counting pending tasks", self.pending(request))?;
        let processing = while_doing("looking for stuck tasks", self.processing(request))?;
        for unreadable in [pending.unreadable, processing.unreadable].into_iter().flatten() {
            let (count, _) = figures.unreadable.get_or_insert((0, unreadable.1));
            *count += unreadable.0;
        }
        (figures.pending, figures.processing) = (pending.found, processing.found);
        figures.finished = while_doing("counting finished tasks", self.finished(request))?;
        Ok(figures)
    }

    fn ages(&self, limit: DateTime<Utc>) -> Ages {
        Ages {
            limit: Ruler::new(&[limit], self.settings.naive_zone),
            found: OpenTasks::default(),
            unreadable: None,
        }
    }

    /// Times from the index alone; then the task that has the earliest.
    fn pending(&self, request: &LiveRequest) -> rusqlite::Result<Ages> {
        let (time, states) = (self.time(), self.in_states(&[State::Pending]));
        let mut ages = self.ages(request.waiting_before);
        let mut earliest = Value::Null;
        let sql = format!("SELECT t.{time} FROM {} WHERE {states}", self.source);
        each_row(self.connection, &sql, [], |row| {
            if ages.note(self, &[row.get_ref(0)?]) {
                earliest = row.get(0)?;
            }
            Ok(())
        })?;
        if let Some(oldest) = &mut ages.found.oldest {
            let sql = format!(
                "SELECT CAST(t.label AS TEXT) FROM {} WHERE {states} AND t.{time} = ?1 ORDER BY {} LIMIT 1",
                self.source,
                key_order(&self.settings.mapping.tasks),
            );
            oldest.task = self.connection.query_row(&sql, [earliest], |row| text(row, 0))?;
        }
        Ok(ages)
    }

    fn processing(&self, request: &LiveRequest) -> rusqlite::Result<Ages> {
        let mut ages = self.ages(request.stuck_before);
        let sql = format!(
            "SELECT CAST(t.label AS TEXT), {}, {}, t.{} FROM {} WHERE {} ORDER BY {}",
            self.column(Field::StartedAt),
            self.column(Field::UpdatedAt),
            self.time(),
            self.source,
            self.in_states(&[State::Processing]),
            key_order(&self.settings.mapping.tasks),
        );
        each_row(self.connection, &sql, [], |row| {
            let is_earliest = ages.note(self, &[row.get_ref(1)?, row.get_ref(2)?, row.get_ref(3)?]);
            if is_earliest && let Some(oldest) = &mut ages.found.oldest {
                oldest.task = text(row, 0)?;
            }
            Ok(())
        })?;
        Ok(ages)
    }

    /// `None`: nothing says when a task finished.
    fn finished(&self, request: &LiveRequest) -> rusqlite::Result<Option<u64>> {
        if !self.fields.has(Field::CompletedAt) && !self.fields.has(Field::UpdatedAt) {
            return Ok(None);
        }
        self.register_recent(request.finished_made_since)?;
        let (first, last) = request.finished_in;
        let hour =
            Ruler::new(&[first, last.plus(TimeDelta::microseconds(1))], self.settings.naive_zone);
        let mut count = 0;
        // A wide range that an index can serve, for a day of margin on either side covers every offset; the function knows the rest.
        let (start, end) = (request.finished_made_since, last.plus(TimeDelta::days(365)));
        let made = Ruler::new(&[start, end], self.settings.naive_zone);
        for (low, high) in self.wide_ranges(&made)? {
            for state in [State::Completed, State::Failed] {
                let [one, other, _] = state.ended_by().map(|field| self.column(field));
                let sql = format!(
                    "SELECT {one}, {other}, t.{time} FROM {} WHERE {} AND t.{time} >= ?1 AND t.{time} < ?2 AND {RECENT}(t.{time})",
                    self.source,
                    self.in_states(&[state]),
                    time = self.time(),
                );
                each_row(self.connection, &sql, [&low, &high], |row| {
                    count += u64::from(finished_at(row)?.is_some_and(|at| hour.place(at) == 1));
                    Ok(())
                })?;
            }
        }
        Ok(Some(count))
    }

    fn register_recent(&self, since: DateTime<Utc>) -> rusqlite::Result<()> {
        let ruler = Ruler::new(&[since], self.settings.naive_zone);
        add_function(self.connection, RECENT, move |value| {
            time::read(value).is_some_and(|made| ruler.place(made) == 1)
        })
    }
}

/// The first of a row's three times that is there.
fn finished_at(row: &Row) -> rusqlite::Result<Option<Moment>> {
    for column in 0..3 {
        let value = row.get_ref(column)?;
        if value != ValueRef::Null {
            return Ok(time::read(value));
        }
    }
    Ok(None)
}
