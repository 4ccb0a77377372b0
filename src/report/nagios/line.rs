//! The line as it grows: text, and figures with their bounds.

use super::state::State;
use crate::alert::Alert;
use crate::printable::is_unprintable;
use crate::units::Thresholds;
use std::fmt::{Display, Write};

/// The most characters of the text. Nagios cuts a plugin's output at 4 KiB, which must not cost the figures.
const LONGEST_TEXT: usize = 600;

#[derive(Default)]
pub struct Line {
    text: Vec<String>,
    /// Those of the figures so far.
    labels: Vec<String>,
    figures: String,
}

impl Line {
    pub fn add_texts(&mut self, texts: impl IntoIterator<Item = String>) {
        self.text.extend(texts);
    }

    pub fn add_count(&mut self, label: &str, count: impl Display) {
        self.add_figure(label, count, "", &[&"", &"", &0]);
    }

    pub fn add_percent(&mut self, label: &str, percent: f64, thresholds: Option<Thresholds>) {
        match thresholds {
            Some(Thresholds { warning, critical }) => {
                self.add_figure(label, percent, "%", &[&warning, &critical, &0, &100])
            }
            None => self.add_figure(label, percent, "%", &[&"", &"", &0, &100]),
        }
    }

    /// One figure with its warning, critical, least and largest value. The first of two with one label counts: a path that was asked for twice.
    pub fn add_figure(
        &mut self,
        label: &str,
        value: impl Display,
        unit: &str,
        bounds: &[&dyn Display],
    ) {
        let label = quoted(label);
        if self.labels.contains(&label) {
            return;
        }
        // Writing to a `String` cannot fail.
        let _ = write!(self.figures, " {label}={value}{unit}");
        for bound in bounds {
            let _ = write!(self.figures, ";{bound}");
        }
        self.labels.push(label);
    }

    pub fn finish(self, service: &str, state: State) -> (String, State) {
        let text = plain(&self.text.join("; "));
        let figures = match self.figures.trim_start() {
            "" => String::new(),
            figures => format!("|{figures}"),
        };
        (format!("{service} {} - {text}{figures}\n", state.name()), state)
    }
}

pub fn messages(alerts: &[Alert]) -> impl Iterator<Item = String> {
    alerts.iter().map(|alert| alert.message.clone())
}

/// A text on one line, without the bar that separates the figures from it.
fn plain(text: &str) -> String {
    let shown = |c: char| match c {
        '|' => '¦',
        c if is_unprintable(c) => ' ',
        c => c,
    };
    let mut line: String = text.chars().take(LONGEST_TEXT).map(shown).collect();
    if text.chars().nth(LONGEST_TEXT).is_some() {
        line.push('…');
    }
    line
}

/// A label in quotes, a quote in it doubled. An equals sign ends a label for every reader, and a bar the text; neither has an escape.
fn quoted(label: &str) -> String {
    let shown = |c: char| match c {
        '=' | '|' => '_',
        c if is_unprintable(c) => '_',
        c => c,
    };
    let label: String = label.chars().map(shown).collect();
    format!("'{}'", label.replace('\'', "''"))
}
