//! The logs for people, as they are watched and rotated: with the real `tail` and the real `logrotate`, by the rules that the package brings.

use crate::support::env::TestEnv;
use crate::support::run::Run;
use crate::support::wait_until;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::process::{Child, Stdio};

const LOG: &str = "logs/warning_alerts.log";

/// `tail` in the test's folder, what it prints going to a file; it ends with the guard.
struct Tail(Child);

impl Tail {
    fn start(env: &TestEnv, arguments: &[&str], output: &str) -> Self {
        let file = std::fs::File::create(env.path(output)).unwrap();
        let mut command = env.program("tail", arguments.to_vec()).command();
        // It reports rotations there.
        command.stdin(Stdio::null()).stdout(file).stderr(Stdio::null());
        Self(command.spawn().unwrap())
    }
}

impl Drop for Tail {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Sends alerts with these messages, each of a type of its own.
fn send<'e>(env: &'e TestEnv, messages: &[String]) -> Run<'e> {
    let alerts: Vec<Value> = messages
        .iter()
        .map(|message| json!({"type": message, "message": message, "severity": "warning"}))
        .collect();
    env.taskmon(["-qq", "--no-lock", "alert", "--send", "-"]).input(json!(alerts).to_string())
}

fn warn(env: &TestEnv, message: &str) {
    let sent = send(env, &[message.to_owned()]).success().json();
    assert_eq!(sent["alerts_sent"], 1, "{sent}");
}

/// What the package rotates by, for the logs of the test.
fn rules(env: &TestEnv, more: &str) {
    let rules = include_str!("../../scripts/deb/logrotate")
        .replace("/var/log/taskmon", &env.path("logs").display().to_string())
        .replace("taskmon adm", "root root")
        .replace("}\n", &format!("{more}}}\n"));
    env.write("logrotate.conf", &rules);
}

fn logrotate(env: &TestEnv) -> Run<'_> {
    let words = ["--force", "--state", "rotated", "logrotate.conf"];
    env.program("logrotate", words)
}

fn rotate(env: &TestEnv) {
    logrotate(env).success();
}

/// The messages of the lines `TIME - WARNING - MESSAGE`; any other line fails the test.
fn messages(text: &str) -> Vec<String> {
    let message = |line: &str| {
        let (time, rest) =
            line.split_once(" - WARNING - ").unwrap_or_else(|| panic!("torn: {line}"));
        assert!(chrono::DateTime::parse_from_rfc3339(time).is_ok(), "torn: {line}");
        rest.to_owned()
    };
    text.lines().map(message).collect()
}

#[test]
fn tail_shows_each_warning_once_across_rotations() {
    let env = TestEnv::sqlite();
    warn(&env, "first");
    rules(&env, "");
    let _by_name = Tail::start(&env, &["-n", "+1", "-F", LOG], "by-name");
    let _by_file = Tail::start(&env, &["-n", "+1", "-f", LOG], "by-file");
    let seen = |output: &str, expected: &[&str]| {
        wait_until(&format!("tail shows {expected:?}"), || messages(&env.read(output)) == expected);
    };
    seen("by-name", &["first"]);
    warn(&env, "second");
    seen("by-name", &["first", "second"]);
    seen("by-file", &["first", "second"]);
    // Renamed and made anew, twice: `tail -f` stays with the file that it has, as with any log.
    rotate(&env);
    warn(&env, "third");
    seen("by-name", &["first", "second", "third"]);
    rotate(&env);
    assert_eq!(env.read(LOG), "");
    warn(&env, "fourth");
    seen("by-name", &["first", "second", "third", "fourth"]);
    assert_eq!(messages(&env.read(format!("{LOG}.1"))), ["third"]);
    assert!(env.path(format!("{LOG}.2.gz")).is_file(), "{}", env.tree());
    seen("by-file", &["first", "second"]);
}

#[test]
fn tail_shows_warnings_after_the_log_is_copied_and_truncated() {
    let env = TestEnv::sqlite();
    warn(&env, "first");
    rules(&env, "    copytruncate\n");
    let _tail = Tail::start(&env, &["-n", "+1", "-f", LOG], "seen");
    let seen = |expected: &[&str]| {
        wait_until(&format!("tail shows {expected:?}"), || messages(&env.read("seen")) == expected);
    };
    seen(&["first"]);
    rotate(&env);
    assert_eq!(env.read(LOG), "");
    // `tail` sees that the file is shorter before it can see that it is as long as before.
    std::thread::sleep(std::time::Duration::from_millis(1500));
    warn(&env, "second");
    seen(&["first", "second"]);
    assert_eq!(messages(&env.read(LOG)), ["second"]);
}

#[test]
fn concurrent_runs_tear_and_lose_no_line_while_the_logs_are_rotated() {
    let env = TestEnv::sqlite();
    rules(&env, "    rotate 999\n    nocompress\n");
    std::fs::create_dir(env.path("logs")).unwrap();
    let mut expected = BTreeSet::new();
    let mut running = Vec::new();
    for run in 0..6 {
        // Longer than a page.
        let message = |number: u8| format!("{run} {number} {}", "长".repeat(3000));
        let alert = |number: u8| json!({"type": format!("{run} {number}"), "message": message(number), "severity": "warning"});
        expected.extend((0..100).map(message));
        let alerts: Vec<Value> = (0..100).map(alert).collect();
        env.write(&format!("{run}.json"), &json!(alerts).to_string());
        let file = format!("@{run}.json");
        let words = ["--no-lock", "--log-file", "logs/taskmon.log", "alert", "--send", &file];
        running.push(env.taskmon(words.to_vec()).spawn());
    }
    let mut rotations = 0;
    while running.iter_mut().any(|run| !run.is_over()) {
        // It complains of a log that is there again before it has made the new one, and sets that aside.
        logrotate(&env).run().stderr();
        rotations += 1;
    }
    for run in running {
        let finished = run.wait();
        assert_eq!(finished.json()["alerts_sent"], 100);
        finished.stderr();
    }
    let of = |name: &str| -> String {
        let mut files: Vec<_> = std::fs::read_dir(env.path("logs"))
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .collect();
        files.retain(|path| path.file_name().unwrap().to_str().unwrap().starts_with(name));
        files.iter().map(|path| std::fs::read_to_string(path).unwrap()).collect()
    };
    let found = messages(&of("warning_alerts.log"));
    assert!(rotations > 2, "{rotations} rotations");
    assert_eq!(found.len(), 600, "{rotations} rotations");
    assert_eq!(found.into_iter().collect::<BTreeSet<_>>(), expected);
    let log = of("taskmon.log");
    let logged: Vec<&str> = log
        .lines()
        .filter_map(|line| line.split_once(" WARN  "))
        .map(|(_, message)| message)
        .collect();
    assert_eq!(logged.len(), 600);
    assert!(logged.iter().all(|message| expected.contains(*message)));
}

#[test]
fn times_on_standard_error_are_in_the_configured_zone() {
    let env = TestEnv::sqlite();
    let config = env.read("taskmon.toml");
    let lines = config.lines().filter(|line| !line.starts_with("timezone"));
    let config: Vec<&str> = ["timezone = 'Asia/Kolkata'"].into_iter().chain(lines).collect();
    env.write("taskmon.toml", &config.join("\n"));
    let finished = env.taskmon(["disk", "/missing"]).run();
    finished.stderr_contains("+05:30 ERROR] /missing").json();
}
