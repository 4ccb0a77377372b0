//! Commands to a mail server and its answers, each within what is left of the time.
//!
//! lettre writes the mail and the commands, and reads the answers' syntax; its own connection would keep what was read ahead in the clear
//! through STARTTLS and believe it afterwards.

use crate::stream::Stream;
use lettre::transport::smtp::authentication::{Credentials, DEFAULT_MECHANISMS, Mechanism};
use lettre::transport::smtp::commands::{Auth, Ehlo, Quit, Starttls};
use lettre::transport::smtp::extension::ClientId;
use lettre::transport::smtp::response::Response;
use rustls::ClientConfig;
use std::fmt::Display;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::time::Instant;

/// How much of an answer is read. That to EHLO has some hundred bytes.
const LARGEST_ANSWER: u64 = 64 * 1024;

/// LOGIN asks for the user and the password.
const MOST_CHALLENGES: u32 = 2;

/// Why something did not come about.
pub enum Error {
    /// The server said no.
    Refused(Response),
    Io(io::Error),
    /// It cannot be gone on: why.
    Unusable(&'static str),
    /// What it said, in its words or the library's.
    NotSmtp(String),
}

impl From<io::Error> for Error {
    fn from(error: io::Error) -> Self {
        Error::Io(error)
    }
}

impl From<lettre::transport::smtp::Error> for Error {
    fn from(error: lettre::transport::smtp::Error) -> Self {
        Error::NotSmtp(error.to_string())
    }
}

pub type Result<T> = std::result::Result<T, Error>;

pub struct Connection {
    stream: BufReader<Stream>,
    /// What it can do, a line each, of its answer to EHLO.
    extensions: Vec<String>,
    pub deadline: Instant,
}

impl Connection {
    /// Waits for the greeting and introduces itself. Nothing begins after the deadline.
    pub fn greet(stream: Stream, hello: &ClientId, deadline: Instant) -> Result<Self> {
        let mut connection = Self::new(stream, deadline);
        connection.read_answer()?;
        connection.introduce(hello)?;
        Ok(connection)
    }

    fn new(stream: Stream, deadline: Instant) -> Self {
        Self { stream: BufReader::new(stream), extensions: vec![], deadline }
    }

    fn introduce(&mut self, hello: &ClientId) -> Result<()> {
        let answer = self.command(Ehlo::new(hello.clone()))?;
        self.extensions = answer.message().map(str::to_ascii_uppercase).collect();
        Ok(())
    }

    /// Whether the server has said that it has an extension, by its name alone.
    pub fn supports(&self, extension: &str) -> bool {
        self.extensions.iter().any(|line| line.split_whitespace().next() == Some(extension))
    }

    /// Encrypts the connection, and forgets everything that was said in the clear.
    ///
    /// # Errors
    /// Also if anything came behind the answer to STARTTLS: before the handshake the server has nothing to say, and what somebody on the way
    /// has put in would be taken for the answers to what follows (CVE-2021-38371 and its like). What comes later is no handshake of TLS.
    pub fn starttls(mut self, host: &str, config: ClientConfig, hello: &ClientId) -> Result<Self> {
        self.command(Starttls)?;
        if !self.stream.buffer().is_empty() {
            return Err(Error::Unusable(
                "more came in the clear behind the answer to STARTTLS, as if somebody on the way had put it in; nothing was sent",
            ));
        }
        let stream = self.stream.into_inner().encrypt(host, config)?;
        let mut connection = Self::new(stream, self.deadline);
        connection.introduce(hello)?;
        Ok(connection)
    }

    pub fn log_in(&mut self, user: &str, password: &str) -> Result<()> {
        let credentials = Credentials::new(user.to_owned(), password.to_owned());
        let has = |mechanism: &&Mechanism| {
            let name = mechanism.to_string();
            let mut lines = self.extensions.iter().map(|line| line.split_whitespace());
            lines.any(|mut words| words.next() == Some("AUTH") && words.any(|word| word == name))
        };
        let mechanism = DEFAULT_MECHANISMS.iter().find(has);
        let mechanism = *mechanism.ok_or(Error::Unusable(
            "it supports no login by user and password (AUTH PLAIN or LOGIN)",
        ))?;
        let mut answer = self.command(Auth::new(mechanism, credentials.clone(), None)?)?;
        for _ in 0..MOST_CHALLENGES {
            if !answer.has_code(334) {
                return Ok(());
            }
            let reply = Auth::new_from_response(mechanism, credentials.clone(), &answer)?;
            answer = self.command(reply)?;
        }
        if answer.has_code(334) {
            return Err(Error::Unusable("it asks for more than user and password"));
        }
        Ok(())
    }

    /// Sends a command, which brings its line end along.
    pub fn command(&mut self, command: impl Display) -> Result<Response> {
        self.send(command.to_string().as_bytes())
    }

    /// Sends a mail's content.
    pub fn message(&mut self, content: &[u8]) -> Result<Response> {
        self.send(&stuff(content))
    }

    pub fn quit(&mut self) -> Result<Response> {
        self.command(Quit)
    }

    fn send(&mut self, bytes: &[u8]) -> Result<Response> {
        self.limit()?;
        self.stream.get_mut().write_all(bytes)?;
        self.stream.get_mut().flush()?;
        self.read_answer()
    }

    fn read_answer(&mut self) -> Result<Response> {
        let mut text = String::new();
        let mut left = LARGEST_ANSWER;
        loop {
            self.limit()?;
            let mut line = Vec::new();
            let length = self.stream.by_ref().take(left).read_until(b'\n', &mut line)?;
            left = left.saturating_sub(length as u64);
            if left == 0 {
                return Err(Error::Unusable("an answer has more than 64 KiB"));
            }
            if !line.ends_with(b"\n") {
                return Err(io::Error::from(io::ErrorKind::UnexpectedEof).into());
            }
            text.push_str(String::from_utf8_lossy(&line).trim_end());
            // `250-` goes on; of `250` alone the library misses the space.
            let goes_on = line.get(3) == Some(&b'-');
            text.push_str(if line.trim_ascii_end().len() == 3 { " \r\n" } else { "\r\n" });
            if !goes_on {
                break;
            }
        }
        let answer: Response = text.parse().map_err(|_| Error::NotSmtp(text))?;
        if answer.is_positive() { Ok(answer) } else { Err(Error::Refused(answer)) }
    }

    /// Bounds the next read or write.
    fn limit(&self) -> io::Result<()> {
        let left = self.deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(io::ErrorKind::TimedOut.into());
        }
        self.stream.get_ref().set_timeout(left)
    }
}

/// A mail's content as it goes over the wire, up to the dot that ends it: a line that begins with a dot gets another one.
fn stuff(content: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(content.len());
    for line in content.split_inclusive(|byte| *byte == b'\n') {
        if line.starts_with(b".") {
            bytes.push(b'.');
        }
        bytes.extend(line);
    }
    bytes.extend(b"\r\n.\r\n");
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_line_of_a_mail_ends_it() {
        for (content, sent) in [
            ("a\r\n.\r\nb", "a\r\n..\r\nb\r\n.\r\n"),
            (".a\r\nb.\r\n", "..a\r\nb.\r\n\r\n.\r\n"),
            ("a\n.\n", "a\n..\n\r\n.\r\n"),
            ("", "\r\n.\r\n"),
        ] {
            assert_eq!(String::from_utf8(stuff(content.as_bytes())).unwrap(), sent, "{content:?}");
        }
    }
}
