//! A connection that is waited for no longer than its server may take.
//!
//! The kernel at the other end keeps the connection of a server that hangs alive, and so does a network that swallows everything: neither
//! TCP nor the server's own time limit ends the wait. So the connection lives in a thread of its own, which is left behind once
//! nothing has come from it for too long.

use super::SILENCE;
use super::connect::connect;
use super::connect::target::PostgresTarget;
use super::failure::failure;
use super::schema::refusal;
use crate::outcome::{Failure, Kind};
use crate::store::prune::PruneSettings;
use crate::store::refusal::Refusal;
use anyhow::Result;
use postgres::error::SqlState;
use postgres::fallible_iterator::FallibleIterator;
use postgres::types::{ToSql, Type};
use postgres::{CancelToken, Client, NoTls, Row, SimpleQueryMessage};
use std::cell::Cell;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel, sync_channel};
use std::thread;
use std::time::{Duration, Instant};

/// How many rows travel together out of a long answer.
const CHUNK: usize = 512;

type Work = Box<dyn FnOnce(&mut Client) + Send>;

/// How often it is looked whether the run is to end.
const GLANCE: Duration = Duration::from_millis(100);

/// What a statement is given to end by itself once the run is to end.
const GRACE: Duration = Duration::from_secs(3);

pub struct Session {
    work: Sender<Work>,
    cancel: CancelToken,
    asked_to_end: Arc<AtomicBool>,
    /// Files are gone whose rows are not: nothing is given up before these are.
    is_committed_to: Cell<bool>,
    /// How long an answer is waited for; `None`: for ever.
    patience: Option<Duration>,
}

/// Why there was no answer.
#[derive(Debug)]
pub enum Broken {
    Server(postgres::Error),
    /// Nothing came for so long.
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

const PRIMARY: &str = "cleanup needs a server that can be written to: the primary, not a standby";

/// What is missing where a report would do: the right to delete, a server that can be written to.
fn to_delete(failure: Failure, code: Option<&SqlState>) -> Failure {
    match (failure.kind, code.map(SqlState::code)) {
        (Kind::PermissionDenied, _) => {
            let hint = failure.hint.unwrap_or_default();
            let hint = hint.replace("GRANT SELECT ON", "GRANT SELECT, DELETE ON");
            Failure { hint: Some(hint), ..failure }
        }
        // The second is what a standby says to BEGIN READ WRITE, and other things say too.
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
    pub fn open(target: &PostgresTarget, settings: &PruneSettings) -> Result<Self> {
        Ok(Self::start(connect(target)?, settings)?)
    }

    /// Begins with a connection: sets its time limits. A pooler that hands the session on resets it or has a limit of its own.
    ///
    /// # Errors
    /// The connection is lost, or the thread cannot be started.
    pub fn start(client: Client, settings: &PruneSettings) -> Result<Self, Failure> {
        let session = Self::new(client, settings)?;
        let limit = settings.statement_timeout.as_millis();
        session
            .simple(&format!("SET statement_timeout = {limit}; SET jit = off"))
            .map_err(|broken| broken.failure("setting the time limit"))?;
        Ok(session)
    }

    /// Where the settings have no limit for a statement, the server is waited for as long as it takes.
    fn new(mut client: Client, settings: &PruneSettings) -> Result<Self, Failure> {
        let cancel = client.cancel_token();
        let statement_timeout = settings.statement_timeout;
        let (work, waiting) = channel::<Work>();
        thread::Builder::new()
            .name("database".to_owned())
            .spawn(move || {
                for work in waiting {
                    work(&mut client);
                }
            })
            .map_err(|error| {
                let message = format!("a thread for the database cannot be started: {error}");
                Failure::new(Kind::Internal, message)
            })?;
        let patience = (!statement_timeout.is_zero()).then(|| statement_timeout + SILENCE);
        Ok(Self {
            work,
            cancel,
            asked_to_end: Arc::clone(&settings.asked_to_end),
            is_committed_to: Cell::new(false),
            patience,
        })
    }

    /// Whether files are gone whose rows are not yet.
    pub fn commit_to(&self, files_are_gone: bool) {
        self.is_committed_to.set(files_are_gone);
    }

    /// Does something with the connection.
    fn with<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Client) -> T + Send + 'static,
    ) -> Result<T, Broken> {
        let (sender, receiver) = sync_channel(1);
        self.send(move |client| {
            // Nobody may be waiting any more.
            let _ = sender.send(work(client));
        })?;
        self.wait(&receiver)
    }

    /// The rows that a statement answers with; each parameter is an array of text.
    pub fn ask(&self, sql: &str, parameters: &[Vec<String>]) -> Result<Vec<Row>, Broken> {
        let (sql, parameters) = (sql.to_owned(), parameters.to_vec());
        Ok(self.with(move |client| ask(client, &sql, &parameters))??)
    }

    /// Statements through the simple protocol, with what they answer.
    pub fn simple(&self, statements: &str) -> Result<Vec<SimpleQueryMessage>, Broken> {
        log::debug!("{statements}");
        let statements = statements.to_owned();
        Ok(self.with(move |client| client.simple_query(&statements))??)
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
        let (sender, receiver) = sync_channel(4);
        self.send(move |client| {
            let mut send = |rows| sender.send(rows).is_ok();
            if let Err(error) = stream(client, &sql, &mut send) {
                // Nobody may be waiting any more.
                let _ = sender.send(Err(error));
            }
        })?;
        loop {
            // No rows are the end; an answer that breaks off without them must not be taken for a whole one.
            match self.wait(&receiver)?? {
                rows if rows.is_empty() => return Ok(()),
                rows => rows.iter().for_each(&mut *each),
            }
        }
    }

    fn send(&self, work: impl FnOnce(&mut Client) + Send + 'static) -> Result<(), Broken> {
        self.work.send(Box::new(work)).map_err(|_| Broken::Gone)
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
            if self.asked_to_end.load(Ordering::Relaxed) && !self.is_committed_to.get() {
                let asked = *asked.get_or_insert_with(Instant::now);
                if asked.elapsed() > GRACE {
                    self.give_up();
                    return Err(Broken::Interrupted);
                }
            }
        }
    }

    /// Has the server end the statement, lest it go on waiting for a lock without anybody who wants it.
    fn give_up(&self) {
        let cancel = self.cancel.clone();
        let (sender, receiver) = channel();
        let canceller = thread::Builder::new()
            .name("cancel".to_owned())
            // A request to cancel needs no encryption: it holds no more than a number that the server made up.
            .spawn(move || sender.send(cancel.cancel_query(NoTls)));
        // A server that does not answer will find the connection closed.
        let answer = canceller.map(|_| receiver.recv_timeout(GRACE));
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

/// Keys go as one array of text for each column.
fn ask(
    client: &mut Client,
    sql: &str,
    parameters: &[Vec<String>],
) -> Result<Vec<Row>, postgres::Error> {
    log::debug!("{sql}");
    let parameters: Vec<(&(dyn ToSql + Sync), Type)> =
        parameters.iter().map(|column| (column as &(dyn ToSql + Sync), Type::TEXT_ARRAY)).collect();
    client.query_typed(sql, &parameters)
}
