//! What a database's catalogue says of its tables, and rows of some of them, as plain data.

/// The tables and views that the user may look into, system tables left out.
#[derive(Debug, Clone, PartialEq)]
pub struct Catalogue {
    pub dialect: Dialect,
    pub tables: Vec<Table>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dialect {
    Postgres,
    Sqlite,
}

#[derive(Debug, Clone, Default, PartialEq)]
pub struct Table {
    pub schema: String,
    pub name: String,
    /// How a statement names it: quoted where it has to be, with its schema where the search path does not lead to it.
    pub expression: String,
    /// The schema as a statement names it; `None`: the search path leads to the table.
    pub prefix: Option<String>,
    pub is_view: bool,
    pub columns: Vec<Column>,
    /// The names of the primary key's columns.
    pub key: Vec<String>,
    /// The tables whose foreign keys would keep a row from being deleted, or would be changed by it.
    pub held_by: Vec<String>,
    /// The text of its check constraints; of a SQLite table that of the whole definition.
    pub checks: String,
}

#[derive(Debug, Clone, Default, PartialEq)]
pub struct Column {
    pub name: String,
    /// How a statement names it.
    pub expression: String,
    /// The type as the database calls it, in lower case.
    pub kind: String,
    /// The labels of an enum, in its order.
    pub labels: Vec<String>,
}

impl Table {
    pub fn column(&self, name: &str) -> Option<&Column> {
        self.columns.iter().find(|column| column.name == name)
    }
}

/// Some rows of a table: the text of each column, cut to [`LONGEST_SAMPLE`] characters.
pub type Sample = Vec<Vec<Option<String>>>;

/// How many rows of either end of a table are looked at.
pub const SAMPLED_ROWS: usize = 500;

/// How many characters of a value are looked at.
pub const LONGEST_SAMPLE: usize = 200;

/// How many columns of tables are read from the catalogue: no more than a person would choose from.
pub const MOST_COLUMNS: usize = 50_000;

/// A statement for the rows of either end of a table, each once. `cut` makes the text of a column.
pub fn sample_statement(table: &Table, cut: &dyn Fn(&str) -> String) -> String {
    let columns: Vec<String> = table.columns.iter().map(|column| cut(&column.expression)).collect();
    let (columns, from) = (columns.join(", "), &table.expression);
    let first =
        format!("SELECT * FROM (SELECT {columns} FROM {from} LIMIT {SAMPLED_ROWS}) AS first");
    match table.key.as_slice() {
        // Its index leads to the newest rows: the labels of tasks that have not ended.
        [key] => match table.column(key) {
            Some(key) => format!(
                "{first} UNION SELECT * FROM (SELECT {columns} FROM {from} ORDER BY {} DESC LIMIT {SAMPLED_ROWS}) AS last",
                key.expression
            ),
            None => first,
        },
        _ => first,
    }
}
