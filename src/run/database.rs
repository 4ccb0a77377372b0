//! The database of the configuration, opened for reading.

use super::locks::Opened;
use crate::config::Config;
use crate::outcome::{Failure, Issue, Kind};
use crate::store::target::Target;
use crate::store::{Store, open};
use anyhow::Result;
use std::time::Duration;

/// The database that reports are read from: a standby where one is configured.
pub(super) fn reading_target(config: &Config) -> Option<&Target> {
    let database = &config.database;
    database.read_target.as_ref().or(database.target.as_ref())
}

pub(super) fn open_store(config: &Config) -> Result<Box<dyn Store>> {
    let target = reading_target(config);
    let target = target.ok_or_else(|| no_database("so there are no tasks to report on"))?;
    open::store(target, config.database.store.clone())
}

impl Opened for Box<dyn Store> {
    fn answers(&mut self, within: Duration) -> bool {
        self.as_mut().answers(within)
    }
}

/// A job that needs no database.
impl Opened for () {
    fn answers(&mut self, _within: Duration) -> bool {
        true
    }
}

/// The entry for figures that may lack rows.
pub(super) fn hidden_rows(store: &dyn Store) -> Option<Issue> {
    Some(Issue::new("row_security", store.hidden_rows()?.with_hint()))
}

pub(super) fn no_database(so: &str) -> Failure {
    Failure::new(
        Kind::DatabaseNotConfigured,
        format!("no database is configured, {so}"),
    )
    .hint("set database.url in taskmon.toml, $TASKMON_DATABASE_URL or --database-url; cron passes none of your shell's variables on")
}
