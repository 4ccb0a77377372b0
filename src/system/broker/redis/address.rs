//! Where Redis is, by Celery's URL.
//!
//! A socket is `redis+socket://:password@/path?virtual_host=1` to Celery, and a server whose certificate is not to be checked
//! `rediss://host/0?ssl_cert_reqs=none`; `ssl_ca_certs`, `ssl_certfile` and `ssl_keyfile` name files.

use percent_encoding::percent_decode_str;
use std::path::PathBuf;

const PORT: u16 = 6379;

#[derive(Debug, PartialEq)]
pub struct Address {
    /// For messages: the host and port, or the socket.
    pub place: String,
    pub server: Server,
    pub user: Option<String>,
    pub password: Option<String>,
    pub database: u32,
}

#[derive(Debug, PartialEq)]
pub enum Server {
    Socket(PathBuf),
    Tcp { host: String, port: u16, tls: Option<Tls> },
}

#[derive(Debug, Default, PartialEq)]
pub struct Tls {
    /// Any certificate will do.
    pub trusts_all: bool,
    /// `ssl_ca_certs`; `None`: the system's.
    pub roots: Option<PathBuf>,
    /// `ssl_certfile` and `ssl_keyfile`.
    pub client: Option<(PathBuf, PathBuf)>,
}

impl Address {
    /// # Errors
    /// What is wrong with the URL, without a password.
    pub fn parse(url: &str) -> Result<Self, String> {
        let (scheme, rest) = url.split_once("://").ok_or("broker.url has no scheme")?;
        let (rest, fragment) = rest.split_once('#').unwrap_or((rest, ""));
        let (rest, query) = rest.split_once('?').unwrap_or((rest, ""));
        let (login, rest) = rest.rsplit_once('@').unwrap_or(("", rest));
        let (user, password) = login.split_once(':').unwrap_or((login, ""));
        let given = |text: &str| Some(decode(text)).filter(|text| !text.is_empty());
        let option = |name: &str| query_value(query, name);
        let (server, place, database) = if scheme == "redis+socket" {
            let database = option("virtual_host").unwrap_or_default();
            (Server::Socket(decode(rest).into()), rest, database)
        } else {
            let (place, database) = rest.split_once('/').unwrap_or((rest, ""));
            let (host, port) = split_port(place)?;
            let tls = (scheme == "rediss").then(|| {
                let mode = option("ssl_cert_reqs").unwrap_or_default().to_lowercase();
                Tls {
                    trusts_all: ["none", "cert_none"].contains(&mode.as_str())
                        || fragment == "insecure",
                    roots: option("ssl_ca_certs").map(PathBuf::from),
                    client: option("ssl_certfile")
                        .zip(option("ssl_keyfile"))
                        .map(|(certificate, key)| (certificate.into(), key.into())),
                }
            });
            (Server::Tcp { host, port, tls }, place, database.to_owned())
        };
        Ok(Self {
            place: if place.is_empty() { "localhost" } else { place }.to_owned(),
            server,
            user: given(user),
            password: given(password),
            database: match database.trim_matches('/') {
                "" => 0,
                number => number.parse().map_err(|_| "broker.url names no database by number")?,
            },
        })
    }
}

/// Host and port of `host:port`; an IPv6 address is in brackets.
fn split_port(place: &str) -> Result<(String, u16), String> {
    let (host, port) = match place.rsplit_once(':') {
        Some((host, port)) if !port.ends_with(']') => (host, Some(port)),
        _ => (place, None),
    };
    let port = match port {
        None | Some("") => PORT,
        Some(port) => port.parse().map_err(|_| "the port in broker.url is not a number")?,
    };
    let host = host.trim_start_matches('[').trim_end_matches(']');
    Ok((if host.is_empty() { "localhost".to_owned() } else { decode(host) }, port))
}

fn query_value(query: &str, name: &str) -> Option<String> {
    let mut pairs = query.split('&').filter_map(|pair| pair.split_once('='));
    pairs.find(|(key, _)| *key == name).map(|(_, value)| decode(value))
}

fn decode(text: &str) -> String {
    percent_decode_str(text).decode_utf8_lossy().into_owned()
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
            assert_eq!(Address::parse(url).unwrap().place, expected, "{url}");
        }
    }

    #[test]
    fn a_server_has_a_user_a_password_and_a_database() {
        for (url, host, port, user, password, database) in [
            ("redis://host", "host", 6379, "", "", 0),
            ("redis://host:6380/3", "host", 6380, "", "", 3),
            ("redis://:p%40s%3As@host/1", "host", 6379, "", "p@s:s", 1),
            ("redis://shop:p@[::1]:7/", "::1", 7, "shop", "p", 0),
            ("redis://[::1]/2", "::1", 6379, "", "", 2),
            ("redis:///0", "localhost", 6379, "", "", 0),
        ] {
            let address = Address::parse(url).unwrap();
            let server = Server::Tcp { host: host.to_owned(), port, tls: None };
            assert_eq!(address.server, server, "{url}");
            assert_eq!(address.user.as_deref().unwrap_or(""), user, "{url}");
            assert_eq!(address.password.as_deref().unwrap_or(""), password, "{url}");
            assert_eq!(address.database, database, "{url}");
        }
        let message = Address::parse("redis://host:s3cret").unwrap_err();
        assert!(!message.contains("s3cret"), "{message}");
    }

    #[test]
    fn what_celery_says_of_sockets_and_certificates_is_understood() {
        let address =
            Address::parse("redis+socket://shop:p%40@/run/redis.sock?virtual_host=3").unwrap();
        assert_eq!(address.server, Server::Socket("/run/redis.sock".into()));
        assert_eq!(
            (address.user.as_deref(), address.password.as_deref()),
            (Some("shop"), Some("p@"))
        );
        assert_eq!(address.database, 3);
        let tls = |url: &str| match Address::parse(url).unwrap().server {
            Server::Tcp { tls: Some(tls), .. } => tls,
            other => panic!("{url}: {other:?}"),
        };
        assert!(tls("rediss://:p@host:6380/0?ssl_cert_reqs=CERT_NONE").trusts_all);
        assert!(tls("rediss://host/0#insecure").trusts_all);
        assert_eq!(tls("rediss://host/0?ssl_cert_reqs=required"), Tls::default());
        assert_eq!(
            tls("rediss://host?ssl_ca_certs=%2Fca.crt&ssl_certfile=/c.crt&ssl_keyfile=/c.key"),
            Tls {
                trusts_all: false,
                roots: Some("/ca.crt".into()),
                client: Some(("/c.crt".into(), "/c.key".into())),
            }
        );
    }
}
