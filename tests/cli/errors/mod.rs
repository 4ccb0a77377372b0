//! Every way in which a run can fail: its exit code, its error document, and that it names what is at fault.

mod configuration;
mod conflict;
mod database;
mod nonsense;
mod output;
mod password;

use crate::cli::stats::DAY;
use crate::on_each_database;
use crate::support::env::{PASSWORD, PASSWORD_IN_URL, TestEnv, port, variable};
use crate::support::rows::Task;
use serde_json::Value;
use std::fs::File;
use std::net::TcpListener;
use std::time::Duration;

const STATS: [&str; 4] = ["stats", "--date", DAY, "--no-save"];
