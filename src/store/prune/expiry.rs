//! Which rows have expired: the condition, from the time that counts for each state.

use super::Scope;
use super::dialect::Dialect;
use super::tables::{Table, Typed};
use crate::mapping::Field;

/// True of no row, in every dialect.
const NEVER: &str = "1 = 0";

/// "The row has expired."
///
/// A state without a limit has no part in the condition, so that none of its rows can be deleted.
pub fn condition(dialect: &impl Dialect, table: &Table, scope: &Scope) -> String {
    let limits = match (scope, table.time(Field::CreatedAt)) {
        (Scope::Receipts(before), Some(created)) => return dialect.is_before(&[created], *before),
        (Scope::Receipts(_), None) => return NEVER.to_owned(),
        (Scope::Tasks(limits), _) => limits,
    };
    let mut states = Vec::new();
    for (state, before) in limits {
        let times = table.ended(*state);
        if let Some(in_state) = dialect.in_state(*state).filter(|_| !times.is_empty()) {
            states.push(format!("({in_state} AND {})", dialect.is_before(&times, *before)));
        }
    }
    let expired =
        if states.is_empty() { NEVER.to_owned() } else { format!("({})", states.join(" OR ")) };
    match &table.guard {
        Some(guard) => format!("({expired} AND ({guard}))"),
        None => expired,
    }
}

/// "The row is in a state that has a limit, and has no time by which it could expire."
pub fn undated(dialect: &impl Dialect, table: &Table, scope: &Scope) -> String {
    let undated: Vec<String> = match scope {
        Scope::Receipts(_) => {
            let created: Vec<&Typed> = table.time(Field::CreatedAt).into_iter().collect();
            vec![dialect.is_undated(&created)]
        }
        Scope::Tasks(limits) => {
            let states = limits.iter().filter_map(|(state, _)| {
                let in_state = dialect.in_state(*state)?;
                Some(format!("({in_state} AND {})", dialect.is_undated(&table.ended(*state))))
            });
            states.collect()
        }
    };
    if undated.is_empty() { NEVER.to_owned() } else { format!("({})", undated.join(" OR ")) }
}
