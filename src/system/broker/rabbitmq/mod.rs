//! RabbitMQ by its management API: figures, and what is not known of them and why.

mod api;

use super::figures::Figures;
use super::settings::Settings;
use crate::secret::Secret;
use api::{Api, Queue};
use std::collections::{BTreeMap, BTreeSet};

/// Celery keeps tasks with a time in queues of this name, one for each power of two seconds (native delayed delivery); a prefix may precede it.
const DELAYED: &str = "celery_delayed_";

/// # Errors
/// Why the broker cannot be asked, without a password.
pub fn ask(url: &Secret, settings: &Settings) -> Result<Figures, String> {
    let api = Api::beside(url, settings.management_url.as_ref())?;
    let queues = api
        .queues(settings)
        .map_err(|why| format!("the broker at {} cannot be asked: {why}", api.place))?;
    Ok(figures(&settings.queues, queues))
}

/// `named`: the queues that the configuration names; none: all that carry tasks.
fn figures(named: &[String], all: Vec<Queue>) -> Figures {
    let (delayed, queues): (Vec<Queue>, Vec<Queue>) =
        all.into_iter().partition(|queue| is_delayed(&queue.name));
    let queues: BTreeMap<&str, &Queue> = queues
        .iter()
        .filter(|queue| carries_tasks(queue) || named.contains(&queue.name))
        .map(|queue| (queue.name.as_str(), queue))
        .collect();
    let named: BTreeSet<&str> = named.iter().map(String::as_str).collect();
    let names = if named.is_empty() { queues.keys().copied().collect() } else { named.clone() };
    let (scheduled, why_none) = scheduled(&delayed);
    let mut reasons = BTreeMap::from([(
        "active_tasks".to_owned(),
        "RabbitMQ does not know which of the tasks that workers hold have begun".to_owned(),
    )]);
    if let Some(why) = why_none {
        reasons.insert("scheduled_tasks".to_owned(), why.to_owned());
    }
    reasons.extend(missing(&named, &names, &queues));
    reasons.extend(silent(&names, &queues));
    let of = |figure: fn(&Queue) -> Option<u64>| -> BTreeMap<String, u64> {
        let known = names.iter().filter_map(|name| Some((*name, figure(queues.get(name)?)?)));
        known.map(|(name, figure)| (name.to_owned(), figure)).collect()
    };
    let ready = |name: &str| queues.get(name).and_then(|queue| queue.messages_ready);
    Figures {
        source: "rabbitmq",
        is_whole: named.is_empty() || queues.keys().all(|name| named.contains(name)),
        queues: names.iter().map(|name| ((*name).to_owned(), ready(name))).collect(),
        unacknowledged: of(|queue| queue.messages_unacknowledged),
        consumers: Some(of(|queue| Some(queue.consumers))),
        overdue: None,
        active: None,
        scheduled,
        reasons,
    }
}

/// What the delayed queues hold, or why that is not known.
fn scheduled(delayed: &[Queue]) -> (Option<u64>, Option<&'static str>) {
    if delayed.is_empty() {
        let why = "there are no delayed queues: workers hold tasks with a time themselves, among the reserved ones";
        return (None, Some(why));
    }
    let held = |queue: &Queue| Some(queue.messages_ready? + queue.messages_unacknowledged?);
    match delayed.iter().map(held).sum() {
        Some(scheduled) => (Some(scheduled), None),
        None => (None, Some("a delayed queue has not reported its figures")),
    }
}

/// The keys of a report that are null where queues are not there, or have not said what they hold.
const SUMS: [&str; 3] = ["total_pending", "reserved_tasks", "lost_tasks"];

fn missing(
    named: &BTreeSet<&str>,
    names: &BTreeSet<&str>,
    queues: &BTreeMap<&str, &Queue>,
) -> BTreeMap<String, String> {
    let missing = names.iter().filter(|name| !queues.contains_key(*name));
    let mut reasons: BTreeMap<String, String> = missing
        .map(|name| (format!("queues.{name}"), "the broker has no such queue".to_owned()))
        .collect();
    if names.iter().all(|name| !queues.contains_key(name)) {
        let why = if named.is_empty() {
            "the virtual host has no queue of Celery's: is it another virtual host?"
        } else {
            "the broker has none of the queues that broker.queues names: is it another virtual host?"
        };
        reasons.extend(SUMS.map(|key| (key.to_owned(), why.to_owned())));
    }
    reasons
}

/// Of the queues that have not reported what they hold.
fn silent(names: &BTreeSet<&str>, queues: &BTreeMap<&str, &Queue>) -> BTreeMap<String, String> {
    let reports =
        |queue: &Queue| queue.messages_ready.is_some() && queue.messages_unacknowledged.is_some();
    let is_silent = |name: &&&str| queues.get(**name).is_some_and(|queue| !reports(queue));
    let silent: Vec<&str> = names.iter().filter(is_silent).copied().collect();
    let mut reasons: BTreeMap<String, String> = silent
        .iter()
        .map(|name| (format!("queues.{name}"), "it has not reported its figures".to_owned()))
        .collect();
    if !silent.is_empty() {
        let why = format!(
            "these queues have not reported their figures, because they are new or their node is down: {}",
            silent.join(", ")
        );
        reasons.extend(SUMS.map(|key| (key.to_owned(), why.clone())));
    }
    reasons
}

fn is_delayed(queue: &str) -> bool {
    let name = queue.trim_end_matches(|letter: char| letter.is_ascii_digit());
    let prefix = name.strip_suffix(DELAYED);
    name != queue && prefix.is_some_and(|prefix| prefix.is_empty() || prefix.ends_with('_'))
}

/// Not what Celery talks through to its workers, and workers among themselves.
fn carries_tasks(queue: &Queue) -> bool {
    let is_answered_to = queue.exclusive || queue.auto_delete && is_uuid(&queue.name);
    !queue.name.ends_with(".pidbox") && !queue.name.starts_with("celeryev.") && !is_answered_to
}

/// A client waits for its answers in a queue that is called by a number made up for it.
fn is_uuid(name: &str) -> bool {
    let digits: Vec<&str> = name.split('-').collect();
    let lengths: Vec<usize> = digits.iter().map(|part| part.len()).collect();
    let is_hex = |part: &&str| part.chars().all(|letter| letter.is_ascii_hexdigit());
    lengths == [8, 4, 4, 4, 12] && digits.iter().all(is_hex)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn delayed_queues_stand_apart_and_those_without_tasks_are_left_out() {
        let queue = |name: &str, ready, held| Queue {
            name: name.to_owned(),
            messages_ready: Some(ready),
            messages_unacknowledged: Some(held),
            consumers: 1,
            exclusive: false,
            auto_delete: false,
        };
        let all = vec![
            queue("mail", 3, 2),
            queue("celery_delayed_4", 5, 0),
            queue("shop_celery_delayed_0", 1, 1),
            queue("celery_delayed_reports", 2, 0),
            queue("celery@host.celery.pidbox", 9, 0),
            queue("celeryev.1234", 9, 0),
        ];
        let figures = figures(&[], all);
        let waiting = [("celery_delayed_reports", 2), ("mail", 3)];
        let waiting = waiting.map(|(name, count)| (name.to_owned(), Some(count)));
        assert_eq!(figures.queues, BTreeMap::from(waiting));
        assert_eq!(figures.scheduled, Some(7));
        assert!(figures.is_whole);
    }
}
