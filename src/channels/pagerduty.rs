//! PagerDuty, by its Events API v2: an incident for each alert, resolved with it.

use super::common::{http_url, secrets};
use super::http::{Endpoint, Reply, Request};
use super::text::{plain, shorten_to_characters};
use super::{Built, Channel, Destination, Grouping, Machine, SecretSource, SendError};
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

secrets!(routing_key, api_url);

fn events_api() -> SecretSource {
    SecretSource::Text(Secret::new("https://events.pagerduty.com"))
}

impl Config {
    pub(super) fn build(&self, timeout: Duration, machine: &Machine) -> Built {
        let routing_key = self.routing_key.read("routing_key", machine)?;
        let api = self.api_url.read("api_url", machine)?;
        let endpoint = Endpoint::new(&api, [&routing_key], timeout, machine)?;
        Ok(Box::new(Pagerduty { endpoint, routing_key }))
    }
}

struct Pagerduty {
    endpoint: Endpoint,
    routing_key: Secret,
}

impl Channel for Pagerduty {
    fn send(&self, notification: &Notification) -> Result<(), SendError> {
        for update in &notification.alerts {
            let reply = self.endpoint.ask(&Request {
                beneath: "v2/enqueue",
                body: &self.event(notification, update).to_string(),
                ..Request::default()
            })?;
            check(&self.endpoint, reply)?;
        }
        Ok(())
    }

    fn destination(&self) -> Destination {
        self.endpoint.destination()
    }

    fn grouping(&self) -> Grouping {
        Grouping::Alert
    }
}

impl Pagerduty {
    fn event(&self, notification: &Notification, update: &AlertUpdate) -> Value {
        let mut event = json!({
            "routing_key": self.routing_key.expose(),
            "event_action": match update.status {
                Status::Firing => "trigger",
                Status::Resolved => "resolve",
            },
            "dedup_key": dedup_key(&notification.host, update),
        });
        if update.status == Status::Firing {
            event["payload"] = payload(notification, update);
            event["client"] = json!("taskmon");
        }
        event
    }
}

fn payload(notification: &Notification, update: &AlertUpdate) -> Value {
    let alert = &update.alert;
    json!({
        "summary": shorten_to_characters(&plain(&alert.message), LONGEST_SUMMARY - 1),
        "source": plain(&notification.host),
        // Its severities have the same names.
        "severity": alert.severity,
        "timestamp": notification.time.to_rfc3339_opts(chrono::SecondsFormat::Secs, false),
        "class": plain(&alert.kind),
        "component": alert.subject.as_deref().map(plain),
        "custom_details": {"value": alert.value, "threshold": alert.threshold},
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
fn check(endpoint: &Endpoint, reply: Reply) -> Result<(), SendError> {
    let answer = reply.json();
    let is_success = answer.get("status").and_then(Value::as_str) == Some("success");
    match reply.refusal {
        None if is_success && reply.status == 202 => Ok(()),
        None => {
            let (status, said) = (reply.status, endpoint.quote(&reply.text));
            Err(endpoint.refused(&format!(
                "answered with status {status} and not with 202 and success: {said}"
            )))
        }
        Some(refusal) if reply.status == 400 => Err(refusal
            .explained("check the routing_key, and that it is of an Events API v2 integration")),
        Some(refusal) => Err(refusal),
    }
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
