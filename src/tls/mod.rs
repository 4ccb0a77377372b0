//! TLS: the authorities that the system trusts, how a server's certificate is checked, and connections on which nothing is checked.

mod http;
mod verify;

pub use http::agent;
pub use verify::{Check, Verifier, describe, is_ca_as_server};

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::CryptoProvider;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, SignatureScheme};
use std::sync::Arc;

/// The certificates that the system trusts, or those of `$SSL_CERT_FILE` and `$SSL_CERT_DIR`.
///
/// # Errors
/// There are none.
pub fn system_roots() -> Result<Vec<CertificateDer<'static>>, String> {
    let found = rustls_native_certs::load_native_certs();
    if !found.certs.is_empty() {
        return Ok(found.certs);
    }
    let why = found.errors.first().map_or(String::new(), |error| format!(" ({error})"));
    Err(format!(
        "there are no certificates to check the server's with{why}: install the package ca-certificates, or name a file in SSL_CERT_FILE"
    ))
}

/// The client's side of a connection to a server whose certificate has to be for its host, and signed by one of these or one of them.
///
/// # Errors
/// None that a certificate can cause.
pub fn client_config(trusted: &[CertificateDer<'static>]) -> Result<ClientConfig, String> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let verifier = Verifier::new(Check::ChainAndName, trusted.to_vec(), provider.clone());
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| format!("TLS cannot be set up: {error}"))?;
    Ok(builder
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(verifier))
        .with_no_client_auth())
}

/// Accepts any certificate, where only encryption is asked for.
///
/// The handshake's signature is not checked either: it would only show that the server holds the key of a
/// certificate that nobody vouches for, and rustls cannot read the version 1 certificates of many manuals.
#[derive(Debug)]
pub struct AcceptAny {
    pub provider: Arc<CryptoProvider>,
}

impl ServerCertVerifier for AcceptAny {
    fn verify_server_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _message: &[u8],
        _cert: &CertificateDer<'_>,
        _dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _message: &[u8],
        _cert: &CertificateDer<'_>,
        _dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}
