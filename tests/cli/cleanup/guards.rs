//! What stops a run before anything is deleted: a clock that leapt ahead, and more expired tasks than one night's.

use super::*;

/// `count` tasks that have expired and one that has not, without files.
pub fn many(env: &TestEnv, count: u32) {
    let bare = |task: Task| FILES.into_iter().fold(task, |task, file| task.without(file));
    env.write("uploads/keep/.gitkeep", "");
    env.write("static/keep/.gitkeep", "");
    env.insert((1..=count).map(|n| bare(old(n))));
    env.insert([bare(Task::new(count + 1))]);
}

on_each_database! {
    fn the_brake_holds_where_nearly_all_ended_tasks_would_go(env) {
        many(&env, 1001);
        env.write("uploads/temp/old.bin", "1");
        age(&env.path("uploads/temp/old.bin"), 50_000);
        for arguments in [&[][..], &["--dry-run"]] {
            let refused = run(&env, 3, arguments).failure("brake", &["1001 of 1002", "99.9", "brake_percent"]);
            assert!(refused["error"]["hint"].as_str().unwrap().contains("--force"), "{refused}");
        }
        assert_eq!(ids(&env).len(), 1002);
        assert!(env.path("uploads/temp/old.bin").exists());
        // Cron sends the document to /dev/null: what to do is said where the failure is.
        let alert = env.read("logs/error_alerts.log");
        assert!(alert.contains("--dry-run --force"), "{alert}");
        let refused = env.taskmon(["cleanup", "--as-of", AS_OF]).exits(3);
        assert!(refused.stderr().contains("nothing was deleted; `taskmon cleanup --dry-run --force`"), "{}", refused.stderr());
        refused.json();
        assert_eq!(cleanup(&env, 0, &["--only", "tasks", "--dry-run", "--force"])["tasks_cleaned"], 1001);
        assert_eq!(cleanup(&env, 0, &["--only", "tasks", "--force"])["tasks_cleaned"], 1001);
    }

    fn the_brake_counts_ended_tasks_and_lets_a_thousand_go(env) {
        many(&env, 1000);
        assert_eq!(cleanup(&env, 0, &["--only", "tasks"])["tasks_cleaned"], 1000);
        env.sql("DELETE FROM tasks");
        many(&env, 1100);
        env.sql("UPDATE tasks SET status = 'PENDING' WHERE id = 1101");
        run(&env, 3, &[]).failure("brake", &["1100 of 1100"]);
        env.sql("UPDATE tasks SET status = 'RETURNED' WHERE id % 5 = 0");
        assert_eq!(cleanup(&env, 0, &["--only", "tasks"])["tasks_cleaned"], 880);
    }

    fn the_brake_can_be_set_and_taken_off(env) {
        many(&env, 1100);
        // 1100 of 1101 are 99.909 %, which is shown as 99.91.
        env.config("[cleanup]\nbrake_percent = 99.909");
        run(&env, 3, &["--only", "tasks"]).failure("brake", &["1100 of 1101"]);
        env.config("[cleanup]\nbrake_percent = 99.91");
        assert_eq!(cleanup(&env, 0, &["--only", "tasks", "--dry-run"])["tasks_cleaned"], 1100);
        env.config("[cleanup]\nbrake_percent = 0");
        env.sql("DELETE FROM tasks WHERE id = 1101");
        assert_eq!(cleanup(&env, 0, &["--only", "tasks"])["tasks_cleaned"], 1100);
    }

    fn a_clock_that_leapt_ahead_stops_everything(env) {
        prepare(&env, &[old(1), Task::new(2)]);
        env.write("uploads/temp/old.bin", "1");
        env.write("logs/app.log", "1");
        for path in ["uploads/temp/old.bin", "logs/app.log"] {
            age(&env.path(path), 50_000);
        }
        cleanup(&env, 0, &["--only", "tasks"]);
        let ahead = "2027-11-25T04:00:00+08:00";
        // To the time from which limits count back, a year passed.
        for arguments in [&["--dry-run"][..], &["--dry-run", "--only", "temp"], &["--dry-run", "--only", "logs"]] {
            let arguments = [&["-q", "-q", "cleanup", "--as-of", ahead], arguments].concat();
            env.taskmon(arguments).exits(3).failure("clock_skew", &["2027-11-24", "clock_gap_days = 30"]);
        }
        let forced = env.taskmon(["-q", "-q", "cleanup", "--dry-run", "--force", "--as-of", ahead]).exits(0).json();
        assert_eq!(forced["tasks_cleaned"], 1);
        env.config("[cleanup]\nclock_gap_days = 400");
        env.taskmon(["-q", "-q", "cleanup", "--dry-run", "--as-of", ahead]).exits(0).json();
    }

    fn on_a_first_run_the_tasks_say_what_time_it_may_be(env) {
        env.write("uploads/keep/.gitkeep", "");
        env.write("static/keep/.gitkeep", "");
        env.insert([old(1), old(2)]);
        let refuse = || {
            let run = env.taskmon(["-q", "-q", "cleanup", "--as-of", AS_OF]).exits(3);
            run.failure("clock_skew", &["2026-10-01", "54 days"]);
        };
        refuse();
        // The record of a run that was refused is none of the time.
        refuse();
        env.sql("UPDATE tasks SET completed_at = '2026-10-26 05:00:00' WHERE id = 2");
        env.taskmon(["-q", "-q", "cleanup", "--as-of", AS_OF, "--only", "tasks"]).exits(0).json();
        assert_eq!(ids(&env), ["2"]);
    }
}

/// A run's record.
fn record(job: &str, end: &str, exit_code: u8) -> String {
    format!(
        "{{\"job\":\"{job}\",\"start\":\"{end}\",\"end\":\"{end}\",\"exit_code\":{exit_code},\"skipped\":false,\"host\":\"box\"}}\n"
    )
}

#[test]
fn only_runs_up_to_a_leap_and_checked_ones_say_what_time_it_was() {
    let (before, ahead) = ("2025-11-24T04:00:00+08:00", "2026-11-24T04:00:00+08:00");
    for (records, is_refused) in [
        (vec![record("stats", before, 0)], true),
        (vec![record("stats", before, 0), record("cleanup", ahead, 3)], true),
        // Every five minutes an alert runs under the wrong clock too.
        (vec![record("stats", before, 0), record("alert", ahead, 0)], true),
        (vec![record("stats", before, 0), record("cleanup", ahead, 1)], false),
        (vec![record("stats", before, 0), record("cleanup", "2027-11-24T04:00:00+08:00", 0)], true),
        // The first runs of all came after the leap: what the tasks say is older.
        (vec![record("stats", ahead, 4)], true),
        (
            vec![record("alert", ahead, 0), record("cleanup", ahead, 3), record("stats", ahead, 0)],
            true,
        ),
        // The clock got there day by day.
        (vec![record("stats", "2025-10-30T04:00:00+08:00", 0), record("cleanup", ahead, 0)], false),
    ] {
        let env = TestEnv::sqlite();
        make_files(&env, &[]);
        env.insert([Task::new(1).at("2025-10-01 10:00:00")]);
        env.write("logs/taskmon_runs.jsonl", &records.concat());
        let code = if is_refused { 3 } else { 0 };
        env.taskmon(["-q", "-q", "cleanup", "--as-of", AS_OF, "--only", "tasks"])
            .exits(code)
            .json();
        assert_eq!(ids(&env).len(), usize::from(is_refused), "{records:?}");
    }
}

#[test]
fn runs_of_other_jobs_lead_from_the_newest_task_to_now() {
    let env = TestEnv::sqlite();
    make_files(&env, &[]);
    env.insert([Task::new(1).at("2026-09-01 10:00:00")]);
    // An idle table, and a first cleanup after weeks of reports.
    let runs = ["2026-09-28", "2026-10-26", "2026-11-23"];
    let runs = runs.map(|day| record("stats", &format!("{day}T02:00:00+08:00"), 0));
    env.write("logs/taskmon_runs.jsonl", &runs.concat());
    assert_eq!(cleanup(&env, 0, &["--only", "tasks"])["tasks_cleaned"], 1);
}

#[test]
fn where_no_task_says_anything_a_run_of_any_job_does() {
    let env = TestEnv::sqlite();
    make_files(&env, &[]);
    env.write("uploads/temp/old.bin", "1");
    age(&env.path("uploads/temp/old.bin"), 50_000);
    env.write("logs/taskmon_runs.jsonl", &record("disk", "2026-11-24T03:00:00+08:00", 0));
    assert_eq!(cleanup(&env, 0, &[])["files_cleaned"], 1);
    env.write("logs/taskmon_runs.jsonl", &record("disk", "2026-10-20T03:00:00+08:00", 0));
    run(&env, 3, &[]).failure("clock_skew", &["36 days"]);
}

#[test]
fn the_reports_say_what_time_it_was() {
    let env = TestEnv::sqlite();
    env.write("uploads/keep/.gitkeep", "");
    env.write("static/keep/.gitkeep", "");
    env.insert([old(1)]);
    env.write("reports/daily/daily_report_20261124.json", "{}");
    env.write("reports/daily/other", "{}");
    let set_time = |path: &str, time: &str| {
        let file = std::fs::File::options().write(true).open(env.path(path)).unwrap();
        let time = chrono::DateTime::parse_from_rfc3339(time).unwrap();
        file.set_modified(time.to_utc().into()).unwrap();
    };
    set_time("reports/daily/daily_report_20261124.json", "2026-10-01T02:00:00+08:00");
    set_time("reports/daily/other", "2026-10-25T02:00:00+08:00");
    let refused =
        env.taskmon(["-q", "-q", "cleanup", "--as-of", AS_OF, "--only", "tasks"]).exits(3);
    refused.failure("clock_skew", &["2026-10-24", "31 days"]);
    set_time("reports/daily/other", "2026-10-27T02:00:00+08:00");
    env.taskmon(["-q", "-q", "cleanup", "--as-of", AS_OF, "--only", "tasks"]).exits(0).json();
}

#[test]
fn reports_that_cannot_be_read_say_no_time_and_that_is_said() {
    let env = TestEnv::sqlite();
    make_files(&env, &[]);
    env.write("reports/daily", "a file in the place of the folder");
    let run = env.taskmon(["cleanup", "--as-of", AS_OF, "--only", "tasks"]).exits(0);
    run.json();
    run.stderr_contains("reports/daily: Not a directory")
        .stderr_contains("the clock is checked without the reports");
}
