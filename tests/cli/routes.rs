//! The whole suite of the store on other ways to the server: through PgBouncer, through what forbids SET, from a hot standby.

use crate::cli::capabilities::FORBIDS_SET;
use crate::cli::pooler::Pooler;
use crate::support::env::{ROUTE, TestEnv, plain_port};
use crate::support::rewriter::Rewriter;
use std::process::Command;

/// Cases that are about the way to the server themselves.
const OF_THEIR_OWN_WAY: [&str; 4] =
    ["store::connect", "store::frozen", "store::limits", "on_sqlite"];

/// Runs the suite's cases again, at least so many of them, with the server behind this port.
fn run_suite(port: u16, least: usize, skipped: &[&str]) {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.arg("store::").env(ROUTE, port.to_string()).env("RUST_TEST_THREADS", "2");
    for name in OF_THEIR_OWN_WAY.iter().chain(skipped) {
        command.args(["--skip", name]);
    }
    let output = command.output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{said}");
    let passed = said.rsplit_once(" passed").and_then(|(before, _)| before.rsplit_once(' '));
    let passed: usize = passed.unwrap().1.parse().unwrap();
    assert!(passed >= least, "{passed} cases ran");
}

#[test]
fn through_a_pooler_between_sessions() {
    let env = TestEnv::new();
    run_suite(Pooler::start(&env, "session", 20).port, 70, &[]);
}

#[test]
fn through_a_pooler_between_transactions() {
    let env = TestEnv::new();
    run_suite(Pooler::start(&env, "transaction", 20).port, 70, &[]);
}

#[test]
fn through_what_forbids_settings() {
    run_suite(Rewriter::new(FORBIDS_SET).port, 70, &[]);
}

/// What deletes cannot be had there, nor what a test writes while a store is open: it arrives later.
#[test]
fn from_a_hot_standby() {
    run_suite(plain_port(), 60, &["store::prune", "sees_what_was_written_between"]);
}
