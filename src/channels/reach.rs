//! Whether a channel's place can be reached, without sending anything there.

use super::email::host_and_encryption;
use super::http::{self, tls_issue};
use super::{Place, SendError, Surroundings};
use crate::secret::Secret;
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection, RootCertStore};
use std::io;
use std::net::{TcpStream, ToSocketAddrs};
use std::sync::Arc;
use std::time::Duration;

/// Connects to a channel's place, and with TLS shakes hands; what was reached, in words.
///
/// Of what goes through a proxy, it is the proxy that is connected to. A program cannot be reached: `None`.
///
/// # Errors
/// Why not. The text holds no part of a URL but its host.
pub fn reach(
    place: &Place,
    timeout: Duration,
    surroundings: &Surroundings,
) -> Option<Result<String, SendError>> {
    Some(match place {
        Place::Command(_) => return None,
        Place::Email(mail) => match host_and_encryption(mail) {
            Ok((host, port, is_encrypted)) => {
                knock(&host, port, is_encrypted, timeout, surroundings)
            }
            Err(error) => Err(error),
        },
        Place::Webhook { url, .. }
        | Place::Slack { url }
        | Place::Feishu { url, .. }
        | Place::Dingtalk { url, .. }
        | Place::Wecom { url } => reach_url(url, timeout, surroundings),
    })
}

/// The same of an `http` or `https` URL.
///
/// # Errors
/// As of [`reach`].
pub fn reach_url(
    url: &Secret,
    timeout: Duration,
    surroundings: &Surroundings,
) -> Result<String, SendError> {
    let (host, port, is_encrypted) = http::host_and_encryption(url)?;
    if let Some((proxy, at)) = http::proxy_for(url, surroundings)? {
        knock(&proxy, at, Encrypted::No, timeout, surroundings)?;
        return Ok(format!("{host}, through the proxy {proxy}:{at}"));
    }
    knock(&host, port, is_encrypted, timeout, surroundings)
}

/// Whether the first bytes on a connection are those of TLS.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Encrypted {
    Yes,
    No,
}

fn knock(
    host: &str,
    port: u16,
    encrypted: Encrypted,
    timeout: Duration,
    surroundings: &Surroundings,
) -> Result<String, SendError> {
    let shown = format!("{host}:{port}");
    let failed = |why: String| SendError::transient(format!("{shown}: {why}"));
    let stream = connect(host, port, timeout).map_err(|error| failed(error.to_string()))?;
    if encrypted == Encrypted::Yes {
        shake_hands(host, stream, timeout, surroundings).map_err(failed)?;
    }
    Ok(shown)
}

/// The first address that answers.
fn connect(host: &str, port: u16, timeout: Duration) -> io::Result<TcpStream> {
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    let mut last = io::Error::other("the host name has no address");
    for address in (bare, port).to_socket_addrs()? {
        match TcpStream::connect_timeout(&address, timeout) {
            Ok(stream) => return Ok(stream),
            Err(error) => last = error,
        }
    }
    Err(last)
}

fn shake_hands(
    host: &str,
    mut stream: TcpStream,
    timeout: Duration,
    surroundings: &Surroundings,
) -> Result<(), String> {
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(surroundings.roots.as_ref()?.iter().cloned());
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| tls_issue(&error))?
        .with_root_certificates(roots)
        .with_no_client_auth();
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    let name = ServerName::try_from(bare.to_owned()).map_err(|error| error.to_string())?;
    let mut tls =
        ClientConnection::new(Arc::new(config), name).map_err(|error| tls_issue(&error))?;
    let bounded = stream
        .set_read_timeout(Some(timeout))
        .and_then(|()| stream.set_write_timeout(Some(timeout)));
    bounded.map_err(|error| error.to_string())?;
    while tls.is_handshaking() {
        tls.complete_io(&mut stream).map_err(|error| {
            let inner = error.get_ref().and_then(|inner| inner.downcast_ref());
            inner.map_or_else(|| format!("the TLS handshake failed: {error}"), tls_issue)
        })?;
    }
    Ok(())
}
