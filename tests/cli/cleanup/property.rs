//! Whatever the times say: no row and no file goes that is younger than its limit.

use super::*;
use chrono::{DateTime, TimeDelta, Utc};
use proptest::prelude::*;
use proptest::test_runner::TestRunner;

/// What a time column holds.
#[derive(Debug, Clone)]
enum Written {
    /// The truth, so many minutes before the time from which limits count back.
    True(i64),
    /// No time, or one that cannot be right.
    Wrong(&'static str),
    /// What is no time at all, which only SQLite's columns can hold.
    Unreadable(&'static str),
}

#[derive(Debug, Clone)]
struct Row {
    is_failed: bool,
    created: Written,
    updated: Written,
    completed: Written,
}

const DAY_IN_MINUTES: i64 = 1440;

fn written() -> impl Strategy<Value = Written> {
    let wrong = [
        "1970-01-01 00:00:00",
        "0001-01-01 00:00:00",
        "1900-01-01 00:00:00",
        "1989-12-31 00:00:00",
        "2999-01-01 00:00:00",
        "9999-12-31 23:59:59",
    ];
    let unreadable =
        ["2460000.5", "20200101", "818000000", "20000", "637000000000000000", "yesterday", "-1"];
    prop_oneof![
        5 => (1i64..60 * DAY_IN_MINUTES).prop_map(Written::True),
        2 => prop::sample::select(wrong.to_vec()).prop_map(Written::Wrong),
        1 => prop::sample::select(unreadable.to_vec()).prop_map(Written::Unreadable),
    ]
}

fn row() -> impl Strategy<Value = Row> {
    let times = (written(), written(), written());
    (any::<bool>(), times).prop_map(|(is_failed, (created, updated, completed))| Row {
        is_failed,
        created,
        updated,
        completed,
    })
}

impl Row {
    /// The minutes since the first of its times that is one; `None`: it says none, or something that nobody understands.
    fn age(&self, can_hold_anything: bool) -> Option<i64> {
        let created = match self.created {
            Written::True(ago) => Some(ago),
            _ => None,
        };
        let ends = if self.is_failed {
            [&self.updated, &self.completed]
        } else {
            [&self.completed, &self.updated]
        };
        for end in ends {
            match end {
                // A minute before the creation is let pass; a creation that is still to come contradicts every end.
                Written::True(ago)
                    if created.is_none_or(|created| *ago <= created + 1) && !self.is_to_come() =>
                {
                    return Some(*ago);
                }
                Written::Unreadable(_) if can_hold_anything => return None,
                _ => {}
            }
        }
        created
    }

    fn is_to_come(&self) -> bool {
        matches!(self.created, Written::Wrong(time) if time > "2900")
    }

    fn task(&self, n: u32, as_of: DateTime<Utc>, can_hold_anything: bool) -> Task {
        let columns = [
            ("created_at", &self.created),
            ("updated_at", &self.updated),
            ("completed_at", &self.completed),
        ];
        let task = if self.is_failed { Task::new(n).failed("x") } else { Task::new(n) };
        columns.into_iter().fold(task.without("started_at"), |task, (column, written)| {
            match written {
                // The rows' times are of Shanghai.
                Written::True(ago) => {
                    let time = as_of - TimeDelta::minutes(*ago) + TimeDelta::hours(8);
                    task.with(column, time.format("%Y-%m-%d %H:%M:%S").to_string())
                }
                Written::Wrong(time) => task.with(column, *time),
                Written::Unreadable(value) if can_hold_anything => task.with(column, *value),
                Written::Unreadable(_) => task.without(column),
            }
        })
    }
}

fn nothing_young_goes(env: &TestEnv, cases: u32) {
    let can_hold_anything = env.url().starts_with("sqlite");
    let as_of = DateTime::parse_from_rfc3339(AS_OF).unwrap().to_utc();
    let case = (prop::collection::vec(row(), 1..40), 0u32..50, 0u32..50, 0i64..40);
    let mut runner = TestRunner::new(ProptestConfig {
        cases,
        failure_persistence: None,
        ..ProptestConfig::default()
    });
    runner
        .run(&case, |(rows, completed_days, failed_days, clock_days)| {
            env.sql("DELETE FROM tasks");
            let tasks: Vec<Task> =
                (1..).zip(&rows).map(|(n, row)| row.task(n, as_of, can_hold_anything)).collect();
            prepare(env, &tasks);
            // Files to sweep, by the minutes since they came.
            let temp: Vec<i64> = (0..10).map(|n| n * 700 + 1).collect();
            for ago in &temp {
                let path = format!("uploads/temp/{ago}.bin");
                env.write(&path, "1");
                age_to(&env.path(&path), as_of - TimeDelta::minutes(*ago));
            }
            // The clock may be behind; a time from which limits count back that is earlier shows the same.
            let now = as_of - TimeDelta::days(clock_days);
            let (completed, failed) = (completed_days.to_string(), failed_days.to_string());
            let now_text = now.to_rfc3339();
            let finished = env
                .taskmon([
                    "-q",
                    "-q",
                    "cleanup",
                    "--as-of",
                    &now_text,
                    "--completed-tasks-days",
                    &completed,
                    "--failed-tasks-days",
                    &failed,
                ])
                .run();
            let stays: BTreeSet<String> = ids(env).into_iter().collect();
            let output = finished.stdout();
            let behind = clock_days * DAY_IN_MINUTES;
            for (n, row) in (1..).zip(&rows) {
                let days = if row.is_failed { failed_days } else { completed_days };
                let limit = i64::from(days) * DAY_IN_MINUTES + behind;
                let is_old = row.age(can_hold_anything).is_some_and(|age| age > limit);
                let has_stayed = stays.contains(&n.to_string());
                prop_assert!(has_stayed || is_old, "task {n} went: {row:?}");
                let files = paths(&tasks[n - 1]).iter().all(|path| env.path(path).exists());
                prop_assert_eq!(has_stayed, files, "the files of task {}", n);
                if finished.code != Some(3) {
                    prop_assert!(!has_stayed || !is_old, "task {n} stayed: {row:?}\n{output}");
                }
            }
            for ago in &temp {
                let is_young = *ago <= DAY_IN_MINUTES + behind;
                let is_there = env.path(format!("uploads/temp/{ago}.bin")).exists();
                prop_assert!(is_there || !is_young, "a file of {ago} minutes went");
            }
            Ok(())
        })
        .unwrap();
}

fn age_to(path: &Path, time: DateTime<Utc>) {
    let file = std::fs::File::options().write(true).open(path).unwrap();
    file.set_modified(time.into()).unwrap();
}

on_each_database! {
    fn nothing_younger_than_its_limit_goes(env) {
        env.config("[cleanup]\ntemp_dirs = ['uploads/temp']");
        nothing_young_goes(&env, 40);
    }
}
