//! `taskmon config`, and which source of a setting beats which.

use crate::cli::stats::DAY;
use crate::support::env::TestEnv;
use crate::support::rows::Task;
use serde_json::Value;
use std::collections::BTreeMap;

const STATS: [&str; 4] = ["stats", "--date", DAY, "--no-save"];

#[test]
fn the_default_file_is_accepted_as_it_is_printed() {
    let env = TestEnv::new();
    let printed = env.taskmon(["config", "--default"]).success().stdout().to_owned();
    assert!(printed.lines().filter(|line| line.contains('#')).count() > 20, "it is commented");
    let before = settings(&env.taskmon(["config"]).success().json());
    env.write("taskmon.toml", &printed);
    let after = settings(&env.taskmon(["config"]).success().json());
    assert!(before.len() > 15, "{before:?}");
    assert_eq!(before, after, "the defaults in a file are the defaults");
    assert_eq!(
        env.taskmon(["disk", "--warning", "100", "--critical", "100"]).success().json()["success"],
        true
    );
}

#[test]
fn every_section_of_the_default_file_is_one_that_is_known() {
    let env = TestEnv::new();
    let printed = env.taskmon(["config", "--default"]).success().stdout().to_owned();
    for section in ["[database]", "[stats]", "[disk]"] {
        assert!(printed.contains(section), "{section}");
    }
    for key in [
        "timezone",
        "language",
        "naive_timestamps",
        "reports_dir",
        "slowest_tasks",
        "warning_percent",
    ] {
        assert!(printed.contains(key), "{key}");
    }
}

/// One SQLite file for each source, each with a number of tasks of its own.
fn sources() -> TestEnv {
    let env = TestEnv::sqlite();
    for (name, tasks) in
        [("file", 1), ("database_url", 2), ("taskmon_database_url", 3), ("flag", 4)]
    {
        env.sql("DELETE FROM tasks");
        env.insert((1..=tasks).map(Task::new));
        std::fs::copy(env.path("tasks.db"), env.path(format!("{name}.db"))).unwrap();
    }
    env.write(
        "taskmon.toml",
        "timezone = \"Asia/Shanghai\"\n[database]\nurl = \"sqlite:file.db\"\n",
    );
    env
}

#[test]
fn a_flag_beats_the_environment_and_the_environment_beats_the_file() {
    let env = sources();
    let total = |run: crate::support::run::Run| {
        run.success().json()["task_statistics"]["total_tasks"].clone()
    };
    assert_eq!(total(env.taskmon(STATS)), 1);
    let with_url = || env.taskmon(STATS).env("DATABASE_URL", "sqlite:database_url.db");
    assert_eq!(total(with_url()), 2);
    let with_both = || with_url().env("TASKMON_DATABASE_URL", "sqlite:taskmon_database_url.db");
    assert_eq!(total(with_both()), 3);
    assert_eq!(total(with_both().arg("--database-url").arg("sqlite:flag.db")), 4);
    // An empty variable counts as unset.
    assert_eq!(
        total(env.taskmon(STATS).env("DATABASE_URL", "").env("TASKMON_DATABASE_URL", "")),
        1
    );
}

#[test]
fn the_file_is_looked_for_in_the_order_of_the_manual() {
    let env = TestEnv::new();
    let file = |name: &str, percent: u32| {
        env.write(
            name,
            &format!(
                "[disk]\npaths = [\"/\"]\nwarning_percent = {percent}\ncritical_percent = 100\n"
            ),
        );
    };
    let critical_at = |run: crate::support::run::Run| {
        // The status shows which file was read: each has a warning threshold of 0 or 100.
        run.success().json()["disk_info"]["status"].as_str().unwrap().to_owned()
    };
    let disk = || env.taskmon(["disk", "--no-alert"]);
    file("home/.config/taskmon/taskmon.toml", 0);
    assert_eq!(critical_at(disk()), "warning");
    file("xdg/taskmon/taskmon.toml", 100);
    let xdg = env.path("xdg");
    assert_eq!(critical_at(disk().env("XDG_CONFIG_HOME", &xdg)), "normal");
    file("taskmon.toml", 0);
    assert_eq!(critical_at(disk().env("XDG_CONFIG_HOME", &xdg)), "warning");
    file("named.toml", 100);
    assert_eq!(critical_at(disk().env("TASKMON_CONFIG", "named.toml")), "normal");
    file("flag.toml", 0);
    assert_eq!(
        critical_at(disk().env("TASKMON_CONFIG", "named.toml").arg("--config").arg("flag.toml")),
        "warning"
    );
}

#[test]
fn relative_paths_start_at_the_folder_of_the_file() {
    let env = TestEnv::sqlite();
    env.insert([Task::new(1)]);
    let url = env.url();
    env.write(
        "etc/app/taskmon.toml",
        &format!("timezone = \"Asia/Shanghai\"\n[database]\nurl = \"{url}\"\n"),
    );
    env.taskmon(["stats", "--date", DAY, "--config", "etc/app/taskmon.toml"]).success().json();
    assert!(
        env.path(format!("etc/app/reports/daily/daily_report_{}.json", DAY.replace('-', "")))
            .is_file(),
        "{}",
        env.tree()
    );
    env.write(
        "etc/app/taskmon.toml",
        &format!(
            "base_dir = \"../var\"\ntimezone = \"Asia/Shanghai\"\n[database]\nurl = \"{url}\"\n"
        ),
    );
    env.taskmon(["stats", "--date", DAY, "--config", "etc/app/taskmon.toml"]).success().json();
    assert!(
        env.path(format!("etc/var/reports/daily/daily_report_{}.json", DAY.replace('-', "")))
            .is_file(),
        "{}",
        env.tree()
    );
}

#[test]
fn the_language_comes_from_the_file_then_from_lang_then_it_is_english() {
    let env = TestEnv::sqlite();
    let direction = |run: crate::support::run::Run| {
        run.success().json()["trend_analysis"]["trend_direction"].clone()
    };
    let url = env.url();
    env.write("taskmon.toml", &format!("[database]\nurl = \"{url}\"\n"));
    assert_eq!(direction(env.taskmon(STATS)), "flat");
    assert_eq!(direction(env.taskmon(STATS).env("LANG", "zh_CN.UTF-8")), "持平");
    assert_eq!(direction(env.taskmon(STATS).env("LANG", "de_DE.UTF-8")), "flat");
    env.write("taskmon.toml", &format!("language = \"zh\"\n[database]\nurl = \"{url}\"\n"));
    assert_eq!(direction(env.taskmon(STATS).env("LANG", "en_US.UTF-8")), "持平");
}

/// Every setting with its path, but for what says where settings come from.
fn settings(config: &Value) -> BTreeMap<String, Value> {
    let mut found = BTreeMap::new();
    collect("", config, &mut found);
    found.retain(|path, _| !path.ends_with("/file") && !path.contains("source"));
    found
}

fn collect(path: &str, value: &Value, found: &mut BTreeMap<String, Value>) {
    match value {
        Value::Object(object) => {
            for (key, value) in object {
                collect(&format!("{path}/{key}"), value, found);
            }
        }
        other => {
            found.insert(path.to_owned(), other.clone());
        }
    }
}

/// Also in runs that fail: the configuration is resolved before anything else.
#[test]
fn a_run_opens_the_configuration_once_and_prints_its_warnings_once() {
    use rustix::fs::inotify::{CreateFlags, ReadFlags, Reader, WatchFlags, add_watch, init};
    let env = TestEnv::sqlite();
    // Days of the machine's zone, which `TZ` does not name.
    env.write("taskmon.toml", &format!("[database]\nurl = \"{}\"\n", env.url()));
    let runs: [(&[&str], i32); 7] = [
        (&["disk"], 0),
        (&["stats"], 0),
        (&["stats", "--date", "tomorrow"], 2),
        (&["stats", "--database-url", "sqlite:gone.db"], 3),
        (&["alert"], 0),
        (&["cleanup"], 0),
        (&["config"], 0),
    ];
    for (arguments, exit_code) in runs {
        let watch = init(CreateFlags::CLOEXEC | CreateFlags::NONBLOCK).unwrap();
        // The kernel merges equal events that follow each other: two openings without what is between them would be one.
        let events = WatchFlags::OPEN | WatchFlags::CLOSE_NOWRITE;
        add_watch(&watch, env.path("taskmon.toml"), events).unwrap();
        let finished = env.taskmon(arguments.iter().copied()).env("TZ", "CST-8").exits(exit_code);
        let warnings = finished.stderr().matches("which is not an IANA name").count();
        assert_eq!(warnings, 1, "{arguments:?}: {}", finished.stderr());
        finished.stdout();
        let mut buffer = [std::mem::MaybeUninit::uninit(); 4096];
        let mut reader = Reader::new(&watch, &mut buffer);
        let mut opened = 0;
        while let Ok(event) = reader.next() {
            opened += usize::from(event.events().contains(ReadFlags::OPEN));
        }
        assert_eq!(opened, 1, "{arguments:?}");
    }
}
