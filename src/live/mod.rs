//! The live state: what is open, stuck and failing now, as a document that rules are held against.
//!
//! | key | meaning |
//! |---|---|
//! | `time` | of the state, RFC 3339, in the configured zone |
//! | `backlog.pending` | pending tasks |
//! | `backlog.older_than_limit` | those that were made more than `backlog_after_minutes` ago |
//! | `backlog.oldest_seconds`, `backlog.oldest_task` | the age of the oldest, in whole seconds, and what reports call it; null: there is none |
//! | `backlog.finished_last_hour` | completed and failed tasks of the last hour, of those made within the last 24; null: the table has neither a time of completion nor of the last update |
//! | `backlog.drain_seconds` | how long the pending tasks take at that rate; null: unknown, or nothing finished |
//! | `stuck.tasks` | tasks that have been processed for more than `stuck_after_minutes` |
//! | `stuck.processing` | tasks that are processed |
//! | `stuck.oldest_seconds`, `stuck.oldest_task` | as above, of those that are processed, stuck or not |
//! | `today.date`, `today.total`, `today.failed`, `today.failure_rate` | the day so far, the rate in percent of all its tasks |
//! | `disk.disk_info`, `disk.disks` | as `taskmon disk` prints them; `disk` is null where nothing was measured |
//! | `jobs.missed` | a `{"job", "due"}` for each scheduled job without a successful run when one was due; null: not known |
//! | `jobs.skipped` | a `{"job", "times"}` for each job whose last runs were all skipped for a lock, three or more of them; null: not known |
//! | `unavailable` | the paths that are null because nothing says what stands there |

use crate::calendar::Day;
use crate::mapping::{State, States};
use crate::outcome::Issue;
use crate::rules::{self, Evaluation, On, Settings};
use crate::store::{LiveFigures, LiveRequest, OpenTasks};
use crate::system::disk::{Disk, DiskReport, Worst};
use crate::units;
use anyhow::{Context, Result};
use chrono::{DateTime, NaiveDate, SecondsFormat, TimeDelta, Utc};
use chrono_tz::Tz;
use serde::Serialize;

/// `[alerts.live]`
#[derive(Debug, Clone, PartialEq)]
pub struct Limits {
    pub stuck_after_minutes: u32,
    pub backlog_after_minutes: u32,
    pub backlog_max: u64,
    /// From so many tasks on today's failure rate is judged.
    pub min_tasks: u64,
}

/// A scheduled job without a successful run when one was due.
#[derive(Debug, Clone, PartialEq)]
pub struct MissedJob {
    pub job: String,
    /// The last time that it was due.
    pub due: DateTime<Utc>,
}

/// A job whose last runs were all skipped for a lock.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct SkippedJob {
    pub job: String,
    pub times: usize,
}

/// See the module.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct LiveState {
    pub time: String,
    pub backlog: Backlog,
    pub stuck: Stuck,
    pub today: Today,
    pub disk: Option<Disks>,
    pub jobs: Jobs,
    pub unavailable: Vec<&'static str>,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Backlog {
    pub pending: u64,
    pub older_than_limit: u64,
    pub oldest_seconds: Option<u64>,
    pub oldest_task: Option<String>,
    pub finished_last_hour: Option<u64>,
    pub drain_seconds: Option<u64>,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Stuck {
    pub tasks: u64,
    pub processing: u64,
    pub oldest_seconds: Option<u64>,
    pub oldest_task: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Today {
    pub date: NaiveDate,
    pub total: u64,
    pub failed: u64,
    pub failure_rate: f64,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Disks {
    pub disk_info: Option<Worst>,
    pub disks: Vec<Disk>,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Jobs {
    pub missed: Option<Vec<Missed>>,
    pub skipped: Option<Vec<SkippedJob>>,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Missed {
    pub job: String,
    /// RFC 3339, in the configured zone.
    pub due: String,
}

/// The rate of finishing is that of the last hour, over tasks that were made within the last day.
const RATE_HOURS: i64 = 1;
const MADE_WITHIN_HOURS: i64 = 24;

/// What the store is asked at this time.
pub fn request(now: DateTime<Utc>, zone: Tz, limits: &Limits) -> LiveRequest {
    let ago = |minutes: u32| now - TimeDelta::minutes(minutes.into());
    LiveRequest {
        today: Day::new(now.with_timezone(&zone).date_naive(), zone),
        stuck_before: ago(limits.stuck_after_minutes),
        waiting_before: ago(limits.backlog_after_minutes),
        finished_in: (now - TimeDelta::hours(RATE_HOURS), now),
        finished_made_since: now - TimeDelta::hours(MADE_WITHIN_HOURS),
    }
}

/// What a run knows beside the table's figures.
#[derive(Debug, Clone, Copy)]
pub struct Surroundings<'a> {
    pub now: DateTime<Utc>,
    pub zone: Tz,
    /// Which label stands for which state.
    pub states: &'a States,
    /// `None`: the disks were not measured.
    pub disk: Option<&'a DiskReport>,
    /// `None`: nobody knows which jobs are due.
    pub missed: Option<&'a [MissedJob]>,
    /// `None`: the records of runs cannot be read.
    pub skipped: Option<&'a [SkippedJob]>,
}

/// The state that figures and surroundings amount to.
pub fn state(figures: &LiveFigures, around: &Surroundings) -> LiveState {
    let zoned = |time: DateTime<Utc>| {
        let local = time.with_timezone(&around.zone);
        local.to_rfc3339_opts(SecondsFormat::Secs, false)
    };
    let disk = around.disk.filter(|report| !report.nothing_measured());
    let missed = around.missed.map(|missed| {
        let missed =
            missed.iter().map(|missed| Missed { job: missed.job.clone(), due: zoned(missed.due) });
        missed.collect()
    });
    let mut unavailable = Vec::new();
    if figures.finished.is_none() {
        unavailable.extend(["backlog.finished_last_hour", "backlog.drain_seconds"]);
    }
    unavailable.extend(disk.is_none().then_some("disk"));
    unavailable.extend(missed.is_none().then_some("jobs.missed"));
    unavailable.extend(around.skipped.is_none().then_some("jobs.skipped"));
    LiveState {
        time: zoned(around.now),
        backlog: backlog(figures, around.now),
        stuck: stuck(&figures.processing, around.now),
        today: today(figures, around),
        disk: disk.map(|report| Disks {
            disk_info: report.disk_info.clone(),
            disks: report.disks.clone(),
        }),
        jobs: Jobs { missed, skipped: around.skipped.map(<[SkippedJob]>::to_vec) },
        unavailable,
    }
}

fn backlog(figures: &LiveFigures, now: DateTime<Utc>) -> Backlog {
    let pending = &figures.pending;
    let (oldest_seconds, oldest_task) = oldest(pending, now);
    let drain_seconds = match (pending.tasks, figures.finished) {
        (0, Some(_)) => Some(0),
        (tasks, Some(finished)) => (tasks * 3600).div_ceil(finished.max(1)).into(),
        (_, None) => None,
    };
    Backlog {
        pending: pending.tasks,
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
    let age = |since: DateTime<Utc>| u64::try_from((now - since).num_seconds()).unwrap_or(0);
    let oldest = open.oldest.as_ref();
    (oldest.map(|oldest| age(oldest.since)), oldest.and_then(|oldest| oldest.task.clone()))
}

fn today(figures: &LiveFigures, around: &Surroundings) -> Today {
    let is_failed = |label: &Option<String>| around.states.of(label.as_deref()) == State::Failed;
    let counts = figures.today.iter();
    let failed = counts.clone().filter(|count| is_failed(&count.label));
    let (total, failed) =
        (counts.map(|count| count.tasks).sum(), failed.map(|count| count.tasks).sum());
    Today {
        date: around.now.with_timezone(&around.zone).date_naive(),
        total,
        failed,
        failure_rate: units::percent(failed, total),
    }
}

/// What the figures could not tell, for `errors`.
pub fn issues(figures: &LiveFigures) -> Vec<Issue> {
    let unreadable = figures.unreadable.iter().map(|(count, example)| {
        Issue::new(
            "time_unreadable",
            format!("{count} open tasks hold a time that cannot be read and are never too old, for example {example:?}"),
        )
    });
    unreadable.collect()
}

/// Holds the rules against the live state.
///
/// # Errors
/// None that a state can cause.
pub fn evaluate(state: &LiveState, settings: &Settings) -> Result<Evaluation> {
    let document = serde_json::to_value(state).context("the live state is no JSON")?;
    Ok(rules::hold(On::Live, &document, settings))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::language::Language;
    use crate::outcome::Severity;
    use crate::rules::tests::settings;
    use crate::store::{DayCount, OpenTask};
    use crate::system::disk::Status;

    fn now() -> DateTime<Utc> {
        "2026-11-22T04:00:00Z".parse().unwrap()
    }

    fn ago(minutes: i64) -> DateTime<Utc> {
        now() - TimeDelta::minutes(minutes)
    }

    fn open(tasks: u64, older: u64, minutes: i64) -> OpenTasks {
        OpenTasks {
            tasks,
            older,
            oldest: Some(OpenTask { task: Some("task_7".into()), since: ago(minutes) }),
        }
    }

    fn states() -> States {
        States { failed: vec!["failed".into()], ..States::default() }
    }

    fn count(label: &str, tasks: u64) -> DayCount {
        DayCount { day: 0, label: Some(label.into()), tasks }
    }

    fn healthy() -> LiveFigures {
        LiveFigures {
            finished: Some(60),
            today: vec![count("DONE", 90), count("FAILED", 10)],
            ..LiveFigures::default()
        }
    }

    fn disk(status: Status, usage_percent: f64) -> DiskReport {
        let disk = Disk {
            path: "/data".into(),
            mount: None,
            device: None,
            fs_type: None,
            total_gb: 10.0,
            used_gb: 1.0,
            free_gb: 9.0,
            usage_percent,
            inodes_usage_percent: None,
            status,
            bytes: Default::default(),
        };
        DiskReport {
            success: true,
            disk_info: None,
            disks: vec![disk],
            alerts: Vec::new(),
            errors: Vec::new(),
        }
    }

    fn state_of(
        figures: &LiveFigures,
        disk: Option<&DiskReport>,
        missed: Option<&[MissedJob]>,
    ) -> LiveState {
        state(
            figures,
            &Surroundings {
                now: now(),
                zone: Tz::Asia__Shanghai,
                states: &states(),
                disk,
                missed,
                skipped: Some(&[]),
            },
        )
    }

    /// The types, severities and messages that stand.
    fn told(figures: &LiveFigures, language: Language) -> Vec<(String, Severity, String)> {
        let settings = Settings { language, ..settings() };
        let state = state_of(figures, Some(&disk(Status::Normal, 10.0)), Some(&[]));
        let alerts = evaluate(&state, &settings).unwrap().alerts.into_iter();
        alerts.map(|alert| (alert.kind, alert.severity, alert.message)).collect()
    }

    fn kinds(figures: &LiveFigures) -> Vec<String> {
        let told = told(figures, Language::En).into_iter();
        told.map(|(kind, ..)| kind).collect()
    }

    #[test]
    fn what_is_asked_follows_from_the_limits() {
        let asked = request(now(), Tz::Asia__Shanghai, &settings().live);
        assert_eq!(asked.today.date.to_string(), "2026-11-22");
        assert_eq!((asked.stuck_before, asked.waiting_before), (ago(60), ago(30)));
        assert_eq!(asked.finished_in, (ago(60), now()));
        assert_eq!(asked.finished_made_since, ago(24 * 60));
    }

    #[test]
    fn the_document_has_the_keys_that_it_is_documented_with() {
        let figures =
            LiveFigures { pending: open(120, 3, 45), processing: open(5, 0, 30), ..healthy() };
        let missed = [MissedJob { job: "stats".into(), due: ago(600) }];
        let state = state_of(&figures, None, Some(&missed));
        assert_eq!(
            serde_json::to_value(state).unwrap(),
            serde_json::json!({
                "time": "2026-11-22T12:00:00+08:00",
                "backlog": {"pending": 120, "older_than_limit": 3, "oldest_seconds": 2700, "oldest_task": "task_7",
                    "finished_last_hour": 60, "drain_seconds": 7200},
                "stuck": {"tasks": 0, "processing": 5, "oldest_seconds": 1800, "oldest_task": "task_7"},
                "today": {"date": "2026-11-22", "total": 100, "failed": 10, "failure_rate": 10.0},
                "disk": null,
                "jobs": {"missed": [{"job": "stats", "due": "2026-11-22T02:00:00+08:00"}], "skipped": []},
                "unavailable": ["disk"],
            })
        );
    }

    #[test]
    fn a_backlog_drains_at_the_last_hours_rate_or_nobody_knows_when() {
        for (pending, finished, seconds) in [
            (0, Some(0), Some(0)),
            (0, Some(7), Some(0)),
            (1, Some(7), Some(515)), // 514.3: it is not empty before
            (120, Some(60), Some(7200)),
            (120, Some(0), None),
            (120, None, None),
        ] {
            let figures = LiveFigures { pending: open(pending, 0, 1), finished, ..healthy() };
            let drain = backlog(&figures, now()).drain_seconds;
            assert_eq!(drain, seconds, "{pending} pending, {finished:?} finished");
        }
    }

    #[test]
    fn nothing_stands_where_all_is_well() {
        assert_eq!(kinds(&healthy()), [""; 0]);
    }

    #[test]
    fn one_stuck_task_is_enough() {
        let figures = |older| LiveFigures { processing: open(9, older, 192), ..healthy() };
        assert_eq!(kinds(&figures(0)), [""; 0]);
        assert_eq!(
            told(&figures(1), Language::Zh)[0].2,
            "任务卡住: 1 个任务处理超过 60 分钟仍未结束，最久的是 task_7（3 小时 12 分钟）"
        );
        assert_eq!(
            told(&figures(1), Language::En)[0].2,
            "Stuck tasks: 1 in processing for more than 60 minutes; the oldest is task_7 (3 h 12 min)"
        );
    }

    #[test]
    fn a_backlog_is_too_old_or_too_large() {
        let figures = |tasks, older| LiveFigures { pending: open(tasks, older, 95), ..healthy() };
        assert_eq!(kinds(&figures(999, 0)), [""; 0]);
        assert_eq!(kinds(&figures(1000, 0)), [""; 0]);
        assert_eq!(kinds(&figures(1001, 0)), ["backlog"]);
        assert_eq!(kinds(&figures(1, 1)), ["backlog"]);
        assert_eq!(
            told(&figures(1200, 300), Language::Zh)[0].2,
            "任务积压: 1200 个任务等待处理（上限 1000），其中 300 个已等待超过 30 分钟，最久的是 task_7（1 小时 35 分钟），最近一小时完成 60 个，按此速度还需 20 小时"
        );
        assert_eq!(
            told(&figures(1, 1), Language::En)[0].2,
            "Backlog: 1 pending; 1 of them for more than 30 minutes, the oldest is task_7 (1 h 35 min); 60 finished in the last hour, 1 min left at that rate"
        );
        let still = LiveFigures { finished: Some(0), ..figures(1, 1) };
        assert!(told(&still, Language::Zh)[0].2.ends_with("最近一小时没有任务完成"));
    }

    #[test]
    fn todays_rate_counts_from_the_minimum_of_tasks_on() {
        let figures = |total: u64, failed: u64| LiveFigures {
            today: vec![count("done", total - failed), count("Failed", failed)],
            ..healthy()
        };
        assert_eq!(kinds(&figures(19, 19)), [""; 0]);
        assert_eq!(kinds(&figures(20, 4)), [""; 0]); // 20 %
        assert_eq!(kinds(&figures(20, 5)), ["high_failure_rate"]);
        assert_eq!(kinds(&figures(20, 10)), ["high_failure_rate"]); // 50 %
        assert_eq!(kinds(&figures(20, 11)), ["critical_failure_rate"]);
        assert_eq!(told(&figures(20, 5), Language::Zh)[0].2, "今日任务失败率过高: 25%");
    }

    #[test]
    fn what_is_not_known_raises_nothing_and_resolves_nothing() {
        let evaluation = evaluate(&state_of(&healthy(), None, None), &settings()).unwrap();
        assert_eq!(evaluation.alerts, []);
        assert!(!evaluation.judges("disk_space_warning", Some("/data")));
        assert!(!evaluation.judges("job_missed", Some("stats")));
        assert!(evaluation.judges("backlog", None));
    }

    #[test]
    fn a_disk_and_a_missed_job_stand_under_their_names() {
        let missed = [MissedJob { job: "stats".into(), due: ago(600) }];
        let full = disk(Status::Critical, 95.5);
        let state = state_of(&healthy(), Some(&full), Some(&missed));
        let evaluation = evaluate(&state, &settings()).unwrap();
        let named: Vec<(&str, Option<&str>, Severity)> = evaluation
            .alerts
            .iter()
            .map(|alert| (&*alert.kind, alert.subject.as_deref(), alert.severity))
            .collect();
        assert_eq!(
            named,
            [
                ("disk_space_critical", Some("/data"), Severity::Critical),
                ("job_missed", Some("stats"), Severity::Error)
            ]
        );
        assert!(evaluation.judges("job_missed", Some("cleanup")));
    }

    #[test]
    fn times_that_cannot_be_read_are_told() {
        let figures = LiveFigures { unreadable: Some((2, "gestern".into())), ..healthy() };
        let issues = issues(&figures);
        assert_eq!(issues[0].kind, "time_unreadable");
        assert!(issues[0].message.starts_with("2 open tasks"));
    }
}
