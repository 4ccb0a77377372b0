//! TLS to a service: which certificates are trusted, and what is wrong with a server's, in words.

use super::Roots;
use rustls::{ClientConfig, RootCertStore};
use std::error::Error;
use std::io;
use std::sync::Arc;

/// Checks the server's certificate with these.
pub fn client_config(roots: &Roots) -> Result<ClientConfig, String> {
    let mut store = RootCertStore::empty();
    // The system's bundle may hold some that rustls does not understand.
    store.add_parsable_certificates(roots.iter().cloned());
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| format!("TLS cannot be set up: {error}"))?;
    Ok(builder.with_root_certificates(store).with_no_client_auth())
}

/// Of an error of a connection; `None`: it is not about TLS.
pub fn tls_issue(error: &(dyn Error + 'static)) -> Option<String> {
    let mut cause = Some(error);
    while let Some(current) = cause {
        if let Some(tls) = current.downcast_ref::<rustls::Error>() {
            return Some(explain(tls));
        }
        // `source` of an I/O error skips the error within it.
        let within = current.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
        cause = match within {
            Some(within) => Some(within as &(dyn Error + 'static)),
            None => current.source(),
        };
    }
    None
}

fn explain(error: &rustls::Error) -> String {
    match error {
        rustls::Error::InvalidCertificate(why) => format!(
            "the server's certificate is not trusted: {why}; SSL_CERT_FILE can name a file with the certificate of its authority"
        ),
        other => format!("the TLS handshake failed: {other}"),
    }
}
