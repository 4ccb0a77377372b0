//! A connection on a thread of its own, which alone sends, waits and closes.
//!
//! Neither TCP nor the server's time limits end the wait for a server that hangs, and to close a connection means to wait for what was asked for:
//! of a server that answered with nonsense and keeps the connection open, without end. So nobody waits for the thread longer than he wants to.

use crate::outcome::{Failure, Kind};
use postgres::Client;
use postgres::error::{DbError, Severity};
use std::sync::mpsc::{Receiver, Sender, channel, sync_channel};
use std::thread;
use std::time::Duration;

type Work = Box<dyn FnOnce(&mut Client) + Send>;

/// Work is done one after the other; with the last reference to it, the connection is closed once its work is done.
pub struct Worker(Sender<Work>);

impl Worker {
    /// # Errors
    /// There is no thread to be had.
    pub fn start(mut client: Client) -> Result<Self, Failure> {
        let (work, waiting) = channel::<Work>();
        let run = move || waiting.into_iter().for_each(|work| work(&mut client));
        let started = thread::Builder::new().name("database".to_owned()).spawn(run);
        started.map(|_| Self(work)).map_err(|error| {
            let message = format!("a thread for the database cannot be started: {error}");
            Failure::new(Kind::Internal, message)
        })
    }

    /// Where the answer will arrive. The channel is closed without one if the thread has ended.
    pub fn ask<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Client) -> T + Send + 'static,
    ) -> Receiver<T> {
        let (sender, receiver) = sync_channel(1);
        self.send(move |client| {
            // The receiver may be gone.
            let _ = sender.send(work(client));
        });
        receiver
    }

    /// Whether the server answers within this time. Where it answers later, the work that follows waits for that.
    pub fn answers(&self, within: Duration) -> bool {
        self.ask(|client| client.simple_query("SELECT 1").map(drop)).recv_timeout(within).is_ok()
    }

    /// For work that answers by itself. It is dropped if the thread has ended.
    pub fn send(&self, work: impl FnOnce(&mut Client) + Send + 'static) {
        let _ = self.0.send(Box::new(work));
    }
}

/// Whether the connection is of no more use: the server has ended it, or has sent what is no answer.
pub fn has_ended(error: &postgres::Error) -> bool {
    let is_fatal = |error: &DbError| match error.parsed_severity() {
        Some(severity) => matches!(severity, Severity::Fatal | Severity::Panic),
        // A pooler only has the words.
        None => ["FATAL", "PANIC"].contains(&error.severity()),
    };
    error.as_db_error().is_none_or(is_fatal)
}
