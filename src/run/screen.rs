//! Where a result is printed: how wide it is, and whether it shows colours.

use crate::cli::{Color, Common};
use crate::report::text::WHOLE;
use crate::units::text_width;
use anstream::{AutoStream, ColorChoice};
use rustix::termios::tcgetwinsize;
use std::io::{self, IsTerminal};
use textwrap::{Options, WordSplitter};

/// Standard output.
pub(super) struct Screen {
    /// How wide a page may be; in a pipe or a file, as wide as most terminals are.
    pub columns: usize,
    pub is_terminal: bool,
    pub has_colours: bool,
}

impl Screen {
    pub fn new(common: &Common) -> Self {
        let stdout = io::stdout();
        let has_colours = match common.color {
            Color::Always => true,
            Color::Never => false,
            // As $NO_COLOR, $CLICOLOR, $CLICOLOR_FORCE and $TERM have it.
            Color::Auto => AutoStream::choice(&stdout) != ColorChoice::Never,
        };
        let size = tcgetwinsize(&stdout).ok().filter(|size| size.ws_col > 0);
        Self {
            columns: size.map_or(100, |size| size.ws_col.into()),
            is_terminal: stdout.is_terminal(),
            has_colours,
        }
    }

    /// A page as it fits here: in a terminal, lines that are too long go on below.
    pub fn fit(&self, page: &str) -> String {
        let lines = page.lines().map(|line| match line.strip_prefix(WHOLE) {
            Some(line) => format!("{line}\n"),
            None if self.is_terminal => fold(line, self.columns) + "\n",
            None => format!("{line}\n"),
        });
        self.colour(&lines.collect::<String>())
    }

    /// A text with its colours, or without.
    pub fn colour(&self, text: &str) -> String {
        if self.has_colours { text.to_owned() } else { plain(text) }
    }
}

fn plain(text: &str) -> String {
    anstream::adapter::strip_str(text).to_string()
}

fn fold(line: &str, columns: usize) -> String {
    let shown = plain(line);
    if text_width(&shown) <= columns {
        return line.to_owned();
    }
    let indent = " ".repeat(hang(&shown).min(columns / 2));
    let options = Options::new(columns).subsequent_indent(&indent);
    textwrap::fill(line, options.word_splitter(WordSplitter::NoHyphenation))
}

/// How far in a line goes on: below its value, where a label is before it.
fn hang(line: &str) -> usize {
    let (indent, text) = line.split_at(line.len() - line.trim_start().len());
    match text.split_once("  ") {
        Some((label, value)) => {
            let gap = 2 + value.len() - value.trim_start().len();
            indent.len() + text_width(label) + gap
        }
        None => indent.len() + 2,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_line_goes_on_below_its_beginning_or_its_value() {
        assert_eq!(fold("  one two three", 20), "  one two three");
        assert_eq!(fold("  one two three four", 12), "  one two\n    three\n    four");
        assert_eq!(fold("  took  1.5 s on average", 17), "  took  1.5 s on\n        average");
        // Letters that take two columns, and no blanks between them.
        assert_eq!(fold("  待处理的任务很多", 12), "  待处理的\n    任务很多");
        let coloured = "  \u{1b}[32mone two\u{1b}[0m three four";
        assert_eq!(fold(coloured, 14), "  \u{1b}[32mone two\u{1b}[0m\n    three four");
    }
}
