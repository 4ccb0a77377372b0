//! Opens a connection to PostgreSQL: which hosts, addresses and kinds of session are tried, and how long.
//!
//! They are tried in libpq's order (manual: "Specifying Multiple Hosts"). A server that could not be reached, is starting up or
//! is not of the wanted kind makes way for the next one; one that answered "no" has decided.

use super::open::{check_session, open};
use super::problem::{Problem, no_answer};
use super::target::{Host, PostgresTarget, SessionAttributes};
use crate::deadline::{self, NoAnswer};
use crate::outcome::{Failure, Kind};
use postgres::Client;
use std::io;
use std::net::{IpAddr, ToSocketAddrs};
use std::time::Duration;

/// Connects to the first host that will do.
///
/// Each address has `connect_timeout` to answer, for everything: the connection, TLS, the password and the
/// query for the kind of server. So does each look-up of a name.
///
/// # Errors
/// A [`Failure`] of kind `database_unavailable`, `database_refused` or `tls_failed`, which names host, port,
/// database and user and never the password.
pub fn connect(target: &PostgresTarget) -> anyhow::Result<Client> {
    let mut problems = vec![];
    for wanted in passes(target.session) {
        problems.clear();
        match connect_any(target, wanted, &mut problems) {
            Some(client) => return Ok(client),
            None if problems.iter().any(|(_, problem)| problem.decisive) => break,
            None => {}
        }
    }
    Err(summarise(target, problems).into())
}

/// `prefer-standby` goes through the hosts twice.
fn passes(wanted: SessionAttributes) -> Vec<SessionAttributes> {
    match wanted {
        SessionAttributes::PreferStandby => {
            vec![SessionAttributes::Standby, SessionAttributes::Any]
        }
        wanted => vec![wanted],
    }
}

fn connect_any(
    target: &PostgresTarget,
    wanted: SessionAttributes,
    problems: &mut Vec<(String, Problem)>,
) -> Option<Client> {
    for host in &target.hosts {
        let addresses = match resolve(host, target.connect_timeout) {
            Ok(addresses) => addresses,
            Err(problem) => {
                problems.push((host.display(), problem));
                continue;
            }
        };
        for address in addresses {
            match attempt(target, host, address, wanted) {
                Ok(client) => {
                    log::debug!("connected to {}", host.display());
                    return Some(client);
                }
                Err(problem) => {
                    let decisive = problem.decisive;
                    log::debug!("{}: {}", host.display(), problem.cause);
                    problems.push((host.display(), problem));
                    if decisive {
                        return None;
                    }
                }
            }
        }
    }
    None
}

fn no_thread(error: &io::Error) -> Problem {
    Problem {
        kind: Kind::Internal,
        ..Problem::unavailable(format!("no thread can be started to connect: {error}"), "")
    }
}

/// The addresses to try; `None`: a socket.
fn resolve(host: &Host, limit: Duration) -> Result<Vec<Option<IpAddr>>, Problem> {
    if host.is_socket() {
        return Ok(vec![None]);
    }
    if let Some(address) = host.address {
        return Ok(vec![Some(address)]);
    }
    let (name, port) = (host.name.clone(), host.port);
    let hint = "check the host in the database URL, and this machine's DNS";
    let found = deadline::run(limit, move || {
        let addresses = (name.as_str(), port).to_socket_addrs()?;
        Ok::<Vec<_>, io::Error>(addresses.map(|address| Some(address.ip())).collect())
    });
    match found {
        Ok(Ok(addresses)) if !addresses.is_empty() => Ok(addresses),
        Ok(Ok(_)) => Err(Problem::unavailable("the host name has no address", hint)),
        Ok(Err(error)) => Err(Problem::unavailable(
            format!("the host name cannot be resolved: {}", strip_prefix(&error)),
            hint,
        )),
        Err(NoAnswer::Late) => Err(Problem::unavailable(
            format!("the host name could not be resolved within {limit:?}"),
            hint,
        )),
        Err(NoAnswer::NoThread(error)) => Err(no_thread(&error)),
    }
}

/// The system's own words, without what Rust's library puts in front.
fn strip_prefix(error: &io::Error) -> String {
    error.to_string().replace("failed to lookup address information: ", "")
}

fn attempt(
    target: &PostgresTarget,
    host: &Host,
    address: Option<IpAddr>,
    wanted: SessionAttributes,
) -> Result<Client, Problem> {
    let limit = target.connect_timeout;
    let (target, host) = (target.clone(), host.clone());
    let done = deadline::run(limit, move || {
        let mut client = open(&target, &host, address)?;
        check_session(&mut client, wanted)?;
        Ok(client)
    });
    match done {
        Ok(result) => result,
        Err(NoAnswer::Late) => Err(no_answer(limit)),
        Err(NoAnswer::NoThread(error)) => Err(no_thread(&error)),
    }
}

/// One failure out of all attempts. The last problem decides its kind: it is the one that nothing came after.
fn summarise(target: &PostgresTarget, problems: Vec<(String, Problem)>) -> Failure {
    let PostgresTarget { database, user, .. } = target;
    let Some((_, last)) = problems.last().cloned() else {
        return Failure::new(Kind::Internal, "there is no host to connect to");
    };
    let mut causes: Vec<String> = vec![];
    for (place, problem) in &problems {
        let cause = format!("{place}: {}", problem.cause);
        if !causes.contains(&cause) {
            causes.push(cause);
        }
    }
    let message = format!(
        "cannot connect to database {database:?} as user {user:?} at {}",
        causes.join("; ")
    );
    let failure = Failure::new(last.kind, message);
    if last.hint.is_empty() { failure } else { failure.hint(last.hint) }
}
