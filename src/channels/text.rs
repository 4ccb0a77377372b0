//! Texts made harmless: on one line, short enough, escaped for HTML and Markdown.

use crate::printable::is_unprintable;

/// The start of a text, at most so many bytes and no part of a character.
pub fn cut(text: &str, bytes: usize) -> &str {
    let mut end = bytes.min(text.len());
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    &text[..end]
}

/// A text of so many bytes at most, with an ellipsis if there was more.
pub fn shorten(text: &str, bytes: usize) -> String {
    if text.len() > bytes {
        format!("{}…", cut(text, bytes.saturating_sub('…'.len_utf8())))
    } else {
        text.to_owned()
    }
}

/// The same in characters.
pub fn shorten_to_characters(text: &str, characters: usize) -> String {
    match text.char_indices().nth(characters) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

/// A text on one line that cannot control whatever shows it: line breaks and tabs become spaces; other control characters,
/// and those that are invisible or change the direction of writing, become U+FFFD.
pub fn plain(text: &str) -> String {
    text.chars().map(harmless).collect()
}

/// The same of each line, without what is blank.
pub fn plain_lines(text: &str) -> String {
    let lines = text.split(['\n', '\r', '\u{2028}', '\u{2029}', '\u{85}']);
    let lines = lines.map(|line| plain(line).trim().to_owned()).filter(|line| !line.is_empty());
    lines.collect::<Vec<_>>().join("\n")
}

fn harmless(c: char) -> char {
    match c {
        '\n' | '\r' | '\t' | '\u{2028}' | '\u{2029}' | '\u{85}' | '\u{b}' | '\u{c}' => ' ',
        c if is_unprintable(c) => char::REPLACEMENT_CHARACTER,
        c => c,
    }
}

/// Text for HTML, between tags and within quotes.
pub fn html(text: &str) -> String {
    html_brackets(text).replace('"', "&quot;").replace('\'', "&#39;")
}

/// `&`, `<` and `>` alone, which is all that Slack and Telegram decode.
pub fn html_brackets(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

/// Text for the Markdown of DingTalk and WeCom, whose renderers differ and know no backslash: what could be markup, HTML or a
/// mention becomes the full-width form of the same character, which none of them interprets.
///
/// `_` stays within a word, where it is no markup: names of alerts and paths keep their look.
pub fn full_width_markdown(text: &str) -> String {
    let characters: Vec<char> = text.chars().collect();
    let in_word = |at: usize| {
        let beside = |at: Option<usize>| {
            at.and_then(|at| characters.get(at)).is_some_and(|c| c.is_alphanumeric())
        };
        beside(at.checked_sub(1)) && beside(at.checked_add(1))
    };
    let wide = |(at, c): (usize, &char)| match c {
        '_' if in_word(at) => '_',
        '*' | '_' | '[' | ']' | '<' | '>' | '`' | '#' | '~' | '|' | '\\' | '&' | '!' | '@' => {
            full_width(*c)
        }
        c => *c,
    };
    characters.iter().enumerate().map(wide).collect()
}

/// U+FF01 to U+FF5E are ASCII's printable characters, in their order.
fn full_width(c: char) -> char {
    char::from_u32(u32::from(c) + 0xfee0).unwrap_or(c)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_character_of_a_text_is_markup_or_control() {
        let evil = "a\r\nb\0\u{1b}[31m\u{202e}x\u{2066} [x](http://evil) <script> **b** @all <at user_id=\"all\"> `c` # _d_ snake_case ![i](u)";
        let shown = plain(evil);
        assert!(shown.starts_with("a  b\u{fffd}\u{fffd}[31m\u{fffd}x\u{fffd} [x]"), "{shown}");
        let marked = full_width_markdown(&shown);
        assert_eq!(
            marked,
            "a  b\u{fffd}\u{fffd}［31m\u{fffd}x\u{fffd} ［x］(http://evil) ＜script＞ ＊＊b＊＊ ＠all ＜at user＿id=\"all\"＞ ｀c｀ ＃ ＿d＿ snake_case ！［i］(u)"
                .replace("user＿id", "user_id")
        );
        assert_eq!(html("<a href='x'>&\"</a>"), "&lt;a href=&#39;x&#39;&gt;&amp;&quot;&lt;/a&gt;");
    }
}
