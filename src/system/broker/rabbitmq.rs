//! RabbitMQ through its management API, which the plugin `rabbitmq_management` serves.
//!
//! Its figures are some seconds old at most: queues report them every five seconds.

use super::{Figures, Settings};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use percent_encoding::{NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};
use serde::Deserialize;
use std::collections::{BTreeMap, BTreeSet};
use std::io::Read;
use std::sync::Arc;
use ureq::Agent;
use ureq::tls::{Certificate, RootCerts, TlsConfig};

/// Celery keeps tasks with a time in queues of this name, one for each power of two seconds (native delayed delivery); a prefix may stand before it.
const DELAYED: &str = "celery_delayed_";

/// Some thousands of queues.
const LARGEST_ANSWER: u64 = 16 * 1024 * 1024;

#[derive(Deserialize)]
struct Queue {
    name: String,
    /// Missing until the queue has reported for the first time, and where its node is down.
    messages_ready: Option<u64>,
    messages_unacknowledged: Option<u64>,
    #[serde(default)]
    consumers: u64,
    #[serde(default)]
    exclusive: bool,
    #[serde(default)]
    auto_delete: bool,
}

pub fn ask(settings: &Settings) -> Result<Figures, String> {
    let api = Api::of(settings)?;
    let queues = api
        .queues(settings)
        .map_err(|why| format!("the broker at {} cannot be asked: {why}", api.place))?;
    Ok(figures(settings, queues))
}

/// Where the API is, and with which login it is asked.
struct Api {
    url: String,
    /// The host and port, for messages.
    place: String,
    login: String,
}

impl Api {
    /// From `broker.management_url` if it is given, else beside the broker, at the port that RabbitMQ uses unless told otherwise.
    fn of(settings: &Settings) -> Result<Self, String> {
        let broker = Parts::of(&settings.url)?;
        let vhost = match broker.path {
            "" | "/" => "/".to_owned(),
            path => decoded(&path[1..]),
        };
        let vhost = utf8_percent_encode(&vhost, NON_ALPHANUMERIC).to_string();
        let (base, login, place) = match &settings.management_url {
            Some(url) => {
                let own = Parts::of(url)?;
                let login = own.login.or(broker.login);
                let base = format!("{}://{}{}", own.scheme, own.place, own.path);
                (base, login, own.place.to_owned())
            }
            None => {
                let (scheme, port) = match broker.scheme {
                    "amqps" => ("https", 15671),
                    _ => ("http", 15672),
                };
                let place = format!("{}:{port}", broker.host());
                (format!("{scheme}://{place}"), broker.login, place)
            }
        };
        let login = login.map_or("guest:guest".to_owned(), decoded);
        Ok(Self {
            url: format!(
                "{}/api/queues/{vhost}?columns=name,messages_ready,messages_unacknowledged,consumers,exclusive,auto_delete",
                base.trim_end_matches('/')
            ),
            place,
            login,
        })
    }

    fn queues(&self, settings: &Settings) -> Result<Vec<Queue>, String> {
        let mut builder = Agent::config_builder()
            .timeout_global(Some(settings.timeout))
            .http_status_as_error(false)
            .max_redirects(0)
            .max_redirects_will_error(false)
            .proxy(None);
        if self.url.starts_with("https:") {
            builder = builder.tls_config(tls()?);
        }
        let authorization = format!("Basic {}", STANDARD.encode(&self.login));
        let mut response = builder
            .build()
            .new_agent()
            .get(&self.url)
            .header("Authorization", &authorization)
            .call()
            .map_err(|error| match error {
                ureq::Error::Timeout(_) => "it does not answer in time".to_owned(),
                ureq::Error::Io(error) => super::happened(&error.to_string()),
                ureq::Error::HostNotFound => "there is no host of that name".to_owned(),
                error => super::happened(&error.to_string()),
            })?;
        match response.status().as_u16() {
            200 => {}
            401 | 403 => return Err("it refuses the user or the password".to_owned()),
            404 => {
                return Err(
                    "it knows no such virtual host, or this is no management API".to_owned()
                );
            }
            status => return Err(format!("its management API answers with status {status}")),
        }
        let mut answer = Vec::new();
        let read =
            (response.body_mut().as_reader()).take(LARGEST_ANSWER + 1).read_to_end(&mut answer);
        read.map_err(|error| match ureq::Error::from(error) {
            ureq::Error::Timeout(_) => "it does not answer in time".to_owned(),
            _ => "its answer breaks off".to_owned(),
        })?;
        if answer.len() as u64 > LARGEST_ANSWER {
            return Err("its management API answers with more than 16 MiB".to_owned());
        }
        serde_json::from_slice(&answer)
            .map_err(|_| "its answer is not that of RabbitMQ's management API".to_owned())
    }
}

fn tls() -> Result<TlsConfig, String> {
    let found = rustls_native_certs::load_native_certs();
    if found.certs.is_empty() {
        return Err("there are no certificates to check its own with: install ca-certificates, or name a file in SSL_CERT_FILE".to_owned());
    }
    let certificates: Vec<Certificate<'static>> = found
        .certs
        .iter()
        .map(|certificate| Certificate::from_der(certificate).to_owned())
        .collect();
    Ok(TlsConfig::builder()
        .root_certs(RootCerts::new_with_certs(&certificates))
        .unversioned_rustls_crypto_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .build())
}

fn figures(settings: &Settings, queues: Vec<Queue>) -> Figures {
    let (delayed, queues): (Vec<Queue>, Vec<Queue>) =
        queues.into_iter().partition(|queue| is_delayed(&queue.name));
    let queues: BTreeMap<&str, &Queue> = queues
        .iter()
        .filter(|queue| carries_tasks(queue) || settings.queues.contains(&queue.name))
        .map(|queue| (queue.name.as_str(), queue))
        .collect();
    let named: BTreeSet<&str> = settings.queues.iter().map(String::as_str).collect();
    let is_whole = named.is_empty() || queues.keys().all(|name| named.contains(name));
    let is_bare = queues.is_empty()
        || named.iter().all(|name| !queues.contains_key(name)) && !named.is_empty();
    let names: BTreeSet<&str> =
        if named.is_empty() { queues.keys().copied().collect() } else { named };
    let count = |of: &dyn Fn(&Queue) -> Option<u64>| -> BTreeMap<String, u64> {
        let counted = names.iter().filter_map(|name| {
            let count = of(queues.get(name)?)?;
            Some(((*name).to_owned(), count))
        });
        counted.collect()
    };
    let mut reasons = BTreeMap::from([(
        "active_tasks".to_owned(),
        "RabbitMQ does not know which of the tasks that workers hold have begun".to_owned(),
    )]);
    let scheduled: Option<u64> = delayed
        .iter()
        .map(|queue| Some(queue.messages_ready? + queue.messages_unacknowledged?))
        .sum();
    let scheduled = scheduled.filter(|_| !delayed.is_empty());
    if !delayed.is_empty() && scheduled.is_none() {
        let why = "a delayed queue has not reported its figures";
        reasons.insert("scheduled_tasks".to_owned(), why.to_owned());
    } else if scheduled.is_none() {
        let why = "there are no delayed queues: workers hold tasks with a time themselves, among the reserved ones";
        reasons.insert("scheduled_tasks".to_owned(), why.to_owned());
    }
    for name in names.iter().filter(|name| !queues.contains_key(*name)) {
        reasons.insert(format!("queues.{name}"), "the broker has no such queue".to_owned());
    }
    if is_bare {
        let why = if settings.queues.is_empty() {
            "the virtual host has no queue of Celery's: is it another virtual host?"
        } else {
            "the broker has none of the queues that broker.queues names: is it another virtual host?"
        };
        for key in ["total_pending", "reserved_tasks", "lost_tasks"] {
            reasons.insert(key.to_owned(), why.to_owned());
        }
    }
    let is_silent = |name: &&&str| {
        let reports = |queue: &&Queue| {
            queue.messages_ready.is_some() && queue.messages_unacknowledged.is_some()
        };
        queues.get(**name).is_some_and(|queue| !reports(queue))
    };
    let silent: Vec<&str> = names.iter().filter(is_silent).copied().collect();
    if !silent.is_empty() {
        for name in &silent {
            let why = "it has not reported its figures";
            reasons.insert(format!("queues.{name}"), why.to_owned());
        }
        let why = format!(
            "these queues have not reported their figures, because they are new or their node is down: {}",
            silent.join(", ")
        );
        for key in ["total_pending", "reserved_tasks", "lost_tasks"] {
            reasons.insert(key.to_owned(), why.clone());
        }
    }
    Figures {
        source: "rabbitmq",
        is_whole,
        queues: (names.iter())
            .map(|name| {
                let queue = queues.get(name);
                let ready = queue.and_then(|queue| queue.messages_ready);
                ((*name).to_owned(), ready)
            })
            .collect(),
        unacknowledged: count(&|queue| queue.messages_unacknowledged),
        consumers: Some(count(&|queue| Some(queue.consumers))),
        overdue: None,
        active: None,
        scheduled,
        reasons,
    }
}

fn is_delayed(queue: &str) -> bool {
    let name = queue.trim_end_matches(|letter: char| letter.is_ascii_digit());
    let prefix = name.strip_suffix(DELAYED);
    name != queue && prefix.is_some_and(|prefix| prefix.is_empty() || prefix.ends_with('_'))
}

/// Not what Celery talks through to its workers, and workers among themselves.
fn carries_tasks(queue: &Queue) -> bool {
    let is_answered_to = queue.exclusive || queue.auto_delete && is_uuid(&queue.name);
    !queue.name.ends_with(".pidbox") && !queue.name.starts_with("celeryev.") && !is_answered_to
}

/// A client waits for its answers in a queue that is called by a number made up for it.
fn is_uuid(name: &str) -> bool {
    let digits: Vec<&str> = name.split('-').collect();
    let lengths: Vec<usize> = digits.iter().map(|part| part.len()).collect();
    let is_hex = |part: &&str| part.chars().all(|letter| letter.is_ascii_hexdigit());
    lengths == [8, 4, 4, 4, 12] && digits.iter().all(is_hex)
}

/// A URL in pieces, as far as it is needed here.
struct Parts<'u> {
    scheme: &'u str,
    /// Percent-encoded, `user:password`.
    login: Option<&'u str>,
    /// Host and port.
    place: &'u str,
    path: &'u str,
}

impl<'u> Parts<'u> {
    fn of(url: &'u str) -> Result<Self, String> {
        let (scheme, rest) = url.split_once("://").ok_or("the broker's URL has no scheme")?;
        let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
        let (authority, path) = rest.split_at(end);
        let path = &path[..path.find(['?', '#']).unwrap_or(path.len())];
        let (login, place) = match authority.rsplit_once('@') {
            Some((login, place)) => (Some(login), place),
            None => (None, authority),
        };
        Ok(Self { scheme, login, place, path })
    }

    fn host(&self) -> &'u str {
        let host = match self.place.rsplit_once(':') {
            Some((host, port)) if port.chars().all(|letter| letter.is_ascii_digit()) => host,
            _ => self.place,
        };
        if host.is_empty() { "localhost" } else { host }
    }
}

fn decoded(text: &str) -> String {
    percent_decode_str(text).decode_utf8_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    use super::super::tests::settings;
    use super::*;

    fn api(url: &str, management: Option<&str>) -> Api {
        Api::of(&Settings {
            url: url.to_owned(),
            management_url: management.map(str::to_owned),
            ..settings()
        })
        .unwrap()
    }

    #[test]
    fn the_api_is_found_beside_the_broker() {
        for (url, starts, login) in [
            (
                "amqp://u:p%40ss@mq.example:5673/",
                "http://mq.example:15672/api/queues/%2F?",
                "u:p@ss",
            ),
            (
                "amqps://mq.example/shop%2Fa",
                "https://mq.example:15671/api/queues/shop%2Fa?",
                "guest:guest",
            ),
            ("amqp://u:p@[::1]//", "http://[::1]:15672/api/queues/%2F?", "u:p"),
        ] {
            let api = api(url, None);
            assert!(api.url.starts_with(starts), "{}", api.url);
            assert_eq!(api.login, login);
        }
        let api = api("amqp://u:p@mq.example/shop", Some("https://mq.example/rabbit/"));
        assert!(api.url.starts_with("https://mq.example/rabbit/api/queues/shop?"), "{}", api.url);
        assert_eq!(api.login, "u:p");
    }

    #[test]
    fn delayed_queues_stand_apart_and_those_without_tasks_are_left_out() {
        let queue = |name: &str, ready, held| Queue {
            name: name.to_owned(),
            messages_ready: Some(ready),
            messages_unacknowledged: Some(held),
            consumers: 1,
            exclusive: false,
            auto_delete: false,
        };
        let all = vec![
            queue("mail", 3, 2),
            queue("celery_delayed_4", 5, 0),
            queue("shop_celery_delayed_0", 1, 1),
            queue("celery_delayed_reports", 2, 0),
            queue("celery@host.celery.pidbox", 9, 0),
            queue("celeryev.1234", 9, 0),
        ];
        let figures = figures(&settings(), all);
        let waiting = [("celery_delayed_reports", 2), ("mail", 3)];
        let waiting = waiting.map(|(name, count)| (name.to_owned(), Some(count)));
        assert_eq!(figures.queues, BTreeMap::from(waiting));
        assert_eq!(figures.scheduled, Some(7));
        assert!(figures.is_whole);
    }
}
