//! The crontab program and cron itself.

use super::*;
use crate::support::run::Running;

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
fn a_password_is_not_put_into_a_crontab() {
    for command in [
        "stats --database-url postgresql://app:s3cret@db/app",
        "stats --database-url=postgresql://app:s3cret@db/app",
        "cleanup --database-url 'postgresql://app@db/app?password=s3cret'",
    ] {
        let env = environment();
        add_jobs(&env, &[("report", "0 2 * * *", command, "")]);
        let refused = schedule(&env, &["install"]).exits(2);
        let document = refused.failure("config_invalid", &["report", "password"]);
        assert!(document["error"]["hint"].as_str().unwrap().contains("chmod 600"), "{document}");
        assert!(!format!("{document}{}", refused.stderr()).contains("s3cret"), "{document}");
    }
    let env = environment();
    add_jobs(&env, &[("report", "0 2 * * *", "stats --database-url postgresql://app@db/app", "")]);
    schedule(&env, &["install"]).success().json();
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
    let [install, status] = ["install", "status"]
        .map(|command| env.taskmon(["schedule", command]).env("PATH", &path).spawn())
        .map(Running::wait);
    assert_eq!((install.code, status.code), (Some(3), Some(0)));
    install.failure("crontab_timeout", &["`crontab -l`", "10 s"]);
    assert!(install.took < Duration::from_secs(20), "{:?}", install.took);
    let warnings = status.json()["warnings"].to_string();
    assert!(warnings.contains("crontab -l"), "{warnings}");
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

#[test]
fn the_example_is_a_crontab_and_has_the_jobs_of_the_defaults() {
    let env = environment();
    let example = include_str!("../../../crontab.example");
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
        let expected =
            ["nice".into(), "-n".into(), nice.to_string(), "/usr/local/bin/taskmon".into()];
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
