//! What `stats`, `disk` and `cleanup` raise by themselves, and the failures of every job.

use super::*;
use crate::on_each_database;
use crate::support::server::{dead_port, status};
use std::fs::File;

/// A server of the kind that is down.
fn broken_url(env: &TestEnv) -> String {
    if env.url().starts_with("sqlite") {
        "sqlite:gone.db".to_owned()
    } else {
        format!("postgresql://postgres@127.0.0.1:{}/none", dead_port())
    }
}

on_each_database! {
    fn stats_raises_by_itself_for_yesterday_and_for_a_date_only_when_asked(env) {
        let server = Server::plain(vec![status(200)]);
        configure(&env, &webhook(&server));
        env.insert(of_yesterday(20, 6));
        let date = yesterday().to_string();
        for arguments in [
            vec!["stats", "--date", &date],
            vec!["stats", "--no-alert"],
            vec!["stats", "--date", &date, "--no-alert"],
        ] {
            // Nothing on standard error, nothing in the logs.
            let report = env.taskmon(arguments.clone()).success().json();
            assert_eq!(kinds(&report), ["high_failure_rate"], "{arguments:?}");
            assert_eq!(report["errors"], json!([]));
        }
        assert_eq!((server.requests().len(), logged(&env).len(), records(&env).len()), (0, 0, 0));

        let finished = env.taskmon(["stats"]).success();
        finished.stderr_contains("WARN ] 任务失败率过高: 30%");
        assert_eq!(
            finished.json()["alerts"],
            json!([{"type": "high_failure_rate", "severity": "warning", "message": "任务失败率过高: 30%", "value": 30.0, "threshold": 20}])
        );
        assert_eq!(heard(&server), [["high_failure_rate"]]);
        assert_eq!(logged(&env), ["WARNING - 任务失败率过高: 30%"]);
        let document = server.only().json();
        assert_eq!(document["schema_version"], 1);
        assert_eq!(document["alerts"][0]["value"], 30.0);

        // The same once more is suppressed; with --alert a date is told as yesterday is.
        let again = env.taskmon(["stats", "--date", &date, "--alert"]).success().json();
        assert_eq!(kinds(&again), ["high_failure_rate"]);
        assert_eq!(records(&env)[1]["channels"]["webhook"]["result"], "suppressed");
        std::fs::remove_dir_all(env.path("reports/alerts")).unwrap();
        let finished = env.taskmon(["stats", "--date", &date, "--alert"]).success();
        finished.stderr_contains("任务失败率过高: 30%").json();
        assert_eq!(heard(&server), [["high_failure_rate"], ["high_failure_rate"]]);
    }

    fn the_saved_report_is_the_printed_one_also_when_a_channel_fails(env) {
        for (answer, code) in [(200, 0), (403, 1)] {
            let server = Server::plain(vec![status(answer)]);
            configure(&env, &format!("repeat_after_hours = 0\n{}", webhook(&server)));
            replace(&env, of_yesterday(20, 6));
            let finished = env.taskmon(["stats"]).exits(code);
            let report = finished.json();
            finished.stderr_contains("任务失败率过高: 30%");
            assert_eq!(server.requests().len(), 1);
            assert_eq!(kinds(&report), ["high_failure_rate"]);
            let saved = env.read(report["report_path"].as_str().unwrap());
            assert_eq!(saved, finished.stdout());
            let errors: Vec<&Value> = report["errors"].as_array().unwrap().iter().map(|error| &error["kind"]).collect();
            match code {
                0 => assert_eq!(errors, [""; 0]),
                _ => {
                    assert_eq!(errors, ["channel_failed"]);
                    finished.stderr_contains("the channel webhook failed").stderr_contains("403");
                }
            }
        }
    }

    fn of_several_days_the_newest_is_told(env) {
        let server = Server::plain(vec![status(200)]);
        configure(&env, &webhook(&server));
        env.insert(of_yesterday(20, 6));
        let finished = env.taskmon(["stats", "--days", "3"]).success();
        let reports = finished.json();
        let found: Vec<Vec<&str>> = reports.as_array().unwrap().iter().map(kinds).collect();
        assert_eq!(found, [["no_tasks"], ["no_tasks"], ["high_failure_rate"]]);
        assert_eq!(finished.stderr().lines().count(), 1);
        assert_eq!(heard(&server), [["high_failure_rate"]]);
    }

    fn a_day_without_tasks_and_a_concentration_of_errors_are_told_and_end(env) {
        let server = Server::plain(vec![status(200)]);
        configure(&env, &webhook(&server));
        let stats = || told(env.taskmon(["stats"]).exits(0));
        assert_eq!(kinds(&stats()), ["no_tasks"]);
        let of_one_kind = |n| Task::new(n).at(&format!("{} 10:00:00", yesterday()));
        replace(&env, (1..=20).map(|n| match n { 1 | 2 => of_one_kind(n).failed("二维码"), 3 => of_one_kind(n).failed("其它"), _ => of_one_kind(n) }));
        let report = stats();
        assert_eq!(
            report["alerts"],
            json!([{"type": "concentrated_errors", "severity": "warning", "subject": "二维码识别错误", "value": 66.67, "threshold": 50,
                "message": "错误集中在「二维码识别错误」: 66.67%（2/3）"}])
        );
        replace(&env, of_yesterday(20, 2));
        assert_eq!(kinds(&stats()), [""; 0]);
        assert_eq!(
            heard(&server),
            [vec!["no_tasks"], vec!["concentrated_errors", "-no_tasks"], vec!["-concentrated_errors"]]
        );
    }

    fn what_one_job_found_no_other_says_is_over(env) {
        let server = Server::plain(vec![status(200)]);
        configure(&env, &webhook(&server));
        env.insert(of_yesterday(20, 6));
        told(env.taskmon(["stats"]).exits(0));
        // Live, nothing is wrong, and of disks it says nothing.
        assert_eq!(counts(&alerted(&env)), [0, 0, 0]);
        told(env.taskmon(["disk"]).exits(0));
        assert_eq!(heard(&server), [["high_failure_rate"]]);
        replace(&env, of_yesterday(20, 0));
        told(env.taskmon(["stats"]).exits(0));
        assert_eq!(heard(&server)[1], ["-high_failure_rate"]);
    }

    fn a_failure_that_is_told_by_its_document_is_resolved_by_the_jobs_success(env) {
        let server = Server::plain(vec![status(200)]);
        configure(&env, &webhook(&server));
        env.insert(of_yesterday(20, 0));
        let broken = broken_url(&env);
        let failed = env.taskmon(["stats", "--no-alert"]).env("TASKMON_DATABASE_URL", broken.as_str()).exits(3);
        assert_eq!(failed.failure("database_unavailable", &[])["job"], "stats");
        let result = told(env.taskmon(["alert", "--report", "-"]).input(failed.stdout()).exits(0));
        assert_eq!(result["alerts"][0]["subject"], "stats");
        // Another job's success says nothing of it.
        told(env.taskmon(["disk"]).exits(0));
        told(env.taskmon(["stats"]).exits(0));
        assert_eq!(heard(&server), [["job_failed"], ["-job_failed"]]);
        // What is none of cron's jobs names none.
        let failed = env.taskmon(["schedule", "install", "--queues", "none"]).exits(2);
        assert_eq!(failed.failure("usage", &["none"])["job"], Value::Null);
    }

    fn a_job_that_fails_is_told_and_that_it_works_again(env) {
        let server = Server::plain(vec![status(200)]);
        configure(&env, &webhook(&server));
        let broken = broken_url(&env);
        let mut expected: Vec<Vec<String>> = Vec::new();
        for job in ["cleanup", "stats", "alert"] {
            let failing = |words: &[&str]| {
                let run = env.taskmon([job]).env("TASKMON_DATABASE_URL", broken.as_str());
                words.iter().fold(run, |run, word| run.arg(*word)).exits(3)
            };
            // A dry run tells nobody.
            if job != "stats" {
                failing(&["--dry-run"]).failure("database_unavailable", &[]);
                assert_eq!(heard(&server), expected, "{job}");
            }
            let finished = failing(&[]);
            let document = finished.json();
            assert_eq!(document["error"]["kind"], "database_unavailable", "{document}");
            let message = document["error"]["message"].as_str().unwrap();
            finished.stderr_contains(message);
            expected.push(vec!["job_failed".to_owned()]);
            assert_eq!(heard(&server), expected, "{job}");
            let told = &server.requests().last().unwrap().json()["alerts"][0];
            assert_eq!(
                told,
                &json!({"type": "job_failed", "severity": "error", "subject": job, "status": "firing",
                    "message": format!("作业 {job} 运行失败: {message}")})
            );
            // Once.
            let again = failing(&[]);
            again.stderr_contains(message).json();
            assert_eq!(heard(&server), expected, "{job}");
            std::fs::create_dir_all(env.path("uploads/temp")).unwrap();
            let finished = env.taskmon([job]).success();
            finished.json();
            finished.stderr_contains(&format!("已恢复: 作业 {job} 运行失败"));
            let mut words = vec!["-job_failed".to_owned()];
            // Yesterday was without a task.
            if job == "stats" {
                words.insert(0, "no_tasks".to_owned());
            }
            expected.push(words);
            assert_eq!(heard(&server), expected, "{job}");
        }
        assert_eq!(logged(&env).iter().filter(|line| line.starts_with("ERROR - ")).count(), 6);
    }

    fn a_cleanup_that_the_brake_stops_is_told(env) {
        let server = Server::plain(vec![status(200)]);
        configure_with(&env, "[cleanup]\nbrake_percent = 50", &webhook(&server));
        env.insert((1..=4).map(|n| Task::new(n).at(&long_ago()).without("image_path").without("document_path").without("screenshot_path")));
        for dry_run in [true, false] {
            let run = env.taskmon(["cleanup", "--only", "tasks"]);
            let run = if dry_run { run.arg("--dry-run") } else { run };
            let finished = run.run();
            finished.stderr();
            if dry_run {
                finished.stdout();
                assert_eq!(heard(&server), [[""; 0]; 0]);
                continue;
            }
            assert_eq!(finished.code, Some(3));
            assert_eq!(finished.json()["error"]["kind"], "brake");
            assert_eq!(heard(&server), [["job_failed"]]);
        }
        let finished = env.taskmon(["cleanup", "--only", "tasks", "--force", "--no-alert"]).success();
        assert_eq!(finished.json()["tasks_cleaned"], 4);
        // With --no-alert nobody hears of success either; the next run says it.
        assert_eq!(heard(&server), [["job_failed"]]);
        env.taskmon(["cleanup", "--only", "tasks"]).success().stderr_contains("已恢复").json();
        assert_eq!(heard(&server)[1], ["-job_failed"]);
    }

    fn a_lost_variable_is_a_failure_that_is_told(env) {
        // As cron's bare environment would have it: the file names no database.
        let server = Server::plain(vec![status(200)]);
        env.write("taskmon.toml", &format!("language = \"en\"\n{}", webhook(&server)));
        let finished = env.taskmon(["stats"]).exits(2);
        assert_eq!(finished.json()["error"]["kind"], "database_not_configured");
        finished.stderr_contains("no database is configured");
        assert_eq!(heard(&server), [["job_failed"]]);
        let message = server.only().json()["alerts"][0]["message"].clone();
        assert_eq!(message, "The job stats failed: no database is configured, so there are no tasks to report on");
    }

    fn fail_on_sets_the_exit_code_by_what_stands_and_comes_before_errors(env) {
        let refusing = Server::plain(vec![status(400)]);
        configure(&env, "");
        let mut tasks = of_yesterday(20, 6);
        tasks.push(processing(100, minutes(90)));
        env.insert(tasks);
        let code = |arguments: &[&str]| {
            let finished = env.taskmon(arguments.iter().copied()).run();
            finished.stderr();
            assert_eq!(finished.json()["success"], true);
            finished.code.unwrap()
        };
        let date = yesterday().to_string();
        for (job, arguments) in [("stats", vec!["stats", "--date", &date, "--no-save"]), ("alert", vec!["alert", "--dry-run"])] {
            let with = |limit| arguments.iter().copied().chain(["--fail-on", limit]).collect::<Vec<&str>>();
            assert_eq!(code(&arguments), 0, "{job}");
            assert_eq!(code(&with("warning")), 4, "{job}");
            assert_eq!(code(&with("critical")), 0, "{job}");
        }
        // Suppressed, it still stands.
        assert_eq!(code(&["alert", "--fail-on", "warning"]), 4);
        assert_eq!(code(&["alert", "--fail-on", "warning"]), 4);
        // What cannot be done is 1; that an alert stands comes first, and the errors are in the result all the same.
        configure(&env, &format!("repeat_after_hours = 0\n{}", webhook(&refusing)));
        assert_eq!(code(&["alert"]), 1);
        let finished = env.taskmon(["alert", "--fail-on", "warning"]).exits(4);
        finished.stderr_contains("the channel webhook failed");
        assert_eq!(finished.json()["errors"][0]["kind"], "channel_failed");
        assert_eq!(code(&["stats", "--fail-on", "critical"]), 1);
        replace(&env, of_yesterday(20, 16));
        assert_eq!(code(&["stats", "--fail-on", "critical"]), 4);
    }
}

#[test]
fn a_mistake_in_the_configuration_or_in_the_arguments_is_told_nobody() {
    let env = TestEnv::sqlite();
    let server = Server::plain(vec![status(200)]);
    for (broken, arguments, kind) in [
        ("", ["stats", "--date=soon"], "usage"),
        ("", ["disk", "--warning=many"], "usage"),
        ("", ["alert", "--report=missing.json"], "usage"),
        ("typo = 1\n", ["stats", "--no-save"], "config_invalid"),
        ("typo = 1\n", ["alert", "--test"], "config_invalid"),
    ] {
        configure(&env, &webhook(&server));
        env.write("taskmon.toml", &format!("{broken}{}", env.read("taskmon.toml")));
        env.taskmon(arguments).exits(2).failure(kind, &[]);
    }
    assert_eq!(heard(&server), [[""; 0]; 0]);
    assert_eq!(logged(&env).len(), 0);
}

#[test]
fn a_run_that_another_one_holds_up_tells_nobody() {
    let env = TestEnv::postgres();
    let server = Server::plain(vec![status(200)]);
    configure(&env, &webhook(&server));
    let mut blocker = env.client();
    let mut held = blocker.transaction().unwrap();
    held.batch_execute("LOCK TABLE tasks IN ACCESS EXCLUSIVE MODE").unwrap();
    let waiting = "SELECT 1 FROM pg_locks JOIN pg_database ON pg_database.oid = database
                   WHERE datname = current_database() AND NOT granted";
    let mut observer = env.client();
    for (at, job) in ["stats", "alert", "cleanup"].into_iter().enumerate() {
        let first = env.taskmon([job]).spawn();
        while observer.query(waiting, &[]).unwrap().len() <= at {
            std::thread::sleep(std::time::Duration::from_millis(5));
        }
        env.taskmon([job]).exits(75).failure("locked", &[]);
        assert_eq!(heard(&server), [[""; 0]; 0], "{job}");
        // Asked to end, it leaves no alert behind either.
        drop(first);
    }
    held.rollback().unwrap();
    assert_eq!(logged(&env).len(), 0);
}

/// Thresholds that make any disk warn, or not.
fn disks(env: &TestEnv, warning: u32, critical: u32, more: &str) {
    env.write(
        "taskmon.toml",
        &format!(
            "language = \"zh\"\ntimezone = \"{}\"\n[disk]\npaths = [\"/\"]\nwarning_percent = {warning}\ncritical_percent = {critical}\n{more}",
            zone()
        ),
    );
}

#[test]
fn disk_raises_the_higher_of_the_pair_and_says_when_it_is_over() {
    let env = TestEnv::new();
    let server = Server::plain(vec![status(200)]);
    let disk = |code: i32, more: &[&str]| {
        let run = env.taskmon(["disk"]);
        more.iter().fold(run, |run, word| run.arg(*word)).exits(code)
    };
    disks(&env, 0, 100, &webhook(&server));
    assert_eq!(kinds(&disk(0, &["--no-alert"]).json()), ["disk_space_warning"]);
    assert_eq!((heard(&server).len(), logged(&env).len(), records(&env).len()), (0, 0, 0));

    let result = disk(0, &[]);
    result.stderr_contains("WARN ] 磁盘空间不足: / ");
    let alert = &result.json()["alerts"][0];
    assert_eq!(alert["type"], "disk_space_warning");
    assert_eq!((&alert["subject"], &alert["threshold"]), (&json!("/"), &json!(0)));
    assert_eq!(kinds(&told(disk(0, &[]))), ["disk_space_warning"]);
    assert_eq!(heard(&server), [["disk_space_warning"]]);

    disks(&env, 0, 0, &webhook(&server));
    let worse = disk(4, &["--fail-on", "critical"]);
    worse.stderr_contains("ERROR] 磁盘空间严重不足: / ");
    assert_eq!(kinds(&worse.json()), ["disk_space_critical"]);
    assert_eq!(heard(&server)[1], ["disk_space_critical"]);

    disks(&env, 100, 100, &webhook(&server));
    let over = disk(0, &[]);
    // Good news is said like the bad, and not as loud.
    over.stderr_contains("INFO ] 已恢复: 磁盘空间严重不足: / ")
        .stderr_contains("INFO ] 已恢复: 磁盘空间不足: / ");
    assert_eq!(over.json()["alerts"], json!([]));
    assert_eq!(heard(&server)[2], ["-disk_space_critical", "-disk_space_warning"]);
    told(disk(0, &[]));
    assert_eq!(heard(&server).len(), 3);
}

#[test]
fn only_the_disks_that_were_measured_are_over() {
    let env = TestEnv::new();
    let server = Server::plain(vec![status(200)]);
    disks(&env, 0, 100, &webhook(&server));
    let home = env.path("home").display().to_string();
    let result = told(env.taskmon(["disk", "/", &home]).exits(0));
    assert_eq!(kinds(&result), ["disk_space_warning"; 2]);
    told(env.taskmon(["disk", "/", "--warning", "100"]).exits(0));
    let over = server.requests()[1].json();
    assert_eq!(words(&over), ["-disk_space_warning"]);
    assert_eq!(over["alerts"][0]["subject"], "/");
    // A path that cannot be measured is not over either.
    std::fs::remove_dir(env.path("home")).unwrap();
    let finished = env.taskmon(["disk", "/", &home, "--warning", "100"]).exits(1);
    finished.stderr_contains("does not exist").json();
    assert_eq!(heard(&server).len(), 2);
    std::fs::create_dir(env.path("home")).unwrap();
    told(env.taskmon(["disk", "/", &home, "--warning", "100"]).exits(0));
    assert_eq!(server.requests()[2].json()["alerts"][0]["subject"], json!(home));
}

#[test]
fn a_disk_run_that_could_measure_nothing_is_told() {
    let env = TestEnv::new();
    let server = Server::plain(vec![status(200)]);
    disks(&env, 100, 100, &webhook(&server));
    let finished = env.taskmon(["disk", "/no/such/place"]).exits(3);
    assert_eq!(finished.json()["error"]["kind"], "nothing_measured");
    finished.stderr_contains("/no/such/place does not exist");
    assert_eq!(heard(&server), [["job_failed"]]);
    env.taskmon(["disk", "/no/such/place", "--no-alert"]).exits(3).failure("nothing_measured", &[]);
    told(env.taskmon(["disk"]).exits(0));
    assert_eq!(heard(&server)[1], ["-job_failed"]);
}

/// Output that cannot be written is exit 3 also where alerts stand; they were told by then.
#[test]
fn a_result_that_cannot_be_printed_is_a_failure_and_its_alerts_are_told() {
    let env = TestEnv::sqlite();
    let server = Server::plain(vec![status(200)]);
    configure(&env, &webhook(&server));
    env.insert([processing(1, minutes(90))]);
    let full = File::options().write(true).open("/dev/full").unwrap();
    let mut command = env.taskmon(["alert", "--fail-on", "warning"]).command();
    let output = command.stdout(full).output().unwrap();
    assert_eq!(output.status.code(), Some(3));
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(said.contains("standard output cannot be written"), "{said}");
    assert_eq!(heard(&server), [["stuck_tasks"]]);
}
