//! A panic, wherever it comes, ends a run like any failure: with a document, a record and an alert.

use crate::support::env::TestEnv;
use serde_json::Value;
use std::path::PathBuf;
use std::process::Command;

/// A clock that fails once, which Rust's standard library answers with a panic; or one of 1969.
const CLOCK: &str = r#"
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <stdlib.h>
#include <time.h>
int clock_gettime(clockid_t clock, struct timespec *time) {
    static int calls;
    const char *failing = getenv("FAILING_CALL");
    int (*real)(clockid_t, struct timespec *) = dlsym(RTLD_NEXT, "clock_gettime");
    if (getenv("BEFORE_1970") && clock == CLOCK_REALTIME) {
        time->tv_sec = -1;
        time->tv_nsec = 0;
        return 0;
    }
    if (failing && __atomic_add_fetch(&calls, 1, __ATOMIC_SEQ_CST) == atoi(failing)) {
        errno = EINVAL;
        return -1;
    }
    return real(clock, time);
}
"#;

fn failing_clock(env: &TestEnv) -> PathBuf {
    env.write("clock.c", CLOCK);
    let (source, library) = (env.path("clock.c"), env.path("clock.so"));
    let compiled = Command::new("cc")
        .args(["-shared", "-fPIC", "-o"])
        .args([&library, &source])
        .arg("-ldl")
        .status();
    assert!(compiled.unwrap().success());
    library
}

#[test]
fn a_panic_leaves_a_document_a_record_and_an_alert() {
    let mut complete = 0;
    for call in 1..60 {
        let env = TestEnv::new();
        let clock = failing_clock(&env);
        let preloaded = std::env::var("LD_PRELOAD").unwrap_or_default();
        let run = Command::new(env!("CARGO_BIN_EXE_taskmon"))
            .args(["disk", "--textfile", "disk.prom"])
            .current_dir(env.path("."))
            .env_clear()
            .env("LD_PRELOAD", format!("{} {preloaded}", clock.display()))
            .env("FAILING_CALL", call.to_string())
            .output()
            .unwrap();
        let stderr = String::from_utf8_lossy(&run.stderr);
        let document: Value = serde_json::from_slice(&run.stdout)
            .unwrap_or_else(|error| panic!("call {call}: {error}\n{stderr}"));
        if document["success"] == true {
            // Printed before, or a thread was hit that the run did without.
            assert!(matches!(run.status.code(), Some(0 | 1 | 3)), "call {call}: {run:?}");
            continue;
        }
        assert_eq!(run.status.code(), Some(3), "call {call}: {run:?}");
        assert_eq!(document["error"]["kind"], "internal", "call {call}: {document}");
        assert!(stderr.contains("panicked at"), "call {call}: {stderr}");
        if !env.path("logs/taskmon_runs.jsonl").exists() {
            continue;
        }
        let record: Value =
            serde_json::from_str(env.read("logs/taskmon_runs.jsonl").trim()).unwrap();
        let is_alerted = env.path("logs/error_alerts.log").exists()
            && env.read("logs/error_alerts.log").contains("a defect of its own");
        let is_exported = env.path("disk.prom").exists()
            && env.read("disk.prom").contains("taskmon_last_run_success{job=\"disk\"} 0");
        if record["exit_code"] == 3 && is_alerted && is_exported {
            complete += 1;
        }
    }
    assert!(complete > 0, "no panic hit the job while it worked");
}

#[test]
fn a_clock_before_1970_is_said_and_no_panic() {
    for job in ["cleanup", "stats", "disk", "alert", "check"] {
        let env = TestEnv::sqlite();
        let clock = failing_clock(&env);
        let run = Command::new(env!("CARGO_BIN_EXE_taskmon"))
            .arg(job)
            .current_dir(env.path("."))
            .env_clear()
            .env("LD_PRELOAD", clock)
            .env("BEFORE_1970", "1")
            .output()
            .unwrap();
        let document: Value = serde_json::from_slice(&run.stdout).unwrap();
        assert_eq!(run.status.code(), Some(3), "{job}: {run:?}");
        assert_eq!(document["error"]["kind"], "clock_skew", "{job}: {document}");
        let stderr = String::from_utf8_lossy(&run.stderr);
        assert_eq!(stderr, "taskmon: this host's clock shows a time before 1970; set the clock\n");
    }
}
