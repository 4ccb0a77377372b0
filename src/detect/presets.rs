//! Which presets fit: what one needs is read from the preset itself.

use crate::mapping::{Field, PRESETS, ReceiptTable, TaskTable, preset};
use crate::store::catalogue::{Catalogue, Dialect, Table};
use std::collections::BTreeSet;
use toml::Value;

/// A preset whose tables and columns are there.
#[derive(Debug, Clone, PartialEq)]
pub struct Fit {
    pub preset: &'static str,
    /// The table of the tasks, as a statement names it.
    pub table: String,
    /// What a configuration has to say besides the preset's name, under `[database]`: tables of a schema that the search path does not lead to, columns
    /// that an older version of the application does not have.
    pub overrides: toml::Table,
    /// The fields whose columns are missing.
    pub missing: Vec<Field>,
}

/// At most one column in so many may be missing: versions of an application differ by a few.
const MISSING_IN: usize = 4;

/// Every preset that fits, in each schema where it does.
pub fn fits(catalogue: &Catalogue) -> Vec<Fit> {
    PRESETS.iter().flat_map(|(name, text)| fits_of(name, text, catalogue)).collect()
}

fn fits_of(name: &'static str, text: &str, catalogue: &Catalogue) -> Vec<Fit> {
    if catalogue.dialect == Dialect::Sqlite && preset::is_postgres_only(name) {
        return Vec::new();
    }
    let Ok(sections) = text.parse::<toml::Table>() else {
        return Vec::new();
    };
    let tasks = sections.get("tasks").cloned().and_then(|tasks| tasks.try_into().ok());
    let Some(tasks): Option<TaskTable> = tasks else {
        return Vec::new();
    };
    let tasks = if catalogue.dialect == Dialect::Sqlite { tasks.on_sqlite() } else { tasks };
    let receipts = sections.get("receipts").cloned();
    let receipts: Option<ReceiptTable> = receipts.and_then(|receipts| receipts.try_into().ok());
    let receipts = receipts.filter(|receipts| receipts.enabled);
    let Some(first) = table_names(&tasks.from).into_iter().next() else {
        return Vec::new();
    };
    let named = catalogue.tables.iter().filter(|table| table.name == bare(&first));
    named
        .filter_map(|main| {
            let schema = Schema { catalogue, main };
            let missing = schema.missing(&tasks, receipts.as_ref())?;
            let mut overrides = if schema.is_as_written(&first) {
                toml::Table::new()
            } else {
                schema.overrides(&sections)
            };
            if !missing.is_empty() {
                let tasks = overrides.entry("tasks").or_insert_with(|| toml::Table::new().into());
                let absent = missing.iter().map(|field| (field.name().to_owned(), "".into()));
                tasks.as_table_mut()?.extend(absent);
            }
            Some(Fit { preset: name, table: main.expression.clone(), overrides, missing })
        })
        .collect()
}

/// The schema in which a preset's tables are looked for.
struct Schema<'a> {
    catalogue: &'a Catalogue,
    main: &'a Table,
}

impl Schema<'_> {
    fn table(&self, name: &str) -> Option<&Table> {
        let mut tables = self.catalogue.tables.iter();
        tables.find(|table| table.schema == self.main.schema && table.name == bare(name))
    }

    /// Whether a table is found where the preset's own text looks for it.
    fn is_as_written(&self, written: &str) -> bool {
        match written.rsplit_once('.') {
            Some((schema, _)) => schema == self.main.schema,
            None => self.main.prefix.is_none(),
        }
    }

    /// The fields whose columns are missing; `None`: it is not the preset's application.
    fn missing(&self, tasks: &TaskTable, receipts: Option<&ReceiptTable>) -> Option<Vec<Field>> {
        let mut columns = words_after(&tasks.from, &["as"]);
        for name in table_names(&tasks.from) {
            let found = &self.table(&name)?.columns;
            columns.extend(found.iter().map(|column| column.name.clone()));
        }
        let is_there = |text: &String| !is_word(text) || columns.contains(text);
        let mut others: Vec<&str> = tasks.delete_from.as_deref().into_iter().collect();
        others.extend(tasks.dependents.iter().map(|table| table.from.as_str()));
        if let Some(receipts) = receipts {
            others.push(&receipts.from);
            others.extend(receipts.dependents.iter().map(|table| table.from.as_str()));
        }
        let has_tables = others.iter().all(|name| self.table(name).is_some());
        let needed = [&tasks.label, &tasks.status].into_iter().chain(&tasks.key);
        if !has_tables || !needed.chain(&tasks.files).all(is_there) {
            return None;
        }
        let fields = Field::ALL.into_iter().filter_map(|field| {
            let text = tasks.field(field)?.to_owned();
            is_word(&text).then_some((field, text))
        });
        let fields: Vec<(Field, String)> = fields.collect();
        let missing: Vec<Field> =
            fields.iter().filter(|(_, text)| !is_there(text)).map(|(field, _)| *field).collect();
        (missing.len().saturating_mul(MISSING_IN) <= fields.len()).then_some(missing)
    }

    /// The keys of a preset that name tables, with the schema.
    fn overrides(&self, sections: &toml::Table) -> toml::Table {
        let mut overrides = toml::Table::new();
        for section in ["tasks", "receipts"] {
            let Some(Value::Table(table)) = sections.get(section) else {
                continue;
            };
            let mut changed = toml::Table::new();
            for (key, value) in table {
                let qualified = self.qualified(key, value);
                if qualified != *value {
                    changed.insert(key.clone(), qualified);
                }
            }
            if !changed.is_empty() {
                overrides.insert(section.to_owned(), changed.into());
            }
        }
        overrides
    }

    fn qualified(&self, key: &str, value: &Value) -> Value {
        match value {
            Value::String(text) => self.with_schema(key, text).into(),
            Value::Array(entries) => {
                entries.iter().map(|entry| self.qualified("", entry)).collect::<Vec<_>>().into()
            }
            Value::Table(entries) => {
                let entries =
                    entries.iter().map(|(key, entry)| (key.clone(), self.qualified(key, entry)));
                Value::Table(entries.collect())
            }
            other => other.clone(),
        }
    }

    /// An expression with the schema before each table of it.
    fn with_schema(&self, key: &str, text: &str) -> String {
        let is_table = ["from", "delete_from"].contains(&key);
        let mut result = String::new();
        let mut follows = is_table;
        for piece in pieces(text) {
            let table = if follows && is_name(piece) { self.table(piece) } else { None };
            result.push_str(table.map_or(piece, |table| &table.expression));
            if !piece.trim().is_empty() {
                follows = introduces_table(piece);
            }
        }
        result
    }
}

/// A text as words (names with their schema among them) and what is between them.
fn pieces(text: &str) -> Vec<&str> {
    let is_part = |letter: char| letter.is_alphanumeric() || letter == '_' || letter == '.';
    let mut pieces = Vec::new();
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let other = |letter: char| is_part(letter) != is_part(first);
        let (piece, behind) = rest.split_at(rest.find(other).unwrap_or(rest.len()));
        pieces.push(piece);
        rest = behind;
    }
    pieces
}

fn is_name(piece: &str) -> bool {
    piece.starts_with(|first: char| first.is_alphabetic() || first == '_')
}

fn introduces_table(word: &str) -> bool {
    ["from", "join"].contains(&word.to_lowercase().as_str())
}

/// Whether an expression is a column by its bare name.
fn is_word(text: &str) -> bool {
    is_name(text) && text.chars().all(|letter| letter.is_alphanumeric() || letter == '_')
}

/// The tables of a FROM clause.
fn table_names(from: &str) -> Vec<String> {
    let text = from.trim();
    let first = pieces(text).into_iter().next().filter(|piece| is_name(piece));
    let mut names: Vec<String> = first.map(str::to_owned).into_iter().collect();
    for name in words_after(text, &["from", "join"]) {
        // A function or LATERAL is no table.
        if !["lateral", "select", "unnest"].contains(&name.to_lowercase().as_str())
            && !names.contains(&name)
        {
            names.push(name);
        }
    }
    names
}

/// The words that follow one of these.
fn words_after(text: &str, heads: &[&str]) -> BTreeSet<String> {
    let pieces = pieces(text);
    let triples = pieces.windows(3).filter(|three| {
        let head = three.first().map(|word| word.to_lowercase());
        head.is_some_and(|head| heads.contains(&head.as_str()))
            && three.get(1).is_some_and(|between| between.trim().is_empty())
    });
    let words = triples.filter_map(|three| three.get(2).copied());
    words.filter(|word| is_name(word)).map(str::to_owned).collect()
}

/// A table's name without its schema.
fn bare(name: &str) -> &str {
    name.rsplit('.').next().unwrap_or(name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::catalogue::Column;

    fn table(schema: &str, prefix: Option<&str>, name: &str, columns: &[&str]) -> Table {
        let expression = prefix.map_or(name.to_owned(), |prefix| format!("{prefix}.{name}"));
        let columns = columns.iter().map(|name| Column {
            name: (*name).to_owned(),
            expression: (*name).to_owned(),
            ..Column::default()
        });
        Table {
            schema: schema.to_owned(),
            name: name.to_owned(),
            expression,
            prefix: prefix.map(str::to_owned),
            columns: columns.collect(),
            ..Table::default()
        }
    }

    const RIVER: [&str; 13] = [
        "id",
        "state",
        "created_at",
        "scheduled_at",
        "attempted_at",
        "finalized_at",
        "errors",
        "attempt",
        "queue",
        "kind",
        "args",
        "tags",
        "metadata",
    ];

    fn found(tables: Vec<Table>) -> Vec<Fit> {
        fits(&Catalogue { dialect: Dialect::Postgres, tables })
    }

    #[test]
    fn a_preset_fits_by_its_tables_and_columns_and_needs_no_more_than_its_name() {
        let fits = found(vec![table("public", None, "river_job", &RIVER)]);
        assert_eq!(fits.len(), 1);
        assert_eq!((fits[0].preset, fits[0].overrides.len()), ("river", 0));
        assert!(found(vec![table("public", None, "river_job", &["id", "state"])]).is_empty());
    }

    #[test]
    fn a_column_of_another_version_is_left_out() {
        let columns: Vec<&str> = RIVER.into_iter().filter(|name| *name != "queue").collect();
        let fits = found(vec![table("public", None, "river_job", &columns)]);
        assert_eq!(fits[0].missing, [Field::Queue]);
        assert_eq!(fits[0].overrides["tasks"]["queue"], "".into());
    }

    #[test]
    fn tables_of_another_schema_are_named_with_it_wherever_the_preset_names_them() {
        let fits = found(vec![table("work", Some("work"), "river_job", &RIVER)]);
        assert_eq!(fits[0].overrides["tasks"]["from"], "work.river_job".into());
        assert_eq!(fits[0].overrides["tasks"]["delete_from"], "work.river_job".into());
        let tables = ["solid_queue_jobs", "solid_queue_claimed_executions"];
        let tables = tables.map(|name| table("q", Some("q"), name, &[]));
        let catalogue = Catalogue { dialect: Dialect::Postgres, tables: tables.to_vec() };
        let schema = Schema { catalogue: &catalogue, main: &catalogue.tables[0] };
        let from = "solid_queue_jobs AS jobs LEFT JOIN (SELECT job_id FROM solid_queue_claimed_executions) AS c";
        assert_eq!(
            schema.with_schema("from", from),
            "q.solid_queue_jobs AS jobs LEFT JOIN (SELECT job_id FROM q.solid_queue_claimed_executions) AS c"
        );
    }
}
