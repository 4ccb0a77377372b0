//! SQLite files whose schema somebody else wrote: it runs nothing of taskmon's, and nothing that could spoil the file.

use crate::cli::cleanup::{AS_OF, ids, make_files, old};
use crate::support::env::TestEnv;
use crate::support::rows::{DAY, Task};
use serde_json::Value;

fn cleanup(env: &TestEnv, code: i32) -> Value {
    env.taskmon(["-q", "-q", "cleanup", "--as-of", AS_OF, "--only", "tasks"]).exits(code).json()
}

/// Three expired tasks with their files.
fn with_tasks() -> TestEnv {
    let env = TestEnv::sqlite();
    let tasks = [old(1), old(2), old(3)];
    make_files(&env, &tasks);
    env.insert(tasks);
    env
}

#[test]
fn a_view_calls_no_function_of_taskmon_itself() {
    let env = TestEnv::sqlite();
    env.insert((1..=3).map(Task::new));
    // SQLite asks for the function only when the view is read.
    env.sql("CREATE VIEW seen AS SELECT *, taskmon_lower(status) AS low FROM tasks");
    env.config("[database.tasks]\nfrom = 'seen'\nstatus = 'low'\n");
    let run = env.taskmon(["-q", "-q", "stats", "--no-alert", "--date", DAY]).exits(3);
    run.failure("mapping_mismatch", &["unsafe use of taskmon_lower()"]);
    // What SQLite has itself may be called.
    env.sql(
        "DROP VIEW seen; CREATE VIEW seen AS SELECT t.*, upper(status) AS low, json_extract('{}', '$.x') AS x,
         (SELECT count(*) FROM json_each('[1]')) AS y, strftime('%Y', created_at) AS z FROM tasks AS t",
    );
    let report = env.taskmon(["-q", "-q", "stats", "--no-alert", "--date", DAY]).success().json();
    assert_eq!(report["task_statistics"]["total_tasks"], 3);
}

#[test]
fn a_trigger_cannot_spoil_an_index_and_one_that_keeps_it_runs() {
    let env = with_tasks();
    env.sql(
        "CREATE VIRTUAL TABLE found USING fts5(task_name, content = 'tasks', content_rowid = 'id');
         INSERT INTO found (found) VALUES ('rebuild');
         CREATE TRIGGER keep AFTER DELETE ON tasks BEGIN
             INSERT INTO found (found, rowid, task_name) VALUES ('delete', old.id, old.task_name);
         END;
         CREATE TRIGGER spoil AFTER DELETE ON tasks BEGIN DELETE FROM found_data; END",
    );
    let result = cleanup(&env, 1);
    assert_eq!(ids(&env), ["1", "2", "3"], "{result:#}");
    let error = &result["errors"][0];
    assert_eq!(error["kind"], "row_refused");
    assert!(error.to_string().contains("table found_data may not be modified"), "{error}");
    env.sql("DROP TRIGGER spoil");
    cleanup(&env, 0);
    // The index knows what is left: nothing.
    env.sql("INSERT INTO found (found, rank) VALUES ('integrity-check', 1)");
    assert!(ids(&env).is_empty());
}
