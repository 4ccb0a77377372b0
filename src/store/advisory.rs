//! One run of a job at a time among all hosts that share a PostgreSQL database.
//!
//! The lock is an advisory one, held by an open transaction on a connection of its own. It is the transaction's and not the session's because of poolers:
//! where transactions of many clients share a server's sessions, a session's lock would outlive its run and keep every later one away. The transaction
//! reads nothing while it is open, so that it holds back no vacuum. However the run ends, the server gives the lock back.

use super::postgres::answer::first_value;
use super::postgres::connect::connect;
use super::postgres::connect::target::PostgresTarget;
use super::postgres::failure::failure;
use super::postgres::settings::Settings;
use super::postgres::worker::Worker;
use crate::outcome::{Failure, Kind};
use postgres::SimpleQueryMessage;
use std::thread;
use std::time::{Duration, Instant};

/// The lock, held until it is dropped.
pub struct Held(Worker);

/// How long a run waits at its end for the server to take the lock back.
const FAREWELL: Duration = Duration::from_secs(1);

impl Drop for Held {
    /// Closing the connection gives the lock back a moment later, and a run that begins in that moment would be refused.
    fn drop(&mut self) {
        let returned = self.0.ask(|client| client.simple_query("ROLLBACK").map(drop));
        // Whether the answer came in time or not, the run ends.
        let _ = returned.recv_timeout(FAREWELL);
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

/// How long to wait for an answer: a pooler may have no server left for this connection.
const ANSWER: Duration = Duration::from_secs(5);

/// Takes the lock of this number; waits for another run no longer than `patience`.
///
/// # Errors
/// No connection can be had for it, it does not answer, or it fails.
pub fn lock(target: &PostgresTarget, key: i64, patience: Duration) -> anyhow::Result<Attempt> {
    let worker = Worker::start(connect(target)?)?;
    // It is held for a whole run: no time limit of the server may end it.
    let settings = Settings::of("idle_in_transaction_session_timeout", "0");
    let settings = settings.with("transaction_timeout", "0").statement();
    // As plain text: a statement with parameters leaves a portal open, and with it a snapshot that holds back vacuum.
    let attempt = format!("SELECT pg_catalog.pg_try_advisory_xact_lock({key})");
    let mut sql = format!("BEGIN ISOLATION LEVEL READ COMMITTED READ ONLY; {settings}; {attempt}");
    let begin = Instant::now();
    loop {
        if first_value(&answer(&worker, std::mem::replace(&mut sql, attempt.clone()))?) == Some("t")
        {
            return Ok(Attempt::Held(Held(worker)));
        }
        if begin.elapsed() >= patience {
            return Ok(Attempt::Busy);
        }
        thread::sleep(PAUSE);
    }
}

fn answer(worker: &Worker, sql: String) -> Result<Vec<SimpleQueryMessage>, Failure> {
    let answer = worker.ask(move |client| client.simple_query(&sql));
    let answer = answer.recv_timeout(ANSWER).map_err(|_| {
        let message =
            format!("the lock across hosts has no answer within {} seconds", ANSWER.as_secs());
        Failure::new(Kind::DatabaseUnavailable, message)
    })?;
    answer.map_err(|error| failure(&error, "the lock across hosts cannot be taken"))
}
