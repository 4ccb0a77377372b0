use super::folder::{CONFIG, DATABASE, MARKER};
use super::*;
use crate::outcome::{Failure, Kind};
use chrono::{LocalResult, NaiveDate, NaiveDateTime, TimeZone};
use fs2::FileExt;
use rusqlite::Connection;
use std::collections::BTreeMap;
use std::fs::{self, File};
use std::os::unix::fs::{MetadataExt, symlink};
use std::sync::{Arc, Mutex, Weak};
use std::time::SystemTime;
use tempfile::TempDir;
use walkdir::WalkDir;

/// Every column that holds a moment.
const MOMENTS: [(&str, &str); 9] = [
    ("tasks", "created_at"),
    ("tasks", "updated_at"),
    ("tasks", "started_at"),
    ("tasks", "completed_at"),
    ("tasks", "delivery_time"),
    ("delivery_receipts", "created_at"),
    ("delivery_receipts", "updated_at"),
    ("tracking_info", "last_update"),
    ("tracking_info", "created_at"),
];

/// Every column that names a file.
const PATHS: [(&str, &str); 9] = [
    ("tasks", "image_path"),
    ("tasks", "document_path"),
    ("tasks", "screenshot_path"),
    ("delivery_receipts", "qr_code_path"),
    ("delivery_receipts", "barcode_path"),
    ("delivery_receipts", "receipt_file_path"),
    ("delivery_receipts", "tracking_screenshot_path"),
    ("delivery_receipts", "delivery_receipt_doc_path"),
    ("tracking_info", "screenshot_path"),
];

/// A Thursday afternoon in Shanghai.
fn request() -> DemoRequest {
    at(Tz::Asia__Shanghai, "2023-11-30T08:20:00Z")
}

fn at(timezone: Tz, now: &str) -> DemoRequest {
    DemoRequest { now: now.parse().unwrap(), timezone, language: Language::Zh }
}

fn folder() -> TempDir {
    tempfile::tempdir().unwrap()
}

/// A sandbox with no rows, but with logs and temporary files: enough where only the folder matters.
fn make_small(dir: &Path, request: &DemoRequest) -> anyhow::Result<Sandbox> {
    make_with(dir, request, || rows::Rows {
        tasks: Vec::new(),
        receipts: Vec::new(),
        tracking: Vec::new(),
        files: Vec::new(),
    })
}

fn kind_of(result: anyhow::Result<Sandbox>) -> (Kind, String) {
    let failure = Failure::of(&result.unwrap_err());
    (failure.kind, failure.message)
}

fn open(sandbox: &Sandbox) -> Connection {
    Connection::open(&sandbox.database).unwrap()
}

fn count(connection: &Connection, question: &str) -> i64 {
    connection.query_row(question, [], |row| row.get(0)).unwrap()
}

fn texts(connection: &Connection, question: &str) -> Vec<String> {
    let mut statement = connection.prepare(question).unwrap();
    let rows = statement.query_map([], |row| row.get(0)).unwrap();
    rows.map(|row| row.unwrap()).collect()
}

/// A thing in a folder: its time of change in seconds and nanoseconds, where it leads as a link, what it holds as a file.
type Seen = (i64, i64, Option<PathBuf>, Option<Vec<u8>>);

/// Everything beneath a folder, and the folder.
fn snapshot(dir: &Path) -> BTreeMap<PathBuf, Seen> {
    WalkDir::new(dir)
        .into_iter()
        .map(|entry| {
            let path = entry.unwrap().into_path();
            let found = fs::symlink_metadata(&path).unwrap();
            let link = fs::read_link(&path).ok();
            let bytes = found.is_file().then(|| fs::read(&path).unwrap());
            (path, (found.mtime(), found.mtime_nsec(), link, bytes))
        })
        .collect()
}

/// A sandbox that tests share which only ask; it is gone with the last of them.
fn shared() -> Arc<(TempDir, Sandbox)> {
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
fn every_file_that_a_row_names_is_there_and_is_relative_and_dated_before_now() {
    let made = shared();
    let (_, sandbox) = &*made;
    let connection = open(sandbox);
    let now = SystemTime::from(request().now);
    let mut seen = std::collections::HashSet::new();
    for (table, column) in PATHS {
        let question = format!("SELECT {column} FROM {table} WHERE {column} IS NOT NULL");
        let paths = texts(&connection, &question);
        assert!(paths.len() > 50, "{table}.{column}");
        for path in paths {
            assert!(path.starts_with("uploads/") || path.starts_with("static/"), "{path}");
            let found = fs::metadata(sandbox.dir.join(&path)).unwrap();
            assert!(found.is_file() && found.len() > 0, "{path}");
            assert!(found.modified().unwrap() <= now, "{path}");
            seen.insert(path);
        }
    }
    assert_eq!(seen.len() as u64, sandbox.counts.files);
    let sizes = texts(
        &connection,
        "SELECT image_path || ' ' || file_size FROM tasks WHERE image_path IS NOT NULL",
    );
    for line in sizes {
        let (path, size) = line.rsplit_once(' ').unwrap();
        let found = fs::metadata(sandbox.dir.join(path)).unwrap();
        assert_eq!(found.len().to_string(), size, "{path}");
    }
}

#[test]
fn every_default_category_and_the_others_occur() {
    let made = shared();
    let (_, sandbox) = &*made;
    let connection = open(sandbox);
    let failed = "SELECT count(*) FROM tasks WHERE status = 'FAILED' AND created_at > '2023-11-16'";
    for text in ["二维码", "物流", "文档", "超时", "数据库"] {
        let found = count(&connection, &format!("{failed} AND error_message LIKE '%{text}%'"));
        assert!(found >= 3, "{text}: {found}");
    }
    let uncategorised = "AND error_message <> '' AND NOT (error_message LIKE '%二维码%' OR error_message LIKE '%物流%' \
         OR error_message LIKE '%文档%' OR error_message LIKE '%超时%' OR error_message LIKE '%数据库%')";
    assert!(count(&connection, &format!("{failed} {uncategorised}")) >= 3);
    assert!(count(&connection, &format!("{failed} AND error_message IS NULL")) >= 3);
    let stray = "SELECT count(*) FROM tasks WHERE status <> 'FAILED' AND error_message IS NOT NULL";
    assert_eq!(count(&connection, stray), 0);
}

#[test]
fn usual_days_fail_at_about_four_percent_and_yesterday_at_more() {
    let made = shared();
    let (_, sandbox) = &*made;
    let connection = open(sandbox);
    let rate = |days: &str| {
        let question =
            format!("SELECT avg(status = 'FAILED') * 100 FROM tasks WHERE created_at {days}");
        let rate: f64 = connection.query_row(&question, [], |row| row.get(0)).unwrap();
        rate
    };
    let usual = rate("BETWEEN '2023-11-16' AND '2023-11-29'");
    let yesterday = rate("BETWEEN '2023-11-29' AND '2023-11-30'");
    assert!((3.0..5.0).contains(&usual), "{usual}");
    assert!((7.0..15.0).contains(&yesterday), "{yesterday}");
}

#[test]
fn the_day_has_a_quiet_night_and_peaks_at_ten_and_at_fifteen() {
    let made = shared();
    let (_, sandbox) = &*made;
    let connection = open(sandbox);
    let hours: Vec<i64> = (0..24)
        .map(|hour| {
            count(
                &connection,
                &format!(
                    "SELECT count(*) FROM tasks WHERE created_at BETWEEN '2023-11-16' AND '2023-11-30' \
                     AND substr(created_at, 12, 2) = '{hour:02}'"
                ),
            )
        })
        .collect();
    let peak = |hours: std::ops::Range<usize>, all: &[i64]| {
        hours.clone().max_by_key(|hour| all[*hour]).unwrap()
    };
    assert_eq!(peak(0..12, &hours), 10, "{hours:?}");
    assert_eq!(peak(12..24, &hours), 15, "{hours:?}");
    assert!(hours[0..5].iter().sum::<i64>() * 5 < hours[10], "{hours:?}");
}

#[test]
fn weekends_are_quieter_than_any_other_day() {
    let made = shared();
    let (_, sandbox) = &*made;
    let connection = open(sandbox);
    let day = |date: &str| {
        count(
            &connection,
            &format!("SELECT count(*) FROM tasks WHERE substr(created_at, 1, 10) = '{date}'"),
        )
    };
    let saturday = day("2023-11-25");
    assert!(saturday > 100, "{saturday}");
    for date in [
        "2023-11-20",
        "2023-11-21",
        "2023-11-22",
        "2023-11-23",
        "2023-11-24",
        "2023-11-27",
        "2023-11-28",
    ] {
        assert!(day(date) > saturday * 2, "{date}");
    }
}

#[test]
fn what_happened_to_a_task_is_in_order_and_only_new_tasks_are_unfinished() {
    let made = shared();
    let (_, sandbox) = &*made;
    let connection = open(sandbox);
    for impossible in [
        "started_at < created_at",
        "completed_at < started_at",
        "updated_at < created_at",
        "updated_at < completed_at",
        "(completed_at IS NULL) = (status = 'COMPLETED')",
        "(started_at IS NULL) <> (status = 'PENDING')",
        "processing_time <= 0",
        "processing_time IS NOT NULL AND status NOT IN ('COMPLETED', 'FAILED', 'RETURNED')",
        "status IN ('PENDING', 'RECOGNIZING', 'TRACKING', 'DELIVERED', 'GENERATING') AND created_at < '2023-11-30 12:00'",
        "abs((julianday(completed_at) - julianday(started_at)) * 86400 - processing_time) > 0.01",
    ] {
        let question = format!("SELECT count(*) FROM tasks WHERE {impossible}");
        assert_eq!(count(&connection, &question), 0, "{impossible}");
    }
}

#[test]
fn there_is_some_of_everything_that_a_job_looks_for() {
    let made = shared();
    let (_, sandbox) = &*made;
    let connection = open(sandbox);
    for (least, things) in [
        (5, "tasks WHERE status = 'PENDING'"),
        (8, "tasks WHERE status IN ('RECOGNIZING', 'TRACKING', 'DELIVERED', 'GENERATING')"),
        (10, "tasks WHERE status = 'RETURNED'"),
        (10, "tasks WHERE status = 'COMPLETED' AND processing_time IS NULL"),
        (10, "tasks WHERE processing_time > 150"),
        (50, "tasks WHERE retry_count = 1"),
        (10, "tasks WHERE retry_count > 2"),
        (150, "tasks WHERE status = 'COMPLETED' AND completed_at < '2023-10-31'"),
        (50, "tasks WHERE status = 'FAILED' AND updated_at < '2023-11-23'"),
        (50, "delivery_receipts WHERE created_at < '2023-10-31'"),
        (50, "delivery_receipts WHERE created_at > '2023-10-31'"),
        (
            40,
            "delivery_receipts WHERE created_at < '2023-10-31' AND tracking_number NOT IN \
             (SELECT tracking_number FROM tasks WHERE tracking_number IS NOT NULL)",
        ),
        (
            15,
            "delivery_receipts JOIN tasks USING (tracking_number) \
             WHERE delivery_receipts.created_at < '2023-10-31' AND tasks.created_at > '2023-11-16'",
        ),
        (80, "delivery_receipts JOIN tasks ON document_path = delivery_receipt_doc_path"),
        (100, "tracking_info JOIN delivery_receipts ON delivery_receipts.id = delivery_receipt_id"),
    ] {
        let found = count(&connection, &format!("SELECT count(*) FROM {things}"));
        assert!(found >= least, "{things}: {found}");
    }
    assert_eq!(texts(&connection, "PRAGMA integrity_check"), ["ok".to_string()]);
    assert_eq!(count(&connection, "SELECT count(*) FROM pragma_foreign_key_check"), 0);
    assert_eq!(texts(&connection, "PRAGMA journal_mode"), ["delete".to_string()]);
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

/// Makes the rows alone, in memory, of a zone and a moment at which clocks are changed.
fn local_times(request: &DemoRequest) -> Vec<(String, NaiveDateTime)> {
    let folder = folder();
    let path = folder.path().join(DATABASE);
    let rows = rows::draw(request.now, request.timezone);
    database::fill(&path, &rows, request.timezone, &ProgressBar::hidden()).unwrap();
    let connection = Connection::open(path).unwrap();
    let mut times = Vec::new();
    for (table, column) in MOMENTS {
        let question = format!("SELECT {column} FROM {table} WHERE {column} IS NOT NULL");
        for text in texts(&connection, &question) {
            assert_eq!(text.len(), 26, "{text}");
            let time = NaiveDateTime::parse_from_str(&text, "%Y-%m-%d %H:%M:%S%.6f").unwrap();
            times.push((format!("{table}.{column}"), time));
        }
    }
    times
}

#[test]
fn no_time_is_later_than_now_or_unclear_whenever_and_wherever_it_is_made() {
    for (zone, now) in [
        (Tz::Asia__Shanghai, "2023-11-30T08:20:00Z"),
        // Minutes after midnight.
        (Tz::Asia__Shanghai, "2023-11-29T16:00:30Z"),
        (Tz::Asia__Kathmandu, "2024-02-29T18:20:00Z"),
        // Right after 2:00 became 3:00.
        (Tz::America__New_York, "2024-03-10T07:00:20Z"),
        (Tz::America__New_York, "2024-03-10T18:00:00Z"),
        // Within the hour that comes twice, and after it.
        (Tz::America__New_York, "2023-11-05T05:40:00Z"),
        (Tz::America__New_York, "2023-11-05T06:40:00Z"),
        (Tz::America__New_York, "2023-11-05T07:10:00Z"),
        // By half an hour.
        (Tz::Australia__Lord_Howe, "2024-04-06T16:00:00Z"),
        // Midnight is skipped.
        (Tz::America__Santiago, "2023-09-04T12:00:00Z"),
        // A whole day is skipped.
        (Tz::Pacific__Apia, "2012-01-02T12:00:00Z"),
    ] {
        let request = at(zone, now);
        let times = local_times(&request);
        assert!(times.len() > 20_000, "{zone} {now}: {}", times.len());
        for (column, local) in times {
            let LocalResult::Single(moment) = zone.from_local_datetime(&local) else {
                panic!("{zone} {now}: {column} {local} is no time, or two");
            };
            assert!(moment <= request.now, "{zone} {now}: {column} {local}");
        }
    }
}

#[test]
fn a_changed_clock_leaves_its_day_in_place() {
    let request = at(Tz::America__New_York, "2024-03-11T18:00:00Z");
    let changed = NaiveDate::from_ymd_opt(2024, 3, 10).unwrap();
    let times = local_times(&request);
    let of_the_day = times
        .iter()
        .filter(|(column, time)| column == "tasks.created_at" && time.date() == changed)
        .count();
    assert!(of_the_day > 150, "{of_the_day}");
}

#[test]
fn another_folder_is_never_touched() {
    let folder = folder();
    let dir = folder.path().join("photos");
    fs::create_dir_all(dir.join("uploads/2023")).unwrap();
    fs::write(dir.join("uploads/2023/a.png"), "mine").unwrap();
    fs::write(dir.join("tasks.db"), "mine").unwrap();
    let before = snapshot(folder.path());
    let (kind, message) = kind_of(make_small(&dir, &request()));
    assert_eq!(kind, Kind::NotASandbox);
    assert!(message.contains(dir.to_str().unwrap()), "{message}");
    assert_eq!(snapshot(folder.path()), before);
}

#[test]
fn a_file_is_no_folder_for_a_sandbox() {
    let folder = folder();
    let path = folder.path().join("notes.txt");
    fs::write(&path, "mine").unwrap();
    let before = snapshot(folder.path());
    let (kind, message) = kind_of(make_small(&path, &request()));
    assert_eq!(kind, Kind::NotASandbox);
    assert!(message.contains(path.to_str().unwrap()), "{message}");
    assert_eq!(snapshot(folder.path()), before);
}

#[test]
fn a_marker_that_taskmon_did_not_write_opens_nothing() {
    let folder = folder();
    fs::create_dir(folder.path().join("uploads")).unwrap();
    for text in ["", "This folder is", "something else", "This folder is a sandbox!\n"] {
        fs::write(folder.path().join(MARKER), text).unwrap();
        let before = snapshot(folder.path());
        let (kind, _) = kind_of(make_small(folder.path(), &request()));
        assert_eq!(kind, Kind::NotASandbox, "{text:?}");
        assert_eq!(snapshot(folder.path()), before, "{text:?}");
    }
}

#[test]
fn a_run_that_was_killed_at_any_step_can_be_repeated() {
    let folder = folder();
    // While its first sentence was written.
    for text in ["", "This folder is a sandbox of"] {
        let dir = folder.path().join(format!("early{}", text.len()));
        fs::create_dir(&dir).unwrap();
        fs::write(dir.join(MARKER), text).unwrap();
        make_small(&dir, &request()).unwrap();
    }
    // Within the database, with its journal still there; and before that, within the files.
    let dir = folder.path().join("early0");
    fs::write(dir.join("tasks.db"), "").unwrap();
    fs::write(dir.join("tasks.db-journal"), "half").unwrap();
    fs::remove_dir_all(dir.join("static")).unwrap();
    let sandbox = make(&dir, &request()).unwrap();
    assert_eq!(sandbox.counts, shared().1.counts);
    assert!(!dir.join("tasks.db-journal").exists());
    assert_eq!(count(&open(&sandbox), "SELECT count(*) FROM tasks"), sandbox.counts.tasks as i64);
}

#[test]
fn links_in_the_place_of_its_parts_stop_it_before_anything_is_touched() {
    let folder = folder();
    let treasure = folder.path().join("treasure");
    fs::create_dir(&treasure).unwrap();
    fs::write(treasure.join("ring"), "gold").unwrap();
    let dir = folder.path().join("sandbox");
    make_small(&dir, &request()).unwrap();
    let marker = fs::read(dir.join(MARKER)).unwrap();
    fs::write(treasure.join("marker"), marker).unwrap();
    for (part, target) in [
        ("uploads", "treasure"),
        ("static", "treasure"),
        ("logs", "treasure"),
        ("reports", "treasure"),
        (DATABASE, "treasure/ring"),
        ("tasks.db-journal", "treasure/ring"),
        (CONFIG, "treasure/ring"),
        (CONFIG, "nowhere"),
        (MARKER, "treasure/marker"),
    ] {
        let (path, aside) = (dir.join(part), folder.path().join("aside"));
        let moved = fs::rename(&path, &aside).is_ok();
        symlink(folder.path().join(target), &path).unwrap();
        let before = snapshot(folder.path());
        let (kind, message) = kind_of(make_small(&dir, &request()));
        assert_eq!(kind, Kind::NotASandbox, "{part}: {message}");
        assert!(message.contains(part), "{part}: {message}");
        assert_eq!(snapshot(folder.path()), before, "{part}");
        fs::remove_file(&path).unwrap();
        if moved {
            fs::rename(&aside, &path).unwrap();
        }
    }
    make_small(&dir, &request()).unwrap();
}

#[test]
fn a_link_to_a_sandbox_is_refused_with_and_without_a_slash() {
    let folder = folder();
    let dir = folder.path().join("empty");
    fs::create_dir(&dir).unwrap();
    let link = folder.path().join("link");
    symlink(&dir, &link).unwrap();
    let before = snapshot(folder.path());
    for name in ["link", "link/", "link/."] {
        let (kind, _) = kind_of(make_small(&folder.path().join(name), &request()));
        assert_eq!(kind, Kind::NotASandbox, "{name}");
    }
    assert_eq!(snapshot(folder.path()), before);
}

#[test]
fn a_link_inside_its_folders_goes_and_what_it_leads_to_stays() {
    let folder = folder();
    let dir = folder.path().join("sandbox");
    make_small(&dir, &request()).unwrap();
    let treasure = folder.path().join("treasure");
    fs::create_dir(&treasure).unwrap();
    fs::write(treasure.join("ring"), "gold").unwrap();
    let before = snapshot(&treasure);
    symlink(&treasure, dir.join("uploads/link")).unwrap();
    symlink(treasure.join("ring"), dir.join("logs/app.log.99")).unwrap();
    make_small(&dir, &request()).unwrap();
    assert_eq!(snapshot(&treasure), before);
    assert!(fs::symlink_metadata(dir.join("uploads/link")).is_err());
}

#[test]
fn other_files_beside_it_stay_and_old_reports_go() {
    let folder = folder();
    make_small(folder.path(), &request()).unwrap();
    let (mine, report) =
        (folder.path().join("notes.txt"), folder.path().join("reports/daily/a.json"));
    fs::write(&mine, "mine").unwrap();
    fs::create_dir_all(report.parent().unwrap()).unwrap();
    fs::write(&report, "{}").unwrap();
    make_small(folder.path(), &request()).unwrap();
    assert_eq!(fs::read_to_string(mine).unwrap(), "mine");
    assert!(!report.exists());
}

#[test]
fn a_changed_configuration_is_kept_beside_the_new_one() {
    let folder = folder();
    let first = make_small(folder.path(), &request()).unwrap();
    for (number, name) in [(1, "taskmon.toml.bak"), (2, "taskmon.toml.bak.1")] {
        fs::write(&first.config, format!("# edited {number}")).unwrap();
        let again = make_small(folder.path(), &request()).unwrap();
        let kept = folder.path().join(name);
        assert_eq!(again.kept_config.as_deref(), Some(kept.as_path()));
        assert_eq!(fs::read_to_string(kept).unwrap(), format!("# edited {number}"));
        assert!(fs::read_to_string(&first.config).unwrap().contains("base_dir"));
    }
}

#[test]
fn another_language_or_zone_is_no_change_by_hand() {
    let folder = folder();
    make_small(folder.path(), &request()).unwrap();
    let english = DemoRequest { timezone: Tz::Europe__Berlin, language: Language::En, ..request() };
    let sandbox = make_small(folder.path(), &english).unwrap();
    assert_eq!(sandbox.kept_config, None);
    let config = fs::read_to_string(sandbox.config).unwrap();
    assert!(config.contains("timezone = \"Europe/Berlin\""), "{config}");
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
fn a_second_run_at_the_same_time_is_sent_away() {
    let folder = folder();
    make_small(folder.path(), &request()).unwrap();
    let marker = File::open(folder.path().join(MARKER)).unwrap();
    FileExt::lock_exclusive(&marker).unwrap();
    let before = snapshot(folder.path());
    let (kind, message) = kind_of(make_small(folder.path(), &request()));
    assert_eq!(kind, Kind::Locked);
    assert!(message.contains(folder.path().to_str().unwrap()), "{message}");
    assert_eq!(snapshot(folder.path()), before);
    drop(marker);
    make_small(folder.path(), &request()).unwrap();
}

#[test]
fn several_runs_on_one_new_folder_leave_one_whole_sandbox() {
    let folder = folder();
    let dir = folder.path().join("sandbox");
    let results: Vec<anyhow::Result<Sandbox>> = std::thread::scope(|scope| {
        let runs: Vec<_> = (0..4).map(|_| scope.spawn(|| make(&dir, &request()))).collect();
        runs.into_iter().map(|run| run.join().unwrap()).collect()
    });
    assert!(results.iter().any(|result| result.is_ok()));
    for result in results {
        match result {
            Ok(sandbox) => assert_eq!(sandbox.counts, shared().1.counts),
            Err(error) => assert_eq!(Failure::of(&error).kind, Kind::Locked, "{error:#}"),
        }
    }
    let connection = Connection::open(dir.join(DATABASE)).unwrap();
    assert_eq!(count(&connection, "SELECT count(*) FROM tasks"), shared().1.counts.tasks as i64);
}

#[test]
fn a_folder_that_cannot_be_made_is_named() {
    let folder = folder();
    fs::write(folder.path().join("file"), "").unwrap();
    for dir in [folder.path().join("file/sandbox"), PathBuf::from("/proc/taskmon/sandbox")] {
        let (kind, message) = kind_of(make_small(&dir, &request()));
        assert_eq!(kind, Kind::OutputFailed);
        assert!(message.contains(dir.to_str().unwrap()), "{message}");
    }
}

#[test]
fn a_folder_whose_name_looks_like_a_uri_is_a_folder() {
    let folder = folder();
    let dir = folder.path().join("file:a?mode=memory%20#");
    let sandbox = make_small(&dir, &request()).unwrap();
    assert!(fs::metadata(sandbox.database).unwrap().len() > 10_000);
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
