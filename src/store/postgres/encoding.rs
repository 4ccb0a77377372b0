//! The encoding of a database. The server translates between it and UTF-8, in which taskmon speaks.

use super::quote::literal;
use super::settings::Settings;
use super::text::cut;
use crate::mapping::States;
use crate::outcome::Failure;
use crate::store::LONGEST_LABEL;
use postgres::SimpleQueryMessage;
use std::fmt;

#[derive(Debug, Clone, PartialEq)]
pub struct Encoding {
    /// As the server calls it: `UTF8`, `LATIN1`, `SQL_ASCII` …
    name: String,
    /// Characters that it has and UTF-8 has not, in hexadecimal, as far as they were found.
    unmapped: String,
}

/// What UTF-8 is, byte by byte: a database of the encoding SQL_ASCII takes each for a letter.
const UTF8: &str = r"^([\x01-\x7f]|[\xc2-\xdf][\x80-\xbf]|\xe0[\xa0-\xbf][\x80-\xbf]|[\xe1-\xec\xee\xef][\x80-\xbf]{2}|\xed[\x80-\x9f][\x80-\xbf]|\xf0[\x90-\xbf][\x80-\xbf]{2}|[\xf1-\xf3][\x80-\xbf]{3}|\xf4[\x80-\x8f][\x80-\xbf]{2})*$";

/// Has the server read a statement; what it answers, or its error.
type Ask<'a> =
    dyn FnMut(&str) -> Result<Result<Vec<SimpleQueryMessage>, postgres::Error>, Failure> + 'a;

impl Encoding {
    pub fn of(name: &str) -> Self {
        Self { name: name.to_owned(), unmapped: String::new() }
    }

    /// With characters that UTF-8 has not.
    pub fn with_unmapped(self, unmapped: &[String]) -> Self {
        Self { unmapped: unmapped.concat(), ..self }
    }

    /// Whether the server translates its texts to UTF-8, and may fail to.
    pub fn is_translated(&self) -> bool {
        self.name != "UTF8" && !self.is_unchecked()
    }

    /// The text whose bytes an expression has in hexadecimal.
    pub fn decoded(&self, hexadecimal: &str) -> String {
        format!("convert_from(decode({hexadecimal}, 'hex'), {})", literal(&self.name))
    }

    /// "The text has no form in UTF-8."; `None`: every one has.
    pub fn is_no_text(&self, expression: &str) -> Option<String> {
        if self.is_unchecked() {
            return Some(format!("({expression})::text !~ '{UTF8}'"));
        }
        let unmapped = || self.decoded(&literal(&self.unmapped));
        let has_one = || format!("({expression})::text ~ ('[' || {} || ']')", unmapped());
        (!self.unmapped.is_empty()).then(has_one)
    }

    /// A text that identifies something: in UTF-8 or, where it has no form there, as bytes that are no UTF-8.
    pub fn exact(&self, expression: &str) -> String {
        let text = format!("({expression})::text");
        match self.is_no_text(expression) {
            Some(is_no_text) if !self.is_unchecked() => format!(
                "(CASE WHEN {is_no_text} THEN convert_to({text}, 'SQL_ASCII') || '\\xff' ELSE convert_to({text}, 'UTF8') END)"
            ),
            _ => text,
        }
    }

    /// A text that is shown, or compared with what has a form in UTF-8; cut where it is long.
    pub fn shown(&self, expression: &str) -> String {
        let [stored, in_ascii] =
            [Shown::AsStored, Shown::Ascii].map(|shown| shown.text(expression, LONGEST_LABEL));
        match self.is_no_text(expression) {
            Some(is_no_text) if !self.is_unchecked() => {
                format!("(CASE WHEN {is_no_text} THEN {in_ascii} ELSE {stored} END)")
            }
            _ => stored,
        }
    }

    /// Whether its texts may be no UTF-8 when they arrive.
    pub fn is_unchecked(&self) -> bool {
        self.name == "SQL_ASCII"
    }

    /// With what texts are to be read in. A server that does not know what its bytes mean would refuse to hand over those that are no UTF-8.
    pub fn among(&self, settings: Settings) -> Settings {
        if self.is_unchecked() { settings.with("client_encoding", "SQL_ASCII") } else { settings }
    }

    /// Removes the texts that the database cannot hold, so that no row has them: a statement that has one fails.
    ///
    /// # Errors
    /// The database went away.
    pub fn retain(&self, texts: &mut Vec<String>, ask: &mut Ask) -> Result<(), Failure> {
        if !self.is_translated() {
            return Ok(());
        }
        let mut held = Vec::with_capacity(texts.len());
        for text in texts.drain(..) {
            let is_held = text.is_ascii() || {
                let answer = ask(&format!("SELECT {}", literal(&text)))?;
                !answer.is_err_and(|error| is_untranslatable(&error))
            };
            if is_held {
                held.push(text);
            } else {
                log::info!("no row can hold {text:?}: the database's encoding is {}", self.name);
            }
        }
        *texts = held;
        Ok(())
    }

    /// The same of the labels of states.
    ///
    /// # Errors
    /// The database went away.
    pub fn retain_labels(&self, states: &mut States, ask: &mut Ask) -> Result<(), Failure> {
        let States { pending, processing, completed, failed, cancelled } = states;
        for labels in [pending, processing, completed, failed, cancelled] {
            self.retain(labels, ask)?;
        }
        Ok(())
    }
}

impl fmt::Display for Encoding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)
    }
}

/// How texts are read that are only shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shown {
    AsStored,
    /// What is beyond ASCII is replaced: a character that is stored has none in UTF-8, and which one does nobody say.
    Ascii,
}

impl Shown {
    /// A text to be shown, as an expression, cut after so many characters.
    pub fn text(self, expression: &str, most: usize) -> String {
        match self {
            Shown::AsStored => cut(expression, most),
            Shown::Ascii => {
                let text = cut(expression, most);
                format!(r"regexp_replace({text}, '[^\x01-\x7f]', '?', 'g')")
            }
        }
    }
}

/// Whether the server cannot translate a text, be it one of a statement or one that is stored.
pub fn is_untranslatable(error: &postgres::Error) -> bool {
    error.code().is_some_and(|code| ["22P05", "22021"].contains(&code.code()))
}
