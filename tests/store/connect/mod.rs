//! Connecting to real servers: every `sslmode`, every way to give a password, every failure.
//!
//! `scripts/test.sh` starts the servers and sets the variables that [`Servers::find`] reads. Without them the
//! tests fail; they never skip.

mod hosts;
mod refused;
mod statements;
mod tls;
mod unreachable;

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
