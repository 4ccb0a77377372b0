//! Rows that the database keeps keep their files.

use super::*;

on_each_database! {
    fn rows_that_the_database_keeps_keep_their_files(env) {
        let tasks: Vec<Task> = (1..=20).map(old).collect();
        prepare(&env, &tasks);
        if env.url().starts_with("sqlite") { env.sql(
                "CREATE TABLE now_refers (task integer REFERENCES tasks (id)); INSERT INTO now_refers VALUES (3); \
                 CREATE TABLE later_refers (task integer REFERENCES tasks (id) DEFERRABLE INITIALLY DEFERRED); \
                 INSERT INTO later_refers VALUES (7); \
                 CREATE TRIGGER keep BEFORE DELETE ON tasks WHEN old.id = 11 BEGIN SELECT RAISE(ABORT, 'eleven is kept'); END; \
                 CREATE TRIGGER skip BEFORE DELETE ON tasks WHEN old.id = 12 BEGIN SELECT RAISE(IGNORE); END; \
                 CREATE TRIGGER roll BEFORE DELETE ON tasks WHEN old.id = 13 BEGIN SELECT RAISE(ROLLBACK, 'all back'); END"
            ) } else { env.sql(
                "CREATE TABLE now_refers (task integer REFERENCES tasks (id)); INSERT INTO now_refers VALUES (3); \
                 CREATE TABLE later_refers (task integer REFERENCES tasks (id) DEFERRABLE INITIALLY DEFERRED); \
                 INSERT INTO later_refers VALUES (7); \
                 CREATE FUNCTION keep() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN \
                 IF old.id = 11 THEN RAISE EXCEPTION 'eleven is kept'; END IF; \
                 IF old.id = 13 THEN PERFORM no_such_column FROM tasks; END IF; \
                 IF old.id = 12 THEN RETURN NULL; END IF; RETURN old; END $$; \
                 CREATE TRIGGER keep BEFORE DELETE ON tasks FOR EACH ROW EXECUTE FUNCTION keep()"
            ) }
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
        match env.url().starts_with("sqlite") {
            // What a trigger writes is looked at when everything else is done.
            true => env.sql(
                "CREATE TABLE child (id integer PRIMARY KEY); \
                 CREATE TABLE audit (child integer REFERENCES child (id) DEFERRABLE INITIALLY DEFERRED); \
                 CREATE TRIGGER audit AFTER DELETE ON tasks WHEN old.id = 7 BEGIN INSERT INTO audit VALUES (70); END"
            ),
            // Each firing puts off the next, past every SET CONSTRAINTS.
            false => env.sql(
                "CREATE TABLE audit (task integer, depth integer); \
                 CREATE FUNCTION put_off() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN \
                 SET CONSTRAINTS ALL DEFERRED; \
                 IF TG_OP = 'DELETE' THEN IF old.id = 7 THEN INSERT INTO audit VALUES (old.id, 1); END IF; \
                 ELSIF new.depth < 9 THEN INSERT INTO audit VALUES (new.task, new.depth + 1); \
                 ELSE RAISE EXCEPTION 'seven is kept after all'; END IF; RETURN NULL; END $$; \
                 CREATE CONSTRAINT TRIGGER audit AFTER DELETE ON tasks DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION put_off(); \
                 CREATE CONSTRAINT TRIGGER audit AFTER INSERT ON audit DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION put_off()"
            ),
        }
        let result = cleanup(&env, 1, &["--only", "tasks"]);
        assert_eq!(ids(&env), ["7"], "{result:#}");
        assert_eq!(result["tasks_cleaned"], 19);
        let said = message(&result, "row_refused");
        assert!(said.contains("task_7") && said.contains("its files were gone already"), "{said}");
        nothing_is_lost(&env, &tasks, &ids(&env), &[]);
        if env.url().starts_with("sqlite") { env.sql("DROP TRIGGER audit") } else { env.sql("DROP TRIGGER audit ON tasks") }
        cleanup(&env, 0, &["--only", "tasks"]);
        assert!(ids(&env).is_empty());
    }
}

#[test]
fn a_role_that_may_not_delete_and_a_server_that_is_only_read_are_told_what_to_do() {
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
