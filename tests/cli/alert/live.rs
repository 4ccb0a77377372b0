//! The live rules on the original's tables: each below, at and above its threshold, and how an alert changes from run to run.

use super::*;
use crate::on_each_database;
use crate::support::server::status;

/// The one firing alert.
#[track_caller]
fn only_alert(env: &TestEnv) -> Value {
    let result = dry_run(env);
    assert_eq!(result["alerts"].as_array().unwrap().len(), 1, "{result}");
    result["alerts"][0].clone()
}

#[track_caller]
fn assert_nothing_fires(env: &TestEnv) {
    assert_eq!(kinds(&dry_run(env)), [""; 0]);
}

/// A dry run leaves no records, so that each is like a first run.
#[track_caller]
fn dry_run(env: &TestEnv) -> Value {
    good_result(alert(env, 0, &["--dry-run"]))
}

/// The page in a language; they are dry runs, so their standard error is silent.
#[track_caller]
fn page(env: &TestEnv, language: &str) -> String {
    let text = env.read("taskmon.toml");
    env.write(
        "other.toml",
        &text.replace("language = \"en\"", &format!("language = \"{language}\"")),
    );
    let words = ["--dry-run", "--output", "text", "--config", "other.toml"];
    alert(env, 0, &words).stdout().to_owned()
}

on_each_database! {
    fn nothing_is_firing_on_empty_tables(env) {
        configure(&env, "");
        let result = dry_run(&env);
        assert_eq!(result["alerts"], json!([]));
        assert_eq!(counts(&result), [0, 0, 0]);
        assert_eq!(result["dry_run"], true);
        assert_eq!(result["live"]["backlog"]["pending"], 0);
        assert_eq!(result["live"]["today"]["total"], 0);
        for (language, verdict, facts) in [
            ("zh", "没有告警\n\n当前\n", ["待处理          0", "处理中          0", "今日            0  失败 0 (0%)"]),
            ("en", "No alert is firing\n\nNow\n", ["waiting         0", "active          0", "today           0  failed 0 (0%)"]),
        ] {
            let page = page(&env, language);
            assert!(page.starts_with(verdict), "{page}");
            for fact in facts {
                assert!(page.lines().any(|line| line.trim() == fact), "{fact}\n{page}");
            }
        }
    }

    fn a_task_is_stuck_when_it_has_been_processed_for_longer_than_the_limit(env) {
        configure(&env, "");
        env.insert([processing(1, minutes(58)), processing(2, TimeDelta::seconds(3_570))]);
        assert_nothing_fires(&env);
        env.insert([processing(3, TimeDelta::seconds(3_602)), processing(4, minutes(135))]);
        let alert = only_alert(&env);
        assert_eq!(alert["type"], "stuck_tasks");
        assert_eq!(alert["severity"], "warning");
        // Both in minutes: how long the oldest has taken, and how long one may.
        assert_eq!(alert["value"].as_f64().unwrap().floor(), 135.0);
        assert_eq!(alert["threshold"], 60);
        assert_eq!(
            alert["message"],
            "Stuck tasks: 2 in processing for more than 60 minutes; the oldest is task_4 (2 h 15 min)"
        );
        let english = page(&env, "en");
        assert!(english.contains(alert["message"].as_str().unwrap()), "{english}");
        let chinese = page(&env, "zh");
        assert!(
            chinese.contains("任务卡住: 2 个任务处理超过 60 分钟仍未结束，最久的是 task_4（2 小时 15 分钟）"),
            "{chinese}"
        );
    }

    fn a_task_without_a_start_is_stuck_by_its_last_update(env) {
        configure(&env, "[alerts.live]\nstuck_after_minutes = 10");
        let task = |n, updated| processing(n, minutes(200)).without("started_at").with("updated_at", ago(updated));
        env.insert([task(1, minutes(9))]);
        assert_nothing_fires(&env);
        env.insert([task(2, minutes(11))]);
        assert_eq!(only_alert(&env)["threshold"], 10);
    }

    fn a_backlog_is_firing_when_a_task_waits_for_longer_than_the_limit(env) {
        configure(&env, "");
        env.insert([pending(1, TimeDelta::seconds(1_770))]);
        assert_nothing_fires(&env);
        env.insert([pending(2, TimeDelta::seconds(1_802))]);
        let alert = only_alert(&env);
        assert_eq!((&alert["type"], &alert["severity"]), (&json!("backlog"), &json!("warning")));
        assert_eq!(alert["value"].as_f64().unwrap().floor(), 30.0);
        assert_eq!(alert["threshold"], 30);
        assert_eq!(
            alert["message"],
            "Backlog: 2 pending; 1 of them for more than 30 minutes, the oldest is task_2 (30 min); no task finished in the last hour"
        );
        let page = page(&env, "zh");
        assert!(
            page.contains("任务积压: 2 个任务等待处理，其中 1 个已等待超过 30 分钟，最久的是 task_2（30 分钟），最近一小时没有任务完成"),
            "{page}"
        );
    }

    fn a_backlog_is_firing_when_more_tasks_wait_than_the_limit(env) {
        configure(&env, "[alerts.live]\nbacklog_max = 3");
        env.insert((1..=3).map(|n| pending(n, minutes(5))));
        assert_nothing_fires(&env);
        // Two that finished in the last hour: at that rate the four take two hours.
        let finished = |n| Task::new(n).at(&ago(minutes(30)));
        env.insert([pending(4, minutes(5)), finished(5), finished(6)]);
        let alert = only_alert(&env);
        assert_eq!((&alert["type"], &alert["value"], &alert["threshold"]), (&json!("backlog"), &json!(4), &json!(3)));
        assert_eq!(
            alert["message"],
            "Backlog: 4 pending (limit 3); 2 finished in the last hour, 2 h left at that rate"
        );
        let page = page(&env, "zh");
        assert!(page.contains("任务积压: 4 个任务等待处理（上限 3），最近一小时完成 2 个，按此速度还需 2 小时"), "{page}");
    }

    fn tasks_that_are_due_later_are_no_backlog_and_hide_none(env) {
        let server = Server::plain(vec![status(200)]);
        configure_with(&env, "[database.tasks]\ndue_at = 'completed_at'\ncompleted_at = ''", &webhook(&server));
        let due = |n, time| pending(n, TimeDelta::days(2)).with("completed_at", ago(time));
        env.insert((1..=40).map(|n| due(n, TimeDelta::days(-7))));
        let result = alerted(&env);
        assert_eq!(kinds(&result), [""; 0]);
        let backlog = &result["live"]["backlog"];
        assert_eq!((&backlog["pending"], &backlog["scheduled_tasks"]), (&json!(0), &json!(40)));
        assert_eq!((&backlog["oldest_seconds"], &backlog["drain_seconds"]), (&json!(null), &json!(0)));
        assert!(page(&env, "en").contains("scheduled       40"), "{}", page(&env, "en"));

        env.insert((101..=104).map(|n| due(n, minutes(40))));
        let first = alerted(&env);
        assert_eq!(counts(&first), [1, 0, 0]);
        assert_eq!((&first["alerts"][0]["count"], &first["alerts"][0]["threshold"]), (&json!(4), &json!(30)));
        let message = first["alerts"][0]["message"].as_str().unwrap();
        let expected = "Backlog: 4 pending; 4 of them for more than 30 minutes, the oldest is task_101 (40 min)";
        assert!(message.starts_with(expected), "{message}");
        // The same, only older: nothing new.
        env.sql("DELETE FROM tasks WHERE id > 100");
        env.insert((101..=104).map(|n| due(n, minutes(140))));
        assert_eq!(counts(&alerted(&env)), [0, 1, 0]);
        // Ten times as many, long before the alert would be repeated.
        env.insert((105..=140).map(|n| due(n, minutes(40))));
        let worse = alerted(&env);
        assert_eq!(counts(&worse), [1, 0, 0]);
        assert_eq!(worse["decisions"][0]["channels"], json!({"log": "worse", "webhook": "worse"}));
        assert_eq!(counts(&alerted(&env)), [0, 1, 0]);
        assert_eq!(notified(&server), [["backlog"], ["backlog"]]);
    }

    fn a_value_that_grows_by_half_again_is_notified_again(env) {
        let server = Server::plain(vec![status(200)]);
        configure(&env, &format!("{}[alerts.live]\nbacklog_max = 3\nbacklog_after_minutes = 10000\n", webhook(&server)));
        for (tasks, expected) in [(4, [1, 0, 0]), (5, [0, 1, 0]), (6, [1, 0, 0]), (8, [0, 1, 0]), (4, [0, 1, 0]), (9, [1, 0, 0])] {
            replace(&env, (1..=tasks).map(|n| pending(n, minutes(5))));
            assert_eq!(counts(&alerted(&env)), expected, "{tasks}");
        }
    }

    fn todays_failure_rate_is_judged_from_enough_tasks_on(env) {
        configure(&env, "");
        for (total, failed, expected) in [
            (19, 19, None),
            (20, 4, None),
            (20, 5, Some(("high_failure_rate", "warning", 25.0, 20))),
            (20, 10, Some(("high_failure_rate", "warning", 50.0, 20))),
            (20, 11, Some(("critical_failure_rate", "critical", 55.0, 50))),
        ] {
            replace(&env, today(total, failed));
            let result = dry_run(&env);
            let expected = expected.map_or(json!([]), |(kind, severity, value, threshold)| {
                let words = match severity {
                    "critical" => "critical",
                    _ => "high",
                };
                json!([{"type": kind, "severity": severity, "subject": "today", "value": value, "threshold": threshold,
                    "message": format!("Task failure rate is {words}: {value}%, today")}])
            });
            assert_eq!(result["alerts"], expected, "{failed} of {total}");
        }
        // Tasks of yesterday are none of today's.
        replace(&env, of_yesterday(40, 40));
        assert_nothing_fires(&env);
    }

    fn an_alert_is_notified_once_a_worse_one_at_once_its_end_once_and_its_return_as_new(env) {
        let server = Server::plain(vec![status(200)]);
        configure(&env, &webhook(&server));
        replace(&env, today(20, 5));
        let first = alert(&env, 0, &[]);
        assert_eq!(counts(&first.json()), [1, 0, 0]);
        first.stderr_contains("WARN ] Task failure rate is high: 25%, today");
        assert_eq!(first.stderr().lines().count(), 1);
        assert_eq!(logged(&env), ["WARNING - Task failure rate is high: 25%, today"]);

        // Suppressed: it is in the result and in a record, and not sent. Its value is not part of its identity.
        replace(&env, today(20, 6));
        let second = alert(&env, 0, &[]);
        assert_eq!(counts(&second.json()), [0, 1, 0]);
        assert_eq!(kinds(&second.json()), ["high_failure_rate"]);
        assert_eq!(second.json()["channels"], json!([{"channel": "webhook", "sent": 0, "error": null}]));
        assert_eq!(records(&env).len(), 2);
        assert_eq!(records(&env)[1]["channels"]["webhook"]["result"], "suppressed");

        replace(&env, today(20, 12));
        assert_eq!(counts(&alerted(&env)), [1, 0, 0]);
        // While the critical one is firing, the lesser one is neither resolved nor notified.
        assert_eq!(counts(&alerted(&env)), [0, 1, 0]);
        assert_eq!(notified(&server), [["high_failure_rate"], ["critical_failure_rate"]]);

        replace(&env, today(20, 0));
        let ended = alert(&env, 0, &[]);
        assert_eq!(ended.json()["alerts"], json!([]));
        assert_eq!(counts(&ended.json()), [0, 0, 2]);
        ended.stderr_contains("Resolved: Task failure rate is critical: 60%, today");
        assert_eq!(notified(&server)[2], ["-critical_failure_rate", "-high_failure_rate"]);
        assert_eq!(counts(&good_result(alert(&env, 0, &[]))), [0, 0, 0]);
        assert_eq!(notified(&server).len(), 3);

        replace(&env, today(20, 5));
        assert_eq!(counts(&alerted(&env)), [1, 0, 0]);
        assert_eq!(notified(&server)[3], ["high_failure_rate"]);
        assert_eq!(
            logged(&env),
            [
                "CRITICAL - Task failure rate is critical: 60%, today",
                "CRITICAL - Resolved: Task failure rate is critical: 60%, today",
                "WARNING - Task failure rate is high: 25%, today",
                "WARNING - Resolved: Task failure rate is high: 30%, today",
                "WARNING - Task failure rate is high: 25%, today",
            ]
        );
    }

    fn the_page_shows_the_firing_alerts_the_channels_and_the_live_state(env) {
        let (good, bad) = (Server::plain(vec![status(200)]), Server::plain(vec![status(403)]));
        env.insert([processing(1, minutes(90)), processing(2, minutes(9)), pending(3, minutes(40)), pending(4, minutes(4))]);
        configure(&env, &format!("{}{}", webhook(&bad), storing_program(&env, "stored")));
        let text = |code| {
            let finished = alert(&env, code, &["--output", "text"]);
            finished.stderr();
            finished.stdout().lines().map(|line| line.trim().to_owned()).collect::<Vec<String>>()
        };
        let page = text(1);
        assert_eq!(page[0], "Alerts: 2 firing, 2 sent, 0 suppressed");
        assert!(page[1].starts_with("warning   Stuck tasks: 1 in processing"), "{page:?}");
        for line in ["waiting         2  too long 1", "active          2  stuck 1", "today           4  failed 0 (0%)", "command       ok (2)"] {
            assert!(page.iter().any(|found| found == line), "{line}: {page:?}");
        }
        assert!(page.iter().any(|line| line.starts_with("webhook       failed: ") && line.contains("403")), "{page:?}");
        // A channel's failure is shown once.
        assert_eq!(page.iter().filter(|line| line.contains("403")).count(), 1, "{page:?}");

        // An alert that no channel accepts is neither sent nor suppressed, but not delivered.
        configure(&env, &webhook(&bad));
        assert_eq!(text(1)[0], "Alerts: 2 firing, 0 sent, 0 suppressed, 2 not delivered");
        configure(&env, &webhook(&good));
        assert_eq!(text(0)[0], "Alerts: 2 firing, 2 sent, 0 suppressed");
        assert_eq!(text(0)[0], "Alerts: 2 firing, 0 sent, 2 suppressed");
        replace(&env, []);
        let page = text(0);
        assert_eq!(page[..2], ["No alert is firing", "2 resolved"], "{page:?}");
    }

    fn an_alert_is_repeated_after_the_configured_hours(env) {
        let server = Server::plain(vec![status(200)]);
        for (hours, again_after) in [(6, 6), (24, 24)] {
            let before = server.requests().len();
            configure(&env, &format!("repeat_after_hours = {hours}\n{}", webhook(&server)));
            replace(&env, [processing(1, minutes(90))]);
            assert_eq!(counts(&alerted(&env)), [1, 0, 0]);
            age_records(&env, TimeDelta::hours(again_after) - minutes(5));
            assert_eq!(counts(&alerted(&env)), [0, 1, 0]);
            age_records(&env, minutes(6));
            assert_eq!(counts(&alerted(&env)), [1, 0, 0]);
            assert_eq!(counts(&alerted(&env)), [0, 1, 0]);
            assert_eq!(server.requests().len() - before, 2, "{hours} hours");
            std::fs::remove_dir_all(env.path("reports/alerts")).unwrap();
        }
    }
}

#[test]
fn zero_hours_repeat_every_firing_alert() {
    let env = TestEnv::sqlite();
    let server = Server::plain(vec![status(200)]);
    configure(&env, &format!("repeat_after_hours = 0\n{}", webhook(&server)));
    env.insert([processing(1, minutes(90))]);
    for run in 1..=3 {
        assert_eq!(counts(&alerted(&env)), [1, 0, 0]);
        assert_eq!(server.requests().len(), run);
    }
}

#[test]
fn a_disk_above_a_threshold_is_firing() {
    let env = TestEnv::sqlite();
    let usage = env.taskmon(["disk", "--no-alert"]).success().json()["disk_info"]["usage_percent"]
        .as_f64()
        .unwrap();
    // Others write to this disk too.
    let (below, above) = ((usage - 3.0).max(0.0), (usage + 3.0).min(100.0));
    for (warning, critical, expected) in [
        (above, 100.0, json!([])),
        (below, above, json!([["disk_space_warning", "warning", "/", below]])),
        (0.0, below, json!([["disk_space_critical", "critical", "/", below]])),
    ] {
        let limits =
            format!("[disk]\nwarning_percent = {warning}\ncritical_percent = {critical}\n");
        env.config_in(&zone(), &limits);
        let result = dry_run(&env);
        let alerts = result["alerts"].as_array().unwrap().iter();
        let found: Vec<Value> = alerts
            .map(|alert| {
                assert!(
                    alert["value"].as_f64().unwrap() > alert["threshold"].as_f64().unwrap(),
                    "{alert}"
                );
                json!([
                    alert["type"],
                    alert["severity"],
                    alert["subject"],
                    alert["threshold"].as_f64()
                ])
            })
            .collect();
        assert_eq!(json!(found), expected, "{usage}%: {warning}, {critical}");
    }
}

#[test]
fn custom_rules_look_at_the_live_state() {
    let env = TestEnv::sqlite();
    let rule = |op: &str, value: &str, message: &str| {
        format!(
            "[[alerts.rules]]\nname = \"waiting\"\non = \"live\"\nmetric = \"backlog.pending\"\nop = \"{op}\"\nvalue = {value}\n\
             severity = \"critical\"\nmessage = \"{message}\"\n"
        )
    };
    env.insert([pending(1, minutes(2)), pending(2, minutes(1))]);
    configure(&env, &rule(">", "2", ""));
    assert_nothing_fires(&env);
    configure(&env, &rule(">=", "2", "{value} wait ({threshold})"));
    assert_eq!(
        only_alert(&env),
        json!({"type": "waiting", "severity": "critical", "message": "2 wait (2)", "value": 2, "threshold": 2})
    );
    configure(&env, &rule(">", "2", "").replace("pending\"", "nowhere\""));
    let alert = only_alert(&env);
    assert_eq!(
        (&alert["type"], &alert["severity"], &alert["subject"]),
        (&json!("alert_check_error"), &json!("error"), &json!("waiting"))
    );
    assert_eq!(
        alert["message"],
        "The rule waiting cannot be evaluated: backlog.nowhere does not exist"
    );
}
