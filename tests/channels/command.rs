//! Programs of the operator's own.

use super::*;
use std::fs;
use std::path::Path;
use std::time::Instant;
use tempfile::TempDir;

fn program(command: &[&str], timeout: Duration) -> Box<dyn Channel + Send> {
    let command = command.iter().map(ToString::to_string).collect();
    channel(Service::Command(service::command::Config { command }), timeout)
}

fn shell(script: &str, timeout: Duration) -> Box<dyn Channel + Send> {
    program(&["/bin/sh", "-c", script], timeout)
}

fn example() -> Notification {
    notification(Language::Zh, two_alerts())
}

/// A notification larger than a pipe takes at once.
fn large() -> Notification {
    let text = "长".repeat(100_000);
    notification(Language::Zh, vec![firing(alert("t", Severity::Error, &text))])
}

#[test]
fn a_program_gets_the_webhooks_body_and_its_arguments() {
    let folder = TempDir::new().unwrap();
    let out = folder.path().join("out file");
    let script = "cat >\"$1\"; printf %s \"$2\" >>\"$1\"; echo noise";
    let out_text = out.to_str().unwrap();
    let channel = program(&["/bin/sh", "-c", script, "name", out_text, "$(touch x) *;"], PATIENCE);
    channel.send(&example()).unwrap();
    let written = fs::read_to_string(&out).unwrap();
    let (json, argument) = written.split_at(written.rfind('}').unwrap() + 1);
    assert_eq!(argument, "$(touch x) *;");
    let json: serde_json::Value = serde_json::from_str(json).unwrap();
    assert_eq!(json["schema_version"], 1);
    assert_eq!(json["host"], "web-1");
    assert_eq!(json["time"], "2023-12-02T02:00:01+08:00");
    assert_eq!(json["alerts"], serde_json::to_value(two_alerts()).unwrap());
    assert_eq!(json.as_object().unwrap().len(), 4, "{json}");
}

#[test]
fn the_error_has_its_exit_code_and_the_end_of_its_standard_error() {
    for (script, permanent, words) in [
        (
            "echo first >&2; echo 'no\tcredit' >&2; exit 3",
            true,
            "/bin/sh ended with exit code 3: \"first no credit\"",
        ),
        ("exit 75", false, "/bin/sh ended with exit code 75"),
        ("kill -TERM $$", true, "/bin/sh was ended by signal 15"),
        (
            "yes 0123456789 | head -c 100000 >&2; printf '\\033[31mlast' >&2; exit 1",
            true,
            "0123456789\u{fffd}[31mlast\"",
        ),
    ] {
        let error = refusal(&*shell(script, PATIENCE), &example());
        assert_eq!(error.permanent, permanent, "{error}");
        assert!(error.message.contains(words), "{error}");
        assert!(error.message.len() < 500, "{error}");
    }
}

#[test]
fn a_program_that_cannot_be_started_is_named() {
    let folder = TempDir::new().unwrap();
    let plain = folder.path().join("not-executable");
    fs::write(&plain, "").unwrap();
    for name in ["/no/such/program", plain.to_str().unwrap()] {
        let error = refusal(&*program(&[name, "hunter2"], PATIENCE), &example());
        assert!(error.permanent, "{error}");
        assert!(error.message.starts_with(&format!("{name} cannot be started: ")), "{error}");
    }
    let error = refusal(&*program(&[], PATIENCE), &example());
    assert!(error.message.contains("the command is empty"), "{error}");
}

#[test]
fn a_program_that_does_not_read_its_input_has_still_succeeded() {
    for script in ["exit 0", "exec <&-; sleep 0.2", "head -c 10 >/dev/null"] {
        shell(script, PATIENCE).send(&large()).unwrap();
    }
}

#[test]
fn a_program_does_not_inherit_that_broken_pipes_are_ignored() {
    // As Rust's programs ignore them. Signal 13 is bit 12.
    let script = "mask=$(sed -n 's/^SigIgn:[[:space:]]*//p' /proc/$$/status); [ $((0x$mask & 0x1000)) -eq 0 ]";
    shell(script, PATIENCE).send(&example()).unwrap();
}

#[test]
fn a_program_is_killed_at_the_time_limit_with_everything_that_it_started() {
    let folder = TempDir::new().unwrap();
    let pids = folder.path().join("pids");
    let script = format!(
        "trap '' TERM; echo slow >&2; sleep 300 & echo $! >{0}; echo $$ >>{0}; wait",
        pids.display()
    );
    let limit = Duration::from_millis(700);
    let started = Instant::now();
    let error = refusal(&*shell(&script, limit), &large());
    let took = started.elapsed();
    assert!(took >= limit && took < limit + Duration::from_secs(3), "{took:?}");
    assert!(!error.permanent, "{error}");
    assert!(error.message.contains("did not end within 0.7 s and was killed: \"slow\""), "{error}");
    let pids = fs::read_to_string(pids).unwrap();
    assert_eq!(pids.lines().count(), 2, "{pids}");
    for pid in pids.lines() {
        assert!(ends(pid), "{pid} is still there");
    }
}

/// Whether a process is gone, or a zombie, within a while.
fn ends(pid: &str) -> bool {
    let deadline = Instant::now() + Duration::from_secs(5);
    while Instant::now() < deadline {
        let state = fs::read_to_string(Path::new("/proc").join(pid).join("stat"));
        let Ok(state) = state else { return true };
        if state.rsplit(") ").next().is_some_and(|rest| rest.starts_with('Z')) {
            return true;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    false
}

#[test]
fn a_program_is_not_waited_for_longer_because_it_leaves_a_child_behind() {
    let started = Instant::now();
    shell("sleep 30 & exit 0", PATIENCE).send(&example()).unwrap();
    let error = refusal(&*shell("echo words >&2; sleep 30 & exit 1", PATIENCE), &example());
    assert!(error.message.ends_with("exit code 1: \"words\""), "{error}");
    assert!(started.elapsed() < Duration::from_secs(10), "{:?}", started.elapsed());
}
