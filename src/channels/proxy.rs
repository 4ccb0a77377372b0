//! The proxy that requests over `https` go through, and the hosts that are reached without it.

use crate::secret::Secret;
use std::net::IpAddr;
use ureq::ProxyProtocol;

/// A proxy as `$HTTPS_PROXY` and `$NO_PROXY` name it.
#[derive(Debug, Clone)]
pub struct Proxy {
    /// May hold a password.
    pub url: Secret,
    /// Hosts that are reached directly, separated by commas, as in curl's [`CURLOPT_NOPROXY`](https://curl.se/libcurl/c/CURLOPT_NOPROXY.html):
    /// `*`, a domain with its subdomains, an address, or a network such as `10.0.0.0/8`; a port may follow.
    pub except: String,
}

impl Proxy {
    /// The same for the HTTP library.
    ///
    /// # Errors
    /// What is wrong with it. The URL is not quoted: it may hold a password.
    pub fn parse(&self) -> Result<ureq::Proxy, String> {
        let invalid = |_| "the proxy that the environment names is not a valid URL".to_owned();
        let parsed = ureq::Proxy::new(self.url.expose()).map_err(invalid)?;
        if matches!(parsed.protocol(), ProxyProtocol::Http | ProxyProtocol::Https) {
            Ok(parsed)
        } else {
            Err("the proxy that the environment names is not an http:// or https:// one".to_owned())
        }
    }

    /// Whether a host is reached without it. An IPv6 address may be in brackets, as in a URL.
    pub fn spares(&self, host: &str, port: u16) -> bool {
        let entries = self.except.split([',', ' ', '\t']).filter(|entry| !entry.is_empty());
        let host = match host.strip_prefix('[') {
            Some(address) => address.trim_end_matches(']'),
            None => host,
        };
        let address: Option<IpAddr> = host.parse().ok();
        entries.into_iter().any(|entry| {
            let (name, only) = split_port(entry);
            let matches = match address {
                _ if name == "*" => true,
                Some(address) => is_in_network(address, name),
                None => is_in_domain(host, name),
            };
            matches && only.is_none_or(|only| only == port)
        })
    }
}

/// `host:443`, `[::1]:443`; an IPv6 address without brackets has no port.
fn split_port(entry: &str) -> (&str, Option<u16>) {
    if let Some((address, behind)) = entry.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        return (address, behind.strip_prefix(':').and_then(|port| port.parse().ok()));
    }
    match entry.split_once(':') {
        Some((name, port)) if !port.contains(':') => match port.parse() {
            Ok(port) => (name, Some(port)),
            Err(_) => (entry, None),
        },
        _ => (entry, None),
    }
}

/// `example.org`, `.example.org` and `*.example.org` are one: the domain and what is beneath it.
fn is_in_domain(host: &str, domain: &str) -> bool {
    let domain = domain.strip_prefix('*').unwrap_or(domain);
    let domain = domain.trim_start_matches('.').trim_end_matches('.').to_ascii_lowercase();
    let host = host.trim_end_matches('.').to_ascii_lowercase();
    let above = host.strip_suffix(&domain).filter(|_| !domain.is_empty());
    above.is_some_and(|above| above.is_empty() || above.ends_with('.'))
}

/// `10.0.0.0/8`, `fd00::/8`; an address is a network of one.
fn is_in_network(address: IpAddr, network: &str) -> bool {
    let (start, bits) = match network.split_once('/') {
        Some((start, bits)) => (start, Some(bits)),
        None => (network, None),
    };
    let (leading, length) = match (address, start.parse()) {
        (IpAddr::V4(one), Ok(IpAddr::V4(other))) => {
            ((one.to_bits() ^ other.to_bits()).leading_zeros(), u32::BITS)
        }
        (IpAddr::V6(one), Ok(IpAddr::V6(other))) => {
            ((one.to_bits() ^ other.to_bits()).leading_zeros(), u128::BITS)
        }
        _ => return false,
    };
    let bits: Option<u32> = bits.map_or(Some(length), |bits| bits.parse().ok());
    bits.is_some_and(|bits| bits <= length && bits <= leading)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_are_spared_as_curl_spares_them() {
        for (except, host, expected) in [
            ("example.org", "example.org", true),
            ("example.org", "hooks.example.org", true),
            ("example.org", "HOOKS.Example.ORG.", true),
            ("Example.org.", "example.org", true),
            (".example.org", "example.org", true),
            ("*.example.org", "a.b.example.org", true),
            ("example.org", "notexample.org", false),
            ("example.org", "example.org.evil.net", false),
            ("hooks.example.org", "example.org", false),
            (" a.net ,\texample.org ", "example.org", true),
            ("a.net, ,", "example.org", false),
            ("", "example.org", false),
            (".", "example.org", false),
            ("*", "example.org", true),
            ("*", "[::1]", true),
            ("example.org:8443", "example.org", true),
            ("example.org:443", "example.org", false),
            ("*:443", "example.org", false),
            ("10.1.2.3", "10.1.2.3", true),
            ("10.1.2.3:8443", "10.1.2.3", true),
            ("10.1.2.3:443", "10.1.2.3", false),
            ("10.0.0.0/8", "10.1.2.3", true),
            ("10.0.0.0/8", "11.1.2.3", false),
            ("10.1.2.2/31", "10.1.2.3", true),
            ("0.0.0.0/0", "10.1.2.3", true),
            ("10.0.0.0/33", "10.1.2.3", false),
            ("10.0.0.0/", "10.1.2.3", false),
            // A name is not looked up for it, and the end of an address is no domain.
            ("127.0.0.0/8", "localhost", false),
            ("2.3", "10.1.2.3", false),
            ("::1", "[::1]", true),
            ("0:0::1", "[::1]", true),
            ("[::1]", "[::1]", true),
            ("[::1]:8443", "[::1]", true),
            ("[::1]:443", "[::1]", false),
            ("fd00::/8", "[fd12:3456::1]", true),
            ("fd00::/8", "[fe80::1]", false),
            ("::/0", "10.1.2.3", false),
        ] {
            let proxy = Proxy { url: Secret::new("http://p"), except: except.to_owned() };
            assert_eq!(proxy.spares(host, 8443), expected, "{except:?} {host}");
        }
    }
}
