//! `taskmon cleanup`: what goes, what stays, what it says of both, and that nothing is lost when something goes wrong: rows that stay
//! keep their files, no file is left without its row, and the next run finishes.

mod bind_mounts;
mod cluster;
mod connection;
mod dependents;
mod expiry;
mod foreign_partitions;
mod guards;
mod hostile_paths;
mod in_use;
mod interrupted;
mod journal;
mod locked_rows;
mod many_alike;
mod odd_files;
mod partial_failure;
mod planted;
mod progress;
mod property;
mod receipts;
mod references;
mod refused_rows;
mod row_security;
mod slow_rows;
mod sweep;
mod sweep_at_random;
mod tables;
mod times;
mod volumes;

use crate::on_each_database;
use crate::support::env::{TestEnv, plain_port, variable};
use crate::support::finished::Finished;
use crate::support::proxy::{Freeze, Proxy};
use crate::support::rows::{DAY, Task};
use crate::support::wait_until;
use chrono::{DateTime, TimeDelta, Utc};
use cluster::{Cluster, on_a_server_of_its_own};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// The time from which the tests' limits count back.
pub const AS_OF: &str = "2026-11-25T04:00:00+08:00";

/// A completed task that has expired by then.
pub fn old(n: u32) -> Task {
    Task::new(n).at("2026-10-01 10:00:00")
}

const FILES: [&str; 3] = ["image_path", "document_path", "screenshot_path"];

/// The files that a task names, ten bytes each.
pub fn make_files(env: &TestEnv, tasks: &[Task]) {
    ran_the_day_before(env);
    // A root that holds nothing is taken for a volume that is not mounted.
    env.write("uploads/keep/.gitkeep", "");
    env.write("static/keep/.gitkeep", "");
    for path in tasks.iter().flat_map(paths) {
        env.write(&path, "0123456789");
    }
}

pub fn paths(task: &Task) -> Vec<String> {
    FILES
        .iter()
        .filter_map(|column| task.columns.get(column)?.clone())
        .filter(|path| !path.is_empty())
        .collect()
}

pub fn has_files(env: &TestEnv, task: &Task) -> bool {
    let there: Vec<bool> = paths(task).iter().map(|path| env.path(path).exists()).collect();
    assert!(there.iter().all(|one| *one == there[0]), "{there:?}\n{}", env.tree());
    there[0]
}

pub fn prepare(env: &TestEnv, tasks: &[Task]) {
    make_files(env, tasks);
    env.insert(tasks.iter().cloned());
}

/// Leaves the records of runs before the first one, by [`AS_OF`] and by the clock, so that tasks may all be old without the clock being suspected.
fn ran_the_day_before(env: &TestEnv) {
    if env.path("logs/taskmon_runs.jsonl").exists() {
        return;
    }
    let as_of = DateTime::parse_from_rfc3339(AS_OF).unwrap().to_utc();
    let records = [as_of, Utc::now()].map(|time| record_of_run(time - TimeDelta::days(1)));
    env.write("logs/taskmon_runs.jsonl", &records.concat());
}

fn record_of_run(time: DateTime<Utc>) -> String {
    let time = time.to_rfc3339();
    format!(
        "{{\"job\":\"cleanup\",\"start\":\"{time}\",\"end\":\"{time}\",\"exit_code\":0,\"skipped\":false,\"host\":\"box\"}}\n"
    )
}

#[track_caller]
pub fn run(env: &TestEnv, code: i32, more: &[&str]) -> Finished {
    ran_the_day_before(env);
    let mut arguments = vec!["-q", "-q", "cleanup", "--as-of", AS_OF];
    arguments.extend(more);
    env.taskmon(arguments).exits(code)
}

#[track_caller]
pub fn cleanup(env: &TestEnv, code: i32, more: &[&str]) -> Value {
    run(env, code, more).json()
}

/// One column of a query's rows, as text.
pub fn column(env: &TestEnv, query: &str) -> Vec<String> {
    if env.url().starts_with("sqlite") {
        let connection = env.connection();
        let mut statement = connection.prepare(query).unwrap();
        let rows = statement.query_map([], |row| row.get::<_, rusqlite::types::Value>(0)).unwrap();
        rows.map(|row| match row.unwrap() {
            rusqlite::types::Value::Integer(number) => number.to_string(),
            rusqlite::types::Value::Text(text) => text,
            other => panic!("{other:?}"),
        })
        .collect()
    } else {
        let query = format!("SELECT q.c::text FROM ({query}) AS q(c)");
        let rows = env.client().query(&query, &[]).unwrap();
        rows.iter().map(|row| row.get(0)).collect()
    }
}

pub fn ids(env: &TestEnv) -> Vec<String> {
    column(env, "SELECT id FROM tasks ORDER BY id")
}

pub fn kinds(result: &Value) -> Vec<&str> {
    let errors = result["errors"].as_array().unwrap();
    errors.iter().map(|error| error["kind"].as_str().unwrap()).collect()
}

/// Every file and folder with its times and length; the record of runs, which even a dry run leaves, and the time of its folder aside.
pub fn state(folder: &Path) -> BTreeMap<String, (i64, i64, u64)> {
    walkdir::WalkDir::new(folder)
        .into_iter()
        .map(Result::unwrap)
        .filter(|entry| {
            let is_folder_of_records = entry.depth() == 1 && entry.file_name() == "logs";
            !is_folder_of_records && entry.file_name() != "taskmon_runs.jsonl"
        })
        .map(|entry| {
            let found = entry.metadata().unwrap();
            let name = entry.path().display().to_string();
            (name, (found.mtime(), found.mtime_nsec(), found.len()))
        })
        .collect()
}

pub fn age(path: &Path, hours: u64) {
    let now = std::time::SystemTime::now();
    let file = std::fs::File::open(path).unwrap();
    file.set_modified(now - Duration::from_secs(hours * 3600)).unwrap();
}

pub fn prepare_again(env: &TestEnv, tasks: &[Task], left: &[String]) {
    let gone = tasks.iter().filter(|task| !left.contains(task.columns["id"].as_ref().unwrap()));
    let gone: Vec<Task> = gone.cloned().collect();
    prepare(env, &gone);
}

/// No row that is left may lack a file, however a run has ended.
#[track_caller]
fn assert_rows_have_files(env: &TestEnv, expired: &[Task], left: &[String], kept: &[Task]) {
    let id = |task: &Task| task.columns["id"].clone().unwrap();
    for task in expired.iter().filter(|task| left.contains(&id(task))).chain(kept) {
        assert!(has_files(env, task), "the row {} lacks a file\n{}", id(task), env.tree());
    }
    assert!(kept.iter().all(|task| left.contains(&id(task))), "{left:?}");
}

/// Nor may a file be left whose row is gone, once a run has come to its end.
#[track_caller]
fn assert_nothing_lost(env: &TestEnv, expired: &[Task], left: &[String], kept: &[Task]) {
    assert_rows_have_files(env, expired, left, kept);
    for task in expired {
        let id = task.columns["id"].clone().unwrap();
        let any = paths(task).iter().any(|path| env.path(path).exists());
        assert!(left.contains(&id) || !any, "the row {id} is gone and has files\n{}", env.tree());
    }
    assert_eq!(journals(env), Vec::<String>::new());
}

/// The journals of runs that are not done.
fn journals(env: &TestEnv) -> Vec<String> {
    let all = walkdir::WalkDir::new(env.path("")).into_iter().map(Result::unwrap);
    let names = all.map(|entry| entry.file_name().to_str().unwrap_or_default().to_owned());
    names.filter(|name| name.starts_with(".taskmon-intent-")).collect()
}

/// The message of the one error of a kind.
#[track_caller]
fn message(result: &Value, kind: &str) -> String {
    let errors = result["errors"].as_array().unwrap();
    let found: Vec<&str> = errors
        .iter()
        .filter(|error| error["kind"] == kind)
        .map(|error| error["message"].as_str().unwrap())
        .collect();
    assert_eq!(found.len(), 1, "{result:#}");
    found[0].to_owned()
}

fn arguments<'a>(more: &[&'a str]) -> Vec<&'a str> {
    let mut arguments = vec!["-q", "-q", "cleanup", "--as-of", AS_OF, "--only", "tasks"];
    arguments.extend(more);
    arguments
}

/// A table of one's own with one file column, and nothing else of the preset.
fn own_table(env: &TestEnv, from: &str, key: &str, label: &str) {
    env.config(&format!(
        "[database.tasks]\nfrom = '{from}'\ndelete_from = '{from}'\nkey = {key}\nlabel = '{label}'\nstatus = 'state'\n\
         created_at = 'made'\ncompleted_at = 'made'\nstarted_at = ''\nupdated_at = ''\nprocessing_time = ''\nerror_message = ''\n\
         retry_count = ''\nqueue = ''\nname = ''\nlink = ''\nfiles = ['\"Datei Pfad\"']\n\
         [database.tasks.states]\npending = []\nprocessing = []\ncompleted = ['done']\nfailed = []\n[database.receipts]\nenabled = false"
    ));
}
