//! PagerDuty, by its Events API v2: an incident for each alert, resolved with it.

use super::common::{SecretSource, http_url, secrets};
use super::hook::{Success, hook};
use super::http::{Endpoint, Reply, Request};
use super::text::{plain, shorten_to_characters};
use super::{Built, Grouping, Machine, SendError};
use crate::alert::{AlertUpdate, Notification, Status};
use crate::secret::Secret;
use ring::digest;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::time::Duration;

/// The most characters that a summary may have, and a key that distinguishes incidents.
const LONGEST_SUMMARY: usize = 1024;
const LONGEST_KEY: usize = 255;

/// `type = "pagerduty"`
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize)]
pub struct Config {
    /// The integration key of a service's Events API v2.
    pub routing_key: SecretSource,
    /// `https://events.eu.pagerduty.com` for accounts in the EU.
    #[serde(default = "events_api", with = "http_url")]
    pub api_url: SecretSource,
}

secrets!(Config: routing_key, api_url);

fn events_api() -> SecretSource {
    SecretSource::Text(Secret::new("https://events.pagerduty.com"))
}

pub(super) fn build(config: &Config, timeout: Duration, machine: &Machine) -> Built {
    let routing_key = config.routing_key.read("routing_key", machine)?;
    let api = config.api_url.read("api_url", machine)?;
    let endpoint = Endpoint::new(&api, [&routing_key], timeout, machine)?;
    let requests = move |notification: &Notification| {
        let events = notification.alerts.iter();
        let events = events.map(|update| event(notification, update, routing_key.expose()));
        let post = |event| Request { beneath: "v2/enqueue".to_owned(), ..Request::json(&event) };
        events.map(post).collect()
    };
    hook(endpoint, Grouping::Alert, requests, Success::Reply(check))
}

fn event(notification: &Notification, update: &AlertUpdate, routing_key: &str) -> Value {
    let mut event = json!({
        "routing_key": routing_key,
        "event_action": match update.status {
            Status::Firing => "trigger",
            Status::Resolved => "resolve",
        },
        "dedup_key": dedup_key(&notification.host, update),
    });
    if update.status == Status::Firing {
        event["payload"] = payload(notification, update);
        event["client"] = json!("taskmon");
        if let Some(url) = &update.alert.url {
            event["links"] = json!([{"href": url, "text": url}]);
        }
    }
    event
}

fn payload(notification: &Notification, update: &AlertUpdate) -> Value {
    let alert = &update.alert;
    json!({
        "summary": shorten_to_characters(&plain(&alert.message), LONGEST_SUMMARY - 1),
        "source": plain(&notification.host),
        // Its severities have the same names.
        "severity": alert.severity,
        "timestamp": notification.time.to_rfc3339_opts(chrono::SecondsFormat::Secs, false),
        "group": notification.name.as_deref().map(plain),
        "class": plain(&alert.kind),
        "component": alert.subject.as_deref().map(plain),
        "custom_details": {"value": alert.value, "threshold": alert.threshold, "tasks": alert.tasks},
    })
}

/// Which incident it is: an alert is its type and its subject, on the host that found it, which alone can resolve it. Never its
/// message or value, or every run would open another incident.
fn dedup_key(host: &str, update: &AlertUpdate) -> String {
    let key = json!([host, update.alert.kind, update.alert.subject]).to_string();
    if key.chars().count() <= LONGEST_KEY {
        return key;
    }
    let digest = digest::digest(&digest::SHA256, key.as_bytes());
    digest.as_ref().iter().map(|byte| format!("{byte:02x}")).collect()
}

/// 202 and `"status": "success"`.
fn check(reply: &Reply) -> Result<(), SendError> {
    if reply.status == 202 && reply.json()["status"] == "success" {
        return Ok(());
    }
    let status = reply.status.as_u16();
    let error =
        reply.error(&format!("answered with status {status} and not with 202 and success:"));
    Err(match status {
        400 => {
            error.explained("check the routing_key, and that it is of an Events API v2 integration")
        }
        _ => error,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::alert::Alert;
    use crate::outcome::Severity;

    fn update(message: &str, subject: &str) -> AlertUpdate {
        let alert = Alert {
            kind: "disk_space_warning".to_owned(),
            severity: Severity::Warning,
            message: message.to_owned(),
            subject: Some(subject.to_owned()),
            value: None,
            threshold: None,
            count: None,
            tasks: Vec::new(),
            url: None,
        };
        AlertUpdate { alert, status: Status::Firing }
    }

    #[test]
    fn an_incident_is_one_of_a_host_a_type_and_a_subject() {
        let key = dedup_key("web-1", &update("85%", "/var"));
        assert_eq!(key, r#"["web-1","disk_space_warning","/var"]"#);
        assert_eq!(dedup_key("web-1", &update("86%", "/var")), key);
        assert_ne!(dedup_key("web-2", &update("85%", "/var")), key);
        let long = |end: &str| dedup_key("web-1", &update("85%", &("长".repeat(300) + end)));
        assert_eq!(long("a").len(), 64);
        assert_eq!(long("a"), long("a"));
        assert_ne!(long("a"), long("b"));
    }
}
