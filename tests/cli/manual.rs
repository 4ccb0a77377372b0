//! `taskmon man` and `taskmon help TOPIC`: the pages of the manual.

use crate::cli::help::{self, COMMANDS, COMMON};
use crate::support::env::TestEnv;

/// A page of the manual as a reader sees its text, each line of its source for itself.
fn manual(env: &TestEnv, command: Option<&str>) -> String {
    let page = env.taskmon(["man"].into_iter().chain(command)).success();
    page.stdout()
        .replace("\\-", "-")
        .replace("\\(aq", "'")
        .replace("\\e", "\\")
        .replace("\\fB", "")
        .replace("\\fI", "")
        .replace("\\fR", "")
}

#[test]
fn the_manual_has_a_page_of_taskmon_and_one_of_each_command() {
    let env = TestEnv::new();
    let version = format!("\"taskmon {}\"", env!("CARGO_PKG_VERSION"));
    let main = manual(&env, None);
    for part in [".SH NAME", ".SH SYNOPSIS", ".SH \"OPTIONS\"", "EXIT CODES"] {
        assert!(main.contains(part), "{part}\n{main}");
    }
    assert!(main.contains(&format!(".TH taskmon 1 \"\" {version}")), "{main}");
    for command in COMMANDS {
        assert!(main.contains(&format!("taskmon-{command}(1)")), "{main}");
        let page = manual(&env, Some(command));
        let title = format!(".TH taskmon-{command} 1 \"\" {version}");
        assert!(page.contains(&title), "{title}\n{page}");
        let closing = page.split_once(".SH \"SEE ALSO\"").unwrap().1;
        assert_eq!(closing, "\ntaskmon(1)\n");
    }
}

#[test]
fn a_page_of_the_manual_has_the_options_and_the_examples_of_the_help() {
    let env = TestEnv::new();
    for command in [None].into_iter().chain(COMMANDS.map(Some)) {
        let page = manual(&env, command);
        let help = env.taskmon(command.into_iter().chain(["--help"])).success().stdout().to_owned();
        for option in COMMON {
            assert!(page.contains(option), "{command:?}: {option}\n{page}");
        }
        let (_, examples) = page.split_once(".SH \"EXAMPLES\"").unwrap();
        let lines: Vec<&str> = examples.lines().collect();
        for example in help::examples(&help) {
            let (words, meaning) = example.split_once("  ").unwrap_or((example, ""));
            for part in [words, meaning.trim()] {
                assert!(lines.contains(&part), "{command:?}: {part}\n{examples}");
            }
        }
    }
}

#[test]
fn a_topic_without_a_page_is_wrong_usage_and_the_nearest_is_named() {
    let env = TestEnv::new();
    for command in ["man", "help"] {
        let document = env.taskmon([command, "stat"]).exits(2).failure("usage", &["stat", "stats"]);
        let hint = document["error"]["hint"].as_str().unwrap();
        assert!(["stats", "channel-slack"].iter().all(|name| hint.contains(name)), "{hint}");
    }
}

#[test]
fn the_manual_lists_its_pages_and_shows_each_in_both_languages() {
    let env = TestEnv::new();
    for (language, of_stats) in [("en", "the report of a day"), ("zh", "一天的报告")] {
        let list = env.taskmon(["help", "--lang", language]).success().stdout().to_owned();
        assert!(list.contains(&format!("  stats              {of_stats}\n")), "{list}");
        let pages = env.taskmon(["man", "--list"]).success().stdout().to_owned();
        for (name, section) in pages.lines().map(|line| line.split_once(' ').unwrap()) {
            let listed = list.contains(&format!("\n  {name} "));
            if section == "1" && !listed {
                continue;
            }
            assert!(listed, "{name}: {list}");
            let page = env.taskmon(["help", name, "--lang", language]).success();
            assert!(page.stdout().starts_with(name), "{}", page.stdout());
            assert!(!page.stdout().contains('\u{1b}'), "{}", page.stdout());
            let roff = env.taskmon(["man", name, "--lang", language]).success();
            let start = format!(".TH taskmon\\-{} {section} ", name.replace('-', "\\-"));
            assert!(roff.stdout().starts_with(&start), "{}", roff.stdout());
        }
    }
}

/// `help` must be of use where the configuration is what is wrong.
#[test]
fn the_manual_can_be_read_whatever_the_configuration_is() {
    let env = TestEnv::new();
    env.write("taskmon.toml", "broken = [");
    env.taskmon(["help", "stats"]).success().stdout_contains("stats: the report of a day");
    let chinese = env.taskmon(["help", "stats"]).env("LANG", "zh_CN.UTF-8").success();
    chinese.stdout_contains("stats：一天的报告");
}

#[test]
fn the_manual_is_in_the_configured_language() {
    let env = TestEnv::new();
    env.write("taskmon.toml", "language = 'zh'");
    env.taskmon(["help", "slack"]).success().stdout_contains("channel-slack：Slack");
    env.taskmon(["help", "slack", "--lang", "en"]).success().stdout_contains("channel-slack: ");
}

#[test]
fn a_terminal_shows_a_page_through_the_pager_and_styled() {
    let env = TestEnv::new();
    let binary = env!("CARGO_BIN_EXE_taskmon");
    let on_terminal = |pager: &str| {
        let command = format!("{pager} TERM=xterm {binary} help stats");
        let shown = env.program("script", ["-qec", &command, "/dev/null"]).success();
        shown.stdout().replace('\r', "")
    };
    let paged = on_terminal("PAGER='cat; echo the pager ends'");
    assert!(paged.contains("\u{1b}[1mstats\u{1b}[22m: the report"), "{paged}");
    assert!(paged.ends_with("the pager ends\n"), "{paged}");
    let bare = on_terminal("NO_COLOR=1 PAGER=cat");
    assert!(!bare.contains('\u{1b}') && bare.contains("stats: the report"), "{bare}");
}
