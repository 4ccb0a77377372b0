//! Which day and which hour a task belongs to, for every way in which a database writes a time.

use crate::support::env::TestEnv;
use crate::support::zone;
use chrono::{DateTime, SecondsFormat, TimeZone, Utc};
use taskmon::timezone::Tz;

/// A day in a zone, the instants of some tasks, and the hour of that day in which each is counted; `None`: on another day.
struct Case {
    zone: &'static str,
    date: &'static str,
    tasks: &'static [(&'static str, Option<u32>)],
}

const CASES: &[Case] = &[
    Case {
        zone: "Asia/Shanghai",
        date: "2026-11-22",
        tasks: &[
            ("2026-11-21T15:59:59.999999Z", None),
            ("2026-11-21T16:00:00Z", Some(0)),
            ("2026-11-22T02:59:59.999999Z", Some(10)),
            ("2026-11-22T03:00:00Z", Some(11)),
            ("2026-11-22T15:59:59.999999Z", Some(23)),
            ("2026-11-22T16:00:00Z", None),
        ],
    },
    // 23 hours: two o'clock does not exist.
    Case {
        zone: "Europe/Berlin",
        date: "2026-03-29",
        tasks: &[
            ("2026-03-28T22:59:59.999999Z", None),
            ("2026-03-28T23:00:00Z", Some(0)),
            ("2026-03-29T00:59:59.999999Z", Some(1)),
            ("2026-03-29T01:00:00Z", Some(3)),
            ("2026-03-29T21:59:59.999999Z", Some(23)),
            ("2026-03-29T22:00:00Z", None),
        ],
    },
    // 25 hours: two o'clock comes twice.
    Case {
        zone: "Europe/Berlin",
        date: "2026-10-25",
        tasks: &[
            ("2026-10-24T21:59:59.999999Z", None),
            ("2026-10-24T22:00:00Z", Some(0)),
            ("2026-10-25T00:30:00Z", Some(2)),
            ("2026-10-25T01:30:00.5Z", Some(2)),
            ("2026-10-25T02:00:00Z", Some(3)),
            ("2026-10-25T22:59:59.999999Z", Some(23)),
            ("2026-10-25T23:00:00Z", None),
        ],
    },
    Case {
        zone: "America/New_York",
        date: "2026-03-08",
        tasks: &[
            ("2026-03-08T04:59:59.999999Z", None),
            ("2026-03-08T05:00:00Z", Some(0)),
            ("2026-03-08T06:59:59.999999Z", Some(1)),
            ("2026-03-08T07:00:00Z", Some(3)),
            ("2026-03-09T03:59:59.999999Z", Some(23)),
            ("2026-03-09T04:00:00Z", None),
        ],
    },
    Case {
        zone: "America/New_York",
        date: "2026-11-01",
        tasks: &[
            ("2026-11-01T03:59:59.999999Z", None),
            ("2026-11-01T04:00:00Z", Some(0)),
            ("2026-11-01T05:30:00Z", Some(1)),
            ("2026-11-01T06:30:00Z", Some(1)),
            ("2026-11-01T07:00:00Z", Some(2)),
            ("2026-11-02T04:59:59.999999Z", Some(23)),
            ("2026-11-02T05:00:00Z", None),
        ],
    },
    // Hours that start at half past of everybody else's.
    Case {
        zone: "Asia/Kolkata",
        date: "2026-06-10",
        tasks: &[
            ("2026-06-09T18:29:59.999999Z", None),
            ("2026-06-09T18:30:00Z", Some(0)),
            ("2026-06-09T19:29:59.999999Z", Some(0)),
            ("2026-06-09T19:30:00Z", Some(1)),
            ("2026-06-10T18:29:59.999999Z", Some(23)),
            ("2026-06-10T18:30:00Z", None),
        ],
    },
    // The clocks go back by half an hour: 24.5 hours.
    Case {
        zone: "Australia/Lord_Howe",
        date: "2026-04-05",
        tasks: &[
            ("2026-04-04T12:59:59.999999Z", None),
            ("2026-04-04T13:00:00Z", Some(0)),
            ("2026-04-04T14:59:59.999999Z", Some(1)),
            ("2026-04-04T15:00:00Z", Some(1)),
            ("2026-04-04T15:29:59.999999Z", Some(1)),
            ("2026-04-04T15:30:00Z", Some(2)),
            ("2026-04-05T13:29:59.999999Z", Some(23)),
            ("2026-04-05T13:30:00Z", None),
        ],
    },
    // And forward: 23.5 hours, and a two o'clock of thirty minutes.
    Case {
        zone: "Australia/Lord_Howe",
        date: "2026-10-04",
        tasks: &[
            ("2026-10-03T13:29:59.999999Z", None),
            ("2026-10-03T13:30:00Z", Some(0)),
            ("2026-10-03T15:29:59.999999Z", Some(1)),
            ("2026-10-03T15:30:00Z", Some(2)),
            ("2026-10-03T15:59:59.999999Z", Some(2)),
            ("2026-10-03T16:00:00Z", Some(3)),
            ("2026-10-04T12:59:59.999999Z", Some(23)),
            ("2026-10-04T13:00:00Z", None),
        ],
    },
    // A day without a midnight: it starts at one.
    Case {
        zone: "America/Santiago",
        date: "2026-09-06",
        tasks: &[
            ("2026-09-06T03:59:59.999999Z", None),
            ("2026-09-06T04:00:00Z", Some(1)),
            ("2026-09-06T04:59:59.999999Z", Some(1)),
            ("2026-09-07T02:59:59.999999Z", Some(23)),
            ("2026-09-07T03:00:00Z", None),
        ],
    },
    Case {
        zone: "UTC",
        date: "2024-02-29",
        tasks: &[
            ("2024-02-28T23:59:59.999999Z", None),
            ("2024-02-29T00:00:00Z", Some(0)),
            ("2024-02-29T23:59:59.999999Z", Some(23)),
            ("2024-03-01T00:00:00Z", None),
        ],
    },
];

/// How a column writes an instant, given the zone of the days.
type Form = fn(DateTime<Utc>, Tz) -> String;

fn naive_local(instant: DateTime<Utc>, zone: Tz) -> String {
    instant.with_timezone(&zone).format("%Y-%m-%d %H:%M:%S%.6f").to_string()
}

fn naive_utc(instant: DateTime<Utc>, _: Tz) -> String {
    instant.format("%Y-%m-%d %H:%M:%S%.6f").to_string()
}

fn with_t(instant: DateTime<Utc>, _: Tz) -> String {
    instant.format("%Y-%m-%dT%H:%M:%S%.6f").to_string()
}

/// A fraction only where there is one, as many programs write it.
fn short(instant: DateTime<Utc>, _: Tz) -> String {
    instant.format("%Y-%m-%d %H:%M:%S%.f").to_string()
}

fn with_z(instant: DateTime<Utc>, _: Tz) -> String {
    instant.to_rfc3339_opts(SecondsFormat::AutoSi, true)
}

fn with_offset(instant: DateTime<Utc>, _: Tz) -> String {
    let kolkata = instant.with_timezone(&zone("Asia/Kolkata"));
    kolkata.format("%Y-%m-%d %H:%M:%S%.6f%:z").to_string()
}

fn in_microseconds(instant: DateTime<Utc>, _: Tz) -> String {
    instant.timestamp_micros().to_string()
}

fn in_nanoseconds(instant: DateTime<Utc>, _: Tz) -> String {
    instant.timestamp_nanos_opt().unwrap().to_string()
}

/// Every case, the column's type changed by `prepare`, its text in `form`, naive ones meant in `naive`.
fn every_case(env: TestEnv, prepare: &str, form: Form, naive: &str) {
    env.sql(prepare);
    for case in CASES {
        let zone: Tz = case.zone.parse().unwrap();
        let mut hours = [0; 24];
        let mut rows = String::from("DELETE FROM tasks;");
        for (n, (instant, hour)) in case.tasks.iter().enumerate() {
            let instant: DateTime<Utc> = instant.parse().unwrap();
            let text = form(instant, zone);
            rows += &format!(
                "INSERT INTO tasks (task_id, status, created_at) VALUES ('{n}', 'PENDING', '{text}');"
            );
            if let Some(hour) = hour {
                hours[*hour as usize] += 1;
            }
        }
        env.sql(&rows);
        env.config_in(case.zone, &format!("naive_timestamps = \"{naive}\""));
        let report = env.taskmon(["stats", "--date", case.date, "--no-save"]).success().json();
        let counted: Vec<i64> = (0..24)
            .map(|hour| {
                report["performance_statistics"]["hourly_distribution"][hour.to_string()]
                    .as_i64()
                    .unwrap()
            })
            .collect();
        assert_eq!(counted, hours, "hours of {} in {}", case.date, case.zone);
        assert_eq!(
            report["task_statistics"]["total_tasks"],
            hours.iter().sum::<i64>(),
            "{} in {}",
            case.date,
            case.zone
        );
        assert_eq!(report["trend_analysis"]["past_7_days"][0]["total"], hours.iter().sum::<i64>());
    }
}

const TIMESTAMPTZ: &str = "ALTER TABLE tasks ALTER COLUMN created_at TYPE timestamptz";
const UNCHANGED: &str = "SELECT 1";

#[test]
fn the_cases_are_what_the_time_zone_database_says() {
    for case in CASES {
        let zone: Tz = case.zone.parse().unwrap();
        for (instant, hour) in case.tasks {
            let instant: DateTime<Utc> = instant.parse().unwrap();
            let local = zone.from_utc_datetime(&instant.naive_utc());
            let on_day = local.format("%Y-%m-%d").to_string() == case.date;
            let expected = on_day.then(|| local.format("%H").to_string().parse().unwrap());
            assert_eq!(*hour, expected, "{instant} in {}", case.zone);
        }
    }
}

#[test]
fn postgres_timestamptz() {
    every_case(TestEnv::postgres(), TIMESTAMPTZ, with_z, "local");
}

#[test]
fn postgres_naive_in_the_zone_of_the_days() {
    every_case(TestEnv::postgres(), UNCHANGED, naive_local, "local");
}

#[test]
fn postgres_naive_in_utc() {
    every_case(TestEnv::postgres(), UNCHANGED, naive_utc, "utc");
}

#[test]
fn sqlite_text_in_the_zone_of_the_days() {
    every_case(TestEnv::sqlite(), UNCHANGED, naive_local, "local");
}

#[test]
fn sqlite_text_in_utc() {
    every_case(TestEnv::sqlite(), UNCHANGED, naive_utc, "utc");
}

#[test]
fn sqlite_text_with_a_t() {
    every_case(TestEnv::sqlite(), UNCHANGED, with_t, "utc");
}

#[test]
fn sqlite_text_with_a_fraction_only_where_there_is_one() {
    every_case(TestEnv::sqlite(), UNCHANGED, short, "utc");
}

#[test]
fn sqlite_text_that_ends_in_z_says_its_zone_itself() {
    every_case(TestEnv::sqlite(), UNCHANGED, with_z, "Asia/Tokyo");
}

#[test]
fn sqlite_text_with_an_offset_says_its_zone_itself() {
    every_case(TestEnv::sqlite(), UNCHANGED, with_offset, "Asia/Tokyo");
}

#[test]
fn sqlite_numbers_of_microseconds() {
    every_case(TestEnv::sqlite(), UNCHANGED, in_microseconds, "Asia/Tokyo");
}

#[test]
fn sqlite_numbers_of_nanoseconds() {
    every_case(TestEnv::sqlite(), UNCHANGED, in_nanoseconds, "Asia/Tokyo");
}

#[test]
fn naive_times_of_a_named_zone_are_counted_on_the_days_of_another() {
    for env in [TestEnv::postgres(), TestEnv::sqlite()] {
        // 23:30 in New York is half past five the next morning in Berlin.
        env.sql("INSERT INTO tasks (task_id, status, created_at) VALUES ('1', 'PENDING', '2026-01-14 23:30:00')");
        env.config_in("Europe/Berlin", "naive_timestamps = \"America/New_York\"");
        let report = env.taskmon(["stats", "--date", "2026-01-15", "--no-save"]).success().json();
        assert_eq!(report["performance_statistics"]["hourly_distribution"]["5"], 1);
    }
}

#[test]
fn the_zone_of_the_process_decides_nothing() {
    let env = TestEnv::sqlite();
    env.sql("INSERT INTO tasks (task_id, status, created_at) VALUES ('1', 'PENDING', '2026-01-15 23:30:00')");
    let report = env
        .taskmon(["stats", "--date", "2026-01-15", "--no-save"])
        .env("TZ", "Pacific/Kiritimati")
        .success()
        .json();
    assert_eq!(report["performance_statistics"]["hourly_distribution"]["23"], 1);
}
