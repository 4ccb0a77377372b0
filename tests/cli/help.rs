//! Help, the version, completions, and what is said of a command that there is not.

use crate::support::env::TestEnv;

pub const COMMANDS: [&str; 8] =
    ["cleanup", "stats", "disk", "demo", "config", "completions", "help", "man"];

/// Options that every job has.
pub const COMMON: [&str; 8] = [
    "--config",
    "--database-url",
    "--verbose",
    "--quiet",
    "--output",
    "--pretty",
    "--compact",
    "--no-lock",
];

#[test]
fn the_help_lists_every_command() {
    let env = TestEnv::new();
    for flag in ["--help", "-h"] {
        let help = env.taskmon([flag]).success();
        for command in COMMANDS {
            help.stdout_contains(command);
        }
    }
    env.taskmon(["--help"]).success().stdout_contains("Examples");
}

#[test]
fn the_help_of_a_job_has_examples_and_every_option() {
    let env = TestEnv::new();
    for (command, options) in [
        ("stats", &["--date", "--days", "--no-save", "--no-alert"][..]),
        ("disk", &["--warning", "--critical", "PATH"][..]),
    ] {
        let help = env.taskmon([command, "--help"]).success();
        help.stdout_contains("Examples").stdout_contains(&format!("taskmon {command}"));
        for option in options.iter().chain(&COMMON) {
            help.stdout_contains(option);
        }
    }
    for command in ["demo", "config", "completions", "help", "man"] {
        let help = env.taskmon([command, "--help"]).success();
        help.stdout_contains("Examples").stdout_contains(&format!("taskmon {command}"));
    }
}

/// The lines of a help's examples.
pub fn examples(help: &str) -> impl Iterator<Item = &str> {
    let (_, block) = help.split_once("Examples:\n").unwrap();
    let lines = block.lines().take_while(|line| !line.is_empty());
    lines.map(str::trim)
}

#[test]
fn the_examples_fit_a_terminal_of_80_columns() {
    let env = TestEnv::new();
    for command in [None].into_iter().chain(COMMANDS.map(Some)) {
        let help = env.taskmon(command.into_iter().chain(["--help"])).success();
        let (_, block) = help.stdout().split_once("Examples:\n").unwrap();
        for line in block.lines() {
            assert!(line.chars().count() <= 80, "{command:?}: {line}");
        }
    }
}

/// An example that does not parse would teach what does not work.
#[test]
fn the_examples_of_the_help_are_accepted_by_the_parser() {
    let env = TestEnv::new();
    let mut tried = 0;
    for command in COMMANDS {
        let help = env.taskmon([command, "--help"]).success();
        for line in examples(help.stdout()) {
            // After two spaces the example is explained; after a pipe another program begins.
            let command = line.split("  ").next().unwrap();
            let command = command.split(['|', '>', '<', ';', '&']).next().unwrap();
            let words: Vec<&str> = command.split_whitespace().collect();
            let Some((&"taskmon", arguments)) = words.split_first() else {
                continue;
            };
            if words.iter().any(|word| word.contains(['\'', '"', '$'])) {
                continue;
            }
            // `--help` stops before the work, and after the parser has seen the options before it.
            let finished = env.taskmon(arguments.iter().copied().chain(["--help"])).run();
            assert_eq!(finished.code, Some(0), "{line}\n{}", finished.stderr());
            finished.stdout();
            tried += 1;
        }
    }
    assert!(tried >= COMMANDS.len(), "only {tried} examples were found");
}

#[test]
fn the_version_is_the_crates() {
    let env = TestEnv::new();
    let version = env.taskmon(["--version"]).success();
    assert_eq!(version.stdout(), format!("taskmon {}\n", env!("CARGO_PKG_VERSION")));
}

#[test]
fn no_command_at_all_is_wrong_usage_and_shows_the_help() {
    let env = TestEnv::new();
    let finished = env.taskmon::<&str>([]).exits(2);
    finished.stderr_contains("stats");
}

#[test]
fn a_misspelt_command_gets_the_nearest_one() {
    let env = TestEnv::new();
    env.taskmon(["stat"]).exits(2).stderr_contains("stats");
}

#[test]
fn completions_are_scripts_of_their_shell() {
    let env = TestEnv::new();
    for shell in ["bash", "zsh", "fish"] {
        let script = env.taskmon(["completions", shell]).success();
        for word in ["taskmon", "stats", "disk", "database-url"] {
            script.stdout_contains(word);
        }
        env.write(&format!("completion.{shell}"), script.stdout());
    }
    env.program("bash", ["-n", "completion.bash"]).success();
    // It defines the completion in a shell that has none of the helper functions.
    let loaded =
        env.program("bash", ["-c", ". ./completion.bash && complete -p taskmon"]).success();
    loaded.stdout_contains("taskmon");
    env.taskmon(["completions", "tcsh-ish"]).exits(2).stderr_contains("tcsh-ish");
}
