//! What a command prints, and the exit code that goes with it.

use super::Session;
use crate::cli::Format;
use crate::outcome::Outcome;
use crate::report::{json, nagios};
use anyhow::Result;
use serde::Serialize;
use std::io::{self, ErrorKind, Write};

/// What a command prints, and how the run ended.
pub(super) struct Done {
    pub printed: Printed,
    pub outcome: Outcome,
}

/// A result as it is printed.
#[derive(Default)]
pub(super) struct Printed {
    pub text: String,
    /// With `--output nagios`: its exit code replaces the outcome's, for the caller alone. A run that finds a full disk has done its work.
    pub state: Option<nagios::State>,
}

impl Printed {
    pub fn plugin((text, state): (String, nagios::State)) -> Self {
        Self { text, state: Some(state) }
    }
}

impl From<String> for Printed {
    fn from(text: String) -> Self {
        Self { text, state: None }
    }
}

impl Done {
    pub fn new(printed: impl Into<Printed>, outcome: Outcome) -> Self {
        Self { printed: printed.into(), outcome }
    }

    pub fn exit_code(&self) -> u8 {
        self.printed.state.map_or(self.outcome.exit_code(), nagios::State::exit_code)
    }
}

impl Session {
    /// A result as JSON, or as a page for people.
    pub(super) fn show(
        &self,
        document: &impl Serialize,
        page: impl FnOnce() -> String,
    ) -> Result<String> {
        self.show_as(self.layout(), document, page)
    }

    pub(super) fn show_as(
        &self,
        layout: json::Layout,
        document: &impl Serialize,
        page: impl FnOnce() -> String,
    ) -> Result<String> {
        match self.common.output {
            Format::Text => Ok(self.screen.fit(&page())),
            _ if self.screen.has_colours => json::coloured(document, layout),
            _ => json::render(document, layout),
        }
    }

    /// The end of a command whose result is JSON, or a page for people.
    pub(super) fn done(
        &self,
        document: &impl Serialize,
        outcome: Outcome,
        page: impl FnOnce() -> String,
    ) -> Result<Done> {
        Ok(Done::new(self.show(document, page)?, outcome))
    }

    pub(super) fn layout(&self) -> json::Layout {
        let is_pretty = self.common.pretty || (!self.common.compact && self.screen.is_terminal);
        if is_pretty { json::Layout::Pretty } else { json::Layout::Compact }
    }
}

/// Writes a result to standard output. A reader that closed the pipe has seen what it wanted.
pub(super) fn print(text: &str) -> io::Result<()> {
    match write_out(text) {
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
        written => written,
    }
}

/// The same, where whoever writes wants to know of a closed pipe.
pub(super) fn write_out(printed: &str) -> io::Result<()> {
    let mut stdout = io::stdout().lock();
    stdout.write_all(printed.as_bytes())?;
    stdout.flush()
}
