//! What tests share: an environment for each, rows, certificates, and servers that record what they are sent.

pub mod certificates;
pub mod databases;
pub mod env;
pub mod finished;
pub mod injector;
pub mod proxy;
pub mod rewriter;
pub mod rows;
pub mod run;
pub mod server;

use std::time::{Duration, Instant};

/// Polls until it is so, and fails after two minutes: a busy machine takes its time.
#[track_caller]
pub fn wait_until(what: &str, mut so: impl FnMut() -> bool) {
    let start = Instant::now();
    while !so() {
        assert!(start.elapsed() < Duration::from_secs(120), "in vain: {what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// A time zone by its name.
pub fn zone(name: &str) -> taskmon::timezone::Tz {
    name.parse().unwrap()
}
