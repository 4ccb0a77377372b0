//! The four jobs that cron runs.

use std::fmt;

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
    /// Whether it raises alerts, that it failed among them. Not if it is run by hand, unless that was asked for.
    pub raises_alerts: bool,
    /// Whether the job's heartbeat is pinged: a run by hand says nothing about the job that cron runs.
    pub has_heartbeat: bool,
    /// Why it is taken for a run by hand, and therefore notifies nobody.
    pub by_hand: Option<ByHand>,
}

/// What shows that somebody runs a job by hand: whoever does sees what comes of it, and need not be notified.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ByHand {
    Terminal,
    /// An option of the command line, such as `--date`: its result is not what cron's run would find.
    Option(&'static str),
}

/// Who runs a command.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Caller {
    /// It is the command of one of `[[schedule.jobs]]`, whatever its options are.
    Scheduled,
    ByHand(ByHand),
    /// A line of a crontab, a script: its options show it.
    Unknown,
}

impl Caller {
    /// What shows that it is a run by hand; `option`: an option of the command that does.
    pub fn by_hand(self, option: Option<ByHand>) -> Option<ByHand> {
        match self {
            Caller::Scheduled => None,
            Caller::ByHand(by_hand) => Some(by_hand),
            Caller::Unknown => option,
        }
    }
}

impl fmt::Display for ByHand {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ByHand::Terminal => f.write_str("on a terminal"),
            ByHand::Option(option) => write!(f, "with {option}"),
        }
    }
}

/// What the command line says of notifying.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Notify {
    /// Also if the run is one by hand.
    Always,
    Never,
    IfNotByHand,
}

impl JobRun {
    pub fn new(job: Job, notify: Notify, by_hand: Option<ByHand>) -> Self {
        let is_like_cron = by_hand.is_none() || notify == Notify::Always;
        Self {
            job,
            is_dry_run: false,
            raises_alerts: is_like_cron && notify != Notify::Never,
            has_heartbeat: is_like_cron,
            by_hand: by_hand.filter(|_| notify == Notify::IfNotByHand),
        }
    }

    /// One that changes nothing.
    pub fn dry(job: Job) -> Self {
        Self { job, is_dry_run: true, raises_alerts: false, has_heartbeat: false, by_hand: None }
    }
}
