//! What is wrong with the TLS of a service, in words.

use crate::tls::describe;
use std::error::Error;
use std::io;

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
    match describe(error) {
        Some(what) => format!(
            "the server's certificate is not trusted: it {what}; SSL_CERT_FILE can name a file with the certificate of its authority, or with its own"
        ),
        None => format!("the TLS handshake failed: {error}"),
    }
}
