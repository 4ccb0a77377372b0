//! Keys and paths in PostgreSQL's rows.

use crate::store::prune::Key;
use postgres::Row;
use postgres::types::{FromSql, Type};
use std::error::Error;

/// The bytes of a text, which need not be valid in its encoding.
pub struct Raw(pub Vec<u8>);

impl<'a> FromSql<'a> for Raw {
    fn from_sql(_: &Type, raw: &'a [u8]) -> Result<Self, Box<dyn Error + Sync + Send>> {
        Ok(Raw(raw.to_vec()))
    }

    fn accepts(found: &Type) -> bool {
        matches!(*found, Type::TEXT | Type::VARCHAR | Type::BPCHAR)
    }
}

/// The keys as they are bound: one list a column.
pub fn columns<'a>(keys: impl IntoIterator<Item = &'a Key>, width: usize) -> Vec<Vec<String>> {
    let mut columns = vec![Vec::new(); width];
    for key in keys {
        for (column, value) in columns.iter_mut().zip(key) {
            column.push(value.clone());
        }
    }
    columns
}

pub fn read_key(row: &Row, width: usize) -> Result<Key, postgres::Error> {
    (0..width).map(|place| row.try_get(place)).collect()
}

/// The same of rows that may lack a part of it: these have a key that no other row has.
pub fn read_key_or_none(row: &Row, width: usize) -> Result<Key, postgres::Error> {
    let parts: Result<Option<Key>, _> = (0..width).map(|place| row.try_get(place)).collect();
    Ok(parts?.unwrap_or_default())
}

/// The paths in the columns from `first` on that are there and not empty.
pub fn read_paths(row: &Row, first: usize) -> Result<Vec<Vec<u8>>, postgres::Error> {
    let mut paths = Vec::new();
    for place in first..row.len() {
        if let Some(Raw(path)) = row.try_get::<_, Option<Raw>>(place)?
            && !path.is_empty()
        {
            paths.push(path);
        }
    }
    Ok(paths)
}

/// Tasks' keys and the links that they have.
pub fn read_links(rows: &[Row], width: usize) -> Result<Vec<(String, Key)>, postgres::Error> {
    rows.iter().map(|row| Ok((row.try_get(width)?, read_key_or_none(row, width)?))).collect()
}
