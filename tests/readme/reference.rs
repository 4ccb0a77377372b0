//! The manual's tables against the program: nothing is left out, and nothing is explained that is not there.

use super::blocks::shell;
use super::{Document, ENGLISH, page, root};
use serde_json::{Map, Value};
use std::collections::BTreeSet;

/// The words between backticks in the first cells of the tables of a document whose header starts with `header`, up to the first of ` `, `{`.
fn first_cells(document: &Document, headers: [&str; 2]) -> BTreeSet<String> {
    let text = document.text();
    let mut is_wanted = false;
    let mut found = BTreeSet::new();
    for line in text.lines() {
        let Some(cells) = line.strip_prefix("| ") else {
            is_wanted = is_wanted && line.starts_with("|-");
            continue;
        };
        let first = cells.split(" |").next().unwrap();
        if headers.contains(&first) {
            is_wanted = true;
        } else if is_wanted {
            let words = first.split('`').skip(1).step_by(2);
            found.extend(words.map(|word| word.split([' ', '{']).next().unwrap().to_owned()));
        }
    }
    found
}

#[track_caller]
fn assert_both_name(documents: &[Document], what: &str, words: &BTreeSet<String>) {
    assert!(!words.is_empty(), "{what}");
    for document in documents {
        let text = document.text();
        for word in words {
            let forms = [
                format!("`{word}`"),
                format!("`{word} "),
                format!("{word}`"),
                format!("\"{word}\""),
            ];
            let is_there = forms.iter().any(|form| text.contains(form));
            assert!(is_there, "{} does not name the {what} {word}", document.name);
        }
    }
}

/// The Rust code of a module, be it a file or a folder, without its tests; `""`: of all.
fn sources(module: &str) -> String {
    let root = root().join("src");
    let files = walkdir::WalkDir::new(&root).sort_by_file_name().into_iter();
    let files = files.map(|entry| entry.unwrap().into_path()).filter(|path| {
        let inside = path.strip_prefix(&root).unwrap().to_str().unwrap();
        inside.starts_with(module) && inside.ends_with(".rs") && !inside.ends_with("tests.rs")
    });
    let texts = files.map(|file| {
        let text = std::fs::read_to_string(file).unwrap();
        text.split("#[cfg(test)]").next().unwrap().to_owned()
    });
    texts.collect()
}

fn printed(command: &str) -> String {
    let folder = tempfile::tempdir().unwrap();
    let (code, text) = shell(command, folder.path(), 0, ENGLISH);
    assert_eq!(code, 0, "{command}: {text}");
    text
}

/// The long options that a command's help names.
fn options(command: &str) -> BTreeSet<String> {
    let help = printed(&format!("taskmon {command} --help"));
    // Examples name other commands' options too.
    let lines = help.lines().map(str::trim).filter(|line| line.starts_with('-'));
    let terms = lines.map(|line| line.split("  ").next().unwrap());
    let words = terms.flat_map(|term| term.split([' ', ',', '.']));
    let names = words.filter(|word| word.starts_with("--")).map(str::to_owned);
    names.collect()
}

#[test]
fn every_option_is_explained_on_the_page_of_its_command() {
    // It has none of its own.
    let common = options("completions");
    assert_both_name(&page("options"), "option", &common);
    for command in [
        "cleanup",
        "stats",
        "disk",
        "alert",
        "check",
        "schedule list",
        "schedule status",
        "schedule logs",
        "schedule install",
        "schedule remove",
        "demo",
        "config",
        "help",
        "man",
    ] {
        let specific: BTreeSet<String> = options(command).difference(&common).cloned().collect();
        if !specific.is_empty() {
            let name = command.split(' ').next().unwrap();
            assert_both_name(&page(name), "option", &specific);
        }
    }
}

#[test]
fn every_kind_of_error_is_explained_with_its_exit_code() {
    let outcome = sources("outcome");
    let (_, behind) = outcome.split_once("pub enum Kind {").unwrap();
    let variants = behind.split_once('}').unwrap().0.lines().map(str::trim);
    let variants = variants.filter(|line| line.ends_with(',') && !line.starts_with('/'));
    let (_, codes) = outcome.split_once("match self {").unwrap();
    let arms: Vec<&str> = codes.split(",\n").take(3).collect();
    for document in page("exit-codes") {
        let text = document.text();
        let rows = text.lines().filter(|line| line.starts_with("| `"));
        let explained: BTreeSet<(String, String)> = rows
            .filter_map(|row| {
                let cells: Vec<&str> = row.split(" | ").collect();
                cells[1].parse::<u8>().ok()?;
                Some((cells[0].trim_matches(['|', ' ', '`']).to_owned(), cells[1].to_owned()))
            })
            .collect();
        let expected = variants.clone().map(|line| {
            let name = line.trim_end_matches(',');
            let arm = arms
                .iter()
                .find(|arm| arm.split_whitespace().any(|word| word == format!("Kind::{name}")));
            let code = arm.map_or("3", |arm| arm.rsplit(' ').next().unwrap());
            (snake_case(name), code.to_owned())
        });
        assert_eq!(explained, expected.collect(), "{}", document.name);
    }
}

fn snake_case(name: &str) -> String {
    let mut text = String::new();
    for letter in name.chars() {
        if letter.is_uppercase() && !text.is_empty() {
            text.push('_');
        }
        text.extend(letter.to_lowercase());
    }
    text
}

/// The kinds that the sources give to an entry of `errors` in so many words.
#[test]
fn every_kind_of_issue_is_explained() {
    let sources = sources("");
    let issues = sources.split("Issue::new(").skip(1).map(str::trim_start);
    let literals = issues.filter_map(|issue| issue.strip_prefix('"'));
    let kinds: BTreeSet<String> =
        literals.map(|literal| literal.split('"').next().unwrap().to_owned()).collect();
    assert!(kinds.len() > 10, "{kinds:?}");
    assert_both_name(&page("exit-codes"), "kind of issue", &kinds);
}

#[test]
fn every_key_of_the_results_is_explained() {
    let folder = tempfile::tempdir().unwrap();
    let mut keys = BTreeSet::new();
    for command in [
        "taskmon demo . > /dev/null && taskmon stats --no-alert",
        "taskmon cleanup --dry-run",
        "taskmon disk . --no-alert",
        "printf '[[alerts.channels]]\ntype = \"command\"\ncommand = [\"true\"]\n' >> taskmon.toml && taskmon alert 2> /dev/null",
        "taskmon check",
        "taskmon schedule status",
        "taskmon schedule logs",
        "taskmon schedule install --dry-run",
        "taskmon schedule install --systemd --unit-dir units",
    ] {
        let (code, text) = shell(command, folder.path(), 0, ENGLISH);
        assert_eq!(code, 0, "{text}");
        collect_keys(&serde_json::from_str(&text).unwrap(), &mut keys);
    }
    assert!(keys.len() > 50, "{keys:?}");
    assert_both_name(&page("results"), "key", &keys);
}

/// The names of keys, at any depth. The keys of maps of hours, labels, categories or counts are no names.
fn collect_keys(value: &Value, keys: &mut BTreeSet<String>) {
    match value {
        Value::Object(entries) => {
            for (key, entry) in entries {
                keys.insert(key.clone());
                let is_map = [
                    "raw_status_breakdown",
                    "hourly_distribution",
                    "error_categories",
                    "retry_statistics",
                ];
                // `channels` is a list, and of each decision a map by the channels' names.
                let names_channels = key == "channels" && entry.is_object();
                if !is_map.contains(&key.as_str()) && !names_channels {
                    collect_keys(entry, keys);
                }
            }
        }
        Value::Array(entries) => entries.iter().for_each(|entry| collect_keys(entry, keys)),
        _ => {}
    }
}

#[test]
fn every_key_of_the_configuration_is_explained_with_its_default() {
    let defaults: toml::Table = printed("taskmon config --default").parse().unwrap();
    let effective: Value = serde_json::from_str(&printed("taskmon config")).unwrap();
    let mut sections = Vec::new();
    collect_sections("", effective.as_object().unwrap(), &mut sections);
    for document in page("config") {
        let text = document.text();
        for (section, keys) in &sections {
            let start = if section.is_empty() {
                text.find("| `base_dir` |")
            } else {
                text.find(&format!("\n## [{section}]\n"))
            };
            let start = start.unwrap_or_else(|| panic!("{}: no [{section}]", document.name));
            let part = text[start..].split("\n## ").find(|part| !part.is_empty()).unwrap();
            for key in keys {
                let row = part.lines().find(|line| line.starts_with(&format!("| `{key}` |")));
                let row = row.unwrap_or_else(|| panic!("{}: no {section}.{key}", document.name));
                let path = section.split('.').filter(|name| !name.is_empty());
                let table =
                    path.into_iter().try_fold(&defaults, |table, name| table.get(name)?.as_table());
                let default =
                    table.and_then(|table| table.get(key)).filter(|value| !is_tables(value));
                if let Some(default) = default {
                    let shown = row.split('|').nth(2).unwrap().trim().trim_matches('`');
                    let shown: toml::Table = format!("x = {shown}").parse().unwrap();
                    assert_eq!(&shown["x"], default, "{}: {section}.{key}", document.name);
                }
            }
        }
    }
}

fn is_tables(value: &toml::Value) -> bool {
    value.as_array().is_some_and(|entries| entries.iter().any(toml::Value::is_table))
}

/// The keys of each section. The tables' own keys are on another page, and `file` and `sources` are no keys of the file.
fn collect_sections(
    name: &str,
    entries: &Map<String, Value>,
    sections: &mut Vec<(String, Vec<String>)>,
) {
    let mut keys = Vec::new();
    for (key, value) in entries {
        let path = if name.is_empty() { key.clone() } else { format!("{name}.{key}") };
        let elsewhere = ["file", "sources", "database.tasks", "database.receipts"];
        if elsewhere.contains(&path.as_str()) {
            continue;
        }
        match value.as_object() {
            Some(section) => collect_sections(&path, section, sections),
            None => keys.push(key.clone()),
        }
    }
    sections.push((name.to_owned(), keys));
}

#[test]
fn every_key_of_the_mapping_is_explained() {
    let effective: Value = serde_json::from_str(&printed("taskmon config")).unwrap();
    for table in ["tasks", "receipts"] {
        let mut keys = BTreeSet::new();
        collect_keys(&effective["database"][table], &mut keys);
        assert_both_name(&page("mapping"), "key", &keys);
    }
}

#[test]
fn every_preset_is_listed() {
    let files = std::fs::read_dir(root().join("src/mapping/presets")).unwrap();
    let names: BTreeSet<String> = files
        .map(|file| file.unwrap().path().file_stem().unwrap().to_str().unwrap().to_owned())
        .collect();
    for document in page("presets") {
        assert_eq!(first_cells(&document, ["preset", "预设"]), names, "{}", document.name);
    }
}

#[test]
fn every_channel_has_a_page() {
    let folder = tempfile::tempdir().unwrap();
    let text = "[[alerts.channels]]\ntype = \"none\"\n";
    std::fs::write(folder.path().join("taskmon.toml"), text).unwrap();
    let (_, refused) = shell("taskmon config 2> /dev/null", folder.path(), 0, ENGLISH);
    let refused: Value = serde_json::from_str(&refused).unwrap();
    let message = refused["error"]["message"].as_str().unwrap();
    let (_, allowed) = message.split_once("one of ").unwrap();
    let allowed: BTreeSet<&str> = allowed.split('"').skip(1).step_by(2).collect();
    let pages: Vec<String> = super::pages().iter().map(|[page, _]| page.name.clone()).collect();
    let named = pages.iter().filter_map(|name| name.split_once("/channel-"));
    assert_eq!(
        named.map(|(_, name)| name.trim_end_matches(".md")).collect::<BTreeSet<_>>(),
        allowed
    );
}

#[test]
fn every_metric_is_listed_and_no_other() {
    let mut written = BTreeSet::new();
    let text = printed(
        "taskmon demo . > /dev/null; for job in stats cleanup disk alert; do taskmon $job --textfile $job.prom -qq > /dev/null; done; cat *.prom",
    );
    let help = text.lines().filter_map(|line| line.strip_prefix("# HELP "));
    written.extend(help.map(|line| line.split(' ').next().unwrap().to_owned()));
    assert!(written.len() > 40, "{written:?}");
    let source = sources("report/prometheus");
    for document in page("prometheus") {
        let listed = first_cells(&document, ["metric", "指标"]);
        let missing: Vec<&String> = written.difference(&listed).collect();
        assert!(missing.is_empty(), "{}: {missing:?}", document.name);
        for metric in listed.difference(&written) {
            // The job's name may be in front of it.
            let rest = metric.splitn(3, '_').nth(2).unwrap();
            let forms = [
                format!("\"{metric}\""),
                format!("\"{rest}\""),
                format!("\"{}\"", rest.trim_start_matches("queue_")),
                format!("\"{}\"", rest.trim_start_matches("by_queue_")),
            ];
            assert!(forms.iter().any(|form| source.contains(form)), "{}: {metric}", document.name);
        }
    }
}

#[test]
fn every_alert_of_a_rule_is_explained() {
    let sources = sources("rules");
    let literals = sources.split("kind: \"").skip(1);
    let mut kinds: BTreeSet<String> =
        literals.map(|literal| literal.split('"').next().unwrap().to_owned()).collect();
    kinds.remove("test");
    assert!(kinds.len() > 3, "{kinds:?}");
    assert_both_name(&page("rules"), "alert", &kinds);
}
