//! The READMEs and the pages of the manual are executed: what they show is what happens.
//!
//! - A block fenced as ```` ```console ```` is run, command by command, in one folder with the binary on PATH: it starts out empty for a README, and as the
//!   demo's sandbox for a page. A command is a line that starts with `$ `; a line that ends with `\` goes on in the next one. The lines up to the next
//!   command are what it prints (both streams): not compared where there are none, else compared line by line, with the wildcards of `shown.rs`.
//! - `cargo run … -- ARGUMENTS` runs the binary that the test was built with. `cd` lasts until the end of the file.
//! - A command must succeed, unless the next one is `echo $?`.
//! - A comment `<!-- test: COMMAND -->` is a command that readers do not see, for what a block needs to be there.
//! - A ```` ```toml ```` block must be a configuration that taskmon accepts.
//! - A ```` ```crontab ```` block has lines of `crontab.example`.
//! - A ```` ```sh ```` block is not run, but every script of this repository that it names must exist.
//! - A document has the same blocks, comments and headings in both languages; each is run in its own, so that what commands print may differ, and so may
//!   the values of a configuration.

mod blocks;
mod reference;
mod shown;

use blocks::{Block, Step, blocks, run, shell, steps};
use chrono::Local;
use std::path::{Path, PathBuf};

/// A README or a page of the manual, and the locale of its readers.
struct Document {
    name: String,
    locale: &'static str,
}

const ENGLISH: &str = "C.UTF-8";
const CHINESE: &str = "zh_CN.UTF-8";

fn readmes() -> [Document; 2] {
    [("README.md", ENGLISH), ("README.zh-CN.md", CHINESE)]
        .map(|(name, locale)| Document { name: name.to_owned(), locale })
}

/// A page of the manual in both languages.
fn page(name: &str) -> [Document; 2] {
    [("en", ENGLISH), ("zh", CHINESE)]
        .map(|(folder, locale)| Document { name: format!("src/manual/{folder}/{name}.md"), locale })
}

fn pages() -> Vec<[Document; 2]> {
    let files = std::fs::read_dir(root().join("src/manual/en")).unwrap();
    let mut names: Vec<String> = files
        .map(|file| file.unwrap().path().file_stem().unwrap().to_str().unwrap().to_owned())
        .collect();
    names.sort();
    assert!(names.len() > 20, "{names:?}");
    names.iter().map(|name| page(name)).collect()
}

/// Each document in both languages.
fn documents() -> Vec<[Document; 2]> {
    pages().into_iter().chain([readmes()]).collect()
}

fn root() -> PathBuf {
    env!("CARGO_MANIFEST_DIR").into()
}

impl Document {
    fn text(&self) -> String {
        let path = root().join(&self.name);
        std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", self.name))
    }

    fn blocks(&self) -> Vec<Block> {
        blocks(&self.text())
    }

    fn steps(&self) -> Vec<Step> {
        self.blocks().iter().flat_map(steps).collect()
    }

    fn run_in(&self, folder: &Path) -> Result<(), String> {
        run(&self.steps(), folder, self.locale).map_err(|why| format!("{}:{why}", self.name))
    }
}

/// A sandbox is made for a day, and what is shown of it is yesterday's: all of it once more if the day has ended meanwhile.
fn on_one_day(work: impl Fn() -> Result<(), String>) {
    let today = || Local::now().date_naive();
    let day = today();
    let done = work().or_else(|why| if today() == day { Err(why) } else { work() });
    done.unwrap_or_else(|why| panic!("{why}"));
}

#[test]
fn every_console_block_of_the_readmes_prints_what_it_shows() {
    for readme in readmes() {
        assert!(readme.steps().len() > 2, "{}", readme.name);
        on_one_day(|| readme.run_in(tempfile::tempdir().unwrap().path()));
    }
}

#[test]
fn every_console_block_of_the_manual_prints_what_it_shows() {
    on_one_day(|| pages_run_in_a_sandbox(ENGLISH));
}

#[test]
fn every_console_block_of_the_manual_prints_what_it_shows_in_chinese() {
    on_one_day(|| pages_run_in_a_sandbox(CHINESE));
}

fn pages_run_in_a_sandbox(locale: &str) -> Result<(), String> {
    let made = tempfile::tempdir().unwrap();
    assert_eq!(shell("taskmon demo > /dev/null", made.path(), 0, locale), (0, String::new()));
    let in_language = pages().into_iter().flatten().filter(|page| page.locale == locale);
    for page in in_language.filter(|page| !page.steps().is_empty()) {
        let folder = tempfile::tempdir().unwrap();
        let copy = format!("cp -a {}/taskmon-demo .", made.path().display());
        assert_eq!(shell(&copy, folder.path(), 0, locale), (0, String::new()));
        page.run_in(&folder.path().join("taskmon-demo"))?;
    }
    Ok(())
}

#[test]
fn every_configuration_is_accepted() {
    for document in documents().into_iter().flatten() {
        for block in document.blocks().iter().filter(|block| block.language == "toml") {
            let folder = tempfile::tempdir().unwrap();
            std::fs::write(folder.path().join("taskmon.toml"), &block.text).unwrap();
            let (code, output) = shell("taskmon config", folder.path(), 0, document.locale);
            let place = format!("{}:{}", document.name, block.line);
            assert_eq!(code, 0, "{place}: {output}");
            assert!(!output.contains("WARN"), "{place}: {output}");
        }
    }
}

#[test]
fn every_script_that_is_named_exists() {
    for document in documents().into_iter().flatten() {
        for block in document.blocks().iter().filter(|block| block.language == "sh") {
            let words = block.text.split_whitespace().map(|word| word.trim_start_matches("./"));
            let scripts = words.filter(|word| word.starts_with("scripts/"));
            for script in scripts {
                let place = format!("{}:{}", document.name, block.line);
                assert!(root().join(script).is_file(), "{place}: {script} does not exist");
            }
        }
    }
}

#[test]
fn every_line_for_cron_is_in_the_example_file() {
    let example = std::fs::read_to_string(root().join("crontab.example")).unwrap();
    let lines: Vec<&str> = example.lines().collect();
    let mut shown = 0;
    for block in readmes()[0].blocks().iter().filter(|block| block.language == "crontab") {
        for line in block.text.lines() {
            assert!(lines.contains(&line), "{}: {line}", block.line);
            shown += 1;
        }
    }
    assert!(shown >= 4, "{shown} lines");
}

#[test]
fn both_languages_show_the_same_blocks() {
    let contents = |document: &Document| -> Vec<(String, Vec<String>)> {
        let shown = document.blocks().into_iter().map(|block| {
            let lines = if block.language.starts_with("console") {
                steps(&block).into_iter().map(|step| step.command).collect()
            } else if block.language == "toml" {
                // Values and comments are the reader's own, such as the language.
                let lines = block.text.lines();
                lines.map(|line| line.split(['=', '#']).next().unwrap().trim().to_owned()).collect()
            } else {
                vec![block.text]
            };
            (block.language, lines)
        });
        shown.collect()
    };
    for [english, chinese] in documents() {
        assert_eq!(contents(&english), contents(&chinese), "{}", english.name);
    }
}

#[test]
fn both_languages_have_the_same_headings() {
    let levels = |document: &Document| -> Vec<usize> {
        let text = document.text();
        // A comment in a block is no heading.
        let prose = text.split("```").step_by(2).flat_map(str::lines);
        let levels = prose.map(|line| line.len() - line.trim_start_matches('#').len());
        levels.filter(|level| *level > 0).collect()
    };
    for [english, chinese] in documents() {
        assert!(!levels(&english).is_empty(), "{}", english.name);
        assert_eq!(levels(&english), levels(&chinese), "{}", english.name);
    }
}

/// Pages are rendered for terminals, where a link is of no use.
#[test]
fn pages_have_no_links_and_no_long_lines() {
    for document in documents().into_iter().flatten() {
        let text = document.text();
        for (number, line) in text.split("```").step_by(2).flat_map(str::lines).enumerate() {
            let width: usize = line.chars().map(taskmon::units::letter_width).sum();
            let may_be_long = line.starts_with('|') || line.starts_with("<!--");
            assert!(width <= 100 || may_be_long, "{}:{number}: {line}", document.name);
            let is_page = document.name.starts_with("src/");
            assert!(!is_page || !line.contains("]("), "{}:{number}: {line}", document.name);
        }
    }
}

#[test]
fn a_readme_is_read_in_one_sitting() {
    for readme in readmes() {
        let length = readme.text().len();
        assert!(length <= 14 * 1024, "{}: {length} bytes", readme.name);
    }
}
