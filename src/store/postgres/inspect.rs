//! What a PostgreSQL server says of itself and of this user's rights.

use super::cascades;
use super::connect::target::PostgresTarget;
use super::session::{Broken, Reading, Session, unless_refused};
use super::text::{cut, text};
use super::view_key::find_wrong_key;
use crate::mapping::Mapping;
use crate::outcome::Failure;
use crate::store::columns::{Column, unread_columns};
use crate::store::fields::BLAME_LIMIT;
use crate::store::inspect::{Inspection, MappedTable, Rights, find_culprit, tables, trials};
use crate::store::prune::Reads;
use crate::store::{LONGEST_LABEL, RowSecurity, StoreSettings};
use anyhow::{Context, Result};
use chrono::{DateTime, Utc};
use postgres::Row;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

const WHO: &str = "SELECT current_user::text, current_setting('server_version'), clock_timestamp(), \
                   current_setting('TimeZone'), pg_is_in_recovery(), current_setting('default_transaction_read_only')";

pub fn inspect(
    target: &PostgresTarget,
    settings: &StoreSettings,
    now: fn() -> DateTime<Utc>,
) -> Result<Inspection> {
    let session = Session::open(target, looking(settings.statement_timeout), &Arc::default())?;
    let doing = "asking the database about itself";
    let rows = session.ask(WHO, &[]).map_err(|broken| broken.failure(doing))?;
    let host_clock = now();
    let who = rows.first().context("the database says nothing of itself")?;
    let version: String = who.try_get(1)?;
    let rights = tables(&settings.mapping)
        .into_iter()
        .map(|table| rights(&session, table))
        .collect::<Result<_, _>>()
        .map_err(|broken: Broken| broken.failure("asking for the rights on the tables"))?;
    Ok(Inspection {
        server: format!("PostgreSQL {version}, {}", target.display()),
        user: Some(who.try_get(0)?),
        clock: Some(who.try_get(2)?),
        host_clock,
        zone: Some(who.try_get(3)?),
        read_only: read_only(who)?,
        rights,
        labels: labels(&session, settings),
        trials: {
            let mut trials = trials(&settings.mapping, &read_as, &mut |sql| session.try_query(sql));
            trials.failed.extend(find_wrong_key(&session, &settings.mapping.tasks));
            trials
        },
        stranded: cascades::stranded(&session, &settings.mapping)
            .map_err(|broken| broken.failure("reading the foreign keys").message),
        types: types(&session, settings),
    })
}

/// Nothing can be written, and what policies hide is left out: whether they hide anything is asked by who goes by the rows.
fn looking(limit: Duration) -> Reading {
    Reading { limit, reads: Reads::ReadOnly, row_security: RowSecurity::Accept }
}

fn read_only(who: &Row) -> Result<Option<String>, postgres::Error> {
    let is_standby: bool = who.try_get(4)?;
    let default: String = who.try_get(5)?;
    Ok(match (is_standby, default.as_str()) {
        (true, _) => Some("the server is a standby".to_owned()),
        (false, "on") => Some("default_transaction_read_only is on".to_owned()),
        (false, _) => None,
    })
}

/// A FROM clause has no rights: they stay unknown.
fn rights(session: &Session, table: MappedTable) -> Result<Rights, Broken> {
    let MappedTable { name, is_pruned, expressions } = table;
    let sql = "SELECT has_table_privilege(to_regclass(n), 'SELECT'), has_table_privilege(to_regclass(n), 'DELETE'), to_regclass(n) IS NULL \
               FROM unnest($1) AS n";
    let mut known = Rights {
        table: name.clone(),
        is_missing: false,
        closed_schema: closed_schema(session, &name)?,
        select: None,
        delete: None,
    };
    if known.closed_schema.is_some() {
        return Ok(known);
    }
    let rows = unless_refused(session.ask(sql, &[vec![name.clone()]]))?;
    if let Some(row) = rows.as_ref().and_then(|rows| rows.first()) {
        known.select = row.try_get(0)?;
        known.delete = row.try_get(1)?;
        known.is_missing = is_pruned && row.try_get(2)?;
    }
    known.delete = known.delete.filter(|_| is_pruned);
    if known.select == Some(false) {
        let sql = format!("SELECT ({}) FROM {name} LIMIT 0", expressions.join("), ("));
        known.select = Some(unless_refused(session.ask(&sql, &[]))?.is_some());
    }
    Ok(known)
}

/// The schema of the table if this user has no USAGE of it: PostgreSQL then says that the table does not exist.
fn closed_schema(session: &Session, table: &str) -> Result<Option<String>, Broken> {
    let sql = "SELECT quote_ident(s.nspname) FROM unnest($1) AS n, \
               LATERAL (SELECT parse_ident(n) AS parts) AS named \
               JOIN pg_catalog.pg_namespace s ON NOT has_schema_privilege(s.oid, 'USAGE') \
               WHERE s.nspname = parts[array_length(parts, 1) - 1] OR array_length(parts, 1) = 1 \
               AND s.nspname = ANY (SELECT trim(both ' \"' FROM entry) FROM unnest(string_to_array(replace( \
               current_setting('search_path'), '\"$user\"', current_user), ',')) AS entry) \
               AND to_regclass(n) IS NULL \
               AND EXISTS (SELECT 1 FROM pg_catalog.pg_class c WHERE c.relnamespace = s.oid AND c.relname = parts[1])";
    let rows = unless_refused(session.ask(sql, &[vec![table.to_owned()]]))?.unwrap_or_default();
    Ok(rows.first().map(|row| row.try_get(0)).transpose()?)
}

/// As reports read it.
fn read_as(column: Column) -> Column {
    let kind = match column.name.as_str() {
        "processing_time" | "wait_time" => "float8",
        "retry_count" => "int8",
        _ => return column,
    };
    let expression = format!("({})::{kind}", column.expression);
    column.read_as(expression)
}

/// The types of what no report reads; without those that cannot be read, which the mapping's own check reports.
fn types(session: &Session, settings: &StoreSettings) -> Vec<(String, String)> {
    let table = &settings.mapping.tasks;
    let type_of = |column: &Column| {
        let sql = format!(
            "SELECT pg_typeof(t.c)::text FROM (VALUES (1)) AS one(row) LEFT JOIN (SELECT ({}) AS c FROM {} LIMIT 0) AS t ON true",
            column.expression, table.from
        );
        let rows = session.ask(&sql, &[]).ok()?;
        Some((column.name.clone(), rows.first()?.try_get(0).ok()?))
    };
    unread_columns(table).iter().filter_map(type_of).collect()
}

/// The expression that cleanup failed on, if it is one's fault alone. Uses a connection of its own, since the run's may be within a transaction.
pub fn blame(
    target: &PostgresTarget,
    mapping: &Mapping,
    asked_to_end: &Arc<AtomicBool>,
) -> Option<Failure> {
    let session = Session::open(target, looking(BLAME_LIMIT), asked_to_end).ok()?;
    find_culprit(mapping, &mut |sql| session.try_query(sql))
}

fn labels(
    session: &Session,
    settings: &StoreSettings,
) -> Result<Vec<(Option<String>, u64)>, String> {
    let table = &settings.mapping.tasks;
    let sql = format!(
        "SELECT {}, count(*) FROM {} GROUP BY 1 ORDER BY 2 DESC, 1",
        cut(&table.status, LONGEST_LABEL),
        table.from
    );
    let answer = session.ask(&sql, &[]);
    let rows = answer.map_err(|broken| broken.failure("counting tasks by status").message)?;
    let read = |row: &Row| Ok((text(row, 0)?, row.try_get::<_, i64>(1)?.unsigned_abs()));
    let counts: Result<Vec<_>, postgres::Error> = rows.iter().map(read).collect();
    counts.map_err(|error| error.to_string())
}
