//! `[schedule]` of the configuration.

use crate::outcome::{Failure, Kind};
use crate::values::{self, InvalidKey};
use serde::de::{Deserializer, Error as _};
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
    #[serde(deserialize_with = "cron")]
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

/// The form of a cron expression: five fields, or a word such as `@daily`. What it means is read when a command needs the jobs, so that an expression
/// that a cron may know does not keep the other jobs from their work.
fn cron<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    const WORDS: [&str; 8] = [
        "@reboot",
        "@hourly",
        "@daily",
        "@midnight",
        "@weekly",
        "@monthly",
        "@yearly",
        "@annually",
    ];
    let text = String::deserialize(deserializer)?;
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "*/,-~".contains(c);
    let fields: Vec<&str> = text.split_whitespace().collect();
    let has_form = fields.len() == 5 && fields.iter().all(|field| field.chars().all(is_plain));
    if has_form || WORDS.contains(&text.trim()) {
        return Ok(text);
    }
    Err(D::Error::custom(
        "a cron expression of five fields, such as \"0 2 * * *\", or a word such as \"@daily\"",
    ))
}
