//! Runs that wait for those of another process or host.

use super::*;

#[test]
fn a_run_that_a_lock_keeps_from_running_is_recorded_as_skipped() {
    let env = TestEnv::postgres();
    let mut blocker = env.client();
    let held = lock_tasks(&mut blocker);
    let first = env.taskmon(["stats", "--no-alert"]).spawn();
    env.wait_until_blocked(1);
    let second = env.taskmon(["stats", "--no-alert", "--wait", "0"]).exits(75);
    second.failure("locked", &["stats"]);
    drop(held);
    first.wait().stdout();
    let runs: Vec<Value> = records(&env)
        .iter()
        .map(|run| json!([run["exit_code"], run["skipped"], run["held_by"]]))
        .collect();
    assert_eq!(runs, [json!([75, true, "this_host"]), json!([0, false, null])]);
}

#[test]
fn a_job_that_runs_on_another_host_is_skipped_and_recorded() {
    let env = TestEnv::postgres();
    let mut other = env.client();
    for job in ["cleanup", "stats"] {
        let held = hold(&mut other, &env, job);
        let refused = env.taskmon([job, "--no-alert", "--wait", "0"]).exits(75);
        refused.failure("locked_elsewhere", &[job, "another host"]);
        // What is each host's own, a dry run, and a run that wants no lock.
        if job == "cleanup" {
            env.taskmon(["cleanup", "--only", "temp,logs"]).success().json();
            env.taskmon(["cleanup", "--dry-run"]).success().json();
        }
        env.taskmon([job, "--no-lock", "--no-alert"]).success().json();
        drop(held);
        env.taskmon([job, "--no-alert"]).success().json();
        // The run gave it back.
        drop(hold(&mut other, &env, job));
    }
    let skipped: Vec<Value> = records(&env)
        .iter()
        .filter(|run| run["skipped"] == true)
        .map(|run| json!([run["job"], run["exit_code"], run["held_by"]]))
        .collect();
    assert_eq!(skipped, [json!(["cleanup", 75, "other_host"]), json!(["stats", 75, "other_host"])]);
}

#[test]
fn a_job_that_is_skipped_three_times_in_a_row_is_an_alert() {
    let env = TestEnv::postgres();
    let mut other = env.client();
    let skipped_jobs = |env: &TestEnv| -> Vec<Value> {
        let finished = env.taskmon(["alert", "--dry-run", "-qq"]).success();
        let alerts = finished.json()["alerts"].as_array().unwrap().clone();
        let skipped = alerts.iter().filter(|alert| alert["type"] == "job_skipped");
        skipped.map(|alert| json!([alert["subject"], alert["severity"], alert["value"]])).collect()
    };
    let held = hold(&mut other, &env, "cleanup");
    for _ in 0..2 {
        env.taskmon(["cleanup", "-qq", "--wait", "0"]).exits(75).json();
    }
    assert_eq!(skipped_jobs(&env), Vec::<Value>::new());
    env.taskmon(["cleanup", "-qq", "--wait", "0"]).exits(75).json();
    assert_eq!(skipped_jobs(&env), [json!(["cleanup-expired-tasks", "warning", 3])]);
    drop(held);
    env.taskmon(["cleanup", "-qq"]).success().json();
    assert_eq!(skipped_jobs(&env), Vec::<Value>::new());
}

#[test]
fn the_live_rules_of_a_host_wait_for_those_of_another() {
    let env = TestEnv::postgres();
    let mut other = env.client();
    let held = hold(&mut other, &env, "alert");
    let mut observer = env.client();
    let asking = "SELECT 1 FROM pg_stat_activity WHERE datname = current_database() AND query LIKE 'SELECT pg_catalog.pg_try_advisory_xact_lock(%'
                  AND pid <> pg_backend_pid() AND state = 'idle in transaction'";
    let waiting = env.taskmon(["alert"]).spawn();
    wait_until("it asks for the lock", || !observer.query(asking, &[]).unwrap().is_empty());
    std::thread::sleep(Duration::from_millis(300));
    let written = env.path("reports/alerts").exists();
    assert!(!written, "it did not wait\n{}", env.tree());
    drop(held);
    let finished = waiting.wait();
    assert_eq!(finished.json()["success"], true);
    finished.stderr();
}

/// While a run holds the lock it holds back no vacuum, and no time limit for idle transactions ends it.
#[test]
fn the_lock_across_hosts_holds_no_snapshot_and_survives_idle_time_limits() {
    let env = TestEnv::postgres();
    env.sql(&format!(
        "ALTER DATABASE {0} SET idle_in_transaction_session_timeout = '200ms';
         ALTER DATABASE {0} SET default_transaction_isolation = 'serializable'",
        env.name()
    ));
    let context = UrlContext {
        env: &|_| None,
        base_dir: &env.path(""),
        connect_timeout: Duration::from_secs(10),
    };
    let target = Target::parse(&env.url(), &context).unwrap();
    let lock = || open::lock(&target, 7, Duration::ZERO).unwrap();
    let held = lock();
    assert!(matches!(held, Attempt::Held(_)));
    std::thread::sleep(Duration::from_millis(800));
    assert!(matches!(lock(), Attempt::Busy));
    let holder = "SELECT backend_xmin IS NULL AND backend_xid IS NULL, state FROM pg_stat_activity JOIN pg_locks USING (pid)
                  WHERE datname = current_database() AND locktype = 'advisory' AND granted AND pid <> pg_backend_pid()";
    let row = env.client().query_one(holder, &[]).unwrap();
    assert_eq!(row.get::<_, &str>(1), "idle in transaction");
    assert!(row.get::<_, bool>(0), "it holds a snapshot");
    drop(held);
    assert!(matches!(lock(), Attempt::Held(_)), "it was not given back");
}
