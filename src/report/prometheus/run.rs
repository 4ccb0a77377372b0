//! What every file says of its run: when it ended, how, and how many alerts were firing.

use super::exposition::{Text, count, escape};
use crate::alert::Alert;
use crate::outcome::Severity;
use chrono::{DateTime, Utc};

/// A run, whatever became of it.
pub struct Run<'a> {
    pub job: &'a str,
    pub ended: DateTime<Utc>,
    /// Seconds.
    pub duration: f64,
    /// Of the table of exit codes.
    pub exit_code: u8,
    /// What the result says under `success`.
    pub success: bool,
    /// The time of the last successful run before it, in seconds since 1970; `None`: there was none, or nobody knows.
    pub last_success: Option<f64>,
}

const LAST_SUCCESS: &str = "taskmon_last_success_timestamp_seconds";

/// When the job last succeeded by a file that an earlier run of it left, in seconds since 1970.
pub fn last_success(file: &str, job: &str) -> Option<f64> {
    let start = format!("{LAST_SUCCESS}{{job=\"{}\"}} ", escape(job));
    let value = file.lines().find_map(|line| line.strip_prefix(&start))?;
    value.trim().parse().ok().filter(|time: &f64| time.is_finite())
}

pub fn add_run(text: &mut Text, run: &Run) {
    let job = || vec![("job", run.job)];
    let ended = run.ended.timestamp_millis() as f64 / 1000.0;
    text.one(
        "taskmon_last_run_timestamp_seconds",
        "When the last run of the job ended, in seconds since 1970.",
        job(),
        Some(ended),
    );
    text.one(
        "taskmon_last_run_success",
        "Whether the last run of the job did its work: 1 with the exit codes 0, 1 and 4, else 0.",
        job(),
        count(run.success.into()),
    );
    text.one(
        "taskmon_last_run_duration_seconds",
        "How long the last run of the job took.",
        job(),
        Some(run.duration),
    );
    text.one(
        "taskmon_last_run_exit_code",
        "The exit code of the last run of the job; 75: another run held the lock.",
        job(),
        Some(run.exit_code.into()),
    );
    text.one(
        LAST_SUCCESS,
        "When the last run of the job that did its work ended, in seconds since 1970; 0: never.",
        job(),
        // A rule on its age has a sample to go by from the first run on.
        Some(if run.success { ended } else { run.last_success.unwrap_or(0.0) }),
    );
}

pub fn add_errors(text: &mut Text, job: &str, errors: u64) {
    text.one(
        "taskmon_last_run_errors",
        "How many things the last run of the job could not do: the entries of errors.",
        vec![("job", job)],
        count(errors),
    );
}

/// All severities, so that a rule on one finds a sample also on a quiet day.
pub fn add_firing(text: &mut Text, job: &str, alerts: &[Alert]) {
    let samples = Severity::ALL.map(|severity| {
        let firing = alerts.iter().filter(|alert| alert.severity == severity).count();
        (vec![("job", job), ("severity", severity.name())], count(firing as u64))
    });
    text.family(
        "taskmon_alerts_standing",
        "Alerts that are firing by the last run of the job.",
        samples,
    );
}
