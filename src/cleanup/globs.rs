//! Which names a sweep takes (`cleanup.log_patterns`), and which files it leaves alone (`cleanup.protect`).

use crate::outcome::{Failure, Kind};
use crate::values;
use fast_glob::{glob_match, validate};
use serde::de::Error;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

/// Globs of which one has to match a file's name.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct NamePatterns(Vec<NamePattern>);

#[derive(Debug, Clone, PartialEq)]
struct NamePattern {
    /// As it is written.
    text: String,
    glob: String,
}

impl NamePatterns {
    pub fn match_name(&self, name: &OsStr) -> bool {
        self.0.iter().any(|pattern| glob_match(&pattern.glob, name.as_bytes()))
    }
}

impl<'de> Deserialize<'de> for NamePattern {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = values::non_empty_text(deserializer)?;
        let glob = parse_glob(&text).map_err(no_glob)?;
        Ok(Self { text, glob })
    }
}

impl Serialize for NamePattern {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.text)
    }
}

/// What a path leads to: a line that ends with a slash is about folders alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Entry {
    File,
    Folder,
}

/// Lines as in `.gitignore`: the last one that matches a path decides.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Protected(Vec<Line>);

#[derive(Debug, Clone, PartialEq)]
struct Line {
    /// As it is written.
    text: String,
    /// `None`: a comment, or nothing.
    glob: Option<LineGlob>,
}

#[derive(Debug, Clone, PartialEq)]
struct LineGlob {
    glob: String,
    /// `!…` takes back what a line before it protects.
    is_negated: bool,
    /// `…/`
    folders_only: bool,
}

impl Protected {
    /// With one more line, which decides before the others.
    ///
    /// # Errors
    /// [`Kind::Internal`]: it is no glob.
    pub fn with(mut self, line: &str) -> Result<Self, Failure> {
        let glob = parse_line(line)
            .map_err(|why| Failure::new(Kind::Internal, format!("{line:?} is no glob: {why}")))?;
        self.0.push(Line { text: line.to_owned(), glob });
        Ok(self)
    }

    /// Whether a path, relative to the folder that is swept, is protected; `None`: no line matches it.
    pub fn decide(&self, path: &Path, entry: Entry) -> Option<bool> {
        let path = path.as_os_str().as_bytes();
        let matches = |line: &&LineGlob| {
            (entry == Entry::Folder || !line.folders_only) && glob_match(&line.glob, path)
        };
        let mut globs = self.0.iter().rev().filter_map(|line| line.glob.as_ref());
        globs.find(matches).map(|line| !line.is_negated)
    }
}

impl<'de> Deserialize<'de> for Line {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = values::non_empty_text(deserializer)?;
        let glob = parse_line(&text).map_err(no_glob)?;
        Ok(Self { text, glob })
    }
}

impl Serialize for Line {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.text)
    }
}

fn no_glob<E: Error>(why: String) -> E {
    E::custom(format!("a glob: {why}"))
}

/// The rules of gitignore(5), but for the glob itself; `None`: a comment, or nothing.
fn parse_line(line: &str) -> Result<Option<LineGlob>, String> {
    let trimmed = line.trim_end_matches(' ');
    let is_escaped = trimmed.ends_with('\\') && trimmed.len() < line.len();
    let pattern = &line[..trimmed.len() + usize::from(is_escaped)];
    let (is_negated, pattern) = strip(pattern, pattern.strip_prefix('!'));
    let has_empty_name = pattern.contains("//");
    let (folders_only, pattern) = strip(pattern, pattern.strip_suffix('/'));
    // A slash ties the glob to the folder that is swept; without one it fits at any depth.
    let is_anchored = pattern.contains('/');
    let (_, pattern) = strip(pattern, pattern.strip_prefix('/'));
    if line.starts_with('#') || pattern.is_empty() {
        return Ok(None);
    }
    if has_empty_name {
        // It would match nothing, and what it was to protect would be deleted.
        return Err("two slashes follow each other, as they do in no path".to_owned());
    }
    let glob = parse_glob(pattern)?;
    let glob = if is_anchored { glob } else { format!("**/{glob}") };
    Ok(Some(LineGlob { glob, is_negated, folders_only }))
}

fn strip<'p>(pattern: &'p str, stripped: Option<&'p str>) -> (bool, &'p str) {
    (stripped.is_some(), stripped.unwrap_or(pattern))
}

/// The glob as `fast_glob` reads it: there, `\n` is a line feed, and a `!` at the start negates.
fn parse_glob(pattern: &str) -> Result<String, String> {
    validate(pattern).map_err(|error| error.to_string())?;
    if has_reversed_range(pattern.as_bytes()) {
        return Err("a range ends before it begins".to_owned());
    }
    let mut glob = String::from(if pattern.starts_with('!') { "\\" } else { "" });
    let mut characters = pattern.chars();
    while let Some(character) = characters.next() {
        if character != '\\' {
            glob.push(character);
        } else if let Some(escaped) = characters.next() {
            glob.extend((!escaped.is_alphanumeric()).then_some('\\'));
            glob.push(escaped);
        }
    }
    Ok(glob)
}

/// Whether there is a class such as `[z-a]`, which matches nothing.
fn has_reversed_range(glob: &[u8]) -> bool {
    let mut rest = glob;
    // The length of what follows the class's opening bracket: a `]` that comes first is one of its characters.
    let mut class: Option<usize> = None;
    while let Some((&first, tail)) = rest.split_first() {
        match (first, tail) {
            (b'\\', [_, tail @ ..]) => {
                rest = tail;
                continue;
            }
            (b'[', _) if class.is_none() => {
                rest = tail.strip_prefix(b"!").or(tail.strip_prefix(b"^")).unwrap_or(tail);
                class = Some(rest.len());
                continue;
            }
            (b']', _) if class.is_some_and(|start| start != rest.len()) => class = None,
            (low, [b'-', high, ..]) if class.is_some() && !b"]\\".contains(high) && low > *high => {
                return true;
            }
            _ => {}
        }
        rest = tail;
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read<'de, T: Deserialize<'de>>(lines: &[&str]) -> Result<T, String> {
        T::deserialize(toml::Value::from(lines.to_vec())).map_err(|error| error.to_string())
    }

    fn protected(lines: &[&str]) -> Protected {
        read(lines).unwrap()
    }

    fn protects(lines: &[&str], path: &str) -> Option<bool> {
        let (is_folder, path) = strip(path, path.strip_suffix('/'));
        let entry = if is_folder { Entry::Folder } else { Entry::File };
        protected(lines).decide(Path::new(path), entry)
    }

    /// Each as `git check-ignore` has it.
    #[test]
    fn a_line_protects_what_it_would_keep_out_of_git() {
        for (line, protected, others) in [
            ("*.keep", &["a.keep", "a/b/.keep"][..], &["a.keeps", "keep"][..]),
            ("a", &["a", "b/a", "b/a/"], &["ab", "a/b"]),
            ("/a", &["a"], &["b/a"]),
            ("a/b", &["a/b"], &["c/a/b", "a/b/c"]),
            ("a/", &["a/", "b/a/"], &["a", "b/a"]),
            ("/a/", &["a/"], &["a", "b/a/"]),
            ("a/*", &["a/b"], &["a", "a/b/c"]),
            ("a/**", &["a/b", "a/b/c"], &["a", "a/"]),
            ("**/a/b", &["a/b", "c/d/a/b"], &["a/c/b"]),
            ("a/**/b", &["a/b", "a/c/d/b"], &["a", "a/bb", "ab"]),
            ("**", &["a", "a/b"], &[]),
            ("a**b", &["ab", "acb"], &["a/b"]),
            ("?", &["a", "a/b"], &["ab"]),
            ("[ab]", &["a", "c/b"], &["c"]),
            ("[!a]", &["b"], &["a"]),
            ("[^a-c]x", &["dx"], &["bx"]),
            ("[]a]", &["]", "a"], &["b"]),
            ("*.{png,jp*g}", &["a.png", "a.jpeg"], &["a.gif"]),
            ("\\!a", &["!a"], &["a"]),
            ("!!a", &[], &["!a", "b"]),
            ("\\#a", &["#a"], &["a"]),
            ("\\*", &["*"], &["a"]),
            ("\\n\\tb", &["ntb"], &["\n\tb"]),
            ("a ", &["a"], &["a "]),
            ("a\\ ", &["a "], &["a"]),
            ("单/*.png", &["单/运单.png"], &["运单.png"]),
        ] {
            for path in protected {
                assert_eq!(protects(&[line], path), Some(true), "{line:?} {path:?}");
            }
            for path in others {
                assert_ne!(protects(&[line], path), Some(true), "{line:?} {path:?}");
            }
        }
    }

    #[test]
    fn comments_and_empty_lines_say_nothing() {
        for line in ["# a", "#", "/", "!", "!/"] {
            assert_eq!(protects(&[line], "a"), None, "{line:?}");
        }
    }

    #[test]
    fn the_last_line_that_matches_decides() {
        let lines = ["*.log", "!a.log", "b/"];
        assert_eq!(protects(&lines, "c.log"), Some(true));
        assert_eq!(protects(&lines, "a.log"), Some(false));
        assert_eq!(protects(&lines, "b/a.log"), Some(false));
        assert_eq!(protects(&lines, "b/"), Some(true));
        assert_eq!(protects(&lines, "c"), None);
        assert_eq!(protects(&["!a.log", "*.log"], "a.log"), Some(true));
    }

    #[test]
    fn a_name_fits_if_one_pattern_does() {
        let patterns: NamePatterns = read(&["*.log", "*.log.*", "!x"]).unwrap();
        for (name, fits) in [
            ("a.log", true),
            (".log", true),
            ("a.log.1", true),
            ("a.logs", false),
            ("!x", true),
            ("x", false),
        ] {
            assert_eq!(patterns.match_name(OsStr::new(name)), fits, "{name}");
        }
        assert!(patterns.match_name(OsStr::from_bytes(b"\xff.log")));
    }

    #[test]
    fn what_is_no_glob_is_refused() {
        for pattern in ["[a", "{a", "a\\", "[z-a]", "x[!b-a]", "[]-a]x[9-0]"] {
            let why = read::<NamePatterns>(&["*.log", pattern]).unwrap_err();
            assert!(why.contains("a glob: "), "{pattern}: {why}");
            let why = read::<Protected>(&[pattern]).unwrap_err();
            assert!(why.contains("a glob: "), "{pattern}: {why}");
        }
        for pattern in ["[a-]", "[--a]", "[]-a]", "[!]-a]", "\\[z-a", "z-a", "[a-a]"] {
            assert!(read::<NamePatterns>(&[pattern]).is_ok(), "{pattern}");
        }
    }

    #[test]
    fn a_line_that_no_path_could_match_is_refused() {
        for line in ["**//", "a//b", "//a", "a//"] {
            let why = read::<Protected>(&[line]).unwrap_err();
            assert!(why.contains("two slashes"), "{line}: {why}");
        }
    }

    #[test]
    fn stars_within_a_name_and_escaped_braces_protect_what_git_ignores() {
        let protects = |line: &str, path: &str| {
            protected(&[line]).decide(Path::new(path), Entry::File) == Some(true)
        };
        assert!(protects("x**/**", "xy/z"));
        assert!(protects("x**/**", "xy/z/w"));
        assert!(protects(r"\{a", "d/{a"));
        assert!(protects(r"\{a\}", "{a}"));
    }
}
