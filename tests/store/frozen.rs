//! A PostgreSQL server that stops answering: stopped, swapped out, or behind a network that swallows everything. The kernel at the other
//! end keeps the connection alive, so that neither TCP nor the server's own time limit notices.

use crate::env::{TestEnv, port};
use crate::harness::View;
use crate::rows::Task;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};
use taskmon::outcome::Kind;

/// Stands between a client and the test server, and freezes all its connections as soon as a client sends a certain text.
#[derive(Clone)]
struct Proxy {
    port: u16,
    frozen: Arc<AtomicBool>,
}

impl Proxy {
    fn freezing_at(text: &'static str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let proxy = Self {
            port: listener.local_addr().unwrap().port(),
            frozen: Arc::default(),
        };
        let listening = proxy.clone();
        thread::spawn(move || {
            for client in listener.incoming() {
                let client = client.unwrap();
                let server = TcpStream::connect(("127.0.0.1", port())).unwrap();
                listening.pump(&client, &server, Some(text));
                listening.pump(&server, &client, None);
            }
        });
        proxy
    }

    /// Hands everything on in one direction, until a side hangs up.
    fn pump(&self, from: &TcpStream, to: &TcpStream, trigger: Option<&'static str>) {
        let (mut from, mut to) = (from.try_clone().unwrap(), to.try_clone().unwrap());
        let frozen = Arc::clone(&self.frozen);
        thread::spawn(move || {
            let mut chunk = [0; 65536];
            while let Ok(length @ 1..) = from.read(&mut chunk) {
                let sent = String::from_utf8_lossy(&chunk[..length]);
                if trigger.is_some_and(|text| sent.contains(text)) {
                    frozen.store(true, Ordering::Relaxed);
                }
                while frozen.load(Ordering::Relaxed) {
                    thread::sleep(Duration::from_millis(5));
                }
                if to.write_all(&chunk[..length]).is_err() {
                    break;
                }
            }
            // The other side may be gone already.
            let _ = to.shutdown(std::net::Shutdown::Both);
        });
    }

    fn is_frozen(&self) -> bool {
        self.frozen.load(Ordering::Relaxed)
    }

    /// A trigger that a client sends again freezes it again.
    fn thaw(&self) {
        self.frozen.store(false, Ordering::Relaxed);
    }

    /// The environment's database through this proxy. In the clear, or there would be no text to freeze at.
    fn view(&self, env: &TestEnv) -> View {
        let (port, name) = (self.port, env.name());
        let url = format!("postgresql://postgres@127.0.0.1:{port}/{name}?sslmode=disable");
        View::of(env).url(url)
    }
}

fn one_task() -> TestEnv {
    let env = TestEnv::postgres();
    env.insert([Task::new(1)]);
    env
}

type Fails = fn(&View, Kind, &[&str]);

/// The server may take a second for a statement, and fifteen more to say that it ended it.
#[test]
fn it_is_given_up_whatever_it_was_asked_when_it_froze() {
    let cases = [
        ("LIMIT 0", View::refused as Fails),
        ("pg_typeof", View::refused),
        ("pg_export_snapshot", View::fails),
    ];
    thread::scope(|scope| {
        for (text, fails) in cases {
            scope.spawn(move || {
                let env = one_task();
                let proxy = Proxy::freezing_at(text);
                let view = proxy.view(&env).statement_timeout(Duration::from_secs(1));
                let start = Instant::now();
                fails(&view, Kind::DatabaseUnavailable, &["16 seconds"]);
                let took = start.elapsed();
                assert!(proxy.is_frozen(), "{text} was never sent");
                assert!((16..30).contains(&took.as_secs()), "{text}: {took:?}");
            });
        }
    });
}

#[test]
fn a_pause_is_waited_out() {
    let env = one_task();
    for limit in [Duration::ZERO, Duration::from_millis(500)] {
        let proxy = Proxy::freezing_at("pg_typeof");
        let paused = proxy.clone();
        let waker = thread::spawn(move || {
            while !paused.is_frozen() {
                thread::sleep(Duration::from_millis(5));
            }
            thread::sleep(Duration::from_secs(1));
            paused.thaw();
        });
        let start = Instant::now();
        let figures = proxy.view(&env).statement_timeout(limit).figures();
        waker.join().unwrap();
        assert_eq!(figures.cells.len(), 1);
        assert!(start.elapsed() >= Duration::from_secs(1));
    }
}
