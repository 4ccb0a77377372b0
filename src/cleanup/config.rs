//! `[cleanup]`: how long what is kept, and where it may be deleted.

use super::{NamePatterns, Outside, Protected, TempAgeBy};
use crate::values;
use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// `[cleanup]`. Days are of 24 hours.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Config {
    #[serde(deserialize_with = "values::days")]
    pub completed_tasks_days: u32,
    #[serde(deserialize_with = "values::days")]
    pub failed_tasks_days: u32,
    /// `None`: cancelled tasks stay.
    #[serde(default, deserialize_with = "values::optional_days")]
    pub cancelled_tasks_days: Option<u32>,
    #[serde(deserialize_with = "values::days")]
    pub receipts_days: u32,
    #[serde(deserialize_with = "values::hours")]
    pub temp_files_hours: u32,
    #[serde(deserialize_with = "values::days")]
    pub log_files_days: u32,
    #[serde(deserialize_with = "values::paths", serialize_with = "values::show_paths")]
    pub storage_roots: Vec<PathBuf>,
    /// Empty: none is asked for.
    pub root_marker: String,
    #[serde(deserialize_with = "values::paths", serialize_with = "values::show_paths")]
    pub temp_dirs: Vec<PathBuf>,
    pub temp_age_by: TempAgeBy,
    #[serde(deserialize_with = "values::paths", serialize_with = "values::show_paths")]
    pub log_dirs: Vec<PathBuf>,
    pub log_patterns: NamePatterns,
    pub protect: Protected,
    pub outside_paths: Outside,
    /// Whether sub-folders of temp folders go that the sweep left empty.
    pub remove_empty_temp_folders: bool,
    /// Whether folders beneath the storage roots go that the removal of a row's files left empty.
    pub remove_empty_folders: bool,
    #[serde(deserialize_with = "values::whole_number::<_, _, 1, 1_000_000>")]
    pub batch_size: u32,
    /// 0: no limit.
    #[serde(deserialize_with = "values::whole_number::<_, _, 0, 31_536_000>")]
    pub max_runtime_seconds: u32,
    /// Of the tasks that have ended. 0: off.
    #[serde(deserialize_with = "values::percent")]
    pub brake_percent: f64,
    /// 0: off.
    #[serde(deserialize_with = "values::days")]
    pub clock_gap_days: u32,
}
