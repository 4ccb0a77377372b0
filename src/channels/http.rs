//! Requests to one URL: bounded in time and size, never redirected, and without the URL in what is said about them.

use super::reach::Encrypted;
use super::redact::Redactor;
use super::{Clock, Roots, SendError, Surroundings};
use crate::secret::Secret;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use chrono::{DateTime, Utc};
use percent_encoding::{NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};
use std::io::{ErrorKind, Read};
use std::sync::Arc;
use std::time::Duration;
use ureq::http::{Response, Uri};
use ureq::tls::{Certificate, RootCerts, TlsConfig};
use ureq::{Agent, Body, ProxyProtocol};

/// How much of an answer is read. A service's answer has a few hundred bytes.
const LARGEST_ANSWER: u64 = 64 * 1024;

/// What requests over `https` go through, as `$HTTPS_PROXY` and `$NO_PROXY` say it.
#[derive(Debug, Clone)]
pub struct Proxy {
    /// May hold a password.
    pub url: Secret,
    /// Hosts that are reached directly, separated by commas: `host`, `.domain` or `*`.
    pub except: String,
}

/// One URL and what it takes to send something there.
pub struct Endpoint {
    agent: Agent,
    /// Without its login.
    url: Secret,
    login: Option<Secret>,
    /// The URL as it may be shown: scheme, host and port.
    shown: String,
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
    pub text: String,
    /// What its status says, where that is not 2xx.
    pub refusal: Option<SendError>,
}

impl Endpoint {
    /// # Errors
    /// If the URL is none, or if it asks for TLS and there are no certificates to check the server's with.
    pub fn new(
        url: &Secret,
        secret: Option<&Secret>,
        timeout: Duration,
        surroundings: &Surroundings,
    ) -> Result<Self, SendError> {
        let uri = parse(url)?;
        let shown = shown(&uri);
        let mut redactor = Redactor::default();
        redactor.add_url(url);
        if let Some(secret) = secret {
            redactor.add(secret.expose());
        }
        let failed = |why: String| SendError::permanent(format!("{shown}: {why}"));
        let mut builder = Agent::config_builder()
            .timeout_global(Some(timeout))
            .http_status_as_error(false)
            // A redirect would carry the alerts, and the signature, to a place that nobody configured.
            .max_redirects(0)
            .max_redirects_will_error(false)
            .max_idle_connections(0)
            .user_agent(concat!("taskmon/", env!("CARGO_PKG_VERSION")))
            .proxy(None);
        if uri.scheme_str() == Some("https") {
            let roots = surroundings.roots.as_ref().map_err(|why| failed(why.clone()))?;
            builder = builder.tls_config(tls(roots));
            if let Some(proxy) = &surroundings.proxy {
                redactor.add_url(&proxy.url);
                builder = builder.proxy(Some(through(proxy).map_err(failed)?));
            }
        }
        Ok(Self {
            agent: builder.build().new_agent(),
            url: without_login(url),
            login: login(&uri),
            shown,
            timeout,
            redactor,
            clock: surroundings.clock.clone(),
        })
    }

    /// The time now.
    pub fn now(&self) -> DateTime<Utc> {
        (self.clock)()
    }

    /// Posts a request whose answer says all with its status.
    ///
    /// # Errors
    /// Every status but 2xx.
    pub fn post(&self, request: &Request) -> Result<(), SendError> {
        let mut response = self.exchange(request)?;
        if response.status().is_success() {
            Ok(())
        } else {
            self.unwelcome(&mut response).refusal.map_or(Ok(()), Err)
        }
    }

    /// Posts a request and returns what it was answered with, whatever the status.
    ///
    /// # Errors
    /// An answer of success that breaks off, comes too slowly or is too large. Of another one, as much as came is enough.
    pub fn ask(&self, request: &Request) -> Result<Reply, SendError> {
        let mut response = self.exchange(request)?;
        if !response.status().is_success() {
            let refusal = self.unwelcome(&mut response);
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
        Ok(Reply { text: String::from_utf8_lossy(&answer).into_owned(), refusal: None })
    }

    /// An error about what the service said.
    pub fn refused(&self, why: &str) -> SendError {
        SendError::permanent(format!("{} {why}", self.shown))
    }

    /// What the service said, as an error may hold it.
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

    /// What is said of an answer whose status is not 2xx.
    fn unwelcome(&self, response: &mut Response<Body>) -> Reply {
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
        Reply { text, refusal: Some(refusal) }
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
            ureq::Error::Io(error) => match certificate_issue(error) {
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

/// What is wrong with a server's certificate or its TLS; `None`: the error is about something else.
fn certificate_issue(error: &std::io::Error) -> Option<String> {
    let inner = error.get_ref()?;
    let tls = inner.downcast_ref::<rustls::Error>();
    let tls = tls.or_else(|| inner.source()?.downcast_ref::<rustls::Error>())?;
    Some(tls_issue(tls))
}

/// A TLS error in words.
pub fn tls_issue(error: &rustls::Error) -> String {
    match error {
        rustls::Error::InvalidCertificate(why) => format!(
            "the server's certificate is not trusted: {why}; SSL_CERT_FILE can name a file with the certificate of its authority"
        ),
        other => format!("the TLS handshake failed: {other}"),
    }
}

fn parse(url: &Secret) -> Result<Uri, SendError> {
    // The parser's own error may quote the URL.
    let uri: Option<Uri> = url.expose().parse().ok();
    let known = uri.filter(|uri| {
        matches!(uri.scheme_str(), Some("http" | "https"))
            && uri.host().is_some_and(|h| !h.is_empty())
    });
    known.ok_or_else(|| {
        SendError::permanent(
            "the url is not a valid http:// or https:// URL (characters outside ASCII, and blanks, have to be percent-encoded)",
        )
    })
}

/// The host and the port of a URL, and whether TLS is spoken there.
///
/// # Errors
/// If the URL is none.
pub fn host_and_encryption(url: &Secret) -> Result<(String, u16, Encrypted), SendError> {
    let uri = parse(url)?;
    let (encrypted, port) = match uri.scheme_str() {
        Some("https") => (Encrypted::Yes, 443),
        _ => (Encrypted::No, 80),
    };
    let host = uri.host().unwrap_or_default().to_owned();
    Ok((host, uri.port_u16().unwrap_or(port), encrypted))
}

/// The host and the port of the proxy that requests to a URL go through.
///
/// # Errors
/// What is wrong with the URL or the proxy.
pub fn proxy_for(
    url: &Secret,
    surroundings: &Surroundings,
) -> Result<Option<(String, u16)>, SendError> {
    let uri = parse(url)?;
    let Some(proxy) = surroundings.proxy.as_ref().filter(|_| uri.scheme_str() == Some("https"))
    else {
        return Ok(None);
    };
    let proxy = through(proxy).map_err(SendError::permanent)?;
    let place = (proxy.host().to_owned(), proxy.port());
    Ok((!proxy.is_no_proxy(&uri)).then_some(place))
}

/// The login of a URL as a header. The HTTP library would send it as it stands, percent-encoded.
fn login(uri: &Uri) -> Option<Secret> {
    let (login, _) = uri.authority()?.as_str().rsplit_once('@')?;
    let (user, password) = login.split_once(':').unwrap_or((login, ""));
    let mut decoded: Vec<u8> = percent_decode_str(user).collect();
    decoded.push(b':');
    decoded.extend(percent_decode_str(password));
    Some(Secret::new(format!("Basic {}", STANDARD.encode(decoded))))
}

fn without_login(url: &Secret) -> Secret {
    let text = url.expose();
    let start = text.find("://").map_or(0, |at| at + "://".len());
    let end = text[start..].find(['/', '?', '#']).map_or(text.len(), |at| start + at);
    match text[start..end].rfind('@') {
        Some(at) => Secret::new(format!("{}{}", &text[..start], &text[start + at + 1..])),
        None => url.clone(),
    }
}

fn shown(uri: &Uri) -> String {
    let port = uri.port().map_or(String::new(), |port| format!(":{port}"));
    let (scheme, host) = (uri.scheme_str().unwrap_or_default(), uri.host().unwrap_or_default());
    format!("{scheme}://{host}{port}")
}

/// A URL with one more part of its path.
fn beneath(url: &str, part: &str) -> String {
    if part.is_empty() {
        return url.to_owned();
    }
    let end = url.find(['?', '#']).unwrap_or(url.len());
    let (place, rest) = url.split_at(end);
    format!("{}/{part}{rest}", place.trim_end_matches('/'))
}

fn with_query(url: &str, added: &[(&str, &str)]) -> String {
    // What stands behind `#` is never sent, and must not swallow the query.
    let mut url = url.split('#').next().unwrap_or_default().to_owned();
    for (name, value) in added {
        url.push(if url.contains('?') { '&' } else { '?' });
        let encoded = utf8_percent_encode(value, NON_ALPHANUMERIC);
        url.push_str(&format!("{name}={encoded}"));
    }
    url
}

fn tls(roots: &Roots) -> TlsConfig {
    let roots: Vec<_> = roots.iter().map(|root| Certificate::from_der(root).to_owned()).collect();
    TlsConfig::builder()
        .root_certs(RootCerts::Specific(Arc::new(roots)))
        .unversioned_rustls_crypto_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .build()
}

/// # Errors
/// What is wrong with it. The URL is not quoted: it may hold a password.
fn through(proxy: &Proxy) -> Result<ureq::Proxy, String> {
    let invalid = |_| "the proxy that the environment names is not a valid URL".to_owned();
    let parsed = ureq::Proxy::new(proxy.url.expose()).map_err(invalid)?;
    if !matches!(parsed.protocol(), ProxyProtocol::Http | ProxyProtocol::Https) {
        return Err(
            "the proxy that the environment names is not an http:// or https:// one".to_owned()
        );
    }
    let mut builder =
        ureq::Proxy::builder(parsed.protocol()).host(parsed.host()).port(parsed.port());
    if let Some(user) = parsed.username() {
        builder = builder.username(user);
    }
    if let Some(password) = parsed.password() {
        builder = builder.password(password);
    }
    for host in proxy.except.split(',') {
        builder = builder.no_proxy(host.trim());
    }
    builder.build().map_err(invalid)
}

/// Where a chat service's answer holds its code, and what the codes mean.
pub struct Codes {
    /// The keys of the code and of its text.
    pub code: &'static str,
    pub text: &'static str,
    /// Those that may have passed by the next attempt.
    pub throttled: &'static [i64],
    /// What an operator can do about one.
    pub explain: fn(i64) -> Option<&'static str>,
}

impl Codes {
    /// Whether the code is 0. Services send theirs with status 200, and some of them with 400.
    ///
    /// # Errors
    /// Every other code, an answer that holds none, and every status but 2xx.
    pub fn check(&self, endpoint: &Endpoint, reply: Reply) -> Result<(), SendError> {
        let parsed: Option<serde_json::Value> = serde_json::from_str(&reply.text).ok();
        let parsed = parsed.unwrap_or_default();
        let number = parsed.get(self.code).and_then(serde_json::Value::as_i64);
        match (number, reply.refusal) {
            (Some(0), None) => Ok(()),
            // The code of a status that may pass, or of none at all, adds nothing to it.
            (None | Some(0), Some(refusal)) => Err(refusal),
            (Some(_), Some(refusal)) if !refusal.permanent => Err(refusal),
            (None, None) => {
                let said = endpoint.quote(&reply.text);
                Err(endpoint.refused(&format!("answered without \"{}\": {said}", self.code)))
            }
            (Some(number), refusal) => {
                let said = parsed.get(self.text).and_then(serde_json::Value::as_str);
                let said = endpoint.quote(said.unwrap_or_default());
                let meaning = (self.explain)(number);
                let meaning = meaning.map_or(String::new(), |meaning| format!(" ({meaning})"));
                let code = self.code;
                Err(SendError {
                    permanent: !self.throttled.contains(&number),
                    retry_after: refusal.and_then(|refusal| refusal.retry_after),
                    ..endpoint.refused(&format!("answered with {code} {number}{meaning}: {said}"))
                })
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_goes_to_the_end_of_the_path() {
        for (url, expected) in [
            ("https://h/uuid", "https://h/uuid/start"),
            ("https://h/uuid/", "https://h/uuid/start"),
            ("https://h", "https://h/start"),
            ("https://h/uuid?a=b/c&d=e", "https://h/uuid/start?a=b/c&d=e"),
            ("https://h/?a=b", "https://h/start?a=b"),
            ("https://h/uuid#x?y", "https://h/uuid/start#x?y"),
        ] {
            assert_eq!(beneath(url, "start"), expected, "{url}");
            assert_eq!(beneath(url, ""), url);
        }
    }
}
