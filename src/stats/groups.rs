//! The day by queue, and by the tasks' name.

use super::{Missing, ProcessingTimePercentiles};
use crate::mapping::Field;
use crate::store::{DayGroup, GROUPED_BY, Grouped, Groups};
use crate::units;
use chrono::{DateTime, Utc};
use serde::Serialize;

/// The day's tasks of one queue, or of one name.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct TaskGroup {
    /// `None`: those that have none.
    pub name: Option<String>,
    #[serde(flatten)]
    pub figures: GroupFigures,
}

#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct GroupFigures {
    pub count: u64,
    pub failed: u64,
    /// Seconds from creation, or from when they were due if that is later, to start.
    pub waiting_time_percentiles: Option<ProcessingTimePercentiles>,
    pub processing_time_percentiles: Option<ProcessingTimePercentiles>,
    /// Whole seconds that the oldest of them that is not final has been waiting or in processing, at the time of the report; `None`: none is open.
    pub oldest_open_seconds: Option<u64>,
}

/// The tasks of all queues, and of all names, that are not listed; `None`: there are no others.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct OtherGroups {
    pub queues: Option<GroupFigures>,
    pub names: Option<GroupFigures>,
}

impl OtherGroups {
    pub(super) fn compute(groups: &Grouped<DayGroup>, now: DateTime<Utc>) -> Self {
        let other = |groups: &Option<Groups<DayGroup>>| {
            groups.as_ref()?.other.as_ref().map(|group| figures(group, now))
        };
        Self { queues: other(&groups.queues), names: other(&groups.names) }
    }
}

pub(super) fn listed(
    groups: &Option<Groups<DayGroup>>,
    now: DateTime<Utc>,
) -> Option<Vec<TaskGroup>> {
    let listed = groups.as_ref()?.listed.iter();
    let listed =
        listed.map(|(name, group)| TaskGroup { name: name.clone(), figures: figures(group, now) });
    Some(listed.collect())
}

fn figures(group: &DayGroup, now: DateTime<Utc>) -> GroupFigures {
    GroupFigures {
        count: group.tasks,
        failed: group.failed,
        waiting_time_percentiles: group.waiting.map(ProcessingTimePercentiles::from),
        processing_time_percentiles: group.processing.map(ProcessingTimePercentiles::from),
        oldest_open_seconds: group.oldest_open.map(|since| units::whole_seconds(since, now)),
    }
}

/// The keys that are null because the table has no column for them.
pub(super) fn unavailable(missing: &Missing) -> Vec<String> {
    let mut paths = Vec::new();
    for (field, key) in GROUPED_BY.into_iter().zip(["queues", "names"]) {
        if missing.field(field) {
            paths.push(key.to_owned());
            continue;
        }
        let times = [
            ("waiting_time_percentiles", missing.wait()),
            ("processing_time_percentiles", missing.field(Field::ProcessingTime)),
        ];
        let unknown = times.into_iter().filter(|(_, is_missing)| *is_missing);
        paths.extend(unknown.map(|(time, _)| format!("{key}.{time}")));
    }
    paths
}
