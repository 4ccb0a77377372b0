//! Rows that the database keeps keep their files.

use super::*;

on_each_database! {
    fn rows_that_the_database_keeps_keep_their_files(env) {
        let tasks: Vec<Task> = (1..=20).map(old).collect();
        prepare(&env, &tasks);
        env.sql(if env.url().starts_with("sqlite") {
            include_str!("../../fixtures/cleanup/rows_that_stay_sqlite.sql")
        } else {
            include_str!("../../fixtures/cleanup/rows_that_stay_postgres.sql")
        });
        let dry_run = cleanup(&env, 1, &["--only", "tasks", "--dry-run"]);
        let result = cleanup(&env, 1, &["--only", "tasks"]);
        assert_eq!(ids(&env), ["3", "7", "11", "12", "13"]);
        for task in &tasks {
            let id = task.columns["id"].clone().unwrap();
            assert_eq!(has_files(&env, task), ids(&env).contains(&id), "{id}");
        }
        assert_eq!(kinds(&result), ["row_refused"; 5]);
        assert_eq!(result["tasks_cleaned"], 15);
        assert_eq!(dry_run["tasks_cleaned"], 15);
        assert_eq!(dry_run["files_cleaned"], 45);
        assert_eq!(dry_run["errors_total"], 5);
        let text = result["errors"].to_string();
        assert!(text.contains("eleven is kept") && text.contains("task_7"), "{text}");
    }

    fn a_deferred_key_on_rows_that_would_go_along_keeps_the_row_and_its_files(env) {
        let tasks: Vec<Task> = (1..=4).map(old).collect();
        prepare(&env, &tasks);
        env.sql(
            "CREATE TABLE steps (id integer PRIMARY KEY, task integer REFERENCES tasks (id) ON DELETE CASCADE); \
             CREATE TABLE bills (id integer PRIMARY KEY, step integer REFERENCES steps (id) DEFERRABLE INITIALLY DEFERRED); \
             INSERT INTO steps VALUES (11, 1), (12, 2), (13, 3); INSERT INTO bills VALUES (21, 12), (22, NULL)",
        );
        let dry_run = cleanup(&env, 1, &["--only", "tasks", "--dry-run"]);
        let result = cleanup(&env, 1, &["--only", "tasks"]);
        for key in ["tasks_cleaned", "files_cleaned", "errors"] {
            assert_eq!(dry_run[key], result[key], "{key}");
        }
        assert_eq!(ids(&env), ["2"]);
        assert_eq!(kinds(&result), ["row_refused"]);
        let message = result["errors"][0]["message"].as_str().unwrap();
        assert!(message.starts_with("task_2 stays") && message.contains("bills"), "{message}");
        assert_eq!((&result["tasks_cleaned"], &result["files_cleaned"]), (&json!(3), &json!(9)));
        assert!(has_files(&env, &tasks[1]));
        assert_eq!(column(&env, "SELECT id FROM steps"), ["12"]);
        // One that was broken before keeps nothing back.
        if env.url().starts_with("sqlite") {
            let statements = "PRAGMA foreign_keys = 0; UPDATE bills SET step = 99 WHERE id = 22; DELETE FROM bills WHERE id = 21";
            env.connection().execute_batch(statements).unwrap();
            let result = cleanup(&env, 0, &["--only", "tasks"]);
            assert_eq!((ids(&env).len(), &result["files_cleaned"]), (0, &json!(3)));
        }
    }

    fn a_row_that_only_commit_refuses_is_found_and_the_others_go(env) {
        let tasks: Vec<Task> = (1..=20).map(old).collect();
        prepare(&env, &tasks);
        env.sql(if env.url().starts_with("sqlite") {
            include_str!("../../fixtures/cleanup/refused_at_commit_sqlite.sql")
        } else {
            include_str!("../../fixtures/cleanup/refused_at_commit_postgres.sql")
        });
        let result = cleanup(&env, 1, &["--only", "tasks"]);
        assert_eq!(ids(&env), ["7"], "{result:#}");
        assert_eq!(result["tasks_cleaned"], 19);
        let said = message(&result, "row_refused");
        assert!(said.contains("task_7"), "{said}");
        assert_nothing_lost(&env, &tasks, &ids(&env), &[]);
        if env.url().starts_with("sqlite") { env.sql("DROP TRIGGER audit") } else { env.sql("DROP TRIGGER audit ON tasks") }
        cleanup(&env, 0, &["--only", "tasks"]);
        assert!(ids(&env).is_empty());
    }
}

#[test]
fn a_role_without_delete_and_a_standby_are_refused_with_a_hint() {
    let env = TestEnv::postgres();
    prepare(&env, &[old(1)]);
    let role = env.role("");
    let url = env.url_of(&role);
    let refused = run(&env, 3, &["--only", "tasks", "--database-url", &url]);
    let document = refused.failure("permission_denied", &["deleting from tasks"]);
    assert_eq!(document["error"]["hint"], "GRANT SELECT, DELETE ON tasks to the role");
    let standby = format!("postgresql://postgres@127.0.0.1:{}/{}", plain_port(), env.name());
    let read = |url: &str| {
        postgres::Client::connect(url, postgres::NoTls)?.query("SELECT 1 FROM tasks", &[])
    };
    while !read(&standby).is_ok_and(|rows| rows.len() == 1) {
        std::thread::sleep(Duration::from_millis(50));
    }
    let refused = run(&env, 3, &["--only", "tasks", "--database-url", &standby]);
    let document = refused.failure("query_failed", &["deleting from tasks", "recovery"]);
    assert!(document["error"]["hint"].as_str().unwrap().contains("the primary"));
    assert!(env.path("uploads/image_1.png").exists());
}
