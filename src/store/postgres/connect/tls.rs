//! The client's side of TLS for each `sslmode`: which certificates are trusted, and what is checked.

use super::target::{ClientCertificate, PostgresTarget, RootCertificate, SslMode};
use crate::outcome::{Failure, Kind};
use crate::tls::{AcceptAny, Check, Verifier, system_roots};
use rustls::client::danger::ServerCertVerifier;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, RootCertStore, version};
use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;
use std::sync::Arc;

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
        SslMode::Require | SslMode::VerifyCa => Some(Check::Chain),
        SslMode::VerifyFull => Some(Check::ChainAndName),
    };
    let roots = match check {
        None => None,
        Some(_) => read_roots(&target.root_certificate, target.ssl_mode)?,
    };
    Ok(match (check, roots) {
        (Some(check), Some(roots)) => Arc::new(Verifier::new(check, roots, provider.clone())),
        _ => Arc::new(AcceptAny { provider: provider.clone() }),
    })
}

type Certificates = Vec<CertificateDer<'static>>;

/// `Ok(None)`: nothing was asked for and nothing is there, which only `require` allows. A file that was asked
/// for has to be there in every case, else a typing error would turn the check off.
fn read_roots(root: &RootCertificate, mode: SslMode) -> Result<Option<Certificates>, Failure> {
    match root {
        RootCertificate::File(path) => trust_file(path).map(Some),
        RootCertificate::Default(Some(path)) if path.exists() => trust_file(path).map(Some),
        RootCertificate::Default(_) if mode == SslMode::Require => Ok(None),
        RootCertificate::Default(path) => Err(no_roots(path.as_deref())),
        RootCertificate::System(Some(path)) => read_certificates(path).map(Some),
        RootCertificate::System(None) => system_roots()
            .map(Some)
            .map_err(|why| failed(format!("sslrootcert=system cannot be honoured: {why}"))),
    }
}

/// Each certificate of a file of one's own has to be one that can be used.
fn trust_file(path: &Path) -> Result<Certificates, Failure> {
    let certificates = read_certificates(path)?;
    let mut store = RootCertStore::empty();
    for certificate in &certificates {
        store.add(certificate.clone()).map_err(|error| {
            failed(format!(
                "the certificate file {} holds a certificate that cannot be used: {error}",
                path.display()
            ))
            .hint("sslrootcert names a file of CA certificates in PEM form")
        })?;
    }
    Ok(certificates)
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

fn read_certificates(path: &Path) -> Result<Certificates, Failure> {
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

type ClientIdentity = (Certificates, PrivateKeyDer<'static>);

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
    // Whoever reads it reports a key that is not there.
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
