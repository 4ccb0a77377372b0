//! `[[alerts.rules]]`: one's own thresholds.

use super::document::{Look, Misfit, Wrong, exact, float, plain};
use super::evaluation::{Alerts, Which};
use super::{Findings, On};
use crate::alert::Alert;
use crate::language::Language;
use crate::outcome::Severity;
use crate::values::{self, InvalidKey};
use crate::{live, stats};
use serde::{Deserialize, Serialize};
use serde_json::{Number, Value};

/// One's own threshold.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CustomRule {
    /// The type of its alert.
    #[serde(deserialize_with = "values::non_empty_text")]
    pub name: String,
    pub on: On,
    /// Keys of the result with dots between them; an element of a list by its number, from 0.
    #[serde(deserialize_with = "values::non_empty_text")]
    pub metric: String,
    pub op: Op,
    #[serde(deserialize_with = "values::finite_number")]
    pub value: f64,
    /// How far from the value the metric must be for the alert to be resolved at once.
    #[serde(default, deserialize_with = "values::finite_number")]
    pub clear_margin: f64,
    #[serde(default = "warning")]
    pub severity: Severity,
    /// The queue whose entry under `queues` the metric is a path in. The alert's subject is the queue.
    #[serde(default, with = "values::optional_text", skip_serializing_if = "Option::is_none")]
    pub queue: Option<String>,
    /// The same for tasks of a name, under `names`.
    #[serde(default, with = "values::optional_text", skip_serializing_if = "Option::is_none")]
    pub task: Option<String>,
    /// Where to read what to do about it.
    #[serde(default, with = "values::optional_text", skip_serializing_if = "Option::is_none")]
    pub runbook: Option<String>,
    /// `{queue}`, `{task}`, `{value}`, `{metric}` and `{threshold}` stand for these; empty: one is made of them.
    #[serde(default)]
    pub message: String,
}

/// What a rule is about, if not about all tasks.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Target<'a> {
    pub list: List,
    pub name: &'a str,
}

/// A list of a result, of what tasks have in common.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum List {
    Queues,
    Names,
}

/// So many at most of each list are certain to be listed, however few tasks they have: one place more is for the tasks that have neither
/// queue nor name.
pub const MOST_TARGETS: usize = 49;

impl List {
    /// Its key in a result.
    pub fn key(self) -> &'static str {
        match self {
            List::Queues => "queues",
            List::Names => "names",
        }
    }
}

/// What a metric says.
enum Reading {
    Number(Number),
    /// There is no task that it could be said of.
    Nothing,
    Unknown,
}

fn warning() -> Severity {
    Severity::Warning
}

/// How a rule compares a metric with its value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Op {
    #[serde(rename = ">")]
    Above,
    #[serde(rename = ">=")]
    AtLeast,
    #[serde(rename = "<")]
    Below,
    #[serde(rename = "<=")]
    AtMost,
    #[serde(rename = "==")]
    Equal,
    #[serde(rename = "!=")]
    NotEqual,
}

impl Op {
    fn holds(self, metric: f64, value: f64) -> bool {
        match self {
            Op::Above => metric > value,
            Op::AtLeast => metric >= value,
            Op::Below => metric < value,
            Op::AtMost => metric <= value,
            Op::Equal => metric == value,
            Op::NotEqual => metric != value,
        }
    }

    pub fn sign(self) -> &'static str {
        match self {
            Op::Above => ">",
            Op::AtLeast => ">=",
            Op::Below => "<",
            Op::AtMost => "<=",
            Op::Equal => "==",
            Op::NotEqual => "!=",
        }
    }
}

impl CustomRule {
    pub(super) fn evaluate(&self, look: &Look, findings: &mut Findings) {
        let all = || Alerts { kind: self.name.clone(), of: Which::Every };
        match self.read(look) {
            Ok(Reading::Number(number)) => {
                if self.op.holds(float(&number), self.value) {
                    findings.alerts.push(self.alert(&number, look.context.language));
                } else if self.on == On::Live || self.is_near(float(&number)) {
                    findings.wavering.push(all());
                }
            }
            Ok(Reading::Nothing) if self.on == On::Live => findings.wavering.push(all()),
            Ok(Reading::Nothing) => {}
            Ok(Reading::Unknown) => findings.unknown.push(all()),
            Err(misfit) => {
                findings.unknown.push(all());
                findings.alerts.extend(look.check_error(&self.name, &[misfit]));
            }
        }
    }

    pub fn target(&self) -> Option<Target<'_>> {
        let queue = self.queue.as_deref().map(|name| Target { list: List::Queues, name });
        queue.or(self.task.as_deref().map(|name| Target { list: List::Names, name }))
    }

    /// # Errors
    /// It names a queue and a task, or one of a result that has neither.
    pub fn check_target(&self) -> Result<(), InvalidKey> {
        let key = if self.task.is_some() { "task" } else { "queue" };
        let why = match (&self.queue, &self.task, self.on) {
            (Some(_), Some(_), _) => "cannot be given beside `queue`: a rule is about one of them",
            (None, None, _) | (_, _, On::Stats | On::Live) => return Ok(()),
            (_, _, On::Disk) => "has no meaning for a rule on = \"disk\"",
        };
        Err(InvalidKey::new(key, why))
    }

    fn read(&self, look: &Look) -> Result<Reading, Misfit> {
        let Some(Target { list, name }) = self.target() else {
            return Ok(match look.number(&self.metric)? {
                Some(number) => Reading::Number(number.clone()),
                None if self.metric.ends_with(".oldest_seconds") => Reading::Nothing,
                None => Reading::Unknown,
            });
        };
        let key = list.key();
        let entries = look.list(key)?.ok_or_else(|| Misfit::new(key, Wrong::NotInTable))?;
        let is_named = |entry: &&Value| entry.get("name").and_then(Value::as_str) == Some(name);
        // A queue that is not listed has no tasks: those that rules name are listed before others.
        let entry = entries.iter().find(is_named).cloned().unwrap_or_else(|| self.empty_entry());
        let in_entry = Look { document: &entry, context: look.context };
        let found = in_entry.number(&self.metric);
        Ok(match found.map_err(|misfit| misfit.within(&format!("{key}[{name}]")))? {
            Some(number) => Reading::Number(number.clone()),
            None if look.is_unavailable(&format!("{key}.{}", self.metric)) => Reading::Unknown,
            None => Reading::Nothing,
        })
    }

    /// What a result says of a queue, or a name, without tasks.
    fn empty_entry(&self) -> Value {
        let entry = match self.on {
            On::Live => serde_json::to_value(live::TaskGroup::default()),
            On::Stats | On::Disk => serde_json::to_value(stats::TaskGroup::default()),
        };
        entry.unwrap_or_default()
    }

    /// Whether it would be exceeded but for the margin.
    fn is_near(&self, metric: f64) -> bool {
        let margin = self.clear_margin;
        self.op.holds(metric + margin, self.value) || self.op.holds(metric - margin, self.value)
    }

    fn alert(&self, value: &Number, language: Language) -> Alert {
        let sign = self.op.sign();
        let (zh, en) = match self.target().map(|target| target.list) {
            Some(List::Queues) => ("队列 {queue} 的 ", " of the queue {queue}"),
            Some(List::Names) => ("任务 {task} 的 ", " of the task {task}"),
            None => ("", ""),
        };
        let template = match self.message.as_str() {
            "" => language.pick(
                format!("{zh}{{metric}} 为 {{value}}（{sign} {{threshold}}）"),
                format!("{{metric}}{en} is {{value}} ({sign} {{threshold}})"),
            ),
            message => message.to_owned(),
        };
        let threshold = exact(self.value);
        let shown = [
            ("{value}", plain(value)),
            ("{metric}", self.metric.clone()),
            ("{queue}", self.queue.clone().unwrap_or_default()),
            ("{task}", self.task.clone().unwrap_or_default()),
            ("{threshold}", threshold.as_ref().map(plain).unwrap_or_default()),
        ];
        Alert {
            kind: self.name.clone(),
            severity: self.severity,
            message: filled(&template, &shown),
            subject: self.target().map(|target| target.name.to_owned()),
            value: Some(value.clone()),
            threshold,
            count: None,
            tasks: Vec::new(),
            url: None,
        }
    }
}

/// The template with every placeholder replaced once; what is put in is not looked through again.
fn filled(template: &str, shown: &[(&str, String)]) -> String {
    let mut text = String::new();
    let mut rest = template;
    while let Some(at) = rest.find('{') {
        text.push_str(&rest[..at]);
        rest = &rest[at..];
        let known = shown.iter().find(|(name, _)| rest.starts_with(name));
        let (put_in, length) = known.map_or(("{", 1), |(name, value)| (value, name.len()));
        text.push_str(put_in);
        rest = &rest[length..];
    }
    text + rest
}
