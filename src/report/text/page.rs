//! A page of text as it grows.

use crate::language::Language;
use crate::outcome::{Issue, Severity};
use crate::printable::escaped;
use crate::units::text_width;
use anstyle::{AnsiColor, Style};
use std::fmt::Write;

/// What a part of a page means, by which a terminal colours it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tone {
    Plain,
    Heading,
    Good,
    Warning,
    Bad,
    /// What is there to be looked up.
    Dim,
}

impl Tone {
    pub fn of(self, text: impl Into<String>) -> Piece {
        Piece { tone: self, text: text.into() }
    }

    fn style(self) -> Style {
        let colour = |colour: AnsiColor| colour.on_default();
        match self {
            Tone::Plain => Style::new(),
            Tone::Heading => Style::new().bold(),
            Tone::Good => colour(AnsiColor::Green),
            Tone::Warning => colour(AnsiColor::Yellow),
            Tone::Bad => colour(AnsiColor::Red).bold(),
            Tone::Dim => Style::new().dimmed(),
        }
    }
}

impl From<Severity> for Tone {
    fn from(severity: Severity) -> Self {
        match severity {
            Severity::Info => Tone::Plain,
            Severity::Warning => Tone::Warning,
            Severity::Error | Severity::Critical => Tone::Bad,
        }
    }
}

/// A part of a line, in one tone.
#[derive(Debug, Clone)]
pub struct Piece {
    pub tone: Tone,
    pub text: String,
}

impl Piece {
    fn width(&self) -> usize {
        text_width(&self.text)
    }

    /// Safe to print, whatever it quotes.
    fn shown(&self) -> String {
        let style = self.tone.style();
        format!("{style}{}{style:#}", escaped(&self.text))
    }
}

impl<T: Into<String>> From<T> for Piece {
    fn from(text: T) -> Self {
        Tone::Plain.of(text)
    }
}

/// Begins a line that is copied as it is: it is never folded. From what others wrote, [`escaped`] takes it away.
pub const WHOLE: char = '\u{2060}';

/// Lines of a page, styled as for a terminal. Writing to a `String` cannot fail.
pub struct Page {
    pub text: String,
    pub language: Language,
}

impl Page {
    pub fn new(language: Language) -> Self {
        Self { text: String::new(), language }
    }

    /// One line, whatever it quotes.
    pub fn line(&mut self, line: impl AsRef<str>) {
        self.pieces([line.as_ref().trim_end().into()]);
    }

    /// One line of several tones.
    pub fn pieces<const N: usize>(&mut self, pieces: [Piece; N]) {
        self.text.extend(pieces.iter().map(Piece::shown));
        self.text.push('\n');
    }

    /// A label in the page's language, and its value.
    pub fn entry(&mut self, zh: &str, en: &str, value: impl Into<Piece>) {
        let label = self.language.pick(zh, en);
        let padding = 14usize.saturating_sub(text_width(label));
        let _ = writeln!(self.text, "  {label}{:padding$}  {}", "", value.into().shown());
    }

    pub fn heading(&mut self, zh: &str, en: &str) {
        self.text.push('\n');
        self.pieces([Tone::Heading.of(self.language.pick(zh, en))]);
    }

    /// Columns, each as wide as its widest cell, below the headings in the page's language.
    pub fn table<const N: usize>(
        &mut self,
        zh: [&str; N],
        en: [&str; N],
        rows: impl Iterator<Item = [impl Into<Piece>; N]>,
    ) {
        let header = self.language.pick(zh, en).map(|heading| Tone::Dim.of(heading));
        let rows = rows.map(|row| row.map(Into::into));
        let rows: Vec<[Piece; N]> = [header].into_iter().chain(rows).collect();
        let mut widths = [0; N];
        for (column, widest) in widths.iter_mut().enumerate() {
            *widest = rows.iter().map(|row| row[column].width()).max().unwrap_or(0);
        }
        for row in rows {
            let cells = row.iter().zip(widths).map(|(cell, widest)| {
                format!("{}{:padding$}", cell.shown(), "", padding = widest - cell.width())
            });
            let line = cells.collect::<Vec<_>>().join("  ");
            self.text.push_str(line.trim_end());
            self.text.push('\n');
        }
    }

    pub fn issues(&mut self, issues: &[Issue]) {
        if issues.is_empty() {
            return;
        }
        self.heading("未完成的事项", "Could not be done");
        for issue in issues {
            self.warning(&issue.message);
        }
    }

    /// A line to be copied as it is.
    pub fn command(&mut self, line: &str) {
        self.text.push(WHOLE);
        self.line(line);
    }

    /// An indented line that somebody should read.
    pub fn warning(&mut self, message: &str) {
        self.marked(Tone::Warning, message);
    }

    /// The same, as loud as the tone.
    pub fn marked(&mut self, tone: Tone, message: &str) {
        self.pieces([tone.of("  ! "), message.into()]);
    }
}
