//! `[stats]` of the configuration.

use crate::values;
use serde::{Deserialize, Serialize};
use std::path::PathBuf;

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Settings {
    #[serde(deserialize_with = "values::path", serialize_with = "values::show_path")]
    pub reports_dir: PathBuf,
    #[serde(deserialize_with = "values::whole_number::<_, _, 0, 100_000>")]
    pub slowest_tasks: usize,
    #[serde(deserialize_with = "values::whole_number::<_, _, 0, 100_000>")]
    pub failed_task_details: usize,
    /// The days before it that a day is judged by; 0: no anomalies.
    #[serde(deserialize_with = "values::whole_number::<_, _, 0, 366>")]
    pub baseline_days: usize,
    /// Empty: errors are sorted by the exception that they name. Without the key, the preset's.
    #[serde(default)]
    pub error_categories: Vec<Category>,
}

/// A failed task belongs to the first category of which its message contains a text.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Category {
    #[serde(deserialize_with = "values::non_empty_text")]
    pub name: String,
    #[serde(deserialize_with = "values::one_or_more_texts")]
    pub contains: Vec<String>,
}
