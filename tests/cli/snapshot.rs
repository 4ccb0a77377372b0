//! All figures of a report come from one moment, also while a writer works at full speed.

use crate::cli::stats::DAY;
use crate::support::env::TestEnv;
use crate::support::rows::Task;
use serde_json::Value;
use std::sync::atomic::{AtomicBool, Ordering};

/// Inserts failing and waiting tasks and moves others from state to state until asked to stop.
fn write(stop: &AtomicBool, mut execute: impl FnMut(&str)) {
    for n in (1000..).step_by(4) {
        if stop.load(Ordering::Relaxed) {
            break;
        }
        let hour = |k: u32| format!("2026-11-22 {:02}:30:00", (n / 4 + k) % 24);
        let rows: String = [
            Task::new(n).at(&hour(0)).failed("任务超时"),
            Task::new(n + 1).at(&hour(5)).failed("物流查询失败"),
            Task::new(n + 2).at(&hour(9)).status("PENDING"),
            Task::new(n + 3).at(&hour(13)),
        ]
        .iter()
        .map(Task::insert)
        .collect();
        let moved = n.saturating_sub(8);
        execute(&format!(
            "BEGIN; {rows}
             UPDATE tasks SET status = 'FAILED', error_message = '二维码' WHERE id IN ({}, {});
             DELETE FROM tasks WHERE id = {};
             COMMIT",
            moved + 2,
            moved + 3,
            moved.saturating_sub(400)
        ));
    }
}

/// Reads reports until the writer has shown itself between them, and holds each to its own sums.
fn read(env: &TestEnv, stop: &AtomicBool) {
    let mut totals = Vec::new();
    for _ in 0..20 {
        let report = env.taskmon(["stats", "--date", DAY, "--no-save"]).success().json();
        totals.push(consistent_total(&report));
    }
    stop.store(true, Ordering::Relaxed);
    totals.dedup();
    assert!(totals.len() > 1, "the writer wrote nothing while the reports were made");
}

fn consistent_total(report: &Value) -> i64 {
    let sum = |value: &Value| -> i64 {
        value.as_object().unwrap().values().map(|n| n.as_i64().unwrap()).sum()
    };
    let tasks = &report["task_statistics"];
    let total = tasks["total_tasks"].as_i64().unwrap();
    assert_eq!(sum(&tasks["status_breakdown"]), total, "{report}");
    assert_eq!(sum(&tasks["raw_status_breakdown"]), total, "{report}");
    assert_eq!(sum(&report["performance_statistics"]["hourly_distribution"]), total, "{report}");
    let today = &report["trend_analysis"]["past_7_days"][0];
    assert_eq!(today["total"], total, "{report}");
    assert_eq!(today["failed"], tasks["status_breakdown"]["failed"], "{report}");
    assert_eq!(today["completed"], tasks["status_breakdown"]["completed"], "{report}");
    let errors = &report["error_statistics"];
    assert_eq!(errors["total_failed_tasks"], today["failed"], "{report}");
    // Every failed task of this writer has a message.
    assert_eq!(sum(&errors["error_categories"]), today["failed"].as_i64().unwrap(), "{report}");
    total
}

#[test]
fn figures_add_up_under_a_writer_on_postgres() {
    let env = TestEnv::postgres();
    env.insert((1..=400).map(|n| Task::new(n).failed("文档生成失败")));
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let mut client = env.client();
            write(&stop, |batch| client.batch_execute(batch).unwrap());
        });
        let guard = StopOnDrop(&stop);
        read(&env, &stop);
        drop(guard);
    });
}

#[test]
fn figures_add_up_under_a_writer_on_sqlite() {
    let env = TestEnv::sqlite();
    env.connection().pragma_update(None, "journal_mode", "wal").unwrap();
    env.insert((1..=400).map(|n| Task::new(n).failed("文档生成失败")));
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let connection = env.connection();
            connection.pragma_update(None, "synchronous", "off").unwrap();
            write(&stop, |batch| connection.execute_batch(batch).unwrap());
        });
        let guard = StopOnDrop(&stop);
        read(&env, &stop);
        drop(guard);
    });
}

/// Ends the writer also when a check fails; the scope would otherwise wait for it for ever.
struct StopOnDrop<'a>(&'a AtomicBool);

impl Drop for StopOnDrop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}
