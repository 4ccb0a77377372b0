//! Channels that post each notification to one URL, which is most of them: a service says what it posts and which replies are success.

use super::common::{SecretSource, http_url, secrets};
use super::http::{Endpoint, Reply, Request};
use super::{Built, Channel, Destination, Grouping, Machine, SendError};
use crate::alert::Notification;
use crate::secret::Secret;
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// The keys of a service that needs nothing but its URL.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize)]
pub struct UrlKeys {
    #[serde(with = "http_url")]
    pub url: SecretSource,
}

secrets!(UrlKeys: url);

impl UrlKeys {
    pub(super) fn endpoint(
        &self,
        timeout: Duration,
        machine: &Machine,
    ) -> Result<Endpoint, SendError> {
        Endpoint::new(&self.url.read("url", machine)?, [], timeout, machine)
    }
}

/// The keys of a service that can check who a request is from.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize)]
pub struct SignedUrlKeys {
    #[serde(with = "http_url")]
    pub url: SecretSource,
    /// Signs the requests.
    #[serde(default, skip_serializing_if = "SecretSource::is_unset")]
    pub secret: SecretSource,
}

secrets!(SignedUrlKeys: url, secret);

impl SignedUrlKeys {
    /// Also the secret to sign with, if there is one.
    pub(super) fn endpoint(
        &self,
        timeout: Duration,
        machine: &Machine,
    ) -> Result<(Endpoint, Option<Secret>), SendError> {
        let url = self.url.read("url", machine)?;
        let secret = self.secret.find("secret", machine)?;
        Ok((Endpoint::new(&url, &secret, timeout, machine)?, secret))
    }
}

/// Which replies are success.
#[derive(Clone, Copy)]
pub enum Success {
    /// All with a status of 2xx, whose bodies are not waited for.
    Status,
    /// Those that the function accepts; what it returns of the others is why not.
    Reply(fn(&Reply) -> Result<(), SendError>),
}

/// A channel that posts what `requests` makes of a notification, one after the other.
pub fn hook(
    endpoint: Endpoint,
    grouping: Grouping,
    requests: impl Fn(&Notification) -> Vec<Request> + Send + 'static,
    success: Success,
) -> Built {
    Ok(Box::new(Hook { endpoint, grouping, requests, success }))
}

struct Hook<F> {
    endpoint: Endpoint,
    grouping: Grouping,
    requests: F,
    success: Success,
}

impl<F: Fn(&Notification) -> Vec<Request>> Channel for Hook<F> {
    fn send(&self, notification: &Notification) -> Result<(), SendError> {
        (self.requests)(notification).iter().try_for_each(|request| match self.success {
            Success::Status => self.endpoint.send(request),
            Success::Reply(check) => check(&self.endpoint.ask(request)?),
        })
    }

    fn destination(&self) -> Destination {
        Destination::Server(self.endpoint.server().clone())
    }

    fn grouping(&self) -> Grouping {
        self.grouping
    }
}
