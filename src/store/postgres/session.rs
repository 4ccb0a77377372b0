//! A connection with a time limit for the server's answers, which is given up after too long a silence.

use super::SILENCE;
use super::answer::rows;
use super::connect::connect;
use super::connect::connector::Connector;
use super::connect::target::PostgresTarget;
use super::encoding::Encoding;
use super::failure::{failure, refusal};
use super::identity::Identity;
use super::settings::{PASS_ON, ROW_SECURITY, Settings};
use super::worker::{Worker, has_ended};
use crate::deadline;
use crate::outcome::{Failure, Kind};
use crate::store::RowSecurity;
use crate::store::prune::Reads;
use crate::store::refusal::Refusal;
use anyhow::Result;
use postgres::error::SqlState;
use postgres::fallible_iterator::FallibleIterator;
use postgres::types::{ToSql, Type};
use postgres::{CancelToken, Client, Row, SimpleQueryMessage};
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

/// How a session reads outside the transactions of batches.
#[derive(Debug, Clone, Copy)]
pub struct Reading {
    /// No statement runs longer; zero: no limit.
    pub limit: Duration,
    pub reads: Reads,
    /// Where it is refused, a statement that policies would filter fails, those of functions included.
    pub row_security: RowSecurity,
}

impl Reading {
    /// Opens the transaction of a read. All of it holds for this transaction alone: a pooler would hand the session's settings on to others.
    fn begin(&self, encoding: &Encoding) -> String {
        self.begin_with(encoding, "", self.limit)
    }

    /// The same for long answers, whose silences alone have a limit: all of them are of one moment.
    fn begin_long(&self, encoding: &Encoding) -> String {
        self.begin_with(encoding, " ISOLATION LEVEL REPEATABLE READ", Duration::ZERO)
    }

    fn begin_with(&self, encoding: &Encoding, isolation: &str, limit: Duration) -> String {
        let mode = if self.reads == Reads::ReadOnly { " READ ONLY" } else { "" };
        let settings = encoding.among(Settings::limited(limit));
        let settings = match self.row_security {
            RowSecurity::Refuse => settings.with(ROW_SECURITY, "off"),
            RowSecurity::Accept => settings,
        };
        format!("BEGIN{isolation}{mode}; {}", settings.statement())
    }

    /// END is COMMIT, and in a log is not taken for the end of a batch.
    fn end(&self) -> &'static str {
        if self.reads == Reads::Committed { "END" } else { "ROLLBACK" }
    }
}

pub struct Session {
    worker: Worker,
    /// The connection has failed: what is asked of it may never be answered.
    has_ended: Cell<bool>,
    reading: Reading,
    encoding: Encoding,
    passes_settings_on: bool,
    cancel: CancelToken,
    asked_to_end: Arc<AtomicBool>,
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
        Err(Broken::Server(error)) if !has_ended(&error) => Ok(None),
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
        reading: Reading,
        asked_to_end: &Arc<AtomicBool>,
    ) -> Result<Self> {
        Ok(Self::start(connect(target)?, reading, asked_to_end)?)
    }

    /// Begins with a connection. Without a time limit for statements there is none for answers either.
    ///
    /// # Errors
    /// The thread cannot be started.
    pub fn start(
        client: Client,
        reading: Reading,
        asked_to_end: &Arc<AtomicBool>,
    ) -> Result<Self, Failure> {
        let cancel = client.cancel_token();
        let session = Self {
            worker: Worker::start(client)?,
            has_ended: Cell::new(false),
            reading,
            encoding: Encoding::of("UTF8"),
            passes_settings_on: false,
            cancel,
            asked_to_end: Arc::clone(asked_to_end),
            patience: (!reading.limit.is_zero()).then(|| reading.limit.saturating_add(SILENCE)),
        };
        session.know_the_server()
    }

    /// Asks for the encoding, whether the server has policies at all, and whether there are servers that it may pass settings on to.
    fn know_the_server(self) -> Result<Self, Failure> {
        let asked = self.simple(&format!(
            "SELECT current_setting('server_encoding'), current_setting('row_security', true), current_setting('{PASS_ON}', true)"
        ));
        let answer = unless_refused(asked)
            .map_err(|broken| broken.failure("asking the database about itself"))?;
        let row = answer.as_deref().and_then(|answer| rows(answer).next());
        let setting = |place| row.and_then(|row| row.get(place));
        let has_policies = setting(1).is_some();
        let row_security =
            if has_policies { self.reading.row_security } else { RowSecurity::Accept };
        let encoding = Encoding::of(setting(0).unwrap_or("UTF8"));
        let passes_settings_on = setting(2).is_some();
        let reading = Reading { row_security, ..self.reading };
        Ok(Self { reading, encoding, passes_settings_on, ..self })
    }

    /// Whether rows may be on other servers, which the server passes settings on to with [`PASS_ON`].
    pub fn passes_settings_on(&self) -> bool {
        self.passes_settings_on
    }

    pub fn encoding(&self) -> &Encoding {
        &self.encoding
    }

    /// Whether a read fails that policies would filter.
    pub fn row_security(&self) -> RowSecurity {
        self.reading.row_security
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

    /// The rows that a read answers with, in a transaction of its own; each parameter is an array of text.
    pub fn ask(&self, sql: &str, parameters: &[Vec<String>]) -> Result<Vec<Row>, Broken> {
        log::debug!("{sql}");
        let (begin, end) = (self.reading.begin(&self.encoding), self.reading.end());
        let (sql, parameters) = (sql.to_owned(), parameters.to_vec());
        self.with(move |client| {
            in_transaction(client, (&begin, end), |client| query(client, &sql, &parameters))
        })
    }

    /// The same within the transaction that is open.
    pub fn ask_within(&self, sql: &str, parameters: &[Vec<String>]) -> Result<Vec<Row>, Broken> {
        log::debug!("{sql}");
        let (sql, parameters) = (sql.to_owned(), parameters.to_vec());
        self.with(move |client| query(client, &sql, &parameters))
    }

    /// Statements through the simple protocol, with what they answer.
    pub fn simple(&self, statements: &str) -> Result<Vec<SimpleQueryMessage>, Broken> {
        log::debug!("{statements}");
        let statements = statements.to_owned();
        self.with(move |client| client.simple_query(&statements))
    }

    /// The same in a transaction of their own, all in one round trip.
    pub fn simple_read(&self, statements: &str) -> Result<Vec<SimpleQueryMessage>, Broken> {
        let (begin, end) = (self.reading.begin(&self.encoding), self.reading.end());
        let answer = self.simple(&format!("{begin}; {statements}; {end}"));
        if matches!(answer, Err(Broken::Server(_))) {
            // The first error is the one to report.
            let _ = self.simple("ROLLBACK");
        }
        answer
    }

    /// The same, with the server's own error apart from those of the connection.
    pub fn try_simple(
        &self,
        statements: &str,
    ) -> Result<Result<Vec<SimpleQueryMessage>, postgres::Error>, Failure> {
        match self.simple_read(statements) {
            Ok(answer) => Ok(Ok(answer)),
            Err(Broken::Server(error)) if !has_ended(&error) => Ok(Err(error)),
            Err(broken) => Err(broken.failure("asking the database about itself")),
        }
    }

    /// Whether a query of the mapping's expressions can be computed, and if not, why.
    pub fn try_query(&self, sql: &str) -> Result<(), Refusal> {
        match self.ask(sql, &[]) {
            Ok(_) => Ok(()),
            Err(Broken::Server(error)) => Err(refusal(&error)),
            Err(broken) => Err(Refusal::Failed(broken.failure("trying the mapping"))),
        }
    }

    /// Hands over the rows of long answers one by one, each with the index of its statement: what all of them saw at one moment.
    pub fn each(
        &self,
        statements: &[String],
        each: &mut dyn FnMut(usize, &Row),
    ) -> Result<(), Broken> {
        statements.iter().for_each(|sql| log::debug!("{sql}"));
        let begin = self.reading.begin_long(&self.encoding);
        let (end, statements) = (self.reading.end(), statements.to_vec());
        self.require_open()?;
        let (sender, receiver) = sync_channel(4);
        self.worker.send(move |client| {
            let send = |rows| sender.send(rows).is_ok();
            let ended = in_transaction(client, (&begin, end), |client| {
                let mut numbered = statements.iter().enumerate();
                numbered.try_for_each(|(index, sql)| {
                    stream(client, sql, &mut |rows| send(Ok((index, rows))))
                })
            });
            // An empty chunk is the end. The receiver may be gone.
            let _ = send(ended.map(|()| (0, Vec::new())));
        });
        loop {
            // Without the empty chunk the answer broke off and is not complete.
            match self.unless_ended(self.wait(&receiver)?)? {
                (_, rows) if rows.is_empty() => return Ok(()),
                (index, rows) => rows.iter().for_each(|row| each(index, row)),
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
            if self.asked_to_end.load(Ordering::Relaxed) {
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
        let answer = deadline::run(GRACE, move || cancel.cancel_query(Connector::Plain));
        // If the server does not answer, it will see that the connection is closed.
        log::debug!("cancelling a statement: {answer:?}");
    }
}

/// Does something between these statements, the last of which is ROLLBACK if it fails.
fn in_transaction<T>(
    client: &mut Client,
    (begin, end): (&str, &str),
    work: impl FnOnce(&mut Client) -> Result<T, postgres::Error>,
) -> Result<T, postgres::Error> {
    match client.batch_execute(begin).and_then(|()| work(client)) {
        Ok(answer) => client.batch_execute(end).map(|()| answer),
        Err(error) => {
            if !has_ended(&error) {
                // The first error is the one to report.
                let _ = client.batch_execute("ROLLBACK");
            }
            Err(error)
        }
    }
}

fn query(
    client: &mut Client,
    sql: &str,
    parameters: &[Vec<String>],
) -> Result<Vec<Row>, postgres::Error> {
    let bound = parameters.iter().map(|column| (column as _, Type::TEXT_ARRAY));
    client.query_typed(sql, &bound.collect::<Vec<_>>())
}

/// Hands the answer on in chunks, none of them empty, until `send` wants no more.
fn stream(
    client: &mut Client,
    sql: &str,
    send: &mut dyn FnMut(Vec<Row>) -> bool,
) -> Result<(), postgres::Error> {
    let nothing: [(&(dyn ToSql + Sync), Type); 0] = [];
    let mut rows = client.query_typed_raw(sql, nothing)?;
    let mut chunk = Vec::new();
    while let Some(row) = rows.next()? {
        chunk.push(row);
        if chunk.len() == CHUNK && !send(std::mem::take(&mut chunk)) {
            return Ok(());
        }
    }
    if !chunk.is_empty() {
        send(chunk);
    }
    Ok(())
}
