//! Redis as Celery's transport (kombu) uses it.
//!
//! A queue is a list, and one more for each priority step above 0. A delivery that a worker has not acknowledged stands in the hash
//! `unacked` as `[message, exchange, routing key]`, and in the sorted set `unacked_index` with the time of its delivery in seconds. Which
//! queues an exchange feeds stands in the set `_kombu.binding.EXCHANGE`, as routing key, pattern and queue with the separator between them.

use super::{Figures, Settings};
use ::redis::{
    Client, ClientTlsConfig, Connection, ErrorKind, IntoConnectionInfo, RedisError,
    TlsCertificates, cmd, pipe,
};
use chrono::{DateTime, Utc};
use percent_encoding::percent_decode_str;
use serde::de::IgnoredAny;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::time::Instant;

const BINDING: &str = "_kombu.binding.";

/// How many entries of a hash are read at once.
const PAGE: usize = 500;

/// More exchanges, or queues of one, than any application has.
const MOST_NAMES: usize = 100_000;

/// A delivery that is larger, in bytes, is counted and not read.
const LARGEST_DELIVERY: u64 = 1024 * 1024;

/// What Celery talks through to its workers, and workers among themselves: no task waits there.
const NO_TASKS: [&str; 3] = ["celery.pidbox", "reply.celery.pidbox", "celeryev"];

/// A delivery that stands under no queue that could be found out.
const UNKNOWN: &str = "?";

pub fn ask(settings: &Settings, now: DateTime<Utc>) -> Result<Figures, String> {
    let place = place(&settings.url);
    let mut redis = Redis::connect(settings).map_err(|error| failed(&place, &error))?;
    redis.figures(now).map_err(|why| match why {
        Issue::Redis(error) => failed(&place, &error),
        Issue::WrongKind(why) => format!("the broker at {place} cannot be asked: {why}"),
        Issue::TooMuch => format!(
            "the broker at {place} cannot be asked: it has too many keys to look through in broker.timeout_seconds; \
             where broker.queues names the queues they need not be found"
        ),
    })
}

enum Issue {
    Redis(RedisError),
    /// It answers, and is not done in time.
    TooMuch,
    /// A key holds another kind of thing: why.
    WrongKind(String),
}

impl From<RedisError> for Issue {
    fn from(error: RedisError) -> Self {
        Self::Redis(error)
    }
}

/// Of a queue that nobody has ever sent to or waited for, nothing lies here: whether one is meant by the name at all is not known.
fn unbound(
    queues: &mut BTreeMap<String, Option<u64>>,
    bound: &BTreeSet<String>,
    reasons: &mut BTreeMap<String, String>,
) {
    for (name, length) in queues {
        if *length == Some(0) && !bound.contains(name) {
            *length = None;
            let why = "Celery has bound no queue of this name";
            reasons.insert(format!("queues.{name}"), why.to_owned());
        }
    }
}

struct Redis<'a> {
    connection: Connection,
    settings: &'a Settings,
    /// Each answer has the time limit for itself; together they have it too.
    began: Instant,
    /// Why the bindings are not all known.
    unread: Option<String>,
}

impl<'a> Redis<'a> {
    fn connect(settings: &'a Settings) -> Result<Self, RedisError> {
        let began = Instant::now();
        let info = url(&settings.url).as_str().into_connection_info()?;
        let client = match certificates(&settings.url)? {
            Some(certificates) => Client::build_with_tls(info, certificates)?,
            None => Client::open(info)?,
        };
        let connection = client.get_connection_with_timeout(settings.timeout)?;
        connection.set_read_timeout(Some(settings.timeout))?;
        connection.set_write_timeout(Some(settings.timeout))?;
        Ok(Self { connection, settings, began, unread: None })
    }

    /// A server with millions of keys answers each page at once and is not done for minutes.
    fn in_time(&self) -> Result<(), Issue> {
        if self.began.elapsed() < self.settings.timeout { Ok(()) } else { Err(Issue::TooMuch) }
    }

    fn figures(&mut self, now: DateTime<Utc>) -> Result<Figures, Issue> {
        let named: BTreeSet<String> = self.settings.queues.iter().cloned().collect();
        let (names, known) =
            if named.is_empty() { (self.discover()?, None) } else { (named.clone(), Some(named)) };
        let mut reasons = BTreeMap::new();
        let mut queues = self.lengths(&names, &mut reasons)?;
        let unacknowledged = match self.unacknowledged() {
            Err(Issue::WrongKind(why)) => {
                reasons.insert("reserved_tasks".to_owned(), why.clone());
                reasons.insert("lost_tasks".to_owned(), why);
                None
            }
            answer => Some(answer?),
        };
        let overdue = match self.overdue(now) {
            Err(Issue::WrongKind(why)) => {
                reasons.insert("overdue_tasks".to_owned(), why);
                None
            }
            answer => Some(answer?),
        };
        // What else there is may take longer to find out than all the rest, and only says whether these are all.
        let (is_whole, is_bare) = match known {
            None => (true, names.is_empty()),
            Some(named) => match self.discover() {
                Ok(found) => {
                    if self.unread.is_none() {
                        unbound(&mut queues, &found, &mut reasons);
                    }
                    let is_bare = named.is_disjoint(&found);
                    (found.is_subset(&named), is_bare)
                }
                Err(Issue::TooMuch) => (false, false),
                Err(Issue::Redis(error)) if error.is_timeout() => (false, false),
                Err(why) => return Err(why),
            },
        };
        let held = unacknowledged.iter().flat_map(BTreeMap::values);
        let holds_nothing = (queues.values().flatten().chain(held)).all(|count| *count == 0);
        let says = |what: &str| format!("Redis does not know {what}");
        for (key, what) in [
            ("active_tasks", "which of the tasks that workers hold have begun"),
            ("scheduled_tasks", "which of the tasks that workers hold wait for their time"),
        ] {
            reasons.insert(key.to_owned(), says(what));
        }
        if let Some(why) = &self.unread {
            reasons.insert("lost_tasks".to_owned(), why.clone());
        }
        // Celery binds a queue when it first sends to it or waits for it: where nothing is bound and nothing lies, another place may be meant.
        if is_bare && holds_nothing && self.unread.is_none() {
            let why = "Celery has bound none of the queues here: is it another database of the server, another broker.global_keyprefix or another name in broker.queues?";
            for key in ["total_pending", "reserved_tasks", "lost_tasks", "overdue_tasks"] {
                let told = reasons.entry(key.to_owned());
                told.or_insert_with(|| why.to_owned());
            }
        } else if let Some(why) = self.unread.as_ref().filter(|_| names.is_empty()) {
            reasons.insert("total_pending".to_owned(), why.clone());
        }
        let mut unacknowledged = unacknowledged.unwrap_or_default();
        if !reasons.contains_key("reserved_tasks") {
            for name in &names {
                unacknowledged.entry(name.clone()).or_default();
            }
        }
        Ok(Figures {
            source: "redis",
            is_whole,
            queues,
            unacknowledged,
            consumers: None,
            overdue: overdue.filter(|_| !reasons.contains_key("overdue_tasks")),
            active: None,
            scheduled: None,
            reasons,
        })
    }

    fn key(&self, name: &str) -> String {
        format!("{}{name}", self.settings.global_keyprefix)
    }

    /// The queues of all bindings but those that carry no tasks.
    fn discover(&mut self) -> Result<BTreeSet<String>, Issue> {
        let start = self.key(BINDING);
        let mut names = BTreeSet::new();
        for key in self.scan_keys(&format!("{}*", escaped(&start)))? {
            let exchange = key.strip_prefix(&start).unwrap_or_default();
            let is_reply = exchange.ends_with(".pidbox") || exchange.starts_with("reply.");
            if is_reply || NO_TASKS.contains(&exchange) {
                continue;
            }
            for (_, queue) in self.bindings(exchange)? {
                names.insert(queue);
            }
        }
        Ok(names)
    }

    fn scan_keys(&mut self, pattern: &str) -> Result<BTreeSet<String>, Issue> {
        let mut keys = BTreeSet::new();
        let mut cursor = 0_u64;
        loop {
            self.in_time()?;
            let (next, page): (u64, Vec<Vec<u8>>) = cmd("SCAN")
                .arg(cursor)
                .arg("MATCH")
                .arg(pattern)
                .arg("COUNT")
                .arg(PAGE * 10)
                .query(&mut self.connection)?;
            for key in page {
                match String::from_utf8(key) {
                    Ok(key) => drop(keys.insert(key)),
                    Err(error) => self.cannot_read(&error.into_bytes(), "is no UTF-8 text"),
                }
            }
            if keys.len() > MOST_NAMES {
                return Err(Issue::TooMuch);
            }
            cursor = next;
            if cursor == 0 {
                return Ok(keys);
            }
        }
    }

    /// There may be a queue behind it that nobody knows of.
    fn cannot_read(&mut self, name: &[u8], why: &str) {
        let name = String::from_utf8_lossy(name);
        let told = format!("a binding of Celery's {why}: {name:?}");
        self.unread.get_or_insert(told);
    }

    /// Routing key and queue of each binding of an exchange.
    fn bindings(&mut self, exchange: &str) -> Result<Vec<(String, String)>, Issue> {
        let key = self.key(&format!("{BINDING}{exchange}"));
        let mut bindings = BTreeSet::new();
        let mut cursor = 0_u64;
        loop {
            self.in_time()?;
            let answer =
                cmd("SSCAN")
                    .arg(&key)
                    .arg(cursor)
                    .arg("COUNT")
                    .arg(PAGE)
                    .query::<(u64, Vec<Vec<u8>>)>(&mut self.connection);
            let (next, page) = match answer.map_err(|error| kind_of(&key, error)) {
                Err(Issue::WrongKind(_)) => {
                    self.cannot_read(key.as_bytes(), "is no set");
                    return Ok(Vec::new());
                }
                answer => answer?,
            };
            for member in page {
                let Ok(member) = String::from_utf8(member) else {
                    self.cannot_read(key.as_bytes(), "is no UTF-8 text");
                    continue;
                };
                let mut parts = member.split(self.settings.separator.as_str());
                if let (Some(routing_key), Some(queue)) = (parts.next(), parts.nth(1)) {
                    bindings.insert((routing_key.to_owned(), queue.to_owned()));
                }
            }
            if bindings.len() > MOST_NAMES {
                return Err(Issue::TooMuch);
            }
            cursor = next;
            if cursor == 0 {
                return Ok(bindings.into_iter().collect());
            }
        }
    }

    /// `None`: it is no list, or one of its priorities is none.
    fn lengths(
        &mut self,
        names: &BTreeSet<String>,
        reasons: &mut BTreeMap<String, String>,
    ) -> Result<BTreeMap<String, Option<u64>>, Issue> {
        let mut queues = BTreeMap::new();
        for name in names {
            self.in_time()?;
            let mut waiting = Some(0);
            for step in self.settings.priority_steps.clone() {
                let list = match step {
                    0 => self.key(name),
                    step => self.key(&format!("{name}{}{step}", self.settings.separator)),
                };
                let length = cmd("LLEN")
                    .arg(&list)
                    .query::<u64>(&mut self.connection)
                    .map_err(|error| kind_of(&list, error));
                match length {
                    Ok(length) => waiting = waiting.map(|waiting| waiting + length),
                    Err(Issue::WrongKind(why)) => {
                        waiting = None;
                        for key in ["total_pending", "lost_tasks"] {
                            reasons.insert(key.to_owned(), why.clone());
                        }
                        reasons.insert(format!("queues.{name}"), why);
                    }
                    Err(why) => return Err(why),
                }
            }
            queues.insert(name.clone(), waiting);
        }
        Ok(queues)
    }

    /// By the tags of the deliveries in the order of their times: the deliveries themselves, each with a whole message, are read as far as they are
    /// of a usual size, and never many megabytes of them at once.
    fn unacknowledged(&mut self) -> Result<BTreeMap<String, u64>, Issue> {
        let key = self.key("unacked");
        let all: u64 = cmd("HLEN")
            .arg(&key)
            .query(&mut self.connection)
            .map_err(|error| kind_of(&key, error))?;
        let mut by_route: HashMap<(String, String), u64> = HashMap::new();
        let (mut seen, mut unreadable) = (0, 0);
        let mut cursor = 0_u64;
        let index = self.key("unacked_index");
        if all == 0 {
            return Ok(BTreeMap::new());
        }
        loop {
            self.in_time()?;
            let answer = cmd("ZSCAN").arg(&index).arg(cursor).arg("COUNT").arg(PAGE).query::<(
                u64,
                Vec<(Vec<u8>, Vec<u8>)>,
            )>(
                &mut self.connection,
            );
            let (next, page) = match answer.map_err(|error| kind_of(&index, error)) {
                // Which of them are overdue is not known then, and these are held all the same.
                Err(Issue::WrongKind(_)) => break,
                answer => answer?,
            };
            for tags in page.chunks(PAGE) {
                let mut lengths = pipe();
                for (tag, _) in tags {
                    lengths.cmd("HSTRLEN").arg(&key).arg(tag);
                }
                let lengths: Vec<u64> = lengths.query(&mut self.connection)?;
                // What is acknowledged meanwhile has no length any more.
                let there = tags.iter().map(|(tag, _)| tag).zip(lengths);
                let there: Vec<(&Vec<u8>, u64)> = there.filter(|(_, length)| *length > 0).collect();
                seen += there.len() as u64;
                let (small, large): (Vec<_>, Vec<_>) =
                    (there.into_iter()).partition(|(_, length)| *length <= LARGEST_DELIVERY);
                unreadable += large.len() as u64;
                for some in small.chunk_by({
                    let mut bytes = 0;
                    move |_, (_, length)| {
                        bytes = if bytes > LARGEST_DELIVERY * 8 { 0 } else { bytes + length };
                        bytes > 0
                    }
                }) {
                    let mut deliveries = pipe();
                    for (tag, _) in some {
                        deliveries.cmd("HGET").arg(&key).arg(tag);
                    }
                    let deliveries: Vec<Option<Vec<u8>>> =
                        deliveries.query(&mut self.connection)?;
                    for delivery in deliveries.into_iter().flatten() {
                        type Delivery = (IgnoredAny, String, String);
                        match serde_json::from_slice::<Delivery>(&delivery) {
                            Ok((_, exchange, routing_key)) => {
                                *by_route.entry((exchange, routing_key)).or_default() += 1;
                            }
                            Err(_) => unreadable += 1,
                        }
                    }
                }
                self.in_time()?;
            }
            cursor = next;
            if cursor == 0 {
                break;
            }
        }
        let mut by_queue = BTreeMap::new();
        for ((exchange, routing_key), count) in by_route {
            let queue = self.queue_of(&exchange, &routing_key)?;
            *by_queue.entry(queue).or_default() += count;
        }
        let unknown = unreadable + all.saturating_sub(seen);
        if unknown > 0 {
            *by_queue.entry(UNKNOWN.to_owned()).or_default() += unknown;
        }
        Ok(by_queue)
    }

    /// The queue that a delivery came from. The default exchange, which has no name, feeds the queue that the routing key names.
    fn queue_of(&mut self, exchange: &str, routing_key: &str) -> Result<String, Issue> {
        if exchange.is_empty() {
            return Ok(routing_key.to_owned());
        }
        let bindings = self.bindings(exchange)?;
        let bound =
            bindings.into_iter().find(|(bound, _)| bound == routing_key || bound.is_empty());
        Ok(bound.map_or_else(
            || match routing_key {
                "" => UNKNOWN.to_owned(),
                routing_key => routing_key.to_owned(),
            },
            |(_, queue)| queue,
        ))
    }

    fn overdue(&mut self, now: DateTime<Utc>) -> Result<u64, Issue> {
        let timeout = self.settings.visibility_timeout.as_secs_f64();
        let before = now.timestamp_millis() as f64 / 1000.0 - timeout;
        let key = self.key("unacked_index");
        cmd("ZCOUNT")
            .arg(&key)
            .arg("-inf")
            .arg(format!("({before:.3}"))
            .query(&mut self.connection)
            .map_err(|error| kind_of(&key, error))
    }
}

/// Something else may have the name of a key of Celery's.
fn kind_of(key: &str, error: RedisError) -> Issue {
    if error.to_string().contains("WRONGTYPE") {
        Issue::WrongKind(format!(
            "the key {key:?} holds something else than Celery would have put there"
        ))
    } else {
        Issue::Redis(error)
    }
}

/// A name in a pattern of SCAN.
fn escaped(name: &str) -> String {
    let special = |letter: char| "*?[]\\^-".contains(letter);
    let escape = |letter: char| if special(letter) { vec!['\\', letter] } else { vec![letter] };
    name.chars().flat_map(escape).collect()
}

/// Celery's URL as the client library has it: a socket is `redis+socket://:password@/path?virtual_host=1` to Celery, and a server whose
/// certificate is not to be looked at is `rediss://host/0?ssl_cert_reqs=none`.
fn url(url: &str) -> String {
    if let Some(rest) = url.strip_prefix("redis+socket://") {
        let (login, socket) = rest.split_once('@').unwrap_or(("", rest));
        let mut socket = socket.replace("virtual_host=", "db=");
        let (user, password) = login.split_once(':').unwrap_or((login, ""));
        for (key, value) in [("user", user), ("pass", password)] {
            if !value.is_empty() {
                socket.push(if socket.contains('?') { '&' } else { '?' });
                socket.push_str(&format!("{key}={value}"));
            }
        }
        return format!("redis+unix://{socket}");
    }
    let trusts_all = option(url, "ssl_cert_reqs")
        .is_some_and(|asked| ["none", "cert_none"].contains(&asked.to_lowercase().as_str()));
    if trusts_all {
        format!("{}#insecure", url.split('#').next().unwrap_or_default())
    } else {
        url.to_owned()
    }
}

/// A value of the URL's query, decoded.
fn option(url: &str, name: &str) -> Option<String> {
    let (_, query) = url.split_once('?')?;
    let mut pairs = query.split('&').filter_map(|pair| pair.split_once('='));
    let (_, value) = pairs.find(|(key, _)| *key == name)?;
    Some(percent_decode_str(value).decode_utf8_lossy().into_owned())
}

/// What Celery's URL says of certificates: `ssl_ca_certs`, `ssl_certfile` and `ssl_keyfile` name files.
fn certificates(url: &str) -> Result<Option<TlsCertificates>, RedisError> {
    if !url.starts_with("rediss://") {
        return Ok(None);
    }
    let read = |name: &str| -> Result<Option<Vec<u8>>, RedisError> {
        let Some(path) = option(url, name) else {
            return Ok(None);
        };
        let text = std::fs::read(&path).map_err(|error| {
            let what = format!("{name} of broker.url, {path}: {error}");
            RedisError::from((ErrorKind::InvalidClientConfig, "a file cannot be read", what))
        });
        text.map(Some)
    };
    let (root_cert, cert, key) =
        (read("ssl_ca_certs")?, read("ssl_certfile")?, read("ssl_keyfile")?);
    let client_tls =
        cert.zip(key).map(|(client_cert, client_key)| ClientTlsConfig { client_cert, client_key });
    let any = root_cert.is_some() || client_tls.is_some();
    Ok(any.then_some(TlsCertificates { client_tls, root_cert }))
}

/// What the broker is called in messages: its host and port, or its socket.
pub fn place(url: &str) -> String {
    let rest = url.split_once("://").map_or("", |(_, rest)| rest);
    let rest = rest.rsplit_once('@').map_or(rest, |(_, place)| place);
    let end = if url.starts_with("redis+socket") { rest.find('?') } else { rest.find(['/', '?']) };
    match &rest[..end.unwrap_or(rest.len())] {
        "" => "localhost".to_owned(),
        place => place.to_owned(),
    }
}

fn failed(place: &str, error: &RedisError) -> String {
    let told = error.to_string();
    let wants_password = told.contains("NOAUTH") || told.contains("Authentication required");
    let why = match (error.is_timeout(), error.kind()) {
        _ if wants_password => "it wants a password, and broker.url has none".to_owned(),
        (true, _) => "it does not answer in time".to_owned(),
        (_, ErrorKind::AuthenticationFailed) => "it refuses the password of broker.url".to_owned(),
        _ if told.contains("WRONGPASS") => "it refuses the password of broker.url".to_owned(),
        _ if told.contains("NOPERM") => {
            "its user has no permission for what is asked: SELECT, LLEN, SCAN, SSCAN, ZSCAN, ZCOUNT, HLEN, HSTRLEN and HGET".to_owned()
        }
        (_, ErrorKind::Parse | ErrorKind::UnexpectedReturnType) => {
            "what answers there is no Redis".to_owned()
        }
        _ if told.contains("DB index is out of range") => {
            "it has no database of the number that broker.url ends in".to_owned()
        }
        _ if told.contains(" of broker.url, ") => {
            told[told.find("ssl_").unwrap_or_default()..].to_owned()
        }
        _ => super::happened(&told),
    };
    format!("the broker at {place} cannot be asked: {why}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_broker_is_called_by_its_place_without_its_password() {
        for (url, expected) in [
            ("redis://:s3cret@host:6380/2", "host:6380"),
            ("rediss://user:p%40ss@[::1]:6379/0?x=1", "[::1]:6379"),
            ("redis:///0", "localhost"),
            ("redis+socket:///run/redis.sock?virtual_host=1", "/run/redis.sock"),
        ] {
            assert_eq!(place(url), expected, "{url}");
        }
    }

    #[test]
    fn a_socket_is_written_as_the_library_has_it() {
        let url = url("redis+socket:///run/redis.sock?virtual_host=3");
        assert_eq!(url, "redis+unix:///run/redis.sock?db=3");
        assert!(url.as_str().into_connection_info().is_ok());
    }

    #[test]
    fn what_celery_says_in_a_url_is_understood() {
        for (celery, own) in [
            (
                "redis+socket://:p%40ss@/run/redis.sock?virtual_host=3",
                "redis+unix:///run/redis.sock?db=3&pass=p%40ss",
            ),
            (
                "redis+socket://shop:p@/run/redis.sock",
                "redis+unix:///run/redis.sock?user=shop&pass=p",
            ),
            (
                "rediss://:p@host:6380/0?ssl_cert_reqs=CERT_NONE",
                "rediss://:p@host:6380/0?ssl_cert_reqs=CERT_NONE#insecure",
            ),
            ("rediss://host/0?ssl_cert_reqs=required", "rediss://host/0?ssl_cert_reqs=required"),
        ] {
            assert_eq!(url(celery), own);
            assert!(own.into_connection_info().is_ok(), "{own}");
        }
    }

    #[test]
    fn names_are_taken_literally_in_patterns() {
        assert_eq!(escaped("a*[b]?"), "a\\*\\[b\\]\\?");
    }
}
