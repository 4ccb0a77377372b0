//! `[alerts]`, as far as notifications go by it.

use crate::channels::ChannelConfig;
use crate::values;
use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// The keys of `[alerts]` that notifications go by.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Settings {
    #[serde(deserialize_with = "values::path", serialize_with = "values::show_path")]
    pub logs_dir: PathBuf,
    #[serde(deserialize_with = "values::path", serialize_with = "values::show_path")]
    pub records_dir: PathBuf,
    /// 0: whatever is firing is always sent.
    #[serde(deserialize_with = "values::hours")]
    pub repeat_after_hours: u32,
    /// After so many days records go; what still matters of them is carried on.
    #[serde(deserialize_with = "values::whole_number::<_, _, 1, 100_000>")]
    pub records_days: u32,
    /// For how long what is near its threshold, or goes up and down, must not be found before its alert is resolved.
    #[serde(deserialize_with = "values::whole_number::<_, _, 0, 100_000>")]
    pub clear_after_minutes: u32,
    #[serde(default)]
    pub maintenance: Vec<MaintenanceWindow>,
    #[serde(default, deserialize_with = "values::read_later")]
    pub channels: Vec<ChannelConfig>,
}

/// `[[alerts.maintenance]]`: a time that comes again, in which nobody is notified.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct MaintenanceWindow {
    /// When it begins, in the configured zone.
    #[serde(deserialize_with = "values::cron")]
    pub cron: String,
    #[serde(deserialize_with = "values::whole_number::<_, _, 1, 44_640>")]
    pub minutes: u32,
    /// `TYPE` or `TYPE=SUBJECT`; empty: all alerts.
    #[serde(default, deserialize_with = "values::texts")]
    pub alerts: Vec<String>,
    #[serde(default)]
    pub reason: String,
}
