//! A batch until it is deleted: again after a conflict, and after a lost connection once it is known what became of it.
//!
//! A connection that is lost while COMMIT is answered leaves that open. The session that was cut off is ended, and the rows are looked for.

use super::super::connect::connect;
use super::super::session::Session;
use super::transaction::Deleting;
use super::verdict::{Stopped, Verdict, verdict};
use super::{PostgresPruner, reading};
use crate::outcome::Failure;
use crate::store::prune::batch::Outcome;
use crate::store::prune::{Batch, Deletion, Key, Mode, Pruner};
use anyhow::Result;
use std::collections::HashSet;
use std::thread;
use std::time::{Duration, Instant};

/// How often a batch is tried again when a conflict, a deadlock or a lost connection ended it.
pub const TRIES: u32 = 4;

/// Seconds to wait before each attempt to connect again: a server that is restarted needs some, and so does one whose tables are read through the server
/// that answers.
const RECONNECT_PAUSES: [u64; 5] = [0, 1, 3, 6, 10];

/// Identifies a batch's transaction in case its connection is lost.
#[derive(Debug, Clone, Default)]
struct Mark {
    /// The transaction's number and its session's process; `None` in a dry run, which commits nothing.
    numbers: Option<(String, String)>,
    /// What was deleted, once COMMIT was sent.
    committing: Option<Deletion>,
}

impl PostgresPruner {
    /// One transaction over the rows at these places, again where that may help. `doubtful` gets those that a COMMIT
    /// may have deleted that failed or was not answered.
    pub(super) fn delete_persistently(
        &mut self,
        batch: &Batch,
        places: &[usize],
        settle: &mut dyn FnMut(&Deletion) -> Vec<usize>,
        doubtful: &mut Vec<usize>,
    ) -> Result<Outcome> {
        if !self.portion.allows(places.len()) {
            return Ok(Outcome::TooMany);
        }
        let mut attempt = 1;
        loop {
            let mut mark = Mark::default();
            let began = Instant::now();
            let ended = self.try_delete(batch, places, settle, &mut mark);
            if let (Err(stopped), Some(deletion)) = (&ended, &mark.committing) {
                doubtful.extend(self.possibly_gone(batch, deletion, stopped));
            }
            let failure = match ended {
                Ok(deletion) => {
                    self.portion.grow(began.elapsed(), self.settings.store.statement_timeout);
                    return Ok(Outcome::Deleted(deletion));
                }
                Err(Stopped::Uncommitted(words)) => {
                    self.roll_back();
                    return Ok(Outcome::Refused(words));
                }
                Err(Stopped::Lost(failure)) => {
                    if let Some(deletion) = self.recover(batch, failure.clone(), mark, attempt)? {
                        return Ok(Outcome::Deleted(deletion));
                    }
                    failure
                }
                Err(Stopped::Conflict(failure)) => {
                    self.roll_back();
                    thread::sleep(Duration::from_millis(50 * u64::from(attempt)));
                    failure
                }
                Err(Stopped::TooLong(failure)) => {
                    self.roll_back();
                    return self.delete_fewer(places.len(), failure);
                }
                Err(Stopped::Failed(failure)) => {
                    self.roll_back();
                    return Err(failure.into());
                }
            };
            if attempt == TRIES {
                return Err(failure.into());
            }
            log::info!("beginning a batch again: {failure}");
            attempt += 1;
        }
    }

    /// One transaction over the rows at these places.
    fn try_delete(
        &mut self,
        batch: &Batch,
        places: &[usize],
        settle: &mut dyn FnMut(&Deletion) -> Vec<usize>,
        mark: &mut Mark,
    ) -> Result<Deletion, Stopped> {
        let table = self.statements.tables.of(batch.scope.pruned()).map_err(Stopped::Failed)?;
        let transaction = Deleting {
            session: &self.session,
            statements: &self.statements,
            settings: &self.settings,
            batch,
            table,
            locks: &self.locks,
            capabilities: &self.capabilities,
        };
        mark.numbers = transaction.begin()?;
        transaction.delete_before()?;
        let deletion = transaction.delete_settled(places, settle)?;
        if self.settings.mode == Mode::DryRun {
            transaction.step("ROLLBACK")?;
            return Ok(deletion);
        }
        // Kept for the case that the answer to COMMIT is lost and it did succeed.
        mark.committing = Some(deletion.clone());
        match transaction.run("COMMIT") {
            Ok(()) => Ok(deletion),
            Err(broken) => Err(match verdict(&broken, &transaction.doing()) {
                Verdict::Row(words) => Stopped::Uncommitted(words),
                Verdict::Batch(stopped) => stopped,
            }),
        }
    }

    /// Those of the rows whose COMMIT has failed that are gone or may be: where they are on several servers, one commits after the other, and what
    /// the last one refuses the first one has done.
    fn possibly_gone(
        &mut self,
        batch: &Batch,
        deletion: &Deletion,
        stopped: &Stopped,
    ) -> Vec<usize> {
        if stopped.is_unanswered() {
            return deletion.deleted.clone();
        }
        self.roll_back();
        let left = self.left(batch, deletion).unwrap_or_default();
        let is_left = |place: &&usize| left.contains(&batch.rows[**place].key);
        deletion.deleted.iter().filter(|place| !is_left(place)).copied().collect()
    }

    /// Connects again. Returns what was deleted if the transaction that was cut off was committed after all.
    fn recover(
        &mut self,
        batch: &Batch,
        cause: Failure,
        mark: Mark,
        attempt: u32,
    ) -> Result<Option<Deletion>, Failure> {
        let recovered = self.reconnect(cause, attempt).and_then(|()| {
            if let Some((number, process)) = &mark.numbers {
                self.end_lost_session(number, process);
            }
            match &mark.committing {
                Some(deletion) => self.left(batch, deletion).map(|left| left.is_empty()),
                None => Ok(false),
            }
        });
        match (recovered, mark.committing) {
            (Ok(are_gone), deletion) => Ok(deletion.filter(|_| are_gone)),
            (Err(failure), None) => Err(failure),
            (Err(failure), Some(deletion)) => Err(in_doubt(failure, deletion.deleted.len())),
        }
    }

    /// Waits the longer, the more attempts have failed.
    ///
    /// # Errors
    /// `cause` where no connection can be had, or that another server answers now.
    pub(super) fn reconnect(&mut self, cause: Failure, attempt: u32) -> Result<(), Failure> {
        log::info!("connecting again: {cause}");
        for pause in RECONNECT_PAUSES.into_iter().skip(attempt as usize - 1) {
            thread::sleep(Duration::from_secs(pause));
            if let Ok(client) = connect(&self.target) {
                let reading = reading(&self.settings);
                let session = Session::start(client, reading, &self.settings.asked_to_end)?;
                self.server.require_same(&session.identity(), &self.target.display())?;
                self.session = session;
                return Ok(());
            }
        }
        Err(cause)
    }

    /// Ends the transaction that was cut off, whose session may live on without a client and hold its rows and the batch lock.
    fn end_lost_session(&mut self, number: &str, process: &str) {
        // By transaction and process: behind a pooler the process may serve somebody else by now, and process numbers are reused.
        let end = format!(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid = {process} AND backend_xid::text = ({number} % 4294967296)::text"
        );
        if let Err(broken) = self.session.ask(&end, &[]) {
            log::info!("{}", broken.failure("ending the session that was lost"));
        }
    }

    /// The keys of those of the rows that were deleted that are there.
    fn left(&mut self, batch: &Batch, deletion: &Deletion) -> Result<HashSet<Key>, Failure> {
        let keys = deletion.deleted.iter().map(|place| batch.rows[*place].key.clone());
        let left = self.existing(batch.scope.pruned(), &keys.collect::<Vec<_>>());
        left.map(HashSet::from_iter).map_err(|error| Failure::of(&error))
    }

    /// So many rows took longer than a statement may: half of them are tried next, and a single row is left out, a few times.
    fn delete_fewer(&mut self, rows: usize, failure: Failure) -> Result<Outcome> {
        self.portion.shrink(rows);
        if rows > 1 {
            log::info!("{rows} rows at once take too long: {failure}");
            return Ok(Outcome::TooMany);
        }
        let missing = self.missing_indexes().unwrap_or_default();
        let statements: Vec<String> =
            missing.into_iter().filter_map(|index| index.remedy.ok()).collect();
        let advice = format!("an index would make this faster: {}", statements.join(" "));
        if self.portion.leaves_out_slow_row() {
            let words = "by itself it takes longer than a statement may".to_owned();
            let is_advised = !statements.is_empty();
            return Ok(Outcome::Refused(if is_advised {
                format!("{words}; {advice}")
            } else {
                words
            }));
        }
        Err(if statements.is_empty() { failure } else { failure.hint(advice) }.into())
    }

    /// A lost connection needs no ROLLBACK, so that an error is only logged.
    fn roll_back(&mut self) {
        if let Err(broken) = self.session.simple("ROLLBACK") {
            log::debug!("{}", broken.failure("rolling back"));
        }
    }
}

fn in_doubt(failure: Failure, rows: usize) -> Failure {
    let message = format!(
        "{}; the connection went while {rows} rows were being committed, and whether they are deleted is not known",
        failure.message
    );
    Failure { message, ..failure }
}
