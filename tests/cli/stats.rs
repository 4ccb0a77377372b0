//! `taskmon stats`: the figures of small days that a person can add up, and what becomes of the report.

use crate::on_each_database;
use crate::support::env::TestEnv;
use crate::support::rows::Task;
use crate::support::zone;
use chrono::{Days, Utc};
use serde_json::{Value, json};
use std::collections::BTreeSet;

pub use crate::support::rows::DAY;

/// The report of [`DAY`], nothing saved.
#[track_caller]
fn report(env: &TestEnv) -> Value {
    let finished = env.taskmon(["stats", "--date", DAY, "--no-save"]).success();
    finished.json()
}

/// Eight tasks on the day, one in the last microsecond before it, one in the first after it, one without a time.
fn small_day() -> Vec<Task> {
    let unstarted = |task: Task| task.without("started_at").without("processing_time");
    vec![
        Task::new(1)
            .at("2026-11-22 00:00:00")
            .with("started_at", "2026-11-22 00:00:01.500000")
            .with("processing_time", 10.5),
        Task::new(2)
            .at("2026-11-22 23:59:59.999999")
            .with("started_at", "2026-11-23 00:00:02.999999")
            .with("processing_time", 20.5),
        unstarted(Task::new(3).at("2026-11-22 10:15:00"))
            .failed("二维码识别失败: 100% of 'it'")
            .with("retry_count", 2),
        unstarted(Task::new(4).at("2026-11-22 10:30:00")).status("FAILED").without("error_message"),
        unstarted(Task::new(5).at("2026-11-22 10:45:00")).failed(""),
        unstarted(Task::new(6).at("2026-11-22 11:00:00")).status("PENDING").without("retry_count"),
        unstarted(Task::new(7).at("2026-11-22 11:10:00"))
            .status("RECOGNIZING")
            .with("retry_count", 1),
        unstarted(Task::new(8).at("2026-11-22 12:00:00")).status("RETURNED"),
        Task::new(9).at("2026-11-21 23:59:59.999999"),
        Task::new(10).at("2026-11-23 00:00:00"),
        Task::new(11).without("created_at"),
    ]
}

on_each_database! {
    fn every_figure_of_a_small_day_is_what_a_person_counts(env) {
        env.insert(small_day());
        let report = report(&env);

        let tasks = &report["task_statistics"];
        assert_eq!(tasks["total_tasks"], 8);
        assert_eq!(
            tasks["status_breakdown"],
            json!({"completed": 2, "failed": 3, "pending": 1, "processing": 1, "cancelled": 1})
        );
        assert_eq!(
            tasks["raw_status_breakdown"],
            json!({"COMPLETED": 2, "FAILED": 3, "PENDING": 1, "RECOGNIZING": 1, "RETURNED": 1})
        );
        assert_eq!(tasks["completion_rate"], 25.0);
        assert_eq!(tasks["failure_rate"], 37.5);
        assert_eq!(tasks["average_processing_time"], 15.5);
        assert_eq!(tasks["average_wait_time"], 2.25);
        assert_eq!(
            tasks["processing_time_percentiles"],
            json!({"p50": 15.5, "p90": 19.5, "p95": 20.0, "p99": 20.4, "max": 20.5})
        );

        let performance = &report["performance_statistics"];
        assert_eq!(
            performance["slowest_tasks"],
            json!([
                {"task_id": "task_2", "processing_time": 20.5, "status": "completed"},
                {"task_id": "task_1", "processing_time": 10.5, "status": "completed"}
            ])
        );
        for hour in 0..24 {
            let expected = match hour { 0 | 12 | 23 => 1, 10 => 3, 11 => 2, _ => 0 };
            assert_eq!(performance["hourly_distribution"][hour.to_string()], expected, "hour {hour}");
        }
        assert_eq!(performance["hourly_distribution"].as_object().unwrap().len(), 24);
        assert_eq!(performance["peak_hour"], 10);
        // The mean is 1/3 and the standard deviation 0.745.
        assert_eq!(performance["peak_hours"], json!([10, 11]));

        let errors = &report["error_statistics"];
        assert_eq!(errors["error_categories"], json!({"二维码识别错误": 1}));
        assert_eq!(errors["retry_statistics"], json!({"1": 1, "2": 1}));
        assert_eq!(errors["total_failed_tasks"], 3);
        let failed = errors["failed_tasks"].as_array().unwrap();
        let names: Vec<&Value> = failed.iter().map(|task| &task["task_id"]).collect();
        assert_eq!(names, ["task_5", "task_4", "task_3"]);
        assert_eq!(failed[2]["error_message"], "二维码识别失败: 100% of 'it'");
        assert_eq!(failed[2]["category"], "二维码识别错误");
        assert_eq!(failed[2]["retry_count"], 2);
        let created = failed[2]["created_at"].as_str().unwrap();
        assert_eq!(
            chrono::DateTime::parse_from_rfc3339(created).unwrap(),
            chrono::DateTime::parse_from_rfc3339("2026-11-22T10:15:00+08:00").unwrap()
        );

        let trend = &report["trend_analysis"];
        assert_eq!(
            trend["past_7_days"],
            json!([
                {"date": "2026-11-22", "total": 8, "completed": 2, "failed": 3},
                {"date": "2026-11-21", "total": 1, "completed": 1, "failed": 0},
                {"date": "2026-11-20", "total": 0, "completed": 0, "failed": 0},
                {"date": "2026-11-19", "total": 0, "completed": 0, "failed": 0},
                {"date": "2026-11-18", "total": 0, "completed": 0, "failed": 0},
                {"date": "2026-11-17", "total": 0, "completed": 0, "failed": 0},
                {"date": "2026-11-16", "total": 0, "completed": 0, "failed": 0}
            ])
        );
        assert_eq!(trend["trend_percent"], 700.0);
        assert_eq!(trend["trend_direction"], "up");

        assert_eq!(report["success"], true);
        assert_eq!(report["date"], DAY);
        assert_eq!(report["timezone"], "Asia/Shanghai");
        assert_eq!(report["counted_by"], "created_at");
        assert_eq!(report["undated_tasks"], 1);
        let unavailable = ["system_statistics.queue_statistics.queues", "queues", "names"];
        assert_eq!(report["unavailable"], json!(unavailable));
        assert_eq!([&report["queues"], &report["names"]], [&Value::Null; 2]);
        assert!(report["system_statistics"]["queue_statistics"]["queues"].is_null());
        // They are in the report though nobody is notified: there is no channel, and the date was given.
        let recognition = json!({"task": "task_3", "error": "二维码识别失败: 100% of 'it'"});
        assert_eq!(
            report["alerts"],
            json!([
                {"type": "high_failure_rate", "severity": "warning", "message": "Task failure rate is high: 37.5%",
                 "value": 37.5, "threshold": 20, "tasks": [{"task": "task_5"}, {"task": "task_4"}, &recognition]},
                {"type": "concentrated_errors", "severity": "warning", "message": "Errors are concentrated in \"二维码识别错误\": 100% (1 of 1)",
                 "subject": "二维码识别错误", "value": 100, "threshold": 50, "tasks": [&recognition]}
            ])
        );
        assert_eq!(report["report_path"], Value::Null);
        assert!(report["execution_time"].as_f64().unwrap() >= 0.0);
        chrono::DateTime::parse_from_rfc3339(report["generated_at"].as_str().unwrap()).unwrap();
        let queues = &report["system_statistics"]["queue_statistics"];
        assert_eq!(queues["source"], "database");
    }

    fn the_day_by_queue_and_by_name(env) {
        env.config("[database.tasks]\nqueue = 'courier_company'\nname = 'remarks'");
        let task = |n: u32, queue: &str| Task::new(n).with("courier_company", queue).with("remarks", "send");
        env.insert([
            task(1, "mail").at("2026-11-22 10:00:00").with("started_at", "2026-11-22 10:00:02").with("processing_time", 1),
            task(2, "mail").at("2026-11-22 10:00:00").with("started_at", "2026-11-22 10:00:04").with("processing_time", 2),
            task(3, "mail").failed("x").without("started_at").without("processing_time"),
            task(4, "x").without("courier_company").status("PENDING").without("started_at").without("processing_time"),
        ]);
        // There are more queues than are listed.
        env.insert((100..160).map(|n| task(n, &format!("q{n}")).without("started_at").without("processing_time")));
        let report = report(&env);
        let queues = report["queues"].as_array().unwrap();
        assert_eq!(queues.len(), 50);
        assert_eq!(
            queues[0],
            json!({"name": "mail", "count": 3, "failed": 1, "oldest_open_seconds": null,
                "waiting_time_percentiles": {"p50": 3.0, "p90": 3.8, "p95": 3.9, "p99": 3.98, "max": 4.0},
                "processing_time_percentiles": {"p50": 1.5, "p90": 1.9, "p95": 1.95, "p99": 1.99, "max": 2.0}})
        );
        assert_eq!((&queues[1]["name"], &queues[1]["count"]), (&Value::Null, &json!(1)));
        assert!(queues[1]["oldest_open_seconds"].as_u64().is_some());
        assert_eq!(
            report["other"],
            json!({"names": null, "queues": {"count": 12, "failed": 0, "oldest_open_seconds": null,
                "waiting_time_percentiles": null, "processing_time_percentiles": null}})
        );
        assert_eq!(report["names"].as_array().unwrap().len(), 1);
        assert_eq!((&report["names"][0]["name"], &report["names"][0]["count"]), (&json!("send"), &json!(64)));
        assert_eq!(report["unavailable"], json!([]));
        for (language, heading, bare, other, more) in [
            ("en", "By queue\n  name     tasks  failed", "  (none)   1 ", "  (other)  12 ", "  and 40 more"),
            ("zh", "按队列\n  名称    任务  失败", "  （无）  1 ", "  其他    12 ", "  另有 40 个"),
        ] {
            let page = env.taskmon(["stats", "--date", DAY, "--no-save", "--output", "text", "--lang", language]).success();
            for part in [heading, bare, other, more, "3.9 s"] {
                assert!(page.stdout().contains(part), "{part:?} in {}", page.stdout());
            }
        }
    }

    fn a_day_without_tasks_has_zeros_and_nulls(env) {
        let report = report(&env);
        let tasks = &report["task_statistics"];
        assert_eq!(tasks["total_tasks"], 0);
        assert_eq!(
            tasks["status_breakdown"],
            json!({"completed": 0, "failed": 0, "pending": 0, "processing": 0})
        );
        assert_eq!(tasks["completion_rate"], 0.0);
        assert_eq!(tasks["failure_rate"], 0.0);
        assert_eq!(tasks["average_processing_time"], Value::Null);
        assert_eq!(tasks["average_wait_time"], Value::Null);
        let performance = &report["performance_statistics"];
        assert_eq!(performance["peak_hour"], Value::Null);
        assert_eq!(performance["peak_hours"], json!([]));
        assert_eq!(performance["slowest_tasks"], json!([]));
        assert_eq!(report["error_statistics"]["error_categories"], json!({}));
        assert_eq!(report["error_statistics"]["retry_statistics"], json!({}));
        assert_eq!(report["trend_analysis"]["trend_percent"], 0.0);
        assert_eq!(report["trend_analysis"]["trend_direction"], "flat");
        let unavailable = ["system_statistics.queue_statistics.queues", "queues", "names"];
        assert_eq!(report["unavailable"], json!(unavailable));
        assert_eq!([&report["queues"], &report["names"]], [&Value::Null; 2]);
        assert!(report["system_statistics"]["queue_statistics"]["queues"].is_null());
    }

    fn the_slowest_of_equals_are_those_with_the_lowest_keys(env) {
        // Written in falling order, so that the order of the rows is no help.
        env.insert((1..=7).rev().map(|n| Task::new(n).with("processing_time", 5.25)));
        env.insert([Task::new(8).with("processing_time", 6), Task::new(9).without("processing_time")]);
        let slowest = report(&env)["performance_statistics"]["slowest_tasks"].clone();
        let names: Vec<&str> = slowest.as_array().unwrap().iter().map(|task| task["task_id"].as_str().unwrap()).collect();
        assert_eq!(names, ["task_8", "task_1", "task_2", "task_3", "task_4"]);
    }

    fn the_slowest_of_a_thousand_are_found_with_their_equals(env) {
        // So many that not all of them are sorted to find these.
        env.insert((1..=1000).rev().map(|n| Task::new(n).with("processing_time", n % 250)));
        let report = report(&env);
        let slowest = report["performance_statistics"]["slowest_tasks"].as_array().unwrap();
        let found: Vec<_> = slowest.iter().map(|task| (task["task_id"].as_str().unwrap(), task["processing_time"].as_f64().unwrap())).collect();
        assert_eq!(found, [("task_249", 249.0), ("task_499", 249.0), ("task_749", 249.0), ("task_999", 249.0), ("task_248", 248.0)]);
        assert_eq!(
            report["task_statistics"]["processing_time_percentiles"],
            json!({"p50": 124.5, "p90": 224.1, "p95": 237.0, "p99": 247.0, "max": 249.0})
        );
    }

    fn a_message_belongs_to_the_first_category_whose_text_it_contains(env) {
        let messages = [
            "二维码识别失败", "物流信息为空", "文档转换失败", "任务超时: 超过 300 秒", "数据库连接失败",
            // Two categories each: the earlier one counts, not the one that comes first in the message.
            "物流查询超时", "写入数据库失败, 二维码识别完成",
            "Unexpected error: KeyError 'data'", " ",
        ];
        env.insert(messages.iter().zip(1..).map(|(message, n)| Task::new(n).failed(message)));
        // The message of a task that did not fail counts for nothing.
        env.insert([Task::new(50).with("error_message", "二维码"), Task::new(51).failed(""), Task::new(52).failed("").without("error_message")]);
        let errors = report(&env)["error_statistics"].clone();
        assert_eq!(
            errors["error_categories"],
            json!({"二维码识别错误": 2, "物流查询错误": 2, "文档生成错误": 1, "任务超时": 1, "数据库错误": 1, "其他错误": 2})
        );
        assert_eq!(errors["total_failed_tasks"], 11);
    }

    fn configured_categories_replace_the_default_ones(env) {
        env.config("[[stats.error_categories]]\nname = \"percent\"\ncontains = [\"100%\", \"a_b\"]\n");
        // % and _ are wildcards of LIKE and must match nothing but themselves.
        env.insert([Task::new(1).failed("100% full"), Task::new(2).failed("1000 full"), Task::new(3).failed("a_b"), Task::new(4).failed("axb")]);
        let errors = report(&env)["error_statistics"].clone();
        assert_eq!(errors["error_categories"], json!({"percent": 2, "其他错误": 2}));
    }

    fn failed_tasks_are_listed_up_to_the_limit_and_counted_beyond_it(env) {
        env.config("[stats]\nfailed_task_details = 3\nslowest_tasks = 2\n");
        env.insert((1..=5).map(|n| Task::new(n).failed("x")));
        let report = report(&env);
        let failed = report["error_statistics"]["failed_tasks"].as_array().unwrap();
        let names: Vec<&Value> = failed.iter().map(|task| &task["task_id"]).collect();
        assert_eq!(names, ["task_5", "task_4", "task_3"]);
        assert_eq!(report["error_statistics"]["total_failed_tasks"], 5);
        assert_eq!(report["performance_statistics"]["slowest_tasks"].as_array().unwrap().len(), 2);
    }

    fn the_report_that_is_saved_is_the_one_that_is_printed(env) {
        env.insert(small_day());
        let finished = env.taskmon(["stats", "--date", DAY]).success();
        let printed = finished.json();
        let saved: Value = serde_json::from_str(&env.read("reports/daily/daily_report_20261122.json")).unwrap();
        assert_eq!(printed, saved);
        let path = printed["report_path"].as_str().unwrap();
        assert!(path.ends_with("reports/daily/daily_report_20261122.json"), "{path}");
        assert!(env.path(path).is_file());
        let beside: Vec<_> = std::fs::read_dir(env.path("reports/daily")).unwrap().collect();
        assert_eq!(beside.len(), 1, "nothing half-written is left behind: {beside:?}");
    }

    fn without_saving_nothing_is_written_to_the_report_folder(env) {
        env.insert(small_day());
        report(&env);
        assert!(!env.path("reports").exists(), "{}", env.tree());
    }

    fn several_days_come_as_an_array_oldest_first_and_are_all_saved(env) {
        env.insert(small_day());
        let reports = env.taskmon(["stats", "--date", "2026-11-23", "--days", "3"]).success().json();
        let summary: Vec<(&str, i64)> = reports.as_array().unwrap().iter().map(|report| {
            (report["date"].as_str().unwrap(), report["task_statistics"]["total_tasks"].as_i64().unwrap())
        }).collect();
        assert_eq!(summary, [("2026-11-21", 1), ("2026-11-22", 8), ("2026-11-23", 1)]);
        for (report, day) in reports.as_array().unwrap().iter().zip(["20261121", "20261122", "20261123"]) {
            let saved: Value = serde_json::from_str(&env.read(format!("reports/daily/daily_report_{day}.json"))).unwrap();
            assert_eq!(&saved, report);
        }
    }

    fn one_day_asked_for_by_number_is_still_an_array(env) {
        let reports = env.taskmon(["stats", "--date", DAY, "--days", "1", "--no-save"]).success().json();
        assert_eq!(reports.as_array().unwrap().len(), 1);
    }

    fn without_a_date_it_is_yesterday_in_the_configured_zone(env) {
        let zone = zone("Asia/Shanghai");
        let yesterday = || (Utc::now().with_timezone(&zone).date_naive() - Days::new(1)).to_string();
        let before = yesterday();
        let report = env.taskmon(["stats", "--no-save", "--no-alert"]).success().json();
        let date = report["date"].as_str().unwrap();
        assert!([before, yesterday()].contains(&date.to_owned()), "{date}");
    }

    fn a_day_is_named_by_a_word_in_the_configured_zone_or_as_people_write_it(env) {
        // No hour of the day has the same date in both.
        for name in ["Pacific/Kiritimati", "Etc/GMT+12"] {
            env.config_in(name, "");
            for (word, ago) in [("today", 0), ("今天", 0), ("yesterday", 1), ("-1", 1), ("-3", 3)] {
                let expected = || (Utc::now().with_timezone(&zone(name)).date_naive() - Days::new(ago)).to_string();
                let before = expected();
                let report = env.taskmon(["stats", "--no-save", "--date", word]).success().json();
                let date = report["date"].as_str().unwrap();
                assert!([before, expected()].contains(&date.to_owned()), "{name}, {word}: {date}");
            }
        }
        for written in ["20261122", "2026/11/22"] {
            let report = env.taskmon(["stats", "--no-save", "--date", written]).success().json();
            assert_eq!(report["date"], DAY);
        }
    }

    fn a_day_after_today_in_the_configured_zone_is_refused_and_today_is_named(env) {
        env.config_in("Etc/GMT+12", "");
        let day = |zone_name: &str| Utc::now().with_timezone(&zone(zone_name)).date_naive().to_string();
        let [before, ahead] = [day("Etc/GMT+12"), day("Pacific/Kiritimati")];
        let finished = env.taskmon(["stats", "--date", &ahead]).exits(2);
        finished.stderr_contains("a day in the future");
        let message = finished.json()["error"]["message"].as_str().unwrap().to_owned();
        let expected = |today: String| format!("--date is {ahead}, a day in the future: today is {today}");
        assert!([expected(before), expected(day("Etc/GMT+12"))].contains(&message), "{message}");
        assert!(!env.path("reports").exists(), "{}", env.tree());
    }

    fn one_line_into_a_pipe_and_many_when_asked_to(env) {
        let compact = env.taskmon(["stats", "--date", DAY, "--no-save"]).success();
        assert_eq!(compact.stdout().trim_end().lines().count(), 1);
        let pretty = env.taskmon(["stats", "--date", DAY, "--no-save", "--pretty"]).success();
        assert!(pretty.stdout().lines().count() > 20);
        let keys = |value: Value| value.as_object().unwrap().keys().cloned().collect::<Vec<_>>();
        assert_eq!(keys(pretty.json()), keys(compact.json()));
    }

    fn as_text_it_is_a_page_for_a_person(env) {
        env.insert(small_day());
        let page = env.taskmon(["stats", "--date", DAY, "--no-save", "--output", "text"]).success();
        for part in [DAY, "8", "37.5", "二维码识别错误", "task_2", "Alerts\n  ! Task failure rate is high: 37.5%"] {
            page.stdout_contains(part);
        }
        assert!(serde_json::from_str::<Value>(page.stdout()).is_err());
        assert!(page.stdout().lines().count() < 80, "ten seconds to read");
    }

    fn a_missing_column_is_null_and_named(env) {
        env.sql("ALTER TABLE tasks DROP COLUMN retry_count");
        let mut task = Task::new(1).failed("任务超时");
        task.columns.remove("retry_count");
        env.insert([task]);
        let report = report(&env);
        assert_eq!(report["error_statistics"]["retry_statistics"], Value::Null);
        assert_eq!(report["error_statistics"]["failed_tasks"][0]["retry_count"], Value::Null);
        assert!(paths(&report["unavailable"]).contains("error_statistics.retry_statistics"), "{report}");
        assert_eq!(report["error_statistics"]["error_categories"], json!({"任务超时": 1}));
    }

    fn a_field_that_the_mapping_leaves_out_is_null_and_named(env) {
        env.config(
            "[database.tasks]\nprocessing_time = \"\"\nstarted_at = \"\"\nerror_message = \"\"\n",
        );
        env.insert([Task::new(1).failed("任务超时")]);
        let report = report(&env);
        for path in [
            "task_statistics.average_processing_time",
            "task_statistics.processing_time_percentiles",
            "task_statistics.average_wait_time",
            "performance_statistics.slowest_tasks",
            "error_statistics.error_categories",
        ] {
            let pointer = format!("/{}", path.replace('.', "/"));
            assert_eq!(report.pointer(&pointer), Some(&Value::Null), "{path}");
            assert!(paths(&report["unavailable"]).contains(path), "{path}: {}", report["unavailable"]);
        }
        assert_eq!(report["error_statistics"]["total_failed_tasks"], 1);
    }

    fn without_a_creation_time_tasks_are_counted_by_their_last_update(env) {
        env.config("[database.tasks]\ncreated_at = \"\"\n");
        env.insert([
            Task::new(1).at("2026-11-20 10:00:00").with("updated_at", "2026-11-22 10:00:00"),
            Task::new(2).at("2026-11-22 10:00:00").with("updated_at", "2026-11-23 10:00:00"),
        ]);
        let report = report(&env);
        assert_eq!(report["counted_by"], "updated_at");
        assert_eq!(report["task_statistics"]["total_tasks"], 1);
    }

    fn a_custom_table_and_custom_states(env) {
        env.sql(
            "CREATE TABLE jobs (job integer, part integer, state integer, enqueued timestamp, finished timestamp);
             INSERT INTO jobs VALUES (1, 1, 3, '2026-11-22 01:00:00', '2026-11-22 02:00:00'),
                                     (1, 2, 4, '2026-11-22 03:00:00', NULL),
                                     (2, 1, 9, '2026-11-22 04:00:00', NULL)",
        );
        env.config(
            "[database.tasks]\nfrom = \"jobs\"\nkey = [\"job\", \"part\"]\nlabel = \"job\"\nstatus = \"state\"
created_at = \"enqueued\"\nupdated_at = \"finished\"\ncompleted_at = \"finished\"\nstarted_at = \"\"\nprocessing_time = \"\"
error_message = \"\"\nretry_count = \"\"\nname = \"\"\nfiles = []\nlink = \"\"
[database.tasks.states]\npending = []\nprocessing = []\ncompleted = [\"3\"]\nfailed = [\"4\"]\ncancelled = []\n",
        );
        let report = report(&env);
        assert_eq!(
            report["task_statistics"]["status_breakdown"],
            json!({"completed": 1, "failed": 1, "pending": 0, "processing": 0, "other": 1})
        );
        assert_eq!(report["task_statistics"]["raw_status_breakdown"], json!({"3": 1, "4": 1, "9": 1}));
        assert_eq!(report["error_statistics"]["failed_tasks"][0]["task_id"], "1");
    }
}

fn paths(unavailable: &Value) -> BTreeSet<&str> {
    unavailable.as_array().unwrap().iter().map(|path| path.as_str().unwrap()).collect()
}

#[test]
fn days_are_rows_of_a_table() {
    let env = TestEnv::sqlite();
    env.config("");
    env.insert(small_day());
    let table = |format| {
        let days = ["stats", "--date", DAY, "--days", "2", "--no-save", "--output", format];
        env.taskmon(days).success().stdout().to_owned()
    };
    let csv = table("csv");
    let rows: Vec<Vec<&str>> = csv.lines().map(|line| line.split(',').collect()).collect();
    assert_eq!(rows.len(), 3, "{csv}");
    let column = |name: &str| rows[0].iter().position(|heading| *heading == name).unwrap();
    let day = report(&env);
    assert_eq!(rows[2][column("date")], DAY);
    for key in ["failure_rate", "completion_rate", "average_processing_time", "average_wait_time"] {
        let figure: f64 = rows[2][column(key)].parse().unwrap();
        assert_eq!(figure, day["task_statistics"][key].as_f64().unwrap(), "{key}");
    }
    assert_eq!(rows[2][column("total")], day["task_statistics"]["total_tasks"].to_string());
    assert_eq!(rows[1][column("total")], "1", "{csv}");
    let markdown = table("markdown");
    assert_eq!(markdown.lines().count(), 4, "{markdown}");
    assert!(markdown.contains(&format!("| {DAY} | 8 |")), "{markdown}");
}

#[test]
fn a_day_in_markdown_means_nothing_that_a_row_says() {
    let env = TestEnv::sqlite();
    env.config("");
    env.insert([Task::new(1).failed("<b>a | b</b>\nsecond line")]);
    let day = ["stats", "--date", DAY, "--no-save", "--output", "markdown"];
    let printed = env.taskmon(day).success();
    printed
        .stdout_contains(r"&lt;b\>a \| b&lt;/b\> |")
        .stdout_contains(&format!("## Tasks on {DAY}"));
    assert!(!printed.stdout().contains("second line"), "{}", printed.stdout());
}

#[test]
fn other_commands_have_no_table() {
    let env = TestEnv::sqlite();
    env.config("");
    for format in ["csv", "markdown"] {
        let refused = env.taskmon(["disk", "--output", format]).exits(2);
        refused.stderr_contains("--output csv and --output markdown are for stats");
    }
}

/// Notifying may take long, and a run that is killed meanwhile keeps its report.
#[test]
fn the_report_is_saved_before_anybody_is_notified() {
    let env = TestEnv::sqlite();
    env.config("[[alerts.channels]]\ntype = 'command'\ncommand = ['sh', '-c', 'cp reports/daily/*.json seen.json']");
    let finished = env.taskmon(["stats"]).success();
    let result = finished.json();
    finished.stderr();
    assert_eq!(result["alerts"][0]["type"], "no_tasks");
    let seen = std::fs::read_to_string(env.path("seen.json")).unwrap();
    assert_eq!(serde_json::from_str::<Value>(&seen).unwrap(), result);
}
