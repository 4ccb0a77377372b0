//! The figures of a day: which rows count, and for what.

use crate::on_each_database;
use crate::store::harness::{DAY, NOW, View, at, counts, days, failed, figures, request, slowest};
use crate::support::rows::Task;
use std::collections::BTreeMap;
use taskmon::mapping::Field;
use taskmon::store::ErrorGroup::{Category, Exception, Other};
use taskmon::store::{
    BacklogCount, Cell, DayFigures, ErrorGroup, FailedTask, MOST_EXCEPTIONS, Percentiles, SlowTask,
};

/// An open task for the backlog, its queue in a column that the preset does not map.
fn open(n: u32, status: &str, queue: &str) -> Task {
    Task::new(n).status(status).with("courier_company", queue)
}

fn backlog(label: &str, queue: Option<&str>, tasks: u64) -> BacklogCount {
    BacklogCount { label: label.into(), queue: queue.map(Into::into), tasks }
}

on_each_database! {
    // ---- cells

    fn a_cell_has_the_tasks_of_one_hour_label_and_retry_count(env) {
        env.insert([
            Task::new(1).at("2026-11-22 10:00:00"),
            Task::new(2).at("2026-11-22 10:59:59.999999"),
            Task::new(3).at("2026-11-22 11:00:00"),
            Task::new(4).at("2026-11-22 10:20:00").with("retry_count", 2),
            Task::new(5).at("2026-11-22 10:30:00").without("retry_count"),
            Task::new(6).at("2026-11-22 10:40:00").status("PENDING"),
        ]);
        assert_eq!(
            counts(&View::of(&env).figures().cells),
            [
                (10, Some("COMPLETED"), None, 1),
                (10, Some("COMPLETED"), Some(0), 2),
                (10, Some("COMPLETED"), Some(2), 1),
                (10, Some("PENDING"), Some(0), 1),
                (11, Some("COMPLETED"), Some(0), 1),
            ]
        );
    }

    fn a_cell_sums_processing_times_and_waits_to_the_microsecond(env) {
        env.insert([
            Task::new(1).with("processing_time", 10.25),
            Task::new(2).with("processing_time", "0.000001"),
            Task::new(3).without("processing_time"),
            Task::new(4).without("started_at").with("processing_time", 7),
        ]);
        // A task starts three seconds and 17 microseconds times its number after its creation.
        let expected = Cell {
            hour: 1,
            label: Some("COMPLETED".into()),
            retries: Some(0),
            tasks: 4,
            timed: 3,
            micros: 17_250_001,
            waited: 3,
            wait_micros: 3 * 3_000_000 + (1 + 2 + 3) * 17,
        };
        assert_eq!(View::of(&env).figures().cells, [expected]);
    }

    fn a_start_before_the_creation_is_a_negative_wait(env) {
        env.insert([Task::new(1).at("2026-11-22 10:00:00").with("started_at", "2026-11-22 09:59:58.500000")]);
        let cells = View::of(&env).figures().cells;
        assert_eq!((cells[0].waited, cells[0].wait_micros), (1, -1_500_000));
    }

    fn a_task_waits_since_it_was_made_or_due_whichever_is_later(env) {
        let made = |n| Task::new(n).at("2026-11-22 10:00:00").with("started_at", "2026-11-22 11:00:00");
        env.insert([
            made(1).with("updated_at", "2026-11-22 10:59:58.500000"),
            made(2).with("updated_at", "2026-11-20 08:00:00"),
            made(3).without("updated_at"),
            // It was due again after it had begun: when it had been due at first, nobody knows.
            made(4).with("updated_at", "2026-11-22 11:00:00.000001"),
            made(5).with("updated_at", "2026-11-22 11:00:00"),
        ]);
        let cells = View::of(&env).map(|tasks| tasks.due_at = tasks.updated_at.take()).figures().cells;
        assert_eq!((cells[0].tasks, cells[0].waited), (5, 4));
        assert_eq!(cells[0].wait_micros, 1_500_000 + 2 * 3_600_000_000);
    }

    fn the_day_starts_with_its_first_microsecond_and_ends_before_the_next_ones(env) {
        env.insert([
            Task::new(1).at("2026-11-21 23:59:59.999999"),
            Task::new(2).at("2026-11-22 00:00:00"),
            Task::new(3).at("2026-11-22 23:59:59.999999"),
            Task::new(4).at("2026-11-23 00:00:00"),
        ]);
        let cells = View::of(&env).figures().cells;
        assert_eq!(
            counts(&cells),
            [(0, Some("COMPLETED"), Some(0), 1), (23, Some("COMPLETED"), Some(0), 1)]
        );
    }

    // ---- processing times

    fn percentiles_lie_between_the_values_as_percentile_cont_has_them(env) {
        let seconds = [40.0, 10.0, 30.0, 20.0, 90.0];
        env.insert(seconds.iter().zip(1..).map(|(seconds, n)| Task::new(n).with("processing_time", seconds)));
        // Neither the one without a time nor that of another day takes part.
        env.insert([
            Task::new(6).without("processing_time"),
            Task::new(7).at("2026-11-21 12:00:00").with("processing_time", 5000),
        ]);
        let Some(Percentiles { p50, p90, p95, p99, max }) = View::of(&env).figures().percentiles else {
            panic!("no percentiles");
        };
        for (name, found, expected) in [("p50", p50, 30.0), ("p90", p90, 70.0), ("p95", p95, 80.0), ("p99", p99, 88.0), ("max", max, 90.0)] {
            assert!((found - expected).abs() < 1e-9, "{name} is {found}, not {expected}");
        }
    }

    fn one_processing_time_is_every_percentile(env) {
        env.insert([Task::new(1).with("processing_time", 12.5)]);
        let same = Percentiles { p50: 12.5, p90: 12.5, p95: 12.5, p99: 12.5, max: 12.5 };
        assert_eq!(View::of(&env).figures().percentiles, Some(same));
    }

    fn the_slowest_come_first_and_ties_by_key(env) {
        // Written in falling order, so that the order of the rows is no help.
        env.insert([5, 4, 3, 2].map(|n| Task::new(n).with("processing_time", 8.5)));
        env.insert([
            Task::new(6).status("FAILED").with("processing_time", 30),
            Task::new(7).with("processing_time", "0.25"),
            Task::new(8).without("processing_time"),
            Task::new(9).at("2026-11-23 00:00:00").with("processing_time", 900),
        ]);
        let figures = View::of(&env).figures();
        assert_eq!(slowest(&figures), ["task_6", "task_2", "task_3", "task_4", "task_5"]);
        let first = SlowTask { task: Some("task_6".into()), processing_time: 30.0, label: Some("FAILED".into()) };
        assert_eq!(figures.slowest[0], first);
    }

    fn the_slowest_are_found_among_thousands_that_are_all_as_slow(env) {
        env.insert((1..=2100).rev().map(|n| Task::new(n).with("processing_time", 8.5)));
        assert_eq!(slowest(&View::of(&env).figures()), ["task_1", "task_2", "task_3", "task_4", "task_5"]);
        env.insert([2101, 2102].map(|n| Task::new(n).with("processing_time", 9)));
        assert_eq!(slowest(&View::of(&env).figures()), ["task_2101", "task_2102", "task_1", "task_2", "task_3"]);
    }

    fn the_slowest_are_found_by_keys_that_are_null_or_those_of_others(env) {
        env.insert([Task::new(1).with("processing_time", 3), Task::new(2).with("processing_time", 4)]);
        env.insert([Task::new(3).with("processing_time", 900).without("created_at")]);
        for key in ["NULL", "user_id * 0"] {
            let figures = View::of(&env).map(|tasks| tasks.key = vec![key.into()]).figures();
            assert_eq!(slowest(&figures), ["task_2", "task_1"], "{key}");
        }
    }

    // ---- failures

    fn a_message_counts_for_the_first_category_that_has_a_text_in_it(env) {
        let messages = ["timeout in parser", "parser: timeout", "the parser broke", "disk full", "disk 100% full", "disk 1000 full", "TIMEOUT"];
        env.insert(messages.iter().zip(1..).map(|(message, n)| Task::new(n).failed(message)));
        let mut asked = request(DAY);
        asked.categories = vec![
            vec!["nothing has this".into()],
            vec!["timeout".into(), "too late".into()],
            vec!["parser".into()],
            // Not a pattern: the percent sign is literal.
            vec!["100% full".into(), "di_k".into()],
        ];
        let found = figures(View::of(&env).store().as_mut(), &asked).errors;
        assert_eq!(found, BTreeMap::from([(Category(1), 2), (Category(2), 1), (Category(3), 1), (Other, 3)]));
    }

    fn only_failed_tasks_of_the_day_that_have_a_message_are_sorted(env) {
        env.insert([
            Task::new(1).failed("parser"),
            Task::new(2).failed(""),
            Task::new(3).failed("").without("error_message"),
            Task::new(4).with("error_message", "parser"),
            Task::new(5).at("2026-11-21 08:00:00").failed("parser"),
            Task::new(6).failed(" "),
        ]);
        let mut asked = request(DAY);
        asked.categories = vec![vec!["parser".into()]];
        let found = figures(View::of(&env).store().as_mut(), &asked).errors;
        assert_eq!(found, BTreeMap::from([(Category(0), 1), (Other, 1)]));
    }

    fn without_categories_failed_tasks_are_sorted_by_the_exception_that_they_name(env) {
        let named = |name: &str| Exception(name.into());
        let messages = [
            ("ValueError: no: such", named("ValueError")),
            ("ValueError", named("ValueError")),
            ("requests.exceptions.Timeout: 30 s", named("requests.exceptions.Timeout")),
            ("Net::OpenTimeout: execution expired", named("Net::OpenTimeout")),
            ("App\\Gone: 410", named("App\\Gone")),
            ("dial tcp 10.0.0.1:443: refused", Other),
            ("404: not found", Other),
            ("ValueError\n", Other),
            ("库存不足: 订单 7", named("库存不足")),
            ("订单 7: 库存不足", Other),
        ];
        env.insert(messages.iter().zip(1..).map(|((message, _), n)| Task::new(n).failed(message)));
        env.insert([
            Task::new(20).failed("").without("error_message"),
            Task::new(21).failed(""),
            Task::new(22).with("error_message", "KeyError: x"),
            Task::new(23).at("2026-11-21 08:00:00").failed("KeyError: x"),
        ]);
        let figures = View::of(&env).figures();
        assert_eq!(
            figures.errors,
            BTreeMap::from([
                (named("ValueError"), 2),
                (named("requests.exceptions.Timeout"), 1),
                (named("Net::OpenTimeout"), 1),
                (named("App\\Gone"), 1),
                (named("库存不足"), 1),
                (Other, 4),
            ])
        );
        let mut listed: Vec<(&str, &ErrorGroup)> = Vec::new();
        for task in &figures.failed {
            match &task.group {
                Some(group) => listed.push((task.message.as_deref().unwrap(), group)),
                None => assert!(task.message.as_deref().unwrap_or_default().is_empty()),
            }
        }
        listed.sort_by_key(|(message, _)| messages.iter().position(|(text, _)| text == message));
        assert_eq!(listed, messages.iter().map(|(text, group)| (*text, group)).collect::<Vec<_>>());
    }

    fn the_most_frequent_exceptions_are_counted_each_and_the_rest_together(env) {
        let many = MOST_EXCEPTIONS as u32 + 10;
        env.insert((1..=many).map(|n| Task::new(n).failed(&format!("E{n:03}: x"))));
        env.insert((1..=3).map(|n| Task::new(1000 + n).failed("E060: x")));
        env.insert([Task::new(2000).failed("no exception")]);
        let errors = View::of(&env).figures().errors;
        assert_eq!(errors.len(), MOST_EXCEPTIONS + 1);
        assert_eq!(errors[&Exception("E060".into())], 4);
        assert_eq!(errors[&Exception("E049".into())], 1);
        assert_eq!(errors[&Other], 11);
    }

    fn failed_tasks_are_listed_newest_first_and_ties_by_key(env) {
        env.insert([
            Task::new(5).at("2026-11-22 09:00:00").failed("e5"),
            Task::new(4).at("2026-11-22 09:00:00").failed("e4"),
            Task::new(3).at("2026-11-22 09:00:00.000001").failed("e3"),
            Task::new(2).at("2026-11-22 08:00:00").failed("e2").without("error_message"),
            Task::new(1).at("2026-11-22 23:00:00"),
            Task::new(6).at("2026-11-23 09:00:00").failed("e6"),
        ]);
        let figures = View::of(&env).figures();
        assert_eq!(failed(&figures), ["task_3", "task_4", "task_5", "task_2"]);
        assert_eq!(figures.failed[3].message, None);
    }

    fn a_failed_task_is_reported_in_full(env) {
        let message = "二维码识别失败: 'x'\n\tat line 7\\8 ".to_owned() + &"长".repeat(5000);
        env.insert([Task::new(1).at("2026-11-22 10:15:00.000250").failed(&message).with("retry_count", 4)]);
        let expected = FailedTask {
            task: Some("task_1".into()),
            message_length: None,
            message: Some(message),
            group: Some(Exception("二维码识别失败".into())),
            retries: Some(4),
            created_at: at("2026-11-22 10:15:00.000250"),
        };
        assert_eq!(View::of(&env).figures().failed, [expected]);
    }

    fn as_many_are_named_as_are_asked_for(env) {
        env.insert((1..=9).map(|n| Task::new(n).failed("x").with("processing_time", n)));
        let mut store = View::of(&env).store();
        let mut asked = request(DAY);
        (asked.slowest, asked.failed_details) = (2, 3);
        let few = figures(store.as_mut(), &asked);
        assert_eq!(slowest(&few), ["task_9", "task_8"]);
        assert_eq!(failed(&few), ["task_9", "task_8", "task_7"]);
        (asked.slowest, asked.failed_details) = (0, 0);
        let none = figures(store.as_mut(), &asked);
        assert_eq!((none.slowest.len(), none.failed.len()), (0, 0));
        assert_eq!(none.cells, few.cells, "the counts do not depend on it");
    }

    // ---- the days before, and open tasks

    fn the_trend_counts_each_day_by_label_oldest_first(env) {
        env.insert([
            Task::new(1).at("2026-11-15 23:59:59.999999"),
            Task::new(2).at("2026-11-16 00:00:00"),
            Task::new(3).at("2026-11-20 12:00:00").failed("x"),
            Task::new(4).at("2026-11-20 13:00:00").failed("y"),
            Task::new(5).at("2026-11-20 14:00:00").status("RETURNED"),
            Task::new(6).at("2026-11-22 23:59:59.999999").status("PENDING"),
            Task::new(7).at("2026-11-22 12:00:00").without("status"),
            Task::new(8).at("2026-11-23 00:00:00"),
        ]);
        assert_eq!(
            days(&View::of(&env).figures().trend),
            [
                (0, Some("COMPLETED"), 1),
                (4, Some("FAILED"), 2),
                (4, Some("RETURNED"), 1),
                (6, None, 1),
                (6, Some("PENDING"), 1),
            ]
        );
    }

    fn a_row_without_a_time_is_undated_and_in_no_day(env) {
        env.insert([
            Task::new(1).without("created_at"),
            Task::new(2).without("created_at").failed("x").with("retry_count", 3),
            Task::new(3),
        ]);
        let figures = View::of(&env).figures();
        assert_eq!(figures.undated, 2);
        assert_eq!(counts(&figures.cells), [(1, Some("COMPLETED"), Some(0), 1)]);
        assert_eq!(days(&figures.trend), [(6, Some("COMPLETED"), 1)]);
        assert_eq!(figures.failed, []);
    }

    fn the_backlog_counts_open_tasks_of_any_day_by_label_and_queue(env) {
        env.insert([
            open(1, "PENDING", "file"),
            open(2, "PENDING", "file").at("2019-01-01 00:00:00"),
            open(3, "PENDING", "receipt").without("created_at"),
            open(4, "PENDING", "").without("courier_company"),
            open(5, "RECOGNIZING", "file").at("2031-01-01 00:00:00"),
            open(6, "GENERATING", "file"),
            open(7, "COMPLETED", "file"),
            open(8, "FAILED", "file"),
            open(9, "RETURNED", "file"),
        ]);
        let view = View::of(&env).map(|tasks| tasks.queue = Some("courier_company".into()));
        assert_eq!(
            view.figures().backlog,
            [
                backlog("GENERATING", Some("file"), 1),
                backlog("PENDING", None, 1),
                backlog("PENDING", Some("file"), 2),
                backlog("PENDING", Some("receipt"), 1),
                backlog("RECOGNIZING", Some("file"), 1),
            ]
        );
    }

    fn what_is_not_due_yet_is_scheduled_and_not_in_the_backlog(env) {
        let due = |n, status: &str, due| open(n, status, "file").at("2026-11-20 08:00:00").with("completed_at", due);
        env.insert([
            due(1, "PENDING", NOW),
            due(2, "PENDING", "2026-11-22 12:00:00.000001"),
            due(3, "PENDING", "2031-01-01 00:00:00"),
            due(4, "GENERATING", "2031-01-01 00:00:00"),
            due(5, "COMPLETED", "2031-01-01 00:00:00"),
            open(6, "PENDING", "receipt").without("completed_at"),
        ]);
        let view = || View::of(&env).map(|tasks| tasks.queue = Some("courier_company".into()));
        let figures = view().map(|tasks| tasks.due_at = tasks.completed_at.take()).figures();
        assert_eq!(
            figures.backlog,
            [
                backlog("GENERATING", Some("file"), 1),
                backlog("PENDING", Some("file"), 1),
                backlog("PENDING", Some("receipt"), 1),
            ]
        );
        assert_eq!(figures.scheduled, Some(2));
        assert_eq!(view().figures().scheduled, None);
    }

    // ---- all of it

    fn an_empty_table_has_no_figures(env) {
        let nothing = DayFigures { counted_by: Some(Field::CreatedAt), ..DayFigures::default() };
        assert_eq!(View::of(&env).figures(), nothing);
    }

    fn one_store_answers_for_several_days_and_sees_what_was_written_between(env) {
        env.insert([Task::new(1), Task::new(2).at("2026-11-23 05:00:00").failed("x")]);
        let mut store = View::of(&env).store();
        let mut total = |day: &str| -> u64 {
            let figures = figures(store.as_mut(), &request(day));
            figures.cells.iter().map(|cell| cell.tasks).sum()
        };
        assert_eq!((total("2026-11-22"), total("2026-11-23"), total("2026-11-24")), (1, 1, 0));
        env.insert([Task::new(3).at("2026-11-22 20:00:00")]);
        assert_eq!((total("2026-11-22"), total("2026-11-23")), (2, 1));
    }

    fn the_figures_do_not_depend_on_the_indexes(env) {
        env.insert((1..=40).map(|n| {
            let hour = n % 24;
            let day = 17 + n % 7;
            let task = Task::new(n).at(&format!("2026-11-{day} {hour:02}:30:00"));
            match n % 4 {
                0 => task.failed("任务超时"),
                1 => task.status("PENDING").with("retry_count", n % 3),
                2 => task.without("status"),
                _ => task.without("processing_time"),
            }
        }));
        let indexed = View::of(&env).figures();
        assert!(indexed.trend.len() > 7, "{:?}", indexed.trend);
        env.sql("DROP INDEX idx_tasks_status_created; DROP INDEX idx_tasks_created_at");
        assert_eq!(View::of(&env).figures(), indexed);
    }
}
