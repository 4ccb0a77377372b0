//! PostgreSQL as people have it: URLs, password files, sockets, TLS, a standby, few connections.

use crate::cli::stats::DAY;
use crate::support::env::{PASSWORD, PASSWORD_IN_URL, TestEnv, plain_port, port, variable};
use crate::support::rows::Task;
use crate::support::wait_until;
use serde_json::Value;
use std::os::unix::fs::PermissionsExt;

const STATS: [&str; 4] = ["stats", "--date", DAY, "--no-save"];

/// Three tasks of the day and a configuration without a URL, so that the environment gives it.
fn three_tasks() -> TestEnv {
    let env = TestEnv::postgres();
    env.insert([Task::new(1), Task::new(2).failed("任务超时"), Task::new(3).status("PENDING")]);
    env.write("taskmon.toml", "timezone = \"Asia/Shanghai\"\n");
    env
}

#[track_caller]
fn reads_all_three(env: &TestEnv, url: &str, variables: &[(&str, &str)]) -> Value {
    let mut run = env.taskmon(STATS).env("TASKMON_DATABASE_URL", url);
    for (name, value) in variables {
        run = run.env(name, *value);
    }
    let report = run.success().json();
    assert_eq!(report["task_statistics"]["total_tasks"], 3, "{url}");
    report
}

#[track_caller]
fn assert_fails(env: &TestEnv, url: &str, variables: &[(&str, &str)], kind: &str) {
    let mut run = env.taskmon(STATS).env("TASKMON_DATABASE_URL", url);
    for (name, value) in variables {
        run = run.env(name, *value);
    }
    run.exits(3).failure(kind, &[]);
}

#[test]
fn urls_of_libpq_and_of_sqlalchemy_mean_the_same() {
    let env = three_tasks();
    let rest = format!("://postgres@127.0.0.1:{}/{}", port(), env.name());
    for scheme in [
        "postgres",
        "postgresql",
        "postgresql+psycopg2",
        "postgresql+psycopg",
        "postgresql+asyncpg",
        "postgresql+pg8000",
    ] {
        reads_all_three(&env, &format!("{scheme}{rest}"), &[]);
    }
    reads_all_three(
        &env,
        &format!("postgresql://127.0.0.1/?user=postgres&port={}&dbname={}", port(), env.name()),
        &[],
    );
}

#[test]
fn the_first_host_of_several_that_answers_is_taken() {
    let env = three_tasks();
    reads_all_three(
        &env,
        &format!("postgresql://postgres@127.0.0.1:1,127.0.0.1:{}/{}", port(), env.name()),
        &[],
    );
}

#[test]
fn urls_of_sqlite_in_every_form() {
    let env = TestEnv::sqlite();
    env.insert([Task::new(1), Task::new(2), Task::new(3)]);
    env.write("taskmon.toml", "timezone = \"Asia/Shanghai\"\n");
    let absolute = env.path("tasks.db").display().to_string();
    for url in [
        "sqlite:tasks.db".to_owned(),
        format!("sqlite:{absolute}"),
        "sqlite:///tasks.db".to_owned(),
        format!("sqlite:///{absolute}"),
        "sqlite+pysqlite:///tasks.db".to_owned(),
    ] {
        reads_all_three(&env, &url, &[]);
    }
}

#[test]
fn unix_sockets() {
    let env = three_tasks();
    let folder = variable("TASKMON_TEST_PG_SOCKET_DIR");
    let (port, name) = (port(), env.name());
    reads_all_three(&env, &format!("postgresql://postgres@/{name}?host={folder}&port={port}"), &[]);
    reads_all_three(
        &env,
        &format!("postgresql://postgres@{}:{port}/{name}", folder.replace('/', "%2F")),
        &[],
    );
    // Encryption is for the network; a socket has none and needs none, as in libpq.
    let url = format!("postgresql://postgres@/{name}?host={folder}&port={port}&sslmode=require");
    reads_all_three(&env, &url, &[]);
}

#[test]
fn an_ignored_password_file_is_warned_of_once() {
    let env = three_tasks();
    env.write("home/.pgpass", "*:*:*:*:x\n");
    let path = env.path("home/.pgpass");
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o644)).unwrap();
    for arguments in [["stats", "--no-save", "--no-alert"], ["disk", "--no-alert", "-v"]] {
        let finished = env.taskmon(arguments).env("TASKMON_READ_DATABASE_URL", env.url()).success();
        finished.json();
        let said = finished.stderr().matches(".pgpass is ignored: ").count();
        assert_eq!(said, 1, "{}", finished.stderr());
    }
}

#[test]
fn passwords_of_the_url_the_variable_and_the_file() {
    let env = three_tasks();
    let without = env.url_of("locked");
    reads_all_three(&env, &env.url_of(&format!("locked:{PASSWORD_IN_URL}")), &[]);
    reads_all_three(&env, &without, &[("PGPASSWORD", PASSWORD)]);
    assert_fails(&env, &without, &[], "database_refused");

    let line = format!("127.0.0.1:{}:*:locked:{}\n", port(), PASSWORD.replace(':', "\\:"));
    let others = format!(
        "# a comment\nelsewhere:5432:*:locked:wrong\n127.0.0.1:{}:*:postgres:wrong\n{line}",
        port()
    );
    env.write("home/.pgpass", &others);
    readable_by_its_owner_alone(&env, "home/.pgpass");
    reads_all_three(&env, &without, &[]);
    std::fs::remove_file(env.path("home/.pgpass")).unwrap();

    env.write("elsewhere/pass", &line);
    readable_by_its_owner_alone(&env, "elsewhere/pass");
    let file = env.path("elsewhere/pass").display().to_string();
    reads_all_three(&env, &without, &[("PGPASSFILE", &file)]);
    // The nearer source wins: a variable over the file, the URL over both.
    assert_fails(
        &env,
        &without,
        &[("PGPASSFILE", &file), ("PGPASSWORD", "wrong")],
        "database_refused",
    );
    let with = env.url_of(&format!("locked:{PASSWORD_IN_URL}"));
    reads_all_three(&env, &with, &[("PGPASSWORD", "wrong")]);
}

#[test]
fn a_password_file_that_others_may_read_is_not_used() {
    let env = three_tasks();
    env.write("home/.pgpass", &format!("*:*:*:*:{}\n", PASSWORD.replace(':', "\\:")));
    std::fs::set_permissions(env.path("home/.pgpass"), PermissionsExt::from_mode(0o644)).unwrap();
    let finished = env.taskmon(STATS).env("TASKMON_DATABASE_URL", env.url_of("locked")).exits(3);
    finished.stderr_contains(".pgpass");
    assert_eq!(finished.json()["error"]["kind"], "database_refused");
}

fn readable_by_its_owner_alone(env: &TestEnv, file: &str) {
    std::fs::set_permissions(env.path(file), PermissionsExt::from_mode(0o600)).unwrap();
}

/// sslmode, host, authority, server, and what comes of it.
#[test]
fn encryption_is_had_as_asked_for_or_the_run_fails() {
    let env = three_tasks();
    let ca = variable("TASKMON_TEST_PG_CA");
    let wrong = variable("TASKMON_TEST_PG_WRONG_CA");
    let (tls, plain) = (port(), plain_port());
    settle_standby(&env);
    let cases: &[(&str, &str, u16, &str, Option<&str>)] = &[
        ("disable", "127.0.0.1", tls, "", None),
        ("allow", "127.0.0.1", tls, "", None),
        ("prefer", "127.0.0.1", tls, "", None),
        ("require", "127.0.0.1", tls, "", None),
        ("verify-ca", "127.0.0.1", tls, &ca, None),
        ("verify-full", "localhost", tls, &ca, None),
        ("prefer", "127.0.0.1", plain, "", None),
        ("allow", "127.0.0.1", plain, "", None),
        ("disable", "127.0.0.1", plain, "", None),
        ("require", "127.0.0.1", plain, "", Some("tls_failed")),
        ("verify-full", "localhost", plain, &ca, Some("tls_failed")),
        ("verify-ca", "127.0.0.1", tls, &wrong, Some("tls_failed")),
        ("verify-full", "localhost", tls, &wrong, Some("tls_failed")),
        // The certificate names localhost and nothing else.
        ("verify-full", "127.0.0.1", tls, &ca, Some("tls_failed")),
        // A root file turns require into verify-ca, as in libpq.
        ("require", "127.0.0.1", tls, &wrong, Some("tls_failed")),
        ("verify-full", "localhost", tls, "system", Some("tls_failed")),
    ];
    for (mode, host, port, authority, failure) in cases {
        let mut url = format!("postgresql://postgres@{host}:{port}/{}?sslmode={mode}", env.name());
        if !authority.is_empty() {
            url += &format!("&sslrootcert={authority}");
        }
        match failure {
            None => drop(reads_all_three(&env, &url, &[])),
            Some(kind) => assert_fails(&env, &url, &[], kind),
        }
    }
}

#[test]
fn a_server_that_insists_on_encryption_gets_it() {
    let env = three_tasks();
    let url = env.url_of(&format!("tlsonly:{PASSWORD_IN_URL}"));
    for mode in ["allow", "prefer", "require"] {
        reads_all_three(&env, &format!("{url}?sslmode={mode}"), &[]);
    }
    reads_all_three(&env, &url, &[("PGSSLMODE", "require")]);
    assert_fails(&env, &format!("{url}?sslmode=disable"), &[], "database_refused");
    assert_fails(&env, &url, &[("PGSSLMODE", "disable")], "database_refused");
}

#[test]
fn an_authority_file_that_is_missing_is_named() {
    let env = three_tasks();
    let url = format!("{}?sslmode=verify-full&sslrootcert=/nowhere/root.crt", env.url());
    let finished = env.taskmon(STATS).env("TASKMON_DATABASE_URL", url).run();
    assert!(matches!(finished.code, Some(2 | 3)), "{:?}", finished.code);
    let message = finished.json()["error"]["message"].to_string();
    finished.stderr();
    assert!(message.contains("/nowhere/root.crt"), "{message}");
}

/// Waits until the standby has replayed what the primary has written up to now.
fn settle_standby(env: &TestEnv) {
    let written: String =
        env.client().query_one("SELECT pg_current_wal_lsn()::text", &[]).unwrap().get(0);
    let place = format!("host=127.0.0.1 port={} user=postgres dbname=postgres", plain_port());
    let mut standby = postgres::Client::connect(&place, postgres::NoTls).unwrap();
    let reached = format!("SELECT pg_last_wal_replay_lsn() >= '{written}'::pg_lsn");
    wait_until("the standby catches up", || standby.query_one(&reached, &[]).unwrap().get(0));
}

#[test]
fn a_hot_standby_gives_the_same_report() {
    let env = three_tasks();
    env.insert((10..=60).map(|n| Task::new(n).failed("二维码识别失败")));
    settle_standby(&env);
    let report = |port: u16| {
        let url = format!("postgresql://postgres@127.0.0.1:{port}/{}", env.name());
        let report = env.taskmon(STATS).env("TASKMON_DATABASE_URL", url).success().json();
        assert_eq!(report["task_statistics"]["total_tasks"], 54);
        figures(report)
    };
    assert_eq!(report(port()), report(plain_port()));
}

#[test]
fn one_connection_is_enough() {
    let env = three_tasks();
    let role = env.role("CONNECTION LIMIT 1");
    let limited = figures(reads_all_three(&env, &env.url_of(&role), &[]));
    let free = figures(reads_all_three(&env, &env.url(), &[]));
    assert_eq!(limited, free);
}

#[test]
fn a_role_without_any_connection_left_is_unavailable() {
    let env = three_tasks();
    let role = env.role("CONNECTION LIMIT 0");
    let finished = env.taskmon(STATS).env("TASKMON_DATABASE_URL", env.url_of(&role)).exits(3);
    let kind = finished.json()["error"]["kind"].clone();
    finished.stderr();
    assert!(kind == "database_unavailable" || kind == "database_refused", "{kind}");
}

#[test]
fn settings_of_the_role_change_no_figure() {
    let env = three_tasks();
    let role = env.role("");
    let plain = figures(reads_all_three(&env, &env.url_of(&role), &[]));
    env.sql(&format!(
        "ALTER ROLE {role} SET timezone = 'Pacific/Kiritimati'; ALTER ROLE {role} SET datestyle = 'German, DMY';
         ALTER ROLE {role} SET default_transaction_isolation = 'serializable';
         ALTER ROLE {role} SET extra_float_digits = -10; ALTER ROLE {role} SET intervalstyle = 'iso_8601';
         ALTER ROLE {role} SET standard_conforming_strings = off; ALTER ROLE {role} SET client_encoding = 'SQL_ASCII'"
    ));
    assert_eq!(plain, figures(reads_all_three(&env, &env.url_of(&role), &[])));
}

#[test]
fn tables_of_another_schema_are_found_by_name_and_by_search_path() {
    let env = three_tasks();
    env.sql(
        "CREATE SCHEMA app; ALTER TABLE tasks SET SCHEMA app; GRANT USAGE ON SCHEMA app TO PUBLIC",
    );
    let url = format!("{}?options=-c%20search_path%3Dapp", env.url());
    reads_all_three(&env, &url, &[]);
    env.write(
        "taskmon.toml",
        "timezone = \"Asia/Shanghai\"\n[database.tasks]\nfrom = \"app.tasks\"\n",
    );
    reads_all_three(&env, &env.url(), &[]);
}

/// What is counted from the rows, without what differs from run to run.
fn figures(mut report: Value) -> Value {
    let object = report.as_object_mut().unwrap();
    for key in ["generated_at", "execution_time", "system_statistics"] {
        assert!(object.remove(key).is_some(), "{key}");
    }
    report
}

#[test]
fn a_label_that_the_mapping_does_not_know_is_other() {
    let env = three_tasks();
    env.sql("ALTER TYPE taskstatusenum ADD VALUE 'PAUSED'");
    env.insert([Task::new(4).status("PAUSED")]);
    let report = env.taskmon(STATS).env("TASKMON_DATABASE_URL", env.url()).success().json();
    let tasks = &report["task_statistics"];
    assert_eq!(tasks["status_breakdown"]["other"], 1);
    assert_eq!(tasks["raw_status_breakdown"]["PAUSED"], 1);
    assert_eq!(tasks["total_tasks"], 4);
}

#[test]
fn a_label_with_a_quote_and_a_backslash_is_compared_literally() {
    let env = three_tasks();
    env.sql(r"ALTER TYPE taskstatusenum ADD VALUE 'it''s \'' broken'");
    env.insert([Task::new(4).failed("任务超时").status(r"it's \' broken")]);
    env.write(
        "taskmon.toml",
        r#"timezone = "Asia/Shanghai"
           [database.tasks.states]
           failed = ["FAILED", "it's \\' broken"]"#,
    );
    let role = env.role("");
    for reading in ["on", "off"] {
        env.sql(&format!("ALTER ROLE {role} SET standard_conforming_strings = {reading}"));
        let report =
            env.taskmon(STATS).env("TASKMON_DATABASE_URL", env.url_of(&role)).success().json();
        let errors = &report["error_statistics"];
        assert_eq!(errors["total_failed_tasks"], 2, "{reading}");
        assert_eq!(errors["error_categories"]["任务超时"], 2, "{reading}");
    }
}

#[test]
fn a_row_without_a_state_is_counted_as_other() {
    let env = three_tasks();
    env.insert([Task::new(4).without("status")]);
    let report = env.taskmon(STATS).env("TASKMON_DATABASE_URL", env.url()).success().json();
    assert_eq!(report["task_statistics"]["total_tasks"], 4);
    assert_eq!(report["task_statistics"]["status_breakdown"]["other"], 1);
}

#[test]
fn figures_that_may_lack_rows_say_so() {
    let env = three_tasks();
    let role = env.role("");
    let url = env.url_of(&role);
    let hidden = |arguments: &[&str], code: i32| {
        let run = env.taskmon(arguments.iter().copied()).env("TASKMON_DATABASE_URL", &url);
        let result = run.exits(code).json();
        let errors = result["errors"].as_array().unwrap().iter();
        let kinds = errors.filter(|error| error["kind"] == "row_security");
        kinds.map(|error| error["message"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    let alert = ["-q", "-q", "alert", "--dry-run"];
    let stats = [&["-q", "-q"], &STATS[..]].concat();
    for (statements, named) in [
        ("ALTER TABLE tasks ENABLE ROW LEVEL SECURITY", "row level security applies to tasks"),
        ("CREATE POLICY everything ON tasks USING (true)", "row level security applies to tasks"),
    ] {
        env.sql(statements);
        for arguments in [&stats[..], &alert] {
            let messages = hidden(arguments, 1);
            assert_eq!(messages.len(), 1, "{messages:?}");
            for part in ["database.tasks.from", named, "row_security = \"accept\""] {
                assert!(messages[0].contains(part), "{messages:?}");
            }
        }
    }
    env.write(
        "taskmon.toml",
        "timezone = \"Asia/Shanghai\"\n[database]\nrow_security = \"accept\"\n",
    );
    assert!(hidden(&stats, 0).is_empty());
    // What hides receipts is no concern of a report.
    env.write("taskmon.toml", "timezone = \"Asia/Shanghai\"\n");
    env.sql(&format!(
        "ALTER TABLE tasks DISABLE ROW LEVEL SECURITY; ALTER TABLE delivery_receipts ENABLE ROW LEVEL SECURITY; GRANT DELETE ON tasks TO {role}"
    ));
    assert!(hidden(&stats, 0).is_empty());
}
