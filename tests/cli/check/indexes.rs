//! Indexes that are missing, and the statements that make them.

use super::*;
use crate::cli::mapping::custom_mapping;

/// Runs what the check proposes, and says what it said of the indexes.
fn proposed(env: &TestEnv) -> Vec<String> {
    let found = run_check(env, &[], 0);
    let hint = found["indexes"]["hint"].as_str().unwrap_or_default();
    let statements = hint.split("; ").filter(|statement| !statement.is_empty());
    statements.map(str::to_owned).collect()
}

on_each_database! {
    fn statements_that_it_proposes_make_the_indexes_that_are_missing(env) {
        env.sql("DROP INDEX idx_tasks_tracking_number");
        let found = run_check(&env, &[], 0);
        assert_check(&found, "indexes", "warning", &["CREATE INDEX", "tasks (tracking_number)"]);
        let hint = found["indexes"]["hint"].as_str().unwrap();
        for statement in hint.split("; ") {
            // CONCURRENTLY takes a transaction of its own.
            env.sql(&statement.replace("CONCURRENTLY ", ""));
        }
        assert_check(&run_check(&env, &[], 0), "indexes", "ok", &[]);
    }
}

#[test]
fn an_index_that_is_proposed_can_be_made_and_is_found_again_on_each_kind_of_table() {
    let table = "id bigint, \"State\" text, state text, made_at timestamptz, PRIMARY KEY (id)";
    for (kind, schema, from, status, created) in [
        ("a table", format!("CREATE TABLE jobs ({table})"), "jobs", "state", "made_at"),
        (
            "a partitioned table",
            format!(
                "CREATE TABLE jobs ({table}) PARTITION BY RANGE (id); CREATE TABLE jobs_1 PARTITION OF jobs DEFAULT"
            ),
            "jobs",
            "state",
            "made_at",
        ),
        ("quoted", format!("CREATE TABLE jobs ({table})"), "jobs", "\"State\"", "made_at"),
        (
            "qualified",
            format!("CREATE TABLE jobs ({table})"),
            "public.jobs",
            "jobs.state",
            "jobs.made_at",
        ),
        (
            "an expression",
            format!("CREATE TABLE jobs ({table})"),
            "jobs",
            "lower(state)",
            "made_at",
        ),
        (
            "a view",
            format!(
                "CREATE TABLE jobs ({table}); CREATE VIEW open_jobs AS SELECT id, state AS is_in, made_at FROM jobs WHERE state <> 'x'"
            ),
            "open_jobs",
            "is_in",
            "made_at",
        ),
        ("an alias", format!("CREATE TABLE jobs ({table})"), "jobs AS j", "j.state", "j.made_at"),
        (
            "a FROM clause",
            format!("CREATE TABLE jobs ({table}); CREATE TABLE kinds (kind text)"),
            "jobs AS j LEFT JOIN kinds ON kind = j.state",
            "j.state",
            "made_at",
        ),
    ] {
        let env = TestEnv::postgres();
        env.sql(&schema);
        let config = custom_mapping(&env, "name = ''\nlink = ''\nguard = ''\nfiles = []\n")
            .replace("from = 'jobs'\ndelete", &format!("from = '{from}'\ndelete"))
            .replace("status = 'state'", &format!("status = '{status}'"))
            .replace("created_at = 'made_at'", &format!("created_at = '{created}'"));
        env.write("taskmon.toml", &config);
        let statements = proposed(&env);
        assert_eq!(statements.len(), 1, "{kind}: {statements:?}");
        let mut client = env.client();
        for statement in &statements {
            client
                .batch_execute(statement)
                .unwrap_or_else(|error| panic!("{kind}: {statement}: {error}"));
        }
        assert_check(&run_check(&env, &[], 0), "indexes", "ok", &[]);
    }
}

#[test]
fn an_expression_that_cannot_be_indexed_is_explained_without_a_statement() {
    let env = TestEnv::postgres();
    env.sql(
        "CREATE TABLE jobs (id bigint PRIMARY KEY, state text, made_at timestamptz, at_text text);
         CREATE VIEW seen AS SELECT id, upper(state) AS state, made_at FROM jobs",
    );
    let config = custom_mapping(&env, "name = ''\nlink = ''\nguard = ''\nfiles = []\n");
    env.write("taskmon.toml", &config.replace("'made_at'", "'at_text::timestamptz'"));
    let found = run_check(&env, &[], 0);
    assert_check(&found, "indexes", "warning", &["at_text::timestamptz", "immutable"]);
    let hint = found["indexes"]["hint"].as_str().unwrap();
    assert!(!hint.contains("CREATE") && hint.contains("slower"), "{found:#?}");
    env.write("taskmon.toml", &config.replace("from = 'jobs'\ndelete", "from = 'seen'\ndelete"));
    let found = run_check(&env, &[], 0);
    assert_check(&found, "indexes", "warning", &["seen", "computed"]);
    let hint = found["indexes"]["hint"].as_str().unwrap();
    assert!(!hint.contains("CREATE") && hint.contains("slower"), "{found:#?}");
}

#[test]
fn an_index_that_sqlite_would_refuse_is_not_proposed() {
    let env = TestEnv::sqlite();
    env.sql(
        "CREATE TABLE jobs (id integer PRIMARY KEY, state text, made_at text, number text);
         CREATE VIEW seen AS SELECT * FROM jobs",
    );
    let receipts = "[database.receipts]\nenabled = true\nfrom = 'delivery_receipts'\n";
    let config = custom_mapping(&env, "name = ''\nlink = 'jobs.number'\nguard = ''\nfiles = []\n")
        .replace("[database.receipts]\nenabled = false\n", receipts);
    env.write("taskmon.toml", &config);
    let statements = proposed(&env);
    assert_eq!(statements.len(), 1, "{statements:?}");
    env.sql(&statements[0]);
    assert_check(&run_check(&env, &[], 0), "indexes", "ok", &[]);
    env.sql("DROP INDEX taskmon_jobs_1");
    env.write(
        "taskmon.toml",
        &config
            .replace("from = 'jobs'\ndelete", "from = 'seen'\ndelete")
            .replace("jobs.number", "number"),
    );
    let found = run_check(&env, &[], 0);
    assert_check(&found, "indexes", "warning", &["seen", "views may not be indexed"]);
    let hint = found["indexes"]["hint"].as_str().unwrap();
    assert!(!hint.contains("CREATE") && hint.contains("slower"), "{found:#?}");
}

#[test]
fn an_index_is_proposed_where_no_temporary_table_may_be_made_to_try_it_on() {
    let env = TestEnv::postgres();
    let role = env.role("");
    env.sql(&format!(
        "DROP INDEX idx_tasks_tracking_number; REVOKE TEMPORARY ON DATABASE {} FROM PUBLIC;
         GRANT DELETE ON ALL TABLES IN SCHEMA public TO {role}",
        env.name()
    ));
    let found = run_check(&env, &["--database-url", &env.url_of(&role)], 0);
    let hint = found["indexes"]["hint"].as_str().unwrap();
    assert!(hint.contains("CREATE INDEX CONCURRENTLY ON tasks (tracking_number)"), "{hint}");
}
