//! The catalogue of a PostgreSQL database, and rows of some of its tables.

use super::connect::target::PostgresTarget;
use super::session::{Broken, Reading, Session, unless_refused};
use super::text::{cut, text};
use crate::store::RowSecurity;
use crate::store::catalogue::{
    Catalogue, Column, Dialect, LONGEST_SAMPLE, MOST_COLUMNS, Sample, Table, sample_statement,
};
use crate::store::prune::Reads;
use anyhow::Result;
use postgres::Row;
use std::sync::Arc;
use std::time::Duration;

/// Every column of every table, those of a table together. Partitions are seen in their parents.
const COLUMNS: &str = "SELECT n.nspname::text, c.relname::text, quote_ident(n.nspname), quote_ident(c.relname), c.relkind IN ('v', 'm'), \
    pg_catalog.pg_table_is_visible(c.oid), a.attname::text, quote_ident(a.attname), format_type(a.atttypid, NULL), \
    coalesce((SELECT array_agg(e.enumlabel::text ORDER BY e.enumsortorder) FROM pg_catalog.pg_enum e WHERE e.enumtypid = a.atttypid), '{}'), \
    coalesce(a.attnum = ANY (i.indkey::int2[]), false), \
    coalesce((SELECT string_agg(pg_get_constraintdef(k.oid), ' ') FROM pg_catalog.pg_constraint k WHERE k.conrelid = c.oid AND k.contype = 'c'), ''), \
    coalesce((SELECT array_agg(DISTINCT k.conrelid::regclass::text) FROM pg_catalog.pg_constraint k \
      WHERE k.confrelid = c.oid AND k.contype = 'f' AND k.confdeltype <> 'c'), '{}') \
    FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace \
    JOIN pg_catalog.pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped \
    LEFT JOIN pg_catalog.pg_index i ON i.indrelid = c.oid AND i.indisprimary \
    WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f') AND NOT c.relispartition \
    AND n.nspname <> 'information_schema' AND n.nspname NOT LIKE 'pg\\_%' AND has_schema_privilege(n.oid, 'USAGE') \
    ORDER BY n.nspname, c.relname, a.attnum LIMIT ";

pub fn catalogue(target: &PostgresTarget, limit: Duration) -> Result<Catalogue> {
    let session = open(target, limit)?;
    let doing = "reading the catalogue";
    let rows = session
        .ask(&format!("{COLUMNS}{MOST_COLUMNS}"), &[])
        .map_err(|broken| broken.failure(doing))?;
    let mut tables: Vec<Table> = Vec::new();
    for row in &rows {
        add(&mut tables, row).map_err(|error| Broken::Server(error).failure(doing))?;
    }
    Ok(Catalogue { dialect: Dialect::Postgres, tables })
}

fn add(tables: &mut Vec<Table>, row: &Row) -> Result<(), postgres::Error> {
    let (schema, name): (String, String) = (row.try_get(0)?, row.try_get(1)?);
    let known = tables.last().is_some_and(|last| last.schema == schema && last.name == name);
    if !known {
        let (prefix, bare): (String, String) = (row.try_get(2)?, row.try_get(3)?);
        let prefix = if row.try_get(5)? { None } else { Some(prefix) };
        let expression = prefix.as_ref().map_or(bare.clone(), |prefix| format!("{prefix}.{bare}"));
        tables.push(Table {
            schema,
            name,
            expression,
            prefix,
            is_view: row.try_get(4)?,
            checks: row.try_get(11)?,
            held_by: row.try_get(12)?,
            ..Table::default()
        });
    }
    if let Some(table) = tables.last_mut() {
        let name: String = row.try_get(6)?;
        if row.try_get(10)? {
            table.key.push(name.clone());
        }
        table.columns.push(Column {
            name,
            expression: row.try_get(7)?,
            kind: row.try_get::<_, String>(8)?.to_lowercase(),
            labels: row.try_get(9)?,
        });
    }
    Ok(())
}

/// Rows of each table; none of one that cannot be read.
pub fn samples(target: &PostgresTarget, limit: Duration, tables: &[&Table]) -> Result<Vec<Sample>> {
    let session = open(target, limit)?;
    let sample = |table: &&Table| -> Result<Sample, Broken> {
        let sql = sample_statement(table, &|column| cut(column, LONGEST_SAMPLE));
        let rows = unless_refused(session.ask(&sql, &[]))?.unwrap_or_default();
        let read = |row: &Row| (0..row.len()).map(|place| text(row, place)).collect();
        Ok(rows.iter().map(read).collect::<Result<_, postgres::Error>>()?)
    };
    let samples: Result<_, Broken> = tables.iter().map(sample).collect();
    Ok(samples.map_err(|broken| broken.failure("looking at rows"))?)
}

fn open(target: &PostgresTarget, limit: Duration) -> Result<Session> {
    let reading = Reading { limit, reads: Reads::ReadOnly, row_security: RowSecurity::Accept };
    Session::open(target, reading, &Arc::default())
}
