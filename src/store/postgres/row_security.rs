//! Whether rows may be hidden from the role: by policies, by views that are made to filter, by what a materialized view was filled with.
//!
//! A row that is not seen protects no file and is in no report. The server itself says whether policies filter a statement: with `row_security` off
//! it refuses such a statement, however deep in views, and whosever they are, a table lies. Which relations a statement reads is said by the locks
//! that planning it takes.

use super::answer::rows;
use super::bounded::Bounded;
use super::failure::{HIDDEN_ROWS_HINT, failure, is_filtered};
use super::session::Session;
use super::settings::{ROW_SECURITY, Settings};
use crate::mapping::TaskTable;
use crate::outcome::{Failure, Kind};
use crate::store::fields::{Fields, source};
use crate::store::inspect::sections;
use crate::store::{RowSecurity, StoreSettings};
use postgres::SimpleQueryMessage;
use std::collections::BTreeSet;

const ASKING: &str = "asking whether rows may be hidden";

/// A statement that is only planned, and the key of the configuration that it reads for: `tasks.from`.
struct Trial {
    key: String,
    sql: String,
}

impl Trial {
    fn new(key: &str, expressions: &str, from: &str) -> Self {
        Self { key: key.to_owned(), sql: format!("SELECT {expressions} FROM {from} LIMIT 0") }
    }
}

/// What a server answers to statements, or its error.
type Answer = Result<Vec<SimpleQueryMessage>, postgres::Error>;

/// Whether rows may be hidden from a cleanup, which reads every table of the mapping.
///
/// # Errors
/// The database went away.
pub fn of_cleanup(session: &Session, settings: &StoreSettings) -> Result<Option<Failure>, Failure> {
    if session.row_security() == RowSecurity::Accept {
        return Ok(None);
    }
    let mapping = &settings.mapping;
    let mut trials = Vec::new();
    for (section, from, columns) in sections(mapping) {
        let expressions: Vec<String> =
            columns.iter().map(|column| format!("({})", column.expression)).collect();
        trials.push(Trial::new(&format!("{section}.from"), &expressions.join(", "), from));
    }
    let deleted_from = mapping.tasks.delete_from.iter();
    trials.extend(deleted_from.map(|table| Trial::new("tasks.delete_from", "1", table)));
    find(&trials, &mut |sql| session.try_simple(sql))
}

/// Whether they may be hidden from a report, which reads the tasks.
///
/// # Errors
/// The server went silent.
pub fn of_report(
    bounded: &mut Bounded,
    table: &TaskTable,
    fields: &Fields,
) -> Result<Option<Failure>, Failure> {
    let trial = Trial::new("tasks.from", "*", &source(table, &fields.present, &[]));
    find(&[trial], &mut |sql| bounded.try_simple(sql))
}

fn find(
    trials: &[Trial],
    ask: &mut dyn FnMut(&str) -> Result<Answer, Failure>,
) -> Result<Option<Failure>, Failure> {
    let mut found = BTreeSet::new();
    let mut keys = Vec::new();
    for trial in trials {
        let hidden = hidden_by(trial, ask)?;
        if !hidden.is_empty() {
            keys.push(format!("database.{}", trial.key));
            found.extend(hidden);
        }
    }
    if keys.is_empty() {
        return Ok(None);
    }
    let found: Vec<String> = found.into_iter().collect();
    let message =
        format!("rows may be hidden from this role ({}): {}", keys.join(", "), found.join(", "));
    Ok(Some(Failure::new(Kind::RowSecurity, message).hint(HIDDEN_ROWS_HINT)))
}

/// What may hide rows from a statement, in words.
fn hidden_by(
    trial: &Trial,
    ask: &mut dyn FnMut(&str) -> Result<Answer, Failure>,
) -> Result<Vec<String>, Failure> {
    let Trial { key, sql } = trial;
    let relations = relations();
    let answer = match ask(&format!(
        "{}; {sql}; {relations}",
        Settings::of(ROW_SECURITY, "on").statement()
    ))? {
        Ok(answer) => answer,
        // The mapping does not fit, which is said elsewhere, or the server is one that has no policies.
        Err(error) if is_about_the_statement(&error) => {
            log::debug!("what database.{key} reads is not known: {error}");
            return Ok(Vec::new());
        }
        Err(error) => return Err(failure(&error, ASKING)),
    };
    let mut hidden = Vec::new();
    let mut with_policies = Vec::new();
    for row in rows(&answer).filter(|row| row.len() == 2) {
        let name = row.get(1).unwrap_or_default();
        match row.get(0) {
            Some("table") => with_policies.push(name.to_owned()),
            Some("barrier") => hidden.push(format!("{name} is a view with security_barrier")),
            _ => hidden.push(format!(
                "the materialized view {name} was filled with what its owner is shown"
            )),
        }
    }
    if !with_policies.is_empty() {
        match ask(&format!("{}; {sql}", Settings::of(ROW_SECURITY, "off").statement()))? {
            Ok(_) => {}
            Err(error) if error.as_db_error().is_some_and(is_filtered) => {
                hidden.push(format!("row level security applies to {}", with_policies.join(", ")));
            }
            Err(error) => return Err(failure(&error, ASKING)),
        }
    }
    Ok(hidden)
}

/// Whether an error would come again: a name, a right, a value or a feature is missing. A time limit or a deadlock says nothing about hidden rows.
fn is_about_the_statement(error: &postgres::Error) -> bool {
    let code = error.code().map_or("", |code| code.code());
    ["42", "22", "3F", "0A", "XX"].iter().any(|class| code.starts_with(class))
}

/// What there is to know of the relations that the transaction has locked so far: tables with policies, views that are made to filter, and
/// materialized views whose owner was not shown everything when they were filled.
fn relations() -> String {
    let barrier =
        "EXISTS (SELECT FROM unnest(c.reloptions) AS o WHERE o ~* '^security_barrier=(t|y|on|1)')";
    let invoker =
        "EXISTS (SELECT FROM unnest(v.reloptions) AS o WHERE o ~* '^security_invoker=(t|y|on|1)')";
    format!(
        "WITH RECURSIVE locked AS (SELECT DISTINCT c.oid, c.relkind, c.relowner, c.relrowsecurity, {barrier} AS is_barrier \
         FROM pg_catalog.pg_locks l JOIN pg_catalog.pg_class c ON c.oid = l.relation \
         WHERE l.pid = pg_backend_pid() AND l.locktype = 'relation' AND c.oid >= 16384), \
         beneath AS (SELECT oid AS filled, oid, relowner AS reader FROM locked WHERE relkind = 'm' \
         UNION SELECT b.filled, d.refobjid, CASE WHEN {invoker} THEN b.reader ELSE v.relowner END \
         FROM beneath b JOIN pg_catalog.pg_class v ON v.oid = b.oid AND v.relkind IN ('v', 'm') \
         JOIN pg_catalog.pg_rewrite r ON r.ev_class = v.oid \
         JOIN pg_catalog.pg_depend d ON d.classid = 'pg_catalog.pg_rewrite'::regclass AND d.objid = r.oid \
         AND d.refclassid = 'pg_catalog.pg_class'::regclass AND d.refobjid <> v.oid) \
         SELECT 'table', oid::regclass::text FROM locked WHERE relrowsecurity \
         UNION SELECT 'barrier', oid::regclass::text FROM locked WHERE is_barrier \
         UNION SELECT 'filled', b.filled::regclass::text FROM beneath b JOIN pg_catalog.pg_class c ON c.oid = b.oid \
         JOIN pg_catalog.pg_roles a ON a.oid = b.reader \
         WHERE {barrier} OR c.relrowsecurity AND NOT a.rolsuper AND NOT a.rolbypassrls \
         AND (c.relforcerowsecurity OR NOT pg_has_role(a.oid, c.relowner, 'USAGE')) \
         ORDER BY 1, 2"
    )
}
