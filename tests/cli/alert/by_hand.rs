//! A run by hand notifies nobody: whoever runs it sees what comes of it.

use super::*;
use crate::support::rows::DAY;
use crate::support::run::Run;
use crate::support::server::{ok, status};

/// A run in the foreground of a terminal; its standard error is on the terminal too.
fn on_terminal<'e>(env: &'e TestEnv, command: &str) -> Run<'e> {
    env.program("script", ["-qec", command, "/dev/null"])
}

/// A full disk, a channel, and heartbeats.
fn full(env: &TestEnv) -> (Server, Server) {
    let (channel, monitor) = (Server::plain(vec![status(200)]), Server::plain(vec![ok("OK")]));
    let beats = ["disk", "stats", "alert", "cleanup"];
    let beats = beats.map(|job| format!("{job} = \"{}\"\n", monitor.url("/ping")));
    let config = format!("{}[heartbeat]\n{}", webhook(&channel), beats.concat());
    configure(env, &config);
    let config = env.read("taskmon.toml").replace("warning_percent = 100", "warning_percent = 0");
    env.write("taskmon.toml", &config);
    (channel, monitor)
}

fn assert_nothing_left(env: &TestEnv, command: &str) {
    for path in ["reports/alerts", "logs/warning_alerts.log", "logs/error_alerts.log"] {
        assert!(!env.path(path).exists(), "{command} left {path}: {}", env.tree());
    }
}

#[test]
fn on_a_terminal_nobody_is_notified_without_alert() {
    let env = TestEnv::sqlite();
    let (channel, monitor) = full(&env);
    for command in ["taskmon disk", "taskmon alert", "taskmon stats | jq .alerts"] {
        let shown = on_terminal(&env, command).success();
        shown.stdout_contains(
            "a run by hand (on a terminal), which notifies nobody without --alert",
        );
        assert_nothing_left(&env, command);
    }
    // Nor of a failure, and nobody is notified later that it is resolved.
    for job in ["stats", "cleanup"] {
        let failing = format!("TASKMON_DATABASE_URL=sqlite:gone.db taskmon {job} -v");
        on_terminal(&env, &failing).exits(3).stdout_contains("which notifies nobody");
    }
    assert_nothing_left(&env, "a failure");
    assert_eq!((channel.requests().len(), monitor.requests().len()), (0, 0));
    on_terminal(&env, "taskmon disk --alert").success().stdout();
    assert_eq!(notified(&channel), [["disk_space_warning"]]);
    assert_eq!(monitor.requests().len(), 2);
}

/// As what `crond` starts in a container that was given a terminal.
#[test]
fn a_terminal_in_whose_background_a_job_runs_makes_it_no_run_by_hand() {
    let env = TestEnv::sqlite();
    let (channel, monitor) = full(&env);
    on_terminal(&env, "set -m; taskmon disk & wait $!").success().stdout();
    assert_eq!(notified(&channel), [["disk_space_warning"]]);
    assert_eq!(monitor.requests().len(), 2);
}

#[test]
fn options_that_cron_does_not_have_make_a_run_by_hand() {
    let env = TestEnv::sqlite();
    let (channel, monitor) = full(&env);
    let url = env.url();
    for (words, option) in [
        (vec!["disk", "--warning", "1"], "--warning"),
        (vec!["disk", "--critical", "99"], "--critical"),
        (vec!["disk", "--database-url", &url], "--database-url"),
        (vec!["alert", "--database-url", &url], "--database-url"),
        (vec!["cleanup", "--only", "temp", "--database-url", &url], "--database-url"),
        (vec!["stats", "--no-save"], "--no-save"),
        (vec!["stats", "--date", DAY], "--date"),
    ] {
        let finished = env.taskmon(words).arg("-v").run();
        finished.stderr_contains(&format!("it is a run by hand (with {option})"));
        finished.json();
        assert_nothing_left(&env, option);
    }
    assert_eq!((channel.requests().len(), monitor.requests().len()), (0, 0));
    for (words, expected) in [
        (vec!["disk", "--warning", "0"], "disk_space_warning"),
        (vec!["stats", "--no-save"], "no_tasks"),
    ] {
        let finished = env.taskmon(words).arg("--alert").success();
        finished.stderr();
        finished.json();
        assert_eq!(notified(&channel).pop().unwrap(), [expected]);
    }
}

/// Whatever its options are; but not on a terminal.
#[test]
fn the_command_of_a_scheduled_job_is_no_run_by_hand() {
    let env = TestEnv::sqlite();
    let (channel, monitor) = full(&env);
    let config = env.read("taskmon.toml");
    let job =
        "[[schedule.jobs]]\nname = 'disks'\ncron = '5 * * * *'\ncommand = 'disk / --warning 0'\n";
    env.write("taskmon.toml", &format!("{config}\n{job}"));
    on_terminal(&env, "taskmon disk / --warning 0").success().stdout();
    assert_eq!(channel.requests().len(), 0);
    let finished = env.taskmon(["disk", "/", "--warning", "0", "-q"]).success();
    finished.json();
    finished.stderr();
    assert_eq!((channel.requests().len(), monitor.requests().len()), (1, 2));
}

#[test]
fn alert_and_no_alert_are_not_given_together() {
    let env = TestEnv::sqlite();
    for job in ["cleanup", "stats", "disk"] {
        let refused = env.taskmon([job, "--alert", "--no-alert"]).exits(2);
        refused.stderr_contains("'--alert' cannot be used with '--no-alert'");
    }
}
