//! The live state from the table's figures and what a run measured.

use super::{
    Backlog, Disks, Jobs, Limits, LiveState, Missed, MissedJob, OpenFigures, OtherOpen, SkippedJob,
    Stuck, TaskGroup, Today, UnusualJob,
};
use crate::calendar::{Day, Shift};
use crate::mapping::{State, States};
use crate::outcome::Issue;
use crate::store::{Groups, ListedFirst, LiveFigures, LiveRequest, OpenGroup, OpenTasks};
use crate::system::disk::DiskReport;
use crate::timezone::Tz;
use crate::units;
use chrono::{DateTime, SecondsFormat, TimeDelta, Utc};

/// The rate of finishing is that of the last hour, over tasks that were made within the last day.
const RATE_HOURS: i64 = 1;
const MADE_WITHIN_HOURS: i64 = 24;

/// What the store is asked at this time.
pub fn request(
    now: DateTime<Utc>,
    zone: Tz,
    limits: &Limits,
    listed_first: ListedFirst,
) -> LiveRequest {
    let ago = |minutes: u32| now.minus(TimeDelta::minutes(minutes.into()));
    LiveRequest {
        now,
        today: Day::new(now.with_timezone(&zone).date_naive(), zone),
        stuck_before: ago(limits.stuck_after_minutes),
        waiting_before: ago(limits.backlog_after_minutes),
        finished_in: (now.minus(TimeDelta::hours(RATE_HOURS)), now),
        finished_made_since: now.minus(TimeDelta::hours(MADE_WITHIN_HOURS)),
        listed_first,
    }
}

/// What a run knows besides the table's figures.
#[derive(Debug, Clone, Copy)]
pub struct Facts<'a> {
    pub now: DateTime<Utc>,
    pub zone: Tz,
    /// Which label means which state.
    pub states: &'a States,
    /// `None`: the disks were not measured.
    pub disk: Option<&'a DiskReport>,
    /// `None`: it is not known which jobs are due.
    pub missed: Option<&'a [MissedJob]>,
    /// `None`: the records of runs cannot be read.
    pub skipped: Option<&'a [SkippedJob]>,
    /// The same.
    pub unusual: Option<&'a [UnusualJob]>,
}

/// The live state.
pub fn state(figures: &LiveFigures, facts: &Facts) -> LiveState {
    let zoned = |time: DateTime<Utc>| {
        let local = time.with_timezone(&facts.zone);
        local.to_rfc3339_opts(SecondsFormat::Secs, false)
    };
    let missed = facts.missed.map(|missed| {
        let missed =
            missed.iter().map(|missed| Missed { job: missed.job.clone(), due: zoned(missed.due) });
        missed.collect()
    });
    let mut unavailable = Vec::new();
    unavailable.extend(figures.scheduled.is_none().then_some("backlog.scheduled_tasks"));
    if figures.finished.is_none() {
        unavailable.extend(["backlog.finished_last_hour", "backlog.drain_seconds"]);
    }
    let groups = &figures.groups;
    for (groups, key, scheduled) in [
        (&groups.queues, "queues", "queues.scheduled"),
        (&groups.names, "names", "names.scheduled"),
    ] {
        match groups {
            None => unavailable.push(key),
            Some(_) if figures.scheduled.is_none() => unavailable.push(scheduled),
            Some(_) => {}
        }
    }
    unavailable.extend(facts.disk.is_none().then_some("disk"));
    unavailable.extend(missed.is_none().then_some("jobs.missed"));
    unavailable.extend(facts.skipped.is_none().then_some("jobs.skipped"));
    unavailable.extend(facts.unusual.is_none().then_some("jobs.unusual"));
    LiveState {
        time: zoned(facts.now),
        backlog: backlog(figures, facts.now),
        stuck: stuck(&figures.processing, facts.now),
        today: today(figures, facts),
        queues: listed(&groups.queues, facts.now),
        names: listed(&groups.names, facts.now),
        other: OtherOpen {
            queues: other(&groups.queues, facts.now),
            names: other(&groups.names, facts.now),
        },
        disk: facts.disk.map(|report| Disks {
            disk_info: report.disk_info.clone(),
            disks: report.disks.clone(),
            unmeasured: report.unmeasured().cloned().collect(),
        }),
        jobs: Jobs {
            missed,
            skipped: facts.skipped.map(<[SkippedJob]>::to_vec),
            unusual: facts.unusual.map(<[UnusualJob]>::to_vec),
        },
        unavailable,
    }
}

pub(super) fn backlog(figures: &LiveFigures, now: DateTime<Utc>) -> Backlog {
    let pending = &figures.pending;
    let (oldest_seconds, oldest_task) = oldest(pending, now);
    let drain_seconds = match (pending.tasks, figures.finished) {
        (0, Some(_)) => Some(0),
        (tasks, Some(finished)) => (tasks * 3600).div_ceil(finished.max(1)).into(),
        (_, None) => None,
    };
    Backlog {
        pending: pending.tasks,
        scheduled_tasks: figures.scheduled,
        older_than_limit: pending.older,
        oldest_seconds,
        oldest_task,
        finished_last_hour: figures.finished,
        drain_seconds: drain_seconds.filter(|_| pending.tasks == 0 || figures.finished != Some(0)),
    }
}

fn stuck(processing: &OpenTasks, now: DateTime<Utc>) -> Stuck {
    let (oldest_seconds, oldest_task) = oldest(processing, now);
    Stuck { tasks: processing.older, processing: processing.tasks, oldest_seconds, oldest_task }
}

/// The age of the oldest in whole seconds, and its name. A task whose clock is ahead has no age yet.
fn oldest(open: &OpenTasks, now: DateTime<Utc>) -> (Option<u64>, Option<String>) {
    let oldest = open.oldest.as_ref();
    (
        oldest.map(|oldest| units::whole_seconds(oldest.since, now)),
        oldest.and_then(|oldest| oldest.task.clone()),
    )
}

fn listed(groups: &Option<Groups<OpenGroup>>, now: DateTime<Utc>) -> Option<Vec<TaskGroup>> {
    let listed = groups.as_ref()?.listed.iter();
    let listed =
        listed.map(|(name, group)| TaskGroup { name: name.clone(), figures: open(group, now) });
    Some(listed.collect())
}

fn other(groups: &Option<Groups<OpenGroup>>, now: DateTime<Utc>) -> Option<OpenFigures> {
    groups.as_ref()?.other.as_ref().map(|group| open(group, now))
}

fn open(group: &OpenGroup, now: DateTime<Utc>) -> OpenFigures {
    OpenFigures {
        pending: group.pending,
        processing: group.processing,
        scheduled: group.scheduled,
        older_than_limit: group.older,
        oldest_seconds: group.oldest.map(|since| units::whole_seconds(since, now)),
    }
}

fn today(figures: &LiveFigures, facts: &Facts) -> Today {
    let is_failed = |label: &Option<String>| facts.states.of(label.as_deref()) == State::Failed;
    let counts = figures.today.iter();
    let failed = counts.clone().filter(|count| is_failed(&count.label));
    let (total, failed) =
        (counts.map(|count| count.tasks).sum(), failed.map(|count| count.tasks).sum());
    Today {
        date: facts.now.with_timezone(&facts.zone).date_naive(),
        total,
        failed,
        failure_rate: units::percent(failed, total),
    }
}

/// What could not be found out from the figures, for `errors`.
pub fn issues(figures: &LiveFigures) -> Vec<Issue> {
    let unreadable = figures.unreadable.iter().map(|(count, example)| {
        Issue::new(
            "time_unreadable",
            format!("{count} open tasks hold a time that cannot be read and are never too old, for example {example:?}"),
        )
    });
    unreadable.collect()
}
