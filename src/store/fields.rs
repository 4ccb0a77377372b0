//! The fields of a mapping that a table has, and the sub-select that names them.

use super::columns::{Column, numbered};
use super::refusal::{Refusal, mismatch};
use crate::mapping::{Field, TaskTable};
use crate::outcome::Failure;
use std::time::Duration;

/// The fields of a mapping, sorted by whether the table has them.
#[derive(Debug, Clone, PartialEq)]
pub struct Fields {
    pub present: Vec<Field>,
    pub missing: Vec<Field>,
    /// What says to which day a task belongs: its creation, else its last update.
    pub counted_by: Field,
}

impl Fields {
    pub fn has(&self, field: Field) -> bool {
        self.present.contains(&field)
    }

    /// Looks which fields the table has. `try_select` is given select-list entries and asks the database whether it could compute them.
    ///
    /// # Errors
    /// A table, key, label or status that is missing, no time to count by, an expression that fails.
    pub fn find(
        table: &TaskTable,
        try_select: &mut dyn FnMut(&str) -> Result<(), Refusal>,
    ) -> Result<Fields, Failure> {
        let mapped: Vec<Field> =
            Field::ALL.into_iter().filter(|field| table.field(*field).is_some()).collect();
        let mut missing = Vec::new();
        if try_select(&select_list(table, &mapped, &[])).is_err() {
            // Something is amiss: one trial each says what.
            try_select("1").map_err(|refusal| refusal.of_table("tasks", &table.from))?;
            let blame = |refusal: Refusal, name: &str, expression: &str| {
                refusal.of_column("tasks", &table.from, name, expression)
            };
            for Column { name, expression, .. } in numbered("key", &table.key) {
                try_select(&expression).map_err(|refusal| blame(refusal, &name, &expression))?;
            }
            for &field in &mapped {
                let expression = table.field(field).unwrap_or_default();
                match try_select(&format!("({expression})")) {
                    Err(Refusal::MissingColumn(_)) if is_optional(field) => missing.push(field),
                    tried => tried.map_err(|refusal| blame(refusal, field.name(), expression))?,
                }
            }
        }
        let present: Vec<Field> =
            mapped.into_iter().filter(|field| !missing.contains(field)).collect();
        let counted_by = [Field::CreatedAt, Field::UpdatedAt]
            .into_iter()
            .find(|field| present.contains(field))
            .ok_or_else(|| no_time(table))?;
        Ok(Fields { present, missing, counted_by })
    }
}

/// A report can do without these.
fn is_optional(field: Field) -> bool {
    !matches!(field, Field::Status | Field::Label)
}

/// The table with every present field under its own name, and the key's columns as `key_1`, `key_2` …
pub fn source(table: &TaskTable, present: &[Field], overlay: &[(Field, String)]) -> String {
    format!("(SELECT {} FROM {}) AS t", select_list(table, present, overlay), table.from)
}

fn select_list(table: &TaskTable, fields: &[Field], overlay: &[(Field, String)]) -> String {
    let entries = fields.iter().map(|field| {
        let overlaid = overlay.iter().find(|(name, _)| name == field);
        let expression = overlaid.map(|(_, expression)| expression.as_str());
        let expression = expression.or(table.field(*field)).unwrap_or_default();
        format!("({expression}) AS {}", field.name())
    });
    let keys = (1..).zip(&table.key).map(|(number, key)| format!("({key}) AS key_{number}"));
    entries.chain(keys).collect::<Vec<_>>().join(", ")
}

/// `key_1, key_2`: the order of rows that are equal otherwise.
pub fn key_order(table: &TaskTable) -> String {
    let names: Vec<String> = (1..=table.key.len()).map(|place| format!("key_{place}")).collect();
    names.join(", ")
}

/// A report that failed is not worth a long search for the field that is to blame: each, or all in SQLite, gets so long.
pub const BLAME_LIMIT: Duration = Duration::from_secs(30);

/// Whose fault it is that a report failed on the rows that there are: each field is computed for itself. `None`: no field's alone.
pub fn find_culprit(
    table: &TaskTable,
    present: &[Field],
    overlay: &[(Field, String)],
    try_rows: &mut dyn FnMut(&str) -> Result<(), Refusal>,
) -> Option<Failure> {
    present.iter().find_map(|field| {
        let source = source(table, &[*field], overlay);
        let refusal = try_rows(&format!("SELECT count(t.{}) FROM {source}", field.name())).err()?;
        let expression = table.field(*field).unwrap_or_default();
        match refusal {
            Refusal::Failed(_) => None,
            refusal => Some(refusal.of_column("tasks", &table.from, field.name(), expression)),
        }
    })
}

fn no_time(table: &TaskTable) -> Failure {
    mismatch(format!(
        "database.tasks.created_at: \"{}\" has neither a creation time nor an update time, so no task belongs to a day",
        table.from
    ))
}
