//! What a server answers to statements that are sent as they are, through the simple protocol.

use postgres::{SimpleQueryMessage, SimpleQueryRow};

/// The rows of all statements, one after the other.
pub fn rows(answer: &[SimpleQueryMessage]) -> impl Iterator<Item = &SimpleQueryRow> {
    answer.iter().filter_map(|message| match message {
        SimpleQueryMessage::Row(row) => Some(row),
        _ => None,
    })
}

/// The first value of the first row.
pub fn first_value(answer: &[SimpleQueryMessage]) -> Option<&str> {
    rows(answer).next().and_then(|row| row.get(0))
}
