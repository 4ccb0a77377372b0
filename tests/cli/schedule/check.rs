//! What `taskmon check` says of the schedule.

use super::*;

#[test]
fn check_reports_what_is_installed_and_how_the_runs_went() {
    let env = environment();
    let found = |name: &str| -> Value {
        let result = isolated(&env, &["taskmon", "check"]).run().json();
        let checks = result["checks"].as_array().unwrap().clone();
        checks.into_iter().find(|check| check["name"] == name).unwrap()
    };
    let nothing = found("cron");
    assert!(nothing.to_string().contains("no job is installed"), "{nothing:#}");
    assert_eq!(found("runs")["status"], "skipped");

    schedule(&env, &["install"]).success().json();
    add_jobs(&env, &[("weekly", "0 3 * * 1", "stats --days 7", "")]);
    let text = env.read("taskmon.toml").replace("[database]", "[disk]\npaths = ['.']\n[database]");
    env.write("taskmon.toml", &text);
    // One's own jobs replace the default ones, which are in the crontab still.
    let one = found("cron");
    assert!(one.to_string().contains("no job is installed"), "{one:#}");
    schedule(&env, &["install"]).success().json();
    let installed = found("cron");
    assert!(!installed.to_string().contains("not installed"), "{installed:#}");

    isolated(&env, &["taskmon", "-q", "-q", "stats", "--days", "7"]).success().json();
    let runs = found("runs");
    assert_eq!(runs["status"], "ok", "{runs:#}");
    assert!(runs["message"].as_str().unwrap().contains("weekly"), "{runs:#}");
    env.write("taskmon.toml", &text.replace("tasks.db", "gone.db"));
    isolated(&env, &["taskmon", "-q", "-q", "stats", "--days", "7"]).exits(3).json();
    let runs = found("runs");
    assert_eq!(runs["status"], "warning", "{runs:#}");
    assert!(runs["message"].as_str().unwrap().contains("exit code 3"), "{runs:#}");
}

#[test]
fn a_line_that_starts_a_missing_program_fails_the_check() {
    let env = environment();
    schedule(&env, &["install"]).success().json();
    let text = crontab(&env);
    env.write("text", "no program");
    let not_executable = env.path("text").display().to_string();
    let file = env.path("taskmon.toml").display().to_string();
    for (from, to, why) in [
        (binary(), "/gone/taskmon", "/gone/taskmon: No such file"),
        (binary(), &not_executable, "Permission denied"),
        (&format!("-c {file}"), "-c /gone/taskmon.toml", "/gone/taskmon.toml: No such file"),
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
    check.stdout_contains(&file).stdout_contains("taskmon schedule remove");
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
fn foreign_lines_in_the_block_are_shown_before_they_go() {
    for command in ["install", "remove"] {
        let env = environment();
        schedule(&env, &["install"]).success().json();
        let text = crontab(&env);
        let foreign = "5 5 * * * backup --all";
        let text = text.replace("# END taskmon", &format!("{foreign}\n# END taskmon"));
        let text = text.replace("disk > /dev/null", "disk | mail ann");
        put(&env, &text);
        let dry_run = schedule(&env, &[command, "--dry-run"]).success();
        let said = dry_run.json()["dropped"].clone();
        dry_run.stderr_contains(foreign);
        assert_eq!(crontab(&env), text);
        let finished = schedule(&env, &[command]).success();
        let result = finished.json();
        finished.stderr_contains(foreign).stderr_contains("disk | mail ann");
        let dropped = result["dropped"].as_array().unwrap();
        assert_eq!(dropped.len(), 3, "{result:#}");
        assert_eq!((&result["dropped"], &dropped[2]), (&said, &json!(foreign)));
        assert!(result["warnings"].to_string().contains(foreign), "{result:#}");
    }
}

/// As cronie documents it in crontab(5), `CRON_TZ`.
#[test]
fn a_zone_that_is_set_above_the_block_is_warned_of() {
    let env = environment();
    let config = env.read("taskmon.toml");
    put(&env, "CRON_TZ=Asia/Kolkata\n");
    let installed = schedule(&env, &["install"]).success();
    installed.json();
    installed.stderr_contains("CRON_TZ is set to Asia/Kolkata");
    let is_warned_of = |part: &str, expected: bool| {
        for command in ["list", "status"] {
            let result = schedule(&env, &[command]).success().json();
            let warnings = result["warnings"].to_string();
            assert_eq!(warnings.contains(part), expected, "{command}: {warnings}");
        }
        let cron = checked(&env, "cron").to_string();
        assert_eq!(cron.contains(part), expected, "{cron}");
    };
    is_warned_of("cronie runs the jobs by the clock of that zone", true);
    // Below the block it is of no concern, and a zone of the jobs' own is none where days are counted in a configured one.
    let text = crontab(&env).replace("CRON_TZ=Asia/Kolkata\n", "TZ=Asia/Tokyo\n");
    put(&env, &(text.clone() + "CRON_TZ=Asia/Kolkata\n"));
    is_warned_of("TZ is set", false);
    let config = config.replace("timezone = \"Asia/Shanghai\"\n", "");
    env.write("taskmon.toml", &config);
    is_warned_of("TZ is set to Asia/Tokyo", true);
}
