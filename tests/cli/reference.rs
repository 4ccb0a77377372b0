//! Every figure of a report against `tests/reference/report.py`, and what a cleanup leaves against `cleanup.py`; they share no code with taskmon.

use crate::support::env::{TestEnv, variable};

const ROOT: &str = env!("CARGO_MANIFEST_DIR");

#[test]
fn an_independent_calculation_comes_to_the_same_figures() {
    let env = TestEnv::new();
    let finished = env
        .program(
            format!("{ROOT}/scripts/verify.sh"),
            ["--tasks", "30000", "--binary", env!("CARGO_BIN_EXE_taskmon")],
        )
        .env("TASKMON_TEST_PG_PORT", variable("TASKMON_TEST_PG_PORT"))
        .success();
    finished.stdout_contains("all figures agree");
    finished.stderr();
}

#[test]
fn an_independent_calculation_comes_to_the_same_cleanup() {
    let env = TestEnv::new();
    let finished = env
        .program(
            format!("{ROOT}/scripts/verify_cleanup.sh"),
            ["6000", env!("CARGO_BIN_EXE_taskmon")],
        )
        .env("TASKMON_TEST_PG_PORT", variable("TASKMON_TEST_PG_PORT"))
        .success();
    finished.stdout_contains("cleanup agrees");
    finished.stdout_contains("the dry run said the same");
    finished.stderr();
}

/// A comparison that cannot fail proves nothing.
#[test]
fn the_independent_calculation_notices_every_changed_figure() {
    let env = TestEnv::new();
    let finished = env
        .program("python3", [format!("{ROOT}/tests/reference/report.py"), "--self-test".into()])
        .success();
    finished.stdout_contains("every change was noticed");
}
