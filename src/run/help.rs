//! `taskmon help` and `taskmon man`: the manual, on a terminal through a pager.

use super::Session;
use super::output::Done;
use super::screen::Screen;
use crate::cli::{Cli, HelpArgs, ManArgs};
use crate::config::nearest::nearest;
use crate::language::Language;
use crate::manual::terminal::{self, Look, WIDTH};
use crate::manual::{Page, commands, find, pages, roff};
use crate::outcome::{Failure, Kind, Outcome};
use anyhow::Result;
use clap::CommandFactory;
use std::io::{ErrorKind, Write};
use std::process::{Command, Stdio};

/// Lines longer than this are hard to read, however wide the terminal is.
const WIDEST: usize = 100;

impl Session {
    pub(super) fn help(&self, arguments: &HelpArgs) -> Result<Done> {
        let language = self.language();
        let (width, look) = surroundings(&self.screen);
        let text = match arguments.topic.first() {
            Some(topic) => {
                let page = find(topic, language).ok_or_else(|| no_page(topic))?;
                terminal::render(&page, language, width, look) + &closing(&page, language)
            }
            None => contents(language),
        };
        let printed = if self.screen.is_terminal { shown_by_pager(text)? } else { text };
        Ok(Done::new(printed, Outcome::Done))
    }

    pub(super) fn man(&self, arguments: &ManArgs) -> Result<Done> {
        let program = Cli::command();
        let text = match &arguments.topic {
            _ if arguments.list => installable(&program),
            None => commands::render(program, None, self.language()).unwrap_or_default(),
            Some(topic) => self.man_page(program, topic)?,
        };
        Ok(Done::new(text, Outcome::Done))
    }

    fn man_page(&self, program: clap::Command, topic: &str) -> Result<String> {
        let version = program.render_version();
        let language = self.language();
        if let Some(page) = commands::render(program, Some(topic), language) {
            return Ok(page);
        }
        let page = find(topic, language).ok_or_else(|| no_page(topic))?;
        Ok(roff::render(&page, language, version.trim_end()))
    }
}

fn no_page(topic: &str) -> Failure {
    let names: Vec<&str> = pages(Language::En).map(|page| page.name).collect();
    let meant = nearest(topic, names.iter().copied());
    let meant = meant.map(|name| format!("; did you mean \"{name}\"?")).unwrap_or_default();
    Failure::new(Kind::Usage, format!("the manual has no page \"{topic}\"{meant}"))
        .hint(format!("the pages are {}", names.join(", ")))
}

/// The pages by groups: those of commands in the order of `--help`, those of channels, and the others.
fn contents(language: Language) -> String {
    let program = Cli::command();
    let commands = commands::names(&program);
    let is_channel = |page: &Page| page.name.starts_with("channel-");
    let of_commands = commands.iter().filter_map(|name| find(name, language)).collect();
    let is_command = |page: &Page| commands.contains(&page.name);
    let of_channels = pages(language).filter(|page| is_channel(page)).collect();
    let others = pages(language).filter(|page| !is_command(page) && !is_channel(page)).collect();
    let groups: [(&str, Vec<Page>); 3] = [
        (language.pick("命令", "Commands"), of_commands),
        (language.pick("主题", "Topics"), others),
        (language.pick("告警渠道", "Channels of alerts"), of_channels),
    ];
    let mut text =
        language.pick("用法：taskmon help 主题\n", "Usage: taskmon help TOPIC\n").to_owned();
    for (heading, pages) in groups {
        text += &format!("\n{heading}\n");
        text.extend(pages.iter().map(|page| format!("  {:18} {}\n", page.name, page.summary)));
    }
    text + language.pick(
        "\n`taskmon COMMAND --help` 只列出选项和示例；`--lang en` 显示英文。\n",
        "\n`taskmon COMMAND --help` has the options and examples alone; `--lang zh` shows Chinese.\n",
    )
}

/// Where the page of a command sends on.
fn closing(page: &Page, language: Language) -> String {
    if commands::names(&Cli::command()).contains(&page.name) {
        let name = page.name;
        return language.pick(
            format!("\n  另见：`taskmon {name} --help`，`taskmon help options`\n"),
            format!("\n  See also: `taskmon {name} --help`, `taskmon help options`\n"),
        );
    }
    String::new()
}

/// A line for each page that `man` can show: what to ask for, and the section.
fn installable(program: &clap::Command) -> String {
    let commands = commands::names(program);
    let topics = pages(Language::En).map(|page| page.name);
    let topics = topics.filter(|name| !commands.contains(name)).map(|name| format!("{name} 7\n"));
    commands.iter().map(|name| format!("{name} 1\n")).chain(topics).collect()
}

fn surroundings(screen: &Screen) -> (usize, Look) {
    // Whoever has options of their own for `less` may not have the one that lets escapes through.
    let has_options = std::env::var_os("LESS").is_some_and(|options| !options.is_empty());
    let look = if screen.has_colours && !has_options { Look::Styled } else { Look::Plain };
    (if screen.is_terminal { screen.columns.min(WIDEST) } else { WIDTH }, look)
}

/// Hands the text to `$PAGER`, or to `less`; returns what is left to print, all of it where there is no pager.
fn shown_by_pager(text: String) -> Result<String> {
    let mut command = match std::env::var_os("PAGER") {
        Some(pager) if !pager.is_empty() => {
            let mut shell = Command::new("sh");
            shell.arg("-c").arg(pager);
            shell
        }
        _ => Command::new("less"),
    };
    if std::env::var_os("LESS").is_none() {
        // Ends at once what fits on the screen, lets escapes through, and leaves the text there.
        command.env("LESS", "FRX");
    }
    let mut pager = match command.stdin(Stdio::piped()).spawn() {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(text),
        spawned => spawned?,
    };
    let written = pager.stdin.take().map_or(Ok(()), |mut pipe| pipe.write_all(text.as_bytes()));
    pager.wait()?;
    match written {
        // Whoever leaves the pager early has read enough.
        Err(error) if error.kind() != ErrorKind::BrokenPipe => Err(error.into()),
        _ => Ok(String::new()),
    }
}
