//! Two connections that answer one report's statements from one snapshot.
//!
//! One, the leader, opens a repeatable-read, read-only transaction and exports its snapshot; the second joins that snapshot, and both take statements
//! from one list. Where the second cannot be had (a connection limit, a pooler) the leader does all of it: the report is the same, only slower.

use super::SILENCE;
use super::answer::first_value;
use super::connect::connect;
use super::connect::target::PostgresTarget;
use super::encoding::is_untranslatable;
use super::failure::{failure, is_conflict};
use super::plan::{Figures, Plan, Statement};
use super::silent;
use super::worker::{Worker, has_ended};
use crate::outcome::Failure;
use anyhow::{Context, Result};
use postgres::{Client, Row};
use std::collections::VecDeque;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

/// The connections of a store.
pub struct Connections {
    /// `None`: it was lost with an earlier report.
    leader: Option<Worker>,
    /// Yields the second connection once it is open and free.
    second: Receiver<Worker>,
}

impl Connections {
    pub fn new(leader: Worker, second: Receiver<Worker>) -> Self {
        Self { leader: Some(leader), second }
    }

    /// Takes the leader away: there is no report without it.
    pub fn take_leader(&mut self) -> Option<Worker> {
        self.leader.take()
    }

    pub fn answers(&self, within: Duration) -> bool {
        self.leader.as_ref().is_some_and(|leader| leader.answers(within))
    }

    /// Does something else with the leader's connection, which is lost if that fails.
    pub fn with_leader(
        &mut self,
        work: impl FnOnce(Worker) -> Result<Worker, Failure>,
    ) -> Result<(), Failure> {
        if let Some(leader) = self.leader.take() {
            self.leader = Some(work(leader)?);
        }
        Ok(())
    }

    pub fn answer(&mut self, plan: &Arc<Plan>, limit: Duration) -> Result<Answers> {
        let leader =
            self.leader.take().context("the connection was lost with an earlier report")?;
        let board = Arc::new(Board::new(plan.statements.len()));
        let (snapshot, announced) = channel();
        let (give_back, free_again) = channel();
        let second = std::mem::replace(&mut self.second, free_again);
        {
            let (plan, board) = (Arc::clone(plan), Arc::clone(&board));
            thread::spawn(move || {
                if let (Ok(second), Ok(snapshot)) = (second.recv(), announced.recv()) {
                    follow(second, snapshot, &give_back, plan, board);
                }
            });
        }
        let arrivals = {
            let (plan, board) = (Arc::clone(plan), Arc::clone(&board));
            leader.ask(move |client| lead(client, &plan, &board, &snapshot))
        };
        let answers = wait(&board, &arrivals, limit)?;
        self.leader = Some(leader);
        Ok(answers)
    }
}

/// Opens the second connection, on a thread of its own.
pub fn open_second(target: PostgresTarget) -> Receiver<Worker> {
    let (sender, receiver) = channel();
    thread::spawn(move || match connect(&target).and_then(|client| Ok(Worker::start(client)?)) {
        Ok(second) => {
            // The run may have ended already.
            let _ = sender.send(second);
        }
        Err(error) => log::info!("no second connection, one does all the work: {error:#}"),
    });
    receiver
}

/// Waits for the leader as long as statements are answered: a silent server must not block a cron job forever.
fn wait(board: &Board, arrivals: &Receiver<Answers>, limit: Duration) -> Result<Answers> {
    let mut seen = 0;
    loop {
        let arrival = if limit.is_zero() {
            arrivals.recv().map_err(|_| RecvTimeoutError::Disconnected)
        } else {
            arrivals.recv_timeout(limit.saturating_add(SILENCE))
        };
        match arrival {
            Ok(answers) => return Ok(answers),
            Err(RecvTimeoutError::Timeout) if board.answered() > seen => {
                seen = board.answered();
            }
            Err(_) => return Err(silent(limit.saturating_add(SILENCE)).into()),
        }
    }
}

/// Why a statement failed, and whether a new transaction may fare better.
pub struct Refused {
    pub failure: Failure,
    pub is_conflict: bool,
    /// The statement cannot be computed: an expression of the mapping, or a value in a row, is wrong.
    pub is_of_mapping: bool,
    /// A text that is stored cannot be translated.
    pub is_untranslatable: bool,
    /// The connection is of no more use: another one may fare better.
    pub has_ended: bool,
}

impl Refused {
    fn new(error: &postgres::Error, doing: &str) -> Self {
        Self {
            failure: failure(error, doing),
            is_untranslatable: is_untranslatable(error),
            has_ended: has_ended(error),
            is_conflict: is_conflict(error),
            is_of_mapping: error
                .code()
                .is_some_and(|code| code.code().starts_with("22") || code.code().starts_with("42")),
        }
    }
}

pub type Answers = Result<Figures, Refused>;

/// The statements that wait to be run, and the rows of those that were.
struct Board {
    state: Mutex<BoardState>,
    changed: Condvar,
}

struct BoardState {
    waiting: VecDeque<usize>,
    /// How many the second connection has in hand: 0 or 1.
    with_second: usize,
    answers: Vec<(usize, Vec<Row>)>,
}

impl Board {
    fn new(statements: usize) -> Self {
        Self {
            state: Mutex::new(BoardState {
                waiting: (0..statements).collect(),
                with_second: 0,
                answers: Vec::new(),
            }),
            changed: Condvar::new(),
        }
    }

    fn state(&self) -> MutexGuard<'_, BoardState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn answered(&self) -> usize {
        self.state().answers.len()
    }

    fn put(&self, place: usize, rows: Vec<Row>) {
        self.state().answers.push((place, rows));
    }

    /// The next statement for the leader; waits while the second connection may still hand one back. `None`: all have their answer.
    fn next_for_leader(&self) -> Option<usize> {
        let mut state = self.state();
        loop {
            if let Some(place) = state.waiting.pop_front() {
                return Some(place);
            }
            if state.with_second == 0 {
                return None;
            }
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }

    fn next_for_second(&self) -> Option<usize> {
        let mut state = self.state();
        let place = state.waiting.pop_front()?;
        state.with_second = 1;
        Some(place)
    }

    /// The second connection is done with a statement; one that failed goes back for the leader, which says what is wrong with it.
    fn settle(&self, place: usize, rows: Option<Vec<Row>>) {
        let mut state = self.state();
        state.with_second = 0;
        match rows {
            Some(rows) => state.answers.push((place, rows)),
            None => state.waiting.push_back(place),
        }
        self.changed.notify_all();
    }
}

/// The leader: opens the transaction, exports its snapshot, works until every statement has its answer, folds the rows.
fn lead(client: &mut Client, plan: &Plan, board: &Board, snapshot: &Sender<String>) -> Answers {
    let figures = match answer_all(client, plan, board, snapshot) {
        Ok(figures) => figures,
        Err(refused) => {
            if !refused.has_ended {
                // The first error is the one to report.
                let _ = client.batch_execute("ROLLBACK");
            }
            return Err(refused);
        }
    };
    let ended = client.batch_execute("COMMIT");
    ended.map_err(|error| Refused::new(&error, "ending the report's transaction"))?;
    Ok(figures)
}

fn answer_all(
    client: &mut Client,
    plan: &Plan,
    board: &Board,
    snapshot: &Sender<String>,
) -> Answers {
    let doing = "beginning the report's transaction";
    let begun = match client.simple_query(&format!("{}; SELECT pg_export_snapshot()", plan.begin)) {
        // Where the server has no snapshot to share, the leader does all of it.
        Err(error) if !has_ended(&error) => {
            log::info!("one connection does all the work: {}", failure(&error, doing));
            client.simple_query(&format!("ROLLBACK; {}", plan.begin))
        }
        begun => begun,
    };
    let begun = begun.map_err(|error| Refused::new(&error, doing))?;
    if let Some(exported) = first_value(&begun) {
        // There is no receiver if there is no second connection.
        let _ = snapshot.send(exported.to_owned());
    }
    while let Some(place) = board.next_for_leader() {
        let statement = &plan.statements[place];
        let rows = run(client, statement).map_err(|error| Refused::new(&error, statement.name))?;
        board.put(place, rows);
    }
    let answers = std::mem::take(&mut board.state().answers);
    plan.fold(&answers).map_err(|error| Refused::new(&error, "reading the database's answer"))
}

/// The second connection: joins the leader's snapshot and takes statements until none is left. A failure here only costs speed.
fn follow(
    second: Worker,
    snapshot: String,
    give_back: &Sender<Worker>,
    plan: Arc<Plan>,
    board: Arc<Board>,
) {
    let ended = second.ask(move |client| -> Result<(), postgres::Error> {
        client.batch_execute(&plan.join(&snapshot))?;
        while let Some(place) = board.next_for_second() {
            match run(client, &plan.statements[place]) {
                Ok(rows) => board.settle(place, Some(rows)),
                Err(error) => {
                    board.settle(place, None);
                    return Err(error);
                }
            }
        }
        client.batch_execute("COMMIT")
    });
    match ended.recv() {
        Ok(Ok(())) => {
            // The run may have ended already.
            let _ = give_back.send(second);
        }
        Ok(Err(error)) => {
            let failure = failure(&error, "on the second connection");
            log::info!("the second connection is given up: {failure}");
        }
        Err(_) => log::info!("the second connection is given up"),
    }
}

fn run(client: &mut Client, statement: &Statement) -> Result<Vec<Row>, postgres::Error> {
    log::debug!("{}: {}", statement.name, statement.sql);
    client.query_typed(&statement.sql, &statement.parameters())
}
