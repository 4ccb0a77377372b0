//! The live figures.
//!
//! Times are read as they stand, in whichever form, and compared here. Which rows are read, the status says, which an index serves; of tasks that are
//! final those whose creation a function finds recent, before anything else of their rows is looked up.

use super::connection::{add_function, each_row};
use super::groups::{Sorted, grouped};
use super::report::{Broken, Report, shown, text, while_doing};
use super::time::{self, Moment, Ruler};
use crate::calendar::Shift;
use crate::mapping::{Field, State};
use crate::store::fields::key_order;
use crate::store::{DayFigures, Grouped, LiveFigures, LiveRequest, OpenGroup, OpenTask, OpenTasks};
use chrono::{DateTime, TimeDelta, Utc};
use rusqlite::types::{Value, ValueRef};
use rusqlite::{Row, params_from_iter};

/// The function that says whether a task was made recently enough to be looked at.
const RECENT: &str = "taskmon_recent";

/// The earliest time of some tasks, and how many lie before a limit.
struct Ages {
    limit: Ruler,
    found: OpenTasks,
    unreadable: Option<(u64, String)>,
}

impl Ages {
    /// Notes a task and says whether none before was as early. Of its times the first that is not null counts.
    fn note_first(&mut self, report: &Report, times: &[ValueRef]) -> bool {
        let first = times.iter().find(|time| **time != ValueRef::Null);
        self.note(report, first.into_iter())
    }

    /// The same; of its times the latest counts.
    fn note_latest(&mut self, report: &Report, times: &[ValueRef]) -> bool {
        self.note(report, times.iter().filter(|time| **time != ValueRef::Null))
    }

    fn note<'a>(&mut self, report: &Report, times: impl Iterator<Item = &'a ValueRef<'a>>) -> bool {
        self.found.tasks += 1;
        let (since, is_older) = match latest(report, &self.limit, times) {
            Ok(Some(waits)) => waits,
            Ok(None) => return false,
            Err(value) => {
                let (count, _) = self.unreadable.get_or_insert_with(|| (0, shown(*value)));
                *count += 1;
                return false;
            }
        };
        self.found.older += u64::from(is_older);
        let earliest = self.found.oldest.as_ref().map(|oldest| oldest.since);
        let is_earlier = earliest.is_none_or(|earliest| since < earliest);
        if is_earlier {
            self.found.oldest = Some(OpenTask { task: None, since });
        }
        is_earlier
    }
}

/// The latest of a task's times, and whether all of them lie before a limit.
///
/// # Errors
/// One of them, which cannot be read.
fn latest<'a>(
    report: &Report,
    limit: &Ruler,
    times: impl Iterator<Item = &'a ValueRef<'a>>,
) -> Result<Option<(DateTime<Utc>, bool)>, &'a ValueRef<'a>> {
    let (mut latest, mut is_older) = (None, true);
    for value in times {
        let moment = time::read(*value).ok_or(value)?;
        latest = latest.max(Some(report.instant(moment)));
        is_older &= limit.place(moment) == 0;
    }
    Ok(latest.map(|latest| (latest, is_older)))
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
        figures.scheduled = while_doing("counting scheduled tasks", self.scheduled())?;
        figures.finished = while_doing("counting finished tasks", self.finished(request))?;
        let groups = self.open_groups(request);
        figures.groups = while_doing("counting open tasks by queue and name", groups)?;
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
        let mut times = vec![self.time()];
        times.extend(self.fields.has(Field::DueAt).then_some(Field::DueAt.name()));
        let waiting = self.in_states(&[State::Pending]) + &self.and_due()?;
        let mut ages = self.ages(request.waiting_before);
        let mut earliest: Vec<Value> = Vec::new();
        let columns: Vec<String> = times.iter().map(|time| format!("t.{time}")).collect();
        let sql = format!("SELECT {} FROM {} WHERE {waiting}", columns.join(", "), self.source);
        each_row(self.connection, &sql, [], |row| {
            let values: Vec<ValueRef> =
                (0..times.len()).map(|place| row.get_ref(place)).collect::<Result<_, _>>()?;
            if ages.note_latest(self, &values) {
                earliest =
                    (0..times.len()).map(|place| row.get(place)).collect::<Result<_, _>>()?;
            }
            Ok(())
        })?;
        if let Some(oldest) = &mut ages.found.oldest {
            let same = match times.as_slice() {
                [time] => format!("t.{time} = ?1"),
                times => {
                    let numbered = (1..).zip(times);
                    let same = numbered.map(|(place, time)| format!("t.{time} IS ?{place}"));
                    same.collect::<Vec<_>>().join(" AND ")
                }
            };
            let sql = format!(
                "SELECT CAST(t.label AS TEXT) FROM {} WHERE {waiting} AND {same} ORDER BY {} LIMIT 1",
                self.source,
                key_order(&self.settings.mapping.tasks),
            );
            oldest.task =
                self.connection.query_row(&sql, params_from_iter(earliest), |row| text(row, 0))?;
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
            let is_earliest =
                ages.note_first(self, &[row.get_ref(1)?, row.get_ref(2)?, row.get_ref(3)?]);
            if is_earliest && let Some(oldest) = &mut ages.found.oldest {
                oldest.task = text(row, 0)?;
            }
            Ok(())
        })?;
        Ok(ages)
    }

    /// Open tasks, read once for both.
    fn open_groups(&self, request: &LiveRequest) -> rusqlite::Result<Grouped<OpenGroup>> {
        let open = self.in_states(&[State::Pending, State::Processing]);
        let pending = self.in_states(&[State::Pending]);
        let scheduled = self.is_scheduled()?;
        let knows_due = scheduled.is_some();
        let scheduled = scheduled.map_or(String::new(), |sql| format!("WHEN {sql} THEN 1 "));
        let kind = format!("CASE {scheduled}WHEN {pending} THEN 0 ELSE 2 END");
        let mut sorted: Vec<Sorted<OpenGroup>> =
            self.sorted(&open, &[], &format!("sum({kind} = 0)"))?;
        if sorted.is_empty() {
            return Ok(Grouped::default());
        }
        let limit = Ruler::new(&[request.waiting_before], self.settings.naive_zone);
        let due = if knows_due { "t.due_at" } else { "NULL" };
        let sql = format!(
            "SELECT {kind}, t.{}, {due}{} FROM {} WHERE {open}",
            self.time(),
            self.labels(&sorted),
            self.source
        );
        each_row(self.connection, &sql, [], |row| {
            let kind: i64 = row.get(0)?;
            let times = [row.get_ref(1)?, row.get_ref(2)?];
            let known = times.iter().filter(|time| **time != ValueRef::Null);
            // What cannot be read is reported with the pending tasks.
            let waits = latest(self, &limit, known).ok().flatten();
            for (sorted, column) in sorted.iter_mut().zip(3..) {
                let group = sorted.at(row.get_ref(column)?);
                match kind {
                    0 => {
                        group.pending += 1;
                        if let Some((since, is_older)) = waits {
                            group.older += u64::from(is_older);
                            let earliest = group.oldest.map_or(since, |oldest| oldest.min(since));
                            group.oldest = Some(earliest);
                        }
                    }
                    1 => *group.scheduled.get_or_insert(0) += 1,
                    _ => group.processing += 1,
                }
            }
            Ok(())
        })?;
        let finish = |mut group: OpenGroup| {
            group.scheduled = knows_due.then(|| group.scheduled.unwrap_or(0));
            group
        };
        Ok(grouped(sorted, finish, |group| group.pending))
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
