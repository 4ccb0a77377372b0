//! Pings of a dead man's switch: they report that a job began and how it ended, and the switch raises the alarm if none comes.
//!
//! Not a channel, because it sends no notification; it lives here because it is a request to a secret URL like theirs.

use super::http::{Content, Endpoint, Request};
use super::{Machine, SendError};
use crate::secret::Secret;
use std::time::Duration;

/// Posts a text to a path beneath a URL (`start`, an exit code), or to the URL itself if that is empty. One attempt, which
/// `timeout` bounds as a whole.
///
/// # Errors
/// Every answer but 2xx, and none. The text holds no part of the URL but its host.
pub fn ping(
    url: &Secret,
    beneath: &str,
    body: &str,
    timeout: Duration,
    machine: &Machine,
) -> Result<(), SendError> {
    Endpoint::new(url, [], timeout, machine)?.post(&Request {
        beneath,
        content: Content::Text,
        body,
        ..Request::default()
    })
}
