//! What workers hold: a delivery that a worker has not acknowledged is in the hash `unacked` as `[message, exchange, routing key]`,
//! and in the sorted set `unacked_index` with the time of its delivery in seconds.

use super::client::Command;
use super::error::Error;
use super::resp::Reply;
use super::transport::{PAGE, Transport};
use chrono::{DateTime, Utc};
use serde::de::IgnoredAny;
use std::collections::{BTreeMap, HashMap};

/// A delivery that is larger, in bytes, is counted and not read.
const LARGEST_DELIVERY: u64 = 1024 * 1024;

/// Exchange and routing key are short texts in AMQP. Longer ones, in bytes, are not kept,
const LONGEST_NAME: usize = 255;

/// nor are more of them than any application has.
const MOST_ROUTES: usize = 10_000;

/// A delivery whose queue could not be found out.
const UNKNOWN: &str = "?";

/// Exchange and routing key.
type Route = (String, String);

/// The deliveries that were seen so far.
#[derive(Default)]
struct Seen {
    count: u64,
    by_route: HashMap<Route, u64>,
    unreadable: u64,
}

impl Transport<'_> {
    /// Counts the deliveries by queue, in the order of their times: each holds a whole message, so they are read as far as they are of a
    /// usual size, and never many megabytes of them at once.
    pub fn unacknowledged(&mut self) -> Result<BTreeMap<String, u64>, Error> {
        let key = self.key("unacked");
        let all = self.count(&key, Command::new("HLEN").arg(&key))?;
        if all == 0 {
            return Ok(BTreeMap::new());
        }
        let mut seen = Seen::default();
        let index = self.key("unacked_index");
        let mut cursor = 0;
        loop {
            let command = Command::new("ZSCAN").arg(&index).arg(cursor.to_string());
            let command = command.arg("COUNT").arg(PAGE.to_string());
            let (next, page) = match self.page(&index, command) {
                // Which of them are overdue is not known then, and these are held all the same.
                Err(Error::WrongKind(_)) => break,
                page => page?,
            };
            // A tag and its time in turn.
            let tags: Vec<Vec<u8>> = page.into_iter().step_by(2).collect();
            for tags in tags.chunks(PAGE) {
                self.read_deliveries(&key, tags, &mut seen)?;
                self.check_time()?;
            }
            cursor = next;
            if cursor == 0 {
                break;
            }
        }
        let mut by_queue = BTreeMap::new();
        for ((exchange, routing_key), count) in seen.by_route {
            let queue = self.queue_of(&exchange, &routing_key)?;
            *by_queue.entry(queue).or_default() += count;
        }
        let unknown = seen.unreadable + all.saturating_sub(seen.count);
        if unknown > 0 {
            *by_queue.entry(UNKNOWN.to_owned()).or_default() += unknown;
        }
        Ok(by_queue)
    }

    fn read_deliveries(
        &mut self,
        key: &str,
        tags: &[Vec<u8>],
        seen: &mut Seen,
    ) -> Result<(), Error> {
        let of_key = |command: &str, tag: &Vec<u8>| Command::new(command).arg(key).arg(tag);
        let lengths: Vec<Command> = tags.iter().map(|tag| of_key("HSTRLEN", tag)).collect();
        let lengths = self.client.ask_all(&lengths)?.into_iter().map(|reply| match reply {
            Reply::Number(length) => length.unsigned_abs(),
            _ => 0,
        });
        // What is acknowledged meanwhile has no length any more.
        let held: Vec<_> = tags.iter().zip(lengths).filter(|(_, length)| *length > 0).collect();
        seen.count += held.len() as u64;
        let (small, large): (Vec<_>, Vec<_>) =
            held.into_iter().partition(|(_, length)| *length <= LARGEST_DELIVERY);
        seen.unreadable += large.len() as u64;
        let mut bytes = 0;
        let some_megabytes = small.chunk_by(|_, (_, length)| {
            bytes = if bytes > LARGEST_DELIVERY * 8 { 0 } else { bytes + length };
            bytes > 0
        });
        for some in some_megabytes {
            let deliveries: Vec<Command> =
                some.iter().map(|(tag, _)| of_key("HGET", tag)).collect();
            for delivery in self.client.ask_all(&deliveries)? {
                let Reply::Text(delivery) = delivery else { continue };
                match serde_json::from_slice::<(IgnoredAny, String, String)>(&delivery) {
                    Ok((_, exchange, routing_key))
                        if exchange.len().max(routing_key.len()) <= LONGEST_NAME
                            && seen.by_route.len() < MOST_ROUTES =>
                    {
                        *seen.by_route.entry((exchange, routing_key)).or_default() += 1;
                    }
                    _ => seen.unreadable += 1,
                }
            }
        }
        Ok(())
    }

    /// The queue that a delivery came from. The default exchange, which has no name, feeds the queue that the routing key names.
    fn queue_of(&mut self, exchange: &str, routing_key: &str) -> Result<String, Error> {
        if exchange.is_empty() {
            return Ok(routing_key.to_owned());
        }
        let bindings = self.bindings(exchange)?;
        let bound =
            bindings.into_iter().find(|(bound, _)| bound == routing_key || bound.is_empty());
        Ok(match bound {
            Some((_, queue)) => queue,
            None if routing_key.is_empty() => UNKNOWN.to_owned(),
            None => routing_key.to_owned(),
        })
    }

    /// How many are held longer than the visibility timeout.
    pub fn overdue(&mut self, now: DateTime<Utc>) -> Result<u64, Error> {
        let timeout = f64::from(self.settings.visibility_timeout_seconds);
        let before = now.timestamp_millis() as f64 / 1000.0 - timeout;
        let key = self.key("unacked_index");
        let command = Command::new("ZCOUNT").arg(&key).arg("-inf").arg(format!("({before:.3}"));
        self.count(&key, command)
    }
}
