use super::*;
use crate::alert::{Alert, Status};
use crate::notify::decide::Reason;
use crate::notify::log::{log_line, write_logs};
use crate::notify::memory::{ChannelOutcome, DeliveryResult};
use crate::outcome::Severity;
use chrono::TimeDelta;
use serde_json::json;
use std::collections::{BTreeMap, BTreeSet};
use std::fs::OpenOptions;
use std::thread;
use std::time::Instant;
use tempfile::TempDir;

fn at(time: &str) -> DateTime<FixedOffset> {
    DateTime::parse_from_rfc3339(&format!("{time}+08:00")).unwrap()
}

fn noon() -> DateTime<FixedOffset> {
    at("2026-11-22T12:00:00")
}

fn alert(kind: &str) -> Alert {
    Alert {
        kind: kind.into(),
        severity: Severity::Warning,
        message: "任务积压: \"1200\"\n个".into(),
        subject: Some("/data".into()),
        value: Some(1200.into()),
        threshold: None,
        count: None,
        tasks: Vec::new(),
        url: None,
    }
}

fn record(kind: &str, time: DateTime<FixedOffset>) -> Record {
    let outcome = ChannelOutcome {
        result: DeliveryResult::Sent,
        reason: Reason::First,
        attempts: Some(1),
        error: None,
    };
    Record {
        time,
        host: "h".into(),
        origin: Origin::Live,
        alert: alert(kind),
        status: Status::Firing,
        phase: None,
        channels: BTreeMap::from([("hook".into(), outcome)]),
    }
}

struct Desk {
    folder: TempDir,
}

impl Desk {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        Self { folder }
    }

    fn records(&self) -> Records {
        Records::new(self.folder.path(), "h")
    }

    fn append(&self, time: DateTime<FixedOffset>, kinds: &[&str]) {
        let records: Vec<Record> = kinds.iter().map(|kind| record(kind, time)).collect();
        self.records().append(time, None, &records).unwrap();
    }

    /// With what other runs are about to send.
    fn past(&self, now: DateTime<FixedOffset>) -> Past {
        let mut past = self.records().read(now).unwrap();
        self.records().note_in_progress(&mut past.memory, None).unwrap();
        past
    }

    /// The types that are remembered.
    fn kinds(&self, now: DateTime<FixedOffset>) -> Vec<String> {
        let known = self.past(now).memory.0.into_keys();
        known.map(|identity| identity.kind).collect()
    }

    fn path(&self, day: &str) -> PathBuf {
        self.folder.path().join(format!("alerts_{day}.jsonl"))
    }
}

#[test]
fn a_record_is_one_line_of_json() {
    let desk = Desk::new();
    desk.append(noon(), &["backlog"]);
    let text = std::fs::read_to_string(desk.path("20261122")).unwrap();
    assert_eq!(text.matches('\n').count(), 1);
    assert_eq!(
        serde_json::from_str::<serde_json::Value>(&text).unwrap(),
        json!({"time": "2026-11-22T12:00:00+08:00", "host": "h", "origin": "live", "type": "backlog", "severity": "warning",
            "message": "任务积压: \"1200\"\n个", "subject": "/data", "value": 1200, "status": "firing",
            "channels": {"hook": {"result": "sent", "reason": "first", "attempts": 1}}})
    );
}

#[test]
fn the_days_file_is_that_of_the_zone() {
    let desk = Desk::new();
    desk.append(at("2026-11-22T23:59:59"), &["a"]);
    desk.append(at("2026-11-23T00:00:00"), &["b"]);
    assert!(desk.path("20261122").exists() && desk.path("20261123").exists());
}

#[test]
fn nothing_is_remembered_where_there_is_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let past = Records::new(&folder.path().join("not/there"), "h").read(noon());
    assert_eq!(past.unwrap().memory, Memory::default());
}

// ---- crashes

#[test]
fn a_line_that_is_torn_anywhere_costs_that_line_and_no_other() {
    let whole = Desk::new();
    whole.append(noon(), &["first", "second"]);
    let content = std::fs::read(whole.path("20261122")).unwrap();
    let first = content.iter().position(|byte| *byte == b'\n').unwrap() + 1;
    for end in first..=content.len() {
        let desk = Desk::new();
        std::fs::write(desk.path("20261122"), &content[..end]).unwrap();
        let before = desk.past(noon());
        // Without its line break the last line is whole all the same.
        let is_whole = end >= content.len() - 1;
        assert_eq!(before.memory.0.len(), 1 + usize::from(is_whole), "{end}");
        let is_torn = !is_whole && end > first;
        assert_eq!(before.warnings.len(), usize::from(is_torn), "{end}");
        desk.append(noon(), &["third"]);
        assert_eq!(desk.past(noon()).memory.0.len(), before.memory.0.len() + 1, "{end}");
    }
}

#[test]
fn garbage_is_passed_over_and_reported() {
    let desk = Desk::new();
    desk.append(noon(), &["first"]);
    let mut content = std::fs::read(desk.path("20261122")).unwrap();
    content.extend(b"\0\0\0\0\n{\"time\": 7}\n\n[]\n{\"type\": \"\xe4\xbb\n");
    content.extend(b"\0\0\0");
    std::fs::write(desk.path("20261122"), content).unwrap();
    desk.append(noon(), &["second"]);
    let past = desk.past(noon());
    assert_eq!(desk.kinds(noon()), ["first", "second"]);
    assert_eq!(past.warnings.len(), 1);
    let warning = &past.warnings[0];
    assert!(warning.contains("alerts_20261122.jsonl: 5 lines cannot be read"), "{warning}");
    assert!(warning.ends_with("the first is line 2"), "{warning}");
}

// ---- far back

#[test]
fn what_is_firing_is_carried_from_file_to_file_and_never_forgotten() {
    let desk = Desk::new();
    desk.append(at("2026-09-01T12:00:00"), &["old"]);
    let past = desk.past(noon());
    assert!(!past.is_carried);
    let records = desk.records();
    records.append(noon(), Some(&past.memory), &[record("new", noon())]).unwrap();
    assert_eq!(desk.kinds(noon()), ["new", "old"]);
    // Nothing before is read any more.
    std::fs::remove_file(desk.path("20260901")).unwrap();
    let past = desk.past(noon());
    assert!(past.is_carried);
    let old = &past.memory.0.values().last().unwrap();
    assert_eq!(old.alert, alert("old"));
    assert_eq!(old.claims, BTreeSet::from([Origin::Live]));
    assert_eq!(old.channels["hook"].notified.unwrap().at, at("2026-09-01T12:00:00"));
}

#[test]
fn where_the_carried_line_is_broken_the_file_before_is_read() {
    let desk = Desk::new();
    desk.append(at("2026-11-21T12:00:00"), &["old"]);
    let memory = desk.past(noon()).memory;
    desk.records().append(noon(), Some(&memory), &[record("new", noon())]).unwrap();
    let text = std::fs::read_to_string(desk.path("20261122")).unwrap();
    std::fs::write(desk.path("20261122"), &text[20..]).unwrap();
    let past = desk.past(noon());
    assert!(!past.is_carried, "so that the next run carries anew");
    assert_eq!(desk.kinds(noon()), ["new", "old"]);
    // Wherever it is in the file, it says what was before it.
    desk.records().append(noon(), Some(&past.memory), &[record("newer", noon())]).unwrap();
    std::fs::remove_file(desk.path("20261121")).unwrap();
    assert_eq!(desk.kinds(noon()), ["new", "newer", "old"]);
}

#[test]
fn a_day_to_come_does_not_hide_today() {
    let desk = Desk::new();
    desk.append(noon(), &["today"]);
    let future = at("2099-01-01T12:00:00");
    desk.records().append(future, Some(&Memory::default()), &[]).unwrap();
    assert_eq!(desk.kinds(noon()), ["today"]);
}

#[test]
fn other_files_are_no_records() {
    let desk = Desk::new();
    for name in
        ["alerts_2026112.jsonl", "alerts_abcdefgh.jsonl", "alerts_20261122.json", "notes.txt"]
    {
        std::fs::write(desk.folder.path().join(name), "{}\n").unwrap();
    }
    let past = desk.past(noon());
    assert_eq!((past.memory, past.warnings.len()), (Memory::default(), 0));
}

#[test]
fn what_neither_fires_nor_matters_is_left_out() {
    let mut memory = Memory::default();
    let mut sent = record("sent", noon());
    sent.origin = Origin::Send;
    memory.note(&sent);
    // Nobody can say that a job without a name has succeeded.
    let mut nameless = record("nameless", noon());
    (nameless.origin, nameless.alert.subject) = (Origin::Job, None);
    memory.note(&nameless);
    memory.note(&record("firing", noon()));
    let pruned = |hours: i64| {
        let mut memory = memory.clone();
        let now = noon().to_utc() + TimeDelta::hours(hours);
        memory.prune(now, TimeDelta::hours(24));
        memory.0.len()
    };
    assert_eq!((pruned(23), pruned(24), pruned(10_000)), (3, 1, 1));
}

#[test]
fn thousands_of_lines_are_read_in_no_time() {
    let desk = Desk::new();
    let records: Vec<Record> =
        (0..10_000).map(|n| record(&format!("kind_{}", n % 10), noon())).collect();
    desk.records().append(noon(), None, &records).unwrap();
    let began = Instant::now();
    assert_eq!(desk.past(noon()).memory.0.len(), 10);
    // An unoptimized build on a busy machine; a release build takes a hundredth.
    assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
}

// ---- two runs at once

#[test]
fn a_turn_is_waited_for_and_given_up_at_last() {
    let desk = Desk::new();
    let held = desk.records().turn(PATIENCE).unwrap();
    let refused = desk.records().turn(Duration::from_millis(30)).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::TimedOut, "{refused:?}");
    drop(held);
    desk.records().turn(Duration::ZERO).unwrap();
}

fn sending() -> Sending {
    let alert = Alert { severity: Severity::Error, ..alert("backlog") };
    Sending { alert, channel: "hook".into(), host: "h".into() }
}

/// What another run is known to send on the channel `hook`.
fn in_hand(past: &Past) -> Option<Severity> {
    let known = past.memory.0.get(&Identity::of(&alert("backlog"), "h"))?;
    known.channels["hook"].in_progress
}

#[test]
fn what_a_living_run_is_about_to_send_is_in_hand_until_it_is_done() {
    let desk = Desk::new();
    let reserved = desk.records().reserve(&[sending()]).unwrap();
    assert_eq!(in_hand(&desk.past(noon())), Some(Severity::Error));
    drop(reserved);
    assert_eq!(in_hand(&desk.past(noon())), None);
    assert_eq!(std::fs::read_dir(desk.folder.path()).unwrap().count(), 0);
}

#[test]
fn what_a_dead_run_was_about_to_send_is_void_and_cleared_away_by_whose_turn_it_is() {
    let desk = Desk::new();
    let left = desk.folder.path().join(".sending-1-2");
    std::fs::write(&left, line_of(&[sending()]).unwrap()).unwrap();
    assert_eq!(in_hand(&desk.past(noon())), None);
    assert!(left.exists(), "a dry run removes nothing");
    let turn = desk.records().turn(PATIENCE).unwrap();
    let mut past = desk.records().read(noon()).unwrap();
    desk.records().note_in_progress(&mut past.memory, Some(&turn)).unwrap();
    assert_eq!(in_hand(&past), None);
    assert!(!left.exists());
}

// ---- the logs

#[test]
fn a_message_cannot_forge_a_line() {
    assert_eq!(
        log_line(
            noon(),
            Severity::Warning,
            "a\n2026-11-22T12:00:00+08:00 - CRITICAL - b\r\u{1b}[31m\u{2028}磁盘"
        ),
        "2026-11-22T12:00:00+08:00 - WARNING - a\\n2026-11-22T12:00:00+08:00 - CRITICAL - b\\r\\u{1b}[31m\\u{2028}磁盘"
    );
}

#[test]
fn each_severity_has_its_log_and_a_torn_line_stays_alone() {
    let desk = Desk::new();
    let logs = desk.folder.path().join("logs");
    let lines = [Severity::Critical, Severity::Error, Severity::Warning];
    let lines = lines.map(|severity| (severity, format!("a {} line", severity.name())));
    write_logs(&logs, &lines[..2]).unwrap();
    let read = |name: &str| std::fs::read_to_string(logs.join(name)).unwrap();
    assert_eq!(read("critical_alerts.log"), "a critical line\n");
    assert_eq!(read("error_alerts.log"), "a error line\n");
    assert!(!logs.join("warning_alerts.log").exists());
    std::fs::write(logs.join("warning_alerts.log"), "torn").unwrap();
    write_logs(&logs, &lines[2..]).unwrap();
    assert_eq!(read("warning_alerts.log"), "torn\na warning line\n");
}

#[test]
fn a_log_that_cannot_be_written_is_named_and_keeps_no_other_from_being_written() {
    let desk = Desk::new();
    std::fs::create_dir(desk.folder.path().join("critical_alerts.log")).unwrap();
    let lines = [(Severity::Critical, "c".to_owned()), (Severity::Warning, "w".to_owned())];
    let error = write_logs(desk.folder.path(), &lines).unwrap_err();
    assert!(error.contains("critical_alerts.log"), "{error}");
    let other = std::fs::read_to_string(desk.folder.path().join("warning_alerts.log"));
    assert_eq!(other.unwrap(), "w\n");
}

/// As a log rotation by `copytruncate` does at any instant.
#[test]
fn a_log_that_is_emptied_while_it_is_written_takes_the_next_lines() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("warning_alerts.log");
    append(&path, &["first\n".to_owned()]).unwrap();
    let file = OpenOptions::new().write(true).open(&path).unwrap();
    let over = std::sync::atomic::AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| {
            while !over.load(std::sync::atomic::Ordering::Relaxed) {
                file.set_len(0).unwrap();
                thread::sleep(Duration::from_micros(20));
            }
        });
        let written: Vec<io::Result<()>> =
            (0..3000).map(|_| append(&path, &["line\n".to_owned()])).collect();
        over.store(true, std::sync::atomic::Ordering::Relaxed);
        for result in written {
            result.unwrap();
        }
    });
    append(&path, &["last\n".to_owned()]).unwrap();
    let text = std::fs::read_to_string(&path).unwrap();
    assert!(text.ends_with("last\n"), "{text}");
    assert!(text.lines().all(|line| ["line", "last"].contains(&line)), "{text}");
}
