//! Figures by queue and by name. Which of them are listed, a statement says: there may be as many as tasks.

use super::connection::read_rows;
use super::report::Report;
use crate::mapping::Field;
use crate::store::{GROUPED_BY, Grouped, Groups, MOST_GROUPS};
use rusqlite::params_from_iter;
use rusqlite::types::{Value, ValueRef};
use std::collections::HashMap;

/// What is counted of each label of a field, and of all that are not listed.
pub struct Sorted<T> {
    pub field: Field,
    /// Of labels in [`Sorted::listed`].
    places: HashMap<Vec<u8>, usize>,
    /// The same of what has no label.
    bare: Option<usize>,
    listed: Vec<(Option<String>, Option<T>)>,
    other: Option<T>,
}

impl<T: Default> Sorted<T> {
    /// What is counted of a row's label.
    pub fn at(&mut self, label: ValueRef) -> &mut T {
        let place = match label {
            ValueRef::Text(bytes) => self.places.get(bytes).copied(),
            _ => self.bare,
        };
        let figures = match place {
            Some(place) => &mut self.listed[place].1,
            None => &mut self.other,
        };
        figures.get_or_insert_default()
    }
}

impl Report<'_> {
    /// Nothing counted yet for the labels of the tasks that a condition lets through. Those are listed that were asked for, then the largest:
    /// by `size`, an aggregate, then by their tasks.
    pub fn sorted<T>(
        &self,
        condition: &str,
        values: &[Value],
        size: &str,
    ) -> rusqlite::Result<Vec<Sorted<T>>> {
        let fields = GROUPED_BY.into_iter().filter(|field| self.fields.has(*field));
        let sorted = fields.map(|field| self.sorted_by(field, condition, values.to_vec(), size));
        sorted.collect()
    }

    fn sorted_by<T>(
        &self,
        field: Field,
        condition: &str,
        mut values: Vec<Value>,
        size: &str,
    ) -> rusqlite::Result<Sorted<T>> {
        let first = self.request.listed_first.of(field).iter().map(|label| {
            values.push(Value::Text(label.clone()));
            format!("?{}", values.len())
        });
        let first = first.collect::<Vec<_>>().join(", ");
        let sql = format!(
            "SELECT CAST(t.{field} AS TEXT) AS called FROM {} WHERE {condition} GROUP BY 1 \
             ORDER BY called IS NULL DESC, called IN ({first}) DESC, {size} DESC, count(*) DESC, called LIMIT {MOST_GROUPS}",
            self.source,
            field = field.name(),
        );
        let labels: Vec<Option<Vec<u8>>> =
            read_rows(self.connection, &sql, params_from_iter(&values), |row| {
                Ok(match row.get_ref(0)? {
                    ValueRef::Text(bytes) => Some(bytes.to_vec()),
                    _ => None,
                })
            })?;
        let shown = |bytes: &Vec<u8>| String::from_utf8_lossy(bytes).into_owned();
        Ok(Sorted {
            field,
            bare: labels.iter().position(Option::is_none),
            listed: labels.iter().map(|label| (label.as_ref().map(shown), None)).collect(),
            places: labels
                .into_iter()
                .zip(0..)
                .filter_map(|(label, at)| Some((label?, at)))
                .collect(),
            other: None,
        })
    }

    /// The labels as columns, each with a comma before it.
    pub fn labels<T>(&self, sorted: &[Sorted<T>]) -> String {
        let fields = sorted.iter().map(|sorted| sorted.field.name());
        fields.map(|name| format!(", CAST(t.{name} AS TEXT)")).collect()
    }
}

/// What was counted, the largest first.
pub fn grouped<T, G>(
    sorted: Vec<Sorted<T>>,
    finish: impl Fn(T) -> G,
    size: impl Fn(&G) -> u64,
) -> Grouped<G> {
    let mut grouped = Grouped::default();
    for Sorted { field, listed, other, .. } in sorted {
        let listed = listed.into_iter().filter_map(|(label, figures)| Some((label, figures?)));
        let listed = listed.map(|(label, figures)| (label, finish(figures))).collect();
        let mut groups = Groups { listed, other: other.map(&finish) };
        groups.sort(&size);
        *grouped.of(field) = Some(groups);
    }
    grouped
}
