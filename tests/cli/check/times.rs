//! Time columns that say something else than the mapping believes.

use super::*;

on_each_database! {
    fn each_time_column_is_shown_as_it_is_understood(env) {
        volumes(&env);
        env.insert((1..=3).map(|n| Task::new(n).at(&long_ago())));
        let found = run_check(&env, &[], 0);
        let year = long_ago()[..4].to_owned();
        for column in ["tasks.created_at", "tasks.started_at", "tasks.updated_at", "tasks.completed_at"] {
            let findings = found["mapping"]["findings"].as_array().unwrap();
            let of_column = |finding: &&Value| finding["message"].as_str().unwrap().starts_with(column);
            let finding = findings.iter().find(of_column).unwrap();
            assert!(finding["message"].as_str().unwrap().contains(&format!("from {year}")), "{finding}");
        }
        assert_check(&found, "mapping", "ok", &["receipts.created_at has no values"]);
    }

    fn dates_that_mean_not_set_and_times_to_come_fail(env) {
        volumes(&env);
        for (wrong, shown) in [("0001-01-01 00:00:00", "0001"), ("9999-12-31 00:00:00", "9999")] {
            env.sql("DELETE FROM tasks");
            env.insert([Task::new(1), Task::new(2).with("completed_at", wrong)]);
            assert_check(&run_check(&env, &[], 1), "mapping", "failed", &["tasks.completed_at: 1 of 2", shown, "NULL"]);
        }
    }
}

#[test]
fn numbers_of_another_kind_get_the_expression_that_converts_them() {
    let env = TestEnv::sqlite();
    volumes(&env);
    env.insert((1..=2).map(Task::new));
    for (value, hint) in [
        ("julianday('now')", "(x - 2440587.5) * 86400"),
        ("CAST(strftime('%Y%m%d', 'now') AS INTEGER)", "YYYYMMDD"),
        ("CAST(strftime('%s', 'now') AS INTEGER) - 978307200", "x + 978307200"),
        ("julianday('now') - 2415018.5", "(x - 25569) * 86400"),
    ] {
        env.sql(&format!("UPDATE tasks SET created_at = {value}"));
        assert_check(
            &run_check(&env, &[], 1),
            "mapping",
            "failed",
            &["tasks.created_at: 2 of 2", hint],
        );
    }
    env.sql("UPDATE tasks SET created_at = CAST(strftime('%s', 'now') AS INTEGER)");
    env.sql("UPDATE tasks SET created_at = datetime('now') WHERE id = 1");
    assert_check(&run_check(&env, &[], 1), "mapping", "failed", &["numbers, text without zone"]);
}

#[test]
fn what_is_no_time_in_postgresql_gets_a_hint_that_works() {
    let env = TestEnv::postgres();
    volumes(&env);
    env.insert([Task::new(1)]);
    env.sql(
        "CREATE DOMAIN moment AS timestamp; CREATE DOMAIN seconds AS bigint; \
         ALTER TABLE tasks ADD COLUMN ms bigint, ADD COLUMN us bigint, ADD COLUMN \"createdAt\" timestamp, ADD COLUMN words text, \
         ADD COLUMN digits text, ADD COLUMN document jsonb, ADD COLUMN at moment, ADD COLUMN counted seconds; \
         UPDATE tasks SET counted = extract(epoch FROM created_at), words = created_at::text, document = to_jsonb(created_at), \
         at = created_at, \"createdAt\" = created_at; \
         UPDATE tasks SET ms = 1000 * counted, us = 1000000 * counted, digits = counted::text",
    );
    for (expression, hint, right) in [
        ("ms", "to_timestamp(ms / 1000.0)", "to_timestamp(ms / 1000.0)"),
        ("us", "/ 1e6 for microseconds", "to_timestamp(us / 1e6)"),
        ("counted", "to_timestamp(counted)", "to_timestamp(counted)"),
        ("words", "(words)::timestamptz", "(words)::timestamptz"),
        ("digits", "to_timestamp((digits)::numeric)", "to_timestamp((digits)::numeric)"),
        ("document", "(document #>> '{}')::timestamptz", "(document #>> '{}')::timestamptz"),
        ("at", "(at)::timestamp", "(at)::timestamp"),
        ("createdAt", "created_at = \"\\\"createdAt\\\"\"", "\\\"createdAt\\\""),
    ] {
        env.config(&format!("[database.tasks]\ncreated_at = \"{expression}\""));
        let found = run_check(&env, &[], 1);
        let said: Vec<&str> = found["mapping"]["findings"]
            .as_array()
            .unwrap()
            .iter()
            .filter_map(|finding| finding["hint"].as_str())
            .collect();
        assert!(said.iter().any(|said| said.contains(hint)), "{expression}: {said:#?}");
        env.config(&format!("[database.tasks]\ncreated_at = \"{right}\""));
        assert_check(&run_check(&env, &[], 0), "database", "ok", &[]);
    }
    for (wrong, hint) in [
        ("to_timestamp(ms / 1000000.0)", "to_timestamp(x) instead of"),
        ("to_timestamp(ms)", "to_timestamp(x / 1000.0) instead of"),
        ("to_timestamp(us / 1000.0)", "x / 1e6 instead of x / 1000.0"),
    ] {
        env.config(&format!("[database.tasks]\ncreated_at = \"{wrong}\""));
        let found = run_check(&env, &[], 1);
        assert_check(&found, "mapping", "failed", &["tasks.created_at: 1 of 1", hint]);
    }
}
