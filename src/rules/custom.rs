//! `[[alerts.rules]]`: one's own thresholds.

use super::document::{Look, exact, float, plain};
use super::evaluation::{Alerts, Which};
use super::{Findings, On};
use crate::alert::Alert;
use crate::language::Language;
use crate::outcome::Severity;
use crate::values;
use serde::{Deserialize, Serialize};
use serde_json::Number;

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
    /// `{value}`, `{metric}` and `{threshold}` stand for the three; empty: one is made of them.
    #[serde(default)]
    pub message: String,
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
        match look.number(&self.metric) {
            Ok(Some(number)) => {
                if self.op.holds(float(number), self.value) {
                    findings.alerts.push(self.alert(number, look.context.language));
                } else if self.on == On::Live || self.is_near(float(number)) {
                    findings.wavering.push(all());
                }
            }
            Ok(None) => findings.unknown.push(all()),
            Err(misfit) => {
                findings.unknown.push(all());
                findings.alerts.extend(look.check_error(&self.name, &[misfit]));
            }
        }
    }

    /// Whether it would be exceeded but for the margin.
    fn is_near(&self, metric: f64) -> bool {
        let margin = self.clear_margin;
        self.op.holds(metric + margin, self.value) || self.op.holds(metric - margin, self.value)
    }

    fn alert(&self, value: &Number, language: Language) -> Alert {
        let template = match self.message.as_str() {
            "" => language.pick(
                format!("{{metric}} 为 {{value}}（{} {{threshold}}）", self.op.sign()),
                format!("{{metric}} is {{value}} ({} {{threshold}})", self.op.sign()),
            ),
            message => message.to_owned(),
        };
        let threshold = exact(self.value);
        let shown = [
            ("{value}", plain(value)),
            ("{metric}", self.metric.clone()),
            ("{threshold}", threshold.as_ref().map(plain).unwrap_or_default()),
        ];
        Alert {
            kind: self.name.clone(),
            severity: self.severity,
            message: filled(&template, &shown),
            subject: None,
            value: Some(value.clone()),
            threshold,
            count: None,
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
