//! A text that must not be shown: a password, a token, a signing key, or a URL that holds one.

use percent_encoding::percent_decode_str;
use serde::{Deserialize, Serialize, Serializer};
use std::fmt;

/// What is shown in the place of a secret.
pub const MASK: &str = "***";

/// A text that can be used but not printed: its `Debug` and its JSON are `***`.
#[derive(Clone, PartialEq, Eq, Deserialize)]
pub struct Secret(String);

impl Secret {
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The text itself, for its one use. It goes into no message.
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// The scheme of a URL: what comes before the first `:`.
    pub fn scheme(&self) -> &str {
        self.0.split_once(':').map_or("", |(scheme, _)| scheme)
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

/// For `#[serde(default, with = "secret::optional_url")]`: a key that holds a URL, of which [`masked_url`] is shown.
pub mod optional_url {
    use super::{Secret, masked_url};
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    pub fn serialize<S: Serializer>(
        url: &Option<Secret>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        url.as_ref().map(|url| masked_url(url.expose())).serialize(serializer)
    }

    /// An empty text counts as not set, as an empty variable does.
    pub fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Option<Secret>, D::Error> {
        let url = Secret::deserialize(deserializer)?;
        Ok(Some(url).filter(|url| !url.expose().trim().is_empty()))
    }
}

/// A URL that may be shown: of `http` and `https` the host alone, because whoever knows a webhook's URL can use it; of others all
/// but passwords. What does not look like a URL is masked whole.
///
/// Where it is unclear what belongs to a password (an `@`, `/` or `?` that should have been percent-encoded), more is masked
/// rather than less.
pub fn masked_url(url: &str) -> String {
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

/// `host[:port]/***` of what follows `https://`.
fn host_only(rest: &str) -> String {
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let host = &rest[..end];
    if rest.contains('@') || !ends_like_a_host(host) {
        return MASK.to_owned();
    }
    format!("{host}/{MASK}")
}

/// What follows `scheme://`, its user's password and its secret settings masked.
fn without_password(rest: &str) -> String {
    let Some((login, place)) = rest.rsplit_once('@') else {
        let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
        // `user:password` without its host: the password is where a port should be.
        if !rest[..end].split(',').all(ends_like_a_host) {
            return MASK.to_owned();
        }
        return without_secret_settings(rest);
    };
    if login.contains('?') {
        // A `?` in the password, or an `@` in a setting: either is possible, so nothing behind the first name is shown.
        let end = login.find([':', '/', '?']).unwrap_or(login.len());
        return format!("{}{MASK}", &login[..end]);
    }
    let place = without_secret_settings(place);
    match login.split_once(':') {
        Some((user, _)) => format!("{user}:{MASK}@{place}"),
        None => format!("{login}@{place}"),
    }
}

/// Whether what follows the last `:` of `host:port` is a port.
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
            let shown = masked_url(url);
            assert_eq!(shown, expected, "{url}");
            assert!(!shown.contains("hunter2"), "{shown}");
        }
    }

    proptest! {
        #[test]
        fn no_password_is_shown_wherever_it_is(password in "[!-~]{0,6}PW[!-~]{0,6}") {
            let plain = password.replace(|c: char| !c.is_ascii_alphanumeric(), "");
            for url in [
                format!("postgresql://u:{plain}"),
                format!("postgresql://u:{password}@h:5432/db?sslmode=require"),
                format!("redis://:{password}@h/0"),
                format!("https://hooks/{password}"),
                format!("https://u:{password}@hooks/x"),
            ] {
                prop_assert!(!masked_url(&url).contains("PW"), "{} {}", url, masked_url(&url));
            }
        }

        #[test]
        fn any_text_is_masked_without_a_panic(text in ".*") {
            prop_assert!(masked_url(&text).contains(MASK) || text.contains(':'));
        }
    }

    #[test]
    fn debug_and_json_are_masked() {
        let secret = Secret("hunter2".to_owned());
        assert_eq!(format!("{secret:?}"), "***");
        assert_eq!(serde_json::to_string(&secret).unwrap(), "\"***\"");
        #[derive(Serialize)]
        struct Place {
            #[serde(with = "optional_url")]
            url: Option<Secret>,
        }
        let url = Some(Secret::new("smtp://u:hunter2@h"));
        assert_eq!(format!("{url:?}"), "Some(***)");
        assert_eq!(serde_json::to_string(&Place { url }).unwrap(), "{\"url\":\"smtp://u:***@h\"}");
    }
}
