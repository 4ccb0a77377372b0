//! Servers that refuse: passwords, roles, databases and limits.

use super::*;

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
        let failure = refusal(&none, Kind::DatabaseRefused, &["asks for a password", "locked"]);
        assert!(failure.hint.unwrap().contains("PGPASSWORD"));
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

#[test]
fn too_many_connections_are_named_as_the_cause() {
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
    let failure = refusal(&url, Kind::DatabaseRefused, &["permission denied", "42501"]);
    assert!(failure.hint.unwrap().contains("GRANT CONNECT"));
}
