//! Redis as Celery's transport (kombu) uses it: the names of its keys, and walks through large ones.

use super::address::Address;
use super::client::{Client, Command};
use super::error::Error;
use super::resp::Reply;
use crate::system::broker::Settings;
use std::time::Instant;

/// How many entries of a hash are read at once.
pub const PAGE: usize = 500;

pub struct Transport<'a> {
    pub client: Client,
    pub settings: &'a Settings,
    /// Each answer has the time limit for itself; together they have it too.
    began: Instant,
    /// Why the bindings are not all known.
    pub unread: Option<String>,
}

impl<'a> Transport<'a> {
    pub fn connect(address: &Address, settings: &'a Settings) -> Result<Self, Error> {
        let began = Instant::now();
        let client = Client::connect(address, settings.timeout())?;
        Ok(Self { client, settings, began, unread: None })
    }

    /// A key of Celery's.
    pub fn key(&self, name: &str) -> String {
        format!("{}{name}", self.settings.global_keyprefix)
    }

    /// A server with millions of keys answers each page at once and is not done for minutes.
    pub fn check_time(&self) -> Result<(), Error> {
        if self.began.elapsed() < self.settings.timeout() { Ok(()) } else { Err(Error::TooMuch) }
    }

    /// Asks for a number about a key.
    pub fn count(&mut self, key: &str, command: Command) -> Result<u64, Error> {
        match self.client.ask(&command).map_err(|error| about(key, error))? {
            Reply::Number(number) => u64::try_from(number).map_err(|_| Error::NotRedis),
            _ => Err(Error::NotRedis),
        }
    }

    /// One page of a walk with SCAN, SSCAN or ZSCAN, and where the next begins; 0: there is none.
    pub fn page(&mut self, key: &str, command: Command) -> Result<(u64, Vec<Vec<u8>>), Error> {
        self.check_time()?;
        let Reply::List(parts) = self.client.ask(&command).map_err(|error| about(key, error))?
        else {
            return Err(Error::NotRedis);
        };
        let Ok([Reply::Text(next), Reply::List(entries)]) = <[Reply; 2]>::try_from(parts) else {
            return Err(Error::NotRedis);
        };
        let next = String::from_utf8_lossy(&next).parse().map_err(|_| Error::NotRedis)?;
        let texts = entries.into_iter().map(|entry| match entry {
            Reply::Text(text) => Ok(text),
            _ => Err(Error::NotRedis),
        });
        Ok((next, texts.collect::<Result<_, _>>()?))
    }
}

/// Something else may have the name of a key of Celery's.
fn about(key: &str, error: Error) -> Error {
    match error {
        Error::Refused(words) if words.starts_with("WRONGTYPE") => Error::WrongKind(key.to_owned()),
        error => error,
    }
}
