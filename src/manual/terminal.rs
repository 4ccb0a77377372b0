//! A page as text of a given width: for a terminal with bold and colour, elsewhere without.

use super::markdown::{Block, Style, blocks, spans};
use super::{Page, pages};
use crate::language::Language;
use crate::units::{is_wide, letter_width};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Look {
    /// Letters alone.
    Plain,
    /// With escapes for bold and for the colour of code.
    Styled,
}

/// The width of a text that no terminal shows.
pub const WIDTH: usize = 80;

const INDENT: usize = 2;
const GAP: usize = 2;

pub type Letter = (Style, char);
pub type Line = Vec<Letter>;

/// The page in a language; `width` in columns of a terminal.
pub fn render(page: &Page, language: Language, width: usize, look: Look) -> String {
    let all: Vec<Page> = pages(language).collect();
    let title = format!("**{}**{}{}", page.name, language.pick("：", ": "), page.summary);
    let mut text = indented(wrap(&title, width), 0, look);
    let mut after_item = false;
    for block in blocks(page.body, &all) {
        let is_item = matches!(block, Block::Item(_));
        if !(is_item && after_item) {
            text.push('\n');
        }
        after_item = is_item;
        text += &match block {
            Block::Heading { level, text } => {
                indented(wrap(&format!("**{text}**"), width), INDENT * (level - 2), look)
            }
            Block::Paragraph(text) => {
                indented(wrap(&text, width.saturating_sub(INDENT)), INDENT, look)
            }
            Block::Item(text) => item(&text, width, look),
            Block::Table(rows) => {
                indented(table(&rows, width.saturating_sub(INDENT)), INDENT, look)
            }
            Block::Code(lines) => {
                let code = |line: &String| line.chars().map(|c| (Style::Code, c)).collect();
                indented(lines.iter().map(code).collect(), 2 * INDENT, look)
            }
        };
    }
    text
}

fn item(text: &str, width: usize, look: Look) -> String {
    let mut lines = wrap(text, width.saturating_sub(2 * INDENT));
    for (number, line) in lines.iter_mut().enumerate() {
        let mark = if number == 0 { "- " } else { "  " };
        line.splice(0..0, plain(mark));
    }
    indented(lines, INDENT, look)
}

fn plain(text: &str) -> Line {
    text.chars().map(|letter| (Style::Plain, letter)).collect()
}

/// The lines as text, each with its line feed.
fn indented(lines: Vec<Line>, indent: usize, look: Look) -> String {
    let lines = lines.into_iter().map(|mut line| {
        if !line.is_empty() {
            line.splice(0..0, plain(&" ".repeat(indent)));
        }
        painted(&line, look) + "\n"
    });
    lines.collect()
}

fn painted(line: &[Letter], look: Look) -> String {
    let runs = line.chunk_by(|(one, _), (other, _)| one == other);
    let runs = runs.map(|run| {
        let text: String = run.iter().map(|(_, letter)| letter).collect();
        match (look, run[0].0) {
            (Look::Styled, Style::Bold) => format!("\x1b[1m{text}\x1b[22m"),
            (Look::Styled, Style::Code) => format!("\x1b[36m{text}\x1b[39m"),
            _ => text,
        }
    });
    runs.collect::<String>().trim_end().to_owned()
}

/// Rows of cells as lines, none wider than `width` where that can be: what does not fit into its column goes on below.
pub fn table(rows: &[Vec<String>], width: usize) -> Vec<Line> {
    let columns = rows.iter().map(Vec::len).max().unwrap_or_default();
    let widths = column_widths(rows, columns, width);
    let mut lines = Vec::new();
    for (number, row) in rows.iter().enumerate() {
        let mut cells: Vec<Vec<Line>> =
            row.iter().zip(&widths).map(|(cell, width)| wrap(cell, *width)).collect();
        if number == 0 {
            cells.iter_mut().flatten().flatten().for_each(|(style, _)| *style = Style::Bold);
        }
        let height = cells.iter().map(Vec::len).max().unwrap_or_default();
        for line in 0..height {
            lines.push(side_by_side(&cells, &widths, line));
        }
        if number == 0 {
            let rules = widths.iter().map(|width| "─".repeat(*width));
            lines.push(plain(&rules.collect::<Vec<_>>().join(&" ".repeat(GAP))));
        }
    }
    lines
}

fn side_by_side(cells: &[Vec<Line>], widths: &[usize], number: usize) -> Line {
    let mut line = Line::new();
    for (cell, width) in cells.iter().zip(widths) {
        let part = cell.get(number).cloned().unwrap_or_default();
        let missing = width.saturating_sub(width_of(&part)) + GAP;
        line.extend(part);
        line.extend(plain(&" ".repeat(missing)));
    }
    line
}

/// Each column's natural width if all fit; else what its longest word takes, and a share of what is left.
fn column_widths(rows: &[Vec<String>], columns: usize, width: usize) -> Vec<usize> {
    const LONGEST_WORD: usize = 40;
    let widest = |column: usize, measure: &dyn Fn(&str) -> usize| {
        rows.iter().filter_map(|row| row.get(column)).map(|cell| measure(cell)).max().unwrap_or(0)
    };
    let natural: Vec<usize> =
        (0..columns).map(|column| widest(column, &|cell| width_of(&letters(cell)))).collect();
    let gaps = GAP * columns.saturating_sub(1);
    if natural.iter().sum::<usize>() + gaps <= width {
        return natural;
    }
    let longest_word = |cell: &str| {
        let words = pieces(cell).into_iter().map(|piece| width_of(&piece.letters));
        words.max().unwrap_or(0).min(LONGEST_WORD)
    };
    let least: Vec<usize> = (0..columns).map(|column| widest(column, &longest_word)).collect();
    let rest = width.saturating_sub(least.iter().sum::<usize>() + gaps);
    let wanted: usize = natural.iter().zip(&least).map(|(natural, least)| natural - least).sum();
    let share = |(natural, least): (&usize, &usize)| {
        least + (rest * (natural - least)).checked_div(wanted).unwrap_or(0).min(natural - least)
    };
    natural.iter().zip(&least).map(share).collect()
}

/// What must stay on one line: a word, or a letter of Chinese with the marks around it.
struct Piece {
    letters: Line,
    /// Whether a space comes before it, unless it begins a line.
    spaced: bool,
}

fn letters(text: &str) -> Line {
    let spans = spans(text).into_iter();
    spans.flat_map(|(style, part)| part.chars().map(move |letter| (style, letter))).collect()
}

fn pieces(text: &str) -> Vec<Piece> {
    let mut pieces: Vec<Piece> = Vec::new();
    let mut before = ' ';
    for (style, letter) in letters(text) {
        if letter != ' ' {
            match pieces.last_mut() {
                Some(piece) if before != ' ' && !may_break(before, letter) => {
                    piece.letters.push((style, letter));
                }
                _ => {
                    let spaced = before == ' ' && !pieces.is_empty();
                    pieces.push(Piece { letters: vec![(style, letter)], spaced });
                }
            }
        }
        before = letter;
    }
    pieces
}

/// No line of Chinese begins with a closing mark or ends with an opening one.
fn may_break(before: char, after: char) -> bool {
    let closes = "，。；：、！？）」』》”…%".contains(after) || after == ')';
    let opens = "（「『《“".contains(before) || before == '(';
    (is_wide(before) || is_wide(after)) && !closes && !opens
}

fn width_of(line: &[Letter]) -> usize {
    line.iter().map(|(_, letter)| letter_width(*letter)).sum()
}

/// The text in lines of at most `width` columns; a word that is longer is cut.
pub fn wrap(text: &str, width: usize) -> Vec<Line> {
    let width = width.max(2);
    let mut lines = vec![Line::new()];
    let mut used = 0;
    for piece in pieces(text) {
        let space = usize::from(piece.spaced && used > 0);
        let wanted = width_of(&piece.letters);
        if used + space + wanted > width && used > 0 {
            lines.push(Line::new());
            used = 0;
        } else if space > 0
            && let Some(line) = lines.last_mut()
        {
            // A space between two words of one style has it.
            let style = match line.last() {
                Some((style, _)) if *style == piece.letters[0].0 => *style,
                _ => Style::Plain,
            };
            line.push((style, ' '));
            used += 1;
        }
        for letter in piece.letters {
            if used + letter_width(letter.1) > width {
                lines.push(Line::new());
                used = 0;
            }
            used += letter_width(letter.1);
            lines.last_mut().into_iter().for_each(|line| line.push(letter));
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rendered(body: &'static str, width: usize, look: Look) -> String {
        render(&Page { name: "it", summary: "a page", body }, Language::En, width, look)
    }

    #[test]
    fn a_page_is_laid_out_within_its_width() {
        let body = "\nOne two three four five.\n\n## Heading\n- an item that is long\n- short\n\n```sh\ncode that is not wrapped\n```\n";
        assert_eq!(
            rendered(body, 20, Look::Plain),
            "it: a page\n\n  One two three four\n  five.\n\nHeading\n\n  - an item that is\n    long\n  - short\n\n    code that is not wrapped\n"
        );
    }

    #[test]
    fn a_table_wraps_the_columns_that_are_too_wide() {
        let body = "\n| key | meaning |\n|---|---|\n| `a_key` | what it means to those who read it |\n| b | |\n";
        assert_eq!(
            rendered(body, 30, Look::Plain),
            "it: a page\n\n  key    meaning\n  ─────  ─────────────────────\n  a_key  what it means to\n         those who read it\n  b\n"
        );
    }

    #[test]
    fn chinese_breaks_between_letters_and_not_before_a_mark() {
        assert_eq!(
            rendered("\n任务的状态，日志。\n", 12, Look::Plain),
            "it: a page\n\n  任务的状\n  态，日志。\n"
        );
    }

    #[test]
    fn styles_are_escapes_on_a_terminal_alone() {
        assert_eq!(
            rendered("\n**So** `a b`.\n", 40, Look::Styled),
            "\x1b[1mit\x1b[22m: a page\n\n  \x1b[1mSo\x1b[22m \x1b[36ma b\x1b[39m.\n"
        );
        assert!(!rendered("\n**So** `a b`.\n", 40, Look::Plain).contains('\x1b'));
    }

    #[test]
    fn a_word_that_fits_nowhere_is_cut() {
        let lines = wrap("abcdefgh", 3);
        assert_eq!(lines.iter().map(Vec::len).collect::<Vec<_>>(), [3, 3, 2]);
    }

    #[test]
    fn every_page_stays_within_its_width_but_for_its_blocks() {
        for language in [Language::En, Language::Zh] {
            for page in pages(language) {
                let body = render(&page, language, 100, Look::Plain);
                for line in body.lines().filter(|line| !line.starts_with("    ")) {
                    let width: usize = line.chars().map(letter_width).sum();
                    assert!(width <= 100, "{}: {line}", page.name);
                }
            }
        }
    }
}
