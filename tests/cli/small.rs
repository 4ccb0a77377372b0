//! What people meet first: help, version, completions, the man page and the demo.

use crate::support::env::TestEnv;

const COMMANDS: [&str; 8] =
    ["cleanup", "stats", "disk", "demo", "config", "completions", "help", "man"];

/// Options that every job has.
const COMMON: [&str; 8] = [
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
fn examples(help: &str) -> impl Iterator<Item = &str> {
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
            // What stands behind two spaces explains the example; what stands behind a pipe is another program's.
            let command = line.split("  ").next().unwrap();
            let command = command.split(['|', '>', '<', ';', '&']).next().unwrap();
            let words: Vec<&str> = command.split_whitespace().collect();
            let Some((&"taskmon", arguments)) = words.split_first() else {
                continue;
            };
            if words.iter().any(|word| word.contains(['\'', '"', '$'])) {
                continue;
            }
            // `--help` stops before the work, and after the parser has seen what stands before it.
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
        for example in self::examples(&help) {
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

// ---- demo

fn demo(env: &TestEnv, folder: &str) -> String {
    let finished = env.taskmon(["demo", folder]).success();
    finished.stderr();
    finished.stdout().to_owned()
}

#[test]
fn the_demo_makes_a_sandbox_whose_report_is_real() {
    let env = TestEnv::new();
    demo(&env, "sandbox");
    for file in ["sandbox/taskmon.toml", "sandbox/reports/daily"] {
        assert!(env.path(file).exists(), "{file}\n{}", env.tree());
    }
    let database = walkdir::WalkDir::new(env.path("sandbox"))
        .into_iter()
        .flatten()
        .find(|entry| entry.path().extension().is_some_and(|end| end == "db"))
        .expect("a SQLite database");
    let rows = rusqlite::Connection::open(database.path()).unwrap();
    let tasks: i64 = rows.query_row("SELECT count(*) FROM tasks", [], |row| row.get(0)).unwrap();
    assert!(tasks > 2000, "{tasks} tasks");

    let report =
        env.taskmon(["stats", "--no-alert", "--config", "sandbox/taskmon.toml"]).success().json();
    assert!(report["task_statistics"]["total_tasks"].as_i64().unwrap() > 50);
    assert!(report["error_statistics"]["total_failed_tasks"].as_i64().unwrap() > 0);
    assert_eq!(
        report["unavailable"],
        serde_json::json!(["system_statistics.queue_statistics.queues"])
    );
    let days = report["trend_analysis"]["past_7_days"].as_array().unwrap();
    assert!(days.iter().all(|day| day["total"].as_i64().unwrap() > 0), "{days:?}");
}

/// Right after `cargo run` the program is not on PATH, and a folder's name may hold a space.
#[test]
fn the_demo_says_how_to_go_on_in_commands_that_work() {
    let env = TestEnv::new();
    let next = |path: &str| -> Vec<String> {
        let run = env.taskmon(["demo", "my sandbox"]).env("PATH", path);
        let document = run.success().json();
        serde_json::from_value(document["next"].clone()).unwrap()
    };
    let bare = "/usr/local/bin:/usr/bin:/bin";
    let commands = next(bare);
    assert_eq!(commands.len(), 4);
    for command in &commands {
        let run = env.program("sh", ["-c", command]).env("PATH", bare);
        let finished = run.success();
        assert!(!finished.stdout().is_empty(), "{command}");
        // The sandbox's errors are mostly of one kind, and the job of the day before tells that.
        let lines: Vec<&str> = finished.stderr().lines().collect();
        assert!(
            lines.iter().all(|line| line.contains("Errors are concentrated")),
            "{command}: {lines:?}"
        );
    }
    let binary = std::path::Path::new(env!("CARGO_BIN_EXE_taskmon"));
    let with_it = format!("{}:{bare}", binary.parent().unwrap().display());
    for command in next(&with_it) {
        assert!(command.starts_with("cd 'my sandbox' && taskmon "), "{command}");
    }
}

#[test]
fn the_demo_says_where_the_sandbox_is_and_what_it_kept() {
    let env = TestEnv::new();
    demo(&env, "sandbox");
    for (language, kept) in [("en", "is kept as"), ("zh_CN.UTF-8", "另存为")] {
        env.write("sandbox/taskmon.toml", "# my own settings\n");
        let page =
            env.taskmon(["demo", "sandbox", "--output", "text"]).env("LANG", language).success();
        let sandbox = env.path("sandbox").display().to_string();
        page.stdout_contains(&format!("{sandbox}\n"))
            .stdout_contains(kept)
            .stdout_contains("sandbox/taskmon.toml.bak");
    }
}

#[test]
fn the_demo_can_be_run_twice() {
    let env = TestEnv::new();
    demo(&env, "sandbox");
    demo(&env, "sandbox");
    env.taskmon(["stats", "--no-alert", "--config", "sandbox/taskmon.toml"]).success().json();
}

#[test]
fn a_folder_that_is_not_a_sandbox_is_never_touched() {
    let env = TestEnv::new();
    env.write("mine/letter.txt", "dear diary");
    env.write("mine/taskmon.toml", "# my own settings\n");
    let before = env.tree();
    let finished = env.taskmon(["demo", "mine"]).exits(3);
    finished.failure("not_a_sandbox", &["mine"]);
    assert_eq!(env.tree(), before);
    assert_eq!(env.read("mine/letter.txt"), "dear diary");
    assert_eq!(env.read("mine/taskmon.toml"), "# my own settings\n");
}

#[test]
fn a_file_in_the_place_of_the_sandbox_is_never_touched() {
    let env = TestEnv::new();
    env.write("sandbox", "I am a file");
    env.taskmon(["demo", "sandbox"]).exits(3).failure("not_a_sandbox", &["sandbox"]);
    assert_eq!(env.read("sandbox"), "I am a file");
}
