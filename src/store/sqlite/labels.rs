//! The status labels of a table: which occur, and a number for each while rows are counted.

use crate::mapping::TaskTable;
use crate::store::fields::Fields;
use rusqlite::Connection;
use rusqlite::types::ValueRef;

/// With more labels than this, going through them one by one would not pay.
const MOST_LABELS: usize = 100;

/// The status labels that occur, found by leaps through an index on (status, time); `None` where there is none.
pub fn occurring(
    connection: &Connection,
    table: &TaskTable,
    fields: &Fields,
) -> rusqlite::Result<Option<Vec<String>>> {
    let time = table.field(fields.counted_by).unwrap_or_default();
    let is_indexed: bool = connection.query_row(
        "SELECT EXISTS (SELECT 1 FROM pragma_index_list(?1) AS l \
         JOIN pragma_index_info(l.name) AS first ON first.seqno = 0 AND first.name = ?2 COLLATE NOCASE \
         JOIN pragma_index_info(l.name) AS second ON second.seqno = 1 AND second.name = ?3 COLLATE NOCASE \
         WHERE l.partial = 0)",
        [&table.from, &table.status, time],
        |row| row.get(0),
    )?;
    if !is_indexed {
        return Ok(None);
    }
    let sql = format!(
        "WITH RECURSIVE label(value) AS (SELECT min({status}) FROM {from} UNION ALL \
         SELECT (SELECT min({status}) FROM {from} WHERE {status} > label.value) FROM label WHERE label.value IS NOT NULL) \
         SELECT value FROM label WHERE value IS NOT NULL LIMIT {}",
        MOST_LABELS + 1,
        status = table.status,
        from = table.from,
    );
    let mut statement = connection.prepare(&sql)?;
    let mut rows = statement.query([])?;
    let mut labels = Vec::new();
    while let Some(row) = rows.next()? {
        match row.get_ref(0)? {
            ValueRef::Text(bytes) => match std::str::from_utf8(bytes) {
                Ok(label) => labels.push(label.to_owned()),
                Err(_) => return Ok(None),
            },
            _ => return Ok(None), // numbers: compared as text, by the other way
        }
    }
    Ok((labels.len() <= MOST_LABELS).then_some(labels))
}

/// Status labels by number, so that a row costs a comparison and no copy.
#[derive(Default)]
pub struct Labels {
    known: Vec<Option<String>>,
}

impl Labels {
    pub fn place(&mut self, value: ValueRef) -> usize {
        let bytes = match value {
            ValueRef::Text(bytes) => Some(bytes),
            _ => None,
        };
        let known =
            self.known.iter().position(|label| label.as_deref().map(str::as_bytes) == bytes);
        known.unwrap_or_else(|| {
            let label = bytes.map(|bytes| String::from_utf8_lossy(bytes).into_owned());
            self.known.push(label);
            self.known.len() - 1
        })
    }

    pub fn label(&self, place: usize) -> Option<String> {
        self.known.get(place).cloned().flatten()
    }
}
