//! Timers of systemd.

use super::*;
use crate::support::zone;

fn unit_files(folder: &Path) -> Vec<PathBuf> {
    let mut files: Vec<PathBuf> =
        std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    files
}

#[test]
fn units_pass_systemds_check_and_are_removed_without_those_of_others() {
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
    for part in [
        "written but not enabled",
        "systemctl --user enable --now taskmon-",
        "taskmon-disk-space-check.timer",
    ] {
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

#[test]
fn jobs_in_the_crontab_and_as_units_would_run_twice_and_are_warned_of() {
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
        for text in [
            warned,
            status["warnings"].to_string(),
            check["checks"].to_string(),
            again.json()["warnings"].to_string(),
        ] {
            for part in [
                "would run twice",
                "crontab",
                "systemd/user",
                "disk-space-check",
                "taskmon schedule remove --systemd",
            ] {
                assert!(text.contains(part), "{part} in {text}");
            }
        }
        let removed = schedule(&env, &["remove", "--systemd"]).success();
        removed.json();
        let status = schedule(&env, &["status"]).success().json();
        assert_eq!(status["warnings"], json!([]));
    }
}

#[test]
fn units_of_two_configurations_do_not_collide() {
    let env = environment();
    add_jobs(&env, &[("disks", "15 * * * *", "disk", "")]);
    let job = "[[schedule.jobs]]\nname = \"disks\"\ncron = \"30 * * * *\"\ncommand = \"disk\"\n";
    env.write("shop.toml", &format!("language = \"en\"\n{job}"));
    let files = |words: &[&str], config: &str| -> Vec<String> {
        let mut all = words.to_vec();
        all.extend(["--systemd", "--unit-dir", "units", "-c", config]);
        schedule(&env, &all).success().json();
        let files = unit_files(&env.path("units")).into_iter();
        let timers = files.filter(|file| file.extension().is_some_and(|end| end == "timer"));
        timers.map(|file| file.file_name().unwrap().to_str().unwrap().to_owned()).collect()
    };
    let (plain, labelled) = ("taskmon-disks.timer", "taskmon-shop-disks.timer");
    assert_eq!(files(&["install"], "taskmon.toml"), [plain]);
    assert_eq!(files(&["install"], "shop.toml"), [plain, labelled]);
    assert_eq!(files(&["install"], "taskmon.toml"), [plain, labelled]);
    assert_eq!(files(&["remove"], "taskmon.toml"), [labelled]);
    // It keeps the names that it has.
    assert_eq!(files(&["install"], "shop.toml"), [labelled]);
    assert_eq!(files(&["install"], "taskmon.toml"), [plain, labelled]);
    // A third one whose file is called the same.
    env.write("third/shop.toml", &format!("language = \"en\"\n{job}"));
    let words = ["install", "--systemd", "--unit-dir", "units", "-c", "third/shop.toml"];
    let refused = schedule(&env, &words).exits(3);
    let theirs = env.path("shop.toml").display().to_string();
    refused.failure("output_failed", &["another configuration", &theirs]);
    env.write("third/shop.toml", &format!("language = \"en\"\nname = \"third\"\n{job}"));
    assert_eq!(
        files(&["install"], "third/shop.toml"),
        [plain, labelled, "taskmon-third-disks.timer"]
    );
    assert_eq!(files(&["remove", "--all"], "taskmon.toml"), Vec::<String>::new());
}

/// Their timers have to be disabled before their files are gone.
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

#[test]
fn a_time_that_no_calendar_has_is_refused_by_the_jobs_name() {
    let env = environment();
    add_jobs(&env, &[("at start", "@reboot", "disk", "")]);
    let finished = schedule(&env, &["install", "--systemd", "--unit-dir", "units"]).exits(2);
    finished.failure("config_invalid", &["at start", "@reboot"]);
    assert!(!env.path("units").exists());
}

/// Whether the clocks of this machine show this time twice.
fn comes_twice(time: &str) -> bool {
    let link = std::fs::read_link("/etc/localtime").unwrap_or_default();
    let name = link.to_str().unwrap().rsplit_once("zoneinfo/").map_or("UTC", |(_, name)| name);
    let zone = zone(name);
    let naive = chrono::DateTime::parse_from_rfc3339(time).unwrap().naive_local();
    chrono::TimeZone::from_local_datetime(&zone, &naive).latest()
        != chrono::TimeZone::from_local_datetime(&zone, &naive).earliest()
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
        let next = job["next_run"].as_str().unwrap();
        // Of an hour that comes twice, systemd knows the first alone.
        if comes_twice(next) {
            continue;
        }
        assert!(
            next.starts_with(&first),
            "{} as {}: {next}, systemd says {first}",
            job["cron"],
            timer
        );
    }
}
