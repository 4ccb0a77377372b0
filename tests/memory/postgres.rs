//! What a PostgreSQL server says: texts of any length in its errors and notices, and messages of any length.

use super::{LONG, run};
use crate::cli::cleanup::{AS_OF, ids, kinds, make_files, old};
use crate::support::env::TestEnv;
use crate::support::rows::{DAY, Task};
use std::io::{Read, Write};
use std::net::TcpListener;
use std::thread;

const STATS: [&str; 5] = ["stats", "--date", DAY, "--no-save", "--no-alert"];

const FUNCTION: &str = "CREATE FUNCTION fail() RETURNS text LANGUAGE plpgsql AS \
    'BEGIN RAISE EXCEPTION USING MESSAGE = ''too bad '' || repeat(''x'', 100000000), HINT = repeat(''y'', 100000000); END'";

#[test]
fn the_words_of_a_trigger_that_raises_100_mb_are_cut() {
    let env = TestEnv::postgres();
    let tasks = [old(1), old(2)];
    make_files(&env, &tasks);
    env.insert(tasks);
    env.sql(FUNCTION);
    env.sql(
        "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN PERFORM fail(); RETURN OLD; END'; \
         CREATE TRIGGER refuse BEFORE DELETE ON tasks FOR EACH ROW WHEN (OLD.id = 1) EXECUTE FUNCTION refuse()",
    );
    let result = run(&env, 1, &["cleanup", "--as-of", AS_OF, "--only=tasks"]).json();
    assert_eq!(result["tasks_cleaned"], 1, "{result}");
    assert_eq!(kinds(&result), ["row_refused"]);
    let message = result["errors"][0]["message"].as_str().unwrap();
    assert!(message.contains("keeps it: too bad xxx"), "{message}");
    assert!(message.ends_with(&format!("x… ({} bytes)", LONG + 8)), "{message}");
    assert_eq!(ids(&env), ["1"]);
}

#[test]
fn a_report_on_a_view_that_fails_with_100_mb_says_why() {
    let env = TestEnv::postgres();
    env.insert([Task::new(1).failed("a")]);
    env.sql(FUNCTION);
    env.config("[database.tasks]\nerror_message = 'fail()'");
    let failure = run(&env, 3, &STATS).json();
    let message = failure["error"]["message"].as_str().unwrap();
    assert!(message.contains("too bad xxx") && message.len() < 20_000, "{message}");
    assert!(message.contains("P0001"), "{message}");
}

#[test]
fn a_notice_of_100_mb_is_not_kept() {
    let env = TestEnv::postgres();
    let tasks = [old(1), old(2)];
    make_files(&env, &tasks);
    env.insert(tasks);
    env.sql(
        "CREATE FUNCTION notify_all() RETURNS trigger LANGUAGE plpgsql AS \
         'BEGIN RAISE WARNING ''%'', repeat(''x'', 100000000); RETURN OLD; END'; \
         CREATE TRIGGER notify_all BEFORE DELETE ON tasks FOR EACH ROW EXECUTE FUNCTION notify_all()",
    );
    let result = run(&env, 0, &["cleanup", "--as-of", AS_OF, "--only=tasks"]).json();
    assert_eq!(result["tasks_cleaned"], 2, "{result}");
}

/// A server that lets everybody in and answers what it is asked then with these bytes, and with nothing but `x` behind them.
fn hostile(answer: &'static [u8]) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            thread::spawn(move || {
                let mut request = [0; 4096];
                // What is asked first is whether TLS is wanted.
                let _ = stream.read(&mut request);
                let _ = stream.write_all(b"N");
                let _ = stream.read(&mut request);
                let _ = stream.write_all(b"R\0\0\0\x08\0\0\0\0Z\0\0\0\x05I");
                let _ = stream.read(&mut request);
                let _ = stream.write_all(answer);
                let nonsense = vec![b'x'; 1 << 20];
                while stream.write_all(&nonsense).is_ok() {}
            });
        }
    });
    port
}

#[test]
fn a_server_whose_messages_have_no_end_is_given_up() {
    let env = TestEnv::new();
    for answer in [
        // Columns, a row, an error, a setting, each of a gigabyte.
        b"T\x40\0\0\0".as_slice(),
        b"D\x40\0\0\0",
        b"E\x40\0\0\0Mx",
        b"S\x40\0\0\0",
        b"x",
    ] {
        let url = format!("postgresql://u@127.0.0.1:{}/d", hostile(answer));
        let failed = run(&env, 3, &[&STATS[..], &["--database-url", &url]].concat());
        let failure = failed.json();
        let kind = failure["error"]["kind"].as_str().unwrap();
        assert!(["database_unavailable", "query_failed"].contains(&kind), "{failure}");
    }
}
