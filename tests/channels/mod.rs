//! Delivery to real servers on this machine: HTTP and HTTPS, SMTP with STARTTLS and TLS, programs.
//!
//! The mail server is aiosmtpd, a Python library that `scripts/test.sh` installs; the certificates are made with `openssl`. Tests fail
//! where one is missing; none is skipped.

mod chat;
mod command;
mod delivery;
mod dingtalk;
mod discord;
mod email;
mod feishu;
mod ntfy;
mod pagerduty;
mod prepared;
mod proxy;
mod secrets;
mod slack;
mod teams;
mod telegram;
mod trust;
mod webhook;
mod wecom;

use crate::support::certificates;
use chrono::{DateTime, FixedOffset, Utc};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use taskmon::alert::{Alert, AlertUpdate, Notification, Status};
use taskmon::channels as service;
use taskmon::channels::{Channel, Destination, Machine, Roots, SecretSource, SendError, Service};
use taskmon::language::Language;
use taskmon::outcome::Severity;
use taskmon::secret::Secret;

/// Long enough for a busy machine.
const PATIENCE: Duration = Duration::from_secs(20);

/// 2023-12-01T18:00:01.250Z
const NOW_MILLIS: i64 = 1_701_453_601_250;

fn now() -> DateTime<Utc> {
    DateTime::from_timestamp_millis(NOW_MILLIS).unwrap()
}

fn time() -> DateTime<FixedOffset> {
    DateTime::parse_from_rfc3339("2023-12-02T02:00:01+08:00").unwrap()
}

fn machine() -> Machine {
    Machine {
        clock: Arc::new(now),
        roots: Ok(certificates::roots()),
        proxy: None,
        qualified_name: None,
        inherited: Arc::new([]),
        variable: Arc::new(|_| Ok(None)),
    }
}

fn channel(service: Service, timeout: Duration) -> Box<dyn Channel + Send> {
    channel_in(service, timeout, machine())
}

fn channel_in(service: Service, timeout: Duration, machine: Machine) -> Box<dyn Channel + Send> {
    service.build(timeout, &machine).unwrap_or_else(|error| Box::new(Unusable(error)))
}

/// A channel that could not be built: its sending fails.
struct Unusable(SendError);

impl Channel for Unusable {
    fn send(&self, _: &Notification) -> Result<(), SendError> {
        Err(self.0.clone())
    }

    fn destination(&self) -> Destination {
        Destination::Program(String::new())
    }
}

/// A webhook with the body of the contract.
fn webhook_keys(url: SecretSource, secret: SecretSource) -> service::webhook::Config {
    let content_type = "application/json; charset=utf-8".to_owned();
    service::webhook::Config { url, secret, body: None, content_type }
}

fn hidden(text: &str) -> SecretSource {
    SecretSource::Text(Secret::new(text))
}

fn alert(kind: &str, severity: Severity, message: &str) -> Alert {
    Alert {
        kind: kind.to_owned(),
        severity,
        message: message.to_owned(),
        subject: None,
        value: None,
        threshold: None,
        count: None,
        tasks: Vec::new(),
        url: None,
    }
}

fn firing(alert: Alert) -> AlertUpdate {
    AlertUpdate { alert, status: Status::Firing }
}

fn resolved(alert: Alert) -> AlertUpdate {
    AlertUpdate { alert, status: Status::Resolved }
}

/// A firing alert with a value and a threshold, and a resolved one with a subject.
fn two_alerts() -> Vec<AlertUpdate> {
    let failing = Alert {
        value: serde_json::Number::from_f64(63.5),
        threshold: Some(50.into()),
        ..alert("critical_failure_rate", Severity::Critical, "任务失败率过高: 63.5%")
    };
    let full = Alert {
        subject: Some("/var".to_owned()),
        ..alert("disk_space_critical", Severity::Critical, "磁盘空间不足: 95%")
    };
    vec![firing(failing), resolved(full)]
}

fn notification(language: Language, alerts: Vec<AlertUpdate>) -> Notification {
    Notification { name: None, host: "web-1".to_owned(), time: time(), language, alerts }
}

/// One alert whose every text contains markup, mentions and control characters.
fn hostile() -> Notification {
    let text = "[x](http://evil.example) <script>alert(1)</script> **b** @all <at user_id=\"all\">a</at> <!channel> <@U1> & \r\n\r\nBcc: x@evil.example\n> `c` \u{202e}rtl \0 \u{1b}[31m";
    let evil = Alert {
        subject: Some(format!("subject {text}")),
        ..alert(&format!("kind {text}"), Severity::Error, text)
    };
    Notification {
        host: format!("host\r\n{text}"),
        ..notification(Language::En, vec![firing(evil)])
    }
}

/// Where and when the notifications of the tests come from, in English.
fn origin() -> String {
    format!("Host: web-1  Time: {}", time().format("%Y-%m-%d %H:%M:%S %:z"))
}

/// Fifty alerts, each longer than any service takes.
fn endless(language: Language) -> Notification {
    let long = |number| format!("{number}: {}", "错\"\\&<".repeat(2000));
    let every = (0..50).map(|number| firing(alert("t", Severity::Error, &long(number))));
    notification(language, every.collect())
}

/// Asserts that some of [`endless`] are shown and the others are counted.
fn assert_rest_is_counted(text: &str) {
    let shown = (0..50)
        .filter(|number| {
            text.contains(&format!(" {number}: 错")) || text.contains(&format!(" {number}\\: 错"))
        })
        .count();
    let (zh, en) =
        (format!("另有 {} 条未显示", 50 - shown), format!("and {} more not shown", 50 - shown));
    assert!(shown > 0 && (text.contains(&zh) || text.contains(&en)), "{shown}: {text}");
}

/// Asserts that no text in a JSON has control characters or breaks the line of an alert.
fn assert_harmless(json: &serde_json::Value) {
    let text = json.to_string();
    for control in ["\\r", "\\u0000", "\\u001b", "\u{202e}", "\\nBcc", "\\n&gt;", "\\n> "] {
        assert!(!text.contains(control), "{control:?} in {text}");
    }
}

/// The error of a notification that must not be accepted.
fn refusal(channel: &(dyn Channel + Send), notification: &Notification) -> SendError {
    channel.send(notification).expect_err("the notification should have been refused")
}

/// All that the program and its libraries log while the tests run.
static LOG: Log = Log(Mutex::new(String::new()));

struct Log(Mutex<String>);

impl Log {
    fn start() {
        // A second test of this process finds it started.
        let _ = log::set_logger(&LOG);
        log::set_max_level(log::LevelFilter::Trace);
    }

    fn text() -> String {
        LOG.0.lock().unwrap().clone()
    }
}

impl log::Log for Log {
    fn enabled(&self, _: &log::Metadata) -> bool {
        true
    }

    fn log(&self, record: &log::Record) {
        let line = format!("{} {} {}\n", record.level(), record.target(), record.args());
        self.0.lock().unwrap().push_str(&line);
    }

    fn flush(&self) {}
}

fn no_roots() -> Roots {
    Roots::from([])
}
