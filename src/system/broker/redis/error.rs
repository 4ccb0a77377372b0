//! Why Redis did not answer what it was asked.

use crate::system::broker::explain::explain;
use std::fmt;
use std::io::{self, ErrorKind};

#[derive(Debug)]
pub enum Error {
    Io(io::Error),
    /// The server's own words: `NOAUTH Authentication required.`
    Refused(String),
    /// It refuses the password.
    WrongPassword,
    /// What answers does not speak Redis' protocol.
    NotRedis,
    /// It answers, and is not done in time.
    TooMuch,
    /// An answer is larger than any that is asked for.
    TooLarge,
    /// A key that holds another kind of thing than Celery would have put there.
    WrongKind(String),
    /// A file that `broker.url` names: why it cannot be used.
    File(String),
}

impl Error {
    pub fn is_timeout(&self) -> bool {
        matches!(self, Error::Io(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut))
    }
}

impl From<io::Error> for Error {
    fn from(error: io::Error) -> Self {
        Error::Io(error)
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            _ if self.is_timeout() => f.write_str("it does not answer in time"),
            Error::Io(error) if error.kind() == ErrorKind::UnexpectedEof => {
                f.write_str("it ends the connection without an answer")
            }
            Error::Io(error) => f.write_str(&explain(&error.to_string())),
            Error::Refused(words) if words.starts_with("NOAUTH") => {
                f.write_str("it wants a password, and broker.url has none")
            }
            Error::Refused(words) if words.starts_with("NOPERM") => f.write_str(
                "its user has no permission for what is asked: SELECT, LLEN, SCAN, SSCAN, ZSCAN, ZCOUNT, HLEN, HSTRLEN and HGET",
            ),
            Error::Refused(words) if words.contains("DB index is out of range") => {
                f.write_str("it has no database of the number that broker.url ends in")
            }
            Error::Refused(words) => f.write_str(words),
            Error::WrongPassword => f.write_str("it refuses the password of broker.url"),
            Error::NotRedis => f.write_str("what answers there is no Redis"),
            Error::TooMuch => f.write_str(
                "it has too many keys to look through in broker.timeout_seconds; where broker.queues names the queues they need not be found",
            ),
            Error::TooLarge => f.write_str("an answer takes more than 16 MiB"),
            Error::WrongKind(key) => {
                write!(f, "the key {key:?} holds something else than Celery would have put there")
            }
            Error::File(why) => f.write_str(why),
        }
    }
}
