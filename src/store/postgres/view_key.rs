//! Whether a view's key is the key of the table beneath it.

use super::quote::is_plain_name;
use super::session::Session;
use crate::mapping::TaskTable;
use crate::outcome::{Failure, Kind};

/// How many rows of the view are compared with the table.
const COMPARED_ROWS: usize = 200;

/// Where rows are read from a view, its key may mean another column than the table's that rows are deleted from, and the wrong rows would go: `id` of
/// the view may be a customer's. The times that both have by the same name have to agree, or if they share none the status.
pub fn find_wrong_key(session: &Session, table: &TaskTable) -> Option<Failure> {
    let delete_from = table.delete_from.as_ref()?;
    if delete_from.trim() == table.from.trim() {
        return None;
    }
    let shared = shared_columns(session, table, delete_from);
    if shared.is_empty() {
        return None;
    }
    let (column, count) = find_difference(session, table, delete_from, &shared)?;
    let message = format!(
        "database.tasks.key: {} means another column in \"{delete_from}\" than in \"{}\": under the same key {column} differs in {count} rows, and cleanup would delete the wrong ones",
        table.key.join(", "),
        table.from
    );
    Some(Failure::new(Kind::MappingMismatch, message).hint(
        "name as key what is called the same in both: add the table's own key to the view under its own name",
    ))
}

/// The times that both have by the same name, or else the status.
fn shared_columns<'t>(session: &Session, table: &'t TaskTable, delete_from: &str) -> Vec<&'t str> {
    let is_shared = |column: &&str| {
        let sql = format!("SELECT ({column}) FROM {delete_from} LIMIT 0");
        is_plain_name(column) && !column.contains('.') && session.ask(&sql, &[]).is_ok()
    };
    let times = [&table.created_at, &table.started_at, &table.completed_at, &table.updated_at];
    let times = times.into_iter().flatten().map(String::as_str);
    let mut shared: Vec<&str> = times.filter(is_shared).collect();
    if shared.is_empty() {
        shared.extend(Some(table.status.as_str()).filter(is_shared));
    }
    shared
}

/// The first of these columns that differs in rows of the same key, and in how many.
fn find_difference<'c>(
    session: &Session,
    table: &TaskTable,
    delete_from: &str,
    columns: &[&'c str],
) -> Option<(&'c str, i64)> {
    let (mut entries, mut joined, mut differ) = (Vec::new(), Vec::new(), Vec::new());
    for (place, key) in table.key.iter().enumerate() {
        entries.push(format!("({key}) AS k{place}"));
        joined.push(format!("b.k{place} = v.k{place}"));
    }
    for (place, column) in columns.iter().enumerate() {
        entries.push(format!("({column}) AS c{place}"));
        differ.push(format!(
            "count(*) FILTER (WHERE pg_typeof(b.c{place}) = pg_typeof(v.c{place}) AND b.c{place}::text IS DISTINCT FROM v.c{place}::text)"
        ));
    }
    let entries = entries.join(", ");
    let sql = format!(
        "SELECT {} FROM (SELECT {entries} FROM {} LIMIT {COMPARED_ROWS}) AS v JOIN (SELECT {entries} FROM {delete_from}) AS b ON {}",
        differ.join(", "),
        table.from,
        joined.join(" AND ")
    );
    let rows = session.ask(&sql, &[]).ok()?;
    let row = rows.first()?;
    columns.iter().enumerate().find_map(|(place, column)| {
        let count: i64 = row.try_get(place).ok()?;
        (count > 0).then_some((*column, count))
    })
}
