//! Arguments that the command line refuses.

use super::output::print;
use crate::cli::Cli;
use crate::outcome::{Failure, Kind};
use crate::report::nagios;
use clap::error::ErrorKind as Misuse;
use clap::{CommandFactory, Parser};
use std::ffi::OsString;
use std::io::ErrorKind;

pub(super) fn parse(arguments: &[OsString]) -> Result<Cli, clap::Error> {
    let cli = Cli::try_parse_from(arguments)?;
    match cli.misfit() {
        Some(misfit) => Err(Cli::command().error(Misuse::ArgumentConflict, misfit)),
        None => Ok(cli),
    }
}

/// clap's own text: help to standard output, mistakes to standard error. A monitoring system that called with a mistake must not take the usual 2
/// for critical.
pub(super) fn refuse(error: &clap::Error, arguments: &[OsString]) -> u8 {
    let has =
        |words: &[&str]| arguments.iter().any(|argument| words.iter().any(|word| argument == word));
    let services = ["disk", "stats", "alert"];
    let service = arguments.iter().filter_map(|argument| argument.to_str());
    let service = service.into_iter().find(|argument| services.contains(argument));
    let is_plugin = has(&["nagios", "--output=nagios"]) && error.use_stderr();
    match (error.print(), service.filter(|_| is_plugin)) {
        (Err(broken), _) if broken.kind() != ErrorKind::BrokenPipe => 3,
        (_, Some(service)) => {
            // The monitoring system shows standard output, and nothing else.
            let said = error.to_string();
            let said = said.lines().next().unwrap_or_default();
            let said = said.trim_start_matches("error: ");
            let failure = Failure::new(Kind::Usage, said);
            let (line, state) = nagios::failure(service, &failure);
            print(&line).map_or(3, |()| state.exit_code())
        }
        _ => u8::try_from(error.exit_code()).unwrap_or(2),
    }
}
