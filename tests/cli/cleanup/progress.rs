//! Batches, and what is said while they go.

use super::*;

on_each_database! {
    fn a_full_standard_output_is_exit_3_and_the_work_is_done(env) {
        let tasks: Vec<Task> = (1..=20).map(old).collect();
        prepare(&env, &tasks);
        let full = std::fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
        let output = env.taskmon(arguments(&[]))
            .command()
            .args(["-v"])
            .stdout(full)
            .stderr(Stdio::piped())
            .spawn()
            .unwrap()
            .wait_with_output()
            .unwrap();
        assert_eq!(output.status.code(), Some(3));
        assert!(ids(&env).is_empty());
        assert_nothing_lost(&env, &tasks, &[], &[]);
    }
}

#[test]
fn no_statement_deletes_more_than_a_batch() {
    let env = TestEnv::postgres();
    prepare(&env, &(1..=100).map(old).collect::<Vec<_>>());
    env.sql(
        "CREATE FUNCTION bounded() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN \
         IF (SELECT count(*) FROM gone) > 7 THEN RAISE EXCEPTION 'unbounded'; END IF; RETURN NULL; END $$; \
         CREATE TRIGGER bounded AFTER DELETE ON tasks REFERENCING OLD TABLE AS gone FOR EACH STATEMENT EXECUTE FUNCTION bounded()",
    );
    let result = cleanup(&env, 0, &["--only", "tasks", "--batch-size", "7"]);
    assert_eq!(result["tasks_cleaned"], 100);
}

#[test]
fn progress_is_shown_on_a_terminal_and_not_to_cron() {
    let env = TestEnv::sqlite();
    prepare(&env, &(1..=300).map(old).collect::<Vec<_>>());
    let command =
        format!("taskmon cleanup --as-of {AS_OF} --only tasks --batch-size 5 > result.json");
    let shown = env
        .program("/usr/bin/script", ["-qec", &command, "/dev/null"])
        .env("TERM", "xterm")
        .success();
    shown.stdout_contains("/300 rows");
    shown.stdout_contains("MB freed");
    let result: Value = serde_json::from_str(&env.read("result.json")).unwrap();
    assert_eq!(result["tasks_cleaned"], 300);
    let quiet = env.taskmon(["cleanup", "--as-of", AS_OF, "--only", "tasks"]).success();
    assert_eq!(quiet.stderr(), "");
    quiet.json();
}
