//! The parts of an `http` URL: what may be shown, its login, and what is added to its path and query.

use super::SendError;
use crate::secret::Secret;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};
use ureq::http::Uri;

/// # Errors
/// If it is no `http` or `https` URL. It is not quoted.
pub fn parse(url: &Secret) -> Result<Uri, SendError> {
    // The parser's own error may quote the URL.
    let uri: Option<Uri> = url.expose().parse().ok();
    let known = uri.filter(|uri| {
        matches!(uri.scheme_str(), Some("http" | "https"))
            && uri.host().is_some_and(|host| !host.is_empty())
    });
    known.ok_or_else(|| {
        SendError::permanent(
            "the url is not a valid http:// or https:// URL (characters outside ASCII, and blanks, have to be percent-encoded)",
        )
    })
}

/// What messages call a URL: scheme, host and port.
pub fn shown(uri: &Uri) -> String {
    let port = uri.port().map_or(String::new(), |port| format!(":{port}"));
    let (scheme, host) = (uri.scheme_str().unwrap_or_default(), uri.host().unwrap_or_default());
    format!("{scheme}://{host}{port}")
}

/// The login of a URL as the header `Authorization`. The HTTP library would send it percent-encoded.
pub fn login(uri: &Uri) -> Option<Secret> {
    let (login, _) = uri.authority()?.as_str().rsplit_once('@')?;
    let (user, password) = login.split_once(':').unwrap_or((login, ""));
    let mut decoded: Vec<u8> = percent_decode_str(user).collect();
    decoded.push(b':');
    decoded.extend(percent_decode_str(password));
    Some(Secret::new(format!("Basic {}", STANDARD.encode(decoded))))
}

pub fn without_login(url: &Secret) -> Secret {
    let text = url.expose();
    let start = text.find("://").map_or(0, |at| at + "://".len());
    let end = text[start..].find(['/', '?', '#']).map_or(text.len(), |at| start + at);
    match text[start..end].rfind('@') {
        Some(at) => Secret::new(format!("{}{}", &text[..start], &text[start + at + 1..])),
        None => url.clone(),
    }
}

/// A URL with one more part of its path.
pub fn beneath(url: &str, part: &str) -> String {
    if part.is_empty() {
        return url.to_owned();
    }
    let end = url.find(['?', '#']).unwrap_or(url.len());
    let (path, rest) = url.split_at(end);
    format!("{}/{part}{rest}", path.trim_end_matches('/'))
}

/// A URL with these parameters, their values percent-encoded. Those of the same names that it has already give way: of two, one service
/// takes the first, and another a list that it does not understand.
pub fn with_query(url: &str, set: &[(&str, String)]) -> String {
    // What follows `#` is never sent, and must not swallow the query.
    let url = url.split('#').next().unwrap_or_default();
    if set.is_empty() {
        return url.to_owned();
    }
    let (path, query) = url.split_once('?').unwrap_or((url, ""));
    let is_set = |pair: &str| set.iter().any(|(name, _)| pair.split('=').next() == Some(*name));
    let kept = query.split('&').filter(|pair| !pair.is_empty() && !is_set(pair));
    let set =
        set.iter().map(|(name, value)| format!("{name}={}", utf8_percent_encode(value, RESERVED)));
    let pairs: Vec<String> = kept.map(str::to_owned).chain(set).collect();
    format!("{path}?{}", pairs.join("&"))
}

/// All but the unreserved characters of RFC 3986.
const RESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

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

    #[test]
    fn a_parameter_replaces_that_of_its_name() {
        let set = [("status", "in_progress".to_owned()), ("msg", "a b&c".to_owned())];
        for (url, expected) in [
            ("https://h/t", "https://h/t?status=in_progress&msg=a%20b%26c"),
            ("https://h/t?", "https://h/t?status=in_progress&msg=a%20b%26c"),
            (
                "https://h/t?status=up&msg=OK&ping=&k=v#x",
                "https://h/t?ping=&k=v&status=in_progress&msg=a%20b%26c",
            ),
            (
                "https://h/t?statuses=1&status",
                "https://h/t?statuses=1&status=in_progress&msg=a%20b%26c",
            ),
        ] {
            assert_eq!(with_query(url, &set), expected, "{url}");
        }
        assert_eq!(with_query("https://h/t?a=b#c", &[]), "https://h/t?a=b");
    }
}
