//! Which rows have expired: the condition, from the time that counts for each state.

use super::Scope;
use super::dialect::Dialect;
use super::tables::{Ending, Table};
use chrono::{DateTime, Utc};

/// True of no row, in every dialect.
pub const NEVER: &str = "1 = 0";

/// "The row has expired."
///
/// A state without a limit has no part in the condition, so that none of its rows can be deleted.
pub fn condition(dialect: &impl Dialect, table: &Table, scope: &Scope) -> String {
    let limited = limited(dialect, table, scope).into_iter();
    let known = limited.filter(|limited| !limited.ending.is_unknown());
    let expired = known.map(|Limited { in_state, ending, before }| {
        format!("({in_state} AND {})", dialect.is_before(&ending, before))
    });
    guarded(table, &any(expired.collect()))
}

/// "The row is in a state that has a limit, and has no time by which it could expire."
pub fn undated(dialect: &impl Dialect, table: &Table, scope: &Scope) -> String {
    let limited = limited(dialect, table, scope).into_iter();
    let undated = limited.map(|Limited { in_state, ending, .. }| {
        format!("({in_state} AND {})", dialect.is_undated(&ending))
    });
    any(undated.collect())
}

/// The rows of one state that has a limit.
pub struct Limited<'t> {
    /// "The row is in this state."
    pub in_state: String,
    pub ending: Ending<'t>,
    /// The limit.
    pub before: DateTime<Utc>,
}

/// Each state that has a limit and rows; receipts have one for all.
pub fn limited<'t>(dialect: &impl Dialect, table: &'t Table, scope: &Scope) -> Vec<Limited<'t>> {
    match scope {
        Scope::Receipts(before) => {
            let in_state = "1 = 1".to_owned();
            vec![Limited { in_state, ending: table.creation(), before: *before }]
        }
        Scope::Tasks(limits) => {
            let of_state = |(state, before): &(_, _)| {
                let in_state = dialect.in_state(*state)?;
                Some(Limited { in_state, ending: table.ending(*state), before: *before })
            };
            limits.iter().filter_map(of_state).collect()
        }
    }
}

/// A condition for rows that the guard of the mapping does not keep.
pub fn guarded(table: &Table, condition: &str) -> String {
    match &table.guard {
        Some(guard) => format!("(({condition}) AND ({guard}))"),
        None => format!("({condition})"),
    }
}

/// "One of these holds."
pub fn any(conditions: Vec<String>) -> String {
    if conditions.is_empty() { NEVER.to_owned() } else { format!("({})", conditions.join(" OR ")) }
}
