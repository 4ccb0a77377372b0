//! Checks a server's certificate, and says in words what is wrong with it: one rule for databases, brokers, channels and heartbeats.
//!
//! What rustls cannot verify: certificates of X.509 version 1, and host names that are in the common name only.

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{verify_server_cert_signed_by_trust_anchor, verify_server_name};
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{CertificateError, DigitallySignedStruct, RootCertStore, SignatureScheme};
use std::sync::Arc;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Check {
    /// `verify-ca`: a trusted CA signed the certificate, whoever it is for.
    Chain,
    /// `verify-full`: and it is for this host.
    ChainAndName,
}

/// Checks a server's certificate against the given ones.
#[derive(Debug)]
pub struct Verifier {
    check: Check,
    given: Vec<CertificateDer<'static>>,
    roots: RootCertStore,
    provider: Arc<CryptoProvider>,
}

impl Verifier {
    /// Of the given certificates, those are left out that rustls does not understand: a system's bundle may hold some.
    pub fn new(
        check: Check,
        given: Vec<CertificateDer<'static>>,
        provider: Arc<CryptoProvider>,
    ) -> Self {
        let mut roots = RootCertStore::empty();
        roots.add_parsable_certificates(given.iter().cloned());
        Self { check, given, roots, provider }
    }

    fn verify_chain(
        &self,
        end_entity: &CertificateDer<'_>,
        parsed: &ParsedCertificate<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<(), rustls::Error> {
        let algorithms = self.provider.signature_verification_algorithms.all;
        let result = verify_server_cert_signed_by_trust_anchor(
            parsed,
            &self.roots,
            intermediates,
            now,
            algorithms,
        );
        match result {
            // A self-signed certificate that is itself in the file: openssl makes it a CA unless asked
            // otherwise, and rustls wants no CA to be a server. Its dates have been checked before that.
            Err(error) if is_ca_as_server(&error) && self.holds(end_entity) => Ok(()),
            result => result,
        }
    }

    fn holds(&self, certificate: &CertificateDer<'_>) -> bool {
        self.given.iter().any(|given| given == certificate)
    }
}

/// A certificate that says it is a CA's. rustls has no variant of its own for this error.
pub fn is_ca_as_server(error: &rustls::Error) -> bool {
    match error {
        rustls::Error::InvalidCertificate(CertificateError::Other(other)) => {
            other.to_string() == "CaUsedAsEndEntity"
        }
        _ => false,
    }
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let parsed = ParsedCertificate::try_from(end_entity)?;
        self.verify_chain(end_entity, &parsed, intermediates, now)?;
        if self.check == Check::ChainAndName {
            verify_server_name(&parsed, server_name)?;
        }
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls12_signature(message, cert, dss, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls13_signature(message, cert, dss, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}

/// What is wrong with a server's certificate, in words that go on after "the server's certificate"; `None`: the error is another one.
pub fn describe(error: &rustls::Error) -> Option<String> {
    use CertificateError as Wrong;
    let rustls::Error::InvalidCertificate(wrong) = error else {
        return None;
    };
    Some(match wrong {
        Wrong::Expired | Wrong::ExpiredContext { .. } => "has expired".to_owned(),
        Wrong::NotValidYet | Wrong::NotValidYetContext { .. } => "is not valid yet".to_owned(),
        Wrong::UnknownIssuer | Wrong::BadSignature => {
            "was not signed by a CA that is trusted here".to_owned()
        }
        Wrong::NotValidForName => "is for another host name".to_owned(),
        Wrong::NotValidForNameContext { expected, presented } => {
            wrong_name(&expected.to_str(), presented)
        }
        Wrong::Other(other) if other.to_string() == "UnsupportedCertVersion" => {
            "is of X.509 version 1, which cannot be verified".to_owned()
        }
        _ if is_ca_as_server(error) => {
            "is self-signed, and not one of those that are trusted here".to_owned()
        }
        other => format!("is not valid: {other}"),
    })
}

fn wrong_name(expected: &str, presented: &[String]) -> String {
    if presented.is_empty() {
        return format!("has no subjectAltName, so it is not for {expected}");
    }
    let names: Vec<&str> = presented.iter().map(|name| plain_name(name)).collect();
    format!("is for {}, not for {expected}", names.join(", "))
}

/// The name within rustls' `DnsName("name")`.
fn plain_name(name: &str) -> &str {
    let inner = name.split_once('(').and_then(|(_, rest)| rest.strip_suffix(')'));
    inner.unwrap_or(name).trim_matches('"')
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustls::pki_types::pem::PemObject;
    use std::time::Duration;

    /// What `openssl req -x509` makes for db.example.com: self-signed, marked as a CA, valid for a century.
    const SELF_SIGNED: &str = "\
-----BEGIN CERTIFICATE-----
MIIBpDCCAUqgAwIBAgIUBvWULiZkHSwpvA7i2/JzpR5/jjcwCgYIKoZIzj0EAwIw
GTEXMBUGA1UEAwwOZGIuZXhhbXBsZS5jb20wIBcNMjYxMTI0MDE0NjIwWhgPMjEy
NjEwMzEwMTQ2MjBaMBkxFzAVBgNVBAMMDmRiLmV4YW1wbGUuY29tMFkwEwYHKoZI
zj0CAQYIKoZIzj0DAQcDQgAEU57CZvWwJrXY69amOKT/2rIW8V7Y0zBJRdEq+/Mb
jF600ZG+2nd9SMwbUVf/b4AGwtpy8DFhqS5PSSM7dOT7BaNuMGwwHQYDVR0OBBYE
FOmq+fdT393eN4oSK4L0wRLSWFvNMB8GA1UdIwQYMBaAFOmq+fdT393eN4oSK4L0
wRLSWFvNMA8GA1UdEwEB/wQFMAMBAf8wGQYDVR0RBBIwEIIOZGIuZXhhbXBsZS5j
b20wCgYIKoZIzj0EAwIDSAAwRQIhANccY4znjCyEgCrAOxL8J4cI+MqHChDCYYOs
TEm9rGg5AiABb47YyscMjOexRGTwhnl7PN5YYmkGZv1F3iRlVBqljw==
-----END CERTIFICATE-----
";

    /// Another one for the same name.
    const OTHER: &str = "\
-----BEGIN CERTIFICATE-----
MIIBpTCCAUqgAwIBAgIUO6vSP3ceH8hOzU+I1T9Vxu+BFfUwCgYIKoZIzj0EAwIw
GTEXMBUGA1UEAwwOZGIuZXhhbXBsZS5jb20wIBcNMjYxMTI0MDE0NjIwWhgPMjEy
NjEwMzEwMTQ2MjBaMBkxFzAVBgNVBAMMDmRiLmV4YW1wbGUuY29tMFkwEwYHKoZI
zj0CAQYIKoZIzj0DAQcDQgAEukeQlYCgDAC/BLpVKDsHuCasA3DrSNnmqFaX2PJk
jtpXf527NYDJx7W4XO62xgJdyo1kTvaaaEBzHg32u2tyQqNuMGwwHQYDVR0OBBYE
FHO0SUReFVoI/wMUoqEUgbgtnlOrMB8GA1UdIwQYMBaAFHO0SUReFVoI/wMUoqEU
gbgtnlOrMA8GA1UdEwEB/wQFMAMBAf8wGQYDVR0RBBIwEIIOZGIuZXhhbXBsZS5j
b20wCgYIKoZIzj0EAwIDSQAwRgIhAMOyu1edmI3b8DrBTIWrrx05a00sCXL3TCQ3
4cv/BXgbAiEA+1CZjhx2lmO/IDCzFbfhRcjinfBc3FU3z0QM3+GJtRI=
-----END CERTIFICATE-----
";

    fn certificate(pem: &str) -> CertificateDer<'static> {
        CertificateDer::from_pem_slice(pem.as_bytes()).unwrap()
    }

    /// Verifies the certificate `shown` in 2030, trusting only `trusted`.
    fn verify(check: Check, trusted: &str, shown: &str, host: &str) -> Result<(), rustls::Error> {
        verify_in(2030, check, trusted, shown, host)
    }

    fn verify_in(
        year: u64,
        check: Check,
        trusted: &str,
        shown: &str,
        host: &str,
    ) -> Result<(), rustls::Error> {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let verifier = Verifier::new(check, vec![certificate(trusted)], provider);
        let name = ServerName::try_from(host.to_owned()).unwrap();
        let seconds = (year - 1970) * 31_556_952;
        let now = UnixTime::since_unix_epoch(Duration::from_secs(seconds));
        let verified = verifier.verify_server_cert(&certificate(shown), &[], &name, &[], now);
        verified.map(|_| ())
    }

    #[test]
    fn a_self_signed_certificate_is_trusted_where_it_is_itself_in_the_file() {
        let host = "db.example.com";
        for check in [Check::Chain, Check::ChainAndName] {
            assert_eq!(verify(check, SELF_SIGNED, SELF_SIGNED, host), Ok(()));
            let error = verify(check, OTHER, SELF_SIGNED, host).unwrap_err();
            assert!(describe(&error).unwrap().contains("self-signed"), "{error}");
        }
    }

    #[test]
    fn a_trusted_self_signed_certificate_still_has_a_name_and_dates() {
        let elsewhere = "other.example.com";
        assert_eq!(verify(Check::Chain, SELF_SIGNED, SELF_SIGNED, elsewhere), Ok(()));
        let error = verify(Check::ChainAndName, SELF_SIGNED, SELF_SIGNED, elsewhere).unwrap_err();
        let what = describe(&error).unwrap();
        assert!(what.contains("is for db.example.com, not for other.example.com"), "{what}");
        for (year, expected) in [(2200, "expired"), (2000, "not valid yet")] {
            let error =
                verify_in(year, Check::Chain, SELF_SIGNED, SELF_SIGNED, elsewhere).unwrap_err();
            assert!(describe(&error).unwrap().contains(expected), "{error}");
        }
    }
}
