//! What a case needs beside its rows: a store with the mapping under test, a request, and figures in an order that can be compared.

use crate::support::env::{TestEnv, wait_for_standby};
use crate::support::rows::Task;
use crate::support::zone;
use chrono::{DateTime, NaiveDate, Utc};
use serde::Deserialize;
use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;
use taskmon::calendar::{Day, days_up_to};
use taskmon::mapping::{Mapping, TaskTable, preset};
use taskmon::outcome::{Failure, Kind};
use taskmon::store::prune::plausible::Plausible;
use taskmon::store::prune::{Mode, PruneSettings, Pruner};
use taskmon::store::target::{Target, UrlContext};
use taskmon::store::{
    Cell, DayCount, DayFigures, DayRequest, ListedFirst, RowSecurity, Store, StoreSettings, open,
};
use taskmon::timezone::Tz;

/// The zone of the days, and of the rows' times, which have none.
pub fn local() -> Tz {
    zone("Asia/Shanghai")
}

/// The day that the rows of [`crate::support::rows`] are made on.
pub use crate::support::rows::DAY;

/// When reports are made.
pub const NOW: &str = "2026-11-22 12:00:00";

/// How the database is looked at: the mapping of the preset `taskmon`, changed as the case needs it.
pub struct View {
    url: String,
    tasks: TaskTable,
    naive_zone: Tz,
    statement_timeout: Duration,
    connect_timeout: Duration,
}

impl View {
    pub fn of(env: &TestEnv) -> Self {
        Self {
            url: env.url(),
            tasks: preset_tasks(),
            naive_zone: local(),
            statement_timeout: Duration::from_secs(60),
            connect_timeout: Duration::from_secs(20),
        }
    }

    pub fn map(mut self, change: impl FnOnce(&mut TaskTable)) -> Self {
        change(&mut self.tasks);
        self
    }

    pub fn url(mut self, url: String) -> Self {
        self.url = url;
        self
    }

    /// The zone of timestamps that have none.
    pub fn naive_zone(mut self, zone: Tz) -> Self {
        self.naive_zone = zone;
        self
    }

    /// Zero: no limit.
    pub fn statement_timeout(mut self, limit: Duration) -> Self {
        self.statement_timeout = limit;
        self
    }

    /// How long a connection, or SQLite's lock, is waited for.
    pub fn connect_timeout(mut self, limit: Duration) -> Self {
        self.connect_timeout = limit;
        self
    }

    fn settings(&self) -> StoreSettings {
        StoreSettings {
            mapping: Mapping::new(self.tasks.clone(), None).unwrap(),
            naive_zone: self.naive_zone,
            connect_timeout: self.connect_timeout,
            statement_timeout: self.statement_timeout,
            row_security: RowSecurity::Refuse,
            earliest_year: 1990,
        }
    }

    pub fn open(&self) -> Result<Box<dyn Store>, Failure> {
        wait_for_standby();
        let context = UrlContext {
            env: &|_| None,
            base_dir: Path::new("/"),
            connect_timeout: self.connect_timeout,
        };
        let target = Target::parse(&self.url, &context).unwrap();
        open::store(&target, self.settings()).map_err(|error| Failure::of(&error))
    }

    /// The same database for deleting.
    #[track_caller]
    pub fn pruner(&self) -> Box<dyn Pruner> {
        let context = UrlContext {
            env: &|_| None,
            base_dir: Path::new("/"),
            connect_timeout: self.connect_timeout,
        };
        let settings = PruneSettings {
            store: self.settings(),
            mode: Mode::Apply,
            reads: Mode::Apply.into(),
            plausible: Plausible::new(1990, Utc::now()),
            asked_to_end: Default::default(),
        };
        open::pruner(&Target::parse(&self.url, &context).unwrap(), settings).unwrap()
    }

    #[track_caller]
    pub fn store(&self) -> Box<dyn Store> {
        match self.open() {
            Ok(store) => store,
            Err(failure) => panic!("the store does not open: {failure:?}"),
        }
    }

    /// The figures of [`DAY`].
    #[track_caller]
    pub fn figures(&self) -> DayFigures {
        figures(self.store().as_mut(), &request(DAY))
    }

    /// The store must not open, for this reason, which names each of these.
    #[track_caller]
    pub fn refused(&self, kind: Kind, names: &[&str]) {
        match self.open() {
            Ok(_) => panic!("the store opens"),
            Err(failure) => check(&failure, kind, names),
        }
    }

    /// It opens and cannot answer, for this reason.
    #[track_caller]
    pub fn fails(&self, kind: Kind, names: &[&str]) {
        let error = self.store().day_figures(&request(DAY)).unwrap_err();
        check(&Failure::of(&error), kind, names);
    }
}

#[track_caller]
fn check(failure: &Failure, kind: Kind, names: &[&str]) {
    assert_eq!(failure.kind, kind, "{failure:?}");
    for name in names {
        assert!(failure.message.contains(name), "{name:?}: {failure:?}");
    }
}

/// The tables of the preset `taskmon`, as its file describes them.
fn preset_tasks() -> TaskTable {
    #[derive(Deserialize)]
    struct Preset {
        tasks: TaskTable,
    }
    let preset: Preset = toml::from_str(preset::find("taskmon").unwrap()).unwrap();
    preset.tasks
}

/// A day and the six before it; up to five slowest and twenty failed tasks; no categories.
pub fn request(day: &str) -> DayRequest {
    let date: NaiveDate = day.parse().unwrap();
    DayRequest {
        now: at(NOW),
        day: Day::new(date, local()),
        trend: days_up_to(date, 7, local()),
        slowest: 5,
        failed_details: 20,
        categories: Vec::new(),
        listed_first: ListedFirst::default(),
    }
}

/// A store's figures. What has no order of its own is sorted, and counts of nothing are left out: a store may leave them out or not.
#[track_caller]
pub fn figures(store: &mut dyn Store, request: &DayRequest) -> DayFigures {
    let mut figures = store.day_figures(request).unwrap();
    figures.cells.sort_by_key(|cell| (cell.hour, cell.label.clone(), cell.retries));
    figures.trend.retain(|count| count.tasks > 0);
    figures.trend.sort_by_key(|count| (count.day, count.label.clone()));
    figures.backlog.sort_by_key(|count| (count.label.clone(), count.queue.clone()));
    figures
}

/// Hour, label, retry count and tasks; the times left aside.
pub fn counts(cells: &[Cell]) -> Vec<(u8, Option<&str>, Option<i64>, u64)> {
    cells.iter().map(|cell| (cell.hour, cell.label.as_deref(), cell.retries, cell.tasks)).collect()
}

/// Day, label and tasks.
pub fn days(trend: &[DayCount]) -> Vec<(usize, Option<&str>, u64)> {
    let days = trend.iter();
    days.map(|count| (count.day, count.label.as_deref(), count.tasks)).collect()
}

/// The names of the slowest tasks.
pub fn slowest(figures: &DayFigures) -> Vec<&str> {
    let tasks = figures.slowest.iter();
    tasks.map(|task| task.task.as_deref().unwrap()).collect()
}

/// The names of the failed tasks.
pub fn failed(figures: &DayFigures) -> Vec<&str> {
    let tasks = figures.failed.iter();
    tasks.map(|task| task.task.as_deref().unwrap()).collect()
}

/// The instant of a local time.
pub fn at(time: &str) -> DateTime<Utc> {
    DateTime::parse_from_rfc3339(&format!("{}+08:00", time.replace(' ', "T"))).unwrap().to_utc()
}

/// A row two columns of which had one value would not show which of them a store reads.
#[test]
fn every_column_of_a_row_has_a_value_of_its_own() {
    let mut seen = BTreeMap::new();
    for task in (1..=60).map(Task::new) {
        for (column, value) in task.columns {
            // What tasks are grouped by has to be alike.
            if ["status", "retry_count"].contains(&column) {
                continue;
            }
            if let Some(other) = seen.insert(value.clone(), column) {
                panic!("{column} and {other} both have the value {value:?}");
            }
        }
    }
}
