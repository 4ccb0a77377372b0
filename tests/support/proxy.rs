//! A PostgreSQL server that stops answering: stopped, swapped out, or behind a network that swallows everything.

use crate::support::env::port;
use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

/// What freezes once a client sends the text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Freeze {
    /// All connections, also those that are made later; the text is held back.
    Everything,
    /// The connection that it was sent on; the text is held back. Once only.
    Connection,
    /// What the server says on the connection that it was sent on; the text arrives. Once only.
    Answers,
}

/// Stands between a client and the test server, and freezes as soon as a client sends a certain text.
#[derive(Clone)]
pub struct Proxy {
    pub port: u16,
    freeze: Freeze,
    frozen: Arc<AtomicBool>,
}

impl Proxy {
    pub fn new(text: &'static str, freeze: Freeze) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let proxy =
            Self { port: listener.local_addr().unwrap().port(), freeze, frozen: Arc::default() };
        let listening = proxy.clone();
        thread::spawn(move || {
            for client in listener.incoming() {
                let client = client.unwrap();
                let server = TcpStream::connect(("127.0.0.1", port())).unwrap();
                let of_connection: Arc<AtomicBool> = match freeze {
                    Freeze::Everything => Arc::clone(&listening.frozen),
                    _ => Arc::default(),
                };
                listening.pump(&client, &server, Some(text), &of_connection);
                listening.pump(&server, &client, None, &of_connection);
            }
        });
        proxy
    }

    /// Hands everything on in one direction, until a side hangs up. `frozen`: whether this connection is.
    fn pump(
        &self,
        from: &TcpStream,
        to: &TcpStream,
        trigger: Option<&'static str>,
        frozen: &Arc<AtomicBool>,
    ) {
        let (mut from, mut to) = (from.try_clone().unwrap(), to.try_clone().unwrap());
        let (proxy, frozen) = (self.clone(), Arc::clone(frozen));
        thread::spawn(move || {
            let mut chunk = [0; 65536];
            while let Ok(length @ 1..) = from.read(&mut chunk) {
                let sent = String::from_utf8_lossy(&chunk[..length]);
                if trigger.is_some_and(|text| sent.contains(text)) {
                    proxy.trip(&frozen);
                }
                let passes = trigger.is_some() && proxy.freeze == Freeze::Answers;
                while frozen.load(Ordering::Relaxed) && !passes {
                    thread::sleep(Duration::from_millis(5));
                }
                if to.write_all(&chunk[..length]).is_err() {
                    break;
                }
            }
            // The other side may be gone already. A frozen connection is not hung up: the server knows nothing.
            if !frozen.load(Ordering::Relaxed) {
                let _ = to.shutdown(Shutdown::Both);
            }
        });
    }

    fn trip(&self, of_connection: &AtomicBool) {
        let was_frozen = self.frozen.swap(true, Ordering::Relaxed);
        if !was_frozen || self.freeze == Freeze::Everything {
            of_connection.store(true, Ordering::Relaxed);
        }
    }

    /// Whether the text was sent, and for [`Freeze::Everything`] whether it is frozen still.
    pub fn is_frozen(&self) -> bool {
        self.frozen.load(Ordering::Relaxed)
    }

    /// A trigger that a client sends again freezes everything again.
    pub fn thaw(&self) {
        self.frozen.store(false, Ordering::Relaxed);
    }

    /// A database of the test server through this proxy. In the clear, or there would be no text to freeze at.
    pub fn url(&self, database: &str) -> String {
        format!("postgresql://postgres@127.0.0.1:{}/{database}?sslmode=disable", self.port)
    }
}
