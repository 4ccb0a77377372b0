//! The foreign keys by which PostgreSQL deletes rows along with others, or cuts them off.

use super::session::{Broken, Session, unless_refused};
use crate::mapping::Mapping;
use crate::store::cascades::{OnDelete, Root, Stranded, roots, unknown};

/// The files that deletions would leave behind.
///
/// # Errors
/// The database went away.
pub fn stranded(session: &Session, mapping: &Mapping) -> Result<Vec<Stranded>, Broken> {
    // A partition's own copy of a foreign key says nothing that the whole table's does not.
    let sql = "WITH RECURSIVE reached AS (\
               SELECT to_regclass(r.name)::oid AS child, 'c'::\"char\" AS action FROM unnest($1) AS r(name) \
               UNION SELECT f.conrelid, f.confdeltype FROM reached JOIN pg_catalog.pg_constraint f ON f.confrelid = reached.child \
               WHERE reached.action = 'c' AND f.contype = 'f' AND f.confdeltype IN ('c', 'n', 'd')), \
               referring AS (SELECT DISTINCT f.conrelid, f.confdeltype FROM reached JOIN pg_catalog.pg_constraint f ON f.confrelid = reached.child \
               WHERE reached.action = 'c' AND f.contype = 'f' AND f.confdeltype IN ('c', 'n', 'd')) \
               SELECT r.conrelid::regclass::text, a.attname::text, r.confdeltype = 'c' FROM referring r \
               JOIN pg_catalog.pg_class c ON c.oid = r.conrelid AND NOT c.relispartition \
               JOIN pg_catalog.pg_attribute a ON a.attrelid = r.conrelid AND a.attnum > 0 AND NOT a.attisdropped \
               JOIN pg_catalog.pg_type t ON t.oid = a.atttypid AND t.typcategory = 'S' ORDER BY 1, a.attnum";
    let mut found = Vec::new();
    for Root { table, section } in roots(mapping) {
        let asked = session.ask(sql, &[vec![table.to_owned()]]);
        for row in unless_refused(asked)?.unwrap_or_default() {
            let is_deleted: bool = row.try_get(2)?;
            found.push(Stranded {
                section,
                table: row.try_get(0)?,
                column: row.try_get(1)?,
                on_delete: if is_deleted { OnDelete::Cascade } else { OnDelete::SetNull },
            });
        }
    }
    Ok(unknown(mapping, found))
}
