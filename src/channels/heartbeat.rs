//! Pings of a dead man's switch: they report that a job began and how it ended, and the switch raises the alarm if none comes.
//!
//! Not a channel, because it sends no notification; it lives here because it is a request to a secret URL like theirs.

use super::http::{Content, Endpoint, Method, Request};
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
    /// `None`: by each URL.
    pub style: Option<Style>,
}

/// Where the pings of a job go, and what they are made of.
#[derive(Debug, Clone, PartialEq)]
pub struct Monitor {
    pub url: Secret,
    pub style: Style,
}

/// Which service is pinged: each has words of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Style {
    Healthchecks,
    UptimeKuma,
    Cronitor,
    BetterStack,
    Sentry,
    /// Any URL that expects to be called when all is well, and nothing else.
    Plain,
}

/// What a ping says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Signal {
    Start,
    Success,
    /// With the exit code.
    Failure(u8),
}

impl Signal {
    pub fn name(self) -> &'static str {
        match self {
            Signal::Start => "start",
            Signal::Success => "success",
            Signal::Failure(_) => "failure",
        }
    }
}

/// What goes along with a signal to the services that have room for it.
#[derive(Debug, Clone, Default)]
pub struct Details {
    /// The end of the job's log.
    pub log: String,
    /// How long the job has run.
    pub duration: Duration,
}

impl Settings {
    /// Where a job's pings go.
    pub fn monitor(&self, job: &str) -> Option<Monitor> {
        let (_, url) = self.all().into_iter().find(|(name, _)| *name == job)?;
        let style = self.style.unwrap_or_else(|| Style::of(url));
        Some(Monitor { url: url.clone(), style })
    }

    /// The jobs that have a URL, and it.
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

impl Style {
    /// The style of a URL by its host, or of Uptime Kuma, which everybody runs on a host of their own, by its path. What is not known is
    /// taken for a healthchecks.io on a host of one's own.
    fn of(url: &Secret) -> Self {
        let rest = url.expose().split_once("://").map_or("", |(_, rest)| rest);
        let (place, path) = rest.split_at(rest.find(['/', '?', '#']).unwrap_or(rest.len()));
        let host = place.rsplit('@').next().unwrap_or_default().split(':').next();
        let host = host.unwrap_or_default().to_ascii_lowercase();
        let is_at = |domain: &str| {
            let above = host.strip_suffix(domain);
            above.is_some_and(|above| above.is_empty() || above.ends_with('.'))
        };
        if is_at("cronitor.link") || is_at("cronitor.io") {
            Style::Cronitor
        } else if is_at("uptime.betterstack.com") || is_at("betteruptime.com") {
            Style::BetterStack
        } else if is_at("sentry.io") && host.contains(".ingest.") {
            Style::Sentry
        } else if path.contains("/api/push/") {
            Style::UptimeKuma
        } else {
            Style::Healthchecks
        }
    }

    /// What each service is sent, by its documentation; `None`: it has no such signal.
    ///
    /// - healthchecks.io: <https://healthchecks.io/docs/http_api/>
    /// - Uptime Kuma: `/api/push/:pushToken` of its server (`server/routers/api-router.js`); `ping` are milliseconds, a day's at most
    /// - Cronitor: <https://cronitor.io/docs/telemetry-api>
    /// - Better Stack: <https://betterstack.com/docs/uptime/cron-and-heartbeat-monitor/>
    /// - Sentry: <https://docs.sentry.io/product/crons/getting-started/http/>
    fn request(self, signal: Signal, details: &Details) -> Option<Request> {
        let post = |beneath: &str| Request {
            beneath: beneath.to_owned(),
            content: Content::Text,
            body: details.log.clone(),
            ..Request::default()
        };
        let get = |query: &[(&'static str, &str)]| Request {
            method: Method::Get,
            query: query.iter().map(|(name, value)| (*name, (*value).to_owned())).collect(),
            ..Request::default()
        };
        let ping = details.duration.as_millis().min(86_400_000).to_string();
        Some(match (self, signal) {
            (Style::Healthchecks, Signal::Start) => post("start"),
            (Style::Healthchecks, Signal::Success) => post(""),
            (Style::Healthchecks, Signal::Failure(code)) => post(&code.to_string()),

            (Style::UptimeKuma, Signal::Start) => return None,
            (Style::UptimeKuma, Signal::Success) => {
                get(&[("status", "up"), ("msg", "OK"), ("ping", &ping)])
            }
            (Style::UptimeKuma, Signal::Failure(code)) => {
                get(&[("status", "down"), ("msg", &format!("exit code {code}")), ("ping", &ping)])
            }

            (Style::Cronitor, Signal::Start) => get(&[("state", "run")]),
            (Style::Cronitor, Signal::Success) => get(&[("state", "complete")]),
            (Style::Cronitor, Signal::Failure(code)) => {
                get(&[("state", "fail"), ("status_code", &code.to_string())])
            }

            (Style::BetterStack, Signal::Start) => return None,
            (Style::BetterStack, Signal::Success) => post(""),
            (Style::BetterStack, Signal::Failure(_)) => post("fail"),

            (Style::Sentry, Signal::Start) => get(&[("status", "in_progress")]),
            (Style::Sentry, Signal::Success) => get(&[("status", "ok")]),
            (Style::Sentry, Signal::Failure(_)) => get(&[("status", "error")]),

            (Style::Plain, Signal::Success) => get(&[]),
            (Style::Plain, Signal::Start | Signal::Failure(_)) => return None,
        })
    }
}

impl Monitor {
    /// Whether the service has such a signal; of one that it has not, nothing is sent.
    pub fn takes(&self, signal: Signal) -> bool {
        self.style.request(signal, &Details::default()).is_some()
    }

    /// Sends a signal that the service [takes](Self::takes). One attempt, which `timeout` bounds as a whole.
    ///
    /// # Errors
    /// Every answer but 2xx, and none. The text holds no part of the URL but its host.
    pub fn ping(
        &self,
        signal: Signal,
        details: &Details,
        timeout: Duration,
        machine: &Machine,
    ) -> Result<(), SendError> {
        match self.style.request(signal, details) {
            Some(request) => Endpoint::new(&self.url, [], timeout, machine)?.send(&request),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_style_is_found_by_the_host_or_the_path() {
        for (url, expected) in [
            ("https://hc-ping.com/0b1c2d3e", Style::Healthchecks),
            ("https://checks.example.org:8000/ping/0b1c2d3e", Style::Healthchecks),
            ("https://cronitor.link/p/key/job", Style::Cronitor),
            ("https://CRONITOR.link:443/p/key/job?env=a", Style::Cronitor),
            ("https://notcronitor.link/p", Style::Healthchecks),
            ("https://uptime.betterstack.com/api/v1/heartbeat/x", Style::BetterStack),
            ("https://betteruptime.com/api/v1/heartbeat/x", Style::BetterStack),
            ("https://o0.ingest.sentry.io/api/0/cron/job/key/", Style::Sentry),
            ("https://o0.ingest.us.sentry.io/api/0/cron/job/key/", Style::Sentry),
            ("https://sentry.io/x", Style::Healthchecks),
            ("http://user:p@kuma.example.org:3001/api/push/token?status=up", Style::UptimeKuma),
            ("https://example.org/kuma/api/push/token", Style::UptimeKuma),
            ("https://example.org/?next=cronitor.link", Style::Healthchecks),
        ] {
            assert_eq!(Style::of(&Secret::new(url)), expected, "{url}");
        }
    }
}
