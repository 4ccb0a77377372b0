//! What PostgreSQL's catalogue says of the tables that rows are deleted from.

use super::super::quote::{is_plain_name, literal};
use super::super::schema::TimeType;
use super::super::session::Session;
use crate::mapping::Field;
use crate::outcome::{Failure, Kind};
use crate::store::columns::{Column, require};
use crate::store::prune::tables::{Table, Types};
use crate::store::refusal::not_a_time;

const DOING: &str = "reading the catalogue";

/// The types of these columns.
///
/// # Errors
/// A table or a column that is missing, a time column of another type, a guard that is not boolean.
pub fn types_of(
    session: &Session,
    section: &str,
    from: &str,
    columns: &[Column],
) -> Result<Types, Failure> {
    require(section, from, columns, &mut |sql| session.try_query(sql))?;
    let (mut entries, mut types) = (Vec::new(), Vec::new());
    for (place, column) in columns.iter().enumerate() {
        entries.push(format!("({}) AS c{place}", column.expression));
        types.push(format!("pg_typeof(t.c{place})::text"));
    }
    // A column that an outer join leaves NULL has its type without a row being read.
    let sql = format!(
        "SELECT {} FROM (VALUES (1)) AS one(row) LEFT JOIN (SELECT {} FROM {from} LIMIT 0) AS t ON true",
        types.join(", "),
        entries.join(", ")
    );
    let rows = session.ask(&sql, &[]).map_err(|broken| broken.failure(DOING))?;
    let mut types = Types::new();
    for (place, column) in columns.iter().enumerate() {
        let kind: String = rows.first().map_or_else(String::new, |row| row.get(place));
        require_type(section, column, &kind)?;
        types.insert(column.name.clone(), kind);
    }
    Ok(types)
}

fn require_type(section: &str, column: &Column, kind: &str) -> Result<(), Failure> {
    let Column { name, expression, .. } = column;
    match name.as_str() {
        "completed_at" | "updated_at" | "created_at" if TimeType::of(kind).is_none() => {
            Err(not_a_time(section, name, expression, kind))
        }
        "guard" if kind != "boolean" => {
            let message = format!(
                "database.{section}.guard: \"{expression}\" is of type {kind}, not a condition"
            );
            Err(Failure::new(Kind::MappingMismatch, message).hint(
                "write what must hold of a row that may be deleted, for example guard = \"NOT blocking\"",
            ))
        }
        _ => Ok(()),
    }
}

/// The labels of an enum, and its name; `None`: the type is none.
///
/// # Errors
/// The database went away.
pub fn enum_labels(
    session: &Session,
    kind: &str,
) -> Result<Option<(String, Vec<String>)>, Failure> {
    let sql = format!(
        "SELECT e.enumlabel::text FROM pg_catalog.pg_enum e WHERE e.enumtypid = to_regtype({})::oid ORDER BY e.enumsortorder",
        literal(kind)
    );
    let rows = session.ask(&sql, &[]).map_err(|broken| broken.failure(DOING))?;
    let labels: Vec<String> = rows.iter().map(|row| row.get(0)).collect();
    Ok((!labels.is_empty()).then(|| (kind.to_owned(), labels)))
}

/// Whether an index finds rows by their creation.
///
/// # Errors
/// The database went away.
pub fn is_created_indexed(session: &Session, table: &Table) -> Result<bool, Failure> {
    let Some(created) = table.time(Field::CreatedAt) else {
        return Ok(false);
    };
    let created = std::slice::from_ref(&created.expression);
    if !is_plain_name(&table.from) || !is_plain_name(&created[0]) {
        return Ok(false);
    }
    let indexed = super::super::indexes::is_there(session, &table.from, created);
    indexed.map_err(|broken| broken.failure("looking for indexes"))
}
