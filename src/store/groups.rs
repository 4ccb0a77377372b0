//! Figures of tasks that have their queue or their name in common.

use super::Percentiles;
use crate::mapping::Field;
use chrono::{DateTime, Utc};
use std::cmp::Reverse;

/// How many queues, and how many names, are listed each; the tasks of all others are counted together.
pub const MOST_GROUPS: usize = 50;

/// What tasks are grouped by.
pub const GROUPED_BY: [Field; 2] = [Field::Queue, Field::Name];

/// Queues and names that are listed before others, however few tasks they have.
#[derive(Debug, Default, Clone, PartialEq)]
pub struct ListedFirst {
    pub queues: Vec<String>,
    pub names: Vec<String>,
}

impl ListedFirst {
    /// Those of one of [`GROUPED_BY`].
    pub fn of(&self, field: Field) -> &Vec<String> {
        if field == Field::Queue { &self.queues } else { &self.names }
    }
}

/// The same figures by queue and by name. `None`: the table has no column for it.
#[derive(Debug, Clone, PartialEq)]
pub struct Grouped<T> {
    pub queues: Option<Groups<T>>,
    pub names: Option<Groups<T>>,
}

// A derived one would want a default of the figures.
impl<T> Default for Grouped<T> {
    fn default() -> Self {
        Self { queues: None, names: None }
    }
}

impl<T> Grouped<T> {
    /// Those of one of [`GROUPED_BY`].
    pub fn of(&mut self, field: Field) -> &mut Option<Groups<T>> {
        if field == Field::Queue { &mut self.queues } else { &mut self.names }
    }
}

#[derive(Debug, Clone, PartialEq)]
pub struct Groups<T> {
    /// At most [`MOST_GROUPS`]. `None`: tasks without a queue, or a name.
    pub listed: Vec<(Option<String>, T)>,
    /// All the others.
    pub other: Option<T>,
}

impl<T> Default for Groups<T> {
    fn default() -> Self {
        Self { listed: Vec::new(), other: None }
    }
}

impl<T> Groups<T> {
    /// The largest first, ties by label.
    pub fn sort(&mut self, size: impl Fn(&T) -> u64) {
        self.listed.sort_by(|(label, one), (other, next)| {
            (Reverse(size(one)), label).cmp(&(Reverse(size(next)), other))
        });
    }
}

/// The tasks of a day.
#[derive(Debug, Default, Clone, PartialEq)]
pub struct DayGroup {
    pub tasks: u64,
    pub failed: u64,
    /// Of the waits before their start.
    pub waiting: Option<Percentiles>,
    pub processing: Option<Percentiles>,
    /// Since when the oldest of them that is not final waits or is processed: its creation, or when it was due if that is later. Scheduled
    /// tasks do not wait.
    pub oldest_open: Option<DateTime<Utc>>,
}

/// The open tasks.
#[derive(Debug, Default, Clone, PartialEq)]
pub struct OpenGroup {
    /// Those that are due.
    pub pending: u64,
    /// Those of the pending ones that have waited for longer than asked for.
    pub older: u64,
    /// Since when the oldest of the pending ones waits.
    pub oldest: Option<DateTime<Utc>>,
    pub processing: u64,
    /// As [`super::DayFigures::scheduled`].
    pub scheduled: Option<u64>,
}
