//! A page of text as it grows.

use crate::language::Language;
use crate::outcome::Issue;
use crate::printable::escaped;
use crate::units::text_width;
use std::fmt::Write;

/// Lines of a page. Writing to a `String` cannot fail.
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
        self.text.push_str(&escaped(line.as_ref().trim_end()));
        self.text.push('\n');
    }

    /// A label in the page's language, and its value.
    pub fn entry(&mut self, zh: &str, en: &str, value: impl AsRef<str>) {
        let label = self.language.pick(zh, en);
        let padding = 14usize.saturating_sub(text_width(label));
        let _ = writeln!(self.text, "  {label}{:padding$}  {}", "", escaped(value.as_ref()));
    }

    pub fn heading(&mut self, zh: &str, en: &str) {
        let heading = self.language.pick(zh, en);
        let _ = writeln!(self.text, "\n{heading}");
    }

    /// Columns, each as wide as its widest cell, below the headings in the page's language.
    pub fn table<const N: usize>(
        &mut self,
        zh: [&str; N],
        en: [&str; N],
        rows: impl Iterator<Item = [String; N]>,
    ) {
        let header = self.language.pick(zh, en).map(str::to_owned);
        let rows = rows.map(|row| row.map(|cell| escaped(&cell)));
        let rows: Vec<[String; N]> = [header].into_iter().chain(rows).collect();
        let mut widths = [0; N];
        for (column, widest) in widths.iter_mut().enumerate() {
            *widest = rows.iter().map(|row| text_width(&row[column])).max().unwrap_or(0);
        }
        for row in rows {
            let cells = row.iter().zip(widths).map(|(cell, widest)| {
                let padding = widest - text_width(cell);
                format!("{cell}{:padding$}", "")
            });
            self.line(cells.collect::<Vec<_>>().join("  "));
        }
    }

    pub fn issues(&mut self, issues: &[Issue]) {
        if issues.is_empty() {
            return;
        }
        self.heading("未完成的事项", "Could not be done");
        for issue in issues {
            self.line(format!("  ! {}", issue.message));
        }
    }
}
