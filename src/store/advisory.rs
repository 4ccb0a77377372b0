//! One run of a job at a time among all hosts that share a PostgreSQL database.
//!
//! The lock is an advisory one, held by an open transaction on a connection of its own. It is the transaction's and not the session's because of poolers:
//! where transactions of many clients share a server's sessions, a session's lock would outlive its run and keep every later one away. The transaction
//! reads nothing while it is open, so that it holds back no vacuum. However the run ends, the server gives the lock back.

use super::postgres::answer::first_value;
use super::postgres::connect::connect;
use super::postgres::connect::target::PostgresTarget;
use super::postgres::failure::failure;
use crate::deadline;
use crate::outcome::Failure;
use postgres::Client;
use std::time::{Duration, Instant};

/// The lock, held until it is dropped.
pub struct Held {
    /// `None`: it has been given back.
    client: Option<Box<Client>>,
}

/// How long a run waits at its end for the server to take the lock back.
const FAREWELL: Duration = Duration::from_secs(1);

impl Drop for Held {
    /// Closing the connection gives the lock back a moment later, and a run that begins in that moment would be refused.
    fn drop(&mut self) {
        let Some(mut client) = self.client.take() else {
            return;
        };
        // Whether the answer came in time or not, the run ends.
        let _ = deadline::run(FAREWELL, move || client.simple_query("ROLLBACK").map(drop));
    }
}

/// What came of the attempt.
pub enum Attempt {
    Held(Held),
    /// Another run holds it.
    Busy,
    /// No other host can open the database.
    NotNeeded,
}

/// How often to ask again for a lock that another run holds.
const PAUSE: Duration = Duration::from_millis(100);

/// Takes the lock of this number; waits for it no longer than `patience`.
///
/// # Errors
/// No connection can be had for it, or it fails.
pub fn lock(target: &PostgresTarget, key: i64, patience: Duration) -> anyhow::Result<Attempt> {
    let mut client = connect(target)?;
    let refused = |error: postgres::Error| -> Failure {
        failure(&error, "the lock across hosts cannot be taken")
    };
    // It is held for a whole run: no time limit of the server may end it.
    client
        .batch_execute(
            "BEGIN ISOLATION LEVEL READ COMMITTED READ ONLY;
             SELECT set_config(name, '0', true) FROM pg_catalog.pg_settings
             WHERE name IN ('idle_in_transaction_session_timeout', 'transaction_timeout')",
        )
        .map_err(refused)?;
    let begin = Instant::now();
    loop {
        // As plain text: a statement with parameters leaves a portal open, and with it a snapshot that holds back vacuum.
        let answer = client
            .simple_query(&format!("SELECT pg_catalog.pg_try_advisory_xact_lock({key})"))
            .map_err(refused)?;
        if first_value(&answer) == Some("t") {
            return Ok(Attempt::Held(Held { client: Some(Box::new(client)) }));
        }
        if begin.elapsed() >= patience {
            return Ok(Attempt::Busy);
        }
        std::thread::sleep(PAUSE);
    }
}
