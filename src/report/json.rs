//! A result as one JSON document.

use anyhow::{Context, Result};
use serde::Serialize;

/// How JSON is laid out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Layout {
    /// Over several lines, for people.
    Pretty,
    /// On one line, for programs.
    Compact,
}

/// The document, with a line feed at its end.
pub fn render(value: &impl Serialize, layout: Layout) -> Result<String> {
    let text = match layout {
        Layout::Pretty => serde_json::to_string_pretty(value),
        Layout::Compact => serde_json::to_string(value),
    };
    Ok(text.context("the result cannot be written as JSON")? + "\n")
}
