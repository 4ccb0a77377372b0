//! The READMEs are executed: what they show is what happens.
//!
//! - A block fenced as ```` ```console ```` is run, command by command, in one folder that starts out empty and with the
//!   binary on PATH. A command is a line that starts with `$ `; a line that ends with `\` goes on in the next one.
//!   The lines up to the next command are what it prints (both streams): not compared where there are none, else compared line by line;
//!   `…` stands for any part of a line, and a line of nothing but `…` for any number of lines.
//! - `cargo run … -- ARGUMENTS` runs the binary that the test was built with. `cd` lasts until the end of the file.
//! - A command must succeed, unless the next one is `echo $?`.
//! - A comment `<!-- test: COMMAND -->` is a command that readers do not see, for what a block needs to be there.
//! - A ```` ```toml ```` block must be a configuration that taskmon accepts.
//! - A ```` ```sh ```` block is not run, but every script of this repository that it names must exist.
//! - `README.zh-CN.md` has the same blocks, and the same comments, as `README.md`.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

const ENGLISH: &str = "README.md";
const CHINESE: &str = "README.zh-CN.md";

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
}

#[test]
fn every_console_block_prints_what_it_shows() {
    let blocks = blocks(&readme(ENGLISH));
    let steps: Vec<Step> = blocks.iter().flat_map(steps).collect();
    assert!(steps.len() > 2, "{ENGLISH} has {} commands", steps.len());
    let folder = tempfile::tempdir().unwrap();
    run(&steps, folder.path()).unwrap_or_else(|why| panic!("{ENGLISH}:{why}"));
}

#[test]
fn every_configuration_is_accepted() {
    for block in blocks(&readme(ENGLISH))
        .iter()
        .filter(|block| block.language == "toml")
    {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("taskmon.toml"), &block.text).unwrap();
        let (code, output) = shell("taskmon config", folder.path(), 0);
        assert_eq!(code, 0, "{ENGLISH}:{}: {output}", block.line);
    }
}

#[test]
fn every_script_that_is_named_exists() {
    for name in [ENGLISH, CHINESE] {
        let text = readme(name);
        let blocks = blocks(&text);
        for block in blocks.iter().filter(|block| block.language == "sh") {
            let words = block
                .text
                .split_whitespace()
                .map(|word| word.trim_start_matches("./"));
            for word in
                words.filter(|word| word.starts_with("scripts/") || word.starts_with(".ci/"))
            {
                assert!(
                    root().join(word).is_file(),
                    "{name}:{}: {word} does not exist",
                    block.line
                );
            }
        }
    }
}

#[test]
fn both_languages_show_the_same_blocks() {
    let contents = |name: &str| -> Vec<(String, String)> {
        let blocks = blocks(&readme(name)).into_iter();
        blocks.map(|block| (block.language, block.text)).collect()
    };
    assert_eq!(contents(ENGLISH), contents(CHINESE));
}

fn root() -> PathBuf {
    env!("CARGO_MANIFEST_DIR").into()
}

fn readme(name: &str) -> String {
    std::fs::read_to_string(root().join(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
}

/// The fenced blocks, and the comments that are commands as blocks of the language `test`.
fn blocks(text: &str) -> Vec<Block> {
    let mut found: Vec<Block> = Vec::new();
    let mut open = false;
    for (number, line) in text.lines().enumerate() {
        let hidden = line
            .strip_prefix("<!-- test: ")
            .and_then(|rest| rest.strip_suffix(" -->"));
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
    Block {
        line,
        language: language.into(),
        text: text.into(),
    }
}

fn steps(block: &Block) -> Vec<Step> {
    match block.language.as_str() {
        "test" => vec![step(block.line, &block.text)],
        "console" => console_steps(block),
        _ => Vec::new(),
    }
}

fn step(line: usize, command: &str) -> Step {
    Step {
        line,
        command: command.into(),
        output: None,
    }
}

fn console_steps(block: &Block) -> Vec<Step> {
    let mut steps: Vec<Step> = Vec::new();
    for (number, line) in block.text.lines().enumerate() {
        let at = block.line + number;
        match (line.strip_prefix("$ "), steps.last_mut()) {
            (Some(command), _) => steps.push(step(at, command)),
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
fn run(steps: &[Step], folder: &Path) -> Result<(), String> {
    let mut place = folder.to_path_buf();
    let mut status = 0;
    for (number, step) in steps.iter().enumerate() {
        let command = with_the_built_binary(&step.command);
        let (code, output) = shell(&command, &place, status);
        let failure_is_shown = steps
            .get(number + 1)
            .is_some_and(|next| next.command == "echo $?");
        if code != 0 && !failure_is_shown {
            return Err(format!(
                "{}: {command} ended with {code}:\n{output}",
                step.line
            ));
        }
        if let Some(shown) = &step.output
            && !matches(shown, &output)
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
    match command
        .strip_prefix("cargo run ")
        .and_then(|rest| rest.split_once("-- "))
    {
        Some((_, arguments)) => format!("taskmon {arguments}"),
        None => command.into(),
    }
}

/// Runs a command as a person's shell would, `$?` being what the last one left; both streams come as one.
fn shell(command: &str, folder: &Path, status: i32) -> (i32, String) {
    let binary = Path::new(env!("CARGO_BIN_EXE_taskmon")).parent().unwrap();
    let output = Command::new("bash")
        .args(["-c", &format!("exec 2>&1; (exit {status})\n{command}")])
        .current_dir(folder)
        .env_clear()
        .env(
            "PATH",
            format!("{}:/usr/local/bin:/usr/bin:/bin", binary.display()),
        )
        .env("HOME", folder)
        .env("LANG", "C.UTF-8")
        .stdin(Stdio::null())
        .output()
        .unwrap();
    (
        output.status.code().unwrap_or(-1),
        String::from_utf8_lossy(&output.stdout).into_owned(),
    )
}

// ---- comparing with wildcards

fn matches(shown: &str, printed: &str) -> bool {
    let lines = |text: &str| -> Vec<String> {
        text.trim_end()
            .lines()
            .map(|line| line.trim_end().to_owned())
            .collect()
    };
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
    assert_eq!(run(&steps, folder.path()), Ok(()));
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
        let steps: Vec<Step> = blocks(&format!("```console\n{lie}```\n"))
            .iter()
            .flat_map(steps)
            .collect();
        assert!(run(&steps, folder.path()).is_err(), "{lie}");
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
        assert_eq!(matches(shown, printed), expected, "{shown:?} {printed:?}");
    }
}

#[test]
fn a_first_command_that_builds_runs_what_is_built() {
    assert_eq!(
        with_the_built_binary("cargo run --release -- demo x"),
        "taskmon demo x"
    );
    assert_eq!(with_the_built_binary("cargo build"), "cargo build");
}
