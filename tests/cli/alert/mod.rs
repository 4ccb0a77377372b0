//! `taskmon alert`, and the alerts that the other jobs raise: real databases, real receivers, and the files that are left.

mod by_hand;
mod delivery;
mod disks;
mod durations;
mod failures;
mod full_disk;
mod given;
mod links;
mod live;
mod queues;
mod secrets;
mod silences;
mod stats;

use crate::support::env::TestEnv;
use crate::support::finished::Finished;
use crate::support::rows::{Task, long_ago};
use crate::support::server::Server;
use chrono::{DateTime, FixedOffset, NaiveDate, TimeDelta, Timelike, Utc};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::OnceLock;

/// Hours east of Greenwich where it is about noon now: rows of a few hours ago are of today, whenever the tests run.
fn hours_to_noon() -> i32 {
    static HOURS: OnceLock<i32> = OnceLock::new();
    *HOURS.get_or_init(|| 12 - i32::try_from(Utc::now().hour()).unwrap())
}

fn zone() -> String {
    // The names count hours west.
    format!("Etc/GMT{:+}", -hours_to_noon())
}

fn now() -> DateTime<FixedOffset> {
    Utc::now().with_timezone(&FixedOffset::east_opt(hours_to_noon() * 3600).unwrap())
}

/// The local time so long ago, as rows have it.
fn ago(time: TimeDelta) -> String {
    (now() - time).format("%Y-%m-%d %H:%M:%S%.6f").to_string()
}

fn minutes(count: i64) -> TimeDelta {
    TimeDelta::minutes(count)
}

fn yesterday() -> NaiveDate {
    now().date_naive() - TimeDelta::days(1)
}

/// A configuration in which no disk is ever full; `more` follows `[alerts]`.
fn configure(env: &TestEnv, more: &str) {
    configure_with(env, "", more);
}

/// `before` goes on in `[database]`, and may begin sections.
fn configure_with(env: &TestEnv, before: &str, more: &str) {
    env.config_in(
        &zone(),
        &format!(
            "{before}\n[disk]\nwarning_percent = 100\ncritical_percent = 100\n[alerts]\nclear_after_minutes = 0\n{more}"
        ),
    );
}

/// A webhook that gives up at the first refusal.
fn webhook(server: &Server) -> String {
    format!(
        "[[alerts.channels]]\ntype = \"webhook\"\nurl = \"{}\"\nretries = 0\n",
        server.url("/hook")
    )
}

/// A program that stores its input, a line for each notification.
fn storing_program(env: &TestEnv, file: &str) -> String {
    let path = env.path(file);
    format!(
        "[[alerts.channels]]\ntype = \"command\"\ncommand = [\"/bin/sh\", \"-c\", \"cat >> {0} && echo >> {0}\"]\nretries = 0\n",
        path.display()
    )
}

/// A task that has been processed for so long.
fn processing(n: u32, time: TimeDelta) -> Task {
    let task = Task::new(n).at(&ago(time + minutes(1)));
    task.status("RECOGNIZING").with("started_at", ago(time))
}

/// A task that has been waiting for so long.
fn pending(n: u32, time: TimeDelta) -> Task {
    Task::new(n).at(&ago(time)).status("PENDING")
}

/// Tasks of today, some of which failed.
fn today(total: u32, failed: u32) -> Vec<Task> {
    of_day(&ago(TimeDelta::hours(3)), total, failed)
}

fn of_yesterday(total: u32, failed: u32) -> Vec<Task> {
    of_day(&format!("{} 10:00:00", yesterday()), total, failed)
}

fn of_day(time: &str, total: u32, failed: u32) -> Vec<Task> {
    let task = |n| Task::new(n).at(time);
    let tasks = (1..=total).map(|n| {
        // Of two kinds, so that the errors are not concentrated in one.
        if n > failed {
            task(n)
        } else if n % 2 == 0 {
            task(n).failed("任务超时")
        } else {
            task(n).failed("物流查询失败")
        }
    });
    tasks.collect()
}

fn replace(env: &TestEnv, tasks: impl IntoIterator<Item = Task>) {
    env.sql("DELETE FROM tasks");
    env.insert(tasks);
}

#[track_caller]
fn alert(env: &TestEnv, code: i32, more: &[&str]) -> Finished {
    let words = ["alert"].into_iter().chain(more.iter().copied());
    env.taskmon(words).exits(code)
}

/// The result of a run without errors; its alerts may be on standard error.
#[track_caller]
fn good_result(finished: Finished) -> Value {
    let result = finished.json();
    finished.stderr();
    assert_eq!(result["success"], true, "{result}");
    assert_eq!(result["errors"], json!([]), "{result}");
    result
}

/// The result of `taskmon alert`.
#[track_caller]
fn alerted(env: &TestEnv) -> Value {
    good_result(alert(env, 0, &[]))
}

/// The types of the firing alerts.
fn kinds(result: &Value) -> Vec<&str> {
    let alerts = result["alerts"].as_array().unwrap().iter();
    alerts.map(|alert| alert["type"].as_str().unwrap()).collect()
}

/// Sent, suppressed, resolved.
fn counts(result: &Value) -> [u64; 3] {
    ["alerts_sent", "alerts_suppressed", "alerts_resolved"].map(|key| result[key].as_u64().unwrap())
}

/// The types of the alerts in each notification, with a minus where one is resolved.
fn notified(server: &Server) -> Vec<Vec<String>> {
    let requests = server.requests().into_iter();
    requests.map(|request| signed_types(&request.json())).collect()
}

fn signed_types(document: &Value) -> Vec<String> {
    let alerts = document["alerts"].as_array().unwrap().iter();
    let word = |alert: &Value| {
        let sign = match alert["status"].as_str().unwrap() {
            "firing" => "",
            "resolved" => "-",
            other => panic!("{other}"),
        };
        format!("{sign}{}", alert["type"].as_str().unwrap())
    };
    alerts.map(word).collect()
}

/// The lines of the alerts' logs, the time cut off.
fn logged(env: &TestEnv) -> Vec<String> {
    let logs = ["critical", "error", "warning"].map(|name| format!("logs/{name}_alerts.log"));
    let text: String =
        logs.iter().filter_map(|log| std::fs::read_to_string(env.path(log)).ok()).collect();
    let line = |line: &str| {
        let (time, rest) = line.split_once(" - ").unwrap();
        let time = DateTime::parse_from_rfc3339(time).unwrap();
        assert_eq!(time.offset().local_minus_utc(), hours_to_noon() * 3600, "{line}");
        rest.to_owned()
    };
    text.lines().map(line).collect()
}

/// The alerts' records, oldest first.
fn records(env: &TestEnv) -> Vec<Value> {
    let mut files: Vec<_> = match std::fs::read_dir(env.path("reports/alerts")) {
        Ok(entries) => entries.map(|entry| entry.unwrap().path()).collect(),
        Err(_) => Vec::new(),
    };
    files.retain(|file| file.extension().is_some_and(|extension| extension == "jsonl"));
    files.sort();
    let lines = files.iter().flat_map(|file| {
        let text = std::fs::read_to_string(file).unwrap();
        let lines = text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
        lines.collect::<Vec<Value>>()
    });
    lines.filter(|line| line.get("carried").is_none()).collect()
}

/// Makes the records so much older, as if the runs had been then.
fn age_records(env: &TestEnv, time: TimeDelta) {
    let aged: Vec<Value> = records(env)
        .into_iter()
        .map(|mut record| {
            let then = DateTime::parse_from_rfc3339(record["time"].as_str().unwrap()).unwrap();
            record["time"] = json!(then - time);
            record
        })
        .collect();
    let folder = env.path("reports/alerts");
    std::fs::remove_dir_all(&folder).unwrap();
    let mut files: BTreeMap<String, String> = BTreeMap::new();
    for record in aged {
        let day = DateTime::parse_from_rfc3339(record["time"].as_str().unwrap()).unwrap();
        let file = files.entry(day.format("%Y%m%d").to_string()).or_default();
        *file += &format!("{record}\n");
    }
    for (day, text) in files {
        env.write(&format!("reports/alerts/alerts_{day}.jsonl"), &text);
    }
}

/// Every file of the folder with its content.
fn snapshot(env: &TestEnv) -> BTreeMap<String, Vec<u8>> {
    let entries = walkdir::WalkDir::new(env.path("")).into_iter();
    // The record of the run, which even a dry run leaves, and its folder.
    let is_record = |name: &std::ffi::OsStr| name == "taskmon_runs.jsonl" || name == "logs";
    let entries = entries.map(Result::unwrap);
    let entries = entries.filter(|entry| !is_record(entry.file_name()));
    let files = entries.map(|entry| {
        let content = if entry.file_type().is_file() {
            std::fs::read(entry.path()).unwrap()
        } else {
            Vec::new()
        };
        (entry.path().display().to_string(), content)
    });
    files.collect()
}
