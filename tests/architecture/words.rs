//! The field's words, and no idioms of our own: what stands in `src/`, both READMEs and the example is read by people who come from
//! monitoring, databases and Unix.

use super::{Keep, blank};
use std::path::{Path, PathBuf};

/// Words that are not to be used, also as part of a name such as `is_told`.
struct Words {
    forbidden: &'static [&'static str],
    say: &'static str,
}

const WORDS: &[Words] = &[
    Words {
        forbidden: &["stands", "standing", "ceased", "ceases"],
        say: "firing, resolved; is, are",
    },
    Words {
        forbidden: &["told", "tell", "tells", "telling"],
        say: "notify, notified; say, report",
    },
    Words { forbidden: &["owed", "owes", "owe"], say: "undelivered" },
    Words { forbidden: &["listener", "listeners"], say: "receiver" },
    Words { forbidden: &["offer", "offers", "offered"], say: "retry, send again" },
    Words { forbidden: &["rehearse", "rehearses", "rehearsal", "rehearsed"], say: "dry run" },
    Words { forbidden: &["spelling", "spellings"], say: "canonical path; form" },
    Words { forbidden: &["witness", "witnesses"], say: "reference" },
    Words { forbidden: &["question", "questions"], say: "reference check; query" },
    Words { forbidden: &["trouble", "troubles"], say: "issue, partial failure" },
    Words { forbidden: &["shape", "shapes"], say: "schema" },
    Words { forbidden: &["lacking"], say: "missing" },
];

/// What is no case of the words above: names that others have given.
const NAMES: &[&str] = &[
    "taskmon_alerts_standing",
    "alerts_standing",
    // What the records of alerts and `decisions` have always said.
    "offered_again",
    "never_told",
    "nothing_owed",
    "rename = \"told\"",
    "rename = \"owed\"",
];

/// A line of code that is to be written otherwise.
struct Idiom {
    name: &'static str,
    instead: &'static str,
    found: fn(&str) -> usize,
}

const IDIOMS: &[Idiom] = &[
    Idiom {
        name: "match () { () if",
        instead: "if and else if",
        found: |code| code.matches("match () {").count(),
    },
    Idiom { name: "match on true and false", instead: "if and else", found: arms_on_a_bool },
    Idiom {
        name: "a local called own",
        instead: "the name of what it is",
        found: locals_called_own,
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
        if !places.is_empty() {
            let forbidden = words.forbidden.join(", ");
            wrong.push(format!("{forbidden}: say {}\n{}", words.say, places.join("\n")));
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
        if !counts.is_empty() {
            wrong.push(format!("{}: write {}: {counts:?}", idiom.name, idiom.instead));
        }
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

#[test]
fn no_parameter_is_a_bool() {
    let counts: Vec<(PathBuf, usize)> = texts()
        .into_iter()
        .filter(|(file, _)| file.extension().is_some_and(|end| end == "rs"))
        .map(|(file, text)| (file, bool_parameters(&blank(&text, Keep::Code))))
        .filter(|(_, count)| *count > 0)
        .collect();
    assert!(counts.is_empty(), "an enum or two functions say what is meant: {counts:?}");
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
    let words = Words { forbidden: &["told"], say: "notified" };
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
