//! A PostgreSQL server that lacks something: each time a client says one of these words, the server hears another one and refuses that by itself.

use crate::support::env::port;
use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::thread;

/// The number of the message that asks for TLS.
const TLS_WANTED: u32 = 80_877_103;

/// Stands between clients and the test server, and replaces words in what the clients send.
pub struct Rewriter {
    pub port: u16,
}

/// A word, and another one of the same length.
pub type Words = &'static [(&'static str, &'static str)];

impl Rewriter {
    pub fn new(words: Words) -> Self {
        assert!(words.iter().all(|(word, other)| word.len() == other.len()), "{words:?}");
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        thread::spawn(move || {
            for client in listener.incoming() {
                let client = client.unwrap();
                let server = TcpStream::connect(("127.0.0.1", self::port())).unwrap();
                // A word waits for no other one.
                for side in [&client, &server] {
                    side.set_nodelay(true).unwrap();
                }
                let (answers, asked) = (server.try_clone().unwrap(), client.try_clone().unwrap());
                thread::spawn(move || pump(answers, asked));
                thread::spawn(move || rewrite(client, server, words));
            }
        });
        Self { port }
    }

    pub fn url(&self, database: &str) -> String {
        format!("postgresql://postgres@127.0.0.1:{}/{database}", self.port)
    }
}

/// Until one side hangs up.
fn pump(mut from: TcpStream, mut to: TcpStream) {
    let _ = io::copy(&mut from, &mut to);
    let _ = to.shutdown(Shutdown::Both);
}

fn rewrite(mut client: TcpStream, mut server: TcpStream, words: Words) {
    // The first message has no type, nor has the question before it whether there is TLS.
    let mut kind = Vec::new();
    while let Ok(mut message) = read_message(&mut client, &kind) {
        if message.ends_with(&TLS_WANTED.to_be_bytes()) {
            client.write_all(b"N").unwrap();
            continue;
        }
        for (word, other) in words {
            replace(&mut message, word.as_bytes(), other.as_bytes());
        }
        if server.write_all(&message).is_err() {
            break;
        }
        kind = vec![0];
    }
    let _ = server.shutdown(Shutdown::Both);
}

/// A message with its type, if it has one, and its length.
fn read_message(client: &mut TcpStream, kind: &[u8]) -> io::Result<Vec<u8>> {
    let mut message = kind.to_vec();
    client.read_exact(&mut message)?;
    let mut length = [0; 4];
    client.read_exact(&mut length)?;
    message.extend(length);
    let mut content = vec![0; u32::from_be_bytes(length) as usize - 4];
    client.read_exact(&mut content)?;
    message.extend(content);
    Ok(message)
}

/// Where the word is not the end of a longer one.
fn replace(message: &mut [u8], word: &[u8], other: &[u8]) {
    for start in 1..message.len().saturating_sub(word.len() - 1) {
        let begins = !message[start - 1].is_ascii_alphanumeric();
        if begins && message[start..].starts_with(word) {
            message[start..start + word.len()].copy_from_slice(other);
        }
    }
}
