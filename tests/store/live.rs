//! The live figures: what is open, how old it is, what finished lately, and today so far.

use crate::on_each_database;
use crate::store::harness::{NOW, View, at, local};
use crate::support::env::TestEnv;
use crate::support::rows::Task;
use crate::support::zone;
use chrono::{DateTime, TimeDelta, Utc};
use taskmon::calendar::Day;
use taskmon::mapping::Field;
use taskmon::outcome::Kind;
use taskmon::store::{DayCount, ListedFirst, LiveFigures, LiveRequest, OpenTask, OpenTasks};
use taskmon::timezone::Tz;

/// Twelve o'clock on the day of the rows. What waits or works for more than an hour is too old, what finished in the last hour counts
/// if it was made in the last day.
const NOON: &str = NOW;

fn request(now: DateTime<Utc>, zone: Tz) -> LiveRequest {
    let hour = TimeDelta::hours(1);
    LiveRequest {
        now,
        today: Day::new(now.with_timezone(&zone).date_naive(), zone),
        stuck_before: now - hour,
        waiting_before: now - hour,
        finished_in: (now - hour, now),
        finished_made_since: now - TimeDelta::days(1),
        listed_first: ListedFirst::default(),
    }
}

#[track_caller]
fn live(view: &View) -> LiveFigures {
    live_at(view, at(NOON), local())
}

#[track_caller]
fn live_at(view: &View, now: DateTime<Utc>, zone: Tz) -> LiveFigures {
    let mut figures = view.store().live_figures(&request(now, zone)).unwrap();
    figures.today.sort_by_key(|count| count.label.clone());
    figures
}

/// The table knows in its `completed_at` when a task is due.
fn due(env: &TestEnv) -> View {
    View::of(env).map(|tasks| {
        tasks.due_at = tasks.completed_at.take();
        tasks.updated_at = None;
    })
}

fn pending_due(n: u32, created: &str, due: &str) -> Task {
    pending(n, created).with("completed_at", due)
}

fn open_tasks(tasks: u64, older: u64, oldest: Option<(&str, &str)>) -> OpenTasks {
    let oldest = oldest.map(|(task, since)| OpenTask { task: Some(task.into()), since: at(since) });
    OpenTasks { tasks, older, oldest }
}

fn pending(n: u32, created: &str) -> Task {
    Task::new(n).at(created).status("PENDING")
}

/// A processing task; what it was made at lies far from what it is judged by.
fn processing(n: u32, started: &str) -> Task {
    let task = Task::new(n).at("2026-11-22 11:59:59").status("TRACKING");
    task.with("started_at", started)
}

fn completed(n: u32, at: &str) -> Task {
    Task::new(n).at("2026-11-22 02:00:00").with("completed_at", at)
}

fn failed(n: u32, at: &str) -> Task {
    let task = Task::new(n).at("2026-11-22 02:00:00").failed("x");
    task.with("updated_at", at)
}

/// SQLite keeps these as they are written; PostgreSQL's column would refuse or convert them.
fn sqlite(times: &[(u32, &str, &str)]) -> TestEnv {
    let env = TestEnv::sqlite();
    env.insert(times.iter().map(|(n, status, time)| {
        let task = Task::new(*n).status(status).with("created_at", time);
        task.without("started_at").without("updated_at").without("completed_at")
    }));
    env
}

on_each_database! {
    fn nothing_is_open_in_an_empty_table(env) {
        let expected = LiveFigures { finished: Some(0), ..LiveFigures::default() };
        assert_eq!(live(&View::of(&env)), expected);
    }

    // ---- pending

    fn a_pending_task_is_too_old_a_microsecond_before_the_limit_and_not_at_it(env) {
        env.insert([pending(1, "2026-11-22 11:00:00"), pending(2, "2026-11-22 11:00:00.000001")]);
        assert_eq!(live(&View::of(&env)).pending, open_tasks(2, 0, Some(("task_1", "2026-11-22 11:00:00"))));
        env.insert([pending(3, "2026-11-22 10:59:59.999999"), pending(4, "2026-11-22 10:59:59")]);
        assert_eq!(live(&View::of(&env)).pending, open_tasks(4, 2, Some(("task_4", "2026-11-22 10:59:59"))));
    }

    fn the_oldest_of_equals_is_the_first_by_key_and_final_tasks_are_not_among_them(env) {
        env.insert([
            pending(9, "2026-11-20 08:00:00"),
            pending(3, "2026-11-20 08:00:00"),
            Task::new(1).at("2026-11-20 08:00:00"),
            Task::new(2).at("2026-11-01 08:00:00").failed("x"),
        ]);
        assert_eq!(live(&View::of(&env)).pending, open_tasks(2, 2, Some(("task_3", "2026-11-20 08:00:00"))));
    }

    fn a_pending_task_without_a_time_is_counted_and_never_too_old(env) {
        env.insert([pending(1, NOON).without("created_at"), pending(2, "2026-11-22 11:30:00")]);
        assert_eq!(live(&View::of(&env)).pending, open_tasks(2, 0, Some(("task_2", "2026-11-22 11:30:00"))));
    }

    fn without_a_creation_time_a_pending_task_waits_since_its_last_update(env) {
        env.insert([pending(1, "2026-11-22 11:30:00").with("updated_at", "2026-11-22 10:00:00")]);
        let figures = live(&View::of(&env).map(|tasks| tasks.created_at = None));
        assert_eq!(figures.pending, open_tasks(1, 1, Some(("task_1", "2026-11-22 10:00:00"))));
    }

    fn labels_of_open_tasks_match_without_regard_to_case(env) {
        env.insert([pending(1, NOON), pending(2, NOON).status("RETURNED"), processing(3, NOON), pending(4, NOON).status("DELIVERED")]);
        let figures = live(&View::of(&env).map(|tasks| {
            tasks.states.cancelled = vec![];
            tasks.states.pending = vec!["Pending".into(), "returned".into()];
            tasks.states.processing = vec!["trackinG".into()];
        }));
        assert_eq!((figures.pending.tasks, figures.processing.tasks), (2, 1));
    }

    fn a_column_of_text_says_the_status_in_any_case(env) {
        env.sql(
            "CREATE TABLE jobs (id integer, state text, made timestamp);
             CREATE INDEX jobs_state ON jobs (state, made);
             INSERT INTO jobs VALUES (1, 'Queued', '2026-11-22 10:00:00'), (2, 'QUEUED', '2026-11-22 11:30:00'),
                 (3, 'queued', '2026-11-22 10:30:00'), (4, 'queue', '2026-11-22 09:00:00'), (5, NULL, '2026-11-22 09:00:00'),
                 (6, 'Running', '2026-11-22 09:30:00'), (7, '等待', '2026-11-22 09:15:00')",
        );
        let figures = live(&View::of(&env).map(|tasks| {
            tasks.from = "jobs".into();
            (tasks.key, tasks.label, tasks.status) = (vec!["id".into()], "'job ' || id".into(), "state".into());
            (tasks.created_at, tasks.started_at, tasks.updated_at) = (Some("made".into()), None, None);
            (tasks.completed_at, tasks.processing_time, tasks.error_message) = Default::default();
            tasks.retry_count = None;
            tasks.states = Default::default();
            tasks.states.pending = vec!["queued".into(), "等待".into()];
            tasks.states.processing = vec!["RUNNING".into()];
        }));
        assert_eq!(figures.pending, open_tasks(4, 3, Some(("job 7", "2026-11-22 09:15:00"))));
        assert_eq!(figures.processing, open_tasks(1, 1, Some(("job 6", "2026-11-22 09:30:00"))));
        assert_eq!(figures.finished, None);
    }

    fn labels_that_sql_wants_quoted_are_kept_apart(env) {
        env.sql(
            "CREATE TABLE jobs (id integer, state text, made timestamp);
             CREATE INDEX jobs_state ON jobs (state)",
        );
        for (n, state) in (1..).zip(["it's", "a\\b", "A\\B", "", "it''s", "\u{fffd}"]) {
            let state = state.replace('\'', "''");
            env.sql(&format!("INSERT INTO jobs VALUES ({n}, '{state}', '2026-11-22 10:00:00')"));
        }
        let figures = live(&View::of(&env).map(|tasks| {
            (tasks.from, tasks.key) = ("jobs".into(), vec!["id".into()]);
            (tasks.label, tasks.status) = ("'job ' || id".into(), "state".into());
            (tasks.created_at, tasks.started_at, tasks.updated_at) = (Some("made".into()), None, None);
            (tasks.completed_at, tasks.processing_time, tasks.error_message) = Default::default();
            tasks.retry_count = None;
            tasks.states = Default::default();
            tasks.states.pending = vec!["it's".into()];
            tasks.states.processing = vec!["a\\B".into()];
        }));
        assert_eq!((figures.pending.tasks, figures.processing.tasks), (1, 2));
    }

    fn a_pending_task_is_scheduled_until_it_is_due_and_does_not_wait(env) {
        env.insert((1..=40).map(|n| pending_due(n, "2026-11-20 08:00:00", "2026-11-29 08:00:00")));
        env.insert([pending_due(41, "2026-11-20 08:00:00", "2026-11-22 12:00:00.000001")]);
        let figures = live(&due(&env));
        assert_eq!((figures.pending, figures.scheduled), (open_tasks(0, 0, None), Some(41)));
        // From then on it waits, however long ago it was made.
        env.insert([pending_due(42, "2026-11-20 08:00:00", NOON)]);
        let figures = live(&due(&env));
        assert_eq!((figures.pending, figures.scheduled), (open_tasks(1, 0, Some(("task_42", NOON))), Some(41)));
        // Tasks in other states are not scheduled, whatever was said of them.
        env.insert([
            Task::new(43).with("completed_at", "2026-11-29 08:00:00"),
            processing(44, NOON).with("completed_at", "2026-11-29 08:00:00"),
        ]);
        let figures = live(&due(&env));
        assert_eq!((figures.pending.tasks, figures.processing.tasks, figures.scheduled), (1, 1, Some(41)));
        assert_eq!(live(&View::of(&env)).scheduled, None);
    }

    fn a_pending_task_waits_since_it_was_made_or_due_whichever_is_later(env) {
        env.insert([pending_due(1, "2026-11-20 08:00:00", "2026-11-22 11:00:00")]);
        assert_eq!(live(&due(&env)).pending, open_tasks(1, 0, Some(("task_1", "2026-11-22 11:00:00"))));
        env.insert([pending_due(2, "2026-11-22 10:59:59.999999", "2026-11-01 08:00:00")]);
        assert_eq!(live(&due(&env)).pending, open_tasks(2, 1, Some(("task_2", "2026-11-22 10:59:59.999999"))));
        env.insert([pending_due(3, "2026-11-20 08:00:00", "2026-11-22 10:30:00")]);
        assert_eq!(live(&due(&env)).pending, open_tasks(3, 2, Some(("task_3", "2026-11-22 10:30:00"))));
        env.insert([pending(4, "2026-11-22 10:00:00").without("completed_at")]);
        assert_eq!(live(&due(&env)).pending, open_tasks(4, 3, Some(("task_4", "2026-11-22 10:00:00"))));
        env.insert([pending_due(5, NOON, "2026-11-22 09:00:00").without("created_at")]);
        assert_eq!(live(&due(&env)).pending, open_tasks(5, 4, Some(("task_5", "2026-11-22 09:00:00"))));
        env.insert([pending(6, NOON).without("created_at").without("completed_at")]);
        assert_eq!(live(&due(&env)).pending, open_tasks(6, 4, Some(("task_5", "2026-11-22 09:00:00"))));
        // A zero that means "at once".
        env.insert([pending_due(7, "2026-11-22 08:00:00", "1970-01-01 00:00:00")]);
        assert_eq!(live(&due(&env)).pending, open_tasks(7, 5, Some(("task_7", "2026-11-22 08:00:00"))));
    }

    fn without_its_column_of_due_times_a_table_is_read_as_if_there_were_none(env) {
        env.insert([pending(1, "2026-11-22 10:00:00")]);
        let view = View::of(&env).map(|tasks| tasks.due_at = Some("no_such_time".into()));
        let figures = live(&view);
        assert_eq!(figures.pending, open_tasks(1, 1, Some(("task_1", "2026-11-22 10:00:00"))));
        assert_eq!((figures.scheduled, view.store().missing()), (None, &[Field::DueAt][..]));
    }

    fn a_naive_due_time_is_of_its_own_zone(env) {
        // 12:00 in Shanghai is 04:00 UTC.
        env.insert([pending_due(1, "2026-11-22 01:00:00", "2026-11-22 02:59:59"), pending_due(2, "2026-11-22 01:00:00", "2026-11-22 04:00:01")]);
        let figures = live(&due(&env).naive_zone(Tz::UTC));
        assert_eq!((figures.pending, figures.scheduled), (open_tasks(1, 1, Some(("task_1", "2026-11-22 10:59:59"))), Some(1)));
    }

    // ---- processing

    fn a_processing_task_is_stuck_a_microsecond_before_the_limit_and_not_at_it(env) {
        env.insert([processing(1, "2026-11-22 11:00:00"), processing(2, "2026-11-22 11:00:01")]);
        assert_eq!(live(&View::of(&env)).processing, open_tasks(2, 0, Some(("task_1", "2026-11-22 11:00:00"))));
        env.insert([processing(3, "2026-11-22 10:59:59.999999"), processing(4, "2026-11-22 10:59:59")]);
        assert_eq!(live(&View::of(&env)).processing, open_tasks(4, 2, Some(("task_4", "2026-11-22 10:59:59"))));
    }

    fn without_a_start_the_last_update_says_since_when_and_without_both_the_creation(env) {
        let task = |n| Task::new(n).at("2026-11-22 08:00:00").status("GENERATING").with("updated_at", "2026-11-22 09:00:00");
        env.insert([task(1).with("started_at", "2026-11-22 11:30:00")]);
        assert_eq!(live(&View::of(&env)).processing, open_tasks(1, 0, Some(("task_1", "2026-11-22 11:30:00"))));
        env.insert([task(2).without("started_at")]);
        assert_eq!(live(&View::of(&env)).processing, open_tasks(2, 1, Some(("task_2", "2026-11-22 09:00:00"))));
        env.insert([task(3).without("started_at").without("updated_at")]);
        assert_eq!(live(&View::of(&env)).processing, open_tasks(3, 2, Some(("task_3", "2026-11-22 08:00:00"))));
        env.insert([task(4).without("started_at").without("updated_at").without("created_at")]);
        assert_eq!(live(&View::of(&env)).processing, open_tasks(4, 2, Some(("task_3", "2026-11-22 08:00:00"))));
    }

    fn without_a_column_of_starts_the_last_update_counts(env) {
        env.sql("ALTER TABLE tasks DROP COLUMN started_at");
        let mut task = processing(1, NOON).with("updated_at", "2026-11-22 10:00:00");
        task.columns.remove("started_at");
        env.insert([task]);
        let figures = live(&View::of(&env));
        assert_eq!(figures.processing, open_tasks(1, 1, Some(("task_1", "2026-11-22 10:00:00"))));
        assert_eq!(View::of(&env).store().missing(), [Field::StartedAt]);
    }

    // ---- finished

    fn tasks_that_finished_in_the_last_hour_count_to_the_microsecond(env) {
        let outside = ["2026-11-22 10:59:59.999999", "2026-11-22 12:00:00.000001", "2026-11-22 20:00:00"];
        let inside = ["2026-11-22 11:00:00", "2026-11-22 11:30:00", NOON];
        env.insert((1..).zip(outside).map(|(n, time)| completed(n, time)));
        env.insert((11..).zip(outside).map(|(n, time)| failed(n, time)));
        assert_eq!(live(&View::of(&env)).finished, Some(0));
        env.insert((21..).zip(inside).map(|(n, time)| completed(n, time)));
        assert_eq!(live(&View::of(&env)).finished, Some(3));
        env.insert((31..).zip(inside).map(|(n, time)| failed(n, time)));
        assert_eq!(live(&View::of(&env)).finished, Some(6));
    }

    fn a_completion_counts_before_an_update_and_for_failures_the_other_way_round(env) {
        let (then, earlier) = ("2026-11-22 11:30:00", "2026-11-22 09:00:00");
        env.insert([
            completed(1, then).with("updated_at", earlier),
            completed(2, earlier).with("updated_at", then),
            failed(3, then).with("completed_at", earlier),
            failed(4, earlier).with("completed_at", then),
            completed(5, then).without("completed_at").with("updated_at", then),
            failed(6, then).without("updated_at").with("completed_at", then),
            Task::new(7).at(then).without("completed_at").without("updated_at"),
            Task::new(8).at(then).status("RETURNED").with("completed_at", then).with("updated_at", then),
        ]);
        assert_eq!(live(&View::of(&env)).finished, Some(5));
        let without = |column: &'static str| live(&View::of(&env).map(|tasks| match column {
            "completed_at" => tasks.completed_at = None,
            _ => tasks.updated_at = None,
        })).finished;
        assert_eq!((without("completed_at"), without("updated_at")), (Some(4), Some(4)));
        let neither = View::of(&env).map(|tasks| (tasks.completed_at, tasks.updated_at) = Default::default());
        assert_eq!(live(&neither).finished, None);
    }

    fn tasks_that_were_created_more_than_a_day_before_do_not_count_as_finished(env) {
        let made = |n, time: &str| Task::new(n).at(time).with("completed_at", "2026-11-22 11:30:00");
        env.insert([made(1, "2026-11-21 11:59:59.999999"), made(2, "2026-11-21 12:00:00"), made(3, "2026-11-20 11:00:00")]);
        assert_eq!(live(&View::of(&env)).finished, Some(1));
    }

    // ---- today

    fn today_is_the_day_of_the_zone_by_label(env) {
        env.insert([
            Task::new(1).at("2026-11-21 23:59:59.999999").failed("x"),
            Task::new(2).at("2026-11-22 00:00:00").failed("x"),
            Task::new(3).at("2026-11-22 11:59:59"),
            Task::new(4).at("2026-11-22 03:00:00"),
            Task::new(5).at("2026-11-23 00:00:00"),
            Task::new(6).at("2026-11-22 03:00:00").without("status"),
        ]);
        let counts: Vec<(Option<String>, u64)> = live(&View::of(&env)).today.into_iter().map(|DayCount { day, label, tasks }| {
            assert_eq!(day, 0);
            (label, tasks)
        }).collect();
        assert_eq!(counts, [(None, 1), (Some("COMPLETED".into()), 2), (Some("FAILED".into()), 1)]);
    }

    // ---- zones

    fn a_wall_clock_that_occurs_twice_means_its_first_time(env) {
        // New York, 2026-11-01: from 05:00 to 06:00 UTC the clocks show one o'clock, and from 06:00 to 07:00 again.
        let instant = |text: &str| text.parse::<DateTime<Utc>>().unwrap();
        env.insert([pending(1, "2026-11-01 01:30:00"), processing(2, "2026-11-01 01:30:00")]);
        for (now, older) in [("2026-11-01T06:30:00Z", 0), ("2026-11-01T06:30:00.000001Z", 1), ("2026-11-01T07:00:00Z", 1)] {
            let view = View::of(&env).naive_zone(zone("America/New_York"));
            let figures = live_at(&view, instant(now), local());
            for open in [&figures.pending, &figures.processing] {
                assert_eq!(open.older, older, "{now}");
                assert_eq!(open.oldest.as_ref().unwrap().since, instant("2026-11-01T05:30:00Z"));
            }
        }
    }

    fn a_naive_time_is_of_its_own_zone_and_not_of_the_days(env) {
        env.insert([pending(1, "2026-11-22 02:59:59"), processing(2, "2026-11-22 03:00:00"), completed(3, "2026-11-22 03:30:00")]);
        // 12:00 in Shanghai is 04:00 UTC.
        let figures = live(&View::of(&env).naive_zone(Tz::UTC));
        assert_eq!(figures.pending, open_tasks(1, 1, Some(("task_1", "2026-11-22 10:59:59"))));
        assert_eq!(figures.processing, open_tasks(1, 0, Some(("task_2", "2026-11-22 11:00:00"))));
        assert_eq!(figures.finished, Some(1));
    }
}

#[test]
fn on_postgres_a_due_time_of_any_type_is_compared_with_a_creation_of_another() {
    let env = TestEnv::postgres();
    env.insert([
        pending_due(1, "2026-11-20 08:00:00", "2026-11-22 10:00:00"),
        pending_due(2, "2026-11-22 10:30:00", "2026-11-22 09:00:00"),
        pending_due(3, "2026-11-20 08:00:00", "2026-11-22 12:00:01"),
    ]);
    let expected = (open_tasks(2, 2, Some(("task_1", "2026-11-22 10:00:00"))), Some(1));
    let to_instant = |column: &str| {
        env.sql(&format!(
            "ALTER TABLE tasks ALTER {column} TYPE timestamptz USING {column} AT TIME ZONE 'Asia/Shanghai'"
        ));
    };
    for column in ["completed_at", "created_at"] {
        to_instant(column);
        let figures = live(&due(&env));
        assert_eq!((figures.pending, figures.scheduled), expected, "{column}");
    }
    env.sql("UPDATE tasks SET completed_at = 'infinity' WHERE id = 1");
    env.sql("UPDATE tasks SET completed_at = '-infinity' WHERE id = 2");
    let figures = live(&due(&env));
    let expected = open_tasks(1, 1, Some(("task_2", "2026-11-22 10:30:00")));
    assert_eq!((figures.pending, figures.scheduled), (expected, Some(2)));
    // A date is due at its midnight.
    env.sql("ALTER TABLE tasks ALTER completed_at TYPE date; UPDATE tasks SET completed_at = '2026-11-23'");
    assert_eq!(live(&due(&env)).scheduled, Some(3));
    env.sql("UPDATE tasks SET completed_at = '2026-11-22'");
    let figures = live(&due(&env));
    let expected = open_tasks(3, 3, Some(("task_1", "2026-11-22 00:00:00")));
    assert_eq!((figures.pending, figures.scheduled), (expected, Some(0)));
}

#[test]
fn a_due_time_in_any_form_of_sqlite_is_read_and_one_that_is_none_is_reported() {
    let env = TestEnv::sqlite();
    for (n, due) in (1..).zip([
        "2026-11-22T12:00:01",
        "2026-11-22 04:00:01Z",
        "2026-11-22T13:00:00+09:00",
        "2026-11-22",
        "1795320000",
        "1795320001",
        "1795319999000",
    ]) {
        env.insert([pending_due(n, "2026-11-20 08:00:00", due)]);
    }
    // 1795320000 is noon in Shanghai.
    let figures = live(&due(&env));
    assert_eq!(figures.scheduled, Some(3), "{figures:?}");
    let expected = open_tasks(4, 1, Some(("task_4", "2026-11-22 00:00:00")));
    assert_eq!((figures.pending, figures.unreadable), (expected, None));
    env.insert([pending_due(8, "2026-11-20 08:00:00", "morgen")]);
    let figures = live(&due(&env));
    assert_eq!((figures.pending.tasks, figures.pending.older), (5, 1));
    assert_eq!(figures.unreadable, Some((1, "morgen".into())));
}

#[test]
fn a_due_time_of_another_type_is_refused_by_postgres() {
    let env = TestEnv::postgres();
    let view = View::of(&env).map(|tasks| tasks.due_at = Some("user_id".into()));
    view.refused(Kind::MappingMismatch, &["database.tasks.due_at", "user_id", "integer"]);
}

#[test]
fn on_postgres_instants_and_wall_clocks_are_compared_with_each_other() {
    let env = TestEnv::postgres();
    env.insert([
        processing(1, "2026-11-22 10:59:59.999999"),
        processing(2, "2026-11-22 11:00:00")
            .without("started_at")
            .with("updated_at", "2026-11-22 10:59:59"),
        processing(3, "2026-11-22 11:00:00"),
        completed(4, "2026-11-22 11:00:00"),
    ]);
    env.sql(
        "ALTER TABLE tasks ALTER started_at TYPE timestamptz USING started_at AT TIME ZONE 'Asia/Shanghai';
         ALTER TABLE tasks ALTER completed_at TYPE timestamptz USING completed_at AT TIME ZONE 'Asia/Shanghai'",
    );
    let figures = live(&View::of(&env));
    assert_eq!(figures.processing, open_tasks(3, 2, Some(("task_2", "2026-11-22 10:59:59"))));
    assert_eq!(figures.finished, Some(1));
}

#[test]
fn on_postgres_an_infinite_time_is_no_time() {
    let env = TestEnv::postgres();
    env.insert([
        pending(1, "2026-11-22 11:30:00").with("created_at", "-infinity"),
        pending(2, "2026-11-22 11:30:00"),
        processing(3, "-infinity").with("updated_at", "2026-11-22 11:40:00"),
        completed(4, "infinity").with("updated_at", "2026-11-22 11:40:00"),
    ]);
    let figures = live(&View::of(&env));
    assert_eq!(figures.pending, open_tasks(2, 0, Some(("task_2", "2026-11-22 11:30:00"))));
    assert_eq!(figures.processing, open_tasks(1, 0, Some(("task_3", "2026-11-22 11:40:00"))));
    assert_eq!(figures.finished, Some(1));
}

#[test]
fn on_postgres_a_date_is_its_midnight() {
    let env = TestEnv::postgres();
    env.insert([processing(1, NOON).without("started_at").with("updated_at", NOON)]);
    env.sql("ALTER TABLE tasks ALTER updated_at TYPE date");
    assert_eq!(
        live(&View::of(&env)).processing,
        open_tasks(1, 1, Some(("task_1", "2026-11-22 00:00:00")))
    );
}

#[test]
fn on_postgres_a_column_that_is_no_time_is_named() {
    let env = TestEnv::postgres();
    let view = View::of(&env).map(|tasks| tasks.updated_at = Some("remarks".into()));
    let error = view.store().live_figures(&request(at(NOON), local())).unwrap_err();
    let failure = taskmon::outcome::Failure::of(&error);
    assert_eq!(failure.kind, Kind::MappingMismatch);
    assert!(failure.message.contains("database.tasks.updated_at"), "{failure:?}");
    // A day's report, which does not need it, does without.
    assert_eq!(view.figures().cells, []);
}

#[test]
fn on_sqlite_times_of_every_form_are_compared_as_times() {
    // 11:00 in Shanghai, and just before it, in every form.
    let at_limit = [
        "2026-11-22 11:00:00",
        "2026-11-22T11:00",
        "2026-11-22 03:00:00Z",
        "2026-11-21T22:00:00-05:00",
    ];
    let before = [
        "2026-11-22 10:59:59.999999",
        "2026-11-22T10:59:59",
        "2026-11-22 02:59:59Z",
        "2026-11-21T21:59:59-05:00",
        "2026-11-22",
    ];
    let times: Vec<(u32, &str, &str)> =
        (1..).zip(at_limit).map(|(n, time)| (n, "PENDING", time)).collect();
    let env = sqlite(&times);
    assert_eq!(live(&View::of(&env)).pending.older, 0);
    let times: Vec<(u32, &str, &str)> =
        (1..).zip(before).map(|(n, time)| (n, "TRACKING", time)).collect();
    let figures = live(&View::of(&sqlite(&times)));
    assert_eq!(figures.processing, open_tasks(5, 5, Some(("task_5", "2026-11-22 00:00:00"))));
}

#[test]
fn on_sqlite_seconds_and_milliseconds_are_times() {
    let env = sqlite(&[(1, "PENDING", "0"), (2, "PENDING", "0")]);
    let limit = at("2026-11-22 11:00:00").timestamp();
    env.sql(&format!(
        "UPDATE tasks SET created_at = {limit} WHERE id = 1; UPDATE tasks SET created_at = {}999 WHERE id = 2",
        limit - 2
    ));
    let found = live(&View::of(&env)).pending;
    assert_eq!((found.tasks, found.older), (2, 1));
    assert_eq!(found.oldest.unwrap().task.as_deref(), Some("task_2"));
}

#[test]
fn on_sqlite_a_time_that_cannot_be_read_is_reported_and_never_too_old() {
    let env = sqlite(&[
        (1, "PENDING", "gestern"),
        (2, "TRACKING", "2026-13-40"),
        (3, "PENDING", "2026-11-22 10:00:00"),
    ]);
    let figures = live(&View::of(&env));
    assert_eq!(figures.unreadable, Some((2, "gestern".into())));
    assert_eq!(figures.pending, open_tasks(2, 1, Some(("task_3", "2026-11-22 10:00:00"))));
    assert_eq!(figures.processing, open_tasks(1, 0, None));
}
