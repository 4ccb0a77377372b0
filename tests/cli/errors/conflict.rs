//! Connections that the server ends in the middle of a report, as a standby does that has to replay what the report stands in the way of.

use super::*;
use crate::support::wait_until;
use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

/// What ends a session on a standby.
const CONFLICT: &[u8] =
    b"E\0\0\0\x83SFATAL\0VFATAL\0C40001\0Mterminating connection due to conflict with recovery\0\
    DUser query might have needed to see row versions.\0\0";

/// A word of the statement with which a report begins, and of the one that reads the table's schema.
const REPORT: &str = "pg_export_snapshot";
const SCHEMA: &str = "pg_typeof";

/// The port of a way to the test server on which this many statements with a word are ended by a conflict.
fn ending(word: &'static str, times: u32) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let here = listener.local_addr().unwrap().port();
    let left = Arc::new(AtomicU32::new(times));
    std::thread::spawn(move || {
        for client in listener.incoming() {
            let client = client.unwrap();
            let server = TcpStream::connect(("127.0.0.1", port())).unwrap();
            let (answers, to_client) = (server.try_clone().unwrap(), client.try_clone().unwrap());
            let left = Arc::clone(&left);
            std::thread::spawn(move || hand_on(answers, to_client, word, &AtomicU32::new(0)));
            std::thread::spawn(move || hand_on(client, server, word, &left));
        }
    });
    here
}

fn hand_on(mut from: TcpStream, mut to: TcpStream, word: &str, left: &AtomicU32) {
    let mut chunk = [0; 65536];
    while let Ok(length @ 1..) = from.read(&mut chunk) {
        let begins = String::from_utf8_lossy(&chunk[..length]).contains(word);
        let one_less = |left: u32| left.checked_sub(1);
        if begins && left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, one_less).is_ok() {
            from.write_all(CONFLICT).unwrap();
            // A session that ends cleans up before its process does.
            std::thread::sleep(Duration::from_millis(100));
            break;
        }
        if to.write_all(&chunk[..length]).is_err() {
            break;
        }
    }
    let _ = from.shutdown(Shutdown::Both);
    let _ = to.shutdown(Shutdown::Both);
}

fn url(env: &TestEnv, port: u16) -> String {
    format!("postgresql://postgres@127.0.0.1:{port}/{}?sslmode=disable", env.name())
}

#[test]
fn a_report_that_a_standby_ends_for_a_conflict_is_begun_again() {
    assert_eq!(CONFLICT.len(), 0x83 + 1);
    let env = TestEnv::postgres();
    env.insert([Task::new(1), Task::new(2)]);
    for word in [REPORT, SCHEMA] {
        for words in [&STATS[..], &["alert", "--dry-run"]] {
            let url = url(&env, ending(word, 2));
            let run = env.taskmon(words.iter().copied());
            let finished = run.env("TASKMON_DATABASE_URL", url).run();
            finished.stderr();
            assert_eq!(finished.json()["success"], true, "{word} {words:?}");
            // With pauses in between.
            assert!((4..30).contains(&finished.took.as_secs()), "{:?}", finished.took);
        }
    }
}

#[test]
fn a_conflict_that_ends_every_attempt_is_named_with_the_settings_that_help() {
    let env = TestEnv::postgres();
    for word in [REPORT, SCHEMA] {
        let url = url(&env, ending(word, u32::MAX));
        let finished = env.taskmon(STATS).env("TASKMON_DATABASE_URL", url).exits(3);
        let document =
            finished.failure("query_failed", &["conflict with recovery", "row versions"]);
        let hint = document["error"]["hint"].as_str().unwrap();
        assert!(
            hint.contains("max_standby_streaming_delay") && hint.contains("hot_standby_feedback"),
            "{hint}"
        );
    }
}

#[test]
fn a_report_whose_connections_are_ended_once_is_begun_again() {
    let env = TestEnv::postgres();
    env.insert([Task::new(1)]);
    env.sql(
        "CREATE TABLE pause AS SELECT 60 AS seconds;
         CREATE VIEW slow_tasks AS SELECT * FROM tasks WHERE pg_sleep((SELECT seconds FROM pause)) IS NOT NULL",
    );
    env.config("[database.tasks]\nfrom = \"slow_tasks\"\n");
    let mut client = env.client();
    let running = env.taskmon(STATS).spawn();
    let asleep = "SELECT 1 FROM pg_stat_activity WHERE datname = current_database() AND wait_event = 'PgSleep'";
    wait_until("the report is under way", || !client.query(asleep, &[]).unwrap().is_empty());
    env.sql("UPDATE pause SET seconds = 0");
    let end = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()";
    client.query(end, &[]).unwrap();
    let finished = running.wait();
    assert_eq!(finished.code, Some(0));
    assert_eq!(finished.json()["task_statistics"]["total_tasks"], 1);
}
