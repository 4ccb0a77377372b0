//! What every `Store` does, whatever the database: one suite, each case run on each of them.
//!
//! A case is a function in [`on_each_database!`]; what it finds in the database is its own, made for it. `connect.rs` has the ways in, `day.rs` the figures
//! of a day, `mapping.rs` what a mapping may say and what it must not, `limits.rs` how long a database is waited for,
//! `live.rs` what is open now, `frozen.rs` a database that stops answering, `prune.rs` what is deleted. Tests of one database
//! are at the end of each file.
//!
//! The databases are those of `scripts/test.sh`; without them these tests fail, they never skip.

mod connect;
mod day;
mod frozen;
mod groups;
mod harness;
mod limits;
mod live;
mod mapping;
mod prune;
