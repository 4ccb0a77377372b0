//! Whether a channel's destination can be reached, without sending anything there.

use super::http::Endpoint;
use super::tls::tls_issue;
use super::{Machine, SendError, Server};
use crate::secret::Secret;
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection, RootCertStore};
use std::io;
use std::net::{TcpStream, ToSocketAddrs};
use std::sync::Arc;
use std::time::Duration;

/// Connects to a server, or to the proxy in front of it, and shakes hands if it speaks TLS; what was reached, in words.
///
/// # Errors
/// Why not. The text holds no part of a URL but its host.
pub fn reach(server: &Server, timeout: Duration, machine: &Machine) -> Result<String, SendError> {
    if let Some((proxy, port)) = &server.proxy {
        connect_in_time(proxy, *port, timeout)?;
        return Ok(format!("{}, through the proxy {proxy}:{port}", server.host));
    }
    let shown = format!("{}:{}", server.host, server.port);
    let stream = connect_in_time(&server.host, server.port, timeout)?;
    if server.starts_with_tls {
        shake_hands(&server.host, stream, timeout, machine)
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

fn connect_in_time(host: &str, port: u16, timeout: Duration) -> Result<TcpStream, SendError> {
    connect(host, port, timeout)
        .map_err(|error| SendError::transient(format!("{host}:{port}: {error}")))
}

/// The first address that answers.
fn connect(host: &str, port: u16, timeout: Duration) -> io::Result<TcpStream> {
    let mut last = io::Error::other("the host name has no address");
    for address in (without_brackets(host), port).to_socket_addrs()? {
        match TcpStream::connect_timeout(&address, timeout) {
            Ok(stream) => return Ok(stream),
            Err(error) => last = error,
        }
    }
    Err(last)
}

/// The address of an IPv6 host in a URL.
fn without_brackets(host: &str) -> &str {
    host.trim_start_matches('[').trim_end_matches(']')
}

fn shake_hands(
    host: &str,
    mut stream: TcpStream,
    timeout: Duration,
    machine: &Machine,
) -> Result<(), String> {
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(machine.roots.as_ref()?.iter().cloned());
    let in_words = |error: rustls::Error| tls_issue(&error).unwrap_or_default();
    let config =
        ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .with_safe_default_protocol_versions()
            .map_err(in_words)?
            .with_root_certificates(roots)
            .with_no_client_auth();
    let name = ServerName::try_from(without_brackets(host).to_owned())
        .map_err(|error| error.to_string())?;
    let mut tls = ClientConnection::new(Arc::new(config), name).map_err(in_words)?;
    stream
        .set_read_timeout(Some(timeout))
        .and_then(|()| stream.set_write_timeout(Some(timeout)))
        .map_err(|error| error.to_string())?;
    while tls.is_handshaking() {
        tls.complete_io(&mut stream).map_err(|error| {
            tls_issue(&error).unwrap_or_else(|| format!("the TLS handshake failed: {error}"))
        })?;
    }
    Ok(())
}
