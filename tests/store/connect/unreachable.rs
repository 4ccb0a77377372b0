//! Servers that cannot be reached, do not answer, or are none.

use super::*;

#[test]
fn a_port_at_which_nobody_listens_is_unavailable() {
    let port = free_port();
    let url = format!("postgresql://u:s3cret@127.0.0.1:{port}/d");
    let place = format!("127.0.0.1:{port}: connection refused");
    let failure = refusal(&url, Kind::DatabaseUnavailable, &[&place, "\"d\"", "\"u\""]);
    assert_eq!(failure.message.matches("connection refused").count(), 1, "{failure}");
    let named = format!("postgresql://u@localhost:{port}/d");
    let failure = refusal(&named, Kind::DatabaseUnavailable, &["connection refused"]);
    assert_eq!(failure.message.matches("connection refused").count(), 1, "{failure}");
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
fn a_server_that_does_not_speak_postgresql_is_named() {
    let server = FakeServer::start(b"SSH-2.0-OpenSSH_9.2\r\n".to_vec(), Then::HangUp);
    let place = format!("127.0.0.1:{}", server.port);
    for (mode, kind) in [("disable", Kind::DatabaseUnavailable), ("require", Kind::TlsFailed)] {
        let url = server.url(&format!("sslmode={mode}"));
        refusal(&url, kind, &[&place]);
    }
}
