//! Runs that last far longer than those before them, or end far sooner.
//!
//! *Usual* is the median of the successful runs before, of which there have to be at least ten; the *spread* is 1.4826 × the median absolute
//! deviation, as for the anomalies of a day. A run is unusual if it is more than six spreads away, and three times as long or as short, and by
//! at least a minute: what takes a second and once took three is not worth a message.

use super::runs::RunRecord;

/// A run that is not as those before it.
#[derive(Debug, Clone, PartialEq)]
pub struct UnusualRun {
    pub because: Because,
    /// How long it took, or has taken so far.
    pub seconds: f64,
    /// Beyond which it is unusual, in seconds.
    pub limit: f64,
    /// The median of the runs before it, in seconds; `None`: it does not matter.
    pub usual: Option<f64>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Because {
    /// Longer than `max_runtime` of the job.
    MaxRuntime,
    Longer,
    Shorter,
}

impl Because {
    /// As the live state has it.
    pub fn name(self) -> &'static str {
        match self {
            Because::MaxRuntime => "max_runtime",
            Because::Longer => "longer",
            Because::Shorter => "shorter",
        }
    }
}

/// Runs that a judgement takes.
pub const FEWEST: usize = 10;
/// More of them are long ago.
const MOST: usize = 200;
const SPREADS: f64 = 6.0;
const FACTOR: f64 = 3.0;
/// Seconds.
const LEAST: f64 = 60.0;
/// From a median absolute deviation to a standard deviation.
const NORMAL: f64 = 1.4826;

/// The last run of a job, if it is unusual.
///
/// `runs` are the job's own on this host, oldest first. `running`: for how many seconds one has been under way. `max_runtime` is in seconds.
pub fn judge(
    runs: &[&RunRecord],
    running: Option<f64>,
    max_runtime: Option<u32>,
) -> Option<UnusualRun> {
    let done: Vec<f64> = runs
        .iter()
        .filter(|run| run.is_success())
        .map(|run| run.duration_seconds)
        .filter(|seconds| seconds.is_finite())
        .collect();
    let (seconds, before) = match running {
        Some(seconds) => (seconds, &done[..]),
        None => {
            let (last, before) = done.split_last()?;
            (*last, before)
        }
    };
    let unusual = |because, limit, usual| UnusualRun { because, seconds, limit, usual };
    if let Some(max) = max_runtime.map(f64::from).filter(|max| seconds > *max) {
        return Some(unusual(Because::MaxRuntime, max, None));
    }
    let before = &before[before.len().saturating_sub(MOST)..];
    if before.len() < FEWEST {
        return None;
    }
    let usual = median(before);
    let deviations: Vec<f64> = before.iter().map(|seconds| (seconds - usual).abs()).collect();
    let spread = SPREADS * NORMAL * median(&deviations);
    let longest = (usual + spread.max(LEAST)).max(usual * FACTOR);
    let shortest = (usual - spread.max(LEAST)).min(usual / FACTOR);
    if seconds > longest {
        Some(unusual(Because::Longer, longest, Some(usual)))
    } else if seconds < shortest && running.is_none() {
        Some(unusual(Because::Shorter, shortest, Some(usual)))
    } else {
        None
    }
}

/// Of at least one value.
fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let half = sorted.len() / 2;
    if sorted.len().is_multiple_of(2) {
        f64::midpoint(sorted[half - 1], sorted[half])
    } else {
        sorted[half]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(seconds: f64, exit_code: u8) -> RunRecord {
        let start = chrono::DateTime::parse_from_rfc3339("2026-11-25T02:00:00+08:00").unwrap();
        RunRecord {
            job: "stats".into(),
            start,
            end: start,
            exit_code,
            skipped: exit_code == 75,
            held_by: None,
            duration_seconds: seconds,
            host: "box".into(),
            arguments: vec!["stats".into()],
            dry_run: false,
        }
    }

    fn judged(before: &[f64], last: f64, max: Option<u32>) -> Option<(Because, f64)> {
        let runs: Vec<RunRecord> = before.iter().chain([&last]).map(|s| run(*s, 0)).collect();
        let unusual = judge(&runs.iter().collect::<Vec<_>>(), None, max)?;
        assert_eq!(unusual.seconds, last);
        Some((unusual.because, unusual.limit))
    }

    #[test]
    fn a_run_is_unusual_by_factor_spread_and_difference() {
        let steady = [100.0; 10];
        let varied = [60.0, 80.0, 90.0, 95.0, 100.0, 100.0, 105.0, 110.0, 120.0, 140.0];
        for (before, last, expected) in [
            (&steady[..], 300.0, None),
            (&steady, 301.0, Some((Because::Longer, 300.0))),
            (&steady, 34.0, None),
            (&steady, 33.0, Some((Because::Shorter, 100.0 / 3.0))),
            // It is three times as long, and not far enough for how much they vary.
            (&[10.0, 10.0, 10.0, 400.0, 400.0, 400.0, 10.0, 400.0, 10.0, 400.0], 900.0, None),
            (&varied, 301.0, Some((Because::Longer, 300.0))),
            // Seconds are nothing.
            (&[0.2; 10], 60.0, None),
            (&[0.2; 10], 60.3, Some((Because::Longer, 60.2))),
            (&[50.0; 10], 0.0, None),
            // One is too few.
            (&steady[1..], 100_000.0, None),
        ] {
            let found = judged(before, last, None);
            match (found, expected) {
                (Some((because, limit)), Some((expected, near))) => {
                    assert_eq!(because, expected, "{before:?} {last}");
                    assert!((limit - near).abs() < 1e-9, "{before:?} {last}: {limit}");
                }
                (found, expected) => assert_eq!(found, expected, "{before:?} {last}"),
            }
        }
    }

    #[test]
    fn max_runtime_needs_no_history_and_beats_it() {
        assert_eq!(judged(&[], 61.0, Some(60)), Some((Because::MaxRuntime, 60.0)));
        assert_eq!(judged(&[], 60.0, Some(60)), None);
        assert_eq!(judged(&[1.0; 10], 500.0, Some(100)), Some((Because::MaxRuntime, 100.0)));
    }

    #[test]
    fn what_failed_or_was_skipped_neither_counts_nor_is_judged() {
        let mut runs: Vec<RunRecord> = (0..10).map(|_| run(100.0, 0)).collect();
        runs.extend([run(0.1, 3), run(0.0, 75)]);
        assert_eq!(judge(&runs.iter().collect::<Vec<_>>(), None, None), None);
    }

    #[test]
    fn a_run_under_way_is_never_too_short() {
        let runs: Vec<RunRecord> = (0..10).map(|_| run(100.0, 0)).collect();
        let runs: Vec<&RunRecord> = runs.iter().collect();
        assert_eq!(judge(&runs, Some(5.0), None), None);
        let unusual = judge(&runs, Some(301.0), None).unwrap();
        assert_eq!(unusual.because, Because::Longer);
    }
}
