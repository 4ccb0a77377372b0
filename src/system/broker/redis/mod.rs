//! Redis, as Celery's transport uses it: figures, and what is not known of them and why.

mod address;
mod client;
mod error;
mod queues;
mod resp;
mod transport;
mod unacknowledged;

use super::figures::Figures;
use super::settings::Settings;
pub use address::Address;
use chrono::{DateTime, Utc};
use error::Error;
use std::collections::{BTreeMap, BTreeSet};
use transport::Transport;

type Reasons = BTreeMap<String, String>;

/// # Errors
/// Why the broker cannot be asked, without a password.
pub fn ask(address: &Address, settings: &Settings, now: DateTime<Utc>) -> Result<Figures, String> {
    Transport::connect(address, settings)
        .and_then(|mut transport| figures(&mut transport, now))
        .map_err(|error| format!("the broker at {} cannot be asked: {error}", address.place))
}

fn figures(transport: &mut Transport, now: DateTime<Utc>) -> Result<Figures, Error> {
    let named: BTreeSet<String> = transport.settings.queues.iter().cloned().collect();
    let names = if named.is_empty() { transport.discover()? } else { named.clone() };
    let mut reasons = Reasons::new();
    let mut queues = transport.lengths(&names, &mut reasons)?;
    let held = transport.unacknowledged();
    let held = known(held, &["reserved_tasks", "lost_tasks"], &mut reasons)?;
    let overdue = known(transport.overdue(now), &["overdue_tasks"], &mut reasons)?;
    let bound = if named.is_empty() {
        Bound { is_whole: true, is_bare: names.is_empty() }
    } else {
        look_around(transport, &named, &mut queues, &mut reasons)?
    };
    for (key, what) in [
        ("active_tasks", "which of the tasks that workers hold have begun"),
        ("scheduled_tasks", "which of the tasks that workers hold wait for their time"),
    ] {
        reasons.insert(key.to_owned(), format!("Redis does not know {what}"));
    }
    if let Some(why) = &transport.unread {
        reasons.insert("lost_tasks".to_owned(), why.clone());
    }
    let counts = queues.values().flatten().chain(held.iter().flat_map(BTreeMap::values));
    let holds_nothing = counts.into_iter().all(|count| *count == 0);
    match &transport.unread {
        // Celery binds a queue when it first sends to it or waits for it: with nothing bound and nothing there, this may be another place.
        None if bound.is_bare && holds_nothing => {
            let why = "Celery has bound none of the queues here: is it another database of the server, another broker.global_keyprefix or another name in broker.queues?";
            for key in ["total_pending", "reserved_tasks", "lost_tasks", "overdue_tasks"] {
                reasons.entry(key.to_owned()).or_insert_with(|| why.to_owned());
            }
        }
        Some(why) if names.is_empty() => {
            reasons.insert("total_pending".to_owned(), why.clone());
        }
        _ => {}
    }
    let mut unacknowledged = held.unwrap_or_default();
    if !reasons.contains_key("reserved_tasks") {
        for name in names {
            unacknowledged.entry(name).or_default();
        }
    }
    Ok(Figures {
        source: "redis",
        is_whole: bound.is_whole,
        queues,
        unacknowledged,
        consumers: None,
        overdue: overdue.filter(|_| !reasons.contains_key("overdue_tasks")),
        active: None,
        scheduled: None,
        reasons,
    })
}

/// A figure, or why the report's keys that need it are null: something else has the name of a key of Celery's.
fn known<T>(
    answer: Result<T, Error>,
    keys: &[&str],
    reasons: &mut Reasons,
) -> Result<Option<T>, Error> {
    match answer {
        Err(error @ Error::WrongKind(_)) => {
            for key in keys {
                reasons.insert((*key).to_owned(), error.to_string());
            }
            Ok(None)
        }
        answer => answer.map(Some),
    }
}

/// How the queues that are named compare with those that Celery has bound.
struct Bound {
    /// No others are bound.
    is_whole: bool,
    /// None of them is bound.
    is_bare: bool,
}

/// Looks which queues Celery has bound. That may take longer than all the rest, and only says whether these are all: too little
/// time for it is no error.
fn look_around(
    transport: &mut Transport,
    named: &BTreeSet<String>,
    queues: &mut BTreeMap<String, Option<u64>>,
    reasons: &mut Reasons,
) -> Result<Bound, Error> {
    let bound = match transport.discover() {
        Ok(bound) => bound,
        Err(error) if matches!(error, Error::TooMuch) || error.is_timeout() => {
            return Ok(Bound { is_whole: false, is_bare: false });
        }
        Err(error) => return Err(error),
    };
    if transport.unread.is_none() {
        // Nothing is there for a queue that nobody has ever sent to or waited for: the name may be a mistake.
        for (name, length) in queues {
            if *length == Some(0) && !bound.contains(name) {
                *length = None;
                let why = "Celery has bound no queue of this name";
                reasons.insert(format!("queues.{name}"), why.to_owned());
            }
        }
    }
    Ok(Bound { is_whole: bound.is_subset(named), is_bare: named.is_disjoint(&bound) })
}
