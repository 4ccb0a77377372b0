//! What failed, and why.

use super::{Category, Context, Missing, tasks};
use crate::mapping::{Field, State};
use crate::store::{DayFigures, LONGEST_MESSAGE};
use chrono::SecondsFormat;
use serde::Serialize;
use serde_json::{Map, Value};
use std::collections::BTreeMap;

/// The category of a message that no category claims; the name is part of the interface in every language.
pub const OTHER_ERRORS: &str = "其他错误";

#[derive(Debug, Clone, Serialize)]
pub struct ErrorStatistics {
    /// Failed tasks with a message, by category, in the order of the configuration; those without a task are left out.
    pub error_categories: Option<Map<String, Value>>,
    /// Retry count → tasks of the day in any state, for counts above 0.
    pub retry_statistics: Option<Map<String, Value>>,
    /// With and without a message.
    pub total_failed_tasks: u64,
    /// Newest first.
    pub failed_tasks: Vec<FailedTaskDetail>,
}

#[derive(Debug, Clone, Serialize)]
pub struct FailedTaskDetail {
    pub task_id: Option<String>,
    /// None where there is no message.
    pub category: Option<String>,
    pub error_message: Option<String>,
    pub retry_count: Option<i64>,
    /// RFC 3339, in the report's zone.
    pub created_at: String,
}

pub(super) fn compute(
    figures: &DayFigures,
    context: &Context,
    missing: &Missing,
) -> ErrorStatistics {
    let failed = tasks::by_state(figures, context);
    ErrorStatistics {
        error_categories: (!missing.field(Field::ErrorMessage))
            .then(|| by_category(figures, &context.settings.error_categories)),
        retry_statistics: (!missing.field(Field::RetryCount)).then(|| by_retries(figures)),
        total_failed_tasks: failed.get(&State::Failed).copied().unwrap_or(0),
        failed_tasks: details(figures, context),
    }
}

fn by_category(figures: &DayFigures, categories: &[Category]) -> Map<String, Value> {
    let mut counts = Map::new();
    let places = (0..categories.len()).map(Some).chain([None]);
    for place in places {
        let tasks = figures.categories.get(&place).copied().unwrap_or(0);
        if tasks > 0 {
            let name = name(place, categories);
            // Two entries may share a name; they are one category then.
            let before = counts.get(&name).and_then(Value::as_u64).unwrap_or(0);
            counts.insert(name, (before + tasks).into());
        }
    }
    counts
}

fn by_retries(figures: &DayFigures) -> Map<String, Value> {
    let mut counts: BTreeMap<i64, u64> = BTreeMap::new();
    for cell in &figures.cells {
        if let Some(retries) = cell.retries.filter(|retries| *retries > 0) {
            *counts.entry(retries).or_default() += cell.tasks;
        }
    }
    counts.into_iter().map(|(retries, tasks)| (retries.to_string(), tasks.into())).collect()
}

fn details(figures: &DayFigures, context: &Context) -> Vec<FailedTaskDetail> {
    figures
        .failed
        .iter()
        .map(|task| FailedTaskDetail {
            task_id: task.task.clone(),
            category: task.category.map(|place| name(place, &context.settings.error_categories)),
            error_message: task.message.as_deref().map(|text| cut(text, task.message_length)),
            retry_count: task.retries,
            created_at: task
                .created_at
                .with_timezone(&context.timezone)
                .to_rfc3339_opts(SecondsFormat::AutoSi, false),
        })
        .collect()
}

/// The name of the category at a place; `None`: of what is in no category.
fn name(place: Option<usize>, categories: &[Category]) -> String {
    let category = place.and_then(|place| categories.get(place));
    category.map_or(OTHER_ERRORS, |category| &category.name).to_owned()
}

/// A message as far as it is shown; of one that is longer, its length in bytes is added.
fn cut(message: &str, length: Option<u64>) -> String {
    let Some(length) = length else {
        return message.to_owned();
    };
    let is_end = |place: &usize| message.is_char_boundary(*place);
    let end = (0..=LONGEST_MESSAGE.min(message.len())).rev().find(is_end).unwrap_or(0);
    format!("{}… ({length} bytes)", &message[..end])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn categories() -> Vec<Category> {
        let category =
            |name: &str, text: &str| Category { name: name.into(), contains: vec![text.into()] };
        vec![category("codes", "二维码"), category("parcels", "物流")]
    }

    #[test]
    fn a_long_message_is_cut_and_its_length_is_added() {
        assert_eq!(cut("物流为空", None), "物流为空");
        let whole = "x".repeat(LONGEST_MESSAGE);
        assert_eq!(cut(&whole, None), whole);
        assert_eq!(cut(&whole, Some(100_000_000)), format!("{whole}… (100000000 bytes)"));
        let wide = "物".repeat(LONGEST_MESSAGE);
        let shown = format!("{}… (196608 bytes)", "物".repeat(LONGEST_MESSAGE / 3));
        assert_eq!(cut(&wide, Some(196_608)), shown);
    }

    #[test]
    fn categories_without_a_task_are_left_out_and_equal_names_add_up() {
        let mut categories = categories();
        categories.push(categories[0].clone());
        let figures = DayFigures {
            categories: BTreeMap::from([(Some(0), 3), (Some(2), 4), (None, 2)]),
            ..DayFigures::default()
        };
        let counts = by_category(&figures, &categories);
        assert_eq!(serde_json::to_string(&counts).unwrap(), "{\"codes\":7,\"其他错误\":2}");
    }
}
