//! A mapping for tables that no preset knows: names, types and some rows are enough for a guess, and each says why.

use super::vocabulary::{Sureness, counts_attempts, names, state_of};
use crate::language::Language;
use crate::mapping::State;
use crate::store::catalogue::{Catalogue, Column, Dialect, Sample, Table};
use serde::Serialize;
use std::cmp::Ordering;
use std::collections::BTreeSet;

/// What a table of jobs seems to mean. Nothing is ever deleted by it: `delete_from` is for a person to say.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Guess {
    /// As a statement names it.
    pub table: String,
    /// The columns of the key, as a statement names them.
    pub key: Vec<String>,
    pub fields: Vec<FieldGuess>,
    pub labels: Vec<LabelGuess>,
    /// How much the table looks like one of jobs; [`ENOUGH`] is enough.
    #[serde(skip)]
    pub score: f64,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct FieldGuess {
    pub field: &'static str,
    pub expression: String,
    /// From 0 to 1.
    pub confidence: f64,
    pub reason: String,
}

/// What a label of the status means; `None`: a person has to say.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct LabelGuess {
    pub label: String,
    pub state: Option<State>,
    pub confidence: f64,
}

/// From this score on a table is taken for one of jobs.
pub const ENOUGH: f64 = 5.0;

/// How many tables are looked into.
const MOST_TABLES: usize = 8;

/// More labels than these are no states.
const MOST_LABELS: usize = 24;

/// The share of rows that may contradict an order of times: clocks differ, and people mend rows.
const CONTRADICTING: f64 = 0.02;

/// The tables that are worth a look into their rows, the likeliest first.
pub fn candidates(catalogue: &Catalogue) -> Vec<&Table> {
    let mut scored: Vec<(f64, &Table)> = catalogue
        .tables
        .iter()
        .filter_map(|table| {
            let guess = guess(table, &Sample::new(), catalogue.dialect, Language::En)?;
            Some((guess.score, table))
        })
        .collect();
    scored.sort_by(|one, other| other.0.partial_cmp(&one.0).unwrap_or(Ordering::Equal));
    scored.into_iter().take(MOST_TABLES).map(|(_, table)| table).collect()
}

/// What a table seems to mean; `None`: it has no key or no status. Reasons are in `language`.
pub fn guess(
    table: &Table,
    sample: &Sample,
    dialect: Dialect,
    language: Language,
) -> Option<Guess> {
    let look = Look { table, sample, dialect, language };
    let key = look.key()?;
    let (status, labels) = look.status()?;
    let known = labels.iter().filter(|label| label.state.is_some()).count();
    let mut fields = vec![status];
    fields.extend(look.times());
    fields.extend(look.others());
    let mut score = look.likeness(&fields);
    if known > 0 && known.saturating_mul(2) >= labels.len() {
        score += 2.0;
    }
    Some(Guess { table: table.expression.clone(), key, fields, labels, score })
}

struct Look<'a> {
    table: &'a Table,
    sample: &'a Sample,
    dialect: Dialect,
    language: Language,
}

impl Look<'_> {
    fn key(&self) -> Option<Vec<String>> {
        let names: Vec<&str> = if self.table.key.is_empty() {
            // A view has no key of its own.
            vec![
                ["id", "job_id", "task_id"]
                    .into_iter()
                    .find(|name| self.table.column(name).is_some())?,
            ]
        } else {
            self.table.key.iter().map(String::as_str).collect()
        };
        names.into_iter().map(|name| Some(self.table.column(name)?.expression.clone())).collect()
    }

    /// The values of a column in the rows, in their order.
    fn values(&self, column: &Column) -> Vec<Option<&str>> {
        let place = self.table.columns.iter().position(|other| other.name == column.name);
        let rows = self.sample.iter();
        rows.map(|row| place.and_then(|place| row.get(place)?.as_deref())).collect()
    }

    fn status(&self) -> Option<(FieldGuess, Vec<LabelGuess>)> {
        let (column, rank) =
            self.best("status", |column| is_label(&column.kind) || !column.labels.is_empty())?;
        let labels = self.labels(column);
        let known = labels.iter().filter(|label| label.state.is_some()).count();
        if labels.len() > MOST_LABELS {
            return None;
        }
        let confidence = if labels.is_empty() {
            0.7
        } else if known == labels.len() {
            0.95
        } else {
            0.8
        };
        let reason = self.language.pick(
            format!("列名；{} 个标签中认得 {known} 个", labels.len()),
            format!("its name; {known} of {} labels are known", labels.len()),
        );
        let guess = FieldGuess {
            field: "status",
            expression: column.expression.clone(),
            confidence: confidence - rank_loss(rank),
            reason,
        };
        Some((guess, labels))
    }

    /// The labels of an enum, those of a check, and those of the rows.
    fn labels(&self, column: &Column) -> Vec<LabelGuess> {
        let mut labels = column.labels.clone();
        let found = self.values(column).into_iter().flatten().map(str::to_owned);
        let more: BTreeSet<String> = checked_labels(&self.table.checks, &column.name)
            .into_iter()
            .chain(found)
            .filter(|label| !label.trim().is_empty())
            .collect();
        labels.extend(more.into_iter().filter(|label| !column.labels.contains(label)));
        let guess = |label: String| {
            let state = state_of(&label);
            let confidence = match state {
                Some((_, Sureness::High)) => 0.95,
                Some((_, Sureness::Medium)) => 0.7,
                None => 0.0,
            };
            LabelGuess { label, state: state.map(|(state, _)| state), confidence }
        };
        labels.into_iter().map(guess).collect()
    }

    /// The times, without those that the rows contradict.
    fn times(&self) -> Vec<FieldGuess> {
        let time = |field: &'static str| {
            let (column, rank) = self.best(field, |column| self.is_time(column))?;
            Some((field, column, rank))
        };
        let mut times: Vec<_> =
            ["created_at", "started_at", "completed_at"].into_iter().filter_map(time).collect();
        let contradicted = |earlier: &Column, later: &Column| {
            let pairs: Vec<_> = self.values(earlier).into_iter().zip(self.values(later)).collect();
            let both: Vec<_> =
                pairs.into_iter().filter_map(|(one, other)| Some((one?, other?))).collect();
            let wrong = both.iter().filter(|(one, other)| is_later(one, other)).count();
            wrong as f64 > both.len() as f64 * CONTRADICTING
        };
        // A start is what rows contradict most: a lock that is taken before, or again.
        let mut place: usize = 1;
        while let Some([(_, earlier, _), (field, later, _)]) =
            times.get(place.saturating_sub(1)..=place)
        {
            if contradicted(earlier, later) {
                let wrong = if *field == "started_at" { place } else { place.saturating_sub(1) };
                let is_creation =
                    times.get(wrong).is_some_and(|(field, ..)| *field == "created_at");
                times.remove(if is_creation { place } else { wrong });
                place = 1;
            } else {
                place = place.saturating_add(1);
            }
        }
        times.extend(["updated_at", "due_at"].into_iter().filter_map(time));
        let count = self.sample.len();
        let guess = |(field, column, rank): (&'static str, &Column, usize)| FieldGuess {
            field,
            expression: self.time(column),
            confidence: (if count == 0 { 0.85 } else { 0.95 }) - rank_loss(rank),
            reason: self.language.pick(
                format!("列名、类型，以及 {count} 行的先后顺序"),
                format!("its name, its type, and the order of times in {count} rows"),
            ),
        };
        let seconds = self.seconds(&times);
        times.into_iter().map(guess).chain(seconds).collect()
    }

    /// From a start to an end, where both are times to the database.
    fn seconds(&self, times: &[(&'static str, &Column, usize)]) -> Option<FieldGuess> {
        let of = |wanted| {
            times.iter().find(|(field, ..)| *field == wanted).map(|(_, column, _)| *column)
        };
        let (start, end) = (of("started_at")?, of("completed_at")?);
        let is_plain = |column: &Column| match self.dialect {
            Dialect::Postgres => column.kind.starts_with("timestamp"),
            Dialect::Sqlite => {
                !is_whole(&column.kind) && self.values(column).into_iter().flatten().all(is_date)
            }
        };
        if !is_plain(start) || !is_plain(end) {
            return None;
        }
        let (start, end) = (&start.expression, &end.expression);
        let expression = match self.dialect {
            Dialect::Postgres => format!("extract(epoch FROM {end} - {start})"),
            Dialect::Sqlite => {
                format!("unixepoch({end}, 'subsec') - unixepoch({start}, 'subsec')")
            }
        };
        let reason = self.language.pick("从开始到结束", "from the start to the end").to_owned();
        Some(FieldGuess { field: "processing_time", expression, confidence: 0.9, reason })
    }

    fn others(&self) -> Vec<FieldGuess> {
        let fields = ["error_message", "retry_count", "queue", "name"];
        fields.into_iter().filter_map(|field| self.other(field)).collect()
    }

    fn other(&self, field: &'static str) -> Option<FieldGuess> {
        let is_fit = if field == "retry_count" { is_whole } else { is_text };
        let (column, rank) = self.best(field, |column| is_fit(&column.kind))?;
        let bare = column.expression.clone();
        let expression = if field == "retry_count" && counts_attempts(&folded(&column.name)) {
            let largest = if self.dialect == Dialect::Postgres { "greatest" } else { "max" };
            format!("{largest}({bare} - 1, 0)")
        } else {
            bare
        };
        let reason = self.language.pick("列名和类型", "its name and its type").to_owned();
        Some(FieldGuess { field, expression, confidence: 0.9 - rank_loss(rank), reason })
    }

    /// The column whose name is the surest for a field, and the place of that name among the usual ones.
    fn best(&self, field: &str, is_fit: impl Fn(&Column) -> bool) -> Option<(&Column, usize)> {
        let usual = names(field);
        let rank = |column: &Column| usual.iter().position(|name| *name == folded(&column.name));
        let columns = self.table.columns.iter().filter(|column| is_fit(column));
        columns.filter_map(|column| Some((column, rank(column)?))).min_by_key(|(_, rank)| *rank)
    }

    fn is_time(&self, column: &Column) -> bool {
        let kind = column.kind.as_str();
        let is_typed = kind.starts_with("timestamp") || kind.starts_with("date");
        let values = || self.values(column).into_iter().flatten();
        let is_number = is_whole(kind) || ["real", "numeric", "double precision"].contains(&kind);
        is_typed
            || is_number
                && values().next().is_some()
                && values().all(|value| epoch(value).is_some())
            || self.dialect == Dialect::Sqlite && is_text(kind) && values().all(is_date)
    }

    /// A time as the database compares it: SQLite's own numbers are understood as they are.
    fn time(&self, column: &Column) -> String {
        let bare = &column.expression;
        let is_number = self.dialect == Dialect::Postgres
            && !column.kind.starts_with("timestamp")
            && !column.kind.starts_with("date");
        let first = self.values(column).into_iter().flatten().find_map(epoch);
        match first {
            Some(Epoch::Seconds) if is_number => format!("to_timestamp({bare})"),
            Some(Epoch::Milliseconds) if is_number => format!("to_timestamp({bare} / 1000.0)"),
            _ => bare.clone(),
        }
    }

    /// How much the table looks like one of jobs.
    fn likeness(&self, fields: &[FieldGuess]) -> f64 {
        let weight = |field: &FieldGuess| match field.field {
            "status" => 2.0,
            "completed_at" => 1.5,
            "created_at" | "started_at" | "error_message" | "retry_count" => 1.0,
            _ => 0.5,
        };
        let name = folded(&self.table.name);
        let has = |words: &[&str]| words.iter().any(|word| name.contains(word));
        let of_name =
            if has(&["job", "task", "queue", "work", "任务", "作业"]) { 2.5 } else { 0.0 };
        let of_history = if has(&["log", "history", "audit", "event"]) { -3.0 } else { 0.0 };
        fields.iter().map(weight).sum::<f64>() + of_name + of_history
    }
}

/// The further down the list of usual names, the less sure.
fn rank_loss(rank: usize) -> f64 {
    rank.min(20) as f64 / 100.0
}

/// `createdAt` and `Created At` as `created_at`.
fn folded(name: &str) -> String {
    let mut result = String::new();
    let mut was_small = false;
    for letter in name.chars() {
        if letter.is_uppercase() && was_small {
            result.push('_');
        }
        was_small = letter.is_lowercase() || letter.is_ascii_digit();
        result.extend(if [' ', '-'].contains(&letter) { '_' } else { letter }.to_lowercase());
    }
    result
}

fn is_text(kind: &str) -> bool {
    kind.is_empty()
        || ["text", "char", "clob", "json", "string", "citext"]
            .iter()
            .any(|part| kind.contains(part))
}

fn is_whole(kind: &str) -> bool {
    kind.contains("int") && !kind.contains("interval")
}

fn is_label(kind: &str) -> bool {
    (is_text(kind) && !kind.contains("json")) || is_whole(kind)
}

enum Epoch {
    Seconds,
    Milliseconds,
}

/// The unit of a number that is a time of these decades.
fn epoch(value: &str) -> Option<Epoch> {
    let number: f64 = value.parse().ok()?;
    if (6e8..5e9).contains(&number) {
        Some(Epoch::Seconds)
    } else if (6e11..5e12).contains(&number) {
        Some(Epoch::Milliseconds)
    } else {
        None
    }
}

/// `2026-11-22…`
fn is_date(value: &str) -> bool {
    let mut letters = value.chars();
    let is_right = |(place, letter): (usize, char)| {
        if [4, 7].contains(&place) { letter == '-' } else { letter.is_ascii_digit() }
    };
    value.len() >= 10 && letters.by_ref().take(10).enumerate().all(is_right)
}

/// Both are of one column type: numbers, or texts that sort as times do.
fn is_later(one: &str, other: &str) -> bool {
    match (one.parse::<f64>(), other.parse::<f64>()) {
        (Ok(one), Ok(other)) => one > other,
        _ => one > other,
    }
}

/// The labels that the checks of a table allow in a column.
fn checked_labels(checks: &str, column: &str) -> Vec<String> {
    let mut labels = Vec::new();
    let lower = checks.to_lowercase();
    for (at, _) in lower.match_indices("check") {
        let Some(segment) = lower.get(at..).and_then(|_| checks.get(at..)).map(balanced) else {
            continue;
        };
        let mut words = segment.split(|letter: char| !(letter.is_alphanumeric() || letter == '_'));
        if words.any(|word| word.eq_ignore_ascii_case(column)) {
            labels.extend(segment.split('\'').skip(1).step_by(2).map(str::to_owned));
        }
    }
    labels
}

/// The first pair of parentheses and what is in it.
fn balanced(text: &str) -> &str {
    let Some(open) = text.find('(') else {
        return "";
    };
    let mut depth = 0_usize;
    for (at, letter) in text.char_indices().skip_while(|(at, _)| *at < open) {
        match letter {
            '(' => depth = depth.saturating_add(1),
            ')' => depth = depth.saturating_sub(1),
            _ => {}
        }
        if depth == 0 {
            return text.get(open..=at).unwrap_or_default();
        }
    }
    text
}
