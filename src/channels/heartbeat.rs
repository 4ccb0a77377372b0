//! Pings of a dead man's switch: they say that a job began and how it ended, and the switch raises the alarm when none comes.
//!
//! No channel, for it takes no notice; it stands here because it is a request to a secret URL like theirs.

use super::http::{Content, Endpoint, Request};
use super::{SendError, Surroundings};
use crate::secret::Secret;
use std::time::Duration;

/// Posts a text to a folder beneath a URL (`start`, an exit code), or to the URL itself where that is empty. One attempt, which `timeout` bounds
/// as a whole.
///
/// # Errors
/// Every answer but 2xx, and none. The text holds no part of the URL but its host.
pub fn ping(
    url: &Secret,
    beneath: &str,
    body: &str,
    timeout: Duration,
    surroundings: &Surroundings,
) -> Result<(), SendError> {
    Endpoint::new(url, None, timeout, surroundings)?.post(&Request {
        beneath,
        content: Content::Text,
        body,
        ..Request::default()
    })
}
