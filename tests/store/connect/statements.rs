//! The session of a connection, and the failures of its statements.

use super::*;

/// What a statement fails with.
fn statement_failure(client: &mut Client, statement: &str) -> Failure {
    match client.query(statement, &[]) {
        Ok(_) => panic!("{statement}: no error"),
        Err(error) => failure(&error, "reading the tasks"),
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
        let failure = statement_failure(&mut client, statement);
        assert_eq!(failure.kind, kind, "{failure:?}");
        assert!(failure.message.starts_with("reading the tasks: "), "{failure}");
        assert!(failure.message.contains(text), "{statement}: {failure}");
    }
    let misspelt = statement_failure(&mut client, "SELECT relnam FROM pg_class");
    assert!(misspelt.message.contains("\"pg_class.relname\""), "{misspelt}");
}

#[test]
fn a_statement_that_runs_too_long_is_a_statement_timeout() {
    let servers = Servers::find();
    let mut client = servers.admin();
    client.batch_execute("SET statement_timeout = '50ms'").unwrap();
    let failure = statement_failure(&mut client, "SELECT pg_sleep(20)");
    assert_eq!(failure.kind, Kind::StatementTimeout);
    let hint = failure.hint.unwrap();
    assert!(hint.contains("database.statement_timeout_seconds"), "{hint}");
}

#[test]
fn a_missing_right_names_the_table() {
    let servers = Servers::find();
    let url = servers.url(&format!("locked:{ENCODED_PASSWORD}"), "127.0.0.1", "");
    let failure = statement_failure(&mut open(&url), "SELECT * FROM pg_authid");
    assert_eq!(failure.kind, Kind::PermissionDenied);
    assert!(failure.message.contains("pg_authid"), "{failure}");
    assert!(failure.hint.unwrap().contains("GRANT SELECT ON pg_authid"));
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
        let failure = statement_failure(&mut client, "SELECT 1");
        assert_eq!(failure.kind, Kind::DatabaseUnavailable, "{failure:?}");
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
    let failure = statement_failure(&mut client, "SELECT pg_sleep(20)");
    canceller.join().unwrap();
    assert_eq!(failure.kind, Kind::QueryFailed, "{failure:?}");
    assert!(failure.hint.unwrap().contains("cancelled"));
}

#[test]
fn a_column_of_another_type_is_a_mapping_mismatch() {
    let servers = Servers::find();
    let row = servers.admin().query_one("SELECT 'text'::text", &[]).unwrap();
    let error = row.try_get::<_, i64>(0).unwrap_err();
    let failure = failure(&error, "reading the tasks");
    assert_eq!(failure.kind, Kind::MappingMismatch, "{failure:?}");
}
