//! Connecting to real servers: every `sslmode`, every way to give a password, every failure.
//!
//! `scripts/test.sh` starts the servers and sets the variables that [`Servers::find`] reads. Without them the
//! tests fail; they never skip.

use postgres::Client;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use std::{env, fs, process, thread};
use taskmon::outcome::{Failure, Kind};
use taskmon::store::postgres::connect::connect;
use taskmon::store::postgres::failure::failure;
use taskmon::store::target::{Target, UrlContext};
use tempfile::TempDir;

/// The password of the roles `locked` and `tlsonly`, as it is and in a URL.
const PASSWORD: &str = "s3cret:p@ss";
const ENCODED_PASSWORD: &str = "s3cret%3Ap%40ss";

/// Long enough for a busy machine, short enough to wait for.
const PATIENCE: Duration = Duration::from_secs(20);

struct Servers {
    /// A server with TLS, whose certificate is for `localhost`.
    port: u16,
    socket_dir: String,
    /// A hot standby of it, without TLS.
    plain_port: u16,
    ca: String,
    /// A CA that signed nothing.
    wrong_ca: String,
}

impl Servers {
    fn find() -> Self {
        let variable = |name: &str| match env::var(name) {
            Ok(value) if !value.is_empty() => value,
            _ => panic!(
                "{name} is not set: run the tests with scripts/test.sh, which starts the servers"
            ),
        };
        let port = |name| variable(name).parse().expect("a port");
        Servers {
            port: port("TASKMON_TEST_PG_PORT"),
            socket_dir: variable("TASKMON_TEST_PG_SOCKET_DIR"),
            plain_port: port("TASKMON_TEST_PG_PLAIN_PORT"),
            ca: variable("TASKMON_TEST_PG_CA"),
            wrong_ca: variable("TASKMON_TEST_PG_WRONG_CA"),
        }
    }

    fn url(&self, user: &str, host: &str, query: &str) -> String {
        format!("postgresql://{user}@{host}:{}/postgres?{query}", self.port)
    }

    fn admin(&self) -> Client {
        open(&format!("postgresql://postgres@127.0.0.1:{}/postgres", self.port))
    }
}

/// A home folder of its own, so that nothing of this machine's user takes part.
struct Setting {
    home: TempDir,
    variables: Vec<(String, String)>,
    connect_timeout: Duration,
}

impl Setting {
    fn new() -> Self {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().display().to_string();
        Setting { home, variables: vec![("HOME".to_owned(), path)], connect_timeout: PATIENCE }
    }

    fn with(mut self, name: &str, value: &str) -> Self {
        self.variables.push((name.to_owned(), value.to_owned()));
        self
    }

    fn waiting(mut self, connect_timeout: Duration) -> Self {
        self.connect_timeout = connect_timeout;
        self
    }

    /// Puts a file into the home folder, which only its owner may read.
    fn home_file(self, name: &str, content: &str) -> Self {
        let path = self.home_path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, content).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        self
    }

    fn home_path(&self, name: &str) -> PathBuf {
        self.home.path().join(name)
    }

    fn connect(&self, url: &str) -> Result<Client, Failure> {
        let env = |name: &str| {
            let found = self.variables.iter().find(|(known, _)| known == name);
            found.map(|(_, value)| value.clone())
        };
        let context = UrlContext {
            env: &env,
            base_dir: Path::new("/"),
            connect_timeout: self.connect_timeout,
        };
        let target = match Target::parse(url, &context) {
            Ok(Target::Postgres(target)) => target,
            other => panic!("{url}: {other:?}"),
        };
        connect(&target).map_err(|error| Failure::of(&error))
    }

    fn open(&self, url: &str) -> Client {
        match self.connect(url) {
            Ok(client) => client,
            Err(failure) => panic!("{url}: {failure:?}"),
        }
    }

    /// The failure, of which no part shows a password and of which the message says all of `texts`.
    fn refusal(&self, url: &str, kind: Kind, texts: &[&str]) -> Failure {
        let failure = match self.connect(url) {
            Ok(_) => panic!("{url}: connected"),
            Err(failure) => failure,
        };
        let shown = format!("{failure:?}");
        assert_eq!(failure.kind, kind, "{url}: {shown}");
        for text in texts {
            assert!(failure.message.contains(text), "{url}: {text:?} is not in {shown}");
        }
        assert!(failure.hint.is_some(), "{url}: {shown}");
        for secret in ["s3cret", "p@ss", "p%40ss", "wr0ng"] {
            assert!(!shown.contains(secret), "{url}: {shown}");
        }
        failure
    }
}

fn open(url: &str) -> Client {
    Setting::new().open(url)
}

fn refusal(url: &str, kind: Kind, texts: &[&str]) -> Failure {
    Setting::new().refusal(url, kind, texts)
}

/// Whether the server says that the connection is encrypted.
fn is_encrypted(client: &mut Client) -> bool {
    let query = "SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()";
    client.query_one(query, &[]).unwrap().get(0)
}

fn show(client: &mut Client, setting: &str) -> String {
    client.query_one(&format!("SHOW {setting}"), &[]).unwrap().get(0)
}

/// A port at which nothing listens.
fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// A server that answers every connection with `answer`, then keeps still, or hangs up.
struct FakeServer {
    port: u16,
}

enum Then {
    KeepStill,
    HangUp,
}

impl FakeServer {
    fn start(answer: Vec<u8>, then: Then) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        thread::spawn(move || {
            let mut kept: Vec<TcpStream> = vec![];
            for stream in listener.incoming() {
                let mut stream = stream.unwrap();
                let mut request = [0; 1024];
                let _ = stream.read(&mut request);
                let _ = stream.write_all(&answer);
                if let Then::KeepStill = then {
                    kept.push(stream);
                }
            }
        });
        FakeServer { port }
    }

    /// Answers like a PostgreSQL server that cannot serve: an ErrorResponse message of the protocol.
    fn refusing(code: &str, message: &str) -> Self {
        let fields = format!("SFATAL\0VFATAL\0C{code}\0M{message}\0\0");
        let mut answer = vec![b'E'];
        answer.extend(u32::try_from(fields.len() + 4).unwrap().to_be_bytes());
        answer.extend(fields.as_bytes());
        FakeServer::start(answer, Then::HangUp)
    }

    fn url(&self, query: &str) -> String {
        format!("postgresql://u:s3cret@127.0.0.1:{}/d?{query}", self.port)
    }
}

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
fn a_password_comes_from_the_url_the_environment_or_the_password_file() {
    let servers = Servers::find();
    let url = servers.url("locked", "127.0.0.1", "");
    let port = servers.port;
    open(&servers.url(&format!("locked:{ENCODED_PASSWORD}"), "127.0.0.1", ""));
    open(&servers.url("locked", "127.0.0.1", &format!("password={ENCODED_PASSWORD}")));
    Setting::new().with("PGPASSWORD", PASSWORD).open(&url);
    let line = format!("127.0.0.1:{port}:*:locked:s3cret\\:p@ss\n");
    let with_file = Setting::new().home_file(".pgpass", &line);
    with_file.open(&url);
    let elsewhere = Setting::new().home_file("other", &line);
    let path = elsewhere.home_path("other").display().to_string();
    elsewhere.with("PGPASSFILE", &path).open(&url);

    let beaten = Setting::new().home_file(".pgpass", &line).with("PGPASSWORD", "wr0ng");
    beaten.refusal(&url, Kind::DatabaseRefused, &["28P01"]);
    let path = with_file.home_path(".pgpass");
    fs::set_permissions(path, fs::Permissions::from_mode(0o644)).unwrap();
    with_file.refusal(&url, Kind::DatabaseRefused, &["none is given"]);
}

#[test]
fn a_refusing_server_is_database_refused() {
    let servers = Servers::find();
    let place = format!("127.0.0.1:{}", servers.port);
    for mode in ["disable", "allow", "prefer", "require"] {
        let query = format!("sslmode={mode}");
        let wrong = servers.url("locked:wr0ng", "127.0.0.1", &query);
        refusal(&wrong, Kind::DatabaseRefused, &["locked", "28P01", &place]);
        let none = servers.url("locked", "127.0.0.1", &query);
        let told = refusal(&none, Kind::DatabaseRefused, &["asks for a password", "locked"]);
        assert!(told.hint.unwrap().contains("PGPASSWORD"));
    }
    let stranger = servers.url("nobody_of_this_name:s3cret", "127.0.0.1", "");
    refusal(&stranger, Kind::DatabaseRefused, &["nobody_of_this_name"]);
}

#[test]
fn a_missing_database_is_named() {
    let servers = Servers::find();
    let url = format!("postgresql://postgres@127.0.0.1:{}/no_such_database", servers.port);
    let texts = ["no_such_database", "3D000", "does not exist"];
    refusal(&url, Kind::DatabaseUnavailable, &texts);
}

/// A database that goes when the test ends, also when it fails.
struct Scratch {
    admin: Client,
    name: String,
}

impl Scratch {
    fn create(servers: &Servers, purpose: &str) -> Self {
        let mut admin = servers.admin();
        let name = format!("connect_{purpose}_{}", process::id());
        admin.batch_execute(&format!("CREATE DATABASE {name}")).unwrap();
        Scratch { admin, name }
    }

    fn url(&self, servers: &Servers, user: &str) -> String {
        format!("postgresql://{user}@127.0.0.1:{}/{}", servers.port, self.name)
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = self.admin.batch_execute(&format!("DROP DATABASE {} WITH (FORCE)", self.name));
    }
}

#[test]
fn too_many_connections_are_told_as_such() {
    let servers = Servers::find();
    let mut full = Scratch::create(&servers, "full");
    let limit = format!("ALTER DATABASE {} CONNECTION LIMIT 0", full.name);
    full.admin.batch_execute(&limit).unwrap();
    let url = full.url(&servers, &format!("locked:{ENCODED_PASSWORD}"));
    refusal(&url, Kind::DatabaseUnavailable, &["too many connections", "53300"]);
}

#[test]
fn a_role_without_the_right_to_connect_is_refused() {
    let servers = Servers::find();
    let mut closed = Scratch::create(&servers, "closed");
    let revoke = format!("REVOKE CONNECT ON DATABASE {} FROM PUBLIC", closed.name);
    closed.admin.batch_execute(&revoke).unwrap();
    let url = closed.url(&servers, &format!("locked:{ENCODED_PASSWORD}"));
    let told = refusal(&url, Kind::DatabaseRefused, &["permission denied", "42501"]);
    assert!(told.hint.unwrap().contains("GRANT CONNECT"));
}

#[test]
fn a_port_at_which_nobody_listens_is_unavailable() {
    let port = free_port();
    let url = format!("postgresql://u:s3cret@127.0.0.1:{port}/d");
    let place = format!("127.0.0.1:{port}: connection refused");
    let told = refusal(&url, Kind::DatabaseUnavailable, &[&place, "\"d\"", "\"u\""]);
    assert_eq!(told.message.matches("connection refused").count(), 1, "{told}");
    let named = format!("postgresql://u@localhost:{port}/d");
    let told = refusal(&named, Kind::DatabaseUnavailable, &["connection refused"]);
    assert_eq!(told.message.matches("connection refused").count(), 1, "{told}");
}

#[test]
fn a_missing_socket_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path().display();
    let url = format!("postgresql://u@/d?host={folder}&port=5999");
    let socket = format!("{folder}/.s.PGSQL.5999");
    refusal(&url, Kind::DatabaseUnavailable, &[&socket, "no such socket"]);
}

#[test]
fn a_host_name_that_does_not_exist_is_unavailable() {
    let url = "postgresql://u:s3cret@no-such-host.invalid/d";
    let texts = ["no-such-host.invalid:5432", "resolved"];
    refusal(url, Kind::DatabaseUnavailable, &texts);
}

#[test]
fn a_silent_server_is_given_up_within_the_timeout() {
    let timeout = Duration::from_millis(400);
    let silent = FakeServer::start(vec![], Then::KeepStill);
    // This one agrees to TLS and then says nothing more.
    let silent_in_tls = FakeServer::start(vec![b'S'], Then::KeepStill);
    // This one has no TLS and then says nothing more.
    let silent_in_login = FakeServer::start(vec![b'N'], Then::KeepStill);
    for (server, mode) in [
        (&silent, "disable"),
        (&silent, "prefer"),
        (&silent_in_tls, "prefer"),
        (&silent_in_tls, "require"),
        (&silent_in_login, "prefer"),
    ] {
        let start = Instant::now();
        let url = server.url(&format!("sslmode={mode}"));
        let setting = Setting::new().waiting(timeout);
        setting.refusal(&url, Kind::DatabaseUnavailable, &["no answer within 400ms"]);
        assert!(start.elapsed() >= timeout, "{url}");
        assert!(start.elapsed() < PATIENCE / 2, "{url}: {:?}", start.elapsed());
    }
}

#[test]
fn a_server_that_hangs_up_is_unavailable() {
    let server = FakeServer::start(vec![], Then::HangUp);
    for mode in ["disable", "prefer"] {
        let url = server.url(&format!("sslmode={mode}"));
        refusal(&url, Kind::DatabaseUnavailable, &["closed the connection"]);
    }
}

#[test]
fn something_other_than_postgresql_is_told_in_words() {
    let server = FakeServer::start(b"SSH-2.0-OpenSSH_9.2\r\n".to_vec(), Then::HangUp);
    let place = format!("127.0.0.1:{}", server.port);
    for (mode, kind) in [("disable", Kind::DatabaseUnavailable), ("require", Kind::TlsFailed)] {
        let url = server.url(&format!("sslmode={mode}"));
        refusal(&url, kind, &[&place]);
    }
}

#[test]
fn a_server_that_starts_up_is_unavailable_and_makes_way_for_the_next_host() {
    let servers = Servers::find();
    let starting = FakeServer::refusing("57P03", "the database system is starting up");
    let url = starting.url("sslmode=disable");
    refusal(&url, Kind::DatabaseUnavailable, &["is starting up", "57P03"]);
    let both = format!(
        "postgresql://postgres@127.0.0.1:{},127.0.0.1:{}/postgres?sslmode=disable",
        starting.port, servers.port
    );
    assert_eq!(show(&mut open(&both), "port"), servers.port.to_string());
}

#[test]
fn the_next_host_is_tried_where_one_cannot_be_reached() {
    let servers = Servers::find();
    let silent = FakeServer::start(vec![], Then::KeepStill);
    let port = servers.port;
    for first in [
        format!("127.0.0.1:{}", free_port()),
        format!("127.0.0.1:{}", silent.port),
        "no-such-host.invalid:1".to_owned(),
    ] {
        let url =
            format!("postgresql://postgres@{first},127.0.0.1:{port}/postgres?connect_timeout=2");
        assert_eq!(show(&mut open(&url), "port"), port.to_string(), "{first}");
    }
}

#[test]
fn all_hosts_that_cannot_be_reached_are_named() {
    let (first, second) = (free_port(), free_port());
    let url = format!("postgresql://u:s3cret@127.0.0.1:{first},127.0.0.1:{second}/d");
    let (first, second) = (format!("127.0.0.1:{first}"), format!("127.0.0.1:{second}"));
    refusal(&url, Kind::DatabaseUnavailable, &[&first, &second]);
}

#[test]
fn a_wrong_password_is_not_offered_to_the_next_host() {
    let servers = Servers::find();
    let (first, second) = (servers.port, free_port());
    let url = format!("postgresql://locked:wr0ng@127.0.0.1:{first},127.0.0.1:{second}/postgres");
    let told = refusal(&url, Kind::DatabaseRefused, &["28P01"]);
    assert!(!told.message.contains(&second.to_string()), "{told}");
}

#[test]
fn target_session_attrs_chooses_among_the_hosts() {
    let servers = Servers::find();
    let (primary, standby) = (servers.port, servers.plain_port);
    let url = |ports: &[u16], wanted: &str| {
        let hosts: Vec<String> = ports.iter().map(|port| format!("127.0.0.1:{port}")).collect();
        let hosts = hosts.join(",");
        format!("postgresql://postgres@{hosts}/postgres?target_session_attrs={wanted}")
    };
    for (ports, wanted, expected) in [
        ([standby, primary], "any", standby),
        ([standby, primary], "primary", primary),
        ([standby, primary], "read-write", primary),
        ([primary, standby], "standby", standby),
        ([primary, standby], "read-only", standby),
        ([primary, standby], "prefer-standby", standby),
        ([primary, primary], "prefer-standby", primary),
    ] {
        let url = url(&ports, wanted);
        assert_eq!(show(&mut open(&url), "port"), expected.to_string(), "{url}");
    }
    for (port, wanted, text) in [
        (standby, "primary", "it is a standby"),
        (standby, "read-write", "it is read-only"),
        (primary, "standby", "it is a primary"),
        (primary, "read-only", "it is not read-only"),
    ] {
        refusal(&url(&[port], wanted), Kind::DatabaseUnavailable, &[text]);
    }
}

#[test]
fn the_session_has_the_name_and_the_settings_of_the_url() {
    let servers = Servers::find();
    let mut client = servers.admin();
    assert_eq!(show(&mut client, "application_name"), "taskmon");
    assert_eq!(show(&mut client, "client_encoding"), "UTF8");
    let query = "application_name=night%20shift&options=-c%20search_path%3Djobs";
    let mut client = open(&servers.url("postgres", "127.0.0.1", query));
    assert_eq!(show(&mut client, "application_name"), "night shift");
    assert_eq!(show(&mut client, "search_path"), "jobs");
}

/// What a statement fails with.
fn statement_failure(client: &mut Client, statement: &str) -> Failure {
    match client.query(statement, &[]) {
        Ok(_) => panic!("{statement}: no error"),
        Err(error) => failure(&error, "reading the tasks"),
    }
}

#[test]
fn a_failed_statement_has_its_kind_and_all_that_the_server_said() {
    let servers = Servers::find();
    let mut client = servers.admin();
    for (statement, kind, text) in [
        ("SELECT * FROM no_such_table", Kind::MappingMismatch, "42P01"),
        ("SELECT no_such_column FROM pg_class", Kind::MappingMismatch, "42703"),
        ("SELECT no_such_function(1)", Kind::MappingMismatch, "42883"),
        ("SELECT 1 WHERE relname FROM pg_class", Kind::MappingMismatch, "42601"),
        ("SELECT now() = 1", Kind::MappingMismatch, "42883"),
        ("SELECT CASE WHEN true THEN 1 ELSE now() END", Kind::MappingMismatch, "42804"),
        ("SELECT 1 / 0", Kind::QueryFailed, "22012"),
    ] {
        let told = statement_failure(&mut client, statement);
        assert_eq!(told.kind, kind, "{told:?}");
        assert!(told.message.starts_with("reading the tasks: "), "{told}");
        assert!(told.message.contains(text), "{statement}: {told}");
    }
    let misspelt = statement_failure(&mut client, "SELECT relnam FROM pg_class");
    assert!(misspelt.message.contains("\"pg_class.relname\""), "{misspelt}");
}

#[test]
fn a_statement_that_runs_too_long_is_a_statement_timeout() {
    let servers = Servers::find();
    let mut client = servers.admin();
    client.batch_execute("SET statement_timeout = '50ms'").unwrap();
    let told = statement_failure(&mut client, "SELECT pg_sleep(20)");
    assert_eq!(told.kind, Kind::StatementTimeout);
    let hint = told.hint.unwrap();
    assert!(hint.contains("database.statement_timeout_seconds"), "{hint}");
}

#[test]
fn a_missing_right_names_the_table() {
    let servers = Servers::find();
    let url = servers.url(&format!("locked:{ENCODED_PASSWORD}"), "127.0.0.1", "");
    let told = statement_failure(&mut open(&url), "SELECT * FROM pg_authid");
    assert_eq!(told.kind, Kind::PermissionDenied);
    assert!(told.message.contains("pg_authid"), "{told}");
    assert!(told.hint.unwrap().contains("GRANT SELECT ON pg_authid"));
}

#[test]
fn a_connection_that_was_cut_off_is_unavailable() {
    let servers = Servers::find();
    let mut client = servers.admin();
    let pid: i32 = client.query_one("SELECT pg_backend_pid()", &[]).unwrap().get(0);
    let ended =
        servers.admin().query_one("SELECT pg_terminate_backend($1, 10000)", &[&pid]).unwrap();
    assert!(ended.get::<_, bool>(0));
    // The first statement meets the server's last words, the second a closed connection.
    for _ in 0..2 {
        let told = statement_failure(&mut client, "SELECT 1");
        assert_eq!(told.kind, Kind::DatabaseUnavailable, "{told:?}");
    }
}

#[test]
fn a_statement_that_someone_cancelled_is_no_timeout() {
    let servers = Servers::find();
    let mut client = servers.admin();
    let pid: i32 = client.query_one("SELECT pg_backend_pid()", &[]).unwrap().get(0);
    let mut other = servers.admin();
    let canceller = thread::spawn(move || {
        let running = "SELECT count(*) FROM pg_stat_activity WHERE pid = $1 AND query LIKE '%pg_sleep%' AND state = 'active'";
        while other.query_one(running, &[&pid]).unwrap().get::<_, i64>(0) == 0 {}
        other.execute("SELECT pg_cancel_backend($1)", &[&pid]).unwrap();
    });
    let told = statement_failure(&mut client, "SELECT pg_sleep(20)");
    canceller.join().unwrap();
    assert_eq!(told.kind, Kind::QueryFailed, "{told:?}");
    assert!(told.hint.unwrap().contains("cancelled"));
}

#[test]
fn a_column_of_another_type_is_a_mapping_mismatch() {
    let servers = Servers::find();
    let row = servers.admin().query_one("SELECT 'text'::text", &[]).unwrap();
    let error = row.try_get::<_, i64>(0).unwrap_err();
    let told = failure(&error, "reading the tasks");
    assert_eq!(told.kind, Kind::MappingMismatch, "{told:?}");
}
