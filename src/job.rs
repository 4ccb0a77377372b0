//! The four jobs that cron runs.

/// A job, as locks, records of runs, heartbeats and metrics call it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Job {
    Cleanup,
    Stats,
    Disk,
    Alert,
}

impl Job {
    pub const ALL: [Job; 4] = [Job::Cleanup, Job::Stats, Job::Disk, Job::Alert];

    pub fn name(self) -> &'static str {
        match self {
            Job::Cleanup => "cleanup",
            Job::Stats => "stats",
            Job::Disk => "disk",
            Job::Alert => "alert",
        }
    }
}

/// A run of a job, and which of the steps around the job it takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct JobRun {
    pub job: Job,
    /// It says what it would do and does nothing.
    pub is_dry_run: bool,
    /// Whether it raises alerts, that it failed among them. Not if somebody asked for a past day, or for no alerts.
    pub raises_alerts: bool,
    /// Whether the job's heartbeat is pinged: `alert --test` says nothing about the job that cron runs.
    pub has_heartbeat: bool,
}
