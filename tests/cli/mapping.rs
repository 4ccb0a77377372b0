//! Mappings of custom tables: the check and cleanup name what does not fit.

use crate::cli::check::{assert_check, run_check};
use crate::on_each_database;
use crate::support::env::TestEnv;
use crate::support::rows::long_ago;

/// The mapping of a custom table, with more fields.
pub fn custom_mapping(env: &TestEnv, more: &str) -> String {
    format!(
        "timezone = 'UTC'\nlanguage = 'en'\n[database]\nurl = '{}'\n[cleanup]\nstorage_roots = []\n[database.tasks]\nfrom = 'jobs'\ndelete_from = 'jobs'\n\
         key = ['id']\nlabel = 'id'\nstatus = 'state'\ncreated_at = 'made_at'\nstarted_at = ''\ncompleted_at = ''\nupdated_at = ''\nprocessing_time = ''\n\
         error_message = ''\nretry_count = ''\nqueue = ''\n{more}[database.tasks.states]\ncompleted = ['done']\n[database.receipts]\nenabled = false\n",
        env.url()
    )
}

on_each_database! {
    fn a_key_that_delete_from_does_not_have_is_named_before_anything_is_deleted(env) {
        env.sql(&format!(
            "CREATE TABLE jobs (other_id integer PRIMARY KEY, state text, made_at text);
             INSERT INTO jobs VALUES (1, 'done', '{}')",
            long_ago()
        ));
        let time = if env.url().starts_with("sqlite") { "made_at" } else { "made_at::timestamptz AS made_at" };
        env.sql(&format!("CREATE VIEW seen AS SELECT other_id AS id, state, {time} FROM jobs"));
        let config = custom_mapping(&env, "name = ''\nlink = ''\nguard = ''\nfiles = []\n");
        env.write("taskmon.toml", &config.replace("from = 'jobs'\ndelete", "from = 'seen'\ndelete"));
        let named = "database.tasks.key[1]: \"jobs\", which rows are deleted from, has no \"id\"";
        let found = run_check(&env, &[], 1);
        let mapping = found["mapping"]["message"].as_str().unwrap();
        assert!(mapping.contains(named), "{mapping}");
        let error = env.taskmon(["-q", "-q", "cleanup", "--only", "tasks"]).exits(3).json()["error"]["message"].clone();
        assert!(error.as_str().unwrap().contains(named), "{error}");
    }

    fn an_expression_of_cleanup_that_fails_on_a_row_is_named_before_and_while_it_runs(env) {
        // The overflow takes the place of a cast: both databases have one.
        let made = format!("'{}'", long_ago());
        let column = if env.url().starts_with("sqlite") { "text" } else { "timestamptz" };
        env.sql(&format!(
            "CREATE TABLE jobs (id integer PRIMARY KEY, state text, made_at {column}, size bigint);
             INSERT INTO jobs VALUES (1, 'done', {made}, 0), (2, 'done', {made}, 1)"
        ));
        let fails = "abs(-9223372036854775807 - size)";
        for (field, expression) in [
            ("guard", format!("{fails} > 0")),
            ("name", fails.to_owned()),
            ("link", fails.to_owned()),
            ("files[1]", format!("CAST({fails} AS text)")),
            ("status", format!("CASE WHEN {fails} > 0 THEN state END")),
            ("label", fails.to_owned()),
        ] {
            let given = |name: &str| match field {
                "files[1]" if name == "files" => format!("files = ['{expression}']\n"),
                field if field == name => format!("{name} = '{expression}'\n"),
                _ if name == "files" => "files = []\n".to_owned(),
                _ => format!("{name} = ''\n"),
            };
            let more: String = ["name", "link", "guard", "files"].map(given).concat();
            let mut config = custom_mapping(&env, &more);
            for (name, value) in [("status", "state"), ("label", "id")] {
                if field == name {
                    config = config.replace(&format!("\n{name} = '{value}'"), &format!("\n{name} = '{expression}'"));
                }
            }
            env.write("taskmon.toml", &config.replace("[cleanup]", "[cleanup]\nclock_gap_days = 0"));
            let named = format!("database.tasks.{field}: \"{expression}\" cannot be computed: ");
            let found = run_check(&env, &[], 1);
            let mapping = found["mapping"]["message"].as_str().unwrap();
            assert!(mapping.contains(&named), "{named} in {mapping}");
            // What cleanup does not read, it does not fail on.
            if ["name", "link"].contains(&field) {
                continue;
            }
            let arguments = ["-q", "-q", "cleanup", "--only", "tasks", "--completed-tasks-days", "1", "--failed-tasks-days", "1"];
            let error = env.taskmon(arguments).exits(3).json()["error"]["message"].clone();
            assert!(error.as_str().unwrap().contains(&named), "{named} in {error}");
        }
    }
}

#[test]
fn the_check_and_cleanup_agree_on_a_mapping_without_delete_from() {
    for from in ["jobs", "seen", "jobs AS j JOIN kinds ON kind = j.state"] {
        let env = TestEnv::sqlite();
        env.sql(
            "CREATE TABLE jobs (id integer PRIMARY KEY, state text, made_at text); CREATE TABLE kinds (kind text);
             CREATE VIEW seen AS SELECT * FROM jobs",
        );
        let config = custom_mapping(&env, "name = ''\nlink = ''\nguard = ''\nfiles = []\n");
        let with = |delete_from: &str| {
            let changed = config.replace(
                "from = 'jobs'\ndelete_from = 'jobs'\n",
                &format!("from = '{from}'\n{delete_from}"),
            );
            env.write("taskmon.toml", &changed);
        };
        let cleanup = ["-q", "-q", "cleanup", "--only", "tasks"];
        with("");
        assert_check(
            &run_check(&env, &[], 1),
            "mapping",
            "failed",
            &["database.tasks.delete_from"],
        );
        env.taskmon(cleanup).exits(2).failure("config_invalid", &["database.tasks.delete_from"]);
        with("delete_from = ''\n");
        run_check(&env, &[], 0);
        let kept = env.taskmon(cleanup).success().json();
        assert!(kept["notes"][0].as_str().unwrap().contains("delete_from"), "{kept}");
    }
}

#[test]
fn a_key_that_means_another_column_in_the_table_beneath_a_view_is_noticed() {
    let env = TestEnv::postgres();
    env.sql(&format!(
        "CREATE TABLE jobs (id bigint PRIMARY KEY, other_id bigint UNIQUE, state text, made_at timestamptz);
         INSERT INTO jobs SELECT n, 11 - n, 'done', timestamptz '{}' + n * interval '1 hour' FROM generate_series(1, 10) AS n;
         CREATE VIEW seen AS SELECT other_id AS id, state, made_at FROM jobs;
         CREATE VIEW same AS SELECT id, upper(state) AS state, made_at FROM jobs",
        long_ago()
    ));
    let config = custom_mapping(&env, "name = ''\nlink = ''\nguard = ''\nfiles = []\n");
    let from = |view: &str| {
        env.write(
            "taskmon.toml",
            &config.replace("from = 'jobs'\ndelete", &format!("from = '{view}'\ndelete")),
        )
    };
    from("seen");
    let found = run_check(&env, &[], 1);
    assert_check(
        &found,
        "mapping",
        "failed",
        &["database.tasks.key", "made_at differs in 10 rows", "under its own name"],
    );
    from("same");
    run_check(&env, &[], 0);
}
