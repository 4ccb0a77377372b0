use super::*;
use crate::language::Language;
use crate::notify::Summary;
use crate::notify::deliver::Rejection;
use crate::rules::tests::context as rule_context;
use crate::rules::{evaluate, given, read};
use chrono::{DateTime, TimeDelta};
use serde_json::{Value, json};
use std::path::PathBuf;
use std::sync::Mutex;
use std::time::Duration;
use tempfile::TempDir;

/// A folder, channels, and what each of them delivered.
struct Desk {
    folder: TempDir,
    receivers: Vec<Receiver>,
    /// Channels that take only so many alerts of a notification.
    broken: Vec<(&'static str, usize)>,
    repeat_hours: i64,
    retry: Retry,
    for_minutes: BTreeMap<String, u32>,
    host: &'static str,
    delivered: Mutex<Vec<String>>,
}

impl Desk {
    fn new(channels: &[&str]) -> Self {
        let receiver =
            |name: &&str| Receiver { name: (*name).to_owned(), min_severity: Severity::Warning };
        Self {
            folder: tempfile::tempdir().unwrap(),
            receivers: channels.iter().map(receiver).collect(),
            broken: Vec::new(),
            repeat_hours: 24,
            retry: Retry::Nothing,
            for_minutes: BTreeMap::new(),
            host: "h",
            delivered: Mutex::default(),
        }
    }

    fn path(&self, inside: &str) -> PathBuf {
        self.folder.path().join(inside)
    }

    /// Notifies of the evaluations, so many hours after noon, and says what the channels received: `hook: type/subject`, an end with `-` before it.
    fn run(&self, hours: i64, evaluations: &[Evaluation]) -> (Summary, Vec<String>) {
        let summary = self.run_in(Mode::Deliver, hours, evaluations);
        (summary, std::mem::take(&mut self.delivered.lock().unwrap()))
    }

    fn run_in(&self, mode: Mode, hours: i64, evaluations: &[Evaluation]) -> Summary {
        let (records_dir, logs_dir) = (self.path("records"), self.path("logs"));
        let noon = DateTime::parse_from_rfc3339("2026-11-22T12:00:00+08:00").unwrap();
        let context = Context {
            now: noon + TimeDelta::hours(hours),
            language: Language::En,
            name: None,
            host: self.host,
            repeat_after: TimeDelta::hours(self.repeat_hours),
            clear_after: TimeDelta::hours(2),
            for_minutes: &self.for_minutes,
            receivers: &self.receivers,
            silences: &[],
            records_dir: &records_dir,
            records_days: 90,
            logs_dir: &logs_dir,
            retry: self.retry,
            mode,
        };
        notify(evaluations, &context, |notifications| {
            notifications.iter().map(|(channel, one)| self.take(channel, one)).collect()
        })
    }

    fn take(&self, channel: &str, notification: &Notification) -> Delivery {
        let limit = self.broken.iter().find(|(name, _)| *name == channel);
        let accepted = limit.map_or(notification.alerts.len(), |(_, accepted)| *accepted);
        let (accepted, rejected) = notification.alerts.split_at(accepted);
        let delivered = accepted.iter().map(|update| {
            let sign = match update.status {
                Status::Firing => "",
                Status::Resolved => "-",
            };
            let subject = update.alert.subject.as_deref().unwrap_or_default();
            format!("{channel}: {sign}{}{subject}", update.alert.kind)
        });
        self.delivered.lock().unwrap().extend(delivered);
        let rejection = limit.map(|_| Rejection {
            alerts: rejected.to_vec(),
            attempts: Some(4),
            error: SendError::transient("503"),
        });
        Delivery {
            name: channel.to_owned(),
            accepted: accepted.to_vec(),
            rejected: rejection.into_iter().collect(),
        }
    }

    fn delivered(&self, hours: i64, evaluations: &[Evaluation]) -> Vec<String> {
        self.run(hours, evaluations).1
    }

    /// The day's records, parsed.
    fn records(&self) -> Vec<Value> {
        let text = std::fs::read_to_string(self.path("records/alerts_20261122.jsonl")).unwrap();
        let lines = text.lines().map(|line| serde_json::from_str(line).unwrap());
        lines.filter(|line: &Value| line["carried"].is_null()).collect()
    }

    fn log(&self, severity: &str) -> String {
        std::fs::read_to_string(self.path(&format!("logs/{severity}_alerts.log")))
            .unwrap_or_default()
    }
}

fn stats(failure_rate: f64) -> Evaluation {
    let report = json!({"success": true, "date": "2026-11-21", "task_statistics": {"total_tasks": 9, "failure_rate": failure_rate},
        "error_statistics": {"error_categories": {}}});
    evaluate(&read(report).unwrap(), &rule_context())
}

fn disks(statuses: &[(&str, &str)]) -> Evaluation {
    let disks: Vec<Value> = statuses
        .iter()
        .map(|(path, status)| json!({"path": path, "status": status, "usage_percent": 85.0}))
        .collect();
    let report = json!({"success": true, "disks": disks});
    evaluate(&read(report).unwrap(), &rule_context())
}

/// The same as the live state finds it.
fn live_disk(status: &str) -> Evaluation {
    let document = json!({"stuck": {"tasks": 0}, "backlog": {"pending": 0, "older_than_limit": 0}, "today": {"total": 0, "failure_rate": 0},
        "jobs": {"missed": null, "skipped": null, "unusual": null}, "disk": {"disks": [{"path": "/", "status": status, "usage_percent": 85.0}]}});
    crate::rules::evaluate_on(crate::rules::On::Live, &document, &rule_context())
}

fn send(kind: &str, key: Option<&str>, severity: &str) -> Evaluation {
    let alerts = json!([{"type": kind, "key": key, "message": "m", "severity": severity}]);
    Evaluation::given(given(alerts).unwrap())
}

const NOBODY: [&str; 0] = [];

#[test]
fn an_alert_is_notified_once_and_again_when_it_is_due() {
    let desk = Desk::new(&["hook"]);
    let (summary, delivered) = desk.run(0, &[stats(30.0)]);
    assert_eq!(delivered, ["hook: high_failure_rate"]);
    assert_eq!((summary.alerts_sent, summary.alerts_suppressed), (1, 0));
    let (summary, delivered) = desk.run(23, &[stats(35.0)]);
    assert_eq!(delivered, NOBODY);
    assert_eq!((summary.alerts.len(), summary.alerts_sent, summary.alerts_suppressed), (1, 0, 1));
    assert_eq!(desk.delivered(24, &[stats(35.0)]), ["hook: high_failure_rate"]);
    assert_eq!(desk.delivered(47, &[stats(35.0)]), NOBODY);
    assert_eq!(desk.delivered(48, &[stats(35.0)]), ["hook: high_failure_rate"]);
}

#[test]
fn a_worse_severity_is_notified_at_once_and_a_lesser_one_is_not() {
    let desk = Desk::new(&["hook"]);
    assert_eq!(desk.delivered(0, &[send("deploy", None, "warning")]), ["hook: deploy"]);
    assert_eq!(desk.delivered(1, &[send("deploy", None, "critical")]), ["hook: deploy"]);
    assert_eq!(desk.delivered(2, &[send("deploy", None, "error")]), NOBODY);
    assert_eq!(desk.delivered(3, &[send("deploy", Some("api"), "warning")]), ["hook: deployapi"]);
}

#[test]
fn two_alerts_of_one_identity_in_one_run_are_one() {
    let desk = Desk::new(&["hook"]);
    let (summary, delivered) =
        desk.run(0, &[send("a", None, "warning"), send("a", None, "warning")]);
    assert_eq!(delivered, ["hook: a"]);
    assert_eq!((summary.alerts.len(), summary.alerts_sent, summary.alerts_suppressed), (2, 1, 1));
}

#[test]
fn a_resolution_is_notified_once_and_what_returns_is_new() {
    let desk = Desk::new(&["hook"]);
    desk.delivered(0, &[stats(30.0)]);
    let (summary, delivered) = desk.run(1, &[stats(3.0)]);
    assert_eq!(delivered, ["hook: -high_failure_rate"]);
    assert_eq!((summary.alerts.len(), summary.alerts_sent, summary.alerts_resolved), (0, 0, 1));
    assert_eq!(desk.delivered(2, &[stats(3.0)]), NOBODY);
    assert_eq!(desk.delivered(3, &[stats(30.0)]), ["hook: high_failure_rate"]);
    assert_eq!(
        desk.log("warning")
            .lines()
            .map(|line| line.split_once(" - WARNING - ").unwrap().1)
            .collect::<Vec<_>>(),
        [
            "Task failure rate is high: 30%",
            "Resolved: Task failure rate is high: 30%",
            "Task failure rate is high: 30%"
        ]
    );
}

#[test]
fn a_firing_alert_is_remembered_however_long_ago_it_was_notified() {
    let desk = Desk::new(&["hook"]);
    desk.delivered(0, &[stats(30.0)]);
    // Other runs write the files of the days after it.
    for day in 1..40 {
        desk.delivered(24 * day, &[send("note", Some(&day.to_string()), "warning")]);
    }
    assert_eq!(desk.delivered(24 * 40, &[stats(3.0)]), ["hook: -high_failure_rate"]);
}

#[test]
fn only_the_origin_of_an_alert_resolves_it() {
    let desk = Desk::new(&["hook"]);
    desk.delivered(0, &[stats(30.0)]);
    for other in [
        disks(&[("/", "normal")]),
        live_disk("normal"),
        send("a", None, "warning"),
        Evaluation::job_succeeded("stats"),
    ] {
        assert!(!desk.delivered(1, &[other]).contains(&"hook: -high_failure_rate".to_owned()));
    }
    assert_eq!(desk.delivered(1, &[stats(3.0)]), ["hook: -high_failure_rate"]);
}

#[test]
fn a_disk_run_resolves_only_the_paths_that_it_measured() {
    let desk = Desk::new(&["hook"]);
    desk.delivered(0, &[disks(&[("/", "warning"), ("/data", "warning")])]);
    assert_eq!(desk.delivered(1, &[disks(&[("/", "normal")])]), ["hook: -disk_space_warning/"]);
    assert_eq!(desk.delivered(2, &[disks(&[])]), NOBODY);
    assert_eq!(
        desk.delivered(3, &[disks(&[("/data", "normal")])]),
        ["hook: -disk_space_warning/data"]
    );
}

#[test]
fn an_alert_of_two_origins_is_resolved_when_neither_raises_it() {
    let desk = Desk::new(&["hook"]);
    assert_eq!(desk.delivered(0, &[disks(&[("/", "warning")])]), ["hook: disk_space_warning/"]);
    assert_eq!(desk.delivered(1, &[live_disk("warning")]), NOBODY);
    assert_eq!(desk.delivered(2, &[live_disk("normal")]), NOBODY);
    assert_eq!(desk.delivered(3, &[disks(&[("/", "normal")])]), ["hook: -disk_space_warning/"]);
}

#[test]
fn what_becomes_worse_is_not_over_and_both_end_together() {
    let desk = Desk::new(&["hook"]);
    desk.delivered(0, &[disks(&[("/", "warning")])]);
    assert_eq!(desk.delivered(1, &[disks(&[("/", "critical")])]), ["hook: disk_space_critical/"]);
    assert_eq!(desk.delivered(2, &[disks(&[("/", "warning")])]), ["hook: -disk_space_critical/"]);
    desk.delivered(3, &[disks(&[("/", "critical")])]);
    assert_eq!(
        desk.delivered(4, &[disks(&[("/", "normal")])]),
        ["hook: -disk_space_critical/", "hook: -disk_space_warning/"]
    );
}

fn full_disk(percent: f64) -> Evaluation {
    let status = match percent {
        percent if percent > 90.0 => "critical",
        percent if percent > 80.0 => "warning",
        _ => "normal",
    };
    let disk = json!({"path": "/", "status": status, "usage_percent": percent, "warning_percent": 80, "critical_percent": 90});
    evaluate(
        &read(json!({"success": true, "disks": [disk], "errors": []})).unwrap(),
        &rule_context(),
    )
}

#[test]
fn a_value_around_its_threshold_is_one_message_and_its_end_another() {
    // It is resolved 2 points below, or after two hours without it.
    for (name, percents, expected) in [
        ("around it", &[81.0, 79.0, 81.0, 79.5, 80.5, 79.0][..], &["/"; 1][..]),
        ("well below", &[81.0, 77.9, 81.0], &["/", "-/", "/"]),
        ("exactly the margin", &[81.0, 78.0], &["/", "-/"]),
        ("near for long", &[81.0, 79.0, 79.0, 79.0, 79.0, 81.0], &["/", "-/", "/"]),
        ("not for long enough", &[81.0, 79.0, 79.0, 81.0, 79.0, 79.0], &["/"]),
    ] {
        let desk = Desk::new(&["hook"]);
        let at =
            |(hour, percent): (usize, &f64)| desk.delivered(hour as i64, &[full_disk(*percent)]);
        let delivered: Vec<String> = percents.iter().enumerate().flat_map(at).collect();
        let shown = |end: &&str| match end.strip_prefix('-') {
            Some(path) => format!("hook: -disk_space_warning{path}"),
            None => format!("hook: disk_space_warning{end}"),
        };
        let expected: Vec<String> = expected.iter().map(shown).collect();
        assert_eq!(delivered, expected, "{name}");
    }
}

#[test]
fn of_two_hosts_with_one_folder_neither_resolves_what_is_the_others() {
    let mut desk = Desk::new(&["hook"]);
    let full = || [disks(&[("/", "warning")]), stats(30.0)];
    let well = || [disks(&[("/", "normal")]), stats(1.0)];
    let both = ["hook: disk_space_warning/", "hook: high_failure_rate"];
    assert_eq!(desk.delivered(0, &full()).len(), both.len());
    desk.host = "other";
    // The tasks are those of both, a disk is each one's own.
    assert_eq!(desk.delivered(0, &full()), ["hook: disk_space_warning/"]);
    assert_eq!(desk.delivered(1, &well()).len(), 2);
    desk.host = "h";
    assert_eq!(desk.delivered(2, &well()), ["hook: -disk_space_warning/"]);
}

#[test]
fn what_is_not_watched_any_more_is_resolved_for_that_reason() {
    let desk = Desk::new(&["hook"]);
    let both = disks(&[("/", "warning"), ("/old", "warning")]);
    let paths = ["/", "/old"].map(std::path::Path::new);
    assert_eq!(desk.delivered(0, &[both.watching(paths)]).len(), 2);
    // A run that looks at some paths by hand says nothing of the others.
    assert_eq!(desk.delivered(1, &[disks(&[("/", "warning")])]), [""; 0]);
    let (summary, delivered) = desk.run(2, &[disks(&[("/", "warning")]).watching([paths[0]])]);
    assert_eq!(delivered, ["hook: -disk_space_warning/old"]);
    assert_eq!(summary.decisions[1].channels["hook"], Reason::NotWatched);
}

#[test]
fn old_records_go_and_what_still_fires_is_known_all_the_same() {
    let desk = Desk::new(&["hook"]);
    desk.delivered(0, &[stats(30.0)]);
    std::fs::write(desk.path("records/notes_20200101.jsonl"), "").unwrap();
    let days = |days: i64| desk.delivered(days * 24, &[disks(&[("/", "warning")])]);
    days(90);
    assert!(desk.path("records/alerts_20261122.jsonl").exists());
    days(91);
    assert!(!desk.path("records/alerts_20261122.jsonl").exists());
    assert!(desk.path("records/notes_20200101.jsonl").exists());
    let delivered = desk.delivered(92 * 24, &[stats(1.0)]);
    assert_eq!(delivered, ["hook: -high_failure_rate"]);
}

#[test]
fn a_lesser_alert_is_silent_until_the_higher_one_is_resolved() {
    let desk = Desk::new(&["hook"]);
    let delivered: Vec<String> = [91.0, 89.0, 91.0, 89.0, 87.0, 77.0]
        .iter()
        .enumerate()
        .flat_map(|(hour, percent)| desk.delivered(hour as i64, &[full_disk(*percent)]))
        .collect();
    assert_eq!(
        delivered,
        [
            "hook: disk_space_critical/",
            "hook: disk_space_warning/",
            "hook: -disk_space_critical/",
            "hook: -disk_space_warning/",
        ]
    );
}

#[test]
fn an_alert_that_has_to_be_found_for_a_while_is_firing_after_it() {
    for (name, percents, expected) in [
        ("for long enough", &[85.0, 85.0, 85.0, 10.0][..], &["", "-"][..]),
        ("not for long enough", &[85.0, 85.0, 10.0, 85.0, 85.0], &[]),
    ] {
        let mut desk = Desk::new(&["hook"]);
        desk.for_minutes.insert("disk_space_warning".to_owned(), 120);
        let at =
            |(hour, percent): (usize, &f64)| desk.delivered(hour as i64, &[full_disk(*percent)]);
        let delivered: Vec<String> = percents.iter().enumerate().flat_map(at).collect();
        let expected: Vec<String> =
            expected.iter().map(|end| format!("hook: {end}disk_space_warning/")).collect();
        assert_eq!(delivered, expected, "{name}");
    }
}

#[test]
fn what_could_not_be_judged_is_not_resolved() {
    let desk = Desk::new(&["hook"]);
    desk.delivered(0, &[stats(30.0)]);
    let broken = json!({"success": true, "task_statistics": {"total_tasks": 9}, "error_statistics": {"error_categories": null}});
    let broken = evaluate(&read(broken).unwrap(), &rule_context());
    assert_eq!(desk.delivered(1, &[broken]), ["hook: alert_check_errorfailure_rate"]);
    assert_eq!(
        desk.delivered(2, &[stats(3.0)]),
        ["hook: -alert_check_errorfailure_rate", "hook: -high_failure_rate"]
    );
}

#[test]
fn a_job_that_failed_is_over_when_it_succeeds() {
    let desk = Desk::new(&["hook"]);
    let failed = |job| Evaluation::job_failed(job, "no route", Language::En);
    assert_eq!(desk.delivered(0, &[failed(Some("stats"))]), ["hook: job_failedstats"]);
    assert_eq!(desk.delivered(1, &[Evaluation::job_succeeded("disk")]), NOBODY);
    assert_eq!(
        desk.delivered(1, &[Evaluation::job_succeeded("stats")]),
        ["hook: -job_failedstats"]
    );
    // One without a name is notified and never resolved.
    assert_eq!(desk.delivered(2, &[failed(None)]), ["hook: job_failed"]);
    assert_eq!(desk.delivered(3, &[Evaluation::job_succeeded("stats")]), NOBODY);
    assert_eq!(desk.delivered(4, &[failed(None)]), NOBODY);
}

#[test]
fn a_channel_gets_no_alert_below_its_minimum_and_no_resolution_of_one() {
    let mut desk = Desk::new(&["hook", "pager"]);
    desk.receivers[1].min_severity = Severity::Critical;
    let (summary, delivered) = desk.run(0, &[stats(30.0)]);
    assert_eq!(delivered, ["hook: high_failure_rate"]);
    assert_eq!(summary.alerts_sent, 1);
    assert_eq!(
        desk.records()[0]["channels"]["pager"],
        json!({"result": "below_minimum", "reason": "below_minimum"})
    );
    assert_eq!(desk.delivered(1, &[stats(3.0)]), ["hook: -high_failure_rate"]);
    // Below the minimum everywhere, it is held back everywhere; the log has it.
    desk.receivers.remove(0);
    let (summary, delivered) = desk.run(2, &[stats(30.0)]);
    assert_eq!((delivered.len(), summary.alerts_sent, summary.alerts_suppressed), (0, 0, 1));
    assert_eq!(desk.log("warning").lines().count(), 3);
}

// ---- channels that fail

#[test]
fn a_channel_that_fails_keeps_no_other_from_receiving_and_is_retried() {
    let mut desk = Desk::new(&["hook", "chat"]);
    desk.broken = vec![("hook", 0)];
    let (summary, delivered) = desk.run(0, &[stats(30.0)]);
    assert_eq!(delivered, ["chat: high_failure_rate"]);
    assert_eq!(summary.alerts_sent, 1);
    assert_eq!(summary.errors.len(), 1);
    assert_eq!(
        (summary.errors[0].kind, &*summary.errors[0].message),
        ("channel_failed", "the channel hook failed: 503")
    );
    assert_eq!(
        serde_json::to_value(&summary.channels).unwrap(),
        json!([{"channel": "hook", "sent": 0, "error": "503"}, {"channel": "chat", "sent": 1, "error": null}])
    );
    assert_eq!(
        desk.records()[0]["channels"]["hook"],
        json!({"result": "failed", "reason": "first", "attempts": 4, "error": "503"})
    );
    // Another job notifies only of what it found; the next run of `alert` retries the rest, though it does not look at that report.
    desk.broken.clear();
    assert_eq!(desk.delivered(1, &[disks(&[("/", "normal")])]), NOBODY);
    desk.retry = Retry::Undelivered;
    let (summary, delivered) = desk.run(2, &[live_disk("normal")]);
    assert_eq!(delivered, ["hook: high_failure_rate"]);
    assert_eq!((summary.alerts.len(), summary.alerts_sent), (1, 1));
    assert_eq!(desk.delivered(3, &[live_disk("normal")]), NOBODY);
    assert_eq!(
        desk.delivered(4, &[stats(3.0)]),
        ["hook: -high_failure_rate", "chat: -high_failure_rate"]
    );
}

#[test]
fn a_channel_that_is_down_is_said_once_a_day() {
    let mut desk = Desk::new(&["hook"]);
    desk.retry = Retry::Undelivered;
    desk.broken = vec![("hook", 0)];
    let run = |hour| desk.run(hour, &[stats(30.0)]).0;
    // The result says it each time.
    let said = (0..60).filter(|hour| {
        let summary = run(*hour);
        assert_eq!(summary.errors.len(), 1, "{hour}");
        !summary.known.contains(&summary.errors[0].message)
    });
    assert_eq!(said.collect::<Vec<i64>>(), [0, 25, 50]);
}

#[test]
fn what_is_undelivered_is_retried_for_a_day() {
    let mut desk = Desk::new(&["hook"]);
    (desk.retry, desk.broken) = (Retry::Undelivered, vec![("hook", 0)]);
    desk.run(0, &[send("a", None, "warning")]);
    desk.run(12, &[live_disk("normal")]);
    desk.broken.clear();
    assert_eq!(desk.delivered(25, &[live_disk("normal")]), NOBODY);
    desk.broken = vec![("hook", 0)];
    desk.run(26, &[send("b", None, "warning")]);
    desk.broken.clear();
    assert_eq!(desk.delivered(50, &[live_disk("normal")]), ["hook: b"]);
}

#[test]
fn of_a_notification_that_was_accepted_in_part_the_rest_is_undelivered() {
    let mut desk = Desk::new(&["hook"]);
    (desk.retry, desk.broken) = (Retry::Undelivered, vec![("hook", 1)]);
    let two = disks(&[("/", "warning"), ("/data", "warning")]);
    assert_eq!(desk.delivered(0, std::slice::from_ref(&two)), ["hook: disk_space_warning/"]);
    desk.broken.clear();
    assert_eq!(desk.delivered(1, &[two]), ["hook: disk_space_warning/data"]);
}

#[test]
fn what_is_resolved_before_it_was_accepted_is_not_retried() {
    let mut desk = Desk::new(&["hook"]);
    (desk.retry, desk.broken) = (Retry::Undelivered, vec![("hook", 0)]);
    desk.run(0, &[stats(30.0)]);
    desk.broken.clear();
    assert_eq!(desk.delivered(1, &[stats(3.0)]), NOBODY);
    assert_eq!(desk.delivered(2, &[live_disk("normal")]), NOBODY);
}

#[test]
fn a_resolution_that_was_not_accepted_is_retried() {
    let mut desk = Desk::new(&["hook"]);
    desk.retry = Retry::Undelivered;
    desk.run(0, &[stats(30.0)]);
    desk.broken = vec![("hook", 0)];
    desk.run(1, &[stats(3.0)]);
    desk.broken.clear();
    assert_eq!(desk.delivered(2, &[live_disk("normal")]), ["hook: -high_failure_rate"]);
    assert_eq!(desk.delivered(3, &[live_disk("normal")]), NOBODY);
}

// ---- the logs, dry runs, tests

#[test]
fn without_a_channel_the_log_counts_and_is_suppressed_like_one() {
    let desk = Desk::new(&[]);
    let (summary, _) = desk.run(0, &[stats(60.0)]);
    assert_eq!((summary.alerts_sent, summary.alerts_suppressed), (1, 0));
    assert_eq!(
        summary.lines,
        [(Some(Severity::Critical), "Task failure rate is critical: 60%".to_owned())]
    );
    let (summary, _) = desk.run(1, &[stats(60.0)]);
    assert_eq!((summary.alerts_sent, summary.alerts_suppressed, summary.lines.len()), (0, 1, 0));
    assert_eq!(
        desk.log("critical"),
        "2026-11-22T12:00:00+08:00 - CRITICAL - Task failure rate is critical: 60%\n"
    );
    let records = desk.records();
    let results: Vec<&Value> =
        records.iter().map(|record| &record["channels"]["log"]["result"]).collect();
    assert_eq!(results, ["sent", "suppressed"]);
}

#[test]
fn a_log_that_cannot_be_written_is_reported_and_tried_again() {
    let desk = Desk::new(&[]);
    std::fs::write(desk.path("logs"), "a file").unwrap();
    let (summary, _) = desk.run(0, &[stats(30.0)]);
    assert_eq!((summary.alerts_sent, summary.errors[0].kind), (0, "alert_log_unwritable"));
    std::fs::remove_file(desk.path("logs")).unwrap();
    assert_eq!(desk.run(1, &[stats(30.0)]).0.alerts_sent, 1);
}

#[test]
fn a_dry_run_decides_and_leaves_nothing_behind() {
    let desk = Desk::new(&["hook"]);
    let summary = desk.run_in(Mode::DryRun, 0, &[stats(30.0)]);
    assert_eq!((summary.alerts.len(), summary.alerts_sent, summary.errors.len()), (1, 0, 0));
    assert_eq!(summary.decisions[0].channels["hook"], Reason::First);
    assert_eq!(std::fs::read_dir(desk.folder.path()).unwrap().count(), 0);
    assert!(desk.delivered.lock().unwrap().is_empty());
    desk.run(1, &[stats(30.0)]);
    let summary = desk.run_in(Mode::DryRun, 2, &[stats(30.0)]);
    assert_eq!(
        (summary.alerts_suppressed, summary.decisions[0].channels["hook"]),
        (1, Reason::Suppressed)
    );
}

#[test]
fn a_test_reaches_every_channel_every_time_and_is_not_remembered() {
    let mut desk = Desk::new(&["hook", "pager"]);
    desk.receivers[1].min_severity = Severity::Critical;
    for hours in [0, 1] {
        let delivered = desk.delivered(hours, &[Evaluation::test(Language::En)]);
        assert_eq!(delivered, ["hook: test", "pager: test"]);
    }
    desk.retry = Retry::Undelivered;
    desk.broken = vec![("hook", 0)];
    desk.run(2, &[Evaluation::test(Language::En)]);
    desk.broken.clear();
    assert_eq!(desk.delivered(3, &[live_disk("normal")]), NOBODY);
}

#[test]
fn nothing_repeats_where_no_hours_are_configured_but_everything() {
    let mut desk = Desk::new(&["hook"]);
    desk.repeat_hours = 0;
    for hours in [0, 0, 1] {
        assert_eq!(desk.delivered(hours, &[stats(30.0)]), ["hook: high_failure_rate"]);
    }
}

// ---- records that fail, and two runs at once

#[test]
fn without_a_folder_for_records_alerts_are_notified_with_a_warning() {
    let desk = Desk::new(&["hook"]);
    std::fs::write(desk.path("records"), "a file").unwrap();
    let (summary, delivered) = desk.run(0, &[stats(30.0)]);
    assert_eq!(delivered, ["hook: high_failure_rate"]);
    assert_eq!(summary.alerts_sent, 1);
    let kinds: Vec<&str> = summary.errors.iter().map(|issue| issue.kind).collect();
    assert_eq!(kinds, ["records_unusable"]);
    // It is remembered in the second place.
    assert_eq!(desk.delivered(0, &[stats(30.0)]), [""; 0]);
}

#[test]
fn runs_at_the_same_time_notify_of_an_alert_once() {
    let desk = Desk::new(&["hook"]);
    let sent = Mutex::new(0);
    let (records_dir, logs_dir) = (desk.path("records"), desk.path("logs"));
    let context = Context {
        now: DateTime::parse_from_rfc3339("2026-11-22T12:00:00+08:00").unwrap(),
        language: Language::En,
        name: None,
        host: "h",
        repeat_after: TimeDelta::hours(24),
        clear_after: TimeDelta::zero(),
        for_minutes: &BTreeMap::new(),
        receivers: &desk.receivers,
        silences: &[],
        records_dir: &records_dir,
        records_days: 90,
        logs_dir: &logs_dir,
        retry: Retry::Undelivered,
        mode: Mode::Deliver,
    };
    let summaries: Vec<Summary> = std::thread::scope(|scope| {
        let runs: Vec<_> = (0..8)
            .map(|_| {
                scope.spawn(|| {
                    notify(&[stats(30.0)], &context, |notifications| {
                        *sent.lock().unwrap() += notifications.len();
                        // The others come while it is under way.
                        std::thread::sleep(Duration::from_millis(200));
                        notifications.iter().map(|(channel, one)| desk.take(channel, one)).collect()
                    })
                })
            })
            .collect();
        runs.into_iter().map(|run| run.join().unwrap()).collect()
    });
    assert_eq!(*sent.lock().unwrap(), 1);
    assert_eq!(summaries.iter().map(|summary| summary.alerts_sent).sum::<usize>(), 1);
    assert_eq!(summaries.iter().map(|summary| summary.alerts_suppressed).sum::<usize>(), 7);
    assert_eq!(desk.records().len(), 8);
    assert_eq!(desk.log("warning").lines().count(), 1);
}

#[test]
fn a_run_that_died_while_it_delivered_is_made_up_for() {
    let desk = Desk::new(&["hook"]);
    desk.delivered(0, &[send("a", None, "warning")]);
    // As a killed run leaves it: nobody holds its lock.
    let left = json!([{"type": "high_failure_rate", "severity": "warning", "channel": "hook"}]);
    std::fs::write(desk.path("records/.sending-1-2"), left.to_string()).unwrap();
    assert_eq!(desk.delivered(0, &[stats(30.0)]), ["hook: high_failure_rate"]);
    assert!(!desk.path("records/.sending-1-2").exists());
}
