//! Mail servers: a real one, and one that follows a script.

use super::{PASSWORD, PATIENCE, USER};
use crate::support::certificates;
use serde_json::Value;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpListener;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

pub struct MailServer {
    pub port: u16,
    process: Child,
    mails: mpsc::Receiver<Value>,
}

impl MailServer {
    pub fn start(mode: &str) -> Self {
        Self::start_as("server", mode)
    }

    /// The same with the certificate and the key of this name.
    pub fn start_as(name: &str, mode: &str) -> Self {
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/channels/smtp_server.py");
        let mut process = Command::new("/usr/bin/python3")
            .args([script, mode])
            .args(["crt", "key"].map(|end| certificates::file(&format!("{name}.{end}"))))
            .args([USER, PASSWORD])
            .env("PYTHONWARNINGS", "ignore")
            .stdout(Stdio::piped())
            .spawn()
            .expect("python3");
        let mut lines = BufReader::new(process.stdout.take().unwrap());
        let mut port = String::new();
        lines.read_line(&mut port).unwrap();
        let port = port.trim().parse();
        Self {
            port: port.expect("scripts/test.sh installs aiosmtpd, which the mail server needs"),
            process,
            mails: forward(lines),
        }
    }

    pub fn mail(&self) -> Value {
        self.mails.recv_timeout(PATIENCE).expect("no mail has arrived")
    }

    /// Asserts that none has arrived.
    pub fn nothing(&self) {
        let found = self.mails.recv_timeout(Duration::from_millis(300));
        assert_eq!(found.ok(), None);
    }
}

impl Drop for MailServer {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn forward(lines: BufReader<ChildStdout>) -> mpsc::Receiver<Value> {
    let (sender, receiver) = mpsc::channel();
    thread::spawn(move || {
        for line in lines.lines() {
            let mail = serde_json::from_str(&line.unwrap()).unwrap();
            if sender.send(mail).is_err() {
                return;
            }
        }
    });
    receiver
}

/// A server that sends these answers and forwards the line that it receives after each.
pub fn scripted(answers: &'static [&'static str]) -> (u16, mpsc::Receiver<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let (sender, receiver) = mpsc::channel();
    thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut lines = BufReader::new(stream.try_clone().unwrap());
        for answer in answers {
            stream.write_all(answer.as_bytes()).unwrap();
            let mut line = String::new();
            if lines.read_line(&mut line).unwrap_or(0) == 0 {
                break;
            }
            let _ = sender.send(line.trim_end().to_owned());
        }
        let _ = stream.shutdown(std::net::Shutdown::Write);
        let mut rest = String::new();
        let _ = lines.read_to_string(&mut rest);
        let _ = sender.send(rest);
    });
    (port, receiver)
}
