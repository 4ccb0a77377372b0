//! What failed tasks are counted by: a category that their message belongs to or, without categories, the exception that it names.

use std::collections::BTreeMap;

/// What a failed task's message is counted under.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum ErrorGroup {
    /// A category, by its place in the request.
    Category(usize),
    /// An exception, by its name.
    Exception(String),
    /// None of the categories, or no exception.
    Other,
}

/// Exceptions as a database counts them.
#[derive(Debug, Default)]
pub struct ErrorCounts {
    groups: BTreeMap<ErrorGroup, u64>,
    named: u64,
    all: u64,
}

impl ErrorCounts {
    /// `name`: `None` where a message names no exception; `all`: the failed tasks of every name.
    pub fn note(&mut self, name: Option<String>, tasks: u64, all: u64) {
        self.all = all;
        if let Some(name) = name {
            self.groups.insert(ErrorGroup::Exception(name), tasks);
            self.named += tasks;
        }
    }

    /// With those that were not named.
    pub fn groups(mut self) -> BTreeMap<ErrorGroup, u64> {
        let others = self.all.saturating_sub(self.named);
        if others > 0 {
            self.groups.insert(ErrorGroup::Other, others);
        }
        self.groups
    }
}

/// How many exceptions are counted each, the most frequent ones; the rest is [`ErrorGroup::Other`].
pub const MOST_EXCEPTIONS: usize = 50;

/// In how many characters of a message the name is looked for.
pub const LONGEST_NAME: usize = 256;

impl ErrorGroup {
    /// That of a message by the exception that it names.
    pub fn of_message(message: &str) -> Self {
        exception(message).map_or(ErrorGroup::Other, |name| ErrorGroup::Exception(name.to_owned()))
    }

    /// That of a category's place; a negative one is no category's.
    pub fn of_category(place: i64) -> Self {
        usize::try_from(place).map_or(ErrorGroup::Other, ErrorGroup::Category)
    }
}

/// The name before a message's first `: `, or that is all of it: `ValueError`, `requests.exceptions.Timeout`, `Net::OpenTimeout`,
/// `App\Exceptions\Gone`.
pub fn exception(message: &str) -> Option<&str> {
    let end = message.char_indices().nth(LONGEST_NAME).map_or(message.len(), |(end, _)| end);
    let head = &message[..end];
    let name = head.split_once(": ").map_or(head, |(name, _)| name);
    // In Python and Ruby a class may be called `库存不足`.
    let is_letter = |c: char| c.is_ascii_alphabetic() || c == '_' || c == '$' || !c.is_ascii();
    let is_word = |word: &str| {
        word.starts_with(is_letter) && word.chars().all(|c| is_letter(c) || c.is_ascii_digit())
    };
    let mut words = name.split("::").flat_map(|part| part.split(['.', '\\']));
    words.all(is_word).then_some(name)
}

/// What [`exception`] finds, as a regular expression of PostgreSQL that does not depend on the locale.
pub fn exception_pattern() -> String {
    let letter = r"[^\x01-\x40\x5b-\x60\x7b-\x7f]";
    let word = format!("(?:[_$]|{letter})(?:[_$0-9]|{letter})*");
    format!(r"^({word}(?:(?:[.]|::|\\){word})*)(?:: |$)")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_exception_is_named_before_the_first_colon() {
        for (message, name) in [
            ("ValueError: no such address", Some("ValueError")),
            ("ValueError: no: such", Some("ValueError")),
            ("ValueError", Some("ValueError")),
            ("requests.exceptions.Timeout: 30 s", Some("requests.exceptions.Timeout")),
            ("Net::OpenTimeout: execution expired", Some("Net::OpenTimeout")),
            ("App\\Exceptions\\Gone: 410", Some("App\\Exceptions\\Gone")),
            ("java.util.Map$Entry: x", Some("java.util.Map$Entry")),
            ("_Private2: ", Some("_Private2")),
            ("dial tcp 10.0.0.1:443: connect: refused", None),
            ("no stock", None),
            ("ValueError:no space", None),
            ("404: not found", None),
            ("E1.2: x", None),
            ("a..b: x", None),
            ("a:b: x", None),
            ("a:: b", None),
            (": x", None),
            ("库存不足: 订单 7", Some("库存不足")),
            ("订单 7: 库存不足", None),
            (" ValueError: x", None),
            ("ValueError\n", None),
            ("", None),
        ] {
            assert_eq!(exception(message), name, "{message:?}");
        }
        assert_eq!(exception(&"x".repeat(1000)).map(str::len), Some(LONGEST_NAME));
        assert_eq!(exception(&format!("E: {}", "长".repeat(1000))), Some("E"));
    }
}
