//! A connection to Redis: commands and their replies, one after the other.

use super::address::{Address, Server, Tls};
use super::error::Error;
use super::resp::{Reply, Room, encode, read_reply};
use crate::stream::Stream;
use crate::tls::{AcceptAny, Check, Verifier, system_roots};
use rustls::ClientConfig;
use rustls::client::danger::ServerCertVerifier;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use std::io::{self, BufReader, Write};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

pub struct Client {
    stream: BufReader<Stream>,
}

/// A command: its name and its arguments.
pub struct Command(Vec<Vec<u8>>);

impl Command {
    pub fn new(name: &str) -> Self {
        Self(vec![name.as_bytes().to_vec()])
    }

    pub fn arg(mut self, argument: impl AsRef<[u8]>) -> Self {
        self.0.push(argument.as_ref().to_vec());
        self
    }
}

impl Client {
    /// Connects, logs in and chooses the database. `timeout` is for the connection, and for each read and write after it.
    pub fn connect(address: &Address, timeout: Duration) -> Result<Self, Error> {
        let stream = match &address.server {
            Server::Socket(path) => Stream::connect_socket(path, timeout)?,
            Server::Tcp { host, port, tls } => {
                let stream = Stream::connect(host, *port, timeout)?;
                match tls {
                    None => stream,
                    Some(tls) => stream.encrypt(host, configure(tls)?)?,
                }
            }
        };
        let mut client = Self { stream: BufReader::new(stream) };
        if let Some(password) = &address.password {
            client.log_in(address.user.as_deref(), password)?;
        }
        if address.database != 0 {
            client.ask(&Command::new("SELECT").arg(address.database.to_string()))?;
        }
        Ok(client)
    }

    fn log_in(&mut self, user: Option<&str>, password: &str) -> Result<(), Error> {
        let command = match user {
            Some(user) => Command::new("AUTH").arg(user).arg(password),
            None => Command::new("AUTH").arg(password),
        };
        match self.ask(&command) {
            // Before Redis 6 there were no users.
            Err(Error::Refused(words))
                if user.is_some() && words.contains("number of arguments") =>
            {
                self.log_in(None, password)
            }
            Err(Error::Refused(_)) => Err(Error::WrongPassword),
            answer => answer.map(drop),
        }
    }

    pub fn ask(&mut self, command: &Command) -> Result<Reply, Error> {
        self.stream.get_mut().write_all(&encode(&command.0))?;
        self.stream.get_mut().flush()?;
        read_reply(&mut self.stream, &mut Room::default())
    }

    /// Sends several commands at once.
    pub fn ask_all(&mut self, commands: &[Command]) -> Result<Vec<Reply>, Error> {
        let bytes: Vec<u8> = commands.iter().flat_map(|command| encode(&command.0)).collect();
        self.stream.get_mut().write_all(&bytes)?;
        self.stream.get_mut().flush()?;
        let mut room = Room::default();
        commands.iter().map(|_| read_reply(&mut self.stream, &mut room)).collect()
    }
}

fn configure(tls: &Tls) -> Result<ClientConfig, Error> {
    let unusable = |error: &dyn std::fmt::Display| Error::Io(io::Error::other(error.to_string()));
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider.clone())
        .with_safe_default_protocol_versions()
        .map_err(|error| unusable(&error))?;
    let verifier: Arc<dyn ServerCertVerifier> = if tls.trusts_all {
        Arc::new(AcceptAny { provider })
    } else {
        let trusted = trusted(tls.roots.as_deref())?;
        Arc::new(Verifier::new(Check::ChainAndName, trusted, provider))
    };
    let builder = builder.dangerous().with_custom_certificate_verifier(verifier);
    match &tls.client {
        None => Ok(builder.with_no_client_auth()),
        Some((certificate, key)) => builder
            .with_client_auth_cert(
                read_certificates("ssl_certfile", certificate)?,
                PrivateKeyDer::from_pem_file(key)
                    .map_err(|error| unreadable("ssl_keyfile", key, &error))?,
            )
            .map_err(|error| unusable(&error)),
    }
}

fn trusted(roots: Option<&Path>) -> Result<Vec<CertificateDer<'static>>, Error> {
    match roots {
        Some(path) => read_certificates("ssl_ca_certs", path),
        None => system_roots().map_err(Error::File),
    }
}

fn read_certificates(option: &str, path: &Path) -> Result<Vec<CertificateDer<'static>>, Error> {
    let certificates: Result<Vec<_>, _> =
        CertificateDer::pem_file_iter(path).and_then(Iterator::collect);
    certificates.map_err(|error| unreadable(option, path, &error))
}

fn unreadable(option: &str, path: &Path, error: &rustls::pki_types::pem::Error) -> Error {
    Error::File(format!("{option} of broker.url, {}: {error}", path.display()))
}
