//! From the configuration to channels that can send: certificates read, the environment and the clock handed in.

use crate::alert::Notification;
use crate::calendar::Shift;
use crate::channels::{
    self, Channel, ChannelConfig, Destination, Machine, Proxy, Roots, SecretSource, SendError,
    Service,
};
use crate::config::{Config, Env};
use crate::deadline::{self, Pending};
use crate::notify::Receiver;
use crate::notify::deliver::Outgoing;
use crate::secret::Secret;
use crate::tls::system_roots;
use chrono::{DateTime, TimeDelta, Utc};
use rustix::fs::{Access, access};
use std::ffi::OsStr;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// The channels as the records know them, in the order of the configuration: by their type, the second and further ones of a
/// type numbered, `webhook`, `webhook 2`.
pub fn receivers(channels: &[ChannelConfig]) -> Vec<Receiver> {
    let name = |(at, channel): (usize, &ChannelConfig)| {
        let name = channel.service.name();
        let same = channels[..at].iter().filter(|other| other.service.name() == name).count();
        let name = match same {
            0 => name.to_owned(),
            same => format!("{name} {}", same + 1),
        };
        Receiver { name, min_severity: channel.common.min_severity }
    };
    channels.iter().enumerate().map(name).collect()
}

/// A configured channel, ready to send.
pub struct Prepared {
    /// As in [`receivers`].
    pub receiver: Receiver,
    pub retries: u32,
    /// Or why it cannot send: a secret that is not there, an address that is none.
    pub channel: Result<Box<dyn Channel + Send>, SendError>,
}

impl Prepared {
    pub fn outgoing(self, notification: Notification) -> Outgoing {
        Outgoing {
            name: self.receiver.name,
            channel: self.channel,
            retries: self.retries,
            notification,
        }
    }
}

/// Prepares every channel, in the order of the configuration. One that cannot be prepared is among them, and its sending fails.
///
/// `now` is the time at which the run began, which was at `started`.
pub fn prepare(
    channels: &[ChannelConfig],
    env: &Env,
    now: DateTime<Utc>,
    started: Instant,
) -> Vec<Prepared> {
    let machine = machine(channels, env, now, started);
    let prepared = channels.iter().zip(receivers(channels)).map(|(channel, receiver)| Prepared {
        receiver,
        retries: channel.common.retries,
        channel: channel.build(&machine),
    });
    prepared.collect()
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
            "are host and port right, and is a firewall in between? A proxy has to be named in the crontab too (HTTPS_PROXY=…)"
        };
        Self::new(why, hint)
    }

    fn thread(error: &io::Error) -> Self {
        let why = format!("no thread can be started: {error}");
        Self::new(why, "look at the limits of processes and memory (ulimit -u)")
    }

    fn program(why: String) -> Self {
        Self::new(
            why,
            "write the program's absolute path in `command`, and have it executable (chmod +x) for the user that cron runs the jobs as",
        )
    }
}

type Reached = Result<String, Unreached>;

/// Tries to reach every channel and heartbeat at once, each for no longer than `patience`, and sends nothing: what each is
/// called, and what was reached or why nothing was.
pub fn reach(
    config: &Config,
    env: &Env,
    now: DateTime<Utc>,
    started: Instant,
    patience: Duration,
) -> Vec<(String, Reached)> {
    let channels = &config.alerts.notify.channels;
    let shared = machine(channels, env, now, started);
    let mut running: Vec<(String, io::Result<Pending<Reached>>)> = Vec::new();
    for (channel, receiver) in channels.iter().zip(receivers(channels)) {
        let (channel, machine) = (channel.clone(), shared.clone());
        let search = env.path("PATH").unwrap_or_default();
        let look = move || reach_channel(&channel, search.as_os_str(), patience, &machine);
        running.push((receiver.name, deadline::start(look)));
    }
    for (job, url) in config.heartbeat.all() {
        let (url, env) = (url.clone(), env.clone());
        let look = move || {
            let machine = machine_for_url(&url, &env, now, started);
            channels::reach_url(&url, patience, &machine).map_err(|error| {
                if error.permanent && !error.message.contains("certificate") {
                    Unreached::address(error.message)
                } else {
                    Unreached::host(error.message)
                }
            })
        };
        running.push((format!("heartbeat.{job}"), deadline::start(look)));
    }
    // Longer than the limit of each step, for a host name whose lookup hangs.
    let end = deadline::end(patience.saturating_add(Duration::from_secs(1)));
    let wait = |answer: io::Result<Pending<Reached>>| {
        let late = || Unreached::host(format!("no answer within {} s", patience.as_secs()));
        let rest = end.saturating_duration_since(Instant::now());
        answer.map_err(|error| Unreached::thread(&error))?.wait(rest).unwrap_or_else(|| Err(late()))
    };
    running.into_iter().map(|(name, answer)| (name, wait(answer))).collect()
}

fn reach_channel(
    channel: &ChannelConfig,
    search: &OsStr,
    patience: Duration,
    machine: &Machine,
) -> Reached {
    for (key, source) in channel.service.secrets() {
        source.find(key, machine).map_err(|error| Unreached::secret(error.message))?;
    }
    let built = channel.build(machine).map_err(|error| Unreached::address(error.message))?;
    match built.destination() {
        Destination::Server(server) => channels::reach(&server, patience, machine)
            .map_err(|error| Unreached::host(error.message)),
        Destination::Program(program) => find_program(&program, search).map_err(Unreached::program),
    }
}

/// The path of a program that a channel runs.
pub(super) fn find_program(program: &str, search: &OsStr) -> Result<String, String> {
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

fn machine(channels: &[ChannelConfig], env: &Env, now: DateTime<Utc>, started: Instant) -> Machine {
    let is_program = |channel: &ChannelConfig| matches!(channel.service, Service::Command(_));
    let roots = if channels.iter().all(is_program) {
        Ok(Roots::from([]))
    } else {
        system_roots().map(Roots::from)
    };
    machine_with(roots, channels, env, now, started)
}

/// The same for requests to one URL. Certificates are read only if it asks for TLS.
pub(super) fn machine_for_url(
    url: &Secret,
    env: &Env,
    now: DateTime<Utc>,
    started: Instant,
) -> Machine {
    let roots =
        if url.scheme() == "http" { Ok(Roots::from([])) } else { system_roots().map(Roots::from) };
    machine_with(roots, &[], env, now, started)
}

fn machine_with(
    roots: Result<Roots, String>,
    channels: &[ChannelConfig],
    env: &Env,
    now: DateTime<Utc>,
    started: Instant,
) -> Machine {
    let clock = move || now.plus(TimeDelta::from_std(started.elapsed()).unwrap_or_default());
    let variables = env.clone();
    Machine {
        clock: Arc::new(clock),
        roots,
        proxy: proxy(env),
        qualified_name: qualified_name(channels),
        inherited: inherited_secrets(channels, env),
        variable: Arc::new(move |name| variables.text(name).map_err(|failure| failure.to_string())),
    }
}

/// Only mail needs it.
fn qualified_name(channels: &[ChannelConfig]) -> Option<String> {
    let is_mail = |channel: &ChannelConfig| matches!(channel.service, Service::Email(_));
    if !channels.iter().any(is_mail) {
        return None;
    }
    let host = rustix::system::uname().nodename().to_string_lossy().into_owned();
    channels::qualified_name(&host, &std::fs::read_to_string("/etc/hosts").unwrap_or_default())
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

/// The secrets that the environment holds.
fn inherited_secrets(channels: &[ChannelConfig], env: &Env) -> Arc<[Secret]> {
    let sources = channels.iter().flat_map(|channel| channel.service.secrets());
    let configured = sources.filter_map(|(_, source)| match source {
        SecretSource::Variable(name) => Some(name.as_str()),
        _ => None,
    });
    let names = configured.chain(SECRET_VARIABLES);
    names.filter_map(|name| env.text(name).ok().flatten()).map(Secret::new).collect()
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
