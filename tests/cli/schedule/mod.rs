//! The cron side, with the `crontab` program, the cron and the systemd of the system that the tests run on.
//!
//! No test touches the crontabs of this host: each has a spool of its own, mounted over the system's in a mount namespace. That takes root; without it
//! these tests fail, they never skip.

mod across_hosts;
mod by_hand;
mod check;
mod crontab;
mod environment;
mod install;
mod logs;
mod missed;
mod other_crons;
mod records;
mod status;
mod systemd;

use crate::support::env::{TestEnv, lock_tasks};
use crate::support::finished::Finished;
use crate::support::rows::{DAY, long_ago};
use crate::support::run::Run;
use crate::support::wait_until;
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use taskmon::store::advisory::Attempt;
use taskmon::store::open;
use taskmon::store::target::{Target, UrlContext};

/// Where cron keeps crontabs: Debian and busybox, or cronie as Fedora has it.
fn spool() -> &'static str {
    let debian = "/var/spool/cron/crontabs";
    if Path::new(debian).is_dir() { debian } else { "/var/spool/cron" }
}

/// A configuration, and an empty spool.
pub fn environment() -> TestEnv {
    assert!(
        rustix::process::geteuid().is_root(),
        "these tests mount a spool of their own over the system's, which takes root"
    );
    let env = TestEnv::sqlite();
    std::fs::create_dir(env.path("spool")).unwrap();
    let copy = format!("chown --reference={0} spool && chmod --reference={0} spool", spool());
    env.program("sh", ["-c", &copy]).success();
    env
}

/// A program with the test's spool in place of the system's.
pub fn isolated<'e>(env: &'e TestEnv, words: &[&str]) -> Run<'e> {
    let mount = format!("mount --bind \"$SPOOL\" {} && exec \"$@\"", spool());
    let mut all = vec!["--mount", "sh", "-c", &mount, "sh"];
    all.extend(words);
    env.program("unshare", all).env("SPOOL", env.path("spool"))
}

fn schedule<'e>(env: &'e TestEnv, words: &[&str]) -> Run<'e> {
    let mut all = vec!["taskmon", "schedule"];
    all.extend(words);
    isolated(env, &all)
}

/// The crontab as it is: an editor is given the file, where `crontab -l` of Debian shows a carriage return as `\\r`.
fn crontab(env: &TestEnv) -> String {
    isolated(env, &["crontab", "-l"]).success().stdout();
    let finished = isolated(env, &["crontab", "-e"]).env("EDITOR", "cat").success();
    finished.stderr();
    finished.stdout().to_owned()
}

fn no_crontab(env: &TestEnv) {
    let finished = isolated(env, &["crontab", "-l"]).exits(1);
    finished.stderr();
}

/// Puts a crontab in, as a user does.
fn put(env: &TestEnv, text: &str) {
    env.write("new.crontab", text);
    isolated(env, &["crontab", "new.crontab"]).success();
}

fn binary() -> &'static str {
    env!("CARGO_BIN_EXE_taskmon")
}

fn add_jobs(env: &TestEnv, jobs: &[(&str, &str, &str, &str)]) {
    let mut text = env.read("taskmon.toml");
    for (name, cron, command, queue) in jobs {
        text += &format!(
            "\n[[schedule.jobs]]\nname = {name:?}\ncron = {cron:?}\ncommand = {command:?}\nqueue = {queue:?}\n"
        );
    }
    env.write("taskmon.toml", &text);
}

/// The lines that are commands.
fn commands(crontab: &str) -> Vec<&str> {
    let lines = crontab.lines();
    lines.filter(|line| !line.starts_with('#')).collect()
}

/// The example with the lines in force that are only shown in it.
pub fn uncommented(example: &str) -> String {
    let line = |line: &str| match line.strip_prefix("# ") {
        Some(rest)
            if rest.contains(" nice -n ")
                || rest.starts_with("MAILTO=")
                || rest.starts_with("CRON_TZ=") =>
        {
            format!("{rest}\n")
        }
        _ => format!("{line}\n"),
    };
    example.lines().map(line).collect()
}

/// What `systemctl --user enable` does to the timers.
fn enable(env: &TestEnv) {
    let script = "cd home/.config/systemd/user && mkdir timers.target.wants && cd timers.target.wants && ln -s ../taskmon-*.timer .";
    env.program("sh", ["-c", script]).success();
}

/// One of the checks, with the test's spool.
fn checked(env: &TestEnv, name: &str) -> Value {
    let result = isolated(env, &["taskmon", "check"]).run().json();
    let mut checks = result["checks"].as_array().unwrap().iter();
    checks.find(|check| check["name"] == name).unwrap().clone()
}

fn records(env: &TestEnv) -> Vec<Value> {
    let text = env.read("logs/taskmon_runs.jsonl");
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// The lock of a job across hosts, as another host's run holds it: its number is the same for every version of taskmon.
pub fn hold<'c>(
    client: &'c mut postgres::Client,
    env: &TestEnv,
    job: &str,
) -> postgres::Transaction<'c> {
    let named = format!("taskmon\n{job}\n{}", env.path("taskmon.toml").display());
    let mut held = client.transaction().unwrap();
    let number = "SELECT pg_try_advisory_xact_lock(('x' || left(encode(sha256(convert_to($1, 'UTF8')), 'hex'), 16))::bit(64)::bigint)";
    let row = held.query_one(number, &[&named]).unwrap();
    assert!(row.get::<_, bool>(0), "{job}: somebody holds it");
    held
}

/// The installed crontab as if it had been installed long ago.
fn installed_long_ago(env: &TestEnv) {
    schedule(env, &["install"]).success().json();
    let text = crontab(env);
    let aged: Vec<String> = text
        .lines()
        .map(|line| match line.split_once("\"installed\":\"") {
            Some((before, _)) => {
                format!("{before}\"installed\":\"{}T00:00:00Z\"}}", &long_ago()[..10])
            }
            None => line.to_owned(),
        })
        .collect();
    put(env, &(aged.join("\n") + "\n"));
}
