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
    only_tasks(&env, 0, &[]);
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
    assert!(notes.contains("another database") && notes.contains("postgresql"), "{notes}");
    assert!(journal.exists() && tasks[..2].iter().all(|task| has_files(&env, task)));
    only_tasks(&env, 0, &[]);
    assert_nothing_lost(&env, &tasks, &[], &[]);
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
