//! Figures by queue and by name. Which of them are listed, the database says: there may be as many as tasks.

use super::plan::{Bound, Draft, Plan, Statement, Writer, unsigned};
use super::report::percentiles;
use super::schema::TimeType;
use super::text::text;
use crate::mapping::{Field, State};
use crate::store::{
    DayFigures, DayGroup, GROUPED_BY, Groups, LiveFigures, LiveRequest, MOST_GROUPS, OpenGroup,
};
use postgres::Row;

/// What the tasks of a group have in common, as a column says.
mod kind {
    pub const LISTED: i64 = 0;
    /// They have no label.
    pub const BARE: i64 = 1;
    pub const OTHER: i64 = 2;
}

/// What an open task is.
mod open {
    pub const PENDING: i32 = 0;
    pub const SCHEDULED: i32 = 1;
    pub const PROCESSING: i32 = 2;
}

impl Writer<'_> {
    /// What tasks can be grouped by.
    pub fn grouped_by(&self) -> Vec<Field> {
        GROUPED_BY.into_iter().filter(|field| self.has(*field)).collect()
    }

    /// The labels as columns under their own names, each with a comma after it.
    fn labels(&self, fields: &[Field]) -> String {
        let column = |field: &Field| {
            format!("{} AS {}, ", self.shown(&format!("t.{}", field.name())), field.name())
        };
        fields.iter().map(column).collect()
    }

    /// How the type of the time since which tasks wait is called.
    pub fn type_of_waiting(&self) -> &'static str {
        match self.waiting_since().time {
            TimeType::Instant => "timestamptz",
            TimeType::WallClock | TimeType::Date => "timestamp",
        }
    }

    /// Open tasks, read once for both.
    pub fn open_groups(&self, request: &LiveRequest) -> Option<Statement> {
        let fields = self.grouped_by();
        if fields.is_empty() {
            return None;
        }
        let mut draft = self.draft();
        let since = self.waiting_since();
        let is_known = since.time.is_in_calendar(&since.sql);
        let scheduled = draft.is_scheduled().unwrap_or_else(|| "false".to_owned());
        let pending = draft.in_states(&[State::Pending]);
        let before = draft.bind_times_in(since.time, vec![request.waiting_before]);
        let mut tables = vec![format!(
            "open AS MATERIALIZED (SELECT {labels}CASE WHEN {scheduled} THEN {SCHEDULED} WHEN {pending} THEN {PENDING} \
             ELSE {PROCESSING} END AS kind, CASE WHEN {is_known} THEN {since} END AS since, \
             {is_known} AND {since} < ({before})[1] AS late FROM {source} WHERE {states})",
            labels = self.labels(&fields),
            since = since.sql,
            source = self.source,
            states = draft.in_states(&[State::Pending, State::Processing]),
            SCHEDULED = open::SCHEDULED,
            PENDING = open::PENDING,
            PROCESSING = open::PROCESSING,
        )];
        let mut answers = Vec::new();
        for (field, part) in fields.into_iter().zip(0..) {
            let label = field.name();
            let of = |kind: i32| format!("count(*) FILTER (WHERE kind = {kind})");
            tables.push(format!(
                "by_{label} AS (SELECT {label} AS label, {waiting} AS pending, {processing} AS processing, {scheduled} AS scheduled, \
                 count(*) FILTER (WHERE kind = {PENDING} AND late) AS older, min(since) FILTER (WHERE kind = {PENDING}) AS oldest, \
                 row_number() OVER (ORDER BY {order}) AS place FROM open GROUP BY {label})",
                waiting = of(open::PENDING),
                processing = of(open::PROCESSING),
                scheduled = of(open::SCHEDULED),
                PENDING = open::PENDING,
                order = draft.order(field, &of(open::PENDING)),
            ));
            answers.push(format!(
                "SELECT {part}, {kind} AS kind, CASE WHEN place <= {MOST_GROUPS} THEN label END AS shown, sum(pending)::int8, \
                 sum(processing)::int8, sum(scheduled)::int8, sum(older)::int8, min(oldest) FROM by_{label} GROUP BY 1, 2, 3",
                kind = kind_of(&format!("place > {MOST_GROUPS}"), "label IS NULL"),
            ));
        }
        let sql = format!("WITH {} {}", tables.join(", "), answers.join(" UNION ALL "));
        Some(draft.finish("counting open tasks by queue and name", sql, |plan, rows, figures| {
            plan.read_open_groups(rows, &mut figures.live)
        }))
    }

    /// What the day's tasks have for [`Draft::day_groups`], each with a comma after it; nothing if nothing groups them.
    pub fn day_labels(&self, draft: &mut Draft) -> String {
        let fields = self.grouped_by();
        if fields.is_empty() {
            return String::new();
        }
        let since = self.waiting_since();
        format!(
            "{}{} AS is_failed, CASE WHEN {}{} AND {} THEN {} END AS open_since, ",
            self.labels(&fields),
            draft.in_states(&[State::Failed]),
            draft.in_states(&[State::Pending, State::Processing]),
            draft.and_due(),
            since.time.is_in_calendar(&since.sql),
            since.sql,
        )
    }
}

impl Draft<'_> {
    /// The order in which labels are listed: tasks without one, those that were asked for, the largest.
    fn order(&mut self, field: Field, size: &str) -> String {
        let label = field.name();
        let first = self.writer.request.listed_first.of(field).clone();
        let first = self.bind(Bound::Texts(first));
        format!(
            "{label} IS NULL DESC, ({label} = ANY ({first})) IS TRUE DESC, {size} DESC, count(*) DESC, {label} COLLATE \"C\""
        )
    }

    /// The day's tasks by the label of a field: a table for the statement, and its part of the answer.
    pub fn day_groups(&mut self, field: Field, part: i32, shares: &str) -> (String, String) {
        let label = field.name();
        let table = format!(
            "listed_{label} AS (SELECT called, (row_number() OVER ())::int4 AS place FROM (SELECT {label} AS called FROM day GROUP BY {label} \
             ORDER BY {order} LIMIT {MOST_GROUPS}) AS first)",
            order = self.order(field, "count(*)"),
        );
        // Sorted by one small number: a text takes many times as long.
        let (bare, other) = (0, MOST_GROUPS + 1);
        let answer = format!(
            "SELECT {part}, {kind}, called, NULL, NULL, tasks, failed, NULL, NULL, NULL, NULL, longest, seconds, \
             longest_wait, waits, oldest FROM (SELECT coalesce(place, CASE WHEN {label} IS NULL THEN {bare} ELSE {other} END) AS place, \
             count(*) AS tasks, \
             count(*) FILTER (WHERE is_failed) AS failed, max(seconds) AS longest, \
             percentile_cont({shares}) WITHIN GROUP (ORDER BY seconds) AS seconds, max(wait)::float8 AS longest_wait, \
             percentile_cont({shares}) WITHIN GROUP (ORDER BY wait::float8) AS waits, min(open_since) AS oldest \
             FROM day LEFT JOIN listed_{label} ON called = {label} GROUP BY 1) AS groups LEFT JOIN listed_{label} USING (place)",
            kind = kind_of(&format!("place = {other}"), &format!("place = {bare}")),
        );
        (table, answer)
    }
}

fn kind_of(is_other: &str, is_bare: &str) -> String {
    format!(
        "CASE WHEN {is_other} THEN {} WHEN {is_bare} THEN {} ELSE {} END::int8",
        kind::OTHER,
        kind::BARE,
        kind::LISTED
    )
}

fn put<T>(groups: &mut Groups<T>, kind: i64, label: Option<String>, figures: T) {
    match kind {
        kind::OTHER => groups.other = Some(figures),
        kind::BARE => groups.listed.push((None, figures)),
        _ => groups.listed.push((label, figures)),
    }
}

impl Plan {
    pub fn read_day_group(
        &self,
        row: &Row,
        field: Field,
        figures: &mut DayFigures,
    ) -> Result<(), postgres::Error> {
        let in_seconds = |micros: f64| micros / 1e6;
        let group = DayGroup {
            tasks: unsigned(row.try_get(5)?),
            failed: unsigned(row.try_get(6)?),
            waiting: percentiles(row, 13)?.map(|waits| waits.each(in_seconds)),
            processing: percentiles(row, 11)?,
            oldest_open: self.instant(row, 15, self.waiting)?,
        };
        let groups = figures.groups.of(field).get_or_insert_default();
        put(groups, row.try_get(1)?, text(row, 2)?, group);
        Ok(())
    }

    fn read_open_groups(
        &self,
        rows: &[Row],
        figures: &mut LiveFigures,
    ) -> Result<(), postgres::Error> {
        let fields = GROUPED_BY.into_iter().filter(|field| self.fields.has(*field));
        for (field, part) in fields.zip(0..) {
            let mut groups = Groups::default();
            for row in rows {
                if row.try_get::<_, i32>(0)? != part {
                    continue;
                }
                let scheduled: i64 = row.try_get(5)?;
                let group = OpenGroup {
                    pending: unsigned(row.try_get(3)?),
                    older: unsigned(row.try_get(6)?),
                    oldest: self.instant(row, 7, self.waiting)?,
                    processing: unsigned(row.try_get(4)?),
                    scheduled: self.fields.has(Field::DueAt).then(|| unsigned(scheduled)),
                };
                put(&mut groups, row.try_get(1)?, text(row, 2)?, group);
            }
            groups.sort(|group| group.pending);
            *figures.groups.of(field) = Some(groups);
        }
        Ok(())
    }
}
