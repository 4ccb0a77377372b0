//! The manual pages, in the language that `man` reads.

use anyhow::Result;
use clap::Command;
use clap::builder::Resettable;
use clap_mangen::Man;
use clap_mangen::roff::{Roff, bold, roman};

/// The page of a program, or of the one of its commands that is named; `None`: it has no such command.
///
/// What `--help` shows after the options, the examples above all, makes sections of its own.
///
/// # Errors
/// None that a command can cause.
pub fn page(program: Command, name: Option<&str>) -> Result<Option<String>> {
    let mut program = program.disable_help_subcommand(true);
    // Names the commands `taskmon-stats` and hands them the options of every command.
    program.build();
    let source = program.render_version().trim_end().to_owned();
    let (command, others) = match name {
        None => (&program, pages_of_commands(&program)),
        Some(name) => match program.find_subcommand(name) {
            Some(command) => (command, format!("{}(1)", program.get_name())),
            None => return Ok(None),
        },
    };
    let mut page = Vec::new();
    let plain = command.clone().after_help(Resettable::Reset);
    Man::new(plain).source(source).render(&mut page)?;
    let page = String::from_utf8(page)?;
    Ok(Some(page + &closing_sections(command, &others)))
}

/// The names of a program's commands.
pub fn commands(program: &Command) -> Vec<&str> {
    program.get_subcommands().map(Command::get_name).collect()
}

fn pages_of_commands(program: &Command) -> String {
    let pages: Vec<String> = commands(program)
        .iter()
        .map(|command| format!("{}-{command}(1)", program.get_name()))
        .collect();
    pages.join(", ")
}

/// The blocks behind the options, each under its first line as a heading or as a paragraph, and the other pages.
fn closing_sections(command: &Command, others: &str) -> String {
    let after = command.get_after_help().map(ToString::to_string);
    let mut roff = Roff::new();
    let after = after.unwrap_or_default();
    for block in after.split("\n\n").filter(|block| !block.is_empty()) {
        match block.split_once(":\n") {
            Some((heading, entries)) if !heading.contains('\n') => {
                roff.control("SH", [heading.to_uppercase().as_str()]);
                entries.lines().for_each(|line| entry(&mut roff, line));
            }
            _ => {
                roff.control("PP", []);
                roff.text([roman(block)]);
            }
        }
    }
    roff.control("SH", ["SEE ALSO"]);
    roff.text([roman(others)]);
    // The page has begun already, with the two lines in which a renderer first says what an apostrophe is.
    let rendered = roff.render();
    let sections = rendered.splitn(3, '\n').nth(2);
    sections.unwrap_or_default().to_owned()
}

/// A line of help: what is explained, two spaces or more, the explanation.
fn entry(roff: &mut Roff, line: &str) {
    let line = line.trim();
    let (term, text) = line.split_once("  ").unwrap_or((line, ""));
    roff.control("TP", []);
    roff.text([bold(term)]);
    roff.text([roman(text.trim_start())]);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn program() -> Command {
        let help = "Examples:\n  prog do 'it'      does it\n  prog do -x\n\nExit codes:\n  0   done\n\nIt is done.";
        Command::new("prog")
            .version("1.2")
            .subcommand(Command::new("do").about("Does it").after_help(help))
            .subcommand(Command::new("undo"))
    }

    #[test]
    fn the_blocks_of_the_help_become_sections() {
        let page = page(program(), Some("do")).unwrap().unwrap();
        assert!(page.contains(".TH prog-do 1  \"prog 1.2\""), "{page}");
        let (_, closing) = page.split_once(".SH EXAMPLES\n").unwrap();
        assert_eq!(
            closing,
            ".TP\n\\fBprog do \\*(Aqit\\*(Aq\\fR\ndoes it\n.TP\n\\fBprog do \\-x\\fR\n\n.SH \"EXIT CODES\"\n.TP\n\\fB0\\fR\ndone\n.PP\nIt is done.\n.SH \"SEE ALSO\"\nprog(1)\n"
        );
    }

    #[test]
    fn a_command_with_nothing_behind_its_options_has_no_empty_section() {
        let page = page(program(), Some("undo")).unwrap().unwrap();
        assert!(page.ends_with("\n.SH \"SEE ALSO\"\nprog(1)\n"), "{page}");
        assert_eq!(page.matches(".ds Aq").count(), 2, "{page}");
        assert!(!page.contains(".SH \n") && !page.contains(".PP"), "{page}");
    }

    #[test]
    fn the_programs_page_refers_to_those_of_its_commands() {
        let page = page(program(), None).unwrap().unwrap();
        assert!(page.ends_with("prog\\-do(1), prog\\-undo(1)\n"), "{page}");
        assert!(!page.contains("prog\\-help"), "{page}");
    }

    #[test]
    fn a_command_that_is_not_there_has_no_page() {
        for name in ["help", "", "undone"] {
            assert_eq!(page(program(), Some(name)).unwrap(), None, "{name}");
        }
    }
}
