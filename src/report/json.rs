//! A result as one JSON document.

use anyhow::{Context, Result};
use colored_json::{ColoredFormatter, CompactFormatter, PrettyFormatter, Style, Styler};
use serde::Serialize;
use serde_json::Serializer;

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
    Ok(text.context(UNWRITABLE)? + "\n")
}

const UNWRITABLE: &str = "the result cannot be written as JSON";

/// The document in the colours that jq has for it.
pub fn coloured(value: &impl Serialize, layout: Layout) -> Result<String> {
    let mut text = Vec::new();
    match layout {
        Layout::Pretty => {
            let formatter = ColoredFormatter::with_styler(PrettyFormatter::new(), jq_colours());
            value.serialize(&mut Serializer::with_formatter(&mut text, formatter))
        }
        Layout::Compact => {
            let formatter = ColoredFormatter::with_styler(CompactFormatter, jq_colours());
            value.serialize(&mut Serializer::with_formatter(&mut text, formatter))
        }
    }
    .context(UNWRITABLE)?;
    text.push(b'\n');
    String::from_utf8(text).context(UNWRITABLE)
}

fn jq_colours() -> Styler {
    let (plain, bold) = (Style::new(), Style::new().bold());
    Styler {
        key: bold.blue(),
        string_value: plain.green(),
        nil_value: plain.bright_black(),
        array_brackets: bold,
        object_brackets: bold,
        ..Styler::default()
    }
}
