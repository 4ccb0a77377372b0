//! What a run leaves to the next one: the files of rows that are deleted, in its journal.

use super::*;
use std::path::PathBuf;

/// A run that is killed once two of four rows are deleted, whose files are still there, and its journal.
fn killed_between() -> (TestEnv, Vec<Task>, PathBuf) {
    let env = TestEnv::postgres();
    let tasks: Vec<Task> = (1..=4).map(old).collect();
    prepare(&env, &tasks);
    env.sql(include_str!("../../fixtures/cleanup/slow_delete.sql"));
    let mut command = env.taskmon(arguments(&["--batch-size", "2", "--no-lock"])).command();
    let mut child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    wait_until("two rows are deleted", || ids(&env).len() == 2);
    child.kill().unwrap();
    child.wait().unwrap();
    wait_until("the server has ended its session", || {
        let sessions = "SELECT 1 FROM pg_stat_activity WHERE datname = current_database() AND query LIKE 'DELETE%' AND state <> 'idle' AND pid <> pg_backend_pid()";
        column(&env, sessions).is_empty()
    });
    env.sql("DROP TRIGGER slow ON tasks");
    assert!(tasks.iter().all(|task| has_files(&env, task)), "{}", env.tree());
    let names = journals(&env);
    assert_eq!(names.len(), 1, "{}", env.tree());
    let journal = env.path("uploads").join(&names[0]);
    assert!(journal.exists(), "{}", env.tree());
    (env, tasks, journal)
}

fn only_tasks(env: &TestEnv, code: i32, more: &[&str]) -> Value {
    cleanup(env, code, &[&["--only", "tasks"], more].concat())
}

#[test]
fn the_next_run_removes_the_files_and_a_dry_run_says_so() {
    let (env, tasks, _) = killed_between();
    let before = state(&env.path(""));
    let dry_run = only_tasks(&env, 0, &["--dry-run"]);
    assert_eq!(state(&env.path("")), before);
    let result = only_tasks(&env, 0, &[]);
    assert_eq!((&result["tasks_cleaned"], &result["files_cleaned"]), (&json!(2), &json!(12)));
    for key in ["tasks_cleaned", "files_cleaned", "disk_space_freed_mb"] {
        assert_eq!(dry_run[key], result[key], "{key}");
    }
    assert_nothing_lost(&env, &tasks, &[], &[]);
}

#[test]
fn a_row_that_is_there_again_keeps_its_files_and_so_does_a_file_that_another_row_names() {
    let (env, tasks, _) = killed_between();
    let gone: Vec<Task> = (1..=2).map(|id| tasks[id - 1].clone()).collect();
    env.insert([
        gone[0].clone().status("PENDING"),
        Task::new(9).with("image_path", "./uploads//image_2.png"),
    ]);
    let result = only_tasks(&env, 0, &[]);
    assert_eq!(ids(&env), ["1", "9"]);
    assert!(has_files(&env, &gone[0]), "{}", env.tree());
    assert!(env.path("uploads/image_2.png").exists());
    assert_eq!(result["files_cleaned"], 2 + 6);
    assert_eq!(journals(&env), Vec::<String>::new());
}

#[test]
fn a_file_that_has_taken_the_place_of_another_stays() {
    let (env, _, _) = killed_between();
    std::fs::remove_file(env.path("uploads/image_1.png")).unwrap();
    env.write("uploads/other", "of an upload under way");
    std::fs::rename(env.path("uploads/other"), env.path("uploads/image_1.png")).unwrap();
    let said = message(&only_tasks(&env, 1, &[]), "unlink_failed");
    assert!(said.contains("uploads/image_1.png") && said.contains("has changed"), "{said}");
    assert_eq!(env.read("uploads/image_1.png"), "of an upload under way");
    assert_eq!(journals(&env), Vec::<String>::new());
}

/// Whoever may write to a storage root could name any file in it.
#[test]
fn a_journal_that_another_user_may_have_written_is_not_believed() {
    let (env, tasks, journal) = killed_between();
    let refused = |why: &str| {
        let result = only_tasks(&env, 0, &[]);
        let notes = result["notes"].to_string();
        assert!(
            notes.contains(".taskmon-intent-") && notes.contains("left alone"),
            "{why}: {notes}"
        );
        assert!(tasks[..2].iter().all(|task| has_files(&env, task)), "{why}");
    };
    let mode = |bits| {
        std::fs::set_permissions(&journal, std::fs::Permissions::from_mode(bits)).unwrap();
    };
    mode(0o666);
    refused("others may write to it");
    mode(0o640);
    std::fs::hard_link(&journal, env.path("other_name")).unwrap();
    refused("it has another name");
    std::fs::remove_file(env.path("other_name")).unwrap();
    std::os::unix::fs::chown(&journal, Some(65_534), None).unwrap();
    refused("it is another user's");
    std::os::unix::fs::chown(&journal, Some(0), None).unwrap();
    only_tasks(&env, 0, &[]);
    assert_nothing_lost(&env, &tasks, &[], &[]);
}

#[test]
fn a_journal_of_another_database_is_left_alone() {
    let (env, tasks, journal) = killed_between();
    let other = TestEnv::sqlite();
    other.config(&format!("[cleanup]\nstorage_roots = ['{}']", env.path("uploads").display()));
    let result = only_tasks(&other, 0, &[]);
    let notes = result["notes"].to_string();
    assert!(notes.contains("other tables") && notes.contains("postgresql"), "{notes}");
    assert!(journal.exists() && tasks[..2].iter().all(|task| has_files(&env, task)));
    only_tasks(&env, 0, &[]);
    assert_nothing_lost(&env, &tasks, &[], &[]);
}

#[test]
fn a_journal_of_other_tables_of_the_same_database_is_left_alone() {
    let (env, tasks, journal) = killed_between();
    env.sql(
        "CREATE SCHEMA other; CREATE TABLE other.tasks (LIKE tasks INCLUDING ALL);
         CREATE TABLE other.delivery_receipts (LIKE delivery_receipts INCLUDING ALL);
         CREATE TABLE other.tracking_info (LIKE tracking_info INCLUDING ALL)",
    );
    let url = format!("{}?options=-csearch_path%3Dother", env.url());
    let result = only_tasks(&env, 0, &["--database-url", &url]);
    assert!(result["notes"].to_string().contains("other tables"), "{result:#}");
    assert!(journal.exists() && tasks[..2].iter().all(|task| has_files(&env, task)));
}

#[test]
fn a_journal_with_a_line_that_cannot_be_read_is_left_alone() {
    let (env, tasks, journal) = killed_between();
    let content = std::fs::read_to_string(&journal).unwrap();
    let (header, intents) = content.split_once('\n').unwrap();
    for content in [format!("{header}\n{{]\n{intents}"), format!("\0\0\n{intents}")] {
        std::fs::write(&journal, content).unwrap();
        for mode in [&["--dry-run"][..], &[]] {
            let result = only_tasks(&env, 0, mode);
            assert!(result["notes"].to_string().contains("cannot be read"), "{result:#}");
        }
        assert!(journal.exists() && tasks[..2].iter().all(|task| has_files(&env, task)));
    }
}

/// What is read of all rows is of one moment, and the rows that come afterwards may name the files too.
#[test]
fn a_row_that_comes_while_all_paths_are_read_keeps_its_file() {
    let env = TestEnv::postgres();
    let tasks: Vec<Task> = (1..=4).map(old).collect();
    prepare(&env, &tasks);
    env.insert([Task::new(8).status("PENDING")]);
    env.sql(
        "CREATE FUNCTION slow(path text) RETURNS text LANGUAGE plpgsql AS $$ BEGIN
         IF current_setting('transaction_isolation') = 'repeatable read' THEN PERFORM pg_sleep(3); END IF;
         RETURN path; END $$",
    );
    env.config("tasks.files = ['slow(image_path)', 'document_path', 'screenshot_path']");
    let running = env.taskmon(arguments(&[])).spawn();
    let sleeping = "SELECT 1 FROM pg_stat_activity WHERE datname = current_database() AND wait_event = 'PgSleep'";
    wait_until("the paths are read", || !column(&env, sleeping).is_empty());
    let now = (Utc::now() + TimeDelta::hours(8)).format("%Y-%m-%d %H:%M:%S").to_string();
    env.insert([Task::new(9).at(&now).with("image_path", "uploads//image_1.png")]);
    let result = running.wait().json();
    assert_eq!((&result["tasks_cleaned"], &result["files_cleaned"]), (&json!(4), &json!(11)));
    assert_eq!(result["files_shared"], 1, "{result:#}");
    assert!(env.path("uploads/image_1.png").exists());
}

/// One row's path cannot be computed, and whether that row names a file is not known.
#[test]
fn while_a_path_cannot_be_read_no_file_goes_and_at_most_the_rows_of_one_run() {
    let env = TestEnv::postgres();
    let tasks: Vec<Task> = (1..=4).map(old).collect();
    prepare(&env, &tasks);
    env.insert([Task::new(8).status("PENDING").with("image_path", "x")]);
    env.config("tasks.files = [\"CASE WHEN image_path = 'x' THEN (1 / (length(image_path) - 1))::text ELSE image_path END\"]");
    let failed = |code: i32, rows: &[&str]| {
        let said = only_tasks(&env, code, &[]).to_string();
        assert!(said.contains("tasks.files[1]") && said.contains("division by zero"), "{said}");
        assert_eq!(ids(&env), rows);
        assert!(tasks.iter().all(|task| env.path(&paths(task)[1]).exists()), "{}", env.tree());
    };
    failed(1, &["8"]);
    prepare(&env, &[old(5)]);
    failed(3, &["5", "8"]);
    env.sql("UPDATE tasks SET image_path = 'y' WHERE id = 8");
    assert_eq!(only_tasks(&env, 0, &[])["files_cleaned"], 5);
    assert_eq!(journals(&env), Vec::<String>::new());
}

#[test]
fn a_journal_that_breaks_off_is_read_as_far_as_it_goes() {
    let (env, tasks, journal) = killed_between();
    let content = std::fs::read(&journal).unwrap();
    std::fs::write(
        &journal,
        [&content[..], b"{\"from\":\"tasks\",\"rows\":[{\"key\":[\"3\"],\"fi"].concat(),
    )
    .unwrap();
    only_tasks(&env, 0, &[]);
    assert_nothing_lost(&env, &tasks, &[], &[]);
    for content in ["", "{\"datab", "[]\n"] {
        std::fs::write(env.path("uploads/.taskmon-intent-1"), content).unwrap();
        std::fs::set_permissions(
            env.path("uploads/.taskmon-intent-1"),
            std::fs::Permissions::from_mode(0o640),
        )
        .unwrap();
        only_tasks(&env, 0, &[]);
        assert_eq!(journals(&env), Vec::<String>::new(), "{content:?}");
    }
}

/// What was possible when the file was examined is not when it is to go.
#[test]
fn a_file_that_cannot_be_removed_is_tried_again_by_each_run() {
    let env = TestEnv::postgres();
    let tasks: Vec<Task> = (1..=2).map(old).collect();
    prepare(&env, &tasks);
    env.sql(include_str!("../../fixtures/cleanup/slow_delete.sql"));
    let running = env.taskmon(arguments(&[])).spawn();
    let sleeping = "SELECT 1 FROM pg_stat_activity WHERE datname = current_database() AND wait_event = 'PgSleep'";
    wait_until("the delete takes its second", || !column(&env, sleeping).is_empty());
    let chattr = |flag: &str| {
        let status = Command::new("chattr").arg(flag).arg(env.path("uploads/image_1.png")).status();
        assert!(status.unwrap().success());
    };
    chattr("+i");
    let first = running.wait();
    let second = run(&env, 1, &["--only", "tasks"]);
    chattr("-i");
    for (finished, tasks, files) in [(first, 2, 5), (second, 0, 0)] {
        let result = finished.json();
        assert_eq!(finished.code, Some(1), "{result:#}");
        let said = message(&result, "unlink_failed");
        assert!(said.contains("uploads/image_1.png") && said.contains("is deleted"), "{said}");
        assert_eq!(
            (&result["tasks_cleaned"], &result["files_cleaned"]),
            (&json!(tasks), &json!(files))
        );
    }
    assert_eq!(only_tasks(&env, 0, &[])["files_cleaned"], 1);
    assert_nothing_lost(&env, &tasks, &[], &[]);
}
