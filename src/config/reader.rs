//! From TOML text to typed values, with errors that say where: the key's full path, its line, its value and what is expected there.
//!
//! serde's derived code does the reading. This module hands it the values and catches what it objects to with the path that led
//! there; the structs of [`super::file`] are the only list of keys.

use serde::Deserialize;
use serde::de::{self, DeserializeSeed, Deserializer, IntoDeserializer, Visitor};
use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use toml::de::{DeInteger, DeTable, DeValue};
use toml::{Spanned, Table, Value};

/// A document: its values, and the line (from 1) of each key in it, by its path.
pub struct Document {
    pub values: Table,
    pub lines: BTreeMap<String, usize>,
}

/// What is wrong with a document before its keys are looked at. It quotes nothing of the text: a password may stand there.
#[derive(Debug, PartialEq)]
pub struct SyntaxError {
    pub line: usize,
    pub message: String,
}

/// Parses TOML text. A byte order mark at its start is skipped, as editors on Windows write it.
pub fn parse(text: &str) -> Result<Document, SyntaxError> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let table = DeTable::parse(text).map_err(|error| syntax_error(text, &error))?;
    let mut walk = Walk { line_ends: line_ends(text), lines: BTreeMap::new() };
    let values = walk.table(table.get_ref(), "")?;
    Ok(Document { values, lines: walk.lines })
}

fn syntax_error(text: &str, error: &toml::de::Error) -> SyntaxError {
    let span = error.span().unwrap_or_default();
    let message = match (error.message(), text.get(span.clone())) {
        ("duplicate key", Some(key)) => format!("the key `{}` is there twice", key.trim()),
        (message, _) => format!("not valid TOML: {message}"),
    };
    SyntaxError { line: line_of(text, span.start), message }
}

/// The line (from 1) of a byte.
pub fn line_of(text: &str, at: usize) -> usize {
    let before = text.as_bytes().iter().take(at);
    before.filter(|byte| **byte == b'\n').count() + 1
}

fn line_ends(text: &str) -> Vec<usize> {
    text.bytes().enumerate().filter(|(_, byte)| *byte == b'\n').map(|(at, _)| at).collect()
}

/// Turns the parser's values into plain ones and notes the lines of their keys.
struct Walk {
    /// Where each line of the text ends, in bytes.
    line_ends: Vec<usize>,
    lines: BTreeMap<String, usize>,
}

impl Walk {
    fn table(&mut self, table: &DeTable<'_>, path: &str) -> Result<Table, SyntaxError> {
        let mut values = Table::new();
        for (key, value) in table {
            let path = below(path, key.get_ref());
            self.note(&path, key.span().start);
            values.insert(key.get_ref().to_string(), self.value(value, &path)?);
        }
        Ok(values)
    }

    fn value(&mut self, value: &Spanned<DeValue<'_>>, path: &str) -> Result<Value, SyntaxError> {
        let too_large = |number: &str| SyntaxError {
            line: self.line_of(value.span().start),
            message: format!("`{path}` is {number}, a number that is too large"),
        };
        Ok(match value.get_ref() {
            DeValue::String(text) => Value::String(text.to_string()),
            DeValue::Integer(number) => {
                Value::Integer(whole(number).ok_or_else(|| too_large(number.as_str()))?)
            }
            DeValue::Float(number) => {
                let parsed = number.as_str().parse();
                Value::Float(parsed.map_err(|_| too_large(number.as_str()))?)
            }
            DeValue::Boolean(flag) => Value::Boolean(*flag),
            DeValue::Datetime(time) => Value::Datetime(*time),
            DeValue::Table(table) => Value::Table(self.table(table, path)?),
            DeValue::Array(items) => {
                let mut values = Vec::new();
                for (index, item) in items.iter().enumerate() {
                    let path = item_of(path, index);
                    self.note(&path, item.span().start);
                    values.push(self.value(item, &path)?);
                }
                Value::Array(values)
            }
        })
    }

    fn note(&mut self, path: &str, at: usize) {
        self.lines.insert(path.to_owned(), self.line_of(at));
    }

    /// The line (from 1) of a byte.
    fn line_of(&self, at: usize) -> usize {
        self.line_ends.partition_point(|end| *end < at) + 1
    }
}

fn whole(number: &DeInteger<'_>) -> Option<i64> {
    i64::from_str_radix(number.as_str(), number.radix()).ok()
}

fn below(path: &str, key: &str) -> String {
    if path.is_empty() { key.to_owned() } else { format!("{path}.{key}") }
}

/// The path of a list's item, counted from 1 as people count.
fn item_of(path: &str, index: usize) -> String {
    format!("{path}[{}]", index + 1)
}

/// Lays a table over another: sections are merged key by key, everything else, lists too, is replaced.
pub fn overlay(over: Table, mut under: Table) -> Table {
    for (key, value) in over {
        let merged = match (value, under.remove(&key)) {
            (Value::Table(over), Some(Value::Table(under))) => Value::Table(overlay(over, under)),
            (value, _) => value,
        };
        under.insert(key, merged);
    }
    under
}

/// What serde objected to, and the path to it.
#[derive(Debug)]
pub struct Problem {
    /// From the root; empty: the document itself.
    pub path: String,
    pub what: What,
    /// The offending value, or none where a key is unknown or missing.
    pub found: Option<Value>,
}

#[derive(Debug, PartialEq)]
pub enum What {
    /// A key that nothing reads, and those that stand beside it.
    Unknown { key: String, known: Vec<&'static str> },
    /// A key that must be there.
    Missing(&'static str),
    /// A value that is not what is expected.
    Wrong { expected: String },
}

impl Problem {
    fn new(what: What) -> Self {
        Self { path: String::new(), what, found: None }
    }

    pub fn wrong(expected: impl Into<String>) -> Self {
        let expected = expected.into();
        Self::new(What::Wrong { expected })
    }

    pub fn beneath(mut self, step: &str) -> Self {
        let joint = if self.path.is_empty() || self.path.starts_with('[') { "" } else { "." };
        self.path = format!("{step}{joint}{}", self.path);
        self
    }

    pub fn found(mut self, value: &Value) -> Self {
        if self.path.is_empty() && matches!(self.what, What::Wrong { .. }) && self.found.is_none() {
            self.found = Some(value.clone());
        }
        self
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {:?}", self.path, self.what)
    }
}

impl std::error::Error for Problem {}

/// The derived code's objections, as data. What `custom` is given is a phrase that says what is expected.
impl de::Error for Problem {
    fn custom<T: fmt::Display>(expected: T) -> Self {
        Problem::wrong(expected.to_string())
    }

    fn invalid_type(_: de::Unexpected<'_>, expected: &dyn de::Expected) -> Self {
        Problem::wrong(in_words(&expected.to_string()))
    }

    fn invalid_value(_: de::Unexpected<'_>, expected: &dyn de::Expected) -> Self {
        Problem::wrong(in_words(&expected.to_string()))
    }

    fn unknown_variant(_: &str, variants: &'static [&'static str]) -> Self {
        Problem::wrong(one_of(variants))
    }

    fn unknown_field(key: &str, known: &'static [&'static str]) -> Self {
        Problem::new(What::Unknown { key: key.to_owned(), known: known.to_vec() })
    }

    fn missing_field(field: &'static str) -> Self {
        Problem::new(What::Missing(field))
    }
}

fn in_words(expected: &str) -> String {
    match expected {
        "a string" => "a text in quotes".to_owned(),
        "a boolean" => "true or false".to_owned(),
        "a sequence" => "a list in [ ]".to_owned(),
        _ if expected.starts_with("struct ") => "a section".to_owned(),
        _ => expected.to_owned(),
    }
}

pub fn one_of(variants: &[&str]) -> String {
    let quoted: Vec<String> = variants.iter().map(|name| format!("{name:?}")).collect();
    format!("one of {}", quoted.join(", "))
}

/// The keys of a struct that derives `Deserialize`.
pub fn keys_of<'de, T: Deserialize<'de>>() -> Vec<&'static str> {
    // No struct has an empty key; the reader's objection to it lists those that there are.
    let probe = Value::Table(Table::from_iter([(String::new(), Value::Boolean(true))]));
    match T::deserialize(Reader(&probe)) {
        Err(Problem { what: What::Unknown { known, .. }, .. }) => known,
        _ => Vec::new(),
    }
}

/// Hands a value to serde.
pub struct Reader<'v>(pub &'v Value);

impl<'de> Deserializer<'de> for Reader<'_> {
    type Error = Problem;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Problem> {
        match self.0 {
            Value::String(text) => visitor.visit_str(text),
            Value::Integer(number) => visitor.visit_i64(*number),
            Value::Float(number) => visitor.visit_f64(*number),
            Value::Boolean(flag) => visitor.visit_bool(*flag),
            Value::Datetime(_) => {
                Err(de::Error::invalid_type(de::Unexpected::Other("a date"), &visitor))
            }
            Value::Array(items) => visitor.visit_seq(Items(items.iter().enumerate())),
            Value::Table(table) => {
                visitor.visit_map(Entries { entries: table.iter().collect(), value: None })
            }
        }
        .map_err(|problem| problem.found(self.0))
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Problem> {
        check_keys(self.section()?, fields)?;
        self.deserialize_any(visitor)
    }

    /// A tuple is one section: the structs in it have its keys between them.
    fn deserialize_tuple<V: Visitor<'de>>(self, _: usize, visitor: V) -> Result<V::Value, Problem> {
        let mut parts = Parts { section: self.section()?, known: Vec::new() };
        let read = visitor.visit_seq(&mut parts)?;
        check_keys(parts.section, &parts.known)?;
        Ok(read)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Problem> {
        match self.0 {
            Value::String(name) => visitor.visit_enum(name.as_str().into_deserializer()),
            _ => Err(Problem::wrong(one_of(variants))),
        }
        .map_err(|problem: Problem| problem.found(self.0))
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Problem> {
        visitor.visit_some(self)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, Problem> {
        visitor.visit_newtype_struct(self)
    }

    serde::forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf unit unit_struct
        seq tuple_struct map identifier ignored_any
    }
}

impl<'v> Reader<'v> {
    fn section(&self) -> Result<&'v Table, Problem> {
        self.0.as_table().ok_or_else(|| Problem::wrong("a section").found(self.0))
    }
}

fn check_keys(section: &Table, known: &[&'static str]) -> Result<(), Problem> {
    match section.keys().find(|key| !known.contains(&key.as_str())) {
        Some(key) => Err(Problem::new(What::Unknown { key: key.clone(), known: known.to_vec() })),
        None => Ok(()),
    }
}

/// Hands each struct of a tuple its keys of the section, and notes which they are.
struct Parts<'v> {
    section: &'v Table,
    known: Vec<&'static str>,
}

impl<'de> de::SeqAccess<'de> for &mut Parts<'_> {
    type Error = Problem;

    fn next_element_seed<T: DeserializeSeed<'de>>(
        &mut self,
        seed: T,
    ) -> Result<Option<T::Value>, Problem> {
        seed.deserialize(&mut **self).map(Some)
    }
}

impl<'de> Deserializer<'de> for &mut Parts<'_> {
    type Error = Problem;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Problem> {
        Err(de::Error::invalid_type(de::Unexpected::Map, &visitor))
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Problem> {
        self.known.extend(fields);
        let entries = self.section.iter().filter(|(key, _)| fields.contains(&key.as_str()));
        visitor.visit_map(Entries { entries: entries.collect(), value: None })
    }

    serde::forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option unit
        unit_struct newtype_struct seq tuple tuple_struct map enum identifier ignored_any
    }
}

struct Items<'v>(std::iter::Enumerate<std::slice::Iter<'v, Value>>);

impl<'de> de::SeqAccess<'de> for Items<'_> {
    type Error = Problem;

    fn next_element_seed<T: DeserializeSeed<'de>>(
        &mut self,
        seed: T,
    ) -> Result<Option<T::Value>, Problem> {
        let Some((index, item)) = self.0.next() else {
            return Ok(None);
        };
        let read = seed.deserialize(Reader(item));
        let located = read.map_err(|problem| problem.found(item).beneath(&item_of("", index)));
        located.map(Some)
    }
}

struct Entries<'v> {
    entries: VecDeque<(&'v String, &'v Value)>,
    value: Option<(&'v str, &'v Value)>,
}

impl<'de> de::MapAccess<'de> for Entries<'_> {
    type Error = Problem;

    fn next_key_seed<K: DeserializeSeed<'de>>(
        &mut self,
        seed: K,
    ) -> Result<Option<K::Value>, Problem> {
        let Some((key, value)) = self.entries.pop_front() else {
            return Ok(None);
        };
        self.value = Some((key, value));
        seed.deserialize(key.as_str().into_deserializer()).map(Some)
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, Problem> {
        let Some((key, value)) = self.value.take() else {
            return Err(de::Error::custom("a value"));
        };
        let read = seed.deserialize(Reader(value));
        read.map_err(|problem| problem.found(value).beneath(key))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, Deserialize)]
    #[allow(dead_code)]
    struct Root {
        list: Vec<Entry>,
    }

    #[derive(Debug, Deserialize)]
    #[allow(dead_code)]
    struct Entry {
        name: String,
    }

    fn problem(text: &str) -> Problem {
        let document = parse(text).unwrap();
        Root::deserialize(Reader(&Value::Table(document.values))).unwrap_err()
    }

    #[test]
    fn a_problem_knows_the_path_to_it() {
        let problem = problem("list = [{name = 'a'}, {name = 3}]");
        assert_eq!(problem.path, "list[2].name");
        assert_eq!(problem.found, Some(Value::Integer(3)));
        let expected = "a text in quotes".to_owned();
        assert_eq!(problem.what, What::Wrong { expected });
    }

    #[test]
    fn a_missing_key_is_named_beneath_its_section() {
        let problem = problem("[[list]]");
        assert_eq!((problem.path.as_str(), problem.what), ("list[1]", What::Missing("name")));
    }

    #[test]
    fn lines_are_those_of_the_keys() {
        let document =
            parse("\u{feff}a = 1\r\n\r\n[b]\r\nc.d = 2\r\n[[e]]\r\n[[e]]\r\nf = 3\r\n").unwrap();
        let line = |path: &str| document.lines[path];
        assert_eq!([line("a"), line("b"), line("b.c.d")], [1, 3, 4]);
        assert_eq!([line("e[1]"), line("e[2]"), line("e[2].f")], [5, 6, 7]);
    }

    #[test]
    fn sections_merge_and_lists_are_replaced() {
        let read = |text: &str| parse(text).unwrap().values;
        let over = read("a = 1\nl = [3]\n[s]\nx = 1");
        let under = read("b = 2\nl = [1, 2]\n[s]\nx = 0\ny = 2");
        let merged = overlay(over, under);
        assert_eq!(merged, read("a = 1\nb = 2\nl = [3]\n[s]\nx = 1\ny = 2"));
    }
}
