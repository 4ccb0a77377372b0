//! A connection whose queries have a time limit: neither a locked table nor a silent server may block a cron job forever.

use super::encoding::Encoding;
use super::failure::{failure, is_conflict, refusal};
use super::settings::Settings;
use super::worker::{Worker, has_ended};
use super::{SILENCE, silent};
use crate::outcome::Failure;
use crate::store::refusal::Refusal;
use postgres::SimpleQueryMessage;
use std::time::Duration;

pub struct Bounded {
    /// `None` once the server went silent, or the connection ended.
    worker: Option<Worker>,
    /// Zero: no limit.
    limit: Duration,
    encoding: Encoding,
    may_pass: bool,
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
    pub fn new(worker: Worker, limit: Duration) -> Self {
        Self { worker: Some(worker), limit, encoding: Encoding::of("UTF8"), may_pass: false }
    }

    /// Whether the last query that failed may fare better on another connection: a conflict ended it, or its connection was lost.
    pub fn may_pass(&self) -> bool {
        self.may_pass
    }

    pub fn set_encoding(&mut self, encoding: &Encoding) {
        self.encoding = encoding.clone();
    }

    /// The connection, for other use.
    ///
    /// # Errors
    /// The server went silent.
    pub fn into_worker(self) -> Result<Worker, Failure> {
        self.worker.ok_or_else(|| silent(self.limit.saturating_add(SILENCE)))
    }

    /// The limit is set for a transaction, not for the session, which a pooler would hand on to others.
    pub fn query(&mut self, sql: &str) -> Result<Vec<SimpleQueryMessage>, Unanswered> {
        let patience = self.limit.saturating_add(SILENCE);
        let silent = || Unanswered::Silent(silent(patience));
        let worker = self.worker.take().ok_or_else(silent)?;
        let settings = self.encoding.among(Settings::limited(self.limit)).statement();
        let text = format!("BEGIN READ ONLY; {settings}; {sql}; COMMIT");
        let longest = if self.limit.is_zero() { Duration::MAX } else { patience };
        let arrival = worker.ask(move |client| {
            let answer = client.simple_query(&text);
            if answer.as_ref().is_err_and(|error| !has_ended(error)) {
                // The first error is the one to report.
                let _ = client.batch_execute("ROLLBACK");
            }
            answer
        });
        let answer = arrival.recv_timeout(longest).map_err(|_| silent())?;
        self.worker = Some(worker).filter(|_| !answer.as_ref().is_err_and(has_ended));
        self.may_pass = answer.as_ref().is_err_and(|error| has_ended(error) || is_conflict(error));
        answer.map_err(Unanswered::Refused)
    }

    /// The server's own error apart from those of the connection.
    pub fn try_simple(
        &mut self,
        sql: &str,
    ) -> Result<Result<Vec<SimpleQueryMessage>, postgres::Error>, Failure> {
        match self.query(sql) {
            Ok(answer) => Ok(Ok(answer)),
            Err(Unanswered::Refused(error)) if !has_ended(&error) => Ok(Err(error)),
            Err(unanswered) => Err(unanswered.into_failure("asking the database about itself")),
        }
    }

    /// Whether it can be computed.
    pub fn try_query(&mut self, sql: &str) -> Result<(), Refusal> {
        self.query(sql).map(drop).map_err(Unanswered::into_refusal)
    }
}
