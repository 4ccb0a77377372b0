//! What failed, and why.

use super::{Context, Missing, tasks};
use crate::mapping::{Field, State};
use crate::store::{DayFigures, ErrorGroup, LONGEST_MESSAGE};
use chrono::SecondsFormat;
use serde::Serialize;
use serde_json::{Map, Value};
use std::collections::BTreeMap;

/// What errors are counted under that are in no category or name no exception: in Chinese, which is part of the interface wherever there are
/// categories, and in English.
pub const OTHER_ERRORS: [&str; 2] = ["其他错误", "other errors"];

#[derive(Debug, Clone, Serialize)]
pub struct ErrorStatistics {
    /// Failed tasks with a message: by category, in the order of the configuration, without those that have no task; or, without categories, by the
    /// exception that they name, the most frequent ones first.
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
        error_categories: (!missing.field(Field::ErrorMessage)).then(|| by_group(figures, context)),
        retry_statistics: (!missing.field(Field::RetryCount)).then(|| by_retries(figures)),
        total_failed_tasks: failed.get(&State::Failed).copied().unwrap_or(0),
        failed_tasks: details(figures, context),
    }
}

fn by_group(figures: &DayFigures, context: &Context) -> Map<String, Value> {
    let mut groups: Vec<(&ErrorGroup, u64)> =
        figures.errors.iter().map(|(group, tasks)| (group, *tasks)).collect();
    // Categories and the rest keep their order; of exceptions the first is the most frequent one.
    groups.sort_by_key(|(group, tasks)| match group {
        ErrorGroup::Category(_) => (0, 0),
        ErrorGroup::Exception(_) => (1, u64::MAX - tasks),
        ErrorGroup::Other => (2, 0),
    });
    let mut counts = Map::new();
    for (group, tasks) in groups {
        let name = name(group, context);
        // Two entries may share a name; they are one category then.
        let before = counts.get(&name).and_then(Value::as_u64).unwrap_or(0);
        counts.insert(name, (before + tasks).into());
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
            category: task.group.as_ref().map(|group| name(counted(group, figures), context)),
            error_message: task.message.as_deref().map(|text| cut(text, task.message_length)),
            retry_count: task.retries,
            created_at: task
                .created_at
                .with_timezone(&context.timezone)
                .to_rfc3339_opts(SecondsFormat::AutoSi, false),
        })
        .collect()
}

/// The group that a task is counted in: an exception that is not among the most frequent ones belongs to the rest.
fn counted<'a>(group: &'a ErrorGroup, figures: &DayFigures) -> &'a ErrorGroup {
    if figures.errors.contains_key(group) { group } else { &ErrorGroup::Other }
}

fn name(group: &ErrorGroup, context: &Context) -> String {
    let categories = &context.settings.error_categories;
    let [in_chinese, in_english] = OTHER_ERRORS;
    match group {
        ErrorGroup::Exception(name) => name.clone(),
        ErrorGroup::Category(place) => {
            categories.get(*place).map_or(in_chinese, |category| &category.name).to_owned()
        }
        ErrorGroup::Other if categories.is_empty() => {
            context.language.pick(in_chinese, in_english).to_owned()
        }
        ErrorGroup::Other => in_chinese.to_owned(),
    }
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
    use super::super::{Category, Settings};
    use super::*;
    use crate::language::Language;
    use crate::timezone::Tz;

    /// The counts as a report has them, in order.
    fn shown(
        errors: &[(ErrorGroup, u64)],
        categories: &[(&str, &str)],
        language: Language,
    ) -> String {
        let category = |(name, text): &(&str, &str)| Category {
            name: (*name).into(),
            contains: vec![(*text).into()],
        };
        let settings = Settings {
            reports_dir: "reports".into(),
            slowest_tasks: 0,
            failed_task_details: 0,
            baseline_days: 0,
            error_categories: categories.iter().map(category).collect(),
        };
        let tasks = toml::from_str("from = 't'\nkey = ['id']\nlabel = 'id'\nstatus = 's'").unwrap();
        let context = Context { timezone: Tz::UTC, language, tasks: &tasks, settings: &settings };
        let errors = errors.iter().cloned().collect();
        let figures = DayFigures { errors, ..DayFigures::default() };
        serde_json::to_string(&by_group(&figures, &context)).unwrap()
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
        let categories = [("codes", "二维码"), ("parcels", "物流"), ("codes", "二维码")];
        let errors =
            [(ErrorGroup::Category(0), 3), (ErrorGroup::Category(2), 4), (ErrorGroup::Other, 2)];
        for language in [Language::Zh, Language::En] {
            let shown = shown(&errors, &categories, language);
            assert_eq!(shown, "{\"codes\":7,\"其他错误\":2}");
        }
    }

    #[test]
    fn exceptions_come_by_their_number_and_the_rest_last_in_the_configured_language() {
        let named = |name: &str, tasks| (ErrorGroup::Exception(name.into()), tasks);
        let errors = [named("B", 3), named("A", 3), named("C", 4), (ErrorGroup::Other, 9)];
        let expected = "{\"C\":4,\"A\":3,\"B\":3,\"other errors\":9}";
        assert_eq!(shown(&errors, &[], Language::En), expected);
        let expected = expected.replace("other errors", "其他错误");
        assert_eq!(shown(&errors, &[], Language::Zh), expected);
    }
}
