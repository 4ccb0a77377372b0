//! The slowest tasks, and the day's curve.

use super::{Context, Missing};
use crate::mapping::{Field, State};
use crate::store::DayFigures;
use serde::Serialize;
use serde_json::{Map, Value};

#[derive(Debug, Clone, Serialize)]
pub struct PerformanceStatistics {
    pub slowest_tasks: Option<Vec<SlowestTask>>,
    /// "0" to "23", in this order.
    pub hourly_distribution: Map<String, Value>,
    /// The first hour of the highest count; none on a day without tasks.
    pub peak_hour: Option<u8>,
    /// The hours above the mean and one (population) standard deviation.
    pub peak_hours: Vec<u8>,
}

#[derive(Debug, Clone, Serialize)]
pub struct SlowestTask {
    pub task_id: Option<String>,
    /// Seconds.
    pub processing_time: f64,
    pub status: State,
}

pub(super) fn compute(
    figures: &DayFigures,
    context: &Context,
    missing: &Missing,
) -> PerformanceStatistics {
    let hours = by_hour(figures);
    PerformanceStatistics {
        slowest_tasks: (!missing.field(Field::ProcessingTime)).then(|| slowest(figures, context)),
        hourly_distribution: hours
            .iter()
            .enumerate()
            .map(|(hour, tasks)| (hour.to_string(), (*tasks).into()))
            .collect(),
        peak_hour: peak_hour(&hours),
        peak_hours: peak_hours(&hours),
    }
}

fn slowest(figures: &DayFigures, context: &Context) -> Vec<SlowestTask> {
    figures
        .slowest
        .iter()
        .map(|task| SlowestTask {
            task_id: task.task.clone(),
            processing_time: task.processing_time,
            status: context.tasks.states.of(task.label.as_deref()),
        })
        .collect()
}

fn by_hour(figures: &DayFigures) -> [u64; 24] {
    let mut hours = [0; 24];
    for cell in &figures.cells {
        if let Some(hour) = hours.get_mut(usize::from(cell.hour)) {
            *hour += cell.tasks;
        }
    }
    hours
}

fn peak_hour(hours: &[u64; 24]) -> Option<u8> {
    let highest = *hours.iter().max()?;
    (0..24).find(|hour| highest > 0 && hours[usize::from(*hour)] == highest)
}

/// `count > mean + deviation` in whole numbers: with n hours, their sum S and the sum of their squares Q it says
/// n·count − S > √(n·Q − S²).
fn peak_hours(hours: &[u64; 24]) -> Vec<u8> {
    let n = hours.len() as i128;
    let sum: i128 = hours.iter().map(|tasks| i128::from(*tasks)).sum();
    let squares: i128 = hours.iter().map(|tasks| i128::from(*tasks).pow(2)).sum();
    let variance = n * squares - sum * sum;
    let is_peak = |tasks: u64| {
        let above = n * i128::from(tasks) - sum;
        above > 0 && above * above > variance
    };
    (0..24).filter(|hour| is_peak(hours[usize::from(*hour)])).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hours(counts: &[(usize, u64)]) -> [u64; 24] {
        let mut hours = [0; 24];
        for (hour, tasks) in counts {
            hours[*hour] = *tasks;
        }
        hours
    }

    #[test]
    fn the_peak_is_the_first_of_equal_hours() {
        assert_eq!(peak_hour(&hours(&[(9, 5), (14, 5)])), Some(9));
        assert_eq!(peak_hour(&hours(&[])), None);
    }

    #[test]
    fn peak_hours_lie_above_mean_and_deviation() {
        assert_eq!(peak_hours(&hours(&[])), [0; 0]);
        assert_eq!(peak_hours(&[7; 24]), [0; 0], "a flat day has no peak");
        assert_eq!(peak_hours(&hours(&[(9, 40), (14, 60), (15, 10)])), [9, 14]);
        // Half the hours 2, half 0: mean 1, deviation 1, and 2 is not above 2.
        let mut halves = [0; 24];
        halves[..12].fill(2);
        assert_eq!(peak_hours(&halves), [0; 0]);
    }
}
