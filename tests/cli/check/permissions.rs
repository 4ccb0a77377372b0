//! What the role, and the user, may not do.

use super::*;
use crate::cli::cleanup::AS_OF;

fn url_option(env: &TestEnv, user: &str) -> [String; 2] {
    ["--database-url".into(), env.url_of(user)]
}

#[test]
fn a_role_that_may_not_delete_gets_the_statements_to_grant_it() {
    let env = TestEnv::postgres();
    let role = env.role("");
    let option = url_option(&env, &role);
    let found = run_check(&env, &[&option[0], &option[1]], 1);
    let grant = format!("GRANT DELETE ON tasks TO {role}");
    assert_check(
        &found,
        "permissions",
        "failed",
        &["DELETE", "tasks", "delivery_receipts", "tracking_info", &grant],
    );
    assert_check(&found, "database", "ok", &[&role]);
    assert_check(&found, "mapping", "ok", &[]);
    // What it proposes is enough.
    for statement in found["permissions"]["hint"].as_str().unwrap().split("; ") {
        env.sql(statement);
    }
    assert_check(&run_check(&env, &[&option[0], &option[1]], 0), "permissions", "ok", &[]);
}

#[test]
fn a_role_that_may_not_read_gets_the_statement_to_grant_it() {
    let env = TestEnv::postgres();
    let role = env.role("");
    env.sql(&format!(
        "REVOKE SELECT ON tasks FROM {role}; GRANT DELETE ON ALL TABLES IN SCHEMA public TO {role}"
    ));
    let option = url_option(&env, &role);
    let found = run_check(&env, &[&option[0], &option[1]], 1);
    assert_check(&found, "permissions", "failed", &[&format!("GRANT SELECT ON tasks TO {role}")]);
    assert_check(&found, "mapping", "skipped", &["permission denied"]);
    assert_check(&found, "database", "ok", &[]);
}

#[test]
fn rights_on_the_columns_that_are_read_are_enough() {
    let env = TestEnv::postgres();
    volumes(&env);
    env.insert([Task::new(1)]);
    let role = env.role("");
    let unread = ["description", "remarks", "qr_code"];
    let columns = "SELECT string_agg(quote_ident(column_name), ', ') FROM information_schema.columns \
                   WHERE table_schema = 'public' AND table_name = 'tasks' AND column_name <> ALL ($1)";
    let columns: String = env.client().query_one(columns, &[&unread.as_slice()]).unwrap().get(0);
    env.sql(&format!(
        "REVOKE SELECT ON tasks FROM {role}; GRANT SELECT ({columns}), DELETE ON tasks TO {role}; GRANT DELETE ON ALL TABLES IN SCHEMA public TO {role}"
    ));
    let option = url_option(&env, &role);
    let arguments = [option[0].as_str(), &option[1]];
    let found = run_check(&env, &arguments, 0);
    for name in ["permissions", "mapping"] {
        assert_check(&found, name, "ok", &[]);
    }
    let report = ["-q", "-q", "stats", "--no-save", "--no-alert", "--date", DAY];
    env.taskmon(report.iter().chain(&arguments).copied()).exits(0).json();
    let cleanup = ["-q", "-q", "cleanup", "--only", "tasks", "--as-of", AS_OF];
    env.taskmon(cleanup.iter().chain(&arguments).copied()).exits(0).json();
    env.sql(&format!("REVOKE SELECT (image_path) ON tasks FROM {role}"));
    let found = run_check(&env, &arguments, 1);
    assert_check(&found, "permissions", "failed", &[&format!("GRANT SELECT ON tasks TO {role}")]);
}

#[test]
fn a_role_without_usage_of_the_schema_gets_the_statement_to_grant_it() {
    let env = TestEnv::postgres();
    let role = env.role("");
    env.sql(&format!(
        "CREATE SCHEMA \"Shop a\"; ALTER TABLE tasks SET SCHEMA \"Shop a\";
         GRANT DELETE ON ALL TABLES IN SCHEMA public TO {role}; GRANT SELECT, DELETE ON \"Shop a\".tasks TO {role};
         ALTER ROLE {role} SET search_path = public, \"Shop a\""
    ));
    let config = env.read("taskmon.toml");
    let option = url_option(&env, &role);
    let arguments = [option[0].as_str(), &option[1]];
    let grant = format!("GRANT USAGE ON SCHEMA \"Shop a\" TO {role}");
    let named = "from = '\"Shop a\".tasks'\ndelete_from = '\"Shop a\".tasks'";
    for section in ["", &format!("\n[database.tasks]\n{named}\n")] {
        env.write("taskmon.toml", &format!("{config}{section}"));
        let found = run_check(&env, &arguments, 1);
        assert_check(&found, "permissions", "failed", &["USAGE"]);
        assert_eq!(found["permissions"]["hint"], *grant);
    }
    // Within a FROM clause, too.
    let clause = "from = '\"Shop a\".tasks AS t JOIN (SELECT 1) AS one ON true'\ndelete_from = ''";
    env.write("taskmon.toml", &format!("{config}\n[database.tasks]\n{clause}\n"));
    let found = run_check(&env, &arguments, 1);
    assert_check(&found, "permissions", "failed", &["permission denied for schema"]);
    env.write("taskmon.toml", &config);
    env.sql(&grant);
    assert_check(&run_check(&env, &arguments, 0), "permissions", "ok", &[]);
}

#[test]
fn a_standby_is_no_place_to_delete_from() {
    let env = TestEnv::postgres();
    let url = format!("postgresql://postgres@127.0.0.1:{}/{}", plain_port(), env.name());
    wait_until("the standby has the tables", || {
        let tried = env.taskmon(["stats", "--no-save", "--no-alert", "--database-url", &url]).run();
        tried.stdout();
        tried.stderr();
        tried.code == Some(0)
    });
    let found = run_check(&env, &["--database-url", &url], 1);
    assert_check(&found, "permissions", "failed", &["standby"]);
    assert_check(&found, "database", "ok", &[]);
    let role = env.role("");
    env.sql(&format!("GRANT DELETE ON ALL TABLES IN SCHEMA public TO {role}; ALTER ROLE {role} SET default_transaction_read_only = on"));
    let option = url_option(&env, &role);
    let found = run_check(&env, &[&option[0], &option[1]], 1);
    assert_check(&found, "permissions", "failed", &["default_transaction_read_only"]);
}

/// As a user that is not root, which may do everything.
#[test]
fn folders_and_a_file_that_cannot_be_written_to() {
    let env = TestEnv::sqlite();
    volumes(&env);
    env.write("reports/daily/x", "");
    let mode = |path: &str, mode: u32| {
        std::fs::set_permissions(env.path(path), std::fs::Permissions::from_mode(mode)).unwrap();
    };
    for (path, bits) in [("tasks.db", 0o444), ("reports/daily", 0o555), (".", 0o555)] {
        mode(path, bits);
    }
    let finished = if rustix::process::geteuid().is_root() {
        let words = ["--reuid=65534", "--regid=65534", "--clear-groups"];
        let command = [env!("CARGO_BIN_EXE_taskmon"), "check"];
        env.program("/usr/bin/setpriv", words.into_iter().chain(command)).run()
    } else {
        env.taskmon(["check"]).run()
    };
    mode(".", 0o755);
    mode("reports/daily", 0o755);
    assert_eq!(finished.code, Some(1));
    let result = finished.json();
    let mut checks = result["checks"].as_array().unwrap().iter();
    let permissions = checks.find(|check| check["name"] == "permissions").unwrap();
    assert_eq!(permissions["status"], "failed");
    let message = permissions["message"].as_str().unwrap();
    for part in ["tasks.db", "stats.reports_dir", "alerts.logs_dir", "Permission denied"] {
        assert!(message.contains(part), "{part} in {message}");
    }
}
