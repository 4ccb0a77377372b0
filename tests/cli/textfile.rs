//! `--textfile`, read by what Prometheus has for it: `promtool check metrics`, and the parser of its Python client.

use crate::support::env::{TestEnv, lock_tasks};
use crate::support::finished::Finished;
use crate::support::rows::Task;
use crate::support::run::Run;
use crate::support::zone;
use chrono::{DateTime, Days, NaiveDate, Utc};
use serde_json::{Value, json};
use std::os::unix::fs::PermissionsExt;

/// Every sample of these files as the Python client reads them all together, as one exporter does: `[name, labels, value]`. Fails on what it
/// would refuse: a name or a help that differs between files, two samples with the same labels, samples of a name that are not in one group.
const READ: &str = r#"
import json, sys
from prometheus_client.parser import text_string_to_metric_families
helps, seen, samples = {}, set(), []
for path in sys.argv[1:]:
    names = set()
    for family in text_string_to_metric_families(open(path, encoding="utf-8", newline="\n").read()):
        assert family.type == "gauge", (path, family.name, family.type)
        assert family.documentation, (path, family.name)
        assert family.name not in names, ("apart", path, family.name)
        names.add(family.name)
        assert helps.setdefault(family.name, family.documentation) == family.documentation, ("help", family.name)
        for sample in family.samples:
            assert sample.timestamp is None, sample
            key = (sample.name, tuple(sorted(sample.labels.items())))
            assert key not in seen, ("twice", key)
            seen.add(key)
            samples.append([sample.name, sample.labels, sample.value])
json.dump(samples, sys.stdout)
"#;

struct Samples(Vec<(String, Value, f64)>);

impl Samples {
    #[track_caller]
    fn read(env: &TestEnv, files: &[&str]) -> Self {
        for file in files {
            let check = format!("promtool check metrics < {file}");
            env.program("sh", ["-c", &check]).success();
        }
        let arguments = ["-c", READ].iter().chain(files).copied();
        let read = env.program("/usr/bin/python3", arguments).success().json();
        let samples = read.as_array().unwrap().iter().map(|sample| {
            let name = sample[0].as_str().unwrap().to_owned();
            (name, sample[1].clone(), sample[2].as_f64().unwrap())
        });
        Self(samples.collect())
    }

    fn find(&self, name: &str, labels: &Value) -> Option<f64> {
        let mut samples = self.0.iter();
        let found = samples.find(|(of, its, _)| of == name && its == labels);
        found.map(|(_, _, value)| *value)
    }

    #[track_caller]
    fn assert(&self, name: &str, labels: Value, expected: f64) {
        let found = self.find(name, &labels);
        assert_eq!(found, Some(expected), "{name} {labels} of {:#?}", self.0);
    }

    #[track_caller]
    fn assert_none(&self, name: &str) {
        let found = self.0.iter().find(|(known, _, _)| known.starts_with(name));
        assert_eq!(found, None);
    }

    /// The value of a family's one sample.
    #[track_caller]
    fn only(&self, name: &str) -> f64 {
        let found: Vec<_> = self.0.iter().filter(|(known, _, _)| known == name).collect();
        assert_eq!(found.len(), 1, "{name} of {:#?}", self.0);
        found[0].2
    }
}

/// Four tasks of yesterday in Shanghai, two of them failed. Returns that day: rows of a fixed day would expire one day,
/// and `cleanup` would delete them.
fn fill(env: &TestEnv) -> NaiveDate {
    let day = Utc::now().with_timezone(&zone("Asia/Shanghai")).date_naive() - Days::new(1);
    let at = |n: u32, time: &str| Task::new(n).at(&format!("{day} {time}"));
    env.insert([
        at(1, "10:00:00"),
        at(2, "11:00:00").failed("二维码识别失败"),
        at(3, "11:30:00").failed("odd \"name\""),
        at(4, "12:00:00").status("PENDING"),
    ]);
    day
}

#[test]
fn a_report_as_prometheus_metrics() {
    let env = TestEnv::sqlite();
    let day = fill(&env);
    let config = env.read("taskmon.toml");
    let more = "[[stats.error_categories]]\nname = 'say \"x\\y\" 二维码'\ncontains = ['二维码']\n";
    env.write("taskmon.toml", &format!("{config}\n{more}"));
    let report = stats(&env, day).success().json();
    let samples = Samples::read(&env, &["stats.prom"]);
    for (state, count) in
        [("pending", 1.0), ("completed", 1.0), ("failed", 2.0), ("cancelled", 0.0)]
    {
        samples.assert("taskmon_stats_tasks", json!({"state": state}), count);
    }
    samples.assert("taskmon_stats_failure_ratio", json!({}), 0.5);
    samples.assert(
        "taskmon_stats_failed_tasks_by_category",
        json!({"category": "say \"x\\y\" 二维码"}),
        1.0,
    );
    samples.assert("taskmon_stats_hourly_tasks", json!({"hour": "11"}), 2.0);
    // Midnight of the day in Shanghai.
    let midnight = DateTime::parse_from_rfc3339(&format!("{day}T00:00:00+08:00")).unwrap();
    samples.assert(
        "taskmon_stats_day_start_timestamp_seconds",
        json!({}),
        midnight.timestamp() as f64,
    );
    let tasks = &report["task_statistics"];
    let p95 = tasks["processing_time_percentiles"]["p95"].as_f64().unwrap();
    samples.assert("taskmon_stats_processing_percentile_seconds", json!({"percentile": "95"}), p95);
    // A failure rate of 50 % is above the limit of 20 %.
    samples.assert("taskmon_alerts_standing", json!({"job": "stats", "severity": "warning"}), 1.0);
    samples.assert("taskmon_last_run_success", json!({"job": "stats"}), 1.0);
    // The preset has no queue column, and no broker is configured.
    samples.assert_none("taskmon_stats_queue_waiting_tasks");
    samples.assert_none("taskmon_stats_queue_reserved_tasks");
    samples.assert("taskmon_stats_queue_pending_tasks", json!({}), 1.0);
}

#[test]
fn queues_and_names_as_prometheus_metrics() {
    let env = TestEnv::sqlite();
    env.config("[database.tasks]\nqueue = 'courier_company'\nname = 'remarks'");
    let day = Utc::now().with_timezone(&zone("Asia/Shanghai")).date_naive() - Days::new(1);
    let task = |n: u32, queue: &str| {
        let task = Task::new(n).at(&format!("{day} 10:00:00")).with("remarks", "send");
        task.with("courier_company", queue).with("processing_time", n)
    };
    env.insert((1..=55).map(|n| task(n, &format!("q{n:02}"))));
    env.insert([
        task(60, "a \"b\"\\c\n字").status("PENDING"),
        task(61, "a \"b\"\\c\n字").failed("x"),
        task(62, "x").without("courier_company").status("TRACKING"),
    ]);
    stats(&env, day).success().json();
    let finished = env.taskmon(["alert", "--textfile", "alert.prom"]).success();
    finished.json();
    finished.stderr();
    let samples = Samples::read(&env, &["stats.prom", "alert.prom"]);
    let odd = json!({"queue": "a \"b\"\\c\n字"});
    samples.assert("taskmon_stats_by_queue_tasks", odd.clone(), 2.0);
    samples.assert("taskmon_stats_by_queue_failed_tasks", odd.clone(), 1.0);
    samples.assert("taskmon_stats_by_queue_tasks", json!({"queue": "(none)"}), 1.0);
    samples.assert("taskmon_stats_by_queue_tasks", json!({"queue": "(other)"}), 55.0 - 48.0);
    samples.assert("taskmon_stats_by_name_tasks", json!({"name": "send"}), 58.0);
    let p50 = json!({"queue": "q07", "percentile": "50"});
    samples.assert("taskmon_stats_by_queue_processing_percentile_seconds", p50.clone(), 7.0);
    assert!(samples.find("taskmon_stats_by_queue_wait_percentile_seconds", &p50).is_some());
    let age = samples.find("taskmon_stats_by_queue_oldest_open_seconds", &odd);
    assert!(age.is_some_and(|age| age > 3600.0), "{age:?}");
    samples.assert("taskmon_live_by_queue_pending_tasks", odd.clone(), 1.0);
    samples.assert("taskmon_live_by_queue_overdue_pending_tasks", odd.clone(), 1.0);
    assert!(samples.find("taskmon_live_by_queue_oldest_pending_seconds", &odd) >= age);
    samples.assert("taskmon_live_by_queue_processing_tasks", json!({"queue": "(none)"}), 1.0);
    samples.assert("taskmon_live_by_name_processing_tasks", json!({"name": "send"}), 1.0);
    // The table does not know when tasks are due.
    samples.assert_none("taskmon_live_by_queue_scheduled_tasks");
}

fn stats(env: &TestEnv, day: NaiveDate) -> Run<'_> {
    env.taskmon(["stats", "--date", &day.to_string(), "--no-save", "--textfile", "stats.prom"])
}

#[test]
fn disks_with_odd_names_to_the_byte() {
    let env = TestEnv::new();
    let odd = "a \"b\"\\c\n字";
    std::fs::create_dir(env.path(odd)).unwrap();
    let finished = env
        .taskmon(["disk", odd, ".", odd, "--no-alert", "--warning", "100", "--critical", "100"])
        .arg("--textfile")
        .arg("disk.prom")
        .success();
    let disk = finished.json()["disks"][0].clone();
    let samples = Samples::read(&env, &["disk.prom"]);
    let size = env.program("stat", ["-f", "-c", "%S %b", "."]).success();
    let size: f64 = size.stdout().split_whitespace().map(|n| n.parse::<f64>().unwrap()).product();
    let place = |path: &str| json!({"path": path, "mount": disk["mount"], "device": disk["device"], "fs_type": disk["fs_type"]});
    for path in [odd, "."] {
        samples.assert("taskmon_disk_size_bytes", place(path), size);
        samples.assert("taskmon_disk_status", place(path), 0.0);
    }
    let used = samples.find("taskmon_disk_used_ratio", &place(odd)).unwrap();
    let percent = disk["usage_percent"].as_f64().unwrap();
    assert_eq!(format!("{:.2}", used * 100.0), format!("{percent:.2}"));
}

#[test]
fn the_files_of_all_jobs_can_be_exported_together() {
    let env = TestEnv::sqlite();
    let day = fill(&env);
    env.write("logs/old.log", "12345");
    let old = std::time::SystemTime::now() - std::time::Duration::from_secs(40 * 86_400);
    let log = std::fs::File::options().append(true).open(env.path("logs/old.log")).unwrap();
    log.set_modified(old).unwrap();
    drop(log);
    stats(&env, day).success().json();
    for job in ["disk", "alert", "cleanup"] {
        let finished = env.taskmon([job, "--textfile", &format!("{job}.prom")]).success();
        finished.json();
        // Firing alerts are on standard error.
        finished.stderr();
    }
    let samples = Samples::read(&env, &["stats.prom", "disk.prom", "alert.prom", "cleanup.prom"]);
    for job in ["stats", "disk", "alert", "cleanup"] {
        samples.assert("taskmon_last_run_exit_code", json!({"job": job}), 0.0);
        samples.assert("taskmon_last_run_success", json!({"job": job}), 1.0);
        samples.assert("taskmon_last_run_errors", json!({"job": job}), 0.0);
        let ended =
            samples.find("taskmon_last_run_timestamp_seconds", &json!({"job": job})).unwrap();
        samples.assert("taskmon_last_success_timestamp_seconds", json!({"job": job}), ended);
        let now = chrono::Utc::now().timestamp() as f64;
        assert!((now - ended).abs() < 60.0, "{job}: {ended}");
        let took = samples.find("taskmon_last_run_duration_seconds", &json!({"job": job})).unwrap();
        assert!(took > 0.0 && took < 60.0, "{job}: {took}");
    }
    assert_eq!(samples.only("taskmon_cleanup_deleted_logs"), 1.0);
    assert_eq!(samples.only("taskmon_cleanup_freed_bytes"), 5.0);
    assert_eq!(samples.only("taskmon_live_pending_tasks"), 1.0);
}

#[test]
fn a_failed_run_keeps_the_time_of_the_last_success() {
    let env = TestEnv::sqlite();
    let day = fill(&env);
    stats(&env, day).success().json();
    let before =
        Samples::read(&env, &["stats.prom"]).only("taskmon_last_success_timestamp_seconds");
    for _ in 0..2 {
        let finished = stats(&env, day).arg("--database-url").arg("sqlite:gone.db").exits(3);
        finished.json();
        finished.stderr();
        let samples = Samples::read(&env, &["stats.prom"]);
        assert_eq!(samples.only("taskmon_last_run_success"), 0.0);
        assert_eq!(samples.only("taskmon_last_run_exit_code"), 3.0);
        assert_eq!(samples.only("taskmon_last_success_timestamp_seconds"), before);
        assert!(samples.only("taskmon_last_run_timestamp_seconds") >= before);
        samples.assert_none("taskmon_stats_");
    }
}

#[test]
fn the_time_of_the_last_success_is_0_before_the_first() {
    let env = TestEnv::new();
    let finished = env.taskmon(["stats", "--textfile", "new.prom"]).exits(2);
    finished.json();
    finished.stderr();
    let samples = Samples::read(&env, &["new.prom"]);
    assert_eq!(samples.only("taskmon_last_run_exit_code"), 2.0);
    let last_success = "taskmon_last_success_timestamp_seconds";
    assert_eq!(samples.only(last_success), 0.0);
    // Until it works.
    let disk = ["disk", "/", "--no-alert", "--textfile", "new.prom"];
    env.taskmon(disk).success().json();
    assert!(Samples::read(&env, &["new.prom"]).only(last_success) > 1e9);
}

/// The node exporter runs as a user of its own.
#[test]
fn the_file_can_be_read_by_others_whatever_the_umask() {
    let env = TestEnv::new();
    for _ in 0..2 {
        let script = "umask 077 && taskmon disk / --no-alert --textfile disk.prom";
        env.program("sh", ["-c", script]).success().json();
        let mode = env.path("disk.prom").metadata().unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o644);
    }
}

#[test]
fn a_run_that_is_locked_out_has_exit_code_75() {
    let env = TestEnv::postgres();
    env.config("statement_timeout_seconds = 4\n");
    let day = Utc::now().date_naive() - Days::new(1);
    let mut blocker = env.client();
    let held = lock_tasks(&mut blocker);
    let day = day.to_string();
    let words = ["stats", "--date", &day, "--no-alert", "--textfile", "stats.prom", "--wait", "0"];
    let first = env.taskmon(words).spawn();
    env.wait_until_blocked(1);
    env.taskmon(words).exits(75).failure("locked", &[]);
    let samples = Samples::read(&env, &["stats.prom"]);
    assert_eq!(samples.only("taskmon_last_run_exit_code"), 75.0);
    assert_eq!(samples.only("taskmon_last_run_success"), 0.0);
    drop(held);
    assert_eq!(first.wait().json()["success"], true);
    let samples = Samples::read(&env, &["stats.prom"]);
    assert_eq!(samples.only("taskmon_last_run_success"), 1.0);
}

#[test]
fn everybody_may_read_the_file_and_nothing_else_is_left() {
    let env = TestEnv::new();
    env.write("metrics/disk.prom", "half a file");
    for _ in 0..2 {
        env.taskmon(["disk", "--no-alert", "--textfile", "metrics/disk.prom"]).success().json();
    }
    let mode = std::fs::metadata(env.path("metrics/disk.prom")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o644);
    let left: Vec<_> = std::fs::read_dir(env.path("metrics")).unwrap().collect();
    assert_eq!(left.len(), 1, "{left:?}");
    Samples::read(&env, &["metrics/disk.prom"]);
}

#[test]
fn a_dry_run_leaves_the_file_alone() {
    let env = TestEnv::sqlite();
    for job in ["cleanup", "alert"] {
        env.taskmon([job, "--dry-run", "--textfile", "x.prom"]).success().json();
        assert!(!env.path("x.prom").exists(), "{}", env.tree());
    }
}

#[test]
fn a_file_that_cannot_be_written_costs_the_file_alone() {
    let env = TestEnv::sqlite();
    let day = fill(&env);
    let date = day.to_string();
    for arguments in [vec!["stats", "--date", &date], vec!["disk"], vec!["cleanup"], vec!["alert"]]
    {
        let finished =
            env.taskmon(arguments.clone()).arg("--textfile").arg("missing/x.prom").exits(1);
        finished.stderr_contains("missing/x.prom");
        let result = finished.json();
        assert_eq!(result["success"], true);
        let errors = result["errors"].as_array().unwrap();
        assert_eq!(errors.len(), 1, "{errors:?}");
        assert_eq!(errors[0]["kind"], "textfile_not_written", "{arguments:?}");
        assert_eq!(errors[0]["path"], "missing/x.prom");
        if arguments[0] == "stats" {
            let saved = env.read(day.format("reports/daily/daily_report_%Y%m%d.json").to_string());
            assert_eq!(serde_json::from_str::<Value>(&saved).unwrap(), result);
        }
    }
    assert!(!env.path("missing").exists());
}

#[test]
fn a_device_is_neither_read_nor_replaced() {
    let env = TestEnv::new();
    env.program("mknod", ["endless.prom", "c", "1", "7"]).success();
    let finished = env.taskmon(["disk", ".", "--no-alert", "--textfile", "endless.prom"]).exits(1);
    finished.stderr_contains("--textfile endless.prom cannot be written: it is not a regular file");
    assert_eq!(finished.json()["errors"][0]["kind"], "textfile_not_written");
    assert!(!env.path("endless.prom").is_file());
}

#[test]
fn only_jobs_have_figures() {
    let env = TestEnv::new();
    for arguments in [vec!["config"], vec!["demo", "d"], vec!["man"]] {
        let finished: Finished = env.taskmon(arguments).arg("--textfile").arg("x.prom").exits(2);
        finished.stderr_contains("--textfile is for cleanup, stats, disk and alert");
        assert!(!env.path("x.prom").exists() && !env.path("d").exists());
    }
}
