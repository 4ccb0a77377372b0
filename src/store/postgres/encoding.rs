//! The encoding of a database. The server translates between it and UTF-8, in which taskmon speaks.

use crate::mapping::States;
use crate::outcome::Failure;
use postgres::SimpleQueryMessage;

#[derive(Debug, Clone, PartialEq)]
pub struct Encoding {
    /// As the server calls it: `UTF8`, `LATIN1`, `SQL_ASCII` …
    name: String,
}

/// Has the server read a statement; what it answers, or its error.
type Ask<'a> =
    dyn FnMut(&str) -> Result<Result<Vec<SimpleQueryMessage>, postgres::Error>, Failure> + 'a;

impl Encoding {
    pub fn of(name: &str) -> Self {
        Self { name: name.to_owned() }
    }

    /// Whether its texts may be no UTF-8 when they arrive.
    pub fn is_unchecked(&self) -> bool {
        self.name == "SQL_ASCII"
    }

    /// What follows BEGIN. A server that does not know what its bytes mean would refuse to hand over those that are no UTF-8.
    pub fn setting(&self) -> &'static str {
        if self.is_unchecked() { "; SET LOCAL client_encoding = 'SQL_ASCII'" } else { "" }
    }

    /// Removes the texts that the database cannot hold, so that no row has them: a statement that has one fails.
    ///
    /// # Errors
    /// The database went away.
    pub fn retain(&self, texts: &mut Vec<String>, ask: &mut Ask) -> Result<(), Failure> {
        if self.name == "UTF8" || self.is_unchecked() {
            return Ok(());
        }
        let mut held = Vec::with_capacity(texts.len());
        for text in texts.drain(..) {
            let is_held = text.is_ascii() || {
                let answer = ask(&format!("SELECT {}", super::quote::literal(&text)))?;
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

/// How texts are read that are only shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shown {
    AsStored,
    /// What is beyond ASCII is replaced: a character that is stored has none in UTF-8, and which one does nobody say.
    Ascii,
}

impl Shown {
    /// A text to be shown, as an expression.
    pub fn text(self, expression: &str) -> String {
        match self {
            Shown::AsStored => format!("({expression})::text"),
            Shown::Ascii => {
                format!(r"regexp_replace(({expression})::text, '[^\x01-\x7f]', '?', 'g')")
            }
        }
    }
}

/// Whether the server cannot translate a text, be it one of a statement or one that is stored.
pub fn is_untranslatable(error: &postgres::Error) -> bool {
    error.code().is_some_and(|code| ["22P05", "22021"].contains(&code.code()))
}
