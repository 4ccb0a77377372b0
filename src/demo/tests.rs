//! A sandbox as a whole. What is in its rows is tested in `draw/tests.rs`, what may happen to a folder in `folder/tests.rs`.

use super::folder::{CONFIG, MARKER};
use super::*;
use crate::timezone::zone;
use rusqlite::Connection;
use std::fs;
use std::sync::{Arc, Mutex, Weak};
use tempfile::TempDir;
use walkdir::WalkDir;

/// A Thursday afternoon in Shanghai.
pub(super) fn request() -> DemoRequest {
    at(zone("Asia/Shanghai"), "2023-11-30T08:20:00Z")
}

pub(super) fn at(timezone: Tz, now: &str) -> DemoRequest {
    DemoRequest { now: now.parse().unwrap(), timezone, language: Language::Zh }
}

pub(super) fn folder() -> TempDir {
    tempfile::tempdir().unwrap()
}

/// A sandbox with no rows, but with logs and temporary files: enough where only the folder matters.
pub(super) fn make_small(dir: &Path, request: &DemoRequest) -> anyhow::Result<Sandbox> {
    make_with(dir, request, || rows::Rows {
        tasks: Vec::new(),
        receipts: Vec::new(),
        tracking: Vec::new(),
        files: Vec::new(),
    })
}

pub(super) fn open(sandbox: &Sandbox) -> Connection {
    Connection::open(&sandbox.database).unwrap()
}

pub(super) fn count(connection: &Connection, query: &str) -> i64 {
    connection.query_row(query, [], |row| row.get(0)).unwrap()
}

pub(super) fn texts(connection: &Connection, query: &str) -> Vec<String> {
    let mut statement = connection.prepare(query).unwrap();
    let rows = statement.query_map([], |row| row.get(0)).unwrap();
    rows.map(|row| row.unwrap()).collect()
}

/// A sandbox that tests share which only ask; it is gone with the last of them.
pub(super) fn shared() -> Arc<(TempDir, Sandbox)> {
    static MADE: Mutex<Weak<(TempDir, Sandbox)>> = Mutex::new(Weak::new());
    let mut made = MADE.lock().unwrap();
    made.upgrade().unwrap_or_else(|| {
        let folder = folder();
        let sandbox = make(&folder.path().join("new/sandbox"), &request()).unwrap();
        let fresh = Arc::new((folder, sandbox));
        *made = Arc::downgrade(&fresh);
        fresh
    })
}

#[test]
fn a_missing_folder_is_made_with_its_parents() {
    let made = shared();
    let (folder, sandbox) = &*made;
    let dir = folder.path().join("new/sandbox");
    assert_eq!(sandbox.dir, dir);
    assert_eq!(sandbox.config, dir.join("taskmon.toml"));
    assert_eq!(sandbox.database, dir.join("tasks.db"));
    let mut names: Vec<_> = fs::read_dir(&dir)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    assert_eq!(names, [MARKER, "logs", "static", CONFIG, "tasks.db", "uploads"]);
}

#[test]
fn the_counts_are_what_is_there() {
    let made = shared();
    let (_, sandbox) = &*made;
    let connection = open(sandbox);
    let made = sandbox.counts;
    assert_eq!(count(&connection, "SELECT count(*) FROM tasks"), made.tasks as i64);
    assert_eq!(count(&connection, "SELECT count(*) FROM delivery_receipts"), made.receipts as i64);
    let (mut files, mut logs, mut temp, mut bytes) = (0, 0, 0, 0);
    for entry in WalkDir::new(&sandbox.dir) {
        let entry = entry.unwrap();
        let path = entry.path().strip_prefix(&sandbox.dir).unwrap();
        if !entry.file_type().is_file() || path.components().count() == 1 {
            continue;
        }
        bytes += entry.metadata().unwrap().len();
        match path {
            path if path.starts_with("logs") => logs += 1,
            path if path.starts_with("uploads/temp") || path.starts_with("static/temp") => {
                temp += 1;
            }
            _ => files += 1,
        }
    }
    assert_eq!(
        (made.files, made.log_files, made.temp_files, made.bytes),
        (files, logs, temp, bytes)
    );
    assert!((5000..9000).contains(&made.tasks), "{made:?}");
    assert!((2000..8000).contains(&made.files), "{made:?}");
    assert!(made.bytes < 40 << 20, "{made:?}");
}

#[test]
fn made_twice_it_is_the_same() {
    let folder = folder();
    let mut all = Vec::new();
    for _ in 0..2 {
        let sandbox = make(folder.path(), &request()).unwrap();
        let rows = texts(
            &open(&sandbox),
            "SELECT id || task_id || status || created_at || updated_at || coalesce(processing_time, '') \
             || coalesce(error_message, '') || coalesce(document_path, '') FROM tasks ORDER BY id",
        );
        assert_eq!(sandbox.kept_config, None);
        all.push((sandbox, rows));
    }
    assert_eq!(all[0], all[1]);
}

#[test]
fn logs_and_temporary_files_are_old_and_new() {
    let made = shared();
    let (_, sandbox) = &*made;
    let now = request().now;
    let ages = |folder: &str| -> Vec<i64> {
        WalkDir::new(sandbox.dir.join(folder))
            .into_iter()
            .map(|entry| entry.unwrap())
            .filter(|entry| entry.file_type().is_file())
            .map(|entry| DateTime::<Utc>::from(entry.metadata().unwrap().modified().unwrap()))
            .map(|modified| (now - modified).num_hours())
            .collect()
    };
    for (folder, limit) in [("uploads/temp", 24), ("static/temp", 24), ("logs", 30 * 24)] {
        let ages = ages(folder);
        let old = ages.iter().filter(|age| **age > limit).count();
        let new = ages.iter().filter(|age| (0..limit).contains(*age)).count();
        assert!(old >= 5 && new >= 5, "{folder}: {ages:?}");
        assert_eq!(old + new, ages.len(), "{folder}: {ages:?}");
    }
    let log = fs::read_to_string(sandbox.dir.join("logs/app.log")).unwrap();
    assert!(log.lines().count() > 40);
    assert!(log.lines().all(|line| line < "2023-11-30 16:20:01"));
}

#[test]
fn the_configuration_says_the_same_in_both_languages() {
    let english = DemoRequest { language: Language::En, ..request() };
    let mut zh: toml::Table = configuration(&request()).parse().unwrap();
    let en: toml::Table = configuration(&english).parse().unwrap();
    assert_eq!(zh["timezone"].as_str(), Some("Asia/Shanghai"));
    assert_eq!(zh["language"].as_str(), Some("zh"));
    zh.insert("language".into(), "en".into());
    assert_eq!(zh, en);
}

#[test]
fn the_counts_read_well_in_both_languages() {
    let made = Made {
        tasks: 6012,
        receipts: 987,
        files: 1_234_567,
        log_files: 25,
        temp_files: 54,
        bytes: 12 << 20,
    };
    assert_eq!(
        made.describe(Language::En),
        "6,012 tasks (of the last two weeks, and of one to two months ago), 987 delivery receipts\n\
         1,234,567 files of tasks and receipts, 25 logs, 54 temporary files: 12 MiB together"
    );
    assert_eq!(
        made.describe(Language::Zh),
        "6,012 个任务（最近两周的，以及一到两个月前的），987 份送达回证\n\
         1,234,567 个任务和回证的文件，25 个日志，54 个临时文件，共 12 MiB"
    );
}
