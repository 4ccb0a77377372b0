//! Rows whose deletion takes long, and what is said of it.

use super::*;

/// Each row takes so many seconds to delete, as where a foreign key without an index refers to a large table.
fn slow_down(env: &TestEnv, seconds: f64, limit: u32) {
    env.config(&format!("statement_timeout_seconds = {limit}"));
    env.sql(&format!(
        "CREATE FUNCTION slow() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM pg_sleep({seconds}); RETURN old; END $$; \
         CREATE TRIGGER slow BEFORE DELETE ON tasks FOR EACH ROW EXECUTE FUNCTION slow()"
    ));
}

#[test]
fn a_batch_that_takes_longer_than_a_statement_may_is_halved_until_it_fits() {
    let env = TestEnv::postgres();
    let tasks: Vec<Task> = (1..=100).map(old).collect();
    prepare(&env, &tasks);
    slow_down(&env, 0.05, 1);
    let finished = run(&env, 0, &["--only", "tasks"]);
    let result = finished.json();
    assert_eq!((&result["tasks_cleaned"], &result["files_cleaned"]), (&json!(100), &json!(300)));
    assert!(ids(&env).is_empty());
    assert_nothing_lost(&env, &tasks, &[], &[]);
    // Three attempts are cut off, and none of their sizes is tried again: 100, 50, 25.
    assert!(finished.took < Duration::from_secs(25), "{:?}", finished.took);
}

#[test]
fn a_row_that_takes_too_long_by_itself_stays_and_the_others_go() {
    let env = TestEnv::postgres();
    let tasks: Vec<Task> = (1..=100).map(old).collect();
    prepare(&env, &tasks);
    env.config("statement_timeout_seconds = 1");
    env.sql(
        "CREATE FUNCTION slow() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM pg_sleep(3); RETURN old; END $$; \
         CREATE TRIGGER slow BEFORE DELETE ON tasks FOR EACH ROW WHEN (old.id = 42) EXECUTE FUNCTION slow(); \
         CREATE TABLE attempts (task integer REFERENCES tasks (id))",
    );
    let finished = run(&env, 1, &["--only", "tasks", "--batch-size", "50"]);
    let result = finished.json();
    assert_eq!((&result["tasks_cleaned"], kinds(&result)), (&json!(99), vec!["row_refused"]));
    let said = message(&result, "row_refused");
    assert!(
        said.contains("longer than a statement may") && said.contains("CREATE INDEX"),
        "{said}"
    );
    assert_eq!(ids(&env), ["42"]);
    assert_nothing_lost(&env, &tasks, &ids(&env), &[]);
    assert!(has_files(&env, &tasks[41]));
    assert!(finished.took < Duration::from_secs(25), "{:?}", finished.took);
}

#[test]
fn rows_that_all_take_too_long_end_the_run_and_name_the_index() {
    let env = TestEnv::postgres();
    let tasks: Vec<Task> = (1..=4).map(old).collect();
    prepare(&env, &tasks);
    slow_down(&env, 3.0, 1);
    env.sql("CREATE TABLE attempts (task integer REFERENCES tasks (id))");
    let document =
        run(&env, 3, &["--only", "tasks"]).failure("statement_timeout", &["deleting from tasks"]);
    let hint = document["error"]["hint"].as_str().unwrap();
    assert!(hint.contains("CREATE INDEX CONCURRENTLY ON attempts (task);"), "{hint}");
    assert_eq!(ids(&env).len(), 4);
    assert!(tasks.iter().all(|task| has_files(&env, task)));
}

on_each_database! {
    fn a_foreign_key_without_an_index_is_named_with_the_statement(env) {
        prepare(&env, &[old(1)]);
        env.sql(
            "CREATE TABLE attempts (id integer PRIMARY KEY, task integer REFERENCES tasks (id) ON DELETE CASCADE);
             CREATE TABLE lines (attempt integer REFERENCES attempts (id));
             CREATE TABLE indexed (task integer REFERENCES tasks (id));
             CREATE INDEX by_task ON indexed (task);
             CREATE TABLE unrelated (id integer PRIMARY KEY, other integer REFERENCES unrelated (id))",
        );
        let notes = |code| -> Vec<String> {
            let result = cleanup(&env, code, &["--only", "tasks", "--dry-run"]);
            let notes = result["notes"].as_array().unwrap().iter();
            notes.map(|note| note.as_str().unwrap().replace('"', "")).filter(|note| note.contains("CREATE INDEX")).collect()
        };
        let said = notes(0).join("\n");
        assert!(said.contains("ON attempts (task)") && said.contains("ON lines (attempt)"), "{said}");
        assert!(!said.contains("indexed") && !said.contains("unrelated"), "{said}");
        let check = env.taskmon(["check"]).run();
        check.stderr();
        let checked = check.json().to_string().replace("\\\"", "");
        assert!(checked.contains("ON attempts (task)") && checked.contains("ON lines (attempt)"), "{checked}");
        env.sql("CREATE INDEX by_attempt ON lines (attempt); CREATE INDEX by_parent ON attempts (task)");
        assert!(!notes(0).join("\n").contains("attempt"));
    }
}

#[test]
fn an_index_that_leaves_out_nothing_but_null_serves_a_foreign_key() {
    let env = TestEnv::postgres();
    prepare(&env, &[old(1)]);
    env.sql(
        "CREATE TABLE attempts (task integer REFERENCES tasks (id), done boolean);
         CREATE INDEX only_some ON attempts (task) WHERE done",
    );
    let has_note = || {
        cleanup(&env, 0, &["--only", "tasks", "--dry-run"])["notes"]
            .to_string()
            .contains("attempts")
    };
    assert!(has_note());
    env.sql("CREATE INDEX all_that_refer ON attempts (task) WHERE task IS NOT NULL");
    assert!(!has_note());
}
