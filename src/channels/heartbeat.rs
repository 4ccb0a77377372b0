//! Pings of a dead man's switch: they report that a job began and how it ended, and the switch raises the alarm if none comes.
//!
//! Not a channel, because it sends no notification; it lives here because it is a request to a secret URL like theirs.

use super::http::{Content, Endpoint, Request};
use super::{Machine, SendError};
use crate::secret::{self, Secret};
use crate::values::{InvalidKey, check_scheme};
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// `[heartbeat]`: a URL for each job. Whoever knows it can use it, so it is a secret.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Settings {
    #[serde(default, with = "secret::optional_url")]
    pub cleanup: Option<Secret>,
    #[serde(default, with = "secret::optional_url")]
    pub stats: Option<Secret>,
    #[serde(default, with = "secret::optional_url")]
    pub disk: Option<Secret>,
    #[serde(default, with = "secret::optional_url")]
    pub alert: Option<Secret>,
}

impl Settings {
    /// The URL of a job.
    pub fn url(&self, job: &str) -> Option<&Secret> {
        let mut urls = self.all().into_iter();
        urls.find_map(|(name, url)| (name == job).then_some(url))
    }

    /// The jobs that have one, and it.
    pub fn all(&self) -> Vec<(&'static str, &Secret)> {
        let urls = self.urls().into_iter();
        urls.filter_map(|(job, url)| Some((job, url.as_ref()?))).collect()
    }

    fn urls(&self) -> [(&'static str, &Option<Secret>); 4] {
        [
            ("cleanup", &self.cleanup),
            ("stats", &self.stats),
            ("disk", &self.disk),
            ("alert", &self.alert),
        ]
    }

    /// # Errors
    /// A URL is none of HTTP.
    pub fn check(&self) -> Result<(), InvalidKey> {
        let mut urls = self.all().into_iter();
        urls.try_for_each(|(job, url)| check_scheme(job, url.expose(), &["https", "http"]))
    }
}

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
    Endpoint::new(url, [], timeout, machine)?.send(&Request {
        beneath: beneath.to_owned(),
        content: Content::Text,
        body: body.to_owned(),
        ..Request::default()
    })
}
