//! A webhook's body as the operator wrote it: fields such as `{message}` become what is in the notification.

use super::message::{self, Form, Tone};
use crate::alert::{Alert, AlertUpdate, Notification, Status};
use crate::language::Language;
use crate::outcome::Severity;
use chrono::DateTime;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::{Value, json};

/// The lines of `{text}`.
const FORM: Form = Form {
    escape: str::to_owned,
    link: str::to_owned,
    bullet: "",
    newline: "\n  ",
    limit: 16_000,
    measure: message::bytes,
};

/// How a text becomes part of a body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Escape {
    /// Within the quotes of JSON.
    Json,
    /// Percent-encoded, for forms.
    Form,
    /// As it is.
    Nothing,
}

impl Escape {
    /// Of a body of this type.
    pub fn of(content_type: &str) -> Self {
        let kind = content_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
        match kind.as_str() {
            "application/x-www-form-urlencoded" => Escape::Form,
            kind if kind.ends_with("/json") || kind.ends_with("+json") => Escape::Json,
            _ => Escape::Nothing,
        }
    }

    fn apply(self, text: &str) -> String {
        match self {
            Escape::Json => {
                let quoted = Value::from(text).to_string();
                quoted[1..quoted.len().saturating_sub(1)].to_owned()
            }
            Escape::Form => utf8_percent_encode(text, NON_ALPHANUMERIC).to_string(),
            Escape::Nothing => text.to_owned(),
        }
    }
}

/// The body of a notification.
pub fn fill(template: &str, notification: &Notification, escape: Escape) -> String {
    let fields = fields(notification);
    let value =
        |name: &str| fields.iter().find(|(field, _)| *field == name).map(|(_, value)| value);
    let parts = split(template).map(|part| match part {
        Part::Text(text) => text.to_owned(),
        Part::Field(name) => match value(name) {
            Some(Value::String(text)) => escape.apply(text),
            // Numbers, null and lists are JSON of their own.
            Some(value) if escape == Escape::Form => escape.apply(&value.to_string()),
            Some(value) => value.to_string(),
            None => format!("{{{name}}}"),
        },
    });
    parts.collect()
}

/// That a template has no field that does not exist, and that filled in it is JSON, if it is to be.
///
/// # Errors
/// What is wrong, as it goes on after the name of the key.
pub fn check(template: &str, escape: Escape) -> Result<(), String> {
    let (full, bare) = (sample(Some(95)), sample(None));
    let known: Vec<&str> = fields(&full).into_iter().map(|(name, _)| name).collect();
    for part in split(template) {
        if let Part::Field(name) = part
            && !known.contains(&name)
        {
            return Err(format!(
                "has the field {{{name}}}, which does not exist; there are {{{}}}",
                known.join("}, {")
            ));
        }
    }
    if escape != Escape::Json {
        return Ok(());
    }
    [full, bare].iter().try_for_each(|notification| {
        let body = fill(template, notification, escape);
        serde_json::from_str::<Value>(&body)
            .map(drop)
            .map_err(|error| format!("is no JSON once its fields are filled in: {error}"))
    })
}

/// Each field and its value: of the notification, and of its first alert.
fn fields(notification: &Notification) -> Vec<(&'static str, Value)> {
    let first = notification.alerts.first();
    let of_first = |value: fn(&Alert) -> Value| first.map_or(Value::Null, |it| value(&it.alert));
    let tone = Tone::of(notification);
    let (status, worst) = match tone {
        Tone::Firing(severity) => (Status::Firing, Some(severity)),
        Tone::Resolved => (Status::Resolved, first.map(|update| update.alert.severity)),
    };
    vec![
        ("alerts", json!(notification.alerts)),
        ("count", json!(notification.alerts.len())),
        ("name", json!(notification.name.clone().unwrap_or_default())),
        ("host", json!(notification.host)),
        ("time", json!(message::timestamp(notification))),
        ("title", json!(message::title(notification))),
        ("text", json!(message::lines(notification, &FORM))),
        ("status", json!(status)),
        ("severity", json!(worst)),
        ("type", of_first(|alert| json!(alert.kind))),
        ("message", of_first(|alert| json!(alert.message))),
        ("subject", of_first(|alert| json!(alert.subject.clone().unwrap_or_default()))),
        ("value", of_first(|alert| json!(alert.value))),
        ("threshold", of_first(|alert| json!(alert.threshold))),
    ]
}

enum Part<'t> {
    Text(&'t str),
    Field(&'t str),
}

/// A field is a name of small letters in braces. The braces of JSON hold quotes or nothing.
fn split(template: &str) -> impl Iterator<Item = Part<'_>> {
    let mut rest = template;
    std::iter::from_fn(move || {
        let (part, length) = first_part(rest)?;
        rest = &rest[length..];
        Some(part)
    })
}

/// The first part of a text, and how long it is; `None`: the text is empty.
fn first_part(text: &str) -> Option<(Part<'_>, usize)> {
    let field = |from: usize| {
        let name = text[from..].strip_prefix('{')?.split_once('}')?.0;
        let is_name = |c: char| c.is_ascii_lowercase() || c == '_';
        (!name.is_empty() && name.chars().all(is_name)).then_some(name)
    };
    if text.is_empty() {
        return None;
    }
    if let Some(name) = field(0) {
        return Some((Part::Field(name), name.len().saturating_add(2)));
    }
    let next = text.match_indices('{').map(|(at, _)| at).find(|at| field(*at).is_some());
    let length = next.unwrap_or(text.len());
    Some((Part::Text(&text[..length]), length))
}

/// What templates are tried with: a text that has to be escaped, and an alert with a value or without one.
fn sample(value: Option<u32>) -> Notification {
    let alert = Alert {
        kind: "disk_space_warning".to_owned(),
        severity: Severity::Warning,
        message: "\"/\" is full\n".to_owned(),
        subject: value.map(|_| "/".to_owned()),
        value: value.map(Into::into),
        threshold: value.map(Into::into),
        count: None,
        tasks: Vec::new(),
        url: None,
    };
    Notification {
        name: Some("shop".to_owned()),
        host: "web-1".to_owned(),
        time: DateTime::UNIX_EPOCH.fixed_offset(),
        language: Language::En,
        alerts: vec![AlertUpdate { alert, status: Status::Firing }],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_braces_of_json_are_no_fields() {
        let filled = |template| fill(template, &sample(Some(95)), Escape::Json);
        assert_eq!(
            filled(
                r#"{"a": {}, "b": "{message}", "c": {value}, "d": "{ value }{", "e": "{host}{type}"}"#
            ),
            r#"{"a": {}, "b": "\"/\" is full\n", "c": 95, "d": "{ value }{", "e": "web-1disk_space_warning"}"#
        );
        assert_eq!(fill("{subject}|{value}", &sample(None), Escape::Nothing), "|null");
        assert_eq!(fill("m={message}", &sample(None), Escape::Form), "m=%22%2F%22%20is%20full%0A");
    }

    #[test]
    fn a_template_that_cannot_work_is_refused() {
        for (template, escape, expected) in [
            (r#"{"text": "{message}", "all": {alerts}}"#, Escape::Json, Ok(())),
            (
                r#"{"text": "{mesage}"}"#,
                Escape::Json,
                Err("has the field {mesage}, which does not exist"),
            ),
            (
                r#"{"text": {message}}"#,
                Escape::Json,
                Err("is no JSON once its fields are filled in"),
            ),
            (r#"{"text": "{message}",}"#, Escape::Json, Err("is no JSON")),
            ("", Escape::Json, Err("is no JSON")),
            ("{title}: {text}", Escape::Nothing, Ok(())),
            ("{what}", Escape::Nothing, Err("has the field {what}")),
        ] {
            let found = check(template, escape);
            match (found, expected) {
                (Ok(()), Ok(())) => {}
                (Err(found), Err(expected)) => assert!(found.contains(expected), "{found}"),
                (found, _) => panic!("{template}: {found:?}"),
            }
        }
    }
}
