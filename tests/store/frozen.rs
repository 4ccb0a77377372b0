//! A PostgreSQL server that stops answering: stopped, swapped out, or behind a network that swallows everything. The kernel at the other
//! end keeps the connection alive, so that neither TCP nor the server's own time limit notices.

use crate::store::harness::View;
use crate::support::env::TestEnv;
use crate::support::proxy::{Freeze, Proxy};
use crate::support::rows::Task;
use std::thread;
use std::time::{Duration, Instant};
use taskmon::outcome::Kind;

/// The environment's database through a proxy. In the clear, or there would be no text to freeze at.
fn through(proxy: &Proxy, env: &TestEnv) -> View {
    View::of(env).url(proxy.url(env.name()))
}

fn one_task() -> TestEnv {
    let env = TestEnv::postgres();
    env.insert([Task::new(1)]);
    env
}

type Fails = fn(&View, Kind, &[&str]);

/// The server may take a second for a statement, and fifteen more to say that it ended it.
#[test]
fn a_frozen_server_is_given_up_whichever_statement_it_froze_at() {
    let cases = [
        ("LIMIT 0", View::refused as Fails),
        ("pg_typeof", View::refused),
        ("pg_export_snapshot", View::fails),
    ];
    thread::scope(|scope| {
        for (text, fails) in cases {
            scope.spawn(move || {
                let env = one_task();
                let proxy = Proxy::new(text, Freeze::Everything);
                let view = through(&proxy, &env).statement_timeout(Duration::from_secs(1));
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
        let proxy = Proxy::new("pg_typeof", Freeze::Everything);
        let paused = proxy.clone();
        let waker = thread::spawn(move || {
            while !paused.is_frozen() {
                thread::sleep(Duration::from_millis(5));
            }
            thread::sleep(Duration::from_secs(1));
            paused.thaw();
        });
        let start = Instant::now();
        let figures = through(&proxy, &env).statement_timeout(limit).figures();
        waker.join().unwrap();
        assert_eq!(figures.cells.len(), 1);
        assert!(start.elapsed() >= Duration::from_secs(1));
    }
}
