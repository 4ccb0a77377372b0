//! Texts that must not be shown: they can be used, but their `Debug` and their JSON are masked.

use percent_encoding::percent_decode_str;
use serde::{Deserialize, Serialize, Serializer};
use std::fmt;

const MASK: &str = "***";

/// A password or a signing key.
#[derive(Clone, PartialEq, Deserialize)]
pub struct Secret(String);

impl Secret {
    /// The text itself, for its one use. It goes into no message.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(MASK)
    }
}

impl Serialize for Secret {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(MASK)
    }
}

/// A URL that may hold a password, or that is one itself, as a webhook's is.
#[derive(Clone, PartialEq, Deserialize)]
pub struct SecretUrl(String);

impl SecretUrl {
    pub fn new(url: impl Into<String>) -> Self {
        Self(url.into())
    }

    /// The URL itself, for its one use. It goes into no message.
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// What stands before the first `:`.
    pub fn scheme(&self) -> &str {
        self.0.split_once(':').map_or("", |(scheme, _)| scheme)
    }

    /// The URL without what nobody may read: of `http` and `https` the host alone, of others all but passwords.
    pub fn shown(&self) -> String {
        masked(&self.0)
    }
}

impl fmt::Debug for SecretUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.shown())
    }
}

impl Serialize for SecretUrl {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.shown())
    }
}

/// A URL that may be shown: of `http` and `https` the host alone, because whoever knows a webhook's URL can use it; of others all
/// but passwords. What does not look like a URL is masked whole.
///
/// Where it is unclear what belongs to a password (an `@`, `/` or `?` that should have been percent-encoded), more is masked
/// rather than less.
pub fn masked(url: &str) -> String {
    let Some((scheme, rest)) = url.split_once(':') else {
        return MASK.to_owned();
    };
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '+' | '-' | '.');
    if scheme.is_empty() || !scheme.chars().all(plain) {
        return MASK.to_owned();
    }
    match (rest.strip_prefix("//"), scheme) {
        (Some(rest), "http" | "https") => format!("{scheme}://{}", host_only(rest)),
        (Some(rest), _) => format!("{scheme}://{}", without_password(rest)),
        (None, "sqlite") => without_secret_settings(url),
        (None, _) => format!("{scheme}:{MASK}"),
    }
}

/// `host[:port]/***` of what stands behind `https://`.
fn host_only(rest: &str) -> String {
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let host = &rest[..end];
    if rest.contains('@') || !ends_like_a_host(host) {
        return MASK.to_owned();
    }
    format!("{host}/{MASK}")
}

/// What stands behind `scheme://`, its user's password and its secret settings masked.
fn without_password(rest: &str) -> String {
    let Some((login, place)) = rest.rsplit_once('@') else {
        let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
        // `user:password` without its host: the password stands where a port should.
        if !rest[..end].split(',').all(ends_like_a_host) {
            return MASK.to_owned();
        }
        return without_secret_settings(rest);
    };
    if login.contains('?') {
        // A `?` in the password, or an `@` in a setting: no telling which, so nothing behind the first name is shown.
        let end = login.find([':', '/', '?']).unwrap_or(login.len());
        return format!("{}{MASK}", &login[..end]);
    }
    let place = without_secret_settings(place);
    match login.split_once(':') {
        Some((user, _)) => format!("{user}:{MASK}@{place}"),
        None => format!("{login}@{place}"),
    }
}

/// Whether what stands behind the last `:` of `host:port` is a port.
fn ends_like_a_host(host: &str) -> bool {
    match host.rsplit_once(':') {
        Some((_, port)) => host.ends_with(']') || port.parse::<u16>().is_ok(),
        None => true,
    }
}

/// A text with the values of `?password=…` and of settings that sound like it masked.
fn without_secret_settings(text: &str) -> String {
    let Some((before, settings)) = text.split_once('?') else {
        return text.to_owned();
    };
    let masked: Vec<String> = settings.split('&').map(masked_setting).collect();
    format!("{before}?{}", masked.join("&"))
}

fn masked_setting(setting: &str) -> String {
    let Some((name, _)) = setting.split_once('=') else {
        // The rest of a password that holds an `&`.
        return MASK.to_owned();
    };
    let folded = percent_decode_str(name).decode_utf8_lossy().to_lowercase();
    let secret = ["pass", "pwd", "secret", "token", "key"];
    // `sslkey` names a file.
    if folded != "sslkey" && secret.iter().any(|word| folded.contains(word)) {
        return format!("{name}={MASK}");
    }
    setting.to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn urls_are_shown_without_their_passwords() {
        for (url, expected) in [
            (
                "postgresql://u:hunter2@h:5432/db?sslmode=require",
                "postgresql://u:***@h:5432/db?sslmode=require",
            ),
            ("postgresql+psycopg2://u:hunter2@h/db", "postgresql+psycopg2://u:***@h/db"),
            ("postgresql://u@h1:1,h2:2/db", "postgresql://u@h1:1,h2:2/db"),
            (
                "postgresql:///db?user=u&password=hunter2&host=/run",
                "postgresql:///db?user=u&password=***&host=/run",
            ),
            ("postgresql:///db?pass%77ord=hunter2", "postgresql:///db?pass%77ord=***"),
            (
                "postgresql://h/db?sslpassword=hunter2&sslkey=/k",
                "postgresql://h/db?sslpassword=***&sslkey=/k",
            ),
            ("postgresql://u:hunter2@x@h/db", "postgresql://u:***@h/db"),
            ("postgresql://u:hunter2/x@h/db", "postgresql://u:***@h/db"),
            ("postgresql://u:hunter2?x@h/db", "postgresql://u***"),
            ("postgresql://h/db?password=x@hunter2", "postgresql://h***"),
            ("postgresql://h/db?password=x&hunter2", "postgresql://h/db?password=***&***"),
            ("postgresql://u:hunter2", "postgresql://***"),
            ("postgresql://[::1]:5432/db", "postgresql://[::1]:5432/db"),
            ("postgresql://[::1]/db", "postgresql://[::1]/db"),
            ("redis://:hunter2@h:6379/0", "redis://:***@h:6379/0"),
            ("smtp://user:hunter2@mail.example:587", "smtp://user:***@mail.example:587"),
            ("sqlite:jobs.db", "sqlite:jobs.db"),
            ("sqlite:////var/lib/jobs.db", "sqlite:////var/lib/jobs.db"),
            ("https://open.example/hook/hunter2?key=hunter2", "https://open.example/***"),
            ("https://u:hunter2@open.example/hook", "https://***"),
            ("https://u:hunter2/x", "https://***"),
            ("https://h:8443", "https://h:8443/***"),
            ("host=h password=hunter2", "***"),
            ("host=h password=hunt:er2", "***"),
            ("postgres:hunter2", "postgres:***"),
            ("", "***"),
        ] {
            let shown = masked(url);
            assert_eq!(shown, expected, "{url}");
            assert!(!shown.contains("hunter2"), "{shown}");
        }
    }

    proptest! {
        #[test]
        fn no_password_is_shown_wherever_it_stands(password in "[!-~]{0,6}PW[!-~]{0,6}") {
            let plain = password.replace(|c: char| !c.is_ascii_alphanumeric(), "");
            for url in [
                format!("postgresql://u:{plain}"),
                format!("postgresql://u:{password}@h:5432/db?sslmode=require"),
                format!("redis://:{password}@h/0"),
                format!("https://hooks/{password}"),
                format!("https://u:{password}@hooks/x"),
            ] {
                prop_assert!(!masked(&url).contains("PW"), "{} {}", url, masked(&url));
            }
        }

        #[test]
        fn any_text_is_masked_without_a_panic(text in ".*") {
            prop_assert!(masked(&text).contains(MASK) || text.contains(':'));
        }
    }

    #[test]
    fn debug_and_json_are_masked() {
        let secret = Secret("hunter2".to_owned());
        assert_eq!(format!("{secret:?}"), "***");
        assert_eq!(serde_json::to_string(&secret).unwrap(), "\"***\"");
        let url = SecretUrl::new("smtp://u:hunter2@h");
        assert_eq!(format!("{url:?}"), "smtp://u:***@h");
        assert_eq!(serde_json::to_string(&url).unwrap(), "\"smtp://u:***@h\"");
    }
}
