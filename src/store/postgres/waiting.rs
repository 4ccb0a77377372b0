//! Since when a task waits: since it was made or, where the table knows it, since it was due, whichever is later.

use super::plan::{Draft, Statement, Writer, unsigned};
use super::schema::TimeType;
use crate::mapping::{Field, State};

/// A time as it is computed, and its type.
pub struct Clock {
    pub sql: String,
    pub time: TimeType,
}

impl Clock {
    /// As an instant; of wall clocks `zone` is the zone.
    pub fn absolute(&self, zone: &str) -> String {
        match self.time {
            TimeType::Instant => self.sql.clone(),
            _ => format!("{} AT TIME ZONE '{zone}'", self.sql),
        }
    }
}

impl Writer<'_> {
    pub fn waiting_since(&self) -> Clock {
        let made = Clock { sql: self.time(), time: self.schema.time.overlaid() };
        let Some(due) = self.due() else {
            return made;
        };
        if made.time == due.time {
            return Clock { sql: format!("greatest({}, {})", made.sql, due.sql), time: made.time };
        }
        let zone = self.settings.naive_zone.name();
        // A wall clock at the end of PostgreSQL's calendar is no instant.
        let instant = |clock: &Clock| {
            let is_known = clock.time.is_in_calendar(&clock.sql);
            format!("CASE WHEN {is_known} THEN {} END", clock.absolute(zone))
        };
        let sql = format!("greatest({}, {})", instant(&made), instant(&due));
        Clock { sql, time: TimeType::Instant }
    }

    fn due(&self) -> Option<Clock> {
        let due = self.schema.due?;
        Some(Clock { sql: format!("t.{}", Field::DueAt.name()), time: due.overlaid() })
    }

    /// How many tasks are scheduled; `None`: the table does not know it.
    pub fn scheduled(&self) -> Option<Statement> {
        let mut draft = self.draft();
        let scheduled = draft.is_scheduled()?;
        let sql = format!("SELECT count(*) FROM {} WHERE {scheduled}", self.source);
        Some(draft.finish("counting scheduled tasks", sql, |_, rows, figures| {
            for row in rows {
                figures.day.scheduled = Some(unsigned(row.try_get(0)?));
            }
            Ok(())
        }))
    }
}

impl Draft<'_> {
    /// "The task is pending and not due yet."
    pub fn is_scheduled(&mut self) -> Option<String> {
        let due = self.writer.due()?;
        let now = self.bind_times_in(due.time, vec![self.writer.request.now]);
        let pending = self.in_states(&[State::Pending]);
        Some(format!("{pending} AND {} > ({now})[1]", due.sql))
    }

    /// What a condition on open tasks goes on with, so that those are left out that are not due yet.
    pub fn and_due(&mut self) -> String {
        let scheduled = self.is_scheduled();
        scheduled.map_or(String::new(), |scheduled| format!(" AND ({scheduled}) IS NOT TRUE"))
    }
}
