//! Times that cannot be right: a column in another unit, a date that means "not set", two times that contradict each other.

use super::*;
use chrono::{DateTime, TimeDelta, Utc};

/// How long before the time from which limits count back.
fn before(span: TimeDelta) -> DateTime<Utc> {
    let as_of = DateTime::parse_from_rfc3339(AS_OF).unwrap().to_utc();
    as_of - span
}

fn days_before(days: i64) -> DateTime<Utc> {
    before(TimeDelta::days(days))
}

/// A completed task of which nothing but this is known.
fn known_by(n: u32, column: &'static str, value: &str) -> Task {
    let task = old(n).without("created_at").without("started_at");
    task.without("completed_at").without("updated_at").with(column, value)
}

#[track_caller]
fn unreadable(result: &Value, words: &[&str]) {
    assert_eq!(kinds(result), ["unreadable_time"], "{result:#}");
    let message = result["errors"][0]["message"].as_str().unwrap();
    for word in words {
        assert!(message.contains(word), "{word}: {message}");
    }
}

/// Dates that programs write where there is none.
const NOT_SET: [&str; 4] =
    ["1970-01-01 00:00:00", "0001-01-01 00:00:00", "1900-01-01 00:00:00", "1989-12-31 23:59:59"];

on_each_database! {
    fn a_date_that_means_not_set_makes_nothing_expire(env) {
        let fresh: Vec<Task> = (1..).zip(NOT_SET).flat_map(|(n, unset)| {
            let fresh = |n: u32| Task::new(n).at("2026-11-25 03:00:00");
            [
                fresh(n).with("completed_at", unset),
                fresh(n + 10).failed("x").with("updated_at", unset).without("completed_at"),
                known_by(n + 20, "completed_at", unset),
                known_by(n + 30, "created_at", unset),
            ]
        }).collect();
        prepare(&env, &fresh);
        let result = cleanup(&env, 1, &["--only", "tasks"]);
        assert_eq!(ids(&env).len(), fresh.len());
        assert_eq!(result["files_cleaned"], 0);
        unreadable(&result, &["8 rows of tasks", "completed_at = '", "0001"]);
    }

    fn the_next_time_counts_where_one_is_not_plausible(env) {
        let wrong = NOT_SET.into_iter().chain(["9999-12-31 00:00:00"]);
        prepare(&env, &(1..).zip(wrong).map(|(n, wrong)| old(n).with("completed_at", wrong)).collect::<Vec<_>>());
        assert_eq!(cleanup(&env, 0, &["--only", "tasks"])["tasks_cleaned"], 5);
    }

    fn an_end_before_the_creation_does_not_count(env) {
        let created = |n: u32, time: &str| Task::new(n).at(time);
        let tasks = [
            created(1, "2026-11-20 10:00:00").with("completed_at", "2026-09-01 10:00:00").with("updated_at", "2026-09-01 10:00:00"),
            // Two hosts wrote the two, and their clocks differ by less than a minute.
            created(2, "2026-10-20 10:00:00").with("completed_at", "2026-10-20 09:59:01"),
            created(3, "2026-10-20 10:00:00").with("completed_at", "2026-10-20 09:58:59").with("updated_at", "2026-11-24 10:00:00"),
        ];
        prepare(&env, &tasks);
        assert_eq!(cleanup(&env, 0, &["--only", "tasks"])["tasks_cleaned"], 1);
        assert_eq!(ids(&env), ["1", "3"]);
    }

    fn receipts_of_a_time_that_cannot_be_right_stay(env) {
        prepare(&env, &[]);
        env.sql("INSERT INTO delivery_receipts (id, tracking_number, created_at) VALUES (1, 'a', '1970-01-01 00:00:00'), (2, 'b', '2026-09-01 10:00:00')");
        let result = cleanup(&env, 1, &["--only", "receipts"]);
        assert_eq!(result["receipts_cleaned"], 1);
        unreadable(&result, &["1 rows of delivery_receipts", "created_at = '", "1970"]);
    }

    fn an_earlier_year_may_be_configured(env) {
        prepare(&env, &[known_by(1, "completed_at", "1985-01-01 00:00:00"), known_by(2, "completed_at", "1979-12-31 00:00:00")]);
        env.config("earliest_year = 1980");
        cleanup(&env, 1, &["--only", "tasks"]);
        assert_eq!(ids(&env), ["2"]);
    }
}

/// A table of SQLite's whose creation time is a number of some kind, an hour before the time from which limits count back.
fn with_numbers(sql_type: &str, value: impl Fn(DateTime<Utc>) -> String) -> TestEnv {
    let env = TestEnv::sqlite();
    env.sql(&format!(
        "CREATE TABLE jobs (id INTEGER PRIMARY KEY, state TEXT, made {sql_type}, path TEXT)"
    ));
    make_files(&env, &[]);
    for n in 1..=5 {
        let path = format!("uploads/{n}.bin");
        env.write(&path, "0123456789");
        let made = value(before(TimeDelta::minutes(60 * n)));
        env.sql(&format!("INSERT INTO jobs VALUES ({n}, 'done', {made}, '{path}')"));
    }
    env.config("[database.tasks]\nfrom = 'jobs'\ndelete_from = 'jobs'\nkey = ['id']\nlabel = 'id'\nstatus = 'state'\ncreated_at = 'made'\nstarted_at = ''\ncompleted_at = ''\nupdated_at = ''\nprocessing_time = ''\nerror_message = ''\nretry_count = ''\nqueue = ''\nname = ''\nlink = ''\nfiles = ['path']\n[database.tasks.states]\npending = []\nprocessing = []\ncompleted = ['done']\nfailed = []\ncancelled = []\n[database.receipts]\nenabled = false");
    env
}

#[test]
fn numbers_that_count_something_else_make_nothing_expire() {
    let day = |time: DateTime<Utc>| time.timestamp() as f64 / 86_400.0;
    type Value = fn(DateTime<Utc>, &dyn Fn(DateTime<Utc>) -> f64) -> String;
    let kinds: [(&str, &str, Value); 8] = [
        ("days of the Julian period", "REAL", |time, day| (day(time) + 2_440_587.5).to_string()),
        ("days since 1970", "INTEGER", |time, day| (day(time) as i64).to_string()),
        ("digits of a date", "INTEGER", |time, _| time.format("%Y%m%d").to_string()),
        ("seconds since 2001", "REAL", |time, _| (time.timestamp() - 978_307_200).to_string()),
        ("days since 1899-12-30", "REAL", |time, day| (day(time) + 25_569.0).to_string()),
        ("minutes since 1970", "INTEGER", |time, _| (time.timestamp() / 60).to_string()),
        ("seconds since 1900", "TEXT", |time, _| (time.timestamp() + 2_208_988_800).to_string()),
        ("a date in words", "TEXT", |time, _| time.format("'%d %b %Y'").to_string()),
    ];
    for (kind, sql_type, value) in kinds {
        let env = with_numbers(sql_type, |time| value(time, &day));
        let result = cleanup(&env, 1, &["--only", "tasks"]);
        assert_eq!(result["tasks_cleaned"], 0, "{kind}: {result:#}");
        assert!(env.path("uploads/1.bin").exists(), "{kind}");
        unreadable(&result, &["5 rows of jobs", "made = "]);
    }
}

#[test]
fn seconds_and_their_fractions_go_by_their_size() {
    for (in_a_second, sql_type) in [
        (1.0, "REAL"),
        (1.0, "INTEGER"),
        (1e3, "INTEGER"),
        (1e6, "INTEGER"),
        (1e9, "INTEGER"),
        (1e3, "REAL"),
    ] {
        let of = |time: DateTime<Utc>| format!("{:.0}", time.timestamp() as f64 * in_a_second);
        let env = with_numbers(sql_type, of);
        env.sql(&format!("UPDATE jobs SET made = {} WHERE id = 5", of(days_before(31))));
        let result = cleanup(&env, 0, &["--only", "tasks"]);
        assert_eq!(
            column(&env, "SELECT id FROM jobs ORDER BY id"),
            ["1", "2", "3", "4"],
            "{in_a_second}: {result:#}"
        );
    }
}

#[test]
fn a_slip_in_an_expression_makes_nothing_expire() {
    let env = TestEnv::postgres();
    prepare(&env, &[]);
    env.insert((1..=5).map(|n| Task::new(n).at("2026-11-25 03:00:00")));
    for slip in [
        "to_timestamp(extract(epoch FROM created_at) / 1000.0)",
        "to_timestamp(extract(epoch FROM created_at) * 1000.0)",
        "created_at - interval '2000 years'",
        "'infinity'::timestamp",
        "'-infinity'::timestamptz",
        "(created_at - interval '100 years')::date",
    ] {
        let ends =
            "completed_at = ''\nupdated_at = ''\nstarted_at = ''\nprocessing_time = ''\nfiles = []";
        env.config(&format!("[database.tasks]\ncreated_at = \"{slip}\"\n{ends}"));
        let result = cleanup(&env, 1, &["--only", "tasks"]);
        assert_eq!(ids(&env).len(), 5, "{slip}");
        unreadable(&result, &["5 rows of tasks"]);
    }
}

#[test]
fn times_at_the_ends_of_the_calendar_stop_no_run() {
    let env = TestEnv::postgres();
    prepare(&env, &[]);
    let ends = ["294276-12-31 23:59:59", "4713-01-01 00:00:00 BC", "infinity", "-infinity"];
    env.insert(
        (1..).zip(ends).map(|(n, end)| old(n).with("completed_at", end).with("created_at", end)),
    );
    env.sql("ALTER TABLE tasks ADD COLUMN day date; UPDATE tasks SET day = '5874897-12-31'");
    for completed_at in ["completed_at", "completed_at AT TIME ZONE 'America/New_York'", "day"] {
        if completed_at.contains("ZONE") {
            env.sql("UPDATE tasks SET completed_at = '294276-12-30' WHERE id = 1");
        }
        env.config(&format!(
            "[database.tasks]\ncompleted_at = \"{completed_at}\"\nupdated_at = \"\""
        ));
        let result = cleanup(&env, 1, &["--only", "tasks", "--dry-run"]);
        assert_eq!(result["tasks_cleaned"], 0, "{completed_at}");
        unreadable(&result, &["4 rows"]);
    }
}
