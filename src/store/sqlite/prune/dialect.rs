//! What SQLite says differently in the statements of a cleanup.
//!
//! A key is bound part by part, `?1`, `?2`, and travels as literals. Times compare by a function of taskmon's, which no index serves.

use super::super::bounds;
use super::super::connection::read_rows;
use super::super::quote::text_literal;
use super::functions::{ENDED, LITERAL};
use super::values::{NO_LITERAL, lossy};
use crate::mapping::canonical_path::LONGEST_PATH;
use crate::mapping::{State, TaskTable};
use crate::store::LONGEST_LABEL;
use crate::store::prune::dialect::Dialect;
use crate::store::prune::tables::{Cut, Ending, Table, Typed};
use crate::store::prune::{LONGEST_KEY, Pass, Scope};
use chrono::{DateTime, Utc};
use rusqlite::Connection;

pub struct SqliteDialect {
    pub status: String,
    /// The status labels that there are, as literals, by their states.
    pub labels: Vec<(State, String)>,
}

pub const CUT: Cut = Cut {
    label: |expression| bounds::cut(expression, LONGEST_LABEL),
    path: |expression| bounds::path(expression, LONGEST_PATH),
};

impl Dialect for SqliteDialect {
    fn key_text(&self, part: &Typed) -> String {
        let is_too_long = is_too_long(part);
        format!(
            "CASE WHEN {is_too_long} THEN '{NO_LITERAL}' ELSE {LITERAL}({}) END",
            part.expression
        )
    }

    fn lacks_key(&self, part: &Typed) -> String {
        format!("({} = '{NO_LITERAL}')", self.key_text(part))
    }

    fn is_unusable(&self, part: &Typed) -> Option<String> {
        Some(is_too_long(part))
    }

    fn is_bound(&self, key: &[Typed]) -> String {
        let parts = key.iter().map(|part| part.expression.as_str());
        are_bound(parts)
    }

    fn bound_key(&self, key: &[Typed]) -> Vec<String> {
        (1..=key.len()).map(|place| format!("?{place}")).collect()
    }

    fn is_read(&self, table: &Table, condition: &str) -> String {
        let is_bound = self.is_bound(&table.key);
        format!("EXISTS (SELECT 1 FROM {} WHERE {is_bound} AND {condition})", table.from)
    }

    fn text(&self, expression: &str) -> String {
        format!("CAST(({expression}) AS TEXT)")
    }

    fn path(&self, expression: &str) -> String {
        format!("({expression})")
    }

    fn in_state(&self, state: State) -> Option<String> {
        let of_state = self.labels.iter().filter(|(of, _)| *of == state);
        let literals: Vec<&str> = of_state.map(|(_, literal)| literal.as_str()).collect();
        // A list of one would be an equation, which SQLite looks at before the length.
        let list = [&literals[..], literals.get(..1)?].concat().join(", ");
        Some(format!(
            "({} AND ({status}) IN ({list}))",
            is_label(&self.status),
            status = self.status
        ))
    }

    fn is_before(&self, ending: &Ending, before: DateTime<Utc>) -> String {
        format!("{} < {}", ended(ending), before.timestamp_micros())
    }

    fn is_implausible(&self, ending: &Ending) -> String {
        format!("({} IS NULL AND NOT {})", ended(ending), self.is_undated(ending))
    }

    fn shown_times(&self, ending: &Ending) -> String {
        let shown = ending.times().map(|time| {
            format!(
                "{} || substr(nullif(quote({}), 'NULL'), 1, {MOST_SHOWN})",
                text_literal(&format!("{} = ", time.expression)),
                bounds::time(&time.expression)
            )
        });
        format!("concat_ws(', ', {})", shown.collect::<Vec<_>>().join(", "))
    }

    fn newest(&self, from: &str, time: &Typed) -> String {
        format!("SELECT max({ENDED}({})) FROM {from}", bounds::time(&time.expression))
    }

    fn is_undated(&self, ending: &Ending) -> String {
        let times =
            ending.times().map(|time| format!("nullif({}, ''), ", bounds::time(&time.expression)));
        // coalesce() wants two arguments at least.
        format!("(coalesce({}NULL, NULL) IS NULL)", times.collect::<String>())
    }

    fn sampled(&self, time: &Typed) -> String {
        bounds::time(&time.expression)
    }

    /// No index could serve a narrower search: one pass finds all.
    fn pass(&self, _: &Table, _: &Scope, pass: Pass) -> Option<String> {
        (pass == Pass::Created).then(|| "1 = 1".to_owned())
    }
}

/// "It is longer than a part of a key may be."
fn is_too_long(part: &Typed) -> String {
    format!("(octet_length({}) > {LONGEST_KEY})", part.expression)
}

/// "It is no longer than a label can be."
fn is_label(status: &str) -> String {
    format!("octet_length({status}) <= {LONGEST_LABEL}")
}

/// How many characters of a value that is no time are shown.
const MOST_SHOWN: u8 = 40;

/// The first of a row's times that is plausible, in microseconds since 1970; NULL where none is.
fn ended(ending: &Ending) -> String {
    let created = ending.created.map(|created| bounds::time(&created.expression));
    let created = created.unwrap_or_else(|| "NULL".to_owned());
    let ends = ending.ends.iter().map(|end| format!(", {}", bounds::time(&end.expression)));
    format!("{ENDED}({created}{})", ends.collect::<String>())
}

/// "These expressions equal what is bound", from `?1` on.
pub fn are_bound<'e>(expressions: impl Iterator<Item = &'e str>) -> String {
    let each = (1..).zip(expressions).map(|(place, one)| format!("({one}) = ?{place}"));
    each.collect::<Vec<_>>().join(" AND ")
}

/// The labels of the status column.
pub fn read_labels(
    connection: &Connection,
    table: &TaskTable,
) -> rusqlite::Result<Vec<(State, String)>> {
    let sql = format!(
        "SELECT DISTINCT CAST(({status}) AS TEXT), quote({status}) FROM {} WHERE {}",
        table.from,
        is_label(&table.status),
        status = table.status,
    );
    read_rows(connection, &sql, [], |row| {
        // A label that is not valid text is in no state, so that its literal is never used.
        let label = lossy(row, 0)?;
        let literal = lossy(row, 1)?.unwrap_or_default();
        Ok((table.states.of(label.as_deref()), literal))
    })
}
