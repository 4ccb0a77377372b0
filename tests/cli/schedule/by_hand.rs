//! Jobs that somebody wrote by hand: in the user's crontab, /etc/crontab and /etc/cron.d.

use super::*;

/// With the test's `cron.d` and `etc_crontab` in place of the system's.
fn with_system<'e>(env: &'e TestEnv, words: &[&str]) -> Run<'e> {
    std::fs::create_dir_all(env.path("cron.d")).unwrap();
    if !env.path("etc_crontab").exists() {
        env.write("etc_crontab", "");
    }
    let script =
        "mount --bind cron.d /etc/cron.d && mount --bind etc_crontab /etc/crontab && exec \"$@\"";
    let mut all = vec!["sh", "-c", script, "sh"];
    all.extend(words);
    isolated(env, &all)
}

fn status(env: &TestEnv) -> Value {
    with_system(env, &["taskmon", "schedule", "status"]).success().json()
}

/// Name, place and line of each job that is in some cron.
fn found(status: &Value) -> Vec<String> {
    let jobs = status["jobs"].as_array().unwrap().iter();
    let known = jobs.filter(|job| job["installed"] == true);
    let shown = known.map(|job| {
        format!("{} {}:{} {}", job["name"], job["source"], job["line"], job["cron"])
            .replace('"', "")
    });
    shown.collect()
}

fn one(name: &str, status: &Value) -> Value {
    let mut jobs = status["jobs"].as_array().unwrap().iter();
    jobs.find(|job| job["name"] == name).unwrap_or_else(|| panic!("{status:#}")).clone()
}

#[test]
fn lines_by_hand_are_listed_with_their_place_and_next_run() {
    let env = environment();
    let config = env.path("taskmon.toml").display().to_string();
    let program = binary();
    put(
        &env,
        &format!(
            "# mine\nTASKMON_CONFIG={config}\n30 3 * * * nice -n 12 {program} stats > /dev/null\n\
             0 5 * * 1 {program} -q -c {config} stats --days 7 2>&1 | logger -t '100\\%'\n\
             0 6 * * * {program} -c /srv/other.toml cleanup\n\
             0 7 * * * {program} check\n0 8 * * * {program} cleanup --dry-run\n"
        ),
    );
    env.write(
        "etc_crontab",
        &format!(
            "SHELL=/bin/sh\n17 * * * * root cd {} && {program} disk\n",
            env.path("").display()
        ),
    );
    let line =
        format!("@hourly root flock -n /tmp/x env A=b timeout 60 {program} -c {config} alert\n");
    env.write("cron.d/shop", &line);
    for ignored in ["cron.d/shop.dpkg-old", "cron.d/shop~", "cron.d/.hidden"] {
        env.write(ignored, &line.replace("alert", "disk"));
    }
    let status = status(&env);
    assert_eq!(
        found(&status),
        [
            "generate-daily-statistics crontab:3 30 3 * * *",
            "disk-space-check /etc/crontab:2 17 * * * *",
            "check-live-alerts /etc/cron.d/shop:1 @hourly",
            "stats --days 7 crontab:4 0 5 * * 1",
        ]
    );
    assert_eq!(status["warnings"], json!([]), "{status:#}");
    let stats = one("generate-daily-statistics", &status);
    assert!(stats["next_run"].as_str().unwrap().contains("T03:30:00"), "{stats:#}");
    assert_eq!((&stats["outdated"], &stats["overdue"]), (&json!(false), &json!(false)));
    let page = with_system(&env, &["taskmon", "schedule", "status", "--output", "text"]).success();
    page.stdout_contains("written by hand").stdout_contains("/etc/cron.d/shop:1");
    let check = with_system(&env, &["taskmon", "check", "-v", "--output", "text"]).run();
    check
        .stdout_contains("generate-daily-statistics is written by hand (crontab:3), next ")
        .stdout_contains("not installed: cleanup-expired-tasks");
}

#[test]
fn what_is_not_understood_is_warned_of_and_no_error() {
    let env = environment();
    let config = env.path("taskmon.toml").display().to_string();
    let lines = [
        ("0 2 * * * /opt/taskmon-nightly.sh", "a script"),
        ("0 2 * * * taskmon stats --date $(date +\\%F)", "a shell computes"),
        ("0 2 * * * taskmon stats --dates 1", "--dates"),
        ("0 2 * * * taskmon stats 'it", "a quote is open"),
    ];
    let text: Vec<&str> = lines.iter().map(|(line, _)| *line).collect();
    env.write("etc_crontab", "0 2 L * * root taskmon stats\n");
    put(&env, &format!("{}\n0 2 * * * TASKMON_CONFIG={config} taskmon stats\n", text.join("\n")));
    let status = status(&env);
    for (at, (_, why)) in lines.iter().enumerate() {
        let warning = status["warnings"][at].as_str().unwrap();
        let place = format!("crontab:{} names taskmon", at + 1);
        assert!(warning.contains(&place) && warning.contains(why), "{warning}");
    }
    assert_eq!(found(&status), ["generate-daily-statistics crontab:5 0 2 * * *"]);
    // The last line is understood; cron would not find the program.
    let last = status["warnings"][lines.len()].as_str().unwrap();
    assert!(last.contains("crontab:5") && last.contains("/usr/bin:/bin"), "{last}");
    let times =
        "/etc/crontab:1 names taskmon and is not understood (not every cron knows its times)";
    assert!(status["warnings"][lines.len() + 1].as_str().unwrap().contains(times), "{status:#}");
    assert_eq!(status["errors"], json!([]));
}

/// A FIFO blocks whoever opens it, a sparse file of terabytes fills the memory.
/// Its options make it a run by hand, unless they are those of a scheduled job.
#[test]
fn a_line_that_notifies_nobody_is_warned_of() {
    let env = environment();
    add_jobs(&env, &[("disks", "15 * * * *", "disk / --warning 70", "")]);
    let (program, config) = (binary(), env.path("taskmon.toml").display().to_string());
    put(
        &env,
        &format!(
            "1 * * * * {program} -c {config} disk / --warning 70\n2 * * * * {program} -c {config} disk --warning 60\n\
             3 3 * * * {program} -c {config} stats --no-save --alert\n4 3 * * * {program} -c {config} stats --no-save --no-alert\n\
             5 4 * * * {program} -c {config} --database-url sqlite:tasks.db cleanup\n"
        ),
    );
    let warnings = status(&env)["warnings"].clone();
    let quiet = warnings.as_array().unwrap().iter().map(|warning| warning.as_str().unwrap());
    let quiet: Vec<&str> = quiet.filter(|warning| warning.contains("notifies nobody")).collect();
    let [disk, cleanup] = quiet[..] else { panic!("{warnings:#}") };
    assert!(disk.starts_with("crontab:2 ") && disk.contains("(with --warning)"), "{disk}");
    assert!(cleanup.starts_with("crontab:5 ") && cleanup.contains("--database-url"), "{cleanup}");
}

#[test]
fn what_is_in_the_place_of_a_systems_crontab_blocks_nothing() {
    let env = environment();
    let config = env.path("taskmon.toml").display().to_string();
    env.write("cron.d/good", &format!("0 2 * * * root {} -c {config} stats\n", binary()));
    env.program(
        "sh",
        [
            "-c",
            "cd cron.d && mkfifo fifo && truncate -s 1T huge && mkdir folder && ln -s gone link",
        ],
    )
    .success();
    let status = status(&env);
    assert_eq!(found(&status), ["generate-daily-statistics /etc/cron.d/good:1 0 2 * * *"]);
    let warnings = status["warnings"].to_string();
    for name in ["fifo", "huge", "folder"] {
        assert!(warnings.contains(&format!("/etc/cron.d/{name} cannot be read")), "{warnings}");
    }
    assert!(!warnings.contains("link"), "{warnings}");
    // Closed for this user.
    for (folder, mode) in [("", "755"), ("spool", "755"), ("cron.d", "700")] {
        env.program("chmod", [mode.into(), env.path(folder)]).success();
    }
    let words = [
        "setpriv",
        "--reuid=65534",
        "--regid=65534",
        "--clear-groups",
        "taskmon",
        "schedule",
        "status",
    ];
    let status = with_system(&env, &words).run();
    status.stderr();
    let warnings = status.json()["warnings"].to_string();
    assert!(warnings.contains("/etc/cron.d cannot be read (Permission denied"), "{warnings}");
}

#[test]
fn a_job_by_hand_that_does_not_run_is_missed() {
    let env = environment();
    let config = env.path("taskmon.toml").display().to_string();
    env.write("cron.d/shop", &format!("0 2 * * * root {} -c {config} stats --no-save\n", binary()));
    let missed = || -> Vec<String> {
        let run = with_system(&env, &["taskmon", "alert", "-qq"]).run();
        let result = run.json();
        run.stderr();
        let alerts = result["alerts"].as_array().unwrap().iter();
        let missed = alerts.filter(|alert| alert["type"] == "job_missed");
        missed.map(|alert| alert["subject"].as_str().unwrap().to_owned()).collect()
    };
    // Seen for the first time: nothing was due since.
    assert_eq!(missed(), Vec::<String>::new());
    let seen = "logs/.taskmon_seen_lines.json";
    let text = env.read(seen);
    let (before, rest) = text.split_once("\"since\":\"").unwrap();
    env.write(seen, &format!("{before}\"since\":\"{}{}", &long_ago()[..10], &rest[10..]));
    assert_eq!(missed(), ["stats --no-save"]);
    assert_eq!(one("stats --no-save", &status(&env))["overdue"], true);
    with_system(&env, &["taskmon", "stats", "--no-save", "-qq"]).run().stdout();
    assert_eq!(missed(), Vec::<String>::new());
    let job = one("stats --no-save", &status(&env));
    assert_eq!((&job["overdue"], &job["last_run"]["exit_code"]), (&json!(false), &json!(0)));
}

#[test]
fn installing_warns_of_what_it_doubles_and_replaces_it_if_asked_to() {
    let env = environment();
    let config = env.path("taskmon.toml").display().to_string();
    let line = format!("0 2 * * * {} -c {config} stats", binary());
    let mine = format!("# mine\n{line}\n5 5 * * * /bin/true\n");
    put(&env, &mine);
    env.write("cron.d/shop", &format!("0 4 * * * root {} -c {config} cleanup\n", binary()));
    let install = |words: &[&str]| {
        let mut all = vec!["taskmon", "schedule", "install"];
        all.extend(words);
        let finished = with_system(&env, &all).success();
        finished.stderr();
        finished.json()
    };
    let warnings = install(&["--dry-run"])["warnings"].to_string();
    for part in [
        "run twice",
        "crontab:2",
        "/etc/cron.d/shop:1",
        "install --replace",
        "cleanup-expired-tasks",
    ] {
        assert!(warnings.contains(part), "{part} in {warnings}");
    }
    for words in [&["--replace", "--dry-run"][..], &["--replace"]] {
        assert_eq!(crontab(&env), mine);
        let result = install(words);
        assert_eq!(result["replaced"], json!([line]), "{result:#}");
        let warnings = result["warnings"].to_string();
        assert!(
            warnings.contains("take these lines out yourself")
                && warnings.contains("/etc/cron.d/shop:1"),
            "{warnings}"
        );
        assert!(!warnings.contains("crontab:2"), "{warnings}");
    }
    let text = crontab(&env);
    let replaced = mine.replace(&line, &format!("# replaced by the block of taskmon: {line}"));
    assert!(text.starts_with(&replaced), "{text}");
    assert_eq!(install(&["--replace"])["changed"], false);
}
