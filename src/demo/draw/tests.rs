use crate::demo::folder::DATABASE;
use crate::demo::tests::{at, count, folder, open, request, shared, texts};
use crate::demo::{DemoRequest, database, draw};
use crate::timezone::zone;
use chrono::{LocalResult, NaiveDate, NaiveDateTime, TimeZone};
use indicatif::ProgressBar;
use rusqlite::Connection;
use std::fs;
use std::time::SystemTime;

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

#[test]
fn every_file_that_a_row_names_is_there_and_is_relative_and_dated_before_now() {
    let made = shared();
    let (_, sandbox) = &*made;
    let connection = open(sandbox);
    let now = SystemTime::from(request().now);
    let mut seen = std::collections::HashSet::new();
    for (table, column) in PATHS {
        let query = format!("SELECT {column} FROM {table} WHERE {column} IS NOT NULL");
        let paths = texts(&connection, &query);
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
        let query =
            format!("SELECT avg(status = 'FAILED') * 100 FROM tasks WHERE created_at {days}");
        let rate: f64 = connection.query_row(&query, [], |row| row.get(0)).unwrap();
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
        let query = format!("SELECT count(*) FROM tasks WHERE {impossible}");
        assert_eq!(count(&connection, &query), 0, "{impossible}");
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

/// Makes the rows alone, in memory, of a zone and a moment at which clocks are changed.
fn local_times(request: &DemoRequest) -> Vec<(String, NaiveDateTime)> {
    let folder = folder();
    let path = folder.path().join(DATABASE);
    let rows = draw::draw(request.now, request.timezone);
    database::fill(&path, &rows, &ProgressBar::hidden()).unwrap();
    let connection = Connection::open(path).unwrap();
    let mut times = Vec::new();
    for (table, column) in MOMENTS {
        let query = format!("SELECT {column} FROM {table} WHERE {column} IS NOT NULL");
        for text in texts(&connection, &query) {
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
        (zone("Asia/Shanghai"), "2023-11-30T08:20:00Z"),
        // Minutes after midnight.
        (zone("Asia/Shanghai"), "2023-11-29T16:00:30Z"),
        (zone("Asia/Kathmandu"), "2024-02-29T18:20:00Z"),
        // Right after 2:00 became 3:00.
        (zone("America/New_York"), "2024-03-10T07:00:20Z"),
        (zone("America/New_York"), "2024-03-10T18:00:00Z"),
        // Within the hour that comes twice, and after it.
        (zone("America/New_York"), "2023-11-05T05:40:00Z"),
        (zone("America/New_York"), "2023-11-05T06:40:00Z"),
        (zone("America/New_York"), "2023-11-05T07:10:00Z"),
        // By half an hour.
        (zone("Australia/Lord_Howe"), "2024-04-06T16:00:00Z"),
        // Midnight is skipped.
        (zone("America/Santiago"), "2023-09-04T12:00:00Z"),
        // A whole day is skipped.
        (zone("Pacific/Apia"), "2012-01-02T12:00:00Z"),
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
    let request = at(zone("America/New_York"), "2024-03-11T18:00:00Z");
    let changed = NaiveDate::from_ymd_opt(2024, 3, 10).unwrap();
    let times = local_times(&request);
    let of_the_day = times
        .iter()
        .filter(|(column, time)| column == "tasks.created_at" && time.date() == changed)
        .count();
    assert!(of_the_day > 150, "{of_the_day}");
}
