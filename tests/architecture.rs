//! The import rule that `src/lib.rs` documents, checked on the text of the source files.
//!
//! A file's module is its path; what it imports is every `crate::…`, `super::…` and, in `main.rs`, `taskmon::…` in it,
//! be it in a `use` (groups and all) or inline. Comments and strings are no imports, and what stands behind
//! `#[cfg(test)]`, or in a file `tests.rs`, may import what it likes. A module without a row in [`RULES`] fails: whoever adds
//! one decides where it belongs.

mod circles;
mod dates;
mod words;

use std::collections::BTreeSet;
use std::path::Path;

/// What a module may import. `name` stands for that module alone, `name::**` for everything in it too.
struct Rule {
    module: &'static str,
    may: &'static [&'static str],
}

/// The words that everybody shares: they know nothing of the rest.
const WORDS: [&str; 17] = [
    "mapping::**",
    "alert",
    "units",
    "calendar",
    "timezone",
    "outcome",
    "language",
    "secret",
    "values",
    "job",
    "files",
    "folder",
    "host",
    "deadline",
    "printable",
    "stream",
    "tls",
];

/// The row with the longest matching name counts; every module may import what lies beneath itself, and [`WORDS`].
const RULES: &[Rule] = &[
    // `main` is the crate's root as a binary: its one word is `run`.
    Rule { module: "main", may: &["run"] },
    Rule { module: "lib", may: &[] },
    Rule { module: "run", may: &["**"] },
    Rule { module: "cli", may: &["cleanup", "notify::silences"] },
    Rule { module: "lock", may: &[] },
    Rule {
        module: "config",
        may: &[
            "channels",
            "channels::heartbeat",
            "cleanup",
            "notify",
            "rules",
            "notify::silences",
            "schedule::expression",
            "schedule::settings",
            "stats",
            "store",
            "store::settings",
            "store::target",
            "system::broker",
            "system::disk",
        ],
    },
    Rule { module: "mapping", may: &[] },
    Rule { module: "units", may: &[] },
    Rule { module: "calendar", may: &[] },
    Rule { module: "timezone", may: &[] },
    Rule { module: "outcome", may: &[] },
    Rule { module: "language", may: &[] },
    Rule { module: "values", may: &[] },
    Rule { module: "job", may: &[] },
    Rule { module: "files", may: &[] },
    Rule { module: "folder", may: &[] },
    Rule { module: "host", may: &[] },
    Rule { module: "deadline", may: &[] },
    Rule { module: "printable", may: &[] },
    Rule { module: "stream", may: &[] },
    Rule { module: "tls", may: &[] },
    Rule { module: "secret", may: &[] },
    // `open` chooses among the databases; they do not know each other, and what defines the traits knows none of them.
    Rule { module: "store", may: &["store::**"] },
    Rule { module: "store::advisory", may: &["store::postgres::**"] },
    Rule { module: "store::cascades", may: &[] },
    Rule { module: "store::catalogue", may: &[] },
    Rule { module: "store::columns", may: &["store::refusal"] },
    Rule { module: "store::errors", may: &[] },
    Rule { module: "store::fields", may: &["store::columns", "store::refusal"] },
    Rule {
        module: "store::inspect",
        may: &["store::cascades", "store::columns", "store::refusal"],
    },
    Rule { module: "store::open", may: &["store::**"] },
    Rule { module: "store::prune", may: &["store", "store::columns"] },
    Rule { module: "store::refusal", may: &[] },
    Rule { module: "store::settings", may: &["store::target"] },
    Rule {
        module: "store::postgres",
        may: &[
            "store",
            "store::cascades",
            "store::catalogue",
            "store::columns",
            "store::errors",
            "store::fields",
            "store::inspect",
            "store::prune::**",
            "store::refusal",
        ],
    },
    // What a URL says is read without knowledge of the store that is opened by it.
    Rule {
        module: "store::postgres::connect",
        may: &["store::postgres::answer", "store::postgres::failure"],
    },
    Rule { module: "store::postgres::answer", may: &[] },
    Rule { module: "store::postgres::failure", may: &["store::refusal"] },
    Rule {
        module: "store::sqlite",
        may: &[
            "store",
            "store::cascades",
            "store::catalogue",
            "store::columns",
            "store::errors",
            "store::fields",
            "store::inspect",
            "store::prune::**",
            "store::refusal",
        ],
    },
    // Features know the trait `Store`, not the databases behind it, and not each other.
    Rule { module: "stats", may: &["store", "system::**"] },
    Rule { module: "cleanup", may: &["store", "store::prune", "system::disk::mounts"] },
    Rule { module: "alert", may: &[] },
    Rule { module: "live", may: &["store", "system::disk"] },
    Rule { module: "rules", may: &["live", "stats", "system::disk"] },
    Rule { module: "notify", may: &["rules", "channels"] },
    // A channel sends what it is given; whether, when and how often is decided outside.
    Rule { module: "channels", may: &[] },
    Rule { module: "system", may: &[] },
    // It writes down what it is told to: missed jobs go to `live` through `run`.
    Rule { module: "schedule", may: &["schedule::**"] },
    Rule {
        module: "report",
        may: &[
            "stats::**",
            "system::**",
            "cleanup",
            "detect",
            "live",
            "notify",
            "notify::silences",
            "rules",
            "check",
            "schedule::**",
        ],
    },
    Rule { module: "demo", may: &[] },
    // It knows a catalogue and rows as plain data.
    Rule { module: "detect", may: &["store::catalogue"] },
    Rule { module: "manual", may: &[] },
    // It judges what others found.
    Rule {
        module: "check",
        may: &[
            "schedule::**",
            "store::cascades",
            "store::inspect",
            "store::prune::**",
            "system::disk",
            "system::broker",
        ],
    },
];

/// Modules in which SQL may stand: the databases, and the demo, which builds one.
const SQL_MODULES: [&str; 2] = ["store", "demo"];

/// The one module that looks at the clock; everybody else is told the time.
const CLOCK_MODULES: [&str; 1] = ["run"];

struct Source {
    file: String,
    module: String,
    text: String,
}

struct Import {
    line: usize,
    path: String,
}

#[test]
fn every_import_is_one_that_the_rule_allows() {
    let sources = sources();
    assert!(sources.len() > 5, "src/ holds {} files", sources.len());
    let found = violations(&sources);
    assert!(found.is_empty(), "\n{}", found.join("\n"));
}

#[test]
fn sql_stands_in_the_store_and_nowhere_else() {
    let found = foreign_sql(&sources());
    assert!(found.is_empty(), "\n{}", found.join("\n"));
}

#[test]
fn only_run_reads_the_clock() {
    let found = clock_reads(&sources());
    assert!(found.is_empty(), "\n{}", found.join("\n"));
}

fn sources() -> Vec<Source> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let entries =
        walkdir::WalkDir::new(&root).sort_by_file_name().into_iter().map(|entry| entry.unwrap());
    let files = entries.filter(|entry| entry.path().extension().is_some_and(|end| end == "rs"));
    let sources = files.map(|entry| {
        let inside = entry.path().strip_prefix(&root).unwrap().to_str().unwrap().to_owned();
        let text = std::fs::read_to_string(entry.path()).unwrap();
        source(&inside, &text)
    });
    sources.filter(|source| !source.file.ends_with("tests.rs")).collect()
}

fn source(inside: &str, text: &str) -> Source {
    let module = inside.trim_end_matches(".rs").trim_end_matches("/mod").replace('/', "::");
    Source { file: format!("src/{inside}"), module, text: without_tests(text).into() }
}

/// The text up to its `#[cfg(test)] mod …`, which stands last by convention.
fn without_tests(text: &str) -> &str {
    let mut from = 0;
    while let Some(at) = text[from..].find("#[cfg(test)]") {
        let behind = text[from + at + "#[cfg(test)]".len()..].trim_start();
        if behind.starts_with("mod ") && !behind.lines().next().unwrap().ends_with(';') {
            return &text[..from + at];
        }
        from += at + 1;
    }
    text
}

// ---- the import rule

fn violations(sources: &[Source]) -> Vec<String> {
    let modules: BTreeSet<&str> = sources.iter().map(|source| source.module.as_str()).collect();
    let mut found = Vec::new();
    for source in sources {
        let Some(rule) = rule_of(&source.module) else {
            found
                .push(format!("{}: the module {} has no row in RULES", source.file, source.module));
            continue;
        };
        for import in imports(source) {
            let target = module_of(&import.path, &modules);
            if !allowed(rule, &source.module, &target) {
                found.push(format!(
                    "{}:{}: {} must not import {}",
                    source.file, import.line, source.module, import.path
                ));
            }
        }
    }
    found
}

fn rule_of(module: &str) -> Option<&'static Rule> {
    let fitting = RULES.iter().filter(|rule| within(module, rule.module));
    fitting.max_by_key(|rule| rule.module.len())
}

fn within(module: &str, outer: &str) -> bool {
    module == outer || module.strip_prefix(outer).is_some_and(|rest| rest.starts_with("::"))
}

fn allowed(rule: &Rule, importer: &str, target: &str) -> bool {
    let own = within(target, importer) || within(target, rule.module) || importer == target;
    // Words import nothing but each other; the same list, so that no row has to repeat it.
    own || WORDS.iter().chain(rule.may).any(|pattern| match pattern.strip_suffix("**") {
        Some("") => target != "cli" || importer == "run" || importer.starts_with("run::"),
        Some(outer) => within(target, outer.trim_end_matches("::")),
        None => target == *pattern,
    })
}

/// The deepest module on an imported path: `store::DayFigures` is of `store`, `store::target::Target` of `store::target`.
fn module_of(path: &str, modules: &BTreeSet<&str>) -> String {
    let mut parts: Vec<&str> = path.split("::").collect();
    while parts.len() > 1 && !modules.contains(parts.join("::").as_str()) {
        parts.pop();
    }
    parts.join("::")
}

/// Every path into the crate, relative to its root.
fn imports(source: &Source) -> Vec<Import> {
    let code = blank(&source.text, Keep::Code);
    let mut found = Vec::new();
    // How far above the place each root begins; `None`: at the root of the crate.
    let roots =
        [("crate::", None), ("taskmon::", None), ("super::super::", Some(2)), ("super::", Some(1))];
    let mut taken = BTreeSet::new();
    for (root, above) in roots {
        for (at, _) in code.match_indices(root) {
            let inside_word =
                code[..at].ends_with(|c: char| c.is_alphanumeric() || c == '_' || c == ':');
            if inside_word || !taken.insert(at) {
                continue;
            }
            let line = code[..at].matches('\n').count() + 1;
            let mut paths = Vec::new();
            let base = above.map_or(String::new(), |levels| {
                ancestor(&source.module, levels - inline_modules(&code, at).min(levels))
            });
            expand(&code[at + root.len()..], &base, &mut paths);
            found.extend(paths.into_iter().map(|path| Import { line, path }));
        }
    }
    found.sort_by(|one, other| (one.line, &one.path).cmp(&(other.line, &other.path)));
    found
}

/// The module so many levels above another.
fn ancestor(module: &str, levels: usize) -> String {
    let parts: Vec<&str> = module.split("::").collect();
    parts[..parts.len().saturating_sub(levels)].join("::")
}

/// How many modules within the file, such as `pub mod optional_url { … }`, a place is in.
fn inline_modules(code: &str, at: usize) -> usize {
    let opened = code[..at].match_indices("mod ").filter(|(start, _)| {
        let body =
            code[*start..at].find('{').filter(|open| !code[*start..start + open].contains(';'));
        body.is_some_and(|open| {
            let inside = &code[start + open..at];
            inside.matches('{').count() > inside.matches('}').count()
        })
    });
    opened.count()
}

/// Reads one use tree or path at the start of `code` and gives what is behind it.
fn expand<'c>(code: &'c str, base: &str, paths: &mut Vec<String>) -> &'c str {
    let code = code.trim_start();
    if let Some(mut rest) = code.strip_prefix('{') {
        loop {
            rest = expand(rest, base, paths).trim_start();
            match rest.strip_prefix(',') {
                Some(more) if !more.trim_start().starts_with('}') => rest = more,
                Some(more) => return more.trim_start().strip_prefix('}').unwrap_or(more),
                None => return rest.strip_prefix('}').unwrap_or(rest),
            }
        }
    }
    let end =
        code.find(|c: char| !(c.is_alphanumeric() || c == '_' || c == '*')).unwrap_or(code.len());
    let (word, rest) = code.split_at(end);
    let path = match (base, word) {
        (base, "self" | "*" | "") => base.to_owned(),
        ("", word) => word.to_owned(),
        (base, word) => format!("{base}::{word}"),
    };
    if let Some(deeper) = rest.strip_prefix("::") {
        return expand(deeper, &path, paths);
    }
    paths.push(path);
    let rest = rest.trim_start();
    match rest.strip_prefix("as ") {
        Some(name) => {
            name.trim_start_matches(|c: char| c.is_alphanumeric() || c == '_' || c == ' ')
        }
        None => rest,
    }
}

// ---- the other two rules

fn foreign_sql(sources: &[Source]) -> Vec<String> {
    let openings =
        ["SELECT ", "INSERT INTO ", "UPDATE ", "DELETE FROM ", "CREATE TABLE ", "WITH ", "PRAGMA "];
    let mut found = Vec::new();
    for source in sources {
        if SQL_MODULES.iter().any(|module| within(&source.module, module)) {
            continue;
        }
        let strings = blank(&source.text, Keep::Strings);
        for (number, line) in strings.lines().enumerate() {
            if openings
                .iter()
                .any(|opening| line.trim_start_matches([' ', '"', '#', 'r']).starts_with(opening))
            {
                found.push(format!("{}:{}: SQL outside the store", source.file, number + 1));
            }
        }
    }
    found
}

fn clock_reads(sources: &[Source]) -> Vec<String> {
    let mut found = Vec::new();
    for source in sources {
        if CLOCK_MODULES.iter().any(|module| within(&source.module, module)) {
            continue;
        }
        let code = blank(&source.text, Keep::Code);
        for (number, line) in code.lines().enumerate() {
            if ["Utc::now", "Local::now", "SystemTime::now"].iter().any(|read| line.contains(read))
            {
                found.push(format!("{}:{}: the time is a parameter", source.file, number + 1));
            }
        }
    }
    found
}

// ---- reading Rust just well enough

#[derive(Clone, Copy, PartialEq)]
enum Keep {
    Code,
    Strings,
}

/// The text with comments, and strings or code, turned into spaces; line breaks stay where they are.
fn blank(text: &str, keep: Keep) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let (length, is_string, is_comment) = token(rest, out.chars().last());
        let shown = !is_comment && is_string == (keep == Keep::Strings);
        let part = &rest[..length.max(first.len_utf8())];
        out.extend(part.chars().map(|c| if shown || c == '\n' { c } else { ' ' }));
        rest = &rest[part.len()..];
    }
    out
}

/// The length of the comment, string or single character that the text starts with, and which of them it is.
fn token(text: &str, before: Option<char>) -> (usize, bool, bool) {
    let up_to = |mark: &str, from: usize| {
        text[from..].find(mark).map_or(text.len(), |at| from + at + mark.len())
    };
    if text.starts_with("//") {
        return (text.find('\n').unwrap_or(text.len()), false, true);
    }
    if text.starts_with("/*") {
        return (up_to("*/", 2), false, true);
    }
    if text.starts_with('"') {
        return (end_of_string(text), true, false);
    }
    let in_word = before.is_some_and(|c| c.is_alphanumeric() || c == '_');
    if let (Some(raw), false) = (text.strip_prefix('r'), in_word) {
        let hashes = raw.len() - raw.trim_start_matches('#').len();
        if raw[hashes..].starts_with('"') {
            return (up_to(&format!("\"{}", "#".repeat(hashes)), hashes + 2), true, false);
        }
    }
    // A character literal, so that '"' opens no string; a lifetime has no closing quote.
    let quoted =
        text.starts_with('\'').then(|| if text[1..].starts_with('\\') { up_to("'", 3) } else { 0 });
    match quoted {
        Some(length) if length > 0 => (length, true, false),
        Some(_) if text.chars().nth(2) == Some('\'') => {
            (text.char_indices().nth(3).map_or(text.len(), |(at, _)| at), true, false)
        }
        _ => (0, false, false),
    }
}

fn end_of_string(text: &str) -> usize {
    let mut escaped = false;
    for (at, c) in text.char_indices().skip(1) {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '"' => return at + 1,
            _ => {}
        }
    }
    text.len()
}

// ---- a check that cannot fail proves nothing

/// What is found in made-up files beside the store and a database in it.
fn found_in(inside: &str, text: &str) -> Vec<String> {
    let mut sources = vec![source(inside, text)];
    for other in [
        "store/mod.rs",
        "store/postgres.rs",
        "store/target.rs",
        "cli.rs",
        "stats/mod.rs",
        "system/disk.rs",
    ] {
        if other != inside {
            sources.push(source(other, ""));
        }
    }
    violations(&sources)
}

#[test]
fn a_forbidden_import_is_named_with_its_file_and_line() {
    let found = found_in("stats/trend.rs", "//! Trends.\n\nuse crate::cli::Cli;\n");
    assert_eq!(found, ["src/stats/trend.rs:3: stats::trend must not import cli::Cli"]);
}

#[test]
fn a_forbidden_import_is_found_in_every_form() {
    for (inside, text) in [
        ("stats/trend.rs", "use crate::{mapping::State, cli::{Cli}};"),
        (
            "stats/trend.rs",
            "use crate::{\n    units::percent,\n    store::{Store, postgres::Postgres as P},\n};",
        ),
        ("stats/trend.rs", "fn f() -> crate::report::Page { todo() }"),
        ("stats/trend.rs", "use super::super::cli::Cli;"),
        ("stats/mod.rs", "use super::cli;"),
        ("stats/trend.rs", "pub(crate) use crate::cli::*;"),
        ("stats/trend.rs", "const Q: char = '\"'; use crate::cli::Cli; const R: char = '\"';"),
        ("mapping/mod.rs", "use crate::store::Store;"),
        ("units.rs", "use crate::config::Config;"),
        ("store/sqlite.rs", "mod a {}\nuse super::postgres::connect;"),
        ("store/sqlite.rs", "mod a { use super::super::postgres::connect; }"),
        ("store/sqlite.rs", "use super::postgres::connect;"),
        ("store/sqlite/time.rs", "use crate::store::postgres::connect;"),
        ("report/text.rs", "use crate::store::DayFigures;"),
        ("system/disk.rs", "use crate::stats::DailyReport;"),
        ("main.rs", "use taskmon::config::Config;"),
        ("config/mod.rs", "use crate::store::postgres::connect;"),
        ("surprise.rs", ""),
    ] {
        assert_eq!(
            found_in(inside, text).len(),
            1,
            "{inside}: {text}: {:?}",
            found_in(inside, text)
        );
    }
}

#[test]
fn what_is_allowed_and_what_is_no_import_is_left_alone() {
    for (inside, text) in [
        (
            "stats/trend.rs",
            "use crate::store::{DayFigures, Store};\nuse crate::mapping::{self, State as S,};\nuse super::tasks::x;",
        ),
        ("stats/trend.rs", "use crate::system::disk::{Disk};"),
        (
            "stats/trend.rs",
            "// use crate::cli::Cli;\n/* crate::cli::Cli */ const A: &str = \"crate::cli::Cli\";",
        ),
        ("stats/trend.rs", "const A: &str = r#\"a \" crate::cli::Cli\"#; fn f<'a>(x: &'a str) {}"),
        ("stats/trend.rs", "#[cfg(test)]\nmod tests {\n    use crate::cli::Cli;\n}"),
        ("store/mod.rs", "use crate::store::postgres::Postgres;"),
        ("config/mod.rs", "use crate::store::target::Target;"),
        ("run.rs", "use crate::cli::Cli;\nuse crate::store::postgres::connect;"),
        ("main.rs", "use taskmon::run::run;"),
        (
            "units.rs",
            "struct A;\nmod b { use super::A; }\npub mod c { mod d { use super::super::A; } }",
        ),
        ("stats/trend.rs", "use other_crate::cli::Cli; use chrono::crate_like;"),
    ] {
        assert_eq!(found_in(inside, text), Vec::<String>::new(), "{inside}: {text}");
    }
}

#[test]
fn sql_and_clock_reads_in_the_wrong_place_are_found() {
    let wrong = [source("stats/trend.rs", "const Q: &str = \"SELECT 1\";\nfn f() { Utc::now(); }")];
    assert_eq!(foreign_sql(&wrong).len(), 1);
    assert_eq!(clock_reads(&wrong).len(), 1);
    let right = [
        source("store/sqlite.rs", "const Q: &str = \"SELECT 1\";"),
        source("run.rs", "fn f() { Utc::now(); }"),
        source(
            "stats/trend.rs",
            "// Utc::now, \"SELECT 1\"\nfn select() { let update = \"see SELECT 1\"; }",
        ),
    ];
    assert_eq!(foreign_sql(&right), Vec::<String>::new());
    assert_eq!(clock_reads(&right), Vec::<String>::new());
}
