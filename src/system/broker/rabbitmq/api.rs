//! RabbitMQ's management API, which the plugin `rabbitmq_management` serves.
//!
//! Its figures are some seconds old at most: queues report them every five seconds.

use crate::secret::Secret;
use crate::system::broker::Settings;
use crate::system::broker::explain::explain;
use crate::tls::{agent, client_config, system_roots};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use percent_encoding::{NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};
use serde::de::{Error as _, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};
use std::fmt;
use std::io::{self, BufReader, Read};
use ureq::Agent;

/// Some thousands of queues.
const LARGEST_ANSWER: u64 = 16 * 1024 * 1024;

/// However little is said of each.
const MOST_QUEUES: usize = 100_000;

#[derive(Deserialize)]
pub struct Queue {
    pub name: String,
    /// Missing until the queue has reported for the first time, and where its node is down.
    pub messages_ready: Option<u64>,
    pub messages_unacknowledged: Option<u64>,
    #[serde(default)]
    pub consumers: u64,
    #[serde(default)]
    pub exclusive: bool,
    #[serde(default)]
    pub auto_delete: bool,
}

/// The queues of an answer, read one by one.
struct Queues(Vec<Queue>);

impl<'de> Deserialize<'de> for Queues {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Each;
        impl<'de> Visitor<'de> for Each {
            type Value = Queues;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a list of queues")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Queues, A::Error> {
                let mut queues = Vec::new();
                while let Some(queue) = list.next_element()? {
                    if queues.len() == MOST_QUEUES {
                        return Err(A::Error::custom("there are too many"));
                    }
                    queues.push(queue);
                }
                Ok(Queues(queues))
            }
        }
        deserializer.deserialize_seq(Each)
    }
}

/// Where the API is, and with which login it is asked.
pub struct Api {
    url: String,
    /// The host and port, for messages.
    pub place: String,
    login: String,
}

impl Api {
    /// From `broker.management_url` if it is given, else beside the broker, at RabbitMQ's default port.
    pub fn beside(broker: &Secret, management: Option<&Secret>) -> Result<Self, String> {
        let broker = Parts::of(broker.expose())?;
        let vhost = match broker.path {
            "" | "/" => "/".to_owned(),
            path => decoded(&path[1..]),
        };
        let vhost = utf8_percent_encode(&vhost, NON_ALPHANUMERIC).to_string();
        let (base, login, place) = match management {
            Some(url) => {
                let api = Parts::of(url.expose())?;
                let login = api.login.or(broker.login);
                let base = format!("{}://{}{}", api.scheme, api.place, api.path);
                (base, login, api.place.to_owned())
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

    pub fn queues(&self, settings: &Settings) -> Result<Vec<Queue>, String> {
        let config = Agent::config_builder()
            .timeout_global(Some(settings.timeout()))
            .http_status_as_error(false)
            .max_redirects(0)
            .max_redirects_will_error(false)
            .proxy(None)
            .build();
        let is_https = self.url.starts_with("https:");
        let tls = is_https.then(|| client_config(&system_roots()?)).transpose()?;
        let authorization = format!("Basic {}", STANDARD.encode(&self.login));
        let mut response = agent(config, tls)
            .get(&self.url)
            .header("Authorization", &authorization)
            .call()
            .map_err(|error| match error {
                ureq::Error::Timeout(_) => "it does not answer in time".to_owned(),
                ureq::Error::HostNotFound => "there is no host of that name".to_owned(),
                ureq::Error::Io(error) => explain(&error.to_string()),
                error => explain(&error.to_string()),
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
        let mut answer = BufReader::new(response.body_mut().as_reader().take(LARGEST_ANSWER));
        let read = serde_json::from_reader(&mut answer);
        let is_whole = answer.get_ref().limit() > 0;
        match read {
            Ok(Queues(queues)) => Ok(queues),
            Err(_) if !is_whole => {
                Err("its management API answers with more than 16 MiB".to_owned())
            }
            Err(error) if error.is_io() => Err(match ureq::Error::from(io::Error::from(error)) {
                ureq::Error::Timeout(_) => "it does not answer in time".to_owned(),
                _ => "its answer breaks off".to_owned(),
            }),
            Err(error) if error.to_string().starts_with("there are too many") => {
                Err(format!("it has more than {MOST_QUEUES} queues"))
            }
            Err(_) => Err("its answer is not that of RabbitMQ's management API".to_owned()),
        }
    }
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
    use super::*;

    fn api(url: &str, management: Option<&str>) -> Api {
        Api::beside(&Secret::new(url), management.map(Secret::new).as_ref()).unwrap()
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
}
