//! A stream of bytes to a server: over TCP or a socket of this machine, in the clear or encrypted.

use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection, StreamOwned};
use std::io::{self, Read, Write};
use std::net::{IpAddr, TcpStream, ToSocketAddrs};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

#[derive(Debug)]
pub enum Stream {
    Socket(UnixStream),
    Tcp(TcpStream),
    Tls(Box<StreamOwned<ClientConnection, TcpStream>>),
}

impl Stream {
    /// Connects to the first address of the host that answers; an IPv6 address may stand in brackets. `timeout` is for each address, and
    /// for each read and write after it.
    ///
    /// # Errors
    /// That of the last address.
    pub fn connect(host: &str, port: u16, timeout: Duration) -> io::Result<Self> {
        let mut last = io::Error::new(io::ErrorKind::NotFound, "the host name has no address");
        for address in (without_brackets(host), port).to_socket_addrs()? {
            match TcpStream::connect_timeout(&address, timeout) {
                Ok(socket) => {
                    socket.set_nodelay(true)?;
                    let stream = Self::Tcp(socket);
                    stream.set_timeout(timeout)?;
                    return Ok(stream);
                }
                Err(error) => last = error,
            }
        }
        Err(last)
    }

    /// Connects to a socket of this machine; `timeout` is for each read and write.
    ///
    /// # Errors
    /// Nobody listens there.
    pub fn connect_socket(path: &Path, timeout: Duration) -> io::Result<Self> {
        let stream = Self::Socket(UnixStream::connect(path)?);
        stream.set_timeout(timeout)?;
        Ok(stream)
    }

    /// The same connection under TLS. The first byte, or [`Write::flush`], shakes hands.
    ///
    /// # Errors
    /// The host is no name that a certificate could have, or the stream is not one of TCP in the clear.
    pub fn encrypt(self, host: &str, config: ClientConfig) -> io::Result<Self> {
        let Self::Tcp(socket) = self else {
            return Err(io::Error::other("only a TCP connection in the clear can be encrypted"));
        };
        let name =
            ServerName::try_from(without_brackets(host).to_owned()).map_err(io::Error::other)?;
        let connection = ClientConnection::new(Arc::new(config), name).map_err(io::Error::other)?;
        Ok(Self::Tls(Box::new(StreamOwned::new(connection, socket))))
    }

    /// This machine's address on the connection; `None`: it is no connection of TCP.
    pub fn local_address(&self) -> Option<IpAddr> {
        let socket = match self {
            Stream::Socket(_) => return None,
            Stream::Tcp(socket) => socket,
            Stream::Tls(tls) => &tls.sock,
        };
        socket.local_addr().ok().map(|address| address.ip())
    }

    /// Bounds each read and each write from now on.
    ///
    /// # Errors
    /// The limit is zero, or the socket is gone.
    pub fn set_timeout(&self, timeout: Duration) -> io::Result<()> {
        let timeout = Some(timeout);
        match self {
            Stream::Socket(socket) => {
                socket.set_read_timeout(timeout)?;
                socket.set_write_timeout(timeout)
            }
            Stream::Tcp(socket) => {
                socket.set_read_timeout(timeout)?;
                socket.set_write_timeout(timeout)
            }
            Stream::Tls(tls) => {
                tls.sock.set_read_timeout(timeout)?;
                tls.sock.set_write_timeout(timeout)
            }
        }
    }
}

/// The address of an IPv6 host in a URL.
fn without_brackets(host: &str) -> &str {
    host.trim_start_matches('[').trim_end_matches(']')
}

impl Read for Stream {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Stream::Socket(stream) => stream.read(buffer),
            Stream::Tcp(stream) => stream.read(buffer),
            Stream::Tls(stream) => stream.read(buffer),
        }
    }
}

impl Write for Stream {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Stream::Socket(stream) => stream.write(bytes),
            Stream::Tcp(stream) => stream.write(bytes),
            Stream::Tls(stream) => stream.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Stream::Socket(stream) => stream.flush(),
            Stream::Tcp(stream) => stream.flush(),
            Stream::Tls(stream) => stream.flush(),
        }
    }
}
