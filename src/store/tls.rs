//! What rustls is told for each `sslmode`: which certificates are trusted, and what is checked.

use super::target::{ClientCertificate, PostgresTarget, RootCertificate, SslMode};
use crate::outcome::{Failure, Kind};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{verify_server_cert_signed_by_trust_anchor, verify_server_name};
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme, version,
};
use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Where Linux systems keep the certificates they trust: Debian and Alpine, Fedora, SUSE, others.
const SYSTEM_BUNDLES: [&str; 5] = [
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/ssl/cert.pem",
];

/// Builds the client's side of a TLS connection.
///
/// # Errors
/// `tls_failed` naming the file that is missing or cannot be used.
pub fn configure(target: &PostgresTarget) -> Result<ClientConfig, Failure> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let versions: &[_] =
        if target.tls13_only { &[&version::TLS13] } else { &[&version::TLS13, &version::TLS12] };
    let verifier = choose_verifier(target, &provider)?;
    let builder = ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(versions)
        .map_err(|error| failed(format!("TLS cannot be set up: {error}")))?
        .dangerous()
        .with_custom_certificate_verifier(verifier);
    let Some(files) = &target.client_certificate else {
        return Ok(builder.with_no_client_auth());
    };
    let (chain, key) = read_client_certificate(files)?;
    builder.with_client_auth_cert(chain, key).map_err(|error| {
        failed(format!(
            "the client certificate {} cannot be used with the key {}: {error}",
            files.certificate.display(),
            files.key.display()
        ))
        .hint("sslcert and sslkey name a certificate and its own private key")
    })
}

fn failed(message: String) -> Failure {
    Failure::new(Kind::TlsFailed, message)
}

/// As in libpq: `require` checks the chain where there are certificates to check it with, `verify-ca` and
/// `verify-full` insist on them, what is weaker checks nothing.
fn choose_verifier(
    target: &PostgresTarget,
    provider: &Arc<CryptoProvider>,
) -> Result<Arc<dyn ServerCertVerifier>, Failure> {
    let check = match target.ssl_mode {
        SslMode::Disable | SslMode::Allow | SslMode::Prefer => None,
        SslMode::Require => Some(Check::Chain),
        SslMode::VerifyCa => Some(Check::Chain),
        SslMode::VerifyFull => Some(Check::ChainAndName),
    };
    let optional = target.ssl_mode == SslMode::Require;
    let roots = match check {
        None => None,
        Some(_) => read_roots(&target.root_certificate, optional)?,
    };
    Ok(match (check, roots) {
        (Some(check), Some(roots)) => Arc::new(Verifier {
            check,
            roots: trust(&roots)?,
            given: roots.certificates,
            provider: provider.clone(),
        }),
        _ => Arc::new(AcceptAny { provider: provider.clone() }),
    })
}

/// Certificates and where they stand.
struct Roots {
    path: PathBuf,
    certificates: Vec<CertificateDer<'static>>,
    /// A bundle of the system may hold some that rustls does not understand.
    system: bool,
}

/// `Ok(None)`: nothing was asked for and nothing is there, which only `optional` allows. A file that was asked
/// for has to be there in every case, else a typing error would turn the check off.
fn read_roots(root: &RootCertificate, optional: bool) -> Result<Option<Roots>, Failure> {
    let (path, system) = match root {
        RootCertificate::File(path) => (path.clone(), false),
        RootCertificate::Default(Some(path)) if path.exists() => (path.clone(), false),
        RootCertificate::Default(_) if optional => return Ok(None),
        RootCertificate::Default(path) => return Err(no_roots(path.as_deref())),
        RootCertificate::System(Some(path)) => (path.clone(), true),
        RootCertificate::System(None) => (find_system_bundle()?, true),
    };
    let certificates = read_certificates(&path)?;
    Ok(Some(Roots { path, certificates, system }))
}

fn no_roots(path: Option<&Path>) -> Failure {
    let what = match path {
        Some(path) => format!("the file {} does not exist", path.display()),
        None => "there is no HOME in which to look for .postgresql/root.crt".to_owned(),
    };
    failed(format!(
        "the server's certificate has to be verified, and {what}"
    ))
    .hint("name the file of the CA's certificate with sslrootcert=PATH, or take sslrootcert=system for a certificate that a public CA signed")
}

fn find_system_bundle() -> Result<PathBuf, Failure> {
    let found = SYSTEM_BUNDLES.iter().map(Path::new).find(|p| p.exists());
    found.map(Path::to_owned).ok_or_else(|| {
        failed(format!(
            "sslrootcert=system, and none of the system's certificate files is there: {}",
            SYSTEM_BUNDLES.join(", ")
        ))
        .hint("install the package ca-certificates, or name a file in SSL_CERT_FILE")
    })
}

fn read_certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, Failure> {
    let certificates: Result<Vec<_>, _> =
        CertificateDer::pem_file_iter(path).and_then(Iterator::collect);
    let certificates =
        certificates.map_err(|error| unreadable("certificate file", path, &error))?;
    if certificates.is_empty() {
        return Err(unreadable("certificate file", path, &pem::Error::NoItemsFound));
    }
    Ok(certificates)
}

fn unreadable(what: &str, path: &Path, error: &pem::Error) -> Failure {
    let why = match error {
        pem::Error::Io(error) => error.to_string(),
        pem::Error::NoItemsFound => "it holds none in PEM form".to_owned(),
        _ => "it is not valid PEM".to_owned(),
    };
    failed(format!("the {what} {} cannot be read: {why}", path.display()))
        .hint("check the path and the rights on the file")
}

fn trust(roots: &Roots) -> Result<RootCertStore, Failure> {
    let mut store = RootCertStore::empty();
    for certificate in &roots.certificates {
        match store.add(certificate.clone()) {
            Ok(()) => {}
            Err(_) if roots.system => {}
            Err(error) => {
                return Err(failed(format!(
                    "the certificate file {} holds a certificate that cannot be used: {error}",
                    roots.path.display()
                ))
                .hint("sslrootcert names a file of CA certificates in PEM form"));
            }
        }
    }
    Ok(store)
}

type ClientIdentity = (Vec<CertificateDer<'static>>, PrivateKeyDer<'static>);

fn read_client_certificate(files: &ClientCertificate) -> Result<ClientIdentity, Failure> {
    let chain = read_certificates(&files.certificate)?;
    check_key_rights(&files.key)?;
    let key = PrivateKeyDer::from_pem_file(&files.key).map_err(|error| match error {
        pem::Error::NoItemsFound => failed(format!(
            "the private key {} cannot be read: it holds none in PEM form, or an encrypted one",
            files.key.display()
        ))
        .hint("decrypt it with openssl pkey -in KEY -out NEW_KEY"),
        error => unreadable("private key", &files.key, &error),
    })?;
    Ok((chain, key))
}

/// libpq's rule: a key that others can read is no secret; root's may be readable for one group.
fn check_key_rights(path: &Path) -> Result<(), Failure> {
    // A key that is not there is told by whoever reads it.
    let Ok(metadata) = fs::metadata(path) else {
        return Ok(());
    };
    let allowed = if metadata.uid() == 0 { 0o640 } else { 0o600 };
    match metadata.permissions().mode() & 0o777 & !allowed & !0o100 {
        0 => Ok(()),
        _ => Err(failed(format!(
            "the private key {} is open to others than its owner",
            path.display()
        ))
        .hint(format!("chmod 600 {}", path.display()))),
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Check {
    /// `verify-ca`: a trusted CA signed the certificate, whoever it is for.
    Chain,
    /// `verify-full`: and it is for this host.
    ChainAndName,
}

/// Checks a server's certificate against the given ones.
#[derive(Debug)]
struct Verifier {
    check: Check,
    roots: RootCertStore,
    given: Vec<CertificateDer<'static>>,
    provider: Arc<CryptoProvider>,
}

impl Verifier {
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
            // A self-signed certificate that is itself in the file: openssl makes it a CA unless told
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
fn is_ca_as_server(error: &rustls::Error) -> bool {
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

/// Takes any certificate, for the modes that only ask for encryption.
///
/// The handshake's signature is not checked either: it would only show that the server holds the key of a
/// certificate that nobody vouches for, and rustls cannot read the version 1 certificates of many manuals.
#[derive(Debug)]
struct AcceptAny {
    provider: Arc<CryptoProvider>,
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

/// What is wrong with a server's certificate, in words, and what to do about it.
pub fn explain(error: &rustls::Error) -> (String, String) {
    use CertificateError as Wrong;
    let rustls::Error::InvalidCertificate(wrong) = error else {
        return (
            format!("the TLS handshake failed: {error}"),
            "check the server's TLS settings (ssl_min_protocol_version, ssl_ciphers, clientcert in pg_hba.conf) and its log".to_owned(),
        );
    };
    let (what, hint) = match wrong {
        Wrong::Expired | Wrong::ExpiredContext { .. } => (
            "the server's certificate has expired".to_owned(),
            "renew it on the server, or correct this machine's clock",
        ),
        Wrong::NotValidYet | Wrong::NotValidYetContext { .. } => (
            "the server's certificate is not valid yet".to_owned(),
            "check the clock of this machine and of the one that made the certificate",
        ),
        Wrong::UnknownIssuer | Wrong::BadSignature => (
            "the server's certificate was not signed by a CA that is trusted here".to_owned(),
            "let sslrootcert name the certificate of the CA that signed the server's",
        ),
        Wrong::NotValidForName => {
            ("the server's certificate is for another host name".to_owned(), NAME_HINT)
        }
        Wrong::NotValidForNameContext { expected, presented } => {
            (wrong_name(&expected.to_str(), presented), NAME_HINT)
        }
        Wrong::Other(other) if other.to_string() == "UnsupportedCertVersion" => (
            "the server's certificate is of X.509 version 1, which cannot be verified".to_owned(),
            "make a new one with a subjectAltName (openssl: -addext subjectAltName=DNS:NAME)",
        ),
        _ if is_ca_as_server(error) => (
            "the server's certificate is self-signed, and not one of those that are trusted here"
                .to_owned(),
            "let sslrootcert name a copy of the server's certificate",
        ),
        other => (
            format!("the server's certificate is not valid: {other}"),
            "check the certificate on the server",
        ),
    };
    (what, hint.to_owned())
}

const NAME_HINT: &str = "connect by a name that stands in the certificate's subjectAltName (hostaddr can say where it is), or use sslmode=verify-ca";

fn wrong_name(expected: &str, presented: &[String]) -> String {
    if presented.is_empty() {
        return format!(
            "the server's certificate has no subjectAltName, so it is not for {expected}"
        );
    }
    let names: Vec<&str> = presented.iter().map(|name| plain_name(name)).collect();
    format!("the server's certificate is for {}, not for {expected}", names.join(", "))
}

/// The name within rustls' `DnsName("name")`.
fn plain_name(name: &str) -> &str {
    let inner = name.split_once('(').and_then(|(_, rest)| rest.strip_suffix(')'));
    inner.unwrap_or(name).trim_matches('"')
}

#[cfg(test)]
mod tests {
    use super::*;
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
        let roots = Roots {
            path: PathBuf::from("root.crt"),
            certificates: vec![certificate(trusted)],
            system: false,
        };
        let verifier = Verifier {
            check,
            roots: trust(&roots).unwrap(),
            given: roots.certificates,
            provider: Arc::new(rustls::crypto::ring::default_provider()),
        };
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
            assert!(explain(&error).0.contains("self-signed"), "{error}");
        }
    }

    #[test]
    fn a_trusted_self_signed_certificate_still_has_a_name_and_dates() {
        let elsewhere = "other.example.com";
        assert_eq!(verify(Check::Chain, SELF_SIGNED, SELF_SIGNED, elsewhere), Ok(()));
        let error = verify(Check::ChainAndName, SELF_SIGNED, SELF_SIGNED, elsewhere).unwrap_err();
        let (what, _) = explain(&error);
        assert!(what.contains("is for db.example.com, not for other.example.com"), "{what}");
        for (year, expected) in [(2200, "expired"), (2000, "not valid yet")] {
            let error =
                verify_in(year, Check::Chain, SELF_SIGNED, SELF_SIGNED, elsewhere).unwrap_err();
            assert!(explain(&error).0.contains(expected), "{error}");
        }
    }
}
