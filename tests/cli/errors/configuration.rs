//! The mapping, the configuration or the arguments are wrong.

use super::*;

/// A usage error may be found by the argument parser, which explains itself on standard error, or later, which gives
/// an error document. Either names the value.
#[track_caller]
fn wrong_usage(env: &TestEnv, arguments: &[&str], named: &str) {
    let finished = env.taskmon(arguments).exits(2);
    if finished.stdout().is_empty() {
        finished.stderr_contains(named);
    } else {
        finished.failure("usage", &[named]);
    }
}

on_each_database! {
    fn a_table_that_is_missing_is_named(env) {
        env.config("[database.tasks]\nfrom = \"no_such_jobs\"\n");
        env.taskmon(STATS).exits(3).failure("mapping_mismatch", &["no_such_jobs"]);
    }

    fn a_status_column_that_is_missing_is_named(env) {
        env.config("[database.tasks]\nstatus = \"no_such_state\"\n");
        env.taskmon(STATS).exits(3).failure("mapping_mismatch", &["no_such_state"]);
    }

    fn a_key_column_that_is_missing_is_named(env) {
        env.config("[database.tasks]\nkey = [\"no_such_key\"]\n");
        env.taskmon(STATS).exits(3).failure("mapping_mismatch", &["no_such_key"]);
    }

    fn a_key_that_is_misspelt_gets_the_nearest_one(env) {
        env.config("statement_timeout_second = 5\n");
        env.taskmon(STATS).exits(2).failure("config_invalid", &["statement_timeout_second", "statement_timeout_seconds"]);
        env.config("[stats]\nreport_dir = \"x\"\n");
        env.taskmon(STATS).exits(2).failure("config_invalid", &["report_dir", "reports_dir"]);
        env.config("[database.tasks]\nstatsu = \"x\"\n");
        env.taskmon(STATS).exits(2).failure("config_invalid", &["statsu", "status"]);
    }

    fn bad_dates_numbers_and_formats_are_wrong_usage(env) {
        wrong_usage(&env, &["stats", "--date", "2026-13-01"], "2026-13-01");
        wrong_usage(&env, &["stats", "--date", "2026-02-29"], "does not exist");
        wrong_usage(&env, &["stats", "--date", "2999-12-31"], "a day in the future: today is 2");
        wrong_usage(&env, &["stats", "--date", "yesterday-ish"], "yesterday-ish");
        wrong_usage(&env, &["stats", "--days", "0"], "0");
        wrong_usage(&env, &["stats", "--days", "-1"], "-1");
        wrong_usage(&env, &["stats", "--output", "xml"], "xml");
        wrong_usage(&env, &["stats", "--no-such-flag"], "--no-such-flag");
        wrong_usage(&env, &["stats", "surplus"], "surplus");
        assert!(!env.path("reports").exists(), "{}", env.tree());
    }

    fn a_zone_that_does_not_exist_is_named(env) {
        env.config_in("Asia/Shangai", "");
        env.taskmon(STATS).exits(2).failure("config_invalid", &["Asia/Shangai"]);
        env.config("naive_timestamps = \"Mars/Base\"\n");
        env.taskmon(STATS).exits(2).failure("config_invalid", &["Mars/Base"]);
    }

    fn the_configuration_file_that_was_named_must_be_there(env) {
        let finished = env.taskmon(STATS).arg("--config").arg("missing.toml").exits(2);
        finished.failure("config_unreadable", &["missing.toml"]);
        let finished = env.taskmon(STATS).env("TASKMON_CONFIG", "missing.toml").exits(2);
        finished.failure("config_unreadable", &["missing.toml"]);
    }

    fn a_file_that_is_no_toml_is_named_with_the_line(env) {
        env.write("taskmon.toml", "timezone = \"Asia/Shanghai\"\nlanguage = zh\n");
        env.taskmon(STATS).exits(2).failure("config_invalid", &["taskmon.toml", "2"]);
    }
}

/// Found when a sweep begins, it would be found after rows were deleted.
#[test]
fn a_pattern_that_is_no_glob_is_refused_by_every_command() {
    let env = TestEnv::sqlite();
    // One that stays, by which the clock can be right, and one that would go.
    let now = chrono::Utc::now().format("%Y-%m-%d %H:%M:%S").to_string();
    env.insert([Task::new(1).at(&now), Task::new(2).at(&crate::support::rows::long_ago())]);
    env.sql("UPDATE tasks SET image_path = NULL, document_path = NULL, screenshot_path = NULL");
    let count = "SELECT count(*) FROM tasks";
    let tasks = || env.connection().query_row(count, [], |row| row.get::<_, i64>(0)).unwrap();
    for (line, named) in [
        ("log_patterns = ['{a']", ["cleanup.log_patterns[1]", "\"{a\"; expected a glob"]),
        ("protect = ['*.keep', '[a']", ["cleanup.protect[2]", "\"[a\"; expected a glob"]),
        ("protect = ['a//b']", ["cleanup.protect[1]", "two slashes"]),
        ("log_patterns = ['*.log', '[z-a]']", ["cleanup.log_patterns[2]", "a range ends"]),
        ("protect = ['']", ["cleanup.protect[1]", "not empty"]),
    ] {
        env.config(&format!("[cleanup]\n{line}"));
        for words in [&["cleanup"][..], &STATS, &["disk"], &["alert"], &["config"]] {
            let refused = env.taskmon(words).run();
            assert_eq!(tasks(), 2, "{line}: {words:?}");
            assert_eq!(refused.code, Some(2), "{line}: {words:?}");
            refused.failure("config_invalid", &["taskmon.toml", "line 8", named[0], named[1]]);
        }
        let found = env.taskmon(["check"]).run();
        found.stderr();
        assert_ne!(found.code, Some(0));
        found.stdout_contains(named[0]).stdout_contains("line 8");
    }
}
