//! What a terminal is shown: colours, and lines that fit it.

use crate::support::env::TestEnv;
use crate::support::rows::{DAY, Task};
use serde_json::Value;
use taskmon::units::text_width;

/// What standard output shows of a command line on a terminal that is so wide.
fn on_terminal(env: &TestEnv, columns: usize, line: &str) -> String {
    let line = format!("stty cols {columns}; TERM=xterm {line} 2> /dev/null");
    env.program("script", ["-qec", &line, "/dev/null"]).run().stdout().replace('\r', "")
}

const ESCAPE: char = '\u{1b}';

/// Without the sequences that colour it.
fn plain(text: &str) -> String {
    let parts = text.split(ESCAPE).enumerate().map(|(place, part)| {
        if place == 0 { part } else { part.split_once('m').map_or(part, |(_, rest)| rest) }
    });
    parts.collect()
}

fn filled() -> TestEnv {
    let env = TestEnv::sqlite();
    env.config("");
    env.insert((1..=30).map(|n| match n % 5 {
        0 => {
            Task::new(n).failed("二维码无法识别：照片过暗，请重新拍摄送达回证并再次上传（第二次）")
        }
        _ => Task::new(n).with("processing_time", n),
    }));
    env
}

#[test]
fn a_terminal_shows_colours_and_a_pipe_does_not() {
    let env = filled();
    for command in
        ["disk /", "disk / --output text", "check --output text", "schedule list --output text"]
    {
        let shown = on_terminal(&env, 100, &format!("taskmon {command}"));
        assert!(shown.contains(ESCAPE), "{command}: {shown}");
        for line in [
            format!("NO_COLOR=1 taskmon {command}"),
            format!("taskmon {command} --color never"),
            format!("taskmon {command} 2> /dev/null | cat"),
        ] {
            let shown = on_terminal(&env, 100, &line);
            assert!(shown.len() > 20 && !shown.contains(ESCAPE), "{line}: {shown}");
        }
        let arguments: Vec<&str> = command.split(' ').collect();
        let piped = env.taskmon(arguments.iter().copied().chain(["--color", "always"])).run();
        assert!(piped.stdout().contains(ESCAPE), "{command}: {}", piped.stdout());
    }
}

#[test]
fn coloured_json_is_the_same_json() {
    let env = filled();
    let arguments = ["stats", "--date", DAY, "--no-save", "--no-lock"];
    let printed = env.taskmon(arguments.into_iter().chain(["--color", "always"])).success();
    let report: Value = serde_json::from_str(&plain(printed.stdout())).unwrap();
    assert_eq!(report["task_statistics"]["total_tasks"], 30);
    assert!(printed.stdout().contains("\u{1b}[32m"), "{}", printed.stdout());
}

#[test]
fn no_line_of_a_page_is_wider_than_the_terminal() {
    let env = filled();
    for (columns, language) in [(80, "en"), (80, "zh"), (50, "en"), (50, "zh")] {
        for command in [
            &format!("stats --date {DAY} --no-save"),
            "cleanup --dry-run",
            "disk / /proc /dev",
            "alert --dry-run",
            "check -v",
            "schedule status",
        ] {
            let line = format!("taskmon {command} --output text --lang {language}");
            let shown = plain(&on_terminal(&env, columns, &line));
            assert!(shown.lines().count() > 1, "{line}: {shown}");
            for shown in shown.lines() {
                assert!(text_width(shown) <= columns, "{line} at {columns}: {shown}");
            }
        }
    }
}

#[test]
fn a_line_that_is_to_be_copied_is_whole() {
    let env = filled();
    let shown = on_terminal(&env, 50, "taskmon schedule install --dry-run --output text");
    let long = shown.lines().filter(|line| line.contains("taskmon") && text_width(line) > 50);
    assert!(long.count() >= 4, "{shown}");
    assert!(!shown.contains('\u{2060}'), "{shown}");
}

#[test]
fn what_is_fine_is_a_line_and_more_with_v() {
    let env = filled();
    let short = env.taskmon(["check", "--output", "text"]).run();
    let long = env.taskmon(["check", "-v", "--output", "text"]).run();
    let (short, long) = (short.stdout(), long.stdout());
    assert!(short.lines().count() < long.lines().count(), "{short}\n{long}");
    assert!(short.contains("✓ mapping") && !short.contains("the statuses of all"), "{short}");
    assert!(long.contains("the statuses of all"), "{long}");
}
