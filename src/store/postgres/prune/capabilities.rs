//! What the transaction of a batch uses where the server has it. Engines that speak PostgreSQL's protocol lack one or another, and so do poolers.

use super::super::failure::cause_of;
use super::super::session::{Broken, Session};
use super::super::worker::has_ended;
use crate::outcome::{Failure, Kind};
use std::collections::BTreeSet;

/// Every run of taskmon in this database holds it while it deletes a batch; the number is arbitrary.
const BATCH_LOCK: i64 = 0x7461_736b_6d6f_6e01;

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Capability {
    /// Rows that the database refuses, or that are to stay after all, are taken back without their batch.
    Savepoint,
    /// One batch at a time: without it a run takes rows that another one deletes for rows that the application holds.
    BatchLock,
    /// A table that is locked as a whole is waited for longer than a row is.
    TableLock,
    /// A transaction whose connection is lost can be ended.
    Numbers,
    /// Deferred constraints are checked before COMMIT.
    Constraints,
}

use Capability::{BatchLock, Constraints, Numbers, Savepoint, TableLock};

const ALL: [Capability; 5] = [Savepoint, BatchLock, TableLock, Numbers, Constraints];

impl Capability {
    /// Tried once, in a transaction that is rolled back; waits for nothing.
    fn trial(self) -> String {
        match self {
            Savepoint => "SAVEPOINT taskmon_trial; ROLLBACK TO SAVEPOINT taskmon_trial; RELEASE SAVEPOINT taskmon_trial".to_owned(),
            BatchLock => format!("SELECT pg_try_advisory_xact_lock({BATCH_LOCK})"),
            TableLock => "EXPLAIN SELECT 1".to_owned(),
            Numbers => NUMBERS.to_owned(),
            Constraints => CHECK_CONSTRAINTS.to_owned(),
        }
    }
}

/// The transaction's number and its process.
const NUMBERS: &str = "SELECT txid_current(), pg_backend_pid()";

/// Twice: a deferred trigger that the first one fires may defer something itself.
const CHECK_CONSTRAINTS: &str = "SET CONSTRAINTS ALL IMMEDIATE; SET CONSTRAINTS ALL IMMEDIATE";

#[derive(Debug, Clone, Default)]
pub struct Capabilities {
    missing: BTreeSet<Capability>,
}

impl Capabilities {
    /// Asks the server, in one round trip where it has all of them.
    ///
    /// # Errors
    /// It has no savepoints, without which a row that must stay could not be taken back. The connection was lost.
    pub fn read(session: &Session) -> Result<Self, Failure> {
        let failure = |broken: Broken| broken.failure("asking what the server is capable of");
        let together: Vec<String> = ALL.iter().map(|capability| capability.trial()).collect();
        let mut missing = BTreeSet::new();
        if refusal(session, &together.join("; ")).map_err(failure)?.is_some() {
            for capability in ALL {
                let Some(words) = refusal(session, &capability.trial()).map_err(failure)? else {
                    continue;
                };
                if capability == Savepoint {
                    let message =
                        format!("the server has no savepoints, which cleanup needs: {words}");
                    return Err(Failure::new(Kind::QueryFailed, message)
                        .hint("connect to the database itself, not through what refuses them"));
                }
                log::info!("the server lacks {capability:?}: {words}");
                missing.insert(capability);
            }
        }
        Ok(Self { missing })
    }

    fn has(&self, capability: Capability) -> bool {
        !self.missing.contains(&capability)
    }

    /// Waits until no other run deletes a batch.
    pub fn lock_batch(&self) -> Option<String> {
        self.has(BatchLock).then(|| format!("SELECT pg_advisory_xact_lock({BATCH_LOCK})"))
    }

    /// The plan alone locks the table.
    pub fn lock_table(&self, table: &str) -> Option<String> {
        self.has(TableLock).then(|| format!("EXPLAIN DELETE FROM {table} WHERE false"))
    }

    /// Answers with two columns.
    pub fn numbers(&self) -> Option<String> {
        self.has(Numbers).then(|| NUMBERS.to_owned())
    }

    pub fn check_constraints(&self) -> Option<&'static str> {
        self.has(Constraints).then_some(CHECK_CONSTRAINTS)
    }
}

/// Classes of errors by which a server says that it has no such thing, or not here: a feature, a name, a form, a standby. What passes, such as a
/// full disk or a conflict, says nothing of what it has.
const REFUSALS: [&str; 5] = ["0A", "25", "42", "55", "XX"];

/// The server's words if it refuses the statements.
fn refusal(session: &Session, statements: &str) -> Result<Option<String>, Broken> {
    let error = match session.simple(&format!("BEGIN; {statements}; ROLLBACK")) {
        Ok(_) => return Ok(None),
        Err(Broken::Server(error)) if !has_ended(&error) => error,
        Err(broken) => return Err(broken),
    };
    session.simple("ROLLBACK")?;
    let class = error.code().and_then(|code| code.code().get(..2)).unwrap_or_default();
    if !REFUSALS.contains(&class) {
        return Err(Broken::Server(error));
    }
    Ok(Some(cause_of(&error)))
}
