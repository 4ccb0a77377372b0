//! Brokers and web services whose answers have no end.

use super::run;
use crate::support::env::TestEnv;
use crate::support::rows::{DAY, Task};
use crate::support::server::{Answer, Server, ok};
use std::io::{Read, Write};
use std::net::TcpListener;
use std::thread;

/// A server that answers everything with these bytes, and then with more and more of the others.
fn endless(start: &'static [u8], more: &'static [u8]) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            thread::spawn(move || {
                let _ = stream.read(&mut [0; 4096]);
                let _ = stream.write_all(start);
                let piece = more.repeat((1 << 20) / more.len());
                while stream.write_all(&piece).is_ok() {}
            });
        }
    });
    port
}

/// The figures of a report that asks this broker, and why it did not answer.
fn asking(broker: &str, management: &str) -> String {
    let env = TestEnv::sqlite();
    env.insert([Task::new(1)]);
    env.config(&format!("[broker]\nurl = '{broker}'\ntimeout_seconds = 20\n{management}"));
    let arguments = ["stats", "--date", DAY, "--no-save", "--no-alert"];
    let report = run(&env, 0, &arguments).json();
    let figures = &report["system_statistics"]["queue_statistics"];
    assert!(figures["total_pending"].is_null(), "{figures}");
    figures["error"].as_str().unwrap().to_owned()
}

#[test]
fn a_redis_whose_replies_have_no_end_is_given_up() {
    for (start, more, says) in [
        // A text of 1 GB, a list of as many numbers, lists in lists, a line.
        (b"$1000000000\r\n".as_slice(), b"x".as_slice(), "more than 16 MiB"),
        (b"*1000000000\r\n", b":1\r\n", "more than 16 MiB"),
        (b"*1000000000\r\n", b"*1\r\n$1\r\nx\r\n", "more than 16 MiB"),
        (b"*1000000000\r\n", b"$100000\r\n", "is no Redis"),
        (b"-", b"x", "is no Redis"),
        (b"+", b"x", "is no Redis"),
    ] {
        let error = asking(&format!("redis://127.0.0.1:{}/0", endless(start, more)), "");
        assert!(error.contains(says), "{error}");
    }
}

#[test]
fn a_management_api_whose_answer_has_no_end_is_given_up() {
    for (start, more, says) in [
        (b"HTTP/1.1 200 OK\r\n\r\n[".as_slice(), b"{\"name\":\"\"},".as_slice(), "queues"),
        (b"HTTP/1.1 200 OK\r\n\r\n[{\"name\":\"", b"x", "more than 16 MiB"),
        (b"HTTP/1.1 200 OK\r\n\r\n[{\"name\":\"a\",\"more\":", b"[", "more than 16 MiB"),
        (b"HTTP/1.1 200 OK\r\nA: ", b"x", "cannot be asked"),
        (b"HTTP/1.1 200 OK\r\n", b"A: x\r\n", "cannot be asked"),
    ] {
        let api = format!("management_url = 'http://127.0.0.1:{}/'", endless(start, more));
        let error = asking("amqp://u:p@127.0.0.1:1/", &api);
        assert!(error.contains(says), "{says}: {error}");
    }
}

#[test]
fn a_management_api_may_have_many_queues() {
    let queue = |n: u32| {
        format!(
            "{{\"name\": \"queue-{n}\", \"messages_ready\": 1, \"messages_unacknowledged\": 0, \"consumers\": 1}}"
        )
    };
    let queues: Vec<String> = (0..50_000).map(queue).collect();
    let server = Server::plain(vec![ok(&format!("[{}]", queues.join(",")))]);
    let env = TestEnv::sqlite();
    env.insert([Task::new(1)]);
    env.config(&format!(
        "[broker]\nurl = 'amqp://u:p@127.0.0.1:1/'\nqueues = ['queue-7']\ntimeout_seconds = 20\nmanagement_url = '{}'",
        server.url("/")
    ));
    let report = run(&env, 0, &["stats", "--date", DAY, "--no-save", "--no-alert"]).json();
    let figures = &report["system_statistics"]["queue_statistics"];
    assert_eq!(figures["queues"]["queue-7"], 1, "{figures}");
}

#[test]
fn a_channel_whose_answer_has_no_end_is_given_up() {
    let env = TestEnv::new();
    for (start, more) in [
        (b"HTTP/1.1 200 OK\r\n\r\n".as_slice(), b"x".as_slice()),
        (b"HTTP/1.1 500 OK\r\n\r\n", b"x"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n77777777\r\n", b"x"),
        (b"HTTP/1.1 200 OK\r\nA: ", b"x"),
        (b"HTTP/1.1 200 OK\r\n", b"A: x\r\n"),
    ] {
        let port = endless(start, more);
        env.config(&format!(
            "[[alerts.channels]]\ntype = 'slack'\nurl = 'http://127.0.0.1:{port}/'\nretries = 0\n\
             [heartbeat]\nalert = 'http://127.0.0.1:{port}/'"
        ));
        let result = run(&env, 1, &["alert", "--test"]).json();
        assert!(result["channels"][0]["error"].is_string(), "{result}");
    }
    let server = Server::plain(vec![Answer::Echo(200)]);
    env.config(&format!("[[alerts.channels]]\ntype = 'webhook'\nurl = '{}'", server.url("/")));
    run(&env, 0, &["alert", "--test"]).json();
}
