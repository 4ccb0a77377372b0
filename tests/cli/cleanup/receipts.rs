//! Receipts that no task refers to.

use super::*;

on_each_database! {
    fn orphaned_receipts_go_with_their_tracking_rows_and_files(env) {
        prepare(&env, &[old(1).with("tracking_number", "T1"), Task::new(2).with("tracking_number", "T2")]);
        for (id, link, created) in [(1, "T1", "2026-10-01"), (2, "T2", "2026-10-02"), (3, "T3", "2026-11-20"), (4, "T4", "2026-10-03")] {
            env.sql(&format!(
                "INSERT INTO delivery_receipts (id, tracking_number, qr_code_path, delivery_receipt_doc_path, created_at) \
                 VALUES ({id}, '{link}', 'static/qr_{id}.png', 'static/doc_{id}.docx', '{created} 10:00:00'); \
                 INSERT INTO tracking_info (id, delivery_receipt_id, screenshot_path) VALUES ({id}, {id}, 'static/info_{id}.png')"
            ));
            for name in ["qr", "doc", "info"] {
                let ending = if name == "doc" { "docx" } else { "png" };
                env.write(&format!("static/{name}_{id}.{ending}"), "12345");
            }
        }
        let dry_run = cleanup(&env, 0, &["--only", "tasks,receipts", "--dry-run"]);
        let result = cleanup(&env, 0, &["--only", "tasks,receipts"]);
        for key in ["tasks_cleaned", "receipts_cleaned", "files_cleaned", "disk_space_freed_mb", "files_shared"] {
            assert_eq!(dry_run[key], result[key], "{key}");
        }
        assert_eq!(result["receipts_cleaned"], 2);
        assert_eq!(result["files_cleaned"], 9);
        assert_eq!(column(&env, "SELECT id FROM delivery_receipts ORDER BY id"), ["2", "3"]);
        assert_eq!(column(&env, "SELECT delivery_receipt_id FROM tracking_info ORDER BY 1"), ["2", "3"]);
        assert!(env.path("static/info_2.png").exists() && !env.path("static/info_1.png").exists());
    }

    fn a_document_that_task_and_receipt_share_goes_with_the_last_of_them(env) {
        prepare(&env, &[old(1).with("tracking_number", "T1"), old(2).with("tracking_number", "T2")]);
        for (id, created) in [(1, "2026-10-01"), (2, "2026-11-20")] {
            env.sql(&format!(
                "INSERT INTO delivery_receipts (id, tracking_number, delivery_receipt_doc_path, created_at) \
                 VALUES ({id}, 'T{id}', 'static/document_{id}.docx', '{created} 10:00:00')"
            ));
        }
        let dry_run = cleanup(&env, 0, &["--dry-run"]);
        let result = cleanup(&env, 0, &[]);
        assert_eq!(result["files_cleaned"], 5);
        assert_eq!(dry_run["files_cleaned"], 5);
        assert!(!env.path("static/document_1.docx").exists());
        assert!(env.path("static/document_2.docx").exists());
        assert_eq!(column(&env, "SELECT id FROM delivery_receipts"), ["2"]);
    }

    fn receipts_and_tasks_may_be_linked_by_numbers(env) {
        make_files(&env, &[]);
        let receipts = "INSERT INTO delivery_receipts (id, tracking_number, created_at) VALUES (1, '51', '2026-10-01'), (2, '52', '2026-10-01')";
        if env.url().starts_with("sqlite") {
            // An expression has no type that would make its number equal to a text.
                env.insert([Task::new(1).with("tracking_number", "51")]);
                env.config("[database.tasks]\nlink = 'tracking_number + 0'");
                env.sql(receipts);
        } else {
                env.sql(receipts);
                env.sql("ALTER TABLE tasks ALTER tracking_number TYPE bigint USING tracking_number::bigint");
                env.insert([Task::new(1).with("tracking_number", "51")]);
        }
        let result = cleanup(&env, 0, &["--only", "receipts"]);
        assert_eq!(column(&env, "SELECT id FROM delivery_receipts"), ["1"], "{result:#}");
        if !env.url().starts_with("sqlite") {
            env.sql("ALTER TABLE delivery_receipts ALTER tracking_number TYPE bigint USING tracking_number::bigint");
            cleanup(&env, 0, &["--only", "receipts"]);
            assert_eq!(column(&env, "SELECT id FROM delivery_receipts"), ["1"]);
        }
    }

    fn a_receipt_that_the_database_keeps_keeps_its_tracking_rows_and_their_files(env) {
        make_files(&env, &[]);
        for id in 1..=4 {
            env.sql(&format!(
                "INSERT INTO delivery_receipts (id, tracking_number, qr_code_path, created_at) \
                 VALUES ({id}, 'T{id}', 'static/qr_{id}.png', '2026-10-0{id} 10:00:00'); \
                 INSERT INTO tracking_info (id, delivery_receipt_id, screenshot_path) VALUES ({id}, {id}, 'static/info_{id}.png')"
            ));
            env.write(&format!("static/qr_{id}.png"), "12345");
            env.write(&format!("static/info_{id}.png"), "12345");
        }
        if env.url().starts_with("sqlite") { env.sql("CREATE TRIGGER skip BEFORE DELETE ON delivery_receipts WHEN old.id = 2 BEGIN SELECT RAISE(IGNORE); END") } else { env.sql(
                "CREATE FUNCTION skip() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN \
                 IF old.id = 2 THEN RETURN NULL; END IF; RETURN old; END $$; \
                 CREATE TRIGGER skip BEFORE DELETE ON delivery_receipts FOR EACH ROW EXECUTE FUNCTION skip()"
            ) }
        let dry_run = cleanup(&env, 1, &["--only", "receipts", "--dry-run"]);
        let result = cleanup(&env, 1, &["--only", "receipts"]);
        assert_eq!(column(&env, "SELECT id FROM delivery_receipts"), ["2"]);
        assert_eq!(column(&env, "SELECT id FROM tracking_info"), ["2"], "{result:#}");
        for id in 1..=4 {
            for name in ["qr", "info"] {
                let path = env.path(format!("static/{name}_{id}.png"));
                assert_eq!(path.exists(), id == 2, "{}", path.display());
            }
        }
        assert_eq!(kinds(&result), ["row_refused"]);
        for key in ["receipts_cleaned", "files_cleaned", "errors"] {
            assert_eq!(dry_run[key], result[key], "{key}");
        }
    }
}
