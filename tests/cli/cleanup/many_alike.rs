//! What thousands of rows have in common is found once and said once.

use super::*;

/// A row that names this path alone.
fn naming(n: u32, path: &str) -> Task {
    old(n).with("image_path", path).without("document_path").without("screenshot_path")
}

/// The lines that the log has, and the result.
#[track_caller]
fn logged(env: &TestEnv) -> (Vec<String>, Value) {
    let finished = env.taskmon(["cleanup", "--as-of", AS_OF, "--only", "tasks"]).exits(1);
    let lines = finished.stderr().lines().map(|line| line.split_once("] ").unwrap().1.to_owned());
    (lines.collect(), finished.json())
}

on_each_database! {
    fn a_storage_root_that_the_configuration_does_not_name_is_one_line(env) {
        let tasks = (1..=2500).map(|n| naming(n, &format!("storage/receipts/{}/{n}.png", n % 7)));
        env.insert(tasks.chain([naming(2501, "/srv/elsewhere/a.png"), naming(2502, "https://example.org/a.png")]));
        // Neither the brake nor a clock without a recent task is what this is about.
        prepare(&env, &[old(3000), Task::new(3001)]);
        env.config("[cleanup]\nbrake_percent = 0");
        let (lines, result) = logged(&env);
        assert_eq!(lines, [
            "2,500 rows name files beneath no storage root, as storage/receipts/1/1.png: is `storage` missing in storage_roots?".to_owned(),
            "2 rows name files beneath no storage root, as /srv/elsewhere/a.png: they are kept".to_owned(),
        ]);
        assert_eq!(result["errors"].as_array().unwrap().len(), 1000);
        assert_eq!((&result["errors_total"], &result["tasks_cleaned"]), (&json!(2502), &json!(1)));
        // Each as it comes, for whoever asks.
        let verbose = env.taskmon(["-vv", "cleanup", "--as-of", AS_OF, "--only", "tasks"]).exits(1);
        verbose.stdout();
        verbose.stderr_contains("task_2500 stays with its files: storage/receipts/1/2500.png: ");
    }

    fn a_storage_root_that_is_not_there_is_said_once(env) {
        env.insert((1..=50).map(|n| naming(n, &format!("uploads/{n}.png"))).chain([Task::new(51)]));
        let (lines, result) = logged(&env);
        assert_eq!(lines.len(), 1, "{lines:#?}");
        assert!(lines[0].starts_with("50 rows stay with their files, as uploads/1.png: the storage root "), "{lines:#?}");
        assert_eq!(result["errors_total"], 50);
    }

    fn rows_whose_folders_are_long_gone_go(env) {
        let gone = (1..=40).map(|n| naming(n, &format!("uploads/{}/{n}/a/b/c.png", n % 3)));
        let absolute = env.path("uploads/0/x/a.png");
        let linked = env.path("volume/uploads/y/a.png");
        std::os::unix::fs::symlink(env.path("."), env.path("volume")).unwrap();
        let more = [
            naming(41, absolute.to_str().unwrap()),
            naming(42, linked.to_str().unwrap()),
            naming(43, "uploads/../uploads/0/a.png"),
            naming(44, "nowhere/../../elsewhere/a.png"),
        ];
        env.insert(gone.chain(more));
        prepare(&env, &[naming(50, "uploads/0/9/a.png"), naming(51, "uploads/2/there.png")]);
        let result = cleanup(&env, 1, &["--only", "tasks"]);
        assert_eq!(kinds(&result), ["outside_roots"]);
        assert_eq!((&result["tasks_cleaned"], &result["files_cleaned"]), (&json!(45), &json!(2)));
        assert_eq!(ids(&env), ["44"]);
    }
}
