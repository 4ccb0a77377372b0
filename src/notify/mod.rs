//! Notifications: which channel gets which alert, how, and what came of it.
//!
//! The rules say which alerts are firing; [`decide()`](decide::decide), a pure function of that and of what the records remember, says
//! for each channel whether it is notified and why; then each channel gets its notification.

pub mod decide;
pub mod deliver;
mod lines;
pub mod log;
pub mod memory;
pub mod plan;
pub mod records;
mod settings;
pub mod silences;
pub mod summary;

pub use plan::notify;
pub use settings::{MaintenanceWindow, Settings};
pub use summary::Summary;

use crate::alert::{Alert, AlertUpdate};
use crate::language::Language;
use crate::outcome::{Issue, Severity};
use crate::rules::Origin;
use chrono::{DateTime, FixedOffset, TimeDelta};
use decide::Reason;
use memory::Phase;
use silences::Silence;
use std::collections::BTreeMap;
use std::path::Path;

/// The name under which the text logs are a channel.
pub const LOG: &str = "log";

/// Whoever is notified: a channel, as far as a decision has to know it.
#[derive(Debug, Clone, PartialEq)]
pub struct Receiver {
    /// Which it is among all channels, today and tomorrow; the records know it by this name. Not [`LOG`].
    pub name: String,
    pub min_severity: Severity,
}

/// The kind of the error that a channel failed.
pub const CHANNEL_FAILED: &str = "channel_failed";

/// The kind of the error that nothing is known of what was notified before.
pub const RECORDS_UNUSABLE: &str = "records_unusable";

/// What a run knows besides its alerts.
#[derive(Debug, Clone)]
pub struct Context<'a> {
    /// In the configured zone.
    pub now: DateTime<FixedOffset>,
    pub language: Language,
    /// What the messages call the system that is watched.
    pub name: Option<&'a str>,
    pub host: &'a str,
    /// Zero: whatever is firing is always sent.
    pub repeat_after: TimeDelta,
    /// For how long an alert whose value wavers must not be found before it is resolved.
    pub clear_after: TimeDelta,
    /// By type, for how many minutes an alert must be found before it is firing.
    pub for_minutes: &'a BTreeMap<String, u32>,
    pub receivers: &'a [Receiver],
    /// Those that hold now.
    pub silences: &'a [Silence],
    pub records_dir: &'a Path,
    pub records_days: u32,
    pub logs_dir: &'a Path,
    pub retry: Retry,
    pub mode: Mode,
}

/// Whether to send again what channels did not accept in earlier runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Retry {
    /// Runs of `alert`.
    Undelivered,
    /// `--send`, `--test`, other jobs: they send only what they found.
    Nothing,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    Deliver,
    /// Nothing is delivered or written.
    DryRun,
}

/// What a run notifies of, and why it does not notify of the rest.
#[derive(Debug)]
pub struct Plan {
    entries: Vec<Entry>,
    transitions: Vec<Transition>,
    reservation: Option<records::Reservation>,
    issues: Vec<Issue>,
    warnings: Vec<String>,
}

/// Something that is only remembered: an alert that may be firing, or resolved, if it stays like that.
#[derive(Debug, Clone, PartialEq)]
pub struct Transition {
    alert: Alert,
    origin: Origin,
    phase: Phase,
}

/// One alert of this run.
#[derive(Debug, Clone, PartialEq)]
pub struct Entry {
    update: AlertUpdate,
    origin: Origin,
    /// By channel.
    decisions: BTreeMap<String, Reason>,
}

impl Plan {
    /// The alerts that a channel is notified of, in order.
    fn entries_for(&self, channel: &str) -> impl Iterator<Item = &Entry> {
        self.entries.iter().filter(move |entry| entry.is_notified(channel))
    }
}

impl Entry {
    fn is_notified(&self, channel: &str) -> bool {
        self.decisions.get(channel).is_some_and(|reason| reason.notifies())
    }
}
