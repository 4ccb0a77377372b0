//! `--output nagios`, read by the parser of the Monitoring Plugins' own Perl library, and held to the grammar of their guidelines.

use crate::support::env::TestEnv;
use crate::support::finished::Finished;
use crate::support::rows::{DAY, Task, long_ago};
use serde_json::{Value, json};

/// Each figure of the line on standard input as `Monitoring::Plugin::Performance` reads it.
const READ: &str = r#"
use strict; use warnings FATAL => "all"; use Monitoring::Plugin::Performance;
local $/; my $line = <STDIN>; chomp $line;
my ($text, $figures) = split /\|/, $line, 2;
my @figures = defined $figures ? Monitoring::Plugin::Performance->parse_perfstring($figures) : ();
for my $f (@figures) {
    my @fields = map { defined $_ ? "$_" : "" } ($f->label, $f->value, $f->uom, $f->warning, $f->critical, $f->min, $f->max);
    print join("\t", @fields), "\n";
}
"#;

struct Plugin {
    service: String,
    state: String,
    text: String,
    /// Label, value, unit, warning, critical, least, largest.
    figures: Vec<[String; 7]>,
}

#[track_caller]
fn plugin(env: &TestEnv, finished: &Finished) -> Plugin {
    let line = finished.stdout().strip_suffix('\n').unwrap();
    assert!(!line.contains('\n'), "{line:?}");
    let (head, figures) = line.split_once('|').unwrap_or((line, ""));
    let (status, text) = head.split_once(" - ").unwrap();
    let (service, state) = status.split_once(' ').unwrap();
    let codes = ["OK", "WARNING", "CRITICAL", "UNKNOWN"];
    let code = codes.iter().position(|known| *known == state).unwrap();
    assert_eq!(finished.code, Some(code as i32), "{line}");
    assert!(!text.is_empty() && text.chars().all(|c| !c.is_control()), "{line:?}");
    let figures = parse_strictly(figures);
    // The library does not know the doubled quote of the guidelines.
    if figures.iter().all(|figure| !figure[0].contains('\'')) {
        assert_equal_to_the_librarys(env, line, &figures);
    }
    Plugin { service: service.into(), state: state.into(), text: text.into(), figures }
}

#[track_caller]
fn assert_equal_to_the_librarys(env: &TestEnv, line: &str, figures: &[[String; 7]]) {
    env.write("plugin.line", &format!("{line}\n"));
    let read = env.program("sh", ["-c", "perl -CSD -e \"$0\" < plugin.line", READ]).success();
    let read = read.stdout().lines().map(|line| line.split('\t').collect());
    let read: Vec<Vec<&str>> = read.collect();
    assert_eq!(read.len(), figures.len(), "{line}\n{read:?}");
    for (ours, other) in figures.iter().zip(read) {
        assert_eq!(ours[0], other[0], "{line}");
        let number = |text: &str| text.parse::<f64>().unwrap();
        assert_eq!(number(&ours[1]), number(other[1]), "{line}");
        // It writes a range from 0 in full.
        let ranges = [3, 4].map(|at| other[at].trim_start_matches("0:"));
        assert_eq!([&ours[2], &ours[3], &ours[4]], [other[2], ranges[0], ranges[1]], "{line}");
    }
}

/// The guidelines' grammar: `'label'=value[unit];[warn];[crit];[min];[max]`, separated by one space; a quote in a label is doubled.
fn parse_strictly(figures: &str) -> Vec<[String; 7]> {
    let mut found: Vec<[String; 7]> = Vec::new();
    let mut rest = figures;
    while !rest.is_empty() {
        let body = rest.strip_prefix('\'').unwrap_or_else(|| panic!("no label: {rest}"));
        let mut label = String::new();
        let mut chars = body.char_indices().peekable();
        let end = loop {
            let (at, c) = chars.next().unwrap();
            match (c, chars.peek()) {
                ('\'', Some((_, '\''))) => {
                    chars.next();
                    label.push('\'');
                }
                ('\'', _) => break at + 1,
                ('=' | '|', _) => panic!("{c} in a label: {rest}"),
                (c, _) => label.push(c),
            }
        };
        let body = body[end..].strip_prefix('=').unwrap();
        let (figure, after) = body.split_once(' ').unwrap_or((body, ""));
        assert!(!body.ends_with(' '), "{figures}");
        rest = after;
        let parts: Vec<&str> = figure.split(';').collect();
        assert!(parts.len() <= 5, "{figure}");
        let at = parts[0]
            .find(|c: char| !(c.is_ascii_digit() || c == '.' || c == '-'))
            .unwrap_or(parts[0].len());
        let (value, unit) = parts[0].split_at(at);
        assert!(["", "%", "s", "B", "c"].contains(&unit), "{figure}");
        value.parse::<f64>().unwrap_or_else(|_| panic!("{figure}"));
        let bound = |at: usize| parts.get(at).copied().unwrap_or_default().to_owned();
        for at in 1..5 {
            assert!(bound(at).is_empty() || bound(at).parse::<f64>().is_ok(), "{figure}");
        }
        assert!(found.iter().all(|other| other[0] != label), "twice: {figures}");
        found.push([label, value.into(), unit.into(), bound(1), bound(2), bound(3), bound(4)]);
    }
    found
}

impl Plugin {
    #[track_caller]
    fn figure(&self, label: &str) -> [&str; 6] {
        let found = self.figures.iter().find(|figure| figure[0] == label);
        let found = found.unwrap_or_else(|| panic!("no {label} in {:?}", self.figures));
        [1, 2, 3, 4, 5, 6].map(|at| found[at].as_str())
    }
}

fn disk(env: &TestEnv, arguments: &[&str], code: i32) -> Plugin {
    let finished = env
        .taskmon(["disk", "--no-alert", "--output", "nagios"].iter().chain(arguments).copied())
        .exits(code);
    finished.stderr();
    plugin(env, &finished)
}

#[test]
fn a_disk_within_its_limits() {
    let env = TestEnv::new();
    let result = env.taskmon(["disk", "--no-alert"]).run();
    result.stderr();
    let bytes = env.program("sh", ["-c", "df -B1 --output=size . | tail -1"]).success();
    let found = disk(&env, &[".", "--warning", "99.5", "--critical", "100"], 0);
    assert_eq!((found.service.as_str(), found.state.as_str()), ("DISK", "OK"));
    assert!(found.text.starts_with(". "), "{}", found.text);
    let [value, unit, warning, critical, least, largest] = found.figure(".");
    assert_eq!([unit, warning, critical, least, largest], ["%", "99.5", "100", "0", "100"]);
    assert!((0.0..100.0).contains(&value.parse::<f64>().unwrap()));
    let [_, unit, .., largest] = found.figure(". used");
    assert_eq!((unit, largest), ("B", bytes.stdout().trim()));
    result.json();
}

#[test]
fn states_and_their_exit_codes() {
    let env = TestEnv::new();
    assert_eq!(disk(&env, &["--warning", "0", "--critical", "100"], 1).state, "WARNING");
    assert_eq!(disk(&env, &["--warning", "0", "--critical", "0"], 2).state, "CRITICAL");
    // A known critical disk is CRITICAL even if another could not be measured; without one the state is UNKNOWN.
    let partly = disk(&env, &["/", "/missing", "--warning", "0", "--critical", "0"], 2);
    assert!(partly.text.contains("/missing does not exist"), "{}", partly.text);
    assert_eq!(
        disk(&env, &["/", "/missing", "--warning", "0", "--critical", "100"], 3).state,
        "UNKNOWN"
    );
    let failed = disk(&env, &["/missing"], 3);
    assert!(failed.figures.is_empty() && failed.text.contains("/missing"), "{}", failed.text);
    let usage = disk(&env, &["--warning", "101"], 3);
    assert!(usage.text.contains("--warning"), "{}", usage.text);
}

#[test]
fn odd_paths_break_neither_line_nor_label() {
    let env = TestEnv::new();
    let odd = "it's a=b|c\n字 ;x";
    std::fs::create_dir(env.path(odd)).unwrap();
    let found = disk(&env, &[odd, odd, "--warning", "100", "--critical", "100"], 0);
    assert!(found.text.starts_with("it's a=b¦c 字 ;x "), "{}", found.text);
    found.figure("it's a_b_c_字 ;x");
    found.figure("it's a_b_c_字 ;x used");
}

#[test]
fn a_days_report() {
    let env = TestEnv::sqlite();
    let config = env.read("taskmon.toml");
    // There is one category alone, which is no concentration here.
    env.write("taskmon.toml", &format!("{config}\n[alerts]\nerror_concentration_percent = 100\n"));
    let tasks = |failed: u32| {
        (1..=10).map(move |n| {
            if n <= failed {
                Task::new(n).at(&format!("{DAY} 10:00:00")).failed("物流 | 查询")
            } else {
                Task::new(n).at(&format!("{DAY} 11:00:00"))
            }
        })
    };
    for (failed, code, state) in [(2, 0, "OK"), (3, 1, "WARNING"), (6, 2, "CRITICAL")] {
        env.sql("DELETE FROM tasks");
        env.insert(tasks(failed));
        let finished =
            env.taskmon(["stats", "--date", DAY, "--no-save", "--output", "nagios"]).exits(code);
        let found = plugin(&env, &finished);
        assert_eq!((found.service.as_str(), found.state.as_str()), ("STATS", state));
        assert!(found.text.contains("10 tasks"), "{}", found.text);
        assert_eq!(code == 0, found.text.starts_with(DAY), "{}", found.text);
        let rate = format!("{}", failed * 10);
        assert_eq!(found.figure("failure_rate"), [&rate, "%", "20", "50", "0", "100"]);
        assert_eq!(found.figure("failed")[0], failed.to_string());
        assert_eq!(found.figure("total_tasks")[0], "10");
    }
}

#[test]
fn the_live_state() {
    let env = TestEnv::sqlite();
    let quiet = env.taskmon(["alert", "--dry-run", "--output", "nagios"]).exits(0);
    let found = plugin(&env, &quiet);
    assert_eq!((found.service.as_str(), found.state.as_str()), ("ALERT", "OK"));
    env.insert([Task::new(1).at(&long_ago()).status("PENDING")]);
    let finished = env.taskmon(["alert", "--dry-run", "--output", "nagios"]).exits(1);
    finished.stderr();
    let found = plugin(&env, &finished);
    assert_eq!(found.figure("pending"), ["1", "", "1000", "", "0", ""]);
    assert_eq!(found.figure("pending_overdue"), ["1", "", "0", "", "0", ""]);
    assert_eq!(found.figure("oldest_pending")[1..3], ["s", "1800"]);
    assert_eq!(found.figure("alerts")[0], "1");
}

#[test]
fn the_figures_for_prometheus_hold_the_usual_exit_code() {
    let env = TestEnv::new();
    disk(&env, &["--warning", "0", "--critical", "0", "--textfile", "disk.prom"], 2);
    let text = env.read("disk.prom");
    assert!(text.contains("taskmon_last_run_exit_code{job=\"disk\"} 0\n"), "{text}");
    assert!(text.contains("taskmon_last_run_success{job=\"disk\"} 1\n"), "{text}");
}

#[test]
fn a_lost_database_is_unknown_and_not_critical() {
    let env = TestEnv::new();
    let finished = env
        .taskmon([
            "stats",
            "--output=nagios",
            "--database-url",
            "postgresql://u:s3cret@127.0.0.1:1/x",
        ])
        .exits(3);
    finished.stderr();
    let found = plugin(&env, &finished);
    assert_eq!((found.service.as_str(), found.state.as_str()), ("STATS", "UNKNOWN"));
    assert!(found.figures.is_empty());
}

/// The monitoring system shows standard output.
#[test]
fn wrong_usage_and_a_wrong_configuration_are_one_line_each() {
    let env = TestEnv::sqlite();
    env.write("wrong.toml", "timezon = 'UTC'\n");
    for job in ["disk", "stats", "alert"] {
        for (words, part) in [
            (vec!["--bogus"], "--bogus"),
            (vec!["-c", "wrong.toml"], "timezon"),
            (vec!["-c", "missing.toml"], "missing.toml"),
        ] {
            for output in [vec!["--output", "nagios"], vec!["--output=nagios"]] {
                let finished = env.taskmon([&[job][..], &output, &words].concat()).exits(3);
                finished.stderr();
                let found = plugin(&env, &finished);
                assert_eq!(
                    (found.service, found.state),
                    (job.to_uppercase(), "UNKNOWN".to_owned())
                );
                assert!(found.text.contains(part), "{part} in {}", found.text);
                assert_eq!(finished.stdout().lines().count(), 1);
            }
        }
    }
}

#[test]
fn other_commands_refuse_nagios_output_and_wrong_usage_is_unknown() {
    let env = TestEnv::sqlite();
    let database = std::fs::read(env.path("tasks.db")).unwrap();
    for arguments in [vec!["cleanup"], vec!["config"], vec!["demo", "d"]] {
        let finished = env.taskmon(arguments).arg("--output").arg("nagios").exits(2);
        finished.stderr_contains("--output nagios is for disk, stats and alert");
    }
    assert_eq!(std::fs::read(env.path("tasks.db")).unwrap(), database);
    assert!(!env.path("d").exists());
    let mistaken = env.taskmon(["disk", "--output", "nagios", "--warnin", "5"]).exits(3);
    mistaken.stderr_contains("--warnin");
    assert!(mistaken.stdout().starts_with("DISK UNKNOWN - "), "{}", mistaken.stdout());
    let usual = env.taskmon(["disk", "--warnin", "5"]).exits(2);
    usual.stderr_contains("--warnin");
    let value: Value =
        json!(env.taskmon(["disk", "--output", "nagios", "--help"]).success().stdout());
    assert!(value.as_str().unwrap().contains("UNKNOWN"));
}
