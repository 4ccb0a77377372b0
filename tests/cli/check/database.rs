//! The server: gone, silent, or with a wrong clock.

use super::*;

#[test]
fn a_wrong_clock_is_reported_with_the_difference() {
    let env = TestEnv::postgres();
    env.sql(&format!(
        "CREATE SCHEMA wrong;
         CREATE FUNCTION wrong.clock_timestamp() RETURNS timestamptz LANGUAGE sql AS
         $$ SELECT pg_catalog.clock_timestamp() - interval '400 seconds' $$;
         ALTER DATABASE {} SET search_path = wrong, pg_catalog, public",
        env.name()
    ));
    let found = run_check(&env, &[], 1);
    assert_check(&found, "clock", "failed", &["-400.0", "NTP"]);
    env.sql(
        "CREATE OR REPLACE FUNCTION wrong.clock_timestamp() RETURNS timestamptz LANGUAGE sql AS
             $$ SELECT pg_catalog.clock_timestamp() + interval '60 seconds' $$",
    );
    assert_check(&run_check(&env, &[], 0), "clock", "warning", &["60.0"]);
}

#[test]
fn an_unreachable_server_is_one_failure_and_the_checks_that_need_it_are_skipped() {
    let env = TestEnv::new();
    let url = format!("postgresql://locked:{PASSWORD_IN_URL}@127.0.0.1:{}/x", dead_port());
    let found = run_check(&env, &["--database-url", &url], 1);
    assert_check(&found, "database", "failed", &["127.0.0.1"]);
    for name in ["mapping", "indexes", "permissions"] {
        assert_check(&found, name, "skipped", &["the database has to be reached first"]);
    }
    let found = run_check(&env, &["--database-url", "sqlite:gone.db"], 1);
    assert_check(&found, "database", "failed", &["gone.db"]);
    assert_check(
        &run_check(&env, &[], 1),
        "database",
        "failed",
        &["no database is configured", "database.url"],
    );
    assert!(!env.path("gone.db").exists());
}

/// It ends, and in time for somebody who waits.
#[test]
fn a_server_that_stops_answering_is_a_failure() {
    let env = TestEnv::postgres();
    env.config("statement_timeout_seconds = 1\n");
    let proxy = Proxy::new("current_user", Freeze::Everything);
    let url = proxy.url(env.name());
    let found = run_check(&env, &["--database-url", &url], 1);
    assert_check(&found, "database", "failed", &["has not answered"]);
    assert_check(&found, "mapping", "skipped", &[]);
    assert!(proxy.is_frozen());
}
