//! `schedule list` and `schedule status`.

use super::*;

/// Reading a pipe would block, and a device has no end.
#[test]
fn a_pipe_or_device_in_the_place_of_a_record_or_a_log_blocks_nothing() {
    for make in ["mkfifo PATH", "ln -s /dev/zero PATH"] {
        let env = TestEnv::sqlite();
        std::fs::create_dir(env.path("logs")).unwrap();
        let put = |name: &str| {
            let script = make.replace("PATH", name);
            env.program("sh", ["-c", &script]).success();
        };
        put("logs/taskmon_runs.jsonl");
        put("logs/warning_alerts.log");
        let run =
            env.taskmon(["disk", "/", "--alert", "--warning", "0", "--critical", "100"]).exits(1);
        let result = run.json();
        assert_eq!(result["errors"][0]["kind"], "alert_log_unwritable");
        run.stderr_contains("taskmon_runs.jsonl (it is not a regular file)")
            .stderr_contains("warning_alerts.log: it is not a regular file");
        let status = env.taskmon(["schedule", "status"]).exits(1);
        status.stderr_contains("taskmon_runs.jsonl cannot be read: it is not a regular file");
        status.json();
        for words in [vec!["schedule", "logs"], vec!["schedule", "logs", "--follow"]] {
            let logs = env.taskmon(words).exits(3);
            logs.failure("records_unreadable", &["taskmon_runs.jsonl"]);
        }
    }
    let env = TestEnv::sqlite();
    env.program("mkfifo", ["taskmon.log"]).success();
    let run = env.taskmon(["disk", "/", "--no-alert", "--log-file", "taskmon.log"]).exits(3);
    run.failure("output_failed", &["taskmon.log"]);
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

#[test]
fn an_installed_job_that_the_configuration_no_longer_has_is_named() {
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
    let file = env.path("taskmon.toml").display().to_string();
    let refused = refused.failure("usage", &["schedule.jobs is empty", &file]);
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

    // A job of the configuration that has the old name keeps it.
    let job = "\n[[schedule.jobs]]\nname = \"check-disk-space\"\ncron = \"15 * * * *\"\ncommand = \"disk\"\n";
    env.write("taskmon.toml", &(env.read("taskmon.toml") + job));
    put(&env, &former(&current));
    let jobs = status()["jobs"].clone();
    assert_eq!(
        (&jobs[0]["name"], &jobs[0]["installed"]),
        (&json!("check-disk-space"), &json!(true))
    );
}

#[test]
fn pages_say_the_same_in_both_languages() {
    let env = environment();
    let config = env.read("taskmon.toml");
    env.write("taskmon.toml", &config.replace("\"en\"", "\"zh\""));
    for (command, part) in [("list", "下次运行"), ("install", "已安装"), ("remove", "已移除")]
    {
        schedule(&env, &[command, "--output", "text"]).success().stdout_contains(part);
    }
    env.write("taskmon.toml", &config);
    schedule(&env, &["list", "--output", "text"]).success().stdout_contains("next run");
    schedule(&env, &["install", "--output", "text"]).success().stdout_contains("Installed");
    schedule(&env, &["status", "--output", "text"]).success().stdout_contains("installed");
    schedule(&env, &["remove", "--output", "text"]).success().stdout_contains("Removed");
}

#[test]
fn pages_show_all_times_in_the_configured_zone_with_their_distance() {
    let env = environment();
    let config = env.read("taskmon.toml").replace("Asia/Shanghai", "Asia/Kathmandu");
    env.write("taskmon.toml", &config);
    schedule(&env, &["install"]).success().json();
    isolated(&env, &["taskmon", "disk", "-qq"]).run().stdout();
    for (language, after, before) in [("en", "(in ", " ago)"), ("zh", "后）", "前）")] {
        let page = |words: &[&str]| {
            let mut all = words.to_vec();
            all.extend(["--output", "text", "--lang", language]);
            let finished = isolated(&env, &all).run();
            finished.stderr();
            finished.stdout().to_owned()
        };
        // A run within this second is now.
        let before =
            |page: &str| page.contains(before) || page.contains("now") || page.contains("现在");
        let list = page(&["taskmon", "schedule", "list"]);
        assert_eq!(list.matches("+05:45").count(), 4, "{list}");
        assert_eq!(list.matches(after).count(), 4, "{list}");
        let status = page(&["taskmon", "schedule", "status"]);
        assert_eq!(status.matches("+05:45").count(), 5, "{status}");
        assert!(before(&status), "{status}");
        let logs = page(&["taskmon", "schedule", "logs"]);
        assert!(logs.contains("+05:45") && before(&logs), "{logs}");
        let check = page(&["taskmon", "check"]);
        assert!(before(&check), "{check}");
    }
}

#[test]
fn a_checklist_says_that_nothing_prevents_the_jobs_only_if_they_are_started() {
    let env = environment();
    let last = || {
        let page = isolated(&env, &["taskmon", "check", "--output", "text"]).run();
        page.stderr();
        page.stdout().trim_end().lines().last().unwrap().to_owned()
    };
    assert_eq!(last(), "no check failed, but no job is installed: taskmon schedule install");
    schedule(&env, &["install", "--systemd"]).success().json();
    enable(&env);
    assert_eq!(last(), "nothing prevents the jobs from running");
}
