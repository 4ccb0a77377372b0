//! `taskmon demo`: a sandbox whose report is real.

use crate::support::env::TestEnv;

fn demo(env: &TestEnv, folder: &str) -> String {
    let finished = env.taskmon(["demo", folder]).success();
    finished.stderr();
    finished.stdout().to_owned()
}

#[test]
fn the_demo_makes_a_sandbox_whose_report_is_real() {
    let env = TestEnv::new();
    demo(&env, "sandbox");
    for file in ["sandbox/taskmon.toml", "sandbox/reports/daily"] {
        assert!(env.path(file).exists(), "{file}\n{}", env.tree());
    }
    let database = walkdir::WalkDir::new(env.path("sandbox"))
        .into_iter()
        .flatten()
        .find(|entry| entry.path().extension().is_some_and(|end| end == "db"))
        .expect("a SQLite database");
    let rows = rusqlite::Connection::open(database.path()).unwrap();
    let tasks: i64 = rows.query_row("SELECT count(*) FROM tasks", [], |row| row.get(0)).unwrap();
    assert!(tasks > 2000, "{tasks} tasks");

    let report =
        env.taskmon(["stats", "--no-alert", "--config", "sandbox/taskmon.toml"]).success().json();
    assert!(report["task_statistics"]["total_tasks"].as_i64().unwrap() > 50);
    assert!(report["error_statistics"]["total_failed_tasks"].as_i64().unwrap() > 0);
    assert_eq!(
        report["unavailable"],
        serde_json::json!(["system_statistics.queue_statistics.queues", "queues", "names"])
    );
    let days = report["trend_analysis"]["past_7_days"].as_array().unwrap();
    assert!(days.iter().all(|day| day["total"].as_i64().unwrap() > 0), "{days:?}");
}

/// Right after `cargo run` the program is not on PATH, and a folder's name may hold a space.
#[test]
fn the_demo_says_how_to_go_on_in_commands_that_work() {
    let env = TestEnv::new();
    let next = |path: &str| -> Vec<String> {
        let run = env.taskmon(["demo", "my sandbox"]).env("PATH", path);
        let document = run.success().json();
        serde_json::from_value(document["next"].clone()).unwrap()
    };
    let bare = "/usr/local/bin:/usr/bin:/bin";
    let commands = next(bare);
    assert_eq!(commands.len(), 4);
    for command in &commands {
        let run = env.program("sh", ["-c", command]).env("PATH", bare);
        let finished = run.success();
        assert!(!finished.stdout().is_empty(), "{command}");
        // The sandbox's errors are mostly of one kind, and the report of yesterday warns of that.
        let lines: Vec<&str> = finished.stderr().lines().collect();
        assert!(
            lines.iter().all(|line| line.contains("Errors are concentrated")),
            "{command}: {lines:?}"
        );
    }
    let binary = std::path::Path::new(env!("CARGO_BIN_EXE_taskmon"));
    let with_it = format!("{}:{bare}", binary.parent().unwrap().display());
    for command in next(&with_it) {
        assert!(command.starts_with("cd 'my sandbox' && taskmon "), "{command}");
    }
}

#[test]
fn the_demo_says_where_the_sandbox_is_and_what_it_kept() {
    let env = TestEnv::new();
    demo(&env, "sandbox");
    for (language, kept) in [("en", "is kept as"), ("zh_CN.UTF-8", "另存为")] {
        env.write("sandbox/taskmon.toml", "# my own settings\n");
        let page =
            env.taskmon(["demo", "sandbox", "--output", "text"]).env("LANG", language).success();
        let sandbox = env.path("sandbox").display().to_string();
        page.stdout_contains(&format!("{sandbox}\n"))
            .stdout_contains(kept)
            .stdout_contains("sandbox/taskmon.toml.bak");
    }
}

#[test]
fn the_demo_can_be_run_twice() {
    let env = TestEnv::new();
    demo(&env, "sandbox");
    demo(&env, "sandbox");
    env.taskmon(["stats", "--no-alert", "--config", "sandbox/taskmon.toml"]).success().json();
}

#[test]
fn a_folder_that_is_not_a_sandbox_is_never_touched() {
    let env = TestEnv::new();
    env.write("mine/letter.txt", "dear diary");
    env.write("mine/taskmon.toml", "# my own settings\n");
    let before = env.tree();
    let finished = env.taskmon(["demo", "mine"]).exits(3);
    finished.failure("not_a_sandbox", &["mine"]);
    assert_eq!(env.tree(), before);
    assert_eq!(env.read("mine/letter.txt"), "dear diary");
    assert_eq!(env.read("mine/taskmon.toml"), "# my own settings\n");
}

#[test]
fn a_file_in_the_place_of_the_sandbox_is_never_touched() {
    let env = TestEnv::new();
    env.write("sandbox", "I am a file");
    env.taskmon(["demo", "sandbox"]).exits(3).failure("not_a_sandbox", &["sandbox"]);
    assert_eq!(env.read("sandbox"), "I am a file");
}
