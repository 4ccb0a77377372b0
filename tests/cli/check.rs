//! `taskmon check` where all is well, and where each thing in turn is not.

use crate::cli::broker::redis::Redis;
use crate::cli::errors::wait_until;
use crate::on_each_database;
use crate::support::env::{PASSWORD_IN_URL, TestEnv, plain_port};
use crate::support::proxy::{Freeze, Proxy};
use crate::support::rows::{DAY, Task, long_ago};
use crate::support::server::{Server, dead_port, ok};
use serde_json::Value;
use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt;

const NAMES: [&str; 11] = [
    "config",
    "database",
    "mapping",
    "indexes",
    "clock",
    "permissions",
    "storage",
    "broker",
    "channels",
    "cron",
    "runs",
];

/// The checks by name. Every one is there, has a message, and its status and hint follow from its findings.
#[track_caller]
pub fn checks(env: &TestEnv, arguments: &[&str], code: i32) -> BTreeMap<String, Value> {
    let finished = env.taskmon(["check"].iter().chain(arguments).copied()).exits(code);
    let result = finished.json();
    assert_eq!(result["success"], true);
    let checks = result["checks"].as_array().unwrap();
    let names: Vec<&str> = checks.iter().map(|check| check["name"].as_str().unwrap()).collect();
    assert_eq!(names, NAMES);
    for check in checks {
        assert!(!check["message"].as_str().unwrap().is_empty(), "{check}");
        let known = ["ok", "warning", "failed", "skipped"];
        assert!(known.contains(&check["status"].as_str().unwrap()), "{check}");
    }
    let failed = checks.iter().any(|check| check["status"] == "failed");
    assert_eq!(failed, code == 1, "{result:#}");
    checks.iter().map(|check| (check["name"].as_str().unwrap().to_owned(), check.clone())).collect()
}

#[track_caller]
pub fn is(checks: &BTreeMap<String, Value>, name: &str, status: &str, parts: &[&str]) {
    let check = &checks[name];
    assert_eq!(check["status"], status, "{check:#}");
    for part in parts {
        let said = format!("{} {}", check["message"], check["hint"]);
        assert!(said.contains(part), "{part} in {check:#}");
    }
}

/// Storage roots as they are where the volume is mounted.
fn volumes(env: &TestEnv) {
    env.write("uploads/a.png", "a");
    env.write("static/b.png", "b");
}

/// Names, contents and times of everything in the folder.
fn snapshot(env: &TestEnv) -> Vec<(String, String, std::time::SystemTime)> {
    let entries = walkdir::WalkDir::new(env.path(".")).sort_by_file_name().into_iter();
    entries
        .map(|entry| {
            let entry = entry.unwrap();
            let content = if entry.file_type().is_file() {
                format!("{:?}", std::fs::read(entry.path()).unwrap())
            } else {
                String::new()
            };
            (
                entry.path().display().to_string(),
                content,
                entry.metadata().unwrap().modified().unwrap(),
            )
        })
        .collect()
}

on_each_database! {
    fn all_is_well(env) {
        volumes(&env);
        env.insert([Task::new(1), Task::new(2).failed("x")]);
        let before = snapshot(&env);
        let found = checks(&env, &[], 0);
        for name in ["config", "database", "mapping", "clock", "permissions", "storage"] {
            is(&found, name, "ok", &[]);
        }
        for name in ["broker", "channels", "runs"] {
            is(&found, name, "skipped", &[]);
        }
        // What this host's crontab holds is for the tests of the schedule, which have one of their own.
        assert_ne!(found["cron"]["status"], "failed");
        is(&found, "config", "ok", &["taskmon.toml"]);
        // It goes by the machine's zone, which is said where that is another.
        let machine = std::fs::read_link("/etc/localtime").unwrap_or_default();
        let cron = if machine.ends_with("Asia/Shanghai") { "" } else { "cron" };
        is(&found, "clock", "ok", &["+08:00", "Asia/Shanghai", cron]);
        is(&found, "mapping", "ok", &["2 个任务"]);
        assert_eq!(snapshot(&env), before);
    }

    fn statements_that_it_proposes_make_the_indexes_that_are_missing(env) {
        env.sql("DROP INDEX idx_tasks_tracking_number");
        let found = checks(&env, &[], 0);
        is(&found, "indexes", "warning", &["CREATE INDEX", "tasks (tracking_number)"]);
        let hint = found["indexes"]["hint"].as_str().unwrap();
        for statement in hint.split("; ") {
            // CONCURRENTLY takes a transaction of its own.
            env.sql(&statement.replace("CONCURRENTLY ", ""));
        }
        is(&checks(&env, &[], 0), "indexes", "ok", &[]);
    }

    fn a_column_that_is_missing_is_named(env) {
        env.sql("ALTER TABLE tasks DROP COLUMN retry_count");
        let found = checks(&env, &[], 1);
        is(&found, "mapping", "failed", &["retry_count"]);
        // A report does without it.
        let findings = found["mapping"]["findings"].as_array().unwrap();
        let warning = findings.iter().find(|finding| finding["status"] == "warning").unwrap();
        assert!(warning["message"].as_str().unwrap().contains("retry_count"), "{warning}");
        for name in ["database", "permissions", "clock"] {
            is(&found, name, "ok", &[]);
        }
    }

    fn a_table_that_is_missing_is_named(env) {
        env.sql("DROP TABLE tracking_info");
        is(&checks(&env, &[], 1), "mapping", "failed", &["tracking_info"]);
    }

    fn statuses_that_no_state_claims_are_counted(env) {
        let database = env.url();
        let states = "[database.tasks.states]\nfailed = []\n";
        env.write("own.toml", &format!("language = 'en'\n[database]\nurl = '{database}'\n{states}"));
        env.insert([Task::new(1), Task::new(2).failed("x"), Task::new(3).failed("y")]);
        let found = checks(&env, &["--config", "own.toml"], 0);
        is(&found, "mapping", "warning", &["FAILED (2)", "never deleted", "[database.tasks.states]"]);
    }
}

#[test]
fn times_without_a_zone_are_told_to_be_read_in_another_one_than_the_sessions() {
    let env = TestEnv::postgres();
    volumes(&env);
    env.insert([Task::new(1)]);
    let told = |zone: &str| {
        env.config(&format!("naive_timestamps = '{zone}'"));
        let found = checks(&env, &[], 0);
        let findings = found["mapping"]["findings"].as_array().unwrap();
        let messages = findings.iter().map(|one| one["message"].as_str().unwrap());
        messages
            .filter(|message| message.contains("naive_timestamps"))
            .map(str::to_owned)
            .collect::<Vec<_>>()
    };
    let messages = told("utc");
    assert_eq!(messages.len(), 1, "{messages:?}");
    for part in ["created_at", "UTC", "America/New_York"] {
        assert!(messages[0].contains(part), "{messages:?}");
    }
    assert_eq!(told("America/New_York"), Vec::<String>::new());
}

#[test]
fn a_database_in_wal_mode_is_left_as_it_was() {
    let env = TestEnv::sqlite();
    volumes(&env);
    env.connection().pragma_update(None, "journal_mode", "wal").unwrap();
    let names = |env: &TestEnv| {
        snapshot(env).into_iter().map(|(name, content, _)| (name, content)).collect::<Vec<_>>()
    };
    let before = names(&env);
    checks(&env, &[], 0);
    assert_eq!(names(&env), before);
}

/// Not one row, column or right differs, nor does the catalogue hold anything new.
#[test]
fn nothing_in_postgres_is_changed() {
    let env = TestEnv::postgres();
    env.insert((1..=20).map(|n| Task::new(n).at(&long_ago())));
    let dump = || {
        let dumped = env.program("pg_dump", ["--inserts", &env.url()]).success();
        let lines = dumped
            .stdout()
            .lines()
            .filter(|line| !line.starts_with("\\restrict") && !line.starts_with("\\unrestrict"));
        lines.collect::<Vec<_>>().join("\n")
    };
    let before = dump();
    assert!(before.contains("INSERT INTO public.tasks"));
    checks(&env, &[], 0);
    assert_eq!(dump(), before);
}

fn url_option(env: &TestEnv, user: &str) -> [String; 2] {
    ["--database-url".into(), env.url_of(user)]
}

#[test]
fn a_role_that_may_not_delete_is_told_what_to_grant() {
    let env = TestEnv::postgres();
    let role = env.role("");
    let option = url_option(&env, &role);
    let found = checks(&env, &[&option[0], &option[1]], 1);
    let grant = format!("GRANT DELETE ON tasks TO {role}");
    is(
        &found,
        "permissions",
        "failed",
        &["DELETE", "tasks", "delivery_receipts", "tracking_info", &grant],
    );
    is(&found, "database", "ok", &[&role]);
    is(&found, "mapping", "ok", &[]);
    // What it proposes is enough.
    for statement in found["permissions"]["hint"].as_str().unwrap().split("; ") {
        env.sql(statement);
    }
    is(&checks(&env, &[&option[0], &option[1]], 0), "permissions", "ok", &[]);
}

#[test]
fn a_role_that_may_not_read_is_told_what_to_grant() {
    let env = TestEnv::postgres();
    let role = env.role("");
    env.sql(&format!(
        "REVOKE SELECT ON tasks FROM {role}; GRANT DELETE ON ALL TABLES IN SCHEMA public TO {role}"
    ));
    let option = url_option(&env, &role);
    let found = checks(&env, &[&option[0], &option[1]], 1);
    is(&found, "permissions", "failed", &[&format!("GRANT SELECT ON tasks TO {role}")]);
    is(&found, "mapping", "skipped", &["permission denied"]);
    is(&found, "database", "ok", &[]);
}

#[test]
fn a_role_that_may_not_look_into_the_schema_is_told_what_to_grant() {
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
        let found = checks(&env, &arguments, 1);
        is(&found, "permissions", "failed", &["USAGE"]);
        assert_eq!(found["permissions"]["hint"], *grant);
    }
    // Within a FROM clause, too.
    let clause = "from = '\"Shop a\".tasks AS t JOIN (SELECT 1) AS one ON true'\ndelete_from = ''";
    env.write("taskmon.toml", &format!("{config}\n[database.tasks]\n{clause}\n"));
    let found = checks(&env, &arguments, 1);
    is(&found, "permissions", "failed", &["permission denied for schema"]);
    env.write("taskmon.toml", &config);
    env.sql(&grant);
    is(&checks(&env, &arguments, 0), "permissions", "ok", &[]);
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
    let found = checks(&env, &["--database-url", &url], 1);
    is(&found, "permissions", "failed", &["standby"]);
    is(&found, "database", "ok", &[]);
    let role = env.role("");
    env.sql(&format!("GRANT DELETE ON ALL TABLES IN SCHEMA public TO {role}; ALTER ROLE {role} SET default_transaction_read_only = on"));
    let option = url_option(&env, &role);
    let found = checks(&env, &[&option[0], &option[1]], 1);
    is(&found, "permissions", "failed", &["default_transaction_read_only"]);
}

#[test]
fn a_clock_that_is_wrong_is_told_with_how_much() {
    let env = TestEnv::postgres();
    env.sql(&format!(
        "CREATE SCHEMA wrong;
         CREATE FUNCTION wrong.clock_timestamp() RETURNS timestamptz LANGUAGE sql AS
         $$ SELECT pg_catalog.clock_timestamp() - interval '400 seconds' $$;
         ALTER DATABASE {} SET search_path = wrong, pg_catalog, public",
        env.name()
    ));
    let found = checks(&env, &[], 1);
    is(&found, "clock", "failed", &["-400.0", "NTP"]);
    env.sql(
        "CREATE OR REPLACE FUNCTION wrong.clock_timestamp() RETURNS timestamptz LANGUAGE sql AS
             $$ SELECT pg_catalog.clock_timestamp() + interval '60 seconds' $$",
    );
    is(&checks(&env, &[], 0), "clock", "warning", &["60.0"]);
}

#[test]
fn a_server_that_is_gone_is_one_failure_and_what_hangs_on_it_is_skipped() {
    let env = TestEnv::new();
    let url = format!("postgresql://locked:{PASSWORD_IN_URL}@127.0.0.1:{}/x", dead_port());
    let found = checks(&env, &["--database-url", &url], 1);
    is(&found, "database", "failed", &["127.0.0.1"]);
    for name in ["mapping", "indexes"] {
        is(&found, name, "skipped", &[]);
    }
    is(&found, "permissions", "ok", &[]);
    let found = checks(&env, &["--database-url", "sqlite:gone.db"], 1);
    is(&found, "database", "failed", &["gone.db"]);
    is(&checks(&env, &[], 1), "database", "failed", &["no database is configured", "database.url"]);
    assert!(!env.path("gone.db").exists());
}

/// It ends, and in time for somebody who waits.
#[test]
fn a_server_that_stops_answering_is_a_failure() {
    let env = TestEnv::postgres();
    env.config("statement_timeout_seconds = 1\n");
    let proxy = Proxy::new("current_user", Freeze::Everything);
    let url = proxy.url(env.name());
    let found = checks(&env, &["--database-url", &url], 1);
    is(&found, "database", "failed", &["has not answered"]);
    is(&found, "mapping", "skipped", &[]);
    assert!(proxy.is_frozen());
}

#[test]
fn a_configuration_that_is_not_valid_is_told_with_its_line() {
    let env = TestEnv::new();
    env.write("taskmon.toml", "timezone = 'Asia/Shanghai'\ntimezon = 'x'\n");
    let found = checks(&env, &[], 1);
    is(&found, "config", "failed", &["taskmon.toml", "line 2", "timezon"]);
    for name in &NAMES[1..] {
        is(&found, name, "skipped", &[]);
    }
    let warned = TestEnv::sqlite();
    let config = warned.read("taskmon.toml");
    warned.write(
        "taskmon.toml",
        &format!("{config}\n[broker]\nurl = 'redis://:s3cret@127.0.0.1:{}/0'\n", dead_port()),
    );
    let found = checks(&warned, &[], 1);
    is(&found, "config", "ok", &[]);
    is(&found, "broker", "failed", &["127.0.0.1"]);
}

#[test]
fn a_broker_is_asked_as_a_report_would() {
    let env = TestEnv::sqlite();
    let redis = Redis::start(&env, serde_json::json!({}));
    let config = env.read("taskmon.toml");
    let broker = |url: &str| {
        env.write(
            "taskmon.toml",
            &format!("{config}\n[broker]\nurl = '{url}'\nqueues = ['mail']\n"),
        );
    };
    broker(&redis.url());
    // Nothing says yet that Celery uses this server.
    let found = checks(&env, &[], 0);
    is(&found, "broker", "warning", &["broker.global_keyprefix"]);
    redis.send(&["send", "mail", "0", "3"]);
    is(&checks(&env, &[], 0), "broker", "ok", &["redis", "mail", "3 条"]);
    broker(&redis.url().replace("s3cret", "wr0ng"));
    is(&checks(&env, &[], 1), "broker", "failed", &["127.0.0.1", "password"]);
}

#[test]
fn storage_that_is_not_mounted_and_folders_that_are_never_swept() {
    let env = TestEnv::sqlite();
    let found = checks(&env, &[], 0);
    is(&found, "storage", "warning", &["uploads", "static"]);
    volumes(&env);
    let config = env.read("taskmon.toml");
    env.write(
        "taskmon.toml",
        &format!("{config}\n[cleanup]\nroot_marker = '.here'\nstorage_roots = ['uploads']\n"),
    );
    is(&checks(&env, &[], 0), "storage", "warning", &["uploads", ".here"]);
    env.write("taskmon.toml", &format!("{config}\n[cleanup]\ntemp_dirs = ['/tmp']\n"));
    is(&checks(&env, &[], 1), "storage", "failed", &["cleanup.temp_dirs", "/tmp"]);
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
        let own = [env!("CARGO_BIN_EXE_taskmon"), "check"];
        env.program("/usr/bin/setpriv", words.into_iter().chain(own)).run()
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

#[test]
fn channels_are_reached_and_nothing_is_sent() {
    let env = TestEnv::sqlite();
    let (plain, tls) = (Server::plain(vec![ok("")]), Server::tls(vec![ok("")]));
    env.write("bin/tell", "#!/bin/sh\ntouch told\n");
    std::fs::set_permissions(env.path("bin/tell"), std::fs::Permissions::from_mode(0o755)).unwrap();
    env.write("bin/text", "#!/bin/sh\n");
    let config = env.read("taskmon.toml");
    let channel =
        |kind: &str, more: &str| format!("[[alerts.channels]]\ntype = '{kind}'\n{more}\n");
    let good = [
        channel("webhook", &format!("url = '{}'", plain.url("/hook/s3cret-1"))),
        channel("feishu", &format!("url = '{}'", tls.url("/hook/s3cret-2"))),
        channel(
            "command",
            &format!("command = ['{}', 's3cret-3']", env.path("bin/tell").display()),
        ),
        channel(
            "email",
            &format!(
                "url = 'smtp://127.0.0.1:{}'\nfrom = 'a@b.example'\nto = ['c@d.example']",
                plain.port
            ),
        ),
        format!("[heartbeat]\nstats = '{}'\n", plain.url("/ping/s3cret-4")),
    ];
    env.write("good.toml", &format!("{config}\n{}", good.concat()));
    let trusted = crate::support::certificates::file("ca.crt");
    let finished =
        env.taskmon(["check", "--config", "good.toml"]).env("SSL_CERT_FILE", &trusted).exits(0);
    let found = finished.json();
    let own = found["checks"]
        .as_array()
        .unwrap()
        .iter()
        .find(|check| check["name"] == "channels")
        .unwrap();
    assert_eq!(own["status"], "ok", "{own:#}");
    assert_eq!(own["findings"].as_array().unwrap().len(), 5, "{own:#}");
    assert!(plain.requests().is_empty() && tls.requests().is_empty() && !env.path("told").exists());

    let bad = [
        channel("webhook", &format!("url = 'http://127.0.0.1:{}/hook/s3cret-1'", dead_port())),
        channel("feishu", &format!("url = '{}'", tls.url("/hook/s3cret-2"))),
        channel("slack", "url_env = 'NO_SUCH_VARIABLE'"),
        channel("command", "command = ['no-such-program-anywhere', 's3cret-3']"),
        channel("command", &format!("command = ['{}']", env.path("bin/text").display())),
    ];
    env.write("bad.toml", &format!("{config}\n{}", bad.concat()));
    let found = checks(&env, &["--config", "bad.toml"], 1);
    let findings = found["channels"]["findings"].as_array().unwrap();
    let parts = [
        "webhook: ",
        "feishu: ",
        "NO_SUCH_VARIABLE",
        "no-such-program-anywhere",
        "bin/text cannot be run",
    ];
    let hints =
        ["firewall", "SSL_CERT_FILE", "crontab above the block", "absolute path", "chmod +x"];
    assert_eq!(findings.len(), parts.len());
    for ((finding, part), hint) in findings.iter().zip(parts).zip(hints) {
        assert_eq!(finding["status"], "failed", "{finding}");
        assert!(finding["hint"].as_str().unwrap().contains(hint), "{hint} in {finding}");
        assert!(finding["message"].as_str().unwrap().contains(part), "{part} in {finding}");
    }
    assert!(findings[1]["message"].as_str().unwrap().contains("certificate"), "{}", findings[1]);
}

#[test]
fn an_address_that_nothing_can_be_sent_to_is_told_with_what_to_do() {
    let env = TestEnv::sqlite();
    let tls = Server::tls(vec![ok("")]);
    let config = env.read("taskmon.toml");
    env.write("hook", "ftp://127.0.0.1/hook\n");
    let heartbeat = format!("[heartbeat]\nstats = '{}'", tls.url("/ping/s3cret-1"));
    let scheme = "[[alerts.channels]]\ntype = 'slack'\nurl_file = 'hook'";
    for (more, hint) in
        [(heartbeat.as_str(), "SSL_CERT_FILE"), (scheme, "put it right in [[alerts.channels]]")]
    {
        env.write("taskmon.toml", &format!("{config}\n{more}\n"));
        let found = env.taskmon(["check"]).exits(1).json();
        assert!(found["checks"].to_string().contains(hint), "{found:#}");
    }
}

#[test]
fn records_that_cannot_be_read_are_told_and_hide_nothing_else() {
    let env = TestEnv::sqlite();
    volumes(&env);
    std::fs::create_dir_all(env.path("logs/taskmon_runs.jsonl")).unwrap();
    let found = checks(&env, &[], 1);
    is(&found, "runs", "failed", &["taskmon_runs.jsonl", "下次运行会新建"]);
    assert_ne!(found["cron"]["status"], "failed", "{:#}", found["cron"]);
    let status = env.taskmon(["schedule", "status"]).exits(1);
    let result = status.json();
    assert_eq!(result["success"], true);
    assert_eq!(result["errors"][0]["kind"], "records_unreadable");
    assert_eq!(result["jobs"].as_array().unwrap().len(), 4, "{result:#}");
    assert_eq!(result["jobs"][0]["overdue"], Value::Null);
    status.stderr_contains("taskmon_runs.jsonl cannot be read");
    env.taskmon(["schedule", "logs"])
        .exits(3)
        .failure("records_unreadable", &["taskmon_runs.jsonl"]);
}

#[test]
fn a_checklist_for_people() {
    let env = TestEnv::sqlite();
    let zh = env.taskmon(["check", "--output", "text"]).success();
    let page = zh.stdout();
    for line in ["✓ 配置", "✓ 数据库", "✓ 时钟", "! 存储", "– 告警渠道", "没有发现妨碍运行的问题"]
    {
        assert!(page.contains(line), "{line} in {page}");
    }
    let en = env.taskmon(["check", "--output", "text", "--config", "/missing.toml"]).exits(1);
    let page = en.stdout();
    for line in ["✗ config ", "– database ", "/missing.toml", "→ ", "1 failed"] {
        assert!(page.contains(line), "{line} in {page}");
    }
}

/// One mapping after the other on a table of one's own: what is wrong is told with its section, its field and its type, by the check and by the
/// report that would fail on it.
#[test]
fn a_mapping_that_does_not_fit_is_told_field_by_field() {
    let env = TestEnv::postgres();
    env.sql(
        "CREATE TABLE jobs (id numeric PRIMARY KEY, state text, made_at timestamptz, ended_at timestamptz, kind text, tries integer);
         INSERT INTO jobs VALUES (1.5, 'done', now(), now(), 'mail', 0), (2.5, 'paused', now(), NULL, 'file', 1)",
    );
    let today = chrono::Utc::now().date_naive().to_string();
    let configure = |overrides: &str| {
        let field = |name: &str, value: &str| {
            if overrides.starts_with(&format!("{name} =")) {
                String::new()
            } else {
                format!("{name} = {value}\n")
            }
        };
        let fields = [
            ("from", "'jobs'"),
            ("delete_from", "'jobs'"),
            ("key", "['id']"),
            ("label", "'id'"),
            ("status", "'state'"),
            ("created_at", "'made_at'"),
            ("started_at", "''"),
            ("completed_at", "'ended_at'"),
            ("updated_at", "''"),
            ("processing_time", "'extract(epoch FROM ended_at - made_at)'"),
            ("error_message", "''"),
            ("retry_count", "'tries'"),
            ("queue", "'kind'"),
            ("name", "'kind'"),
            ("files", "[]"),
            ("link", "''"),
        ]
        .map(|(name, value)| field(name, value));
        env.write(
            "taskmon.toml",
            &format!(
                "timezone = 'UTC'\nlanguage = 'en'\n[database]\nurl = '{}'\n[database.tasks]\n{overrides}\n{}\
                 [database.tasks.states]\ncompleted = ['done']\n[database.receipts]\nenabled = false\n[cleanup]\nstorage_roots = []\n",
                env.url(),
                fields.concat()
            ),
        );
    };
    configure("");
    let fits = checks(&env, &[], 0);
    is(&fits, "mapping", "warning", &["statuses that no state claims", "paused (1)"]);
    let types = fits["mapping"]["findings"][0]["message"].as_str().unwrap();
    for told in [
        "status text",
        "label numeric",
        "created_at timestamp with time zone",
        "started_at -",
        "retry_count integer",
        "key[1] numeric",
        "name text",
        "guard -",
        "files -",
    ] {
        assert!(types.contains(told), "{types}");
    }
    for (overrides, by_check, by_report) in [
        (
            "processing_time = 'ended_at - made_at'",
            "database.tasks.processing_time: \"ended_at - made_at\" is of type interval, not a number",
            "is of type interval",
        ),
        (
            "wait_time = 'kind'",
            "database.tasks.wait_time: \"kind\" is of type text, not a number",
            "is of type text",
        ),
        (
            "updated_at = 'max(ended_at)'",
            "database.tasks.updated_at: \"max(ended_at)\" cannot be computed",
            "database.tasks.updated_at",
        ),
        (
            "key = ['id', 'shard']",
            "database.tasks.key[2]: \"jobs\" has no \"shard\"",
            "database.tasks.key[2]",
        ),
        ("delete_from = 'job'", "there is no table job", ""),
        // Only the rows tell.
        (
            "processing_time = '1 / (tries - 1)'",
            "database.tasks.processing_time: \"1 / (tries - 1)\" cannot be computed: division by zero",
            "database.tasks.processing_time: \"1 / (tries - 1)\" cannot be computed: division by zero",
        ),
        (
            "retry_count = 'kind'",
            "database.tasks.retry_count: \"kind\" cannot be computed: invalid input syntax",
            "database.tasks.retry_count: \"kind\" cannot be computed: invalid input syntax",
        ),
    ] {
        configure(overrides);
        let checks = checks(&env, &[], i32::from(!by_check.is_empty()));
        let mapping = checks["mapping"]["message"].as_str().unwrap();
        assert!(mapping.contains(by_check), "{overrides}: {mapping}");
        assert_eq!(mapping.matches("has no").count(), by_check.matches("has no").count());
        let arguments = ["-q", "-q", "stats", "--no-save", "--no-alert", "--date"];
        let report = env.taskmon(arguments).arg(&today);
        let report = report.exits(if by_report.is_empty() { 0 } else { 3 });
        let message = report.json()["error"]["message"].clone();
        let message = message.as_str().unwrap_or_default();
        assert!(message.contains(by_report), "{overrides}: {message}");
    }
}

#[test]
fn an_expression_that_fails_on_a_row_of_sqlite_is_named() {
    let env = TestEnv::sqlite();
    env.insert([Task::new(1).with("status", "FAILED")]);
    env.write(
        "taskmon.toml",
        &format!(
            "timezone = 'UTC'\n[database]\nurl = '{}'\n[database.tasks]\nerror_message = \"json_extract(task_name || '{{', '$.a')\"\n",
            env.url()
        ),
    );
    let arguments = ["-q", "-q", "stats", "--no-save", "--no-alert", "--date"];
    let report = env.taskmon(arguments).arg(DAY).exits(3);
    let message = report.json()["error"]["message"].clone();
    let message = message.as_str().unwrap().to_owned();
    assert!(
        message.starts_with("database.tasks.error_message:") && message.contains("malformed JSON"),
        "{message}"
    );
}
