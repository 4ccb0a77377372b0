//! taskmon as its users run it: the binary, a folder, a database, and what comes out.
//!
//! The databases are those of `scripts/test.sh`; without them these tests fail, they never skip.

mod alert;
mod broker;
pub mod capabilities;
mod check;
mod chinese;
pub mod cleanup;
mod config;
mod debian;
mod defect;
mod demo;
mod disk;
mod encodings;
mod errors;
mod files;
mod foreign_schema;
mod hardening;
mod heartbeat;
mod help;
mod init;
mod libraries;
mod lock;
mod log_file;
mod logs;
mod manual;
mod mapping;
mod nagios;
mod package;
pub mod pooler;
mod postgres;
mod presets;
mod printable;
mod reference;
mod routes;
mod schedule;
mod scripts;
mod snapshot;
mod stats;
mod terminal;
mod textfile;
mod time;
mod volumes;
