//! Values in a result, by their path.

use super::Context;
use super::evaluation::check_error;
use crate::alert::Alert;
use crate::language::Language;
use serde_json::{Map, Number, Value};

/// A document, and what it is held against.
pub struct Look<'a> {
    pub document: &'a Value,
    pub context: &'a Context<'a>,
}

/// A place in a document that is not as a rule needs it.
#[derive(Debug)]
pub struct Misfit {
    path: String,
    wrong: Wrong,
}

#[derive(Debug, Clone, Copy)]
pub enum Wrong {
    Missing,
    NoNumber,
    NoObject,
    NoList,
    NoText,
    /// The table has no column for it.
    NotInTable,
}

impl Misfit {
    pub fn new(path: &str, wrong: Wrong) -> Self {
        Self { path: path.to_owned(), wrong }
    }

    /// The same below a place.
    pub fn within(self, place: &str) -> Self {
        Self { path: format!("{place}.{}", self.path), ..self }
    }

    fn in_words(&self, language: Language) -> String {
        let words = match self.wrong {
            Wrong::Missing => language.pick("不存在", "does not exist"),
            Wrong::NoNumber => language.pick("不是数字", "is not a number"),
            Wrong::NoObject => language.pick("不是对象", "is not an object"),
            Wrong::NoList => language.pick("不是列表", "is not a list"),
            Wrong::NoText => language.pick("不是文本", "is not a text"),
            Wrong::NotInTable => language
                .pick("未知：该表没有对应的列", "is not known: the table has no column for it"),
        };
        format!("{} {words}", self.path)
    }
}

/// Maps that leave out what was counted 0 times: a missing key in them is 0.
const COUNTS: [&str; 4] = [
    "task_statistics.status_breakdown",
    "task_statistics.raw_status_breakdown",
    "error_statistics.error_categories",
    "error_statistics.retry_statistics",
];

static ZERO: std::sync::LazyLock<Number> = std::sync::LazyLock::new(|| Number::from(0));

impl<'a> Look<'a> {
    /// The value at a path; `None`: it, or something above it, is null.
    fn value(&self, path: &str) -> Result<Option<&'a Value>, Misfit> {
        let found = step(self.document, path).ok_or_else(|| Misfit::new(path, Wrong::Missing))?;
        Ok(Some(found).filter(|value| !value.is_null()))
    }

    pub fn number(&self, path: &str) -> Result<Option<&'a Number>, Misfit> {
        let number = |value: &'a Value| match value {
            Value::Number(number) => Ok(number),
            _ => Err(Misfit::new(path, Wrong::NoNumber)),
        };
        match self.value(path) {
            Ok(value) => value.map(number).transpose(),
            Err(missing) => {
                if self.is_a_count(path) {
                    Ok(Some(&ZERO))
                } else {
                    Err(missing)
                }
            }
        }
    }

    /// Whether a path that is not found lies in one of the maps of [`COUNTS`] that is there.
    fn is_a_count(&self, path: &str) -> bool {
        COUNTS.iter().any(|map| {
            let key = path.strip_prefix(map).and_then(|rest| rest.strip_prefix('.'));
            key.is_some_and(|key| !key.is_empty())
                && step(self.document, map).is_some_and(Value::is_object)
        })
    }

    pub fn object(&self, path: &str) -> Result<Option<&'a Map<String, Value>>, Misfit> {
        let object = |value: &'a Value| value.as_object();
        self.value(path)?
            .map(|value| object(value).ok_or_else(|| Misfit::new(path, Wrong::NoObject)))
            .transpose()
    }

    pub fn list(&self, path: &str) -> Result<Option<&'a Vec<Value>>, Misfit> {
        self.value(path)?
            .map(|value| value.as_array().ok_or_else(|| Misfit::new(path, Wrong::NoList)))
            .transpose()
    }

    pub fn text(&self, path: &str) -> Result<Option<&'a str>, Misfit> {
        self.value(path)?
            .map(|value| value.as_str().ok_or_else(|| Misfit::new(path, Wrong::NoText)))
            .transpose()
    }

    /// Whether it is there, and true.
    pub fn is_true(&self, path: &str) -> bool {
        matches!(self.value(path), Ok(Some(Value::Bool(true))))
    }

    /// Whether a path, or one above it, is null because nothing provides it.
    pub fn is_unavailable(&self, path: &str) -> bool {
        let paths = self.document.get("unavailable").and_then(Value::as_array);
        let mut paths = paths.into_iter().flatten().filter_map(Value::as_str);
        paths.any(|above| {
            path.strip_prefix(above).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
        })
    }

    /// A number that cannot be null.
    pub fn known(&self, path: &str) -> Result<&'a Number, Misfit> {
        self.number(path)?.ok_or_else(|| Misfit::new(path, Wrong::NoNumber))
    }

    pub fn pick<T>(&self, zh: T, en: T) -> T {
        self.context.language.pick(zh, en)
    }

    pub fn check_error(&self, rule: &str, misfits: &[Misfit]) -> Option<Alert> {
        if misfits.is_empty() {
            return None;
        }
        let language = self.context.language;
        let reasons: Vec<String> = misfits.iter().map(|misfit| misfit.in_words(language)).collect();
        Some(check_error(rule, &reasons.join("; "), language))
    }
}

/// Follows a path. A key may hold dots itself: of the keys that the path may go on with the shortest that leads on is taken.
fn step<'a>(value: &'a Value, path: &str) -> Option<&'a Value> {
    match value {
        // What lies below what is not known is not known either.
        Value::Null => Some(value),
        Value::Array(elements) => {
            let (place, rest) = match path.split_once('.') {
                Some((place, rest)) => (place, Some(rest)),
                None => (path, None),
            };
            let is_number = !place.is_empty() && place.bytes().all(|byte| byte.is_ascii_digit());
            let element = elements.get(place.parse::<usize>().ok().filter(|_| is_number)?)?;
            rest.map_or(Some(element), |rest| step(element, rest))
        }
        Value::Object(entries) => {
            let ends = path.match_indices('.').map(|(at, _)| at);
            let through = ends.filter_map(|at| step(entries.get(&path[..at])?, &path[at + 1..]));
            let mut found = entries.get(path).into_iter().chain(through);
            found.next()
        }
        _ => None,
    }
}

pub fn float(number: &Number) -> f64 {
    number.as_f64().unwrap_or(f64::NAN)
}

/// A number without needless zeros.
pub fn plain(number: &Number) -> String {
    match number.as_f64() {
        Some(float) if number.is_f64() => format!("{float}"),
        _ => number.to_string(),
    }
}

/// A whole number stays one.
pub fn exact(value: f64) -> Option<Number> {
    if value.fract() == 0.0 && value.abs() < 9e15 {
        Some(Number::from(value as i64))
    } else {
        Number::from_f64(value)
    }
}
