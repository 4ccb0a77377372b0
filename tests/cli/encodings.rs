//! Databases of PostgreSQL's whose encoding is not UTF-8.

use crate::cli::cleanup::{AS_OF, ids, make_files, old};
use crate::support::env::TestEnv;
use crate::support::rows::{DAY, Task};
use serde_json::{Value, json};

/// The test's database made anew with the preset's tables, in this encoding.
fn in_encoding(encoding: &str) -> TestEnv {
    let env = TestEnv::postgres();
    let name = env.name();
    let mut server = env.server();
    server.batch_execute(&format!("DROP DATABASE {name} WITH (FORCE)")).unwrap();
    let made = format!(
        "CREATE DATABASE {name} TEMPLATE template0 ENCODING '{encoding}' LC_COLLATE 'C' LC_CTYPE 'C'"
    );
    server.batch_execute(&made).unwrap();
    env.sql(&include_str!("../fixtures/taskmon_postgres.sql").replace("送达回证", "receipt"));
    env
}

#[track_caller]
fn stats(env: &TestEnv) -> Value {
    let arguments = ["-q", "-q", "stats", "--no-save", "--no-alert", "--date", DAY];
    env.taskmon(arguments).exits(0).json()
}

#[track_caller]
fn cleanup(env: &TestEnv, code: i32, more: &[&str]) -> Value {
    let arguments = ["-q", "-q", "cleanup", "--as-of", AS_OF];
    env.taskmon(arguments.iter().chain(more).copied()).exits(code).json()
}

#[test]
fn texts_that_the_encoding_cannot_hold_are_in_no_row() {
    for (encoding, held) in
        [("LATIN1", "Größe überschritten"), ("EUC_JP", "形式が不正"), ("WIN1251", "ошибка")]
    {
        let env = in_encoding(encoding);
        let held_label = if encoding == "LATIN1" { "geprüft" } else { "COMPLETED" };
        env.sql("ALTER TABLE tasks ALTER status TYPE text");
        env.insert([
            Task::new(1).failed(held).with("task_id", held),
            Task::new(2).failed("二维码 timeout".trim_start_matches("二维码 ")),
            Task::new(3).status(held_label),
        ]);
        env.config(&format!(
            "[database.tasks.states]\ncompleted = ['COMPLETED', 'geprüft', '完了', '已完成']\n[[stats.error_categories]]\nname = 'held'\ncontains = ['{held}', '龘', 'ß']\n\
             [[stats.error_categories]]\nname = 'none'\ncontains = ['二维码', '龘']\n"
        ));
        let report = stats(&env);
        assert_eq!(
            report["task_statistics"]["status_breakdown"]["completed"], 1,
            "{encoding}: {report:#}"
        );
        assert_eq!(
            report["error_statistics"]["error_categories"]["held"], 1,
            "{encoding}: {report:#}"
        );
        let failed = report["error_statistics"]["failed_tasks"].as_array().unwrap();
        assert!(
            failed.iter().any(|task| task["error_message"] == held && task["task_id"] == held),
            "{failed:#?}"
        );
        env.taskmon(["-q", "-q", "alert", "--dry-run"]).exits(0).json();
        let path = format!("uploads/{held}.png");
        env.sql(&format!("UPDATE tasks SET image_path = '{path}'"));
        let expired = old(4).status(held_label).with("image_path", &path);
        make_files(&env, &[expired.clone(), old(5)]);
        env.insert([expired, old(5)]);
        let result = cleanup(&env, 0, &[]);
        assert_eq!(
            (&result["tasks_cleaned"], &result["files_shared"]),
            (&json!(2), &json!(1)),
            "{encoding}: {result:#}"
        );
        assert!(env.path(&path).exists() && !env.path("uploads/image_5.png").exists());
        env.taskmon(["check"]).run().json();
    }
}

/// In these encodings the server has characters, and bytes, that it cannot translate to UTF-8.
#[test]
fn characters_that_utf8_does_not_have_are_replaced() {
    for (encoding, raw) in [("WIN1252", "\\x81"), ("EUC_JP", "\\xf5a1"), ("EUC_KR", "\\xc9a1")] {
        let env = in_encoding(encoding);
        env.sql("ALTER TABLE tasks ALTER status TYPE text");
        env.config("[database.tasks]\nqueue = 'remarks'");
        let tasks = [
            Task::new(1).failed("timeout"),
            Task::new(2).status("PENDING"),
            Task::new(3).status("PROCESSING"),
            old(4),
        ];
        make_files(&env, &tasks);
        env.insert(tasks);
        let raw = format!("convert_from('{raw}'::bytea, '{encoding}')");
        env.sql(&format!(
            "UPDATE tasks SET task_id = {raw} || id, error_message = error_message || {raw}, remarks = {raw}, description = {raw}; \
             INSERT INTO tasks (id, task_id, status, created_at) VALUES (9, 'other', {raw}, '{DAY} 12:00:00')"
        ));
        let report = stats(&env);
        let failed = &report["error_statistics"]["failed_tasks"][0];
        assert_eq!(
            (&failed["task_id"], &failed["error_message"]),
            (&json!("?1"), &json!("timeout?")),
            "{encoding}: {report:#}"
        );
        assert_eq!(
            report["task_statistics"]["raw_status_breakdown"]["?"], 1,
            "{encoding}: {report:#}"
        );
        let alert = env.taskmon(["-q", "-q", "alert", "--dry-run"]).exits(0).json();
        assert_eq!(alert["live"]["backlog"]["oldest_task"], "?2", "{encoding}: {alert:#}");
        let dry_run = cleanup(&env, 0, &["--dry-run"]);
        let result = cleanup(&env, 0, &[]);
        assert_eq!(
            (&result["tasks_cleaned"], &dry_run["tasks_cleaned"]),
            (&json!(1), &json!(1)),
            "{encoding}: {result:#}"
        );
        assert_eq!(ids(&env), ["1", "2", "3", "9"]);
    }
}

/// Each byte that is no UTF-8 is shown as U+FFFD, in every column.
#[test]
fn bytes_that_are_no_text_are_replaced() {
    let env = in_encoding("SQL_ASCII");
    env.sql("ALTER TABLE tasks ALTER status TYPE text");
    env.config("[database.tasks]\nqueue = 'remarks'");
    env.insert([
        Task::new(1).failed("x"),
        Task::new(2).failed("二维码"),
        Task::new(3).status("PENDING"),
        Task::new(4).status("PROCESSING"),
    ]);
    let raw = "convert_from('\\x61e962'::bytea, 'SQL_ASCII')";
    let columns =
        ["task_id", "task_name", "error_message", "remarks", "tracking_number", "description"];
    let set: Vec<String> = columns.iter().map(|column| format!("{column} = {raw} || id")).collect();
    env.sql(&format!(
        "UPDATE tasks SET {} WHERE id <> 2; UPDATE tasks SET status = {raw} WHERE id = 1",
        set.join(", ")
    ));
    let report = stats(&env);
    assert_eq!(report["task_statistics"]["raw_status_breakdown"]["a\u{fffd}b"], 1, "{report:#}");
    assert_eq!(report["error_statistics"]["error_categories"], json!({"二维码识别错误": 1}));
    env.sql("UPDATE tasks SET status = 'FAILED' WHERE id = 1");
    let report = stats(&env);
    let failed = &report["error_statistics"]["failed_tasks"];
    assert!(failed.to_string().contains("a\u{fffd}b1"), "{failed:#}");
    let slowest = &report["performance_statistics"]["slowest_tasks"];
    assert!(slowest.to_string().contains("a\u{fffd}b4"), "{slowest:#}");
    let alert = env.taskmon(["-q", "-q", "alert", "--dry-run"]).exits(0).json();
    assert_eq!(alert["live"]["backlog"]["oldest_task"], "a\u{fffd}b3", "{alert:#}");
    for (list, queue) in
        [(&report["queues"], "a\u{fffd}b1"), (&alert["live"]["queues"], "a\u{fffd}b3")]
    {
        let mut groups = list.as_array().unwrap().iter();
        assert!(groups.any(|group| group["name"] == queue), "{list:#}");
    }
    let checked = env.taskmon(["check"]).run().json();
    assert!(
        checked["checks"].to_string().contains("the statuses of all 4 tasks are known"),
        "{checked:#}"
    );
}

#[test]
fn rows_whose_key_or_link_is_no_text_stay_and_their_files_with_them() {
    let env = in_encoding("SQL_ASCII");
    let raw = |text: &str| format!("convert_from('\\xe9'::bytea, 'SQL_ASCII') || '{text}'");
    env.config("[database.tasks]\nkey = ['task_id']");
    let tasks = [old(1), old(2), old(3), old(4).with("image_path", "uploads/image_1.png")];
    make_files(&env, &tasks);
    env.insert(tasks);
    env.sql(&format!(
        "UPDATE tasks SET task_id = {key} WHERE id = 1; UPDATE tasks SET document_path = 'static/' || {path}, tracking_number = {link} WHERE id = 2; \
         INSERT INTO delivery_receipts (id, tracking_number, created_at, qr_code_path) VALUES (1, {link}, '{long_ago}', 'uploads/image_2.png')",
        key = raw("k"), path = raw("p"), link = raw("l"), long_ago = old(1).columns["created_at"].as_deref().unwrap(),
    ));
    let name = |bytes: &[u8]| {
        std::path::PathBuf::from(<std::ffi::OsStr as std::os::unix::ffi::OsStrExt>::from_bytes(
            bytes,
        ))
    };
    std::fs::write(env.path("static").join(name(b"\xe9p")), "x").unwrap();
    let dry_run = cleanup(&env, 1, &["--dry-run"]);
    let result = cleanup(&env, 1, &[]);
    for key in ["tasks_cleaned", "receipts_cleaned", "files_cleaned", "files_shared", "errors"] {
        assert_eq!(dry_run[key], result[key], "{key}: {result:#}");
    }
    assert_eq!(
        (&result["tasks_cleaned"], &result["receipts_cleaned"]),
        (&json!(2), &json!(0)),
        "{result:#}"
    );
    let errors = result["errors"].as_array().unwrap().iter();
    let mut kinds: Vec<&str> = errors.map(|error| error["kind"].as_str().unwrap()).collect();
    kinds.sort_unstable();
    assert_eq!(kinds, ["row_without_key", "row_without_key", "unusable_path"], "{result:#}");
    assert_eq!(ids(&env), ["1", "2"]);
    assert!(env.path("uploads/image_1.png").exists() && env.path("uploads/image_2.png").exists());
    assert!(env.path("static").join(name(b"\xe9p")).exists());
}

/// In these encodings the server has a character, and bytes, that it cannot translate to UTF-8.
#[test]
fn rows_whose_key_or_path_utf8_does_not_have_stay_and_the_others_go() {
    for (encoding, raw, held) in
        [("WIN1252", "81", "ß"), ("EUC_JP", "f5a1", "不正"), ("EUC_KR", "c9a1", "가나")]
    {
        let env = in_encoding(encoding);
        let raw = format!("convert_from('\\x{raw}'::bytea, '{encoding}')");
        env.config("[database.tasks]\nkey = ['task_id']");
        let named = |n: u32| old(n).with("task_id", format!("{held}{n}"));
        let path = format!("uploads/{held}.png");
        let tasks = [named(1), named(2), named(3).with("image_path", &path), named(4)];
        make_files(&env, &tasks);
        env.insert(tasks);
        env.sql(&format!(
            "UPDATE tasks SET task_id = {raw} || 'k' WHERE id = 1; \
             UPDATE tasks SET document_path = 'static/' || {raw}, error_message = {raw} WHERE id = 2"
        ));
        let dry_run = cleanup(&env, 1, &["--dry-run"]);
        let result = cleanup(&env, 1, &[]);
        for key in ["tasks_cleaned", "files_cleaned", "errors"] {
            assert_eq!(dry_run[key], result[key], "{encoding} {key}: {result:#}");
        }
        assert_eq!(ids(&env), ["1", "2"], "{encoding}: {result:#}");
        assert_eq!(result["files_cleaned"], 6, "{encoding}: {result:#}");
        let errors = result["errors"].as_array().unwrap().iter();
        let mut kinds: Vec<&str> = errors.map(|error| error["kind"].as_str().unwrap()).collect();
        kinds.sort_unstable();
        assert_eq!(kinds, ["row_without_key", "unusable_path"], "{encoding}: {result:#}");
        assert!(!env.path(&path).exists() && env.path("uploads/image_2.png").exists());
    }
}
