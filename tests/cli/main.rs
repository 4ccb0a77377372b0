//! taskmon as its users run it: the binary, a folder, a database, and what comes out.
//!
//! The databases are those of `scripts/test.sh`; without them these tests fail, they never skip.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stderr)]

mod alert;
mod broker;
#[path = "../channels/certificates.rs"]
#[allow(dead_code, reason = "other tests use the rest")]
mod certificates;
mod check;
mod cleanup;
mod cleanup_corners;
mod cleanup_failures;
mod config;
mod crons;
mod debian;
mod disk;
mod env;
mod errors;
mod heartbeat;
mod libraries;
mod lock;
mod logs;
mod mapping;
mod nagios;
mod package;
mod postgres;
mod presets;
mod proxy;
mod reference;
mod rows;
mod schedule;
mod scripts;
/// The receivers of the channels' own tests.
#[path = "../channels/server.rs"]
#[allow(dead_code, reason = "other tests use the rest")]
mod server;
mod small;
mod snapshot;
mod stats;
mod textfile;
mod time;
