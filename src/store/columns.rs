//! The expressions of a mapping, by their names in the configuration, and whether a database can compute them.

use super::refusal::{Refusal, mismatch, uncomputable};
use crate::mapping::{DependentTable, Field, ReceiptTable, TaskTable};
use crate::outcome::{Failure, Kind};

/// An expression of the mapping and its name in the configuration: `completed_at`, `files[2]`.
#[derive(Debug, Clone)]
pub struct Column {
    pub name: String,
    pub expression: String,
    /// As it is written in the configuration.
    pub shown: String,
}

impl Column {
    /// Read in another form.
    pub fn read_as(self, expression: String) -> Self {
        Self { expression, ..self }
    }
}

fn column(name: impl Into<String>, expression: &str) -> Column {
    Column { name: name.into(), expression: expression.to_owned(), shown: expression.to_owned() }
}

pub fn numbered<'a>(name: &'a str, expressions: &'a [String]) -> impl Iterator<Item = Column> + 'a {
    let numbered = expressions.iter().enumerate();
    numbered.map(move |(place, expression)| column(format!("{name}[{}]", place + 1), expression))
}

/// Every expression that the mapping has for tasks: whoever deletes must understand the whole table.
pub fn task_columns(table: &TaskTable) -> Vec<Column> {
    let fields =
        Field::ALL.into_iter().filter_map(|field| Some(column(field.name(), table.field(field)?)));
    let others = [("link", &table.link), ("guard", &table.guard)];
    let others = others
        .into_iter()
        .filter_map(|(name, expression)| Some(column(name, expression.as_ref()?)));
    numbered("key", &table.key)
        .chain(fields)
        .chain(others)
        .chain(numbered("files", &table.files))
        .collect()
}

/// The expressions for tasks that no report reads.
pub fn unread_columns(table: &TaskTable) -> Vec<Column> {
    let is_read = |column: &Column| {
        let mut fields = Field::ALL.into_iter();
        fields.any(|field| field.name() == column.name)
    };
    let columns = task_columns(table).into_iter();
    columns.filter(|column| !is_read(column)).collect()
}

pub fn receipt_columns(table: &ReceiptTable) -> Vec<Column> {
    let others = [column("created_at", &table.created_at), column("link", &table.link)];
    numbered("key", &table.key).chain(others).chain(numbered("files", &table.files)).collect()
}

pub fn dependent_columns(table: &DependentTable) -> Vec<Column> {
    let key = std::iter::once(column("foreign_key", &table.foreign_key));
    key.chain(numbered("files", &table.files)).collect()
}

/// Looks whether a table has every one of these columns, and whether each can be computed for a row: an aggregate cannot.
///
/// # Errors
/// The table or the first column that is missing, or an expression that fails, under its key in the configuration.
pub fn require(
    section: &str,
    from: &str,
    columns: &[Column],
    try_query: &mut dyn FnMut(&str) -> Result<(), Refusal>,
) -> Result<(), Failure> {
    let computed = |column: &Column| format!("({}) IS NULL", column.expression);
    let mut try_rows =
        |condition: &str| try_query(&format!("SELECT 1 FROM {from} WHERE {condition} LIMIT 0"));
    let all: Vec<String> = columns.iter().map(computed).collect();
    match try_rows(&all.join(" AND ")) {
        Ok(()) => return Ok(()),
        // A search for the culprit would find the next error.
        Err(Refusal::Failed(failure)) if failure.kind != Kind::StatementTimeout => {
            return Err(failure);
        }
        Err(_) => {}
    }
    try_rows("1 = 1").map_err(|refusal| refusal.of_table(section, from))?;
    columns.iter().try_for_each(|column| {
        try_rows(&computed(column))
            .map_err(|refusal| refusal.of_column(section, from, &column.name, &column.expression))
    })
}

/// Looks whether the table that rows are deleted from has the key by which they are chosen.
///
/// # Errors
/// The table, or the first column of the key, that is missing.
pub fn require_key(
    table: &TaskTable,
    try_query: &mut dyn FnMut(&str) -> Result<(), Refusal>,
) -> Result<(), Failure> {
    let Some(delete_from) = &table.delete_from else {
        return Ok(());
    };
    let mut try_select =
        |entry: &str| try_query(&format!("SELECT {entry} FROM {delete_from} LIMIT 0"));
    try_select("1").map_err(|refusal| {
        refusal.into_failure(|words| {
            format!("database.tasks.delete_from: \"{delete_from}\" cannot be deleted from: {words}")
        })
    })?;
    numbered("key", &table.key).try_for_each(|Column { name, expression, .. }| {
        try_select(&format!("({expression})")).map_err(|refusal| {
            refusal.into_failure(|words| {
                format!("database.tasks.{name}: \"{delete_from}\", which rows are deleted from, has no \"{expression}\": {words}")
            })
        })
    })
}

/// What came of computing expressions on rows that there are.
#[derive(Default)]
pub struct Computed {
    /// Those that fail.
    pub failed: Vec<Failure>,
    /// Why the rest was not tried.
    pub ended: Option<Failure>,
}

/// Computes the expressions on all rows, or on so many at most.
pub fn compute(
    section: &str,
    from: &str,
    columns: &[Column],
    rows: Option<usize>,
    try_query: &mut dyn FnMut(&str) -> Result<(), Refusal>,
) -> Computed {
    let limit = rows.map_or(String::new(), |rows| format!(" LIMIT {rows}"));
    let mut compute = |columns: &[Column]| {
        let (mut counts, mut entries) = (Vec::new(), Vec::new());
        for (place, column) in columns.iter().enumerate() {
            counts.push(format!("count(t.c{place})"));
            entries.push(format!("({}) AS c{place}", column.expression));
        }
        let (counts, entries) = (counts.join(", "), entries.join(", "));
        try_query(&format!("SELECT {counts} FROM (SELECT {entries} FROM {from}{limit}) AS t"))
    };
    let mut computed = Computed::default();
    match compute(columns) {
        Ok(()) => return computed,
        // Each for itself would take as long again.
        Err(Refusal::Failed(failure)) => return Computed { ended: Some(failure), ..computed },
        Err(_) => {}
    }
    for column in columns {
        match compute(std::slice::from_ref(column)) {
            Err(Refusal::BadExpression(words)) => {
                let message = uncomputable(section, &column.name, &column.shown, &words);
                computed.failed.push(mismatch(message));
            }
            Err(Refusal::Failed(failure)) => return Computed { ended: Some(failure), ..computed },
            // What is missing is said of the mapping before.
            Err(Refusal::MissingColumn(_) | Refusal::MissingTable(_)) | Ok(()) => {}
        }
    }
    computed
}
