//! What has expired, and when.

use super::*;

#[track_caller]
fn run_with(env: &TestEnv, name: &str, value: &str) -> Finished {
    env.taskmon(["-q", "-q", "cleanup", "--only", "tasks"]).env(name, value).exits(2)
}

on_each_database! {
    fn expired_rows_are_deleted_with_their_files_and_nothing_else(env) {
        let tasks = [
            old(1),
            Task::new(2).at("2026-11-20 10:00:00"),
            old(3).failed("dead").with("updated_at", "2026-11-17 03:00:00.5"),
            old(4).failed("dead").with("updated_at", "2026-11-18 05:00:00.5"),
            old(5).status("PENDING"),
            old(6).status("RECOGNIZING"),
            old(7).status("RETURNED"),
            old(8).without("completed_at").without("updated_at"),
            old(9).without("completed_at").without("updated_at").without("created_at"),
        ];
        prepare(&env, &tasks);
        let result = cleanup(&env, 0, &["--only", "tasks"]);
        assert_eq!(ids(&env), ["2", "4", "5", "6", "7", "9"]);
        for (task, stays) in tasks.iter().zip([false, true, false, true, true, true, true, false, true]) {
            assert_eq!(has_files(&env, task), stays, "{:?}", task.columns["id"]);
        }
        assert_eq!(result["tasks_cleaned"], 3);
        assert_eq!(result["files_cleaned"], 9);
        assert_eq!(result["receipts_cleaned"], 0);
        assert_eq!(result["logs_cleaned"], 0);
        assert_eq!(result["errors"], json!([]));
        assert_eq!(result["dry_run"], false);
        assert_eq!(result["success"], true);
    }

    fn a_limit_is_exact_to_the_microsecond(env) {
        let base = |n| Task::new(n).at("2026-09-01 10:00:00");
        let tasks = [
            base(1).with("completed_at", "2026-10-26 03:59:59.999999"),
            base(2).with("completed_at", "2026-10-26 04:00:00.000000"),
            base(3).with("completed_at", "2026-10-26 04:00:01.000000"),
            base(4).with("completed_at", "2026-10-26 03:59:59.000000"),
            base(5).failed("x").with("updated_at", "2026-11-18 03:59:59.999999"),
            base(6).failed("x").with("updated_at", "2026-11-18 04:00:00.000000"),
            base(7).failed("x").with("updated_at", "2026-11-18 04:00:01.000000"),
        ];
        prepare(&env, &tasks);
        cleanup(&env, 0, &["--only", "tasks"]);
        assert_eq!(ids(&env), ["2", "3", "6", "7"]);
    }

    fn completed_tasks_are_judged_by_their_end_and_failed_ones_by_their_last_change(env) {
        let tasks = [
            old(1).with("updated_at", "2026-11-24 10:00:00"),
            old(2).failed("x").with("updated_at", "2026-11-24 10:00:00"),
            // Created after it ended: one of the two is wrong, and the later one may be right.
            Task::new(3).at("2026-11-24 10:00:00").with("completed_at", "2026-10-01 10:00:00"),
            old(4).without("created_at"),
        ];
        prepare(&env, &tasks);
        cleanup(&env, 0, &["--only", "tasks"]);
        assert_eq!(ids(&env), ["2", "3"]);
    }

    fn no_number_means_never(env) {
        prepare(&env, &[Task::new(1)]);
        let refused = env.taskmon(["cleanup", "--failed-tasks-days", "-1"]).exits(2);
        refused.stderr_contains("failed-tasks-days");
        let refused = run_with(&env, "TASKMON_FAILED_TASKS_DAYS", "-1");
        refused.failure("config_invalid", &["TASKMON_FAILED_TASKS_DAYS", "-1"]);
        assert_eq!(ids(&env), ["1"]);
    }

    fn a_dry_run_changes_nothing_and_has_the_figures_of_the_run(env) {
        let tasks: Vec<Task> = (1..=30).map(old).collect();
        prepare(&env, &tasks);
        env.sql("UPDATE tasks SET image_path = '/etc/passwd' WHERE id = 5");
        env.sql("UPDATE tasks SET image_path = 'uploads/image_7.png' WHERE id = 8");
        std::fs::remove_file(env.path("uploads/image_9.png")).unwrap();
        std::fs::hard_link(env.path("uploads/image_10.png"), env.path("uploads/hard.png")).unwrap();
        env.write("uploads/temp/a/old.bin", "12345678");
        env.write("logs/app.log.3.gz", "12345678");
        age(&env.path("uploads/temp/a/old.bin"), 50_000);
        age(&env.path("logs/app.log.3.gz"), 50_000);
        let before = state(&env.path("."));
        let dry_run = cleanup(&env, 1, &["--dry-run", "--batch-size", "7"]);
        assert_eq!(state(&env.path(".")), before);
        assert_eq!(ids(&env).len(), 30);
        let result = cleanup(&env, 1, &["--batch-size", "7"]);
        for key in ["tasks_cleaned", "files_cleaned", "receipts_cleaned", "logs_cleaned", "disk_space_freed_mb", "errors", "errors_total"] {
            assert_eq!(dry_run[key], result[key], "{key}");
        }
        assert_eq!(dry_run["dry_run"], true);
        assert_eq!(result["tasks_cleaned"], 29);
        assert_eq!(ids(&env), ["5"]);
    }

    fn a_future_as_of_is_refused(env) {
        prepare(&env, &[Task::new(1)]);
        let future = env.taskmon(["cleanup", "--as-of", "2999-01-01T00:00:00Z"]).exits(2);
        future.failure("usage", &["--as-of"]);
        future.stderr_contains("--as-of");
        assert_eq!(ids(&env).len(), 1);
    }
}

#[test]
fn times_with_a_letter_and_with_a_space_are_one_time() {
    let env = TestEnv::sqlite();
    let tasks = [
        old(1).with("completed_at", "2026-10-26T03:59:59"),
        old(2).with("completed_at", "2026-10-26T04:00:01"),
        old(3).with("completed_at", "2026-10-25T19:59:59Z"),
        old(4).with("completed_at", "2026-10-25T20:00:01+00:00"),
        old(5).with("completed_at", "yesterday"),
        old(6).with("completed_at", ""),
    ];
    prepare(&env, &tasks);
    let result = cleanup(&env, 1, &["--only", "tasks"]);
    assert_eq!(ids(&env), ["2", "4", "5"]);
    assert_eq!(kinds(&result), ["unreadable_time"]);
    assert!(result["errors"][0]["message"].as_str().unwrap().contains("yesterday"));
}

#[test]
fn numbers_go_by_their_unit_and_those_of_no_unit_stay() {
    let env = TestEnv::sqlite();
    let number = |time: &str, in_a_second: i64| {
        let time: chrono::DateTime<chrono::Utc> = time.parse().unwrap();
        (time.timestamp() * in_a_second).to_string()
    };
    let (expired, fresh) = ("2026-10-25T19:59:59Z", "2026-10-25T20:00:01Z");
    // .NET counts from the year 1, Windows from 1601, both in tenths of microseconds.
    let since = |years: i64| (years * 10_000_000 + 17_930_000_000_000_000).to_string();
    let tasks = [
        old(1).with("completed_at", number(expired, 1_000_000)),
        old(2).with("completed_at", number(fresh, 1_000_000)),
        old(3).with("completed_at", number(expired, 1_000_000_000)),
        old(4).with("completed_at", number(fresh, 1_000_000_000)),
        old(5).with("completed_at", since(62_135_596_800)),
        old(6).with("completed_at", since(11_644_473_600)),
    ];
    prepare(&env, &tasks);
    let result = cleanup(&env, 1, &["--only", "tasks"]);
    assert_eq!(ids(&env), ["2", "4", "5", "6"]);
    assert_eq!(kinds(&result), ["unreadable_time"]);
}

#[test]
fn without_a_database_rows_cannot_go_and_nothing_is_made() {
    let env = TestEnv::new();
    let refused = env.taskmon(["-q", "-q", "cleanup"]).exits(2);
    refused.failure("database_not_configured", &["no database"]);
    env.write(
        "taskmon.toml",
        "[database]\nurl = 'sqlite:lost.db'\n[cleanup]\ntemp_age_by = 'mtime'",
    );
    let refused = env.taskmon(["-q", "-q", "cleanup"]).exits(3);
    refused.failure("database_unavailable", &["lost.db"]);
    env.write("uploads/temp/old.bin", "1");
    age(&env.path("uploads/temp/old.bin"), 800);
    let result = env.taskmon(["-q", "-q", "cleanup", "--only", "temp,logs"]).exits(1).json();
    assert_eq!(kinds(&result), ["database_unavailable"]);
    assert!(env.path("uploads/temp/old.bin").exists());
    assert!(!env.path("lost.db").exists());
}
