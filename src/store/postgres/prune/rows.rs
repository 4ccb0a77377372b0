//! Keys and paths in PostgreSQL's rows.

use super::super::text::Raw;
use crate::store::prune::{Key, StoredPath};
use postgres::Row;

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
    (0..width).map(|place| Ok(row.try_get::<_, Raw>(place)?.lossy())).collect()
}

/// The same of rows that may lack a part of it, or have one that is no text: `None`, they have no usable key.
pub fn read_key_or_none(row: &Row, width: usize) -> Result<Option<Key>, postgres::Error> {
    let parts: Result<Vec<Option<Raw>>, _> = (0..width).map(|place| row.try_get(place)).collect();
    Ok(parts?.into_iter().map(|part| part?.valid()).collect())
}

/// The paths in the columns from `first` on that are there and not empty.
pub fn read_paths(row: &Row, first: usize) -> Result<Vec<StoredPath>, postgres::Error> {
    let mut paths = Vec::new();
    each_path(row, first, |path| paths.push(path.to_vec()))?;
    Ok(paths)
}

/// The same, one by one.
pub fn each_path(
    row: &Row,
    first: usize,
    mut each: impl FnMut(&[u8]),
) -> Result<(), postgres::Error> {
    for place in first..row.len() {
        if let Some(Raw(path)) = row.try_get::<_, Option<Raw>>(place)?
            && !path.is_empty()
        {
            each(path);
        }
    }
    Ok(())
}

/// Tasks' keys and the links that they have.
pub fn read_links(rows: &[Row], width: usize) -> Result<Vec<(String, Key)>, postgres::Error> {
    // One without a usable key has one that no other row has.
    let read =
        |row: &Row| Ok((row.try_get(width)?, read_key_or_none(row, width)?.unwrap_or_default()));
    rows.iter().map(read).collect()
}
