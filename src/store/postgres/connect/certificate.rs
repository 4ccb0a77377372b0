//! What to do about a server's certificate that is not accepted.

use crate::tls::{describe, is_ca_as_server};
use rustls::CertificateError;

/// What is wrong with it, in words, and what to do.
pub fn explain(error: &rustls::Error) -> (String, String) {
    use CertificateError as Wrong;
    let (rustls::Error::InvalidCertificate(wrong), Some(what)) = (error, describe(error)) else {
        return (
            format!("the TLS handshake failed: {error}"),
            "check the server's TLS settings (ssl_min_protocol_version, ssl_ciphers, clientcert in pg_hba.conf) and its log".to_owned(),
        );
    };
    let hint = match wrong {
        Wrong::Expired | Wrong::ExpiredContext { .. } => {
            "renew it on the server, or correct this machine's clock"
        }
        Wrong::NotValidYet | Wrong::NotValidYetContext { .. } => {
            "check the clock of this machine and of the one that made the certificate"
        }
        Wrong::UnknownIssuer | Wrong::BadSignature => {
            "let sslrootcert name the certificate of the CA that signed the server's"
        }
        Wrong::NotValidForName | Wrong::NotValidForNameContext { .. } => {
            "connect by a name that is in the certificate's subjectAltName (hostaddr can say where it is), or use sslmode=verify-ca"
        }
        Wrong::Other(other) if other.to_string() == "UnsupportedCertVersion" => {
            "make a new one with a subjectAltName (openssl: -addext subjectAltName=DNS:NAME)"
        }
        _ if is_ca_as_server(error) => "let sslrootcert name a copy of the server's certificate",
        _ => "check the certificate on the server",
    };
    (format!("the server's certificate {what}"), hint.to_owned())
}
