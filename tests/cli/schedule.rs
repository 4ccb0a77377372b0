//! The cron side, with the `crontab` program, the cron and the systemd of the system that the tests run on.
//!
//! No test touches the crontabs of this host: each has a spool of its own, mounted over the system's in a mount namespace. That takes root; without it
//! these tests fail, they never skip.

use crate::cli::errors::wait_until;
use crate::support::env::{Finished, Run, TestEnv};
use crate::support::rows::{DAY, long_ago};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use taskmon::store::advisory::Attempt;
use taskmon::store::open;
use taskmon::store::target::{Target, UrlContext};

/// Where cron keeps crontabs: Debian and busybox, or cronie as Fedora has it.
fn spool() -> &'static str {
    let debian = "/var/spool/cron/crontabs";
    if Path::new(debian).is_dir() { debian } else { "/var/spool/cron" }
}

/// A configuration, and an empty spool.
pub fn environment() -> TestEnv {
    assert!(
        rustix::process::geteuid().is_root(),
        "these tests mount a spool of their own over the system's, which takes root"
    );
    let env = TestEnv::sqlite();
    std::fs::create_dir(env.path("spool")).unwrap();
    let copy = format!("chown --reference={0} spool && chmod --reference={0} spool", spool());
    env.program("sh", ["-c", &copy]).success();
    env
}

/// A program with the test's spool in place of the system's.
pub fn isolated<'e>(env: &'e TestEnv, words: &[&str]) -> Run<'e> {
    let mount = format!("mount --bind \"$SPOOL\" {} && exec \"$@\"", spool());
    let mut all = vec!["--mount", "sh", "-c", &mount, "sh"];
    all.extend(words);
    env.program("unshare", all).env("SPOOL", env.path("spool"))
}

fn schedule<'e>(env: &'e TestEnv, words: &[&str]) -> Run<'e> {
    let mut all = vec!["taskmon", "schedule"];
    all.extend(words);
    isolated(env, &all)
}

/// The crontab as it is: an editor is given the file, where `crontab -l` of Debian shows a carriage return as `\\r`.
fn crontab(env: &TestEnv) -> String {
    isolated(env, &["crontab", "-l"]).success().stdout();
    let finished = isolated(env, &["crontab", "-e"]).env("EDITOR", "cat").success();
    finished.stderr();
    finished.stdout().to_owned()
}

fn no_crontab(env: &TestEnv) {
    let finished = isolated(env, &["crontab", "-l"]).exits(1);
    finished.stderr();
}

/// Puts a crontab in, as a user does.
fn put(env: &TestEnv, text: &str) {
    env.write("new.crontab", text);
    isolated(env, &["crontab", "new.crontab"]).success();
}

fn binary() -> &'static str {
    env!("CARGO_BIN_EXE_taskmon")
}

fn add_jobs(env: &TestEnv, jobs: &[(&str, &str, &str, &str)]) {
    let mut text = env.read("taskmon.toml");
    for (name, cron, command, queue) in jobs {
        text += &format!(
            "\n[[schedule.jobs]]\nname = {name:?}\ncron = {cron:?}\ncommand = {command:?}\nqueue = {queue:?}\n"
        );
    }
    env.write("taskmon.toml", &text);
}

/// The lines that are commands.
fn commands(crontab: &str) -> Vec<&str> {
    let lines = crontab.lines();
    lines.filter(|line| !line.starts_with('#')).collect()
}

// ---- what `check` says of it

#[test]
fn check_says_what_is_installed_and_how_the_runs_went() {
    let env = environment();
    let found = |name: &str| -> Value {
        let result = isolated(&env, &["taskmon", "check"]).run().json();
        let checks = result["checks"].as_array().unwrap().clone();
        checks.into_iter().find(|check| check["name"] == name).unwrap()
    };
    let nothing = found("cron");
    assert!(nothing.to_string().contains("没有安装任何作业"), "{nothing:#}");
    assert_eq!(found("runs")["status"], "skipped");

    schedule(&env, &["install"]).success().json();
    add_jobs(&env, &[("weekly", "0 3 * * 1", "stats --days 7", "")]);
    let text = env.read("taskmon.toml").replace("[database]", "[disk]\npaths = ['.']\n[database]");
    env.write("taskmon.toml", &text);
    // One's own jobs replace the default ones, which are in the crontab still.
    let one = found("cron");
    assert!(one.to_string().contains("没有安装任何作业"), "{one:#}");
    schedule(&env, &["install"]).success().json();
    let installed = found("cron");
    assert!(!installed.to_string().contains("未安装"), "{installed:#}");

    isolated(&env, &["taskmon", "-q", "-q", "stats", "--days", "7"]).success().json();
    let runs = found("runs");
    assert_eq!(runs["status"], "ok", "{runs:#}");
    assert!(runs["message"].as_str().unwrap().contains("weekly"), "{runs:#}");
    env.write("taskmon.toml", &text.replace("tasks.db", "gone.db"));
    isolated(&env, &["taskmon", "-q", "-q", "stats", "--days", "7"]).exits(3).json();
    let runs = found("runs");
    assert_eq!(runs["status"], "warning", "{runs:#}");
    assert!(runs["message"].as_str().unwrap().contains("退出码 3"), "{runs:#}");
}

// ---- the crontab

#[test]
fn what_is_installed_are_the_jobs_with_absolute_paths_and_their_niceness() {
    let env = environment();
    let result = schedule(&env, &["install"]).success().json();
    assert_eq!(result["success"], true);
    assert_eq!(result["changed"], true);
    let config = env.path("taskmon.toml");
    let line = |cron: &str, nice: u8, command: &str| {
        format!("{cron} nice -n {nice} {} -c {} {command} > /dev/null", binary(), config.display())
    };
    let expected = [
        line("0 2 * * *", 12, "stats"),
        line("0 4 * * *", 14, "cleanup"),
        line("15 * * * *", 8, "disk"),
        line("*/5 * * * *", 2, "alert"),
    ];
    let text = crontab(&env);
    assert_eq!(commands(&text), expected);
    assert_eq!(result["block"], text);
    let names: Vec<&str> = result["jobs"]
        .as_array()
        .unwrap()
        .iter()
        .map(|job| job["name"].as_str().unwrap())
        .collect();
    assert_eq!(
        names,
        [
            "generate-daily-statistics",
            "cleanup-expired-tasks",
            "disk-space-check",
            "check-live-alerts"
        ]
    );
}

#[test]
fn installing_again_changes_nothing_and_removing_leaves_what_was_there() {
    for text in [
        "MAILTO=ann\n# mine\n\n5 4 * * * /bin/true\n",
        "5 4 * * * /bin/true # 中文\n\n",
        "5 4 * * * /bin/true\r\n# \\r is not one\n",
        "5 4 * * * printf 'a\\r'\n",
    ] {
        let env = environment();
        put(&env, text);
        schedule(&env, &["install"]).success().json();
        let installed = crontab(&env);
        assert!(installed.starts_with(text), "{installed}");
        let again = schedule(&env, &["install"]).success().json();
        assert_eq!(again["changed"], false);
        assert_eq!(crontab(&env), installed);
        let dry_run = schedule(&env, &["remove", "--dry-run"]).success().json();
        assert_eq!(dry_run["changed"], true);
        assert_eq!(crontab(&env), installed);
        assert_eq!(schedule(&env, &["remove"]).success().json()["changed"], true);
        assert_eq!(crontab(&env), text);
        assert_eq!(schedule(&env, &["remove"]).success().json()["changed"], false);
        assert_eq!(crontab(&env), text);
    }
}

/// A file that was put into the spool by hand may have one; `crontab` itself takes none.
#[test]
fn a_last_line_without_an_end_is_given_one_and_keeps_it_where_crontab_insists() {
    let env = environment();
    let text = "5 4 * * * /bin/true";
    env.write("spool/root", text);
    env.program("chmod", ["600", "spool/root"]).success();
    let block = schedule(&env, &["install"]).success().json()["block"].clone();
    let installed = crontab(&env);
    assert_eq!(installed, format!("{text}\n{}", block.as_str().unwrap()));
    schedule(&env, &["remove"]).success().json();
    assert_eq!(crontab(&env).trim_end(), text);
}

#[test]
fn a_user_without_a_crontab_gets_one_and_is_left_without() {
    let env = environment();
    let dry_run = schedule(&env, &["install", "--dry-run", "--output", "text"]).success();
    no_crontab(&env);
    schedule(&env, &["install"]).success().json();
    // What a dry run prints is the block, the second at which it was made aside.
    let without_time = |text: &str| -> String {
        let cut = |line: &str| line.split("\"installed\"").next().unwrap().to_owned();
        text.lines().map(cut).collect::<Vec<_>>().join("\n")
    };
    assert_eq!(without_time(dry_run.stdout()), without_time(&crontab(&env)));
    schedule(&env, &["remove"]).success().json();
    no_crontab(&env);
}

#[test]
fn only_the_jobs_of_the_queues_that_the_host_serves_are_installed() {
    let env = environment();
    add_jobs(
        &env,
        &[
            ("report", "0 2 * * *", "stats", "receipt"),
            ("sweep", "0 4 * * *", "cleanup --only temp,logs", "file"),
            ("everywhere", "15 * * * *", "disk", ""),
        ],
    );
    let result = schedule(&env, &["install", "--queues", "file,other"]).success().json();
    assert_eq!(result["left_out"], json!(["report"]));
    let text = crontab(&env);
    let installed: Vec<&str> =
        commands(&text).iter().map(|line| line.split("taskmon.toml ").nth(1).unwrap()).collect();
    assert_eq!(installed, ["cleanup --only temp,logs > /dev/null", "disk > /dev/null"]);
    // The host serves another queue from now on.
    schedule(&env, &["install", "--queues", "receipt"]).success().json();
    assert_eq!(commands(&crontab(&env)).len(), 2);
    let listed = schedule(&env, &["list", "--queues", " file, receipt "]).success().json();
    assert_eq!(listed["jobs"].as_array().unwrap().len(), 3);
    schedule(&env, &["list", "--queues", "file,"])
        .exits(2)
        .stderr_contains("the name of a queue is empty");
}

#[test]
fn a_damaged_block_is_refused_and_the_crontab_stays() {
    let env = environment();
    for text in [
        "# BEGIN taskmon {}\n5 4 * * * /bin/true\n",
        "5 4 * * * /bin/true\n# END taskmon\n",
        "# BEGIN taskmon {}\n# END taskmon\n# BEGIN taskmon {}\n# END taskmon\n",
    ] {
        put(&env, text);
        for command in ["install", "remove"] {
            let finished = schedule(&env, &[command]).exits(3);
            finished.failure("crontab_damaged", &["BEGIN taskmon", "in line"]);
        }
        assert_eq!(crontab(&env), text);
    }
}

#[test]
fn a_block_of_another_configuration_is_not_replaced() {
    let env = environment();
    schedule(&env, &["install"]).success().json();
    let before = crontab(&env);
    env.write("other/taskmon.toml", "timezone = \"UTC\"\n");
    let finished = schedule(&env, &["install", "-c", "other/taskmon.toml"]).exits(3);
    let own = env.path("taskmon.toml").display().to_string();
    finished.failure("crontab_damaged", &[&own]);
    assert_eq!(crontab(&env), before);
    let status = schedule(&env, &["status", "-c", "other/taskmon.toml"]).success().json();
    assert_eq!(status["jobs"][0]["installed"], false);
}

#[test]
fn a_crontab_that_refuses_is_exit_code_3_and_leaves_the_crontab_alone() {
    let env = environment();
    // A user whom the system does not know.
    let finished = schedule(&env, &["install", "--user", "nobody-knows-me"]).exits(3);
    finished.failure("crontab_refused", &["nobody-knows-me"]);
    // A crontab that is there and cannot be read.
    for folder in ["", "spool"] {
        env.program("chmod", ["755".into(), env.path(folder)]).success();
    }
    let nobody = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "--no-new-privs"];
    let mut words = nobody.to_vec();
    words.extend(["taskmon", "schedule", "install"]);
    env.write("spool/nobody", "5 4 * * * /bin/true\n");
    env.program("chmod", ["600".into(), env.path("spool/nobody")]).success();
    let finished = isolated(&env, &words).exits(3);
    finished.failure("crontab_refused", &["crontab -l"]);
    assert_eq!(env.read("spool/nobody"), "5 4 * * * /bin/true\n");
    // A crontab that cron does not take: its command is too long.
    let long = format!("disk /{}", "0".repeat(1100));
    add_jobs(&env, &[("long", "0 4 * * *", &long, "")]);
    put(&env, "5 4 * * * /bin/true\n");
    let finished = schedule(&env, &["install"]).run();
    if finished.code == Some(3) {
        finished.failure("crontab_refused", &["crontab -"]);
        assert_eq!(crontab(&env), "5 4 * * * /bin/true\n");
    } else {
        // cronie has no such limit.
        assert_eq!(finished.json()["success"], true);
    }
}

#[test]
fn without_a_crontab_program_it_is_exit_code_3_with_a_hint() {
    let env = environment();
    let finished = env.taskmon(["schedule", "install"]).env("PATH", "/nonexistent").exits(3);
    let document = finished.failure("crontab_unavailable", &["crontab", "PATH"]);
    assert!(document["error"]["hint"].as_str().unwrap().contains("--systemd"));
}

#[test]
fn a_crontab_that_does_not_end_is_given_up() {
    let env = environment();
    env.write("bin/crontab", "#!/bin/sh\nexec sleep 60\n");
    env.program("chmod", ["755", "bin/crontab"]).success();
    let path = format!("{}:/usr/bin:/bin", env.path("bin").display());
    let install = env.taskmon(["schedule", "install"]).env("PATH", &path).exits(3);
    install.failure("crontab_timeout", &["`crontab -l`", "10 s"]);
    assert!(install.took < Duration::from_secs(20), "{:?}", install.took);
    let status = env.taskmon(["schedule", "status"]).env("PATH", &path);
    let warnings = status.success().json()["warnings"].to_string();
    assert!(warnings.contains("crontab -l"), "{warnings}");
}

/// A pipe would be waited for, and a device has no end.
#[test]
fn what_is_no_file_in_the_place_of_a_record_or_a_log_holds_nothing_up() {
    for make in ["mkfifo PATH", "ln -s /dev/zero PATH"] {
        let env = TestEnv::sqlite();
        std::fs::create_dir(env.path("logs")).unwrap();
        let put = |name: &str| {
            let script = make.replace("PATH", name);
            env.program("sh", ["-c", &script]).success();
        };
        put("logs/taskmon_runs.jsonl");
        put("logs/warning_alerts.log");
        let run = env.taskmon(["disk", "/", "--warning", "0", "--critical", "100"]).exits(1);
        let result = run.json();
        assert_eq!(result["errors"][0]["kind"], "alert_log_unwritable");
        run.stderr_contains("taskmon_runs.jsonl: it is no regular file")
            .stderr_contains("warning_alerts.log: it is no regular file");
        let status = env.taskmon(["schedule", "status"]).exits(1);
        status.stderr_contains("taskmon_runs.jsonl cannot be read: it is no regular file");
        status.json();
        for words in [vec!["schedule", "logs"], vec!["schedule", "logs", "--follow"]] {
            let logs = env.taskmon(words).exits(3);
            logs.failure("records_unreadable", &["taskmon_runs.jsonl"]);
        }
    }
    let env = TestEnv::sqlite();
    env.program("mkfifo", ["own.log"]).success();
    let run = env.taskmon(["disk", "/", "--no-alert", "--log-file", "own.log"]).exits(3);
    run.failure("output_failed", &["own.log"]);
}

#[test]
fn without_a_configuration_file_there_is_nothing_that_cron_could_go_by() {
    let env = environment();
    std::fs::remove_file(env.path("taskmon.toml")).unwrap();
    let finished = schedule(&env, &["install"]).exits(2);
    finished.failure("usage", &["no configuration file"]);
    no_crontab(&env);
}

#[test]
fn what_cron_would_not_know_of_the_environment_is_said() {
    let env = environment();
    env.write("taskmon.toml", "");
    let finished = schedule(&env, &["install"])
        .env("TASKMON_DATABASE_URL", "sqlite:tasks.db")
        .env("LANG", "zh_CN.UTF-8")
        .success();
    let warnings = finished.json()["warnings"].to_string();
    assert!(warnings.contains("$TASKMON_DATABASE_URL") && warnings.contains("$LANG"), "{warnings}");
    finished.stderr_contains("$TASKMON_DATABASE_URL");
    // An empty variable counts as unset, in a crontab as anywhere.
    for (line, is_warned_of) in [("LANG=\"\"\n", true), ("LANG=zh_CN.UTF-8\n", false)] {
        schedule(&env, &["remove"]).success().json();
        put(&env, line);
        let finished = schedule(&env, &["install"]).env("LANG", "zh_CN.UTF-8").success();
        let warnings = finished.json()["warnings"].to_string();
        finished.stderr();
        assert_eq!(warnings.contains("$LANG"), is_warned_of, "{warnings}");
    }
}

/// The configuration that names variables, and a run that goes by some.
fn relying(env: &TestEnv) {
    let config = env.read("taskmon.toml");
    let database = "url = \"postgresql://app@127.0.0.1:1/app?sslmode=disable\"\n";
    let channels = "
[[alerts.channels]]
type = \"slack\"
url_env = \"SLACK_HOOK\"
[[alerts.channels]]
type = \"email\"
url = \"smtp://127.0.0.1:1\"
password_env = \"MAIL_PASSWORD\"
from = \"a@b.example\"
to = [\"c@d.example\"]
";
    let config = config.replace(&format!("url = \"{}\"\n", env.url()), database);
    env.write("taskmon.toml", &(config + channels));
}

#[test]
fn variables_that_the_jobs_will_lack_are_warned_of_each_with_what_to_do() {
    let env = environment();
    relying(&env);
    let install = |words: &[&str]| {
        let mut all = vec!["install"];
        all.extend(words);
        let finished = schedule(&env, &all)
            .env("PGPASSWORD", "s3cret")
            .env("PGPASSFILE", "/srv/pass")
            .env("PGSSLMODE", "require")
            .env("HTTPS_PROXY", "http://proxy:3128")
            .env("TASKMON_FAILED_TASKS_DAYS", "3")
            .success();
        let result = finished.json();
        let warnings: Vec<String> = result["warnings"]
            .as_array()
            .unwrap()
            .iter()
            .map(|warning| warning.as_str().unwrap().to_owned())
            .collect();
        for warning in &warnings {
            finished.stderr_contains(warning);
        }
        warnings
    };
    let warnings = install(&[]);
    for (name, todo) in [
        ("$SLACK_HOOK", "`alerts.channels[1].url_file`"),
        ("$MAIL_PASSWORD", "`alerts.channels[2].password_file`"),
        ("$PGPASSWORD", "~/.pgpass"),
        ("$HTTPS_PROXY", "HTTPS_PROXY=…"),
        ("$TASKMON_FAILED_TASKS_DAYS", "[cleanup]"),
    ] {
        let own: Vec<&String> = warnings.iter().filter(|own| own.contains(name)).collect();
        assert_eq!(own.len(), 1, "{name} in {warnings:#?}");
        assert!(own[0].contains(todo), "{todo} in {own:?}");
        assert!(own[0].contains("crontab above the block"), "{own:?}");
    }
    // The URL has its own mode, and a password that is there needs no file of passwords.
    for name in ["PGSSLMODE", "PGPASSFILE"] {
        assert!(!warnings.join("\n").contains(name), "{warnings:#?}");
    }
    // What stands above the block the jobs have.
    let text = crontab(&env);
    put(&env, &format!("SLACK_HOOK = https://hooks.example/x\n \"PGPASSWORD\"='x'\n{text}"));
    let warnings = install(&[]).join("\n");
    for name in ["SLACK_HOOK", "PGPASSWORD"] {
        assert!(!warnings.contains(name), "{warnings}");
    }
    assert!(warnings.contains("$MAIL_PASSWORD"), "{warnings}");
    let warnings = install(&["--systemd", "--unit-dir", "units"]).join("\n");
    assert!(warnings.contains("$SLACK_HOOK") && warnings.contains("Environment="), "{warnings}");
}

#[test]
fn another_users_crontab_is_for_root() {
    let env = environment();
    schedule(&env, &["install", "--user", "daemon"]).success().json();
    no_crontab(&env);
    let theirs = isolated(&env, &["crontab", "-u", "daemon", "-l"]).success();
    assert_eq!(commands(theirs.stdout()).len(), 4);
    env.program("chmod", ["755".into(), env.path("")]).success();
    let words = [
        "setpriv",
        "--reuid=65534",
        "--regid=65534",
        "--clear-groups",
        "taskmon",
        "schedule",
        "remove",
        "--user",
        "daemon",
    ];
    isolated(&env, &words).exits(2).failure("usage", &["--user"]);
}

#[test]
fn a_job_that_cannot_be_run_is_refused_by_its_name() {
    for (cron, command, names) in [
        ("0 2 L * *", "stats", &["wrong", "\"0 2 L * *\""][..]),
        ("0~9 2 * * *", "stats", &["wrong", "0~9"]),
        ("0 2 * * *", "statistics", &["wrong", "statistics"]),
        ("0 2 * * *", "stats --dates 1", &["wrong", "--dates"]),
        ("1,2,,3 2 * * *", "stats", &["wrong", "left out"]),
        (", 2 * * *", "stats", &["wrong", "left out"]),
        ("0 2 * * *", "stats -c other.toml", &["wrong", "--config"]),
        ("0 2 * * *", "demo", &["wrong", "demo"]),
        ("0 2 * * *", "stats --date 'x", &["wrong", "quote"]),
        ("0 2 * * *", "disk >> x 2>&1", &["wrong", "`command`", ">"]),
        ("0 2 * * *", "disk < x", &["wrong", "<", "no shell"]),
        ("0 2 * * *", "stats --date $(date +%F)", &["wrong", "$(", "no shell"]),
        ("0 2 * * *", "disk \"`pwd`\"", &["wrong", "backtick"]),
        ("0 2 * * *", "stats | jq .", &["wrong", "|", "no shell"]),
        ("0 2 * * *", "stats; disk", &["wrong", ";", "no shell"]),
        ("0 2 * * *", "stats && disk", &["wrong", "&", "no shell"]),
        ("0 2 * * *", "stats --date yesterday", &["wrong", "--date", "YYYY-MM-DD"]),
        ("0 2 * * *", "stats --days 0", &["wrong", "--days"]),
        ("0 2 * * *", "disk --warning 101", &["wrong", "--warning"]),
        ("0 2 * * *", "disk --warning 95 --critical 90", &["wrong", "--warning"]),
        ("0 2 * * *", "cleanup --as-of tomorrow", &["wrong", "--as-of"]),
        ("0 2 * * *", "cleanup --output nagios", &["wrong", "nagios"]),
        ("0 2 * * *", "stats\n@reboot rm -rf /", &["wrong", "control character"]),
    ] {
        let env = environment();
        add_jobs(&env, &[("right", "0 2 * * *", "disk", ""), ("wrong", cron, command, "")]);
        let finished = schedule(&env, &["install"]).exits(2);
        finished.failure("config_invalid", names);
        no_crontab(&env);
        let listed = schedule(&env, &["list"]).exits(2);
        listed.failure("config_invalid", names);
        let cron = checked(&env, "cron");
        assert_eq!(cron["status"], "failed", "{cron:#}");
        assert!(cron.to_string().contains(names[0]), "{cron:#}");
    }
    // In quotes they are letters.
    let env = environment();
    let command = "disk '/a>b;c|d&e`f' \"/g>h\" /i\\;j";
    add_jobs(&env, &[("odd", "0 2 * * *", command, "")]);
    let listed = schedule(&env, &["list"]).success().json();
    assert_eq!(listed["jobs"][0]["command"], "disk '/a>b;c|d&e`f' '/g>h' '/i;j'");
}

/// The comment beside it is not what cron goes by.
#[test]
fn a_line_that_somebody_changed_is_not_what_was_installed() {
    let env = environment();
    add_jobs(&env, &[("a", "0 2 * * *", "disk", ""), ("b", "0 3 * * *", "stats", "")]);
    schedule(&env, &["install"]).success().json();
    let text = crontab(&env);
    let status = |text: &str| {
        put(&env, text);
        let status = schedule(&env, &["status"]).success().json();
        let jobs = status["jobs"].as_array().unwrap();
        jobs.iter().map(|job| job["installed"] == true).collect::<Vec<_>>()
    };
    assert_eq!(status(&text), [true, true]);
    assert_eq!(status(&text.replace("\n0 2 ", "\n# 0 2 ")), [false, true]);
    assert_eq!(status(&text.replace("\n0 3 ", "\n0 4 ")), [true, false]);
    // Since when it is so is another time then.
    let again = schedule(&env, &["install"]).success();
    let result = again.json();
    let dropped = result["dropped"].as_array().unwrap();
    assert_eq!(dropped.len(), 2, "its comment and it: {result:#}");
    again.stderr_contains("0 4 * * * ");
    assert_eq!(commands(&crontab(&env)), commands(&text));
}

/// What is read here as a cron expression is one for the system's `crontab` too.
#[test]
fn every_form_of_a_cron_expression_is_one_for_crontab() {
    let env = environment();
    let expressions = [
        "0 2 * * *",
        "*/5 * * * *",
        "0-30/10 * * * *",
        "0,15,45 8-18/2 1,15,31 */3 *",
        "5 4 * jan-mar,DEC mon-FRI",
        "0 0 * * 7",
        "0 0 29 2 *",
        "59 23 31 12 0-7",
        "*/7 */5 */3 */2 */2",
        "*,5 5,* *,1 1,* *,7",
        "0 2 13,* * 5",
        "@hourly",
        "@daily",
        "@midnight",
        "@weekly",
        "@monthly",
        "@yearly",
        "@annually",
        "@reboot",
    ];
    let names: Vec<String> = (0..expressions.len()).map(|number| format!("job {number}")).collect();
    let jobs: Vec<_> = names
        .iter()
        .zip(expressions)
        .map(|(name, cron)| (name.as_str(), cron, "disk", ""))
        .collect();
    add_jobs(&env, &jobs);
    schedule(&env, &["install"]).success().json();
    assert_eq!(commands(&crontab(&env)).len(), expressions.len());
    let listed = schedule(&env, &["list"]).success().json();
    for job in listed["jobs"].as_array().unwrap() {
        assert_eq!(job["next_run"].is_null(), job["cron"] == "@reboot", "{job}");
    }
}

/// The example with the lines in force that are only shown in it.
pub fn uncommented(example: &str) -> String {
    let line = |line: &str| match line.strip_prefix("# ") {
        Some(rest)
            if rest.contains(" nice -n ")
                || rest.starts_with("MAILTO=")
                || rest.starts_with("CRON_TZ=") =>
        {
            format!("{rest}\n")
        }
        _ => format!("{line}\n"),
    };
    example.lines().map(line).collect()
}

#[test]
fn the_example_is_a_crontab_and_has_the_jobs_of_the_defaults() {
    let env = environment();
    let example = include_str!("../../crontab.example");
    put(&env, example);
    assert_eq!(crontab(&env), example);
    env.write("taskmon.toml", "");
    let defaults = schedule(&env, &["list"]).success().json();
    let jobs = defaults["jobs"].as_array().unwrap();
    let lines: Vec<&str> = example
        .lines()
        .filter(|line| line.contains(" nice -n ") && !line.starts_with('#'))
        .collect();
    assert_eq!(lines.len(), jobs.len());
    for (line, job) in lines.iter().zip(jobs) {
        let words: Vec<&str> = line.split_whitespace().collect();
        assert_eq!(json!(words[..5].join(" ")), job["cron"]);
        let nice = 2 * (9 - job["priority"].as_u64().unwrap());
        let expected = ["nice".into(), "-n".into(), nice.to_string(), "taskmon".into()];
        assert_eq!(words[5..9], expected);
        assert_eq!(json!(words[9]), job["command"]);
        let named = format!(
            "# {} (queue {}, priority {})",
            job["name"].as_str().unwrap(),
            job["queue"].as_str().unwrap(),
            job["priority"]
        );
        assert!(example.contains(&named), "{named}");
    }
    // All jobs of the system that taskmon replaces, with their priorities there.
    for (name, priority) in [
        ("check-pending-tasks", 9),
        ("update-all-pending-tracking", 8),
        ("system-health-check", 7),
        ("check-timeout-tasks", 6),
        ("disk-space-check", 5),
        ("cleanup-temp-files", 4),
        ("generate-daily-statistics", 3),
        ("cleanup-expired-tasks", 2),
        ("backup-database", 2),
        ("cleanup-logs", 1),
    ] {
        let named = example.lines().filter(|line| line.starts_with('#') && line.contains(name));
        let priority = format!("priority {priority})");
        assert!(named.into_iter().any(|line| line.contains(&priority)), "{name}");
    }
    // The lines that are commented out are lines of a crontab too.
    let uncommented = uncommented(example);
    assert_ne!(uncommented, example);
    put(&env, &uncommented);
}

// ---- cron itself

/// A real cron with the test's spool and nothing else to do, in a namespace of its own; it ends with the guard.
struct Cron(std::process::Child);

impl Cron {
    fn start(env: &TestEnv) -> Self {
        let script = format!(
            "mount --bind \"$SPOOL\" {} && mount -t tmpfs none /run && mount -t tmpfs none /etc/cron.d && mount --bind /dev/null /etc/crontab
             if command -v cron > /dev/null; then exec cron -f; else exec crond -n; fi",
            spool()
        );
        let flags =
            ["--mount", "--pid", "--fork", "--kill-child", "--mount-proc", "sh", "-c", &script];
        let mut command = env.program("unshare", flags).env("SPOOL", env.path("spool")).command();
        let log = std::fs::File::create(env.path("cron.log")).unwrap();
        command.stdin(std::process::Stdio::null()).stdout(log.try_clone().unwrap()).stderr(log);
        Self(command.spawn().unwrap())
    }
}

impl Drop for Cron {
    fn drop(&mut self) {
        // With it everything in its namespace goes.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn cron_runs_what_is_installed() {
    let env = environment();
    // A path that the shell and cron would both read wrongly if it were not quoted.
    let odd = "it's 100% \\%d \\\\ \\a \"odd\" $HOME";
    env.write(&format!("{odd}/taskmon.toml"), "timezone = \"Asia/Shanghai\"\n[alerts]\nlogs_dir = \"logs\"\n[[schedule.jobs]]\nname = \"每分钟\"\ncron = \"5,* *,3 1,* * *\"\ncommand = \"disk . --warning 99 --critical '100'\"\npriority = 8\n");
    let config = env.path(odd).join("taskmon.toml");
    schedule(&env, &["install", "-c", config.to_str().unwrap()]).success().json();
    let mut cron = Cron::start(&env);
    let file = env.path(odd).join("logs/taskmon_runs.jsonl");
    let begin = Instant::now();
    while !file.exists() {
        let ended = cron.0.try_wait().unwrap();
        assert!(ended.is_none(), "cron ended: {ended:?}\n{}", env.read("cron.log"));
        assert!(
            begin.elapsed() < Duration::from_secs(75),
            "nothing ran\n{}\n{}",
            env.read("cron.log"),
            env.tree()
        );
        std::thread::sleep(Duration::from_millis(100));
    }
    std::thread::sleep(Duration::from_millis(200));
    let status = schedule(&env, &["status", "-c", config.to_str().unwrap()]).success().json();
    let job = &status["jobs"][0];
    assert_eq!(job["name"], "每分钟");
    assert_eq!(job["last_run"]["exit_code"], 0, "{status}\n{}", env.read("cron.log"));
    assert_eq!(job["installed"], true);
    assert_eq!(job["overdue"], false);
    // It is there for everybody to see: a process of another namespace is one of this as well.
    assert_eq!(status["cron_running"], true);
    let start =
        chrono::DateTime::parse_from_rfc3339(job["last_run"]["start"].as_str().unwrap()).unwrap();
    assert!(start.timestamp() % 60 < 30, "{start}");
    assert_eq!(start.offset().local_minus_utc(), 8 * 3600);
}

// ---- timers of systemd

fn unit_files(folder: &Path) -> Vec<PathBuf> {
    let mut files: Vec<PathBuf> =
        std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    files
}

#[test]
fn units_are_what_systemd_takes_and_go_again_without_the_others() {
    let env = environment();
    add_jobs(
        &env,
        &[
            ("daily report", "0 2 * * *", "stats", ""),
            ("统计", "*/15 8-18 1,15 * mon-fri", "cleanup --only temp,logs", ""),
            ("odd", "@weekly", "disk '/a b/$HOME/50%' --warning 70", ""),
        ],
    );
    env.write("units/other.service", "[Service]\nExecStart=/bin/true\n");
    env.write("units/taskmon-mine.service", "[Service]\nExecStart=/bin/true\n");
    let words = ["install", "--systemd", "--unit-dir", "units"];
    let result = schedule(&env, &words).success().json();
    assert_eq!(result["files"].as_array().unwrap().len(), 6);
    assert_eq!(result["next"][0], "systemctl --user daemon-reload");
    let files = unit_files(&env.path("units"));
    assert_eq!(files.len(), 8);
    let mut verify = vec!["verify".into(), "--man=no".into()];
    verify.extend(files.iter().map(|file| file.clone().into_os_string()));
    // It says what it objects to, and nothing else.
    env.program("systemd-analyze", verify).env("SYSTEMD_LOG_LEVEL", "warning").success();
    let service = env.read("units/taskmon-odd.service");
    assert!(
        service.contains(&format!(
            "ExecStart={} -c {} disk \"/a b/$$HOME/50%%\" --warning 70\n",
            binary(),
            env.path("taskmon.toml").display()
        )),
        "{service}"
    );
    assert!(service.contains("\nNice=8\n"), "{service}");

    assert_eq!(schedule(&env, &words).success().json()["changed"], false);
    let status =
        schedule(&env, &["status"]).env("XDG_CONFIG_HOME", env.path("none")).success().json();
    assert_eq!(status["jobs"][0]["installed"], false);
    let removed = schedule(&env, &["remove", "--systemd", "--unit-dir", "units"]).success().json();
    assert_eq!(removed["removed"].as_array().unwrap().len(), 6);
    assert_eq!(
        unit_files(&env.path("units")),
        [env.path("units/other.service"), env.path("units/taskmon-mine.service")]
    );
    no_crontab(&env);
}

#[test]
fn units_of_the_user_are_found_by_status() {
    let env = environment();
    schedule(&env, &["install", "--systemd"]).success().json();
    assert!(env.path("home/.config/systemd/user/taskmon-disk-space-check.timer").is_file());
    let installed = |env: &TestEnv| -> (Vec<bool>, String) {
        let status = schedule(env, &["status"]).success().json();
        let jobs = status["jobs"].as_array().unwrap().iter();
        let installed = jobs.map(|job| job["installed"] == true).collect();
        (installed, status["warnings"].to_string())
    };
    // Somebody forgot to enable them: they will never run.
    let (before, warnings) = installed(&env);
    assert_eq!(before, [false; 4]);
    for part in
        ["没有启用", "systemctl --user enable --now taskmon-", "taskmon-disk-space-check.timer"]
    {
        assert!(warnings.contains(part), "{part} in {warnings}");
    }
    let checked = isolated(&env, &["taskmon", "check"]).run().json();
    let cron = checked["checks"].as_array().unwrap().iter();
    let cron = cron.clone().find(|check| check["name"] == "cron").unwrap();
    assert_eq!(cron["status"], "warning", "{cron:#}");
    let hint = cron["hint"].as_str().unwrap();
    assert!(hint.contains("enable --now taskmon-"), "{cron:#}");
    // To install them once more would not help.
    assert!(!hint.contains("schedule install"), "{cron:#}");
    enable(&env);
    let (after, warnings) = installed(&env);
    assert_eq!((after, warnings.as_str()), (vec![true; 4], "[]"));
    // They need no cron.
    let page = schedule(&env, &["status", "--output", "text"]).success();
    page.stdout_contains("systemd");
    assert!(!page.stdout().contains('!'), "{}", page.stdout());
}

/// What `systemctl --user enable` does to the timers.
fn enable(env: &TestEnv) {
    let script = "cd home/.config/systemd/user && mkdir timers.target.wants && cd timers.target.wants && ln -s ../taskmon-*.timer .";
    env.program("sh", ["-c", script]).success();
}

#[test]
fn jobs_in_the_crontab_and_as_units_would_run_twice_and_that_is_said() {
    for enabled in [false, true] {
        let env = environment();
        schedule(&env, &["install"]).success().json();
        let finished = schedule(&env, &["install", "--systemd"]).success();
        let warned = finished.json()["warnings"][0].as_str().unwrap().to_owned();
        finished.stderr_contains(&warned);
        if enabled {
            enable(&env);
        }
        let status = schedule(&env, &["status"]).success().json();
        let check = isolated(&env, &["taskmon", "check"]).run().json();
        let again = schedule(&env, &["install"]).success();
        again.stderr();
        for told in [
            warned,
            status["warnings"].to_string(),
            check["checks"].to_string(),
            again.json()["warnings"].to_string(),
        ] {
            for part in [
                "运行两遍",
                "crontab",
                "systemd/user",
                "disk-space-check",
                "taskmon schedule remove --systemd",
            ] {
                assert!(told.contains(part), "{part} in {told}");
            }
        }
        let removed = schedule(&env, &["remove", "--systemd"]).success();
        removed.json();
        let status = schedule(&env, &["status"]).success().json();
        assert_eq!(status["warnings"], json!([]));
    }
}

#[test]
fn a_job_that_the_configuration_no_longer_has_is_named_as_long_as_it_is_installed() {
    let env = environment();
    let config = env.read("taskmon.toml");
    add_jobs(&env, &[("old name", "0 2 * * *", "stats", ""), ("disks", "15 * * * *", "disk", "")]);
    schedule(&env, &["install"]).success().json();
    let renamed = env.read("taskmon.toml").replace("old name", "new name");
    env.write("taskmon.toml", &renamed);
    for command in ["list", "status"] {
        let result = schedule(&env, &[command]).success().json();
        assert_eq!(result["leftover"], json!(["old name"]), "{result:#}");
        let warnings = result["warnings"].to_string();
        assert!(
            warnings.contains("old name") && warnings.contains("taskmon schedule install"),
            "{warnings}"
        );
        let page = schedule(&env, &[command, "--output", "text"]).success();
        page.stdout_contains("old name");
    }
    let cron = checked(&env, "cron");
    assert_ne!(cron["status"], "ok", "{cron:#}");
    assert!(cron.to_string().contains("old name"), "{cron:#}");
    schedule(&env, &["install"]).success().json();
    let status = schedule(&env, &["status"]).success().json();
    assert_eq!((&status["leftover"], &status["warnings"]), (&Value::Null, &json!([])));

    // None at all.
    env.write("taskmon.toml", &format!("{config}\n[schedule]\njobs = []\n"));
    let refused = schedule(&env, &["install"]).exits(2);
    let own = env.path("taskmon.toml").display().to_string();
    let refused = refused.failure("usage", &["schedule.jobs is empty", &own]);
    assert!(refused["error"]["hint"].is_string());
    for command in ["list", "status"] {
        let result = schedule(&env, &[command]).success().json();
        assert_eq!(result["jobs"], json!([]));
        assert_eq!(result["leftover"], json!(["disks", "new name"]));
        assert!(result["warnings"][0].as_str().unwrap().contains("schedule.jobs"), "{result:#}");
    }
    let cron = checked(&env, "cron");
    assert_ne!(cron["status"], "ok", "{cron:#}");
    assert!(cron.to_string().contains("schedule.jobs"), "{cron:#}");
}

/// The block of a version that had the default job under another name and with priority 4.
#[test]
fn an_installed_default_job_under_its_former_name_is_renamed_and_keeps_its_records() {
    let env = environment();
    installed_long_ago(&env);
    let former = |text: &str| {
        let text = text.replace("disk-space-check", "check-disk-space");
        text.replace("\"file\",\"priority\":5", "\"file\",\"priority\":4")
    };
    let current = crontab(&env);
    assert_ne!(former(&current), current);
    put(&env, &former(&current));
    isolated(&env, &["taskmon", "disk", "-qq"]).run().stdout();
    let disk = |status: &Value| -> Value {
        assert_eq!(status["leftover"], Value::Null, "{status:#}");
        let mut jobs = status["jobs"].as_array().unwrap().iter();
        let disk = jobs.find(|job| job["name"] == "disk-space-check").unwrap();
        json!([disk["installed"], disk["outdated"], disk["overdue"], disk["last_run"]["exit_code"]])
    };
    let status = || schedule(&env, &["status"]).success().json();
    assert_eq!(disk(&status()), json!([true, true, false, 0]));
    let dry_run = schedule(&env, &["install", "--dry-run"]).success().json();
    assert_eq!((&dry_run["changed"], &dry_run["dropped"]), (&json!(true), &Value::Null));
    schedule(&env, &["install"]).success().json();
    // To the byte: since when it is installed too, so that a run that was missed before the upgrade is missed still.
    assert_eq!(crontab(&env), current);
    assert_eq!(disk(&status()), json!([true, false, false, 0]));

    // One's own configuration may have the name, and then it stays.
    let own = "\n[[schedule.jobs]]\nname = \"check-disk-space\"\ncron = \"15 * * * *\"\ncommand = \"disk\"\n";
    env.write("taskmon.toml", &(env.read("taskmon.toml") + own));
    put(&env, &former(&current));
    let jobs = status()["jobs"].clone();
    assert_eq!(
        (&jobs[0]["name"], &jobs[0]["installed"]),
        (&json!("check-disk-space"), &json!(true))
    );
}

#[test]
fn a_job_that_is_missed_under_its_former_name_is_missed_under_its_new_one() {
    let env = environment();
    installed_long_ago(&env);
    put(&env, &crontab(&env).replace("disk-space-check", "check-disk-space"));
    let (result, _run) = missed(&env);
    let alerts = result["alerts"].as_array().unwrap().iter();
    let missed = alerts.filter(|alert| alert["type"] == "job_missed");
    let subjects: Vec<&Value> = missed.map(|alert| &alert["subject"]).collect();
    assert!(subjects.contains(&&json!("disk-space-check")), "{result:#}");
    assert!(!subjects.contains(&&json!("check-disk-space")), "{result:#}");
}

/// Their files go, and systemd has to be told before it forgets them.
#[test]
fn timers_of_jobs_that_are_no_more_are_to_be_stopped() {
    let env = environment();
    add_jobs(&env, &[("old", "0 2 * * *", "stats", ""), ("disks", "15 * * * *", "disk", "")]);
    let words = ["install", "--systemd", "--unit-dir", "units"];
    let next = |words: &[&str]| schedule(&env, words).success().json()["next"].clone();
    assert_eq!(next(&words)[0], "systemctl --user daemon-reload");
    env.write("taskmon.toml", &env.read("taskmon.toml").replace("\"old\"", "\"new\""));
    let expected = json!([
        "systemctl --user disable --now taskmon-old.timer",
        "systemctl --user daemon-reload",
        "systemctl --user enable --now taskmon-new.timer taskmon-disks.timer"
    ]);
    assert_eq!(next(&words), expected);
    assert!(!env.path("units/taskmon-old.timer").exists());
}

/// One of the checks, with the test's spool.
fn checked(env: &TestEnv, name: &str) -> Value {
    let result = isolated(env, &["taskmon", "check"]).run().json();
    let mut checks = result["checks"].as_array().unwrap().iter();
    checks.find(|check| check["name"] == name).unwrap().clone()
}

#[test]
fn a_line_that_starts_what_is_not_there_fails_the_check() {
    let env = environment();
    schedule(&env, &["install"]).success().json();
    let text = crontab(&env);
    env.write("text", "no program");
    let not_executable = env.path("text").display().to_string();
    let own = env.path("taskmon.toml").display().to_string();
    for (from, to, why) in [
        (binary(), "/gone/taskmon", "/gone/taskmon: No such file"),
        (binary(), &not_executable, "Permission denied"),
        (&format!("-c {own}"), "-c /gone/taskmon.toml", "/gone/taskmon.toml: No such file"),
    ] {
        let changed = |line: &str| {
            if line.starts_with('#') { format!("{line}\n") } else { line.replace(from, to) + "\n" }
        };
        put(&env, &text.lines().map(changed).collect::<String>());
        let cron = checked(&env, "cron");
        assert_eq!(cron["status"], "failed", "{cron:#}");
        assert!(cron.to_string().contains(why), "{why} in {cron:#}");
        assert!(cron["hint"].to_string().contains("taskmon schedule install"), "{cron:#}");
        let status = schedule(&env, &["status"]).success().json();
        let warnings = status["warnings"].to_string();
        assert!(warnings.contains(why) && warnings.contains("disk-space-check"), "{warnings}");
        assert_eq!(schedule(&env, &["install"]).success().json()["changed"], true);
        let status = schedule(&env, &["status"]).success().json();
        assert_eq!(status["warnings"], json!([]));
    }
    // The configuration was moved, and the block stayed behind.
    env.program("mv", ["taskmon.toml", "moved.toml"]).success();
    let check = isolated(&env, &["taskmon", "check", "-c", "moved.toml"]).run();
    check.stdout_contains(&own).stdout_contains("taskmon schedule remove");
    assert_eq!(check.code, Some(1));

    // As units.
    env.program("mv", ["moved.toml", "taskmon.toml"]).success();
    schedule(&env, &["remove"]).success().json();
    schedule(&env, &["install", "--systemd"]).success().json();
    enable(&env);
    let status = schedule(&env, &["status"]).success().json();
    assert_eq!(status["warnings"], json!([]));
    let service = "home/.config/systemd/user/taskmon-disk-space-check.service";
    env.write(service, &env.read(service).replace(binary(), "/gone/taskmon"));
    let cron = checked(&env, "cron");
    assert_eq!(cron["status"], "failed", "{cron:#}");
    assert!(cron.to_string().contains("/gone/taskmon: No such file"), "{cron:#}");
}

#[test]
fn lines_of_others_in_the_block_do_not_go_unsaid() {
    for command in ["install", "remove"] {
        let env = environment();
        schedule(&env, &["install"]).success().json();
        let text = crontab(&env);
        let own = "5 5 * * * backup --all";
        let text = text.replace("# END taskmon", &format!("{own}\n# END taskmon"));
        let text = text.replace("disk > /dev/null", "disk | mail ann");
        put(&env, &text);
        let dry_run = schedule(&env, &[command, "--dry-run"]).success();
        let said = dry_run.json()["dropped"].clone();
        dry_run.stderr_contains(own);
        assert_eq!(crontab(&env), text);
        let finished = schedule(&env, &[command]).success();
        let result = finished.json();
        finished.stderr_contains(own).stderr_contains("disk | mail ann");
        let dropped = result["dropped"].as_array().unwrap();
        assert_eq!(dropped.len(), 3, "{result:#}");
        assert_eq!((&result["dropped"], &dropped[2]), (&said, &json!(own)));
        assert!(result["warnings"].to_string().contains(own), "{result:#}");
    }
}

/// cronie's own words on it: crontab(5), `CRON_TZ`.
#[test]
fn a_zone_that_is_set_above_the_block_is_said() {
    let env = environment();
    let config = env.read("taskmon.toml").replace("\"zh\"", "\"en\"");
    env.write("taskmon.toml", &config);
    put(&env, "CRON_TZ=Asia/Kolkata\n");
    let installed = schedule(&env, &["install"]).success();
    installed.json();
    installed.stderr_contains("CRON_TZ is set to Asia/Kolkata");
    let told = |part: &str, is_told: bool| {
        for command in ["list", "status"] {
            let result = schedule(&env, &[command]).success().json();
            let warnings = result["warnings"].to_string();
            assert_eq!(warnings.contains(part), is_told, "{command}: {warnings}");
        }
        let cron = checked(&env, "cron").to_string();
        assert_eq!(cron.contains(part), is_told, "{cron}");
    };
    told("cronie runs the jobs by the clock of that zone", true);
    // Below the block it is of no concern, and a zone of the jobs' own is none where days are counted in a configured one.
    let text = crontab(&env).replace("CRON_TZ=Asia/Kolkata\n", "TZ=Asia/Tokyo\n");
    put(&env, &(text.clone() + "CRON_TZ=Asia/Kolkata\n"));
    told("TZ is set", false);
    let config = config.replace("timezone = \"Asia/Shanghai\"\n", "");
    env.write("taskmon.toml", &config);
    told("TZ is set to Asia/Tokyo", true);
}

#[test]
fn a_time_that_no_calendar_has_is_refused_by_the_jobs_name() {
    let env = environment();
    add_jobs(&env, &[("at start", "@reboot", "disk", "")]);
    let finished = schedule(&env, &["install", "--systemd", "--unit-dir", "units"]).exits(2);
    finished.failure("config_invalid", &["at start", "@reboot"]);
    assert!(!env.path("units").exists());
}

/// systemd's next times of `OnCalendar` lines are cron's next times of the expression.
#[test]
fn systemd_finds_the_same_next_times() {
    let env = environment();
    let expressions = [
        "0 2 * * *",
        "*/7 * * * *",
        "15 3-20/4 * * *",
        "0 0 31 * *",
        "5 4 */10 2,6,12 *",
        "30 12 * * sun",
        "0 6 13 * 5",
        "0 6 */2 * 1",
        "*,5 3 *,13 * 5",
        "7 3 13,* * 5",
        "@monthly",
    ];
    let names: Vec<String> = (0..expressions.len()).map(|number| format!("j{number}")).collect();
    let jobs: Vec<_> = names
        .iter()
        .zip(expressions)
        .map(|(name, cron)| (name.as_str(), cron, "disk", ""))
        .collect();
    add_jobs(&env, &jobs);
    schedule(&env, &["install", "--systemd", "--unit-dir", "units"]).success().json();
    // Both in the zone that the system has.
    let listed = schedule(&env, &["list"]).success().json();
    for (job, name) in listed["jobs"].as_array().unwrap().iter().zip(&names) {
        let timer = env.read(format!("units/taskmon-{name}.timer"));
        let mut words = vec!["calendar".to_owned()];
        words.extend(
            timer.lines().filter_map(|line| line.strip_prefix("OnCalendar=")).map(str::to_owned),
        );
        let said = env.program("systemd-analyze", words).success();
        let next =
            said.stdout().lines().filter_map(|line| line.trim().strip_prefix("Next elapse: "));
        let next = next.map(|text| {
            let naive: Vec<&str> = text.split_whitespace().collect();
            format!("{}T{}", naive[1], naive[2])
        });
        let first = next.min().unwrap();
        let own = job["next_run"].as_str().unwrap();
        assert!(
            own.starts_with(&first),
            "{} as {}: {own}, systemd says {first}",
            job["cron"],
            timer
        );
    }
}

// ---- records

fn records(env: &TestEnv) -> Vec<Value> {
    let text = env.read("logs/taskmon_runs.jsonl");
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn every_run_of_a_job_leaves_a_record() {
    let env = TestEnv::sqlite();
    env.taskmon(["stats", "--output", "text", "--date", DAY, "-qq"]).run().stdout();
    env.taskmon(["cleanup", "--dry-run", "--only=temp,logs"]).success().json();
    env.taskmon([
        "alert",
        "-qq",
        "--send",
        "[{\"type\": \"t\", \"message\": \"geheim\", \"severity\": \"warning\"}]",
    ])
    .run()
    .stdout();
    env.taskmon([
        "disk",
        "/nonexistent",
        "--database-url",
        "sqlite:/srv/geheim.db",
        "-qqc",
        "taskmon.toml",
    ])
    .exits(3)
    .json();
    env.taskmon(["stats", "-qq", "--date", "gestern"]).exits(2).json();
    // None of these is a run of a job.
    env.taskmon(["config"]).success().json();
    env.taskmon(["schedule", "logs"]).success().json();
    let found = records(&env);
    let short: Vec<Value> = found
        .iter()
        .map(|run| {
            json!([run["job"], run["exit_code"], run["skipped"], run["dry_run"], run["arguments"]])
        })
        .collect();
    assert_eq!(
        short,
        [
            json!(["stats", 0, false, false, ["stats", "--date", DAY]]),
            json!(["cleanup", 0, false, true, ["cleanup", "--dry-run", "--only=temp,logs"]]),
            json!(["alert", 0, false, false, ["alert", "--send", "…"]]),
            json!(["disk", 3, false, false, ["disk", "/nonexistent"]]),
            json!(["stats", 2, false, false, ["stats", "--date", "gestern"]]),
        ]
    );
    assert!(!env.read("logs/taskmon_runs.jsonl").contains("geheim"));
    for run in &found {
        assert!(run["start"].as_str().unwrap().ends_with("+08:00"), "{run}");
        assert!(run["start"].as_str() <= run["end"].as_str());
        assert!(run["duration_seconds"].as_f64().is_some() && run["host"].is_string());
    }
}

#[test]
fn a_run_that_a_lock_keeps_from_running_is_recorded_as_skipped() {
    let env = TestEnv::postgres();
    let mut blocker = env.client();
    let mut held = blocker.transaction().unwrap();
    held.batch_execute("LOCK TABLE tasks IN ACCESS EXCLUSIVE MODE").unwrap();
    let first = env.taskmon(["stats", "--no-alert"]).spawn();
    let waiting = "SELECT 1 FROM pg_locks JOIN pg_database ON pg_database.oid = database
                   WHERE datname = current_database() AND NOT granted AND relation IS NOT NULL";
    let mut observer = env.client();
    wait_until("the first run waits for the table", || {
        !observer.query(waiting, &[]).unwrap().is_empty()
    });
    let second = env.taskmon(["stats", "--no-alert"]).exits(75);
    second.failure("locked", &["stats"]);
    drop(held);
    first.wait().stdout();
    let runs: Vec<Value> = records(&env)
        .iter()
        .map(|run| json!([run["exit_code"], run["skipped"], run["held_by"]]))
        .collect();
    assert_eq!(runs, [json!([75, true, "this_host"]), json!([0, false, null])]);
}

/// The lock of a job across hosts, as another host's run holds it: its number is the same for every version of taskmon.
pub fn hold<'c>(
    client: &'c mut postgres::Client,
    env: &TestEnv,
    job: &str,
) -> postgres::Transaction<'c> {
    let named = format!("taskmon\n{job}\n{}", env.path("taskmon.toml").display());
    let mut held = client.transaction().unwrap();
    let number = "SELECT pg_try_advisory_xact_lock(('x' || left(encode(sha256(convert_to($1, 'UTF8')), 'hex'), 16))::bit(64)::bigint)";
    let row = held.query_one(number, &[&named]).unwrap();
    assert!(row.get::<_, bool>(0), "{job}: somebody holds it");
    held
}

#[test]
fn a_job_that_another_host_is_at_is_skipped_and_recorded() {
    let env = TestEnv::postgres();
    let mut other = env.client();
    for job in ["cleanup", "stats"] {
        let held = hold(&mut other, &env, job);
        let refused = env.taskmon([job, "--no-alert"]).exits(75);
        refused.failure("locked_elsewhere", &[job, "another host"]);
        // What is each host's own, a dry run, and a run that wants no lock.
        if job == "cleanup" {
            env.taskmon(["cleanup", "--only", "temp,logs"]).success().json();
            env.taskmon(["cleanup", "--dry-run"]).success().json();
        }
        env.taskmon([job, "--no-lock", "--no-alert"]).success().json();
        drop(held);
        env.taskmon([job, "--no-alert"]).success().json();
        // The run gave it back.
        drop(hold(&mut other, &env, job));
    }
    let skipped: Vec<Value> = records(&env)
        .iter()
        .filter(|run| run["skipped"] == true)
        .map(|run| json!([run["job"], run["exit_code"], run["held_by"]]))
        .collect();
    assert_eq!(skipped, [json!(["cleanup", 75, "other_host"]), json!(["stats", 75, "other_host"])]);
}

#[test]
fn a_job_that_is_skipped_three_times_in_a_row_is_told_of() {
    let env = TestEnv::postgres();
    let mut other = env.client();
    let told = |env: &TestEnv| -> Vec<Value> {
        let finished = env.taskmon(["alert", "--dry-run", "-qq"]).success();
        let alerts = finished.json()["alerts"].as_array().unwrap().clone();
        let skipped = alerts.iter().filter(|alert| alert["type"] == "job_skipped");
        skipped.map(|alert| json!([alert["subject"], alert["severity"], alert["value"]])).collect()
    };
    let held = hold(&mut other, &env, "cleanup");
    for _ in 0..2 {
        env.taskmon(["cleanup", "-qq"]).exits(75).json();
    }
    assert_eq!(told(&env), Vec::<Value>::new());
    env.taskmon(["cleanup", "-qq"]).exits(75).json();
    assert_eq!(told(&env), [json!(["cleanup-expired-tasks", "warning", 3])]);
    drop(held);
    env.taskmon(["cleanup", "-qq"]).success().json();
    assert_eq!(told(&env), Vec::<Value>::new());
}

#[test]
fn the_live_rules_of_a_host_wait_for_those_of_another() {
    let env = TestEnv::postgres();
    let mut other = env.client();
    let held = hold(&mut other, &env, "alert");
    let mut observer = env.client();
    let asking = "SELECT 1 FROM pg_stat_activity WHERE datname = current_database() AND query LIKE 'SELECT pg_catalog.pg_try_advisory_xact_lock(%'
                  AND pid <> pg_backend_pid() AND state = 'idle in transaction'";
    let waiting = env.taskmon(["alert"]).spawn();
    wait_until("it asks for the lock", || !observer.query(asking, &[]).unwrap().is_empty());
    std::thread::sleep(Duration::from_millis(300));
    let written = env.path("reports/alerts").exists();
    assert!(!written, "it did not wait\n{}", env.tree());
    drop(held);
    let finished = waiting.wait();
    assert_eq!(finished.json()["success"], true);
    finished.stderr();
}

/// While a run holds the lock it holds back no vacuum, and no time limit for idle transactions ends it.
#[test]
fn the_lock_across_hosts_is_held_by_a_transaction_that_bothers_nobody() {
    let env = TestEnv::postgres();
    env.sql(&format!(
        "ALTER DATABASE {0} SET idle_in_transaction_session_timeout = '200ms';
         ALTER DATABASE {0} SET default_transaction_isolation = 'serializable'",
        env.name()
    ));
    let context = UrlContext {
        env: &|_| None,
        base_dir: &env.path(""),
        connect_timeout: Duration::from_secs(10),
    };
    let target = Target::parse(&env.url(), &context).unwrap();
    let lock = || open::lock(&target, 7, Duration::ZERO).unwrap();
    let held = lock();
    assert!(matches!(held, Attempt::Held(_)));
    std::thread::sleep(Duration::from_millis(800));
    assert!(matches!(lock(), Attempt::Busy));
    let holder = "SELECT backend_xmin IS NULL AND backend_xid IS NULL, state FROM pg_stat_activity JOIN pg_locks USING (pid)
                  WHERE datname = current_database() AND locktype = 'advisory' AND granted AND pid <> pg_backend_pid()";
    let row = env.client().query_one(holder, &[]).unwrap();
    assert_eq!(row.get::<_, &str>(1), "idle in transaction");
    assert!(row.get::<_, bool>(0), "it holds a snapshot");
    drop(held);
    assert!(matches!(lock(), Attempt::Held(_)), "it was not given back");
}

#[test]
fn a_run_that_a_signal_ends_is_recorded_and_ends_of_that_signal() {
    let env = TestEnv::sqlite();
    let mut connection = env.connection();
    let held =
        connection.transaction_with_behavior(rusqlite::TransactionBehavior::Exclusive).unwrap();
    let mut command = env.taskmon(["stats"]).command();
    let mut child = command
        .stdout(std::process::Stdio::null())
        .stderr(std::process::Stdio::null())
        .spawn()
        .unwrap();
    std::thread::sleep(Duration::from_millis(500));
    let pid = rustix::process::Pid::from_child(&child);
    rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
    let status = child.wait().unwrap();
    drop(held);
    assert_eq!(std::os::unix::process::ExitStatusExt::signal(&status), Some(15));
    let found = records(&env);
    assert_eq!((found.len(), &found[0]["exit_code"]), (1, &json!(143)));
}

/// `nohup` has SIGHUP ignored, and a run under it goes on.
#[test]
fn a_signal_that_the_run_was_started_to_ignore_does_not_end_it() {
    let env = TestEnv::postgres();
    let mut blocker = env.client();
    let mut held = blocker.transaction().unwrap();
    held.batch_execute("LOCK TABLE tasks IN ACCESS EXCLUSIVE MODE").unwrap();
    let mut command = env.program("nohup", ["taskmon", "stats", "--no-alert"]).command();
    let null = std::process::Stdio::null;
    let mut child = command.stdin(null()).stdout(null()).stderr(null()).spawn().unwrap();
    let waiting = "SELECT 1 FROM pg_locks JOIN pg_database ON pg_database.oid = database
                   WHERE datname = current_database() AND NOT granted AND relation IS NOT NULL";
    let mut observer = env.client();
    wait_until("the run waits for the table", || !observer.query(waiting, &[]).unwrap().is_empty());
    let pid = rustix::process::Pid::from_child(&child);
    rustix::process::kill_process(pid, rustix::process::Signal::HUP).unwrap();
    std::thread::sleep(Duration::from_millis(300));
    drop(held);
    assert_eq!(child.wait().unwrap().code(), Some(0));
    assert_eq!(records(&env)[0]["exit_code"], 0);
}

#[test]
fn a_record_that_cannot_be_written_is_a_warning_and_changes_nothing() {
    let env = TestEnv::sqlite();
    env.write("logs", "a file where the folder should be");
    let finished = env.taskmon(["disk", "/", "--no-alert"]).success();
    assert_eq!(finished.json()["success"], true);
    finished.stderr_contains("WARN").stderr_contains("taskmon_runs.jsonl");
}

#[test]
fn the_file_keeps_its_last_ten_thousand_lines() {
    let env = TestEnv::sqlite();
    env.taskmon(["disk", "/", "--no-alert"]).success().json();
    let line = env.read("logs/taskmon_runs.jsonl");
    env.write("logs/taskmon_runs.jsonl", &line.replace("\"disk\"", "\"old\"").repeat(12_000));
    env.taskmon(["disk", "/", "--no-alert"]).success().json();
    let found = records(&env);
    assert_eq!(found.len(), 10_000);
    assert_eq!(found[9_999]["job"], "disk");
    assert_eq!(found[9_998]["job"], "old");
    // Not some more until the next time.
    for runs in 2..4 {
        env.taskmon(["disk", "/", "--no-alert"]).success().json();
        let found = records(&env);
        assert_eq!(found.len(), 10_000);
        let own = found.iter().rev().take_while(|run| run["job"] == "disk");
        assert_eq!(own.count(), runs);
    }
}

#[test]
fn logs_shows_the_last_runs_and_skips_what_is_torn() {
    let env = TestEnv::sqlite();
    let none = env.taskmon(["schedule", "logs"]).success().json();
    assert_eq!(none, json!({"success": true, "runs": []}));
    for path in ["/", "/tmp", "/usr"] {
        env.taskmon(["disk", path, "--no-alert"]).success().json();
    }
    let torn = env.read("logs/taskmon_runs.jsonl") + "{\"job\":\"sta";
    env.write("logs/taskmon_runs.jsonl", &torn);
    let shown = env.taskmon(["schedule", "logs", "--lines", "2"]).success().json();
    let paths: Vec<&str> = shown["runs"]
        .as_array()
        .unwrap()
        .iter()
        .map(|run| run["arguments"][1].as_str().unwrap())
        .collect();
    assert_eq!(paths, ["/tmp", "/usr"]);
    let text = env.taskmon(["schedule", "logs", "--output", "text"]).success();
    text.stdout_contains("成功 (0").stdout_contains("disk /usr");
}

#[test]
fn a_record_with_the_keys_that_every_record_has_is_one() {
    let env = TestEnv::sqlite();
    let end = chrono::Utc::now();
    let start = end - chrono::TimeDelta::milliseconds(1_250);
    let record = json!({"job": "disk", "start": start.to_rfc3339(), "end": end.to_rfc3339(), "exit_code": 0, "skipped": false, "host": "box"});
    env.write("logs/taskmon_runs.jsonl", &format!("{record}\n"));
    let shown = env.taskmon(["schedule", "logs"]).success().json();
    assert_eq!(shown["runs"][0]["duration_seconds"], 1.25, "{shown:#}");
    let status = env.taskmon(["schedule", "status"]).success().json();
    let jobs = status["jobs"].as_array().unwrap();
    let disk = jobs.iter().find(|job| job["command"] == "disk").unwrap();
    assert_eq!(disk["last_run"]["duration_seconds"], 1.25, "{disk:#}");
}

#[test]
fn following_prints_each_run_as_it_ends_until_it_is_interrupted() {
    let env = TestEnv::sqlite();
    env.taskmon(["disk", "/tmp", "--no-alert"]).success().json();
    let output = std::fs::File::create(env.path("followed")).unwrap();
    let mut command = env.taskmon(["schedule", "logs", "--follow", "--lines", "1"]).command();
    let mut child = command.stdout(output).spawn().unwrap();
    let lines = |count: usize| {
        let begin = Instant::now();
        loop {
            let text = env.read("followed");
            if text.lines().count() >= count {
                return text;
            }
            assert!(begin.elapsed() < Duration::from_secs(20), "{text}");
            std::thread::sleep(Duration::from_millis(20));
        }
    };
    lines(1);
    env.taskmon(["disk", "/", "--no-alert"]).success().json();
    lines(2);
    std::fs::rename(env.path("logs/taskmon_runs.jsonl"), env.path("logs/taskmon_runs.jsonl.1"))
        .unwrap();
    env.taskmon(["disk", "/usr", "--no-alert"]).success().json();
    let text = lines(3);
    let paths: Vec<Value> = text
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap()["arguments"][1].clone())
        .collect();
    assert_eq!(paths, ["/tmp", "/", "/usr"]);
    let pid = rustix::process::Pid::from_child(&child);
    rustix::process::kill_process(pid, rustix::process::Signal::INT).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(0));
}

#[test]
fn following_ends_when_nobody_reads_any_more() {
    let env = TestEnv::sqlite();
    env.taskmon(["disk", "/tmp", "--no-alert"]).success().json();
    let script = "taskmon schedule logs --follow | head -n 1";
    let mut following = env.program("sh", ["-c", script]).spawn();
    wait_until("a run is told to nobody, and that ends it", || {
        env.taskmon(["disk", "/tmp", "--no-alert"]).success().json();
        following.is_over()
    });
    assert!(following.wait().stdout().starts_with("{\"job\":\"disk\""));
}

// ---- what is missed

/// The installed crontab as if it had been installed long ago.
fn installed_long_ago(env: &TestEnv) {
    schedule(env, &["install"]).success().json();
    let text = crontab(env);
    let aged: Vec<String> = text
        .lines()
        .map(|line| match line.split_once("\"installed\":\"") {
            Some((before, _)) => {
                format!("{before}\"installed\":\"{}T00:00:00Z\"}}", &long_ago()[..10])
            }
            None => line.to_owned(),
        })
        .collect();
    put(env, &(aged.join("\n") + "\n"));
}

fn missed(env: &TestEnv) -> (Value, Finished) {
    let finished = isolated(env, &["taskmon", "alert", "--dry-run"]).run();
    let result = finished.json();
    finished.stderr();
    (result, finished)
}

/// Nobody would hear of a job that is missed.
#[test]
fn what_is_missed_and_cannot_be_told_is_an_alert() {
    let env = environment();
    installed_long_ago(&env);
    let rules = |result: &Value| -> Vec<String> {
        let alerts = result["alerts"].as_array().unwrap().iter();
        let broken = alerts.filter(|alert| alert["type"] == "alert_check_error");
        broken.map(|alert| alert["subject"].as_str().unwrap().to_owned()).collect()
    };
    let text = crontab(&env);
    put(&env, &text.replace("# END taskmon", "# END"));
    let (result, _run) = missed(&env);
    assert_eq!(rules(&result), ["job_missed"], "{result:#}");
    put(&env, &text);
    let records = env.path("logs/taskmon_runs.jsonl");
    let _ = std::fs::remove_file(&records);
    std::fs::create_dir_all(&records).unwrap();
    let (result, _run) = missed(&env);
    assert_eq!(rules(&result), ["job_missed", "job_skipped"], "{result:#}");
}

#[test]
fn a_job_without_a_successful_run_is_missed_and_overdue_until_it_has_one() {
    let env = environment();
    add_jobs(
        &env,
        &[
            ("report", "0 2 * * *", "stats --no-save", ""),
            ("disks", "15 * * * *", "disk /", ""),
            ("live", "*/5 * * * *", "alert", ""),
        ],
    );
    // No block: nobody knows.
    let (result, _run) = missed(&env);
    assert_eq!(result["live"]["jobs"]["missed"], Value::Null);
    // Just installed: nothing was due yet.
    schedule(&env, &["install"]).success().json();
    let (result, _run) = missed(&env);
    assert_eq!(result["live"]["jobs"]["missed"], json!([]));
    schedule(&env, &["remove"]).success().json();

    installed_long_ago(&env);
    let (result, _run) = missed(&env);
    let names = |result: &Value| -> Vec<String> {
        let alerts = result["alerts"].as_array().unwrap().iter();
        let missed = alerts.filter(|alert| alert["type"] == "job_missed");
        missed.map(|alert| alert["subject"].as_str().unwrap().to_owned()).collect()
    };
    // Not the job that asks: it is running.
    assert_eq!(names(&result), ["report", "disks"]);
    let severity = &result["alerts"]
        .as_array()
        .unwrap()
        .iter()
        .find(|alert| alert["type"] == "job_missed")
        .unwrap()["severity"];
    assert_eq!(severity, "error");
    let overdue = |env: &TestEnv| -> Vec<bool> {
        let status = schedule(env, &["status"]).success().json();
        status["jobs"]
            .as_array()
            .unwrap()
            .iter()
            .map(|job| job["overdue"].as_bool().unwrap())
            .collect()
    };
    assert_eq!(overdue(&env), [true, true, true]);

    // A failed run and a dry run are none.
    isolated(&env, &["taskmon", "stats", "--no-save", "--database-url", "sqlite:none.db"])
        .exits(3)
        .failure("database_unavailable", &[]);
    assert_eq!(overdue(&env), [true, true, true]);
    isolated(&env, &["taskmon", "stats", "--no-save", "--output", "text", "-qq"])
        .success()
        .stdout();
    isolated(&env, &["taskmon", "disk", "/", "-qq"]).run().stdout();
    let (result, _run) = missed(&env);
    assert_eq!(names(&result), Vec::<String>::new());
    assert_eq!(overdue(&env), [false, false, true]);
    let status = schedule(&env, &["status"]).success().json();
    assert_eq!(status["jobs"][0]["last_run"]["exit_code"], 0);
    let text = schedule(&env, &["status", "--output", "text"]).success();
    text.stdout_contains("逾期").stdout_contains("report");
}

#[test]
fn pages_say_the_same_in_both_languages() {
    let env = environment();
    schedule(&env, &["list", "--output", "text"]).success().stdout_contains("下次运行");
    schedule(&env, &["install", "--output", "text"]).success().stdout_contains("已安装");
    schedule(&env, &["remove", "--output", "text"]).success().stdout_contains("已移除");
    env.write("taskmon.toml", "language = \"en\"\n");
    schedule(&env, &["list", "--output", "text"]).success().stdout_contains("next run");
    schedule(&env, &["install", "--output", "text"]).success().stdout_contains("Installed");
    schedule(&env, &["status", "--output", "text"]).success().stdout_contains("installed");
    schedule(&env, &["remove", "--output", "text"]).success().stdout_contains("Removed");
}
