//! Whether a channel's destination can be reached, without sending anything there.

use super::http::Endpoint;
use super::tls::tls_issue;
use super::{Machine, SendError, Server};
use crate::secret::Secret;
use crate::stream::Stream;
use crate::tls::client_config;
use std::io::Write;
use std::time::Duration;

/// Connects to a server, or to the proxy in front of it, and shakes hands if it speaks TLS; what was reached, in words.
///
/// # Errors
/// Why not. The text holds no part of a URL but its host.
pub fn reach(server: &Server, timeout: Duration, machine: &Machine) -> Result<String, SendError> {
    if let Some((proxy, port)) = &server.proxy {
        connect(proxy, *port, timeout).map_err(|error| SendError {
            message: format!("{}, through the proxy {}", server.host, error.message),
            ..error
        })?;
        return Ok(format!("{}, through the proxy {proxy}:{port}", server.host));
    }
    let shown = format!("{}:{}", server.host, server.port);
    let stream = connect(&server.host, server.port, timeout)?;
    if server.starts_with_tls {
        shake_hands(&server.host, stream, machine)
            .map_err(|why| SendError::transient(format!("{shown}: {why}")))?;
    }
    Ok(shown)
}

/// The same of an `http` or `https` URL.
///
/// # Errors
/// As of [`reach`], and if the URL is none.
pub fn reach_url(url: &Secret, timeout: Duration, machine: &Machine) -> Result<String, SendError> {
    reach(Endpoint::new(url, [], timeout, machine)?.server(), timeout, machine)
}

fn connect(host: &str, port: u16, timeout: Duration) -> Result<Stream, SendError> {
    Stream::connect(host, port, timeout)
        .map_err(|error| SendError::transient(format!("{host}:{port}: {error}")))
}

fn shake_hands(host: &str, stream: Stream, machine: &Machine) -> Result<(), String> {
    let config = client_config(machine.roots.as_ref()?)?;
    stream.encrypt(host, config).and_then(|mut stream| stream.flush()).map_err(|error| {
        tls_issue(&error).unwrap_or_else(|| format!("the TLS handshake failed: {error}"))
    })
}
