//! The servers to try: names, addresses, ports, and the password for each.

use super::parameters::Parameters;
use super::passfile::Passfile;
use super::target::Host;
use crate::secret::Secret;
use std::net::IpAddr;
use std::path::Path;

/// Where PostgreSQL listens on this machine by default, on most Linux systems.
const SOCKET_FOLDER: &str = "/var/run/postgresql";

const DEFAULT_PORT: u16 = 5432;

pub fn read_hosts(parameters: &Parameters) -> Result<Vec<Host>, String> {
    let list = |name| -> Vec<String> {
        let text = parameters.text(name).unwrap_or_default();
        text.split(',').map(|part| part.trim().to_owned()).collect()
    };
    let (names, addresses, ports) = (list("host"), list("hostaddr"), list("port"));
    let count = names.len().max(addresses.len());
    let fits = |len: usize| len == count || len == 1;
    if !fits(ports.len()) {
        return Err(format!(
            "{} ports do not fit {count} hosts: one for all, or one each",
            ports.len()
        ));
    }
    let given = |name: &str| parameters.get(name).is_some();
    if given("host") && given("hostaddr") && names.len() != addresses.len() {
        return Err(format!(
            "{} values of hostaddr do not fit {} hosts",
            addresses.len(),
            names.len()
        ));
    }
    let port_source = parameters.get("port").map(|value| value.source);
    let port_source = port_source.unwrap_or_default();
    (0..count)
        .map(|i| {
            let part = |list: &[String]| list.get(i).or(list.first()).cloned().unwrap_or_default();
            let port = read_port(&part(&ports), &port_source)?;
            read_host(part(&names), &part(&addresses), port)
        })
        .collect()
}

/// An empty one is the default. The error does not repeat the text, which may be part of a password.
pub fn read_port(text: &str, source: &str) -> Result<u16, String> {
    if text.is_empty() {
        return Ok(DEFAULT_PORT);
    }
    match text.parse() {
        Ok(port) if port > 0 => Ok(port),
        _ => Err(format!(
            "{source} is not a number from 1 to 65535 (in a password : is written %3A, / %2F and @ %40; an IPv6 address is written in brackets)"
        )),
    }
}

fn read_host(name: String, address: &str, port: u16) -> Result<Host, String> {
    let address = match address {
        "" => None,
        text => {
            let parsed: Result<IpAddr, _> = text.parse();
            Some(parsed.map_err(|_| "the value of hostaddr is not an IP address".to_owned())?)
        }
    };
    if name.starts_with('@') {
        return Err(
            "sockets in the abstract namespace (a host with a leading @) are not supported"
                .to_owned(),
        );
    }
    let name = match address {
        _ if !name.is_empty() => name,
        Some(address) => address.to_string(),
        None => default_host(Path::new(SOCKET_FOLDER), port),
    };
    Ok(Host { name, address, port, password: None })
}

/// The socket of this machine's server if there is one, else `localhost`.
fn default_host(folder: &Path, port: u16) -> String {
    if folder.join(format!(".s.PGSQL.{port}")).exists() {
        folder.display().to_string()
    } else {
        "localhost".to_owned()
    }
}

/// The URL's or `PGPASSWORD` for every host, else each host's own from the password file. Returns why that file is ignored.
pub fn give_passwords(
    hosts: &mut [Host],
    user: &str,
    database: &str,
    parameters: &Parameters,
) -> Option<String> {
    if let Some(password) = parameters.text("password") {
        for host in hosts {
            host.password = Some(Secret::new(&*password));
        }
        return None;
    }
    let path = parameters.path("passfile").or_else(|| parameters.context.home_file(".pgpass"))?;
    let passfile = match Passfile::read(&path) {
        Ok(passfile) => passfile,
        Err(why) => return Some(format!("the password file {} is ignored: {why}", path.display())),
    };
    for host in hosts {
        host.password = passfile.password(&host.name, host.port, database, user).map(Secret::new);
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_a_host_the_socket_is_taken_if_it_is_there() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(default_host(folder.path(), 5432), "localhost");
        std::fs::write(folder.path().join(".s.PGSQL.5432"), "").unwrap();
        assert_eq!(default_host(folder.path(), 5432), folder.path().display().to_string());
        assert_eq!(default_host(folder.path(), 5433), "localhost");
    }
}
