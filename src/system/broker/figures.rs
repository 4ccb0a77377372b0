//! A broker's figures, as plain data.

use std::collections::BTreeMap;

/// What a broker says. What it cannot say is `None`, and `reasons` says why.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Figures {
    pub source: &'static str,
    /// Whether these are all the queues that the broker knows of.
    pub is_whole: bool,
    /// Waiting messages by queue, of all priorities; `None`: not known, and `reasons` has `queues.NAME`.
    pub queues: BTreeMap<String, Option<u64>>,
    /// Deliveries that workers hold unacknowledged, by queue.
    pub unacknowledged: BTreeMap<String, u64>,
    /// Consumers by queue, where the broker knows them.
    pub consumers: Option<BTreeMap<String, u64>>,
    /// Those that are held longer than the visibility timeout.
    pub overdue: Option<u64>,
    pub active: Option<u64>,
    pub scheduled: Option<u64>,
    /// By the key of the report that is null, or by what is not there.
    pub reasons: BTreeMap<String, String>,
}
