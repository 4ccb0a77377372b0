//! Redis' protocol, RESP 2: a request is a list of texts, a reply starts with a byte that says what it is.

use super::error::Error;
use std::io::{BufRead, Read};

/// Celery's replies are lists of texts in lists.
const DEEPEST: u32 = 8;

/// A line says a length, a number or an error.
const LONGEST_LINE: u64 = 64 * 1024;

/// How many bytes the replies to one request, or to several that go together, may take: a walk's page, some megabytes of deliveries.
const LARGEST_ANSWER: u64 = 16 << 20;

/// What a text or a list takes beside its content.
const OVERHEAD: u64 = 96;

/// What is left of the memory for an answer.
pub struct Room(u64);

impl Default for Room {
    fn default() -> Self {
        Self(LARGEST_ANSWER)
    }
}

impl Room {
    fn take(&mut self, bytes: u64) -> Result<(), Error> {
        let left = self.0.checked_sub(bytes.saturating_add(OVERHEAD));
        self.0 = left.ok_or(Error::TooLarge)?;
        Ok(())
    }
}

#[derive(Debug, PartialEq)]
pub enum Reply {
    Nil,
    Number(i64),
    Text(Vec<u8>),
    List(Vec<Reply>),
}

/// A command as it goes over the wire.
pub fn encode(words: &[Vec<u8>]) -> Vec<u8> {
    let mut bytes = format!("*{}\r\n", words.len()).into_bytes();
    for word in words {
        bytes.extend(format!("${}\r\n", word.len()).as_bytes());
        bytes.extend(word);
        bytes.extend(b"\r\n");
    }
    bytes
}

/// Reads one reply.
///
/// # Errors
/// [`Error::Refused`] with the server's words if the reply is an error, [`Error::NotRedis`] if it is no reply, [`Error::TooLarge`] if it takes
/// more than there is room for.
pub fn read_reply(stream: &mut impl BufRead, room: &mut Room) -> Result<Reply, Error> {
    read_within(stream, room, DEEPEST)
}

fn read_within(stream: &mut impl BufRead, room: &mut Room, depth: u32) -> Result<Reply, Error> {
    let line = read_line(stream)?;
    room.take(line.len() as u64)?;
    let Some((kind, rest)) = line.split_at_checked(1) else {
        return Err(Error::NotRedis);
    };
    match kind {
        "+" => Ok(Reply::Text(rest.as_bytes().to_vec())),
        "-" => Err(Error::Refused(rest.to_owned())),
        ":" => Ok(Reply::Number(number(rest)?)),
        "$" | "*" if rest == "-1" => Ok(Reply::Nil),
        "$" => Ok(Reply::Text(read_text(stream, room, number(rest)?)?)),
        "*" if depth > 0 => {
            let length: u64 = number(rest)?;
            // Not reserved: the length may be anything.
            (0..length)
                .map(|_| read_within(stream, room, depth - 1))
                .collect::<Result<_, _>>()
                .map(Reply::List)
        }
        _ => Err(Error::NotRedis),
    }
}

fn read_line(stream: &mut impl BufRead) -> Result<String, Error> {
    let mut line = Vec::new();
    stream.take(LONGEST_LINE).read_until(b'\n', &mut line)?;
    if line.is_empty() {
        return Err(Error::Io(std::io::ErrorKind::UnexpectedEof.into()));
    }
    let line = line.strip_suffix(b"\r\n").ok_or(Error::NotRedis)?;
    Ok(String::from_utf8_lossy(line).into_owned())
}

fn read_text(stream: &mut impl BufRead, room: &mut Room, length: u64) -> Result<Vec<u8>, Error> {
    let with_line_end = length.saturating_add(2);
    room.take(with_line_end)?;
    let mut text = Vec::with_capacity(usize::try_from(with_line_end).unwrap_or_default());
    stream.take(with_line_end).read_to_end(&mut text)?;
    if (text.len() as u64) < with_line_end {
        return Err(Error::Io(std::io::ErrorKind::UnexpectedEof.into()));
    }
    text.truncate(text.len() - 2);
    Ok(text)
}

fn number<T: std::str::FromStr>(text: &str) -> Result<T, Error> {
    text.parse().map_err(|_| Error::NotRedis)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(mut bytes: &[u8]) -> Result<Reply, String> {
        read_reply(&mut bytes, &mut Room::default()).map_err(|error| error.to_string())
    }

    #[test]
    fn a_command_is_a_list_of_texts() {
        let words = [b"LLEN".to_vec(), "队列".as_bytes().to_vec()];
        assert_eq!(encode(&words), "*2\r\n$4\r\nLLEN\r\n$6\r\n队列\r\n".as_bytes());
    }

    #[test]
    fn replies_of_every_kind_are_read() {
        let text = |text: &str| Reply::Text(text.as_bytes().to_vec());
        for (bytes, expected) in [
            ("+OK\r\n", text("OK")),
            (":42\r\n", Reply::Number(42)),
            ("$5\r\na\r\nbc\r\n", text("a\r\nbc")),
            ("$0\r\n\r\n", text("")),
            ("$-1\r\n", Reply::Nil),
            ("*-1\r\n", Reply::Nil),
            ("*0\r\n", Reply::List(vec![])),
            (
                "*2\r\n$1\r\n0\r\n*1\r\n$1\r\nk\r\n",
                Reply::List(vec![text("0"), Reply::List(vec![text("k")])]),
            ),
        ] {
            assert_eq!(read(bytes.as_bytes()), Ok(expected), "{bytes:?}");
        }
    }

    #[test]
    fn what_is_no_reply_is_an_error() {
        for (bytes, says) in [
            ("-WRONGTYPE Operation\r\n", "WRONGTYPE"),
            ("-NOAUTH Authentication required.\r\n", "wants a password"),
            ("HTTP/1.1 400 Bad Request\r\n", "no Redis"),
            ("\r\n", "no Redis"),
            ("+OK\n", "no Redis"),
            ("$x\r\n", "no Redis"),
            ("$-7\r\n", "no Redis"),
            ("$9999999\r\nab", "ends the connection"),
            ("$99999999999\r\nab", "more than"),
            ("$18446744073709551615\r\nab", "more than"),
            ("*2\r\n:1\r\n", "ends the connection"),
            ("", "ends the connection"),
        ] {
            let error = read(bytes.as_bytes()).unwrap_err();
            assert!(error.contains(says), "{bytes:?}: {error}");
        }
        let deep = "*1\r\n".repeat(100_000);
        assert!(read(deep.as_bytes()).unwrap_err().contains("no Redis"));
        let endless = format!("*1000000000\r\n{}", ":1\r\n".repeat(200_000));
        assert!(read(endless.as_bytes()).unwrap_err().contains("more than"));
        let endless = "+".repeat(1 << 20);
        assert!(read(endless.as_bytes()).unwrap_err().contains("no Redis"));
    }
}
