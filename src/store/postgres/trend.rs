//! Tasks counted by day and status.

use super::plan::{Bound, Figures, Plan, Statement, Writer, unsigned};
use super::schema::StatusType;
use super::text::text;
use crate::store::DayCount;
use postgres::Row;

impl Writer<'_> {
    /// Tasks by day and status. With an index on (status, time) each pair is one scan of that index alone.
    pub fn trend(&self) -> Statement {
        match &self.schema.status {
            StatusType::Enum { name, is_indexed: true, .. } => self.trend_by_label(name),
            _ => self.trend_in_one_scan(),
        }
    }

    fn trend_by_label(&self, enum_name: &str) -> Statement {
        let mut draft = self.draft();
        let (mut places, mut starts, mut ends) = (Vec::new(), Vec::new(), Vec::new());
        for (place, day) in self.request.trend.iter().enumerate() {
            for (start, end) in day.ranges() {
                places.push(place as i32);
                starts.push(start);
                ends.push(end);
            }
        }
        let places = draft.bind(Bound::Places(places));
        let starts = draft.bind_times(starts);
        let ends = draft.bind_times(ends);
        let sql = format!(
            "SELECT r.place, l.label::text, n.tasks \
             FROM unnest({places}, {starts}, {ends}) AS r(place, first, beyond) \
             CROSS JOIN unnest(enum_range(NULL::{enum_name})) AS l(label) \
             CROSS JOIN LATERAL (SELECT count(*) AS tasks FROM {source} \
             WHERE t.status = l.label AND {time} >= r.first AND {time} < r.beyond) AS n \
             UNION ALL \
             SELECT r.place, NULL, n.tasks FROM unnest({places}, {starts}, {ends}) AS r(place, first, beyond) \
             CROSS JOIN LATERAL (SELECT count(*) AS tasks FROM {source} \
             WHERE t.status IS NULL AND {time} >= r.first AND {time} < r.beyond) AS n",
            source = self.source,
            time = self.time(),
        );
        draft.finish("counting the days before", sql, |plan, rows, figures| {
            plan.read_trend(rows, figures, Some)
        })
    }

    /// The label is shown of what was grouped: Citus does not find a status that is an expression within another one again.
    fn trend_in_one_scan(&self) -> Statement {
        let mut draft = self.draft();
        let bounds = draft.bind_times(self.days.bounds.clone());
        let sql = format!(
            "SELECT place, {status}, tasks FROM (SELECT width_bucket({time}, {bounds}) AS place, t.status, count(*) AS tasks FROM {source} \
             WHERE {time} >= ({bounds})[1] AND {time} < ({bounds})[cardinality({bounds})] GROUP BY 1, 2) AS counted",
            time = self.time(),
            status = self.shown("status"),
            source = self.source,
        );
        draft.finish("counting the days before", sql, |plan, rows, figures| {
            plan.read_trend(rows, figures, |passed| plan.days.name(passed).copied())
        })
    }
}

impl Plan {
    fn read_trend(
        &self,
        rows: &[Row],
        figures: &mut Figures,
        day_of: impl Fn(usize) -> Option<usize>,
    ) -> Result<(), postgres::Error> {
        for row in rows {
            if let Some(day) = day_of(unsigned(row.try_get::<_, i32>(0)?.into()) as usize) {
                let (label, tasks) = (text(row, 1)?, unsigned(row.try_get(2)?));
                figures.day.trend.push(DayCount { day, label, tasks });
            }
        }
        Ok(())
    }
}
