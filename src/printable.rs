//! Text that others wrote (rows, servers, mounts, whoever named a file), made safe for a terminal, cron's mail and a log.

/// Whether a character would control what shows it, or hide: the control characters (C0, DEL, C1), line and paragraph separators, what is
/// invisible, and what changes the direction of writing. U+200D is neither: it holds emoji together.
pub fn is_unprintable(letter: char) -> bool {
    letter.is_control()
        || matches!(
            letter,
            '\u{ad}'
                | '\u{61c}'
                | '\u{180e}'
                | '\u{200b}'
                | '\u{200c}'
                | '\u{200e}'
                | '\u{200f}'
                | '\u{2028}'..='\u{202e}'
                | '\u{2060}'..='\u{206f}'
                | '\u{feff}'
                | '\u{fff9}'..='\u{fffb}'
                | '\u{e0000}'..='\u{e007f}'
        )
}

/// On one line, with escapes such as `\n` and `\u{1b}` for what is unprintable.
pub fn escaped(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for letter in text.chars() {
        if is_unprintable(letter) {
            shown.extend(letter.escape_default());
        } else {
            shown.push(letter);
        }
    }
    shown
}

/// The same for a text of several lines.
pub fn escaped_lines(text: &str) -> String {
    let lines: Vec<String> = text.split('\n').map(escaped).collect();
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_terminal_would_obey_or_hide_is_an_escape() {
        for (text, shown) in [
            ("单 b\\c 👩‍👩", "单 b\\c 👩‍👩"),
            ("a\nb\tc\rd\0", "a\\nb\\tc\\rd\\u{0}"),
            ("\u{1b}[31m\u{7f}\u{9b}1m", "\\u{1b}[31m\\u{7f}\\u{9b}1m"),
            ("a\u{202e}b\u{2066}c\u{200b}d\u{feff}", "a\\u{202e}b\\u{2066}c\\u{200b}d\\u{feff}"),
            ("a\u{2028}b\u{2029}\u{85}", "a\\u{2028}b\\u{2029}\\u{85}"),
        ] {
            assert_eq!(escaped(text), shown);
        }
        assert_eq!(escaped_lines("a\u{1b}\nb"), "a\\u{1b}\nb");
    }
}
