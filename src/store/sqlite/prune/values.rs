//! Keys and paths in SQLite's rows.
//!
//! A part of a key travels as a literal, which has its type: a column of SQLite's may hold numbers and texts beside each other.

use super::super::quote::text_literal;
use crate::store::prune::Key;
use rusqlite::Row;
use rusqlite::types::{Value, ValueRef};
use std::borrow::Cow;

/// The literal of what cannot be bound as it is stored, such as a text that is not valid.
pub const NO_LITERAL: &str = "NULL";

/// Like SQLite's `quote`, which however cuts a text off at its first NUL and passes invalid UTF-8 on.
pub fn literal(value: ValueRef<'_>) -> String {
    match value {
        ValueRef::Integer(number) => number.to_string(),
        ValueRef::Real(number) => format!("{number:?}"),
        ValueRef::Text(bytes) => match std::str::from_utf8(bytes) {
            Ok(text) if !text.contains('\0') => text_literal(text),
            _ => NO_LITERAL.to_owned(),
        },
        ValueRef::Blob(bytes) => {
            let hex: String = bytes.iter().map(|byte| format!("{byte:02X}")).collect();
            format!("X'{hex}'")
        }
        ValueRef::Null => NO_LITERAL.to_owned(),
    }
}

/// The values of a key: each is kept as a [`literal`], which has its type.
pub fn values(key: &Key) -> Vec<Value> {
    key.iter().map(|literal| value(literal)).collect()
}

fn value(literal: &str) -> Value {
    if let Some(text) = literal.strip_prefix('\'').and_then(|rest| rest.strip_suffix('\'')) {
        return Value::Text(text.replace("''", "'"));
    }
    if let Some(hex) = literal.strip_prefix("X'").and_then(|rest| rest.strip_suffix('\'')) {
        let byte = |place| u8::from_str_radix(hex.get(place..place + 2)?, 16).ok();
        return Value::Blob((0..hex.len()).step_by(2).filter_map(byte).collect());
    }
    match (literal.parse::<i64>(), literal.parse::<f64>()) {
        (Ok(number), _) => Value::Integer(number),
        (_, Ok(number)) => Value::Real(number),
        _ => Value::Null,
    }
}

pub fn read_key(row: &Row, width: usize) -> rusqlite::Result<Key> {
    (0..width).map(|place| row.get(place)).collect()
}

/// Whether a key identifies its row: no part of it is NULL.
pub fn is_usable(key: &Key) -> bool {
    !key.iter().any(|part| part == NO_LITERAL)
}

pub fn read_paths(row: &Row, first: usize, count: usize) -> rusqlite::Result<Vec<Vec<u8>>> {
    let mut paths = Vec::new();
    for place in first..first + count {
        paths.extend(bytes(row.get_ref(place)?).map(Cow::into_owned));
    }
    Ok(paths)
}

/// The bytes of a text that is not empty. A number is taken as text: a column without a type stores '123' as a number.
pub fn bytes(value: ValueRef<'_>) -> Option<Cow<'_, [u8]>> {
    match value {
        ValueRef::Text(bytes) | ValueRef::Blob(bytes) if !bytes.is_empty() => {
            Some(Cow::Borrowed(bytes))
        }
        ValueRef::Integer(number) => Some(Cow::Owned(number.to_string().into_bytes())),
        ValueRef::Real(number) => Some(Cow::Owned(format!("{number:?}").into_bytes())),
        _ => None,
    }
}

/// A text for messages and comparisons, whatever its bytes.
pub fn lossy(row: &Row, place: usize) -> rusqlite::Result<Option<String>> {
    let found = bytes(row.get_ref(place)?);
    Ok(found.map(|bytes| String::from_utf8_lossy(&bytes).into_owned()))
}
