//! The field's words, and no idioms of our own: what stands in `src/`, both READMEs and the example is read by people who come from
//! monitoring, databases and Unix.

use super::{Keep, blank};
use std::path::{Path, PathBuf};

/// Words that are not to be used, also as part of a name such as `is_told`.
struct Words {
    forbidden: &'static [&'static str],
    say: &'static str,
    /// How many there still are. It only goes down; at 0 the line stays.
    at_most: usize,
}

const WORDS: &[Words] = &[
    Words {
        forbidden: &["stands", "standing", "ceased", "ceases"],
        say: "firing, resolved; is, are",
        at_most: 191,
    },
    Words {
        forbidden: &["told", "tell", "tells", "telling"],
        say: "notify, notified; say, report",
        at_most: 461,
    },
    Words { forbidden: &["owed", "owes", "owe"], say: "undelivered", at_most: 45 },
    Words { forbidden: &["listener", "listeners"], say: "receiver", at_most: 68 },
    Words { forbidden: &["offer", "offers", "offered"], say: "retry, send again", at_most: 67 },
    Words {
        forbidden: &["rehearse", "rehearses", "rehearsal", "rehearsed"],
        say: "dry run",
        at_most: 0,
    },
    Words { forbidden: &["spelling", "spellings"], say: "canonical path; form", at_most: 99 },
    Words { forbidden: &["witness", "witnesses"], say: "reference", at_most: 34 },
    Words { forbidden: &["question", "questions"], say: "reference check; query", at_most: 62 },
    Words { forbidden: &["trouble", "troubles"], say: "issue, partial failure", at_most: 2 },
    Words { forbidden: &["shape", "shapes"], say: "schema", at_most: 72 },
    Words { forbidden: &["journal"], say: "logging, log", at_most: 39 },
    Words { forbidden: &["lacking"], say: "missing", at_most: 51 },
];

/// What is no case of the words above: names that others have given.
const NAMES: &[&str] = &["journal_mode", "-journal", "taskmon_alerts_standing", "alerts_standing"];

/// A line of code that is to be written otherwise.
struct Idiom {
    name: &'static str,
    instead: &'static str,
    found: fn(&str) -> usize,
    at_most: usize,
}

const IDIOMS: &[Idiom] = &[
    Idiom {
        name: "match () { () if",
        instead: "if and else if",
        found: |code| code.matches("match () {").count(),
        at_most: 6,
    },
    Idiom {
        name: "match on true and false",
        instead: "if and else",
        found: arms_on_a_bool,
        at_most: 2,
    },
    Idiom {
        name: "a local called own",
        instead: "the name of what it is",
        found: locals_called_own,
        at_most: 94,
    },
    Idiom {
        name: "a parameter of type bool",
        instead: "an enum that says what is meant",
        found: bool_parameters,
        at_most: 22,
    },
];

#[test]
fn the_words_are_the_fields() {
    let files = texts();
    assert!(files.len() > 50, "{} files", files.len());
    let mut wrong = Vec::new();
    for words in WORDS {
        let places: Vec<String> =
            files.iter().flat_map(|(file, text)| places(file, text, words)).collect();
        if places.len() > words.at_most {
            wrong.push(format!(
                "{}: say {}. {} places, {} at most:\n{}",
                words.forbidden.join(", "),
                words.say,
                places.len(),
                words.at_most,
                places.join("\n")
            ));
        }
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

#[test]
fn the_code_has_no_idioms_of_its_own() {
    let mut wrong = Vec::new();
    let files = texts();
    let code: Vec<(&PathBuf, String)> = files
        .iter()
        .filter(|(file, _)| file.extension().is_some_and(|end| end == "rs"))
        .map(|(file, text)| (file, blank(text, Keep::Code)))
        .collect();
    for idiom in IDIOMS {
        let counts: Vec<(&PathBuf, usize)> = code
            .iter()
            .map(|(file, code)| (*file, (idiom.found)(code)))
            .filter(|(_, count)| *count > 0)
            .collect();
        let total: usize = counts.iter().map(|(_, count)| count).sum();
        if total > idiom.at_most {
            wrong.push(format!(
                "{}: write {}. {total} places, {} at most: {counts:?}",
                idiom.name, idiom.instead, idiom.at_most
            ));
        }
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

/// Everything that people read, with its path. Not every file is text: the demo has pictures.
fn texts() -> Vec<(PathBuf, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let sources = walkdir::WalkDir::new(root.join("src")).sort_by_file_name().into_iter();
    let sources = sources.map(|entry| entry.unwrap().into_path()).filter(|path| path.is_file());
    let others = ["README.md", "README.zh-CN.md", "crontab.example"].map(|name| root.join(name));
    let texts = sources.chain(others).filter_map(|path| {
        let text = String::from_utf8(std::fs::read(&path).unwrap()).ok()?;
        Some((path.strip_prefix(root).unwrap().to_owned(), text))
    });
    texts.collect()
}

/// `file:line: the line` for each use.
fn places(file: &Path, text: &str, words: &Words) -> Vec<String> {
    let mut found = Vec::new();
    for (number, line) in text.lines().enumerate() {
        let plain = NAMES.iter().fold(line.to_lowercase(), |line, name| line.replace(name, ""));
        let uses = plain
            .split(|c: char| !c.is_ascii_alphanumeric())
            .filter(|word| words.forbidden.contains(word))
            .count();
        let place = format!("  {}:{}: {}", file.display(), number + 1, line.trim());
        found.extend(std::iter::repeat_n(place, uses));
    }
    found
}

fn arms_on_a_bool(code: &str) -> usize {
    let arm = |line: &&str| line.starts_with("true =>") || line.starts_with("false =>");
    code.lines().map(str::trim_start).filter(arm).count()
}

fn locals_called_own(code: &str) -> usize {
    ["let own", "let mut own", "|own", "(own,", "Some(own)"]
        .iter()
        .flat_map(|start| code.match_indices(start).map(move |(at, _)| &code[at + start.len()..]))
        .filter(|rest| !rest.starts_with(|c: char| c.is_alphanumeric() || c == '_'))
        .count()
}

fn bool_parameters(code: &str) -> usize {
    let functions = code.match_indices("fn ").filter_map(|(at, _)| {
        let rest = &code[at..];
        let parameters = &rest[rest.find('(')?..];
        let mut depth = 0;
        let end = parameters.find(|c: char| {
            depth += i32::from(c == '(') - i32::from(c == ')');
            depth == 0
        })?;
        Some(&parameters[..end])
    });
    functions.map(|parameters| parameters.matches(": bool").count()).sum()
}

// ---- a check that cannot fail proves nothing

#[test]
fn a_word_is_found_in_comments_strings_and_names_but_not_within_another() {
    let words = Words { forbidden: &["told"], say: "notified", at_most: 0 };
    let count = |text| places(Path::new("x.rs"), text, &words).len();
    for text in ["// Told of it.", "\"is told\"", "fn is_told() {}", "told.len()", "| told |"] {
        assert_eq!(count(text), 1, "{text}");
    }
    assert_eq!(count("fn told(told: Told) {}"), 3);
    assert_eq!(count("untold, toldest"), 0);
}

#[test]
fn idioms_are_found() {
    assert_eq!(arms_on_a_bool("match x {\n    true => 1,\n    false => 2,\n}\n(true, _) => 3"), 2);
    assert_eq!(
        locals_called_own("let own = 1; let owner = 2; x.map(|own| own); |(own, its)| own"),
        3
    );
    assert_eq!(
        bool_parameters(
            "fn f(a: bool, b: &str) -> bool { let x: bool; }\nfn g(x: (u8, bool), y: bool)"
        ),
        2
    );
}
