//! URLs with several hosts.

use super::*;

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
fn a_wrong_password_is_not_tried_on_the_next_host() {
    let servers = Servers::find();
    let (first, second) = (servers.port, free_port());
    let url = format!("postgresql://locked:wr0ng@127.0.0.1:{first},127.0.0.1:{second}/postgres");
    let failure = refusal(&url, Kind::DatabaseRefused, &["28P01"]);
    assert!(!failure.message.contains(&second.to_string()), "{failure}");
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
