//! The statements of the live figures.
//!
//! Open tasks are few and found by their status; tasks that are final are read only as far as they were made today, or lately. No
//! statement sorts by the creation time with a limit: the planner would then walk the index on it from the oldest task on, past
//! every finished one, to the first that is open.

use super::plan::{Plan, Statement, Writer, unsigned};
use super::schema::{Schema, TimeType};
use super::text::text;
use super::waiting::Clock;
use crate::calendar::Shift;
use crate::mapping::{Field, State};
use crate::outcome::Failure;
use crate::store::fields::key_order;
use crate::store::{LiveRequest, OpenTask, OpenTasks, StoreSettings};
use chrono::TimeDelta;
use postgres::Row;

/// Several times of a task, of which the first that a row has counts.
struct Clocks(Vec<Clock>);

impl Plan {
    /// # Errors
    /// A column for the last update or the completion that holds no time.
    pub fn live(
        settings: &StoreSettings,
        schema: &Schema,
        request: &LiveRequest,
    ) -> Result<Self, Failure> {
        let day = request.day();
        let writer = Writer::new(settings, schema, &day);
        let since = writer.clocks(&[Field::StartedAt, Field::UpdatedAt])?;
        let mut statements = vec![writer.trend()];
        statements.extend(writer.finished(request)?);
        statements.push(writer.processing(request, &since));
        statements.push(writer.pending(request));
        statements.extend(writer.scheduled());
        statements.extend(writer.open_groups(request));
        Ok(writer.plan(since.time(), statements))
    }
}

impl Writer<'_> {
    /// The time that tasks are counted by, or one of the other three.
    fn clock(&self, field: Field) -> Result<Option<Clock>, Failure> {
        let time = self.schema.time_type(&self.settings.mapping.tasks, field)?;
        let is_read_as_it_is = |time: &TimeType| {
            *time != TimeType::Date
                || field == self.schema.fields.counted_by
                || field == Field::StartedAt
        };
        Ok(time.map(|time| {
            let name = format!("t.{}", field.name());
            let sql = if is_read_as_it_is(&time) { name } else { time.as_wall_clock(&name) };
            Clock { sql, time: time.overlaid() }
        }))
    }

    /// Those of these times that the table has, and last the one that tasks are counted by.
    fn clocks(&self, fields: &[Field]) -> Result<Clocks, Failure> {
        let mut clocks = Vec::new();
        for field in fields.iter().chain([&self.schema.fields.counted_by]) {
            clocks.extend(self.clock(*field)?);
        }
        Ok(Clocks(clocks))
    }

    /// Counts and the earliest time from the index alone, as one aggregate; then the task of that time.
    fn pending(&self, request: &LiveRequest) -> Statement {
        let mut draft = self.draft();
        let (source, Clock { sql: since, time }) = (&self.source, self.waiting_since());
        let states = draft.in_states(&[State::Pending]) + &draft.and_due();
        let before = draft.bind_times_in(time, vec![request.waiting_before]);
        let sql = format!(
            "WITH waiting AS MATERIALIZED (SELECT count(*) AS tasks, \
             count(*) FILTER (WHERE {is_known} AND {since} < ({before})[1]) AS older, \
             min({since}) FILTER (WHERE {is_known}) AS oldest FROM {source} WHERE {states}) \
             SELECT NULL::text, oldest, older, tasks FROM waiting \
             UNION ALL (SELECT {label}, NULL, NULL, NULL FROM {source} \
             WHERE {states} AND {since} = (SELECT oldest FROM waiting) ORDER BY {keys} LIMIT 1)",
            is_known = time.is_in_calendar(&since),
            label = self.shown("t.label"),
            keys = key_order(&self.settings.mapping.tasks),
        );
        draft.finish("counting pending tasks", sql, |plan, rows, figures| {
            figures.live.pending = plan.open_tasks(rows, plan.waiting)?;
            Ok(())
        })
    }

    /// Every processing task is read: its start is in no index.
    fn processing(&self, request: &LiveRequest, since: &Clocks) -> Statement {
        let mut draft = self.draft();
        let keys = key_order(&self.settings.mapping.tasks);
        let sql = format!(
            "SELECT {label}, since, count(*) FILTER (WHERE late) OVER (), count(*) OVER () \
             FROM (SELECT t.label, {since} AS since, {late} AS late, {keys} FROM {source} WHERE {states}) AS open \
             ORDER BY since, {keys} LIMIT 1",
            label = self.shown("label"),
            since = since.value(self.settings.naive_zone.name()),
            late = since.each(|clock| {
                let before = draft.bind_times_in(clock.time, vec![request.stuck_before]);
                format!("{} < ({before})[1]", clock.sql)
            }),
            source = self.source,
            states = draft.in_states(&[State::Processing]),
        );
        draft.finish("looking for stuck tasks", sql, |plan, rows, figures| {
            figures.live.processing = plan.open_tasks(rows, plan.since)?;
            Ok(())
        })
    }

    /// `None`: nothing says when a task finished.
    fn finished(&self, request: &LiveRequest) -> Result<Option<Statement>, Failure> {
        if !self.has(Field::CompletedAt) && !self.has(Field::UpdatedAt) {
            return Ok(None);
        }
        let [completed, failed] =
            [State::Completed, State::Failed].map(|state| self.clocks(&state.ended_by()[..2]));
        let (completed, failed) = (completed?, failed?);
        let mut draft = self.draft();
        let made = draft.bind_times(vec![request.finished_made_since]);
        let (first, last) = request.finished_in;
        let after = last.plus(TimeDelta::microseconds(1));
        let mut within = |clock: &Clock| {
            let bounds = draft.bind_times_in(clock.time, vec![first, after]);
            format!("{sql} >= ({bounds})[1] AND {sql} < ({bounds})[2]", sql = clock.sql)
        };
        let (completed_then, failed_then) = (completed.each(&mut within), failed.each(&mut within));
        let sql = format!(
            "SELECT count(*) FROM {source} WHERE {final_states} AND {time} >= ({made})[1] \
             AND CASE WHEN {failed} THEN {failed_then} ELSE {completed_then} END",
            source = self.source,
            time = self.time(),
            final_states = draft.in_states(&[State::Completed, State::Failed]),
            failed = draft.in_states(&[State::Failed]),
        );
        Ok(Some(draft.finish("counting finished tasks", sql, |_, rows, figures| {
            for row in rows {
                figures.live.finished = Some(unsigned(row.try_get(0)?));
            }
            Ok(())
        })))
    }
}

impl Clocks {
    /// `say` of the first time that a row has and that is in the calendar.
    fn each(&self, mut say: impl FnMut(&Clock) -> String) -> String {
        let cases: Vec<String> = self
            .0
            .iter()
            .map(|clock| {
                format!("WHEN {} THEN {}", clock.time.is_in_calendar(&clock.sql), say(clock))
            })
            .collect();
        format!("CASE {} END", cases.join(" "))
    }

    /// The type of [`Clocks::value`].
    fn time(&self) -> TimeType {
        let instants = self.0.iter().any(|clock| clock.time == TimeType::Instant);
        if instants { TimeType::Instant } else { TimeType::WallClock }
    }

    /// The first time that a row has; wall clocks become instants if some of the times are instants.
    fn value(&self, zone: &str) -> String {
        let type_of_all = self.time();
        self.each(|clock| match (type_of_all, clock.time) {
            (TimeType::Instant, _) => clock.absolute(zone),
            _ => clock.sql.clone(),
        })
    }
}

impl Plan {
    /// From rows of a label, the earliest time, the tasks that are too old and all tasks; each may be NULL in one row and given in another.
    fn open_tasks(&self, rows: &[Row], time: TimeType) -> Result<OpenTasks, postgres::Error> {
        let (mut found, mut task, mut since) = (OpenTasks::default(), None, None);
        for row in rows {
            task = text(row, 0)?.or(task);
            since = self.instant(row, 1, time)?.or(since);
            found.older += unsigned(row.try_get::<_, Option<i64>>(2)?.unwrap_or(0));
            found.tasks += unsigned(row.try_get::<_, Option<i64>>(3)?.unwrap_or(0));
        }
        found.oldest = since.map(|since| OpenTask { task, since });
        Ok(found)
    }
}
