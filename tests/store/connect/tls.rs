//! TLS: every `sslmode`, and the certificates that are trusted and shown.

use super::*;
use crate::support::injector::{Place, inject};

#[test]
fn every_sslmode_does_on_a_tls_server_what_libpq_does() {
    let servers = Servers::find();
    let (ca, wrong) = (servers.ca.as_str(), servers.wrong_ca.as_str());
    let (encrypted, plain) = (Ok(true), Ok(false));
    let unknown = Err("not signed by a CA that is trusted here");
    let other_name = Err("is for localhost, not for 127.0.0.1");
    for (mode, host, root, expected) in [
        ("disable", "127.0.0.1", "", plain),
        ("disable", "localhost", wrong, plain),
        ("allow", "127.0.0.1", "", plain),
        ("prefer", "127.0.0.1", "", encrypted),
        ("prefer", "127.0.0.1", wrong, encrypted),
        ("require", "127.0.0.1", "", encrypted),
        ("require", "127.0.0.1", ca, encrypted),
        ("require", "localhost", wrong, unknown),
        ("verify-ca", "localhost", ca, encrypted),
        ("verify-ca", "127.0.0.1", ca, encrypted),
        ("verify-ca", "localhost", wrong, unknown),
        ("verify-full", "localhost", ca, encrypted),
        ("verify-full", "127.0.0.1", ca, other_name),
        ("verify-full", "localhost", wrong, unknown),
    ] {
        let mut url = servers.url("postgres", host, &format!("sslmode={mode}"));
        if !root.is_empty() {
            url.push_str(&format!("&sslrootcert={root}"));
        }
        match expected {
            Ok(expected) => assert_eq!(is_encrypted(&mut open(&url)), expected, "{url}"),
            Err(text) => {
                let place = format!("{host}:{}", servers.port);
                refusal(&url, Kind::TlsFailed, &[text, &place, "\"postgres\""]);
            }
        }
    }
}

#[test]
fn the_host_name_is_what_counts_and_not_the_address() {
    let servers = Servers::find();
    let query = format!("sslmode=verify-full&hostaddr=127.0.0.1&sslrootcert={}", servers.ca);
    assert!(is_encrypted(&mut open(&servers.url("postgres", "localhost", &query))));
    let url = servers.url("postgres", "db.example.com", &query);
    refusal(&url, Kind::TlsFailed, &["is for localhost, not for db.example.com"]);
}

#[test]
fn every_sslmode_does_on_a_server_without_tls_what_libpq_does() {
    let servers = Servers::find();
    for (mode, connects) in [
        ("disable", true),
        ("allow", true),
        ("prefer", true),
        ("require", false),
        ("verify-ca", false),
        ("verify-full", false),
    ] {
        let url = format!(
            "postgresql://postgres@localhost:{}/postgres?sslmode={mode}&sslrootcert={}",
            servers.plain_port, servers.ca
        );
        if connects {
            assert!(!is_encrypted(&mut open(&url)), "{mode}");
        } else {
            refusal(&url, Kind::TlsFailed, &["the server does not support TLS"]);
        }
    }
}

#[test]
fn a_role_that_may_only_come_over_tls_comes_over_tls() {
    let servers = Servers::find();
    let user = format!("tlsonly:{ENCODED_PASSWORD}");
    for mode in ["allow", "prefer", "require"] {
        let url = servers.url(&user, "127.0.0.1", &format!("sslmode={mode}"));
        assert!(is_encrypted(&mut open(&url)), "{mode}");
    }
    let url = servers.url(&user, "127.0.0.1", "sslmode=require&channel_binding=require");
    assert!(is_encrypted(&mut open(&url)));
    let url = servers.url(&user, "127.0.0.1", "sslmode=disable");
    refusal(&url, Kind::DatabaseRefused, &["tlsonly", "28000"]);
}

#[test]
fn tls_13_can_be_demanded() {
    let servers = Servers::find();
    let query = "sslmode=require&ssl_min_protocol_version=TLSv1.3";
    let mut client = open(&servers.url("postgres", "127.0.0.1", query));
    let query = "SELECT version FROM pg_stat_ssl WHERE pid = pg_backend_pid()";
    let version: String = client.query_one(query, &[]).unwrap().get(0);
    assert_eq!(version, "TLSv1.3");
}

#[test]
fn the_home_folders_root_certificate_is_used_where_none_is_named() {
    let servers = Servers::find();
    let right = fs::read_to_string(&servers.ca).unwrap();
    let wrong = fs::read_to_string(&servers.wrong_ca).unwrap();
    let file = ".postgresql/root.crt";
    for mode in ["require", "verify-ca", "verify-full"] {
        let url = servers.url("postgres", "localhost", &format!("sslmode={mode}"));
        let setting = Setting::new().home_file(file, &right);
        assert!(is_encrypted(&mut setting.open(&url)), "{mode}");
        let setting = Setting::new().home_file(file, &wrong);
        setting.refusal(&url, Kind::TlsFailed, &["not signed by a CA"]);
    }
}

#[test]
fn verification_without_certificates_names_the_missing_file() {
    let servers = Servers::find();
    let setting = Setting::new();
    let expected = setting.home_path(".postgresql/root.crt").display().to_string();
    for mode in ["verify-ca", "verify-full"] {
        let url = servers.url("postgres", "localhost", &format!("sslmode={mode}"));
        setting.refusal(&url, Kind::TlsFailed, &[&expected, "does not exist"]);
    }
    for mode in ["require", "verify-ca", "verify-full"] {
        let query = format!("sslmode={mode}&sslrootcert=/nowhere/ca.pem");
        let url = servers.url("postgres", "localhost", &query);
        refusal(&url, Kind::TlsFailed, &["/nowhere/ca.pem"]);
    }
}

#[test]
fn a_root_certificate_file_without_certificates_is_named() {
    let servers = Servers::find();
    for content in
        ["", "no certificate\n", "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n"]
    {
        let setting = Setting::new().home_file("ca.pem", content);
        let path = setting.home_path("ca.pem").display().to_string();
        let query = format!("sslmode=verify-ca&sslrootcert={path}");
        let url = servers.url("postgres", "localhost", &query);
        setting.refusal(&url, Kind::TlsFailed, &[&path]);
    }
}

#[test]
fn the_systems_certificates_are_those_of_ssl_cert_file() {
    let servers = Servers::find();
    let url = servers.url("postgres", "localhost", "sslrootcert=system");
    let right = Setting::new().with("SSL_CERT_FILE", &servers.ca);
    assert!(is_encrypted(&mut right.open(&url)));
    let wrong = Setting::new().with("SSL_CERT_FILE", &servers.wrong_ca);
    wrong.refusal(&url, Kind::TlsFailed, &["not signed by a CA"]);
}

#[test]
fn client_certificate_files_that_cannot_be_used_are_named() {
    let servers = Servers::find();
    let ca = &servers.ca;
    let url =
        |query: &str| servers.url("postgres", "localhost", &format!("sslmode=require&{query}"));
    let missing = url("sslcert=/nowhere/c.pem&sslkey=/nowhere/k.pem");
    refusal(&missing, Kind::TlsFailed, &["/nowhere/c.pem"]);
    let missing = url(&format!("sslcert={ca}&sslkey=/nowhere/k.pem"));
    refusal(&missing, Kind::TlsFailed, &["/nowhere/k.pem"]);

    let setting = Setting::new().home_file("k.pem", "no key\n");
    let path = setting.home_path("k.pem");
    let shown = path.display().to_string();
    let unusable = url(&format!("sslcert={ca}&sslkey={shown}"));
    setting.refusal(&unusable, Kind::TlsFailed, &[&shown, "PEM"]);
    fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
    setting.refusal(&unusable, Kind::TlsFailed, &[&shown, "open to others"]);
}

#[test]
fn a_socket_is_used_without_tls_whatever_sslmode_says() {
    let servers = Servers::find();
    let folder = &servers.socket_dir;
    let encoded = folder.replace('/', "%2F");
    for url in [
        format!("postgresql://postgres@/postgres?host={folder}&port={}", servers.port),
        format!("postgresql://postgres@{encoded}:{}/postgres", servers.port),
        format!("postgresql+psycopg2://postgres@/postgres?host={folder}&port={}", servers.port),
        format!(
            "postgresql://postgres@/postgres?host={folder}&port={}&sslmode=verify-full",
            servers.port
        ),
    ] {
        let mut client = open(&url);
        assert!(!is_encrypted(&mut client), "{url}");
        let address = client.query_one("SELECT inet_server_addr() IS NULL", &[]).unwrap();
        assert!(address.get::<_, bool>(0), "{url}");
    }
}

#[test]
fn bytes_put_in_before_the_handshake_are_not_believed() {
    let servers = Servers::find();
    const SSL_REQUEST: &[u8] = &[0, 0, 0, 8, 4, 210, 22, 47];
    // That the password is taken, and that it is ready.
    let accepted = b"R\0\0\0\x08\0\0\0\0Z\0\0\0\x05I";
    for place in [Place::SamePacket, Place::NextPacket] {
        let (port, _) = inject(servers.port, SSL_REQUEST, accepted, place);
        let url = format!(
            "postgresql://locked:{ENCODED_PASSWORD}@localhost:{port}/postgres?sslmode=verify-full&sslrootcert={}",
            servers.ca
        );
        refusal(&url, Kind::TlsFailed, &["corrupt message"]);
    }
    // Where nothing is put in, the connection comes about the same way.
    let (port, _) = inject(servers.port, SSL_REQUEST, b"", Place::SamePacket);
    let url = format!(
        "postgresql://postgres@localhost:{port}/postgres?sslmode=verify-full&sslrootcert={}",
        servers.ca
    );
    assert!(is_encrypted(&mut open(&url)));
}
