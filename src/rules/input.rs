//! What `alert` is given: a result of `stats` or `disk`, an error document, or alerts themselves.

use crate::alert::Alert;
use crate::outcome::{Failure, Kind, Severity};
use serde_json::{Map, Value};

/// A result that alerts can be raised from.
#[derive(Debug, Clone, PartialEq)]
pub enum Document {
    Stats(Value),
    Disk(Value),
    /// An error document: the job that it names, if it does, and what happened.
    Failed {
        job: Option<String>,
        message: String,
    },
}

/// What a result is: of `stats` or `disk`, of several `stats` the newest, or an error document.
///
/// # Errors
/// [`Kind::Usage`] for anything else.
pub fn read(document: Value) -> Result<Document, Failure> {
    match document {
        Value::Array(reports) => newest(reports).map(Document::Stats),
        Value::Object(result) => read_object(result),
        _ => Err(no_result("it is not a JSON object")),
    }
}

fn read_object(result: Map<String, Value>) -> Result<Document, Failure> {
    let has = |keys: &[&str]| keys.iter().any(|key| result.contains_key(*key));
    if result.get("success") == Some(&Value::Bool(false)) {
        let said = |key| result.get("error")?.get(key)?.as_str();
        let message = said("message").ok_or_else(|| {
            no_result("it says that a job failed, and not why: error.message is missing")
        })?;
        let hint = said("hint").map(|hint| format!("; {hint}")).unwrap_or_default();
        let job = result.get("job").and_then(Value::as_str);
        return Ok(Document::Failed {
            job: job.map(str::to_owned),
            message: message.to_owned() + &hint,
        });
    }
    if has(&STATS_KEYS) {
        Ok(Document::Stats(Value::Object(result)))
    } else if has(&["disks", "disk_info"]) {
        Ok(Document::Disk(Value::Object(result)))
    } else {
        Err(no_result("it has the keys of neither"))
    }
}

/// Any of them identifies a result of `stats`.
const STATS_KEYS: [&str; 3] = ["task_statistics", "error_statistics", "performance_statistics"];

fn newest(reports: Vec<Value>) -> Result<Value, Failure> {
    let date = |report: &Value| {
        let is_stats = STATS_KEYS.iter().any(|key| report.get(key).is_some());
        let date = report.get("date").and_then(Value::as_str);
        date.filter(|_| is_stats).map(str::to_owned)
    };
    let mut dated = Vec::new();
    for (place, report) in reports.into_iter().enumerate() {
        let date = date(&report).ok_or_else(|| {
            no_result(&format!("element {place} of the list is no result of stats with a date"))
        })?;
        dated.push((date, report));
    }
    // ISO dates sort as text.
    let newest = dated.into_iter().max_by(|one, other| one.0.cmp(&other.0));
    newest.map(|(_, report)| report).ok_or_else(|| no_result("the list is empty"))
}

fn no_result(why: &str) -> Failure {
    Failure::new(Kind::Usage, format!("--report is no result of stats or disk: {why}"))
        .hint("give it what `taskmon stats` or `taskmon disk` printed")
}

/// An alert of a text that somebody sends. Its text is what it is: another one is another alert.
///
/// # Errors
/// [`Kind::Usage`] if there is no text; `flag` is what it was given by.
pub fn message(flag: &str, text: &str, severity: Severity) -> Result<Alert, Failure> {
    let text = text.trim();
    if text.is_empty() {
        return Err(Failure::new(Kind::Usage, format!("{flag} is empty")));
    }
    Ok(Alert {
        kind: "message".to_owned(),
        severity,
        message: text.to_owned(),
        subject: Some(text.to_owned()),
        value: None,
        threshold: None,
        count: None,
        tasks: Vec::new(),
        url: None,
    })
}

/// The alerts of `--send`: a list of `{"type", "message", "severity"}`, each perhaps with a `key`, which distinguishes alerts of one type.
///
/// # Errors
/// [`Kind::Usage`], with the element and the key at fault.
pub fn given(document: Value) -> Result<Vec<Alert>, Failure> {
    let usage = |message: String| {
        Failure::new(Kind::Usage, format!("--send: {message}")).hint(
            "expected a list such as [{\"type\": \"deploy\", \"message\": \"…\", \"severity\": \"warning\"}]",
        )
    };
    let Value::Array(elements) = document else {
        return Err(usage("not a JSON list".to_owned()));
    };
    let alert = |(place, element): (usize, Value)| {
        if !element.is_object() {
            return Err(usage(format!("element {place} is not an object")));
        }
        let text = |key: &str| {
            let text = element.get(key).and_then(Value::as_str);
            let text = text.filter(|text| !text.trim().is_empty());
            text.ok_or_else(|| usage(format!("element {place} has no text \"{key}\"")))
        };
        let (kind, message) = (text("type")?.to_owned(), text("message")?.to_owned());
        let severity = element.get("severity").cloned().unwrap_or_default();
        let severity = serde_json::from_value(severity).map_err(|_| {
            usage(format!(
                "element {place} has no \"severity\" that is info, warning, error or critical"
            ))
        })?;
        let given = |key: &str| element.get(key).filter(|value| !value.is_null());
        let wrong = |key: &str, what| usage(format!("\"{key}\" of element {place} is not {what}"));
        let number = |key: &str| match given(key) {
            None => Ok(None),
            Some(Value::Number(number)) => Ok(Some(number.clone())),
            Some(_) => Err(wrong(key, "a number")),
        };
        let subject = match given("key").or(given("subject")) {
            None => None,
            Some(Value::String(subject)) => Some(subject.clone()),
            Some(_) => return Err(wrong("key", "a text")),
        };
        Ok(Alert {
            kind,
            severity,
            message,
            subject,
            value: number("value")?,
            threshold: number("threshold")?,
            count: None,
            tasks: Vec::new(),
            url: None,
        })
    };
    elements.into_iter().enumerate().map(alert).collect()
}
