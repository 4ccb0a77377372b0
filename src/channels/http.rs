//! Requests to one URL: bounded in time and size, never redirected, and without the URL in the errors.

use super::redact::Redactor;
use super::tls::tls_issue;
use super::url::{self, beneath, with_query};
use super::{Clock, Destination, Machine, Roots, SendError, Server};
use crate::secret::Secret;
use chrono::{DateTime, Utc};
use std::io::{ErrorKind, Read};
use std::sync::Arc;
use std::time::Duration;
use ureq::http::Response;
use ureq::tls::{Certificate, RootCerts, TlsConfig};
use ureq::{Agent, Body};

/// How much of an answer is read. A service's answer has a few hundred bytes.
const LARGEST_ANSWER: u64 = 64 * 1024;

/// One URL and what it takes to send something there.
pub struct Endpoint {
    agent: Agent,
    /// Without its login.
    url: Secret,
    login: Option<Secret>,
    /// The URL as it may be shown: scheme, host and port.
    shown: String,
    server: Server,
    timeout: Duration,
    redactor: Redactor,
    clock: Clock,
}

/// What is sent beside the URL's own parts.
#[derive(Default)]
pub struct Request<'a> {
    /// Added to the URL's path, in front of a query; empty: nothing.
    pub beneath: &'a str,
    /// Added to the URL's query; the values percent-encoded.
    pub query: &'a [(&'a str, &'a str)],
    pub headers: &'a [(&'a str, &'a str)],
    pub content: Content,
    pub body: &'a str,
}

/// What a body is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Content {
    #[default]
    Json,
    Text,
}

impl Content {
    fn kind(self) -> &'static str {
        match self {
            Content::Json => "application/json; charset=utf-8",
            Content::Text => "text/plain; charset=utf-8",
        }
    }
}

/// What a service answered.
pub struct Reply {
    pub status: u16,
    pub text: String,
    /// What its status says, where that is not 2xx.
    pub refusal: Option<SendError>,
}

impl Reply {
    /// The body; null if it is no JSON.
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.text).unwrap_or_default()
    }

    /// How long to wait, in seconds, from a place in the body.
    pub fn retry_after(&self, pointer: &str) -> Option<Duration> {
        Duration::try_from_secs_f64(self.json().pointer(pointer)?.as_f64()?).ok()
    }
}

impl Endpoint {
    /// `secrets` are masked in errors, as those of the URL are.
    ///
    /// # Errors
    /// If the URL is none, or if it asks for TLS and there are no certificates to check the server's with.
    pub fn new<'s>(
        url: &Secret,
        secrets: impl IntoIterator<Item = &'s Secret>,
        timeout: Duration,
        machine: &Machine,
    ) -> Result<Self, SendError> {
        let uri = url::parse(url)?;
        let shown = url::shown(&uri);
        let is_https = uri.scheme_str() == Some("https");
        let mut server = Server {
            host: uri.host().unwrap_or_default().to_owned(),
            port: uri.port_u16().unwrap_or(if is_https { 443 } else { 80 }),
            starts_with_tls: is_https,
            proxy: None,
        };
        let mut redactor = Redactor::default();
        redactor.add_url(url);
        for secret in secrets {
            redactor.add(secret.expose());
        }
        let failed = |why: String| SendError::permanent(format!("{shown}: {why}"));
        let mut builder = Agent::config_builder()
            .timeout_global(Some(timeout))
            .http_status_as_error(false)
            // A redirect would carry the alerts, and the signature, to a host that nobody configured.
            .max_redirects(0)
            .max_redirects_will_error(false)
            .max_idle_connections(0)
            .user_agent(concat!("taskmon/", env!("CARGO_PKG_VERSION")))
            .proxy(None);
        if is_https {
            let roots = machine.roots.as_ref().map_err(|why| failed(why.clone()))?;
            builder = builder.tls_config(tls(roots));
            if let Some(proxy) = &machine.proxy {
                redactor.add_url(&proxy.url);
                let proxy = proxy.parse().map_err(failed)?;
                if !proxy.is_no_proxy(&uri) {
                    server.proxy = Some((proxy.host().to_owned(), proxy.port()));
                }
                builder = builder.proxy(Some(proxy));
            }
        }
        Ok(Self {
            agent: builder.build().new_agent(),
            url: url::without_login(url),
            login: url::login(&uri),
            shown,
            server,
            timeout,
            redactor,
            clock: machine.clock.clone(),
        })
    }

    /// The time now.
    pub fn now(&self) -> DateTime<Utc> {
        (self.clock)()
    }

    /// Whether the URL has a user or a password.
    pub fn has_login(&self) -> bool {
        self.login.is_some()
    }

    pub fn server(&self) -> &Server {
        &self.server
    }

    pub fn destination(&self) -> Destination {
        Destination::Server(self.server.clone())
    }

    /// Posts a request whose answer is in its status alone.
    ///
    /// # Errors
    /// Every status but 2xx.
    pub fn post(&self, request: &Request) -> Result<(), SendError> {
        let mut response = self.exchange(request)?;
        if response.status().is_success() {
            Ok(())
        } else {
            self.refusal(&mut response).refusal.map_or(Ok(()), Err)
        }
    }

    /// Posts a request and returns what it was answered with, whatever the status.
    ///
    /// # Errors
    /// An answer of success that breaks off, comes too slowly or is too large. Of another one, as much as came is enough.
    pub fn ask(&self, request: &Request) -> Result<Reply, SendError> {
        let mut response = self.exchange(request)?;
        if !response.status().is_success() {
            let refusal = self.refusal(&mut response);
            return Ok(refusal);
        }
        let mut answer = Vec::new();
        let reader = response.body_mut().as_reader();
        let read = reader.take(LARGEST_ANSWER + 1).read_to_end(&mut answer);
        read.map_err(|error| self.failure(&ureq::Error::from(error)))?;
        if answer.len() as u64 > LARGEST_ANSWER {
            let what = format!("answered with more than {} KiB", LARGEST_ANSWER / 1024);
            return Err(self.refused(&what));
        }
        Ok(Reply {
            status: response.status().as_u16(),
            text: String::from_utf8_lossy(&answer).into_owned(),
            refusal: None,
        })
    }

    /// An error about what the service answered.
    pub fn refused(&self, why: &str) -> SendError {
        SendError::permanent(format!("{} {why}", self.shown))
    }

    /// A text of the service, as an error may hold it.
    pub fn quote(&self, text: &str) -> String {
        self.redactor.quote(text)
    }

    fn exchange(&self, request: &Request) -> Result<Response<Body>, SendError> {
        let url = beneath(self.url.expose(), request.beneath);
        let url = with_query(&url, request.query);
        let mut builder = self.agent.post(url).content_type(request.content.kind());
        for (name, value) in request.headers {
            builder = builder.header(*name, *value);
        }
        if let Some(login) = &self.login {
            builder = builder.header("Authorization", login.expose());
        }
        builder.send(request.body).map_err(|error| self.failure(&error))
    }

    /// An answer whose status is not 2xx.
    fn refusal(&self, response: &mut Response<Body>) -> Reply {
        let status = response.status();
        let retry_after = self.retry_after(response);
        let mut answer = Vec::new();
        // As much of it as came: the status alone is reason enough.
        let reader = response.body_mut().as_reader();
        let _ = reader.take(LARGEST_ANSWER).read_to_end(&mut answer);
        let text = String::from_utf8_lossy(&answer).into_owned();
        let said = match text.trim() {
            "" => String::new(),
            text => format!(": {}", self.quote(text)),
        };
        let what =
            if status.is_redirection() { " (a redirect, which is never followed)" } else { "" };
        let code = status.as_u16();
        let refusal = SendError {
            message: format!("{} answered with status {code}{what}{said}", self.shown),
            permanent: !(code == 408 || code == 429 || status.is_server_error()),
            retry_after,
        };
        Reply { status: code, text, refusal: Some(refusal) }
    }

    /// `Retry-After`, in seconds or as a date.
    fn retry_after(&self, response: &Response<Body>) -> Option<Duration> {
        let value = response.headers().get("retry-after")?.to_str().ok()?.trim();
        if let Ok(seconds) = value.parse() {
            return Some(Duration::from_secs(seconds));
        }
        let at = DateTime::parse_from_rfc2822(value).ok()?;
        (at.to_utc() - self.now()).to_std().ok()
    }

    fn failure(&self, error: &ureq::Error) -> SendError {
        let (what, permanent) = self.explain(error);
        SendError { message: format!("{}: {what}", self.shown), permanent, retry_after: None }
    }

    /// What went wrong, and whether it would again.
    fn explain(&self, error: &ureq::Error) -> (String, bool) {
        let late = || format!("no complete answer within {} s", self.timeout.as_secs_f32());
        match error {
            ureq::Error::Timeout(_) => (late(), false),
            ureq::Error::Io(error) if error.kind() == ErrorKind::TimedOut => (late(), false),
            ureq::Error::Io(error) => match tls_issue(error) {
                Some(issue) => (issue, true),
                None => (self.redactor.redact(&format!("the connection failed: {error}")), false),
            },
            ureq::Error::HostNotFound => ("the host name has no address".to_owned(), false),
            ureq::Error::ConnectionFailed => ("the connection failed".to_owned(), false),
            ureq::Error::Rustls(error) => (format!("the TLS handshake failed: {error}"), true),
            ureq::Error::ConnectProxyFailed(why) => {
                (format!("the proxy refused: {}", self.quote(why)), false)
            }
            ureq::Error::Protocol(error) => {
                let said = self.quote(&error.to_string());
                (format!("the answer is not HTTP: {said}"), true)
            }
            // Some of these texts hold the URL.
            other => (format!("the request failed: {}", self.quote(&other.to_string())), true),
        }
    }
}

fn tls(roots: &Roots) -> TlsConfig {
    let roots: Vec<_> = roots.iter().map(|root| Certificate::from_der(root).to_owned()).collect();
    TlsConfig::builder()
        .root_certs(RootCerts::Specific(Arc::new(roots)))
        .unversioned_rustls_crypto_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .build()
}
