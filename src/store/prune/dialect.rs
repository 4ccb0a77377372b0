//! What the databases say differently in the statements of a cleanup.

use super::tables::{Ending, Table, Typed};
use super::{Pass, Scope};
use crate::mapping::State;
use chrono::{DateTime, Utc};

pub trait Dialect {
    /// A part of a key as the text in which keys travel.
    fn key_text(&self, part: &Typed) -> String;

    /// "This part of a key does not identify the row."
    fn lacks_key(&self, part: &Typed) -> String;

    /// "It is no valid text or too long, and cannot be bound"; `None`: it always can.
    fn is_unusable(&self, part: &Typed) -> Option<String>;

    /// "The key is one of those that are bound."
    fn is_bound(&self, key: &[Typed]) -> String;

    /// The parts of the one key that is bound.
    fn bound_key(&self, key: &[Typed]) -> Vec<String>;

    /// "Among the rows that are read there is one of this row's key, which is bound, of which the condition holds."
    fn is_read(&self, table: &Table, condition: &str) -> String;

    fn text(&self, expression: &str) -> String;

    /// A path as it is stored.
    fn path(&self, expression: &str) -> String;

    /// "The row is in this state."; `None`: no row is.
    fn in_state(&self, state: State) -> Option<String>;

    /// "The first of the row's times that is plausible lies before."
    fn is_before(&self, ending: &Ending, before: DateTime<Utc>) -> String;

    /// "The row has a time, and none that is plausible."
    fn is_implausible(&self, ending: &Ending) -> String;

    /// The times of a row as a text for messages: `completed_at = '0001-01-01'`.
    fn shown_times(&self, ending: &Ending) -> String;

    /// The statement for the newest plausible value of a time, in microseconds since 1970.
    fn newest(&self, from: &str, time: &Typed) -> String;

    /// "The row has none of these times."
    fn is_undated(&self, ending: &Ending) -> String;

    /// The columns that [`super::sample`] wants of a time: how it is shown, and what the dialect reads it from.
    fn sampled(&self, time: &Typed) -> String;

    /// What a pass adds to the condition; `None`: the pass finds nothing.
    fn pass(&self, table: &Table, scope: &Scope, pass: Pass) -> Option<String>;
}
