//! How many tasks in which state, and how long they took.

use super::{Context, Missing};
use crate::mapping::{Field, State};
use crate::store::{DayFigures, Percentiles};
use crate::units::{mean_seconds, percent, round2};
use serde::Serialize;
use serde_json::{Map, Value};
use std::collections::BTreeMap;

#[derive(Debug, Clone, Serialize)]
pub struct TaskStatistics {
    pub total_tasks: u64,
    /// Always completed, failed, pending and processing; cancelled and other where there are any.
    pub status_breakdown: Map<String, Value>,
    /// By the table's own labels.
    pub raw_status_breakdown: BTreeMap<String, u64>,
    /// Percent of all tasks of the day.
    pub completion_rate: f64,
    pub failure_rate: f64,
    /// Seconds, over the tasks that have a processing time.
    pub average_processing_time: Option<f64>,
    pub processing_time_percentiles: Option<ProcessingTimePercentiles>,
    /// Seconds from creation, or from when they were due if that is later, to start, over the tasks that have a start.
    pub average_wait_time: Option<f64>,
}

/// Seconds, linearly interpolated as `percentile_cont` does.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ProcessingTimePercentiles {
    pub p50: f64,
    pub p90: f64,
    pub p95: f64,
    pub p99: f64,
    pub max: f64,
}

impl From<Percentiles> for ProcessingTimePercentiles {
    fn from(seconds: Percentiles) -> Self {
        let Percentiles { p50, p90, p95, p99, max } = seconds.each(round2);
        Self { p50, p90, p95, p99, max }
    }
}

/// The label of a row without a status.
const NO_LABEL: &str = "null";

pub(super) fn compute(
    figures: &DayFigures,
    context: &Context,
    missing: &Missing,
) -> TaskStatistics {
    let total = figures.cells.iter().map(|cell| cell.tasks).sum();
    let states = by_state(figures, context);
    let of = |state: State| states.get(&state).copied().unwrap_or(0);
    TaskStatistics {
        total_tasks: total,
        status_breakdown: breakdown(&states),
        raw_status_breakdown: by_label(figures),
        completion_rate: percent(of(State::Completed), total),
        failure_rate: percent(of(State::Failed), total),
        average_processing_time: if missing.field(Field::ProcessingTime) {
            None
        } else {
            mean_seconds(
                figures.cells.iter().map(|cell| cell.micros).sum(),
                figures.cells.iter().map(|cell| cell.timed).sum(),
            )
        },
        processing_time_percentiles: figures.percentiles.map(ProcessingTimePercentiles::from),
        average_wait_time: if missing.wait() {
            None
        } else {
            mean_seconds(
                figures.cells.iter().map(|cell| cell.wait_micros).sum(),
                figures.cells.iter().map(|cell| cell.waited).sum(),
            )
        },
    }
}

/// The day's tasks by state.
pub(super) fn by_state(figures: &DayFigures, context: &Context) -> BTreeMap<State, u64> {
    let mut states = BTreeMap::new();
    for cell in &figures.cells {
        let state = context.tasks.states.of(cell.label.as_deref());
        *states.entry(state).or_default() += cell.tasks;
    }
    states
}

fn breakdown(states: &BTreeMap<State, u64>) -> Map<String, Value> {
    State::ALL
        .into_iter()
        .map(|state| (state, states.get(&state).copied().unwrap_or(0)))
        .filter(|(state, tasks)| {
            let is_rare = matches!(state, State::Cancelled | State::Other);
            *tasks > 0 || !is_rare
        })
        .map(|(state, tasks)| (state.name().to_owned(), tasks.into()))
        .collect()
}

fn by_label(figures: &DayFigures) -> BTreeMap<String, u64> {
    let mut labels = BTreeMap::new();
    for cell in &figures.cells {
        let label = cell.label.as_deref().unwrap_or(NO_LABEL);
        *labels.entry(label.to_owned()).or_default() += cell.tasks;
    }
    labels
}
