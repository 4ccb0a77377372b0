//! taskmon cleans up, reports on and watches job tables in PostgreSQL and SQLite.
//!
//! One process does one job and ends:
//!
//! ```text
//! arguments + environment + file → Config → Store → a report (plain data) → rendered → printed, saved
//! ```
//!
//! # Who may import whom
//!
//! `tests/architecture.rs` holds these rules.
//!
//! - `main → run → everything`. Nobody but `run` imports `cli`, which takes from the features what options name; `config` composes the
//!   features' settings, and nobody but `run` imports it.
//! - Features (`cleanup`, `stats`, `live`, `rules`, `notify`, `channels`, `check`, `schedule`, `demo`) import `mapping`, the `Store` and
//!   `Pruner` traits, `system` and the ground floor, and not each other, save: `rules` reads reports, `notify` sends what `rules` found
//!   through `channels`, `check` judges what the others know (of the databases, the disks, the broker and the installed jobs).
//! - No SQL outside `store/`.
//! - `report` imports the report structs only, and the settings that say what a figure is held against; `manual` nothing but words.
//! - The ground floor (`alert`, `outcome`, `units`, `calendar`, `timezone`, `language`, `lock`, `secret`, `values`, `job`, `files`, `folder`, `host`,
//!   `deadline`, `printable`, `stream`, `tls`) imports nothing of taskmon but itself.
//! - Time is a parameter: `now` is read once in `run` and handed down.

// A test may panic.
#![cfg_attr(test, allow(clippy::arithmetic_side_effects))]

pub mod alert;
pub mod calendar;
pub mod channels;
pub mod check;
pub mod cleanup;
pub mod cli;
pub mod config;
pub mod deadline;
pub mod demo;
pub mod detect;
pub mod files;
pub mod folder;
pub mod host;
pub mod job;
pub mod language;
pub mod live;
pub mod lock;
pub mod manual;
pub mod mapping;
pub mod notify;
pub mod outcome;
pub mod printable;
pub mod report;
pub mod rules;
pub mod run;
pub mod schedule;
pub mod secret;
pub mod stats;
pub mod store;
pub mod stream;
pub mod system;
pub mod timezone;
pub mod tls;
pub mod units;
pub mod values;
