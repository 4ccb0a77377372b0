//! A connection with a time limit for the server's answers, which is given up after too long a silence.

use super::SILENCE;
use super::connect::connect;
use super::connect::target::PostgresTarget;
use super::failure::{failure, refusal};
use super::identity::Identity;
use super::worker::{Worker, has_ended};
use crate::deadline;
use crate::outcome::{Failure, Kind};
use crate::store::refusal::Refusal;
use anyhow::Result;
use postgres::error::SqlState;
use postgres::fallible_iterator::FallibleIterator;
use postgres::types::{ToSql, Type};
use postgres::{CancelToken, Client, NoTls, Row, SimpleQueryMessage};
use std::cell::Cell;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, sync_channel};
use std::time::{Duration, Instant};

/// How many rows of a long answer are handed over at once.
const CHUNK: usize = 512;

/// How often to check whether the run is to end.
const GLANCE: Duration = Duration::from_millis(100);

/// How long a statement may go on once the run is to end.
const GRACE: Duration = Duration::from_secs(3);

pub struct Session {
    worker: Worker,
    /// The connection has failed: what is asked of it may never be answered.
    has_ended: Cell<bool>,
    cancel: CancelToken,
    asked_to_end: Arc<AtomicBool>,
    /// Files are gone whose rows are not yet: no statement is given up until these are.
    must_commit: Cell<bool>,
    /// How long to wait for an answer; `None`: no limit.
    patience: Option<Duration>,
}

/// Why there was no answer.
#[derive(Debug)]
pub enum Broken {
    Server(postgres::Error),
    /// There was no answer for so long.
    Silent(Duration),
    /// The connection was given up before.
    Gone,
    /// The run is to end, and the statement was given up.
    Interrupted,
}

impl From<postgres::Error> for Broken {
    fn from(error: postgres::Error) -> Self {
        Broken::Server(error)
    }
}

impl Broken {
    /// What it means for the run; `doing` as in [`connect::failure`].
    pub fn failure(&self, doing: &str) -> Failure {
        match self {
            Broken::Server(error) => to_delete(failure(error, doing), error.code()),
            Broken::Silent(waited) => {
                let silent = super::silent(*waited);
                Failure { message: format!("{doing}: {}", silent.message), ..silent }
            }
            Broken::Gone => Failure::new(
                Kind::DatabaseUnavailable,
                format!("{doing}: the connection was lost before"),
            ),
            Broken::Interrupted => Failure::new(
                Kind::Interrupted,
                format!("{doing}: the run was asked to end while it waited for the database"),
            ),
        }
    }
}

/// The answer; `None`: the server refuses the statement.
///
/// # Errors
/// There is no answer.
pub fn unless_refused<T>(answer: Result<T, Broken>) -> Result<Option<T>, Broken> {
    match answer {
        Err(Broken::Server(error)) if error.as_db_error().is_some() => Ok(None),
        answer => answer.map(Some),
    }
}

const PRIMARY: &str = "cleanup needs a server that can be written to: the primary, not a standby";

/// What is missing where a report would do: the right to delete, a server that can be written to.
fn to_delete(failure: Failure, code: Option<&SqlState>) -> Failure {
    match (failure.kind, code.map(SqlState::code)) {
        (Kind::PermissionDenied, _) => {
            let hint = failure.hint.unwrap_or_default();
            let hint = hint.replace("GRANT SELECT ON", "GRANT SELECT, DELETE ON");
            Failure { hint: Some(hint), ..failure }
        }
        // 0A000 is what a standby answers to BEGIN READ WRITE, among other causes.
        (Kind::QueryFailed, Some("25006")) => failure.hint(PRIMARY),
        (Kind::QueryFailed, Some("0A000")) if failure.message.contains("during recovery") => {
            failure.hint(PRIMARY)
        }
        _ => failure,
    }
}

impl Session {
    /// Connects.
    ///
    /// # Errors
    /// The database cannot be reached or refuses.
    pub fn open(
        target: &PostgresTarget,
        statement_timeout: Duration,
        asked_to_end: &Arc<AtomicBool>,
    ) -> Result<Self> {
        Ok(Self::start(connect(target)?, statement_timeout, asked_to_end)?)
    }

    /// Begins with a connection: sets its time limits. A pooler that hands the session on resets it or has a limit of its own.
    /// Without a statement timeout there is no limit for answers either.
    ///
    /// # Errors
    /// The connection is lost, or the thread cannot be started.
    pub fn start(
        client: Client,
        statement_timeout: Duration,
        asked_to_end: &Arc<AtomicBool>,
    ) -> Result<Self, Failure> {
        let cancel = client.cancel_token();
        let session = Self {
            worker: Worker::start(client)?,
            has_ended: Cell::new(false),
            cancel,
            asked_to_end: Arc::clone(asked_to_end),
            must_commit: Cell::new(false),
            patience: (!statement_timeout.is_zero()).then(|| statement_timeout + SILENCE),
        };
        let limit = statement_timeout.as_millis();
        session
            .simple(&format!("SET statement_timeout = {limit}; SET jit = off"))
            .map_err(|broken| broken.failure("setting the time limit"))?;
        Ok(session)
    }

    /// Files are gone whose rows are not yet: from now on, a signal waits for COMMIT.
    pub fn must_commit(&self) {
        self.must_commit.set(true);
    }

    pub fn may_stop(&self) {
        self.must_commit.set(false);
    }

    pub fn identity(&self) -> Identity {
        Identity::read(&self.worker)
    }

    pub fn answers(&self, within: Duration) -> bool {
        self.worker.answers(within)
    }

    /// Does something with the connection.
    fn with<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Client) -> Result<T, postgres::Error> + Send + 'static,
    ) -> Result<T, Broken> {
        self.require_open()?;
        self.unless_ended(self.wait(&self.worker.ask(work))?)
    }

    fn require_open(&self) -> Result<(), Broken> {
        if self.has_ended.get() { Err(Broken::Gone) } else { Ok(()) }
    }

    fn unless_ended<T>(&self, answer: Result<T, postgres::Error>) -> Result<T, Broken> {
        if answer.as_ref().is_err_and(has_ended) {
            self.has_ended.set(true);
        }
        Ok(answer?)
    }

    /// The rows that a statement answers with; each parameter is an array of text.
    pub fn ask(&self, sql: &str, parameters: &[Vec<String>]) -> Result<Vec<Row>, Broken> {
        log::debug!("{sql}");
        let (sql, columns) = (sql.to_owned(), parameters.to_vec());
        self.with(move |client| {
            let bound = columns.iter().map(|column| (column as _, Type::TEXT_ARRAY));
            client.query_typed(&sql, &bound.collect::<Vec<_>>())
        })
    }

    /// Statements through the simple protocol, with what they answer.
    pub fn simple(&self, statements: &str) -> Result<Vec<SimpleQueryMessage>, Broken> {
        log::debug!("{statements}");
        let statements = statements.to_owned();
        self.with(move |client| client.simple_query(&statements))
    }

    /// Whether a query of the mapping's expressions can be computed, and if not, why.
    pub fn try_query(&self, sql: &str) -> Result<(), Refusal> {
        match self.ask(sql, &[]) {
            Ok(_) => Ok(()),
            Err(Broken::Server(error)) => Err(refusal(&error)),
            Err(broken) => Err(Refusal::Failed(broken.failure("trying the mapping"))),
        }
    }

    /// Hands over the rows of a long answer one by one.
    pub fn each(&self, sql: &str, each: &mut dyn FnMut(&Row)) -> Result<(), Broken> {
        log::debug!("{sql}");
        let sql = sql.to_owned();
        self.require_open()?;
        let (sender, receiver) = sync_channel(4);
        self.worker.send(move |client| {
            let mut send = |rows| sender.send(rows).is_ok();
            if let Err(error) = stream(client, &sql, &mut send) {
                // The receiver may be gone.
                let _ = sender.send(Err(error));
            }
        });
        loop {
            // An empty chunk is the end. Without it the answer broke off and is not complete.
            match self.unless_ended(self.wait(&receiver)?)? {
                rows if rows.is_empty() => return Ok(()),
                rows => rows.iter().for_each(&mut *each),
            }
        }
    }

    fn wait<T>(&self, receiver: &Receiver<T>) -> Result<T, Broken> {
        let began = Instant::now();
        let mut asked: Option<Instant> = None;
        loop {
            match receiver.recv_timeout(GLANCE) {
                Ok(answer) => return Ok(answer),
                Err(RecvTimeoutError::Disconnected) => return Err(Broken::Gone),
                Err(RecvTimeoutError::Timeout) => {}
            }
            if let Some(patience) = self.patience
                && began.elapsed() > patience
            {
                return Err(Broken::Silent(patience));
            }
            if self.asked_to_end.load(Ordering::Relaxed) && !self.must_commit.get() {
                let asked = *asked.get_or_insert_with(Instant::now);
                if asked.elapsed() > GRACE {
                    self.give_up();
                    return Err(Broken::Interrupted);
                }
            }
        }
    }

    /// Cancels the statement on the server, which would go on waiting for a lock otherwise.
    fn give_up(&self) {
        let cancel = self.cancel.clone();
        // A cancel request needs no encryption: it only holds a number that the server chose.
        let answer = deadline::run(GRACE, move || cancel.cancel_query(NoTls));
        // If the server does not answer, it will see that the connection is closed.
        log::debug!("cancelling a statement: {answer:?}");
    }
}

type Chunk = Result<Vec<Row>, postgres::Error>;

/// Hands the answer on in chunks, and an empty one at its end.
fn stream(
    client: &mut Client,
    sql: &str,
    send: &mut dyn FnMut(Chunk) -> bool,
) -> Result<(), postgres::Error> {
    let nothing: [(&(dyn ToSql + Sync), Type); 0] = [];
    let mut rows = client.query_typed_raw(sql, nothing)?;
    let mut chunk = Vec::new();
    while let Some(row) = rows.next()? {
        chunk.push(row);
        if chunk.len() == CHUNK && !send(Ok(std::mem::take(&mut chunk))) {
            return Ok(());
        }
    }
    if chunk.is_empty() || send(Ok(chunk)) {
        send(Ok(Vec::new()));
    }
    Ok(())
}
