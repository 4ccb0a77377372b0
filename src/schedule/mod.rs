//! The jobs that cron or systemd runs: when they are due, where they are installed, how they went.
//!
//! - [`settings`]: `[schedule]` of the configuration; [`job`]: a job of it, read
//! - [`expression`], [`next`]: a cron expression, and when it is due
//! - [`crontab`]: the block in a crontab, as text; [`program`]: the `crontab` program that reads and writes it
//! - [`systemd`], [`on_calendar`]: the same jobs as timers
//! - [`installed`]: a job as it is installed, in either place; [`entry`]: one of its places
//! - [`lines`]: lines that somebody wrote by hand; [`starts`]: what their commands start; [`seen`]: since when they are known
//! - [`runs`]: the record of each run; [`missed`]: runs that should have been and were not
//! - [`report`]: the results of `schedule`
//! - [`daemon`]: whether a cron is running here

pub mod crontab;
pub mod daemon;
pub mod durations;
pub mod entry;
pub mod expression;
pub mod installed;
pub mod job;
pub mod lines;
pub mod missed;
pub mod next;
pub mod on_calendar;
pub mod program;
pub mod report;
pub mod runs;
pub mod seen;
pub mod settings;
pub mod shell;
pub mod starts;
pub mod systemd;
