//! The manual pages of the program and of its commands, section 1: what the command line knows, and the page of the topic.

use super::{find, roff};
use crate::language::Language;
use clap::{Arg, Command};
use std::collections::BTreeMap;

/// The page of a program, or of the one of its commands that is named; `None`: it has no such command.
pub fn render(mut program: Command, name: Option<&str>, language: Language) -> Option<String> {
    // Names the commands `taskmon-stats` and hands them the options of every command.
    program.build();
    let version = program.render_version();
    let mut others = pages_of_commands(&program);
    let mut command = &mut program;
    if let Some(name) = name {
        others = format!("{}(1)", command.get_name());
        command = command.find_subcommand_mut(name)?;
    }
    let about = command.get_about().map(ToString::to_string).unwrap_or_default();
    let page_name = command.get_display_name().unwrap_or(command.get_name()).to_owned();
    let mut page = roff::title(&page_name, 1, version.trim_end(), &about, language);
    let usage = command.render_usage().to_string();
    let usage = usage.trim_start_matches("Usage: ");
    page += &format!(".SH {}\n{}\n", language.pick("用法", "SYNOPSIS"), roff::bold(usage));
    let topic = name.and_then(|name| find(name, language));
    if let Some(topic) = &topic {
        page += &roff::sections(topic, language, &["Options"]);
    }
    // A page in Chinese explains the options itself.
    if topic.is_none() || language == Language::En {
        page += &options(command);
        page += &commands(command);
    }
    page += &blocks_of_help(command);
    Some(page + &roff::see_also(&others, language))
}

/// The names of a program's commands.
pub fn names(program: &Command) -> Vec<&str> {
    program.get_subcommands().map(Command::get_name).collect()
}

fn pages_of_commands(program: &Command) -> String {
    let pages: Vec<String> = names(program)
        .iter()
        .map(|command| format!("{}-{command}(1)", program.get_name()))
        .collect();
    pages.join(", ")
}

/// A section for each heading under which `--help` has options.
fn options(command: &Command) -> String {
    let mut sections: BTreeMap<&str, String> = BTreeMap::new();
    for arg in command.get_arguments().filter(|arg| !arg.is_hide_set()) {
        let heading = arg.get_help_heading().unwrap_or("Options");
        *sections.entry(heading).or_default() += &option(arg);
    }
    let section = |(heading, entries): (&str, String)| heading_of(heading) + &entries;
    sections.into_iter().map(section).collect()
}

fn option(arg: &Arg) -> String {
    let long = arg.get_long().map(|long| format!("--{long}"));
    let names: Vec<String> =
        arg.get_short().map(|short| format!("-{short}")).into_iter().chain(long).collect();
    let takes_value = arg.get_action().takes_values();
    let values = arg.get_value_names().unwrap_or_default().join(" ");
    let term = match (names.is_empty(), takes_value) {
        (true, _) => values,
        (false, true) => format!("{} {values}", names.join(", ")),
        (false, false) => names.join(", "),
    };
    let help = arg.get_help().map(ToString::to_string).unwrap_or_default();
    let possible = if takes_value { arg.get_possible_values() } else { Vec::new() };
    let possible: Vec<&str> = possible.iter().map(|value| value.get_name()).collect();
    let possible = match possible.as_slice() {
        [] => String::new(),
        values => format!(" (one of {})", values.join(", ")),
    };
    entry(&term, &(help + &possible))
}

fn commands(command: &Command) -> String {
    if !command.has_subcommands() {
        return String::new();
    }
    let entries = command.get_subcommands().map(|command| {
        let about = command.get_about().map(ToString::to_string).unwrap_or_default();
        entry(command.get_name(), &about)
    });
    heading_of("Commands") + &entries.collect::<String>()
}

/// The blocks that `--help` shows behind the options, the examples above all: each under its first line as a heading, or as a paragraph.
fn blocks_of_help(command: &Command) -> String {
    let help = command.get_after_help().map(ToString::to_string).unwrap_or_default();
    let blocks = help.split("\n\n").filter(|block| !block.is_empty());
    let section = |block: &str| match block.split_once(":\n") {
        Some((heading, lines)) if !heading.contains('\n') => {
            let entries = lines.lines().map(|line| {
                // What is explained, two spaces or more, the explanation.
                let (term, text) = line.trim().split_once("  ").unwrap_or((line.trim(), ""));
                entry(term, text.trim_start())
            });
            heading_of(heading) + &entries.collect::<String>()
        }
        _ => format!(".PP\n{}\n", roff::plain(block)),
    };
    blocks.map(section).collect()
}

fn heading_of(heading: &str) -> String {
    format!(".SH \"{}\"\n", heading.to_uppercase())
}

fn entry(term: &str, text: &str) -> String {
    format!(".TP\n{}\n{}\n", roff::bold(term), roff::plain(text))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn program() -> Command {
        let help = "Examples:\n  prog do 'it'      does it\n  prog do -x\n\nExit codes:\n  0   done\n\nIt is done.";
        Command::new("prog")
            .version("1.2")
            .disable_help_subcommand(true)
            .subcommand(Command::new("do").about("Does it").after_help(help))
            .subcommand(Command::new("undo"))
    }

    #[test]
    fn the_blocks_of_the_help_become_sections() {
        let page = render(program(), Some("do"), Language::En).unwrap();
        assert!(page.contains(".TH prog\\-do 1 \"\" \"prog 1.2\""), "{page}");
        let (_, closing) = page.split_once(".SH \"EXAMPLES\"\n").unwrap();
        assert_eq!(
            closing,
            ".TP\n\\fBprog do \\(aqit\\(aq\\fR\ndoes it\n.TP\n\\fBprog do \\-x\\fR\n\n.SH \"EXIT CODES\"\n.TP\n\\fB0\\fR\ndone\n.PP\nIt is done.\n.SH \"SEE ALSO\"\nprog(1)\n"
        );
    }

    #[test]
    fn a_command_with_nothing_behind_its_options_has_no_empty_section() {
        let page = render(program(), Some("undo"), Language::En).unwrap();
        assert!(page.ends_with("\n.SH \"SEE ALSO\"\nprog(1)\n"), "{page}");
        assert!(!page.contains(".SH \n") && !page.contains(".PP"), "{page}");
    }

    #[test]
    fn the_programs_page_refers_to_those_of_its_commands() {
        let page = render(program(), None, Language::En).unwrap();
        assert!(page.ends_with("prog\\-do(1), prog\\-undo(1)\n"), "{page}");
        assert!(!page.contains("prog\\-help"), "{page}");
    }

    #[test]
    fn a_command_that_is_not_there_has_no_page() {
        for name in ["help", "", "undone"] {
            assert_eq!(render(program(), Some(name), Language::En), None, "{name}");
        }
    }
}
