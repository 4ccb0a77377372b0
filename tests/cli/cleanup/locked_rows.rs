//! Rows and tables that another session holds while a cleanup wants to delete.

use super::*;

/// May delete and not update: SELECT FOR UPDATE is refused.
fn deleter(env: &TestEnv) -> String {
    let role = env.role("");
    env.sql(&format!("GRANT DELETE ON ALL TABLES IN SCHEMA public TO {role}"));
    env.url_of(&role)
}

fn prepare_rows(env: &TestEnv, rows: u32) -> Vec<Task> {
    let tasks: Vec<Task> = (1..=rows).map(old).collect();
    prepare(env, &tasks);
    tasks
}

#[test]
fn rows_that_another_session_holds_stay_and_the_others_go() {
    for may_update in [true, false] {
        let env = TestEnv::postgres();
        let tasks = prepare_rows(&env, 300);
        let url = if may_update { env.url() } else { deleter(&env) };
        let arguments = ["--only", "tasks", "--batch-size", "200", "--database-url", url.as_str()];
        let mut other = env.client();
        let mut held = other.transaction().unwrap();
        held.batch_execute("SELECT 1 FROM tasks WHERE id IN (7, 150, 299) FOR UPDATE").unwrap();
        let dry_run = cleanup(&env, 1, &[&arguments[..], &["--dry-run"]].concat());
        let finished = run(&env, 1, &arguments);
        let result = finished.json();
        for result in [&dry_run, &result] {
            assert_eq!(kinds(result), ["row_locked"; 3], "{result:#}");
            assert_eq!(
                (&result["tasks_cleaned"], &result["files_cleaned"]),
                (&json!(297), &json!(891))
            );
        }
        assert_eq!(ids(&env), ["7", "150", "299"]);
        let labels: Vec<&str> = result["errors"]
            .as_array()
            .unwrap()
            .iter()
            .map(|error| error["task_id"].as_str().unwrap())
            .collect();
        assert_eq!(labels, ["task_7", "task_150", "task_299"]);
        assert_nothing_lost(&env, &tasks, &ids(&env), &[]);
        assert!([7, 150, 299].iter().all(|id| has_files(&env, &tasks[id - 1])));
        assert!(finished.took < Duration::from_secs(40), "{:?}", finished.took);
        held.rollback().unwrap();
        assert_eq!(cleanup(&env, 0, &arguments)["tasks_cleaned"], 3);
    }
}

#[test]
fn a_row_stays_while_another_session_holds_one_that_would_go_along() {
    for rule in ["CASCADE", "SET NULL", "NO ACTION"] {
        let env = TestEnv::postgres();
        prepare_rows(&env, 100);
        env.sql(&format!(
            "CREATE TABLE notes (id integer PRIMARY KEY, task integer REFERENCES tasks (id) ON DELETE {rule} DEFERRABLE INITIALLY DEFERRED); \
             CREATE INDEX ON notes (task); INSERT INTO notes VALUES (1, 42)"
        ));
        let mut other = env.client();
        let mut held = other.transaction().unwrap();
        held.batch_execute("SELECT 1 FROM notes FOR UPDATE").unwrap();
        let result = cleanup(&env, 1, &["--only", "tasks"]);
        assert_eq!(kinds(&result), ["row_locked"], "{rule}");
        assert_eq!(ids(&env), ["42"], "{rule}");
        held.rollback().unwrap();
    }
}

#[test]
fn a_lock_that_every_deletion_needs_ends_the_run_after_a_minute() {
    let env = TestEnv::postgres();
    let tasks = prepare_rows(&env, 1000);
    env.sql(
        "CREATE TABLE counter AS SELECT 0 AS deleted;
         CREATE FUNCTION count_up() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN UPDATE counter SET deleted = deleted + 1; RETURN old; END $$;
         CREATE TRIGGER count_up BEFORE DELETE ON tasks FOR EACH ROW EXECUTE FUNCTION count_up()",
    );
    let mut other = env.client();
    let mut held = other.transaction().unwrap();
    held.batch_execute("SELECT 1 FROM counter FOR UPDATE").unwrap();
    let finished = run(&env, 3, &["--only", "tasks", "--batch-size", "100"]);
    let document = finished.failure("query_failed", &["other sessions hold locks"]);
    assert!(document["error"]["hint"].as_str().unwrap().contains("pg_blocking_pids"));
    assert!(finished.took < Duration::from_secs(150), "{:?}", finished.took);
    assert_eq!(ids(&env).len(), 1000);
    assert!(tasks.iter().all(|task| has_files(&env, task)));
    held.rollback().unwrap();
    assert_eq!(cleanup(&env, 0, &["--only", "tasks"])["tasks_cleaned"], 1000);
}

#[test]
fn a_table_that_another_session_holds_for_a_while_is_waited_for() {
    let env = TestEnv::postgres();
    prepare_rows(&env, 50);
    let mut other = env.client();
    let mut held = other.transaction().unwrap();
    // As the making of an index holds it.
    held.batch_execute("LOCK TABLE tasks IN SHARE MODE").unwrap();
    let running = env.taskmon(arguments(&[])).spawn();
    env.wait_until_blocked(1);
    std::thread::sleep(Duration::from_secs(4));
    held.rollback().unwrap();
    let finished = running.wait();
    assert_eq!(finished.json()["tasks_cleaned"], 50);
    assert_eq!(finished.code, Some(0));
}

/// Citus leaves it to this setting whether its workers, where the rows are, hear of a limit that is set for a transaction.
#[test]
fn the_limit_is_passed_on_to_the_servers_where_the_rows_are() {
    let env = TestEnv::postgres();
    prepare(&env, &[old(1)]);
    let name = env.name();
    env.sql(&format!(
        "ALTER DATABASE {name} SET citus.propagate_set_commands = 'none'; CREATE TABLE limits (passed_on text, longest text); \
         CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN INSERT INTO limits \
         VALUES (current_setting('citus.propagate_set_commands'), current_setting('lock_timeout')); RETURN old; END $$; \
         CREATE TRIGGER note BEFORE DELETE ON tasks FOR EACH ROW EXECUTE FUNCTION note()"
    ));
    assert_eq!(cleanup(&env, 0, &["--only", "tasks"])["tasks_cleaned"], 1);
    assert_eq!(column(&env, "SELECT passed_on || ' ' || longest FROM limits"), ["local 2s"]);
}
