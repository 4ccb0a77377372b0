//! The statements of a day's report, and their rows.

use super::plan::{Bound, Draft, Figures, Plan, Statement, Writer, unsigned};
use super::quote::literal;
use super::schema::Schema;
use super::text::text;
use super::waiting::Clock;
use crate::mapping::{Field, State, Wait};
use crate::store::errors::{ErrorCounts, exception_pattern};
use crate::store::fields::key_order;
use crate::store::{
    BacklogCount, Cell, DayFigures, DayRequest, ErrorGroup, FailedTask, GROUPED_BY, Groups,
    LONGEST_MESSAGE, LONGEST_NAME, MOST_EXCEPTIONS, PERCENTILES, Percentiles, SlowTask,
    StoreSettings,
};
use postgres::Row;
use std::collections::BTreeMap;

/// What a row of the day's statement holds, as its first column says.
mod part {
    pub const CELL: i32 = 0;
    pub const PERCENTILES: i32 = 1;
    pub const SLOW_TASK: i32 = 2;
    /// The first of those of [`super::Writer::grouped_by`].
    pub const GROUPS: i32 = 3;
}

/// A failed task's message that is in no category; NULL means that there is none, or that errors are counted by their exceptions.
const NO_CATEGORY: i32 = -1;

impl Plan {
    pub fn day(settings: &StoreSettings, schema: &Schema, request: &DayRequest) -> Self {
        let writer = Writer::new(settings, schema, request);
        // The longest first: two connections that share the list then end at about the same time.
        let mut statements =
            vec![writer.day(), writer.trend(), writer.backlog(), writer.failed(), writer.undated()];
        statements.extend(writer.exceptions());
        statements.extend(writer.scheduled());
        writer.plan(schema.time, statements)
    }

    fn read_day(&self, rows: &[Row], figures: &mut Figures) -> Result<(), postgres::Error> {
        let figures = &mut figures.day;
        let mut cells = BTreeMap::new();
        let fields: Vec<Field> = GROUPED_BY.into_iter().filter(|of| self.fields.has(*of)).collect();
        for field in &fields {
            *figures.groups.of(*field) = Some(Groups::default());
        }
        for row in rows {
            match row.try_get::<_, i32>(0)? {
                part::CELL => self.read_cell(row, &mut cells, figures)?,
                part::PERCENTILES => figures.percentiles = percentiles(row, 11)?,
                part::SLOW_TASK => figures.slowest.push(SlowTask {
                    task: text(row, 10)?,
                    processing_time: row.try_get(11)?,
                    label: text(row, 2)?,
                }),
                group => {
                    let place = usize::try_from(group - part::GROUPS).unwrap_or_default();
                    if let Some(field) = fields.get(place) {
                        self.read_day_group(row, *field, figures)?;
                    }
                }
            }
        }
        for groups in [&mut figures.groups.queues, &mut figures.groups.names].into_iter().flatten()
        {
            groups.sort(|group| group.tasks);
        }
        figures.cells = cells.into_values().collect();
        Ok(())
    }

    /// Adds a row to its cell; the rows of one cell differ in the category of errors.
    fn read_cell(
        &self,
        row: &Row,
        cells: &mut BTreeMap<(u8, Option<String>, Option<i64>), Cell>,
        figures: &mut DayFigures,
    ) -> Result<(), postgres::Error> {
        let passed = unsigned(row.try_get(1)?) as usize;
        let Some(&hour) = self.hours.name(passed) else {
            return Ok(()); // between the pieces of a day
        };
        let (label, retries): (_, Option<i64>) = (text(row, 2)?, row.try_get(3)?);
        let tasks = unsigned(row.try_get(5)?);
        if let Some(category) = row.try_get::<_, Option<i32>>(4)? {
            let group = ErrorGroup::of_category(category.into());
            *figures.errors.entry(group).or_default() += tasks;
        }
        let cell = cells.entry((hour, label.clone(), retries)).or_insert_with(|| Cell {
            hour,
            label,
            retries,
            ..Cell::default()
        });
        cell.tasks += tasks;
        cell.timed += unsigned(row.try_get(6)?);
        cell.micros += whole(row.try_get(7)?);
        cell.waited += unsigned(row.try_get(8)?);
        cell.wait_micros += whole(row.try_get(9)?);
        Ok(())
    }
}

impl Writer<'_> {
    /// The day's tasks, read once for all that is computed from each of them: reading wide rows costs more than the computing.
    ///
    /// The answer's first column says what a row holds ([`part`]), the second its place among such rows.
    fn day(&self) -> Statement {
        let mut draft = self.draft();
        let tasks = self.day_tasks(&mut draft);
        let cells = format!(
            "SELECT {}, hour::int8, {}, retries, category, tasks, timed, micros::text, waited, wait_micros::text, \
             NULL::text, NULL::float8, NULL::float8[], NULL::float8, NULL::float8[], NULL::{} FROM (SELECT hour, status, retries, category, count(*) AS tasks, count(seconds) AS timed, \
             sum((seconds * 1000000)::int8) AS micros, count(wait) AS waited, sum(wait) AS wait_micros FROM day \
             GROUP BY hour, status, retries, category) AS cells",
            part::CELL,
            self.shown("status"),
            self.type_of_waiting(),
        );
        let (mut tables, mut answers) = (vec![format!("day AS ({tasks})")], vec![cells]);
        let shares = draft.bind(Bound::Shares(PERCENTILES.to_vec()));
        if self.has(Field::ProcessingTime) {
            tables.push(format!(
                "shares AS (SELECT percentile_cont({shares}) WITHIN GROUP (ORDER BY seconds) AS seconds, \
                 max(seconds) AS longest, count(seconds) AS timed FROM day)"
            ));
            answers.push(format!(
                "SELECT {}, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, longest, seconds, NULL, NULL, NULL FROM shares",
                part::PERCENTILES
            ));
            answers.push(format!("({})", self.slowest(&mut draft)));
        }
        for (field, part) in self.grouped_by().into_iter().zip(part::GROUPS..) {
            let (table, answer) = draft.day_groups(field, part, &shares);
            tables.push(table);
            answers.push(answer);
        }
        let sql =
            format!("WITH {} {} ORDER BY 1, 2", tables.join(", "), answers.join(" UNION ALL "));
        draft.finish("counting the day's tasks", sql, Plan::read_day)
    }

    /// The columns of the day's tasks that the parts need, `wait` in microseconds.
    fn day_tasks(&self, draft: &mut Draft) -> String {
        format!(
            "SELECT width_bucket({time}, {bounds}) AS hour, t.status, {retries} AS retries, {seconds} AS seconds, \
             ({wait} * 1000000)::int8 AS wait, {category} AS category, {labels}t.label, {keys} \
             FROM {source} WHERE {in_day}",
            time = self.time(),
            bounds = draft.bind_times(self.hours.bounds.clone()),
            retries = self.column(Field::RetryCount, "NULL::int8"),
            seconds = self.column(Field::ProcessingTime, "NULL::float8"),
            wait = self.wait(),
            category = self.category(draft),
            labels = self.day_labels(draft),
            keys = key_order(&self.settings.mapping.tasks),
            source = self.source,
            in_day = draft.in_day(),
        )
    }

    /// The category of a failed task's message: the first of which it contains a text, [`NO_CATEGORY`] if it is in none; NULL
    /// for tasks that have not failed or have no message.
    fn category(&self, draft: &mut Draft) -> String {
        if !self.has(Field::ErrorMessage) || self.request.categories.is_empty() {
            return "NULL::int4".to_owned();
        }
        let mut cases = String::new();
        for (place, texts) in self.request.categories.iter().enumerate() {
            let bound = draft.bind(Bound::Texts(texts.clone()));
            let contains: Vec<String> = (1..=texts.len())
                .map(|number| format!("strpos(t.error_message, ({bound})[{number}]) > 0"))
                .collect();
            if !contains.is_empty() {
                cases += &format!(" WHEN {} THEN {place}", contains.join(" OR "));
            }
        }
        let failed = draft.in_states(&[State::Failed]);
        let speaks = format!("{failed} AND t.error_message <> ''");
        format!("CASE WHEN ({speaks}) IS NOT TRUE THEN NULL{cases} ELSE {NO_CATEGORY} END")
    }

    /// The slowest tasks lie above the highest percentile, if there are enough of them: so few are sorted, not all.
    fn slowest(&self, draft: &mut Draft) -> String {
        let [.., highest] = PERCENTILES;
        // Interpolation may leave one task fewer above it than its share.
        let enough = ((self.request.slowest + 2) as f64 / (1.0 - highest)).ceil();
        format!(
            "SELECT {part}, row_number() OVER (ORDER BY seconds DESC, {keys}), {status}, \
             NULL, NULL, NULL, NULL, NULL, NULL, NULL, {label}, seconds, NULL, NULL, NULL, NULL FROM day \
             WHERE seconds >= (SELECT CASE WHEN timed >= {enough} THEN seconds[{last}] ELSE '-Infinity' END FROM shares) \
             ORDER BY 2 LIMIT {limit}",
            part = part::SLOW_TASK,
            status = self.shown("status"),
            label = self.shown("label"),
            keys = key_order(&self.settings.mapping.tasks),
            last = PERCENTILES.len(),
            limit = draft.bind(Bound::Count(self.request.slowest as i64)),
        )
    }

    /// The seconds that a task waited; NULL where that is not known.
    fn wait(&self) -> String {
        match self.settings.mapping.tasks.wait {
            Wait::SinceCreation => format!("date_part('epoch', {})", self.since_creation()),
            Wait::Seconds(_) | Wait::Unknown => self.column(Field::WaitTime, "NULL::float8"),
        }
    }

    /// From a task's creation, or when it was due if that is later, to its start, as an interval; NULL where there is no start, or it was due again
    /// after that.
    fn since_creation(&self) -> String {
        let (Some(started), Field::CreatedAt) =
            (self.schema.started, self.schema.fields.counted_by)
        else {
            return "NULL::interval".to_owned();
        };
        let zone = self.settings.naive_zone.name();
        let since = self.waiting_since();
        let started = Clock { sql: "t.started_at".to_owned(), time: started.overlaid() };
        let mut is_known = started.time.is_in_calendar(&started.sql);
        let (since, started) = if started.time == since.time {
            // Both on one clock: no conversion for each row.
            (since.sql, started.sql)
        } else {
            (since.absolute(zone), started.absolute(zone))
        };
        if self.schema.due.is_some() {
            is_known += &format!(" AND {started} >= {since}");
        }
        format!("CASE WHEN {is_known} THEN {started} - {since} END")
    }

    fn failed(&self) -> Statement {
        let mut draft = self.draft();
        let stored = self.column(Field::ErrorMessage, "NULL::text");
        let sql = format!(
            "SELECT {label}, {message}, {retries}, {time}, CASE WHEN octet_length({stored}) > {LONGEST_MESSAGE} THEN octet_length({stored})::int8 END, {category} FROM {source} WHERE {failed} AND {in_day} \
             ORDER BY {time} DESC, {keys} LIMIT {limit}",
            label = self.shown("t.label"),
            message = self.schema.shown.text(&stored, LONGEST_MESSAGE),
            category = self.category(&mut draft),
            retries = self.column(Field::RetryCount, "NULL::int8"),
            time = self.time(),
            source = self.source,
            failed = draft.in_states(&[State::Failed]),
            in_day = draft.in_day(),
            keys = key_order(&self.settings.mapping.tasks),
            limit = draft.bind(Bound::Count(self.request.failed_details as i64)),
        );
        draft.finish("listing failed tasks", sql, |plan, rows, figures| {
            for row in rows {
                let Some(created_at) = plan.instant(row, 3, plan.time)? else {
                    continue; // the day's condition lets none through
                };
                let (task, message, retries) = (text(row, 0)?, text(row, 1)?, row.try_get(2)?);
                let message_length: Option<i64> = row.try_get(4)?;
                let message_length = message_length.map(unsigned);
                let said = message.as_deref().filter(|message| !message.is_empty());
                let group = match row.try_get::<_, Option<i32>>(5)? {
                    Some(category) => Some(ErrorGroup::of_category(category.into())),
                    None => said.map(ErrorGroup::of_message),
                };
                figures.day.failed.push(FailedTask {
                    task,
                    message,
                    message_length,
                    group,
                    retries,
                    created_at,
                });
            }
            Ok(())
        })
    }

    /// Failed tasks by the exception that their message names, the most frequent ones first; `None`: they are counted by category, with the day.
    fn exceptions(&self) -> Option<Statement> {
        if !self.has(Field::ErrorMessage) || !self.request.categories.is_empty() {
            return None;
        }
        let mut draft = self.draft();
        let sql = format!(
            "WITH named AS (SELECT substring(left(t.error_message, {LONGEST_NAME}) FROM {exception}) AS name FROM {source} \
             WHERE {failed} AND {in_day} AND t.error_message <> ''), \
             counted AS MATERIALIZED (SELECT name, count(*) AS tasks FROM named GROUP BY name) \
             SELECT {shown}, tasks, (SELECT sum(tasks)::int8 FROM counted) FROM counted \
             ORDER BY name IS NULL, tasks DESC, name COLLATE \"C\" LIMIT {MOST_EXCEPTIONS}",
            shown = self.shown("name"),
            exception = literal(&exception_pattern()),
            source = self.source,
            failed = draft.in_states(&[State::Failed]),
            in_day = draft.in_day(),
        );
        Some(draft.finish("sorting the errors", sql, |_, rows, figures| {
            let mut counted = ErrorCounts::default();
            for row in rows {
                counted.note(text(row, 0)?, unsigned(row.try_get(1)?), unsigned(row.try_get(2)?));
            }
            figures.day.errors = counted.groups();
            Ok(())
        }))
    }

    fn backlog(&self) -> Statement {
        let mut draft = self.draft();
        let sql = format!(
            "SELECT {status}, queue, tasks FROM (SELECT t.status, {queue} AS queue, count(*) AS tasks \
             FROM {source} WHERE {open} GROUP BY 1, 2) AS counted",
            status = self.shown("status"),
            queue = self.shown(&self.column(Field::Queue, "NULL")),
            source = self.source,
            open = draft.in_states(&[State::Pending, State::Processing]) + &draft.and_due(),
        );
        draft.finish("counting open tasks", sql, |_, rows, figures| {
            for row in rows {
                // A task of a state has a label.
                let label = text(row, 0)?.unwrap_or_default();
                let (queue, tasks) = (text(row, 1)?, unsigned(row.try_get(2)?));
                figures.day.backlog.push(BacklogCount { label, queue, tasks });
            }
            Ok(())
        })
    }

    fn undated(&self) -> Statement {
        let sql = format!("SELECT count(*) FROM {} WHERE {} IS NULL", self.source, self.time());
        self.draft().finish("counting tasks without a date", sql, |_, rows, figures| {
            for row in rows {
                figures.day.undated = unsigned(row.try_get(0)?);
            }
            Ok(())
        })
    }
}

/// Of a row's column for the maximum, and the next one for the shares.
pub fn percentiles(row: &Row, column: usize) -> Result<Option<Percentiles>, postgres::Error> {
    let max: Option<f64> = row.try_get(column)?;
    let shares: Option<Vec<f64>> = row.try_get(column + 1)?;
    Ok(match (shares.as_deref(), max) {
        (Some(&[p50, p90, p95, p99]), Some(max)) => Some(Percentiles { p50, p90, p95, p99, max }),
        _ => None,
    })
}

/// A sum that the database printed as text; a sum of nothing is 0.
fn whole(sum: Option<&str>) -> i128 {
    sum.and_then(|digits| digits.parse().ok()).unwrap_or(0)
}
