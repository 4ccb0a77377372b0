//! From the configuration to channels that can send: secrets fetched, certificates read, the clock handed in.

use crate::alert::Notification;
use crate::channels::{
    self, Channel as Sender, ChannelConfig, Encryption, Grouping, Mail, Place, Proxy, Roots,
    SendError, Surroundings, try_build, unusable,
};
use crate::config::file::MailTls;
use crate::config::{Channel, ChannelType, Config, Env};
use crate::notify::Listener;
use crate::notify::deliver::Outgoing;
use crate::outcome::Severity;
use crate::secret::Secret;
use chrono::{DateTime, TimeDelta, Utc};
use rustix::fs::{Access, access};
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::{Duration, Instant};

/// A configured channel, ready to send.
pub struct Prepared {
    /// As in [`listeners`].
    pub name: String,
    pub min_severity: Severity,
    /// Why it cannot send: a secret that is not there, an address that is none. Sending says the same.
    pub issue: Option<SendError>,
    channel: Box<dyn Sender + Send>,
    grouping: Grouping,
    retries: u32,
}

impl Prepared {
    /// With what it is to be told.
    pub fn outgoing(self, notice: Notification) -> Outgoing {
        Outgoing {
            name: self.name,
            channel: self.channel,
            grouping: self.grouping,
            retries: self.retries,
            notice,
        }
    }
}

/// The channels as the records know them, in the order of the configuration: by their type, the second and further ones of a type
/// numbered, `webhook`, `webhook 2`.
pub fn listeners(channels: &[Channel]) -> Vec<Listener> {
    let listeners = channels.iter().enumerate().map(|(at, channel)| {
        let before = channels[..at].iter();
        let number = 1 + before.filter(|other| other.kind == channel.kind).count();
        let name = match number {
            1 => channel.kind.name().to_owned(),
            n => format!("{} {n}", channel.kind.name()),
        };
        Listener { name, min_severity: channel.min_severity }
    });
    listeners.collect()
}

/// Prepares every channel, in the order of the configuration. One that cannot be prepared is among them, and its sending fails.
///
/// `now` is the time at which the run began, which was at `started`.
pub fn prepare(
    channels: &[Channel],
    env: &Env,
    now: DateTime<Utc>,
    started: Instant,
) -> Vec<Prepared> {
    let surroundings = surroundings(channels, env, now, started);
    let prepared = channels
        .iter()
        .zip(listeners(channels))
        .map(|(channel, listener)| prepare_one(channel, listener, env, &surroundings));
    prepared.collect()
}

fn prepare_one(
    channel: &Channel,
    listener: Listener,
    env: &Env,
    surroundings: &Surroundings,
) -> Prepared {
    let (sender, grouping, issue) = match place(channel, env) {
        Ok(place) => {
            let grouping = place.grouping();
            let config = ChannelConfig {
                place,
                timeout: Duration::from_secs(channel.timeout_seconds.into()),
                surroundings: surroundings.clone(),
            };
            match try_build(&config) {
                Ok(sender) => (sender, grouping, None),
                Err(error) => (unusable(error.clone()), grouping, Some(error)),
            }
        }
        Err(why) => {
            let error = SendError::permanent(why);
            (unusable(error.clone()), Grouping::Run, Some(error))
        }
    };
    Prepared {
        name: listener.name,
        min_severity: listener.min_severity,
        issue,
        channel: sender,
        grouping,
        retries: channel.retries,
    }
}

/// # Errors
/// Which key, variable or file is at fault. No value of theirs is quoted.
fn place(channel: &Channel, env: &Env) -> Result<Place, String> {
    let url = || url(channel, env);
    let secret = || secret(channel, env);
    Ok(match channel.kind {
        ChannelType::Webhook => Place::Webhook { url: url()?, secret: secret()? },
        ChannelType::Slack => Place::Slack { url: url()? },
        ChannelType::Feishu => Place::Feishu { url: url()?, secret: secret()? },
        ChannelType::Dingtalk => Place::Dingtalk { url: url()?, secret: secret()? },
        ChannelType::Wecom => Place::Wecom { url: url()? },
        ChannelType::Email => Place::Email(Mail {
            url: url()?,
            password: password(channel, env)?,
            from: channel.from.clone().unwrap_or_default(),
            to: channel.to.clone().unwrap_or_default(),
            encryption: channel.tls.map(encryption),
        }),
        ChannelType::Command => Place::Command(channel.command.clone().unwrap_or_default()),
    })
}

fn encryption(tls: MailTls) -> Encryption {
    match tls {
        MailTls::Starttls => Encryption::Starttls,
        MailTls::Tls => Encryption::Tls,
        MailTls::None => Encryption::None,
    }
}

fn url(channel: &Channel, env: &Env) -> Result<Secret, String> {
    let given = channel.url.as_ref().map(|url| url.expose());
    let source = Source {
        key: "url",
        given,
        variable: channel.url_env.as_deref(),
        file: channel.url_file.as_deref(),
    };
    source.read(env)?.ok_or_else(|| "`url` is missing".to_owned())
}

fn secret(channel: &Channel, env: &Env) -> Result<Option<Secret>, String> {
    let given = channel.secret.as_ref().map(|secret| secret.expose());
    let source = Source {
        key: "secret",
        given,
        variable: channel.secret_env.as_deref(),
        file: channel.secret_file.as_deref(),
    };
    source.read(env)
}

fn password(channel: &Channel, env: &Env) -> Result<Option<Secret>, String> {
    let given = channel.password.as_ref().map(|password| password.expose());
    let source = Source {
        key: "password",
        given,
        variable: channel.password_env.as_deref(),
        file: channel.password_file.as_deref(),
    };
    source.read(env)
}

/// Where a secret may stand; the configuration has seen to it that at most one is given.
struct Source<'a> {
    key: &'static str,
    given: Option<&'a str>,
    variable: Option<&'a str>,
    file: Option<&'a Path>,
}

impl Source<'_> {
    /// `None`: it stands nowhere.
    fn read(&self, env: &Env) -> Result<Option<Secret>, String> {
        let key = self.key;
        if let Some(name) = self.variable {
            let value = env.text(name).map_err(|failure| format!("`{key}_env`: {failure}"))?;
            return match value {
                Some(value) => Ok(Some(Secret::new(value))),
                None => Err(format!(
                    "`{key}_env` names the environment variable {name}, which is not set or empty (cron passes on next to none; a crontab can set variables)"
                )),
            };
        }
        if let Some(path) = self.file {
            return self.read_file(path).map(Some);
        }
        match self.given {
            Some("") => Err(format!("`{key}` is empty")),
            given => Ok(given.map(Secret::new)),
        }
    }

    fn read_file(&self, path: &Path) -> Result<Secret, String> {
        let (key, shown) = (self.key, path.display());
        // An editor, and `echo`, end a file with a line break.
        let text = crate::files::read_regular(path)
            .map_err(|error| format!("`{key}_file`: {shown} cannot be read: {error}"))?;
        match text.trim_end_matches(['\n', '\r']) {
            "" => Err(format!("`{key}_file`: {shown} is empty")),
            text => Ok(Secret::new(text)),
        }
    }
}

// ---- whether they could send

/// Why a channel could not be reached, and what to do about it.
pub struct Unreached {
    pub why: String,
    pub hint: &'static str,
}

impl Unreached {
    fn new(why: String, hint: &'static str) -> Self {
        Self { why, hint }
    }

    /// A secret that is not there.
    fn secret(why: String) -> Self {
        let hint = if why.contains("_env`") {
            "name a file with …_file instead, or set the variable in a line of the crontab above the block"
        } else {
            "the user that cron runs the jobs as has to be able to read it; [[alerts.channels]] says where it is"
        };
        Self::new(why, hint)
    }

    /// An address that is none, or that nothing can be sent to safely.
    fn address(why: String) -> Self {
        Self::new(why, "put it right in [[alerts.channels]] or [heartbeat]")
    }

    /// A host that does not answer, or not as it should.
    fn host(why: String) -> Self {
        let is_about_trust = ["certificate", "TLS", "tls"];
        let hint = if is_about_trust.iter().any(|word| why.contains(word)) {
            "install the authority's certificate in the system, or name it in SSL_CERT_FILE (in the crontab too); an expired or wrong one is the server's to mend"
        } else {
            "are host and port right, and does a firewall stand between? A proxy has to be named in the crontab too (HTTPS_PROXY=…)"
        };
        Self::new(why, hint)
    }

    fn program(why: String) -> Self {
        Self::new(
            why,
            "write the program's absolute path in `command`, and have it executable (chmod +x) for the user that cron runs the jobs as",
        )
    }
}

type Reached = Result<String, Unreached>;

/// Reaches for every channel and heartbeat at once, each for no longer than `patience`, and sends nothing: what each is called, and what was
/// reached or why nothing was.
pub fn reach(
    config: &Config,
    env: &Env,
    now: DateTime<Utc>,
    started: Instant,
    patience: Duration,
) -> Vec<(String, Reached)> {
    let channels = &config.alerts.channels;
    let around = surroundings(channels, env, now, started);
    let mut looks: Vec<(String, Receiver<Reached>)> = Vec::new();
    for (channel, prepared) in channels.iter().zip(prepare(channels, env, now, started)) {
        let (place, around) = (place(channel, env), around.clone());
        let program = channel.command.clone().unwrap_or_default();
        let search = env.path("PATH").unwrap_or_default();
        let look = move || match (prepared.issue, place) {
            (_, Err(why)) => Err(Unreached::secret(why)),
            (Some(issue), _) => Err(Unreached::address(issue.message)),
            (None, Ok(place)) => match channels::reach(&place, patience, &around) {
                Some(reached) => reached.map_err(|error| Unreached::host(error.message)),
                None => runnable(program.first().map_or("", String::as_str), search.as_os_str())
                    .map_err(Unreached::program),
            },
        };
        looks.push((prepared.name, aside(look)));
    }
    for (job, url) in config.heartbeat.all() {
        let (url, env) = (url.clone(), env.clone());
        let look = move || {
            let around = surroundings_of(&url, &env, now, started);
            let reached = channels::reach_url(&url, patience, &around);
            reached.map_err(|error| match error.permanent {
                true if !error.message.contains("certificate") => Unreached::address(error.message),
                _ => Unreached::host(error.message),
            })
        };
        looks.push((format!("heartbeat.{job}"), aside(look)));
    }
    // Beside the time of each step, for a host name whose lookup hangs.
    let deadline = Instant::now() + patience + Duration::from_secs(1);
    let wait = |answer: Receiver<Reached>| {
        let rest = deadline.saturating_duration_since(Instant::now());
        let late = || {
            let why = format!("no answer within {} s", patience.as_secs());
            Err(Unreached::host(why))
        };
        answer.recv_timeout(rest).unwrap_or_else(|_| late())
    };
    looks.into_iter().map(|(name, answer)| (name, wait(answer))).collect()
}

/// Looks in a thread of its own.
fn aside(look: impl FnOnce() -> Reached + Send + 'static) -> Receiver<Reached> {
    let (sender, receiver) = channel();
    let failed = sender.clone();
    // Nobody listens any more once the time is over.
    let work = move || drop(sender.send(look()));
    if let Err(error) = thread::Builder::new().spawn(work) {
        let why = format!("no thread can be started: {error}");
        let hint = "look at the limits of processes and memory (ulimit -u)";
        let _ = failed.send(Err(Unreached::new(why, hint)));
    }
    receiver
}

/// Where a program stands that a channel runs.
fn runnable(program: &str, search: &OsStr) -> Result<String, String> {
    let candidates: Vec<PathBuf> = if program.contains('/') {
        vec![PathBuf::from(program)]
    } else {
        std::env::split_paths(search).map(|folder| folder.join(program)).collect()
    };
    let is_there = |path: &&PathBuf| path.is_file();
    let Some(found) = candidates.iter().find(is_there) else {
        return Err(if program.contains('/') {
            format!("there is no program {program}")
        } else {
            format!("there is no program {program} in any folder of PATH")
        });
    };
    match access(found, Access::EXEC_OK) {
        Ok(()) => Ok(found.display().to_string()),
        Err(error) => Err(format!("{} cannot be run: {error}", found.display())),
    }
}

// ---- what channels take from the machine

fn surroundings(
    channels: &[Channel],
    env: &Env,
    now: DateTime<Utc>,
    started: Instant,
) -> Surroundings {
    let needs_roots = channels.iter().any(|channel| channel.kind != ChannelType::Command);
    let roots = if needs_roots { roots() } else { Ok(Roots::from([])) };
    with_roots(roots, channels, env, now, started)
}

/// The same for requests to one URL. Certificates are read only if it asks for TLS.
pub(super) fn surroundings_of(
    url: &Secret,
    env: &Env,
    now: DateTime<Utc>,
    started: Instant,
) -> Surroundings {
    let roots = match url.scheme() {
        "http" => Ok(Roots::from([])),
        _ => roots(),
    };
    with_roots(roots, &[], env, now, started)
}

fn with_roots(
    roots: Result<Roots, String>,
    channels: &[Channel],
    env: &Env,
    now: DateTime<Utc>,
    started: Instant,
) -> Surroundings {
    let clock = move || {
        let elapsed = TimeDelta::from_std(started.elapsed()).unwrap_or_default();
        now + elapsed
    };
    Surroundings {
        clock: Arc::new(clock),
        roots,
        proxy: proxy(env),
        secrets: secrets(channels, env),
    }
}

/// Variables that may hold a password of the database's or the proxy's.
const SECRET_VARIABLES: [&str; 8] = [
    "TASKMON_DATABASE_URL",
    "TASKMON_READ_DATABASE_URL",
    "DATABASE_URL",
    "PGPASSWORD",
    "https_proxy",
    "HTTPS_PROXY",
    "all_proxy",
    "ALL_PROXY",
];

/// What the environment holds that nobody may see.
fn secrets(channels: &[Channel], env: &Env) -> Arc<[Secret]> {
    let own = channels.iter().flat_map(|channel| {
        let names = [&channel.url_env, &channel.secret_env, &channel.password_env];
        names.into_iter().flatten().map(String::as_str)
    });
    let names = own.chain(SECRET_VARIABLES);
    let values = names.filter_map(|name| env.text(name).ok().flatten());
    values.map(Secret::new).collect()
}

/// The certificates that the system trusts, or those of `$SSL_CERT_FILE` and `$SSL_CERT_DIR`.
fn roots() -> Result<Roots, String> {
    let found = rustls_native_certs::load_native_certs();
    if !found.certs.is_empty() {
        return Ok(found.certs.into());
    }
    let why = found.errors.first().map_or(String::new(), |error| format!(" ({error})"));
    Err(format!(
        "there are no certificates to check the server's with{why}: install the package ca-certificates, or name a file in SSL_CERT_FILE"
    ))
}

/// `$HTTPS_PROXY`, else `$ALL_PROXY`, in either case, with the exceptions of `$NO_PROXY`, as curl has them.
///
/// For `https` alone, whose tunnel shows the proxy a host name and nothing more. What is sent over plain `http` goes to the host directly: such a
/// hook is within the local network, and a proxy would read its token.
fn proxy(env: &Env) -> Option<Proxy> {
    let first = |names: &[&str]| {
        let mut values = names.iter().map(|name| env.text(name));
        values.find_map(|value| value.ok().flatten())
    };
    let url = first(&["https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"])?;
    Some(Proxy {
        url: Secret::new(url),
        except: first(&["no_proxy", "NO_PROXY"]).unwrap_or_default(),
    })
}
