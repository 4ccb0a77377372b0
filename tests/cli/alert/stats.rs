//! What `stats` raises by itself, and the exit code of `--fail-on`.

use super::*;
use crate::on_each_database;
use crate::support::server::status;

on_each_database! {
    fn a_report_that_could_not_be_saved_fires_until_one_is(env) {
        let server = Server::plain(vec![status(200)]);
        env.insert(of_yesterday(20, 0));
        configure_with(&env, "[stats]\nreports_dir = 'a file'", &webhook(&server));
        env.write("a file", "");
        let finished = env.taskmon(["stats"]).exits(1);
        finished.stderr_contains("The report was not saved");
        assert_eq!(kinds(&finished.json()), ["report_not_saved"]);
        // A run that saves nothing says nothing of it, and nor does its result; that of one that could not save says so again.
        env.write("failed.json", finished.stdout());
        env.write("printed.json", env.taskmon(["stats", "--no-save"]).exits(0).stdout());
        let from_report = |file: &str| {
            let finished = env.taskmon(["alert", "--report", file]).success();
            finished.stderr();
            finished.json()
        };
        assert_eq!(kinds(&from_report("failed.json")), ["report_not_saved"]);
        assert_eq!(kinds(&from_report("printed.json")), [""; 0]);
        std::fs::remove_file(env.path("a file")).unwrap();
        good_result(env.taskmon(["stats"]).exits(0));
        assert_eq!(notified(&server), [["report_not_saved"], ["-report_not_saved"]]);
    }

    fn stats_notifies_for_yesterday_and_for_a_date_only_with_alert(env) {
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
        finished.stderr_contains("WARN ] Task failure rate is high: 30%");
        assert_eq!(
            finished.json()["alerts"],
            json!([{"type": "high_failure_rate", "severity": "warning", "message": "Task failure rate is high: 30%", "value": 30.0, "threshold": 20,
                "tasks": [{"task": "task_1", "error": "物流查询失败"}, {"task": "task_2", "error": "任务超时"}, {"task": "task_3", "error": "物流查询失败"}]}])
        );
        assert_eq!(notified(&server), [["high_failure_rate"]]);
        assert_eq!(logged(&env), ["WARNING - Task failure rate is high: 30%"]);
        let document = server.only().json();
        assert_eq!(document["schema_version"], 1);
        assert_eq!(document["alerts"][0]["value"], 30.0);

        // The same once more is suppressed; with --alert a date is notified as yesterday is.
        let again = env.taskmon(["stats", "--date", &date, "--alert"]).success().json();
        assert_eq!(kinds(&again), ["high_failure_rate"]);
        assert_eq!(records(&env)[1]["channels"]["webhook"]["result"], "suppressed");
        std::fs::remove_dir_all(env.path("reports/alerts")).unwrap();
        let finished = env.taskmon(["stats", "--date", &date, "--alert"]).success();
        finished.stderr_contains("Task failure rate is high: 30%").json();
        assert_eq!(notified(&server), [["high_failure_rate"], ["high_failure_rate"]]);
    }

    fn the_saved_report_is_the_printed_one_also_when_a_channel_fails(env) {
        for (answer, code) in [(200, 0), (403, 1)] {
            let server = Server::plain(vec![status(answer)]);
            configure(&env, &format!("repeat_after_hours = 0\n{}", webhook(&server)));
            replace(&env, of_yesterday(20, 6));
            let finished = env.taskmon(["stats"]).exits(code);
            let report = finished.json();
            finished.stderr_contains("Task failure rate is high: 30%");
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

    fn of_several_days_the_newest_is_notified(env) {
        let server = Server::plain(vec![status(200)]);
        configure(&env, &webhook(&server));
        env.insert(of_yesterday(20, 6));
        let finished = env.taskmon(["stats", "--days", "3"]).success();
        let reports = finished.json();
        let found: Vec<Vec<&str>> = reports.as_array().unwrap().iter().map(kinds).collect();
        assert_eq!(found, [["no_tasks"], ["no_tasks"], ["high_failure_rate"]]);
        assert_eq!(finished.stderr().lines().count(), 1);
        assert_eq!(notified(&server), [["high_failure_rate"]]);
    }

    fn a_day_without_tasks_and_a_concentration_of_errors_are_notified_and_resolved(env) {
        let server = Server::plain(vec![status(200)]);
        configure(&env, &webhook(&server));
        let stats = || good_result(env.taskmon(["stats"]).exits(0));
        assert_eq!(kinds(&stats()), ["no_tasks"]);
        let of_one_kind = |n| Task::new(n).at(&format!("{} 10:00:00", yesterday()));
        replace(&env, (1..=20).map(|n| match n { 1 | 2 => of_one_kind(n).failed("二维码"), 3 => of_one_kind(n).failed("其它"), _ => of_one_kind(n) }));
        let report = stats();
        assert_eq!(
            report["alerts"],
            json!([{"type": "concentrated_errors", "severity": "warning", "subject": "二维码识别错误", "value": 66.67, "threshold": 50,
                "message": "Errors are concentrated in \"二维码识别错误\": 66.67% (2 of 3)",
                "tasks": [{"task": "task_1", "error": "二维码"}, {"task": "task_2", "error": "二维码"}]}])
        );
        replace(&env, of_yesterday(20, 2));
        assert_eq!(kinds(&stats()), [""; 0]);
        assert_eq!(
            notified(&server),
            [vec!["no_tasks"], vec!["concentrated_errors", "-no_tasks"], vec!["-concentrated_errors"]]
        );
    }

    fn errors_that_have_nothing_in_common_are_not_concentrated(env) {
        let failed = |n, message: &str| Task::new(n).at(&format!("{} 10:00:00", yesterday())).failed(message);
        let ok = |n| Task::new(n).at(&format!("{} 10:00:00", yesterday()));
        let report = || good_result(env.taskmon(["stats", "--no-alert", "--no-save"]).exits(0));
        replace(&env, (1..=20).map(|n| if n <= 3 { failed(n, &format!("order {n} is lost")) } else { ok(n) }));
        configure(&env, "");
        let of_preset = report();
        assert_eq!(of_preset["error_statistics"]["error_categories"], json!({"其他错误": 3}));
        assert_eq!(kinds(&of_preset), [""; 0]);
        // In tables of one's own, the preset's categories mean nothing.
        let own = "[database.tasks]\nfrom = 'tasks'\ndelete_from = 'tasks'";
        configure_with(&env, own, "");
        let own_tables = report();
        assert_eq!(own_tables["error_statistics"]["error_categories"], json!({"other errors": 3}));
        assert_eq!(kinds(&own_tables), [""; 0]);
        env.insert([failed(30, "ValueError: no stock"), failed(31, "ValueError"), failed(32, "KeyError: 7")]);
        env.insert((33..=35).map(|n| failed(n, "ValueError: no such parcel")));
        let by_exception = report();
        assert_eq!(
            by_exception["error_statistics"]["error_categories"].to_string(),
            r#"{"ValueError":5,"KeyError":1,"other errors":3}"#
        );
        assert_eq!(kinds(&by_exception), ["high_failure_rate", "concentrated_errors"]);
        assert_eq!(by_exception["alerts"][1]["subject"], "ValueError");
        assert_eq!(by_exception["error_statistics"]["failed_tasks"][0]["category"], "other errors");
        // One's own categories come before either.
        let stock = "[[stats.error_categories]]\nname = 'stock'\ncontains = ['no stock']";
        configure_with(&env, &format!("{own}\n{stock}"), "");
        assert_eq!(report()["error_statistics"]["error_categories"], json!({"stock": 1, "其他错误": 8}));
    }

    fn an_alert_of_one_job_is_not_resolved_by_another(env) {
        let server = Server::plain(vec![status(200)]);
        configure(&env, &webhook(&server));
        env.insert(of_yesterday(20, 6));
        good_result(env.taskmon(["stats"]).exits(0));
        // The live rules find nothing, and those of disks do not look at yesterday.
        assert_eq!(counts(&alerted(&env)), [0, 0, 0]);
        good_result(env.taskmon(["disk"]).exits(0));
        assert_eq!(notified(&server), [["high_failure_rate"]]);
        replace(&env, of_yesterday(20, 0));
        good_result(env.taskmon(["stats"]).exits(0));
        assert_eq!(notified(&server)[1], ["-high_failure_rate"]);
    }

    fn fail_on_sets_the_exit_code_by_what_is_firing_and_comes_before_errors(env) {
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
        // A suppressed alert is still firing.
        assert_eq!(code(&["alert", "--fail-on", "warning"]), 4);
        assert_eq!(code(&["alert", "--fail-on", "warning"]), 4);
        // Errors are 1; a firing alert comes first, and the errors are in the result all the same.
        configure(&env, &format!("repeat_after_hours = 0\n{}", webhook(&refusing)));
        assert_eq!(code(&["alert"]), 1);
        let finished = env.taskmon(["alert", "--fail-on", "warning"]).exits(4);
        // Standard error has said so once; cron mails it every five minutes.
        assert!(!finished.stderr().contains("the channel webhook failed"));
        assert_eq!(finished.json()["errors"][0]["kind"], "channel_failed");
        assert_eq!(code(&["stats", "--fail-on", "critical"]), 1);
        replace(&env, of_yesterday(20, 16));
        assert_eq!(code(&["stats", "--fail-on", "critical"]), 4);
    }
}
