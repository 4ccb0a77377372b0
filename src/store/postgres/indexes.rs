//! The indexes that cleanup wants and that are missing, and the statements that make them.
//!
//! A statement that is printed runs: where it is not of plain columns, it has been tried on an empty temporary table with the same ones, in a transaction
//! that was rolled back. How the database writes them comes from there, too, so that an index is found again however the mapping writes it.

use super::answer::rows;
use super::quote::{identifier, is_plain_name, literal};
use super::session::{Broken, Session, unless_refused};
use crate::outcome::Failure;
use crate::store::prune::MissingIndex;
use crate::store::prune::indexes::WantedIndex;
use postgres::error::SqlState;
use serde_json::Value;
use std::collections::BTreeSet;

const DOING: &str = "looking for indexes";

/// Those that are not there.
///
/// # Errors
/// The database went away.
pub fn missing(session: &Session, wanted: &[WantedIndex]) -> Result<Vec<MissingIndex>, Failure> {
    let mut missing: Vec<MissingIndex> = Vec::new();
    for wanted in wanted {
        missing.extend(look(session, wanted).map_err(|broken| broken.failure(DOING))?);
    }
    // A foreign key may be one that the configuration names too.
    let mut places = BTreeSet::new();
    missing.retain(|index| places.insert(index.place.clone()));
    Ok(missing)
}

fn look(session: &Session, wanted: &WantedIndex) -> Result<Option<MissingIndex>, Broken> {
    // None: it is a FROM clause, not a name.
    let relation = match unless_refused(relation_of(session, &wanted.from))?.flatten() {
        Some(relation) if relation.has_foreign_rows => {
            let why = format!(
                "rows of {} are in a foreign table: they can be indexed where they are",
                wanted.from
            );
            return Ok(Some(missing_index(wanted, Err(why))));
        }
        relation => relation,
    };
    if let Some(relation) = relation.filter(|relation| "rpm".contains(&relation.kind)) {
        return on_table(session, wanted, &relation);
    }
    // A view, or a FROM clause: its plan shows whether a column is one of a table's.
    let mut beneath: Option<WantedIndex> = None;
    for column in &wanted.columns {
        let Some(origin) = origin(session, &wanted.from, column)? else {
            let why = format!(
                "\"{column}\" of \"{}\" is computed from several tables or columns, which no index can hold",
                short_name(wanted)
            );
            return Ok(Some(missing_index(wanted, Err(why))));
        };
        let known = beneath
            .get_or_insert_with(|| WantedIndex { from: origin.table.clone(), columns: Vec::new() });
        if known.from != origin.table {
            let why = format!(
                "\"{}\" takes {} from several tables, which no index can hold together",
                short_name(wanted),
                wanted.columns.join(" and ")
            );
            return Ok(Some(missing_index(wanted, Err(why))));
        }
        known.columns.push(origin.column);
    }
    let Some(beneath) = beneath else {
        return Ok(None);
    };
    match relation_of(session, &beneath.from)? {
        Some(relation) => on_table(session, &beneath, &relation),
        None => Ok(None),
    }
}

fn missing_index(wanted: &WantedIndex, remedy: Result<String, String>) -> MissingIndex {
    let place = format!("{} ({})", short_name(wanted), wanted.columns.join(", "));
    MissingIndex { place, remedy }
}

/// A long FROM clause by its beginning.
fn short_name(wanted: &WantedIndex) -> &str {
    wanted.from.split_whitespace().next().unwrap_or(&wanted.from)
}

struct Relation {
    /// Quoted where it has to be.
    name: String,
    /// As the catalogue has it: `r` a table, `p` a partitioned one, `v` a view …
    kind: String,
    /// It is a foreign table or a partition is, of which an index of the whole has nothing.
    has_foreign_rows: bool,
}

fn relation_of(session: &Session, from: &str) -> Result<Option<Relation>, Broken> {
    let sql = "SELECT quote_ident(c.relname), c.relkind::text, c.relkind = 'f' OR EXISTS (SELECT 1 FROM pg_catalog.pg_inherits i \
               JOIN pg_catalog.pg_class p ON p.oid = i.inhrelid WHERE i.inhparent = c.oid AND p.relkind = 'f') \
               FROM unnest($1) AS n JOIN pg_catalog.pg_class c ON c.oid = to_regclass(n)";
    let rows = session.ask(sql, &[vec![from.to_owned()]])?;
    let read = |row: &postgres::Row| -> Result<Relation, postgres::Error> {
        Ok(Relation {
            name: row.try_get(0)?,
            kind: row.try_get(1)?,
            has_foreign_rows: row.try_get(2)?,
        })
    };
    Ok(rows.first().map(read).transpose()?)
}

fn on_table(
    session: &Session,
    wanted: &WantedIndex,
    relation: &Relation,
) -> Result<Option<MissingIndex>, Broken> {
    let is_bare = |column: &String| is_plain_name(column) && !column.contains('.');
    let is_plain = wanted.columns.iter().all(is_bare);
    // Columns by their bare names need no trial.
    let indexed =
        if is_plain { Ok(wanted.columns.clone()) } else { as_indexed(session, wanted, relation) };
    let columns = match indexed {
        Ok(columns) => columns,
        Err(Broken::Server(error)) if error.as_db_error().is_some() => {
            let why = if error.code() == Some(&SqlState::INVALID_OBJECT_DEFINITION) {
                let columns = wanted.columns.join(", ");
                format!(
                    "\"{columns}\" is not immutable, depending on a setting or on the time, so that no index can hold it"
                )
            } else {
                let words = error.as_db_error().map_or("", |error| error.message());
                format!("whether there is one is not known: {words}")
            };
            return Ok(Some(missing_index(wanted, Err(why))));
        }
        Err(broken) => return Err(broken),
    };
    if is_there(session, &wanted.from, &columns)? {
        return Ok(None);
    }
    let remedy = statement(&wanted.from, relation, &columns);
    let indexed = WantedIndex { from: wanted.from.clone(), columns };
    Ok(Some(missing_index(&indexed, Ok(remedy))))
}

/// An index of a partitioned table cannot be made while others write.
fn statement(from: &str, relation: &Relation, items: &[String]) -> String {
    let concurrently = match relation.kind.as_str() {
        "p" => "",
        _ => "CONCURRENTLY ",
    };
    format!("CREATE INDEX {concurrently}ON {from} ({});", items.join(", "))
}

pub fn is_there(session: &Session, from: &str, items: &[String]) -> Result<bool, Broken> {
    let each = items.iter().enumerate().map(|(place, item)| {
        let place = place + 1;
        format!("pg_get_indexdef(i.indexrelid, {place}, true) = {}", literal(item))
    });
    let each: Vec<String> = each.collect();
    let sql = format!(
        "SELECT 1 FROM pg_catalog.pg_index i WHERE i.indrelid = to_regclass({}) AND i.indisvalid AND i.indpred IS NULL AND {}",
        literal(from),
        each.join(" AND ")
    );
    Ok(!session.ask(&sql, &[])?.is_empty())
}

/// The columns as the catalogue would write them in an index.
fn as_indexed(
    session: &Session,
    wanted: &WantedIndex,
    relation: &Relation,
) -> Result<Vec<String>, Broken> {
    let entries: Vec<String> =
        (wanted.columns.iter()).map(|column| format!("({column})")).collect();
    let each: Vec<String> = (1..=entries.len())
        .map(|place| format!("pg_get_indexdef(i.indexrelid, {place}, true)"))
        .collect();
    let name = &relation.name;
    let answer = session.simple(&format!(
        "BEGIN; CREATE TEMPORARY TABLE {name} (LIKE {from}); CREATE INDEX ON pg_temp.{name} ({entries}); \
         SELECT {each} FROM pg_catalog.pg_index i WHERE i.indrelid = {twin}::regclass; ROLLBACK",
        from = wanted.from,
        entries = entries.join(", "),
        each = each.join(", "),
        twin = literal(&format!("pg_temp.{name}")),
    ));
    let answer = match answer {
        Ok(answer) => answer,
        Err(broken) => {
            session.simple("ROLLBACK")?;
            return Err(broken);
        }
    };
    let row = rows(&answer).next();
    let items = (0..entries.len()).map(|place| row.and_then(|row| row.get(place)).unwrap_or(""));
    Ok(items.map(str::to_owned).collect())
}

/// Where a column of a view or a FROM clause comes from.
struct Origin {
    table: String,
    column: String,
}

/// `None`: it is computed, or the plan does not say.
fn origin(session: &Session, from: &str, column: &str) -> Result<Option<Origin>, Broken> {
    let sql = format!("EXPLAIN (VERBOSE, COSTS OFF, FORMAT JSON) SELECT ({column}) FROM {from}");
    let Some(answer) = unless_refused(session.simple_read(&sql))? else {
        return Ok(None);
    };
    let text: String = rows(&answer).filter_map(|row| row.get(0)).collect();
    let plan: Value = serde_json::from_str(&text).unwrap_or_default();
    let top = &plan[0]["Plan"];
    let output = top["Output"][0].as_str().unwrap_or_default();
    // A plan that reads one table names its columns without the table.
    let (alias, column) = match output.split_once('.') {
        Some((alias, column)) => (alias, column),
        None => (top["Alias"].as_str().unwrap_or_default(), output),
    };
    let is_identifier = |text: &str| match text.strip_prefix('"') {
        Some(rest) => rest.strip_suffix('"').is_some_and(|name| !name.contains('"')),
        None => is_plain_name(text) && !text.contains('.'),
    };
    if !is_identifier(alias) || !is_identifier(column) {
        return Ok(None);
    }
    let scan = scan(top, alias.trim_matches('"'));
    Ok(scan.map(|(schema, table)| Origin {
        table: format!("{}.{}", identifier(schema), identifier(table)),
        column: column.to_owned(),
    }))
}

/// The table that a plan reads under this name.
fn scan<'p>(plan: &'p Value, alias: &str) -> Option<(&'p str, &'p str)> {
    if plan["Alias"] == alias
        && let (Some(schema), Some(table)) =
            (plan["Schema"].as_str(), plan["Relation Name"].as_str())
    {
        return Some((schema, table));
    }
    let mut parts = plan["Plans"].as_array()?.iter();
    parts.find_map(|part| scan(part, alias))
}
