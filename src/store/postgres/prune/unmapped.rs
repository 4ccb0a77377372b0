//! The characters of a database's encoding that UTF-8 does not have: a row with one in its key, link or path stays, and the others go.

use super::super::encoding::{Encoding, is_untranslatable};
use super::super::session::{Broken, Session};
use crate::outcome::Failure;
use crate::store::prune::tables::{Table, Tables};

const DOING: &str = "looking for characters that UTF-8 does not have";

/// Those that occur in what cleanup reads as text, in hexadecimal.
///
/// # Errors
/// The database went away.
pub fn find_unmapped(
    session: &Session,
    encoding: &Encoding,
    tables: &Tables,
) -> Result<Vec<String>, Failure> {
    let mut found = Vec::new();
    for (from, texts) in texts(tables) {
        let all: Vec<String> = texts.iter().map(|text| format!("({text})::text")).collect();
        let sql =
            format!("SELECT count(convert_to(concat({}), 'UTF8')) FROM {from}", all.join(", "));
        if is_translated(session, &sql, &[])? {
            continue;
        }
        let sql = format!(
            "SELECT DISTINCT encode(convert_to(character, 'SQL_ASCII'), 'hex') FROM {from} CROSS JOIN LATERAL \
             regexp_split_to_table(regexp_replace(concat({}), '[\\x01-\\x7f]', '', 'g'), '') AS character WHERE character <> ''",
            all.join(", ")
        );
        let rows = session.ask(&sql, &[]).map_err(|broken| broken.failure(DOING))?;
        let characters: Vec<String> = rows.iter().map(|row| row.get(0)).collect();
        found.extend(refused(session, encoding, &characters)?);
    }
    found.sort();
    found.dedup();
    if !found.is_empty() {
        log::info!("characters of {encoding} that UTF-8 does not have: {}", found.join(", "));
    }
    Ok(found)
}

/// The expressions of each table that are read as text.
fn texts(tables: &Tables) -> Vec<(&str, Vec<&str>)> {
    let named = std::iter::once(&tables.tasks).chain(&tables.receipts).map(of_table);
    let dependents = tables.task_dependents.iter().chain(&tables.receipt_dependents);
    let dependents = dependents.map(|table| {
        let files = table.files.iter().map(String::as_str);
        (table.from.as_str(), files.chain([table.foreign_key.expression.as_str()]).collect())
    });
    named.chain(dependents).collect()
}

fn of_table(table: &Table) -> (&str, Vec<&str>) {
    let typed = table.key.iter().chain(&table.link).map(|typed| typed.expression.as_str());
    let others = table.files.iter().map(String::as_str).chain([table.label.as_str()]);
    (table.from.as_str(), typed.chain(others).collect())
}

fn is_translated(session: &Session, sql: &str, bound: &[Vec<String>]) -> Result<bool, Failure> {
    match session.ask(sql, bound) {
        Ok(_) => Ok(true),
        Err(Broken::Server(error)) if is_untranslatable(&error) => Ok(false),
        Err(broken) => Err(broken.failure(DOING)),
    }
}

/// Those of the characters that the server does not translate, found by halves.
fn refused(
    session: &Session,
    encoding: &Encoding,
    characters: &[String],
) -> Result<Vec<String>, Failure> {
    let decoded = encoding.decoded("one");
    let sql = format!("SELECT count(convert_to({decoded}, 'UTF8')) FROM unnest($1::text[]) AS one");
    if is_translated(session, &sql, &[characters.to_vec()])? {
        return Ok(Vec::new());
    }
    if characters.len() == 1 {
        return Ok(characters.to_vec());
    }
    let (one, other) = characters.split_at(characters.len() / 2);
    Ok([refused(session, encoding, one)?, refused(session, encoding, other)?].concat())
}
