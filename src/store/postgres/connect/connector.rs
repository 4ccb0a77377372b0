//! What becomes of a server's TCP connection before its first message: it is encrypted or not, and given a limit for messages.
//!
//! The library negotiates TLS itself, and hands on a connection without it as it is. One that is to be encrypted from its first byte on
//! (`sslnegotiation=direct`) it leaves to this connector as a whole.

use super::message_limit::{MessageLimit, Stream};
use postgres::Socket;
use postgres::tls::{MakeTlsConnect, TlsConnect};
use std::convert::Infallible;
use std::error::Error;
use std::pin::Pin;
use std::{fmt, io};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio_postgres_rustls::MakeRustlsConnect;

/// The protocol's SSLRequest: its length and its number.
const SSL_REQUEST: [u8; 8] = [0, 0, 0, 8, 4, 210, 22, 47];

/// Whether a connection is encrypted.
#[derive(Clone)]
pub enum Connector {
    Plain,
    /// If the server agrees.
    Preferred(MakeRustlsConnect),
    Required(MakeRustlsConnect),
}

type Encryptor = <MakeRustlsConnect as MakeTlsConnect<Socket>>::TlsConnect;

/// Sets up one connection.
pub struct Negotiation {
    /// `None`: the server is not asked.
    encryptor: Option<Encryptor>,
    is_required: bool,
}

/// Why the server was not asked for its first message.
#[derive(Debug)]
pub enum Unnegotiated {
    /// The connection broke off.
    NoAnswer(io::Error),
    /// The server has no TLS.
    NoTls,
}

impl fmt::Display for Unnegotiated {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Unnegotiated::NoAnswer(_) => f.write_str("no answer to the request for TLS"),
            Unnegotiated::NoTls => f.write_str("the server does not support TLS"),
        }
    }
}

impl Error for Unnegotiated {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Unnegotiated::NoAnswer(error) => Some(error),
            Unnegotiated::NoTls => None,
        }
    }
}

impl MakeTlsConnect<Socket> for Connector {
    type Stream = MessageLimit;
    type TlsConnect = Negotiation;
    type Error = Infallible;

    fn make_tls_connect(&mut self, host: &str) -> Result<Negotiation, Infallible> {
        let is_required = matches!(self, Connector::Required(_));
        let encryptor = match self {
            Connector::Plain => None,
            Connector::Preferred(tls) | Connector::Required(tls) => {
                Some(MakeTlsConnect::<Socket>::make_tls_connect(tls, host)?)
            }
        };
        Ok(Negotiation { encryptor, is_required })
    }
}

type Negotiated = Result<MessageLimit, Box<dyn Error + Send + Sync>>;

impl TlsConnect<Socket> for Negotiation {
    type Stream = MessageLimit;
    type Error = Box<dyn Error + Send + Sync>;
    type Future = Pin<Box<dyn Future<Output = Negotiated> + Send>>;

    fn connect(self, mut socket: Socket) -> Self::Future {
        Box::pin(async move {
            let Some(encryptor) = self.encryptor else {
                return Ok(MessageLimit::new(Stream::Plain(socket)));
            };
            if agrees_to_tls(&mut socket).await.map_err(Unnegotiated::NoAnswer)? {
                Ok(MessageLimit::new(Stream::Encrypted(Box::new(encryptor.connect(socket).await?))))
            } else if self.is_required {
                Err(Unnegotiated::NoTls.into())
            } else {
                Ok(MessageLimit::new(Stream::Plain(socket)))
            }
        })
    }
}

/// Nothing behind the answer is read: what was sent in the clear would pass for encrypted.
async fn agrees_to_tls(socket: &mut Socket) -> io::Result<bool> {
    socket.write_all(&SSL_REQUEST).await?;
    let mut answer = [0];
    socket.read_exact(&mut answer).await?;
    Ok(answer == *b"S")
}
