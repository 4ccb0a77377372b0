//! The foreign keys by which SQLite deletes rows along with others, or cuts them off.

use super::connection::read_rows;
use super::quote::bare_name;
use crate::mapping::Mapping;
use crate::store::cascades::{OnDelete, Root, Stranded, roots, unknown};
use rusqlite::Connection;

/// The files that deletions would leave behind.
pub fn stranded(connection: &Connection, mapping: &Mapping) -> rusqlite::Result<Vec<Stranded>> {
    // A column without a type may hold a text.
    let sql = "WITH RECURSIVE referring AS (SELECT s.name AS child, lower(f.\"table\") AS parent, f.on_delete AS action \
               FROM sqlite_schema AS s JOIN pragma_foreign_key_list(s.name) AS f \
               WHERE s.type = 'table' AND f.on_delete IN ('CASCADE', 'SET NULL', 'SET DEFAULT')), \
               reached AS (SELECT lower(?1) AS name UNION \
               SELECT lower(r.child) FROM reached JOIN referring AS r ON r.parent = reached.name WHERE r.action = 'CASCADE') \
               SELECT DISTINCT r.child, c.name, r.action = 'CASCADE' FROM reached JOIN referring AS r ON r.parent = reached.name \
               JOIN pragma_table_info(r.child) AS c WHERE c.type = '' OR c.type LIKE '%CHAR%' OR c.type LIKE '%TEXT%' OR c.type LIKE '%CLOB%' \
               ORDER BY 1, c.cid";
    let mut found = Vec::new();
    for Root { table, section } in roots(mapping) {
        let read: Vec<Stranded> = read_rows(connection, sql, [bare_name(table)], |row| {
            let is_deleted: bool = row.get(2)?;
            Ok(Stranded {
                section,
                table: row.get(0)?,
                column: row.get(1)?,
                on_delete: if is_deleted { OnDelete::Cascade } else { OnDelete::SetNull },
            })
        })?;
        found.extend(read);
    }
    Ok(unknown(mapping, found))
}
