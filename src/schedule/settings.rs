//! `[schedule]` of the configuration.

use crate::outcome::{Failure, Kind};
use crate::values::{self, InvalidKey};
use serde::{Deserialize, Serialize};

/// `[schedule]`
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Settings {
    pub jobs: Vec<JobSettings>,
}

/// `[[schedule.jobs]]`
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct JobSettings {
    #[serde(deserialize_with = "values::non_empty_text")]
    pub name: String,
    #[serde(deserialize_with = "values::cron")]
    pub cron: String,
    /// Arguments of taskmon: `cleanup --only temp,logs`.
    #[serde(deserialize_with = "values::non_empty_text")]
    pub command: String,
    /// Empty: on every host.
    #[serde(default)]
    pub queue: String,
    /// 9 highest, 1 lowest.
    #[serde(default = "five", deserialize_with = "values::whole_number::<_, _, 1, 9>")]
    pub priority: u8,
    /// Seconds; a run that takes longer raises an alert.
    #[serde(
        default,
        deserialize_with = "values::optional_duration",
        skip_serializing_if = "Option::is_none"
    )]
    pub max_runtime: Option<u32>,
}

impl Settings {
    /// # Errors
    /// Two jobs have one name.
    pub fn check(&self) -> Result<(), InvalidKey> {
        values::check_names("jobs", self.names())
    }

    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.jobs.iter().map(|job| job.name.as_str())
    }
}

impl JobSettings {
    /// An error about this job: `message` goes on after its name.
    pub fn invalid(&self, message: &str) -> Failure {
        let name = self.name.escape_debug();
        Failure::new(Kind::ConfigInvalid, format!("schedule.jobs: the job \"{name}\" {message}"))
    }
}

fn five() -> u8 {
    5
}
