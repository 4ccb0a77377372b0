//! Words as a shell reads them.

/// Words for a shell, each quoted where it has to be. A word with a control character has no place in a crontab and is refused before.
pub fn quoted_words<W: AsRef<str>>(words: &[W]) -> String {
    let quoted: Vec<String> = words.iter().map(|word| quoted(word.as_ref())).collect();
    quoted.join(" ")
}

fn quoted(word: &str) -> String {
    let is_plain = |letter: char| letter.is_alphanumeric() || "/._-+,:=@%".contains(letter);
    if !word.is_empty() && word.chars().all(is_plain) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', "'\\''"))
    }
}

/// The first operator or substitution that a shell would act on: any outside of quotes, and in double quotes backticks and `$(`.
pub fn operator(command: &str) -> Option<&'static str> {
    let mut quote = None;
    let mut letters = command.chars().peekable();
    while let Some(letter) = letters.next() {
        match (quote, letter) {
            (Some('\''), '\'') | (Some('"'), '"') => quote = None,
            (Some('\''), _) => {}
            (_, '\\') => drop(letters.next()),
            (None, '\'' | '"') => quote = Some(letter),
            // In double quotes, too, a shell would replace these.
            (_, '`') => return Some("a backtick"),
            (_, '$') if letters.peek() == Some(&'(') => return Some("$("),
            (Some(_), _) => {}
            (None, '>') => return Some(">"),
            (None, '<') => return Some("<"),
            (None, '|') => return Some("|"),
            (None, ';') => return Some(";"),
            (None, '&') => return Some("&"),
            (None, _) => {}
        }
    }
    None
}
