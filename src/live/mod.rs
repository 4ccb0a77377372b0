//! The live state: what is open, stuck and failing now, as the document that the rules look at.
//!
//! | key | meaning |
//! |---|---|
//! | `time` | of the state, RFC 3339, in the configured zone |
//! | `backlog.pending` | pending tasks that are due |
//! | `backlog.scheduled_tasks` | pending tasks that are not due yet; null: the table does not know when tasks are due |
//! | `backlog.older_than_limit` | those that were made, and were due, more than `backlog_after_minutes` ago |
//! | `backlog.oldest_seconds`, `backlog.oldest_task` | the age of the oldest, in whole seconds, and what reports call it; null: there is none |
//! | `backlog.finished_last_hour` | completed and failed tasks of the last hour, of those made within the last 24; null: the table has neither a time of completion nor of the last update |
//! | `backlog.drain_seconds` | how long the pending tasks take at that rate; null: unknown, or nothing finished |
//! | `stuck.tasks` | tasks that have been processed for more than `stuck_after_minutes` |
//! | `stuck.processing` | tasks that are processed |
//! | `stuck.oldest_seconds`, `stuck.oldest_task` | as above, of those that are processed, stuck or not |
//! | `today.date`, `today.total`, `today.failed`, `today.failure_rate` | the day so far, the rate in percent of all its tasks |
//! | `queues`, `names` | for each queue, and each name of tasks, at most 50 that have most pending tasks, and those that rules name: its `name` and `pending`, `processing`, `scheduled`, `older_than_limit`, `oldest_seconds` as above; null: the table has no column for it |
//! | `other.queues`, `other.names` | the same of all that are not listed; null: there are none |
//! | `disk.disk_info`, `disk.disks` | as `taskmon disk` prints them |
//! | `disk.unmeasured` | the entries of its `errors` about paths that could not be measured |
//! | `jobs.missed` | a `{"job", "due"}` for each scheduled job without a successful run when one was due; null: not known |
//! | `jobs.skipped` | a `{"job", "times"}` for each job whose last runs were all skipped for a lock, three or more of them; null: not known |
//! | `jobs.unusual` | a `{"job", "because", "seconds", "limit", "usual", "is_running"}` for each job whose last run took far longer ("longer") or far less time ("shorter") than its runs before, or more than its `max_runtime` ("max_runtime"); null: not known |
//! | `unavailable` | the paths that are null because nothing is known about them |

mod state;

pub use state::{Facts, issues, request, state};

use crate::outcome::Issue;
use crate::system::disk::{Disk, Worst};
use crate::values;
use chrono::{DateTime, NaiveDate, Utc};
use serde::{Deserialize, Serialize};

/// `[alerts.live]`
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Limits {
    #[serde(deserialize_with = "values::whole_number::<_, _, 0, 10_000_000>")]
    pub stuck_after_minutes: u32,
    #[serde(deserialize_with = "values::whole_number::<_, _, 0, 10_000_000>")]
    pub backlog_after_minutes: u32,
    #[serde(deserialize_with = "values::whole_number::<_, _, 0, 1_000_000_000_000>")]
    pub backlog_max: u64,
    /// Today's failure rate counts from so many tasks on.
    #[serde(deserialize_with = "values::whole_number::<_, _, 0, 1_000_000_000_000>")]
    pub min_tasks: u64,
}

/// A scheduled job without a successful run when one was due.
#[derive(Debug, Clone, PartialEq)]
pub struct MissedJob {
    pub job: String,
    /// The last time that it was due.
    pub due: DateTime<Utc>,
}

/// A job whose last run took far longer, or far less time, than is usual or allowed.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct UnusualJob {
    pub job: String,
    /// `longer`, `shorter` or `max_runtime`.
    pub because: &'static str,
    pub seconds: f64,
    pub limit: f64,
    /// `None`: it is `max_runtime` that says what is allowed.
    pub usual: Option<f64>,
    pub is_running: bool,
}

/// A job whose last runs were all skipped for a lock.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct SkippedJob {
    pub job: String,
    pub times: usize,
}

/// See the module.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct LiveState {
    pub time: String,
    pub backlog: Backlog,
    pub stuck: Stuck,
    pub today: Today,
    /// At most 50; `None`: the table has no column for it.
    pub queues: Option<Vec<TaskGroup>>,
    /// By the tasks' name, likewise.
    pub names: Option<Vec<TaskGroup>>,
    pub other: OtherOpen,
    pub disk: Option<Disks>,
    pub jobs: Jobs,
    pub unavailable: Vec<&'static str>,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Backlog {
    pub pending: u64,
    pub scheduled_tasks: Option<u64>,
    pub older_than_limit: u64,
    pub oldest_seconds: Option<u64>,
    pub oldest_task: Option<String>,
    pub finished_last_hour: Option<u64>,
    pub drain_seconds: Option<u64>,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Stuck {
    pub tasks: u64,
    pub processing: u64,
    pub oldest_seconds: Option<u64>,
    pub oldest_task: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Today {
    pub date: NaiveDate,
    pub total: u64,
    pub failed: u64,
    pub failure_rate: f64,
}

/// The open tasks of one queue, or of one name.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct TaskGroup {
    /// `None`: those that have none.
    pub name: Option<String>,
    #[serde(flatten)]
    pub figures: OpenFigures,
}

#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct OpenFigures {
    /// Those that are due.
    pub pending: u64,
    pub processing: u64,
    /// `None`: the table does not know when tasks are due.
    pub scheduled: Option<u64>,
    pub older_than_limit: u64,
    /// Of the pending ones that are due; `None`: there are none.
    pub oldest_seconds: Option<u64>,
}

/// The open tasks of all queues, and of all names, that are not listed; `None`: there are no others.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct OtherOpen {
    pub queues: Option<OpenFigures>,
    pub names: Option<OpenFigures>,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Disks {
    /// `None`: none could be measured.
    pub disk_info: Option<Worst>,
    pub disks: Vec<Disk>,
    pub unmeasured: Vec<Issue>,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Jobs {
    pub missed: Option<Vec<Missed>>,
    pub skipped: Option<Vec<SkippedJob>>,
    pub unusual: Option<Vec<UnusualJob>>,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Missed {
    pub job: String,
    /// RFC 3339, in the configured zone.
    pub due: String,
}

#[cfg(test)]
pub(crate) mod tests;
