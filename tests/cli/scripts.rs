//! The scripts that come with taskmon, run as a user runs them.

use crate::support::env::TestEnv;
use crate::support::rows::Task;
use crate::support::run::Run;
use crate::support::zone;
use serde_json::{Value, json};

fn script<'e>(env: &'e TestEnv, name: &str, arguments: &[&str]) -> Run<'e> {
    let path = format!("{}/scripts/{name}", env!("CARGO_MANIFEST_DIR"));
    let mut all = vec![path.as_str()];
    all.extend(arguments);
    env.program("bash", all)
}

/// Three days of one month and one of the next, in Shanghai.
fn tasks() -> Vec<Task> {
    let at = |n, day: &str| Task::new(n).with("created_at", format!("2023-{day} 12:00:00"));
    vec![
        at(1, "11-01").with("status", "COMPLETED"),
        at(2, "11-30").with("status", "COMPLETED"),
        at(3, "11-30").failed("x"),
        at(4, "11-15").failed("x"),
        at(5, "11-15").failed("x"),
        at(6, "11-15").with("status", "COMPLETED"),
        at(7, "12-01").failed("x"),
    ]
}

#[test]
fn a_month_is_summed_up() {
    let env = TestEnv::sqlite();
    env.insert(tasks());
    let month = script(&env, "month.sh", &["2023-11"]).success().json();
    assert_eq!(
        month,
        json!({"month": "2023-11", "days": 30, "total": 6, "completed": 3, "failed": 3, "failure_rate": 50,
               "busiest_day": {"date": "2023-11-15", "total": 3}, "worst_day": {"date": "2023-11-15", "failed": 2}})
    );
    let empty = script(&env, "month.sh", &["2022-02"]).success().json();
    assert_eq!((&empty["days"], &empty["failure_rate"]), (&json!(28), &json!(0)));
    assert_eq!(empty["busiest_day"], Value::Null);
    script(&env, "month.sh", &["2023-13"]).exits(2).stderr_contains("2023-13");
    script(&env, "month.sh", &["November"]).exits(2).stderr_contains("November");
    script(&env, "month.sh", &["2999-01"]).exits(2).stderr_contains("2999-01");
    let failed =
        script(&env, "month.sh", &["2023-11", "-q", "-q", "--database-url", "sqlite:gone.db"])
            .exits(3);
    failed.failure("database_unavailable", &["gone.db"]);
}

/// Whatever the system's zone is.
#[test]
fn the_current_month_ends_with_the_configurations_yesterday() {
    use chrono::{Datelike, Timelike, Utc};
    let env = TestEnv::sqlite();
    // One of the two is a day ahead of UTC or behind it now.
    let zone = match Utc::now().hour() {
        10.. => zone("Pacific/Kiritimati"),
        _ => zone("Pacific/Pago_Pago"),
    };
    let yesterday = Utc::now().with_timezone(&zone).date_naive() - chrono::Days::new(1);
    env.config_in(zone.name(), "");
    env.program("mv", ["taskmon.toml", "other.toml"]).success();
    let name = yesterday.format("%Y-%m").to_string();
    for option in [vec!["-c", "other.toml"], vec!["--config=other.toml"]] {
        let words = [&[name.as_str()][..], &option].concat();
        let month = script(&env, "month.sh", &words).env("TZ", "UTC").success();
        assert_eq!(month.json()["days"], yesterday.day(), "{zone}");
    }
}

#[test]
fn a_gate_fails_while_an_alert_is_firing() {
    let env = TestEnv::sqlite();
    env.insert(tasks());
    let day = |arguments: &[&str]| {
        let all: Vec<&str> = arguments.iter().copied().chain(["--date", "2023-11-15"]).collect();
        script(&env, "gate.sh", &all)
    };
    // Two of three failed, all for one reason.
    let critical = day(&[]).exits(4);
    assert!(critical.stdout().contains("critical\tTask failure rate"), "{}", critical.stdout());
    let config = env.read("taskmon.toml");
    env.write(
        "taskmon.toml",
        &format!("{config}\n[alerts]\nfailure_rate_critical = 90\nfailure_rate_warning = 60\n"),
    );
    day(&[]).success().stdout();
    let warning = day(&["warning"]).exits(4);
    assert!(warning.stdout().contains("warning\tTask failure rate"), "{}", warning.stdout());
    let several = day(&["warning", "--days", "2"]).exits(4);
    assert!(several.stdout().contains("warning\tTask failure rate"));
    let page = day(&["warning", "--output", "text"]).exits(4);
    assert!(page.stdout().contains("2023-11-15") && page.stdout().contains("Task failure rate"));
    let broken = day(&["critical", "-q", "-q", "--database-url", "sqlite:gone.db"]).exits(3);
    assert!(broken.stdout().starts_with("error\t"), "{}", broken.stdout());
}

#[test]
fn the_pictures_of_a_report_are_made_of_a_real_page() {
    let env = TestEnv::new();
    script(&env, "picture.sh", &[env!("CARGO_BIN_EXE_taskmon"), "."]).success();
    let manual = concat!(env!("CARGO_MANIFEST_DIR"), "/src/manual");
    for (name, headings) in [
        ("picture.en.svg", ["Slowest", "Errors", "By hour", "Past 7 days"]),
        ("picture.zh.svg", ["最慢的任务", "错误", "每小时任务数", "最近 7 天"]),
    ] {
        let shown = std::fs::read_to_string(format!("{manual}/{name}")).unwrap();
        for picture in [env.read(name), shown] {
            assert!(picture.starts_with("<svg ") && picture.ends_with("</svg>\n"), "{picture}");
            for heading in headings {
                assert!(picture.contains(&format!(">{heading}</text>")), "{heading}: {picture}");
            }
        }
    }
}

#[test]
fn removing_the_program_removes_its_jobs() {
    let env = crate::cli::schedule::environment();
    let path = format!("{}/scripts/install.sh", env!("CARGO_MANIFEST_DIR"));
    let install = |words: &[&str]| {
        let mut all = vec!["bash", path.as_str()];
        all.extend(words);
        let finished = crate::cli::schedule::isolated(&env, &all).success();
        finished.stdout().to_owned()
    };
    let program = env.path("home/.local/bin/taskmon").display().to_string();
    let crontab = |script: &str| {
        let finished = crate::cli::schedule::isolated(&env, &["sh", "-c", script]).success();
        finished.stdout().to_owned()
    };
    let jobs = format!(
        "echo '1 1 * * * true' | crontab - && {program} schedule install > installed && crontab -l"
    );
    install(&["--binary", env!("CARGO_BIN_EXE_taskmon")]);
    assert!(crontab(&jobs).contains(&program));
    let said = install(&["--uninstall"]);
    assert!(said.contains("removed the jobs from the crontab"), "{said}");
    assert_eq!(crontab("crontab -l"), "1 1 * * * true\n");

    // Those of all its configurations.
    install(&["--binary", env!("CARGO_BIN_EXE_taskmon")]);
    let both = crontab(&format!(
        "cp home/.config/taskmon/taskmon.toml second.toml && {program} -c second.toml schedule install > installed && {jobs}"
    ).replace("echo '1 1 * * * true' | crontab - && ", ""));
    assert_eq!(both.matches("# BEGIN taskmon").count(), 2, "{both}");
    install(&["--uninstall"]);
    assert_eq!(crontab("crontab -l"), "1 1 * * * true\n");

    // The lines name the program without the link on the way to it.
    let binary = env!("CARGO_BIN_EXE_taskmon");
    let said = crontab(&format!(
        "ln -s home linked && export HOME=$PWD/linked && bash {path} --binary {binary} > installed \
         && $HOME/.local/bin/taskmon schedule install > installed && crontab -l | grep -c home/.local/bin/taskmon && bash {path} --uninstall"
    ));
    assert!(said.contains("removed the jobs from the crontab"), "{said}");
    assert_eq!(crontab("crontab -l"), "1 1 * * * true\n");

    // Jobs of another program stay, and what cannot be removed is said.
    install(&["--binary", env!("CARGO_BIN_EXE_taskmon")]);
    crontab(&jobs.replace(&program, "taskmon"));
    let said = install(&["--uninstall"]);
    assert!(!said.contains("the jobs"), "{said}");
    assert!(crontab("crontab -l").contains("# BEGIN taskmon"));
    crontab("taskmon schedule remove > removed");
    install(&["--binary", env!("CARGO_BIN_EXE_taskmon")]);
    crontab(&jobs);
    env.write(
        "home/bin/crontab",
        "#!/bin/sh\n[ \"$1\" = -l ] && exec /usr/bin/crontab -l\nexit 1\n",
    );
    env.program("chmod", ["755", "home/bin/crontab"]).success();
    let uninstall = format!("PATH=$HOME/bin:$PATH exec bash {path} --uninstall");
    let finished = crate::cli::schedule::isolated(&env, &["sh", "-c", &uninstall]).success();
    finished.stderr();
    finished.stdout_contains("# BEGIN taskmon").stdout_contains("crontab -e");
}

#[test]
fn everything_that_is_installed_is_removed_again() {
    let env = TestEnv::new();
    let before = env.tree();
    let binary = env!("CARGO_BIN_EXE_taskmon");
    let install = |arguments: &[&str]| {
        let finished = script(&env, "install.sh", arguments).success();
        finished.stdout().to_owned()
    };
    let said = install(&["--binary", binary]);
    for file in [
        "home/.local/bin/taskmon",
        "home/.local/share/man/man1/taskmon-cleanup.1",
        "home/.local/share/bash-completion/completions/taskmon",
        "home/.config/taskmon/taskmon.toml",
    ] {
        assert!(env.path(file).is_file(), "{file}\n{}", env.tree());
        assert!(said.contains(file), "{said}");
    }
    // The installed program finds the installed configuration.
    let program = env.path("home/.local/bin/taskmon");
    let config: Value = env.program(&program, ["config"]).success().json();
    let file = config["file"].as_str().unwrap_or_default().to_owned();
    assert!(file.ends_with("home/.config/taskmon/taskmon.toml"), "{config:#}");

    // Again: the configuration is the user's.
    env.write("home/.config/taskmon/taskmon.toml", "language = 'zh'\n");
    assert!(install(&["--binary", binary]).contains("left"));
    install(&["--uninstall"]);
    assert_eq!(env.read("home/.config/taskmon/taskmon.toml"), "language = 'zh'\n");
    std::fs::remove_dir_all(env.path("home/.config")).unwrap();

    // Twice, as for a new version.
    install(&["--binary", binary]);
    install(&["--binary", binary]);
    install(&["--uninstall"]);
    let files: Vec<String> =
        env.tree().lines().filter(|line| line.contains("taskmon.")).map(str::to_owned).collect();
    assert!(files.is_empty(), "{files:?}");
    std::fs::remove_dir_all(env.path("home/.local")).unwrap();
    let _ = std::fs::remove_dir_all(env.path("home/.config"));
    assert_eq!(env.tree(), before);
    script(&env, "install.sh", &["--uninstall"]).exits(2).stderr_contains("nothing is installed");
    script(&env, "install.sh", &["--binary"]).exits(1).stderr_contains("--binary names no program");
}
