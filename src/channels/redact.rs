//! Takes secrets out of what others say, because a server may send back what it was sent.

use super::text::{cut, html, plain};
use crate::secret::Secret;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use percent_encoding::{NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};
use std::collections::HashSet;

const MASK: &str = "***";

/// How many characters in a row of a secret are recognised in a text.
const SHORTEST: usize = 6;

/// How much of a text is looked at, in bytes. More is never shown.
const LOOKED_AT: usize = 4096;

/// How much of a text is shown, in characters.
const SHOWN: usize = 200;

/// Knows the secrets of one channel, in every form in which a server might repeat them.
#[derive(Default)]
pub struct Redactor {
    /// Without regard to case. All of one length, so that they can be looked up.
    pieces: HashSet<Vec<u8>>,
    /// Secrets shorter than a piece.
    short: HashSet<Vec<u8>>,
}

impl Redactor {
    pub fn add(&mut self, secret: &str) {
        let decoded = percent_decode_str(secret).decode_utf8_lossy().into_owned();
        for text in [secret, &decoded] {
            self.add_form(text);
            self.add_form(&utf8_percent_encode(text, NON_ALPHANUMERIC).to_string());
            self.add_form(&html(text));
            self.add_form(serde_json::to_string(text).unwrap_or_default().trim_matches('"'));
            self.add_form(STANDARD.encode(text).trim_end_matches('='));
        }
    }

    /// The secrets of a URL: its user and password, its path's parts, its query's values.
    ///
    /// Not the words that are in everybody's URL, such as `robot` or `send`: hiding those would only spoil the error's text.
    pub fn add_url(&mut self, url: &Secret) {
        let rest = url.expose().split_once("://").map_or("", |(_, rest)| rest);
        let place = rest.find(['/', '?', '#']).unwrap_or(rest.len());
        let (authority, path) = rest.split_at(place);
        if let Some((login, _)) = authority.rsplit_once('@') {
            self.add(login);
            login.split(':').for_each(|part| self.add(part));
        }
        for part in path.split(['/', '?', '#', '&']) {
            let value = part.split_once('=').map_or(part, |(_, value)| value);
            let is_word = value.len() < 8 && value.chars().all(|c| c.is_ascii_lowercase());
            if !is_word {
                self.add(value);
            }
        }
    }

    fn add_form(&mut self, form: &str) {
        let form = form.to_ascii_lowercase().into_bytes();
        if form.len() < SHORTEST {
            if !form.is_empty() {
                self.short.insert(form);
            }
            return;
        }
        self.pieces.extend(form.windows(SHORTEST).map(<[u8]>::to_vec));
    }

    /// The start of a text, on one line and in quotes, without anything of a secret.
    pub fn quote(&self, text: &str) -> String {
        let line = self.on_one_line(cut(text, LOOKED_AT));
        match line.char_indices().nth(SHOWN) {
            Some((end, _)) => format!("\"{}…\"", &line[..end]),
            None => format!("\"{line}\""),
        }
    }

    /// The same of the end of a text, which has to be short.
    pub fn quote_end(&self, text: &str) -> String {
        let line = self.on_one_line(text);
        match line.char_indices().rev().nth(SHOWN - 1) {
            Some((start, _)) if start > 0 => format!("\"…{}\"", &line[start..]),
            _ => format!("\"{line}\""),
        }
    }

    fn on_one_line(&self, text: &str) -> String {
        let line = plain(&self.redact(text));
        let words: Vec<&str> = line.split_whitespace().collect();
        words.join(" ")
    }

    /// The text with every part of a secret masked.
    pub fn redact(&self, text: &str) -> String {
        let folded = text.to_ascii_lowercase().into_bytes();
        let mut hidden = vec![false; folded.len()];
        for known in std::iter::once(&self.pieces).chain([&self.short]) {
            let lengths: HashSet<usize> = known.iter().map(Vec::len).collect();
            for length in lengths {
                for (at, window) in folded.windows(length).enumerate() {
                    if known.contains(window) {
                        hidden[at..at + length].fill(true);
                    }
                }
            }
        }
        masked(text, &hidden)
    }
}

/// The text with each run of hidden bytes replaced. A character of which one byte is hidden is hidden.
fn masked(text: &str, hidden: &[bool]) -> String {
    let mut out = String::with_capacity(text.len());
    let mut in_secret = false;
    for (at, c) in text.char_indices() {
        let is_secret = hidden[at..at + c.len_utf8()].contains(&true);
        match (is_secret, in_secret) {
            (true, false) => out.push_str(MASK),
            (true, true) => {}
            (false, _) => out.push(c),
        }
        in_secret = is_secret;
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn of(secret: &str) -> Redactor {
        let mut redactor = Redactor::default();
        redactor.add(secret);
        redactor
    }

    #[test]
    fn a_secret_is_masked_in_every_form() {
        let secret = "s3cret:p@ss/\"w<rd";
        for text in [
            "no s3cret:p@ss/\"w<rd here",
            "S3CRET:P@SS/\"W<RD",
            "s3cret%3Ap%40ss%2F%22w%3Crd",
            "s3cret:p@ss/&quot;w&lt;rd",
            r#"s3cret:p@ss/\"w<rd"#,
            &STANDARD.encode(secret),
        ] {
            let shown = of(secret).redact(text);
            assert!(shown.contains(MASK), "{text}: {shown}");
            for part in ["s3cret", "p@ss", "czNjcmV0", "%40ss", "w<rd"] {
                assert!(!shown.to_lowercase().contains(&part.to_lowercase()), "{text}: {shown}");
            }
        }
        assert_eq!(of(secret).redact("a plain text"), "a plain text");
    }

    #[test]
    fn a_url_hides_its_tokens_and_leaves_its_words() {
        let mut redactor = Redactor::default();
        redactor.add_url(&Secret::new(
            "https://user:hunter2@oapi.example:8443/robot/send?access_token=0a1b2c3d4e5f&v=T1#frag9",
        ));
        let shown = redactor.redact(
            "robot/send: access_token 0a1b2c3d4e5f of user:hunter2 is wrong (2c3d4e) T1 frag9",
        );
        assert_eq!(shown, "robot/send: access_token *** of *** is wrong (***) *** ***");
    }

    #[test]
    fn a_quote_is_one_short_line() {
        let text = format!("<html>\n\tno\u{1b}[31m  token12345 {}", "é".repeat(10_000));
        let quote = of("token12345").quote(&text);
        assert!(quote.starts_with("\"<html> no\u{fffd}[31m *** é"), "{quote}");
        assert!(quote.chars().count() <= SHOWN + 3, "{quote}");
        assert!(quote.ends_with("é…\""), "{quote}");
    }

    proptest! {
        #[test]
        fn no_six_characters_of_a_secret_are_left(
            secret in "[A-Za-z0-9_-]{8,40}", before in ".{0,20}", from in 0usize..8, after in ".{0,20}"
        ) {
            let text = format!("{before}{}{after}", &secret[from.min(secret.len() - SHORTEST)..]);
            let shown = of(&secret).redact(&text);
            let folded = secret.to_ascii_lowercase();
            for window in folded.as_bytes().windows(SHORTEST) {
                let piece = std::str::from_utf8(window).unwrap();
                prop_assert!(!shown.to_ascii_lowercase().contains(piece), "{} in {}", piece, shown);
            }
        }
    }
}
