//! The indexes that cleanup wants and that are missing in a SQLite file.

use super::super::connection::words;
use super::super::quote::bare_name;
use super::dialect::are_bound;
use crate::store::prune::MissingIndex;
use crate::store::prune::indexes::WantedIndex;
use rusqlite::types::Value;
use rusqlite::{Connection, params_from_iter};
use std::collections::BTreeSet;

/// Those that are not there.
pub fn missing(
    connection: &Connection,
    wanted: &[WantedIndex],
) -> rusqlite::Result<Vec<MissingIndex>> {
    let mut missing = Vec::new();
    // A foreign key may be one that the configuration names too.
    let mut known = BTreeSet::new();
    for index in wanted {
        let columns = index.columns.iter().map(|column| bare_name(column).to_lowercase());
        let place = (bare_name(&index.from).to_lowercase(), columns.collect::<Vec<_>>());
        if known.insert(place) && is_scanned(connection, index)? {
            let columns = index.columns.join(", ");
            let remedy = remedy(connection, index, missing.len() + 1);
            missing.push(MissingIndex {
                place: format!("{} ({columns})", index.from),
                remedy: remedy.map_err(|why| format!("SQLite can make none: {why}")),
            });
        }
    }
    Ok(missing)
}

/// Whether SQLite would read the whole table for one value of the columns.
fn is_scanned(connection: &Connection, index: &WantedIndex) -> rusqlite::Result<bool> {
    let condition = are_bound(index.columns.iter().map(String::as_str));
    let sql = format!("EXPLAIN QUERY PLAN SELECT 1 FROM {} WHERE {condition}", index.from);
    let mut statement = connection.prepare(&sql)?;
    let bound = vec![Value::Null; statement.parameter_count()];
    let plan: rusqlite::Result<Vec<String>> =
        statement.query_map(params_from_iter(bound), |row| row.get(3))?.collect();
    Ok(plan?.iter().any(|step| step.starts_with("SCAN")))
}

/// The statement that makes the index, or why there is none.
fn remedy(connection: &Connection, index: &WantedIndex, number: usize) -> Result<String, String> {
    let name: String = (bare_name(&index.from).chars())
        .map(|letter| if letter.is_alphanumeric() { letter } else { '_' })
        .collect();
    // Preparing it shows whether SQLite would refuse it.
    let statement = |columns: &str| {
        let text = format!("CREATE INDEX taskmon_{name}_{number} ON {} ({columns});", index.from);
        let tried = connection.prepare(&text);
        tried.map(|_| text).map_err(|error| words(&error))
    };
    let columns = index.columns.join(", ");
    let unqualified = columns.rsplit('.').next().unwrap_or_default();
    statement(&columns).or_else(|why| {
        let is_bare = columns.split('.').all(|part| {
            let mut letters = part.trim_matches('"').chars();
            letters.all(|letter| letter.is_alphanumeric() || letter == '_')
        });
        statement(unqualified).ok().filter(|_| is_bare).ok_or(why)
    })
}
