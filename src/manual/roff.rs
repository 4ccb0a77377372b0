//! A page's text as `man` reads it.

use super::markdown::{Block, Style, blocks, spans};
use super::terminal::{self, WIDTH};
use super::{Page, pages};
use crate::language::Language;
use std::fmt::Write;

/// A page of section 7, which is about no program of its own.
pub fn render(page: &Page, language: Language, version: &str) -> String {
    let title = title(&format!("taskmon-{}", page.name), 7, version, page.summary, language);
    title + &sections(page, language, &[]) + &see_also("taskmon(1)", language)
}

/// The beginning of a page, with its name.
pub fn title(name: &str, section: u8, version: &str, summary: &str, language: Language) -> String {
    let (name, heading) = (escaped(name), language.pick("名称", "NAME"));
    format!(
        ".TH {name} {section} \"\" \"{version}\"\n.ad l\n.nh\n.SH {heading}\n{name} \\- {}\n",
        text(summary)
    )
}

/// The page's text without the sections that have one of these headings. A text before the first heading is a section of its own.
pub fn sections(page: &Page, language: Language, without: &[&str]) -> String {
    let all: Vec<Page> = pages(language).collect();
    let mut roff = format!(".SH {}\n", language.pick("说明", "DESCRIPTION"));
    let mut is_left_out = false;
    for block in blocks(page.body, &all) {
        if let Block::Heading { level: 2, text } = &block {
            is_left_out = without.contains(&text.as_str());
        }
        if !is_left_out {
            add(&mut roff, &block, language);
        }
    }
    roff
}

pub fn see_also(others: &str, language: Language) -> String {
    format!(".SH \"{}\"\n{}\n", language.pick("另见", "SEE ALSO"), text(others))
}

fn add(roff: &mut String, block: &Block, language: Language) {
    let _ = match block {
        Block::Heading { level, text: heading } => {
            let macro_name = if *level == 2 { "SH" } else { "SS" };
            writeln!(roff, ".{macro_name} \"{}\"", text(&heading.to_uppercase()))
        }
        Block::Paragraph(paragraph) => writeln!(roff, ".PP\n{}", filled(paragraph, language)),
        Block::Item(item) => writeln!(roff, ".IP \\(bu 2\n{}", filled(item, language)),
        Block::Table(rows) => {
            let lines = terminal::table(rows, WIDTH - 8).into_iter();
            let lines = lines.map(|line| line.into_iter().map(|(_, letter)| letter).collect());
            writeln!(roff, "{}", verbatim(lines))
        }
        Block::Code(lines) => writeln!(roff, "{}", verbatim(lines.iter().cloned())),
    };
}

fn verbatim(lines: impl Iterator<Item = String>) -> String {
    let lines: Vec<String> = lines.map(|line| plain(line.trim_end())).collect();
    format!(".PP\n.nf\n{}\n.fi", lines.join("\n"))
}

/// A paragraph. Of Chinese, which `man` breaks between words alone, the lines are made here.
fn filled(paragraph: &str, language: Language) -> String {
    if language == Language::En {
        return text(paragraph);
    }
    let lines = terminal::wrap(paragraph, WIDTH - 12).into_iter().map(|line| {
        let runs = line.chunk_by(|(one, _), (other, _)| one == other);
        let runs = runs.map(|run| {
            let letters: String = run.iter().map(|(_, letter)| letter).collect();
            styled(run[0].0, &letters)
        });
        no_request(runs.collect())
    });
    lines.collect::<Vec<_>>().join("\n.br\n")
}

/// A text with its styles.
pub fn text(text: &str) -> String {
    no_request(spans(text).into_iter().map(|(style, part)| styled(style, part)).collect())
}

fn styled(style: Style, part: &str) -> String {
    match style {
        Style::Plain => escaped(part),
        Style::Bold | Style::Code => bold(part),
    }
}

pub fn bold(part: &str) -> String {
    format!("\\fB{}\\fR", escaped(part))
}

/// A text that has no styles.
pub fn plain(text: &str) -> String {
    no_request(escaped(text))
}

/// The letters as they are: no escape, hyphens that can be copied, and nothing that `man` warns of in the locale C.
fn escaped(text: &str) -> String {
    let text = text.replace('\\', "\\e").replace(['-', '─'], "\\-").replace('\'', "\\(aq");
    text.replace('…', "...")
}

/// A line that begins with a full stop would be a request to the formatter.
fn no_request(line: String) -> String {
    if line.starts_with('.') { format!("\\&{line}") } else { line }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAGE: Page = Page {
        name: "it",
        summary: "a page",
        body: "\nIt's **so**.\n\n## Options\n\ngone\n\n## More\n\n- `a\\b`\n\n```sh\n.dot --flag\n```\n\n| k | v |\n|---|---|\n| a | b |\n",
    };

    #[test]
    fn a_page_becomes_a_page_of_section_7() {
        assert_eq!(
            render(&PAGE, Language::En, "taskmon 1.2"),
            ".TH taskmon\\-it 7 \"\" \"taskmon 1.2\"\n.ad l\n.nh\n.SH NAME\ntaskmon\\-it \\- a page\n.SH DESCRIPTION\n.PP\nIt\\(aqs \\fBso\\fR.\n.SH \"OPTIONS\"\n.PP\ngone\n\
             .SH \"MORE\"\n.IP \\(bu 2\n\\fBa\\eb\\fR\n.PP\n.nf\n\\&.dot \\-\\-flag\n.fi\n.PP\n.nf\nk  v\n\\-  \\-\na  b\n.fi\n.SH \"SEE ALSO\"\ntaskmon(1)\n"
        );
    }

    #[test]
    fn a_section_can_be_left_out() {
        let sections = sections(&PAGE, Language::En, &["Options"]);
        assert!(!sections.contains("gone") && sections.contains("MORE"), "{sections}");
    }
}
