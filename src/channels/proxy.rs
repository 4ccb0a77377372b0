//! The proxy that requests over `https` go through.

use crate::secret::Secret;
use ureq::ProxyProtocol;

/// A proxy as `$HTTPS_PROXY` and `$NO_PROXY` name it.
#[derive(Debug, Clone)]
pub struct Proxy {
    /// May hold a password.
    pub url: Secret,
    /// Hosts that are reached directly, separated by commas: `host`, `.domain` or `*`.
    pub except: String,
}

impl Proxy {
    /// The same for the HTTP library.
    ///
    /// # Errors
    /// What is wrong with it. The URL is not quoted: it may hold a password.
    pub fn parse(&self) -> Result<ureq::Proxy, String> {
        let invalid = |_| "the proxy that the environment names is not a valid URL".to_owned();
        let parsed = ureq::Proxy::new(self.url.expose()).map_err(invalid)?;
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
        for host in self.except.split(',') {
            builder = builder.no_proxy(host.trim());
        }
        builder.build().map_err(invalid)
    }
}
