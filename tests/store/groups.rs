//! Figures by queue and by name: of a day, and of the open tasks.

use crate::on_each_database;
use crate::store::harness::{DAY, NOW, View, at, local, request};
use crate::support::env::TestEnv;
use crate::support::rows::Task;
use chrono::TimeDelta;
use std::fmt::Debug;
use taskmon::calendar::Day;
use taskmon::store::{
    DayGroup, Grouped, Groups, ListedFirst, LiveRequest, MOST_GROUPS, OpenGroup, Percentiles,
};

/// The queue and the name are in columns that the preset does not map.
fn view(env: &TestEnv) -> View {
    View::of(env).map(|tasks| {
        tasks.queue = Some("courier_company".into());
        tasks.name = Some("remarks".into());
    })
}

fn first(queues: &[&str]) -> ListedFirst {
    let queues = queues.iter().map(|queue| (*queue).to_owned());
    ListedFirst { queues: queues.collect(), names: Vec::new() }
}

#[track_caller]
fn day(view: &View, listed_first: ListedFirst) -> Grouped<DayGroup> {
    let mut asked = request(DAY);
    asked.listed_first = listed_first;
    view.store().day_figures(&asked).unwrap().groups
}

#[track_caller]
fn open(view: &View, listed_first: ListedFirst) -> Grouped<OpenGroup> {
    let now = at(NOW);
    let hour = TimeDelta::hours(1);
    let asked = LiveRequest {
        now,
        today: Day::new(now.with_timezone(&local()).date_naive(), local()),
        stuck_before: now - hour,
        waiting_before: now - hour,
        finished_in: (now - hour, now),
        finished_made_since: now - TimeDelta::days(1),
        listed_first,
    };
    view.store().live_figures(&asked).unwrap().groups
}

fn task(n: u32, queue: &str, name: &str) -> Task {
    Task::new(n).with("courier_company", queue).with("remarks", name)
}

/// Every percentile of two values, as `percentile_cont` has them.
fn between(low: f64, high: f64) -> Option<Percentiles> {
    let share = |share: f64| low + share * (high - low);
    Some(Percentiles {
        p50: share(0.5),
        p90: share(0.9),
        p95: share(0.95),
        p99: share(0.99),
        max: high,
    })
}

/// Percentiles to the microsecond: two databases do not interpolate in the same order.
fn rounded(mut group: DayGroup) -> DayGroup {
    let round = |of: Percentiles| of.each(|seconds| (seconds * 1e6).round() / 1e6);
    group.waiting = group.waiting.map(round);
    group.processing = group.processing.map(round);
    group
}

fn all_rounded(groups: Option<Groups<DayGroup>>) -> Groups<DayGroup> {
    let groups = groups.unwrap();
    let listed = groups.listed.into_iter().map(|(label, group)| (label, rounded(group)));
    Groups { listed: listed.collect(), other: groups.other.map(rounded) }
}

fn labels<T: Debug>(groups: &Option<Groups<T>>) -> Vec<Option<&str>> {
    let listed = groups.as_ref().unwrap().listed.iter();
    listed.map(|(label, _)| label.as_deref()).collect()
}

on_each_database! {
    // ---- a day

    fn a_table_without_the_columns_has_no_groups(env) {
        env.insert([Task::new(1), Task::new(2).status("PENDING")]);
        assert_eq!(day(&View::of(&env), ListedFirst::default()), Grouped::default());
        assert_eq!(open(&View::of(&env), ListedFirst::default()), Grouped::default());
    }

    fn an_empty_day_has_groups_of_nothing(env) {
        let groups = day(&view(&env), first(&["mail"]));
        assert_eq!(groups, Grouped { queues: Some(Groups::default()), names: Some(Groups::default()) });
    }

    fn a_day_by_queue_and_by_name(env) {
        let made = |n, queue, name| task(n, queue, name).at("2026-11-22 10:00:00");
        env.insert([
            made(1, "mail", "send").with("started_at", "2026-11-22 10:00:04").with("processing_time", 10),
            made(2, "mail", "render").with("started_at", "2026-11-22 10:00:08.500000").with("processing_time", 30),
            made(3, "mail", "send").failed("x").without("started_at").without("processing_time"),
            made(4, "post", "send").status("PENDING").at("2026-11-22 09:00:00").without("started_at").without("processing_time"),
            made(5, "post", "send").status("TRACKING").at("2026-11-22 08:30:00").with("started_at", "2026-11-22 08:30:02").without("processing_time"),
            made(6, "post", "render").without("courier_company").with("started_at", "2026-11-22 10:00:16").with("processing_time", 7),
            // Of another day.
            made(7, "mail", "send").at("2026-11-21 10:00:00").status("PENDING"),
        ]);
        let groups = day(&view(&env), ListedFirst::default());
        let mail = DayGroup { tasks: 3, failed: 1, waiting: between(4.0, 8.5), processing: between(10.0, 30.0), oldest_open: None };
        let post = DayGroup {
            tasks: 2,
            waiting: between(2.0, 2.0),
            oldest_open: Some(at("2026-11-22 08:30:00")),
            ..DayGroup::default()
        };
        let bare = DayGroup { tasks: 1, waiting: between(16.0, 16.0), processing: between(7.0, 7.0), ..DayGroup::default() };
        let listed = vec![(Some("mail".into()), rounded(mail)), (Some("post".into()), rounded(post)), (None, rounded(bare))];
        assert_eq!(all_rounded(groups.queues), Groups { listed, other: None });
        let send = DayGroup {
            tasks: 4,
            failed: 1,
            waiting: between(2.0, 4.0),
            processing: between(10.0, 10.0),
            oldest_open: Some(at("2026-11-22 08:30:00")),
        };
        let render = DayGroup { tasks: 2, waiting: between(8.5, 16.0), processing: between(7.0, 30.0), ..DayGroup::default() };
        let listed = vec![(Some("send".into()), rounded(send)), (Some("render".into()), rounded(render))];
        assert_eq!(all_rounded(groups.names), Groups { listed, other: None });
    }

    fn one_of_the_two_is_enough(env) {
        env.insert([task(1, "mail", "send")]);
        let groups = day(&view(&env).map(|tasks| tasks.queue = None), ListedFirst::default());
        assert_eq!((groups.queues.is_none(), labels(&groups.names)), (true, vec![Some("send")]));
        // What is missing is no group either.
        let groups = day(&view(&env).map(|tasks| tasks.name = Some("not_there".into())), ListedFirst::default());
        assert_eq!((groups.names.is_none(), labels(&groups.queues)), (true, vec![Some("mail")]));
    }

    fn a_table_without_times_has_counts(env) {
        env.insert([task(1, "mail", "send"), task(2, "mail", "send").failed("x")]);
        let groups = day(&view(&env).map(|tasks| (tasks.processing_time, tasks.started_at) = (None, None)), ListedFirst::default());
        let mail = DayGroup { tasks: 2, failed: 1, ..DayGroup::default() };
        assert_eq!(groups.queues.unwrap().listed, [(Some("mail".into()), mail)]);
    }

    fn a_scheduled_task_is_not_open_and_a_due_one_is_since_it_was_due(env) {
        let pending = |n, due| task(n, "mail", "send").status("PENDING").at("2026-11-22 08:00:00").with("completed_at", due);
        let due = || view(&env).map(|tasks| tasks.due_at = tasks.completed_at.take());
        env.insert([pending(1, "2026-11-22 12:00:00.000001")]);
        assert_eq!(day(&due(), ListedFirst::default()).queues.unwrap().listed[0].1.oldest_open, None);
        env.insert([pending(2, "2026-11-22 11:00:00"), pending(3, "2026-11-22 10:00:00")]);
        assert_eq!(day(&due(), ListedFirst::default()).queues.unwrap().listed[0].1.oldest_open, Some(at("2026-11-22 10:00:00")));
    }

    fn labels_are_as_they_are_written_and_long_ones_are_cut(env) {
        let long = "长".repeat(1500);
        let written = ["Mail", "mail", "it's", "", " mail", "邮件", "a\\b", "100%", &long];
        env.insert((1..).zip(written).map(|(n, queue)| task(n, "mail", queue)));
        let groups = day(&view(&env).map(|tasks| tasks.queue = Some("remarks".into())), first(&["mail", "it's"]));
        let mut expected: Vec<Option<&str>> = written[..8].iter().map(|queue| Some(*queue)).collect();
        let cut = "长".repeat(1024);
        expected.push(Some(&cut));
        expected.sort();
        assert_eq!(labels(&groups.queues), expected);
    }

    fn a_label_may_be_a_number(env) {
        env.insert([task(1, "x", "send").with("user_id", 7), task(2, "x", "send").with("user_id", 12), task(3, "x", "send").with("user_id", 12)]);
        let groups = day(&view(&env).map(|tasks| tasks.queue = Some("user_id".into())), first(&["7"]));
        assert_eq!(labels(&groups.queues), [Some("12"), Some("7")]);
    }

    fn the_largest_fifty_are_listed_and_what_was_asked_for(env) {
        // A queue may be called like the rest.
        let name = |n: u32| if n == 0 { "other".to_owned() } else { format!("q{n:02}") };
        let queues = (0..55).flat_map(|n| [name(n), name(n)]).chain(["z1", "z2", "z3"].map(String::from));
        env.insert((1..).zip(queues).map(|(n, queue)| task(n, &queue, "send").status("PENDING")));
        env.insert([task(900, "", "send").without("courier_company").status("PENDING")]);
        let mut expected: Vec<String> = (0..48).map(name).collect();
        expected.sort();
        let mut expected: Vec<Option<&str>> = expected.iter().map(|queue| Some(queue.as_str())).collect();
        expected.extend([None, Some("z2")]);
        assert_eq!(expected.len(), MOST_GROUPS);
        let groups = day(&view(&env), first(&["z2", "nothing", "z2"]));
        assert_eq!(labels(&groups.queues), expected);
        assert_eq!(groups.queues.unwrap().other.unwrap().tasks, 7 * 2 + 2);
        let groups = open(&view(&env), first(&["z2", "nothing", "z2"]));
        assert_eq!(labels(&groups.queues), expected);
        assert_eq!(groups.queues.unwrap().other.unwrap().pending, 7 * 2 + 2);
        assert_eq!(groups.names.unwrap().other, None);
    }

    // ---- open tasks

    fn open_tasks_by_queue_and_by_name(env) {
        let pending = |n, queue, name, at: &str| task(n, queue, name).status("PENDING").at(at);
        env.insert([
            pending(1, "mail", "send", "2026-11-22 10:59:59"),
            pending(2, "mail", "render", "2026-11-22 11:00:00"),
            pending(3, "post", "send", "2026-11-20 08:00:00"),
            pending(4, "post", "send", NOW).without("created_at"),
            task(5, "mail", "send").status("TRACKING").at("2026-11-01 08:00:00"),
            task(6, "quiet", "send").status("GENERATING"),
            pending(7, "none", "send", "2026-11-22 11:30:00").without("courier_company"),
            // Final ones are not open.
            task(8, "mail", "send"),
            task(9, "gone", "gone").failed("x"),
        ]);
        let group = |pending, older, oldest: Option<&str>, processing| OpenGroup {
            pending,
            older,
            oldest: oldest.map(at),
            processing,
            scheduled: None,
        };
        let groups = open(&view(&env), ListedFirst::default());
        let listed = vec![
            (Some("mail".into()), group(2, 1, Some("2026-11-22 10:59:59"), 1)),
            (Some("post".into()), group(2, 1, Some("2026-11-20 08:00:00"), 0)),
            (None, group(1, 0, Some("2026-11-22 11:30:00"), 0)),
            (Some("quiet".into()), group(0, 0, None, 1)),
        ];
        assert_eq!(groups.queues, Some(Groups { listed, other: None }));
        let listed = vec![
            (Some("send".into()), group(4, 2, Some("2026-11-20 08:00:00"), 2)),
            (Some("render".into()), group(1, 0, Some("2026-11-22 11:00:00"), 0)),
        ];
        assert_eq!(groups.names, Some(Groups { listed, other: None }));
    }

    fn what_is_not_due_yet_is_scheduled_in_its_queue(env) {
        let pending = |n, queue, due| task(n, queue, "send").status("PENDING").at("2026-11-20 08:00:00").with("completed_at", due);
        env.insert([
            pending(1, "mail", "2026-11-22 12:00:00.000001"),
            pending(2, "mail", "2026-11-22 12:00:00"),
            pending(3, "mail", "2026-11-22 10:00:00"),
            pending(4, "later", "2026-11-23 12:00:00"),
            pending(5, "post", "2026-11-23 12:00:00").status("TRACKING"),
        ]);
        let groups = open(&view(&env).map(|tasks| tasks.due_at = tasks.completed_at.take()), ListedFirst::default());
        let mail = OpenGroup { pending: 2, older: 1, oldest: Some(at("2026-11-22 10:00:00")), processing: 0, scheduled: Some(1) };
        let later = OpenGroup { scheduled: Some(1), ..OpenGroup::default() };
        let post = OpenGroup { processing: 1, scheduled: Some(0), ..OpenGroup::default() };
        let expected = [(Some("mail".into()), mail), (Some("later".into()), later), (Some("post".into()), post)];
        assert_eq!(groups.queues.unwrap().listed, expected);
    }
}

#[test]
fn on_sqlite_a_label_that_is_no_text_or_no_utf8_is_a_label() {
    let env = TestEnv::sqlite();
    env.insert((1..=4).map(|n| task(n, "mail", "send")));
    env.sql("UPDATE tasks SET courier_company = CAST(x'ff6d' AS TEXT) WHERE id = 1; UPDATE tasks SET courier_company = x'6d61' WHERE id = 2; UPDATE tasks SET remarks = 7 WHERE id = 3");
    let groups = day(&view(&env), ListedFirst::default());
    assert_eq!(labels(&groups.queues), [Some("mail"), Some("ma"), Some("\u{fffd}m")]);
    assert_eq!(labels(&groups.names), [Some("send"), Some("7")]);
}
