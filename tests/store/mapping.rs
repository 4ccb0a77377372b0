//! What a mapping may say, and what it must not.

use crate::on_each_database;
use crate::store::harness::{View, counts, days, failed, slowest};
use crate::support::env::TestEnv;
use crate::support::rows::Task;
use std::collections::BTreeMap;
use taskmon::mapping::Field;
use taskmon::outcome::Kind;
use taskmon::store::{BacklogCount, DayFigures, ErrorGroup};

/// A task that has every field: failed, retried, started, timed.
fn rich_task() -> Task {
    Task::new(1).failed("任务超时").with("retry_count", 2).with("processing_time", 12.5)
}

/// What the table of jobs below is to a mapping that knows nothing of the preset.
fn jobs(env: &TestEnv) -> View {
    View::of(env).map(|tasks| {
        tasks.from = "jobs".into();
        tasks.key = vec!["part".into(), "job".into()];
        tasks.label = "job".into();
        tasks.status = "state".into();
        tasks.created_at = Some("enqueued".into());
        tasks.started_at = None;
        tasks.updated_at = None;
        tasks.processing_time = Some("took".into());
        tasks.error_message = None;
        tasks.retry_count = None;
        tasks.states = Default::default();
        tasks.states.completed = vec!["3".into()];
        tasks.states.failed = vec!["4".into()];
    })
}

fn without_times(figures: &DayFigures) -> bool {
    let cells = figures.cells.iter();
    cells.map(|cell| cell.timed).sum::<u64>() == 0
        && figures.percentiles.is_none()
        && figures.slowest.is_empty()
}

/// Every field that a report can do without, as the mapping and the table call it.
const OPTIONAL: [(&str, Field); 5] = [
    ("processing_time", Field::ProcessingTime),
    ("error_message", Field::ErrorMessage),
    ("retry_count", Field::RetryCount),
    ("started_at", Field::StartedAt),
    ("courier_company", Field::Queue),
];

/// What is `None` or empty without a field; never 0, which would be a figure.
fn is_unknown(field: Field, figures: &DayFigures) -> bool {
    let (cell, failed) = (&figures.cells[0], &figures.failed[0]);
    match field {
        Field::ProcessingTime => without_times(figures),
        Field::ErrorMessage => figures.errors.is_empty() && failed.message.is_none(),
        Field::RetryCount => cell.retries.is_none() && failed.retries.is_none(),
        Field::StartedAt => cell.waited == 0,
        Field::Queue => figures.backlog[0].queue.is_none(),
        other => panic!("{other:?} is not optional"),
    }
}

on_each_database! {
    // ---- fields that are not there

    fn a_field_that_the_mapping_leaves_empty_is_unknown_and_not_missing(env) {
        env.insert([rich_task(), Task::new(2).status("PENDING")]);
        let view = || View::of(&env).map(|tasks| tasks.queue = Some("courier_company".into()));
        for (_, field) in OPTIONAL {
            assert!(!is_unknown(field, &view().figures()), "{field:?} is known where it is mapped");
            let figures = view().map(|tasks| match field {
                Field::ProcessingTime => tasks.processing_time = None,
                Field::ErrorMessage => tasks.error_message = None,
                Field::RetryCount => tasks.retry_count = None,
                Field::StartedAt => tasks.started_at = None,
                _ => tasks.queue = None,
            }).figures();
            assert!(is_unknown(field, &figures), "{field:?}: {figures:?}");
            assert_eq!(figures.missing, [], "{field:?}");
            assert_eq!(figures.cells.iter().map(|cell| cell.tasks).sum::<u64>(), 2, "{field:?}");
        }
    }

    fn a_missing_column_is_unknown_and_listed_as_missing(env) {
        for (column, _) in OPTIONAL {
            env.sql(&format!("ALTER TABLE tasks DROP COLUMN {column}"));
        }
        let bare = |mut task: Task| {
            OPTIONAL.iter().for_each(|(column, _)| drop(task.columns.remove(column)));
            task
        };
        env.insert([bare(rich_task()), bare(Task::new(2).status("PENDING"))]);
        let figures = View::of(&env).map(|tasks| tasks.queue = Some("courier_company".into())).figures();
        let mut missing = figures.missing.clone();
        missing.sort();
        let mut expected = OPTIONAL.map(|(_, field)| field);
        expected.sort();
        assert_eq!(missing, expected);
        for field in expected {
            assert!(is_unknown(field, &figures), "{field:?}: {figures:?}");
        }
        assert_eq!(counts(&figures.cells), [(1, Some("FAILED"), None, 1), (1, Some("PENDING"), None, 1)]);
    }

    fn without_a_creation_time_a_task_counts_by_its_last_update_and_has_no_wait(env) {
        env.insert([
            Task::new(1).at("2026-11-20 10:00:00").with("updated_at", "2026-11-22 15:00:00"),
            Task::new(2).at("2026-11-22 10:00:00").with("updated_at", "2026-11-23 15:00:00"),
            Task::new(3).at("2026-11-22 10:00:00").without("updated_at"),
        ]);
        assert_eq!(View::of(&env).figures().counted_by, Some(Field::CreatedAt));
        let figures = View::of(&env).map(|tasks| tasks.created_at = None).figures();
        assert_eq!(figures.counted_by, Some(Field::UpdatedAt));
        assert_eq!(figures.missing, []);
        assert_eq!(counts(&figures.cells), [(15, Some("COMPLETED"), Some(0), 1)]);
        assert_eq!((figures.cells[0].waited, figures.undated), (0, 1));
    }

    fn without_a_column_of_creation_times_the_last_update_counts(env) {
        env.sql("DROP INDEX idx_tasks_status_created; DROP INDEX idx_tasks_created_at; ALTER TABLE tasks DROP COLUMN created_at");
        let mut task = Task::new(1).with("updated_at", "2026-11-22 15:00:00");
        task.columns.remove("created_at");
        env.insert([task]);
        let figures = View::of(&env).figures();
        assert_eq!((figures.counted_by, figures.missing.as_slice()), (Some(Field::UpdatedAt), &[Field::CreatedAt][..]));
        assert_eq!(counts(&figures.cells), [(15, Some("COMPLETED"), Some(0), 1)]);
    }

    // ---- labels and states

    fn labels_match_without_regard_to_case_and_are_reported_as_they_are(env) {
        env.insert([
            Task::new(1).status("PENDING"),
            Task::new(2).status("GENERATING"),
            Task::new(3).failed("x"),
        ]);
        let figures = View::of(&env).map(|tasks| {
            tasks.states.pending = vec!["Pending".into()];
            tasks.states.processing = vec!["generating".into()];
            tasks.states.failed = vec!["fAILED".into()];
        }).figures();
        let open: Vec<&str> = figures.backlog.iter().map(|count| count.label.as_str()).collect();
        assert_eq!(open, ["GENERATING", "PENDING"]);
        assert_eq!(failed(&figures), ["task_3"]);
        assert_eq!(figures.errors, BTreeMap::from([(ErrorGroup::Exception("x".into()), 1)]));
    }

    fn labels_of_one_state_that_differ_in_case_are_counted_each(env) {
        env.sql(
            "CREATE TABLE jobs (part integer, job text, state text, enqueued timestamp, took double precision);
             INSERT INTO jobs VALUES (1, 'a', 'Dead', '2026-11-22 01:00:00', 1), (2, 'b', 'DEAD', '2026-11-22 02:00:00', 2),
                                     (3, 'c', 'dead', '2026-11-22 03:00:00', 3), (4, 'd', 'deadly', '2026-11-22 04:00:00', 4)",
        );
        let figures = jobs(&env).map(|tasks| tasks.states.failed = vec!["dead".into()]).figures();
        assert_eq!(failed(&figures), ["c", "b", "a"]);
        let labels: Vec<Option<&str>> = figures.cells.iter().map(|cell| cell.label.as_deref()).collect();
        assert_eq!(labels, [Some("Dead"), Some("DEAD"), Some("dead"), Some("deadly")]);
    }

    fn a_label_that_no_state_claims_is_counted_and_in_no_state(env) {
        env.insert([Task::new(1).status("RETURNED"), Task::new(2).status("RETURNED").with("error_message", "x")]);
        let figures = View::of(&env).map(|tasks| tasks.states.cancelled = vec![]).figures();
        assert_eq!(counts(&figures.cells), [(1, Some("RETURNED"), Some(0), 2)]);
        assert_eq!(days(&figures.trend), [(6, Some("RETURNED"), 2)]);
        assert_eq!((figures.failed, figures.backlog, figures.errors), (vec![], vec![], BTreeMap::new()));
    }

    fn a_row_without_a_status_is_counted_and_in_no_state(env) {
        env.insert([Task::new(1).without("status").with("processing_time", 99), Task::new(2)]);
        let figures = View::of(&env).figures();
        assert_eq!(counts(&figures.cells), [(1, None, Some(0), 1), (1, Some("COMPLETED"), Some(0), 1)]);
        assert_eq!(days(&figures.trend), [(6, None, 1), (6, Some("COMPLETED"), 1)]);
        assert_eq!((slowest(&figures), figures.slowest[1].label.as_deref()), (vec!["task_2", "task_1"], None));
        assert_eq!((figures.failed, figures.backlog), (vec![], vec![]));
    }

    fn a_state_without_labels_claims_nothing(env) {
        env.insert([
            Task::new(1).status("PENDING"),
            Task::new(2).failed("x"),
            Task::new(3).status("TRACKING"),
            Task::new(4).without("status"),
        ]);
        let figures = View::of(&env).map(|tasks| tasks.states = Default::default()).figures();
        assert_eq!((figures.failed, figures.backlog, figures.errors), (vec![], vec![], BTreeMap::new()));
        assert_eq!(figures.cells.len(), 4);
        // One that has labels beside one that has none.
        let figures = View::of(&env).map(|tasks| {
            tasks.states.pending = vec![];
            tasks.states.failed = vec![];
        }).figures();
        let open: Vec<&str> = figures.backlog.iter().map(|count| count.label.as_str()).collect();
        assert_eq!((open, figures.failed), (vec!["TRACKING"], vec![]));
    }

    // ---- keys, tables and expressions of every kind

    fn ties_go_by_every_column_of_a_composite_key_in_its_order(env) {
        env.sql(
            "CREATE TABLE jobs (part integer, job text, state integer, enqueued timestamp, took double precision, PRIMARY KEY (part, job));
             INSERT INTO jobs VALUES (2, 'b', 4, '2026-11-22 01:00:00', 7.5), (10, 'a', 4, '2026-11-22 01:00:00', 7.5),
                                     (2, 'a', 4, '2026-11-22 01:00:00', 7.5), (1, 'z', 4, '2026-11-22 01:00:00', 7.5)",
        );
        let figures = jobs(&env).map(|tasks| tasks.label = "part || '/' || job".into()).figures();
        let expected = ["1/z", "2/a", "2/b", "10/a"];
        assert_eq!((slowest(&figures), failed(&figures)), (expected.to_vec(), expected.to_vec()));
        // A number's text is what a state names.
        assert_eq!(counts(&figures.cells), [(1, Some("4"), None, 4)]);
    }

    fn a_key_of_text_sorts_as_text(env) {
        env.insert([10, 9, 8].map(|n| Task::new(n).failed("x").with("processing_time", 7.5).at("2026-11-22 01:00:00")));
        let figures = View::of(&env).map(|tasks| tasks.key = vec!["task_id".into()]).figures();
        let expected = ["task_10", "task_8", "task_9"];
        assert_eq!((slowest(&figures), failed(&figures)), (expected.to_vec(), expected.to_vec()));
    }

    fn a_view_is_read_like_a_table(env) {
        env.insert([rich_task(), Task::new(2), Task::new(3).with("user_id", 4)]);
        env.sql("CREATE VIEW recent AS SELECT * FROM tasks WHERE user_id <> 4");
        let from_view = View::of(&env).map(|tasks| tasks.from = "recent".into()).figures();
        env.sql("DELETE FROM tasks WHERE user_id = 4");
        assert_eq!(from_view, View::of(&env).figures());
        assert_eq!(from_view.cells.iter().map(|cell| cell.tasks).sum::<u64>(), 2);
    }

    fn a_from_clause_may_join(env) {
        env.insert([Task::new(1), Task::new(2)]);
        env.sql("CREATE TABLE failures (task integer, reason text); INSERT INTO failures VALUES (2, 'parser')");
        let figures = View::of(&env).map(|tasks| {
            tasks.from = "tasks LEFT JOIN failures ON failures.task = tasks.id".into();
            tasks.key = vec!["tasks.id".into()];
            tasks.status = "CASE WHEN failures.task IS NULL THEN 'ok' ELSE 'bad' END".into();
            tasks.error_message = Some("failures.reason".into());
            tasks.states = Default::default();
            tasks.states.failed = vec!["bad".into()];
        }).figures();
        assert_eq!(counts(&figures.cells), [(1, Some("bad"), Some(0), 1), (1, Some("ok"), Some(0), 1)]);
        assert_eq!(figures.failed[0].message.as_deref(), Some("parser"));
    }

    fn every_field_may_be_an_expression(env) {
        env.insert([Task::new(3).failed("x").with("retry_count", 4), Task::new(4).status("PENDING").with("retry_count", 1)]);
        let figures = View::of(&env).map(|tasks| {
            tasks.key = vec!["0 - id".into()];
            tasks.label = "'no. ' || id".into();
            tasks.created_at = Some("coalesce(started_at, created_at)".into());
            tasks.processing_time = Some("id * 2.5".into());
            tasks.error_message = Some("remarks || '!'".into());
            tasks.retry_count = Some("retry_count - 1".into());
            tasks.queue = Some("substr(courier_company, 1, 7)".into());
        }).figures();
        assert_eq!(slowest(&figures), ["no. 4", "no. 3"]);
        assert_eq!(figures.slowest[0].processing_time, 10.0);
        assert_eq!(counts(&figures.cells), [(1, Some("FAILED"), Some(3), 1), (1, Some("PENDING"), Some(0), 1)]);
        assert_eq!(figures.failed[0].message.as_deref(), Some("remark 3!"));
        assert_eq!(figures.backlog, [BacklogCount { label: "PENDING".into(), queue: Some("courier".into()), tasks: 1 }]);
    }

    fn names_that_sql_wants_quoted_are_quoted_in_the_mapping(env) {
        env.sql(
            "CREATE TABLE \"Job Queue\" (\"order\" integer, \"State\" text, \"when\" timestamp);
             INSERT INTO \"Job Queue\" VALUES (7, '4', '2026-11-22 05:00:00')",
        );
        let figures = jobs(&env).map(|tasks| {
            tasks.from = "\"Job Queue\"".into();
            tasks.key = vec!["\"order\"".into()];
            tasks.label = "\"order\"".into();
            tasks.status = "\"State\"".into();
            tasks.created_at = Some("\"when\"".into());
            tasks.processing_time = None;
        }).figures();
        assert_eq!(failed(&figures), ["7"]);
    }

    // ---- what a report cannot do without

    fn a_table_that_is_not_there_is_named(env) {
        View::of(&env).map(|tasks| tasks.from = "no_such_jobs".into()).refused(Kind::MappingMismatch, &["database.tasks.from", "no_such_jobs"]);
    }

    fn a_key_that_is_not_there_is_named(env) {
        View::of(&env)
            .map(|tasks| tasks.key = vec!["id".into(), "no_such_key".into()])
            .refused(Kind::MappingMismatch, &["database.tasks.key", "no_such_key", "tasks"]);
    }

    fn a_status_that_is_not_there_is_named(env) {
        View::of(&env).map(|tasks| tasks.status = "no_such_state".into()).refused(Kind::MappingMismatch, &["database.tasks.status", "no_such_state"]);
    }

    fn a_label_that_is_not_there_is_named(env) {
        View::of(&env).map(|tasks| tasks.label = "no_such_label".into()).refused(Kind::MappingMismatch, &["database.tasks.label", "no_such_label"]);
    }

    fn a_mapping_without_any_time_is_refused(env) {
        View::of(&env).map(|tasks| {
            tasks.created_at = Some("no_such_time".into());
            tasks.updated_at = None;
        }).refused(Kind::MappingMismatch, &["database.tasks.created_at", "tasks"]);
    }

    fn an_expression_that_cannot_be_computed_is_named(env) {
        for expression in ["no_such_function(retry_count)", "retry_count +", "'unfinished"] {
            View::of(&env)
                .map(|tasks| tasks.retry_count = Some(expression.into()))
                .refused(Kind::MappingMismatch, &["database.tasks.retry_count", expression]);
        }
    }

    fn a_quoted_column_that_is_not_there_is_named_and_no_string(env) {
        View::of(&env).map(|tasks| tasks.status = "\"no such state\"".into()).refused(Kind::MappingMismatch, &["database.tasks.status", "no such state"]);
    }

    fn letters_beyond_ascii_have_their_case_too(env) {
        env.sql(
            "CREATE TABLE jobs (part integer, job text, state text, enqueued timestamp, took double precision);
             INSERT INTO jobs VALUES (1, 'a', 'ÉCHOUÉ', '2026-11-22 01:00:00', 1), (2, 'b', 'échoué', '2026-11-22 02:00:00', 2)",
        );
        let figures = jobs(&env).map(|tasks| tasks.states.failed = vec!["Échoué".into()]).figures();
        assert_eq!(failed(&figures), ["b", "a"]);
    }
}

// ---- PostgreSQL knows types

#[test]
fn a_time_of_another_type_is_refused_by_postgres_with_the_type_that_it_has() {
    let env = TestEnv::postgres();
    let view = View::of(&env).map(|tasks| tasks.created_at = Some("user_id".into()));
    view.refused(Kind::MappingMismatch, &["database.tasks.created_at", "user_id", "integer"]);
}

/// The preset's status is an enum; a varchar, a domain and an array's element are compared as their text.
#[test]
fn a_status_of_any_type_gives_the_figures_of_the_enum_on_postgres() {
    let env = TestEnv::postgres();
    env.insert([rich_task(), Task::new(2).status("PENDING"), Task::new(3).without("status")]);
    env.sql("CREATE DOMAIN label AS varchar(12)");
    let by_enum = View::of(&env).figures();
    assert_eq!(by_enum.backlog.len(), 1);
    for status in
        ["status::text", "status::text::varchar(12)", "status::text::label", "(ARRAY[status])[1]"]
    {
        let figures = View::of(&env).map(|tasks| tasks.status = status.into()).figures();
        assert_eq!(figures, by_enum, "{status}");
    }
}

// ---- SQLite does not

#[test]
fn an_unreadable_time_in_sqlite_is_counted_and_shown() {
    let env = TestEnv::sqlite();
    env.insert([Task::new(1)]);
    env.sql("UPDATE tasks SET created_at = 'yesterday'");
    env.insert([Task::new(2)]);
    let figures = View::of(&env).figures();
    assert_eq!(figures.unreadable, Some((1, "yesterday".into())));
    assert_eq!(counts(&figures.cells), [(1, Some("COMPLETED"), Some(0), 1)]);
}

/// Its column is of numeric affinity, where a text is compared with a number that a bound looks like.
#[test]
fn one_old_time_in_sqlite_that_is_none_is_found_among_many_that_are() {
    let env = TestEnv::sqlite();
    env.insert((1..=601).map(Task::new));
    for strange in
        ["12.11.2026 10:00", "1 November", "31.12.2026 10:00", "3000 BC", "letzten Montag"]
    {
        env.sql(&format!("UPDATE tasks SET created_at = '{strange}' WHERE id = 1"));
        let figures = View::of(&env).figures();
        assert_eq!(figures.unreadable, Some((1, strange.into())));
    }
}

/// A report of no task must not be the only sign of it.
#[test]
fn a_time_column_of_sqlite_that_holds_something_else_is_reported() {
    for (value, shown) in [
        ("2461366.5", "2461366.5"),
        ("20261122", "20261122"),
        ("639000000000000000", "639000000000000000"),
        ("'2026/11/22 10:00:00'", "2026/11/22 10:00:00"),
        ("'2026-9-5 10:00:00'", "2026-9-5 10:00:00"),
        ("'20261122T100000'", "20261122T100000"),
    ] {
        let env = TestEnv::sqlite();
        env.insert([Task::new(1), Task::new(2)]);
        env.sql(&format!("UPDATE tasks SET created_at = {value}"));
        let figures = View::of(&env).figures();
        assert_eq!(figures.unreadable, Some((2, shown.into())), "{value}");
        assert!(figures.cells.is_empty());
    }
}

#[test]
fn text_in_a_number_column_of_sqlite_is_no_processing_time() {
    let env = TestEnv::sqlite();
    env.insert([
        Task::new(1).with("processing_time", "fast"),
        Task::new(2).with("processing_time", 4.5),
    ]);
    let figures = View::of(&env).figures();
    assert_eq!(slowest(&figures), ["task_2"]);
    assert_eq!((figures.cells[0].timed, figures.cells[0].micros), (1, 4_500_000));
}
