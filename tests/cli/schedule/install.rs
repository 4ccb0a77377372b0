//! `schedule install` and `schedule remove` with crontab.

use super::*;

#[test]
fn jobs_are_installed_with_absolute_paths_and_their_niceness() {
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
fn a_last_line_without_a_newline_is_completed() {
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
        "# BEGIN taskmon {}\n# BEGIN taskmon {}\n# END taskmon\n# END taskmon\n",
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
fn each_configuration_has_a_block_of_its_own() {
    let env = environment();
    put(&env, "5 4 * * * /bin/true\n");
    schedule(&env, &["install"]).success().json();
    let first = crontab(&env);
    let job = "[[schedule.jobs]]\nname = \"disks\"\ncron = \"30 * * * *\"\ncommand = \"disk\"\n";
    env.write("other/taskmon.toml", &format!("language = \"en\"\n{job}"));
    let of_other = |words: &[&str]| {
        let mut all = words.to_vec();
        all.extend(["-c", "other/taskmon.toml"]);
        schedule(&env, &all).success().json()
    };
    let installed = |status: &Value| -> Vec<bool> {
        let jobs = status["jobs"].as_array().unwrap().iter();
        jobs.map(|job| job["installed"] == true).collect()
    };
    assert_eq!(installed(&of_other(&["status"])), [false]);
    let other = of_other(&["install"]);
    assert_eq!(other["warnings"], Value::Null);
    let both = crontab(&env);
    assert_eq!(both, format!("{first}{}", other["block"].as_str().unwrap()));
    for (status, count) in
        [(of_other(&["status"]), 1), (schedule(&env, &["status"]).success().json(), 4)]
    {
        assert_eq!(installed(&status), vec![true; count], "{status:#}");
        assert_eq!(status["warnings"], json!([]), "{status:#}");
    }
    // A change of the first one stays within its block.
    add_jobs(&env, &[("report", "0 2 * * *", "stats", "")]);
    schedule(&env, &["install"]).success().json();
    let changed = crontab(&env);
    assert!(changed.ends_with(other["block"].as_str().unwrap()), "{changed}");
    assert_eq!(commands(&changed).len(), 3);
    let removed = schedule(&env, &["remove"]).success().json();
    assert!(!removed["block"].as_str().unwrap().contains("other/taskmon.toml"));
    assert_eq!(crontab(&env), format!("5 4 * * * /bin/true\n{}", other["block"].as_str().unwrap()));
    schedule(&env, &["install"]).success().json();
    let all = schedule(&env, &["remove", "--all"]).success().json();
    assert_eq!(all["block"].as_str().unwrap().matches("# BEGIN taskmon").count(), 2);
    assert_eq!(crontab(&env), "5 4 * * * /bin/true\n");
}

/// Those of another program are left to it.
#[test]
fn all_blocks_are_those_that_this_program_runs() {
    let env = environment();
    schedule(&env, &["install"]).success().json();
    let block = crontab(&env);
    let theirs = block.replace(binary(), "/bin/true").replace("/taskmon.toml", "/other.toml");
    let theirs = theirs.replace("/bin/true", "/opt/taskmon");
    env.write("opt/taskmon", "#!/bin/sh\n");
    env.program("chmod", ["755", "opt/taskmon"]).success();
    let there = env.path("opt/taskmon").display().to_string();
    let theirs = theirs.replace("/opt/taskmon", &there);
    put(&env, &format!("{theirs}{block}"));
    schedule(&env, &["remove", "--all"]).success().json();
    assert_eq!(crontab(&env), theirs);
    // A program that is gone runs nothing.
    std::fs::remove_file(env.path("opt/taskmon")).unwrap();
    schedule(&env, &["remove", "--all"]).success().json();
    no_crontab(&env);
}

#[test]
fn a_block_without_a_name_is_brought_up_to_date() {
    let env = environment();
    schedule(&env, &["install"]).success().json();
    let named = crontab(&env);
    let header = named.lines().next().unwrap();
    put(&env, &named.replace(header, "# BEGIN taskmon"));
    let status = schedule(&env, &["status"]).success().json();
    assert_eq!((&status["jobs"][0]["installed"], &status["warnings"]), (&json!(true), &json!([])));
    schedule(&env, &["install"]).success().json();
    assert_eq!(crontab(&env), named);
    let twice = named.repeat(2);
    put(&env, &twice);
    schedule(&env, &["install"]).exits(3).failure("crontab_damaged", &["several blocks"]);
    assert_eq!(crontab(&env), twice);
}

#[test]
fn without_a_configuration_file_nothing_is_installed() {
    let env = environment();
    std::fs::remove_file(env.path("taskmon.toml")).unwrap();
    let finished = schedule(&env, &["install"]).exits(2);
    finished.failure("usage", &["no configuration file"]);
    no_crontab(&env);
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
        ("0 2 * * *", "stats --date someday", &["wrong", "--date", "YYYY-MM-DD"]),
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
