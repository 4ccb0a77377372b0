//! What a server says, as far as there is memory for it: each of its messages begins with its length, which may be anything up to 2 GB.
//!
//! An error or a notice is cut, field by field: a trigger may raise a text of any length. Another message that is too long ends the connection.

use postgres::Socket;
use postgres::tls::{ChannelBinding, MakeTlsConnect, TlsStream};
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_postgres_rustls::MakeRustlsConnect;

/// The longest message that is read whole, in bytes. What rows hold is cut in SQL, far below.
const LONGEST: u32 = 4 << 20;

/// The same of an error or a notice,
const LONGEST_REPORT: u32 = 64 << 10;

/// of a field of one that is longer,
const LONGEST_FIELD: u64 = 4 << 10;

/// and of all its fields.
const LONGEST_FIELDS: usize = 32 << 10;

/// How much is read at once.
const CHUNK: usize = 16 << 10;

/// A connection.
pub enum Stream {
    Plain(Socket),
    Encrypted(Box<<MakeRustlsConnect as MakeTlsConnect<Socket>>::Stream>),
}

trait Bytes: AsyncRead + AsyncWrite + Unpin {}

impl<S: AsyncRead + AsyncWrite + Unpin> Bytes for S {}

impl Stream {
    fn bytes(&mut self) -> Pin<&mut dyn Bytes> {
        let bytes: &mut dyn Bytes = match self {
            Stream::Plain(socket) => socket,
            Stream::Encrypted(stream) => stream,
        };
        Pin::new(bytes)
    }
}

/// A stream of messages, each of which has a limit.
pub struct MessageLimit {
    stream: Stream,
    filter: Filter,
    /// What has passed, and how much of it is handed on.
    passed: Vec<u8>,
    handed_on: usize,
    /// The server has closed the connection.
    has_ended: bool,
}

impl MessageLimit {
    pub fn new(stream: Stream) -> Self {
        let filter = Filter::Header(Vec::new());
        Self { stream, filter, passed: Vec::new(), handed_on: 0, has_ended: false }
    }
}

/// Where in a message the next byte is.
#[derive(Debug)]
enum Filter {
    /// In its type and its length.
    Header(Vec<u8>),
    /// So many bytes of it are still to come.
    Body(u32),
    Report(Report),
}

/// An error or a notice that is being cut.
#[derive(Debug)]
struct Report {
    kind: u8,
    /// So many bytes of it are still to come.
    left: u32,
    kept: Vec<u8>,
    /// The length of the field so far, its type included; 0 between fields.
    field: u64,
}

impl Filter {
    /// Appends to `passed` what passes of these bytes.
    ///
    /// # Errors
    /// A message is too long.
    fn pass(&mut self, mut bytes: &[u8], passed: &mut Vec<u8>) -> io::Result<()> {
        while !bytes.is_empty() {
            let (next, rest) = match self {
                Filter::Header(header) => {
                    let (some, rest) = bytes.split_at(bytes.len().min(5 - header.len()));
                    header.extend_from_slice(some);
                    (begun(header, passed)?, rest)
                }
                Filter::Body(left) => {
                    let (some, rest) = bytes.split_at(bytes.len().min(*left as usize));
                    passed.extend_from_slice(some);
                    (body(left.saturating_sub(length(some))), rest)
                }
                Filter::Report(report) => {
                    let (some, rest) = bytes.split_at(bytes.len().min(report.left as usize));
                    report.take(some);
                    let is_over = report.left == 0;
                    (is_over.then(|| report.end(passed)), rest)
                }
            };
            if let Some(next) = next {
                *self = next;
            }
            bytes = rest;
        }
        Ok(())
    }
}

fn length(bytes: &[u8]) -> u32 {
    u32::try_from(bytes.len()).unwrap_or(u32::MAX)
}

fn body(left: u32) -> Option<Filter> {
    Some(if left == 0 { Filter::Header(Vec::new()) } else { Filter::Body(left) })
}

/// What follows a header, once it is whole.
fn begun(header: &[u8], passed: &mut Vec<u8>) -> io::Result<Option<Filter>> {
    let [kind, length @ ..] = header else { return Ok(None) };
    let Ok(length) = <[u8; 4]>::try_from(length) else { return Ok(None) };
    // It counts itself, and not the type.
    let left = u32::from_be_bytes(length).saturating_sub(4);
    match kind {
        b'E' | b'N' if left > LONGEST_REPORT => {
            Ok(Some(Filter::Report(Report { kind: *kind, left, kept: Vec::new(), field: 0 })))
        }
        _ if left > LONGEST => {
            let why = format!("a message of {left} bytes, more than the {LONGEST} that are read");
            Err(io::Error::other(why))
        }
        _ => {
            passed.extend_from_slice(header);
            Ok(body(left))
        }
    }
}

impl Report {
    fn take(&mut self, bytes: &[u8]) {
        self.left = self.left.saturating_sub(length(bytes));
        for field in bytes.split_inclusive(|byte| *byte == 0) {
            let is_whole = field.ends_with(&[0]);
            let text = field.strip_suffix(&[0]).unwrap_or(field);
            let room = LONGEST_FIELD.saturating_sub(self.field);
            if self.kept.len() < LONGEST_FIELDS {
                let room = usize::try_from(room).unwrap_or(usize::MAX);
                self.kept.extend_from_slice(&text[..text.len().min(room)]);
            }
            self.field = self.field.saturating_add(text.len() as u64);
            if is_whole {
                self.end_field();
            }
        }
    }

    fn end_field(&mut self) {
        if self.field > LONGEST_FIELD {
            let length = self.field.saturating_sub(1);
            self.kept.extend_from_slice(format!("… ({length} bytes)").as_bytes());
        }
        // The byte that ends the message has no field before it.
        if self.field > 0 && self.kept.len() < LONGEST_FIELDS {
            self.kept.push(0);
        }
        self.field = 0;
    }

    /// Passes on what was kept.
    fn end(&mut self, passed: &mut Vec<u8>) -> Filter {
        if self.kept.last().is_some_and(|last| *last != 0) {
            self.kept.push(0);
        }
        self.kept.push(0);
        passed.push(self.kind);
        passed.extend(length(&self.kept).saturating_add(4).to_be_bytes());
        passed.append(&mut self.kept);
        Filter::Header(Vec::new())
    }
}

impl AsyncRead for MessageLimit {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = &mut *self;
        while this.handed_on == this.passed.len() {
            this.passed.clear();
            this.handed_on = 0;
            let mut chunk = [0; CHUNK];
            let mut chunk = ReadBuf::new(&mut chunk);
            ready!(this.stream.bytes().poll_read(context, &mut chunk))?;
            if chunk.filled().is_empty() {
                if !std::mem::replace(&mut this.has_ended, true) {
                    // What the server said last is heard before its end, which the client would report instead.
                    context.waker().wake_by_ref();
                    return Poll::Pending;
                }
                return Poll::Ready(Ok(()));
            }
            this.filter.pass(chunk.filled(), &mut this.passed)?;
        }
        let waiting = &this.passed[this.handed_on..];
        let some = &waiting[..waiting.len().min(buffer.remaining())];
        buffer.put_slice(some);
        this.handed_on = this.handed_on.saturating_add(some.len());
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for MessageLimit {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.stream.bytes().poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.stream.bytes().poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.stream.bytes().poll_shutdown(context)
    }
}

impl TlsStream for MessageLimit {
    fn channel_binding(&self) -> ChannelBinding {
        match &self.stream {
            Stream::Plain(_) => ChannelBinding::none(),
            Stream::Encrypted(stream) => stream.channel_binding(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(kind: u8, body: &[u8]) -> Vec<u8> {
        let length = u32::try_from(body.len() + 4).unwrap().to_be_bytes();
        [&[kind], &length[..], body].concat()
    }

    /// What passes where so many bytes arrive at once.
    fn passed(bytes: &[u8], at_once: usize) -> io::Result<Vec<u8>> {
        let (mut filter, mut passed) = (Filter::Header(Vec::new()), Vec::new());
        for chunk in bytes.chunks(at_once) {
            filter.pass(chunk, &mut passed)?;
        }
        Ok(passed)
    }

    #[test]
    fn messages_within_the_limits_pass_as_they_are() {
        let bytes = [
            message(b'T', b"columns"),
            message(b'D', &vec![b'x'; LONGEST as usize]),
            message(b'E', b"SERROR\0Mwords\0\0"),
            message(b'1', b""),
            message(b'Z', b"I"),
        ]
        .concat();
        for at_once in [1 << 10, CHUNK, usize::MAX] {
            assert!(passed(&bytes, at_once).unwrap() == bytes, "{at_once}");
        }
        assert!(passed(&bytes[..100], 1).unwrap() == bytes[..100]);
    }

    #[test]
    fn a_long_error_is_cut_field_by_field() {
        let long = "x".repeat(5_000_000);
        let fields = format!("SERROR\0CP0001\0M{long}\0Dshort\0W{long}\0\0");
        let bytes = [message(b'E', fields.as_bytes()), message(b'Z', b"I")].concat();
        let cut = |field: char| {
            format!("{field}{}… (5000000 bytes)\0", "x".repeat(LONGEST_FIELD as usize - 1))
        };
        let fields = format!("SERROR\0CP0001\0{}Dshort\0{}\0", cut('M'), cut('W'));
        let expected = [message(b'E', fields.as_bytes()), message(b'Z', b"I")].concat();
        for at_once in [999, CHUNK, usize::MAX] {
            assert!(passed(&bytes, at_once).unwrap() == expected, "{at_once}");
        }
    }

    #[test]
    fn an_error_of_countless_fields_is_cut_too() {
        let bytes = message(b'N', &b"Mx\0".repeat(1_000_000));
        let passed = passed(&bytes, CHUNK).unwrap();
        assert!(passed.len() < LONGEST_FIELDS + 100, "{}", passed.len());
        assert!(passed.ends_with(b"\0\0"));
        assert_eq!(passed[1..5], u32::try_from(passed.len() - 1).unwrap().to_be_bytes());
    }

    #[test]
    fn another_message_that_is_too_long_is_an_error() {
        for kind in [b'D', b'T', b'S', b'R', b'd'] {
            let mut bytes = vec![kind];
            bytes.extend((LONGEST + 5).to_be_bytes());
            let error = passed(&bytes, 2).unwrap_err().to_string();
            assert!(error.contains("4194305 bytes"), "{error}");
        }
    }
}
