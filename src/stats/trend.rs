//! The day among the days before it.

use super::anomalies::{Anomaly, History, find};
use super::{Context, LISTED_DAYS};
use crate::mapping::State;
use crate::store::{DayFigures, DayRequest};
use crate::units::change_percent;
use chrono::NaiveDate;
use serde::Serialize;

#[derive(Debug, Clone, Serialize)]
pub struct TrendAnalysis {
    /// Newest first, the report's day included.
    pub past_7_days: Vec<DayTotal>,
    /// The total against the day before.
    pub trend_percent: f64,
    pub trend_direction: &'static str,
    /// The same weekday of the week before.
    pub week_before: Option<DayTotal>,
    /// The total against it.
    pub week_percent: Option<f64>,
    pub anomalies: Vec<Anomaly>,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct DayTotal {
    pub date: NaiveDate,
    pub total: u64,
    pub completed: u64,
    pub failed: u64,
}

pub(super) fn compute(
    request: &DayRequest,
    figures: &DayFigures,
    context: &Context,
) -> TrendAnalysis {
    let days = totals(request, figures, context);
    let (today, before) = match days.split_first() {
        Some((today, before)) => (today.clone(), before),
        None => (DayTotal::none(request.day.date), &[][..]),
    };
    let yesterday = before.first().map_or(0, |day| day.total);
    let change = change_percent(today.total, yesterday);
    let baseline = &before[..context.settings.baseline_days.min(before.len())];
    let week_before = days.get(LISTED_DAYS).cloned();
    let against = |day: &DayTotal| change_percent(today.total, day.total);
    let week_percent = week_before.as_ref().map(against);
    let history = History::new(today, baseline, context.settings.baseline_days);
    TrendAnalysis {
        past_7_days: days.iter().take(LISTED_DAYS).cloned().collect(),
        trend_percent: change,
        trend_direction: if change > 0.0 {
            context.language.pick("增长", "up")
        } else if change < 0.0 {
            context.language.pick("下降", "down")
        } else {
            context.language.pick("持平", "flat")
        },
        week_before,
        week_percent,
        anomalies: find(&history, context.language),
    }
}

impl DayTotal {
    fn none(date: NaiveDate) -> Self {
        Self { date, total: 0, completed: 0, failed: 0 }
    }
}

/// Every day that was asked for, newest first.
fn totals(request: &DayRequest, figures: &DayFigures, context: &Context) -> Vec<DayTotal> {
    let mut days: Vec<DayTotal> =
        request.trend.iter().map(|day| DayTotal::none(day.date)).collect();
    for count in &figures.trend {
        let Some(day) = days.get_mut(count.day) else {
            continue;
        };
        day.total += count.tasks;
        match context.tasks.states.of(count.label.as_deref()) {
            State::Completed => day.completed += count.tasks,
            State::Failed => day.failed += count.tasks,
            _ => {}
        }
    }
    days.reverse();
    days
}
