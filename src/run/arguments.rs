//! The arguments of a run as its record has them, by which the runs of a job are found.

use crate::cli::Common;
use clap::{Args, Command};
use std::ffi::OsString;

/// The command and its own arguments, without the options that every command has: they say how a result is shown rather than what is done, and may
/// hold secrets (`--database-url`). The text of an alert (`--send`, `--message`) is left out too.
pub(super) fn recorded_arguments(arguments: &[OsString]) -> Vec<String> {
    let common = Common::augment_args(Command::new("taskmon"));
    let globals: Vec<_> = common.get_arguments().collect();
    let long = |name: &str| globals.iter().find(|arg| arg.get_long() == Some(name));
    let short = |letter| globals.iter().find(|arg| arg.get_short() == Some(letter));
    let takes_value = |arg: &&&clap::Arg| arg.get_action().takes_values();
    let mut kept = Vec::new();
    let mut words = arguments.iter().skip(1).map(|word| word.to_string_lossy().into_owned());
    while let Some(word) = words.next() {
        if let Some(name) = word.strip_prefix("--").filter(|name| !name.is_empty()) {
            let (name, value) = match name.split_once('=') {
                Some((name, value)) => (name, Some(value)),
                None => (name, None),
            };
            match long(name) {
                Some(global) if value.is_none() && takes_value(&global) => drop(words.next()),
                Some(_) => {}
                None if ["send", "message"].contains(&name) => {
                    kept.extend([format!("--{name}"), "…".to_owned()]);
                    if value.is_none() {
                        words.next();
                    }
                }
                None => kept.push(word),
            }
        } else if let Some(letters) = word.strip_prefix('-').filter(|rest| !rest.is_empty()) {
            let valued = letters
                .char_indices()
                .find(|(_, letter)| short(*letter).as_ref().is_some_and(takes_value));
            // `-m TEXT`, perhaps behind letters such as `-v`.
            let text = letters.find('m').filter(|at| valued.is_none_or(|(before, _)| *at < before));
            if let Some(at) = text {
                kept.extend(["-m".to_owned(), "…".to_owned()]);
                if at + 1 == letters.len() {
                    words.next();
                }
                continue;
            }
            match (letters.chars().next().and_then(short), valued) {
                (None, _) => kept.push(word),
                (Some(_), Some((at, letter))) if at + letter.len_utf8() == letters.len() => {
                    words.next();
                }
                (Some(_), _) => {}
            }
        } else {
            kept.push(word);
        }
    }
    kept
}

/// The same for the words of a job's `command`.
pub(super) fn recorded_words(words: &[String]) -> Vec<String> {
    let program = OsString::from("taskmon");
    let all = std::iter::once(program).chain(words.iter().map(OsString::from));
    recorded_arguments(&all.collect::<Vec<_>>())
}
