//! `taskmon check` where all is well, and where each thing in turn is not.

mod access;
mod channels;
mod database;
mod indexes;
mod mapping;
mod permissions;
mod times;

use crate::cli::broker::redis::Redis;
use crate::on_each_database;
use crate::support::env::{PASSWORD_IN_URL, TestEnv, plain_port};
use crate::support::proxy::{Freeze, Proxy};
use crate::support::rows::{DAY, Task, long_ago};
use crate::support::server::{Server, dead_port, ok};
use crate::support::wait_until;
use chrono::Utc;
use serde_json::Value;
use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt;

const NAMES: [&str; 11] = [
    "config",
    "database",
    "mapping",
    "indexes",
    "clock",
    "permissions",
    "storage",
    "broker",
    "channels",
    "cron",
    "runs",
];

/// The checks by name. Every one is there, has a message, and its status and hint follow from its findings.
#[track_caller]
pub fn run_check(env: &TestEnv, arguments: &[&str], code: i32) -> BTreeMap<String, Value> {
    let finished = env.taskmon(["check"].iter().chain(arguments).copied()).exits(code);
    let result = finished.json();
    assert_eq!(result["success"], true);
    let checks = result["checks"].as_array().unwrap();
    let names: Vec<&str> = checks.iter().map(|check| check["name"].as_str().unwrap()).collect();
    assert_eq!(names, NAMES);
    for check in checks {
        assert!(!check["message"].as_str().unwrap().is_empty(), "{check}");
        let known = ["ok", "warning", "failed", "skipped"];
        assert!(known.contains(&check["status"].as_str().unwrap()), "{check}");
    }
    let failed = checks.iter().any(|check| check["status"] == "failed");
    assert_eq!(failed, code == 1, "{result:#}");
    checks.iter().map(|check| (check["name"].as_str().unwrap().to_owned(), check.clone())).collect()
}

#[track_caller]
pub fn assert_check(checks: &BTreeMap<String, Value>, name: &str, status: &str, parts: &[&str]) {
    let check = &checks[name];
    assert_eq!(check["status"], status, "{check:#}");
    for part in parts {
        let said = format!("{} {}", check["message"], check["hint"]);
        assert!(said.contains(part), "{part} in {check:#}");
    }
}

/// Storage roots as they are where the volume is mounted.
fn volumes(env: &TestEnv) {
    env.write("uploads/a.png", "a");
    env.write("static/b.png", "b");
}

/// A time, as rows have it.
fn now() -> String {
    Utc::now().format("%Y-%m-%d %H:%M:%S").to_string()
}

/// Names, contents and times of everything in the folder.
fn snapshot(env: &TestEnv) -> Vec<(String, String, std::time::SystemTime)> {
    let entries = walkdir::WalkDir::new(env.path(".")).sort_by_file_name().into_iter();
    entries
        .map(|entry| {
            let entry = entry.unwrap();
            let content = if entry.file_type().is_file() {
                format!("{:?}", std::fs::read(entry.path()).unwrap())
            } else {
                String::new()
            };
            (
                entry.path().display().to_string(),
                content,
                entry.metadata().unwrap().modified().unwrap(),
            )
        })
        .collect()
}

on_each_database! {
    fn all_is_well(env) {
        volumes(&env);
        env.insert([Task::new(1).at(&now()), Task::new(2).at(&now()).failed("x")]);
        let before = snapshot(&env);
        let found = run_check(&env, &[], 0);
        for name in ["config", "database", "mapping", "clock", "permissions", "storage"] {
            assert_check(&found, name, "ok", &[]);
        }
        for name in ["broker", "channels", "runs"] {
            assert_check(&found, name, "skipped", &[]);
        }
        // What this host's crontab holds is for the tests of the schedule, which have one of their own.
        assert_ne!(found["cron"]["status"], "failed");
        assert_check(&found, "config", "ok", &["taskmon.toml"]);
        // It goes by the machine's zone, which is said where that is another.
        let machine = std::fs::read_link("/etc/localtime").unwrap_or_default();
        let cron = if machine.ends_with("Asia/Shanghai") { "" } else { "cron" };
        assert_check(&found, "clock", "ok", &["+08:00", "Asia/Shanghai", cron]);
        assert_check(&found, "mapping", "ok", &["all 2 tasks"]);
        assert_eq!(snapshot(&env), before);
    }

    fn a_clock_that_cleanup_would_not_go_by_is_warned_of(env) {
        volumes(&env);
        env.insert([Task::new(1).at(&long_ago())]);
        assert_check(&run_check(&env, &[], 0), "clock", "warning", &["2000 days", "clock_gap_days = 30", "--force"]);
        env.config("[cleanup]\nclock_gap_days = 0");
        assert_check(&run_check(&env, &[], 0), "clock", "ok", &[]);
        env.config("[cleanup]\nclock_gap_days = 30");
        env.insert([Task::new(2).at(&now())]);
        assert_check(&run_check(&env, &[], 0), "clock", "ok", &[]);
    }
}

#[test]
fn a_database_in_wal_mode_is_left_as_it_was() {
    let env = TestEnv::sqlite();
    volumes(&env);
    env.connection().pragma_update(None, "journal_mode", "wal").unwrap();
    let names = |env: &TestEnv| {
        snapshot(env).into_iter().map(|(name, content, _)| (name, content)).collect::<Vec<_>>()
    };
    let before = names(&env);
    run_check(&env, &[], 0);
    assert_eq!(names(&env), before);
}

/// Not one row, column or right differs, nor does the catalogue hold anything new.
#[test]
fn nothing_in_postgres_is_changed() {
    let env = TestEnv::postgres();
    env.insert((1..=20).map(|n| Task::new(n).at(&long_ago())));
    let dump = || {
        let dumped = env.program("pg_dump", ["--inserts", &env.url()]).success();
        let lines = dumped
            .stdout()
            .lines()
            .filter(|line| !line.starts_with("\\restrict") && !line.starts_with("\\unrestrict"));
        lines.collect::<Vec<_>>().join("\n")
    };
    let before = dump();
    assert!(before.contains("INSERT INTO public.tasks"));
    run_check(&env, &[], 0);
    assert_eq!(dump(), before);
}

#[test]
fn an_invalid_configuration_is_reported_with_its_line() {
    let env = TestEnv::new();
    env.write("taskmon.toml", "timezone = 'Asia/Shanghai'\ntimezon = 'x'\n");
    let found = run_check(&env, &[], 1);
    assert_check(&found, "config", "failed", &["taskmon.toml", "line 2", "timezon"]);
    for name in &NAMES[1..] {
        assert_check(&found, name, "skipped", &[]);
    }
    let warned = TestEnv::sqlite();
    let config = warned.read("taskmon.toml");
    warned.write(
        "taskmon.toml",
        &format!("{config}\n[broker]\nurl = 'redis://:s3cret@127.0.0.1:{}/0'\n", dead_port()),
    );
    let private = std::fs::Permissions::from_mode(0o600);
    std::fs::set_permissions(warned.path("taskmon.toml"), private).unwrap();
    let found = run_check(&warned, &[], 1);
    assert_check(&found, "config", "ok", &[]);
    assert_check(&found, "broker", "failed", &["127.0.0.1"]);
}

#[test]
fn the_broker_is_asked_as_a_report_asks_it() {
    let env = TestEnv::sqlite();
    let redis = Redis::start(&env, serde_json::json!({}));
    let config = env.read("taskmon.toml");
    let broker = |url: &str| {
        env.write(
            "taskmon.toml",
            &format!("{config}\n[broker]\nurl = '{url}'\nqueues = ['mail']\n"),
        );
    };
    broker(&redis.url());
    // Nothing says yet that Celery uses this server.
    let found = run_check(&env, &[], 0);
    assert_check(&found, "broker", "warning", &["broker.global_keyprefix"]);
    redis.send(&["send", "mail", "0", "3"]);
    assert_check(&run_check(&env, &[], 0), "broker", "ok", &["redis", "3 messages wait in mail"]);
    broker(&redis.url().replace("s3cret", "wr0ng"));
    assert_check(&run_check(&env, &[], 1), "broker", "failed", &["127.0.0.1", "password"]);
}

#[test]
fn storage_that_is_not_mounted_and_folders_that_are_never_swept() {
    let env = TestEnv::sqlite();
    let found = run_check(&env, &[], 0);
    assert_check(&found, "storage", "warning", &["uploads", "static"]);
    volumes(&env);
    env.config("[cleanup]\nroot_marker = '.here'\nstorage_roots = ['uploads']");
    assert_check(&run_check(&env, &[], 0), "storage", "warning", &["uploads", ".here"]);
    env.config("[cleanup]\ntemp_dirs = ['/tmp']");
    assert_check(&run_check(&env, &[], 1), "storage", "failed", &["cleanup.temp_dirs", "/tmp"]);
}

/// No row names a file, so nothing is looked for beneath the roots.
#[test]
fn storage_roots_are_of_no_concern_where_rows_name_no_files() {
    let env = TestEnv::sqlite();
    let url = env.url();
    env.write(
        "taskmon.toml",
        &format!("language = 'en'\n[database]\nurl = '{url}'\npreset = 'celery'\n"),
    );
    env.sql("CREATE TABLE celery_taskmeta (id integer PRIMARY KEY, task_id text, status text, result blob, date_done text, traceback text, name text, queue text, retries integer)");
    let found = run_check(&env, &[], 0);
    assert_check(&found, "storage", "ok", &[]);
    assert!(!found["storage"].to_string().contains("uploads"), "{:#}", found["storage"]);
}

/// As a user that is not root, which may do everything.
#[test]
fn folders_that_cleanup_may_not_empty_fail_the_check() {
    let env = TestEnv::sqlite();
    volumes(&env);
    for file in ["uploads/2026/a.png", "uploads/temp/x", "static/temp/x", "logs/x.log"] {
        env.write(file, "x");
    }
    let all = "chmod -R a+rwX . && chown -R 65534:65534 .";
    let storage_after = |script: &str| {
        env.program("sh", ["-c", &format!("{all} && {script}")]).success();
        let words = ["--reuid=65534", "--regid=65534", "--clear-groups"];
        let command = [env!("CARGO_BIN_EXE_taskmon"), "check"];
        let finished = env.program("/usr/bin/setpriv", words.into_iter().chain(command)).run();
        let result = finished.json();
        let mut checks = result["checks"].as_array().unwrap().iter();
        checks.find(|check| check["name"] == "storage").unwrap().clone()
    };
    assert_eq!(storage_after("true")["status"], "ok");
    for (script, parts) in [
        ("chmod a-w uploads", ["cleanup.storage_roots", "/uploads:"]),
        ("chmod a-x static", ["static", "Permission denied"]),
        ("chmod a-w uploads/2026", ["cleanup.storage_roots", "/uploads/2026:"]),
        ("chmod a-w static/temp", ["cleanup.temp_dirs", "/static/temp:"]),
        ("chmod a-r logs", ["cleanup.log_dirs", "/logs:"]),
        (
            "chown 0 uploads/temp && chmod 1777 uploads/temp",
            ["cleanup.temp_dirs", "sticky and belongs to user 0"],
        ),
    ] {
        let storage = storage_after(script);
        assert_eq!(storage["status"], "failed", "{script}: {storage:#}");
        let message = storage["message"].as_str().unwrap();
        for part in parts {
            assert!(message.contains(part), "{part} in {storage:#}");
        }
        assert!(message.contains("user 65534"), "{storage:#}");
    }
    env.program("sh", ["-c", "chmod -R a+rwX . && chown -R 0:0 ."]).success();
}

#[test]
fn unreadable_records_are_reported_and_hide_nothing_else() {
    let env = TestEnv::sqlite();
    volumes(&env);
    std::fs::create_dir_all(env.path("logs/taskmon_runs.jsonl")).unwrap();
    let found = run_check(&env, &[], 1);
    assert_check(&found, "runs", "failed", &["taskmon_runs.jsonl", "the next run makes a new one"]);
    assert_ne!(found["cron"]["status"], "failed", "{:#}", found["cron"]);
    let status = env.taskmon(["schedule", "status"]).exits(1);
    let result = status.json();
    assert_eq!(result["success"], true);
    assert_eq!(result["errors"][0]["kind"], "records_unreadable");
    assert_eq!(result["jobs"].as_array().unwrap().len(), 4, "{result:#}");
    assert_eq!(result["jobs"][0]["overdue"], Value::Null);
    status.stderr_contains("taskmon_runs.jsonl cannot be read");
    env.taskmon(["schedule", "logs"])
        .exits(3)
        .failure("records_unreadable", &["taskmon_runs.jsonl"]);
}

#[test]
fn a_checklist_for_people() {
    let env = TestEnv::sqlite();
    let good = env.taskmon(["check", "--output", "text"]).success();
    let page = good.stdout();
    for line in [
        "✓ config",
        "✓ database",
        "✓ clock",
        "! storage",
        "– channels",
        "no check failed, but no job is installed: taskmon schedule install",
    ] {
        assert!(page.contains(line), "{line} in {page}");
    }
    let chinese = env.taskmon(["check", "--output", "text", "--lang", "zh"]).success();
    let page = chinese.stdout();
    for line in ["✓ 配置", "✓ 数据库", "✓ 时钟", "! 存储", "– 告警渠道", "但没有安装任何作业"]
    {
        assert!(page.contains(line), "{line} in {page}");
    }
    let bad = env.taskmon(["check", "--output", "text", "--config", "/missing.toml"]).exits(1);
    let page = bad.stdout();
    for line in ["✗ config ", "– database ", "/missing.toml", "→ ", "1 failed"] {
        assert!(page.contains(line), "{line} in {page}");
    }
}
