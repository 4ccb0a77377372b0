//! Which server answers: once a connection is lost, another one may be found by the same name.

use super::answer::rows;
use super::worker::Worker;
use crate::outcome::{Failure, Kind};
use std::time::Duration;

/// How long to wait for a server's word on itself.
const PATIENCE: Duration = Duration::from_secs(10);

/// The number that `initdb` gave the server's data, and that of the database in it; `None`: the server does not say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity(Option<(String, String)>);

impl Identity {
    pub fn read(worker: &Worker) -> Self {
        let answer = worker.ask(|client| {
            client.simple_query(
                "SELECT s.system_identifier, d.oid FROM pg_catalog.pg_control_system() AS s, pg_catalog.pg_database AS d \
                 WHERE d.datname = current_database()",
            )
        });
        let answer = answer.recv_timeout(PATIENCE).ok().and_then(Result::ok).unwrap_or_default();
        let row = rows(&answer).next();
        Self(row.and_then(|row| Some((row.get(0)?.to_owned(), row.get(1)?.to_owned()))))
    }

    /// As text; `None`: the server does not say.
    pub fn text(&self) -> Option<String> {
        self.0.as_ref().map(|(server, database)| format!("postgresql {server} {database}"))
    }

    /// # Errors
    /// The connection leads to another server or database than the one before.
    pub fn require_same(&self, found: &Identity, place: &str) -> Result<(), Failure> {
        if found == self || found.0.is_none() || self.0.is_none() {
            return Ok(());
        }
        let message = format!(
            "after the connection was lost, another server or database answers at {place}: nothing more is done with it"
        );
        Err(Failure::new(Kind::DatabaseUnavailable, message)
            .hint("run again once it is clear where the name in the database URL leads"))
    }
}
