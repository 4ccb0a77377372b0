//! What the program is built with against whoever finds a flaw in the C code that it carries.

use crate::support::env::TestEnv;

fn readelf(words: &[&str]) -> String {
    let env = TestEnv::new();
    let program = env!("CARGO_BIN_EXE_taskmon");
    env.program("readelf", words).arg(program).success().stdout().to_owned()
}

#[test]
fn the_c_code_checks_its_stack_and_its_buffers() {
    let symbols = readelf(&["-W", "--dyn-syms"]);
    let is_used = |fits: &dyn Fn(&str) -> bool| {
        let names = symbols.lines().filter_map(|line| line.split_whitespace().nth(7));
        names.map(|name| name.split('@').next().unwrap()).any(fits)
    };
    assert!(is_used(&|name| name == "__stack_chk_fail"), "no stack protector: {symbols}");
    let is_fortified = |name: &str| name.starts_with("__") && name.ends_with("_chk");
    assert!(is_used(&is_fortified), "no fortified call: {symbols}");
}

#[test]
fn the_program_lies_at_random_addresses_and_nothing_of_it_is_both_written_and_run() {
    let shown = readelf(&["-W", "-h", "-l", "-d"]);
    for wanted in ["DYN (Position-Independent", "GNU_RELRO", "BIND_NOW"] {
        assert!(shown.contains(wanted), "{wanted}: {shown}");
    }
    let stack = shown.lines().find(|line| line.contains("GNU_STACK")).unwrap();
    assert!(stack.contains(" RW "), "{stack}");
    assert!(!shown.contains(" RWE "), "{shown}");
}
