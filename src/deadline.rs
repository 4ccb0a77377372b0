//! Work that may hang, in a thread of its own that is waited for no longer than a limit.
//!
//! A thread that hangs (a file system whose server is gone, the lookup of a host's name) cannot be stopped. It is left behind and ends with
//! the process.

use std::io;
use std::sync::mpsc::{Receiver, sync_channel};
use std::thread;
use std::time::{Duration, Instant};

/// When a limit that begins now ends; at once if no clock can say so.
pub fn end(limit: Duration) -> Instant {
    let now = Instant::now();
    now.checked_add(limit).unwrap_or(now)
}

/// Work under way.
#[derive(Debug)]
pub struct Pending<T>(Receiver<T>);

/// Starts it.
///
/// # Errors
/// There is no thread to be had.
pub fn start<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> io::Result<Pending<T>> {
    let (sender, receiver) = sync_channel(1);
    // Once the limit has passed, nobody waits for the answer.
    thread::Builder::new().spawn(move || drop(sender.send(work())))?;
    Ok(Pending(receiver))
}

impl<T> Pending<T> {
    /// The answer; `None`: there was none within the limit.
    pub fn wait(self, limit: Duration) -> Option<T> {
        self.0.recv_timeout(limit).ok()
    }
}

/// Why there is no answer.
#[derive(Debug)]
pub enum NoAnswer {
    Late,
    NoThread(io::Error),
}

/// Does it, and waits for the answer no longer than `limit`.
///
/// # Errors
/// There was no answer in time, or no thread to be had.
pub fn run<T: Send + 'static>(
    limit: Duration,
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, NoAnswer> {
    let pending = start(work).map_err(NoAnswer::NoThread)?;
    pending.wait(limit).ok_or(NoAnswer::Late)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn work_that_hangs_is_not_waited_for() {
        assert_eq!(run(Duration::from_secs(10), || 7).unwrap(), 7);
        let hung = run(Duration::from_millis(20), || thread::sleep(Duration::from_secs(60)));
        assert!(matches!(hung, Err(NoAnswer::Late)));
    }
}
