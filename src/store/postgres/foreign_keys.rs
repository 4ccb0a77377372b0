//! The foreign keys that the server looks through for every row that is deleted.

use super::session::{Broken, Session};
use crate::store::prune::indexes::WantedIndex;
use std::collections::BTreeSet;

/// The columns of those that refer to these tables, or to rows that a cascade takes along, and that no index leads to.
///
/// A partial index serves where it leaves out nothing but NULL.
pub fn unindexed<'t>(
    session: &Session,
    tables: impl Iterator<Item = &'t str>,
) -> Result<Vec<WantedIndex>, Broken> {
    let mut waiting: Vec<String> = tables.map(str::to_owned).collect();
    let mut known: BTreeSet<String> = waiting.iter().cloned().collect();
    let mut wanted = Vec::new();
    while let Some(table) = waiting.pop() {
        for row in session.ask(REFERRING, &[vec![table]])? {
            let from: String = row.try_get(0)?;
            if row.try_get(2)? && known.insert(from.clone()) {
                waiting.push(from.clone());
            }
            if !row.try_get::<_, bool>(3)? {
                wanted.push(WantedIndex { from, columns: row.try_get(1)? });
            }
        }
    }
    Ok(wanted)
}

/// Table, columns, whether it cascades, whether there is an index.
const REFERRING: &str = "SELECT con.conrelid::regclass::text, \
    ARRAY(SELECT quote_ident(a.attname) FROM unnest(con.conkey) WITH ORDINALITY AS k(attnum, place) \
        JOIN pg_catalog.pg_attribute a ON a.attrelid = con.conrelid AND a.attnum = k.attnum ORDER BY k.place), \
    con.confdeltype = 'c', \
    EXISTS (SELECT 1 FROM pg_catalog.pg_index i JOIN pg_catalog.pg_attribute a ON a.attrelid = con.conrelid AND a.attnum = i.indkey[0] \
        WHERE i.indrelid = con.conrelid AND i.indisvalid AND i.indkey[0] = ANY (con.conkey) \
        AND (i.indpred IS NULL OR pg_get_expr(i.indpred, i.indrelid) = format('(%I IS NOT NULL)', a.attname))) \
    FROM unnest($1) AS n JOIN pg_catalog.pg_constraint con ON con.confrelid = to_regclass(n) \
    WHERE con.contype = 'f' AND con.conparentid = 0";
