//! Which queues there are, and how much waits in each.
//!
//! A queue is a list, and one more for each priority step above 0. Which queues an exchange feeds is in the set
//! `_kombu.binding.EXCHANGE`, as routing key, pattern and queue with the separator between them.

use super::client::Command;
use super::error::Error;
use super::transport::{PAGE, Transport};
use std::collections::{BTreeMap, BTreeSet};

const BINDING: &str = "_kombu.binding.";

/// More exchanges, or queues of one, than any application has.
const MOST_NAMES: usize = 100_000;

/// The same of the bytes that their names have together.
const MOST_BYTES: usize = 8 << 20;

/// What Celery talks through to its workers, and workers among themselves: no task waits there.
const NO_TASKS: [&str; 3] = ["celery.pidbox", "reply.celery.pidbox", "celeryev"];

impl Transport<'_> {
    /// The queues of all bindings but those that carry no tasks.
    pub fn discover(&mut self) -> Result<BTreeSet<String>, Error> {
        let start = self.key(BINDING);
        let mut names = BTreeSet::new();
        for key in self.scan_keys(&format!("{}*", escape_pattern(&start)))? {
            let exchange = key.strip_prefix(&start).unwrap_or_default();
            let is_reply = exchange.ends_with(".pidbox") || exchange.starts_with("reply.");
            if is_reply || NO_TASKS.contains(&exchange) {
                continue;
            }
            for (_, queue) in self.bindings(exchange)? {
                names.insert(queue);
            }
            require_few(&names, String::len)?;
        }
        Ok(names)
    }

    fn scan_keys(&mut self, pattern: &str) -> Result<BTreeSet<String>, Error> {
        let mut keys = BTreeSet::new();
        let mut cursor = 0;
        loop {
            let command = Command::new("SCAN").arg(cursor.to_string());
            let count = (PAGE * 10).to_string();
            let command = command.arg("MATCH").arg(pattern).arg("COUNT").arg(count);
            let (next, page) = self.page(pattern, command)?;
            for key in page {
                match String::from_utf8(key) {
                    Ok(key) => drop(keys.insert(key)),
                    Err(error) => self.cannot_read(&error.into_bytes(), "is no UTF-8 text"),
                }
            }
            require_few(&keys, String::len)?;
            cursor = next;
            if cursor == 0 {
                return Ok(keys);
            }
        }
    }

    /// There may be a queue behind it that nobody knows of.
    fn cannot_read(&mut self, name: &[u8], why: &str) {
        let name = String::from_utf8_lossy(name);
        let why = format!("a binding of Celery's {why}: {name:?}");
        self.unread.get_or_insert(why);
    }

    /// Routing key and queue of each binding of an exchange.
    pub fn bindings(&mut self, exchange: &str) -> Result<BTreeSet<(String, String)>, Error> {
        let key = self.key(&format!("{BINDING}{exchange}"));
        let mut bindings = BTreeSet::new();
        let mut cursor = 0;
        loop {
            let command = Command::new("SSCAN").arg(&key).arg(cursor.to_string());
            let command = command.arg("COUNT").arg(PAGE.to_string());
            let (next, page) = match self.page(&key, command) {
                Err(Error::WrongKind(_)) => {
                    self.cannot_read(key.as_bytes(), "is no set");
                    return Ok(BTreeSet::new());
                }
                page => page?,
            };
            for member in page {
                let Ok(member) = String::from_utf8(member) else {
                    self.cannot_read(key.as_bytes(), "is no UTF-8 text");
                    continue;
                };
                let mut parts = member.split(self.settings.separator.as_str());
                if let (Some(routing_key), Some(queue)) = (parts.next(), parts.nth(1)) {
                    bindings.insert((routing_key.to_owned(), queue.to_owned()));
                }
            }
            require_few(&bindings, |(routing_key, queue)| routing_key.len() + queue.len())?;
            cursor = next;
            if cursor == 0 {
                return Ok(bindings);
            }
        }
    }

    /// The steps that are configured, and all of 0 to 9: no other has messages, whatever the application's `priority_steps` are, because Celery's
    /// transport takes every priority for one of these.
    fn steps(&self) -> BTreeSet<u32> {
        self.settings.priority_steps.iter().copied().chain(0..=9).collect()
    }

    /// What waits in each queue; `None`: it is no list, or one of its priorities is none, as `reasons` says.
    pub fn lengths(
        &mut self,
        names: &BTreeSet<String>,
        reasons: &mut BTreeMap<String, String>,
    ) -> Result<BTreeMap<String, Option<u64>>, Error> {
        let mut queues = BTreeMap::new();
        for name in names {
            self.check_time()?;
            let mut waiting = Some(0);
            for step in self.steps() {
                let list = match step {
                    0 => name.clone(),
                    step => format!("{name}{}{step}", self.settings.separator),
                };
                // A queue of its own, which a short separator makes look like a step of this one.
                if list != *name && names.contains(&list) {
                    continue;
                }
                let list = self.key(&list);
                match self.count(&list, Command::new("LLEN").arg(&list)) {
                    Ok(length) => waiting = waiting.map(|waiting| waiting + length),
                    Err(error @ Error::WrongKind(_)) => {
                        waiting = None;
                        for key in ["total_pending", "lost_tasks", &format!("queues.{name}")] {
                            reasons.insert(key.to_owned(), error.to_string());
                        }
                    }
                    Err(error) => return Err(error),
                }
            }
            queues.insert(name.clone(), waiting);
        }
        Ok(queues)
    }
}

/// # Errors
/// There are more names than any application has, or longer ones.
fn require_few<T>(names: &BTreeSet<T>, length: impl Fn(&T) -> usize) -> Result<(), Error> {
    let is_few = names.len() <= MOST_NAMES && names.iter().map(length).sum::<usize>() <= MOST_BYTES;
    if is_few { Ok(()) } else { Err(Error::TooMuch) }
}

/// A name in a pattern of SCAN.
fn escape_pattern(name: &str) -> String {
    let special = |letter: char| "*?[]\\^-".contains(letter);
    let escape = |letter: char| if special(letter) { vec!['\\', letter] } else { vec![letter] };
    name.chars().flat_map(escape).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_taken_literally_in_patterns() {
        assert_eq!(escape_pattern("a*[b]?"), "a\\*\\[b\\]\\?");
    }
}
