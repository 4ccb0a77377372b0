//! The blocks of a document, and how its commands are run.

use super::shown::matches;
use std::path::Path;
use std::process::{Command, Stdio};

/// A piece of a document that a test looks at.
#[derive(Debug, PartialEq)]
pub struct Block {
    pub line: usize,
    pub language: String,
    pub text: String,
}

#[derive(Debug, PartialEq)]
pub struct Step {
    pub line: usize,
    pub command: String,
    /// `None`: nothing is shown, so anything may come.
    pub output: Option<String>,
    pub figures: Figures,
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Figures {
    AsShown,
    /// Another day has others.
    Any,
}

/// The fenced blocks, and the comments that are commands as blocks of the language `test`.
pub fn blocks(text: &str) -> Vec<Block> {
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

pub fn steps(block: &Block) -> Vec<Step> {
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
pub fn run(steps: &[Step], folder: &Path, locale: &str) -> Result<(), String> {
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
pub fn shell(command: &str, folder: &Path, status: i32, locale: &str) -> (i32, String) {
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
fn a_sample_with_correct_output_passes() {
    let folder = tempfile::tempdir().unwrap();
    let steps: Vec<Step> = blocks(SAMPLE).iter().flat_map(steps).collect();
    assert_eq!(run(&steps, folder.path(), "C.UTF-8"), Ok(()));
}

#[test]
fn a_sample_with_wrong_output_fails() {
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
        assert!(run(&steps, folder.path(), "C.UTF-8").is_err(), "{lie}");
    }
}

#[test]
fn a_first_command_that_builds_runs_what_is_built() {
    assert_eq!(with_the_built_binary("cargo run --release -- demo x"), "taskmon demo x");
    assert_eq!(with_the_built_binary("cargo build"), "cargo build");
}
