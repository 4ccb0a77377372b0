//! Requests to one URL: bounded in time and size, never redirected, and without the URL in the errors.

use super::redact::Redactor;
use super::tls::tls_issue;
use super::url::{self, beneath, with_query};
use super::{Clock, Machine, SendError, Server};
use crate::secret::Secret;
use crate::tls::{agent, client_config};
use chrono::DateTime;
use serde_json::Value;
use std::io::{ErrorKind, Read};
use std::time::Duration;
use ureq::http::{Response, StatusCode};
use ureq::{Agent, Body, RequestBuilder};

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
pub struct Request {
    pub method: Method,
    /// Added to the URL's path, in front of a query; empty: nothing.
    pub beneath: String,
    /// Set in the URL's query.
    pub query: Vec<(&'static str, String)>,
    pub headers: Vec<(&'static str, String)>,
    pub content: Content,
    /// Nothing of it is sent with `GET`.
    pub body: String,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Method {
    #[default]
    Post,
    Get,
}

impl Request {
    pub fn json(body: &impl ToString) -> Self {
        Self { body: body.to_string(), ..Self::default() }
    }
}

/// What a body is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Content {
    #[default]
    Json,
    Text,
    /// As the header `Content-Type` has it.
    Other(String),
}

impl Content {
    fn kind(&self) -> &str {
        match self {
            Content::Json => "application/json; charset=utf-8",
            Content::Text => "text/plain; charset=utf-8",
            Content::Other(kind) => kind,
        }
    }
}

/// What a service answered.
pub struct Reply<'e> {
    endpoint: &'e Endpoint,
    pub status: StatusCode,
    pub text: String,
    retry_after: Option<Duration>,
}

impl Reply<'_> {
    pub fn is_success(&self) -> bool {
        self.status.is_success()
    }

    /// The body; null if it is no JSON.
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_default()
    }

    /// How long to wait, in seconds, from a place in the body; else what the header `Retry-After` says.
    pub fn retry_after(&self, pointer: &str) -> Option<Duration> {
        let seconds = self.json().pointer(pointer).and_then(Value::as_f64);
        let in_body = seconds.and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
        in_body.or(self.retry_after)
    }

    /// Why it is no success: its status where that is not 2xx, else `why`, which goes on with a quotation of the body.
    pub fn error(&self, why: &str) -> SendError {
        if self.is_success() {
            return self.refused(&format!("{why} {}", self.quote(&self.text)));
        }
        let said = match self.text.trim() {
            "" => String::new(),
            text => format!(": {}", self.quote(text)),
        };
        let redirect = if self.status.is_redirection() {
            " (a redirect, which is never followed)"
        } else {
            ""
        };
        let code = self.status.as_u16();
        SendError {
            permanent: !(code == 408 || code == 429 || self.status.is_server_error()),
            retry_after: self.retry_after,
            ..self.refused(&format!("answered with status {code}{redirect}{said}"))
        }
    }

    /// An error that names the service's host and goes on with `why`.
    pub fn refused(&self, why: &str) -> SendError {
        self.endpoint.refused(why)
    }

    /// A text of the service, as an error may hold it.
    pub fn quote(&self, text: &str) -> String {
        self.endpoint.redactor.quote(text)
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
        let mut tls = None;
        if is_https {
            let roots = machine.roots.as_ref().map_err(|why| failed(why.clone()))?;
            tls = Some(client_config(roots).map_err(failed)?);
            let proxy = machine.proxy.as_ref();
            if let Some(proxy) = proxy.filter(|proxy| !proxy.spares(&server.host, server.port)) {
                redactor.add_url(&proxy.url);
                let proxy = proxy.parse().map_err(failed)?;
                server.proxy = Some((proxy.host().to_owned(), proxy.port()));
                builder = builder.proxy(Some(proxy));
            }
        }
        Ok(Self {
            agent: agent(builder.build(), tls),
            url: url::without_login(url),
            login: url::login(&uri),
            shown,
            server,
            timeout,
            redactor,
            clock: machine.clock.clone(),
        })
    }

    /// Whether the URL has a user or a password.
    pub fn has_login(&self) -> bool {
        self.login.is_some()
    }

    pub fn server(&self) -> &Server {
        &self.server
    }

    /// Sends a request whose answer is in its status alone.
    ///
    /// # Errors
    /// Every status but 2xx.
    pub fn send(&self, request: &Request) -> Result<(), SendError> {
        let response = self.exchange(request)?;
        if response.status().is_success() {
            return Ok(());
        }
        Err(self.read(response)?.error(""))
    }

    /// Sends a request and returns what it was answered with, whatever the status.
    ///
    /// # Errors
    /// An answer of success that breaks off, comes too slowly or is too large.
    pub fn ask(&self, request: &Request) -> Result<Reply<'_>, SendError> {
        self.read(self.exchange(request)?)
    }

    fn exchange(&self, request: &Request) -> Result<Response<Body>, SendError> {
        let url = beneath(self.url.expose(), &request.beneath);
        let url = with_query(&url, &request.query);
        let sent = match request.method {
            Method::Get => self.with_headers(self.agent.get(url), request).call(),
            Method::Post => {
                let post = self.agent.post(url).content_type(request.content.kind());
                self.with_headers(post, request).send(&request.body)
            }
        };
        sent.map_err(|error| self.failure(&error))
    }

    fn with_headers<B>(
        &self,
        mut builder: RequestBuilder<B>,
        request: &Request,
    ) -> RequestBuilder<B> {
        for (name, value) in &request.headers {
            builder = builder.header(*name, value);
        }
        match &self.login {
            Some(login) => builder.header("Authorization", login.expose()),
            None => builder,
        }
    }

    fn read(&self, mut response: Response<Body>) -> Result<Reply<'_>, SendError> {
        let status = response.status();
        let retry_after = self.retry_after(&response);
        let mut answer = Vec::new();
        let reader = response.body_mut().as_reader();
        let read = reader.take(LARGEST_ANSWER + 1).read_to_end(&mut answer);
        // Of any other status as much as came is enough: the status alone is reason enough.
        if status.is_success() {
            read.map_err(|error| self.failure(&ureq::Error::from(error)))?;
            if answer.len() as u64 > LARGEST_ANSWER {
                let what = format!("answered with more than {} KiB", LARGEST_ANSWER / 1024);
                return Err(self.refused(&what));
            }
        }
        let text = String::from_utf8_lossy(&answer).into_owned();
        Ok(Reply { endpoint: self, status, text, retry_after })
    }

    fn refused(&self, why: &str) -> SendError {
        SendError::permanent(format!("{} {why}", self.shown))
    }

    /// `Retry-After`, in seconds or as a date.
    fn retry_after(&self, response: &Response<Body>) -> Option<Duration> {
        let value = response.headers().get("retry-after")?.to_str().ok()?.trim();
        if let Ok(seconds) = value.parse() {
            return Some(Duration::from_secs(seconds));
        }
        let at = DateTime::parse_from_rfc2822(value).ok()?;
        at.to_utc().signed_duration_since((self.clock)()).to_std().ok()
    }

    fn failure(&self, error: &ureq::Error) -> SendError {
        let (what, permanent) = self.explain(error);
        let through = match &self.server.proxy {
            Some((host, port)) => format!("through the proxy {host}:{port}: "),
            None => String::new(),
        };
        let message = format!("{}: {through}{what}", self.shown);
        SendError { message, permanent, retry_after: None }
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
            ureq::Error::ConnectProxyFailed(why) => match refused_status(why) {
                Some(status) => (
                    format!("it answered with status {status}{}", meaning(status)),
                    // 502 and the like may be about the service, which may be back by the next attempt.
                    !(status == 408 || status == 429 || status >= 500),
                ),
                None => (format!("it made no tunnel: {}", self.redactor.quote(why)), false),
            },
            ureq::Error::Protocol(error) => {
                let said = self.redactor.quote(&error.to_string());
                (format!("the answer is not HTTP: {said}"), true)
            }
            // Some of these texts hold the URL.
            other => {
                (format!("the request failed: {}", self.redactor.quote(&other.to_string())), true)
            }
        }
    }
}

/// The status in the library's "proxy server responded 407/407".
fn refused_status(why: &str) -> Option<u16> {
    why.rsplit(' ').next()?.split('/').next()?.parse().ok()
}

/// What a proxy's status means.
fn meaning(status: u16) -> &'static str {
    match status {
        407 => " (it wants a user and a password: http://USER:PASSWORD@HOST:PORT, percent-encoded)",
        403 => " (it does not let this host through, or not to there)",
        502..=504 => " (it does not reach the server)",
        _ => "",
    }
}
