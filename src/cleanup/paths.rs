//! Paths as text.

use crate::printable::escaped;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Component, Path, PathBuf};

/// Messages show no more characters of a path than this.
const SHOWN: usize = 200;

/// Without `.`, and without `..` and the folder before it; on the text alone.
pub fn lexical(path: &Path) -> PathBuf {
    let mut clean = PathBuf::new();
    for part in path.components() {
        match part {
            Component::CurDir => {}
            Component::ParentDir => {
                clean.pop();
            }
            part => clean.push(part),
        }
    }
    clean
}

/// A path for messages, what is unprintable in its names escaped.
pub fn shown(path: impl AsRef<OsStr>) -> String {
    let mut text = String::new();
    for chunk in path.as_ref().as_bytes().utf8_chunks() {
        text.push_str(&escaped(chunk.valid()));
        text.extend(chunk.invalid().iter().map(|byte| format!("\\x{byte:02x}")));
    }
    match text.char_indices().nth(SHOWN) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_terminal_would_obey_is_shown_as_an_escape() {
        for (path, text) in [
            (b"a/\xe5\x8d\x95 b\\c.png".as_slice(), "a/单 b\\c.png"),
            (b"a\nb\tc\rd", "a\\nb\\tc\\rd"),
            (b"\x1b[31m\x7f", "\\u{1b}[31m\\u{7f}"),
            (b"\xc2\x85", "\\u{85}"),
            (b"\xff\xe5\x8d/a", "\\xff\\xe5\\x8d/a"),
        ] {
            assert_eq!(shown(OsStr::from_bytes(path)), text);
        }
        assert_eq!(shown("x".repeat(201)).chars().count(), 201);
    }
}
