//! Tables that the mapping does not fit.

use super::*;

on_each_database! {
    fn a_column_that_is_missing_is_named(env) {
        env.sql("ALTER TABLE tasks DROP COLUMN retry_count");
        let found = run_check(&env, &[], 1);
        assert_check(&found, "mapping", "failed", &["retry_count"]);
        // A report does without it.
        let findings = found["mapping"]["findings"].as_array().unwrap();
        let warning = findings.iter().find(|finding| finding["status"] == "warning").unwrap();
        assert!(warning["message"].as_str().unwrap().contains("retry_count"), "{warning}");
        for name in ["database", "clock"] {
            assert_check(&found, name, "ok", &[]);
        }
        for name in ["indexes", "permissions"] {
            assert_check(&found, name, "skipped", &["the mapping has to be put right first"]);
        }
    }

    fn a_table_that_is_missing_is_named(env) {
        env.sql("DROP TABLE tracking_info");
        assert_check(&run_check(&env, &[], 1), "mapping", "failed", &["tracking_info"]);
    }

    fn statuses_that_no_state_claims_are_counted(env) {
        let database = env.url();
        let states = "[database.tasks.states]\nfailed = []\n";
        env.write("other.toml", &format!("language = 'en'\n[database]\nurl = '{database}'\n{states}"));
        env.insert([Task::new(1), Task::new(2).failed("x"), Task::new(3).failed("y")]);
        let found = run_check(&env, &["--config", "other.toml"], 0);
        assert_check(&found, "mapping", "warning", &["FAILED (2)", "never deleted", "[database.tasks.states]"]);
    }

    fn files_that_a_foreign_key_would_leave_behind_are_named(env) {
        volumes(&env);
        env.sql(
            "CREATE TABLE attachments (id integer PRIMARY KEY, task_id integer REFERENCES tasks (id) ON DELETE CASCADE, file_path varchar(80), file_url text, profile text); \
             CREATE TABLE previews (attachment integer REFERENCES attachments (id) ON DELETE CASCADE, \"thumbFile\" text); \
             CREATE TABLE notes (task integer REFERENCES tasks (id) ON DELETE SET NULL, filename text); \
             CREATE TABLE beneath (note integer, path text); \
             CREATE TABLE kept (task integer REFERENCES tasks (id), path text)",
        );
        let found = run_check(&env, &[], 0);
        let named = |found: &BTreeMap<String, Value>| {
            let findings = found["mapping"]["findings"].as_array().unwrap().iter();
            let messages = findings.filter(|finding| finding["status"] == "warning").map(|finding| finding["message"].as_str().unwrap());
            messages.map(str::to_owned).collect::<Vec<_>>()
        };
        let messages = named(&found);
        assert_eq!(messages.len(), 3, "{messages:#?}");
        for (table, column, action) in [("attachments", "file_path", "CASCADE"), ("previews", "thumb", "CASCADE"), ("notes", "filename", "SET NULL")] {
            let is_named = |message: &&String| [table, column, action].iter().all(|part| message.contains(part));
            assert_eq!(messages.iter().filter(is_named).count(), 1, "{table}: {messages:#?}");
        }
        assert_check(&found, "mapping", "warning", &["[[database.tasks.dependents]] with from = 'attachments' and files = ['file_path']"]);
        env.config("[[database.tasks.dependents]]\nfrom = 'attachments'\nforeign_key = 'task_id'\nfiles = ['file_path']");
        assert_eq!(named(&run_check(&env, &[], 0)).len(), 2);
    }

    fn a_cascade_among_tasks_and_onto_receipts_is_named(env) {
        volumes(&env);
        env.sql("ALTER TABLE tasks ADD COLUMN parent integer REFERENCES tasks (id) ON DELETE CASCADE; \
                 ALTER TABLE delivery_receipts ADD COLUMN task integer REFERENCES tasks (id) ON DELETE CASCADE");
        let found = run_check(&env, &[], 0);
        for parts in [["rows of tasks go with tasks", "image_path"], ["rows of delivery_receipts go with tasks", "qr_code_path"]] {
            assert_check(&found, "mapping", "warning", &parts);
        }
    }
}

#[test]
fn naive_times_that_are_read_in_another_zone_than_the_sessions_are_warned_of() {
    let env = TestEnv::postgres();
    volumes(&env);
    env.insert([Task::new(1)]);
    let warnings_of = |zone: &str| {
        env.config(&format!("naive_timestamps = '{zone}'"));
        let found = run_check(&env, &[], 0);
        let findings = found["mapping"]["findings"].as_array().unwrap();
        let messages = findings.iter().map(|one| one["message"].as_str().unwrap());
        messages
            .filter(|message| message.contains("naive_timestamps"))
            .map(str::to_owned)
            .collect::<Vec<_>>()
    };
    let messages = warnings_of("utc");
    assert_eq!(messages.len(), 1, "{messages:?}");
    for part in ["created_at", "UTC", "America/New_York"] {
        assert!(messages[0].contains(part), "{messages:?}");
    }
    assert_eq!(warnings_of("America/New_York"), Vec::<String>::new());
}

/// One mapping after the other on a custom table: the check and the report that would fail on it name the section, the field and its type.
#[test]
fn a_mapping_that_does_not_fit_is_reported_field_by_field() {
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
    let fits = run_check(&env, &[], 0);
    assert_check(&fits, "mapping", "warning", &["statuses that no state claims", "paused (1)"]);
    let types = fits["mapping"]["findings"][0]["message"].as_str().unwrap();
    for part in [
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
        assert!(types.contains(part), "{types}");
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
        // Errors that only rows cause.
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
        let checks = run_check(&env, &[], i32::from(!by_check.is_empty()));
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

#[test]
fn rows_that_may_be_hidden_fail_the_check() {
    let env = TestEnv::postgres();
    volumes(&env);
    let role = env.role("");
    env.sql(&format!(
        "GRANT DELETE ON ALL TABLES IN SCHEMA public TO {role}; ALTER TABLE tracking_info ENABLE ROW LEVEL SECURITY; \
         CREATE POLICY everything ON tracking_info USING (true)"
    ));
    let option = ["--database-url", &env.url_of(&role)];
    let found = run_check(&env, &option, 1);
    let parts = ["database.receipts.dependents[1].from", "tracking_info", "row_security"];
    assert_check(&found, "mapping", "failed", &parts);
    env.config("row_security = 'accept'");
    assert_check(&run_check(&env, &option, 0), "mapping", "ok", &[]);
    env.config("");
    env.sql("ALTER TABLE tasks ENABLE ROW LEVEL SECURITY");
    let found = run_check(&env, &option, 1);
    assert_check(&found, "mapping", "failed", &["database.tasks.from", "applies to tracking_info"]);
}
