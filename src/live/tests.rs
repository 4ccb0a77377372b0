use super::state::backlog;
use super::*;
use crate::mapping::States;
use crate::store::{
    DayCount, Grouped, Groups, ListedFirst, LiveFigures, OpenGroup, OpenTask, OpenTasks,
};
use crate::system::disk::{DiskReport, Status};
use crate::timezone::zone;
use chrono::TimeDelta;

pub(crate) fn now() -> DateTime<Utc> {
    "2026-11-22T04:00:00Z".parse().unwrap()
}

pub(crate) fn ago(minutes: i64) -> DateTime<Utc> {
    now() - TimeDelta::minutes(minutes)
}

pub(crate) fn open(tasks: u64, older: u64, minutes: i64) -> OpenTasks {
    OpenTasks {
        tasks,
        older,
        oldest: Some(OpenTask { task: Some("task_7".into()), since: ago(minutes) }),
    }
}

pub(crate) fn states() -> States {
    States { failed: vec!["failed".into()], ..States::default() }
}

pub(crate) fn count(label: &str, tasks: u64) -> DayCount {
    DayCount { day: 0, label: Some(label.into()), tasks }
}

pub(crate) fn healthy() -> LiveFigures {
    LiveFigures {
        finished: Some(60),
        scheduled: Some(7),
        today: vec![count("DONE", 90), count("FAILED", 10)],
        ..LiveFigures::default()
    }
}

pub(crate) fn disk(status: Status, usage_percent: f64) -> DiskReport {
    let disk = Disk {
        path: "/data".into(),
        label: None,
        mount: None,
        device: None,
        fs_type: None,
        total_gb: 10.0,
        used_gb: 1.0,
        free_gb: 9.0,
        usage_percent,
        inodes_usage_percent: None,
        read_only: false,
        should_be_writable: false,
        warning_percent: 80.0,
        critical_percent: 90.0,
        min_free_gb: None,
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

pub(crate) fn state_of(
    figures: &LiveFigures,
    disk: Option<&DiskReport>,
    missed: Option<&[MissedJob]>,
) -> LiveState {
    state(
        figures,
        &Facts {
            now: now(),
            zone: zone("Asia/Shanghai"),
            states: &states(),
            disk,
            missed,
            skipped: Some(&[]),
            unusual: Some(&[]),
        },
    )
}

pub fn limits() -> Limits {
    Limits { stuck_after_minutes: 60, backlog_after_minutes: 30, backlog_max: 1000, min_tasks: 20 }
}

#[test]
fn what_is_asked_follows_from_the_limits() {
    let asked = request(now(), zone("Asia/Shanghai"), &limits(), ListedFirst::default());
    assert_eq!(asked.today.date.to_string(), "2026-11-22");
    assert_eq!((asked.now, asked.stuck_before, asked.waiting_before), (now(), ago(60), ago(30)));
    assert_eq!(asked.finished_in, (ago(60), now()));
    assert_eq!(asked.finished_made_since, ago(24 * 60));
}

#[test]
fn the_document_has_the_keys_that_it_is_documented_with() {
    let mail = OpenGroup {
        pending: 3,
        older: 2,
        oldest: Some(ago(50)),
        processing: 1,
        scheduled: Some(4),
    };
    let rest = OpenGroup { pending: 9, ..OpenGroup::default() };
    let queues = Groups {
        listed: vec![(Some("mail".into()), mail), (None, rest.clone())],
        other: Some(rest),
    };
    let figures = LiveFigures {
        pending: open(120, 3, 45),
        processing: open(5, 0, 30),
        groups: Grouped { queues: Some(queues), names: None },
        ..healthy()
    };
    let missed = [MissedJob { job: "stats".into(), due: ago(600) }];
    let state = state_of(&figures, None, Some(&missed));
    assert_eq!(
        serde_json::to_value(state).unwrap(),
        serde_json::json!({
            "time": "2026-11-22T12:00:00+08:00",
            "backlog": {"pending": 120, "scheduled_tasks": 7, "older_than_limit": 3, "oldest_seconds": 2700, "oldest_task": "task_7",
                "finished_last_hour": 60, "drain_seconds": 7200},
            "stuck": {"tasks": 0, "processing": 5, "oldest_seconds": 1800, "oldest_task": "task_7"},
            "today": {"date": "2026-11-22", "total": 100, "failed": 10, "failure_rate": 10.0},
            "queues": [
                {"name": "mail", "pending": 3, "processing": 1, "scheduled": 4, "older_than_limit": 2, "oldest_seconds": 3000},
                {"name": null, "pending": 9, "processing": 0, "scheduled": null, "older_than_limit": 0, "oldest_seconds": null},
            ],
            "names": null,
            "other": {
                "queues": {"pending": 9, "processing": 0, "scheduled": null, "older_than_limit": 0, "oldest_seconds": null},
                "names": null,
            },
            "disk": null,
            "jobs": {"missed": [{"job": "stats", "due": "2026-11-22T02:00:00+08:00"}], "skipped": [], "unusual": []},
            "unavailable": ["names", "disk"],
        })
    );
}

#[test]
fn a_backlog_drains_at_the_rate_of_the_last_hour_or_the_time_is_unknown() {
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
fn what_is_scheduled_is_unknown_where_the_table_does_not_say_when_tasks_are_due() {
    let groups = Grouped { queues: Some(Groups::default()), names: Some(Groups::default()) };
    let figures = LiveFigures { scheduled: None, groups, ..healthy() };
    let state = state_of(&figures, Some(&disk(Status::Normal, 1.0)), Some(&[]));
    assert_eq!(state.backlog.scheduled_tasks, None);
    assert_eq!(
        state.unavailable,
        ["backlog.scheduled_tasks", "queues.scheduled", "names.scheduled"]
    );
}

#[test]
fn times_that_cannot_be_read_are_reported() {
    let figures = LiveFigures { unreadable: Some((2, "gestern".into())), ..healthy() };
    let issues = issues(&figures);
    assert_eq!(issues[0].kind, "time_unreadable");
    assert!(issues[0].message.starts_with("2 open tasks"));
}
