//! Names and literals for statements.

/// A text literal that does not depend on `standard_conforming_strings`.
pub fn literal(text: &str) -> String {
    let quoted = text.replace('\'', "''");
    if quoted.contains('\\') {
        format!("E'{}'", quoted.replace('\\', "\\\\"))
    } else {
        format!("'{quoted}'")
    }
}

/// A column or table by its bare name, perhaps with its schema, and no expression.
pub fn is_plain_name(text: &str) -> bool {
    !text.is_empty()
        && text.chars().all(|letter| letter.is_alphanumeric() || letter == '_' || letter == '.')
}

/// A name as an identifier, quoted where it has to be.
pub fn identifier(name: &str) -> String {
    let plain =
        |letter: char| letter.is_ascii_lowercase() || letter.is_ascii_digit() || letter == '_';
    if name.chars().all(plain) && !name.starts_with(|letter: char| letter.is_ascii_digit()) {
        name.to_owned()
    } else {
        format!("\"{}\"", name.replace('"', "\"\""))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_bare_names_are_looked_up_in_the_catalogue() {
        assert!(is_plain_name("public.tasks"));
        assert!(is_plain_name("任务"));
        for other in ["", "jobs j", "a'b", "\"Tasks\"", "coalesce(a, b)", "a;b"] {
            assert!(!is_plain_name(other), "{other}");
        }
    }
}
