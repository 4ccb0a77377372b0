//! Which figures of a day lie far from those of the days before it.
//!
//! The method is robust: one wild day among the days before neither hides nor raises an alarm.
//!
//! - *Expected* is the median of the days before; the *spread* is 1.4826 × the median absolute deviation (MAD), which is the
//!   standard deviation of normally distributed values. The *score* is (value − expected) / spread, and from 3.5 on, the limit that Iglewicz
//!   and Hoaglin give for it, the value is an anomaly.
//! - A history that hardly varies has a MAD near 0. So the spread is never less than what chance alone makes of such counts (the
//!   square root of an expected count, the standard error of a share), nor than 5 % of a count or one percentage point of a share.
//! - A value to which two of the days before come close, within twice that least spread, is nothing new: so weekends do not alarm.
//! - Whatever the spread, a value 30 % above the highest or below the lowest of the days before is an anomaly, if it makes a difference of at least
//!   three tasks.
//! - Days before the first task are no history. A day without tasks has no shares. With fewer than 4 days of history
//!   (fewer where `stats.baseline_days` is less) nothing is judged.

use super::DayTotal;
use crate::language::Language;
use crate::units::{percent, round2};
use serde::Serialize;

/// A figure that lies far from the days before.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Anomaly {
    pub metric: &'static str,
    pub value: f64,
    /// The median of the days before.
    pub expected: f64,
    /// How many spreads the value lies from it; negative below.
    pub score: f64,
    pub direction: &'static str,
    /// The same in words, in the configured language.
    pub reason: String,
}

/// A score from here on is an anomaly.
const LIMIT: f64 = 3.5;
/// From a median absolute deviation to a standard deviation.
const NORMAL: f64 = 1.4826;
/// This far beyond everything before is an anomaly whatever the spread.
const BEYOND: f64 = 0.3;
/// A difference of fewer tasks is chance.
const FEWEST_TASKS: f64 = 3.0;
/// Days that a judgement takes.
const FEWEST_DAYS: usize = 4;

/// A day and the days before it.
pub struct History {
    day: DayTotal,
    before: Vec<DayTotal>,
    fewest: usize,
}

impl History {
    /// `before` is newest first; its oldest days without any task are no history.
    pub fn new(day: DayTotal, before: &[DayTotal], baseline_days: usize) -> Self {
        let known = before.iter().rposition(|day| day.total > 0).map_or(0, |last| last + 1);
        Self {
            day,
            before: before[..known].to_vec(),
            fewest: FEWEST_DAYS.min(baseline_days).max(1),
        }
    }
}

/// A figure that is judged.
struct Metric {
    name: &'static str,
    zh: &'static str,
    en: &'static str,
    unit: Unit,
    of: fn(&DayTotal) -> u64,
}

#[derive(Clone, Copy, PartialEq)]
enum Unit {
    Tasks,
    /// Percent of the day's tasks.
    Share,
}

const METRICS: [Metric; 4] = [
    Metric {
        name: "total_tasks",
        zh: "任务总数",
        en: "The number of tasks",
        unit: Unit::Tasks,
        of: |day| day.total,
    },
    Metric {
        name: "failed_tasks",
        zh: "失败任务数",
        en: "The number of failed tasks",
        unit: Unit::Tasks,
        of: |day| day.failed,
    },
    Metric {
        name: "failure_rate",
        zh: "失败率",
        en: "The failure rate",
        unit: Unit::Share,
        of: |day| day.failed,
    },
    Metric {
        name: "completion_rate",
        zh: "完成率",
        en: "The completion rate",
        unit: Unit::Share,
        of: |day| day.completed,
    },
];

/// The anomalies of a day, in the order of the metrics.
pub fn find(history: &History, language: Language) -> Vec<Anomaly> {
    METRICS.iter().filter_map(|metric| judge(metric, history, language)).collect()
}

fn judge(metric: &Metric, history: &History, language: Language) -> Option<Anomaly> {
    let value = metric.value(&history.day)?;
    let before: Vec<f64> = history.before.iter().filter_map(|day| metric.value(day)).collect();
    if before.len() < history.fewest {
        return None;
    }
    let expected = median(&before);
    let score = (value - expected) / metric.spread(&before, expected, &history.day);
    let is_far =
        score.abs() >= LIMIT && !metric.is_familiar(value, &before, expected, &history.day);
    let is_record = metric.is_record(value, &before, &history.day);
    (is_far || is_record).then(|| Anomaly {
        metric: metric.name,
        value: round2(value),
        expected: round2(expected),
        score: round2(score),
        direction: if score > 0.0 { "up" } else { "down" },
        reason: metric.reason(value, expected, &before, language),
    })
}

impl Metric {
    /// None where the day has no tasks to take a share of.
    fn value(&self, day: &DayTotal) -> Option<f64> {
        match self.unit {
            Unit::Tasks => Some((self.of)(day) as f64),
            Unit::Share if day.total == 0 => None,
            Unit::Share => Some(percent((self.of)(day), day.total)),
        }
    }

    /// Never 0.
    fn spread(&self, before: &[f64], expected: f64, day: &DayTotal) -> f64 {
        let deviations: Vec<f64> = before.iter().map(|value| (value - expected).abs()).collect();
        (NORMAL * median(&deviations)).max(self.least_spread(expected, day))
    }

    /// What chance alone makes of a count or a share, and what nobody would call far.
    fn least_spread(&self, expected: f64, day: &DayTotal) -> f64 {
        match self.unit {
            Unit::Tasks => expected.sqrt().max(expected * 0.05).max(1.0),
            Unit::Share => {
                let part = expected / 100.0;
                let error = 100.0 * (part * (1.0 - part) / day.total as f64).max(0.0).sqrt();
                error.max(1.0)
            }
        }
    }

    /// Two of the days before were like this one.
    fn is_familiar(&self, value: f64, before: &[f64], expected: f64, day: &DayTotal) -> bool {
        let near = 2.0 * self.least_spread(expected, day);
        let alike = before.iter().filter(|other| (*other - value).abs() <= near);
        alike.count() >= 2
    }

    /// Far beyond everything before.
    fn is_record(&self, value: f64, before: &[f64], day: &DayTotal) -> bool {
        let (lowest, highest) = ends(before);
        let tasks = |difference: f64| match self.unit {
            Unit::Tasks => difference,
            Unit::Share => difference / 100.0 * day.total as f64,
        };
        // In hundredths, so that 130 against 100 is 30 % and not a little less.
        let hundredths = |number: f64| (number * 100.0).round();
        let above = hundredths(value - highest) >= hundredths(highest * BEYOND)
            && tasks(value - highest) >= FEWEST_TASKS;
        let below = hundredths(lowest - value) >= hundredths(lowest * BEYOND)
            && tasks(lowest - value) >= FEWEST_TASKS;
        above || below
    }

    fn reason(&self, value: f64, expected: f64, before: &[f64], language: Language) -> String {
        let (lowest, highest) = ends(before);
        let sign = if self.unit == Unit::Share { "%" } else { "" };
        let [value, expected, lowest, highest] =
            [value, expected, lowest, highest].map(|number| format!("{}{sign}", round2(number)));
        let (zh, en, days) = (self.zh, self.en, before.len());
        match language {
            Language::Zh => format!(
                "{zh}为 {value}，此前 {days} 天的中位数为 {expected}（最低 {lowest}，最高 {highest}）"
            ),
            Language::En => format!(
                "{en} is {value}; over the {days} days before, the median was {expected} (lowest {lowest}, highest {highest})"
            ),
        }
    }
}

fn ends(values: &[f64]) -> (f64, f64) {
    let lowest = values.iter().copied().fold(f64::INFINITY, f64::min);
    let highest = values.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    (lowest, highest)
}

/// The value in the middle; of an even number the mean of the two.
fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let middle = sorted.len() / 2;
    match (sorted.len() % 2, sorted.get(middle)) {
        (_, None) => 0.0,
        (1, Some(value)) => *value,
        (_, Some(value)) => (sorted[middle - 1] + value) / 2.0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use chrono::NaiveDate;

    fn day(total: u64, failed: u64) -> DayTotal {
        DayTotal { date: NaiveDate::default(), total, completed: total - failed, failed }
    }

    fn metrics(today: DayTotal, before: &[(u64, u64)]) -> Vec<(&'static str, &'static str)> {
        let before: Vec<DayTotal> = before.iter().map(|(t, f)| day(*t, *f)).collect();
        let history = History::new(today, &before, 7);
        find(&history, Language::En)
            .iter()
            .map(|anomaly| (anomaly.metric, anomaly.direction))
            .collect()
    }

    const STEADY: [(u64, u64); 7] = [(1000, 40); 7];
    const VARIED: [(u64, u64); 7] =
        [(1000, 41), (1040, 44), (950, 36), (1010, 40), (980, 45), (600, 22), (560, 20)];

    #[test]
    fn the_table_of_cases() {
        type Case = (
            &'static str,
            DayTotal,
            &'static [(u64, u64)],
            &'static [(&'static str, &'static str)],
        );
        let cases: &[Case] = &[
            ("an unchanging history and the same again", day(1000, 40), &STEADY, &[]),
            ("an unchanging history and one more", day(1001, 41), &STEADY, &[]),
            ("a tenth more tasks", day(1100, 44), &STEADY, &[]),
            (
                "30 % more failures than ever",
                day(1000, 52),
                &STEADY,
                &[("failed_tasks", "up"), ("failure_rate", "up")],
            ),
            ("just under 30 % more failures", day(1000, 51), &STEADY, &[]),
            (
                "30 % more failures than the worst of varied days",
                day(1000, 59),
                &VARIED,
                &[("failed_tasks", "up")],
            ),
            ("an ordinary day among varied ones", day(1020, 43), &VARIED, &[]),
            ("a weekend among varied days", day(570, 21), &VARIED, &[]),
            (
                "twice the tasks",
                day(2000, 80),
                &STEADY,
                &[("total_tasks", "up"), ("failed_tasks", "up")],
            ),
            (
                "no tasks at all",
                day(0, 0),
                &STEADY,
                &[("total_tasks", "down"), ("failed_tasks", "down")],
            ),
            (
                "everything fails",
                day(1000, 1000),
                &STEADY,
                &[("failed_tasks", "up"), ("failure_rate", "up"), ("completion_rate", "down")],
            ),
            (
                "the first failures ever",
                day(1000, 3),
                &[(1000, 0); 7],
                &[("failed_tasks", "up"), ("failure_rate", "up")],
            ),
            ("two failures where there were none", day(1000, 2), &[(1000, 0); 7], &[]),
            ("few tasks, a few more", day(6, 0), &[(4, 0); 7], &[]),
            ("an empty history", day(1000, 40), &[(0, 0); 7], &[]),
            (
                "three days of history",
                day(5000, 200),
                &[(1000, 40), (1000, 40), (1000, 40), (0, 0), (0, 0), (0, 0), (0, 0)],
                &[],
            ),
            (
                "four days of history",
                day(5000, 200),
                &[(1000, 40), (1000, 40), (1000, 40), (1000, 40), (0, 0), (0, 0), (0, 0)],
                &[("total_tasks", "up"), ("failed_tasks", "up")],
            ),
            (
                "one wild day before does not hide a second",
                day(9000, 360),
                &[
                    (1000, 40),
                    (9000, 360),
                    (1000, 40),
                    (1010, 40),
                    (990, 40),
                    (1000, 40),
                    (1005, 40),
                ],
                &[("total_tasks", "up"), ("failed_tasks", "up")],
            ),
        ];
        for (name, today, before, expected) in cases {
            let found = metrics(today.clone(), before);
            assert_eq!(found, *expected, "{name}");
        }
    }

    #[test]
    fn a_score_is_always_a_number() {
        for total in [0, 1, 2, 1000] {
            for before in [[(0, 0); 7], [(1, 1); 7], STEADY, VARIED] {
                let before: Vec<DayTotal> = before.iter().map(|(t, f)| day(*t, *f)).collect();
                for anomaly in find(&History::new(day(total, total), &before, 7), Language::Zh) {
                    assert!(anomaly.score.is_finite(), "{anomaly:?}");
                }
            }
        }
    }

    #[test]
    fn the_reason_says_it_in_both_languages() {
        let before = STEADY.map(|(total, failed)| day(total, failed));
        let history = History::new(day(1000, 60), &before, 7);
        let reason = |language| find(&history, language)[0].reason.clone();
        assert_eq!(
            reason(Language::En),
            "The number of failed tasks is 60; over the 7 days before, the median was 40 (lowest 40, highest 40)"
        );
        assert_eq!(
            reason(Language::Zh),
            "失败任务数为 60，此前 7 天的中位数为 40（最低 40，最高 40）"
        );
    }

    #[test]
    fn fewer_baseline_days_need_fewer_days_of_history() {
        let before = [day(100, 0), day(100, 0)];
        assert_eq!(find(&History::new(day(900, 0), &before, 2), Language::En).len(), 1);
        assert!(find(&History::new(day(900, 0), &before, 7), Language::En).is_empty());
        assert!(find(&History::new(day(900, 0), &[], 0), Language::En).is_empty());
    }
}
