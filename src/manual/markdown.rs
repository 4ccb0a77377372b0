//! The part of Markdown that the pages use, as blocks of plain data.

use super::Page;

#[derive(Debug, PartialEq, Eq)]
pub enum Block {
    /// Of the second level, or a deeper one.
    Heading {
        level: usize,
        text: String,
    },
    Paragraph(String),
    Item(String),
    /// Rows of cells, the header first.
    Table(Vec<Vec<String>>),
    /// The lines of a fenced block, or of a list of pages.
    Code(Vec<String>),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Style {
    Plain,
    Bold,
    Code,
}

/// The blocks of a page; `pages` are those that it may list.
pub fn blocks(body: &str, pages: &[Page]) -> Vec<Block> {
    let mut blocks = Vec::new();
    let mut lines = body.lines().peekable();
    while let Some(line) = lines.next() {
        if line.starts_with("```") {
            let code = lines.by_ref().take_while(|line| !line.starts_with("```"));
            blocks.push(Block::Code(code.map(str::to_owned).collect()));
        } else if let Some(comment) = line.strip_prefix("<!-- ") {
            if let Some(prefix) = comment.strip_prefix("pages: ") {
                blocks.push(list_of_pages(prefix.trim_end_matches("-->").trim(), pages));
            }
        } else if line.starts_with('#') {
            let text = line.trim_start_matches('#');
            let level = line.len() - text.len();
            blocks.push(Block::Heading { level, text: text.trim().to_owned() });
        } else if line.starts_with('|') {
            let mut rows = vec![cells(line)];
            while let Some(row) = lines.next_if(|line| line.starts_with('|')) {
                rows.push(cells(row));
            }
            // The line of dashes below the header.
            rows.retain(|row| row.iter().any(|cell| cell.contains(|c| c != '-')));
            blocks.push(Block::Table(rows));
        } else if !line.trim().is_empty() {
            let item = line.strip_prefix("- ");
            let mut text = item.unwrap_or(line).trim().to_owned();
            while let Some(more) = lines.next_if(|line| continues(line)) {
                join(&mut text, more.trim());
            }
            blocks.push(if item.is_some() { Block::Item(text) } else { Block::Paragraph(text) });
        }
    }
    blocks
}

fn continues(line: &str) -> bool {
    let starts = ["```", "#", "|", "- ", "<!--"];
    !line.trim().is_empty() && !starts.iter().any(|start| line.starts_with(start))
}

/// Continues a text with the next line of the source. Chinese has no space there.
fn join(text: &mut String, more: &str) {
    let wide = |letter: Option<char>| letter.is_some_and(|letter| letter > '\u{2e80}');
    let ends_wide = wide(text.chars().last());
    let starts_wide = wide(more.chars().next());
    let is_mark =
        |letter: Option<char>| letter.is_some_and(|c| "，。；：、！？（）「」".contains(c));
    let is_joined =
        (ends_wide && starts_wide) || is_mark(text.chars().last()) || is_mark(more.chars().next());
    if !is_joined {
        text.push(' ');
    }
    text.push_str(more);
}

fn cells(row: &str) -> Vec<String> {
    let inner = row.trim().trim_start_matches('|');
    let inner = inner.strip_suffix('|').unwrap_or(inner).replace("\\|", "\u{0}");
    inner.split('|').map(|cell| cell.trim().replace('\u{0}', "|")).collect()
}

fn list_of_pages(prefix: &str, pages: &[Page]) -> Block {
    let listed = || pages.iter().filter(|page| page.name.starts_with(prefix));
    let width = listed().map(|page| page.name.len()).max().unwrap_or_default();
    Block::Code(listed().map(|page| format!("{:width$}  {}", page.name, page.summary)).collect())
}

/// A text cut where its style changes.
pub fn spans(text: &str) -> Vec<(Style, &str)> {
    let mut spans = Vec::new();
    let mut rest = text;
    while !rest.is_empty() {
        let (style, mark) = match rest {
            _ if rest.starts_with('`') => (Style::Code, "`"),
            _ if rest.starts_with("**") => (Style::Bold, "**"),
            _ => (Style::Plain, ""),
        };
        let inner = &rest[mark.len()..];
        let end = match style {
            Style::Plain => inner.find('`').into_iter().chain(inner.find("**")).min(),
            _ => inner.find(mark),
        };
        let end = end.unwrap_or(inner.len());
        spans.push((style, &inner[..end]));
        rest = inner[end..].strip_prefix(mark).unwrap_or_default();
    }
    spans
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_of_block_is_read() {
        let body = "\nOne\nparagraph.\n\n## Heading\n- an item\n  goes on\n- another\n\n| a | b |\n|---|---|\n| `x\\|y` | |\n\n<!-- test: true -->\n```sh\n# no heading\n\nend\n```\n";
        let text = str::to_owned;
        assert_eq!(
            blocks(body, &[]),
            [
                Block::Paragraph(text("One paragraph.")),
                Block::Heading { level: 2, text: text("Heading") },
                Block::Item(text("an item goes on")),
                Block::Item(text("another")),
                Block::Table(vec![vec![text("a"), text("b")], vec![text("`x|y`"), text("")]]),
                Block::Code(vec![text("# no heading"), text(""), text("end")]),
            ]
        );
    }

    #[test]
    fn lines_of_chinese_are_joined_without_a_space() {
        for (body, expected) in [
            ("任务在这里\n结束", "任务在这里结束"),
            ("用 `cron`\n运行", "用 `cron` 运行"),
            ("先这样，\nthen", "先这样，then"),
            ("one\ntwo", "one two"),
        ] {
            assert_eq!(blocks(body, &[]), [Block::Paragraph(expected.to_owned())]);
        }
    }

    #[test]
    fn pages_are_listed_by_the_start_of_their_names() {
        let page = |name| Page { name, summary: "what", body: "" };
        let pages = [page("channel-a"), page("channel-bcd"), page("stats")];
        let listed = ["channel-a    what", "channel-bcd  what"].map(str::to_owned);
        assert_eq!(blocks("<!-- pages: channel- -->", &pages), [Block::Code(listed.into())]);
    }

    #[test]
    fn a_text_is_cut_into_its_styles() {
        let text = "**So** a `b**c` d";
        let expected = [
            (Style::Bold, "So"),
            (Style::Plain, " a "),
            (Style::Code, "b**c"),
            (Style::Plain, " d"),
        ];
        assert_eq!(spans(text), expected);
        assert_eq!(spans("`open"), [(Style::Code, "open")]);
    }
}
