//! Paths as text.

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

/// A path of a row for messages.
pub fn shown(path: &[u8]) -> String {
    let text = String::from_utf8_lossy(path).replace(char::is_control, "\u{fffd}");
    match text.char_indices().nth(SHOWN) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    }
}
