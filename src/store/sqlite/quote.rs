//! Names and literals for statements.

pub fn text_literal(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

/// A name as an identifier.
pub fn identifier(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// The name of a table without its schema and its quotes.
pub fn bare_name(table: &str) -> String {
    let table = table.trim();
    for (open, close) in [('"', '"'), ('`', '`'), ('[', ']')] {
        if let Some(rest) = table.strip_suffix(close) {
            let doubled = format!("{close}{close}");
            let start = rest.replace(&doubled, "\0\0").rfind(open);
            return match start {
                Some(start) => {
                    rest[start + open.len_utf8()..].replace(&doubled, &close.to_string())
                }
                None => rest.to_owned(),
            };
        }
    }
    table.rsplit('.').next().unwrap_or(table).to_owned()
}
