//! One day's report. Every part is a pure function of what the store, the machine and the broker said.

pub mod anomalies;
mod errors;
mod groups;
mod performance;
mod settings;
mod tasks;
mod trend;

pub use errors::{ErrorStatistics, FailedTaskDetail, OTHER_ERRORS};
pub use groups::{GroupFigures, OtherGroups, TaskGroup};
pub use performance::{PerformanceStatistics, SlowestTask};
pub use settings::{Category, Settings};
pub use tasks::{ProcessingTimePercentiles, TaskStatistics};
pub use trend::{DayTotal, TrendAnalysis};

use crate::alert::Alert;
use crate::calendar::{Day, days_up_to};
use crate::language::Language;
use crate::mapping::{Field, State, TaskTable, Wait};
use crate::outcome::Issue;
use crate::store::{DayFigures, DayRequest, ListedFirst};
use crate::system::broker;
use crate::system::disk::DiskReport;
use crate::system::resources::ResourceUsage;
use crate::timezone::Tz;
use chrono::{DateTime, NaiveDate, SecondsFormat, Utc};
use serde::Serialize;
use std::collections::BTreeMap;
use std::path::PathBuf;

/// A day's report as it is printed and saved.
#[derive(Debug, Clone, Serialize)]
pub struct DailyReport {
    pub success: bool,
    pub date: NaiveDate,
    pub timezone: String,
    pub task_statistics: TaskStatistics,
    pub performance_statistics: PerformanceStatistics,
    pub error_statistics: ErrorStatistics,
    pub system_statistics: SystemStatistics,
    pub trend_analysis: TrendAnalysis,
    /// By queue, at most 50 of them; `None`: the table has no column for it.
    pub queues: Option<Vec<TaskGroup>>,
    /// By the tasks' name, likewise.
    pub names: Option<Vec<TaskGroup>>,
    /// The tasks of the queues and of the names that are not listed.
    pub other: OtherGroups,
    /// The field that says to which day a task belongs.
    pub counted_by: &'static str,
    /// Rows without that field.
    pub undated_tasks: u64,
    /// The paths of the keys that are null because the table has no column for them.
    pub unavailable: Vec<String>,
    pub alerts: Vec<Alert>,
    pub errors: Vec<Issue>,
    pub report_path: Option<PathBuf>,
    /// RFC 3339, in `timezone`.
    pub generated_at: String,
    /// Seconds.
    pub execution_time: f64,
}

/// The machine and the queue at the time of the report.
#[derive(Debug, Clone, Serialize)]
pub struct SystemStatistics {
    pub disk_usage: Option<DiskUsage>,
    pub queue_statistics: QueueStatistics,
    pub resource_usage: ResourceUsage,
}

/// The fullest of the configured disks; GiB.
#[derive(Debug, Clone, Serialize)]
pub struct DiskUsage {
    pub total_gb: f64,
    pub used_gb: f64,
    pub free_gb: f64,
    pub usage_percent: f64,
}

/// What waits and what is worked on, now. What the source does not know is `None`.
#[derive(Debug, Clone, Default, Serialize)]
pub struct QueueStatistics {
    pub active_tasks: Option<u64>,
    pub scheduled_tasks: Option<u64>,
    pub reserved_tasks: Option<u64>,
    pub total_pending: Option<u64>,
    pub queues: Option<BTreeMap<String, Option<u64>>>,
    /// Deliveries that workers hold, by queue.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unacknowledged: Option<BTreeMap<String, u64>>,
    /// Consumers by queue, as far as the broker knows them: a queue without one is served by nobody.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub consumers: Option<BTreeMap<String, u64>>,
    /// Those that are held longer than the broker's visibility timeout.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub overdue_tasks: Option<u64>,
    /// Tasks that the table calls pending and that the broker does not hold: so many at least.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lost_tasks: Option<u64>,
    pub source: &'static str,
    /// Why a figure is null, by its key.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub reasons: BTreeMap<String, String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

/// What a report is made with.
#[derive(Debug, Clone)]
pub struct Context<'a> {
    pub timezone: Tz,
    pub language: Language,
    pub tasks: &'a TaskTable,
    pub settings: &'a Settings,
}

/// What a report says of the machine and the queue, at the time of the report.
pub struct Surroundings {
    /// `None`: no broker is configured.
    pub broker: Option<Result<broker::Figures, NoBroker>>,
    pub disks: DiskReport,
    pub resources: ResourceUsage,
    pub now: DateTime<Utc>,
    /// Since the run began.
    pub seconds: f64,
}

/// A broker that could not be asked, and why.
pub struct NoBroker {
    pub source: &'static str,
    pub error: String,
}

/// The days that `past_7_days` lists.
const LISTED_DAYS: usize = 7;

/// What the store is asked for a day's report.
pub fn request(
    date: NaiveDate,
    now: DateTime<Utc>,
    context: &Context,
    listed_first: ListedFirst,
) -> DayRequest {
    // Those that are listed, and the same weekday of the week before.
    let days = (LISTED_DAYS + 1).max(context.settings.baseline_days + 1);
    DayRequest {
        now,
        day: Day::new(date, context.timezone),
        trend: days_up_to(date, days, context.timezone),
        slowest: context.settings.slowest_tasks,
        failed_details: context.settings.failed_task_details,
        categories: context
            .settings
            .error_categories
            .iter()
            .map(|category| category.contains.clone())
            .collect(),
        listed_first,
    }
}

impl DailyReport {
    /// The report that a day's figures and what is around them amount to. Its alerts are for the rules to find, and where it is saved is for whoever
    /// saves it.
    pub fn assemble(
        request: &DayRequest,
        figures: &DayFigures,
        context: &Context,
        surroundings: Surroundings,
    ) -> Self {
        let missing = Missing { figures, context };
        let queue = queue_statistics(queue(figures, context, &missing), surroundings.broker);
        let mut unavailable = missing.paths();
        unavailable.extend(queue.unavailable(&figures.missing));
        unavailable.extend(groups::unavailable(&missing));
        let mut errors = issues(figures);
        errors.extend(surroundings.disks.errors);
        let now = surroundings.now.with_timezone(&context.timezone);
        Self {
            success: true,
            date: request.day.date,
            timezone: context.timezone.name().to_owned(),
            task_statistics: tasks::compute(figures, context, &missing),
            performance_statistics: performance::compute(figures, context, &missing),
            error_statistics: errors::compute(figures, context, &missing),
            system_statistics: SystemStatistics {
                disk_usage: surroundings.disks.disk_info.map(|worst| DiskUsage {
                    total_gb: worst.total_gb,
                    used_gb: worst.used_gb,
                    free_gb: worst.free_gb,
                    usage_percent: worst.usage_percent,
                }),
                queue_statistics: queue,
                resource_usage: surroundings.resources,
            },
            trend_analysis: trend::compute(request, figures, context),
            queues: groups::listed(&figures.groups.queues, surroundings.now),
            names: groups::listed(&figures.groups.names, surroundings.now),
            other: OtherGroups::compute(&figures.groups, surroundings.now),
            counted_by: figures.counted_by.map_or("created_at", |field| field.name()),
            undated_tasks: figures.undated,
            unavailable,
            alerts: Vec::new(),
            errors,
            report_path: None,
            generated_at: now.to_rfc3339_opts(SecondsFormat::Secs, false),
            execution_time: surroundings.seconds,
        }
    }
}

/// What the broker says where one is configured, else what the table does. A broker that cannot be asked never breaks the report.
fn queue_statistics(
    from_table: QueueStatistics,
    broker: Option<Result<broker::Figures, NoBroker>>,
) -> QueueStatistics {
    match broker {
        None => from_table,
        Some(Ok(figures)) => QueueStatistics::of_broker(figures, &from_table),
        Some(Err(NoBroker { source, error })) => {
            QueueStatistics { source, error: Some(error), ..QueueStatistics::default() }
        }
    }
}

/// Which fields a report has to do without.
struct Missing<'a> {
    figures: &'a DayFigures,
    context: &'a Context<'a>,
}

impl Missing<'_> {
    fn field(&self, field: Field) -> bool {
        self.context.tasks.field(field).is_none() || self.figures.missing.contains(&field)
    }

    fn wait(&self) -> bool {
        match self.context.tasks.wait {
            Wait::SinceCreation => self.field(Field::StartedAt) || self.field(Field::CreatedAt),
            Wait::Seconds(_) | Wait::Unknown => self.field(Field::WaitTime),
        }
    }

    /// The keys that are null, in the order of the report.
    fn paths(&self) -> Vec<String> {
        let mut paths = Vec::new();
        let mut add = |is_missing: bool, keys: &[&str]| {
            if is_missing {
                paths.extend(keys.iter().map(|key| (*key).to_owned()));
            }
        };
        add(
            self.field(Field::ProcessingTime),
            &[
                "task_statistics.average_processing_time",
                "task_statistics.processing_time_percentiles",
            ],
        );
        add(self.wait(), &["task_statistics.average_wait_time"]);
        add(self.field(Field::ProcessingTime), &["performance_statistics.slowest_tasks"]);
        add(self.field(Field::ErrorMessage), &["error_statistics.error_categories"]);
        add(self.field(Field::RetryCount), &["error_statistics.retry_statistics"]);
        paths
    }
}

/// Without a broker, the table's own open tasks.
fn queue(figures: &DayFigures, context: &Context, missing: &Missing) -> QueueStatistics {
    let states = &context.tasks.states;
    let total = |state: State| {
        let rows = figures.backlog.iter();
        rows.filter(|row| states.of(Some(&row.label)) == state).map(|row| row.tasks).sum()
    };
    let mut queues: BTreeMap<String, Option<u64>> = BTreeMap::new();
    for row in &figures.backlog {
        if let (Some(queue), State::Pending) = (&row.queue, states.of(Some(&row.label))) {
            let known = queues.entry(queue.clone()).or_default();
            *known = Some(known.unwrap_or(0) + row.tasks);
        }
    }
    QueueStatistics {
        active_tasks: Some(total(State::Processing)),
        scheduled_tasks: figures.scheduled,
        reserved_tasks: None,
        total_pending: Some(total(State::Pending)),
        queues: (!missing.field(Field::Queue)).then_some(queues),
        source: "database",
        ..QueueStatistics::default()
    }
}

impl QueueStatistics {
    /// The keys that are null because the table has no column for them. A broker needs none. That a table does not know when tasks are due is
    /// nothing unusual; a column that is configured and missing is.
    fn unavailable(&self, missing: &[Field]) -> Vec<String> {
        let keys = [
            ("queues", self.queues.is_none()),
            ("scheduled_tasks", missing.contains(&Field::DueAt)),
        ];
        let keys = keys.into_iter().filter(|(_, is_null)| self.source == "database" && *is_null);
        keys.map(|(key, _)| format!("system_statistics.queue_statistics.{key}")).collect()
    }

    /// The broker's figures instead of the table's, which has its say on what was lost.
    pub fn of_broker(figures: broker::Figures, from_table: &QueueStatistics) -> Self {
        let waiting: u64 = figures.queues.values().flatten().sum();
        let reserved: u64 = figures.unacknowledged.values().sum();
        let mut reasons = figures.reasons;
        // A message of another application in the same queues would hide one; nothing would make one up.
        let is_known = |key: &str| !reasons.contains_key(key);
        let (pending, held) = (is_known("total_pending"), is_known("reserved_tasks"));
        let lost_tasks = match (figures.is_whole, from_table.total_pending) {
            _ if !is_known("lost_tasks") => None,
            (true, Some(pending)) => {
                let held = waiting + reserved + figures.scheduled.unwrap_or(0);
                // A broker that does not know what is scheduled may not hold it at all yet.
                let scheduled = figures.scheduled.and(from_table.scheduled_tasks);
                Some((pending + scheduled.unwrap_or(0)).saturating_sub(held))
            }
            (true, None) => None,
            (false, _) => {
                let why = "the broker has other queues than broker.queues names, or too many keys to look for them";
                reasons.insert("lost_tasks".to_owned(), why.to_owned());
                None
            }
        };
        Self {
            active_tasks: figures.active,
            scheduled_tasks: figures.scheduled,
            reserved_tasks: held.then_some(reserved),
            total_pending: pending.then_some(waiting),
            queues: Some(figures.queues),
            unacknowledged: (held || !figures.unacknowledged.is_empty())
                .then_some(figures.unacknowledged),
            consumers: figures.consumers,
            overdue_tasks: figures.overdue,
            lost_tasks,
            source: figures.source,
            reasons,
            error: None,
        }
    }
}

fn issues(figures: &DayFigures) -> Vec<Issue> {
    let unreadable = figures.unreadable.iter().map(|(count, example)| {
        Issue::new(
            "time_unreadable",
            format!(
                "at least {count} rows hold a time that cannot be read and are counted on no day, for example {example:?}"
            ),
        )
    });
    unreadable.collect()
}
