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
//! - `main → run → everything`. Below `run`, nobody imports `cli`.
//! - Features (`stats`, `cleanup`) import `tables`, `units`, `calendar`, the `Store` and `Pruner` traits and `system`, and not each other.
//! - `check` judges what the store and the disks said of themselves; `run` looks.
//! - `alert` reads the reports of `stats` and `system::disk` as the JSON that they are printed as; its channels know the notice that they send, and nothing else.
//! - `schedule` writes jobs down where cron or systemd find them and reads how they went; it imports nothing but the words.
//! - `store/postgres` and `store/sqlite` import `tables`, `units`, `calendar` and `store/sql`. No SQL stands outside `store/`.
//! - `tables`, `units`, `calendar` and `outcome` import nothing of taskmon but each other's plain types.
//! - `report` imports the report structs only.
//! - Time is a parameter: `now` is read once in `run` and handed down.

pub mod alert;
pub mod calendar;
pub mod check;
pub mod cleanup;
pub mod cli;
pub mod config;
pub mod demo;
pub mod language;
pub mod lock;
pub mod outcome;
pub mod report;
pub mod run;
pub mod schedule;
pub mod stats;
pub mod store;
pub mod system;
pub mod tables;
pub mod units;
