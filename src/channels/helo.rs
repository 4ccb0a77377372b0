//! What this host introduces itself as to a mail server (EHLO).

use crate::stream::Stream;
use lettre::transport::smtp::extension::ClientId;
use serde::de::{Deserialize, Deserializer, Error};
use std::net::{IpAddr, Ipv4Addr};

/// The fully qualified name of a host: its own, or the first of its line in `/etc/hosts`, whose text is `hosts`. `None`: it has none
/// that another host could know.
pub fn qualified_name(host: &str, hosts: &str) -> Option<String> {
    let lines = hosts.lines().map(|line| line.split('#').next().unwrap_or_default());
    let names = lines.map(|line| line.split_whitespace().skip(1));
    let canonical = names.filter(|names| names.clone().any(|name| name == host));
    let mut candidates = [host].into_iter().chain(canonical.filter_map(|mut names| names.next()));
    candidates.find(|name| is_qualified(name)).map(str::to_owned)
}

/// Whether a name is one that RFC 5321 (4.1.1.1) wants here. Servers refuse others.
fn is_qualified(name: &str) -> bool {
    let is_label = |label: &str| {
        let is_letter = |c: char| c.is_ascii_alphanumeric() || c == '-';
        (1..=63).contains(&label.len()) && label.chars().all(is_letter)
    };
    // Every host may call itself `localhost.localdomain`.
    name.len() <= 253
        && name.contains('.')
        && name.split('.').all(is_label)
        && !name.ends_with(".localdomain")
}

/// `[192.0.2.1]` or `[IPv6:2001:db8::1]`, by which RFC 5321 (4.1.3) has a host without such a name introduce itself.
pub fn address_literal(stream: &Stream) -> ClientId {
    match stream.local_address().map(|address| address.to_canonical()) {
        Some(IpAddr::V6(address)) => ClientId::Ipv6(address),
        Some(IpAddr::V4(address)) => ClientId::Ipv4(address),
        None => ClientId::Ipv4(Ipv4Addr::LOCALHOST),
    }
}

/// A name, or an address in brackets: neither may begin another command to the server.
pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    let name = String::deserialize(deserializer)?;
    let is_allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | '_' | ':');
    let within = name.strip_prefix('[').and_then(|name| name.strip_suffix(']'));
    let inner = within.unwrap_or(&name);
    if inner.is_empty() || name.len() > 255 || !inner.chars().all(is_allowed) {
        return Err(Error::custom(
            "a host name such as \"mail.example.org\", or an address such as \"[192.0.2.1]\"",
        ));
    }
    Ok(Some(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_is_known_by_its_qualified_name_or_by_none() {
        let hosts = "127.0.0.1 localhost.localdomain localhost\n# 192.0.2.9 no.example.org web-1\n\
             192.0.2.7\tweb-1.example.org web-1 # this one\n192.0.2.8 web-2\n";
        for (host, expected) in [
            ("web-1", Some("web-1.example.org")),
            ("db.example.org", Some("db.example.org")),
            ("web-2", None),
            ("web-3", None),
            ("localhost", None),
            ("localhost.localdomain", None),
            ("", None),
            ("host\r\nMAIL FROM:<x@y.example>", None),
            (".example.org", None),
        ] {
            assert_eq!(qualified_name(host, hosts).as_deref(), expected, "{host:?}");
        }
    }
}
