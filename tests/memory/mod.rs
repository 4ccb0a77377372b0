//! No run takes more than 60 MB of memory, whatever lies in rows and files, and whatever brokers and web services say.

mod files;
mod postgres;
mod rows;
mod servers;

use crate::support::env::TestEnv;
use crate::support::finished::Finished;

/// In KiB, of what the process had in memory at once. A build without optimisation takes 20,000 of them for a small report.
const MOST: u64 = 60 * 1024;

/// The length of what should not be read whole.
const LONG: usize = 100_000_000;

/// Runs a program, and writes into a file how much it had in memory at once. It is started by a small process: its own highest counts to the
/// highest of what it starts.
const MEASURE: &str = "import os, sys\n\
    child = os.posix_spawn(sys.argv[2], sys.argv[2:], os.environ)\n\
    status, usage = os.wait4(child, 0)[1:]\n\
    open(sys.argv[1], 'w').write(str(usage.ru_maxrss))\n\
    sys.exit(os.waitstatus_to_exitcode(status))";

/// Runs the binary, which ends with this code and has not taken too much memory.
#[track_caller]
fn run(env: &TestEnv, code: i32, arguments: &[&str]) -> Finished {
    let words = ["-c", MEASURE, "peak", env!("CARGO_BIN_EXE_taskmon"), "-q", "-q"];
    let words = words.into_iter().chain(arguments.iter().copied());
    let finished = env.program("/usr/bin/python3", words).exits(code);
    let peak: u64 = env.read("peak").parse().unwrap();
    if peak > MOST {
        finished.fail(&format!("it had {} MB in memory", peak / 1024));
    }
    finished
}
