//! The other crons: what is written for Debian's cron is right for cronie and busybox too, by their own programs.

use crate::cli::debian::{BINARY, Debian};
use crate::cli::schedule::uncommented;
use crate::support::env::TestEnv;
use serde_json::{Value, json};

/// A folder whose name the shell and cron would both read wrongly if it were not quoted.
const ODD: &str = "/home/ann/it's 100% \\%d \\\\ \\a \"odd\" $HOME";

/// A Debian with the user `ann`, who cannot log in, as the package's user, and whose job runs every minute.
fn debian() -> Debian {
    let debian = Debian::with_taskmon();
    debian.printed("useradd --system --create-home --shell /usr/sbin/nologin ann");
    debian.write(
        &format!("{ODD}/taskmon.toml"),
        "timezone = \"Asia/Shanghai\"\n[[schedule.jobs]]\nname = \"每分钟\"\ncron = \"*,5 5,* * *,1 *\"\ncommand = \"disk . --warning 99 --critical '100'\"\npriority = 8\n",
    );
    debian.printed("chown -R ann: /home/ann");
    debian
}

/// The user's own command, in the folder of the configuration.
fn as_ann(command: &str) -> String {
    let folder = ODD.replace('\'', r"'\''");
    format!(
        "cd '{folder}' && setpriv --reuid ann --regid ann --init-groups env HOME=/home/ann {command}"
    )
}

/// Has busybox take the place of cronie.
fn with_busybox(debian: &Debian) {
    debian
        .printed("for name in crontab crond; do ln -s /usr/bin/busybox /usr/local/bin/$name; done");
}

#[test]
fn the_example_is_a_crontab_of_cronie() {
    let debian = debian();
    let example = include_str!("../../../crontab.example");
    for text in [example, &uncommented(example)] {
        debian.write("/tmp/new", text);
        // It says on standard error that there is nothing wrong.
        debian.shell("crontab -T /tmp/new").success().stderr_contains("No syntax issues");
        debian.printed("crontab /tmp/new");
        assert_eq!(debian.printed("crontab -l"), text);
    }
    debian.write("/tmp/new", "61 2 * * * true\n");
    debian.shell("crontab -T /tmp/new").exits(1).stderr_contains("bad minute");
}

/// The lines of the example's jobs, at every minute, and nothing else: without a line that sets a variable.
fn copied_lines() -> String {
    let lines = include_str!("../../../crontab.example").lines();
    let jobs = lines.filter(|line| line.contains(" nice -n ") && !line.starts_with('#'));
    let commands = jobs.map(|line| line.split_once("nice -n ").unwrap().1);
    commands.map(|command| format!("* * * * * nice -n {command}\n")).collect()
}

/// A host with the program and a configuration where `scripts/install.sh --system` puts them.
fn fresh_host() -> Debian {
    let debian = Debian::with_taskmon();
    let database = "language = \"en\"\n[database]\nurl = \"sqlite:tasks.db\"\n";
    debian.write("/etc/taskmon/taskmon.toml", database);
    let env = TestEnv::sqlite();
    std::fs::copy(env.path("tasks.db"), debian.path("/etc/taskmon/tasks.db")).unwrap();
    debian
}

#[test]
fn lines_that_are_copied_from_the_example_work_by_themselves() {
    let debian = fresh_host();
    debian.write("/tmp/new", &copied_lines());
    debian.printed("crontab /tmp/new");
    let records = "/etc/taskmon/logs/taskmon_runs.jsonl";
    let script = format!(
        "crond -n > /tmp/crond.log 2>&1 &
         for try in $(seq 750); do [ \"$(cat {records} 2>/dev/null | wc -l)\" -ge 4 ] && break; sleep 0.1; done
         taskmon check -v --output text"
    );
    let check = debian.shell(&script).run();
    check.stderr();
    check
        .stdout_contains("✓ cron ")
        .stdout_contains("cron is running; 4 jobs are installed, next ");
    for (number, name) in [
        "generate-daily-statistics",
        "cleanup-expired-tasks",
        "disk-space-check",
        "check-live-alerts",
    ]
    .iter()
    .enumerate()
    {
        let known = format!("{name} is written by hand (crontab:{}), next ", number + 1);
        check.stdout_contains(&known);
    }
    let runs: Vec<Value> =
        debian.read(records).lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    for job in ["stats", "cleanup", "disk", "alert"] {
        let run = runs.iter().find(|run| run["job"] == job);
        let run = run.unwrap_or_else(|| panic!("{job}: {runs:#?}"));
        assert!(matches!(run["exit_code"].as_u64(), Some(0 | 1 | 4)), "{run:#}");
    }
}

/// Containers have the host's file in place of the link that names a zone; cron goes by the file.
#[test]
fn jobs_are_due_in_the_zone_of_a_copied_localtime() {
    let debian = debian();
    let zone = "/usr/share/zoneinfo/Asia/Shanghai";
    std::fs::create_dir_all(debian.path("/usr/share/zoneinfo/Asia")).unwrap();
    let _ = std::fs::remove_file(debian.path("/etc/localtime"));
    std::fs::copy(zone, debian.path("/etc/localtime")).unwrap();
    debian.printed("rm -f /etc/timezone");
    let status = debian.shell(&as_ann("taskmon schedule status")).success().json();
    assert!(status["notes"][0].as_str().unwrap().contains("no IANA name"), "{status:#}");
    std::fs::copy(zone, debian.path(zone)).unwrap();
    debian.write("/etc/timezone", "Etc/UTC\n");
    let status = debian.shell(&as_ann("taskmon schedule status")).success().json();
    assert_eq!(status["timezone"], "Asia/Shanghai", "{status:#}");
    assert_eq!(status["notes"], json!([]));
    assert!(status["jobs"][0]["next_run"].as_str().unwrap().ends_with("+08:00"), "{status:#}");
}

/// The C library, by which cron goes, knows that file alone.
#[test]
fn without_localtime_days_are_counted_by_the_named_zone_and_jobs_are_due_in_utc() {
    let debian = debian();
    debian.write(
        &format!("{ODD}/taskmon.toml"),
        "language = \"en\"\n[[schedule.jobs]]\nname = \"disks\"\ncron = \"15 * * * *\"\ncommand = \"disk\"\n",
    );
    debian.write("/etc/timezone", "Asia/Tokyo\n");
    // The link leads nowhere: there are no zones' files here.
    for (localtime, zone) in [
        ("rm -f /etc/localtime", "Asia/Tokyo"),
        ("ln -s /usr/share/zoneinfo/Asia/Seoul /etc/localtime", "Asia/Seoul"),
    ] {
        debian.printed(localtime);
        assert_eq!(debian.printed("date +%z"), "+0000\n");
        let config = debian.shell(&as_ann("taskmon config")).success().json();
        assert_eq!(config["timezone"], zone, "{config:#}");
        let check = debian.shell(&as_ann("taskmon check")).run();
        check.stdout_contains(&format!(
            "cron goes by the system's zone, UTC; days are counted in {zone}"
        ));
        let status = debian.shell(&as_ann("taskmon schedule status")).success().json();
        assert_eq!(status["timezone"], "UTC", "{status:#}");
        let next = status["jobs"][0]["next_run"].as_str().unwrap();
        assert!(next.ends_with("+00:00"), "{status:#}");
    }
}

#[test]
fn cronie_takes_what_is_installed_and_has_the_other_lines_back_to_the_byte() {
    let debian = debian();
    for text in [
        "",
        "MAILTO=ann\n# mine\n\n5 4 * * * /bin/true\n",
        "5 4 * * * /bin/true\r\n# \\r is not one\n",
        "CRON_TZ=Asia/Tokyo\n5 4 * * * printf 'a\\r' # 中文\n\n",
    ] {
        debian.write("/tmp/new", text);
        if !text.is_empty() {
            debian.printed("crontab -u ann /tmp/new");
        }
        let installed = debian.shell(&as_ann("taskmon schedule install")).success();
        let block = installed.json()["block"].as_str().unwrap().to_owned();
        if text.contains("CRON_TZ") {
            installed.stderr_contains("CRON_TZ is set to Asia/Tokyo");
        } else {
            assert_eq!(installed.stderr(), "");
        }
        debian.printed(&as_ann("crontab -l > /home/ann/installed"));
        assert_eq!(debian.read("/home/ann/installed"), format!("{text}{block}"));
        debian
            .shell("crontab -T /home/ann/installed")
            .success()
            .stderr_contains("No syntax issues");
        let again = debian.shell(&as_ann("taskmon -q schedule install")).success().json();
        assert_eq!(again["changed"], false);
        debian.shell(&as_ann("taskmon schedule remove")).success().json();
        if text.is_empty() {
            debian.shell("crontab -u ann -l").exits(1).stderr_contains("no crontab for ann");
        } else {
            assert_eq!(debian.printed("crontab -u ann -l"), text);
        }
    }
}

#[test]
fn cronie_runs_what_is_installed() {
    let debian = debian();
    debian.shell(&as_ann("taskmon schedule install")).success().json();
    runs(&debian, "crond -n");
}

#[test]
fn busybox_takes_and_runs_what_is_installed() {
    let debian = debian();
    with_busybox(&debian);
    // Only root may: the program is not setuid here.
    let install = "taskmon schedule install --user ann -c /home/ann/it*/taskmon.toml";
    let installed = debian.shell(install).success().json();
    assert_eq!(installed["changed"], true);
    assert_eq!(debian.shell(install).success().json()["changed"], false);
    assert_eq!(debian.printed("crontab -u ann -l"), installed["block"].as_str().unwrap());
    runs(&debian, "crond -f");
    let removed = debian.shell(&install.replace("install", "remove")).success().json();
    assert_eq!(removed["changed"], true);
    assert!(!debian.path("/var/spool/cron/crontabs/ann").exists());
}

/// The daemon runs the job of `ann` when the next minute begins.
#[track_caller]
fn runs(debian: &Debian, daemon: &str) {
    let records = format!("{ODD}/logs/taskmon_runs.jsonl");
    let quoted = records.replace('\'', r"'\''");
    let status = as_ann("taskmon schedule status");
    let script = format!(
        "{daemon} > /tmp/crond.log 2>&1 &
         for try in $(seq 750); do [ -s '{quoted}' ] && break; sleep 0.1; done
         {status}"
    );
    // busybox's crontab is root's alone, and what ann has installed is then not known to her.
    let finished = debian.shell(&script).success();
    finished.stderr();
    let status = finished.json();
    let log = debian.read("/tmp/crond.log");
    assert_eq!(status["cron_running"], true, "{status:#}\n{log}");
    let last = &status["jobs"][0]["last_run"];
    assert_eq!(last["exit_code"], 0, "{status:#}\n{log}");
    let record: Value =
        serde_json::from_str(debian.read(&records).lines().next().unwrap()).unwrap();
    assert_eq!(record["arguments"], json!(["disk", ".", "--warning", "99", "--critical", "100"]));
    let start = chrono::DateTime::parse_from_rfc3339(last["start"].as_str().unwrap()).unwrap();
    assert!(start.timestamp() % 60 < 30, "{start}");
    assert_eq!(debian.printed(&format!("stat -c %U '{quoted}'")), "ann\n");
    assert!(debian.path(BINARY).exists());
}
