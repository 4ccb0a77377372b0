//! A connection whose queries have a time limit: neither a locked table nor a silent server may block a cron job forever.

use super::failure::{failure, refusal};
use super::{SILENCE, silent};
use crate::deadline;
use crate::outcome::Failure;
use crate::store::refusal::Refusal;
use postgres::{Client, SimpleQueryMessage};
use std::time::Duration;

pub struct Bounded {
    /// `None` once the server went silent: the connection stays with the thread that waits for it.
    client: Option<Client>,
    /// Zero: no limit.
    limit: Duration,
}

/// Why a query has no answer.
pub enum Unanswered {
    Refused(postgres::Error),
    Silent(Failure),
}

impl Unanswered {
    pub fn into_refusal(self) -> Refusal {
        match self {
            Unanswered::Refused(error) => refusal(&error),
            Unanswered::Silent(silent) => Refusal::Failed(silent),
        }
    }

    pub fn into_failure(self, doing: &str) -> Failure {
        match self {
            Unanswered::Refused(error) => failure(&error, doing),
            Unanswered::Silent(silent) => silent,
        }
    }
}

impl Bounded {
    pub fn new(client: Client, limit: Duration) -> Self {
        Self { client: Some(client), limit }
    }

    /// The connection, for other use.
    ///
    /// # Errors
    /// The server went silent.
    pub fn into_client(self) -> Result<Client, Failure> {
        self.client.ok_or_else(|| silent(self.limit + SILENCE))
    }

    /// The limit is set for a transaction, not for the session, which a pooler would hand on to others.
    pub fn query(&mut self, sql: &str) -> Result<Vec<SimpleQueryMessage>, Unanswered> {
        let (limit, patience) = (self.limit.as_millis(), self.limit + SILENCE);
        let silent = || Unanswered::Silent(silent(patience));
        let mut client = self.client.take().ok_or_else(silent)?;
        let text = format!("BEGIN READ ONLY; SET LOCAL statement_timeout = {limit}; {sql}; COMMIT");
        let longest = if self.limit.is_zero() { Duration::MAX } else { patience };
        let answered = deadline::run(longest, move || {
            let answer = client.simple_query(&text);
            if answer.is_err() {
                // The first error is the one to report.
                let _ = client.batch_execute("ROLLBACK");
            }
            (client, answer)
        });
        let (client, answer) = answered.map_err(|_| silent())?;
        self.client = Some(client);
        answer.map_err(Unanswered::Refused)
    }

    /// Whether it can be computed.
    pub fn try_query(&mut self, sql: &str) -> Result<(), Refusal> {
        self.query(sql).map(drop).map_err(Unanswered::into_refusal)
    }
}
