//! An authority of the tests and the certificate of `localhost` that it signed, made once with openssl.

use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, OnceLock};
use taskmon::channels::Roots;
use tempfile::TempDir;

pub fn roots() -> Roots {
    roots_in("ca.crt")
}

/// The one certificate of a file.
pub fn roots_in(name: &str) -> Roots {
    let root = CertificateDer::from_pem_file(file(name)).unwrap();
    Roots::from([root])
}

pub fn file(name: &str) -> PathBuf {
    folder().join(name)
}

/// What a TLS server for `localhost` needs.
pub fn server_config() -> Arc<ServerConfig> {
    config_of("server")
}

/// The same with the certificate that `openssl req -x509` makes: it signs itself, and says that it is an authority's.
pub fn self_signed_config() -> Arc<ServerConfig> {
    config_of("self")
}

fn config_of(name: &str) -> Arc<ServerConfig> {
    let chain = vec![CertificateDer::from_pem_file(file(&format!("{name}.crt"))).unwrap()];
    let key = PrivateKeyDer::from_pem_file(file(&format!("{name}.key"))).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .unwrap();
    Arc::new(config)
}

fn folder() -> &'static Path {
    static FOLDER: OnceLock<TempDir> = OnceLock::new();
    FOLDER.get_or_init(make).path()
}

fn make() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let openssl = |arguments: &str| {
        let done = Command::new("openssl")
            .args(arguments.split_whitespace())
            .current_dir(folder.path())
            .output()
            .expect("openssl");
        let said = String::from_utf8_lossy(&done.stderr);
        assert!(done.status.success(), "openssl {arguments}: {said}");
    };
    let key = "-newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes";
    openssl(&format!("req -x509 {key} -days 30 -subj /CN=taskmon-test -keyout ca.key -out ca.crt"));
    openssl(&format!(
        "req -x509 {key} -days 30 -subj /CN=localhost -addext subjectAltName=DNS:localhost -keyout self.key -out self.crt"
    ));
    openssl(&format!("req {key} -subj /CN=localhost -keyout server.key -out server.csr"));
    std::fs::write(folder.path().join("names"), "subjectAltName=DNS:localhost\n").unwrap();
    openssl(
        "x509 -req -in server.csr -CA ca.crt -CAkey ca.key -CAcreateserial -days 30 -extfile names -out server.crt",
    );
    folder
}
