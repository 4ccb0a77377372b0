//! The READMEs are executed: what they show is what happens.
//!
//! - A block fenced as ```` ```console ```` is run, command by command, in one folder that starts out empty and with the
//!   binary on PATH. A command is a line that starts with `$ `; a line that ends with `\` goes on in the next one.
//!   The lines up to the next command are what it prints (both streams): not compared where there are none, else compared line by line;
//!   `…` stands for any part of a line, and a line of nothing but `…` for any number of lines.
//! - In ```` ```console figures ```` the figures are an example of what comes on another day: a number or date stands for any, and
//!   so do weekdays, directions, the bars of a curve and the width of a gap.
//! - `cargo run … -- ARGUMENTS` runs the binary that the test was built with. `cd` lasts until the end of the file.
//! - A command must succeed, unless the next one is `echo $?`.
//! - A comment `<!-- test: COMMAND -->` is a command that readers do not see, for what a block needs to be there.
//! - A ```` ```toml ```` block must be a configuration that taskmon accepts.
//! - A ```` ```crontab ```` block has lines of `crontab.example`.
//! - A ```` ```sh ```` block is not run, but every script of this repository that it names must exist.
//! - `README.zh-CN.md` has the same blocks, and the same comments, as `README.md`; each is run in its language, so that what
//!   commands print may differ, and so may the values of a configuration.
//! - Both name every option, every kind of error and every key of the results.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// A README and the locale of its readers.
struct Readme {
    name: &'static str,
    locale: &'static str,
}

const ENGLISH: Readme = Readme { name: "README.md", locale: "C.UTF-8" };
const CHINESE: Readme = Readme { name: "README.zh-CN.md", locale: "zh_CN.UTF-8" };

/// A piece of a README that a test looks at.
#[derive(Debug, PartialEq)]
struct Block {
    line: usize,
    language: String,
    text: String,
}

#[derive(Debug, PartialEq)]
struct Step {
    line: usize,
    command: String,
    /// `None`: nothing is shown, so anything may come.
    output: Option<String>,
    figures: Figures,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Figures {
    AsShown,
    /// Another day has others.
    Any,
}

#[test]
fn every_console_block_prints_what_it_shows() {
    every_block_of(&ENGLISH);
}

#[test]
fn every_console_block_prints_what_it_shows_in_chinese() {
    every_block_of(&CHINESE);
}

fn every_block_of(readme: &Readme) {
    let steps: Vec<Step> = blocks(&readme.text()).iter().flat_map(steps).collect();
    assert!(steps.len() > 2, "{} commands", steps.len());
    let folder = tempfile::tempdir().unwrap();
    run(&steps, folder.path(), readme.locale).unwrap_or_else(|why| panic!("{}:{why}", readme.name));
}

#[test]
fn every_configuration_is_accepted() {
    for readme in [ENGLISH, CHINESE] {
        let blocks = blocks(&readme.text());
        for block in blocks.iter().filter(|block| block.language == "toml") {
            let folder = tempfile::tempdir().unwrap();
            std::fs::write(folder.path().join("taskmon.toml"), &block.text).unwrap();
            let (code, output) = shell("taskmon config", folder.path(), 0, readme.locale);
            let place = format!("{}:{}", readme.name, block.line);
            assert_eq!(code, 0, "{place}: {output}");
            assert!(!output.contains("WARN"), "{place}: {output}");
        }
    }
}

#[test]
fn every_script_that_is_named_exists() {
    for readme in [ENGLISH, CHINESE] {
        let blocks = blocks(&readme.text());
        for block in blocks.iter().filter(|block| block.language == "sh") {
            let words = block.text.split_whitespace().map(|word| word.trim_start_matches("./"));
            for word in
                words.filter(|word| word.starts_with("scripts/") || word.starts_with(".ci/"))
            {
                assert!(
                    root().join(word).is_file(),
                    "{}:{}: {word} does not exist",
                    readme.name,
                    block.line
                );
            }
        }
    }
}

#[test]
fn every_line_for_cron_is_in_the_example_file() {
    let example = std::fs::read_to_string(root().join("crontab.example")).unwrap();
    let lines: Vec<&str> = example.lines().collect();
    let blocks = blocks(&ENGLISH.text());
    let mut shown = 0;
    for block in blocks.iter().filter(|block| block.language == "crontab") {
        for line in block.text.lines() {
            assert!(lines.contains(&line), "{}: {line}", block.line);
            shown += 1;
        }
    }
    let jobs = lines.iter().filter(|line| line.contains("nice -n")).count();
    assert!(shown >= jobs, "{shown} lines are shown of {jobs} jobs");
}

#[test]
fn both_languages_show_the_same_blocks() {
    let contents = |readme: &Readme| -> Vec<(String, Vec<String>)> {
        let blocks = blocks(&readme.text()).into_iter();
        let shown = blocks.map(|block| match block.language.starts_with("console") {
            true => {
                let commands = steps(&block).into_iter().map(|step| step.command);
                (block.language, commands.collect())
            }
            // Values and comments are the reader's own, such as the language.
            false if block.language == "toml" => {
                let keys = block
                    .text
                    .lines()
                    .map(|line| line.split(['=', '#']).next().unwrap().trim().to_owned());
                (block.language, keys.collect())
            }
            false => (block.language, vec![block.text]),
        });
        shown.collect()
    };
    assert_eq!(contents(&ENGLISH), contents(&CHINESE));
}

#[test]
fn both_languages_have_the_same_headings() {
    let levels = |readme: &Readme| -> Vec<usize> {
        let text = readme.text();
        // A comment in a block is no heading.
        let prose = text.split("```").step_by(2);
        let lines = prose.flat_map(str::lines);
        lines
            .map(|line| line.len() - line.trim_start_matches('#').len())
            .filter(|level| *level > 0)
            .collect()
    };
    assert!(levels(&ENGLISH).len() > 10);
    assert_eq!(levels(&ENGLISH), levels(&CHINESE));
}

// ---- nothing is left out

#[track_caller]
fn both_name(what: &str, words: &[String]) {
    assert!(words.len() > 5, "{what}: {words:?}");
    for readme in [ENGLISH, CHINESE] {
        let text = readme.text();
        for word in words {
            let named = [
                format!("`{word}`"),
                format!("`{word} "),
                format!("{word}`"),
                format!("\"{word}\""),
            ];
            let is_there = named.iter().any(|form| text.contains(form));
            assert!(is_there, "{} lacks the {what} {word}", readme.name);
        }
    }
}

#[test]
fn every_option_is_explained() {
    let folder = tempfile::tempdir().unwrap();
    let mut options = Vec::new();
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
        "completions",
        "man",
    ] {
        let help = format!("taskmon {command} --help");
        let (_, help) = shell(&help, folder.path(), 0, ENGLISH.locale);
        let words = help.split_whitespace().filter(|word| word.starts_with("--"));
        // Examples quote or continue them.
        let names = words.map(|word| word.trim_end_matches([',', '.', ';', ':']).to_owned());
        options.extend(names.filter(|name| !["--help"].contains(&name.as_str())));
    }
    options.sort();
    options.dedup();
    both_name("option", &options);
}

#[test]
fn every_kind_of_error_is_explained() {
    let source = std::fs::read_to_string(root().join("src/outcome.rs")).unwrap();
    let (_, behind) = source.split_once("pub enum Kind {").unwrap();
    let variants = behind.split_once('}').unwrap().0.lines().map(str::trim);
    let kinds: Vec<String> = variants
        .filter(|line| line.ends_with(',') && !line.starts_with('/'))
        .map(|line| snake_case(line.trim_end_matches(',')))
        .collect();
    both_name("kind of error", &kinds);
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

#[test]
fn every_key_of_the_results_is_explained() {
    let folder = tempfile::tempdir().unwrap();
    let mut keys = Vec::new();
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
        let (code, printed) = shell(command, folder.path(), 0, ENGLISH.locale);
        assert_eq!(code, 0, "{printed}");
        collect_keys(&serde_json::from_str(&printed).unwrap(), &mut keys);
    }
    keys.sort();
    keys.dedup();
    assert!(keys.len() > 50, "{keys:?}");
    both_name("key", &keys);
}

/// The names of keys, at any depth. What stands in a map of hours, labels, categories or counts is no name.
fn collect_keys(value: &serde_json::Value, keys: &mut Vec<String>) {
    match value {
        serde_json::Value::Object(entries) => {
            for (key, entry) in entries {
                keys.push(key.clone());
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
        serde_json::Value::Array(entries) => {
            entries.iter().for_each(|entry| collect_keys(entry, keys));
        }
        _ => {}
    }
}

fn root() -> PathBuf {
    env!("CARGO_MANIFEST_DIR").into()
}

impl Readme {
    fn text(&self) -> String {
        let path = root().join(self.name);
        std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", self.name))
    }
}

/// The fenced blocks, and the comments that are commands as blocks of the language `test`.
fn blocks(text: &str) -> Vec<Block> {
    let mut found: Vec<Block> = Vec::new();
    let mut open = false;
    for (number, line) in text.lines().enumerate() {
        let hidden = line.strip_prefix("<!-- test: ").and_then(|rest| rest.strip_suffix(" -->"));
        if let Some(language) = line.strip_prefix("```") {
            open = !open;
            if open {
                found.push(block(number + 2, language.trim(), ""));
            }
        } else if open {
            let last = found.last_mut().unwrap();
            last.text += line;
            last.text.push('\n');
        } else if let Some(command) = hidden {
            found.push(block(number + 1, "test", command));
        }
    }
    assert!(!open, "a block is not closed");
    found
}

fn block(line: usize, language: &str, text: &str) -> Block {
    Block { line, language: language.into(), text: text.into() }
}

fn steps(block: &Block) -> Vec<Step> {
    match block.language.as_str() {
        "test" => vec![step(block.line, &block.text, Figures::AsShown)],
        "console" => console_steps(block, Figures::AsShown),
        "console figures" => console_steps(block, Figures::Any),
        _ => Vec::new(),
    }
}

fn step(line: usize, command: &str, figures: Figures) -> Step {
    Step { line, command: command.into(), output: None, figures }
}

fn console_steps(block: &Block, figures: Figures) -> Vec<Step> {
    let mut steps: Vec<Step> = Vec::new();
    for (number, line) in block.text.lines().enumerate() {
        let at = block.line + number;
        match (line.strip_prefix("$ "), steps.last_mut()) {
            (Some(command), _) => steps.push(step(at, command, figures)),
            (None, Some(last)) if last.output.is_none() && last.command.ends_with('\\') => {
                last.command.push('\n');
                last.command += line;
            }
            (None, Some(last)) => {
                let output = last.output.get_or_insert_default();
                *output += line;
                output.push('\n');
            }
            (None, None) => panic!("line {at}: a console block starts with a command"),
        }
    }
    steps
}

/// Runs the steps one after the other; the error says which line is wrong, and how.
fn run(steps: &[Step], folder: &Path, locale: &str) -> Result<(), String> {
    let mut place = folder.to_path_buf();
    let mut status = 0;
    for (number, step) in steps.iter().enumerate() {
        let command = with_the_built_binary(&step.command);
        let (code, output) = shell(&command, &place, status, locale);
        let failure_is_shown = steps.get(number + 1).is_some_and(|next| next.command == "echo $?");
        if code != 0 && !failure_is_shown {
            return Err(format!("{}: {command} ended with {code}:\n{output}", step.line));
        }
        if let Some(shown) = &step.output
            && !matches(shown, &output, step.figures)
        {
            return Err(format!(
                "{}: {command} is shown to print\n{shown}\nbut prints\n{output}",
                step.line
            ));
        }
        if let Some(folder) = command.strip_prefix("cd ") {
            place = place.join(folder.trim());
        }
        status = code;
    }
    Ok(())
}

/// `cargo run --release -- demo` as `taskmon demo`: a README's first command builds, a test has built already.
fn with_the_built_binary(command: &str) -> String {
    match command.strip_prefix("cargo run ").and_then(|rest| rest.split_once("-- ")) {
        Some((_, arguments)) => format!("taskmon {arguments}"),
        None => command.into(),
    }
}

/// Runs a command as a person's shell would, `$?` being what the last one left; both streams come as one.
fn shell(command: &str, folder: &Path, status: i32, locale: &str) -> (i32, String) {
    let binary = Path::new(env!("CARGO_BIN_EXE_taskmon")).parent().unwrap();
    let output = Command::new("bash")
        .args(["-c", &format!("exec 2>&1; (exit {status})\n{command}")])
        .current_dir(folder)
        .env_clear()
        .env("PATH", format!("{}:/usr/local/bin:/usr/bin:/bin", binary.display()))
        .env("HOME", folder)
        .envs(crate::support::env::clock())
        .env("LANG", locale)
        .stdin(Stdio::null())
        .output()
        .unwrap();
    (output.status.code().unwrap_or(-1), String::from_utf8_lossy(&output.stdout).into_owned())
}

// ---- comparing with wildcards

fn matches(shown: &str, printed: &str, figures: Figures) -> bool {
    let line = |line: &str| match figures {
        Figures::AsShown => line.trim_end().to_owned(),
        Figures::Any => without_figures(line),
    };
    let lines = |text: &str| -> Vec<String> { text.trim_end().lines().map(line).collect() };
    lines_match(&lines(shown), &lines(printed))
}

fn lines_match(shown: &[String], printed: &[String]) -> bool {
    match shown.split_first() {
        None => printed.is_empty(),
        Some((line, rest)) if line.trim() == "…" => {
            (0..=printed.len()).any(|skipped| lines_match(rest, &printed[skipped..]))
        }
        Some((line, rest)) => printed
            .split_first()
            .is_some_and(|(first, others)| line_matches(line, first) && lines_match(rest, others)),
    }
}

/// Words that another day may have in the place of each other.
const WEEKDAYS: [&str; 14] = [
    "Monday",
    "Tuesday",
    "Wednesday",
    "Thursday",
    "Friday",
    "Saturday",
    "Sunday",
    "星期一",
    "星期二",
    "星期三",
    "星期四",
    "星期五",
    "星期六",
    "星期日",
];
const DIRECTIONS: [&str; 6] = ["up", "down", "flat", "增长", "下降", "持平"];

/// A line with its figures taken for one, and its gaps for one space.
fn without_figures(line: &str) -> String {
    let is_bar = |letter: char| ('▁'..='█').contains(&letter);
    if line.contains(is_bar) {
        return "the bars of a curve".into();
    }
    let words = line.split_whitespace().map(|word| {
        let bare = word.trim_start_matches('(');
        match () {
            () if WEEKDAYS.contains(&bare) => "a weekday".into(),
            () if DIRECTIONS.contains(&bare) => "a direction".into(),
            () => without_numbers(word),
        }
    });
    words.collect::<Vec<String>>().join(" ")
}

/// Each number, date or time of day as `0`.
fn without_numbers(word: &str) -> String {
    let mut text = String::new();
    let mut rest = word;
    while let Some(letter) = rest.chars().next() {
        let length =
            rest.find(|c: char| !(c.is_ascii_digit() || ",.:-".contains(c))).unwrap_or(rest.len());
        // What follows the last digit belongs to the sentence.
        let length = rest[..length].trim_end_matches([',', '.', ':', '-']).len();
        if letter.is_ascii_digit() {
            text.push('0');
            rest = &rest[length..];
        } else {
            text.push(letter);
            rest = &rest[letter.len_utf8()..];
        }
    }
    text
}

fn line_matches(shown: &str, printed: &str) -> bool {
    let Some((start, mut rest)) = shown.split_once('…') else {
        return shown == printed;
    };
    let Some(mut printed) = printed.strip_prefix(start) else {
        return false;
    };
    while let Some((middle, behind)) = rest.split_once('…') {
        let Some(at) = printed.find(middle) else {
            return false;
        };
        printed = &printed[at + middle.len()..];
        rest = behind;
    }
    printed.ends_with(rest)
}

// ---- the reader of READMEs, tested on its own

const SAMPLE: &str = "\
# A title

<!-- test: echo made > note -->
```console
$ cat note
made
$ echo one \\
    two
one two
$ printf 'a\\nb\\nc\\n'
a
…
$ (exit 3)
$ echo $?
3
$ mkdir deep
$ cd deep
$ ls ../note
../n…te
```

```toml
[disk]
```
";

#[test]
fn a_sample_is_cut_into_its_steps() {
    let blocks = blocks(SAMPLE);
    let languages: Vec<&str> = blocks.iter().map(|block| block.language.as_str()).collect();
    assert_eq!(languages, ["test", "console", "toml"]);
    let steps: Vec<Step> = blocks.iter().flat_map(steps).collect();
    assert_eq!(steps.len(), 9);
    assert_eq!(steps[0].command, "echo made > note");
    assert_eq!(steps[2].command, "echo one \\\n    two");
    assert_eq!(steps[2].output.as_deref(), Some("one two\n"));
    assert_eq!((steps[1].line, steps[6].output.as_deref()), (5, None));
}

#[test]
fn a_sample_that_tells_the_truth_passes() {
    let folder = tempfile::tempdir().unwrap();
    let steps: Vec<Step> = blocks(SAMPLE).iter().flat_map(steps).collect();
    assert_eq!(run(&steps, folder.path(), ENGLISH.locale), Ok(()));
}

#[test]
fn a_sample_that_does_not_is_caught() {
    for lie in [
        "$ echo yes\nno\n",
        "$ false\n",
        "$ echo more\n$ false\n",
        "$ printf 'a\\nb\\n'\na\n",
        "$ no-such-command\n",
    ] {
        let folder = tempfile::tempdir().unwrap();
        let steps: Vec<Step> =
            blocks(&format!("```console\n{lie}```\n")).iter().flat_map(steps).collect();
        assert!(run(&steps, folder.path(), ENGLISH.locale).is_err(), "{lie}");
    }
}

#[test]
fn wildcards_stand_for_parts_of_lines_and_for_lines() {
    for (shown, printed, expected) in [
        ("a…c", "abc", true),
        ("a…c", "ac", true),
        ("a…c", "acd", false),
        ("…", "", true),
        ("…\nz", "a\nb\nz", true),
        ("…\nz", "a\nb", false),
        ("a\n…", "a", true),
        ("a…b…c", "a1b2c", true),
        ("a…b…c", "a1c2b", false),
        ("a  \n", "a", true),
        ("a\nb", "a", false),
        ("ab…ba", "aba", false),
    ] {
        let found = matches(shown, printed, Figures::AsShown);
        assert_eq!(found, expected, "{shown:?} {printed:?}");
    }
}

#[test]
fn figures_stand_for_others_and_words_for_themselves() {
    for (shown, printed, expected) in [
        ("tasks   513  (down 4.82%)", "tasks  1,024 (up 0%)", true),
        ("Tasks on 2026-11-24 Tuesday", "Tasks on 2027-01-03 Sunday", true),
        ("  ▁▁█▃", "  █ ▂", true),
        ("it is 44; before, 17", "it is 4; before, 171", true),
        ("it is 44; before, 17", "it is 4, before, 171", false),
        ("completed 44  failed 3", "completed 44  failed", false),
        ("task_… completed", "task_ab12  completed", true),
        ("completed 44", "failed 44", false),
        ("任务总数 513 (下降 4%)", "任务总数 1 (增长 10.5%)", true),
        ("saved as a/b_20261124.json", "saved as a/b_20270101.json", true),
    ] {
        let found = matches(shown, printed, Figures::Any);
        assert_eq!(found, expected, "{shown:?} {printed:?}");
    }
}

#[test]
fn a_first_command_that_builds_runs_what_is_built() {
    assert_eq!(with_the_built_binary("cargo run --release -- demo x"), "taskmon demo x");
    assert_eq!(with_the_built_binary("cargo build"), "cargo build");
}
