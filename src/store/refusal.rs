//! Why a database refuses a trial of the mapping, and what is said of it.

use crate::mapping::Field;
use crate::outcome::{Failure, Kind};

/// Why a database refused a trial of some expressions.
pub enum Refusal {
    /// A column that is not there; the database's own words.
    MissingColumn(String),
    /// A table that is not there, or is not what a mapping can read.
    MissingTable(String),
    /// An expression that cannot be computed.
    BadExpression(String),
    /// The mapping is not to blame.
    Failed(Failure),
}

impl Refusal {
    /// `about`: what is wrong with the mapping, given the database's own words.
    pub fn into_failure(self, about: impl FnOnce(&str) -> String) -> Failure {
        match self {
            Refusal::Failed(failure) => failure,
            Refusal::MissingTable(words)
            | Refusal::MissingColumn(words)
            | Refusal::BadExpression(words) => mismatch(about(&words)),
        }
    }

    /// Of the table that a section of the configuration reads.
    pub fn of_table(self, section: &str, from: &str) -> Failure {
        self.into_failure(|words| {
            format!("database.{section}.from: \"{from}\" cannot be read: {words}")
        })
    }

    /// Of one of its columns, by its name in the configuration.
    pub fn of_column(self, section: &str, from: &str, name: &str, expression: &str) -> Failure {
        match self {
            Refusal::MissingColumn(words) => {
                let failure = mismatch(format!(
                    "database.{section}.{name}: \"{from}\" has no \"{expression}\": {words}"
                ));
                match quoted(expression) {
                    Some(quoted) => failure.hint(format!(
                        "a name with capital letters is quoted in PostgreSQL: {name} = {quoted}"
                    )),
                    None => failure,
                }
            }
            other => other.into_failure(|words| uncomputable(section, name, expression, words)),
        }
    }
}

/// A plain name with capital letters, as a configuration has to write it: `"\"createdAt\""`.
fn quoted(name: &str) -> Option<String> {
    let is_plain = name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
    let has_capitals = name.chars().any(|c| c.is_ascii_uppercase());
    (is_plain && has_capitals).then(|| format!("\"\\\"{name}\\\"\""))
}

pub fn mismatch(message: String) -> Failure {
    Failure::new(Kind::MappingMismatch, message).hint(
        "describe your tables under [database.tasks] in the configuration, or choose the preset that fits them",
    )
}

/// Says that an expression fails.
pub fn uncomputable(section: &str, name: &str, expression: &str, words: &str) -> String {
    format!("database.{section}.{name}: \"{expression}\" cannot be computed: {words}")
}

/// A time column whose type is none. `section` and `name`: its place in the configuration.
pub fn not_a_time(section: &str, name: &str, expression: &str, found: &str) -> Failure {
    let message =
        format!("database.{section}.{name}: \"{expression}\" is of type {found}, not a time");
    Failure::new(Kind::MappingMismatch, message).hint(match found {
        "smallint" | "integer" | "bigint" | "numeric" | "real" | "double precision" => format!(
            "write an expression: {name} = \"to_timestamp({expression})\" for seconds since 1970, \"to_timestamp({expression} / 1000.0)\" for milliseconds, / 1e6 for microseconds, / 1e9 for nanoseconds"
        ),
        "text" | "character varying" | "character" => format!(
            "write an expression: {name} = \"({expression})::timestamptz\", or with ::timestamp for a text without zone; \"to_timestamp(({expression})::numeric)\" for one of digits"
        ),
        "json" | "jsonb" => format!(
            "write an expression: {name} = \"({expression} #>> '{{}}')::timestamptz\", or with ::timestamp for a text without zone"
        ),
        _ => format!(
            "if it is a domain over a time, name that: {name} = \"({expression})::timestamptz\" or \"({expression})::timestamp\"; over a number, \"to_timestamp({expression})\" for seconds since 1970"
        ),
    })
}

/// A duration or a count whose type cannot be calculated with.
pub fn unfit_number(field: Field, expression: &str, found: &str) -> Failure {
    let name = field.name();
    Failure::new(
        Kind::MappingMismatch,
        format!("database.tasks.{name}: \"{expression}\" is of type {found}, not a number"),
    )
    .hint(match found {
        "interval" => format!("write seconds: {name} = \"extract(epoch FROM {expression})\""),
        _ => format!("write an expression that is one, or {name} = \"\" where there is none"),
    })
}
